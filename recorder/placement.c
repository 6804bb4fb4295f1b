/* On which processor the program and the supervisor wake each other. Asking wakes us, and our answer wakes the program: two wake-ups
 * a call, which cost several times more when they cross to another processor that idles (in a virtual machine most of all). So a
 * program that runs alone is kept on our processor, by waking it there (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6) and, in
 * bursts, by holding it there while it gets its descriptor. Programs that run at the same time would have to share that one
 * processor: as long as several ask by turns, each is left where it is; unless they do little else than ask, for then all wait for us. */
#include "recorder/recorder.h"

#include <sched.h>
#include <string.h>

#include "recorder/kernel.h"

#define BURST 200  /* descriptors a second: from then on holding pays */
#define WINDOW 256 /* notices without turns: then a program counts as alone again */
#define DENSE_NS (WINDOW * 42000ll) /* 24,000 notices a second */

static void set_apart(struct hps_supervisor *s, bool apart)
{
	s->placement.apart = apart;
	ioctl(s->listener, HPS_NOTIF_SET_FLAGS, apart ? 0 : HPS_NOTIF_SYNC_WAKE_UP); /* Linux before 6.6 refuses: only a matter of speed */
}

/* Brings tid to the front of those that asked last; was it one of them? */
static bool move_to_front(struct hps_placement *p, pid_t tid)
{
	size_t i = 0;
	bool found;

	while (i < ARRAY_SIZE(p->askers) - 1 && p->askers[i] != tid)
		i++;
	found = p->askers[i] == tid;
	memmove(p->askers + 1, p->askers, i * sizeof *p->askers);
	p->askers[0] = tid;
	return found;
}

static void end_window(struct hps_supervisor *s)
{
	struct hps_placement *p = &s->placement;
	int64_t now = hps_time_monotonic_ns();

	p->dense = p->window_ns && now - p->window_ns < DENSE_NS;
	if (p->apart && (p->dense || !p->turns))
		set_apart(s, false);
	p->window_ns = now;
	p->notices = p->turns = 0;
}

/* By turns is A, B, A, B: two in a row that come back. A shell that waits for each of its commands is A, B, A, C. */
void hps_placement_note(struct hps_supervisor *s, pid_t tid)
{
	struct hps_placement *p = &s->placement;
	bool again;

	if (++p->notices > WINDOW)
		end_window(s);
	if (tid == p->askers[0])
		return;
	again = move_to_front(p, tid);
	if (again && p->came_back) {
		p->turns++;
		if (!p->apart && !p->dense)
			set_apart(s, true);
	}
	p->came_back = again;
}

bool hps_placement_hold(struct hps_supervisor *s)
{
	struct hps_placement *p = &s->placement;
	int64_t now = hps_time_monotonic_ns();

	if (now - p->burst_ns > 1000000000) {
		p->burst_ns = now;
		p->burst /= 4;
	}
	return ++p->burst > BURST && !p->apart;
}

bool hps_placement_here(pid_t tid, cpu_set_t *ret_own)
{
	cpu_set_t one;
	int cpu = sched_getcpu();

	CPU_ZERO(&one);
	if (cpu < 0 || sched_getaffinity(tid, sizeof *ret_own, ret_own) || !CPU_ISSET((size_t)cpu, ret_own))
		return false;
	CPU_SET((size_t)cpu, &one);
	return sched_setaffinity(tid, sizeof one, &one) == 0;
}

void hps_placement_anywhere(pid_t tid, cpu_set_t *own)
{
	if (sched_setaffinity(tid, sizeof *own, own) == 0)
		return;
	/* Refused only when the thread was killed or its cpuset changed this instant: then every processor it may use is right. */
	memset(own, 0xff, sizeof *own);
	sched_setaffinity(tid, sizeof *own, own);
}
