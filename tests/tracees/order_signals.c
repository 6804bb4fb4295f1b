/* What signals do to a process at level 4: whoever sends one, dies of one, waits for one, or is called away by one does so in its turn.
 * signals.out is to be the same whatever the machine does meanwhile; `steps` counts how often another thread came by. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static FILE *f;
static volatile int n_seen;
static volatile long steps;
static void on(int s) { n_seen++; }
static void catch(int s, int flags) { struct sigaction a = { .sa_handler = on, .sa_flags = flags }; sigaction(s, &a, NULL); }
static void ended(const char *what, int pid) { int s; pid_t r = waitpid(pid, &s, 0); fprintf(f, "%s %d %x seen %d\n", what, r == pid, s, n_seen); }
static int after(int how, int ms) /* a child that sends this one a signal, or does what kills it */
{
	int parent = getpid(), pid = (fflush(f), fork());
	if (pid) return pid;
	usleep(ms * 1000);
	if (how > 0) { kill(parent, how); _exit(1); }
	if (how == 0) abort();
	for (;;) pause();
}
static void *count(void *arg) { for (;;) { steps++; if (steps % 1000 == 0) sched_yield(); } }
int main(void)
{
	struct timespec t = { 5, 0 }, left;
	sigset_t usr2, was;
	siginfo_t info;
	pthread_t thread;
	char c;
	int p[2], pid, r;
	f = fopen("signals.out", "w");
	pthread_create(&thread, NULL, count, NULL);
	ended("aborts", after(0, 1));
	pid = after(-1, 0); usleep(1000); kill(pid, SIGKILL); ended("killed", pid);
	pid = after(-1, 0); usleep(1000); kill(pid, SIGTERM); fprintf(f, "steps %ld\n", steps); ended("ends", pid);
	catch(SIGUSR1, 0);
	pid = after(SIGUSR1, 2); r = nanosleep(&t, &left); fprintf(f, "sleep %d %d\n", r, errno); ended("one", pid);
	pipe(p);
	pid = after(SIGUSR1, 2); r = read(p[0], &c, 1); fprintf(f, "read %d %d\n", r, errno); ended("two", pid);
	catch(SIGUSR1, SA_RESTART);
	if (!(pid = after(SIGUSR1, 2))) return 0;
	fflush(f);
	if (!fork()) { usleep(20000); write(p[1], "x", 1); _exit(0); }
	r = read(p[0], &c, 1); fprintf(f, "read again %d\n", r); ended("three", pid); wait(NULL);
	sigemptyset(&usr2); sigaddset(&usr2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &usr2, &was);
	catch(SIGUSR2, 0);
	pid = after(SIGUSR2, 2); sigsuspend(&was); ended("suspend", pid);
	pid = after(SIGUSR2, 2); r = sigtimedwait(&usr2, &info, &t); fprintf(f, "wait %d %d\n", r, info.si_pid == pid); ended("four", pid);
	t = (struct timespec){ 0, 3000000 }; r = sigtimedwait(&usr2, &info, &t); fprintf(f, "wait %d %d\n", r, errno);
	catch(SIGCHLD, 0);
	n_seen = 0;
	if (!(pid = after(-1, 0))) return 0;
	kill(pid, SIGTERM); while (!n_seen) sched_yield(); fprintf(f, "steps %ld\n", steps); ended("told", pid);
	fflush(f);
	if (!(pid = fork())) { close(p[0]); for (;;) write(p[1], "y", 1); }
	close(p[0]); usleep(3000); close(p[1]); ended("pipe", pid);
	fprintf(f, "steps %ld\n", steps);
	return fclose(f);
}
