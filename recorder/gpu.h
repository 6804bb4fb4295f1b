/* Private header of the graphics processors: what is there, in which state before and after, and what the trial opened of it. Names of
 * rows: "gpu.<number>.<fact>", numbers in the order of the driver, NVIDIA's first. */
#ifndef HPS_RECORDER_GPU_H
#define HPS_RECORDER_GPU_H

#include "core/core.h"

struct hps_gpus {
	const char *root;    /* prefix of /proc and /sys */
	const char *library; /* NVML's file name for dlopen; NULL: libnvidia-ml.so.1 */
	unsigned n;	     /* found so far */
	json_t *rows;
	const char *moment; /* "before" or "after": the rows of the state; with "after" there are no others */
};

/* ---- identity_gpu.c: all of them ---- */
/* In a child, for at most limit_ms: a driver's library can hang on a sick card. moment as above. */
void hps_identity_gpu(json_t *rows, const char *root, const char *library, const char *moment, int limit_ms);
/* Of the cards in `rows` (gpu.N.device): was it opened? devices: paths that the trial opened. envp: variables that choose cards. */
void hps_identity_gpu_use(json_t *rows, const json_t *machine, const struct hps_strv *devices, char *const *envp);
void hps_gpu_add(const struct hps_gpus *g, const char *fact, const char *value, const char *source); /* of the next card; value NULL: none */
void hps_gpu_missing(const struct hps_gpus *g, const char *fact, const char *why);

/* ---- gpu_nvml.c ---- */
/* False when the library is not there, or finds no card. NVIDIA's nvml.h, API version 13: names, layouts and codes. */
bool hps_gpu_nvml(struct hps_gpus *g);

/* ---- gpu_sysfs.c: /proc/driver/nvidia, and /sys/class/drm with /sys/class/kfd for AMD's and Intel's ---- */
bool hps_gpu_proc_nvidia(struct hps_gpus *g);
bool hps_gpu_drm(struct hps_gpus *g, bool nvidia_too);

#endif
