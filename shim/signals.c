/* Signals: every call of the program arrives as one, and what such a handler's return would undo is done here. */
#include "shim/order.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define BIT(number) (1ull << ((number) - 1))
#define OURS BIT(SIGSYS)
#define FAULTS (BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGTRAP)) /* of the thread itself, and at once */
#define BLOCKED (~(OURS | FAULTS))
#define SPARED (BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU)) /* nobody dies of them */
#define SYSCALL_BYTES 2 /* of the instruction */
#define RESTORER 0x04000000 /* SA_RESTORER */

struct action { /* the kernel's struct sigaction */
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

uint64_t *hps_signals_mask(ucontext_t *c)
{
	return (uint64_t *)(void *)&c->uc_sigmask;
}

int hps_signals_catch(void (*handler)(int, siginfo_t *, void *))
{
	const struct action action = { handler, SA_SIGINFO | SA_NODEFER | SA_RESTART | RESTORER, hps_gate_restorer, BLOCKED };

	return (int)CALL(SYS_rt_sigaction, SIGSYS, &action, 0, sizeof action.mask, 0, 0);
}

uint64_t hps_signals_block(void)
{
	uint64_t blocked = BLOCKED, was = 0;

	CALL(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, &was, sizeof was, 0, 0);
	return was;
}

void hps_signals_restore(uint64_t mask)
{
	mask &= ~OURS;
	CALL(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, sizeof mask, 0, 0);
}

static uint64_t pending(uint64_t mask)
{
	uint64_t set = 0;

	CALL(SYS_rt_sigpending, &set, sizeof set, 0, 0, 0, 0);
	return set & ~mask & ~OURS;
}

static void action_of(int number, struct action *ret)
{
	*ret = (struct action){ 0 };
	CALL(SYS_rt_sigaction, number, 0, ret, sizeof ret->mask, 0, 0);
}

/* By a signal that is there, and blocked. */
static void die_of(int number)
{
	uint64_t one = BIT(number);

	if (hps_gate_getpid() == 1) /* whom the kernel spares */
		return;
	hps_process_leave();
	CALL(SYS_rt_sigprocmask, SIG_UNBLOCK, &one, 0, sizeof one, 0, 0);
	for (;;)
		CALL(SYS_exit_group, 128 + number, 0, 0, 0, 0, 0);
}

bool hps_signals_heed(uint64_t mask)
{
	bool handled = false;

	for (uint64_t rest = pending(mask); rest; rest &= rest - 1) {
		int number = __builtin_ctzll(rest) + 1;
		struct action a;

		action_of(number, &a);
		if ((uintptr_t)a.handler == (uintptr_t)SIG_DFL && !(BIT(number) & SPARED))
			die_of(number);
		else if ((uintptr_t)a.handler > (uintptr_t)SIG_IGN)
			handled = true;
	}
	return handled;
}

void hps_signals_make_again(const struct hps_stop *s)
{
	greg_t *r = s->context->uc_mcontext.gregs;

	r[REG_RIP] -= SYSCALL_BYTES;
	r[REG_RAX] = s->nr;
}

/* The kernel delivers the lowest one first. */
long hps_signals_interrupt(const struct hps_stop *s)
{
	if (hps_shim_thread.again)
		return -EINTR; /* nobody sees it */
	for (uint64_t rest = pending(hps_shim_thread.mask); rest; rest &= rest - 1) {
		struct action a;

		action_of(__builtin_ctzll(rest) + 1, &a);
		if ((uintptr_t)a.handler <= (uintptr_t)SIG_IGN)
			continue;
		if (!(a.flags & SA_RESTART))
			return -EINTR;
		break;
	}
	hps_signals_make_again(s);
	return s->nr;
}

const uint64_t *hps_signals_without_ours(const uint64_t *set, uint64_t *own)
{
	if (!set)
		return NULL;
	*own = *set & ~OURS;
	return own;
}

void hps_signals_return(ucontext_t *c)
{
	const ucontext_t *to = (const void *)c->uc_mcontext.gregs[REG_RSP];

	c->uc_mcontext = to->uc_mcontext;
	memcpy(hps_signals_mask(c), &to->uc_sigmask, sizeof(uint64_t));
	c->uc_stack = to->uc_stack;
	*hps_signals_mask(c) &= ~OURS;
}

long hps_on_mask(const struct hps_stop *s)
{
	uint64_t *mask = hps_signals_mask(s->context), before = *mask;

	if (s->a[3] != sizeof(uint64_t))
		return -EINVAL;
	if (s->a[1]) {
		uint64_t set = *(const uint64_t *)s->a[1];

		*mask = s->a[0] == SIG_BLOCK ? before | set : s->a[0] == SIG_UNBLOCK ? before & ~set : set;
		*mask &= ~OURS;
	}
	if (s->a[2])
		*(uint64_t *)s->a[2] = before;
	return 0;
}

long hps_on_action(const struct hps_stop *s)
{
	struct action action;

	if (s->a[0] == SIGSYS)
		return 0;
	if (!s->a[1])
		return CALL(SYS_rt_sigaction, s->a[0], 0, s->a[2], s->a[3], 0, 0);
	action = *(const struct action *)s->a[1];
	action.mask &= ~OURS;
	return CALL(SYS_rt_sigaction, s->a[0], &action, s->a[2], s->a[3], 0, 0);
}

long hps_on_stack(const struct hps_stop *s)
{
	long r = CALL(SYS_sigaltstack, s->a[0], s->a[1], 0, 0, 0, 0);

	if (!r && s->a[0])
		s->context->uc_stack = *(const stack_t *)s->a[0];
	return r;
}

/* Until a signal comes that is not in the mask; NULL: in that which is in force. */
static long suspend(const uint64_t *set)
{
	uint64_t own;
	const uint64_t *mask = hps_signals_without_ours(set, &own);
	struct timespec none = { 0 };
	struct hps_waiting w;
	enum hps_waited waited = HPS_WAIT_ON;
	long r = 0;

	hps_waiting_begin(&w, HPS_NEVER);
	if (mask)
		w.mask = *mask;
	while (r != -EINTR && (mask || !waited) && !hps_shim_thread.again) {
		r = mask ? CALL(SYS_ppoll, 0, 0, &none, mask, sizeof own, 0) : 0; /* its handler runs within, with that mask */
		if (r != -EINTR)
			waited = hps_waiting_round(&w);
	}
	hps_waiting_end();
	return -EINTR;
}

long hps_on_pause(const struct hps_stop *s)
{
	(void)s;
	return suspend(NULL);
}

long hps_on_suspend(const struct hps_stop *s)
{
	return suspend((const void *)s->a[0]);
}

/* Of signals that the program blocks, and that stay there until they are asked for. */
long hps_on_sigwait(const struct hps_stop *s)
{
	struct timespec none = { 0 };
	uint64_t set;
	struct hps_waiting w;
	enum hps_waited waited = HPS_WAIT_ON;
	long r;

	if (!s->a[0] || s->a[3] != sizeof set)
		return -EINVAL;
	set = *(const uint64_t *)s->a[0] & ~OURS;
	hps_waiting_begin(&w, hps_waiting_duration((const void *)s->a[2]));
	w.mask |= set;
	do
		r = CALL(SYS_rt_sigtimedwait, &set, s->a[1], &none, sizeof set, 0, 0);
	while (r == -EAGAIN && !hps_waiting_over(&w) && !(waited = hps_waiting_round(&w)));
	hps_waiting_end();
	return waited == HPS_WAIT_SIGNAL ? -EINTR : r;
}

/* SIGKILL waits for nobody's turn: whoever sent it goes on when it has done its work. `pid` as kill(2) takes it. */
static void await_killed(pid_t pid)
{
	pid_t own = hps_gate_getpid(), group = pid < -1 ? -pid : (pid_t)CALL(SYS_getpgid, 0, 0, 0, 0, 0, 0);

	if (pid > 0) {
		hps_child_killed(pid);
		return;
	}
	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++) {
		pid_t other = atomic_load(&hps_slots()[i].pid);

		if (atomic_load(&hps_slots()[i].state) == HPS_SHIM_LIVE && other != own && (pid == -1 || CALL(SYS_getpgid, other, 0, 0, 0, 0, 0) == group))
			hps_child_killed(other);
	}
}

long hps_on_kill(const struct hps_stop *s)
{
	bool of_thread = s->nr == SYS_tgkill || s->nr == SYS_rt_tgsigqueueinfo;
	bool kills = s->a[of_thread ? 2 : 1] == SIGKILL;
	long r;

	if (kills && (pid_t)s->a[0] == hps_gate_getpid())
		hps_process_leave();
	r = CALL(s->nr, s->a[0], s->a[1], s->a[2], s->a[3], s->a[4], s->a[5]);
	if (!r && kills)
		await_killed((pid_t)s->a[0]);
	return r;
}
