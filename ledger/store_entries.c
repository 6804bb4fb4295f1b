/* The tables entry, envelope and node of ledger.db: what is never changed, but for the body of a withdrawn entry. */
#include "ledger/store.h"

#include <string.h>

/* ---- writing ---- */

static int add_entry(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_ADD_ENTRY, &st, err);

	if (r)
		return r;
	hps_bind_u64(st, 1, w->index);
	hps_bind_digest(st, 2, &w->id);
	hps_bind_digest(st, 3, &w->keyid);
	hps_bind_blob(st, 4, w->leaf, w->leaf_len);
	return hps_sql_run(s, st, err, "writing an entry");
}

static int add_envelope(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_ADD_ENVELOPE, &st, err);

	if (r)
		return r;
	hps_bind_u64(st, 1, w->index);
	hps_bind_blob(st, 2, w->envelope, w->envelope_len);
	return hps_sql_run(s, st, err, "writing an envelope");
}

int hps_store_add(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	int r = add_entry(s, w, err);

	if (!r && w->envelope)
		r = add_envelope(s, w, err);
	if (!r)
		r = hps_lookup_add(s, w, err);
	return r;
}

int hps_store_add_node(struct hps_store *s, unsigned level, uint64_t n, const struct hps_digest *hash, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_ADD_NODE, &st, err);

	if (r)
		return r;
	hps_bind_u64(st, 1, level);
	hps_bind_u64(st, 2, n);
	hps_bind_digest(st, 3, hash);
	return hps_sql_run(s, st, err, "writing a tree node");
}

static int run_for(struct hps_store *s, enum query q, uint64_t index, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, q, &st, err);

	if (r)
		return r;
	hps_bind_u64(st, 1, index);
	return hps_sql_run(s, st, err, "withdrawing an entry");
}

int hps_store_withdraw(struct hps_store *s, uint64_t index, struct hps_error *err)
{
	int rc = sqlite3_exec(s->db, "PRAGMA secure_delete = ON", NULL, NULL, NULL);
	int r = rc ? hps_sql_fail(s, rc, err, "withdrawing an entry") : hps_store_begin(s, err);

	if (r)
		return r;
	r = run_for(s, SQL_WITHDRAW_ENVELOPE, index, err);
	if (!r)
		r = run_for(s, SQL_WITHDRAW_LOOKUP, index, err);
	if (!r)
		r = hps_store_commit(s, err);
	if (r)
		hps_store_rollback(s);
	return r;
}

/* ---- reading ---- */

int hps_store_node(void *store, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err)
{
	struct hps_store *s = store;
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_NODE, &st, err);
	bool good;

	if (r)
		return r;
	hps_bind_u64(st, 1, level);
	hps_bind_u64(st, 2, n);
	r = hps_sql_row(s, st, err);
	if (r < 0)
		return r;
	good = r && hps_column_digest(st, 0, ret);
	sqlite3_reset(st);
	return good ? 0 : hps_sql_damaged(err, "a tree node is missing");
}

static int read_blob(struct hps_store *s, enum query q, uint64_t key, struct hps_buf *ret, struct hps_error *err, const char *what)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, q, &st, err);

	if (r)
		return r;
	hps_bind_u64(st, 1, key);
	r = hps_sql_row(s, st, err);
	if (r <= 0)
		return r ? r : hps_error_set(err, HPS_E_NOTFOUND, "ledger.db: it has no %s %llu", what, (unsigned long long)key);
	hps_column_add(st, 0, ret);
	sqlite3_reset(st);
	return 0;
}

int hps_store_envelope(struct hps_store *s, uint64_t index, struct hps_buf *ret, struct hps_error *err)
{
	return read_blob(s, SQL_ENVELOPE, index, ret, err, "envelope of entry");
}

int hps_store_leaf(struct hps_store *s, uint64_t index, struct hps_digest *ret_id, struct hps_buf *ret, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_LEAF, &st, err);
	bool good;

	if (r)
		return r;
	hps_bind_u64(st, 1, index);
	r = hps_sql_row(s, st, err);
	if (r <= 0)
		return r ? r : hps_error_set(err, HPS_E_NOTFOUND, "ledger.db: it has no entry %llu", (unsigned long long)index);
	good = hps_column_digest(st, 0, ret_id);
	hps_column_add(st, 2, ret);
	sqlite3_reset(st);
	return good ? 0 : hps_sql_damaged(err, "an entry has no id");
}

int hps_store_each_leaf(struct hps_store *s, uint64_t from, uint64_t to, int (*fn)(void *arg, const void *leaf, size_t len, const struct hps_digest *hash),
			void *arg, struct hps_error *err)
{
	sqlite3_stmt *st;
	uint64_t n = 0;
	int r = hps_sql_prepare(s, SQL_LEAVES, &st, err), stop = 0;

	if (r)
		return r;
	hps_bind_u64(st, 1, from);
	hps_bind_u64(st, 2, to);
	while (!stop && (r = hps_sql_row(s, st, err)) > 0) {
		struct hps_digest hash = { { 0 } };

		(void)!hps_column_digest(st, 1, &hash);
		stop = fn(arg, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), &hash);
		n++;
	}
	sqlite3_reset(st);
	if (r < 0 || stop)
		return r < 0 ? r : stop;
	return n == to - from ? 0 : hps_sql_damaged(err, "entries are missing");
}

int hps_store_by_prefix(struct hps_store *s, const struct hps_digest *low, const struct hps_digest *high, uint64_t limit, uint64_t *ret, size_t max,
			size_t *ret_n, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_BY_PREFIX, &st, err);

	if (r)
		return r;
	hps_bind_digest(st, 1, low);
	hps_bind_digest(st, 2, high);
	hps_bind_u64(st, 3, limit);
	hps_bind_u64(st, 4, max);
	return hps_sql_collect(s, st, ret, max, ret_n, err);
}

int hps_store_each_node(struct hps_store *s, int (*fn)(void *arg, unsigned level, uint64_t n, const struct hps_digest *hash), void *arg, struct hps_error *err)
{
	struct hps_digest hash;
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_ALL_NODES, &st, err), stop = 0;

	if (r)
		return r;
	while (!stop && (r = hps_sql_row(s, st, err)) > 0) {
		if (!hps_column_digest(st, 2, &hash))
			memset(&hash, 0, sizeof hash);
		stop = fn(arg, (unsigned)sqlite3_column_int(st, 0), (uint64_t)sqlite3_column_int64(st, 1), &hash);
	}
	sqlite3_reset(st);
	return r < 0 ? r : stop;
}
