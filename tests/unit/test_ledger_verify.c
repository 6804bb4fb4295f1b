/* Verification by several threads: whatever is damaged, and wherever, the report is the one that a single thread gives, word for word.
 * And what only a ledger made by hand can hold. */
#include "tests/unit/ledger_fixture.h"

#define N_ENTRIES 900 /* three full tiles and a part of one */
#define AT_ONCE 100

static int enter(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;

	fixture_ledger(state);
	l = fixture_open(HPS_LEDGER_APPEND);
	for (int64_t i = 0; i < N_ENTRIES; i += AT_ONCE) {
		json_t *statements[AT_ONCE];

		for (int64_t k = 0; k < AT_ONCE; k++)
			statements[k] = fixture_statement((i + k) % 3 ? HPS_PREDICATE_TRIAL : HPS_PREDICATE_SEARCH, "many", i + k);
		assert_ok(hps_ledger_append_all(l, (const json_t *const *)statements, AT_ONCE, NULL, NULL, err));
		for (int64_t k = 0; k < AT_ONCE; k++)
			json_decref(statements[k]);
	}
	return 0;
}

/* The whole report as one text. */
static char *report(const char *dir, unsigned threads)
{
	const struct hps_verify_options options = { .threads = threads };
	_cleanup_(hps_verification_release) struct hps_verification v = { 0 };
	struct hps_buf text = HPS_BUF_INIT;

	assert_ok(hps_ledger_verify(dir, &options, &v, err));
	hps_buf_addf(&text, "%llu of %llu, %zu withdrawn\n", (unsigned long long)v.n_checked, (unsigned long long)v.size, v.n_withdrawn);
	for (size_t i = 0; i < v.n_problems; i++)
		hps_buf_addf(&text, "@%lld %s %s: %s\n", (long long)v.problems[i].index, v.problems[i].id ? v.problems[i].id : "-",
			     v.problems[i].file ? v.problems[i].file : "-", v.problems[i].what);
	return hps_buf_take(&text);
}

static void flip_envelope(struct hps_ledger *l, const char *at)
{
	_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
	_cleanup_free_ char *path = NULL;

	assert_ok(hps_ledger_find(l, at, &e, err));
	path = hps_format(LEDGER "/tiles/envelope/%s.json", e.id);
	fixture_flip(path, 40, 2);
}

static void test_threads_agree(void **state)
{
	static const struct {
		const char *damage;
		const char *says; /* what the report must have */
	} cases[] = {
		{ "true", "896 of 900, 0 withdrawn\n@3 " }, /* four envelopes, below */
		{ "rm tiles/envelope/0*.json", "is missing: withheld or lost" },
		{ "printf x | dd of=tiles/tile/entries/001 bs=1 seek=5000 conv=notrunc status=none", "tiles/tile/entries/001: the leaf of this entry is damaged" },
		{ "printf xy | dd of=tiles/tile/0/000 bs=1 seek=1600 conv=notrunc status=none", "@50 " },
		{ "printf x | dd of=tiles/tile/1/000.p/3 bs=1 seek=40 conv=notrunc status=none", "tiles/tile/1/000.p/3: hash 1 of the tile is damaged" },
		{ "rm tiles/tile/entries/002", "the entries from here on cannot be read" },
		{ "rm tiles/tile/entries/001 tiles/tile/0/001", "@256 - tiles/tile/entries/001: the entries from here on" },
		{ "truncate -s 10000 tiles/tile/entries/002; rm tiles/tile/0/000", "the bundle is cut short" },
		{ "rm ledger.db", "896 of 900" },
	};
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_free_ char *whole[2] = { report(LEDGER, 1), report(LEDGER, 3) };

	(void)state;
	assert_string_equal(whole[0], "900 of 900, 0 withdrawn\n");
	assert_string_equal(whole[1], whole[0]);
	free(whole[1]);
	l = fixture_open(HPS_LEDGER_READ);
	flip_envelope(l, "@3");
	flip_envelope(l, "@300");
	flip_envelope(l, "@301");
	flip_envelope(l, "@899");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *one = NULL;

		fixture_shell("rm -rf damaged && cp -a %s damaged && cd damaged && %s", LEDGER, cases[i].damage);
		one = report("damaged", 1);
		if (!strstr(one, cases[i].says))
			fail_msg("%s: no '%s' in\n%.2000s", cases[i].damage, cases[i].says, one);
		for (unsigned threads = 2; threads <= 9; threads += 7) {
			_cleanup_free_ char *several = report("damaged", threads);

			assert_string_equal(several, one);
		}
	}
}

/* ---- a statement that is there twice: append() refuses to, so a published copy is made by hand ---- */

static void write_tiles(const struct hps_key *statement_key, unsigned n, struct hps_merkle *tree)
{
	_cleanup_buf_ struct hps_buf bundle = HPS_BUF_INIT, hashes = HPS_BUF_INIT, payload = HPS_BUF_INIT;
	_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, "twice", 1);
	char path[HPS_TILE_PATH];

	assert_ok(hps_json_canonical(statement, &payload, err));
	for (unsigned i = 0; i < n; i++) {
		_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
		_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT, text = HPS_BUF_INIT;
		struct hps_digest id, hash;

		assert_ok(hps_envelope_sign(HPS_PAYLOAD_TYPE, payload.data, payload.len, statement_key, &e, err));
		hps_envelope_id(&e, &id);
		hps_leaf_write(&id, &e.signature, statement_key, &leaf);
		hps_merkle_leaf(leaf.data, leaf.len, &hash);
		hps_merkle_add(tree, &hash, NULL);
		hps_buf_add(&hashes, hash.b, sizeof hash.b);
		hps_bundle_add(&bundle, leaf.data, leaf.len);
		hps_envelope_write(&e, &text);
		hps_envelope_path(&id, path);
		assert_int_equal(chdir("twice/tiles"), 0);
		assert_ok(hps_file_write(AT_FDCWD, path, 0644, text.data, text.len, err)); /* the last signature of them */
		assert_int_equal(chdir("../.."), 0);
	}
	snprintf(path, sizeof path, "twice/tiles/tile/0/000.p/%u", n);
	assert_ok(hps_file_write(AT_FDCWD, path, 0644, hashes.data, hashes.len, err));
	snprintf(path, sizeof path, "twice/tiles/tile/entries/000.p/%u", n);
	assert_ok(hps_file_write(AT_FDCWD, path, 0644, bundle.data, bundle.len, err));
}

static void test_statement_twice(void **state)
{
	_cleanup_key_ struct hps_key *log = NULL, *statement = NULL;
	struct hps_checkpoint c = { .origin = (char[]){ "example.org/test" } };
	_cleanup_free_ char *found = NULL;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_merkle tree = { 0 };

	(void)state;
	fixture_shell("mkdir -p twice/tiles/envelope twice/tiles/tile/0/000.p twice/tiles/tile/entries/000.p && cp %s/trust.json twice", LEDGER);
	assert_ok(hps_key_load(AT_FDCWD, LEDGER "/keys/log.pem", NULL, &log, err));
	assert_ok(hps_key_load(AT_FDCWD, LEDGER "/keys/statement.pem", NULL, &statement, err));
	write_tiles(statement, 3, &tree);
	c.size = tree.size;
	hps_merkle_root(&tree, &c.root);
	assert_ok(hps_checkpoint_sign(&c, log, &note, err));
	assert_ok(hps_file_write(AT_FDCWD, "twice/tiles/checkpoint", 0644, note.data, note.len, err));
	found = report("twice", 0);
	assert_non_null(strstr(found, "1 of 3, 0 withdrawn\n"));
	assert_non_null(strstr(found, "this entry has the same statement as entry 0\n@2 "));
	assert_null(strstr(found, "same statement as entry 1"));
}

/* Who copied the log's key alone can hand it over, but not announce it. (With an announcement it holds: tests/e2e/15-ledger-logkey.t.) */
static void test_unannounced_handover(void **state)
{
	struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	struct hps_checkpoint c = { .origin = (char[]){ "example.org/test" }, .size = 3 };
	_cleanup_key_ struct hps_key *log = NULL, *next = NULL;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	_cleanup_free_ char *found = NULL;

	(void)state;
	for (int i = 0; i < 3; i++)
		fixture_append(l, HPS_PREDICATE_TRIAL, "s", i, NULL);
	assert_int_equal(hps_ledger_size(l), 3);
	c.root = l->root;
	hps_ledger_close(l);
	fixture_verify(3, true);
	assert_ok(hps_key_load(AT_FDCWD, LEDGER "/keys/log.pem", NULL, &log, err));
	assert_ok(hps_key_generate(HPS_KEY_ED25519, &next, err));
	assert_ok(hps_handover_sign(&c, log, next, &note, err));
	assert_ok(hps_dir_make(AT_FDCWD, LEDGER "/tiles/log-keys", 0755, err));
	assert_ok(hps_file_write(AT_FDCWD, LEDGER "/tiles/log-keys/0", 0644, note.data, note.len, err));
	found = report(LEDGER, 0);
	assert_non_null(strstr(found, "at 3 entries, and no entry before that announces it"));
}

/* ---- what is read is what was verified ---- */

static void append_to(const char *dir, size_t n)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;

	assert_ok(hps_ledger_open(dir, HPS_LEDGER_APPEND, NULL, &l, err));
	fixture_append_many(l, n);
}

/* A copy of five entries, a fork of five that the same key has signed, and the ledger with seven. */
static void make_copies(const char *state)
{
	_cleanup_free_ char *elsewhere = hps_format("%s/elsewhere", state);

	append_to(LEDGER, 3);
	fixture_shell("cp -a %s older && cp -a older fork && cp %s/trust.json mine.json && mkdir elsewhere", LEDGER, LEDGER);
	append_to(LEDGER, 2);
	fixture_shell("mkdir published && cp -a %s/tiles mine.json published && mv published/mine.json published/trust.json", LEDGER);
	append_to(LEDGER, 2);
	setenv("XDG_STATE_HOME", elsewhere, 1); /* where nobody remembers what the key has signed */
	append_to("fork", 2);
	assert_ok(hps_ledger_create("other", &(const struct hps_ledger_init){ .origin = "example.org/test" }, err));
	append_to("other", 5);
	setenv("XDG_STATE_HOME", state, 1);
}

static void test_swapped_after_verification(void **state)
{
	static const struct {
		const char *change;
		int want;
	} cases[] = {
		{ "true", 0 },
		{ "rm trust.json", 0 }, /* the auditor has one */
		{ "rm -r tiles && cp -a ../" LEDGER "/tiles .", 0 }, /* it has grown: read as it was */
		{ "rm -r tiles && cp -a ../older/tiles .", HPS_E_DAMAGED },
		{ "rm -r tiles && cp -a ../fork/tiles .", HPS_E_DAMAGED },
		{ "rm -r tiles/tile && cp -a ../fork/tiles/tile ../fork/tiles/envelope tiles", HPS_E_DAMAGED },
		{ "rm -r tiles trust.json && cp -a ../other/tiles ../other/trust.json .", HPS_E_SIGNATURE },
		{ "cd tiles/envelope && rm $(ls | head -n 1)", HPS_E_UNDECIDED },
		{ "cd tiles/envelope && cp $(ls | head -n 2)", HPS_E_UNDECIDED },
	};

	make_copies(*state);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(hps_verification_release) struct hps_verification v = { 0 };
		_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
		_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
		int r;

		fixture_shell("rm -rf copy && cp -a published copy");
		assert_ok(hps_ledger_verify("copy", &(const struct hps_verify_options){ .trust = "mine.json" }, &v, err));
		assert_int_equal(v.n_problems, 0);
		fixture_shell("cd copy && %s", cases[i].change);
		r = hps_ledger_open_verified("copy", "mine.json", &v, &l, &e);
		if (r != cases[i].want)
			fail_msg("%s: %d, %s", cases[i].change, r, e.message ? e.message : "no error");
		if (!r)
			assert_int_equal(fixture_count(l, NULL, "many", -1), 5);
	}
}

/* A path that leads to another ledger of one's own; and one's own that has grown. */
static void test_own_after_verification(void **state)
{
	_cleanup_(hps_verification_release) struct hps_verification v = { 0 };
	struct hps_ledger *l = NULL;

	make_copies(*state);
	assert_ok(hps_ledger_verify("older", NULL, &v, err));
	assert_ok(hps_ledger_open_verified(LEDGER, NULL, &v, &l, err));
	assert_int_equal(fixture_count(l, NULL, "many", -1), 7);
	hps_ledger_close(l);
	assert_int_equal(hps_ledger_open_verified("other", NULL, &v, &l, NULL), HPS_E_DAMAGED);
	hps_verification_release(&v);
	assert_ok(hps_ledger_verify("fork", NULL, &v, err));
	assert_int_equal(hps_ledger_open_verified(LEDGER, NULL, &v, &l, NULL), HPS_E_DAMAGED);
	assert_int_equal(hps_ledger_open_verified("older", NULL, &v, &l, NULL), HPS_E_DAMAGED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, fixture_leave)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_threads_agree), cmocka_unit_test_setup_teardown(test_statement_twice, fixture_ledger, fixture_leave),
					    cmocka_unit_test_setup_teardown(test_unannounced_handover, fixture_ledger, fixture_leave),
					    cmocka_unit_test_setup_teardown(test_swapped_after_verification, fixture_ledger, fixture_leave),
					    cmocka_unit_test_setup_teardown(test_own_after_verification, fixture_ledger, fixture_leave) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
