/* Whether the record is complete: nothing escaped it that we know of, and the mechanism is known to have worked to the end. Neither is
 * assumed. */
#include "recorder/recorder.h"

#define DRAWING_MAX 100

static bool proven(const struct hps_record *r)
{
	const struct hps_supervisor *s = r->supervisor;

	return s->ended && s->n_notices == s->n_answers && s->n_confirmed + s->n_assumed == s->n_executions && r->hashed && r->tree_ended;
}

bool hps_coverage_complete(const struct hps_record *r)
{
	return proven(r) && hps_gaps_none(r->gaps);
}

/* Which loaded files could have drawn random numbers from the processor: a fact beside the limit that it is not seen. */
static json_t *drawing_json(const struct hps_record *r)
{
	json_t *found = json_object(), *paths = json_array();
	size_t n = json_array_size(r->drawing);

	for (size_t i = 0; i < n && i < DRAWING_MAX; i++)
		json_array_append(paths, json_array_get(r->drawing, i));
	hps_json_set_int(found, "count", (int64_t)n);
	hps_json_set(found, "paths", paths);
	return found;
}

json_t *hps_coverage_json(const struct hps_record *r)
{
	const struct hps_supervisor *s = r->supervisor;
	json_t *coverage = hps_gaps_json(r->gaps), *evidence = json_object();

	hps_json_set(evidence, "listenerEnded", json_boolean(s->ended));
	hps_json_set_int(evidence, "notices", (int64_t)s->n_notices);
	hps_json_set_int(evidence, "answers", (int64_t)s->n_answers);
	hps_json_set_int(evidence, "executions", (int64_t)s->n_executions);
	hps_json_set_int(evidence, "executionsConfirmed", (int64_t)s->n_confirmed);
	hps_json_set_int(evidence, "processes", (int64_t)s->tracees.n);
	hps_json_set(evidence, "hashed", json_boolean(r->hashed));
	hps_json_set(evidence, "treeEnded", json_boolean(r->tree_ended));
	hps_json_set(json_array_get(json_object_get(coverage, "limits"), 0), "found", drawing_json(r));
	hps_json_set(coverage, "evidence", evidence);
	hps_json_set(coverage, "complete", json_boolean(hps_coverage_complete(r)));
	return coverage;
}
