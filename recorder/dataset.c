/* One digest for a data set: every byte, never a sample. Three definitions over the same leaves, sorted by their relative path in
 * byte order (docs/FORMATS.md, "Dataset digests"). */
#include "recorder/dataset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct hps_dataset_leaf *)a)->path, ((const struct hps_dataset_leaf *)b)->path);
}

/* "<f|l><x|-> <length of path>:<path> <size> <sha256 hex>\n": no two trees share a byte string. */
static void leaf_record(const struct hps_dataset_leaf *leaf, struct hps_buf *out)
{
	char text[32], hex[HPS_DIGEST_HEX];
	size_t len = strlen(leaf->path);

	hps_digest_hex(&leaf->digest, hex);
	hps_buf_addc(out, leaf->type);
	hps_buf_add(out, leaf->executable ? "x " : "- ", 2);
	hps_buf_add(out, text, (size_t)snprintf(text, sizeof text, "%zu:", len));
	hps_buf_add(out, leaf->path, len);
	hps_buf_add(out, text, (size_t)snprintf(text, sizeof text, " %llu ", (unsigned long long)leaf->bytes));
	hps_buf_add(out, hex, sizeof hex - 1);
	hps_buf_addc(out, '\n');
}

/* in-toto's dirHash, Go's Hash1: the sorted "hex  path\n" lines of sha256sum; files only. */
static void hash_line(const struct hps_dataset_leaf *leaf, struct hps_buf *out)
{
	char hex[HPS_DIGEST_HEX];

	if (leaf->type != 'f')
		return;
	hps_digest_hex(&leaf->digest, hex);
	hps_buf_add(out, hex, sizeof hex - 1);
	hps_buf_add(out, "  ", 2);
	hps_buf_adds(out, leaf->path);
	hps_buf_addc(out, '\n');
}

struct hps_dataset_sum {
	struct hps_sha256 *tree, *dir_hash;
	struct hps_buf record, line;
	struct hps_merkle merkle;
	struct hps_dataset result;
};

struct hps_dataset_sum *hps_dataset_begin(void)
{
	struct hps_dataset_sum *s = hps_alloc(sizeof *s);

	s->record = s->line = (struct hps_buf)HPS_BUF_INIT;
	s->tree = hps_sha256_new();
	s->dir_hash = hps_sha256_new();
	hps_sha256_update(s->tree, "hps.tree/1\n", 11);
	return s;
}

void hps_dataset_add(struct hps_dataset_sum *s, const struct hps_dataset_leaf *leaf)
{
	struct hps_digest hash;

	s->record.len = s->line.len = 0;
	leaf_record(leaf, &s->record);
	hash_line(leaf, &s->line);
	hps_sha256_update(s->tree, s->record.data, s->record.len);
	hps_sha256_update(s->dir_hash, s->line.data ? s->line.data : "", s->line.len);
	hps_merkle_leaf(s->record.data, s->record.len, &hash);
	hps_merkle_add(&s->merkle, &hash, NULL);
	s->result.n_files += leaf->type == 'f';
	s->result.n_bytes += leaf->type == 'f' ? leaf->bytes : 0;
}

void hps_dataset_end(struct hps_dataset_sum *s, struct hps_dataset *ret)
{
	*ret = s->result;
	hps_sha256_final(s->tree, &ret->tree);
	hps_sha256_final(s->dir_hash, &ret->dir_hash);
	hps_merkle_root(&s->merkle, &ret->merkle);
	hps_sha256_free(s->tree);
	hps_sha256_free(s->dir_hash);
	hps_buf_release(&s->record);
	hps_buf_release(&s->line);
	free(s);
}

void hps_dataset_of(struct hps_dataset_leaf *leaves, size_t n, struct hps_dataset *ret)
{
	struct hps_dataset_sum *s = hps_dataset_begin();

	if (n)
		qsort(leaves, n, sizeof *leaves, compare);
	for (size_t i = 0; i < n; i++)
		hps_dataset_add(s, &leaves[i]);
	hps_dataset_end(s, ret);
}

static void digest_tree(const struct hps_tree *t, struct hps_dataset *ret)
{
	_cleanup_free_ struct hps_dataset_leaf *leaves = hps_realloc(NULL, t->n_leaves + 1, sizeof *leaves);

	for (size_t i = 0; i < t->n_leaves; i++)
		leaves[i] = t->leaves[i].leaf;
	hps_dataset_of(leaves, t->n_leaves, ret);
}

/* Trees of which something could not be read are remembered under a name of their own: nobody may take one for the whole. */
static char *partial_name(const char *real)
{
	return hps_format("readable:%s", real);
}

static struct hps_dataset_cache *load_partial(const char *path, const char *real, const char *dir)
{
	_cleanup_free_ char *name = partial_name(real);
	struct hps_dataset_cache *cache = hps_dataset_cache_load(dir, name);
	struct hps_dataset ignored;
	bool lied;

	if (!cache)
		return NULL;
	(void)hps_dataset_cache_whole(cache, path, &ignored, &lied); /* what is not in it must be looked for all the same */
	if (!lied) {
		hps_dataset_cache_index(cache);
		return cache;
	}
	hps_dataset_cache_free(cache);
	return NULL;
}

static void save(const struct hps_dataset_options *o, const char *real, const struct hps_tree *tree, const struct hps_dataset *d)
{
	_cleanup_free_ char *name = o->unread && o->unread->n ? partial_name(real) : hps_strdup(real);

	hps_dataset_cache_save(o->cache_dir, name, tree, d);
}

int hps_dataset_digest(const char *path, const struct hps_dataset_options *o, struct hps_dataset *ret, struct hps_error *err)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	struct hps_dataset_cache *cache = o->cache_dir && real ? hps_dataset_cache_load(o->cache_dir, real) : NULL;
	struct hps_tree tree = { 0 };
	bool lied = false;
	int r = 0;

	if (cache && hps_dataset_cache_whole(cache, path, ret, &lied))
		goto out;
	if (lied) {
		hps_dataset_cache_free(cache);
		cache = NULL;
	}
	if (!cache && o->unread && o->cache_dir && real)
		cache = load_partial(path, real, o->cache_dir);
	r = hps_tree_walk(path, cache, o->progress, o->unread, &tree, err);
	if (r)
		goto out;
	digest_tree(&tree, ret);
	if (o->cache_dir && real)
		save(o, real, &tree, ret);
out:
	hps_tree_release(&tree);
	hps_dataset_cache_free(cache);
	return r;
}

json_t *hps_dataset_digest_json(const struct hps_dataset *d)
{
	const struct {
		const char *name;
		const struct hps_digest *digest;
	} members[] = { { "sha256", &d->tree }, { "merkle", &d->merkle }, { "dirHash", &d->dir_hash } };
	json_t *object = json_object();
	char hex[HPS_DIGEST_HEX];

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		hps_digest_hex(members[i].digest, hex);
		hps_json_set_text(object, members[i].name, hex);
	}
	return object;
}

json_t *hps_dataset_size_json(const struct hps_dataset *d, const char *path)
{
	json_t *object = json_object();

	hps_json_set(object, "path", hps_path_json(path));
	hps_json_set_int(object, "files", (int64_t)d->n_files);
	hps_json_set_int(object, "bytes", (int64_t)d->n_bytes);
	return object;
}
