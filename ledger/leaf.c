/* Leaves: the canonical body of a Rekor v2 "hashedrekord" 0.0.2 entry over an envelope's PAE. A leaf reveals digest, signature
 * and public key; the statement itself lies beside the tree. Sigstore clients verify such logs as they are. */
#include "ledger/ledger.h"

#include <string.h>

/* The JSON in RFC 8785 order, cut where the values go: the only leaf there can be for four values. */
static const char before_digest[] = "{\"apiVersion\":\"0.0.2\",\"kind\":\"hashedrekord\",\"spec\":{\"hashedRekordV002\":{\"data\":{\"algorithm\":\"SHA2_256\",\"digest\":\"";
static const char before_signature[] = "\"},\"signature\":{\"content\":\"";
static const char before_details[] = "\",\"verifier\":{\"keyDetails\":\"";
static const char before_spki[] = "\",\"publicKey\":{\"rawBytes\":\"";
static const char ending[] = "\"}}}}}}";

static const char *const key_details[] = { [HPS_KEY_ED25519] = "PKIX_ED25519", [HPS_KEY_P256] = "PKIX_ECDSA_P256_SHA_256" };

void hps_leaf_release(struct hps_leaf *l)
{
	hps_buf_release(&l->signature);
	hps_buf_release(&l->spki);
}

static void write_leaf(const struct hps_digest *id, const struct hps_buf *signature, const char *details, const struct hps_buf *spki, struct hps_buf *out)
{
	hps_buf_adds(out, before_digest);
	hps_base64(out, id->b, sizeof id->b);
	hps_buf_adds(out, before_signature);
	hps_base64(out, signature->data, signature->len);
	hps_buf_adds(out, before_details);
	hps_buf_adds(out, details);
	hps_buf_adds(out, before_spki);
	hps_base64(out, spki->data, spki->len);
	hps_buf_adds(out, ending);
}

void hps_leaf_write(const struct hps_digest *id, const struct hps_buf *signature, const struct hps_key *key, struct hps_buf *out)
{
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT;

	hps_key_spki(key, &spki);
	write_leaf(id, signature, key_details[hps_key_type_of(key)], &spki, out);
}

static const char *find_details(const char *text, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(key_details); i++)
		if (strlen(key_details[i]) == len && !memcmp(key_details[i], text, len))
			return key_details[i];
	return NULL;
}

static bool read_leaf(const char *at, const char *end, struct hps_leaf *ret)
{
	_cleanup_buf_ struct hps_buf digest = HPS_BUF_INIT;
	const char *text;
	size_t len;

	if (!hps_take_value(&at, end, before_digest, &text, &len) || hps_unbase64(&digest, text, len, false) || digest.len != HPS_DIGEST_LEN)
		return false;
	memcpy(ret->id.b, digest.data, HPS_DIGEST_LEN);
	if (!hps_take_value(&at, end, before_signature, &text, &len) || hps_unbase64(&ret->signature, text, len, false))
		return false;
	if (!hps_take_value(&at, end, before_details, &text, &len) || !(ret->key_details = find_details(text, len)))
		return false;
	if (!hps_take_value(&at, end, before_spki, &text, &len) || hps_unbase64(&ret->spki, text, len, false))
		return false;
	return (size_t)(end - at) == sizeof ending - 1 && !memcmp(at, ending, sizeof ending - 1);
}

int hps_leaf_read(const void *data, size_t len, struct hps_leaf *ret, struct hps_error *err)
{
	if (read_leaf(data, (const char *)data + len, ret))
		return 0;
	hps_leaf_release(ret);
	return hps_error_set(err, HPS_E_FORMAT, "reading a leaf: it is not a hashedrekord 0.0.2 body in canonical form");
}
