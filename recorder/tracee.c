/* The processes of the tree, found by the thread that notifies. A process is looked at once, when it is first heard of; its
 * open /proc directory stands for it from then on, so that a reused pid can never be taken for it. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "recorder/kernel.h"

#define MAX_LINEAGE 32
#define SETTLE_NS 20000000ll
#define LOOK_NS 20000

static int read_status(int dirfd, const char *path, struct hps_buf *ret)
{
	hps_buf_reset(ret);
	return hps_file_read(dirfd, path, 1 << 16, ret, NULL);
}

static pid_t leader_of(struct hps_supervisor *s, pid_t tid)
{
	_cleanup_free_ char *path = hps_format("%d/status", tid);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	return read_status(s->proc_fd, path, &text) || !text.data ? 0 : (pid_t)hps_status_number(text.data, "Tgid", 10, 0);
}

static pid_t parent_by_status(struct hps_supervisor *s, pid_t pid)
{
	_cleanup_free_ char *path = hps_format("%d/status", pid);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	return read_status(s->proc_fd, path, &text) || !text.data ? 0 : (pid_t)hps_status_number(text.data, "PPid", 10, 0);
}

static pid_t parent_of(struct hps_supervisor *s, int pidfd, pid_t pid)
{
	struct hps_pidfd_info info = { .mask = HPS_PIDFD_INFO_PID };

	if (pidfd >= 0 && ioctl(pidfd, HPS_PIDFD_GET_INFO, &info) == 0 && info.mask & HPS_PIDFD_INFO_PID)
		return (pid_t)info.ppid;
	return parent_by_status(s, pid);
}

static struct hps_tracee *known(struct hps_supervisor *s, pid_t tid)
{
	uint32_t index = (size_t)tid < s->tracees.n_tids ? s->tracees.by_tid[tid] : 0;

	return index ? s->tracees.items[index - 1] : NULL;
}

/* The nearest ancestor that we know; NULL when the line is lost (a parent that never called anything has ended). */
static struct hps_tracee *ancestor(struct hps_supervisor *s, pid_t parent)
{
	for (unsigned i = 0; i < MAX_LINEAGE && parent > 1 && parent != getpid(); i++) {
		struct hps_tracee *t = known(s, parent);

		if (t && t->pid == parent)
			return t;
		parent = parent_by_status(s, parent);
	}
	return NULL;
}

bool hps_tracee_is_own(struct hps_supervisor *s, pid_t pid)
{
	for (unsigned i = 0; i < MAX_LINEAGE && pid > 1 && pid != getpid(); i++) {
		if (known(s, pid))
			return true;
		pid = parent_by_status(s, pid);
	}
	return pid == getpid();
}

static void inherit(struct hps_supervisor *s, struct hps_tracee *t, const struct hps_tracee *parent)
{
	t->execution = parent ? parent->execution : s->n_executions ? 0 : -1;
	t->confined = parent && parent->confined;
	t->foreign = parent && parent->foreign;
	t->shares = parent && parent->shares;
	t->recheck = s->foreign_possible;
	t->environ = parent ? hps_environ_ref(parent->environ) : NULL;
}

/* A forked process has memory of its own, a vforked or cloned one that of its parent. An orphan shares with nobody, unless
 * somebody was seen to make such processes: a parent that vforks waits, and when it is killed its child is alone. */
static enum hps_answer has_own_memory(const struct hps_supervisor *s, pid_t pid, pid_t parent)
{
	long differs;

	if (parent == getpid())
		return s->sharing_possible ? HPS_UNKNOWN : HPS_YES;
	differs = parent > 0 ? syscall(SYS_kcmp, pid, parent, KCMP_VM, 0, 0) : -1;
	return differs > 0 ? HPS_YES : differs == 0 ? HPS_NO : HPS_UNKNOWN;
}

enum hps_answer hps_tracee_own_memory(struct hps_supervisor *s, struct hps_tracee *t)
{
	if (t->own_memory != HPS_YES)
		t->own_memory = has_own_memory(s, t->pid, parent_by_status(s, t->pid));
	return t->own_memory;
}

void hps_tracee_forget_memory(struct hps_tracee *t)
{
	if (t->before_fd >= 0)
		close(hps_take_fd(&t->before_fd));
	if (t->mem_fd >= 0)
		close(hps_take_fd(&t->mem_fd));
	if (t->maps_fd >= 0)
		close(hps_take_fd(&t->maps_fd));
	t->reads = 0;
}

void hps_tracee_forget_cwd(struct hps_tracee *t)
{
	t->at_home = false;
	if (t->cwd_fd >= 0)
		close(hps_take_fd(&t->cwd_fd));
	free(hps_take(t->cwd));
}

/* ---- few descriptors ---- */

bool hps_tracees_scarce(const struct hps_supervisor *s, int fd)
{
	return fd < 0 ? errno == EMFILE || errno == ENFILE : fd >= s->scarce_fd;
}

void hps_tracees_make_room(struct hps_supervisor *s, const struct hps_tracee *but)
{
	for (size_t i = 0; i < s->tracees.n; i++) {
		struct hps_tracee *t = s->tracees.items[i];

		if (!t || t == but)
			continue;
		hps_tracee_forget_memory(t);
		hps_tracee_forget_cwd(t);
		if (t->task_fd >= 0)
			close(hps_take_fd(&t->task_fd));
	}
}

/* In clock ticks since boot; 0: not known. */
static uint64_t start_time(const struct hps_supervisor *s, pid_t pid)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char path[32];

	snprintf(path, sizeof path, "%d/stat", pid);
	return read_status(s->proc_fd, path, &text) || !text.data ? 0 : hps_stat_start(text.data);
}

/* Takes pidfd. Without a watch its end is not seen; each later call of it tries again. */
static void watch(struct hps_supervisor *s, struct hps_tracee *t, int pidfd)
{
	if (hps_tracees_scarce(s, pidfd)) {
		hps_tracees_make_room(s, t);
		if (pidfd >= 0)
			close(pidfd);
		pidfd = (int)syscall(SYS_pidfd_open, t->pid, 0);
	}
	if (pidfd >= 0 && !hps_tracees_scarce(s, pidfd))
		t->watched = hps_reaper_watch(s->reaper, hps_take_fd(&pidfd), t->index);
	if (pidfd >= 0)
		close(pidfd);
	if (!t->watched && !t->born) {
		hps_gap_note(s->gaps, HPS_GAP_ENDS);
		t->born = start_time(s, t->pid);
	}
}

static void open_task(struct hps_supervisor *s, struct hps_tracee *t)
{
	char path[32];

	snprintf(path, sizeof path, "%d/task", t->pid);
	t->task_fd = openat(s->proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (!hps_tracees_scarce(s, t->task_fd))
		return;
	hps_tracees_make_room(s, t);
	if (t->task_fd < 0)
		t->task_fd = openat(s->proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Makes ready for a call what stands for the process. */
static struct hps_tracee *wake(struct hps_supervisor *s, struct hps_tracee *t)
{
	if (t->task_fd < 0)
		open_task(s, t);
	if (!t->watched)
		watch(s, t, (int)syscall(SYS_pidfd_open, t->pid, 0));
	return t;
}

/* ---- finding ---- */

static struct hps_tracee *add(struct hps_supervisor *s, pid_t pid, int pidfd)
{
	struct hps_tracees *all = &s->tracees;
	struct hps_tracee *t = hps_alloc(sizeof *t);

	t->pid = pid;
	t->task_fd = t->before_fd = t->mem_fd = t->maps_fd = t->cwd_fd = -1;
	t->umask = -1;
	open_task(s, t);
	t->index = (uint32_t)all->n;
	all->items = hps_grow(all->items, all->n, sizeof(struct hps_tracee *));
	all->items[all->n++] = t;
	all->by_tid[pid] = t->index + 1;
	if (!s->root_pid) {
		s->root_pid = pid;
		t->launching = true;
		t->execution = -1;
	} else {
		pid_t parent = parent_of(s, pidfd, pid);

		struct hps_tracee *nearest = ancestor(s, parent);

		inherit(s, t, nearest);
		t->parent = nearest && nearest->pid == parent ? nearest->index + 1 : 0;
		t->own_memory = has_own_memory(s, pid, parent);
	}
	watch(s, t, pidfd);
	return t;
}

struct hps_tracee *hps_tracee_get(struct hps_supervisor *s, pid_t tid)
{
	struct hps_tracee *t = known(s, tid);
	int pidfd;

	if (t && !t->watched) {
		uint64_t born = start_time(s, t->pid);

		if (born && born != t->born) { /* another process with its number */
			hps_tracee_end(s, t->index);
			t = NULL;
		}
	}
	/* A thread may have ended unseen and its number been given to another process. */
	if (t && (t->pid == tid || syscall(SYS_tgkill, t->pid, tid, 0) == 0))
		return wake(s, t);
	if ((size_t)tid >= s->tracees.n_tids)
		return NULL;
	pidfd = (int)syscall(SYS_pidfd_open, tid, 0);
	if (pidfd < 0 && hps_tracees_scarce(s, pidfd)) {
		hps_tracees_make_room(s, NULL);
		pidfd = (int)syscall(SYS_pidfd_open, tid, 0);
	}
	if (pidfd >= 0)
		return add(s, tid, pidfd);
	{
		pid_t leader = leader_of(s, tid);

		if (leader <= 0 || (size_t)leader >= s->tracees.n_tids)
			return NULL;
		t = known(s, leader);
		t = t ? wake(s, t) : add(s, leader, (int)syscall(SYS_pidfd_open, leader, 0));
		s->tracees.by_tid[tid] = t->index + 1;
	}
	return t;
}

void hps_tracee_executed(struct hps_tracee *t, bool sure)
{
	hps_tracee_forget_memory(t);
	if (sure) {
		t->own_memory = HPS_YES;
		t->shares = false;
	}
	t->launching = false;
	t->opaque = false;
	t->leaving = false;
	t->threads_assumed = 0;
	t->threaded = !sure;
	free(hps_take(t->draw));
}

static void free_tracee(struct hps_tracee *t)
{
	hps_exec_drop(t);
	hps_tracee_forget_memory(t);
	hps_tracee_forget_cwd(t);
	if (t->task_fd >= 0)
		close(t->task_fd);
	free(t->draw);
	hps_environ_unref(t->environ);
	free(t);
}

void hps_tracee_end(struct hps_supervisor *s, uint32_t index)
{
	struct hps_tracee *t = s->tracees.items[index];

	if (!t)
		return;
	if (t->pending && !t->leaving)
		hps_exec_assume(s, t);
	if (t->in_flight)
		s->tracees.n_in_flight--;
	if (s->tracees.by_tid[t->pid] == index + 1)
		s->tracees.by_tid[t->pid] = 0;
	s->tracees.items[index] = NULL;
	free_tracee(t);
}

int hps_tracee_descriptor(const struct hps_tracee *t, int number)
{
	_cleanup_fd_ int process = (int)syscall(SYS_pidfd_open, t->pid, 0);

	return process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, number, 0);
}

int hps_tracee_umask(struct hps_tracee *t)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (t->umask < 0)
		t->umask = read_status(t->task_fd, "../status", &text) || !text.data ? 022 : (int)hps_status_number(text.data, "Umask", 8, 022);
	return t->umask;
}

int64_t hps_tracee_cpu_ns(const struct hps_tracee *t)
{
	clockid_t clock = (clockid_t)(~(unsigned)t->pid << 3 | 2); /* as clock_getcpuclockid(3), which asks first whether there is such a process */
	struct timespec used;

	return clock_gettime(clock, &used) ? 0 : used.tv_sec * 1000000000ll + used.tv_nsec;
}

static int64_t peak_kib(int fd, const char *status)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	return read_status(fd, status, &text) || !text.data ? 0 : hps_status_number(text.data, "VmHWM", 10, 0);
}

int64_t hps_tracee_peak_kib(const struct hps_tracee *t)
{
	return peak_kib(t->task_fd, "../status");
}

int64_t hps_own_peak_kib(void)
{
	return peak_kib(AT_FDCWD, "/proc/self/status");
}

/* ---- foreign processes ---- */

char *hps_tracee_own_rights(void)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	return read_status(AT_FDCWD, "/proc/thread-self/status", &text) || !text.data ? hps_strdup("") : hps_status_rights(text.data);
}

static bool same_place(const struct hps_tracee *t, const char *link, const struct stat *ours)
{
	struct stat s;

	return fstatat(t->task_fd, link, &s, 0) == 0 && s.st_ino == ours->st_ino && s.st_dev == ours->st_dev;
}

void hps_tracee_check(struct hps_supervisor *s, struct hps_tracee *t)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *rights = NULL;

	t->recheck = false;
	t->umask = -1;
	if (t->launching)
		return;
	if (!read_status(t->task_fd, "../status", &text) && text.data)
		rights = hps_status_rights(text.data);
	t->foreign = t->confined || !rights || strcmp(rights, s->rights) != 0 || !same_place(t, "../root", &s->ns_root) ||
		     !same_place(t, "../ns/mnt", &s->ns_mount) || !same_place(t, "../ns/user", &s->ns_user);
}

/* ---- calls on their way ---- */

static void landed(struct hps_supervisor *s, struct hps_tracee *t)
{
	if (t->in_flight)
		s->tracees.n_in_flight--;
	t->in_flight = NULL;
}

void hps_tracee_heard(struct hps_supervisor *s, pid_t tid)
{
	struct hps_tracee *t = known(s, tid);

	if (t && t->pid == tid)
		landed(s, t);
}

/* Is the process's only thread still inside the call that was told to go on? */
static bool still_inside(const struct hps_tracee *t)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char expected[32];

	snprintf(expected, sizeof expected, "%ld ", t->in_flight_nr);
	return !hps_file_read(t->task_fd, "../syscall", 512, &text, NULL) && text.data && !strncmp(text.data, expected, strlen(expected));
}

void hps_tracees_settle(struct hps_supervisor *s, const struct hps_tracee *but)
{
	int64_t until = 0;

	for (size_t i = s->tracees.n; i > 0 && s->tracees.n_in_flight; i--) {
		struct hps_tracee *t = s->tracees.items[i - 1];

		if (!t || t == but || !t->in_flight)
			continue;
		if (!until)
			until = hps_time_monotonic_ns() + SETTLE_NS;
		/* In a call of the same number, it may be in the next one and wait for us. */
		for (hps_supervisor_gather(s); t->in_flight && still_inside(t); hps_supervisor_gather(s)) {
			if (hps_time_monotonic_ns() >= until) {
				t->in_flight->unverified = true;
				break;
			}
			nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
		}
		landed(s, t);
	}
}

void hps_tracees_release(struct hps_tracees *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->items[i])
			free_tracee(all->items[i]);
	free(all->items);
	if (all->by_tid)
		munmap(all->by_tid, all->n_tids * sizeof *all->by_tid);
}
