/* What the kernel's notification alone costs a command: the recorder's own filter and choice of processors, and each call that is stopped is let go on,
 * unread. No recorder of this kind can be cheaper. usage: floor COMMAND [ARGUMENT...]; says on standard error how many calls that were. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PID_LIMIT (1 << 22)

static void stop(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The child, until its command runs: its listener's number goes through `say`, and it waits for a byte from `go`. */
static void become(char **argv, int say, int go)
{
	struct hps_gaps gaps = { 0 };
	struct hps_error err = { 0 };
	int listener;
	char byte;

	if (hps_filter_install(&gaps, false, false, false, &listener, &err)) {
		fprintf(stderr, "floor: %s\n", err.message);
		_exit(1);
	}
	if (write(say, &listener, sizeof listener) != sizeof listener || read(go, &byte, 1) != 1)
		_exit(1);
	close(listener);
	execvp(argv[0], argv);
	_exit(127);
}

static void *answer_all(void *arg)
{
	struct hps_supervisor *s = arg;

	for (;;) {
		struct seccomp_notif n = { 0 };
		struct seccomp_notif_resp go_on = { .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };

		if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0) {
			s->n_notices++;
			s->tracees.by_tid[n.pid] = 1;
			hps_placement_note(s, (pid_t)n.pid, hps_time_monotonic_ns());
			go_on.id = n.id;
			ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &go_on);
			hps_placement_answered(s, (pid_t)n.pid, hps_time_monotonic_ns());
		} else if (errno != EINTR && errno != ENOENT) {
			return NULL;
		}
	}
}

int main(int argc, char **argv)
{
	struct hps_tracee any = { 0 }, *items[] = { &any };
	struct hps_supervisor s = { .tracees = { .by_tid = hps_alloc(PID_LIMIT * sizeof(uint32_t)), .n_tids = PID_LIMIT, .items = items, .n = 1 } };
	pthread_t thread;
	int say[2], go[2], number, status = 1;
	pid_t child;

	if (argc < 2 || pipe2(say, O_CLOEXEC) || pipe2(go, O_CLOEXEC) || (child = fork()) < 0)
		stop("starting");
	if (child == 0)
		become(argv + 1, say[1], go[0]);
	close(say[1]);
	if (read(say[0], &number, sizeof number) != sizeof number)
		stop("installing the filter");
	s.listener = (int)syscall(SYS_pidfd_getfd, (int)syscall(SYS_pidfd_open, child, 0), number, 0);
	if (s.listener < 0 || pthread_create(&thread, NULL, answer_all, &s) || write(go[1], "", 1) != 1)
		stop("taking the listener");
	if (waitpid(child, &status, 0) != child)
		stop("waiting for the command");
	fprintf(stderr, "%llu calls\n", (unsigned long long)atomic_load(&s.n_notices));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
