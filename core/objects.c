/* Content store: whole files by SHA-256, verified on read. The bytes of objects/ab/cdef… hash to abcdef…, or they are not
 * given out. Nothing is ever changed in place. */
#include "core/core.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PENDING_MAX 8192u

struct hps_objects {
	int dirfd;
	bool dirty;		     /* objects written since the last sync */
	uint64_t written;	     /* bytes of them since it was opened */
	uint64_t unique;	     /* of our temporary names, with `serial` */
	unsigned serial;
	bool deferred;
	bool poisoned; /* a flush has failed: the next one would not know of what was lost */
	struct pending *pending; /* written, not named yet */
	size_t n_pending;
};

struct pending {
	struct hps_digest digest;
	unsigned serial;
};

static void temporary_name(const struct hps_objects *o, unsigned serial, char out[64])
{
	snprintf(out, 64, ".new.%016llx.%u", (unsigned long long)o->unique, serial);
}

int hps_objects_open(int dirfd, const char *path, bool create, struct hps_objects **ret, struct hps_error *err)
{
	struct hps_objects *o;
	uint64_t unique;
	int fd, r;

	if (create && (r = hps_dir_make(dirfd, path, 0700, err)))
		return r;
	r = hps_dir_open(dirfd, path, &fd, err);
	if (r)
		return r == -ENOENT ? hps_error_set(err, HPS_E_NOTFOUND, "opening the content store '%s': it is not there", path) : r;
	r = hps_random(&unique, sizeof unique, err);
	if (r) {
		close(fd);
		return r;
	}
	o = hps_alloc(sizeof *o);
	o->dirfd = fd;
	o->unique = unique;
	*ret = o;
	return 0;
}

void hps_objects_free(struct hps_objects *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n_pending; i++) {
		char temporary[64];

		temporary_name(o, o->pending[i].serial, temporary);
		unlinkat(o->dirfd, temporary, 0);
	}
	free(o->pending);
	close(o->dirfd);
	free(o);
}

void hps_objects_name(const struct hps_digest *d, char out[HPS_OBJECT_NAME])
{
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(d, hex);
	snprintf(out, HPS_OBJECT_NAME, "%.2s/%s", hex, hex + 2);
}

uint64_t hps_objects_written(const struct hps_objects *o)
{
	return o ? o->written : 0;
}

int hps_objects_dirfd(const struct hps_objects *o)
{
	return o->dirfd;
}

/* There, and young again: a sweep takes nothing that somebody is about to refer to. */
bool hps_objects_has(struct hps_objects *o, const struct hps_digest *d)
{
	char name[HPS_OBJECT_NAME];

	hps_objects_name(d, name);
	return utimensat(o->dirfd, name, NULL, AT_SYMLINK_NOFOLLOW) == 0 || (errno != ENOENT && faccessat(o->dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
}

/* A new object under a temporary name at the top of the store. */
static int begin(struct hps_objects *o, char temporary[64], int *ret_fd, struct hps_error *err)
{
	temporary_name(o, o->serial++, temporary);
	*ret_fd = openat(o->dirfd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	return *ret_fd < 0 ? hps_error_errno(err, "writing an object") : 0;
}

static int name_object(struct hps_objects *o, const char *temporary, const struct hps_digest *d, struct hps_error *err)
{
	char name[HPS_OBJECT_NAME], shard[3];

	hps_objects_name(d, name);
	memcpy(shard, name, 2);
	shard[2] = '\0';
	if (renameat(o->dirfd, temporary, o->dirfd, name) == 0)
		goto done;
	if (errno != ENOENT || (mkdirat(o->dirfd, shard, 0700) && errno != EEXIST) || renameat(o->dirfd, temporary, o->dirfd, name))
		return hps_error_errno(err, "naming an object");
done:
	o->dirty = true;
	return 0;
}

/* One flush of all that was written under temporary names, then the names. */
static int name_pending(struct hps_objects *o, struct hps_error *err)
{
	if (o->n_pending && o->poisoned)
		return hps_error_set(err, HPS_E_DAMAGED, "flushing the content store: it failed before");
	o->poisoned = o->n_pending && syncfs(o->dirfd);
	if (o->poisoned)
		return hps_error_errno(err, "flushing the content store");
	while (o->n_pending) {
		const struct pending *p = &o->pending[o->n_pending - 1];
		char temporary[64];
		int r;

		temporary_name(o, p->serial, temporary);
		r = name_object(o, temporary, &p->digest, err);
		if (r)
			return r;
		o->n_pending--;
	}
	return 0;
}

/* Gives the finished temporary file its name. The data is flushed first, so that a name never stands for a hole; the name
 * itself is durable after hps_objects_sync(). A store that defers keeps the temporary name (of the newest serial) until then. */
static int commit(struct hps_objects *o, const char *temporary, int fd, const struct hps_digest *d, uint64_t bytes, struct hps_error *err)
{
	unsigned serial = o->serial - 1;
	int r;

	o->written += bytes;
	if (o->deferred) {
		if (o->n_pending == PENDING_MAX && (r = name_pending(o, err)))
			return r;
		o->pending = hps_grow(o->pending, o->n_pending, sizeof *o->pending);
		o->pending[o->n_pending++] = (struct pending){ *d, serial };
		return 0;
	}
	if (fdatasync(fd))
		return hps_error_errno(err, "flushing an object");
	return name_object(o, temporary, d, err);
}

void hps_objects_defer(struct hps_objects *o)
{
	o->deferred = true;
}

int hps_objects_put(struct hps_objects *o, const void *data, size_t len, struct hps_digest *ret, struct hps_error *err)
{
	_cleanup_fd_ int fd = -1;
	char temporary[64];
	int r;

	hps_digest_of(data, len, ret);
	if (hps_objects_has(o, ret))
		return 0;
	r = begin(o, temporary, &fd, err);
	if (r)
		return r;
	r = hps_write_all(fd, data, len);
	if (r) {
		errno = -r;
		hps_error_errno(err, "writing an object");
	} else {
		r = commit(o, temporary, fd, ret, len, err);
	}
	if (r)
		unlinkat(o->dirfd, temporary, 0);
	return r;
}

/* ---- piece by piece ---- */

struct hps_object_writer {
	struct hps_objects *o;
	int fd;
	char temporary[64];
	struct hps_sha256 *hash;
	uint64_t bytes;
};

int hps_objects_write_begin(struct hps_objects *o, struct hps_object_writer **ret, struct hps_error *err)
{
	struct hps_object_writer *w;
	char temporary[64];
	int fd, r;

	assert(!o->deferred);
	r = begin(o, temporary, &fd, err);
	if (r)
		return r;
	w = hps_alloc(sizeof *w);
	w->o = o;
	w->fd = fd;
	memcpy(w->temporary, temporary, sizeof temporary);
	w->hash = hps_sha256_new();
	*ret = w;
	return 0;
}

int hps_objects_write(struct hps_object_writer *w, const void *data, size_t len, struct hps_error *err)
{
	int r = hps_write_all(w->fd, data, len);

	if (r) {
		errno = -r;
		return hps_error_errno(err, "writing an object");
	}
	hps_sha256_update(w->hash, data, len);
	w->bytes += len;
	return 0;
}

int hps_objects_write_back(struct hps_object_writer *w, struct hps_buf *ret, struct hps_error *err)
{
	char block[65536];
	ssize_t n;

	for (uint64_t at = 0; at < w->bytes; at += (uint64_t)n) {
		size_t want = w->bytes - at < sizeof block ? (size_t)(w->bytes - at) : sizeof block;

		n = pread(w->fd, block, want, (off_t)at);
		if (n <= 0)
			return hps_error_errno(err, "reading an object that is being written");
		hps_buf_add(ret, block, (size_t)n);
	}
	return 0;
}

void hps_objects_write_free(struct hps_object_writer *w)
{
	if (!w)
		return;
	unlinkat(w->o->dirfd, w->temporary, 0);
	hps_sha256_free(w->hash);
	close(w->fd);
	free(w);
}

int hps_objects_write_end(struct hps_object_writer *w, struct hps_digest *ret, struct hps_error *err)
{
	int r = 0;

	hps_sha256_final(w->hash, ret);
	hps_sha256_reset(w->hash);
	if (!hps_objects_has(w->o, ret))
		r = commit(w->o, w->temporary, w->fd, ret, w->bytes, err);
	if (!r)
		hps_objects_write_free(w); /* its name is another one now, or it was there already */
	return r;
}

/* Copies from's bytes to `to` while hashing them. */
static int copy_bytes(int from, int to, struct hps_digest *ret, uint64_t *ret_bytes, struct hps_error *err)
{
	_cleanup_free_ char *block = hps_alloc(256 << 10);
	struct hps_sha256 *h = hps_sha256_new();
	off_t at = 0;
	ssize_t n;
	int r = 0;

	while (!r && (n = pread(from, block, 256 << 10, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = hps_error_errno(err, "reading a file to store it");
		else if ((r = hps_write_all(to, block, (size_t)n))) {
			errno = -r;
			hps_error_errno(err, "writing an object");
		} else {
			hps_sha256_update(h, block, (size_t)n);
			at += n;
		}
	}
	if (!r)
		hps_sha256_final(h, ret);
	*ret_bytes = (uint64_t)at;
	hps_sha256_free(h);
	return r;
}

/* Where the file system lets two files share their bytes (btrfs, XFS) none is written. */
static int copy(int from, int to, struct hps_digest *ret, uint64_t *ret_bytes, struct hps_error *err)
{
	return ioctl(to, FICLONE, from) == 0 ? hps_digest_fd(to, ret, ret_bytes, err) : copy_bytes(from, to, ret, ret_bytes, err);
}

int hps_objects_put_fd(struct hps_objects *o, int fd, const struct hps_digest *expected, struct hps_digest *ret, uint64_t *ret_bytes,
		       struct hps_error *err)
{
	_cleanup_fd_ int to = -1;
	struct hps_digest d;
	uint64_t bytes = 0;
	char temporary[64];
	struct stat s;
	int r;

	if (expected && hps_objects_has(o, expected)) {
		if (ret)
			*ret = *expected;
		if (ret_bytes)
			*ret_bytes = fstat(fd, &s) ? 0 : (uint64_t)s.st_size;
		return 0;
	}
	r = begin(o, temporary, &to, err);
	if (r)
		return r;
	r = copy(fd, to, &d, &bytes, err);
	if (!r && expected && !hps_digest_equal(&d, expected))
		r = hps_error_set(err, HPS_E_DAMAGED, "storing a file: its content is no longer the one that was hashed");
	if (!r && hps_objects_has(o, &d))
		unlinkat(o->dirfd, temporary, 0);
	else if (!r)
		r = commit(o, temporary, to, &d, bytes, err);
	if (r) {
		unlinkat(o->dirfd, temporary, 0);
		return r;
	}
	if (ret)
		*ret = d;
	if (ret_bytes)
		*ret_bytes = bytes;
	return 0;
}

/* One syncfs() makes all new names durable, whichever of the 256 directories they are in. */
int hps_objects_sync(struct hps_objects *o, struct hps_error *err)
{
	int r = name_pending(o, err);

	if (r)
		return r;
	if (!o->dirty)
		return 0;
	if (syncfs(o->dirfd))
		return hps_error_errno(err, "flushing the content store");
	o->dirty = false;
	return 0;
}

static int open_object(struct hps_objects *o, const struct hps_digest *d, char name[HPS_OBJECT_NAME], int *ret_fd, struct hps_error *err)
{
	hps_objects_name(d, name);
	*ret_fd = openat(o->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd < 0 && errno == ENOENT)
		return hps_error_set(err, HPS_E_NOTFOUND, "object %.2s%s: it is not in the content store", name, name + 3);
	return *ret_fd < 0 ? hps_error_errno(err, "object %.2s%s", name, name + 3) : 0;
}

static int check(const struct hps_digest *found, const struct hps_digest *d, const char *name, struct hps_error *err)
{
	return hps_digest_equal(found, d) ? 0 : hps_error_set(err, HPS_E_DAMAGED, "object %.2s%s: its bytes no longer hash to its name", name, name + 3);
}

int hps_objects_open_fd(struct hps_objects *o, const struct hps_digest *d, int *ret_fd, uint64_t *ret_bytes, struct hps_error *err)
{
	_cleanup_fd_ int fd = -1;
	struct hps_digest found;
	char name[HPS_OBJECT_NAME];
	int r = open_object(o, d, name, &fd, err);

	r = r ? r : hps_digest_fd(fd, &found, ret_bytes, err);
	r = r ? r : check(&found, d, name, err);
	if (!r)
		*ret_fd = hps_take_fd(&fd);
	return r;
}

int hps_objects_get(struct hps_objects *o, const struct hps_digest *d, size_t max, struct hps_buf *ret, struct hps_error *err)
{
	_cleanup_fd_ int fd = -1;
	struct hps_digest found;
	char name[HPS_OBJECT_NAME];
	size_t start = ret->len;
	int r = open_object(o, d, name, &fd, err);

	if (r)
		return r;
	r = hps_file_read_fd(fd, max, ret, err);
	if (r)
		return hps_error_prefix(err, "object %.2s%s", name, name + 3);
	hps_digest_of(ret->data ? ret->data + start : "", ret->len - start, &found);
	return check(&found, d, name, err);
}

int hps_objects_read(struct hps_objects *o, const struct hps_digest *d, void *to, size_t size, struct hps_error *err)
{
	_cleanup_fd_ int fd = -1;
	struct hps_digest found;
	char name[HPS_OBJECT_NAME];
	ssize_t n;
	int r = open_object(o, d, name, &fd, err);

	if (r)
		return r;
	n = read(fd, to, size);
	if (n < 0)
		return hps_error_errno(err, "object %.2s%s", name, name + 3);
	hps_digest_of(to, (size_t)n, &found);
	return check(&found, d, name, err);
}

int hps_objects_get_json(struct hps_objects *o, const struct hps_digest *d, json_t **ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_objects_get(o, d, HPS_JSON_MAX, &text, err);

	return r ? r : hps_json_parse(text.data, text.len, ret, err);
}

int hps_objects_put_json(struct hps_objects *o, const json_t *value, struct hps_digest *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_json_canonical(value, &text, err);

	return r ? r : hps_objects_put(o, text.data, text.len, ret, err);
}
