/* Are we in a container, and in which? Claims with their source: the image digest usually cannot be learnt from inside, and a marker file alone
 * proves nothing (/.dockerenv stays in systems made from an image). */
#include "recorder/identity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/container.h"
#include "recorder/dataset.h"

#define MOUNTINFO_MAX ((size_t)4 << 20)
#define HOST_FILES_MAX 64
#define UNREADABLE_MAX 100 /* of each tree are named */

static const struct {
	const char *path, *meaning;
} marker_files[] = {
	{ "/.dockerenv", "docker" },	{ "/run/.containerenv", "podman" },	 { "/.singularity.d", "apptainer" },
	{ "/.enroot", "enroot" }, { "/run/systemd/container", "systemd-nspawn or another that tells systemd" },
};

/* Variables are inherited by what leaves the container, too: claims. */
static const struct {
	const char *variable, *name;
} launcher_variables[] = {
	{ "APPTAINER_CONTAINER", "container.image" }, { "SINGULARITY_CONTAINER", "container.image" }, { "APPTAINER_NAME", "container.name" },
	{ "SINGULARITY_NAME", "container.name" },     { "ENROOT_ROOTFS", "container.image" },	  { "SLURM_CONTAINER_IMAGE", "container.image" },
	{ "container", "container.runtime" },
};

void hps_container_add(struct hps_container *c, const char *name, const char *value, const char *source, const char *strength)
{
	if (value && *value)
		hps_identity_add(c->rows, name, value, source, strength);
}

static void add_id(struct hps_container *c, char *id, const char *source)
{
	hps_container_add(c, "container.id", id, source, HPS_OBSERVED);
	c->inside |= id != NULL;
	if (id && !c->id)
		c->id = hps_strdup(id);
}

static void from_kernel(struct hps_container *c, char *mounts)
{
	_cleanup_free_ char *cgroups = hps_identity_read_in(c->root, "/proc/self/cgroup"), *id = NULL, *mounted = NULL, *sandbox = NULL;
	const char *engine = NULL;

	id = cgroups ? hps_container_id_in_cgroup(cgroups, &engine) : NULL;
	hps_container_add(c, "container.engine", engine, "/proc/self/cgroup", HPS_OBSERVED);
	add_id(c, id, "/proc/self/cgroup");
	mounted = hps_container_id_in_mounts(mounts, &sandbox);
	if (!id || (mounted && strcmp(id, mounted) != 0))
		add_id(c, mounted, "/proc/self/mountinfo");
	hps_container_add(c, "container.sandbox", sandbox, "/proc/self/mountinfo (of the pod, not of the container)", HPS_OBSERVED);
	c->inside |= sandbox != NULL;
}

/* engine="podman-4.3.1", image="docker.io/library/debian:12", …: written into privileged containers only. */
static void from_podman(struct hps_container *c)
{
	static const char *const fields[][2] = { { "engine", "container.engine" }, { "name", "container.name" }, { "id", "container.id" }, { "image", "container.image" }, { "imageid", "container.config" } };
	_cleanup_free_ char *text = hps_identity_read_in(c->root, "/run/.containerenv");

	for (size_t i = 0; text && i < ARRAY_SIZE(fields); i++) {
		const char *at = text;
		_cleanup_free_ char *value = hps_field_next(&at, fields[i][0]);

		hps_container_add(c, fields[i][1], value, "/run/.containerenv", HPS_ENGINE);
		if (value && i == 2 && !c->id && strspn(value, "0123456789abcdef") == 64)
			c->id = hps_strdup(value);
		c->digest |= value && i == 4;
	}
}

static void from_markers(struct hps_container *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(marker_files); i++) {
		_cleanup_free_ char *path = hps_format("%s%s", c->root, marker_files[i].path);

		if (access(path, F_OK))
			continue;
		hps_container_add(c, "container.marker", marker_files[i].meaning, marker_files[i].path, HPS_GUESSED);
		c->inside = true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(launcher_variables); i++) {
		const char *value = hps_environment_get(c->envp, launcher_variables[i].variable);

		hps_container_add(c, launcher_variables[i].name, value, launcher_variables[i].variable, HPS_DECLARED);
		c->inside |= value && *value;
	}
}

/* Apptainer's image is one file, and its SHA-256 its identity, where it can be seen from inside. */
static void add_sif(struct hps_container *c)
{
	const char *path = hps_environment_get(c->envp, "APPTAINER_CONTAINER");
	_cleanup_free_ char *full = NULL;
	struct hps_tree tree = { 0 };
	char hex[HPS_DIGEST_HEX];

	path = path ? path : hps_environment_get(c->envp, "SINGULARITY_CONTAINER");
	if (!path || *path != '/')
		return;
	full = hps_format("%s%s", c->root, path);
	if (hps_tree_walk(full, NULL, NULL, NULL, &tree, NULL) == 0 && tree.n_leaves == 1 && !*tree.leaves[0].leaf.path) {
		hps_digest_hex(&tree.leaves[0].leaf.digest, hex);
		hps_container_add(c, "container.sif", hex, "SHA-256 of the file that APPTAINER_CONTAINER names", HPS_DECLARED);
		c->digest = true;
	} else {
		hps_identity_missing(c->rows, "container.sif", "the image's file cannot be read from inside");
	}
	hps_tree_release(&tree);
}

struct trees {
	struct hps_buf all; /* "<hex>  <directory>\n" of each */
	bool failed;
	uint64_t n_unread;
};

/* What is left out makes it another digest, for whoever may read more: it is no more than a hint then. */
static void add_digest(struct hps_container *c, const char *name, const struct hps_digest *d, const char *source, uint64_t n_unread)
{
	_cleanup_free_ char *partly = hps_format("%s, without the %llu names that could not be read", source, (unsigned long long)n_unread);
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(d, hex);
	hps_container_add(c, name, hex, n_unread ? partly : source, n_unread ? HPS_GUESSED : HPS_OBSERVED);
}

static void add_directory(struct hps_container *c, const char *directory, const char *cache, struct trees *t)
{
	_cleanup_free_ char *path = hps_format("%s/%s", c->root, directory), *name = hps_format("container.tree.%s", directory);
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	struct hps_unread unread = { 0 };
	const struct hps_dataset_options options = { .cache_dir = cache, .unread = &unread };
	struct hps_dataset tree;
	char hex[HPS_DIGEST_HEX];
	struct stat s;

	if (lstat(path, &s) || !S_ISDIR(s.st_mode)) /* links into /usr */
		return;
	if (hps_dataset_digest(path, &options, &tree, &err)) {
		hps_identity_missing(c->rows, name, err.message);
		t->failed = true;
	} else {
		add_digest(c, name, &tree.tree, "the tree, hashed as a data set", unread.n);
		hps_digest_hex(&tree.tree, hex);
		hps_buf_addf(&t->all, "%s  %s\n", hex, directory);
	}
	for (size_t i = 0; i < unread.paths.n && i < UNREADABLE_MAX; i++) {
		_cleanup_free_ char *at = hps_format("/%s/%s", directory, unread.paths.v[i]);

		hps_container_add(c, "container.tree.unreadable", at, name, HPS_OBSERVED);
	}
	t->n_unread += unread.n;
	hps_strv_release(&unread.paths);
}

/* What no engine and no launcher names is told by its content: a digest for each of these directories, and one for all. */
static void add_tree(struct hps_container *c)
{
	static const char *const names[] = { "bin", "etc", "lib", "lib32", "lib64", "opt", "sbin", "usr" };
	_cleanup_free_ char *cache = *c->root ? NULL : hps_cache_dir();
	struct trees t = { .all = HPS_BUF_INIT };
	struct hps_digest d;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		add_directory(c, names[i], cache, &t);
	if (!t.failed && t.all.len) {
		hps_digest_of(t.all.data, t.all.len, &d);
		add_digest(c, "container.tree", &d, "SHA-256 of container.tree.*, a line each", t.n_unread);
	}
	hps_buf_release(&t.all);
}

/* The file system at /; and single files that the host mounted into it, such as the driver's libraries: no image has them. */
static void add_mounts(struct hps_container *c, char *mounts)
{
	struct hps_mount m;
	size_t n = 0;

	while (hps_mountinfo_next(&mounts, &m)) {
		const char *name = strrchr(m.point, '/');

		if (!strcmp(m.point, "/"))
			hps_container_add(c, "container.rootFilesystem", m.type, "/proc/self/mountinfo", HPS_OBSERVED);
		else if (c->inside && n < HOST_FILES_MAX && name && (strstr(name, ".so") || strstr(name, "nvidia-")) && n++ < HOST_FILES_MAX)
			hps_container_add(c, "container.hostFile", m.point, "/proc/self/mountinfo", HPS_OBSERVED);
	}
}

static char *read_mounts(const char *root)
{
	_cleanup_free_ char *path = hps_format("%s/proc/self/mountinfo", root);
	struct hps_buf text = HPS_BUF_INIT;

	hps_buf_init(&text, MOUNTINFO_MAX);
	if (hps_file_read(AT_FDCWD, path, MOUNTINFO_MAX, &text, NULL))
		hps_buf_reset(&text);
	return hps_buf_take(&text);
}

void hps_identity_container(json_t *rows, const char *root, char *const *envp, const char *engine)
{
	struct hps_container c = { .rows = rows, .root = root, .envp = envp, .engine = engine };
	_cleanup_free_ char *mounts = read_mounts(root), *again = hps_strdup(mounts);

	hps_container_handed(&c);
	from_kernel(&c, mounts);
	from_podman(&c);
	from_markers(&c);
	add_sif(&c);
	if (engine && !strcmp(engine, HPS_ENGINE_TREE))
		add_tree(&c);
	else if (engine)
		hps_container_ask(&c);
	if (!c.inside)
		hps_identity_missing(rows, "container", "no sign of one: control group, mounts, marker files and launcher variables name none");
	else if (!c.digest)
		hps_identity_missing(rows, "container.digest", "an image's digest cannot be learnt from inside; the launcher can hand it over (HPS_IMAGE, HPS_IMAGE_FILE), or --engine asks for it (--engine tree hashes the files)");
	add_mounts(&c, again);
	free(c.id);
}
