/* Who runs at the same time: told from the order in which threads ask. */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "recorder/recorder.h"

/* One letter a thread. True when in the end they count as running at the same time. */
static bool apart_after(struct hps_supervisor *s, const char *order)
{
	s->listener = -1;
	for (; *order; order++)
		hps_placement_note(s, *order);
	return s->placement.apart;
}

static void test_turns(void **state)
{
	static const struct {
		const char *order;
		bool apart;
	} cases[] = {
		{ "", false },
		{ "AAAAAAAA", false },
		{ "AAABBBCCCDDD", false },	/* one after the other */
		{ "ABACADAEAFAG", false },	/* a shell and its commands */
		{ "AABBAACCAADDAA", false },	/* the same, with several calls each */
		{ "ABAB", true },		/* two workers */
		{ "AAAAAABBBBBBAAABBB", true }, /* two workers on one processor */
		{ "ABCABC", true },		/* three */
		{ "ABCDABCD", true },		/* four: as many as are remembered */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hps_supervisor s = { 0 };

		if (apart_after(&s, cases[i].order) != cases[i].apart)
			fail_msg("\"%s\": not %s", cases[i].order, cases[i].apart ? "apart" : "alone");
	}
}

/* When the others have ended, or only compute, the one that asks has the supervisor's processor again, and is held there in bursts. */
static void test_alone_again(void **state)
{
	struct hps_supervisor s = { 0 };
	int notices = 0;

	(void)state;
	assert_true(apart_after(&s, "ABABABAB"));
	for (int i = 0; i < 1000; i++)
		assert_false(hps_placement_hold(&s));
	while (apart_after(&s, "A") && notices < 10000)
		notices++;
	assert_in_range(notices, 100, 1000);
	assert_true(hps_placement_hold(&s));
}

/* Threads that do nothing but ask wait for the supervisor anyway: one processor serves them best. */
static void test_dense(void **state)
{
	struct hps_supervisor s = { 0 };

	(void)state;
	for (int i = 0; i < 2000; i++) /* some microseconds each at the most */
		apart_after(&s, "ABAB");
	assert_false(s.placement.apart);
	for (int i = 0; i < 300; i++) { /* 256 notices in 26 ms */
		apart_after(&s, i % 2 ? "B" : "A");
		usleep(100);
	}
	apart_after(&s, "ABAB");
	assert_true(s.placement.apart);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_turns), cmocka_unit_test(test_alone_again), cmocka_unit_test(test_dense) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
