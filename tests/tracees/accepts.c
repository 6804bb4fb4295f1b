/* Accepts from its own unix socket, to which nobody else connects; prints how each call ended.
 * usage: accepts emfile|eintr|restart NAME */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_un a = { .sun_family = AF_UNIX };
static int s;

static void handler(int unused)
{
}
static void take(void)
{
	int fd = accept(s, NULL, NULL);

	printf("%s ", fd < 0 ? strerrorname_np(errno) : "0");
	if (fd >= 0)
		close(fd);
}
static int come(void)
{
	int c = socket(AF_UNIX, SOCK_STREAM, 0);

	return connect(c, (struct sockaddr *)&a, sizeof a);
}
int main(int c, char **v)
{
	struct sigaction act = { .sa_handler = handler, .sa_flags = !strcmp(v[1], "restart") ? SA_RESTART : 0 };
	struct itimerval soon = { .it_value = { .tv_usec = 50000 } };
	struct rlimit before, none;

	strncpy(a.sun_path, v[2], sizeof a.sun_path - 1);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(s, (struct sockaddr *)&a, sizeof a) || listen(s, 8))
		return 1;
	if (!strcmp(v[1], "emfile")) {
		come();
		getrlimit(RLIMIT_NOFILE, &before);
		none = (struct rlimit){ .rlim_cur = dup(s), .rlim_max = before.rlim_max };
		close(none.rlim_cur);
		setrlimit(RLIMIT_NOFILE, &none);
		take();
		take();
		setrlimit(RLIMIT_NOFILE, &before);
	} else {
		sigaction(SIGALRM, &act, NULL);
		setitimer(ITIMER_REAL, &soon, NULL);
		if (act.sa_flags && !fork()) {
			usleep(300000);
			_exit(come());
		}
		if (!act.sa_flags) {
			take();
			come();
		}
	}
	take();
	while (wait(NULL) > 0)
		;
	return 0;
}
