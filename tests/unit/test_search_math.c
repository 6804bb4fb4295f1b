/* exp and log of the decision half: correctly rounded values made with 60 decimal digits elsewhere, and the documented bound
 * against long double over many random inputs. */
#include <math.h>
#include <string.h>

#include "search/search.h"
#include "tests/unit/unit.h"

struct vector {
	double x, y;
};
static const struct vector exp_vectors[] = {
	{ 0x0.0p+0, 0x1.0000000000000p+0 },
	{ 0x1.0000000000000p+0, 0x1.5bf0a8b145769p+1 },
	{ -0x1.0000000000000p+0, 0x1.78b56362cef38p-2 },
	{ 0x1.0000000000000p-1, 0x1.a61298e1e069cp+0 },
	{ -0x1.0000000000000p-1, 0x1.368b2fc6f960ap-1 },
	{ 0x1.62e42fefa39efp-2, 0x1.6a09e667f3bccp+0 },
	{ -0x1.62e42fefa39efp-2, 0x1.6a09e667f3bcdp-1 },
	{ 0x1.56e1fc2f8f359p-997, 0x1.0000000000000p+0 },
	{ 0x1.b7cdfd9d7bdbbp-34, 0x1.000000006df38p+0 },
	{ -0x1.b7cdfd9d7bdbbp-34, 0x1.ffffffff24190p-1 },
	{ 0x1.0000000000000p+1, 0x1.d8e64b8d4ddaep+2 },
	{ 0x1.4000000000000p+3, 0x1.5829dcf950560p+14 },
	{ -0x1.7069e2aa2aa5bp+3, 0x1.4f8b588e368efp-17 },
	{ -0x1.26bb1bbb55516p+1, 0x1.9999999999998p-4 },
	{ 0x1.595999999999ap+9, 0x1.6274dca295c6fp+996 },
	{ -0x1.595999999999ap+9, 0x1.71c8757d92c09p-997 },
	{ 0x1.9200000000000p+6, 0x1.fcc37a76f9e76p+144 },
	{ 0x1.921fb54442d18p+1, 0x1.724046eb09339p+4 },
	{ 0x1.70a61bf79d0fcp+7, 0x1.e5b522ce26684p+265 },
	{ -0x1.0831122a43710p+5, 0x1.47c2906d7ca78p-48 },
	{ 0x1.bc32b18b098e0p+8, 0x1.cafa8250eff03p+640 },
	{ -0x1.ecf29e90d95e6p+8, 0x1.c6105d0d91ca9p-712 },
	{ 0x1.dfb372f77f4a0p+7, 0x1.05946f073754ap+346 },
	{ 0x1.b9ff02afcc43cp+7, 0x1.c7f9ffad91d86p+318 },
	{ 0x1.84ffe3cec7700p+8, 0x1.27a699b5f08a3p+561 },
	{ 0x1.23a2eb2abc59ap+9, 0x1.663d2e1b312bfp+841 },
	{ -0x1.560172e1fbbf8p+6, 0x1.91054c1c7e2ffp-124 },
	{ -0x1.eb4d905894cd0p+8, 0x1.25fd5bb1a4198p-709 },
	{ 0x1.76b937916ac74p+8, 0x1.8731b69bbefe7p+540 },
	{ 0x1.0e0c7fd86ab08p+9, 0x1.254b3fc0c1ac0p+779 },
	{ -0x1.7d8e95ee52f70p+8, 0x1.718dfe6b42ed8p-551 },
	{ 0x1.3a5a1571367f4p+8, 0x1.6d8bfb8805b69p+453 },
	{ 0x1.3a18405b0a546p+9, 0x1.381760b37f49fp+906 },
	{ 0x1.3f34e054b9c72p+1, 0x1.836e44021f8f7p+3 },
	{ 0x1.1e3ca9b8794d8p+1, 0x1.2b74544b9cb7ep+3 },
	{ -0x1.57d698bf5269bp+1, 0x1.1716b5d777b72p-4 },
	{ 0x1.59a9adee2d624p+0, 0x1.eddf22dbf4036p+1 },
	{ 0x1.d730b6bc59650p-2, 0x1.95951c321dae5p+0 },
	{ 0x1.17d43a8d1e3d0p+1, 0x1.1cd508b65433fp+3 },
	{ -0x1.2698ca84dce4ep+0, 0x1.43fca190c2a8ep-2 },
	{ -0x1.9e5f95d2394cdp+0, 0x1.95d87e03c0eb8p-3 },
	{ 0x1.36f83aeeca800p+1, 0x1.6b48d55130796p+3 },
	{ -0x1.028742cfce8bcp+1, 0x1.0fbedc54506c0p-3 },
	{ 0x1.f1ceac37ed720p-3, 0x1.4670bec13586dp+0 },
	{ 0x1.03b6b962654a0p-1, 0x1.a9252fa19f729p+0 },
	{ -0x1.1d3ccd5103070p-2, 0x1.83859b708d5ebp-1 },
	{ -0x1.195e62d07c3f6p+1, 0x1.c6abad74d7d1fp-4 },
	{ -0x1.a077656fdc008p+0, 0x1.928a83f719545p-3 },
};
static const struct vector log_vectors[] = {
	{ 0x1.0000000000000p+0, 0x0.0p+0 },
	{ 0x1.0000000000000p+1, 0x1.62e42fefa39efp-1 },
	{ 0x1.0000000000000p-1, -0x1.62e42fefa39efp-1 },
	{ 0x1.4000000000000p+3, 0x1.26bb1bbb55516p+1 },
	{ 0x1.4f8b588e368f1p-17, -0x1.7069e2aa2aa5bp+3 },
	{ 0x1.999999999999ap-4, -0x1.26bb1bbb55515p+1 },
	{ 0x1.7e43c8800759cp+996, 0x1.5963447f87fb5p+9 },
	{ 0x1.56e1fc2f8f359p-997, -0x1.5963447f87fb5p+9 },
	{ 0x1.fffffffffffffp-1, -0x1.0000000000000p-53 },
	{ 0x1.0000000000001p+0, 0x1.fffffffffffffp-53 },
	{ 0x1.6a09e667f3bcdp+0, 0x1.62e42fefa39f0p-2 },
	{ 0x1.6a09e667f3bccp-1, -0x1.62e42fefa39f1p-2 },
	{ 0x1.6a09e667f3bcdp-1, -0x1.62e42fefa39eep-2 },
	{ 0x1.8000000000000p+1, 0x1.193ea7aad030bp+0 },
	{ 0x1.0080000000000p+8, 0x1.630427f24d4a0p+2 },
	{ 0x1.f000000000000p+3, 0x1.5ed3d88d29cdep+1 },
	{ 0x1.c2f991c000a00p+37, 0x1.a36723038e95bp+4 },
	{ 0x1.575cf28e99901p+672, 0x1.d216a901410cfp+8 },
	{ 0x1.22b8565703f3dp+761, 0x1.07ce5c2b764a9p+9 },
	{ 0x1.ea3ae64d7b8aep+613, 0x1.a98c85f5b3506p+8 },
	{ 0x1.9153bcb56bc55p-886, -0x1.32d6e30115a28p+9 },
	{ 0x1.6f75b76983195p+780, 0x1.0e8214112be1ep+9 },
	{ 0x1.360a0b9a5afd3p+126, 0x1.5e1cbd611a4a1p+6 },
	{ 0x1.1169ba823e47bp-823, -0x1.1d327931cfb07p+9 },
	{ 0x1.22dc95e162754p+548, 0x1.7bf8ea4f0bde2p+8 },
	{ 0x1.18e6bb1ecdac2p+981, 0x1.5408fca45813ep+9 },
	{ 0x1.ac38d04328843p+898, 0x1.377af5ffa671ep+9 },
	{ 0x1.79ab53d6450e9p+5, 0x1.ed62c9afd9ffdp+1 },
	{ 0x1.f784b85dc6aeap+0, 0x1.5a56b8db40bdfp-1 },
	{ 0x1.fd30776523536p+0, 0x1.6012abe0f9bc2p-1 },
	{ 0x1.c45214abed43ap+0, 0x1.236fff02a4feap-1 },
	{ 0x1.e28bc2c2b0db4p+0, 0x1.448e5e5536a1bp-1 },
	{ 0x1.6bfc83ed29980p+0, 0x1.6862b44bd9eb1p-2 },
	{ 0x1.9f36524af160bp+0, 0x1.ef380cfadded6p-2 },
	{ 0x1.2a987dc798d4ap-1, -0x1.141682c20a7c6p-1 },
	{ 0x1.ee287f2996f79p+0, 0x1.50bb33f1929d5p-1 },
	{ 0x1.f4092bbb99615p-1, -0x1.8365d2cbcecffp-6 },
	{ 0x1.83a2ab6421c01p+0, 0x1.a8d85b3cb97b1p-2 },
	{ 0x1.204e26d9470b0p+0, 0x1.e6c75e088d02dp-4 },
	{ 0x1.75cd261839f32p+0, 0x1.83a1d98e84ed4p-2 },
	{ 0x1.e63c9a6dbe074p-1, -0x1.a6f1e6085df2ep-5 },
	{ 0x1.32a25bf957194p-1, -0x1.067c8f5861e9bp-1 },
	{ 0x1.ca4bfa6a30741p-1, -0x1.c5de3ae23995dp-4 },
	{ 0x1.3445829108662p-1, -0x1.03c28c5b503cep-1 },
};

static uint64_t bits_of(double x)
{
	uint64_t b;

	memcpy(&b, &x, sizeof(b));
	return b;
}

/* Within one unit in the last place of the correctly rounded value. */
static void check(const struct vector *v, size_t n, double (*f)(double))
{
	for (size_t i = 0; i < n; i++) {
		double y = f(v[i].x);
		uint64_t a = bits_of(y), b = bits_of(v[i].y);

		if (v[i].y != y && (a > b ? a - b : b - a) > 1)
			fail_msg("f(%a) = %a, not %a", v[i].x, y, v[i].y);
	}
}

static void test_vectors(void **state)
{
	(void)state;
	check(exp_vectors, ARRAY_SIZE(exp_vectors), hps_exp);
	check(log_vectors, ARRAY_SIZE(log_vectors), hps_log);
	assert_true(hps_exp(0) == 1 && hps_log(1) == 0);
}

static double random_unit(uint64_t n)
{
	const uint32_t counter[4] = { (uint32_t)n, (uint32_t)(n >> 32), 1, 2 }, key[2] = { 3, 4 };
	uint32_t words[4];

	hps_philox(counter, key, words);
	return hps_unit(words);
}

static double ulps(double y, long double exact)
{
	double nearest = (double)exact;
	double unit = fabs(nextafter(nearest, INFINITY) - nearest);

	return (double)(fabsl((long double)y - exact) / (long double)unit);
}

/* The bound that search.h states, with long double (64-bit significand) as the measure. */
static void test_bound(void **state)
{
	double worst_exp = 0, worst_log = 0;

	(void)state;
	for (uint64_t i = 0; i < 1000000; i++) {
		double x = (random_unit(2 * i) * 2 - 1) * (i % 2 ? 700 : 1), y = exp2((random_unit(2 * i + 1) * 2 - 1) * (i % 2 ? 990 : 1));
		double e = ulps(hps_exp(x), expl(x)), l = ulps(hps_log(y), logl(y));

		worst_exp = e > worst_exp ? e : worst_exp;
		worst_log = l > worst_log ? l : worst_log;
	}
	print_message("worst error: exp %.3f ulp, log %.3f ulp\n", worst_exp, worst_log);
	assert_true(worst_exp < 1 && worst_log < 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
