/* decide(): the samplers, their values and their distributions, and that nothing but the arguments matters. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "search/search.h"
#include "tests/unit/unit.h"

static const struct hps_results none = { NULL, 0 };
static const struct hps_seed seed = { { [24] = 0, 0, 0, 0, 0, 0, 0x04, 0xd2 } };

static void space_of(const char *sampler, const char *space, const char *budget, struct hps_space *ret)
{
	_cleanup_free_ char *text = hps_format("hps: 1\nstudy: t\nmetrics: {loss: {goal: min}}\nsearch: %s\nspace: %s\n%s"
					       "command: [run, '{lr} {width} {act}']\n",
					       sampler, space, budget);
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_json_ json_t *study = NULL;

	if (hps_study_compile("t.yaml", text, strlen(text), &study, &err) || hps_space_from_json(study, ret, &err))
		fail_msg("%s", err.message);
}

static const char three[] = "{lr: {type: float, low: 1e-4, high: 0.1, log: true}, width: {type: int, low: 16, high: 256, log: true},"
			    " act: {type: choice, of: [relu, tanh]}}";

static char *decided(const struct hps_space *space, uint64_t number)
{
	struct hps_decision d;
	struct hps_buf text = HPS_BUF_INIT;

	hps_decide(space, &seed, &none, number, &d);
	for (size_t i = 0; i < d.values.n; i++)
		hps_buf_addf(&text, "%s%s", i ? " " : "", d.values.v[i]);
	hps_buf_addf(&text, " #%" PRIu32, d.trial_seed);
	hps_decision_release(&d);
	return hps_buf_take(&text);
}

static void expect(const struct hps_space *space, uint64_t number, const char *want)
{
	_cleanup_free_ char *got = decided(space, number);

	assert_string_equal(got, want);
}

/* Values that another implementation (tests/e2e/search-oracle.py) gave: a change here is a change of the format. */
static void test_known_decisions(void **state)
{
	struct hps_space space;

	(void)state;
	space_of("{sampler: random}", three, "budget: {trials: 100}\n", &space);
	expect(&space, 0, "0.002509253636763958 16 relu #1074168958");
	expect(&space, 99, "0.037451991839639036 191 tanh #1110532348");
	hps_space_release(&space);
	space_of("{sampler: sobol}", three, "budget: {trials: 100}\n", &space);
	expect(&space, 0, "0.00947528242080354 21 tanh #1074168958");
	expect(&space, 99, "0.026628081027157302 228 relu #1110532348");
	hps_space_release(&space);
}

static void test_grid(void **state)
{
	static const char declared[] = "{lr: {type: float, low: 1e-4, high: 0.1, log: true, steps: 4}, act: {type: choice, of: [relu, tanh]},"
				       " width: {type: int, low: 10, high: 40, points: [40, 10]}}";
	static const char *const want[] = { "0.0001 relu 40", "0.0001 relu 10", "0.0001 tanh 40", "0.0001 tanh 10", "0.001" };
	struct hps_space space;

	(void)state;
	space_of("{sampler: grid}", declared, "", &space);
	assert_int_equal(space.trials, 16);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		_cleanup_free_ char *got = decided(&space, i);

		assert_memory_equal(got, want[i], strlen(want[i]));
	}
	expect(&space, 15, "0.1 tanh 10 #663642216");
	hps_space_release(&space);
}

static void test_int_grid_without_steps_is_every_value(void **state)
{
	static const char declared[] = "{lr: {type: float, low: -1, high: 1, steps: 3}, act: {type: choice, of: [a]}, width: {type: int, low: -1, high: 1}}";
	static const char *const want[] = { "-1 a -1", "-1 a 0", "-1 a 1", "0 a -1", "0 a 0", "0 a 1", "1 a -1", "1 a 0", "1 a 1" };
	struct hps_space space;

	(void)state;
	space_of("{sampler: grid}", declared, "", &space);
	assert_int_equal(space.trials, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		_cleanup_free_ char *got = decided(&space, i);

		*strchr(got, '#') = '\0';
		assert_memory_equal(got, want[i], strlen(want[i]));
		assert_int_equal(strlen(got), strlen(want[i]) + 1);
	}
	hps_space_release(&space);
}

static void test_list(void **state)
{
	struct hps_space space;
	_cleanup_free_ char *second = NULL;

	(void)state;
	space_of("{sampler: list, trials: [{lr: 1e-3, width: 0x20, act: tanh}, {act: relu, width: 16, lr: 0.10}]}", three, "", &space);
	assert_int_equal(space.trials, 2);
	second = decided(&space, 1);
	assert_memory_equal(second, "0.1 16 relu #", 13);
	hps_space_release(&space);
}

/* The draws belong to the parameter's name: a new parameter in front moves nothing. */
static void test_new_parameter_moves_no_random_draw(void **state)
{
	static const char four[] = "{act: {type: choice, of: [relu, tanh]}, lr: {type: float, low: 1e-4, high: 0.1, log: true}, width: {type: int,"
				   " low: 16, high: 256, log: true}}";
	struct hps_space a, b;

	(void)state;
	space_of("{sampler: random}", three, "budget: {trials: 50}\n", &a);
	space_of("{sampler: random}", four, "budget: {trials: 50}\n", &b);
	for (uint64_t n = 0; n < 50; n++) {
		struct hps_decision x, y;

		hps_decide(&a, &seed, &none, n, &x);
		hps_decide(&b, &seed, &none, n, &y);
		assert_string_equal(x.values.v[0], y.values.v[1]);
		assert_string_equal(x.values.v[1], y.values.v[2]);
		assert_string_equal(x.values.v[2], y.values.v[0]);
		assert_int_equal(x.trial_seed, y.trial_seed);
		hps_decision_release(&x);
		hps_decision_release(&y);
	}
	hps_space_release(&a);
	hps_space_release(&b);
}

/* These samplers look at no result, so any results in any order give the same decision; and asking again gives it again. */
static void test_pure(void **state)
{
	static const char *const samplers[] = { "{sampler: random}", "{sampler: sobol}" };
	const struct hps_result forward[] = { { 0, true, 0.5 }, { 1, false, 0 }, { 2, true, 0.25 } };
	const struct hps_result backward[] = { { 2, true, 0.25 }, { 1, false, 0 }, { 0, true, 0.5 } };
	const struct hps_results orders[] = { { forward, 3 }, { backward, 3 }, { NULL, 0 } };

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(samplers); s++) {
		struct hps_space space;

		space_of(samplers[s], three, "budget: {trials: 20}\n", &space);
		for (uint64_t k = 0; k < 60; k++) {
			uint64_t number = k * 7 % 20;
			_cleanup_free_ char *first = decided(&space, number), *values = NULL;
			struct hps_decision d;

			hps_decide(&space, &seed, &orders[k % 3], number, &d);
			values = hps_format("%s %s %s #%" PRIu32, d.values.v[0], d.values.v[1], d.values.v[2], d.trial_seed);
			assert_string_equal(first, values);
			hps_decision_release(&d);
		}
		hps_space_release(&space);
	}
}

/* ---- distributions ---- */

static double number_of(const char *text)
{
	double x = 0;

	assert_int_equal(hps_parse_double(text, &x), 0);
	return x;
}

/* Chi-square of 16 equal cells: 50 is beyond the 99.998th percentile of 15 degrees of freedom; the seed is fixed anyway. */
static void even(const unsigned *cell, size_t n_cells, unsigned n, double limit)
{
	double expected = (double)n / (double)n_cells, chi = 0;

	for (size_t i = 0; i < n_cells; i++)
		chi += (cell[i] - expected) * (cell[i] - expected) / expected;
	if (chi > limit)
		fail_msg("chi-square %f over %zu cells", chi, n_cells);
}

static void distribution(const char *sampler, double limit)
{
	unsigned lr[16] = { 0 }, width[8] = { 0 }, act[2] = { 0 };
	const unsigned n = 4096;
	struct hps_space space;

	space_of(sampler, three, "budget: {trials: 4096}\n", &space);
	for (uint64_t i = 0; i < n; i++) {
		struct hps_decision d;
		double x, w;

		hps_decide(&space, &seed, &none, i, &d);
		x = number_of(d.values.v[0]);
		w = number_of(d.values.v[1]);
		assert_true(x >= 1e-4 && x <= 0.1 && w >= 16 && w <= 256);
		lr[(size_t)((hps_log(x) - hps_log(1e-4)) / (hps_log(0.1) - hps_log(1e-4)) * 16 * (1 - 1e-12))]++;
		width[(size_t)((hps_log(w) - hps_log(15.5)) / (hps_log(256.5) - hps_log(15.5)) * 8)]++;
		act[!strcmp(d.values.v[2], "tanh")]++;
		hps_decision_release(&d);
	}
	even(lr, 16, n, limit);
	even(act, 2, n, limit);
	even(width, 8, n, 60); /* its cells do not fall on whole numbers: only roughly even */
	hps_space_release(&space);
}

static void test_distributions(void **state)
{
	(void)state;
	distribution("{sampler: random}", 50);
	distribution("{sampler: sobol}", 0.001); /* 4,096 points: exactly even */
}

/* Every integer of a linear range is as likely as every other, the ends too. */
static void test_int_is_even(void **state)
{
	static const char declared[] = "{lr: {type: float, low: -1, high: 1}, act: {type: choice, of: [a, b, c]}, width: {type: int, low: -2, high: 2}}";
	unsigned cell[5] = { 0 };
	struct hps_space space;

	(void)state;
	space_of("{sampler: random}", declared, "budget: {trials: 10000}\n", &space);
	for (uint64_t i = 0; i < 10000; i++) {
		struct hps_decision d;

		hps_decide(&space, &seed, &none, i, &d);
		cell[(size_t)(number_of(d.values.v[2]) + 2)]++;
		hps_decision_release(&d);
	}
	even(cell, 5, 10000, 25);
	hps_space_release(&space);
}

/* The ends of ranges at the ends of what is allowed. */
static void test_extreme_ranges(void **state)
{
	struct hps_parameter p = { .kind = HPS_FLOAT, .log = true, .low = 1e-300, .high = 1e300 };
	static const double us[] = { 0x1p-53, 0.5, 1 - 0x1p-53 };
	struct hps_parameter wide = { .kind = HPS_INT, .low = -9007199254740991, .high = 9007199254740991 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(us); i++) {
		_cleanup_free_ char *a = hps_parameter_at(&p, us[i]), *b = hps_parameter_at(&wide, us[i]);
		int64_t whole;

		assert_true(number_of(a) >= 1e-300 && number_of(a) <= 1e300);
		assert_int_equal(hps_parse_i64(b, -9007199254740991, 9007199254740991, &whole), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_decisions),
		cmocka_unit_test(test_grid),
		cmocka_unit_test(test_int_grid_without_steps_is_every_value),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_new_parameter_moves_no_random_draw),
		cmocka_unit_test(test_pure),
		cmocka_unit_test(test_distributions),
		cmocka_unit_test(test_int_is_even),
		cmocka_unit_test(test_extreme_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
