/* hps-replay emit-script ID. */
#include "replay/replay.h"

#include <unistd.h>

struct options {
	const char *ledger;
};

static int run(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = options;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger), *absolute = hps_path_absolute(dir), *store = hps_format("%s/objects", absolute);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_original original = { 0 };
	struct hps_plan plan = { 0 };
	int r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);

	(void)argc;
	r = r ? r : hps_original_load(l, argv[0], &original, err);
	r = r ? r : hps_plan_make(&original, &plan, err);
	if (!r)
		hps_recipe_write(&original, &plan, store, &text);
	if (!r && text.full)
		r = hps_error_set(err, HPS_E_LIMIT, "writing the script: it is too long");
	if (!r && hps_write_all(STDOUT_FILENO, text.data, text.len))
		r = hps_error_errno(err, "writing the script");
	hps_plan_release(&plan);
	hps_original_release(&original);
	return r;
}

static const struct hps_option options[] = {
	{ "ledger", 'l', HPS_OPT_STRING, offsetof(struct options, ledger), "DIR", "the ledger (default: HPS_LEDGER, else the state directory)", 0 },
};
const struct hps_command hps_command_recipe = { "emit-script", "[options] ID", "Print a plain shell script that fetches, runs and compares a trial without hps.",
						options,	ARRAY_SIZE(options), sizeof(struct options), 1, 1, run };
