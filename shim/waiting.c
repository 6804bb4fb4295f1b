/* Waiting for others: the turn goes round until there is what one waits for, or the limit is reached. */
#include "shim/order.h"

#include <sys/syscall.h>

#define NAP_NS 20000ll
#define NAP_MAX_NS 1000000ll
#define YIELDS 1000 /* looks of one thread while nobody else goes on */
#define BUSY 100000 /* steps of others, after which a limit is reached though they go on: they may do so until it is */

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
	w->mask = hps_shim_thread.mask;
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

static void nap_for(uint64_t times, int64_t left)
{
	int64_t want = times > NAP_MAX_NS / NAP_NS ? NAP_MAX_NS : NAP_NS * (int64_t)times;
	struct timespec t = { 0, want < left ? want : left };

	CALL(SYS_nanosleep, &t, 0, 0, 0, 0, 0);
}

static void move_clock(int64_t to)
{
	struct hps_shim_head *h = hps_shim.head;

	h->clock = to > h->clock ? to : h->clock;
	hps_waiting_end();
	h->n_progress_then = h->n_progress;
}

enum hps_waited hps_waiting_round(const struct hps_waiting *w)
{
	struct hps_shim_head *h = hps_shim.head;
	uint64_t n, live = hps_slots_live();

	if (hps_order_is_released())
		hps_shim_thread.again = true;
	if (hps_shim_thread.again || hps_signals_heed(w->mask))
		return HPS_WAIT_SIGNAL;
	n = ++h->idle;
	hps_slot_mine()->limit = w->limit;
	if (n > 2 * live || h->n_progress - h->n_progress_then > BUSY) {
		int64_t left = earliest() == hps_shim_thread.slot ? w->real_limit - hps_gate_now() : HPS_NEVER;

		if (left <= 0) {
			move_clock(w->limit);
			return HPS_WAIT_LIMIT;
		}
		if (n > 2 * live)
			nap_for(n - 2 * live, left);
	}
	hps_turn_pass();
	hps_turn_await();
	return HPS_WAIT_ON;
}

bool hps_waiting_over(const struct hps_waiting *w)
{
	return w->limit == hps_shim.head->clock;
}

void hps_waiting_progress(void)
{
	hps_shim.head->idle = 0;
	hps_shim.head->n_progress++;
}

void hps_waiting_end(void)
{
	hps_waiting_progress();
	hps_slot_mine()->limit = HPS_NEVER;
}

/* How often it asks must not follow from how long the machine takes until somebody's limit: so it waits for that, if there is one. */
void hps_waiting_yield(void)
{
	struct hps_shim_head *h = hps_shim.head;
	struct shim_thread *me = &hps_shim_thread;
	struct hps_waiting w;

	if (h->n_progress != me->progress_seen)
		me->yields = 0;
	me->progress_seen = h->n_progress;
	if (me->yields < YIELDS) {
		me->yields++;
		h->idle = 0;
		hps_turn_be_fair();
		return;
	}
	hps_waiting_begin(&w, HPS_NEVER);
	while (!hps_waiting_round(&w) && h->n_progress == me->progress_seen && earliest() != UINT32_MAX)
		;
}
