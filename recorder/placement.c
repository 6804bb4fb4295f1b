/* On which processor a program and the supervisor wake each other. Asking wakes us, and our answer wakes the program: two wake-ups
 * a call, which cost several times more when they cross to another processor that idles (in a virtual machine most of all). So we
 * are woken where the program asks and wake it there (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6) and, in bursts, hold it there while it
 * gets its descriptor. That would gather all programs on one processor while the rest idle, for who was woken there stays there. So the kernel
 * chooses for two: who asked while we were busy with another one's call ran on another processor; and who finds that another one went on
 * here a moment ago shares this processor with it. Unless programs do little else than ask, for then they wait for us anyway. */
#include "recorder/recorder.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include "recorder/kernel.h"

#define BURST 200    /* descriptors a second: from then on holding pays */
#define WINDOW 256   /* notices */
#define DENSE_NS (WINDOW * 42000ll) /* 24,000 notices a second: to share our processor is tried for a window */
#define DENSE_PERCENT 45 /* of that window we were at work: it goes on. Compilers leave us a third at most, a loop of opens two thirds */
#define DOUBT_LEAST 4    /* windows until it is tried again; each time twice as many */
#define DOUBT_MOST 1024
#define SLEPT_NS 3000 /* a notice that comes sooner after the last answer was there before it; to sleep and be woken takes longer */
#define CROWD_NS 5000000 /* who went on so short a while ago, and has not asked again, may still want the processor */

static void wake_here(struct hps_supervisor *s, bool here)
{
	ioctl(s->listener, HPS_NOTIF_SET_FLAGS, here ? HPS_NOTIF_SYNC_WAKE_UP : 0); /* Linux before 6.6 refuses: only a matter of speed */
}

/* ---- how dense notices come ---- */

void hps_placement_window(struct hps_placement *p, int64_t now_ns, int64_t worked_ns)
{
	int64_t lasted_ns = now_ns - p->window_ns, share = lasted_ns > 0 ? (worked_ns - p->worked_ns) * 100 / lasted_ns : 0;

	if (p->dense && share >= DENSE_PERCENT) {
		p->doubt = 0;
	} else if (p->dense) {
		p->dense = false;
		p->doubt = p->doubt ? p->doubt * 2 : DOUBT_LEAST;
		p->doubt = p->doubt < DOUBT_MOST ? p->doubt : DOUBT_MOST;
		p->wait = p->doubt;
	} else if (p->wait) {
		p->wait--;
	} else {
		p->dense = lasted_ns < DENSE_NS;
	}
	p->window_ns = now_ns;
	p->worked_ns = worked_ns;
	p->notices = 0;
}

static int64_t worked_ns(void)
{
	struct timespec t = { 0 };

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* ---- who goes on where ---- */

/* Of this processor: who went on here last. */
static struct hps_placed *here(struct hps_placement *p)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? NULL : &p->last[(unsigned)cpu % ARRAY_SIZE(p->last)];
}

static uint32_t index_of(const struct hps_supervisor *s, pid_t tid)
{
	return (size_t)tid < s->tracees.n_tids ? s->tracees.by_tid[tid] : 0;
}

/* A parent most likely waits for its child; and whoever is not known yet was just placed by the kernel. */
static bool is_parent(const struct hps_supervisor *s, pid_t parent, pid_t tid)
{
	uint32_t of = index_of(s, parent), index = index_of(s, tid);
	const struct hps_tracee *t = index ? s->tracees.items[index - 1] : NULL;

	return !t || (of && t->parent == of);
}

static bool crowded(struct hps_supervisor *s, pid_t tid, int64_t now_ns)
{
	const struct hps_placed *last = here(&s->placement);

	return last && last->tid && last->tid != tid && now_ns - last->at_ns < CROWD_NS && !is_parent(s, last->tid, tid);
}

/* It waits for our answer: nobody shares a processor with it. */
static void forget(struct hps_placement *p, pid_t tid)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->last); i++)
		if (p->last[i].tid == tid)
			p->last[i].tid = 0;
}

void hps_placement_note(struct hps_supervisor *s, pid_t tid, int64_t now_ns)
{
	struct hps_placement *p = &s->placement;

	if (++p->notices == WINDOW)
		hps_placement_window(p, now_ns, worked_ns());
	forget(p, tid);
	p->elsewhere = !p->dense && (now_ns - p->answered_ns < SLEPT_NS || crowded(s, tid, now_ns));
	if (p->elsewhere)
		wake_here(s, false);
}

void hps_placement_answered(struct hps_supervisor *s, pid_t tid, int64_t now_ns)
{
	struct hps_placed *last = here(&s->placement);

	if (s->placement.elsewhere)
		wake_here(s, true);
	else if (last)
		*last = (struct hps_placed){ now_ns, tid };
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
