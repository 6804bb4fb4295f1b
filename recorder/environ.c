/* What a program's environment has that its predecessor's had not: the variables that somebody set or removed on the way. */
#include "recorder/recorder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/redact.h"

#define ENVIRONMENT_MAX 65536u /* a larger one is not compared */
#define KEPT_MAX (64u << 20) /* of all executions together */

struct hps_environ {
	unsigned refs;
	size_t len;
	char text[]; /* strings, each with its NUL */
};

struct hps_environ *hps_environ_ref(struct hps_environ *e)
{
	if (e)
		e->refs++;
	return e;
}

void hps_environ_unref(struct hps_environ *e)
{
	if (e && --e->refs == 0)
		free(e);
}

static bool has(const struct hps_environ *e, const char *entry, size_t n)
{
	for (const char *at = e->text, *end = e->text + e->len; at < end; at += strlen(at) + 1)
		if (!strncmp(at, entry, n) && (!entry[n] ? !at[n] : at[n] == '='))
			return true;
	return false;
}

/* Strings of `from` that `in` has not; names: only those whose name it has not, and their names alone. */
static void difference(const struct hps_environ *from, const struct hps_environ *in, bool names, struct hps_buf *ret)
{
	for (const char *at = from->text, *end = from->text + from->len; at < end; at += strlen(at) + 1) {
		size_t n = names ? strcspn(at, "=") : strlen(at);

		if (!n || has(in, at, n))
			continue;
		hps_buf_add(ret, at, n);
		hps_buf_addc(ret, '\0');
	}
}

static struct hps_environ *read_environ(const struct hps_tracee *t)
{
	_cleanup_fd_ int fd = openat(t->task_fd, "../environ", O_RDONLY | O_CLOEXEC);
	struct hps_environ *e;
	char text[ENVIRONMENT_MAX];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);

	if (n <= 0 || n == sizeof text)
		return NULL;
	e = hps_alloc(sizeof *e + (size_t)n + 1);
	e->refs = 1;
	e->len = (size_t)n;
	memcpy(e->text, text, (size_t)n);
	return e;
}

/* What a shell hands to one of its commands it hands to the next one too. */
static bool is_last(const struct hps_environ_change *l, const struct hps_environ *before, const struct hps_environ *now)
{
	return before && l->before == before && l->after->len == now->len && !memcmp(l->after->text, now->text, now->len);
}

static void compare(struct hps_environ_change *l, struct hps_environ *before, struct hps_environ *now)
{
	hps_environ_change_release(l);
	hps_buf_init(&l->set, HPS_BUF_MAX);
	hps_buf_init(&l->removed, HPS_BUF_MAX);
	l->before = hps_environ_ref(before);
	l->after = hps_environ_ref(now);
	difference(now, before, false, &l->set);
	difference(before, now, true, &l->removed);
}

static char *copy(const struct hps_buf *b)
{
	char *text = b->len ? hps_alloc(b->len) : NULL;

	return text ? memcpy(text, b->data, b->len) : NULL;
}

void hps_environ_change_release(struct hps_environ_change *l)
{
	hps_environ_unref(hps_take(l->before));
	hps_environ_unref(hps_take(l->after));
	hps_buf_release(&l->set);
	hps_buf_release(&l->removed);
}

void hps_environ_note(struct hps_supervisor *s, struct hps_tracee *t, struct hps_execution *x)
{
	struct hps_environ *now = read_environ(t), *before = t->environ;
	struct hps_environ_change *l = &s->environ_change;

	if (!now)
		return;
	if (before && now->len == before->len && !memcmp(now->text, before->text, now->len)) {
		hps_environ_unref(now);
		return;
	}
	if (is_last(l, before, now)) {
		hps_environ_unref(now);
		now = hps_environ_ref(l->after);
	} else if (before) {
		compare(l, before, now);
	}
	if (before && s->environ_bytes < KEPT_MAX) {
		s->environ_bytes += l->set.len + l->removed.len;
		x->set_len = l->set.len;
		x->removed_len = l->removed.len;
		x->set = copy(&l->set);
		x->removed = copy(&l->removed);
	}
	hps_environ_unref(before);
	t->environ = now;
}

/* The list ends with NULL; its strings are those of text. */
static char **list(const char *text, size_t len)
{
	char **v = hps_alloc((len + 1) * sizeof *v);
	size_t n = 0;

	for (size_t at = 0; at < len; at += strlen(text + at) + 1)
		v[n++] = (char *)(uintptr_t)text + at;
	return v;
}

void hps_environ_json(const struct hps_record *r, const struct hps_execution *x, json_t *item)
{
	_cleanup_free_ char **set = list(x->set, x->set_len), **removed = list(x->removed, x->removed_len);
	json_t *clear = json_object(), *tags = json_object(), *names = json_array();

	hps_redact_environment(r->redactor, set, clear, tags);
	for (size_t i = 0; removed[i]; i++)
		hps_json_add(names, hps_path_json(removed[i]));
	if (json_object_size(clear))
		hps_json_set(item, "environment", json_incref(clear));
	if (json_object_size(tags))
		hps_json_set(item, "environmentDigests", json_incref(tags));
	if (json_array_size(names))
		hps_json_set(item, "environmentRemoved", json_incref(names));
	json_decref(clear);
	json_decref(tags);
	json_decref(names);
}
