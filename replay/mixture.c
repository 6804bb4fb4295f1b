/* One trial with some of what another one started from. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

static bool has_path(const struct hps_strv *paths, const char *path)
{
	for (size_t i = 0; i < paths->n; i++)
		if (!strcmp(paths->v[i], path))
			return true;
	return false;
}

/* The file comes from the second trial. */
static bool from_b(const struct hps_delta *d, const bool *chosen, const char *path)
{
	for (size_t i = 0; i < d->n; i++)
		if (chosen[i] && d->v[i].kind == HPS_FACTOR_FILES && has_path(&d->v[i].paths, path))
			return true;
	return false;
}

static bool is_factor(const struct hps_delta *d, const char *path)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].kind == HPS_FACTOR_FILES && has_path(&d->v[i].paths, path))
			return true;
	return false;
}

static bool is_chosen(const struct hps_delta *d, const bool *chosen, enum hps_factor_kind kind, const char *name, size_t index)
{
	for (size_t i = 0; i < d->n; i++)
		if (chosen[i] && d->v[i].kind == kind && (!name || !strcmp(d->v[i].name, name)) && d->v[i].index == index)
			return true;
	return false;
}

/* The directories in a list of the first as the second listed them, where that is chosen. */
static json_t *mix_listings(const json_t *a, const json_t *b, const char *member, const struct hps_delta *d, const bool *chosen)
{
	struct hps_map y = HPS_MAP_INIT;
	json_t *list = json_array();
	const json_t *item;
	size_t i;

	hps_items_with(b, member, &y);
	json_array_foreach((json_t *)(uintptr_t)a, i, item) {
		const json_t *other = hps_item_name(item) && is_chosen(d, chosen, HPS_FACTOR_LISTING, hps_item_name(item), 0) ? hps_map_get(&y, hps_item_name(item)) : NULL;

		hps_json_add(list, json_incref((json_t *)(uintptr_t)(other && json_object_get(item, member) ? other : item)));
	}
	hps_map_release(&y);
	return list;
}

static json_t *mix_materials(const struct hps_original *a, const struct hps_original *b, const struct hps_delta *d, const bool *chosen)
{
	struct hps_map x = HPS_MAP_INIT;
	_cleanup_json_ json_t *own = mix_listings(a->materials, b->materials, "listing", d, chosen);
	json_t *list = json_array(), *item;
	size_t i;

	hps_items_index(a->materials, &x);
	json_array_foreach(own, i, item)
		if (!hps_item_name(item) || !hps_item_digest(item) || !from_b(d, chosen, hps_item_name(item)))
			hps_json_add(list, json_incref(item));
	json_array_foreach(b->materials, i, item) {
		const char *path = hps_item_name(item);

		if (path && hps_item_digest(item) && (from_b(d, chosen, path) || (!hps_item_is_given(item) && !hps_map_get(&x, path) && !is_factor(d, path))))
			hps_json_add(list, json_incref(item));
	}
	hps_map_release(&x);
	return list;
}

/* They say what was in a file before the trial changed it. */
static json_t *mix_products(const struct hps_original *a, const struct hps_original *b, const struct hps_delta *d, const bool *chosen)
{
	json_t *list = json_array(), *item;
	size_t i;

	json_array_foreach(a->products, i, item)
		if (!hps_item_name(item) || !from_b(d, chosen, hps_item_name(item)))
			hps_json_add(list, json_incref(item));
	json_array_foreach(b->products, i, item)
		if (hps_item_name(item) && from_b(d, chosen, hps_item_name(item)))
			hps_json_add(list, json_incref(item));
	return list;
}

static json_t *mix_misses(const struct hps_original *a, const json_t *materials)
{
	struct hps_map there = HPS_MAP_INIT;
	json_t *list = json_array(), *item;
	size_t i;

	hps_items_index(materials, &there);
	json_array_foreach(a->misses, i, item)
		if (!hps_item_name(item) || !hps_map_get(&there, hps_item_name(item)))
			hps_json_add(list, json_incref(item));
	hps_map_release(&there);
	return list;
}

static void mix_environment(const struct hps_original *a, const struct hps_delta *d, const bool *chosen, struct hps_strv *ret)
{
	for (size_t i = 0; i < a->environment.n; i++) {
		_cleanup_free_ char *name = hps_strndup(a->environment.v[i], strcspn(a->environment.v[i], "="));

		if (!is_chosen(d, chosen, HPS_FACTOR_VARIABLE, name, 0))
			hps_strv_add(ret, a->environment.v[i]);
	}
	for (size_t i = 0; i < d->n; i++)
		if (chosen[i] && d->v[i].kind == HPS_FACTOR_VARIABLE && d->v[i].b)
			hps_strv_addf(ret, "%s=%s", d->v[i].name, d->v[i].b);
}

static void mix_arguments(const struct hps_original *a, const struct hps_original *b, const struct hps_delta *d, const bool *chosen, struct hps_strv *ret)
{
	const struct hps_strv *from = is_chosen(d, chosen, HPS_FACTOR_ARGUMENTS, NULL, 0) ? &b->argv : &a->argv;

	for (size_t i = 0; i < from->n; i++)
		hps_strv_add(ret, is_chosen(d, chosen, HPS_FACTOR_ARGUMENT, NULL, i) ? b->argv.v[i] : from->v[i]);
}

void hps_delta_mix(const struct hps_original *a, const struct hps_original *b, const struct hps_delta *d, const bool *chosen, struct hps_original *ret)
{
	*ret = *a;
	ret->environment = ret->argv = (struct hps_strv)HPS_STRV_INIT;
	mix_environment(a, d, chosen, &ret->environment);
	mix_arguments(a, b, d, chosen, &ret->argv);
	ret->materials = mix_materials(a, b, d, chosen);
	ret->products = mix_products(a, b, d, chosen);
	ret->misses = mix_misses(a, ret->materials);
	ret->listings = a->listings ? mix_listings(a->listings, b->listings, "names", d, chosen) : NULL;
	if (is_chosen(d, chosen, HPS_FACTOR_UMASK, NULL, 0))
		ret->umask = b->umask;
	if (is_chosen(d, chosen, HPS_FACTOR_HOST, NULL, 0))
		ret->host = b->host;
	if (is_chosen(d, chosen, HPS_FACTOR_SEED, NULL, 0)) {
		ret->seed = b->seed;
		ret->seeded_fully = b->seeded_fully;
	}
}

/* What the mixture does not share with the first trial. */
void hps_delta_mix_release(struct hps_original *mixture)
{
	hps_strv_release(&mixture->environment);
	hps_strv_release(&mixture->argv);
	json_decref(mixture->materials);
	json_decref(mixture->products);
	json_decref(mixture->misses);
	json_decref(mixture->listings);
}
