/* The table lookup of ledger.db: how entries are found. It can be made again from the envelopes. */
#include "ledger/store.h"

#include <string.h>

int64_t hps_lookup_counter(const struct hps_entry *e)
{
	return hps_json_int(json_object_get(e->statement, "predicate"), "counter", -1);
}

static int add_lookup(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	const struct hps_entry *e = w->entry;
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_ADD_LOOKUP, &st, err);

	if (r)
		return r;
	hps_bind_u64(st, 1, w->index);
	hps_bind_text(st, 2, e->kind);
	hps_bind_text(st, 3, e->study);
	sqlite3_bind_int64(st, 4, e->number);
	hps_bind_text(st, 5, e->event);
	hps_bind_text(st, 6, e->begin);
	sqlite3_bind_int64(st, 7, hps_lookup_counter(e));
	sqlite3_bind_int64(st, 8, !strcmp(e->kind, "begin"));
	return hps_sql_run(s, st, err, "writing the look-up table");
}

/* A trial or lost entry ends its begin entry. */
static int end_begin(struct hps_store *s, const struct hps_entry *e, struct hps_error *err)
{
	struct hps_digest begin;
	sqlite3_stmt *st;
	int r;

	if ((strcmp(e->kind, "trial") && strcmp(e->kind, "lost")) || hps_digest_parse(e->begin, &begin))
		return 0;
	r = hps_sql_prepare(s, SQL_END_BEGIN, &st, err);
	if (r)
		return r;
	hps_bind_digest(st, 1, &begin);
	return hps_sql_run(s, st, err, "writing the look-up table");
}

int hps_lookup_add(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	int r = add_lookup(s, w, err);

	return r ? r : end_begin(s, w->entry, err);
}

int hps_store_by_filter(struct hps_store *s, const struct hps_filter *f, uint64_t limit, uint64_t *ret, size_t max, size_t *ret_n, struct hps_error *err)
{
	enum query q = f->begin ? SQL_BY_BEGIN : f->study ? SQL_BY_STUDY : f->kind ? SQL_BY_KIND : SQL_BY_NOTHING;
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, q, &st, err);

	if (r)
		return r;
	hps_bind_u64(st, 1, f->from_index);
	hps_bind_u64(st, 2, limit);
	hps_bind_text(st, 3, f->kind);
	hps_bind_text(st, 4, f->study);
	hps_bind_text(st, 5, f->event);
	hps_bind_text(st, 6, f->begin);
	sqlite3_bind_int64(st, 7, f->number);
	hps_bind_u64(st, 8, max);
	return hps_sql_collect(s, st, ret, max, ret_n, err);
}

int hps_store_open_begins(struct hps_store *s, uint64_t from, uint64_t limit, uint64_t *ret, size_t max, size_t *ret_n, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_OPEN_BEGINS, &st, err);

	if (r)
		return r;
	hps_bind_u64(st, 1, from);
	hps_bind_u64(st, 2, limit);
	hps_bind_u64(st, 3, max);
	return hps_sql_collect(s, st, ret, max, ret_n, err);
}

int hps_store_next_counter(struct hps_store *s, const struct hps_digest *keyid, uint64_t *ret, struct hps_error *err)
{
	sqlite3_stmt *st;
	size_t n;
	int r = hps_sql_prepare(s, SQL_NEXT_COUNTER, &st, err);

	if (r)
		return r;
	hps_bind_digest(st, 1, keyid);
	*ret = 0;
	return hps_sql_collect(s, st, ret, 1, &n, err);
}
