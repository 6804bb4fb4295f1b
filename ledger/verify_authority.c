/* Verification of who has signed: noted entry by entry, in any order, and judged in that of the log when all changes of keys are known. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

/* Four bytes for each entry: pairs of key and kind are few. A note is twice the number of its pair, from 1, and whether it counted. */
void hps_authority_note(struct hps_authority *a, const struct hps_reading *r, bool counted)
{
	_cleanup_free_ char *pair = hps_format("%s %s", r->keyid, r->kind);
	void **number = hps_map_slot(&a->pairs, pair);

	if (!*number)
		*number = (void *)(uintptr_t)a->pairs.n;
	while (a->n <= r->index) {
		a->notes = hps_grow(a->notes, a->n, sizeof *a->notes);
		a->notes[a->n++] = 0;
	}
	a->notes[r->index] = (uint32_t)(uintptr_t)*number << 1 | counted;
	if (!r->change)
		return;
	a->changes = hps_grow(a->changes, a->n_changes, sizeof *a->changes);
	a->changes[a->n_changes++] = (struct hps_key_entry){ r->index, json_incref(r->change) };
}

static int by_index(const void *a, const void *b)
{
	const struct hps_key_entry *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static int judge(const struct hps_authority *a, struct hps_keyring *ring, uint64_t index, size_t *change, struct hps_error *err)
{
	const char *pair = a->pairs.items[(a->notes[index] >> 1) - 1].key;
	char keyid[HPS_DIGEST_HEX] = "";
	int r;

	memcpy(keyid, pair, HPS_DIGEST_HEX - 1);
	r = hps_keyring_check(ring, index, keyid, pair + HPS_DIGEST_HEX, err);
	if (*change < a->n_changes && a->changes[*change].index == index) {
		const json_t *statement = a->changes[(*change)++].statement;

		if (!r)
			r = hps_keyring_apply(ring, index, statement, err);
	}
	return r;
}

/* A key of the log that nobody announced who may change keys: whoever has copied the former log key alone can make a handover. */
static void judge_handovers(struct hps_verifier *v, const struct hps_keyring *ring)
{
	for (const struct hps_vkey *k = &v->trust.log; k->former; k = k->former) {
		char keyid[HPS_DIGEST_HEX];

		hps_key_id(k->key, keyid);
		if (!hps_keyring_announced(ring, keyid, k->former_until))
			hps_problem_add_if_read(v, HPS_UNREAD_ENVELOPES | HPS_UNREAD_LEAVES, k->former_until, -1, NULL, "tiles/" HPS_HANDOVER_DIR,
					"the log's key was handed over to '%.12s' at %llu entries, and no entry before that announces it", keyid,
					(unsigned long long)k->former_until);
	}
}

void hps_authority_judge(struct hps_verifier *v)
{
	struct hps_authority *a = &v->authority;
	struct hps_keyring ring;
	size_t change = 0;

	hps_keyring_init(&ring, &v->trust);
	if (a->n_changes)
		qsort(a->changes, a->n_changes, sizeof *a->changes, by_index);
	for (uint64_t i = 0; i < a->n; i++) {
		_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;

		if (!a->notes[i] || !judge(a, &ring, i, &change, &error))
			continue;
		hps_problem_add_if_read(v, HPS_UNREAD_ENVELOPES | HPS_UNREAD_LEAVES, i, (int64_t)i, NULL, NULL, "%s", error.message); /* an earlier entry may have let it */
		v->found->n_checked -= a->notes[i] & 1;
	}
	if (!v->options->skip_bodies && v->n == v->found->size)
		judge_handovers(v, &ring);
	hps_keyring_release(&ring);
}

void hps_authority_release(struct hps_authority *a)
{
	for (size_t i = 0; i < a->n_changes; i++)
		json_decref(a->changes[i].statement);
	free(a->changes);
	hps_map_release(&a->pairs);
	free(a->notes);
}
