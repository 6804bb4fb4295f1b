/* ledger.db, as the rest of the ledger knows it. */
#ifndef HPS_LEDGER_DATABASE_H
#define HPS_LEDGER_DATABASE_H

#include "hps/ledger.h"
#include "ledger/tree.h"

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

#endif
