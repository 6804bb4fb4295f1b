/* Parquet (apache/parquet-format): flat columns, plain or by dictionary, unpacked, snappy, gzip or zstd. A column is one tensor (or one
 * place a text), whatever its row groups, pages, encodings and packing. Nested lists are not read. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32
#define COLUMNS_MAX 4096
#define PAGE_MAX ((int64_t)1 << 30)

/* ---- thrift, compact protocol ---- */

struct thrift {
	struct hps_bytes b;
	int16_t field;
	uint8_t type;
	bool broken;
	unsigned depth;
};
enum { T_TRUE = 1, T_FALSE, T_BYTE, T_I16, T_I32, T_I64, T_DOUBLE, T_BINARY, T_LIST, T_SET, T_MAP, T_STRUCT };

static uint64_t varint(struct thrift *t)
{
	uint64_t v = 0;

	if (!hps_bytes_varint(&t->b, &v))
		t->broken = true;
	return v;
}

static int64_t zigzag(struct thrift *t)
{
	uint64_t v = varint(t);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* The next field of a struct; *last is the struct's own memory, zero at its start. */
static bool next_field(struct thrift *t, int16_t *last)
{
	const uint8_t *p = t->broken ? NULL : hps_bytes_take(&t->b, 1);

	if (!p || !*p) {
		t->broken = t->broken || !p;
		return false;
	}
	t->type = *p & 0xf;
	*last = *p >> 4 ? (int16_t)(*last + (*p >> 4)) : (int16_t)zigzag(t);
	t->field = *last;
	return !t->broken;
}

static uint64_t list_head(struct thrift *t, uint8_t *ret_type)
{
	const uint8_t *p = hps_bytes_take(&t->b, 1);
	uint64_t n;

	*ret_type = p ? *p & 0xf : 0;
	n = p ? *p >> 4 : 0;
	n = n == 15 ? varint(t) : n;
	if (!p || n > (uint64_t)(t->b.end - t->b.at) + 1) {
		t->broken = true;
		return 0;
	}
	return n;
}

static void skip(struct thrift *t, uint8_t type);

static void skip_list(struct thrift *t)
{
	uint8_t type;
	uint64_t n = list_head(t, &type);

	while (n-- && !t->broken)
		skip(t, type == T_TRUE || type == T_FALSE ? T_BYTE : type);
}

static void skip_map(struct thrift *t)
{
	uint64_t n = varint(t);
	const uint8_t *types = n ? hps_bytes_take(&t->b, 1) : NULL;

	t->broken = t->broken || (n && !types);
	while (types && n-- && !t->broken) {
		skip(t, *types >> 4);
		skip(t, *types & 0xf);
	}
}

static void skip(struct thrift *t, uint8_t type)
{
	int16_t last = 0;

	if (++t->depth > DEPTH_MAX)
		t->broken = true;
	if (type == T_BYTE || type == T_DOUBLE || type == T_BINARY) {
		uint64_t n = type == T_BYTE ? 1 : type == T_DOUBLE ? 8 : varint(t);

		t->broken = t->broken || !hps_bytes_take(&t->b, n);
	} else if (type >= T_I16 && type <= T_I64) {
		varint(t);
	} else if (type == T_LIST || type == T_SET) {
		skip_list(t);
	} else if (type == T_MAP) {
		skip_map(t);
	} else if (type == T_STRUCT) {
		while (next_field(t, &last))
			skip(t, t->type);
	} else if (type != T_TRUE && type != T_FALSE) {
		t->broken = true;
	}
	t->depth--;
}

static int64_t integer(struct thrift *t)
{
	if (t->type < T_I16 || t->type > T_I64)
		t->broken = true;
	return t->broken ? 0 : zigzag(t);
}

/* ---- the footer ---- */

enum { P_BOOLEAN, P_INT32, P_INT64, P_INT96, P_FLOAT, P_DOUBLE, P_BYTES, P_FIXED };

struct column {
	char *name; /* path in the schema */
	int type, length, level; /* level: the largest definition level */
	bool repeated;
	struct hps_buf values;	 /* of fixed width, one after the other */
	struct hps_buf present;	 /* '1' or '0' a row, when it is optional */
	size_t n_texts, n_missing;
};
struct file {
	const uint8_t *data;
	size_t len;
	struct column *columns;
	size_t n_columns;
	struct hps_tree *tree;
	struct hps_error *err;
};

static int bad(struct file *f, const char *what)
{
	return hps_error_set(f->err, HPS_E_FORMAT, "its parquet: %s", what);
}

struct element {
	int64_t type, length, repetition, children;
	char *name;
};

static void read_element(struct thrift *t, struct element *e)
{
	int16_t last = 0;

	*e = (struct element){ .type = -1 };
	while (next_field(t, &last)) {
		if (t->field == 4 && t->type == T_BINARY) {
			uint64_t n = varint(t);
			const uint8_t *p = n < 1024 ? hps_bytes_take(&t->b, n) : NULL;

			t->broken = t->broken || !p || e->name;
			if (!t->broken)
				e->name = hps_strndup((const char *)p, n);
		} else if (t->field == 1) {
			e->type = integer(t);
		} else if (t->field == 2) {
			e->length = integer(t);
		} else if (t->field == 3) {
			e->repetition = integer(t);
		} else if (t->field == 5) {
			e->children = integer(t);
		} else {
			skip(t, t->type);
		}
	}
}

/* Elements come depth first; a leaf has a type. */
static int read_schema(struct file *f, struct thrift *t, const char *above, int level, bool repeated, unsigned depth, uint64_t *left)
{
	_cleanup_free_ char *path = NULL;
	struct element e;
	int r = 0;

	if (!*left || depth > DEPTH_MAX)
		return bad(f, "its schema is none");
	--*left;
	read_element(t, &e);
	path = *above ? hps_format("%s/%s", above, e.name ? e.name : "") : hps_strdup(depth && e.name ? e.name : "");
	free(e.name);
	level += depth && e.repetition != 0;
	repeated = repeated || (depth && e.repetition == 2);
	if (t->broken || e.children < 0 || e.children > COLUMNS_MAX || (e.children && e.type >= 0) || f->n_columns >= COLUMNS_MAX)
		return bad(f, "its schema is none");
	if (!e.children && depth && (e.type < P_BOOLEAN || e.type > P_FIXED || (e.type == P_FIXED && (e.length < 1 || e.length > 65536))))
		return bad(f, "a column of an unknown kind");
	if (!e.children && depth) {
		f->columns = hps_grow(f->columns, f->n_columns, sizeof *f->columns);
		f->columns[f->n_columns++] = (struct column){ .name = hps_take(path), .type = (int)e.type, .length = (int)e.length, .level = level, .repeated = repeated,
							      .values = HPS_BUF_INIT, .present = HPS_BUF_INIT };
	}
	for (int64_t i = 0; !r && i < e.children; i++)
		r = read_schema(f, t, path, level, repeated, depth + 1, left);
	return r;
}

/* ---- pages ---- */

struct page {
	int64_t type, unpacked, packed, n, encoding, definition_len, repetition_len;
	bool plain; /* version 2 says that its values are not packed */
};

static void read_page_part(struct thrift *t, struct page *p, bool second)
{
	int16_t last = 0;

	while (next_field(t, &last)) {
		if (t->field == 1)
			p->n = integer(t);
		else if (t->field == (second ? 4 : 2))
			p->encoding = integer(t);
		else if (second && t->field == 5)
			p->definition_len = integer(t);
		else if (second && t->field == 6)
			p->repetition_len = integer(t);
		else if (second && t->field == 7 && t->type == T_FALSE)
			p->plain = true;
		else
			skip(t, t->type);
	}
}

static bool read_page(struct thrift *t, struct page *p)
{
	int16_t last = 0;

	*p = (struct page){ .type = -1 };
	while (next_field(t, &last)) {
		if (t->field == 1)
			p->type = integer(t);
		else if (t->field == 2)
			p->unpacked = integer(t);
		else if (t->field == 3)
			p->packed = integer(t);
		else if ((t->field == 5 || t->field == 7 || t->field == 8) && t->type == T_STRUCT)
			read_page_part(t, p, t->field == 8);
		else
			skip(t, t->type);
	}
	return !t->broken && p->unpacked >= 0 && p->unpacked <= PAGE_MAX && p->packed >= 0 && p->n >= 0 && p->n <= PAGE_MAX && p->definition_len >= 0 &&
	       p->repetition_len >= 0 && p->definition_len + p->repetition_len <= p->packed && p->definition_len + p->repetition_len <= p->unpacked;
}

/* Runs and bit-packed groups of eight ("RLE/bit-packing hybrid") into n numbers. */
static bool read_hybrid(struct hps_bytes b, unsigned width, size_t n, uint32_t *out)
{
	size_t at = 0, bytes = (width + 7) / 8;

	while (at < n) {
		uint64_t head, count;
		const uint8_t *p;

		if (!hps_bytes_varint(&b, &head))
			return false;
		count = head >> 1;
		if (head & 1) {
			p = count <= (n - at) / 8 + 1 ? hps_bytes_take(&b, count * width) : NULL;
			if (!p)
				return false;
			for (size_t i = 0; i < count * 8 && at < n; i++, at++) {
				uint32_t v = 0;

				for (unsigned k = 0; k < width; k++)
					v |= (uint32_t)(p[(i * width + k) / 8] >> ((i * width + k) % 8) & 1) << k;
				out[at] = v;
			}
			continue;
		}
		p = hps_bytes_take(&b, bytes);
		if (!p || !count)
			return false;
		for (; count-- && at < n; at++)
			out[at] = (uint32_t)hps_bytes_le(p, bytes);
	}
	return true;
}

static size_t width_of(const struct column *c)
{
	static const size_t widths[] = { [P_INT32] = 4, [P_INT64] = 8, [P_INT96] = 12, [P_FLOAT] = 4, [P_DOUBLE] = 8, [P_FIXED] = 0 };

	return c->type == P_FIXED ? (size_t)c->length : widths[c->type];
}

static int add_text(struct file *f, struct column *c, const uint8_t *p, size_t n)
{
	_cleanup_free_ char *place = hps_format("%s[%zu]", c->name, c->n_texts++);
	char *copy = hps_tree_keep(f->tree, hps_alloc(n + 1));

	memcpy(copy, p, n);
	return hps_tree_add_text(f->tree, place, HPS_TEXT_STRING, copy, n, f->err);
}

static const uint8_t *next_text(struct hps_bytes *b, size_t *ret_n)
{
	const uint8_t *p = hps_bytes_take(b, 4);

	*ret_n = p ? hps_bytes_le(p, 4) : 0;
	return p ? hps_bytes_take(b, *ret_n) : NULL;
}

static int add_plain(struct file *f, struct column *c, struct hps_bytes b, size_t n)
{
	const uint8_t *p;
	size_t len;
	int r = 0;

	if (c->type == P_BOOLEAN) {
		p = hps_bytes_take(&b, (n + 7) / 8);
		for (size_t i = 0; p && i < n; i++)
			hps_buf_addc(&c->values, (char)(p[i / 8] >> (i % 8) & 1));
	} else if (c->type == P_BYTES) {
		for (p = b.at; !r && p && n--;) {
			p = next_text(&b, &len);
			r = p ? add_text(f, c, p, len) : 0;
		}
	} else {
		p = n <= SIZE_MAX / 65536 ? hps_bytes_take(&b, n * width_of(c)) : NULL;
		if (p)
			hps_buf_add(&c->values, p, n * width_of(c));
	}
	if (!r && p && b.at != b.end)
		return bad(f, "more bytes in a page than values");
	return r ? r : !p ? bad(f, "a page is cut off") : 0;
}

struct dictionary {
	struct hps_bytes b; /* unpacked, plain */
	size_t n;
	struct hps_bytes *texts; /* of BYTES */
};

static int read_dictionary(struct file *f, const struct column *c, struct dictionary *d)
{
	struct hps_bytes b = d->b;
	size_t len;

	if (c->type != P_BYTES)
		return c->type == P_BOOLEAN || d->n > (size_t)(b.end - b.at) / width_of(c) ? bad(f, "its dictionary is cut off") : 0;
	if (d->n > (size_t)(b.end - b.at) / 4)
		return bad(f, "its dictionary is cut off");
	d->texts = hps_alloc((d->n + 1) * sizeof *d->texts);
	for (size_t i = 0; i < d->n; i++) {
		d->texts[i].at = next_text(&b, &len);
		if (!d->texts[i].at)
			return bad(f, "its dictionary is cut off");
		d->texts[i].end = d->texts[i].at + len;
	}
	return 0;
}

static int add_indexed(struct file *f, struct column *c, struct hps_bytes b, size_t n, const struct dictionary *d)
{
	const uint8_t *width = hps_bytes_take(&b, 1);
	_cleanup_free_ uint32_t *index = hps_alloc((n + 1) * sizeof *index);
	int r = 0;

	if (!width || *width > 32 || (n && !read_hybrid(b, *width, n, index)))
		return bad(f, "a page is cut off");
	for (size_t i = 0; !r && i < n; i++) {
		if (index[i] >= d->n)
			return bad(f, "an index beyond its dictionary");
		if (c->type == P_BYTES)
			r = add_text(f, c, d->texts[index[i]].at, (size_t)(d->texts[index[i]].end - d->texts[index[i]].at));
		else
			hps_buf_add(&c->values, d->b.at + index[i] * width_of(c), width_of(c));
	}
	return r;
}

/* Counts the values that are there; *b is left behind the levels. */
static int read_levels(struct file *f, struct column *c, struct hps_bytes levels, size_t n, size_t *ret_n)
{
	_cleanup_free_ uint32_t *level = hps_alloc((n + 1) * sizeof *level);
	unsigned width = 0;

	while (c->level >> width)
		width++;
	if (n && !read_hybrid(levels, width, n, level))
		return bad(f, "its levels are cut off");
	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		*ret_n += level[i] == (uint32_t)c->level;
		c->n_missing += level[i] != (uint32_t)c->level;
		hps_buf_addc(&c->present, (char)('0' + level[i]));
	}
	return 0;
}

static int add_page(struct file *f, struct column *c, const struct page *p, struct hps_bytes b, const struct dictionary *d)
{
	size_t n = (size_t)p->n;
	struct hps_bytes levels = b;
	const uint8_t *size;
	int r = 0;

	if (c->level && p->type == 0) {
		size = hps_bytes_take(&b, 4);
		levels.at = size ? hps_bytes_take(&b, hps_bytes_le(size, 4)) : NULL;
		levels.end = b.at;
	} else if (c->level) {
		levels.at = hps_bytes_take(&b, (size_t)p->repetition_len) ? hps_bytes_take(&b, (size_t)p->definition_len) : NULL;
		levels.end = b.at;
	}
	if (!levels.at)
		return bad(f, "a page is cut off");
	if (c->level)
		r = read_levels(f, c, levels, n, &n);
	if (r)
		return r;
	if (p->encoding == 0)
		return add_plain(f, c, b, n);
	if ((p->encoding == 2 || p->encoding == 8) && d->b.at)
		return add_indexed(f, c, b, n, d);
	return bad(f, "an encoding that is not read");
}

/* ---- column chunks ---- */

struct chunk {
	int64_t type, codec, n, packed, data_at, dictionary_at;
};

static void read_metadata(struct thrift *t, struct chunk *c)
{
	int16_t last = 0;

	while (next_field(t, &last)) {
		int64_t *const to[] = { [1] = &c->type, [4] = &c->codec, [5] = &c->n, [7] = &c->packed, [9] = &c->data_at, [11] = &c->dictionary_at };

		if (t->field > 0 && (size_t)t->field < ARRAY_SIZE(to) && to[t->field] && t->type >= T_I16 && t->type <= T_I64)
			*to[t->field] = integer(t);
		else
			skip(t, t->type);
	}
}

static int unpack_page(struct file *f, const struct chunk *k, const struct page *p, const uint8_t *from, struct hps_bytes *ret)
{
	static const int packings[] = { HPS_PACKING_NONE, HPS_PACKING_SNAPPY, HPS_PACKING_GZIP, -1, -1, -1, HPS_PACKING_ZSTD };
	size_t levels = (size_t)(p->definition_len + p->repetition_len); /* version 2 leaves them unpacked */
	int packing = k->codec >= 0 && (size_t)k->codec < ARRAY_SIZE(packings) ? packings[k->codec] : -1;
	uint8_t *out;
	int r;

	if (packing < 0)
		return bad(f, "a packing that is not read");
	if (p->plain)
		packing = HPS_PACKING_NONE;
	out = hps_tree_keep(f->tree, hps_alloc((size_t)p->unpacked + 1));
	memcpy(out, from, levels);
	r = hps_unpack((enum hps_packing)packing, from + levels, (size_t)p->packed - levels, out + levels, (size_t)p->unpacked - levels, f->err);
	*ret = (struct hps_bytes){ out, out + p->unpacked };
	return r;
}

static int read_pages(struct file *f, struct column *c, const struct chunk *k, struct dictionary *d)
{
	int64_t at = k->dictionary_at > 0 && k->dictionary_at < k->data_at ? k->dictionary_at : k->data_at, seen = 0;
	struct thrift t = { .b = { f->data, f->data + f->len } };
	int r = 0;

	if (at < 4 || (uint64_t)at > f->len)
		return bad(f, "a column does not lie where it should");
	t.b.at += at;
	while (!r && seen < k->n) {
		struct hps_bytes content;
		const uint8_t *from;
		struct page p;

		if (!read_page(&t, &p) || !(from = hps_bytes_take(&t.b, (size_t)p.packed)))
			return bad(f, "a page is none");
		r = unpack_page(f, k, &p, from, &content);
		if (!r && p.type == 2 && !d->b.at) {
			d->b = content;
			d->n = (size_t)p.n;
			r = read_dictionary(f, c, d);
		} else if (!r && (p.type == 0 || p.type == 3) && p.n) {
			r = add_page(f, c, &p, content, d);
			seen += p.n;
		} else if (!r) {
			r = bad(f, "a page of an unknown kind");
		}
	}
	return r;
}

static int read_chunk(struct file *f, struct thrift *t, size_t i)
{
	struct chunk k = { .type = -1 };
	struct dictionary d = { 0 };
	struct column *c;
	int16_t last = 0;
	int r;

	while (next_field(t, &last)) {
		if (t->field == 3 && t->type == T_STRUCT)
			read_metadata(t, &k);
		else
			skip(t, t->type);
	}
	if (t->broken || i >= f->n_columns)
		return bad(f, "a row group has other columns than its schema");
	c = &f->columns[i];
	if (c->repeated || c->level > 9 || k.type != c->type)
		return bad(f, c->repeated ? "nested lists are not read" : "a column of an unknown kind");
	r = read_pages(f, c, &k, &d);
	free(d.texts);
	return r;
}

static int read_group(struct file *f, struct thrift *t)
{
	int16_t last = 0;
	uint8_t type;
	int r = 0;

	while (!r && next_field(t, &last)) {
		if (t->field == 1 && t->type == T_LIST) {
			uint64_t n = list_head(t, &type);

			if (n != f->n_columns || type != T_STRUCT)
				return bad(f, "a row group has other columns than its schema");
			for (uint64_t i = 0; !r && i < n; i++)
				r = read_chunk(f, t, i);
		} else {
			skip(t, t->type);
		}
	}
	return r ? r : t->broken ? bad(f, "a row group is none") : 0;
}

static int read_footer(struct file *f, struct thrift *t)
{
	int16_t last = 0;
	uint8_t type;
	uint64_t n;
	int r = 0;

	while (!r && next_field(t, &last)) {
		if (t->field == 2 && t->type == T_LIST && !f->columns) {
			n = list_head(t, &type);
			r = type == T_STRUCT ? read_schema(f, t, "", 0, false, 0, &n) : bad(f, "its schema is none");
			if (!r && n)
				r = bad(f, "its schema is none");
		} else if (t->field == 4 && t->type == T_LIST) {
			n = list_head(t, &type);
			if (n && type != T_STRUCT)
				r = bad(f, "its row groups are none");
			while (!r && n--)
				r = read_group(f, t);
		} else {
			skip(t, t->type);
		}
	}
	return r ? r : t->broken ? bad(f, "its footer is none") : 0;
}

/* ---- columns ---- */

static int add_column(struct file *f, struct column *c)
{
	_cleanup_free_ char *missing = hps_format("%s (missing)", c->name), *head = hps_format("%s (type)", c->name);
	struct hps_array a = { .n_dimensions = 1 };
	size_t width = c->type == P_BOOLEAN ? 1 : c->type == P_BYTES ? 0 : width_of(c), len = c->values.len;
	const char *kind = hps_tree_keep(f->tree, hps_format("parquet type %d of %d, %zu texts", c->type, c->length, c->n_texts));
	int r = c->values.full || c->present.full ? bad(f, "a column is too large") : hps_tree_add_text(f->tree, head, HPS_TEXT_LITERAL, kind, strlen(kind), f->err);

	if (!r && c->n_missing) {
		size_t n = c->present.len;

		r = hps_tree_add_text(f->tree, missing, HPS_TEXT_LITERAL, hps_tree_keep(f->tree, hps_buf_take(&c->present)), n, f->err);
	}
	if (r || c->type == P_BYTES)
		return r;
	a.data = hps_tree_keep(f->tree, hps_buf_take(&c->values));
	if (c->type == P_FIXED || c->type == P_INT96)
		return hps_tree_add_text(f->tree, c->name, HPS_TEXT_BYTES, (const char *)a.data, len, f->err);
	a.dtype = c->type == P_BOOLEAN ? HPS_DTYPE_BOOL : c->type == P_FLOAT || c->type == P_DOUBLE ? HPS_DTYPE_FLOAT : HPS_DTYPE_INT;
	a.itemsize = width;
	a.shape[0] = len / width;
	return hps_array_lay_out(&a, false) ? bad(f, "a column is too large") : hps_tree_add_array(f->tree, c->name, &a, f->err);
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct file f = { .data = (const uint8_t *)data, .len = len, .tree = ret, .err = err };
	size_t footer = len >= 12 ? hps_bytes_le(f.data + len - 8, 4) : 0;
	struct thrift t;
	int r;

	if (len < 12 || memcmp(data, "PAR1", 4) || memcmp(data + len - 4, "PAR1", 4) || footer > len - 12)
		return bad(&f, "it has no footer");
	f.len = len - 8 - footer; /* where pages end */
	t = (struct thrift){ .b = { f.data + f.len, f.data + len - 8 } };
	r = read_footer(&f, &t);
	for (size_t i = 0; i < f.n_columns; i++) {
		r = r ? r : add_column(&f, &f.columns[i]);
		free(f.columns[i].name);
		hps_buf_release(&f.columns[i].values);
		hps_buf_release(&f.columns[i].present);
	}
	free(f.columns);
	return r;
}

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	return len >= 12 && !memcmp(data, "PAR1", 4);
}

const struct hps_format hps_format_parquet = { "parquet", fits, decode };
