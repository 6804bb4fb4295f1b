/* hps-ledger withdraw: takes the body of an entry away, and says so in the ledger. */
#include "ledger/cmd.h"

struct options {
	const char *ledger, *reason;
	int64_t passphrase_fd;
	bool passphrase_given;
};

static int run_withdraw(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_(hps_entry_release) struct hps_entry e = { .number = -1 };
	char *passphrase = NULL;
	int r = o->passphrase_given ? hps_passphrase_read((int)o->passphrase_fd, &passphrase, err) : 0;

	(void)argc;
	if (!r && (!o->reason || !*o->reason))
		r = hps_error_set(err, HPS_E_USAGE, "withdrawing needs a --reason: it stands in the ledger for good");
	if (!r)
		r = hps_ledger_open(dir, HPS_LEDGER_APPEND, passphrase, &l, err);
	hps_wipe_free(passphrase);
	if (!r)
		r = hps_ledger_withdraw(l, argv[0], o->reason, &e, err);
	if (!r)
		hps_print_line("withdrew @%llu %s; copies elsewhere are not touched, and 'hps-ledger gc' removes contents that it alone named", (unsigned long long)e.index, e.id);
	return r;
}

static const struct hps_option options[] = {
	LEDGER,
	{ "reason", 0, HPS_OPT_STRING, offsetof(struct options, reason), "TEXT", "why, for whoever reads the ledger later", 0 },
	PASSPHRASE,
};

const struct hps_command hps_cmd_withdraw = {
	"withdraw", "[options] ID", "take the body of an entry away; its place in the tree stays proven",
	options, ARRAY_SIZE(options), sizeof(struct options), 1, 1, run_withdraw,
};
