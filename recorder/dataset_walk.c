/* Everything below a directory, hashed by as many threads as there are cores. Work is a stack: directories to read, names to look
 * at, large files; whoever is free takes the top, so that few directories are open at a time. */
#include "recorder/dataset.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#define BATCH 64
#define LARGE (1 << 20) /* a job of its own */
#define BLOCK (256 << 10)
#define MAX_THREADS 64
#define LEAVES_MAX 100000000u
#define YOUNG_NS 2000000000ll
#define XFS_MAGIC 0x58465342

/* A directory while anything of it waits. */
struct place {
	int fd;
	uint32_t index;
	char *path;
	uint64_t fsid;
	bool trusted; /* on a file system whose change time tells every change */
	unsigned users;
};
struct job {
	struct place *place; /* names below it; NULL: read the directory `path` */
	char *path;
	struct hps_strv names;
	bool large; /* hash now, whatever its size */
};
struct walk {
	int top_fd;
	const char *top;
	const struct hps_dataset_cache *cache;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct job *jobs;
	size_t n_jobs, cap_jobs;
	unsigned busy;
	atomic_bool stop; /* read without the lock, too */
	struct hps_error *err;
	int code;
	struct hps_unread *unread; /* under the lock; NULL: nothing may be left out */
	struct hps_found_dir *dirs;
	size_t n_dirs;
	atomic_size_t n_leaves;
	_Atomic uint64_t bytes;
};
/* What one thread has found, and works with. */
struct worker {
	struct walk *w;
	pthread_t thread;
	struct hps_found *leaves;
	size_t n, cap, n_hashed;
	struct hps_sha256 *hash;
	char *block;
};

unsigned hps_cores(void)
{
	cpu_set_t cores;
	int n = sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;

	return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (unsigned)n;
}

void hps_seen_of(const struct stat *s, uint64_t fsid, struct hps_seen *ret)
{
	*ret = (struct hps_seen){
		.fsid = fsid,
		.ino = (int64_t)s->st_ino,
		.size = s->st_size,
		.mtime_ns = s->st_mtim.tv_sec * 1000000000ll + s->st_mtim.tv_nsec,
		.ctime_ns = s->st_ctim.tv_sec * 1000000000ll + s->st_ctim.tv_nsec,
	};
}

bool hps_seen_equal(const struct hps_seen *a, const struct hps_seen *b)
{
	return a->ino && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->fsid == b->fsid;
}

/* ---- jobs ---- */

static void push(struct walk *w, struct job job)
{
	pthread_mutex_lock(&w->lock);
	if (job.place)
		job.place->users++;
	if (w->n_jobs == w->cap_jobs)
		w->jobs = hps_realloc(w->jobs, w->cap_jobs = w->cap_jobs ? 2 * w->cap_jobs : 256, sizeof *w->jobs);
	w->jobs[w->n_jobs++] = job;
	pthread_cond_signal(&w->change);
	pthread_mutex_unlock(&w->lock);
}

static void leave(struct walk *w, struct place *p)
{
	bool last;

	pthread_mutex_lock(&w->lock);
	last = --p->users == 0;
	pthread_mutex_unlock(&w->lock);
	if (!last)
		return;
	close(p->fd);
	free(p);
}

/* The first error ends all threads. */
static void fail(struct walk *w, struct hps_error *err)
{
	pthread_mutex_lock(&w->lock);
	if (!w->code) {
		w->code = err->code;
		if (w->err)
			*w->err = *err;
		else
			hps_error_release(err);
	} else {
		hps_error_release(err);
	}
	w->stop = true;
	pthread_cond_broadcast(&w->change);
	pthread_mutex_unlock(&w->lock);
}

/* May it be left out? Then it is noted. */
static bool leave_out(struct walk *w, const char *directory, const char *name)
{
	if (!w->unread)
		return false;
	pthread_mutex_lock(&w->lock);
	if (w->unread->n++ < HPS_UNREAD_MAX)
		hps_strv_addf(&w->unread->paths, "%s%s", directory, name);
	pthread_mutex_unlock(&w->lock);
	return true;
}

static bool forbidden(int error)
{
	return error == EACCES || error == EPERM;
}

static void fail_errno(struct walk *w, const char *doing, const struct place *p, const char *name)
{
	struct hps_error err = HPS_ERROR_INIT;

	if (forbidden(errno) && leave_out(w, p->path, name))
		return;
	hps_error_errno(&err, "%s '%s/%s%s'", doing, w->top, p->path, name);
	fail(w, &err);
}

static void fail_text(struct walk *w, int code, const struct place *p, const char *name, const char *what)
{
	struct hps_error err = HPS_ERROR_INIT;

	hps_error_set(&err, code, "'%s/%s%s' %s", w->top, p->path, name, what);
	fail(w, &err);
}

/* ---- files ---- */

static int open_quietly(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);

	return fd >= 0 || errno != EPERM ? fd : openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* Nobody has it open for writing: then every later change moves its change time. A lease can be taken on own files only;
 * what others may write we do not remember. */
static bool unwritten(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
		return fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
	return errno == EACCES;
}

static bool settled(const struct hps_seen *seen)
{
	return hps_time_now_ns() - seen->ctime_ns >= YOUNG_NS;
}

/* 0, or -1 with errno; ECANCELED: it changed while it was read. */
static int hash_content(struct worker *k, int fd, const struct hps_seen *before, struct hps_digest *ret)
{
	struct hps_seen after;
	struct stat s;
	int64_t at = 0;
	ssize_t n = 1;

	hps_sha256_reset(k->hash);
	while (at < before->size && (n = pread(fd, k->block, BLOCK, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		hps_sha256_update(k->hash, k->block, (size_t)n);
		at += n;
		atomic_fetch_add_explicit(&k->w->bytes, (uint64_t)n, memory_order_relaxed);
	}
	hps_sha256_final(k->hash, ret);
	if (fstat(fd, &s))
		return -1;
	hps_seen_of(&s, before->fsid, &after);
	errno = ECANCELED;
	return at == before->size && hps_seen_equal(&after, before) ? 0 : -1;
}

static int hash_file(struct worker *k, const struct place *p, const char *name, struct hps_found *found)
{
	_cleanup_fd_ int fd = open_quietly(p->fd, name);

	if (fd < 0) {
		fail_errno(k->w, "opening", p, name);
		return -1;
	}
	if (hash_content(k, fd, &found->seen, &found->leaf.digest)) {
		if (errno == ECANCELED)
			fail_text(k->w, HPS_E_UNDECIDED, p, name, "changed while it was hashed");
		else
			fail_errno(k->w, "reading", p, name);
		return -1;
	}
	if (!p->trusted || !settled(&found->seen) || !unwritten(fd))
		found->seen.ino = 0;
	k->n_hashed++;
	return 0;
}

static int hash_link(struct worker *k, const struct place *p, const char *name, struct hps_found *found)
{
	char target[4096];
	ssize_t n = readlinkat(p->fd, name, target, sizeof target);

	if (n < 0) {
		fail_errno(k->w, "reading the link", p, name);
		return -1;
	}
	hps_digest_of(target, (size_t)n, &found->leaf.digest);
	found->leaf.bytes = (uint64_t)n;
	if (!p->trusted || !settled(&found->seen))
		found->seen.ino = 0;
	return 0;
}

static void keep(struct worker *k, const struct place *p, const char *name, struct hps_found *found)
{
	size_t before = strlen(p->path), len = strlen(name);
	char *path = hps_alloc(before + len + 1);

	memcpy(path, p->path, before);
	memcpy(path + before, name, len);
	found->leaf.path = path;
	found->dir = p->index;
	found->name = (uint32_t)before;
	if (k->n == k->cap)
		k->leaves = hps_realloc(k->leaves, k->cap = k->cap ? 2 * k->cap : 256, sizeof *k->leaves);
	k->leaves[k->n++] = *found;
}

static void take_name(struct worker *k, struct place *p, const char *name, bool large)
{
	struct hps_found found = { 0 };
	const struct hps_digest *known;
	struct stat s;

	if (fstatat(p->fd, name, &s, AT_SYMLINK_NOFOLLOW)) {
		fail_errno(k->w, "looking at", p, name);
		return;
	}
	if (S_ISDIR(s.st_mode)) {
		push(k->w, (struct job){ .path = hps_format("%s%s/", p->path, name) });
		return;
	}
	if (!S_ISREG(s.st_mode) && !S_ISLNK(s.st_mode)) {
		if (leave_out(k->w, p->path, name))
			return;
		fail_text(k->w, HPS_E_FORMAT, p, name, "is neither a file, a directory nor a link");
		return;
	}
	hps_seen_of(&s, p->fsid, &found.seen);
	found.leaf = (struct hps_dataset_leaf){ .type = S_ISREG(s.st_mode) ? 'f' : 'l', .executable = S_ISREG(s.st_mode) && s.st_mode & 0100, .bytes = (uint64_t)s.st_size };
	known = k->w->cache && S_ISREG(s.st_mode) ? hps_dataset_cache_get(k->w->cache, &found.seen) : NULL;
	if (known) {
		found.leaf.digest = *known;
	} else if (S_ISREG(s.st_mode) && s.st_size >= LARGE && !large) {
		struct job job = { .place = p, .large = true };

		hps_strv_add(&job.names, name);
		push(k->w, job);
		return;
	} else if (S_ISREG(s.st_mode) ? hash_file(k, p, name, &found) : hash_link(k, p, name, &found)) {
		return;
	}
	keep(k, p, name, &found);
}

/* ---- directories ---- */

static bool trusted(const struct statfs *f)
{
	return f->f_type == EXT4_SUPER_MAGIC || f->f_type == XFS_MAGIC || f->f_type == BTRFS_SUPER_MAGIC;
}

static struct place *enter(struct walk *w, int fd, char *path)
{
	struct place *p = hps_alloc(sizeof *p);
	struct hps_found_dir dir = { .path = path };
	struct statfs f = { 0 };
	struct stat s = { 0 };

	p->fd = fd;
	p->path = path;
	p->users = 1;
	if (fstatfs(fd, &f) == 0 && fstat(fd, &s) == 0) {
		memcpy(&p->fsid, &f.f_fsid, sizeof p->fsid);
		p->trusted = trusted(&f);
		hps_seen_of(&s, p->fsid, &dir.seen);
	}
	if (!p->trusted || !settled(&dir.seen))
		dir.seen.ino = 0;
	pthread_mutex_lock(&w->lock);
	w->dirs = hps_grow(w->dirs, w->n_dirs, sizeof *w->dirs);
	p->index = (uint32_t)w->n_dirs;
	w->dirs[w->n_dirs++] = dir;
	pthread_mutex_unlock(&w->lock);
	return p;
}

/* The next name that is neither "." nor ".."; NULL at the end, and after an error, which *ret_error tells. */
static const struct dirent *next_entry(DIR *dir, int *ret_error)
{
	const struct dirent *e;

	do {
		errno = 0;
		e = readdir(dir);
	} while (e && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")));
	*ret_error = e ? 0 : errno;
	return e;
}

static void read_names(struct worker *k, struct place *p)
{
	int own = dup(p->fd), error = own < 0 ? errno : 0;
	DIR *dir = own >= 0 ? fdopendir(own) : NULL;
	struct job job = { .place = p };
	const struct dirent *e;

	while (dir && !k->w->stop && !error && (e = next_entry(dir, &error))) {
		if (e->d_type == DT_DIR) {
			push(k->w, (struct job){ .path = hps_format("%s%s/", p->path, e->d_name) });
			continue;
		}
		hps_strv_add(&job.names, e->d_name);
		if (job.names.n < BATCH)
			continue;
		push(k->w, job);
		job.names = (struct hps_strv)HPS_STRV_INIT;
		error = atomic_fetch_add(&k->w->n_leaves, BATCH) > LEAVES_MAX ? EOVERFLOW : 0;
	}
	if (!dir || error) {
		errno = error ? error : EIO;
		fail_errno(k->w, "reading", p, "");
	}
	if (dir)
		closedir(dir);
	if (job.names.n)
		push(k->w, job);
}

static void read_directory(struct worker *k, char *path)
{
	int fd = openat(k->w->top_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct place *p;

	if (fd < 0) {
		struct hps_error err = HPS_ERROR_INIT;

		if (!forbidden(errno) || !leave_out(k->w, path, "")) {
			hps_error_errno(&err, "reading '%s/%s'", k->w->top, path);
			fail(k->w, &err);
		}
		free(path);
		return;
	}
	p = enter(k->w, fd, path);
	read_names(k, p);
	leave(k->w, p);
}

/* ---- threads ---- */

static bool next_job(struct walk *w, struct job *ret)
{
	bool any;

	pthread_mutex_lock(&w->lock);
	w->busy--;
	while (!w->n_jobs && w->busy && !w->stop)
		pthread_cond_wait(&w->change, &w->lock);
	any = w->n_jobs && !w->stop;
	if (any) {
		*ret = w->jobs[--w->n_jobs];
		w->busy++;
	} else {
		pthread_cond_broadcast(&w->change);
	}
	pthread_mutex_unlock(&w->lock);
	return any;
}

static void *work(void *arg)
{
	struct worker *k = arg;
	struct job job;

	while (next_job(k->w, &job)) {
		if (!job.place) {
			read_directory(k, job.path);
			continue;
		}
		for (size_t i = 0; i < job.names.n && !k->w->stop; i++)
			take_name(k, job.place, job.names.v[i], job.large);
		hps_strv_release(&job.names);
		leave(k->w, job.place);
	}
	return NULL;
}

static bool finished(struct walk *w)
{
	struct timespec until;
	bool done;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 200000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&w->lock);
	done = w->stop || (!w->n_jobs && !w->busy);
	if (!done)
		pthread_cond_timedwait(&w->change, &w->lock, &until);
	pthread_mutex_unlock(&w->lock);
	return done;
}

static void run(struct walk *w, struct hps_progress *progress, struct hps_tree *ret)
{
	unsigned n = hps_cores(), started = 0;
	_cleanup_free_ struct worker *workers = hps_alloc(n * sizeof *workers);

	w->busy = n;
	for (unsigned i = 0; i < n; i++)
		workers[i] = (struct worker){ .w = w, .hash = hps_sha256_new(), .block = hps_alloc(BLOCK) };
	for (unsigned i = progress ? 0 : 1; i < n && pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0; i++)
		started = i + 1;
	pthread_mutex_lock(&w->lock);
	w->busy -= n - (started ? started : 1); /* those that could not be started */
	pthread_cond_broadcast(&w->change);
	pthread_mutex_unlock(&w->lock);
	if (!progress || !started) {
		work(&workers[0]);
	} else {
		while (!finished(w))
			hps_progress_update(progress, atomic_load(&w->bytes) >> 20);
	}
	for (unsigned i = progress ? 0 : 1; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < n; i++) {
		struct worker *k = &workers[i];

		ret->leaves = k->n ? hps_realloc(ret->leaves, ret->n_leaves + k->n, sizeof *ret->leaves) : ret->leaves;
		if (k->n)
			memcpy(ret->leaves + ret->n_leaves, k->leaves, k->n * sizeof *k->leaves);
		ret->n_leaves += k->n;
		ret->n_hashed += k->n_hashed;
		free(k->leaves);
		free(k->block);
		hps_sha256_free(k->hash);
	}
}

/* What an error left on the stack. */
static void drop_jobs(struct walk *w)
{
	while (w->n_jobs) {
		struct job *job = &w->jobs[--w->n_jobs];

		hps_strv_release(&job->names);
		free(job->path);
		if (job->place)
			leave(w, job->place);
	}
	free(w->jobs);
}

/* A data set that is one file: a directory with nothing else in it, and a leaf without a name. */
static int only_file(struct walk *w, const char *top, struct hps_tree *ret)
{
	_cleanup_free_ char *copy = hps_strdup(top);
	char *slash = strrchr(copy, '/'), *name = slash ? slash + 1 : copy;
	struct job job = { .large = true };
	int fd;

	if (slash)
		*slash = '\0';
	fd = open(slash ? slash == copy ? "/" : copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return hps_error_errno(w->err, "opening '%s'", top);
	job.place = enter(w, fd, hps_strdup(""));
	hps_strv_add(&job.names, name);
	push(w, job);
	leave(w, job.place);
	run(w, NULL, ret);
	if (ret->n_leaves == 1)
		*(char *)(uintptr_t)ret->leaves[0].leaf.path = '\0';
	return 0;
}

int hps_tree_walk(const char *top, const struct hps_dataset_cache *cache, struct hps_progress *progress, struct hps_unread *unread, struct hps_tree *ret, struct hps_error *err)
{
	_cleanup_free_ char *real = realpath(top, NULL);
	struct walk w = { .top = top, .cache = cache, .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER, .err = err, .unread = unread };
	_cleanup_fd_ int fd = real ? open(real, O_PATH | O_CLOEXEC) : -1;
	struct stat s;

	*ret = (struct hps_tree){ 0 };
	if (fd < 0 || fstat(fd, &s))
		return hps_error_errno(err, "reading '%s'", top);
	w.top_fd = fd;
	if (S_ISDIR(s.st_mode)) {
		push(&w, (struct job){ .path = hps_strdup("") });
		run(&w, progress, ret);
	} else {
		w.code = only_file(&w, real, ret);
	}
	drop_jobs(&w);
	if (unread)
		hps_strv_sort(&unread->paths);
	ret->dirs = w.dirs;
	ret->n_dirs = w.n_dirs;
	return w.code;
}

void hps_tree_release(struct hps_tree *t)
{
	for (size_t i = 0; i < t->n_leaves; i++)
		free((char *)(uintptr_t)t->leaves[i].leaf.path);
	for (size_t i = 0; i < t->n_dirs; i++)
		free(t->dirs[i].path);
	free(t->leaves);
	free(t->dirs);
	*t = (struct hps_tree){ 0 };
}
