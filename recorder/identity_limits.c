/* What the trial was allowed: control groups (version 1, version 2 and both at once), memory nodes, resource limits. The tightest value of the group
 * and those above it counts, as far up as can be seen. */
#include "recorder/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define LEVELS_MAX 64
#define MOUNTINFO_MAX ((size_t)4 << 20)

/* The hierarchy of one controller as it can be seen here. */
struct hierarchy {
	char *directory; /* of the trial's group, below root; heap, NULL: not mounted */
	size_t top;	 /* length of the mount point in it */
	int version;
};

/* The part of path below the mount's root; a group outside of it cannot be seen: then the mount point itself. */
static const char *below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (!strcmp(root, "/"))
		return path;
	return !strncmp(path, root, n) && (path[n] == '/' || !path[n]) ? path + n : "";
}

static struct hierarchy find(const char *mountinfo, const char *cgroups, const char *controller)
{
	struct hierarchy h = { 0 };

	for (int version = 1; version <= 2 && !h.directory; version++) {
		_cleanup_free_ char *path = hps_cgroup_path(cgroups, version == 1 ? controller : NULL), *copy = hps_strdup(mountinfo);
		struct hps_mount mount;
		char *at = copy;

		while (path && !h.directory && hps_mountinfo_next(&at, &mount)) {
			if (version == 1 ? strcmp(mount.type, "cgroup") || !hps_list_has(mount.options, controller) : strcmp(mount.type, "cgroup2") != 0)
				continue;
			h.top = strlen(mount.point);
			h.directory = hps_format("%s%s", mount.point, below(path, mount.root));
			h.version = version;
		}
	}
	for (size_t n = h.directory ? strlen(h.directory) : 0; n > h.top && h.directory[n - 1] == '/'; n--)
		h.directory[n - 1] = '\0';
	return h;
}

/* One level up; false at the mount point. */
static bool up(struct hierarchy *h)
{
	char *slash = strlen(h->directory) > h->top ? strrchr(h->directory, '/') : NULL;

	if (!slash || slash < h->directory + h->top)
		return false;
	*slash = '\0';
	return true;
}

static char *read_in(const char *root, const struct hierarchy *h, const char *file)
{
	_cleanup_free_ char *path = hps_format("%s/%s", h->directory, file);

	return hps_identity_read_in(root, path);
}

/* ---- what a file says, as a number; -1: no limit ---- */

/* Millionths of a core, of "quota period" or of the two files of version 1. */
static int64_t cores_of(const char *root, const struct hierarchy *h)
{
	_cleanup_free_ char *text = read_in(root, h, h->version == 2 ? "cpu.max" : "cpu.cfs_quota_us"), *period = NULL;
	int64_t quota, per;
	char *blank;

	if (!text)
		return -1;
	blank = strchr(text, ' ');
	if (blank) {
		*blank = '\0';
		period = hps_strdup(blank + 1);
	} else {
		period = read_in(root, h, "cpu.cfs_period_us");
	}
	if (!period || hps_parse_i64(text, 1, INT64_MAX / 1000000, &quota) || hps_parse_i64(period, 1, INT64_MAX, &per))
		return -1;
	return quota * 1000000 / per;
}

static int64_t number_of(const char *root, const struct hierarchy *h, const char *file2, const char *file1)
{
	_cleanup_free_ char *text = read_in(root, h, h->version == 2 ? file2 : file1);
	int64_t value;

	/* Version 1 says "no limit" by a number that no machine has. */
	return !text || hps_parse_i64(text, 0, INT64_MAX, &value) || value >= 1ll << 60 ? -1 : value;
}

static int64_t memory_of(const char *root, const struct hierarchy *h)
{
	return number_of(root, h, "memory.max", "memory.limit_in_bytes");
}

static int64_t swap_of(const char *root, const struct hierarchy *h)
{
	return number_of(root, h, "memory.swap.max", "memory.memsw.limit_in_bytes");
}

static int64_t processes_of(const char *root, const struct hierarchy *h)
{
	return number_of(root, h, "pids.max", "pids.max");
}

static const struct {
	const char *name, *controller;
	int64_t (*value)(const char *root, const struct hierarchy *h);
	bool millionths;
} limits[] = {
	{ "limits.cores", "cpu", cores_of, true },
	{ "limits.memoryBytes", "memory", memory_of, false },
	{ "limits.swapBytes", "memory", swap_of, false },
	{ "limits.processes", "pids", processes_of, false },
};

static void add_limit(json_t *rows, const char *root, size_t i, struct hierarchy *h)
{
	_cleanup_free_ char *source = NULL, *text = NULL;
	int64_t least = -1;
	int levels = 0;

	do {
		int64_t value = limits[i].value(root, h);

		if (value >= 0 && (least < 0 || value < least)) {
			least = value;
			free(source);
			source = hps_format("cgroup v%d, %s", h->version, h->directory);
		}
	} while (++levels < LEVELS_MAX && up(h));
	if (least < 0)
		text = hps_strdup("none");
	else if (limits[i].millionths)
		text = hps_format("%lld.%06lld", (long long)(least / 1000000), (long long)(least % 1000000));
	else
		text = hps_format("%lld", (long long)least);
	hps_identity_add(rows, limits[i].name, text, source ? source : h->version == 2 ? "cgroup v2" : "cgroup v1", HPS_OBSERVED);
}

/* Cores and memory nodes that the group may use: the kernel has worked out the tightest itself. */
static void add_set(json_t *rows, const char *root, const struct hierarchy *h, const char *name, const char *file2, const char *file1)
{
	_cleanup_free_ char *value = read_in(root, h, h->version == 2 ? file2 : file1);

	if (value)
		hps_identity_add(rows, name, value, h->version == 2 ? "cgroup v2" : "cgroup v1", HPS_OBSERVED);
	else
		hps_identity_missing(rows, name, "the group has no such file");
}

static void add_groups(json_t *rows, const char *root, const char *mountinfo, const char *cgroups)
{
	struct hierarchy sets = find(mountinfo, cgroups, "cpuset");

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct hierarchy h = find(mountinfo, cgroups, limits[i].controller);

		if (h.directory)
			add_limit(rows, root, i, &h);
		else
			hps_identity_missing(rows, limits[i].name, "no hierarchy of this controller can be seen");
		free(h.directory);
	}
	if (sets.directory) {
		add_set(rows, root, &sets, "limits.cpuset", "cpuset.cpus.effective", "cpuset.effective_cpus");
		add_set(rows, root, &sets, "limits.memoryNodes", "cpuset.mems.effective", "cpuset.effective_mems");
	}
	free(sets.directory);
}

/* ---- memory nodes ---- */

static void add_nodes(json_t *rows, const char *root)
{
	_cleanup_free_ char *online = hps_identity_read_in(root, "/sys/devices/system/node/online"), *status = hps_identity_read_in(root, "/proc/self/status");
	_cleanup_free_ char *allowed = NULL;
	const char *at = status;
	size_t n = online ? hps_list_count(online) : 0;

	if (!online) {
		hps_identity_missing(rows, "numa.nodes", "/sys/devices/system/node is not there");
		return;
	}
	hps_identity_add(rows, "numa.nodes", online, "/sys/devices/system/node/online", HPS_OBSERVED);
	for (size_t i = 0; i < n && i < 64 && n > 1; i++) {
		_cleanup_free_ char *name = hps_format("numa.%zu.cores", i), *path = hps_format("/sys/devices/system/node/node%zu/cpulist", i);

		hps_identity_add_file(rows, root, name, path);
	}
	allowed = status ? hps_field_next(&at, "Mems_allowed_list") : NULL;
	if (allowed)
		hps_identity_add(rows, "numa.allowed", allowed, "/proc/self/status", HPS_OBSERVED);
}

/* ---- resource limits: those that the recorder leaves alone ---- */

static const char *const rlimits[][2] = {
	{ "Max cpu time", "limits.cpuSeconds" },     { "Max stack size", "limits.stackBytes" },		{ "Max address space", "limits.addressSpaceBytes" },
	{ "Max locked memory", "limits.lockedBytes" }, { "Max data size", "limits.dataBytes" },
};

static void add_rlimits(json_t *rows, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(rlimits); i++) {
		const char *at = strstr(text, rlimits[i][0]);
		_cleanup_free_ char *value = NULL;

		if (!at)
			continue;
		at += strlen(rlimits[i][0]);
		at += strspn(at, " ");
		value = hps_strndup(at, strcspn(at, " \n"));
		hps_identity_add(rows, rlimits[i][1], value, "/proc/self/limits", HPS_OBSERVED);
	}
}

void hps_identity_limits(json_t *rows, const char *root)
{
	_cleanup_free_ char *path = hps_format("%s/proc/self/mountinfo", root), *cgroups = hps_identity_read_in(root, "/proc/self/cgroup");
	_cleanup_free_ char *rlimits_text = hps_identity_read_in(root, "/proc/self/limits");
	_cleanup_buf_ struct hps_buf mounts = HPS_BUF_INIT;

	hps_buf_init(&mounts, MOUNTINFO_MAX);
	if (!cgroups || hps_file_read(AT_FDCWD, path, MOUNTINFO_MAX, &mounts, NULL) || !mounts.data) {
		hps_identity_missing(rows, "limits", "/proc/self/cgroup or /proc/self/mountinfo cannot be read");
	} else {
		hps_identity_add(rows, "limits.cgroup", cgroups, "/proc/self/cgroup", HPS_OBSERVED);
		add_groups(rows, root, mounts.data, cgroups);
	}
	add_nodes(rows, root);
	if (rlimits_text)
		add_rlimits(rows, rlimits_text);
}
