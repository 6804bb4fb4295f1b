/* Processes that end, and signals on their way to the command. The main thread's only work while the trial runs. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "recorder/kernel.h"

#define GRACE_NS 2000000000ll
#define BATCH_NS 2000000 /* ends within this time are taken together: a wake-up for each would be felt */
#define ASK_AGAIN_AFTER 256
#define WAKER_NS 50000000
#define TOLD_MS 20 /* a scheduler signals one process after the other */
#define TOLD_EARLIER_NS 1000000000ll /* before we came to read it; what is older was not this one */
#define SIGNAL_TAG UINT64_MAX

int hps_reaper_init(struct hps_reaper *r, const sigset_t *signals, struct hps_error *err)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = SIGNAL_TAG };

	pthread_mutex_init(&r->lock, NULL);
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->epoll_fd < 0 || r->signal_fd < 0 || epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->signal_fd, &e))
		return hps_error_errno(err, "waiting for signals");
	return 0;
}

void hps_reaper_release(struct hps_reaper *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->exits[i].pidfd >= 0)
			close(r->exits[i].pidfd);
	free(r->exits);
	free(r->ended);
	json_decref(r->ending.full);
	if (r->epoll_fd >= 0)
		close(r->epoll_fd);
	if (r->signal_fd >= 0)
		close(r->signal_fd);
	pthread_mutex_destroy(&r->lock);
}

bool hps_reaper_watch(struct hps_reaper *r, int pidfd, uint32_t index)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };
	bool watched;

	pthread_mutex_lock(&r->lock);
	e.data.u64 = r->n;
	r->exits = hps_grow(r->exits, r->n, sizeof *r->exits);
	watched = epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, pidfd, &e) == 0;
	if (watched)
		r->exits[r->n++] = (struct hps_exit){ .index = index, .status = -1, .pidfd = pidfd };
	pthread_mutex_unlock(&r->lock);
	if (!watched)
		close(pidfd);
	return watched;
}

/* The kernel tells the status once the parent has taken it (since Linux 6.15). */
static bool ask_status(struct hps_exit *e)
{
	struct hps_pidfd_info info = { .mask = HPS_PIDFD_INFO_EXIT };

	if (e->pidfd < 0 || ioctl(e->pidfd, HPS_PIDFD_GET_INFO, &info) || !(info.mask & HPS_PIDFD_INFO_EXIT))
		return false;
	e->status = info.exit_code;
	close(hps_take_fd(&e->pidfd));
	return true;
}

/* Asks again for statuses that were not there yet; under the lock. */
static void ask_again(struct hps_reaper *r)
{
	size_t left = 0;

	for (size_t i = r->first_open; i < r->n; i++) {
		struct hps_exit *e = &r->exits[i];

		if (e->pidfd >= 0 && !ask_status(e))
			left++;
		if (e->pidfd < 0 && i == r->first_open)
			r->first_open++;
	}
	r->n_asked = left;
}

void hps_reaper_note_cores(const struct hps_reaper *r, int command_status, struct hps_gaps *gaps)
{
	bool any = WIFSIGNALED(command_status) && WCOREDUMP(command_status);

	for (size_t i = 0; i < r->n; i++)
		any = any || (r->exits[i].status >= 0 && WIFSIGNALED(r->exits[i].status) && WCOREDUMP(r->exits[i].status));
	if (any)
		hps_gap_note(gaps, HPS_GAP_CORE);
}

void hps_reaper_collect(struct hps_reaper *r)
{
	pthread_mutex_lock(&r->lock);
	ask_again(r);
	for (size_t i = r->first_open; i < r->n; i++)
		if (r->exits[i].pidfd >= 0)
			close(hps_take_fd(&r->exits[i].pidfd));
	pthread_mutex_unlock(&r->lock);
}

static void note_end(struct hps_reaper *r, uint64_t item)
{
	pthread_mutex_lock(&r->lock);
	if (item < r->n && !r->exits[item].end_ns) {
		struct hps_exit *e = &r->exits[item];

		e->end_ns = hps_time_monotonic_ns();
		/* Each status that the parent has not taken yet holds a descriptor. */
		if (!ask_status(e) && ++r->n_waiting > r->n_asked + ASK_AGAIN_AFTER) {
			ask_again(r);
			r->n_waiting = r->n_asked;
		}
		r->ended = hps_grow(r->ended, r->n_ended, sizeof *r->ended);
		r->ended[r->n_ended++] = e->index;
		atomic_store(&r->news, true);
	}
	pthread_mutex_unlock(&r->lock);
}

/* ---- signals ---- */

/* Who signals the whole process group (a shell's kill %1), or each process of a job (a scheduler), tells the helper's witness, too: then the command was
 * told, if it is still of that group. In doubt it is told twice. */
static bool told_to_all(struct hps_reaper *r, unsigned number, pid_t command)
{
	int64_t since = hps_time_monotonic_ns() - TOLD_EARLIER_NS;

	if (number >= HPS_FACTS_SIGNALS || !r->told || !r->helper || getpgid(command) != getpgrp())
		return false;
	for (unsigned ms = 0; ms < TOLD_MS; ms++) {
		int64_t at = atomic_load(&r->told[number]);

		if (at > since && at > r->known[number]) {
			r->known[number] = at;
			return true;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return false;
}

/* A signal from the terminal (SI_KERNEL) went to the whole process group, the command included. What another process sent to us alone is
 * passed on: the tree itself cannot have sent it (the fence). (Those to all were, too, and the command's handler ran twice.) */
static void pass_on(struct hps_reaper *r, const struct signalfd_siginfo *i, pid_t command)
{
	bool by_process = i->ssi_code == SI_USER || i->ssi_code == SI_QUEUE || i->ssi_code == SI_TKILL;

	hps_ending_signal(&r->ending, i, !by_process);
	if (i->ssi_signo == SIGCHLD || told_to_all(r, i->ssi_signo, command))
		return;
	if (by_process && (pid_t)i->ssi_pid != command)
		kill(command, (int)i->ssi_signo);
}

static void take_signals(struct hps_reaper *r, pid_t command)
{
	struct signalfd_siginfo i;

	while (read(r->signal_fd, &i, sizeof i) == sizeof i)
		pass_on(r, &i, command);
}

/* Is the process stopped? Nothing is allocated here: a child of several threads calls it. */
static bool is_stopped(pid_t pid)
{
	char path[32], text[512];
	const char *name_end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	name_end = strrchr(text, ')');
	return name_end && name_end[1] && name_end[2] == 'T';
}

/* While all our threads are stopped: somebody may continue the command alone, and its first call would wait for us. */
static pid_t start_waker(pid_t command)
{
	pid_t recorder = getpid(), waker = fork();

	if (waker)
		return waker;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (is_stopped(command) && getppid() == recorder)
		nanosleep(&(struct timespec){ .tv_nsec = WAKER_NS }, NULL);
	kill(recorder, SIGCONT);
	_exit(0);
}

/* Job control: when the command stops, so do we, by the same signal, and a shell sees what it would see without us. */
static void stop_with(int status, pid_t command)
{
	int by = WSTOPSIG(status);
	sigset_t one, before;
	pid_t waker = start_waker(command);

	if (waker < 0)
		return;
	sigemptyset(&one);
	sigaddset(&one, by);
	/* To the process, while it is still blocked: it becomes one with the terminal's own, should that wait to be read. Two would
	 * stop us a second time, after the shell has continued us. */
	kill(getpid(), by);
	pthread_sigmask(SIG_UNBLOCK, &one, &before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	kill(waker, SIGKILL);
	while (waitpid(waker, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- waiting ---- */

struct wait {
	struct hps_reaper *r;
	pid_t command;
	bool ended;
	int status;
	struct rusage usage;
	bool empty; /* no process of the tree is left */
};

static void reap(struct wait *w)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG | WUNTRACED | WCONTINUED, &usage)) > 0) {
		if (pid == w->r->helper && (WIFEXITED(status) || WIFSIGNALED(status)))
			w->r->helper = 0;
		if (pid != w->command)
			continue;
		if (WIFSTOPPED(status)) {
			stop_with(status, w->command);
		} else if (WIFEXITED(status) || WIFSIGNALED(status)) {
			w->ended = true;
			w->status = status;
			w->usage = usage;
		}
	}
	w->empty = pid < 0 && errno == ECHILD;
}

/* Is the helper our only child? Then the tree has ended: orphans become our children (sub-reaper). */
static bool only_helper(const struct hps_reaper *r)
{
	char path[64], text[64] = "", *end;
	int fd;
	ssize_t n;

	if (!r->helper)
		return false;
	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	(void)n;
	return strtoul(text, &end, 10) == (unsigned long)r->helper && end[strspn(end, " \n")] == '\0';
}

static void gather(struct wait *w, int timeout_ms)
{
	struct epoll_event events[64];
	int n = epoll_wait(w->r->epoll_fd, events, ARRAY_SIZE(events), timeout_ms);

	for (int i = 0; i < n; i++) {
		if (events[i].data.u64 == SIGNAL_TAG)
			take_signals(w->r, w->command);
		else
			note_end(w->r, events[i].data.u64);
	}
	reap(w);
	if (!w->ended && n > 0)
		nanosleep(&(struct timespec){ .tv_nsec = BATCH_NS }, NULL);
}

static bool tree_ended(struct wait *w)
{
	return w->empty || only_helper(w->r);
}

/* Adds pid to the list; false when it is there: it was killed already and has not been reaped yet. */
static bool add_once(struct hps_buf *pids, pid_t pid)
{
	for (size_t at = 0; at < pids->len; at += sizeof pid)
		if (!memcmp(pids->data + at, &pid, sizeof pid))
			return false;
	hps_buf_add(pids, &pid, sizeof pid);
	return true;
}

/* Kills what is left, generation by generation: orphans come to us. */
static void kill_rest(struct wait *w, struct hps_gaps *gaps)
{
	_cleanup_buf_ struct hps_buf killed = HPS_BUF_INIT;

	while (!tree_ended(w)) {
		char path[64];
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
		if (hps_file_read(AT_FDCWD, path, 1 << 20, &text, NULL) || !text.data)
			return;
		for (char *at = text.data, *end; *at; at = end + strspn(end, " \n")) {
			pid_t pid = (pid_t)strtoul(at, &end, 10);

			if (end == at)
				break;
			if (pid != w->r->helper && kill(pid, SIGKILL) == 0 && add_once(&killed, pid))
				hps_gap_note(gaps, HPS_GAP_RUNNING);
		}
		gather(w, 20);
	}
}

bool hps_reaper_wait(struct hps_reaper *r, pid_t command, bool wait, int *ret_status, struct rusage *ret_usage, struct hps_gaps *gaps)
{
	struct wait w = { .r = r, .command = command };
	int64_t until;

	reap(&w);
	while (!w.ended)
		gather(&w, -1);
	until = hps_time_monotonic_ns() + GRACE_NS;
	while (!tree_ended(&w) && (wait || hps_time_monotonic_ns() < until))
		gather(&w, 20);
	if (!tree_ended(&w))
		kill_rest(&w, gaps);
	gather(&w, 0);
	*ret_status = w.status;
	*ret_usage = w.usage;
	return tree_ended(&w);
}
