/* What an entry is: a statement in an envelope, and its leaf. */
#ifndef HPS_LEDGER_STATEMENT_H
#define HPS_LEDGER_STATEMENT_H

#include "core/core.h"
#include "hps/ledger.h"

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

#endif
