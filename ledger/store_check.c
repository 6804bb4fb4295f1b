/* Whether ledger.db says what the published entries say; for verification. */
#include "ledger/store.h"

#include <string.h>

/* ---- rows ---- */

static bool same_blob(sqlite3_stmt *st, int at, const void *data, size_t len)
{
	const void *stored = sqlite3_column_blob(st, at);

	return (size_t)sqlite3_column_bytes(st, at) == len && stored && !memcmp(stored, data, len);
}

static bool same_text(sqlite3_stmt *st, int at, const char *text)
{
	const char *stored = (const char *)sqlite3_column_text(st, at);

	return stored && text ? !strcmp(stored, text) : !stored && !text;
}

static bool same_entry(sqlite3_stmt *st, const struct hps_row *w)
{
	return same_blob(st, 0, w->id.b, HPS_DIGEST_LEN) && same_blob(st, 1, w->keyid.b, HPS_DIGEST_LEN) && same_blob(st, 2, w->leaf, w->leaf_len);
}

static bool same_envelope(sqlite3_stmt *st, const struct hps_row *w)
{
	return same_blob(st, 0, w->envelope, w->envelope_len);
}

static bool same_lookup(sqlite3_stmt *st, const struct hps_row *w)
{
	const struct hps_entry *e = w->entry;

	return same_text(st, 0, e->kind) && same_text(st, 1, e->study) && sqlite3_column_int64(st, 2) == e->number && same_text(st, 3, e->event) &&
	       same_text(st, 4, e->begin) && sqlite3_column_int64(st, 5) == hps_lookup_counter(e);
}

int hps_store_compare(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	static const struct {
		enum query query;
		bool (*same)(sqlite3_stmt *, const struct hps_row *);
		const char *what;
	} parts[] = { { SQL_LEAF, same_entry, "entry" }, { SQL_ENVELOPE, same_envelope, "envelope" }, { SQL_LOOKUP, same_lookup, "look-up row of entry" } };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		sqlite3_stmt *st;
		int r = hps_sql_prepare(s, parts[i].query, &st, err);
		bool same;

		if (r)
			return r;
		hps_bind_u64(st, 1, w->index);
		r = hps_sql_row(s, st, err);
		if (r < 0)
			return r;
		same = r && parts[i].same(st, w);
		sqlite3_reset(st);
		if (!same)
			return hps_error_set(err, HPS_E_DAMAGED, "%s %llu %s", parts[i].what, (unsigned long long)w->index,
					     r ? "differs from the published entry" : "is missing");
	}
	return 0;
}

/* ---- the whole ---- */

/* The schema as one text, to compare with a fresh one. */
static int schema_text(struct hps_store *s, struct hps_buf *out, struct hps_error *err)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(s->db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name", -1, &st, NULL), r;

	if (rc)
		return hps_sql_fail(s, rc, err, "reading its tables");
	while ((r = hps_sql_row(s, st, err)) > 0)
		for (int i = 0; i < 4; i++) {
			hps_column_add(st, i, out);
			hps_buf_addc(out, '\n');
		}
	sqlite3_finalize(st);
	return r;
}

static int check_schema(struct hps_store *s, bool has_counters, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf here = HPS_BUF_INIT, fresh = HPS_BUF_INIT;
	struct hps_store *memory;
	int r = hps_store_open(NULL, HPS_STORE_MEMORY, &memory, err);

	if (r)
		return r;
	if (!has_counters)
		r = hps_sql_drop_counters(memory, err);
	if (!r)
		r = schema_text(memory, &fresh, err);
	hps_store_close(memory);
	if (!r)
		r = schema_text(s, &here, err);
	if (r)
		return r;
	return here.len == fresh.len && !memcmp(here.data, fresh.data, here.len) ? 0 : hps_error_set(err, HPS_E_DAMAGED, "its tables are not a ledger's");
}

static int check_structure(struct hps_store *s, struct hps_error *err)
{
	sqlite3_stmt *st;
	const char *text;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &st, NULL), r;

	if (rc)
		return hps_sql_fail(s, rc, err, "checking");
	r = hps_sql_row(s, st, err);
	text = r > 0 ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (r >= 0)
		r = text && !strcmp(text, "ok") ? 0 : hps_error_set(err, HPS_E_DAMAGED, "its structure is damaged: %s", text ? text : "no answer");
	sqlite3_finalize(st);
	return r;
}

/* The first number of the query's answer, which is none when all is right. */
static int find_wrong(struct hps_store *s, enum query q, uint64_t *ret, size_t *ret_n, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, q, &st, err);

	return r ? r : hps_sql_collect(s, st, ret, 1, ret_n, err);
}

int hps_store_check(struct hps_store *s, struct hps_error *err)
{
	uint64_t index;
	bool counters;
	size_t n = 0;
	int r = hps_sql_has_counters(s, &counters, err);

	if (!r)
		r = check_schema(s, counters, err);
	if (!r)
		r = check_structure(s, err);
	if (!r)
		r = find_wrong(s, SQL_WRONG_OPEN, &index, &n, err);
	if (!r && n)
		r = hps_error_set(err, HPS_E_DAMAGED, "look-up row of entry %llu is wrong about being open", (unsigned long long)index);
	if (!r && counters)
		r = find_wrong(s, SQL_WRONG_COUNTER, &index, &n, err);
	if (!r && n)
		r = hps_error_set(err, HPS_E_DAMAGED, "a key's counter is not that of its begin entries");
	return r;
}
