/* The order in which directories gave their names, where the trial had made some of them: a file system places a name as it likes, and no view
 * places one that comes later as another file system did. Noted whole for those directories. */
#include "recorder/recorder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIRECTORIES_MAX 16384
#define AGAIN_MAX 16 /* a directory of many names is not read at each change */
#define MANY 1000

void hps_listed_release(struct hps_listed_names *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i].name);
	free(e->v);
}

int hps_listed_read(int fd, struct hps_listed_names *ret)
{
	_cleanup_fd_ int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	_Alignas(struct dirent64) char block[32768];
	long n = own < 0 ? -1 : 1;

	while (n > 0 && (n = syscall(SYS_getdents64, own, block, sizeof block)) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(block + at);

			at += d->d_reclen;
			if (ret->n >= HPS_LISTING_NAMES_MAX)
				return -E2BIG;
			ret->v = hps_grow(ret->v, ret->n, sizeof *ret->v);
			ret->v[ret->n++] = (struct hps_listed){ d->d_ino, d->d_type, hps_strdup(d->d_name), 0 };
		}
	return n < 0 ? -errno : 0;
}

void hps_listing_number(struct hps_listing *l)
{
	hps_map_release(&l->places);
	l->places = (struct hps_map)HPS_MAP_INIT;
	for (size_t i = 0; i < l->names.n; i++)
		*hps_map_slot(&l->places, l->names.v[i]) = (void *)(i + 1);
}

/* What is gone by now keeps its place among what is still there: the program may have met it. */
static void merge(struct hps_listing *l, const struct hps_listed_names *now)
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
	l->full = names.n > HPS_LISTING_NAMES_MAX;
	hps_listing_number(l);
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
	_cleanup_(hps_listed_release) struct hps_listed_names now = { NULL, 0 };
	struct hps_listing *l = f->listings.n ? hps_map_get(&f->listings, file->path) : NULL;

	if (!l || fd < 0 || l->full || (l->n_read && l->mtime_ns == mtime_of(s)) || (l->names.n > MANY && l->n_read >= AGAIN_MAX))
		return;
	l->mtime_ns = mtime_of(s);
	l->n_read++;
	if (hps_listed_read(fd, &now))
		l->full = true;
	else
		merge(l, &now);
}

int hps_listings_write(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	const struct hps_map *all = &r->files->listings;
	_cleanup_free_ const struct hps_map_item **list = hps_map_sorted(all);
	struct hps_manifest m;
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct hps_listing *l = list[i]->value;

		if (l->names.n && !l->full)
			list[n++] = list[i];
	}
	if (!n)
		return 0;
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
