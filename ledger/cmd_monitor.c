/* hps-ledger monitor: one look at somebody's ledger, compared with the last one. */
#include "ledger/cmd.h"

#include <fcntl.h>
#include <unistd.h>

struct options {
	const char *trust, *state, *evidence, *ca;
	uint64_t max_age;
};

static int run_monitor(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_(hps_trust_release) struct hps_trust trust = { 0 };
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	struct hps_monitor m = { .source = argv[0], .ca_file = o->ca, .state = o->state, .evidence = o->evidence, .max_age = o->max_age };
	bool known = o->state && access(o->state, F_OK) == 0;
	int r = o->trust ? hps_trust_read(AT_FDCWD, o->trust, &trust, err) : hps_error_set(err, HPS_E_USAGE, "monitor needs --trust FILE: the keys to compare with");

	(void)argc;
	if (!r)
		r = hps_monitor(&m, &trust, &c, err);
	if (!r)
		hps_print_line("%s: %llu entries, %s", c.origin, (unsigned long long)c.size,
			       known ? "a continuation of what was seen before" : o->state ? "seen for the first time" : "compared with nothing seen before; --state FILE remembers it");
	return r;
}

static const struct hps_option options[] = {
	{ "trust", 0, HPS_OPT_STRING, offsetof(struct options, trust), "FILE", "the keys and the policy", 0 },
	{ "state", 0, HPS_OPT_STRING, offsetof(struct options, state), "FILE", "the last checkpoint seen; replaced when the new one is good", 0 },
	{ "evidence", 0, HPS_OPT_STRING, offsetof(struct options, evidence), "FOLDER", "where evidence of misbehaviour is written", 0 },
	{ "max-age", 0, HPS_OPT_U64, offsetof(struct options, max_age), "SECONDS", "witnesses must have seen the checkpoint within that time", 0 },
	{ "ca", 0, HPS_OPT_STRING, offsetof(struct options, ca), "FILE", "certificates (PEM) for https instead of the system's", 0 },
};

const struct hps_command hps_cmd_monitor = {
	"monitor", "[options] DIR|URL", "look at somebody's ledger: does it continue what was seen before?",
	options, ARRAY_SIZE(options), sizeof(struct options), 1, 1, run_monitor,
};
