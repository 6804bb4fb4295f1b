/* Alpine's database: one text file, a paragraph a package, lines of a letter and a value (apk-tools 2.14: P name, V version, F
 * directory, R file in it, Z its checksum). */
#include "recorder/package.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define INSTALLED_MAX ((size_t)256 << 20)

static const char *const places[] = { "/lib/apk/db/installed", "/usr/lib/apk/db/installed" };

/* "Q1" and SHA-1 in base64; "Q2" and SHA-256. */
static void set_checksum(struct hps_owner *o, const char *value)
{
	_cleanup_buf_ struct hps_buf raw = HPS_BUF_INIT;
	char hex[2 * 32 + 1];
	enum hps_checksum kind = !strncmp(value, "Q1", 2) ? HPS_CHECKSUM_SHA1 : !strncmp(value, "Q2", 2) ? HPS_CHECKSUM_SHA256 : HPS_CHECKSUM_NONE;

	if (kind == HPS_CHECKSUM_NONE || hps_unbase64(&raw, value + 2, strlen(value + 2), false) || raw.len > 32 || !raw.data)
		return;
	hps_hex(hex, raw.data, raw.len);
	hps_owner_want(o, kind, hex, 2 * raw.len);
}

static struct hps_owner *claim(const struct hps_map *owners, const char *package, const char *version, const char *directory, const char *file)
{
	char path[4200];
	struct hps_owner *o;

	if (!package || (size_t)snprintf(path, sizeof path, "/%s%s%s", directory, *directory ? "/" : "", file) >= sizeof path)
		return NULL;
	o = hps_map_get(owners, path);
	if (!o || o->package)
		return NULL;
	o->package = hps_format("%s %s", package, version);
	o->manager = hps_package_managers[2];
	return o;
}

void hps_apk_installed(struct hps_map *owners, char *text)
{
	const char *package = NULL, *version = "", *directory = "";
	struct hps_owner *file = NULL;

	for (char *line = text, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		if (!*line) {
			package = NULL;
			version = directory = "";
			file = NULL;
		}
		if (!*line || line[1] != ':')
			continue;
		switch (*line) {
		case 'P':
			package = line + 2;
			break;
		case 'V':
			version = line + 2;
			break;
		case 'F':
			directory = line + 2;
			break;
		case 'R':
			file = claim(owners, package, version, directory, line + 2);
			break;
		case 'Z':
			if (file)
				set_checksum(file, line + 2);
			break;
		}
	}
}

int hps_apk_find(const char *root, struct hps_map *owners, json_t *rows)
{
	(void)rows;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *path = hps_format("%s%s", root, places[i]);
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		hps_buf_init(&text, INSTALLED_MAX);
		if (hps_file_read(AT_FDCWD, path, INSTALLED_MAX, &text, NULL))
			continue;
		if (text.data)
			hps_apk_installed(owners, text.data);
		return 0;
	}
	return -ENOENT;
}
