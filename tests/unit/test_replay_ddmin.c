/* ddmin: what it leaves has the effect and is 1-minimal, whatever the effect is; and it costs little. Prints its seed, takes HPS_TEST_SEED. */
#include "tests/unit/unit.h"

#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

#define N 20

struct world {
	bool undone[N];	  /* with one of these and not the next there is no effect: more can be less */
	bool needed[N];	  /* all of these together … */
	bool either[N];	  /* … and, when there are any, one of these */
	size_t n_runs;
	char seen[4096][N + 1];
	size_t n_seen;
};

static uint64_t next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static bool has_effect(const struct world *w, const bool *chosen)
{
	bool any = false, some = false;

	for (size_t i = 0; i < N; i++) {
		if (w->needed[i] && !chosen[i])
			return false;
		if (w->undone[i] && chosen[i] && !chosen[(i + 1) % N])
			return false;
		any = any || w->either[i];
		some = some || (w->either[i] && chosen[i]);
	}
	return !any || some;
}

static int test(void *arg, const bool *chosen, bool *ret, struct hps_error *err)
{
	struct world *w = arg;
	char key[N + 1] = "";

	(void)err;
	for (size_t i = 0; i < N; i++)
		key[i] = chosen[i] ? '1' : '0';
	*ret = has_effect(w, chosen);
	if (!strchr(key, '1'))
		return 0; /* known before the search starts */
	for (size_t i = 0; i < w->n_seen; i++)
		if (!strcmp(w->seen[i], key))
			return 0; /* an outcome that is kept costs no rerun */
	memcpy(w->seen[w->n_seen++], key, sizeof key);
	w->n_runs++;
	return 0;
}

static int by_size(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Like the factors that two trials differ in: of n, 1 to 3 are needed, and perhaps one of some more. */
enum guess { NO_GUESS, GOOD_GUESS, ANY_GUESS };

/* The median of the runs. */
static size_t try_factors(size_t n_factors, bool undone, enum guess guess, size_t most)
{
	const char *given = getenv("HPS_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)hps_time_now_ns(), s = seed;
	struct world *w = hps_alloc(sizeof *w);
	double likelihood[N];
	size_t runs[500], median;

	print_message("seed %llu (HPS_TEST_SEED)\n", (unsigned long long)seed);
	for (size_t round = 0; round < 500; round++) {
		struct hps_ddmin d = { n_factors, test, w, guess ? likelihood : NULL };
		bool chosen[N], without[N];
		size_t k = 1 + next(&s) % 3;

		memset(w, 0, sizeof *w);
		while (k--)
			w->needed[next(&s) % n_factors] = true;
		for (k = next(&s) % 3; k--;)
			w->either[next(&s) % n_factors] = true;
		if (undone)
			w->undone[next(&s) % (n_factors - 1)] = true;
		for (size_t i = 0; i < n_factors; i++)
			likelihood[i] = guess == GOOD_GUESS ? (w->needed[i] ? 0.5 : 0.05) : (double)(1 + next(&s) % 98) / 100;
		memset(chosen, 0, sizeof chosen);
		memset(chosen, 1, n_factors);
		assert_ok(hps_ddmin_run(&d, chosen, err));
		assert_true(has_effect(w, chosen));
		for (size_t i = 0; i < N; i++) {
			if (!chosen[i])
				continue;
			memcpy(without, chosen, sizeof without);
			without[i] = false;
			assert_false(has_effect(w, without));
		}
		runs[round] = w->n_runs;
	}
	qsort(runs, 500, sizeof *runs, by_size);
	print_message("%zu factors%s: median %zu runs, most %zu\n", n_factors, undone ? ", one of which undoes" : "", runs[250], runs[499]);
	assert_true(runs[250] <= most);
	median = runs[250];
	free(w);
	return median;
}

static void test_causes(void **state)
{
	(void)state;
	try_factors(10, false, NO_GUESS, 12);
	try_factors(20, false, NO_GUESS, 18);
	try_factors(10, true, NO_GUESS, 20);
}

/* What is thought to matter saves runs when it is right, and costs no more than runs when it is not: each answer was checked. */
static void test_likelihoods(void **state)
{
	size_t median = try_factors(10, false, NO_GUESS, 12);

	(void)state;
	assert_true(try_factors(10, false, GOOD_GUESS, 12) <= median);
	try_factors(20, false, GOOD_GUESS, 18);
	try_factors(10, true, GOOD_GUESS, 20);
	try_factors(20, true, ANY_GUESS, 60);
}

static void test_small_ones(void **state)
{
	struct world *w = hps_alloc(sizeof *w);
	struct hps_ddmin d = { 1, test, w, NULL };
	bool chosen[N] = { true };

	(void)state;
	w->needed[0] = true;
	assert_ok(hps_ddmin_run(&d, chosen, err));
	assert_true(chosen[0]);
	assert_int_equal(w->n_runs, 0);
	d.n = 0;
	assert_ok(hps_ddmin_run(&d, chosen, err));
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_causes), cmocka_unit_test(test_likelihoods), cmocka_unit_test(test_small_ones) };

	return cmocka_run_group_tests_name("replay_ddmin", tests, NULL, NULL);
}
