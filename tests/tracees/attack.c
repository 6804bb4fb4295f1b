/* Tries to stop, kill, limit and read the recorder (its parent); prints how often that worked. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	pid_t recorder = getppid();
	char path[64];
	int worked = 0;
	DIR *tasks;
	struct rlimit none = { 1, 1 };
	struct dirent *e;

	worked += kill(recorder, SIGSTOP) == 0;
	snprintf(path, sizeof path, "/proc/%d/task", recorder);
	tasks = opendir(path);
	while (tasks && (e = readdir(tasks)))
		if (e->d_name[0] != '.')
			worked += syscall(SYS_tkill, atoi(e->d_name), SIGKILL) == 0;
	worked += prlimit(recorder, RLIMIT_FSIZE, &none, NULL) == 0; /* its record would not be written */
	worked += prlimit(recorder, RLIMIT_FSIZE, NULL, &none) != 0; /* to look is allowed */
	worked += ptrace(PTRACE_SEIZE, recorder, 0, 0) == 0;
	snprintf(path, sizeof path, "/proc/%d/mem", recorder);
	worked += getuid() != 0 && open(path, O_RDONLY) >= 0;
	printf("%d\n", worked);
	return 0;
}
