/* Questions to one trial's record. Everything may be absent: a record is input, not our own memory. */
#include "audit/audit.h"

#include <string.h>

const struct hps_entry *hps_trial_entry(const struct hps_trial *t)
{
	return t->end ? t->end : t->begin;
}

const char *hps_trial_id(const struct hps_trial *t)
{
	return hps_trial_entry(t)->id;
}

uint64_t hps_trial_index(const struct hps_trial *t)
{
	return hps_trial_entry(t)->index;
}

const json_t *hps_trial_params(const struct hps_trial *t)
{
	const json_t *params = hps_json_at(hps_predicate(t->end), "buildDefinition", "externalParameters", "params", NULL);

	if (!json_is_object(params))
		params = hps_json_at(hps_predicate(t->begin), "params", NULL);
	return json_is_object(params) ? params : NULL;
}

const json_t *hps_trial_command(const struct hps_trial *t)
{
	const json_t *command = hps_json_at(hps_predicate(t->end), "buildDefinition", "externalParameters", "command", NULL);

	return command ? command : hps_json_at(hps_predicate(t->begin), "command", NULL);
}

const json_t *hps_trial_metrics(const struct hps_trial *t)
{
	const json_t *metrics = hps_json_at(hps_predicate(t->end), "metrics", NULL);

	return json_is_object(metrics) ? metrics : NULL;
}

bool hps_trial_metric(const struct hps_trial *t, const char *name, double *ret)
{
	const char *text = hps_json_text(hps_trial_metrics(t), name);

	return text && hps_parse_double(text, ret) == 0;
}

bool hps_trial_times(const struct hps_trial *t, int64_t *ret_start_ns, int64_t *ret_end_ns)
{
	const json_t *metadata = hps_json_at(hps_predicate(t->end), "runDetails", "metadata", NULL);
	const char *start = hps_json_text(metadata, "startedOn"), *end = hps_json_text(metadata, "finishedOn");

	return start && end && hps_time_parse(start, ret_start_ns) == 0 && hps_time_parse(end, ret_end_ns) == 0;
}

bool hps_trial_seconds(const struct hps_trial *t, double *ret)
{
	const char *wall = hps_json_text(hps_json_at(hps_predicate(t->end), "resources", NULL), "wallSeconds");
	int64_t start, end;

	if (wall && hps_parse_double(wall, ret) == 0)
		return true;
	if (!hps_trial_times(t, &start, &end))
		return false;
	*ret = ((double)end - (double)start) / 1e9;
	return true;
}

const json_t *hps_trial_identity(const struct hps_trial *t, const char *name)
{
	const json_t *identities = hps_json_at(hps_predicate(t->end), "identities", NULL);
	const json_t *item;
	size_t i;

	json_array_foreach(identities, i, item) {
		const char *its_name = hps_json_text(item, "name");

		if (its_name && !strcmp(its_name, name))
			return item;
	}
	return NULL;
}

static const char *named_digest(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *its_name = hps_json_text(item, "name");

		if (its_name && !strcmp(its_name, name))
			return hps_json_text(hps_json_at(item, "digest", NULL), "sha256");
	}
	return NULL;
}

const char *hps_trial_manifest(const struct hps_trial *t, const char *name)
{
	if (!t->end)
		return NULL;
	if (!strcmp(name, "products"))
		return named_digest(json_object_get(t->end->statement, "subject"), name);
	return named_digest(hps_json_at(hps_predicate(t->end), "buildDefinition", "resolvedDependencies", NULL), name);
}

const json_t *hps_trial_gaps(const struct hps_trial *t)
{
	const json_t *gaps = hps_json_at(hps_predicate(t->end), "coverage", "gaps", NULL);

	return json_is_array(gaps) ? gaps : NULL;
}

char *hps_trial_exit(const struct hps_trial *t)
{
	const json_t *how = hps_json_at(hps_predicate(t->end), "exit", NULL);

	if (json_is_object(how) && json_object_get(how, "signal"))
		return hps_format("signal %lld", (long long)hps_json_int(how, "signal", -1));
	if (json_is_object(how) && json_object_get(how, "code"))
		return hps_format("exit %lld", (long long)hps_json_int(how, "code", -1));
	if (t->state == HPS_STATE_LOST)
		return hps_strdup("recorder died");
	return hps_strdup(t->end ? "unknown end" : t->running ? "still running" : t->spooled ? "waits in the spool" : "no end");
}

const char *hps_trial_stderr(const struct hps_trial *t)
{
	static const char ending[] = "/stderr.log";
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)(t->end ? json_object_get(t->end->statement, "subject") : NULL), i, item) {
		const char *name = hps_json_text(item, "name");
		size_t n = name ? strlen(name) : 0;

		if (n >= sizeof ending - 1 && !strcmp(name + n - (sizeof ending - 1), ending))
			return name;
	}
	return NULL;
}
