/* hps-replay pack, unpack; and a bundle where else an id stands. */
#include "replay/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BYTES_MAX ((uint64_t)16 << 30)

bool hps_is_bundle(const char *word)
{
	size_t len = strlen(word);

	return strchr(word, '/') || (len > 4 && !strcmp(word + len - 4, ".hps"));
}

static struct hps_unpack_options with_default(const struct hps_unpack_options *o)
{
	return (struct hps_unpack_options){ o->trust, o->max_bytes ? o->max_bytes : BYTES_MAX };
}

int hps_bundle_open(const char *path, const struct hps_unpack_options *options, char **ret_dir, struct hps_temporary *ret, struct hps_error *err)
{
	const struct hps_unpack_options full = with_default(options);
	struct stat s;
	int r;

	if (stat(path, &s))
		return hps_error_errno(err, "opening the bundle '%s'", path);
	if (S_ISDIR(s.st_mode)) {
		*ret_dir = hps_path_absolute(path);
		return 0;
	}
	r = hps_temporary_make(NULL, "hps-replay.bundle", ret, err);
	if (r)
		return r;
	*ret_dir = hps_format("%s/bundle", ret->path);
	return hps_bundle_unpack(path, *ret_dir, &full, err);
}

/* ---- pack ---- */

struct pack_options {
	const char *ledger;
	struct hps_chain_options chain;
	bool seed, partial;
};

static int pack(const struct pack_options *o, struct hps_ledger *l, const struct hps_original *original, struct hps_chain *chain, const struct hps_plan *plan,
		const char *file, struct hps_error *err)
{
	const struct hps_pack_options options = { o->seed, o->partial };
	struct hps_packed packed = { 0 };
	struct hps_sources sources;
	int r;

	hps_sources_open(&sources, (const char *const *)chain->stores.v, chain->stores.n);
	r = hps_bundle_pack(l, original, plan, &sources, &options, file, &packed, err);
	hps_sources_release(&sources);
	for (size_t i = 0; i < packed.missing.n && !r; i++)
		hps_note("left out: '%s': %s", packed.missing.v[i].what, packed.missing.v[i].why);
	if (!r && original->seed && !o->seed)
		hps_note("without the seed of its random numbers (--with-seed): whoever draws them will draw others");
	if (!r)
		printf("packed trial %.12s into '%s': %zu files, %.1f MB before compression\n", original->trial.id, file, packed.n_files, (double)packed.bytes / 1e6);
	hps_holes_release(&packed.missing);
	return r;
}

static int run_pack(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct pack_options *o = options;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	struct hps_original original = { 0 };
	struct hps_plan plan = { 0 };
	struct hps_chain chain = { 0 };
	int r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);

	(void)argc;
	r = r ? r : hps_original_load(l, argv[0], &original, err);
	r = r ? r : hps_plan_make(&original, &plan, err);
	r = r ? r : hps_chain_open(&chain, l, &o->chain, &plan, err);
	r = r ? r : pack(o, l, &original, &chain, &plan, argv[1], err);
	hps_chain_release(&chain);
	hps_plan_release(&plan);
	hps_original_release(&original);
	return r;
}

#define FIELD(f) offsetof(struct pack_options, f)
static const struct hps_option pack_rows[] = {
	{ "ledger", 'l', HPS_OPT_STRING, FIELD(ledger), "DIR", "the ledger (default: HPS_LEDGER, else the state directory)", 0 },
	{ "store", 0, HPS_OPT_STRINGS, FIELD(chain.stores), "DIR", "another ledger or content store that may have contents (repeatable)", 0 },
	{ "with-seed", 0, HPS_OPT_FLAG, FIELD(seed), NULL, "the seed of its random numbers, too: whoever has it knows what it drew", 0 },
	{ "partial", 0, HPS_OPT_FLAG, FIELD(partial), NULL, "leave out contents that cannot be had", 0 },
};
const struct hps_command hps_command_pack = { "pack", "[options] ID FILE.hps", "Write one file from which a trial can be verified and replayed elsewhere.",
					      pack_rows, ARRAY_SIZE(pack_rows), sizeof(struct pack_options), 2, 2, run_pack };

/* ---- unpack ---- */

static int run_unpack(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct hps_unpack_options full = with_default(options);
	int r = hps_bundle_unpack(argv[0], argv[1], &full, err);

	(void)argc;
	if (!r && !full.trust)
		hps_note("the keys are those that came with it; --trust gives others");
	if (!r)
		printf("unpacked into '%s': signatures, hashes and limits hold\n", argv[1]);
	return r;
}

static const struct hps_option unpack_rows[] = {
	{ "trust", 0, HPS_OPT_STRING, offsetof(struct hps_unpack_options, trust), "FILE", "trust the keys in FILE instead of those that came with it", 0 },
	{ "max-bytes", 0, HPS_OPT_U64, offsetof(struct hps_unpack_options, max_bytes), "N", "unpack at most N bytes (default: 16 GiB)", 0 },
};
const struct hps_command hps_command_unpack = { "unpack", "[options] FILE.hps FOLDER", "Make a folder of a bundle, if everything in it holds.",
						unpack_rows, ARRAY_SIZE(unpack_rows), sizeof(struct hps_unpack_options), 2, 2, run_unpack };
