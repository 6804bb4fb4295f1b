/* Memory: out of memory aborts, here and nowhere else. A recorder that dies takes its trial with it and leaves a `begin`
 * entry that says so; SQLite rolls back; so aborting loses nothing, and checking each call would hide the errors that
 * outside input can cause, which ceilings guard. */
#include "core/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *hps_alloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		abort();
	return p;
}

void *hps_realloc(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n ? n : 1, size ? size : 1);

	if (!q)
		abort();
	return q;
}

void *hps_grow(void *items, size_t n, size_t size)
{
	if (n & (n - 1))
		return items;
	return hps_realloc(items, n ? 2 * n : 1, size);
}

char *hps_strdup(const char *s)
{
	return hps_strndup(s, strlen(s));
}

char *hps_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = hps_alloc(len + 1);

	memcpy(copy, s, len);
	return copy;
}

char *hps_format(const char *format, ...)
{
	va_list ap;
	char *s;

	va_start(ap, format);
	if (vasprintf(&s, format, ap) < 0)
		abort();
	va_end(ap);
	return s;
}

#define CHUNK_LEAST ((size_t)1 << 10)
#define CHUNK_MOST ((size_t)256 << 10)

void *hps_arena_take(struct hps_arena *a, size_t size)
{
	char *taken;

	if (a->left < size) {
		size_t next = a->chunk ? 2 * a->cap : CHUNK_LEAST;
		void **chunk;

		next = next > CHUNK_MOST ? CHUNK_MOST : next;
		a->cap = next > size ? next : size;
		chunk = hps_alloc(sizeof(void *) + a->cap);
		*chunk = a->chunk;
		a->chunk = chunk;
		a->left = a->cap;
	}
	taken = (char *)a->chunk + sizeof(void *) + a->cap - a->left;
	a->left -= size;
	return taken;
}

void hps_arena_release(struct hps_arena *a)
{
	for (void *chunk = a->chunk, *older; chunk; chunk = older) {
		older = *(void **)chunk;
		free(chunk);
	}
	*a = (struct hps_arena)HPS_ARENA_INIT;
}

void hps_cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Keeps errno, so that a clean-up on the way out does not spoil the error being reported; close is never retried. */
void hps_cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1; /* the number may be somebody else's by now */
	errno = saved;
}

void hps_cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

void hps_cleanup_json(json_t **j)
{
	json_decref(*j);
}

void hps_cleanup_error(struct hps_error *e)
{
	hps_error_release(e);
}

int hps_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
