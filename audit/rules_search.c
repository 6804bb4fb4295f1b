/* Rules over a search: nothing that was started may be missing, nothing that went badly may be left out. */
#include "audit/audit.h"
#include "core/redact.h"

#include <inttypes.h>
#include <string.h>

static const struct hps_study *study_named(const struct hps_model *m, const char *name)
{
	for (size_t i = 0; i < m->n_studies; i++)
		if (m->studies[i].name && !strcmp(m->studies[i].name, name))
			return &m->studies[i];
	return NULL;
}

/* ---- INT-05 */

static void judge_ends(const struct hps_model *m, struct hps_finding *f)
{
	for (size_t i = 0; i < m->n_trials; i++) {
		const struct hps_trial *t = &m->trials[i];

		hps_finding_check(f);
		if (!t->begin)
			hps_finding_fail(f, t->end, "the begin entry that it names is not in the ledger");
		else if (!t->end && t->running)
			hps_finding_unknown(f, t->begin, "it is still running");
		else if (!t->end && t->spooled)
			hps_finding_unknown(f, t->begin, "its record could not be appended and waits in the spool: 'hps-ledger push' appends it");
		else if (!t->end)
			hps_finding_fail(f, t->begin, "it began and has no end: its recorder died, and no 'lost' entry says so yet, or it keeps the record on its own machine until 'hps-ledger push'");
	}
}

/* One begin, one end: a second one would let its owner choose. */
static void judge_second_ends(const struct hps_model *m, struct hps_finding *f)
{
	struct hps_map ended = HPS_MAP_INIT;

	for (size_t i = 0; i < m->n_entries; i++) {
		const struct hps_entry *e = &m->entries[i];
		void **first;

		if (!e->begin || !e->kind || (strcmp(e->kind, "trial") && strcmp(e->kind, "lost")))
			continue;
		first = hps_map_slot(&ended, e->begin);
		if (*first)
			hps_finding_fail(f, e, "this begin entry was ended already, by @%" PRIu64, ((const struct hps_entry *)*first)->index);
		else
			*first = (void *)(uintptr_t)e;
	}
	hps_map_release(&ended);
}

/* While a study goes on, what is missing may still come. */
static void not_yet(const struct hps_study *s, const struct hps_entry *e, struct hps_finding *f, int64_t number, const char *what)
{
	if (hps_study_is_over(s))
		hps_finding_fail(f, e, "number %" PRId64 " of the study '%s' %s", number, s->name, what);
	else
		hps_finding_unknown(f, e, "number %" PRId64 " of the study '%s' %s yet; the study is not over", number, s->name, what);
}

static bool differ(const json_t *handed_out, const json_t *ran)
{
	return handed_out && ran && !hps_redact_equal(handed_out, ran);
}

/* What ran of a number, beside what was handed out; NULL: it is the same. */
static const char *ran_otherwise(const struct hps_slot *slot, const struct hps_trial *t)
{
	const json_t *commit = hps_predicate(slot->commit);

	if (differ(hps_json_at(commit, "params", NULL), hps_trial_params(t)))
		return "ran with other parameters than were handed out";
	if (differ(hps_json_at(commit, "command", NULL), hps_trial_command(t)))
		return "ran another command than was handed out";
	if (t->begin && t->begin->index < slot->commit->index)
		return "began before it was handed out";
	return NULL;
}

static void judge_runs(const struct hps_model *m, struct hps_finding *f)
{
	for (size_t i = 0; i < m->n_trials; i++) {
		const struct hps_trial *t = &m->trials[i];
		const struct hps_slot *slot = t->slot ? &m->slots[t->slot - 1] : NULL;
		const char *otherwise = slot && slot->commit ? ran_otherwise(slot, t) : NULL;

		if (otherwise)
			hps_finding_fail(f, hps_trial_entry(t), "number %" PRId64 " of the study '%s' %s", slot->number, slot->study, otherwise);
	}
}

static void judge_slot(const struct hps_study *s, const struct hps_slot *slot, struct hps_finding *f)
{
	hps_finding_check(f);
	if (slot->second_commit)
		hps_finding_fail(f, slot->second_commit, "number %" PRId64 " of the study '%s' was handed out already, by @%" PRIu64, slot->number, s->name,
				 slot->commit->index);
	if (!slot->commit && slot->trial)
		hps_finding_fail(f, hps_trial_entry(slot->trial), "number %" PRId64 " ran in the study '%s', but its search never handed it out",
				 slot->number, s->name);
	else if (!slot->commit)
		hps_finding_fail(f, slot->result, "number %" PRId64 " of the study '%s' has a result, but was never handed out", slot->number, s->name);
	else if (!slot->trial)
		not_yet(s, slot->commit, f, slot->number, "was handed out and has not begun");
	else if (slot->trial->end && !slot->result)
		not_yet(s, hps_trial_entry(slot->trial), f, slot->number, "ended and is not taken in as a result");
}

/* Numbers count from 0 to the budget without a gap: a number left out would be a trial thrown away unseen. */
static void judge_numbers(const struct hps_model *m, const struct hps_study *s, struct hps_finding *f)
{
	int64_t n = 0, high = -1, budget = hps_json_int(hps_json_at(hps_predicate(s->registered), "spec", "budget", NULL), "trials", -1);

	for (size_t i = 0; i < m->n_slots; i++) {
		const struct hps_slot *slot = &m->slots[i];

		if (!slot->commit || strcmp(slot->study, s->name) != 0)
			continue;
		high = slot->number > high ? slot->number : high;
		n++;
	}
	if ((uint64_t)high + 1 != (uint64_t)n)
		hps_finding_fail(f, s->registered, "the study '%s' handed out number %" PRId64 ", but only %" PRId64 " numbers are there", s->name, high, n);
	if (budget >= 0 && (hps_study_is_over(s) ? n != budget : n > budget))
		hps_finding_fail(f, s->stopped ? s->stopped : s->registered, "the study '%s' has a budget of %" PRId64 " trials, and handed out %" PRId64, s->name,
				 budget, n);
}

void hps_rule_ends(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	judge_ends(m, f);
	judge_second_ends(m, f);
	judge_runs(m, f);
	for (size_t i = 0; i < m->n_slots; i++) {
		const struct hps_study *s = study_named(m, m->slots[i].study);

		if (s && s->registered)
			judge_slot(s, &m->slots[i], f);
	}
	for (size_t i = 0; i < m->n_studies; i++) {
		const struct hps_study *s = &m->studies[i];

		if (!s->registered)
			continue;
		judge_numbers(m, s, f);
		hps_proposals_judge(m, s, f);
	}
}

/* ---- INT-06 */

/* None at all is no member. */
static bool same_members(const json_t *a, const json_t *b)
{
	return json_object_size(a) || json_object_size(b) ? a && b && json_equal(a, b) : true;
}

static void judge_result(const struct hps_model *m, const struct hps_slot *slot, struct hps_finding *f)
{
	const json_t *said = hps_predicate(slot->result);
	const char *state = hps_json_text(said, "state"), *id = hps_json_text(said, "trial");
	const struct hps_entry *end = hps_model_find(m, id ?: hps_json_text(said, "lost"));
	const json_t *metrics = hps_json_at(said, "metrics", NULL);
	const char *real;

	hps_finding_check(f);
	if (slot->second_result)
		hps_finding_fail(f, slot->second_result, "number %" PRId64 " of the study '%s' has a result already, @%" PRIu64, slot->number, slot->study,
				 slot->result->index);
	if (!end) {
		hps_finding_fail(f, slot->result, "the entry that this result names is not in the ledger");
		return;
	}
	if (end->number != slot->number || !end->study || strcmp(end->study, slot->study) != 0) {
		hps_finding_fail(f, slot->result, "the result names @%" PRIu64 ", which is not a run of this number", end->index);
		return;
	}
	real = end->kind && !strcmp(end->kind, "lost") ? "lost" : hps_json_text(hps_predicate(end), "state");
	if (!state || !real || strcmp(state, real) != 0)
		hps_finding_fail(f, slot->result, "the result says '%s', the trial @%" PRIu64 " is '%s'", state ?: "nothing", end->index, real ?: "nothing");
	else if (!same_members(metrics, hps_json_at(hps_predicate(end), "metrics", NULL)))
		hps_finding_fail(f, slot->result, "the result's metrics are not those of the trial @%" PRIu64, end->index);
}

static void judge_counts(const struct hps_model *m, const struct hps_study *s, struct hps_finding *f)
{
	const json_t *counts = hps_json_at(hps_predicate(s->stopped), "counts", NULL);
	int64_t real[HPS_STATE_N] = { 0 };

	for (size_t i = 0; i < m->n_slots; i++) {
		const char *state = hps_json_text(hps_predicate(m->slots[i].result), "state");

		for (int j = 0; state && j < HPS_STATE_OPEN; j++)
			if (!strcmp(m->slots[i].study, s->name) && !strcmp(state, hps_state_name((enum hps_state)j)))
				real[j]++;
	}
	for (int j = 0; j < HPS_STATE_OPEN; j++) {
		const char *name = hps_state_name((enum hps_state)j);
		int64_t said = hps_json_int(counts, name, 0);

		hps_finding_check(f);
		if (said != real[j])
			hps_finding_fail(f, s->stopped, "the study '%s' stopped with %" PRId64 " %s trials, the records have %" PRId64, s->name, said,
					 name, real[j]);
	}
}

void hps_rule_retained(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->slots[i].result)
			judge_result(m, &m->slots[i], f);
	for (size_t i = 0; i < m->n_studies; i++) {
		const struct hps_study *s = &m->studies[i];

		if (s->stopped)
			judge_counts(m, s, f);
		else if (s->registered)
			hps_finding_unknown(f, s->registered, "the study '%s' has not stopped: its counts are not final", s->name);
	}
}
