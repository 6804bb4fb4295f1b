/* conda's database: a JSON file a package in <prefix>/conda-meta. It gives the SHA-256 of each file as it was installed, with the
 * prefix written into it: that one is compared. Looked for in every directory above a path that no other package owns. */
#include "recorder/package.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define META_MAX ((size_t)64 << 20)
#define PACKAGES_MAX 10000

void hps_conda_package(struct hps_map *owners, const char *prefix, const char *text, size_t len)
{
	_cleanup_json_ json_t *meta = NULL;
	const char *name, *version, *build;
	const json_t *path;
	size_t i;

	if (hps_json_parse(text, len, &meta, NULL))
		return;
	name = hps_json_text(meta, "name");
	version = hps_json_text(meta, "version");
	build = hps_json_text(meta, "build");
	if (!name || !version)
		return;
	json_array_foreach(hps_json_at(meta, "paths_data", "paths", NULL), i, path) {
		const char *relative = hps_json_text(path, "_path"), *digest = hps_json_text(path, "sha256_in_prefix");
		_cleanup_free_ char *full = relative ? hps_format("%s/%s", prefix, relative) : NULL;
		struct hps_owner *o = full ? hps_map_get(owners, full) : NULL;

		if (!o || o->package)
			continue;
		o->package = hps_format("%s %s%s%s", name, version, build ? "=" : "", build ? build : "");
		o->manager = hps_package_managers[3];
		digest = digest ? digest : hps_json_text(path, "sha256");
		if (digest)
			hps_owner_want(o, HPS_CHECKSUM_SHA256, digest, strlen(digest));
	}
}

static void read_prefix(const char *root, const char *prefix, struct hps_map *owners)
{
	_cleanup_free_ char *path = hps_format("%s%s/conda-meta", root, prefix);
	DIR *dir = opendir(path);
	struct dirent *e;
	size_t n = 0;

	while (dir && n < PACKAGES_MAX && (e = readdir(dir))) {
		size_t len = strlen(e->d_name);
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		if (len < 6 || strcmp(e->d_name + len - 5, ".json") != 0)
			continue;
		n++;
		hps_buf_init(&text, META_MAX);
		if (hps_file_read(dirfd(dir), e->d_name, META_MAX, &text, NULL) == 0 && text.data)
			hps_conda_package(owners, prefix, text.data, text.len);
	}
	if (dir)
		closedir(dir);
}

static bool is_prefix(const char *root, const char *directory)
{
	_cleanup_free_ char *path = hps_format("%s%s/conda-meta/history", root, directory);
	_cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);

	return fd >= 0;
}

/* Each directory is looked at once, whatever number of files lies below it. */
static void collect(const char *root, const char *path, struct hps_map *seen, struct hps_strv *prefixes)
{
	_cleanup_free_ char *directory = hps_strdup(path);
	char *slash;

	while ((slash = strrchr(directory, '/')) && slash > directory) {
		void **slot;

		*slash = '\0';
		slot = hps_map_slot(seen, directory);
		if (*slot)
			return;
		*slot = seen;
		if (is_prefix(root, directory))
			hps_strv_add(prefixes, directory);
	}
}

void hps_conda_find(const char *root, struct hps_map *owners)
{
	struct hps_map seen = HPS_MAP_INIT;
	_cleanup_strv_ struct hps_strv prefixes = HPS_STRV_INIT;

	for (size_t i = 0; i < owners->n; i++)
		if (!((const struct hps_owner *)owners->items[i].value)->package)
			collect(root, owners->items[i].key, &seen, &prefixes);
	for (size_t i = 0; i < prefixes.n; i++)
		read_prefix(root, prefixes.v[i], owners);
	hps_map_release(&seen);
}
