/* Starts a program by vfork and one by posix_spawn, in a process with a second thread. usage: vforker PROGRAM ARGUMENT */
#define _GNU_SOURCE
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void *wait_for_ever(void *unused)
{
	pause();
	return 0;
}
int main(int c, char **v)
{
	char *argv[] = { v[1], v[2], 0 }, *spawned[] = { v[1], "spawned", 0 };
	pthread_t t;
	pid_t pid;

	pthread_create(&t, 0, wait_for_ever, 0);
	pid = vfork();
	if (!pid) {
		execv(v[1], argv);
		_exit(127);
	}
	waitpid(pid, 0, 0);
	return posix_spawn(&pid, v[1], 0, 0, spawned, (char *[]){ 0 }) || waitpid(pid, 0, 0) != pid;
}
