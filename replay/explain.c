/* Why do two trials differ? By experiment: the first trial is rerun with some of what the second started from, and what such a mixture
 * leaves is compared with what both left. The smallest set that gives the second's outputs is the cause; what no mixture
 * gives is named as unexplained. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const effects[] = { "first", "second", "other", "failed" };

const char *hps_effect_name(enum hps_effect e)
{
	return effects[e];
}

/* ---- one rerun ---- */

static bool same_end(const struct hps_entry *a, const struct hps_entry *b)
{
	return json_equal(hps_json_at(a->statement, "predicate", "exit", NULL), hps_json_at(b->statement, "predicate", "exit", NULL));
}

const struct hps_output *hps_explain_first_different(const struct hps_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->v[i].comparison.verdict > HPS_OUTPUT_SAME_VALUES)
			return &o->v[i];
	return NULL;
}

void hps_explain_note(struct hps_explanation *e, const struct hps_output *o)
{
	const struct hps_comparison *c = &o->comparison;

	if (e->output)
		return;
	e->output = hps_strdup(o->path);
	e->verdict = c->verdict;
	e->place = c->place ? hps_strdup(c->place) : NULL;
	e->was = c->original ? hps_strdup(c->original) : NULL;
	e->is = c->rerun ? hps_strdup(c->rerun) : NULL;
	if (e->pair) { /* what the second left was compared with a rerun of the first */
		char *was = e->was;

		e->was = e->is;
		e->is = was;
	}
}

/* Whether the rerun left what this trial had left: bytes, or values with other stamps. */
static int left_the_same(struct hps_laboratory *lab, const struct hps_original *o, const struct hps_entry *entry, const json_t *products, int root_fd, bool note,
			 bool *ret, struct hps_error *err)
{
	static const struct hps_tolerance bits = { 0 };
	static const struct hps_map none = HPS_MAP_INIT;
	struct hps_outputs outputs = { NULL, 0 };
	const struct hps_output *different;
	int r;

	*ret = false;
	if (!same_end(&o->trial, entry))
		return 0;
	r = hps_outputs_compare(o, entry, products, root_fd, &bits, &none, &outputs, err);
	hps_withheld_hide_outputs(lab->a, &outputs); /* whose variables the rerun has, o may be the other */
	different = r ? NULL : hps_explain_first_different(&outputs);
	*ret = !r && !different;
	if (different && note)
		hps_explain_note(lab->e, different);
	hps_outputs_release(&outputs);
	return r;
}

static int judge_rerun(struct hps_laboratory *lab, const struct hps_rerun *rerun, bool note, enum hps_effect *ret, struct hps_error *err)
{
	_cleanup_json_ json_t *products = NULL;
	struct hps_entry entry = { 0 };
	bool same = false;
	int r = hps_ledger_find(lab->l, rerun->id, &entry, err);

	r = r ? r : hps_manifest_load(hps_ledger_objects(lab->l), &entry, "products", &products, err);
	*ret = HPS_EFFECT_OTHER;
	if (!r)
		r = left_the_same(lab, lab->b, &entry, products, rerun->root_fd, note, &same, err);
	if (!r && same)
		*ret = HPS_EFFECT_SECOND;
	if (!r && !same) {
		r = left_the_same(lab, lab->a, &entry, products, rerun->root_fd, false, &same, err);
		*ret = same ? HPS_EFFECT_FIRST : HPS_EFFECT_OTHER;
	}
	hps_entry_release(&entry);
	return r;
}

int hps_explain_prepare(const struct hps_original *o, struct hps_plan *plan, struct hps_error *err)
{
	int r = hps_plan_make(o, plan, err);

	if (!r)
		hps_plan_add_neighbours(plan, o->started_ns, o->own != NULL);
	return r;
}

int hps_explain_spend(struct hps_laboratory *lab, struct hps_error *err)
{
	const struct hps_explain_options *o = lab->options;

	if ((o->max_runs && lab->e->runs >= o->max_runs) || (o->max_ns && hps_time_monotonic_ns() - lab->started_ns >= o->max_ns)) {
		lab->e->stopped = true;
		return hps_error_set(err, HPS_E_LIMIT, "stopped after %llu reruns; the same command with more of --max-runs or --max-time goes on where --state was kept",
				     (unsigned long long)lab->e->runs);
	}
	lab->e->runs++;
	if (o->progress)
		hps_progress_update(o->progress, lab->e->runs);
	return 0;
}

/* The mixture, rebuilt and run. One that cannot be rebuilt, or leaves no record, has failed: that is an outcome, too. */
int hps_explain_rerun(struct hps_laboratory *lab, const struct hps_original *mixture, bool note, enum hps_effect *ret, char id[65], struct hps_error *err)
{
	_cleanup_error_ struct hps_error why = HPS_ERROR_INIT;
	struct hps_rerun rerun = HPS_RERUN_INIT;
	struct hps_plan plan = { 0 };
	int r = hps_explain_spend(lab, err);

	if (r)
		return r;
	*ret = HPS_EFFECT_FAILED;
	r = hps_explain_prepare(mixture, &plan, &why);
	r = r ? r : hps_rerun_run(lab->l, mixture, &plan, &lab->options->rerun, &rerun, &why);
	if (!r && !rerun.view.problems.n && *rerun.id) {
		memcpy(id, rerun.id, 65);
		r = judge_rerun(lab, &rerun, note, ret, err);
	} else {
		if (rerun.view.problems.n)
			hps_hole_add(&lab->e->residue, rerun.view.problems.v[0].what, rerun.view.problems.v[0].why);
		else if (r && note)
			hps_hole_add(&lab->e->residue, "a rerun", why.message ? why.message : "it left no record");
		r = 0;
	}
	hps_plan_release(&plan);
	hps_rerun_release(&rerun);
	return r;
}

/* ---- outcomes that are kept ---- */

static char *key_of(const struct hps_delta *d, const bool *chosen)
{
	char *key = hps_alloc(d->n + 1);

	for (size_t i = 0; i < d->n; i++)
		key[i] = chosen[i] ? '1' : '0';
	return key;
}

static json_t *names_of(const struct hps_delta *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->n; i++)
		hps_json_add(list, hps_path_json(d->v[i].name));
	return list;
}

static int save_state(struct hps_laboratory *lab, struct hps_error *err)
{
	_cleanup_json_ json_t *j = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r;

	if (!lab->options->state)
		return 0;
	hps_json_set_text(j, "schema", "hps.explain-state/1");
	hps_json_set_text(j, "first", lab->a->trial.id);
	hps_json_set_text(j, "second", lab->b->trial.id);
	hps_json_set(j, "factors", names_of(&lab->e->delta));
	hps_json_set(j, "outcomes", json_incref(lab->e->outcomes));
	r = hps_json_canonical(j, &text, err);
	return r ? r : hps_file_write(AT_FDCWD, lab->options->state, 0600, text.data, text.len, err);
}

static int load_state(struct hps_laboratory *lab, struct hps_error *err)
{
	_cleanup_json_ json_t *j = NULL, *names = names_of(&lab->e->delta);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	const char *path = lab->options->state, *a, *b;
	json_t *outcomes;
	int r;

	if (!path || access(path, F_OK))
		return 0;
	r = hps_file_read(AT_FDCWD, path, (size_t)16 << 20, &text, err);
	r = r ? r : hps_json_parse(text.data ? text.data : "", text.len, &j, err);
	if (r)
		return hps_error_prefix(err, "reading the state '%s'", path);
	a = hps_json_text(j, "first");
	b = hps_json_text(j, "second");
	outcomes = json_object_get(j, "outcomes");
	if (!a || !b || strcmp(a, lab->a->trial.id) || strcmp(b, lab->b->trial.id) || !json_equal(names, json_object_get(j, "factors")) || !json_is_object(outcomes))
		return hps_error_set(err, HPS_E_USAGE, "the state '%s' is of another explanation", path);
	json_object_update(lab->e->outcomes, outcomes);
	return 0;
}

static bool recall(const struct hps_laboratory *lab, const char *key, enum hps_effect *ret)
{
	const char *name = hps_json_text(json_object_get(lab->e->outcomes, key), "effect");

	for (size_t i = 0; name && i < ARRAY_SIZE(effects); i++)
		if (!strcmp(effects[i], name)) {
			*ret = (enum hps_effect)i;
			return true;
		}
	return false;
}

static int try_set(struct hps_laboratory *lab, const bool *chosen, bool note, enum hps_effect *ret, struct hps_error *err)
{
	_cleanup_free_ char *key = key_of(&lab->e->delta, chosen);
	struct hps_original mixture;
	char id[65] = "";
	json_t *outcome;
	int r;

	if (recall(lab, key, ret) && !(note && !lab->e->output && *ret != HPS_EFFECT_SECOND))
		return 0;
	hps_delta_mix(lab->a, lab->b, &lab->e->delta, chosen, &mixture);
	r = hps_explain_rerun(lab, &mixture, note, ret, id, err);
	hps_delta_mix_release(&mixture);
	if (r)
		return r;
	outcome = json_object();
	hps_json_set_text(outcome, "effect", effects[*ret]);
	hps_json_set_text(outcome, "rerun", *id ? id : NULL);
	hps_json_set(lab->e->outcomes, key, outcome);
	return save_state(lab, err);
}

static int gives_second(void *arg, const bool *chosen, bool *ret, struct hps_error *err)
{
	enum hps_effect effect;
	int r = try_set(arg, chosen, false, &effect, err);

	*ret = !r && effect == HPS_EFFECT_SECOND;
	return r;
}

/* ---- two trials ---- */

static int solo_effects(struct hps_laboratory *lab, struct hps_error *err)
{
	struct hps_explanation *e = lab->e;
	_cleanup_free_ bool *one = hps_alloc(e->delta.n * sizeof *one + 1);
	int r = 0;

	for (size_t i = 0; !r && i < e->delta.n; i++) {
		if (!e->cause[i])
			continue;
		memset(one, 0, e->delta.n * sizeof *one);
		one[i] = true;
		r = try_set(lab, one, false, &e->delta.v[i].alone, err);
	}
	return r;
}

#define EXPECTED 3 /* members of a cause, at most: of a thousand files that differ not four hundred matter */

static void all_likelihoods(const struct hps_delta *d, double *ret)
{
	double sum = 0;

	for (size_t i = 0; i < d->n; i++)
		sum += d->v[i].likelihood;
	for (size_t i = 0; i < d->n; i++)
		ret[i] = d->v[i].likelihood * (sum > EXPECTED ? EXPECTED / sum : 1);
}

static int explain_pair(struct hps_laboratory *lab, struct hps_error *err)
{
	struct hps_explanation *e = lab->e;
	_cleanup_free_ double *likelihood = hps_alloc(e->delta.n * sizeof *likelihood + 1);
	struct hps_ddmin search = { e->delta.n, gives_second, lab, likelihood };
	enum hps_effect base, all;
	int r = load_state(lab, err);

	r = r ? r : try_set(lab, e->cause, true, &base, err);
	if (r)
		return r;
	if (base == HPS_EFFECT_SECOND) {
		e->conclusion = HPS_EXPLAINED_SAME;
		return 0;
	}
	e->reproducible = base == HPS_EFFECT_FIRST;
	all_likelihoods(&e->delta, likelihood);
	for (size_t i = 0; i < e->delta.n; i++)
		e->cause[i] = true;
	r = e->delta.n ? try_set(lab, e->cause, false, &all, err) : 0;
	if (r)
		return r;
	if (!e->delta.n || all != HPS_EFFECT_SECOND) {
		memset(e->cause, 0, e->delta.n * sizeof *e->cause);
		e->conclusion = HPS_EXPLAINED_RESIDUE;
		return 0;
	}
	r = hps_ddmin_run(&search, e->cause, err);
	r = r ? r : solo_effects(lab, err);
	e->conclusion = HPS_EXPLAINED_CAUSE;
	return r;
}

/* ---- both ---- */

int hps_explain(struct hps_ledger *l, const struct hps_original *a, const struct hps_original *b, const struct hps_explain_options *options,
		struct hps_explanation *ret, struct hps_error *err)
{
	struct hps_laboratory lab = { .l = l, .options = options, .a = a, .b = b ? b : a, .e = ret, .started_ns = hps_time_monotonic_ns() };
	int r;

	*ret = (struct hps_explanation){ .outcomes = json_object(), .pair = b != NULL };
	if (b)
		hps_delta_make(a, b, &ret->delta);
	ret->cause = hps_alloc(ret->delta.n * sizeof *ret->cause + 1);
	r = b ? explain_pair(&lab, err) : hps_explain_itself(&lab, err);
	ret->ns = hps_time_monotonic_ns() - lab.started_ns;
	for (size_t i = 0; i < ret->delta.residue.n; i++)
		hps_hole_add(&ret->residue, ret->delta.residue.v[i].what, ret->delta.residue.v[i].why);
	for (size_t i = 0; !b && i < a->holes.n; i++)
		hps_hole_add(&ret->residue, a->holes.v[i].what, a->holes.v[i].why);
	if (r == HPS_E_LIMIT && ret->stopped) {
		ret->conclusion = HPS_EXPLAINED_STOPPED;
		hps_error_release(err);
		return 0;
	}
	return r;
}

void hps_explanation_release(struct hps_explanation *e)
{
	hps_delta_release(&e->delta);
	hps_holes_release(&e->residue);
	json_decref(e->outcomes);
	free(e->cause);
	free(e->output);
	free(e->place);
	free(e->was);
	free(e->is);
	*e = (struct hps_explanation){ 0 };
}
