/* A ledger made, appended to, read again, copied. */
#include "tests/unit/ledger_fixture.h"

static void test_create(void **state)
{
	static const struct {
		const char *path;
		mode_t mode;
	} files[] = { { LEDGER, 0700 },	       { LEDGER "/keys", 0700 },  { LEDGER "/keys/log.pem", 0600 },     { LEDGER "/keys/statement.pem", 0600 },
		      { LEDGER "/keys/redact.key", 0600 }, { LEDGER "/objects", 0700 }, { LEDGER "/running", 0700 }, { LEDGER "/ledger.db", 0600 },
		      { LEDGER "/tiles", 0755 }, { LEDGER "/tiles/checkpoint", 0644 }, { LEDGER "/trust.json", 0644 } };
	struct hps_ledger_init init = { .origin = "example.org/test" }, bad = { .origin = "has space" };
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	uint8_t key[32], zero[32] = { 0 };
	char root[65];

	(void)state;
	umask(077);
	assert_ok(hps_ledger_create(LEDGER, &init, err));
	umask(022);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_int_equal(fixture_mode(files[i].path), files[i].mode);
	assert_fails(-EEXIST, hps_ledger_create(LEDGER, &init, err));
	assert_fails(HPS_E_USAGE, hps_ledger_create("other", &bad, err));
	assert_false(fixture_exists("other"));
	l = fixture_open(HPS_LEDGER_READ);
	assert_string_equal(hps_ledger_origin(l), "example.org/test");
	assert_int_equal(hps_ledger_size(l), 0);
	assert_ok(hps_ledger_root(l, root, err));
	assert_string_equal(root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_ok(hps_ledger_redact_key(l, key, err));
	assert_memory_not_equal(key, zero, 32);
	fixture_verify(0, true);
}

/* An empty directory is filled; one that holds anything is left as it is. */
static void test_create_in_directory(void **state)
{
	struct hps_ledger_init init = { 0 };
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;

	(void)state;
	assert_int_equal(mkdir("empty dir", 0700), 0);
	assert_ok(hps_ledger_create("empty dir", &init, err));
	assert_ok(hps_ledger_open("empty dir", HPS_LEDGER_READ, NULL, &l, err));
	assert_non_null(strstr(hps_ledger_origin(l), "/empty-dir"));
	assert_int_equal(mkdir("full", 0700), 0);
	fixture_shell("touch full/mine");
	assert_fails(-EEXIST, hps_ledger_create("full", &init, err));
	fixture_shell("test \"$(ls -A full)\" = mine");
}

static void test_not_there(void **state)
{
	struct hps_ledger *l;
	struct hps_error e = HPS_ERROR_INIT;

	(void)state;
	assert_int_equal(hps_ledger_open("nowhere", HPS_LEDGER_READ, NULL, &l, &e), HPS_E_NOTFOUND);
	assert_non_null(strstr(e.message, "hps-ledger init"));
	hps_error_release(&e);
	assert_int_equal(mkdir("plain", 0700), 0);
	assert_fails(HPS_E_NOTFOUND, hps_ledger_open("plain", HPS_LEDGER_APPEND, NULL, &l, err));
	assert_fails(HPS_E_NOTFOUND, hps_ledger_verify("plain", NULL, &(struct hps_verification){ 0 }, err));
}

static void test_append_and_find(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
	_cleanup_json_ json_t *search = fixture_statement(HPS_PREDICATE_SEARCH, "digits", -1);
	char id[65], prefix[7];

	(void)state;
	assert_int_equal(fixture_append(l, HPS_PREDICATE_BEGIN, "digits", 3, id), 0);
	assert_int_equal(fixture_append(l, HPS_PREDICATE_VERDICT, NULL, -1, NULL), 1);
	hps_json_set_text(json_object_get(search, "predicate"), "event", "commit");
	assert_ok(hps_ledger_append(l, search, NULL, NULL, err));
	assert_int_equal(fixture_append(l, "https://example.org/other/v1", "digits", -1, NULL), 3);
	snprintf(prefix, sizeof prefix, "%.6s", id);
	assert_ok(hps_ledger_find(l, prefix, &e, err));
	assert_string_equal(e.id, id);
	assert_string_equal(e.kind, "begin");
	assert_string_equal(e.study, "digits");
	assert_int_equal(e.number, 3);
	hps_entry_release(&e);
	assert_ok(hps_ledger_find(l, "@2", &e, err));
	assert_string_equal(e.kind, "search");
	assert_string_equal(e.event, "commit");
	assert_int_equal(strlen(e.keyid), 64);
	assert_int_equal(fixture_count(l, NULL, NULL, -1), 4);
	assert_int_equal(fixture_count(l, NULL, "digits", -1), 3);
	assert_int_equal(fixture_count(l, "begin", "digits", 3), 1);
	assert_int_equal(fixture_count(l, "begin", "digits", 4), 0);
	assert_int_equal(fixture_count(l, "verdict", NULL, -1), 1);
	assert_int_equal(fixture_count(l, "https://example.org/other/v1", NULL, -1), 1);
	hps_entry_release(&e);
	assert_fails(HPS_E_NOTFOUND, hps_ledger_find(l, "@4", &e, err));
	assert_fails(HPS_E_NOTFOUND, hps_ledger_find(l, "000000000000", &e, err));
	assert_fails(HPS_E_USAGE, hps_ledger_find(l, "abcde", &e, err));
	assert_fails(HPS_E_USAGE, hps_ledger_find(l, "ABCDEF", &e, err));
	assert_fails(HPS_E_USAGE, hps_ledger_find(l, "@-1", &e, err));
	fixture_verify(4, true);
}

static void id_of(const json_t *statement, char hex[HPS_DIGEST_HEX])
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, pae = HPS_BUF_INIT;
	struct hps_digest d;

	assert_ok(hps_json_canonical(statement, &text, err));
	hps_pae(HPS_PAYLOAD_TYPE, text.data, text.len, &pae);
	hps_digest_of(pae.data, pae.len, &d);
	hps_digest_hex(&d, hex);
}

/* Two statements whose ids share the first six digits: found by trying, as a birthday. */
static void test_ambiguous_prefix(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_SEARCH, "twins", -1);
	_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
	struct hps_map seen = HPS_MAP_INIT;
	char hex[HPS_DIGEST_HEX], prefix[7] = "";
	int64_t n = 0, twin = -1;

	(void)state;
	for (; twin < 0; n++) {
		void **slot;

		hps_json_set_int(json_object_get(statement, "predicate"), "number", n);
		id_of(statement, hex);
		snprintf(prefix, sizeof prefix, "%.6s", hex);
		slot = hps_map_slot(&seen, prefix);
		if (*slot)
			twin = (int64_t)(uintptr_t)*slot - 1;
		*slot = (void *)((uintptr_t)n + 1);
	}
	assert_ok(hps_ledger_append(l, statement, NULL, NULL, err));
	hps_json_set_int(json_object_get(statement, "predicate"), "number", twin);
	assert_ok(hps_ledger_append(l, statement, hex, NULL, err));
	assert_fails(HPS_E_AMBIGUOUS, hps_ledger_find(l, prefix, &e, err));
	assert_ok(hps_ledger_find(l, hex, &e, err));
	hps_map_release(&seen);
}

static void test_same_statement_once(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_json_ json_t *a = fixture_statement(HPS_PREDICATE_TRIAL, "s", 1), *b = fixture_statement(HPS_PREDICATE_TRIAL, "s", 2);
	const json_t *both[] = { a, b, a };
	char ids[3][65], id[65];
	uint64_t indexes[3], index;

	(void)state;
	assert_ok(hps_ledger_append(l, a, id, &index, err));
	assert_int_equal(index, 0);
	assert_ok(hps_ledger_append_all(l, both, 3, ids, indexes, err));
	assert_int_equal(indexes[0], 0);
	assert_int_equal(indexes[1], 1);
	assert_int_equal(indexes[2], 0);
	assert_string_equal(ids[0], id);
	assert_ok(hps_ledger_append(l, a, NULL, &index, err));
	assert_int_equal(index, 0);
	fixture_verify(2, true);
}

static void test_bad_statements(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND), *reader = fixture_open(HPS_LEDGER_READ);
	static const char *const bad[] = {
		"{}",
		"{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[],\"predicateType\":\"x\",\"predicate\":{}}",
		"{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"a\"}],\"predicateType\":\"x\",\"predicate\":{}}",
		"{\"_type\":\"https://in-toto.io/Statement/v0.1\",\"subject\":[{\"digest\":{\"a\":\"b\"}}],\"predicateType\":\"x\",\"predicate\":{}}",
		"{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"digest\":{\"a\":\"b\"}}],\"predicate\":{}}",
		"{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"digest\":{\"a\":\"b\"}}],\"predicateType\":\"x\"}",
		"{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"digest\":{\"a\":\"b\"}}],\"predicateType\":\"x\",\"predicate\":{\"n\":9007199254740993}}",
	};
	_cleanup_json_ json_t *good = fixture_statement(HPS_PREDICATE_TRIAL, "s", 1);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_json_ json_t *statement = json_loads(bad[i], 0, NULL);
		const json_t *mixed[] = { good, statement };

		assert_fails(HPS_E_FORMAT, hps_ledger_append(l, statement, NULL, NULL, err));
		assert_fails(HPS_E_FORMAT, hps_ledger_append_all(l, mixed, 2, NULL, NULL, err));
	}
	assert_fails(HPS_E_USAGE, hps_ledger_append(reader, good, NULL, NULL, err));
	assert_int_equal(hps_ledger_size(l), 0);
	fixture_verify(0, true);
	assert_int_equal(fixture_append(l, HPS_PREDICATE_TRIAL, "s", 1, NULL), 0);
}

/* begin entries are numbered without gaps, whatever the caller says and in whatever order handles come. */
static void test_begin_counter(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *a = fixture_open(HPS_LEDGER_APPEND), *b = fixture_open(HPS_LEDGER_APPEND);

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		_cleanup_json_ json_t *begin = fixture_statement(HPS_PREDICATE_BEGIN, NULL, -1);
		_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
		char id[65];

		hps_json_set_int(json_object_get(begin, "predicate"), "counter", 77);
		assert_ok(hps_ledger_append(i % 3 ? a : b, begin, id, NULL, err));
		fixture_append(a, HPS_PREDICATE_SEARCH, "s", -1, NULL);
		assert_ok(hps_ledger_find(b, id, &e, err));
		assert_int_equal(hps_json_int(json_object_get(e.statement, "predicate"), "counter", -1), i);
	}
	fixture_verify(12, true);
}

static void test_passphrase(void **state)
{
	struct hps_ledger_init init = { .origin = "example.org/sealed", .passphrase = "correct horse" };
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	struct hps_ledger *none;

	(void)state;
	assert_ok(hps_ledger_create("sealed", &init, err));
	assert_fails(HPS_E_DENIED, hps_ledger_open("sealed", HPS_LEDGER_APPEND, NULL, &none, err));
	assert_fails(HPS_E_DENIED, hps_ledger_open("sealed", HPS_LEDGER_APPEND, "wrong", &none, err));
	assert_ok(hps_ledger_open("sealed", HPS_LEDGER_APPEND, "correct horse", &l, err));
	assert_int_equal(fixture_append(l, HPS_PREDICATE_TRIAL, "s", 1, NULL), 0);
}

/* tiles/ and the trust file are a ledger that can be read and verified without the rest. */
static void test_published_copy(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
	struct hps_verification v;

	(void)state;
	fixture_fill(30);
	fixture_shell("mkdir copy && cp -a %s/tiles %s/trust.json copy/", LEDGER, LEDGER);
	assert_ok(hps_ledger_verify("copy", NULL, &v, err));
	assert_int_equal(v.n_problems, 0);
	assert_int_equal(v.n_checked, 30);
	assert_false(v.database_checked);
	assert_false(v.objects_checked);
	hps_verification_release(&v);
	assert_fails(HPS_E_DAMAGED, hps_ledger_open("copy", HPS_LEDGER_APPEND, NULL, &l, err));
	assert_ok(hps_ledger_open("copy", HPS_LEDGER_READ, NULL, &l, err));
	assert_null(hps_ledger_objects(l));
	assert_int_equal(fixture_count(l, "trial", "many", -1), 30);
	assert_ok(hps_ledger_find(l, "@29", &e, err));
	assert_int_equal(e.number, 29);
}

/* The published envelope stands in for a copy in the database that has rotted. */
static void test_reading_beside_rot(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_buf_ struct hps_buf db = HPS_BUF_INIT, envelope = HPS_BUF_INIT;
	_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
	const char *at;

	(void)state;
	fixture_fill(4);
	l = fixture_open(HPS_LEDGER_READ);
	assert_ok(hps_store_envelope(l->store, 2, &envelope, err));
	assert_ok(hps_file_read(AT_FDCWD, LEDGER "/ledger.db", 1 << 24, &db, err));
	at = memmem(db.data, db.len, envelope.data, envelope.len);
	assert_non_null(at);
	hps_ledger_close(hps_take(l));
	fixture_flip(LEDGER "/ledger.db", at - db.data + 40, 0);
	l = fixture_open(HPS_LEDGER_READ);
	assert_ok(hps_ledger_find(l, "@2", &e, err));
	assert_int_equal(e.number, 2);
	assert_int_equal(fixture_verify(4, false), 1);
	fixture_shell("rm %s/tiles/envelope/%s.json", LEDGER, e.id);
	hps_entry_release(&e);
	assert_fails(HPS_E_DAMAGED, hps_ledger_find(l, "@2", &e, err));
	assert_ok(hps_ledger_find(l, "@3", &e, err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_ledger, fixture_leave)
#define TEST_BARE(name) cmocka_unit_test_setup_teardown(name, fixture_enter, fixture_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_BARE(test_create),
		TEST_BARE(test_create_in_directory),
		TEST_BARE(test_not_there),
		TEST(test_append_and_find),
		TEST(test_ambiguous_prefix),
		TEST(test_same_statement_once),
		TEST(test_bad_statements),
		TEST(test_begin_counter),
		TEST_BARE(test_passphrase),
		TEST(test_published_copy),
		TEST(test_reading_beside_rot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
