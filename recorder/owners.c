/* Owners of files as dpkg told them before. Reading all its lists takes some 50 ms, which a short trial would feel; they change
 * only when dpkg rewrites its status file, and the cache is void then. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/identity.h"

#define CACHE_MAX ((size_t)16 << 20)

/* First line of the cache: what dpkg's database looked like. NULL: there is none. */
static char *stamp(void)
{
	struct stat status, info;

	if (stat("/var/lib/dpkg/status", &status) || stat("/var/lib/dpkg/info", &info))
		return NULL;
	return hps_format("hpsown1 %llu:%llu %llu %lld.%09ld %lld.%09ld\n", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino,
			  (unsigned long long)status.st_size, (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
			  (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

/* Lines "<path>\t<package>\n", escaped; an empty package: nobody's. What is known goes to its slot, "" for nobody. */
static void use_lines(char *text, struct hps_map *paths)
{
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
		char *tab = memchr(line, '\t', (size_t)(end - line));
		void **slot;

		*end = '\0';
		if (!tab)
			continue;
		*tab = '\0';
		if (strchr(line, '\\') ? hps_path_unescape(line, &path, NULL) != 0 : (hps_buf_adds(&path, line), false))
			continue;
		slot = hps_map_find(paths, path.data ? path.data : "");
		if (slot && !*slot)
			*slot = hps_strdup(tab + 1);
		*tab = '\t';
		*end = '\n';
	}
}

/* Refuses what another user could have written. */
static int open_own(int dir)
{
	int fd = openat(dir, "owners", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat s;

	if (fd >= 0 && (fstat(fd, &s) || s.st_uid != geteuid() || s.st_mode & 022 || !S_ISREG(s.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void load(int dir, const char *expected, struct hps_map *paths, struct hps_buf *ret)
{
	_cleanup_fd_ int fd = dir >= 0 ? open_own(dir) : -1;

	hps_buf_init(ret, CACHE_MAX);
	if (fd < 0 || hps_file_read_fd(fd, CACHE_MAX, ret, NULL) || !ret->data || strncmp(ret->data, expected, strlen(expected)) != 0) {
		hps_buf_reset(ret);
		hps_buf_adds(ret, expected);
		return;
	}
	use_lines(ret->data + strlen(expected), paths);
}

static void add_line(struct hps_buf *cache, const char *path, const char *package)
{
	if (strpbrk(path, "\t\n"))
		return;
	hps_path_escape(cache, path, strlen(path));
	hps_buf_addc(cache, '\t');
	hps_buf_adds(cache, package ? package : "");
	hps_buf_addc(cache, '\n');
}

/* Asks dpkg's lists for what the cache does not know, and adds the answers. */
static int ask(struct hps_map *paths, struct hps_buf *cache)
{
	struct hps_map unknown = HPS_MAP_INIT;
	int r;

	for (size_t i = 0; i < paths->n; i++)
		if (!paths->items[i].value)
			(void)hps_map_slot(&unknown, paths->items[i].key);
	r = unknown.n ? hps_packages_find(&unknown) : 0;
	for (size_t i = 0; i < unknown.n; i++) {
		if (!r)
			add_line(cache, unknown.items[i].key, unknown.items[i].value);
		*hps_map_slot(paths, unknown.items[i].key) = unknown.items[i].value;
	}
	hps_map_release(&unknown);
	return r;
}

int hps_owners_find(int cache_dir, struct hps_map *paths)
{
	_cleanup_free_ char *expected = stamp();
	_cleanup_buf_ struct hps_buf cache = HPS_BUF_INIT;
	size_t before;
	int r;

	if (!expected)
		return -ENOENT;
	load(cache_dir, expected, paths, &cache);
	before = cache.len;
	r = ask(paths, &cache);
	/* A cache that cannot be written costs time, nothing else. */
	if (!r && cache_dir >= 0 && !cache.full && cache.len > before && hps_file_write(cache_dir, "owners", 0600, cache.data, cache.len, NULL))
		return 0;
	return r;
}
