/* A machine whose every file in /proc and /sys says the same bytes: the readers of processor, limits, job, container, threads and cards. Each row must be
 * whole, whatever was read. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/container.h"
#include "recorder/gpu.h"
#include "recorder/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const files[] = {
	"proc/cpuinfo", "proc/meminfo", "proc/cmdline", "proc/self/status", "proc/self/cgroup", "proc/self/mountinfo", "proc/self/limits", "etc/os-release",
	"run/.containerenv", "run/hps/image.json", "sys/devices/system/node/online", "proc/driver/nvidia/version", "proc/driver/nvidia/gpus/0/information",
	"sys/class/drm/card0/device/uevent", "sys/class/drm/card0/device/pp_dpm_sclk", "sys/class/drm/card0/device/unique_id",
	"sys/class/kfd/kfd/topology/nodes/0/properties", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.max", "l/libopenblas.so.0",
};

static char root[] = "/dev/shm/hps-fuzz.XXXXXX"; /* a disk would take most of the time */

static void remove_root(void)
{
	(void)!hps_dir_remove(AT_FDCWD, root, NULL);
}

static void make_root(void)
{
	if (!strstr(root, "XXXXXX"))
		return;
	if (!mkdtemp(root))
		abort();
	atexit(remove_root);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = hps_format("%s/%s", root, files[i]);

		*strrchr(path, '/') = '\0';
		if (hps_dir_make(AT_FDCWD, path, 0755, NULL))
			abort();
	}
}

static void check(const json_t *rows)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		bool value = hps_json_text(row, "value") && hps_json_text(row, "source") && hps_json_text(row, "strength");
		bool missing = json_is_true(json_object_get(row, "missing")) && hps_json_text(row, "why");

		if (!hps_json_text(row, "name") || value == missing)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *const envp[] = { (char *)(uintptr_t)"HOME=/", NULL };
	struct hps_strv libraries = { (char *[]){ (char *)(uintptr_t)"/l/libopenblas.so.0", NULL }, 1 };
	_cleanup_json_ json_t *rows = json_array();
	struct hps_gpus gpus = { .root = root, .rows = rows, .moment = "before" };
	_cleanup_free_ char *text = hps_strndup((const char *)data, size);

	make_root();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *path = hps_format("%s/%s", root, files[i]);
		_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		if (fd < 0 || write(fd, data, size) != (ssize_t)size)
			return 0;
	}
	hps_identity_cpu(rows, root);
	hps_identity_limits(rows, root);
	hps_identity_scheduler(rows, root, envp);
	hps_identity_container(rows, root, envp, NULL);
	hps_identity_blas(rows, root, &libraries, envp);
	hps_gpu_proc_nvidia(&gpus);
	hps_gpu_drm(&gpus, true);
	hps_git_status(rows, text, strlen(text));
	(void)hps_list_count(text);
	check(rows);
	return 0;
}
