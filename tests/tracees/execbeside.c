/* In each of N children one thread executes a program while another opens a file again and again, or ends the process. The first
 * thread or the second. usage: execbeside N first|second|leaving FILE PROGRAM [ARGUMENT…] */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static char **v;
static volatile int opens;
static void *open_for_ever(void *unused)
{
	for (;; opens = 1)
		close(open(v[3], O_RDONLY));
	return 0;
}
static void *execute(void *unused)
{
	execv(v[4], v + 4);
	_exit(127);
}
static int child(int n)
{
	int first = !strcmp(v[2], "first");
	pthread_t t;

	if (!strcmp(v[2], "leaving")) {
		pthread_create(&t, 0, execute, 0);
		usleep((unsigned)n * 20);
		_exit(0);
	}
	pthread_create(&t, 0, first ? open_for_ever : execute, 0);
	while (first && !opens)
		;
	(first ? execute : open_for_ever)(0);
	return 1;
}
int main(int c, char **arguments)
{
	int status, bad = 0;

	v = arguments;
	for (int i = 0; i < atoi(v[1]); i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(child(i));
		waitpid(pid, &status, 0);
		bad += status != 0;
	}
	return bad;
}
