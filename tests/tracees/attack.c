/* Tries to stop, kill and read the recorder (its parent); prints how often that worked. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	pid_t recorder = getppid();
	char path[64];
	int worked = 0;
	DIR *tasks;
	struct dirent *e;

	worked += kill(recorder, SIGSTOP) == 0;
	snprintf(path, sizeof path, "/proc/%d/task", recorder);
	tasks = opendir(path);
	while (tasks && (e = readdir(tasks)))
		if (e->d_name[0] != '.')
			worked += syscall(SYS_tkill, atoi(e->d_name), SIGKILL) == 0;
	worked += ptrace(PTRACE_SEIZE, recorder, 0, 0) == 0;
	snprintf(path, sizeof path, "/proc/%d/mem", recorder);
	worked += getuid() != 0 && open(path, O_RDONLY) >= 0;
	printf("%d\n", worked);
	return 0;
}
