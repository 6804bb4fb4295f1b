/* Tolerances that a study declared for its metrics, before its first trial, in the spec that it registered. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

struct search {
	const struct hps_entry *trial;
	struct hps_map *tolerances;
};

static void add_metric(const json_t *metric, struct hps_map *ret)
{
	const json_t *declared = hps_json_at(metric, "tolerance", NULL);
	const char *name = hps_json_text(metric, "name"), *rtol = hps_json_text(declared, "rtol"), *atol = hps_json_text(declared, "atol");
	struct hps_tolerance t = { .declared = true }, *kept;
	void **slot;

	if (!name || !declared || (rtol && hps_parse_double(rtol, &t.rtol)) || (atol && hps_parse_double(atol, &t.atol)) || t.rtol < 0 || t.atol < 0)
		return;
	kept = hps_alloc(sizeof *kept);
	*kept = t;
	slot = hps_map_slot(ret, name);
	free(*slot);
	*slot = kept;
}

/* The registration before the trial counts; a later one could have seen the result. */
static int take_registration(const struct hps_entry *entry, void *arg, struct hps_error *err)
{
	const struct search *s = arg;
	const json_t *metric;
	size_t i;

	(void)err;
	if (entry->index >= s->trial->index)
		return 0;
	hps_tolerance_map_release(s->tolerances);
	json_array_foreach((json_t *)(uintptr_t)hps_json_at(entry->statement, "predicate", "spec", "metrics", NULL), i, metric)
		add_metric(metric, s->tolerances);
	return 0;
}

int hps_tolerance_of_study(struct hps_ledger *l, const struct hps_entry *trial, struct hps_map *ret, struct hps_error *err)
{
	struct hps_filter filter = HPS_FILTER_ANY;
	struct search s = { trial, ret };

	if (!trial->study)
		return 0;
	filter.kind = "search";
	filter.event = "register";
	filter.study = trial->study;
	return hps_ledger_each(l, &filter, take_registration, &s, err);
}

void hps_tolerance_map_release(struct hps_map *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->items[i].value);
	hps_map_release(m);
}
