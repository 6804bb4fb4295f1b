/* A second thread at the listener, for the case that the first one is held up inside a call: a file system that the trial itself
 * serves, a server that is gone, memory that the trial fills on demand. It lets the calls of the others go on unseen, which is a gap, and
 * so keeps the trial from waiting for itself. */
#include "recorder/network.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define LOOK_MS 250 /* held up at two looks, with nothing hashed between them */

struct look {
	uint64_t turn, chunks;
};

static struct look look(const struct hps_supervisor *s)
{
	return (struct look){ atomic_load(&s->turn), hps_hasher_progress(s->hasher) };
}

/* Does the thread wait for something else than a processor? */
static bool sleeps(const struct hps_supervisor *s, pid_t tid)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char path[48];
	const char *state;

	snprintf(path, sizeof path, "self/task/%d/stat", tid);
	state = hps_file_read(s->proc_fd, path, 4096, &text, NULL) || !text.data ? NULL : strrchr(text.data, ')');
	return !state || state[1] != ' ' || state[2] != 'R';
}

/* Inside a call (turns are odd then), the same one as at the last look, and not for want of a digest? Nor for want of a processor:
 * the hasher is the last to get one, and the supervisor may wait for its digest. */
static bool held_up(const struct hps_supervisor *s, const struct look *before)
{
	struct look now = look(s);

	return now.turn & 1 && now.turn == before->turn && now.chunks == before->chunks && sleeps(s, atomic_load(&s->tid)) &&
	       sleeps(s, hps_hasher_tid(s->hasher));
}

static void pass(struct hps_supervisor *s)
{
	struct seccomp_notif n;
	struct hps_call c = { .n = &n };

	memset(&n, 0, sizeof n);
	if (ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &n))
		return;
	atomic_fetch_add(&s->n_notices, 1);
	if ((pid_t)n.pid == s->control_tid) {
		atomic_store(&s->ended, true);
		hps_answer_error(s, &c, ENOSYS);
		return;
	}
	hps_gap_note(s->gaps, HPS_GAP_HELD_UP);
	atomic_store(&s->missed, true);
	hps_answer_continue(s, &c);
}

static bool over(struct hps_standby *b, int wait_ms)
{
	struct timespec until;
	bool end;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += wait_ms * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&b->lock);
	if (!b->end)
		pthread_cond_timedwait(&b->woken, &b->lock, &until);
	end = b->end;
	pthread_mutex_unlock(&b->lock);
	return end;
}

static void *standby_main(void *arg)
{
	struct hps_supervisor *s = arg;
	struct look before = { 0 };

	pthread_setname_np(pthread_self(), "standby");
	while (!over(&s->standby, LOOK_MS)) {
		while (held_up(s, &before) && !atomic_load(&s->ended)) {
			struct pollfd p = { .fd = s->listener, .events = POLLIN };

			if (poll(&p, 1, LOOK_MS / 10) == 1 && p.revents & POLLIN && held_up(s, &before))
				pass(s);
		}
		before = look(s);
		hps_peers_read(s->peers);
	}
	return NULL;
}

void hps_standby_start(struct hps_supervisor *s)
{
	pthread_mutex_init(&s->standby.lock, NULL);
	pthread_cond_init(&s->standby.woken, NULL);
	s->standby.runs = pthread_create(&s->standby.thread, NULL, standby_main, s) == 0;
}

void hps_standby_end(struct hps_supervisor *s)
{
	pthread_mutex_lock(&s->standby.lock);
	s->standby.end = true;
	pthread_cond_signal(&s->standby.woken);
	pthread_mutex_unlock(&s->standby.lock);
	if (s->standby.runs)
		pthread_join(s->standby.thread, NULL);
	pthread_mutex_destroy(&s->standby.lock);
	pthread_cond_destroy(&s->standby.woken);
}
