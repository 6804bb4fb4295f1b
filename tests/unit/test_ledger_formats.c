/* Bytes that have one spelling: names of tiles, leaves and envelopes, keys, notes. Vectors of others: test_ledger_vectors.c. */
#include "tests/unit/ledger_fixture.h"

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_ledger, fixture_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tile_paths),
		TEST(test_one_spelling),
		cmocka_unit_test(test_public_key_has_one_encoding),
		cmocka_unit_test(test_bad_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
