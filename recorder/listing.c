/* The order in which directories gave their names, where the trial had made some of them: a file system places a name as it likes, and no view
 * places one that comes later as another file system did. Noted whole for those directories; in a rerun they are read as the trial read them. */
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

#define NAMES_MAX 65536 /* of one directory; what has more is not noted */
#define DIRECTORIES_MAX 16384
#define AGAIN_MAX 16 /* a directory of many names is not read at each change */
#define MANY 1000
#define ANSWERS_MAX ((size_t)256 << 20)
#define ANSWER_MAX ((size_t)1 << 20) /* bytes of one answer */

struct hps_listing {
	struct hps_strv names;
	struct hps_map places; /* name → its number in names + 1 */
	int64_t mtime_ns;      /* when it was last read */
	unsigned n_read;
	bool full; /* not noted */
};

/* ---- names of a directory ---- */

struct entry {
	ino64_t ino;
	unsigned char type;
	char *name;
	size_t place;
};
struct entries {
	struct entry *v;
	size_t n;
};

static void entries_release(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i].name);
	free(e->v);
}

/* From a description of our own: the program's is where it was. */
static int read_entries(int fd, struct entries *ret)
{
	_cleanup_fd_ int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	_Alignas(struct dirent64) char block[32768];
	long n = own < 0 ? -1 : 1;

	while (n > 0 && (n = syscall(SYS_getdents64, own, block, sizeof block)) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(block + at);

			at += d->d_reclen;
			if (ret->n >= NAMES_MAX)
				return -E2BIG;
			ret->v = hps_grow(ret->v, ret->n, sizeof *ret->v);
			ret->v[ret->n++] = (struct entry){ d->d_ino, d->d_type, hps_strdup(d->d_name), 0 };
		}
	return n < 0 ? -errno : 0;
}

/* ---- in a recording ---- */

static void number_names(struct hps_listing *l)
{
	hps_map_release(&l->places);
	l->places = (struct hps_map)HPS_MAP_INIT;
	for (size_t i = 0; i < l->names.n; i++)
		*hps_map_slot(&l->places, l->names.v[i]) = (void *)(i + 1);
}

/* What is gone by now keeps its place among what is still there: the program may have met it. */
static void merge(struct hps_listing *l, const struct entries *now)
{
	struct hps_map there = HPS_MAP_INIT;
	struct hps_strv names = HPS_STRV_INIT;
	size_t next = 0;

	for (size_t i = 0; i < now->n; i++)
		*hps_map_slot(&there, now->v[i].name) = l;
	for (size_t i = 0; i < now->n; i++) {
		size_t place = (size_t)hps_map_get(&l->places, now->v[i].name);

		for (; next < place; next++)
			if (!hps_map_get(&there, l->names.v[next]))
				hps_strv_add(&names, l->names.v[next]);
		hps_strv_add(&names, now->v[i].name);
	}
	for (; next < l->names.n; next++)
		if (!hps_map_get(&there, l->names.v[next]))
			hps_strv_add(&names, l->names.v[next]);
	hps_map_release(&there);
	hps_strv_release(&l->names);
	l->names = names;
	l->full = names.n > NAMES_MAX;
	number_names(l);
}

void hps_listing_expect(struct hps_files *f, const char *made)
{
	_cleanup_free_ char *directory = hps_strdup(made);
	char *slash = strrchr(directory, '/');
	void **slot;

	if (!slash || f->rerun || !hps_path_unpackaged(made) || f->listings.n >= DIRECTORIES_MAX)
		return;
	slash[slash == directory] = '\0';
	slot = hps_map_slot(&f->listings, directory);
	if (!*slot)
		*slot = hps_alloc(sizeof(struct hps_listing));
}

static int64_t mtime_of(const struct stat *s)
{
	return (int64_t)s->st_mtim.tv_sec * 1000000000 + s->st_mtim.tv_nsec;
}

void hps_listing_note(struct hps_files *f, const struct hps_file *file, int fd, const struct stat *s)
{
	_cleanup_(entries_release) struct entries now = { NULL, 0 };
	struct hps_listing *l = f->listings.n ? hps_map_get(&f->listings, file->path) : NULL;

	if (!l || fd < 0 || l->full || (l->n_read && l->mtime_ns == mtime_of(s)) || (l->names.n > MANY && l->n_read >= AGAIN_MAX))
		return;
	l->mtime_ns = mtime_of(s);
	l->n_read++;
	if (read_entries(fd, &now))
		l->full = true;
	else
		merge(l, &now);
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct hps_map_item *const *)a)->key, (*(const struct hps_map_item *const *)b)->key);
}

int hps_listings_write(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	const struct hps_map *all = &r->files->listings;
	_cleanup_free_ const struct hps_map_item **list = hps_realloc(NULL, all->n + 1, sizeof *list);
	struct hps_manifest m;
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct hps_listing *l = all->items[i].value;

		if (l->names.n && !l->full)
			list[n++] = &all->items[i];
	}
	if (!n)
		return 0;
	qsort(list, n, sizeof *list, by_key);
	hps_manifest_begin(&m, r, "listings");
	for (size_t i = 0; i < n; i++) {
		const struct hps_listing *l = list[i]->value;
		json_t *item = json_object(), *names = json_array();

		for (size_t k = 0; k < l->names.n; k++)
			hps_json_add(names, hps_path_json(l->names.v[k]));
		hps_json_set(item, "path", hps_path_json(list[i]->key));
		hps_json_set(item, "names", names);
		hps_manifest_add(&m, item);
	}
	return hps_manifest_end(&m, r, ret, err);
}

void hps_listings_release(struct hps_map *listings)
{
	for (size_t i = 0; i < listings->n; i++) {
		struct hps_listing *l = listings->items[i].value;

		hps_strv_release(&l->names);
		hps_map_release(&l->places);
		free(l);
	}
	hps_map_release(listings);
}

/* ---- in a rerun ---- */

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

		if (i >= NAMES_MAX || !json_is_string(name) || hps_path_unescape(json_string_value(name), &own, err) || !own.len)
			return hps_error_set(err, HPS_E_FORMAT, "'%s' has a name that is none", path.data);
		hps_strv_add_take(&l->names, hps_buf_take(&own));
	}
	number_names(l);
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
	const struct entry *x = a, *y = b;

	return x->place < y->place ? -1 : x->place > y->place;
}

/* What the trial did not meet gets a place behind all others, and keeps it. */
static void place(struct hps_listing *l, struct entries *e)
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
static long lay_out(const struct entries *e, size_t from, char *out, size_t size, size_t *ret_next)
{
	size_t used = 0;

	*ret_next = from;
	for (size_t i = 0; i < e->n; i++) {
		const struct entry *x = &e->v[i];
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
	_cleanup_(entries_release) struct entries e = { NULL, 0 };
	struct hps_listing *l = listing_of(s, fd);
	size_t size = c->args[2] < ANSWER_MAX ? c->args[2] : ANSWER_MAX, next;
	off_t at = l ? lseek(fd, 0, SEEK_CUR) : -1;
	_cleanup_free_ char *block = NULL;
	struct iovec local, remote;

	if (at < 0 || read_entries(fd, &e))
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
