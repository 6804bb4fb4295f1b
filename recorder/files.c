/* Every path that the trial touched: what was there before it did (materials), what it changed (products), what it did not
 * find (misses). Paths are real paths; one entry is both material and product when the trial changed an input. */
#include "recorder/recorder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/identity.h"

#define LISTING_MAX (8u << 20)
#define MISSES_MAX 200000u

/* ---- what was last opened ---- */

bool hps_file_is_now(const struct hps_file *file, const struct hps_identity *id)
{
	const struct hps_rare *rare = hps_file_rare(file);

	if (file->now_is_first) /* `first` is not replaced while it counts */
		return hps_identity_equal(&file->first->id, id);
	return rare->now_known && hps_identity_equal(&rare->now, id);
}

void hps_file_forget_now(struct hps_file *file)
{
	file->now_is_first = false;
	if (file->rare)
		file->rare->now_known = false;
}

/* The content's own identity says it as well, for most. */
static void set_now(struct hps_file *file, const struct hps_identity *id)
{
	if (hps_file_is_now(file, id))
		return;
	hps_file_forget_now(file);
	file->now_is_first = file->first && hps_identity_equal(&file->first->id, id);
	if (file->now_is_first)
		return;
	hps_file_rare_make(file)->now = *id;
	file->rare->now_known = true;
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
	hps_file_rare_make(file)->attributes_len = own.len;
	file->rare->attributes = hps_buf_take(&own);
}

static struct hps_file *origin_of(struct hps_files *f, struct hps_file *file)
{
	_cleanup_free_ char *path = f->moved.n ? hps_files_origin(f, file->path) : NULL;

	return path && strcmp(path, file->path) != 0 ? hps_files_get(f, path) : file;
}

bool hps_files_made(const struct hps_files *f, const char *path)
{
	const struct hps_file *file = hps_files_find(f, path), *before;
	_cleanup_free_ char *origin = NULL;

	if (!file || !file->product || file->existed)
		return false;
	origin = hps_files_origin(f, path);
	before = strcmp(origin, path) != 0 ? hps_files_find(f, origin) : NULL;
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
	struct hps_rare *rare = hps_file_rare_make(file);
	struct hps_buf names, attributes;
	char block[32768];
	long n;

	if (own < 0)
		return;
	hps_buf_init(&names, LISTING_MAX);
	hps_buf_init(&attributes, LISTING_MAX);
	if (looks) /* it moves with the trial's own names: what was first seen of it stands */
		hps_buf_add(&attributes, rare->attributes ? rare->attributes : "", rare->attributes ? rare->attributes_len : 1);
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
	rare->listing_len = names.len;
	rare->listing = hps_buf_take(&names);
	if (!looks)
		return;
	free(rare->attributes);
	rare->attributes_len = attributes.len;
	rare->attributes = hps_buf_take(&attributes);
}

/* A directory that was there before and that the trial moved or changed: an input under the name that it had. */
static struct hps_file *moved_directory(struct hps_files *f, const struct hps_file *file, const struct stat *s)
{
	const char *from = hps_file_rare(file)->from, *was = from ? from : file->existed ? file->path : NULL;
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
		if (file->uses || file->product || hps_file_rare(file)->target || lstat(parent, &s))
			return;
		first_seen(file, &s);
		file->uses |= HPS_USE_PARENT;
		if (slash == parent)
			return;
	}
}

/* What a package or a distribution may own, for which that can be looked for while the trial runs: see news.c. */
static bool is_news(const struct hps_files *f, const struct hps_file *file, struct hps_told *ret)
{
	bool system = hps_path_system(file->path);

	if (f->news && file->uses & HPS_USE_EXEC && hps_python_is(file->path))
		hps_news_program(f->news, file->path);
	*ret = (struct hps_told){ system ? HPS_NEWS_SYSTEM : HPS_NEWS_OTHER, file->path };
	return system || strstr(file->path, "/site-packages/");
}

static struct hps_content *content_of(struct hps_files *f, const struct hps_file *file, int fd, const struct stat *s)
{
	struct hps_told told;
	bool kind = f->capture > HPS_CAPTURE_CODE || (f->capture == HPS_CAPTURE_CODE && hps_path_code(file->path));
	bool store = kind && !f->rerun && hps_path_unpackaged(file->path);

	return hps_hasher_add(f->hasher, fd, s, hps_file_keep(file, store), false, is_news(f, file, &told) ? &told : NULL);
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
	if (inode->names)
		hps_file_rare_make(file)->next_name = inode->names;
	inode->names = file;
}

/* A name of a file that the trial has changed under another one: an input as the file was before, and a product like it. */
static void note_alias(struct hps_file *file, struct hps_inode *inode, unsigned uses)
{
	const struct hps_file *other = inode->names;

	file->product = file->by_link = true;
	hps_file_rare_make(file)->link_of = inode;
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

/* What the file held before the trial touched it, under whatever name; NULL when that could not be read. */
static void take_first(struct hps_files *f, struct hps_file *file, struct hps_inode *inode, int fd, const struct stat *s)
{
	if (!file->first && inode && inode->first && hps_content_is(inode->first, s))
		file->first = inode->first;
	if (!file->first && fd >= 0)
		file->first = content_of(f, file, fd, s);
	if (inode && !inode->first)
		inode->first = file->first;
}

/* What the trial made itself is no input; a directory that it moved still lists what was there before. */
static void use_product(struct hps_files *f, const struct hps_file *file, int fd, const struct stat *s, unsigned uses)
{
	struct hps_file *moved = moved_directory(f, file, s);

	if (moved && uses & HPS_USE_READ && !hps_file_rare(moved)->listing)
		list(f, moved, file->path, fd);
}

/* here: where it is by now. */
static void use_input(struct hps_files *f, struct hps_file *file, const char *here, int fd, const struct stat *s, const struct hps_identity *id, unsigned uses)
{
	struct hps_inode *inode = inode_of(f, file, fd, s);

	if (!file->uses)
		note_parents(f, here);
	if (changed_by_trial(inode)) {
		note_alias(file, inode, uses);
		return;
	}
	first_seen(file, s);
	file->uses |= uses;
	if (S_ISREG(s->st_mode)) {
		if (file->first && !hps_content_is(file->first, s))
			file->changed = true;
		else if (file->first && file->first->id.ctime_ns != id->ctime_ns)
			hps_file_rare_make(file)->again = content_of(f, file, fd, s);
		take_first(f, file, inode, fd, s);
		add_name(inode, file);
	} else if (S_ISDIR(s->st_mode) && uses & HPS_USE_READ && !hps_file_rare(file)->listing) {
		list(f, file, here, fd);
	}
}

void hps_file_use(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s, unsigned uses)
{
	struct hps_file *input = file->product ? file : origin_of(f, file);
	struct hps_identity id;

	hps_identity_of(s, &id);
	if (S_ISDIR(s->st_mode) && uses & HPS_USE_READ)
		hps_listing_note(f, file, fd, s);
	if (file->product)
		use_product(f, file, fd, s, uses);
	else if (!input->product)
		use_input(f, input, file->path, fd, s, &id, uses);
	set_now(file, &id);
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
	hps_file_final_make(file)->mode = s->st_mode;
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
	if (!was && file->first && !hps_content_is(file->first, before))
		file->changed = true; /* somebody else wrote it since it was read */
	hps_inode_written(inode, fd);
	for (struct hps_file *name = inode->names; name; name = hps_file_rare(name)->next_name)
		if (!name->product)
			note_alias(name, inode, 0);
}

void hps_file_symlink(struct hps_file *file, const struct stat *s, const char *target)
{
	if (file->product)
		return;
	first_seen(file, s);
	file->uses |= HPS_USE_READ;
	if (!hps_file_rare(file)->target)
		hps_file_rare_make(file)->target = hps_strdup(target);
}

bool hps_file_changed(const struct hps_file *file)
{
	if (file->changed || (file->first && atomic_load(&file->first->state) == HPS_CONTENT_CHANGED))
		return true;
	return hps_file_rare(file)->again && !hps_digest_equal(&file->first->digest, &hps_file_rare(file)->again->digest);
}

void hps_files_miss(struct hps_files *f, const char *path, int error)
{
	if (f->misses.n < MISSES_MAX)
		*hps_map_slot(&f->misses, path) = (void *)(intptr_t)error;
}
