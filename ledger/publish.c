/* Publishing: writing envelopes, bundles, tiles and the checkpoint out of the store into tiles/.
 *
 * Everything is written and flushed in staging/ before the transaction commits, so that a full disk fails while nothing has
 * happened; what is left after the commit are renames. A partial tile stays until the full one is there, and beyond that where a
 * checkpoint in attested/ ends in it: readers who do not look for the full one in its place find what such a checkpoint needs. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVELS 8
#define STAGED_NAME 32
#define FLUSH_EACH 8 /* up to so many files are flushed one by one; each flush waits for the disk, one of the file system does so once */

void hps_publication_release(struct hps_publication *p)
{
	for (size_t i = 0; i < p->targets.n; i++)
		hps_cleanup_fd(&p->fds[i]);
	hps_strv_release(&p->targets);
	free(p->fds);
	p->fds = NULL;
}

void hps_publication_discard(struct hps_ledger *l, struct hps_publication *p)
{
	for (size_t i = 0; i < p->targets.n; i++) {
		char name[STAGED_NAME];

		snprintf(name, sizeof name, "staging/%zu", i);
		unlinkat(l->dirfd, name, 0);
	}
	hps_publication_release(p);
}

void hps_publication_sweep(struct hps_ledger *l)
{
	int fd = openat(l->dirfd, "staging", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(fd, e->d_name, 0);
	if (d)
		closedir(d);
	else
		hps_cleanup_fd(&fd);
}

/* ---- staging ---- */

/* The descriptor stays open until the flush: an error of writing back is then certain to be seen there. (syncfs() reports every error
 * since the folder was opened.) */
static int stage(struct hps_ledger *l, struct hps_publication *p, const char *target, const void *data, size_t len, struct hps_error *err)
{
	size_t i = p->targets.n;
	char name[STAGED_NAME];
	int fd, r;

	snprintf(name, sizeof name, "staging/%zu", i);
	fd = openat(l->dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return hps_error_errno(err, "writing '%s'", target);
	p->fds = hps_grow(p->fds, i, sizeof *p->fds);
	p->fds[i] = fd;
	hps_strv_add(&p->targets, target);
	r = hps_write_all(fd, data, len);
	if (!r && fchmod(fd, 0644))
		r = -errno;
	if (i >= FLUSH_EACH)
		hps_cleanup_fd(&p->fds[i]);
	if (!r)
		return 0;
	errno = -r;
	return hps_error_errno(err, "writing '%s'", target);
}

static int stage_envelope(struct hps_ledger *l, struct hps_publication *p, uint64_t index, struct hps_error *err)
{
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT, text = HPS_BUF_INIT;
	char path[HPS_TILE_PATH];
	struct hps_digest id, found;
	int r = hps_store_leaf(l->store, index, &id, &leaf, err);

	if (!r)
		r = hps_store_envelope(l->store, index, &text, err);
	if (!r)
		r = hps_envelope_read_stored(text.data, text.len, &e, err);
	if (r)
		return r;
	hps_envelope_id(&e, &found);
	if (!hps_digest_equal(&found, &id))
		return hps_error_set(err, HPS_E_DAMAGED, "publishing entry %llu: its envelope does not hash to its id", (unsigned long long)index);
	hps_envelope_path(&id, path);
	return stage(l, p, path, text.data, text.len, err);
}

struct leaves {
	struct hps_merkle *tree;
	struct hps_buf bundle, hashes;
};

static void release_leaves(struct leaves *l)
{
	hps_buf_release(&l->bundle);
	hps_buf_release(&l->hashes);
}

static int add_leaf(void *arg, const void *leaf, size_t len, const struct hps_digest *stored)
{
	struct leaves *to = arg;
	struct hps_digest hash;

	hps_merkle_leaf(leaf, len, &hash);
	if (!hps_digest_equal(&hash, stored))
		return HPS_E_DAMAGED;
	hps_merkle_add(to->tree, &hash, NULL);
	hps_bundle_add(&to->bundle, leaf, len);
	hps_buf_add(&to->hashes, hash.b, sizeof hash.b);
	return 0;
}

/* A bundle and the tile of its leaves' hashes, which are computed from the very bytes that are published. */
static int stage_leaves(struct hps_ledger *l, struct hps_publication *p, uint64_t n, struct hps_merkle *tree, struct hps_error *err)
{
	struct hps_tile t = { .n = n, .width = hps_tile_width(0, n, p->to) };
	_cleanup_(release_leaves) struct leaves leaves = { tree, HPS_BUF_INIT, HPS_BUF_INIT };
	uint64_t first = n * HPS_TILE_WIDTH;
	char path[HPS_TILE_PATH];
	int r = hps_store_each_leaf(l->store, first, first + t.width, add_leaf, &leaves, err);

	if (r == HPS_E_DAMAGED && leaves.hashes.len < t.width * (size_t)HPS_DIGEST_LEN)
		return hps_error_set(err, HPS_E_DAMAGED, "publishing entry %llu: its leaf in ledger.db does not have the hash it was stored with",
				     (unsigned long long)(first + leaves.hashes.len / HPS_DIGEST_LEN));
	if (r)
		return r;
	hps_tile_path(&t, path);
	r = stage(l, p, path, leaves.hashes.data, leaves.hashes.len, err);
	t.entries = true;
	hps_tile_path(&t, path);
	return r ? r : stage(l, p, path, leaves.bundle.data, leaves.bundle.len, err);
}

static int stage_tile(struct hps_ledger *l, struct hps_publication *p, const struct hps_tile *t, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf hashes = HPS_BUF_INIT;
	char path[HPS_TILE_PATH];

	for (unsigned i = 0; i < t->width; i++) {
		struct hps_digest hash;
		int r = hps_store_node(l->store, 8 * t->level, t->n * HPS_TILE_WIDTH + i, &hash, err);

		if (r)
			return r;
		hps_buf_add(&hashes, hash.b, sizeof hash.b);
	}
	hps_tile_path(t, path);
	return stage(l, p, path, hashes.data, hashes.len, err);
}

/* The tiles above the leaves that grew. */
static int stage_upper(struct hps_ledger *l, struct hps_publication *p, struct hps_error *err)
{
	for (unsigned level = 1; level < LEVELS; level++) {
		uint64_t before = p->from >> (8 * level), after = p->to >> (8 * level);

		for (uint64_t n = before / HPS_TILE_WIDTH; before < after && n <= (after - 1) / HPS_TILE_WIDTH; n++) {
			struct hps_tile t = { .level = level, .n = n, .width = hps_tile_width(level, n, p->to) };
			int r = stage_tile(l, p, &t, err);

			if (r)
				return r;
		}
	}
	return 0;
}

static int stage_tree(struct hps_ledger *l, struct hps_publication *p, const struct hps_digest *root, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_store_node, l->store };
	uint64_t first = p->from / HPS_TILE_WIDTH, last = (p->to - 1) / HPS_TILE_WIDTH;
	struct hps_merkle tree;
	struct hps_digest again;
	int r = hps_merkle_load(&source, first * HPS_TILE_WIDTH, &tree, err);

	for (uint64_t n = first; !r && n <= last; n++)
		r = stage_leaves(l, p, n, &tree, err);
	if (r)
		return r;
	hps_merkle_root(&tree, &again);
	if (!hps_digest_equal(&again, root))
		return hps_error_set(err, HPS_E_DAMAGED, "publishing: the stored entries no longer give the root that was computed for them");
	return stage_upper(l, p, err);
}

/* ---- directories ---- */

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? hps_strndup(path, (size_t)(slash - path)) : hps_strdup(".");
}

static int sync_dir(struct hps_ledger *l, const char *path, struct hps_error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = hps_dir_open(l->tilesfd, path, &fd, err);

	if (!r && fsync(fd)) {
		r = hps_error_errno(err, "flushing the directory 'tiles/%s'", path);
		l->poisoned = true;
	}
	return r;
}

static int make_parent(struct hps_ledger *l, const char *target, struct hps_error *err)
{
	_cleanup_free_ char *dir = parent_of(target), *above = NULL;
	int r;

	if (faccessat(l->tilesfd, dir, F_OK, 0) == 0)
		return 0;
	above = parent_of(dir);
	if (faccessat(l->tilesfd, above, F_OK, 0)) {
		r = hps_dir_make(l->tilesfd, above, 0755, err);
		if (r)
			return r;
		/* Whatever the umask. Directories above this one are made once in 256,000 entries and left as they are. */
		if (fchmodat(l->tilesfd, above, 0755, 0))
			return hps_error_errno(err, "making the directory 'tiles/%s'", above);
	}
	if ((mkdirat(l->tilesfd, dir, 0755) && errno != EEXIST) || fchmodat(l->tilesfd, dir, 0755, 0))
		return hps_error_errno(err, "making the directory 'tiles/%s'", dir);
	return sync_dir(l, above, err);
}

static int flush(struct hps_ledger *l, struct hps_publication *p, struct hps_error *err)
{
	bool each = p->targets.n <= FLUSH_EACH;
	int r = 0;

	for (size_t i = 0; !r && i < p->targets.n; i++)
		r = make_parent(l, p->targets.v[i], err);
	for (size_t i = 0; !r && i < (each ? p->targets.n : 1); i++)
		if (each ? fsync(p->fds[i]) : syncfs(l->dirfd)) {
			l->poisoned = true;
			r = hps_error_errno(err, "flushing '%s'", p->targets.v[i]);
		}
	return r;
}

int hps_publication_stage(struct hps_ledger *l, uint64_t from, uint64_t to, const struct hps_digest *root, const struct hps_buf *note,
			  struct hps_publication *ret, struct hps_error *err)
{
	struct hps_publication p = { .from = from, .to = to };
	int r = 0;

	for (uint64_t i = from; !r && i < to; i++)
		r = stage_envelope(l, &p, i, err);
	if (!r)
		r = stage_tree(l, &p, root, err);
	if (!r)
		r = stage(l, &p, "checkpoint", note->data, note->len, err);
	if (!r)
		r = flush(l, &p, err);
	if (r)
		hps_publication_discard(l, &p);
	else
		*ret = p;
	return r;
}

/* ---- naming ---- */

static int name_one(struct hps_ledger *l, struct hps_publication *p, size_t i, struct hps_error *err)
{
	char name[STAGED_NAME];

	snprintf(name, sizeof name, "staging/%zu", i);
	if (renameat(l->dirfd, name, l->tilesfd, p->targets.v[i]))
		return hps_error_errno(err, "publishing '%s'", p->targets.v[i]);
	return 0;
}

static int sync_parents(struct hps_ledger *l, const struct hps_publication *p, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv done = HPS_STRV_INIT;

	for (size_t i = 0; i + 1 < p->targets.n; i++) {
		_cleanup_free_ char *dir = parent_of(p->targets.v[i]);
		bool seen = false;
		int r;

		for (size_t k = 0; k < done.n; k++)
			seen |= !strcmp(done.v[k], dir);
		if (seen)
			continue;
		r = sync_dir(l, dir, err);
		if (r)
			return r;
		hps_strv_add(&done, dir);
	}
	return 0;
}

/* Partial tiles of one tile, but those in which an attested checkpoint ends. */
static void remove_partials_of(struct hps_ledger *l, const struct hps_tile *full)
{
	_cleanup_free_ char *dir = NULL;
	bool needed[HPS_TILE_WIDTH + 1];
	char path[HPS_TILE_PATH];
	const struct dirent *e;
	DIR *d = NULL;
	int fd;

	hps_attested_widths(l->tilesfd, full, needed);
	hps_tile_path(full, path);
	dir = hps_format("%s.p", path);
	fd = openat(l->tilesfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && !(d = fdopendir(fd)))
		close(fd);
	while (d && (e = readdir(d))) {
		uint64_t width;

		if (!hps_parse_u64(e->d_name, HPS_TILE_WIDTH, &width) && !needed[width])
			unlinkat(fd, e->d_name, 0);
	}
	if (d)
		closedir(d);
	unlinkat(l->tilesfd, dir, AT_REMOVEDIR); /* when nothing is left in it */
}

/* Partial tiles of a tile that is full now. That of the last entry before is looked at again when a tile was just
 * completed: a writer may have been killed here. */
static void remove_partials(struct hps_ledger *l, const struct hps_publication *p)
{
	for (unsigned level = 0; level < LEVELS; level++) {
		uint64_t before = p->from >> (8 * level);
		struct hps_tile t = { .level = level, .n = before ? (before - 1) / HPS_TILE_WIDTH : 0, .width = HPS_TILE_WIDTH };

		if (!before || hps_tile_width(level, t.n, p->to) < HPS_TILE_WIDTH)
			continue;
		remove_partials_of(l, &t);
		t.entries = true;
		if (level == 0)
			remove_partials_of(l, &t);
	}
}

int hps_publication_move(struct hps_ledger *l, struct hps_publication *p, struct hps_error *err)
{
	size_t last = p->targets.n - 1;
	int r = 0;

	for (size_t i = 0; !r && i < last; i++)
		r = name_one(l, p, i, err);
	if (!r)
		r = sync_parents(l, p, err);
	if (!r)
		r = name_one(l, p, last, err);
	if (!r)
		r = sync_dir(l, ".", err);
	if (!r)
		remove_partials(l, p);
	hps_publication_release(p);
	return r;
}
