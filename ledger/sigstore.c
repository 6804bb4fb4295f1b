/* Sigstore bundles: one entry with its envelope, its leaf and its way to a checkpoint, in the JSON of Sigstore's clients. */
#include "ledger/ledger.h"

#include <string.h>

#define BUNDLE_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define ROOT_TYPE "application/vnd.dev.sigstore.trustedroot+json;version=0.1"

void hps_sigstore_release(struct hps_sigstore *s)
{
	hps_envelope_release(&s->envelope);
	hps_buf_release(&s->leaf);
	hps_tlog_proof_release(&s->proof);
}

/* ---- writing ---- */

static void set_base64(json_t *object, const char *name, const void *data, size_t len)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	hps_base64(&text, data, len);
	hps_json_set_text(object, name, text.data ? text.data : "");
}

/* 64-bit numbers are strings in protobuf's JSON. */
static void set_number(json_t *object, const char *name, uint64_t n)
{
	_cleanup_free_ char *text = hps_format("%llu", (unsigned long long)n);

	hps_json_set_text(object, name, text);
}

static json_t *key_id(const struct hps_vkey *log)
{
	struct hps_digest d;
	json_t *j = json_object();

	hps_note_key_hash(log->name, log->algorithm, log->key, &d);
	set_base64(j, "keyId", d.b, sizeof d.b);
	return j;
}

static json_t *inclusion_proof(const struct hps_tlog_proof *p, const struct hps_checkpoint *c)
{
	json_t *j = json_object(), *hashes = json_array(), *checkpoint = json_object();

	for (unsigned i = 0; i < p->proof.n; i++) {
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		hps_base64(&text, p->proof.hash[i].b, HPS_DIGEST_LEN);
		hps_json_add(hashes, json_string(text.data));
	}
	hps_json_set_text(checkpoint, "envelope", p->note.data);
	set_number(j, "logIndex", p->index);
	set_base64(j, "rootHash", c->root.b, sizeof c->root.b);
	set_number(j, "treeSize", c->size);
	hps_json_set(j, "hashes", hashes);
	hps_json_set(j, "checkpoint", checkpoint);
	return j;
}

static json_t *log_entry(const struct hps_sigstore *s, const struct hps_vkey *log, const struct hps_checkpoint *c)
{
	json_t *j = json_object(), *kind = json_object();

	hps_json_set_text(kind, "kind", "hashedrekord");
	hps_json_set_text(kind, "version", "0.0.2");
	set_number(j, "logIndex", s->proof.index);
	hps_json_set(j, "logId", key_id(log));
	hps_json_set(j, "kindVersion", kind);
	hps_json_set_text(j, "integratedTime", "0");
	hps_json_set(j, "inclusionProof", inclusion_proof(&s->proof, c));
	set_base64(j, "canonicalizedBody", s->leaf.data, s->leaf.len);
	return j;
}

static json_t *material(const struct hps_sigstore *s, const struct hps_vkey *log, const struct hps_checkpoint *c)
{
	json_t *j = json_object(), *entries = json_array(), *key = json_object(), *times = json_object();

	hps_json_add(entries, log_entry(s, log, c));
	hps_json_set_text(key, "hint", s->envelope.keyid);
	hps_json_set(times, "rfc3161Timestamps", json_array());
	hps_json_set(j, "publicKey", key);
	hps_json_set(j, "tlogEntries", entries);
	hps_json_set(j, "timestampVerificationData", times);
	return j;
}

int hps_sigstore_write(const struct hps_sigstore *s, const struct hps_vkey *log, struct hps_buf *out, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_buf_ struct hps_buf envelope = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = json_object();
	json_t *dsse = NULL;
	int r = hps_checkpoint_open(s->proof.note.data, s->proof.note.len, log, &c, err);

	if (r)
		return r;
	hps_envelope_write(&s->envelope, &envelope);
	r = hps_json_parse(envelope.data, envelope.len, &dsse, err);
	if (r)
		return r;
	hps_json_set_text(j, "mediaType", BUNDLE_TYPE);
	hps_json_set(j, "verificationMaterial", material(s, log, &c));
	hps_json_set(j, "dsseEnvelope", dsse);
	return hps_json_canonical(j, out, err);
}

int hps_sigstore_trusted_root(const struct hps_vkey *log, struct hps_buf *out, struct hps_error *err)
{
	json_t *tlog = json_object(), *key = json_object(), *valid = json_object(), *tlogs = json_array();
	_cleanup_free_ char *url = hps_format("https://%s", log->name);
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = json_object();

	hps_key_spki(log->key, &spki);
	/* Validity is by index here, never by clock; the format wants a time all the same. */
	hps_json_set_text(valid, "start", "1970-01-01T00:00:00Z");
	set_base64(key, "rawBytes", spki.data, spki.len);
	hps_json_set_text(key, "keyDetails", "PKIX_ED25519");
	hps_json_set(key, "validFor", valid);
	hps_json_set_text(tlog, "baseUrl", url);
	hps_json_set_text(tlog, "hashAlgorithm", "SHA2_256");
	hps_json_set(tlog, "publicKey", key);
	hps_json_set(tlog, "logId", key_id(log));
	hps_json_set(tlog, "checkpointKeyId", key_id(log));
	hps_json_add(tlogs, tlog);
	hps_json_set_text(j, "mediaType", ROOT_TYPE);
	hps_json_set(j, "tlogs", tlogs);
	hps_json_set(j, "certificateAuthorities", json_array());
	hps_json_set(j, "ctlogs", json_array());
	hps_json_set(j, "timestampAuthorities", json_array());
	return hps_json_canonical(j, out, err);
}

/* ---- reading ---- */

static int malformed(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_FORMAT, "reading a Sigstore bundle: %s", what);
}

static bool get_number(const json_t *object, const char *name, uint64_t *ret)
{
	const char *text = hps_json_text(object, name);

	return text && !hps_parse_u64(text, HPS_LEDGER_SIZE_MAX, ret);
}

static bool get_bytes(const json_t *object, const char *name, struct hps_buf *ret)
{
	const char *text = hps_json_text(object, name);

	return text && !hps_unbase64(ret, text, strlen(text), false);
}

static int read_hashes(const json_t *list, struct hps_proof *ret, struct hps_error *err)
{
	const json_t *item;
	size_t i;

	if (list && !json_is_array(list))
		return malformed(err, "'hashes' is not a list");
	if (json_array_size(list) > HPS_PROOF_MAX)
		return malformed(err, "'hashes' has more than any tree is high");
	json_array_foreach(list, i, item) {
		_cleanup_buf_ struct hps_buf hash = HPS_BUF_INIT;
		const char *text = json_string_value(item);

		if (!text || hps_unbase64(&hash, text, strlen(text), false) || hash.len != HPS_DIGEST_LEN)
			return malformed(err, "a member of 'hashes' is not a hash");
		memcpy(ret->hash[ret->n++].b, hash.data, HPS_DIGEST_LEN);
	}
	return 0;
}

/* Size and root stand in the bundle and in the checkpoint: they have to be the same. */
static int compare_checkpoint(const json_t *proof, const struct hps_buf *note, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	const char *text = note->data, *end = strstr(text, "\n\n");
	_cleanup_buf_ struct hps_buf root = HPS_BUF_INIT;
	uint64_t size;
	int r = end ? hps_checkpoint_parse(text, (size_t)(end - text) + 1, &c, err) : malformed(err, "its checkpoint is not a signed note");

	if (r)
		return r;
	if (!get_number(proof, "treeSize", &size) || size != c.size)
		return malformed(err, "'treeSize' is not the checkpoint's");
	if (!get_bytes(proof, "rootHash", &root) || root.len != HPS_DIGEST_LEN || memcmp(root.data, c.root.b, HPS_DIGEST_LEN) != 0)
		return malformed(err, "'rootHash' is not the checkpoint's");
	return 0;
}

static int read_entry(const json_t *entry, struct hps_sigstore *ret, struct hps_error *err)
{
	const json_t *proof = json_object_get(entry, "inclusionProof"), *kind = json_object_get(entry, "kindVersion");
	const char *note = hps_json_text(json_object_get(proof, "checkpoint"), "envelope");
	const char *name = hps_json_text(kind, "kind"), *version = hps_json_text(kind, "version");
	uint64_t again;
	int r;

	if (!name || !version || strcmp(name, "hashedrekord") != 0 || strcmp(version, "0.0.2") != 0)
		return malformed(err, "its log entry is not a hashedrekord 0.0.2");
	if (!get_number(entry, "logIndex", &ret->proof.index) || !get_number(proof, "logIndex", &again) || again != ret->proof.index)
		return malformed(err, "'logIndex' is missing, or there are two of them");
	if (!get_bytes(entry, "canonicalizedBody", &ret->leaf) || !ret->leaf.len)
		return malformed(err, "'canonicalizedBody' is missing");
	if (!note)
		return malformed(err, "it has no checkpoint");
	hps_buf_adds(&ret->proof.note, note);
	r = read_hashes(json_object_get(proof, "hashes"), &ret->proof.proof, err);
	return r ? r : compare_checkpoint(proof, &ret->proof.note, err);
}

/* The leaf is about this statement, this signature and the key of this hint. */
static int compare_leaf(const struct hps_sigstore *s, const char *hint, struct hps_error *err)
{
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	char keyid[HPS_DIGEST_HEX];
	struct hps_digest d;
	int r = hps_leaf_read(s->leaf.data, s->leaf.len, &leaf, err);

	if (r)
		return r;
	hps_envelope_id(&s->envelope, &d);
	if (!hps_digest_equal(&d, &leaf.id))
		return hps_error_set(err, HPS_E_DAMAGED, "reading a Sigstore bundle: the statement is not the one that was logged");
	if (s->envelope.signature.len != leaf.signature.len || memcmp(s->envelope.signature.data, leaf.signature.data, leaf.signature.len) != 0)
		return hps_error_set(err, HPS_E_DAMAGED, "reading a Sigstore bundle: the signature is not the one that was logged");
	hps_digest_of(leaf.spki.data, leaf.spki.len, &d);
	hps_digest_hex(&d, keyid);
	if (!hint || strcmp(hint, keyid) != 0 || (*s->envelope.keyid && strcmp(s->envelope.keyid, keyid) != 0))
		return hps_error_set(err, HPS_E_DAMAGED, "reading a Sigstore bundle: the key is not the one that was logged");
	return 0;
}

static int read_json(const json_t *j, struct hps_sigstore *ret, struct hps_error *err)
{
	const json_t *material_of = json_object_get(j, "verificationMaterial"), *entries = json_object_get(material_of, "tlogEntries");
	const json_t *dsse = json_object_get(j, "dsseEnvelope");
	const char *type = hps_json_text(j, "mediaType");
	_cleanup_buf_ struct hps_buf envelope = HPS_BUF_INIT;
	int r;

	if (!type || strcmp(type, BUNDLE_TYPE) != 0)
		return malformed(err, "'mediaType' is not '" BUNDLE_TYPE "'");
	if (!json_is_array(entries) || json_array_size(entries) != 1)
		return malformed(err, "it needs one log entry");
	if (!json_is_object(dsse))
		return malformed(err, "it has no 'dsseEnvelope'");
	r = hps_json_canonical(dsse, &envelope, err);
	if (!r)
		r = hps_envelope_read(envelope.data, envelope.len, &ret->envelope, err);
	if (!r)
		r = read_entry(json_array_get(entries, 0), ret, err);
	return r ? r : compare_leaf(ret, hps_json_text(json_object_get(material_of, "publicKey"), "hint"), err);
}

int hps_sigstore_read(const char *text, size_t len, struct hps_sigstore *ret, struct hps_error *err)
{
	_cleanup_json_ json_t *j = NULL;
	int r;

	if (len > HPS_SIGSTORE_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "reading a Sigstore bundle: %zu bytes are too many", len);
	r = hps_json_parse(len ? text : "", len, &j, err);
	if (!r)
		r = read_json(j, ret, err);
	if (r) {
		hps_sigstore_release(ret);
		*ret = (struct hps_sigstore)HPS_SIGSTORE_INIT;
	}
	return r;
}
