/* hps-replay: rebuild a recorded trial, run it again, compare, sign the verdict. */
#include "replay/replay.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct options {
	const char *ledger, *keep, *view, *trust;
	struct hps_strv rtol, atol, equivalent, unmasked;
	struct hps_chain_options chain;
	uint64_t runs, calibrate, level;
	int64_t passphrase_fd;
	uint64_t max_bytes;
	bool json, plan, network, verbose, have_passphrase, have_level;
};

static int print_json(json_t *value, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = value;
	int r = hps_json_canonical(j, &text, err);

	if (!r)
		puts(text.data);
	return r;
}

static int look(const struct hps_plan *plan, const struct hps_chain *chain, struct hps_view *ret, struct hps_error *err)
{
	struct hps_progress progress;
	struct hps_sources sources;
	int r, root;

	hps_sources_open(&sources, (const char *const *)chain->stores.v, chain->stores.n);
	hps_progress_start(&progress, "looking for files", plan->n_files);
	r = hps_view_build(plan, &sources, HPS_VIEW_BEST, NULL, &progress, ret, &root, err);
	hps_progress_end(&progress);
	hps_sources_release(&sources);
	return r;
}

static int give_plan(const struct options *o, const struct hps_chain *chain, const struct hps_original *original, const struct hps_plan *plan, const struct hps_view *view,
		     struct hps_error *err)
{
	int r = 0;

	if (o->json)
		r = print_json(hps_report_plan_json(original, plan, view, &chain->fetched), err);
	else
		hps_report_plan(original, plan, view, &chain->fetched, stdout);
	return r ? r : view->problems.n ? 4 : 0;
}

static int show_plan(const struct options *o, struct hps_chain *chain, const struct hps_original *original, const struct hps_plan *plan, struct hps_error *err)
{
	struct hps_view view = { 0 };
	bool found = false;
	int r = look(plan, chain, &view, err);

	if (!r && view.problems.n)
		r = hps_chain_fetch(chain, original, plan, &view.problems, &found, err);
	if (!r && found) {
		hps_view_release(&view);
		r = look(plan, chain, &view, err);
	}
	r = r ? r : give_plan(o, chain, original, plan, &view, err);
	hps_view_release(&view);
	return r;
}

static int keep(const struct options *o, struct hps_ledger *l, const struct hps_rerun *rerun, struct hps_error *err)
{
	_cleanup_json_ json_t *products = NULL;
	struct hps_entry entry = { 0 };
	int r = *rerun->id ? hps_ledger_find(l, rerun->id, &entry, err) : 0;

	if (!r && *rerun->id)
		r = hps_manifest_load(hps_ledger_objects(l), &entry, "products", &products, err);
	r = r ? r : hps_rerun_keep(rerun, products, o->keep, err);
	hps_entry_release(&entry);
	return r;
}

/* A verdict that only several reruns can give. */
static int give_equivalence(const struct options *o, const struct hps_series *series, struct hps_judgement *j, struct hps_error *err)
{
	struct hps_map by_place = HPS_MAP_INIT;
	struct hps_strv none = HPS_STRV_INIT;
	struct hps_tolerance margins = { 0 };
	int r;

	if (!o->equivalent.n || !*j->rerun->id)
		return 0;
	r = hps_tolerance_read(&none, &o->equivalent, &margins, &by_place, err);
	r = r ? r : hps_series_equivalence(series, o->runs ? o->runs : HPS_EQUIVALENCE_MIN, &margins, j, err);
	hps_tolerances_release(&by_place);
	return r;
}

static int give_verdict(const struct options *o, struct hps_ledger *l, struct hps_judgement *j, const struct hps_plan *plan, const struct hps_series *series,
			const struct hps_error *rerun_error, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = NULL;
	int r = hps_judge(l, j, plan, rerun_error, err);

	r = r ? r : give_equivalence(o, series, j, err);
	if (r)
		return r;
	statement = hps_judgement_statement(j);
	r = hps_ledger_append(l, statement, j->id, &j->index, err);
	if (r)
		return hps_error_prefix(err, "appending the verdict %s", hps_verdict_name(j->verdict));
	if (o->keep && j->rerun->work.path)
		r = keep(o, l, j->rerun, err);
	if (o->json && !r)
		r = print_json(hps_judgement_json(j), err);
	else if (!r)
		hps_report_print(j, stdout);
	return r ? r : hps_verdict_exit(j->verdict);
}

/* Only when something is missing is there more to do than to look here. */
static int rerun_with(struct hps_chain *chain, struct hps_ledger *l, const struct hps_original *original, const struct hps_plan *plan,
		      struct hps_rerun_options *options, struct hps_rerun *ret, struct hps_error *err)
{
	bool found = false;
	int r;

	options->stores = (const char *const *)chain->stores.v;
	options->n_stores = chain->stores.n;
	r = hps_rerun_run(l, original, plan, options, ret, err);
	if (!r && ret->view.problems.n)
		r = hps_chain_fetch(chain, original, plan, &ret->view.problems, &found, err);
	if (r || !found)
		return r;
	options->stores = (const char *const *)chain->stores.v;
	options->n_stores = chain->stores.n;
	hps_rerun_release(ret);
	return hps_rerun_run(l, original, plan, options, ret, err);
}

struct again { /* what one more rerun needs */
	struct hps_chain *chain;
	struct hps_ledger *l;
	const struct hps_plan *plan;
	struct hps_rerun_options *options;
};

static int rerun_again(void *arg, const struct hps_original *o, struct hps_rerun *ret, struct hps_error *err)
{
	struct again *a = arg;

	return rerun_with(a->chain, a->l, o, a->plan, a->options, ret, err);
}

static int calibrate(const struct options *o, const struct hps_series *series, struct hps_judgement *j, struct hps_error *err)
{
	if (!o->calibrate)
		return 0;
	if (o->calibrate > hps_perturbations_max())
		return hps_error_set(err, HPS_E_USAGE, "option --calibrate: there are %zu perturbations", hps_perturbations_max());
	if (j->tolerance.declared || j->tolerance.by_place)
		return hps_error_set(err, HPS_E_USAGE, "option --calibrate: a tolerance is declared already");
	return hps_series_calibrate(series, o->calibrate, j, err);
}

/* What the ledger held before the rerun, when the options say nothing. */
static int use_declaration(struct hps_ledger *l, const char *trial, struct hps_judgement *j, struct hps_error *err)
{
	unsigned unmasked = j->tolerance.unmasked;
	int r;

	if (j->tolerance.declared || j->tolerance.by_place)
		return 0;
	r = hps_declaration_find(l, trial, &j->declaration, err);
	if (r || !j->declaration.predicate)
		return r;
	j->tolerance = j->declaration.tolerance;
	j->tolerance.by_place = j->declaration.by_place.n ? &j->declaration.by_place : NULL;
	j->tolerance.unmasked = unmasked;
	return 0;
}

static int replay(const struct options *o, struct hps_ledger *l, struct hps_chain *chain, const struct hps_original *original,
		  const struct hps_plan *plan, const char *passphrase, struct hps_error *err)
{
	struct hps_rerun_options options = { .passphrase = passphrase, .network = o->network, .verbose = o->verbose, .level = (unsigned)o->level };
	struct hps_rerun rerun = HPS_RERUN_INIT;
	struct hps_judgement j = { .original = original, .rerun = &rerun };
	struct hps_map by_place = HPS_MAP_INIT;
	struct again again = { chain, l, plan, &options };
	const struct hps_series series = { l, original, rerun_again, &again };
	_cleanup_error_ struct hps_error why = HPS_ERROR_INIT;
	int r = hps_tolerance_read(&o->rtol, &o->atol, &j.tolerance, &by_place, err);

	r = r ? r : hps_unmasked_read(&o->unmasked, &j.tolerance.unmasked, err);
	r = r ? r : use_declaration(l, original->trial.id, &j, err);
	if (!r && o->view && hps_view_kind_parse(o->view, &options.kind))
		r = hps_error_set(err, HPS_E_USAGE, "option --view: '%s' is none of best, overlay, mounts, copy", o->view);
	if (!r && o->have_level && (o->level < 1 || o->level > 4))
		r = hps_error_set(err, HPS_E_USAGE, "option --level: there are 1, 2, 3 and 4");
	r = r ? r : calibrate(o, &series, &j, err);
	if (o->network)
		hps_hole_add(&j.holes, "network", "the rerun could use this machine's; what came over it may differ");
	if (!r) {
		r = rerun_with(chain, l, original, plan, &options, &rerun, &why);
		j.fetched = &chain->fetched;
		r = give_verdict(o, l, &j, plan, &series, r ? &why : NULL, err);
	}
	hps_judgement_release(&j);
	hps_tolerances_release(&by_place);
	hps_rerun_release(&rerun);
	return r;
}

static int load(const struct options *o, struct hps_ledger *l, const char *id, struct hps_original *ret, char **ret_bundle, struct hps_temporary *ret_temporary,
		struct hps_error *err)
{
	const struct hps_unpack_options unpack = { o->trust, o->max_bytes };
	int r;

	if (!hps_is_bundle(id))
		return hps_original_load_partly(l, id, ret, err);
	r = hps_bundle_open(id, &unpack, ret_bundle, ret_temporary, err);
	return r ? r : hps_original_unpacked(*ret_bundle, o->trust, ret, err);
}

/* Of which even the lists of files are gone: they are what is missing. */
static int without_manifests(const struct options *o, struct hps_ledger *l, struct hps_original *original, bool plan_only, struct hps_error *err)
{
	struct hps_rerun rerun = HPS_RERUN_INIT;
	struct hps_judgement j = { .original = original, .rerun = &rerun };
	struct hps_plan plan = { 0 };
	struct hps_chain none = { 0 };
	int r;

	for (size_t i = 0; i < original->missing.n; i++) {
		_cleanup_free_ char *what = hps_format("the manifest '%s'", original->missing.v[i].what), *why = hps_format("missing: sha256 %s", hps_manifest_named(&original->trial, original->missing.v[i].what));

		hps_hole_add(&rerun.view.problems, what, why);
	}
	r = plan_only ? give_plan(o, &none, original, &plan, &rerun.view, err) : give_verdict(o, l, &j, &plan, NULL, NULL, err);
	hps_judgement_release(&j);
	hps_rerun_release(&rerun);
	return r;
}

static int run_or_plan(const struct options *o, const char *id, bool plan_only, struct hps_error *err)
{
	_cleanup_free_ char *bundle = NULL;
	_cleanup_temporary_ struct hps_temporary temporary = HPS_TEMPORARY_INIT;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	struct hps_original original = { 0 };
	struct hps_plan plan = { 0 };
	struct hps_chain chain = { 0 };
	char *passphrase = NULL;
	int r = hps_passphrase_read(o->have_passphrase ? (int)o->passphrase_fd : -1, &passphrase, err);

	r = r ? r : hps_ledger_open(dir, plan_only ? HPS_LEDGER_READ : HPS_LEDGER_APPEND, passphrase, &l, err);
	r = r ? r : load(o, l, id, &original, &bundle, &temporary, err);
	if (!r)
		hps_chain_complete(&o->chain, &original);
	if (!r && original.missing.n) {
		r = without_manifests(o, l, &original, plan_only, err);
		goto out;
	}
	if (!r)
		hps_withheld_supply(plan_only ? NULL : l, &original);
	r = r ? r : hps_plan_make(&original, &plan, err);
	if (!r)
		hps_plan_add_neighbours(&plan, original.started_ns, original.own != NULL);
	r = r ? r : hps_chain_open(&chain, l, &o->chain, &plan, err);
	if (!r && bundle)
		hps_strv_addf(&chain.stores, "%s/objects", bundle);
	if (!r)
		r = plan_only ? show_plan(o, &chain, &original, &plan, err) : replay(o, l, &chain, &original, &plan, passphrase, err);
out:
	hps_chain_release(&chain);
	hps_plan_release(&plan);
	hps_original_release(&original);
	hps_wipe_free(passphrase);
	return r;
}

static int run(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = options;

	(void)argc;
	return run_or_plan(o, argv[0], o->plan, err);
}

static int run_plan(void *options, int argc, char **argv, struct hps_error *err)
{
	(void)argc;
	return run_or_plan(options, argv[0], true, err);
}

#define FIELD(f) offsetof(struct options, f)
static const struct hps_option options[] = {
	{ "ledger", 'l', HPS_OPT_STRING, FIELD(ledger), "DIR", "the ledger (default: HPS_LEDGER, else the state directory)", 0 },
	{ "json", 0, HPS_OPT_FLAG, FIELD(json), NULL, "print the verdict as JSON (hps.verdict/1)", 0 },
	{ "rtol", 0, HPS_OPT_STRINGS, FIELD(rtol), "[NAME=]X", "call numbers equal within this relative tolerance", 0 },
	{ "atol", 0, HPS_OPT_STRINGS, FIELD(atol), "[NAME=]X", "call numbers equal within this absolute tolerance", 0 },
	{ "calibrate", 0, HPS_OPT_U64, FIELD(calibrate), "K", "take the tolerance from K perturbed reruns", 0 },
	{ "equivalent", 0, HPS_OPT_STRINGS, FIELD(equivalent), "[NAME=]X", "when outputs differ, test whether metrics' means are within X", 0 },
	{ "runs", 0, HPS_OPT_U64, FIELD(runs), "N", "how many reruns --equivalent makes (5)", 0 },
	{ "no-mask", 0, HPS_OPT_STRINGS, FIELD(unmasked), "KIND", "let stamps of this kind count as values ('all': of every kind)", 0 },
	{ "plan", 0, HPS_OPT_FLAG, FIELD(plan), NULL, "only say which files would be used and which are missing", 0 },
	{ "keep", 0, HPS_OPT_STRING, FIELD(keep), "DIR", "copy what the rerun left, and its output, to DIR", 0 },
	{ "view", 0, HPS_OPT_STRING, FIELD(view), "KIND", "how the files get there: overlay, mounts, copy, or the best that works here", 0 },
	{ "store", 0, HPS_OPT_STRINGS, FIELD(chain.stores), "DIR", "another ledger or content store that may have contents (repeatable)", 0 },
	{ "mirror", 0, HPS_OPT_STRINGS, FIELD(chain.mirrors), "URL", "an HTTP server of a content store, asked by hash (repeatable)", 0 },
	{ "packages", 0, HPS_OPT_STRINGS, FIELD(chain.packages), "DIR", "a folder of Debian package files, beside apt's (repeatable)", 0 },
	{ "image", 0, HPS_OPT_STRINGS, FIELD(chain.images), "DIR", "a container image in OCI layout (repeatable)", 0 },
	{ "substitute", 0, HPS_OPT_STRINGS, FIELD(chain.substitutes), "PATH=FILE", "another content for a file; no verdict above level L0 then", 0 },
	{ "trust", 0, HPS_OPT_STRING, FIELD(trust), "FILE", "of a bundle: trust the keys in FILE instead of those that came with it", 0 },
	{ "max-bytes", 0, HPS_OPT_U64, FIELD(max_bytes), "N", "of a bundle: unpack at most N bytes (default: 16 GiB)", 0 },
	{ "level", 0, HPS_OPT_U64, FIELD(level), "N", "answer files (1), random numbers (2), clocks (3), order of threads (4); default: as recorded", FIELD(have_level) + 1 },
	{ "network", 0, HPS_OPT_FLAG, FIELD(network), NULL, "let the rerun use this machine's network", 0 },
	{ "verbose", 'v', HPS_OPT_FLAG, FIELD(verbose), NULL, "show the rerun's output on stderr", 0 },
	{ "key-passphrase-fd", 0, HPS_OPT_I64, FIELD(passphrase_fd), "N", "read the passphrase of the keys from descriptor N", FIELD(have_passphrase) + 1 },
};
static const struct hps_command command = { NULL,    "[options] ID|BUNDLE", "Rebuild a recorded trial, run it again, compare its outputs, append a signed verdict.",
					    options, ARRAY_SIZE(options), sizeof(struct options), 1, 1, run };

static const struct hps_option plan_options[] = {
	{ "ledger", 'l', HPS_OPT_STRING, FIELD(ledger), "DIR", "the ledger (default: HPS_LEDGER, else the state directory)", 0 },
	{ "json", 0, HPS_OPT_FLAG, FIELD(json), NULL, "print the plan as JSON (hps.plan/1)", 0 },
	{ "store", 0, HPS_OPT_STRINGS, FIELD(chain.stores), "DIR", "another ledger or content store that may have contents (repeatable)", 0 },
	{ "mirror", 0, HPS_OPT_STRINGS, FIELD(chain.mirrors), "URL", "an HTTP server of a content store, asked by hash (repeatable)", 0 },
	{ "packages", 0, HPS_OPT_STRINGS, FIELD(chain.packages), "DIR", "a folder of Debian package files, beside apt's (repeatable)", 0 },
	{ "image", 0, HPS_OPT_STRINGS, FIELD(chain.images), "DIR", "a container image in OCI layout (repeatable)", 0 },
	{ "substitute", 0, HPS_OPT_STRINGS, FIELD(chain.substitutes), "PATH=FILE", "another content for a file; no verdict above level L0 then", 0 },
	{ "trust", 0, HPS_OPT_STRING, FIELD(trust), "FILE", "of a bundle: trust the keys in FILE instead of those that came with it", 0 },
	{ "max-bytes", 0, HPS_OPT_U64, FIELD(max_bytes), "N", "of a bundle: unpack at most N bytes (default: 16 GiB)", 0 },
};
static const struct hps_command command_plan = { "plan", "[options] ID|BUNDLE", "Say which files a replay would use, from where, and what is missing; run nothing.",
						 plan_options, ARRAY_SIZE(plan_options), sizeof(struct options), 1, 1, run_plan };

int main(int argc, char **argv)
{
	const struct hps_command commands[] = { command, command_plan, hps_command_pack, hps_command_unpack, hps_command_compare, hps_command_explain, hps_command_declare, hps_command_verdicts, hps_command_recipe };
	const struct hps_program program = { "hps-replay", "rebuild, rerun and judge a recorded trial", commands, ARRAY_SIZE(commands) };

	return hps_main(&program, argc, argv);
}
