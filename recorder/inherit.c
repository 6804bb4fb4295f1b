/* What the command must find as it would without us: descriptors, signals, limits. */
#include "recorder/recorder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT };

static int read_number(const char *text, int *ret, struct hps_error *err)
{
	uint64_t n;

	if (hps_parse_u64(text, HPS_INHERITED_MAX, &n) || n <= STDERR_FILENO)
		return hps_error_set(err, HPS_E_USAGE, "--descriptor '%.40s': a number from 3 to %d", text, HPS_INHERITED_MAX);
	*ret = (int)n;
	return 0;
}

int hps_inherited_stand_in(const struct hps_strv *numbers, struct hps_error *err)
{
	_cleanup_fd_ int null = numbers->n ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
	int r = 0, fd = -1;

	for (size_t i = 0; !r && i < numbers->n; i++) {
		r = read_number(numbers->v[i], &fd, err);
		if (r)
			break;
		if (fd == null) { /* which is to be ours */
			null = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
			fcntl(fd, F_SETFD, 0);
		} else if (fcntl(fd, F_GETFD) < 0 && dup2(null, fd) < 0) {
			r = hps_error_errno(err, "--descriptor %d", fd);
		}
	}
	return r;
}

json_t *hps_inherited_json(const struct hps_inherited *in)
{
	json_t *list = json_array();

	for (int fd = STDERR_FILENO + 1; fd <= HPS_INHERITED_MAX; fd++) /* in their order */
		for (size_t i = 0; i < in->n_fds; i++)
			if (in->fds[i] == fd)
				hps_json_add(list, json_integer(fd));
	return list;
}

void hps_inherited_note(struct hps_inherited *i, const struct hps_trial_options *o)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		uint64_t fd;

		if (hps_parse_u64(e->d_name, INT32_MAX, &fd) || (int)fd == dirfd(dir) || fcntl((int)fd, F_GETFD) & FD_CLOEXEC ||
		    (o->has_lock_fd && fd == o->lock_fd) || (o->has_passphrase_fd && fd == o->passphrase_fd))
			continue;
		if (i->n_fds < ARRAY_SIZE(i->fds))
			i->fds[i->n_fds++] = (int)fd;
	}
	if (dir)
		closedir(dir);
}

const char *hps_inherited_kind(int fd)
{
	struct stat s;

	if (fstat(fd, &s))
		return "closed";
	if (S_ISCHR(s.st_mode))
		return s.st_rdev == makedev(1, 3) ? "null" : isatty(fd) ? "terminal" : "other";
	return S_ISREG(s.st_mode) ? "file" : S_ISFIFO(s.st_mode) ? "pipe" : S_ISSOCK(s.st_mode) ? "socket" : "other";
}

/* Signals 32 and 33 belong to the C library, which lets nobody else ask for them: but it uses them in us, and an exec then gives the
 * command their default action where a parent (posix_spawn(3) is one) had them ignored. */
#define LIBRARY_SIGNAL 32
struct kernel_action {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

static bool library_ignored(int number)
{
	struct kernel_action a = { 0 };

	return !syscall(SYS_rt_sigaction, LIBRARY_SIGNAL + number, NULL, &a, sizeof a.mask) && a.handler == (uintptr_t)SIG_IGN;
}

static void ignore_library(int number)
{
	const struct kernel_action a = { .handler = (uintptr_t)SIG_IGN };

	syscall(SYS_rt_sigaction, LIBRARY_SIGNAL + number, &a, NULL, sizeof a.mask);
}

void hps_inherited_block_signals(struct hps_inherited *i, sigset_t *ret_watched)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigemptyset(ret_watched);
	for (size_t s = 0; s < ARRAY_SIZE(passed_on); s++)
		sigaddset(ret_watched, passed_on[s]);
	sigaddset(ret_watched, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, ret_watched, &i->mask);
	sigaction(SIGPIPE, &ignore, &i->pipe);
	sigaction(SIGXFSZ, &ignore, &i->too_large);
	for (int n = 0; n < 2; n++)
		i->library[n] = library_ignored(n);
}

void hps_inherited_take_limits(struct hps_inherited *i)
{
	struct rlimit l;

	getrlimit(RLIMIT_CORE, &i->core);
	getrlimit(RLIMIT_NOFILE, &i->files);
	l = i->files;
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	l = (struct rlimit){ 0, i->core.rlim_max };
	setrlimit(RLIMIT_CORE, &l);
}

void hps_inherited_restore(const struct hps_inherited *i)
{
	setrlimit(RLIMIT_NOFILE, &i->files);
	setrlimit(RLIMIT_CORE, &i->core);
	sigaction(SIGPIPE, &i->pipe, NULL);
	sigaction(SIGXFSZ, &i->too_large, NULL);
	for (int n = 0; n < 2; n++)
		if (i->library[n])
			ignore_library(n);
	for (const int *fd = i->closed; *fd >= 0; fd++)
		close(*fd);
	sigprocmask(SIG_SETMASK, &i->mask, NULL);
}

/* ---- what it has open ---- */

/* The path of fd as the command names it; NULL when it lies outside its root, where it has no name. */
static char *path_of(const char *root, int fd)
{
	_cleanup_free_ char *path = hps_fd_path(fd);
	size_t n;

	root = root ? root : "";
	n = strlen(root);
	while (n && root[n - 1] == '/')
		n--;
	return path && !strncmp(path, root, n) && path[n] == '/' ? hps_strdup(path + n) : NULL;
}

/* Over a unix socket descriptors can come in. Standard input and output are not counted: that they say things unseen is
 * in every record. */
static bool lets_in(int fd)
{
	int domain;
	socklen_t len = sizeof domain;

	return fd > 2 && getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

void hps_inherited_use(const struct hps_inherited *in, struct hps_supervisor *s)
{
	for (size_t i = 0; i < in->n_fds; i++) {
		int fd = in->fds[i], flags = fcntl(fd, F_GETFL);
		_cleanup_free_ char *path = path_of(s->root, fd);
		struct hps_file *file;
		struct stat st;

		if (lets_in(fd))
			hps_gap_note(s->gaps, HPS_GAP_SOCKET);
		if (!path || flags < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
			continue;
		if (!st.st_nlink && strlen(path) > 10) /* it has a content and no name: " (deleted)" */
			path[strlen(path) - 10] = '\0';
		file = hps_files_get(s->files, path);
		hps_file_rare_make(file)->descriptors |= fd < 32 ? 1u << fd : 0;
		if ((flags & O_ACCMODE) != O_WRONLY)
			hps_file_use(s->files, file, fd, &st, HPS_USE_READ);
		if ((flags & O_ACCMODE) == O_RDONLY || !st.st_nlink)
			continue;
		hps_file_secure(s->files, file, fd, &st);
		hps_file_modify(s->files, file, fd, &st);
		hps_supervisor_wrote(s, st.st_ino);
	}
}

void hps_inherited_drop(const struct hps_inherited *in)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < in->n_fds; i++) {
		int fd = in->fds[i];

		if (fd > 2)
			close(fd);
		else if (fd < 2 && null >= 0)
			dup2(null, fd);
	}
	if (null > 2)
		close(null);
}
