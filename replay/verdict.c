/* What it comes to: the rerun's end, what it really read, its outputs and what was not as it had been become one word, a signed
 * statement and the answer of --json. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	int exit;
	bool passed;
} verdicts[] = {
	[HPS_VERDICT_BITS] = { "REPRODUCED-BITS", 0, true },	   [HPS_VERDICT_VALUES] = { "REPRODUCED-VALUES", 0, true },
	[HPS_VERDICT_WITHIN] = { "REPRODUCED-WITHIN", 0, true }, [HPS_VERDICT_EQUIVALENT] = { "EQUIVALENT", 0, true },
	[HPS_VERDICT_DIVERGED] = { "DIVERGED", 1, false },
	[HPS_VERDICT_FAILED] = { "FAILED-REPLAY", 4, false },	   [HPS_VERDICT_NOT_REBUILT] = { "NOT-REBUILT", 4, false },
	[HPS_VERDICT_INCONCLUSIVE] = { "INCONCLUSIVE", 4, false },
};

const char *hps_verdict_name(enum hps_verdict v)
{
	return verdicts[v].name;
}

int hps_verdict_exit(enum hps_verdict v)
{
	return verdicts[v].exit;
}

static void decide(struct hps_judgement *j, enum hps_verdict v, char *reason)
{
	free(j->reason);
	j->verdict = v;
	j->reason = reason;
}

/* ---- what the rerun really read ---- */

static const struct hps_plan_node *planned(const struct hps_plan *plan, const json_t *item)
{
	_cleanup_free_ char *path = hps_item_path(item);

	return path ? hps_plan_find(plan, path) : NULL;
}

/* The rerun's record hashed every file again: one that is not what the plan proved it to be was written to meanwhile. */
static void check_materials(struct hps_judgement *j, const struct hps_plan *plan, const json_t *materials)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)materials, i, item) {
		const char *hex = hps_json_text(hps_json_at(item, "digest", NULL), "sha256");
		const struct hps_plan_node *n = planned(plan, item);
		struct hps_digest d;

		if (n && n->kind == HPS_PLAN_GHOST && (hex || json_object_get(item, "listing")))
			decide(j, HPS_VERDICT_INCONCLUSIVE, hps_format("the rerun read '%s', which the trial never had: its content is not known", n->path));
		if (!n || n->kind != HPS_PLAN_FILE || (n->secret && n->unread) || !hex || hps_digest_parse(hex, &d) || hps_digest_equal(&d, &n->digest))
			continue;
		decide(j, HPS_VERDICT_INCONCLUSIVE, hps_format("'%s' was changed while the rerun used it", n->path));
	}
}

/* A rerun that asks for more than the trial did has left its path. */
static void check_ghosts(struct hps_judgement *j, const struct hps_plan *plan, const json_t *items)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)items, i, item) {
		const struct hps_plan_node *n = planned(plan, item);

		if (n && n->kind == HPS_PLAN_GHOST && strcmp(hps_json_text(item, "type") ? hps_json_text(item, "type") : "", "symlink") != 0)
			hps_hole_add(&j->holes, n->path, "the rerun wanted to open it and could not: the trial never had, so its content is not known");
	}
}

/* ---- what the machines have in common ---- */

static const char *const hardware[] = { "cpu.model", "cpu.isa", "cpu.count", "kernel.release" };

static void check_hardware(struct hps_judgement *j, const struct hps_entry *rerun)
{
	for (size_t i = 0; i < ARRAY_SIZE(hardware); i++) {
		const char *was = hps_json_text(hps_identity_find(&j->original->trial, hardware[i]), "value"), *is = hps_json_text(hps_identity_find(rerun, hardware[i]), "value");
		_cleanup_free_ char *why = NULL;

		if (!was || !is || !strcmp(was, is))
			continue;
		why = strlen(was) + strlen(is) < 160 ? hps_format("it was '%s', here it is '%s'", was, is) : hps_strdup("it is another here");
		hps_hole_add(&j->holes, hardware[i], why);
	}
}

/* Neither a record that may lack outputs nor a rerun's can say that all of them were reproduced. */
static void check_coverage(struct hps_judgement *j, const struct hps_entry *trial, const char *whose)
{
	hps_coverage_check(hps_json_at(trial->statement, "predicate", "coverage", NULL), whose, &j->holes, &j->blindness, &j->blind_to);
}

/* A rerun that was refused what the trial may have done proves nothing by being another. */
static void apply_refusals(struct hps_judgement *j, const struct hps_entry *rerun)
{
	_cleanup_free_ char *calls = hps_coverage_refused(hps_json_at(rerun->statement, "predicate", "coverage", NULL));

	if (calls && (j->verdict == HPS_VERDICT_DIVERGED || j->verdict == HPS_VERDICT_FAILED))
		decide(j, HPS_VERDICT_INCONCLUSIVE,
		       hps_format("the sandbox refused the rerun what the trial may have been granted (%s); %s", calls, j->reason ? j->reason : ""));
}

/* Nor does one that lacked what the trial may have read. */
static void apply_blanks(struct hps_judgement *j)
{
	unsigned long long n = j->rerun->view.n_blank;

	if (n && (j->verdict == HPS_VERDICT_DIVERGED || j->verdict == HPS_VERDICT_FAILED))
		decide(j, HPS_VERDICT_INCONCLUSIVE, hps_format("%llu files held secrets and started empty; %s", n, j->reason ? j->reason : ""));
}

#define NAMED 8

/* Nor one that lacked variables whose values nobody wrote down, or what came by a pipe. */
static void apply_lacking(struct hps_judgement *j)
{
	const struct hps_withheld *w = j->original->withheld;
	_cleanup_buf_ struct hps_buf what = HPS_BUF_INIT;
	size_t n = w ? w->lacking.n : 0;

	if ((!n && !j->original->input_unknown) || (j->verdict != HPS_VERDICT_DIVERGED && j->verdict != HPS_VERDICT_FAILED))
		return;
	if (j->original->input_unknown)
		hps_buf_adds(&what, n ? "standard input and " : "standard input");
	if (n == 1)
		hps_buf_adds(&what, "a variable whose value the record withholds (");
	else if (n)
		hps_buf_addf(&what, "%zu variables whose values the record withholds (", n);
	for (size_t i = 0; i < n && i < NAMED; i++)
		hps_buf_addf(&what, "%s%s", i ? ", " : "", w->lacking.v[i]);
	if (n > NAMED)
		hps_buf_addf(&what, " and %zu more", n - NAMED);
	hps_buf_adds(&what, n ? ")" : "");
	j->lacking = j->verdict == HPS_VERDICT_DIVERGED; /* one that ended otherwise has no metrics that could be equivalent */
	decide(j, HPS_VERDICT_INCONCLUSIVE, hps_format("the rerun lacked %s; %s", what.data, j->reason ? j->reason : ""));
}

static void apply_coverage(struct hps_judgement *j)
{
	if (j->blindness == HPS_BLIND_OUTPUTS && verdicts[j->verdict].passed)
		decide(j, HPS_VERDICT_INCONCLUSIVE, hps_format("what was compared agrees, but not all may have been recorded: %s", j->blind_to));
}

/* ---- the rerun's end and its outputs ---- */

static char *describe_end(const struct hps_entry *trial)
{
	const json_t *end = hps_json_at(trial->statement, "predicate", "exit", NULL);
	bool killed = json_object_get(end, "signal") != NULL;

	return hps_format("%s %lld", killed ? "signal" : "status", (long long)hps_json_int(end, killed ? "signal" : "code", -1));
}

static enum hps_verdict worst_output(const struct hps_outputs *o)
{
	enum hps_output_verdict worst = HPS_OUTPUT_IDENTICAL;

	for (size_t i = 0; i < o->n; i++)
		if (!o->v[i].undecided && o->v[i].comparison.verdict > worst)
			worst = o->v[i].comparison.verdict;
	if (worst > HPS_OUTPUT_WITHIN)
		return HPS_VERDICT_DIVERGED;
	return worst == HPS_OUTPUT_WITHIN ? HPS_VERDICT_WITHIN : worst == HPS_OUTPUT_SAME_VALUES ? HPS_VERDICT_VALUES : HPS_VERDICT_BITS;
}

/* Nothing says that they differ, nor that they are the same. */
static const struct hps_output *first_undecided(const struct hps_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->v[i].undecided)
			return &o->v[i];
	return NULL;
}

static char *first_difference(const struct hps_outputs *o)
{
	size_t n = 0, first = 0;

	for (size_t i = o->n; i-- > 0;)
		if (!o->v[i].undecided && o->v[i].comparison.verdict > HPS_OUTPUT_WITHIN) {
			first = i;
			n++;
		}
	return hps_format("%zu of %zu outputs differ%s; first '%s'%s%s", n, o->n, n == 1 ? "s" : "", o->v[first].path,
			  o->v[first].comparison.place ? " at " : "", o->v[first].comparison.place ? o->v[first].comparison.place : "");
}

static void judge_outputs(struct hps_judgement *j, const struct hps_entry *rerun)
{
	_cleanup_free_ char *was = describe_end(&j->original->trial), *is = describe_end(rerun);
	const struct hps_output *open = first_undecided(&j->outputs);

	if (strcmp(was, is) != 0)
		decide(j, HPS_VERDICT_FAILED, hps_format("the trial had ended with %s, the rerun ended with %s", was, is));
	else if (!j->outputs.n)
		decide(j, HPS_VERDICT_INCONCLUSIVE, hps_strdup("the trial left neither files nor metrics to compare"));
	else
		decide(j, worst_output(&j->outputs), NULL);
	if (j->verdict == HPS_VERDICT_DIVERGED)
		decide(j, HPS_VERDICT_DIVERGED, first_difference(&j->outputs));
	else if (verdicts[j->verdict].passed && open)
		decide(j, HPS_VERDICT_INCONCLUSIVE, hps_format("'%s' cannot be compared: %s", open->path, open->comparison.note));
}

static void copy_holes(const struct hps_holes *from, struct hps_holes *to)
{
	for (size_t i = 0; i < from->n; i++)
		hps_hole_add(to, from->v[i].what, from->v[i].why);
}

static int judge_rerun(struct hps_ledger *l, struct hps_judgement *j, const struct hps_plan *plan, struct hps_error *err)
{
	_cleanup_json_ json_t *products = NULL, *materials = NULL, *misses = NULL;
	struct hps_entry rerun = { 0 };
	int r = hps_ledger_find(l, j->rerun->id, &rerun, err);

	r = r ? r : hps_manifest_load(hps_ledger_objects(l), &rerun, "products", &products, err);
	r = r ? r : hps_manifest_load(hps_ledger_objects(l), &rerun, "materials", &materials, err);
	r = r ? r : hps_manifest_load(hps_ledger_objects(l), &rerun, "misses", &misses, err);
	r = r ? r : hps_outputs_compare(j->original, &rerun, products, j->rerun->root_fd, &j->tolerance, &j->metric_tolerances, &j->outputs,
					 err);
	if (!r) {
		judge_outputs(j, &rerun);
		check_materials(j, plan, materials);
		check_ghosts(j, plan, misses);
		check_hardware(j, &rerun);
		hps_pins_check(j->original, &rerun, &j->rerun->pins, &j->holes);
		check_coverage(j, &rerun, "not seen in the rerun");
		apply_coverage(j);
		apply_refusals(j, &rerun);
		apply_blanks(j);
		apply_lacking(j);
		j->level = hps_level_reached(j->original, &rerun, j->blindness, &j->holes);
	}
	hps_entry_release(&rerun);
	return r;
}

/* A replay with another content in it never says that the inputs were the recorded ones. */
static void check_fetched(struct hps_judgement *j)
{
	const struct hps_fetched *f = j->fetched;

	for (size_t i = 0; f && i < f->files.n; i++)
		if (!strcmp(f->files.v[i].why, "declared substitute")) {
			hps_hole_add(&j->holes, f->files.v[i].what, "a declared substitute: not what the trial read");
			j->blindness = HPS_BLIND_INPUTS > j->blindness ? HPS_BLIND_INPUTS : j->blindness;
		}
	if (f && j->rerun->view.problems.n)
		copy_holes(&f->notes, &j->holes);
}

int hps_judge(struct hps_ledger *l, struct hps_judgement *j, const struct hps_plan *plan, const struct hps_error *rerun_error, struct hps_error *err)
{
	hps_study_tolerances(j->original->spec, &j->metric_tolerances);
	copy_holes(&j->original->holes, &j->holes);
	copy_holes(&plan->holes, &j->holes);
	copy_holes(&j->rerun->view.holes, &j->holes);
	j->level = 1;
	check_fetched(j);
	if (j->rerun->view.n_blank && j->blindness < HPS_BLIND_INPUTS)
		j->blindness = HPS_BLIND_INPUTS;
	check_coverage(j, &j->original->trial, "not seen when it was recorded");
	if (rerun_error)
		decide(j, HPS_VERDICT_INCONCLUSIVE, hps_strdup(rerun_error->message));
	else if (j->rerun->view.problems.n)
		decide(j, HPS_VERDICT_NOT_REBUILT, hps_format("%zu of %llu contents cannot be had; nothing was run", j->rerun->view.problems.n,
							      (unsigned long long)(j->rerun->view.n_files + j->rerun->view.problems.n)));
	else
		return judge_rerun(l, j, plan, err);
	return 0;
}

void hps_judge_equivalence(struct hps_judgement *j, bool equivalent, bool enough)
{
	if (j->verdict != HPS_VERDICT_DIVERGED && !j->lacking)
		return;
	if (equivalent)
		decide(j, HPS_VERDICT_EQUIVALENT, hps_strdup("the outputs differ; the metrics' means over the reruns lie within the margin"));
	else if (!enough)
		decide(j, HPS_VERDICT_INCONCLUSIVE, hps_format("too few reruns left metrics: %d are needed", HPS_EQUIVALENCE_MIN));
}

/* ---- as JSON ---- */

static json_t *holes_json(const struct hps_holes *h, const char *what)
{
	json_t *list = json_array();

	for (size_t i = 0; i < h->n; i++) {
		json_t *item = json_object();

		hps_json_set(item, what, hps_path_json(h->v[i].what));
		hps_json_set(item, "why", hps_path_json(h->v[i].why));
		hps_json_add(list, item);
	}
	return list;
}

static bool any_declared(const struct hps_map *by_place)
{
	for (size_t i = 0; i < by_place->n; i++)
		if (((const struct hps_tolerance *)by_place->items[i].value)->declared)
			return true;
	return false;
}

static json_t *tolerance_json(const struct hps_judgement *judgement)
{
	const struct hps_tolerance *t = &judgement->tolerance;
	const struct hps_map *of_metrics = &judgement->metric_tolerances;
	_cleanup_json_ json_t *general = NULL;
	json_t *j = json_object();

	hps_json_set_text(j, "source", judgement->declaration.predicate ? "ledger" : judgement->calibration ? "calibrated" : t->declared || t->by_place ? "declared" : any_declared(of_metrics) ? "study" : "bits");
	if (judgement->calibration)
		hps_json_set(j, "calibration", json_incref(judgement->calibration));
	if (judgement->declaration.predicate) {
		hps_json_set_text(j, "entry", judgement->declaration.id);
		hps_json_set_int(j, "declarations", (int64_t)judgement->declaration.n);
	}
	if (t->declared) {
		general = hps_tolerance_json(t);
		json_object_update(j, general);
	}
	if (t->by_place)
		hps_json_set(j, "places", hps_tolerances_json(t->by_place));
	else if (!t->declared && any_declared(of_metrics))
		hps_json_set(j, "metrics", hps_tolerances_json(of_metrics));
	return j;
}

static json_t *view_json(const struct hps_view *v)
{
	json_t *j = json_object();

	hps_json_set_int(j, "files", (int64_t)v->n_files);
	hps_json_set_int(j, "fromStore", (int64_t)v->n_store);
	hps_json_set_int(j, "fromSystem", (int64_t)v->n_system);
	hps_json_set_int(j, "namesOnly", (int64_t)v->n_ghosts);
	hps_json_set_text(j, "kind", v->kind == HPS_VIEW_BEST ? NULL : hps_view_kind_name(v->kind));
	hps_json_set_text(j, "why", v->why);
	return j;
}

static json_t *fetched_json(const struct hps_fetched *f)
{
	json_t *list = json_array();

	for (size_t i = 0; f && i < f->files.n; i++) {
		json_t *item = json_object();

		hps_json_set(item, "path", hps_path_json(f->files.v[i].what));
		hps_json_set_text(item, "from", f->files.v[i].why);
		hps_json_add(list, item);
	}
	return list;
}

static json_t *pins_json(const struct hps_strv *pins)
{
	json_t *list = json_array();

	for (size_t i = 0; i < pins->n; i++)
		hps_json_add(list, hps_path_json(pins->v[i]));
	return list;
}

/* Names alone. */
static json_t *supplied_json(const struct hps_judgement *j)
{
	const struct hps_withheld *w = *j->rerun->id ? j->original->withheld : NULL;
	json_t *list = json_array();

	for (size_t i = 0; w && i < w->names.n; i++)
		hps_json_add(list, hps_path_json(w->names.v[i]));
	return list;
}

static json_t *digest_json(const char *hex)
{
	json_t *j = json_object();

	hps_json_set_text(j, "sha256", hex);
	return j;
}

static json_t *named_digest(const char *member, const char *name, const char *hex)
{
	json_t *j = json_object();

	hps_json_set_text(j, member, name);
	hps_json_set(j, "digest", digest_json(hex));
	return j;
}

json_t *hps_judgement_statement(const struct hps_judgement *j)
{
	json_t *s = hps_statement_new(HPS_PREDICATE_VERDICT), *p = json_object_get(s, "predicate"), *verifier = json_object(), *version = json_object();
	json_t *attestations = json_array(), *policy = json_object(), *levels = json_array();
	const char *trial = j->original->trial.id;
	_cleanup_free_ char *uri = hps_format("urn:hps:trial:%s", trial), *level = hps_format("L%u", j->level);

	hps_json_add(json_object_get(s, "subject"), named_digest("name", "trial", trial));
	hps_json_set_text(version, "hps", HPS_VERSION);
	hps_json_set_text(verifier, "id", "urn:hps:replay:v1");
	hps_json_set(verifier, "version", version);
	hps_json_set(p, "verifier", verifier);
	hps_json_set(p, "timeVerified", json_incref(json_object_get(p, "time")));
	hps_json_set_text(p, "resourceUri", uri);
	hps_json_set_text(policy, "uri", "urn:hps:replay:policy:v1");
	hps_json_set(p, "policy", policy);
	hps_json_add(attestations, named_digest("uri", uri, trial));
	hps_json_set(p, "inputAttestations", attestations);
	hps_json_set_text(p, "verificationResult", verdicts[j->verdict].passed ? "PASSED" : "FAILED");
	if (verdicts[j->verdict].passed)
		hps_json_add(levels, json_sprintf("HPS_REPLAY_%s", level));
	hps_json_set(p, "verifiedLevels", levels);
	hps_json_set_text(p, "hps_trial", trial);
	hps_json_set_text(p, "hps_rerun", *j->rerun->id ? j->rerun->id : NULL);
	hps_json_set_text(p, "hps_verdict", hps_verdict_name(j->verdict));
	hps_json_set_text(p, "hps_level", level);
	hps_json_set(p, "hps_uncontrolled", hps_level_uncontrolled(j->level));
	if (j->reason)
		hps_json_set(p, "hps_reason", hps_path_json(j->reason));
	hps_json_set(p, "hps_outputs", hps_outputs_json(&j->outputs));
	hps_json_set(p, "hps_missing", holes_json(&j->rerun->view.problems, "path"));
	hps_json_set(p, "hps_holes", holes_json(&j->holes, "what"));
	hps_json_set(p, "hps_tolerance", tolerance_json(j));
	if (j->equivalence)
		hps_json_set(p, "hps_equivalence", json_incref(j->equivalence));
	hps_json_set(p, "hps_view", view_json(&j->rerun->view));
	hps_json_set(p, "hps_fetched", fetched_json(j->fetched));
	hps_json_set(p, "hps_pins", pins_json(&j->rerun->pins));
	hps_json_set(p, "hps_supplied", supplied_json(j));
	if (*j->rerun->id)
		hps_json_set(p, "hps_sandbox", hps_sandbox_layers(j->rerun->network));
	return s;
}

json_t *hps_judgement_json(const struct hps_judgement *j)
{
	json_t *o = json_object(), *entry = json_object();
	_cleanup_free_ char *level = hps_format("L%u", j->level);

	hps_json_set_text(o, "schema", "hps.verdict/1");
	hps_json_set_text(o, "trial", j->original->trial.id);
	hps_json_set_text(o, "rerun", *j->rerun->id ? j->rerun->id : NULL);
	hps_json_set_text(o, "verdict", hps_verdict_name(j->verdict));
	hps_json_set_text(o, "level", level);
	hps_json_set(o, "uncontrolled", hps_level_uncontrolled(j->level));
	if (j->reason)
		hps_json_set(o, "reason", hps_path_json(j->reason));
	hps_json_set(o, "outputs", hps_outputs_json(&j->outputs));
	hps_json_set(o, "missing", holes_json(&j->rerun->view.problems, "path"));
	hps_json_set(o, "holes", holes_json(&j->holes, "what"));
	hps_json_set(o, "tolerance", tolerance_json(j));
	if (j->equivalence)
		hps_json_set(o, "equivalence", json_incref(j->equivalence));
	hps_json_set(o, "view", view_json(&j->rerun->view));
	hps_json_set(o, "fetched", fetched_json(j->fetched));
	hps_json_set(o, "pins", pins_json(&j->rerun->pins));
	hps_json_set(o, "supplied", supplied_json(j));
	if (*j->rerun->id)
		hps_json_set(o, "sandbox", hps_sandbox_layers(j->rerun->network));
	hps_json_set_double(o, "rebuildSeconds", (double)(j->rerun->build_ns / 1000000) / 1000);
	hps_json_set_double(o, "rerunSeconds", (double)(j->rerun->run_ns / 1000000) / 1000);
	hps_json_set_int(entry, "index", (int64_t)j->index);
	hps_json_set_text(entry, "id", j->id);
	hps_json_set(o, "entry", entry);
	return o;
}

void hps_judgement_release(struct hps_judgement *j)
{
	free(j->reason);
	free(j->blind_to);
	hps_outputs_release(&j->outputs);
	hps_holes_release(&j->holes);
	hps_tolerances_release(&j->metric_tolerances);
	hps_declaration_release(&j->declaration);
	json_decref(j->calibration);
	json_decref(j->equivalence);
	*j = (struct hps_judgement){ 0 };
}
