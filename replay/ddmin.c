/* Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002, algorithm ddmin):
 * from a set that has an effect to one of which no single member can be left out. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

struct set {
	size_t *v, n; /* indices of factors, in the order of their priors */
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

int hps_ddmin_run(const struct hps_ddmin *d, bool *chosen, struct hps_error *err)
{
	_cleanup_free_ size_t *members = hps_alloc(d->n * sizeof *members + 1);
	struct set s = { members, 0 };
	size_t g = 2;
	bool reduced;
	int r = 0;

	for (size_t i = 0; i < d->n; i++)
		if (chosen[i])
			s.v[s.n++] = i;
	while (!r && s.n > 1) {
		g = g > s.n ? s.n : g;
		r = round_of(d, &s, &g, &reduced, err);
		if (r || (!reduced && g == s.n))
			break;
		if (!reduced)
			g = 2 * g;
	}
	memset(chosen, 0, d->n * sizeof *chosen);
	for (size_t i = 0; i < s.n; i++)
		chosen[s.v[i]] = true;
	return r;
}
