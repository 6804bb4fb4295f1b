/* Elements of arrays: where one lies, what it is worth, whether two have the same bits. */
#include "replay/compare/compare.h"

#include <errno.h>
#include <math.h>
#include <string.h>

int hps_array_lay_out(struct hps_array *a, bool fortran)
{
	size_t stride = a->itemsize, bytes, n = 1;
	bool empty = false;

	for (size_t i = 0; i < a->n_dimensions; i++)
		empty = empty || !a->shape[i];
	for (size_t i = 0; !empty && i < a->n_dimensions; i++)
		if (__builtin_mul_overflow(n, a->shape[i], &n))
			return -EOVERFLOW;
	if (__builtin_mul_overflow(n, a->itemsize, &bytes))
		return -EOVERFLOW;
	a->n = empty ? 0 : n;
	for (size_t i = 0; i < a->n_dimensions; i++) {
		size_t d = fortran ? i : a->n_dimensions - 1 - i;

		a->strides[d] = stride;
		stride *= empty ? 1 : a->shape[d];
	}
	return 0;
}

size_t hps_array_offset(const struct hps_array *a, size_t index)
{
	size_t offset = 0;

	for (size_t i = a->n_dimensions; i-- > 0;) {
		offset += index % a->shape[i] * a->strides[i];
		index /= a->shape[i];
	}
	return offset;
}

/* The bytes of one scalar as a number, byte order undone. */
static uint64_t load(const uint8_t *p, size_t size, bool big_endian)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < size; i++)
		bits = bits << 8 | p[big_endian ? i : size - 1 - i];
	return bits;
}

/* IEEE 754 binary16. */
static double half(uint64_t bits)
{
	int exponent = (int)(bits >> 10 & 0x1f);
	double fraction = (double)(bits & 0x3ff), value;

	if (exponent == 0x1f)
		value = fraction > 0 ? (double)NAN : (double)INFINITY;
	else
		value = exponent ? ldexp(fraction + 1024, exponent - 25) : ldexp(fraction, -24);
	return bits >> 15 & 1 ? -value : value;
}

static double real(uint64_t bits, size_t size, bool bfloat)
{
	uint32_t low = (uint32_t)bits;
	float single;
	double value;

	if (size == 2 && bfloat)
		low <<= 16; /* the upper half of a float32 */
	else if (size == 2)
		return half(bits);
	if (size <= 4) {
		memcpy(&single, &low, sizeof single);
		return (double)single;
	}
	memcpy(&value, &bits, sizeof value);
	return value;
}

static int64_t extend(uint64_t bits, size_t size)
{
	unsigned shift = 64 - 8 * (unsigned)size;

	return (int64_t)(bits << shift) >> shift;
}

static size_t part_size(const struct hps_array *a)
{
	return a->dtype == HPS_DTYPE_COMPLEX ? a->itemsize / 2 : a->itemsize;
}

static uint64_t bits_of(const struct hps_array *a, size_t index, int part)
{
	size_t size = part_size(a);

	return load(a->data + hps_array_offset(a, index) + (size_t)part * size, size, a->big_endian);
}

double hps_array_value(const struct hps_array *a, size_t index, int part)
{
	uint64_t bits = bits_of(a, index, part);

	if (a->dtype == HPS_DTYPE_INT)
		return (double)extend(bits, a->itemsize);
	if (a->dtype == HPS_DTYPE_UINT || a->dtype == HPS_DTYPE_BOOL)
		return (double)bits;
	return real(bits, part_size(a), a->dtype == HPS_DTYPE_BFLOAT);
}

bool hps_array_same(const struct hps_array *a, const struct hps_array *b, size_t index)
{
	bool bfloat = a->dtype == HPS_DTYPE_BFLOAT, floats = a->dtype == HPS_DTYPE_FLOAT || bfloat || a->dtype == HPS_DTYPE_COMPLEX;

	for (int part = 0; part <= (a->dtype == HPS_DTYPE_COMPLEX); part++) {
		uint64_t x = bits_of(a, index, part), y = bits_of(b, index, part);

		if (x != y && !(floats && isnan(real(x, part_size(a), bfloat)) && isnan(real(y, part_size(b), bfloat))))
			return false;
	}
	return true;
}

static void show_double(double x, struct hps_buf *out)
{
	char text[HPS_DOUBLE_LEN];

	if (!isfinite(x)) {
		hps_buf_adds(out, isnan(x) ? "NaN" : x < 0 ? "-Infinity" : "Infinity");
		return;
	}
	hps_double_format(x, text);
	hps_buf_adds(out, x == 0 && signbit(x) ? "-0" : text);
}

void hps_array_show(const struct hps_array *a, size_t index, struct hps_buf *out)
{
	uint64_t bits = bits_of(a, index, 0);

	if (a->dtype == HPS_DTYPE_INT) {
		hps_buf_addf(out, "%lld", (long long)extend(bits, a->itemsize));
	} else if (a->dtype == HPS_DTYPE_UINT || a->dtype == HPS_DTYPE_BOOL) {
		hps_buf_addf(out, "%llu", (unsigned long long)bits);
	} else {
		show_double(hps_array_value(a, index, 0), out);
		if (a->dtype == HPS_DTYPE_COMPLEX) {
			hps_buf_adds(out, " + i*");
			show_double(hps_array_value(a, index, 1), out);
		}
	}
}

void hps_array_type(const struct hps_array *a, struct hps_buf *out)
{
	static const char *const names[] = {
		[HPS_DTYPE_BOOL] = "bool", [HPS_DTYPE_INT] = "int",	    [HPS_DTYPE_UINT] = "uint",
		[HPS_DTYPE_FLOAT] = "float", [HPS_DTYPE_COMPLEX] = "complex",
		[HPS_DTYPE_BFLOAT] = "bfloat",
	};

	hps_buf_addf(out, "%s%zu[", names[a->dtype], a->itemsize * 8);
	for (size_t i = 0; i < a->n_dimensions; i++)
		hps_buf_addf(out, "%s%zu", i ? "," : "", a->shape[i]);
	hps_buf_adds(out, "]");
}
