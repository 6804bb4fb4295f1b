/* exp and log from the four operations, so that a search decision has the same bits on every CPU and with every libm. */
#include "search/decide/decide.h"

#include <assert.h>
#include <float.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "doubles must be evaluated as doubles");

/* ln 2 in two parts: the high one has 37 bits, so that k times it is exact for every exponent k. */
static const double LN2_HIGH = 0x1.62e42fefap-1, LN2_LOW = 0x1.cf79abc9e3b3ap-40, LOG2_E = 0x1.71547652b82fep+0;

static double power_of_two(int64_t k)
{
	uint64_t bits = (uint64_t)(k + 1023) << 52;
	double x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* exp(r) - 1 - r for |r| <= ln(2)/2: Taylor to r^15, whose first term left out is below 2^-67. */
static double exp_tail(double r)
{
	static const double inverse[] = { 1.0 / 1307674368000, 1.0 / 87178291200, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800,
					  1.0 / 3628800,       1.0 / 362880,	  1.0 / 40320,	    1.0 / 5040,	     1.0 / 720,
					  1.0 / 120,	       1.0 / 24,	  1.0 / 6,	    1.0 / 2 };
	double sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(inverse); i++)
		sum = sum * r + inverse[i];
	return sum * r * r;
}

double hps_exp(double x)
{
	double high, low, r;
	int64_t k;

	assert(x >= -700 && x <= 700);
	k = (int64_t)(x * LOG2_E + (x < 0 ? -0.5 : 0.5));
	high = x - (double)k * LN2_HIGH;
	low = (double)k * LN2_LOW;
	r = high - low;
	low = (high - r) - low; /* what rounding took from r */
	return (1 + (r + (exp_tail(r) + low))) * power_of_two(k);
}

/* x = m 2^k with m between sqrt(1/2) and sqrt(2). */
static double split(double x, int64_t *ret_k)
{
	uint64_t bits;
	double m;

	memcpy(&bits, &x, sizeof(bits));
	*ret_k = (int64_t)(bits >> 52) - 1023;
	bits = (bits & 0xfffffffffffff) | (uint64_t)1023 << 52;
	memcpy(&m, &bits, sizeof(m));
	if (m < 0x1.6a09e667f3bcdp+0)
		return m;
	++*ret_k;
	return m / 2;
}

/* With f = m - 1 and s = f / (2 + f): log(m) = 2 atanh(s) = f - f^2/2 + s (f^2/2 + R), R = 2/3 s^2 + 2/5 s^4 + … The first
 * term left out is below 2^-66. */
double hps_log(double x)
{
	double f, s, z, sum = 0, half, m;
	int64_t k;

	assert(x >= DBL_MIN && x <= DBL_MAX);
	m = split(x, &k);
	f = m - 1;
	s = f / (2 + f);
	z = s * s;
	for (int i = 12; i >= 1; i--)
		sum = (sum + 2.0 / (2 * i + 1)) * z;
	half = 0.5 * f * f;
	return (double)k * LN2_HIGH - ((half - (s * (half + sum) + (double)k * LN2_LOW)) - f);
}
