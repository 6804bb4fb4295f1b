/* The level is what both records say was reached; what one does not say was not. */
#include "replay/replay.h"
#include "tests/unit/unit.h"

#define ENTROPY "\"entropy\": {\"mode\": \"record\", \"seedId\": \"s\"}"
#define TURNS "\"mode\": \"record\", \"whole\": true, \"log\": \"c\", \"turnsTaken\": 0, \"outOfTurn\": 0"

static unsigned level(const char *was, const char *is, char **ret_why)
{
	struct hps_original o = { .seeded = true, .seed = (char *)(uintptr_t)"seed", .clocks = "c" };
	struct hps_entry rerun = { 0 };
	struct hps_holes holes = { NULL, 0 };
	unsigned reached;

	o.trial.statement = json_loads(was, 0, NULL);
	rerun.statement = json_loads(is, 0, NULL);
	assert_non_null(o.trial.statement);
	assert_non_null(rerun.statement);
	reached = hps_level_reached(&o, &rerun, HPS_BLIND_NOTHING, &holes);
	*ret_why = NULL;
	for (size_t i = 0; i < holes.n; i++)
		if (!strcmp(holes.v[i].what, "the order of threads and processes"))
			*ret_why = hps_strdup(holes.v[i].why);
	hps_holes_release(&holes);
	json_decref(o.trial.statement);
	json_decref(rerun.statement);
	return reached;
}

static void test_order_that_is_not_said(void **state)
{
	static const char with[] = "{\"predicate\": {" ENTROPY ", \"clocks\": {" TURNS ", \"orderDigest\": \"0000000000000001\"}}}";
	static const char other[] = "{\"predicate\": {" ENTROPY ", \"clocks\": {" TURNS ", \"orderDigest\": \"0000000000000002\"}}}";
	static const char without[] = "{\"predicate\": {" ENTROPY ", \"clocks\": {" TURNS "}}}";
	static const struct {
		const char *was, *is, *why;
		unsigned level;
	} cases[] = {
		{ with, with, NULL, 4 },
		{ with, other, "another order", 3 },
		{ without, with, "the record of the trial does not say in which order", 3 },
		{ with, without, "the record of the rerun does not say in which order", 3 },
		{ without, without, "the record of the trial does not say in which order", 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *why;

		assert_int_equal(level(cases[i].was, cases[i].is, &why), cases[i].level);
		assert_int_equal(why != NULL, cases[i].why != NULL);
		if (why)
			assert_non_null(strstr(why, cases[i].why));
		free(why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order_that_is_not_said) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
