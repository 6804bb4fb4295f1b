/* hps-ledger witness: makes a witness, tells it of logs, serves it. */
#include "ledger/cmd.h"

#include <fcntl.h>

struct options {
	const char *name, *handover, *listen, *certificate, *key;
	struct hps_strv logs;
	int64_t passphrase_fd;
	bool passphrase_given;
};

static int serve(const struct options *o, struct hps_witness *w, struct hps_error *err)
{
	struct hps_serve_options serve = { .listen = o->listen, .certificate = o->certificate, .key = o->key, .handle = hps_witness_handle, .arg = w };

	return hps_serve_until_signal(&serve, err);
}

static int follow(const char *dir, const char *path, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	int r = hps_file_read(AT_FDCWD, path, HPS_NOTE_MAX, &note, err);

	return r ? r : hps_witness_follow(dir, note.data ? note.data : "", note.len, err);
}

static int run_witness(void *arg, int argc, char **argv, struct hps_error *err)
{
	struct options *o = arg;
	struct hps_witness *w = NULL;
	_cleanup_free_ char *vkey = NULL;
	char *passphrase = NULL;
	int r = o->passphrase_given ? hps_passphrase_read((int)o->passphrase_fd, &passphrase, err) : 0;

	(void)argc;
	if (!r && o->name)
		r = hps_witness_create(argv[0], o->name, passphrase, err);
	for (size_t i = 0; !r && i < o->logs.n; i++)
		r = hps_witness_add_log(argv[0], o->logs.v[i], err);
	if (!r && o->handover)
		r = follow(argv[0], o->handover, err);
	if (!r)
		r = hps_witness_open(argv[0], passphrase, &w, err);
	hps_wipe_free(passphrase);
	if (!r) {
		vkey = hps_witness_vkey(w);
		hps_print_line("witness %s", vkey);
	}
	if (!r && o->listen)
		r = serve(o, w, err);
	hps_witness_free(w);
	hps_strv_release(&o->logs);
	return r;
}

static const struct hps_option options[] = {
	{ "name", 0, HPS_OPT_STRING, offsetof(struct options, name), "NAME", "make the witness, with this name and a new key", 0 },
	{ "log", 0, HPS_OPT_STRINGS, offsetof(struct options, logs), "VKEY", "cosign for this log: 'log' of its trust.json (repeatable)", 0 },
	{ "handover", 0, HPS_OPT_STRING, offsetof(struct options, handover), "FILE", "a log that it knows has a new key: tiles/" HPS_HANDOVER_DIR "/N of that log", 0 },
	PASSPHRASE,
	LISTEN,
};

const struct hps_command hps_cmd_witness = {
	"witness", "[options] DIR", "a witness of other ledgers: cosigns what continues what it has seen",
	options, ARRAY_SIZE(options), sizeof(struct options), 1, 1, run_witness,
};
