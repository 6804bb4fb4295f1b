/* Private header of ledger/: a transparency log in formats that others read. Grouped by the file that implements it; the
 * public promise is include/hps/ledger.h, the stored bytes are docs/FORMATS.md ("Ledger").
 *
 * Words: a *leaf* is the bytes hashed into the tree, one an entry; an *envelope* is the signed statement beside it; *stored*
 * (store.c) is what the database holds, *published* is what tiles/ holds under the newest signed checkpoint. */
#ifndef HPS_LEDGER_PRIVATE_H
#define HPS_LEDGER_PRIVATE_H

#include "core/core.h"
#include "hps/ledger.h"

/* ---- merkle.c: the tree of RFC 6962 section 2.1 (RFC 9162 section 2.1), SHA-256 ---------------------------------------- */

#define HPS_MERKLE_LEVELS 64
/* A proof has at most 63 hashes; sizes stay under 2^63, which is what peers written in Go can hold. */
#define HPS_PROOF_MAX 63

void hps_merkle_leaf(const void *data, size_t len, struct hps_digest *ret);
void hps_merkle_node(const struct hps_digest *left, const struct hps_digest *right, struct hps_digest *ret);

/* A tree that grows to the right and remembers only the roots of its complete subtrees: edge[l] covers 2^l leaves and is valid
 * where bit l of size is set. All zero is the empty tree. */
struct hps_merkle {
	uint64_t size;
	struct hps_digest edge[HPS_MERKLE_LEVELS];
};
/* Adds a leaf hash. ret_nodes (may be NULL) receives the subtrees that are complete now: the returned count, level 0 first;
 * the one of level l has number (old size >> l) in its level. */
unsigned hps_merkle_add(struct hps_merkle *m, const struct hps_digest *leaf, struct hps_digest ret_nodes[HPS_MERKLE_LEVELS]);
void hps_merkle_root(const struct hps_merkle *m, struct hps_digest *ret);

/* Where proofs get the complete subtree `n` of `level` (leaves n << level to (n + 1) << level). */
struct hps_merkle_source {
	int (*node)(void *arg, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err);
	void *arg;
};
/* The tree of the first `size` leaves, ready to grow. */
int hps_merkle_load(const struct hps_merkle_source *source, uint64_t size, struct hps_merkle *ret, struct hps_error *err) HPS_MUST;

struct hps_proof {
	unsigned n;
	struct hps_digest hash[HPS_PROOF_MAX];
};
int hps_merkle_prove_inclusion(const struct hps_merkle_source *source, uint64_t index, uint64_t size, struct hps_proof *ret,
			       struct hps_error *err) HPS_MUST;
int hps_merkle_prove_consistency(const struct hps_merkle_source *source, uint64_t size1, uint64_t size2, struct hps_proof *ret,
				 struct hps_error *err) HPS_MUST;
/* RFC 9162 sections 2.1.3.2 and 2.1.4.2: 0 or HPS_E_DAMAGED. size1 0, which the RFC leaves open, is refused. */
int hps_merkle_check_inclusion(uint64_t index, uint64_t size, const struct hps_digest *leaf, const struct hps_digest *proof, size_t n,
			       const struct hps_digest *root, struct hps_error *err) HPS_MUST;
int hps_merkle_check_consistency(uint64_t size1, uint64_t size2, const struct hps_digest *root1, const struct hps_digest *root2,
				 const struct hps_digest *proof, size_t n, struct hps_error *err) HPS_MUST;

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

/* ---- tile.c: static files of the tree (C2SP tlog-tiles) -------------------------------------------------------------------- */

#define HPS_TILE_WIDTH 256
#define HPS_TILE_PATH 80

struct hps_tile {
	bool entries;	/* an entry bundle; level is 0 */
	unsigned level;
	uint64_t n;
	unsigned width; /* 1..256 */
};
/* Of the tile in a tree of `size` leaves; 0: there is none. */
unsigned hps_tile_width(unsigned level, uint64_t n, uint64_t size);
void hps_tile_path(const struct hps_tile *t, char out[HPS_TILE_PATH]);
int hps_tile_parse(const char *path, struct hps_tile *ret) HPS_MUST; /* -EINVAL unless exactly what hps_tile_path() writes */
/* The tile's bytes: from its own file or, when that has been superseded, from the full tile. A bundle is not cut. */
int hps_tile_read(int tilesfd, const struct hps_tile *t, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
/* One entry as a bundle holds it; leaves have at most 65,535 bytes. */
#define HPS_LEAF_MAX 65535
void hps_bundle_add(struct hps_buf *bundle, const void *leaf, size_t len);
/* Takes the entry at *at (offset) of the bundle and moves *at behind it; false: what is left is not an entry. */
bool hps_bundle_next(const struct hps_buf *bundle, size_t *at, const uint8_t **ret_leaf, size_t *ret_len);

/* A source's node() out of the tiles of a tree of `size` leaves. What it gives is as true as the files: check the proof. */
struct hps_tiles {
	int tilesfd;
	uint64_t size;
	const char *url;     /* not NULL: read there instead */
	const char *ca_file; /* for it; may be NULL */
};
/* One file below tiles/, from the directory or the URL; HPS_E_NOTFOUND when it is not there. */
int hps_tiles_file(const struct hps_tiles *tiles, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
int hps_tiles_node(void *tiles, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err) HPS_MUST;
/* The leaf of one entry, out of its bundle. */
int hps_tiles_leaf(const struct hps_tiles *tiles, uint64_t index, struct hps_buf *ret, struct hps_error *err) HPS_MUST;

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

/* ---- dsse.c: envelopes (DSSE v1.0.2) ----------------------------------------------------------------------------------------- */

#define HPS_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define HPS_ENVELOPE_MAX ((size_t)32 << 20)

struct hps_envelope {
	char *type;
	struct hps_buf payload;
	char keyid[HPS_DIGEST_HEX];
	struct hps_buf signature;
};
#define HPS_ENVELOPE_INIT { NULL, HPS_BUF_INIT, "", HPS_BUF_INIT }
void hps_envelope_release(struct hps_envelope *e);
/* For JSON of which only one spelling is accepted: takes the literal `before` at *at and the value behind it up to the next
 * quote, where *at is left. */
bool hps_take_value(const char **at, const char *end, const char *before, const char **ret, size_t *ret_len);
void hps_pae(const char *type, const void *payload, size_t len, struct hps_buf *out);
void hps_envelope_id(const struct hps_envelope *e, struct hps_digest *ret); /* SHA-256 of the PAE */
/* Our stored form: canonical JSON with payload, payloadType and one signature with its keyid. */
void hps_envelope_write(const struct hps_envelope *e, struct hps_buf *out);
/* Any DSSE envelope with one signature; keyid may be missing (""). */
int hps_envelope_read(const char *text, size_t len, struct hps_envelope *ret, struct hps_error *err) HPS_MUST;
/* Only bytes that hps_envelope_write() makes: no byte of a stored envelope can change unseen, not even in its punctuation. */
int hps_envelope_read_stored(const char *text, size_t len, struct hps_envelope *ret, struct hps_error *err) HPS_MUST;
int hps_envelope_sign(const char *type, const void *payload, size_t len, const struct hps_key *key, struct hps_envelope *ret,
		      struct hps_error *err) HPS_MUST;
int hps_envelope_verify(const struct hps_envelope *e, const struct hps_key *key, struct hps_error *err) HPS_MUST;

/* ---- statement.c: in-toto v1 statements and what hps reads from them -------------------------------------------------------- */

/* _type, subjects with digests, predicateType, predicate: HPS_E_FORMAT says which is missing. */
int hps_statement_check(const json_t *statement, struct hps_error *err) HPS_MUST;
char *hps_statement_kind(const json_t *statement);
/* Fills an entry's fields from its statement; the entry takes a reference. */
void hps_entry_fill(struct hps_entry *e, json_t *statement);

/* ---- leaf.c: Rekor v2 "hashedrekord" 0.0.2 bodies (canonical JSON) ---------------------------------------------------------- */

struct hps_leaf {
	struct hps_digest id;
	struct hps_buf signature, spki;
	const char *key_details; /* "PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519" */
};
#define HPS_LEAF_INIT { { { 0 } }, HPS_BUF_INIT, HPS_BUF_INIT, NULL }
void hps_leaf_release(struct hps_leaf *l);
void hps_leaf_write(const struct hps_digest *id, const struct hps_buf *signature, const struct hps_key *key, struct hps_buf *out);
int hps_leaf_read(const void *data, size_t len, struct hps_leaf *ret, struct hps_error *err) HPS_MUST; /* only what hps_leaf_write() makes */

/* ---- sigstore.c: bundles that Sigstore's clients verify (Sigstore bundle v0.3, trusted root v0.1) ----------------------------- */

#define HPS_SIGSTORE_MAX ((size_t)64 << 20)

struct hps_sigstore {
	struct hps_envelope envelope;
	struct hps_buf leaf;
	struct hps_tlog_proof proof;
};
#define HPS_SIGSTORE_INIT { HPS_ENVELOPE_INIT, HPS_BUF_INIT, HPS_TLOG_PROOF_INIT }
void hps_sigstore_release(struct hps_sigstore *s);
int hps_sigstore_write(const struct hps_sigstore *s, const struct hps_vkey *log, struct hps_buf *out, struct hps_error *err) HPS_MUST;
/* A bundle with a public key as hint, one log entry and one signature; everything it says twice is compared. Whether the
 * checkpoint and the signing key are to be trusted is asked afterwards. */
int hps_sigstore_read(const char *text, size_t len, struct hps_sigstore *ret, struct hps_error *err) HPS_MUST;
int hps_sigstore_trusted_root(const struct hps_vkey *log, struct hps_buf *out, struct hps_error *err) HPS_MUST;

/* ---- timestamp.c: when a checkpoint existed, said by others (RFC 3161) ------------------------------------------------------------ */

#define HPS_TIMESTAMP_MAX ((size_t)64 << 10)

/* DER of a query for SHA-256 of data, with a nonce, asking for the certificates. */
int hps_timestamp_query(const void *data, size_t len, struct hps_buf *out, struct hps_error *err) HPS_MUST;
/* Asks the authority at url; the answer has been compared with the query. */
int hps_timestamp_fetch(const char *url, const char *ca_file, const void *data, size_t len, struct hps_buf *ret_reply, struct hps_error *err) HPS_MUST;
/* A stored reply (DER): over data, by an authority whose chain, at the time that the token names, ends in one of the certificates of
 * `authorities` (PEM). HPS_E_FORMAT, HPS_E_SIGNATURE. */
int hps_timestamp_check(const void *reply, size_t reply_len, const void *data, size_t len, const char *authorities, size_t authorities_len, int64_t *ret_ns,
			struct hps_error *err) HPS_MUST;

/* ---- trust.c: who may sign ---------------------------------------------------------------------------------------------------- */

#define HPS_TRUST_FILE "trust.json"

struct hps_trust {
	char *origin;
	struct hps_vkey log;
	struct hps_key **statement_keys;
	struct hps_strv *kinds; /* of statements, one list for each statement key; empty: all */
	size_t n_statement_keys;
	struct hps_key **root_keys; /* of which root_threshold have to approve a change of keys */
	size_t n_root_keys, root_threshold;
	char *policy_text; /* tlog-policy; without one: the log and no witness */
	struct hps_policy policy;
	bool closed;	   /* what no quorum has cosigned is not given out */
	uint64_t max_age;  /* seconds; 0: any */
	struct hps_buf authorities; /* of timestamps, PEM */
};
void hps_trust_release(struct hps_trust *t);
int hps_trust_read(int dirfd, const char *path, struct hps_trust *ret, struct hps_error *err) HPS_MUST;
/* The trust file with another log key, in `log` and in `policy`. */
int hps_trust_replace(int dirfd, const char *old, const char *new, struct hps_error *err) HPS_MUST;
int hps_trust_write(int dirfd, const char *origin, const struct hps_key *log, const struct hps_key *statement, struct hps_error *err) HPS_MUST;
const struct hps_key *hps_trust_key(const struct hps_trust *t, const char *keyid); /* NULL: not trusted */
bool hps_trust_kind(const struct hps_trust *t, const char *keyid, const char *kind); /* whether that key may sign statements of that kind */

/* ---- handover.c: the log's key was replaced ---------------------------------------------------------------------------------------- */

#define HPS_HANDOVER_DIR "log-keys" /* in tiles/: <n>, a note that the former and the next key have signed */
char *hps_handover_path(uint64_t n); /* heap */
bool hps_handover_exists(int tilesfd, uint64_t n);
/* `former` signs up to that tree and no further. */
int hps_handover_sign(const struct hps_checkpoint *c, const struct hps_key *former, const struct hps_key *next, struct hps_buf *out, struct hps_error *err) HPS_MUST;
/* Such a note alone, both of whose signatures hold; the keys are heap. */
int hps_handover_read(const char *note, size_t len, char **ret_former, char **ret_next, struct hps_error *err) HPS_MUST;

/* All of one log, from the first on: in tiles/, in evidence, or (a JSON list of notes) beside what an observer remembers. None is no error.
 * Nothing is checked before somebody follows them. */
#define HPS_HANDOVERS_FILE "log-keys.json"
int hps_handovers_load(const struct hps_tiles *tiles, struct hps_strv *ret, struct hps_error *err) HPS_MUST;
int hps_handovers_read(int dirfd, const char *path, struct hps_strv *ret, struct hps_error *err) HPS_MUST;
int hps_handovers_write(int dirfd, const char *path, mode_t mode, const struct hps_strv *notes, struct hps_error *err) HPS_MUST;
json_t *hps_handovers_json(const struct hps_strv *notes);
int hps_handovers_from_json(const json_t *list, struct hps_strv *ret, struct hps_error *err) HPS_MUST;
/* One key was handed over in two ways, which no honest owner does. */
bool hps_handovers_conflict(const struct hps_strv *a, const struct hps_strv *b);

/* Makes v (t->log, and the same log in the policy) the newest key, with all that came before, if v is one of those that the notes are about; if
 * they are not, nothing changes. HPS_E_FORMAT, HPS_E_SIGNATURE. */
int hps_vkey_follow(struct hps_vkey *v, const struct hps_strv *notes, struct hps_error *err) HPS_MUST;
void hps_vkey_handovers(const struct hps_vkey *v, struct hps_strv *ret); /* the notes that v was made by */
int hps_trust_follow(struct hps_trust *t, const struct hps_strv *notes, struct hps_error *err) HPS_MUST;
int hps_trust_follow_tiles(struct hps_trust *t, const struct hps_tiles *tiles, uint64_t *ret_n /* how many are there; may be NULL */, struct hps_error *err) HPS_MUST;

/* ---- prove.c, check.c: one entry as a folder that verifies without hps ---------------------------------------------------------- */

/* The files of such a folder. NAME.* are of one entry: "entry", and "begin" of a trial. */
struct hps_evidence {
	struct hps_evidence_file {
		char *name;
		struct hps_buf bytes;
	} *files;
	size_t n;
	bool unwitnessed; /* its checkpoint lacks the quorum that the policy asks for, which the trust file leaves open */
};
void hps_evidence_release(struct hps_evidence *e);
const struct hps_buf *hps_evidence_file(const struct hps_evidence *e, const char *name); /* or NULL */
/* The files that follow from a bundle: statement, PAE, signature, key, envelope, leaf, proof, bundle. */
int hps_evidence_entry(struct hps_evidence *e, const char *name, const struct hps_sigstore *s, const struct hps_vkey *log, struct hps_error *err) HPS_MUST;
/* Those that follow from the trust file and the checkpoint. */
int hps_evidence_ledger(struct hps_evidence *e, const struct hps_trust *trust, const struct hps_buf *note, struct hps_error *err) HPS_MUST;
/* Everything about the entry at `index`, and about the begin entry of a trial; each proof has been checked. HPS_E_UNDECIDED when the
 * policy wants witnesses for what is given out and none has cosigned a checkpoint that covers it. */
int hps_ledger_prove(struct hps_ledger *l, uint64_t index, struct hps_evidence *ret, struct hps_error *err) HPS_MUST;

struct hps_checked {
	struct hps_strv lines; /* what holds, in words */
	struct hps_strv problems;
	int code; /* of the first problem (of those that say that something is wrong, if there are any), 0: none */
};
void hps_checked_release(struct hps_checked *c);
/* A folder of evidence against a trust file, which is led to the log's key of that folder. Negative only when it cannot be checked at all. */
int hps_evidence_check(int dirfd, struct hps_trust *trust, uint64_t now, uint64_t max_age, struct hps_checked *ret, struct hps_error *err) HPS_MUST;

/* ---- witness.c, witness_logs.c: a witness of logs (C2SP tlog-witness v1) ------------------------------------------------------------------------- */

/* A directory: witness.pem (Ed25519, encrypted if made with a passphrase), name, logs.tlog (a tlog-policy of the logs that it knows), logs/<hex SHA-256 of origin>: the
 * latest checkpoint that it cosigned, evidence/: of logs that signed two trees. One process at a time holds it. */
struct hps_witness;
struct hps_misbehaviour;
int hps_witness_create(const char *dir, const char *name, const char *passphrase /* NULL: in clear */, struct hps_error *err) HPS_MUST;
int hps_witness_open(const char *dir, const char *passphrase, struct hps_witness **ret, struct hps_error *err) HPS_MUST;
void hps_witness_free(struct hps_witness *w);
char *hps_witness_vkey(const struct hps_witness *w);
/* Adds a log by its verifier key. A log that it knows already is not touched. */
int hps_witness_add_log(const char *dir, const char *vkey, struct hps_error *err) HPS_MUST;
/* A log that it knows has a new key: the note that both keys have signed (hps_handover_read). */
int hps_witness_follow(const char *dir, const char *note, size_t len, struct hps_error *err) HPS_MUST;
char *hps_witness_memory(const char *origin, const char *ending); /* heap: "logs/<hex of origin>", with what is remembered of that log */
int hps_witness_evidence(int dirfd, const char *name, const struct hps_misbehaviour *m, struct hps_error *err) HPS_MUST; /* in evidence/ */
/* Answers add-checkpoint and GET /<hex>/checkpoint. What is answered with 200 is on disk first; safe in several threads. */
void hps_witness_handle(void *witness, const struct hps_serve_request *request, struct hps_serve_reply *reply);

/* ---- evidence of misbehaviour (misbehaviour.c) -------------------------------------------------------------------------------------- */

/* Two checkpoints that one honest log cannot both have signed, or a claim about them. */
struct hps_misbehaviour {
	const char *kind; /* rollback, fork, freeze, mix-and-match, fast-forward */
	const char *what; /* in words */
	const struct hps_vkey *log; /* with the keys that it had before */
	const struct hps_buf *first, *second; /* NULL: there is none */
	const struct hps_proof *proof; /* or NULL: of a consistency between the sizes, whose old root is then not the one that was signed */
	const struct hps_strv *handovers; /* or NULL: others than those of `log`, which were seen before */
};
int hps_misbehaviour_write(int dirfd, const char *name, const struct hps_misbehaviour *m, struct hps_error *err) HPS_MUST;
/* The consistency proof for such a file: with the first subtree in front where RFC 9162 leaves it out. */
int hps_misbehaviour_proof(const struct hps_tiles *tiles, uint64_t old, struct hps_proof *ret, struct hps_error *err) HPS_MUST;
/* HPS_E_FALSE with the message that names the log and what it did, when the file alone proves it to whoever trusts one of the log's keys.
 * HPS_E_UNDECIDED when it does not: the message says what the signatures in it show, and what is the word of whoever wrote it. */
int hps_misbehaviour_check(const char *text, size_t len, const struct hps_vkey *log, struct hps_error *err) HPS_MUST;

/* ---- monitor.c: following somebody's ledger ---------------------------------------------------------------------------------------- */

struct hps_monitor {
	const char *source;  /* a ledger, a published copy (directory) or its URL */
	const char *ca_file; /* for https; NULL: the system's */
	const char *state;   /* file with the last checkpoint seen; made when it is not there */
	const char *evidence; /* directory for evidence; NULL: none is written */
	uint64_t max_age;    /* seconds; 0: that of the trust file */
};
/* Reads the newest checkpoint, compares it with the last one seen and with the tiles, and remembers it. HPS_E_FALSE when the log
 * misbehaves: the message begins with rollback, fork, freeze, mix-and-match or fast-forward, and names the evidence. */
int hps_monitor(const struct hps_monitor *m, struct hps_trust *trust /* is led to the newest key */, struct hps_checkpoint *ret, struct hps_error *err) HPS_MUST;

/* ---- attested.c, cosigner.c, attest.c: what others have signed about checkpoints ------------------------------------------------------------------------ */

#define HPS_ATTESTED_DIR "attested" /* in tiles/: <size>.checkpoint with its cosignatures, <size>.tsr */
/* The smallest attested checkpoint of more than `index` entries that the policy takes: its note and, if there is one, its
 * timestamp (else empty). HPS_E_NOTFOUND when there is none. */
int hps_attested_find(int tilesfd, const struct hps_trust *trust, uint64_t index, struct hps_buf *ret_note, struct hps_buf *ret_timestamp,
		      struct hps_error *err) HPS_MUST;

/* One witness of the policy, asked about a checkpoint in a thread of its own. */
struct hps_cosigner {
	const struct hps_policy *policy;
	const struct hps_vkey *log;
	size_t key; /* of the witness, in the policy */
	int64_t timeout_ns;
	const char *ca_file;
	struct hps_tiles tiles;
	const struct hps_checkpoint *c;
	const struct hps_buf *note;
	struct hps_buf sig;	/* the result: the witness's signature */
	bool misbehaved;	/* of our log, as the witness sees it */
	struct hps_buf theirs;	/* then: the checkpoint that it remembers */
	struct hps_error error;
	pthread_t thread;
	bool running;
};
void *hps_cosigner_ask(void *cosigner); /* a thread's function; leaves a signature in sig, or says in error why not */

/* The widths that this tile has in attested checkpoints; all, when those cannot be listed. */
void hps_attested_widths(int tilesfd, const struct hps_tile *tile, bool ret[HPS_TILE_WIDTH + 1]);

struct hps_attest_options {
	int64_t timeout_ns;	     /* for each witness and authority; 0: 10 s */
	const char *ca_file;	     /* PEM; NULL: the system's authorities */
	const char *const *time_urls; /* timestamp authorities to ask; NULL: none */
	const char *evidence;	     /* directory for evidence of misbehaviour; NULL: the ledger's own */
};
struct hps_attestation {
	uint64_t size;
	size_t n_witnesses, n_cosigned; /* of the policy; with a signature on this checkpoint now */
	bool quorum, stamped;
	struct hps_strv failures; /* one line for each witness or authority that did not answer well */
};
void hps_attestation_release(struct hps_attestation *a);
/* Asks the policy's witnesses, all at once, to cosign the newest checkpoint, and the authorities to stamp it; keeps what they sign.
 * 0 also when the quorum is not reached: the caller looks at `quorum`. HPS_E_FALSE when a witness shows that this ledger went back or
 * forked: the message says which, and where the evidence is. Needs the ledger's owner, not its keys. */
int hps_attest(struct hps_ledger *l, const struct hps_attest_options *options, struct hps_attestation *ret, struct hps_error *err) HPS_MUST;


/* ---- agent.c, pkcs11.c, signer.c: where the private parts are ------------------------------------------------------------------ */

/* Both give a public key its signer: HPS_E_NOTFOUND when the private part is not there, HPS_E_DENIED when it may not be used. */
int hps_agent_attach(struct hps_key *key, struct hps_error *err) HPS_MUST; /* the agent of SSH_AUTH_SOCK */
struct hps_pkcs11 {
	const char *module, *token, *label; /* path of the library, label of the token, label of the private key */
};
int hps_pkcs11_attach(struct hps_key *key, const struct hps_pkcs11 *where, const char *pin, struct hps_error *err) HPS_MUST;
/* keys/<role>.json when there is one (agent or token; the passphrase is the PIN), else keys/<role>.pem. A role is statement or log; one that is about to
 * be it, statement.next, log.next or log.draft. */
int hps_signer_load(int dirfd, const char *role, const char *passphrase, struct hps_key **ret, struct hps_error *err) HPS_MUST;
struct hps_signer_choice {
	struct hps_key *key; /* NULL: a new one is to be made */
	bool elsewhere;	     /* in an agent, or where `where` says; else it goes into a file */
	struct hps_pkcs11 where; /* module NULL: an agent */
};
int hps_signer_save(int dirfd, const char *role, const struct hps_signer_choice *c, const char *passphrase /* of the file; NULL: in clear */, struct hps_error *err) HPS_MUST;
bool hps_signer_exists(int dirfd, const char *role);
/* `from` becomes `to`, of which nothing stays. Cut off in between it can be done again. */
int hps_signer_move(int dirfd, const char *from, const char *to, struct hps_error *err) HPS_MUST;
int hps_signer_remove(int dirfd, const char *role, struct hps_error *err) HPS_MUST;

/* ---- keys.c: who may sign what, at which index ------------------------------------------------------------------------------------- */

#define HPS_PREDICATE_KEY "urn:hps:key:v1" /* kind "key" */

struct hps_keyring {
	const struct hps_trust *trust;
	struct hps_keyring_key {
		char keyid[HPS_DIGEST_HEX];
		struct hps_strv kinds; /* empty: all */
		uint64_t from, until;  /* indexes; until is exclusive */
		struct hps_buf spki;
	} *keys;
	size_t n;
	uint64_t changes; /* so far: the number of the next one */
	struct hps_keyring_log { /* keys that entries have announced as the log's next */
		char keyid[HPS_DIGEST_HEX];
		uint64_t index;
	} *logs;
	size_t n_logs;
};
#define HPS_KEYRING_INIT { NULL, NULL, 0, 0, NULL, 0 }
bool hps_keyring_announced(const struct hps_keyring *r, const char *keyid, uint64_t before); /* as the log's next, by an entry before that index */
void hps_keyring_init(struct hps_keyring *r, const struct hps_trust *trust); /* the keys of the trust file, from the start */
void hps_keyring_release(struct hps_keyring *r);
int hps_keyring_load(struct hps_keyring *r, struct hps_ledger *l, struct hps_error *err) HPS_MUST; /* with all changes in the ledger */
const struct hps_buf *hps_keyring_spki(const struct hps_keyring *r, const char *keyid); /* of a key that is or was there, or NULL */
/* HPS_E_SIGNATURE, with the reason. */
int hps_keyring_check(struct hps_keyring *r, uint64_t index, const char *keyid, const char *kind, struct hps_error *err) HPS_MUST;
/* A change, in the order of the log; its signer has been checked. HPS_E_SIGNATURE when it does not count: then nothing changes. */
int hps_keyring_apply(struct hps_keyring *r, uint64_t index, const json_t *statement, struct hps_error *err) HPS_MUST;
/* HPS_E_DENIED unless this ledger's own statement key may sign these statements now, or (n 0) at all. What others change while a
 * handle is open it sees with its next one. */
int hps_ledger_may_sign(struct hps_ledger *l, const json_t *const *statements, size_t n, struct hps_error *err) HPS_MUST;

/* ---- key_change.c: a change of keys before it is an entry ------------------------------------------------------------------------------ */

struct hps_key_change {
	const char *origin;
	uint64_t number;    /* of all changes in the ledger, from 0 */
	const char *reason; /* may be NULL */
};
/* A draft is an object with `change`, `possession` (added keys: the new key's signature) and `approvals` (root keys'). */
int hps_key_change_add(const struct hps_key_change *c, const struct hps_key *key, const struct hps_strv *kinds, json_t **ret_draft, struct hps_error *err) HPS_MUST;
int hps_key_change_log(const struct hps_key_change *c, const struct hps_key *key, json_t **ret_draft, struct hps_error *err) HPS_MUST; /* announces the log's next key */
json_t *hps_key_change_revoke(const struct hps_key_change *c, const char *keyid);
json_t *hps_key_change_statement(const json_t *draft);
void hps_key_change_pae(const json_t *change, struct hps_buf *out); /* what root keys and a new key sign */
int hps_key_change_sign(const struct hps_key *key, const json_t *change, struct hps_buf *out, struct hps_error *err) HPS_MUST; /* base64 of it */
struct hps_key_change hps_key_change_next(struct hps_ledger *l, const struct hps_keyring *ring, const char *reason);

struct hps_key_changes { /* that belong together */
	json_t *drafts[2];
	uint64_t indexes[2]; /* when they are entries */
	size_t n;
};
void hps_key_changes_release(struct hps_key_changes *c);
/* What would not count is not appended. */
int hps_key_changes_append(struct hps_ledger *l, struct hps_keyring *ring, struct hps_key_changes *c, struct hps_error *err) HPS_MUST;

/* ---- rotation.c: this ledger's own keys, replaced by new ones ---------------------------------------------------------------------- */

#define HPS_NEXT_LOG "log.next" /* roles of its signer */
#define HPS_DRAFT_LOG "log.draft"
#define HPS_NEXT_STATEMENT_KEY "keys/statement.next.pem"
/* The new key may sign what the former might; both change places in one batch. Returns the changes, which have been appended. */
int hps_rotate_statement(struct hps_ledger *l, const char *passphrase, const char *reason, struct hps_key_changes *ret, struct hps_error *err) HPS_MUST;
/* An entry announces the new key, then a handover makes it the log's. *ret_vkey is heap. Afterwards the handle is to be closed. */
int hps_rotate_log(struct hps_ledger *l, const struct hps_signer_choice *next, const char *passphrase, const char *reason, struct hps_key_changes *ret, char **ret_vkey,
		   struct hps_error *err) HPS_MUST;
/* In two steps, where root keys have to approve it: the new key is HPS_DRAFT_LOG until its draft, with their approvals, is applied. */
int hps_rotate_log_draft(struct hps_ledger *l, const struct hps_signer_choice *next, const char *passphrase, const char *reason, json_t **ret_draft, struct hps_error *err) HPS_MUST;
int hps_rotate_log_apply(struct hps_ledger *l, const char *passphrase, json_t *draft, struct hps_key_changes *ret, char **ret_vkey, struct hps_error *err) HPS_MUST;
/* What was cut off behind the point from which on it has happened: 1 when there was something to finish. Before that nothing has happened.
 * The handle was opened for reading. */
int hps_rotate_statement_finish(struct hps_ledger *l, const char *passphrase, struct hps_error *err) HPS_MUST;
int hps_rotate_log_finish(struct hps_ledger *l, const char *passphrase, struct hps_error *err) HPS_MUST;

/* ---- store.c, store_*.c: ledger.db; nothing else knows SQLite ------------------------------------------------------------------------ */

struct hps_store;

struct hps_row {
	uint64_t index;
	struct hps_digest id, keyid;
	const void *leaf, *envelope;
	size_t leaf_len, envelope_len;
	const struct hps_entry *entry; /* for the look-up table */
};

/* An empty one with the checkpoint of the empty tree. */
int hps_store_create(const char *path, const struct hps_digest *root, const struct hps_buf *note, struct hps_error *err) HPS_MUST;
enum hps_store_mode {
	HPS_STORE_READ,	  /* rolls a killed writer's journal back when it may */
	HPS_STORE_WRITE,  /* the caller holds the ledger's lock around each transaction */
	HPS_STORE_MEMORY, /* an empty one, for a ledger without a database; path is not used */
};
int hps_store_open(const char *path, enum hps_store_mode mode, struct hps_store **ret, struct hps_error *err) HPS_MUST;
void hps_store_close(struct hps_store *s);
#define HPS_STORE_PATIENCE_MS 60000
void hps_store_patience(struct hps_store *s, unsigned ms); /* how long it waits for others who read or write; at first a minute */
bool hps_store_failed(const struct hps_store *s); /* an I/O error happened: nothing read or written after it counts */

int hps_store_begin(struct hps_store *s, struct hps_error *err) HPS_MUST;
int hps_store_commit(struct hps_store *s, struct hps_error *err) HPS_MUST;
void hps_store_rollback(struct hps_store *s);
/* What is read from here on until hps_store_rollback() is of one moment, and found by taking SQLite's lock once. */
int hps_store_snapshot(struct hps_store *s, struct hps_error *err) HPS_MUST;

/* The newest state: size, root and the note that was signed for them, always all of one transaction. */
int hps_store_head(struct hps_store *s, uint64_t *ret_size, struct hps_digest *ret_root, struct hps_buf *ret_note /* may be NULL */,
		   struct hps_error *err) HPS_MUST;
int hps_store_set_head(struct hps_store *s, uint64_t size, const struct hps_digest *root, const struct hps_buf *note, struct hps_error *err) HPS_MUST;
int hps_store_add(struct hps_store *s, const struct hps_row *row, struct hps_error *err) HPS_MUST;
int hps_store_add_node(struct hps_store *s, unsigned level, uint64_t n, const struct hps_digest *hash, struct hps_error *err) HPS_MUST;
int hps_store_node(void *store, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err) HPS_MUST; /* a source's node() */
/* HPS_E_NOTFOUND when there is no such row. Appended to the buffers. */
int hps_store_leaf(struct hps_store *s, uint64_t index, struct hps_digest *ret_id, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
/* Calls fn for each leaf of the range, with the hash of its tree node; stops when fn returns non-zero and returns that. */
int hps_store_each_leaf(struct hps_store *s, uint64_t from, uint64_t to, int (*fn)(void *arg, const void *leaf, size_t len, const struct hps_digest *hash),
			void *arg, struct hps_error *err) HPS_MUST;
int hps_store_envelope(struct hps_store *s, uint64_t index, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
/* The leaf and the look-up row are what the arguments say: 0, or HPS_E_DAMAGED naming what differs. */
int hps_store_compare(struct hps_store *s, const struct hps_row *row, struct hps_error *err) HPS_MUST;
/* Calls fn for each row of the node table; SQLite's own check of the file's structure; both for verification. */
int hps_store_each_node(struct hps_store *s, int (*fn)(void *arg, unsigned level, uint64_t n, const struct hps_digest *hash), void *arg,
			struct hps_error *err) HPS_MUST;
int hps_store_check(struct hps_store *s, struct hps_error *err) HPS_MUST;

/* Indexes under `limit`, at most max of them; *ret_n says how many. */
int hps_store_by_prefix(struct hps_store *s, const struct hps_digest *low, const struct hps_digest *high, uint64_t limit, uint64_t *ret,
			size_t max, size_t *ret_n, struct hps_error *err) HPS_MUST;
int hps_store_by_filter(struct hps_store *s, const struct hps_filter *f, uint64_t limit, uint64_t *ret, size_t max, size_t *ret_n,
			struct hps_error *err) HPS_MUST;
/* Begin entries without an end, from index `from` on. */
int hps_store_open_begins(struct hps_store *s, uint64_t from, uint64_t limit, uint64_t *ret, size_t max, size_t *ret_n, struct hps_error *err) HPS_MUST;
/* In a transaction of its own: the envelope is empty from now on, and the look-up row says as little as other rows need. Pages are wiped. */
int hps_store_withdraw(struct hps_store *s, uint64_t index, struct hps_error *err) HPS_MUST;
/* The number for the next begin entry of that key. */
int hps_store_next_counter(struct hps_store *s, const struct hps_digest *keyid, uint64_t *ret, struct hps_error *err) HPS_MUST;

/* ---- journal.c: acknowledged, and not yet in ledger.db and tiles/ --------------------------------------------------------------------- */

#define HPS_JOURNAL_HEADER 32
#define HPS_BATCH_HEADER 64

/* What the file said when the lock was last held. Of other writers' batches only the new ones are read then; when the header's
 * base has changed, or is gone, somebody has settled, and everything is loaded again. */
struct hps_journal {
	int fd;		     /* -1: there is none, or it cannot be written to */
	bool loaded;
	uint64_t base;	     /* entries before its first batch */
	uint64_t end;	     /* where the next batch goes */
	uint64_t settled;    /* up to there the batches are in ledger.db: nothing before it needs to be read again */
	struct hps_merkle tree;	   /* of everything signed */
	struct hps_map ids;	   /* of pending entries: id to index + 1 */
	struct hps_map counters;   /* key id to the counter of its last pending begin entry + 1 */
	int64_t since_ns;	   /* what is pending was first seen then; 0: nothing is */
	int64_t retry_ns;	   /* what could not be moved is tried again then */
	int64_t busy_ns;	   /* others were seen to append then */
};
struct hps_journal_entry {
	struct hps_digest id, keyid;
	int64_t counter; /* of a begin entry, else -1 */
	const uint8_t *leaf, *envelope;
	size_t leaf_len, envelope_len;
};
/* Entries under one checkpoint, as read from the file. */
struct hps_batch {
	struct hps_buf bytes;
	uint64_t from, to, end; /* end: offset of the next one */
	struct hps_digest before; /* root of the tree that it continues */
	size_t entries_len, note_at, note_len;
};
#define HPS_BATCH_INIT { HPS_BUF_INIT, 0, 0, 0, { { 0 } }, 0, 0, 0 }
void hps_batch_release(struct hps_batch *b);
/* false: there is no header, or (err is set) it cannot be read. */
bool hps_journal_header(int fd, uint64_t *ret_base, struct hps_error *err);
/* 1: a whole batch is there; 0: none; negative: it cannot be read. */
int hps_journal_read(int fd, uint64_t at, struct hps_batch *ret, struct hps_error *err) HPS_MUST;
bool hps_batch_next(const struct hps_batch *b, size_t *at, struct hps_journal_entry *ret);
/* A batch is made in a buffer; each entry is added to it and learnt, so that the journal's tree is the one to be signed. */
void hps_batch_begin(struct hps_buf *batch);
void hps_batch_add(struct hps_buf *batch, const struct hps_journal_entry *e);
void hps_journal_learn(struct hps_journal *j, const struct hps_journal_entry *e);
/* Writes it behind the others, reads it back, hashes what came back up to the root, signs that, flushes. On failure nothing of it is
 * there. `before` is the tree without it. The lock is held for this and what follows. */
int hps_journal_write(struct hps_ledger *l, struct hps_buf *batch, const struct hps_merkle *before, struct hps_error *err) HPS_MUST;
int hps_journal_load(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
/* Everything is settled: the next batch is written over what is there. */
int hps_journal_restart(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
void hps_journal_forget(struct hps_journal *j);
bool hps_journal_torn(const struct hps_ledger *l);    /* behind the last whole batch there is something: unfinished, or damaged */
bool hps_journal_pending(const struct hps_ledger *l); /* there may be something to settle */

/* ---- queue.c: writers that wait to be served ------------------------------------------------------------------------------------------- */

struct hps_queue {
	int ledgerfd, fd, requestfd; /* ledgerfd belongs to the ledger */
	int mine; /* our slot, or -1 */
	struct hps_slot *slots; /* NULL: no queue here, wait for the lock */
};
#define HPS_QUEUE_INIT { -1, -1, -1, -1, NULL }
void hps_queue_open(struct hps_queue *q, int ledgerfd);
void hps_queue_clear(struct hps_queue *q); /* its last request, when it has been answered; not in a forked child */
void hps_queue_close(struct hps_queue *q);
bool hps_queue_put(struct hps_queue *q, const struct hps_buf *request, const struct hps_journal *known); /* false: there is no room */
/* true: the lock was free and is ours now; false: answered. `patient`: at first somebody else, who knows more, may take the lock. */
bool hps_queue_wait(struct hps_queue *q, int lockfd, bool patient);
bool hps_queue_withdraw(struct hps_queue *q);		 /* false: it has been answered meanwhile */
int hps_queue_answer_read(struct hps_queue *q, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
/* For the holder of the lock: the next slot after `after` that waits, or -1. */
int hps_queue_next(struct hps_queue *q, int after, struct hps_buf *ret_request);
bool hps_queue_has_waiting(const struct hps_queue *q);
bool hps_queue_is_busy(const struct hps_queue *q); /* others wait, or have asked so lately that they may be about to ask again */
void hps_queue_leave(struct hps_queue *q); /* we shall not ask again */
void hps_queue_wipe(struct hps_queue *q); /* what answered requests, and those of killed writers, have left in the files */
void hps_queue_answer(struct hps_queue *q, int slot, int code, const char *message, const struct hps_buf *answer);
void hps_queue_wake(struct hps_queue *q, const struct hps_journal *known);

/* ---- open.c: the handle ------------------------------------------------------------------------------------------------------------ */

struct hps_ledger {
	char *dir; /* absolute */
	char *remote, *remote_ca; /* URL of a ledger that lies elsewhere, or NULL: dir is then what we keep for it */
	int dirfd, tilesfd;
	unsigned flags;
	pid_t pid;	     /* a forked child may not use the handle */
	bool poisoned;	     /* a flush failed: nothing is acknowledged any more through this handle */
	struct hps_store *store;
	uint64_t database;   /* inode of ledger.db when it was opened */
	bool has_database;   /* else store is an index in memory */
	bool foreign;	     /* another user's */
	struct hps_objects *objects;
	struct hps_trust trust;
	uint64_t n_handovers; /* of the log's key, when the handle last looked */
	bool log_key_replaced; /* log_key is a former one: nothing is signed with it any more */
	uint64_t size;	     /* of the newest published checkpoint seen, with its root; what the journal holds is beyond it */
	struct hps_digest root;
	/* with HPS_LEDGER_APPEND */
	int lockfd, runningfd, memoryfd;
	bool memory_checked;
	struct hps_journal journal;
	struct hps_queue queue;
	struct hps_key *log_key, *statement_key;
	char keyid[HPS_DIGEST_HEX];
	struct hps_keyring keyring; /* loaded when it is first asked */
	/* leases that appending begin entries took, until hps_lease_take() fetches them */
	struct hps_lease {
		char begin_id[HPS_DIGEST_HEX];
		int fd;
	} *leases;
	size_t n_leases;
};

/* Reads and verifies tiles/checkpoint into l->size and l->root; they never go back. */
int hps_ledger_read_checkpoint(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
/* The same after settling: then everything that was acknowledged before the call can be read. Not with the lock held. */
int hps_ledger_refresh(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
/* For a handle that stays open while another process replaces the log's key or the statement key: it goes on with those that are there now. */
int hps_ledger_renew_keys(struct hps_ledger *l, const char *passphrase, struct hps_error *err) HPS_MUST;
/* HPS_E_DENIED unless the directory belongs to the current user. */
int hps_ledger_check_owner(int dirfd, const char *dir, struct hps_error *err) HPS_MUST;
/* HPS_E_NOTFOUND with the next step when dir holds no ledger. */
int hps_ledger_open_dir(const char *dir, int *ret_fd, struct hps_error *err) HPS_MUST;

/* ---- publish.c: from the store to tiles/ --------------------------------------------------------------------------------------------- */

/* Files written and flushed in staging/ that wait for their names in tiles/. */
struct hps_publication {
	struct hps_strv targets; /* staging/<i> becomes tiles/<targets.v[i]>; the checkpoint is last */
	int *fds;
	uint64_t from, to;
};
#define HPS_PUBLICATION_INIT { HPS_STRV_INIT, NULL, 0, 0 }
void hps_publication_release(struct hps_publication *p);
/* Stages what a checkpoint of size `to` needs and one of size `from` did not, out of the store (inside a transaction or
 * not), after hashing the leaves of the bundles it writes again, up to `root`. On failure nothing is left in staging/. */
int hps_publication_stage(struct hps_ledger *l, uint64_t from, uint64_t to, const struct hps_digest *root, const struct hps_buf *note,
			  struct hps_publication *ret, struct hps_error *err) HPS_MUST;
void hps_publication_discard(struct hps_ledger *l, struct hps_publication *p);
void hps_publication_sweep(struct hps_ledger *l); /* what a killed one has left in staging/; with the lock held */
/* Gives the files their names, the checkpoint's last, each step durable before the next. */
int hps_publication_move(struct hps_ledger *l, struct hps_publication *p, struct hps_error *err) HPS_MUST;

/* ---- settle.c: from the journal to ledger.db and tiles/ ----------------------------------------------------------------------------------- */

/* Publishes what a killed writer had stored: then the stored head and the published checkpoint are the same, and l->size and
 * l->root say which. Both with the lock held. */
int hps_ledger_recover(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
int hps_ledger_settle(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
int hps_ledger_settle_some(struct hps_ledger *l, struct hps_error *err) HPS_MUST; /* one transaction's worth */
/* Takes the lock for it when there is anything to settle, and empties the journal. */
int hps_ledger_settle_all(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
/* The same for who is about to close: as soon as others wait to append it is left to them, who will close as well. */
int hps_ledger_settle_rest(struct hps_ledger *l, struct hps_error *err) HPS_MUST;

/* ---- memory.c: what the log key has signed, kept outside the ledger ---------------------------------------------------------------------- */

/* HPS_E_DAMAGED: this ledger is behind what its key has signed, or another than that. Once for each handle that appends. */
int hps_memory_check(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
void hps_memory_note(struct hps_ledger *l);
/* After a handover: a copy of the ledger that knows the former key alone is an older one. */
void hps_memory_close(struct hps_ledger *l);
bool hps_memory_recall(const struct hps_key *log_key, uint64_t *ret_size, struct hps_digest *ret_root); /* false: nothing is remembered */

/* ---- fsck.c, rebuild.c ------------------------------------------------------------------------------------------------------------------ */

/* hps_ledger_verify(), and what only the owner can compare. With skip_bodies everything is read after all as soon as something is wrong. */
int hps_ledger_fsck(const char *dir, const struct hps_verify_options *options, struct hps_verification *ret, struct hps_error *err) HPS_MUST;
/* ledger.db again, out of tiles/; what was there stays as ledger.db.damaged. The journal is not touched. On failure nothing is. */
int hps_ledger_rebuild(const char *dir, uint64_t *ret_size, struct hps_error *err) HPS_MUST;

/* ---- lock.c: one writer at a time ------------------------------------------------------------------------------------------------------ */

/* Blocks until this process alone may write. What a killed writer left is finished then, and the journal is known to its end. */
int hps_ledger_lock(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
int hps_ledger_lock_open(struct hps_ledger *l, struct hps_error *err) HPS_MUST; /* what locking needs; the others do it themselves */
int hps_ledger_lock_alone(struct hps_ledger *l, struct hps_error *err) HPS_MUST; /* without that: nothing may be written */
/* In two steps: the lock if it is free, and (unlocking on failure) what goes with it. */
int hps_ledger_try_lock(struct hps_ledger *l, bool *ret_got, struct hps_error *err) HPS_MUST;
int hps_ledger_lock_load(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
void hps_ledger_unlock(struct hps_ledger *l);
#define HPS_DATABASE_OLD "ledger.db.damaged" /* what a rebuild replaced; it may hold bodies, so withdrawing removes it */
uint64_t hps_ledger_database_inode(const struct hps_ledger *l);
int hps_ledger_check_append(const struct hps_ledger *l, struct hps_error *err) HPS_MUST; /* the handle is one to append with */

/* ---- read.c ----------------------------------------------------------------------------------------------------------------------------- */

/* Index and id of what hps_ledger_find() would find. */
int hps_ledger_find_index(struct hps_ledger *l, const char *id, uint64_t *ret_index, char ret_id[HPS_DIGEST_HEX], struct hps_error *err) HPS_MUST;
/* HPS_E_NOTFOUND: its body has been withdrawn. */
int hps_ledger_load(struct hps_ledger *l, uint64_t index, struct hps_entry *ret, struct hps_error *err) HPS_MUST;
void hps_envelope_path(const struct hps_digest *id, char out[HPS_TILE_PATH]); /* "envelope/<hex>.json" */

/* ---- verify.c, verify_*.c: what holds and what does not ---------------------------------------------------------------------------------- */

/* Entries are read by several threads, a tile each, and taken in the order of the log: a report does not depend on how many there are.
 * Of an entry some 50 bytes stay in memory: its leaf's hash, the beginning of its id, and which key has signed what kind. */

struct hps_problems {
	struct hps_problem *items;
	size_t n;
};
void hps_problems_add(struct hps_problems *list, int64_t index, const char *id, const char *file, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* What an error says, with `doing` (may be NULL) before it: that something is damaged, or that it could not be read here. */
void hps_problems_add_error(struct hps_problems *list, int64_t index, const char *id, const char *file, const char *doing, const struct hps_error *e);

/* What one thread has for itself. */
struct hps_verify_thread {
	struct hps_store *store; /* NULL: not compared */
	struct hps_map keys;	 /* id to struct hps_key, of those met last */
};

/* What reading an entry gave. */
struct hps_reading {
	uint64_t index;
	struct hps_digest id;
	bool has_id;  /* its leaf is one */
	bool counts;  /* it is whole if nothing is found */
	bool clean;   /* nothing was found */
	bool missing; /* its envelope is not there */
	char keyid[HPS_DIGEST_HEX];
	char *kind;	  /* NULL: its statement could not be read */
	json_t *change;	  /* the statement of a key entry */
	char *withdrawn;  /* the id that it withdraws */
	struct hps_strv manifests; /* names and digests, in turn */
	struct hps_problems problems;
};
void hps_reading_release(struct hps_reading *r);

/* ids of entries, for when they are looked up: the first eight bytes of each, by index. Those in the journal are kept whole, too. */
struct hps_ids {
	uint64_t *heads; /* 0: not known */
	uint64_t n;
	struct hps_digest *pending; /* from index first_pending on */
	uint64_t first_pending, n_pending;
	uint32_t *slots; /* index + 1, by the head; made at the first look-up */
	size_t n_slots;
};

/* Who has signed which entry, judged at the end (verify_authority.c). */
struct hps_authority {
	uint32_t *notes; /* by index */
	uint64_t n;
	struct hps_map pairs; /* "<key id> <kind>" to its number */
	struct hps_key_entry {
		uint64_t index;
		json_t *statement;
	} *changes;
	size_t n_changes;
};

#define HPS_TILE_LEVELS 8

struct hps_verifier {
	const struct hps_verify_options *options;
	struct hps_verification *found;
	int dirfd, tilesfd;
	char *database;		      /* its path when it is compared */
	struct hps_trust trust;
	struct hps_buf note;	      /* tiles/checkpoint */
	struct hps_digest root;	      /* of the checkpoint, which is of found->size entries */
	bool holds;		      /* the entries give it */
	struct hps_verify_thread own; /* of the thread that takes what the others have read */
	struct hps_verify_thread *threads;
	unsigned n_wanted, n_threads; /* n_threads read tiles; 1: the own one does */
	struct hps_pool *structure;   /* SQLite's check of the database, under way */
	struct hps_error structure_error;
	struct hps_objects *objects;  /* NULL: not checked */
	struct hps_pool *object_pool;
	struct hps_digest *level[HPS_TILE_LEVELS]; /* what the tiles of that level hold; level 0: the hash of each leaf, as it must be */
	uint64_t n_level[HPS_TILE_LEVELS];
	struct hps_digest *hash;      /* = level[0], n of them */
	uint64_t n;
	bool cut_off;		      /* of a tile nothing is there: no more is read */
	struct hps_merkle tree;	      /* of these */
	struct hps_ids ids;
	struct hps_authority authority;
	struct hps_map objects_seen;
	struct hps_batch *batches;    /* of the journal, when it can be read */
	size_t n_batches;
	uint64_t journal_base;
	uint64_t journal_left;	      /* bytes behind the last whole batch that are nothing older */
	struct hps_map withdrawn;     /* ids that withdrawals name */
	struct hps_missing {	      /* envelopes that are not there */
		uint64_t index;
		struct hps_digest id;
	} *missing;
	size_t n_missing;
	/* Entries whose leaf in the bundle and hash in the tile differ, until it is known which is wrong. */
	struct hps_suspect {
		uint64_t index;
		struct hps_digest bundle, tile;
		bool has_leaf, has_hash, settled;
		bool moved; /* leaf and hash are whole, each in the place of another entry: only the root tells which of them was moved */
		char id[HPS_DIGEST_HEX]; /* what the leaf in the bundle says, or "" */
	} *suspects;
	size_t n_suspects;
};

void hps_problem_add(struct hps_verifier *v, int64_t index, const char *id, const char *file, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
void hps_problem_add_error(struct hps_verifier *v, int64_t index, const char *id, const char *file, const char *doing, const struct hps_error *e);
/* What is wrong unless something says otherwise that could not be read: undecided as soon as there is any such thing. */
void hps_problem_add_if_read(struct hps_verifier *v, int64_t index, const char *id, const char *file, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* Every leaf, hash and envelope, up to the root (verify_leaves.c). */
void hps_verify_leaves(struct hps_verifier *v);

/* The envelope of a leaf that holds, and what the envelope says: signature, statement, database row. In any thread. */
void hps_verify_entry(const struct hps_verifier *v, struct hps_verify_thread *t, uint64_t index, const void *leaf, size_t len, struct hps_reading *ret);
/* In the order of the log: what an entry means for the others, and its objects. Releases it. */
void hps_verify_take(struct hps_verifier *v, struct hps_reading *r);
void hps_verify_thread_release(struct hps_verify_thread *t);
/* Missing envelopes: those that were withdrawn are listed, the others are problems. */
void hps_verify_missing(struct hps_verifier *v);
/* The leaf that belongs to the envelope file of that id, without trusting either; false: no such file, or not an envelope. */
bool hps_verify_derive(struct hps_verifier *v, const char *id, struct hps_buf *ret_leaf);

void hps_ids_note(struct hps_verifier *v, uint64_t index, const struct hps_digest *id);
bool hps_ids_known(struct hps_verifier *v, const struct hps_digest *id); /* of the published entries, when all have been noted */
void hps_ids_check(struct hps_verifier *v); /* at the end: no statement is there twice */
void hps_ids_release(struct hps_ids *ids);

/* `counted`: the entry is in found->n_checked. */
void hps_authority_note(struct hps_authority *a, const struct hps_reading *r, bool counted);
void hps_authority_judge(struct hps_verifier *v);
void hps_authority_release(struct hps_authority *a);

void hps_verify_handovers(struct hps_verifier *v); /* handover.c: the log's keys changed at trees that are the beginning of this one */
void hps_verify_attested(struct hps_verifier *v); /* attested.c: what others have signed is of this tree */
void hps_verify_witnessed(struct hps_verifier *v); /* attested.c: enough of them, and lately enough for the trust file */
/* Every file of the tree under tiles/tile/ but the ones that hps_verify_leaves() itself read. */
void hps_verify_tiles(struct hps_verifier *v);
/* Tree nodes, head and structure of ledger.db; the rows of entries are compared with each entry. The first begins what takes long; the
 * second uses v->hash up. */
void hps_verify_database_begin(struct hps_verifier *v);
void hps_verify_database(struct hps_verifier *v);
void hps_verify_database_row(struct hps_store *s, const struct hps_row *row, struct hps_problems *problems);
void hps_verify_manifests(const struct hps_entry *e, struct hps_strv *ret); /* what a trial's record names */
void hps_verify_objects(struct hps_verifier *v, const struct hps_reading *r);
/* Shares the writers' lock until the returned descriptor is closed; -1: there is none, or it is not ours to read. */
int hps_verify_pause_writers(int dirfd);
void hps_verify_read_journal(struct hps_verifier *v);
/* After the published entries hold: found->size and the root are then those of the newest signed checkpoint. */
void hps_verify_journal(struct hps_verifier *v);
void hps_verify_pending(struct hps_verifier *v, uint64_t index, const struct hps_journal_entry *pending);

/* ---- request.c, sequencer.c: what a writer asks of the holder of the lock --------------------------------------------------------------- */

#define HPS_REQUEST_MAX 200 /* statements */
#define HPS_ANSWER_LEN (HPS_DIGEST_LEN + 8) /* of each: id and index */
enum { HPS_REQUEST_SIGNED, HPS_REQUEST_BEGIN, HPS_REQUEST_FOREIGN };

/* An entry that is to be. */
struct hps_made {
	struct hps_journal_entry e;
	struct hps_buf leaf, envelope;
	const char *lease; /* of a begin entry: its file in running/ until it has an id */
	uint64_t index;
	bool is_old;	 /* it is in the ledger already, at `index` */
	size_t same_as;	 /* 1 + the place in this request of the same statement */
};
void hps_made_release(struct hps_made *m);
void hps_request_put(struct hps_buf *b, const void *data, size_t len);
bool hps_request_take(const struct hps_buf *b, size_t *at, const void **ret, size_t *ret_len);
int hps_request_check(const struct hps_buf *payload, struct hps_error *err) HPS_MUST; /* its length */
int hps_request_sign(struct hps_ledger *l, const struct hps_buf *payload, struct hps_made *m, struct hps_error *err) HPS_MUST;
/* With the lock, which is given back: answers this request and all that wait. */
int hps_sequencer_serve(struct hps_ledger *l, const struct hps_buf *request, struct hps_buf *answer, struct hps_error *err) HPS_MUST;

/* ---- append.c, service.c, remote.c, remote_lost.c: a ledger that several write to ------------------------------------------------------------------- */

/* Appends an envelope that somebody else has signed, when its key is enrolled for that kind: HPS_E_DENIED, HPS_E_SIGNATURE, HPS_E_FORMAT.
 * A begin entry with another counter than the next one of its key is HPS_E_AMBIGUOUS. */
int hps_ledger_submit(struct hps_ledger *l, const char *text, size_t len, char ret_id[65], uint64_t *ret_index, struct hps_error *err) HPS_MUST;

/* The HTTP interface (docs/FORMATS.md, "Shared ledger"): reading for everybody, writing for enrolled keys. */
struct hps_service;
/* l: opened for appending; must outlive it, as the passphrase of its keys (or NULL): the owner may replace them meanwhile. */
struct hps_service *hps_service_new(struct hps_ledger *l, const char *passphrase);
void hps_service_free(struct hps_service *s);
void hps_service_handle(void *service, const struct hps_serve_request *request, struct hps_serve_reply *reply);
#define HPS_OBJECT_UPLOAD_MAX ((size_t)64 << 20)
#define HPS_REQUEST_TYPE "application/vnd.hps.request+text" /* PAE type of what Authorization signs */

/* A recorder's side: --ledger URL stands for the directory hps/remote/<hash> of the state directory, with a statement key, the trust file, and
 * objects that have not been sent. */
bool hps_remote_is(const char *ledger); /* a URL */
char *hps_remote_dir(const char *url);
/* Makes that directory; *ret_draft is what the ledger's owner has to apply ('key apply'). */
int hps_remote_enrol(const char *url, const char *ca_file, const struct hps_strv *kinds, const char *passphrase, json_t **ret_draft, struct hps_error *err) HPS_MUST;
int hps_remote_open(struct hps_ledger *l, const char *url, const char *passphrase, struct hps_error *err) HPS_MUST;
/* A GET below the ledger's URL. */
int hps_remote_ask(const struct hps_ledger *l, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
/* hps_lease_sweep() for the recorders of this directory. What cannot be found out now is left for the next time. */
int hps_remote_sweep(struct hps_ledger *l, uint64_t *ret_n, struct hps_error *err) HPS_MUST;
/* Sends objects, then the statements, each signed here. */
int hps_remote_append(struct hps_ledger *l, const json_t *const *statements, size_t n, char (*ids)[65], uint64_t *indexes, struct hps_error *err) HPS_MUST;

/* ---- mirror.c, outlet.c: publication ----------------------------------------------------------------------------------------------------------- */

struct hps_publish {
	const char *target;	 /* a directory, or s3://BUCKET/PREFIX */
	const char *endpoint, *region, *credentials, *ca_file; /* of a bucket; credentials: a file with one line ID:SECRET */
	bool all;		 /* also what an earlier run has put there */
};
/* HPS_E_DAMAGED when more, or something else, is published there: nothing is changed then. What was withdrawn goes there, too. */
int hps_publish(struct hps_ledger *l, const struct hps_publish *options, uint64_t *ret_size, uint64_t *ret_files, struct hps_error *err) HPS_MUST;

struct hps_outlet {
	const struct hps_publish *o;
	int dirfd;	    /* of a directory, else -1 */
	char *base, *sigv4; /* of a bucket */
	struct hps_buf credentials;
};
int hps_outlet_open(struct hps_outlet *t, const struct hps_publish *o, struct hps_error *err) HPS_MUST;
void hps_outlet_close(struct hps_outlet *t); /* also when it could not be opened */
int hps_outlet_put(struct hps_outlet *t, const char *path, const struct hps_buf *bytes, struct hps_error *err) HPS_MUST;
int hps_outlet_get(struct hps_outlet *t, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err) HPS_MUST; /* HPS_E_NOTFOUND */
int hps_outlet_remove(struct hps_outlet *t, const char *path, struct hps_error *err) HPS_MUST; /* absent is no error */
int hps_outlet_sweep(const struct hps_outlet *t, struct hps_error *err) HPS_MUST; /* half-written files in a directory, after its checkpoint was put */

/* ---- lease.c ------------------------------------------------------------------------------------------------------------------------------ */

#define HPS_LEASE_NAME 22
/* The lease of a begin entry is locked under a name of its own, and gets the entry's id as a second one before the entry is stored: so
 * no sweep ever sees a begin entry without its owner. The first name goes when the owner knows (hps_lease_keep). */
int hps_lease_prepare(struct hps_ledger *l, char ret_name[HPS_LEASE_NAME], struct hps_error *err) HPS_MUST;
int hps_lease_name(struct hps_ledger *l, const char *name, const char *begin_id, struct hps_error *err) HPS_MUST;
bool hps_lease_named(struct hps_ledger *l, const char *name, char ret_id[HPS_DIGEST_HEX]); /* it has the second name */
void hps_lease_unname(struct hps_ledger *l, const char *begin_id); /* the entry was not stored after all */
void hps_lease_keep(struct hps_ledger *l, const char *name, const char *begin_id); /* for hps_lease_take() */
void hps_lease_drop(struct hps_ledger *l, const char *name);
void hps_lease_release_all(struct hps_ledger *l);
/* 0: locked; -EWOULDBLOCK: somebody holds it; -ESTALE: it has been removed meanwhile. */
int hps_lease_try(struct hps_ledger *l, const char *name, int *ret_fd) HPS_MUST;
int hps_lease_ended(struct hps_ledger *l, const char *begin_id, bool *ret, struct hps_error *err) HPS_MUST; /* by a trial or lost entry */
json_t *hps_lease_lost(const struct hps_entry *begin); /* the statement that ends it */

/* ---- spool.c: records that wait to be appended --------------------------------------------------------------------------------------------- */

struct hps_spooled {
	json_t *json; /* the rest lies in it */
	const json_t *statement, *manifests;
	char *ledger; /* the directory that it was meant for */
};
#define HPS_SPOOLED_INIT { NULL, NULL, NULL, NULL }
void hps_spooled_release(struct hps_spooled *s);
char *hps_spool_dir(void); /* heap */
/* HPS_E_FORMAT; HPS_E_DENIED when another user wrote it. */
int hps_spool_list(struct hps_strv *ret, struct hps_error *err) HPS_MUST; /* paths of all of them; none is no error */
int hps_spool_read(const char *path, struct hps_spooled *ret, struct hps_error *err) HPS_MUST;
/* Stores its manifests and appends its statement; what is there already is not there twice. */
/* Those that name this ledger. */
int hps_spool_push_own(struct hps_ledger *l, uint64_t *ret_n, struct hps_error *err) HPS_MUST;
int hps_spool_push(struct hps_ledger *l, const struct hps_spooled *s, char ret_id[65], uint64_t *ret_index, struct hps_error *err) HPS_MUST;

/* ---- complete.c: whether a study is complete ------------------------------------------------------------------------------------------------------- */

/* Number and RFC 6962 root of a study's entries so far, in index order; a leaf is the 32 bytes of an id. The closing entry has both. */
int hps_study_tree(struct hps_ledger *l, const char *study, uint64_t *ret_n, char ret_root[HPS_DIGEST_HEX], struct hps_error *err) HPS_MUST;

struct hps_completeness {
	uint64_t n_numbers, n_entries, n_holes;
	uint64_t last_index; /* of its entries */
	uint64_t counts[4]; /* results: complete, failed, killed, lost */
	char registered[HPS_DIGEST_HEX];
	struct hps_strv holes; /* what is missing or too much, in words; the first 1,000 */
};
void hps_completeness_release(struct hps_completeness *c);
/* Complete is what has no hole. Nothing is verified here. HPS_E_NOTFOUND: there is no such study. */
int hps_study_complete(struct hps_ledger *l, const char *study, struct hps_completeness *ret, struct hps_error *err) HPS_MUST;

/* ---- filesystem.c: where a ledger is written ------------------------------------------------------------------------------------------------------- */

/* HPS_E_DENIED on a file system that is not known to be local, unless it has been accepted for this ledger. */
int hps_filesystem_check(int dirfd, const char *dir, struct hps_error *err) HPS_MUST;
int hps_filesystem_accept(int dirfd, bool *ret_unsafe, struct hps_error *err) HPS_MUST; /* true: it had to be */
int hps_filesystem_record(struct hps_ledger *l, struct hps_error *err) HPS_MUST; /* as an entry */

/* ---- gc.c: what no entry refers to ----------------------------------------------------------------------------------------------------------------- */

/* Everything older than min_age_ns, and than the oldest trial that is running, that no statement, spooled record or manifest names. */
int hps_ledger_collect(struct hps_ledger *l, int64_t min_age_ns, bool dry_run, struct hps_sweep_result *ret, struct hps_error *err) HPS_MUST;

/* ---- withdraw.c: bodies that go -------------------------------------------------------------------------------------------------------------------- */

/* Appends the withdrawal (once), then removes envelope file and row. ret: the entry, without a statement if it was withdrawn before. */
int hps_ledger_withdraw(struct hps_ledger *l, const char *id, const char *reason, struct hps_entry *ret, struct hps_error *err) HPS_MUST;

#endif
