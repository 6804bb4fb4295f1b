/* One trial among several of a process, by the marks that the program set: its two entries. What the process as a whole did is in the
 * record of its host; which part of that was this trial's nobody can tell, and the entry says so. */
#include "recorder/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/identity.h"

static const char attribution[] =
	"files, processes, connections and random numbers are recorded of the whole process, in the trial that 'host' begins; which of them this trial caused cannot be told";

/* Values as strings: what is none is written as JSON. */
static int add_params(json_t *params, const json_t *given, struct hps_error *err)
{
	const char *name;
	json_t *value;

	if (given && !json_is_object(given))
		return hps_error_set(err, HPS_E_FORMAT, "'params' is no object");
	json_object_foreach((json_t *)(uintptr_t)given, name, value) {
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
		_cleanup_json_ json_t *key = hps_path_json(name);
		const char *beyond = hps_metrics_beyond(value);
		int r = json_is_string(value) ? 0 : hps_json_canonical(value, &text, err);

		if (r)
			return hps_error_prefix(err, "parameter '%s'", name);
		hps_json_set(params, json_string_value(key), hps_path_json(beyond ? beyond : json_is_string(value) ? json_string_value(value) : text.data));
	}
	return 0;
}

static int read_begin(const json_t *given, struct hps_mark *ret, struct hps_error *err)
{
	const json_t *number = json_object_get(given, "number"), *study = json_object_get(given, "study");

	if ((number && (!json_is_integer(number) || json_integer_value(number) < 0)) || (study && !json_is_string(study)))
		return hps_error_set(err, HPS_E_FORMAT, "'number' is a whole number, 'study' a string");
	if (study && !hps_name_valid(json_string_value(study), ""))
		return hps_error_set(err, HPS_E_FORMAT, "'study': " HPS_NAME_RULE, "", "");
	ret->o.has_number = number != NULL;
	ret->o.number = number ? (uint64_t)json_integer_value(number) : 0;
	ret->study = study ? hps_strdup(json_string_value(study)) : NULL;
	return add_params(ret->params, json_object_get(given, "params"), err);
}

static int is_registered(const struct hps_entry *entry, void *arg, struct hps_error *err)
{
	(void)arg;
	return hps_error_set(err, HPS_E_FORMAT, "'%s' is a study of hps-search, which hands out its numbers: a mark cannot be one of them", entry->study);
}

/* Nobody but the runner says which trials a registered study has. */
static int study_is_free(struct hps_ledger *l, const char *study, struct hps_error *err)
{
	struct hps_filter registered = HPS_FILTER_ANY;

	registered.kind = "search";
	registered.event = "register";
	registered.study = study;
	return study ? hps_ledger_each(l, &registered, is_registered, NULL, err) : 0;
}

/* The host's record with this trial's name, number and parameters in place of its own. The study of a host that is a numbered trial of it is
 * not passed on: its numbers are handed out by somebody else. */
static struct hps_record record_of(const struct hps_record *host, struct hps_mark *m)
{
	struct hps_record r = *host;

	m->o.study = m->study ? m->study : host->o->has_number ? NULL : host->o->study;
	r.o = &m->o;
	r.params = m->params;
	return r;
}

int hps_mark_begin(struct hps_ledger *l, const struct hps_record *host, const json_t *given, struct hps_mark *ret, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = NULL;
	struct hps_record record;
	int r;

	*ret = (struct hps_mark){ .params = json_object(), .lease = -1, .started_ns = hps_time_now_ns(), .started_boot_ns = hps_time_monotonic_ns() };
	r = read_begin(given, ret, err);
	r = r ? r : study_is_free(l, ret->study, err);
	if (r)
		return r;
	record = record_of(host, ret);
	statement = hps_record_begin(&record);
	hps_json_set_text(json_object_get(statement, "predicate"), "host", host->begin_id);
	r = hps_ledger_append(l, statement, ret->begin_id, NULL, err);
	return r ? r : hps_lease_take(l, ret->begin_id, &ret->lease, err);
}

/* ---- the end ---- */

/* How it ended is the program's word: complete, failed, pruned; "abandoned" is ours. */
static int read_end(const json_t *given, const char **ret_how, struct hps_error *err)
{
	const json_t *state = json_object_get(given, "state");
	const char *how = json_string_value(state);

	*ret_how = state ? how : "complete";
	if (state && (!how || (strcmp(how, "complete") != 0 && strcmp(how, "failed") != 0 && strcmp(how, "pruned") != 0)))
		return hps_error_set(err, HPS_E_FORMAT, "'state' is complete, failed or pruned");
	return 0;
}

static json_t *definition_json(const struct hps_record *host, const struct hps_mark *m)
{
	json_t *definition = json_object(), *external = json_object();

	hps_json_set(external, "command", hps_shape_arguments(host, host->argv));
	hps_json_set(external, "cwd", hps_shape_text(host, host->cwd));
	hps_json_set(external, "params", hps_shape_named(host, m->params));
	hps_json_set_text(definition, "buildType", "urn:hps:mark:v1");
	hps_json_set(definition, "externalParameters", external);
	hps_json_set(definition, "internalParameters", json_object());
	hps_json_set(definition, "resolvedDependencies", json_array());
	return definition;
}

static json_t *run_json(const struct hps_mark *m)
{
	json_t *run = json_object(), *builder = json_object(), *version = json_object(), *metadata = json_object();
	char time[HPS_TIME_LEN];

	hps_json_set_text(version, "hps", HPS_VERSION);
	hps_json_set_text(builder, "id", "urn:hps:recorder:v1");
	hps_json_set(builder, "version", version);
	hps_json_set(run, "builder", builder);
	hps_json_set_text(metadata, "invocationId", m->begin_id);
	hps_time_format(m->started_ns, time);
	hps_json_set_text(metadata, "startedOn", time);
	hps_time_format(hps_time_now_ns(), time);
	hps_json_set_text(metadata, "finishedOn", time);
	hps_json_set(run, "metadata", metadata);
	hps_json_set(run, "byproducts", json_array());
	return run;
}

static json_t *coverage_json(void)
{
	json_t *coverage = json_object(), *gaps = json_array(), *gap = json_object();

	hps_json_set_text(gap, "what", "a part of a process");
	hps_json_set_text(gap, "why", attribution);
	hps_json_set_int(gap, "count", 1);
	hps_json_add(gaps, gap);
	hps_json_set(coverage, "complete", json_false());
	hps_json_set(coverage, "gaps", gaps);
	return coverage;
}

/* in-toto wants a subject: what the program said of this trial. */
static json_t *subject_json(const json_t *predicate)
{
	_cleanup_json_ json_t *said = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	json_t *subject = json_object();
	struct hps_digest d = { { 0 } };

	hps_json_set(said, "begin", json_incref(json_object_get(predicate, "begin")));
	hps_json_set(said, "mark", json_incref(json_object_get(predicate, "mark")));
	hps_json_set(said, "metrics", json_incref(json_object_get(predicate, "metrics")));
	if (hps_json_canonical(said, &text, NULL) == 0)
		hps_digest_of(text.data, text.len, &d);
	hps_json_set_text(subject, "name", "mark");
	hps_json_set(subject, "digest", hps_shape_digest(&d));
	return subject;
}

/* The host's record has them, at its end. */
static json_t *identities_json(void)
{
	static const char *const names[] = { "clock.synchronized", "scheduler", "user.name" };
	json_t *rows = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		hps_identity_missing(rows, names[i], "recorded of the whole process, in the trial that 'host' begins");
	hps_record_selftest(rows);
	return rows;
}

static json_t *seeds_json(const struct hps_mark *m)
{
	_cleanup_json_ json_t *rows = json_object();
	char *const none[] = { NULL };
	const char *name;
	json_t *value;

	json_object_foreach(m->params, name, value)
		hps_parameter_add(rows, name, json_string_value(value), "mark", NULL);
	return hps_seeds(none, NULL, NULL, rows);
}

static json_t *end_json(const struct hps_record *host, struct hps_mark *m, const json_t *metrics, const char *how)
{
	json_t *statement = hps_statement_new(HPS_PREDICATE_TRIAL), *predicate = json_object_get(statement, "predicate"), *resources = json_object();

	hps_json_set_text(predicate, "begin", m->begin_id);
	hps_json_set_text(predicate, "host", host->begin_id);
	if (m->o.study)
		hps_json_set(predicate, "study", hps_path_json(m->o.study));
	if (m->o.has_number)
		hps_json_set_int(predicate, "number", (int64_t)m->o.number);
	hps_json_set_text(predicate, "mark", how);
	hps_json_set_text(predicate, "state", !strcmp(how, "failed") || !strcmp(how, "abandoned") ? "failed" : "complete");
	hps_json_set(predicate, "metrics", hps_shape_named(host, metrics));
	hps_json_set(predicate, "buildDefinition", definition_json(host, m));
	hps_json_set(predicate, "runDetails", run_json(m));
	hps_json_set(predicate, "seeds", seeds_json(m));
	hps_json_set(predicate, "identities", identities_json());
	hps_json_set(predicate, "coverage", coverage_json());
	hps_shape_seconds(resources, "wallSeconds", hps_time_monotonic_ns() - m->started_boot_ns);
	hps_json_set(predicate, "resources", resources);
	hps_json_add(json_object_get(statement, "subject"), subject_json(predicate));
	hps_redact_json(host->redactor, statement);
	return statement;
}

int hps_mark_end(struct hps_ledger *l, const struct hps_record *host, struct hps_mark *m, const json_t *given, char ret_id[65], struct hps_error *err)
{
	_cleanup_json_ json_t *statement = NULL, *metrics = json_object();
	json_t *said = json_object_get(given, "metrics");
	const char *how = "abandoned";
	int r = given ? read_end(given, &how, err) : 0;

	if (!r && said && !json_is_object(said))
		r = hps_error_set(err, HPS_E_FORMAT, "'metrics' is no object");
	if (!r && said)
		r = hps_metrics_add(metrics, said, err);
	if (!r)
		r = add_params(m->params, json_object_get(given, "params"), err);
	if (r)
		return r;
	statement = end_json(host, m, metrics, how);
	r = hps_ledger_append(l, statement, ret_id, NULL, err);
	if (r)
		return r;
	hps_lease_end(l, m->begin_id, hps_take_fd(&m->lease));
	return 0;
}

void hps_mark_release(struct hps_mark *m)
{
	if (m->lease >= 0)
		hps_cleanup_fd(&m->lease);
	m->lease = -1;
	free(hps_take(m->study));
	json_decref(hps_take(m->params));
}
