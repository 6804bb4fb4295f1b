/* .npy: one array (numpy.lib.format, versions 1 to 3). Objects are pickles and are never unpickled: they stay bytes, and so do
 * records, strings, dates and long doubles. */
#include "replay/compare/compare.h"

#include <string.h>

#define MAGIC "\x93NUMPY"
#define MAGIC_LEN 6
#define HEADER_MAX ((size_t)1 << 20)

struct header {
	const char *at, *end; /* what is left of it */
	char descr[128];      /* as written, quotes included */
	size_t shape[HPS_DIMENSIONS_MAX];
	size_t n_dimensions;
	bool fortran, has_descr, has_order, has_shape;
};

static int bad(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_FORMAT, "its npy header: %s", what);
}

static void skip_space(struct header *h)
{
	while (h->at < h->end && (*h->at == ' ' || *h->at == '\n'))
		h->at++;
}

static bool take(struct header *h, const char *word)
{
	size_t n = strlen(word);

	skip_space(h);
	if ((size_t)(h->end - h->at) < n || memcmp(h->at, word, n) != 0)
		return false;
	h->at += n;
	return true;
}

/* A quoted string, or the list that describes records: up to its closing bracket. */
static int read_descr(struct header *h, struct hps_error *err)
{
	const char *start, *p;
	size_t open = 0;

	skip_space(h);
	start = h->at;
	if (start == h->end || (*start != '\'' && *start != '['))
		return bad(err, "no type");
	for (p = start + 1; p < h->end; p++) {
		if (*start == '\'' && *p == '\'')
			break;
		if (*start == '[' && *p == '[')
			open++;
		if (*start == '[' && *p == ']' && !open--)
			break;
	}
	if (p == h->end)
		return bad(err, "the type does not end");
	h->at = p + 1;
	if ((size_t)(h->at - start) >= sizeof h->descr)
		return bad(err, "the type is too long");
	memcpy(h->descr, start, (size_t)(h->at - start));
	h->descr[h->at - start] = '\0';
	h->has_descr = true;
	return 0;
}

static int read_shape(struct header *h, struct hps_error *err)
{
	if (!take(h, "("))
		return bad(err, "no shape");
	while (!take(h, ")")) {
		size_t value = 0, n = 0;
		bool zero;

		skip_space(h);
		zero = h->at < h->end && *h->at == '0';
		for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++, n++)
			if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (size_t)(*h->at - '0'), &value))
				return bad(err, "a dimension is too large");
		if (!n || (zero && n > 1))
			return bad(err, "the shape is no list of numbers");
		if (h->n_dimensions == HPS_DIMENSIONS_MAX)
			return bad(err, "too many dimensions");
		h->shape[h->n_dimensions++] = value;
		if (!take(h, ",")) {
			if (!take(h, ")"))
				return bad(err, "the shape does not end");
			break;
		}
	}
	h->has_shape = true;
	return 0;
}

static int read_header(struct header *h, struct hps_error *err)
{
	int r = 0;

	if (!take(h, "{"))
		return bad(err, "no '{'");
	while (!r && !take(h, "}")) {
		if (!h->has_descr && take(h, "'descr':")) {
			r = read_descr(h, err);
		} else if (!h->has_order && take(h, "'fortran_order':")) {
			h->fortran = take(h, "True");
			h->has_order = h->fortran || take(h, "False");
			r = h->has_order ? 0 : bad(err, "the order is neither True nor False");
		} else if (!h->has_shape && take(h, "'shape':")) {
			r = read_shape(h, err);
		} else {
			return bad(err, "an unknown member");
		}
		if (!r && !take(h, ",")) {
			if (!take(h, "}"))
				r = bad(err, "',' is missing");
			break;
		}
	}
	skip_space(h);
	if (!r && (h->at != h->end || !h->has_descr || !h->has_order || !h->has_shape))
		r = bad(err, h->at != h->end ? "more text after it" : "a member is missing");
	return r;
}

static const struct {
	char letter;
	enum hps_dtype dtype;
	size_t sizes[5];
} types[] = {
	{ 'b', HPS_DTYPE_BOOL, { 1 } },		  { 'i', HPS_DTYPE_INT, { 1, 2, 4, 8 } }, { 'u', HPS_DTYPE_UINT, { 1, 2, 4, 8 } },
	{ 'f', HPS_DTYPE_FLOAT, { 2, 4, 8 } }, { 'c', HPS_DTYPE_COMPLEX, { 8, 16 } },
};

bool hps_npy_type(const char *descr, struct hps_array *a)
{
	const char *p = descr + 1;
	size_t size = 0;

	if (*descr != '\'' || !*p || !strchr("<>|", *p) || !p[1])
		return false;
	for (const char *d = p + 2; *d != '\''; d++) {
		if (*d < '0' || *d > '9' || size > 99)
			return false;
		size = size * 10 + (size_t)(*d - '0');
	}
	if ((*p == '|') != (size == 1))
		return false;
	a->big_endian = *p == '>';
	a->itemsize = size;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		a->dtype = types[i].dtype;
		for (size_t j = 0; types[i].letter == p[1] && types[i].sizes[j]; j++)
			if (types[i].sizes[j] == size)
				return true;
	}
	return false;
}

/* Version 1 has a 16-bit header length, versions 2 and 3 a 32-bit one, all little-endian. */
static int find_header(const char *data, size_t len, struct header *h, struct hps_error *err)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t start, n;

	if (len < 12 || memcmp(data, MAGIC, MAGIC_LEN) != 0)
		return bad(err, "no npy magic");
	if (p[6] < 1 || p[6] > 3 || p[7])
		return bad(err, "an unknown version");
	start = p[6] == 1 ? 10 : 12;
	n = (size_t)p[8] | (size_t)p[9] << 8;
	if (p[6] != 1)
		n |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
	if (n > HEADER_MAX || n > len - start)
		return bad(err, "it is longer than the file");
	*h = (struct header){ .at = data + start, .end = data + start + n };
	return 0;
}

int hps_npy_decode(const char *data, size_t len, const char *place, struct hps_tree *ret, struct hps_error *err)
{
	_cleanup_free_ char *described = NULL;
	struct hps_array a = { 0 };
	struct header h;
	size_t body;
	int r = find_header(data, len, &h, err);

	r = r ? r : read_header(&h, err);
	if (r)
		return r;
	body = (size_t)(data + len - h.end);
	a.itemsize = 1;
	a.n_dimensions = h.n_dimensions;
	memcpy(a.shape, h.shape, sizeof a.shape);
	if (hps_array_lay_out(&a, h.fortran))
		return bad(err, "more elements than a file can hold");
	if (!hps_npy_type(h.descr, &a)) {
		described = hps_format("%s (%s)", place, h.descr);
		return hps_tree_add_text(ret, described, HPS_TEXT_BYTES, data, len, err); /* with the header: it holds the shape */
	}
	if (hps_array_lay_out(&a, h.fortran) || a.n * a.itemsize != body)
		return hps_error_set(err, HPS_E_FORMAT, "its array has %zu bytes, which is not what its shape asks for", body);
	a.data = (const uint8_t *)h.end;
	return hps_tree_add_array(ret, place, &a, err);
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	return hps_npy_decode(data, len, "", ret, err);
}

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	return len >= MAGIC_LEN && !memcmp(data, MAGIC, MAGIC_LEN);
}

const struct hps_format hps_format_npy = { "npy", fits, decode };
