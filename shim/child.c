/* The ends of processes, as those learn of them who started them. A child has said in its turn that it ends; the kernel takes the time it takes. */
#include "shim/order.h"

#include <sys/syscall.h>
#include <sys/wait.h>

uint32_t hps_child_ended(long pid)
{
	pid_t own = hps_gate_getpid();

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (atomic_load(&hps_slots()[i].state) == HPS_SHIM_EXITED && atomic_load(&hps_slots()[i].parent) == own &&
		    (pid <= 0 || atomic_load(&hps_slots()[i].pid) == pid))
			return i;
	return UINT32_MAX;
}

static void forget_child(long pid)
{
	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (atomic_load(&hps_slots()[i].state) != HPS_SHIM_LIVE && atomic_load(&hps_slots()[i].pid) == pid)
			atomic_store(&hps_slots()[i].state, HPS_SHIM_GONE);
}

long hps_on_wait4(const struct hps_stop *s)
{
	struct hps_waiting w;
	long r;

	hps_waiting_begin(&w, HPS_NEVER);
	for (;;) {
		uint32_t child = hps_child_ended((int)s->a[0]);

		if (child != UINT32_MAX)
			r = CALL(SYS_wait4, atomic_load(&hps_slots()[child].pid), s->a[1], s->a[2] & ~WNOHANG, s->a[3], 0, 0);
		else
			r = CALL(SYS_wait4, s->a[0], s->a[1], s->a[2] | WNOHANG, s->a[3], 0, 0);
		if (r || s->a[2] & WNOHANG)
			break;
		hps_waiting_round(&w);
	}
	if (r > 0)
		forget_child(r);
	hps_waiting_end();
	return r;
}

long hps_on_waitid(const struct hps_stop *s)
{
	siginfo_t none, *info = s->a[2] ? (siginfo_t *)s->a[2] : &none;
	struct hps_waiting w;
	long r;

	hps_waiting_begin(&w, HPS_NEVER);
	for (;;) {
		uint32_t child = s->a[0] == P_PID ? hps_child_ended((int)s->a[1]) : s->a[0] == P_ALL ? hps_child_ended(-1) : UINT32_MAX;

		info->si_pid = 0;
		if (child != UINT32_MAX)
			r = CALL(SYS_waitid, P_PID, atomic_load(&hps_slots()[child].pid), info, s->a[3] & ~WNOHANG, s->a[4], 0);
		else
			r = CALL(SYS_waitid, s->a[0], s->a[1], info, s->a[3] | WNOHANG, s->a[4], 0);
		if (r || info->si_pid || s->a[3] & WNOHANG)
			break;
		hps_waiting_round(&w);
	}
	if (!r && info->si_pid && !(s->a[3] & WNOWAIT))
		forget_child(info->si_pid);
	hps_waiting_end();
	return r;
}
