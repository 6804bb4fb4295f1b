/* Where a file's content comes from. Whatever is handed out was hashed on the way: bytes in memory after reading them, a
 * descriptor by reading through it. What that descriptor names can still be written to by its owner; the rerun's own record
 * hashes it again (verdict.c compares). */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void hps_source_release(struct hps_source *s)
{
	hps_buf_release(&s->content);
	hps_cleanup_fd(&s->fd);
	*s = (struct hps_source)HPS_SOURCE_INIT;
}

void hps_sources_open(struct hps_sources *s, const char *const *stores, size_t n)
{
	*s = (struct hps_sources){ .cache = hps_cache_open(), .lock = PTHREAD_MUTEX_INITIALIZER };
	for (size_t i = 0; i < n && s->n_stores < HPS_STORES_MAX; i++) {
		struct hps_store *store = &s->stores[s->n_stores];

		if (hps_objects_open(AT_FDCWD, stores[i], false, &store->objects, NULL))
			continue; /* everything may come from elsewhere */
		store->path = hps_strdup(stores[i]);
		s->n_stores++;
	}
}

void hps_sources_release(struct hps_sources *s)
{
	for (size_t i = 0; i < s->n_stores; i++) {
		hps_objects_free(s->stores[i].objects);
		free(s->stores[i].path);
	}
	hps_cache_free(s->cache);
	*s = (struct hps_sources){ .lock = PTHREAD_MUTEX_INITIALIZER };
}

/* ---- the system ---- */

/* No symbolic link on the way: the recorded path had none. */
static int open_system(const char *path, struct stat *ret)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

	if (fd < 0)
		return -errno;
	if (fstat(fd, ret)) {
		close(fd);
		return -errno;
	}
	return fd;
}

static int refuse(struct hps_error *err, const char *state, const char *stored, const char *system)
{
	return hps_error_set(err, HPS_E_NOTFOUND, "%s: %s, and the system's %s", state, stored, system);
}

static bool is_faithful(const struct hps_plan_node *n, const struct stat *s)
{
	int64_t mtime = (int64_t)s->st_mtim.tv_sec * 1000000000 + s->st_mtim.tv_nsec;

	return (!n->mode || (s->st_mode & 07777) == n->mode) && (n->mtime_ns < 0 || mtime == n->mtime_ns);
}

/* Readable by whoever runs the trial, not only by us: inside, an owner that is not ours has no name. */
static bool is_open_to_all(const struct stat *s)
{
	return s->st_uid == geteuid() || (s->st_mode & S_IROTH && (!(s->st_mode & S_IXUSR) || s->st_mode & S_IXOTH));
}

static int read_whole(struct hps_source *ret, const struct hps_plan_node *node, const char *stored, struct hps_error *err)
{
	struct hps_digest digest;
	int r = hps_file_read_fd(ret->fd, HPS_COPY_MAX, &ret->content, err);

	if (r)
		return r;
	hps_digest_of(ret->content.data ? ret->content.data : "", ret->content.len, &digest);
	if (!hps_digest_equal(&digest, &node->digest))
		return refuse(err, "changed", stored, "file has other content");
	hps_cleanup_fd(&ret->fd);
	ret->fd = -1;
	return 0;
}

/* What was hashed on this machine before need not be hashed again, as long as the cache believes it. */
static int digest_system(struct hps_sources *sources, int fd, const struct stat *s, struct hps_digest *ret, struct hps_error *err)
{
	struct hps_identity id;
	struct hps_cached known;
	bool hit;

	hps_identity_of(s, &id);
	pthread_mutex_lock(&sources->lock);
	hit = hps_cache_get(sources->cache, fd, &id, &known);
	pthread_mutex_unlock(&sources->lock);
	if (!hit)
		return hps_digest_fd(fd, ret, NULL, err);
	*ret = known.digest;
	return 0;
}

/* What the trial, and whoever came after it, appended to a log is behind what was there before. */
static int read_beginning(struct hps_source *ret, const struct hps_plan_node *node, const char *stored, struct hps_error *err)
{
	struct hps_digest digest;
	char *start = hps_buf_reserve(&ret->content, (size_t)node->beginning);
	ssize_t got = start ? pread(ret->fd, start, (size_t)node->beginning, 0) : -1;

	hps_cleanup_fd(&ret->fd);
	ret->fd = -1;
	ret->size = node->beginning;
	if (got != node->beginning)
		return refuse(err, "changed", stored, "file has another size");
	ret->content.len = (size_t)got;
	start[got] = '\0';
	hps_digest_of(start, (size_t)got, &digest);
	return hps_digest_equal(&digest, &node->digest) ? 0 : refuse(err, "changed", stored, "file has other content");
}

static int from_system(struct hps_sources *sources, const struct hps_plan_node *node, bool whole, const char *stored, struct hps_source *ret,
		       struct hps_error *err)
{
	struct hps_digest digest;
	struct stat s;
	int fd = open_system(node->path, &s), r;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return refuse(err, "missing", stored, "file is gone");
	if (fd == -ELOOP)
		return refuse(err, "changed", stored, "path now leads through a symbolic link");
	if (fd < 0)
		return hps_error_set(err, HPS_E_NOTFOUND, "missing: %s, and the system's file cannot be read: %s", stored, strerror(-fd));
	ret->kind = HPS_SOURCE_SYSTEM;
	ret->fd = fd;
	ret->dev = s.st_dev;
	ret->size = s.st_size;
	if (S_ISREG(s.st_mode) && node->beginning > 0 && node->beginning < s.st_size && node->beginning <= HPS_COPY_MAX)
		return read_beginning(ret, node, stored, err);
	if (!S_ISREG(s.st_mode) || (node->size >= 0 && s.st_size != node->size))
		return refuse(err, "changed", stored, S_ISREG(s.st_mode) ? "file has another size" : "path is no longer a file");
	ret->faithful = is_faithful(node, &s) && is_open_to_all(&s);
	if (whole && (!ret->faithful || node->writable) && s.st_size <= HPS_COPY_MAX)
		return read_whole(ret, node, stored, err);
	r = digest_system(sources, fd, &s, &digest, err);
	if (r)
		return hps_error_prefix(err, "reading '%s'", node->path);
	return hps_digest_equal(&digest, &node->digest) ? 0 : refuse(err, "changed", stored, "file has other content");
}

/* ---- content stores ---- */

/* Most files are small, and their size is known. HPS_E_LIMIT: not so. */
static int read_small(struct hps_objects *objects, const struct hps_plan_node *node, struct hps_source *ret)
{
	size_t size = (size_t)node->size;
	char *to;

	if (node->size <= 0 || node->size > HPS_SMALL_MAX)
		return HPS_E_LIMIT;
	to = hps_buf_reserve(&ret->content, size);
	if (hps_objects_read(objects, &node->digest, to, size, NULL))
		return HPS_E_LIMIT;
	to[size] = '\0';
	ret->content.len = size;
	return 0;
}

static int from_one_store(struct hps_objects *objects, const struct hps_plan_node *node, bool whole, struct hps_source *ret, struct hps_error *err)
{
	uint64_t bytes = 0;
	int r = whole ? read_small(objects, node, ret) : HPS_E_LIMIT;

	ret->kind = HPS_SOURCE_STORE;
	if (!r)
		return 0;
	r = whole ? hps_objects_get(objects, &node->digest, HPS_COPY_MAX, &ret->content, err) : HPS_E_LIMIT;
	if (r != HPS_E_LIMIT)
		return r;
	if (whole)
		hps_error_release(err);
	hps_buf_release(&ret->content);
	r = hps_objects_open_fd(objects, &node->digest, &ret->fd, &bytes, err);
	ret->size = (int64_t)bytes;
	return r;
}

/* *ret_why is what to say when none has it. */
static int from_stores(struct hps_sources *sources, const struct hps_plan_node *node, bool whole, struct hps_source *ret, const char **ret_why)
{
	*ret_why = node->stored ? "the stored copy is gone" : "it was not stored";
	for (size_t i = 0; i < sources->n_stores; i++) {
		_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;

		ret->store = i;
		if (!from_one_store(sources->stores[i].objects, node, whole, ret, &err))
			return 0;
		hps_source_release(ret);
		if (err.code != HPS_E_NOTFOUND)
			*ret_why = "the stored copy is damaged";
	}
	return HPS_E_NOTFOUND;
}

/* ---- the chain ---- */

/* Large files are mounted, and then the system's own is better than the stored one: it has its mode and its times. */
static bool prefers_system(const struct hps_plan_node *node)
{
	return node->size > HPS_COPY_MAX && !node->writable;
}

/* Nothing needs to be kept to have nothing again: a log that was still empty. */
static bool is_empty(const struct hps_plan_node *node)
{
	struct hps_digest nothing;

	hps_digest_of("", 0, &nothing);
	return hps_digest_equal(&node->digest, &nothing);
}

int hps_source_open(struct hps_sources *sources, const struct hps_plan_node *node, bool whole, struct hps_source *ret, struct hps_error *err)
{
	const char *stored = "it was not stored";
	int r;

	*ret = (struct hps_source)HPS_SOURCE_INIT;
	if (node->size <= 0 && is_empty(node)) {
		ret->kind = HPS_SOURCE_EMPTY;
		return 0;
	}
	if (whole && prefers_system(node) && !from_system(sources, node, whole, "", ret, NULL) && ret->faithful)
		return 0;
	hps_source_release(ret);
	if (!from_stores(sources, node, whole, ret, &stored))
		return 0;
	if (node->secret)
		stored = "it holds a secret and is not kept";
	r = from_system(sources, node, whole, stored, ret, err);
	if (r)
		hps_source_release(ret);
	return r;
}
