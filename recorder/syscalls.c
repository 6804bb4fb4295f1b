/* The calls that are intercepted: one row each, or one for each condition on an argument (then all with one function). To record another call, add a row
 * and its function. A call that has no row is not touched and costs nothing but the filter's own 30 ns. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define ROW(call, action) { .nr = SYS_##call, .name = #call, .act = action }
#define ROW_IF(call, action, number, bits, value) \
	{ .nr = SYS_##call, .name = #call, .act = action, .arg = number, .mask = bits, .equals = value }
#define ROW_UNLESS(call, action, number, value) { .nr = SYS_##call, .name = #call, .act = action, .arg = number, .equals = value, .differs = true }
#define ROW_REFUSED(call, with) { .nr = SYS_##call, .name = #call, .error = with }
#define ALL 0xffffffffull
#define TYPE 0xfull /* of a socket; above it are flags */

const struct hps_syscall hps_syscalls[] = {
	/* O_PATH gives no content, and its use later is seen. */
	ROW_IF(open, hps_act_open, 1, O_PATH, 0),
	ROW_IF(openat, hps_act_openat, 2, O_PATH, 0),
	ROW(openat2, hps_act_openat2),
	ROW(creat, hps_act_creat),
	ROW(open_by_handle_at, hps_act_handle),
	ROW(io_uring_setup, hps_act_io_uring),
	ROW(io_uring_enter, hps_act_io_uring), /* of a ring that was there before the start */
	ROW(io_uring_register, hps_act_io_uring),

	ROW(execve, hps_act_execve),
	ROW(execveat, hps_act_execveat),
	ROW(exit_group, hps_act_exit),

	ROW(rename, hps_act_rename),
	ROW(renameat, hps_act_renameat),
	ROW(renameat2, hps_act_renameat),
	ROW(unlink, hps_act_unlink),
	ROW(unlinkat, hps_act_unlinkat),
	ROW(rmdir, hps_act_rmdir),
	ROW(mkdir, hps_act_mkdir),
	ROW(mkdirat, hps_act_mkdirat),
	ROW(mknod, hps_act_mknod),
	ROW(mknodat, hps_act_mknodat),
	ROW(link, hps_act_link),
	ROW(linkat, hps_act_linkat),
	ROW(symlink, hps_act_symlink),
	ROW(symlinkat, hps_act_symlinkat),
	ROW(truncate, hps_act_truncate),

	ROW(chmod, hps_act_attributes),
	ROW(fchmod, hps_act_attributes),
	ROW(fchmodat, hps_act_attributes),
	ROW(chown, hps_act_attributes),
	ROW(lchown, hps_act_attributes),
	ROW(fchown, hps_act_attributes),
	ROW(fchownat, hps_act_attributes),
	ROW(utime, hps_act_attributes),
	ROW(utimes, hps_act_attributes),
	ROW(futimesat, hps_act_attributes),
	ROW(utimensat, hps_act_attributes),
	ROW(setxattr, hps_act_attributes),
	ROW(lsetxattr, hps_act_attributes),
	ROW(fsetxattr, hps_act_attributes),
	ROW(removexattr, hps_act_attributes),
	ROW(lremovexattr, hps_act_attributes),
	ROW(fremovexattr, hps_act_attributes),
	{ .nr = 452, .name = "fchmodat2", .act = hps_act_attributes },
	/* Younger than most programs, which fall back to the calls above. */
	{ .nr = 463, .name = "setxattrat", .error = ENOSYS },
	{ .nr = 466, .name = "removexattrat", .error = ENOSYS },
	{ .nr = 469, .name = "file_setattr", .error = ENOSYS },

	ROW_UNLESS(socket, hps_act_socket, 0, AF_UNIX),
	ROW_IF(socket, hps_act_socket, 1, TYPE, SOCK_DGRAM),
	ROW_IF(socket, hps_act_socket, 1, TYPE, SOCK_RAW), /* a datagram socket, of AF_UNIX */
	ROW(connect, hps_act_connect),
	ROW_UNLESS(sendto, hps_act_sendto, 4, 0),
	/* The address is in memory and the call may be a hot one: seen where it connects a stream; else at the making of the socket. */
	ROW_IF(sendmsg, hps_act_sendmsg, 2, MSG_FASTOPEN, MSG_FASTOPEN),
	ROW_IF(sendmmsg, hps_act_sendmsg, 3, MSG_FASTOPEN, MSG_FASTOPEN),
	ROW(bind, hps_act_bind),
	ROW(listen, hps_act_listen),
	ROW(accept, hps_act_accept),
	ROW(accept4, hps_act_accept),
	ROW(getrandom, hps_act_getrandom),
	ROW(umask, hps_act_umask),
	ROW(chdir, hps_act_chdir),
	ROW(fchdir, hps_act_chdir),

	ROW(chroot, hps_act_identity),
	ROW(pivot_root, hps_act_identity),
	ROW(setns, hps_act_setns),
	ROW(unshare, hps_act_identity),
	ROW(setuid, hps_act_identity),
	ROW(setgid, hps_act_identity),
	ROW(setreuid, hps_act_identity),
	ROW(setregid, hps_act_identity),
	ROW(setresuid, hps_act_identity),
	ROW(setresgid, hps_act_identity),
	ROW(setfsuid, hps_act_identity),
	ROW(setfsgid, hps_act_identity),
	ROW(setgroups, hps_act_identity),
	ROW(capset, hps_act_identity),
	ROW_IF(prctl, hps_act_identity, 0, ALL, PR_CAPBSET_DROP),
	ROW_IF(prctl, hps_act_identity, 0, ALL, PR_SET_SECUREBITS),
	{ .nr = 446, .name = "landlock_restrict_self", .act = hps_act_landlock },

	ROW_IF(clone, hps_act_clone, 0, CLONE_THREAD, CLONE_THREAD),
	ROW_IF(clone, hps_act_clone, 0, CLONE_NEWNS, CLONE_NEWNS),
	ROW_IF(clone, hps_act_clone, 0, CLONE_NEWUSER, CLONE_NEWUSER),
	ROW_IF(clone, hps_act_clone, 0, CLONE_VM | CLONE_VFORK | CLONE_THREAD, CLONE_VM),
	ROW_IF(clone, hps_act_clone, 0, CLONE_VM | CLONE_PARENT | CLONE_THREAD, CLONE_VM | CLONE_PARENT),
	ROW_IF(clone, hps_act_clone, 0, CLONE_FS | CLONE_THREAD, CLONE_FS),
	ROW_IF(clone, hps_act_clone, 0, CLONE_FILES | CLONE_THREAD, CLONE_FILES),
	/* Its flags are in memory; libraries fall back to clone, whose flags the filter can see. */
	ROW_REFUSED(clone3, ENOSYS),

	ROW_IF(seccomp, hps_act_seccomp, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER, SECCOMP_FILTER_FLAG_NEW_LISTENER),
	ROW_UNLESS(prlimit64, hps_act_limit, 0, 0),
	ROW_IF(ptrace, hps_act_poke, 0, ALL, PTRACE_TRACEME),
	ROW_IF(ptrace, hps_act_poke, 0, ALL, PTRACE_ATTACH),
	ROW_IF(ptrace, hps_act_poke, 0, ALL, PTRACE_SEIZE),
	ROW_IF(ptrace, hps_act_poke, 0, ALL, PTRACE_SETOPTIONS),
	ROW(process_vm_writev, hps_act_poke),
	ROW(process_vm_readv, hps_act_peek),
	ROW(userfaultfd, hps_act_userfaultfd),
	{ .nr = 438, .name = "pidfd_getfd", .act = hps_act_pidfd_getfd },
	/* Memory that nobody else can read has no names for us to read. */
	{ .nr = 447, .name = "memfd_secret", .error = ENOSYS },

	ROW_UNLESS(shmget, hps_act_key, 0, IPC_PRIVATE),
	ROW_UNLESS(msgget, hps_act_key, 0, IPC_PRIVATE),
	ROW_UNLESS(semget, hps_act_key, 0, IPC_PRIVATE),
	ROW(shmat, hps_act_shmat),
	ROW(mq_open, hps_act_mq_open),
	ROW(add_key, hps_act_channel),
	ROW(request_key, hps_act_channel),
	ROW(keyctl, hps_act_channel),
	ROW(fanotify_init, hps_act_channel),
	ROW(bpf, hps_act_channel),
	ROW(syslog, hps_act_channel),
	ROW(iopl, hps_act_channel),
	ROW(ioperm, hps_act_channel),
	ROW_UNLESS(perf_event_open, hps_act_perf, 1, 0),

	ROW(mount, hps_act_mount),
	ROW(umount2, hps_act_mount),
	ROW(open_tree, hps_act_mount),
	ROW(move_mount, hps_act_mount),
	ROW(fsmount, hps_act_mount),
	ROW(mount_setattr, hps_act_mount),
	{ .nr = 467, .name = "open_tree_attr", .act = hps_act_mount },
};
const size_t hps_n_syscalls = ARRAY_SIZE(hps_syscalls);
