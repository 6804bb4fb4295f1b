/* DSSE v1.0.2 envelopes: the pre-authentication encoding, the JSON form, signing and verifying. The payload's bytes are kept as
 * they are; what they say is statement.c's. */
#include "ledger/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void hps_envelope_release(struct hps_envelope *e)
{
	free(e->type);
	e->type = NULL;
	hps_buf_release(&e->payload);
	hps_buf_release(&e->signature);
}

void hps_pae(const char *type, const void *payload, size_t len, struct hps_buf *out)
{
	hps_buf_addf(out, "DSSEv1 %zu %s %zu ", strlen(type), type, len);
	hps_buf_add(out, payload, len);
}

void hps_envelope_id(const struct hps_envelope *e, struct hps_digest *ret)
{
	_cleanup_buf_ struct hps_buf pae = HPS_BUF_INIT;

	hps_pae(e->type, e->payload.data, e->payload.len, &pae);
	hps_digest_of(pae.data, pae.len, ret);
}

/* Canonical JSON, cut where the values go. Written and read by hand: the payload may be large, and there is only one way to
 * write it. */
static const char before_payload[] = "{\"payload\":\"";
static const char before_keyid[] = "\",\"payloadType\":\"" HPS_PAYLOAD_TYPE "\",\"signatures\":[{\"keyid\":\"";
static const char before_sig[] = "\",\"sig\":\"";
static const char ending[] = "\"}]}";

void hps_envelope_write(const struct hps_envelope *e, struct hps_buf *out)
{
	assert(!strcmp(e->type, HPS_PAYLOAD_TYPE));
	hps_buf_adds(out, before_payload);
	hps_base64(out, e->payload.data, e->payload.len);
	hps_buf_adds(out, before_keyid);
	hps_buf_adds(out, e->keyid);
	hps_buf_adds(out, before_sig);
	hps_base64(out, e->signature.data, e->signature.len);
	hps_buf_adds(out, ending);
}

static int malformed(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_FORMAT, "reading an envelope: %s", what);
}

static bool decode(const json_t *object, const char *name, struct hps_buf *out)
{
	const char *text = hps_json_text(object, name);

	if (!text || !hps_unbase64(out, text, strlen(text), false))
		return text != NULL;
	hps_buf_reset(out);
	return !hps_unbase64(out, text, strlen(text), true);
}

int hps_envelope_read(const char *text, size_t len, struct hps_envelope *ret, struct hps_error *err)
{
	_cleanup_json_ json_t *j = NULL;
	const json_t *signatures, *one;
	const char *keyid, *type;
	int r;

	if (len > HPS_ENVELOPE_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "reading an envelope: %zu bytes are more than the %zu allowed", len, HPS_ENVELOPE_MAX);
	r = hps_json_parse(text, len, &j, err);
	if (r)
		return r;
	signatures = json_object_get(j, "signatures");
	type = hps_json_text(j, "payloadType");
	if (!type || !json_is_array(signatures) || json_array_size(signatures) != 1)
		return malformed(err, "it needs payloadType and one signature");
	one = json_array_get(signatures, 0);
	keyid = hps_json_text(one, "keyid");
	if (keyid && *keyid && strlen(keyid) != HPS_DIGEST_HEX - 1)
		return malformed(err, "its keyid is not a SHA-256 in hexadecimal");
	if (!decode(j, "payload", &ret->payload) || !decode(one, "sig", &ret->signature)) {
		hps_envelope_release(ret);
		return malformed(err, "payload or sig is missing or not base64");
	}
	ret->type = hps_strdup(type);
	snprintf(ret->keyid, sizeof ret->keyid, "%s", keyid ? keyid : "");
	return 0;
}

bool hps_take_value(const char **at, const char *end, const char *before, const char **ret, size_t *ret_len)
{
	size_t n = strlen(before);
	const char *quote;

	if ((size_t)(end - *at) < n || memcmp(*at, before, n) != 0)
		return false;
	*ret = *at + n;
	quote = memchr(*ret, '"', (size_t)(end - *ret));
	if (!quote)
		return false;
	*ret_len = (size_t)(quote - *ret);
	*at = quote;
	return true;
}

static bool read_stored(const char *at, const char *end, struct hps_envelope *ret)
{
	const char *text;
	struct hps_digest d;
	size_t len;

	if (!hps_take_value(&at, end, before_payload, &text, &len) || hps_unbase64(&ret->payload, text, len, false))
		return false;
	if (!hps_take_value(&at, end, before_keyid, &text, &len) || len != sizeof ret->keyid - 1)
		return false;
	memcpy(ret->keyid, text, len);
	ret->keyid[len] = '\0';
	if (hps_digest_parse(ret->keyid, &d) || !hps_take_value(&at, end, before_sig, &text, &len) || hps_unbase64(&ret->signature, text, len, false))
		return false;
	return (size_t)(end - at) == sizeof ending - 1 && !memcmp(at, ending, sizeof ending - 1);
}

int hps_envelope_read_stored(const char *text, size_t len, struct hps_envelope *ret, struct hps_error *err)
{
	if (len > HPS_ENVELOPE_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "reading an envelope: %zu bytes are more than the %zu allowed", len, HPS_ENVELOPE_MAX);
	if (text && read_stored(text, text + len, ret)) {
		ret->type = hps_strdup(HPS_PAYLOAD_TYPE);
		return 0;
	}
	hps_envelope_release(ret);
	return malformed(err, "it is not in the form in which envelopes are stored");
}

int hps_envelope_sign(const char *type, const void *payload, size_t len, const struct hps_key *key, struct hps_envelope *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf pae = HPS_BUF_INIT;
	int r;

	hps_pae(type, payload, len, &pae);
	r = hps_key_sign(key, pae.data, pae.len, &ret->signature, err);
	if (r)
		return r;
	ret->type = hps_strdup(type);
	hps_buf_add(&ret->payload, payload, len);
	hps_key_id(key, ret->keyid);
	return 0;
}

int hps_envelope_verify(const struct hps_envelope *e, const struct hps_key *key, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf pae = HPS_BUF_INIT;

	hps_pae(e->type, e->payload.data, e->payload.len, &pae);
	return hps_key_verify(key, pae.data, pae.len, e->signature.data, e->signature.len, err);
}
