/* Verification of the entries. Three things hold a copy of what an entry is: its leaf in the bundle, its hash in the tile, and the
 * envelope from which its leaf can be made again. When they disagree the two that agree tell which is damaged, and the signed root has
 * the last word. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* ---- one tile's worth of entries, read in any thread ---- */

struct tile_job {
	struct hps_tile bundle_tile, hash_tile;
	uint64_t first;
	struct hps_buf bundle, hashes;
	struct leaves leaves;
	bool has_leaves, has_hashes;
	struct hps_reading of_files; /* its problems are those of the two files */
	struct hps_digest leaf_hash[HPS_TILE_WIDTH];
	bool agrees[HPS_TILE_WIDTH];
	struct hps_reading readings[HPS_TILE_WIDTH]; /* where they agree */
};

static void release_job(struct tile_job *j)
{
	for (unsigned i = 0; i < HPS_TILE_WIDTH; i++)
		hps_reading_release(&j->readings[i]);
	hps_reading_release(&j->of_files);
	hps_buf_release(&j->bundle);
	hps_buf_release(&j->hashes);
	free(j);
}

static void report_lengths(struct tile_job *j, const char *file)
{
	for (unsigned i = 0; i < j->leaves.n; i++) {
		const uint8_t *prefix = j->leaves.data[i] - 2;

		if (((size_t)prefix[0] << 8 | prefix[1]) != j->leaves.len[i])
			hps_problems_add(&j->of_files.problems, (int64_t)(j->first + i), NULL, file, "the length before this entry is damaged");
	}
}

static bool read_leaves(const struct hps_verifier *v, struct tile_job *j)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_free_ char *file = NULL;
	unsigned width = j->bundle_tile.width;
	char path[HPS_TILE_PATH];

	hps_tile_path(&j->bundle_tile, path);
	file = hps_format("tiles/%s", path);
	if (hps_tile_read(v->tilesfd, &j->bundle_tile, &j->bundle, &e)) {
		hps_problems_add_error(&j->of_files.problems, (int64_t)j->first, NULL, file, "the entries from here on cannot be read", &e);
		return false;
	}
	/* Read in place of a superseded partial bundle, the full one holds more. */
	if (cut_by_length(&j->bundle, width, faccessat(v->tilesfd, path, F_OK, 0) == 0, &j->leaves))
		return true;
	if (j->bundle.len && cut_by_content(&j->bundle, width, &j->leaves)) {
		report_lengths(j, file);
		return true;
	}
	(void)!cut_by_length(&j->bundle, width, false, &j->leaves);
	if (j->leaves.n < width)
		hps_problems_add(&j->of_files.problems, (int64_t)(j->first + j->leaves.n), NULL, file, "the entries from here on cannot be read: the bundle is cut short or damaged");
	else
		hps_problems_add(&j->of_files.problems, (int64_t)(j->first + width - 1), NULL, file, "there is something behind the last entry");
	return true;
}

static bool read_hashes(const struct hps_verifier *v, struct tile_job *j)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_free_ char *file = NULL;
	char path[HPS_TILE_PATH];

	if (!hps_tile_read(v->tilesfd, &j->hash_tile, &j->hashes, &e))
		return true;
	hps_tile_path(&j->hash_tile, path);
	file = hps_format("tiles/%s", path);
	hps_problems_add_error(&j->of_files.problems, (int64_t)j->first, NULL, file, "the hashes from here on cannot be read", &e);
	return false;
}

static const struct hps_digest *hash_in_tile(const struct tile_job *j, unsigned i)
{
	return j->has_hashes ? (const struct hps_digest *)(const void *)(j->hashes.data + i * HPS_DIGEST_LEN) : NULL;
}

static void read_tile(void *arg, void *job, unsigned thread)
{
	struct hps_verifier *v = arg;
	struct hps_verify_thread *t = v->n_threads > 1 ? &v->threads[thread] : &v->own;
	struct tile_job *j = job;

	j->has_leaves = read_leaves(v, j);
	j->has_hashes = read_hashes(v, j);
	for (unsigned i = 0; i < j->leaves.n; i++) {
		const struct hps_digest *in_tile = hash_in_tile(j, i);

		hps_merkle_leaf(j->leaves.data[i], j->leaves.len[i], &j->leaf_hash[i]);
		j->agrees[i] = in_tile && hps_digest_equal(&j->leaf_hash[i], in_tile);
		if (j->agrees[i])
			hps_verify_entry(v, t, j->first + i, j->leaves.data[i], j->leaves.len[i], &j->readings[i]);
	}
}

/* ---- leaf against hash ---- */

static void report_leaf(struct hps_verifier *v, const struct hps_suspect *s, const char *id)
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

/* An entry of which a part is damaged: it does not count. */
static void check_entry(struct hps_verifier *v, uint64_t index, const void *leaf, size_t len)
{
	struct hps_reading r;

	hps_verify_entry(v, &v->own, index, leaf, len, &r);
	hps_verify_take(v, &r);
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
		report_leaf(v, s, s->id);
		v->hash[s->index] = s->tile;
		check_entry(v, s->index, derived.data, derived.len);
		return true;
	}
	if (!hps_digest_equal(&hash, &s->bundle))
		return false;
	report_hash(v, s, s->id);
	v->hash[s->index] = s->bundle;
	check_entry(v, s->index, leaf, len);
	return true;
}

static bool is_moved(const struct tile_job *j, unsigned i, const struct hps_suspect *s)
{
	for (unsigned k = 0; s->has_leaf && s->has_hash && k < j->hash_tile.width; k++) {
		const struct hps_digest *other = k == i ? NULL : hash_in_tile(j, k);

		if (other && hps_digest_equal(other, &s->bundle))
			return true;
	}
	return false;
}

static void suspect(struct hps_verifier *v, const struct tile_job *j, unsigned i)
{
	const struct hps_digest *in_tile = hash_in_tile(j, i);
	_cleanup_(hps_leaf_release) struct hps_leaf read = HPS_LEAF_INIT;
	struct hps_suspect s = { .index = j->first + i, .has_leaf = i < j->leaves.n, .has_hash = in_tile != NULL };

	if (s.has_leaf)
		s.bundle = j->leaf_hash[i];
	if (in_tile)
		s.tile = *in_tile;
	if (s.has_leaf && !hps_leaf_read(j->leaves.data[i], j->leaves.len[i], &read, NULL))
		hps_digest_hex(&read.id, s.id);
	v->hash[s.index] = s.has_hash ? s.tile : s.bundle;
	s.moved = is_moved(j, i, &s);
	if (s.has_leaf && !s.moved && settle_by_envelope(v, &s, j->leaves.data[i], j->leaves.len[i]))
		return;
	v->suspects = hps_grow(v->suspects, v->n_suspects, sizeof *v->suspects);
	v->suspects[v->n_suspects++] = s;
}

static void take_leaf(struct hps_verifier *v, struct tile_job *j, unsigned i)
{
	v->hash = hps_grow(v->hash, v->n, sizeof *v->hash);
	v->n++;
	if (i < j->leaves.n && j->agrees[i]) {
		v->hash[v->n - 1] = j->leaf_hash[i];
		j->readings[i].counts = true;
		hps_verify_take(v, &j->readings[i]);
	} else {
		suspect(v, j, i);
	}
	if (v->options->progress)
		v->options->progress(v->options->progress_arg, v->n, v->found->size);
}

static void take_tile(void *arg, void *job)
{
	struct hps_verifier *v = arg;
	struct tile_job *j = job;

	if (!v->cut_off)
		hps_verify_take(v, &j->of_files);
	v->cut_off |= !j->has_leaves && !j->has_hashes;
	for (unsigned i = 0; !v->cut_off && i < j->hash_tile.width; i++)
		take_leaf(v, j, i);
	release_job(j);
}

static struct tile_job *new_job(const struct hps_verifier *v, uint64_t n)
{
	struct tile_job *j = hps_alloc(sizeof *j);

	j->first = n * HPS_TILE_WIDTH;
	j->hash_tile = j->bundle_tile = (struct hps_tile){ .n = n, .width = hps_tile_width(0, n, v->found->size) };
	j->bundle_tile.entries = true;
	j->bundle = j->hashes = (struct hps_buf)HPS_BUF_INIT;
	return j;
}

static void read_all(struct hps_verifier *v)
{
	uint64_t n_tiles = (v->found->size + HPS_TILE_WIDTH - 1) / HPS_TILE_WIDTH;
	struct hps_pool *pool = hps_pool_new(&(const struct hps_work){ read_tile, take_tile, v }, v->n_threads);

	for (uint64_t n = 0; n < n_tiles && !v->cut_off; n++)
		hps_pool_add(pool, new_job(v, n));
	hps_pool_free(pool);
}

/* ---- the root ---- */

static void fill_levels(struct hps_verifier *v)
{
	v->level[0] = v->hash;
	v->n_level[0] = v->n;
	for (unsigned l = 1; l < HPS_TILE_LEVELS; l++) {
		v->n_level[l] = v->n_level[l - 1] / HPS_TILE_WIDTH;
		v->level[l] = hps_realloc(v->level[l], v->n_level[l] + 1, sizeof **v->level);
		for (uint64_t i = 0; i < v->n_level[l]; i++) {
			struct hps_merkle tree = { 0 };

			for (unsigned k = 0; k < HPS_TILE_WIDTH; k++)
				hps_merkle_add(&tree, &v->level[l - 1][i * HPS_TILE_WIDTH + k], NULL);
			hps_merkle_root(&tree, &v->level[l][i]);
		}
	}
}

static int node(void *arg, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err)
{
	const struct hps_verifier *v = arg;
	unsigned inside = level % 8;
	struct hps_merkle tree = { 0 };

	(void)err;
	for (uint64_t i = n << inside; i < (n + 1) << inside; i++)
		hps_merkle_add(&tree, &v->level[level / 8][i], NULL);
	hps_merkle_root(&tree, ret);
	return 0;
}

static bool root_holds(struct hps_verifier *v)
{
	struct hps_merkle_source source = { node, v };
	struct hps_digest root;

	fill_levels(v);
	(void)!hps_merkle_load(&source, v->n, &v->tree, NULL); /* all of them are there */
	hps_merkle_root(&v->tree, &root);
	return v->n == v->found->size && hps_digest_equal(&root, &v->root);
}

static void use_suspects(struct hps_verifier *v, bool leaves)
{
	for (size_t i = 0; i < v->n_suspects; i++) {
		const struct hps_suspect *s = &v->suspects[i];

		if (!s->settled)
			v->hash[s->index] = leaves ? s->bundle : s->tile;
	}
}

/* Its right leaf is the one that hashes to its place: its own, or that of another one that was moved. */
static void check_moved(struct hps_verifier *v, const struct hps_suspect *s)
{
	for (size_t i = 0; i < v->n_suspects; i++) {
		const struct hps_suspect *other = &v->suspects[i];
		_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT;

		if (!other->moved || !hps_digest_equal(&other->bundle, &v->hash[s->index]) || !hps_verify_derive(v, other->id, &leaf))
			continue;
		check_entry(v, s->index, leaf.data, leaf.len);
		return;
	}
}

/* Suspects that no envelope could settle: the signed root tells whether the hashes or the leaves are right. */
static void check_root(struct hps_verifier *v)
{
	bool leaves_right = false;

	v->holds = root_holds(v);
	if (!v->holds && v->n_suspects) {
		use_suspects(v, true);
		leaves_right = v->holds = root_holds(v);
	}
	for (size_t i = 0; i < v->n_suspects; i++) {
		const struct hps_suspect *s = &v->suspects[i];

		if (s->settled)
			continue;
		if (!v->holds || !leaves_right)
			report_leaf(v, s, s->id);
		if (!v->holds || leaves_right)
			report_hash(v, s, s->id);
		if (s->moved)
			check_moved(v, s);
	}
	if (!v->holds && v->n == v->found->size)
		hps_problem_add(v, -1, NULL, "tiles/checkpoint", "the entries do not give the root that the checkpoint has");
}

/* ---- suspects whose leaf does not even name its envelope ---- */

static void try_orphan(struct hps_verifier *v, const char *id)
{
	_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT;
	struct hps_digest hash;

	if (!hps_verify_derive(v, id, &leaf))
		return;
	hps_merkle_leaf(leaf.data, leaf.len, &hash);
	for (size_t i = 0; i < v->n_suspects; i++) {
		struct hps_suspect *s = &v->suspects[i];

		if (s->settled || s->moved || !s->has_hash || !hps_digest_equal(&hash, &s->tile))
			continue;
		report_leaf(v, s, id);
		s->settled = true;
		v->hash[s->index] = s->tile;
		check_entry(v, s->index, leaf.data, leaf.len);
		return;
	}
}

/* Among the envelopes that no entry has claimed. */
static void check_orphans(struct hps_verifier *v)
{
	int fd = openat(v->tilesfd, "envelope", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_free_ char *id = hps_strndup(e->d_name, HPS_DIGEST_HEX - 1);
		struct hps_digest digest;

		if (!hps_digest_parse(id, &digest) && !strcmp(e->d_name + HPS_DIGEST_HEX - 1, ".json") && !hps_ids_known(v, &digest))
			try_orphan(v, id);
	}
	if (d)
		closedir(d);
}

void hps_verify_leaves(struct hps_verifier *v)
{
	read_all(v);
	if (v->n_suspects)
		check_orphans(v);
	check_root(v);
}
