/* Names that the trial moves, exchanges or removes, and what lies below them. */
#include "recorder/recorder.h"

#include <stdlib.h>
#include <string.h>

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

/* Where it was before it was moved, of which it then no longer knows; heap. */
static char *take_from(struct hps_file *file)
{
	return hps_file_rare(file)->from ? hps_take(file->rare->from) : hps_strdup(file->path);
}

/* NULL: from nowhere. */
static void set_from(struct hps_file *file, char *from)
{
	if (!from && !file->rare)
		return;
	free(hps_file_rare_make(file)->from);
	file->rare->from = from;
}

void hps_file_removed(struct hps_files *f, struct hps_file *file, const struct stat *s)
{
	set_from(file, NULL);
	file->gone = true;
	if (S_ISREG(s->st_mode) && s->st_nlink == 1)
		hps_inode_gone(&f->inodes, s);
}

/* What the trial had made below a directory moves with it. */
static void move_products(struct hps_files *f, const char *from, const char *to)
{
	size_t n = strlen(from), end = f->n;

	for (size_t i = 0; i < end; i++) {
		struct hps_file *file = f->all[i], *moved;
		_cleanup_free_ char *path = NULL;

		if (!file->product || strncmp(file->path, from, n) != 0 || file->path[n] != '/')
			continue;
		path = hps_format("%s%s", to, file->path + n);
		moved = hps_files_get(f, path);
		moved->product = true;
		hps_listing_expect(f, path);
		set_from(moved, take_from(file));
	}
}

/* Moves the entry and, for a directory, all below it. */
static void rename_entry(struct hps_files *f, struct hps_file *from, struct hps_file *to, bool directory)
{
	char *origin = take_from(from);

	set_from(to, origin);
	if (directory && !hps_files_made(f, from->path)) {
		_cleanup_free_ char *was = hps_files_origin(f, origin);

		hps_files_get(f, was)->moved = true;
	}
	if (!strcmp(origin, to->path)) /* back where it came from */
		set_from(to, NULL);
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

void hps_files_expect_rename(struct hps_files *f, struct hps_file *from, struct hps_file *to, const struct stat *was)
{
	f->expected = hps_grow(f->expected, f->n_expected, sizeof *f->expected);
	f->expected[f->n_expected++] =
		(struct hps_expected){ .from = from, .to = to, .dev = was->st_dev, .ino = was->st_ino, .directory = S_ISDIR(was->st_mode) };
}
