/* How names in the view get their contents. Best: one overlay whose metadata is a tmpfs and whose data are looked up, at the first
 * open, in the content store and in /usr (overlayfs: "data-only" lower layers; without privilege since Linux 6.16); stored contents
 * of at most a page are copied into that tmpfs. Where the kernel does not do that, a mount for each file of the system and a copy of
 * each stored one; or copies of all. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NOWHERE "/-" /* in no data layer: opening it fails, looking at it does not */
#define N_SMALL_MAX 16384 /* at most 64 MiB of memory for them */

static const char *const kinds[] = { [HPS_VIEW_BEST] = "best", [HPS_VIEW_OVERLAY] = "overlay", [HPS_VIEW_MOUNTS] = "mounts", [HPS_VIEW_COPY] = "copy" };

const char *hps_view_kind_name(enum hps_view_kind kind)
{
	return kinds[kind];
}

int hps_view_kind_parse(const char *name, enum hps_view_kind *ret)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(name, kinds[i])) {
			*ret = (enum hps_view_kind)i;
			return 0;
		}
	return -EINVAL;
}

static int cannot_make(struct hps_error *err, const struct hps_plan_node *n)
{
	return hps_error_errno(err, "making '%s' in the view", n->path);
}

static mode_t mode_of(const struct hps_plan_node *n)
{
	return (n->mode ? n->mode : 0644) & 01777; /* setuid and setgid mean nothing inside and need nobody's trust */
}

/* The umask is 0. */
static int create(int dir_fd, const struct hps_plan_node *n, mode_t mode)
{
	int fd = openat(dir_fd, hps_plan_base(n), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode & 0777);

	if (fd >= 0 && mode & ~(mode_t)0777 && fchmod(fd, mode)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- copies ---- */

static int copy_content(int dir_fd, const struct hps_plan_node *n, const struct hps_source *s, struct hps_view *v, struct hps_error *err)
{
	_cleanup_fd_ int fd = create(dir_fd, n, mode_of(n));
	int r;

	if (fd < 0)
		return cannot_make(err, n);
	r = hps_write_all(fd, s->content.data, s->content.len);
	if (r)
		return hps_error_set(err, r, "copying '%s' into the view: %s", n->path, strerror(-r));
	hps_set_mtime(fd, "", n->mtime_ns);
	v->bytes += s->content.len;
	return 0;
}

/* What is not in memory is copied by block, and hashed again as it is. */
static int copy_descriptor(int dir_fd, const struct hps_plan_node *n, int from, struct hps_view *v, struct hps_error *err)
{
	_cleanup_free_ char *block = hps_alloc(1 << 20);
	_cleanup_fd_ int fd = create(dir_fd, n, mode_of(n));
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
	if (r)
		return hps_error_set(err, r, "copying '%s' into the view: %s", n->path, strerror(-r));
	r = hps_digest_fd(fd, &digest, NULL, err);
	if (!r && !hps_digest_equal(&digest, &n->digest))
		r = hps_error_set(err, HPS_E_UNDECIDED, "copying '%s' into the view: it changed meanwhile", n->path);
	hps_set_mtime(fd, "", n->mtime_ns);
	v->bytes += (uint64_t)at;
	return r;
}

static int copy(int dir_fd, const struct hps_plan_node *n, const struct hps_source *s, struct hps_view *v, struct hps_error *err)
{
	return s->fd < 0 ? copy_content(dir_fd, n, s, v, err) : copy_descriptor(dir_fd, n, s->fd, v, err);
}

/* ---- mounts ---- */

static void name_infidelity(const struct hps_plan_node *n, const struct hps_source *s, struct hps_view *v)
{
	if (!s->faithful)
		hps_hole_add(&v->holes, n->path, "too large to copy: its mode or time of modification is not the recorded one");
}

static int mount_file(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, const struct hps_source *s, struct hps_view *v,
		      struct hps_error *err)
{
	_cleanup_error_ struct hps_error why = HPS_ERROR_INIT;
	int fd = create(dir_fd, n, 0600);

	if (fd < 0)
		return cannot_make(err, n);
	close(fd);
	if (!hps_mount_file(s->fd, dir_fd, hps_plan_base(n), &why)) {
		name_infidelity(n, s, v);
		return 0;
	}
	l->kind = HPS_VIEW_COPY; /* this machine lets nobody mount files */
	return unlinkat(dir_fd, hps_plan_base(n), 0) ? cannot_make(err, n) : copy(dir_fd, n, s, v, err);
}

/* ---- layers ---- */

/* Makes a name whose content overlayfs is to look for at `data`. -EOPNOTSUPP and kin: it cannot be told so here. */
static int make_layered(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, mode_t mode, off_t size, int64_t mtime_ns, const char *data,
			struct hps_error *err)
{
	_cleanup_fd_ int fd = create(dir_fd, n, mode);

	if (fd < 0)
		return cannot_make(err, n);
	if ((size && ftruncate(fd, size)) || fsetxattr(fd, "user.overlay.metacopy", "", 0, 0) || fsetxattr(fd, "user.overlay.redirect", data, strlen(data), 0)) {
		l->refused = true;
		return cannot_make(err, n);
	}
	hps_set_mtime(fd, "", mtime_ns);
	return 0;
}

/* Where the layers have this source's content; false: nowhere, or somewhere where another would be found first. */
static bool layer_name(const struct hps_layout *l, const struct hps_plan_node *n, const struct hps_source *s, struct hps_buf *ret)
{
	char hex[HPS_DIGEST_HEX];

	if (s->fd < 0)
		return false;
	if (s->kind == HPS_SOURCE_STORE) {
		for (size_t i = 0; i < s->store; i++)
			if (hps_objects_has(l->sources->stores[i].objects, &n->digest))
				return false;
		hps_digest_hex(&n->digest, hex);
		hps_buf_addf(ret, "/%.2s/%s", hex, hex + 2);
		return true;
	}
	if (s->kind != HPS_SOURCE_SYSTEM || l->usr_fd < 0 || s->dev != l->usr_dev || strncmp(n->path, "/usr/", 5) != 0)
		return false;
	hps_buf_adds(ret, n->path + 4);
	return true;
}

/* Mounted when the layers are: until then nothing is at its place but a name. */
static int put_off(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, struct hps_source *s, struct hps_view *v, struct hps_error *err)
{
	_cleanup_fd_ int fd = create(dir_fd, n, 0600);

	if (fd < 0)
		return cannot_make(err, n);
	name_infidelity(n, s, v);
	pthread_mutex_lock(&l->lock);
	l->late = hps_grow(l->late, l->n_late, sizeof *l->late);
	l->late[l->n_late++] = (struct hps_late){ n->path, hps_take_fd(&s->fd) };
	pthread_mutex_unlock(&l->lock);
	return 0;
}

/* What is stored and small: it needs neither the two attributes nor, when the trial opens it, a look into the layers. */
bool hps_layout_wants_whole(struct hps_layout *l, const struct hps_plan_node *n)
{
	return l->kind != HPS_VIEW_OVERLAY || (l->tree_fd >= 0 && n->stored && n->size > 0 && n->size <= HPS_SMALL_MAX && atomic_fetch_add(&l->n_small, 1) < N_SMALL_MAX);
}

static int layer_file(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, struct hps_source *s, struct hps_view *v, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf data = HPS_BUF_INIT;

	if (layer_name(l, n, s, &data)) {
		if (s->size > 0 && s->size <= 1 << 20)
			l->layered = n;
		if (s->kind == HPS_SOURCE_SYSTEM) {
			v->shown = hps_grow(v->shown, v->n_shown, sizeof *v->shown);
			v->shown[v->n_shown++] = n;
		}
		return make_layered(l, dir_fd, n, mode_of(n), s->size, n->mtime_ns, data.data, err);
	}
	if (s->fd >= 0 && s->size > HPS_COPY_MAX && !n->writable)
		return put_off(l, dir_fd, n, s, v, err);
	return copy(dir_fd, n, s, v, err);
}

/* ---- the two kinds of name ---- */

static int make_file(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, struct hps_source *s, struct hps_view *v, struct hps_error *err)
{
	if (l->kind == HPS_VIEW_OVERLAY)
		return layer_file(l, dir_fd, n, s, v, err);
	if (s->fd < 0 || n->writable || n->group || l->kind == HPS_VIEW_COPY)
		return copy(dir_fd, n, s, v, err);
	return mount_file(l, dir_fd, n, s, v, err);
}

/* One of several names of a file: whichever is made first is the file, the others are links to it. */
static int make_name(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, struct hps_source *s, struct hps_view *v, struct hps_error *err)
{
	const char **first = &l->groups[n->group];
	int r = 0;

	pthread_mutex_lock(&l->linking);
	if (!*first)
		r = make_file(l, dir_fd, n, s, v, err);
	else if (linkat(l->tree_fd, *first + 1, dir_fd, hps_plan_base(n), 0))
		r = cannot_make(err, n);
	if (!*first)
		*first = n->path;
	pthread_mutex_unlock(&l->linking);
	return r;
}

int hps_layout_file(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, struct hps_source *s, struct hps_view *v, struct hps_error *err)
{
	bool alone = !n->group || (l->kind == HPS_VIEW_OVERLAY && s->size > HPS_COPY_MAX && s->kind == HPS_SOURCE_SYSTEM && strncmp(n->path, "/usr/", 5) != 0);

	if (n->group && alone)
		hps_hole_add(&v->holes, n->path, "too large to copy: its other names are other files in the rerun");
	return alone ? make_file(l, dir_fd, n, s, v, err) : make_name(l, dir_fd, n, s, v, err);
}

/* Without layers it opens and holds nothing: the rerun's record says that it was opened. */
int hps_layout_ghost(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, const struct stat *s, struct hps_error *err)
{
	int64_t mtime_ns = (int64_t)s->st_mtim.tv_sec * 1000000000 + s->st_mtim.tv_nsec;
	_cleanup_fd_ int fd = -1;

	if (l->kind == HPS_VIEW_OVERLAY && S_ISREG(s->st_mode))
		return make_layered(l, dir_fd, n, s->st_mode & 01777, s->st_size, mtime_ns, NOWHERE, err);
	fd = create(dir_fd, n, S_ISREG(s->st_mode) ? s->st_mode & (n->attributes ? 01777 : 0111) : 0);
	if (fd < 0)
		return cannot_make(err, n);
	if (S_ISREG(s->st_mode) && !ftruncate(fd, s->st_size))
		hps_set_mtime(fd, "", mtime_ns);
	return 0;
}

void hps_layout_fit(struct hps_layout *l, const char *path, off_t size)
{
	_cleanup_fd_ int fd = openat(l->tree_fd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0)
		(void)!ftruncate(fd, size);
}

/* ---- mounting them ---- */

static int open_layout(struct hps_layout *l, const char *place, struct hps_error *err)
{
	static const char *const options[] = { "mode", "0755", NULL };
	static const char *const parts[] = { "meta", "upper", "work" };
	_cleanup_fd_ int top = -1;
	struct stat s;
	int r = hps_mount_new("tmpfs", options, false, AT_FDCWD, place, err);

	r = r ? r : hps_dir_open(AT_FDCWD, place, &top, err);
	if (r || l->kind != HPS_VIEW_OVERLAY) {
		l->tree_fd = hps_take_fd(&top);
		return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (mkdirat(top, parts[i], 0700) || fchmodat(top, parts[i], 0755, 0))
			return hps_error_errno(err, "making the layers of the view");
	l->usr_fd = open("/usr", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	l->usr_dev = l->usr_fd >= 0 && !fstat(l->usr_fd, &s) ? s.st_dev : 0;
	return hps_dir_open(top, "meta", &l->tree_fd, err);
}

/* Layers must not lie in one another: a store below /usr has that for its own. */
static bool lies_below_usr(const struct hps_sources *s)
{
	for (size_t i = 0; i < s->n_stores; i++) {
		_cleanup_free_ char *real = realpath(s->stores[i].path, NULL);

		if (real && !strncmp(real, "/usr/", 5))
			return true;
	}
	return false;
}

static int mount_layers(struct hps_layout *l, const char *place, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf lower = HPS_BUF_INIT;
	_cleanup_free_ char *upper = hps_format("%s/upper", place), *work = hps_format("%s/work", place);
	int stores[HPS_STORES_MAX], r;

	hps_buf_addf(&lower, "/proc/self/fd/%d", l->tree_fd);
	for (size_t i = 0; i < l->sources->n_stores; i++)
		hps_buf_addf(&lower, "::/proc/self/fd/%d", stores[i] = open(l->sources->stores[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (l->usr_fd >= 0)
		hps_buf_addf(&lower, "::/proc/self/fd/%d", l->usr_fd);
	r = hps_mount_new("overlay", (const char *const[]){ "lowerdir", lower.data, "upperdir", upper, "workdir", work, "userxattr", "", NULL }, false,
			  AT_FDCWD, place, err);
	for (size_t i = 0; i < l->sources->n_stores; i++)
		hps_cleanup_fd(&stores[i]);
	return r;
}

/* A kernel may mount it and then not follow: what is there must be what the plan says. */
static int probe(const struct hps_plan_node *layered, int root_fd, struct hps_error *err)
{
	_cleanup_fd_ int fd = layered ? openat(root_fd, layered->path + 1, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct hps_digest d;

	if (layered && (fd < 0 || hps_digest_fd(fd, &d, NULL, NULL) || !hps_digest_equal(&d, &layered->digest)))
		return hps_error_set(err, HPS_E_UNDECIDED, "the layers of the view: this kernel does not follow them");
	return 0;
}

static int mount_late(struct hps_layout *l, int root_fd, struct hps_error *err)
{
	int r = 0;

	for (size_t i = 0; i < l->n_late && !r; i++)
		r = hps_mount_file(l->late[i].fd, root_fd, l->late[i].path + 1, err);
	return r;
}

static int finish(struct hps_layout *l, const char *place, int *ret_root, struct hps_error *err)
{
	int r;

	if (l->kind != HPS_VIEW_OVERLAY) {
		*ret_root = hps_take_fd(&l->tree_fd);
		return 0;
	}
	r = mount_layers(l, place, err);
	r = r ? r : hps_dir_open(AT_FDCWD, place, ret_root, err);
	r = r ? r : probe(l->layered, *ret_root, err);
	return r ? r : mount_late(l, *ret_root, err);
}

static void layout_release(struct hps_layout *l)
{
	for (size_t i = 0; i < l->n_late; i++)
		close(l->late[i].fd);
	free(l->late);
	free(l->groups);
	hps_cleanup_fd(&l->tree_fd);
	hps_cleanup_fd(&l->usr_fd);
	pthread_mutex_destroy(&l->lock);
	pthread_mutex_destroy(&l->linking);
}

static int build(const struct hps_plan *p, struct hps_sources *sources, enum hps_view_kind kind, const char *place, struct hps_progress *progress,
		 struct hps_view *ret, int *ret_root, struct hps_error *err)
{
	struct hps_layout l = { .kind = kind, .sources = sources, .tree_fd = -1, .usr_fd = -1 };
	int r;

	pthread_mutex_init(&l.lock, NULL);
	pthread_mutex_init(&l.linking, NULL);
	l.groups = hps_alloc((p->n_groups + 1) * sizeof *l.groups);
	r = place ? open_layout(&l, place, err) : 0;
	if (lies_below_usr(sources)) {
		hps_cleanup_fd(&l.usr_fd);
		l.usr_fd = -1;
	}
	r = r ? r : hps_view_tree(p, &l, progress, ret, err);
	if (!r && place && !ret->problems.n)
		r = finish(&l, place, ret_root, err);
	ret->kind = l.kind;
	layout_release(&l);
	return r;
}

/* Without privilege a directory that was there before cannot be renamed on an overlay (EXDEV), and a file with several names comes
 * apart when it is changed. */
static const char *unfit_for_layers(const struct hps_plan *p)
{
	return p->moves_directories ? "the trial renames a directory that was there before it"
	       : p->changes_links	? "the trial changes a file that has several names"
					: NULL;
}

int hps_view_build(const struct hps_plan *p, struct hps_sources *sources, enum hps_view_kind kind, const char *place, struct hps_progress *progress,
		   struct hps_view *ret, int *ret_root, struct hps_error *err)
{
	_cleanup_error_ struct hps_error why = HPS_ERROR_INIT;
	const char *unfit = unfit_for_layers(p);
	int r;

	*ret_root = -1;
	if (kind != HPS_VIEW_BEST || !place)
		return build(p, sources, place ? kind : HPS_VIEW_OVERLAY, place, progress, ret, ret_root, err);
	if (!unfit && !build(p, sources, HPS_VIEW_OVERLAY, place, progress, ret, ret_root, &why))
		return 0;
	hps_view_release(ret);
	hps_cleanup_fd(ret_root);
	*ret_root = -1;
	if (!unfit)
		while (!umount2(place, MNT_DETACH | UMOUNT_NOFOLLOW))
			;
	r = build(p, sources, HPS_VIEW_MOUNTS, place, progress, ret, ret_root, err);
	ret->why = hps_strdup(unfit ? unfit : why.message);
	return r;
}
