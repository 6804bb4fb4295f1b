/* Beginnings and ends of threads and processes. */
#include "shim/order.h"

#include <errno.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

void hps_process_attach(uint32_t slot)
{
	hps_shim_thread.slot = slot;
	hps_shim_thread.limit.limit = HPS_NEVER;
	hps_shim_thread.waits_for = 0;
	atomic_store(&hps_slot_mine()->pid, hps_gate_getpid());
	atomic_store(&hps_slot_mine()->attached, 1);
	atomic_store(&hps_watch(slot)->tid, (uint32_t)CALL(SYS_gettid, 0, 0, 0, 0, 0, 0));
	atomic_store(&hps_watch(slot)->call, 0);
	if (hps_order_is_released())
		return;
	hps_gate_close();
	hps_turn_await();
}

/* Has a thread that will have a turn again, other than this one. */
static bool is_live(pid_t pid)
{
	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++) {
		uint32_t state = atomic_load(&hps_slots()[i].state);

		if (i != hps_shim_thread.slot && atomic_load(&hps_slots()[i].pid) == pid && (state == HPS_SHIM_LIVE || state == HPS_SHIM_STRANGER))
			return true;
	}
	return false;
}

/* Its threads have no turn any more, and nobody waits for its children. */
static void give_slots_up(void)
{
	pid_t own = hps_gate_getpid(), parent = (pid_t)CALL(SYS_getppid, 0, 0, 0, 0, 0, 0);

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++) {
		struct hps_shim_slot_state *s = &hps_slots()[i];
		bool is_child = atomic_load(&s->state) == HPS_SHIM_EXITED && atomic_load(&s->parent) == own;

		if (i != hps_shim_thread.slot && (atomic_load(&s->pid) == own || is_child))
			atomic_store(&s->state, HPS_SHIM_GONE);
	}
	atomic_store(&hps_slot_mine()->parent, parent);
	atomic_store(&hps_slot_mine()->attached, 1);
	atomic_store(&hps_slot_mine()->state, is_live(parent) ? HPS_SHIM_EXITED : HPS_SHIM_GONE);
}

void hps_process_leave(void)
{
	CALL(SYS_close_range, 0, ~0u, 0, 0, 0, 0); /* now, for those who wait for an end */
	give_slots_up();
	atomic_fetch_add(&hps_shim.head->n_ended, 1);
	hps_waiting_progress();
	hps_turn_pass();
}

static void leave_thread(pid_t pid, pid_t tid)
{
	struct hps_shim_head *h = hps_shim.head;

	if (tid != pid) { /* the first thread of a process is there until the last has ended */
		atomic_store(&h->leaving_pid, pid);
		atomic_store(&h->leaving_tid, tid);
	}
	atomic_store(&hps_slot_mine()->state, HPS_SHIM_GONE);
	hps_waiting_progress();
	hps_turn_pass();
}

long hps_on_exit(const struct hps_stop *s)
{
	pid_t own = hps_gate_getpid();

	if (s->nr == SYS_exit_group || !is_live(own))
		hps_process_leave();
	else
		leave_thread(own, (pid_t)CALL(SYS_gettid, 0, 0, 0, 0, 0, 0));
	return CALL(s->nr, s->a[0], 0, 0, 0, 0, 0);
}

long hps_on_exec(const struct hps_stop *s)
{
	long r;

	atomic_store(&hps_slot_mine()->attached, 0);
	hps_signals_restore(hps_shim_thread.mask); /* the next program has it */
	r = CALL(s->nr, s->a[0], s->a[1], s->a[2], s->a[3], s->a[4], 0);
	hps_signals_block();
	atomic_store(&hps_slot_mine()->attached, 1);
	return r;
}

static void settle_slot(uint32_t slot, long pid)
{
	siginfo_t ended = { 0 };

	if (pid <= 0) {
		atomic_store(&hps_slots()[slot].state, HPS_SHIM_GONE);
		return;
	}
	atomic_store(&hps_slots()[slot].pid, (pid_t)pid);
	CALL(SYS_waitid, P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT | __WALL, 0, 0);
	if (ended.si_pid == pid) /* there was no program to start */
		hps_child_killed((pid_t)pid);
}

static long fork_with(long flags, const long *a)
{
	uint32_t slot = hps_slot_new(0, hps_gate_getpid());
	long pid = CALL(SYS_clone, flags & ~(CLONE_VM | CLONE_VFORK), 0, a[2], a[3], a[4], 0);

	hps_waiting_progress();
	if (pid == 0)
		hps_process_attach(slot);
	else
		settle_slot(slot, pid);
	return pid;
}

long hps_on_fork(const struct hps_stop *s)
{
	(void)s;
	return fork_with(SIGCHLD, (const long[6]){ 0 });
}

/* The child does not come back through our handler: it has the signals that it has from the start. */
static long clone_with_stack(const struct hps_stop *s)
{
	const long *a = s->a;
	long pid;

	hps_signals_restore(hps_shim_thread.mask);
	pid = hps_gate_clone(a[0], a[1], a[2], a[3], a[4], s->context->uc_mcontext.gregs);
	hps_signals_block();
	return pid;
}

long hps_on_clone(const struct hps_stop *s)
{
	const long *a = s->a;
	uint32_t slot;
	long pid;

	if (!a[1])
		return fork_with(a[0], a);
	if (a[0] & CLONE_THREAD)
		return clone_with_stack(s);
	slot = hps_slot_new(0, hps_gate_getpid()); /* its program takes it */
	pid = clone_with_stack(s);
	settle_slot(slot, pid);
	hps_waiting_progress();
	return pid;
}

long hps_on_clone3(const struct hps_stop *s)
{
	(void)s;
	return -ENOSYS; /* the C library then calls clone() */
}
