/* Appending: sign, store in one transaction, publish. docs/FORMATS.md ("Ledger") has the order and what each step may find
 * when it is repeated. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 200 /* descriptors of staged files are open at once */

struct appending {
	struct hps_ledger *l;
	struct hps_merkle tree;
	struct hps_digest keyid;
	struct hps_strv begins; /* whose leases were taken */
	size_t n_new;
};

/* A begin entry's number among those of this key: only known under the lock. */
static int set_counter(struct appending *a, json_t *statement, struct hps_error *err)
{
	uint64_t counter;
	int r = hps_store_next_counter(a->l->store, &a->keyid, &counter, err);

	if (!r)
		hps_json_set_int(json_object_get(statement, "predicate"), "counter", (int64_t)counter);
	return r;
}

/* The bytes that will be signed, and their id. */
static int encode(struct appending *a, const json_t *statement, bool is_begin, struct hps_buf *payload, struct hps_digest *ret_id, struct hps_error *err)
{
	_cleanup_json_ json_t *copy = is_begin ? json_deep_copy(statement) : NULL;
	_cleanup_buf_ struct hps_buf pae = HPS_BUF_INIT;
	int r = copy ? set_counter(a, copy, err) : 0;

	if (!r)
		r = hps_json_canonical(copy ? copy : statement, payload, err);
	if (!r && payload->len > HPS_ENVELOPE_MAX / 2)
		r = hps_error_set(err, HPS_E_LIMIT, "a statement of %zu bytes is over the limit of %zu", payload->len, HPS_ENVELOPE_MAX / 2);
	if (r)
		return r;
	hps_pae(HPS_PAYLOAD_TYPE, payload->data, payload->len, &pae);
	hps_digest_of(pae.data, pae.len, ret_id);
	return 0;
}

static int store_nodes(struct appending *a, const struct hps_buf *leaf, struct hps_error *err)
{
	struct hps_digest hash, nodes[HPS_MERKLE_LEVELS];
	uint64_t index = a->tree.size;
	unsigned n;
	int r = 0;

	hps_merkle_leaf(leaf->data, leaf->len, &hash);
	n = hps_merkle_add(&a->tree, &hash, nodes);
	for (unsigned level = 0; !r && level < n; level++)
		r = hps_store_add_node(a->l->store, level, index >> level, &nodes[level], err);
	return r;
}

static int store_new(struct appending *a, json_t *statement, const struct hps_buf *payload, const struct hps_digest *id, struct hps_error *err)
{
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
	_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT, envelope = HPS_BUF_INIT;
	struct hps_row row = { .index = a->tree.size, .id = *id, .keyid = a->keyid, .entry = &entry };
	int r = hps_envelope_sign(HPS_PAYLOAD_TYPE, payload->data, payload->len, a->l->statement_key, &e, err);

	if (r)
		return r;
	hps_envelope_write(&e, &envelope);
	hps_leaf_write(id, &e.signature, a->l->statement_key, &leaf);
	hps_entry_fill(&entry, statement);
	row.leaf = leaf.data;
	row.leaf_len = leaf.len;
	row.envelope = envelope.data;
	row.envelope_len = envelope.len;
	r = hps_store_add(a->l->store, &row, err);
	if (!r)
		r = store_nodes(a, &leaf, err);
	a->n_new++;
	return r;
}

static int find_same(struct appending *a, const struct hps_digest *id, uint64_t *ret_index, size_t *ret_n, struct hps_error *err)
{
	return hps_store_by_prefix(a->l->store, id, id, INT64_MAX, ret_index, 1, ret_n, err);
}

static int append_one(struct appending *a, const json_t *statement, char ret_id[65], uint64_t *ret_index, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf payload = HPS_BUF_INIT;
	_cleanup_free_ char *kind = hps_statement_kind(statement);
	_cleanup_json_ json_t *signed_statement = NULL;
	bool is_begin = !strcmp(kind, "begin");
	struct hps_digest id;
	size_t n;
	int r = encode(a, statement, is_begin, &payload, &id, err);

	if (!r)
		r = find_same(a, &id, ret_index, &n, err);
	if (r)
		return r;
	hps_digest_hex(&id, ret_id);
	if (n)
		return 0;
	*ret_index = a->tree.size;
	if (is_begin) {
		r = hps_lease_prepare(a->l, ret_id, err);
		if (r)
			return r;
		hps_strv_add(&a->begins, ret_id);
	}
	r = hps_json_parse(payload.data, payload.len, &signed_statement, err);
	return r ? r : store_new(a, signed_statement, &payload, &id, err);
}

/* Signs the tree as it has become and has everything ready in staging/ before the transaction is committed. */
static int sign_and_stage(struct appending *a, uint64_t from, struct hps_publication *ret, struct hps_error *err)
{
	struct hps_checkpoint c = { .origin = a->l->trust.origin, .size = a->tree.size };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	int r;

	if (c.size > HPS_LEDGER_SIZE_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "the ledger is full");
	hps_merkle_root(&a->tree, &c.root);
	r = hps_checkpoint_sign(&c, a->l->log_key, &note, err);
	if (!r)
		r = hps_store_set_head(a->l->store, c.size, &c.root, &note, err);
	return r ? r : hps_publication_stage(a->l, from, c.size, &c.root, &note, ret, err);
}

/* Under the lock and in a transaction; what it leaves open on failure the caller rolls back. */
static int store_all(struct appending *a, const json_t *const *statements, size_t n, char (*ids)[65], uint64_t *indexes, struct hps_publication *p,
		     struct hps_error *err)
{
	struct hps_merkle_source source = { hps_store_node, a->l->store };
	int r = hps_merkle_load(&source, a->l->size, &a->tree, err);

	for (size_t i = 0; !r && i < n; i++)
		r = append_one(a, statements[i], ids[i], &indexes[i], err);
	if (!r && a->n_new)
		r = sign_and_stage(a, a->l->size, p, err);
	return r;
}

static int append_locked(struct appending *a, const json_t *const *statements, size_t n, char (*ids)[65], uint64_t *indexes, struct hps_error *err)
{
	struct hps_publication p = HPS_PUBLICATION_INIT;
	int r = hps_store_begin(a->l->store, err);

	if (r)
		return r;
	r = store_all(a, statements, n, ids, indexes, &p, err);
	if (!r && a->n_new)
		r = hps_store_commit(a->l->store, err);
	if (r || !a->n_new) {
		hps_store_rollback(a->l->store);
		hps_publication_discard(a->l, &p);
		return r;
	}
	r = hps_publication_move(a->l, &p, err);
	if (r) {
		hps_error_prefix(err, "the entry is stored, but publishing it is left to the next writer");
		return r;
	}
	a->l->size = a->tree.size;
	hps_merkle_root(&a->tree, &a->l->root);
	return 0;
}

static int append_all(struct appending *a, const json_t *const *statements, size_t n, char (*ids)[65], uint64_t *indexes, struct hps_error *err)
{
	int r = hps_ledger_lock(a->l, err);

	if (r)
		return r;
	r = append_locked(a, statements, n, ids, indexes, err);
	hps_ledger_unlock(a->l);
	for (size_t i = 0; r && i < a->begins.n; i++)
		hps_lease_drop(a->l, a->begins.v[i]);
	return r;
}

int hps_ledger_append_all(struct hps_ledger *l, const json_t *const *statements, size_t n, char (*ret_ids)[65], uint64_t *ret_indexes, struct hps_error *err)
{
	_cleanup_free_ char(*ids)[65] = hps_alloc((n + 1) * sizeof *ids);
	_cleanup_free_ uint64_t *indexes = hps_alloc((n + 1) * sizeof *indexes);
	struct appending a = { .l = l };
	int r = 0;

	if (n > BATCH_MAX)
		return hps_error_set(err, HPS_E_USAGE, "appending: %zu statements at once are more than %d", n, BATCH_MAX);
	for (size_t i = 0; !r && i < n; i++)
		r = hps_statement_check(statements[i], err);
	if (!r && l->statement_key && hps_digest_parse(l->keyid, &a.keyid))
		r = HPS_E_DAMAGED;
	if (!r && n)
		r = append_all(&a, statements, n, ids, indexes, err);
	hps_strv_release(&a.begins);
	if (r) {
		hps_error_prefix(err, "appending to the ledger");
		return r;
	}
	for (size_t i = 0; i < n; i++) {
		if (ret_ids)
			memcpy(ret_ids[i], ids[i], sizeof ids[i]);
		if (ret_indexes)
			ret_indexes[i] = indexes[i];
	}
	return 0;
}

int hps_ledger_append(struct hps_ledger *l, const json_t *statement, char ret_id[65], uint64_t *ret_index, struct hps_error *err)
{
	char ids[1][65];
	uint64_t index;
	int r = hps_ledger_append_all(l, &statement, 1, ids, &index, err);

	if (r)
		return r;
	if (ret_id)
		memcpy(ret_id, ids[0], sizeof ids[0]);
	if (ret_index)
		*ret_index = index;
	return 0;
}
