/* Each rule passes on a clean study and fails, for the entry that is to blame, on the smallest change that breaks it. */
#include "tests/unit/unit.h"
#include "tests/unit/audit_fixture.h"

/* The outcome and, when it is not a pass, the entry and a part of the reason. */
static void check(struct fixture *x, const char *rule, enum hps_outcome want, const struct hps_entry *entry, const char *why)
{
	const struct hps_finding *f;

	fixture_link(x, NULL);
	f = fixture_finding(x, rule);
	for (size_t i = 0; f->outcome != want && i < f->n_offenders; i++)
		print_error("%s: @%lld %s\n", rule, (long long)f->offenders[i].index, f->offenders[i].why);
	assert_int_equal(f->outcome, want);
	if (why) {
		assert_true(f->n_offenders > 0);
		assert_int_equal(f->offenders[0].index, entry ? (int64_t)entry->index : -1);
		if (entry)
			assert_string_equal(f->offenders[0].id, entry->id);
		if (!strstr(f->offenders[0].why, why))
			print_error("%s: %s\n", rule, f->offenders[0].why);
		assert_non_null(strstr(f->offenders[0].why, why));
	}
	fixture_free(x);
}

/* Its trials have no stored files, ran in no container, opened no card, and their code is in no repository. */
static bool applies(const char *rule)
{
	static const char *const not[] = { "INT-03", "INT-07", "ENV-01", "COD-03", "HW-01", "HW-02" };

	for (size_t i = 0; i < ARRAY_SIZE(not); i++)
		if (!strcmp(rule, not[i]))
			return false;
	return true;
}

static void test_clean_study_passes(void **state)
{
	struct fixture *x = fixture_new();

	(void)state;
	fixture_study(x, "digits");
	fixture_link(x, NULL);
	for (size_t i = 0; i < x->findings.n; i++)
		if (applies(x->findings.items[i].rule->id))
			assert_int_equal(x->findings.items[i].outcome, HPS_OUTCOME_PASS);
	assert_int_equal(fixture_finding(x, "INT-07")->outcome, HPS_OUTCOME_NA);
	assert_int_equal(x->findings.count[HPS_OUTCOME_FAIL], 0);
	assert_int_equal(hps_findings_exit(&x->findings, true), 0);
	assert_string_equal(hps_findings_word(&x->findings), "pass");
	fixture_free(x);
}

static void test_empty_ledger(void **state)
{
	struct fixture *x = fixture_new();

	(void)state;
	fixture_link(x, NULL);
	assert_int_equal(hps_findings_exit(&x->findings, true), 0);
	assert_int_equal(x->findings.count[HPS_OUTCOME_NA], x->findings.n);
	fixture_free(x);
}

/* ---- one trial, and a way to spoil it */

static struct fixture *one_trial(struct hps_entry **ret_begin, struct hps_entry **ret_trial)
{
	struct fixture *x = fixture_new();

	*ret_begin = fixture_begin(x, NULL, -1);
	*ret_trial = fixture_trial(x, *ret_begin, "complete", "{}", "{}");
	return x;
}

static json_t *identity(struct hps_entry *trial, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(fixture_predicate(trial), "identities"), i, item)
		if (!strcmp(hps_json_text(item, "name"), name))
			return item;
	return NULL;
}

static void test_id_01(void **state)
{
	struct fixture *x = fixture_new();
	struct hps_entry *second;

	(void)state;
	fixture_trial(x, fixture_begin(x, "s", 3), "complete", "{}", "{}");
	second = fixture_trial(x, fixture_begin(x, "s", 3), "complete", "{}", "{}");
	check(x, "ID-01", HPS_OUTCOME_FAIL, second, "number 3 of the study 's' was run already, as @1");

	x = fixture_new(); /* the first was lost: no result was thrown away */
	fixture_lost(x, fixture_begin(x, "s", 3));
	fixture_trial(x, fixture_begin(x, "s", 3), "complete", "{}", "{}");
	check(x, "ID-01", HPS_OUTCOME_PASS, NULL, NULL);

	x = fixture_new();
	fixture_register(x, "s", "max");
	second = fixture_register(x, "s", "min");
	check(x, "ID-01", HPS_OUTCOME_FAIL, second, "registered 2 times");
}

static void test_id_02(void **state)
{
	struct hps_entry *begin, *trial;
	struct fixture *x = one_trial(&begin, &trial);

	(void)state;
	json_object_del(json_object_get(fixture_predicate(begin), "recorder"), "uid");
	check(x, "ID-02", HPS_OUTCOME_FAIL, trial, "no user id");

	x = one_trial(&begin, &trial);
	json_object_del(json_object_get(fixture_predicate(begin), "recorder"), "user");
	json_object_del(identity(trial, "user.name"), "value");
	check(x, "ID-02", HPS_OUTCOME_UNKNOWN, trial, "no user name");
}

static void test_id_03(void **state)
{
	struct hps_entry *begin, *trial;
	struct fixture *x = one_trial(&begin, &trial);
	json_t *metadata = json_object_get(json_object_get(fixture_predicate(trial), "runDetails"), "metadata");

	(void)state;
	hps_json_set_text(metadata, "finishedOn", "2026-03-01T09:00:00.000000000Z");
	check(x, "ID-03", HPS_OUTCOME_FAIL, trial, "1.000 s before the start");

	x = one_trial(&begin, &trial);
	hps_json_set_text(json_object_get(json_object_get(fixture_predicate(trial), "runDetails"), "metadata"), "startedOn", "1 March 2026");
	check(x, "ID-03", HPS_OUTCOME_FAIL, trial, "no start and end time");

	x = one_trial(&begin, &trial);
	json_object_del(identity(trial, "clock.synchronized"), "value");
	check(x, "ID-03", HPS_OUTCOME_UNKNOWN, trial, "synchronized");

	x = one_trial(&begin, &trial); /* not synchronized, but known */
	hps_json_set_text(identity(trial, "clock.synchronized"), "value", "false");
	check(x, "ID-03", HPS_OUTCOME_PASS, NULL, NULL);
}

static void test_id_04(void **state)
{
	struct hps_entry *begin, *trial;
	struct fixture *x = one_trial(&begin, &trial);

	(void)state;
	json_object_del(json_object_get(fixture_predicate(begin), "recorder"), "bootId");
	check(x, "ID-04", HPS_OUTCOME_FAIL, trial, "boot id");

	x = one_trial(&begin, &trial);
	json_object_clear(identity(trial, "scheduler.job"));
	check(x, "ID-04", HPS_OUTCOME_FAIL, trial, "scheduler");
}

static void test_int_01(void **state)
{
	struct fixture *x = fixture_new();
	struct hps_entry *e;

	(void)state;
	fixture_study(x, "s");
	e = &x->entries[3];
	fixture_problem(x, 3, "tiles/envelope/aa.json", "the signature of this entry does not verify");
	free(x->source.verification.problems[0].id);
	x->source.verification.problems[0].id = hps_strdup(e->id);
	check(x, "INT-01", HPS_OUTCOME_FAIL, e, "signature");
}

static void test_int_02(void **state)
{
	struct fixture *x = fixture_new();
	struct hps_entry *begin;

	(void)state;
	fixture_begin(x, NULL, -1);
	x->counter += 2;
	begin = fixture_begin(x, NULL, -1);
	check(x, "INT-02", HPS_OUTCOME_FAIL, begin, "begin counters 1 to 2 are missing");

	x = fixture_new();
	fixture_begin(x, NULL, -1);
	x->counter = 0;
	begin = fixture_begin(x, NULL, -1);
	check(x, "INT-02", HPS_OUTCOME_FAIL, begin, "begin counter 0 is there twice");

	x = fixture_new();
	begin = fixture_begin(x, NULL, -1);
	json_object_del(fixture_predicate(begin), "counter");
	check(x, "INT-02", HPS_OUTCOME_FAIL, begin, "no counter");

	x = fixture_new();
	begin = fixture_begin(x, NULL, -1);
	hps_json_set(fixture_predicate(begin), "counter", json_integer(INT64_MAX));
	check(x, "INT-02", HPS_OUTCOME_FAIL, begin, "no counter");

	x = fixture_new(); /* another key counts for itself */
	fixture_begin(x, NULL, -1);
	x->counter = 0;
	memset(fixture_begin(x, NULL, -1)->keyid, 'e', 64);
	check(x, "INT-02", HPS_OUTCOME_PASS, NULL, NULL);

	x = fixture_new();
	fixture_problem(x, -1, "tiles/0/000.p/5", "the tile does not hash to the root");
	check(x, "INT-02", HPS_OUTCOME_FAIL, NULL, "tile");
}

static struct fixture *with_witnesses(uint64_t n, bool closed)
{
	struct fixture *x = fixture_new();

	fixture_study(x, "s");
	x->source.verification.asks_witnesses = true;
	x->source.verification.witnessed = n;
	x->source.verification.closed = closed;
	return x;
}

static void test_int_03(void **state)
{
	struct fixture *x = fixture_new();

	(void)state;
	check(x, "INT-03", HPS_OUTCOME_NA, NULL, NULL);
	check(with_witnesses(1000, true), "INT-03", HPS_OUTCOME_PASS, NULL, NULL);
	check(with_witnesses(3, false), "INT-03", HPS_OUTCOME_UNKNOWN, NULL, "more than the first 3 of the");
	check(with_witnesses(3, true), "INT-03", HPS_OUTCOME_FAIL, NULL, "more than the first 3 of the");
	x = with_witnesses(0, false);
	x->source.verification.unwitnessed = HPS_E_UNDECIDED;
	x->source.verification.unwitnessed_why = hps_strdup("nobody has cosigned it");
	check(x, "INT-03", HPS_OUTCOME_UNKNOWN, NULL, "nobody has cosigned it");
	x = with_witnesses(1000, false);
	x->source.verification.unwitnessed = HPS_E_FALSE; /* the trust file names an age, and it is older */
	x->source.verification.unwitnessed_why = hps_strdup("frozen");
	check(x, "INT-03", HPS_OUTCOME_FAIL, NULL, "frozen");
}

static void test_int_04(void **state)
{
	struct fixture *x = fixture_new();
	struct hps_entry *e;

	(void)state;
	fixture_study(x, "s");
	e = &x->entries[5];
	fixture_problem(x, 5, "tiles/envelope/aa.json", "the envelope does not hash to its leaf");
	x->source.verification.problems[0].id = hps_strdup(e->id);
	hps_model_add_unread(&x->source.model, 5, "is not read either");
	check(x, "INT-04", HPS_OUTCOME_FAIL, e, "leaf");
}

static void test_int_05(void **state)
{
	struct fixture *x = fixture_new();
	struct hps_entry *begin, *trial, *commit;

	(void)state;
	begin = fixture_begin(x, NULL, -1);
	check(x, "INT-05", HPS_OUTCOME_FAIL, begin, "began and has no end");

	x = fixture_new();
	fixture_lost(x, fixture_begin(x, NULL, -1));
	check(x, "INT-05", HPS_OUTCOME_PASS, NULL, NULL);

	x = fixture_new();
	begin = fixture_begin(x, NULL, -1);
	fixture_trial(x, begin, "failed", "{}", "{}");
	trial = fixture_trial(x, begin, "complete", "{}", "{}");
	check(x, "INT-05", HPS_OUTCOME_FAIL, trial, "ended already, by @1");

	x = fixture_new();
	trial = fixture_add(x, "trial", fixture_json("{\"begin\":\"%s\",\"state\":\"complete\"}", FIXTURE_DIGEST));
	check(x, "INT-05", HPS_OUTCOME_FAIL, trial, "is not in the ledger");

	x = fixture_new(); /* handed out, never begun */
	fixture_register(x, "s", "max");
	commit = fixture_commit(x, "s", 0, "{}");
	check(x, "INT-05", HPS_OUTCOME_UNKNOWN, commit, "has not begun yet");

	x = fixture_new();
	fixture_register(x, "s", "max");
	commit = fixture_commit(x, "s", 0, "{}");
	fixture_stop(x, "s", 0, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, commit, "number 0 of the study 's' was handed out and has not begun");

	x = fixture_new(); /* beside the search */
	fixture_register(x, "s", "max");
	fixture_number(x, "s", 0, "complete", "{}", "{}");
	trial = fixture_trial(x, fixture_begin(x, "s", 1), "complete", "{}", "{}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, trial, "never handed it out");

	x = fixture_new(); /* a number left out */
	fixture_register(x, "s", "max");
	fixture_number(x, "s", 0, "complete", "{}", "{}");
	fixture_number(x, "s", 2, "complete", "{}", "{}");
	fixture_stop(x, "s", 2, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, &x->entries[0], "handed out number 2, but only 2 numbers are there");

	x = fixture_new(); /* another setting than the search chose */
	fixture_register(x, "s", "max");
	fixture_commit(x, "s", 0, "{\"lr\":\"0.1\"}");
	trial = fixture_trial(x, fixture_begin(x, "s", 0), "complete", "{\"lr\":\"0.2\"}", "{}");
	fixture_result(x, trial, "complete", "{}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, trial, "ran with other parameters than were handed out");

	x = fixture_new(); /* the same setting in another program */
	fixture_register(x, "s", "max");
	fixture_commit(x, "s", 0, "{}");
	trial = fixture_trial(x, fixture_begin(x, "s", 0), "complete", "{}", "{}");
	hps_json_set(json_object_get(json_object_get(fixture_predicate(trial), "buildDefinition"), "externalParameters"), "command", fixture_json("[\"echo\"]"));
	fixture_result(x, trial, "complete", "{}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, trial, "ran another command than was handed out");

	x = fixture_new(); /* by hand, before the search ran it */
	fixture_register(x, "s", "max");
	fixture_commit(x, "s", 0, "{}");
	begin = fixture_begin(x, "s", 0);
	hps_json_set(fixture_predicate(begin), "command", fixture_json("[\"echo\"]"));
	trial = fixture_trial(x, begin, "complete", "{\"lr\":\"9\"}", "{}");
	fixture_result(x, fixture_trial(x, fixture_begin(x, "s", 0), "complete", "{}", "{}"), "complete", "{}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, trial, "ran with other parameters than were handed out");

	x = fixture_new(); /* handed out twice: the first counts */
	fixture_register(x, "s", "max");
	fixture_number(x, "s", 0, "complete", "{}", "{}");
	commit = fixture_commit(x, "s", 0, "{}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, commit, "number 0 of the study 's' was handed out already, by @1");

	x = fixture_new(); /* chosen afterwards */
	fixture_register(x, "s", "max");
	trial = fixture_trial(x, fixture_begin(x, "s", 0), "complete", "{}", "{}");
	fixture_commit(x, "s", 0, "{}");
	fixture_result(x, trial, "complete", "{}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, trial, "began before it was handed out");

	x = fixture_new(); /* the last number left out */
	begin = fixture_register(x, "s", "max");
	hps_json_set(json_object_get(fixture_predicate(begin), "spec"), "budget", fixture_json("{\"trials\":2}"));
	fixture_number(x, "s", 0, "complete", "{}", "{}");
	commit = fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, commit, "has a budget of 2 trials, and handed out 1");

	x = fixture_new(); /* at the edge of arithmetic */
	fixture_register(x, "s", "max");
	fixture_number(x, "s", INT64_MAX, "complete", "{}", "{}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-05", HPS_OUTCOME_FAIL, &x->entries[0], "but only 1 numbers are there");
}

static void test_int_06(void **state)
{
	struct fixture *x = fixture_new();
	struct hps_entry *trial, *e;

	(void)state;
	fixture_register(x, "s", "max");
	fixture_number(x, "s", 0, "failed", "{}", "{}");
	e = fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-06", HPS_OUTCOME_FAIL, e, "stopped with 1 complete trials, the records have 0");

	x = fixture_new();
	fixture_register(x, "s", "max");
	fixture_commit(x, "s", 0, "{}");
	trial = fixture_trial(x, fixture_begin(x, "s", 0), "failed", "{}", "{}");
	e = fixture_result(x, trial, "complete", "{}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-06", HPS_OUTCOME_FAIL, e, "the result says 'complete', the trial @3 is 'failed'");

	x = fixture_new();
	fixture_register(x, "s", "max");
	fixture_commit(x, "s", 0, "{}");
	trial = fixture_trial(x, fixture_begin(x, "s", 0), "complete", "{}", "{\"accuracy\":\"0.1\"}");
	e = fixture_result(x, trial, "complete", "{\"accuracy\":\"0.9\"}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-06", HPS_OUTCOME_FAIL, e, "metrics are not those of the trial @3");

	x = fixture_new(); /* a result that leaves the metrics out */
	fixture_register(x, "s", "max");
	fixture_commit(x, "s", 0, "{}");
	trial = fixture_trial(x, fixture_begin(x, "s", 0), "complete", "{}", "{\"accuracy\":\"0.1\"}");
	e = fixture_result(x, trial, "complete", "{}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-06", HPS_OUTCOME_FAIL, e, "metrics are not those of the trial @3");

	x = fixture_new(); /* a second result */
	fixture_register(x, "s", "max");
	trial = fixture_number(x, "s", 0, "complete", "{}", "{\"accuracy\":\"0.1\"}");
	e = fixture_result(x, trial, "complete", "{\"accuracy\":\"0.9\"}");
	fixture_stop(x, "s", 1, 0, 0, 0);
	check(x, "INT-06", HPS_OUTCOME_FAIL, e, "has a result already, @4");

	x = fixture_new(); /* more than ran are said to have run */
	fixture_register(x, "s", "max");
	fixture_number(x, "s", 0, "complete", "{}", "{}");
	e = fixture_stop(x, "s", 0, 0, 0, 0);
	check(x, "INT-06", HPS_OUTCOME_FAIL, e, "stopped with 0 complete trials, the records have 1");

	x = fixture_new(); /* the result of another number */
	fixture_register(x, "s", "max");
	trial = fixture_number(x, "s", 0, "complete", "{}", "{}");
	fixture_commit(x, "s", 1, "{}");
	fixture_trial(x, fixture_begin(x, "s", 1), "complete", "{}", "{}");
	e = fixture_result(x, trial, "complete", "{}");
	e->number = 1;
	fixture_stop(x, "s", 2, 0, 0, 0);
	check(x, "INT-06", HPS_OUTCOME_FAIL, e, "not a run of this number");

	x = fixture_new(); /* given up after it was lost */
	fixture_register(x, "s", "max");
	fixture_commit(x, "s", 0, "{}");
	trial = fixture_lost(x, fixture_begin(x, "s", 0));
	e = fixture_result(x, trial, "lost", "{}");
	json_object_del(fixture_predicate(e), "trial");
	hps_json_set_text(fixture_predicate(e), "lost", trial->id);
	fixture_stop(x, "s", 0, 0, 0, 1);
	check(x, "INT-06", HPS_OUTCOME_PASS, NULL, NULL);

	x = fixture_new();
	e = fixture_register(x, "s", "max");
	fixture_number(x, "s", 0, "complete", "{}", "{}");
	check(x, "INT-06", HPS_OUTCOME_UNKNOWN, e, "not final");
}

/* Stopped by a signal, then resumed: only the last stop counts. */
static void test_resumed_study(void **state)
{
	struct fixture *x = fixture_new();
	struct hps_entry *stop;

	(void)state;
	fixture_register(x, "s", "max");
	fixture_number(x, "s", 0, "complete", "{}", "{}");
	stop = fixture_stop(x, "s", 1, 0, 0, 0);
	hps_json_set_text(fixture_predicate(stop), "reason", "interrupted");
	fixture_number(x, "s", 1, "complete", "{}", "{}");
	fixture_stop(x, "s", 2, 0, 0, 0);
	fixture_link(x, NULL);
	assert_int_equal(x->findings.count[HPS_OUTCOME_FAIL] + x->findings.count[HPS_OUTCOME_UNKNOWN], 0);
	fixture_free(x);
}

static void test_int_07(void **state)
{
	struct fixture *x = fixture_new();

	(void)state;
	fixture_study(x, "s");
	x->source.verification.n_objects = 9;
	fixture_problem(x, 4, "objects/ab/cd", "the content does not hash to its name");
	x->source.verification.problems[0].id = hps_strdup(x->entries[4].id);
	fixture_link(x, NULL);
	assert_int_equal(fixture_finding(x, "INT-04")->outcome, HPS_OUTCOME_PASS);
	assert_int_equal(fixture_finding(x, "INT-07")->n_checked, 10);
	assert_int_equal(fixture_finding(x, "INT-07")->n_failed, 1);
	assert_int_equal(fixture_finding(x, "INT-07")->offenders[0].index, 4);
	assert_int_equal(hps_findings_exit(&x->findings, false), 3);
	assert_string_equal(hps_findings_word(&x->findings), "damaged");
	fixture_free(x);

	x = fixture_new();
	x->source.verification.objects_checked = false;
	check(x, "INT-07", HPS_OUTCOME_UNKNOWN, NULL, "not at hand");
}

static void test_int_08(void **state)
{
	struct hps_entry *begin, *trial;
	struct fixture *x = one_trial(&begin, &trial);

	(void)state;
	hps_json_set_text(json_object_get(fixture_predicate(begin), "recorder"), "digest", "not a digest");
	check(x, "INT-08", HPS_OUTCOME_FAIL, trial, "digest");

	x = one_trial(&begin, &trial);
	hps_json_set_text(identity(trial, "recorder.selftest"), "value", "failed: ADDFD");
	check(x, "INT-08", HPS_OUTCOME_FAIL, trial, "failed: ADDFD");

	x = one_trial(&begin, &trial);
	json_object_clear(identity(trial, "recorder.selftest"));
	hps_json_set_text(json_array_get(json_object_get(fixture_predicate(trial), "identities"), 5), "name", "other");
	check(x, "INT-08", HPS_OUTCOME_FAIL, trial, "self-test is not recorded");
}

static void test_cap_01(void **state)
{
	struct hps_entry *begin, *trial;
	struct fixture *x = one_trial(&begin, &trial);

	(void)state;
	hps_json_set(fixture_predicate(trial), "coverage",
		     fixture_json("{\"complete\":false,\"gaps\":[{\"what\":\"io_uring\",\"why\":\"refused\",\"count\":2}]}"));
	check(x, "CAP-01", HPS_OUTCOME_FAIL, trial, "1 gap; io_uring: refused");

	x = one_trial(&begin, &trial);
	json_object_del(fixture_predicate(trial), "coverage");
	check(x, "CAP-01", HPS_OUTCOME_FAIL, trial, "no coverage statement");

	x = fixture_new();
	trial = fixture_lost(x, fixture_begin(x, NULL, -1));
	check(x, "CAP-01", HPS_OUTCOME_UNKNOWN, trial, "lost");
}

static void add_row(struct hps_entry *trial, const char *name, const char *value, const char *strength)
{
	json_array_append_new(json_object_get(fixture_predicate(trial), "identities"), value
		? fixture_json("{\"name\":\"%s\",\"value\":\"%s\",\"source\":\"test\",\"strength\":\"%s\"}", name, value, strength)
		: fixture_json("{\"name\":\"%s\",\"missing\":true,\"why\":\"%s\"}", name, strength));
}

static void test_env_01(void **state)
{
	struct hps_entry *begin, *trial;
	struct fixture *x = one_trial(&begin, &trial);

	(void)state;
	check(x, "ENV-01", HPS_OUTCOME_NA, NULL, NULL);
	x = one_trial(&begin, &trial);
	add_row(trial, "container.marker", "docker", "guessed");
	check(x, "ENV-01", HPS_OUTCOME_NA, NULL, NULL);
	x = one_trial(&begin, &trial);
	add_row(trial, "container.engine", "podman", "observed");
	check(x, "ENV-01", HPS_OUTCOME_UNKNOWN, trial, "no digest of its image");
	x = one_trial(&begin, &trial);
	add_row(trial, "container.id", "ab", "observed");
	add_row(trial, "container.manifest", "sha256:1", "declared");
	check(x, "ENV-01", HPS_OUTCOME_UNKNOWN, trial, "declared");
	x = one_trial(&begin, &trial);
	add_row(trial, "container.id", "ab", "observed");
	add_row(trial, "container.config", "sha256:1", "engine-reported");
	check(x, "ENV-01", HPS_OUTCOME_PASS, NULL, NULL);
}

static void test_env_05(void **state)
{
	struct hps_entry *begin, *trial;
	struct fixture *x = one_trial(&begin, &trial);

	(void)state;
	check(x, "ENV-05", HPS_OUTCOME_PASS, NULL, NULL);
	x = one_trial(&begin, &trial);
	json_array_append_new(json_object_get(json_object_get(fixture_predicate(trial), "buildDefinition"), "resolvedDependencies"),
			      fixture_json("{\"name\":\"python\",\"digest\":{\"sha256\":\"%s\"}}", FIXTURE_DIGEST));
	check(x, "ENV-05", HPS_OUTCOME_UNKNOWN, trial, "cannot be read");
}

static void test_cod_03(void **state)
{
	struct hps_entry *begin, *trial;
	struct fixture *x = one_trial(&begin, &trial);

	(void)state;
	add_row(trial, "git.commit", "ab", "observed");
	add_row(trial, "git.submodule.a", "cd", "observed");
	check(x, "COD-03", HPS_OUTCOME_PASS, NULL, NULL);
	x = one_trial(&begin, &trial);
	add_row(trial, "git.commit", "ab", "observed");
	add_row(trial, "git.submodule.a", NULL, "the submodule is not checked out");
	check(x, "COD-03", HPS_OUTCOME_FAIL, trial, "not checked out");
	x = one_trial(&begin, &trial);
	add_row(trial, "git.commit", "ab", "observed");
	add_row(trial, "git.submodule.a", "cd, the commit wants ef", "observed");
	check(x, "COD-03", HPS_OUTCOME_FAIL, trial, "wants ef");
	x = one_trial(&begin, &trial);
	add_row(trial, "git.commit", "ab", "observed");
	add_row(trial, "git.lfs.pointer", "w.bin", "observed");
	check(x, "COD-03", HPS_OUTCOME_FAIL, trial, "w.bin holds a pointer");
}

static void test_hw(void **state)
{
	struct hps_entry *begin, *trial;
	struct fixture *x = one_trial(&begin, &trial);

	(void)state;
	add_row(trial, "gpu.1.opened", "true", "observed");
	check(x, "HW-01", HPS_OUTCOME_UNKNOWN, trial, "card 1 was opened");
	x = one_trial(&begin, &trial);
	add_row(trial, "gpu.0.opened", "true", "observed");
	add_row(trial, "gpu.0.uuid", "GPU-1", "engine-reported");
	add_row(trial, "gpu.driver", "535.1", "observed");
	add_row(trial, "gpu.0.before.eccUncorrected", "2", "engine-reported");
	add_row(trial, "gpu.0.after.eccUncorrected", "2", "engine-reported");
	add_row(trial, "gpu.0.after.clockEventReasons", "0x1", "engine-reported"); /* idle */
	check(x, "HW-01", HPS_OUTCOME_PASS, NULL, NULL);
	x = one_trial(&begin, &trial);
	add_row(trial, "gpu.0.opened", "true", "observed");
	add_row(trial, "gpu.0.before.eccUncorrected", "2", "engine-reported");
	add_row(trial, "gpu.0.after.eccUncorrected", "5", "engine-reported");
	check(x, "HW-02", HPS_OUTCOME_FAIL, trial, "3 memory errors");
	x = one_trial(&begin, &trial);
	add_row(trial, "gpu.0.opened", "true", "observed");
	add_row(trial, "gpu.0.after.clockEventReasons", "0x40", "engine-reported");
	check(x, "HW-02", HPS_OUTCOME_FAIL, trial, "slowed down");
	x = one_trial(&begin, &trial);
	json_object_del(identity(trial, "cpu.isa"), "name");
	check(x, "HW-03", HPS_OUTCOME_FAIL, trial, "cpu.isa is neither");
}

/* ---- the machinery */

static void test_offenders_have_a_ceiling(void **state)
{
	struct fixture *x = fixture_new();
	const struct hps_finding *f;

	(void)state;
	for (int i = 0; i < 30; i++)
		fixture_lost(x, fixture_begin(x, NULL, -1)); /* CAP-01: unknown */
	for (int i = 0; i < 3; i++)
		json_object_del(fixture_predicate(fixture_trial(x, fixture_begin(x, NULL, -1), "complete", "{}", "{}")), "coverage");
	fixture_link(x, NULL);
	f = fixture_finding(x, "CAP-01");
	assert_int_equal(f->n_unknown, 30);
	assert_int_equal(f->n_failed, 3);
	assert_int_equal(f->n_offenders, HPS_OFFENDERS_MAX);
	for (int i = 0; i < 3; i++)
		assert_true(f->offenders[i].failed);
	assert_false(f->offenders[3].failed);
	fixture_free(x);
}

static void test_exit_codes(void **state)
{
	struct hps_findings f = { 0 };

	(void)state;
	f.count[HPS_OUTCOME_UNKNOWN] = 1;
	assert_int_equal(hps_findings_exit(&f, false), 0);
	assert_int_equal(hps_findings_exit(&f, true), 4);
	f.count[HPS_OUTCOME_FAIL] = 1;
	assert_int_equal(hps_findings_exit(&f, true), 1);
	f.damaged = true;
	assert_int_equal(hps_findings_exit(&f, false), 3);
}

static void test_table_is_sound(void **state)
{
	struct hps_map seen = HPS_MAP_INIT;

	(void)state;
	assert_int_equal(hps_n_rules, 19);
	for (size_t i = 0; i < hps_n_rules; i++) {
		assert_null(*hps_map_slot(&seen, hps_rules[i].id));
		*hps_map_slot(&seen, hps_rules[i].id) = &seen;
		assert_null(strstr(hps_rules[i].title, "complian"));
		assert_true(strlen(hps_rules[i].title) <= 60);
	}
	hps_map_release(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_env_01), cmocka_unit_test(test_env_05), cmocka_unit_test(test_cod_03), cmocka_unit_test(test_hw),
		cmocka_unit_test(test_clean_study_passes), cmocka_unit_test(test_empty_ledger),
		cmocka_unit_test(test_id_01),		   cmocka_unit_test(test_id_02),
		cmocka_unit_test(test_id_03),		   cmocka_unit_test(test_id_04),
		cmocka_unit_test(test_int_01),		   cmocka_unit_test(test_int_02),
		cmocka_unit_test(test_int_03), cmocka_unit_test(test_int_04),		   cmocka_unit_test(test_int_05),
		cmocka_unit_test(test_int_06),		   cmocka_unit_test(test_resumed_study),
		cmocka_unit_test(test_int_07),		   cmocka_unit_test(test_int_08),
		cmocka_unit_test(test_cap_01),		   cmocka_unit_test(test_offenders_have_a_ceiling),
		cmocka_unit_test(test_exit_codes),	   cmocka_unit_test(test_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
