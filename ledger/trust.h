/* Whom a verifier trusts, also after the log's key was replaced. */
#ifndef HPS_LEDGER_TRUST_H
#define HPS_LEDGER_TRUST_H

#include "ledger/note.h"

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
/* What else than statements the trust file has that key for: "root", "log" (also a former one) or "witness"; NULL: nothing. One key has one role. */
const char *hps_trust_role(const struct hps_trust *t, const char *keyid);
int hps_trust_check_roles(const struct hps_trust *t, struct hps_error *err) HPS_MUST; /* HPS_E_FORMAT when a key has two */
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
 * they are not, nothing changes. HPS_E_FORMAT, HPS_E_SIGNATURE; of a trust file also when a key that was handed over to has another role in it. */
int hps_vkey_follow(struct hps_vkey *v, const struct hps_strv *notes, struct hps_error *err) HPS_MUST;
void hps_vkey_handovers(const struct hps_vkey *v, struct hps_strv *ret); /* the notes that v was made by */
int hps_trust_follow(struct hps_trust *t, const struct hps_strv *notes, struct hps_error *err) HPS_MUST;
int hps_trust_follow_tiles(struct hps_trust *t, const struct hps_tiles *tiles, uint64_t *ret_n /* how many are there; may be NULL */, struct hps_error *err) HPS_MUST;

#endif
