/* Directories in a rerun: where the trial had made names they are read as the trial read them, in its order. */
#include "recorder/recorder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ANSWERS_MAX ((size_t)256 << 20)
#define ANSWER_MAX ((size_t)1 << 20) /* bytes of one answer */

const struct hps_syscall hps_listing_syscall = { .nr = SYS_getdents64, .name = "getdents64", .act = hps_act_list };

static int load_one(struct hps_map *all, const json_t *item, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
	const char *text = hps_json_text(item, "path");
	struct hps_listing *l;
	const json_t *name;
	void **slot;
	size_t i;

	if (!text || hps_path_unescape(text, &path, err) || !path.len)
		return hps_error_set(err, HPS_E_FORMAT, "it has a directory without a path");
	slot = hps_map_slot(all, path.data);
	if (*slot)
		return hps_error_set(err, HPS_E_FORMAT, "it has '%s' twice", path.data);
	*slot = l = hps_alloc(sizeof *l);
	json_array_foreach((json_t *)(uintptr_t)hps_json_at(item, "names", NULL), i, name) {
		_cleanup_buf_ struct hps_buf own = HPS_BUF_INIT;

		if (i >= HPS_LISTING_NAMES_MAX || !json_is_string(name) || hps_path_unescape(json_string_value(name), &own, err) || !own.len)
			return hps_error_set(err, HPS_E_FORMAT, "'%s' has a name that is none", path.data);
		hps_strv_add_take(&l->names, hps_buf_take(&own));
	}
	hps_listing_number(l);
	return 0;
}

int hps_listings_load(const char *file, struct hps_map *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	const json_t *item;
	size_t i;
	int r = hps_file_read(AT_FDCWD, file, ANSWERS_MAX, &text, err);

	r = r ? r : hps_json_parse(text.data ? text.data : "", text.len, &j, err);
	json_array_foreach((json_t *)(uintptr_t)hps_json_at(j, "items", NULL), i, item)
		r = r ? r : load_one(ret, item, err);
	return r ? hps_error_prefix(err, "option --listings-from '%s'", file) : 0;
}

static int by_place(const void *a, const void *b)
{
	const struct hps_listed *x = a, *y = b;

	return x->place < y->place ? -1 : x->place > y->place;
}

/* What the trial did not meet gets a place behind all others, and keeps it. */
static void place(struct hps_listing *l, struct hps_listed_names *e)
{
	for (size_t i = 0; i < e->n; i++) {
		void **slot = hps_map_slot(&l->places, e->v[i].name);

		if (!*slot)
			*slot = (void *)l->places.n;
		e->v[i].place = (size_t)*slot - 1;
	}
	if (e->n)
		qsort(e->v, e->n, sizeof *e->v, by_place);
}

/* From place `from` on, as much as fits. *ret_next: the place to go on from. -EINVAL: not even one does. */
static long lay_out(const struct hps_listed_names *e, size_t from, char *out, size_t size, size_t *ret_next)
{
	size_t used = 0;

	*ret_next = from;
	for (size_t i = 0; i < e->n; i++) {
		const struct hps_listed *x = &e->v[i];
		size_t len = strlen(x->name) + 1, whole = (offsetof(struct dirent64, d_name) + len + 7) & ~(size_t)7;
		struct dirent64 *d = (void *)(out + used);

		if (x->place < from)
			continue;
		if (whole > size - used)
			return used ? (long)used : -EINVAL;
		memset(d, 0, whole);
		d->d_ino = x->ino;
		d->d_off = (off64_t)x->place + 1;
		d->d_reclen = (unsigned short)whole;
		d->d_type = x->type;
		memcpy(d->d_name, x->name, len);
		used += whole;
		*ret_next = x->place + 1;
	}
	return (long)used;
}

static struct hps_listing *listing_of(const struct hps_supervisor *s, int fd)
{
	char path[HPS_PATH_CAP];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISDIR(st.st_mode))
		return NULL;
	hps_supervisor_path(s, fd, &st, path);
	return hps_map_get(&s->listings, path);
}

/* The position of the program's own description is the place to go on from: rewinddir() and seekdir() need nothing of us. */
static bool answer(struct hps_supervisor *s, struct hps_call *c, long *ret)
{
	_cleanup_fd_ int fd = c->t->foreign || c->t->opaque || c->t->launching || c->t->shares ? -1 : hps_tracee_descriptor(c->t, (int)c->args[0]);
	_cleanup_(hps_listed_release) struct hps_listed_names e = { NULL, 0 };
	struct hps_listing *l = listing_of(s, fd);
	size_t size = c->args[2] < ANSWER_MAX ? c->args[2] : ANSWER_MAX, next;
	off_t at = l ? lseek(fd, 0, SEEK_CUR) : -1;
	_cleanup_free_ char *block = NULL;
	struct iovec local, remote;

	if (at < 0 || hps_listed_read(fd, &e))
		return false;
	place(l, &e);
	block = hps_alloc(size + 1);
	*ret = lay_out(&e, (size_t)at, block, size, &next);
	local = (struct iovec){ block, *ret > 0 ? (size_t)*ret : 0 };
	remote = (struct iovec){ (void *)(uintptr_t)c->args[1], local.iov_len };
	if (*ret > 0 && process_vm_writev(c->t->pid, &local, 1, &remote, 1, 0) != *ret)
		return false;
	return *ret <= 0 || lseek(fd, (off_t)next, SEEK_SET) == (off_t)next;
}

void hps_act_list(struct hps_supervisor *s, struct hps_call *c)
{
	long n = 0;

	if (!answer(s, c, &n))
		hps_answer_continue(s, c);
	else if (n < 0)
		hps_answer_error(s, c, (int)-n);
	else
		hps_answer_value(s, c, n);
}
