/* A tracer that cancels its child's intercepted call: the number becomes -1. Prints what the call gave. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
	struct user_regs_struct regs;
	pid_t pid = fork();
	int status;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGTRAP);
		_exit(syscall(SYS_rmdir, "/no/such") < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	for (;;) {
		ptrace(PTRACE_SYSCALL, pid, 0, 0);
		waitpid(pid, &status, 0);
		if (!WIFSTOPPED(status))
			break;
		ptrace(PTRACE_GETREGS, pid, 0, &regs);
		if (regs.orig_rax == SYS_rmdir) {
			regs.orig_rax = (unsigned long long)-1;
			ptrace(PTRACE_SETREGS, pid, 0, &regs);
		}
	}
	printf("%d\n", WEXITSTATUS(status));
}
