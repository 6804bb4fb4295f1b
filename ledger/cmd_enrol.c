/* hps-ledger enrol: a key of one's own for somebody else's ledger. */
#include "ledger/cmd.h"

struct options {
	const char *ca;
	struct hps_strv kinds;
	int64_t passphrase_fd;
	bool passphrase_given;
};

static int run_enrol(void *arg, int argc, char **argv, struct hps_error *err)
{
	struct options *o = arg;
	_cleanup_json_ json_t *draft = NULL;
	char *passphrase = NULL;
	int r = hps_remote_is(argv[0]) ? 0 : hps_error_set(err, HPS_E_USAGE, "'%s' is not a URL (https://, http:// or unix:SOCKET:)", argv[0]);

	(void)argc;
	if (!r && o->passphrase_given)
		r = hps_passphrase_read((int)o->passphrase_fd, &passphrase, err);
	if (!r)
		r = hps_remote_enrol(argv[0], o->ca, &o->kinds, passphrase, &draft, err);
	hps_wipe_free(passphrase);
	hps_strv_release(&o->kinds);
	if (r)
		return r;
	hps_note("the owner of the ledger enrols this key with 'hps-ledger key apply'; then use --ledger %s", argv[0]);
	hps_print_json(draft);
	return 0;
}

static const struct hps_option options[] = {
	{ "ca", 0, HPS_OPT_STRING, offsetof(struct options, ca), "FILE", "certificates (PEM) for https instead of the system's", 0 },
	{ "kind", 'k', HPS_OPT_STRINGS, offsetof(struct options, kinds), "KIND", "what the key is to sign (repeatable; default: everything)", 0 },
	PASSPHRASE,
};

const struct hps_command hps_cmd_enrol = {
	"enrol", "[options] URL", "make a key for a ledger that is served elsewhere, and the draft that enrols it",
	options, ARRAY_SIZE(options), sizeof(struct options), 1, 1, run_enrol,
};
