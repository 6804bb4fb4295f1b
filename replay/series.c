/* Several reruns for one verdict: under benign perturbations, to see how far results move when nothing of substance changes (--calibrate); and
 * as they are, to test the metrics' means for equivalence (--equivalent). */
#include "replay/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MARGIN 4 /* times the largest that was seen */

/* Each leaves the mathematics alone and changes the order or the width of the arithmetic. Those that a program does not know move nothing. */
static const char *const perturbations[][3] = {
	{ "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1" },
	{ "OPENBLAS_CORETYPE=Prescott", "ATEN_CPU_CAPABILITY=default", "ONEDNN_MAX_CPU_ISA=SSE41" },
	{ "OMP_NUM_THREADS=2", "OPENBLAS_NUM_THREADS=2", "MKL_NUM_THREADS=2" },
	{ "OPENBLAS_CORETYPE=Sandybridge", "NPY_DISABLE_CPU_FEATURES=AVX2 FMA3 AVX512F", NULL },
	{ "MALLOC_PERTURB_=85", "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA", NULL },
	{ "OPENBLAS_CORETYPE=Haswell", "OMP_NUM_THREADS=4", "OPENBLAS_NUM_THREADS=4" },
};
size_t hps_perturbations_max(void)
{
	return ARRAY_SIZE(perturbations);
}

/* ---- calibration ---- */

static void perturb(const struct hps_original *o, size_t i, struct hps_original *ret)
{
	const char *const *set = perturbations[i];

	*ret = *o;
	ret->environment = (struct hps_strv)HPS_STRV_INIT;
	for (size_t k = 0; k < o->environment.n; k++) {
		const char *item = o->environment.v[k];
		bool replaced = false;

		for (size_t m = 0; m < 3 && set[m]; m++)
			replaced = replaced || !strncmp(item, set[m], strcspn(set[m], "=") + 1);
		if (!replaced)
			hps_strv_add(&ret->environment, item);
	}
	for (size_t m = 0; m < 3 && set[m]; m++)
		hps_strv_add(&ret->environment, set[m]);
}

/* Outputs that differ in more than numbers say nothing about a tolerance. */
static int observe(const struct hps_series *s, const struct hps_rerun *rerun, double *largest, struct hps_error *err)
{
	static const struct hps_tolerance any = { .rtol = 1e300, .atol = 1e300, .declared = true };
	static const struct hps_map none = HPS_MAP_INIT;
	_cleanup_json_ json_t *products = NULL;
	struct hps_outputs outputs = { NULL, 0 };
	struct hps_entry entry = { 0 };
	int r = hps_ledger_find(s->l, rerun->id, &entry, err);

	r = r ? r : hps_manifest_load(hps_ledger_objects(s->l), &entry, "products", &products, err);
	r = r ? r : hps_outputs_compare(s->original, &entry, products, rerun->root_fd, &any, &none, &outputs, err);
	for (size_t i = 0; !r && i < outputs.n; i++)
		if (outputs.v[i].comparison.verdict == HPS_OUTPUT_WITHIN)
			*largest = fmax(*largest, fmax(outputs.v[i].comparison.relative_l2, outputs.v[i].comparison.scaled_max));
	hps_outputs_release(&outputs);
	hps_entry_release(&entry);
	return r;
}

int hps_series_calibrate(const struct hps_series *s, size_t k, struct hps_judgement *j, struct hps_error *err)
{
	double largest = 0;
	int r = 0;

	for (size_t i = 0; !r && i < k; i++) {
		struct hps_rerun rerun = HPS_RERUN_INIT;
		struct hps_original perturbed;

		perturb(s->original, i, &perturbed);
		r = s->rerun(s->arg, &perturbed, &rerun, err);
		if (!r && (rerun.view.problems.n || !*rerun.id))
			r = hps_error_set(err, HPS_E_UNDECIDED, "calibrating: perturbed rerun %zu could not be had", i + 1);
		r = r ? r : observe(s, &rerun, &largest, err);
		hps_rerun_release(&rerun);
		hps_strv_release(&perturbed.environment);
	}
	if (r)
		return r;
	j->calibration = json_object();
	hps_json_set_int(j->calibration, "reruns", (int64_t)k);
	hps_json_set_int(j->calibration, "margin", MARGIN);
	hps_json_set_double(j->calibration, "observed", largest);
	j->tolerance.declared = largest > 0 && isfinite(largest);
	j->tolerance.rtol = j->tolerance.declared ? largest * MARGIN : 0;
	return 0;
}

/* ---- equivalence ---- */

static const json_t *metrics_of(const struct hps_entry *e)
{
	return hps_json_at(e->statement, "predicate", "metrics", NULL);
}

/* Adds this rerun's metrics to the samples; one that is missing or no number leaves its sample short. */
static int sample(const struct hps_series *s, const char *id, struct hps_map *samples, struct hps_error *err)
{
	struct hps_entry entry = { 0 };
	const json_t *value;
	const char *name;
	int r = hps_ledger_find(s->l, id, &entry, err);

	json_object_foreach((json_t *)(uintptr_t)(r ? NULL : metrics_of(&s->original->trial)), name, value) {
		const char *text = hps_json_text(metrics_of(&entry), name);
		struct hps_buf *b = hps_map_get(samples, name);
		double x;

		if (!b)
			*hps_map_slot(samples, name) = b = hps_alloc(sizeof *b);
		if (!b->max)
			hps_buf_init(b, HPS_BUF_MAX);
		if (text && !hps_parse_double(text, &x))
			hps_buf_add(b, &x, sizeof x);
	}
	hps_entry_release(&entry);
	return r;
}

static void judge_metric(const struct hps_series *s, const char *name, const struct hps_buf *values, const struct hps_tolerance *margins, json_t *list, bool *all,
			 bool *enough)
{
	const char *text = hps_json_text(metrics_of(&s->original->trial), name);
	const struct hps_tolerance *own = margins->by_place ? hps_map_get(margins->by_place, name) : NULL;
	struct hps_equivalence e = { 0 };
	json_t *j = json_object();
	double reference;

	if (!text || hps_parse_double(text, &reference))
		reference = (double)NAN;
	hps_equivalence_test((const double *)(const void *)values->data, values->len / sizeof(double), reference, own ? own->atol : margins->atol, &e);
	hps_json_set_text(j, "metric", name);
	hps_json_set_int(j, "reruns", (int64_t)e.n);
	hps_json_set_double(j, "margin", e.margin);
	hps_json_set_text(j, "original", text);
	if (e.enough && isfinite(reference)) {
		hps_json_set_double(j, "mean", e.mean);
		hps_json_set_double(j, "deviation", e.deviation);
		hps_json_set_double(j, "low", e.low);
		hps_json_set_double(j, "high", e.high);
	}
	hps_json_set(j, "equivalent", json_boolean(e.equivalent && isfinite(reference)));
	hps_json_add(list, j);
	*all = *all && e.equivalent && isfinite(reference);
	*enough = *enough && e.enough;
}

int hps_series_equivalence(const struct hps_series *s, size_t n, const struct hps_tolerance *margins, struct hps_judgement *j, struct hps_error *err)
{
	struct hps_map samples = HPS_MAP_INIT;
	bool all = true, enough = true;
	int r = sample(s, j->rerun->id, &samples, err);

	for (size_t i = 1; !r && i < n; i++) {
		struct hps_rerun rerun = HPS_RERUN_INIT;

		r = s->rerun(s->arg, s->original, &rerun, err);
		if (!r && *rerun.id)
			r = sample(s, rerun.id, &samples, err);
		hps_rerun_release(&rerun);
	}
	j->equivalence = json_array();
	for (size_t i = 0; i < samples.n; i++) {
		struct hps_buf *b = samples.items[i].value;

		if (!r)
			judge_metric(s, samples.items[i].key, b, margins, j->equivalence, &all, &enough);
		hps_buf_release(b);
		free(b);
	}
	if (!r)
		hps_judge_equivalence(j, samples.n && all, samples.n && enough);
	hps_map_release(&samples);
	return r;
}
