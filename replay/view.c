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
	size_t parent, depth, first, n;
	size_t largest; /* names of one directory, here or below */
};
struct build {
	const struct hps_plan *plan;
	struct hps_layout *layout;
	struct hps_progress *progress;
	struct hps_view *view;
	size_t *order; /* numbers of the nodes but the root, unit by unit */
	size_t *n_names; /* by node: that it holds */
	struct unit *units;
	size_t n_units;
	atomic_size_t next;  /* unit that nobody has taken yet */
	atomic_uint n_done;  /* files */
	_Atomic bool open;   /* still building; false once a content is missing */
	_Atomic bool owners; /* somebody's file could not be given to him */
	uid_t uid; /* ours */
	gid_t gid;
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
	int r = hps_source_open(b->layout->sources, n, hps_layout_wants_whole(b->layout, n), &s, &why);

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
	ssize_t len = n->target ? 0 : readlink(n->path, target, sizeof target - 1);

	if (!n->target && len <= 0)
		return false;
	target[len] = '\0';
	if (symlinkat(n->target ? n->target : target, dir_fd, hps_plan_base(n)))
		return false;
	hps_set_mtime(dir_fd, hps_plan_base(n), n->mtime_ns);
	return true;
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

	if (!w->b->open || !a || (a->uid == w->b->uid && a->gid == w->b->gid) ||
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

/* ---- the tree ---- */

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

static bool is_directory(const struct hps_plan_node *n)
{
	return n->kind == HPS_PLAN_DIRECTORY || (n->kind == HPS_PLAN_GHOST && S_ISDIR(n->known));
}

/* When it holds all that it will: making a name in it changes its time. */
static void finish_directory(int fd, const struct hps_plan_node *n)
{
	if (n->mode & S_ISGID)
		(void)!fchmod(fd, n->mode & 03777); /* what the trial makes in it inherits that */
	hps_set_mtime(fd, "", n->mtime_ns);
}

static void finish_empty(int dir_fd, const struct hps_plan_node *n)
{
	if (n->mode & S_ISGID && is_directory(n))
		(void)!fchmodat(dir_fd, hps_plan_base(n), n->mode & 03777, 0);
	if (is_directory(n))
		hps_set_mtime(dir_fd, hps_plan_base(n), n->mtime_ns);
}

static int make_node(struct builder *w, int dir_fd, const struct hps_plan_node *n)
{
	int r = make_kind(w, dir_fd, n);

	if (r)
		return r;
	give(w, dir_fd, n);
	if (w->b->open && !w->b->n_names[n - w->b->plan->nodes])
		finish_empty(dir_fd, n);
	return 0;
}

static int make_unit(struct builder *w, const struct unit *u)
{
	struct build *b = w->b;
	const struct hps_plan_node *nodes = b->plan->nodes;
	_cleanup_fd_ int dir = -1;
	int r = 0;

	if (wait_for(b, u->parent) && b->open)
		r = open_directory(b->layout->tree_fd, nodes[u->parent].path, &dir, &w->err);
	for (size_t i = u->first; i < u->first + u->n && !r; i++)
		r = make_node(w, dir, &nodes[b->order[i]]);
	if (!r && dir >= 0 && is_directory(&nodes[u->parent]))
		finish_directory(dir, &nodes[u->parent]);
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
	for (size_t i = 0; i < w->view.n_shown; i++) {
		to->shown = hps_grow(to->shown, to->n_shown, sizeof *to->shown);
		to->shown[to->n_shown++] = w->view.shown[i];
	}
	free(w->view.shown);
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

/* Those that were not listed, then the listed, last first. */
static int by_making(const void *a, const void *b, void *arg)
{
	const struct hps_plan_node *nodes = arg, *x = &nodes[*(const size_t *)a], *y = &nodes[*(const size_t *)b];

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return x > y ? -1 : 1; /* they came by path, and so they are listed */
}

/* The way to the largest directory first, so that it is not left for the end; parents before their children. */
static int by_turn(const void *a, const void *b)
{
	const struct unit *x = a, *y = b;

	if (x->largest != y->largest)
		return x->largest > y->largest ? -1 : 1;
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return x->parent < y->parent ? -1 : 1;
}

static void make_units(struct build *b)
{
	const struct hps_plan *p = b->plan;
	_cleanup_free_ size_t *depth = hps_alloc(p->n * sizeof *depth), *next = hps_alloc(p->n * sizeof *next);
	_cleanup_free_ size_t *largest = hps_alloc(p->n * sizeof *largest);
	_cleanup_free_ bool *listed = hps_alloc(p->n * sizeof *listed);
	size_t first = 0;

	b->order = hps_alloc(p->n * sizeof *b->order);
	b->n_names = hps_alloc(p->n * sizeof *b->n_names);
	b->made = hps_alloc(p->n * sizeof *b->made);
	b->units = hps_alloc(p->n * sizeof *b->units);
	b->made[0] = true;
	for (size_t i = 1; i < p->n; i++) {
		const struct hps_plan_node *n = &p->nodes[i];

		depth[i] = depth[n->parent] + 1;
		listed[n->parent] |= n->rank != SIZE_MAX;
		b->n_names[n->parent]++;
	}
	for (size_t i = p->n; i-- > 0;) {
		size_t *above = &largest[p->nodes[i].parent];

		largest[i] = largest[i] > b->n_names[i] ? largest[i] : b->n_names[i];
		*above = *above > largest[i] ? *above : largest[i];
	}
	for (size_t i = 0; i < p->n; i++)
		if (b->n_names[i])
			b->units[b->n_units++] = (struct unit){ .parent = i, .depth = depth[i], .n = b->n_names[i], .largest = largest[i] };
	qsort(b->units, b->n_units, sizeof *b->units, by_turn);
	for (struct unit *u = b->units; u < b->units + b->n_units; first += u->n, u++)
		next[u->parent] = u->first = first;
	for (size_t i = p->n; i-- > 1;) /* what is not listed is in this order already */
		b->order[next[p->nodes[i].parent]++] = i;
	for (const struct unit *u = b->units; u < b->units + b->n_units; u++)
		if (listed[u->parent])
			qsort_r(b->order + u->first, u->n, sizeof *b->order, by_making, p->nodes);
}

int hps_view_tree(const struct hps_plan *p, struct hps_layout *layout, struct hps_progress *progress, struct hps_view *ret, struct hps_error *err)
{
	struct build b = { .plan = p, .layout = layout, .progress = progress, .view = ret, .uid = geteuid(), .gid = getegid(), .open = layout->tree_fd >= 0 && !p->problems.n };
	mode_t mask = umask(0);

	pthread_mutex_init(&b.lock, NULL);
	pthread_cond_init(&b.made_one, NULL);
	make_units(&b);
	for (size_t i = 0; i < p->problems.n; i++)
		hps_hole_add(&ret->problems, p->problems.v[i].what, p->problems.v[i].why);
	make_all(&b);
	if (!b.err.code && b.open)
		fit_sources(&b);
	umask(mask);
	free(b.order);
	free(b.n_names);
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

int hps_view_write_shown(const struct hps_view *v, const char *file, struct hps_error *err)
{
	_cleanup_fd_ int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	hps_buf_addf(&text, "%lld", (long long)hps_time_now_ns());
	hps_buf_addc(&text, '\0');
	for (size_t i = 0; i < v->n_shown; i++) {
		char hex[HPS_DIGEST_HEX];

		hps_digest_hex(&v->shown[i]->digest, hex);
		hps_buf_adds(&text, hex);
		hps_buf_addc(&text, ' ');
		hps_buf_add(&text, v->shown[i]->path, strlen(v->shown[i]->path) + 1);
	}
	return fd >= 0 && !hps_write_all(fd, text.data, text.len) ? 0 : hps_error_errno(err, "writing '%s'", file);
}

void hps_view_release(struct hps_view *v)
{
	hps_holes_release(&v->problems);
	hps_holes_release(&v->holes);
	free(v->sources);
	free(v->shown);
	*v = (struct hps_view){ 0 };
}
