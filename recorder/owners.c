/* Owners of files as the system's package databases told them before, and whether the files were still their packages'. Reading the
 * databases takes some 50 ms, and reading a gigabyte of libraries again a second, which a short trial would feel; they change only
 * when the package manager rewrites its files, and the cache is void then. */
#include "recorder/package.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CACHE_MAX ((size_t)16 << 20)
#define CHECK_LIMIT_NS 30000000000

/* What a package manager changes whenever it installs or removes. */
static const char *const stamped[] = {
	"/var/lib/dpkg/status", "/var/lib/dpkg/info", "/var/lib/dpkg/status.d", "/var/lib/dpkg/diversions", "/var/lib/rpm/rpmdb.sqlite",
	"/var/lib/rpm/rpmdb.sqlite-wal", "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
	"/lib/apk/db/installed", "/usr/lib/apk/db/installed",
};
static const char states[] = "?=!"; /* of enum hps_pristine */

/* First line of the cache: what the databases looked like. NULL: there is none. */
static char *stamp(const char *root)
{
	_cleanup_buf_ struct hps_buf line = HPS_BUF_INIT;
	bool any = false;

	hps_buf_adds(&line, "hpsown2");
	for (size_t i = 0; i < ARRAY_SIZE(stamped); i++) {
		_cleanup_free_ char *path = hps_format("%s%s", root, stamped[i]);
		struct stat s;

		if (stat(path, &s)) {
			hps_buf_adds(&line, " -");
			continue;
		}
		any = true;
		hps_buf_addf(&line, " %llx:%llx:%llx:%lld.%09ld", (unsigned long long)s.st_dev, (unsigned long long)s.st_ino, (unsigned long long)s.st_size,
			     (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
	}
	hps_buf_addc(&line, '\n');
	return any ? hps_buf_take(&line) : NULL;
}

/* One line: "<path>\t<sha256>\t<state>\t<manager>\t<package>", or "<path>" for nobody's. What is known goes into its owner; a line about another content
 * than the trial got says nothing. */
static void use_line(char *line, struct hps_map *owners, struct hps_map *nobody)
{
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
	char *rest = NULL, *name = strtok_r(line, "\t", &rest), *digest = strtok_r(NULL, "\t", &rest), *state = strtok_r(NULL, "\t", &rest);
	char *manager = strtok_r(NULL, "\t", &rest), *package = strtok_r(NULL, "\t", &rest);
	char hex[HPS_DIGEST_HEX];
	struct hps_owner *o;

	if (!name || hps_path_unescape(name, &path, NULL) || !path.data)
		return;
	o = hps_map_get(owners, path.data);
	if (!o || o->package)
		return;
	if (!package) {
		*hps_map_slot(nobody, path.data) = o;
		return;
	}
	hps_digest_hex(&o->content, hex);
	if (strcmp(digest, o->hashed ? hex : "-") != 0 || !strchr(states, *state) || !hps_package_manager(manager))
		return;
	o->package = hps_strdup(package);
	o->manager = hps_package_manager(manager);
	o->pristine = (enum hps_pristine)(strchr(states, *state) - states);
}

static void load(int dir, const char *expected, struct hps_map *owners, struct hps_map *nobody, struct hps_buf *ret)
{
	_cleanup_fd_ int fd = dir < 0 ? -1 : hps_file_open_own(dir, "owners");
	_cleanup_free_ char *text = NULL;

	hps_buf_init(ret, CACHE_MAX);
	if (fd < 0 || hps_file_read_fd(fd, CACHE_MAX, ret, NULL) || !ret->data || strncmp(ret->data, expected, strlen(expected)) != 0) {
		hps_buf_reset(ret);
		hps_buf_adds(ret, expected);
		return;
	}
	text = hps_strdup(ret->data + strlen(expected));
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		use_line(line, owners, nobody);
	}
}

static void add_line(struct hps_buf *cache, const char *path, const struct hps_owner *o)
{
	char hex[HPS_DIGEST_HEX];

	if (strpbrk(path, "\t\n") || (o->package && o->hashed && o->kind != HPS_CHECKSUM_NONE && o->pristine == HPS_PRISTINE_UNKNOWN))
		return;
	hps_path_escape(cache, path, strlen(path));
	hps_digest_hex(&o->content, hex);
	if (o->package)
		hps_buf_addf(cache, "\t%s\t%c\t%s\t%s", o->hashed ? hex : "-", states[o->pristine], o->manager, o->package);
	hps_buf_addc(cache, '\n');
}

static bool wanted(const struct hps_owner *o)
{
	return o->system && !o->package;
}

/* Asks the databases for what the cache does not know, and adds the answers. `unknown` borrows the owners. */
static int ask(const char *root, struct hps_map *owners, const struct hps_map *nobody, struct hps_buf *cache, json_t *rows)
{
	struct hps_map unknown = HPS_MAP_INIT;
	int r = 0;

	for (size_t i = 0; i < owners->n; i++)
		if (wanted(owners->items[i].value) && !hps_map_find(nobody, owners->items[i].key))
			*hps_map_slot(&unknown, owners->items[i].key) = owners->items[i].value;
	if (unknown.n)
		r = hps_packages_find(root, &unknown, rows);
	if (!r)
		hps_packages_check(root, &unknown, CHECK_LIMIT_NS);
	for (size_t i = 0; !r && i < unknown.n; i++)
		add_line(cache, unknown.items[i].key, unknown.items[i].value);
	hps_map_release(&unknown);
	return r;
}

int hps_owners_find(int cache_dir, const char *root, struct hps_map *owners, json_t *rows)
{
	_cleanup_free_ char *expected = stamp(root);
	_cleanup_buf_ struct hps_buf cache = HPS_BUF_INIT;
	struct hps_map nobody = HPS_MAP_INIT;
	size_t before, n_rows = json_array_size(rows);
	int r;

	if (!expected)
		return hps_packages_find(root, owners, rows); /* perhaps a database that says nothing of its changes */
	load(cache_dir, expected, owners, &nobody, &cache);
	before = cache.len;
	r = ask(root, owners, &nobody, &cache, rows);
	hps_map_release(&nobody);
	/* A cache that cannot be written costs time, nothing else. */
	if (!r && cache_dir >= 0 && !cache.full && cache.len > before && json_array_size(rows) == n_rows && hps_file_write(cache_dir, "owners", 0600, cache.data, cache.len, NULL))
		return 0;
	return r;
}
