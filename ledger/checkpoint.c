/* Checkpoints: the signed size and root of the tree (C2SP tlog-checkpoint 1.0.0). */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

void hps_checkpoint_release(struct hps_checkpoint *c)
{
	free(c->origin);
	c->origin = NULL;
}

int hps_checkpoint_sign(const struct hps_checkpoint *c, const struct hps_key *key, struct hps_buf *out, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	hps_buf_addf(&text, "%s\n%llu\n", c->origin, (unsigned long long)c->size);
	hps_base64(&text, c->root.b, sizeof c->root.b);
	hps_buf_addc(&text, '\n');
	return hps_note_sign(text.data, c->origin, key, out, err);
}

/* The line at *at without its line feed, as a string; NULL when there is none. */
static char *take_line(const char *text, size_t len, size_t *at)
{
	const char *start = text + *at, *end = *at < len ? memchr(start, '\n', len - *at) : NULL;

	if (!end)
		return NULL;
	*at = (size_t)(end - text) + 1;
	return hps_strndup(start, (size_t)(end - start));
}

int hps_checkpoint_parse(const char *text, size_t len, struct hps_checkpoint *ret, struct hps_error *err)
{
	_cleanup_free_ char *origin = NULL, *size = NULL, *root = NULL;
	_cleanup_buf_ struct hps_buf hash = HPS_BUF_INIT;
	size_t at = 0;
	uint64_t n;

	if (memchr(text, '\0', len)) /* it would end a line of ours before its line feed */
		return hps_error_set(err, HPS_E_FORMAT, "reading a checkpoint: it has a NUL in it");
	origin = take_line(text, len, &at);
	size = take_line(text, len, &at);
	root = take_line(text, len, &at);
	if (!origin || !size || !root || !*origin)
		return hps_error_set(err, HPS_E_FORMAT, "reading a checkpoint: it is not origin, size and root, a line each");
	if (at != len)
		return hps_error_set(err, HPS_E_FORMAT, "reading a checkpoint: there are lines after the root");
	if (hps_parse_u64(size, HPS_LEDGER_SIZE_MAX, &n))
		return hps_error_set(err, HPS_E_FORMAT, "reading a checkpoint: '%s' is not a size", size);
	if (hps_unbase64(&hash, root, strlen(root), false) || hash.len != HPS_DIGEST_LEN)
		return hps_error_set(err, HPS_E_FORMAT, "reading a checkpoint: '%s' is not a root hash", root);
	ret->origin = hps_take(origin);
	ret->size = n;
	memcpy(ret->root.b, hash.data, HPS_DIGEST_LEN);
	return 0;
}

static int open_by(const char *note, size_t len, const struct hps_vkey *log, struct hps_checkpoint *ret, struct hps_error *err)
{
	size_t text_len;
	int r = hps_note_open(note, len, log, 1, &text_len, err);

	if (r)
		return r;
	r = hps_checkpoint_parse(note, text_len, ret, err);
	if (r)
		return r;
	if (!strcmp(ret->origin, log->name))
		return 0;
	r = hps_error_set(err, HPS_E_SIGNATURE, "reading a checkpoint: it is of the log '%s', not of '%s'", ret->origin, log->name);
	hps_checkpoint_release(ret);
	return r;
}

int hps_checkpoint_open_any(const char *note, size_t len, const struct hps_vkey *log, struct hps_checkpoint *ret, bool *ret_beyond, struct hps_error *err)
{
	int r = open_by(note, len, log, ret, err);

	*ret_beyond = false;
	for (; r == HPS_E_SIGNATURE && log->former; log = log->former) {
		if (open_by(note, len, log->former, ret, NULL))
			continue;
		if (err)
			hps_error_release(err);
		*ret_beyond = ret->size > log->former_until;
		return 0;
	}
	return r;
}

int hps_checkpoint_open(const char *note, size_t len, const struct hps_vkey *log, struct hps_checkpoint *ret, struct hps_error *err)
{
	struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	bool beyond;
	int r = hps_checkpoint_open_any(note, len, log, &c, &beyond, err);

	if (!r && beyond) {
		r = hps_error_set(err, HPS_E_SIGNATURE, "reading a checkpoint: a former key of '%s' has signed it, which had been replaced at fewer than %llu entries", log->name,
				  (unsigned long long)c.size);
		hps_checkpoint_release(&c);
	}
	if (!r)
		*ret = c;
	return r;
}
