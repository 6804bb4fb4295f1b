/* Calls that block until a descriptor has something, or takes something. */
#include "shim/order.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PIPE_PART 4096 /* what a pipe takes whole when it says that it takes anything */

static long ready(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	struct timespec none = { 0 };

	return CALL(SYS_ppoll, &p, 1, &none, 0, 0, 0);
}

static bool does_not_block(int fd, long flags)
{
	return flags & MSG_DONTWAIT || CALL(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0) & O_NONBLOCK;
}

/* What is no such file always is ready. False: a signal came first. */
static bool await_ready(int fd, short events, long flags)
{
	struct hps_waiting w;
	enum hps_waited waited = HPS_WAIT_ON;

	if (ready(fd, events) == 0 && does_not_block(fd, flags))
		return true;
	hps_waiting_begin(&w, HPS_NEVER);
	while (!waited && ready(fd, events) == 0)
		waited = hps_waiting_round(&w);
	hps_waiting_end();
	return !waited;
}

static long as_asked(const struct hps_stop *s)
{
	return CALL(s->nr, s->a[0], s->a[1], s->a[2], s->a[3], s->a[4], s->a[5]);
}

static long flags_of(const struct hps_stop *s)
{
	bool message = s->nr == SYS_recvmsg || s->nr == SYS_sendmsg, many = s->nr == SYS_recvfrom || s->nr == SYS_sendto || s->nr == SYS_recvmmsg || s->nr == SYS_sendmmsg;

	return message ? s->a[2] : many ? s->a[3] : 0;
}

long hps_on_read(const struct hps_stop *s)
{
	return await_ready((int)s->a[0], POLLIN, flags_of(s)) ? as_asked(s) : hps_signals_interrupt(s);
}

long hps_on_send(const struct hps_stop *s)
{
	return await_ready((int)s->a[0], POLLOUT, flags_of(s)) ? as_asked(s) : hps_signals_interrupt(s);
}

long hps_on_write(const struct hps_stop *s)
{
	struct stat st;
	long len = s->a[2];

	if (!await_ready((int)s->a[0], POLLOUT, 0))
		return hps_signals_interrupt(s);
	if (len > PIPE_PART && !CALL(SYS_fstat, s->a[0], &st, 0, 0, 0, 0) && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		len = PIPE_PART;
	return CALL(SYS_write, s->a[0], s->a[1], len, 0, 0, 0);
}

/* Nothing is there yet: whether to look again. A signal ends it; but one that the call's own mask lets through has to come inside of the call. */
static bool goes_on(const struct hps_waiting *w, const uint64_t *mask, long *r)
{
	enum hps_waited waited;

	if (hps_waiting_over(w))
		return false;
	waited = hps_waiting_round(w);
	if (waited == HPS_WAIT_SIGNAL && !mask)
		*r = -EINTR;
	return waited == HPS_WAIT_ON || (waited == HPS_WAIT_SIGNAL && mask && !hps_shim_thread.again);
}

/* Whoever looks whether something is there may look again at once. */
static long done(const struct hps_waiting *w, long r)
{
	if (r || !hps_waiting_over(w)) {
		hps_waiting_end();
		hps_turn_be_fair();
	} else {
		hps_waiting_yield();
	}
	return r;
}

long hps_on_poll(const struct hps_stop *s)
{
	struct timespec none = { 0 };
	bool old = s->nr == SYS_poll;
	uint64_t own;
	const uint64_t *mask = hps_signals_without_ours(old ? NULL : (const void *)s->a[3], &own);
	struct hps_waiting w;
	long r;

	hps_waiting_begin(&w, !old ? hps_waiting_duration((const void *)s->a[2]) : (int)s->a[2] < 0 ? HPS_NEVER : (int)s->a[2] * (NS / 1000));
	if (mask)
		w.mask = *mask;
	do
		r = CALL(SYS_ppoll, s->a[0], s->a[1], &none, mask, sizeof own, 0);
	while (!r && goes_on(&w, mask, &r));
	return done(&w, r);
}

static int64_t select_limit(const struct hps_stop *s)
{
	const struct timeval *val = (const void *)s->a[4];

	if (s->nr == SYS_pselect6)
		return hps_waiting_duration((const void *)s->a[4]);
	return !val ? HPS_NEVER : val->tv_sec * NS + val->tv_usec * 1000;
}

long hps_on_select(const struct hps_stop *s)
{
	fd_set sets[3];
	struct timespec none = { 0 };
	struct {
		const uint64_t *mask;
		size_t size;
	} given = { NULL, sizeof(uint64_t) };
	uint64_t own;
	struct hps_waiting w;
	long r;

	if (s->a[0] > FD_SETSIZE || s->a[0] < 0)
		return as_asked(s);
	hps_waiting_begin(&w, select_limit(s));
	if (s->nr == SYS_pselect6 && s->a[5])
		given.mask = hps_signals_without_ours(*(const uint64_t *const *)s->a[5], &own);
	for (size_t i = 0; i < 3; i++)
		if (s->a[i + 1])
			sets[i] = *(const fd_set *)s->a[i + 1];
	if (given.mask)
		w.mask = *given.mask;
	for (;;) {
		bool on;

		r = CALL(SYS_pselect6, s->a[0], s->a[1], s->a[2], s->a[3], &none, &given);
		on = !r && goes_on(&w, given.mask, &r);
		for (size_t i = 0; i < 3 && (on || hps_shim_thread.again); i++)
			if (s->a[i + 1])
				*(fd_set *)s->a[i + 1] = sets[i];
		if (!on)
			break;
	}
	return done(&w, r);
}

long hps_on_epoll(const struct hps_stop *s)
{
	uint64_t own;
	const uint64_t *mask = hps_signals_without_ours(s->nr == SYS_epoll_pwait ? (const void *)s->a[4] : NULL, &own);
	struct hps_waiting w;
	long r;

	hps_waiting_begin(&w, (int)s->a[3] < 0 ? HPS_NEVER : (int)s->a[3] * (NS / 1000));
	if (mask)
		w.mask = *mask;
	do
		r = CALL(SYS_epoll_pwait, s->a[0], s->a[1], s->a[2], 0, mask, sizeof own);
	while (!r && goes_on(&w, mask, &r));
	return done(&w, r);
}
