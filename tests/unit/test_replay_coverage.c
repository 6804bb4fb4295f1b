/* What a record did not see, and what that does to a verdict. */
#include "replay/replay.h"
#include "tests/unit/unit.h"

static enum hps_blindness check(const char *coverage, char **ret_first)
{
	_cleanup_json_ json_t *j = json_loads(coverage, 0, NULL);
	enum hps_blindness worst = HPS_BLIND_NOTHING;
	struct hps_holes holes = { NULL, 0 };

	*ret_first = NULL;
	assert_non_null(j);
	hps_coverage_check(j, "the trial", &holes, &worst, ret_first);
	hps_holes_release(&holes);
	return worst;
}

static void test_gaps(void **state)
{
	static const struct {
		const char *coverage, *first;
		enum hps_blindness worst;
	} cases[] = {
		{ "{\"complete\": true, \"gaps\": []}", NULL, HPS_BLIND_NOTHING },
		{ "{\"complete\": false, \"gaps\": [{\"what\": \"a\", \"hides\": \"nothing\"}]}", NULL, HPS_BLIND_NOTHING },
		{ "{\"complete\": false, \"gaps\": [{\"what\": \"a\", \"hides\": \"inputs\"}]}", NULL, HPS_BLIND_INPUTS },
		{ "{\"complete\": false, \"gaps\": [{\"what\": \"a\", \"hides\": \"inputs\"}, {\"what\": \"b\", \"hides\": \"outputs\"}]}",
		  "the trial: b", HPS_BLIND_OUTPUTS },
		/* what says nothing, or something new, may hide anything */
		{ "{\"complete\": false, \"gaps\": [{\"what\": \"a\"}]}", "the trial: a", HPS_BLIND_OUTPUTS },
		{ "{\"complete\": false, \"gaps\": [{\"what\": \"a\", \"hides\": \"little\"}]}", "the trial: a", HPS_BLIND_OUTPUTS },
		{ "{\"complete\": false, \"gaps\": [{\"what\": \"a\", \"hides\": 3}]}", "the trial: a", HPS_BLIND_OUTPUTS },
		{ "{\"complete\": false, \"gaps\": []}", "the trial: it is not said what", HPS_BLIND_OUTPUTS },
		{ "{}", "the trial: it is not said what", HPS_BLIND_OUTPUTS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *first;

		assert_int_equal(check(cases[i].coverage, &first), cases[i].worst);
		if (cases[i].first)
			assert_string_equal(first, cases[i].first);
		else
			assert_null(first);
		free(first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_gaps) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
