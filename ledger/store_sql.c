/* The text of ledger.db: its tables, every query that is asked of it, and how SQLite's answers become ours. */
#include "ledger/store.h"

#include <errno.h>
#include <string.h>

/* The proof that nothing was changed is the tree; the triggers only guard against accidents. */
static const char schema[] =
	"CREATE TABLE entry(idx INTEGER PRIMARY KEY CHECK(idx >= 0), id BLOB NOT NULL UNIQUE CHECK(length(id) = 32),"
	" keyid BLOB NOT NULL CHECK(length(keyid) = 32), leaf BLOB NOT NULL) STRICT;\n"
	"CREATE TABLE envelope(idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;\n"
	"CREATE TABLE node(level INTEGER NOT NULL, n INTEGER NOT NULL, hash BLOB NOT NULL CHECK(length(hash) = 32),"
	" PRIMARY KEY(level, n)) STRICT, WITHOUT ROWID;\n"
	"CREATE TABLE head(one INTEGER PRIMARY KEY CHECK(one = 1), size INTEGER NOT NULL, root BLOB NOT NULL CHECK(length(root) = 32),"
	" note BLOB NOT NULL) STRICT;\n"
	"CREATE TABLE lookup(idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, study TEXT, number INTEGER NOT NULL, event TEXT, begin TEXT,"
	" counter INTEGER NOT NULL, open INTEGER NOT NULL) STRICT;\n"
	"CREATE INDEX lookup_kind ON lookup(kind);\n"
	"CREATE INDEX lookup_study ON lookup(study) WHERE study IS NOT NULL;\n"
	"CREATE INDEX lookup_begin ON lookup(begin) WHERE begin IS NOT NULL;\n"
	"CREATE INDEX lookup_open ON lookup(open) WHERE open = 1;\n"
	"CREATE TRIGGER entry_no_update BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;\n"
	"CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;\n"
	"CREATE TRIGGER node_no_update BEFORE UPDATE ON node BEGIN SELECT RAISE(ABORT, 'nodes are never changed'); END;\n"
	"CREATE TRIGGER node_no_delete BEFORE DELETE ON node BEGIN SELECT RAISE(ABORT, 'nodes are never removed'); END;\n"
	"CREATE TRIGGER head_no_shrink BEFORE UPDATE ON head WHEN NEW.size <= OLD.size BEGIN SELECT RAISE(ABORT, 'a ledger only grows'); END;\n"
	"CREATE TRIGGER head_no_delete BEFORE DELETE ON head BEGIN SELECT RAISE(ABORT, 'the head is never removed'); END;\n";

/* Of each key the number for its next begin entry, which only grows with the number of keys. SQLite itself keeps it, so that a program of an
 * earlier version cannot leave it behind. */
static const char counter_schema[] =
	"CREATE TABLE counter(keyid BLOB PRIMARY KEY CHECK(length(keyid) = 32), next INTEGER NOT NULL) STRICT, WITHOUT ROWID;\n"
	"CREATE TRIGGER counter_next AFTER INSERT ON lookup WHEN NEW.kind = 'begin' BEGIN"
	" INSERT INTO counter SELECT keyid, NEW.counter + 1 FROM entry WHERE idx = NEW.idx ON CONFLICT DO UPDATE SET next = excluded.next; END;\n";
#define COUNTED "SELECT keyid, counter + 1 AS next FROM (SELECT keyid, counter, max(idx) FROM lookup JOIN entry USING(idx) WHERE kind = 'begin' GROUP BY keyid)"

/* The parameters of the four BY_ queries are the same, so that one function binds them. */
#define FILTER "idx >= ?1 AND idx < ?2 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR study = ?4) AND (?5 IS NULL OR event = ?5)" \
	       " AND (?6 IS NULL OR begin = ?6) AND (?7 < 0 OR number = ?7)"
#define ORDER " ORDER BY idx LIMIT ?8"

static const char *const sql[SQL_N_QUERIES] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_SNAPSHOT] = "BEGIN DEFERRED",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_HEAD] = "SELECT size, root, note FROM head",
	[SQL_SET_HEAD] = "INSERT INTO head VALUES(1, ?1, ?2, ?3) ON CONFLICT DO UPDATE SET size = ?1, root = ?2, note = ?3",
	[SQL_ADD_ENTRY] = "INSERT INTO entry VALUES(?1, ?2, ?3, ?4)",
	[SQL_ADD_ENVELOPE] = "INSERT INTO envelope VALUES(?1, ?2)",
	[SQL_ADD_NODE] = "INSERT INTO node VALUES(?1, ?2, ?3)",
	[SQL_ADD_LOOKUP] = "INSERT INTO lookup VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[SQL_END_BEGIN] = "UPDATE lookup SET open = 0 WHERE kind = 'begin' AND idx = (SELECT idx FROM entry WHERE id = ?1)",
	[SQL_NODE] = "SELECT hash FROM node WHERE level = ?1 AND n = ?2",
	[SQL_ALL_NODES] = "SELECT level, n, hash FROM node",
	[SQL_LEAF] = "SELECT id, keyid, leaf FROM entry WHERE idx = ?1",
	[SQL_LEAVES] = "SELECT leaf, hash FROM entry JOIN node ON level = 0 AND n = idx WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
	[SQL_ENVELOPE] = "SELECT bytes FROM envelope WHERE idx = ?1",
	[SQL_LOOKUP] = "SELECT kind, study, number, event, begin, counter FROM lookup WHERE idx = ?1",
	[SQL_BY_PREFIX] = "SELECT idx FROM entry WHERE id >= ?1 AND id <= ?2 AND idx < ?3 LIMIT ?4",
	[SQL_BY_KIND] = "SELECT idx FROM lookup INDEXED BY lookup_kind WHERE kind = ?3 AND " FILTER ORDER,
	[SQL_BY_STUDY] = "SELECT idx FROM lookup INDEXED BY lookup_study WHERE study = ?4 AND " FILTER ORDER,
	[SQL_BY_BEGIN] = "SELECT idx FROM lookup INDEXED BY lookup_begin WHERE begin = ?6 AND " FILTER ORDER,
	[SQL_BY_NOTHING] = "SELECT idx FROM lookup WHERE " FILTER ORDER,
	[SQL_OPEN_BEGINS] = "SELECT idx FROM lookup WHERE open = 1 AND idx >= ?1 AND idx < ?2 ORDER BY idx LIMIT ?3",
	[SQL_NEXT_COUNTER] = "SELECT next FROM counter WHERE keyid = ?1",
	[SQL_WRONG_COUNTER] = "SELECT 1 FROM (" COUNTED " EXCEPT SELECT keyid, next FROM counter) UNION ALL SELECT 1 FROM (SELECT keyid, next FROM counter EXCEPT " COUNTED
			      ") LIMIT 1",
	[SQL_WITHDRAW_ENVELOPE] = "UPDATE envelope SET bytes = x'' WHERE idx = ?1",
	[SQL_WITHDRAW_LOOKUP] = "UPDATE lookup SET study = NULL, event = NULL WHERE idx = ?1",
	[SQL_WRONG_OPEN] = "SELECT b.idx FROM lookup b JOIN entry USING(idx) WHERE b.open !="
		       " (b.kind = 'begin' AND NOT EXISTS(SELECT 1 FROM lookup e WHERE e.begin = lower(hex(entry.id)) AND e.kind IN ('trial', 'lost')))",
};

/* ---- errors ---- */

int hps_sql_fail(struct hps_store *s, int rc, struct hps_error *err, const char *doing)
{
	static const struct {
		int rc, code;
		const char *next;
	} table[] = {
		{ SQLITE_FULL, -ENOSPC, "; free some space and try again" },
		{ SQLITE_CORRUPT, HPS_E_DAMAGED, "; 'hps-ledger verify' shows what still holds" },
		{ SQLITE_NOTADB, HPS_E_DAMAGED, "; 'hps-ledger verify' shows what still holds" },
		{ SQLITE_READONLY, HPS_E_DENIED, "" },
		{ SQLITE_BUSY, -EBUSY, "" },
		{ SQLITE_CANTOPEN, -EIO, "" },
		{ SQLITE_IOERR, -EIO, "; what the disk holds is uncertain now, run 'hps-ledger verify'" },
		{ SQLITE_NOMEM, -ENOMEM, "" },
	};

	s->failed |= (rc & 0xff) == SQLITE_IOERR;
	if ((rc & 0xff) == SQLITE_CANTOPEN && sqlite3_system_errno(s->db))
		return hps_error_set(err, -sqlite3_system_errno(s->db), "ledger.db: %s: %s (%s)", doing, sqlite3_errmsg(s->db), strerror(sqlite3_system_errno(s->db)));
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].rc == (rc & 0xff))
			return hps_error_set(err, table[i].code, "ledger.db: %s: %s%s", doing, sqlite3_errmsg(s->db), table[i].next);
	return hps_error_set(err, HPS_E_DAMAGED, "ledger.db: %s: %s", doing, sqlite3_errmsg(s->db));
}

int hps_sql_damaged(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_DAMAGED, "ledger.db: %s; 'hps-ledger verify' shows what still holds", what);
}

int hps_sql_schema(struct hps_store *s, struct hps_error *err)
{
	int rc = sqlite3_exec(s->db, schema, NULL, NULL, NULL);

	if (!rc)
		rc = sqlite3_exec(s->db, counter_schema, NULL, NULL, NULL);
	return rc ? hps_sql_fail(s, rc, err, "creating its tables") : 0;
}

int hps_sql_has_counters(struct hps_store *s, bool *ret, struct hps_error *err)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(s->db, "SELECT 1 FROM sqlite_schema WHERE name = 'counter'", -1, &st, NULL), r;

	if (rc)
		return hps_sql_fail(s, rc, err, "reading its tables");
	r = hps_sql_row(s, st, err);
	*ret = r > 0;
	sqlite3_finalize(st);
	return r < 0 ? r : 0;
}

int hps_sql_add_counters(struct hps_store *s, struct hps_error *err)
{
	bool there = false;
	int r = hps_store_begin(s, err), rc = 0;

	if (!r)
		r = hps_sql_has_counters(s, &there, err); /* another process may have been faster */
	if (!r && !there)
		rc = sqlite3_exec(s->db, counter_schema, NULL, NULL, NULL);
	if (!r && !there && !rc)
		rc = sqlite3_exec(s->db, "INSERT INTO counter " COUNTED, NULL, NULL, NULL);
	if (rc)
		r = hps_sql_fail(s, rc, err, "adding a table");
	if (!r)
		r = hps_store_commit(s, err);
	if (r)
		hps_store_rollback(s);
	return r;
}

int hps_sql_drop_counters(struct hps_store *s, struct hps_error *err)
{
	int rc = sqlite3_exec(s->db, "DROP TRIGGER counter_next; DROP TABLE counter", NULL, NULL, NULL);

	return rc ? hps_sql_fail(s, rc, err, "removing a table") : 0;
}

/* ---- statements ---- */

int hps_sql_prepare(struct hps_store *s, enum query q, sqlite3_stmt **ret, struct hps_error *err)
{
	int rc = s->prepared[q] ? SQLITE_OK : sqlite3_prepare_v3(s->db, sql[q], -1, SQLITE_PREPARE_PERSISTENT, &s->prepared[q], NULL);

	*ret = s->prepared[q];
	return rc ? hps_sql_fail(s, rc, err, "reading its tables") : 0;
}

int hps_sql_run(struct hps_store *s, sqlite3_stmt *st, struct hps_error *err, const char *doing)
{
	int rc = sqlite3_step(st), again = sqlite3_reset(st);

	sqlite3_clear_bindings(st);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		return hps_sql_fail(s, again ? again : rc, err, doing);
	return 0;
}

int hps_sql_row(struct hps_store *s, sqlite3_stmt *st, struct hps_error *err)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : hps_sql_fail(s, rc, err, "reading");
}

int hps_sql_collect(struct hps_store *s, sqlite3_stmt *st, uint64_t *ret, size_t max, size_t *ret_n, struct hps_error *err)
{
	size_t n = 0;
	int r = 0;

	while (n < max && (r = hps_sql_row(s, st, err)) > 0)
		ret[n++] = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	*ret_n = n;
	return r < 0 ? r : 0;
}

/* ---- values ---- */

void hps_bind_u64(sqlite3_stmt *st, int at, uint64_t n)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)n);
}

void hps_bind_blob(sqlite3_stmt *st, int at, const void *data, size_t len)
{
	sqlite3_bind_blob64(st, at, data, len, SQLITE_STATIC);
}

void hps_bind_digest(sqlite3_stmt *st, int at, const struct hps_digest *d)
{
	hps_bind_blob(st, at, d->b, sizeof d->b);
}

void hps_bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC); /* NULL binds NULL */
}

bool hps_column_digest(sqlite3_stmt *st, int at, struct hps_digest *ret)
{
	const void *data = sqlite3_column_blob(st, at);

	if (!data || sqlite3_column_bytes(st, at) != HPS_DIGEST_LEN)
		return false;
	memcpy(ret->b, data, HPS_DIGEST_LEN);
	return true;
}

void hps_column_add(sqlite3_stmt *st, int at, struct hps_buf *out)
{
	const void *data = sqlite3_column_blob(st, at);

	hps_buf_add(out, data ? data : "", (size_t)sqlite3_column_bytes(st, at));
}
