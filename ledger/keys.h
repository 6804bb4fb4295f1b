/* Keys: where their private parts are, who may sign what, and how that changes. */
#ifndef HPS_LEDGER_KEYS_H
#define HPS_LEDGER_KEYS_H

#include "hps/ledger.h"
#include "ledger/trust.h"

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

#endif
