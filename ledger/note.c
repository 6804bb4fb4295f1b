/* Signed notes and verifier keys: C2SP signed-note 1.0.0, and the cosignatures of tlog-cosignature 1.0.1 (type 0x04). What a
 * note's text means is not known here. */
#include "ledger/ledger.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define DASH "\xe2\x80\x94" /* U+2014 */

/* ---- verifier keys ---- */

void hps_vkey_release(struct hps_vkey *v)
{
	if (v->former)
		hps_vkey_release(v->former);
	free(v->former);
	free(v->handover);
	free(v->name);
	hps_key_free(v->key);
	memset(v, 0, sizeof *v);
}

/* The line feed of the id is what keeps a name from running into a key. */
static void hash_key(const char *name, const void *tagged_key, size_t len, struct hps_digest *ret)
{
	struct hps_sha256 *h = hps_sha256_new();

	hps_sha256_update(h, name, strlen(name));
	hps_sha256_update(h, "\n", 1);
	hps_sha256_update(h, tagged_key, len);
	hps_sha256_final(h, ret);
	hps_sha256_free(h);
}

static void vkey_id(const char *name, const void *tagged_key, size_t len, uint8_t id[4])
{
	struct hps_digest d;

	hash_key(name, tagged_key, len, &d);
	memcpy(id, d.b, 4);
}

void hps_note_key_hash(const char *name, uint8_t algorithm, const struct hps_key *key, struct hps_digest *ret)
{
	uint8_t tagged[33] = { algorithm };

	hps_key_raw(key, tagged + 1);
	hash_key(name, tagged, sizeof tagged, ret);
}

/* Unicode white space in UTF-8; a name with any of it would not survive the signature line. */
static bool has_space(const char *name)
{
	static const char *const spaces[] = { "\t", "\n", "\v", "\f", "\r", " ", "\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80",
		"\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
		"\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80" };

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		if (strstr(name, spaces[i]))
			return true;
	return false;
}

static bool is_text(const char *text, size_t len)
{
	_cleanup_json_ json_t *utf8 = json_stringn(text, len); /* NULL unless valid UTF-8 */

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 && text[i] != '\n')
			return false;
	return utf8 != NULL;
}

bool hps_note_name_ok(const char *name)
{
	return *name && !strchr(name, '+') && !has_space(name) && is_text(name, strlen(name));
}

static char *format_vkey(const char *name, uint8_t algorithm, const struct hps_key *key)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	uint8_t tagged[33] = { algorithm }, id[4];
	char hex[9];

	hps_key_raw(key, tagged + 1);
	vkey_id(name, tagged, sizeof tagged, id);
	hps_hex(hex, id, sizeof id);
	hps_buf_addf(&text, "%s+%s+", name, hex);
	hps_base64(&text, tagged, sizeof tagged);
	return hps_buf_take(&text);
}

char *hps_vkey_format(const char *name, const struct hps_key *key)
{
	return format_vkey(name, HPS_NOTE_ED25519, key);
}

char *hps_vkey_format_cosigner(const char *name, const struct hps_key *key)
{
	return format_vkey(name, HPS_NOTE_COSIGNATURE, key);
}

int hps_vkey_parse(const char *text, struct hps_vkey *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf tagged = HPS_BUF_INIT;
	_cleanup_free_ char *name = NULL, *digits = NULL;
	const char *hex = strchr(text, '+');
	uint8_t id[4], expected[4];
	int r;

	if (!hex || strlen(hex) < 10 || hex[9] != '+')
		return hps_error_set(err, HPS_E_FORMAT, "reading the verifier key '%s': it is not NAME+ID+KEY", text);
	name = hps_strndup(text, (size_t)(hex - text));
	digits = hps_strndup(hex + 1, 8);
	if (!hps_note_name_ok(name) || hps_unhex(id, sizeof id, digits) || hps_unbase64(&tagged, hex + 10, strlen(hex + 10), false))
		return hps_error_set(err, HPS_E_FORMAT, "reading the verifier key '%s': it is not NAME+ID+KEY", text);
	vkey_id(name, tagged.data, tagged.len, expected);
	if (memcmp(id, expected, sizeof id) != 0)
		return hps_error_set(err, HPS_E_FORMAT, "reading the verifier key '%s': its id does not fit its name and key", text);
	if (tagged.len != 33 || (tagged.data[0] != HPS_NOTE_ED25519 && tagged.data[0] != HPS_NOTE_COSIGNATURE))
		return hps_error_set(err, HPS_E_FORMAT, "reading the verifier key '%s': only Ed25519 keys (types 1 and 4) are known here", text);
	r = hps_key_from_ed25519((const uint8_t *)tagged.data + 1, &ret->key, err);
	if (r)
		return r;
	ret->algorithm = (uint8_t)tagged.data[0];
	memcpy(ret->id, id, sizeof id);
	ret->name = hps_take(name);
	return 0;
}

/* ---- notes ---- */

static void add_line(struct hps_buf *out, const char *name, const struct hps_buf *sig)
{
	hps_buf_addf(out, DASH " %s ", name);
	hps_base64(out, sig->data, sig->len);
	hps_buf_addc(out, '\n');
}

static void add_id(struct hps_buf *sig, const char *name, uint8_t algorithm, const struct hps_key *key)
{
	uint8_t tagged[33] = { algorithm }, id[4];

	hps_key_raw(key, tagged + 1);
	vkey_id(name, tagged, sizeof tagged, id);
	hps_buf_add(sig, id, sizeof id);
}

void hps_note_add(struct hps_buf *note, const struct hps_vkey *v, const struct hps_buf *sig)
{
	_cleanup_buf_ struct hps_buf tagged = HPS_BUF_INIT;

	hps_buf_add(&tagged, v->id, sizeof v->id);
	hps_buf_add(&tagged, sig->data, sig->len);
	add_line(note, v->name, &tagged);
}

int hps_note_sign(const char *text, const char *name, const struct hps_key *key, struct hps_buf *out, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf sig = HPS_BUF_INIT;
	int r;

	add_id(&sig, name, HPS_NOTE_ED25519, key);
	r = hps_key_sign(key, text, strlen(text), &sig, err);
	if (r)
		return r;
	hps_buf_addf(out, "%s\n", text);
	add_line(out, name, &sig);
	return 0;
}

/* What a cosignature signs: when, and the text. */
static void cosigned(uint64_t time, const char *text, size_t text_len, struct hps_buf *out)
{
	hps_buf_addf(out, "cosignature/v1\ntime %llu\n", (unsigned long long)time);
	hps_buf_add(out, text, text_len);
}

int hps_note_cosign(const char *text, size_t text_len, const char *name, const struct hps_key *key, uint64_t time, struct hps_buf *out, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf sig = HPS_BUF_INIT, message = HPS_BUF_INIT;
	uint64_t big = htobe64(time);
	int r;

	cosigned(time, text, text_len, &message);
	add_id(&sig, name, HPS_NOTE_COSIGNATURE, key);
	hps_buf_add(&sig, &big, sizeof big);
	r = hps_key_sign(key, message.data, message.len, &sig, err);
	if (!r)
		add_line(out, name, &sig);
	return r;
}

/* Gives the time, which a verifier has to find plausible: not 0, and what peers can hold. */
static int verify_cosignature(const struct hps_vkey *v, const char *text, size_t text_len, const uint8_t *sig, size_t len, uint64_t *ret_time,
			      struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf message = HPS_BUF_INIT;
	uint64_t time;

	if (len != 72)
		return hps_error_set(err, HPS_E_SIGNATURE, "reading a note: a cosignature has 72 bytes, not %zu", len);
	memcpy(&time, sig, sizeof time);
	*ret_time = be64toh(time);
	if (!*ret_time || *ret_time > INT64_MAX)
		return hps_error_set(err, HPS_E_SIGNATURE, "reading a note: a cosignature has no time");
	cosigned(*ret_time, text, text_len, &message);
	return hps_key_verify(v->key, message.data, message.len, sig + 8, 64, err);
}

struct line {
	char *name;
	struct hps_buf sig; /* key id and signature */
};

static void release_line(struct line *l)
{
	free(l->name);
	hps_buf_release(&l->sig);
}

/* "— NAME BASE64" without its line feed. */
static int parse_line(const char *text, size_t len, struct line *ret)
{
	static const char start[] = DASH " ";
	const char *end = text + len, *space;

	if (len < sizeof start - 1 || memcmp(text, start, sizeof start - 1) != 0)
		return HPS_E_FORMAT;
	text += sizeof start - 1;
	space = memchr(text, ' ', (size_t)(end - text));
	if (!space)
		return HPS_E_FORMAT;
	ret->name = hps_strndup(text, (size_t)(space - text));
	if (!hps_note_name_ok(ret->name) || hps_unbase64(&ret->sig, space + 1, (size_t)(end - space - 1), false) || ret->sig.len < 5)
		return HPS_E_FORMAT;
	return 0;
}

/* 1: a known key signed; 0: nobody we know; negative: a known key's signature is wrong. */
static int check_line(const struct line *l, const char *text, size_t text_len, const struct hps_vkey *known, size_t n_known, uint64_t *times,
		      struct hps_error *err)
{
	for (size_t i = 0; i < n_known; i++) {
		const struct hps_vkey *v = &known[i];
		const uint8_t *sig = (const uint8_t *)l->sig.data + 4;
		size_t len = l->sig.len - 4;
		uint64_t time = 1;
		int r;

		if (strcmp(v->name, l->name) != 0 || memcmp(v->id, l->sig.data, sizeof v->id) != 0)
			continue;
		if (v->algorithm == HPS_NOTE_COSIGNATURE)
			r = verify_cosignature(v, text, text_len, sig, len, &time, err);
		else
			r = hps_key_verify(v->key, text, text_len, sig, len, err);
		if (!r && times && times[i] < time)
			times[i] = time;
		return r ? r : 1;
	}
	return 0;
}

/* Where the text ends: behind the line feed before the last empty line. 0: there is none. */
static size_t text_end(const char *note, size_t len)
{
	for (size_t i = len; i >= 2; i--)
		if (note[i - 1] == '\n' && note[i - 2] == '\n')
			return i - 1;
	return 0;
}

int hps_note_open(const char *note, size_t len, const struct hps_vkey *known, size_t n_known, size_t *ret_text_len, struct hps_error *err)
{
	return hps_note_signers(note, len, known, n_known, NULL, ret_text_len, err);
}

int hps_note_signers(const char *note, size_t len, const struct hps_vkey *known, size_t n_known, uint64_t *ret_times, size_t *ret_text_len,
		     struct hps_error *err)
{
	size_t text_len, at, n_lines = 0;
	bool signed_by_known = false;

	if (ret_times)
		memset(ret_times, 0, n_known * sizeof *ret_times);
	if (len > HPS_NOTE_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "reading a note: %zu bytes are more than the %zu allowed", len, HPS_NOTE_MAX);
	text_len = len ? text_end(note, len) : 0;
	if (!text_len || note[len - 1] != '\n' || text_len + 1 == len || !is_text(note, len))
		return hps_error_set(err, HPS_E_FORMAT, "reading a note: it is not text with signature lines");
	for (at = text_len + 1; at < len;) {
		const char *end = memchr(note + at, '\n', len - at); /* there: the note ends in one */
		_cleanup_(release_line) struct line line = { NULL, HPS_BUF_INIT };
		int r;

		if (++n_lines > HPS_NOTE_SIGNATURES_MAX || parse_line(note + at, (size_t)(end - note) - at, &line))
			return hps_error_set(err, HPS_E_FORMAT, "reading a note: line %zu of the signatures is not one", n_lines);
		r = check_line(&line, note, text_len, known, n_known, ret_times, err);
		if (r < 0)
			return hps_error_set(err, HPS_E_SIGNATURE, "reading a note: the signature of '%s' does not verify", line.name);
		signed_by_known |= r;
		at = (size_t)(end - note) + 1;
	}
	if (!signed_by_known)
		return hps_error_set(err, HPS_E_SIGNATURE, "reading a note: no trusted key has signed it");
	*ret_text_len = text_len;
	return 0;
}

int hps_note_signature(const char *note, size_t len, const struct hps_vkey *v, struct hps_buf *out, struct hps_error *err)
{
	size_t text_len = len ? text_end(note, len) : 0;

	for (size_t at = text_len + 1; text_len && at < len;) {
		const char *end = memchr(note + at, '\n', len - at);
		_cleanup_(release_line) struct line line = { NULL, HPS_BUF_INIT };

		if (!end || parse_line(note + at, (size_t)(end - note) - at, &line))
			break;
		if (!strcmp(line.name, v->name) && !memcmp(line.sig.data, v->id, sizeof v->id)) {
			hps_buf_add(out, line.sig.data + 4, line.sig.len - 4);
			return 0;
		}
		at = (size_t)(end - note) + 1;
	}
	return hps_error_set(err, HPS_E_NOTFOUND, "reading a note: '%s' has not signed it", v->name);
}
