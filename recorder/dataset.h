/* Private header of the data sets: one digest for a file or a tree, every byte of it, on all cores, remembered between runs. */
#ifndef HPS_RECORDER_DATASET_H
#define HPS_RECORDER_DATASET_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "core/core.h"

/* One thing below the top: what it is and, for a file, its content. */
struct hps_dataset_leaf {
	const char *path; /* relative; "" for a data set that is one file */
	char type;	  /* 'f' file, 'l' symlink; directories are seen by what is in them */
	bool executable;
	uint64_t bytes;
	struct hps_digest digest; /* of the content; of the target for a symlink */
};
struct hps_dataset {
	struct hps_digest tree, merkle, dir_hash; /* docs/FORMATS.md, "Dataset digests" */
	uint64_t n_files, n_bytes;
};

/* ---- dataset.c: the definitions ---- */
/* Sorts the leaves. */
void hps_dataset_of(struct hps_dataset_leaf *leaves, size_t n, struct hps_dataset *ret);
/* The same of leaves that come sorted. The end frees it. */
struct hps_dataset_sum;
struct hps_dataset_sum *hps_dataset_begin(void);
void hps_dataset_add(struct hps_dataset_sum *s, const struct hps_dataset_leaf *leaf);
void hps_dataset_end(struct hps_dataset_sum *s, struct hps_dataset *ret);
/* What could not be read: names below the top. Without it the first one is an error. */
#define HPS_UNREAD_MAX 10000
struct hps_unread {
	struct hps_strv paths; /* the first HPS_UNREAD_MAX that were met, sorted at the end */
	uint64_t n;
};
struct hps_dataset_options {
	const char *cache_dir;	       /* NULL: nothing is remembered */
	struct hps_progress *progress; /* NULL: not shown; in MiB */
	struct hps_unread *unread;     /* NULL: nothing may be left out */
};
int hps_dataset_digest(const char *path, const struct hps_dataset_options *o, struct hps_dataset *ret, struct hps_error *err) HPS_MUST;
/* {"sha256", "merkle", "dirHash"} and {"path", "files", "bytes"} */
json_t *hps_dataset_digest_json(const struct hps_dataset *d);
json_t *hps_dataset_size_json(const struct hps_dataset *d, const char *path);

/* ---- dataset_walk.c: everything below a directory, hashed by as many threads as there are cores ---- */
struct hps_seen { /* what a look at a file or directory saw: the same again, the same content */
	uint64_t fsid;
	int64_t ino, size, mtime_ns, ctime_ns; /* ino 0: not to be believed again */
};
struct hps_found {
	struct hps_dataset_leaf leaf;
	struct hps_seen seen;
	uint32_t dir, name; /* in `dirs`; offset of the last name in leaf.path */
};
struct hps_found_dir {
	char *path; /* relative, with its slash; "" is the top */
	struct hps_seen seen;
};
struct hps_tree {
	struct hps_found *leaves; /* in no order */
	struct hps_found_dir *dirs;
	size_t n_leaves, n_dirs;
	size_t n_hashed; /* the others were remembered */
};
struct hps_dataset_cache;
/* top is a directory or a file. unread: or NULL. */
int hps_tree_walk(const char *top, const struct hps_dataset_cache *cache, struct hps_progress *progress, struct hps_unread *unread, struct hps_tree *ret, struct hps_error *err) HPS_MUST;
void hps_tree_release(struct hps_tree *t);
void hps_seen_of(const struct stat *s, uint64_t fsid, struct hps_seen *ret);
bool hps_seen_equal(const struct hps_seen *a, const struct hps_seen *b);
unsigned hps_cores(void); /* that we may use */

/* ---- dataset_cache.c: trees of earlier runs ---- */
/* NULL: there is none that can be believed. path: the real path of the data set. */
struct hps_dataset_cache *hps_dataset_cache_load(const char *dir, const char *path);
/* Is the tree wholly as it was? Looks at every directory and file, and hashes a sample again. *ret_lied: a sample had another digest, nothing
 * of the cache can be believed. */
bool hps_dataset_cache_whole(const struct hps_dataset_cache *c, const char *top, struct hps_dataset *ret, bool *ret_lied);
void hps_dataset_cache_index(struct hps_dataset_cache *c); /* for what follows; a tree that is not whole has it */
const struct hps_digest *hps_dataset_cache_get(const struct hps_dataset_cache *c, const struct hps_seen *seen); /* NULL: not known */
void hps_dataset_cache_save(const char *dir, const char *path, const struct hps_tree *t, const struct hps_dataset *d);
void hps_dataset_cache_free(struct hps_dataset_cache *c);

#endif
