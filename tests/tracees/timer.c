/* Makes, opens, renames and removes names under a timer's signals. Each call that fails with EINTR is counted and made again: then
 * it must not have been made before. usage: timer DIR N restart|plain; prints "interrupted I wrong W" */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static int interrupted, wrong;

static void on_alarm(int unused)
{
}
#define CALL(name, call)                                             \
	do {                                                         \
		int r;                                               \
		while ((r = (call)) < 0 && errno == EINTR)           \
			interrupted++;                               \
		if (r < 0 && ++wrong < 5)                            \
			fprintf(stderr, name ": %s\n", strerror(errno)); \
		last = r;                                            \
	} while (0)

int main(int c, char **v)
{
	struct sigaction a = { .sa_handler = on_alarm, .sa_flags = strcmp(v[3], "restart") ? 0 : SA_RESTART };
	struct itimerval every = { { 0, 500 }, { 0, 500 } };
	int n = atoi(v[2]), last;

	if (chdir(v[1]))
		return 1;
	sigaction(SIGALRM, &a, 0);
	setitimer(ITIMER_REAL, &every, 0);
	for (int i = 0; i < n; i++) {
		CALL("open", open("f", O_CREAT | O_EXCL | O_WRONLY, 0644));
		close(last);
		CALL("rename", rename("f", "g"));
		CALL("unlink", unlink("g"));
		CALL("mkdir", mkdir("d", 0755));
		CALL("rmdir", rmdir("d"));
	}
	printf("interrupted %d wrong %d\n", interrupted, wrong);
	return 0;
}
