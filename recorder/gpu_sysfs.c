/* Cards by what the kernel shows: /proc/driver/nvidia (driver's README, "proc interface"), /sys/class/drm (amdgpu and i915/xe documentation of the kernel) and
 * /sys/class/kfd (AMD's compute driver). */
#include "recorder/gpu.h"

#include <dirent.h>
#include <string.h>

#include "recorder/identity.h"

#define GPUS_MAX 64

/* The names in a directory, sorted: the order of cards must not depend on the file system. */
static struct hps_strv names_in(const char *root, const char *path)
{
	_cleanup_free_ char *full = hps_format("%s%s", root, path);
	struct hps_strv names = HPS_STRV_INIT;
	DIR *dir = opendir(full);
	struct dirent *e;

	while (dir && names.n < 4096 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			hps_strv_add(&names, e->d_name);
	if (dir)
		closedir(dir);
	hps_strv_sort(&names);
	return names;
}

/* ---- /proc/driver/nvidia ---- */

static const char *const information_lines[][2] = { { "Model", "name" }, { "GPU UUID", "uuid" }, { "Video BIOS", "vbios" }, { "Bus Location", "bus" } };

static void add_information(const struct hps_gpus *g, const char *text)
{
	const char *at = text;
	_cleanup_free_ char *minor = hps_field_next(&at, "Device Minor"), *device = minor ? hps_format("/dev/nvidia%s", minor) : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(information_lines); i++) {
		_cleanup_free_ char *value = (at = text, hps_field_next(&at, information_lines[i][0]));

		/* A question mark stands there until some program has opened the card. */
		if (value && *value && !strchr(value, '?'))
			hps_gpu_add(g, information_lines[i][1], value, "/proc/driver/nvidia");
		else
			hps_gpu_missing(g, information_lines[i][1], "/proc/driver/nvidia does not say, or not before a program opens the card");
	}
	hps_gpu_add(g, "device", device, "/proc/driver/nvidia");
}

/* "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat …": the first word that is a version. */
static void add_driver(const struct hps_gpus *g)
{
	_cleanup_free_ char *text = hps_identity_read_in(g->root, "/proc/driver/nvidia/version");
	char *rest = NULL;

	for (char *word = text ? strtok_r(text, " \n", &rest) : NULL; word; word = strtok_r(NULL, " \n", &rest))
		if (strchr(word, '.') && word[strspn(word, "0123456789.")] == '\0') {
			hps_identity_add(g->rows, "gpu.driver", word, "/proc/driver/nvidia/version", HPS_OBSERVED);
			return;
		}
	hps_identity_missing(g->rows, "gpu.driver", "/proc/driver/nvidia/version does not say");
}

bool hps_gpu_proc_nvidia(struct hps_gpus *g)
{
	_cleanup_strv_ struct hps_strv names = names_in(g->root, "/proc/driver/nvidia/gpus");
	unsigned before = g->n;

	for (size_t i = 0; i < names.n && g->n < GPUS_MAX; i++) {
		_cleanup_free_ char *path = hps_format("/proc/driver/nvidia/gpus/%s/information", names.v[i]), *text = hps_identity_read_in(g->root, path);

		if (!text)
			continue;
		if (g->n == before)
			add_driver(g);
		add_information(g, text);
		g->n++;
	}
	return g->n > before;
}

/* ---- /sys/class/drm ---- */

static const struct {
	const char *id, *name;
} vendors[] = { { "0x1002", "AMD" }, { "0x8086", "Intel" }, { "0x10de", "NVIDIA" } };

static const char *const facts[][2] = {
	{ "pciDevice", "device" },		 { "pciSubsystem", "subsystem_device" }, { "numaNode", "numa_node" },	{ "uuid", "unique_id" },
	{ "deviceUid", "device_uid" },		 { "vbios", "vbios_version" },		 { "serial", "serial_number" }, { "name", "product_name" },
	{ "board", "product_number" },		 { "memoryBytes", "mem_info_vram_total" }, { "partition", "current_compute_partition" },
};
static const char *const states[][2] = {
	{ "shaderClock", "device/pp_dpm_sclk" },     { "memoryClock", "device/pp_dpm_mclk" },	   { "eccErrors", "device/ras/umc_err_count" },
	{ "clockMHz", "gt/gt0/rps_act_freq_mhz" }, { "clockMHz", "device/tile0/gt0/freq0/act_freq" },
};

/* "0: 500Mhz\n1: 800Mhz *": the step that is set; other texts in one line. */
static char *current_step(char *text)
{
	char *rest = NULL;
	struct hps_buf line = HPS_BUF_INIT;

	for (char *l = strtok_r(text, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest)) {
		if (strchr(l, '*')) {
			hps_buf_reset(&line);
			hps_buf_add(&line, l, strcspn(l, "*"));
			break;
		}
		hps_buf_adds(&line, line.len ? ", " : "");
		hps_buf_adds(&line, l);
	}
	while (line.len && line.data[line.len - 1] == ' ')
		line.data[--line.len] = '\0';
	return hps_buf_take(&line);
}

static void add_states(const struct hps_gpus *g, const char *card)
{
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		_cleanup_free_ char *path = hps_format("/sys/class/drm/%s/%s", card, states[i][1]), *text = hps_identity_read_in(g->root, path);
		_cleanup_free_ char *fact = hps_format("%s.%s", g->moment, states[i][0]), *value = text ? current_step(text) : NULL;

		hps_gpu_add(g, fact, value, "/sys/class/drm");
	}
}

/* The node by which programs use the card: the renderD with the same device. */
static void add_render_node(const struct hps_gpus *g, const char *card)
{
	_cleanup_free_ char *path = hps_format("/sys/class/drm/%s/device/drm", card), *device = NULL;
	_cleanup_strv_ struct hps_strv names = names_in(g->root, path);

	for (size_t i = 0; i < names.n && !device; i++)
		if (!strncmp(names.v[i], "renderD", 7))
			device = hps_format("/dev/dri/%s", names.v[i]);
	hps_gpu_add(g, "device", device, "/sys/class/drm");
}

/* DRIVER=amdgpu, PCI_SLOT_NAME=0000:c1:00.0 */
static void add_uevent(const struct hps_gpus *g, const char *card)
{
	_cleanup_free_ char *path = hps_format("/sys/class/drm/%s/device/uevent", card), *text = hps_identity_read_in(g->root, path), *driver = NULL, *bus = NULL;
	_cleanup_free_ char *version_path = NULL, *version = NULL;
	const char *at = text;

	driver = text ? hps_field_next(&at, "DRIVER") : NULL;
	bus = (at = text) ? hps_field_next(&at, "PCI_SLOT_NAME") : NULL;
	hps_gpu_add(g, "bus", bus, "/sys/class/drm");
	hps_gpu_add(g, "driver", driver, "/sys/class/drm");
	version_path = driver && !strchr(driver, '/') ? hps_format("/sys/module/%s/version", driver) : NULL;
	version = version_path ? hps_identity_read_in(g->root, version_path) : NULL;
	hps_gpu_add(g, "driverVersion", version, "/sys/module");
}

/* AMD's compute driver knows the instruction set: gfx_target_version 90010 is gfx90a's 9.0.10. */
static void add_kfd(const struct hps_gpus *g, const char *card)
{
	_cleanup_strv_ struct hps_strv nodes = names_in(g->root, "/sys/class/kfd/kfd/topology/nodes");
	_cleanup_free_ char *unique_path = hps_format("/sys/class/drm/%s/device/unique_id", card), *unique = hps_identity_read_in(g->root, unique_path);
	uint64_t id = 0;

	if (unique && strlen(unique) <= 16)
		for (const char *c = unique; *c; c++)
			id = id << 4 | (uint64_t)(*c >= 'a' ? *c - 'a' + 10 : *c - '0');
	for (size_t i = 0; unique && i < nodes.n; i++) {
		_cleanup_free_ char *path = hps_format("/sys/class/kfd/kfd/topology/nodes/%s/properties", nodes.v[i]), *text = hps_identity_read_in(g->root, path);
		_cleanup_free_ char *mark = hps_format("unique_id %llu", (unsigned long long)id), *target = NULL;
		const char *found = text ? strstr(text, mark) : NULL, *version = text ? strstr(text, "gfx_target_version ") : NULL;

		if (!found || !version || (found[strlen(mark)] && found[strlen(mark)] != '\n'))
			continue;
		version += strlen("gfx_target_version ");
		target = hps_strndup(version, strspn(version, "0123456789"));
		hps_gpu_add(g, "gfxTarget", target, "/sys/class/kfd");
		return;
	}
}

static void add_card(const struct hps_gpus *g, const char *card, const char *vendor)
{
	if (strcmp(g->moment, "after") != 0) {
		hps_gpu_add(g, "vendor", vendor, "/sys/class/drm");
		for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
			_cleanup_free_ char *path = hps_format("/sys/class/drm/%s/device/%s", card, facts[i][1]), *value = hps_identity_read_in(g->root, path);

			hps_gpu_add(g, facts[i][0], value, "/sys/class/drm");
		}
		add_uevent(g, card);
		add_render_node(g, card);
		add_kfd(g, card);
	}
	add_states(g, card);
}

bool hps_gpu_drm(struct hps_gpus *g, bool nvidia_too)
{
	_cleanup_strv_ struct hps_strv names = names_in(g->root, "/sys/class/drm");
	_cleanup_free_ char *rocm = NULL;
	unsigned before = g->n;

	for (size_t i = 0; i < names.n && g->n < GPUS_MAX; i++) {
		_cleanup_free_ char *path = hps_format("/sys/class/drm/%s/device/vendor", names.v[i]), *id = NULL;

		if (strncmp(names.v[i], "card", 4) != 0 || names.v[i][4 + strspn(names.v[i] + 4, "0123456789")] != '\0')
			continue;
		id = hps_identity_read_in(g->root, path);
		for (size_t k = 0; id && k < ARRAY_SIZE(vendors) - (nvidia_too ? 0 : 1); k++)
			if (!strcmp(id, vendors[k].id)) {
				add_card(g, names.v[i], vendors[k].name);
				g->n++;
			}
	}
	rocm = g->n > before ? hps_identity_read_in(g->root, "/opt/rocm/.info/version") : NULL;
	if (rocm)
		hps_identity_add(g->rows, "gpu.rocm", rocm, "/opt/rocm/.info/version", HPS_OBSERVED);
	return g->n > before;
}
