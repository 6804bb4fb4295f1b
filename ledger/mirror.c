/* Publication: what verifies a ledger, copied to a directory or an S3 bucket from which any web server can serve it. The checkpoint is
 * read first and put last, so that whoever reads there in between finds everything that a checkpoint needs. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_MAX ((size_t)256 << 20)
#define DEPTH_MAX 12

struct mirror {
	struct hps_ledger *l;
	const struct hps_publish *o;
	struct hps_outlet outlet;
	struct hps_map there;	/* what was put by an earlier run, and never changes; with a minus: removed again */
	struct hps_buf put;	/* the same of this run, a line each */
	uint64_t n_files;
};

static int put(struct mirror *t, const char *path, const struct hps_buf *bytes, struct hps_error *err)
{
	int r = hps_outlet_put(&t->outlet, path, bytes, err);

	t->n_files += !r;
	return r;
}

static int copy(struct mirror *t, const char *path, bool immutable, struct hps_error *err)
{
	_cleanup_free_ char *name = hps_format("tiles/%s", path);
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;
	int r;

	if (immutable && hps_map_find(&t->there, name))
		return 0;
	r = hps_file_read(t->l->tilesfd, path, HPS_ENVELOPE_MAX, &bytes, err);
	if (r == -ENOENT) { /* a partial tile that has just become a full one */
		hps_error_release(err);
		return 0;
	}
	if (!r)
		r = put(t, name, &bytes, err);
	if (!r && immutable)
		hps_buf_addf(&t->put, "%s\n", name);
	return r;
}

/* The directory, or what is there already of the way to it. */
static int open_nearest(const char *target)
{
	_cleanup_free_ char *path = hps_path_absolute(target);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	while (fd < 0 && errno == ENOENT && path[1]) {
		char *slash = strrchr(path, '/');

		slash[slash == path] = '\0';
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return fd;
}

/* Not into the ledger itself, nor below it: it would write over what it reads, or copy its own copies. Asked before anything is made. */
static int check_elsewhere(struct mirror *t, struct hps_error *err)
{
	_cleanup_fd_ int at = strstr(t->o->target, "://") ? -1 : open_nearest(t->o->target);
	struct stat own, here, last = { .st_ino = 0 };
	int up;

	if (at < 0 || fstat(t->l->dirfd, &own))
		return 0;
	while (!fstat(at, &here) && (here.st_ino != last.st_ino || here.st_dev != last.st_dev)) {
		if (here.st_ino == own.st_ino && here.st_dev == own.st_dev)
			return hps_error_set(err, HPS_E_USAGE, "publishing to '%s': that is in the ledger itself; choose another directory", t->o->target);
		up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		hps_cleanup_fd(&at);
		at = up;
		last = here;
	}
	return 0;
}

/* ---- everything below tiles/ but the checkpoints ---- */

static bool is_checkpoint(const char *path)
{
	return !strcmp(path, "checkpoint") || !strcmp(path, HPS_ATTESTED_DIR "/checkpoint");
}

static int copy_below(struct mirror *t, const char *dir, unsigned depth, struct hps_error *err);

static int copy_name(struct mirror *t, const char *dir, const char *name, unsigned depth, struct hps_error *err)
{
	_cleanup_free_ char *path = *dir ? hps_format("%s/%s", dir, name) : hps_strdup(name);
	struct stat s;

	if (*name == '.' || is_checkpoint(path)) /* with a dot: directories, and files that somebody is writing */
		return 0;
	if (fstatat(t->l->tilesfd, path, &s, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : hps_error_errno(err, "reading 'tiles/%s'", path);
	if (S_ISDIR(s.st_mode))
		return depth < DEPTH_MAX ? copy_below(t, path, depth + 1, err) : 0;
	/* Attested checkpoints may still get more signatures; tiles and envelopes never change. */
	return S_ISREG(s.st_mode) ? copy(t, path, strncmp(path, HPS_ATTESTED_DIR "/", strlen(HPS_ATTESTED_DIR "/")) != 0, err) : 0;
}

static int copy_below(struct mirror *t, const char *dir, unsigned depth, struct hps_error *err)
{
	int fd = openat(t->l->tilesfd, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : hps_error_errno(err, "reading 'tiles/%s'", dir);
	while (!r && (e = hps_dir_next(d, "reading what is published", &r, err)))
		r = copy_name(t, dir, e->d_name, depth, err);
	closedir(d);
	return r;
}

/* What earlier runs have put there, by target: asking a bucket for each of a million files would take longer than copying the new ones. */
static char *state_of(const char *target)
{
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;

	hps_digest_of(target, strlen(target), &d);
	hps_digest_hex(&d, hex);
	return hps_format("published/%.32s", hex);
}

static void read_state(struct mirror *t, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		_cleanup_free_ char *line = hps_strndup(text, len);

		if (text[len]) /* a line that was cut off counts for nothing */
			*hps_map_slot(&t->there, line) = t;
		text += len + (text[len] != '\0');
	}
}

/* ---- what is there, and may not be any more ---- */

static int differs(const struct mirror *t, const char *what, uint64_t there, uint64_t here, struct hps_error *err)
{
	return hps_error_set(err, HPS_E_DAMAGED, "publishing to '%s': %s (%llu entries are published, %llu are here); nothing was changed there. Put the newer ledger back, or publish elsewhere",
			     t->o->target, what, (unsigned long long)there, (unsigned long long)here);
}

/* An older copy of the ledger, or another, does not take back what others may have seen. A bucket that may only be written to is not compared. */
static int check_published(struct mirror *t, const struct hps_checkpoint *c, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint there = { NULL, 0, { { 0 } } };
	struct hps_tiles tiles = { .tilesfd = t->l->tilesfd, .size = c->size };
	struct hps_merkle_source source = { hps_tiles_node, &tiles };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_merkle tree;
	struct hps_digest root;
	int r = hps_outlet_get(&t->outlet, "tiles/checkpoint", HPS_NOTE_MAX, &note, &e);

	if (r == HPS_E_NOTFOUND || (r == HPS_E_DENIED && t->outlet.dirfd < 0))
		return 0;
	if (!r)
		r = hps_checkpoint_open(note.data ? note.data : "", note.len, &t->l->trust.log, &there, &e);
	if (r)
		return hps_error_set(err, r, "publishing to '%s': what is published there is not of this ledger: %s", t->o->target, e.message);
	if (there.size > c->size)
		return differs(t, "this is an older copy of the ledger", there.size, c->size, err);
	r = hps_merkle_load(&source, there.size, &tree, err);
	if (r)
		return r;
	hps_merkle_root(&tree, &root);
	return hps_digest_equal(&root, &there.root) ? 0 : differs(t, "another history of the ledger is published there", there.size, c->size, err);
}

static int remove_withdrawn(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	const char *id = hps_json_text(json_object_get(e->statement, "predicate"), "withdrawn");
	_cleanup_free_ char *path = hps_format("tiles/envelope/%s.json", id ? id : ""), *gone = hps_format("-%s", path);
	struct mirror *t = arg;
	struct hps_digest d;
	int r;

	if (hps_digest_parse(id, &d) || hps_map_find(&t->there, gone))
		return 0;
	r = hps_outlet_remove(&t->outlet, path, err);
	if (!r)
		hps_buf_addf(&t->put, "%s\n", gone);
	return r;
}

/* ---- the whole ---- */

static int put_heads(struct mirror *t, const struct hps_buf *note, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf attested = HPS_BUF_INIT, trust = HPS_BUF_INIT;
	int r = hps_file_read(t->l->dirfd, HPS_TRUST_FILE, HPS_NOTE_MAX, &trust, err);

	if (hps_file_read(t->l->tilesfd, HPS_ATTESTED_DIR "/checkpoint", HPS_NOTE_MAX, &attested, NULL))
		hps_buf_reset(&attested);
	if (!r)
		r = copy_below(t, "", 0, err);
	if (!r)
		r = put(t, HPS_TRUST_FILE, &trust, err);
	if (!r && attested.len)
		r = put(t, "tiles/" HPS_ATTESTED_DIR "/checkpoint", &attested, err);
	return r ? r : put(t, "tiles/checkpoint", note, err);
}

static int publish(struct mirror *t, struct hps_checkpoint *c, struct hps_error *err)
{
	_cleanup_free_ char *state = state_of(t->o->target);
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT, before = HPS_BUF_INIT;
	struct hps_filter withdrawals = HPS_FILTER_ANY;
	int r = hps_file_read(t->l->tilesfd, "checkpoint", HPS_NOTE_MAX, &note, err);

	if (!r)
		r = hps_checkpoint_open(note.data, note.len, &t->l->trust.log, c, err);
	if (!r)
		r = check_published(t, c, err);
	if (r)
		return r;
	if (!t->o->all && !hps_file_read(t->l->dirfd, state, STATE_MAX, &before, NULL) && before.data)
		read_state(t, before.data);
	r = put_heads(t, &note, err);
	withdrawals.kind = "withdraw";
	if (!r)
		r = hps_ledger_each(t->l, &withdrawals, remove_withdrawn, t, err);
	if (!r)
		r = hps_outlet_sweep(&t->outlet, err);
	hps_buf_add(&before, t->put.data, t->put.len);
	if (!r)
		r = hps_dir_make(t->l->dirfd, "published", 0700, err);
	return r ? r : hps_file_write(t->l->dirfd, state, 0600, before.data ? before.data : "", before.len, err);
}

int hps_publish(struct hps_ledger *l, const struct hps_publish *options, uint64_t *ret_size, uint64_t *ret_files, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	struct mirror t = { .l = l, .o = options, .outlet = { .dirfd = -1 } };
	int r = check_elsewhere(&t, err);

	hps_buf_init(&t.put, STATE_MAX);
	if (!r)
		r = hps_outlet_open(&t.outlet, options, err);
	if (!r)
		r = publish(&t, &c, err);
	*ret_size = c.size;
	*ret_files = t.n_files;
	hps_outlet_close(&t.outlet);
	hps_buf_release(&t.put);
	hps_map_release(&t.there);
	return r;
}
