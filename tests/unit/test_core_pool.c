/* Jobs in several threads: each is run once, their ends come in the order in which they were given. */
#include "tests/unit/unit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define JOBS 400

struct seen {
	atomic_uint n_run;
	unsigned n_finished, threads;
	bool out_of_order; /* somewhere a later job was run before an earlier one */
};

struct job {
	unsigned number, run_as; /* the how-manieth it was run */
};

static void run(void *arg, void *job, unsigned thread)
{
	struct seen *s = arg;
	struct job *j = job;
	struct timespec t = { 0, j->number % 5 * 100000 };

	assert_true(thread < (s->threads ? s->threads : 1));
	nanosleep(&t, NULL);
	j->run_as = atomic_fetch_add(&s->n_run, 1);
}

static void finish(void *arg, void *job)
{
	struct seen *s = arg;
	struct job *j = job;

	assert_int_equal(j->number, s->n_finished++);
	s->out_of_order |= j->run_as != j->number;
	free(j);
}

static void test_order(void **state)
{
	(void)state;
	for (unsigned threads = 0; threads <= 20; threads = 2 * threads + 1) {
		struct seen s = { .threads = threads };
		struct hps_pool *p = hps_pool_new(&(const struct hps_work){ run, finish, &s }, threads);

		for (unsigned i = 0; i < JOBS; i++) {
			struct job *j = hps_alloc(sizeof *j);

			j->number = i;
			hps_pool_add(p, j);
			if (i == JOBS / 2) {
				hps_pool_finish(p);
				assert_int_equal(s.n_finished, i + 1);
			}
		}
		hps_pool_free(p);
		assert_int_equal(s.n_finished, JOBS);
		assert_int_equal(atomic_load(&s.n_run), JOBS);
		assert_int_equal(s.out_of_order, threads > 1); /* with several threads there was something to put in order */
	}
	hps_pool_free(NULL);
	assert_true(hps_processors() >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
