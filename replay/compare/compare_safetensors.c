/* .safetensors: u64 length, a JSON header {name: {dtype, shape, data_offsets}}, the tensors. __metadata__ is free text. */
#include "replay/compare/compare.h"

#include <string.h>

#define HEADER_MAX ((uint64_t)100000000) /* what its own reader accepts */

static const struct {
	const char *name;
	enum hps_dtype dtype;
	size_t itemsize;
	bool numbers; /* false: there is no such number here; it stays bytes */
} types[] = {
	{ "BOOL", HPS_DTYPE_BOOL, 1, true }, { "U8", HPS_DTYPE_UINT, 1, true },	 { "I8", HPS_DTYPE_INT, 1, true },     { "U16", HPS_DTYPE_UINT, 2, true },
	{ "I16", HPS_DTYPE_INT, 2, true },   { "U32", HPS_DTYPE_UINT, 4, true }, { "I32", HPS_DTYPE_INT, 4, true },    { "U64", HPS_DTYPE_UINT, 8, true },
	{ "I64", HPS_DTYPE_INT, 8, true },   { "F16", HPS_DTYPE_FLOAT, 2, true }, { "BF16", HPS_DTYPE_BFLOAT, 2, true }, { "F32", HPS_DTYPE_FLOAT, 4, true },
	{ "F64", HPS_DTYPE_FLOAT, 8, true }, { "F8_E4M3", HPS_DTYPE_UINT, 1, false }, { "F8_E5M2", HPS_DTYPE_UINT, 1, false },
};

static int bad(struct hps_error *err, const char *name, const char *what)
{
	return hps_error_set(err, HPS_E_FORMAT, "its tensor '%s': %s", name, what);
}

static bool whole(const json_t *list, size_t i, uint64_t *ret)
{
	const json_t *j = json_array_get(list, i);

	*ret = (uint64_t)json_integer_value(j);
	return json_is_integer(j) && json_integer_value(j) >= 0;
}

static int add_tensor(struct hps_tree *tree, const char *name, const json_t *j, const char *body, size_t len, struct hps_error *err)
{
	const json_t *shape = hps_json_at(j, "shape", NULL), *offsets = hps_json_at(j, "data_offsets", NULL);
	const char *type = hps_json_text(j, "dtype");
	_cleanup_free_ char *place = NULL;
	uint64_t from, to, size;
	struct hps_array a = { 0 };
	size_t t = 0;

	while (t < ARRAY_SIZE(types) && (!type || strcmp(types[t].name, type) != 0))
		t++;
	if (t == ARRAY_SIZE(types) || !json_is_array(shape) || json_array_size(shape) > HPS_DIMENSIONS_MAX || json_array_size(offsets) != 2)
		return bad(err, name, "an unknown type or shape");
	a.dtype = types[t].dtype;
	a.itemsize = types[t].itemsize;
	for (; a.n_dimensions < json_array_size(shape); a.n_dimensions++) {
		if (!whole(shape, a.n_dimensions, &size))
			return bad(err, name, "a dimension that is none");
		a.shape[a.n_dimensions] = size;
	}
	if (!whole(offsets, 0, &from) || !whole(offsets, 1, &to) || from > to || to > len || hps_array_lay_out(&a, false) || to - from != a.n * a.itemsize)
		return bad(err, name, "it does not lie where it should");
	a.data = (const uint8_t *)body + from;
	if (types[t].numbers)
		return hps_tree_add_array(tree, name, &a, err);
	place = hps_format("%s (%s)", name, types[t].name);
	return hps_tree_add_text(tree, place, HPS_TEXT_BYTES, body + from, to - from, err);
}

/* Every byte belongs to one tensor: what lies between them would be compared by nobody. */
static int check_cover(const json_t *header, size_t len, struct hps_error *err)
{
	const char *name;
	const json_t *j;
	uint64_t sum = 0;

	json_object_foreach((json_t *)(uintptr_t)header, name, j) {
		const json_t *offsets = hps_json_at(j, "data_offsets", NULL);

		sum += (uint64_t)json_integer_value(json_array_get(offsets, 1)) - (uint64_t)json_integer_value(json_array_get(offsets, 0));
	}
	return sum == len ? 0 : hps_error_set(err, HPS_E_FORMAT, "its tensors do not cover it");
}

static int add_metadata(struct hps_tree *tree, const json_t *metadata, struct hps_error *err)
{
	const char *name;
	const json_t *j;
	int r = 0;

	json_object_foreach((json_t *)(uintptr_t)metadata, name, j) {
		_cleanup_free_ char *place = hps_format("__metadata__/%s", name);
		const char *text = json_string_value(j);

		if (!text)
			return hps_error_set(err, HPS_E_FORMAT, "its metadata '%s' is no text", name);
		text = hps_tree_keep(tree, hps_strdup(text));
		r = hps_tree_add_text(tree, place, HPS_TEXT_STRING, text, strlen(text), err);
		if (r)
			break;
	}
	return r;
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	uint64_t n = len >= 8 ? hps_bytes_le((const uint8_t *)data, 8) : 0;
	_cleanup_json_ json_t *header = NULL;
	const char *name;
	const json_t *j;
	int r;

	if (!n || n > HEADER_MAX || n > len - 8)
		return hps_error_set(err, HPS_E_FORMAT, "its header is longer than the file");
	r = hps_json_parse(data + 8, n, &header, err);
	if (r || !json_is_object(header))
		return r ? r : hps_error_set(err, HPS_E_FORMAT, "its header is no object");
	r = check_cover(header, len - 8 - n, err);
	json_object_foreach((json_t *)header, name, j) {
		if (r)
			break;
		r = !strcmp(name, "__metadata__") ? add_metadata(ret, j, err) : add_tensor(ret, name, j, data + 8 + n, len - 8 - n, err);
	}
	return r;
}

static bool fits(const char *path, const char *data, size_t len)
{
	const char *dot = strrchr(path, '.');

	return (dot && !strcmp(dot, ".safetensors")) || (len > 10 && !memcmp(data + 4, "\0\0\0\0{\"", 6));
}

const struct hps_format hps_format_safetensors = { "safetensors", fits, decode };
