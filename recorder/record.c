/* What is written down: the statements of a trial (docs/FORMATS.md). */
#include "recorder/recorder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/identity.h"

/* ---- begin ---- */

static json_t *recorder_json(void)
{
	json_t *recorder = json_object();
	_cleanup_free_ char *boot = hps_identity_read("/proc/sys/kernel/random/boot_id");
	_cleanup_fd_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const char *user = getenv("USER");
	struct hps_digest d;
	struct utsname u;
	char hex[HPS_DIGEST_HEX];

	hps_json_set_text(recorder, "version", HPS_VERSION);
	if (self >= 0 && hps_digest_fd(self, &d, NULL, NULL) == 0) {
		hps_digest_hex(&d, hex);
		hps_json_set_text(recorder, "digest", hex);
	}
	hps_json_set_int(recorder, "pid", getpid());
	if (uname(&u) == 0)
		hps_json_set(recorder, "host", hps_path_json(u.nodename));
	hps_json_set_text(recorder, "bootId", boot);
	hps_json_set_int(recorder, "uid", geteuid());
	if (user)
		hps_json_set(recorder, "user", hps_path_json(user));
	return recorder;
}

static void set_trial(const struct hps_record *r, json_t *predicate)
{
	if (r->o->study)
		hps_json_set(predicate, "study", hps_path_json(r->o->study));
	if (r->o->has_number)
		hps_json_set_int(predicate, "number", (int64_t)r->o->number);
	hps_json_set_text(predicate, "replayOf", r->o->replay_of);
}

json_t *hps_record_begin(const struct hps_record *r)
{
	json_t *statement = hps_statement_new(HPS_PREDICATE_BEGIN), *predicate = json_object_get(statement, "predicate");
	json_t *command = hps_shape_arguments(r, r->argv), *subject = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_digest d;

	if (hps_json_canonical(command, &text, NULL) == 0)
		hps_digest_of(text.data, text.len, &d);
	hps_json_set_text(subject, "name", "begin");
	hps_json_set(subject, "digest", hps_shape_digest(&d));
	hps_json_add(json_object_get(statement, "subject"), subject);
	hps_json_set(predicate, "command", command);
	hps_json_set(predicate, "cwd", hps_shape_text(r, r->cwd));
	hps_json_set(predicate, "params", hps_shape_named(r, r->params));
	hps_json_set(predicate, "recorder", recorder_json());
	set_trial(r, predicate);
	hps_redact_json(r->redactor, statement);
	return statement;
}

/* ---- facts ---- */

/* A known answer, before a digest is signed that was made by this build on this machine. */
void hps_record_selftest(json_t *rows)
{
	static const char expected[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; /* FIPS 180-4: "abc" */
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];

	hps_digest_of("abc", 3, &d);
	hps_digest_hex(&d, hex);
	if (!strcmp(hex, expected))
		hps_identity_add(rows, "recorder.selftest", "passed", "SHA-256 known answer (FIPS 180-4)", HPS_OBSERVED);
	else
		hps_identity_missing(rows, "recorder.selftest", "SHA-256 gave a wrong answer: digests of this record cannot be believed");
}

static json_t *resources_json(const struct hps_record *r)
{
	json_t *resources = json_object();

	hps_shape_seconds(resources, "wallSeconds", r->finished_boot_ns - r->started_boot_ns);
	hps_shape_seconds(resources, "userSeconds", r->usage.ru_utime.tv_sec * 1000000000ll + r->usage.ru_utime.tv_usec * 1000);
	hps_shape_seconds(resources, "systemSeconds", r->usage.ru_stime.tv_sec * 1000000000ll + r->usage.ru_stime.tv_usec * 1000);
	hps_json_set_int(resources, "maxRssBytes", r->usage.ru_maxrss * 1024);
	hps_json_set_int(resources, "recorderMaxRssBytes", hps_own_peak_kib() * 1024);
	return resources;
}

/* ---- the statement ---- */

/* What descriptors 0 to 2 were when the command started. */
static json_t *standard_json(const struct hps_record *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(r->standard); i++)
		hps_json_add(list, json_string(r->standard[i]));
	return list;
}

/* The number of its first process, too: some programs draw their seed from it. */
static json_t *surroundings_json(const struct hps_record *r)
{
	json_t *s = json_incref(r->surroundings);

	if (r->supervisor->root_pid > 0)
		hps_json_set_int(s, "pid", r->supervisor->root_pid);
	return s;
}

json_t *hps_record_external(const struct hps_record *r)
{
	json_t *external = json_object(), *clear = json_object(), *tags = json_object();

	hps_json_set(external, "command", hps_shape_arguments(r, r->argv));
	hps_json_set(external, "cwd", hps_shape_text(r, r->cwd));
	hps_json_set(external, "params", hps_shape_named(r, r->params));
	hps_json_set(external, "parameters", hps_shape_parameters(r));
	hps_redact_environment(r->redactor, r->envp, clear, tags);
	hps_json_set(external, "environment", clear);
	hps_json_set(external, "environmentDigests", tags);
	hps_shape_octal(external, "umask", r->umask);
	hps_json_set(external, "standard", standard_json(r));
	if (r->surroundings)
		hps_json_set(external, "surroundings", surroundings_json(r));
	return external;
}

static json_t *metrics_json(const struct hps_record *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->o->metrics.n; i++)
		hps_json_add(list, hps_shape_text(r, r->o->metrics.v[i]));
	return list;
}

static json_t *options_json(const struct hps_record *r)
{
	json_t *internal = json_object(), *options = json_object();

	hps_json_set_text(options, "capture", hps_capture_name(r->files->capture));
	hps_json_set(options, "noNetwork", json_boolean(r->o->no_network));
	hps_json_set(options, "wait", json_boolean(r->o->wait));
	hps_json_set(options, "root", json_boolean(r->o->root != NULL));
	hps_json_set_int(options, "level", (int64_t)hps_trial_level(r->o));
	if (r->portable)
		hps_json_set(options, "portable", json_incref(r->portable));
	if (r->patient)
		hps_json_set(options, "patient", json_incref(r->patient));
	if (r->o->metrics.n)
		hps_json_set(options, "metrics", metrics_json(r));
	hps_json_set(internal, "options", options);
	return internal;
}

static json_t *run_json(const struct hps_record *r)
{
	json_t *run = json_object(), *builder = json_object(), *version = json_object(), *metadata = json_object();
	char time[HPS_TIME_LEN];

	hps_json_set_text(version, "hps", HPS_VERSION);
	hps_json_set_text(builder, "id", "urn:hps:recorder:v1");
	hps_json_set(builder, "version", version);
	hps_json_set(run, "builder", builder);
	hps_json_set_text(metadata, "invocationId", r->begin_id);
	hps_time_format(r->started_ns, time);
	hps_json_set_text(metadata, "startedOn", time);
	hps_time_format(r->finished_ns, time);
	hps_json_set_text(metadata, "finishedOn", time);
	hps_json_set(run, "metadata", metadata);
	hps_json_set(run, "byproducts", json_array());
	return run;
}

static void add_datasets(const struct hps_record *r, json_t *datasets, json_t *dependencies)
{
	json_t *item;
	size_t i;

	json_array_foreach(datasets, i, item) {
		if (json_object_get(item, "missing"))
			hps_gap_note(r->gaps, HPS_GAP_FACTS);
		json_array_append(dependencies, item);
	}
}

static bool has_framework(const struct hps_record *r, const char *name)
{
	_cleanup_free_ char *tail = hps_format("-packages/%s/", name);

	for (size_t i = 0; i < r->files->n; i++)
		if (r->files->all[i]->uses && strstr(r->files->all[i]->path, tail))
			return true;
	return false;
}

static json_t *switches_json(const struct hps_record *r)
{
	const char *loaded[8] = { NULL };
	size_t n = 0;

	for (size_t i = 0; hps_frameworks[i] && n + 1 < ARRAY_SIZE(loaded); i++)
		if (has_framework(r, hps_frameworks[i]))
			loaded[n++] = hps_frameworks[i];
	return hps_switches(r->envp, r->parameters, loaded);
}

int hps_record_trial(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = hps_statement_new(HPS_PREDICATE_TRIAL), *facts = NULL, *clocks = NULL;
	json_t *predicate = json_object_get(statement, "predicate"), *definition = json_object(), *dependencies = json_array(), *rows;
	int error;

	if (!r->facts || hps_facts_machine(r->facts, &facts))
		hps_gap_note(r->gaps, HPS_GAP_FACTS);
	rows = json_object_get(facts, "identities") ? json_incref(json_object_get(facts, "identities")) : json_array();
	error = hps_lists_write(r, json_object_get(statement, "subject"), dependencies, rows, err);
	if (error) {
		json_decref(rows);
		json_decref(definition);
		json_decref(dependencies);
		return error;
	}
	add_datasets(r, json_object_get(facts, "datasets"), dependencies);
	hps_json_set_text(definition, "buildType", "urn:hps:command:v1");
	hps_json_set(definition, "externalParameters", hps_record_external(r));
	hps_json_set(definition, "internalParameters", options_json(r));
	hps_json_set(definition, "resolvedDependencies", dependencies);
	hps_record_selftest(rows);
	clocks = hps_clocks_json(r);

	hps_json_set_text(predicate, "begin", r->begin_id);
	set_trial(r, predicate);
	hps_json_set_text(predicate, "state", WIFSIGNALED(r->status) ? "killed" : WEXITSTATUS(r->status) ? "failed" : "complete");
	hps_json_set(predicate, "exit", hps_shape_exit(r->status));
	hps_json_set(predicate, "ending", hps_ending_json(&r->reaper->ending, r->started_boot_ns));
	hps_json_set(predicate, "metrics", hps_shape_named(r, r->metrics));
	hps_json_set(predicate, "metricsPath", hps_path_json(r->metrics_path));
	hps_json_set(predicate, "buildDefinition", definition);
	hps_json_set(predicate, "runDetails", run_json(r));
	hps_json_set(predicate, "seeds", hps_seeds(r->argv, r->envp, r->o->seed, r->parameters));
	hps_json_set(predicate, "switches", switches_json(r));
	hps_json_set(predicate, "entropy", hps_entropy_json(r->supervisor->entropy));
	if (clocks)
		hps_json_set(predicate, "clocks", json_incref(clocks));
	hps_json_set(predicate, "identities", rows);
	hps_json_set(predicate, "coverage", hps_coverage_json(r));
	hps_json_set(predicate, "resources", resources_json(r));
	hps_redact_json(r->redactor, statement);
	*ret = hps_take(statement);
	return 0;
}
