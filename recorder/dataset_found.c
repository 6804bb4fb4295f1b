/* Data sets that nobody declared: directories of which the trial read files that are neither code nor a package's. Their digests
 * are over the files that were read, as they were read; what else lies there does not count. */
#include "recorder/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "recorder/dataset.h"

#define FILES_MIN 8
#define BYTES_MIN (64 << 10)
#define SIBLINGS_MAX 8 /* more directories than this below one are its parts, such as classes */
#define SETS_MAX 32

/* What is code or configuration by its name. */
static const char *const endings[] = { ".py", ".pyc", ".so", ".pth", ".sh", ".R", ".jl", ".lua", ".js", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".conf", ".egg-link" };
static const char *const places[] = { "/usr/", "/etc/", "/lib", "/bin/", "/sbin/", "/proc/", "/sys/", "/dev/", "/var/lib/", "/var/cache/", "/run/" };
static const char *const parts[] = { "/site-packages/", "/dist-packages/", "/.git/", "/.cache/", "/__pycache__/", "/conda-meta/" };

static bool is_data(const struct hps_file *file, bool owned)
{
	size_t len = strlen(file->path);

	if (!(file->uses & HPS_USE_READ) || file->uses & (HPS_USE_EXEC | HPS_USE_INTERPRETER) || file->special || !S_ISREG(file->mode) || !file->first || owned ||
	    file->first->shared_object || file->first->secret || hps_file_rare(file)->descriptors || atomic_load(&file->first->state) != HPS_CONTENT_DONE)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (len > strlen(endings[i]) && !strcmp(file->path + len - strlen(endings[i]), endings[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!strncmp(file->path, places[i], strlen(places[i])))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strstr(file->path, parts[i]))
			return false;
	return true;
}

static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash > path ? hps_strndup(path, (size_t)(slash - path)) : NULL;
}

struct group {
	size_t n_files, n_groups; /* n_groups: directories below that were merged into it, or would be */
	uint64_t bytes;
	uint32_t number; /* of its item in the map, from 1 */
};

static struct group *group_at(struct hps_map *groups, const char *directory)
{
	void **slot = hps_map_slot(groups, directory);
	struct group *g = *slot;

	if (!g) {
		*slot = g = hps_alloc(sizeof *g);
		g->number = (uint32_t)groups->n;
	}
	return g;
}

/* The directory that a file is counted to: its own, or the one above when that has many such. Heap. */
static char *home_of(const struct hps_map *siblings, const char *path)
{
	char *own = parent_of(path);
	_cleanup_free_ char *above = own ? parent_of(own) : NULL;
	const struct group *g = above ? hps_map_get(siblings, above) : NULL;

	if (!g || g->n_groups <= SIBLINGS_MAX)
		return own;
	free(own);
	return hps_take(above);
}

/* The files that the trial touched, and of each that is data which group it is counted to, by its number; 0: none. */
struct data {
	struct hps_file *const *files;
	uint32_t *homes;
	size_t n;
	struct hps_map groups; /* struct group *; by directory */
};

static void count_siblings(const struct data *all, struct hps_map *siblings)
{
	struct hps_map seen = HPS_MAP_INIT;

	for (size_t i = 0; i < all->n; i++) {
		_cleanup_free_ char *own = all->homes[i] ? parent_of(all->files[i]->path) : NULL, *above = own ? parent_of(own) : NULL;
		void **slot = above ? hps_map_slot(&seen, own) : NULL;

		if (slot && !*slot)
			group_at(siblings, above)->n_groups++;
		if (slot)
			*slot = siblings;
	}
	hps_map_release(&seen);
}

static json_t *set_json(const struct data *all, size_t home)
{
	const char *directory = all->groups.items[home].key;
	_cleanup_free_ char *name = hps_format("detected:%s", directory);
	struct hps_dataset_sum *sum = hps_dataset_begin();
	struct hps_dataset d;
	json_t *item = json_object(), *annotations;

	for (size_t i = 0; i < all->n; i++) {
		const struct hps_file *file = all->files[i];
		struct hps_dataset_leaf leaf = { .type = 'f' };

		if (all->homes[i] != home + 1)
			continue;
		leaf.path = file->path + strlen(directory) + 1;
		leaf.executable = file->mode & 0100;
		leaf.bytes = (uint64_t)file->first->id.size;
		leaf.digest = file->first->digest;
		hps_dataset_add(sum, &leaf);
	}
	hps_dataset_end(sum, &d);
	annotations = hps_dataset_size_json(&d, directory);
	hps_json_set(annotations, "detected", json_true());
	hps_json_set(item, "name", hps_path_json(name));
	hps_json_set(item, "digest", hps_dataset_digest_json(&d));
	hps_json_set(item, "annotations", annotations);
	return item;
}

static void release_groups(struct hps_map *groups)
{
	for (size_t i = 0; i < groups->n; i++)
		free(groups->items[i].value);
	hps_map_release(groups);
}

/* The others have no home. */
static void pick(struct data *all)
{
	for (size_t i = 0; i < all->n; i++)
		all->homes[i] = is_data(all->files[i], all->homes[i]);
}

static void find_homes(struct data *all, const struct hps_map *siblings)
{
	for (size_t i = 0; i < all->n; i++) {
		_cleanup_free_ char *home = all->homes[i] ? home_of(siblings, all->files[i]->path) : NULL;
		struct group *g = home ? group_at(&all->groups, home) : NULL;

		all->homes[i] = g ? g->number : 0;
		if (!g)
			continue;
		g->n_files++;
		g->bytes += (uint64_t)all->files[i]->first->id.size;
	}
}

void hps_datasets_found(struct hps_file *const *list, size_t n, uint32_t *owned, json_t *dependencies)
{
	struct data all = { .files = list, .homes = owned, .n = n };
	struct hps_map siblings = HPS_MAP_INIT;
	size_t n_sets = 0;

	pick(&all);
	count_siblings(&all, &siblings);
	find_homes(&all, &siblings);
	for (size_t i = 0; i < all.groups.n && n_sets < SETS_MAX; i++) {
		const struct group *g = all.groups.items[i].value;

		if (g->n_files < FILES_MIN && g->bytes < BYTES_MIN)
			continue;
		hps_json_add(dependencies, set_json(&all, i));
		n_sets++;
	}
	release_groups(&siblings);
	release_groups(&all.groups);
}
