/* The table of paths: an open-addressed one over a list. A path stands in its own entry, which lives as
 * long as the table. */
#include "recorder/recorder.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t *slot_of(const struct hps_files *f, const char *path)
{
	size_t mask = f->n_slots - 1;

	for (size_t i = hps_map_hash(path) & mask;; i = (i + 1) & mask)
		if (!f->slots[i] || !strcmp(f->all[f->slots[i] - 1]->path, path))
			return &f->slots[i];
}

static void fill(struct hps_files *f, size_t n_slots)
{
	free(f->slots);
	f->slots = hps_alloc(n_slots * sizeof *f->slots);
	f->n_slots = n_slots;
	for (size_t i = 0; i < f->n; i++)
		*slot_of(f, f->all[i]->path) = (uint32_t)(i + 1);
}

static struct hps_file *add(struct hps_files *f, const char *path)
{
	size_t len = strlen(path) + 1;
	struct hps_file *file = hps_arena_take(&f->arena, (offsetof(struct hps_file, path) + len + 7) & ~(size_t)7);

	memcpy(file->path, path, len);
	if (f->n == f->cap) {
		f->cap += f->cap < 8192 ? f->cap + 512 : f->cap / 8;
		f->all = hps_realloc(f->all, f->cap, sizeof *f->all);
	}
	f->all[f->n++] = file;
	return file;
}

struct hps_file *hps_files_get(struct hps_files *f, const char *path)
{
	uint32_t *slot;

	if (3 * f->n >= 2 * f->n_slots)
		fill(f, f->n_slots ? 2 * f->n_slots : 1024);
	slot = slot_of(f, path);
	if (*slot)
		return f->all[*slot - 1];
	*slot = (uint32_t)f->n + 1;
	return add(f, path);
}

struct hps_file *hps_files_find(const struct hps_files *f, const char *path)
{
	uint32_t *slot = f->n_slots ? slot_of(f, path) : NULL;

	return slot && *slot ? f->all[*slot - 1] : NULL;
}

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct hps_file *const *)a)->path, (*(struct hps_file *const *)b)->path);
}

void hps_files_sort(struct hps_files *f)
{
	if (!f->n)
		return;
	qsort(f->all, f->n, sizeof(struct hps_file *), by_path);
	fill(f, f->n_slots);
}

const struct hps_rare *hps_file_rare(const struct hps_file *file)
{
	static const struct hps_rare none = { .held = -1 };

	return file->rare ? file->rare : &none;
}

struct hps_rare *hps_file_rare_make(struct hps_file *file)
{
	if (!file->rare) {
		file->rare = hps_alloc(sizeof *file->rare);
		file->rare->held = -1;
	}
	return file->rare;
}

struct hps_final *hps_file_final_make(struct hps_file *file)
{
	struct hps_rare *rare = hps_file_rare_make(file);

	if (!rare->final)
		rare->final = hps_alloc(sizeof *rare->final);
	return rare->final;
}

/* ---- names as they were given ---- */

/* Most names are real paths: those need no second entry. */
struct hps_file *hps_files_named(const struct hps_files *f, const char *name)
{
	struct hps_file *file = hps_files_find(f, name);

	return file && file->named == f->names + 1 ? file : hps_map_get(&f->by_name, name);
}

void hps_files_name(struct hps_files *f, const char *name, struct hps_file *file)
{
	struct hps_file *real = hps_files_find(f, name);

	if (real)
		real->named = real == file ? f->names + 1 : 0;
	if (!real || real != file)
		*hps_map_slot(&f->by_name, name) = file;
}

void hps_files_forget_names(struct hps_files *f)
{
	f->names++;
	hps_map_release(&f->by_name);
	hps_map_release(&f->plain);
}

/* ---- the end ---- */

static void release_rare(struct hps_rare *r)
{
	free(r->target);
	free(r->listing);
	free(r->attributes);
	free(r->from);
	if (r->final) {
		free(r->final->target);
		json_decref(r->final->extended);
	}
	free(r->final);
	if (r->held >= 0)
		close(r->held);
	free(r);
}

void hps_files_release(struct hps_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->all[i]->rare)
			release_rare(f->all[i]->rare);
	hps_arena_release(&f->arena);
	hps_inodes_release(&f->inodes);
	free(f->all);
	free(f->slots);
	free(f->expected);
	hps_map_release(&f->by_name);
	hps_map_release(&f->misses);
	hps_listings_release(&f->listings);
	hps_map_release(&f->plain);
	hps_strv_release(&f->moved);
}
