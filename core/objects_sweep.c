/* Sweeping the content store: what its owner does not keep is removed, if it is old; a sweep can be killed anywhere. */
#include "core/core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sweep {
	int dirfd;
	const struct hps_sweep_options *options;
	struct hps_sweep_result *result;
};

#define TAKEN ".gc." /* an object on its way out, under its digest: at the top of the store */

static bool is_old(const struct sweep *s, const char *name, uint64_t *ret_bytes)
{
	struct stat st;

	if (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return false;
	*ret_bytes = (uint64_t)st.st_size;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec < s->options->older_than_ns;
}

/* Set aside first, looked at again, then removed: who reuses it in between makes it young, or finds it gone and stores it anew. */
static int remove_object(struct sweep *s, const struct hps_digest *d, struct hps_error *err)
{
	char name[HPS_OBJECT_NAME], hex[HPS_DIGEST_HEX], aside[HPS_OBJECT_NAME + 8];
	uint64_t bytes;

	hps_objects_name(d, name);
	if (!is_old(s, name, &bytes))
		return 0;
	s->result->n_removed++;
	s->result->bytes_removed += bytes;
	if (s->options->dry_run)
		return 0;
	hps_digest_hex(d, hex);
	snprintf(aside, sizeof aside, TAKEN "%s", hex);
	if (renameat(s->dirfd, name, s->dirfd, aside))
		return errno == ENOENT ? 0 : hps_error_errno(err, "removing the object %.12s", hex);
	if (is_old(s, aside, &bytes))
		return unlinkat(s->dirfd, aside, 0) ? hps_error_errno(err, "removing the object %.12s", hex) : 0;
	s->result->n_removed--;
	s->result->bytes_removed -= bytes;
	return renameat(s->dirfd, aside, s->dirfd, name) ? hps_error_errno(err, "putting back the object %.12s", hex) : 0;
}

/* At the top lie temporary files of dead writers, and what a sweep that was killed had set aside. */
static int sweep_top(struct sweep *s, const char *entry, struct hps_error *err)
{
	char name[HPS_OBJECT_NAME];
	struct hps_digest d;
	uint64_t bytes;

	if (!strncmp(entry, TAKEN, strlen(TAKEN)) && !hps_digest_parse(entry + strlen(TAKEN), &d)) {
		hps_objects_name(&d, name);
		if (renameat(s->dirfd, entry, s->dirfd, name))
			return hps_error_errno(err, "putting back the object %.12s", entry + strlen(TAKEN));
		return 0;
	}
	if (strncmp(entry, ".new.", 5) != 0 || !is_old(s, entry, &bytes))
		return 0;
	s->result->n_removed++;
	s->result->bytes_removed += bytes;
	return !s->options->dry_run && unlinkat(s->dirfd, entry, 0) ? hps_error_errno(err, "removing '%s'", entry) : 0;
}

static int sweep_shard(struct sweep *s, const char *shard, const char *entry, struct hps_error *err)
{
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;

	if (strlen(entry) != HPS_DIGEST_HEX - 3)
		return 0;
	snprintf(hex, sizeof hex, "%.2s%s", shard, entry);
	if (hps_digest_parse(hex, &d))
		return 0;
	s->result->n_seen++;
	return s->options->keep(s->options->arg, &d) ? 0 : remove_object(s, &d, err);
}

static int each_in(struct sweep *s, const char *dir, bool top, struct hps_error *err)
{
	int fd = openat(s->dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : hps_error_errno(err, "reading the content store");
	while (!r && (e = readdir(d)))
		r = top ? sweep_top(s, e->d_name, err) : sweep_shard(s, dir, e->d_name, err);
	closedir(d);
	return r;
}

int hps_objects_sweep(struct hps_objects *o, const struct hps_sweep_options *options, struct hps_sweep_result *ret, struct hps_error *err)
{
	struct sweep s = { hps_objects_dirfd(o), options, ret };
	int r;

	memset(ret, 0, sizeof *ret);
	r = each_in(&s, ".", true, err);
	for (unsigned i = 0; !r && i < 256; i++) {
		char shard[3];

		snprintf(shard, sizeof shard, "%02x", i);
		r = each_in(&s, shard, false, err);
	}
	return r;
}
