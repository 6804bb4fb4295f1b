/* Files as the file system knows them, whatever their names: what a file held before the trial wrote it under any of them.
 * An open-addressed table by device and inode number; entries live as long as the table, for paths refer to them. */
#include "recorder/recorder.h"

#include <fcntl.h>
#include <stdlib.h>

static size_t home_of(const struct hps_inodes *t, dev_t dev, ino_t ino)
{
	return (size_t)((ino ^ dev << 40 ^ dev >> 24) * 0x9e3779b97f4a7c15ull >> 20) & (t->n_slots - 1);
}

/* The slot of this file, or the free one where it belongs. */
static struct hps_inode **slot_of(const struct hps_inodes *t, dev_t dev, ino_t ino)
{
	size_t at = home_of(t, dev, ino);

	while (t->slots[at] && (t->slots[at]->ino != ino || t->slots[at]->dev != dev))
		at = (at + 1) & (t->n_slots - 1);
	return &t->slots[at];
}

static void grow(struct hps_inodes *t)
{
	struct hps_inodes old = *t;

	t->n_slots = old.n_slots ? old.n_slots * 2 : 1024;
	t->slots = hps_alloc(t->n_slots * sizeof(struct hps_inode *));
	for (size_t i = 0; i < old.n_slots; i++)
		if (old.slots[i])
			*slot_of(t, old.slots[i]->dev, old.slots[i]->ino) = old.slots[i];
	free(old.slots);
}

static struct hps_inode *add(struct hps_inodes *t, struct hps_inode **slot, dev_t dev, ino_t ino)
{
	struct hps_inode *inode = hps_arena_take(&t->arena, sizeof *inode);

	inode->dev = dev;
	inode->ino = ino;
	inode->older = t->newest;
	t->newest = inode;
	if (!*slot)
		t->n++;
	*slot = inode;
	return inode;
}

/* When the file was made; 0 when the file system does not say. */
static int64_t born(int fd)
{
	struct statx s;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &s) || !(s.stx_mask & STATX_BTIME))
		return 0;
	return s.stx_btime.tv_sec * 1000000000ll + s.stx_btime.tv_nsec;
}

struct hps_inode *hps_inode_find(const struct hps_inodes *t, dev_t dev, ino_t ino)
{
	return t->n_slots ? *slot_of(t, dev, ino) : NULL;
}

struct hps_inode *hps_inode_get(struct hps_inodes *t, int fd, const struct stat *s)
{
	struct hps_inode **slot;

	if (3 * t->n >= 2 * t->n_slots)
		grow(t);
	slot = slot_of(t, s->st_dev, s->st_ino);
	/* A number that somebody else freed and the file system gave out again is another file. */
	if (*slot && !(*slot)->gone && (!(*slot)->born_ns || fd < 0 || (*slot)->born_ns == born(fd)))
		return *slot;
	return add(t, slot, s->st_dev, s->st_ino);
}

void hps_inode_made(struct hps_inodes *t, int fd, const struct stat *s)
{
	struct hps_inode *inode;

	if (!S_ISREG(s->st_mode))
		return;
	hps_inode_gone(t, s);
	inode = hps_inode_get(t, -1, s);
	inode->made = true;
	inode->born_ns = born(fd);
}

void hps_inode_written(struct hps_inode *inode, int fd)
{
	inode->written = true;
	if (!inode->born_ns && fd >= 0)
		inode->born_ns = born(fd);
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
	free(t->slots);
}
