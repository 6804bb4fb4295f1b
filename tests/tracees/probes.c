/* Ways out of a sandbox, a row each: what it tries, and whether it can be tried where nothing forbids it (then a control run shows that
 * the row can succeed). usage: probes OUT CANARY PORT PID [root|user]. CANARY is a folder of the machine with what the test put there; PID a
 * process that it must not reach; root, user: the control. Prints a line each: name, "denied: error", "ESCAPED" or "REACHED: error". */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *canary;
static int port;
static pid_t other; /* a process outside: the recorder in a rerun */

/* ---- helpers: 0 and above is a success ---- */

static char *at(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s", canary, name);
	return path;
}

static int reads(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), n;

	if (fd < 0)
		return -1;
	n = read(fd, &c, 1);
	close(fd);
	if (n == 0)
		errno = ENODATA;
	return n > 0 ? 0 : -1;
}

static int writes(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static int lists(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	errno = d ? ENODATA : errno;
	return n > 2 ? 0 : -1;
}

static const char *of(pid_t pid, const char *what)
{
	static char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
	return path;
}

static int links(const char *path)
{
	char target[4096];

	return readlink(path, target, sizeof target) < 0 ? -1 : 0;
}

/* In a child, so that a success changes nothing for the rows that follow. */
static int in_child(int (*f)(void))
{
	int status, pipes[2], error = 0;
	pid_t pid;

	if (pipe(pipes))
		return -1;
	pid = fork();
	if (pid == 0) {
		error = f() < 0 ? errno : 0;
		write(pipes[1], &error, sizeof error);
		_exit(0);
	}
	close(pipes[1]);
	if (read(pipes[0], &error, sizeof error) != sizeof error)
		error = EINTR;
	close(pipes[0]);
	waitpid(pid, &status, 0);
	errno = error;
	return error ? -1 : 0;
}

static long space;
static int unshares_now(void) { return unshare(space); }
static int unshares(long flag)
{
	space = flag;
	return in_child(unshares_now);
}

static int clones(long flag)
{
	pid_t pid = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid < 0 ? -1 : 0;
}

static int connects(const struct sockaddr *a, socklen_t len)
{
	int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -1;
	r = connect(fd, a, len);
	close(fd);
	return r;
}

static int connects_to(const char *host, int to)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(to) };

	inet_pton(AF_INET, host, &a.sin_addr);
	return connects((struct sockaddr *)&a, sizeof a);
}

static int sockets(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static int makes_node(mode_t mode, unsigned a, unsigned b)
{
	int r = mknod("probe.node", mode | 0600, makedev(a, b));

	if (!r)
		unlink("probe.node");
	return r;
}

static int gives_fd(long fd)
{
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static unsigned capabilities(const char *name)
{
	char line[256];
	unsigned long long bits = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, name, strlen(name)))
			bits = strtoull(line + strlen(name) + 1, NULL, 16);
	if (f)
		fclose(f);
	return bits;
}

#define FILES (1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER | 1u << CAP_FSETID)
static int have(unsigned allowed, const char *set)
{
	unsigned bits = capabilities(set) & ~allowed;

	errno = EPERM;
	return bits ? 0 : -1;
}

/* ---- files of the machine ---- */

static int p_secret(void) { return reads(at("secret")); }
static int p_secret_up(void)
{
	char path[8192] = "";

	for (int i = 0; i < 40; i++)
		strcat(path, "../");
	strcat(path, at("secret") + 1);
	return reads(path);
}
static int p_secret_root(void) { char p[8192]; snprintf(p, sizeof p, "/proc/self/root%s", at("secret")); return reads(p); }
static int p_secret_cwd(void) { char p[8192]; snprintf(p, sizeof p, "/proc/%d/cwd/secret", other); return reads(p); }
static int p_other_root(void) { char p[8192]; snprintf(p, sizeof p, "/proc/%d/root%s", other, at("secret")); return reads(p); }
static int p_init_root(void) { char p[8192]; snprintf(p, sizeof p, "/proc/1/root%s", at("secret")); return reads(p); }
static int p_link(void) { unlink("probe.link"); return symlink(at("secret"), "probe.link") ? -1 : reads("probe.link"); }
static int p_ledger(void) { return reads(at("ledger/trust.json")); }
static int p_key(void) { return reads(at("ledger/keys/statement.pem")); }
static int p_append(void) { return writes(at("ledger/ledger.db")); }
static int p_hardlink(void) { unlink("probe.hard"); return link(at("secret"), "probe.hard"); }
static int p_rename(void) { return rename(at("secret"), "probe.moved"); }
static int p_packages(void) { return reads("/var/lib/dpkg/status"); }
static int p_shadow(void) { return reads("/etc/shadow"); }
static int p_boot(void) { return lists("/boot"); }
static int p_home(void) { return lists("/root"); }
static int p_run(void) { return lists("/run"); }
static int p_handle(void)
{
	struct { struct file_handle h; char room[128]; } f = { .h.handle_bytes = 128 };
	int mount_id, mount_fd = open("/", O_RDONLY | O_CLOEXEC), fd;

	if (name_to_handle_at(AT_FDCWD, "/", &f.h, &mount_id, 0) && errno != EOPNOTSUPP)
		return -1;
	fd = open_by_handle_at(mount_fd, &f.h, O_RDONLY);
	close(mount_fd);
	return gives_fd(fd);
}
static int p_magic(void) { return lists("/proc/self/fd/3"); }
/* runc CVE-2024-21626: a descriptor that leads out. /dev/null, which stands where the trial had inherited something, leads nowhere. */
static int p_leaked(void)
{
	struct stat s;

	for (int fd = 3; fd < 4096; fd++) {
		char link[64], target[256];
		ssize_t n;

		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof target - 1);
		if (n > 0 && fcntl(fd, F_GETFD) >= 0 && !(fcntl(fd, F_GETFD) & FD_CLOEXEC) &&
		    !(!fstat(fd, &s) && S_ISCHR(s.st_mode) && s.st_rdev == makedev(1, 3)))
			return 0;
	}
	errno = EBADF;
	return -1;
}

/* ---- processes outside ---- */

static int p_exe(void) { return writes(of(other, "exe")); } /* runc CVE-2019-5736 */
static int p_init_exe(void) { return writes("/proc/1/exe"); }
static int p_own_exe(void) { return writes("/proc/self/exe"); }
static int p_memory(void) { return reads(of(other, "mem")) < 0 && errno != EIO ? -1 : 0; }
static int p_environ(void) { return reads(of(other, "environ")); }
static int p_maps(void) { return reads(of(other, "maps")); }
static int p_fds(void) { return links(of(other, "fd/0")); }
static int p_cwd(void) { return links(of(other, "cwd")); }
static int p_root(void) { return links(of(other, "root")); }
static int p_init_environ(void) { return reads("/proc/1/environ"); }
static int p_init_memory(void) { return reads("/proc/1/mem") < 0 && errno != EIO ? -1 : 0; }
static int p_init_fds(void) { return links("/proc/1/fd/0"); }
static int p_init_cwd(void) { return links("/proc/1/cwd"); }
static int p_attach(void)
{
	long r = ptrace(PTRACE_SEIZE, other, 0, 0);

	if (r == 0)
		ptrace(PTRACE_DETACH, other, 0, 0);
	return r;
}
static int p_attach_init(void) { return ptrace(PTRACE_SEIZE, 1, 0, 0); }
static int p_vm_read(void)
{
	char c;
	struct iovec here = { &c, 1 }, there = { (void *)&canary, 1 };
	ssize_t n = process_vm_readv(other, &here, 1, &there, 1, 0);

	return n < 0 && errno != EFAULT ? -1 : 0;
}
static int p_vm_write(void)
{
	char c = 0;
	struct iovec here = { &c, 1 }, there = { (void *)1, 1 };
	ssize_t n = process_vm_writev(other, &here, 1, &there, 1, 0);

	return n < 0 && errno != EFAULT ? -1 : 0;
}
static int p_getfd(void)
{
	int pidfd = syscall(SYS_pidfd_open, other, 0), r;

	if (pidfd < 0)
		return -1;
	r = syscall(SYS_pidfd_getfd, pidfd, 0, 0);
	close(pidfd);
	return gives_fd(r);
}
static int p_kcmp(void) { return syscall(SYS_kcmp, getpid(), other, 0, 1, 1); }
static int p_signal(void) { return kill(other, 0); }
static int p_signal_init(void) { return kill(1, 0); }
static int p_limits(void)
{
	struct rlimit l;

	return prlimit(other, RLIMIT_NOFILE, NULL, &l);
}
static int p_madvise(void)
{
	int pidfd = syscall(SYS_pidfd_open, other, 0), r;
	struct iovec v = { (void *)4096, 4096 };

	if (pidfd < 0)
		return -1;
	r = syscall(SYS_process_madvise, pidfd, &v, 1, MADV_COLD, 0);
	close(pidfd);
	return r < 0 && errno == ENOMEM ? 0 : r;
}
static int p_processes(void)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		n += *e->d_name >= '1' && *e->d_name <= '9';
	if (d)
		closedir(d);
	errno = ESRCH;
	return n > 8 ? 0 : -1;
}
static int p_pages(void)
{
	void *page = (void *)4096;
	int status;
	long r = syscall(SYS_move_pages, getppid(), 1, &page, NULL, &status, 0);

	return r;
}

/* ---- namespaces, mounts, roots ---- */

static int p_userns(void) { return unshares(CLONE_NEWUSER); }
static int p_mntns(void) { return unshares(CLONE_NEWNS); }
static int p_pidns(void) { return unshares(CLONE_NEWPID); }
static int p_netns(void) { return unshares(CLONE_NEWNET); }
static int p_utsns(void) { return unshares(CLONE_NEWUTS); }
static int p_ipcns(void) { return unshares(CLONE_NEWIPC); }
static int p_cgroupns(void) { return unshares(CLONE_NEWCGROUP); }
static int p_timens(void) { return unshares(CLONE_NEWTIME); }
static int p_clone_user(void) { return clones(CLONE_NEWUSER); }
static int p_clone_mount(void) { return clones(CLONE_NEWNS); }
static int p_clone_net(void) { return clones(CLONE_NEWNET); }
static int p_clone_high(void) { return clones(CLONE_NEWUSER | 0x100000000l << 3); } /* flatpak CVE-2019-10063: the kernel looks at 32 bits */
static int p_clone3(void)
{
	struct clone_args a = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	pid_t pid = syscall(SYS_clone3, &a, sizeof a);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid < 0 ? -1 : 0;
}
static int p_setns(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -1;
	r = setns(fd, 0);
	close(fd);
	return r;
}
static int p_setns_init(void)
{
	int fd = syscall(SYS_pidfd_open, 1, 0), r;

	if (fd < 0)
		return -1;
	r = setns(fd, CLONE_NEWNS);
	close(fd);
	return r;
}
static int mounts_now(void) { mkdir("probe.mnt", 0700); return mount("none", "probe.mnt", "tmpfs", 0, NULL); }
static int p_mount(void) { return in_child(mounts_now); }
static int binds_now(void) { mkdir("probe.mnt", 0700); return mount("/", "probe.mnt", NULL, MS_BIND | MS_REC, NULL); }
static int p_bind(void) { return in_child(binds_now); }
static int p_remount(void) { return mount(NULL, "/proc", NULL, MS_REMOUNT | MS_BIND, NULL); }
static int p_proc(void) { mkdir("probe.mnt", 0700); return mount("proc", "probe.mnt", "proc", 0, NULL); }
static int p_umount(void) { return umount2("/proc", MNT_DETACH); }
static int p_pivot(void) { return syscall(SYS_pivot_root, ".", "."); }
static int chroot_now(void) { return chroot("."); }
static int p_chroot(void) { return in_child(chroot_now); }
static int p_fsopen(void) { return gives_fd(syscall(SYS_fsopen, "tmpfs", 0)); }
static int p_fspick(void) { return gives_fd(syscall(SYS_fspick, AT_FDCWD, "/proc", 0)); }
static int p_fsmount(void) { return gives_fd(syscall(SYS_fsmount, -1, 0, 0)) < 0 ? (errno == EBADF ? 0 : -1) : 0; }
static int p_open_tree(void) { return gives_fd(syscall(SYS_open_tree, AT_FDCWD, "/", 1 | 0x8000)); }
static int p_move_mount(void) { return syscall(SYS_move_mount, AT_FDCWD, "/proc", AT_FDCWD, "/tmp", 0); }
static int p_mount_setattr(void)
{
	struct mount_attr a = { .attr_clr = MOUNT_ATTR_RDONLY };

	return syscall(SYS_mount_setattr, AT_FDCWD, "/proc", 0, &a, sizeof a);
}
static int p_statmount(void) { return syscall(457, NULL, NULL, 0, 0) < 0 && errno == EFAULT ? 0 : -1; }
static int p_host_name(void)
{
	char name[65];

	gethostname(name, sizeof name);
	return sethostname(name, strlen(name));
}
static int p_domain_name(void) { return setdomainname("probe", 5); }

/* ---- the kernel ---- */

static int p_bpf(void)
{
	union bpf_attr a = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };

	return gives_fd(syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof a));
}
static int p_perf(void)
{
	struct perf_event_attr a = { .type = PERF_TYPE_SOFTWARE, .size = sizeof a, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1 };

	return gives_fd(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
}
static int p_userfaultfd(void) { return gives_fd(syscall(SYS_userfaultfd, 1 /* user mode only */)); }
static int p_keyctl(void) { return syscall(SYS_keyctl, 0, -3, 1) < 0 ? -1 : 0; }
static int p_add_key(void) { return syscall(SYS_add_key, "user", "probe", "x", 1, -2) < 0 ? -1 : 0; }
static int p_request_key(void) { return syscall(SYS_request_key, "user", "probe", NULL, 0) < 0 ? (errno == ENOKEY ? 0 : -1) : 0; }
static int p_uring(void)
{
	char parameters[120] = { 0 };

	return gives_fd(syscall(SYS_io_uring_setup, 1, parameters));
}
static int p_uring_enter(void) { return syscall(SYS_io_uring_enter, -1, 0, 0, 0, NULL, 0) < 0 && errno != EBADF ? -1 : 0; }
static int p_uring_register(void) { return syscall(SYS_io_uring_register, -2, 0, NULL, 0) < 0 && errno != EBADF ? -1 : 0; }
static int p_module(void) { return syscall(SYS_init_module, NULL, 0, ""); }
static int p_module_fd(void) { return syscall(SYS_finit_module, -1, "", 0); }
static int p_module_out(void) { return syscall(SYS_delete_module, "probe", 0); }
static int p_kexec(void) { return syscall(SYS_kexec_load, 0, 0, NULL, 1 << 20); }
static int p_kexec_file(void) { return syscall(SYS_kexec_file_load, -1, -1, 0, NULL, 1 << 20); }
static int p_reboot(void) { return syscall(SYS_reboot, 0, 0, 0, NULL); }
static int p_swapon(void) { return syscall(SYS_swapon, "/proc/none", 0); }
static int p_swapoff(void) { return syscall(SYS_swapoff, "/proc/none"); }
static int p_acct(void) { return syscall(SYS_acct, "/proc/none"); }
static int p_quota(void) { return syscall(SYS_quotactl, 0x80000700, "/dev/none", 0, NULL); }
static int p_day(void) { return syscall(SYS_settimeofday, (void *)1, NULL) < 0 && errno == EFAULT ? 0 : -1; }
static int p_clock(void) { return syscall(SYS_clock_settime, CLOCK_REALTIME, (void *)1) < 0 && errno == EFAULT ? 0 : -1; }
static int p_log(void) { return syscall(SYS_syslog, 10, NULL, 0); }
static int p_iopl(void) { return syscall(SYS_iopl, 3); }
static int p_ioperm(void) { return syscall(SYS_ioperm, 0x80, 1, 1); }
static int p_ldt(void)
{
	char room[16];

	return syscall(SYS_modify_ldt, 0, room, sizeof room) < 0 ? -1 : 0;
}
static int p_fanotify(void) { return gives_fd(syscall(SYS_fanotify_init, 0x200 /* FID: for everybody */, 0)); }
static int p_cookie(void) { return syscall(SYS_lookup_dcookie, 0, NULL, 0); }
static int p_hangup(void) { return syscall(SYS_vhangup); }
static int p_secret_memory(void) { return gives_fd(syscall(SYS_memfd_secret, 0)); }
static int p_unknown(void) { return syscall(500) < 0 && errno == ENOSYS ? -1 : 0; }
static int int80(long nr, long a, long b)
{
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(0), "S"(0), "D"(0) : "memory", "r8", "r9", "r10", "r11");
	if (r < 0 && r > -4096)
		errno = (int)-r;
	return r < 0 && r > -4096 ? -1 : 0;
}
static int p_i386(void) { return int80(20 /* getpid */, 0, 0); }
static int i386_unshare_now(void) { return int80(310, 0x10000000, 0); }
static int p_i386_unshare(void) { return in_child(i386_unshare_now); }
static int p_x32(void) { return syscall(0x40000000 | SYS_getpid) < 0 ? -1 : 0; }

/* ---- network ---- */

static int p_internet(void) { return connects_to("192.0.2.1", 80); }
static int p_loopback(void) { return connects_to("127.0.0.1", port); }
static int p_unix(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof a.sun_path, "%s", at("socket"));
	return connects((struct sockaddr *)&a, sizeof a);
}
static int p_abstract(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "hps-probe-%d", port);

	return connects((struct sockaddr *)&a, offsetof(struct sockaddr_un, sun_path) + 1 + n);
}
static int p_raw(void) { return sockets(AF_INET, SOCK_RAW, 1); }
static int p_packet(void) { return sockets(AF_PACKET, SOCK_DGRAM, 0); }
static int p_vsock(void) { return sockets(40, SOCK_STREAM, 0); }
static int p_alg(void) { return sockets(38, SOCK_SEQPACKET, 0); }
static int p_xdp(void) { return sockets(44, SOCK_RAW, 0); }
static int p_can(void) { return sockets(29, SOCK_RAW, 1); }
static int p_bluetooth(void) { return sockets(31, SOCK_RAW, 1); }
static int p_device(void)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
		char answer[4096];
	} m = { .h = { .nlmsg_len = sizeof m.h + sizeof m.i, .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.i = { .ifi_index = 1, .ifi_change = IFF_UP, .ifi_flags = IFF_UP } };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), n;
	struct nlmsgerr *e;

	if (fd < 0)
		return -1;
	send(fd, &m, m.h.nlmsg_len, 0);
	n = recv(fd, &m, sizeof m, 0);
	close(fd);
	e = (void *)&m.i;
	errno = n > (int)sizeof m.h ? -e->error : EPERM;
	return errno ? -1 : 0;
}
static int p_interfaces(void)
{
	struct if_nameindex *all = if_nameindex();
	int n = 0;

	while (all && all[n].if_index)
		n++;
	errno = ENETUNREACH;
	return n > 1 ? 0 : -1;
}

/* ---- devices and settings ---- */

static int p_core(void) { return writes("/proc/sys/kernel/core_pattern"); }
static int p_modprobe(void) { return writes("/proc/sys/kernel/modprobe"); }
static int p_sysrq(void) { return writes("/proc/sysrq-trigger"); }
static int p_kcore(void) { return reads("/proc/kcore"); }
static int p_kmsg(void) { return reads("/proc/kmsg"); }
static int p_helper(void) { return writes("/sys/kernel/uevent_helper"); }
static int p_cgroup(void) { return writes("/sys/fs/cgroup/cgroup.procs") && writes("/sys/fs/cgroup/memory/cgroup.procs") ? -1 : 0; }
static int p_mem(void) { return reads("/dev/mem"); }
static int p_devkmsg(void) { return writes("/dev/kmsg"); }
static int p_disk(void) { return reads("/dev/vda") && reads("/dev/sda") ? -1 : 0; }
static int p_block(void) { return makes_node(S_IFBLK, 8, 0); }
static int p_char(void) { return makes_node(S_IFCHR, 1, 1); }
static int p_fuse(void) { return writes("/dev/fuse"); }
static int p_tun(void) { return writes("/dev/net/tun"); }
static int p_kvm(void) { return writes("/dev/kvm"); }
static int p_tty(void) { return reads("/dev/tty") < 0 && errno != EAGAIN ? -1 : 0; }
static int terminal(unsigned long request, int value)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), other_end, r;
	char c = (char)value;

	if (fd < 0 || grantpt(fd) || unlockpt(fd))
		return -1;
	other_end = ioctl(fd, TIOCGPTPEER, O_RDWR);
	signal(SIGHUP, SIG_IGN);
	setsid();
	ioctl(other_end, TIOCSCTTY, 0);
	r = ioctl(other_end, request, &c);
	close(other_end);
	close(fd);
	return r;
}
static int sti_now(void) { return terminal(TIOCSTI, 'x'); }
static int p_sti(void) { return in_child(sti_now); } /* bubblewrap CVE-2017-5226 */
static int sti_high_now(void) { return terminal(0x100000000l | TIOCSTI, 'x'); }
static int p_sti_high(void) { return in_child(sti_high_now); } /* flatpak CVE-2019-10063 */
static int linux_now(void) { return terminal(TIOCLINUX, 2); }
static int p_linux(void) { return in_child(linux_now); } /* flatpak CVE-2023-28100 */

/* ---- rights ---- */

static int p_effective(void) { return have(FILES, "CapEff:"); }
static int p_permitted(void) { return have(FILES, "CapPrm:"); }
static int p_ambient(void) { return have(FILES, "CapAmb:"); }
static int p_bounding(void) { return have(FILES | 1u << CAP_SYS_CHROOT, "CapBnd:"); }
static int p_privileges(void) { errno = EPERM; return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? -1 : 0; }
static int p_filter(void) { errno = EPERM; return capabilities("Seccomp:") == SECCOMP_MODE_FILTER ? -1 : 0; }
static int p_raise(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2] = { { ~0u, ~0u, ~0u }, { 0, 0, 0 } };

	return syscall(SYS_capset, &head, all);
}
static int p_raise_ambient(void) { return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0); }
static int p_securebits(void) { return prctl(PR_SET_SECUREBITS, 0, 0, 0, 0); }
/* EINVAL: there is no such id */
static int no_id(int r) { errno = errno == EINVAL ? EPERM : errno; return r; }
static int uid_now(void) { return no_id(setresuid(12345, 12345, 12345)); }
static int p_uid(void) { return in_child(uid_now); }
static int gid_now(void) { return no_id(setresgid(12345, 12345, 12345)); }
static int p_gid(void) { return in_child(gid_now); }
static int groups_now(void) { gid_t g = 12345; return setgroups(1, &g); }
static int p_groups(void) { return in_child(groups_now); }
static int fifo_now(void) { struct sched_param p = { 50 }; return sched_setscheduler(0, SCHED_FIFO, &p); }
static int p_fifo(void) { return in_child(fifo_now); }
static int nice_now(void) { return setpriority(PRIO_PROCESS, 0, -20); }
static int p_nice(void) { return in_child(nice_now); }
static int limit_now(void)
{
	struct rlimit l;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max = l.rlim_max + 1;
	return setrlimit(RLIMIT_NOFILE, &l);
}
static int p_limit(void) { return in_child(limit_now); }

/* ---- memory and queues of the machine ---- */

static int p_shm(void) { return shmget(0x68707300 + port % 200, 1, 0) < 0 ? -1 : 0; }
static int p_queue(void)
{
	char name[64];
	mqd_t q;

	snprintf(name, sizeof name, "/hps-probe-%d", port);
	q = mq_open(name, O_RDONLY);
	return q == (mqd_t)-1 ? -1 : 0;
}
static int p_devshm(void)
{
	char path[64];

	snprintf(path, sizeof path, "/dev/shm/hps-probe-%d", port);
	return reads(path);
}

enum { EVERYBODY = 1, ROOT = 2 }; /* the control: who can do it where nothing forbids it */
#define ROW(name, f, control) { name, f, control }
static const struct {
	const char *name;
	int (*try)(void);
	int control;
} rows[] = {
	ROW("file", p_secret, 1), ROW("file by ../..", p_secret_up, 1), ROW("file by /proc/self/root", p_secret_root, 1), ROW("file by another's cwd", p_secret_cwd, 1),
	ROW("file by the recorder's root", p_other_root, 1), ROW("file by init's root", p_init_root, 0), ROW("file by a link", p_link, 1), ROW("ledger", p_ledger, 1),
	ROW("ledger's key", p_key, 1), ROW("ledger written", p_append, 1), ROW("file linked", p_hardlink, 1),
	ROW("file taken", p_rename, 0), ROW("list of packages", p_packages, 1), ROW("passwords", p_shadow, 2), ROW("kernels", p_boot, 0), ROW("root's home", p_home, 2),
	ROW("/run", p_run, 1), ROW("file by handle", p_handle, 2), ROW("descriptor 3", p_magic, 0), ROW("leaked descriptor", p_leaked, 0),

	ROW("recorder's program", p_exe, 0), ROW("init's program", p_init_exe, 0), ROW("own program", p_own_exe, 0), ROW("recorder's memory", p_memory, 1),
	ROW("recorder's environment", p_environ, 1), ROW("recorder's map", p_maps, 1), ROW("recorder's descriptors", p_fds, 1), ROW("recorder's directory", p_cwd, 1),
	ROW("recorder's root", p_root, 1), ROW("init's environment", p_init_environ, 0), ROW("init's memory", p_init_memory, 0), ROW("init's descriptors", p_init_fds, 0),
	ROW("init's directory", p_init_cwd, 0), ROW("ptrace", p_attach, 1), ROW("ptrace of init", p_attach_init, 0), ROW("process_vm_readv", p_vm_read, 1),
	ROW("process_vm_writev", p_vm_write, 1), ROW("pidfd_getfd", p_getfd, 1), ROW("kcmp", p_kcmp, 0), ROW("signal", p_signal, 1), ROW("signal to init", p_signal_init, 0),
	ROW("process_madvise", p_madvise, 0), ROW("processes", p_processes, 1), ROW("move_pages", p_pages, 0),

	ROW("unshare user", p_userns, 1), ROW("unshare mount", p_mntns, 1), ROW("unshare pid", p_pidns, 1), ROW("unshare net", p_netns, 1), ROW("unshare uts", p_utsns, 1),
	ROW("unshare ipc", p_ipcns, 1), ROW("unshare cgroup", p_cgroupns, 1), ROW("unshare time", p_timens, 1), ROW("clone user", p_clone_user, 1),
	ROW("clone mount", p_clone_mount, 1), ROW("clone net", p_clone_net, 1), ROW("clone with high bits", p_clone_high, 1), ROW("clone3", p_clone3, 1), ROW("setns", p_setns, 1),
	ROW("setns of init", p_setns_init, 0), ROW("mount", p_mount, 1), ROW("bind mount", p_bind, 1), ROW("remount", p_remount, 0), ROW("mount proc", p_proc, 0),
	ROW("umount", p_umount, 0), ROW("pivot_root", p_pivot, 0), ROW("chroot", p_chroot, 1), ROW("fsopen", p_fsopen, 1), ROW("fspick", p_fspick, 0), ROW("fsmount", p_fsmount, 1),
	ROW("open_tree", p_open_tree, 1), ROW("move_mount", p_move_mount, 0), ROW("mount_setattr", p_mount_setattr, 0), ROW("statmount", p_statmount, 1),
	ROW("host name", p_host_name, 1), ROW("domain name", p_domain_name, 1),

	ROW("bpf", p_bpf, 2), ROW("perf_event_open", p_perf, 0), ROW("userfaultfd", p_userfaultfd, 1), ROW("keyctl", p_keyctl, 1), ROW("add_key", p_add_key, 1),
	ROW("request_key", p_request_key, 1), ROW("io_uring_setup", p_uring, 1), ROW("io_uring_enter", p_uring_enter, 1), ROW("io_uring_register", p_uring_register, 1),
	ROW("init_module", p_module, 0), ROW("finit_module", p_module_fd, 0), ROW("delete_module", p_module_out, 0), ROW("kexec_load", p_kexec, 0),
	ROW("kexec_file_load", p_kexec_file, 0), ROW("reboot", p_reboot, 0), ROW("swapon", p_swapon, 0), ROW("swapoff", p_swapoff, 0), ROW("acct", p_acct, 0),
	ROW("quotactl", p_quota, 0), ROW("settimeofday", p_day, 1), ROW("clock_settime", p_clock, 1), ROW("syslog", p_log, 2), ROW("iopl", p_iopl, 0), ROW("ioperm", p_ioperm, 0),
	ROW("modify_ldt", p_ldt, 1), ROW("fanotify_init", p_fanotify, 1), ROW("lookup_dcookie", p_cookie, 0), ROW("vhangup", p_hangup, 0), ROW("memfd_secret", p_secret_memory, 0),
	ROW("a call that there is not", p_unknown, 0), ROW("i386", p_i386, 1), ROW("i386 unshare", p_i386_unshare, 1), ROW("x32", p_x32, 0),

	ROW("internet", p_internet, 0), ROW("service on loopback", p_loopback, 1), ROW("unix socket", p_unix, 1), ROW("abstract unix socket", p_abstract, 1), ROW("raw socket", p_raw, 2),
	ROW("packet socket", p_packet, 2), ROW("vsock", p_vsock, 0), ROW("kernel crypto socket", p_alg, 0), ROW("xdp socket", p_xdp, 0), ROW("can socket", p_can, 0),
	ROW("bluetooth socket", p_bluetooth, 0), ROW("network device", p_device, 2), ROW("interfaces", p_interfaces, 0),

	ROW("core_pattern", p_core, 0), ROW("modprobe", p_modprobe, 0), ROW("sysrq", p_sysrq, 0), ROW("kcore", p_kcore, 0), ROW("kmsg", p_kmsg, 0), ROW("uevent_helper", p_helper, 0),
	ROW("cgroup", p_cgroup, 0), ROW("/dev/mem", p_mem, 0), ROW("/dev/kmsg", p_devkmsg, 0), ROW("disk", p_disk, 0), ROW("block device", p_block, 2), ROW("character device", p_char, 2),
	ROW("/dev/fuse", p_fuse, 0), ROW("/dev/net/tun", p_tun, 0), ROW("/dev/kvm", p_kvm, 0), ROW("/dev/tty", p_tty, 0), ROW("TIOCSTI", p_sti, 0), ROW("TIOCSTI with high bits", p_sti_high, 0),
	ROW("TIOCLINUX", p_linux, 0),

	ROW("capabilities", p_effective, 2), ROW("permitted capabilities", p_permitted, 2), ROW("ambient capabilities", p_ambient, 0), ROW("bounding set", p_bounding, 1),
	ROW("new privileges", p_privileges, 1), ROW("no filter", p_filter, 1), ROW("capset", p_raise, 0), ROW("ambient capset", p_raise_ambient, 0), ROW("securebits", p_securebits, 2),
	ROW("another user", p_uid, 2), ROW("another group", p_gid, 2), ROW("other groups", p_groups, 2), ROW("real time", p_fifo, 2), ROW("priority", p_nice, 2), ROW("limit", p_limit, 0),

	ROW("shared memory", p_shm, 1), ROW("message queue", p_queue, 1), ROW("/dev/shm", p_devshm, 1),
};

/* What a sandbox answers; any other error came from behind it. */
static int is_denial(int error)
{
	static const int denials[] = { EIO, EPERM, EACCES, ENOENT, ENOSYS, EROFS, ENXIO, ENOTDIR, ENETUNREACH, ECONNREFUSED, EAFNOSUPPORT, ESRCH, EXDEV, ETXTBSY, ENODATA, EBADF };

	for (size_t i = 0; i < sizeof denials / sizeof *denials; i++)
		if (denials[i] == error)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	int control = argc > 5 ? !strcmp(argv[5], "root") ? ROOT : EVERYBODY : 0;
	FILE *out = fopen(argv[1], "we");

	canary = argv[2];
	port = atoi(argv[3]);
	other = atoi(argv[4]);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int r, error;

		if (control && (!rows[i].control || rows[i].control > control))
			continue;
		errno = 0;
		r = rows[i].try();
		error = errno;
		fprintf(out, "%s\t%s%s\n", rows[i].name, r >= 0 ? "ESCAPED" : is_denial(error) ? "denied: " : "REACHED: ", r >= 0 ? "" : strerror(error));
		fflush(out);
	}
	fclose(out);
	return 0;
}
