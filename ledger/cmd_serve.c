/* hps-ledger serve: a ledger for several, over HTTP. */
#include "ledger/cmd.h"

struct options {
	const char *ledger, *listen, *certificate, *key;
	int64_t passphrase_fd;
	bool passphrase_given, shared;
};

static int run_serve(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	struct hps_serve_options serve = { .listen = o->listen, .certificate = o->certificate, .key = o->key, .handle = hps_service_handle,
					   .max_body = HPS_OBJECT_UPLOAD_MAX, .socket_mode = o->shared ? 0666 : 0600 };
	char *passphrase = NULL;
	int r = o->listen ? 0 : hps_error_set(err, HPS_E_USAGE, "serving needs --listen ADDRESS");

	(void)argc;
	(void)argv;
	if (!r && o->passphrase_given)
		r = hps_passphrase_read((int)o->passphrase_fd, &passphrase, err);
	if (!r)
		r = hps_ledger_open(dir, HPS_LEDGER_APPEND, passphrase, &l, err);
	if (!r) {
		serve.arg = hps_service_new(l, passphrase);
		r = hps_serve_until_signal(&serve, err);
		hps_service_free(serve.arg);
	}
	hps_wipe_free(passphrase);
	return r;
}

static const struct hps_option options[] = {
	LEDGER,
	LISTEN,
	{ "shared", 0, HPS_OPT_FLAG, offsetof(struct options, shared), NULL, "a unix socket that every user of this machine may use", 0 },
	PASSPHRASE,
};

const struct hps_command hps_cmd_serve = {
	"serve", "[options]", "serve a ledger to others: read by all, appended to by enrolled keys",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, 0, run_serve,
};
