/* Appending. Each writer makes a request: statements, signed already but for begin entries, whose counter only the holder of the
 * lock knows. Whoever gets the lock serves its own request and all that wait in the queue, as one batch of the journal. */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define REQUEST_MAX 200
#define BATCH_ENTRIES 128	      /* no further request is taken into a batch that has so many */
#define BATCH_BYTES ((size_t)8 << 20) /* or so much */
#define SETTLE_ENTRIES 128
#define SETTLE_BYTES ((uint64_t)1 << 20)
#define SETTLE_NS 1000000000 /* what was acknowledged longer ago is published at the latest by the next append */
#define JOURNAL_MAX ((uint64_t)64 << 20) /* beyond this nothing is accepted that cannot be moved on */
#define SPACE_BASE ((uint64_t)256 << 10) /* free bytes on the disk for moving, and for each entry */
#define SPACE_ENTRY 12288

/* ---- requests: per statement a kind, and what goes with it ----
 * An answer has for each statement its id and its index. */

#define ANSWER_LEN (HPS_DIGEST_LEN + 8)

enum { SIGNED, BEGIN, FOREIGN };

static void put_bytes(struct hps_buf *b, const void *data, size_t len)
{
	uint64_t n = len;

	hps_buf_add(b, &n, sizeof n);
	hps_buf_add(b, data, len);
}

static bool take_bytes(const struct hps_buf *b, size_t *at, const void **ret, size_t *ret_len)
{
	uint64_t n;

	if (b->len - *at < sizeof n)
		return false;
	memcpy(&n, b->data + *at, sizeof n);
	*at += sizeof n;
	if (b->len - *at < n)
		return false;
	*ret = b->data + *at;
	*ret_len = n;
	*at += n;
	return true;
}

static int check_payload(const struct hps_buf *payload, struct hps_error *err)
{
	if (payload->len > HPS_ENVELOPE_MAX / 2)
		return hps_error_set(err, HPS_E_LIMIT, "a statement of %zu bytes is over the limit of %zu", payload->len, HPS_ENVELOPE_MAX / 2);
	return 0;
}

struct made {
	struct hps_journal_entry e;
	struct hps_buf leaf, envelope;
	const char *lease; /* of a begin entry: its file in running/ until it has an id */
	uint64_t index;
	bool is_old;	 /* it is in the ledger already, at `index` */
	size_t same_as;	 /* 1 + the place in this request of the same statement */
};

static int sign_payload(struct hps_ledger *l, const struct hps_buf *payload, struct made *m, struct hps_error *err)
{
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	int r = check_payload(payload, err);

	if (!r)
		r = hps_envelope_sign(HPS_PAYLOAD_TYPE, payload->data, payload->len, l->statement_key, &e, err);
	if (r)
		return r;
	hps_envelope_id(&e, &m->e.id);
	hps_envelope_write(&e, &m->envelope);
	hps_leaf_write(&m->e.id, &e.signature, l->statement_key, &m->leaf);
	return hps_digest_parse(l->keyid, &m->e.keyid);
}

static void release_made(struct made *m)
{
	hps_buf_release(&m->leaf);
	hps_buf_release(&m->envelope);
}

static int request_signed(struct hps_ledger *l, const json_t *statement, struct hps_buf *request, struct hps_error *err)
{
	_cleanup_(release_made) struct made m = { .leaf = HPS_BUF_INIT, .envelope = HPS_BUF_INIT };
	_cleanup_buf_ struct hps_buf payload = HPS_BUF_INIT;
	int r = hps_json_canonical(statement, &payload, err);

	if (!r)
		r = sign_payload(l, &payload, &m, err);
	if (r)
		return r;
	put_bytes(request, m.e.id.b, sizeof m.e.id.b);
	put_bytes(request, m.leaf.data, m.leaf.len);
	put_bytes(request, m.envelope.data, m.envelope.len);
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
	put_bytes(request, lease, strlen(lease) + 1);
	put_bytes(request, payload.data, payload.len);
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
		hps_buf_addc(request, begin ? BEGIN : SIGNED);
		r = begin ? request_begin(l, statements[i], request, leases, err) : request_signed(l, statements[i], request, err);
	}
	return r || !request->full ? r : hps_error_set(err, HPS_E_LIMIT, "the statements together are too large");
}

/* ---- serving one request: everything that can fail comes before anything is changed ---- */

struct serving {
	struct hps_ledger *l;
	struct hps_buf batch;
	struct hps_merkle before;
	struct hps_strv begun; /* leases that have been given the ids of their begin entries */
	size_t n_new;
};

struct request {
	struct made made[REQUEST_MAX];
	size_t n;
};

static void release_request(struct request **r)
{
	for (size_t i = 0; i < (*r)->n; i++)
		release_made(&(*r)->made[i]);
	free(*r);
}

static int next_counter(struct hps_ledger *l, const struct request *r, const char *of, int64_t *ret, struct hps_error *err)
{
	uintptr_t pending = (uintptr_t)hps_map_get(&l->journal.counters, of);
	struct hps_digest keyid;
	uint64_t counter = pending;
	int e = hps_digest_parse(of, &keyid);

	if (!e && !pending)
		e = hps_store_next_counter(l->store, &keyid, &counter, err);
	for (size_t i = 0; i < r->n; i++)
		counter += r->made[i].e.counter >= 0;
	*ret = (int64_t)counter;
	return e;
}

static int take_begin(struct serving *s, const struct hps_buf *in, size_t *at, const struct request *r, struct made *m, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf payload = HPS_BUF_INIT;
	_cleanup_json_ json_t *statement = NULL;
	const void *lease, *text;
	size_t lease_len, len;
	int e;

	if (!take_bytes(in, at, &lease, &lease_len) || lease_len != HPS_LEASE_NAME || memchr(lease, '/', lease_len) || !take_bytes(in, at, &text, &len))
		return hps_error_set(err, HPS_E_FORMAT, "a request that is not one");
	m->lease = lease;
	e = hps_json_parse(text, len, &statement, err);
	if (!e)
		e = next_counter(s->l, r, s->l->keyid, &m->e.counter, err);
	if (e)
		return e;
	hps_json_set_int(json_object_get(statement, "predicate"), "counter", m->e.counter);
	e = hps_json_canonical(statement, &payload, err);
	return e ? e : sign_payload(s->l, &payload, m, err);
}

static int take_signed(const struct hps_buf *in, size_t *at, struct made *m, struct hps_error *err)
{
	const void *id, *leaf, *envelope;
	size_t id_len, leaf_len, envelope_len;

	if (!take_bytes(in, at, &id, &id_len) || id_len != HPS_DIGEST_LEN || !take_bytes(in, at, &leaf, &leaf_len) || leaf_len > HPS_LEAF_MAX ||
	    !take_bytes(in, at, &envelope, &envelope_len))
		return hps_error_set(err, HPS_E_FORMAT, "a request that is not one");
	memcpy(m->e.id.b, id, id_len);
	m->e.counter = -1;
	hps_buf_add(&m->leaf, leaf, leaf_len);
	hps_buf_add(&m->envelope, envelope, envelope_len);
	return 0;
}

static int find_old(struct hps_ledger *l, const struct request *r, struct made *m, struct hps_error *err);

/* Signed by somebody else, who also counted: whether right only shows here. */
static int take_foreign(struct serving *s, const struct hps_buf *in, size_t *at, const struct request *r, struct made *m, struct hps_error *err)
{
	_cleanup_(hps_envelope_release) struct hps_envelope envelope = HPS_ENVELOPE_INIT;
	_cleanup_json_ json_t *statement = NULL;
	_cleanup_free_ char *kind = NULL;
	int64_t next;
	int e = take_signed(in, at, m, err);

	if (!e)
		e = hps_envelope_read_stored(m->envelope.data, m->envelope.len, &envelope, err);
	if (!e)
		e = hps_json_parse(envelope.payload.data, envelope.payload.len, &statement, err);
	if (!e)
		e = hps_digest_parse(envelope.keyid, &m->e.keyid);
	kind = hps_statement_kind(statement);
	if (e || strcmp(kind, "begin") != 0)
		return e;
	m->e.counter = hps_json_int(json_object_get(statement, "predicate"), "counter", -1);
	e = find_old(s->l, r, m, err);
	if (e || m->is_old)
		return e;
	e = next_counter(s->l, r, envelope.keyid, &next, err);
	if (!e && m->e.counter != next)
		e = hps_error_set(err, HPS_E_AMBIGUOUS, "the next begin entry of the key '%.12s' has the counter %lld", envelope.keyid, (long long)next);
	return e;
}

/* The index of an entry with the same statement: stored, pending, or earlier in this request. */
static int find_old(struct hps_ledger *l, const struct request *r, struct made *m, struct hps_error *err)
{
	char hex[HPS_DIGEST_HEX];
	uintptr_t pending;
	size_t n = 0;
	int e;

	for (size_t i = 0; i < r->n; i++)
		if (hps_digest_equal(&r->made[i].e.id, &m->e.id)) {
			m->same_as = i + 1;
			return 0;
		}
	hps_digest_hex(&m->e.id, hex);
	pending = (uintptr_t)hps_map_get(&l->journal.ids, hex);
	if (pending) {
		m->index = pending - 1;
		n = 1;
		e = 0;
	} else {
		e = hps_store_by_prefix(l->store, &m->e.id, &m->e.id, INT64_MAX, &m->index, 1, &n, err);
	}
	m->is_old = n > 0;
	return e;
}

static int take_request(struct serving *s, const struct hps_buf *in, struct request *r, struct hps_error *err)
{
	size_t at = HPS_DIGEST_HEX;
	int e = 0;

	if (in->len < at || memcmp(in->data, s->l->keyid, HPS_DIGEST_HEX) != 0)
		return hps_error_set(err, HPS_E_DENIED, "the writer that was asked to append it has another statement key; try again");
	while (!e && at < in->len && r->n < REQUEST_MAX) {
		struct made *m = &r->made[r->n];
		char kind = in->data[at++];

		*m = (struct made){ .leaf = HPS_BUF_INIT, .envelope = HPS_BUF_INIT };
		e = kind == BEGIN ? take_begin(s, in, &at, r, m, err) : kind == FOREIGN ? take_foreign(s, in, &at, r, m, err) : take_signed(in, &at, m, err);
		if (!e && kind != FOREIGN)
			e = hps_digest_parse(s->l->keyid, &m->e.keyid);
		if (!e)
			e = find_old(s->l, r, m, err);
		r->n++;
	}
	return e;
}

static int name_leases(struct serving *s, const struct request *r, struct hps_error *err)
{
	int e = 0;

	for (size_t i = 0; !e && i < r->n; i++) {
		char hex[HPS_DIGEST_HEX];

		if (!r->made[i].lease)
			continue;
		hps_digest_hex(&r->made[i].e.id, hex);
		e = hps_lease_name(s->l, r->made[i].lease, hex, err);
		if (!e)
			hps_strv_add(&s->begun, hex);
	}
	return e;
}

static void add_answer(struct hps_buf *answer, const struct hps_digest *id, uint64_t index)
{
	hps_buf_add(answer, id->b, sizeof id->b);
	hps_buf_add(answer, &index, sizeof index);
}

static void add_to_batch(struct serving *s, struct request *r, struct hps_buf *answer)
{
	for (size_t i = 0; i < r->n; i++) {
		struct made *m = &r->made[i];

		if (m->same_as) {
			m->index = r->made[m->same_as - 1].index;
		} else if (!m->is_old) {
			m->index = s->l->journal.tree.size;
			m->e.leaf = (const uint8_t *)m->leaf.data;
			m->e.leaf_len = m->leaf.len;
			m->e.envelope = (const uint8_t *)m->envelope.data;
			m->e.envelope_len = m->envelope.len;
			hps_batch_add(&s->batch, &m->e);
			hps_journal_learn(&s->l->journal, &m->e);
			s->n_new++;
		}
		add_answer(answer, &m->e.id, m->index);
	}
}

/* All of the request is in the batch, or nothing of it. */
static int serve(struct serving *s, const struct hps_buf *in, struct hps_buf *answer, struct hps_error *err)
{
	_cleanup_(release_request) struct request *r = hps_alloc(sizeof *r);
	int e = take_request(s, in, r, err);

	if (!e)
		e = name_leases(s, r, err);
	if (!e)
		add_to_batch(s, r, answer);
	return e;
}

/* ---- a batch ---- */

struct answered {
	int slot; /* -1: the request of this process */
	int code;
	char *message;
	struct hps_buf answer;
};

static void answer_one(struct serving *s, int slot, const struct hps_buf *request, struct answered *ret)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	*ret = (struct answered){ .slot = slot, .answer = HPS_BUF_INIT };
	ret->code = serve(s, request, &ret->answer, &e);
	if (ret->code)
		ret->message = hps_strdup(e.message ? e.message : "damaged");
}

static void take_waiting(struct serving *s, struct answered **answered, size_t *n)
{
	_cleanup_buf_ struct hps_buf request = HPS_BUF_INIT;
	int slot = -1;

	while (s->n_new < BATCH_ENTRIES && s->batch.len < BATCH_BYTES && (slot = hps_queue_next(&s->l->queue, slot, &request)) >= 0) {
		*answered = hps_grow(*answered, *n, sizeof **answered);
		answer_one(s, slot, &request, &(*answered)[(*n)++]);
	}
}

static int write_batch(struct serving *s, struct hps_error *err)
{
	int r = s->n_new ? hps_journal_write(s->l, &s->batch, &s->before, err) : 0;

	if (r)
		for (size_t i = 0; i < s->begun.n; i++)
			hps_lease_unname(s->l, s->begun.v[i]);
	else if (s->n_new)
		hps_memory_note(s->l);
	return r;
}

/* Full, or published too long ago. What cannot be moved now (a full disk) stays acknowledged where it is. */
static void settle_when_due(struct hps_ledger *l)
{
	struct hps_journal *j = &l->journal;
	int64_t now = hps_time_monotonic_ns();

	if (!j->loaded)
		return;
	if (!j->since_ns)
		j->since_ns = now;
	if (j->tree.size - l->size < SETTLE_ENTRIES && j->end < SETTLE_BYTES && now - j->since_ns < SETTLE_NS)
		return;
	(void)!hps_ledger_settle(l, NULL);
	j->since_ns = 0;
}

/* What is acknowledged must also be movable: its bytes lie in ledger.db, in an envelope and (leaves) in a bundle then. */
static bool has_space(struct hps_ledger *l, const struct hps_buf *request)
{
	uint64_t pending = l->journal.tree.size - l->size, bytes = l->journal.end + request->len;
	struct statvfs s;

	return fstatvfs(l->dirfd, &s) || s.f_bavail * s.f_frsize >= SPACE_BASE + pending * SPACE_ENTRY + 4 * bytes;
}

static int make_room(struct hps_ledger *l, const struct hps_buf *request, struct hps_error *err)
{
	bool space = has_space(l, request);
	int r = 0;

	if (l->journal.end > JOURNAL_MAX || (!space && l->journal.tree.size > l->size)) {
		r = hps_ledger_settle(l, err);
		space = has_space(l, request);
	}
	if (!r && !space)
		r = hps_error_set(err, -ENOSPC, "the disk is full but for what moving the entries of '%s' into place needs; free some space and try again", l->dir);
	return r;
}

static void finish(struct hps_ledger *l, struct answered *a, int code, const struct hps_error *e)
{
	if (code && !a->code) {
		a->code = code;
		a->message = hps_strdup(e->message ? e->message : "damaged");
	}
	if (a->slot >= 0)
		hps_queue_answer(&l->queue, a->slot, a->code, a->message, &a->answer);
}

/* With the lock. The request of this process comes first; the others' answers are on their way before anything else is done. */
static int serve_all(struct hps_ledger *l, const struct hps_buf *request, struct hps_buf *answer, struct hps_error *err)
{
	struct serving s = { .l = l, .batch = HPS_BUF_INIT, .before = l->journal.tree };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	struct answered *answered = hps_grow(NULL, 0, sizeof *answered);
	size_t n = 1;
	int r = make_room(l, request, &e);

	s.before = l->journal.tree;
	hps_batch_begin(&s.batch);
	if (r) {
		answered[0] = (struct answered){ .slot = -1, .answer = HPS_BUF_INIT };
	} else {
		answer_one(&s, -1, request, &answered[0]);
		take_waiting(&s, &answered, &n);
		r = write_batch(&s, &e);
	}
	for (size_t i = 0; i < n; i++)
		finish(l, &answered[i], r, &e);
	r = answered[0].code;
	if (r)
		hps_error_set(err, r, "%s", answered[0].message);
	else
		hps_buf_add(answer, answered[0].answer.data, answered[0].answer.len);
	for (size_t i = 0; i < n; i++) {
		free(answered[i].message);
		hps_buf_release(&answered[i].answer);
	}
	free(answered);
	hps_strv_release(&s.begun);
	hps_buf_release(&s.batch);
	return r;
}

static int serve_locked(struct hps_ledger *l, const struct hps_buf *request, struct hps_buf *answer, struct hps_error *err)
{
	int r = serve_all(l, request, answer, err);

	settle_when_due(l);
	hps_ledger_unlock(l);
	return r;
}

/* By this process when the lock is free, else by whoever has it. */
static int get_served(struct hps_ledger *l, const struct hps_buf *request, struct hps_buf *answer, struct hps_error *err)
{
	bool got = false;
	int r = hps_ledger_try_lock(l, &got, err);

	if (r)
		return r;
	if (!got && hps_queue_put(&l->queue, request)) {
		got = hps_queue_wait(&l->queue, l->lockfd);
		if (got && !hps_queue_withdraw(&l->queue)) {
			hps_ledger_unlock(l);
			got = false;
		}
		if (!got)
			return hps_queue_answer_read(&l->queue, answer, err);
	}
	r = got ? hps_ledger_lock_load(l, err) : hps_ledger_lock(l, err);
	return r ? r : serve_locked(l, request, answer, err);
}

static int read_answer(struct hps_ledger *l, const struct hps_buf *answer, size_t n, const struct hps_strv *leases, char (*ids)[65], uint64_t *indexes,
		       const json_t *const *statements, struct hps_error *err)
{
	size_t lease = 0;

	if (answer->len != n * ANSWER_LEN)
		return hps_error_set(err, -EIO, "the answer of the writer that appended it is damaged");
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *kind = hps_statement_kind(statements[i]);
		struct hps_digest id;

		memcpy(id.b, answer->data + i * ANSWER_LEN, sizeof id.b);
		memcpy(&indexes[i], answer->data + i * ANSWER_LEN + sizeof id.b, sizeof indexes[i]);
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

	if (n > REQUEST_MAX)
		return hps_error_set(err, HPS_E_USAGE, "appending: %zu statements at once are more than %d", n, REQUEST_MAX);
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
		r = check_payload(&e.payload, err);
	if (!r)
		r = hps_ledger_may_sign(l, NULL, 0, err); /* loads the keys */
	if (!r)
		r = check_foreign(l, &e, &leaf, err);
	if (r)
		return r;
	hps_envelope_id(&e, &id);
	hps_buf_add(&request, l->keyid, HPS_DIGEST_HEX);
	hps_buf_addc(&request, FOREIGN);
	put_bytes(&request, id.b, sizeof id.b);
	put_bytes(&request, leaf.data, leaf.len);
	put_bytes(&request, text, len);
	r = get_served(l, &request, &answer, err);
	if (!r && answer.len != ANSWER_LEN)
		r = hps_error_set(err, -EIO, "the answer of the writer that appended it is damaged");
	if (r)
		return r;
	memcpy(ret_index, answer.data + sizeof id.b, sizeof *ret_index);
	hps_digest_hex(&id, ret_id);
	return 0;
}
