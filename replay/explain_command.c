/* hps-replay explain A B, hps-replay explain ID: the answer for people and as JSON. */
#include "replay/replay.h"

#include <string.h>

#define SHOWN 12

struct options {
	const char *ledger, *state, *max_time;
	uint64_t max_runs;
	int64_t passphrase_fd;
	bool json, network, verbose, have_passphrase;
};

static const char *const kinds[] = { [HPS_FACTOR_VARIABLE] = "variable", [HPS_FACTOR_ARGUMENT] = "argument", [HPS_FACTOR_ARGUMENTS] = "arguments",
				     [HPS_FACTOR_SEED] = "random numbers", [HPS_FACTOR_FILES] = "files", [HPS_FACTOR_LISTING] = "listing", [HPS_FACTOR_HOST] = "host", [HPS_FACTOR_UMASK] = "umask" };
static const struct {
	const char *name, *text;
	int exit;
} conclusions[] = {
	[HPS_EXPLAINED_SAME] = { "SAME", "there is nothing to explain: the rerun leaves the same", 0 },
	[HPS_EXPLAINED_CAUSE] = { "CAUSE", "the cause, by experiment: with this of the second, the first leaves what the second left", 0 },
	[HPS_EXPLAINED_RESIDUE] = { "RESIDUE", "unexplained: nothing that could be exchanged gives the other result", 4 },
	[HPS_EXPLAINED_NONDETERMINISTIC] = { "NONDETERMINISTIC", "reruns of the trial differ among themselves", 0 },
	[HPS_EXPLAINED_STOPPED] = { "STOPPED", "stopped at its limit of reruns or time; --state goes on", 4 },
};

/* ---- as JSON ---- */

static json_t *factor_json(const struct hps_factor *f, bool cause)
{
	json_t *j = json_object(), *paths = json_array();

	hps_json_set_text(j, "kind", kinds[f->kind]);
	hps_json_set(j, "name", hps_path_json(f->name));
	if (f->a)
		hps_json_set(j, "first", hps_path_json(f->a));
	if (f->b)
		hps_json_set(j, "second", hps_path_json(f->b));
	if (cause)
		hps_json_set_text(j, "alone", hps_effect_name(f->alone));
	for (size_t i = 0; i < f->paths.n; i++)
		hps_json_add(paths, hps_path_json(f->paths.v[i]));
	if (f->paths.n)
		hps_json_set(j, "paths", json_incref(paths));
	json_decref(paths);
	return j;
}

static json_t *factors_json(const struct hps_explanation *e, bool cause)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->delta.n; i++)
		if (!cause || e->cause[i])
			hps_json_add(list, factor_json(&e->delta.v[i], cause));
	return list;
}

static json_t *place_json(const struct hps_explanation *e)
{
	json_t *j = json_object();

	hps_json_set_text(j, "output", e->output);
	hps_json_set_text(j, "verdict", hps_output_verdict_name(e->verdict));
	if (e->place) {
		hps_json_set(j, "place", hps_path_json(e->place));
		hps_json_set(j, "first", hps_path_json(e->was ? e->was : ""));
		hps_json_set(j, "second", hps_path_json(e->is ? e->is : ""));
	}
	return j;
}

static json_t *residue_json(const struct hps_holes *h)
{
	json_t *list = json_array();

	for (size_t i = 0; i < h->n; i++) {
		json_t *item = json_object();

		hps_json_set(item, "what", hps_path_json(h->v[i].what));
		hps_json_set(item, "why", hps_path_json(h->v[i].why));
		hps_json_add(list, item);
	}
	return list;
}

static bool interacts(const struct hps_explanation *e)
{
	for (size_t i = 0; i < e->delta.n; i++)
		if (e->cause[i] && e->delta.v[i].alone == HPS_EFFECT_FIRST)
			return true;
	return false;
}

static json_t *answer(const struct hps_explanation *e, const char *a, const char *b)
{
	json_t *j = json_object(), *control = json_object();
	_cleanup_free_ char *seconds = hps_format("%.3f", (double)e->ns / 1e9);

	hps_json_set_text(j, "schema", "hps.explain/1");
	hps_json_set_text(j, "first", a);
	hps_json_set_text(j, "second", b);
	hps_json_set_text(j, "conclusion", conclusions[e->conclusion].name);
	hps_json_set(j, "firstReproduces", json_boolean(e->reproducible));
	hps_json_set(j, "factors", factors_json(e, false));
	hps_json_set(j, "cause", factors_json(e, true));
	hps_json_set(j, "interaction", json_boolean(interacts(e)));
	if (e->control) {
		hps_json_set_text(control, "name", e->control);
		hps_json_set_text(control, "how", e->control_what);
		hps_json_set(j, "control", json_incref(control));
	}
	json_decref(control);
	if (e->output)
		hps_json_set(j, "firstDifference", place_json(e));
	hps_json_set(j, "residue", residue_json(&e->residue));
	hps_json_set(j, "outcomes", json_incref(e->outcomes));
	hps_json_set_int(j, "runs", (int64_t)e->runs);
	hps_json_set_text(j, "seconds", seconds);
	return j;
}

/* ---- for people ---- */

static void cell(struct hps_table *t, const char *text, size_t most)
{
	_cleanup_free_ char *cut = hps_format("%.*s%s", (int)most, text ? text : "", text && strlen(text) > most ? "…" : "");

	hps_table_cell(t, cut);
}

static void print_factors(const struct hps_explanation *e, bool cause, FILE *out)
{
	struct hps_table t = { .cells = HPS_STRV_INIT, .columns = cause ? 5 : 4 };
	static const char *const head[] = { "WHAT", "NAME", "FIRST", "SECOND", "ALONE" }, *const alone[] = { "no effect", "the second's", "something else", "fails" };
	size_t rows = 0, n = 0;

	for (size_t i = 0; i < t.columns; i++)
		hps_table_cell(&t, head[i]);
	for (size_t i = 0; i < e->delta.n; i++) {
		const struct hps_factor *f = &e->delta.v[i];

		if (cause && !e->cause[i])
			continue;
		n++;
		if (rows == SHOWN)
			continue;
		rows++;
		cell(&t, kinds[f->kind], 20);
		cell(&t, f->name, 60);
		cell(&t, f->a, 40);
		cell(&t, f->b, 40);
		if (cause)
			hps_table_cell(&t, alone[f->alone]);
	}
	hps_table_print(&t, out);
	if (n > rows)
		fprintf(out, "and %zu more (--json has all)\n", n - rows);
}

static void print_place(const struct hps_explanation *e, FILE *out)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;

	if (!e->output)
		return;
	text = e->place ? hps_format("first difference: %s at %s: '%s' against '%s'", e->output, e->place, e->was ? e->was : "", e->is ? e->is : "") :
			  hps_format("first difference: %s is %s", e->output, hps_output_verdict_name(e->verdict));
	hps_term_escape(&safe, text, strlen(text));
	fprintf(out, "%s\n", safe.data);
}

static void print(const struct hps_explanation *e, FILE *out)
{
	fprintf(out, "%s: %s\n", conclusions[e->conclusion].name, conclusions[e->conclusion].text);
	if (e->control)
		fprintf(out, "they agree with %s: the %s is the cause\n", e->control_what, e->control);
	else if (e->conclusion == HPS_EXPLAINED_NONDETERMINISTIC)
		fprintf(out, "no control made them agree: a race, a clock, or a source of chance that is not controlled\n");
	print_place(e, out);
	if (e->pair && e->conclusion == HPS_EXPLAINED_CAUSE) {
		fputc('\n', out);
		print_factors(e, true, out);
		if (interacts(e))
			fprintf(out, "what has no effect alone has one together with the rest\n");
	} else if (e->pair && e->delta.n) {
		fprintf(out, "\nwhat differs and could be exchanged\n");
		print_factors(e, false, out);
	}
	if (e->pair && !e->reproducible && e->conclusion != HPS_EXPLAINED_SAME && e->conclusion != HPS_EXPLAINED_STOPPED)
		fprintf(out, "the first does not reproduce what it left: run 'hps-replay explain' on it alone\n");
	if (e->conclusion == HPS_EXPLAINED_RESIDUE || e->conclusion == HPS_EXPLAINED_NONDETERMINISTIC)
		for (size_t i = 0; i < e->residue.n && i < SHOWN; i++)
			fprintf(out, "not exchanged: %s: %s\n", e->residue.v[i].what, e->residue.v[i].why);
	fprintf(out, "\n%llu reruns, %.1f s\n", (unsigned long long)e->runs, (double)e->ns / 1e9);
}

/* ---- the command ---- */

static int give(const struct options *o, const struct hps_explanation *e, const struct hps_original *a, const struct hps_original *b, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	int r = 0;

	if (o->json) {
		j = answer(e, a->trial.id, b ? b->trial.id : NULL);
		r = hps_json_canonical(j, &text, err);
		if (!r)
			puts(text.data);
	} else {
		print(e, stdout);
	}
	return r ? r : conclusions[e->conclusion].exit;
}

static int read_limits(const struct options *o, struct hps_explain_options *ret, struct hps_error *err)
{
	double seconds = 0;

	if (o->max_time && (hps_parse_double(o->max_time, &seconds) || seconds <= 0 || seconds > 1e9))
		return hps_error_set(err, HPS_E_USAGE, "option --max-time: '%s' is no number of seconds", o->max_time);
	ret->max_ns = (int64_t)(seconds * 1e9);
	ret->max_runs = o->max_runs;
	ret->state = o->state;
	ret->rerun.network = o->network;
	ret->rerun.verbose = o->verbose;
	return 0;
}

static int run(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = options;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	struct hps_original a = { 0 }, b = { 0 };
	struct hps_explain_options limits = { 0 };
	struct hps_explanation e = { 0 };
	struct hps_progress progress;
	char *passphrase = NULL;
	int r = read_limits(o, &limits, err);

	r = r ? r : hps_passphrase_read(o->have_passphrase ? (int)o->passphrase_fd : -1, &passphrase, err);
	r = r ? r : hps_ledger_open(dir, HPS_LEDGER_APPEND, passphrase, &l, err);
	r = r ? r : hps_original_load(l, argv[0], &a, err);
	r = r || argc < 2 ? r : hps_original_load(l, argv[1], &b, err);
	if (!r) {
		hps_withheld_supply(l, &a);
		limits.rerun.passphrase = passphrase;
		limits.progress = &progress;
		if (argc > 1) {
			hps_withheld_supply(l, &b); /* to be hidden: its reruns are a's */
			hps_original_move(&b, a.cwd);
			hps_original_redirect(&b, &a);
		}
		hps_progress_start(&progress, "reruns", o->max_runs);
		r = hps_explain(l, &a, argc > 1 ? &b : NULL, &limits, &e, err);
		hps_progress_end(&progress);
	}
	r = r ? r : give(o, &e, &a, argc > 1 ? &b : NULL, err);
	hps_explanation_release(&e);
	hps_original_release(&a);
	if (argc > 1)
		hps_original_release(&b);
	hps_wipe_free(passphrase);
	return r;
}

#define FIELD(f) offsetof(struct options, f)
static const struct hps_option options[] = {
	{ "ledger", 'l', HPS_OPT_STRING, FIELD(ledger), "DIR", "the ledger (default: HPS_LEDGER, else the state directory)", 0 },
	{ "json", 0, HPS_OPT_FLAG, FIELD(json), NULL, "print JSON (hps.explain/1)", 0 },
	{ "max-runs", 0, HPS_OPT_U64, FIELD(max_runs), "N", "stop after N reruns", 0 },
	{ "max-time", 0, HPS_OPT_STRING, FIELD(max_time), "SECONDS", "stop after that time", 0 },
	{ "state", 0, HPS_OPT_STRING, FIELD(state), "FILE", "keep outcomes in FILE, and go on from those that are there", 0 },
	{ "network", 0, HPS_OPT_FLAG, FIELD(network), NULL, "let the reruns use this machine's network", 0 },
	{ "verbose", 'v', HPS_OPT_FLAG, FIELD(verbose), NULL, "show the reruns' output on stderr", 0 },
	{ "key-passphrase-fd", 0, HPS_OPT_I64, FIELD(passphrase_fd), "N", "read the passphrase of the keys from descriptor N", FIELD(have_passphrase) + 1 },
};
const struct hps_command hps_command_explain = { "explain", "[options] A [B]", "Find by reruns why trial B differs from A, or why A differs from its rerun.",
						 options,   ARRAY_SIZE(options), sizeof(struct options), 1, 2, run };
