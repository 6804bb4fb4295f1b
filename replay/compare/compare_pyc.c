/* Compiled Python (PEP 552, Python 3.7 and later): what it was compiled from, and the code. Of a source that the trial wrote the time is a stamp.
 * The code is marshalled; it is compared as it is. */
#include "replay/compare/compare.h"

#include <string.h>

#define HEAD 16
#define MAGIC_LEAST 3392u /* the first with these sixteen bytes */
#define MAGIC_MOST 19999u /* Python 2 begins behind */

static int add_number(struct hps_tree *t, const char *place, uint64_t value, struct hps_error *err)
{
	char *text = hps_tree_keep(t, hps_format("%llu", (unsigned long long)value));
	struct hps_token token = { text, strlen(text) };

	return hps_tree_add_numbers(t, place, true, &token, 1, err);
}

static int add_source(struct hps_tree *t, const uint8_t *head, bool hashed, struct hps_error *err)
{
	uint64_t time = hps_bytes_le(head + 8, 4);
	int r;

	if (hashed)
		return hps_tree_add_text(t, "source hash", HPS_TEXT_BYTES, (const char *)head + 8, 8, err);
	r = add_number(t, "source time", time, err);
	if (!r && hps_mask_number(HPS_MASK_TIME, (double)time) == HPS_MASK_TIME)
		hps_tree_mark(t, HPS_MASK_TIME);
	return r ? r : add_number(t, "source size", hps_bytes_le(head + 12, 4), err);
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	const uint8_t *head = (const uint8_t *)data;
	uint64_t magic, flags;
	int r;

	if (len < HEAD)
		return hps_error_set(err, HPS_E_FORMAT, "it is shorter than its head");
	magic = hps_bytes_le(head, 2);
	flags = hps_bytes_le(head + 4, 4);
	if (magic < MAGIC_LEAST || magic > MAGIC_MOST || memcmp(head + 2, "\r\n", 2) || flags > 3 || flags == 2)
		return hps_error_set(err, HPS_E_FORMAT, "it is of no Python that is known");
	r = add_number(ret, "magic", magic, err);
	r = r ? r : add_number(ret, "flags", flags, err);
	r = r ? r : add_source(ret, head, flags & 1, err);
	return r ? r : hps_tree_add_text(ret, "code", HPS_TEXT_BYTES, data + HEAD, len - HEAD, err);
}

static bool fits(const char *path, const char *data, size_t len)
{
	const char *dot = strrchr(path, '.');

	return dot && !strcmp(dot, ".pyc") && len >= HEAD && !memcmp(data + 2, "\r\n", 2);
}

const struct hps_format hps_format_pyc = { "pyc", fits, decode };
