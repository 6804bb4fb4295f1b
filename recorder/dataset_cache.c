/* Trees of earlier runs, one file a data set: what each directory and file looked like, and the digests. A directory that has its
 * identity has its names; a file that has its own has its content, because it was remembered only when nobody had it open for
 * writing, and not when its change time was young. A tree that is wholly as it was is told by looking at each, which costs one call
 * a file. */
#include "recorder/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC "hpsset1\n"
#define SAMPLE 256 /* one file in so many is hashed again */
#define STEP 1024
#define MAX_THREADS 64

struct head {
	char magic[8];
	uint64_t n_dirs, n_leaves, names_len;
	uint64_t is_file;
	struct hps_dataset dataset;
};
struct dir_entry {
	struct hps_seen seen;
	uint64_t path; /* offset in the names */
};
struct leaf_entry {
	struct hps_seen seen;
	struct hps_digest digest;
	uint64_t name;
	uint32_t dir, is_link;
};
struct hps_dataset_cache {
	void *map;
	size_t len;
	const struct head *head;
	const struct dir_entry *dirs;
	const struct leaf_entry *leaves; /* those of a directory stand together */
	const char *names;
	uint32_t *slots; /* leaf + 1 by inode */
	size_t n_slots;
};

/* "datasets/<16 digits of the path's SHA-256>" */
static char *name_of(const char *path)
{
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];

	hps_digest_of(path, strlen(path), &d);
	hps_digest_hex(&d, hex);
	return hps_format("%.16s", hex);
}

static size_t slot_of(const struct hps_dataset_cache *c, int64_t ino)
{
	return (size_t)((uint64_t)ino * 0x9e3779b97f4a7c15ull >> 32) % c->n_slots;
}

/* ---- loading: the file is ours, and its sizes must agree all the same ---- */

static bool sound(const struct hps_dataset_cache *c)
{
	const struct head *h = c->head;
	uint64_t most = c->len / sizeof(struct dir_entry);

	if (c->len < sizeof *h || memcmp(h->magic, MAGIC, sizeof h->magic) != 0 || h->n_dirs > most || h->n_leaves > most || !h->n_dirs || !h->names_len || h->names_len > c->len)
		return false;
	if (c->len != sizeof *h + h->n_dirs * sizeof *c->dirs + h->n_leaves * sizeof *c->leaves + h->names_len)
		return false;
	if (c->names[h->names_len - 1] != '\0')
		return false;
	for (uint64_t i = 0; i < h->n_dirs; i++)
		if (c->dirs[i].path >= h->names_len)
			return false;
	for (uint64_t i = 0; i < h->n_leaves; i++)
		if (c->leaves[i].name >= h->names_len || c->leaves[i].dir >= h->n_dirs)
			return false;
	return true;
}

static void point(struct hps_dataset_cache *c)
{
	const char *at = c->map;

	c->head = c->map;
	if (c->len < sizeof *c->head || c->head->n_dirs > c->len / sizeof *c->dirs || c->head->n_leaves > c->len / sizeof *c->leaves)
		return;
	c->dirs = (const void *)(at + sizeof *c->head);
	c->leaves = (const void *)(c->dirs + c->head->n_dirs);
	c->names = (const void *)(c->leaves + c->head->n_leaves);
}

struct hps_dataset_cache *hps_dataset_cache_load(const char *dir, const char *path)
{
	_cleanup_free_ char *name = name_of(path), *full = hps_format("%s/datasets/%s", dir, name);
	_cleanup_fd_ int fd = hps_file_open_own(AT_FDCWD, full);
	struct hps_dataset_cache *c;
	struct stat s;
	void *map;

	if (fd < 0 || fstat(fd, &s) || s.st_size < (off_t)sizeof(struct head))
		return NULL;
	map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return NULL;
	c = hps_alloc(sizeof *c);
	c->map = map;
	c->len = (size_t)s.st_size;
	point(c);
	if (c->names && sound(c))
		return c;
	hps_dataset_cache_free(c);
	return NULL;
}

void hps_dataset_cache_free(struct hps_dataset_cache *c)
{
	if (!c)
		return;
	munmap(c->map, c->len);
	free(c->slots);
	free(c);
}

/* ---- a single file's digest ---- */

void hps_dataset_cache_index(struct hps_dataset_cache *c)
{
	if (c->slots)
		return;
	c->n_slots = (size_t)c->head->n_leaves * 2 + 1;
	c->slots = hps_alloc(c->n_slots * sizeof *c->slots);
	for (uint32_t i = 0; i < c->head->n_leaves; i++) {
		size_t at = slot_of(c, c->leaves[i].seen.ino);

		while (c->slots[at])
			at = at + 1 == c->n_slots ? 0 : at + 1;
		c->slots[at] = i + 1;
	}
}

const struct hps_digest *hps_dataset_cache_get(const struct hps_dataset_cache *c, const struct hps_seen *seen)
{
	for (size_t at = slot_of(c, seen->ino); c->slots[at]; at = at + 1 == c->n_slots ? 0 : at + 1) {
		const struct leaf_entry *leaf = &c->leaves[c->slots[at] - 1];

		if (!leaf->is_link && hps_seen_equal(&leaf->seen, seen))
			return &leaf->digest;
	}
	return NULL;
}

/* ---- the whole tree ---- */

struct look {
	const struct hps_dataset_cache *c;
	int top_fd;
	size_t dice;
	atomic_size_t next;
	atomic_bool differs, lied;
};

static bool same_dir(const struct look *l, const struct dir_entry *dir, int *ret_fd)
{
	const char *path = l->c->names + dir->path;
	struct hps_seen now;
	struct stat s;
	int fd = openat(l->top_fd, *path ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = fd;
	if (fd < 0 || fstat(fd, &s))
		return false;
	hps_seen_of(&s, dir->seen.fsid, &now);
	return l->c->head->is_file || hps_seen_equal(&dir->seen, &now);
}

static bool same_leaf(struct look *l, const struct leaf_entry *leaf, int dir_fd, bool sample)
{
	const char *name = l->c->names + leaf->name;
	struct hps_digest again;
	struct hps_seen now;
	struct stat s;

	if (fstatat(dir_fd, name, &s, AT_SYMLINK_NOFOLLOW))
		return false;
	hps_seen_of(&s, leaf->seen.fsid, &now);
	if (!hps_seen_equal(&leaf->seen, &now))
		return false;
	if (sample && S_ISREG(s.st_mode) && s.st_size < (64 << 20)) {
		_cleanup_fd_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

		if (fd < 0 || hps_digest_fd(fd, &again, NULL, NULL) || !hps_digest_equal(&again, &leaf->digest)) {
			atomic_store(&l->lied, true);
			return false;
		}
	}
	return true;
}

/* Directories are told by their leaves; those without any are looked at by look_at_dirs(). */
static void *look_at_leaves(void *arg)
{
	struct look *l = arg;
	const struct hps_dataset_cache *c = l->c;
	uint32_t current = UINT32_MAX;
	int fd = -1;
	size_t at;

	while (!atomic_load(&l->differs) && (at = atomic_fetch_add(&l->next, STEP)) < c->head->n_leaves) {
		for (size_t i = at; i < at + STEP && i < c->head->n_leaves; i++) {
			const struct leaf_entry *leaf = &c->leaves[i];

			if (leaf->dir != current && !same_dir(l, &c->dirs[leaf->dir], &fd))
				atomic_store(&l->differs, true);
			else if (!same_leaf(l, leaf, fd, (i + l->dice) % SAMPLE == 0))
				atomic_store(&l->differs, true);
			current = leaf->dir;
			if (atomic_load(&l->differs))
				break;
		}
	}
	if (fd >= 0)
		close(fd);
	return NULL;
}

static bool same_dirs(const struct look *l)
{
	bool same = true;
	int fd = -1;

	for (uint64_t i = 0; same && i < l->c->head->n_dirs; i++)
		same = same_dir(l, &l->c->dirs[i], &fd);
	if (fd >= 0)
		close(fd);
	return same;
}

bool hps_dataset_cache_whole(const struct hps_dataset_cache *cache, const char *top, struct hps_dataset *ret, bool *ret_lied)
{
	struct hps_dataset_cache *c = (struct hps_dataset_cache *)(uintptr_t)cache; /* its index is made when it is needed */
	_cleanup_free_ char *real = realpath(top, NULL);
	struct look l = { .c = c, .dice = (size_t)hps_time_now_ns(), .top_fd = -1 };
	char *slash = real ? strrchr(real, '/') : NULL;
	pthread_t threads[MAX_THREADS];
	unsigned n = 0, want = hps_cores();
	bool whole = false;

	*ret_lied = false;
	if (slash && c->head->is_file)
		slash[slash == real] = '\0';
	if (real)
		l.top_fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l.top_fd >= 0 && same_dirs(&l)) {
		while (n + 1 < want && c->head->n_leaves > (n + 1) * STEP && pthread_create(&threads[n], NULL, look_at_leaves, &l) == 0)
			n++;
		look_at_leaves(&l);
		while (n)
			pthread_join(threads[--n], NULL);
		whole = !atomic_load(&l.differs);
		*ret_lied = atomic_load(&l.lied);
	}
	if (l.top_fd >= 0)
		close(l.top_fd);
	if (whole)
		*ret = c->head->dataset;
	else
		hps_dataset_cache_index(c);
	return whole;
}

/* ---- saving ---- */

static int by_dir(const void *a, const void *b)
{
	const struct hps_found *x = a, *y = b;

	return x->dir < y->dir ? -1 : x->dir > y->dir;
}

static uint64_t add_name(struct hps_buf *names, const char *name)
{
	uint64_t at = names->len;

	hps_buf_add(names, name, strlen(name) + 1);
	return at;
}

static void add_leaves(const struct hps_tree *t, const char *only_name, struct hps_buf *out, struct hps_buf *names)
{
	qsort(t->leaves, t->n_leaves, sizeof *t->leaves, by_dir);
	for (size_t i = 0; i < t->n_leaves; i++) {
		const struct hps_found *f = &t->leaves[i];
		struct leaf_entry e = {
			.seen = f->seen,
			.digest = f->leaf.digest,
			.name = add_name(names, only_name ? only_name : f->leaf.path + f->name),
			.dir = f->dir,
			.is_link = f->leaf.type == 'l',
		};

		hps_buf_add(out, &e, sizeof e);
	}
}

void hps_dataset_cache_save(const char *dir, const char *path, const struct hps_tree *t, const struct hps_dataset *d)
{
	struct head head = { .magic = MAGIC, .n_dirs = t->n_dirs, .n_leaves = t->n_leaves, .dataset = *d };
	bool is_file = t->n_leaves == 1 && !*t->leaves[0].leaf.path;
	_cleanup_free_ char *datasets = hps_format("%s/datasets", dir), *name = name_of(path);
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT, names = HPS_BUF_INIT;
	_cleanup_fd_ int fd = -1;

	if (!t->n_hashed || !t->n_dirs || hps_dir_make(AT_FDCWD, datasets, 0700, NULL) || hps_dir_open(AT_FDCWD, datasets, &fd, NULL))
		return;
	head.is_file = is_file;
	hps_buf_add(&out, &head, sizeof head);
	for (size_t i = 0; i < t->n_dirs; i++) {
		struct dir_entry e = { .seen = t->dirs[i].seen, .path = add_name(&names, t->dirs[i].path) };

		hps_buf_add(&out, &e, sizeof e);
	}
	add_leaves(t, is_file ? strrchr(path, '/') + 1 : NULL, &out, &names);
	((struct head *)(void *)out.data)->names_len = names.len;
	hps_buf_add(&out, names.data, names.len);
	/* A cache that cannot be written costs time, nothing else. */
	if (out.full || names.full || hps_file_write(fd, name, 0600, out.data, out.len, NULL))
		return;
}
