/* The tree that the rerun sees: directories and links are made, files are mounted (the system's, proven by hash) or copied
 * (stored ones, and those that the trial changes). tmpfs lists what was made last first, so that the names of a directory are
 * made in reverse of the recorded order. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct builder {
	const struct hps_plan *plan;
	struct hps_objects *objects;
	struct hps_progress *progress;
	struct hps_view *view;
	struct hps_error *err;
	int root_fd; /* -1: look only */
	bool open;   /* still building; false once a content is missing */
};

static const char *base(const char *path)
{
	return strrchr(path, '/') + 1;
}

/* Of dir_fd/name, or of dir_fd itself when name is "". */
static void set_times(int dir_fd, const char *name, int64_t mtime_ns)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = mtime_ns / 1000000000, .tv_nsec = mtime_ns % 1000000000 } };

	if (mtime_ns >= 0) /* tmpfs can; a time is not worth failing for */
		(void)!(*name ? utimensat(dir_fd, name, t, AT_SYMLINK_NOFOLLOW) : futimens(dir_fd, t));
}

/* ---- one node ---- */

static int copy_file(struct builder *b, int dir_fd, const struct hps_plan_node *n, const struct hps_source *s)
{
	mode_t mode = n->mode ? n->mode : 0644;
	_cleanup_fd_ int fd = openat(dir_fd, base(n->path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return hps_error_errno(b->err, "making '%s' in the view", n->path);
	r = hps_write_all(fd, s->content.data, s->content.len);
	if (r)
		return hps_error_set(b->err, r, "copying '%s' into the view: %s", n->path, strerror(-r));
	/* setuid and setgid mean nothing inside and need nobody's trust */
	if (fchmod(fd, mode & 01777))
		return hps_error_errno(b->err, "making '%s' in the view", n->path);
	set_times(dir_fd, base(n->path), n->mtime_ns);
	b->view->bytes += s->content.len;
	return 0;
}

/* For a file that the trial changes and that is too large for memory: copied by block, and hashed again as it is copied. */
static int copy_large(struct builder *b, int dir_fd, const struct hps_plan_node *n, int from)
{
	_cleanup_free_ char *block = hps_alloc(1 << 20);
	_cleanup_fd_ int fd = openat(dir_fd, base(n->path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct hps_digest digest;
	off_t at = 0;
	ssize_t got = 1;
	int r = fd < 0 ? -errno : 0;

	for (; !r && got > 0; at += got) {
		got = pread(from, block, 1 << 20, at);
		r = got < 0 ? -errno : hps_write_all(fd, block, (size_t)got);
		if (got < 0)
			break;
	}
	if (!r && fchmod(fd, (n->mode ? n->mode : 0644) & 01777))
		r = -errno;
	if (r)
		return hps_error_set(b->err, r, "copying '%s' into the view: %s", n->path, strerror(-r));
	r = hps_digest_fd(fd, &digest, NULL, b->err);
	if (!r && !hps_digest_equal(&digest, &n->digest))
		r = hps_error_set(b->err, HPS_E_UNDECIDED, "copying '%s' into the view: it changed meanwhile", n->path);
	set_times(dir_fd, base(n->path), n->mtime_ns);
	b->view->bytes += (uint64_t)at;
	return r;
}

static int mount_file(struct builder *b, int dir_fd, const struct hps_plan_node *n, const struct hps_source *s)
{
	int fd = openat(dir_fd, base(n->path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return hps_error_errno(b->err, "making '%s' in the view", n->path);
	close(fd);
	if (!s->faithful)
		hps_hole_add(&b->view->holes, n->path, "too large to copy: its mode or time of modification is not the recorded one");
	return hps_mount_file(s->fd, dir_fd, base(n->path), b->err);
}

static int make_file(struct builder *b, int dir_fd, const struct hps_plan_node *n)
{
	_cleanup_source_ struct hps_source s = HPS_SOURCE_INIT;
	_cleanup_error_ struct hps_error why = HPS_ERROR_INIT;
	int r = hps_source_open(b->objects, n, &s, &why);

	if (r == HPS_E_NOTFOUND) {
		hps_hole_add(&b->view->problems, n->path, why.message);
		b->open = false; /* nothing will be run: only look at the others */
		return 0;
	}
	if (r)
		return hps_error_set(b->err, r, "%s", why.message);
	b->view->n_files++;
	b->view->n_store += s.kind == HPS_SOURCE_STORE;
	b->view->n_system += s.kind == HPS_SOURCE_SYSTEM;
	if (b->progress)
		hps_progress_update(b->progress, b->view->n_files);
	if (!b->open)
		return 0;
	if (s.fd < 0)
		return copy_file(b, dir_fd, n, &s);
	return n->writable ? copy_large(b, dir_fd, n, s.fd) : mount_file(b, dir_fd, n, &s);
}

static bool make_ghost_link(int dir_fd, const struct hps_plan_node *n)
{
	char target[4096];
	ssize_t len = readlink(n->path, target, sizeof target - 1);

	if (len <= 0)
		return false;
	target[len] = '\0';
	return !symlinkat(target, dir_fd, base(n->path));
}

static struct stat look_up(const struct hps_plan_node *n)
{
	struct stat s;

	if (!n->known && !lstat(n->path, &s))
		return s;
	s = (struct stat){ .st_mode = n->known ? n->known : S_IFREG | 0644, .st_size = n->known ? n->size : 0 };
	s.st_mtim.tv_sec = n->mtime_ns / 1000000000;
	s.st_mtim.tv_nsec = n->mtime_ns % 1000000000;
	return s;
}

/* That the name was there is recorded. What it was is taken from the same path now: kind, size and time, but never content,
 * which would be unproven. Of the mode only the right to execute stays, so that whoever opens it is refused, loudly. */
static int make_ghost(struct builder *b, int dir_fd, const struct hps_plan_node *n)
{
	struct stat s = look_up(n);
	_cleanup_fd_ int fd = -1;

	b->view->n_ghosts++;
	if (S_ISDIR(s.st_mode) && !mkdirat(dir_fd, base(n->path), 0111))
		return 0;
	if (S_ISLNK(s.st_mode) && make_ghost_link(dir_fd, n))
		return 0;
	fd = openat(dir_fd, base(n->path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_ISREG(s.st_mode) ? s.st_mode & 0111 : 0);
	if (fd < 0)
		return hps_error_errno(b->err, "making '%s' in the view", n->path);
	if (S_ISREG(s.st_mode) && !ftruncate(fd, s.st_size))
		set_times(fd, "", (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec);
	return 0;
}

static int make_node(struct builder *b, int dir_fd, const struct hps_plan_node *n)
{
	switch (n->kind) {
	case HPS_PLAN_FILE:
		return make_file(b, dir_fd, n);
	case HPS_PLAN_GHOST:
		return b->open ? make_ghost(b, dir_fd, n) : 0;
	case HPS_PLAN_SYMLINK:
		return b->open && symlinkat(n->target, dir_fd, base(n->path)) ? hps_error_errno(b->err, "making '%s' in the view", n->path) : 0;
	case HPS_PLAN_DIRECTORY:
		return b->open && mkdirat(dir_fd, base(n->path), 0755) ? hps_error_errno(b->err, "making '%s' in the view", n->path) : 0;
	}
	return 0;
}

/* ---- the tree ---- */

/* Numbers of the nodes but the root: by parent, and within one parent those that were not listed, then the listed, last first. */
static int by_making(const void *a, const void *b, void *arg)
{
	const struct hps_plan *p = arg;
	const struct hps_plan_node *x = &p->nodes[*(const size_t *)a], *y = &p->nodes[*(const size_t *)b];

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return strcmp(y->path, x->path);
}

static int open_directory(struct builder *b, const char *path, int *ret)
{
	struct open_how how = { .flags = O_DIRECTORY | O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

	*ret = (int)syscall(SYS_openat2, b->root_fd, path[1] ? path + 1 : ".", &how, sizeof how);
	return *ret < 0 ? hps_error_errno(b->err, "opening '%s' in the view", path) : 0;
}

static int make_all(struct builder *b, const size_t *order, size_t n)
{
	const struct hps_plan *p = b->plan;
	_cleanup_fd_ int dir = -1;
	size_t parent = SIZE_MAX;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		const struct hps_plan_node *node = &p->nodes[order[i]];

		if (b->open && node->parent != parent) {
			hps_cleanup_fd(&dir);
			r = open_directory(b, p->nodes[node->parent].path, &dir);
			parent = node->parent;
		}
		r = r ? r : make_node(b, dir, node);
	}
	return r;
}

/* Last, from below: making a name changes its directory. */
static void finish_directories(struct builder *b, const size_t *order, size_t n)
{
	for (size_t i = n; i-- > 0;) {
		const struct hps_plan_node *node = &b->plan->nodes[order[i]];
		_cleanup_fd_ int fd = -1;

		if (node->kind != HPS_PLAN_DIRECTORY || (!node->mode && node->mtime_ns < 0) || open_directory(b, node->path, &fd))
			continue;
		if (node->mode)
			(void)!fchmod(fd, node->mode & 03777); /* what is made in a setgid directory inherits that */
		set_times(fd, "", node->mtime_ns);
	}
}

/* ---- Python's sources ---- */

/* Python takes a .pyc when the size and the time in it (PEP 552) are those of its source, which it does not open. A source that was
 * only listed gets them from the .pyc, which is proven, whatever became of the source since. */
static void fit_source(struct builder *b, const struct hps_plan_node *n)
{
	_cleanup_free_ char *path = hps_plan_python_source(n->path);
	const struct hps_plan_node *source = path ? hps_plan_find(b->plan, path) : NULL;
	_cleanup_fd_ int compiled = -1, fd = -1;
	unsigned char head[16];
	struct stat s;
	uint32_t mtime, size;

	if (!source || source->kind != HPS_PLAN_GHOST)
		return;
	compiled = openat(b->root_fd, n->path + 1, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	fd = openat(b->root_fd, source->path + 1, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (compiled < 0 || fd < 0 || fstat(fd, &s) || pread(compiled, head, sizeof head, 0) != sizeof head || head[4] || head[5] || head[6] || head[7])
		return;
	mtime = (uint32_t)head[8] | (uint32_t)head[9] << 8 | (uint32_t)head[10] << 16 | (uint32_t)head[11] << 24;
	size = (uint32_t)head[12] | (uint32_t)head[13] << 8 | (uint32_t)head[14] << 16 | (uint32_t)head[15] << 24;
	if ((uint32_t)s.st_mtim.tv_sec == mtime && (uint32_t)s.st_size == size)
		return;
	if (!ftruncate(fd, size))
		set_times(fd, "", (int64_t)mtime * 1000000000);
}

static void fit_sources(struct builder *b)
{
	for (size_t i = 0; i < b->plan->n; i++)
		if (b->plan->nodes[i].kind == HPS_PLAN_FILE)
			fit_source(b, &b->plan->nodes[i]);
}

int hps_view_build(const struct hps_plan *p, struct hps_objects *objects, int root_fd, struct hps_progress *progress, struct hps_view *ret,
		   struct hps_error *err)
{
	struct builder b = { .plan = p, .objects = objects, .progress = progress, .view = ret, .err = err, .root_fd = root_fd, .open = root_fd >= 0 };
	_cleanup_free_ size_t *order = hps_alloc(p->n * sizeof *order);
	mode_t mask = umask(0);
	int r;

	for (size_t i = 1; i < p->n; i++)
		order[i - 1] = i;
	qsort_r(order, p->n - 1, sizeof *order, by_making, (void *)(uintptr_t)p);
	for (size_t i = 0; i < p->problems.n; i++) {
		hps_hole_add(&ret->problems, p->problems.v[i].what, p->problems.v[i].why);
		b.open = false;
	}
	r = make_all(&b, order, p->n - 1);
	if (!r && b.open) {
		fit_sources(&b);
		finish_directories(&b, order, p->n - 1);
	}
	umask(mask);
	return r;
}

void hps_view_release(struct hps_view *v)
{
	hps_holes_release(&v->problems);
	hps_holes_release(&v->holes);
	*v = (struct hps_view){ 0 };
}
