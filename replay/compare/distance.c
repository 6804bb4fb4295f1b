/* How far two tensors are apart. Plain float arrays go through vectors of doubles; sums are kept in fixed lanes, so that every
 * machine adds in the same order. Mapped files are let go of behind the reader: memory stays small whatever their size. */
#include "replay/compare/compare.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LANES 8
#define BLOCK 4096 /* elements that are added before what they come to is looked at */
#define CHUNK_BYTES ((size_t)1 << 20)

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t flags __attribute__((vector_size(LANES * sizeof(int64_t))));
typedef int32_t halves __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef float singles __attribute__((vector_size(LANES * sizeof(float))));

void hps_distance_note(struct hps_distance *d, size_t index)
{
	if (!d->n_different++)
		d->first = index;
}

void hps_distance_measure(struct hps_distance *d, double a, double b)
{
	double difference = fabs(a - b);

	if (isnan(a) || isnan(b) || isinf(a) || isinf(b)) {
		d->apart = d->apart || !((isnan(a) && isnan(b)) || (isinf(a) && isinf(b) && signbit(a) == signbit(b)));
		return;
	}
	d->difference2 += difference * difference;
	d->norm2 += a * a;
	d->max_difference = fmax(d->max_difference, difference);
	d->max = fmax(d->max, fabs(a));
}

static void measure_element(const struct hps_array *a, const struct hps_array *b, size_t i, struct hps_distance *d)
{
	if (!hps_array_same(a, b, i))
		hps_distance_note(d, i);
	for (int part = 0; part <= (a->dtype == HPS_DTYPE_COMPLEX); part++)
		hps_distance_measure(d, hps_array_value(a, i, part), hps_array_value(b, i, part));
}

/* ---- plain floats ---- */

struct sums {
	lanes difference2, norm2, max_difference, max;
	flags n_different;
};

static inline void keep_larger(lanes *largest, const lanes *v)
{
	flags f = *v > *largest;

	*largest = (lanes)(((flags)*v & f) | ((flags)*largest & ~f));
}

/* n elements, a multiple of LANES and few enough for 32-bit counts. False when one is not finite: then the sums say nothing. */
static inline __attribute__((always_inline)) bool add_block(struct sums *s, const uint8_t *x, const uint8_t *y, size_t n, bool is_single)
{
	lanes a, b, difference, size, nothing = { 0 };
	halves n_different = { 0 };
	singles p, q;

	for (size_t i = 0; i < n; i += LANES) {
		if (is_single) {
			memcpy(&p, x + i * sizeof(float), sizeof p);
			memcpy(&q, y + i * sizeof(float), sizeof q);
			n_different -= (halves)p != (halves)q;
			a = __builtin_convertvector(p, lanes);
			b = __builtin_convertvector(q, lanes);
		} else {
			memcpy(&a, x + i * sizeof(double), sizeof a);
			memcpy(&b, y + i * sizeof(double), sizeof b);
			s->n_different -= (flags)a != (flags)b;
		}
		difference = (lanes)((flags)(a - b) & INT64_MAX);
		size = (lanes)((flags)a & INT64_MAX);
		nothing += difference * 0; /* NaN when one of both is not finite */
		s->difference2 += difference * difference;
		s->norm2 += a * a;
		keep_larger(&s->max_difference, &difference);
		keep_larger(&s->max, &size);
	}
	s->n_different += __builtin_convertvector(n_different, flags);
	for (size_t i = 0; i < LANES; i++)
		if (!(nothing[i] <= 0))
			return false;
	return true;
}

static void fold(const struct sums *s, struct hps_distance *d)
{
	for (size_t i = 0; i < LANES; i++) {
		d->difference2 += s->difference2[i];
		d->norm2 += s->norm2[i];
		d->max_difference = fmax(d->max_difference, s->max_difference[i]);
		d->max = fmax(d->max, s->max[i]);
		d->n_different += (uint64_t)s->n_different[i];
	}
}

/* AVX2 adds the same lanes in the same order: the result does not depend on the processor. Not with the thread sanitizer, whose code the choice between
 * the two would call before it is there. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
__attribute__((target_clones("default", "avx2")))
#endif
static void measure_chunk(const struct hps_array *a, const struct hps_array *b, size_t from, size_t to, struct hps_distance *d)
{
	const uint8_t *x = a->data, *y = b->data;
	size_t size = a->itemsize, i = from;
	uint64_t before = d->n_different;

	for (size_t n; i < to; i += n) {
		struct sums s = { 0 };
		bool finite;

		n = (to - i < BLOCK ? to - i : BLOCK) / LANES * LANES;
		if (n && size == sizeof(float))
			finite = add_block(&s, x + i * size, y + i * size, n, true);
		else
			finite = n && add_block(&s, x + i * size, y + i * size, n, false);
		n = n ? n : to - i;
		if (finite)
			fold(&s, d);
		else
			for (size_t k = i; k < i + n; k++)
				measure_element(a, b, k, d);
	}
	if (before || !d->n_different)
		return;
	for (i = from; i < to && hps_array_same(a, b, i); i++) /* the first difference lies in this chunk: where? */
		;
	d->first = i;
}

/* ---- any array ---- */

struct pair {
	const struct hps_array *a, *b;
	const struct hps_mapping *of_a, *of_b;
};

/* In C order without gaps. */
static bool is_compact(const struct hps_array *a)
{
	size_t stride = a->itemsize;

	for (size_t i = a->n_dimensions; i-- > 0;) {
		if (a->shape[i] > 1 && a->strides[i] != stride)
			return false;
		stride *= a->shape[i];
	}
	return true;
}

static void let_go(const struct hps_mapping *m, const uint8_t *from, size_t len)
{
	uintptr_t page = (uintptr_t)getpagesize(), start = ((uintptr_t)from + page - 1) / page * page, end = ((uintptr_t)from + len) / page * page;

	if (m && m->start && from >= m->start && from + len <= m->start + m->len && end > start)
		(void)!madvise((void *)start, end - start, MADV_DONTNEED); /* pages of a file: they come back when they are read */
}

/* The n elements from index i on are done with. */
static void pass_by(const struct pair *p, size_t i, size_t n)
{
	let_go(p->of_a, p->a->data + i * p->a->itemsize, n * p->a->itemsize);
	let_go(p->of_b, p->b->data + i * p->b->itemsize, n * p->b->itemsize);
}

bool hps_bytes_same(const void *a, const void *b, size_t len, const struct hps_mapping *of_a, const struct hps_mapping *of_b)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0, n; i < len; i += n) {
		n = len - i < CHUNK_BYTES ? len - i : CHUNK_BYTES;
		if (memcmp(x + i, y + i, n) != 0)
			return false;
		let_go(of_a, x + i, n);
		let_go(of_b, y + i, n);
	}
	return true;
}

static void measure_plain(const struct pair *p, size_t step, struct hps_distance *d)
{
	for (size_t i = 0, n; i < p->a->n; i += n) {
		n = p->a->n - i < step ? p->a->n - i : step;
		measure_chunk(p->a, p->b, i, i + n, d);
		pass_by(p, i, n);
	}
}

void hps_array_distance(const struct hps_array *a, const struct hps_array *b, const struct hps_mapping *of_a, const struct hps_mapping *of_b, struct hps_distance *d)
{
	struct pair p = { a, b, of_a, of_b };
	bool compact = a->big_endian == b->big_endian && is_compact(a) && is_compact(b);
	size_t step = CHUNK_BYTES / a->itemsize;

	if (compact && a->dtype == HPS_DTYPE_FLOAT && a->itemsize >= 4 && !a->big_endian) {
		measure_plain(&p, step, d);
		return;
	}
	if (compact && hps_bytes_same(a->data, b->data, a->n * a->itemsize, of_a, of_b))
		return;
	for (size_t i = 0; i < a->n; i++)
		measure_element(a, b, i, d);
}
