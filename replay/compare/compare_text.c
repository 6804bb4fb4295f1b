/* Text and logs: lines. Whatever has a zero byte or is not UTF-8 is no text. */
#include "replay/compare/compare.h"

#include <string.h>

/* Length of the UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates), 0 when there is none. */
static size_t sequence(const unsigned char *p, size_t len)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;

	if (!n || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))
		return 0;
	return n;
}

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	for (size_t at = 0, n; at < len; at += n) {
		n = data[at] ? sequence((const unsigned char *)data + at, len - at) : 0;
		if (!n)
			return false;
	}
	return true;
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	size_t line = 1;

	for (size_t at = 0; at <= len; line++) {
		const char *end = memchr(data + at, '\n', len - at);
		size_t n = end ? (size_t)(end - data) - at : len - at;
		_cleanup_free_ char *place = hps_format("line %zu", line);
		int r;

		hps_tree_item(ret, strlen(place));
		r = hps_tree_add_text(ret, place, HPS_TEXT_LINE, data + at, n, err);
		if (r)
			return r;
		at += n + 1;
	}
	return 0;
}

const struct hps_format hps_format_text = { "text", fits, decode };
