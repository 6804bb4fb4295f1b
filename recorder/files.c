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

struct hps_file *hps_files_get(struct hps_files *f, const char *path)
{
	void **slot = hps_map_slot(&f->by_path, path);

	if (!*slot) {
		struct hps_file *file = hps_alloc(sizeof *file);

		*slot = file;
		file->path = f->by_path.items[f->by_path.n - 1].key;
	}
	return *slot;
}

/* Where nothing but packages put files: what is there can be had again from the package. */
bool hps_path_unpackaged(const char *path)
{
	static const char *const system_dirs[] = { "/usr/", "/lib", "/bin/", "/sbin/", "/etc/ld.so.", "/var/lib/dpkg/" };

	if (!strncmp(path, "/usr/local/", 11))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(system_dirs); i++)
		if (!strncmp(path, system_dirs[i], strlen(system_dirs[i])))
			return false;
	return true;
}

static void first_seen(struct hps_file *file, const struct stat *s)
{
	if (file->mode)
		return;
	file->mode = s->st_mode;
	file->mtime_ns = s->st_mtim.tv_sec * 1000000000ll + s->st_mtim.tv_nsec;
	file->size = s->st_size;
}

/* A file below a directory that the trial moved is an input under the name it had before. */
static struct hps_file *origin_of(struct hps_files *f, struct hps_file *file)
{
	_cleanup_free_ char *path = NULL;

	for (size_t i = f->moved.n; i >= 2; i -= 2) {
		const char *from = f->moved.v[i - 2], *to = f->moved.v[i - 1], *now = path ? path : file->path;
		size_t n = strlen(to);

		if (!strncmp(now, to, n) && now[n] == '/') {
			char *before = hps_format("%s%s", from, now + n);

			free(path);
			path = before;
		}
	}
	return path ? hps_files_get(f, path) : file;
}

/* The names in the order the directory gives them, from a description of our own. */
static void list(struct hps_files *f, struct hps_file *file, int fd)
{
	_cleanup_fd_ int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	struct hps_buf names;
	char block[32768];
	long n;

	if (own < 0)
		return;
	hps_buf_init(&names, LISTING_MAX);
	while ((n = syscall(SYS_getdents64, own, block, sizeof block)) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const void *)(block + at);

			if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
				hps_buf_add(&names, d->d_name, strlen(d->d_name) + 1);
			at += d->d_reclen;
		}
	if (names.full) {
		hps_gap_note(f->gaps, HPS_GAP_LISTING);
		hps_buf_release(&names);
		return;
	}
	file->listing_len = names.len;
	file->listing = hps_buf_take(&names);
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
		if (file->uses || file->product || file->target || lstat(parent, &s))
			return;
		first_seen(file, &s);
		file->uses |= HPS_USE_PARENT;
		if (slash == parent)
			return;
	}
}

static struct hps_content *content_of(struct hps_files *f, const struct hps_file *file, int fd, const struct stat *s)
{
	bool store = f->capture && !f->rerun && hps_path_unpackaged(file->path) && !hps_redact_path_is_secret(file->path);

	return hps_hasher_add(f->hasher, fd, s, store, false);
}

void hps_file_use(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s, unsigned uses)
{
	hps_identity_of(s, &file->now);
	if (file->product)
		return; /* what the trial made itself is no input */
	if (f->moved.n) {
		file = origin_of(f, file);
		if (file->product)
			return;
	}
	if (!file->uses)
		note_parents(f, file->path);
	first_seen(file, s);
	file->uses |= uses;
	if (S_ISREG(s->st_mode)) {
		struct hps_identity id;

		hps_identity_of(s, &id);
		if (!file->first)
			file->first = content_of(f, file, fd, s);
		else if (!hps_identity_equal(&file->first->id, &id))
			file->changed = true;
	} else if (S_ISDIR(s->st_mode) && uses & HPS_USE_READ && !file->listing) {
		list(f, file, fd);
	}
}

void hps_file_secure(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s)
{
	if (!file->product && fd >= 0 && S_ISREG(s->st_mode) && !file->first)
		(void)content_of(f, file, fd, s);
	hps_hasher_barrier(f->hasher, s->st_dev, s->st_ino);
}

void hps_file_change(struct hps_files *f, struct hps_file *file, int fd, const struct stat *before)
{
	struct hps_file *input = file;

	if (file->product)
		return;
	file->product = true;
	if (!file->uses)
		note_parents(f, file->path);
	if (!before)
		return;
	file->existed = true;
	if (f->moved.n)
		input = origin_of(f, file);
	first_seen(input, before);
	input->uses |= HPS_USE_WRITE;
	if (S_ISREG(before->st_mode) && !input->first && fd >= 0)
		input->first = content_of(f, input, fd, before);
	if (input != file)
		file->first = input->first;
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
		free(moved->from);
		moved->from = hps_strdup(file->from ? file->from : file->path);
	}
}

/* Names that led through a moved directory or link may lead elsewhere now. */
void hps_files_forget_names(struct hps_files *f)
{
	hps_map_release(&f->by_name);
	hps_map_release(&f->plain);
}

void hps_file_renamed(struct hps_files *f, struct hps_file *from, struct hps_file *to, bool directory)
{
	free(to->from);
	to->from = hps_strdup(from->from ? from->from : from->path);
	to->product = true;
	from->product = true;
	if (!directory)
		return;
	move_products(f, from->path, to->path);
	hps_strv_add(&f->moved, from->path);
	hps_strv_add(&f->moved, to->path);
	hps_files_forget_names(f);
}

/* ---- the end ---- */

#define PRODUCT_STORE_MAX (16 << 20)

static void settle(struct hps_files *f, struct hps_file *file)
{
	_cleanup_fd_ int fd = -1;
	char target[HPS_PATH_CAP];
	struct stat s;
	ssize_t n;
	bool store;

	if (lstat(file->path, &s))
		return;
	file->final.exists = true;
	file->final.mode = s.st_mode;
	file->final.size = s.st_size;
	if (S_ISLNK(s.st_mode) && (n = readlink(file->path, target, sizeof target)) > 0)
		file->final.target = hps_strndup(target, (size_t)n);
	if (!S_ISREG(s.st_mode))
		return;
	fd = open(file->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &s)) {
		hps_gap_note(f->gaps, HPS_GAP_UNREADABLE);
		return;
	}
	file->final.size = s.st_size;
	store = f->capture && s.st_size <= PRODUCT_STORE_MAX && !hps_redact_path_is_secret(file->path);
	file->final.content = hps_hasher_add(f->hasher, fd, &s, store, true);
}

void hps_files_settle(struct hps_files *f)
{
	for (size_t i = 0; i < f->by_path.n; i++) {
		struct hps_file *file = f->by_path.items[i].value;

		if (file->product && !file->special)
			settle(f, file);
	}
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
		free(file->from);
		free(file->final.target);
		free(file);
	}
	hps_map_release(&f->by_path);
	hps_map_release(&f->by_name);
	hps_map_release(&f->misses);
	hps_map_release(&f->plain);
	hps_strv_release(&f->moved);
}
