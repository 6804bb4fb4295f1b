/* Hard links: which names were one file when they were first seen, which are one now. */
#include "recorder/recorder.h"

#include <stdlib.h>
#include <string.h>

/* Inputs that were one file: all name the first of them in byte order. */
static void link_inputs(const struct hps_inode *inode)
{
	const char *first = NULL;

	for (const struct hps_file *name = inode->names; name; name = hps_file_rare(name)->next_name)
		if (name->uses && (!first || strcmp(name->path, first) < 0))
			first = name->path;
	for (struct hps_file *name = inode->names; name; name = hps_file_rare(name)->next_name)
		if (name->uses && name->path != first)
			hps_file_rare_make(name)->link = first;
}

/* An input that the trial left alone and that is still this file: its final state is not written down, so it stands for all. */
static const struct hps_file *unchanged_name(const struct hps_files *f, const struct hps_final *final, size_t *ret_n)
{
	const struct hps_inode *inode = hps_inode_find(&f->inodes, final->dev, final->ino);
	const struct hps_file *first = NULL;
	struct stat s;

	for (const struct hps_file *name = inode ? inode->names : NULL; name; name = hps_file_rare(name)->next_name) {
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
	const struct hps_final *a_final = x->rare->final, *b_final = y->rare->final;

	if (a_final->dev != b_final->dev)
		return a_final->dev < b_final->dev ? -1 : 1;
	if (a_final->ino != b_final->ino)
		return a_final->ino < b_final->ino ? -1 : 1;
	return strcmp(x->path, y->path);
}

static bool one_file(const struct hps_file *a, const struct hps_file *b)
{
	return a->rare->final->ino == b->rare->final->ino && a->rare->final->dev == b->rare->final->dev;
}

/* The n names in `group` are products and one file. */
static void link_products(struct hps_files *f, struct hps_file **group, size_t n)
{
	const struct hps_final *final = group[0]->rare->final;
	const struct hps_inode *inode = hps_inode_find(&f->inodes, final->dev, final->ino);
	size_t n_seen = n;
	const struct hps_file *first = unchanged_name(f, final, &n_seen);

	for (size_t i = 0; i < n; i++)
		if (first || i > 0)
			group[i]->rare->final->link = first ? first->path : group[0]->path;
	if (inode && (inode->written || inode->made) && final->n_links > n_seen)
		hps_gap_note(f->gaps, HPS_GAP_LINKS);
}

void hps_links_find(struct hps_files *f)
{
	_cleanup_free_ struct hps_file **linked = NULL;
	size_t n = 0;

	for (size_t i = 0; i < f->inodes.n_chains; i++)
		for (const struct hps_inode *inode = f->inodes.chains[i]; inode; inode = inode->next)
			if (inode->names && hps_file_rare(inode->names)->next_name)
				link_inputs(inode);
	for (size_t i = 0; i < f->n; i++) {
		const struct hps_final *final = hps_file_rare(f->all[i])->final;

		if (!f->all[i]->product || !final || !final->exists || !S_ISREG(final->mode) || final->n_links < 2)
			continue;
		linked = hps_grow(linked, n, sizeof(struct hps_file *));
		linked[n++] = f->all[i];
	}
	if (n)
		qsort(linked, n, sizeof *linked, by_file);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && one_file(linked[end], linked[i]); end++)
			;
		link_products(f, linked + i, end - i);
	}
}
