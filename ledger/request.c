/* What a writer hands to whoever holds the lock, and the entry that is made of it. A request begins with the writer's key id; then, for
 * each statement, its kind and what goes with it. An answer has for each statement its id and its index. */
#include "ledger/ledger.h"

#include <string.h>

void hps_request_put(struct hps_buf *b, const void *data, size_t len)
{
	uint64_t n = len;

	hps_buf_add(b, &n, sizeof n);
	hps_buf_add(b, data, len);
}

bool hps_request_take(const struct hps_buf *b, size_t *at, const void **ret, size_t *ret_len)
{
	uint64_t n;

	if (b->len - *at < sizeof n)
		return false;
	memcpy(&n, b->data + *at, sizeof n);
	*at += sizeof n;
	if (b->len - *at < n)
		return false;
	*ret = b->data + *at;
	*ret_len = n;
	*at += n;
	return true;
}

int hps_request_check(const struct hps_buf *payload, struct hps_error *err)
{
	if (payload->len > HPS_ENVELOPE_MAX / 2)
		return hps_error_set(err, HPS_E_LIMIT, "a statement of %zu bytes is over the limit of %zu", payload->len, HPS_ENVELOPE_MAX / 2);
	return 0;
}

void hps_made_release(struct hps_made *m)
{
	hps_buf_release(&m->leaf);
	hps_buf_release(&m->envelope);
}

int hps_request_sign(struct hps_ledger *l, const struct hps_buf *payload, struct hps_made *m, struct hps_error *err)
{
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	int r = hps_request_check(payload, err);

	if (!r)
		r = hps_envelope_sign(HPS_PAYLOAD_TYPE, payload->data, payload->len, l->statement_key, &e, err);
	if (r)
		return r;
	hps_envelope_id(&e, &m->e.id);
	hps_envelope_write(&e, &m->envelope);
	hps_leaf_write(&m->e.id, &e.signature, l->statement_key, &m->leaf);
	return hps_digest_parse(l->keyid, &m->e.keyid);
}
