/* UBJSON (ubjson.org, draft 12) as XGBoost writes its models: the places are those of JSON, typed arrays are tensors, all big-endian. */
#include "replay/compare/compare.h"

#include <string.h>

#define DEPTH_MAX 128
#define PLACE_MAX ((size_t)64 << 10)

struct reader {
	struct hps_bytes b;
	struct hps_tree *tree;
	struct hps_error *err;
	unsigned depth;
};

static const struct number_type {
	char letter;
	uint8_t size;
	enum hps_dtype dtype;
} types[] = {
	{ 'i', 1, HPS_DTYPE_INT }, { 'U', 1, HPS_DTYPE_UINT }, { 'I', 2, HPS_DTYPE_INT }, { 'l', 4, HPS_DTYPE_INT },
	{ 'L', 8, HPS_DTYPE_INT }, { 'd', 4, HPS_DTYPE_FLOAT }, { 'D', 8, HPS_DTYPE_FLOAT },
};

static int read_value(struct reader *r, const char *place, uint8_t type);

static int bad(struct reader *r, const char *place, const char *what)
{
	return hps_error_set(r->err, HPS_E_FORMAT, "at '%.200s': %s", place, what);
}

static const struct number_type *number_type(uint8_t letter)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].letter == (char)letter)
			return &types[i];
	return NULL;
}

static bool take(struct reader *r, uint8_t *ret)
{
	const uint8_t *p = hps_bytes_take(&r->b, 1);

	*ret = p ? *p : 0;
	return p != NULL;
}

static bool take_if(struct reader *r, char c)
{
	if (r->b.at == r->b.end || *r->b.at != (uint8_t)c)
		return false;
	r->b.at++;
	return true;
}

static bool read_count(struct reader *r, uint64_t *ret)
{
	const struct number_type *t;
	const uint8_t *p;
	uint8_t letter;

	if (!take(r, &letter) || !(t = number_type(letter)) || t->dtype == HPS_DTYPE_FLOAT || !(p = hps_bytes_take(&r->b, t->size)))
		return false;
	*ret = hps_bytes_be(p, t->size);
	return *ret <= INT64_MAX;
}

static int add_number(struct reader *r, const char *place, const struct number_type *t)
{
	struct hps_array a = { .dtype = t->dtype, .itemsize = t->size, .big_endian = true, .n = 1 };

	a.data = hps_bytes_take(&r->b, t->size);
	return a.data ? hps_tree_add_array(r->tree, place, &a, r->err) : bad(r, place, "it is cut off");
}

static int add_string(struct reader *r, const char *place)
{
	const uint8_t *p;
	uint64_t n;

	if (!read_count(r, &n) || !(p = hps_bytes_take(&r->b, n)))
		return bad(r, place, "it is cut off");
	return hps_tree_add_text(r->tree, place, HPS_TEXT_STRING, (const char *)p, n, r->err);
}

/* [$d#L n …: all of one type. */
static int add_tensor(struct reader *r, const char *place, const struct number_type *t, uint64_t n)
{
	struct hps_array a = { .dtype = t->dtype, .itemsize = t->size, .big_endian = true, .n_dimensions = 1, .shape = { n } };

	if (hps_array_lay_out(&a, false) || !(a.data = hps_bytes_take(&r->b, a.n * a.itemsize)))
		return bad(r, place, "it is cut off");
	return hps_tree_add_array(r->tree, place, &a, r->err);
}

static int read_list(struct reader *r, const char *place)
{
	const struct number_type *t;
	uint8_t type = 0, next;
	uint64_t n = UINT64_MAX;
	int s = 0;

	if (take_if(r, '$') && !take(r, &type))
		return bad(r, place, "it is cut off");
	if (take_if(r, '#') && !read_count(r, &n))
		return bad(r, place, "no count");
	t = number_type(type);
	if (type && (n == UINT64_MAX || !t))
		return bad(r, place, "an array of an unknown kind");
	if (t)
		return add_tensor(r, place, t, n);
	s = hps_tree_add_text(r->tree, place, HPS_TEXT_LITERAL, "[]", 2, r->err);
	for (uint64_t i = 0; !s && i < n; i++) {
		_cleanup_free_ char *below = hps_format("%s[%llu]", place, (unsigned long long)i);

		if (n == UINT64_MAX && take_if(r, ']'))
			break;
		s = take(r, &next) ? read_value(r, below, next) : bad(r, place, "it is cut off");
	}
	return s;
}

static void add_name(struct hps_buf *b, const uint8_t *p, size_t n)
{
	hps_buf_addc(b, '/');
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || strchr("~/[", p[i]))
			hps_buf_addf(b, "~%02x", p[i]);
		else
			hps_buf_addc(b, (char)p[i]);
}

static int read_object(struct reader *r, const char *place)
{
	uint64_t n = UINT64_MAX, len;
	int s;

	if (take_if(r, '$') || (take_if(r, '#') && !read_count(r, &n)))
		return bad(r, place, "an object of an unknown kind");
	s = hps_tree_add_text(r->tree, place, HPS_TEXT_LITERAL, "{}", 2, r->err);
	for (uint64_t i = 0; !s && i < n; i++) {
		_cleanup_buf_ struct hps_buf below = HPS_BUF_INIT;
		const uint8_t *p;
		uint8_t type;

		if (n == UINT64_MAX && take_if(r, '}'))
			break;
		if (!read_count(r, &len) || !(p = hps_bytes_take(&r->b, len)) || !take(r, &type))
			return bad(r, place, "it is cut off");
		hps_buf_init(&below, PLACE_MAX);
		hps_buf_adds(&below, place);
		add_name(&below, p, len);
		s = below.full ? bad(r, place, "a name is too long") : read_value(r, below.data, type);
	}
	return s;
}

static int read_value(struct reader *r, const char *place, uint8_t type)
{
	static const struct {
		char letter;
		const char *text;
	} literals[] = { { 'Z', "null" }, { 'T', "true" }, { 'F', "false" } };
	const struct number_type *t = number_type(type);
	int s;

	if (t)
		return add_number(r, place, t);
	for (size_t i = 0; i < ARRAY_SIZE(literals); i++)
		if (literals[i].letter == (char)type)
			return hps_tree_add_text(r->tree, place, HPS_TEXT_LITERAL, literals[i].text, strlen(literals[i].text), r->err);
	if (type == 'S')
		return add_string(r, place);
	if (type != '[' && type != '{')
		return bad(r, place, "an unknown type");
	if (r->depth >= DEPTH_MAX)
		return bad(r, place, "nested too deeply");
	r->depth++;
	s = type == '[' ? read_list(r, place) : read_object(r, place);
	r->depth--;
	return s;
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct reader r = { .b = { (const uint8_t *)data, (const uint8_t *)data + len }, .tree = ret, .err = err };
	uint8_t type;
	int s = take(&r, &type) ? read_value(&r, "", type) : bad(&r, "", "it is empty");

	return s ? s : r.b.at == r.b.end ? 0 : bad(&r, "", "more bytes after it");
}

static bool fits(const char *path, const char *data, size_t len)
{
	const char *dot = strrchr(path, '.');

	return len > 2 && data[0] == '{' && ((dot && !strcmp(dot, ".ubj")) || (strchr("iUIlL", data[1]) && data[1]));
}

const struct hps_format hps_format_ubj = { "ubjson", fits, decode };
