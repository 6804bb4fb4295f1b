/* Hard links: which names were one file when they were first seen, which are one now. */
#include "recorder/recorder.h"

#include <stdlib.h>
#include <string.h>

/* Inputs that were one file: all name the first of them in byte order. */
static void link_inputs(const struct hps_inode *inode)
{
	const char *first = NULL;

	for (const struct hps_file *name = inode->names; name; name = name->next_name)
		if (name->uses && (!first || strcmp(name->path, first) < 0))
			first = name->path;
	for (struct hps_file *name = inode->names; name; name = name->next_name)
		if (name->uses && name->path != first)
			name->link = first;
}

/* An input that the trial left alone and that is still this file: its final state is not written down, so it stands for all. */
static const struct hps_file *unchanged_name(const struct hps_files *f, const struct hps_final *final, size_t *ret_n)
{
	const struct hps_inode *inode = hps_inode_find(&f->inodes, final->dev, final->ino);
	const struct hps_file *first = NULL;
	struct stat s;

	for (const struct hps_file *name = inode ? inode->names : NULL; name; name = name->next_name) {
		if (name->product || lstat(name->path, &s) || s.st_ino != final->ino || s.st_dev != final->dev)
			continue;
		++*ret_n;
		if (!first || strcmp(name->path, first->path) < 0)
			first = name;
	}
	return first;
}

static int by_file(const void *a, const void *b)
{
	const struct hps_file *x = *(struct hps_file *const *)a, *y = *(struct hps_file *const *)b;

	if (x->final->dev != y->final->dev)
		return x->final->dev < y->final->dev ? -1 : 1;
	if (x->final->ino != y->final->ino)
		return x->final->ino < y->final->ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

/* The n names in `group` are products and one file. */
static void link_products(struct hps_files *f, struct hps_file **group, size_t n)
{
	const struct hps_final *final = group[0]->final;
	const struct hps_inode *inode = hps_inode_find(&f->inodes, final->dev, final->ino);
	size_t n_seen = n;
	const struct hps_file *first = unchanged_name(f, final, &n_seen);

	for (size_t i = 0; i < n; i++)
		if (first || i > 0)
			group[i]->final->link = first ? first->path : group[0]->path;
	if (inode && (inode->written || inode->made) && final->n_links > n_seen)
		hps_gap_note(f->gaps, HPS_GAP_LINKS);
}

void hps_links_find(struct hps_files *f)
{
	_cleanup_free_ struct hps_file **linked = hps_realloc(NULL, f->by_path.n + 1, sizeof *linked);
	size_t n = 0;

	for (const struct hps_inode *inode = f->inodes.newest; inode; inode = inode->older)
		if (inode->names && inode->names->next_name)
			link_inputs(inode);
	for (size_t i = 0; i < f->by_path.n; i++) {
		struct hps_file *file = f->by_path.items[i].value;

		if (file->product && file->final && file->final->exists && S_ISREG(file->final->mode) && file->final->n_links > 1)
			linked[n++] = file;
	}
	qsort(linked, n, sizeof *linked, by_file);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && linked[end]->final->ino == linked[i]->final->ino && linked[end]->final->dev == linked[i]->final->dev; end++)
			;
		link_products(f, linked + i, end - i);
	}
}
