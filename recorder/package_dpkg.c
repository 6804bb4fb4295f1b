/* Debian's database: text files below /var/lib/dpkg. One pass over its lists against the set of wanted paths, so that the cost
 * follows the size of the database (some ten milliseconds) and not the number of files that the trial read. */
#include "recorder/package.h"

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

static struct hps_owner *find(const struct hps_map *owners, const char *path)
{
	char merged_path[4200];
	struct hps_owner *o = hps_map_get(owners, path);

	for (size_t i = 0; !o && i < ARRAY_SIZE(merged); i++) {
		if (strncmp(path, merged[i], strlen(merged[i])) != 0)
			continue;
		if ((size_t)snprintf(merged_path, sizeof merged_path, "/usr%s", path) < sizeof merged_path)
			o = hps_map_get(owners, merged_path);
	}
	return o;
}

/* The next line of *at, its end cut; NULL at the end. */
static char *next_line(char **at)
{
	char *line = *at, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	if (end)
		*end++ = '\0';
	*at = end;
	return line;
}

/* ---- diversions: threes of lines: path, where it went, by which package (":" for the administrator) ---- */

void hps_dpkg_diversions(struct hps_dpkg *d, char *text)
{
	char *from, *to, *by;

	while ((from = next_line(&text)) && (to = next_line(&text)) && (by = next_line(&text))) {
		void **slot = hps_map_slot(&d->diverted, from);
		size_t n = strlen(to) + 1;
		char *pair;

		if (*slot)
			continue;
		*slot = pair = hps_alloc(n + strlen(by) + 1);
		memcpy(pair, to, n);
		memcpy(pair + n, by, strlen(by) + 1);
	}
}

/* Where the package's file `path` really lies. */
static const char *place_of(const struct hps_dpkg *d, const char *path, const char *package)
{
	const char *to = d->diverted.n ? hps_map_get(&d->diverted, path) : NULL, *by = to ? to + strlen(to) + 1 : NULL;
	size_t n = strcspn(package, ":");

	if (!to || (strlen(by) == n && !memcmp(by, package, n)))
		return path;
	return to;
}

/* ---- lists, sums and versions ---- */

static void claim(struct hps_owner *o, const char *package)
{
	if (!o || o->package)
		return;
	o->package = hps_strdup(package);
	o->manager = hps_package_managers[0];
}

/* The first owner wins: what two packages share (documentation of several architectures) is the same file. */
void hps_dpkg_list(const struct hps_dpkg *d, struct hps_map *owners, char *text, const char *package)
{
	for (char *line; (line = next_line(&text));)
		claim(find(owners, place_of(d, line, package)), package);
}

static bool owns(const struct hps_owner *o, const char *package)
{
	return o && o->package && o->manager == hps_package_managers[0] && !strcmp(o->package, package);
}

/* "<md5>  usr/lib/x": no leading slash; configuration files are not among them. */
void hps_dpkg_md5sums(const struct hps_dpkg *d, struct hps_map *owners, char *text, const char *package, bool claims)
{
	for (char *line; (line = next_line(&text));) {
		char path[4200];
		struct hps_owner *o;

		if (strlen(line) < 35 || line[32] != ' ' || (size_t)snprintf(path, sizeof path, "/%s", line + 34) >= sizeof path)
			continue;
		o = find(owners, place_of(d, path, package));
		if (claims)
			claim(o, package);
		if (owns(o, package))
			hps_owner_want(o, HPS_CHECKSUM_MD5, line, 32);
	}
}

/* " /etc/x <md5>[ obsolete]" below "Conffiles:" */
static void conffile(const struct hps_dpkg *d, struct hps_map *owners, char *line, const char *package)
{
	char *sum = strchr(line + 1, ' ');
	struct hps_owner *o;

	if (!sum)
		return;
	*sum++ = '\0';
	o = find(owners, place_of(d, line + 1, package));
	if (owns(o, package))
		hps_owner_want(o, HPS_CHECKSUM_MD5, sum, strcspn(sum, " "));
}

/* The name under which a list of this package was met, or NULL. */
static const char *met_as(const struct hps_dpkg *d, const char *package, const char *full)
{
	return hps_map_get(&d->packages, full) ? full : hps_map_get(&d->packages, package) ? package : NULL;
}

/* One paragraph, from its first line on: its version goes to `versions` under the name of its list. */
static void paragraph(const struct hps_dpkg *d, struct hps_map *owners, struct hps_map *versions, char **text)
{
	const char *package = NULL, *architecture = "", *version = NULL, *name;
	_cleanup_free_ char *full = NULL;
	char *line, *conffiles = NULL;
	size_t n_conffiles = 0;
	bool inside = false;

	while ((line = next_line(text)) && *line) {
		if (!strncmp(line, "Package: ", 9))
			package = line + 9;
		else if (!strncmp(line, "Architecture: ", 14))
			architecture = line + 14;
		else if (!strncmp(line, "Version: ", 9))
			version = line + 9;
		else if (!strcmp(line, "Conffiles:") && !conffiles)
			conffiles = *text;
		inside = conffiles && (conffiles == *text || (inside && *line == ' '));
		n_conffiles += inside && line >= conffiles;
	}
	if (!package || !version)
		return;
	full = hps_format("%s:%s", package, architecture);
	name = met_as(d, package, full);
	if (!name)
		return;
	if (!*hps_map_slot(versions, name))
		*hps_map_slot(versions, name) = hps_format("%s %s", package, version);
	/* The lines were cut at their ends above: each is a string behind the other. */
	for (char *at = conffiles, *next; n_conffiles; n_conffiles--, at = next) {
		next = at + strlen(at) + 1;
		conffile(d, owners, at, name);
	}
}

void hps_dpkg_status(const struct hps_dpkg *d, struct hps_map *owners, struct hps_map *versions, char *text)
{
	while (text && *text)
		paragraph(d, owners, versions, &text);
}

void hps_dpkg_release(struct hps_dpkg *d)
{
	for (size_t i = 0; i < d->diverted.n; i++)
		free(d->diverted.items[i].value);
	hps_map_release(&d->diverted);
	hps_map_release(&d->packages);
}

/* ---- the files ---- */

static int read_file(const char *root, const char *path, size_t max, struct hps_buf *ret)
{
	_cleanup_free_ char *full = hps_format("%s%s", root, path);

	hps_buf_init(ret, max);
	return hps_file_read(AT_FDCWD, full, max, ret, NULL);
}

static void set_versions(struct hps_map *owners, const struct hps_map *versions)
{
	for (size_t i = 0; i < owners->n; i++) {
		struct hps_owner *o = owners->items[i].value;
		const char *full = o->package && o->manager == hps_package_managers[0] ? hps_map_get(versions, o->package) : NULL;

		if (!full)
			continue;
		free(o->package);
		o->package = hps_strdup(full);
	}
}

/* "name:arch" from "name:arch<ending>"; NULL for dpkg's other files. Heap. */
static char *package_of(const char *file, const char *ending)
{
	size_t len = strlen(file), n = strlen(ending);

	return len > n && !strcmp(file + len - n, ending) ? hps_strndup(file, len - n) : NULL;
}

static void read_lists(const struct hps_dpkg *d, DIR *dir, struct hps_map *owners)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct dirent *e;

	hps_buf_init(&text, LIST_MAX);
	while ((e = readdir(dir))) {
		_cleanup_free_ char *package = package_of(e->d_name, ".list");

		if (!package)
			continue;
		hps_buf_reset(&text);
		if (hps_file_read(dirfd(dir), e->d_name, LIST_MAX, &text, NULL) == 0 && text.data)
			hps_dpkg_list(d, owners, text.data, package);
	}
}

static void note_packages(struct hps_dpkg *d, const struct hps_map *owners)
{
	for (size_t i = 0; i < owners->n; i++) {
		const struct hps_owner *o = owners->items[i].value;

		if (o->package && o->manager == hps_package_managers[0])
			*hps_map_slot(&d->packages, o->package) = d;
	}
}

/* The usual database: lists, then of the owners alone their sums, and everybody's status. */
static void read_info(const char *root, struct hps_dpkg *d, DIR *dir, struct hps_map *owners, struct hps_map *versions)
{
	_cleanup_buf_ struct hps_buf status = HPS_BUF_INIT;

	read_lists(d, dir, owners);
	note_packages(d, owners);
	for (size_t i = 0; i < d->packages.n; i++) {
		_cleanup_free_ char *name = hps_format(DPKG "/info/%s.md5sums", d->packages.items[i].key);
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		if (read_file(root, name, LIST_MAX, &text) == 0 && text.data)
			hps_dpkg_md5sums(d, owners, text.data, d->packages.items[i].key, false);
	}
	if (read_file(root, DPKG "/status", STATUS_MAX, &status) == 0 && status.data)
		hps_dpkg_status(d, owners, versions, status.data);
}

/* Images without a package manager ("distroless") keep a paragraph and the sums of each package in files of their own. */
static void read_status_d(const char *root, struct hps_dpkg *d, DIR *dir, struct hps_map *owners, struct hps_map *versions)
{
	struct dirent *e;

	while ((e = readdir(dir))) {
		_cleanup_free_ char *package = package_of(e->d_name, ".md5sums"), *name = NULL;
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, status = HPS_BUF_INIT;

		if (!package)
			continue;
		hps_buf_init(&text, LIST_MAX);
		if (hps_file_read(dirfd(dir), e->d_name, LIST_MAX, &text, NULL) || !text.data)
			continue;
		hps_dpkg_md5sums(d, owners, text.data, package, true);
		note_packages(d, owners);
		name = hps_format(DPKG "/status.d/%s", package);
		if (read_file(root, name, STATUS_MAX, &status) == 0 && status.data)
			hps_dpkg_status(d, owners, versions, status.data);
	}
}

static DIR *open_directory(const char *root, const char *path)
{
	_cleanup_free_ char *full = hps_format("%s%s", root, path);

	return opendir(full);
}

int hps_dpkg_find(const char *root, struct hps_map *owners, json_t *rows)
{
	DIR *info = open_directory(root, DPKG "/info"), *status_d = open_directory(root, DPKG "/status.d");
	struct hps_map versions = HPS_MAP_INIT;
	struct hps_dpkg d = { HPS_MAP_INIT, HPS_MAP_INIT };
	_cleanup_buf_ struct hps_buf diversions = HPS_BUF_INIT;

	(void)rows;
	if (read_file(root, DPKG "/diversions", LIST_MAX, &diversions) == 0 && diversions.data)
		hps_dpkg_diversions(&d, diversions.data);
	if (info) {
		read_info(root, &d, info, owners, &versions);
		closedir(info);
	}
	if (status_d) {
		read_status_d(root, &d, status_d, owners, &versions);
		closedir(status_d);
	}
	set_versions(owners, &versions);
	for (size_t i = 0; i < versions.n; i++)
		free(versions.items[i].value);
	hps_map_release(&versions);
	hps_dpkg_release(&d);
	return info || status_d ? 0 : -ENOENT;
}
