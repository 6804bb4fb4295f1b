/* Making ledger.db again out of tiles/. The journal is left as it is: whoever opens the ledger next moves on what it holds. The new
 * database gets its name when it is complete and gives the signed root, so that this can be killed anywhere. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DATABASE "ledger.db"
#define UNFINISHED DATABASE ".unfinished"

struct rebuild {
	const char *dir;
	int dirfd, lockfd;
	struct hps_trust trust;
	struct hps_tiles tiles;
	struct hps_buf note;
	struct hps_digest root;
	struct hps_store *store;
	struct hps_merkle tree;
};

static void release(struct rebuild *b)
{
	hps_store_close(b->store);
	hps_trust_release(&b->trust);
	hps_buf_release(&b->note);
	hps_cleanup_fd(&b->tiles.tilesfd);
	hps_cleanup_fd(&b->lockfd);
	hps_cleanup_fd(&b->dirfd);
}

static int open_parts(struct rebuild *b, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	int r = hps_ledger_open_dir(b->dir, &b->dirfd, err);

	if (!r)
		r = hps_ledger_check_owner(b->dirfd, b->dir, err);
	if (!r && faccessat(b->dirfd, "keys", F_OK, 0))
		r = hps_error_set(err, HPS_E_USAGE, "'%s' has no keys: it is a published copy, which needs no " DATABASE, b->dir);
	if (r)
		return r;
	b->lockfd = openat(b->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->lockfd < 0)
		return hps_error_errno(err, "opening the lock of the ledger '%s'", b->dir);
	while (flock(b->lockfd, LOCK_EX))
		if (errno != EINTR)
			return hps_error_errno(err, "locking the ledger '%s'", b->dir);
	r = hps_trust_read(b->dirfd, HPS_TRUST_FILE, &b->trust, err);
	if (!r)
		r = hps_dir_open(b->dirfd, "tiles", &b->tiles.tilesfd, err);
	if (!r)
		r = hps_trust_follow_tiles(&b->trust, &b->tiles, NULL, err);
	if (!r)
		r = hps_file_read(b->tiles.tilesfd, "checkpoint", HPS_NOTE_MAX, &b->note, err);
	if (!r)
		r = hps_checkpoint_open(b->note.data, b->note.len, &b->trust.log, &c, err);
	b->tiles.size = c.size;
	b->root = c.root;
	return r;
}

/* 0 with *ret_statement NULL: it has been withdrawn, or is lost, which the check afterwards tells apart. */
static int read_body(struct rebuild *b, const struct hps_leaf *leaf, struct hps_buf *text, json_t **ret_statement, struct hps_error *err)
{
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	char path[HPS_TILE_PATH];
	struct hps_digest id;
	int r;

	hps_envelope_path(&leaf->id, path);
	r = hps_file_read(b->tiles.tilesfd, path, HPS_ENVELOPE_MAX, text, err);
	if (r == -ENOENT) {
		hps_error_release(err);
		return 0;
	}
	if (!r)
		r = hps_envelope_read_stored(text->data, text->len, &e, err);
	if (r) {
		hps_error_prefix(err, "tiles/%s", path);
		return r;
	}
	hps_envelope_id(&e, &id);
	if (!hps_digest_equal(&id, &leaf->id))
		return hps_error_set(err, HPS_E_DAMAGED, "tiles/%s is not the statement that was logged", path);
	return hps_json_parse(e.payload.data, e.payload.len, ret_statement, err);
}

static int add_nodes(struct rebuild *b, const void *leaf, size_t len, struct hps_error *err)
{
	struct hps_digest hash, nodes[HPS_MERKLE_LEVELS];
	uint64_t index = b->tree.size;
	unsigned n;
	int r = 0;

	hps_merkle_leaf(leaf, len, &hash);
	n = hps_merkle_add(&b->tree, &hash, nodes);
	for (unsigned level = 0; !r && level < n; level++)
		r = hps_store_add_node(b->store, level, index >> level, &nodes[level], err);
	return r;
}

static int add_entry(struct rebuild *b, const void *data, size_t len, struct hps_error *err)
{
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *statement = NULL;
	struct hps_row row = { .index = b->tree.size, .leaf = data, .leaf_len = len, .entry = &entry };
	int r = hps_leaf_read(data, len, &leaf, err);

	if (!r)
		r = read_body(b, &leaf, &text, &statement, err);
	if (r)
		return r;
	if (statement)
		hps_entry_fill(&entry, statement);
	else
		entry.kind = hps_strdup("withdrawn");
	row.id = leaf.id;
	hps_digest_of(leaf.spki.data, leaf.spki.len, &row.keyid);
	row.envelope = text.data ? text.data : "";
	row.envelope_len = text.len;
	r = hps_store_add(b->store, &row, err);
	return r ? r : add_nodes(b, data, len, err);
}

static int add_bundle(struct rebuild *b, struct hps_error *err)
{
	uint64_t n = b->tree.size / HPS_TILE_WIDTH, end;
	struct hps_tile t = { .entries = true, .n = n, .width = hps_tile_width(0, n, b->tiles.size) };
	_cleanup_buf_ struct hps_buf bundle = HPS_BUF_INIT;
	int r = hps_tile_read(b->tiles.tilesfd, &t, &bundle, err);
	const uint8_t *leaf;
	size_t at = 0, len;

	for (end = b->tree.size + t.width; !r && b->tree.size < end;) {
		if (!hps_bundle_next(&bundle, &at, &leaf, &len))
			return hps_error_set(err, HPS_E_DAMAGED, "the bundle of entry %llu is cut short", (unsigned long long)b->tree.size);
		r = add_entry(b, leaf, len, err);
	}
	return r;
}

static int check_root(struct rebuild *b, struct hps_error *err)
{
	struct hps_digest root;

	hps_merkle_root(&b->tree, &root);
	return hps_digest_equal(&root, &b->root) ? 0 : hps_error_set(err, HPS_E_DAMAGED, "the published entries do not give the signed root");
}

static int fill(struct rebuild *b, struct hps_error *err)
{
	int r = hps_store_begin(b->store, err);

	while (!r && b->tree.size < b->tiles.size)
		r = add_bundle(b, err);
	if (!r)
		r = check_root(b, err);
	if (!r && b->tiles.size)
		r = hps_store_set_head(b->store, b->tiles.size, &b->root, &b->note, err);
	return r ? r : hps_store_commit(b->store, err);
}

static void remove_unfinished(struct rebuild *b)
{
	unlinkat(b->dirfd, UNFINISHED, 0);
	unlinkat(b->dirfd, UNFINISHED "-journal", 0);
}

/* SQLite's journal of the old file goes first: it must never meet the new one. The old file keeps a name, for whoever wants to know. */
static int exchange(struct rebuild *b, struct hps_error *err)
{
	unlinkat(b->dirfd, UNFINISHED "-journal", 0);
	if (unlinkat(b->dirfd, DATABASE "-journal", 0) && errno != ENOENT)
		return hps_error_errno(err, "removing the old '" DATABASE "-journal'");
	if (faccessat(b->dirfd, DATABASE, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		unlinkat(b->dirfd, HPS_DATABASE_OLD, 0);
		if (linkat(b->dirfd, DATABASE, b->dirfd, HPS_DATABASE_OLD, 0))
			return hps_error_errno(err, "keeping the old '" DATABASE "'");
	}
	if (hps_dir_sync(b->dirfd, err))
		return -EIO;
	if (renameat(b->dirfd, UNFINISHED, b->dirfd, DATABASE))
		return hps_error_errno(err, "moving the new '" DATABASE "' into place");
	return hps_dir_sync(b->dirfd, err);
}

int hps_ledger_rebuild(const char *dir, uint64_t *ret_size, struct hps_error *err)
{
	_cleanup_(release) struct rebuild b = { .dir = dir, .dirfd = -1, .lockfd = -1, .tiles.tilesfd = -1, .note = HPS_BUF_INIT };
	_cleanup_free_ char *path = hps_format("%s/" UNFINISHED, dir);
	struct hps_digest empty;
	int r = open_parts(&b, err);

	if (!r) {
		remove_unfinished(&b);
		hps_merkle_root(&b.tree, &empty);
		r = hps_store_create(path, &empty, &b.note, err);
	}
	if (!r)
		r = hps_store_open(path, HPS_STORE_WRITE, &b.store, err);
	if (!r)
		r = fill(&b, err);
	hps_store_close(b.store);
	b.store = NULL;
	if (!r)
		r = exchange(&b, err);
	*ret_size = b.tiles.size;
	if (!r)
		return 0;
	if (b.dirfd >= 0)
		remove_unfinished(&b);
	hps_error_prefix(err, "making " DATABASE " of '%s' again from tiles/", dir);
	return r;
}
