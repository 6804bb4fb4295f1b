/* On which processor a program and the supervisor wake each other. Asking wakes us, and our answer wakes the program: two wake-ups
 * a call, which cost several times more when they cross to another processor that idles (in a virtual machine most of all). So we
 * are woken where the program asks and wake it there (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6) and, in bursts, hold it there while it
 * gets its descriptor. Who asked while we were busy with another one's call ran on another processor, and goes on there: all
 * would share ours else, and the rest idle; unless programs do little else than ask, for then they wait for us anyway. */
#include "recorder/recorder.h"

#include <sched.h>
#include <string.h>

#include "recorder/kernel.h"

#define BURST 200    /* descriptors a second: from then on holding pays */
#define WINDOW 256   /* notices */
#define DENSE_NS (WINDOW * 42000ll) /* 24,000 notices a second */
#define SLEPT_NS 3000 /* a notice that comes sooner after the last answer was there before it; to sleep and be woken takes longer */

static void wake_here(struct hps_supervisor *s, bool here)
{
	ioctl(s->listener, HPS_NOTIF_SET_FLAGS, here ? HPS_NOTIF_SYNC_WAKE_UP : 0); /* Linux before 6.6 refuses: only a matter of speed */
}

void hps_placement_note(struct hps_supervisor *s, int64_t now_ns)
{
	struct hps_placement *p = &s->placement;

	if (++p->notices == WINDOW) {
		p->dense = now_ns - p->window_ns < DENSE_NS;
		p->window_ns = now_ns;
		p->notices = 0;
	}
	p->elsewhere = !p->dense && now_ns - p->answered_ns < SLEPT_NS;
	if (p->elsewhere)
		wake_here(s, false);
}

void hps_placement_answered(struct hps_supervisor *s, int64_t now_ns)
{
	if (s->placement.elsewhere)
		wake_here(s, true);
	s->placement.elsewhere = false;
	s->placement.answered_ns = now_ns;
}

bool hps_placement_hold(struct hps_supervisor *s, int64_t now_ns)
{
	struct hps_placement *p = &s->placement;

	if (now_ns - p->burst_ns > 1000000000) {
		p->burst_ns = now_ns;
		p->burst /= 4;
	}
	return ++p->burst > BURST && !p->elsewhere;
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
