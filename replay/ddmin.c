/* From a set that has an effect to one of which no single member can be left out. Members are found one by one by bisection, which takes few
 * tests as long as more of them never undo an effect; that is checked, and where it does not hold delta debugging finishes (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002, algorithm ddmin). */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

struct set {
	size_t *v, n; /* indices of factors, the likely ones first */
};

/* The test of members from..to of the set, or of all others. */
static int test(const struct hps_ddmin *d, const struct set *s, size_t from, size_t to, bool others, bool *ret_effect, struct hps_error *err)
{
	_cleanup_free_ bool *chosen = hps_alloc(d->n * sizeof *chosen + 1);

	for (size_t i = 0; i < s->n; i++)
		chosen[s->v[i]] = (i >= from && i < to) != others;
	return d->test(d->arg, chosen, ret_effect, err);
}

static void reduce(struct set *s, size_t from, size_t to, bool others)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if ((i >= from && i < to) != others)
			s->v[n++] = s->v[i];
	s->n = n;
}

/* One round at granularity g: parts first, then what is left without each. */
static int round_of(const struct hps_ddmin *d, struct set *s, size_t *g, bool *ret_reduced, struct hps_error *err)
{
	*ret_reduced = false;
	for (int others = 0; others <= (*g > 2); others++) /* with two parts each is the other's complement */
		for (size_t i = 0; i < *g; i++) {
			size_t from = s->n * i / *g, to = s->n * (i + 1) / *g;
			int r = test(d, s, from, to, others, ret_reduced, err);

			if (r)
				return r;
			if (*ret_reduced) {
				reduce(s, from, to, others);
				*g = others && *g - 1 > 2 ? *g - 1 : 2;
				return 0;
			}
		}
	return 0;
}

static int delta_debug(const struct hps_ddmin *d, struct set *s, struct hps_error *err)
{
	size_t g = 2;
	bool reduced;
	int r = 0;

	while (!r && s->n > 1) {
		g = g > s->n ? s->n : g;
		r = round_of(d, s, &g, &reduced, err);
		if (r || (!reduced && g == s->n))
			break;
		if (!reduced)
			g = 2 * g;
	}
	return r;
}

/* ---- bisection ---- */

/* What was kept, and the first n candidates. */
static int test_prefix(const struct hps_ddmin *d, const struct set *kept, const struct set *candidates, size_t n, bool *ret, struct hps_error *err)
{
	_cleanup_free_ bool *chosen = hps_alloc(d->n * sizeof *chosen + 1);

	for (size_t i = 0; i < kept->n; i++)
		chosen[kept->v[i]] = true;
	for (size_t i = 0; i < n; i++)
		chosen[candidates->v[i]] = true;
	return d->test(d->arg, chosen, ret, err);
}

/* How long a prefix to try next. The shortest that has the effect ends in candidate i when that one is needed and none behind it is: tried is the
 * length that halves this chance, so that a likely end is found soon. */
static size_t split(const struct hps_ddmin *d, const struct set *candidates, size_t without, size_t with)
{
	double chance = 1, total = 0, behind = 0;
	size_t best = without + (with - without) / 2;

	if (!d->likelihood)
		return best;
	for (size_t i = with; i-- > without; chance *= 1 - d->likelihood[candidates->v[i]])
		total += chance * d->likelihood[candidates->v[i]];
	chance = 1;
	for (best = with; best > without + 1 && behind < total / 2; best--) {
		behind += chance * d->likelihood[candidates->v[best - 1]];
		chance *= 1 - d->likelihood[candidates->v[best - 1]];
	}
	return best < with ? best : with - 1;
}

/* The last member of the shortest prefix that still has the effect is needed, given the rest of it. */
static int bisect(const struct hps_ddmin *d, struct set *candidates, struct set *kept, struct hps_error *err)
{
	bool enough = false;
	int r = 0;

	while (!r && !enough && candidates->n) {
		size_t without = 0, with = candidates->n;

		while (!r && with - without > 1) {
			size_t middle = split(d, candidates, without, with);
			bool effect = false;

			r = test_prefix(d, kept, candidates, middle, &effect, err);
			*(effect ? &with : &without) = middle;
		}
		if (r)
			return r;
		kept->v[kept->n++] = candidates->v[with - 1];
		candidates->n = with - 1;
		r = test_prefix(d, kept, candidates, 0, &enough, err);
	}
	return r;
}

/* Has the set the effect, and none of those with one member less? */
static int is_minimal(const struct hps_ddmin *d, const struct set *s, bool *ret_effect, bool *ret_minimal, struct hps_error *err)
{
	bool effect = false;
	int r = test(d, s, 0, s->n, false, ret_effect, err);

	*ret_minimal = !r && *ret_effect;
	for (size_t i = 0; !r && *ret_minimal && s->n > 1 && i < s->n; i++) {
		r = test(d, s, i, i + 1, true, &effect, err);
		*ret_minimal = !effect;
	}
	return r;
}

static void choose(const struct set *s, size_t n, bool *chosen)
{
	memset(chosen, 0, n * sizeof *chosen);
	for (size_t i = 0; i < s->n; i++)
		chosen[s->v[i]] = true;
}

int hps_ddmin_run(const struct hps_ddmin *d, bool *chosen, struct hps_error *err)
{
	_cleanup_free_ size_t *all = hps_alloc(d->n * sizeof *all + 1), *members = hps_alloc(d->n * sizeof *members + 1), *found = hps_alloc(d->n * sizeof *found + 1);
	struct set s = { all, 0 }, candidates = { members, 0 }, kept = { found, 0 };
	bool effect = false, minimal = false;
	int r;

	for (size_t i = 0; i < d->n; i++)
		if (chosen[i])
			s.v[s.n++] = i;
	if (s.n < 2)
		return 0;
	memcpy(members, all, s.n * sizeof *members);
	candidates.n = s.n;
	r = bisect(d, &candidates, &kept, err);
	r = r ? r : is_minimal(d, &kept, &effect, &minimal, err);
	if (!r && effect)
		s = kept;
	if (!r && !minimal)
		r = delta_debug(d, &s, err);
	choose(&s, d->n, chosen);
	return r;
}
