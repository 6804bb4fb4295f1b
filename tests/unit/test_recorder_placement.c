/* On which processor whoever asked goes on: told from when notices come. */
#include "tests/unit/unit.h"

#include "recorder/recorder.h"

#define US 1000ll

/* A notice so long after the last answer, answered at once. Does its sender go on elsewhere than on our processor? */
static bool elsewhere(struct hps_supervisor *s, int64_t *now_ns, int64_t after_ns)
{
	bool is;

	s->listener = -1;
	*now_ns += after_ns;
	hps_placement_note(s, *now_ns);
	is = s->placement.elsewhere;
	hps_placement_answered(s, *now_ns += 20 * US);
	assert_false(s->placement.elsewhere);
	return is;
}

/* What was there when the last answer was given was asked by somebody who ran while we did. */
static void test_waited(void **state)
{
	struct hps_supervisor s = { 0 };
	int64_t now = 1000000 * US;

	(void)state;
	assert_false(elsewhere(&s, &now, 100 * US));
	assert_true(elsewhere(&s, &now, 1 * US));
	assert_true(elsewhere(&s, &now, 2 * US));
	assert_false(elsewhere(&s, &now, 5 * US)); /* the fastest that a program can ask again */
}

/* Threads that do nothing but ask wait for us anyway: one processor serves them best. */
static void test_dense(void **state)
{
	struct hps_supervisor s = { 0 };
	int64_t now = 1000000 * US;

	(void)state;
	for (int i = 0; i < 600; i++)
		(void)elsewhere(&s, &now, 2 * US);
	assert_false(elsewhere(&s, &now, 2 * US));
	for (int i = 0; i < 600; i++)
		(void)elsewhere(&s, &now, 100 * US);
	assert_true(elsewhere(&s, &now, 2 * US));
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
	(void)elsewhere(&s, &now, 100 * US);
	hps_placement_note(&s, now + 1 * US);
	assert_false(hps_placement_hold(&s, now));
	hps_placement_answered(&s, now);
	assert_false(hps_placement_hold(&s, now + 2000000 * US)); /* long after: no burst */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_waited), cmocka_unit_test(test_dense), cmocka_unit_test(test_hold) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
