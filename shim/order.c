/* Level 4: which call is stopped for what, and how programs and threads come into the order. Start with order.h. */
#include "shim/order.h"

#include <sys/syscall.h>

#define SYS_USER_DISPATCH_CODE 2 /* SYS_USER_DISPATCH of linux/signal.h */

/* What is not here is made as it was asked for. */
static hps_on_call *const calls[] = {
	[SYS_futex] = hps_on_futex,
	[SYS_nanosleep] = hps_on_sleep,
	[SYS_clock_nanosleep] = hps_on_clock_sleep,
	[SYS_sched_yield] = hps_on_yield,
	[SYS_flock] = hps_on_flock,
	[SYS_fcntl] = hps_on_fcntl,

	[SYS_read] = hps_on_read,
	[SYS_readv] = hps_on_read,
	[SYS_recvfrom] = hps_on_read,
	[SYS_recvmsg] = hps_on_read,
	[SYS_recvmmsg] = hps_on_read,
	[SYS_accept] = hps_on_read,
	[SYS_accept4] = hps_on_read,
	[SYS_write] = hps_on_write,
	[SYS_writev] = hps_on_send,
	[SYS_sendto] = hps_on_send,
	[SYS_sendmsg] = hps_on_send,
	[SYS_sendmmsg] = hps_on_send,
	[SYS_poll] = hps_on_poll,
	[SYS_ppoll] = hps_on_poll,
	[SYS_select] = hps_on_select,
	[SYS_pselect6] = hps_on_select,
	[SYS_epoll_wait] = hps_on_epoll,
	[SYS_epoll_pwait] = hps_on_epoll,

	[SYS_wait4] = hps_on_wait4,
	[SYS_waitid] = hps_on_waitid,
	[SYS_pause] = hps_on_pause,
	[SYS_rt_sigsuspend] = hps_on_suspend,
	[SYS_rt_sigprocmask] = hps_on_mask,
	[SYS_rt_sigaction] = hps_on_action,
	[SYS_sigaltstack] = hps_on_stack,
	[SYS_rt_sigtimedwait] = hps_on_sigwait,
	[SYS_kill] = hps_on_kill,
	[SYS_tkill] = hps_on_kill,
	[SYS_tgkill] = hps_on_kill,
	[SYS_rt_sigqueueinfo] = hps_on_kill,
	[SYS_rt_tgsigqueueinfo] = hps_on_kill,

	[SYS_open] = hps_on_slow,
	[SYS_openat] = hps_on_slow,
	[SYS_openat2] = hps_on_slow,
	[SYS_creat] = hps_on_slow,
	[SYS_connect] = hps_on_slow,
	[SYS_ioctl] = hps_on_slow,
	[SYS_sendfile] = hps_on_slow,
	[SYS_splice] = hps_on_slow,
	[SYS_tee] = hps_on_slow,
	[SYS_vmsplice] = hps_on_slow,

	[SYS_semop] = hps_on_open_wait,
	[SYS_semtimedop] = hps_on_open_wait,
	[SYS_msgrcv] = hps_on_open_wait,
	[SYS_msgsnd] = hps_on_open_wait,
	[SYS_mq_timedreceive] = hps_on_open_wait,
	[SYS_mq_timedsend] = hps_on_open_wait,
	[SYS_io_getevents] = hps_on_open_wait,
	[SYS_futex_waitv] = hps_on_open_wait,
	[SYS_epoll_pwait2] = hps_on_open_wait,

	[SYS_exit] = hps_on_exit,
	[SYS_exit_group] = hps_on_exit,
	[SYS_execve] = hps_on_exec,
	[SYS_execveat] = hps_on_exec,
	[SYS_fork] = hps_on_fork,
	[SYS_vfork] = hps_on_fork,
	[SYS_clone] = hps_on_clone,
	[SYS_clone3] = hps_on_clone3,
};

static long act(const struct hps_stop *s)
{
	if (s->nr >= 0 && s->nr < (long)(sizeof calls / sizeof *calls) && calls[s->nr])
		return calls[s->nr](s);
	return CALL(s->nr, s->a[0], s->a[1], s->a[2], s->a[3], s->a[4], s->a[5]);
}

/* Others had the turn while the kernel was long about its call. */
static void come_back(void)
{
	uint32_t stranger = HPS_SHIM_STRANGER;

	if (atomic_compare_exchange_strong(&hps_slot_mine()->state, &stranger, HPS_SHIM_LIVE))
		hps_turn_await();
}

/* FNV-1a over who made calls after whom: what a thread asks for may differ (a file is cached, a timer came) and the order be the same. */
static void note_order(uint32_t slot)
{
	struct hps_shim_head *h = hps_shim.head;

	if (h->order_last == slot + 1)
		return;
	h->order = ((h->n_order++ ? h->order : 0xcbf29ce484222325u) ^ slot) * 0x100000001b3u;
	h->order_last = slot + 1;
}

static void on_call(const struct hps_stop *s)
{
	struct shim_thread *me = &hps_shim_thread;
	struct hps_shim_watch *w = hps_watch(me->slot);
	greg_t *r = s->context->uc_mcontext.gregs;
	uint64_t outer = me->mask;

	me->mask = *hps_signals_mask(s->context);
	me->again = false;
	me->last_call = (uint32_t)s->nr + 1;
	atomic_fetch_add(&w->n_calls, 1);
	come_back();
	note_order(me->slot);
	atomic_store(&w->call, me->last_call);
	if (s->nr == SYS_rt_sigreturn)
		hps_signals_return(s->context);
	else
		r[REG_RAX] = act(s);
	w = hps_watch(me->slot); /* of a child that was forked */
	if (me->again)
		hps_signals_make_again(s);
	come_back();
	if (hps_question_again(s, r[REG_RAX]))
		hps_waiting_yield();
	hps_signals_heed(*hps_signals_mask(s->context));
	atomic_store(&w->call, 0);
	me->mask = outer;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	const greg_t *r = c->uc_mcontext.gregs;
	const struct hps_stop s = { info->si_syscall, { r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9] }, c };

	(void)number;
	if (info->si_code == SI_TKILL) {
		hps_standstill_sample(c);
	} else if (info->si_code == SYS_USER_DISPATCH_CODE && hps_order_is_released()) {
		hps_gate_open();
		hps_shim.ordered = false;
		hps_signals_make_again(&s);
	} else if (info->si_code == SYS_USER_DISPATCH_CODE) {
		on_call(&s);
	}
}

/* ---- starting ---- */

static uint32_t find_slot(void)
{
	pid_t own = hps_gate_getpid(), parent = (pid_t)CALL(SYS_getppid, 0, 0, 0, 0, 0, 0);
	struct hps_shim_slot_state *s = hps_slots();
	uint32_t n = atomic_load(&hps_shim.head->n_slots);

	for (uint32_t i = 0; i < n; i++)
		if (atomic_load(&s[i].state) == HPS_SHIM_LIVE && !atomic_load(&s[i].attached) && atomic_load(&s[i].pid) == own)
			return i;
	for (uint32_t i = 0; i < n; i++)
		if (atomic_load(&s[i].state) == HPS_SHIM_LIVE && !atomic_load(&s[i].attached) && !atomic_load(&s[i].pid) && atomic_load(&s[i].parent) == parent)
			return i;
	if (n) /* started by a program that is not one of ours */
		atomic_fetch_add(&hps_shim.head->n_taken, 1);
	return hps_slot_new(own, parent);
}

/* The threads of the program that this process was before. */
static void forget_others(uint32_t slot)
{
	pid_t own = hps_gate_getpid();

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (i != slot && atomic_load(&hps_slots()[i].pid) == own)
			atomic_store(&hps_slots()[i].state, HPS_SHIM_GONE);
}

void hps_shim_order_begin(void)
{
	uint32_t slot, none = 0;
	uint64_t mask;

	if (!hps_shim.head->ordered || hps_order_is_released() || hps_signals_catch(on_signal))
		return;
	mask = hps_signals_block();
	slot = find_slot();
	forget_others(slot);
	atomic_compare_exchange_strong(&hps_shim.head->turn, &none, slot + 1);
	hps_shim.ordered = true;
	hps_process_attach(slot);
	hps_signals_restore(mask);
}

uint64_t hps_shim_order_hold(void)
{
	if (!hps_shim.ordered)
		return 0;
	return hps_shim_thread.mask = hps_signals_block();
}

void hps_shim_order_release(uint64_t mask)
{
	if (!hps_shim.ordered)
		return;
	hps_signals_heed(mask);
	hps_signals_restore(mask);
}

/* Before pthread_create(), which makes calls of its own: nobody gives it a turn yet. */
uint32_t hps_shim_order_slot(void)
{
	uint32_t slot;

	if (!hps_shim.ordered)
		return 0;
	slot = hps_slot_new(hps_gate_getpid(), 0);
	atomic_store(&hps_slots()[slot].state, HPS_SHIM_STRANGER);
	return slot;
}

void hps_shim_order_created(uint32_t slot, bool created)
{
	if (hps_shim.ordered)
		atomic_store(&hps_slots()[slot].state, created ? HPS_SHIM_LIVE : HPS_SHIM_GONE);
}

void hps_shim_order_thread(uint32_t slot)
{
	if (!hps_shim.ordered)
		return;
	hps_process_attach(slot);
}

/* Until the thread of this slot has passed its last turn on; the kernel then takes the time it takes. */
void hps_shim_order_join(uint32_t slot)
{
	struct hps_waiting w;
	uint64_t mask;

	if (!hps_shim.ordered)
		return;
	mask = hps_shim_order_hold();
	hps_waiting_begin(&w, HPS_NEVER);
	while (atomic_load(&hps_slots()[slot].state) == HPS_SHIM_LIVE && !hps_order_is_released())
		if (hps_waiting_round(&w) == HPS_WAIT_SIGNAL) { /* it runs, and the wait goes on */
			hps_signals_restore(mask);
			hps_signals_block();
		}
	hps_waiting_end();
	hps_shim_order_release(mask);
}

void hps_shim_order_yield(void)
{
	uint64_t mask = hps_shim_order_hold();

	if (hps_shim.ordered && !hps_order_is_released())
		hps_waiting_yield();
	hps_shim_order_release(mask);
}
