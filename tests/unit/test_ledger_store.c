/* ledger.db apart from the ledger: what its questions cost, and databases of earlier versions. */
#include "tests/unit/ledger_fixture.h"

#include "ledger/store.h"

/* SQLite's own count of what a question took. */
static int steps_of(struct hps_store *s, enum query q)
{
	return sqlite3_stmt_status(s->prepared[q], SQLITE_STMTSTATUS_VM_STEP, 1);
}

static uint64_t counter_of(struct hps_store *s, uint8_t key)
{
	const struct hps_digest keyid = { { key } };
	uint64_t counter;

	assert_ok(hps_store_next_counter(s, &keyid, &counter, err));
	return counter;
}

static void add_begins(struct hps_store *s, uint64_t from, uint64_t n, uint8_t key)
{
	for (uint64_t i = from; i < from + n; i++) {
		_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_BEGIN, "s", -1);
		_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
		struct hps_row row = { .index = i, .id = { { (uint8_t)i, (uint8_t)(i >> 8), 1 } }, .keyid = { { key } }, .leaf = "x", .leaf_len = 1, .entry = &entry };

		hps_json_set_int(json_object_get(statement, "predicate"), "counter", (int64_t)(i - from));
		hps_entry_fill(&entry, statement);
		assert_ok(hps_store_add(s, &row, err));
	}
}

/* A key that began long ago, or never, is answered in as many steps as the one that began last. */
static void test_counters_are_looked_up(void **state)
{
	struct hps_store *s = NULL;
	int last, first, none;

	(void)state;
	assert_ok(hps_store_open(NULL, HPS_STORE_MEMORY, &s, err));
	add_begins(s, 0, 3, 1);
	add_begins(s, 3, 2000, 2);
	assert_int_equal(counter_of(s, 2), 2000);
	last = steps_of(s, SQL_NEXT_COUNTER);
	assert_int_equal(counter_of(s, 1), 3);
	first = steps_of(s, SQL_NEXT_COUNTER);
	assert_int_equal(counter_of(s, 3), 0);
	none = steps_of(s, SQL_NEXT_COUNTER);
	assert_true(last > 0 && first <= last + 5 && none <= last + 5);
	/* The negative control: from the entries themselves, which is what the table is compared with, all begins are read. */
	assert_ok(hps_store_check(s, err));
	assert_true(steps_of(s, SQL_WRONG_COUNTER) > 2000);
	hps_store_close(s);
}

static void run_sql(const char *text)
{
	fixture_shell("/usr/bin/python3 -c 'import sqlite3, sys; d = sqlite3.connect(\"%s/ledger.db\"); d.executescript(sys.argv[1]); d.commit()' \"%s\"", LEDGER, text);
}

/* A database of an earlier version has no such table: it gets one when it is next written to, and verifies before and after. */
static void test_counters_of_an_earlier_version(void **state)
{
	struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	struct hps_entry e = { .number = -1 };
	char id[65];

	(void)state;
	for (int i = 0; i < 3; i++)
		fixture_append(l, HPS_PREDICATE_BEGIN, "s", -1, id);
	hps_ledger_close(l);
	fixture_verify(3, true);
	run_sql("UPDATE counter SET next = 7");
	assert_int_equal(fixture_verify(3, false), 1); /* a wrong one is seen */
	run_sql("DROP TRIGGER counter_next; DROP TABLE counter");
	fixture_verify(3, true);
	l = fixture_open(HPS_LEDGER_APPEND);
	fixture_append(l, HPS_PREDICATE_BEGIN, "s", -1, id);
	assert_int_equal(hps_ledger_size(l), 4);
	assert_ok(hps_ledger_find(l, id, &e, err));
	assert_int_equal(hps_json_int(json_object_get(e.statement, "predicate"), "counter", -1), 3);
	hps_entry_release(&e);
	hps_ledger_close(l);
	fixture_verify(4, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counters_are_looked_up),
		cmocka_unit_test_setup_teardown(test_counters_of_an_earlier_version, fixture_ledger, fixture_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
