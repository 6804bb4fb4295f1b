/* Who has the turn and makes no call: one that computes, or one that waits in memory for what only another thread can bring, and that would
 * wait for ever. Where it is says which: seen in states in which it was seen before, again and again, it has no way on. */
#include "shim/order.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define QUIET_LOOKS 20	   /* before which nobody is disturbed */
#define BLOCKED_LOOKS 100  /* for a call that the kernel is that long about */
#define ANYBODY_LOOKS 100  /* then not only the next one looks */
#define ENDLESS_LOOKS 6000 /* ten minutes without a call, while others wait */
#define SAMPLES 4	   /* a look */
#define SAMPLE_NS 2000000l
#define ENOUGH 32     /* samples in states that were seen before, or beside an instruction that says that it waits */
#define LOOP_BYTES 64ull
#define RED_ZONE 128ull
#define PAGE 4096ull

struct hps_shim_watch *hps_watch(uint32_t slot)
{
	return (struct hps_shim_watch *)(void *)((char *)hps_shim.head + HPS_SHIM_WATCH_TABLE) + slot;
}

bool hps_order_is_released(void)
{
	return atomic_load_explicit(&hps_shim.head->released, memory_order_acquire) != 0;
}

/* The kernel is long about a call that is not made in a form that cannot block: it is waited for without the turn. */
static void go_on_without(uint32_t holder, uint32_t call)
{
	uint32_t live = HPS_SHIM_LIVE, none = 0;

	if (!atomic_compare_exchange_strong(&hps_slots()[holder].state, &live, HPS_SHIM_STRANGER))
		return;
	atomic_fetch_add(&hps_shim.head->n_open, 1);
	atomic_compare_exchange_strong(&hps_shim.head->open_call, &none, call);
	hps_turn_give(holder, hps_turn_after(holder));
}

void hps_standstill_look(uint32_t holder, unsigned looks)
{
	struct hps_shim_watch *w = hps_watch(holder);
	struct timespec nap = { 0, SAMPLE_NS };
	uint32_t call = atomic_load(&w->call);

	if (looks < QUIET_LOOKS)
		return;
	if (call) {
		if (looks >= BLOCKED_LOOKS)
			go_on_without(holder, call);
		return;
	}
	if (hps_turn_after(holder) != hps_shim_thread.slot && looks < ANYBODY_LOOKS)
		return;
	atomic_store(&w->looks, looks);
	if (looks >= ENDLESS_LOOKS)
		atomic_store(&w->give_up, 1);
	for (int i = 0; i < SAMPLES; i++) {
		CALL(SYS_tgkill, atomic_load(&hps_slots()[holder].pid), atomic_load(&w->tid), SIGSYS, 0, 0, 0);
		CALL(SYS_nanosleep, &nap, 0, 0, 0, 0, 0);
	}
}

/* ---- by the holder itself ---- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	for (uint64_t word, i = 0; i + sizeof word <= len; i += sizeof word) {
		memcpy(&word, (const char *)bytes + i, sizeof word);
		hash = hps_shim_name(hash, 0, word + i);
	}
	return hash;
}

/* Registers, and the end of the stack: a loop that gets anywhere changes something in them. What is above on the next page may not be there. */
static uint64_t state_of(const ucontext_t *c)
{
	const greg_t *r = c->uc_mcontext.gregs;
	uint64_t end = (uint64_t)r[REG_RSP], left = (PAGE - end % PAGE) % PAGE;
	uint64_t hash = mix(0, r, (REG_EFL + 1) * sizeof *r);

	hash = mix(hash, (const void *)(end - RED_ZONE), RED_ZONE + (left < RED_ZONE ? left : RED_ZONE)); /* NOLINT: an address by definition */
	return c->uc_mcontext.fpregs ? mix(hash, c->uc_mcontext.fpregs->_xmm, sizeof c->uc_mcontext.fpregs->_xmm) : hash;
}

/* PAUSE, which loops have that wait in memory and no others; on the same page, for the next one may not be there. */
static bool pauses_nearby(uint64_t at)
{
	uint64_t page = at - at % PAGE, from = at - page < LOOP_BYTES ? page : at - LOOP_BYTES, to = at - page > PAGE - LOOP_BYTES ? page + PAGE : at + LOOP_BYTES;

	for (const uint8_t *p = (const uint8_t *)from; p + 1 < (const uint8_t *)to; p++) /* NOLINT: an address by definition */
		if (p[0] == 0xf3 && p[1] == 0x90)
			return true;
	return false;
}

static void note_state(struct shim_thread *me, const ucontext_t *c)
{
	uint64_t state = state_of(c), at = (uint64_t)c->uc_mcontext.gregs[REG_RIP];
	uint32_t i = 0;

	while (i < SHIM_STATES && me->states[i] != state)
		i++;
	me->n_known = i < SHIM_STATES ? me->n_known + 1 : 0;
	if (i == SHIM_STATES)
		me->states[me->n_states++ % SHIM_STATES] = state;
	if (at + LOOP_BYTES < me->loop || at > me->loop + LOOP_BYTES) { /* another one */
		me->loop = at;
		me->n_pauses = 0;
	}
	me->n_pauses = pauses_nearby(at) ? me->n_pauses + 1 : 0;
}

static void release(enum hps_shim_stood how, uint32_t looks)
{
	struct hps_shim_head *h = hps_shim.head;
	uint32_t nobody = 0;

	if (!atomic_compare_exchange_strong(&h->stood_how, &nobody, how))
		return;
	h->stood_call = hps_shim_thread.last_call;
	h->stood_looks = looks;
	CALL(SYS_prctl, PR_GET_NAME, h->stood_thread, 0, 0, 0, 0);
	atomic_store(&h->released, 1);
	CALL(SYS_futex, &h->turn, FUTEX_WAKE, INT32_MAX, 0, 0, 0);
}

void hps_standstill_sample(const ucontext_t *c)
{
	struct shim_thread *me = &hps_shim_thread;
	struct hps_shim_watch *w = hps_watch(me->slot);
	uint32_t calls = atomic_load(&w->n_calls);

	if (atomic_load(&hps_shim.head->turn) != me->slot + 1 || atomic_load(&w->call) || hps_order_is_released())
		return;
	if (calls != me->sampled_calls || !me->n_states) {
		me->sampled_calls = calls;
		me->n_states = me->n_known = me->n_pauses = 0;
		for (uint32_t i = 0; i < SHIM_STATES; i++)
			me->states[i] = 0;
	}
	note_state(me, c);
	if (me->n_known >= ENOUGH || me->n_pauses >= ENOUGH)
		release(HPS_SHIM_SPINS, atomic_load(&w->looks));
	else if (atomic_load(&w->give_up))
		release(HPS_SHIM_COMPUTES, atomic_load(&w->looks));
}
