/* The Merkle tree and its files. */
#ifndef HPS_LEDGER_TREE_H
#define HPS_LEDGER_TREE_H

#include "core/core.h"

/* ---- merkle.c: the tree of RFC 6962 section 2.1 (RFC 9162 section 2.1), SHA-256 ---------------------------------------- */

#define HPS_MERKLE_LEVELS 64
/* A proof has at most 63 hashes; sizes stay under 2^63, which is what peers written in Go can hold. */
#define HPS_PROOF_MAX 63

void hps_merkle_leaf(const void *data, size_t len, struct hps_digest *ret);
void hps_merkle_node(const struct hps_digest *left, const struct hps_digest *right, struct hps_digest *ret);

/* A tree that grows to the right and remembers only the roots of its complete subtrees: edge[l] covers 2^l leaves and is valid
 * where bit l of size is set. All zero is the empty tree. */
struct hps_merkle {
	uint64_t size;
	struct hps_digest edge[HPS_MERKLE_LEVELS];
};
/* Adds a leaf hash. ret_nodes (may be NULL) receives the subtrees that are complete now: the returned count, level 0 first;
 * the one of level l has number (old size >> l) in its level. */
unsigned hps_merkle_add(struct hps_merkle *m, const struct hps_digest *leaf, struct hps_digest ret_nodes[HPS_MERKLE_LEVELS]);
void hps_merkle_root(const struct hps_merkle *m, struct hps_digest *ret);

/* Where proofs get the complete subtree `n` of `level` (leaves n << level to (n + 1) << level). */
struct hps_merkle_source {
	int (*node)(void *arg, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err);
	void *arg;
};
/* The tree of the first `size` leaves, ready to grow. */
int hps_merkle_load(const struct hps_merkle_source *source, uint64_t size, struct hps_merkle *ret, struct hps_error *err) HPS_MUST;

struct hps_proof {
	unsigned n;
	struct hps_digest hash[HPS_PROOF_MAX];
};
int hps_merkle_prove_inclusion(const struct hps_merkle_source *source, uint64_t index, uint64_t size, struct hps_proof *ret,
			       struct hps_error *err) HPS_MUST;
int hps_merkle_prove_consistency(const struct hps_merkle_source *source, uint64_t size1, uint64_t size2, struct hps_proof *ret,
				 struct hps_error *err) HPS_MUST;
/* RFC 9162 sections 2.1.3.2 and 2.1.4.2: 0 or HPS_E_DAMAGED. size1 0, which the RFC leaves open, is refused. */
int hps_merkle_check_inclusion(uint64_t index, uint64_t size, const struct hps_digest *leaf, const struct hps_digest *proof, size_t n,
			       const struct hps_digest *root, struct hps_error *err) HPS_MUST;
int hps_merkle_check_consistency(uint64_t size1, uint64_t size2, const struct hps_digest *root1, const struct hps_digest *root2,
				 const struct hps_digest *proof, size_t n, struct hps_error *err) HPS_MUST;

/* ---- tile.c: static files of the tree (C2SP tlog-tiles) -------------------------------------------------------------------- */

#define HPS_TILE_WIDTH 256
#define HPS_TILE_PATH 80

struct hps_tile {
	bool entries;	/* an entry bundle; level is 0 */
	unsigned level;
	uint64_t n;
	unsigned width; /* 1..256 */
};
/* Of the tile in a tree of `size` leaves; 0: there is none. */
unsigned hps_tile_width(unsigned level, uint64_t n, uint64_t size);
void hps_tile_path(const struct hps_tile *t, char out[HPS_TILE_PATH]);
int hps_tile_parse(const char *path, struct hps_tile *ret) HPS_MUST; /* -EINVAL unless exactly what hps_tile_path() writes */
/* The tile's bytes: from its own file or, when that has been superseded, from the full tile. A bundle is not cut. */
int hps_tile_read(int tilesfd, const struct hps_tile *t, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
/* One entry as a bundle holds it; leaves have at most 65,535 bytes. */
#define HPS_LEAF_MAX 65535
void hps_bundle_add(struct hps_buf *bundle, const void *leaf, size_t len);
/* Takes the entry at *at (offset) of the bundle and moves *at behind it; false: what is left is not an entry. */
bool hps_bundle_next(const struct hps_buf *bundle, size_t *at, const uint8_t **ret_leaf, size_t *ret_len);

/* A source's node() out of the tiles of a tree of `size` leaves. What it gives is as true as the files: check the proof. */
struct hps_tiles {
	int tilesfd;
	uint64_t size;
	const char *url;     /* not NULL: read there instead */
	const char *ca_file; /* for it; may be NULL */
};
/* One file below tiles/, from the directory or the URL; HPS_E_NOTFOUND when it is not there. */
int hps_tiles_file(const struct hps_tiles *tiles, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
int hps_tiles_node(void *tiles, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err) HPS_MUST;
/* The leaf of one entry, out of its bundle. */
int hps_tiles_leaf(const struct hps_tiles *tiles, uint64_t index, struct hps_buf *ret, struct hps_error *err) HPS_MUST;

#endif
