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

/* Keys are digests: any of their bits spread. */
static uint32_t *slot_of(const struct hps_ids *ids, size_t at)
{
	return &ids->slots[at & (ids->n_slots - 1)];
}

static void put(struct hps_ids *ids, uint64_t index)
{
	size_t at = ids->heads[index];

	while (*slot_of(ids, at))
		at++;
	*slot_of(ids, at) = (uint32_t)index + 1;
	ids->used++;
}

static void grow(struct hps_ids *ids)
{
	uint32_t *old = ids->slots;
	size_t n = ids->n_slots;

	ids->n_slots = n ? 2 * n : 64;
	ids->slots = hps_alloc(ids->n_slots * sizeof *ids->slots);
	ids->used = 0;
	for (size_t i = 0; i < n; i++)
		if (old[i])
			put(ids, old[i] - 1);
	free(old);
}

static bool leaf_names(struct hps_verifier *v, uint64_t index, const struct hps_digest *id)
{
	struct hps_tiles tiles = { .tilesfd = v->tilesfd, .size = v->found->size };
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	return !hps_tiles_leaf(&tiles, index, &text, NULL) && !hps_leaf_read(text.data, text.len, &leaf, NULL) && hps_digest_equal(&leaf.id, id);
}

static bool find(struct hps_verifier *v, const struct hps_digest *id, uint64_t *ret_index)
{
	const struct hps_ids *ids = &v->ids;
	uint64_t head = head_of(id);

	for (size_t at = head; ids->n_slots && *slot_of(ids, at); at++) {
		*ret_index = *slot_of(ids, at) - 1;
		if (ids->heads[*ret_index] == head && leaf_names(v, *ret_index, id))
			return true;
	}
	return false;
}

/* Of the journal there are few. */
static bool claim_pending(struct hps_ids *ids, uint64_t index, const struct hps_digest *id, uint64_t *ret_index)
{
	char hex[HPS_DIGEST_HEX];
	void **slot;

	hps_digest_hex(id, hex);
	slot = hps_map_slot(&ids->pending, hex);
	*ret_index = (uintptr_t)*slot - 1;
	if (*slot)
		return false;
	*slot = (void *)((uintptr_t)index + 1);
	return true;
}

bool hps_ids_claim(struct hps_verifier *v, uint64_t index, const struct hps_digest *id, uint64_t *ret_index)
{
	struct hps_ids *ids = &v->ids;

	if (find(v, id, ret_index))
		return false;
	if (index >= v->n)
		return claim_pending(ids, index, id, ret_index);
	while (ids->n <= index) {
		ids->heads = hps_grow(ids->heads, ids->n, sizeof *ids->heads);
		ids->heads[ids->n++] = 0;
	}
	ids->heads[index] = head_of(id);
	if (2 * ids->used >= ids->n_slots)
		grow(ids);
	put(ids, index);
	return true;
}

bool hps_ids_known(struct hps_verifier *v, const struct hps_digest *id)
{
	uint64_t index;

	return find(v, id, &index);
}

void hps_ids_release(struct hps_ids *ids)
{
	free(ids->heads);
	free(ids->slots);
	hps_map_release(&ids->pending);
}
