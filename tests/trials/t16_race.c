/* Two threads add to one number without a lock. build: cc -O0 -pthread t16_race.c -o t16; out: count.txt */
#include <pthread.h>
#include <stdio.h>
static volatile long total;
static void *add(void *arg)
{
	for (long i = 0; i < 3000000; i++) total = total + 1;
	return arg;
}
int main(int c, char **v)
{
	pthread_t t[2];
	char path[512];
	for (int i = 0; i < 2; i++) pthread_create(&t[i], NULL, add, NULL);
	for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
	snprintf(path, sizeof path, "%s/count.txt", c > 1 ? v[1] : "out");
	FILE *f = fopen(path, "w");
	return !f || fprintf(f, "total %ld\n", total) < 0 || fclose(f);
}
