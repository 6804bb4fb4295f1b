/* The list of a bundle: what a reader knows of it before it takes anything else. It is the first that is read of what a stranger sent, so its
 * memory is bounded by the size of the bundle itself. docs/FORMATS.md, "Bundles". */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX ((uint64_t)256 << 20)
#define LIST_LEAST ((uint64_t)1 << 20)
#define FILES_MAX 1000000
#define EVIDENCE_MAX ((uint64_t)16 << 20) /* a file of it */
#define EVIDENCE_FILES_MAX 64

uint64_t hps_bundle_list_max(uint64_t size)
{
	return size < LIST_MAX / 2 - LIST_LEAST ? LIST_LEAST + 2 * size : LIST_MAX;
}

static bool is_evidence(const char *name)
{
	const char *file = name + strlen("evidence/");

	return !strncmp(name, "evidence/", 9) && *file && *file != '.' && strlen(file) < 100 &&
	       !file[strspn(file, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")];
}

/* objects/ab/cdef… */
bool hps_bundle_object(const char *name, char ret_hex[HPS_DIGEST_HEX])
{
	struct hps_digest d;

	if (strncmp(name, "objects/", 8) != 0 || strlen(name) != 8 + 2 + 1 + 62 || name[10] != '/')
		return false;
	memcpy(ret_hex, name + 8, 2);
	memcpy(ret_hex + 2, name + 11, 63);
	return !hps_digest_parse(ret_hex, &d);
}

/* A file takes more than 100 bytes of the list: one that has more objects, or more members, than that is meant to fill memory. */
static bool is_dense(const char *text, size_t len)
{
	size_t n_open = 0, n_commas = 0;

	for (size_t i = 0; i < len; i++) {
		n_open += text[i] == '{' || text[i] == '[';
		n_commas += text[i] == ',';
	}
	return n_open > len / 100 + 16 || n_commas > len / 25 + 64;
}

static int bad(struct hps_error *err, const char *name, const char *what)
{
	return hps_error_set(err, HPS_E_DAMAGED, "'%s' %s", name, what);
}

static int read_file(const json_t *item, struct hps_bundle_list *l, size_t *n_evidence, struct hps_error *err)
{
	const char *name = hps_json_text(item, "name"), *hex = hps_json_text(item, "sha256");
	int64_t size = hps_json_int(item, "size", -1);
	struct hps_bundle_file *f = &l->files[l->n++];
	bool evidence = name && is_evidence(name);
	char object[HPS_DIGEST_HEX];
	void **slot;

	if (!name || !hex || size < 0 || (uint64_t)size > HPS_ARCHIVE_FILE_MAX || hps_digest_parse(hex, &f->digest) ||
	    (!evidence && !(hps_bundle_object(name, object) && !strcmp(object, hex)) && strcmp(name, "seed") != 0))
		return bad(err, name ? name : "bundle.json", "is no name or size that a bundle may have");
	*n_evidence += evidence;
	if ((evidence || !strcmp(name, "seed")) && ((uint64_t)size > EVIDENCE_MAX || *n_evidence > EVIDENCE_FILES_MAX))
		return bad(err, name, "is more evidence than a trial has");
	f->size = (uint64_t)size;
	l->bytes += f->size;
	slot = hps_map_slot(&l->names, name);
	if (*slot)
		return bad(err, name, "is listed twice");
	*slot = f;
	return 0;
}

int hps_bundle_list_read(const char *text, size_t len, uint64_t max_bytes, struct hps_bundle_list *ret, struct hps_error *err)
{
	_cleanup_json_ json_t *j = NULL;
	const json_t *list, *item;
	const char *schema;
	size_t i, n_evidence = 0;
	int r = is_dense(text, len) ? HPS_E_LIMIT : hps_json_parse(text, len, &j, err);

	list = hps_json_at(j, "files", NULL);
	schema = hps_json_text(j, "schema");
	if (r || !schema || strcmp(schema, "hps.bundle/1") != 0 || !json_is_array(list))
		return bad(err, "bundle.json", "is no list of a bundle");
	if (json_array_size(list) > FILES_MAX)
		return bad(err, "bundle.json", "lists too many files");
	ret->files = hps_alloc((json_array_size(list) + 1) * sizeof *ret->files);
	json_array_foreach((json_t *)(uintptr_t)list, i, item) {
		r = read_file(item, ret, &n_evidence, err);
		if (r)
			return r;
	}
	return ret->bytes <= max_bytes ? 0 : hps_error_set(err, HPS_E_LIMIT, "its %llu bytes are more than the limit of %llu (--max-bytes)",
							   (unsigned long long)ret->bytes, (unsigned long long)max_bytes);
}

void hps_bundle_list_release(struct hps_bundle_list *l)
{
	hps_map_release(&l->names);
	free(l->files);
	*l = (struct hps_bundle_list){ 0 };
}
