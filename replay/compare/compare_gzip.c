/* .gz (RFC 1952), one member: what is inside is read as the file that it is, by its first bytes. When, how and under what name it was packed does not
 * matter. Formats that only a name tells are text there, those that a library of others reads are bytes. */
#include "replay/compare/compare.h"

#include <string.h>

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	return len > 18 && !memcmp(data, "\x1f\x8b\x08", 3);
}

static bool may_be_inside(const struct hps_format *f)
{
	return f != &hps_format_gzip && f != &hps_format_hdf5 && f != &hps_format_sqlite;
}

static int decode_inside(char *inside, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	const struct hps_format *f;

	for (size_t i = 0; (f = hps_format_at(i)); i++) {
		struct hps_tree tree = HPS_TREE_INIT;

		if (!may_be_inside(f) || !f->fits("", inside, len))
			continue;
		if (!f->decode(inside, len, &tree, NULL)) {
			*ret = tree;
			return 0;
		}
		hps_tree_release(&tree); /* what it had read before it gave up */
	}
	return hps_tree_add_text(ret, "content", HPS_TEXT_BYTES, inside, len, err);
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct hps_buf unpacked = HPS_BUF_INIT;
	char *inside;
	int r = fits("", data, len) ? hps_unpack_stream(data, len, &unpacked, err) : hps_error_set(err, HPS_E_FORMAT, "it does not begin as gzip does");

	len = unpacked.len;
	inside = hps_buf_take(&unpacked);
	inside = inside ? inside : hps_strdup("");
	r = r ? r : decode_inside(inside, len, ret, err);
	hps_tree_keep(ret, inside);
	return r;
}

const struct hps_format hps_format_gzip = { "gzip", fits, decode };
