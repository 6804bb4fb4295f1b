/* Sobol points: against SciPy 1.10's qmc.Sobol(scramble=False) and PyTorch 1.13's SobolEngine, which agreed on every one of
 * 4,096 x 128 values; and against what the theory demands of every point set, scrambled or not. */
#include <stdlib.h>
#include <string.h>

#include "search/search.h"
#include "tests/unit/unit.h"

static const struct hps_seed seed = { { [24] = 1, 2, 3, 4, 5, 6, 7, 8 } };

static void test_known_points(void **state)
{
	static const struct {
		uint32_t index, dimension, x;
	} known[] = {
		{ 0, 0, 0 },		      { 1, 0, 0x80000000 },	    { 1, 127, 0x80000000 },	{ 5, 2, 0x20000000 },
		{ 1000, 63, 0x72400000 },     { 1023, 127, 0xb3400000 },    { 777, 99, 0x82c00000 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		assert_int_equal(hps_sobol(known[i].dimension, known[i].index), known[i].x);
}

/* SHA-256 over the first 1,024 points, all dimensions, big-endian, as the two other implementations give them. */
static void test_all_points(void **state)
{
	static const char want[] = "d2198e363a45a786c79fd58901862272a1fb8d221f5721a6fb2c1ed4ab6a98e6";
	size_t n = 1024 * HPS_SOBOL_DIMENSIONS;
	uint8_t *bytes = hps_alloc(4 * n);
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];

	(void)state;
	for (size_t i = 0; i < n; i++) {
		uint32_t x = hps_sobol(i % HPS_SOBOL_DIMENSIONS, (uint32_t)(i / HPS_SOBOL_DIMENSIONS));

		for (int k = 0; k < 4; k++)
			bytes[4 * i + (size_t)k] = (uint8_t)(x >> (24 - 8 * k));
	}
	hps_digest_of(bytes, 4 * n, &d);
	hps_digest_hex(&d, hex);
	assert_string_equal(hex, want);
	free(bytes);
}

/* The first 2^m points have one point in each interval of length 2^-m, in every dimension, before and after scrambling. */
static void stratified(size_t dimension, bool scramble)
{
	const uint32_t stream[2] = { 11, (uint32_t)dimension };
	bool seen[256] = { false };

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t x = hps_sobol(dimension, i);

		x = scramble ? hps_owen_scramble(x, &seed, stream) : x;
		assert_false(seen[x >> 24]);
		seen[x >> 24] = true;
	}
}

static void test_stratification(void **state)
{
	(void)state;
	for (size_t d = 0; d < HPS_SOBOL_DIMENSIONS; d++) {
		stratified(d, false);
		stratified(d, true);
	}
}

/* Dimensions 0 and 1 are a (0,m,2)-net: one point in each of the 64 boxes of any shape 2^-k by 2^(k-6). Scrambling keeps it. */
static void test_net_survives_scrambling(void **state)
{
	static const uint32_t streams[2][2] = { { 1, 2 }, { 3, 4 } };

	(void)state;
	for (uint32_t k = 0; k <= 6; k++) {
		bool seen[64] = { false };

		for (uint32_t i = 0; i < 64; i++) {
			uint64_t x = hps_owen_scramble(hps_sobol(0, i), &seed, streams[0]);
			uint64_t y = hps_owen_scramble(hps_sobol(1, i), &seed, streams[1]);
			size_t box = (size_t)((x >> (32 - k)) << (6 - k) | (y >> (26 + k)));

			assert_false(seen[box]);
			seen[box] = true;
		}
	}
}

/* Two numbers that share their top j bits share them after scrambling, and each bit is flipped about half of the time. */
static void test_scramble_is_nested(void **state)
{
	uint32_t flips[32] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		const uint32_t stream[2] = { i, 99 };
		uint32_t a = 0x9e3779b9 * i, level = i % 32, b = a ^ 0x80000000 >> level;
		uint32_t x = hps_owen_scramble(a, &seed, stream), y = hps_owen_scramble(b, &seed, stream);

		assert_true(!level || (x >> (32 - level)) == (y >> (32 - level)));
		assert_true((x >> (31 - level)) != (y >> (31 - level)));
		for (int k = 0; k < 32; k++)
			flips[k] += (a ^ x) >> (31 - k) & 1;
	}
	for (int k = 0; k < 32; k++)
		assert_true(flips[k] > 860 && flips[k] < 1140); /* 1000 +- 6 sigma */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_points),
		cmocka_unit_test(test_all_points),
		cmocka_unit_test(test_stratification),
		cmocka_unit_test(test_net_survives_scrambling),
		cmocka_unit_test(test_scramble_is_nested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
