/* Counter-based random numbers: Philox4x32-10. */
#include "search/decide/decide.h"

void hps_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t ret[4])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];

	for (int round = 0; round < 10; round++) {
		uint64_t p0 = (uint64_t)0xD2511F53 * c0, p1 = (uint64_t)0xCD9E8D57 * c2;

		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c1 = (uint32_t)p1;
		c3 = (uint32_t)p0;
		k0 += 0x9E3779B9;
		k1 += 0xBB67AE85;
	}
	ret[0] = c0;
	ret[1] = c1;
	ret[2] = c2;
	ret[3] = c3;
}

void hps_seed_from_number(uint64_t number, struct hps_seed *ret)
{
	*ret = (struct hps_seed){ { 0 } };
	for (int i = 0; i < 8; i++)
		ret->b[31 - i] = (uint8_t)(number >> 8 * i);
}

static uint32_t big_endian(const uint8_t b[4])
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

void hps_draw(const struct hps_seed *seed, enum hps_purpose purpose, uint32_t block, uint32_t index, const uint32_t stream[2],
	      uint32_t ret[4])
{
	const uint32_t key[2] = { big_endian(seed->b + 24), big_endian(seed->b + 28) };
	const uint32_t counter[4] = { 256 * (uint32_t)purpose + block, index, stream[0], stream[1] };

	hps_philox(counter, key, ret);
}

double hps_unit(const uint32_t words[4])
{
	uint64_t x = (uint64_t)words[0] << 32 | words[1];

	return ((double)(x >> 12) + 0.5) * 0x1p-52;
}
