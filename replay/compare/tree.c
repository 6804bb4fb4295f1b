/* What a file says, format aside: a list of places, each with text, numbers or an array. The decoders fill it, the engine in
 * compare.c reads it. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX ((size_t)4 << 20)
#define TOKENS_MAX ((size_t)32 << 20)

void *hps_tree_keep(struct hps_tree *t, void *memory)
{
	t->owned = hps_grow(t->owned, t->n_owned, sizeof *t->owned);
	t->owned[t->n_owned++] = memory;
	return memory;
}

static int add(struct hps_tree *t, const char *place, struct hps_node **ret, struct hps_error *err)
{
	void **slot;

	if (t->n >= NODES_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "more than %zu values", NODES_MAX);
	slot = hps_map_slot(&t->places, place);
	if (*slot)
		return hps_error_set(err, HPS_E_FORMAT, "'%s' is there twice", place);
	t->nodes = hps_grow(t->nodes, t->n, sizeof *t->nodes);
	*slot = (void *)(t->n + 1); /* an index, since the nodes move when they grow */
	*ret = &t->nodes[t->n++];
	memset(*ret, 0, sizeof **ret);
	return 0;
}

int hps_tree_add_text(struct hps_tree *t, const char *place, enum hps_text_type type, const char *text, size_t len, struct hps_error *err)
{
	struct hps_node *node;
	int r = add(t, place, &node, err);

	if (r)
		return r;
	node->kind = HPS_NODE_TEXT;
	node->type = type;
	node->text = text;
	node->len = len;
	return 0;
}

int hps_tree_add_numbers(struct hps_tree *t, const char *place, bool scalar, const struct hps_token *tokens, size_t n, struct hps_error *err)
{
	struct hps_node *node;
	int r = add(t, place, &node, err);

	if (r)
		return r;
	t->n_tokens += n;
	if (t->n_tokens > TOKENS_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "more than %zu numbers", TOKENS_MAX);
	node->kind = HPS_NODE_NUMBERS;
	node->scalar = scalar;
	node->n = n;
	node->tokens = hps_tree_keep(t, hps_alloc((n ? n : 1) * sizeof *tokens));
	if (n)
		memcpy(node->tokens, tokens, n * sizeof *tokens);
	return 0;
}

int hps_tree_add_array(struct hps_tree *t, const char *place, const struct hps_array *array, struct hps_error *err)
{
	struct hps_node *node;
	int r = add(t, place, &node, err);

	if (r)
		return r;
	node->kind = HPS_NODE_ARRAY;
	node->array = *array;
	node->n = array->n;
	return 0;
}

void hps_tree_mark(struct hps_tree *t, enum hps_mask stamp)
{
	t->nodes[t->n - 1].stamp = stamp;
}

void hps_tree_item(struct hps_tree *t, size_t prefix)
{
	t->items = hps_grow(t->items, t->n_items, sizeof *t->items);
	t->items[t->n_items++] = (struct hps_item){ t->n, prefix };
}

size_t hps_tree_item_end(const struct hps_tree *t, size_t item)
{
	return item + 1 < t->n_items ? t->items[item + 1].node : t->n;
}

const struct hps_node *hps_tree_find(const struct hps_tree *t, const char *place)
{
	size_t index = (size_t)hps_map_get(&t->places, place);

	return index ? &t->nodes[index - 1] : NULL;
}

const char *hps_tree_place(const struct hps_tree *t, size_t i)
{
	return t->places.items[i].key; /* the map keeps the order of insertion, and each node has one key */
}

void hps_tree_release(struct hps_tree *t)
{
	for (size_t i = 0; i < t->n_owned; i++)
		free(t->owned[i]);
	free(t->owned);
	free(t->nodes);
	free(t->items);
	hps_map_release(&t->places);
	*t = (struct hps_tree)HPS_TREE_INIT;
}
