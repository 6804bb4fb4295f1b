/* One digest for a data set: every byte, never a sample. Two definitions, both over the regular files below a directory, sorted by
 * their relative path in byte order (docs/FORMATS.md, "Dataset digests"). */
#include "recorder/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One thing below the top: what it is and, for a file, its content. */
struct leaf {
	char *path; /* relative; "" for a data set that is one file */
	char type;  /* 'f' file, 'd' directory without entries is not kept, 'l' symlink */
	bool executable;
	uint64_t bytes;
	struct hps_digest digest; /* of the content; of the target for a symlink */
};
struct leaves {
	struct leaf *v;
	size_t n, cap;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct leaf *)a)->path, ((const struct leaf *)b)->path);
}

static int hash_file(const char *path, struct leaf *leaf, struct hps_error *err)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat before, after;
	int r;

	if (fd < 0 || fstat(fd, &before))
		return hps_error_errno(err, "opening '%s'", path);
	r = hps_digest_fd(fd, &leaf->digest, &leaf->bytes, err);
	if (r)
		return hps_error_prefix(err, "'%s'", path);
	if (fstat(fd, &after) || before.st_size != after.st_size || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec ||
	    before.st_mtim.tv_sec != after.st_mtim.tv_sec || leaf->bytes != (uint64_t)before.st_size)
		return hps_error_set(err, HPS_E_UNDECIDED, "'%s' changed while it was hashed", path);
	leaf->executable = before.st_mode & 0100;
	return 0;
}

static int hash_link(const char *path, struct leaf *leaf, struct hps_error *err)
{
	char target[4096];
	ssize_t n = readlink(path, target, sizeof target);

	if (n < 0)
		return hps_error_errno(err, "reading the link '%s'", path);
	hps_digest_of(target, (size_t)n, &leaf->digest);
	leaf->bytes = (uint64_t)n;
	return 0;
}

static int visit(const FTSENT *e, size_t top_len, struct leaves *leaves, struct hps_error *err)
{
	const char *relative = e->fts_path + top_len;
	struct leaf leaf = { 0 };
	int r;

	switch (e->fts_info) {
	case FTS_F:
	case FTS_SL:
	case FTS_SLNONE:
		break;
	case FTS_DNR:
	case FTS_ERR:
	case FTS_NS:
		errno = e->fts_errno;
		return hps_error_errno(err, "reading '%s'", e->fts_path);
	case FTS_DEFAULT:
		return hps_error_set(err, HPS_E_FORMAT, "'%s' is neither a file, a directory nor a link", e->fts_path);
	default:
		return 0;
	}
	leaf.type = e->fts_info == FTS_F ? 'f' : 'l';
	r = leaf.type == 'f' ? hash_file(e->fts_accpath, &leaf, err) : hash_link(e->fts_accpath, &leaf, err);
	if (r)
		return r;
	leaf.path = hps_strdup(*relative == '/' ? relative + 1 : relative);
	if (leaves->n == leaves->cap)
		leaves->v = hps_realloc(leaves->v, leaves->cap = leaves->cap ? leaves->cap * 2 : 64, sizeof *leaves->v);
	leaves->v[leaves->n++] = leaf;
	return 0;
}

static int walk(const char *path, struct leaves *leaves, struct hps_error *err)
{
	char *const tops[] = { (char *)(uintptr_t)path, NULL }; /* fts does not change it */
	FTS *fts = fts_open(tops, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, NULL);
	FTSENT *e;
	int r = 0;

	if (!fts)
		return hps_error_errno(err, "reading '%s'", path);
	while (!r && (errno = 0, e = fts_read(fts)))
		r = visit(e, strlen(path), leaves, err);
	if (!r && errno)
		r = hps_error_errno(err, "reading '%s'", path);
	fts_close(fts);
	return r;
}

/* SHA-256 over one record a leaf: type, mode, path, size, digest, each with its length, so that no two trees share a byte string. */
static void tree_digest(const struct leaves *leaves, struct hps_digest *ret)
{
	struct hps_sha256 *h = hps_sha256_new();

	hps_sha256_update(h, "hps.tree/1\n", 11);
	for (size_t i = 0; i < leaves->n; i++) {
		const struct leaf *leaf = &leaves->v[i];
		char hex[HPS_DIGEST_HEX];
		_cleanup_free_ char *record = NULL;

		hps_digest_hex(&leaf->digest, hex);
		record = hps_format("%c%c %zu:%s %llu %s\n", leaf->type, leaf->executable ? 'x' : '-', strlen(leaf->path), leaf->path, (unsigned long long)leaf->bytes, hex);
		hps_sha256_update(h, record, strlen(record));
	}
	hps_sha256_final(h, ret);
	hps_sha256_free(h);
}

/* in-toto's dirHash, Go's Hash1: SHA-256 over the sorted "hex  path\n" lines of sha256sum; files only. */
static void dir_hash(const struct leaves *leaves, struct hps_digest *ret)
{
	struct hps_sha256 *h = hps_sha256_new();

	for (size_t i = 0; i < leaves->n; i++) {
		char hex[HPS_DIGEST_HEX];
		_cleanup_free_ char *line = NULL;

		if (leaves->v[i].type != 'f')
			continue;
		hps_digest_hex(&leaves->v[i].digest, hex);
		line = hps_format("%s  %s\n", hex, leaves->v[i].path);
		hps_sha256_update(h, line, strlen(line));
	}
	hps_sha256_final(h, ret);
	hps_sha256_free(h);
}

int hps_dataset_digest(const char *path, struct hps_dataset *ret, struct hps_error *err)
{
	struct leaves leaves = { 0 };
	int r = walk(path, &leaves, err);

	if (!r) {
		*ret = (struct hps_dataset){ 0 };
		if (leaves.n)
			qsort(leaves.v, leaves.n, sizeof *leaves.v, compare);
		for (size_t i = 0; i < leaves.n; i++) {
			ret->n_files += leaves.v[i].type == 'f';
			ret->n_bytes += leaves.v[i].type == 'f' ? leaves.v[i].bytes : 0;
		}
		tree_digest(&leaves, &ret->tree);
		dir_hash(&leaves, &ret->dir_hash);
	}
	for (size_t i = 0; i < leaves.n; i++)
		free(leaves.v[i].path);
	free(leaves.v);
	return r;
}
