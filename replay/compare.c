/* The engine: two trees, place by place, one verdict. And in front of it the choice of the decoder. */
#include "replay/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 120

const char *hps_output_verdict_name(enum hps_output_verdict v)
{
	static const char *const names[] = {
		[HPS_OUTPUT_IDENTICAL] = "IDENTICAL", [HPS_OUTPUT_SAME_VALUES] = "SAME-VALUES", [HPS_OUTPUT_WITHIN] = "WITHIN-TOLERANCE",
		[HPS_OUTPUT_DIVERGED] = "DIVERGED",   [HPS_OUTPUT_STRUCTURE] = "STRUCTURE",	[HPS_OUTPUT_OPAQUE] = "OPAQUE",
		[HPS_OUTPUT_MISSING] = "MISSING",     [HPS_OUTPUT_EXTRA] = "EXTRA",
	};

	return names[v];
}

void hps_comparison_release(struct hps_comparison *c)
{
	free(c->place);
	free(c->original);
	free(c->rerun);
	free(c->note);
	*c = (struct hps_comparison){ 0 };
}

/* ---- showing a value ---- */

static char *show_text(const char *text, size_t len)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

	hps_path_escape(&b, text, len > SHOWN_MAX ? SHOWN_MAX : len);
	hps_buf_adds(&b, len > SHOWN_MAX ? "…" : "");
	return hps_buf_take(&b);
}

static char *show_kind(const struct hps_node *n)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

	if (n->kind == HPS_NODE_ARRAY)
		hps_array_type(&n->array, &b);
	else if (n->kind == HPS_NODE_NUMBERS && n->scalar)
		hps_buf_adds(&b, "a number");
	else if (n->kind == HPS_NODE_NUMBERS)
		hps_buf_addf(&b, "a list of %zu numbers", n->n);
	else
		hps_buf_adds(&b, n->type == HPS_TEXT_LITERAL ? "a literal" : n->type == HPS_TEXT_BYTES ? "bytes" : "text");
	return hps_buf_take(&b);
}

/* The verdict is the worst one; the place is the first that differs, but one within the tolerance gives way to one that is not. */
static void differs(struct hps_comparison *c, enum hps_output_verdict v, const char *place, char *original, char *rerun)
{
	_cleanup_free_ char *a = original, *b = rerun;
	bool first = c->verdict < HPS_OUTPUT_DIVERGED && v > c->verdict;

	c->verdict = v > c->verdict ? v : c->verdict;
	if (first) {
		free(c->place);
		free(c->original);
		free(c->rerun);
		c->place = hps_strdup(*place ? place : "top");
		c->original = hps_take(a);
		c->rerun = hps_take(b);
	}
}

/* ---- numbers ---- */

/* What two tensors are apart; sums over all elements. */
struct distance {
	double difference2, norm2, max_difference, max;
	uint64_t n_different;
	size_t first; /* index of the first differing element */
	bool apart;   /* something that no tolerance covers: NaN against a number, unequal infinities, whole numbers */
};

static void measure(struct distance *d, double a, double b)
{
	double difference = fabs(a - b);

	if (isnan(a) || isnan(b) || isinf(a) || isinf(b)) {
		d->apart = d->apart || !((isnan(a) && isnan(b)) || (isinf(a) && isinf(b) && signbit(a) == signbit(b)));
		return;
	}
	d->difference2 += difference * difference;
	d->norm2 += a * a;
	d->max_difference = fmax(d->max_difference, difference);
	d->max = fmax(d->max, fabs(a));
}

static double ratio(double part, double whole)
{
	if (part <= 0)
		return 0;
	return whole > 0 ? part / whole : (double)INFINITY;
}

static bool judge(struct hps_comparison *c, const struct distance *d, const struct hps_tolerance *t)
{
	double l2 = ratio(sqrt(d->difference2), sqrt(d->norm2)), scaled = ratio(d->max_difference, d->max);

	c->n_different += d->n_different;
	c->relative_l2 = fmax(c->relative_l2, l2);
	c->scaled_max = fmax(c->scaled_max, scaled);
	c->max_difference = fmax(c->max_difference, d->max_difference);
	/* Sums of squares that left the range of double say nothing, and a comparison with NaN holds for nothing. */
	return t->declared && !d->apart && isfinite(d->difference2) && isfinite(d->norm2) &&
	       ((l2 <= t->rtol && scaled <= t->rtol) || d->max_difference <= t->atol);
}

static void note_different(struct distance *d, size_t index)
{
	if (!d->n_different++)
		d->first = index;
}

static char *element_place(const char *place, size_t index, bool scalar)
{
	return scalar ? hps_strdup(place) : hps_format("%s[%zu]", place, index);
}

static void compare_numbers(const char *place, const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *t,
			    struct hps_comparison *c)
{
	_cleanup_free_ char *where = NULL;
	struct distance d = { 0 };
	bool within;

	for (size_t i = 0; i < a->n; i++) {
		const struct hps_token *x = &a->tokens[i], *y = &b->tokens[i];

		if (!hps_number_same(x, y)) {
			note_different(&d, i);
			d.apart = d.apart || (hps_number_integer(x) && hps_number_integer(y));
		}
		measure(&d, hps_number_value(x), hps_number_value(y));
	}
	if (!d.n_different)
		return;
	within = judge(c, &d, t);
	where = element_place(place, d.first, a->scalar);
	differs(c, within ? HPS_OUTPUT_WITHIN : HPS_OUTPUT_DIVERGED, where, show_text(a->tokens[d.first].text, a->tokens[d.first].len),
		show_text(b->tokens[d.first].text, b->tokens[d.first].len));
}

/* ---- arrays ---- */

static bool same_type(const struct hps_array *a, const struct hps_array *b)
{
	return a->dtype == b->dtype && a->itemsize == b->itemsize && a->n_dimensions == b->n_dimensions &&
	       !memcmp(a->shape, b->shape, a->n_dimensions * sizeof a->shape[0]);
}

static bool same_bytes(const struct hps_array *a, const struct hps_array *b)
{
	return a->big_endian == b->big_endian && !memcmp(a->strides, b->strides, a->n_dimensions * sizeof a->strides[0]) &&
	       (!a->n || !memcmp(a->data, b->data, a->n * a->itemsize));
}

static char *index_place(const char *place, const struct hps_array *a, size_t index)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	size_t below = a->n;

	hps_buf_addf(&b, "%s", place);
	for (size_t i = 0; i < a->n_dimensions; i++) {
		below /= a->shape[i];
		hps_buf_addf(&b, "%s%zu", i ? "," : "[", index / below);
		index %= below;
	}
	hps_buf_adds(&b, a->n_dimensions ? "]" : "");
	return hps_buf_take(&b);
}

static void compare_arrays(const char *place, const struct hps_array *a, const struct hps_array *b, const struct hps_tolerance *t,
			   struct hps_comparison *c)
{
	bool whole = a->dtype != HPS_DTYPE_FLOAT && a->dtype != HPS_DTYPE_COMPLEX;
	_cleanup_buf_ struct hps_buf x = HPS_BUF_INIT, y = HPS_BUF_INIT;
	_cleanup_free_ char *where = NULL;
	struct distance d = { 0 };
	bool within;

	if (same_bytes(a, b))
		return;
	for (size_t i = 0; i < a->n; i++) {
		if (!hps_array_same(a, b, i))
			note_different(&d, i);
		for (int part = 0; part <= (a->dtype == HPS_DTYPE_COMPLEX); part++)
			measure(&d, hps_array_value(a, i, part), hps_array_value(b, i, part));
	}
	if (!d.n_different)
		return;
	d.apart = d.apart || whole;
	within = judge(c, &d, t);
	where = index_place(place, a, d.first);
	hps_array_show(a, d.first, &x);
	hps_array_show(b, d.first, &y);
	differs(c, within ? HPS_OUTPUT_WITHIN : HPS_OUTPUT_DIVERGED, where, hps_buf_take(&x), hps_buf_take(&y));
}

/* ---- text ---- */

static bool word_character(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || (unsigned char)c >= 0x80;
}

/* Length of the number at text[at], 0 when none starts there: one inside a word or a version is none. */
static size_t number_at(const char *text, size_t len, size_t at)
{
	size_t n;

	if (at && word_character(text[at - 1]))
		return 0;
	n = hps_number_length(text + at, len - at);
	return n && at + n < len && word_character(text[at + n]) ? 0 : n;
}

/* Compares two lines whose words are the same and whose numbers may differ. False when the words differ. */
static bool compare_line(const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *t, struct hps_comparison *c, bool *ret_within)
{
	size_t i = 0, j = 0;

	*ret_within = true;
	while (i < a->len && j < b->len) {
		struct hps_token x = { a->text + i, number_at(a->text, a->len, i) }, y = { b->text + j, number_at(b->text, b->len, j) };
		struct distance d = { 0 };

		if (!x.len || !y.len) {
			if (a->text[i++] != b->text[j++])
				return false;
			continue;
		}
		i += x.len;
		j += y.len;
		if (x.len == y.len && !memcmp(x.text, y.text, x.len))
			continue;
		note_different(&d, 0);
		d.apart = hps_number_integer(&x) && hps_number_integer(&y);
		measure(&d, hps_number_value(&x), hps_number_value(&y));
		*ret_within = judge(c, &d, t) && *ret_within;
	}
	return i == a->len && j == b->len;
}

static void compare_texts(const char *place, const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *t,
			  struct hps_comparison *c)
{
	bool within = false;
	size_t at = 0;

	if (a->len == b->len && (!a->len || !memcmp(a->text, b->text, a->len)))
		return;
	if (a->type == HPS_TEXT_BYTES) {
		while (at < a->len && at < b->len && a->text[at] == b->text[at])
			at++;
		c->n_different++;
		differs(c, HPS_OUTPUT_DIVERGED, place, hps_format("%zu bytes, differing from byte %zu", a->len, at), hps_format("%zu bytes", b->len));
		return;
	}
	if (a->type != HPS_TEXT_LINE || !t->declared || !compare_line(a, b, t, c, &within)) {
		c->n_different++;
		within = false;
	}
	differs(c, within ? HPS_OUTPUT_WITHIN : HPS_OUTPUT_DIVERGED, place, show_text(a->text, a->len), show_text(b->text, b->len));
}

/* ---- trees ---- */

/* By the metric's name: the place is that name, or in a file of metrics "/name" (in JSON lines behind "value N "). */
static const struct hps_tolerance *own_tolerance(const struct hps_tolerance *general, const char *place)
{
	const char *slash = strchr(place, '/');
	const struct hps_tolerance *own;

	if (!general->by_place)
		return NULL;
	own = hps_map_get(general->by_place, place);
	return own || !slash ? own : hps_map_get(general->by_place, slash + 1);
}

static void compare_nodes(const char *place, const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *general,
			  struct hps_comparison *c)
{
	const struct hps_tolerance *own = own_tolerance(general, place), *t = own ? own : general;
	bool alike = a->kind == b->kind;

	c->n_values += a->kind == HPS_NODE_TEXT ? 1 : a->n;
	if (alike && a->kind == HPS_NODE_TEXT)
		alike = a->type == b->type;
	else if (alike && a->kind == HPS_NODE_NUMBERS)
		alike = a->scalar == b->scalar && a->n == b->n;
	else if (alike)
		alike = same_type(&a->array, &b->array);
	if (!alike)
		differs(c, HPS_OUTPUT_STRUCTURE, place, show_kind(a), show_kind(b));
	else if (a->kind == HPS_NODE_TEXT)
		compare_texts(place, a, b, t, c);
	else if (a->kind == HPS_NODE_NUMBERS)
		compare_numbers(place, a, b, t, c);
	else
		compare_arrays(place, &a->array, &b->array, t, c);
}

void hps_compare_trees(const struct hps_tree *a, const struct hps_tree *b, const struct hps_tolerance *tolerance, struct hps_comparison *ret)
{
	ret->verdict = HPS_OUTPUT_SAME_VALUES;
	for (size_t i = 0; i < a->n; i++) {
		const char *place = hps_tree_place(a, i);
		const struct hps_node *other = hps_tree_find(b, place);

		if (other)
			compare_nodes(place, &a->nodes[i], other, tolerance, ret);
		else
			differs(ret, HPS_OUTPUT_STRUCTURE, place, show_kind(&a->nodes[i]), hps_strdup("nothing"));
	}
	for (size_t i = 0; i < b->n && ret->verdict < HPS_OUTPUT_STRUCTURE; i++)
		if (!hps_tree_find(a, hps_tree_place(b, i)))
			differs(ret, HPS_OUTPUT_STRUCTURE, hps_tree_place(b, i), hps_strdup("nothing"), show_kind(&b->nodes[i]));
}

/* ---- files ---- */

/* In this order; the first that fits both and reads both decides. */
static const struct hps_format *const formats[] = {
	&hps_format_npy, &hps_format_zip, &hps_format_json, &hps_format_csv, &hps_format_text,
};

static bool fits(const struct hps_format *f, const char *path, const struct hps_buf *a)
{
	return f->fits(path, a->data ? a->data : "", a->len);
}

static void give_up(struct hps_comparison *c, const struct hps_format *f, const char *whose, const struct hps_error *err)
{
	free(c->note);
	c->note = hps_format("%s is not read as %s: %s", whose, f->name, err->message);
}

/* True when this format has decided. */
static bool try_format(const struct hps_format *f, const struct hps_buf *a, const struct hps_buf *b, const struct hps_tolerance *t,
		       struct hps_comparison *c)
{
	_cleanup_error_ struct hps_error err_a = HPS_ERROR_INIT, err_b = HPS_ERROR_INIT;
	_cleanup_tree_ struct hps_tree x = HPS_TREE_INIT, y = HPS_TREE_INIT;
	int r = f->decode(a->data ? a->data : "", a->len, &x, &err_a), s = f->decode(b->data ? b->data : "", b->len, &y, &err_b);

	if (r)
		give_up(c, f, "the original's", &err_a);
	else if (s)
		give_up(c, f, "the rerun's", &err_b);
	if (r && s)
		return false;
	c->format = f->name;
	if (r || s)
		differs(c, HPS_OUTPUT_STRUCTURE, f->name, hps_strdup(r ? "damaged" : "whole"), hps_strdup(s ? "damaged" : "whole"));
	else
		hps_compare_trees(&x, &y, t, c);
	return true;
}

static void opaque(const struct hps_buf *a, const struct hps_buf *b, struct hps_comparison *c)
{
	size_t at = 0;

	while (at < a->len && at < b->len && a->data[at] == b->data[at])
		at++;
	c->verdict = HPS_OUTPUT_OPAQUE;
	c->n_different = 1;
	c->place = hps_format("byte %zu", at);
	c->original = at < a->len ? hps_format("0x%02x of %zu bytes", (unsigned char)a->data[at], a->len) : hps_format("the end (%zu bytes)", a->len);
	c->rerun = at < b->len ? hps_format("0x%02x of %zu bytes", (unsigned char)b->data[at], b->len) : hps_format("the end (%zu bytes)", b->len);
}

void hps_compare_data(const char *path, const struct hps_buf *a, const struct hps_buf *b, const struct hps_tolerance *tolerance,
		      struct hps_comparison *ret)
{
	*ret = (struct hps_comparison){ .verdict = HPS_OUTPUT_IDENTICAL };
	if (a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len)))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (fits(formats[i], path, a) && fits(formats[i], path, b) && try_format(formats[i], a, b, tolerance, ret))
			return;
	opaque(a, b, ret);
}
