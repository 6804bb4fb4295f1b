/* Names to real paths, symlink by symlink, so that each link crossed is on record. Works on strings and reads the links
 * itself: what the kernel opened is known from the descriptor; this says how the name led there. */
#include "recorder/recorder.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINKS 40 /* as the kernel */
#define MAX_PATH (64u << 10)

/* Is `path` a symlink? Its target in `target`, noted as a material; else remembered as plain. */
static bool is_link(struct hps_files *f, const char *path, char target[PATH_MAX])
{
	struct stat s;
	ssize_t n;

	if (hps_map_get(&f->plain, path))
		return false;
	n = readlink(path, target, PATH_MAX - 1);
	if (n <= 0) {
		*hps_map_slot(&f->plain, path) = f;
		return false;
	}
	target[n] = '\0';
	if (!strncmp(path, "/proc/", 6)) /* magic links lead by no name */
		return false;
	if (lstat(path, &s) == 0)
		hps_file_symlink(hps_files_get(f, path), &s, target);
	return true;
}

static void up(struct hps_buf *path)
{
	while (path->len && path->data[path->len - 1] != '/')
		path->len--;
	if (path->len)
		path->len--;
	if (path->data)
		path->data[path->len] = '\0';
}

void hps_walk(struct hps_files *f, const char *base, const char *name, bool follow, struct hps_buf *ret)
{
	_cleanup_buf_ struct hps_buf rest = HPS_BUF_INIT;
	char target[PATH_MAX];
	unsigned links = 0;
	size_t at = 0;

	hps_buf_init(&rest, MAX_PATH);
	hps_buf_reset(ret);
	hps_buf_adds(&rest, name);
	if (*name != '/' && strcmp(base, "/") != 0)
		hps_buf_adds(ret, base);
	while (at < rest.len) {
		size_t start = at + strspn(rest.data + at, "/"), n = strcspn(rest.data + start, "/"), before = ret->len;
		bool last = start + n + strspn(rest.data + start + n, "/") >= rest.len;

		at = start + n;
		if (!n || (n == 1 && rest.data[start] == '.'))
			continue;
		if (n == 2 && !strncmp(rest.data + start, "..", 2)) {
			up(ret);
			continue;
		}
		hps_buf_addc(ret, '/');
		hps_buf_add(ret, rest.data + start, n);
		if ((last && !follow) || ret->full || !is_link(f, ret->data, target) || ++links > MAX_LINKS)
			continue;
		{
			_cleanup_free_ char *tail = hps_strdup(rest.data + at);

			hps_buf_reset(&rest);
			hps_buf_adds(&rest, target);
			hps_buf_adds(&rest, tail);
			at = 0;
		}
		ret->len = *target == '/' ? 0 : before;
		ret->data[ret->len] = '\0';
	}
	if (!ret->len)
		hps_buf_addc(ret, '/');
}
