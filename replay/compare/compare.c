/* The engine: two trees, place by place, one verdict (sequences: sequence.c). */
#include "replay/compare/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 120

static const struct hps_tolerance exact = { 0 };

const char *hps_output_verdict_name(enum hps_output_verdict v)
{
	static const char *const names[] = {
		[HPS_OUTPUT_IDENTICAL] = "IDENTICAL", [HPS_OUTPUT_SAME_VALUES] = "SAME-VALUES", [HPS_OUTPUT_WITHIN] = "WITHIN-TOLERANCE",
		[HPS_OUTPUT_DIVERGED] = "DIVERGED",   [HPS_OUTPUT_STRUCTURE] = "STRUCTURE",	[HPS_OUTPUT_OPAQUE] = "OPAQUE",
		[HPS_OUTPUT_MISSING] = "MISSING",     [HPS_OUTPUT_EXTRA] = "EXTRA",	      [HPS_OUTPUT_REORDERED] = "REORDERED",
	};

	return names[v];
}

void hps_comparison_release(struct hps_comparison *c)
{
	free(c->place);
	free(c->original);
	free(c->rerun);
	free(c->note);
	for (size_t i = 0; i < HPS_MASK_N; i++)
		free(c->masked_first[i]);
	*c = (struct hps_comparison){ 0 };
}

/* ---- showing a value ---- */

static char *show_text(const char *text, size_t len)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	size_t n = len > SHOWN_MAX ? SHOWN_MAX : len;

	while (n < len && n && ((uint8_t)text[n] & 0xc0) == 0x80) /* within a character */
		n--;
	hps_path_escape(&b, text, n);
	hps_buf_adds(&b, n < len ? "…" : ""); /* withheld.c knows it: a value may have been cut */
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

char *hps_node_show(const struct hps_node *n)
{
	if (n->kind == HPS_NODE_TEXT && n->type != HPS_TEXT_BYTES && n->len)
		return show_text(n->text, n->len);
	return n->kind == HPS_NODE_NUMBERS && n->scalar ? show_text(n->tokens[0].text, n->tokens[0].len) : show_kind(n);
}

/* What is there on one side alone: a line by its text, anything else by what it is. */
static char *show_alone(const struct hps_node *n)
{
	if (!n)
		return hps_strdup("nothing");
	return n->kind == HPS_NODE_TEXT && n->type == HPS_TEXT_LINE && n->len ? show_text(n->text, n->len) : show_kind(n);
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

static double ratio(double part, double whole)
{
	if (part <= 0)
		return 0;
	return whole > 0 ? part / whole : (double)INFINITY;
}

static bool judge(struct hps_comparison *c, const struct hps_distance *d, const struct hps_tolerance *t)
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

/* ---- stamps ---- */

static void note_masked(struct hps_comparison *c, enum hps_mask m, const char *place)
{
	if (!c->masked[m]++)
		c->masked_first[m] = hps_strdup(*place ? place : "top");
}

/* The name that a place ends in: "/run/pid", "row 2, column 3 'seconds'". */
enum hps_mask hps_pair_mask(const struct hps_pair *p)
{
	const char *end = p->place + strlen(p->place), *start;
	enum hps_mask m;

	if (end > p->place && end[-1] == '\'')
		end--;
	for (start = end; start > p->place && !strchr("/'.@", start[-1]); start--)
		;
	m = hps_mask_of_name(start, (size_t)(end - start));
	return p->unmasked & HPS_MASK_BIT(m) ? HPS_MASK_NONE : m;
}

static enum hps_mask number_mask(const struct hps_pair *p, double a, double b)
{
	enum hps_mask named = hps_pair_mask(p), m = hps_mask_number(named, a);

	return m == hps_mask_number(named, b) && !(p->unmasked & HPS_MASK_BIT(m)) ? m : HPS_MASK_NONE;
}

static char *element_place(const char *place, size_t index, bool scalar)
{
	return scalar ? hps_strdup(place) : hps_format("%s[%zu]", place, index);
}

static void compare_numbers(const struct hps_pair *p, const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *t, struct hps_comparison *c)
{
	_cleanup_free_ char *where = NULL;
	struct hps_distance d = { 0 };
	enum hps_mask mask;
	bool within;

	for (size_t i = 0; i < a->n; i++) {
		const struct hps_token *x = &a->tokens[i], *y = &b->tokens[i];

		if (!hps_number_same(x, y)) {
			hps_distance_note(&d, i);
			d.apart = d.apart || (hps_number_integer(x) && hps_number_integer(y));
		}
		hps_distance_measure(&d, hps_number_value(x), hps_number_value(y));
	}
	if (!d.n_different)
		return;
	mask = a->scalar ? number_mask(p, hps_number_value(a->tokens), hps_number_value(b->tokens)) : HPS_MASK_NONE;
	if (mask) {
		note_masked(c, mask, p->place);
		return;
	}
	within = judge(c, &d, t);
	where = element_place(p->place, d.first, a->scalar);
	differs(c, within ? HPS_OUTPUT_WITHIN : HPS_OUTPUT_DIVERGED, where, show_text(a->tokens[d.first].text, a->tokens[d.first].len),
		show_text(b->tokens[d.first].text, b->tokens[d.first].len));
}

/* ---- arrays ---- */

static bool same_type(const struct hps_array *a, const struct hps_array *b)
{
	return a->dtype == b->dtype && a->itemsize == b->itemsize && a->n_dimensions == b->n_dimensions &&
	       !memcmp(a->shape, b->shape, a->n_dimensions * sizeof a->shape[0]);
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

static void compare_arrays(const struct hps_pair *p, const struct hps_array *a, const struct hps_array *b, const struct hps_tolerance *t, struct hps_comparison *c)
{
	bool whole = !a->measured && a->dtype != HPS_DTYPE_FLOAT && a->dtype != HPS_DTYPE_BFLOAT && a->dtype != HPS_DTYPE_COMPLEX;
	_cleanup_buf_ struct hps_buf x = HPS_BUF_INIT, y = HPS_BUF_INIT;
	_cleanup_free_ char *where = NULL;
	struct hps_distance d = { 0 };
	enum hps_mask mask;
	bool within;

	hps_array_distance(a, b, &p->a->mapping, &p->b->mapping, &d);
	if (!d.n_different)
		return;
	if (a->n == 1) {
		mask = number_mask(p, hps_array_value(a, 0, 0), hps_array_value(b, 0, 0));
		if (mask) {
			note_masked(c, mask, p->place);
			return;
		}
	}
	d.apart = d.apart || whole;
	within = judge(c, &d, t);
	where = index_place(p->place, a, d.first);
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
size_t hps_line_number(const char *text, size_t len, size_t at)
{
	size_t n;

	if (at && word_character(text[at - 1]))
		return 0;
	n = hps_number_length(text + at, len - at);
	return n && at + n < len && word_character(text[at + n]) ? 0 : n;
}

struct reading { /* two lines, side by side */
	const struct hps_node *a, *b;
	size_t i, j;
	bool differs, apart; /* a number differs; by more than the tolerance */
};

/* Steps over the same kind of stamp on both sides. */
static bool skip_stamps(struct reading *r, const struct hps_pair *p, struct hps_comparison *c)
{
	enum hps_mask x, y;
	size_t n = hps_mask_at(r->a->text, r->a->len, r->i, p->unmasked, &x), m = n ? hps_mask_at(r->b->text, r->b->len, r->j, p->unmasked, &y) : 0;

	if (!n || !m || x != y || !hps_mask_alike(x, r->a->text + r->i, n, r->b->text + r->j, m))
		return false;
	if (n != m || memcmp(r->a->text + r->i, r->b->text + r->j, n) != 0)
		note_masked(c, x, p->place);
	r->i += n;
	r->j += m;
	return true;
}

static bool skip_numbers(struct reading *r, const struct hps_tolerance *t, struct hps_comparison *c)
{
	struct hps_token x = { r->a->text + r->i, hps_line_number(r->a->text, r->a->len, r->i) }, y = { r->b->text + r->j, hps_line_number(r->b->text, r->b->len, r->j) };
	struct hps_distance d = { 0 };

	if (!t->declared || !x.len || !y.len)
		return false;
	r->i += x.len;
	r->j += y.len;
	if (x.len == y.len && !memcmp(x.text, y.text, x.len))
		return true;
	hps_distance_note(&d, 0);
	d.apart = hps_number_integer(&x) && hps_number_integer(&y);
	hps_distance_measure(&d, hps_number_value(&x), hps_number_value(&y));
	r->differs = true;
	r->apart = !judge(c, &d, t) || r->apart;
	return true;
}

/* Compares two lines whose words are the same and whose numbers and stamps may differ. */
static enum hps_output_verdict compare_line(const struct hps_pair *p, const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *t,
					    struct hps_comparison *c)
{
	struct reading r = { .a = a, .b = b };

	while (r.i < a->len && r.j < b->len) {
		if (skip_stamps(&r, p, c) || skip_numbers(&r, t, c))
			continue;
		if (a->text[r.i++] != b->text[r.j++])
			return HPS_OUTPUT_DIVERGED;
	}
	if (r.i != a->len || r.j != b->len || r.apart)
		return HPS_OUTPUT_DIVERGED;
	return r.differs ? HPS_OUTPUT_WITHIN : HPS_OUTPUT_SAME_VALUES;
}

/* A text that is named as one: "/host", "/run_id", a number in a column "seconds". */
static bool masked_by_name(const struct hps_pair *p, const struct hps_node *a, const struct hps_node *b, struct hps_comparison *c)
{
	struct hps_token x = { a->text, hps_number_length(a->text, a->len) }, y = { b->text, hps_number_length(b->text, b->len) };
	enum hps_mask m = a->len && b->len ? hps_pair_mask(p) : HPS_MASK_NONE;

	if (m && x.len && x.len == a->len && y.len == b->len)
		m = number_mask(p, hps_number_value(&x), hps_number_value(&y));
	else if (m != HPS_MASK_HOST && m != HPS_MASK_ID)
		return false;
	if (!m)
		return false;
	note_masked(c, m, p->place);
	return true;
}

static void compare_texts(const struct hps_pair *p, const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *t, struct hps_comparison *c)
{
	bool line = a->type == HPS_TEXT_LINE || a->type == HPS_TEXT_STRING;
	enum hps_output_verdict v = HPS_OUTPUT_DIVERGED;
	size_t at = 0;

	if (a->len == b->len && (!a->len || !memcmp(a->text, b->text, a->len)))
		return;
	if (a->type == HPS_TEXT_BYTES) {
		while (at < a->len && at < b->len && a->text[at] == b->text[at])
			at++;
		c->n_different++;
		differs(c, HPS_OUTPUT_DIVERGED, p->place, hps_format("%zu bytes, differing from byte %zu", a->len, at), hps_format("%zu bytes", b->len));
		return;
	}
	if (line && !masked_by_name(p, a, b, c))
		v = compare_line(p, a, b, a->type == HPS_TEXT_LINE ? t : &exact, c);
	else if (line)
		v = HPS_OUTPUT_SAME_VALUES;
	if (v == HPS_OUTPUT_SAME_VALUES)
		return;
	c->n_different += v == HPS_OUTPUT_DIVERGED;
	differs(c, v, p->place, show_text(a->text, a->len), show_text(b->text, b->len));
}

/* ---- trees ---- */

/* By the metric's name: the place is that name, or in a file of metrics "/name" (in JSON lines behind "value N "). */
static const struct hps_tolerance *of_name(const struct hps_map *names, const char *place)
{
	const char *slash = strchr(place, '/');
	const struct hps_tolerance *own;

	if (!names)
		return NULL;
	own = hps_map_get(names, place);
	return own || !slash ? own : hps_map_get(names, slash + 1);
}

static void compare_nodes(const struct hps_pair *pair, const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *general, struct hps_comparison *c)
{
	const struct hps_tolerance *own = of_name(general->by_place, pair->place), *t = own ? own : general;
	bool alike = a->kind == b->kind, value = own || of_name(general->values, pair->place);
	const struct hps_pair named = { pair->a, pair->b, pair->place, ~0u }, *p = value ? &named : pair;

	c->n_values += a->kind == HPS_NODE_TEXT ? 1 : a->n;
	if (alike && a->kind == HPS_NODE_TEXT)
		alike = a->type == b->type;
	else if (alike && a->kind == HPS_NODE_NUMBERS)
		alike = a->scalar == b->scalar && a->n == b->n;
	else if (alike)
		alike = same_type(&a->array, &b->array);
	if (!alike)
		differs(c, HPS_OUTPUT_STRUCTURE, p->place, show_kind(a), show_kind(b));
	else if (a->kind == HPS_NODE_TEXT)
		compare_texts(p, a, b, t, c);
	else if (a->kind == HPS_NODE_NUMBERS)
		compare_numbers(p, a, b, t, c);
	else
		compare_arrays(p, &a->array, &b->array, t, c);
}

/* What the decoder knows to be a stamp: the value does not matter, unless masks of its kind are off. */
static bool skip_stamp_node(const struct hps_pair *p, const struct hps_node *a, const struct hps_node *b, struct hps_comparison *c)
{
	_cleanup_comparison_ struct hps_comparison aside = { .verdict = HPS_OUTPUT_SAME_VALUES };
	const struct hps_pair whole = { p->a, p->b, p->place, ~0u };

	if (!a->stamp || (b && b->stamp != a->stamp) || p->unmasked & HPS_MASK_BIT(a->stamp))
		return false;
	if (b)
		compare_nodes(&whole, a, b, &exact, &aside);
	if (!b || aside.verdict > HPS_OUTPUT_SAME_VALUES)
		note_masked(c, a->stamp, p->place);
	return true;
}

void hps_compare_place(const struct hps_pair *p, const struct hps_node *a, const struct hps_node *b, const struct hps_tolerance *tolerance,
		       struct hps_comparison *c)
{
	if (skip_stamp_node(p, a ? a : b, a ? b : NULL, c))
		return;
	if (a && b)
		compare_nodes(p, a, b, tolerance, c);
	else
		differs(c, HPS_OUTPUT_STRUCTURE, p->place, show_alone(a), show_alone(b));
}

void hps_compare_trees(const struct hps_tree *a, const struct hps_tree *b, const struct hps_tolerance *tolerance, struct hps_comparison *ret)
{
	struct hps_pair p = { a, b, "", tolerance->unmasked };

	ret->verdict = HPS_OUTPUT_SAME_VALUES;
	if (a->n_items + b->n_items > 2) {
		hps_compare_sequences(a, b, tolerance, ret);
		return;
	}
	for (size_t i = 0; i < a->n; i++) {
		p.place = hps_tree_place(a, i);
		hps_compare_place(&p, &a->nodes[i], hps_tree_find(b, p.place), tolerance, ret);
	}
	for (size_t i = 0; i < b->n && ret->verdict < HPS_OUTPUT_STRUCTURE; i++) {
		p.place = hps_tree_place(b, i);
		if (!hps_tree_find(a, p.place))
			hps_compare_place(&p, NULL, &b->nodes[i], tolerance, ret);
	}
}
