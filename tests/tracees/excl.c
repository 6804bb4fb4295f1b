/* Creates files with O_EXCL under a timer's signals: none may seem to exist. usage: excl DIR N */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>
static void on_alarm(int unused)
{
}
int main(int c, char **v)
{
	struct sigaction a = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 300 }, { 0, 300 } };
	int exist = 0, n = atoi(v[2]);

	sigaction(SIGALRM, &a, 0);
	setitimer(ITIMER_REAL, &every, 0);
	for (int i = 0; i < n; i++) {
		char name[4096];
		int fd;

		snprintf(name, sizeof name, "%s/x%d", v[1], i);
		fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
		exist += fd < 0 && errno == EEXIST;
		close(fd);
	}
	printf("%d\n", exist);
	return exist > 0;
}
