/* What holds and what does not. */
#ifndef HPS_LEDGER_VERIFY_H
#define HPS_LEDGER_VERIFY_H

#include "hps/ledger.h"
#include "ledger/database.h"
#include "ledger/journal.h"
#include "ledger/trust.h"

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
/* What is wrong unless an entry before `before` says otherwise: undecided when something of these kinds could not be read of such an entry.
 * Nothing else that could not be read is an excuse. The journal counts as being before everything. */
enum hps_unread_kind { HPS_UNREAD_ENVELOPES = 1 << 0, HPS_UNREAD_LEAVES = 1 << 1 /* bundles, and tiles of their hashes */, HPS_UNREAD_JOURNAL = 1 << 2 };
void hps_problem_add_if_read(struct hps_verifier *v, unsigned kinds, uint64_t before, int64_t index, const char *id, const char *file, const char *format, ...)
	__attribute__((format(printf, 7, 8)));

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

/* ---- fsck.c, rebuild.c ------------------------------------------------------------------------------------------------------------------ */

/* hps_ledger_verify(), and what only the owner can compare. With skip_bodies everything is read after all as soon as something is wrong. */
int hps_ledger_fsck(const char *dir, const struct hps_verify_options *options, struct hps_verification *ret, struct hps_error *err) HPS_MUST;
/* ledger.db again, out of tiles/; what was there stays as ledger.db.damaged. The journal is not touched. On failure nothing is. */
int hps_ledger_rebuild(const char *dir, uint64_t *ret_size, struct hps_error *err) HPS_MUST;

#endif
