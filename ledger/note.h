/* What a log and its witnesses sign: notes, checkpoints, and which of them are good enough. */
#ifndef HPS_LEDGER_NOTE_H
#define HPS_LEDGER_NOTE_H

#include "ledger/tree.h"

/* ---- note.c: signed notes and verifier keys (C2SP signed-note, tlog-cosignature v1) ------------------------------------- */

#define HPS_NOTE_MAX ((size_t)1 << 20)
#define HPS_NOTE_SIGNATURES_MAX 100

enum { HPS_NOTE_ED25519 = 0x01, HPS_NOTE_COSIGNATURE = 0x04 };

/* name+hex8(id)+base64(algorithm || public key). Of the algorithms those above are verified; others are not accepted as a
 * key, and their lines in a note are ignored as unknown. */
struct hps_vkey {
	char *name;
	uint8_t id[4];
	uint8_t algorithm;
	struct hps_key *key;
	/* Of a log whose key was replaced: the one before, up to and including the tree of so many entries (handover.c). Or NULL. */
#define HPS_HANDOVERS_MAX 100
	struct hps_vkey *former;
	uint64_t former_until;
	struct hps_digest former_root;
	char *handover; /* the note that says so */
};
void hps_vkey_release(struct hps_vkey *v);
int hps_vkey_parse(const char *text, struct hps_vkey *ret, struct hps_error *err) HPS_MUST;
char *hps_vkey_format(const char *name, const struct hps_key *key); /* Ed25519 */
char *hps_vkey_format_cosigner(const char *name, const struct hps_key *key); /* of a witness: type 4 */
bool hps_note_name_ok(const char *name); /* not empty, no white space, no '+' */

/* `text` ends in a line feed; out receives the whole note. */
int hps_note_sign(const char *text, const char *name, const struct hps_key *key, struct hps_buf *out, struct hps_error *err) HPS_MUST;
/* 0 when at least one known key signed and no known key's signature is wrong; *ret_text_len is the length of the text with its
 * last line feed. HPS_E_FORMAT, HPS_E_SIGNATURE. */
int hps_note_open(const char *note, size_t len, const struct hps_vkey *known, size_t n_known, size_t *ret_text_len,
		  struct hps_error *err) HPS_MUST;

/* The same; ret_times[i] is 0 when known[i] has not signed, the time of its cosignature (the latest, in POSIX seconds), or 1 for a
 * plain signature. */
int hps_note_signers(const char *note, size_t len, const struct hps_vkey *known, size_t n_known, uint64_t *ret_times /* n_known */,
		     size_t *ret_text_len, struct hps_error *err) HPS_MUST;
/* The bytes of v's signature line (without key id), or HPS_E_NOTFOUND. The note has been opened before. */
int hps_note_signature(const char *note, size_t len, const struct hps_vkey *v, struct hps_buf *out, struct hps_error *err) HPS_MUST;
/* Appends a signature line of v to a note that has its text and an empty line. */
void hps_note_add(struct hps_buf *note, const struct hps_vkey *v, const struct hps_buf *sig);
/* SHA-256 of name, algorithm and key, of which a key's id is the beginning; Sigstore names logs by the whole. */
void hps_note_key_hash(const char *name, uint8_t algorithm, const struct hps_key *key, struct hps_digest *ret);
/* A witness's signature line over the text of a checkpoint, appended to out (a note, or alone). */
int hps_note_cosign(const char *text, size_t text_len, const char *name, const struct hps_key *key, uint64_t time, struct hps_buf *out,
		    struct hps_error *err) HPS_MUST;

/* ---- checkpoint.c: the signed head of the tree (C2SP tlog-checkpoint) ----------------------------------------------------- */

#define HPS_LEDGER_SIZE_MAX ((uint64_t)1 << 48) /* an absurd size is refused before anything is allocated for it */

struct hps_checkpoint {
	char *origin;
	uint64_t size;
	struct hps_digest root;
};
void hps_checkpoint_release(struct hps_checkpoint *c);
/* Text without extension lines; those of others are refused. */
int hps_checkpoint_parse(const char *text, size_t len, struct hps_checkpoint *ret, struct hps_error *err) HPS_MUST;
int hps_checkpoint_sign(const struct hps_checkpoint *c, const struct hps_key *key, struct hps_buf *out, struct hps_error *err) HPS_MUST;
/* Signature by `log`, whose name is the origin, or by a former key of it over a tree that was its to sign. */
int hps_checkpoint_open(const char *note, size_t len, const struct hps_vkey *log, struct hps_checkpoint *ret, struct hps_error *err) HPS_MUST;
/* The same for any tree that a former key has signed; *ret_beyond: it was not that key's to sign any more. Only evidence may be read so. */
int hps_checkpoint_open_any(const char *note, size_t len, const struct hps_vkey *log, struct hps_checkpoint *ret, bool *ret_beyond, struct hps_error *err) HPS_MUST;

/* ---- policy.c: which checkpoints are good enough (C2SP tlog-policy) ---------------------------------------------------------- */

#define HPS_POLICY_MAX ((size_t)1 << 20)
#define HPS_POLICY_KEYS_MAX 256 /* logs and witnesses; and as many groups */

struct hps_policy {
	struct hps_vkey *keys; /* of logs and witnesses, as they came */
	char **urls;	       /* one each, or NULL */
	bool *is_log;
	size_t n_keys, n_logs;
	struct hps_policy_name { /* witnesses and groups */
		char *name;
		size_t key;	/* of a witness */
		unsigned k;	/* of a group: how many of its members; 0: a witness */
		size_t *members, n_members;
		bool used;
	} *names;
	size_t n_names;
	bool has_quorum, no_quorum; /* a policy that was read has one, or says "none" */
	size_t quorum;		    /* in names */
};
void hps_policy_release(struct hps_policy *p);
int hps_policy_read(const char *text, size_t len, struct hps_policy *ret, struct hps_error *err) HPS_MUST;
/* Whether the witnesses with a time of at least `since` (POSIX seconds) make up the quorum; times as hps_note_signers() gives them. */
bool hps_policy_quorum(const struct hps_policy *p, const uint64_t *times, uint64_t since);
/* A checkpoint of one of the logs, signed by it and cosigned by the quorum: 0, HPS_E_FORMAT or HPS_E_SIGNATURE. With max_age (seconds;
 * 0: any age) the quorum must have seen it no longer ago than that before `now`, else HPS_E_FALSE: it may be kept back. */
int hps_policy_check(const struct hps_policy *p, const char *note, size_t len, uint64_t now, uint64_t max_age, struct hps_checkpoint *ret,
		     struct hps_error *err) HPS_MUST;

/* ---- proof.c: one entry's way to a checkpoint (C2SP tlog-proof v1) ------------------------------------------------------------- */

struct hps_tlog_proof {
	struct hps_buf extra; /* not authenticated; has_extra tells an empty one from none */
	bool has_extra;
	uint64_t index;
	struct hps_proof proof;
	struct hps_buf note; /* the checkpoint with all its signature lines */
};
#define HPS_TLOG_PROOF_INIT { HPS_BUF_INIT, false, 0, { 0, { { { 0 } } } }, HPS_BUF_INIT }
void hps_tlog_proof_release(struct hps_tlog_proof *p);
void hps_tlog_proof_write(const struct hps_tlog_proof *p, struct hps_buf *out);
int hps_tlog_proof_read(const char *text, size_t len, struct hps_tlog_proof *ret, struct hps_error *err) HPS_MUST;
/* The leaf is in a checkpoint that the policy takes. */
int hps_tlog_proof_check(const struct hps_tlog_proof *p, const struct hps_policy *policy, const void *leaf, size_t len, uint64_t now,
			 uint64_t max_age, struct hps_checkpoint *ret, struct hps_error *err) HPS_MUST;

#endif
