/* On which processor whoever asked goes on: told from when notices come. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <sched.h>

#include "recorder/recorder.h"

#define US 1000ll

#define NOTICES 256 /* a window of them */

/* A notice of tid so long after the last answer, answered at once. Does its sender go on elsewhere than on our processor? */
static bool elsewhere(struct hps_supervisor *s, pid_t tid, int64_t *now_ns, int64_t after_ns)
{
	bool is;

	s->listener = -1;
	*now_ns += after_ns;
	hps_placement_note(s, tid, *now_ns);
	is = s->placement.elsewhere;
	hps_placement_answered(s, tid, *now_ns += 20 * US);
	assert_false(s->placement.elsewhere);
	return is;
}

/* What was there when the last answer was given was asked by somebody who ran while we did. */
static void test_waited(void **state)
{
	struct hps_supervisor s = { 0 };
	int64_t now = 1000000 * US;

	(void)state;
	assert_false(elsewhere(&s, 1, &now, 100 * US));
	assert_true(elsewhere(&s, 1, &now, 1 * US));
	assert_true(elsewhere(&s, 1, &now, 2 * US));
	assert_false(elsewhere(&s, 1, &now, 5 * US)); /* the fastest that a program can ask again */
}

/* Two that were woken on one processor, of which one could idle: they part. */
static void test_crowd(void **state)
{
	struct hps_tracee of[3] = { { .index = 0 }, { .index = 1 }, { .index = 2, .parent = 1 } }, *items[] = { &of[0], &of[1], &of[2] };
	uint32_t by_tid[10] = { [5] = 1, [6] = 2, [7] = 3 };
	struct hps_supervisor s = { .tracees = { .by_tid = by_tid, .n_tids = 10, .items = items, .n = 3 } };
	int64_t now = 1000000 * US;
	cpu_set_t one;

	(void)state;
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	assert_return_code(sched_setaffinity(0, sizeof one, &one), errno);
	assert_false(elsewhere(&s, 5, &now, 100 * US));
	assert_false(elsewhere(&s, 5, &now, 100 * US)); /* the only one */
	assert_true(elsewhere(&s, 6, &now, 100 * US));
	assert_true(elsewhere(&s, 6, &now, 100 * US)); /* the kernel saw no better place, and 5 is still here */
	assert_false(elsewhere(&s, 5, &now, 100 * US));
	assert_false(elsewhere(&s, 7, &now, 100 * US)); /* its parent waits for it */
	assert_true(elsewhere(&s, 6, &now, 100 * US));
	assert_false(elsewhere(&s, 6, &now, 100000 * US)); /* 7 has long done whatever it did */
	assert_false(elsewhere(&s, 8, &now, 100 * US));	   /* its first call: it is the kernel that chose where it starts */
}

/* Programs that do nothing but ask wait for us anyway: one processor serves them best. */
static void test_dense(void **state)
{
	struct hps_placement p = { 0 };
	int64_t now = 0, worked = 0;
	unsigned tried = 0;

	(void)state;
	for (int i = 0; i < 100; i++) { /* they work more than we */
		hps_placement_window(&p, now += NOTICES * 30 * US, worked += NOTICES * 10 * US);
		tried += p.dense;
	}
	assert_in_range(tried, 2, 6); /* less and less often */
	p.dense = false;
	p.doubt = p.wait = 0;
	for (int i = 0; i < 100; i++) {
		hps_placement_window(&p, now += NOTICES * 30 * US, worked += NOTICES * 20 * US);
		assert_true(p.dense);
	}
	hps_placement_window(&p, now += NOTICES * 100 * US, worked += NOTICES * 20 * US);
	assert_false(p.dense);
	for (int i = 0; i < 100; i++) {
		hps_placement_window(&p, now += NOTICES * 100 * US, worked += NOTICES * 20 * US);
		assert_false(p.dense); /* so seldom that nobody waits for us */
	}
}

static void test_dense_together(void **state)
{
	struct hps_supervisor s = { .placement.dense = true };
	int64_t now = 1000000 * US;

	(void)state;
	assert_false(elsewhere(&s, 1, &now, 2 * US));
	assert_false(elsewhere(&s, 2, &now, 2 * US));
	s.placement.dense = false;
	assert_true(elsewhere(&s, 1, &now, 2 * US));
}

/* Held on our processor: in bursts, and who runs there. */
static void test_hold(void **state)
{
	struct hps_supervisor s = { .listener = -1 };
	int64_t now = 1000000 * US;

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_false(hps_placement_hold(&s, now));
	assert_true(hps_placement_hold(&s, now));
	(void)elsewhere(&s, 1, &now, 100 * US);
	hps_placement_note(&s, 1, now + 1 * US);
	assert_false(hps_placement_hold(&s, now));
	hps_placement_answered(&s, 1, now);
	assert_false(hps_placement_hold(&s, now + 2000000 * US)); /* long after: no burst */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_waited), cmocka_unit_test(test_crowd), cmocka_unit_test(test_dense), cmocka_unit_test(test_dense_together),
					   cmocka_unit_test(test_hold) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
