/* Philox4x32-10: the known answers that its authors publish with Random123 (kat_vectors), and the unit interval. */

#include "search/search.h"
#include "tests/unit/unit.h"

static const struct {
	uint32_t counter[4], key[2], answer[4];
} vectors[] = {
	{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
	{ { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
	  { 0xffffffff, 0xffffffff },
	  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
	{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
	  { 0xa4093822, 0x299f31d0 },
	  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
};

static void test_known_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		uint32_t words[4];

		hps_philox(vectors[i].counter, vectors[i].key, words);
		assert_memory_equal(words, vectors[i].answer, sizeof(words));
	}
}

/* The key is the seed's last eight bytes, big-endian; the counter is purpose and block, index, stream. */
static void test_draw_address(void **state)
{
	const uint32_t stream[2] = { 0x13198a2e, 0x03707344 };
	struct hps_seed seed = { { 0 } };
	uint32_t direct[4], drawn[4], counter[4] = { 256 + 7, 0x85a308d3, 0x13198a2e, 0x03707344 };
	static const uint8_t key[8] = { 0xa4, 0x09, 0x38, 0x22, 0x29, 0x9f, 0x31, 0xd0 };

	(void)state;
	for (int i = 0; i < 8; i++)
		seed.b[24 + i] = key[i];
	hps_philox(counter, vectors[2].key, direct);
	hps_draw(&seed, HPS_DRAW_SCRAMBLE, 7, 0x85a308d3, stream, drawn);
	assert_memory_equal(direct, drawn, sizeof(direct));
}

static void test_unit_never_reaches_its_ends(void **state)
{
	const uint32_t zeros[4] = { 0 }, ones[4] = { 0xffffffff, 0xffffffff, 0, 0 };

	(void)state;
	assert_true(hps_unit(zeros) == 0x1p-53);
	assert_true(hps_unit(ones) == 1 - 0x1p-53);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_answers),
		cmocka_unit_test(test_draw_address),
		cmocka_unit_test(test_unit_never_reaches_its_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
