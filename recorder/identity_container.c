/* Are we in a container, and in which? Claims with their source: the image digest usually cannot be learnt from inside, and a
 * marker file alone proves nothing (/.dockerenv stays in systems made from an image). */
#include "recorder/identity.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

/* The engines' names in a cgroup path, before a 64-digit container id. */
static const struct {
	const char *mark, *engine;
} cgroup_marks[] = {
	{ "docker", "docker" }, { "libpod", "podman" }, { "cri-containerd", "containerd" }, { "crio", "cri-o" }, { "kubepods", "kubernetes" }, { "lxc", "lxc" },
};

static const struct {
	const char *path, *meaning;
} marker_files[] = {
	{ "/.dockerenv", "docker" }, { "/run/.containerenv", "podman" }, { "/.singularity.d", "apptainer" }, { "/.enroot", "enroot" },
};

static const char *const launcher_variables[] = { "HPS_IMAGE", "APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "ENROOT_ROOTFS" };

/* The last run of 64 hex digits, which is the container's id where the path has several. */
static char *container_id(const char *text)
{
	const char *found = NULL;

	for (const char *at = text; *at; at++) {
		size_t n = strspn(at, "0123456789abcdef");

		if (n == 64)
			found = at;
		if (n)
			at += n - 1;
	}
	return found ? hps_strndup(found, 64) : NULL;
}

static bool from_cgroup(json_t *rows)
{
	_cleanup_free_ char *text = hps_identity_read("/proc/self/cgroup");
	_cleanup_free_ char *id = text ? container_id(text) : NULL;
	bool any = false;

	for (size_t i = 0; text && i < ARRAY_SIZE(cgroup_marks); i++)
		if (strstr(text, cgroup_marks[i].mark)) {
			hps_identity_add(rows, "container.engine", cgroup_marks[i].engine, "/proc/self/cgroup", HPS_OBSERVED);
			any = true;
			break;
		}
	if (any && id)
		hps_identity_add(rows, "container.id", id, "/proc/self/cgroup", HPS_OBSERVED);
	return any;
}

static bool from_markers(json_t *rows)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(marker_files); i++) {
		if (access(marker_files[i].path, F_OK))
			continue;
		hps_identity_add(rows, "container.marker", marker_files[i].meaning, marker_files[i].path, HPS_GUESSED);
		any = true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(launcher_variables); i++) {
		const char *value = getenv(launcher_variables[i]);

		if (!value)
			continue;
		hps_identity_add(rows, "container.image", value, launcher_variables[i], HPS_DECLARED);
		any = true;
	}
	return any;
}

/* The file system at /, as its magic number: an overlay is what most engines give. */
static void add_root(json_t *rows)
{
	_cleanup_free_ char *type = NULL;
	struct statfs s;

	if (statfs("/", &s))
		return;
	type = hps_format("0x%lx%s", (unsigned long)s.f_type, s.f_type == 0x794c7630 ? " (overlay)" : "");
	hps_identity_add(rows, "container.rootFilesystem", type, "statfs", HPS_OBSERVED);
}

void hps_identity_container(json_t *rows)
{
	bool engine = from_cgroup(rows), marked = from_markers(rows);

	if (!engine && !marked)
		hps_identity_missing(rows, "container", "no sign of one: cgroup path, marker files and launcher variables name none");
	else if (!getenv("HPS_IMAGE"))
		hps_identity_missing(rows, "container.digest", "an image's digest cannot be learnt from inside; the launcher can hand it over in HPS_IMAGE");
	add_root(rows);
}
