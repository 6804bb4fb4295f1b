/* hps-replay emit-script ID|BUNDLE. */
#include "replay/replay.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
	const char *ledger;
	struct hps_unpack_options unpack;
};
struct origin { /* what the trial is read from, and what the script is to fetch from */
	struct hps_ledger *l;
	struct hps_temporary temporary;
	char *store, *bundle;
};

/* A folder is a store as it stands; of a file the script unpacks what it needs. */
static int load_bundle(const struct options *o, const char *path, struct origin *from, struct hps_original *ret, struct hps_error *err)
{
	_cleanup_free_ char *dir = NULL;
	struct stat s;
	int r = hps_bundle_open(path, &o->unpack, &dir, &from->temporary, err);

	r = r ? r : hps_original_unpacked(dir, o->unpack.trust, ret, err);
	if (r)
		return r;
	if (!stat(path, &s) && S_ISDIR(s.st_mode))
		from->store = hps_format("%s/objects", dir);
	else
		from->bundle = hps_path_absolute(path);
	return 0;
}

static int load(const struct options *o, const char *word, struct origin *from, struct hps_original *ret, struct hps_error *err)
{
	_cleanup_free_ char *dir = NULL, *absolute = NULL;
	int r;

	if (hps_is_bundle(word))
		return load_bundle(o, word, from, ret, err);
	dir = hps_ledger_path(o->ledger);
	absolute = hps_path_absolute(dir);
	from->store = hps_format("%s/objects", absolute);
	r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &from->l, err);
	return r ? r : hps_original_load(from->l, word, ret, err);
}

static void origin_release(struct origin *from)
{
	hps_cleanup_ledger(&from->l);
	hps_temporary_remove(&from->temporary);
	hps_cleanup_free(&from->store);
	hps_cleanup_free(&from->bundle);
}

static int run(void *options, int argc, char **argv, struct hps_error *err)
{
	_cleanup_(origin_release) struct origin from = { .temporary = HPS_TEMPORARY_INIT };
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_original original = { 0 };
	struct hps_plan plan = { 0 };
	int r = load(options, argv[0], &from, &original, err);

	(void)argc;
	if (!r)
		hps_withheld_supply(NULL, &original);
	r = r ? r : hps_plan_make(&original, &plan, err);
	if (!r)
		hps_recipe_write(&original, &plan, from.store, from.bundle, &text);
	if (!r && text.full)
		r = hps_error_set(err, HPS_E_LIMIT, "writing the script: it is too long");
	if (!r && hps_write_all(STDOUT_FILENO, text.data, text.len))
		r = hps_error_errno(err, "writing the script");
	hps_plan_release(&plan);
	hps_original_release(&original);
	return r;
}

#define FIELD(f) offsetof(struct options, f)
static const struct hps_option options[] = {
	{ "ledger", 'l', HPS_OPT_STRING, FIELD(ledger), "DIR", "the ledger (default: HPS_LEDGER, else the state directory)", 0 },
	{ "trust", 0, HPS_OPT_STRING, FIELD(unpack.trust), "FILE", "of a bundle: trust the keys in FILE instead of those that came with it", 0 },
	{ "max-bytes", 0, HPS_OPT_U64, FIELD(unpack.max_bytes), "N", "of a bundle: unpack at most N bytes (default: 16 GiB)", 0 },
};
const struct hps_command hps_command_recipe = { "emit-script", "[options] ID|BUNDLE", "Print a plain shell script that fetches, runs and compares a trial without hps.",
						options,	ARRAY_SIZE(options), sizeof(struct options), 1, 1, run };
