/* Publication: what verifies a ledger, copied to a directory or an S3 bucket from which any web server can serve it. The checkpoint is
 * read first and put last, so that whoever reads there in between finds everything that a checkpoint needs. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_MAX ((size_t)256 << 20)
#define CREDENTIALS_MAX 4096
#define DEPTH_MAX 12
#define LEFTOVER_AGE_S 3600

struct target {
	const struct hps_publish *o;
	int dirfd;		/* of a directory, else -1 */
	char *base, *sigv4;	/* of a bucket */
	struct hps_buf credentials;
	struct hps_map there;	/* what was put by an earlier run, and never changes */
	struct hps_buf put;	/* the same of this run, a line each */
	uint64_t n_files;
};

/* ---- putting one file ---- */

static int put_dir(struct target *t, const char *path, const struct hps_buf *bytes, struct hps_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? hps_strndup(path, (size_t)(slash - path)) : NULL;
	int r = parent ? hps_dir_make(t->dirfd, parent, 0755, err) : 0;

	return r ? r : hps_file_write(t->dirfd, path, 0644, bytes->data ? bytes->data : "", bytes->len, err);
}

/* As Amazon writes it, once: what is signed is the path as it is sent. */
static char *url_of(const char *base, const char *path)
{
	struct hps_buf url = HPS_BUF_INIT;

	hps_buf_addf(&url, "%s/", base);
	hps_url_escape(&url, path);
	return hps_buf_take(&url);
}

static int put_bucket(struct target *t, const char *path, const struct hps_buf *bytes, struct hps_error *err)
{
	_cleanup_free_ char *url = url_of(t->base, path), *hash = NULL;
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_buf_ struct hps_buf answer = HPS_BUF_INIT;
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;
	const char *headers[4] = { NULL, "Content-Type: application/octet-stream", NULL, NULL };
	struct hps_http_request request = { .method = "PUT", .headers = headers, .body = bytes->data ? bytes->data : "", .body_len = bytes->len,
					    .ca_file = t->o->ca_file, .sigv4 = t->sigv4, .credentials = t->credentials.data };
	int r;

	hps_digest_of(bytes->data ? bytes->data : "", bytes->len, &d);
	hps_digest_hex(&d, hex);
	headers[0] = hash = hps_format("x-amz-content-sha256: %s", hex);
	if (strstr(path, "checkpoint"))
		headers[1] = "Content-Type: text/plain; charset=utf-8";
	r = hps_http(&request, url, &answer, &reply, err);
	return r ? r : hps_http_expect(&reply, url, err);
}

static int put(struct target *t, const char *path, const struct hps_buf *bytes, struct hps_error *err)
{
	int r = t->dirfd >= 0 ? put_dir(t, path, bytes, err) : put_bucket(t, path, bytes, err);

	t->n_files += !r;
	return r;
}

static int copy(struct hps_ledger *l, struct target *t, const char *path, bool immutable, struct hps_error *err)
{
	_cleanup_free_ char *name = hps_format("tiles/%s", path);
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;
	int r;

	if (immutable && hps_map_find(&t->there, name))
		return 0;
	r = hps_file_read(l->tilesfd, path, HPS_ENVELOPE_MAX, &bytes, err);
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

/* ---- everything below tiles/ but the checkpoints ---- */

static bool is_checkpoint(const char *path)
{
	return !strcmp(path, "checkpoint") || !strcmp(path, HPS_ATTESTED_DIR "/checkpoint");
}

static int copy_below(struct hps_ledger *l, struct target *t, const char *dir, unsigned depth, struct hps_error *err);

static int copy_name(struct hps_ledger *l, struct target *t, const char *dir, const char *name, unsigned depth, struct hps_error *err)
{
	_cleanup_free_ char *path = *dir ? hps_format("%s/%s", dir, name) : hps_strdup(name);
	struct stat s;

	if (*name == '.' || is_checkpoint(path)) /* with a dot: directories, and files that somebody is writing */
		return 0;
	if (fstatat(l->tilesfd, path, &s, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : hps_error_errno(err, "reading 'tiles/%s'", path);
	if (S_ISDIR(s.st_mode))
		return depth < DEPTH_MAX ? copy_below(l, t, path, depth + 1, err) : 0;
	/* Attested checkpoints may still get more signatures; tiles and envelopes never change. */
	return S_ISREG(s.st_mode) ? copy(l, t, path, strncmp(path, HPS_ATTESTED_DIR "/", strlen(HPS_ATTESTED_DIR "/")) != 0, err) : 0;
}

static int copy_below(struct hps_ledger *l, struct target *t, const char *dir, unsigned depth, struct hps_error *err)
{
	int fd = openat(l->tilesfd, *dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : hps_error_errno(err, "reading 'tiles/%s'", dir);
	while (!r && (e = hps_dir_next(d, "reading what is published", &r, err)))
		r = copy_name(l, t, dir, e->d_name, depth, err);
	closedir(d);
	return r;
}

/* ---- what publishers left that were killed ---- */

/* Below a directory of the target. */
static int sweep_below(int dirfd, const char *path, int64_t before_ns, unsigned depth, struct hps_error *err)
{
	int r = hps_file_sweep(dirfd, path, before_ns, err), fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	while (!r && d && depth < DEPTH_MAX && (e = hps_dir_next(d, "reading what is published", &r, err))) {
		struct stat s;

		if (*e->d_name != '.' && (e->d_type == DT_DIR || (e->d_type == DT_UNKNOWN && !fstatat(fd, e->d_name, &s, AT_SYMLINK_NOFOLLOW) && S_ISDIR(s.st_mode))))
			r = sweep_below(fd, e->d_name, before_ns, depth + 1, err);
	}
	if (d)
		closedir(d);
	return r;
}

/* Another publisher may be at work, perhaps on another machine: what is younger than an hour, by the clock that stamps the files, is its. */
static int sweep(const struct target *t, struct hps_error *err)
{
	struct stat s;
	int64_t before_ns;
	int r;

	if (fstatat(t->dirfd, "tiles/checkpoint", &s, 0))
		return hps_error_errno(err, "reading what is published");
	before_ns = ((int64_t)s.st_mtim.tv_sec - LEFTOVER_AGE_S) * 1000000000;
	r = hps_file_sweep(t->dirfd, ".", before_ns, err);
	return r ? r : sweep_below(t->dirfd, "tiles", before_ns, 0, err);
}

/* ---- where to ---- */

/* s3://BUCKET/PREFIX, below the endpoint: path style, which every S3-compatible server takes. */
static int open_bucket(struct target *t, struct hps_error *err)
{
	const struct hps_publish *o = t->o;
	_cleanup_free_ char *endpoint = o->endpoint ? hps_strdup(o->endpoint) : o->region ? hps_format("https://s3.%s.amazonaws.com", o->region) : NULL;
	struct stat s;
	int r;

	if (!endpoint || !o->credentials)
		return hps_error_set(err, HPS_E_USAGE, "publishing to '%s' needs --region or --endpoint, and --credentials FILE", o->target);
	if (!stat(o->credentials, &s) && s.st_mode & 077)
		return hps_error_set(err, HPS_E_DENIED, "reading '%s': others may read it; chmod 600 it", o->credentials);
	r = hps_file_read(AT_FDCWD, o->credentials, CREDENTIALS_MAX, &t->credentials, err);
	if (r)
		return r;
	if (t->credentials.len && t->credentials.data[t->credentials.len - 1] == '\n')
		t->credentials.data[--t->credentials.len] = '\0';
	if (!strchr(t->credentials.data ? t->credentials.data : "", ':') || strchr(t->credentials.data, '\n'))
		return hps_error_set(err, HPS_E_FORMAT, "reading '%s': it is not one line ID:SECRET", o->credentials);
	t->base = url_of(endpoint, o->target + strlen("s3://"));
	t->sigv4 = hps_format("aws:amz:%s:s3", o->region ? o->region : "us-east-1");
	while (*t->base && t->base[strlen(t->base) - 1] == '/')
		t->base[strlen(t->base) - 1] = '\0';
	return 0;
}

static int open_target(struct target *t, struct hps_error *err)
{
	int r;

	if (!strncmp(t->o->target, "s3://", 5))
		return open_bucket(t, err);
	r = hps_dir_make(AT_FDCWD, t->o->target, 0755, err);
	return r ? r : hps_dir_open(AT_FDCWD, t->o->target, &t->dirfd, err);
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

static void read_state(struct target *t, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		_cleanup_free_ char *line = hps_strndup(text, len);

		if (text[len]) /* a line that was cut off counts for nothing */
			*hps_map_slot(&t->there, line) = t;
		text += len + (text[len] != '\0');
	}
}

static int publish(struct hps_ledger *l, struct target *t, struct hps_checkpoint *c, struct hps_error *err)
{
	_cleanup_free_ char *state = state_of(t->o->target);
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT, attested = HPS_BUF_INIT, trust = HPS_BUF_INIT, before = HPS_BUF_INIT;
	int r = hps_file_read(l->tilesfd, "checkpoint", HPS_NOTE_MAX, &note, err);

	if (!r)
		r = hps_checkpoint_open(note.data, note.len, &l->trust.log, c, err);
	if (!r)
		r = hps_file_read(l->dirfd, HPS_TRUST_FILE, HPS_NOTE_MAX, &trust, err);
	if (r)
		return r;
	if (hps_file_read(l->tilesfd, HPS_ATTESTED_DIR "/checkpoint", HPS_NOTE_MAX, &attested, NULL))
		hps_buf_reset(&attested);
	if (!t->o->all && !hps_file_read(l->dirfd, state, STATE_MAX, &before, NULL) && before.data)
		read_state(t, before.data);
	r = copy_below(l, t, "", 0, err);
	if (!r)
		r = put(t, HPS_TRUST_FILE, &trust, err);
	if (!r && attested.len)
		r = put(t, "tiles/" HPS_ATTESTED_DIR "/checkpoint", &attested, err);
	if (!r)
		r = put(t, "tiles/checkpoint", &note, err);
	hps_buf_add(&before, t->put.data, t->put.len);
	if (!r && t->dirfd >= 0)
		r = sweep(t, err);
	if (!r)
		r = hps_dir_make(l->dirfd, "published", 0700, err);
	return r ? r : hps_file_write(l->dirfd, state, 0600, before.data ? before.data : "", before.len, err);
}

int hps_publish(struct hps_ledger *l, const struct hps_publish *options, uint64_t *ret_size, uint64_t *ret_files, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	struct target t = { .o = options, .dirfd = -1 };
	int r;

	hps_buf_init(&t.credentials, CREDENTIALS_MAX);
	hps_buf_init(&t.put, STATE_MAX);
	r = open_target(&t, err);
	if (!r)
		r = publish(l, &t, &c, err);
	*ret_size = c.size;
	*ret_files = t.n_files;
	hps_cleanup_fd(&t.dirfd);
	if (t.credentials.data)
		explicit_bzero(t.credentials.data, t.credentials.cap);
	hps_buf_release(&t.credentials);
	hps_buf_release(&t.put);
	hps_map_release(&t.there);
	free(t.base);
	free(t.sigv4);
	return r;
}
