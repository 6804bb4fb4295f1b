/* A second thread (or, with "vm", a process with the same memory) changes the first letter of a name while it is opened. Each
 * name is opened once; what was really opened is known from its content. usage: flip HOW DIR N REPORT [again]
 * DIR/a<i> and DIR/b<i> hold "a<i>" and "b<i>". again: first it executes itself, which fails. HOW: thread; vm; left: a process with the
 * same memory that a vforked child started; adopted: a thread, and who opens is vforked as a child of our parent. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile char *volatile letter;
static volatile int end;
static FILE *report;
static char stack[65536], other_stack[65536], name[4096];
static int flipper(void *unused)
{
	while (!end) {
		volatile char *at = letter;

		if (at)
			*at = *at == 'a' ? 'b' : 'a';
	}
	return 0;
}
static void *thread(void *unused)
{
	flipper(0);
	return 0;
}
static int leave(void *unused)
{
	clone(flipper, stack + sizeof stack, CLONE_VM | SIGCHLD, 0);
	return 0;
}
static int open_names(void *arguments)
{
	char **v = arguments;
	int n = atoi(v[3]);

	for (int i = 0; i < n; i++) {
		char got[32] = "";
		int len = snprintf(name, sizeof name, "%s/a%05d", v[2], i), fd;

		letter = name + len - 6;
		for (volatile int spin = 0; spin < i % 500; spin++)
			;
		fd = open(name, O_RDONLY);
		letter = 0;
		if (fd >= 0 && read(fd, got, sizeof got - 1) > 0)
			fprintf(report, "%s\n", got);
		close(fd);
	}
	return 0;
}
int main(int c, char **v)
{
	int adopted = !strcmp(v[1], "adopted"), threaded = adopted || !strcmp(v[1], "thread");
	pthread_t t;

	report = fopen(v[4], "w");
	if (threaded)
		pthread_create(&t, 0, thread, 0);
	else if (!strcmp(v[1], "vm"))
		clone(flipper, stack + sizeof stack, CLONE_VM | SIGCHLD, 0);
	else
		clone(leave, other_stack + sizeof other_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, 0);
	if (c > 5)
		execve("/proc/self/exe", v, (char **)1);
	if (adopted)
		clone(open_names, other_stack + sizeof other_stack, CLONE_VM | CLONE_VFORK | CLONE_PARENT, v);
	else
		open_names(v);
	end = 1;
	fclose(report);
	if (threaded)
		pthread_join(t, 0);
	else
		wait(0);
	return 0;
}
