/* A trial as one file: evidence that verifies without its ledger (hps-ledger prove), the manifests of the record, and every content
 * that a replay needs. docs/FORMATS.md, "Bundles". */
#include "replay/replay.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct item {
	char *name;
	uint64_t size;
	struct hps_digest digest;
	char *path;		     /* a file of ours; or */
	const struct hps_plan_node *node; /* a content of the view; or else an object of the ledger */
};
struct pack {
	const struct hps_original *original;
	struct hps_sources *sources;
	struct hps_objects *objects;
	struct item *items;
	size_t n;
	struct hps_map names;
	char *work;
};

static struct item *add(struct pack *p, const char *name)
{
	void **slot = hps_map_slot(&p->names, name);

	if (*slot)
		return NULL;
	*slot = p;
	p->items = hps_grow(p->items, p->n, sizeof *p->items);
	p->items[p->n] = (struct item){ .name = hps_strdup(name) };
	return &p->items[p->n++];
}

static struct item *add_object(struct pack *p, const struct hps_digest *d)
{
	char hex[HPS_DIGEST_HEX];
	_cleanup_free_ char *name = NULL;
	struct item *item;

	hps_digest_hex(d, hex);
	name = hps_format("objects/%.2s/%s", hex, hex + 2);
	item = add(p, name);
	if (item)
		item->digest = *d;
	return item;
}

/* ---- what goes in ---- */

static int add_file(struct pack *p, const char *name, const char *path, struct hps_error *err)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct item *item;
	int r;

	if (fd < 0)
		return hps_error_errno(err, "packing '%s'", path);
	item = add(p, name);
	r = item ? hps_digest_fd(fd, &item->digest, &item->size, err) : 0;
	if (item)
		item->path = hps_strdup(path);
	return r;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_evidence(struct pack *p, struct hps_ledger *l, struct hps_error *err)
{
	_cleanup_free_ char *program = hps_sibling_program("hps-ledger"), *dir = hps_format("%s/evidence", p->work);
	const char *const argv[] = { program, "prove", "--ledger", hps_ledger_dir(l), "--output", dir, p->original->trial.id, NULL };
	_cleanup_buf_ struct hps_buf said = HPS_BUF_INIT;
	struct dirent **list;
	int status, n, r = hps_run(&(struct hps_run){ .argv = argv, .max_output = 1 << 16 }, &said, &status, err);

	if (!r && (!WIFEXITED(status) || WEXITSTATUS(status)))
		r = hps_error_set(err, HPS_E_UNDECIDED, "packing the evidence: 'hps-ledger prove' failed");
	n = r ? -1 : scandir(dir, &list, NULL, by_name);
	if (!r && n < 0)
		return hps_error_errno(err, "packing the evidence");
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *name = hps_format("evidence/%s", list[i]->d_name), *path = hps_format("%s/%s", dir, list[i]->d_name);

		if (!r && list[i]->d_name[0] != '.')
			r = add_file(p, name, path, err);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return r;
}

static int size_of_object(struct pack *p, struct item *item, struct hps_error *err)
{
	_cleanup_fd_ int fd = -1;
	struct stat s;
	int r = hps_objects_open_fd(p->objects, &item->digest, &fd, NULL, err);

	if (!r && fstat(fd, &s))
		r = hps_error_errno(err, "packing an object");
	if (!r)
		item->size = (uint64_t)s.st_size;
	return r;
}

/* They come first: who unpacks must know what may follow. */
static int add_manifests(struct pack *p, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv digests = HPS_STRV_INIT;
	int r = 0;

	hps_manifest_digests(p->original->trial.statement, &digests);
	for (size_t i = 0; i < digests.n && !r; i++) {
		struct hps_digest d;
		struct item *item = hps_digest_parse(digests.v[i], &d) ? NULL : add_object(p, &d);

		r = item ? size_of_object(p, item, err) : 0;
	}
	return r;
}

static int add_content(struct pack *p, const struct hps_plan_node *n, struct hps_holes *missing, struct hps_error *err)
{
	_cleanup_source_ struct hps_source s = HPS_SOURCE_INIT;
	_cleanup_error_ struct hps_error why = HPS_ERROR_INIT;
	struct item *item;
	int r;

	if (n->secret && n->unread)
		return 0;
	if (n->secret) {
		hps_hole_add(missing, n->path, "it holds a secret");
		return 0;
	}
	r = hps_source_open(p->sources, n, false, &s, &why);

	if (r == HPS_E_NOTFOUND) {
		hps_hole_add(missing, n->path, why.message);
		return 0;
	}
	if (r)
		return hps_error_set(err, r, "%s", why.message);
	if (s.kind == HPS_SOURCE_EMPTY)
		return 0;
	if ((uint64_t)s.size > HPS_ARCHIVE_FILE_MAX) {
		hps_hole_add(missing, n->path, "larger than a bundle takes (1 GiB)");
		return 0;
	}
	item = add_object(p, &n->digest);
	if (item) {
		item->node = n;
		item->size = (uint64_t)s.size;
	}
	return 0;
}

/* What the trial left is there to compare with by value, as far as it was kept. */
static int add_products(struct pack *p, struct hps_error *err)
{
	const json_t *product;
	size_t i;
	int r = 0;

	json_array_foreach(p->original->products, i, product) {
		const char *hex = hps_product_digest(product);
		struct hps_digest d;
		struct item *item;

		if (r || !hex || hps_digest_parse(hex, &d) || !hps_objects_has(p->objects, &d))
			continue;
		item = add_object(p, &d);
		r = item ? size_of_object(p, item, err) : 0;
	}
	return r;
}

/* ---- writing ---- */

static int write_head(struct archive *a, const char *name, uint64_t size)
{
	struct archive_entry *e = archive_entry_new();
	int r;

	archive_entry_set_pathname(e, name);
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0444);
	r = archive_write_header(a, e);
	archive_entry_free(e);
	return r == ARCHIVE_OK ? 0 : -EIO;
}

/* A content that is no file of its own. */
static int memory_fd(const struct hps_buf *content, int *ret, struct hps_error *err)
{
	_cleanup_fd_ int fd = memfd_create("content", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : hps_write_all(fd, content->data, content->len);

	if (r || lseek(fd, 0, SEEK_SET))
		return hps_error_set(err, r ? r : -errno, "packing a content: %s", strerror(r ? -r : errno));
	*ret = hps_take_fd(&fd);
	return 0;
}

static int open_item(struct pack *p, const struct item *item, int *ret, struct hps_error *err)
{
	struct hps_source s = HPS_SOURCE_INIT;
	int r;

	if (item->path) {
		*ret = open(item->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		return *ret < 0 ? hps_error_errno(err, "packing '%s'", item->name) : 0;
	}
	if (!item->node)
		return hps_objects_open_fd(p->objects, &item->digest, ret, NULL, err);
	r = hps_source_open(p->sources, item->node, false, &s, err);
	if (!r && s.fd < 0)
		r = memory_fd(&s.content, ret, err);
	else
		*ret = r ? -1 : hps_take_fd(&s.fd);
	hps_source_release(&s);
	return r;
}

static int write_item(struct pack *p, struct archive *a, const struct item *item, struct hps_error *err)
{
	_cleanup_free_ char *block = hps_alloc(1 << 18);
	_cleanup_fd_ int fd = -1;
	uint64_t left = item->size;
	int r = open_item(p, item, &fd, err);

	if (r)
		return r;
	if (write_head(a, item->name, item->size))
		return hps_error_set(err, -EIO, "packing '%s': %s", item->name, archive_error_string(a));
	while (left) {
		ssize_t n = read(fd, block, left < 1 << 18 ? left : 1 << 18);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || archive_write_data(a, block, (size_t)n) != n)
			return hps_error_set(err, -EIO, "packing '%s': %s", item->name, n <= 0 ? "it became shorter" : archive_error_string(a));
		left -= (uint64_t)n;
	}
	return 0;
}

static json_t *list_json(const struct pack *p)
{
	json_t *j = json_object(), *files = json_array();
	char hex[HPS_DIGEST_HEX];

	for (size_t i = 0; i < p->n; i++) {
		json_t *f = json_object();

		hps_digest_hex(&p->items[i].digest, hex);
		hps_json_set_text(f, "name", p->items[i].name);
		hps_json_set_int(f, "size", (int64_t)p->items[i].size);
		hps_json_set_text(f, "sha256", hex);
		hps_json_add(files, f);
	}
	hps_json_set_text(j, "schema", "hps.bundle/1");
	hps_json_set_text(j, "trial", p->original->trial.id);
	hps_json_set(j, "files", files);
	return j;
}

static int write_archive(struct pack *p, int fd, struct hps_error *err)
{
	struct archive *a = archive_write_new();
	_cleanup_json_ json_t *list = list_json(p);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_json_canonical(list, &text, err);

	if (!r && (archive_write_set_format_pax_restricted(a) || archive_write_add_filter_zstd(a) || archive_write_open_fd(a, fd)))
		r = hps_error_set(err, -EIO, "packing: %s", archive_error_string(a));
	if (!r && (write_head(a, "bundle.json", text.len) || archive_write_data(a, text.data, text.len) != (la_ssize_t)text.len))
		r = hps_error_set(err, -EIO, "packing: %s", archive_error_string(a));
	for (size_t i = 0; i < p->n && !r; i++)
		r = write_item(p, a, &p->items[i], err);
	if (archive_write_close(a) && !r)
		r = hps_error_set(err, -EIO, "packing: %s", archive_error_string(a));
	archive_write_free(a);
	return r;
}

static int write_file(struct pack *p, const char *file, struct hps_error *err)
{
	_cleanup_free_ char *temporary = hps_format("%s.XXXXXX", file);
	_cleanup_fd_ int fd = mkostemp(temporary, O_CLOEXEC);
	int r;

	if (fd < 0)
		return hps_error_errno(err, "making '%s'", file);
	r = write_archive(p, fd, err);
	if (!r && (fsync(fd) || rename(temporary, file)))
		r = hps_error_errno(err, "making '%s'", file);
	if (r)
		(void)!unlink(temporary);
	return r;
}

int hps_bundle_pack(struct hps_ledger *l, const struct hps_original *o, const struct hps_plan *plan, struct hps_sources *sources, const struct hps_pack_options *options,
	     const char *file, struct hps_packed *ret, struct hps_error *err)
{
	_cleanup_temporary_ struct hps_temporary work = HPS_TEMPORARY_INIT;
	struct pack p = { .original = o, .sources = sources, .objects = o->objects };
	int r = hps_temporary_make(NULL, "hps-replay.pack", &work, err);

	p.work = work.path;

	r = r ? r : add_evidence(&p, l, err);
	if (!r && options->seed && o->seed)
		r = add_file(&p, "seed", o->seed, err);
	r = r ? r : add_manifests(&p, err);
	for (size_t i = 0; i < plan->n && !r; i++)
		if (plan->nodes[i].kind == HPS_PLAN_FILE)
			r = add_content(&p, &plan->nodes[i], &ret->missing, err);
	r = r ? r : add_products(&p, err);
	if (!r && ret->missing.n && !options->partial)
		r = hps_error_set(err, HPS_E_NOTFOUND, "packing: %zu contents cannot be had, first '%s' (%s); --partial packs the rest", ret->missing.n,
				  ret->missing.v[0].what, ret->missing.v[0].why);
	r = r ? r : write_file(&p, file, err);
	for (size_t i = 0; i < p.n; i++) {
		ret->bytes += p.items[i].size;
		free(p.items[i].name);
		free(p.items[i].path);
	}
	ret->n_files = p.n;
	free(p.items);
	hps_map_release(&p.names);
	return r;
}
