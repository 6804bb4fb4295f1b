/* Python distributions in use: those of which the trial read a file. A distribution is a directory `<name>-<version>.dist-info` or
 * `.egg-info` (or, from Debian's older packages, a file `….egg-info`) beside its modules; what it owns is in RECORD, in
 * top_level.txt, or follows from its name. */
#include "recorder/identity.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define METADATA_MAX ((size_t)1 << 20)

static const char *const site_directories[] = { "/site-packages/", "/dist-packages/" };

/* The directory of distributions that path lies in, with its slash; its length, or 0. */
static size_t site_of(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(site_directories); i++) {
		const char *at = strstr(path, site_directories[i]);

		if (at)
			return (size_t)(at - path) + strlen(site_directories[i]);
	}
	return 0;
}

/* For each site directory, the top-level names of which a file was read: keys "<site>/<name>" without an extension. */
static void collect(const struct hps_strv *paths, struct hps_map *sites, struct hps_map *names)
{
	for (size_t i = 0; i < paths->n; i++) {
		const char *path = paths->v[i];
		size_t len = site_of(path), name_len;
		_cleanup_free_ char *site = len ? hps_strndup(path, len) : NULL, *name = NULL;

		if (!site)
			continue;
		(void)hps_map_slot(sites, site);
		name_len = strcspn(path + len, "/.");
		name = hps_strndup(path, len + name_len);
		*hps_map_slot(names, name) = paths->v[i];
	}
}

/* The value of a header line; headers end at the first empty line. Heap, or NULL. */
static char *header(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = text; *line && *line != '\n';) {
		if (!strncmp(line, name, len) && line[len] == ':') {
			line += len + 1;
			line += strspn(line, " \t");
			return hps_strndup(line, strcspn(line, "\r\n"));
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return NULL;
}

/* Whether one of the top-level names of the distribution at `info` was read. */
static bool in_use(const char *site, const char *info, const char *name, const struct hps_map *names)
{
	_cleanup_free_ char *top_path = hps_format("%s%s/top_level.txt", site, info), *top = NULL, *record_path = NULL, *plain = NULL;
	_cleanup_buf_ struct hps_buf record = HPS_BUF_INIT;
	char *rest = NULL;

	top = hps_identity_read(top_path);
	for (char *line = top ? strtok_r(top, "\r\n", &rest) : NULL; line; line = strtok_r(NULL, "\r\n", &rest)) {
		_cleanup_free_ char *key = hps_format("%s%s", site, line);

		if (hps_map_get(names, key))
			return true;
	}
	if (top)
		return false;
	hps_buf_init(&record, METADATA_MAX * 64);
	record_path = hps_format("%s%s/RECORD", site, info);
	if (hps_file_read(AT_FDCWD, record_path, METADATA_MAX * 64, &record, NULL) == 0 && record.data)
		for (char *line = strtok_r(record.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
			_cleanup_free_ char *key = hps_format("%s%.*s", site, (int)strcspn(line, "/.,"), line);

			if (hps_map_get(names, key))
				return true;
		}
	plain = hps_format("%s%s", site, name);
	for (char *c = plain + strlen(site); *c; c++)
		*c = *c == '-' ? '_' : *c;
	return hps_map_get(names, plain) != NULL;
}

static void add(json_t *items, const char *site, const char *info, const struct hps_map *names)
{
	static const char *const metadata[] = { "/METADATA", "/PKG-INFO", "" };
	_cleanup_free_ char *base = hps_format("%s%s", site, info), *installer_path = hps_format("%s/INSTALLER", base);
	_cleanup_free_ char *name = NULL, *version = NULL, *installer = NULL;
	json_t *item;

	for (size_t i = 0; i < ARRAY_SIZE(metadata) && !name; i++) {
		_cleanup_free_ char *path = hps_format("%s%s", base, metadata[i]);
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		hps_buf_init(&text, METADATA_MAX);
		if (hps_file_read(AT_FDCWD, path, METADATA_MAX, &text, NULL) || !text.data)
			continue;
		name = header(text.data, "Name");
		version = header(text.data, "Version");
	}
	if (!name || !in_use(site, info, name, names))
		return;
	installer = hps_identity_read(installer_path);
	item = json_object();
	hps_json_set(item, "name", hps_path_json(name));
	hps_json_set(item, "version", hps_path_json(version ? version : ""));
	hps_json_set(item, "path", hps_path_json(base));
	if (installer)
		hps_json_set(item, "installer", hps_path_json(installer));
	hps_json_add(items, item);
}

static bool is_info(const char *name)
{
	static const char *const endings[] = { ".dist-info", ".egg-info" };
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		if (len > strlen(endings[i]) && !strcmp(name + len - strlen(endings[i]), endings[i]))
			return true;
	return false;
}

json_t *hps_python_distributions(const struct hps_strv *paths)
{
	struct hps_map sites = HPS_MAP_INIT, names = HPS_MAP_INIT;
	json_t *items = json_array();

	collect(paths, &sites, &names);
	for (size_t i = 0; i < sites.n; i++) {
		struct hps_strv infos = HPS_STRV_INIT;
		DIR *dir = opendir(sites.items[i].key);
		struct dirent *e;

		while (dir && (e = readdir(dir)))
			if (is_info(e->d_name))
				hps_strv_add(&infos, e->d_name);
		if (dir)
			closedir(dir);
		hps_strv_sort(&infos);
		for (size_t k = 0; k < infos.n; k++)
			add(items, sites.items[i].key, infos.v[k], &names);
		hps_strv_release(&infos);
	}
	hps_map_release(&sites);
	hps_map_release(&names);
	return items;
}
