/* What is handed out about one entry, and checked without the ledger. */
#ifndef HPS_LEDGER_EVIDENCE_H
#define HPS_LEDGER_EVIDENCE_H

#include "ledger/statement.h"
#include "ledger/trust.h"

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

#endif
