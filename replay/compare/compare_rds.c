/* .rds: R's serialization, XDR (R Internals, "Serialization Formats", versions 2 and 3), plain or gzip. Walked in one pass: vectors are
 * tensors, the rest is places. Nothing is evaluated. The header, which names R's version and encoding, is a stamp. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 1000
#define PLACE_MAX 8192

enum {
	SYM = 1, LIST = 2, CLO = 3, ENV = 4, PROM = 5, LANG = 6, SPECIAL = 7, BUILTIN = 8, CHAR = 9, LGL = 10, INT = 13, REAL = 14, CPLX = 15, STR = 16,
	DOT = 17, VEC = 19, EXPR = 20, BCODE = 21, EXTPTR = 22, WEAKREF = 23, RAW = 24, S4 = 25,
	ALTREP = 238, ATTRLIST = 239, ATTRLANG = 240, BASEENV = 241, EMPTYENV = 242, BCREPREF = 243, BCREPDEF = 244, PERSIST = 247, PACKAGE = 248,
	NAMESPACE = 249, BASENAMESPACE = 250, MISSINGARG = 251, UNBOUND = 252, GLOBALENV = 253, NIL = 254, REF = 255,
};
#define HAS_ATTRIBUTES 0x200
#define HAS_TAG 0x400

struct reader {
	struct hps_bytes b;
	struct hps_tree *tree;
	struct hps_error *err;
	unsigned depth;
};

static int read_item(struct reader *r, const char *place);

static int bad(struct reader *r, const char *place, const char *what)
{
	return hps_error_set(r->err, HPS_E_FORMAT, "at '%.200s': %s", place, what);
}

static bool take_int(struct reader *r, int32_t *ret)
{
	const uint8_t *p = hps_bytes_take(&r->b, 4);

	*ret = p ? (int32_t)hps_bytes_be(p, 4) : 0;
	return p != NULL;
}

static int add_text(struct reader *r, const char *place, enum hps_text_type type, char *text)
{
	const char *kept = hps_tree_keep(r->tree, text);

	return hps_tree_add_text(r->tree, place, type, kept, strlen(kept), r->err);
}

static int read_below(struct reader *r, const char *place, const char *step)
{
	_cleanup_free_ char *below = hps_format("%s%s", place, step);

	return read_item(r, below);
}

/* ---- vectors ---- */

static bool take_length(struct reader *r, size_t *ret)
{
	int32_t n, high, low;

	if (!take_int(r, &n))
		return false;
	*ret = (size_t)n;
	if (n != -1)
		return n >= 0;
	if (!take_int(r, &high) || !take_int(r, &low) || high < 0 || high > 1 << 16)
		return false;
	*ret = (size_t)high << 32 | (uint32_t)low;
	return true;
}

/* NA is a NaN with 1954 in its lower half, and every NaN is one value to the engine: where they are is a value of its own. */
static int add_missing(struct reader *r, const char *place, const struct hps_array *a)
{
	_cleanup_buf_ struct hps_buf list = HPS_BUF_INIT;
	_cleanup_free_ char *below = NULL;

	for (size_t i = 0; i < a->n * a->itemsize / 8; i++) {
		uint64_t bits = hps_bytes_be(a->data + i * 8, 8);

		if ((bits & 0x7ff00000ffffffffu) == 0x7ff00000000007a2u)
			hps_buf_addf(&list, "%zu ", i + 1);
	}
	below = hps_format("%s~NA", place);
	return list.len ? add_text(r, below, HPS_TEXT_LITERAL, hps_buf_take(&list)) : 0;
}

static int read_numbers(struct reader *r, const char *place, int type)
{
	struct hps_array a = { .big_endian = true, .n_dimensions = 1 };
	int s;

	a.dtype = type == REAL ? HPS_DTYPE_FLOAT : type == CPLX ? HPS_DTYPE_COMPLEX : type == RAW ? HPS_DTYPE_UINT : HPS_DTYPE_INT;
	a.itemsize = type == REAL ? 8 : type == CPLX ? 16 : type == RAW ? 1 : 4;
	if (!take_length(r, &a.shape[0]) || hps_array_lay_out(&a, false) || !(a.data = hps_bytes_take(&r->b, a.n * a.itemsize)))
		return bad(r, place, "it is cut off");
	s = hps_tree_add_array(r->tree, place, &a, r->err);
	return !s && (type == REAL || type == CPLX) ? add_missing(r, place, &a) : s;
}

static int read_items(struct reader *r, const char *place, const char *what)
{
	size_t n;
	int s;

	if (!take_length(r, &n))
		return bad(r, place, "it is cut off");
	s = add_text(r, place, HPS_TEXT_LITERAL, hps_format("%s of %zu", what, n));
	for (size_t i = 0; !s && i < n; i++) {
		_cleanup_free_ char *step = hps_format("[[%zu]]", i + 1);

		s = read_below(r, place, step);
	}
	return s;
}

static int read_char(struct reader *r, const char *place)
{
	const uint8_t *p;
	int32_t n;

	if (!take_int(r, &n) || n < -1)
		return bad(r, place, "it is cut off");
	if (n == -1)
		return add_text(r, place, HPS_TEXT_LITERAL, hps_strdup("NA"));
	p = hps_bytes_take(&r->b, (size_t)n);
	return p ? hps_tree_add_text(r->tree, place, HPS_TEXT_STRING, (const char *)p, (size_t)n, r->err) : bad(r, place, "it is cut off");
}

/* ---- lists of pairs, functions, environments ---- */

static int read_pairs(struct reader *r, const char *place, int32_t flags)
{
	int type = flags & 0xff, s = 0;

	for (size_t i = 1; !s; i++) {
		_cleanup_free_ char *cell = hps_format("%s$%zu", place, i);

		s = add_text(r, cell, HPS_TEXT_LITERAL, hps_format("pair %d", type));
		if (!s && flags & HAS_ATTRIBUTES)
			s = read_below(r, cell, "~attributes");
		if (!s && flags & HAS_TAG)
			s = read_below(r, cell, "~name");
		s = s ? s : read_below(r, cell, "~value");
		if (s)
			break;
		if (!take_int(r, &flags))
			return bad(r, place, "it is cut off");
		type = flags & 0xff;
		if (type == NIL)
			break;
		if (type != LIST && type != LANG && type != CLO && type != PROM && type != DOT) {
			_cleanup_free_ char *rest = hps_format("%s$rest", place);

			r->b.at -= 4;
			return read_item(r, rest);
		}
	}
	return s;
}

static int read_parts(struct reader *r, const char *place, const char *what, const char *const *parts, size_t n)
{
	int s = add_text(r, place, HPS_TEXT_LITERAL, hps_strdup(what));

	for (size_t i = 0; !s && i < n; i++)
		s = read_below(r, place, parts[i]);
	return s;
}

static int read_environment(struct reader *r, const char *place)
{
	static const char *const parts[] = { "~enclosing", "~frame", "~hash", "~attributes" };
	int32_t locked;

	return take_int(r, &locked) ? read_parts(r, place, "environment", parts, ARRAY_SIZE(parts)) : bad(r, place, "it is cut off");
}

/* "namespace:stats": the strings that name it, then no place in the graph. */
static int read_names(struct reader *r, const char *place)
{
	int32_t zero, n, flags;
	int s = add_text(r, place, HPS_TEXT_LITERAL, hps_strdup("names"));

	if (!take_int(r, &zero) || !take_int(r, &n) || n < 0)
		return bad(r, place, "it is cut off");
	for (int32_t i = 0; !s && i < n; i++) {
		_cleanup_free_ char *below = hps_format("%s~%d", place, i);

		s = take_int(r, &flags) && (flags & 0xff) == CHAR ? read_char(r, below) : bad(r, place, "a name that is none");
	}
	return s;
}

/* ---- byte code ---- */

static int read_code_language(struct reader *r, const char *place, int32_t type)
{
	_cleanup_free_ char *car = NULL, *cdr = NULL;
	bool attributes = false;
	int32_t n;
	int s;

	if (type != BCREPREF && type != BCREPDEF && type != LANG && type != LIST && type != ATTRLANG && type != ATTRLIST)
		return read_item(r, place);
	if (r->depth >= DEPTH_MAX || strlen(place) > PLACE_MAX)
		return bad(r, place, "nested too deeply");
	if (type == BCREPREF)
		return take_int(r, &n) ? add_text(r, place, HPS_TEXT_LITERAL, hps_format("repeats %d", n)) : bad(r, place, "it is cut off");
	if (type == BCREPDEF && (!take_int(r, &n) || !take_int(r, &type)))
		return bad(r, place, "it is cut off");
	attributes = type == ATTRLANG || type == ATTRLIST;
	r->depth++;
	s = add_text(r, place, HPS_TEXT_LITERAL, hps_format("code %d", type));
	if (!s && attributes)
		s = read_below(r, place, "~attributes");
	s = s ? s : read_below(r, place, "~name");
	car = hps_format("%s<", place);
	cdr = hps_format("%s>", place);
	if (!s)
		s = take_int(r, &type) ? read_code_language(r, car, type) : bad(r, place, "it is cut off");
	if (!s)
		s = take_int(r, &type) ? read_code_language(r, cdr, type) : bad(r, place, "it is cut off");
	r->depth--;
	return s;
}

static int read_code(struct reader *r, const char *place)
{
	int32_t n, type;
	int s;

	if (r->depth >= DEPTH_MAX)
		return bad(r, place, "nested too deeply");
	r->depth++;
	s = add_text(r, place, HPS_TEXT_LITERAL, hps_strdup("byte code"));
	s = s ? s : read_below(r, place, "~code");
	if (!s && !take_int(r, &n))
		s = bad(r, place, "it is cut off");
	for (int32_t i = 0; !s && i < n; i++) {
		_cleanup_free_ char *below = hps_format("%s~%d", place, i);

		if (!take_int(r, &type))
			s = bad(r, place, "it is cut off");
		else if (type == BCODE)
			s = read_code(r, below);
		else
			s = read_code_language(r, below, type);
	}
	r->depth--;
	return s;
}

/* ---- items ---- */

static int read_simple(struct reader *r, const char *place, int32_t flags, bool *ret_known)
{
	static const char *const alternative[] = { "~class", "~state", "~attributes" }, *const weak[] = { "~key" }, *const pointer[] = { "~protected", "~tag" };
	int type = flags & 0xff;
	int32_t n;

	*ret_known = true;
	switch (type) {
	case NIL:
	case GLOBALENV:
	case UNBOUND:
	case MISSINGARG:
	case EMPTYENV:
	case BASEENV:
	case BASENAMESPACE:
		return add_text(r, place, HPS_TEXT_LITERAL, hps_format("constant %d", type));
	case REF:
		n = flags >> 8;
		if (!n && !take_int(r, &n))
			return bad(r, place, "it is cut off");
		return add_text(r, place, HPS_TEXT_LITERAL, hps_format("reference %d", n));
	case PERSIST:
	case PACKAGE:
	case NAMESPACE:
		return read_names(r, place);
	case SYM:
		return read_below(r, place, "~symbol");
	case ENV:
		return read_environment(r, place);
	case ALTREP:
		return read_parts(r, place, "alternative", alternative, ARRAY_SIZE(alternative));
	case EXTPTR:
		return read_parts(r, place, "pointer", pointer, ARRAY_SIZE(pointer));
	case WEAKREF:
		return read_parts(r, place, "weak reference", weak, 0);
	case CHAR:
		return read_char(r, place);
	default:
		*ret_known = false;
		return 0;
	}
}

static int read_builtin(struct reader *r, const char *place)
{
	const uint8_t *p;
	int32_t n;

	if (!take_int(r, &n) || n < 0 || !(p = hps_bytes_take(&r->b, (size_t)n)))
		return bad(r, place, "it is cut off");
	return hps_tree_add_text(r->tree, place, HPS_TEXT_STRING, (const char *)p, (size_t)n, r->err);
}

static int read_code_start(struct reader *r, const char *place)
{
	int32_t repeats;

	return take_int(r, &repeats) ? read_code(r, place) : bad(r, place, "it is cut off");
}

/* Those that their attributes follow. */
static int read_vector(struct reader *r, const char *place, int type)
{
	switch (type) {
	case LGL:
	case INT:
	case REAL:
	case CPLX:
	case RAW:
		return read_numbers(r, place, type);
	case STR:
		return read_items(r, place, "texts");
	case VEC:
	case EXPR:
		return read_items(r, place, type == VEC ? "list" : "expressions");
	case SPECIAL:
	case BUILTIN:
		return read_builtin(r, place);
	case BCODE:
		return read_code_start(r, place);
	case EXTPTR:
	case WEAKREF:
	case S4:
		return add_text(r, place, HPS_TEXT_LITERAL, hps_strdup("object"));
	default:
		return bad(r, place, "an unknown type");
	}
}

static int read_flagged(struct reader *r, const char *place, int32_t flags)
{
	int type = flags & 0xff, s;
	bool known;

	if (type == LIST || type == LANG || type == CLO || type == PROM || type == DOT)
		return read_pairs(r, place, flags);
	if (type == ATTRLANG || type == ATTRLIST)
		return read_pairs(r, place, (type == ATTRLANG ? LANG : LIST) | HAS_ATTRIBUTES | (flags & ~0xff));
	s = read_simple(r, place, flags, &known);
	if (known && type != EXTPTR && type != WEAKREF)
		return s;
	s = known ? s : read_vector(r, place, type);
	return !s && flags & HAS_ATTRIBUTES ? read_below(r, place, "~attributes") : s;
}

static int read_item(struct reader *r, const char *place)
{
	int32_t flags;
	int s;

	if (!take_int(r, &flags))
		return bad(r, place, "it is cut off");
	if (r->depth >= DEPTH_MAX || strlen(place) > PLACE_MAX)
		return bad(r, place, "nested too deeply");
	r->depth++;
	s = read_flagged(r, place, flags);
	r->depth--;
	return s;
}

/* ---- the file ---- */

static int read_header(struct reader *r)
{
	int32_t version, writer, least, n = 0;
	const uint8_t *p = hps_bytes_take(&r->b, 2);
	int s;

	if (!p || memcmp(p, "X\n", 2) || !take_int(r, &version) || (version != 2 && version != 3) || !take_int(r, &writer) || !take_int(r, &least))
		return bad(r, "header", "it is no XDR serialization of version 2 or 3");
	p = (const uint8_t *)"";
	if (version == 3 && (!take_int(r, &n) || n < 0 || !(p = hps_bytes_take(&r->b, (size_t)n))))
		return bad(r, "header", "it is cut off");
	s = add_text(r, "header", HPS_TEXT_LITERAL, hps_format("version %d, R %d.%d.%d, for R %d.%d.%d, %.*s", version, writer >> 16, writer >> 8 & 0xff, writer & 0xff,
							       least >> 16, least >> 8 & 0xff, least & 0xff, (int)n, (const char *)p));
	if (!s)
		hps_tree_mark(r->tree, HPS_MASK_TOOL);
	return s;
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct reader r = { .b = { (const uint8_t *)data, (const uint8_t *)data + len }, .tree = ret, .err = err };
	struct hps_buf unpacked = HPS_BUF_INIT;
	int s = 0;

	if (len > 2 && (uint8_t)data[0] == 0x1f && (uint8_t)data[1] == 0x8b) {
		s = hps_unpack_stream(data, len, &unpacked, err);
		len = unpacked.len;
		r.b.at = hps_tree_keep(ret, hps_buf_take(&unpacked));
		r.b.end = r.b.at + len;
	}
	s = s ? s : read_header(&r);
	s = s ? s : read_item(&r, "");
	return !s && r.b.at != r.b.end ? bad(&r, "", "more bytes after it") : s;
}

static bool fits(const char *path, const char *data, size_t len)
{
	const char *dot = strrchr(path, '.');

	return len > 14 && ((dot && (!strcmp(dot, ".rds") || !strcmp(dot, ".RDS"))) || !memcmp(data, "X\n\0\0\0", 5));
}

const struct hps_format hps_format_rds = { "rds", fits, decode };
