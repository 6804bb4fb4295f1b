/* Asking one witness to cosign a checkpoint (C2SP tlog-witness v1, the log's side). */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 3
#define ANSWER_MAX ((size_t)64 << 10)

static int build_request(struct hps_cosigner *a, uint64_t old, struct hps_buf *out, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_tiles_node, &a->tiles };
	struct hps_proof proof = { .n = 0 };
	int r = old ? hps_merkle_prove_consistency(&source, old, a->c->size, &proof, err) : 0;

	if (r)
		return r;
	hps_buf_addf(out, "old %llu\n", (unsigned long long)old);
	for (unsigned i = 0; i < proof.n; i++) {
		hps_base64(out, proof.hash[i].b, HPS_DIGEST_LEN);
		hps_buf_addc(out, '\n');
	}
	hps_buf_addc(out, '\n');
	hps_buf_add(out, a->note->data, a->note->len);
	return 0;
}

/* The signature lines of the answer, of which only the witness's own is kept, after it was verified. */
static int take_signature(struct hps_cosigner *a, const struct hps_buf *lines, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	size_t text_len;
	int r;

	hps_buf_add(&note, a->note->data, a->note->len);
	hps_buf_add(&note, lines->data, lines->len);
	r = hps_note_open(note.data, note.len, &a->policy->keys[a->key], 1, &text_len, err);
	return r ? r : hps_note_signature(note.data, note.len, &a->policy->keys[a->key], &a->sig, err);
}

/* What the witness remembers of our log, if it shows it; signed by us, or it is worth nothing. */
static void fetch_theirs(struct hps_cosigner *a)
{
	struct hps_http_request request = { .max = HPS_NOTE_MAX, .timeout_ns = a->timeout_ns, .ca_file = a->ca_file };
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_free_ char *url = NULL;
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;
	bool beyond;

	hps_digest_of(a->c->origin, strlen(a->c->origin), &d);
	hps_digest_hex(&d, hex);
	url = hps_format("%s/%s/checkpoint", a->policy->urls[a->key], hex);
	if (hps_http(&request, url, &a->theirs, &reply, NULL) || hps_checkpoint_open_any(a->theirs.data ? a->theirs.data : "", a->theirs.len, a->log, &c, &beyond, NULL))
		hps_buf_reset(&a->theirs);
}

static int went_back(struct hps_cosigner *a, uint64_t size, struct hps_error *err)
{
	a->misbehaved = true;
	fetch_theirs(a);
	return hps_error_set(err, HPS_E_FALSE, "rollback: it has cosigned a tree of %llu entries, this ledger has %llu; somebody restored or rewrote it", (unsigned long long)size,
			     (unsigned long long)a->c->size);
}

static int forked(struct hps_cosigner *a, const struct hps_http_reply *reply, struct hps_error *err)
{
	a->misbehaved = true;
	fetch_theirs(a);
	return hps_error_set(err, HPS_E_FALSE, "fork: it remembers another history of this ledger (%.200s)", reply->refusal.len ? reply->refusal.data : "422");
}

/* 1: ask again with *old; 0: signed. */
static int ask_once(struct hps_cosigner *a, uint64_t *old, struct hps_error *err)
{
	struct hps_http_request request = { .max = ANSWER_MAX, .timeout_ns = a->timeout_ns, .ca_file = a->ca_file };
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT, answer = HPS_BUF_INIT;
	_cleanup_free_ char *url = hps_format("%s/add-checkpoint", a->policy->urls[a->key]), *size = NULL;
	int r = build_request(a, *old, &body, err);

	if (r)
		return r;
	request.body = body.data;
	request.body_len = body.len;
	r = hps_http(&request, url, &answer, &reply, err);
	if (r)
		return r;
	if (reply.status == 422)
		return forked(a, &reply, err);
	if (reply.status != 409) {
		r = hps_http_expect(&reply, url, err);
		return r ? r : take_signature(a, &answer, err);
	}
	size = hps_strndup(reply.refusal.data ? reply.refusal.data : "", strcspn(reply.refusal.data ? reply.refusal.data : "", "\n"));
	if (hps_parse_u64(size, INT64_MAX, old))
		return hps_error_set(err, HPS_E_FORMAT, "its answer names no size");
	return *old > a->c->size ? went_back(a, *old, err) : 1;
}

void *hps_cosigner_ask(void *arg)
{
	struct hps_cosigner *a = arg;
	uint64_t old = 0;
	int r = 1;

	for (unsigned i = 0; r == 1 && i < ROUNDS; i++)
		r = ask_once(a, &old, &a->error);
	if (r == 1)
		(void)hps_error_set(&a->error, HPS_E_UNDECIDED, "it remembers another size each time; who else asks it?");
	return NULL;
}
