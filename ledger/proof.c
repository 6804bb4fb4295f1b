/* Proofs of inclusion as files (C2SP tlog-proof v1): index, hashes from the leaf's sibling up, and the checkpoint they lead to. */
#include "ledger/ledger.h"

#include <string.h>

#define PROOF_FIRST "c2sp.org/tlog-proof@v1\n"
#define EXTRA_MAX ((size_t)1 << 20)

void hps_tlog_proof_release(struct hps_tlog_proof *p)
{
	hps_buf_release(&p->extra);
	hps_buf_release(&p->note);
}

void hps_tlog_proof_write(const struct hps_tlog_proof *p, struct hps_buf *out)
{
	hps_buf_adds(out, PROOF_FIRST);
	if (p->has_extra) {
		hps_buf_adds(out, "extra ");
		hps_base64(out, p->extra.data, p->extra.len);
		hps_buf_addc(out, '\n');
	}
	hps_buf_addf(out, "index %llu\n", (unsigned long long)p->index);
	for (unsigned i = 0; i < p->proof.n; i++) {
		hps_base64(out, p->proof.hash[i].b, HPS_DIGEST_LEN);
		hps_buf_addc(out, '\n');
	}
	hps_buf_addc(out, '\n');
	hps_buf_add(out, p->note.data, p->note.len);
}

static int malformed(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_FORMAT, "reading a tlog-proof: %s", what);
}

/* The line at *at, which is moved behind its line feed; false at the end. */
static bool take_line(const char **at, const char *end, const char **ret, size_t *ret_len)
{
	const char *feed = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;

	if (!feed)
		return false;
	*ret = *at;
	*ret_len = (size_t)(feed - *at);
	*at = feed + 1;
	return true;
}

/* The words behind `start`, or NULL. */
static const char *behind(const char *line, size_t len, const char *start)
{
	size_t n = strlen(start);

	return len >= n && !memcmp(line, start, n) ? line + n : NULL;
}

static int read_index(const char *line, size_t len, struct hps_tlog_proof *ret, struct hps_error *err)
{
	const char *number = behind(line, len, "index ");
	_cleanup_free_ char *text = number ? hps_strndup(number, len - (size_t)(number - line)) : NULL;

	if (!text || hps_parse_u64(text, HPS_LEDGER_SIZE_MAX, &ret->index))
		return malformed(err, "there is no line 'index NUMBER'");
	return 0;
}

static int read_hash(const char *line, size_t len, struct hps_tlog_proof *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf hash = HPS_BUF_INIT;

	if (ret->proof.n == HPS_PROOF_MAX)
		return malformed(err, "it has more hashes than any tree is high");
	if (hps_unbase64(&hash, line, len, false) || hash.len != HPS_DIGEST_LEN)
		return malformed(err, "a line is not a hash in base64");
	memcpy(ret->proof.hash[ret->proof.n++].b, hash.data, HPS_DIGEST_LEN);
	return 0;
}

static int read_proof(const char *at, const char *end, struct hps_tlog_proof *ret, struct hps_error *err)
{
	const char *line, *extra;
	size_t len;
	int r;

	if (memchr(at, '\0', (size_t)(end - at)))
		return malformed(err, "it has a NUL in it");
	if (!(at = behind(at, (size_t)(end - at), PROOF_FIRST)))
		return malformed(err, "it does not begin with 'c2sp.org/tlog-proof@v1'");
	if (!take_line(&at, end, &line, &len))
		return malformed(err, "it is cut short");
	extra = behind(line, len, "extra ");
	if (extra) {
		if (len > EXTRA_MAX || hps_unbase64(&ret->extra, extra, len - (size_t)(extra - line), false))
			return malformed(err, "its extra data are not base64");
		ret->has_extra = true;
		if (!take_line(&at, end, &line, &len))
			return malformed(err, "it is cut short");
	}
	r = read_index(line, len, ret, err);
	while (!r) {
		if (!take_line(&at, end, &line, &len))
			return malformed(err, "it is cut short");
		if (!len)
			break;
		r = read_hash(line, len, ret, err);
	}
	if (!r && at == end)
		return malformed(err, "it has no checkpoint");
	if (!r)
		hps_buf_add(&ret->note, at, (size_t)(end - at));
	return r;
}

int hps_tlog_proof_read(const char *text, size_t len, struct hps_tlog_proof *ret, struct hps_error *err)
{
	int r;

	if (len > HPS_NOTE_MAX + 2 * EXTRA_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "reading a tlog-proof: %zu bytes are too many", len);
	r = read_proof(len ? text : "", len ? text + len : "", ret, err);
	if (r) {
		hps_tlog_proof_release(ret);
		*ret = (struct hps_tlog_proof)HPS_TLOG_PROOF_INIT;
	}
	return r;
}

int hps_tlog_proof_check(const struct hps_tlog_proof *p, const struct hps_policy *policy, const void *leaf, size_t len, uint64_t now, uint64_t max_age,
			 struct hps_checkpoint *ret, struct hps_error *err)
{
	struct hps_digest hash;
	int r = hps_policy_check(policy, p->note.data, p->note.len, now, max_age, ret, err);

	if (r)
		return r;
	hps_merkle_leaf(leaf, len, &hash);
	r = hps_merkle_check_inclusion(p->index, ret->size, &hash, p->proof.hash, p->proof.n, &ret->root, err);
	if (r)
		hps_checkpoint_release(ret);
	return r;
}
