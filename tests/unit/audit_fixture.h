/* A ledger's entries made by hand, for the tests of audit/: no files, no keys, only what the rules and the page read. */
#ifndef HPS_TESTS_AUDIT_FIXTURE_H
#define HPS_TESTS_AUDIT_FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"

#define FIXTURE_KEY "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
#define FIXTURE_DIGEST "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define FIXTURE_MAX 4000

struct fixture {
	struct hps_source source;
	struct hps_findings findings;
	struct hps_entry entries[FIXTURE_MAX];
	size_t n;
	int64_t counter;
};

/* Formats a JSON text; a test that writes bad JSON fails here. */
static inline json_t *fixture_json(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline json_t *fixture_json(const char *format, ...)
{
	va_list args;
	char *text = NULL;
	json_t *j = NULL;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	if (hps_json_parse(text, strlen(text), &j, NULL) < 0) {
		print_error("not JSON: %s\n", text);
		abort();
	}
	free(text);
	return j;
}

static inline char *fixture_copy(const char *s)
{
	return s ? hps_strdup(s) : NULL;
}

/* Takes predicate. The entry can be changed until fixture_link(). */
static inline struct hps_entry *fixture_add(struct fixture *x, const char *kind, json_t *predicate)
{
	struct hps_entry *e = &x->entries[x->n];
	struct hps_digest d;

	hps_digest_of(&x->n, sizeof(x->n), &d);
	*e = (struct hps_entry){ .index = x->n++, .kind = hps_strdup(kind), .keyid = hps_strdup(FIXTURE_KEY) };
	hps_digest_hex(&d, e->id);
	hps_json_set_text(predicate, "time", "2026-03-01T09:00:00.000000000Z");
	e->study = fixture_copy(hps_json_text(predicate, "study"));
	e->number = hps_json_int(predicate, "number", -1);
	e->event = fixture_copy(hps_json_text(predicate, "event"));
	e->begin = fixture_copy(hps_json_text(predicate, "begin"));
	e->statement = json_object();
	hps_json_set(e->statement, "subject", fixture_json("[{\"name\":\"products\",\"digest\":{\"sha256\":\"%s\"}}]", FIXTURE_DIGEST));
	hps_json_set(e->statement, "predicate", predicate);
	return e;
}

static inline json_t *fixture_predicate(struct hps_entry *e)
{
	return json_object_get(e->statement, "predicate");
}

static inline void fixture_name(json_t *predicate, const char *study, int64_t number)
{
	if (study)
		hps_json_set_text(predicate, "study", study);
	if (number >= 0)
		hps_json_set_int(predicate, "number", number);
}

static inline struct hps_entry *fixture_begin(struct fixture *x, const char *study, int64_t number)
{
	json_t *p = fixture_json("{\"command\":[\"train\"],\"cwd\":\"/home/a\",\"recorder\":{\"version\":\"0.1.0\",\"digest\":\"%s\",\"pid\":7,"
				 "\"host\":\"node1\",\"bootId\":\"b-1\",\"uid\":1000,\"user\":\"ada\"},\"counter\":%lld}",
				 FIXTURE_DIGEST, (long long)x->counter++);

	fixture_name(p, study, number);
	return fixture_add(x, "begin", p);
}

/* A trial that nothing can be said against; `metrics` and `params` are JSON objects as text. */
static inline struct hps_entry *fixture_trial(struct fixture *x, const struct hps_entry *begin, const char *state, const char *params, const char *metrics)
{
	bool complete = !strcmp(state, "complete"), killed = !strcmp(state, "killed");
	json_t *p = fixture_json(
		"{\"begin\":\"%s\",\"state\":\"%s\",\"exit\":{\"%s\":%d},\"metrics\":%s,\"buildDefinition\":{\"buildType\":\"urn:hps:command:v1\","
		"\"externalParameters\":{\"command\":[\"train\"],\"params\":%s,\"environment\":{\"PATH\":\"/bin\"},\"environmentDigests\":{}},"
		"\"resolvedDependencies\":[]},\"runDetails\":{\"metadata\":{\"invocationId\":\"%s\",\"startedOn\":\"2026-03-01T09:00:01.000000000Z\","
		"\"finishedOn\":\"2026-03-01T09:00:06.500000000Z\"}},\"seeds\":[{\"name\":\"--seed\",\"value\":\"7\",\"origin\":\"argv\"}],"
		"\"identities\":[{\"name\":\"cpu.model\",\"value\":\"Example CPU\",\"source\":\"/proc/cpuinfo\",\"strength\":\"observed\"},"
		"{\"name\":\"cpu.microcode\",\"value\":\"0x1\",\"source\":\"/proc/cpuinfo\",\"strength\":\"observed\"},"
		"{\"name\":\"cpu.isa\",\"value\":\"x86-64-v3\",\"source\":\"/proc/cpuinfo\",\"strength\":\"observed\"},"
		"{\"name\":\"limits\",\"missing\":\"none\",\"why\":\"no control group\"},"
		"{\"name\":\"user.name\",\"value\":\"ada\",\"source\":\"getpwuid\",\"strength\":\"observed\"},"
		"{\"name\":\"clock.synchronized\",\"value\":\"true\",\"source\":\"adjtimex\",\"strength\":\"observed\"},"
		"{\"name\":\"scheduler.job\",\"missing\":\"none\",\"why\":\"no scheduler started it\"},"
		"{\"name\":\"gpu\",\"missing\":\"none found\",\"why\":\"no device file\"},"
		"{\"name\":\"recorder.selftest\",\"value\":\"passed\",\"source\":\"recorder\",\"strength\":\"observed\"}],"
		"\"coverage\":{\"complete\":true,\"gaps\":[]},\"resources\":{\"wallSeconds\":\"5.5\",\"maxRssBytes\":1000}}",
		begin->id, state, killed ? "signal" : "code", complete ? 0 : killed ? 9 : 3, metrics, params, begin->id);

	fixture_name(p, begin->study, begin->number);
	return fixture_add(x, "trial", p);
}

static inline struct hps_entry *fixture_register(struct fixture *x, const char *study, const char *goal)
{
	json_t *p = fixture_json("{\"event\":\"register\",\"spec\":{\"metrics\":[{\"name\":\"accuracy\",\"goal\":\"%s\"}]},\"specDigest\":\"%s\"}", goal, FIXTURE_DIGEST);

	fixture_name(p, study, -1);
	return fixture_add(x, "search", p);
}

static inline struct hps_entry *fixture_commit(struct fixture *x, const char *study, int64_t number, const char *params)
{
	json_t *p = fixture_json("{\"event\":\"commit\",\"params\":%s,\"trialSeed\":\"1\",\"command\":[\"train\"]}", params);

	fixture_name(p, study, number);
	return fixture_add(x, "search", p);
}

static inline struct hps_entry *fixture_result(struct fixture *x, const struct hps_entry *trial, const char *state, const char *metrics)
{
	json_t *p = fixture_json("{\"event\":\"result\",\"trial\":\"%s\",\"state\":\"%s\",\"metrics\":%s}", trial->id, state, metrics);

	fixture_name(p, trial->study, trial->number);
	return fixture_add(x, "search", p);
}

static inline struct hps_entry *fixture_stop(struct fixture *x, const char *study, int complete, int failed, int killed, int lost)
{
	json_t *p = fixture_json("{\"event\":\"stop\",\"reason\":\"budget\",\"counts\":{\"complete\":%d,\"failed\":%d,\"killed\":%d,\"lost\":%d}}", complete, failed,
				 killed, lost);

	fixture_name(p, study, -1);
	return fixture_add(x, "search", p);
}

static inline struct hps_entry *fixture_lost(struct fixture *x, const struct hps_entry *begin)
{
	json_t *p = fixture_json("{\"begin\":\"%s\",\"why\":\"its recorder died\"}", begin->id);

	fixture_name(p, begin->study, begin->number);
	return fixture_add(x, "lost", p);
}

static inline struct hps_entry *fixture_verdict(struct fixture *x, const struct hps_entry *trial, const char *word)
{
	json_t *p = fixture_json("{\"hps_trial\":\"%s\",\"hps_level\":\"L1\"}", trial->id);

	hps_json_set_text(p, "hps_verdict", word);
	return fixture_add(x, "verdict", p);
}

/* Commit, begin, trial and result of one number. */
static inline struct hps_entry *fixture_number(struct fixture *x, const char *study, int64_t number, const char *state, const char *params, const char *metrics)
{
	struct hps_entry *begin, *trial;

	fixture_commit(x, study, number, params);
	begin = fixture_begin(x, study, number);
	trial = fixture_trial(x, begin, state, params, metrics);
	fixture_result(x, trial, state, metrics);
	return trial;
}

/* A study of four: three complete, one failed; number 1 is the best. */
static inline void fixture_study(struct fixture *x, const char *study)
{
	fixture_register(x, study, "max");
	fixture_number(x, study, 0, "complete", "{\"lr\":\"0.1\",\"depth\":\"2\"}", "{\"accuracy\":\"0.90\"}");
	fixture_number(x, study, 1, "complete", "{\"lr\":\"0.01\",\"depth\":\"3\"}", "{\"accuracy\":\"0.95\"}");
	fixture_number(x, study, 2, "failed", "{\"lr\":\"10\",\"depth\":\"3\"}", "{}");
	fixture_number(x, study, 3, "complete", "{\"lr\":\"0.02\",\"depth\":\"2\"}", "{\"accuracy\":\"0.93\"}");
	fixture_stop(x, study, 3, 1, 0, 0);
}

static inline struct fixture *fixture_new(void)
{
	struct fixture *x = hps_alloc(sizeof(*x));

	x->source.model = (struct hps_model)HPS_MODEL_INIT;
	x->source.dir = hps_strdup("ledger");
	x->source.verification.origin = hps_strdup("example.org/lab");
	x->source.verification.objects_checked = true;
	memset(x->source.verification.root, 'a', 64);
	return x;
}

/* Gives the entries to the model, joins them and judges. */
static inline void fixture_link(struct fixture *x, const char *only)
{
	struct hps_verification *v = &x->source.verification;

	for (size_t i = 0; i < x->n; i++)
		hps_model_add(&x->source.model, &x->entries[i]);
	if (hps_model_link(&x->source.model, only, NULL) < 0)
		abort();
	v->size = x->n;
	v->n_checked = x->n - v->n_problems;
	hps_rules_judge(&x->source.model, v, &x->findings);
}

static inline const struct hps_finding *fixture_finding(const struct fixture *x, const char *rule)
{
	for (size_t i = 0; i < x->findings.n; i++)
		if (!strcmp(x->findings.items[i].rule->id, rule))
			return &x->findings.items[i];
	print_error("no rule %s\n", rule);
	abort();
}

static inline void fixture_free(struct fixture *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free(x->entries[i].kind);
		free(x->entries[i].study);
		free(x->entries[i].event);
		free(x->entries[i].begin);
		free(x->entries[i].keyid);
		json_decref(x->entries[i].statement);
	}
	hps_findings_release(&x->findings);
	hps_model_release(&x->source.model);
	for (size_t i = 0; i < x->source.verification.n_problems; i++) {
		free(x->source.verification.problems[i].id);
		free(x->source.verification.problems[i].file);
		free(x->source.verification.problems[i].what);
	}
	free(x->source.verification.problems);
	free(x->source.verification.origin);
	free(x->source.verification.unwitnessed_why);
	free(x->source.dir);
	free(x);
}

static inline void fixture_problem(struct fixture *x, int64_t index, const char *file, const char *what)
{
	struct hps_verification *v = &x->source.verification;

	v->problems = hps_grow(v->problems, v->n_problems, sizeof(*v->problems));
	v->problems[v->n_problems++] = (struct hps_problem){ .index = index, .file = fixture_copy(file), .what = hps_strdup(what) };
}

#endif
