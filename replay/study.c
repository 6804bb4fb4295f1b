/* What a study declared before its first trial, in the spec that it registered: tolerances of its metrics, variables of its
 * trials. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

struct search {
	const struct hps_entry *trial;
	json_t *spec;
};

/* The last registration before the trial counts; a later one could have seen the result. */
static int take_registration(const struct hps_entry *entry, void *arg, struct hps_error *err)
{
	struct search *s = arg;
	const json_t *spec = hps_json_at(entry->statement, "predicate", "spec", NULL);

	(void)err;
	if (entry->index >= s->trial->index || !spec)
		return 0;
	json_decref(s->spec);
	s->spec = json_deep_copy(spec);
	return 0;
}

int hps_study_spec(struct hps_ledger *l, const struct hps_entry *trial, json_t **ret, struct hps_error *err)
{
	struct hps_filter filter = HPS_FILTER_ANY;
	struct search s = { .trial = trial };
	int r;

	*ret = NULL;
	if (!trial->study)
		return 0;
	filter.kind = "search";
	filter.event = "register";
	filter.study = trial->study;
	r = hps_ledger_each(l, &filter, take_registration, &s, err);
	if (r)
		json_decref(s.spec);
	else
		*ret = s.spec;
	return r;
}

static void add_metric(const json_t *metric, struct hps_map *ret)
{
	const json_t *declared = hps_json_at(metric, "tolerance", NULL);
	const char *name = hps_json_text(metric, "name"), *rtol = hps_json_text(declared, "rtol"), *atol = hps_json_text(declared, "atol");
	struct hps_tolerance t = { .declared = declared != NULL }, *kept;
	void **slot;

	if (!name || (rtol && hps_parse_double(rtol, &t.rtol)) || (atol && hps_parse_double(atol, &t.atol)) || t.rtol < 0 || t.atol < 0)
		return;
	kept = hps_alloc(sizeof *kept);
	*kept = t;
	slot = hps_map_slot(ret, name);
	free(*slot);
	*slot = kept;
}

void hps_study_tolerances(const json_t *spec, struct hps_map *ret)
{
	const json_t *metric;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)hps_json_at(spec, "metrics", NULL), i, metric)
		add_metric(metric, ret);
}
