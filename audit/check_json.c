/* `hps-audit check --json`: hps.audit.check/1, described in hps-audit(1). */
#include "audit/audit.h"

#include <inttypes.h>

static json_t *ledger(const struct hps_source *s, const struct hps_findings *f)
{
	const struct hps_verification *v = &s->verification;
	json_t *problems = json_array(), *ret = json_object();

	for (size_t i = 0; i < v->n_problems; i++) {
		json_t *p = json_object();

		if (v->problems[i].index >= 0)
			hps_json_set_int(p, "index", v->problems[i].index);
		hps_json_set_text(p, "id", v->problems[i].id);
		hps_json_set_text(p, "file", v->problems[i].file);
		hps_json_set_text(p, "what", v->problems[i].what);
		hps_json_add(problems, p);
	}
	hps_json_set_text(ret, "origin", v->origin);
	hps_json_set_int(ret, "size", (int64_t)v->size);
	hps_json_set_text(ret, "root", v->root);
	hps_json_set_int(ret, "checked", (int64_t)v->n_checked);
	hps_json_set_int(ret, "objects", (int64_t)v->n_objects);
	hps_json_set_int(ret, "unread", (int64_t)s->model.n_unread);
	hps_json_set(ret, "holds", json_boolean(!f->damaged));
	if (v->asks_witnesses)
		hps_json_set_int(ret, "witnessed", (int64_t)v->witnessed);
	hps_json_set(ret, "problems", problems);
	return ret;
}

static json_t *offender(const struct hps_offender *o)
{
	json_t *ret = json_object();

	if (o->index >= 0)
		hps_json_set_int(ret, "index", o->index);
	hps_json_set_text(ret, "id", o->id[0] ? o->id : NULL);
	hps_json_set_text(ret, "outcome", o->failed ? "fail" : "unknown");
	hps_json_set_text(ret, "why", o->why);
	return ret;
}

static json_t *rule(const struct hps_finding *f)
{
	json_t *ret = json_object(), *offenders = json_array();

	for (size_t i = 0; i < f->n_offenders; i++)
		hps_json_add(offenders, offender(&f->offenders[i]));
	hps_json_set_text(ret, "id", f->rule->id);
	hps_json_set_text(ret, "title", f->rule->title);
	hps_json_set_text(ret, "supportsEvidenceFor", f->rule->anchor);
	hps_json_set_text(ret, "outcome", hps_outcome_name(f->outcome));
	hps_json_set_int(ret, "checked", (int64_t)f->n_checked);
	hps_json_set_int(ret, "failed", (int64_t)f->n_failed);
	hps_json_set_int(ret, "unknown", (int64_t)f->n_unknown);
	hps_json_set(ret, "offenders", offenders);
	return ret;
}

json_t *hps_check_json(const struct hps_source *s, const struct hps_findings *f)
{
	json_t *ret = json_object(), *rules = json_array();

	for (size_t i = 0; i < f->n; i++)
		hps_json_add(rules, rule(&f->items[i]));
	hps_json_set_text(ret, "schema", "hps.audit.check/1");
	hps_json_set_text(ret, "outcome", hps_findings_word(f));
	hps_json_set_text(ret, "study", s->model.only);
	hps_json_set(ret, "ledger", ledger(s, f));
	hps_json_set(ret, "rules", rules);
	return ret;
}
