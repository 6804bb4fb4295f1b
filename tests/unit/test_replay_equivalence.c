/* Student's t against printed tables, and the test's decisions. */
#include "tests/unit/unit.h"

#include "replay/replay.h"

#include <math.h>

/* One-sided 95 % points, as any table of the t distribution has them to three places. */
static void test_quantiles(void **state)
{
	static const struct { unsigned v; double t; } table[] = { { 1, 6.314 }, { 2, 2.920 }, { 3, 2.353 }, { 4, 2.132 }, { 5, 2.015 }, { 9, 1.833 }, { 10, 1.812 },
								  { 15, 1.753 }, { 29, 1.699 }, { 30, 1.697 }, { 60, 1.671 }, { 120, 1.658 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		assert_true(fabs(hps_student_quantile(0.95, table[i].v) - table[i].t) < 0.0006);
	assert_true(fabs(hps_student_quantile(0.975, 10) - 2.228) < 0.0006);
	assert_true(fabs(hps_student_quantile(0.995, 7) - 3.499) < 0.0006);
}

static void test_decisions(void **state)
{
	static const double near[] = { 0.900, 0.902, 0.898, 0.901, 0.899 }, wide[] = { 0.90, 0.95, 0.85, 0.92, 0.88 }, same[] = { 0.9, 0.9, 0.9, 0.9, 0.9 };
	struct hps_equivalence e;

	(void)state;
	hps_equivalence_test(near, 5, 0.9, 0.01, &e);
	assert_true(e.enough && e.equivalent && e.low < 0 && e.high > 0);
	hps_equivalence_test(near, 5, 0.9, 0.001, &e); /* the interval is wider than the margin */
	assert_false(e.equivalent);
	hps_equivalence_test(near, 5, 0.95, 0.01, &e); /* the mean is elsewhere */
	assert_false(e.equivalent);
	hps_equivalence_test(wide, 5, 0.9, 0.01, &e); /* the mean is right and nothing is shown */
	assert_false(e.equivalent);
	hps_equivalence_test(same, 5, 0.9, 1e-9, &e);
	assert_true(e.equivalent);
	hps_equivalence_test(near, 4, 0.9, 0.01, &e); /* too few say nothing */
	assert_false(e.enough || e.equivalent);
	hps_equivalence_test((const double[]){ NAN, 1, 1, 1, 1 }, 5, 1, 10, &e);
	assert_false(e.enough || e.equivalent);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_quantiles), cmocka_unit_test(test_decisions) };

	return cmocka_run_group_tests_name("replay_equivalence", tests, NULL, NULL);
}
