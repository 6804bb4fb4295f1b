/* The Merkle tree of RFC 6962: hashing, proofs and their verification. It knows numbers and hashes, no files. */
#include "ledger/ledger.h"

#include <string.h>

void hps_merkle_leaf(const void *data, size_t len, struct hps_digest *ret)
{
	struct hps_sha256 *h = hps_sha256_new();

	hps_sha256_update(h, "\0", 1);
	hps_sha256_update(h, data, len);
	hps_sha256_final(h, ret);
	hps_sha256_free(h);
}

void hps_merkle_node(const struct hps_digest *left, const struct hps_digest *right, struct hps_digest *ret)
{
	uint8_t pair[1 + 2 * HPS_DIGEST_LEN] = { 1 };

	memcpy(pair + 1, left->b, HPS_DIGEST_LEN);
	memcpy(pair + 1 + HPS_DIGEST_LEN, right->b, HPS_DIGEST_LEN);
	hps_digest_of(pair, sizeof pair, ret);
}

unsigned hps_merkle_add(struct hps_merkle *m, const struct hps_digest *leaf, struct hps_digest ret_nodes[HPS_MERKLE_LEVELS])
{
	struct hps_digest hash = *leaf;
	unsigned level = 0;

	for (;;) {
		if (ret_nodes)
			ret_nodes[level] = hash;
		if (!(m->size >> level & 1))
			break;
		hps_merkle_node(&m->edge[level], &hash, &hash);
		level++;
	}
	m->edge[level] = hash;
	m->size++;
	return level + 1;
}

void hps_merkle_root(const struct hps_merkle *m, struct hps_digest *ret)
{
	bool any = false;

	for (unsigned level = 0; level < HPS_MERKLE_LEVELS; level++) {
		if (!(m->size >> level & 1))
			continue;
		if (any)
			hps_merkle_node(&m->edge[level], ret, ret);
		else
			*ret = m->edge[level];
		any = true;
	}
	if (!any)
		hps_digest_of("", 0, ret);
}

int hps_merkle_load(const struct hps_merkle_source *source, uint64_t size, struct hps_merkle *ret, struct hps_error *err)
{
	memset(ret, 0, sizeof *ret);
	for (unsigned level = 0; level < HPS_MERKLE_LEVELS; level++) {
		int r;

		if (!(size >> level & 1))
			continue;
		/* The subtree of this level ends where the lower bits of size are cut off. */
		r = source->node(source->arg, level, (size >> level) - 1, &ret->edge[level], err);
		if (r)
			return r;
	}
	ret->size = size;
	return 0;
}

/* ---- making proofs ---- */

/* The largest power of two smaller than n (n > 1): where n leaves are split. */
static uint64_t split(uint64_t n)
{
	return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

/* Root of the leaves lo to hi. lo is a multiple of the smallest power of two that is at least hi - lo: so every complete
 * subtree of the range is one of the whole tree. */
static int range_root(const struct hps_merkle_source *source, uint64_t lo, uint64_t hi, struct hps_digest *ret, struct hps_error *err)
{
	uint64_t size = hi - lo, end = hi;
	bool any = false;

	for (unsigned level = 0; level < HPS_MERKLE_LEVELS; level++) {
		struct hps_digest hash;
		int r;

		if (!(size >> level & 1))
			continue;
		end -= (uint64_t)1 << level;
		r = source->node(source->arg, level, end >> level, &hash, err);
		if (r)
			return r;
		if (any)
			hps_merkle_node(&hash, ret, ret);
		else
			*ret = hash;
		any = true;
	}
	return 0;
}

static int prove(const struct hps_merkle_source *source, uint64_t lo, uint64_t hi, struct hps_proof *p, struct hps_error *err)
{
	return range_root(source, lo, hi, &p->hash[p->n++], err);
}

/* Both proofs are found from the root down and listed from the leaf up. */
static void reverse(struct hps_proof *p)
{
	for (unsigned i = 0, j = p->n; i + 1 < j; i++) {
		struct hps_digest swap = p->hash[i];

		p->hash[i] = p->hash[--j];
		p->hash[j] = swap;
	}
}

static int check_sizes(uint64_t small, uint64_t size, struct hps_error *err)
{
	if (small > size || size > HPS_LEDGER_SIZE_MAX)
		return hps_error_set(err, HPS_E_USAGE, "proving: %llu is outside a tree of %llu leaves", (unsigned long long)small,
				     (unsigned long long)size);
	return 0;
}

int hps_merkle_prove_inclusion(const struct hps_merkle_source *source, uint64_t index, uint64_t size, struct hps_proof *ret, struct hps_error *err)
{
	uint64_t lo = 0, hi = size;
	int r = index == UINT64_MAX ? HPS_E_USAGE : check_sizes(index + 1, size, err);

	ret->n = 0;
	while (!r && hi - lo > 1) {
		uint64_t middle = lo + split(hi - lo);

		if (index < middle) {
			r = prove(source, middle, hi, ret, err);
			hi = middle;
		} else {
			r = prove(source, lo, middle, ret, err);
			lo = middle;
		}
	}
	reverse(ret);
	return r;
}

int hps_merkle_prove_consistency(const struct hps_merkle_source *source, uint64_t size1, uint64_t size2, struct hps_proof *ret, struct hps_error *err)
{
	uint64_t lo = 0, hi = size2;
	bool known = true; /* the subtree at hand is the old tree itself, whose root the verifier has */
	int r = check_sizes(size1, size2, err);

	ret->n = 0;
	if (r || size1 == 0 || size1 == size2)
		return r;
	while (!r && hi != size1) {
		uint64_t middle = lo + split(hi - lo);

		if (size1 <= middle) {
			r = prove(source, middle, hi, ret, err);
			hi = middle;
		} else {
			r = prove(source, lo, middle, ret, err);
			lo = middle;
			known = false;
		}
	}
	if (!r && !known)
		r = prove(source, lo, hi, ret, err);
	reverse(ret);
	return r;
}

/* ---- checking proofs ---- */

static int wrong(struct hps_error *err, const char *what, const char *why)
{
	return hps_error_set(err, HPS_E_DAMAGED, "checking an %s proof: %s", what, why);
}

int hps_merkle_check_inclusion(uint64_t index, uint64_t size, const struct hps_digest *leaf, const struct hps_digest *proof, size_t n,
			       const struct hps_digest *root, struct hps_error *err)
{
	struct hps_digest hash = *leaf;
	uint64_t at = index, last = size - 1;

	if (index >= size)
		return wrong(err, "inclusion", "the index is outside the tree");
	if (n > HPS_PROOF_MAX)
		return wrong(err, "inclusion", "it is too long");
	for (size_t i = 0; i < n; i++) {
		if (last == 0)
			return wrong(err, "inclusion", "it has too many hashes");
		if (at & 1 || at == last) {
			hps_merkle_node(&proof[i], &hash, &hash);
			for (; !(at & 1) && at; at >>= 1)
				last >>= 1;
		} else {
			hps_merkle_node(&hash, &proof[i], &hash);
		}
		at >>= 1;
		last >>= 1;
	}
	if (last != 0)
		return wrong(err, "inclusion", "it has too few hashes");
	return hps_digest_equal(&hash, root) ? 0 : wrong(err, "inclusion", "it leads to another root");
}

/* Folds the hashes after the first into the root of the old tree (*ret_old) and of the new (*ret_new). */
static int fold_consistency(uint64_t at, uint64_t last, const struct hps_digest *proof, size_t n, struct hps_digest *ret_old, struct hps_digest *ret_new,
			    struct hps_error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (last == 0)
			return wrong(err, "consistency", "it has too many hashes");
		if (at & 1 || at == last) {
			hps_merkle_node(&proof[i], ret_old, ret_old);
			hps_merkle_node(&proof[i], ret_new, ret_new);
			for (; !(at & 1) && at; at >>= 1)
				last >>= 1;
		} else {
			hps_merkle_node(ret_new, &proof[i], ret_new);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 ? 0 : wrong(err, "consistency", "it has too few hashes");
}

int hps_merkle_check_consistency(uint64_t size1, uint64_t size2, const struct hps_digest *root1, const struct hps_digest *root2,
				 const struct hps_digest *proof, size_t n, struct hps_error *err)
{
	struct hps_digest old_root, new_root;
	uint64_t at = size1 - 1, last = size2 - 1;
	bool whole = size1 && !(size1 & (size1 - 1)); /* a power of two: the old root is itself the first hash */
	int r;

	if (size1 > size2 || n > HPS_PROOF_MAX)
		return wrong(err, "consistency", size1 > size2 ? "the tree shrank" : "it is too long");
	if (size1 == 0)
		return wrong(err, "consistency", "every tree continues the empty one, which proves nothing");
	if (size1 == size2) {
		if (n)
			return wrong(err, "consistency", "it should be empty");
		return hps_digest_equal(root1, root2) ? 0 : wrong(err, "consistency", "one size has two roots");
	}
	if (n == 0)
		return wrong(err, "consistency", "it is empty");
	old_root = new_root = whole ? *root1 : proof[0];
	for (; at & 1; at >>= 1)
		last >>= 1;
	r = fold_consistency(at, last, proof + !whole, n - !whole, &old_root, &new_root, err);
	if (r)
		return r;
	if (!hps_digest_equal(&old_root, root1))
		return wrong(err, "consistency", "it leads to another old root");
	return hps_digest_equal(&new_root, root2) ? 0 : wrong(err, "consistency", "it leads to another new root");
}
