/* Verification from the files alone. Three things hold a copy of what an entry is: its leaf in the bundle, its hash in the
 * tile, and the envelope from which its leaf can be made again. When they disagree the two that agree tell which is damaged,
 * and the signed root has the last word. The database is never asked for help, only compared. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBLEMS_MAX 10000

void hps_problem_add(struct hps_verifier *v, int64_t index, const char *id, const char *file, const char *format, ...)
{
	struct hps_verification *f = v->found;
	struct hps_problem *p;
	va_list ap;

	if (f->n_problems == PROBLEMS_MAX)
		return;
	f->problems = hps_grow(f->problems, f->n_problems, sizeof *f->problems);
	p = &f->problems[f->n_problems++];
	p->index = index;
	p->id = id && *id ? hps_strdup(id) : NULL;
	p->file = file ? hps_strdup(file) : NULL;
	va_start(ap, format);
	if (vasprintf(&p->what, format, ap) < 0)
		abort();
	va_end(ap);
}

static void free_problem(struct hps_problem *p)
{
	free(p->id);
	free(p->file);
	free(p->what);
}

void hps_verification_release(struct hps_verification *v)
{
	for (size_t i = 0; i < v->n_problems; i++)
		free_problem(&v->problems[i]);
	free(v->problems);
	free(v->origin);
	free(v->withdrawn);
	memset(v, 0, sizeof *v);
}

/* ---- a bundle, cut into leaves ---- */

struct leaves {
	const uint8_t *data[HPS_TILE_WIDTH];
	size_t len[HPS_TILE_WIDTH];
	unsigned n;
};

static bool cut_by_length(const struct hps_buf *bundle, unsigned width, bool exact, struct leaves *ret)
{
	size_t at = 0;

	ret->n = 0;
	while (ret->n < width && hps_bundle_next(bundle, &at, &ret->data[ret->n], &ret->len[ret->n]))
		ret->n++;
	return ret->n == width && (!exact || at == bundle->len);
}

/* When a length is damaged nothing behind it can be found by lengths; but leaves of ours begin alike. */
static bool cut_by_content(const struct hps_buf *bundle, unsigned width, struct leaves *ret)
{
	static const char start[] = "{\"apiVersion\":\"0.0.2\",\"kind\":\"hashedrekord\"";
	const char *data = bundle->data, *end = data + bundle->len, *at = data + 2;

	ret->n = 0;
	while (ret->n < width && at < end && (size_t)(end - at) > sizeof start && !memcmp(at, start, sizeof start - 1)) {
		const char *next = memmem(at + 1, (size_t)(end - at - 1), start, sizeof start - 1), *stop = next ? next - 2 : end;

		ret->data[ret->n] = (const uint8_t *)at;
		ret->len[ret->n++] = (size_t)(stop - at);
		at = stop + 2;
	}
	return ret->n == width;
}

static void report_lengths(struct hps_verifier *v, uint64_t first, const char *file, const struct leaves *leaves)
{
	for (unsigned i = 0; i < leaves->n; i++) {
		const uint8_t *prefix = leaves->data[i] - 2;

		if (((size_t)prefix[0] << 8 | prefix[1]) != leaves->len[i])
			hps_problem_add(v, (int64_t)(first + i), NULL, file, "the length before this entry is damaged");
	}
}

static bool read_leaves(struct hps_verifier *v, const struct hps_tile *t, struct hps_buf *bundle, struct leaves *ret)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_free_ char *file = NULL;
	uint64_t first = t->n * HPS_TILE_WIDTH;
	char path[HPS_TILE_PATH];

	hps_tile_path(t, path);
	file = hps_format("tiles/%s", path);
	ret->n = 0;
	if (hps_tile_read(v->tilesfd, t, bundle, &e)) {
		hps_problem_add(v, (int64_t)first, NULL, file, "the entries from here on cannot be read: %s", e.message);
		return false;
	}
	/* Read in place of a superseded partial bundle, the full one holds more. */
	if (cut_by_length(bundle, t->width, faccessat(v->tilesfd, path, F_OK, 0) == 0, ret))
		return true;
	if (bundle->len && cut_by_content(bundle, t->width, ret)) {
		report_lengths(v, first, file, ret);
		return true;
	}
	(void)!cut_by_length(bundle, t->width, false, ret);
	if (ret->n < t->width)
		hps_problem_add(v, (int64_t)(first + ret->n), NULL, file, "the entries from here on cannot be read: the bundle is cut short or damaged");
	else
		hps_problem_add(v, (int64_t)(first + t->width - 1), NULL, file, "there is something behind the last entry");
	return true;
}

/* ---- leaf against hash ---- */

void hps_verify_report_leaf(struct hps_verifier *v, const struct hps_suspect *s, const char *id)
{
	struct hps_tile t = { .entries = true, .n = s->index / HPS_TILE_WIDTH, .width = hps_tile_width(0, s->index / HPS_TILE_WIDTH, v->found->size) };
	_cleanup_free_ char *file = NULL;
	char path[HPS_TILE_PATH];

	hps_tile_path(&t, path);
	file = hps_format("tiles/%s", path);
	if (s->has_leaf) /* a missing one has been reported with its bundle */
		hps_problem_add(v, (int64_t)s->index, id, file, "the leaf of this entry is damaged");
}

static void report_hash(struct hps_verifier *v, const struct hps_suspect *s, const char *id)
{
	struct hps_tile t = { .n = s->index / HPS_TILE_WIDTH, .width = hps_tile_width(0, s->index / HPS_TILE_WIDTH, v->found->size) };
	_cleanup_free_ char *file = NULL;
	char path[HPS_TILE_PATH];

	hps_tile_path(&t, path);
	file = hps_format("tiles/%s", path);
	if (s->has_hash)
		hps_problem_add(v, (int64_t)s->index, id, file, "the hash of this entry is damaged");
}

/* The envelope that the leaf names decides, when it is there and agrees with one of the two. */
static bool settle_by_envelope(struct hps_verifier *v, struct hps_suspect *s, const void *leaf, size_t len)
{
	_cleanup_buf_ struct hps_buf derived = HPS_BUF_INIT;
	struct hps_digest hash;

	if (!*s->id || !hps_verify_derive(v, s->id, &derived))
		return false;
	hps_merkle_leaf(derived.data, derived.len, &hash);
	if (s->has_hash && hps_digest_equal(&hash, &s->tile)) {
		hps_verify_report_leaf(v, s, s->id);
		v->hash[s->index] = s->tile;
		hps_verify_entry(v, s->index, derived.data, derived.len, false);
		return true;
	}
	if (!hps_digest_equal(&hash, &s->bundle))
		return false;
	report_hash(v, s, s->id);
	v->hash[s->index] = s->bundle;
	hps_verify_entry(v, s->index, leaf, len, false);
	return true;
}

static void suspect(struct hps_verifier *v, struct hps_suspect *s, const void *leaf, size_t len)
{
	_cleanup_(hps_leaf_release) struct hps_leaf read = HPS_LEAF_INIT;

	if (leaf && !hps_leaf_read(leaf, len, &read, NULL))
		hps_digest_hex(&read.id, s->id);
	v->hash[s->index] = s->has_hash ? s->tile : s->bundle;
	if (leaf && settle_by_envelope(v, s, leaf, len))
		return;
	v->suspects = hps_grow(v->suspects, v->n_suspects, sizeof *v->suspects);
	v->suspects[v->n_suspects++] = *s;
}

static void check_leaf(struct hps_verifier *v, const void *leaf, size_t len, const struct hps_digest *tile)
{
	struct hps_suspect s = { .index = v->n, .has_leaf = leaf != NULL, .has_hash = tile != NULL };

	if (leaf)
		hps_merkle_leaf(leaf, len, &s.bundle);
	if (tile)
		s.tile = *tile;
	v->hash = hps_grow(v->hash, v->n, sizeof *v->hash);
	v->n++;
	if (leaf && tile && hps_digest_equal(&s.bundle, tile)) {
		v->hash[s.index] = *tile;
		hps_verify_entry(v, s.index, leaf, len, true);
	} else {
		suspect(v, &s, leaf, len);
	}
}

/* One tile's worth of entries. false: nothing of it is there, and there is no point in looking for more. */
static bool check_tile(struct hps_verifier *v, uint64_t n)
{
	struct hps_tile t = { .n = n, .width = hps_tile_width(0, n, v->found->size) }, b = t;
	_cleanup_buf_ struct hps_buf hashes = HPS_BUF_INIT, bundle = HPS_BUF_INIT;
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_free_ char *file = NULL;
	struct leaves leaves;
	char path[HPS_TILE_PATH];
	bool has_hashes, has_leaves;

	b.entries = true;
	has_leaves = read_leaves(v, &b, &bundle, &leaves);
	has_hashes = !hps_tile_read(v->tilesfd, &t, &hashes, &e);
	if (!has_hashes) {
		hps_tile_path(&t, path);
		file = hps_format("tiles/%s", path);
		hps_problem_add(v, (int64_t)(n * HPS_TILE_WIDTH), NULL, file, "the hashes from here on cannot be read: %s", e.message);
	}
	if (!has_hashes && !has_leaves)
		return false;
	for (unsigned i = 0; i < t.width; i++) {
		struct hps_digest tile;

		if (has_hashes)
			memcpy(tile.b, hashes.data + i * HPS_DIGEST_LEN, HPS_DIGEST_LEN);
		check_leaf(v, i < leaves.n ? leaves.data[i] : NULL, i < leaves.n ? leaves.len[i] : 0, has_hashes ? &tile : NULL);
		if (v->options->progress)
			v->options->progress(v->options->progress_arg, v->n, v->found->size);
	}
	return true;
}

/* ---- the root ---- */

static bool root_holds(struct hps_verifier *v)
{
	struct hps_merkle tree = { 0 };
	struct hps_digest root;

	for (uint64_t i = 0; i < v->n; i++)
		hps_merkle_add(&tree, &v->hash[i], NULL);
	hps_merkle_root(&tree, &root);
	return tree.size == v->found->size && hps_digest_equal(&root, &v->root);
}

static void use_suspects(struct hps_verifier *v, bool leaves)
{
	for (size_t i = 0; i < v->n_suspects; i++) {
		const struct hps_suspect *s = &v->suspects[i];

		if (!s->settled)
			v->hash[s->index] = leaves ? s->bundle : s->tile;
	}
}

/* Suspects that no envelope could settle: the signed root tells whether the hashes or the leaves are right. */
static void check_root(struct hps_verifier *v)
{
	bool leaves_right = false, holds = root_holds(v);

	if (!holds) {
		use_suspects(v, true);
		leaves_right = holds = root_holds(v);
	}
	for (size_t i = 0; i < v->n_suspects; i++) {
		const struct hps_suspect *s = &v->suspects[i];

		if (s->settled)
			continue;
		if (!holds || !leaves_right)
			hps_verify_report_leaf(v, s, s->id);
		if (!holds || leaves_right)
			report_hash(v, s, s->id);
	}
	if (!holds && v->n == v->found->size)
		hps_problem_add(v, -1, NULL, "tiles/checkpoint", "the entries do not give the root that the checkpoint has");
}

/* ---- the whole ---- */

static void use_checkpoint(struct hps_verifier *v, struct hps_checkpoint *c)
{
	v->found->size = c->size;
	v->found->origin = hps_take(c->origin);
	v->root = c->root;
	hps_digest_hex(&c->root, v->found->root);
}

/* The database has the note as well; it is as good, for it is signed. */
static bool use_stored_note(struct hps_verifier *v)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_digest root;
	uint64_t size;

	if (!v->store || hps_store_head(v->store, &size, &root, &note, NULL) || hps_checkpoint_open(note.data, note.len, &v->trust.log, &c, NULL))
		return false;
	use_checkpoint(v, &c);
	return true;
}

/* When the checkpoint is damaged, what it says is still tried, to say what else is; *ret_signed is false then. */
static bool read_checkpoint(struct hps_verifier *v, bool *ret_signed)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	const char *end;

	*ret_signed = !hps_checkpoint_open(v->note.data, v->note.len, &v->trust.log, &c, &e);
	if (!*ret_signed) {
		hps_problem_add(v, -1, NULL, "tiles/checkpoint", "%s", e.message);
		*ret_signed = use_stored_note(v);
		if (*ret_signed)
			return true;
		end = v->note.len ? memmem(v->note.data, v->note.len, "\n\n", 2) : NULL;
		if (!end || hps_checkpoint_parse(v->note.data, (size_t)(end - v->note.data) + 1, &c, NULL))
			return false;
	}
	use_checkpoint(v, &c);
	return true;
}

static void verify_all(struct hps_verifier *v)
{
	uint64_t n_tiles = (v->found->size + HPS_TILE_WIDTH - 1) / HPS_TILE_WIDTH;

	for (uint64_t n = 0; n < n_tiles; n++)
		if (!check_tile(v, n))
			break;
	if (v->n_suspects)
		hps_verify_orphans(v);
	check_root(v);
	if (v->n == v->found->size)
		hps_verify_tiles(v);
	if (v->store)
		hps_verify_database(v);
	if (v->n == v->found->size) {
		hps_verify_attested(v);
		hps_verify_journal(v);
	}
	hps_verify_missing(v);
	hps_authority_judge(v); /* when every entry has been read, also what is pending */
}

/* By a checkpoint that nobody signed: if the tree is not even its own, what followed from it means nothing. */
static void verify_unsigned(struct hps_verifier *v)
{
	struct hps_verification *f = v->found;
	size_t before = f->n_problems;

	verify_all(v);
	if (root_holds(v))
		return;
	while (f->n_problems > before)
		free_problem(&f->problems[--f->n_problems]);
	f->n_checked = 0;
}

/* What else is compared, when it is there and ours: a database from a stranger is not even opened. */
static void open_extras(struct hps_verifier *v, const char *dir, bool own)
{
	_cleanup_free_ char *database = hps_format("%s/ledger.db", dir);
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	int r;

	if (own && access(database, R_OK) == 0) {
		v->found->database_checked = true;
		r = hps_store_open(database, HPS_STORE_READ, &v->store, &e);
		if (r)
			hps_problem_add(v, -1, NULL, "ledger.db", "%s", e.message);
	}
	if (v->options->skip_objects || (faccessat(v->dirfd, "objects", F_OK, 0) && !v->found->database_checked))
		return;
	v->found->objects_checked = true;
	hps_error_release(&e);
	if (hps_objects_open(v->dirfd, "objects", false, &v->objects, &e))
		hps_problem_add(v, -1, NULL, "objects", "%s", e.message);
}

static int open_trust(struct hps_verifier *v, bool *ret_usable, struct hps_error *err)
{
	const char *path = v->options->trust;
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	int r = hps_trust_read(path ? AT_FDCWD : v->dirfd, path ? path : HPS_TRUST_FILE, &v->trust, &e);

	*ret_usable = !r;
	if (r == -ENOENT)
		return hps_error_set(err, path ? HPS_E_NOTFOUND : HPS_E_DAMAGED, "the trust file '%s' is missing; without it nobody's signature can be trusted",
				     path ? path : HPS_TRUST_FILE);
	if (r && path) /* not the ledger's fault */
		return hps_error_set(err, r, "%s", e.message);
	if (r)
		hps_problem_add(v, -1, NULL, HPS_TRUST_FILE, "%s", e.message);
	return 0;
}

/* Checkpoint and journal of one moment. */
static int read_heads(struct hps_verifier *v, struct hps_error *err)
{
	_cleanup_fd_ int lock = hps_verify_pause_writers(v->dirfd);
	int r = hps_file_read(v->tilesfd, "checkpoint", HPS_NOTE_MAX, &v->note, err);

	if (!r && lock >= 0)
		hps_verify_read_journal(v);
	return r;
}

static int open_ledger(struct hps_verifier *v, const char *dir, bool *ret_own, struct hps_error *err)
{
	struct stat s;
	int r = hps_ledger_open_dir(dir, &v->dirfd, err);

	if (r)
		return r;
	*ret_own = fstat(v->dirfd, &s) == 0 && s.st_uid == geteuid();
	if (!v->options->trust && !*ret_own) {
		return hps_error_set(err, HPS_E_DENIED,
				     "verifying the ledger '%s': user %u owns it, and the trust file in it proves nothing to you; give your own with --trust", dir,
				     (unsigned)s.st_uid);
	}
	r = hps_dir_open(v->dirfd, "tiles", &v->tilesfd, err);
	if (!r)
		r = read_heads(v, err);
	if (r == -ENOENT)
		return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s' is damaged: its checkpoint 'tiles/checkpoint' is missing; restore it from a copy", dir);
	return r;
}

static void release(struct hps_verifier *v)
{
	hps_authority_release(&v->authority);
	hps_trust_release(&v->trust);
	hps_buf_release(&v->note);
	hps_store_close(v->store);
	hps_objects_free(v->objects);
	hps_map_release(&v->ids);
	hps_map_release(&v->objects_seen);
	for (size_t i = 0; i < v->n_batches; i++)
		hps_batch_release(&v->batches[i]);
	free(v->batches);
	hps_map_release(&v->withdrawn);
	free(v->missing);
	free(v->hash);
	free(v->suspects);
	hps_cleanup_fd(&v->dirfd);
	hps_cleanup_fd(&v->tilesfd);
}

int hps_ledger_verify(const char *dir, const struct hps_verify_options *options, struct hps_verification *ret, struct hps_error *err)
{
	static const struct hps_verify_options defaults = { 0 };
	struct hps_verifier v = { .options = options ? options : &defaults, .found = ret, .dirfd = -1, .tilesfd = -1, .note = HPS_BUF_INIT };
	bool own = false, usable = false, is_signed = false;
	int r;

	memset(ret, 0, sizeof *ret);
	ret->bodies_checked = !v.options->skip_bodies;
	r = open_ledger(&v, dir, &own, err);
	if (!r)
		r = open_trust(&v, &usable, err);
	if (!r && usable)
		open_extras(&v, dir, own);
	if (!r && usable && read_checkpoint(&v, &is_signed)) {
		if (is_signed)
			verify_all(&v);
		else
			verify_unsigned(&v);
	}
	release(&v);
	if (r)
		hps_verification_release(ret);
	return r;
}
