/* Questions to one study: what it was after, how it came out. */
#include "audit/audit.h"

#include <string.h>

/* The first metric of the compiled study is its objective (docs/FORMATS.md, "Compiled study"). */
static const char *spec_objective(const json_t *spec, enum hps_goal *ret_goal)
{
	const json_t *first = json_array_get(hps_json_at(spec, "metrics", NULL), 0);
	const char *name = hps_json_text(first, "name"), *goal = hps_json_text(first, "goal");

	if (!name || !goal || (strcmp(goal, "min") && strcmp(goal, "max")))
		return NULL;
	*ret_goal = strcmp(goal, "min") ? HPS_GOAL_MAX : HPS_GOAL_MIN;
	return name;
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

bool hps_study_is_log(const struct hps_study *s, const char *param)
{
	const json_t *space = hps_json_at(hps_predicate(s->registered), "spec", "space", NULL);
	const json_t *item;
	size_t i;

	json_array_foreach(space, i, item) {
		const char *name = hps_json_text(item, "name");

		if (name && !strcmp(name, param))
			return json_is_true(json_object_get(item, "log"));
	}
	return false;
}

bool hps_study_is_over(const struct hps_study *s)
{
	const char *reason = hps_json_text(hps_predicate(s->stopped), "reason");

	return reason && !strcmp(reason, "budget");
}
