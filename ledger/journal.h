/* Acknowledging: one writer at a time, who serves all that wait, by one flush. */
#ifndef HPS_LEDGER_JOURNAL_H
#define HPS_LEDGER_JOURNAL_H

#include "hps/ledger.h"
#include "ledger/tree.h"

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

/* ---- memory.c: what the log key has signed, kept outside the ledger ---------------------------------------------------------------------- */

/* HPS_E_DAMAGED: this ledger is behind what its key has signed, or another than that. Once for each handle that appends. */
int hps_memory_check(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
void hps_memory_note(struct hps_ledger *l);
/* After a handover: a copy of the ledger that knows the former key alone is an older one. */
void hps_memory_close(struct hps_ledger *l);
bool hps_memory_recall(const struct hps_key *log_key, uint64_t *ret_size, struct hps_digest *ret_root); /* false: nothing is remembered */

#endif
