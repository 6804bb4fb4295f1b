/* hps-ledger init: makes a ledger. */
#include "ledger/cmd.h"

#include <string.h>

struct options {
	const char *ledger, *origin;
	int64_t passphrase_fd;
	bool passphrase_given, unsafe_filesystem;
};

static int run_init(void *arg, int argc, char **argv, struct hps_error *err)
{
	struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(argc ? argv[0] : o->ledger);
	struct hps_ledger_init init = { .origin = o->origin, .unsafe_filesystem = o->unsafe_filesystem };
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	char *passphrase = NULL;
	int r = argc && !*argv[0] ? hps_error_set(err, HPS_E_USAGE, "init: the name of the ledger's folder is empty") : 0;

	if (!r)
		r = o->passphrase_given ? hps_passphrase_read((int)o->passphrase_fd, &passphrase, err) : 0;

	if (r)
		return r;
	init.passphrase = passphrase;
	r = hps_ledger_create(dir, &init, err);
	hps_wipe_free(passphrase);
	if (!r)
		r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);
	if (r)
		return r;
	if (!o->passphrase_given)
		hps_note("the keys in '%s/keys' are not encrypted: whoever reads them can sign; --key-passphrase-fd encrypts them", dir);
	hps_print_line("made the ledger '%s' (origin '%s')", dir, hps_ledger_origin(l));
	hps_print_line("give '%s/trust.json' to whoever is to verify it", dir);
	return 0;
}

static const struct hps_option options[] = {
	LEDGER,
	{ "origin", 0, HPS_OPT_STRING, offsetof(struct options, origin), "NAME", "the ledger's name in its checkpoints (default: localhost/USER/DIR)", 0 },
	{ "unsafe-filesystem", 0, HPS_OPT_FLAG, offsetof(struct options, unsafe_filesystem), NULL, "also on a network file system; the ledger's first entry says so", 0 },
	PASSPHRASE,
};

const struct hps_command hps_cmd_init = {
	"init", "[options] [DIR]", "make a ledger with its keys",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, 1, run_init,
};
