/* The table of threads, and whose turn it is. */
#include "shim/order.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#define WATCH_NS 100000000ll /* how long one waits for its turn before it looks whether the one who has it is still there */
#define LEAVING_NS 20000l
#define LEAVING_LOOKS 50000
#define STRANGE_LOOKS 20     /* such waits for a program that has not loaded this library yet */
#define BEGINNING_LOOKS 100  /* … for a thread of one that has */

struct hps_shim_slot_state *hps_slots(void)
{
	return (void *)((char *)hps_shim.head + HPS_SHIM_SLOT_TABLE);
}

struct hps_shim_slot_state *hps_slot_mine(void)
{
	return hps_slots() + hps_shim_thread.slot;
}

uint64_t hps_slots_live(void)
{
	uint64_t live = 0;

	for (uint32_t i = 0, n = atomic_load(&hps_shim.head->n_slots); i < n; i++)
		live += atomic_load(&hps_slots()[i].state) == HPS_SHIM_LIVE;
	return live;
}

/* Whoever takes one has the turn. */
uint32_t hps_slot_new(pid_t pid, pid_t parent)
{
	uint32_t n = atomic_load(&hps_shim.head->n_slots), i = 0;
	struct hps_shim_slot_state *s = hps_slots();

	while (i < n && atomic_load(&s[i].state) != HPS_SHIM_GONE)
		i++;
	if (i >= HPS_SHIM_SLOTS_MAX) {
		atomic_fetch_add(&hps_shim.head->n_taken, 1);
		return 0;
	}
	atomic_store(&s[i].pid, pid);
	atomic_store(&s[i].parent, parent);
	atomic_store(&s[i].attached, 0);
	s[i].limit = HPS_NEVER;
	atomic_store(&s[i].state, HPS_SHIM_LIVE);
	if (i == n)
		atomic_store(&hps_shim.head->n_slots, n + 1);
	return i;
}

uint32_t hps_turn_after(uint32_t slot)
{
	uint32_t n = atomic_load(&hps_shim.head->n_slots);

	for (uint32_t i = 1; i <= n; i++)
		if (atomic_load(&hps_slots()[(slot + i) % n].state) == HPS_SHIM_LIVE)
			return (slot + i) % n;
	return slot;
}

void hps_turn_give(uint32_t from, uint32_t to)
{
	uint32_t was = from + 1;

	if (from == to || !atomic_compare_exchange_strong(&hps_shim.head->turn, &was, to + 1))
		return;
	CALL(SYS_futex, &hps_shim.head->turn, FUTEX_WAKE_BITSET, INT32_MAX, 0, 0, 1u << (to & 31));
}

void hps_turn_look(uint32_t turn, unsigned looks)
{
	uint32_t holder = turn - 1, live = HPS_SHIM_LIVE, state = HPS_SHIM_LIVE;
	struct hps_shim_slot_state *s = hps_slots() + holder;
	pid_t pid = atomic_load(&s->pid);

	if (pid && hps_child_is_dead(pid)) /* it was killed, and has not passed its turn on */
		state = HPS_SHIM_EXITED;
	else if (!atomic_load(&s->attached) && looks >= (atomic_load(&s->parent) ? STRANGE_LOOKS : BEGINNING_LOOKS))
		state = HPS_SHIM_STRANGER;
	if (atomic_load(&s->state) == HPS_SHIM_LIVE && state == HPS_SHIM_LIVE) {
		if (atomic_load(&s->attached))
			hps_standstill_look(holder, looks);
		return;
	}
	if (atomic_load(&hps_shim.head->turn) != turn) /* it has gone on meanwhile, and the slot may be another's */
		return;
	if (state != HPS_SHIM_LIVE && atomic_compare_exchange_strong(&s->state, &live, state))
		atomic_fetch_add(&hps_shim.head->n_taken, 1);
	hps_turn_give(holder, hps_turn_after(holder));
}

/* When a thread is over is visible: its memory is used again, and whoever waits for it goes on. */
static void await_leaving(void)
{
	struct hps_shim_head *h = hps_shim.head;
	int32_t pid = atomic_load(&h->leaving_pid), tid = atomic_load(&h->leaving_tid);
	struct timespec nap = { 0, LEAVING_NS };

	for (unsigned i = 0; tid && i < LEAVING_LOOKS && !CALL(SYS_tgkill, pid, tid, 0, 0, 0, 0); i++)
		CALL(SYS_nanosleep, &nap, 0, 0, 0, 0, 0);
	if (tid)
		atomic_store(&h->leaving_tid, 0);
}

void hps_turn_await(void)
{
	struct hps_shim_head *h = hps_shim.head;
	uint32_t me = hps_shim_thread.slot, seen = 0, calls_seen = 0;
	unsigned looks = 0;

	for (uint32_t turn; (turn = atomic_load(&h->turn)) != me + 1 && !hps_order_is_released();) {
		struct timespec limit = { 0, WATCH_NS };
		uint32_t calls = turn ? atomic_load(&hps_watch(turn - 1)->n_calls) : 0;

		looks = turn == seen && calls == calls_seen ? looks : 0;
		seen = turn;
		calls_seen = calls;
		/* FUTEX_WAIT takes a duration (FUTEX_WAIT_BITSET a point in time): each wait is one look long. */
		if (CALL(SYS_futex, &h->turn, FUTEX_WAIT, turn, &limit, 0, 0) == -ETIMEDOUT && turn)
			hps_turn_look(turn, ++looks);
	}
	await_leaving();
	hps_child_settle();
}

void hps_turn_pass(void)
{
	hps_shim_thread.calls = hps_shim_thread.repeated = 0;
	hps_turn_give(hps_shim_thread.slot, hps_turn_after(hps_shim_thread.slot));
}

void hps_turn_be_fair(void)
{
	hps_turn_pass();
	hps_turn_await();
}
