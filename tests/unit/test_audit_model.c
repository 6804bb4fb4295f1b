/* Entries joined to trials, numbers and studies; questions to them. */
#include "tests/unit/unit.h"
#include "tests/unit/audit_fixture.h"

static void test_study_is_joined(void **state)
{
	struct fixture *x = fixture_new();
	const struct hps_study *s;
	enum hps_goal goal;

	(void)state;
	fixture_study(x, "digits");
	fixture_link(x, NULL);
	assert_int_equal(x->source.model.n_studies, 1);
	s = &x->source.model.studies[0];
	assert_string_equal(s->name, "digits");
	assert_int_equal(s->n_trials, 4);
	assert_int_equal(x->source.model.n_slots, 4);
	assert_non_null(s->registered);
	assert_non_null(s->stopped);
	assert_string_equal(hps_study_objective(s, &goal), "accuracy");
	assert_int_equal(goal, HPS_GOAL_MAX);
	assert_int_equal(hps_study_best(s)->number, 1);
	assert_int_equal(hps_study_count(s, HPS_STATE_COMPLETE), 3);
	assert_int_equal(hps_study_count(s, HPS_STATE_FAILED), 1);
	fixture_free(x);
}

static void test_goal_min_and_ties(void **state)
{
	struct fixture *x = fixture_new();

	(void)state;
	fixture_register(x, "s", "min");
	fixture_number(x, "s", 0, "complete", "{}", "{\"accuracy\":\"0.5\"}");
	fixture_number(x, "s", 1, "complete", "{}", "{\"accuracy\":\"0.25\"}");
	fixture_number(x, "s", 2, "complete", "{}", "{\"accuracy\":\"0.25\"}");
	fixture_number(x, "s", 3, "failed", "{}", "{\"accuracy\":\"0.01\"}");
	fixture_number(x, "s", 4, "complete", "{}", "{\"accuracy\":\"nan\"}");
	fixture_link(x, NULL);
	assert_int_equal(hps_study_best(&x->source.model.studies[0])->number, 1);
	fixture_free(x);
}

static void test_no_plan_no_best(void **state)
{
	struct fixture *x = fixture_new();
	enum hps_goal goal;

	(void)state;
	fixture_trial(x, fixture_begin(x, NULL, -1), "complete", "{}", "{\"loss\":\"1\"}");
	fixture_link(x, NULL);
	assert_null(x->source.model.studies[0].name);
	assert_string_equal(hps_study_objective(&x->source.model.studies[0], &goal), "loss");
	assert_int_equal(goal, HPS_GOAL_UNKNOWN);
	assert_null(hps_study_best(&x->source.model.studies[0]));
	fixture_free(x);
}

/* A rerun is nobody's trial number, has its original's study, and its verdict stands with the original. */
static void test_reruns_stand_aside(void **state)
{
	struct fixture *x = fixture_new();
	struct hps_entry *trial, *begin;
	const struct hps_study *s;

	(void)state;
	fixture_register(x, "s", "max");
	trial = fixture_number(x, "s", 0, "complete", "{}", "{\"accuracy\":\"0.5\"}");
	begin = fixture_begin(x, NULL, -1);
	hps_json_set_text(fixture_predicate(begin), "replayOf", trial->id);
	fixture_trial(x, begin, "complete", "{}", "{\"accuracy\":\"0.5\"}");
	fixture_verdict(x, trial, "DIVERGED");
	fixture_verdict(x, trial, "REPRODUCED-BITS");
	fixture_stop(x, "s", 1, 0, 0, 0);
	fixture_link(x, "s");
	assert_int_equal(x->source.model.n_trials, 2);
	assert_int_equal(x->source.model.n_studies, 1);
	s = &x->source.model.studies[0];
	assert_int_equal(s->n_trials, 1);
	assert_string_equal(hps_json_text(hps_predicate(s->trials[0]->verdict), "hps_verdict"), "REPRODUCED-BITS");
	assert_string_equal(x->source.model.trials[1].study, "s");
	assert_int_equal(fixture_finding(x, "ID-01")->outcome, HPS_OUTCOME_PASS);
	fixture_free(x);
}

static void test_one_study_of_two(void **state)
{
	struct fixture *x = fixture_new();

	(void)state;
	fixture_study(x, "digits");
	fixture_study(x, "wine");
	fixture_link(x, "wine");
	assert_int_equal(x->source.model.n_studies, 1);
	assert_string_equal(x->source.model.studies[0].name, "wine");
	assert_int_equal(x->source.model.n_trials, 4);
	assert_int_equal(fixture_finding(x, "INT-02")->outcome, HPS_OUTCOME_PASS); /* counters of both are seen */
	fixture_free(x);
}

static void test_unknown_study_is_named(void **state)
{
	struct fixture *x = fixture_new();
	struct hps_error e = HPS_ERROR_INIT;

	(void)state;
	fixture_study(x, "digits");
	for (size_t i = 0; i < x->n; i++)
		hps_model_add(&x->source.model, &x->entries[i]);
	assert_int_equal(hps_model_link(&x->source.model, "digit", &e), HPS_E_NOTFOUND);
	assert_non_null(strstr(e.message, "did you mean 'digits'?"));
	hps_error_release(&e);
	fixture_free(x);
}

static void test_trial_without_anything(void **state)
{
	struct fixture *x = fixture_new();
	const struct hps_trial *t;
	double seconds;

	(void)state;
	fixture_add(x, "trial", fixture_json("{\"begin\":\"nowhere\",\"state\":7,\"metrics\":[1],\"identities\":{},\"seeds\":3}"));
	fixture_link(x, NULL);
	t = &x->source.model.trials[0];
	assert_null(t->begin);
	assert_null(hps_trial_metrics(t));
	assert_null(hps_trial_params(t));
	assert_null(hps_trial_identity(t, "cpu.model"));
	assert_null(hps_trial_manifest(t, "python"));
	assert_false(hps_trial_seconds(t, &seconds));
	fixture_free(x);
}

/* ---- facts */

static const char *stored(struct hps_objects *objects, const char *json, char hex[HPS_DIGEST_HEX])
{
	_cleanup_json_ json_t *manifest = fixture_json("%s", json);
	struct hps_digest d;

	assert_ok(hps_objects_put_json(objects, manifest, &d, err));
	hps_digest_hex(&d, hex);
	return hex;
}

static void depends(struct hps_entry *trial, const char *name, const char *hex)
{
	json_t *list = json_object_get(json_object_get(fixture_predicate(trial), "buildDefinition"), "resolvedDependencies");

	hps_json_add(list, fixture_json("{\"name\":\"%s\",\"digest\":{\"sha256\":\"%s\"}}", name, hex));
}

static const struct hps_fact *fact(const struct hps_fact_list *list, const char *name)
{
	static const struct hps_fact none;

	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->items[i].name, name))
			return &list->items[i];
	return &none;
}

static void test_facts_from_manifests(void **state)
{
	char dir[] = "/tmp/hps-test-audit.XXXXXX", hex[HPS_DIGEST_HEX];
	struct fixture *x = fixture_new();
	struct hps_entry *first, *second;
	struct hps_objects *objects;
	struct hps_facts facts;
	_cleanup_fd_ int fd = -1;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_ok(hps_dir_open(AT_FDCWD, dir, &fd, err));
	assert_ok(hps_objects_open(fd, "objects", true, &objects, err));
	first = fixture_trial(x, fixture_begin(x, NULL, -1), "complete", "{}", "{}");
	second = fixture_trial(x, fixture_begin(x, NULL, -1), "complete", "{}", "{}");
	stored(objects, "{\"items\":[{\"name\":\"numpy\",\"version\":\"1.24.2\"}]}", hex);
	depends(first, "python", hex);
	depends(second, "python", hex);
	stored(objects, "{\"items\":[{\"program\":\"/usr/bin/python3.11\"}]}", hex);
	depends(first, "processes", hex);
	depends(second, "processes", hex);
	depends(first, "materials", stored(objects, "{\"items\":[{\"path\":\"/lib/libc.so.6\",\"type\":\"file\",\"digest\":{\"sha256\":\"aa\"},\"package\":\"libc6 2.36\"}]}", hex));
	depends(second, "libraries", FIXTURE_DIGEST); /* is not there */
	hps_json_set_text(json_object_get(json_object_get(json_object_get(fixture_predicate(second), "buildDefinition"), "externalParameters"), "environment"),
			  "PYTHONHASHSEED", "0");
	fixture_link(x, NULL);
	hps_facts_gather(&x->source.model.studies[0], objects, &facts);
	assert_int_equal(facts.n_trials, 2);
	assert_int_equal(facts.python.n, 1);
	assert_string_equal(facts.python.items[0].value, "1.24.2");
	assert_int_equal(facts.python.items[0].n_trials, 2);
	assert_string_equal(fact(&facts.packages, "libc6")->value ?: "none", "2.36");
	assert_int_equal(facts.n_materials, 1);
	assert_int_equal(facts.n_unreadable, 1);
	assert_int_equal(fact(&facts.unset, "PYTHONHASHSEED")->n_trials, 1);
	assert_int_equal(fact(&facts.unset, "OMP_NUM_THREADS")->n_trials, 0);
	assert_true(fact(&facts.identities, "gpu")->missing);
	assert_int_equal(fact(&facts.identities, "cpu.model")->n_trials, 2);
	hps_facts_release(&facts);
	hps_objects_free(objects);
	assert_ok(hps_dir_remove(AT_FDCWD, dir, err));
	fixture_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_study_is_joined),	     cmocka_unit_test(test_goal_min_and_ties),
		cmocka_unit_test(test_no_plan_no_best),	     cmocka_unit_test(test_reruns_stand_aside),
		cmocka_unit_test(test_one_study_of_two),     cmocka_unit_test(test_unknown_study_is_named),
		cmocka_unit_test(test_trial_without_anything), cmocka_unit_test(test_facts_from_manifests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
