/* Private header of the program hps-ledger: one command a file (cmd_<name>.c), one table in main.c. Library code (everything else in
 * this folder) does not include it.
 *
 * A command's file has its options struct, its option table, run() and, at the end, `const struct hps_command hps_cmd_<name>`. */
#ifndef HPS_LEDGER_CMD_H
#define HPS_LEDGER_CMD_H

#include "ledger/ledger.h"

extern const struct hps_command hps_cmd_append, hps_cmd_attest, hps_cmd_check, hps_cmd_enrol, hps_cmd_fsck, hps_cmd_gc, hps_cmd_init, hps_cmd_key, hps_cmd_list, hps_cmd_monitor,
	hps_cmd_prove, hps_cmd_publish, hps_cmd_push, hps_cmd_serve, hps_cmd_show, hps_cmd_verify, hps_cmd_withdraw, hps_cmd_witness;

/* Rows that many commands have, for a `struct options` with the members ledger, json, passphrase_fd and passphrase_given. */
#define LEDGER { "ledger", 0, HPS_OPT_STRING, offsetof(struct options, ledger), "DIR", "the ledger (default: $HPS_LEDGER, else the user's own)", 0 }
#define JSON { "json", 0, HPS_OPT_FLAG, offsetof(struct options, json), NULL, "one JSON object instead of text", 0 }
#define PASSPHRASE                                                                                                          \
	{                                                                                                                   \
		"key-passphrase-fd", 0, HPS_OPT_I64, offsetof(struct options, passphrase_fd), "N", "read the keys' passphrase from descriptor N", \
			offsetof(struct options, passphrase_given) + 1                                                      \
	}

/* For those that serve: members listen, certificate and key. */
#define LISTEN                                                                                                                         \
	{ "listen", 0, HPS_OPT_STRING, offsetof(struct options, listen), "ADDRESS", "unix:PATH or IP:PORT; without a certificate only 127.x", 0 }, \
		{ "certificate", 0, HPS_OPT_STRING, offsetof(struct options, certificate), "FILE", "serve https with this certificate (PEM)", 0 }, \
		{ "certificate-key", 0, HPS_OPT_STRING, offsetof(struct options, key), "FILE", "and this private key (PEM)", 0 }

/* ---- cmd_complete.c ---- */

int hps_prove_study(const char *dir, const char *study, const char *trust, bool json, struct hps_error *err) HPS_MUST; /* the exit status */

/* ---- cmd_verify.c ---- */

void hps_print_progress(void *progress, uint64_t done, uint64_t total);
void hps_print_verification(const char *dir, const struct hps_verification *v, bool json);
int hps_verification_status(const struct hps_verification *v); /* of the program: damage comes before what could not be read, and that before what witnesses say */

/* ---- cmd_until.c ---- */

/* Serves until SIGTERM, SIGINT or SIGHUP; prints "serving URL" when it is ready. */
int hps_serve_until_signal(const struct hps_serve_options *options, struct hps_error *err) HPS_MUST;

/* ---- cmd_print.c ---- */

void hps_print_json(const json_t *j); /* canonical, on stdout */
/* Text that may come from a trial, made safe for a terminal. */
void hps_print_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

const char *hps_entry_text(const struct hps_entry *e, const char *name); /* of its predicate */
const json_t *hps_entry_at(const struct hps_entry *e, const char *name);
const char *hps_entry_time(const struct hps_entry *e);
json_t *hps_entry_json(const struct hps_entry *e);
char *hps_entry_summary(const struct hps_entry *e); /* what it says, in a few words, by its kind */
void hps_add_members(struct hps_buf *out, const json_t *object); /* name=value of each, for parameters and metrics */
void hps_add_words(struct hps_buf *out, const json_t *array);
void hps_add_exit(struct hps_buf *out, const struct hps_entry *e);

#endif
