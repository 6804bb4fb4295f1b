/* CSV (RFC 4180) and tab-separated values: a cell is a place, named by its row and by its column's heading. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

struct reader {
	const char *text;
	size_t len, at;
	char separator;
	size_t row, column;
	struct hps_strv names; /* of the columns: the first row */
	struct hps_tree *tree;
	struct hps_error *err;
};

static int bad(struct reader *r, const char *what)
{
	return hps_error_set(r->err, HPS_E_FORMAT, "row %zu: %s", r->row + 1, what);
}

/* After the opening quote; a doubled quote is one. */
static int read_quoted(struct reader *r, struct hps_buf *out)
{
	while (r->at < r->len) {
		char c = r->text[r->at++];

		if (c != '"')
			hps_buf_addc(out, c);
		else if (r->at < r->len && r->text[r->at] == '"')
			hps_buf_addc(out, r->text[r->at++]);
		else
			return out->full ? bad(r, "a cell is too long") : 0;
	}
	return bad(r, "a quoted cell does not end");
}

static bool at_end(const struct reader *r, size_t at)
{
	return at >= r->len || r->text[at] == '\n' || (r->text[at] == '\r' && at + 1 < r->len && r->text[at + 1] == '\n');
}

static int read_cell(struct reader *r, struct hps_buf *out)
{
	int s;

	if (r->at < r->len && r->text[r->at] == '"') {
		r->at++;
		s = read_quoted(r, out);
		if (s)
			return s;
		if (!at_end(r, r->at) && r->text[r->at] != r->separator)
			return bad(r, "text after a quoted cell");
		return 0;
	}
	while (!at_end(r, r->at) && r->text[r->at] != r->separator)
		hps_buf_addc(out, r->text[r->at++]);
	return out->full ? bad(r, "a cell is too long") : 0;
}

static char *cell_place(const struct reader *r)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

	hps_buf_addf(&b, "row %zu, column %zu", r->row + 1, r->column + 1);
	if (r->row && r->column < r->names.n && *r->names.v[r->column])
		hps_buf_addf(&b, " '%.64s'", r->names.v[r->column]);
	return hps_buf_take(&b);
}

static int add_cell(struct reader *r, struct hps_buf *cell)
{
	_cleanup_free_ char *place = cell_place(r);
	size_t len = cell->len;
	char *text = hps_tree_keep(r->tree, hps_buf_take(cell));

	if (!r->row)
		hps_strv_add(&r->names, text);
	return hps_tree_add_text(r->tree, place, HPS_TEXT_LINE, text, len, r->err);
}

static int read_row(struct reader *r)
{
	_cleanup_free_ char *prefix = hps_format("row %zu", r->row + 1);

	hps_tree_item(r->tree, strlen(prefix));
	for (r->column = 0;; r->column++) {
		_cleanup_buf_ struct hps_buf cell = HPS_BUF_INIT;
		int s = read_cell(r, &cell);

		s = s ? s : add_cell(r, &cell);
		if (s)
			return s;
		if (at_end(r, r->at))
			break;
		r->at++; /* the separator */
	}
	if (r->at < r->len)
		r->at += r->text[r->at] == '\r' ? 2 : 1;
	r->row++;
	return 0;
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	const char *tab = memchr(data, '\t', len), *end = memchr(data, '\n', len);
	struct reader r = { .text = data, .len = len, .tree = ret, .err = err, .names = HPS_STRV_INIT };
	int s = 0;

	r.separator = tab && (!end || tab < end) ? '\t' : ',';
	if (memchr(data, '\0', len))
		s = hps_error_set(err, HPS_E_FORMAT, "it holds a zero byte");
	while (!s && r.at < r.len)
		s = read_row(&r);
	hps_strv_release(&r.names);
	return s;
}

static bool fits(const char *path, const char *data, size_t len)
{
	const char *dot = strrchr(path, '.');

	(void)data;
	(void)len;
	return dot && (!strcmp(dot, ".csv") || !strcmp(dot, ".tsv"));
}

const struct hps_format hps_format_csv = { "csv", fits, decode };
