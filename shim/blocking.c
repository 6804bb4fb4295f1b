/* Calls that block for something else than a descriptor: words of memory, time, locks. */
#include "shim/order.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/syscall.h>

#ifndef FUTEX_LOCK_PI2 /* Linux 5.14 */
#define FUTEX_LOCK_PI2 13
#endif

static int64_t futex_limit(const struct hps_stop *s)
{
	const struct timespec *t = (const void *)s->a[3];
	int operation = (int)s->a[1] & FUTEX_CMD_MASK;

	if (operation == FUTEX_WAIT)
		return hps_waiting_duration(t);
	return hps_waiting_until((int)s->a[1] & FUTEX_CLOCK_REALTIME || operation == FUTEX_LOCK_PI ? CLOCK_REALTIME : CLOCK_MONOTONIC, t);
}

/* A lock that hands its holder's priority on is the kernel's to give. */
static long lock_pi(const struct hps_stop *s)
{
	long try = (s->a[1] & ~(long)FUTEX_CMD_MASK & ~(long)FUTEX_CLOCK_REALTIME) | FUTEX_TRYLOCK_PI, r;
	struct hps_waiting w;
	enum hps_waited waited = HPS_WAIT_ON;

	hps_waiting_begin(&w, futex_limit(s));
	do
		r = CALL(SYS_futex, s->a[0], try, 0, 0, 0, 0);
	while (r == -EAGAIN && !(waited = hps_waiting_round(&w)));
	hps_waiting_end();
	return !waited ? r : waited == HPS_WAIT_LIMIT ? -ETIMEDOUT : hps_signals_interrupt(s);
}

/* Whoever waits for a word looks at it again when it is woken, for it may be woken for nothing: so it is, each time that its turn comes. */
long hps_on_futex(const struct hps_stop *s)
{
	int operation = (int)s->a[1] & FUTEX_CMD_MASK;
	uint64_t word = (uint64_t)s->a[0];
	uint32_t value = (uint32_t)s->a[2];
	struct shim_thread *me = &hps_shim_thread;
	struct hps_waiting w;
	enum hps_waited waited;
	bool again;

	if (operation == FUTEX_LOCK_PI || operation == FUTEX_LOCK_PI2)
		return lock_pi(s);
	if ((operation != FUTEX_WAIT && operation != FUTEX_WAIT_BITSET) || me->joining)
		return CALL(SYS_futex, s->a[0], s->a[1], s->a[2], s->a[3], s->a[4], s->a[5]);
	if (atomic_load((_Atomic uint32_t *)word) != value) {
		me->waits_for = 0;
		return -EAGAIN;
	}
	again = me->waits_for == word && me->waits_while == value;
	if (!again) {
		hps_waiting_progress();
		me->waits_for = word;
		me->waits_while = value;
	}
	if (!again || me->limit.limit == HPS_NEVER || !s->a[3]) { /* a limit of the same wait goes on */
		hps_waiting_begin(&w, futex_limit(s));
		me->limit.limit = w.limit;
		me->limit.real_limit = w.real_limit;
	} else {
		w = (struct hps_waiting){ me->limit.limit, me->limit.real_limit, me->mask };
	}
	waited = hps_waiting_round(&w);
	if (waited == HPS_WAIT_ON)
		return 0;
	me->waits_for = 0;
	return waited == HPS_WAIT_LIMIT ? -ETIMEDOUT : s->a[3] ? -EINTR : hps_signals_interrupt(s);
}

/* What is left of it when a signal ends it is by our clock, which stands still. */
static long sleep_for(int64_t ns, struct timespec *ret_left)
{
	struct hps_waiting w;
	enum hps_waited waited;
	int64_t left;

	hps_waiting_progress();
	hps_waiting_begin(&w, ns);
	while (!(waited = hps_waiting_round(&w)))
		;
	hps_waiting_end();
	if (waited == HPS_WAIT_LIMIT)
		return 0;
	left = w.limit - hps_shim.head->clock;
	if (ret_left)
		*ret_left = (struct timespec){ left / NS, left % NS };
	return -EINTR;
}

long hps_on_sleep(const struct hps_stop *s)
{
	return sleep_for(hps_waiting_duration((const void *)s->a[0]), (void *)s->a[1]);
}

long hps_on_clock_sleep(const struct hps_stop *s)
{
	const struct timespec *t = (const void *)s->a[2];

	if ((int)s->a[1] & TIMER_ABSTIME)
		return sleep_for(hps_waiting_until((clockid_t)s->a[0], t), NULL);
	return sleep_for(hps_waiting_duration(t), (void *)s->a[3]);
}

/* A thread that spins for another one. */
long hps_on_yield(const struct hps_stop *s)
{
	(void)s;
	hps_waiting_yield();
	return 0;
}

static long lock(const struct hps_stop *s, long command)
{
	struct hps_waiting w;
	enum hps_waited waited = HPS_WAIT_ON;
	long r;

	hps_waiting_begin(&w, HPS_NEVER);
	do
		r = CALL(s->nr, s->a[0], command, s->a[2], 0, 0, 0);
	while ((r == -EAGAIN || r == -EACCES) && !(waited = hps_waiting_round(&w)));
	hps_waiting_end();
	return waited == HPS_WAIT_SIGNAL ? hps_signals_interrupt(s) : r;
}

long hps_on_flock(const struct hps_stop *s)
{
	if (s->a[1] & LOCK_NB)
		return CALL(SYS_flock, s->a[0], s->a[1], 0, 0, 0, 0);
	return lock(s, s->a[1] | LOCK_NB);
}

long hps_on_fcntl(const struct hps_stop *s)
{
	if (s->a[1] != F_SETLKW && s->a[1] != F_OFD_SETLKW)
		return CALL(SYS_fcntl, s->a[0], s->a[1], s->a[2], 0, 0, 0);
	return lock(s, s->a[1] == F_SETLKW ? F_SETLK : F_OFD_SETLK);
}

/* A call that the kernel may be long about: what signals the program lets through are let through. */
long hps_on_slow(const struct hps_stop *s)
{
	long r;

	hps_signals_restore(hps_shim_thread.mask);
	r = CALL(s->nr, s->a[0], s->a[1], s->a[2], s->a[3], s->a[4], s->a[5]);
	hps_signals_block();
	return r;
}

/* Waits for what only others can say: without the turn, and in the order in which they say it. */
long hps_on_open_wait(const struct hps_stop *s)
{
	uint32_t none = 0;
	long r;

	atomic_fetch_add(&hps_shim.head->n_open, 1);
	atomic_compare_exchange_strong(&hps_shim.head->open_call, &none, (uint32_t)s->nr + 1);
	atomic_store(&hps_slot_mine()->state, HPS_SHIM_STRANGER);
	hps_turn_pass();
	r = hps_on_slow(s);
	atomic_store(&hps_slot_mine()->state, HPS_SHIM_LIVE);
	hps_turn_await();
	hps_waiting_end();
	return r;
}
