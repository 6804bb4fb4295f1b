/* Why does a trial differ from itself? By reruns that are compared with one another, under one control after the other. */
#include "replay/replay.h"

#include <sched.h>
#include <string.h>
#include <sys/personality.h>

static const struct control {
	const char *name, *what;
	const char *variables[4];
	bool fixed_addresses, one_processor;
} controls[] = {
	{ "order of a hash table", "PYTHONHASHSEED=0", { "PYTHONHASHSEED=0" }, false, false },
	{ "addresses in memory", "no ASLR", { NULL }, true, false },
	{ "number of threads", "one thread in OpenMP and BLAS", { "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1" }, false, false },
	{ "order of threads or processes", "one processor", { NULL }, false, true },
	{ "several of these together", "all of them", { "PYTHONHASHSEED=0", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1" }, true, true },
};

static void set_variables(struct hps_original *o, const struct hps_original *from, const struct control *c)
{
	o->environment = (struct hps_strv)HPS_STRV_INIT;
	for (size_t i = 0; i < from->environment.n; i++) {
		bool replaced = false;

		for (size_t k = 0; k < ARRAY_SIZE(c->variables) && c->variables[k]; k++)
			replaced = replaced || !strncmp(c->variables[k], from->environment.v[i], strcspn(c->variables[k], "=") + 1);
		if (!replaced)
			hps_strv_add(&o->environment, from->environment.v[i]);
	}
	for (size_t k = 0; k < ARRAY_SIZE(c->variables) && c->variables[k]; k++)
		hps_strv_add(&o->environment, c->variables[k]);
}

/* Reruns into dir, which is compared with other reruns' afterwards. */
static int keep_rerun(struct hps_laboratory *lab, const struct hps_original *o, const char *dir, struct hps_error *err)
{
	_cleanup_json_ json_t *products = NULL;
	struct hps_rerun rerun = HPS_RERUN_INIT;
	struct hps_entry entry = { 0 };
	struct hps_plan plan = { 0 };
	int r = hps_explain_spend(lab, err);

	r = r ? r : hps_explain_prepare(o, &plan, err);
	r = r ? r : hps_rerun_run(lab->l, o, &plan, &lab->options->rerun, &rerun, err);
	if (!r && (rerun.view.problems.n || !*rerun.id))
		r = hps_error_set(err, HPS_E_UNDECIDED, "rerunning the trial: %s", rerun.view.problems.n ? rerun.view.problems.v[0].why : "it left no record");
	r = r ? r : hps_ledger_find(lab->l, rerun.id, &entry, err);
	r = r ? r : hps_manifest_load(hps_ledger_objects(lab->l), &entry, "products", &products, err);
	r = r ? r : hps_rerun_keep(&rerun, products, dir, err);
	hps_entry_release(&entry);
	hps_plan_release(&plan);
	hps_rerun_release(&rerun);
	return r;
}

static int agree(struct hps_laboratory *lab, const char *a, const char *b, bool note, bool *ret, struct hps_error *err)
{
	static const struct hps_tolerance bits = { 0 };
	struct hps_outputs outputs = { NULL, 0 };
	const struct hps_output *different;
	int r = hps_pairs_compare(a, b, &bits, &outputs, err);

	hps_withheld_hide_outputs(lab->a, &outputs);
	different = r ? NULL : hps_explain_first_different(&outputs);
	*ret = !r && !different;
	if (different && note)
		hps_explain_note(lab->e, different);
	hps_outputs_release(&outputs);
	return r;
}

#define ROUNDS 3

/* ROUNDS reruns of one trial under one control: do all leave the same? */
static int self_agreement(struct hps_laboratory *lab, const struct hps_original *o, const char *work, const char *name, bool note, bool *ret, struct hps_error *err)
{
	_cleanup_free_ char *first = hps_format("%s/%s-0", work, name);
	int r = keep_rerun(lab, o, first, err);

	*ret = true;
	for (size_t i = 1; !r && *ret && i < ROUNDS; i++) {
		_cleanup_free_ char *other = hps_format("%s/%s-%zu", work, name, i);

		r = keep_rerun(lab, o, other, err);
		r = r ? r : agree(lab, first, other, note, ret, err);
	}
	return r;
}

static int under_control(struct hps_laboratory *lab, const struct control *c, const char *work, const char *name, bool *ret, struct hps_error *err)
{
	int before = personality(0xffffffff), r;
	struct hps_original o = *lab->a;
	cpu_set_t all, one;

	set_variables(&o, lab->a, c);
	if (sched_getaffinity(0, sizeof all, &all))
		CPU_ZERO(&all);
	if (c->fixed_addresses)
		personality((unsigned long)before | ADDR_NO_RANDOMIZE);
	for (size_t i = 0; c->one_processor && i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all)) {
			CPU_ZERO(&one);
			CPU_SET(i, &one);
			(void)!sched_setaffinity(0, sizeof one, &one);
			break;
		}
	r = self_agreement(lab, &o, work, name, false, ret, err);
	personality((unsigned long)before);
	if (c->one_processor && CPU_COUNT(&all))
		(void)!sched_setaffinity(0, sizeof all, &all);
	hps_strv_release(&o.environment);
	return r;
}

static int find_control(struct hps_laboratory *lab, const char *work, struct hps_error *err)
{
	bool same = false;
	int r = 0;

	for (size_t i = 0; !r && !same && i < ARRAY_SIZE(controls); i++) {
		_cleanup_free_ char *name = hps_format("control-%zu", i);

		r = under_control(lab, &controls[i], work, name, &same, err);
		if (!r && same) {
			lab->e->control = controls[i].name;
			lab->e->control_what = controls[i].what;
		}
	}
	lab->e->conclusion = HPS_EXPLAINED_NONDETERMINISTIC;
	return r;
}

/* The reruns agree with one another: with the record, too? */
static int against_record(struct hps_laboratory *lab, struct hps_error *err)
{
	enum hps_effect effect;
	char id[65] = "";
	int r = hps_explain_rerun(lab, lab->a, true, &effect, id, err);

	lab->e->reproducible = !r && effect == HPS_EFFECT_SECOND; /* both are the trial itself */
	lab->e->conclusion = lab->e->reproducible ? HPS_EXPLAINED_SAME : HPS_EXPLAINED_RESIDUE;
	return r;
}

int hps_explain_itself(struct hps_laboratory *lab, struct hps_error *err)
{
	_cleanup_temporary_ struct hps_temporary work = HPS_TEMPORARY_INIT;
	bool same = false;
	int r = hps_temporary_make(NULL, "hps-replay.explain", &work, err);

	r = r ? r : self_agreement(lab, lab->a, work.path, "plain", true, &same, err);
	if (r)
		return r;
	return same ? against_record(lab, err) : find_control(lab, work.path, err);
}
