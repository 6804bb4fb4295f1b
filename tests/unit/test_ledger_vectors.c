/* The formats of others, against data that others made: trees, notes, tiles, envelopes, signatures, whole bundles. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/ledger.h"

static json_t *load(const char *name)
{
	_cleanup_free_ char *path = hps_format("tests/vectors/%s", name);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	json_t *j = NULL;

	assert_ok(hps_file_read(AT_FDCWD, path, 1 << 24, &text, err));
	assert_ok(hps_json_parse(text.data, text.len, &j, err));
	return j;
}

static void base64_of(const char *text, struct hps_buf *out)
{
	hps_buf_reset(out);
	assert_int_equal(hps_unbase64(out, text, strlen(text), false), 0);
}

static struct hps_digest digest_of(const char *base64)
{
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;
	struct hps_digest d;

	base64_of(base64, &bytes);
	assert_int_equal(bytes.len, sizeof d.b);
	memcpy(d.b, bytes.data, sizeof d.b);
	return d;
}

static void assert_digest(const struct hps_digest *d, const char *hex)
{
	char got[HPS_DIGEST_HEX];

	hps_digest_hex(d, got);
	assert_string_equal(got, hex);
}

/* ---- trees ---- */

struct nodes {
	struct hps_digest level[10][512];
};

static int node_of(void *arg, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err)
{
	struct nodes *nodes = arg;

	(void)err;
	*ret = nodes->level[level][n];
	return 0;
}

static void grow(struct hps_merkle *tree, struct nodes *nodes, const void *leaf, size_t len)
{
	struct hps_digest hash, made[HPS_MERKLE_LEVELS];
	uint64_t index = tree->size;
	unsigned n;

	hps_merkle_leaf(leaf, len, &hash);
	n = hps_merkle_add(tree, &hash, made);
	for (unsigned level = 0; level < n; level++)
		nodes->level[level][index >> level] = made[level];
}

static void test_rfc6962_tree(void **state)
{
	_cleanup_json_ json_t *j = load("rfc6962-tree8.json");
	const json_t *leaves = json_object_get(j, "leaf_inputs_hex"), *roots = json_object_get(j, "root_by_size_hex"),
		     *levels = json_object_get(j, "node_hash_by_level_hex"), *level, *hash;
	struct nodes *nodes = hps_alloc(sizeof *nodes);
	struct hps_merkle tree = { 0 };
	size_t i, k;

	(void)state;
	for (i = 0; i <= 8; i++) {
		struct hps_digest root;
		uint8_t leaf[64];

		hps_merkle_root(&tree, &root);
		assert_digest(&root, json_string_value(json_array_get(roots, i)));
		if (i < 8) {
			const char *hex = json_string_value(json_array_get(leaves, i));

			assert_int_equal(hps_unhex(leaf, strlen(hex) / 2, hex), 0);
			grow(&tree, nodes, leaf, strlen(hex) / 2);
		}
	}
	json_array_foreach(levels, i, level)
		json_array_foreach(level, k, hash)
			assert_digest(&nodes->level[i][k], json_string_value(hash));
	free(nodes);
}

/* A number of a line of JSON, which may be as large as 2^64 - 1: more than a JSON library of ours takes. */
static uint64_t number_at(const char *line, const char *name)
{
	_cleanup_free_ char *start = hps_format("\"%s\":", name);
	const char *at = strstr(line, start);

	assert_non_null(at);
	return strtoull(at + strlen(start), NULL, 10);
}

/* Each line of a file of JSON lines. */
static unsigned each_line(const char *name, void (*fn)(const char *, const json_t *))
{
	_cleanup_free_ char *path = hps_format("tests/vectors/%s", name);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	unsigned n = 0;
	char *save = NULL;

	assert_ok(hps_file_read(AT_FDCWD, path, 1 << 24, &text, err));
	for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
		_cleanup_json_ json_t *j = json_loads(line, JSON_DECODE_INT_AS_REAL, NULL);

		assert_non_null(j);
		fn(line, j);
	}
	return n;
}

static bool read_digest(const json_t *text, struct hps_digest *ret)
{
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;

	if (!json_is_string(text) || hps_unbase64(&bytes, json_string_value(text), json_string_length(text), false) || bytes.len != sizeof ret->b)
		return false;
	memcpy(ret->b, bytes.data, sizeof ret->b);
	return true;
}

/* Some consistency vectors have roots of another length ("don't care"): padded, equal ones stay equal and others differ. */
static void read_root(const json_t *text, struct hps_digest *ret)
{
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;

	base64_of(json_string_value(text), &bytes);
	memset(ret->b, 0, sizeof ret->b);
	memcpy(ret->b, bytes.data ? bytes.data : "", bytes.len < sizeof ret->b ? bytes.len : sizeof ret->b);
}

static bool read_proof(const json_t *list, struct hps_digest **ret)
{
	const json_t *hash;
	size_t i;

	*ret = hps_alloc((json_array_size(list) + 1) * sizeof **ret);
	json_array_foreach(list, i, hash)
		if (!read_digest(hash, &(*ret)[i]))
			return false;
	return true;
}

static void check_inclusion(const char *line, const json_t *j)
{
	_cleanup_free_ struct hps_digest *proof = NULL;
	const json_t *list = json_object_get(j, "proof");
	struct hps_digest leaf, root;
	bool good = read_digest(json_object_get(j, "leafHash"), &leaf) && read_digest(json_object_get(j, "root"), &root) && read_proof(list, &proof) &&
		    !hps_merkle_check_inclusion(number_at(line, "leafIdx"), number_at(line, "treeSize"), &leaf, proof,
						json_array_size(list), &root, NULL);

	if (good == json_is_true(json_object_get(j, "wantErr")))
		fail_msg("%s", hps_json_text(j, "path"));
}

static void check_consistency(const char *line, const json_t *j)
{
	_cleanup_free_ struct hps_digest *proof = NULL;
	const json_t *list = json_object_get(j, "proof");
	struct hps_digest root1, root2;
	bool good;

	read_root(json_object_get(j, "root1"), &root1);
	read_root(json_object_get(j, "root2"), &root2);
	good = read_proof(list, &proof) && !hps_merkle_check_consistency(number_at(line, "size1"), number_at(line, "size2"), &root1, &root2, proof,
									 json_array_size(list), NULL);
	if (good == json_is_true(json_object_get(j, "wantErr")))
		fail_msg("%s", hps_json_text(j, "path"));
}

static void test_inclusion_vectors(void **state)
{
	(void)state;
	assert_int_equal(each_line("merkle-inclusion.jsonl", check_inclusion), 98);
}

static void test_consistency_vectors(void **state)
{
	(void)state;
	assert_int_equal(each_line("merkle-consistency.jsonl", check_consistency), 98);
}

/* Every proof of every tree up to 130 leaves; and none of them with one hash changed, for another leaf, or another size. */
static void test_own_proofs(void **state)
{
	struct nodes *nodes = hps_alloc(sizeof *nodes);
	struct hps_merkle_source source = { node_of, nodes };
	struct hps_digest roots[131];
	struct hps_merkle tree = { 0 };

	(void)state;
	hps_merkle_root(&tree, &roots[0]);
	for (uint64_t size = 1; size <= 130; size++) {
		struct hps_merkle again;
		struct hps_digest root;
		struct hps_proof p;

		grow(&tree, nodes, &size, sizeof size);
		hps_merkle_root(&tree, &roots[size]);
		assert_ok(hps_merkle_load(&source, size, &again, err));
		hps_merkle_root(&again, &root);
		assert_true(hps_digest_equal(&root, &roots[size]));
		for (uint64_t i = 0; i < size; i++) {
			const struct hps_digest *leaf = &nodes->level[0][i];

			assert_ok(hps_merkle_prove_inclusion(&source, i, size, &p, err));
			assert_ok(hps_merkle_check_inclusion(i, size, leaf, p.hash, p.n, &root, err));
			assert_fails(HPS_E_DAMAGED, hps_merkle_check_inclusion(i, size, &nodes->level[0][(i + 1) % (size + 1)], p.hash, p.n, &root, err));
			if (!p.n)
				continue;
			assert_fails(HPS_E_DAMAGED, hps_merkle_check_inclusion(i, size, leaf, p.hash, p.n - 1, &root, err));
			p.hash[size % p.n].b[0] ^= 1;
			assert_fails(HPS_E_DAMAGED, hps_merkle_check_inclusion(i, size, leaf, p.hash, p.n, &root, err));
		}
		for (uint64_t old = 1; old <= size; old++) {
			assert_ok(hps_merkle_prove_consistency(&source, old, size, &p, err));
			assert_ok(hps_merkle_check_consistency(old, size, &roots[old], &root, p.hash, p.n, err));
			assert_fails(HPS_E_DAMAGED, hps_merkle_check_consistency(old, size, &roots[old - 1], &root, p.hash, p.n, err));
		}
		assert_fails(HPS_E_USAGE, hps_merkle_prove_inclusion(&source, size, size, &p, err));
		assert_fails(HPS_E_USAGE, hps_merkle_prove_consistency(&source, size + 1, size, &p, err));
	}
	free(nodes);
}

/* ---- notes and logs ---- */

static void test_signed_notes(void **state)
{
	_cleanup_json_ json_t *j = load("signed-notes.json");
	const json_t *one;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(j), 25);
	json_array_foreach(j, i, one) {
		const char *note = hps_json_text(one, "msg");
		struct hps_vkey v = { 0 };
		size_t text_len;
		bool valid;

		assert_ok(hps_vkey_parse(hps_json_text(one, "vkey"), &v, err));
		valid = !hps_note_open(note, strlen(note), &v, 1, &text_len, NULL);
		if (valid != json_is_true(json_object_get(one, "valid")))
			fail_msg("note '%s'", hps_json_text(one, "id"));
		if (valid)
			assert_int_equal(note[text_len - 1], '\n');
		hps_vkey_release(&v);
	}
}

static const char *file_of(const json_t *j, const char *name, struct hps_buf *out)
{
	const char *text = hps_json_text(json_object_get(j, "files"), name);

	if (!text)
		fail_msg("no file '%s'", name);
	base64_of(text, out);
	return out->data;
}

/* A whole log of another implementation: its entries, hashed by us, give each of its 16 signed roots, and its tiles. */
static void test_tessera_log(void **state)
{
	_cleanup_json_ json_t *j = load("tlog-tiles-tessera-15.json");
	_cleanup_buf_ struct hps_buf bundle = HPS_BUF_INIT, tile = HPS_BUF_INIT, note = HPS_BUF_INIT;
	struct hps_merkle tree = { 0 };
	struct hps_vkey log = { 0 };
	const uint8_t *leaf;
	size_t at = 0, len;

	(void)state;
	assert_ok(hps_vkey_parse(hps_json_text(j, "vkey"), &log, err));
	file_of(j, "tile/entries/000.p/15", &bundle);
	for (unsigned size = 0; size <= 15; size++) {
		_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { 0 };
		_cleanup_free_ char *name = hps_format("checkpoint.%u", size);
		struct hps_tile t = { .n = 0, .width = size };
		char path[HPS_TILE_PATH];
		struct hps_digest root, hash;

		file_of(j, name, &note);
		assert_ok(hps_checkpoint_open(note.data, note.len, &log, &c, err));
		assert_int_equal(c.size, size);
		hps_merkle_root(&tree, &root);
		assert_true(hps_digest_equal(&root, &c.root));
		if (size) {
			hps_tile_path(&t, path);
			file_of(j, path, &tile);
			assert_int_equal(tile.len, 32 * size);
		}
		if (size == 15)
			break;
		assert_true(hps_bundle_next(&bundle, &at, &leaf, &len));
		hps_merkle_leaf(leaf, len, &hash);
		hps_merkle_add(&tree, &hash, NULL);
		file_of(j, "tile/0/000.p/15", &tile);
		assert_memory_equal(tile.data + 32 * size, hash.b, 32);
	}
	assert_int_equal(at, bundle.len);
	assert_false(hps_bundle_next(&bundle, &at, &leaf, &len));
	hps_vkey_release(&log);
}

/* Hash tiles of 300 leaves over a tile boundary; the checkpoint has only a cosignature, which verifies as one. */
static void test_sunlight_tiles(void **state)
{
	_cleanup_json_ json_t *j = load("tlog-tiles-sunlight-300.json");
	const char *vkey = json_string_value(json_array_get(hps_json_at(j, "cosigner", "verifier_keys", NULL), 0));
	static const char *const tiles[] = { "tile/0/000", "tile/0/001.p/44" };
	_cleanup_buf_ struct hps_buf data = HPS_BUF_INIT, upper = HPS_BUF_INIT, note = HPS_BUF_INIT;
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { 0 };
	struct hps_digest root, nodes[HPS_MERKLE_LEVELS];
	struct hps_merkle tree = { 0 };
	struct hps_vkey mirror = { 0 };
	size_t text_len;

	(void)state;
	file_of(j, "tile/1/000.p/1", &upper);
	for (size_t i = 0; i < 2; i++) {
		struct hps_tile t;

		assert_int_equal(hps_tile_parse(tiles[i], &t), 0);
		assert_int_equal(t.width, hps_tile_width(0, i, 300));
		file_of(j, tiles[i], &data);
		assert_int_equal(data.len, t.width * 32);
		for (unsigned k = 0; k < t.width; k++) {
			struct hps_digest hash;

			memcpy(hash.b, data.data + 32 * k, 32);
			if (hps_merkle_add(&tree, &hash, nodes) == 9)
				assert_memory_equal(upper.data, nodes[8].b, 32);
		}
	}
	assert_ok(hps_vkey_parse(vkey, &mirror, err));
	file_of(j, "checkpoint", &note);
	assert_ok(hps_note_open(note.data, note.len, &mirror, 1, &text_len, err));
	assert_ok(hps_checkpoint_parse(note.data, text_len, &c, err));
	hps_merkle_root(&tree, &root);
	assert_int_equal(c.size, 300);
	assert_true(hps_digest_equal(&root, &c.root));
	note.data[text_len / 2] ^= 1;
	assert_fails(HPS_E_SIGNATURE, hps_note_open(note.data, note.len, &mirror, 1, &text_len, err));
	hps_vkey_release(&mirror);
}

/* ---- signatures ---- */

static struct hps_key *p256_from_decimal(const char *x, const char *y)
{
	uint8_t spki[91] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
			     0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
	struct hps_key *key = NULL;
	BIGNUM *n = NULL;

	assert_true(BN_dec2bn(&n, x));
	assert_int_equal(BN_bn2binpad(n, spki + 27, 32), 32);
	assert_true(BN_dec2bn(&n, y));
	assert_int_equal(BN_bn2binpad(n, spki + 59, 32), 32);
	BN_free(n);
	assert_ok(hps_key_from_spki(spki, sizeof spki, &key, err));
	return key;
}

/* The vector's signature is r || s; envelopes of today's tools and ours have DER. */
static void to_der(struct hps_buf *sig)
{
	const uint8_t *raw = (const uint8_t *)sig->data;
	ECDSA_SIG *s = ECDSA_SIG_new();
	unsigned char *der = NULL;
	int len;

	assert_int_equal(sig->len, 64);
	assert_true(ECDSA_SIG_set0(s, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL)));
	len = i2d_ECDSA_SIG(s, &der);
	assert_true(len > 0);
	hps_buf_reset(sig);
	hps_buf_add(sig, der, (size_t)len);
	OPENSSL_free(der);
	ECDSA_SIG_free(s);
}

static void test_dsse_protocol_example(void **state)
{
	_cleanup_json_ json_t *j = load("dsse.json");
	const json_t *one = json_array_get(j, 0), *key = json_object_get(one, "key");
	_cleanup_key_ struct hps_key *k = p256_from_decimal(hps_json_text(key, "x_dec"), hps_json_text(key, "y_dec"));
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, pae = HPS_BUF_INIT;

	(void)state;
	assert_ok(hps_json_canonical(json_object_get(one, "envelope"), &text, err));
	assert_ok(hps_envelope_read(text.data, text.len, &e, err));
	assert_string_equal(e.payload.data, hps_json_text(one, "payload_utf8"));
	hps_pae(e.type, e.payload.data, e.payload.len, &pae);
	assert_string_equal(pae.data, hps_json_text(one, "pae_utf8"));
	to_der(&e.signature);
	assert_ok(hps_envelope_verify(&e, k, err));
	e.payload.data[0] ^= 1;
	assert_fails(HPS_E_SIGNATURE, hps_envelope_verify(&e, k, err));
}

static void test_wycheproof_ed25519(void **state)
{
	_cleanup_json_ json_t *j = load("wycheproof-ed25519.json");
	const json_t *group, *test;
	unsigned n = 0;
	size_t i, k;

	(void)state;
	json_array_foreach(json_object_get(j, "testGroups"), i, group) {
		_cleanup_key_ struct hps_key *key = NULL;
		uint8_t raw[32];

		assert_int_equal(hps_unhex(raw, 32, hps_json_text(json_object_get(group, "publicKey"), "pk")), 0);
		assert_ok(hps_key_from_ed25519(raw, &key, err));
		json_array_foreach(json_object_get(group, "tests"), k, test) {
			const char *msg = hps_json_text(test, "msg"), *sig = hps_json_text(test, "sig");
			_cleanup_free_ uint8_t *m = hps_alloc(strlen(msg) + 1), *s = hps_alloc(strlen(sig) + 1);
			bool good;

			assert_int_equal(hps_unhex(m, strlen(msg) / 2, msg), 0);
			assert_int_equal(hps_unhex(s, strlen(sig) / 2, sig), 0);
			good = !hps_key_verify(key, m, strlen(msg) / 2, s, strlen(sig) / 2, NULL);
			if (good != !strcmp(hps_json_text(test, "result"), "valid"))
				fail_msg("test %lld", (long long)hps_json_int(test, "tcId", -1));
			n++;
		}
	}
	assert_int_equal(n, 151);
}

/* ---- Sigstore bundles of Rekor v2: leaf, inclusion proof, checkpoint, and the envelope's tie to the leaf ---- */

static const json_t *find_log(const json_t *root, const char *keyid)
{
	const json_t *log;
	size_t i;

	json_array_foreach(json_object_get(root, "tlogs"), i, log) {
		const char *id = hps_json_text(json_object_get(log, "logId"), "keyId");

		if (id && !strcmp(id, keyid))
			return log;
	}
	return NULL;
}

/* The log's verifier key: its name is the host that serves it. */
static struct hps_vkey vkey_of(const json_t *log)
{
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT;
	_cleanup_key_ struct hps_key *key = NULL;
	_cleanup_free_ char *text = NULL;
	struct hps_vkey v = { 0 };

	base64_of(hps_json_text(json_object_get(log, "publicKey"), "rawBytes"), &spki);
	assert_ok(hps_key_from_spki(spki.data, spki.len, &key, err));
	text = hps_vkey_format(hps_json_text(log, "baseUrl") + strlen("https://"), key);
	assert_ok(hps_vkey_parse(text, &v, err));
	return v;
}

static bool proof_holds(const json_t *entry, const struct hps_buf *body, const struct hps_vkey *log)
{
	const json_t *proof = json_object_get(entry, "inclusionProof");
	const char *note = hps_json_text(json_object_get(proof, "checkpoint"), "envelope"), *index = hps_json_text(proof, "logIndex");
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { 0 };
	_cleanup_free_ struct hps_digest *hashes = NULL;
	const json_t *list = json_object_get(proof, "hashes");
	struct hps_digest leaf;
	uint64_t i;

	if (!note || !index || hps_parse_u64(index, INT64_MAX, &i) || hps_checkpoint_open(note, strlen(note), log, &c, NULL) || !read_proof(list, &hashes))
		return false;
	hps_merkle_leaf(body->data, body->len, &leaf);
	return !hps_merkle_check_inclusion(i, c.size, &leaf, hashes, json_array_size(list), &c.root, NULL);
}

static bool envelope_fits(const json_t *envelope, const json_t *record)
{
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, sig = HPS_BUF_INIT;
	struct hps_digest id, logged = digest_of(hps_json_text(json_object_get(record, "data"), "digest"));

	assert_ok(hps_json_canonical(envelope, &text, err));
	assert_ok(hps_envelope_read(text.data, text.len, &e, err));
	hps_envelope_id(&e, &id);
	base64_of(hps_json_text(json_object_get(record, "signature"), "content"), &sig);
	return hps_digest_equal(&id, &logged) && sig.len == e.signature.len && !memcmp(sig.data, e.signature.data, sig.len);
}

static bool bundle_holds(const json_t *root, const json_t *bundle)
{
	const json_t *entry = json_array_get(hps_json_at(bundle, "verificationMaterial", "tlogEntries", NULL), 0);
	const json_t *log = find_log(root, hps_json_text(json_object_get(entry, "logId"), "keyId")), *envelope = json_object_get(bundle, "dsseEnvelope");
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT, again = HPS_BUF_INIT;
	_cleanup_json_ json_t *leaf = NULL;
	struct hps_vkey v = vkey_of(log);
	bool good;

	base64_of(hps_json_text(entry, "canonicalizedBody"), &body);
	assert_ok(hps_json_parse(body.data, body.len, &leaf, err));
	assert_ok(hps_json_canonical(leaf, &again, err));
	assert_int_equal(again.len, body.len); /* Rekor's leaf bytes are what our canonical JSON gives */
	assert_memory_equal(again.data, body.data, body.len);
	good = proof_holds(entry, &body, &v) && (!envelope || envelope_fits(envelope, hps_json_at(leaf, "spec", "hashedRekordV002", NULL)));
	hps_vkey_release(&v);
	return good;
}

static void test_sigstore_bundles(void **state)
{
	_cleanup_json_ json_t *j = load("sigstore-bundles.json");
	/* What only a timestamp authority could object to is not looked at here. */
	static const char *const beyond = "rekor2-timestamp-payload-mismatch_fail";
	const char *name;
	const json_t *one;
	unsigned n = 0, n_good = 0;

	(void)state;
	json_object_foreach(json_object_get(j, "cases"), name, one) {
		const json_t *bundle = json_object_get(one, "bundle.sigstore.json");
		const json_t *entry = json_array_get(hps_json_at(bundle, "verificationMaterial", "tlogEntries", NULL), 0);
		const char *version = hps_json_text(json_object_get(entry, "kindVersion"), "version"), *root = hps_json_text(one, "trusted_root");
		bool want = !strcmp(hps_json_text(one, "expect"), "ok") || !strcmp(name, beyond), good;

		if (!version || strcmp(version, "0.0.2") != 0 || !root)
			continue;
		good = bundle_holds(json_object_get(json_object_get(j, "trusted_roots"), root), bundle);
		if (good != want)
			fail_msg("bundle '%s'", name);
		n++;
		n_good += good;
	}
	assert_int_equal(n, 16);
	assert_int_equal(n_good, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc6962_tree),	     cmocka_unit_test(test_inclusion_vectors),	cmocka_unit_test(test_consistency_vectors),
		cmocka_unit_test(test_own_proofs),	     cmocka_unit_test(test_signed_notes),	cmocka_unit_test(test_tessera_log),
		cmocka_unit_test(test_sunlight_tiles),	     cmocka_unit_test(test_dsse_protocol_example), cmocka_unit_test(test_wycheproof_ed25519),
		cmocka_unit_test(test_sigstore_bundles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
