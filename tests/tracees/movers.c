/* Two threads change the directory at the same time; one is held up (it runs when nobody else wants to) and may come last. Then a
 * relative name is opened. Prints how often the file was not that of the current directory. usage: movers DIR N
 * DIR/b/f holds "b", DIR/c/f "c". */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char b[4096], c[4096];
static int n;
static volatile int end;
static pthread_barrier_t start, done;
static void *busy(void *unused)
{
	while (!end)
		;
	return 0;
}
static void *slow(void *unused)
{
	struct sched_param none = { 0 };

	sched_setscheduler(0, SCHED_IDLE, &none);
	for (int i = 0; i < n; i++) {
		pthread_barrier_wait(&start);
		chdir(b);
		pthread_barrier_wait(&done);
	}
	return 0;
}
static char letter(void)
{
	int fd = open("f", O_RDONLY);
	char got = 0;

	read(fd, &got, 1);
	close(fd);
	return got;
}
int main(int argc, char **v)
{
	char at[4096];
	int wrong = 0;
	pthread_t t, hog;
	cpu_set_t one;

	snprintf(b, sizeof b, "%s/b", v[1]);
	snprintf(c, sizeof c, "%s/c", v[1]);
	n = atoi(v[2]);
	chdir(c);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	pthread_barrier_init(&start, 0, 2);
	pthread_barrier_init(&done, 0, 2);
	pthread_create(&t, 0, slow, 0);
	pthread_create(&hog, 0, busy, 0);
	for (int i = 0; i < n; i++) {
		pthread_barrier_wait(&start);
		usleep((unsigned)i % 50 * 100);
		chdir(c);
		letter();
		pthread_barrier_wait(&done);
		getcwd(at, sizeof at);
		wrong += letter() != at[strlen(at) - 1];
	}
	end = 1;
	pthread_join(t, 0);
	printf("%d\n", wrong);
	return 0;
}
