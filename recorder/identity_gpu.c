/* Graphics processors: NVML when the driver's library is there, else what /proc and /sys say, else "none found". What is there is told apart
 * from what the trial opened. */
#include "recorder/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/gpu.h"

#define ANSWER_MAX ((size_t)4 << 20)

void hps_gpu_add(const struct hps_gpus *g, const char *fact, const char *value, const char *source)
{
	_cleanup_free_ char *name = hps_format("gpu.%u.%s", g->n, fact);

	if (value && *value)
		hps_identity_add(g->rows, name, value, source, !strcmp(source, "nvml") ? HPS_ENGINE : HPS_OBSERVED);
}

void hps_gpu_missing(const struct hps_gpus *g, const char *fact, const char *why)
{
	_cleanup_free_ char *name = hps_format("gpu.%u.%s", g->n, fact);

	hps_identity_missing(g->rows, name, why);
}

static json_t *gather(const char *root, const char *library, const char *moment)
{
	struct hps_gpus g = { .root = root, .library = library, .rows = json_array(), .moment = moment };
	bool nvidia = hps_gpu_nvml(&g) || (!strcmp(moment, "before") && hps_gpu_proc_nvidia(&g));
	bool others = hps_gpu_drm(&g, !nvidia);

	if (!nvidia && !others && !strcmp(moment, "before"))
		hps_identity_missing(g.rows, "gpu", "none found: no NVML library answers, and neither /proc/driver/nvidia nor /sys/class/drm has a card");
	return g.rows;
}

/* ---- in a child ---- */

static int read_answer(int fd, int limit_ms, struct hps_buf *ret)
{
	int64_t deadline_ns = hps_time_monotonic_ns() + limit_ms * 1000000ll;
	char block[4096];

	hps_buf_init(ret, ANSWER_MAX);
	for (;;) {
		int64_t left = (deadline_ns - hps_time_monotonic_ns()) / 1000000;
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = read(fd, block, sizeof block);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			hps_buf_add(ret, block, (size_t)n);
	}
}

static void child(int fd, const char *root, const char *library, const char *moment)
{
	_cleanup_json_ json_t *rows = gather(root, library, moment);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	_exit(hps_json_canonical(rows, &text, NULL) || hps_write_all(fd, text.data, text.len) ? 1 : 0);
}

void hps_identity_gpu(json_t *rows, const char *root, const char *library, const char *moment, int limit_ms)
{
	_cleanup_json_ json_t *found = NULL;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *name = !strcmp(moment, "before") ? hps_strdup("gpu") : hps_format("gpu.%s", moment);
	int ends[2], r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return;
	pid = fork();
	if (pid == 0)
		child(ends[1], root, library, moment);
	close(ends[1]);
	r = pid < 0 ? -errno : read_answer(ends[0], limit_ms, &text);
	close(ends[0]);
	if (r || hps_json_parse(text.data ? text.data : "", text.len, &found, NULL))
		hps_identity_missing(rows, name, r == -ETIMEDOUT ? "the driver's library did not answer in time" : "the driver's library crashed");
	else
		json_array_extend(rows, found);
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

/* ---- use ---- */

static const char *const choices[] = {
	"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL",
	"ZE_AFFINITY_MASK",	"ONEAPI_DEVICE_SELECTOR",
};
static const char *const device_places[] = { "/dev/nvidia", "/dev/dri/", "/dev/kfd", "/dev/accel/", "/dev/habanalabs", "/dev/neuron", "/dev/dxg" };

static bool opened(const struct hps_strv *devices, const char *path)
{
	for (size_t i = 0; i < devices->n; i++)
		if (!strcmp(devices->v[i], path))
			return true;
	return false;
}

void hps_identity_gpu_use(json_t *rows, const json_t *machine, const struct hps_strv *devices, char *const *envp)
{
	const json_t *row;
	size_t i;

	for (i = 0; i < devices->n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(device_places); k++)
			if (!strncmp(devices->v[i], device_places[k], strlen(device_places[k])))
				hps_identity_add(rows, "gpu.opened", devices->v[i], "opened by the trial", HPS_OBSERVED);
	json_array_foreach(machine, i, row) {
		const char *name = hps_json_text(row, "name"), *device = hps_json_text(row, "value"), *end = name ? strrchr(name, '.') : NULL;
		_cleanup_free_ char *used = NULL;

		if (!end || !device || strncmp(name, "gpu.", 4) != 0 || strcmp(end, ".device") != 0)
			continue;
		used = hps_format("%.*s.opened", (int)(end - name), name);
		hps_identity_add(rows, used, opened(devices, device) ? "true" : "false", device, HPS_OBSERVED);
	}
	for (i = 0; i < ARRAY_SIZE(choices); i++) {
		const char *value = hps_environment_get(envp, choices[i]);
		_cleanup_free_ char *name = hps_format("gpu.visible.%s", choices[i]);

		if (value)
			hps_identity_add(rows, name, value, "environment", HPS_DECLARED);
	}
}
