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

/* Written by hand and not through a JSON value: the payload may be large, and this is what readers compare with. The type is
 * our constant or has been read from such bytes. */
void hps_envelope_write(const struct hps_envelope *e, struct hps_buf *out)
{
	hps_buf_adds(out, "{\"payload\":\"");
	hps_base64(out, e->payload.data, e->payload.len);
	hps_buf_addf(out, "\",\"payloadType\":\"%s\",\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"", e->type, e->keyid);
	hps_base64(out, e->signature.data, e->signature.len);
	hps_buf_adds(out, "\"}]}");
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

int hps_envelope_read_stored(const char *text, size_t len, struct hps_envelope *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf again = HPS_BUF_INIT;
	int r = hps_envelope_read(text, len, ret, err);

	if (r)
		return r;
	if (!strcmp(ret->type, HPS_PAYLOAD_TYPE))
		hps_envelope_write(ret, &again);
	if (again.len == len && !memcmp(again.data, text, len))
		return 0;
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
