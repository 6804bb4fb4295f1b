/* .npz and other zip archives: a member that is a .npy is an array, any other is bytes; nothing in it is executed. Times, order,
 * extra fields and packing do not matter. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

static int add_member(const struct hps_zip *z, const struct hps_zip_member *m, struct hps_tree *tree)
{
	size_t len = strlen(m->name);
	_cleanup_free_ char *name = NULL;
	const char *content;
	int r = hps_zip_content(z, m, tree, &content);

	if (r)
		return r;
	if (len <= 4 || strcmp(m->name + len - 4, ".npy") != 0)
		return hps_tree_add_text(tree, m->name, HPS_TEXT_BYTES, content, m->unpacked_len, z->err);
	name = hps_strndup(m->name, len - 4);
	r = hps_npy_decode(content, m->unpacked_len, name, tree, z->err);
	return r ? hps_error_prefix(z->err, "its member '%s'", name) : 0;
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct hps_zip z;
	int r = hps_zip_read(data, len, &z, err);

	for (size_t i = 0; !r && i < z.n; i++)
		r = add_member(&z, &z.members[i], ret);
	hps_zip_release(&z);
	return r;
}

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	return len >= 4 && (!memcmp(data, "PK\3\4", 4) || !memcmp(data, "PK\5\6", 4));
}

const struct hps_format hps_format_zip = { "zip", fits, decode };
