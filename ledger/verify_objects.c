/* Verification of the content store: what the records of trials name as stored is there and hashes to its name. */
#include "ledger/ledger.h"

#include <string.h>
#include <unistd.h>

#define MANIFEST_TYPE "application/vnd.hps."

static const char *sha256_of(const json_t *item)
{
	return hps_json_text(json_object_get(item, "digest"), "sha256");
}

static void problem(struct hps_verifier *v, const struct hps_entry *e, const char *what, const char *hex, const char *why)
{
	_cleanup_free_ char *file = hps_format("objects/%.2s/%s", hex, strlen(hex) > 2 ? hex + 2 : "");

	hps_problem_add(v, (int64_t)e->index, e->id, file, "%s of this entry: %s", what, why);
}

/* false: it has been looked at, or is no digest (which is reported). */
static bool is_new(struct hps_verifier *v, const struct hps_entry *e, const char *what, const char *hex, struct hps_digest *ret)
{
	void **slot;

	if (hps_digest_parse(hex, ret)) {
		problem(v, e, what, hex ? hex : "", "the record names it by something that is not a SHA-256");
		return false;
	}
	slot = hps_map_slot(&v->objects_seen, hex);
	if (*slot)
		return false;
	*slot = v;
	return true;
}

static void check_object(struct hps_verifier *v, const struct hps_entry *e, const json_t *item)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	const char *path = hps_json_text(item, "path"), *hex = sha256_of(item);
	_cleanup_free_ char *what = hps_format("the stored file '%s'", path ? path : "?");
	struct hps_digest d;
	int fd;

	if (!is_new(v, e, what, hex, &d))
		return;
	if (hps_objects_open_fd(v->objects, &d, &fd, &error)) {
		problem(v, e, what, hex, error.message);
		return;
	}
	close(fd);
	v->found->n_objects++;
}

static void check_manifest(struct hps_verifier *v, const struct hps_entry *e, const json_t *descriptor)
{
	const char *name = hps_json_text(descriptor, "name"), *hex = sha256_of(descriptor);
	_cleanup_free_ char *what = hps_format("the manifest '%s'", name ? name : "?");
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_json_ json_t *manifest = NULL;
	const json_t *item;
	struct hps_digest d;
	size_t i;

	if (!is_new(v, e, what, hex, &d))
		return;
	if (hps_objects_get_json(v->objects, &d, &manifest, &error)) {
		problem(v, e, what, hex, error.message);
		return;
	}
	v->found->n_objects++;
	json_array_foreach(json_object_get(manifest, "items"), i, item)
		if (json_is_true(json_object_get(item, "stored")))
			check_object(v, e, item);
}

void hps_verify_objects(struct hps_verifier *v, const struct hps_entry *e)
{
	const json_t *dependencies = hps_json_at(e->statement, "predicate", "buildDefinition", "resolvedDependencies", NULL);
	const json_t *one;
	size_t i;

	if (!v->objects || strcmp(e->kind, "trial") != 0)
		return;
	json_array_foreach(dependencies, i, one) {
		const char *type = hps_json_text(one, "mediaType");

		if (type && !strncmp(type, MANIFEST_TYPE, strlen(MANIFEST_TYPE)))
			check_manifest(v, e, one);
	}
	one = json_array_get(json_object_get(e->statement, "subject"), 0);
	if (hps_json_text(one, "name") && !strcmp(hps_json_text(one, "name"), "products"))
		check_manifest(v, e, one);
}
