/* Beginnings and ends of threads and processes. */
#include "shim/order.h"

#include <errno.h>
#include <linux/sched.h>
#include <sys/syscall.h>

void hps_process_attach(uint32_t slot)
{
	hps_shim_thread.slot = slot;
	hps_shim_thread.limit.limit = HPS_NEVER;
	hps_shim_thread.waits_for = 0;
	atomic_store(&hps_slot_mine()->pid, hps_gate_getpid());
	atomic_store(&hps_slot_mine()->attached, 1);
	hps_gate_close();
	hps_turn_await();
}

static void end_process(uint32_t state)
{
	pid_t own = hps_gate_getpid();

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (i != hps_shim_thread.slot && atomic_load(&hps_slots()[i].pid) == own && atomic_load(&hps_slots()[i].state) == HPS_SHIM_LIVE)
			atomic_store(&hps_slots()[i].state, HPS_SHIM_GONE);
	atomic_store(&hps_slot_mine()->state, state);
}

long hps_on_exit(const struct hps_stop *s)
{
	if (s->nr == SYS_exit_group) {
		CALL(SYS_close_range, 0, ~0u, 0, 0, 0, 0); /* now, for those who wait for an end */
		end_process(HPS_SHIM_EXITED);
	} else {
		atomic_store(&hps_slot_mine()->state, HPS_SHIM_GONE);
	}
	hps_shim.head->idle = 0;
	hps_turn_pass();
	return CALL(s->nr, s->a[0], 0, 0, 0, 0, 0);
}

long hps_on_exec(const struct hps_stop *s)
{
	long r;

	atomic_store(&hps_slot_mine()->attached, 0);
	r = CALL(s->nr, s->a[0], s->a[1], s->a[2], s->a[3], s->a[4], 0);
	atomic_store(&hps_slot_mine()->attached, 1);
	return r;
}

static void settle_slot(uint32_t slot, long pid)
{
	if (pid > 0)
		atomic_store(&hps_slots()[slot].pid, (pid_t)pid);
	else
		atomic_store(&hps_slots()[slot].state, HPS_SHIM_GONE);
}

static long fork_with(long flags, const long *a)
{
	uint32_t slot = hps_slot_new(0, hps_gate_getpid());
	long pid = CALL(SYS_clone, flags & ~(CLONE_VM | CLONE_VFORK), 0, a[2], a[3], a[4], 0);

	hps_shim.head->idle = 0;
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

long hps_on_clone(const struct hps_stop *s)
{
	const long *a = s->a;
	uint32_t slot;
	long pid;

	if (!a[1])
		return fork_with(a[0], a);
	if (a[0] & CLONE_THREAD)
		return hps_gate_clone(a[0], a[1], a[2], a[3], a[4], s->context->uc_mcontext.gregs);
	slot = hps_slot_new(0, hps_gate_getpid()); /* its program takes it */
	pid = hps_gate_clone(a[0], a[1], a[2], a[3], a[4], s->context->uc_mcontext.gregs);
	settle_slot(slot, pid);
	hps_shim.head->idle = 0;
	return pid;
}

long hps_on_clone3(const struct hps_stop *s)
{
	(void)s;
	return -ENOSYS; /* the C library then calls clone() */
}
