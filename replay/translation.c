/* A trial, as if it had run where another one did: in its directory, with its logs. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

static char *moved(const char *text, const char *from, const char *to)
{
	size_t n = strlen(from);

	return !strncmp(text, from, n) && (!text[n] || text[n] == '/') ? hps_format("%s%s", to, text + n) : NULL;
}

static void move_items(json_t *items, const char *from, const char *to)
{
	static const char *const members[] = { "path", "target" };
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		for (size_t k = 0; k < ARRAY_SIZE(members); k++) {
			const char *text = hps_json_text(item, members[k]);
			_cleanup_free_ char *other = text ? moved(text, from, to) : NULL;

			if (other)
				hps_json_set_text(item, members[k], other);
		}
}

static void move_words(struct hps_strv *words, const char *from, const char *to)
{
	for (size_t i = 0; i < words->n; i++) {
		size_t n = strcspn(words->v[i], "=");
		const char *value = words->v[i][n] ? words->v[i] + n + 1 : words->v[i];
		_cleanup_free_ char *other = moved(value, from, to);

		if (!other)
			continue;
		char *whole = hps_format("%.*s%s", (int)(value - words->v[i]), words->v[i], other);

		free(words->v[i]);
		words->v[i] = whole;
	}
}

void hps_original_move(struct hps_original *o, const char *to)
{
	_cleanup_free_ char *metrics = NULL;

	if (!strcmp(o->cwd, to))
		return;
	move_words(&o->argv, o->cwd, to);
	move_words(&o->environment, o->cwd, to);
	move_items(o->materials, o->cwd, to);
	move_items(o->products, o->cwd, to);
	move_items(o->misses, o->cwd, to);
	move_items(o->listings, o->cwd, to);
	metrics = o->metrics_path ? moved(o->metrics_path, o->cwd, to) : NULL;
	if (metrics) {
		free(o->metrics_path);
		o->metrics_path = hps_take(metrics);
	}
	free(o->cwd);
	o->cwd = hps_strdup(to);
}

static const char *given_as(const json_t *materials, int fd)
{
	const json_t *item, *number;
	size_t i, k;

	json_array_foreach((json_t *)(uintptr_t)materials, i, item)
		json_array_foreach((json_t *)(uintptr_t)json_object_get(item, "descriptors"), k, number)
			if (json_integer_value(number) == fd && json_is_integer(number))
				return hps_item_name(item);
	return NULL;
}

static void rename_items(json_t *items, const char *from, const char *to)
{
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item)
		if (hps_item_name(item) && !strcmp(hps_item_name(item), from))
			hps_json_set_text(item, "path", to);
}

/* One wrote run1.log, the other run2.log. */
void hps_original_redirect(struct hps_original *o, const struct hps_original *as)
{
	for (int fd = 0; fd < 3; fd++) {
		const char *own = given_as(o->materials, fd), *to = given_as(as->materials, fd);
		_cleanup_free_ char *from = own && to && strcmp(own, to) != 0 ? hps_strdup(own) : NULL;

		if (!from)
			continue;
		rename_items(o->materials, from, to);
		rename_items(o->products, from, to);
	}
}
