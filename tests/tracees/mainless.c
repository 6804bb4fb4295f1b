/* The first thread ends; the second opens a file ten times, then executes a program. usage: mainless FILE PROGRAM [ARGUMENT…] */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static char **v;
static void *second(void *unused)
{
	usleep(50000);
	for (int i = 0; i < 10; i++) {
		int fd = open(v[1], O_RDONLY);

		if (fd < 0) {
			perror(v[1]);
			_exit(1);
		}
		close(fd);
	}
	execv(v[2], v + 2);
	perror(v[2]);
	_exit(127);
}
int main(int c, char **arguments)
{
	pthread_t t;

	v = arguments;
	pthread_create(&t, 0, second, 0);
	pthread_exit(0);
}
