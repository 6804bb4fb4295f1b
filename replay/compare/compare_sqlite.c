/* SQLite databases: schema and rows, each table sorted by all its columns. Opened from memory, read-only, in the confined process;
 * a damaged one is not read; the file's own counters, free pages and row order do not matter. */
#include "replay/compare/compare.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "SQLite format 3"
#define COLUMNS_MAX 512

static const char sql_tables[] = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite_%' ORDER BY name";
static const char sql_rest[] = "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY 1";

struct reader {
	sqlite3 *db;
	struct hps_tree *tree;
	struct hps_error *err;
};

static int bad(struct reader *r, const char *doing)
{
	return hps_error_set(r->err, HPS_E_DAMAGED, "%s: %s", doing, sqlite3_errmsg(r->db));
}

static void finish(sqlite3_stmt **s)
{
	sqlite3_finalize(*s);
}
#define _cleanup_statement_ _cleanup_(finish)

static void *keep(struct reader *r, const void *data, size_t len)
{
	char *copy = hps_tree_keep(r->tree, hps_alloc(len + 1));

	if (len)
		memcpy(copy, data, len);
	return copy;
}

static int add_cell(struct reader *r, sqlite3_stmt *s, int column, const char *place)
{
	size_t len = (size_t)sqlite3_column_bytes(s, column);
	struct hps_array a = { .dtype = HPS_DTYPE_FLOAT, .itemsize = 8, .n = 1 };
	struct hps_token token;
	double x;

	switch (sqlite3_column_type(s, column)) {
	case SQLITE_INTEGER:
		token.text = hps_tree_keep(r->tree, hps_format("%lld", (long long)sqlite3_column_int64(s, column)));
		token.len = strlen(token.text);
		return hps_tree_add_numbers(r->tree, place, true, &token, 1, r->err);
	case SQLITE_FLOAT:
		x = sqlite3_column_double(s, column);
		a.data = keep(r, &x, sizeof x);
		return hps_tree_add_array(r->tree, place, &a, r->err);
	case SQLITE_TEXT:
		return hps_tree_add_text(r->tree, place, HPS_TEXT_STRING, keep(r, sqlite3_column_text(s, column), len), len, r->err);
	case SQLITE_BLOB:
		return hps_tree_add_text(r->tree, place, HPS_TEXT_BYTES, keep(r, sqlite3_column_blob(s, column), len), len, r->err);
	default:
		return hps_tree_add_text(r->tree, place, HPS_TEXT_LITERAL, "NULL", 4, r->err);
	}
}

static int add_row(struct reader *r, sqlite3_stmt *s, const char *table, size_t row)
{
	int result = 0;

	for (int i = 0; !result && i < sqlite3_column_count(s); i++) {
		_cleanup_free_ char *place = hps_format("%s[%zu]/%s", table, row, sqlite3_column_name(s, i));

		result = add_cell(r, s, i, place);
	}
	return result;
}

/* "SELECT * FROM t ORDER BY 1, 2, …": how many columns there are says the statement itself. */
static int prepare_rows(struct reader *r, const char *table, sqlite3_stmt **ret)
{
	char *sql = sqlite3_mprintf("SELECT * FROM \"%w\"", table);
	_cleanup_buf_ struct hps_buf sorted = HPS_BUF_INIT;
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int result = sqlite3_prepare_v2(r->db, sql, -1, &s, NULL), n = s ? sqlite3_column_count(s) : 0;

	hps_buf_adds(&sorted, sql);
	sqlite3_free(sql);
	if (result || n > COLUMNS_MAX)
		return bad(r, table);
	for (int i = 1; i <= n; i++)
		hps_buf_addf(&sorted, "%s%d", i == 1 ? " ORDER BY " : ", ", i);
	return sqlite3_prepare_v2(r->db, sorted.data, -1, ret, NULL) ? bad(r, table) : 0;
}

static int add_table(struct reader *r, const char *table)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int result = prepare_rows(r, table, &s), step = SQLITE_DONE;

	for (size_t row = 0; !result && (step = sqlite3_step(s)) == SQLITE_ROW; row++)
		result = add_row(r, s, table, row);
	return result ? result : step == SQLITE_DONE ? 0 : bad(r, table);
}

static int add_schema(struct reader *r, const char *sql, bool rows)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	int step = SQLITE_DONE, result = sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) ? bad(r, "its schema") : 0;

	while (!result && (step = sqlite3_step(s)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0), *text = (const char *)sqlite3_column_text(s, 1);
		size_t len = (size_t)sqlite3_column_bytes(s, 1);
		_cleanup_free_ char *place = hps_format("schema/%s", name ? name : "");

		result = hps_tree_add_text(r->tree, place, HPS_TEXT_STRING, keep(r, text, len), len, r->err);
		if (!result && rows && name)
			result = add_table(r, name);
	}
	return result ? result : step == SQLITE_DONE ? 0 : bad(r, "its schema");
}

/* A database that was last written in WAL mode cannot be opened in memory; two bytes of the header say so and nothing else does. */
static unsigned char *copy_of(const char *data, size_t len)
{
	unsigned char *copy = hps_alloc(len);

	memcpy(copy, data, len);
	copy[18] = copy[19] = 1;
	return copy;
}

static int open_memory(struct reader *r, unsigned char *copy, size_t len)
{
	static const char pragmas[] = "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON";

	if (sqlite3_open_v2(":memory:", &r->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, NULL))
		return bad(r, "opening it");
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(r->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	if (sqlite3_deserialize(r->db, "main", copy, (sqlite3_int64)len, (sqlite3_int64)len, SQLITE_DESERIALIZE_READONLY) || sqlite3_exec(r->db, pragmas, NULL, NULL, NULL))
		return bad(r, "opening it");
	return 0;
}

/* From a damaged database SQLite reads what happens to lie beside it in memory: other rows each time. */
static int check(struct reader *r)
{
	_cleanup_statement_ sqlite3_stmt *s = NULL;
	const char *said;

	if (sqlite3_prepare_v2(r->db, "PRAGMA integrity_check(1)", -1, &s, NULL) || sqlite3_step(s) != SQLITE_ROW)
		return bad(r, "checking it");
	said = (const char *)sqlite3_column_text(s, 0);
	return said && !strcmp(said, "ok") ? 0 : hps_error_set(r->err, HPS_E_DAMAGED, "%.200s", said ? said : "it is damaged");
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct reader r = { .tree = ret, .err = err };
	_cleanup_free_ unsigned char *copy = NULL;
	int result;

	if (len < 100)
		return hps_error_set(err, HPS_E_FORMAT, "it is cut off");
	copy = copy_of(data, len);
	result = open_memory(&r, copy, len);
	result = result ? result : check(&r);
	result = result ? result : add_schema(&r, sql_tables, true);
	result = result ? result : add_schema(&r, sql_rest, false);
	sqlite3_close(r.db);
	return result;
}

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	return len >= 100 && !memcmp(data, MAGIC, sizeof MAGIC);
}

const struct hps_format hps_format_sqlite = { "sqlite", fits, decode };
