/* ledger.db: opening it, transactions, and the head. Its other tables: store_entries.c, store_lookup.c; whether all of it is right:
 * store_check.c; the SQL: store_sql.c.
 *
 * Rollback journal in TRUNCATE mode with synchronous FULL: of SQLite's modes those that lose nothing at a power cut without
 * WAL, whose reset bug Debian 12's SQLite has. Both are per connection, so every connection sets them and reads them back.
 * Writers queue on the ledger's lock file; SQLite's own waiting only bridges the moments between readers and the one writer. */
#include "ledger/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID 0x4850534c /* "HPSL" */
#define USER_VERSION 1

/* ---- opening ---- */

/* A pragma's value as an integer, or -1. */
static int pragma_value(struct hps_store *s, const char *text, int *ret, struct hps_error *err)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(s->db, text, -1, &st, NULL), r;

	if (rc)
		return hps_sql_fail(s, rc, err, "opening");
	r = hps_sql_row(s, st, err);
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
		return hps_sql_damaged(err, "it is not a ledger's database");
	if (version > USER_VERSION)
		return hps_error_set(err, HPS_E_FORMAT, "ledger.db: its format is %d, this program knows %d: it was written by a newer hps; use that one", version,
				     USER_VERSION);
	return version == USER_VERSION ? 0 : hps_sql_damaged(err, "its format number is wrong");
}

static int set_durable(struct hps_store *s, struct hps_error *err)
{
	int level = -1, rc;
	sqlite3_stmt *st;
	bool truncate;

	rc = sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = TRUNCATE", -1, &st, NULL);
	if (rc)
		return hps_sql_fail(s, rc, err, "opening");
	truncate = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 0) && !strcmp((const char *)sqlite3_column_text(st, 0), "truncate");
	sqlite3_finalize(st);
	rc = sqlite3_exec(s->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (rc)
		return hps_sql_fail(s, rc, err, "opening");
	if (pragma_value(s, "PRAGMA synchronous", &level, err))
		return err ? err->code : HPS_E_DAMAGED;
	return truncate && level == 2 ? 0 : hps_sql_damaged(err, "SQLite does not take the settings that make commits durable");
}

void hps_store_patience(struct hps_store *s, unsigned ms)
{
	sqlite3_busy_timeout(s->db, (int)ms);
}

/* A database may come from elsewhere: nothing in its schema is trusted, and its cells are checked as they are read. */
static void set_wary(struct hps_store *s)
{
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_exec(s->db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
	hps_store_patience(s, HPS_STORE_PATIENCE_MS);
}

static int open_database(const char *path, int flags, struct hps_store **ret, struct hps_error *err)
{
	struct hps_store *s = hps_alloc(sizeof *s);
	int rc = sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc) {
		rc = hps_sql_fail(s, rc, err, "opening");
		hps_store_close(s);
		return rc;
	}
	set_wary(s);
	*ret = s;
	return 0;
}

/* Of an earlier version: the table that it lacks. */
static int bring_up(struct hps_store *s, struct hps_error *err)
{
	bool has;
	int r = hps_sql_has_counters(s, &has, err);

	return r || has ? r : hps_sql_add_counters(s, err);
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
		r = hps_sql_schema(s, err);
	else
		r = check_version(s, err);
	if (!r && mode != HPS_STORE_MEMORY && write)
		r = set_durable(s, err);
	if (!r && mode == HPS_STORE_WRITE)
		r = bring_up(s, err);
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
		r = hps_sql_fail(s, rc, err, "creating");
	if (!r)
		r = hps_sql_schema(s, err);
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
	for (size_t i = 0; i < SQL_N_QUERIES; i++)
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
	int r = hps_sql_prepare(s, SQL_BEGIN, &st, err);

	return r ? r : hps_sql_run(s, st, err, "starting a transaction");
}

int hps_store_snapshot(struct hps_store *s, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_SNAPSHOT, &st, err);

	return r ? r : hps_sql_run(s, st, err, "starting a transaction");
}

int hps_store_commit(struct hps_store *s, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_COMMIT, &st, err);

	return r ? r : hps_sql_run(s, st, err, "committing");
}

void hps_store_rollback(struct hps_store *s)
{
	sqlite3_stmt *st;

	/* SQLite may have rolled back by itself (full disk). What cannot be rolled back now is when the database is next opened. */
	if (!sqlite3_get_autocommit(s->db) && !hps_sql_prepare(s, SQL_ROLLBACK, &st, NULL))
		(void)!hps_sql_run(s, st, NULL, "rolling back");
}

/* ---- the head ---- */

int hps_store_set_head(struct hps_store *s, uint64_t size, const struct hps_digest *root, const struct hps_buf *note, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_SET_HEAD, &st, err);

	if (r)
		return r;
	hps_bind_u64(st, 1, size);
	hps_bind_digest(st, 2, root);
	hps_bind_blob(st, 3, note->data, note->len);
	return hps_sql_run(s, st, err, "writing the head");
}

int hps_store_head(struct hps_store *s, uint64_t *ret_size, struct hps_digest *ret_root, struct hps_buf *ret_note, struct hps_error *err)
{
	sqlite3_stmt *st;
	int r = hps_sql_prepare(s, SQL_HEAD, &st, err);
	sqlite3_int64 size;
	bool good;

	if (r || (r = hps_sql_row(s, st, err)) < 0)
		return r;
	size = r ? sqlite3_column_int64(st, 0) : -1;
	good = size >= 0 && hps_column_digest(st, 1, ret_root);
	if (good && ret_note)
		hps_column_add(st, 2, ret_note);
	sqlite3_reset(st);
	*ret_size = (uint64_t)size;
	return good ? 0 : hps_sql_damaged(err, "it has no head");
}
