/* The system calls that a rerun may make, and why. What has no row is refused: by the sandbox that hps-replay sets up, and by the
 * recorder inside it, which names what was asked for. A call of a kernel younger than this table is refused, too. To allow one,
 * add it to the row of its kind; conditions on an argument are rows of their own. */
#include "core/core.h"

#include <linux/capability.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define C(name) SYS_##name
#define N(...) ((const int[]){ __VA_ARGS__, -1 })
#define NAMESPACES (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP)
#define ALL 0xffffffffull

/* Younger than the headers that this must be built with. */
#define NR_CACHESTAT 451
#define NR_FCHMODAT2 452
#define NR_MAP_SHADOW_STACK 453
#define NR_FUTEX_WAKE 454
#define NR_FUTEX_WAIT 455
#define NR_FUTEX_REQUEUE 456
#define NR_MSEAL 462
#define NR_LANDLOCK 444

static const struct {
	const char *why;
	const int *calls;
} allowed[] = {
	{ "reads, writes and descriptors",
	  N(C(read), C(write), C(pread64), C(pwrite64), C(readv), C(writev), C(preadv), C(pwritev), C(preadv2), C(pwritev2), C(lseek), C(close), C(close_range),
	    C(dup), C(dup2), C(dup3), C(fcntl), C(flock), C(fsync), C(fdatasync), C(sync), C(sync_file_range), C(syncfs), C(ftruncate), C(fallocate),
	    C(fadvise64), C(readahead), C(sendfile), C(splice), C(tee), C(vmsplice), C(copy_file_range), C(pipe), C(pipe2), C(memfd_create), NR_CACHESTAT) },
	{ "files by name, of which there are those of the view",
	  N(C(open), C(openat), C(openat2), C(creat), C(stat), C(fstat), C(lstat), C(newfstatat), C(statx), C(statfs), C(fstatfs), C(access), C(faccessat),
	    C(faccessat2), C(readlink), C(readlinkat), C(getdents), C(getdents64), C(rename), C(renameat), C(renameat2), C(link), C(linkat), C(symlink),
	    C(symlinkat), C(unlink), C(unlinkat), C(mkdir), C(mkdirat), C(rmdir), C(mknod), C(mknodat), C(truncate), C(chmod), C(fchmod), C(fchmodat),
	    NR_FCHMODAT2, C(chown), C(fchown), C(lchown), C(fchownat), C(utime), C(utimes), C(futimesat), C(utimensat), C(umask), C(chdir), C(fchdir),
	    C(getcwd), C(setxattr), C(lsetxattr), C(fsetxattr), C(getxattr), C(lgetxattr), C(fgetxattr), C(listxattr), C(llistxattr), C(flistxattr),
	    C(removexattr), C(lremovexattr), C(fremovexattr), C(name_to_handle_at), C(inotify_init), C(inotify_init1), C(inotify_add_watch),
	    C(inotify_rm_watch)) },
	{ "entering the view, which the recorder does; the trial has no capability for it", N(C(chroot)) },
	{ "memory of its own",
	  N(C(mmap), C(munmap), C(mremap), C(mprotect), C(madvise), C(mincore), C(msync), C(brk), C(mlock), C(mlock2), C(munlock), C(mlockall), C(munlockall),
	    C(membarrier), C(pkey_alloc), C(pkey_free), C(pkey_mprotect), C(remap_file_pages), C(get_mempolicy), C(set_mempolicy), C(mbind),
	    NR_MAP_SHADOW_STACK, NR_MSEAL) },
	{ "processes and threads of its own namespace",
	  N(C(fork), C(vfork), C(execve), C(execveat), C(exit), C(exit_group), C(wait4), C(waitid), C(getpid), C(gettid), C(getppid), C(getpgid), C(getpgrp),
	    C(setpgid), C(getsid), C(setsid), C(pidfd_open), C(pidfd_send_signal), C(prctl), C(arch_prctl), C(set_tid_address), C(set_robust_list),
	    C(get_robust_list), C(rseq), C(futex), C(futex_waitv), NR_FUTEX_WAKE, NR_FUTEX_WAIT, NR_FUTEX_REQUEUE, C(getcpu), C(restart_syscall)) },
	{ "what the recorder does with processes; the trial reaches its own alone",
	  N(C(ptrace), C(process_vm_readv), C(process_vm_writev), C(pidfd_getfd), C(kcmp)) },
	{ "signals",
	  N(C(kill), C(tkill), C(tgkill), C(rt_sigaction), C(rt_sigprocmask), C(rt_sigreturn), C(rt_sigpending), C(rt_sigsuspend), C(rt_sigtimedwait),
	    C(rt_sigqueueinfo), C(rt_tgsigqueueinfo), C(sigaltstack), C(signalfd), C(signalfd4), C(pause)) },
	{ "scheduling, limits and what the machine is",
	  N(C(sched_yield), C(sched_setparam), C(sched_getparam), C(sched_setscheduler), C(sched_getscheduler), C(sched_get_priority_max),
	    C(sched_get_priority_min), C(sched_rr_get_interval), C(sched_setaffinity), C(sched_getaffinity), C(sched_setattr), C(sched_getattr),
	    C(getpriority), C(setpriority), C(ioprio_get), C(ioprio_set), C(getrlimit), C(setrlimit), C(prlimit64), C(getrusage), C(times), C(sysinfo),
	    C(uname), C(personality)) },
	{ "ids: there is one user, and no capability to become another",
	  N(C(getuid), C(geteuid), C(getgid), C(getegid), C(getresuid), C(getresgid), C(getgroups), C(setuid), C(setgid), C(setreuid), C(setregid),
	    C(setresuid), C(setresgid), C(setfsuid), C(setfsgid), C(setgroups), C(capget), C(capset)) },
	{ "giving up more", N(C(seccomp), NR_LANDLOCK, NR_LANDLOCK + 1, NR_LANDLOCK + 2) },
	{ "time, but not setting it",
	  N(C(clock_gettime), C(clock_getres), C(clock_nanosleep), C(nanosleep), C(gettimeofday), C(time), C(alarm), C(getitimer), C(setitimer),
	    C(timer_create), C(timer_settime), C(timer_gettime), C(timer_getoverrun), C(timer_delete), C(timerfd_create), C(timerfd_settime),
	    C(timerfd_gettime), C(adjtimex), C(clock_adjtime)) },
	{ "waiting",
	  N(C(poll), C(ppoll), C(select), C(pselect6), C(epoll_create), C(epoll_create1), C(epoll_ctl), C(epoll_wait), C(epoll_pwait), C(epoll_pwait2),
	    C(eventfd), C(eventfd2)) },
	{ "sockets, in a net namespace with a loopback device alone",
	  N(C(socketpair), C(bind), C(listen), C(accept), C(accept4), C(connect), C(getsockname), C(getpeername), C(sendto), C(recvfrom), C(sendmsg),
	    C(recvmsg), C(sendmmsg), C(recvmmsg), C(shutdown), C(setsockopt), C(getsockopt)) },
	{ "shared memory, semaphores and queues of its own namespace",
	  N(C(shmget), C(shmat), C(shmdt), C(shmctl), C(semget), C(semop), C(semtimedop), C(semctl), C(msgget), C(msgsnd), C(msgrcv), C(msgctl), C(mq_open),
	    C(mq_unlink), C(mq_timedsend), C(mq_timedreceive), C(mq_notify), C(mq_getsetattr)) },
	{ "asynchronous reads and writes, of descriptors", N(C(io_setup), C(io_submit), C(io_getevents), C(io_pgetevents), C(io_destroy), C(io_cancel)) },
	{ "random numbers", N(C(getrandom)) },
};

/* Allowed where (argument & mask) is the value, for one of the call's rows. */
static const struct {
	int nr;
	unsigned arg;
	uint64_t mask, value;
	const char *why;
} conditions[] = {
	{ C(clone), 0, NAMESPACES, 0, "no namespace of its own" },
	{ C(unshare), 0, NAMESPACES | CLONE_NEWTIME, 0, "no namespace of its own" },
	{ C(socket), 0, ALL, AF_UNIX, "sockets that programs of the rerun talk by" },
	{ C(socket), 0, ALL, AF_INET, "sockets that programs of the rerun talk by" },
	{ C(socket), 0, ALL, AF_INET6, "sockets that programs of the rerun talk by" },
	{ C(socket), 0, ALL, AF_NETLINK, "which devices are there" },
};

/* ioctl() is one call for thousands: all but those that act on a terminal's input or on the console (bubblewrap's CVE-2017-5226 and
 * CVE-2019-10063, flatpak's CVE-2023-28100: the kernel looks at the low 32 bits). */
static const unsigned terminal[] = { TIOCSTI, TIOCLINUX, TIOCCONS, TIOCSETD };

/* What root may do with any file. In a user namespace they hold for the ids in it, and what they reach is the view: what leads out
 * of it (mounts, devices, other roots and processes, the kernel's settings) needs others. */
unsigned hps_call_capabilities(void)
{
	return 1U << CAP_CHOWN | 1U << CAP_DAC_OVERRIDE | 1U << CAP_FOWNER | 1U << CAP_FSETID;
}

static bool meets(size_t i, const uint64_t args[6])
{
	return (args[conditions[i].arg] & conditions[i].mask) == conditions[i].value;
}

bool hps_call_allowed(int nr, const uint64_t args[6])
{
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
		if (conditions[i].nr == nr && meets(i, args))
			return true;
	for (size_t i = 0; nr == SYS_ioctl && i < ARRAY_SIZE(terminal); i++)
		if ((args[1] & ALL) == terminal[i])
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		for (const int *call = allowed[i].calls; *call >= 0; call++)
			if (*call == nr)
				return true;
	return nr == SYS_ioctl;
}

bool hps_call_conditional(int nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
		if (conditions[i].nr == nr)
			return true;
	return nr == SYS_ioctl;
}

char *hps_call_name(int nr)
{
	char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr), *name = known ? hps_strdup(known) : hps_format("system call %d", nr);

	free(known);
	return name;
}

int hps_calls_allow(void *filter)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		for (const int *call = allowed[i].calls; *call >= 0 && !r; call++)
			r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, *call, 0);
	for (size_t i = 0; i < ARRAY_SIZE(conditions) && !r; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, conditions[i].nr, 1,
				     SCMP_CMP64(conditions[i].arg, SCMP_CMP_MASKED_EQ, conditions[i].mask, conditions[i].value));
	return r ? r : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SYS_ioctl, 0);
}

int hps_calls_refuse(void *filter, uint32_t action)
{
	int r = 0;

	for (uint64_t flag = 1; flag <= NAMESPACES && !r; flag <<= 1)
		if (flag & NAMESPACES)
			r = seccomp_rule_add(filter, action, SYS_clone, 1, SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, flag, flag));
	for (size_t i = 0; i < ARRAY_SIZE(terminal) && !r; i++)
		r = seccomp_rule_add(filter, action, SYS_ioctl, 1, SCMP_CMP64(1, SCMP_CMP_MASKED_EQ, ALL, terminal[i]));
	return r;
}
