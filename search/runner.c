/* The loop of a study: decide, commit, start, wait, take the result. Whatever it knows is in the ledger, so it may be killed at any
 * instant; the next one goes on from there. */
#include "ledger/ledger.h"
#include "search/search.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOSSES_MAX 3 /* a number whose recorder died this often is given up */
#define TICK_NS 200000000

struct runner {
	const struct hps_runner_options *options;
	struct hps_ledger *ledger;
	struct hps_history *history;
	struct hps_space space;
	struct hps_launch launch;
	struct hps_study_lock lock;
	struct hps_redactor redactor;
	const char *study;
	uint64_t workers, first_open; /* all numbers below first_open have results */
	struct hps_child *children;
	size_t n_children;
	int signals; /* received so far */
	bool failed; /* `error` holds why nothing more is started */
	struct hps_error error;
};

static void tick(struct runner *r)
{
	if (r->options->tick)
		r->options->tick(r->history, r->n_children, r->signals || r->failed, r->options->arg);
}

static void stop_because(struct runner *r, struct hps_error *error)
{
	if (r->failed) {
		hps_error_release(error);
		return;
	}
	r->failed = true;
	r->error = *error;
	*error = (struct hps_error)HPS_ERROR_INIT;
}

/* ---- signals ---- */

static void watched(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };

	sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(set, signals[i]);
}

/* The recorder passes it on to the command; its group as a whole would get it twice. */
static void pass_on(struct runner *r, int number)
{
	for (size_t i = 0; i < r->n_children; i++)
		kill(r->children[i].pid, number);
}

/* Waits for a signal that matters, no longer than a tick. */
static void wait_signal(struct runner *r)
{
	const struct timespec limit = { .tv_nsec = TICK_NS };
	sigset_t set;
	int number;

	watched(&set);
	number = sigtimedwait(&set, NULL, &limit);
	if (number == SIGINT || number == SIGTERM || number == SIGHUP) {
		if (r->signals++)
			pass_on(r, number);
	}
	tick(r);
}

/* ---- starting ---- */

static bool is_running(const struct runner *r, uint64_t number)
{
	for (size_t i = 0; i < r->n_children; i++) {
		if (r->children[i].number == number)
			return true;
	}
	return false;
}

/* The lowest number without a result that is not running; the budget when there is none. */
static uint64_t next_number(struct runner *r)
{
	while (r->first_open < r->space.trials && r->history->trials[r->first_open].has_result)
		r->first_open++;
	for (uint64_t n = r->first_open; n < r->space.trials; n++) {
		if (!r->history->trials[n].has_result && !is_running(r, n))
			return n;
	}
	return r->space.trials;
}

static json_t *params_of(const struct hps_space *space, const struct hps_decision *d)
{
	json_t *params = json_object();

	for (size_t i = 0; i < space->n; i++)
		hps_json_set_text(params, space->parameters[i].name, d->values.v[i]);
	return params;
}

/* A commit that another program or another version wrote would make the study something else than it says. */
static int check_commit(const struct runner *r, uint64_t number, const json_t *params, const char *seed, const json_t *command, struct hps_error *err)
{
	const struct hps_run_trial *t = &r->history->trials[number];

	if (!json_equal(t->params, params) || strcmp(t->trial_seed, seed) != 0)
		return hps_error_set(err, HPS_E_DAMAGED, "resuming trial %" PRIu64 ": the committed parameters are not what the registered study decides",
				     number);
	if (!json_equal(t->command, command))
		return hps_error_set(err, HPS_E_USAGE, "resuming trial %" PRIu64 ": it was committed with another command than '%s' would have now; "
				     "give the --out of then", number, r->launch.out);
	return 0;
}

static int refuse_existing(const struct runner *r, uint64_t number, struct hps_error *err)
{
	_cleanup_free_ char *out = hps_child_out(&r->launch, number);
	struct stat st;

	if (lstat(out, &st))
		return 0;
	return hps_error_set(err, HPS_E_UNDECIDED, "starting trial %" PRIu64 ": '%s' is there already, from another ledger's study; move it away or give --out",
			     number, out);
}

static void propose(const struct runner *r, uint64_t number, struct hps_proposal *ret)
{
	static const struct hps_results none = { NULL, 0 };
	_cleanup_(hps_decision_release) struct hps_decision d;

	hps_decide(&r->space, &r->history->seed, &none, number, &d);
	ret->params = params_of(&r->space, &d);
	ret->seed = hps_format("%" PRIu32, d.trial_seed);
	hps_child_command(&r->launch, &r->space, &d, number, &ret->command);
}

static int commit(struct runner *r, uint64_t number, const struct hps_proposal *p, struct hps_error *err)
{
	_cleanup_json_ json_t *params = hps_safe_named(&r->redactor, p->params), *command = hps_safe_command(&r->redactor, &p->command);
	int result;

	if (r->history->trials[number].committed)
		return check_commit(r, number, params, p->seed, command, err);
	result = refuse_existing(r, number, err);
	return result ? result : hps_study_commit(r->ledger, r->history, number, params, p->seed, command, err);
}

static int start(struct runner *r, uint64_t number, struct hps_error *err)
{
	_cleanup_(hps_proposal_release) struct hps_proposal p = { 0 };
	struct hps_child *child = &r->children[r->n_children];
	int result;

	propose(r, number, &p);
	result = commit(r, number, &p, err);
	if (!result)
		result = hps_child_start(&r->launch, number, &p, child, err);
	if (result)
		return result;
	child->n_begun = r->history->trials[number].n_begun;
	r->n_children++;
	return 0;
}

/* ---- ending ---- */

/* No trial and no begin: hps-record refused to start. Another attempt would end the same way. */
static int not_started(const struct runner *r, uint64_t number, int status, struct hps_error *err)
{
	_cleanup_free_ char *words = hps_child_last_words(&r->launch, number), *out = hps_child_out(&r->launch, number);
	bool killed = WIFSIGNALED(status);

	return hps_error_set(err, HPS_E_UNDECIDED, "trial %" PRIu64 " was not started (%s %d): %s; all of it is in '%s/stderr.log'", number,
			     killed ? "signal" : "status", killed ? WTERMSIG(status) : WEXITSTATUS(status), *words ? words : "no message", out);
}

/* What dead recorders left: records that they could not append, and begins without a record. */
static int gather_ends(struct runner *r, struct hps_error *err)
{
	uint64_t n;
	int result = hps_spool_push_own(r->ledger, &n, err);

	if (!result)
		result = hps_lease_sweep(r->ledger, NULL, err);
	return result ? result : hps_history_settle(r->ledger, r->study, r->history, err);
}

/* The recorder ended without a trial: lost, and run again unless that has happened too often. */
static int lost(struct runner *r, const struct hps_child *child, int status, struct hps_error *err)
{
	const struct hps_run_trial *t = &r->history->trials[child->number];
	int result;

	if (t->n_begun == child->n_begun)
		return not_started(r, child->number, status, err);
	result = gather_ends(r, err);
	if (!result && (t->id[0] || t->n_lost >= LOSSES_MAX))
		result = hps_study_result(r->ledger, r->history, child->number, err);
	return result;
}

static int ended(struct runner *r, const struct hps_child *child, int status, struct hps_error *err)
{
	const struct hps_run_trial *t = &r->history->trials[child->number];
	int result = hps_history_settle(r->ledger, r->study, r->history, err);

	if (!result)
		result = t->id[0] ? hps_study_result(r->ledger, r->history, child->number, err) : lost(r, child, status, err);
	if (!result && t->has_result && r->options->finished)
		r->options->finished(r->history, child->number, r->options->arg);
	return result;
}

static void reap(struct runner *r)
{
	for (size_t i = 0; i < r->n_children;) {
		_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
		struct hps_child child = r->children[i];
		int status;

		if (waitpid(child.pid, &status, WNOHANG) <= 0) {
			i++;
			continue;
		}
		r->children[i] = r->children[--r->n_children];
		if (ended(r, &child, status, &error))
			stop_because(r, &error);
	}
}

static void loop(struct runner *r)
{
	for (;;) {
		while (!r->signals && !r->failed && r->n_children < r->workers) {
			_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
			uint64_t number = next_number(r);

			if (number == r->space.trials)
				break;
			if (start(r, number, &error))
				stop_because(r, &error);
		}
		if (!r->n_children)
			break;
		wait_signal(r);
		reap(r);
	}
}

/* ---- resuming ---- */

/* Recorders of a runner that was killed hold the lock until their trials have ended. 0, or HPS_E_UNDECIDED after a signal. */
static int wait_for_earlier(struct runner *r, struct hps_error *err)
{
	bool told = false;
	int result;

	while ((result = hps_study_lock_trials(&r->lock, err)) == 1) {
		struct hps_counts counts = hps_history_counts(r->history);

		if (!told && r->options->waiting)
			r->options->waiting(counts.running, r->options->arg);
		told = true;
		wait_signal(r);
		if (r->signals)
			return hps_error_set(err, HPS_E_UNDECIDED, "stopped while trials of an earlier runner go on; the same command resumes");
	}
	return result;
}

/* Every trial that ended without a runner gets its result; every dead recorder its `lost`. */
static int take_over(struct runner *r, struct hps_error *err)
{
	int result = gather_ends(r, err);

	for (uint64_t n = 0; !result && n < r->history->n; n++) {
		const struct hps_run_trial *t = &r->history->trials[n];

		if (t->has_result || (!t->id[0] && t->n_lost < LOSSES_MAX))
			continue;
		result = hps_study_result(r->ledger, r->history, n, err);
		if (!result && r->options->finished)
			r->options->finished(r->history, n, r->options->arg);
	}
	return result;
}

/* ---- all of it ---- */

/* Says in the ledger why it ended, unless nothing happened since the last time. */
static int end(struct runner *r, struct hps_error *err)
{
	bool all = next_number(r) == r->space.trials;
	const char *reason = r->failed ? "error" : all ? "budget" : "interrupted";
	struct hps_counts c = hps_history_counts(r->history);
	int result = 0;

	if (all ? !r->history->finished : r->history->n_appended > 0)
		result = hps_study_stop(r->ledger, r->history, reason, err);
	if (result || all)
		return result;
	if (r->failed)
		return hps_error_set(err, r->error.code, "%s", r->error.message);
	return hps_error_set(err, HPS_E_UNDECIDED, "stopped by a signal with %" PRIu64 " of %" PRIu64 " trials done; the same command resumes",
			     c.complete + c.failed + c.killed + c.lost, r->space.trials);
}

static int register_study(struct runner *r, struct hps_error *err)
{
	_cleanup_free_ char *file = NULL;
	_cleanup_json_ json_t *safe = NULL;
	int result = hps_secrets_learn(r->ledger, r->launch.spec, &r->redactor, err);

	if (result)
		return result;
	safe = hps_safe_study(&r->redactor, r->launch.spec);
	file = hps_redact_name(&r->redactor, r->options->file);
	return hps_study_register(r->ledger, safe, file, r->history, err);
}

static int run_locked(struct runner *r, struct hps_error *err)
{
	int result = hps_history_settle(r->ledger, r->study, r->history, err);

	if (!result)
		result = register_study(r, err);
	if (!result)
		result = wait_for_earlier(r, err);
	if (!result)
		result = take_over(r, err);
	if (result)
		return result;
	r->children = hps_alloc(r->workers * sizeof(*r->children));
	loop(r);
	free(r->children);
	return end(r, err);
}

/* The folder of the study file, absolute. */
static char *directory_of(const char *file)
{
	_cleanup_free_ char *path = hps_path_absolute(file);

	return hps_strdup(dirname(path));
}

static int run_with_signals_blocked(struct runner *r, struct hps_error *err)
{
	sigset_t set, before;
	int result;

	watched(&set);
	signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would take the trials' statuses from us */
	sigprocmask(SIG_BLOCK, &set, &before);
	result = run_locked(r, err);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return result;
}

static int run_study(struct runner *r, const json_t *spec, struct hps_error *err)
{
	_cleanup_free_ char *recorder = hps_sibling_program("hps-record"), *directory = directory_of(r->options->file), *out = NULL;
	_cleanup_free_ char *ledger = hps_path_absolute(hps_ledger_dir(r->ledger));
	int result = hps_space_from_json(spec, &r->space, err);

	if (result)
		return result;
	out = r->options->out ? hps_path_absolute(r->options->out) : hps_format("%s/%s.trials", directory, r->study);
	r->workers = r->options->workers ? r->options->workers : (uint64_t)hps_json_int(spec, "workers", 1);
	result = hps_study_lock_take(ledger, r->study, &r->lock, err);
	if (!result) {
		r->launch = (struct hps_launch){ recorder, ledger, directory, out, spec, r->lock.trials_fd, r->options->passphrase };
		result = run_with_signals_blocked(r, err);
	}
	hps_study_lock_release(&r->lock);
	hps_space_release(&r->space);
	return result;
}

int hps_runner_run(const struct hps_runner_options *options, struct hps_history *h, struct hps_error *err)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *ledger = NULL;
	_cleanup_free_ char *path = hps_ledger_path(options->ledger);
	_cleanup_json_ json_t *spec = NULL;
	struct runner r = { .options = options, .history = h, .lock = HPS_STUDY_LOCK_INIT, .error = HPS_ERROR_INIT };
	int result = hps_study_load(options->file, &spec, err);

	if (!result && hps_remote_is(path))
		result = hps_error_set(err, HPS_E_USAGE,
				       "running a study: the ledger '%s' is elsewhere, and a study is decided from what its ledger says; run it where that ledger is, or record into one of your own",
				       path);
	if (!result)
		result = hps_ledger_open(path, HPS_LEDGER_APPEND, options->passphrase, &ledger, err);
	if (result)
		return result;
	r.ledger = ledger;
	r.study = hps_json_text(spec, "study");
	result = run_study(&r, spec, err);
	hps_redactor_release(&r.redactor);
	hps_error_release(&r.error);
	return result;
}
