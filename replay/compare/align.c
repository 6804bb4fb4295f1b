/* Which items of two sequences are the same ones, when some were put in, left out or changed. What is unique on both sides anchors the rest
 * (Cohen's patience diff); what lies between anchors is paired from both ends, then by a longest common subsequence where it is small. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_MAX ((size_t)4 << 20) /* cells of the table of a common subsequence */
#define DEPTH_MAX 64

struct side {
	const uint64_t *keys;
	size_t from, to;
};
struct seat { /* of a key in one gap */
	uint64_t key;
	size_t index;
	bool second; /* of b */
};

static size_t count(const struct side *s)
{
	return s->to - s->from;
}

static void pair_ends(struct side *a, struct side *b, size_t *match)
{
	while (count(a) && count(b) && a->keys[a->from] == b->keys[b->from])
		match[a->from++] = b->from++;
	while (count(a) && count(b) && a->keys[a->to - 1] == b->keys[b->to - 1])
		match[--a->to] = --b->to;
}

/* ---- anchors ---- */

static int by_key(const void *x, const void *y)
{
	const struct seat *a = x, *b = y;

	return a->key != b->key ? (a->key < b->key ? -1 : 1) : a->index < b->index ? -1 : a->index > b->index;
}

struct anchor {
	size_t a, b, before; /* before: the one in front of it in the longest chain */
};

static int by_a(const void *x, const void *y)
{
	const struct anchor *p = x, *q = y;

	return p->a < q->a ? -1 : p->a > q->a;
}

/* Keys that are there once on each side, in the order of a. */
static size_t find_anchors(const struct side *a, const struct side *b, struct anchor **ret)
{
	size_t n = count(a) + count(b), found = 0;
	_cleanup_free_ struct seat *seats = hps_alloc(n * sizeof *seats + 1);

	for (size_t i = 0; i < n; i++)
		seats[i] = i < count(a) ? (struct seat){ a->keys[a->from + i], a->from + i, false } :
					  (struct seat){ b->keys[b->from + i - count(a)], b->from + i - count(a), true };
	qsort(seats, n, sizeof *seats, by_key);
	*ret = hps_alloc((n / 2 + 1) * sizeof **ret);
	for (size_t i = 0, k; i < n; i += k) {
		const struct seat *s = &seats[i];

		for (k = 1; i + k < n && s[k].key == s->key; k++)
			;
		if (k == 2 && s[0].second != s[1].second)
			(*ret)[found++] = (struct anchor){ s[s[0].second].index, s[!s[0].second].index, SIZE_MAX };
	}
	qsort(*ret, found, sizeof **ret, by_a);
	return found;
}

/* The longest chain that rises on both sides: its members go into the match. False: there is none. */
static bool pair_anchors(const struct side *a, const struct side *b, size_t *match)
{
	struct anchor *anchors;
	size_t n = find_anchors(a, b, &anchors), length = 0;
	_cleanup_free_ size_t *ends = hps_alloc(n * sizeof *ends + 1); /* the smallest b at which a chain of that length ends */

	for (size_t i = 0; i < n; i++) {
		size_t low = 0, high = length;

		while (low < high) {
			size_t middle = low + (high - low) / 2;

			if (anchors[ends[middle]].b < anchors[i].b)
				low = middle + 1;
			else
				high = middle;
		}
		anchors[i].before = low ? ends[low - 1] : SIZE_MAX;
		ends[low] = i;
		length += low == length;
	}
	for (size_t i = length ? ends[length - 1] : SIZE_MAX; i != SIZE_MAX; i = anchors[i].before)
		match[anchors[i].a] = anchors[i].b;
	free(anchors);
	return length;
}

/* ---- small gaps ---- */

static void pair_common(const struct side *a, const struct side *b, size_t *match)
{
	size_t n = count(a), m = count(b), i = 0, j = 0;
	_cleanup_free_ uint32_t *table = NULL; /* at [i][j]: length of what is common from there on */

	if (!n || !m || n + 1 > TABLE_MAX / (m + 1))
		return;
	table = hps_alloc((n + 1) * (m + 1) * sizeof *table);
#define AT(x, y) table[(x) * (m + 1) + (y)]
	for (size_t x = n; x-- > 0;)
		for (size_t y = m; y-- > 0;)
			AT(x, y) = a->keys[a->from + x] == b->keys[b->from + y] ? AT(x + 1, y + 1) + 1 : AT(x + 1, y) > AT(x, y + 1) ? AT(x + 1, y) : AT(x, y + 1);
	while (i < n && j < m)
		if (a->keys[a->from + i] == b->keys[b->from + j]) {
			match[a->from + i] = b->from + j;
			i++;
			j++;
		} else if (AT(i + 1, j) >= AT(i, j + 1)) {
			i++;
		} else {
			j++;
		}
#undef AT
}

static void align_gap(struct side a, struct side b, size_t *match, unsigned depth);

/* What lies between items that have a partner. */
static void align_between(const struct side *a, const struct side *b, size_t *match, unsigned depth)
{
	struct side x = { a->keys, a->from, a->from }, y = { b->keys, b->from, b->from };

	for (size_t i = a->from; i <= a->to; i++) {
		if (i < a->to && match[i] == SIZE_MAX)
			continue;
		x.to = i;
		y.to = i < a->to ? match[i] : b->to;
		align_gap(x, y, match, depth);
		x.from = i + 1;
		y.from = y.to + 1;
	}
}

static void align_gap(struct side a, struct side b, size_t *match, unsigned depth)
{
	pair_ends(&a, &b, match);
	if (!count(&a) || !count(&b) || depth > DEPTH_MAX)
		return;
	if (pair_anchors(&a, &b, match))
		align_between(&a, &b, match, depth + 1);
	else
		pair_common(&a, &b, match);
}

void hps_align(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, size_t *match)
{
	const struct side x = { a, 0, n_a }, y = { b, 0, n_b };

	align_between(&x, &y, match, 0);
}
