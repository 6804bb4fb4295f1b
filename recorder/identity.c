/* The rows of the identities. */
#include "recorder/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define SMALL_FILE_MAX 65536

void hps_identity_add(json_t *rows, const char *name, const char *value, const char *source, const char *strength)
{
	json_t *row = json_object();

	hps_json_set_text(row, "name", name);
	hps_json_set(row, "value", hps_path_json(value));
	hps_json_set_text(row, "source", source);
	hps_json_set_text(row, "strength", strength);
	hps_json_add(rows, row);
}

void hps_identity_missing(json_t *rows, const char *name, const char *why)
{
	json_t *row = json_object();

	hps_json_set_text(row, "name", name);
	hps_json_set(row, "missing", json_true());
	hps_json_set_text(row, "why", why);
	hps_json_add(rows, row);
}

char *hps_identity_read(const char *path)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	hps_buf_init(&text, SMALL_FILE_MAX);
	if (hps_file_read(AT_FDCWD, path, SMALL_FILE_MAX, &text, NULL))
		return NULL;
	while (text.len && (strchr(" \t\r\n", text.data[text.len - 1])))
		text.data[--text.len] = '\0';
	errno = text.len ? 0 : ENODATA;
	return text.len ? hps_buf_take(&text) : NULL;
}

char *hps_identity_read_in(const char *root, const char *path)
{
	_cleanup_free_ char *full = hps_format("%s%s", root, path);

	return hps_identity_read(full);
}

void hps_identity_add_file(json_t *rows, const char *root, const char *name, const char *path)
{
	_cleanup_free_ char *value = hps_identity_read_in(root, path);
	_cleanup_free_ char *why = NULL;

	if (value) {
		hps_identity_add(rows, name, value, path, HPS_OBSERVED);
		return;
	}
	why = hps_format("%s: %s", path, strerror(errno));
	hps_identity_missing(rows, name, why);
}
