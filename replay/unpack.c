/* A bundle becomes a folder: nothing leaves the quarantine before the list, the evidence, every hash and every limit hold. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READER_MEMORY ((size_t)64 << 20)

struct unpack {
	const struct hps_unpack_options *o;
	char *dir; /* the quarantine */
	struct hps_objects *objects;
	struct hps_bundle_list list;
	size_t n_seen;
	uint64_t list_max;
	struct hps_map allowed; /* hex digests that the record names; value: true for a manifest */
	bool has_list, is_proven;
};

static int hostile(struct hps_error *err, const char *name, const char *what)
{
	return hps_error_set(err, HPS_E_DAMAGED, "unpacking: '%s' %s", name, what);
}

static int read_list(struct unpack *u, const struct hps_buf *text, struct hps_error *err)
{
	int r = hps_bundle_list_read(text->data ? text->data : "", text->len, u->o->max_bytes, &u->list, err);

	u->has_list = !r;
	return r ? hps_error_prefix(err, "unpacking") : 0;
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

struct content { /* in memory, or in a file */
	const struct hps_buf *memory;
	int fd;
	uint64_t size;
};

/* Its text, for what has to be in memory; `own` is room for it. */
static int in_memory(const struct content *c, struct hps_buf *own, const struct hps_buf **ret, struct hps_error *err)
{
	*ret = c->memory ? c->memory : own;
	return c->memory ? 0 : lseek(c->fd, 0, SEEK_SET) < 0 ? hps_error_errno(err, "unpacking") : hps_file_read_fd(c->fd, HPS_JSON_MAX, own, err);
}

static int take_object(struct unpack *u, const char *hex, const struct hps_digest *expected, const struct content *c, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf own = HPS_BUF_INIT;
	const struct hps_buf *text;
	const void *named;
	struct hps_digest d;
	int r = u->is_proven ? 0 : prove(u, err);

	if (r)
		return r;
	named = hps_map_get(&u->allowed, hex);
	if (!named)
		return hostile(err, hex, "is an object that the record does not name");
	if (c->memory)
		r = hps_objects_put(u->objects, c->memory->data ? c->memory->data : "", c->memory->len, &d, err);
	else
		r = hps_objects_put_fd(u->objects, c->fd, expected, &d, NULL, err);
	if (r || named != (const void *)u)
		return r;
	r = in_memory(c, &own, &text, err);
	return r ? r : allow_items(u, text, err);
}

static int take_content(struct unpack *u, const char *name, const struct content *c, struct hps_error *err)
{
	struct hps_bundle_file *l = hps_map_get(&u->list.names, name);
	_cleanup_buf_ struct hps_buf own = HPS_BUF_INIT;
	_cleanup_free_ char *to = NULL;
	const struct hps_buf *text;
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;
	int r = 0;

	if (!l || l->seen)
		return hostile(err, name, l ? "comes twice" : "is not in the list");
	if (c->memory)
		hps_digest_of(c->memory->data ? c->memory->data : "", c->memory->len, &d);
	else
		r = hps_digest_fd(c->fd, &d, NULL, err);
	if (!r && (c->size != l->size || !hps_digest_equal(&d, &l->digest)))
		return hostile(err, name, "is not what the list says");
	l->seen = true;
	u->n_seen++;
	if (r || hps_bundle_object(name, hex))
		return r ? r : take_object(u, hex, &l->digest, c, err);
	if (u->is_proven)
		return hostile(err, name, "comes after the first object");
	to = hps_format("%s/%s", u->dir, name);
	r = in_memory(c, &own, &text, err);
	return r ? r : hps_file_write(AT_FDCWD, to, 0600, text->data, text->len, err);
}

static int take(void *arg, const char *path, struct hps_buf *content, struct hps_error *err)
{
	struct unpack *u = arg;
	const struct content c = { content, -1, content->len };

	if (u->has_list)
		return take_content(u, path + 1, &c, err);
	return strcmp(path + 1, "bundle.json") ? hostile(err, path + 1, "comes before the list") : read_list(u, content, err);
}

static int take_file(void *arg, const char *path, int fd, uint64_t size, struct hps_error *err)
{
	struct unpack *u = arg;
	const struct content c = { NULL, fd, size };
	_cleanup_buf_ struct hps_buf list = HPS_BUF_INIT;
	const struct hps_buf *text;
	int r;

	if (u->has_list)
		return take_content(u, path + 1, &c, err);
	if (strcmp(path + 1, "bundle.json") != 0)
		return hostile(err, path + 1, "comes before the list");
	r = in_memory(&c, &list, &text, err);
	return r ? r : read_list(u, text, err);
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
	const struct hps_bundle_file *l = u->has_list ? hps_map_get(&u->list.names, path + 1) : NULL;

	return u->has_list ? l ? l->size : 0 : u->list_max;
}

/* ---- the whole ---- */

static int fill(struct unpack *u, const char *file, struct hps_error *err)
{
	const struct hps_archive archive = { .plain = true, .memory = READER_MEMORY, .wants = wants, .take = take, .spool = u->dir, .take_file = take_file, .limit = limit, .arg = u };
	_cleanup_fd_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	_cleanup_free_ char *evidence = hps_format("%s/evidence", u->dir), *objects = hps_format("%s/objects", u->dir);
	int r = fd < 0 || fstat(fd, &st) ? hps_error_errno(err, "opening '%s'", file) : 0;

	if (!r)
		u->list_max = hps_bundle_list_max((uint64_t)st.st_size);
	if (!r && mkdir(evidence, 0700))
		r = hps_error_errno(err, "making '%s'", evidence);
	r = r ? r : hps_objects_open(AT_FDCWD, objects, true, &u->objects, err);
	r = r ? r : hps_archive_read(fd, &archive, err);
	if (!r && (!u->has_list || u->n_seen != u->list.n))
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
	hps_bundle_list_release(&u.list);
	hps_map_release(&u.allowed);
	free(u.dir);
	return r;
}
