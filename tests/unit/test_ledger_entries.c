/* A ledger's life: made, appended to, read, continued by others, damaged, copied. */
#include "tests/unit/ledger_fixture.h"

#include <sys/file.h>

static mode_t mode_of(const char *path)
{
	struct stat s;

	assert_int_equal(stat(path, &s), 0);
	return s.st_mode & 07777;
}

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
		assert_int_equal(mode_of(files[i].path), files[i].mode);
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

/* ---- appending and finding ---- */

static int count(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	(void)e;
	(void)err;
	++*(unsigned *)arg;
	return 0;
}

static unsigned count_of(struct hps_ledger *l, const char *kind, const char *study, int64_t number)
{
	struct hps_filter f = HPS_FILTER_ANY;
	unsigned n = 0;

	f.kind = kind;
	f.study = study;
	f.number = number;
	assert_ok(hps_ledger_each(l, &f, count, &n, err));
	return n;
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
	assert_int_equal(count_of(l, NULL, NULL, -1), 4);
	assert_int_equal(count_of(l, NULL, "digits", -1), 3);
	assert_int_equal(count_of(l, "begin", "digits", 3), 1);
	assert_int_equal(count_of(l, "begin", "digits", 4), 0);
	assert_int_equal(count_of(l, "verdict", NULL, -1), 1);
	assert_int_equal(count_of(l, "https://example.org/other/v1", NULL, -1), 1);
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

/* ---- tiles ---- */

static void append_many(struct hps_ledger *l, size_t n)
{
	json_t *statements[200];
	const json_t *all[200];

	for (size_t i = 0; i < n; i++)
		all[i] = statements[i] = fixture_statement(HPS_PREDICATE_TRIAL, "many", (int64_t)i);
	assert_ok(hps_ledger_append_all(l, all, n, NULL, NULL, err));
	for (size_t i = 0; i < n; i++)
		json_decref(statements[i]);
}

/* Over the tile boundary: partial tiles stay until the full one is published, then they go. */
static void test_tiles_grow(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);

	(void)state;
	append_many(l, 200);
	assert_int_equal(hps_ledger_size(l), 200);
	append_many(l, 54);
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
	assert_int_equal(mode_of(LEDGER "/tiles/tile/1"), 0755);
	assert_int_equal(mode_of(LEDGER "/tiles/tile/0/000"), 0644);
	fixture_verify(256, true);
	append_many(l, 200);
	append_many(l, 100);
	assert_int_equal(hps_ledger_size(l), 556);
	assert_true(fixture_exists(LEDGER "/tiles/tile/0/001"));
	assert_true(fixture_exists(LEDGER "/tiles/tile/0/002.p/44"));
	assert_true(fixture_exists(LEDGER "/tiles/tile/1/000.p/2"));
	assert_false(fixture_exists(LEDGER "/tiles/tile/0/001.p"));
	fixture_verify(556, true);
}

/* The queue is a file, and may say of a process that died before the machine was started that it asked at a time that is still to come. */
static void test_who_asked_in_another_life_is_nobody(void **state)
{
	struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	const int64_t later = hps_time_monotonic_ns() + (int64_t)3600 * 1000000000;
	_cleanup_fd_ int fd = -1;

	(void)state;
	append_many(l, 10);
	fd = open(LEDGER "/queue/slots", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (off_t slot = 1; slot < 100; slot++)
		assert_int_equal(pwrite(fd, &later, sizeof later, slot * 512 + 504), sizeof later);
	append_many(l, 200); /* more than are left unmoved when nobody else is there */
	append_many(l, 1);
	assert_true(l->size >= 200);
	append_many(l, 20);
	hps_ledger_close(l);
	assert_int_equal(fixture_size(LEDGER "/journal"), 0);
	fixture_verify(231, true);
}

/* Somebody reads the database for long: what is appended meanwhile is acknowledged, and moved into place afterwards. */
static int append_meanwhile(void *arg, unsigned level, uint64_t n, const struct hps_digest *hash)
{
	struct hps_ledger *l = arg;

	(void)level;
	(void)n;
	(void)hash;
	for (int i = 0; i < 5; i++)
		append_many(l, 200);
	return 1;
}

/* The negative control: that reader does stand in the way, and who waits for it waits as long as it is told to, in vain. */
static int settle_with_patience(void *arg, unsigned level, uint64_t n, const struct hps_digest *hash)
{
	struct hps_ledger *l = arg;
	int64_t start;

	(void)level;
	(void)n;
	(void)hash;
	assert_ok(hps_ledger_lock(l, err));
	hps_store_patience(l->store, 700);
	start = hps_time_monotonic_ns();
	assert_fails(-EBUSY, hps_ledger_settle_some(l, err));
	assert_true(hps_time_monotonic_ns() - start >= (int64_t)650 * 1000000);
	hps_store_patience(l->store, HPS_STORE_PATIENCE_MS);
	hps_ledger_unlock(l);
	return 1;
}

static void test_appending_beside_a_long_reader(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	struct hps_store *reader = NULL;
	int64_t start;

	(void)state;
	append_many(l, 10);
	assert_int_equal(hps_ledger_size(l), 10);
	assert_ok(hps_store_open(LEDGER "/ledger.db", HPS_STORE_READ, &reader, err));
	start = hps_time_monotonic_ns();
	assert_int_equal(hps_store_each_node(reader, append_meanwhile, l, NULL), 1);
	assert_true(hps_time_monotonic_ns() - start < (int64_t)20 * 1000000000); /* without patience's end: a minute for the first */
	assert_int_equal(hps_store_each_node(reader, settle_with_patience, l, NULL), 1);
	hps_store_close(reader);
	assert_int_equal(hps_ledger_size(l), 1010);
	fixture_verify(1010, true);
}

/* A reader that does not look for the full tile finds what an attested checkpoint needs; nothing else stays. */
static void test_attested_partial_tiles_stay(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);

	(void)state;
	append_many(l, 5);
	assert_int_equal(hps_ledger_size(l), 5);
	fixture_shell("cd %s/tiles && mkdir attested && cp checkpoint attested/5.checkpoint", LEDGER);
	append_many(l, 100);
	assert_int_equal(hps_ledger_size(l), 105);
	append_many(l, 195);
	assert_int_equal(hps_ledger_size(l), 300);
	assert_true(fixture_exists(LEDGER "/tiles/tile/0/000"));
	fixture_shell("test \"$(cd %s/tiles/tile && echo */000.p/*)\" = '0/000.p/5 1/000.p/1 entries/000.p/5'", LEDGER);
	fixture_verify(300, true);
	fixture_flip(LEDGER "/tiles/tile/0/000.p/5", 100, 1); /* and is looked at */
	assert_int_equal(fixture_verify(300, false), 1);
}

static void test_tile_paths(void **state)
{
	static const struct {
		struct hps_tile tile;
		const char *path;
	} good[] = {
		{ { .level = 0, .n = 0, .width = 256 }, "tile/0/000" },
		{ { .level = 1, .n = 1234067, .width = 17 }, "tile/1/x001/x234/067.p/17" },
		{ { .entries = true, .n = 1000, .width = 1 }, "tile/entries/x001/000.p/1" },
	};
	static const char *const bad[] = { "tile/0/0",	     "tile/00/000",   "tile/8/000",	"tile/0/000.p/0",     "tile/0/000.p/256", "tile/0/000.p/01",
					   "tile/0/x000/000", "tile/0/000/000", "tile/entries/", "tile/0/000.p/1/", "tile/0/000.p",     "tiles/0/000" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		char path[HPS_TILE_PATH];
		struct hps_tile t;

		hps_tile_path(&good[i].tile, path);
		assert_string_equal(path, good[i].path);
		assert_int_equal(hps_tile_parse(path, &t), 0);
		assert_memory_equal(&t, &good[i].tile, sizeof t);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(hps_tile_parse(bad[i], &(struct hps_tile){ 0 }), -EINVAL);
	/* The specification's example: 70,000 leaves. */
	assert_int_equal(hps_tile_width(0, 272, 70000), 256);
	assert_int_equal(hps_tile_width(0, 273, 70000), 112);
	assert_int_equal(hps_tile_width(1, 0, 70000), 256);
	assert_int_equal(hps_tile_width(1, 1, 70000), 17);
	assert_int_equal(hps_tile_width(2, 0, 70000), 1);
	assert_int_equal(hps_tile_width(3, 0, 70000), 0);
	assert_int_equal(hps_tile_width(0, 1, 256), 0);
}

/* Any byte of a leaf or of a stored envelope can have one value only. */
static void test_one_spelling(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT, envelope = HPS_BUF_INIT;
	struct hps_digest id;

	(void)state;
	fixture_append(l, HPS_PREDICATE_TRIAL, "s", 1, NULL);
	assert_int_equal(hps_ledger_size(l), 1);
	assert_ok(hps_store_leaf(l->store, 0, &id, &leaf, err));
	assert_ok(hps_store_envelope(l->store, 0, &envelope, err));
	/* 489 bytes with the usual signature of 70 to 72 bytes; a shorter one saves four. */
	assert_true(leaf.len == 489 || leaf.len == 485);
	for (size_t i = 0; i < leaf.len; i++) {
		_cleanup_(hps_leaf_release) struct hps_leaf read = HPS_LEAF_INIT;
		_cleanup_buf_ struct hps_buf again = HPS_BUF_INIT;

		leaf.data[i] ^= 0x20;
		if (!hps_leaf_read(leaf.data, leaf.len, &read, NULL)) { /* then it is the leaf of something else */
			_cleanup_key_ struct hps_key *key = NULL;

			if (!hps_key_from_spki(read.spki.data, read.spki.len, &key, NULL)) {
				hps_leaf_write(&read.id, &read.signature, key, &again);
				assert_int_equal(again.len, leaf.len);
				assert_memory_equal(again.data, leaf.data, leaf.len);
			}
		}
		leaf.data[i] ^= 0x20;
	}
	for (size_t i = 0; i < envelope.len; i++) {
		_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
		struct hps_digest found;

		envelope.data[i] ^= 0x20;
		if (!hps_envelope_read_stored(envelope.data, envelope.len, &e, NULL)) {
			hps_envelope_id(&e, &found);
			assert_true(!hps_digest_equal(&found, &id) || hps_envelope_verify(&e, l->statement_key, NULL) || strcmp(e.keyid, l->keyid) != 0);
		}
		envelope.data[i] ^= 0x20;
	}
}

/* OpenSSL reads several encodings of one point; an id stands for one of them only. */
static void test_public_key_has_one_encoding(void **state)
{
	_cleanup_key_ struct hps_key *key = NULL;
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT;
	char id[HPS_DIGEST_HEX], other[HPS_DIGEST_HEX];

	(void)state;
	assert_ok(hps_key_generate(HPS_KEY_P256, &key, err));
	hps_key_id(key, id);
	hps_key_spki(key, &spki);
	for (size_t i = 0; i < spki.len * 8; i++) {
		_cleanup_key_ struct hps_key *flipped = NULL;

		spki.data[i / 8] = (char)(spki.data[i / 8] ^ 1 << i % 8);
		if (!hps_key_from_spki(spki.data, spki.len, &flipped, NULL)) {
			hps_key_id(flipped, other);
			assert_string_not_equal(id, other);
		}
		spki.data[i / 8] = (char)(spki.data[i / 8] ^ 1 << i % 8);
	}
}

static void test_bad_notes(void **state)
{
	_cleanup_key_ struct hps_key *key = NULL;
	_cleanup_free_ char *vkey = NULL;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT, twice = HPS_BUF_INIT;
	struct hps_vkey log = { 0 };
	static const char *const names[] = { "", "a b", "a+b", "a\tb", "a\xc2\xa0" "b", "a\xff" };
	static const char *const texts[] = { "origin\n01\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
					     "origin\n-1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "origin\n1\n47DEQpj8\n", "origin\n1\n",
					     "origin\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nextra\n",
					     "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
					     "origin\n9223372036854775807\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n" };
	size_t text_len;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_false(hps_note_name_ok(names[i]));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_fails(HPS_E_FORMAT, hps_checkpoint_parse(texts[i], strlen(texts[i]), &(struct hps_checkpoint){ 0 }, err));
	assert_ok(hps_key_generate(HPS_KEY_ED25519, &key, err));
	vkey = hps_vkey_format("example.org/a", key);
	assert_ok(hps_vkey_parse(vkey, &log, err));
	assert_ok(hps_note_sign("text\n", "example.org/a", key, &note, err));
	assert_ok(hps_note_open(note.data, note.len, &log, 1, &text_len, err));
	assert_int_equal(text_len, 5);
	for (size_t cut = 0; cut < note.len; cut++) /* every truncation */
		assert_true(hps_note_open(note.data, cut, &log, 1, &text_len, NULL) < 0);
	for (size_t i = 0; i < note.len; i++) { /* every byte */
		note.data[i] ^= 1;
		assert_true(hps_note_open(note.data, note.len, &log, 1, &text_len, NULL) < 0);
		note.data[i] ^= 1;
	}
	for (size_t i = 0; i < strlen(vkey); i++) {
		struct hps_vkey v = { 0 };

		vkey[i] ^= 1;
		assert_true(hps_vkey_parse(vkey, &v, NULL) < 0);
		vkey[i] ^= 1;
	}
	/* A good signature does not make up for a wrong one of a key that is known. */
	hps_buf_adds(&twice, note.data);
	hps_buf_adds(&twice, strstr(note.data, "\n\n") + 2);
	twice.data[twice.len - 10] = twice.data[twice.len - 10] == 'A' ? 'B' : 'A';
	assert_fails(HPS_E_SIGNATURE, hps_note_open(twice.data, twice.len, &log, 1, &text_len, err));
	hps_vkey_release(&log);
}

/* ---- several writers ---- */

static void test_two_handles(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *a = fixture_open(HPS_LEDGER_APPEND), *b = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *reader = fixture_open(HPS_LEDGER_READ);

	(void)state;
	for (uint64_t i = 0; i < 20; i++) {
		assert_int_equal(fixture_append(i % 3 ? a : b, HPS_PREDICATE_TRIAL, "s", (int64_t)i, NULL), i);
		assert_int_equal(hps_ledger_size(reader), i + 1);
		assert_int_equal(count_of(reader, NULL, "s", -1), i + 1);
	}
	fixture_verify(20, true);
}

static int append_in_visit(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	(void)err;
	fixture_append(arg, HPS_PREDICATE_SEARCH, "during", (int64_t)e->index, NULL);
	return 0;
}

/* A visitor may append; what it appends is not visited. */
static void test_append_while_visiting(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);

	(void)state;
	for (int i = 0; i < 5; i++)
		fixture_append(l, HPS_PREDICATE_TRIAL, "s", i, NULL);
	assert_ok(hps_ledger_each(l, NULL, append_in_visit, l, err));
	fixture_verify(10, true);
}

/* The lock goes with the process that held it. */
static void test_lock_of_a_dead_process(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	int ready[2], status;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(LEDGER "/lock", O_RDWR);

		if (flock(fd, LOCK_EX) || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(fixture_append(l, HPS_PREDICATE_TRIAL, "s", 1, NULL), 0);
	close(ready[0]);
	close(ready[1]);
}

static void test_not_over_fork(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, "s", 1);
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(hps_ledger_append(l, statement, NULL, NULL, NULL) == HPS_E_USAGE ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fixture_verify(0, true);
}

/* After a flush that failed nothing is acknowledged any more; a new handle goes on. */
static void test_poisoned(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND), *fresh = NULL;
	_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, "s", 1);

	(void)state;
	l->poisoned = true;
	assert_fails(-EIO, hps_ledger_append(l, statement, NULL, NULL, err));
	fresh = fixture_open(HPS_LEDGER_APPEND);
	assert_ok(hps_ledger_append(fresh, statement, NULL, NULL, err));
	fixture_verify(1, true);
}

/* A writer killed between its commit and its checkpoint: made by hand, by taking the published files back. */
static void test_unpublished_entries_are_finished(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND), *next = NULL;

	(void)state;
	append_many(l, 100);
	assert_int_equal(hps_ledger_size(l), 100);
	fixture_shell("cp -a %s/tiles before", LEDGER);
	append_many(l, 180);
	assert_int_equal(hps_ledger_size(l), 280);
	fixture_shell("rm -r %s/tiles && mv before %s/tiles && echo leftover > %s/staging/3", LEDGER, LEDGER, LEDGER);
	fixture_verify(100, true);
	next = fixture_open(HPS_LEDGER_APPEND);
	assert_int_equal(hps_ledger_size(next), 100);
	assert_int_equal(fixture_append(next, HPS_PREDICATE_TRIAL, "s", 1, NULL), 280);
	fixture_verify(281, true);
	fixture_shell("test -z \"$(ls -A %s/staging)\"", LEDGER);
}

/* ---- damage ---- */

static void fill(size_t n)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);

	append_many(l, n);
}

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
	fill(10);
	fixture_shell("truncate -s 8192 %s/ledger.db", LEDGER);
	assert_refused(HPS_E_DAMAGED, "ledger.db");
	assert_true(fixture_verify(10, false) > 0);
}

static void test_garbage_database(void **state)
{
	(void)state;
	fill(10);
	fixture_shell("head -c 40000 /dev/urandom > %s/ledger.db", LEDGER);
	assert_refused(HPS_E_DAMAGED, "ledger.db");
	assert_true(fixture_verify(10, false) > 0);
}

static void test_missing_checkpoint(void **state)
{
	struct hps_verification v;

	(void)state;
	fill(3);
	fixture_shell("rm %s/tiles/checkpoint", LEDGER);
	assert_refused(HPS_E_DAMAGED, "tiles/checkpoint");
	assert_fails(HPS_E_DAMAGED, hps_ledger_verify(LEDGER, NULL, &v, err));
}

static void test_missing_trust_file(void **state)
{
	struct hps_verification v;

	(void)state;
	fill(3);
	fixture_shell("rm %s/trust.json", LEDGER);
	assert_refused(HPS_E_DAMAGED, "trust.json");
	assert_fails(HPS_E_DAMAGED, hps_ledger_verify(LEDGER, NULL, &v, err));
}

static void test_newer_version(void **state)
{
	(void)state;
	fill(3);
	fixture_flip(LEDGER "/ledger.db", 63, 1); /* user_version, big-endian at 60: 1 becomes 3 */
	assert_refused(HPS_E_FORMAT, "newer hps");
}

/* A database restored from a backup is behind what was published. */
static void test_restored_database(void **state)
{
	(void)state;
	fill(5);
	fixture_shell("cp %s/ledger.db old.db", LEDGER);
	fill(5);
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
	fill(5);
	fixture_shell("cp -a %s old", LEDGER);
	fill(5);
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
	fill(5);
	fixture_shell("cp -a %s old", LEDGER);
	fill(1);
	fixture_shell("rm -r %s && cp -a old %s && mv hps forgotten", LEDGER, LEDGER);
	fill(3);
	fixture_shell("rm -r hps && mv forgotten hps");
	assert_int_equal(append_code(), HPS_E_DAMAGED);
}

/* A handle that has seen a checkpoint refuses one that is older. */
static void test_checkpoint_goes_back(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	char root[65];

	(void)state;
	fill(5);
	fixture_shell("cp %s/tiles/checkpoint old", LEDGER);
	fill(5);
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
	fill(3);
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
	fill(1);
	assert_ok(hps_ledger_create("other", &init, err));
	fixture_shell("cp other/keys/statement.pem %s/keys/", LEDGER);
	assert_fails(HPS_E_DENIED, hps_ledger_open(LEDGER, HPS_LEDGER_APPEND, NULL, &l, err));
	fixture_shell("cp other/keys/log.pem %s/keys/", LEDGER);
	assert_fails(HPS_E_DENIED, hps_ledger_open(LEDGER, HPS_LEDGER_APPEND, NULL, &l, err));
	fixture_shell("cp other/trust.json %s/", LEDGER); /* now the checkpoint is by a stranger */
	assert_refused(HPS_E_SIGNATURE, "tiles/checkpoint");
	assert_true(fixture_verify(1, false) > 0);
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
	fill(30);
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
	assert_int_equal(count_of(l, "trial", "many", -1), 30);
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
	fill(4);
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
		TEST(test_tiles_grow), TEST(test_who_asked_in_another_life_is_nobody), TEST(test_appending_beside_a_long_reader), TEST(test_attested_partial_tiles_stay),
		cmocka_unit_test(test_tile_paths),
		TEST(test_one_spelling),
		cmocka_unit_test(test_public_key_has_one_encoding),
		cmocka_unit_test(test_bad_notes),
		TEST(test_two_handles),
		TEST(test_append_while_visiting),
		TEST(test_lock_of_a_dead_process),
		TEST(test_not_over_fork),
		TEST(test_poisoned),
		TEST(test_unpublished_entries_are_finished),
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
		TEST_BARE(test_passphrase),
		TEST(test_published_copy),
		TEST(test_reading_beside_rot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
