/* Rules over single records: who, when, where, with which recorder, and how much of it was seen. */
#include "audit/audit.h"

#include <inttypes.h>
#include <string.h>

static const json_t *recorder_of(const struct hps_trial *t)
{
	return hps_json_at(hps_predicate(t->begin), "recorder", NULL);
}

static bool is_trial_entry(const struct hps_trial *t)
{
	return t->end && t->state != HPS_STATE_LOST;
}

/* A value is there, or the record says why it is not. */
enum known { ABSENT, EXPLAINED, PRESENT };

static enum known known(const json_t *identity)
{
	const char *value = hps_json_text(identity, "value");

	if (value && *value)
		return PRESENT;
	return identity && (hps_json_text(identity, "why") || hps_json_text(identity, "missing")) ? EXPLAINED : ABSENT;
}

void hps_rule_unique_numbers(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_studies; i++)
		if (m->studies[i].n_registered > 1)
			hps_finding_fail(f, m->studies[i].registered, "the study '%s' was registered %zu times", m->studies[i].name,
					 m->studies[i].n_registered);
	for (size_t i = 0; i < m->n_studies; i++) {
		const struct hps_study *s = &m->studies[i];
		const struct hps_trial *kept = NULL;

		for (size_t j = 0; j < s->n_trials; j++) {
			const struct hps_trial *t = s->trials[j];

			/* A run whose recorder died has no result that could be chosen: its number may be run again. */
			if (!s->name || t->number < 0 || t->state == HPS_STATE_LOST)
				continue;
			hps_finding_check(f);
			if (kept && kept->number == t->number)
				hps_finding_fail(f, hps_trial_entry(t), "number %" PRId64 " of the study '%s' was run already, as @%" PRIu64, t->number,
						 s->name, hps_trial_index(kept));
			kept = t;
		}
	}
}

void hps_rule_operator(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_trials; i++) {
		const struct hps_trial *t = &m->trials[i];
		const json_t *recorder = recorder_of(t);

		hps_finding_check(f);
		if (!json_object_get(recorder, "uid"))
			hps_finding_fail(f, hps_trial_entry(t), "no user id is recorded");
		else if (is_trial_entry(t) && !hps_json_text(recorder, "user") && known(hps_trial_identity(t, "user.name")) == ABSENT)
			hps_finding_unknown(f, hps_trial_entry(t), "a user id is recorded, but no user name");
	}
}

static void judge_times(const struct hps_trial *t, struct hps_finding *f)
{
	const struct hps_entry *e = hps_trial_entry(t);
	const char *begun = hps_json_text(hps_predicate(t->begin), "time");
	int64_t start, end;

	if (!is_trial_entry(t)) {
		if (!begun || hps_time_parse(begun, &start))
			hps_finding_fail(f, e, "no start time in UTC");
		return;
	}
	if (!hps_trial_times(t, &start, &end)) {
		hps_finding_fail(f, e, "no start and end time in UTC");
		return;
	}
	if (end < start)
		hps_finding_fail(f, e, "the end is %.3f s before the start: the clock was set back", ((double)start - (double)end) / 1e9);
	else if (known(hps_trial_identity(t, "clock.synchronized")) != PRESENT)
		hps_finding_unknown(f, e, "whether the clock was synchronized is not known");
}

void hps_rule_times(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_trials; i++) {
		hps_finding_check(f);
		judge_times(&m->trials[i], f);
	}
}

static bool scheduler_known(const struct hps_trial *t)
{
	const json_t *identities = hps_json_at(hps_predicate(t->end), "identities", NULL);
	const json_t *item;
	size_t i;

	json_array_foreach(identities, i, item) {
		const char *name = hps_json_text(item, "name");

		if (name && !strncmp(name, "scheduler", 9) && known(item) != ABSENT)
			return true;
	}
	return false;
}

/* What is missing first, or NULL. */
static const char *machine_gap(const struct hps_trial *t)
{
	static const struct {
		const char *member, *identity, *why;
	} facts[] = {
		{ "host", "host.name", "the host is neither recorded nor explained" },
		{ "bootId", "host.bootId", "the boot id is neither recorded nor explained" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		if (!hps_json_text(recorder_of(t), facts[i].member) && known(hps_trial_identity(t, facts[i].identity)) == ABSENT)
			return facts[i].why;
	if (is_trial_entry(t) && !scheduler_known(t))
		return "whether a scheduler started it is neither recorded nor explained";
	return NULL;
}

void hps_rule_machine(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_trials; i++) {
		const char *why = machine_gap(&m->trials[i]);

		hps_finding_check(f);
		if (why)
			hps_finding_fail(f, hps_trial_entry(&m->trials[i]), "%s", why);
	}
}

static void judge_selftest(const struct hps_trial *t, struct hps_finding *f)
{
	const json_t *identity = hps_trial_identity(t, "recorder.selftest");
	const char *value = hps_json_text(identity, "value");

	if (known(identity) == ABSENT)
		hps_finding_fail(f, t->end, "the recorder's self-test is not recorded");
	else if (!value)
		hps_finding_unknown(f, t->end, "the recorder's self-test did not run: %s", hps_json_text(identity, "why") ?: "no reason given");
	else if (strncmp(value, "pass", 4) && strcmp(value, "ok"))
		hps_finding_fail(f, t->end, "the recorder's self-test says '%s'", value);
}

void hps_rule_recorder(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_trials; i++) {
		const struct hps_trial *t = &m->trials[i];
		const json_t *recorder = recorder_of(t);
		const char *digest = hps_json_text(recorder, "digest");
		struct hps_digest parsed;

		hps_finding_check(f);
		if (!hps_json_text(recorder, "version"))
			hps_finding_fail(f, hps_trial_entry(t), "the recorder's version is not recorded");
		else if (!digest || hps_digest_parse(digest, &parsed))
			hps_finding_fail(f, hps_trial_entry(t), "the digest of the recorder's program is not recorded");
		else if (is_trial_entry(t))
			judge_selftest(t, f);
	}
}

static void judge_coverage(const struct hps_trial *t, struct hps_finding *f)
{
	const json_t *coverage = hps_json_at(hps_predicate(t->end), "coverage", NULL);
	const json_t *gap = json_array_get(hps_trial_gaps(t), 0);
	size_t n = json_array_size(hps_trial_gaps(t));
	const char *what = hps_json_text(gap, "what"), *why = hps_json_text(gap, "why");

	if (!json_is_boolean(json_object_get(coverage, "complete")))
		hps_finding_fail(f, t->end, "no coverage statement");
	else if (json_is_true(json_object_get(coverage, "complete")))
		return;
	else if (!n)
		hps_finding_fail(f, t->end, "coverage is not complete, and no gap is named");
	else
		hps_finding_fail(f, t->end, "%zu gap%s; %s%s: %s", n, n == 1 ? "" : "s", n == 1 ? "" : "the first: ", what ?: "unnamed",
				 why ?: "no reason given");
}

void hps_rule_coverage(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_trials; i++) {
		const struct hps_trial *t = &m->trials[i];

		if (t->state == HPS_STATE_OPEN)
			continue;
		hps_finding_check(f);
		if (t->state == HPS_STATE_LOST)
			hps_finding_unknown(f, t->end, "its recorder died: what it had seen is lost");
		else
			judge_coverage(t, f);
	}
}
