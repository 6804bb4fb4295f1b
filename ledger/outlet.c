/* Where a ledger is published: a directory, or an S3 bucket. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDENTIALS_MAX 4096
#define DEPTH_MAX 12
#define LEFTOVER_AGE_S 3600

/* ---- a directory ---- */

static int put_dir(struct hps_outlet *t, const char *path, const struct hps_buf *bytes, struct hps_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = slash ? hps_strndup(path, (size_t)(slash - path)) : NULL;
	int r = parent ? hps_dir_make(t->dirfd, parent, 0755, err) : 0;

	return r ? r : hps_file_write(t->dirfd, path, 0644, bytes->data ? bytes->data : "", bytes->len, err);
}

static int remove_dir(struct hps_outlet *t, const char *path, struct hps_error *err)
{
	return unlinkat(t->dirfd, path, 0) && errno != ENOENT ? hps_error_errno(err, "removing '%s'", path) : 0;
}

/* What publishers left that were killed, below a directory. */
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
int hps_outlet_sweep(const struct hps_outlet *t, struct hps_error *err)
{
	struct stat s;
	int64_t before_ns;
	int r;

	if (t->dirfd < 0)
		return 0;
	if (fstatat(t->dirfd, "tiles/checkpoint", &s, 0))
		return hps_error_errno(err, "reading what is published");
	before_ns = ((int64_t)s.st_mtim.tv_sec - LEFTOVER_AGE_S) * 1000000000;
	r = hps_file_sweep(t->dirfd, ".", before_ns, err);
	return r ? r : sweep_below(t->dirfd, "tiles", before_ns, 0, err);
}

/* ---- a bucket ---- */

/* As Amazon writes it, once: what is signed is the path as it is sent. */
static char *url_of(const char *base, const char *path)
{
	struct hps_buf url = HPS_BUF_INIT;

	hps_buf_addf(&url, "%s/", base);
	hps_url_escape(&url, path);
	return hps_buf_take(&url);
}

static int ask_bucket(struct hps_outlet *t, const char *method, const char *path, const struct hps_buf *bytes, size_t max, struct hps_buf *ret, struct hps_error *err)
{
	_cleanup_free_ char *url = url_of(t->base, path), *hash = NULL;
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	const void *body = !bytes ? NULL : bytes->data ? bytes->data : "";
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;
	const char *headers[4] = { NULL, "Content-Type: application/octet-stream", NULL, NULL };
	struct hps_http_request request = { .method = method, .headers = headers, .body = body, .body_len = bytes ? bytes->len : 0, .max = max,
					    .ca_file = t->o->ca_file, .sigv4 = t->sigv4, .credentials = t->credentials.data };
	int r;

	hps_digest_of(body ? body : "", request.body_len, &d);
	hps_digest_hex(&d, hex);
	headers[0] = hash = hps_format("x-amz-content-sha256: %s", hex);
	if (!bytes)
		headers[1] = NULL;
	else if (strstr(path, "checkpoint"))
		headers[1] = "Content-Type: text/plain; charset=utf-8";
	r = hps_http(&request, url, ret, &reply, err);
	return r ? r : hps_http_expect(&reply, url, err);
}

/* s3://BUCKET/PREFIX, below the endpoint: path style, which every S3-compatible server takes. */
static int open_bucket(struct hps_outlet *t, struct hps_error *err)
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

/* ---- either ---- */

int hps_outlet_open(struct hps_outlet *t, const struct hps_publish *o, struct hps_error *err)
{
	int r;

	*t = (struct hps_outlet){ .o = o, .dirfd = -1 };
	hps_buf_init(&t->credentials, CREDENTIALS_MAX);
	if (!strncmp(o->target, "s3://", 5))
		return open_bucket(t, err);
	if (strstr(o->target, "://"))
		return hps_error_set(err, HPS_E_USAGE, "publishing to '%s': it goes to a directory or to s3://BUCKET/PREFIX; others fetch it from there", o->target);
	r = hps_dir_make(AT_FDCWD, o->target, 0755, err);
	return r ? r : hps_dir_open(AT_FDCWD, o->target, &t->dirfd, err);
}

void hps_outlet_close(struct hps_outlet *t)
{
	hps_cleanup_fd(&t->dirfd);
	if (t->credentials.data)
		explicit_bzero(t->credentials.data, t->credentials.cap);
	hps_buf_release(&t->credentials);
	free(t->base);
	free(t->sigv4);
}

int hps_outlet_put(struct hps_outlet *t, const char *path, const struct hps_buf *bytes, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf answer = HPS_BUF_INIT;

	return t->dirfd >= 0 ? put_dir(t, path, bytes, err) : ask_bucket(t, "PUT", path, bytes, 0, &answer, err);
}

int hps_outlet_get(struct hps_outlet *t, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err)
{
	int r = t->dirfd >= 0 ? hps_file_read(t->dirfd, path, max, ret, err) : ask_bucket(t, "GET", path, NULL, max, ret, err);

	return r == -ENOENT ? hps_error_set(err, HPS_E_NOTFOUND, "'%s' is not there", path) : r;
}

int hps_outlet_remove(struct hps_outlet *t, const char *path, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf answer = HPS_BUF_INIT;
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	int r;

	if (t->dirfd >= 0)
		return remove_dir(t, path, err);
	r = ask_bucket(t, "DELETE", path, NULL, 0, &answer, &e);
	return r && r != HPS_E_NOTFOUND ? hps_error_set(err, r, "%s", e.message) : 0;
}
