/* The spool: records that a recorder could not get into their ledger. The recorder writes them whole and durably (docs/FORMATS.md,
 * "Spool"); pushing appends them later, as often as one likes: a statement is in a ledger once. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA "hps.spool/1"

char *hps_spool_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	const struct passwd *user;

	if (state && *state == '/')
		return hps_format("%s/hps/spool", state);
	if (!home || *home != '/') {
		user = getpwuid(geteuid());
		home = user ? user->pw_dir : "";
	}
	return hps_format("%s/.local/state/hps/spool", home);
}

bool hps_spool_has(const char *begin_id)
{
	_cleanup_free_ char *dir = hps_spool_dir(), *path = hps_format("%s/%s.json", dir, begin_id);

	return access(path, F_OK) == 0;
}

/* In the order of their names: a crash and a second run give the same order. */
int hps_spool_list(struct hps_strv *ret, struct hps_error *err)
{
	_cleanup_free_ char *spool = hps_spool_dir();
	DIR *d = opendir(spool);
	const struct dirent *e;

	if (!d)
		return access(spool, F_OK) ? 0 : hps_error_errno(err, "reading the spool '%s'", spool);
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (*e->d_name != '.' && len > 5 && !strcmp(e->d_name + len - 5, ".json"))
			hps_strv_addf(ret, "%s/%s", spool, e->d_name);
	}
	closedir(d);
	hps_strv_sort(ret);
	return 0;
}

/* ---- reading ---- */

static int read_own(const char *path, struct hps_buf *ret, struct hps_error *err)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat s;

	if (fd < 0 || fstat(fd, &s))
		return hps_error_errno(err, "opening the record '%s'", path);
	if (!S_ISREG(s.st_mode) || s.st_uid != geteuid())
		return hps_error_set(err, HPS_E_DENIED, "opening the record '%s': it is not a file of yours, and would be signed with your key", path);
	return hps_file_read_fd(fd, HPS_JSON_MAX, ret, err);
}

void hps_spooled_release(struct hps_spooled *s)
{
	json_decref(s->json);
	free(s->ledger);
	*s = (struct hps_spooled)HPS_SPOOLED_INIT;
}

int hps_spool_read(const char *path, struct hps_spooled *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, ledger = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	const char *schema, *dir;
	int r = read_own(path, &text, err);

	if (!r)
		r = hps_json_parse(text.data ? text.data : "", text.len, &j, err);
	if (r)
		return hps_error_prefix(err, "the record '%s'", path);
	schema = hps_json_text(j, "schema");
	dir = hps_json_text(j, "ledger");
	if (!schema || strcmp(schema, SCHEMA) != 0 || !dir || !json_is_object(json_object_get(j, "statement")) || hps_path_unescape(dir, &ledger, err))
		return hps_error_set(err, HPS_E_FORMAT, "the record '%s' is not one of schema " SCHEMA ": it is left where it is", path);
	ret->statement = json_object_get(j, "statement");
	ret->manifests = json_object_get(j, "manifests");
	ret->json = hps_take(j);
	ret->ledger = hps_buf_take(&ledger);
	return 0;
}

/* ---- pushing ---- */

static int store_manifests(struct hps_objects *objects, const json_t *manifests, struct hps_error *err)
{
	const char *hex;
	const json_t *text;

	json_object_foreach((json_t *)(uintptr_t)manifests, hex, text) {
		struct hps_digest named, found;
		int r;

		if (hps_digest_parse(hex, &named) || !json_is_string(text))
			return hps_error_set(err, HPS_E_FORMAT, "a manifest without a digest");
		hps_digest_of(json_string_value(text), json_string_length(text), &found);
		if (!hps_digest_equal(&named, &found))
			return hps_error_set(err, HPS_E_DAMAGED, "the manifest %.12s does not hash to its name", hex);
		r = hps_objects_put(objects, json_string_value(text), json_string_length(text), &found, err);
		if (r)
			return r;
	}
	return 0;
}

int hps_spool_push_own(struct hps_ledger *l, uint64_t *ret_n, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv files = HPS_STRV_INIT;
	_cleanup_free_ char *own = hps_path_absolute(l->dir);
	int r = hps_spool_list(&files, err);

	*ret_n = 0;
	for (size_t i = 0; !r && i < files.n; i++) {
		_cleanup_(hps_spooled_release) struct hps_spooled s = HPS_SPOOLED_INIT;
		_cleanup_free_ char *its = NULL;
		char id[65];
		uint64_t index;

		if (hps_spool_read(files.v[i], &s, NULL)) /* 'hps-ledger push' says what is wrong with it */
			continue;
		its = hps_path_absolute(s.ledger);
		if (strcmp(its, own) != 0)
			continue;
		r = hps_spool_push(l, &s, id, &index, err);
		if (r)
			return hps_error_prefix(err, "the record of an earlier trial, '%s', is not in the ledger yet ('hps-ledger push' appends it)", files.v[i]);
		unlink(files.v[i]);
		++*ret_n;
	}
	return r;
}

int hps_spool_push(struct hps_ledger *l, const struct hps_spooled *s, char ret_id[65], uint64_t *ret_index, struct hps_error *err)
{
	int r = 0;

	if (json_object_size(s->manifests) && !l->objects)
		r = hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s' has no content store for the record's manifests", l->dir);
	else if (l->objects)
		r = store_manifests(l->objects, s->manifests, err);
	if (!r && l->objects)
		r = hps_objects_sync(l->objects, err);
	return r ? r : hps_ledger_append(l, s->statement, ret_id, ret_index, err);
}
