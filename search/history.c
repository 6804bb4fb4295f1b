/* What the ledger holds of a study: entries in, state out. Nothing is kept anywhere else, so a resume is a reading. */
#include "ledger/ledger.h"
#include "search/search.h"

#include <stdlib.h>
#include <string.h>

#define BUDGET_MAX 1000000

static json_t *predicate_of(const struct hps_entry *e)
{
	return json_object_get(e->statement, "predicate");
}

static void replace(json_t **to, json_t *from)
{
	json_decref(*to);
	*to = json_incref(from);
}

static int take_register(const struct hps_entry *e, struct hps_history *h, struct hps_error *err)
{
	json_t *p = predicate_of(e), *spec = json_object_get(p, "spec");
	const char *seed = hps_json_text(p, "seed"), *digest = hps_json_text(p, "specDigest");
	int64_t budget = hps_json_int(json_object_get(spec, "budget"), "trials", -1);

	if (h->registered[0])
		return 0; /* the first one counts; a runner never appends a second */
	if (!seed || !digest || strlen(digest) != 64 || hps_unhex(h->seed.b, sizeof(h->seed.b), seed) || budget < 0 || budget > BUDGET_MAX)
		return hps_error_set(err, HPS_E_FORMAT, "reading entry @%llu: not a registration that this version understands",
				     (unsigned long long)e->index);
	memcpy(h->registered, e->id, sizeof(h->registered));
	memcpy(h->spec_digest, digest, sizeof(h->spec_digest));
	replace(&h->spec, spec);
	h->n = (size_t)budget;
	h->trials = hps_alloc((h->n + 1) * sizeof(*h->trials));
	return 0;
}

static void take_commit(const struct hps_entry *e, struct hps_run_trial *t)
{
	json_t *p = predicate_of(e);
	const char *seed = hps_json_text(p, "trialSeed");

	if (t->committed)
		return;
	t->committed = true;
	t->params = json_is_object(json_object_get(p, "params")) ? json_incref(json_object_get(p, "params")) : json_object();
	replace(&t->command, json_object_get(p, "command"));
	t->trial_seed = hps_strdup(seed ? seed : "");
}

static void take_state(struct hps_run_trial *t, const char *state)
{
	free(t->state);
	t->state = hps_strdup(state);
}

static void take_trial(const struct hps_entry *e, struct hps_run_trial *t)
{
	json_t *p = predicate_of(e);
	const json_t *exit_status = json_object_get(p, "exit");
	const char *state = hps_json_text(p, "state"), *seconds = hps_json_text(json_object_get(p, "resources"), "wallSeconds");

	if (t->id[0])
		return;
	memcpy(t->id, e->id, sizeof(t->id));
	take_state(t, state ? state : "unknown");
	t->exit = (int)hps_json_int(exit_status, "code", hps_json_int(exit_status, "signal", 0));
	replace(&t->metrics, json_object_get(p, "metrics"));
	if (!seconds || hps_parse_double(seconds, &t->seconds))
		t->seconds = 0;
}

static void take_result(const struct hps_entry *e, struct hps_run_trial *t)
{
	const char *state = hps_json_text(predicate_of(e), "state");

	t->has_result = true;
	if (!t->id[0])
		take_state(t, state ? state : "lost");
}

static bool same(const json_t *a, const json_t *b)
{
	return (!json_object_size(a) && !json_object_size(b) && !json_is_array(a)) || hps_redact_equal(a, b);
}

/* Recorded by hand under this number, and not what was handed out? */
static bool is_stranger(const struct hps_entry *e, struct hps_run_trial *t, struct hps_map *strangers)
{
	const json_t *p = predicate_of(e), *params = json_object_get(p, "params"), *command = json_object_get(p, "command");

	if (strcmp(e->kind, "begin") != 0)
		return e->begin && hps_map_find(strangers, e->begin);
	if (same(params, t->params) && (!t->command || same(command, t->command)))
		return false;
	*hps_map_slot(strangers, e->id) = t;
	return true;
}

/* An entry about one number. */
static void take_numbered(const struct hps_entry *e, struct hps_run_trial *t, struct hps_map *strangers)
{
	const char *event = e->event ? e->event : "";

	if (!strcmp(e->kind, "search") && !strcmp(event, "commit"))
		take_commit(e, t);
	if (!t->committed || json_object_get(predicate_of(e), "replayOf") || is_stranger(e, t, strangers))
		return;
	if (!strcmp(e->kind, "begin")) {
		t->n_begun++;
	} else if (!strcmp(e->kind, "lost")) {
		t->n_lost++;
		memcpy(t->lost, e->id, sizeof(t->lost));
	} else if (!strcmp(e->kind, "trial")) {
		take_trial(e, t);
	} else if (!strcmp(e->kind, "search") && !strcmp(event, "result")) {
		take_result(e, t);
	}
}

static int take_entry(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct hps_history *h = arg;
	const char *event = e->event ? e->event : "", *reason;

	h->next_index = e->index + 1;
	if (!strcmp(e->kind, "search") && !strcmp(event, "register"))
		return take_register(e, h, err);
	if (!h->registered[0])
		return 0;
	if (e->number >= 0 && (uint64_t)e->number < h->n)
		take_numbered(e, &h->trials[e->number], &h->strangers);
	if (!strcmp(e->kind, "search") && !strcmp(event, "stop")) {
		reason = hps_json_text(predicate_of(e), "reason");
		h->finished = reason && !strcmp(reason, "budget");
	}
	return 0;
}

int hps_history_read(struct hps_ledger *l, const char *study, struct hps_history *h, struct hps_error *err)
{
	struct hps_filter filter = HPS_FILTER_ANY;

	filter.study = study;
	filter.from_index = h->next_index;
	return hps_ledger_each(l, &filter, take_entry, h, err);
}

int hps_history_settle(struct hps_ledger *l, const char *study, struct hps_history *h, struct hps_error *err)
{
	int r = hps_ledger_lock(l, err);

	if (r)
		return r;
	hps_ledger_unlock(l);
	return hps_history_read(l, study, h, err);
}

void hps_history_release(struct hps_history *h)
{
	for (size_t i = 0; i < h->n; i++) {
		json_decref(h->trials[i].params);
		json_decref(h->trials[i].command);
		json_decref(h->trials[i].metrics);
		free(h->trials[i].trial_seed);
		free(h->trials[i].state);
	}
	free(h->trials);
	json_decref(h->spec);
	hps_map_release(&h->strangers);
	*h = (struct hps_history){ 0 };
}

struct hps_counts hps_history_counts(const struct hps_history *h)
{
	struct hps_counts c = { 0 };

	for (size_t i = 0; i < h->n; i++) {
		const struct hps_run_trial *t = &h->trials[i];
		const char *state = t->state ? t->state : "";

		if (!strcmp(state, "complete"))
			c.complete++;
		else if (!strcmp(state, "failed"))
			c.failed++;
		else if (!strcmp(state, "killed"))
			c.killed++;
		else if (*state)
			c.lost++;
		else if (t->n_begun > t->n_lost)
			c.running++;
		else
			c.open++;
	}
	return c;
}

int64_t hps_history_best(const struct hps_history *h)
{
	const json_t *objective = json_array_get(json_object_get(h->spec, "metrics"), 0);
	const char *name = hps_json_text(objective, "name"), *goal = hps_json_text(objective, "goal");
	double best = 0;
	int64_t found = -1;

	for (size_t i = 0; name && goal && i < h->n; i++) {
		const struct hps_run_trial *t = &h->trials[i];
		const char *text = hps_json_text(t->metrics, name);
		double x;

		if (!t->state || strcmp(t->state, "complete") != 0 || !text || hps_parse_double(text, &x))
			continue;
		if (found < 0 || (strcmp(goal, "max") ? x < best : x > best)) {
			found = (int64_t)i;
			best = x;
		}
	}
	return found;
}
