/* The id of the container that we are in. The first 64 hex digits in sight are often something else: a directory of overlay, or the sandbox of a pod. */
#include "recorder/container.h"

#include <string.h>

#include "recorder/identity.h"

#define ID_LEN 64

static const struct {
	const char *mark, *engine;
} cgroup_marks[] = {
	{ "cri-containerd-", "containerd" }, { "crio-", "cri-o" }, { "libpod-payload-", "podman" }, { "libpod-conmon-", NULL }, { "libpod-", "podman" },
	{ "docker-", "docker" },	     { "docker/", "docker" }, { "ecs/", "ecs" },
};

static bool is_id(const char *at)
{
	return strspn(at, "0123456789abcdef") == ID_LEN;
}

char *hps_container_id_in_cgroup(const char *text, const char **ret_engine)
{
	for (size_t i = 0; i < ARRAY_SIZE(cgroup_marks); i++) {
		size_t n = strlen(cgroup_marks[i].mark);

		for (const char *at = strstr(text, cgroup_marks[i].mark); at; at = strstr(at + 1, cgroup_marks[i].mark))
			if (cgroup_marks[i].engine && is_id(at + n)) {
				*ret_engine = cgroup_marks[i].engine;
				return hps_strndup(at + n, ID_LEN);
			}
	}
	/* Kubernetes with cgroupfs: "/kubepods/besteffort/pod<uid>/<id>". */
	for (const char *at = strstr(text, "kubepods"); at && *at && *at != '\n'; at += strcspn(at, "/\n"), at += *at == '/')
		if (is_id(at)) {
			*ret_engine = "kubernetes";
			return hps_strndup(at, ID_LEN);
		}
	return NULL;
}

static const char *const telling_points[] = { "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/run/.containerenv" };

/* "…/containers/<id>/hostname" (Docker), "…/overlay-containers/<id>/userdata/hostname" (Podman), "…/sandboxes/<id>/hostname" (containerd's pods). */
static const char *id_behind(const char *path, const char *directory)
{
	const char *at = strstr(path, directory);

	return at && is_id(at + strlen(directory)) ? at + strlen(directory) : NULL;
}

char *hps_container_id_in_mounts(char *text, char **ret_sandbox)
{
	struct hps_mount m;
	char *id = NULL;

	*ret_sandbox = NULL;
	while (hps_mountinfo_next(&text, &m)) {
		bool telling = false;
		const char *found, *sandbox = id_behind(m.root, "/sandboxes/");

		for (size_t i = 0; i < ARRAY_SIZE(telling_points); i++)
			telling |= !strcmp(m.point, telling_points[i]);
		if (!telling)
			continue;
		found = id_behind(m.root, "/overlay-containers/");
		found = found ? found : id_behind(m.root, "/containers/");
		if (found && !id)
			id = hps_strndup(found, ID_LEN);
		if (sandbox && !*ret_sandbox)
			*ret_sandbox = hps_strndup(sandbox, ID_LEN);
	}
	return id;
}
