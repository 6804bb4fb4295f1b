/* Bytes as text: lossless paths, safe terminals, hex, base64. */
#include "core/core.h"

#include <errno.h>
#include <string.h>

/* Length of the valid UTF-8 sequence at s (RFC 3629: no overlong forms, no surrogates), 0 when there is none. */
static size_t utf8_length(const uint8_t *s, size_t len, uint32_t *ret_code)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} form[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

	for (size_t n = 0; n < ARRAY_SIZE(form) && n < len; n++) {
		uint32_t code = s[0] & (uint8_t)~form[n].mask;

		if ((s[0] & form[n].mask) != form[n].lead)
			continue;
		for (size_t i = 1; i <= n; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (s[i] & 0x3f);
		}
		if (code < form[n].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return 0;
		*ret_code = code;
		return n + 1;
	}
	return 0;
}

void hps_path_escape(struct hps_buf *out, const char *path, size_t len)
{
	const uint8_t *s = (const uint8_t *)path;
	uint32_t code;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_length(s + i, len - i, &code);
		if (!n) {
			n = 1;
			hps_buf_addf(out, "\\x%02x", s[i]);
		} else if (s[i] == '\\') {
			hps_buf_add(out, "\\\\", 2);
		} else {
			hps_buf_add(out, path + i, n);
		}
	}
}

void hps_url_escape(struct hps_buf *out, const char *path)
{
	static const char as_it_is[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";

	for (; *path; path++)
		if (strchr(as_it_is, *path))
			hps_buf_addc(out, *path);
		else
			hps_buf_addf(out, "%%%02X", (unsigned char)*path);
}

json_t *hps_path_json(const char *path)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	hps_path_escape(&text, path, strlen(path));
	return json_stringn(text.data ? text.data : "", text.len);
}

int hps_path_unescape(const char *text, struct hps_buf *out, struct hps_error *err)
{
	for (const char *s = text; *s; s++) {
		char byte[3] = { 0 };
		uint8_t x;

		if (*s != '\\') {
			hps_buf_addc(out, *s);
		} else if (s[1] == '\\') {
			hps_buf_addc(out, *++s);
		} else if (s[1] == 'x' && s[2] && s[3] && (memcpy(byte, s + 2, 2), hps_unhex(&x, 1, byte) == 0)) {
			hps_buf_addc(out, (char)x);
			s += 3;
		} else {
			return hps_error_set(err, HPS_E_FORMAT, "reading the path '%s': a backslash that escapes nothing", text);
		}
	}
	return 0;
}

/* Controls, and the code points that reorder or hide what stands beside them (Unicode bidi controls, zero-width, tags). */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0x61c || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

void hps_term_escape(struct hps_buf *out, const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text;
	uint32_t code = 0;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_length(s + i, len - i, &code);
		if (!n || (n == 1 && is_unsafe(code))) {
			n = 1;
			hps_buf_addf(out, "\\x%02x", s[i]);
		} else if (is_unsafe(code)) {
			hps_buf_addf(out, "\\u{%x}", code);
		} else {
			hps_buf_add(out, text + i, n);
		}
	}
}

bool hps_is_text(const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text;
	uint32_t code = 0;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_length(s + i, len - i, &code);
		if (!n || code < 0x20 || code == 0x7f)
			return false;
	}
	return true;
}

void hps_hex(char *out, const void *data, size_t len)
{
	const uint8_t *s = data;

	for (size_t i = 0; i < len; i++) {
		*out++ = "0123456789abcdef"[s[i] >> 4];
		*out++ = "0123456789abcdef"[s[i] & 15];
	}
	*out = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hps_unhex(void *out, size_t len, const char *hex)
{
	uint8_t *to = out;

	if (strnlen(hex, 2 * len + 1) != 2 * len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hps_base64(struct hps_buf *out, const void *data, size_t len)
{
	char *to = hps_buf_reserve(out, (len + 2) / 3 * 4);
	const uint8_t *s = data;

	for (size_t i = 0; to && i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t x = (uint32_t)s[i] << 16 | (n > 1 ? (uint32_t)s[i + 1] << 8 : 0) | (n > 2 ? s[i + 2] : 0);

		for (size_t k = 0; k < 4; k++)
			out->data[out->len++] = k <= n ? base64_digits[x >> (18 - 6 * k) & 63] : '=';
	}
	if (to)
		out->data[out->len] = '\0';
}

static int base64_value(char c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' || (url && c == '-') ? 62 : c == '/' || (url && c == '_') ? 63 : -1;
}

/* What is not base64 leaves `out` as it was. */
int hps_unbase64(struct hps_buf *out, const char *text, size_t len, bool url)
{
	char *to = hps_buf_reserve(out, len / 4 * 3);
	size_t n = 0;

	if (len % 4)
		return -EINVAL;
	for (size_t i = 0; i < len; i += 4) {
		size_t pad = i + 4 < len || text[i + 3] != '=' ? 0 : text[i + 2] == '=' ? 2 : 1;
		uint32_t x = 0;

		for (size_t k = 0; k < 4; k++) {
			int v = k < 4 - pad ? base64_value(text[i + k], url) : 0;

			if (v < 0)
				return -EINVAL;
			x = x << 6 | (uint32_t)v;
		}
		if ((pad == 1 && x & 0xff) || (pad == 2 && x & 0xffff))
			return -EINVAL;
		for (size_t k = 0; to && k < 3 - pad; k++)
			to[n++] = (char)(x >> (16 - 8 * k));
	}
	if (to) {
		out->len += n;
		out->data[out->len] = '\0';
	}
	return 0;
}
