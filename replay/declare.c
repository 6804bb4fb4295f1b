/* Tolerances that were declared in the ledger before the rerun whose result they judge: hps-replay declare. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

json_t *hps_declaration_statement(const char *trial, const struct hps_tolerance *t, const char *reason)
{
	json_t *s = hps_statement_new(HPS_PREDICATE_TOLERANCE), *p = json_object_get(s, "predicate"), *subject = json_object(), *digest = json_object();

	hps_json_set_text(digest, "sha256", trial);
	hps_json_set_text(subject, "name", "trial");
	hps_json_set(subject, "digest", digest);
	hps_json_add(json_object_get(s, "subject"), subject);
	hps_json_set_text(p, "trial", trial);
	if (t->declared)
		hps_json_set(p, "tolerance", hps_tolerance_json(t));
	hps_json_set(p, "places", t->by_place ? hps_tolerances_json(t->by_place) : json_object());
	if (reason)
		hps_json_set(p, "reason", hps_path_json(reason));
	return s;
}

static bool read_one(const json_t *j, struct hps_tolerance *t)
{
	const char *rtol = hps_json_text(j, "rtol"), *atol = hps_json_text(j, "atol");

	t->declared = true;
	return rtol && atol && !hps_parse_double(rtol, &t->rtol) && !hps_parse_double(atol, &t->atol) && t->rtol >= 0 && t->atol >= 0;
}

static int take(const struct hps_entry *entry, void *arg, struct hps_error *err)
{
	struct hps_declaration *d = arg;
	const json_t *p = json_object_get(entry->statement, "predicate");
	const char *trial = hps_json_text(p, "trial");

	(void)err;
	if (!trial || strcmp(trial, d->trial) != 0)
		return 0;
	json_decref(d->predicate);
	d->predicate = json_incref((json_t *)(uintptr_t)p);
	memcpy(d->id, entry->id, sizeof d->id);
	d->index = entry->index;
	d->n++;
	return 0;
}

/* The last one counts, and how many there were is told: a tolerance that was widened until it fitted shows. */
int hps_declaration_find(struct hps_ledger *l, const char *trial, struct hps_declaration *ret, struct hps_error *err)
{
	struct hps_filter filter = HPS_FILTER_ANY;
	const json_t *value;
	const char *name;
	int r;

	*ret = (struct hps_declaration){ .trial = trial };
	filter.kind = "tolerance";
	r = hps_ledger_each(l, &filter, take, ret, err);
	if (r || !ret->predicate)
		return r;
	value = json_object_get(ret->predicate, "tolerance");
	if (value && !read_one(value, &ret->tolerance))
		return hps_error_set(err, HPS_E_FORMAT, "the declaration @%llu: its tolerance is none", (unsigned long long)ret->index);
	json_object_foreach(json_object_get(ret->predicate, "places"), name, value) {
		struct hps_tolerance *t = hps_alloc(sizeof *t);

		*hps_map_slot(&ret->by_place, name) = t;
		if (!read_one(value, t))
			return hps_error_set(err, HPS_E_FORMAT, "the declaration @%llu: the tolerance of '%s' is none", (unsigned long long)ret->index, name);
	}
	ret->tolerance.by_place = ret->by_place.n ? &ret->by_place : NULL;
	return 0;
}

void hps_declaration_release(struct hps_declaration *d)
{
	json_decref(d->predicate);
	hps_tolerances_release(&d->by_place);
	*d = (struct hps_declaration){ 0 };
}
