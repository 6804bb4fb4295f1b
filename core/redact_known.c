/* Secrets that were seen under a name, to find them again where no name stands beside them: in a file name, a log, a header in
 * base64. Each is kept in the forms that programs usually give it; a form is found by its first eight bytes. */
#include "core/redact.h"

#include <stdlib.h>
#include <string.h>

#define LEAST 8
#define MOST ((size_t)16 << 10)
#define SECRETS_MAX 8192

struct form {
	char *text;
	size_t len;
	uint32_t secret, next; /* next: item + 1 of the same bucket */
};
struct hps_known {
	struct hps_known_secret *secrets;
	size_t n_secrets;
	struct form *forms;
	size_t n_forms;
	uint32_t buckets[1 << 16]; /* item + 1 */
};

struct hps_known *hps_known_new(void)
{
	return hps_alloc(sizeof(struct hps_known));
}

void hps_known_free(struct hps_known *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n_secrets; i++) {
		explicit_bzero(k->secrets[i].value, k->secrets[i].len);
		free(k->secrets[i].value);
		free(k->secrets[i].class);
	}
	for (size_t i = 0; i < k->n_forms; i++) {
		explicit_bzero(k->forms[i].text, k->forms[i].len);
		free(k->forms[i].text);
	}
	free(k->secrets);
	free(k->forms);
	free(k);
}

bool hps_known_none(const struct hps_known *k)
{
	return !k || !k->n_forms;
}

static uint32_t bucket_of(const char *s)
{
	uint64_t word;

	memcpy(&word, s, sizeof word);
	return (uint32_t)((word * 0x9e3779b97f4a7c15ull) >> 48);
}

/* Takes what is in b, and leaves b empty. */
static void add_form(struct hps_known *k, uint32_t secret, struct hps_buf *b)
{
	uint32_t *bucket;

	if (b->len >= LEAST) {
		bucket = &k->buckets[bucket_of(b->data)];
		for (uint32_t i = *bucket; i; i = k->forms[i - 1].next)
			if (k->forms[i - 1].len == b->len && !memcmp(k->forms[i - 1].text, b->data, b->len)) {
				hps_buf_reset(b);
				return;
			}
		k->forms = hps_grow(k->forms, k->n_forms, sizeof *k->forms);
		k->forms[k->n_forms] = (struct form){ .len = b->len, .secret = secret, .next = *bucket };
		k->forms[k->n_forms].text = hps_buf_take(b);
		*bucket = (uint32_t)++k->n_forms;
	}
	hps_buf_reset(b);
}

/* ---- forms ---- */

static void add_hex(struct hps_known *k, uint32_t i, const char *value, size_t len, struct hps_buf *b)
{
	for (int upper = 0; upper < 2; upper++) {
		for (size_t at = 0; at < len; at++)
			hps_buf_addf(b, upper ? "%02X" : "%02x", (unsigned char)value[at]);
		add_form(k, i, b);
	}
}

/* Inside of a longer text that is encoded as a whole, the value begins at one of three places of a group of four; of the characters at
 * either end that carry its neighbours' bits as well, none is part of the form. */
static void add_base64(struct hps_known *k, uint32_t i, const char *value, size_t len, struct hps_buf *b)
{
	for (size_t before = 0; before < 3; before++) {
		_cleanup_buf_ struct hps_buf plain = HPS_BUF_INIT, code = HPS_BUF_INIT;
		size_t first = (before * 8 + 5) / 6, end = (before + len) * 8 / 6;

		hps_buf_add(&plain, "\0\0", before);
		hps_buf_add(&plain, value, len);
		hps_base64(&code, plain.data, plain.len);
		hps_buf_add(b, code.data + first, end - first);
		add_form(k, i, b);
		for (size_t at = first; at < end; at++)
			hps_buf_addc(b, code.data[at] == '+' ? '-' : code.data[at] == '/' ? '_' : code.data[at]);
		add_form(k, i, b);
		explicit_bzero(plain.data, plain.len);
		explicit_bzero(code.data, code.len);
	}
}

/* Libraries differ in what they leave as it is, in the case of the digits, and in the space. */
static void add_percent(struct hps_known *k, uint32_t i, const char *value, size_t len, struct hps_buf *b)
{
	static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char *const kept[] = { "-_.~", "-_.~/", "-_.~!*'()", "-_.*", "" };

	for (size_t form = 0; form < ARRAY_SIZE(kept) * 4; form++) {
		const char *keep = kept[form / 4];

		for (size_t at = 0; at < len; at++) {
			char c = value[at];

			if (c && (strchr(keep, c) || (*keep && strchr(alnum, c))))
				hps_buf_addc(b, c);
			else if (c == ' ' && form & 2)
				hps_buf_addc(b, '+');
			else
				hps_buf_addf(b, form & 1 ? "%%%02X" : "%%%02x", (unsigned char)c);
		}
		add_form(k, i, b);
	}
}

/* The character at s and its length; a byte that is no UTF-8 stands for itself. */
static uint32_t character(const char *s, size_t len, size_t *ret_len)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t more = u[0] >= 0xf0 ? 3 : u[0] >= 0xe0 ? 2 : u[0] >= 0xc0 ? 1 : 0;
	uint32_t c = more ? u[0] & (0x3fu >> more) : u[0];

	*ret_len = 1;
	if (more >= len)
		return u[0];
	for (size_t i = 1; i <= more; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return u[0];
		c = c << 6 | (u[i] & 0x3f);
	}
	*ret_len = more + 1;
	return c;
}

/* One or two units of UTF-16. */
static size_t units_of(uint32_t c, uint16_t ret[2])
{
	if (c < 0x10000) {
		ret[0] = (uint16_t)c;
		return 1;
	}
	ret[0] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
	ret[1] = (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff));
	return 2;
}

static void add_utf16(struct hps_known *k, uint32_t i, const char *value, size_t len, struct hps_buf *b)
{
	for (int big = 0; big < 2; big++) {
		for (size_t at = 0, n; at < len; at += n) {
			uint16_t units[2];
			size_t count = units_of(character(value + at, len - at, &n), units);

			for (size_t u = 0; u < count; u++) {
				hps_buf_addc(b, (char)(big ? units[u] >> 8 : units[u] & 0xff));
				hps_buf_addc(b, (char)(big ? units[u] & 0xff : units[u] >> 8));
			}
		}
		add_form(k, i, b);
	}
}

/* As JSON, YAML and C strings; what else than quote, backslash and control characters is escaped, writers differ in. */
static void add_escaped(struct hps_known *k, uint32_t i, const char *value, size_t len, struct hps_buf *b)
{
	enum { SLASH = 1, ASCII = 2, MARKUP = 4, CAPITALS = 8, FORMS = 16 };
	static const char from[] = "\"\\\n\t\r\b\f", to[] = "\"\\ntrbf";

	for (unsigned form = 0; form < FORMS; form++) {
		for (size_t at = 0, n; at < len; at += n) {
			uint32_t c = character(value + at, len - at, &n);
			const char *brief = c && c < 128 ? strchr(from, (int)c) : NULL;
			uint16_t units[2];

			if (brief)
				hps_buf_addf(b, "\\%c", to[brief - from]);
			else if (c == '/' && form & SLASH)
				hps_buf_adds(b, "\\/");
			else if (c < 0x20 || (c >= 0x7f && form & ASCII) || (form & MARKUP && c && c < 128 && strchr("<>&'", (int)c)))
				for (size_t u = 0, count = units_of(c, units); u < count; u++)
					hps_buf_addf(b, form & CAPITALS ? "\\u%04X" : "\\u%04x", units[u]);
			else
				hps_buf_add(b, value + at, n);
		}
		add_form(k, i, b);
	}
}

void hps_known_add(struct hps_known *k, const char *class, const char *value, size_t len)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	uint32_t i = (uint32_t)k->n_secrets;

	if (len < LEAST || len > MOST || k->n_secrets >= SECRETS_MAX)
		return;
	hps_buf_add(&b, value, len);
	for (uint32_t f = k->buckets[bucket_of(value)]; f; f = k->forms[f - 1].next)
		if (k->forms[f - 1].len == len && !memcmp(k->forms[f - 1].text, value, len) && k->secrets[k->forms[f - 1].secret].len == len)
			return;
	k->secrets = hps_grow(k->secrets, k->n_secrets, sizeof *k->secrets);
	k->secrets[k->n_secrets++] =
		(struct hps_known_secret){ .class = hps_strdup(class), .value = hps_strndup(value, len), .len = len, .opaque = hps_rule_opaque(value, len) };
	add_form(k, i, &b);
	hps_path_escape(&b, value, len);
	add_form(k, i, &b);
	add_escaped(k, i, value, len, &b);
	add_percent(k, i, value, len, &b);
	add_hex(k, i, value, len, &b);
	add_base64(k, i, value, len, &b);
	add_utf16(k, i, value, len, &b);
}

size_t hps_known_at(const struct hps_known *k, const char *s, size_t len, const struct hps_known_secret **ret)
{
	size_t longest = 0;

	if (len < LEAST)
		return 0;
	for (uint32_t i = k->buckets[bucket_of(s)]; i; i = k->forms[i - 1].next) {
		const struct form *f = &k->forms[i - 1];

		if (f->len <= longest || f->len > len || memcmp(f->text, s, f->len) != 0)
			continue;
		longest = f->len;
		*ret = &k->secrets[f->secret];
	}
	return longest;
}

bool hps_known_begins(const struct hps_known *k, const char *s, size_t len)
{
	for (size_t i = 0; k && i < k->n_forms; i++)
		if (k->forms[i].len > len && !memcmp(k->forms[i].text, s, len))
			return true;
	return false;
}

void hps_known_pairs(const struct hps_known *k, uint8_t pairs[8192])
{
	for (size_t i = 0; k && i < k->n_forms; i++) {
		unsigned pair = (unsigned)(uint8_t)k->forms[i].text[0] << 8 | (uint8_t)k->forms[i].text[1];

		pairs[pair >> 3] |= (uint8_t)(1 << (pair & 7));
	}
}
