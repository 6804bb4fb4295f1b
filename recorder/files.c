/* Every path that the trial touched: what was there before it did (materials), what it changed (products), what it did not
 * find (misses). Paths are real paths; one entry is both material and product when the trial changed an input. */
#include "recorder/recorder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "recorder/identity.h"

#define LISTING_MAX (8u << 20)
#define MISSES_MAX 200000u
#define HELD_MAX 1000u

struct hps_file *hps_files_get(struct hps_files *f, const char *path)
{
	void **slot = hps_map_slot(&f->by_path, path);

	if (!*slot) {
		struct hps_file *file = hps_arena_take(&f->arena, sizeof *file);

		*slot = file;
		file->held = -1;
		file->path = f->by_path.items[f->by_path.n - 1].key;
	}
	return *slot;
}

/* Most names are real paths: those need no second entry. */
struct hps_file *hps_files_named(const struct hps_files *f, const char *name)
{
	struct hps_file *file = hps_map_get(&f->by_path, name);

	return file && file->named == f->names + 1 ? file : hps_map_get(&f->by_name, name);
}

void hps_files_name(struct hps_files *f, const char *name, struct hps_file *file)
{
	struct hps_file *real = hps_map_get(&f->by_path, name);

	if (real)
		real->named = real == file ? f->names + 1 : 0;
	if (!real || real != file)
		*hps_map_slot(&f->by_name, name) = file;
}

/* ---- what was last opened ---- */

bool hps_file_is_now(const struct hps_file *file, const struct hps_identity *id)
{
	const struct hps_identity *now = file->now_is_first ? &file->first->id : file->now; /* `first` is not replaced while it counts */

	return now && hps_identity_equal(now, id);
}

void hps_file_forget_now(struct hps_file *file)
{
	file->now_is_first = false;
	free(hps_take(file->now));
}

static void set_now(struct hps_file *file, const struct hps_identity *id)
{
	if (hps_file_is_now(file, id))
		return;
	file->now_is_first = false;
	if (!file->now)
		file->now = hps_alloc(sizeof *file->now);
	*file->now = *id;
}

/* The content's own identity says it as well, for most. */
static void shorten_now(struct hps_file *file)
{
	if (!file->now || !file->first || !hps_identity_equal(file->now, &file->first->id))
		return;
	hps_file_forget_now(file);
	file->now_is_first = true;
}

/* Where nothing but packages put files: what is there can be had again from the package. */
bool hps_path_unpackaged(const char *path)
{
	static const char *const system_dirs[] = { "/usr/", "/lib", "/bin/", "/sbin/", "/etc/ld.so.", "/etc/ssl/", "/var/lib/dpkg/" };

	if (!strncmp(path, "/usr/local/", 11))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs); i++)
		if (!strncmp(path, system_dirs[i], strlen(system_dirs[i])))
			return false;
	return true;
}

static int64_t mtime_ns(const struct stat *s)
{
	return s->st_mtim.tv_sec * 1000000000ll + s->st_mtim.tv_nsec;
}

/* What looking at a name says, but for times that the next look changes: type and mode, links, owner, size, blocks, inode, device,
 * mtime; and where a symlink leads. */
static void add_attributes(struct hps_buf *b, const struct stat *s, const char *target)
{
	hps_buf_addf(b, "%o %llu %u %u %lld %lld %llu %llu %lld%s%s", s->st_mode, (unsigned long long)s->st_nlink, s->st_uid, s->st_gid, (long long)s->st_size,
		     (long long)s->st_blocks, (unsigned long long)s->st_ino, (unsigned long long)s->st_dev, (long long)mtime_ns(s), *target ? " " : "", target);
	hps_buf_addc(b, '\0');
}

static void look_at(struct hps_buf *b, int dir_fd, const char *name)
{
	char target[HPS_PATH_CAP] = "";
	struct stat s;
	ssize_t n;

	if (fstatat(dir_fd, name, &s, AT_SYMLINK_NOFOLLOW))
		memset(&s, 0, sizeof s);
	else if (S_ISLNK(s.st_mode) && (n = readlinkat(dir_fd, name, target, sizeof target - 1)) >= 0)
		target[n] = '\0';
	add_attributes(b, &s, target);
}

static void first_seen(struct hps_file *file, const struct stat *s)
{
	struct hps_buf own;

	if (file->mode)
		return;
	file->mode = s->st_mode;
	file->mtime_ns = mtime_ns(s);
	file->size = s->st_size;
	if (!S_ISDIR(s->st_mode) || !hps_path_unpackaged(file->path))
		return;
	hps_buf_init(&own, HPS_PATH_CAP);
	add_attributes(&own, s, "");
	file->attributes_len = own.len;
	file->attributes = hps_buf_take(&own);
}

char *hps_files_origin(const struct hps_files *f, const char *now)
{
	char *path = hps_strdup(now);

	for (size_t i = f->moved.n; i >= 2; i -= 2) {
		const char *from = f->moved.v[i - 2], *to = f->moved.v[i - 1];
		size_t n = strlen(to);

		if (!strncmp(path, to, n) && path[n] == '/') {
			char *before = hps_format("%s%s", from, path + n);

			free(path);
			path = before;
		}
	}
	return path;
}

static struct hps_file *origin_of(struct hps_files *f, struct hps_file *file)
{
	_cleanup_free_ char *path = f->moved.n ? hps_files_origin(f, file->path) : NULL;

	return path && strcmp(path, file->path) != 0 ? hps_files_get(f, path) : file;
}

bool hps_files_made(const struct hps_files *f, const char *path)
{
	const struct hps_file *file = hps_map_get(&f->by_path, path), *before;
	_cleanup_free_ char *origin = NULL;

	if (!file || !file->product || file->existed)
		return false;
	origin = hps_files_origin(f, path);
	before = strcmp(origin, path) != 0 ? hps_map_get(&f->by_path, origin) : NULL;
	return !before || !(before->existed || before->uses);
}

/* Did the trial itself bring this name into the directory? */
static bool is_new_name(struct hps_files *f, const char *directory, const char *name)
{
	_cleanup_free_ char *path = hps_format("%s/%s", directory[1] ? directory : "", name);

	return hps_files_made(f, path);
}

/* The names in the order the directory gives them, from a description of our own; without those that the trial made, which may be
 * gone again when it ends. here: where the directory is by now, file: what it was. */
static void list(struct hps_files *f, struct hps_file *file, const char *here, int fd)
{
	_cleanup_fd_ int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	bool looks = hps_path_unpackaged(here);
	struct hps_buf names, attributes;
	char block[32768];
	long n;

	if (own < 0)
		return;
	hps_buf_init(&names, LISTING_MAX);
	hps_buf_init(&attributes, LISTING_MAX);
	if (looks) /* it moves with the trial's own names: what was first seen of it stands */
		hps_buf_add(&attributes, file->attributes ? file->attributes : "", file->attributes ? file->attributes_len : 1);
	while ((n = syscall(SYS_getdents64, own, block, sizeof block)) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(block + at);

			at += d->d_reclen;
			if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, "..") || is_new_name(f, here, d->d_name))
				continue;
			hps_buf_add(&names, d->d_name, strlen(d->d_name) + 1);
			if (looks)
				look_at(&attributes, own, d->d_name);
		}
	if (names.full || attributes.full) {
		hps_gap_note(f->gaps, HPS_GAP_LISTING);
		hps_buf_release(&names);
		hps_buf_release(&attributes);
		return;
	}
	file->listing_len = names.len;
	file->listing = hps_buf_take(&names);
	if (!looks)
		return;
	free(file->attributes);
	file->attributes_len = attributes.len;
	file->attributes = hps_buf_take(&attributes);
}

/* A directory that was there before and that the trial moved or changed: an input under the name that it had. */
static struct hps_file *moved_directory(struct hps_files *f, const struct hps_file *file, const struct stat *s)
{
	const char *was = file->from ? file->from : file->existed ? file->path : NULL;
	_cleanup_free_ char *path = was ? hps_files_origin(f, was) : NULL;
	struct hps_file *origin = S_ISDIR(s->st_mode) && path ? hps_files_get(f, path) : NULL;

	return origin && origin->uses ? origin : NULL;
}

/* Directories on the way to a path, as they were when it was first of interest. */
static void note_parents(struct hps_files *f, const char *path)
{
	_cleanup_free_ char *parent = hps_strdup(path);

	for (char *slash; (slash = strrchr(parent, '/'));) {
		struct hps_file *file;
		struct stat s;

		slash[slash == parent] = '\0';
		file = hps_files_get(f, parent);
		if (!file->product)
			file = origin_of(f, file);
		if (file->uses || file->product || file->target || lstat(parent, &s))
			return;
		first_seen(file, &s);
		file->uses |= HPS_USE_PARENT;
		if (slash == parent)
			return;
	}
}

static enum hps_keep keep_of(const struct hps_file *file, bool store)
{
	return hps_rule_path(file->path) ? HPS_KEEP_SECRET : store ? HPS_KEEP_CONTENT : HPS_KEEP_DIGEST;
}

static struct hps_content *content_of(struct hps_files *f, const struct hps_file *file, int fd, const struct stat *s)
{
	bool store = f->capture && !f->rerun && hps_path_unpackaged(file->path);

	return hps_hasher_add(f->hasher, fd, s, keep_of(file, store), false);
}

/* ---- one file under several names ---- */

/* What is known of the file that fd is open on; NULL when it is no regular file, or has no name. */
static struct hps_inode *inode_of(struct hps_files *f, const struct hps_file *file, int fd, const struct stat *s)
{
	struct hps_inode *i = file->inode;

	if (!S_ISREG(s->st_mode) || !s->st_nlink)
		return NULL;
	if (i && i->ino == s->st_ino && i->dev == s->st_dev && !i->gone)
		return i;
	return hps_inode_get(&f->inodes, fd, s);
}

static bool changed_by_trial(const struct hps_inode *inode)
{
	return inode && (inode->made || inode->written);
}

static void add_name(struct hps_inode *inode, struct hps_file *file)
{
	if (!inode || file->inode)
		return;
	file->inode = inode;
	file->next_name = inode->names;
	inode->names = file;
}

/* A name of a file that the trial has changed under another one: an input as the file was before, and a product like it. */
static void note_alias(struct hps_file *file, struct hps_inode *inode, unsigned uses)
{
	const struct hps_file *other = inode->names;

	file->product = file->by_link = true;
	file->link_of = inode;
	if (inode->made)
		return;
	file->existed = true;
	file->uses |= uses;
	if (!file->first)
		file->first = inode->first;
	if (other && !file->mode) {
		file->mode = other->mode;
		file->mtime_ns = other->mtime_ns;
		file->size = other->size;
	}
	add_name(inode, file);
}

/* The same bytes, as far as their own times tell: a new name, link or mode moves the change time alone. */
static bool same_bytes(const struct hps_content *c, const struct stat *s)
{
	return c->id.size == s->st_size && c->id.mtime_ns == mtime_ns(s) && c->id.ino == s->st_ino && c->id.dev == s->st_dev;
}

/* What the file held before the trial touched it, under whatever name; NULL when that could not be read. */
static void take_first(struct hps_files *f, struct hps_file *file, struct hps_inode *inode, int fd, const struct stat *s)
{
	if (!file->first && inode && inode->first && same_bytes(inode->first, s))
		file->first = inode->first;
	if (!file->first && fd >= 0)
		file->first = content_of(f, file, fd, s);
	if (inode && !inode->first)
		inode->first = file->first;
}

void hps_file_use(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s, unsigned uses)
{
	const char *path = file->path;
	struct hps_inode *inode;
	struct hps_identity id;

	hps_identity_of(s, &id);
	set_now(file, &id);
	if (S_ISDIR(s->st_mode) && uses & HPS_USE_READ)
		hps_listing_note(f, file, fd, s);
	if (file->product) { /* what the trial made itself is no input */
		struct hps_file *moved = moved_directory(f, file, s);

		if (moved && uses & HPS_USE_READ && !moved->listing)
			list(f, moved, path, fd);
		return;
	}
	file = origin_of(f, file);
	if (file->product)
		return;
	inode = inode_of(f, file, fd, s);
	if (!file->uses)
		note_parents(f, path);
	if (changed_by_trial(inode)) {
		note_alias(file, inode, uses);
		return;
	}
	first_seen(file, s);
	file->uses |= uses;
	if (S_ISREG(s->st_mode)) {
		if (file->first && !same_bytes(file->first, s))
			file->changed = true;
		else if (file->first && file->first->id.ctime_ns != id.ctime_ns)
			file->again = content_of(f, file, fd, s);
		take_first(f, file, inode, fd, s);
		add_name(inode, file);
		shorten_now(file);
	} else if (S_ISDIR(s->st_mode) && uses & HPS_USE_READ && !file->listing) {
		list(f, file, path, fd);
	}
}

void hps_file_secure(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s)
{
	const struct hps_inode *inode;

	if (!S_ISREG(s->st_mode))
		return;
	inode = inode_of(f, file, fd, s);
	if (fd >= 0 && inode && !inode->first && !changed_by_trial(inode))
		(void)content_of(f, file, fd, s);
	hps_hasher_barrier(f->hasher, s->st_dev, s->st_ino);
}

void hps_file_change(struct hps_files *f, struct hps_file *file, int fd, const struct stat *before)
{
	struct hps_file *input = file;
	struct hps_inode *inode;

	file->gone = false;
	if (file->product)
		return;
	if (!file->uses)
		note_parents(f, file->path);
	file->product = true;
	hps_listing_expect(f, file->path);
	if (!before)
		return;
	input = origin_of(f, file);
	inode = inode_of(f, input, fd, before);
	if (changed_by_trial(inode)) {
		note_alias(input, inode, HPS_USE_WRITE);
	} else {
		first_seen(input, before);
		input->uses |= HPS_USE_WRITE;
		if (S_ISREG(before->st_mode))
			take_first(f, input, inode, fd, before);
		add_name(inode, input);
	}
	input->existed = !inode || !inode->made; /* under that path; `file` may be below a directory that was moved since */
	if (file->first != input->first)
		hps_file_forget_now(file);
	file->first = input->first;
	file->by_link = false;
}

void hps_file_made(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s)
{
	hps_inode_made(&f->inodes, fd, s);
	hps_file_change(f, file, -1, NULL);
	if (!file->final)
		file->final = hps_alloc(sizeof *file->final);
	file->final->mode = s->st_mode;
}

void hps_file_modify(struct hps_files *f, struct hps_file *file, int fd, const struct stat *before)
{
	struct hps_inode *inode = inode_of(f, file, fd, before);
	bool was = file->product;

	hps_file_change(f, file, fd, before);
	if (!inode || changed_by_trial(inode))
		return;
	if (!inode->first && fd >= 0)
		inode->first = content_of(f, file, fd, before);
	if (!was && file->first && !same_bytes(file->first, before))
		file->changed = true; /* somebody else wrote it since it was read */
	hps_inode_written(inode, fd);
	for (struct hps_file *name = inode->names; name; name = name->next_name)
		if (!name->product)
			note_alias(name, inode, 0);
}

void hps_file_removed(struct hps_files *f, struct hps_file *file, const struct stat *s)
{
	free(hps_take(file->from));
	file->gone = true;
	if (S_ISREG(s->st_mode) && s->st_nlink == 1)
		hps_inode_gone(&f->inodes, s);
}

void hps_file_symlink(struct hps_file *file, const struct stat *s, const char *target)
{
	if (file->product)
		return;
	first_seen(file, s);
	file->uses |= HPS_USE_READ;
	if (!file->target)
		file->target = hps_strdup(target);
}

/* What the trial had made below a directory moves with it. */
static void move_products(struct hps_files *f, const char *from, const char *to)
{
	size_t n = strlen(from), end = f->by_path.n;

	for (size_t i = 0; i < end; i++) {
		struct hps_file *file = f->by_path.items[i].value, *moved;
		_cleanup_free_ char *path = NULL;

		if (!file->product || strncmp(file->path, from, n) != 0 || file->path[n] != '/')
			continue;
		path = hps_format("%s%s", to, file->path + n);
		moved = hps_files_get(f, path);
		moved->product = true;
		hps_listing_expect(f, path);
		free(moved->from);
		moved->from = file->from ? hps_take(file->from) : hps_strdup(file->path);
	}
}

/* Names that led through a moved directory or link may lead elsewhere now. */
void hps_files_forget_names(struct hps_files *f)
{
	f->names++;
	hps_map_release(&f->by_name);
	hps_map_release(&f->plain);
}

/* Moves the entry and, for a directory, all below it. */
static void rename_entry(struct hps_files *f, struct hps_file *from, struct hps_file *to, bool directory)
{
	char *origin = from->from ? hps_take(from->from) : hps_strdup(from->path);

	free(to->from);
	to->from = origin;
	if (directory && !hps_files_made(f, from->path)) {
		_cleanup_free_ char *was = hps_files_origin(f, origin);

		hps_files_get(f, was)->moved = true;
	}
	if (!strcmp(origin, to->path)) /* back where it came from */
		free(hps_take(to->from));
	to->product = from->product = true;
	to->by_link = from->by_link = to->gone = false;
	from->gone = true;
	if (!directory)
		return;
	move_products(f, from->path, to->path);
	hps_strv_add(&f->moved, from->path);
	hps_strv_add(&f->moved, to->path);
	hps_files_forget_names(f);
}

void hps_file_renamed(struct hps_files *f, struct hps_file *from, struct hps_file *to, bool directory)
{
	rename_entry(f, from, to, directory);
}

void hps_file_exchanged(struct hps_files *f, struct hps_file *a, struct hps_file *b, bool a_directory, bool b_directory)
{
	struct hps_file *aside = hps_files_get(f, "/dev/null/exchanged"); /* a path that cannot be */

	rename_entry(f, a, aside, a_directory);
	rename_entry(f, b, a, b_directory);
	rename_entry(f, aside, b, a_directory);
	aside->product = false;
}

void hps_file_hold(struct hps_files *f, struct hps_file *file)
{
	bool regular;
	struct stat s;

	if (file->held >= 0) {
		close(hps_take_fd(&file->held));
		f->n_held--;
	}
	if (lstat(file->path, &s)) {
		file->gone = file->gone || errno == ENOENT || errno == ENOTDIR;
		return;
	}
	if (f->n_held >= HELD_MAX)
		return;
	regular = S_ISREG(s.st_mode);
	file->held = open(file->path, (regular ? O_RDONLY : O_PATH) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (file->held < 0 && regular)
		file->held = open(file->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	f->n_held += file->held >= 0;
}

void hps_files_hold_below(struct hps_files *f, const char *directory)
{
	size_t n = strlen(directory);

	for (size_t i = 0; i < f->by_path.n; i++) {
		struct hps_file *file = f->by_path.items[i].value;

		if (file->product && !file->special && !strncmp(file->path, directory, n) && file->path[n] == '/')
			hps_file_hold(f, file);
	}
}

void hps_files_expect_rename(struct hps_files *f, struct hps_file *from, struct hps_file *to, const struct stat *was)
{
	f->expected = hps_grow(f->expected, f->n_expected, sizeof *f->expected);
	f->expected[f->n_expected++] =
		(struct hps_expected){ .from = from, .to = to, .dev = was->st_dev, .ino = was->st_ino, .directory = S_ISDIR(was->st_mode) };
}

/* ---- the end ---- */

/* What was left to a program came about if the file is where it was to go. */
static void confirm_renames(struct hps_files *f)
{
	for (size_t i = 0; i < f->n_expected; i++) {
		const struct hps_expected *e = &f->expected[i];
		struct stat s, left;

		if (lstat(e->to->path, &s) || s.st_ino != e->ino || s.st_dev != e->dev)
			continue;
		if (lstat(e->from->path, &left) == 0 && left.st_ino == e->ino && left.st_dev == e->dev)
			continue;
		rename_entry(f, e->from, e->to, e->directory);
	}
}

#define PRODUCT_STORE_MAX (16 << 20)

/* O_PATH, without following a last link, however long the path. */
static int open_path(const char *path)
{
	_cleanup_fd_ int dir = AT_FDCWD;

	while (strlen(path) >= PATH_MAX) {
		const char *end = memrchr(path, '/', PATH_MAX - 1);
		_cleanup_free_ char *head = end && end > path ? hps_strndup(path, (size_t)(end - path)) : NULL;
		int next = head ? openat(dir, head, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

		if (next < 0)
			return -1;
		if (dir >= 0)
			close(dir);
		dir = next;
		path = end + 1;
	}
	return openat(dir, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* Where a product is now, however it can still be reached: -1 and its errno when it cannot. */
static int find_product(struct hps_file *file, struct stat *ret)
{
	int fd = open_path(file->path);

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && file->held >= 0)
		fd = dup(file->held);
	if (fd >= 0 && fstat(fd, ret)) {
		close(fd);
		return -1;
	}
	if (fd >= 0 && !ret->st_nlink) { /* held, and removed since */
		close(fd);
		errno = ENOENT;
		return -1;
	}
	return fd;
}

/* What was kept open before its mode forbade to read it. */
static bool holds(const struct hps_file *file, const struct stat *s)
{
	struct stat held;

	return file->held >= 0 && !fstat(file->held, &held) && held.st_ino == s->st_ino && held.st_dev == s->st_dev;
}

#define EXTENDED_MAX (64u << 10) /* the kernel's own ceiling, of the list and of a value */

/* Digests, as values may be anything. Labels are the system's. */
static json_t *read_extended(const char *path)
{
	_cleanup_free_ char *names = hps_alloc(EXTENDED_MAX), *value = hps_alloc(EXTENDED_MAX);
	ssize_t len = llistxattr(path, names, EXTENDED_MAX);
	json_t *all = json_object();

	for (const char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
		ssize_t n = lgetxattr(path, name, value, EXTENDED_MAX);
		char hex[HPS_DIGEST_HEX];
		struct hps_digest d;
		_cleanup_json_ json_t *key = hps_path_json(name);

		if (n < 0 || !strcmp(name, "security.selinux"))
			continue;
		hps_digest_of(value, (size_t)n, &d);
		hps_digest_hex(&d, hex);
		hps_json_set(all, json_string_value(key), json_string(hex));
	}
	return all;
}

static void settle(struct hps_files *f, struct hps_file *file)
{
	_cleanup_fd_ int at = -1;
	char target[HPS_PATH_CAP];
	struct stat s;
	ssize_t n;

	if (!file->final)
		file->final = hps_alloc(sizeof *file->final);
	at = find_product(file, &s);
	if (at < 0) {
		file->final->unreadable = errno != ENOENT && errno != ENOTDIR && !file->gone;
		if (file->final->unreadable)
			hps_gap_note(f->gaps, HPS_GAP_UNREADABLE);
		return;
	}
	file->final->exists = true;
	file->final->mode = s.st_mode;
	file->final->size = s.st_size;
	file->final->mtime_ns = mtime_ns(&s);
	file->final->dev = s.st_dev;
	file->final->ino = s.st_ino;
	file->final->n_links = s.st_nlink;
	file->final->uid = s.st_uid;
	file->final->gid = s.st_gid;
	if (file->set & HPS_SET_EXTENDED)
		file->final->extended = read_extended(file->path);
	if (S_ISLNK(s.st_mode) && (n = readlinkat(at, "", target, sizeof target)) > 0)
		file->final->target = hps_strndup(target, (size_t)n);
	if (!S_ISREG(s.st_mode))
		return;
	file->final->content =
		hps_hasher_add(f->hasher, holds(file, &s) ? file->held : at, &s, keep_of(file, f->capture && s.st_size <= PRODUCT_STORE_MAX), true);
}

/* Written in place by somebody else since it was opened: the trial may have read some of that. */
static void look_again(struct hps_file *file)
{
	struct stat s;

	if (file->inode && file->first && file->uses && !lstat(file->path, &s) && s.st_ino == file->inode->ino && s.st_dev == file->inode->dev &&
	    !same_bytes(file->first, &s))
		file->changed = true;
}

void hps_files_settle(struct hps_files *f)
{
	confirm_renames(f);
	/* First what the hasher has to read. */
	for (size_t i = 0; i < f->by_path.n; i++) {
		struct hps_file *file = f->by_path.items[i].value;

		if (!file->product || file->special)
			continue;
		settle(f, file);
		/* Blamed only for what was written under another name: not when the name has become somebody else's. */
		if (file->by_link && !file->final->unreadable &&
		    !(file->final->exists && file->final->ino == file->link_of->ino && file->final->dev == file->link_of->dev))
			file->product = false;
	}
	for (size_t i = 0; i < f->by_path.n; i++) {
		struct hps_file *file = f->by_path.items[i].value;

		if (!file->product)
			look_again(file);
	}
	hps_links_find(f);
}

bool hps_file_changed(const struct hps_file *file)
{
	if (file->changed || (file->first && atomic_load(&file->first->state) == HPS_CONTENT_CHANGED))
		return true;
	return file->again && !hps_digest_equal(&file->first->digest, &file->again->digest);
}

void hps_files_miss(struct hps_files *f, const char *path, int error)
{
	if (f->misses.n < MISSES_MAX)
		*hps_map_slot(&f->misses, path) = (void *)(intptr_t)error;
}

void hps_files_release(struct hps_files *f)
{
	for (size_t i = 0; i < f->by_path.n; i++) {
		struct hps_file *file = f->by_path.items[i].value;

		free(file->target);
		free(file->listing);
		free(file->attributes);
		free(file->from);
		if (file->final)
			free(file->final->target);
		if (file->final)
			json_decref(file->final->extended);
		free(file->final);
		if (file->held >= 0)
			close(file->held);
		free(file->now);
	}
	hps_arena_release(&f->arena);
	hps_inodes_release(&f->inodes);
	free(f->expected);
	hps_map_release(&f->by_path);
	hps_map_release(&f->by_name);
	hps_map_release(&f->misses);
	hps_listings_release(&f->listings);
	hps_map_release(&f->plain);
	hps_strv_release(&f->moved);
}
