/* Signals: every call of the program arrives as one, and what such a handler's return would undo is done here. */
#include "shim/order.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define SIGNAL_NS 200000000ll
#define OURS (1ull << (SIGSYS - 1))
#define RESTORER 0x04000000 /* SA_RESTORER */

struct action { /* the kernel's struct sigaction */
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static uint64_t *mask_of(ucontext_t *c)
{
	return (uint64_t *)(void *)&c->uc_sigmask;
}

int hps_signals_catch(void (*handler)(int, siginfo_t *, void *))
{
	const struct action action = { handler, SA_SIGINFO | SA_NODEFER | SA_RESTART | RESTORER, hps_gate_restorer, 0 };

	return (int)CALL(SYS_rt_sigaction, SIGSYS, &action, 0, sizeof action.mask, 0, 0);
}

void hps_signals_open(void)
{
	uint64_t ours = OURS;

	CALL(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, 0, sizeof ours, 0, 0);
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
	memcpy(mask_of(c), &to->uc_sigmask, sizeof(uint64_t));
	c->uc_stack = to->uc_stack;
	*mask_of(c) &= ~OURS;
}

long hps_on_mask(const struct hps_stop *s)
{
	uint64_t *mask = mask_of(s->context), before = *mask;

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

/* Until a signal comes that is not in the mask; NULL: in that which is in force. That of a child which has said that it ends is on its way. */
static long suspend(const uint64_t *set)
{
	uint64_t own;
	const uint64_t *mask = hps_signals_without_ours(set, &own);
	struct hps_waiting w;
	long r;

	hps_waiting_begin(&w, HPS_NEVER);
	for (;;) {
		uint32_t child = hps_child_ended(-1);
		bool told = child == UINT32_MAX || atomic_exchange(&hps_slots()[child].attached, 2) == 2;
		struct timespec limit = { 0, told ? 0 : SIGNAL_NS };

		r = CALL(SYS_ppoll, 0, 0, &limit, mask, sizeof own, 0);
		if (r == -EINTR)
			break;
		hps_waiting_round(&w);
	}
	hps_waiting_end();
	return r;
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
