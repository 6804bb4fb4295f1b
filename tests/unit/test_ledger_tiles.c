/* What of a ledger is published, and when. What a tile and its names are: test_ledger_formats.c. */
#include "tests/unit/ledger_fixture.h"

/* Over the tile boundary: partial tiles stay until the full one is published, then they go. */
static void test_tiles_grow(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);

	(void)state;
	fixture_append_many(l, 200);
	assert_int_equal(hps_ledger_size(l), 200);
	fixture_append_many(l, 54);
	assert_int_equal(hps_ledger_size(l), 254);
	fixture_append(l, HPS_PREDICATE_TRIAL, "one", 254, NULL);
	assert_int_equal(hps_ledger_size(l), 255);
	assert_true(fixture_exists(LEDGER "/tiles/tile/0/000.p/200"));
	assert_true(fixture_exists(LEDGER "/tiles/tile/0/000.p/254"));
	assert_true(fixture_exists(LEDGER "/tiles/tile/entries/000.p/255"));
	assert_false(fixture_exists(LEDGER "/tiles/tile/0/000"));
	fixture_verify(255, true);
	fixture_append(l, HPS_PREDICATE_TRIAL, "one", 255, NULL);
	assert_int_equal(hps_ledger_size(l), 256);
	assert_true(fixture_exists(LEDGER "/tiles/tile/0/000"));
	assert_true(fixture_exists(LEDGER "/tiles/tile/entries/000"));
	assert_true(fixture_exists(LEDGER "/tiles/tile/1/000.p/1"));
	assert_false(fixture_exists(LEDGER "/tiles/tile/0/000.p"));
	assert_false(fixture_exists(LEDGER "/tiles/tile/entries/000.p"));
	assert_false(fixture_exists(LEDGER "/tiles/tile/0/001.p"));
	assert_int_equal(fixture_mode(LEDGER "/tiles/tile/1"), 0755);
	assert_int_equal(fixture_mode(LEDGER "/tiles/tile/0/000"), 0644);
	fixture_verify(256, true);
	fixture_append_many(l, 200);
	fixture_append_many(l, 100);
	assert_int_equal(hps_ledger_size(l), 556);
	assert_true(fixture_exists(LEDGER "/tiles/tile/0/001"));
	assert_true(fixture_exists(LEDGER "/tiles/tile/0/002.p/44"));
	assert_true(fixture_exists(LEDGER "/tiles/tile/1/000.p/2"));
	assert_false(fixture_exists(LEDGER "/tiles/tile/0/001.p"));
	fixture_verify(556, true);
}

/* A reader that does not look for the full tile finds what an attested checkpoint needs; nothing else stays. */
static void test_attested_partial_tiles_stay(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);

	(void)state;
	fixture_append_many(l, 5);
	assert_int_equal(hps_ledger_size(l), 5);
	fixture_shell("cd %s/tiles && mkdir attested && cp checkpoint attested/5.checkpoint", LEDGER);
	fixture_append_many(l, 100);
	assert_int_equal(hps_ledger_size(l), 105);
	fixture_append_many(l, 195);
	assert_int_equal(hps_ledger_size(l), 300);
	assert_true(fixture_exists(LEDGER "/tiles/tile/0/000"));
	fixture_shell("test \"$(cd %s/tiles/tile && echo */000.p/*)\" = '0/000.p/5 1/000.p/1 entries/000.p/5'", LEDGER);
	fixture_verify(300, true);
	fixture_flip(LEDGER "/tiles/tile/0/000.p/5", 100, 1); /* and is looked at */
	assert_int_equal(fixture_verify(300, false), 1);
}

/* A writer killed between its commit and its checkpoint: made by hand, by taking the published files back. */
static void test_unpublished_entries_are_finished(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND), *next = NULL;

	(void)state;
	fixture_append_many(l, 100);
	assert_int_equal(hps_ledger_size(l), 100);
	fixture_shell("cp -a %s/tiles before", LEDGER);
	fixture_append_many(l, 180);
	assert_int_equal(hps_ledger_size(l), 280);
	fixture_shell("rm -r %s/tiles && mv before %s/tiles && echo leftover > %s/staging/3", LEDGER, LEDGER, LEDGER);
	fixture_verify(100, true);
	next = fixture_open(HPS_LEDGER_APPEND);
	assert_int_equal(hps_ledger_size(next), 100);
	assert_int_equal(fixture_append(next, HPS_PREDICATE_TRIAL, "s", 1, NULL), 280);
	fixture_verify(281, true);
	fixture_shell("test -z \"$(ls -A %s/staging)\"", LEDGER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_ledger, fixture_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tiles_grow),
		TEST(test_attested_partial_tiles_stay),
		TEST(test_unpublished_entries_are_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
