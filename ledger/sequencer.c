/* The side of whoever holds the lock: serves its own request and all that wait in the queue, as one batch of the journal, and moves on
 * what is due. */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define BATCH_ENTRIES 128	      /* no further request is taken into a batch that has so many */
#define BATCH_BYTES ((size_t)8 << 20) /* or so much */
#define SETTLE_ENTRIES 128
#define SETTLE_BYTES ((uint64_t)1 << 20)
#define SETTLE_NS 1000000000 /* what was acknowledged longer ago is published at the latest by the next append */
#define QUIET_NS 250000000 /* the same for so long after the last of them was seen */
#define LEAD_NS 5000000 /* so long whoever has the lock goes on serving others after its own request */
#define PATIENCE_MS 50 /* with readers of ledger.db, such as a verification, and how long nothing is moved when that was not enough */
#define RETRY_NS 1000000000
#define LATE_ENTRIES 4096 /* the same while others wait to be served */
#define LATE_BYTES ((uint64_t)8 << 20)
#define LATE_NS 5000000000
#define JOURNAL_MAX ((uint64_t)64 << 20) /* beyond this nothing is accepted that cannot be moved on */
#define SPACE_BASE ((uint64_t)256 << 10) /* free bytes on the disk for moving, and for each entry */
#define SPACE_ENTRY 12288

/* ---- serving one request: everything that can fail comes before anything is changed ---- */

struct serving {
	struct hps_ledger *l;
	struct hps_buf batch;
	struct hps_merkle before;
	struct hps_strv begun; /* leases that have been given the ids of their begin entries */
	size_t n_new;
};

struct request {
	struct hps_made made[HPS_REQUEST_MAX];
	size_t n;
};

static void release_request(struct request **r)
{
	for (size_t i = 0; i < (*r)->n; i++)
		hps_made_release(&(*r)->made[i]);
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

static int find_old(struct hps_ledger *l, const struct request *r, struct hps_made *m, struct hps_error *err);

/* A writer that was killed before it could answer may have served this request: then the lease has the entry's name already. */
static int find_served(struct serving *s, const struct request *r, struct hps_made *m, struct hps_error *err)
{
	char hex[HPS_DIGEST_HEX];
	int e;

	if (!hps_lease_named(s->l, m->lease, hex) || hps_digest_parse(hex, &m->e.id))
		return 0;
	e = find_old(s->l, r, m, err);
	if (!e && m->is_old)
		m->lease = NULL;
	else
		hps_lease_unname(s->l, hex);
	return e;
}

static int take_begin(struct serving *s, const struct hps_buf *in, size_t *at, const struct request *r, struct hps_made *m, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf payload = HPS_BUF_INIT;
	_cleanup_json_ json_t *statement = NULL;
	const void *lease, *text;
	size_t lease_len, len;
	int e;

	if (!hps_request_take(in, at, &lease, &lease_len) || lease_len != HPS_LEASE_NAME || memchr(lease, '/', lease_len) || !hps_request_take(in, at, &text, &len))
		return hps_error_set(err, HPS_E_FORMAT, "a request that is not one");
	m->lease = lease;
	e = find_served(s, r, m, err);
	if (e || m->is_old) {
		m->e.counter = -1;
		return e;
	}
	e = hps_json_parse(text, len, &statement, err);
	if (!e)
		e = next_counter(s->l, r, s->l->keyid, &m->e.counter, err);
	if (e)
		return e;
	hps_json_set_int(json_object_get(statement, "predicate"), "counter", m->e.counter);
	e = hps_json_canonical(statement, &payload, err);
	return e ? e : hps_request_sign(s->l, &payload, m, err);
}

static int take_signed(const struct hps_buf *in, size_t *at, struct hps_made *m, struct hps_error *err)
{
	const void *id, *leaf, *envelope;
	size_t id_len, leaf_len, envelope_len;

	if (!hps_request_take(in, at, &id, &id_len) || id_len != HPS_DIGEST_LEN || !hps_request_take(in, at, &leaf, &leaf_len) || leaf_len > HPS_LEAF_MAX ||
	    !hps_request_take(in, at, &envelope, &envelope_len))
		return hps_error_set(err, HPS_E_FORMAT, "a request that is not one");
	memcpy(m->e.id.b, id, id_len);
	m->e.counter = -1;
	hps_buf_add(&m->leaf, leaf, leaf_len);
	hps_buf_add(&m->envelope, envelope, envelope_len);
	return 0;
}

/* Signed by somebody else, who also counted: whether right only shows here. */
static int take_foreign(struct serving *s, const struct hps_buf *in, size_t *at, const struct request *r, struct hps_made *m, struct hps_error *err)
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
static int find_old(struct hps_ledger *l, const struct request *r, struct hps_made *m, struct hps_error *err)
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
	while (!e && at < in->len && r->n < HPS_REQUEST_MAX) {
		struct hps_made *m = &r->made[r->n];
		char kind = in->data[at++];

		*m = (struct hps_made){ .leaf = HPS_BUF_INIT, .envelope = HPS_BUF_INIT };
		e = kind == HPS_REQUEST_BEGIN ? take_begin(s, in, &at, r, m, err) : kind == HPS_REQUEST_FOREIGN ? take_foreign(s, in, &at, r, m, err) : take_signed(in, &at, m, err);
		if (!e && kind != HPS_REQUEST_FOREIGN)
			e = hps_digest_parse(s->l->keyid, &m->e.keyid);
		if (!e && !m->is_old)
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
		struct hps_made *m = &r->made[i];

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

/* Where there are many, each asks the database whether it is there already. */
static void take_waiting(struct serving *s, struct answered **answered, size_t *n)
{
	_cleanup_buf_ struct hps_buf request = HPS_BUF_INIT;
	bool snapshot = hps_queue_has_waiting(&s->l->queue) && !hps_store_snapshot(s->l->store, NULL);
	int slot = -1;

	while (s->n_new < BATCH_ENTRIES && s->batch.len < BATCH_BYTES && (slot = hps_queue_next(&s->l->queue, slot, &request)) >= 0) {
		*answered = hps_grow(*answered, *n, sizeof **answered);
		answer_one(s, slot, &request, &(*answered)[(*n)++]);
	}
	if (snapshot)
		hps_store_rollback(s->l->store);
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

static bool is_due(const struct hps_ledger *l, bool others)
{
	uint64_t pending = l->journal.tree.size - l->size, bytes = l->journal.end;
	int64_t age = hps_time_monotonic_ns() - l->journal.since_ns;

	return others ? pending >= LATE_ENTRIES || bytes >= LATE_BYTES || age >= LATE_NS : pending >= SETTLE_ENTRIES || bytes >= SETTLE_BYTES || age >= SETTLE_NS;
}

/* Who append now, or did until a moment ago: who is left of many has to end before it does the work of all. */
static bool has_others(struct hps_ledger *l)
{
	struct hps_journal *j = &l->journal;
	int64_t now = hps_time_monotonic_ns();

	if (hps_queue_is_busy(&l->queue))
		j->busy_ns = now;
	return j->busy_ns && now - j->busy_ns < QUIET_NS;
}

/* Full, or published too long ago. While there are others it is put off. One transaction at a time, so
 * that no call takes longer than that. What cannot be moved now (a full disk, a long verification) stays acknowledged where it is. */
static void settle_when_due(struct hps_ledger *l)
{
	struct hps_journal *j = &l->journal;
	bool others = has_others(l);

	if (!j->loaded)
		return;
	if (!j->since_ns)
		j->since_ns = hps_time_monotonic_ns();
	if (!is_due(l, others) || hps_time_monotonic_ns() < j->retry_ns)
		return;
	hps_store_patience(l->store, PATIENCE_MS);
	if (hps_ledger_settle_some(l, NULL))
		j->retry_ns = hps_time_monotonic_ns() + RETRY_NS;
	hps_store_patience(l->store, HPS_STORE_PATIENCE_MS);
	if (j->tree.size == l->size)
		j->since_ns = 0;
}

/* What is acknowledged must also be movable: its bytes lie in ledger.db, in an envelope and (leaves) in a bundle then. */
static bool has_space(struct hps_ledger *l, size_t more)
{
	uint64_t pending = l->journal.tree.size - l->size, bytes = l->journal.end + more;
	struct statvfs s;

	return fstatvfs(l->dirfd, &s) || s.f_bavail * s.f_frsize >= SPACE_BASE + pending * SPACE_ENTRY + 4 * bytes;
}

static int make_room(struct hps_ledger *l, size_t more, struct hps_error *err)
{
	bool space = has_space(l, more);
	int r = 0;

	if (l->journal.end > JOURNAL_MAX || (!space && l->journal.tree.size > l->size)) {
		r = hps_ledger_settle(l, err);
		space = has_space(l, more);
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

/* One batch, of the request of this process (if there is one: its answer is `own`) and of all that wait, whose answers are on their way
 * before anything else is done. *ret_others says how many they were. */
static int serve_batch(struct hps_ledger *l, const struct hps_buf *request, struct answered *own, size_t *ret_others)
{
	struct serving s = { .l = l, .batch = HPS_BUF_INIT };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	struct answered *others = NULL;
	size_t n = 0;
	int r = make_room(l, request ? request->len : 0, &e);

	s.before = l->journal.tree;
	hps_batch_begin(&s.batch);
	if (!r && request)
		answer_one(&s, -1, request, own);
	if (!r) {
		take_waiting(&s, &others, &n);
		r = write_batch(&s, &e);
	}
	if (request)
		finish(l, own, r, &e);
	for (size_t i = 0; i < n; i++) {
		finish(l, &others[i], r, &e);
		free(others[i].message);
		hps_buf_release(&others[i].answer);
	}
	free(others);
	hps_strv_release(&s.begun);
	hps_buf_release(&s.batch);
	*ret_others = n;
	return r;
}

/* Who has served others goes on for a while: the next one would first have to read what was written meanwhile. */
int hps_sequencer_serve(struct hps_ledger *l, const struct hps_buf *request, struct hps_buf *answer, struct hps_error *err)
{
	struct answered own = { .slot = -1, .answer = HPS_BUF_INIT };
	int64_t until = hps_time_monotonic_ns() + LEAD_NS;
	size_t others = 0;
	int r = serve_batch(l, request, &own, &others);

	while (!r && others && hps_queue_has_waiting(&l->queue) && hps_time_monotonic_ns() < until)
		r = serve_batch(l, NULL, NULL, &others);
	settle_when_due(l);
	hps_ledger_unlock(l);
	r = own.code;
	if (r)
		hps_error_set(err, r, "%s", own.message);
	else
		hps_buf_add(answer, own.answer.data, own.answer.len);
	free(own.message);
	hps_buf_release(&own.answer);
	return r;
}
