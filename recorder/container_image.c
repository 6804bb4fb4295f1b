/* What whoever started the container says of its image: a reference in HPS_IMAGE, a JSON file, or a directory in the OCI image layout. */
#include "recorder/container.h"

#include <fcntl.h>
#include <string.h>

#include "recorder/identity.h"

#define FILE_MAX ((size_t)4 << 20)
#define LAYERS_MAX 128
#define HANDED_FILE "/run/hps/image.json"

static bool is_digest(const char *text)
{
	return text && !strncmp(text, "sha256:", 7) && strlen(text) == 71 && strspn(text + 7, "0123456789abcdef") == 64;
}

/* ---- layers ---- */

char *hps_container_chain(const json_t *diff_ids)
{
	const json_t *item;
	char *chain = NULL;
	size_t i;

	json_array_foreach(diff_ids, i, item) {
		const char *id = json_string_value(item);
		_cleanup_free_ char *both = NULL;
		struct hps_digest d;
		char hex[HPS_DIGEST_HEX];

		if (!is_digest(id) || i >= LAYERS_MAX) {
			hps_cleanup_free(&chain);
			return NULL;
		}
		if (!chain) {
			chain = hps_strdup(id);
			continue;
		}
		both = hps_format("%s %s", chain, id);
		hps_digest_of(both, strlen(both), &d);
		hps_digest_hex(&d, hex);
		hps_cleanup_free(&chain);
		chain = hps_format("sha256:%s", hex);
	}
	return chain;
}

void hps_container_layers(struct hps_container *c, const json_t *diff_ids, const char *source, const char *strength)
{
	_cleanup_free_ char *chain = hps_container_chain(diff_ids);
	const json_t *item;
	size_t i;

	if (!chain)
		return;
	json_array_foreach(diff_ids, i, item)
		hps_container_add(c, "container.layer", json_string_value(item), source, strength);
	hps_container_add(c, "container.chain", chain, source, strength);
}

/* ---- an OCI layout: oci-layout, index.json, blobs/sha256/ (OCI image specification 1.1) ---- */

static int read_json(const char *root, const char *directory, const char *name, const char *expected, json_t **ret)
{
	_cleanup_free_ char *path = hps_format("%s%s/%s", root, directory, name);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];

	hps_buf_init(&text, FILE_MAX);
	if (hps_file_read(AT_FDCWD, path, FILE_MAX, &text, NULL) || !text.data || hps_json_parse(text.data, text.len, ret, NULL))
		return -1;
	hps_digest_of(text.data, text.len, &d);
	hps_digest_hex(&d, hex);
	if (expected && strcmp(hex, expected) != 0) {
		json_decref(*ret);
		*ret = NULL;
		return -1;
	}
	return 0;
}

/* The blob that a descriptor names, hashed. */
static int read_blob(const char *root, const char *directory, const json_t *descriptor, json_t **ret)
{
	const char *digest = hps_json_text(descriptor, "digest");
	_cleanup_free_ char *name = is_digest(digest) ? hps_format("blobs/sha256/%s", digest + 7) : NULL;

	*ret = NULL;
	return name ? read_json(root, directory, name, digest + 7, ret) : -1;
}

static void from_layout(struct hps_container *c, const char *directory)
{
	_cleanup_json_ json_t *index = NULL, *manifest = NULL, *config = NULL;
	_cleanup_free_ char *source = hps_format("OCI layout '%s', hashed", directory);
	const json_t *entry;

	if (read_json(c->root, directory, "index.json", NULL, &index) || json_array_size(json_object_get(index, "manifests")) != 1) {
		hps_identity_missing(c->rows, "container.layout", "its index.json cannot be read, or does not name one image");
		return;
	}
	entry = json_array_get(json_object_get(index, "manifests"), 0);
	if (read_blob(c->root, directory, entry, &manifest) || read_blob(c->root, directory, json_object_get(manifest, "config"), &config)) {
		hps_identity_missing(c->rows, "container.layout", "a blob is missing or does not have its digest");
		return;
	}
	hps_container_add(c, "container.manifest", hps_json_text(entry, "digest"), source, HPS_DECLARED);
	hps_container_add(c, "container.config", hps_json_text(json_object_get(manifest, "config"), "digest"), source, HPS_DECLARED);
	hps_container_layers(c, hps_json_at(config, "rootfs", "diff_ids", NULL), source, HPS_DECLARED);
	c->inside = c->digest = true;
}

/* ---- the hand-off ---- */

static const char *const members[][2] = {
	{ "reference", "container.image" }, { "index", "container.index" }, { "manifest", "container.manifest" }, { "config", "container.config" },
};

static void from_file(struct hps_container *c, const char *path, bool asked)
{
	_cleanup_json_ json_t *handed = NULL;

	if (read_json(c->root, "", *path == '/' ? path + 1 : path, NULL, &handed)) {
		if (asked)
			hps_identity_missing(c->rows, "container.handed", "the file that HPS_IMAGE_FILE names cannot be read as JSON");
		return;
	}
	c->inside = true;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const char *value = hps_json_text(handed, members[i][0]);

		hps_container_add(c, members[i][1], value, path, HPS_DECLARED);
		c->digest |= i && is_digest(value);
	}
	hps_container_layers(c, json_object_get(handed, "diffIds"), path, HPS_DECLARED);
}

void hps_container_handed(struct hps_container *c)
{
	const char *image = hps_environment_get(c->envp, "HPS_IMAGE"), *file = hps_environment_get(c->envp, "HPS_IMAGE_FILE");
	const char *layout = hps_environment_get(c->envp, "HPS_IMAGE_LAYOUT");

	if (image) {
		hps_container_add(c, "container.image", image, "HPS_IMAGE", HPS_DECLARED);
		c->inside = true;
		c->digest |= strstr(image, "@sha256:") != NULL;
	}
	from_file(c, file ? file : HANDED_FILE, file != NULL);
	if (layout)
		from_layout(c, layout);
}
