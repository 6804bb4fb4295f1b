/* A bundle becomes a folder: nothing leaves the quarantine before the list, the evidence, every hash and every limit hold. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIST_MAX ((size_t)256 << 20)
#define FILES_MAX 1000000

struct listed {
	uint64_t size;
	struct hps_digest digest;
	bool seen;
};
struct unpack {
	const struct hps_unpack_options *o;
	char *dir; /* the quarantine */
	struct hps_objects *objects;
	struct listed *files;
	size_t n_files, n_seen;
	struct hps_map names;	/* struct listed * */
	struct hps_map allowed; /* hex digests that the record names; value: true for a manifest */
	bool has_list, is_proven;
};

static int hostile(struct hps_error *err, const char *name, const char *what)
{
	return hps_error_set(err, HPS_E_DAMAGED, "unpacking: '%s' %s", name, what);
}

/* ---- the list ---- */

static bool is_evidence(const char *name)
{
	const char *file = name + strlen("evidence/");

	return !strncmp(name, "evidence/", 9) && *file && *file != '.' && strlen(file) < 100 &&
	       !file[strspn(file, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

/* objects/ab/cdef…: ret_hex is 65 bytes. */
static bool is_object(const char *name, char *ret_hex)
{
	struct hps_digest d;

	if (strncmp(name, "objects/", 8) != 0 || strlen(name) != 8 + 2 + 1 + 62 || name[10] != '/')
		return false;
	memcpy(ret_hex, name + 8, 2);
	memcpy(ret_hex + 2, name + 11, 63);
	return !hps_digest_parse(ret_hex, &d);
}

static int read_list(struct unpack *u, const struct hps_buf *text, struct hps_error *err)
{
	_cleanup_json_ json_t *j = NULL;
	const json_t *list, *item;
	uint64_t total = 0;
	size_t i;
	int r = hps_json_parse(text->data ? text->data : "", text->len, &j, err);

	list = hps_json_at(j, "files", NULL);
	if (r || !hps_json_text(j, "schema") || strcmp(hps_json_text(j, "schema"), "hps.bundle/1") != 0 || !json_is_array(list))
		return hostile(err, "bundle.json", "is no list of a bundle");
	if (json_array_size(list) > FILES_MAX)
		return hostile(err, "bundle.json", "lists too many files");
	u->files = hps_alloc((json_array_size(list) + 1) * sizeof *u->files);
	json_array_foreach((json_t *)(uintptr_t)list, i, item) {
		const char *name = hps_json_text(item, "name"), *hex = hps_json_text(item, "sha256");
		int64_t size = hps_json_int(item, "size", -1);
		struct listed *l = &u->files[u->n_files++];
		char object[HPS_DIGEST_HEX];
		void **slot;

		if (!name || !hex || size < 0 || (uint64_t)size > HPS_ARCHIVE_FILE_MAX || hps_digest_parse(hex, &l->digest) ||
		    (!is_evidence(name) && !(is_object(name, object) && !strcmp(object, hex)) && strcmp(name, "seed") != 0))
			return hostile(err, name ? name : "bundle.json", "is no name or size that a bundle may have");
		l->size = (uint64_t)size;
		total += l->size;
		slot = hps_map_slot(&u->names, name);
		if (*slot)
			return hostile(err, name, "is listed twice");
		*slot = l;
	}
	u->has_list = true;
	return total <= u->o->max_bytes ? 0 : hps_error_set(err, HPS_E_LIMIT, "unpacking: its %llu bytes are more than the limit of %llu (--max-bytes)",
							    (unsigned long long)total, (unsigned long long)u->o->max_bytes);
}

/* ---- the evidence ---- */

int hps_evidence_run(const char *dir, const char *trust, struct hps_error *err)
{
	_cleanup_free_ char *program = hps_sibling_program("hps-ledger");
	const char *argv[] = { program, "check", dir, NULL, NULL, NULL };
	_cleanup_buf_ struct hps_buf said = HPS_BUF_INIT;
	int status, r;

	if (trust) {
		argv[2] = "--trust";
		argv[3] = trust;
		argv[4] = dir;
	}
	r = hps_run(&(struct hps_run){ .argv = argv, .max_output = 1 << 20, .quiet = true }, &said, &status, err);
	if (!r && (!WIFEXITED(status) || WEXITSTATUS(status)))
		r = hps_error_set(err, HPS_E_SIGNATURE, "the evidence does not hold; 'hps-ledger check %s' says why", dir);
	return r;
}

static void allow(struct unpack *u, const char *hex, bool manifest)
{
	if (hex && !hps_map_get(&u->allowed, hex))
		*hps_map_slot(&u->allowed, hex) = manifest ? (void *)u : (void *)&u->allowed;
}

static int prove(struct unpack *u, struct hps_error *err)
{
	_cleanup_free_ char *dir = hps_format("%s/evidence", u->dir), *path = hps_format("%s/entry.statement.json", dir);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_strv_ struct hps_strv digests = HPS_STRV_INIT;
	_cleanup_json_ json_t *statement = NULL;
	int r = hps_evidence_run(dir, u->o->trust, err);

	r = r ? r : hps_file_read(AT_FDCWD, path, HPS_JSON_MAX, &text, err);
	r = r ? r : hps_json_parse(text.data ? text.data : "", text.len, &statement, err);
	if (r)
		return hps_error_prefix(err, "unpacking");
	hps_manifest_digests(statement, &digests);
	for (size_t i = 0; i < digests.n; i++)
		allow(u, digests.v[i], true);
	u->is_proven = true;
	return 0;
}

/* ---- contents ---- */

static int allow_items(struct unpack *u, const struct hps_buf *text, struct hps_error *err)
{
	_cleanup_json_ json_t *j = NULL;
	const json_t *item;
	size_t i;
	int r = hps_json_parse(text->data ? text->data : "", text->len, &j, err);

	json_array_foreach((json_t *)(uintptr_t)hps_json_at(j, "items", NULL), i, item) {
		allow(u, hps_json_text(hps_json_at(item, "digest", NULL), "sha256"), false);
		allow(u, hps_json_text(hps_json_at(item, "before", NULL), "sha256"), false);
	}
	return r;
}

static int take_object(struct unpack *u, const char *hex, struct hps_buf *content, struct hps_error *err)
{
	const void *named;
	struct hps_digest d;
	int r = u->is_proven ? 0 : prove(u, err);

	if (r)
		return r;
	named = hps_map_get(&u->allowed, hex);
	if (!named)
		return hostile(err, hex, "is an object that the record does not name");
	r = hps_objects_put(u->objects, content->data ? content->data : "", content->len, &d, err);
	return r || named != (const void *)u ? r : allow_items(u, content, err);
}

static int take(void *arg, const char *path, struct hps_buf *content, struct hps_error *err)
{
	struct unpack *u = arg;
	const char *name = path + 1;
	struct listed *l = hps_map_get(&u->names, name);
	char hex[HPS_DIGEST_HEX];
	_cleanup_free_ char *to = NULL;
	struct hps_digest d;

	if (!u->has_list)
		return strcmp(name, "bundle.json") ? hostile(err, name, "comes before the list") : read_list(u, content, err);
	if (!l || l->seen)
		return hostile(err, name, l ? "comes twice" : "is not in the list");
	hps_digest_of(content->data ? content->data : "", content->len, &d);
	if (content->len != l->size || !hps_digest_equal(&d, &l->digest))
		return hostile(err, name, "is not what the list says");
	l->seen = true;
	u->n_seen++;
	if (is_object(name, hex))
		return take_object(u, hex, content, err);
	if (u->is_proven)
		return hostile(err, name, "comes after the first object");
	to = hps_format("%s/%s", u->dir, name);
	return hps_file_write(AT_FDCWD, to, 0600, content->data, content->len, err);
}

static bool wants(void *arg, const char *path)
{
	(void)arg;
	(void)path;
	return true;
}

static uint64_t limit(void *arg, const char *path)
{
	const struct unpack *u = arg;
	const struct listed *l = u->has_list ? hps_map_get(&u->names, path + 1) : NULL;

	return u->has_list ? l ? l->size : 0 : LIST_MAX;
}

/* ---- the whole ---- */

static int fill(struct unpack *u, const char *file, struct hps_error *err)
{
	const struct hps_archive archive = { .wants = wants, .take = take, .limit = limit, .arg = u };
	_cleanup_fd_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *evidence = hps_format("%s/evidence", u->dir), *objects = hps_format("%s/objects", u->dir);
	int r = fd < 0 ? hps_error_errno(err, "opening '%s'", file) : 0;

	if (!r && mkdir(evidence, 0700))
		r = hps_error_errno(err, "making '%s'", evidence);
	r = r ? r : hps_objects_open(AT_FDCWD, objects, true, &u->objects, err);
	r = r ? r : hps_archive_read(fd, &archive, err);
	if (!r && (!u->has_list || u->n_seen != u->n_files))
		r = hps_error_set(err, HPS_E_DAMAGED, "unpacking '%s': it is not whole", file);
	if (!r && !u->is_proven)
		r = prove(u, err);
	return r ? r : hps_objects_sync(u->objects, err);
}

int hps_bundle_unpack(const char *file, const char *dir, const struct hps_unpack_options *options, struct hps_error *err)
{
	struct unpack u = { .o = options, .dir = hps_format("%s.XXXXXX", dir) };
	int r = mkdtemp(u.dir) ? 0 : hps_error_errno(err, "making a folder beside '%s'", dir);

	if (r) {
		free(u.dir);
		return r;
	}
	r = fill(&u, file, err);
	if (!r && renameat2(AT_FDCWD, u.dir, AT_FDCWD, dir, RENAME_NOREPLACE))
		r = hps_error_errno(err, "making '%s'", dir);
	if (r)
		(void)!hps_dir_remove(AT_FDCWD, u.dir, NULL);
	hps_objects_free(u.objects);
	hps_map_release(&u.names);
	hps_map_release(&u.allowed);
	free(u.files);
	free(u.dir);
	return r;
}
