/* Growing bytes with a ceiling. */
#include "core/core.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void hps_buf_init(struct hps_buf *b, size_t max)
{
	*b = (struct hps_buf){ .max = max };
}

void hps_buf_release(struct hps_buf *b)
{
	free(b->data);
	hps_buf_init(b, b->max);
}

void hps_buf_reset(struct hps_buf *b)
{
	b->len = 0;
	b->full = false;
	if (b->data)
		b->data[0] = '\0';
}

void *hps_buf_reserve(struct hps_buf *b, size_t len)
{
	size_t cap = b->cap ? b->cap : 64;

	if (len > b->max || b->len > b->max - len) {
		b->full = true;
		return NULL;
	}
	while (cap < b->len + len + 1)
		cap *= 2;
	if (cap != b->cap) {
		b->data = hps_realloc(b->data, cap, 1);
		b->cap = cap;
	}
	return b->data + b->len;
}

void hps_buf_add(struct hps_buf *b, const void *data, size_t len)
{
	char *to = hps_buf_reserve(b, len);

	if (!to)
		return;
	if (len)
		memcpy(to, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void hps_buf_addc(struct hps_buf *b, char c)
{
	hps_buf_add(b, &c, 1);
}

void hps_buf_adds(struct hps_buf *b, const char *s)
{
	hps_buf_add(b, s, strlen(s));
}

void hps_buf_addf(struct hps_buf *b, const char *format, ...)
{
	_cleanup_free_ char *s = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&s, format, ap) < 0)
		abort();
	va_end(ap);
	hps_buf_adds(b, s);
}

char *hps_buf_take(struct hps_buf *b)
{
	char *s = b->data ? b->data : hps_alloc(1);

	hps_buf_init(b, b->max);
	return s;
}

char *hps_text_replace(const char *text, const char *old, const char *with)
{
	struct hps_buf out = HPS_BUF_INIT;
	const char *at;

	for (; (at = strstr(text, old)); text = at + strlen(old)) {
		hps_buf_add(&out, text, (size_t)(at - text));
		hps_buf_adds(&out, with);
	}
	hps_buf_adds(&out, text);
	return hps_buf_take(&out);
}
