/* What an item of a manifest says. Manifests are untrusted: what is not there, or is not what it should be, is not known. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

int64_t hps_item_ns(const json_t *item, const char *name)
{
	const char *text = hps_json_text(item, name);
	int64_t ns;

	return text && !hps_parse_i64(text, 0, INT64_MAX, &ns) ? ns : -1;
}

mode_t hps_item_mode(const json_t *item)
{
	const char *text = hps_json_text(item, "mode");
	mode_t mode = 0;

	for (; text && *text; text++) {
		if (*text < '0' || *text > '7' || mode > 07777)
			return 0;
		mode = mode * 8 + (mode_t)(*text - '0');
	}
	return mode & 07777;
}

bool hps_item_deleted(const json_t *product)
{
	const char *state = hps_json_text(product, "state");

	return state && !strcmp(state, "deleted");
}

/* A before that is an object carries a digest; it may also be the digest in hex. */
const char *hps_item_before(const json_t *product)
{
	const json_t *before = hps_json_at(product, "before", NULL);

	return json_is_string(before) ? json_string_value(before) : hps_json_text(before, "sha256");
}

/* A file that was opened for writing only, or for both: that is one in older records. What was changed and read then is the trial's own there.
 * One that was not changed must say so itself. */
bool hps_item_unread(const json_t *item, bool changed)
{
	const json_t *uses = hps_json_at(item, "uses", NULL), *use;
	size_t i;

	if (!changed && !json_array_size(uses))
		return false;
	json_array_foreach((json_t *)(uintptr_t)uses, i, use)
		if (!json_is_string(use) || strcmp(json_string_value(use), "write") != 0)
			return false;
	return true;
}

int64_t hps_item_beginning(const json_t *item, const char *hex)
{
	const char *whole = hps_json_text(hps_json_at(item, "digest", NULL), "sha256");

	return whole && !strcmp(whole, hex) ? hps_json_int(item, "size", -1) : -1;
}

/* Nine numbers, the first octal; then, of a symlink, where it leads. */
static bool parse_attributes(char *text, struct hps_attributes *ret, char **ret_target)
{
	int64_t v[9];
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		end = text + strcspn(text, " ");
		*ret_target = *end ? end + 1 : NULL;
		*end = '\0';
		if (i ? hps_parse_i64(text, 0, INT64_MAX, &v[i]) : *text < '0' || *text > '7')
			return false;
		if (!i)
			v[i] = (int64_t)strtoul(text, NULL, 8);
		text = *ret_target ? *ret_target : end;
	}
	*ret = (struct hps_attributes){ (mode_t)v[0], (uid_t)v[2], (gid_t)v[3], v[1], v[4], v[5], v[6], v[7], v[8] };
	return v[0] > 0 && v[0] <= 0177777;
}

bool hps_item_attributes(const json_t *item, struct hps_attributes *ret, char **ret_target)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char *target;

	*ret_target = NULL;
	if (!json_is_string(item) || hps_path_unescape(json_string_value(item), &text, NULL) || !text.len || !parse_attributes(text.data, ret, &target))
		return false;
	*ret_target = target && *target ? hps_strdup(target) : NULL;
	return true;
}

char *hps_item_path(const json_t *item)
{
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
	const char *text = hps_json_text(item, "path");

	return text && !hps_path_unescape(text, &path, NULL) && path.len ? hps_buf_take(&path) : NULL;
}

const char *hps_item_name(const json_t *item)
{
	return hps_json_text(item, "path");
}

const char *hps_item_digest(const json_t *item)
{
	return hps_json_text(hps_json_at(item, "digest", NULL), "sha256");
}

bool hps_item_is_given(const json_t *item)
{
	return json_object_get(item, "descriptors") != NULL;
}

void hps_items_index(const json_t *items, struct hps_map *ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)items, i, item)
		if (hps_item_name(item) && hps_item_digest(item) && !hps_map_get(ret, hps_item_name(item)))
			*hps_map_slot(ret, hps_item_name(item)) = (void *)(uintptr_t)item;
}

void hps_items_with(const json_t *items, const char *member, struct hps_map *ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)items, i, item)
		if (hps_item_name(item) && json_is_array(json_object_get(item, member)))
			*hps_map_slot(ret, hps_item_name(item)) = (void *)(uintptr_t)item;
}
