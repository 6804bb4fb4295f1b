/* The functions of the C library that read clocks. */
#include "shim/shim.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <unistd.h>

#define CHUNK_FIRST 240u
#define CHUNK_MAX (64u << 10)

static int read_clock(clockid_t clock, struct timespec *ret)
{
	/* Asked while we are asking for it: the allocator's, perhaps. */
	return hps_shim.clock_gettime ? hps_shim.clock_gettime(clock, ret) : (int)syscall(SYS_clock_gettime, clock, ret);
}

int64_t hps_shim_now(clockid_t clock)
{
	struct timespec t = { 0 };

	read_clock(clock, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

static int slot_of(clockid_t clock)
{
	static const int8_t slots[] = { [CLOCK_REALTIME] = HPS_SHIM_REALTIME, [CLOCK_MONOTONIC] = HPS_SHIM_MONOTONIC, [CLOCK_PROCESS_CPUTIME_ID] = HPS_SHIM_PROCESS,
					[CLOCK_THREAD_CPUTIME_ID] = HPS_SHIM_THREAD, [CLOCK_MONOTONIC_RAW] = HPS_SHIM_RAW, [CLOCK_REALTIME_COARSE] = HPS_SHIM_REALTIME_COARSE,
					[CLOCK_MONOTONIC_COARSE] = HPS_SHIM_MONOTONIC_COARSE, [CLOCK_BOOTTIME] = HPS_SHIM_BOOTTIME, [8] = -1, [9] = -1, [10] = -1,
					[CLOCK_TAI] = HPS_SHIM_TAI };

	return clock >= 0 && clock < (clockid_t)sizeof slots ? slots[clock] : -1;
}

/* ---- recording ---- */

/* The chunk is full, or there is none: a larger one. Nothing is given back, for nobody knows when a thread is over. */
static bool new_chunk(struct shim_thread *me)
{
	uint32_t size = !me->chunk ? CHUNK_FIRST : me->chunk->size < CHUNK_MAX / 4 ? 4 * me->chunk->size : CHUNK_MAX;
	uint64_t whole = sizeof *me->chunk + ((size + 7) & ~7u), at = atomic_fetch_add(&hps_shim.head->next, whole);

	if (at + whole > hps_shim.head->size)
		return false;
	me->chunk = (void *)((char *)hps_shim.head + at);
	me->chunk->size = size;
	me->chunk->name = me->name;
	return true;
}

static void note(struct shim_thread *me, int slot, int64_t value)
{
	int64_t delta = value - me->last[slot];
	uint64_t rest = ((uint64_t)delta << 1) ^ (uint64_t)(delta >> 63);
	uint8_t *to;

	if (me->over || rest >> 60 || ((!me->chunk || me->chunk->size - me->chunk->used < HPS_SHIM_VALUE_MAX) && !new_chunk(me))) {
		me->over = true; /* a stream with a hole would answer wrongly from there on */
		atomic_fetch_add_explicit(&hps_shim.head->n_lost, 1, memory_order_relaxed);
		return;
	}
	me->last[slot] = value;
	rest = rest << 4 | (unsigned)slot;
	to = (uint8_t *)(me->chunk + 1) + me->chunk->used;
	for (; rest >= 0x80; rest >>= 7, me->chunk->used++)
		*to++ = (uint8_t)(rest | 0x80);
	*to = (uint8_t)rest;
	me->chunk->used++;
}

/* ---- answering ---- */

/* The next value, if it is one of this slot: a program that asks for another has left the recorded path. */
static bool next_value(struct shim_thread *me, int slot, int64_t *ret)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;

	if (me->over)
		return false;
	do {
		if (me->at >= me->end || shift > 63) {
			me->over = true;
			return false;
		}
		byte = *me->at++;
		v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if ((int)(v & 15) != slot) {
		me->over = true;
		return false;
	}
	v >>= 4;
	me->last[slot] += (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
	me->known |= 1u << slot;
	*ret = me->last[slot];
	return true;
}

/* Beyond the record: on from the last that was told, at the machine's pace. */
static int64_t go_on(struct shim_thread *me, int slot, int64_t real)
{
	const struct hps_shim_head *h = hps_shim.head;
	int64_t latest = atomic_load_explicit(&hps_shim.latest[slot], memory_order_relaxed);

	if (!(me->anchored >> slot & 1)) {
		if (!(me->known >> slot & 1))
			me->last[slot] = h->base[slot] + real - h->real_base[slot];
		if (me->last[slot] < latest)
			me->last[slot] = latest;
		me->anchor[slot] = real;
		me->anchored |= 1u << slot;
	}
	atomic_fetch_add_explicit(&hps_shim.head->n_unanswered, 1, memory_order_relaxed);
	return me->last[slot] + real - me->anchor[slot];
}

static void tell(struct shim_thread *me, int slot, int64_t value)
{
	me->told[slot] = value;
	atomic_store_explicit(&hps_shim.latest[slot], value, memory_order_relaxed);
}

static bool answered(int slot, int64_t *ret)
{
	struct shim_thread *me = &hps_shim_thread;
	bool found;

	if (me->busy)
		return false;
	me->busy = true;
	found = next_value(me, slot, ret);
	me->busy = false;
	if (found)
		tell(me, slot, *ret);
	return found;
}

/* The value of a slot, which the machine says is `real`: noted, or one that goes on from the record. */
static int64_t pass(int slot, int64_t real)
{
	struct shim_thread *me = &hps_shim_thread;
	int64_t value = real;

	if (me->busy) { /* a signal handler that reads a clock in the middle of a reading */
		atomic_fetch_add_explicit(&hps_shim.head->n_other, 1, memory_order_relaxed);
		return real;
	}
	me->busy = true;
	if (hps_shim.mode == HPS_SHIM_RECORD)
		note(me, slot, real);
	else
		value = go_on(me, slot, real);
	me->busy = false;
	tell(me, slot, value);
	return value;
}

static long count(int slot, long real)
{
	int64_t value;

	return hps_shim.mode == HPS_SHIM_ANSWER && answered(slot, &value) ? value : pass(slot, real);
}

int64_t hps_shim_latest(clockid_t clock)
{
	int slot = slot_of(clock);
	int64_t latest = slot < 0 ? 0 : hps_shim_thread.told[slot] ? hps_shim_thread.told[slot] : atomic_load(&hps_shim.latest[slot]);

	return latest ? latest : slot < 0 ? hps_shim_now(clock) : hps_shim.head->base[slot] + hps_shim_now(clock) - hps_shim.head->real_base[slot];
}

void hps_shim_deadline(clockid_t clock, const struct timespec *told, struct timespec *ret)
{
	int slot = slot_of(clock);
	int64_t real = hps_shim_now(clock), latest, at;

	*ret = *told;
	if (slot < 0 || told->tv_nsec < 0 || told->tv_nsec >= NS || told->tv_sec > INT64_MAX / NS - 1 || told->tv_sec < 0)
		return;
	latest = hps_shim_latest(clock);
	at = told->tv_sec * NS + told->tv_nsec;
	if (__builtin_sub_overflow(at, latest, &at) || __builtin_add_overflow(at, real, &at))
		return;
	at = at < 0 ? 0 : at;
	*ret = (struct timespec){ at / NS, at % NS };
}

/* ---- the functions ---- */

EXPORT int clock_gettime(clockid_t clock, struct timespec *ret)
{
	enum hps_shim_mode mode = hps_shim_attach();
	int slot = slot_of(clock), r;
	int64_t value;

	/* When it is answered the machine is not asked: that is half of what a reading costs. */
	if (mode == HPS_SHIM_ANSWER && slot >= 0 && answered(slot, &value)) {
		*ret = (struct timespec){ value / NS, value % NS };
		return 0;
	}
	r = read_clock(clock, ret);
	if (mode == HPS_SHIM_OFF || r)
		return r;
	if (slot < 0) {
		atomic_fetch_add_explicit(&hps_shim.head->n_other, 1, memory_order_relaxed);
		return r;
	}
	value = pass(slot, ret->tv_sec * NS + ret->tv_nsec);
	*ret = (struct timespec){ value / NS, value % NS };
	return 0;
}

EXPORT int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec t = { 0 };

	if (zone)
		memset(zone, 0, sizeof(struct timezone));
	if (clock_gettime(CLOCK_REALTIME, &t))
		return -1;
	*ret = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
	return 0;
}

EXPORT time_t time(time_t *ret)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}

EXPORT int timespec_get(struct timespec *ret, int base)
{
	return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, ret) ? base : 0;
}

EXPORT clock_t clock(void)
{
	struct timespec t = { 0 };

	return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) ? -1 : t.tv_sec * CLOCKS_PER_SEC + t.tv_nsec / (NS / CLOCKS_PER_SEC);
}

EXPORT clock_t times(struct tms *ret)
{
	struct tms own;
	clock_t elapsed = (clock_t)syscall(SYS_times, &own);

	if (elapsed == -1 || hps_shim_attach() == HPS_SHIM_OFF) {
		if (ret)
			*ret = own;
		return elapsed;
	}
	elapsed = count(HPS_SHIM_TIMES, elapsed);
	own.tms_utime = count(HPS_SHIM_TIMES, own.tms_utime);
	own.tms_stime = count(HPS_SHIM_TIMES, own.tms_stime);
	own.tms_cutime = count(HPS_SHIM_TIMES, own.tms_cutime);
	own.tms_cstime = count(HPS_SHIM_TIMES, own.tms_cstime);
	if (ret)
		*ret = own;
	return elapsed;
}

EXPORT int getrusage(__rusage_who_t who, struct rusage *ret)
{
	int r = (int)syscall(SYS_getrusage, who, ret);
	long values[sizeof *ret / sizeof(long)];

	if (r || hps_shim_attach() == HPS_SHIM_OFF)
		return r;
	memcpy(values, ret, sizeof values);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		values[i] = count(HPS_SHIM_USAGE, values[i]);
	memcpy(ret, values, sizeof values);
	return 0;
}
