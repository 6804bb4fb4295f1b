/* Byte-string keys to pointers: open addressing over a list in insertion order. */
#include "core/core.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, 64 bit (Fowler, Noll, Vo): keys are paths and names, not chosen by an enemy who gains from collisions. */
uint64_t hps_map_hash(const char *key)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *key; key++)
		h = (h ^ (uint8_t)*key) * 0x100000001b3u;
	return h ^ h >> 32;
}

/* The slot that holds key, or the free one where it would go. */
static uint32_t *slot_of(const struct hps_map *m, const char *key)
{
	size_t mask = m->n_slots - 1;

	for (size_t i = hps_map_hash(key) & mask;; i = (i + 1) & mask) {
		uint32_t *s = &m->slots[i];

		if (!*s || !strcmp(m->items[*s - 1].key, key))
			return s;
	}
}

static void grow(struct hps_map *m)
{
	m->n_slots = m->n_slots ? m->n_slots * 2 : 64;
	free(m->slots);
	m->slots = hps_alloc(m->n_slots * sizeof *m->slots);
	for (size_t i = 0; i < m->n; i++)
		*slot_of(m, m->items[i].key) = (uint32_t)(i + 1);
}

void **hps_map_slot(struct hps_map *m, const char *key)
{
	uint32_t *s;

	if (m->n * 3 >= m->n_slots * 2)
		grow(m);
	s = slot_of(m, key);
	if (!*s) {
		size_t len = strlen(key) + 1;
		char *copy = hps_arena_take(&m->keys, len);

		if (m->n == m->cap) {
			m->cap += m->cap < 32 ? 32 : m->cap < 8192 ? m->cap : m->cap / 8;
			m->items = hps_realloc(m->items, m->cap, sizeof *m->items);
		}
		memcpy(copy, key, len);
		m->items[m->n] = (struct hps_map_item){ copy, NULL };
		*s = (uint32_t)++m->n;
	}
	return &m->items[*s - 1].value;
}

void **hps_map_find(const struct hps_map *m, const char *key)
{
	uint32_t *s = m->n_slots ? slot_of(m, key) : NULL;

	return s && *s ? &m->items[*s - 1].value : NULL;
}

void *hps_map_get(const struct hps_map *m, const char *key)
{
	void **slot = hps_map_find(m, key);

	return slot ? *slot : NULL;
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct hps_map_item *const *)a)->key, (*(const struct hps_map_item *const *)b)->key);
}

const struct hps_map_item **hps_map_sorted(const struct hps_map *m)
{
	const struct hps_map_item **list = hps_realloc(NULL, m->n + 1, sizeof *list);

	for (size_t i = 0; i < m->n; i++)
		list[i] = &m->items[i];
	if (m->n)
		qsort(list, m->n, sizeof *list, by_key);
	return list;
}

void hps_map_release(struct hps_map *m)
{
	hps_arena_release(&m->keys);
	free(m->items);
	free(m->slots);
	*m = (struct hps_map)HPS_MAP_INIT;
}
