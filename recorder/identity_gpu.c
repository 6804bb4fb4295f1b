/* Graphics processors: NVML when the driver's library is there, else what /proc and /sys say, else "none found".
 * NVML's names and layouts: NVIDIA's nvml.h, API version 13. */
#include "recorder/identity.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

/* Where the trees begin; tests point it at a fake machine. */
static const char *root(void)
{
	const char *fake = getenv("HPS_TEST_ROOT");

	return fake ? fake : "";
}

/* ---- NVML ---- */

#define GPUS_MAX 64

static const struct {
	const char *symbol, *name;
} device_texts[] = {
	{ "nvmlDeviceGetName", "name" },
	{ "nvmlDeviceGetUUID", "uuid" },
	{ "nvmlDeviceGetVbiosVersion", "vbios" },
	{ "nvmlDeviceGetSerial", "serial" },
};

/* dlsym gives a data pointer for a function; POSIX allows this conversion, ISO C does not, hence the copy. */
static bool symbol(void *library, const char *name, void *ret_function)
{
	void *address = dlsym(library, name);

	memcpy(ret_function, &address, sizeof address);
	return address != NULL;
}

static void add_device(json_t *rows, void *library, unsigned index, void *device)
{
	for (size_t i = 0; i < ARRAY_SIZE(device_texts); i++) {
		_cleanup_free_ char *name = hps_format("gpu.%u.%s", index, device_texts[i].name);
		int (*get)(void *, char *, unsigned);
		char text[96] = "";
		int r;

		if (!symbol(library, device_texts[i].symbol, &get)) {
			hps_identity_missing(rows, name, "this driver's library has no such call");
		} else if ((r = get(device, text, sizeof text - 1)) != 0) {
			_cleanup_free_ char *why = hps_format("%s answered %d", device_texts[i].symbol, r);

			hps_identity_missing(rows, name, why);
		} else {
			hps_identity_add(rows, name, text, "nvml", HPS_OBSERVED);
		}
	}
}

static void add_driver(json_t *rows, void *library)
{
	int (*get)(char *, unsigned);
	char text[81] = "";

	if (symbol(library, "nvmlSystemGetDriverVersion", &get) && get(text, sizeof text - 1) == 0)
		hps_identity_add(rows, "gpu.driver", text, "nvml", HPS_OBSERVED);
	else
		hps_identity_missing(rows, "gpu.driver", "nvmlSystemGetDriverVersion gave no answer");
}

static bool from_nvml(json_t *rows)
{
	void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
	int (*init)(void), (*shutdown)(void), (*count)(unsigned *), (*at)(unsigned, void **);
	unsigned n = 0;
	bool found = false;

	if (!library)
		return false;
	if (symbol(library, "nvmlInit_v2", &init) && symbol(library, "nvmlShutdown", &shutdown) && symbol(library, "nvmlDeviceGetCount_v2", &count) &&
	    symbol(library, "nvmlDeviceGetHandleByIndex_v2", &at) && init() == 0) {
		add_driver(rows, library);
		if (count(&n) == 0)
			for (unsigned i = 0; i < n && i < GPUS_MAX; i++) {
				void *device = NULL;

				if (at(i, &device) == 0) {
					add_device(rows, library, i, device);
					found = true;
				}
			}
		shutdown();
	}
	dlclose(library);
	return found;
}

/* ---- /proc/driver/nvidia ---- */

static const char *const information_lines[][2] = { { "Model", "name" }, { "GPU UUID", "uuid" }, { "Video BIOS", "vbios" }, { "Bus Location", "bus" } };

static void add_information(json_t *rows, unsigned index, char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(information_lines); i++) {
		_cleanup_free_ char *name = hps_format("gpu.%u.%s", index, information_lines[i][1]), *value = NULL;
		const char *at = strstr(text, information_lines[i][0]);

		at = at ? strchr(at, ':') : NULL;
		if (at) {
			at += 1 + strspn(at + 1, " \t");
			value = hps_strndup(at, strcspn(at, "\n"));
		}
		/* A question mark stands there until some program has opened the card. */
		if (value && !strchr(value, '?'))
			hps_identity_add(rows, name, value, "/proc/driver/nvidia", HPS_OBSERVED);
		else
			hps_identity_missing(rows, name, "/proc/driver/nvidia does not say");
	}
}

static bool from_proc(json_t *rows)
{
	_cleanup_free_ char *path = hps_format("%s/proc/driver/nvidia/gpus", root());
	struct dirent *e;
	unsigned index = 0;
	DIR *dir = opendir(path);

	while (dir && index < GPUS_MAX && (e = readdir(dir))) {
		_cleanup_free_ char *file = hps_format("%s/%s/information", path, e->d_name);
		_cleanup_free_ char *text = e->d_name[0] == '.' ? NULL : hps_identity_read(file);

		if (text)
			add_information(rows, index++, text);
	}
	if (dir)
		closedir(dir);
	return index > 0;
}

/* ---- /sys/class/drm ---- */

static const char *const drm_files[][2] = { { "vendor", "vendor" }, { "device", "device" }, { "unique_id", "uuid" }, { "vbios_version", "vbios" } };

static bool from_drm(json_t *rows)
{
	_cleanup_free_ char *path = hps_format("%s/sys/class/drm", root());
	struct dirent *e;
	unsigned index = 0;
	DIR *dir = opendir(path);

	while (dir && index < GPUS_MAX && (e = readdir(dir))) {
		if (strncmp(e->d_name, "card", 4) != 0 || strchr(e->d_name, '-'))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(drm_files); i++) {
			_cleanup_free_ char *file = hps_format("%s/%s/device/%s", path, e->d_name, drm_files[i][0]);
			_cleanup_free_ char *name = hps_format("gpu.%u.%s", index, drm_files[i][1]), *value = hps_identity_read(file);

			if (value)
				hps_identity_add(rows, name, value, "/sys/class/drm", HPS_OBSERVED);
		}
		index++;
	}
	if (dir)
		closedir(dir);
	return index > 0;
}

void hps_identity_gpu(json_t *rows)
{
	if (!from_nvml(rows) && !from_proc(rows) && !from_drm(rows))
		hps_identity_missing(rows, "gpu", "none found: no NVML library answers, and neither /proc/driver/nvidia nor /sys/class/drm has a card");
}
