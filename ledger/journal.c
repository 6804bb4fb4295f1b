/* The journal: batches of entries that are signed and acknowledged, and wait to be moved into ledger.db and tiles/. One batch is
 * one write and one flush, which is all that an acknowledgement needs. docs/FORMATS.md ("Journal") has the bytes. */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER HPS_JOURNAL_HEADER
#define BATCH_HEADER HPS_BATCH_HEADER
#define ENTRY_HEADER (2 * HPS_DIGEST_LEN + 16)
#define BATCH_MAX ((uint64_t)512 << 20)
#define AHEAD_MAX ((uint64_t)256 << 10)

static const char journal_magic[16] = "hps.journal/1\n";
static const char batch_magic[8] = "hpsbatch";
/* Behind the last batch: what an earlier use of the file left further on is nothing then, and an unfinished batch shows. */
static const char mark_of_end[sizeof batch_magic] = { 0 };

static uint64_t get(const void *from, size_t n)
{
	const uint8_t *b = from;
	uint64_t x = 0;

	for (size_t i = 0; i < n; i++)
		x = x << 8 | b[i];
	return x;
}

static void put(void *to, size_t n, uint64_t x)
{
	uint8_t *b = to;

	for (size_t i = n; i-- > 0; x >>= 8)
		b[i] = (uint8_t)x;
}

/* ---- bytes in and out ---- */

static int failed(struct hps_error *err, const char *doing)
{
	return hps_error_errno(err, "the ledger's journal: %s", doing);
}

static int write_at(int fd, const void *data, size_t len, uint64_t at, struct hps_error *err)
{
	const char *from = data;

	while (len) {
		ssize_t n = pwrite(fd, from, len, (off_t)at);

		if (n < 0 && errno != EINTR)
			return failed(err, "writing");
		if (n > 0) {
			from += n;
			at += (uint64_t)n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* Appends up to len bytes to the buffer; *ret_all says whether there were so many. */
static int read_at(int fd, struct hps_buf *b, size_t len, uint64_t at, bool *ret_all, struct hps_error *err)
{
	char *to = hps_buf_reserve(b, len);
	size_t have = 0;
	ssize_t n;

	*ret_all = false;
	if (!to)
		return hps_error_set(err, HPS_E_LIMIT, "the ledger's journal: a batch of %zu bytes is too large", len);
	while (have < len && (n = pread(fd, to + have, len - have, (off_t)(at + have))) != 0) {
		if (n < 0 && errno != EINTR)
			return failed(err, "reading");
		if (n > 0)
			have += (size_t)n;
	}
	*ret_all = have == len;
	b->len += have;
	b->data[b->len] = '\0';
	return 0;
}

/* ---- a batch ---- */

void hps_batch_release(struct hps_batch *b)
{
	hps_buf_release(&b->bytes);
}

int hps_journal_read(int fd, uint64_t at, struct hps_batch *ret, struct hps_error *err)
{
	struct hps_buf *b = &ret->bytes;
	struct hps_digest hash;
	uint64_t note_len;
	struct stat s;
	bool all;
	int r;

	hps_buf_reset(b);
	if (fstat(fd, &s))
		return failed(err, "reading");
	r = read_at(fd, b, BATCH_HEADER, at, &all, err);
	if (r || !all || memcmp(b->data, batch_magic, sizeof batch_magic) != 0)
		return r;
	ret->from = get(b->data + 8, 8);
	ret->to = get(b->data + 16, 8);
	ret->entries_len = get(b->data + 24, 8);
	memcpy(ret->before.b, b->data + 32, HPS_DIGEST_LEN);
	if (ret->from >= ret->to || ret->entries_len > (uint64_t)s.st_size)
		return 0;
	r = read_at(fd, b, ret->entries_len + 4, at + BATCH_HEADER, &all, err);
	if (r || !all)
		return r;
	note_len = get(b->data + b->len - 4, 4);
	ret->note_at = b->len;
	if (note_len > HPS_NOTE_MAX)
		return 0;
	r = read_at(fd, b, note_len + HPS_DIGEST_LEN, at + b->len, &all, err);
	if (r || !all)
		return r;
	ret->note_len = note_len;
	ret->end = at + b->len;
	hps_digest_of(b->data, b->len - HPS_DIGEST_LEN, &hash);
	return memcmp(hash.b, b->data + b->len - HPS_DIGEST_LEN, HPS_DIGEST_LEN) == 0;
}

bool hps_batch_next(const struct hps_batch *b, size_t *at, struct hps_journal_entry *ret)
{
	const uint8_t *from = (const uint8_t *)b->bytes.data + BATCH_HEADER + *at;
	size_t left = b->entries_len - *at;

	if (left < ENTRY_HEADER)
		return false;
	memcpy(ret->id.b, from, HPS_DIGEST_LEN);
	memcpy(ret->keyid.b, from + HPS_DIGEST_LEN, HPS_DIGEST_LEN);
	ret->counter = (int64_t)get(from + 64, 8);
	ret->leaf_len = get(from + 72, 4);
	ret->envelope_len = get(from + 76, 4);
	if (left - ENTRY_HEADER < ret->leaf_len + ret->envelope_len)
		return false;
	ret->leaf = from + ENTRY_HEADER;
	ret->envelope = from + ENTRY_HEADER + ret->leaf_len;
	*at += ENTRY_HEADER + ret->leaf_len + ret->envelope_len;
	return true;
}

void hps_batch_begin(struct hps_buf *batch)
{
	static const char blank[BATCH_HEADER] = { 0 };

	hps_buf_reset(batch);
	hps_buf_add(batch, blank, sizeof blank);
}

void hps_batch_add(struct hps_buf *batch, const struct hps_journal_entry *e)
{
	uint8_t numbers[16];

	put(numbers, 8, (uint64_t)e->counter);
	put(numbers + 8, 4, e->leaf_len);
	put(numbers + 12, 4, e->envelope_len);
	hps_buf_add(batch, e->id.b, sizeof e->id.b);
	hps_buf_add(batch, e->keyid.b, sizeof e->keyid.b);
	hps_buf_add(batch, numbers, sizeof numbers);
	hps_buf_add(batch, e->leaf, e->leaf_len);
	hps_buf_add(batch, e->envelope, e->envelope_len);
}

/* ---- what is pending, in memory ---- */

void hps_journal_learn(struct hps_journal *j, const struct hps_journal_entry *e)
{
	char hex[HPS_DIGEST_HEX];
	struct hps_digest hash;

	hps_digest_hex(&e->id, hex);
	*hps_map_slot(&j->ids, hex) = (void *)((uintptr_t)j->tree.size + 1);
	if (e->counter >= 0) {
		hps_digest_hex(&e->keyid, hex);
		*hps_map_slot(&j->counters, hex) = (void *)((uintptr_t)e->counter + 1);
	}
	hps_merkle_leaf(e->leaf, e->leaf_len, &hash);
	hps_merkle_add(&j->tree, &hash, NULL);
}

void hps_journal_forget(struct hps_journal *j)
{
	hps_map_release(&j->ids);
	hps_map_release(&j->counters);
	j->ids = j->counters = (struct hps_map)HPS_MAP_INIT;
	j->loaded = false;
}

/* ---- loading: what other writers have added, or all of it ---- */

bool hps_journal_header(int fd, uint64_t *ret_base, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	bool all;

	if (read_at(fd, &b, HEADER, 0, &all, err) || !all || memcmp(b.data, journal_magic, sizeof journal_magic) != 0)
		return false;
	*ret_base = get(b.data + 16, 8);
	return true;
}

int hps_journal_restart(struct hps_ledger *l, struct hps_error *err)
{
	struct hps_journal *j = &l->journal;
	char header[HEADER + sizeof mark_of_end] = { 0 };
	struct hps_merkle tree = j->tree;
	int r;

	memcpy(header, journal_magic, sizeof journal_magic);
	put(header + 16, 8, tree.size);
	r = write_at(j->fd, header, sizeof header, 0, err);
	hps_journal_forget(j);
	j->tree = tree;
	j->base = tree.size;
	j->end = j->settled = HEADER;
	j->loaded = !r;
	return r;
}

/* A batch continues the tree, or has been settled by a writer that was killed before it restarted the journal. What is older than the
 * base, or fits nowhere, is what an earlier use of the file left behind. */
static int take_batch(struct hps_journal *j, const struct hps_batch *b, struct hps_error *err)
{
	struct hps_journal_entry e;
	struct hps_digest root;
	size_t at = 0;

	if (b->from < j->base)
		return 0;
	if (b->to <= j->tree.size)
		return 1;
	hps_merkle_root(&j->tree, &root);
	if (b->from != j->tree.size || !hps_digest_equal(&root, &b->before))
		return 0;
	while (hps_batch_next(b, &at, &e))
		hps_journal_learn(j, &e);
	return j->tree.size == b->to ? 1 : hps_error_set(err, HPS_E_DAMAGED, "the ledger's journal: a batch does not hold what it says; 'hps-ledger verify' shows what still holds");
}

static int scan(struct hps_ledger *l, struct hps_error *err)
{
	struct hps_journal *j = &l->journal;
	_cleanup_(hps_batch_release) struct hps_batch b = HPS_BATCH_INIT;
	int r;

	while ((r = hps_journal_read(j->fd, j->end, &b, err)) > 0 && (r = take_batch(j, &b, err)) > 0)
		j->end = b.end;
	return r;
}

static int load_all(struct hps_ledger *l, bool there, uint64_t base, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_store_node, l->store };
	struct hps_journal *j = &l->journal;
	struct hps_merkle tree;
	int r = hps_merkle_load(&source, l->size, &tree, err);

	if (r)
		return r;
	hps_journal_forget(j);
	j->tree = tree;
	if (there && base > tree.size)
		return hps_error_set(err, HPS_E_DAMAGED, "ledger.db has %llu entries, but the journal continues %llu: it is an older copy; restore the newer one, or "
				     "'hps-ledger fsck --rebuild' if tiles/ is whole", (unsigned long long)tree.size, (unsigned long long)base);
	if (!there)
		return hps_journal_restart(l, err);
	j->base = base;
	j->end = j->settled = HEADER;
	r = scan(l, err);
	j->loaded = !r;
	return r;
}

int hps_journal_load(struct hps_ledger *l, struct hps_error *err)
{
	struct hps_journal *j = &l->journal;
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	uint64_t base = 0;
	bool there = hps_journal_header(j->fd, &base, &e);
	int r;

	if (e.code)
		return hps_error_set(err, e.code, "%s", e.message);
	if (j->loaded && there && base == j->base) {
		r = scan(l, err);
	} else {
		r = hps_ledger_recover(l, err);
		if (!r)
			r = load_all(l, there, base, err);
	}
	if (r)
		j->loaded = false;
	return r;
}

bool hps_journal_torn(const struct hps_ledger *l)
{
	const struct hps_journal *j = &l->journal;
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	bool all;

	return j->fd >= 0 && !read_at(j->fd, &b, sizeof mark_of_end, j->end, &all, NULL) && b.len && memcmp(b.data, mark_of_end, b.len) != 0;
}

bool hps_journal_pending(const struct hps_ledger *l)
{
	struct stat s;

	return l->journal.fd >= 0 && fstat(l->journal.fd, &s) == 0 && s.st_size > (off_t)(HEADER + sizeof mark_of_end);
}

/* ---- writing ---- */

/* What was half written is as if it had never been. */
static void cut(struct hps_journal *j)
{
	if (ftruncate(j->fd, (off_t)j->end))
		(void)!write_at(j->fd, mark_of_end, sizeof mark_of_end, j->end, NULL);
	hps_journal_forget(j);
}

/* From the bytes that the file gives back, not from those that were meant. */
static int read_again(struct hps_journal *j, size_t len, const struct hps_merkle *before, struct hps_batch *b, struct hps_digest *ret_root, struct hps_error *err)
{
	struct hps_merkle tree = *before;
	struct hps_journal_entry e;
	struct hps_digest hash;
	size_t at = 0;
	bool all;
	int r = read_at(j->fd, &b->bytes, len, j->end, &all, err);

	if (r)
		return r;
	b->entries_len = b->bytes.len - BATCH_HEADER;
	while (all && hps_batch_next(b, &at, &e)) {
		hps_merkle_leaf(e.leaf, e.leaf_len, &hash);
		hps_merkle_add(&tree, &hash, NULL);
	}
	hps_merkle_root(&tree, ret_root);
	return 0;
}

static int sign(struct hps_ledger *l, const struct hps_merkle *after, const struct hps_digest *again, struct hps_buf *note, struct hps_error *err)
{
	struct hps_checkpoint c = { .origin = l->trust.origin, .size = after->size };

	if (c.size > HPS_LEDGER_SIZE_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "the ledger is full");
	hps_merkle_root(after, &c.root);
	if (!hps_digest_equal(&c.root, again))
		return hps_error_set(err, HPS_E_DAMAGED, "the ledger's journal: what was written is not what can be read back; nothing was signed");
	return hps_checkpoint_sign(&c, l->log_key, note, err);
}

/* Zeros for what comes next: a flush of bytes that the file has already need not wait for its length as well. As much as there is before
 * them, so that a file that is written once stays small; where there is no room it goes without. */
static void write_ahead(const struct hps_journal *j, uint64_t end)
{
	uint64_t ahead = end < AHEAD_MAX ? end : AHEAD_MAX;
	_cleanup_free_ char *zeros = NULL;
	struct stat s;

	if (fstat(j->fd, &s) || (uint64_t)s.st_size >= end)
		return;
	zeros = hps_alloc(ahead);
	(void)!write_at(j->fd, zeros, ahead, end, NULL);
}

static int write_batch(struct hps_ledger *l, struct hps_buf *batch, const struct hps_merkle *before, struct hps_error *err)
{
	struct hps_journal *j = &l->journal;
	_cleanup_(hps_batch_release) struct hps_batch b = HPS_BATCH_INIT;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_digest again, hash;
	size_t entries = batch->len;
	uint8_t len[4];
	int r = write_at(j->fd, batch->data, batch->len, j->end, err);

	if (!r)
		r = read_again(j, batch->len, before, &b, &again, err);
	if (!r)
		r = sign(l, &j->tree, &again, &note, err);
	if (r)
		return r;
	put(len, sizeof len, note.len);
	hps_buf_add(&b.bytes, len, sizeof len);
	hps_buf_add(&b.bytes, note.data, note.len);
	hps_digest_of(b.bytes.data, b.bytes.len, &hash);
	hps_buf_add(&b.bytes, hash.b, sizeof hash.b);
	hps_buf_add(&b.bytes, mark_of_end, sizeof mark_of_end);
	r = write_at(j->fd, b.bytes.data + entries, b.bytes.len - entries, j->end + entries, err);
	if (r)
		return r;
	write_ahead(j, j->end + b.bytes.len);
	if (fdatasync(j->fd)) {
		l->poisoned = true;
		return failed(err, "flushing");
	}
	j->end += b.bytes.len - sizeof mark_of_end;
	return 0;
}

int hps_journal_write(struct hps_ledger *l, struct hps_buf *batch, const struct hps_merkle *before, struct hps_error *err)
{
	struct hps_digest root;
	int r;

	hps_merkle_root(before, &root);
	memcpy(batch->data, batch_magic, sizeof batch_magic);
	put(batch->data + 8, 8, before->size);
	put(batch->data + 16, 8, l->journal.tree.size);
	put(batch->data + 24, 8, batch->len - BATCH_HEADER);
	memcpy(batch->data + 32, root.b, HPS_DIGEST_LEN);
	r = batch->full || batch->len > BATCH_MAX ? hps_error_set(err, HPS_E_LIMIT, "more than %llu bytes at once", (unsigned long long)BATCH_MAX)
						  : write_batch(l, batch, before, err);
	if (r)
		cut(&l->journal);
	return r;
}
