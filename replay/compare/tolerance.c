/* Tolerances: as options, as JSON. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

static struct hps_tolerance *of_place(struct hps_map *by_place, const char *name)
{
	void **slot = hps_map_slot(by_place, name);

	if (!*slot) {
		struct hps_tolerance *t = hps_alloc(sizeof *t);

		t->declared = true;
		*slot = t;
	}
	return *slot;
}

/* "1e-6" for all, "loss=1e-3" for one metric, column or tensor. */
static int read_one(const char *option, const char *text, bool relative, struct hps_tolerance *general, struct hps_map *by_place, struct hps_error *err)
{
	const char *equals = strrchr(text, '=');
	_cleanup_free_ char *name = equals ? hps_strndup(text, (size_t)(equals - text)) : NULL;
	struct hps_tolerance *t = name ? of_place(by_place, name) : general;
	double x;

	if (hps_parse_double(equals ? equals + 1 : text, &x) || x < 0)
		return hps_error_set(err, HPS_E_USAGE, "option --%s: '%s' is no tolerance: a number that is not negative, or NAME=NUMBER", option, text);
	*(relative ? &t->rtol : &t->atol) = x;
	t->declared = true;
	return 0;
}

int hps_tolerance_read(const struct hps_strv *rtol, const struct hps_strv *atol, struct hps_tolerance *ret, struct hps_map *by_place, struct hps_error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < rtol->n; i++)
		r = read_one("rtol", rtol->v[i], true, ret, by_place, err);
	for (size_t i = 0; !r && i < atol->n; i++)
		r = read_one("atol", atol->v[i], false, ret, by_place, err);
	ret->by_place = by_place->n ? by_place : NULL;
	return r;
}

int hps_unmasked_read(const struct hps_strv *kinds, unsigned *ret, struct hps_error *err)
{
	for (size_t i = 0; i < kinds->n; i++) {
		enum hps_mask m = hps_mask_named(kinds->v[i]);

		if (!m && strcmp(kinds->v[i], "all") != 0)
			return hps_error_set(err, HPS_E_USAGE, "option --no-mask: '%s' is no kind of stamp; known are all, time, duration, host, pid, path, id, address, tool",
					     kinds->v[i]);
		*ret |= m ? HPS_MASK_BIT(m) : ~0u;
	}
	return 0;
}

json_t *hps_tolerance_json(const struct hps_tolerance *t)
{
	json_t *j = json_object();

	hps_json_set_double(j, "rtol", t->rtol);
	hps_json_set_double(j, "atol", t->atol);
	return j;
}

json_t *hps_tolerances_json(const struct hps_map *by_place)
{
	json_t *places = json_object();

	for (size_t i = 0; i < by_place->n; i++) {
		const struct hps_tolerance *t = by_place->items[i].value;

		if (t->declared)
			hps_json_set(places, by_place->items[i].key, hps_tolerance_json(t));
	}
	return places;
}

void hps_tolerances_release(struct hps_map *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->items[i].value);
	hps_map_release(m);
}
