/* Namespaces: user, mount, pid, uts, ipc, net. All of them or none: a weaker cage would give a verdict about another thing. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int cannot(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_UNDECIDED, "the sandbox cannot be set up: %s: %s", what, strerror(errno));
}

/* ---- ids ---- */

static int write_file(pid_t child, const char *name, const char *text)
{
	_cleanup_free_ char *path = hps_format("/proc/%d/%s", child, name);
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

/* Every id that we have, as itself: what root's files belong to stays true inside. */
static char *map_all(const char *name)
{
	_cleanup_free_ char *path = hps_format("/proc/self/%s", name);
	_cleanup_file_ FILE *f = fopen(path, "re");
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	unsigned long inside, outside, count;

	while (f && fscanf(f, "%lu %lu %lu", &inside, &outside, &count) == 3)
		hps_buf_addf(&b, "%lu %lu %lu\n", inside, inside, count);
	return hps_buf_take(&b);
}

static int map(pid_t child, const char *name, unsigned inside, unsigned ours)
{
	_cleanup_free_ char *all = inside == ours && geteuid() == 0 ? map_all(name) : NULL, *one = hps_format("%u %u 1\n", inside, ours);

	if (all && !write_file(child, name, all))
		return 0;
	return write_file(child, name, one);
}

int hps_sandbox_map(pid_t child, const struct hps_sandbox *s, int sync_fd, struct hps_error *err)
{
	char byte = 0;
	int r;

	if (read(sync_fd, &byte, 1) != 1)
		return hps_error_set(err, -EPIPE, "the sandbox cannot be set up"); /* the child says why */
	if (geteuid() != 0 || s->uid != 0)
		(void)!write_file(child, "setgroups", "deny");
	r = map(child, "gid_map", getegid(), getegid());
	r = r ? r : map(child, "uid_map", s->uid, geteuid());
	if (r) {
		errno = -r;
		return cannot(err, "mapping our user into it");
	}
	return write(sync_fd, &byte, 1) == 1 ? 0 : cannot(err, "its process is gone");
}

/* ---- entering ---- */

static const struct {
	int flag;
	const char *layer, *name, *hint;
} spaces[] = {
	{ CLONE_NEWUSER, "user namespace", "a user namespace", " (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)" },
	{ CLONE_NEWNS, "mount namespace", "a mount namespace", "" },
	{ CLONE_NEWUTS, "uts namespace", "a uts namespace", "" },
	{ CLONE_NEWIPC, "ipc namespace", "an ipc namespace", "" },
	{ CLONE_NEWNET, "net namespace", "a net namespace", "" },
};

/* Programs talk to themselves over the loopback device. */
static void raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (fd >= 0)
		(void)!ioctl(fd, SIOCSIFFLAGS, &request);
}

int hps_sandbox_enter(const struct hps_sandbox *s, int sync_fd, struct hps_error *err)
{
	const char *host = s->host && *s->host ? s->host : "localhost";
	char byte = 1;

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++) {
		if (spaces[i].flag == CLONE_NEWNET && s->network)
			continue;
		if (unshare(spaces[i].flag))
			return hps_error_errno(err, "the sandbox cannot be set up: %s%s", spaces[i].name, spaces[i].hint);
		if (spaces[i].flag == CLONE_NEWUSER && (write(sync_fd, &byte, 1) != 1 || read(sync_fd, &byte, 1) != 1))
			return cannot(err, "no ids");
	}
	if (prctl(PR_SET_PDEATHSIG, SIGKILL))
		return cannot(err, "tying it to its parent");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return cannot(err, "keeping its mounts to itself");
	if (sethostname(host, strlen(host)))
		return cannot(err, "naming its host");
	if (!s->network)
		raise_loopback();
	return 0;
}

int hps_sandbox_pid(struct hps_error *err)
{
	return unshare(CLONE_NEWPID) ? hps_error_errno(err, "the sandbox cannot be set up: a pid namespace") : 0;
}

json_t *hps_sandbox_layers(bool network)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		if (spaces[i].flag != CLONE_NEWNET || !network)
			hps_json_add(list, json_string(spaces[i].layer));
	hps_json_add(list, json_string("pid namespace"));
	hps_json_add(list, json_string("no capability but to choose the first process id; of a trial that root ran: those over the view's files"));
	hps_json_add(list, json_string("no new privileges"));
	hps_json_add(list, json_string("system calls: those of a list, all others refused"));
	return list;
}

/* ---- leaving privilege behind ---- */

/* libseccomp would ask for a listener, and there can be only one: the recorder's. */
static int load(scmp_filter_ctx filter)
{
	_cleanup_fd_ int fd = memfd_create("filter", MFD_CLOEXEC);
	_cleanup_buf_ struct hps_buf code = HPS_BUF_INIT;
	struct sock_fprog program;
	int r = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);

	if (!r && lseek(fd, 0, SEEK_SET))
		r = -errno;
	r = r ? r : hps_file_read_fd(fd, BPF_MAXINSNS * sizeof *program.filter, &code, NULL);
	if (r)
		return r;
	program.len = (unsigned short)(code.len / sizeof *program.filter);
	program.filter = (void *)code.data;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}

/* What is refused is left to a listener that this filter does not have: the kernel answers ENOSYS. Under the recorder's filter, which
 * is installed later and has one, the same calls come to the recorder, who names and refuses them (its hps_answer_continue()). */
static int refuse_calls(struct hps_error *err)
{
	scmp_filter_ctx calls = seccomp_init(SCMP_ACT_NOTIFY), arguments = seccomp_init(SCMP_ACT_ALLOW);
	int r = calls && arguments ? 0 : -ENOMEM;

	r = r ? r : seccomp_attr_set(calls, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_NOTIFY);
	r = r ? r : seccomp_attr_set(arguments, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_NOTIFY);
	r = r ? r : seccomp_attr_set(calls, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = r ? r : hps_calls_allow(calls);
	r = r ? r : hps_calls_refuse(arguments, SCMP_ACT_NOTIFY);
	r = r ? r : load(arguments);
	r = r ? r : load(calls);
	seccomp_release(calls);
	seccomp_release(arguments);
	errno = -r;
	return r ? cannot(err, "refusing system calls") : 0;
}

static int keep_capabilities(uint64_t kept, struct hps_error *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct only[2] = { { 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(only); i++)
		only[i].effective = only[i].permitted = only[i].inheritable = (unsigned)(kept >> 32 * i);
	if (syscall(SYS_capset, &head, only))
		return cannot(err, "giving up capabilities");
	/* With NOROOT nobody keeps a capability over execve() otherwise. */
	for (int cap = 0; cap < 64; cap++)
		if (kept >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
			return cannot(err, "keeping a capability");
	return 0;
}

int hps_sandbox_drop(const struct hps_sandbox *s, struct hps_error *err)
{
	/* hps-record changes the root for the command and chooses its process id (/proc/sys/kernel/ns_last_pid), and gives both up */
	const uint64_t kept = 1ull << CAP_SYS_CHROOT | 1ull << CAP_CHECKPOINT_RESTORE | (s->uid == 0 ? hps_call_capabilities() : 0);
	int r;

	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(kept >> cap & 1) && prctl(PR_CAPBSET_READ, cap) == 1 && prctl(PR_CAPBSET_DROP, cap))
			return cannot(err, "giving up a capability");
	/* To root, execve() would offer capabilities. It would give none, but choose places in memory at random as for a setuid program. */
	if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED))
		return cannot(err, "making root an ordinary user");
	r = keep_capabilities(kept, err);
	if (r)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return cannot(err, "refusing new privileges");
	return refuse_calls(err);
}
