/* Digests of earlier runs, so that a hundred trials hash their libraries once. An entry is believed only for file systems whose
 * change time tells every change, only when that time was not young at hashing, only while nobody has the file open for
 * writing (stores through a mapping move no clock), and a random sample is hashed again each run. */
#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define MAGIC "hpsdig2\n"
#define MAX_ENTRIES (1u << 16)
#define YOUNG_NS 2000000000ll
#define SAMPLE 64 /* one hit in so many is hashed again */
#define MAX_DEVICES 16
#define XFS_MAGIC 0x58465342
#define LIFE_DAYS 90

struct entry {
	uint64_t fsid;
	struct hps_identity id;
	struct hps_digest digest;
	uint32_t flags, day; /* of the last use */
};
#define FLAG_SHARED_OBJECT 1u
#define FLAG_SECRET 2u
#define FLAG_DRAWS 4u

struct device {
	dev_t dev;
	uint64_t fsid;
	bool trusted;
};
struct hps_cache {
	pthread_mutex_t lock; /* some ask while others add */
	struct hps_buf file;
	struct entry *old, *new; /* old: sorted by inode, in `file` */
	size_t n_old, n_new;
	struct device devices[MAX_DEVICES];
	size_t n_devices;
	int64_t now_ns; /* when it was opened: what changed since is young */
	uint32_t day;
	bool worth_saving; /* more than what was read is known */
	uint32_t dice;
	char *dir;
};

static int64_t ns(struct timespec t)
{
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

void hps_identity_of(const struct stat *s, struct hps_identity *ret)
{
	*ret = (struct hps_identity){ .dev = s->st_dev, .ino = s->st_ino, .size = s->st_size, .mtime_ns = ns(s->st_mtim), .ctime_ns = ns(s->st_ctim) };
}

bool hps_identity_equal(const struct hps_identity *a, const struct hps_identity *b)
{
	return a->ino == b->ino && a->ctime_ns == b->ctime_ns && a->size == b->size && a->mtime_ns == b->mtime_ns && a->dev == b->dev;
}

char *hps_cache_dir(void)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (base && *base == '/')
		return hps_format("%s/hps", base);
	return home && *home == '/' ? hps_format("%s/.cache/hps", home) : NULL;
}

static int by_inode(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->id.ino < y->id.ino ? -1 : x->id.ino > y->id.ino;
}

static void load(struct hps_cache *c)
{
	_cleanup_free_ char *path = hps_format("%s/digests", c->dir);
	_cleanup_fd_ int fd = hps_file_open_own(AT_FDCWD, path);
	struct hps_buf *b = &c->file;

	if (fd < 0 || hps_file_read_fd(fd, b->max, b, NULL) || b->len < 8 || memcmp(b->data, MAGIC, 8) || (b->len - 8) % sizeof(struct entry))
		return;
	c->n_old = (b->len - 8) / sizeof(struct entry);
	c->old = (struct entry *)(void *)(b->data + 8); /* malloc's alignment is 16 */
}

struct hps_cache *hps_cache_open(void)
{
	struct hps_cache *c = hps_alloc(sizeof *c);
	int64_t now = hps_time_now_ns();

	pthread_mutex_init(&c->lock, NULL);
	c->now_ns = now;
	c->day = (uint32_t)(now / 86400000000000ll);
	c->dice = (uint32_t)now;
	c->dir = hps_cache_dir();
	hps_buf_init(&c->file, sizeof(MAGIC) + MAX_ENTRIES * sizeof(struct entry));
	if (c->dir)
		load(c);
	return c;
}

static const struct device *device_of(struct hps_cache *c, int fd, dev_t dev)
{
	struct statfs f;
	struct device *d;

	for (size_t i = 0; i < c->n_devices; i++)
		if (c->devices[i].dev == dev)
			return &c->devices[i];
	if (c->n_devices == MAX_DEVICES || fstatfs(fd, &f))
		return NULL;
	d = &c->devices[c->n_devices++];
	d->dev = dev;
	memcpy(&d->fsid, &f.f_fsid, sizeof d->fsid);
	d->trusted = f.f_type == EXT4_SUPER_MAGIC || f.f_type == XFS_MAGIC || f.f_type == BTRFS_SUPER_MAGIC;
	return d;
}

static bool trusted(struct hps_cache *c, int fd, const struct hps_identity *id, uint64_t *ret_fsid)
{
	const struct device *d = device_of(c, fd, id->dev);

	if (!d || !d->trusted || c->now_ns - id->ctime_ns < YOUNG_NS)
		return false;
	*ret_fsid = d->fsid;
	/* A read lease is refused while anybody has the file open for writing or mapped writable. It can be taken on own files
	 * only; others' files an unprivileged trial cannot write. */
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
		return fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
	return errno == EACCES;
}

static struct entry *find(struct hps_cache *c, uint64_t fsid, const struct hps_identity *id)
{
	struct entry key = { .id.ino = id->ino }, *e = c->n_old ? bsearch(&key, c->old, c->n_old, sizeof key, by_inode) : NULL;

	if (!e)
		return NULL;
	while (e > c->old && e[-1].id.ino == id->ino)
		e--;
	for (; e < c->old + c->n_old && e->id.ino == id->ino; e++)
		if (e->fsid == fsid && hps_identity_equal(&e->id, id))
			return e;
	return NULL;
}

/* Saving it all for a new day's first trial is enough to know what is still used. */
static void use(struct hps_cache *c, struct entry *e)
{
	c->worth_saving |= e->day != c->day;
	e->day = c->day;
}

static bool get(struct hps_cache *c, int fd, const struct hps_identity *id, struct hps_cached *ret)
{
	struct entry *e;
	uint64_t fsid;

	ret->sampled = false;
	if (!c->n_old || !trusted(c, fd, id, &fsid) || !(e = find(c, fsid, id)))
		return false;
	c->dice = c->dice * 1664525u + 1013904223u; /* which ones are sampled need not be secret, only spread */
	ret->sampled = c->dice >> 16 < 65536u / SAMPLE;
	if (ret->sampled)
		return false;
	use(c, e);
	ret->digest = e->digest;
	ret->shared_object = e->flags & FLAG_SHARED_OBJECT;
	ret->secret = e->flags & FLAG_SECRET;
	ret->draws = e->flags & FLAG_DRAWS;
	return true;
}

static bool same_content(const struct entry *a, const struct entry *b)
{
	return a->flags == b->flags && hps_digest_equal(&a->digest, &b->digest);
}

static void put(struct hps_cache *c, int fd, const struct hps_identity *id, const struct hps_cached *content)
{
	struct entry *old, new;
	uint64_t fsid;

	if (!c->dir || c->n_new >= MAX_ENTRIES / 2 || !trusted(c, fd, id, &fsid))
		return;
	new = (struct entry){
		.fsid = fsid,
		.id = *id,
		.digest = content->digest,
		.flags = (content->shared_object ? FLAG_SHARED_OBJECT : 0) | (content->secret ? FLAG_SECRET : 0) | (content->draws ? FLAG_DRAWS : 0),
		.day = c->day,
	};
	old = find(c, fsid, id);
	if (old && same_content(old, &new)) { /* one of the sample */
		use(c, old);
		return;
	}
	c->new = hps_grow(c->new, c->n_new, sizeof *c->new);
	c->new[c->n_new++] = new;
	c->worth_saving = true;
}

bool hps_cache_get(struct hps_cache *c, int fd, const struct hps_identity *id, struct hps_cached *ret)
{
	bool found;

	pthread_mutex_lock(&c->lock);
	found = get(c, fd, id, ret);
	pthread_mutex_unlock(&c->lock);
	return found;
}

void hps_cache_put(struct hps_cache *c, int fd, const struct hps_identity *id, const struct hps_cached *content)
{
	pthread_mutex_lock(&c->lock);
	put(c, fd, id, content);
	pthread_mutex_unlock(&c->lock);
}

/* Old entries that were used lately and are not replaced by a new one of the same inode. */
static size_t merge(struct hps_cache *c, struct entry *to)
{
	size_t n = 0, j = 0;

	qsort(c->new, c->n_new, sizeof *c->new, by_inode);
	for (size_t i = 0; i < c->n_old && n + c->n_new < MAX_ENTRIES; i++) {
		while (j < c->n_new && c->new[j].id.ino < c->old[i].id.ino)
			j++;
		if ((j == c->n_new || c->new[j].id.ino != c->old[i].id.ino) && c->day - c->old[i].day < LIFE_DAYS)
			to[n++] = c->old[i];
	}
	memcpy(to + n, c->new, c->n_new * sizeof *to);
	n += c->n_new;
	qsort(to, n, sizeof *to, by_inode);
	return n;
}

void hps_cache_save(struct hps_cache *c)
{
	_cleanup_free_ struct entry *all = NULL;
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	_cleanup_fd_ int dir = -1;
	size_t n;

	if (!c->dir || !c->worth_saving || hps_dir_make(AT_FDCWD, c->dir, 0700, NULL) || hps_dir_open(AT_FDCWD, c->dir, &dir, NULL))
		return;
	all = hps_realloc(NULL, c->n_old + c->n_new, sizeof *all);
	n = merge(c, all);
	hps_buf_adds(&b, MAGIC);
	hps_buf_add(&b, all, n * sizeof *all);
	/* A cache that cannot be written costs time, nothing else. */
	if (hps_file_write(dir, "digests", 0600, b.data, b.len, NULL))
		return;
}

void hps_cache_free(struct hps_cache *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	hps_buf_release(&c->file);
	free(c->new);
	free(c->dir);
	free(c);
}
