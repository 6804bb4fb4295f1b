/* What of a study is written down: the specification, parameters and commands as the recorder would write them. Trials get them as
 * they are. */
#include "search/search.h"

#include <string.h>

extern char **environ;

static json_t *named(const struct hps_redactor *r, const char *name, const json_t *value)
{
	_cleanup_free_ char *safe = hps_redact_named(r, name, json_string_value(value));

	return json_string(safe);
}

json_t *hps_safe_named(const struct hps_redactor *r, const json_t *values)
{
	json_t *safe = json_object(), *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)values, name, value)
		hps_json_set(safe, name, named(r, name, value));
	return safe;
}

/* Words as they stand in JSON, escaped as paths are. */
json_t *hps_safe_command(const struct hps_redactor *r, const struct hps_strv *command)
{
	return hps_redact_arguments(r, command->v);
}

static void words_of(const json_t *list, struct hps_strv *ret)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		hps_strv_add(ret, json_string_value(json_array_get(list, i)));
}

/* The values of each parameter: of a choice, of a grid. */
static void redact_space(const struct hps_redactor *r, json_t *space)
{
	static const char *const lists[] = { "of", "points" };
	json_t *item;
	size_t i;

	json_array_foreach(space, i, item)
		for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
			json_t *list = json_object_get(item, lists[k]);

			for (size_t v = 0; v < json_array_size(list); v++)
				json_array_set_new(list, v, named(r, hps_json_text(item, "name"), json_array_get(list, v)));
		}
}

static void redact_list(const struct hps_redactor *r, json_t *trials)
{
	for (size_t i = 0; i < json_array_size(trials); i++)
		json_array_set_new(trials, i, hps_safe_named(r, json_array_get(trials, i)));
}

json_t *hps_safe_study(const struct hps_redactor *r, const json_t *spec)
{
	_cleanup_strv_ struct hps_strv command = HPS_STRV_INIT;
	json_t *safe = json_deep_copy(spec);

	words_of(json_object_get(spec, "command"), &command);
	json_object_set_new(safe, "command", hps_redact_arguments(r, command.v));
	redact_space(r, json_object_get(safe, "space"));
	redact_list(r, json_object_get(json_object_get(safe, "search"), "trials"));
	if (json_object_get(safe, "env"))
		json_object_set_new(safe, "env", hps_safe_named(r, json_object_get(spec, "env")));
	hps_redact_json(r, safe);
	return safe;
}

/* Entries are found by these names: one that would be withheld is refused. */
static int check_names(const struct hps_redactor *r, const json_t *spec, struct hps_error *err)
{
	const json_t *space = json_object_get(spec, "space"), *metrics = json_object_get(spec, "metrics"), *item;
	const char *study = hps_json_text(spec, "study");
	_cleanup_strv_ struct hps_strv names = HPS_STRV_INIT;
	size_t i;

	hps_strv_add(&names, study);
	json_array_foreach(space, i, item)
		hps_strv_add(&names, hps_json_text(item, "name"));
	json_array_foreach(metrics, i, item)
		hps_strv_add(&names, hps_json_text(item, "name"));
	for (i = 0; i < names.n; i++) {
		_cleanup_free_ char *safe = hps_redact_name(r, names.v[i]);

		if (strcmp(safe, names.v[i]) != 0)
			return hps_error_set(err, HPS_E_USAGE, "the name '%s' in the study holds what looks like a secret: give it another name", safe);
	}
	return 0;
}

int hps_secrets_learn(struct hps_ledger *l, const json_t *spec, struct hps_redactor *ret, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv command = HPS_STRV_INIT, env = HPS_STRV_INIT;
	const char *name;
	json_t *value;
	int r = hps_ledger_redact_key(l, ret->key, err);

	if (r)
		return r;
	words_of(json_object_get(spec, "command"), &command);
	json_object_foreach(json_object_get(spec, "env"), name, value)
		hps_strv_addf(&env, "%s=%s", name, json_string_value(value));
	hps_redactor_learn(ret, command.v, environ);
	hps_redactor_learn(ret, NULL, env.v);
	return check_names(ret, spec, err);
}
