/* A rerun's view shows files of the system under names of its own: its file system says nothing of when they changed, and all of them
 * would have to be hashed again. hps-replay tells which are shown at their own paths; the digest of such a one is that of the system's file,
 * which the cache of digests knows as it does in any recording. */
#include "recorder/recorder.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAYERS_MAX ((size_t)256 << 20)
#define TOP "/usr/"

struct hps_layers {
	struct hps_map by_path; /* struct hps_digest * */
	struct hps_digest *digests;
	int64_t made_ns; /* what changed its status later is no longer what was shown */
	int top_fd;	 /* TOP outside the view */
};

static int damaged(struct hps_error *err)
{
	return hps_error_set(err, HPS_E_FORMAT, "it is not what hps-replay writes");
}

/* The time, then for each file its digest, a space and its path; each ends with a NUL. */
static int read_all(struct hps_layers *l, const struct hps_buf *text, struct hps_error *err)
{
	const char *end = text->data + text->len;
	size_t n = 0;

	if (!text->len || end[-1] || hps_parse_i64(text->data, 0, INT64_MAX, &l->made_ns))
		return damaged(err);
	for (const char *p = text->data; p < end; p += strlen(p) + 1)
		n++;
	l->digests = hps_alloc(n * sizeof *l->digests);
	n = 0;
	for (const char *p = text->data + strlen(text->data) + 1; p < end; p += strlen(p) + 1, n++) {
		char hex[HPS_DIGEST_HEX] = "";

		memcpy(hex, p, strnlen(p, sizeof hex - 1));
		if (strlen(p) < sizeof hex || p[sizeof hex - 1] != ' ' || strncmp(p + sizeof hex, TOP, strlen(TOP)) != 0 || hps_digest_parse(hex, &l->digests[n]))
			return damaged(err);
		*hps_map_slot(&l->by_path, p + sizeof hex) = &l->digests[n];
	}
	return 0;
}

int hps_layers_load(const char *file, struct hps_layers **ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_layers *l = hps_alloc(sizeof *l);
	int r;

	l->top_fd = open(TOP, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	r = l->top_fd < 0 ? hps_error_errno(err, "opening '%s'", TOP) : hps_file_read(AT_FDCWD, file, LAYERS_MAX, &text, err);
	r = r ? r : read_all(l, &text, err);
	if (!r)
		*ret = l;
	else
		hps_layers_free(l);
	return r ? hps_error_prefix(err, "option --layers-from '%s'", file) : 0;
}

bool hps_layers_known(const struct hps_layers *l, struct hps_cache *cache, const char *path, const struct stat *shown, struct hps_cached *ret)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	const struct hps_digest *digest = hps_map_get(&l->by_path, path);
	struct hps_identity id;
	struct stat s;
	_cleanup_fd_ int fd = -1;

	hps_identity_of(shown, &id);
	if (!digest || id.ctime_ns > l->made_ns)
		return false;
	fd = (int)syscall(SYS_openat2, l->top_fd, path + strlen(TOP), &how, sizeof how);
	if (fd < 0 || fstat(fd, &s) || !S_ISREG(s.st_mode) || s.st_size != shown->st_size)
		return false;
	hps_identity_of(&s, &id);
	return hps_cache_get(cache, fd, &id, ret) && hps_digest_equal(&ret->digest, digest);
}

void hps_layers_free(struct hps_layers *l)
{
	if (!l)
		return;
	hps_map_release(&l->by_path);
	free(l->digests);
	hps_cleanup_fd(&l->top_fd);
	free(l);
}
