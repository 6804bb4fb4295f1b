/* Whether the record is complete: nothing escaped it that we know of, and the mechanism is known to have worked to the end. Neither is
 * assumed. */
#include "recorder/recorder.h"

static bool proven(const struct hps_record *r)
{
	const struct hps_supervisor *s = r->supervisor;

	return s->ended && s->n_notices == s->n_answers && s->n_confirmed + s->n_assumed == s->n_executions && r->hashed && r->tree_ended;
}

bool hps_coverage_complete(const struct hps_record *r)
{
	return proven(r) && hps_gaps_none(r->gaps);
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
	hps_json_set(coverage, "evidence", evidence);
	hps_json_set(coverage, "complete", json_boolean(hps_coverage_complete(r)));
	return coverage;
}
