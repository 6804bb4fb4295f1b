/* A thread changes a letter of the program's name while a vforked child executes it. Each image appends the name that the kernel
 * says it runs as. usage: execflip DIR N REPORT; DIR/a and DIR/b are copies of this program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static char name[4096];
static volatile char *letter;
static volatile int end;
static void *flipper(void *unused)
{
	while (!end)
		*letter = *letter == 'a' ? 'b' : 'a';
	return 0;
}
static int child(const char *report)
{
	char self[4096];
	int fd = open(report, O_WRONLY | O_APPEND | O_CREAT, 0644);
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	self[n] = '\n';
	return write(fd, self, (size_t)n + 1) != n + 1;
}
int main(int c, char **v)
{
	char *const arguments[] = { "child", v[3], 0 };
	pthread_t t;

	if (!strcmp(v[0], "child"))
		return child(v[1]);
	snprintf(name, sizeof name, "%s/a", v[1]);
	letter = name + strlen(name) - 1;
	pthread_create(&t, 0, flipper, 0);
	for (int i = 0; i < atoi(v[2]); i++) {
		pid_t pid = vfork();

		if (pid == 0) {
			execv(name, arguments);
			_exit(9);
		}
		waitpid(pid, 0, 0);
	}
	end = 1;
	pthread_join(t, 0);
	return 0;
}
