/* Settling: what the journal holds goes into ledger.db in one transaction and from there into tiles/. Everything here can be
 * stopped anywhere and is done again by whoever holds the lock next. */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 128 /* entries in one transaction, and what is left of the batch that has the last of them */

/* ---- from ledger.db to tiles/ ---- */

/* The tree that was published must be the beginning of the stored one. */
static int check_grown(struct hps_ledger *l, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_store_node, l->store };
	struct hps_merkle tree;
	struct hps_digest root;
	int r = hps_merkle_load(&source, l->size, &tree, err);

	if (r)
		return r;
	hps_merkle_root(&tree, &root);
	if (!hps_digest_equal(&root, &l->root))
		return hps_error_set(err, HPS_E_DAMAGED, "ledger.db does not continue the published checkpoint of size %llu; 'hps-ledger verify' shows what still holds",
				     (unsigned long long)l->size);
	return 0;
}

/* The note was signed and stored together with the entries that it covers: no key is needed here. */
static int check_note(struct hps_ledger *l, uint64_t size, const struct hps_digest *root, const struct hps_buf *note, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	int r = hps_checkpoint_open(note->data, note->len, &l->trust.log, &c, err);

	if (!r && (c.size != size || !hps_digest_equal(&c.root, root)))
		r = hps_error_set(err, HPS_E_DAMAGED, "the checkpoint of size %llu is of another tree than the stored entries", (unsigned long long)size);
	return r;
}

static int finish_publishing(struct hps_ledger *l, uint64_t size, const struct hps_digest *root, const struct hps_buf *note, struct hps_error *err)
{
	struct hps_publication p = HPS_PUBLICATION_INIT;
	int r = check_grown(l, err);

	if (!r)
		r = check_note(l, size, root, note, err);
	if (!r)
		r = hps_publication_stage(l, l->size, size, root, note, &p, err);
	if (!r)
		r = hps_publication_move(l, &p, err);
	return r ? r : hps_ledger_read_checkpoint(l, err);
}

int hps_ledger_recover(struct hps_ledger *l, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_digest root;
	uint64_t size;
	int r = hps_ledger_read_checkpoint(l, err);

	if (!r)
		r = hps_store_head(l->store, &size, &root, &note, err);
	if (r)
		return r;
	if (size > l->size)
		return finish_publishing(l, size, &root, &note, err);
	if (size < l->size || !hps_digest_equal(&root, &l->root))
		return hps_error_set(err, HPS_E_DAMAGED, "ledger.db (%llu entries) is not what was published (%llu entries): restore the newer copy of it",
				     (unsigned long long)size, (unsigned long long)l->size);
	return 0;
}

/* ---- from the journal to ledger.db ---- */

struct settling {
	struct hps_ledger *l;
	struct hps_merkle tree;
	struct hps_buf note;
	uint64_t from;
};

static int store_nodes(struct settling *s, const struct hps_journal_entry *e, struct hps_error *err)
{
	struct hps_digest hash, nodes[HPS_MERKLE_LEVELS];
	uint64_t index = s->tree.size;
	unsigned n;
	int r = 0;

	hps_merkle_leaf(e->leaf, e->leaf_len, &hash);
	n = hps_merkle_add(&s->tree, &hash, nodes);
	for (unsigned level = 0; !r && level < n; level++)
		r = hps_store_add_node(s->l->store, level, index >> level, &nodes[level], err);
	return r;
}

static int store_entry(struct settling *s, const struct hps_journal_entry *e, struct hps_error *err)
{
	_cleanup_(hps_envelope_release) struct hps_envelope envelope = HPS_ENVELOPE_INIT;
	_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
	_cleanup_json_ json_t *statement = NULL;
	struct hps_row row = { .index = s->tree.size, .id = e->id, .keyid = e->keyid, .leaf = e->leaf, .leaf_len = e->leaf_len,
			       .envelope = e->envelope, .envelope_len = e->envelope_len, .entry = &entry };
	int r = hps_envelope_read_stored((const char *)e->envelope, e->envelope_len, &envelope, err);

	if (!r)
		r = hps_json_parse(envelope.payload.data, envelope.payload.len, &statement, err);
	if (r)
		return r;
	hps_entry_fill(&entry, statement);
	r = hps_store_add(s->l->store, &row, err);
	return r ? r : store_nodes(s, e, err);
}

static int store_batch(struct settling *s, const struct hps_batch *b, struct hps_error *err)
{
	struct hps_journal_entry e;
	size_t at = 0;
	int r = 0;

	if (b->from != s->tree.size)
		return hps_error_set(err, HPS_E_DAMAGED, "the ledger's journal does not continue ledger.db");
	while (!r && hps_batch_next(b, &at, &e))
		r = store_entry(s, &e, err);
	hps_buf_reset(&s->note);
	hps_buf_add(&s->note, b->bytes.data + b->note_at, b->note_len);
	return r;
}

/* Some batches, whole ones, from *at on. */
static int store_some(struct settling *s, uint64_t *at, struct hps_error *err)
{
	struct hps_journal *j = &s->l->journal;
	_cleanup_(hps_batch_release) struct hps_batch b = HPS_BATCH_INIT;
	int r = 0;

	while (!r && *at < j->end && s->tree.size - s->from < AT_ONCE) {
		r = hps_journal_read(j->fd, *at, &b, err);
		if (r == 0)
			r = hps_error_set(err, HPS_E_DAMAGED, "the ledger's journal: a batch that was whole is no longer");
		if (r < 0)
			return r;
		r = b.to <= s->tree.size ? 0 : store_batch(s, &b, err);
		*at = b.end;
	}
	return r;
}

/* Signed already: what is checked is that the tree of what was stored now is the tree that was signed. */
static int stage(struct settling *s, struct hps_publication *p, struct hps_error *err)
{
	struct hps_digest root;
	int r;

	hps_merkle_root(&s->tree, &root);
	r = check_note(s->l, s->tree.size, &root, &s->note, err);
	if (!r)
		r = hps_store_set_head(s->l->store, s->tree.size, &root, &s->note, err);
	return r ? r : hps_publication_stage(s->l, s->l->size, s->tree.size, &root, &s->note, p, err);
}

static int settle_some(struct settling *s, uint64_t *at, struct hps_error *err)
{
	struct hps_publication p = HPS_PUBLICATION_INIT;
	struct hps_ledger *l = s->l;
	int r = hps_store_begin(l->store, err);

	if (r)
		return r;
	s->from = s->tree.size;
	r = store_some(s, at, err);
	if (!r && s->tree.size > s->from)
		r = stage(s, &p, err);
	if (!r)
		r = hps_store_commit(l->store, err);
	if (r || s->tree.size == s->from) {
		hps_store_rollback(l->store);
		hps_publication_discard(l, &p);
		return r;
	}
	r = hps_publication_move(l, &p, err);
	if (r)
		return r;
	l->size = s->tree.size;
	hps_merkle_root(&s->tree, &l->root);
	return 0;
}

static int settle(struct hps_ledger *l, bool all, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_store_node, l->store };
	struct settling s = { .l = l, .note = HPS_BUF_INIT };
	struct hps_journal *j = &l->journal;
	uint64_t at = j->loaded ? j->settled : HPS_JOURNAL_HEADER;
	bool more = true;
	int r = hps_ledger_recover(l, err);

	if (!r)
		r = hps_merkle_load(&source, l->size, &s.tree, err);
	while (!r && more && s.tree.size < j->tree.size && at < j->end) {
		r = settle_some(&s, &at, err);
		if (!r)
			j->settled = at;
		more = all;
	}
	hps_buf_release(&s.note);
	if (!r && s.tree.size == j->tree.size)
		r = hps_journal_restart(l, err);
	return r ? hps_error_prefix(err, "moving acknowledged entries into the ledger") : 0;
}

int hps_ledger_settle(struct hps_ledger *l, struct hps_error *err)
{
	return settle(l, true, err);
}

int hps_ledger_settle_some(struct hps_ledger *l, struct hps_error *err)
{
	return settle(l, false, err);
}

/* The journal's bytes, settled ones too, leave the disk: nothing of a statement stays where nobody looks for it. */
static void empty_journal(struct hps_ledger *l)
{
	if (ftruncate(l->journal.fd, 0) == 0)
		hps_journal_forget(&l->journal);
}

/* One of those who wait has a moment to wake up and take the lock. On failure it is not held. */
static int give_way(struct hps_ledger *l, struct hps_error *err)
{
	static const struct timespec moment = { 0, 1000000 };

	hps_ledger_unlock(l);
	nanosleep(&moment, NULL);
	return hps_ledger_lock(l, err);
}

/* Where there is much, others are let in between; not for ever. `leave`: what is left is left to them. */
static int settle_in_turns(struct hps_ledger *l, bool leave, struct hps_error *err)
{
	uint64_t turns = (l->journal.tree.size - l->size) / AT_ONCE;
	int r = 0;

	for (; !r && turns; turns--) {
		if (leave && hps_queue_has_waiting(&l->queue))
			break;
		r = hps_ledger_settle_some(l, err);
		if (!r && !leave && hps_queue_has_waiting(&l->queue) && (r = give_way(l, err)))
			return r;
	}
	if (!r && !turns)
		r = hps_ledger_settle(l, err);
	if (!r && !turns)
		empty_journal(l);
	hps_ledger_unlock(l);
	return r;
}

static int settle_all(struct hps_ledger *l, bool leave, struct hps_error *err)
{
	int r;

	if (!hps_journal_pending(l) || faccessat(l->dirfd, "journal", W_OK, 0))
		return 0;
	if (!l->queue.slots) /* who only reads has not needed it so far */
		hps_queue_open(&l->queue, l->dirfd);
	if (leave)
		hps_queue_leave(&l->queue);
	if (leave && hps_queue_is_busy(&l->queue))
		return 0;
	r = hps_ledger_lock(l, err);
	return r ? r : settle_in_turns(l, leave, err);
}

int hps_ledger_settle_all(struct hps_ledger *l, struct hps_error *err)
{
	return settle_all(l, false, err);
}

int hps_ledger_settle_rest(struct hps_ledger *l, struct hps_error *err)
{
	return settle_all(l, true, err);
}
