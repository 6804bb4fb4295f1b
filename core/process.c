/* Other programs: run to the end, with a time limit and a ceiling on what they print. */
#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void hps_spawn_attributes(posix_spawnattr_t *ret, short flags)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(ret);
	posix_spawnattr_setsigmask(ret, &none);
	posix_spawnattr_setsigdefault(ret, &all);
	posix_spawnattr_setflags(ret, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | flags));
}

static int spawn(const struct hps_run *run, int out_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char *const *argv = (char *const *)(uintptr_t)run->argv; /* POSIX: argv is not changed, for historical reasons not const */
	char *const *envp = run->envp ? (char *const *)(uintptr_t)run->envp : environ;
	int r;

	hps_spawn_attributes(&attributes, 0);
	posix_spawn_file_actions_init(&actions);
	if (out_fd >= 0) {
		posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
		posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
	}
	if (run->quiet)
		posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (run->cwd)
		posix_spawn_file_actions_addchdir_np(&actions, run->cwd);
	r = posix_spawnp(ret_pid, run->argv[0], &actions, &attributes, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

/* Reads the pipe until it closes, time is up or somebody says so; the rest beyond max is read and dropped. 0, -ETIMEDOUT or -errno. */
static int drain(int fd, int64_t deadline_ns, int stop_fd, size_t max, struct hps_buf *out)
{
	char block[16384];

	for (;;) {
		struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = stop_fd ? stop_fd : -1, .events = POLLIN } };
		int64_t left = deadline_ns ? (deadline_ns - hps_time_monotonic_ns()) / 1000000 : -1;
		ssize_t n;

		if (deadline_ns && left < 0)
			return -ETIMEDOUT;
		if (poll(p, ARRAY_SIZE(p), left > INT_MAX ? INT_MAX : (int)left) <= 0)
			continue;
		if (p[1].revents)
			return -ETIMEDOUT;
		n = read(fd, block, sizeof block);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && out && out->len < max)
			hps_buf_add(out, block, (size_t)n < max - out->len ? (size_t)n : max - out->len);
	}
}

static int wait_until(pid_t pid, int64_t deadline_ns, int *ret_status)
{
	_cleanup_fd_ int pidfd = deadline_ns ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (pidfd >= 0) {
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		int64_t left = (deadline_ns - hps_time_monotonic_ns()) / 1000000;

		if (poll(&p, 1, left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left) == 0)
			return -ETIMEDOUT;
	}
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int hps_run(const struct hps_run *run, struct hps_buf *ret_output, int *ret_status, struct hps_error *err)
{
	int64_t deadline_ns = run->timeout_ns ? hps_time_monotonic_ns() + run->timeout_ns : 0;
	_cleanup_fd_ int read_end = -1, write_end = -1;
	int ends[2], r, status;
	pid_t pid;

	if (run->max_output) {
		if (pipe2(ends, O_CLOEXEC))
			return hps_error_errno(err, "running '%s'", run->argv[0]);
		read_end = ends[0];
		write_end = ends[1];
	}
	r = spawn(run, write_end, &pid);
	if (r) {
		errno = -r;
		return hps_error_errno(err, "running '%s'", run->argv[0]);
	}
	if (write_end >= 0)
		close(hps_take_fd(&write_end));
	if (read_end >= 0)
		r = drain(read_end, deadline_ns, run->stop_fd, run->max_output, ret_output);
	if (!r)
		r = wait_until(pid, deadline_ns, ret_status);
	if (r) {
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		errno = -r;
		return hps_error_errno(err, "running '%s'", run->argv[0]);
	}
	return 0;
}

char *hps_shim_path(void)
{
	_cleanup_free_ char *program = hps_sibling_program("hps-record"), *real = realpath(program, NULL), *path = NULL;
	char *slash = real ? strrchr(real, '/') : NULL;

	if (!slash)
		return NULL;
	path = hps_format("%.*s/../libexec/hps/hps-shim.so", (int)(slash - real), real);
	return realpath(path, NULL);
}

char *hps_sibling_program(const char *name)
{
	_cleanup_free_ char *path = NULL;
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	if (n <= 0)
		return hps_strdup(name);
	self[n] = '\0';
	slash = strrchr(self, '/');
	path = hps_format("%.*s/%s", (int)(slash - self), self, name);
	return access(path, X_OK) == 0 ? hps_take(path) : hps_strdup(name);
}
