/* The tree that the rerun sees. Names are made directory by directory, by as many threads as there are processors; tmpfs lists
 * what was made last first, so that the names of a directory are made in reverse of the recorded order. How a name gets its
 * content is the layout's business (layout.c). */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS_MAX 4

struct unit { /* the names of one directory: order[first] and n - 1 more */
	size_t first, n;
};
struct build {
	const struct hps_plan *plan;
	struct hps_layout *layout;
	struct hps_progress *progress;
	struct hps_view *view;
	size_t *order;
	struct unit *units;
	size_t n_units;
	atomic_size_t next;  /* unit that nobody has taken yet */
	atomic_uint n_done;  /* files */
	_Atomic bool open;   /* still building; false once a content is missing */
	_Atomic bool owners; /* somebody's file could not be given to him */
	pthread_mutex_t lock;
	pthread_cond_t made_one;
	bool *made;	     /* by node: the directory is there */
	struct hps_error err; /* the first that stopped it */
};

/* One thread's share of the work. */
struct builder {
	struct build *b;
	struct hps_view view;
	struct hps_error err;
};

const char *hps_plan_base(const struct hps_plan_node *n)
{
	return strrchr(n->path, '/') + 1;
}

void hps_set_mtime(int dir_fd, const char *name, int64_t mtime_ns)
{
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = mtime_ns / 1000000000, .tv_nsec = mtime_ns % 1000000000 } };

	if (mtime_ns >= 0) /* tmpfs can; a time is not worth failing for */
		(void)!(*name ? utimensat(dir_fd, name, t, AT_SYMLINK_NOFOLLOW) : futimens(dir_fd, t));
}

static int cannot_make(struct hps_error *err, const struct hps_plan_node *n)
{
	return hps_error_errno(err, "making '%s' in the view", n->path);
}

/* ---- Python's sources ---- */

/* Python takes a .pyc when the size and the time in it (PEP 552) are those of its source, which it does not open. A source that was
 * only listed gets them from the .pyc, which is proven, whatever became of the source since. */
static void read_pyc(struct builder *w, const struct hps_plan_node *n, const struct hps_source *s)
{
	_cleanup_free_ char *path = hps_plan_python_source(n->path);
	const struct hps_plan_node *source = path ? hps_plan_find(w->b->plan, path) : NULL;
	unsigned char head[16];

	if (!source || source->kind != HPS_PLAN_GHOST)
		return;
	if (s->fd < 0 && s->content.len >= sizeof head)
		memcpy(head, s->content.data, sizeof head);
	else if (s->fd < 0 || pread(s->fd, head, sizeof head, 0) != sizeof head)
		return;
	if (head[4] || head[5] || head[6] || head[7])
		return;
	w->view.sources = hps_grow(w->view.sources, w->view.n_sources, sizeof *w->view.sources);
	w->view.sources[w->view.n_sources++] = (struct hps_view_source){
		.node = (size_t)(source - w->b->plan->nodes),
		.mtime = (uint32_t)head[8] | (uint32_t)head[9] << 8 | (uint32_t)head[10] << 16 | (uint32_t)head[11] << 24,
		.size = (uint32_t)head[12] | (uint32_t)head[13] << 8 | (uint32_t)head[14] << 16 | (uint32_t)head[15] << 24,
	};
}

/* ---- one node ---- */

static int make_file(struct builder *w, int dir_fd, const struct hps_plan_node *n)
{
	_cleanup_source_ struct hps_source s = HPS_SOURCE_INIT;
	_cleanup_error_ struct hps_error why = HPS_ERROR_INIT;
	struct build *b = w->b;
	int r = hps_source_open(b->layout->sources, n, b->layout->whole, &s, &why);

	if (r == HPS_E_NOTFOUND && n->secret && n->unread) {
		hps_hole_add(&w->view.holes, n->path, HPS_BLANK);
		w->view.n_blank++;
		s.kind = HPS_SOURCE_EMPTY;
		r = 0;
	}
	if (r == HPS_E_NOTFOUND) {
		hps_hole_add(&w->view.problems, n->path, why.message);
		b->open = false; /* nothing will be run: only look at the others */
		return 0;
	}
	if (r)
		return hps_error_set(&w->err, r, "%s", why.message);
	w->view.n_files++;
	w->view.n_blank += n->blank;
	w->view.n_store += s.kind != HPS_SOURCE_SYSTEM;
	w->view.n_system += s.kind == HPS_SOURCE_SYSTEM;
	atomic_fetch_add(&b->n_done, 1);
	if (!b->open)
		return 0;
	read_pyc(w, n, &s);
	return hps_layout_file(b->layout, dir_fd, n, &s, &w->view, &w->err);
}

static bool make_ghost_link(int dir_fd, const struct hps_plan_node *n)
{
	char target[4096];
	ssize_t len;

	if (n->target) {
		if (symlinkat(n->target, dir_fd, hps_plan_base(n)))
			return false;
		hps_set_mtime(dir_fd, hps_plan_base(n), n->mtime_ns);
		return true;
	}
	len = readlink(n->path, target, sizeof target - 1);

	if (len <= 0)
		return false;
	target[len] = '\0';
	return !symlinkat(target, dir_fd, hps_plan_base(n));
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

/* That the name was there is recorded. What it was is recorded, too, or taken from the same path now: kind, mode, size and time, but
 * never content, which would be unproven: whoever opens it is refused, or named in the verdict. */
static int make_ghost(struct builder *w, int dir_fd, const struct hps_plan_node *n)
{
	const char *name = hps_plan_base(n);
	struct stat s = look_up(n);

	w->view.n_ghosts++;
	if (S_ISDIR(s.st_mode) && !mkdirat(dir_fd, name, n->attributes ? s.st_mode & 07777 : 0111))
		return 0;
	if (S_ISLNK(s.st_mode) && make_ghost_link(dir_fd, n))
		return 0;
	if ((S_ISFIFO(s.st_mode) || S_ISSOCK(s.st_mode)) && !mknodat(dir_fd, name, s.st_mode, 0))
		return 0;
	return hps_layout_ghost(w->b->layout, dir_fd, n, &s, &w->err);
}

/* Other users' files stay theirs where their numbers mean something here: to root. */
static void give(struct builder *w, int dir_fd, const struct hps_plan_node *n)
{
	const struct hps_attributes *a = n->attributes;

	if (!w->b->open || !a || (a->uid == geteuid() && a->gid == getegid()) ||
	    !fchownat(dir_fd, hps_plan_base(n), a->uid, a->gid, AT_SYMLINK_NOFOLLOW))
		return;
	if (!atomic_exchange(&w->b->owners, true))
		hps_hole_add(&w->view.holes, n->path, "another user's, or of another group: here it is the replaying user's, as are all of its kind");
}

/* One with the setgid bit gets it last, or all in it would inherit it now. */
static mode_t first_mode(const struct hps_plan_node *n)
{
	return n->mode && !(n->mode & S_ISGID) ? n->mode & 01777 : 0755;
}

static int make_kind(struct builder *w, int dir_fd, const struct hps_plan_node *n)
{
	bool open = w->b->open;

	switch (n->kind) {
	case HPS_PLAN_FILE:
		return make_file(w, dir_fd, n);
	case HPS_PLAN_GHOST:
		return open ? make_ghost(w, dir_fd, n) : 0;
	case HPS_PLAN_SYMLINK:
		if (open && symlinkat(n->target, dir_fd, hps_plan_base(n)))
			return cannot_make(&w->err, n);
		if (open)
			hps_set_mtime(dir_fd, hps_plan_base(n), n->mtime_ns);
		return 0;
	case HPS_PLAN_DIRECTORY:
		return open && mkdirat(dir_fd, hps_plan_base(n), first_mode(n)) ? cannot_make(&w->err, n) : 0;
	}
	return 0;
}

static int make_node(struct builder *w, int dir_fd, const struct hps_plan_node *n)
{
	int r = make_kind(w, dir_fd, n);

	if (!r)
		give(w, dir_fd, n);
	return r;
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
	return *(const size_t *)a > *(const size_t *)b ? -1 : 1; /* they came by path, and so they are listed */
}

static int open_directory(int root_fd, const char *path, int *ret, struct hps_error *err)
{
	struct open_how how = { .flags = O_DIRECTORY | O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

	*ret = (int)syscall(SYS_openat2, root_fd, path[1] ? path + 1 : ".", &how, sizeof how);
	return *ret < 0 ? hps_error_errno(err, "opening '%s' in the view", path) : 0;
}

/* Parents come before their children: whoever makes this directory has taken it, and waits for nobody who waits for us. */
static bool wait_for(struct build *b, size_t node)
{
	bool made;

	pthread_mutex_lock(&b->lock);
	while (!b->made[node] && b->open)
		pthread_cond_wait(&b->made_one, &b->lock);
	made = b->made[node];
	pthread_mutex_unlock(&b->lock);
	return made;
}

static void tell(struct build *b, const struct unit *u)
{
	pthread_mutex_lock(&b->lock);
	for (size_t i = u->first; i < u->first + u->n; i++)
		b->made[b->order[i]] = true;
	pthread_cond_broadcast(&b->made_one);
	pthread_mutex_unlock(&b->lock);
}

static int make_unit(struct builder *w, const struct unit *u)
{
	struct build *b = w->b;
	const struct hps_plan_node *nodes = b->plan->nodes;
	size_t parent = nodes[b->order[u->first]].parent;
	_cleanup_fd_ int dir = -1;
	int r = 0;

	if (wait_for(b, parent) && b->open)
		r = open_directory(b->layout->tree_fd, nodes[parent].path, &dir, &w->err);
	for (size_t i = u->first; i < u->first + u->n && !r; i++)
		r = make_node(w, dir, &nodes[b->order[i]]);
	tell(b, u);
	return r;
}

static void *work(void *arg)
{
	struct builder *w = arg;
	struct build *b = w->b;

	for (size_t i; !w->err.code && (i = atomic_fetch_add(&b->next, 1)) < b->n_units;)
		(void)!make_unit(w, &b->units[i]);
	if (!w->err.code)
		return NULL;
	pthread_mutex_lock(&b->lock);
	b->open = false;
	pthread_cond_broadcast(&b->made_one);
	pthread_mutex_unlock(&b->lock);
	atomic_store(&b->next, b->n_units);
	return NULL;
}

static void take_holes(struct hps_holes *from, struct hps_holes *to)
{
	for (size_t i = 0; i < from->n; i++)
		hps_hole_add(to, from->v[i].what, from->v[i].why);
	hps_holes_release(from);
}

static void take_share(struct build *b, struct builder *w)
{
	struct hps_view *to = b->view;

	to->n_files += w->view.n_files;
	to->n_store += w->view.n_store;
	to->n_system += w->view.n_system;
	to->n_ghosts += w->view.n_ghosts;
	to->n_blank += w->view.n_blank;
	to->bytes += w->view.bytes;
	take_holes(&w->view.problems, &to->problems);
	take_holes(&w->view.holes, &to->holes);
	for (size_t i = 0; i < w->view.n_sources; i++) {
		to->sources = hps_grow(to->sources, to->n_sources, sizeof *to->sources);
		to->sources[to->n_sources++] = w->view.sources[i];
	}
	free(w->view.sources);
	if (w->err.code && !b->err.code)
		b->err = w->err;
	else
		hps_error_release(&w->err);
}

static size_t n_threads(const struct build *b)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	n = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
	return b->n_units < 4 || b->plan->n < 200 ? 1 : (size_t)n;
}

static int by_what(const void *a, const void *b)
{
	return strcmp(((const struct hps_hole *)a)->what, ((const struct hps_hole *)b)->what);
}

/* Ours is a share like any other, and shows the progress: with one thread, as with many. */
static void make_all(struct build *b)
{
	struct builder w[THREADS_MAX] = { { .b = b } };
	pthread_t threads[THREADS_MAX];
	size_t n = n_threads(b), started = 1;

	for (; started < n; started++) {
		w[started].b = b;
		if (pthread_create(&threads[started], NULL, work, &w[started]))
			break;
	}
	for (size_t i; !w->err.code && (i = atomic_fetch_add(&b->next, 1)) < b->n_units;) {
		(void)!make_unit(w, &b->units[i]);
		if (b->progress)
			hps_progress_update(b->progress, b->n_done);
	}
	(void)work(w);
	for (size_t i = 1; i < started; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < started; i++)
		take_share(b, &w[i]);
	if (b->view->problems.n)
		qsort(b->view->problems.v, b->view->problems.n, sizeof *b->view->problems.v, by_what);
}

static void fit_sources(struct build *b)
{
	for (size_t i = 0; i < b->view->n_sources; i++) {
		const struct hps_view_source *v = &b->view->sources[i];
		const char *path = b->plan->nodes[v->node].path + 1;
		struct stat s;

		if (fstatat(b->layout->tree_fd, path, &s, AT_SYMLINK_NOFOLLOW) || !S_ISREG(s.st_mode) ||
		    ((uint32_t)s.st_mtim.tv_sec == v->mtime && (uint32_t)s.st_size == v->size))
			continue;
		hps_layout_fit(b->layout, path, v->size);
		hps_set_mtime(b->layout->tree_fd, path, (int64_t)v->mtime * 1000000000);
	}
}

/* Last, from below: making a name changes its directory. */
static void finish_directories(struct build *b)
{
	for (size_t i = b->plan->n - 1; i-- > 0;) {
		const struct hps_plan_node *node = &b->plan->nodes[b->order[i]];
		bool directory = node->kind == HPS_PLAN_DIRECTORY || (node->kind == HPS_PLAN_GHOST && S_ISDIR(node->known));
		_cleanup_fd_ int fd = -1;

		if (!directory)
			continue;
		if (node->mode & S_ISGID && !open_directory(b->layout->tree_fd, node->path, &fd, NULL))
			(void)!fchmod(fd, node->mode & 03777); /* what the trial makes in it inherits that */
		hps_set_mtime(b->layout->tree_fd, node->path + 1, node->mtime_ns);
	}
}

static void make_units(struct build *b)
{
	const struct hps_plan *p = b->plan;

	b->order = hps_alloc(p->n * sizeof *b->order);
	b->made = hps_alloc(p->n * sizeof *b->made);
	b->made[0] = true;
	for (size_t i = 1; i < p->n; i++)
		b->order[i - 1] = i;
	qsort_r(b->order, p->n - 1, sizeof *b->order, by_making, (void *)(uintptr_t)p);
	for (size_t i = 0; i + 1 < p->n; i++) {
		if (i == 0 || p->nodes[b->order[i]].parent != p->nodes[b->order[i - 1]].parent) {
			b->units = hps_grow(b->units, b->n_units, sizeof *b->units);
			b->units[b->n_units++] = (struct unit){ .first = i };
		}
		b->units[b->n_units - 1].n++;
	}
}

int hps_view_tree(const struct hps_plan *p, struct hps_layout *layout, struct hps_progress *progress, struct hps_view *ret, struct hps_error *err)
{
	struct build b = { .plan = p, .layout = layout, .progress = progress, .view = ret, .open = layout->tree_fd >= 0 && !p->problems.n };
	mode_t mask = umask(0);

	pthread_mutex_init(&b.lock, NULL);
	pthread_cond_init(&b.made_one, NULL);
	make_units(&b);
	for (size_t i = 0; i < p->problems.n; i++)
		hps_hole_add(&ret->problems, p->problems.v[i].what, p->problems.v[i].why);
	make_all(&b);
	if (!b.err.code && b.open) {
		fit_sources(&b);
		finish_directories(&b);
	}
	umask(mask);
	free(b.order);
	free(b.units);
	free(b.made);
	pthread_cond_destroy(&b.made_one);
	pthread_mutex_destroy(&b.lock);
	if (!b.err.code)
		return 0;
	if (err)
		*err = b.err;
	return b.err.code;
}

void hps_view_release(struct hps_view *v)
{
	hps_holes_release(&v->problems);
	hps_holes_release(&v->holes);
	free(v->sources);
	*v = (struct hps_view){ 0 };
}
