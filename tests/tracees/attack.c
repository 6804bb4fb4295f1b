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

/* Its other children, and theirs: how often one of them could be limited. */
static int limit_children(pid_t pid)
{
	struct rlimit none = { 0, 0 };
	char path[64], text[4096], *at = text, *end;
	int fd, worked = 0, child;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (; (child = (int)strtol(at, &end, 10)) > 0; at = end) {
		if (child == getpid())
			continue;
		worked += prlimit(child, RLIMIT_NOFILE, &none, NULL) == 0;
		worked += limit_children(child);
	}
	return worked;
}

int main(void)
{
	pid_t recorder = getppid();
	char path[64];
	int worked = 0;
	DIR *tasks;
	struct rlimit none = { 1, 1 }, own;
	struct dirent *e;

	worked += kill(recorder, SIGSTOP) == 0;
	snprintf(path, sizeof path, "/proc/%d/task", recorder);
	tasks = opendir(path);
	while (tasks && (e = readdir(tasks)))
		if (e->d_name[0] != '.')
			worked += syscall(SYS_tkill, atoi(e->d_name), SIGKILL) == 0;
	worked += prlimit(recorder, RLIMIT_FSIZE, &none, NULL) == 0; /* its record would not be written */
	worked += prlimit(recorder, RLIMIT_FSIZE, NULL, &none) != 0; /* to look is allowed */
	worked += limit_children(recorder); /* what it learns from its helpers would be lost */
	worked += prlimit(getpid(), RLIMIT_NOFILE, NULL, &own) != 0 || prlimit(getpid(), RLIMIT_NOFILE, &own, NULL) != 0; /* what is one's own is one's own */
	worked += ptrace(PTRACE_SEIZE, recorder, 0, 0) == 0;
	snprintf(path, sizeof path, "/proc/%d/mem", recorder);
	worked += getuid() != 0 && open(path, O_RDONLY) >= 0;
	printf("%d\n", worked);
	return 0;
}
