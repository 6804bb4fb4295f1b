/* Jobs in several threads, their results in the order in which they were given: what is found does not depend on who was faster. */
#include "core/core.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#define THREADS_MAX 16
#define AHEAD 3 /* jobs for each thread that wait, are under way, or are done and not finished */

struct worker {
	struct hps_pool *pool;
	pthread_t thread;
	unsigned number;
};

struct hps_pool {
	struct hps_work work;
	struct worker workers[THREADS_MAX];
	unsigned n_workers;
	pthread_mutex_t lock;
	pthread_cond_t given, done;
	struct slot {
		void *job;
		bool done;
	} slots[THREADS_MAX * AHEAD];
	size_t n_slots;
	uint64_t oldest, next, end; /* numbers of the jobs that are to be finished, begun and given next */
	bool stop;
};

unsigned hps_processors(void)
{
	cpu_set_t ours;
	int n = sched_getaffinity(0, sizeof ours, &ours) == 0 ? CPU_COUNT(&ours) : 1;

	return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static void *run_jobs(void *arg)
{
	const struct worker *w = arg;
	struct hps_pool *p = w->pool;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct slot *s;

		while (!p->stop && p->next == p->end)
			pthread_cond_wait(&p->given, &p->lock);
		if (p->next == p->end)
			break;
		s = &p->slots[p->next++ % p->n_slots];
		pthread_mutex_unlock(&p->lock);
		p->work.run(p->work.arg, s->job, w->number);
		pthread_mutex_lock(&p->lock);
		s->done = true;
		pthread_cond_signal(&p->done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Signals are the caller's thread's. Fewer threads than wanted, or none, are no error. */
static void start(struct hps_pool *p, unsigned threads)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 0; i < threads; i++) {
		p->workers[i] = (struct worker){ .pool = p, .number = i };
		if (pthread_create(&p->workers[i].thread, NULL, run_jobs, &p->workers[i]))
			break;
		p->n_workers++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

struct hps_pool *hps_pool_new(const struct hps_work *work, unsigned threads)
{
	struct hps_pool *p = hps_alloc(sizeof *p);

	p->work = *work;
	threads = threads > THREADS_MAX ? THREADS_MAX : threads;
	p->n_slots = threads * AHEAD;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->given, NULL);
	pthread_cond_init(&p->done, NULL);
	if (threads > 1)
		start(p, threads);
	return p;
}

static void finish_oldest(struct hps_pool *p)
{
	struct slot *s = &p->slots[p->oldest++ % p->n_slots];

	pthread_mutex_lock(&p->lock);
	while (!s->done)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
	p->work.finish(p->work.arg, s->job);
}

void hps_pool_add(struct hps_pool *p, void *job)
{
	if (!p->n_workers) {
		p->work.run(p->work.arg, job, 0);
		p->work.finish(p->work.arg, job);
		return;
	}
	if (p->end - p->oldest == p->n_slots)
		finish_oldest(p);
	pthread_mutex_lock(&p->lock);
	p->slots[p->end++ % p->n_slots] = (struct slot){ job, false };
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->lock);
}

void hps_pool_finish(struct hps_pool *p)
{
	while (p->oldest < p->end)
		finish_oldest(p);
}

void hps_pool_free(struct hps_pool *p)
{
	if (!p)
		return;
	hps_pool_finish(p);
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->given);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_workers; i++)
		pthread_join(p->workers[i].thread, NULL);
	pthread_cond_destroy(&p->done);
	pthread_cond_destroy(&p->given);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
