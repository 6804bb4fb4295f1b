/* The records of a ledger joined: begin with its end, trial with its verdict, number with its commit and result.
 * Entries are copied in; what they mean beyond their links is asked in trial.c and study.c. */
#include "audit/audit.h"

#include <stdlib.h>
#include <string.h>

static const char *const state_names[HPS_STATE_N] = { "complete", "failed", "killed", "lost", "open" };

const char *hps_state_name(enum hps_state state)
{
	return state_names[state];
}

static enum hps_state state_parse(const char *name)
{
	for (int i = 0; name && i < HPS_STATE_OPEN; i++)
		if (!strcmp(name, state_names[i]))
			return (enum hps_state)i;
	return HPS_STATE_OPEN;
}

static char *copy(const char *s)
{
	return s ? hps_strdup(s) : NULL;
}

void hps_model_add(struct hps_model *m, const struct hps_entry *entry)
{
	m->entries = hps_grow(m->entries, m->n_entries, sizeof(*m->entries));
	m->entries[m->n_entries++] = (struct hps_entry){
		.index = entry->index,
		.kind = copy(entry->kind),
		.study = copy(entry->study),
		.number = entry->number,
		.event = copy(entry->event),
		.begin = copy(entry->begin),
		.keyid = copy(entry->keyid),
		.statement = json_incref(entry->statement),
	};
	memcpy(m->entries[m->n_entries - 1].id, entry->id, sizeof(entry->id));
}

void hps_model_add_unread(struct hps_model *m, uint64_t index, const char *why)
{
	m->unread = hps_grow(m->unread, m->n_unread, sizeof(*m->unread));
	m->unread[m->n_unread++] = (struct hps_unread){ index, hps_strdup(why) };
}

const struct hps_entry *hps_model_find(const struct hps_model *m, const char *id)
{
	return id ? hps_map_get(&m->by_id, id) : NULL;
}

const json_t *hps_predicate(const struct hps_entry *entry)
{
	return entry ? json_object_get(entry->statement, "predicate") : NULL;
}

static bool is_kind(const struct hps_entry *e, const char *kind)
{
	return e->kind && !strcmp(e->kind, kind);
}

static bool is_event(const struct hps_entry *e, const char *event)
{
	return is_kind(e, "search") && e->event && !strcmp(e->event, event);
}

static bool in_scope(const struct hps_model *m, const char *study)
{
	return !m->only || (study && !strcmp(study, m->only));
}

/* ---- trials */

static struct hps_trial trial_of_begin(const struct hps_entry *e)
{
	return (struct hps_trial){
		.begin = e,
		.state = HPS_STATE_OPEN,
		.study = e->study,
		.number = e->number,
		.replay_of = hps_json_text(hps_predicate(e), "replayOf"),
	};
}

static void end_trial(struct hps_trial *t, const struct hps_entry *e)
{
	if (t->end) /* the first end counts; INT-05 names the second */
		return;
	t->end = e;
	t->state = is_kind(e, "lost") ? HPS_STATE_LOST : state_parse(hps_json_text(hps_predicate(e), "state"));
}

static struct hps_trial *trial_add(struct hps_model *m, struct hps_trial t)
{
	m->trials = hps_grow(m->trials, m->n_trials, sizeof(*m->trials));
	m->trials[m->n_trials] = t;
	return &m->trials[m->n_trials++];
}

/* A map whose values are positions + 1: what they index may still move. */
static void place_set(struct hps_map *places, const char *key, size_t position)
{
	*hps_map_slot(places, key) = (void *)(uintptr_t)(position + 1);
}

static size_t place_get(const struct hps_map *places, const char *key)
{
	return (size_t)(uintptr_t)(key ? hps_map_get(places, key) : NULL);
}

static void link_trials(struct hps_model *m)
{
	struct hps_map by_begin = HPS_MAP_INIT;

	for (size_t i = 0; i < m->n_entries; i++) {
		const struct hps_entry *e = &m->entries[i];
		size_t place;

		if (is_kind(e, "begin")) {
			trial_add(m, trial_of_begin(e));
			place_set(&by_begin, e->id, m->n_trials - 1);
		} else if (is_kind(e, "trial") || is_kind(e, "lost")) {
			place = place_get(&by_begin, e->begin);
			if (!place) {
				struct hps_trial orphan = trial_of_begin(e);

				orphan.begin = NULL;
				end_trial(trial_add(m, orphan), e);
			} else {
				end_trial(&m->trials[place - 1], e);
			}
		}
	}
	hps_map_release(&by_begin);
}

/* Reruns get the study of what they rerun; verdicts find their trial. */
static void link_by_trial(struct hps_model *m)
{
	struct hps_map by_trial = HPS_MAP_INIT;
	size_t place;

	for (size_t i = 0; i < m->n_trials; i++)
		if (m->trials[i].end)
			place_set(&by_trial, m->trials[i].end->id, i);
	for (size_t i = 0; i < m->n_trials; i++) {
		struct hps_trial *t = &m->trials[i];

		place = place_get(&by_trial, t->replay_of);
		if (place && !t->study) {
			t->study = m->trials[place - 1].study;
			t->number = m->trials[place - 1].number;
		}
	}
	for (size_t i = 0; i < m->n_entries; i++) {
		const struct hps_entry *e = &m->entries[i];

		if (!is_kind(e, "verdict"))
			continue;
		place = place_get(&by_trial, hps_json_text(hps_predicate(e), "hps_trial"));
		if (!place)
			continue;
		m->judgements = hps_grow(m->judgements, m->n_judgements, sizeof(*m->judgements));
		m->judgements[m->n_judgements++] = (struct hps_judgement){ e, m->trials[place - 1].judgement };
		m->trials[place - 1].judgement = m->n_judgements;
		m->trials[place - 1].verdict = e;
	}
	hps_map_release(&by_trial);
}

static void drop_out_of_scope(struct hps_model *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->n_trials; i++)
		if (in_scope(m, m->trials[i].study))
			m->trials[kept++] = m->trials[i];
	m->n_trials = kept;
}

/* ---- slots */

static struct hps_slot *slot_of(struct hps_model *m, struct hps_map *places, const char *study, int64_t number)
{
	_cleanup_free_ char *key = hps_format("%lld %s", (long long)number, study);
	size_t place = place_get(places, key);

	if (!place) {
		m->slots = hps_grow(m->slots, m->n_slots, sizeof(*m->slots));
		m->slots[m->n_slots++] = (struct hps_slot){ .study = study, .number = number };
		place_set(places, key, m->n_slots - 1);
		place = m->n_slots;
	}
	return &m->slots[place - 1];
}

static void take(const struct hps_entry **first, const struct hps_entry **second, const struct hps_entry *e)
{
	const struct hps_entry **to = *first ? second : first;

	if (!*to)
		*to = e;
}

static void link_slots(struct hps_model *m)
{
	struct hps_map places = HPS_MAP_INIT;
	struct hps_slot *slot;

	for (size_t i = 0; i < m->n_entries; i++) {
		const struct hps_entry *e = &m->entries[i];

		if (!e->study || e->number < 0 || !in_scope(m, e->study))
			continue;
		if (is_event(e, "commit")) {
			slot = slot_of(m, &places, e->study, e->number);
			take(&slot->commit, &slot->second_commit, e);
		} else if (is_event(e, "result")) {
			slot = slot_of(m, &places, e->study, e->number);
			take(&slot->result, &slot->second_result, e);
		}
	}
	for (size_t i = 0; i < m->n_trials; i++) {
		struct hps_trial *t = &m->trials[i];

		if (!t->study || t->number < 0 || t->replay_of)
			continue;
		slot = slot_of(m, &places, t->study, t->number);
		slot->trial = t;
		t->slot = (size_t)(slot - m->slots) + 1;
		slot->n_trials++;
	}
	hps_map_release(&places);
}

/* ---- studies */

static struct hps_study *study_of(struct hps_model *m, struct hps_map *places, const char *name)
{
	const char *key = name ? name : "";
	size_t place = place_get(places, key);

	if (!place) {
		m->studies = hps_grow(m->studies, m->n_studies, sizeof(*m->studies));
		m->studies[m->n_studies++] = (struct hps_study){ .name = name };
		place_set(places, key, m->n_studies - 1);
		place = m->n_studies;
	}
	return &m->studies[place - 1];
}

static int compare_trials(const void *a, const void *b)
{
	const struct hps_trial *x = *(struct hps_trial *const *)a, *y = *(struct hps_trial *const *)b;
	uint64_t i = hps_trial_index(x), j = hps_trial_index(y);

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return i < j ? -1 : i > j;
}

static void link_studies(struct hps_model *m)
{
	struct hps_map places = HPS_MAP_INIT;

	for (size_t i = 0; i < m->n_entries; i++) {
		const struct hps_entry *e = &m->entries[i];

		if (!e->study || !in_scope(m, e->study))
			continue;
		if (is_event(e, "register")) {
			struct hps_study *s = study_of(m, &places, e->study);

			s->registered = e;
			s->n_registered++;
		} else if (is_event(e, "stop")) {
			study_of(m, &places, e->study)->stopped = e;
		} else if (is_event(e, "commit")) {
			study_of(m, &places, e->study)->stopped = NULL; /* it went on */
		}
	}
	for (size_t i = 0; i < m->n_trials; i++) {
		struct hps_trial *t = &m->trials[i];
		struct hps_study *s;

		if (t->replay_of)
			continue;
		s = study_of(m, &places, t->study);
		s->trials = hps_grow(s->trials, s->n_trials, sizeof(struct hps_trial *));
		s->trials[s->n_trials++] = t;
	}
	for (size_t i = 0; i < m->n_studies; i++)
		if (m->studies[i].n_trials)
			qsort(m->studies[i].trials, m->studies[i].n_trials, sizeof(struct hps_trial *), compare_trials);
	hps_map_release(&places);
}

static bool knows_study(const struct hps_model *m, const char *name)
{
	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].study && !strcmp(m->entries[i].study, name))
			return true;
	return false;
}

static int no_such_study(const struct hps_model *m, const char *name, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv names = HPS_STRV_INIT;
	const char *near;

	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].study && (!names.n || strcmp(names.v[names.n - 1], m->entries[i].study)))
			hps_strv_add(&names, m->entries[i].study);
	near = hps_nearest(name, (const char *const *)names.v, names.n);
	if (near)
		return hps_error_set(err, HPS_E_NOTFOUND, "looking for the study '%s': no entry names it; did you mean '%s'?", name, near);
	return hps_error_set(err, HPS_E_NOTFOUND, "looking for the study '%s': no entry names it; 'hps-ledger list' shows what is there", name);
}

int hps_model_link(struct hps_model *m, const char *only, struct hps_error *err)
{
	m->only = only;
	if (only && !knows_study(m, only))
		return no_such_study(m, only, err);
	for (size_t i = 0; i < m->n_entries; i++)
		*hps_map_slot(&m->by_id, m->entries[i].id) = &m->entries[i];
	link_trials(m);
	link_by_trial(m);
	drop_out_of_scope(m);
	link_slots(m);
	link_studies(m);
	return 0;
}

size_t hps_model_n_named(const struct hps_model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n_studies; i++)
		n += m->studies[i].name != NULL;
	return n;
}

void hps_model_mark_running(struct hps_model *m, bool (*lives)(void *arg, const char *begin_id), void *arg)
{
	for (size_t i = 0; i < m->n_trials; i++)
		if (!m->trials[i].end)
			m->trials[i].running = lives(arg, m->trials[i].begin->id);
}

void hps_model_mark_spooled(struct hps_model *m, bool (*has)(const char *begin_id))
{
	for (size_t i = 0; i < m->n_trials; i++)
		if (!m->trials[i].end)
			m->trials[i].spooled = has(m->trials[i].begin->id);
}

void hps_model_release(struct hps_model *m)
{
	for (size_t i = 0; i < m->n_entries; i++) {
		struct hps_entry *e = &m->entries[i];

		free(e->kind);
		free(e->study);
		free(e->event);
		free(e->begin);
		free(e->keyid);
		json_decref(e->statement);
	}
	for (size_t i = 0; i < m->n_unread; i++)
		free(m->unread[i].why);
	for (size_t i = 0; i < m->n_studies; i++)
		free(m->studies[i].trials);
	free(m->entries);
	free(m->unread);
	free(m->trials);
	free(m->slots);
	free(m->studies);
	free(m->judgements);
	hps_map_release(&m->by_id);
	*m = (struct hps_model)HPS_MODEL_INIT;
}
