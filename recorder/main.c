/* hps-record: one trial under observation. */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/dataset.h"
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
	{ "metrics", 0, HPS_OPT_STRINGS, FIELD(metrics), "FILE[:POINTER]", "read metrics from this file, too, or from a part of it (repeatable)", 0 },
	{ "dataset", 0, HPS_OPT_STRINGS, FIELD(datasets), "[NAME=]PATH", "record the digest of this file or tree (repeatable)", 0 },
	{ "engine", 0, HPS_OPT_STRING, FIELD(engine), "SOCKET", "ask this container engine about our image: a socket, 'kubernetes', or 'tree': nobody, hash the files", 0 },
	{ "id-file", 0, HPS_OPT_STRING, FIELD(id_file), "FILE", "write the id of the record there", 0 },
	{ "quiet", 'q', HPS_OPT_FLAG, FIELD(quiet), NULL, "no summary line", 0 },
	{ "capture", 0, HPS_OPT_STRING, FIELD(capture), "WHAT", "contents to store: 'closure' (what no package has; default), 'code' of that, 'all', or 'none'", 0 },
	{ "allow-env", 0, HPS_OPT_STRINGS, FIELD(allow_env), "NAME", "record this variable's value in clear (repeatable)", 0 },
	{ "dry-run", 0, HPS_OPT_FLAG, FIELD(dry_run), NULL, "run nothing: print what would be kept of the command and its environment, as JSON", 0 },
	{ "key-passphrase-fd", 0, HPS_OPT_U64, FIELD(passphrase_fd), "N", "read the passphrase of the ledger's keys from descriptor N", GIVEN(has_passphrase_fd) },
	{ "entropy", 0, HPS_OPT_STRING, FIELD(entropy), "MODE", "random numbers from a kept seed: 'record' (default), 'seed:N', or 'off'", 0 },
	{ "entropy-from", 0, HPS_OPT_STRING, FIELD(entropy_from), "FILE", "random numbers from the seed that another recording kept", 0 },
	{ "entropy-full", 0, HPS_OPT_FLAG, FIELD(entropy_full), NULL, "those of /dev/urandom, too, and fixed places in memory", 0 },
	{ "level", 0, HPS_OPT_U64, FIELD(level), "N", "what a rerun can be given: 1 files, 2 random numbers, too (default), 3 clocks, 4 the order of threads", GIVEN(has_level) },
	{ "portable", 0, HPS_OPT_FLAG, FIELD(portable), NULL, "choose instructions and threads that other machines have, too", 0 },
	{ "no-network", 0, HPS_OPT_FLAG, FIELD(no_network), NULL, "refuse the command every socket of a network", 0 },
	{ "wait", 0, HPS_OPT_FLAG, FIELD(wait), NULL, "wait for processes that outlive the command", 0 },
	{ "root", 0, HPS_OPT_STRING, FIELD(root), "DIR", "run with DIR as the root directory (for hps-replay)", 0 },
	{ "cwd", 0, HPS_OPT_STRING, FIELD(cwd), "DIR", "start in this directory (inside --root)", 0 },
	{ "replay-of", 0, HPS_OPT_STRING, FIELD(replay_of), "ID", "the trial that this one replays", 0 },
	{ "metrics-path", 0, HPS_OPT_STRING, FIELD(metrics_path), "FILE", "what HPS_METRICS names, exactly", 0 },
	{ "looks-from", 0, HPS_OPT_STRING, FIELD(looks_from), "FILE", "answer stat() as the replayed trial saw it (for hps-replay)", 0 },
	{ "listings-from", 0, HPS_OPT_STRING, FIELD(listings_from), "FILE", "give names of directories in the order in which the replayed trial met them (for hps-replay)", 0 },
	{ "layers-from", 0, HPS_OPT_STRING, FIELD(layers_from), "FILE", "which files of --root show the system's own (for hps-replay)", 0 },
	{ "clocks-from", 0, HPS_OPT_STRING, FIELD(clocks_from), "FILE", "clocks as another recording saw them (for hps-replay)", 0 },
	{ "shim", 0, HPS_OPT_STRING, FIELD(shim), "FILE", "the library that answers clocks (inside --root)", 0 },
	{ "pid", 0, HPS_OPT_U64, FIELD(pid), "N", "the command's process id (in a pid namespace of hps-replay)", 0 },
	{ "descriptor", 0, HPS_OPT_STRINGS, FIELD(descriptors), "N", "the command inherits /dev/null there (for hps-replay)", 0 },
	{ "environment-fd", 0, HPS_OPT_U64, FIELD(environment_fd), "N", "the command's environment is what descriptor N holds (for hps-replay)", GIVEN(has_environment_fd) },
	{ "lock-fd", 0, HPS_OPT_U64, FIELD(lock_fd), "N", "keep descriptor N open while recording; the command does not get it", GIVEN(has_lock_fd) },
};

static int preview(const struct hps_trial_options *o, char **argv, struct hps_error *err)
{
	_cleanup_json_ json_t *kept = NULL;
	int r = hps_trial_preview(o, argv, &kept, err);

	if (!r && (json_dumpf(kept, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) || putchar('\n') == EOF))
		r = hps_error_errno(err, "printing");
	return r;
}

static int run(void *o, int argc, char **argv, struct hps_error *err)
{
	const struct hps_trial_options *given = o;
	int r;

	(void)argc;
	if (given->dry_run)
		return preview(given, argv, err);
	r = hps_trial_run(o, argv, closed, &outcome, err);
	return r < 0 ? r : outcome.status;
}

/* ---- hps-record dataset ---- */

struct dataset_options {
	bool json, no_cache;
};
static const struct hps_option dataset_options[] = {
	{ "json", 0, HPS_OPT_FLAG, offsetof(struct dataset_options, json), NULL, "as a JSON object", 0 },
	{ "no-cache", 0, HPS_OPT_FLAG, offsetof(struct dataset_options, no_cache), NULL, "believe no digest of an earlier run, keep none", 0 },
};

static void print_dataset(const struct hps_dataset *d, const char *path)
{
	_cleanup_json_ json_t *digests = hps_dataset_digest_json(d);
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;
	const char *name;
	json_t *digest;

	json_object_foreach(digests, name, digest)
		printf("%-8s %s\n", name, json_string_value(digest));
	hps_term_escape(&safe, path, strlen(path));
	printf("%-8s %llu\n%-8s %llu\n%-8s %s\n", "files", (unsigned long long)d->n_files, "bytes", (unsigned long long)d->n_bytes, "path", safe.data);
}

static int print_dataset_json(const struct hps_dataset *d, const char *path, struct hps_error *err)
{
	_cleanup_json_ json_t *object = hps_dataset_size_json(d, path);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r;

	hps_json_set_text(object, "schema", "hps.dataset/1");
	hps_json_set(object, "digest", hps_dataset_digest_json(d));
	r = hps_json_canonical(object, &text, err);
	if (!r)
		puts(text.data);
	return r;
}

static int run_dataset(void *options_, int argc, char **argv, struct hps_error *err)
{
	const struct dataset_options *o = options_;
	_cleanup_free_ char *cache = o->no_cache ? NULL : hps_cache_dir(), *real = realpath(argv[0], NULL);
	struct hps_progress progress;
	const struct hps_dataset_options d = { .cache_dir = cache, .progress = &progress };
	struct hps_dataset dataset;
	int r;

	(void)argc;
	hps_progress_start(&progress, "hashed, MiB", 0);
	r = hps_dataset_digest(argv[0], &d, &dataset, err);
	hps_progress_end(&progress);
	if (r)
		return r;
	if (o->json)
		return print_dataset_json(&dataset, real ? real : argv[0], err);
	print_dataset(&dataset, real ? real : argv[0]);
	return 0;
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
	{
		.name = "dataset",
		.arguments = "[options] PATH",
		.summary = "print the digests of a file or tree, as --dataset records them",
		.options = dataset_options,
		.n_options = ARRAY_SIZE(dataset_options),
		.options_size = sizeof(struct dataset_options),
		.min_args = 1,
		.max_args = 1,
		.run = run_dataset,
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
	bool runs = argc < 2 || strcmp(argv[1], "dataset") != 0; /* what runs nothing has the statuses of the other programs */
	int status;

	note_closed();
	status = hps_main(&program, argc, argv);
	if (outcome.signal)
		die_by(outcome.signal);
	if (outcome.started || outcome.status)
		return outcome.status;
	return runs && status ? 125 : status;
}
