/* Appending, as a writer sees it: its statements become a request, signed already but for begin entries, whose counter only the holder of
 * the lock knows; this process serves it when the lock is free (sequencer.c), else whoever has it does. */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int request_signed(struct hps_ledger *l, const json_t *statement, struct hps_buf *request, struct hps_error *err)
{
	_cleanup_(hps_made_release) struct hps_made m = { .leaf = HPS_BUF_INIT, .envelope = HPS_BUF_INIT };
	_cleanup_buf_ struct hps_buf payload = HPS_BUF_INIT;
	int r = hps_json_canonical(statement, &payload, err);

	if (!r)
		r = hps_request_sign(l, &payload, &m, err);
	if (r)
		return r;
	hps_request_put(request, m.e.id.b, sizeof m.e.id.b);
	hps_request_put(request, m.leaf.data, m.leaf.len);
	hps_request_put(request, m.envelope.data, m.envelope.len);
	return 0;
}

static int request_begin(struct hps_ledger *l, const json_t *statement, struct hps_buf *request, struct hps_strv *leases, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf payload = HPS_BUF_INIT;
	char lease[HPS_LEASE_NAME];
	int r = hps_json_canonical(statement, &payload, err);

	if (!r)
		r = hps_lease_prepare(l, lease, err);
	if (r)
		return r;
	hps_strv_add(leases, lease);
	hps_request_put(request, lease, strlen(lease) + 1);
	hps_request_put(request, payload.data, payload.len);
	return 0;
}

static int make_request(struct hps_ledger *l, const json_t *const *statements, size_t n, struct hps_buf *request, struct hps_strv *leases, struct hps_error *err)
{
	int r = 0;

	hps_buf_add(request, l->keyid, HPS_DIGEST_HEX);
	for (size_t i = 0; !r && i < n; i++) {
		_cleanup_free_ char *kind = NULL;
		bool begin;

		r = hps_statement_check(statements[i], err);
		if (r)
			return r;
		kind = hps_statement_kind(statements[i]);
		begin = !strcmp(kind, "begin");
		hps_buf_addc(request, begin ? HPS_REQUEST_BEGIN : HPS_REQUEST_SIGNED);
		r = begin ? request_begin(l, statements[i], request, leases, err) : request_signed(l, statements[i], request, err);
	}
	return r || !request->full ? r : hps_error_set(err, HPS_E_LIMIT, "the statements together are too large");
}

/* By this process when the lock is free, else by whoever has it. Where others wait already one of them is about to take it who has read what
 * is there, which this process would have to read first. */
static int get_served(struct hps_ledger *l, const struct hps_buf *request, struct hps_buf *answer, struct hps_error *err)
{
	bool got = false, patient = !l->journal.loaded && hps_queue_has_waiting(&l->queue);
	int r = patient ? hps_ledger_lock_open(l, err) : hps_ledger_try_lock(l, &got, err);

	if (r)
		return r;
	if (!got && hps_queue_put(&l->queue, request, &l->journal)) {
		got = hps_queue_wait(&l->queue, l->lockfd, patient);
		if (got && !hps_queue_withdraw(&l->queue)) {
			hps_ledger_unlock(l);
			got = false;
		}
		if (!got)
			return hps_queue_answer_read(&l->queue, answer, err);
	}
	r = got ? hps_ledger_lock_load(l, err) : hps_ledger_lock(l, err);
	return r ? r : hps_sequencer_serve(l, request, answer, err);
}

static int read_answer(struct hps_ledger *l, const struct hps_buf *answer, size_t n, const struct hps_strv *leases, char (*ids)[65], uint64_t *indexes,
		       const json_t *const *statements, struct hps_error *err)
{
	size_t lease = 0;

	if (answer->len != n * HPS_ANSWER_LEN)
		return hps_error_set(err, -EIO, "the answer of the writer that appended it is damaged");
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *kind = hps_statement_kind(statements[i]);
		struct hps_digest id;

		memcpy(id.b, answer->data + i * HPS_ANSWER_LEN, sizeof id.b);
		memcpy(&indexes[i], answer->data + i * HPS_ANSWER_LEN + sizeof id.b, sizeof indexes[i]);
		hps_digest_hex(&id, ids[i]);
		if (!strcmp(kind, "begin") && lease < leases->n)
			hps_lease_keep(l, leases->v[lease++], ids[i]);
	}
	return 0;
}

static int append_all(struct hps_ledger *l, const json_t *const *statements, size_t n, char (*ids)[65], uint64_t *indexes, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf request = HPS_BUF_INIT, answer = HPS_BUF_INIT;
	_cleanup_strv_ struct hps_strv leases = HPS_STRV_INIT;
	int r = hps_ledger_check_append(l, err);

	if (!r && l->remote)
		return hps_remote_append(l, statements, n, ids, indexes, err);
	if (!r)
		r = make_request(l, statements, n, &request, &leases, err);
	if (!r)
		r = get_served(l, &request, &answer, err);
	if (!r)
		r = read_answer(l, &answer, n, &leases, ids, indexes, statements, err);
	for (size_t i = 0; r && i < leases.n; i++)
		hps_lease_drop(l, leases.v[i]);
	return r;
}

int hps_ledger_append_all(struct hps_ledger *l, const json_t *const *statements, size_t n, char (*ret_ids)[65], uint64_t *ret_indexes, struct hps_error *err)
{
	_cleanup_free_ char(*ids)[65] = hps_alloc((n + 1) * sizeof *ids);
	_cleanup_free_ uint64_t *indexes = hps_alloc((n + 1) * sizeof *indexes);
	int r = 0;

	if (n > HPS_REQUEST_MAX)
		return hps_error_set(err, HPS_E_USAGE, "appending: %zu statements at once are more than %d", n, HPS_REQUEST_MAX);
	if (n)
		r = hps_ledger_may_sign(l, statements, n, err);
	if (!r && n)
		r = append_all(l, statements, n, ids, indexes, err);
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

/* ---- what others have signed ---- */

static int check_foreign(struct hps_ledger *l, const struct hps_envelope *e, struct hps_buf *ret_leaf, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = NULL;
	_cleanup_key_ struct hps_key *key = NULL;
	_cleanup_free_ char *kind = NULL;
	const struct hps_buf *spki = hps_keyring_spki(&l->keyring, e->keyid);
	struct hps_digest id;
	int r = hps_json_parse(e->payload.data, e->payload.len, &statement, err);

	if (!r)
		r = hps_statement_check(statement, err);
	if (r)
		return r;
	kind = hps_statement_kind(statement);
	if (!strcmp(kind, "key"))
		return hps_error_set(err, HPS_E_DENIED, "changes of keys are made where the ledger is");
	if (!spki || hps_keyring_check(&l->keyring, UINT64_MAX - 1, e->keyid, kind, err))
		return hps_error_set(err, HPS_E_DENIED, "the key '%.12s' is not enrolled for statements of the kind '%s'", e->keyid, kind);
	r = hps_key_from_spki(spki->data, spki->len, &key, err);
	if (!r)
		r = hps_envelope_verify(e, key, err);
	hps_envelope_id(e, &id);
	if (!r)
		hps_leaf_write(&id, &e->signature, key, ret_leaf);
	return r;
}

int hps_ledger_submit(struct hps_ledger *l, const char *text, size_t len, char ret_id[65], uint64_t *ret_index, struct hps_error *err)
{
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT, request = HPS_BUF_INIT, answer = HPS_BUF_INIT;
	struct hps_digest id;
	int r = hps_ledger_check_append(l, err);

	if (!r)
		r = hps_envelope_read_stored(text, len, &e, err);
	if (!r)
		r = hps_request_check(&e.payload, err);
	if (!r)
		r = hps_ledger_may_sign(l, NULL, 0, err); /* loads the keys */
	if (!r)
		r = check_foreign(l, &e, &leaf, err);
	if (r)
		return r;
	hps_envelope_id(&e, &id);
	hps_buf_add(&request, l->keyid, HPS_DIGEST_HEX);
	hps_buf_addc(&request, HPS_REQUEST_FOREIGN);
	hps_request_put(&request, id.b, sizeof id.b);
	hps_request_put(&request, leaf.data, leaf.len);
	hps_request_put(&request, text, len);
	r = get_served(l, &request, &answer, err);
	if (!r && answer.len != HPS_ANSWER_LEN)
		r = hps_error_set(err, -EIO, "the answer of the writer that appended it is damaged");
	if (r)
		return r;
	memcpy(ret_index, answer.data + sizeof id.b, sizeof *ret_index);
	hps_digest_hex(&id, ret_id);
	return 0;
}
