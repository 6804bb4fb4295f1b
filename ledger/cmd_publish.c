/* hps-ledger publish: copies what verifies the ledger to where others read it. */
#include "ledger/cmd.h"

struct options {
	const char *ledger, *endpoint, *region, *credentials, *ca;
	bool all, json;
};

static int run_publish(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	struct hps_publish publish = { .target = argv[0], .endpoint = o->endpoint, .region = o->region, .credentials = o->credentials, .ca_file = o->ca, .all = o->all };
	_cleanup_json_ json_t *j = json_object();
	uint64_t size = 0, files = 0;
	int r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);

	(void)argc;
	if (!r)
		r = hps_publish(l, &publish, &size, &files, err);
	if (r)
		return r;
	if (!o->json) {
		hps_print_line("%s: %llu entries, %llu files written", argv[0], (unsigned long long)size, (unsigned long long)files);
		return 0;
	}
	hps_json_set_text(j, "schema", "hps.published/1");
	hps_json_set_int(j, "size", (int64_t)size);
	hps_json_set_int(j, "files", (int64_t)files);
	hps_print_json(j);
	return 0;
}

static const struct hps_option options[] = {
	LEDGER,
	{ "endpoint", 0, HPS_OPT_STRING, offsetof(struct options, endpoint), "URL", "the S3-compatible server (default: Amazon's, of --region)", 0 },
	{ "region", 0, HPS_OPT_STRING, offsetof(struct options, region), "NAME", "its region", 0 },
	{ "credentials", 0, HPS_OPT_STRING, offsetof(struct options, credentials), "FILE", "one line ID:SECRET", 0 },
	{ "ca", 0, HPS_OPT_STRING, offsetof(struct options, ca), "FILE", "certificates (PEM) for https instead of the system's", 0 },
	{ "all", 0, HPS_OPT_FLAG, offsetof(struct options, all), NULL, "also what an earlier run has written there", 0 },
	JSON,
};

const struct hps_command hps_cmd_publish = {
	"publish", "[options] DIR|s3://BUCKET/PREFIX", "copy what verifies the ledger to where others read it",
	options, ARRAY_SIZE(options), sizeof(struct options), 1, 1, run_publish,
};
