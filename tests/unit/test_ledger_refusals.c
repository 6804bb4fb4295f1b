/* A ledger that is damaged, older than it was, somebody else's, or not the one of its keys: refused, with the reason. */
#include "tests/unit/ledger_fixture.h"

static void assert_refused(int code, const char *text)
{
	struct hps_error e = HPS_ERROR_INIT;
	struct hps_ledger *l;

	for (unsigned flags = 0; flags <= HPS_LEDGER_APPEND; flags++) {
		assert_int_equal(hps_ledger_open(LEDGER, flags, NULL, &l, &e), code);
		if (!strstr(e.message, text))
			fail_msg("'%s' is not in: %s", text, e.message);
		hps_error_release(&e);
	}
}

static void test_truncated_database(void **state)
{
	(void)state;
	fixture_fill(10);
	fixture_shell("truncate -s 8192 %s/ledger.db", LEDGER);
	assert_refused(HPS_E_DAMAGED, "ledger.db");
	assert_true(fixture_verify(10, false) > 0);
}

static void test_garbage_database(void **state)
{
	(void)state;
	fixture_fill(10);
	fixture_shell("head -c 40000 /dev/urandom > %s/ledger.db", LEDGER);
	assert_refused(HPS_E_DAMAGED, "ledger.db");
	assert_true(fixture_verify(10, false) > 0);
}

static void test_missing_checkpoint(void **state)
{
	struct hps_verification v;

	(void)state;
	fixture_fill(3);
	fixture_shell("rm %s/tiles/checkpoint", LEDGER);
	assert_refused(HPS_E_DAMAGED, "tiles/checkpoint");
	assert_fails(HPS_E_DAMAGED, hps_ledger_verify(LEDGER, NULL, &v, err));
}

static void test_missing_trust_file(void **state)
{
	struct hps_verification v;

	(void)state;
	fixture_fill(3);
	fixture_shell("rm %s/trust.json", LEDGER);
	assert_refused(HPS_E_DAMAGED, "trust.json");
	assert_fails(HPS_E_DAMAGED, hps_ledger_verify(LEDGER, NULL, &v, err));
}

static void test_newer_version(void **state)
{
	(void)state;
	fixture_fill(3);
	fixture_flip(LEDGER "/ledger.db", 63, 1); /* user_version, big-endian at 60: 1 becomes 3 */
	assert_refused(HPS_E_FORMAT, "newer hps");
}

/* A database restored from a backup is behind what was published. */
static void test_restored_database(void **state)
{
	(void)state;
	fixture_fill(5);
	fixture_shell("cp %s/ledger.db old.db", LEDGER);
	fixture_fill(5);
	fixture_shell("cp old.db %s/ledger.db", LEDGER);
	assert_refused(HPS_E_DAMAGED, "older copy");
	assert_true(fixture_verify(10, false) > 0);
}

static int append_code(void)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, "again", 1);

	return hps_ledger_append(l, statement, NULL, NULL, NULL);
}

/* The whole folder restored from a backup looks whole; what its key has signed since is remembered outside it. */
static void test_restored_backup(void **state)
{
	(void)state;
	fixture_fill(5);
	fixture_shell("cp -a %s old", LEDGER);
	fixture_fill(5);
	fixture_shell("mv %s newer && cp -a old %s", LEDGER, LEDGER);
	fixture_verify(5, true); /* nothing is wrong with it but that it is old */
	assert_int_equal(append_code(), HPS_E_DAMAGED);
	fixture_verify(5, true);
	/* The negative control: without the memory nobody would know. Then the other copy is the one that is refused. */
	fixture_shell("mv hps forgotten");
	assert_int_equal(append_code(), 0);
	fixture_shell("rm -r hps && mv forgotten hps");
	assert_int_equal(append_code(), HPS_E_DAMAGED);
	fixture_shell("rm -r %s && mv newer %s", LEDGER, LEDGER);
	assert_int_equal(append_code(), 0);
	fixture_verify(11, true);
}

/* Same size, another history. */
static void test_rewritten_history(void **state)
{
	(void)state;
	fixture_fill(5);
	fixture_shell("cp -a %s old", LEDGER);
	fixture_fill(1);
	fixture_shell("rm -r %s && cp -a old %s && mv hps forgotten", LEDGER, LEDGER);
	fixture_fill(3);
	fixture_shell("rm -r hps && mv forgotten hps");
	assert_int_equal(append_code(), HPS_E_DAMAGED);
}

/* A handle that has seen a checkpoint refuses one that is older. */
static void test_checkpoint_goes_back(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	char root[65];

	(void)state;
	fixture_fill(5);
	fixture_shell("cp %s/tiles/checkpoint old", LEDGER);
	fixture_fill(5);
	l = fixture_open(HPS_LEDGER_READ);
	fixture_shell("cp old %s/tiles/checkpoint", LEDGER);
	assert_fails(HPS_E_DAMAGED, hps_ledger_root(l, root, err));
}

static void test_foreign_owner(void **state)
{
	struct hps_verification v;
	struct hps_verify_options trusting = { .trust = "trust.json" };

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can give a file away */
	fixture_fill(3);
	fixture_shell("cp %s/trust.json . && chown -R 65534:65534 %s", LEDGER, LEDGER);
	assert_refused(HPS_E_DENIED, "user 65534 owns it");
	assert_fails(HPS_E_DENIED, hps_ledger_verify(LEDGER, NULL, &v, err));
	/* With one's own trust file anybody's copy can be verified. */
	assert_ok(hps_ledger_verify(LEDGER, &trusting, &v, err));
	assert_int_equal(v.n_problems, 0);
	assert_int_equal(v.n_checked, 3);
	assert_false(v.database_checked);
	hps_verification_release(&v);
}

static void test_writable_by_others(void **state)
{
	(void)state;
	assert_int_equal(chmod(LEDGER, 0777), 0);
	assert_refused(HPS_E_DENIED, "others may write");
}

static void test_wrong_keys(void **state)
{
	struct hps_ledger_init init = { .origin = "example.org/test" };
	struct hps_ledger *l;

	(void)state;
	fixture_fill(1);
	assert_ok(hps_ledger_create("other", &init, err));
	fixture_shell("cp other/keys/statement.pem %s/keys/", LEDGER);
	assert_fails(HPS_E_DENIED, hps_ledger_open(LEDGER, HPS_LEDGER_APPEND, NULL, &l, err));
	fixture_shell("cp other/keys/log.pem %s/keys/", LEDGER);
	assert_fails(HPS_E_DENIED, hps_ledger_open(LEDGER, HPS_LEDGER_APPEND, NULL, &l, err));
	fixture_shell("cp other/trust.json %s/", LEDGER); /* now the checkpoint is by a stranger */
	assert_refused(HPS_E_SIGNATURE, "tiles/checkpoint");
	assert_true(fixture_verify(1, false) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_ledger, fixture_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_truncated_database),
		TEST(test_garbage_database),
		TEST(test_missing_checkpoint),
		TEST(test_missing_trust_file),
		TEST(test_newer_version),
		TEST(test_restored_database),
		TEST(test_restored_backup),
		TEST(test_rewritten_history),
		TEST(test_checkpoint_goes_back),
		TEST(test_foreign_owner),
		TEST(test_writable_by_others),
		TEST(test_wrong_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
