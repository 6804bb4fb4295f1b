/* Waiting for others: the turn goes round until there is what one waits for, or the limit is reached. */
#include "shim/order.h"

#include <sys/syscall.h>

#define NAP_NS 20000ll
#define NAP_MAX_NS 1000000ll

int64_t hps_waiting_duration(const struct timespec *t)
{
	return !t ? HPS_NEVER : t->tv_sec > INT64_MAX / NS / 2 ? HPS_NEVER : t->tv_sec * NS + t->tv_nsec;
}

int64_t hps_waiting_until(clockid_t clock, const struct timespec *t)
{
	int64_t latest = hps_shim_latest(clock);

	return !t ? HPS_NEVER : t->tv_sec > INT64_MAX / NS / 2 ? HPS_NEVER : t->tv_sec * NS + t->tv_nsec - latest;
}

void hps_waiting_begin(struct hps_waiting *w, int64_t ns)
{
	w->limit = ns == HPS_NEVER || ns > HPS_NEVER / 2 ? HPS_NEVER : hps_shim.head->clock + (ns < 0 ? 0 : ns);
	w->real_limit = w->limit == HPS_NEVER ? HPS_NEVER : hps_gate_now() + (ns < 0 ? 0 : ns);
}

/* Whose limit ends first; of several the lowest slot, and not who comes by first. */
static uint32_t earliest(void)
{
	uint32_t first = UINT32_MAX;
	int64_t limit = HPS_NEVER;

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		if (atomic_load(&hps_slots()[i].state) == HPS_SHIM_LIVE && hps_slots()[i].limit < limit) {
			limit = hps_slots()[i].limit;
			first = i;
		}
	return first;
}

static void nap(int64_t ns)
{
	struct timespec t = { 0, ns };

	CALL(SYS_nanosleep, &t, 0, 0, 0, 0, 0);
}

bool hps_waiting_round(const struct hps_waiting *w)
{
	struct hps_shim_head *h = hps_shim.head;
	uint64_t n = ++h->idle, live = hps_slots_live();

	hps_slot_mine()->limit = w->limit;
	if (n > 2 * live) {
		bool first = earliest() == hps_shim_thread.slot;
		int64_t left = first ? w->real_limit - hps_gate_now() : HPS_NEVER, want = NAP_NS * (int64_t)(n - 2 * live);

		if (left <= 0) {
			h->clock = w->limit > h->clock ? w->limit : h->clock;
			h->idle = 0;
			hps_slot_mine()->limit = HPS_NEVER;
			return true;
		}
		want = want > NAP_MAX_NS ? NAP_MAX_NS : want;
		nap(want < left ? want : left);
	}
	hps_turn_pass();
	hps_turn_await();
	return false;
}

bool hps_waiting_over(const struct hps_waiting *w)
{
	return w->limit == hps_shim.head->clock;
}

void hps_waiting_end(void)
{
	hps_shim.head->idle = 0;
	hps_slot_mine()->limit = HPS_NEVER;
}
