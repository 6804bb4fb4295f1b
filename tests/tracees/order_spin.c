/* Threads that wait for each other without a call that says so. At level 4 the other one has no turn meanwhile:
 *   flag     looks at a word until another thread has written it
 *   counter  the same, counting, with the instruction that says that it waits
 *   fifo     opens a FIFO that another thread has not opened yet
 *   work     no waiting: computes for as many tenths of a second as the next argument says, while the other one could go on */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
static volatile int flag;
static void *other(void *how)
{
	write(2, "", 0);
	if (!strcmp(how, "fifo"))
		close(open("fifo", O_WRONLY));
	flag = 1;
	return NULL;
}
int main(int c, char **v)
{
	pthread_t t;
	unsigned long n = 0, x = 1;
	FILE *f = fopen("spin.out", "w");
	pthread_create(&t, NULL, other, v[1]);
	prctl(PR_SET_NAME, "impatient");
	if (!strcmp(v[1], "flag"))
		while (!flag) ;
	if (!strcmp(v[1], "counter"))
		while (!flag) { n++; __builtin_ia32_pause(); }
	if (!strcmp(v[1], "fifo")) {
		mkfifo("fifo", 0600);
		close(open("fifo", O_RDONLY));
	}
	if (!strcmp(v[1], "work"))
		for (unsigned long end = atol(v[2]) * 10000000ul; n < end; n++) { x = x * 6364136223846793005ul + n; x ^= x >> 33; x *= 3; x ^= x >> 29; }
	fprintf(f, "flag %d %lu\n", strcmp(v[1], "work") ? 1 : flag, x);
	pthread_join(t, NULL);
	return fclose(f);
}
