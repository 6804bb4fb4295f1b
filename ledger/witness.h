/* Others who watch: witnesses, time authorities, followers, and what they say against a log. */
#ifndef HPS_LEDGER_WITNESS_H
#define HPS_LEDGER_WITNESS_H

#include "hps/ledger.h"
#include "ledger/trust.h"

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

#endif
