/* The ledger: append signed statements, find them again, verify everything.
 *
 * A ledger is a directory (docs/FORMATS.md, "Ledger"). An entry is one in-toto v1 statement in a DSSE envelope. Its id is
 * the SHA-256 of the envelope's pre-authentication encoding (PAE), in 64 lower-case hex digits; its index is its leaf
 * number in the Merkle tree. What hps_ledger_append() has returned is in a signed checkpoint on disk: durable against
 * kill and power cut. It is published in tiles/ after a second of further appends (five, while others wait to append), when anything is
 * read, or when the last who appends has called hps_ledger_close(). Any number of processes may append at once.
 *
 * Reading checks what it reads: each envelope against the id, the id against the leaf. Whether the tree, the
 * checkpoint and every signature hold is hps_ledger_verify()'s question; it needs neither the database nor the keys, only
 * `tiles/` and a trust file.
 *
 * A handle belongs to one thread and is not carried across fork().
 */
#ifndef HPS_LEDGER_H
#define HPS_LEDGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "hps/error.h"

struct hps_ledger;
struct hps_objects;

/* The predicate types that hps writes; the entry's kind is the word in the middle. */
#define HPS_PREDICATE_BEGIN "urn:hps:begin:v1"
#define HPS_PREDICATE_TRIAL "urn:hps:trial:v1"
#define HPS_PREDICATE_LOST "urn:hps:lost:v1"
#define HPS_PREDICATE_SEARCH "urn:hps:search:v1" /* kind "search"; predicate.event: register, commit, result, stop */
#define HPS_PREDICATE_NOTE "urn:hps:note:v1" /* predicate.text, for people */
#define HPS_PREDICATE_WITHDRAW "urn:hps:withdraw:v1" /* predicate.withdrawn, .index, .reason: the body of that entry is gone */
#define HPS_PREDICATE_VERDICT "https://slsa.dev/verification_summary/v1" /* kind "verdict" */

/* The directory chosen by --ledger (may be NULL), else HPS_LEDGER, else $XDG_STATE_HOME/hps/ledger, else
 * ~/.local/state/hps/ledger. Heap. */
char *hps_ledger_path(const char *option);

struct hps_ledger_init {
	const char *origin;	/* NULL: "localhost/<user>/<directory name>" */
	const char *passphrase; /* for the keys; NULL: in clear */
	bool unsafe_filesystem; /* also where locks and flushes cannot be relied on; the first entry says so */
};
/* Creates DIR (or fills an empty one) with keys, trust file, database and the signed checkpoint of the empty tree.
 * -EEXIST when DIR holds anything. Nothing half-made stays. */
int hps_ledger_create(const char *dir, const struct hps_ledger_init *init, struct hps_error *err) __attribute__((warn_unused_result));

enum hps_ledger_flags {
	HPS_LEDGER_READ = 0,
	HPS_LEDGER_APPEND = 1 << 0, /* the keys are loaded: statement and log key */
};
/* HPS_E_NOTFOUND: no ledger there (the message says how to make one). HPS_E_DENIED: another user owns it. */
int hps_ledger_open(const char *dir, unsigned flags, const char *passphrase, struct hps_ledger **ret, struct hps_error *err)
	__attribute__((warn_unused_result));
void hps_ledger_close(struct hps_ledger *l);
void hps_cleanup_ledger(struct hps_ledger **l);

/* The content store of this ledger; belongs to the handle. NULL when it is not there (published copies). */
struct hps_objects *hps_ledger_objects(struct hps_ledger *l);
const char *hps_ledger_dir(const struct hps_ledger *l);
const char *hps_ledger_origin(const struct hps_ledger *l);
const char *hps_ledger_keyid(const struct hps_ledger *l); /* of the statement key; "" without HPS_LEDGER_APPEND */

/* The key of the recorder's keyed tags for redacted values (docs/FORMATS.md, "Ledger"). Wipe it after use. */
int hps_ledger_redact_key(struct hps_ledger *l, uint8_t ret[32], struct hps_error *err) __attribute__((warn_unused_result));

/* An entry as read back. Strings belong to the entry. */
struct hps_entry {
	uint64_t index;
	char id[65];
	char *kind;	    /* begin, trial, lost, search, verdict; or the whole predicate type of a foreign statement */
	char *study;	    /* predicate.study, or NULL */
	int64_t number;	    /* predicate.number, or -1 */
	char *event;	    /* predicate.event, or NULL */
	char *begin;	    /* predicate.begin (trial, lost: id of the begin entry), or NULL */
	json_t *statement;  /* the whole in-toto statement */
	char *keyid;	    /* of the signing key: hex SHA-256 of its SPKI */
};
void hps_entry_release(struct hps_entry *e);

/* Signs `statement` with the statement key and appends it. On success *ret_id (65 bytes; may be NULL) and *ret_index (may be
 * NULL) name the entry, which is durable. On failure nothing of it is in the ledger, or (power cut, kill, I/O error) the whole.
 * A statement that is there already, byte for byte, is not appended again: its old index is returned.
 *
 * Two things happen here because only the holder of the ledger's lock can do them right. A begin entry gets its
 * `predicate.counter` (what the caller put there is replaced). And its lease is taken before it is stored, so that no other
 * process ever sees it without its owner: fetch it with hps_lease_take(). */
int hps_ledger_append(struct hps_ledger *l, const json_t *statement, char ret_id[65], uint64_t *ret_index, struct hps_error *err)
	__attribute__((warn_unused_result));

/* The same for several at once: all of them or none, under one checkpoint, for the price of one. ret_ids and ret_indexes (may be
 * NULL) hold n each. At most 200. */
int hps_ledger_append_all(struct hps_ledger *l, const json_t *const *statements, size_t n, char (*ret_ids)[65], uint64_t *ret_indexes,
			  struct hps_error *err) __attribute__((warn_unused_result));

/* A statement skeleton: {"_type", "subject": [], "predicateType", "predicate": {"nonce", "time"}} with a fresh nonce. */
json_t *hps_statement_new(const char *predicate_type);

/* By "@N", a whole id, or a unique prefix of at least 6 hex digits. HPS_E_NOTFOUND, HPS_E_AMBIGUOUS, HPS_E_USAGE. */
int hps_ledger_find(struct hps_ledger *l, const char *id, struct hps_entry *ret, struct hps_error *err)
	__attribute__((warn_unused_result));
/* The same for whoever wants a trial: the id of a begin entry stands for the trial that ended it (HPS_E_NOTFOUND with
 * "has not ended" while there is none); any other kind is HPS_E_USAGE. */
int hps_ledger_find_trial(struct hps_ledger *l, const char *id, struct hps_entry *ret, struct hps_error *err)
	__attribute__((warn_unused_result));

/* All fields may be NULL/-1: no condition. */
struct hps_filter {
	const char *kind, *study, *event, *begin;
	int64_t number;	     /* -1: any */
	uint64_t from_index; /* 0: from the start */
	uint64_t newest;     /* of those that fit only so many, from the end; 0: all */
};
#define HPS_FILTER_ANY { NULL, NULL, NULL, NULL, -1, 0, 0 }
/* Calls fn for each entry in index order; stops when it returns non-zero and returns that (fn sets err when negative). */
int hps_ledger_each(struct hps_ledger *l, const struct hps_filter *filter,
		    int (*fn)(const struct hps_entry *entry, void *arg, struct hps_error *err), void *arg, struct hps_error *err)
	__attribute__((warn_unused_result));
uint64_t hps_ledger_size(struct hps_ledger *l); /* entries under the newest signed checkpoint */
/* Root hash of the newest signed checkpoint in hex. */
int hps_ledger_root(struct hps_ledger *l, char ret_hex[65], struct hps_error *err) __attribute__((warn_unused_result));

/* What verification found. A problem names the entry (index, or -1) and the file, and says what is wrong; or, `unread`, why nobody can say here:
 * a file that this user may not read, no descriptors or memory left, or what hangs on such a file. */
struct hps_problem {
	bool unread;
	int64_t index;
	char *id;   /* of the entry when known, else NULL */
	char *file; /* relative to the ledger, or NULL */
	char *what;
};
struct hps_verification {
	uint64_t size;	    /* of the checkpoint */
	char root[65];	    /* of the checkpoint, hex */
	char *origin;
	uint64_t n_pending; /* of these, acknowledged in the journal but not in tiles/ yet */
	char published[65]; /* root of the others, hex */
	uint64_t n_checked; /* entries whose envelope, signature and leaf hold */
	char (*withdrawn)[65]; /* ids of entries whose bodies are gone, and of which an entry says so */
	size_t n_withdrawn;
	uint64_t n_objects; /* objects named by records that are there and whole */
	bool bodies_checked;   /* false: skipped */
	bool objects_checked;  /* false: skipped, or a published copy without objects/ */
	bool database_checked; /* false: no ledger.db, or not readable here */
	struct hps_problem *problems;
	size_t n_problems, n_unread; /* all, and those that are no damage */
	uint64_t unread_from[3]; /* of each kind of what others hang on (ledger/verify.h): the first index that could not be read, and one; 0: all could */
	uint64_t witnessed; /* entries under the newest checkpoint that the trust file's quorum has cosigned; 0 when it asks for none */
	int unwitnessed;    /* not 0: the trust file asks for more. HPS_E_UNDECIDED: cosignatures are missing; HPS_E_FALSE: they are too old */
	char *unwitnessed_why; /* then: which */
	bool asks_witnesses;   /* the trust file has a quorum */
	bool closed;	       /* and says that nothing is to be given out that it has not cosigned */
};
/* Which checkpoints lack what the trust file asks of witnesses, in words (heap); NULL: none does. Where that is not `unwitnessed`, the trust
 * file leaves it open. */
char *hps_verification_lacks(const struct hps_verification *v);
struct hps_verify_options {
	const char *trust; /* path of the trust file; NULL: <dir>/trust.json */
	bool skip_objects; /* do not read the content store */
	bool skip_bodies;  /* of envelopes look only whether they are there; statements, signatures and database rows are not checked */
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* entries; may be NULL */
	void *progress_arg;
	unsigned threads; /* that read entries; 0: one for each processor that may be used. What is found does not depend on it */
};
/* From the files alone. Returns 0 with n_problems == 0 when everything holds; 0 with n_problems > 0 when something does not, or (all of them
 * are unread) cannot be decided here; negative only when nothing could be checked at all (no checkpoint, no trust file). Whether enough witnesses vouch for it is apart:
 * `unwitnessed`. */
int hps_ledger_verify(const char *dir, const struct hps_verify_options *options, struct hps_verification *ret, struct hps_error *err)
	__attribute__((warn_unused_result));
void hps_verification_release(struct hps_verification *v);

/* Opens for reading what has been verified, by the same trust file (`trust` is that of the options): whoever can write to the directory may have
 * changed it since. Without a database exactly the entries of `v` are read, each of which then is, by the root, what it was. Of a ledger of one's
 * own they are the first ones, and what was appended since is there, too. HPS_E_DAMAGED, HPS_E_SIGNATURE or (an envelope went) HPS_E_UNDECIDED when
 * it is something else. With a trust file it may be another user's, and is read like a published copy: its database and journal are not opened,
 * nothing is written. When `v` has problems, what can still be read is. */
int hps_ledger_open_verified(const char *dir, const char *trust, const struct hps_verification *v, struct hps_ledger **ret, struct hps_error *err)
	__attribute__((warn_unused_result));

/* ---- running trials (lease.c) ----
 * A recorder holds <ledger>/running/<begin id> locked for as long as it lives. A begin entry without an end whose file is
 * not locked belongs to a dead recorder. hps_ledger_append() takes the lease of a begin entry before it stores it. */

/* Hands the lease to the caller, who keeps the descriptor (it closes at exec, and must not outlive the recorder in a child). */
int hps_lease_take(struct hps_ledger *l, const char *begin_id, int *ret_fd, struct hps_error *err) __attribute__((warn_unused_result));
/* Whether a living recorder holds it; asks without leaving anything behind, also of a ledger that was opened for reading only. */
bool hps_lease_held(struct hps_ledger *l, const char *begin_id);
/* After the end entry is durable: removes the file and closes the descriptor. */
void hps_lease_end(struct hps_ledger *l, const char *begin_id, int fd);
/* Appends a `lost` entry for each begin entry of a dead recorder; ret_n (may be NULL) counts them. Needs HPS_LEDGER_APPEND. */
int hps_lease_sweep(struct hps_ledger *l, uint64_t *ret_n, struct hps_error *err) __attribute__((warn_unused_result));
/* Is the record of that trial kept aside here, because its ledger could not take it? hps-ledger push appends it. */
bool hps_spool_has(const char *begin_id);

#endif
