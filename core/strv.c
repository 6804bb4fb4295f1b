/* NULL-terminated lists of strings. */
#include "core/core.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void hps_strv_add_take(struct hps_strv *s, char *item)
{
	/* Room for n + 2 pointers, grown at powers of two. */
	if ((s->n & (s->n + 1)) == 0)
		s->v = hps_realloc(s->v, 2 * s->n + 2, sizeof *s->v);
	s->v[s->n++] = item;
	s->v[s->n] = NULL;
}

void hps_strv_add(struct hps_strv *s, const char *item)
{
	hps_strv_add_take(s, hps_strdup(item));
}

void hps_strv_addf(struct hps_strv *s, const char *format, ...)
{
	va_list ap;
	char *item;

	va_start(ap, format);
	if (vasprintf(&item, format, ap) < 0)
		abort();
	va_end(ap);
	hps_strv_add_take(s, item);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void hps_strv_sort(struct hps_strv *s)
{
	if (s->n)
		qsort(s->v, s->n, sizeof *s->v, compare);
}

void hps_strv_release(struct hps_strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct hps_strv)HPS_STRV_INIT;
}
