/* hps-ledger fsck: whether the ledger's files agree with one another; makes the database again. */
#include "ledger/cmd.h"

struct options {
	const char *ledger;
	bool full, rebuild, json;
};

static int rebuild(const char *dir, bool quiet, struct hps_error *err)
{
	uint64_t size = 0;
	int r = hps_ledger_rebuild(dir, &size, err);

	if (!r && !quiet)
		hps_print_line("made ledger.db again from %llu published entries; the old one, if there was one, is ledger.db.damaged", (unsigned long long)size);
	return r;
}

static int run_fsck(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_verification_release) struct hps_verification v = { 0 };
	struct hps_progress progress;
	const struct hps_verify_options options = { .skip_bodies = !o->full, .skip_objects = !o->full, .progress = hps_print_progress, .progress_arg = &progress };
	int r = o->rebuild ? rebuild(dir, o->json, err) : 0;

	(void)argc;
	(void)argv;
	if (r)
		return r;
	hps_progress_start(&progress, "checking", 0);
	r = hps_ledger_fsck(dir, &options, &v, err);
	hps_progress_end(&progress);
	if (r)
		return r;
	hps_print_verification(dir, &v, o->json);
	return hps_verification_status(&v);
}

static const struct hps_option options[] = {
	LEDGER,
	{ "full", 0, HPS_OPT_FLAG, offsetof(struct options, full), NULL, "also every statement, signature, row and content", 0 },
	{ "rebuild", 0, HPS_OPT_FLAG, offsetof(struct options, rebuild), NULL, "first make ledger.db again from tiles/; nobody else may have the ledger open", 0 },
	JSON,
};

const struct hps_command hps_cmd_fsck = {
	"fsck", "[options]", "check whether the ledger's files agree; make its database again",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, 0, run_fsck,
};
