/* ledger.db: entries, envelopes, tree nodes and the table by which entries are found. The only file that knows SQLite.
 *
 * Rollback journal in TRUNCATE mode with synchronous FULL: of SQLite's modes those that lose nothing at a power cut without
 * WAL, whose reset bug Debian 12's SQLite has. Both are per connection, so every connection sets them and reads them back.
 * Writers queue on the ledger's lock file; SQLite's own waiting only bridges the moments between readers and the one writer. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID 0x4850534c /* "HPSL" */
#define USER_VERSION 1
#define BUSY_MS 60000

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

enum query {
	BEGIN,
	COMMIT,
	ROLLBACK,
	HEAD,
	SET_HEAD,
	ADD_ENTRY,
	ADD_ENVELOPE,
	ADD_NODE,
	ADD_LOOKUP,
	END_BEGIN,
	NODE,
	ALL_NODES,
	LEAF,
	LEAVES,
	ENVELOPE,
	LOOKUP,
	BY_PREFIX,
	BY_KIND,
	BY_STUDY,
	BY_BEGIN,
	BY_NOTHING,
	OPEN_BEGINS,
	LAST_COUNTER,
	WRONG_OPEN,
	WITHDRAW_ENVELOPE,
	WITHDRAW_LOOKUP,
	N_QUERIES
};

/* The parameters of the four BY_ queries are the same, so that one function binds them. */
#define FILTER "idx >= ?1 AND idx < ?2 AND (?3 IS NULL OR kind = ?3) AND (?4 IS NULL OR study = ?4) AND (?5 IS NULL OR event = ?5)" \
	       " AND (?6 IS NULL OR begin = ?6) AND (?7 < 0 OR number = ?7)"
#define ORDER " ORDER BY idx LIMIT ?8"

static const char *const sql[N_QUERIES] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[HEAD] = "SELECT size, root, note FROM head",
	[SET_HEAD] = "INSERT INTO head VALUES(1, ?1, ?2, ?3) ON CONFLICT DO UPDATE SET size = ?1, root = ?2, note = ?3",
	[ADD_ENTRY] = "INSERT INTO entry VALUES(?1, ?2, ?3, ?4)",
	[ADD_ENVELOPE] = "INSERT INTO envelope VALUES(?1, ?2)",
	[ADD_NODE] = "INSERT INTO node VALUES(?1, ?2, ?3)",
	[ADD_LOOKUP] = "INSERT INTO lookup VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[END_BEGIN] = "UPDATE lookup SET open = 0 WHERE kind = 'begin' AND idx = (SELECT idx FROM entry WHERE id = ?1)",
	[NODE] = "SELECT hash FROM node WHERE level = ?1 AND n = ?2",
	[ALL_NODES] = "SELECT level, n, hash FROM node",
	[LEAF] = "SELECT id, keyid, leaf FROM entry WHERE idx = ?1",
	[LEAVES] = "SELECT leaf, hash FROM entry JOIN node ON level = 0 AND n = idx WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
	[ENVELOPE] = "SELECT bytes FROM envelope WHERE idx = ?1",
	[LOOKUP] = "SELECT kind, study, number, event, begin, counter FROM lookup WHERE idx = ?1",
	[BY_PREFIX] = "SELECT idx FROM entry WHERE id >= ?1 AND id <= ?2 AND idx < ?3 LIMIT ?4",
	[BY_KIND] = "SELECT idx FROM lookup INDEXED BY lookup_kind WHERE kind = ?3 AND " FILTER ORDER,
	[BY_STUDY] = "SELECT idx FROM lookup INDEXED BY lookup_study WHERE study = ?4 AND " FILTER ORDER,
	[BY_BEGIN] = "SELECT idx FROM lookup INDEXED BY lookup_begin WHERE begin = ?6 AND " FILTER ORDER,
	[BY_NOTHING] = "SELECT idx FROM lookup WHERE " FILTER ORDER,
	[OPEN_BEGINS] = "SELECT idx FROM lookup WHERE open = 1 AND idx >= ?1 AND idx < ?2 ORDER BY idx LIMIT ?3",
	[LAST_COUNTER] = "SELECT counter FROM lookup JOIN entry USING(idx) WHERE kind = 'begin' AND keyid = ?1 ORDER BY idx DESC LIMIT 1",
	[WITHDRAW_ENVELOPE] = "UPDATE envelope SET bytes = x'' WHERE idx = ?1",
	[WITHDRAW_LOOKUP] = "UPDATE lookup SET study = NULL, event = NULL WHERE idx = ?1",
	[WRONG_OPEN] = "SELECT b.idx FROM lookup b JOIN entry USING(idx) WHERE b.open !="
		       " (b.kind = 'begin' AND NOT EXISTS(SELECT 1 FROM lookup e WHERE e.begin = lower(hex(entry.id)) AND e.kind IN ('trial', 'lost')))",
};

struct hps_store {
	sqlite3 *db;
	sqlite3_stmt *prepared[N_QUERIES];
	bool failed;
};

/* ---- errors, statements ---- */

static int fail(struct hps_store *s, int rc, struct hps_error *err, const char *doing)
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
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].rc == (rc & 0xff))
			return hps_error_set(err, table[i].code, "ledger.db: %s: %s%s", doing, sqlite3_errmsg(s->db), table[i].next);
	return hps_error_set(err, HPS_E_DAMAGED, "ledger.db: %s: %s", doing, sqlite3_errmsg(s->db));
}

static int prepare(struct hps_store *s, enum query q, sqlite3_stmt **ret, struct hps_error *err)
{
	int rc = s->prepared[q] ? SQLITE_OK : sqlite3_prepare_v3(s->db, sql[q], -1, SQLITE_PREPARE_PERSISTENT, &s->prepared[q], NULL);

	*ret = s->prepared[q];
	return rc ? fail(s, rc, err, "reading its tables") : 0;
}

/* Runs a query without a result. */
static int run(struct hps_store *s, sqlite3_stmt *st, struct hps_error *err, const char *doing)
{
	int rc = sqlite3_step(st), again = sqlite3_reset(st);

	sqlite3_clear_bindings(st);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		return fail(s, again ? again : rc, err, doing);
	return 0;
}

/* 1: there is a row (reset the statement after reading it); 0: none. */
static int row(struct hps_store *s, sqlite3_stmt *st, struct hps_error *err)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : fail(s, rc, err, "reading");
}

static void bind_u64(sqlite3_stmt *st, int at, uint64_t n)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)n);
}

/* The bytes outlive the step: every caller binds and runs in one function. */
static void bind_blob(sqlite3_stmt *st, int at, const void *data, size_t len)
{
	sqlite3_bind_blob64(st, at, data, len, SQLITE_STATIC);
}

static void bind_digest(sqlite3_stmt *st, int at, const struct hps_digest *d)
{
	bind_blob(st, at, d->b, sizeof d->b);
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC); /* NULL binds NULL */
}

static bool column_digest(sqlite3_stmt *st, int at, struct hps_digest *ret)
{
	const void *data = sqlite3_column_blob(st, at);

	if (!data || sqlite3_column_bytes(st, at) != HPS_DIGEST_LEN)
		return false;
	memcpy(ret->b, data, HPS_DIGEST_LEN);
	return true;
}

static void column_add(sqlite3_stmt *st, int at, struct hps_buf *out)
{
	const void *data = sqlite3_column_blob(st, at);

	hps_buf_add(out, data ? data : "", (size_t)sqlite3_column_bytes(st, at));
}

static int damaged(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_DAMAGED, "ledger.db: %s; 'hps-ledger verify' shows what still holds", what);
}

/* ---- opening ---- */

/* A pragma's value as an integer, or -1. */
static int pragma_value(struct hps_store *s, const char *text, int *ret, struct hps_error *err)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(s->db, text, -1, &st, NULL), r;

	if (rc)
		return fail(s, rc, err, "opening");
	r = row(s, st, err);
	*ret = r > 0 ? sqlite3_column_int(st, 0) : -1;
	sqlite3_finalize(st);
	return r < 0 ? r : 0;
}

static int check_version(struct hps_store *s, struct hps_error *err)
{
	int application, version;
	int r = pragma_value(s, "PRAGMA application_id", &application, err);

	if (!r)
		r = pragma_value(s, "PRAGMA user_version", &version, err);
	if (r)
		return r;
	if (application != APPLICATION_ID)
		return damaged(err, "it is not a ledger's database");
	if (version > USER_VERSION)
		return hps_error_set(err, HPS_E_FORMAT, "ledger.db: its format is %d, this program knows %d: it was written by a newer hps; use that one", version,
				     USER_VERSION);
	return version == USER_VERSION ? 0 : damaged(err, "its format number is wrong");
}

static int set_durable(struct hps_store *s, struct hps_error *err)
{
	int level = -1, rc;
	sqlite3_stmt *st;
	bool truncate;

	rc = sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = TRUNCATE", -1, &st, NULL);
	if (rc)
		return fail(s, rc, err, "opening");
	truncate = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0) && !strcmp((const char *)sqlite3_column_text(st, 0), "truncate");
	sqlite3_finalize(st);
	rc = sqlite3_exec(s->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (rc)
		return fail(s, rc, err, "opening");
	if (pragma_value(s, "PRAGMA synchronous", &level, err))
		return err ? err->code : HPS_E_DAMAGED;
	return truncate && level == 2 ? 0 : damaged(err, "SQLite does not take the settings that make commits durable");
}

/* A database may come from elsewhere: nothing in its schema is trusted, and its cells are checked as they are read. */
static void set_wary(struct hps_store *s)
{
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_exec(s->db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
	sqlite3_busy_timeout(s->db, BUSY_MS);
}

static int open_database(const char *path, int flags, struct hps_store **ret, struct hps_error *err)
{
	struct hps_store *s = hps_alloc(sizeof *s);
	int rc = sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc) {
		rc = fail(s, rc, err, "opening");
		hps_store_close(s);
		return rc;
	}
	set_wary(s);
	*ret = s;
	return 0;
}

static int run_schema(struct hps_store *s, struct hps_error *err)
{
	int rc = sqlite3_exec(s->db, schema, NULL, NULL, NULL);

	return rc ? fail(s, rc, err, "creating its tables") : 0;
}

int hps_store_open(const char *path, enum hps_store_mode mode, struct hps_store **ret, struct hps_error *err)
{
	bool write = mode == HPS_STORE_WRITE || access(path ? path : "", W_OK) == 0;
	struct hps_store *s;
	int r;

	if (mode == HPS_STORE_MEMORY)
		r = open_database(":memory:", SQLITE_OPEN_READWRITE, &s, err);
	else
		r = open_database(path, write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY, &s, err);
	if (r)
		return r;
	if (mode == HPS_STORE_MEMORY)
		r = run_schema(s, err);
	else
		r = check_version(s, err);
	if (!r && mode != HPS_STORE_MEMORY && write)
		r = set_durable(s, err);
	if (r)
		hps_store_close(s);
	else
		*ret = s;
	return r;
}

int hps_store_create(const char *path, const struct hps_digest *root, const struct hps_buf *note, struct hps_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc, r;
	_cleanup_free_ char *mark = hps_format("PRAGMA application_id = %d; PRAGMA user_version = %d; BEGIN IMMEDIATE", APPLICATION_ID, USER_VERSION);
	struct hps_store *s;

	if (fd < 0)
		return hps_error_errno(err, "creating '%s'", path);
	close(fd);
	r = open_database(path, SQLITE_OPEN_READWRITE, &s, err);
	if (r)
		return r;
	r = set_durable(s, err);
	rc = r ? 0 : sqlite3_exec(s->db, mark, NULL, NULL, NULL);
	if (rc)
		r = fail(s, rc, err, "creating");
	if (!r)
		r = run_schema(s, err);
	if (!r)
		r = hps_store_set_head(s, 0, root, note, err);
	if (!r)
		r = hps_store_commit(s, err);
	hps_store_close(s);
	return r;
}

void hps_store_close(struct hps_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < N_QUERIES; i++)
		sqlite3_finalize(s->prepared[i]);
	sqlite3_close_v2(s->db);
	free(s);
}

bool hps_store_failed(const struct hps_store *s)
{
	return s->failed;
}

/* ---- transactions ---- */

int hps_store_begin(struct hps_store *s, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, BEGIN, &st, err);

	return r ? r : run(s, st, err, "starting a transaction");
}

int hps_store_commit(struct hps_store *s, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, COMMIT, &st, err);

	return r ? r : run(s, st, err, "committing");
}

void hps_store_rollback(struct hps_store *s)
{
	sqlite3_stmt *st;

	/* SQLite may have rolled back by itself (full disk). What cannot be rolled back now is when the database is next opened. */
	if (!sqlite3_get_autocommit(s->db) && !prepare(s, ROLLBACK, &st, NULL))
		(void)!run(s, st, NULL, "rolling back");
}

/* ---- writing ---- */

int hps_store_set_head(struct hps_store *s, uint64_t size, const struct hps_digest *root, const struct hps_buf *note, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, SET_HEAD, &st, err);

	if (r)
		return r;
	bind_u64(st, 1, size);
	bind_digest(st, 2, root);
	bind_blob(st, 3, note->data, note->len);
	return run(s, st, err, "writing the head");
}

static int add_entry(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, ADD_ENTRY, &st, err);

	if (r)
		return r;
	bind_u64(st, 1, w->index);
	bind_digest(st, 2, &w->id);
	bind_digest(st, 3, &w->keyid);
	bind_blob(st, 4, w->leaf, w->leaf_len);
	return run(s, st, err, "writing an entry");
}

static int add_envelope(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, ADD_ENVELOPE, &st, err);

	if (r)
		return r;
	bind_u64(st, 1, w->index);
	bind_blob(st, 2, w->envelope, w->envelope_len);
	return run(s, st, err, "writing an envelope");
}

static int64_t counter_of(const struct hps_entry *e)
{
	return hps_json_int(json_object_get(e->statement, "predicate"), "counter", -1);
}

static int add_lookup(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	const struct hps_entry *e = w->entry;
	sqlite3_stmt *st;
	int r = prepare(s, ADD_LOOKUP, &st, err);

	if (r)
		return r;
	bind_u64(st, 1, w->index);
	bind_text(st, 2, e->kind);
	bind_text(st, 3, e->study);
	sqlite3_bind_int64(st, 4, e->number);
	bind_text(st, 5, e->event);
	bind_text(st, 6, e->begin);
	sqlite3_bind_int64(st, 7, counter_of(e));
	sqlite3_bind_int64(st, 8, !strcmp(e->kind, "begin"));
	return run(s, st, err, "writing the look-up table");
}

/* A trial or lost entry ends its begin entry. */
static int end_begin(struct hps_store *s, const struct hps_entry *e, struct hps_error *err)
{
	struct hps_digest begin;
	sqlite3_stmt *st;
	int r;

	if ((strcmp(e->kind, "trial") && strcmp(e->kind, "lost")) || hps_digest_parse(e->begin, &begin))
		return 0;
	r = prepare(s, END_BEGIN, &st, err);
	if (r)
		return r;
	bind_digest(st, 1, &begin);
	return run(s, st, err, "writing the look-up table");
}

int hps_store_add(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	int r = add_entry(s, w, err);

	if (!r && w->envelope)
		r = add_envelope(s, w, err);
	if (!r)
		r = add_lookup(s, w, err);
	return r ? r : end_begin(s, w->entry, err);
}

int hps_store_add_node(struct hps_store *s, unsigned level, uint64_t n, const struct hps_digest *hash, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, ADD_NODE, &st, err);

	if (r)
		return r;
	bind_u64(st, 1, level);
	bind_u64(st, 2, n);
	bind_digest(st, 3, hash);
	return run(s, st, err, "writing a tree node");
}

static int run_for(struct hps_store *s, enum query q, uint64_t index, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, q, &st, err);

	if (r)
		return r;
	bind_u64(st, 1, index);
	return run(s, st, err, "withdrawing an entry");
}

int hps_store_withdraw(struct hps_store *s, uint64_t index, struct hps_error *err)
{
	int rc = sqlite3_exec(s->db, "PRAGMA secure_delete = ON", NULL, NULL, NULL);
	int r = rc ? fail(s, rc, err, "withdrawing an entry") : hps_store_begin(s, err);

	if (r)
		return r;
	r = run_for(s, WITHDRAW_ENVELOPE, index, err);
	if (!r)
		r = run_for(s, WITHDRAW_LOOKUP, index, err);
	if (!r)
		r = hps_store_commit(s, err);
	if (r)
		hps_store_rollback(s);
	return r;
}

/* ---- reading ---- */

int hps_store_head(struct hps_store *s, uint64_t *ret_size, struct hps_digest *ret_root, struct hps_buf *ret_note, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, HEAD, &st, err);
	sqlite3_int64 size;
	bool good;

	if (r || (r = row(s, st, err)) < 0)
		return r;
	size = r ? sqlite3_column_int64(st, 0) : -1;
	good = size >= 0 && column_digest(st, 1, ret_root);
	if (good && ret_note)
		column_add(st, 2, ret_note);
	sqlite3_reset(st);
	*ret_size = (uint64_t)size;
	return good ? 0 : damaged(err, "it has no head");
}

int hps_store_node(void *store, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err)
{
	struct hps_store *s = store;
	sqlite3_stmt *st;
	int r = prepare(s, NODE, &st, err);
	bool good;

	if (r)
		return r;
	bind_u64(st, 1, level);
	bind_u64(st, 2, n);
	r = row(s, st, err);
	if (r < 0)
		return r;
	good = r && column_digest(st, 0, ret);
	sqlite3_reset(st);
	return good ? 0 : damaged(err, "a tree node is missing");
}

static int read_blob(struct hps_store *s, enum query q, uint64_t key, struct hps_buf *ret, struct hps_error *err, const char *what)
{
	sqlite3_stmt *st;
	int r = prepare(s, q, &st, err);

	if (r)
		return r;
	bind_u64(st, 1, key);
	r = row(s, st, err);
	if (r <= 0)
		return r ? r : hps_error_set(err, HPS_E_NOTFOUND, "ledger.db: it has no %s %llu", what, (unsigned long long)key);
	column_add(st, 0, ret);
	sqlite3_reset(st);
	return 0;
}

int hps_store_envelope(struct hps_store *s, uint64_t index, struct hps_buf *ret, struct hps_error *err)
{
	return read_blob(s, ENVELOPE, index, ret, err, "envelope of entry");
}

int hps_store_leaf(struct hps_store *s, uint64_t index, struct hps_digest *ret_id, struct hps_buf *ret, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, LEAF, &st, err);
	bool good;

	if (r)
		return r;
	bind_u64(st, 1, index);
	r = row(s, st, err);
	if (r <= 0)
		return r ? r : hps_error_set(err, HPS_E_NOTFOUND, "ledger.db: it has no entry %llu", (unsigned long long)index);
	good = column_digest(st, 0, ret_id);
	column_add(st, 2, ret);
	sqlite3_reset(st);
	return good ? 0 : damaged(err, "an entry has no id");
}

int hps_store_each_leaf(struct hps_store *s, uint64_t from, uint64_t to, int (*fn)(void *arg, const void *leaf, size_t len, const struct hps_digest *hash),
			void *arg, struct hps_error *err)
{
	sqlite3_stmt *st;
	uint64_t n = 0;
	int r = prepare(s, LEAVES, &st, err), stop = 0;

	if (r)
		return r;
	bind_u64(st, 1, from);
	bind_u64(st, 2, to);
	while (!stop && (r = row(s, st, err)) > 0) {
		struct hps_digest hash = { { 0 } };

		(void)!column_digest(st, 1, &hash);
		stop = fn(arg, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), &hash);
		n++;
	}
	sqlite3_reset(st);
	if (r < 0 || stop)
		return r < 0 ? r : stop;
	return n == to - from ? 0 : damaged(err, "entries are missing");
}

/* Fills ret with the first column of each row and resets the statement. */
static int collect(struct hps_store *s, sqlite3_stmt *st, uint64_t *ret, size_t max, size_t *ret_n, struct hps_error *err)
{
	size_t n = 0;
	int r = 0;

	while (n < max && (r = row(s, st, err)) > 0)
		ret[n++] = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	*ret_n = n;
	return r < 0 ? r : 0;
}

int hps_store_by_prefix(struct hps_store *s, const struct hps_digest *low, const struct hps_digest *high, uint64_t limit, uint64_t *ret, size_t max,
			size_t *ret_n, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, BY_PREFIX, &st, err);

	if (r)
		return r;
	bind_digest(st, 1, low);
	bind_digest(st, 2, high);
	bind_u64(st, 3, limit);
	bind_u64(st, 4, max);
	return collect(s, st, ret, max, ret_n, err);
}

int hps_store_by_filter(struct hps_store *s, const struct hps_filter *f, uint64_t limit, uint64_t *ret, size_t max, size_t *ret_n, struct hps_error *err)
{
	enum query q = f->begin ? BY_BEGIN : f->study ? BY_STUDY : f->kind ? BY_KIND : BY_NOTHING;
	sqlite3_stmt *st;
	int r = prepare(s, q, &st, err);

	if (r)
		return r;
	bind_u64(st, 1, f->from_index);
	bind_u64(st, 2, limit);
	bind_text(st, 3, f->kind);
	bind_text(st, 4, f->study);
	bind_text(st, 5, f->event);
	bind_text(st, 6, f->begin);
	sqlite3_bind_int64(st, 7, f->number);
	bind_u64(st, 8, max);
	return collect(s, st, ret, max, ret_n, err);
}

int hps_store_open_begins(struct hps_store *s, uint64_t from, uint64_t limit, uint64_t *ret, size_t max, size_t *ret_n, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = prepare(s, OPEN_BEGINS, &st, err);

	if (r)
		return r;
	bind_u64(st, 1, from);
	bind_u64(st, 2, limit);
	bind_u64(st, 3, max);
	return collect(s, st, ret, max, ret_n, err);
}

int hps_store_next_counter(struct hps_store *s, const struct hps_digest *keyid, uint64_t *ret, struct hps_error *err)
{
	uint64_t last;
	sqlite3_stmt *st;
	size_t n;
	int r = prepare(s, LAST_COUNTER, &st, err);

	if (r)
		return r;
	bind_digest(st, 1, keyid);
	r = collect(s, st, &last, 1, &n, err);
	*ret = n ? last + 1 : 0;
	return r;
}

/* ---- for verification ---- */

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
	       same_text(st, 4, e->begin) && sqlite3_column_int64(st, 5) == counter_of(e);
}

int hps_store_compare(struct hps_store *s, const struct hps_row *w, struct hps_error *err)
{
	static const struct {
		enum query query;
		bool (*same)(sqlite3_stmt *, const struct hps_row *);
		const char *what;
	} parts[] = { { LEAF, same_entry, "entry" }, { ENVELOPE, same_envelope, "envelope" }, { LOOKUP, same_lookup, "look-up row of entry" } };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		sqlite3_stmt *st;
		int r = prepare(s, parts[i].query, &st, err);
		bool same;

		if (r)
			return r;
		bind_u64(st, 1, w->index);
		r = row(s, st, err);
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

int hps_store_each_node(struct hps_store *s, int (*fn)(void *arg, unsigned level, uint64_t n, const struct hps_digest *hash), void *arg, struct hps_error *err)
{
	struct hps_digest hash;
	sqlite3_stmt *st;
	int r = prepare(s, ALL_NODES, &st, err), stop = 0;

	if (r)
		return r;
	while (!stop && (r = row(s, st, err)) > 0) {
		if (!column_digest(st, 2, &hash))
			memset(&hash, 0, sizeof hash);
		stop = fn(arg, (unsigned)sqlite3_column_int(st, 0), (uint64_t)sqlite3_column_int64(st, 1), &hash);
	}
	sqlite3_reset(st);
	return r < 0 ? r : stop;
}

/* The schema as one text, to compare with a fresh one. */
static int schema_text(struct hps_store *s, struct hps_buf *out, struct hps_error *err)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(s->db, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name", -1, &st, NULL), r;

	if (rc)
		return fail(s, rc, err, "reading its tables");
	while ((r = row(s, st, err)) > 0)
		for (int i = 0; i < 4; i++) {
			column_add(st, i, out);
			hps_buf_addc(out, '\n');
		}
	sqlite3_finalize(st);
	return r;
}

static int check_schema(struct hps_store *s, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf here = HPS_BUF_INIT, fresh = HPS_BUF_INIT;
	struct hps_store *memory;
	int r = hps_store_open(NULL, HPS_STORE_MEMORY, &memory, err);

	if (r)
		return r;
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
		return fail(s, rc, err, "checking");
	r = row(s, st, err);
	text = r > 0 ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (r >= 0)
		r = text && !strcmp(text, "ok") ? 0 : hps_error_set(err, HPS_E_DAMAGED, "its structure is damaged: %s", text ? text : "no answer");
	sqlite3_finalize(st);
	return r;
}

int hps_store_check(struct hps_store *s, struct hps_error *err)
{
	uint64_t index;
	sqlite3_stmt *st;
	size_t n = 0;
	int r = check_schema(s, err);

	if (!r)
		r = check_structure(s, err);
	if (!r)
		r = prepare(s, WRONG_OPEN, &st, err);
	if (!r)
		r = collect(s, st, &index, 1, &n, err);
	if (!r && n)
		r = hps_error_set(err, HPS_E_DAMAGED, "look-up row of entry %llu is wrong about being open", (unsigned long long)index);
	return r;
}
