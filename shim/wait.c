/* Waits until a point in time. A program that was told another time computes its deadlines from that; the kernel waits by its own. */
#include "shim/shim.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/timerfd.h>
#include <time.h>

/* Which clock a condition variable goes by only it knows; no machine runs for three years without a restart, and no real time is so small. */
#define LONG_AGO 100000000

/* At level 4 our own clock decides (order.c). */
static const struct timespec *real_of(clockid_t clock, const struct timespec *told, struct timespec *own)
{
	if (!told || hps_shim_attach() != HPS_SHIM_ANSWER || hps_shim.ordered)
		return told;
	hps_shim_deadline(clock, told, own);
	return own;
}

#define NEXT(name, version) \
	static __typeof__(&name) next; \
	if (!next) \
	next = (__typeof__(&name))hps_shim_next(#name, version)

EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left)
{
	struct timespec own;
	NEXT(clock_nanosleep, NULL);

	return next(clock, flags, flags & TIMER_ABSTIME ? real_of(clock, until, &own) : until, left);
}

EXPORT int sem_timedwait(sem_t *restrict s, const struct timespec *restrict until)
{
	struct timespec own;
	NEXT(sem_timedwait, NULL);

	return next(s, real_of(CLOCK_REALTIME, until, &own));
}

EXPORT int sem_clockwait(sem_t *restrict s, clockid_t clock, const struct timespec *restrict until)
{
	struct timespec own;
	NEXT(sem_clockwait, NULL);

	return next(s, clock, real_of(clock, until, &own));
}

EXPORT int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m, const struct timespec *restrict until)
{
	struct timespec own;
	NEXT(pthread_cond_timedwait, "GLIBC_2.3.2");

	return next(c, m, real_of(until->tv_sec < LONG_AGO ? CLOCK_MONOTONIC : CLOCK_REALTIME, until, &own));
}

EXPORT int pthread_cond_clockwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m, clockid_t clock, const struct timespec *restrict until)
{
	struct timespec own;
	NEXT(pthread_cond_clockwait, NULL);

	return next(c, m, clock, real_of(clock, until, &own));
}

EXPORT int pthread_mutex_timedlock(pthread_mutex_t *restrict m, const struct timespec *restrict until)
{
	struct timespec own;
	NEXT(pthread_mutex_timedlock, NULL);

	return next(m, real_of(CLOCK_REALTIME, until, &own));
}

EXPORT int pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock, const struct timespec *until)
{
	struct timespec own;
	NEXT(pthread_mutex_clocklock, NULL);

	return next(m, clock, real_of(clock, until, &own));
}

EXPORT int pthread_rwlock_timedrdlock(pthread_rwlock_t *restrict l, const struct timespec *restrict until)
{
	struct timespec own;
	NEXT(pthread_rwlock_timedrdlock, NULL);

	return next(l, real_of(CLOCK_REALTIME, until, &own));
}

EXPORT int pthread_rwlock_timedwrlock(pthread_rwlock_t *restrict l, const struct timespec *restrict until)
{
	struct timespec own;
	NEXT(pthread_rwlock_timedwrlock, NULL);

	return next(l, real_of(CLOCK_REALTIME, until, &own));
}

EXPORT int pthread_timedjoin_np(pthread_t t, void **ret, const struct timespec *until)
{
	struct timespec own;
	NEXT(pthread_timedjoin_np, NULL);

	return next(t, ret, real_of(CLOCK_REALTIME, until, &own));
}

EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *given, struct itimerspec *before)
{
	struct timespec own;
	struct itimerspec real;
	NEXT(timerfd_settime, NULL);

	if (!given || !(flags & TFD_TIMER_ABSTIME) || hps_shim_attach() != HPS_SHIM_ANSWER)
		return next(fd, flags, given, before);
	real = *given;
	if (given->it_value.tv_sec || given->it_value.tv_nsec)
		real.it_value = *real_of(given->it_value.tv_sec < LONG_AGO ? CLOCK_MONOTONIC : CLOCK_REALTIME, &given->it_value, &own);
	return next(fd, flags, &real, before);
}

EXPORT int timer_settime(timer_t timer, int flags, const struct itimerspec *restrict given, struct itimerspec *restrict before)
{
	struct timespec own;
	struct itimerspec real;
	NEXT(timer_settime, NULL);

	if (!given || !(flags & TIMER_ABSTIME) || hps_shim_attach() != HPS_SHIM_ANSWER)
		return next(timer, flags, given, before);
	real = *given;
	if (given->it_value.tv_sec || given->it_value.tv_nsec)
		real.it_value = *real_of(given->it_value.tv_sec < LONG_AGO ? CLOCK_MONOTONIC : CLOCK_REALTIME, &given->it_value, &own);
	return next(timer, flags, &real, before);
}
