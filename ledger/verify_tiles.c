/* Verification of the tree's files: every tile and bundle under tiles/tile/, also those of older checkpoints, against the
 * hashes that the newest checkpoint proves. Files that are ahead of it (a writer at work, or killed) prove nothing yet. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_hashes(struct hps_verifier *v, const struct hps_tile *t, const char *file, const struct hps_buf *data)
{
	uint64_t first = t->n * HPS_TILE_WIDTH;

	if (data->len != t->width * (size_t)HPS_DIGEST_LEN) {
		hps_problem_add(v, (int64_t)(first << (8 * t->level)), NULL, file, "the tile has %zu bytes instead of %d", data->len, t->width * HPS_DIGEST_LEN);
		return;
	}
	for (unsigned i = 0; i < t->width; i++)
		if (memcmp(data->data + i * HPS_DIGEST_LEN, v->level[t->level][first + i].b, HPS_DIGEST_LEN) != 0)
			hps_problem_add(v, (int64_t)((first + i) << (8 * t->level)), NULL, file, "hash %u of the tile is damaged", i);
}

static void check_bundle(struct hps_verifier *v, const struct hps_tile *t, const char *file, const struct hps_buf *data)
{
	uint64_t first = t->n * HPS_TILE_WIDTH;
	const uint8_t *leaf;
	size_t at = 0, len;

	for (unsigned i = 0; i < t->width; i++) {
		struct hps_digest hash;

		if (!hps_bundle_next(data, &at, &leaf, &len)) {
			hps_problem_add(v, (int64_t)(first + i), NULL, file, "the bundle is cut short or damaged");
			return;
		}
		hps_merkle_leaf(leaf, len, &hash);
		if (!hps_digest_equal(&hash, &v->hash[first + i])) {
			hps_problem_add(v, (int64_t)(first + i), NULL, file, "the leaf of this entry is damaged");
			return;
		}
	}
	if (at != data->len)
		hps_problem_add(v, (int64_t)(first + t->width - 1), NULL, file, "there is something behind the last entry");
}

/* Those that verify_leaves.c has read entry by entry. */
static bool is_done(struct hps_verifier *v, const struct hps_tile *t)
{
	return t->level == 0 && t->width == hps_tile_width(0, t->n, v->found->size);
}

static void check_file(struct hps_verifier *v, const char *path)
{
	_cleanup_buf_ struct hps_buf data = HPS_BUF_INIT;
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_free_ char *file = hps_format("tiles/%s", path);
	struct hps_tile t;

	if (hps_tile_parse(path, &t) || is_done(v, &t) || t.width > hps_tile_width(t.level, t.n, v->found->size))
		return;
	if (hps_file_read(v->tilesfd, path, HPS_TILE_WIDTH * (HPS_LEAF_MAX + 2), &data, &error)) {
		if (faccessat(v->tilesfd, path, F_OK, 0) == 0) /* else a writer has just removed it */
			hps_problem_add_error(v, -1, NULL, file, NULL, &error);
		return;
	}
	if (t.entries)
		check_bundle(v, &t, file, &data);
	else
		check_hashes(v, &t, file, &data);
}

static void unread_folder(struct hps_verifier *v, const FTSENT *at, const char *path)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_free_ char *file = hps_format("tiles/%s", path);

	errno = at->fts_errno;
	hps_error_errno(&error, "reading the folder");
	hps_problem_add_error(v, -1, NULL, file, NULL, &error);
}

static void check_files(struct hps_verifier *v)
{
	char root[64], *roots[] = { root, NULL };
	size_t skip;
	FTS *walk;
	FTSENT *at;

	snprintf(root, sizeof root, "/proc/self/fd/%d/tile", v->tilesfd);
	skip = strlen(root) - strlen("tile");
	walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	while (walk && (at = fts_read(walk)))
		if (at->fts_info == FTS_F)
			check_file(v, at->fts_path + skip);
		else if (at->fts_info == FTS_DNR || at->fts_info == FTS_ERR)
			unread_folder(v, at, at->fts_path + skip);
	if (walk)
		fts_close(walk);
}

/* Upper tiles that readers of the checkpoint need. */
static void check_present(struct hps_verifier *v)
{
	for (unsigned l = 1; l < HPS_TILE_LEVELS; l++)
		for (uint64_t n = 0; n * HPS_TILE_WIDTH < v->n_level[l]; n++) {
			struct hps_tile t = { .level = l, .n = n, .width = hps_tile_width(l, n, v->found->size) };
			_cleanup_buf_ struct hps_buf data = HPS_BUF_INIT;
			_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;

			if (hps_tile_read(v->tilesfd, &t, &data, &error))
				hps_problem_add_error(v, -1, NULL, NULL, NULL, &error);
		}
}

void hps_verify_tiles(struct hps_verifier *v)
{
	check_files(v);
	check_present(v);
}
