/* Asks for a seccomp listener of its own, as container runtimes do, and prints the error; then opens FILE. With "none" it installs a filter that asks a
 * listener at getppid, which nobody is, and prints what that says. usage: listener FILE [none] */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int c, char **v)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog p = { 1, &allow };

	struct sock_filter asks[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (c > 2) {
		p = (struct sock_fprog){ 4, asks };
		syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p);
		puts(syscall(SYS_getppid) < 0 ? strerrorname_np(errno) : "went on");
		return open(v[1], O_RDONLY) < 0;
	}
	puts(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &p) < 0 ? strerrorname_np(errno) : "installed");
	return open(v[1], O_RDONLY) < 0;
}
