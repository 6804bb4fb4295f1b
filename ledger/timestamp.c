/* RFC 3161: an authority's signed time over the text of a checkpoint. The reply is kept as it came; it is judged at the time that it
 * names, so that it stays good after the authority's certificate has run out. */
#include "ledger/ledger.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FETCH_TIMEOUT_NS ((int64_t)20 * 1000000000)

static int failed(struct hps_error *err, int code, const char *doing)
{
	unsigned long e = ERR_peek_last_error();
	char text[256] = "it is malformed";

	if (e)
		ERR_error_string_n(e, text, sizeof text);
	ERR_clear_error();
	return hps_error_set(err, code, "%s: %s", doing, text);
}

/* ---- asking ---- */

static TS_MSG_IMPRINT *imprint_of(const void *data, size_t len)
{
	TS_MSG_IMPRINT *imprint = TS_MSG_IMPRINT_new();
	X509_ALGOR *algorithm = X509_ALGOR_new();
	struct hps_digest d;

	hps_digest_of(data, len, &d);
	if (!imprint || !algorithm || !X509_ALGOR_set0(algorithm, OBJ_nid2obj(NID_sha256), V_ASN1_NULL, NULL) ||
	    !TS_MSG_IMPRINT_set_algo(imprint, algorithm) || !TS_MSG_IMPRINT_set_msg(imprint, d.b, sizeof d.b))
		abort();
	X509_ALGOR_free(algorithm);
	return imprint;
}

static int make_query(const void *data, size_t len, TS_REQ **ret, struct hps_error *err)
{
	TS_MSG_IMPRINT *imprint = imprint_of(data, len);
	ASN1_INTEGER *nonce = ASN1_INTEGER_new();
	TS_REQ *query = TS_REQ_new();
	uint64_t random;
	int r = hps_random(&random, sizeof random, err);

	if (!nonce || !query)
		abort();
	if (!r && (!ASN1_INTEGER_set_uint64(nonce, random | 1) || !TS_REQ_set_version(query, 1) || !TS_REQ_set_msg_imprint(query, imprint) ||
		   !TS_REQ_set_nonce(query, nonce) || !TS_REQ_set_cert_req(query, 1)))
		r = failed(err, HPS_E_UNDECIDED, "making a timestamp query");
	TS_MSG_IMPRINT_free(imprint);
	ASN1_INTEGER_free(nonce);
	if (r)
		TS_REQ_free(query);
	else
		*ret = query;
	return r;
}

static int encode_query(TS_REQ *query, struct hps_buf *out, struct hps_error *err)
{
	unsigned char *der = NULL;
	int len = i2d_TS_REQ(query, &der);

	if (len <= 0)
		return failed(err, HPS_E_UNDECIDED, "making a timestamp query");
	hps_buf_add(out, der, (size_t)len);
	OPENSSL_free(der);
	return 0;
}

int hps_timestamp_query(const void *data, size_t len, struct hps_buf *out, struct hps_error *err)
{
	TS_REQ *query;
	int r = make_query(data, len, &query, err);

	if (r)
		return r;
	r = encode_query(query, out, err);
	TS_REQ_free(query);
	return r;
}

static int decode_reply(const void *der, size_t len, TS_RESP **ret, struct hps_error *err)
{
	const unsigned char *at = der, *end = at + len;

	*ret = len && len <= HPS_TIMESTAMP_MAX ? d2i_TS_RESP(NULL, &at, (long)len) : NULL;
	if (*ret && at == end)
		return 0;
	TS_RESP_free(*ret);
	*ret = NULL;
	return failed(err, HPS_E_FORMAT, "reading a timestamp");
}

static int check_status(TS_RESP *reply, struct hps_error *err)
{
	long status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(reply)));

	if (status != TS_STATUS_GRANTED && status != TS_STATUS_GRANTED_WITH_MODS)
		return hps_error_set(err, HPS_E_UNDECIDED, "asking for a timestamp: the authority refuses (status %ld)", status);
	if (!TS_RESP_get_tst_info(reply))
		return hps_error_set(err, HPS_E_FORMAT, "asking for a timestamp: the reply has no token");
	return 0;
}

/* That the reply is to this query; whether its signer is to be trusted is asked when it is checked. */
static int compare_reply(TS_REQ *query, const struct hps_buf *der, struct hps_error *err)
{
	TS_VERIFY_CTX *context = TS_REQ_to_TS_VERIFY_CTX(query, NULL);
	TS_RESP *reply = NULL;
	int r = decode_reply(der->data, der->len, &reply, err);

	if (!context)
		abort();
	if (!r)
		r = check_status(reply, err);
	TS_VERIFY_CTX_set_flags(context, TS_VFY_VERSION | TS_VFY_IMPRINT | TS_VFY_NONCE);
	if (!r && TS_RESP_verify_response(context, reply) != 1)
		r = failed(err, HPS_E_SIGNATURE, "asking for a timestamp: the reply is to another query");
	TS_VERIFY_CTX_free(context);
	TS_RESP_free(reply);
	return r;
}

int hps_timestamp_fetch(const char *url, const char *ca_file, const void *data, size_t len, struct hps_buf *ret_reply, struct hps_error *err)
{
	static const char *const headers[] = { "Content-Type: application/timestamp-query", NULL };
	struct hps_http_request request = { .headers = headers, .max = HPS_TIMESTAMP_MAX, .timeout_ns = FETCH_TIMEOUT_NS, .ca_file = ca_file };
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_buf_ struct hps_buf der = HPS_BUF_INIT;
	TS_REQ *query;
	int r = make_query(data, len, &query, err);

	if (r)
		return r;
	r = encode_query(query, &der, err);
	request.body = der.data;
	request.body_len = der.len;
	if (!r)
		r = hps_http(&request, url, ret_reply, &reply, err);
	if (!r)
		r = hps_http_expect(&reply, url, err);
	if (!r)
		r = compare_reply(query, ret_reply, err);
	TS_REQ_free(query);
	return r;
}

/* ---- checking ---- */

static int read_authorities(const char *pem, size_t len, X509_STORE *store, struct hps_error *err)
{
	BIO *memory = BIO_new_mem_buf(pem, (int)len);
	unsigned n = 0;
	X509 *one;

	if (!memory)
		abort();
	while ((one = PEM_read_bio_X509(memory, NULL, NULL, NULL))) {
		n += (unsigned)X509_STORE_add_cert(store, one);
		X509_free(one);
	}
	ERR_clear_error(); /* of the end of the file */
	BIO_free(memory);
	return n ? 0 : hps_error_set(err, HPS_E_FORMAT, "reading timestamp authorities: there is no certificate (PEM)");
}

static int time_of(TS_RESP *reply, time_t *ret, struct hps_error *err)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(TS_TST_INFO_get_time(TS_RESP_get_tst_info(reply)), &tm) != 1)
		return failed(err, HPS_E_FORMAT, "reading a timestamp: its time");
	*ret = timegm(&tm);
	return 0;
}

/* The context takes the store and the imprint. */
static int verify(TS_RESP *reply, X509_STORE *store, const struct hps_digest *imprint, struct hps_error *err)
{
	TS_VERIFY_CTX *context = TS_VERIFY_CTX_new();
	unsigned char *copy = OPENSSL_memdup(imprint->b, sizeof imprint->b);
	int r = 0;

	if (!context || !copy)
		abort();
	TS_VERIFY_CTX_set_flags(context, TS_VFY_VERSION | TS_VFY_SIGNATURE | TS_VFY_IMPRINT);
	TS_VERIFY_CTX_set_imprint(context, copy, sizeof imprint->b);
	TS_VERIFY_CTX_set_store(context, store);
	if (TS_RESP_verify_response(context, reply) != 1)
		r = failed(err, HPS_E_SIGNATURE, "checking a timestamp");
	TS_VERIFY_CTX_free(context);
	return r;
}

/* TS_VFY_IMPRINT compares digests of one algorithm; that the token's is the one we hash with is ours to see. */
static bool is_sha256(TS_RESP *reply)
{
	const ASN1_OBJECT *algorithm = NULL;

	X509_ALGOR_get0(&algorithm, NULL, NULL, TS_MSG_IMPRINT_get_algo(TS_TST_INFO_get_msg_imprint(TS_RESP_get_tst_info(reply))));
	return OBJ_obj2nid(algorithm) == NID_sha256;
}

static int check(TS_RESP *reply, const struct hps_digest *imprint, const char *pem, size_t pem_len, int64_t *ret_ns, struct hps_error *err)
{
	X509_STORE *store;
	time_t when = 0;
	int r = check_status(reply, err);

	if (!r && !is_sha256(reply))
		r = hps_error_set(err, HPS_E_FORMAT, "checking a timestamp: it is not over a SHA-256");
	if (!r)
		r = time_of(reply, &when, err);
	if (r)
		return r;
	store = X509_STORE_new();
	if (!store)
		abort();
	X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), when);
	r = read_authorities(pem, pem_len, store, err);
	if (r) {
		X509_STORE_free(store);
		return r;
	}
	*ret_ns = (int64_t)when * 1000000000;
	return verify(reply, store, imprint, err);
}

int hps_timestamp_check(const void *der, size_t der_len, const void *data, size_t len, const char *authorities, size_t authorities_len, int64_t *ret_ns,
			struct hps_error *err)
{
	struct hps_digest imprint;
	TS_RESP *reply;
	int r = decode_reply(der, der_len, &reply, err);

	if (r)
		return r;
	hps_digest_of(data, len, &imprint);
	r = check(reply, &imprint, authorities, authorities_len, ret_ns, err);
	TS_RESP_free(reply);
	return r;
}
