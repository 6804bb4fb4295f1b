/* Files as the file system knows them, whatever their names: what a file held before the trial wrote it under any of them.
 * A table of chains by device and inode number; entries live as long as the table, for paths refer to them. */
#include "recorder/recorder.h"

#include <fcntl.h>
#include <stdlib.h>

#define BORN ((1u << 29) - 1)
#define LOAD 2 /* files for each chain, at most */

static struct hps_inode **chain_of(const struct hps_inodes *t, dev_t dev, ino_t ino)
{
	return &t->chains[(size_t)((ino ^ dev << 40 ^ dev >> 24) * 0x9e3779b97f4a7c15ull >> 20) & (t->n_chains - 1)];
}

/* An older file of the same number stays behind the newer. */
static void grow(struct hps_inodes *t)
{
	struct hps_inodes old = *t;

	t->n_chains = old.n_chains ? old.n_chains * 2 : 1024;
	t->chains = hps_alloc(t->n_chains * sizeof(struct hps_inode *));
	for (size_t i = 0; i < old.n_chains; i++)
		for (struct hps_inode *inode = old.chains[i], *next, **last; inode; inode = next) {
			next = inode->next;
			for (last = chain_of(t, inode->dev, inode->ino); *last; last = &(*last)->next)
				;
			*last = inode;
			inode->next = NULL;
		}
	free(old.chains);
}

static struct hps_inode *add(struct hps_inodes *t, dev_t dev, ino_t ino)
{
	struct hps_inode *inode = hps_arena_take(&t->arena, sizeof *inode), **chain;

	if (t->n++ >= LOAD * t->n_chains)
		grow(t);
	chain = chain_of(t, dev, ino);
	inode->dev = (uint32_t)dev;
	inode->ino = ino;
	inode->next = *chain;
	*chain = inode;
	return inode;
}

/* Two moments that differ have different numbers, but for one pair in 250 million; 0 when the file system does not say. */
static unsigned born(int fd)
{
	struct statx s;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &s) || !(s.stx_mask & STATX_BTIME))
		return 0;
	return (unsigned)((((uint64_t)s.stx_btime.tv_sec << 30 | s.stx_btime.tv_nsec) * 0x9e3779b97f4a7c15ull) >> 35) | 1;
}

struct hps_inode *hps_inode_find(const struct hps_inodes *t, dev_t dev, ino_t ino)
{
	struct hps_inode *inode = t->n_chains ? *chain_of(t, dev, ino) : NULL;

	while (inode && (inode->ino != ino || inode->dev != dev))
		inode = inode->next;
	return inode;
}

struct hps_inode *hps_inode_get(struct hps_inodes *t, int fd, const struct stat *s)
{
	struct hps_inode *inode = hps_inode_find(t, s->st_dev, s->st_ino);

	/* A number that somebody else freed and the file system gave out again is another file. */
	if (inode && !inode->gone && (!inode->born || fd < 0 || inode->born == born(fd)))
		return inode;
	return add(t, s->st_dev, s->st_ino);
}

void hps_inode_made(struct hps_inodes *t, int fd, const struct stat *s)
{
	struct hps_inode *inode;

	if (!S_ISREG(s->st_mode))
		return;
	hps_inode_gone(t, s);
	inode = hps_inode_get(t, -1, s);
	inode->made = true;
	inode->born = born(fd) & BORN;
}

void hps_inode_written(struct hps_inode *inode, int fd)
{
	inode->written = true;
	if (!inode->born && fd >= 0)
		inode->born = born(fd) & BORN;
}

void hps_inode_gone(struct hps_inodes *t, const struct stat *s)
{
	struct hps_inode *inode = hps_inode_find(t, s->st_dev, s->st_ino);

	if (inode)
		inode->gone = true;
}

void hps_inodes_release(struct hps_inodes *t)
{
	hps_arena_release(&t->arena);
	free(t->chains);
}
