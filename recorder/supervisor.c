/* The event loop: gather the next notification, then act on it. Everything a program may be waiting for is done here and
 * nothing else; what can wait goes to the hasher or to the end. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <linux/audit.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "recorder/kernel.h"
#include "recorder/network.h"

#define PID_LIMIT (1 << 22) /* the kernel's own ceiling for pid_max */
#define CGROUP2_MAGIC 0x63677270
#define ROOM 24 /* descriptors for a call, the hasher's stores and the other threads */

/* ---- answers ---- */

static void send_answer(struct hps_supervisor *s, const struct hps_call *c, int error, int64_t value, uint32_t flags)
{
	struct seccomp_notif_resp answer = { .id = c->n->id, .error = -error, .val = value, .flags = flags };

	/* ENOENT: the thread was killed meanwhile. */
	while (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno == EINTR)
		;
	s->n_answers++;
}

/* In a rerun: what the sandbox does not allow. It leaves the answer to us, and so no answer of ours may let such a call go on. */
static bool refused(const struct hps_supervisor *s, const struct seccomp_notif *n)
{
	if (!s->root || n->data.nr == -1)
		return false;
	return n->data.arch != AUDIT_ARCH_X86_64 || !hps_call_allowed(n->data.nr, (const uint64_t *)n->data.args);
}

static int refusal(const struct seccomp_notif *n)
{
	return n->data.nr == SYS_socket ? EAFNOSUPPORT : n->data.arch != AUDIT_ARCH_X86_64 || n->data.nr > SYS_set_mempolicy_home_node ? ENOSYS : EPERM;
}

void hps_answer_continue(struct hps_supervisor *s, const struct hps_call *c)
{
	if (refused(s, c->n))
		hps_answer_error(s, c, refusal(c->n));
	else
		send_answer(s, c, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

void hps_answer_error(struct hps_supervisor *s, const struct hps_call *c, int error)
{
	send_answer(s, c, error, 0, 0);
}

void hps_answer_unseen(struct hps_supervisor *s, const struct hps_call *c)
{
	uint64_t id = c->n->id;

	if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0) { /* else it was killed */
		s->unseen = true;
		hps_gap_note(s->gaps, HPS_GAP_DESCRIPTORS);
	}
	hps_answer_continue(s, c);
}

bool hps_answer_exhausted(struct hps_supervisor *s, const struct hps_call *c, int error)
{
	if (error != EMFILE && error != ENFILE && error != ENOMEM)
		return false;
	hps_gap_note(s->gaps, HPS_GAP_DESCRIPTORS);
	hps_answer_continue(s, c);
	return true;
}

void hps_answer_value(struct hps_supervisor *s, const struct hps_call *c, int64_t value)
{
	send_answer(s, c, 0, value, 0);
}

static int add_descriptor(struct hps_supervisor *s, const struct hps_call *c, int fd, bool cloexec, bool send)
{
	struct seccomp_notif_addfd add = {
		.id = c->n->id,
		.flags = send ? SECCOMP_ADDFD_FLAG_SEND : 0,
		.srcfd = (uint32_t)fd,
		.newfd_flags = cloexec ? O_CLOEXEC : 0,
	};
	int r;

	do
		r = ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	while (r < 0 && (errno == EINTR || errno == EINPROGRESS));
	return r < 0 ? -errno : r;
}

/* Before the thread goes on it has its own set of processors back. */
static int add_held(struct hps_supervisor *s, const struct hps_call *c, int fd, bool cloexec)
{
	pid_t tid = (pid_t)c->n->pid;
	cpu_set_t own;
	bool held = hps_placement_here(tid, &own);
	int r = add_descriptor(s, c, fd, cloexec, false);

	if (held)
		hps_placement_anywhere(tid, &own);
	return r;
}

void hps_answer_descriptor(struct hps_supervisor *s, const struct hps_call *c, int fd, bool cloexec, bool alone)
{
	bool hold = hps_placement_hold(s, hps_time_monotonic_ns());
	int r = hold ? add_held(s, c, fd, cloexec) : add_descriptor(s, c, fd, cloexec, !alone);

	/* A writer's copy of ours is gone before the program goes on: it could find its file busy (ETXTBSY) or locked. */
	close(fd);
	if (r < 0)
		hps_answer_error(s, c, -r);
	else if (hold || alone)
		hps_answer_value(s, c, r);
	else
		s->n_answers++;
}

/* ---- files seen through descriptors ---- */

void hps_supervisor_wrote(struct hps_supervisor *s, ino_t ino)
{
	uint64_t bit = ino * 0x9e3779b97f4a7c15ull >> 48;

	s->written[bit >> 6] |= 1ull << (bit & 63);
}

bool hps_supervisor_written(const struct hps_supervisor *s, ino_t ino)
{
	uint64_t bit = ino * 0x9e3779b97f4a7c15ull >> 48;

	return s->written[bit >> 6] >> (bit & 63) & 1;
}

void hps_supervisor_path(const struct hps_supervisor *s, int fd, const struct stat *st, char out[HPS_PATH_CAP])
{
	static const char deleted[] = " (deleted)";
	const ssize_t cut = sizeof deleted - 1;
	char link[32];
	ssize_t n;

	snprintf(link, sizeof link, "self/fd/%d", fd);
	n = readlinkat(s->proc_fd, link, out, HPS_PATH_CAP - 1);
	out[n > 0 && *out == '/' ? n : 0] = '\0';
	if (n > cut && st->st_nlink == 0 && !strcmp(out + n - cut, deleted))
		out[n - cut] = '\0';
}

bool hps_supervisor_pseudo(struct hps_supervisor *s, int fd, const struct stat *st)
{
	struct statfs f;
	bool pseudo;

	if (major(st->st_dev))
		return false;
	for (size_t i = 0; i < s->n_devices; i++)
		if (s->devices[i].dev == st->st_dev)
			return s->devices[i].pseudo;
	if (fstatfs(fd, &f))
		return false;
	pseudo = f.f_type == PROC_SUPER_MAGIC || f.f_type == SYSFS_MAGIC || f.f_type == CGROUP_SUPER_MAGIC || f.f_type == CGROUP2_MAGIC ||
		 f.f_type == DEBUGFS_MAGIC || f.f_type == SECURITYFS_MAGIC || f.f_type == TRACEFS_MAGIC || f.f_type == BPF_FS_MAGIC || f.f_type == NSFS_MAGIC;
	if (s->n_devices < ARRAY_SIZE(s->devices)) {
		s->devices[s->n_devices].dev = st->st_dev;
		s->devices[s->n_devices++].pseudo = pseudo;
	}
	return pseudo;
}

/* ---- the loop ---- */

void hps_supervisor_gather(struct hps_supervisor *s)
{
	struct pollfd p = { .fd = s->listener, .events = POLLIN };

	while (poll(&p, 1, 0) == 1 && p.revents & POLLIN) {
		struct seccomp_notif n = { 0 };

		if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &n)) /* ENOENT: it was interrupted meanwhile */
			continue;
		s->early = hps_grow(s->early, s->n_early, sizeof *s->early);
		s->early[s->n_early++] = n;
		hps_tracee_heard(s, (pid_t)n.pid);
	}
}

/* False: the listener has ended. */
static bool next_event(struct hps_supervisor *s, struct seccomp_notif *n)
{
	if (s->early_head < s->n_early) {
		*n = s->early[s->early_head++];
		if (s->early_head == s->n_early)
			s->early_head = s->n_early = 0;
		return true;
	}
	for (;;) {
		memset(n, 0, sizeof *n); /* the kernel insists */
		if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, n) == 0)
			return true;
		if (errno != EINTR && errno != ENOENT)
			return false;
	}
}

static void forget_ended(struct hps_supervisor *s)
{
	struct hps_reaper *r = s->reaper;
	_cleanup_free_ uint32_t *ended = NULL;
	size_t n;

	if (!atomic_load_explicit(&r->news, memory_order_relaxed))
		return;
	pthread_mutex_lock(&r->lock);
	ended = hps_take(r->ended);
	n = r->n_ended;
	r->n_ended = 0;
	atomic_store(&r->news, false);
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < n; i++)
		hps_tracee_end(s, ended[i]);
}

static void act(struct hps_supervisor *s, const struct seccomp_notif *n)
{
	struct hps_call c = { .n = n, .args = (const uint64_t *)n->data.args };
	const struct hps_syscall *row = n->data.nr >= 0 && (size_t)n->data.nr < ARRAY_SIZE(s->rows) ? s->rows[n->data.nr] : NULL;

	if (n->data.nr == -1) { /* a tracer has cancelled the call: there is none */
		hps_answer_continue(s, &c);
		return;
	}
	c.t = hps_tracee_get(s, (pid_t)n->pid);
	if (n->data.arch == AUDIT_ARCH_X86_64 && refused(s, n) && !(row && (row->act == hps_act_handle || row->act == hps_act_io_uring))) {
		_cleanup_free_ char *name = hps_call_name(n->data.nr);

		hps_gap_name(s->gaps, HPS_GAP_REFUSED, name);
		hps_answer_error(s, &c, refusal(n));
		return;
	}
	if (n->data.arch != AUDIT_ARCH_X86_64 || !row) {
		hps_gap_note(s->gaps, HPS_GAP_ABI);
		hps_answer_error(s, &c, ENOSYS);
		return;
	}
	if (!c.t || c.t->task_fd < 0) {
		hps_answer_unseen(s, &c);
		return;
	}
	c.t->caller = (pid_t)n->pid;
	if (c.t->in_flight) {
		c.t->in_flight = NULL;
		s->tracees.n_in_flight--;
	}
	if (c.t->cwd_mover == (pid_t)n->pid)
		c.t->cwd_mover = 0;
	if (c.t->pending)
		hps_exec_confirm(s, c.t, (pid_t)n->pid);
	if (c.t->recheck)
		hps_tracee_check(s, c.t);
	row->act(s, &c);
	if (c.t->own_memory == HPS_NO)
		c.t->own_memory = HPS_UNKNOWN;
	if (c.t->mem_fd >= s->scarce_fd || c.t->maps_fd >= s->scarce_fd || c.t->cwd_fd >= s->scarce_fd || c.t->before_fd >= s->scarce_fd)
		hps_tracees_make_room(s, NULL);
}

/* Calls went on that we have not seen: of directories, masks, roots and memory nothing is known any more. */
static void believe_nothing(struct hps_supervisor *s)
{
	hps_tracees_make_room(s, NULL);
	s->foreign_possible = s->sharing_possible = s->memory_untrusted = s->unseen = true;
	for (size_t i = 0; i < s->tracees.n; i++) {
		struct hps_tracee *t = s->tracees.items[i];

		if (!t)
			continue;
		t->umask = -1;
		t->recheck = t->shares = true;
	}
	hps_files_forget_names(s->files);
}

void hps_supervisor_run(struct hps_supervisor *s)
{
	struct seccomp_notif n;

	atomic_store(&s->tid, (pid_t)syscall(SYS_gettid));
	while (!s->ended && next_event(s, &n)) {
		atomic_fetch_add(&s->turn, 1);
		s->n_notices++;
		hps_placement_note(s, (pid_t)n.pid, hps_time_monotonic_ns());
		forget_ended(s);
		if (atomic_exchange(&s->missed, false))
			believe_nothing(s);
		if ((pid_t)n.pid == s->control_tid) {
			hps_answer_error(s, &(struct hps_call){ .n = &n }, ENOSYS);
			s->ended = true;
			break;
		}
		act(s, &n);
		hps_placement_answered(s, (pid_t)n.pid, hps_time_monotonic_ns());
		atomic_fetch_add(&s->turn, 1);
	}
	hps_standby_end(s);
	forget_ended(s);
	hps_tracees_make_room(s, NULL);
}

/* ---- life ---- */

/* Our process directories: those of our pid namespace, outside or inside the trial's root. */
static int open_proc(const char *root)
{
	_cleanup_free_ char *inside = root ? hps_format("%s/proc", root) : NULL;
	const char *const places[] = { "/proc", inside };

	for (size_t i = 0; i < ARRAY_SIZE(places) && places[i]; i++) {
		int fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		char self[32] = "", expected[32];

		snprintf(expected, sizeof expected, "%d", getpid());
		if (fd >= 0 && readlinkat(fd, "self", self, sizeof self - 1) > 0 && !strcmp(self, expected))
			return fd;
		if (fd >= 0)
			close(fd);
	}
	errno = ENOENT;
	return -1;
}

/* Link count of a task directory besides its threads, learnt from our own while it has one thread. */
static int learn_task_links(struct hps_supervisor *s)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof path, "%d/task", getpid());
	if (fstatat(s->proc_fd, path, &st, 0))
		return -1;
	s->task_links = st.st_nlink - 1;
	return 0;
}

int hps_supervisor_init(struct hps_supervisor *s, struct hps_error *err)
{
	struct rlimit files = { .rlim_cur = INT_MAX };

	s->listener = -1;
	s->have_query = true;
	s->peers = hps_peers_new();
	s->proc_fd = open_proc(s->root);
	if (s->proc_fd < 0 || learn_task_links(s))
		return hps_error_errno(err, "looking at our own process in /proc");
	if (stat(s->root ? s->root : "/", &s->ns_root) || fstatat(s->proc_fd, "self/ns/mnt", &s->ns_mount, 0) ||
	    fstatat(s->proc_fd, "self/ns/user", &s->ns_user, 0))
		return hps_error_errno(err, "looking at our own namespaces");
	s->rights = hps_tracee_own_rights();
	getrlimit(RLIMIT_NOFILE, &files);
	s->scarce_fd = files.rlim_cur < INT_MAX ? (int)files.rlim_cur - ROOM : INT_MAX;
	s->tracees.n_tids = PID_LIMIT;
	s->tracees.by_tid = mmap(NULL, PID_LIMIT * sizeof *s->tracees.by_tid, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->tracees.by_tid == MAP_FAILED)
		return hps_error_errno(err, "making the table of processes");
	for (size_t i = 0; i < hps_n_syscalls; i++)
		s->rows[hps_syscalls[i].nr] = &hps_syscalls[i];
	if (s->listings.n)
		s->rows[hps_listing_syscall.nr] = &hps_listing_syscall;
	for (size_t i = 0; s->looks && i < ARRAY_SIZE(hps_look_syscalls); i++)
		s->rows[hps_look_syscalls[i].nr] = &hps_look_syscalls[i];
	return 0;
}

void hps_supervisor_rights_changed(struct hps_supervisor *s)
{
	free(s->rights);
	s->rights = hps_tracee_own_rights();
}

void hps_supervisor_release(struct hps_supervisor *s)
{
	for (size_t i = 0; i < s->n_executions; i++) {
		free(s->executions[i].program);
		free(s->executions[i].argv);
		free(s->executions[i].cwd);
		free(s->executions[i].script);
		free(s->executions[i].set);
		free(s->executions[i].removed);
	}
	free(s->executions);
	free(s->early);
	free(s->rights);
	hps_looks_free(s->looks);
	hps_listings_release(&s->listings);
	hps_executables_release(&s->programs);
	hps_map_release(&s->sockets);
	hps_connections_release(&s->connections);
	hps_peers_free(s->peers);
	hps_tracees_release(&s->tracees);
	hps_environ_change_release(&s->environ_change);
	if (s->proc_fd >= 0)
		close(s->proc_fd);
	if (s->listener >= 0)
		close(s->listener);
}
