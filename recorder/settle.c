/* What the trial left: every product as it is when the tree has ended. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PRODUCT_STORE_MAX (16 << 20)
#define HELD_MAX 1000u
#define EXTENDED_MAX (64u << 10) /* the kernel's own ceiling, of the list and of a value */

/* ---- what is kept open, as the trial closed the way to it ---- */

static void let_go(struct hps_files *f, struct hps_file *file)
{
	if (hps_file_rare(file)->held < 0)
		return;
	close(hps_take_fd(&file->rare->held));
	f->n_held--;
}

void hps_file_hold(struct hps_files *f, struct hps_file *file)
{
	bool regular;
	struct stat s;
	int fd;

	let_go(f, file);
	if (lstat(file->path, &s)) {
		file->gone = file->gone || errno == ENOENT || errno == ENOTDIR;
		return;
	}
	if (f->n_held >= HELD_MAX)
		return;
	regular = S_ISREG(s.st_mode);
	fd = open(file->path, (regular ? O_RDONLY : O_PATH) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && regular)
		fd = open(file->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	hps_file_rare_make(file)->held = fd;
	f->n_held++;
}

void hps_files_hold_below(struct hps_files *f, const char *directory)
{
	size_t n = strlen(directory);

	for (size_t i = 0; i < f->n; i++) {
		struct hps_file *file = f->all[i];

		if (file->product && !file->special && !strncmp(file->path, directory, n) && file->path[n] == '/')
			hps_file_hold(f, file);
	}
}

/* ---- what there is when it has ended ---- */

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
		hps_file_renamed(f, e->from, e->to, e->directory);
	}
}

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
static int find_product(const struct hps_file *file, struct stat *ret)
{
	int fd = open_path(file->path), held = hps_file_rare(file)->held;

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && held >= 0)
		fd = dup(held);
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
	int fd = hps_file_rare(file)->held;
	struct stat held;

	return fd >= 0 && !fstat(fd, &held) && held.st_ino == s->st_ino && held.st_dev == s->st_dev;
}

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
	struct hps_final *final = hps_file_final_make(file);
	_cleanup_fd_ int at = -1;
	char target[HPS_PATH_CAP];
	struct hps_identity id;
	struct stat s;
	ssize_t n;

	at = find_product(file, &s);
	if (at < 0) {
		final->unreadable = errno != ENOENT && errno != ENOTDIR && !file->gone;
		if (final->unreadable)
			hps_gap_note(f->gaps, HPS_GAP_UNREADABLE);
		return;
	}
	hps_identity_of(&s, &id);
	final->exists = true;
	final->mode = s.st_mode;
	final->size = s.st_size;
	final->mtime_ns = id.mtime_ns;
	final->dev = s.st_dev;
	final->ino = s.st_ino;
	final->n_links = s.st_nlink;
	final->uid = s.st_uid;
	final->gid = s.st_gid;
	if (file->rare->set & HPS_SET_EXTENDED)
		final->extended = read_extended(file->path);
	if (S_ISLNK(s.st_mode) && (n = readlinkat(at, "", target, sizeof target)) > 0)
		final->target = hps_strndup(target, (size_t)n);
	if (!S_ISREG(s.st_mode))
		return;
	final->content = hps_hasher_add(f->hasher, holds(file, &s) ? file->rare->held : at, &s,
					hps_file_keep(file, f->capture && s.st_size <= PRODUCT_STORE_MAX), true, NULL);
}

/* Written in place by somebody else since it was opened: the trial may have read some of that. */
static void look_again(struct hps_file *file)
{
	struct stat s;

	if (file->inode && file->first && file->uses && !lstat(file->path, &s) && s.st_ino == file->inode->ino && s.st_dev == file->inode->dev &&
	    !hps_content_is(file->first, &s))
		file->changed = true;
}

/* Blamed only for what was written under another name: not when the name has become somebody else's. */
static bool blamed_wrongly(const struct hps_file *file)
{
	const struct hps_final *final = hps_file_rare(file)->final;
	const struct hps_inode *written = hps_file_rare(file)->link_of;

	return file->by_link && !final->unreadable && !(final->exists && final->ino == written->ino && final->dev == written->dev);
}

void hps_files_settle(struct hps_files *f)
{
	confirm_renames(f);
	/* First what the hasher has to read. */
	for (size_t i = 0; i < f->n; i++) {
		struct hps_file *file = f->all[i];

		if (!file->product || file->special)
			continue;
		settle(f, file);
		if (blamed_wrongly(file))
			file->product = false;
	}
	for (size_t i = 0; i < f->n; i++)
		if (!f->all[i]->product)
			look_again(f->all[i]);
	hps_links_find(f);
}
