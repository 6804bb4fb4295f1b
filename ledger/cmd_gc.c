/* hps-ledger gc: removes from the content store what no entry refers to. */
#include "ledger/cmd.h"

struct options {
	const char *ledger;
	uint64_t min_age;
	bool min_age_given, dry_run, json;
};

#define MIN_AGE_S 86400

static int run_gc(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_json_ json_t *j = json_object();
	struct hps_sweep_result result = { 0 };
	uint64_t age = o->min_age_given ? o->min_age : MIN_AGE_S;
	int r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);

	(void)argc;
	(void)argv;
	if (!r && age > INT64_MAX / 1000000000)
		r = hps_error_set(err, HPS_E_USAGE, "--min-age: too large");
	if (!r)
		r = hps_ledger_collect(l, (int64_t)age * 1000000000, o->dry_run, &result, err);
	if (r)
		return r;
	hps_json_set_text(j, "schema", "hps.collected/1");
	hps_json_set_int(j, "objects", (int64_t)result.n_seen);
	hps_json_set_int(j, "removed", (int64_t)result.n_removed);
	hps_json_set_int(j, "bytes", (int64_t)result.bytes_removed);
	if (o->json)
		hps_print_json(j);
	else
		hps_print_line("%s %llu of %llu objects, %llu bytes", o->dry_run ? "would remove" : "removed", (unsigned long long)result.n_removed,
			       (unsigned long long)result.n_seen, (unsigned long long)result.bytes_removed);
	return 0;
}

static const struct hps_option options[] = {
	LEDGER,
	{ "min-age", 0, HPS_OPT_U64, offsetof(struct options, min_age), "SECONDS", "keep what was stored or used since then (default: a day)", offsetof(struct options, min_age_given) + 1 },
	{ "dry-run", 'n', HPS_OPT_FLAG, offsetof(struct options, dry_run), NULL, "say what would be removed", 0 },
	JSON,
};

const struct hps_command hps_cmd_gc = {
	"gc", "[options]", "remove from the content store what no entry refers to",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, 0, run_gc,
};
