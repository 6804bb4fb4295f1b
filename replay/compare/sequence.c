/* Two sequences (the lines of a log, the rows of a table, the values of JSON lines): one that was put in or left out does not make all that
 * follow differ, and the same ones in another order are said to be just that. Keys guide; what is paired is compared by its values. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 120

/* ---- keys ---- */

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static void mix(uint64_t *h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		*h = (*h ^ p[i]) * 0x100000001b3u;
}

static void mix_byte(uint64_t *h, uint8_t byte)
{
	mix(h, &byte, 1);
}

/* Stamps count as their kind; in a skeleton numbers count as numbers. */
static void mix_text(uint64_t *h, const struct hps_node *n, unsigned unmasked, bool skeleton)
{
	for (size_t i = 0, len; i < n->len; i += len) {
		enum hps_mask m;

		len = hps_mask_at(n->text, n->len, i, unmasked, &m);
		if (len) {
			mix_byte(h, (uint8_t)(0x80 | m));
			continue;
		}
		len = skeleton ? hps_line_number(n->text, n->len, i) : 0;
		if (len)
			mix_byte(h, '#');
		else
			mix(h, n->text + i, len = 1);
	}
}

static void mix_numbers(uint64_t *h, const struct hps_node *n, bool skeleton)
{
	for (size_t i = 0; i < n->n; i++) {
		double x = skeleton ? 0 : hps_number_value(&n->tokens[i]);

		mix(h, &x, sizeof x);
	}
}

/* The members of an object come in any order: their keys are added. */
static uint64_t key_of(const struct hps_tree *t, size_t item, unsigned unmasked, bool skeleton)
{
	size_t end = hps_tree_item_end(t, item);
	uint64_t sum = 0;

	for (size_t i = t->items[item].node; i < end; i++) {
		const struct hps_node *n = &t->nodes[i];
		struct hps_pair p = { t, t, hps_tree_place(t, i), unmasked };
		uint64_t h = 0xcbf29ce484222325u;

		mix(&h, p.place + t->items[item].prefix, strlen(p.place + t->items[item].prefix));
		mix_byte(&h, (uint8_t)(n->kind << 4 | n->type));
		if (!n->stamp && n->kind == HPS_NODE_TEXT && !hps_pair_mask(&p))
			mix_text(&h, n, unmasked, skeleton);
		else if (!n->stamp && n->kind == HPS_NODE_NUMBERS && !hps_pair_mask(&p))
			mix_numbers(&h, n, skeleton);
		sum += h ^ h >> 29;
	}
	return sum;
}

static uint64_t *keys_of(const struct hps_tree *t, unsigned unmasked, bool skeleton)
{
	uint64_t *keys = hps_alloc(t->n_items * sizeof *keys + 1);

	for (size_t i = 0; i < t->n_items; i++)
		keys[i] = key_of(t, i, unmasked, skeleton);
	return keys;
}

/* ---- items ---- */

static char *place_in(const struct hps_tree *t, size_t item, const char *rest)
{
	return hps_format("%.*s%s", (int)t->items[item].prefix, hps_tree_place(t, t->items[item].node), rest);
}

/* Node k of item i of one tree, in item j of the other: at the same distance mostly. NULL: it has none. */
static const struct hps_node *partner(const struct hps_tree *from, size_t i, size_t k, const struct hps_tree *to, size_t j)
{
	const char *rest = hps_tree_place(from, k) + from->items[i].prefix;
	_cleanup_free_ char *place = NULL;
	size_t at;

	if (j == SIZE_MAX)
		return NULL;
	at = to->items[j].node + (k - from->items[i].node);
	if (at < hps_tree_item_end(to, j) && !strcmp(hps_tree_place(to, at) + to->items[j].prefix, rest))
		return &to->nodes[at];
	place = place_in(to, j, rest);
	return hps_tree_find(to, place);
}

/* Either may be SIZE_MAX: there is none. Places are the first's. */
static void compare_items(const struct hps_pair *trees, size_t i, size_t j, const struct hps_tolerance *tolerance, struct hps_comparison *c)
{
	const struct hps_tree *a = trees->a, *b = trees->b;
	struct hps_pair p = *trees;

	for (size_t k = i == SIZE_MAX ? 0 : a->items[i].node; i != SIZE_MAX && k < hps_tree_item_end(a, i); k++) {
		p.place = hps_tree_place(a, k);
		hps_compare_place(&p, &a->nodes[k], partner(a, i, k, b, j), tolerance, c);
	}
	for (size_t k = j == SIZE_MAX ? 0 : b->items[j].node; j != SIZE_MAX && k < hps_tree_item_end(b, j); k++) {
		p.place = hps_tree_place(b, k);
		if (!partner(b, j, k, a, i))
			hps_compare_place(&p, NULL, &b->nodes[k], tolerance, c);
	}
}

/* ---- another order ---- */

struct ranked {
	uint64_t key;
	size_t item;
};

static int by_key(const void *x, const void *y)
{
	const struct ranked *a = x, *b = y;

	return a->key != b->key ? (a->key < b->key ? -1 : 1) : a->item < b->item ? -1 : a->item > b->item;
}

static struct ranked *rank(const uint64_t *keys, size_t n)
{
	struct ranked *r = hps_alloc(n * sizeof *r + 1);

	for (size_t i = 0; i < n; i++)
		r[i] = (struct ranked){ keys[i], i };
	qsort(r, n, sizeof *r, by_key);
	return r;
}

static char *show_item(const struct hps_tree *t, size_t item)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

	for (size_t k = t->items[item].node; k < hps_tree_item_end(t, item) && b.len < SHOWN_MAX; k++) {
		_cleanup_free_ char *text = hps_node_show(&t->nodes[k]);

		hps_buf_addf(&b, "%s%s", b.len ? ", " : "", text);
	}
	return hps_buf_take(&b);
}

/* True when both have the same items, each as often: then *c says so. */
static bool is_reordered(const struct hps_pair *p, const uint64_t *a, const uint64_t *b, const struct hps_tolerance *tolerance, struct hps_comparison *c)
{
	const struct hps_tolerance exact = { .values = tolerance->values };
	size_t n = p->a->n_items, first = n;
	_cleanup_free_ struct ranked *x = NULL, *y = NULL;
	_cleanup_comparison_ struct hps_comparison aside = { .verdict = HPS_OUTPUT_SAME_VALUES };

	if (n != p->b->n_items)
		return false;
	x = rank(a, n);
	y = rank(b, n);
	for (size_t i = 0; i < n && aside.verdict == HPS_OUTPUT_SAME_VALUES; i++)
		if (x[i].key == y[i].key)
			compare_items(p, x[i].item, y[i].item, &exact, &aside);
		else
			return false;
	for (size_t i = n; i-- > 0;)
		if (a[i] != b[i]) {
			first = i;
			aside.n_different++;
		}
	if (aside.verdict != HPS_OUTPUT_SAME_VALUES || first == n)
		return false;
	aside.verdict = HPS_OUTPUT_REORDERED;
	aside.format = c->format;
	aside.note = hps_take(c->note);
	aside.place = p->a->items[first].prefix ? place_in(p->a, first, "") : hps_strdup("top");
	aside.original = show_item(p->a, first);
	aside.rerun = show_item(p->b, first);
	hps_comparison_release(c);
	*c = aside;
	aside = (struct hps_comparison){ 0 };
	return true;
}

/* ---- both ---- */

static void start_again(struct hps_comparison *c)
{
	struct hps_comparison fresh = { .verdict = HPS_OUTPUT_SAME_VALUES, .format = c->format, .note = hps_take(c->note) };

	hps_comparison_release(c);
	*c = fresh;
}

static void compare_aligned(const struct hps_pair *p, const size_t *match, const struct hps_tolerance *tolerance, struct hps_comparison *c)
{
	size_t n = p->a->n_items, m = p->b->n_items;

	for (size_t i = 0, j = 0, next; i < n || j < m;) {
		if (i < n && match[i] == j) {
			compare_items(p, i++, j++, tolerance, c);
			continue;
		}
		for (next = i; next < n && match[next] == SIZE_MAX; next++) /* between two that are paired: one replaces the other */
			;
		size_t end = next < n ? match[next] : m;

		for (; i < next && j < end; i++, j++)
			compare_items(p, i, j, tolerance, c);
		for (; i < next; i++, c->n_different++)
			compare_items(p, i, SIZE_MAX, tolerance, c);
		for (; j < end; j++, c->n_different++)
			compare_items(p, SIZE_MAX, j, tolerance, c);
	}
}

static void compare_in_order(const struct hps_pair *p, const struct hps_tolerance *tolerance, struct hps_comparison *c)
{
	for (size_t i = 0; i < p->a->n_items; i++)
		compare_items(p, i, i, tolerance, c);
}

void hps_compare_sequences(const struct hps_tree *a, const struct hps_tree *b, const struct hps_tolerance *tolerance, struct hps_comparison *ret)
{
	const struct hps_pair p = { a, b, "", tolerance->unmasked };
	_cleanup_free_ uint64_t *x = NULL, *y = NULL;
	_cleanup_free_ size_t *match = NULL;

	if (a->n_items == b->n_items) {
		compare_in_order(&p, tolerance, ret);
		if (ret->verdict <= HPS_OUTPUT_WITHIN)
			return;
	}
	x = keys_of(a, p.unmasked, false);
	y = keys_of(b, p.unmasked, false);
	if (is_reordered(&p, x, y, tolerance, ret))
		return;
	match = hps_alloc(a->n_items * sizeof *match + 1);
	memset(match, 0xff, a->n_items * sizeof *match);
	hps_align(x, a->n_items, y, b->n_items, match);
	free(x);
	free(y);
	x = keys_of(a, p.unmasked, true);
	y = keys_of(b, p.unmasked, true);
	hps_align(x, a->n_items, y, b->n_items, match);
	start_again(ret);
	compare_aligned(&p, match, tolerance, ret);
}
