/* Traces a child and turns its getppid into an openat, whose file the child then prints. usage: rewrite FILE */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
static int child(void)
{
	char text[64] = "";
	long fd;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	fd = syscall(SYS_getppid);
	return read((int)fd, text, sizeof text - 1) <= 0 || fputs(text, stdout) < 0 || fflush(stdout);
}
int main(int c, char **v)
{
	struct user_regs_struct r;
	int status, done = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(child());
	for (waitpid(pid, &status, 0); WIFSTOPPED(status); waitpid(pid, &status, 0)) {
		ptrace(PTRACE_GETREGS, pid, 0, &r);
		if (!done && r.orig_rax == SYS_getppid) {
			done = 1;
			r.orig_rax = SYS_openat;
			r.rdi = (unsigned long)AT_FDCWD;
			r.rsi = (unsigned long)v[1]; /* at the same address in the child */
			r.rdx = O_RDONLY;
			ptrace(PTRACE_SETREGS, pid, 0, &r);
		}
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
	}
	return !WIFEXITED(status) || WEXITSTATUS(status);
}
