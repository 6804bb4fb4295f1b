/* Questions to one study: what it was after, how it came out. */
#include "audit/audit.h"

#include <string.h>

static enum hps_goal goal_parse(const char *text)
{
	static const struct {
		const char *word;
		enum hps_goal goal;
	} words[] = { { "min", HPS_GOAL_MIN }, { "minimize", HPS_GOAL_MIN }, { "max", HPS_GOAL_MAX }, { "maximize", HPS_GOAL_MAX } };

	for (size_t i = 0; text && i < ARRAY_SIZE(words); i++)
		if (!strcmp(text, words[i].word))
			return words[i].goal;
	return HPS_GOAL_UNKNOWN;
}

/* metrics: {name: {goal: min|max}}; the first with a goal is the objective unless spec.objective names one. */
static const char *spec_objective(const json_t *spec, enum hps_goal *ret_goal)
{
	const json_t *metrics = hps_json_at(spec, "metrics", NULL);
	const char *named = hps_json_text(spec, "objective");
	const char *name;
	json_t *metric;

	/* The cast: jansson's iterator takes no const object and changes nothing. */
	json_object_foreach((json_t *)(uintptr_t)metrics, name, metric) {
		enum hps_goal goal = goal_parse(json_is_string(metric) ? json_string_value(metric) : hps_json_text(metric, "goal"));

		if (goal == HPS_GOAL_UNKNOWN || (named && strcmp(named, name)))
			continue;
		*ret_goal = goal;
		return name;
	}
	return NULL;
}

const char *hps_study_objective(const struct hps_study *s, enum hps_goal *ret_goal)
{
	const char *name = spec_objective(hps_json_at(hps_predicate(s->registered), "spec", NULL), ret_goal);

	if (name)
		return name;
	*ret_goal = HPS_GOAL_UNKNOWN;
	for (size_t i = 0; i < s->n_trials; i++) {
		json_t *metrics = (json_t *)(uintptr_t)hps_trial_metrics(s->trials[i]);

		if (json_object_size(metrics))
			return json_object_iter_key(json_object_iter(metrics));
	}
	return NULL;
}

const struct hps_trial *hps_study_best(const struct hps_study *s)
{
	const struct hps_trial *best = NULL;
	enum hps_goal goal;
	const char *name = hps_study_objective(s, &goal);
	double value, best_value = 0;

	for (size_t i = 0; name && goal != HPS_GOAL_UNKNOWN && i < s->n_trials; i++) {
		const struct hps_trial *t = s->trials[i];

		if (t->state != HPS_STATE_COMPLETE || !hps_trial_metric(t, name, &value))
			continue;
		if (!best || (goal == HPS_GOAL_MIN ? value < best_value : value > best_value)) {
			best = t;
			best_value = value;
		}
	}
	return best;
}

size_t hps_study_count(const struct hps_study *s, enum hps_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_trials; i++)
		n += s->trials[i]->state == state;
	return n;
}

static void collect_names(const struct hps_study *s, const json_t *(*of)(const struct hps_trial *), struct hps_strv *ret)
{
	struct hps_map seen = HPS_MAP_INIT;

	for (size_t i = 0; i < s->n_trials; i++) {
		json_t *object = (json_t *)(uintptr_t)of(s->trials[i]);
		const char *name;
		json_t *value;

		json_object_foreach(object, name, value) {
			void **slot = hps_map_slot(&seen, name);

			if (!*slot)
				hps_strv_add(ret, name);
			*slot = ret;
		}
	}
	hps_map_release(&seen);
	hps_strv_sort(ret);
}

void hps_study_params(const struct hps_study *s, struct hps_strv *ret)
{
	collect_names(s, hps_trial_params, ret);
}

void hps_study_metrics(const struct hps_study *s, struct hps_strv *ret)
{
	collect_names(s, hps_trial_metrics, ret);
}
