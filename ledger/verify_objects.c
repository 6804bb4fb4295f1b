/* Verification of the content store: what the records of trials name as stored is there and hashes to its name. Manifests are read as
 * their entries are taken, and what they name is hashed by several threads. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANIFEST_TYPE "application/vnd.hps."

static const char *sha256_of(const json_t *item)
{
	return hps_json_text(json_object_get(item, "digest"), "sha256");
}

static void add_manifest(struct hps_strv *ret, const json_t *descriptor)
{
	const char *name = hps_json_text(descriptor, "name"), *hex = sha256_of(descriptor);

	hps_strv_add(ret, name ? name : "?");
	hps_strv_add(ret, hex ? hex : "");
}

void hps_verify_manifests(const struct hps_entry *e, struct hps_strv *ret)
{
	const json_t *dependencies = hps_json_at(e->statement, "predicate", "buildDefinition", "resolvedDependencies", NULL);
	const json_t *one;
	size_t i;

	if (strcmp(e->kind, "trial") != 0)
		return;
	json_array_foreach(dependencies, i, one) {
		const char *type = hps_json_text(one, "mediaType");

		if (type && !strncmp(type, MANIFEST_TYPE, strlen(MANIFEST_TYPE)))
			add_manifest(ret, one);
	}
	one = json_array_get(json_object_get(e->statement, "subject"), 0);
	if (hps_json_text(one, "name") && !strcmp(hps_json_text(one, "name"), "products"))
		add_manifest(ret, one);
}

/* ---- objects ---- */

struct object_job {
	struct hps_reading of; /* index and id of the entry that names it */
	struct hps_digest digest;
	char *what;
	struct hps_error error;
};

static void problem(struct hps_verifier *v, const struct hps_reading *r, const char *what, const char *hex, const struct hps_error *e)
{
	_cleanup_free_ char *file = hps_format("objects/%.2s/%s", hex, strlen(hex) > 2 ? hex + 2 : "");
	_cleanup_free_ char *doing = hps_format("%s of this entry", what);
	char id[HPS_DIGEST_HEX];

	hps_digest_hex(&r->id, id);
	hps_problem_add_error(v, (int64_t)r->index, id, file, doing, e);
}

/* false: it has been looked at, or is no digest (which is reported). */
static bool is_new(struct hps_verifier *v, const struct hps_reading *r, const char *what, const char *hex, struct hps_digest *ret)
{
	void **slot;

	if (hps_digest_parse(hex, ret)) {
		problem(v, r, what, hex ? hex : "", &(const struct hps_error){ HPS_E_DAMAGED, (char[]){ "the record names it by something that is not a SHA-256" } });
		return false;
	}
	slot = hps_map_slot(&v->objects_seen, hex);
	if (*slot)
		return false;
	*slot = v;
	return true;
}

static void read_object(void *arg, void *job, unsigned thread)
{
	struct hps_verifier *v = arg;
	struct object_job *j = job;
	int fd;

	(void)thread;
	if (!hps_objects_open_fd(v->objects, &j->digest, &fd, NULL, &j->error))
		close(fd);
}

static void take_object(void *arg, void *job)
{
	struct hps_verifier *v = arg;
	struct object_job *j = job;
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(&j->digest, hex);
	if (j->error.code)
		problem(v, &j->of, j->what, hex, &j->error);
	else
		v->found->n_objects++;
	hps_error_release(&j->error);
	free(j->what);
	free(j);
}

static void check_object(struct hps_verifier *v, const struct hps_reading *r, const json_t *item)
{
	const char *path = hps_json_text(item, "path"), *hex = sha256_of(item);
	_cleanup_free_ char *what = hps_format("the stored file '%s'", path ? path : "?");
	struct object_job *j;
	struct hps_digest d;

	if (!is_new(v, r, what, hex, &d))
		return;
	j = hps_alloc(sizeof *j);
	*j = (struct object_job){ .of = { .index = r->index, .id = r->id }, .digest = d, .what = hps_take(what) };
	hps_pool_add(v->object_pool, j);
}

static void check_manifest(struct hps_verifier *v, const struct hps_reading *r, const char *name, const char *hex)
{
	_cleanup_free_ char *what = hps_format("the manifest '%s'", name);
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_json_ json_t *manifest = NULL;
	const json_t *item;
	struct hps_digest d;
	size_t i;

	if (!is_new(v, r, what, hex, &d))
		return;
	if (hps_objects_get_json(v->objects, &d, &manifest, &error)) {
		problem(v, r, what, hex, &error);
		return;
	}
	v->found->n_objects++;
	json_array_foreach(json_object_get(manifest, "items"), i, item)
		if (json_is_true(json_object_get(item, "stored")))
			check_object(v, r, item);
}

/* All of it is hashed before the next entry is taken. */
void hps_verify_objects(struct hps_verifier *v, const struct hps_reading *r)
{
	if (!r->manifests.n)
		return;
	if (!v->object_pool)
		v->object_pool = hps_pool_new(&(const struct hps_work){ read_object, take_object, v }, v->n_wanted);
	for (size_t i = 0; i + 1 < r->manifests.n; i += 2)
		check_manifest(v, r, r->manifests.v[i], r->manifests.v[i + 1]);
	hps_pool_finish(v->object_pool);
}
