/* Which Debian package owns a path. One pass over dpkg's lists against the set of wanted paths, so the cost follows the size of the
 * database (some ten milliseconds) and not the number of files that the trial read. */
#include "recorder/identity.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define DPKG "/var/lib/dpkg"
#define LIST_MAX ((size_t)64 << 20)
#define STATUS_MAX ((size_t)256 << 20)

/* Directories that merged-/usr systems reach under two names; dpkg's lists have either. */
static const char *const merged[] = { "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/" };

static void **find(struct hps_map *paths, const char *path)
{
	char merged_path[4200];
	void **slot = hps_map_find(paths, path);

	for (size_t i = 0; !slot && i < ARRAY_SIZE(merged); i++) {
		if (strncmp(path, merged[i], strlen(merged[i])) != 0)
			continue;
		if ((size_t)snprintf(merged_path, sizeof merged_path, "/usr%s", path) < sizeof merged_path)
			slot = hps_map_find(paths, merged_path);
	}
	return slot;
}

/* "name:arch" from "name:arch.list", or NULL for dpkg's other files. */
static char *package_of(const char *file)
{
	size_t len = strlen(file);

	return len > 5 && !strcmp(file + len - 5, ".list") ? hps_strndup(file, len - 5) : NULL;
}

/* The first owner wins: later ones come by diversion, and the recorder has the file's own digest anyway. */
static void match(struct hps_map *paths, char *list, const char *package)
{
	for (char *line = list, *end; line && *line; line = end) {
		void **slot;

		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		slot = find(paths, line);
		if (slot && !*slot)
			*slot = hps_strdup(package);
	}
}

/* Versions of the packages named in `wanted` (keys: "name" or "name:arch"). */
static void read_versions(struct hps_map *wanted)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	const char *package = NULL, *architecture = NULL, *version = NULL;

	hps_buf_init(&text, STATUS_MAX);
	if (hps_file_read(AT_FDCWD, DPKG "/status", STATUS_MAX, &text, NULL))
		return;
	for (char *line = text.data, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (!strncmp(line, "Package: ", 9)) {
			package = line + 9;
		} else if (!strncmp(line, "Architecture: ", 14)) {
			architecture = line + 14;
		} else if (!strncmp(line, "Version: ", 9)) {
			version = line + 9;
		} else if (!*line && package && version) {
			_cleanup_free_ char *full = hps_format("%s:%s", package, architecture ? architecture : "");
			void **slot = hps_map_find(wanted, package);

			slot = slot ? slot : hps_map_find(wanted, full);
			if (slot && !*slot)
				*slot = hps_format("%s %s", package, version);
			package = architecture = version = NULL;
		}
	}
}

/* Replaces the package names in `paths` by "name version". */
static void name_versions(struct hps_map *paths)
{
	struct hps_map wanted = HPS_MAP_INIT;

	for (size_t i = 0; i < paths->n; i++)
		if (paths->items[i].value)
			(void)hps_map_slot(&wanted, paths->items[i].value);
	read_versions(&wanted);
	for (size_t i = 0; i < paths->n; i++) {
		const char *full = paths->items[i].value ? hps_map_get(&wanted, paths->items[i].value) : NULL;

		if (full) {
			free(paths->items[i].value);
			paths->items[i].value = hps_strdup(full);
		}
	}
	for (size_t i = 0; i < wanted.n; i++)
		free(wanted.items[i].value);
	hps_map_release(&wanted);
}

int hps_packages_find(struct hps_map *paths)
{
	_cleanup_buf_ struct hps_buf list = HPS_BUF_INIT;
	DIR *dir = opendir(DPKG "/info");
	struct dirent *e;

	if (!dir)
		return -errno;
	hps_buf_init(&list, LIST_MAX);
	while ((e = readdir(dir))) {
		_cleanup_free_ char *package = package_of(e->d_name);

		if (!package)
			continue;
		hps_buf_reset(&list);
		if (hps_file_read(dirfd(dir), e->d_name, LIST_MAX, &list, NULL) == 0 && list.data)
			match(paths, list.data, package);
	}
	closedir(dir);
	name_versions(paths);
	return 0;
}
