/* What the files of the store share: ledger.db's connection, its queries, and short words for SQLite's calls. Only they include this, and
 * nothing else knows SQLite. */
#ifndef HPS_LEDGER_STORE_H
#define HPS_LEDGER_STORE_H

#include <sqlite3.h>

#include "ledger/ledger.h"

/* store_sql.c has the text of each. */
enum query {
	SQL_BEGIN,
	SQL_SNAPSHOT,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_HEAD,
	SQL_SET_HEAD,
	SQL_ADD_ENTRY,
	SQL_ADD_ENVELOPE,
	SQL_ADD_NODE,
	SQL_ADD_LOOKUP,
	SQL_END_BEGIN,
	SQL_NODE,
	SQL_ALL_NODES,
	SQL_LEAF,
	SQL_LEAVES,
	SQL_ENVELOPE,
	SQL_LOOKUP,
	SQL_BY_PREFIX,
	SQL_BY_KIND,
	SQL_BY_STUDY,
	SQL_BY_BEGIN,
	SQL_BY_NOTHING,
	SQL_OPEN_BEGINS,
	SQL_NEXT_COUNTER,
	SQL_WRONG_COUNTER,
	SQL_WRONG_OPEN,
	SQL_WITHDRAW_ENVELOPE,
	SQL_WITHDRAW_LOOKUP,
	SQL_N_QUERIES
};

struct hps_store {
	sqlite3 *db;
	sqlite3_stmt *prepared[SQL_N_QUERIES];
	bool failed;
};

/* ---- store_sql.c ---- */

int hps_sql_fail(struct hps_store *s, int rc, struct hps_error *err, const char *doing); /* SQLite's code and message as ours */
int hps_sql_damaged(struct hps_error *err, const char *what);
int hps_sql_schema(struct hps_store *s, struct hps_error *err) HPS_MUST; /* makes the tables */
/* The table counter, which databases of earlier versions lack until they are opened for writing. */
int hps_sql_has_counters(struct hps_store *s, bool *ret, struct hps_error *err) HPS_MUST;
int hps_sql_add_counters(struct hps_store *s, struct hps_error *err) HPS_MUST;
int hps_sql_drop_counters(struct hps_store *s, struct hps_error *err) HPS_MUST; /* to compare with one of those */
int hps_sql_prepare(struct hps_store *s, enum query q, sqlite3_stmt **ret, struct hps_error *err) HPS_MUST;
int hps_sql_run(struct hps_store *s, sqlite3_stmt *st, struct hps_error *err, const char *doing) HPS_MUST; /* a query without a result */
int hps_sql_row(struct hps_store *s, sqlite3_stmt *st, struct hps_error *err) HPS_MUST; /* 1: there is a row (reset the statement after reading it); 0: none */
/* Fills ret with the first column of each row and resets the statement. */
int hps_sql_collect(struct hps_store *s, sqlite3_stmt *st, uint64_t *ret, size_t max, size_t *ret_n, struct hps_error *err) HPS_MUST;

/* Bytes outlive the step: every caller binds and runs in one function. */
void hps_bind_u64(sqlite3_stmt *st, int at, uint64_t n);
void hps_bind_blob(sqlite3_stmt *st, int at, const void *data, size_t len);
void hps_bind_digest(sqlite3_stmt *st, int at, const struct hps_digest *d);
void hps_bind_text(sqlite3_stmt *st, int at, const char *text); /* NULL binds NULL */
bool hps_column_digest(sqlite3_stmt *st, int at, struct hps_digest *ret);
void hps_column_add(sqlite3_stmt *st, int at, struct hps_buf *out);

/* ---- store_lookup.c ---- */

int64_t hps_lookup_counter(const struct hps_entry *e);
int hps_lookup_add(struct hps_store *s, const struct hps_row *w, struct hps_error *err) HPS_MUST; /* and ends the begin entry that it names */

#endif
