/* The ends of processes, as those learn of them who started them. A child has said in its turn that it ends; the kernel takes the time it takes. */
#include "shim/order.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SETTLED 2
#define END_SECONDS 10

uint32_t hps_child_ended(long pid)
{
	pid_t own = hps_gate_getpid();

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (atomic_load(&hps_slots()[i].state) == HPS_SHIM_EXITED && atomic_load(&hps_slots()[i].parent) == own &&
		    (pid <= 0 || atomic_load(&hps_slots()[i].pid) == pid))
			return i;
	return UINT32_MAX;
}

static bool is_dead_within(pid_t pid, time_t seconds)
{
	long fd = CALL(SYS_pidfd_open, pid, 0, 0, 0, 0, 0);
	struct pollfd p = { .fd = (int)fd, .events = POLLIN };
	struct timespec limit = { seconds, 0 };
	bool dead = fd == -ESRCH;

	if (fd >= 0) {
		dead = CALL(SYS_ppoll, &p, 1, &limit, 0, 0, 0) == 1;
		CALL(SYS_close, fd, 0, 0, 0, 0, 0);
	}
	return dead;
}

bool hps_child_is_dead(pid_t pid)
{
	return is_dead_within(pid, 0);
}

void hps_child_settle(void)
{
	uint64_t ended = atomic_load(&hps_shim.head->n_ended);
	pid_t own;

	if (ended == hps_shim.n_ended_seen)
		return;
	hps_shim.n_ended_seen = ended;
	own = hps_gate_getpid();
	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++) {
		struct hps_shim_slot_state *s = &hps_slots()[i];

		if (atomic_load(&s->state) != HPS_SHIM_EXITED || atomic_load(&s->parent) != own || atomic_exchange(&s->attached, SETTLED) == SETTLED)
			continue;
		if (CALL(SYS_waitid, P_PID, atomic_load(&s->pid), 0, WEXITED | WNOWAIT | __WALL, 0, 0) == -ECHILD)
			atomic_store(&s->state, HPS_SHIM_GONE); /* nobody waits for it */
	}
}

void hps_child_killed(pid_t pid)
{
	pid_t parent;

	if (!is_dead_within(pid, END_SECONDS))
		return;
	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++) {
		struct hps_shim_slot_state *s = &hps_slots()[i];

		if (atomic_load(&s->pid) != pid || atomic_load(&s->state) == HPS_SHIM_EXITED || atomic_load(&s->state) == HPS_SHIM_GONE)
			continue;
		parent = atomic_load(&s->parent);
		atomic_store(&s->state, parent ? HPS_SHIM_EXITED : HPS_SHIM_GONE);
	}
	atomic_fetch_add(&hps_shim.head->n_ended, 1);
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
	enum hps_waited waited = HPS_WAIT_ON;
	long r;

	hps_waiting_begin(&w, HPS_NEVER);
	for (;;) {
		uint32_t child = hps_child_ended((int)s->a[0]);

		if (child != UINT32_MAX)
			r = CALL(SYS_wait4, atomic_load(&hps_slots()[child].pid), s->a[1], s->a[2] & ~WNOHANG, s->a[3], 0, 0);
		else
			r = CALL(SYS_wait4, s->a[0], s->a[1], s->a[2] | WNOHANG, s->a[3], 0, 0);
		if (r || s->a[2] & WNOHANG || (waited = hps_waiting_round(&w)))
			break;
	}
	if (r > 0)
		forget_child(r);
	if (r)
		hps_waiting_end();
	return waited ? hps_signals_interrupt(s) : r;
}

long hps_on_waitid(const struct hps_stop *s)
{
	siginfo_t none, *info = s->a[2] ? (siginfo_t *)s->a[2] : &none;
	struct hps_waiting w;
	enum hps_waited waited = HPS_WAIT_ON;
	long r;

	hps_waiting_begin(&w, HPS_NEVER);
	for (;;) {
		uint32_t child = s->a[0] == P_PID ? hps_child_ended((int)s->a[1]) : s->a[0] == P_ALL ? hps_child_ended(-1) : UINT32_MAX;

		info->si_pid = 0;
		if (child != UINT32_MAX)
			r = CALL(SYS_waitid, P_PID, atomic_load(&hps_slots()[child].pid), info, s->a[3] & ~WNOHANG, s->a[4], 0);
		else
			r = CALL(SYS_waitid, s->a[0], s->a[1], info, s->a[3] | WNOHANG, s->a[4], 0);
		if (r || info->si_pid || s->a[3] & WNOHANG || (waited = hps_waiting_round(&w)))
			break;
	}
	if (!r && info->si_pid && !(s->a[3] & WNOWAIT))
		forget_child(info->si_pid);
	hps_waiting_end();
	return waited ? hps_signals_interrupt(s) : r;
}
