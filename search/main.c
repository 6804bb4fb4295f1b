/* hps-search: options, calls, output. */
#include "search/search.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_MAX 256
#define TICK_FIRST_NS 1000000000
#define TICK_EVERY_NS 200000000

static int print_json(const json_t *j, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;
	int r = hps_json_canonical(j, &bytes, err);

	if (!r)
		printf("%s\n", bytes.data);
	return r;
}

static int print_study(const struct hps_history *h, bool json, struct hps_error *err)
{
	_cleanup_json_ json_t *j = NULL;

	if (!json) {
		hps_report_print(h, stdout);
		return 0;
	}
	j = hps_report_json(h);
	return print_json(j, err);
}

/* ---- run ---- */

struct run_options {
	const char *ledger, *out;
	uint64_t workers;
	bool workers_given, json, quiet;
	int64_t passphrase_fd;
	bool passphrase_given;
};
static const struct hps_option run_table[] = {
	{ "ledger", 0, HPS_OPT_STRING, offsetof(struct run_options, ledger), "DIR", "the ledger (else HPS_LEDGER, else the user's own)", 0 },
	{ "out", 'o', HPS_OPT_STRING, offsetof(struct run_options, out), "DIR", "where the trials' directories are made", 0 },
	{ "workers", 'w', HPS_OPT_U64, offsetof(struct run_options, workers), "N", "trials at a time (else as the study says)",
	  offsetof(struct run_options, workers_given) + 1 },
	{ "json", 0, HPS_OPT_FLAG, offsetof(struct run_options, json), NULL, "the closing table as JSON", 0 },
	{ "quiet", 'q', HPS_OPT_FLAG, offsetof(struct run_options, quiet), NULL, "no line for each finished trial", 0 },
	{ "key-passphrase-fd", 0, HPS_OPT_I64, offsetof(struct run_options, passphrase_fd), "FD", "read the keys' passphrase from a descriptor",
	  offsetof(struct run_options, passphrase_given) + 1 },
};

/* What a terminal shows while trials run: one line that is written over; finished trials push it down. */
struct live {
	bool quiet, tty, shown;
	int64_t started_ns, shown_ns;
	uint64_t done_before; /* by earlier runs */
	bool counted;
};

static void clear_line(struct live *live)
{
	if (live->shown)
		fprintf(stderr, "\r\033[K");
	live->shown = false;
}

static void say(struct live *live, const char *text)
{
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;

	clear_line(live);
	hps_term_escape(&safe, text, strlen(text));
	fprintf(stderr, "%s\n", safe.data);
}

static void on_waiting(uint64_t n_trials, void *arg)
{
	_cleanup_free_ char *text = hps_format("waiting for %" PRIu64 " trial%s of an earlier runner", n_trials, n_trials == 1 ? "" : "s");

	say(arg, text);
}

static void on_finished(const struct hps_history *h, uint64_t number, void *arg)
{
	struct live *live = arg;
	_cleanup_free_ char *line = hps_report_line(h, number);

	if (!live->quiet)
		say(live, line);
}

static void on_tick(const struct hps_history *h, uint64_t n_running, bool stopping, void *arg)
{
	struct hps_counts c = hps_history_counts(h);
	uint64_t done = c.complete + c.failed + c.killed + c.lost;
	struct live *live = arg;
	int64_t now = hps_time_monotonic_ns(), spent = now - live->started_ns;

	if (!live->counted)
		live->done_before = done;
	live->counted = true;
	if (!live->tty || spent < TICK_FIRST_NS || now - live->shown_ns < TICK_EVERY_NS)
		return;
	fprintf(stderr, "\r\033[K%" PRIu64 " of %zu trials done, %" PRIu64 " running%s", done, h->n, n_running, stopping ? ", stopping" : "");
	if (!stopping && done > live->done_before)
		fprintf(stderr, ", about %.0f s left", (double)spent / 1e9 * (double)(h->n - done) / (double)(done - live->done_before));
	fflush(stderr);
	live->shown_ns = now;
	live->shown = true;
}

static int run(void *options, int argc, char **argv, struct hps_error *err)
{
	struct run_options *o = options;
	struct live live = { .quiet = o->quiet, .tty = isatty(STDERR_FILENO) == 1, .started_ns = hps_time_monotonic_ns() };
	_cleanup_(hps_history_release) struct hps_history h = { 0 };
	_cleanup_error_ struct hps_error ignored = HPS_ERROR_INIT;
	struct hps_runner_options runner = { .file = argv[0], .ledger = o->ledger, .out = o->out, .workers = o->workers, .arg = &live,
					     .waiting = on_waiting, .finished = on_finished, .tick = on_tick };
	char *passphrase = NULL;
	int r;

	(void)argc;
	if (o->workers_given && (o->workers < 1 || o->workers > WORKERS_MAX))
		return hps_error_set(err, HPS_E_USAGE, "option --workers: %" PRIu64 " is not between 1 and %d", o->workers, WORKERS_MAX);
	r = hps_passphrase_read(o->passphrase_given ? (int)o->passphrase_fd : -1, &passphrase, err);
	if (r)
		return r;
	runner.passphrase = passphrase;
	r = hps_runner_run(&runner, &h, err);
	clear_line(&live);
	hps_wipe_free(passphrase);
	if (!r && !h.n_appended && !o->quiet)
		hps_note("study '%s' is finished: every trial has its result, nothing was run", hps_json_text(h.spec, "study"));
	if ((!r || h.n_appended) && print_study(&h, o->json, r ? &ignored : err) && !r)
		return HPS_E_FORMAT;
	return r;
}

/* ---- status ---- */

struct status_options {
	const char *ledger;
	bool json;
};
static const struct hps_option status_table[] = {
	{ "ledger", 0, HPS_OPT_STRING, offsetof(struct status_options, ledger), "DIR", "the ledger (else HPS_LEDGER, else the user's own)", 0 },
	{ "json", 0, HPS_OPT_FLAG, offsetof(struct status_options, json), NULL, "one JSON object", 0 },
};

static int collect_name(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	(void)err;
	if (e->study)
		hps_strv_add(arg, e->study);
	return 0;
}

static int unknown_study(struct hps_ledger *l, const char *study, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv names = HPS_STRV_INIT;
	struct hps_filter filter = HPS_FILTER_ANY;
	const char *near;
	int r;

	filter.kind = "search";
	filter.event = "register";
	r = hps_ledger_each(l, &filter, collect_name, &names, err);
	if (r)
		return r;
	near = hps_nearest(study, (const char *const *)names.v, names.n);
	if (near)
		return hps_error_set(err, HPS_E_NOTFOUND, "no study '%s' in the ledger: did you mean '%s'?", study, near);
	return hps_error_set(err, HPS_E_NOTFOUND, "no study '%s' in the ledger '%s' (it has %zu)", study, hps_ledger_dir(l), names.n);
}

static int status(void *options, int argc, char **argv, struct hps_error *err)
{
	struct status_options *o = options;
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_(hps_history_release) struct hps_history h = { 0 };
	_cleanup_free_ char *path = hps_ledger_path(o->ledger);
	int r = hps_ledger_open(path, HPS_LEDGER_READ, NULL, &l, err);

	(void)argc;
	if (!r)
		r = hps_history_read(l, argv[0], &h, err);
	if (!r && !h.registered[0])
		r = unknown_study(l, argv[0], err);
	return r ? r : print_study(&h, o->json, err);
}

/* ---- check and plan ---- */

struct check_options {
	bool json;
};
struct plan_options {
	int64_t seed;
	bool seed_given;
};
static const struct hps_option check_table[] = {
	{ "json", 0, HPS_OPT_FLAG, offsetof(struct check_options, json), NULL, "the compiled study, as it would be registered", 0 },
};
static const struct hps_option plan_table[] = {
	{ "seed", 0, HPS_OPT_I64, offsetof(struct plan_options, seed), "N", "instead of the seed that registration draws",
	  offsetof(struct plan_options, seed_given) + 1 },
};

static int check(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct check_options *o = options;
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;
	_cleanup_json_ json_t *study = NULL;
	char hex[HPS_DIGEST_HEX];
	struct hps_digest digest;
	int r = hps_study_load(argv[0], &study, err);

	(void)argc;
	if (!r)
		r = hps_json_canonical(study, &bytes, err);
	if (r)
		return r;
	if (o->json) {
		printf("%s\n", bytes.data);
		return 0;
	}
	hps_digest_of(bytes.data, bytes.len, &digest);
	hps_digest_hex(&digest, hex);
	printf("study '%s': %zu parameters, sampler %s, %" PRId64 " trials, %" PRId64 " at a time, specification %.12s\n", hps_json_text(study, "study"),
	       json_array_size(json_object_get(study, "space")), hps_json_text(json_object_get(study, "search"), "sampler"),
	       hps_json_int(json_object_get(study, "budget"), "trials", 0), hps_json_int(study, "workers", 0), hex);
	return 0;
}

static int seed_for_plan(const struct plan_options *o, const json_t *study, struct hps_seed *ret, struct hps_error *err)
{
	const char *given = hps_json_text(json_object_get(study, "search"), "seed");
	uint64_t x = (uint64_t)o->seed;

	if (o->seed_given && o->seed < 0)
		return hps_error_set(err, HPS_E_USAGE, "option --seed: it must not be below 0");
	if (!o->seed_given && (!given || hps_parse_u64(given, INT64_MAX, &x)))
		return hps_error_set(err, HPS_E_USAGE, "the study has no 'seed' under 'search', so registration will draw one: give --seed to see a plan");
	hps_seed_from_number(x, ret);
	return 0;
}

static void print_decision(const struct hps_space *space, uint64_t number, const struct hps_decision *d)
{
	_cleanup_buf_ struct hps_buf line = HPS_BUF_INIT;

	hps_buf_addf(&line, "%" PRIu64, number);
	for (size_t i = 0; i < d->values.n; i++) {
		hps_buf_addf(&line, " %s=", space->parameters[i].name);
		hps_term_escape(&line, d->values.v[i], strlen(d->values.v[i]));
	}
	printf("%s seed=%" PRIu32 "\n", line.data, d->trial_seed);
}

static int plan(void *options, int argc, char **argv, struct hps_error *err)
{
	static const struct hps_results none = { NULL, 0 };
	_cleanup_(hps_space_release) struct hps_space space = { 0 };
	_cleanup_json_ json_t *study = NULL;
	struct hps_seed seed;
	int r = hps_study_load(argv[0], &study, err);

	(void)argc;
	if (!r)
		r = seed_for_plan(options, study, &seed, err);
	if (!r)
		r = hps_space_from_json(study, &space, err);
	for (uint64_t n = 0; !r && n < space.trials; n++) {
		_cleanup_(hps_decision_release) struct hps_decision d;

		hps_decide(&space, &seed, &none, n, &d);
		print_decision(&space, n, &d);
	}
	return r;
}

static const struct hps_command commands[] = {
	{ "run", "[options] STUDY.yaml", "register the study and run its trials, or go on with it", run_table, ARRAY_SIZE(run_table),
	  sizeof(struct run_options), 1, 1, run },
	{ "status", "[options] STUDY", "what the ledger holds of a study", status_table, ARRAY_SIZE(status_table), sizeof(struct status_options), 1, 1,
	  status },
	{ "check", "[options] STUDY.yaml", "read a study file and do nothing else", check_table, ARRAY_SIZE(check_table), sizeof(struct check_options),
	  1, 1, check },
	{ "plan", "[options] STUDY.yaml", "print the trials that a study would run", plan_table, ARRAY_SIZE(plan_table), sizeof(struct plan_options),
	  1, 1, plan },
};

int main(int argc, char **argv)
{
	static const struct hps_program program = { "hps-search", "Hyperparameter studies whose every decision is in a ledger.", commands,
						    ARRAY_SIZE(commands) };

	return hps_main(&program, argc, argv);
}
