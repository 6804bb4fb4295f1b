/* JSON (RFC 8259) and JSON lines, with Python's NaN and Infinity. A reader of our own: jansson rounds numbers to doubles and
 * refuses what Python writes. The order of names does not matter, a list of numbers is one tensor. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 256

struct frame {
	bool list, filled; /* filled: has an item */
	bool numbers;	   /* a list that held nothing but numbers so far: they wait in reader.tokens */
	size_t first;	   /* its first waiting token */
	size_t index;	   /* of the next item of a list */
	size_t place_len;  /* of the container itself */
};
struct reader {
	const char *text;
	size_t len, at;
	struct hps_tree *tree;
	struct hps_buf place;
	struct frame frames[DEPTH_MAX];
	size_t depth;
	struct hps_token *tokens;
	size_t n_tokens;
	struct hps_error *err;
};

static int bad(struct reader *r, const char *what)
{
	size_t line = 1;

	for (size_t i = 0; i < r->at && i < r->len; i++)
		line += r->text[i] == '\n';
	return hps_error_set(r->err, HPS_E_FORMAT, "line %zu: %s", line, what);
}

static void skip_space(struct reader *r)
{
	while (r->at < r->len && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at])
		r->at++;
}

static bool take(struct reader *r, char c)
{
	skip_space(r);
	if (r->at >= r->len || r->text[r->at] != c)
		return false;
	r->at++;
	return true;
}

static void cut_place(struct reader *r, size_t len)
{
	r->place.len = len;
	if (r->place.data)
		r->place.data[len] = '\0';
}

static const char *place(const struct reader *r)
{
	return r->place.data ? r->place.data : "";
}

/* ---- strings ---- */

static int read_hex(struct reader *r, uint32_t *ret)
{
	uint32_t c = 0;

	if (r->len - r->at < 4)
		return bad(r, "a string ends inside an escape");
	for (int i = 0; i < 4; i++) {
		char d = r->text[r->at++];
		uint32_t v = d >= '0' && d <= '9' ? (uint32_t)(d - '0') : d >= 'a' && d <= 'f' ? (uint32_t)(d - 'a' + 10) : d >= 'A' && d <= 'F' ? (uint32_t)(d - 'A' + 10) : 16;

		if (v > 15)
			return bad(r, "an escape has no four hex digits");
		c = c << 4 | v;
	}
	*ret = c;
	return 0;
}

/* A lone surrogate keeps its three bytes (as Python's "surrogatepass" has them): it is compared, not interpreted. */
static int read_unicode(struct reader *r, struct hps_buf *out)
{
	uint32_t c, low;
	int s = read_hex(r, &c);

	if (s)
		return s;
	if (c >= 0xd800 && c < 0xdc00 && r->len - r->at >= 6 && r->text[r->at] == '\\' && r->text[r->at + 1] == 'u') {
		size_t back = r->at;

		r->at += 2;
		s = read_hex(r, &low);
		if (s)
			return s;
		if (low >= 0xdc00 && low < 0xe000)
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		else
			r->at = back;
	}
	hps_utf8_add(out, c);
	return out->full ? bad(r, "a string is too long") : 0;
}

static int read_escape(struct reader *r, struct hps_buf *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *known;
	char c;

	if (r->at >= r->len)
		return bad(r, "a string does not end");
	c = r->text[r->at++];
	if (c == 'u')
		return read_unicode(r, out);
	known = c ? strchr(from, c) : NULL;
	if (!known)
		return bad(r, "an unknown escape in a string");
	hps_buf_addc(out, to[known - from]);
	return 0;
}

/* After the opening quote. */
static int read_string(struct reader *r, struct hps_buf *out)
{
	while (r->at < r->len) {
		char c = r->text[r->at++];
		int s = 0;

		if (c == '"')
			return out->full ? bad(r, "a string is too long") : 0;
		if ((unsigned char)c < 0x20)
			return bad(r, "a control character in a string");
		if (c == '\\')
			s = read_escape(r, out);
		else
			hps_buf_addc(out, c);
		if (s)
			return s;
	}
	return bad(r, "a string does not end");
}

/* ---- values ---- */

static int flush_token(struct reader *r, const struct hps_token *t)
{
	return hps_tree_add_numbers(r->tree, place(r), true, t, 1, r->err);
}

/* The list turned out to hold something else: what waited becomes single numbers. */
static int spill(struct reader *r, struct frame *f)
{
	size_t here = r->place.len;
	_cleanup_free_ char *saved = hps_strndup(place(r) + f->place_len, here - f->place_len);
	int s = 0;

	for (size_t i = f->first; !s && i < r->n_tokens; i++) {
		cut_place(r, f->place_len);
		hps_buf_addf(&r->place, "[%zu]", i - f->first);
		s = flush_token(r, &r->tokens[i]);
	}
	r->n_tokens = f->first;
	f->numbers = false;
	cut_place(r, f->place_len);
	hps_buf_adds(&r->place, saved);
	return s;
}

static int read_number(struct reader *r)
{
	struct frame *f = r->depth ? &r->frames[r->depth - 1] : NULL;
	struct hps_token t = { r->text + r->at, hps_number_length(r->text + r->at, r->len - r->at) };

	if (!t.len)
		return bad(r, "neither a value nor a number");
	r->at += t.len;
	if (!f || !f->list || !f->numbers)
		return flush_token(r, &t);
	r->tokens = hps_grow(r->tokens, r->n_tokens, sizeof *r->tokens);
	r->tokens[r->n_tokens++] = t;
	return 0;
}

static int read_literal(struct reader *r, bool *ret_found)
{
	static const char *const literals[] = { "true", "false", "null" };

	*ret_found = true;
	for (size_t i = 0; i < ARRAY_SIZE(literals); i++) {
		size_t n = strlen(literals[i]);

		if (r->len - r->at >= n && !memcmp(r->text + r->at, literals[i], n)) {
			r->at += n;
			return hps_tree_add_text(r->tree, place(r), HPS_TEXT_LITERAL, literals[i], n, r->err);
		}
	}
	*ret_found = false;
	return 0;
}

static int read_text_value(struct reader *r)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	size_t len;
	int s = read_string(r, &b);

	if (s)
		return s;
	len = b.len;
	return hps_tree_add_text(r->tree, place(r), HPS_TEXT_STRING, hps_tree_keep(r->tree, hps_buf_take(&b)), len, r->err);
}

static int open_container(struct reader *r, bool list)
{
	r->at++;
	if (r->depth == DEPTH_MAX)
		return bad(r, "nested too deeply");
	r->frames[r->depth++] = (struct frame){ .list = list, .numbers = list, .first = r->n_tokens, .place_len = r->place.len };
	return 0;
}

static int close_container(struct reader *r)
{
	struct frame *f = &r->frames[r->depth - 1];
	int s = 0;

	cut_place(r, f->place_len);
	if (!f->filled)
		s = hps_tree_add_text(r->tree, place(r), HPS_TEXT_LITERAL, f->list ? "[]" : "{}", 2, r->err);
	else if (f->list && f->numbers)
		s = hps_tree_add_numbers(r->tree, place(r), false, r->tokens + f->first, r->n_tokens - f->first, r->err);
	r->n_tokens = f->first;
	r->depth--;
	return s;
}

/* A name becomes a step of the place; the characters that steps are made of are escaped. */
static int read_name(struct reader *r)
{
	_cleanup_buf_ struct hps_buf name = HPS_BUF_INIT;
	int s;

	if (!take(r, '"'))
		return bad(r, "a name in quotes is missing");
	s = read_string(r, &name);
	if (s)
		return s;
	if (!take(r, ':'))
		return bad(r, "':' is missing after a name");
	hps_buf_addc(&r->place, '/');
	for (size_t i = 0; i < name.len; i++) {
		const char *special = strchr("~/[", name.data[i]);

		if (special)
			hps_buf_addf(&r->place, "~%d", name.data[i] ? (int)(special - strchr("~/[", '~')) : 3);
		else
			hps_buf_addc(&r->place, name.data[i]);
	}
	return r->place.full ? bad(r, "a name is too long") : 0;
}

static int read_value(struct reader *r)
{
	struct frame *f = r->depth ? &r->frames[r->depth - 1] : NULL;
	bool found;
	char c;
	int s;

	skip_space(r);
	if (r->at >= r->len)
		return bad(r, "the text ends where a value should be");
	c = r->text[r->at];
	if (f && f->list && f->numbers && !hps_number_length(r->text + r->at, r->len - r->at)) {
		s = spill(r, f);
		if (s)
			return s;
	}
	if (c == '{' || c == '[')
		return open_container(r, c == '[');
	if (c == '"') {
		r->at++;
		return read_text_value(r);
	}
	s = read_literal(r, &found);
	return s || found ? s : read_number(r);
}

/* What comes after a value inside its container, or the first item of it. Sets *ret_more when a value follows. */
static int next_item(struct reader *r, bool *ret_more)
{
	struct frame *f = &r->frames[r->depth - 1];

	*ret_more = false;
	if (take(r, f->list ? ']' : '}'))
		return close_container(r);
	if (f->filled && !take(r, ','))
		return bad(r, "',' or the end of the list or object is missing");
	f->filled = true;
	*ret_more = true;
	cut_place(r, f->place_len);
	if (!f->list)
		return read_name(r);
	hps_buf_addf(&r->place, "[%zu]", f->index++);
	return 0;
}

static int read_document(struct reader *r)
{
	int s = read_value(r);

	while (!s && r->depth) {
		bool more;

		s = next_item(r, &more);
		if (!s && more)
			s = read_value(r);
	}
	return s;
}

static int read_documents(struct reader *r)
{
	size_t n = 1;
	int s;

	hps_tree_item(r->tree, 0);
	s = read_document(r);

	for (skip_space(r); !s && r->at < r->len; skip_space(r)) {
		cut_place(r, 0);
		hps_buf_addf(&r->place, "value %zu ", ++n);
		hps_tree_item(r->tree, r->place.len);
		if (n > 2 || r->at == 0 || r->text[r->at - 1] == '\n')
			s = read_document(r);
		else
			s = bad(r, "more text after the value");
	}
	return s;
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct reader *r = hps_alloc(sizeof *r);
	int s;

	r->text = data;
	r->len = len;
	r->tree = ret;
	r->err = err;
	hps_buf_init(&r->place, (size_t)1 << 20);
	s = read_documents(r);
	hps_buf_release(&r->place);
	free(r->tokens);
	free(r);
	return s;
}

static bool ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), m = strlen(end);

	return n >= m && !strcmp(path + n - m, end);
}

static bool fits(const char *path, const char *data, size_t len)
{
	size_t at = 0;

	if (ends_with(path, ".json") || ends_with(path, ".jsonl") || ends_with(path, ".ndjson"))
		return true;
	while (at < len && (data[at] == ' ' || data[at] == '\n' || data[at] == '\t' || data[at] == '\r'))
		at++;
	return at < len && (data[at] == '{' || data[at] == '[');
}

const struct hps_format hps_format_json = { "json", fits, decode };
