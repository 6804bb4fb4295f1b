/* Calls that are refused, and calls that change what may be believed of a process. */
#include "recorder/network.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ANCESTORS_MAX 64
#define STATUS_MAX 16384
#define LONG_NS 50000000 /* a process that lived longer is asked for its peak of memory */

void hps_act_io_uring(struct hps_supervisor *s, struct hps_call *c)
{
	hps_gap_note(s->gaps, HPS_GAP_IO_URING);
	hps_answer_error(s, c, ENOSYS);
}

void hps_act_handle(struct hps_supervisor *s, struct hps_call *c)
{
	hps_gap_note(s->gaps, HPS_GAP_HANDLE);
	hps_answer_error(s, c, EPERM);
}

/* Does it ask for what no rerun has: another root, another id? The kernel refuses that; it is named. */
static bool leaves_rerun(const struct hps_call *c)
{
	const uint32_t own[] = { getuid(), getgid(), (uint32_t)-1 };
	size_t n = 1;

	switch (c->n->data.nr) {
	case SYS_chroot:
	case SYS_setgroups:
		return true;
	case SYS_setresuid:
	case SYS_setresgid:
		n++; /* fall through */
	case SYS_setreuid:
	case SYS_setregid:
		n++; /* fall through */
	case SYS_setuid:
	case SYS_setgid:
	case SYS_setfsuid:
	case SYS_setfsgid:
		break;
	default:
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if ((uint32_t)c->args[i] != own[0] && (uint32_t)c->args[i] != own[1] && (uint32_t)c->args[i] != own[2])
			return true;
	return false;
}

/* Root, namespaces, ids, capabilities: looked at again at the process's next call, and at each new process from now on. */
void hps_act_identity(struct hps_supervisor *s, struct hps_call *c)
{
	s->foreign_possible = true;
	c->t->recheck = true;
	if (s->root && leaves_rerun(c)) {
		_cleanup_free_ char *name = hps_call_name(c->n->data.nr);

		hps_gap_name(s->gaps, HPS_GAP_REFUSED, name);
	}
	if (c->n->data.nr == SYS_unshare) /* one thread may have directories and descriptors of its own now */
		c->t->shares = true;
	hps_tracee_forget_cwd(c->t);
	hps_answer_continue(s, c);
}

/* A child in a namespace of its own is looked at like one that changed its ids. A child that shares memory, descriptors or
 * directories and is no thread: neither of the two can be trusted to keep what was read. Where the memory may be that of others besides, a parent that waits
 * and will go on, or the child is given to another parent, nobody can. */
void hps_act_clone(struct hps_supervisor *s, struct hps_call *c)
{
	if (c->args[0] & CLONE_THREAD)
		c->t->threaded = true;
	if (c->args[0] & CLONE_THREAD && c->t->execution >= 0)
		s->executions[c->t->execution].n_threads++;
	if (c->args[0] & (CLONE_NEWNS | CLONE_NEWUSER))
		s->foreign_possible = true;
	if (c->args[0] & (CLONE_VM | CLONE_FS | CLONE_FILES) && !(c->args[0] & (c->args[0] & CLONE_FS ? CLONE_THREAD : CLONE_VFORK | CLONE_THREAD))) {
		c->t->shares = true;
		s->sharing_possible = true;
		hps_tracee_forget_cwd(c->t);
		s->memory_untrusted |= c->args[0] & CLONE_VM && c->t->own_memory != HPS_YES && !c->t->launching;
	}
	s->memory_untrusted |= c->args[0] & CLONE_VM && c->args[0] & CLONE_PARENT && !(c->args[0] & CLONE_THREAD);
	hps_answer_continue(s, c);
}

/* What it denies itself we must not hand in; its children inherit that. */
void hps_act_landlock(struct hps_supervisor *s, struct hps_call *c)
{
	if (!c->t->launching) /* that is our own fence */
		c->t->confined = c->t->foreign = true;
	hps_answer_continue(s, c);
}

/* The mask is not known until it is asked for again; processes may share it. */
void hps_act_umask(struct hps_supervisor *s, struct hps_call *c)
{
	for (size_t i = 0; i < s->tracees.n; i++)
		if (s->tracees.items[i])
			s->tracees.items[i]->umask = -1;
	hps_answer_continue(s, c);
}

/* The last that is heard of a process, unless a signal ends it: also of one that was forked and opened nothing. */
void hps_act_exit(struct hps_supervisor *s, struct hps_call *c)
{
	struct hps_execution *e = c->t->execution >= 0 ? &s->executions[c->t->execution] : NULL;

	if (e && e->tracee == c->t->index) {
		e->cpu_ns = hps_tracee_cpu_ns(c->t) - e->cpu_start_ns;
		if (hps_time_monotonic_ns() - e->start_ns > LONG_NS) /* a look costs what a short process would feel */
			e->peak_kib = hps_tracee_peak_kib(c->t);
	} else if (e) {
		e->n_forks++;
		e->forks_cpu_ns += hps_tracee_cpu_ns(c->t);
	}
	c->t->leaving = true;
	hps_peers_exit(s, c->t);
	hps_answer_continue(s, c);
}

/* The number behind "\nname:\t"; 0: none. */
static pid_t number_of(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? (pid_t)strtoul(at + strlen(name), NULL, 10) : 0;
}

/* A thread of ours, of our helper, or of what that started? */
static bool is_recorders(const struct hps_supervisor *s, pid_t pid)
{
	for (int depth = 0; pid > 0 && depth < ANCESTORS_MAX; depth++) {
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
		char path[32];

		snprintf(path, sizeof path, "%d/status", pid);
		if (hps_file_read(s->proc_fd, path, STATUS_MAX, &text, NULL) || !text.data)
			return false;
		pid = number_of(text.data, "\nTgid:\t");
		if (pid == getpid() || pid == s->helper)
			return depth == 0 || pid == s->helper;
		pid = number_of(text.data, "\nPPid:\t");
	}
	return false;
}

/* Whoever may not write our files, or open any, loses the record: nobody limits the recorder. */
void hps_act_limit(struct hps_supervisor *s, struct hps_call *c)
{
	if (c->args[2] && is_recorders(s, (pid_t)c->args[0]))
		hps_answer_error(s, c, EPERM);
	else
		hps_answer_continue(s, c);
}

void hps_act_seccomp(struct hps_supervisor *s, struct hps_call *c)
{
	hps_gap_note(s->gaps, HPS_GAP_LISTENER);
	hps_answer_continue(s, c);
}

/* Until this thread is heard of again its directory is between the old and the new. Of two that are on their way nobody knows which comes last. */
void hps_act_chdir(struct hps_supervisor *s, struct hps_call *c)
{
	hps_tracee_forget_cwd(c->t);
	if (c->t->cwd_mover) /* another's: this thread has been heard of */
		c->t->shares = true;
	c->t->cwd_mover = (pid_t)c->n->pid;
	hps_answer_continue(s, c);
}
