/* The texts of a Python distribution, and what names of its files say: lines of RECORD, header lines, URLs, compiled modules. */
#include "recorder/identity.h"

#include <stdlib.h>
#include <string.h>

bool hps_python_ends_with(const char *name, size_t len, const char *ending)
{
	size_t n = strlen(ending);

	return len > n && !memcmp(name + len - n, ending, n);
}

/* ---- RECORD: "path,sha256=<base64url without padding>,size"; a path with a comma or a quote is quoted ---- */

/* The next field of a CSV line; *at moves behind it. Heap. */
static char *next_field(const char **at)
{
	struct hps_buf field = HPS_BUF_INIT;
	const char *c = *at;
	bool quoted = *c == '"';

	for (c += quoted; *c && (quoted || *c != ','); c++) {
		if (quoted && *c == '"') {
			if (c[1] != '"') {
				c++;
				break;
			}
			c++;
		}
		hps_buf_addc(&field, *c);
	}
	*at = *c == ',' ? c + 1 : c;
	return hps_buf_take(&field);
}

bool hps_python_record_line(const char *line, char **ret_path, struct hps_digest *ret_digest, bool *ret_hashed)
{
	const char *at = line;
	_cleanup_free_ char *path = next_field(&at), *hash = next_field(&at);
	_cleanup_buf_ struct hps_buf raw = HPS_BUF_INIT;
	char padded[48];

	if (!*path)
		return false;
	*ret_hashed = false;
	if (!strncmp(hash, "sha256=", 7) && strlen(hash + 7) == 43) {
		snprintf(padded, sizeof padded, "%s=", hash + 7);
		if (hps_unbase64(&raw, padded, strlen(padded), true) == 0 && raw.len == HPS_DIGEST_LEN) {
			memcpy(ret_digest->b, raw.data, HPS_DIGEST_LEN);
			*ret_hashed = true;
		}
	}
	*ret_path = hps_take(path);
	return true;
}

char *hps_python_join(const char *site, const char *relative)
{
	struct hps_buf out = HPS_BUF_INIT;

	if (*relative == '/')
		return hps_strdup(relative);
	hps_buf_adds(&out, site);
	while (*relative) {
		size_t n = strcspn(relative, "/");

		if (n == 2 && !memcmp(relative, "..", 2)) {
			if (out.len > 1)
				out.data[--out.len] = '\0'; /* the slash */
			while (out.len > 1 && out.data[out.len - 1] != '/')
				out.data[--out.len] = '\0';
		} else if (n && !(n == 1 && *relative == '.')) {
			hps_buf_add(&out, relative, n);
			if (relative[n])
				hps_buf_addc(&out, '/');
		}
		relative += n + (relative[n] == '/');
	}
	return hps_buf_take(&out);
}

char *hps_python_source(const char *path)
{
	const char *cache = strstr(path, "/__pycache__/"), *name = cache ? cache + strlen("/__pycache__/") : NULL;
	size_t len = strlen(path);

	if (!cache || strchr(name, '/') || len < 4 || strcmp(path + len - 4, ".pyc") != 0)
		return NULL;
	return hps_format("%.*s/%.*s.py", (int)(cache - path), path, (int)strcspn(name, "."), name);
}

char *hps_python_file_url(const char *url)
{
	struct hps_buf path = HPS_BUF_INIT;

	if (!url || strncmp(url, "file:///", 8) != 0)
		return NULL;
	for (const char *c = url + 7; *c; c++) {
		uint8_t byte;
		char digits[3] = { c[0] == '%' ? c[1] : '\0', c[0] == '%' && c[1] ? c[2] : '\0', '\0' };

		for (int i = 0; i < 2; i++)
			digits[i] = digits[i] >= 'A' && digits[i] <= 'F' ? (char)(digits[i] + 32) : digits[i];
		if (*c == '%' && hps_unhex(&byte, 1, digits) == 0 && byte) {
			hps_buf_addc(&path, (char)byte);
			c += 2;
		} else {
			hps_buf_addc(&path, *c);
		}
	}
	return hps_buf_take(&path);
}

char *hps_python_header(const char *text, const char *name)
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
