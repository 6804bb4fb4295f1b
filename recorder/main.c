/* hps-record: one trial under observation. */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "recorder/recorder.h"

/* What must outlive hps_main(), which knows exit statuses only. */
static struct hps_outcome outcome;
static int closed[4] = { -1, -1, -1, -1 };

#define FIELD(name) offsetof(struct hps_trial_options, name)
#define GIVEN(name) (offsetof(struct hps_trial_options, name) + 1)

static const struct hps_option options[] = {
	{ "ledger", 0, HPS_OPT_STRING, FIELD(ledger), "DIR", "append to this ledger (else HPS_LEDGER, else the user's own)", 0 },
	{ "study", 0, HPS_OPT_STRING, FIELD(study), "NAME", "the study that the trial belongs to", 0 },
	{ "number", 0, HPS_OPT_U64, FIELD(number), "N", "its number in the study", GIVEN(has_number) },
	{ "param", 0, HPS_OPT_STRINGS, FIELD(params), "K=V", "a hyperparameter, as it was proposed (repeatable)", 0 },
	{ "seed", 0, HPS_OPT_STRING, FIELD(seed), "N", "a seed that the command does not name itself", 0 },
	{ "metrics", 0, HPS_OPT_STRINGS, FIELD(metrics), "FILE", "read metrics from this file, too (repeatable)", 0 },
	{ "dataset", 0, HPS_OPT_STRINGS, FIELD(datasets), "[NAME=]PATH", "record the digest of this file or tree (repeatable)", 0 },
	{ "id-file", 0, HPS_OPT_STRING, FIELD(id_file), "FILE", "write the id of the record there", 0 },
	{ "quiet", 'q', HPS_OPT_FLAG, FIELD(quiet), NULL, "no summary line", 0 },
	{ "capture", 0, HPS_OPT_STRING, FIELD(capture), "WHAT", "contents to store: 'closure' (what no package has; default) or 'none'", 0 },
	{ "allow-env", 0, HPS_OPT_STRINGS, FIELD(allow_env), "NAME", "record this variable's value in clear (repeatable)", 0 },
	{ "key-passphrase-fd", 0, HPS_OPT_U64, FIELD(passphrase_fd), "N", "read the passphrase of the ledger's keys from descriptor N", GIVEN(has_passphrase_fd) },
	{ "wait", 0, HPS_OPT_FLAG, FIELD(wait), NULL, "wait for processes that outlive the command", 0 },
	{ "root", 0, HPS_OPT_STRING, FIELD(root), "DIR", "run with DIR as the root directory (for hps-replay)", 0 },
	{ "cwd", 0, HPS_OPT_STRING, FIELD(cwd), "DIR", "start in this directory (inside --root)", 0 },
	{ "replay-of", 0, HPS_OPT_STRING, FIELD(replay_of), "ID", "the trial that this one replays", 0 },
	{ "metrics-path", 0, HPS_OPT_STRING, FIELD(metrics_path), "FILE", "what HPS_METRICS names, exactly", 0 },
	{ "lock-fd", 0, HPS_OPT_U64, FIELD(lock_fd), "N", "keep descriptor N open while recording; the command does not get it", GIVEN(has_lock_fd) },
};

static int run(void *o, int argc, char **argv, struct hps_error *err)
{
	int r;

	(void)argc;
	r = hps_trial_run(o, argv, closed, &outcome, err);
	return r < 0 ? r : outcome.status;
}

static const struct hps_command commands[] = {
	{
		.arguments = "[options] -- COMMAND [ARGUMENT]...",
		.summary = "run COMMAND and append a signed record of what really ran",
		.options = options,
		.n_options = ARRAY_SIZE(options),
		.options_size = sizeof(struct hps_trial_options),
		.min_args = 1,
		.max_args = -1,
		.run = run,
	},
};
static const struct hps_program program = { "hps-record", "record a training run as it really happened", commands, ARRAY_SIZE(commands) };

static void note_closed(void)
{
	int n = 0;

	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			closed[n++] = fd;
}

/* Whoever waits for us must see what it would see of the command. */
static void die_by(int number)
{
	sigset_t one;

	signal(number, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	raise(number);
}

int main(int argc, char **argv)
{
	int status;

	note_closed();
	status = hps_main(&program, argc, argv);
	if (outcome.signal)
		die_by(outcome.signal);
	if (outcome.started || outcome.status)
		return outcome.status;
	return status ? 125 : 0;
}
