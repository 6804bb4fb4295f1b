/* Verification that a statement is in the ledger once. Of a million ids the first eight bytes are kept; where two agree in those, the
 * leaves are asked again. */
#include "ledger/ledger.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static uint64_t head_of(const struct hps_digest *id)
{
	uint64_t head;

	memcpy(&head, id->b, sizeof head);
	return le64toh(head);
}

void hps_ids_note(struct hps_verifier *v, uint64_t index, const struct hps_digest *id)
{
	struct hps_ids *ids = &v->ids;

	while (ids->n <= index) {
		ids->heads = hps_grow(ids->heads, ids->n, sizeof *ids->heads);
		ids->heads[ids->n++] = 0;
	}
	ids->heads[index] = head_of(id);
	if (index < v->n)
		return;
	if (!ids->n_pending)
		ids->first_pending = v->n;
	while (ids->n_pending <= index - ids->first_pending) {
		ids->pending = hps_grow(ids->pending, ids->n_pending, sizeof *ids->pending);
		ids->pending[ids->n_pending++] = *id;
	}
}

/* ---- looking up ---- */

static bool is_id(struct hps_verifier *v, uint64_t index, const struct hps_digest *id)
{
	struct hps_tiles tiles = { .tilesfd = v->tilesfd, .size = v->n };
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (index >= v->n)
		return hps_digest_equal(&v->ids.pending[index - v->ids.first_pending], id);
	return !hps_tiles_leaf(&tiles, index, &text, NULL) && !hps_leaf_read(text.data, text.len, &leaf, NULL) && hps_digest_equal(&leaf.id, id);
}

/* The next entry whose id begins so, from the place *at on; false: there is none, and *at is a free place. Heads are parts of digests:
 * any of their bits spread. */
static bool next(const struct hps_ids *ids, uint64_t head, size_t *at, uint64_t *ret_index)
{
	for (;; ++*at) {
		uint32_t slot = ids->slots[*at & (ids->n_slots - 1)];

		if (!slot)
			return false;
		*ret_index = slot - 1;
		if (ids->heads[*ret_index] == head)
			return true;
	}
}

static void make_slots(struct hps_ids *ids)
{
	free(ids->slots);
	for (ids->n_slots = 64; ids->n_slots < 2 * ids->n;)
		ids->n_slots *= 2;
	ids->slots = hps_alloc(ids->n_slots * sizeof *ids->slots);
}

static void put(struct hps_ids *ids, size_t at, uint64_t index)
{
	while (ids->slots[at & (ids->n_slots - 1)])
		at++;
	ids->slots[at & (ids->n_slots - 1)] = (uint32_t)index + 1;
}

bool hps_ids_known(struct hps_verifier *v, const struct hps_digest *id)
{
	struct hps_ids *ids = &v->ids;
	size_t at = head_of(id);
	uint64_t index;

	if (!ids->slots) {
		make_slots(ids);
		for (uint64_t i = 0; i < ids->n; i++)
			if (ids->heads[i])
				put(ids, ids->heads[i], i);
	}
	for (; next(ids, head_of(id), &at, &index); at++)
		if (is_id(v, index, id))
			return true;
	return false;
}

/* ---- each once ---- */

static bool read_id(struct hps_verifier *v, uint64_t index, struct hps_digest *ret)
{
	struct hps_tiles tiles = { .tilesfd = v->tilesfd, .size = v->n };
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (index >= v->n) {
		*ret = v->ids.pending[index - v->ids.first_pending];
		return true;
	}
	if (hps_tiles_leaf(&tiles, index, &text, NULL) || hps_leaf_read(text.data, text.len, &leaf, NULL))
		return false;
	*ret = leaf.id;
	return true;
}

static bool is_same(struct hps_verifier *v, uint64_t index, uint64_t other)
{
	char hex[HPS_DIGEST_HEX];
	struct hps_digest id;

	if (!read_id(v, index, &id) || !is_id(v, other, &id))
		return false;
	hps_digest_hex(&id, hex);
	hps_problem_add(v, (int64_t)index, hex, NULL, "this entry has the same statement as entry %llu", (unsigned long long)other);
	return true;
}

void hps_ids_check(struct hps_verifier *v)
{
	struct hps_ids *ids = &v->ids;

	make_slots(ids);
	for (uint64_t i = 0; i < ids->n; i++) {
		size_t at = ids->heads[i];
		bool same = false;
		uint64_t other;

		for (; ids->heads[i] && !same && next(ids, ids->heads[i], &at, &other); at++)
			same = is_same(v, i, other);
		if (ids->heads[i] && !same)
			put(ids, at, i);
	}
}

void hps_ids_release(struct hps_ids *ids)
{
	free(ids->heads);
	free(ids->pending);
	free(ids->slots);
}
