/* Ways to other programs besides files and sockets: shared memory, queues and semaphores of the system, keyrings, other processes'
 * memory and descriptors, and what the kernel tells of the whole machine. They go on; that one was used is a gap, unless what is at
 * the other end is known to be the trial's own. */
#include "recorder/recorder.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#define NAME_CAP 320
#define QUEUE_CAP 256

/* "shmget 0x1f", "keyctl". */
static void note(struct hps_supervisor *s, const struct hps_call *c, const char *detail)
{
	char name[NAME_CAP];

	snprintf(name, sizeof name, "%s%s%s", s->rows[c->n->data.nr]->name, *detail ? " " : "", detail);
	hps_gap_name(s->gaps, HPS_GAP_CHANNEL, name);
}

static void note_number(struct hps_supervisor *s, const struct hps_call *c, int number)
{
	char detail[32];

	snprintf(detail, sizeof detail, "%d", number);
	note(s, c, detail);
}

void hps_act_channel(struct hps_supervisor *s, struct hps_call *c)
{
	note(s, c, "");
	hps_answer_continue(s, c);
}

/* ---- System V and POSIX ---- */

void hps_act_key(struct hps_supervisor *s, struct hps_call *c)
{
	char detail[32];

	snprintf(detail, sizeof detail, "0x%x", (unsigned)c->args[0]);
	note(s, c, detail);
	hps_answer_continue(s, c);
}

/* By its number: own memory, or that of anybody who has told it. */
void hps_act_shmat(struct hps_supervisor *s, struct hps_call *c)
{
	struct shmid_ds segment;

	if (shmctl((int)c->args[0], IPC_STAT, &segment) == 0 && !hps_tracee_is_own(s, segment.shm_cpid))
		note_number(s, c, (int)c->args[0]);
	hps_answer_continue(s, c);
}

void hps_act_mq_open(struct hps_supervisor *s, struct hps_call *c)
{
	char name[QUEUE_CAP] = "/"; /* which the library leaves out */

	if (hps_memory_string(s, c->t, c->args[0], name + 1, sizeof name - 1) < 0)
		name[0] = '\0';
	note(s, c, name);
	hps_answer_continue(s, c);
}

/* ---- other processes ---- */

/* Numbers mean nothing to us that another process namespace gave. */
static bool outside(struct hps_supervisor *s, const struct hps_call *c, pid_t pid)
{
	return c->t->foreign || !hps_tracee_is_own(s, pid);
}

static void note_process(struct hps_supervisor *s, const struct hps_call *c, pid_t pid)
{
	if (outside(s, c, pid))
		note_number(s, c, pid);
}

void hps_act_perf(struct hps_supervisor *s, struct hps_call *c)
{
	note_process(s, c, (pid_t)c->args[1]);
	hps_answer_continue(s, c);
}

void hps_act_peek(struct hps_supervisor *s, struct hps_call *c)
{
	note_process(s, c, (pid_t)c->args[0]);
	hps_answer_continue(s, c);
}

void hps_act_poke(struct hps_supervisor *s, struct hps_call *c)
{
	if (c->n->data.nr == SYS_process_vm_writev)
		note_process(s, c, (pid_t)c->args[0]);
	else if (c->args[0] == PTRACE_ATTACH || c->args[0] == PTRACE_SEIZE)
		note_process(s, c, (pid_t)c->args[1]);
	if (c->n->data.nr == SYS_ptrace && (c->args[0] == PTRACE_SEIZE || c->args[0] == PTRACE_SETOPTIONS) && c->args[3] & PTRACE_O_TRACESECCOMP)
		hps_gap_note(s->gaps, HPS_GAP_TRACER);
	s->memory_untrusted = true;
	hps_answer_continue(s, c);
}

/* Others may decide what a page holds when it is first read. */
void hps_act_userfaultfd(struct hps_supervisor *s, struct hps_call *c)
{
	s->memory_untrusted = true;
	hps_answer_continue(s, c);
}

/* Which process a descriptor of the caller's stands for; 0: none. */
static pid_t process_of(const struct hps_call *c, int pidfd)
{
	static const char field[] = "Pid:\t";
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char path[48], *pid;
	uint64_t n = 0;

	snprintf(path, sizeof path, "../fdinfo/%d", pidfd);
	if (hps_file_read(c->t->task_fd, path, 4096, &text, NULL) || !text.data)
		return 0;
	pid = strstr(text.data, field);
	if (!pid)
		return 0;
	pid += strlen(field);
	pid[strcspn(pid, "\n")] = '\0';
	return hps_parse_u64(pid, INT32_MAX, &n) ? 0 : (pid_t)n;
}

void hps_act_pidfd_getfd(struct hps_supervisor *s, struct hps_call *c)
{
	pid_t pid = process_of(c, (int)c->args[0]);

	if (pid)
		note_process(s, c, pid);
	hps_answer_continue(s, c);
}

/* ---- surroundings ---- */

void hps_act_setns(struct hps_supervisor *s, struct hps_call *c)
{
	note(s, c, "");
	hps_act_identity(s, c);
}

/* In a mount namespace of its own a process is foreign, which is said of each file. */
void hps_act_mount(struct hps_supervisor *s, struct hps_call *c)
{
	if (!c->t->foreign) {
		hps_gap_name(s->gaps, HPS_GAP_MOUNTS, s->rows[c->n->data.nr]->name);
		hps_files_forget_names(s->files);
		s->n_devices = 0;
	}
	hps_answer_continue(s, c);
}
