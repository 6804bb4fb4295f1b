/* hps-ledger attest: has witnesses cosign the newest checkpoint, and authorities stamp it. */
#include "ledger/cmd.h"

struct options {
	const char *ledger, *ca, *evidence;
	struct hps_strv times;
	uint64_t timeout;
	bool json;
};

static void print(const struct options *o, const struct hps_attestation *a)
{
	_cleanup_json_ json_t *j = json_object();

	for (size_t i = 0; i < a->failures.n; i++)
		hps_note("%s", a->failures.v[i]);
	if (!o->json) {
		hps_print_line("%llu entries: %zu of %zu witnesses have cosigned, %s%s", (unsigned long long)a->size, a->n_cosigned, a->n_witnesses,
			       a->quorum ? "the policy holds" : "which is no quorum", a->stamped ? "; stamped" : "");
		return;
	}
	hps_json_set_text(j, "schema", "hps.attestation/1");
	hps_json_set_int(j, "size", (int64_t)a->size);
	hps_json_set_int(j, "witnesses", (int64_t)a->n_witnesses);
	hps_json_set_int(j, "cosigned", (int64_t)a->n_cosigned);
	hps_json_set(j, "quorum", json_boolean(a->quorum));
	hps_json_set(j, "stamped", json_boolean(a->stamped));
	hps_print_json(j);
}

/* Without a quorum: 4 where the trust file says that it is needed, 0 where it may come later. */
static int run_attest(void *arg, int argc, char **argv, struct hps_error *err)
{
	struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_(hps_attestation_release) struct hps_attestation a = { 0 };
	struct hps_attest_options attest = { .timeout_ns = (int64_t)o->timeout * 1000000, .ca_file = o->ca, .time_urls = (const char *const *)o->times.v, .evidence = o->evidence };
	int r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);

	(void)argc;
	(void)argv;
	if (!r)
		r = hps_attest(l, &attest, &a, err);
	if (!r)
		print(o, &a);
	if (!r && !a.quorum && l->trust.closed)
		r = 4;
	hps_strv_release(&o->times);
	return r;
}

static const struct hps_option options[] = {
	LEDGER,
	{ "timestamp", 0, HPS_OPT_STRINGS, offsetof(struct options, times), "URL", "also ask this RFC 3161 authority (repeatable: the first that answers)", 0 },
	{ "timeout", 0, HPS_OPT_U64, offsetof(struct options, timeout), "MS", "for each witness (default: 10000)", 0 },
	{ "ca", 0, HPS_OPT_STRING, offsetof(struct options, ca), "FILE", "certificates (PEM) for https instead of the system's", 0 },
	{ "evidence", 0, HPS_OPT_STRING, offsetof(struct options, evidence), "FOLDER", "where evidence of misbehaviour is written", 0 },
	JSON,
};

const struct hps_command hps_cmd_attest = {
	"attest", "[options]", "have witnesses cosign the newest checkpoint, and authorities stamp it",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, 0, run_attest,
};
