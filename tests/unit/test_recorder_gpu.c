/* Graphics processors that are not there: NVML by a stand-in of the documented library, /proc/driver/nvidia, /sys/class/drm and /sys/class/kfd by
 * made-up trees of the documented form. */
#include "tests/unit/folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/gpu.h"
#include "recorder/identity.h"

static char *stub; /* the stand-in's path */

static int set_up(void **state)
{
	const char *build = getenv("HPS_BUILD");
	_cleanup_free_ char *library = hps_format("%s/stubs/libnvidia-ml.so.1", build ? build : "build");

	stub = hps_path_absolute(library);
	return make_folder(state);
}

static int tear_down(void **state)
{
	free(stub);
	return remove_folder(state);
}

static void assert_why(const json_t *rows, const char *name, const char *why)
{
	const char *got = hps_json_text(row(rows, name), "why");

	if (!got || !strstr(got, why))
		fail_msg("'%s' is missing because of '%s', wanted '%s'", name, got ? got : "(nothing)", why);
}

static void test_none(void **state)
{
	_cleanup_json_ json_t *rows = json_array(), *after = json_array();

	(void)state;
	hps_identity_gpu(rows, "nowhere", "./no-such-library.so", "before", 10000);
	assert_why(rows, "gpu", "none found");
	hps_identity_gpu(after, "nowhere", "./no-such-library.so", "after", 10000);
	assert_int_equal(json_array_size(after), 0);
}

static void test_nvml(void **state)
{
	_cleanup_json_ json_t *rows = json_array(), *after = json_array();

	(void)state;
	unsetenv("HPS_STUB_NVML");
	hps_identity_gpu(rows, "nowhere", stub, "before", 10000);
	assert_value(rows, "gpu.driver", "580.65.06");
	assert_value(rows, "gpu.cuda", "13.0");
	assert_value(rows, "gpu.0.uuid", "GPU-aaaaaaaa-0000");
	assert_value(rows, "gpu.0.device", "/dev/nvidia0");
	assert_value(rows, "gpu.0.bus", "00000000:41:00.0");
	assert_value(rows, "gpu.0.computeCapability", "9.0");
	assert_value(rows, "gpu.0.vbios", "96.00.74.00.01");
	assert_value(rows, "gpu.0.eccMode", "1, pending 1");
	assert_value(rows, "gpu.0.maxSmClockMHz", "2001");
	assert_value(rows, "gpu.0.before.smClockMHz", "1001");
	assert_value(rows, "gpu.0.before.eccCorrected", "5");
	assert_value(rows, "gpu.0.before.clockEventReasons", "0x4");
	assert_why(rows, "gpu.1.serial", "not supported by this card (3)");
	assert_why(rows, "gpu.0.board", "no such call");
	assert_value(rows, "gpu.1.device", "/dev/nvidia3");
	assert_value(rows, "gpu.1.migMode", "1, pending 1");
	assert_value(rows, "gpu.1.mig.2.uuid", "MIG-11111111-2222");
	assert_value(rows, "gpu.1.mig.2.gpuInstance", "9");
	assert_value(rows, "gpu.1.mig.2.size", "14 multiprocessors, 9856 MiB");
	assert_null(row(rows, "gpu.0.mig.2.uuid"));
	assert_null(row(rows, "gpu.1.mig.0.uuid"));
	hps_identity_gpu(after, "nowhere", stub, "after", 10000);
	assert_value(after, "gpu.1.after.memoryClockMHz", "1002");
	assert_value(after, "gpu.1.after.uuid", "GPU-bbbbbbbb-0001");
	assert_null(row(after, "gpu.1.name"));
}

static void test_sick_drivers(void **state)
{
	_cleanup_json_ json_t *hang = json_array(), *crash = json_array(), *fail = json_array();
	int64_t started = hps_time_monotonic_ns();

	(void)state;
	setenv("HPS_STUB_NVML", "hang", 1);
	hps_identity_gpu(hang, "nowhere", stub, "before", 300);
	assert_why(hang, "gpu", "did not answer in time");
	assert_true(hps_time_monotonic_ns() - started < 10000000000);
	setenv("HPS_STUB_NVML", "crash", 1);
	hps_identity_gpu(crash, "nowhere", stub, "before", 10000);
	assert_why(crash, "gpu", "crashed");
	setenv("HPS_STUB_NVML", "fail", 1);
	hps_identity_gpu(fail, "nowhere", stub, "before", 10000);
	assert_why(fail, "gpu.nvml", "driver not loaded (9)");
	assert_why(fail, "gpu", "none found");
	unsetenv("HPS_STUB_NVML");
}

static void test_proc_nvidia(void **state)
{
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	put("p/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version:  gcc version 12.2.0\n");
	put("p/proc/driver/nvidia/gpus/0000:41:00.0/information", "Model: \t\t NVIDIA A100\nIRQ:   \t\t 91\nGPU UUID: \t GPU-?????????\nVideo BIOS: \t 92.00.45.00.03\n"
								 "Bus Type: \t PCIe\nBus Location: \t 0000:41:00.0\nDevice Minor: \t 0\n");
	put("p/proc/driver/nvidia/gpus/0000:c1:00.0/information", "Model: \t\t NVIDIA A100\nGPU UUID: \t GPU-1234\nVideo BIOS: \t ??.??\nBus Location: \t 0000:c1:00.0\nDevice Minor: \t 1\n");
	put("p/sys/class/drm/card0/device/vendor", "0x10de\n"); /* the same card again */
	hps_identity_gpu(rows, "p", "./no-such-library.so", "before", 10000);
	assert_value(rows, "gpu.driver", "535.104.05");
	assert_value(rows, "gpu.0.name", "NVIDIA A100");
	assert_value(rows, "gpu.0.vbios", "92.00.45.00.03");
	assert_why(rows, "gpu.0.uuid", "does not say");
	assert_value(rows, "gpu.1.uuid", "GPU-1234");
	assert_value(rows, "gpu.1.device", "/dev/nvidia1");
	assert_null(row(rows, "gpu.2.vendor"));
}

static void test_amd_and_intel(void **state)
{
	_cleanup_json_ json_t *rows = json_array(), *after = json_array();

	(void)state;
	put("s/sys/class/drm/card0/device/vendor", "0x1a03\n"); /* a server's console */
	put("s/sys/class/drm/card1/device/vendor", "0x1002\n");
	put("s/sys/class/drm/card1/device/device", "0x740c\n");
	put("s/sys/class/drm/card1/device/unique_id", "2a1b3c4d5e6f7089\n");
	put("s/sys/class/drm/card1/device/vbios_version", "113-D65209-073\n");
	put("s/sys/class/drm/card1/device/uevent", "DRIVER=amdgpu\nPCI_CLASS=38000\nPCI_SLOT_NAME=0000:c1:00.0\n");
	put("s/sys/class/drm/card1/device/pp_dpm_sclk", "0: 500Mhz\n1: 800Mhz *\n2: 1700Mhz\n");
	put("s/sys/class/drm/card1/device/ras/umc_err_count", "ue: 0\nce: 2\n");
	put("s/sys/class/drm/card1/device/drm/renderD128/dev", "226:128\n");
	put("s/sys/class/drm/card1-DP-1/status", "connected\n");
	put("s/sys/class/drm/card2/device/vendor", "0x8086\n");
	put("s/sys/class/drm/card2/device/device", "0x0bd5\n");
	put("s/sys/class/drm/card2/gt/gt0/rps_act_freq_mhz", "1550\n");
	put("s/sys/module/amdgpu/version", "6.7.0\n");
	put("s/opt/rocm/.info/version", "6.1.0-82\n");
	put("s/sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 64\nunique_id 0\n");
	put("s/sys/class/kfd/kfd/topology/nodes/1/properties", "simd_count 440\nvendor_id 4098\ngfx_target_version 90010\nunique_id 3034085076958670985\n");
	hps_identity_gpu(rows, "s", "./no-such-library.so", "before", 10000);
	assert_value(rows, "gpu.0.vendor", "AMD");
	assert_value(rows, "gpu.0.uuid", "2a1b3c4d5e6f7089");
	assert_value(rows, "gpu.0.bus", "0000:c1:00.0");
	assert_value(rows, "gpu.0.driver", "amdgpu");
	assert_value(rows, "gpu.0.driverVersion", "6.7.0");
	assert_value(rows, "gpu.0.device", "/dev/dri/renderD128");
	assert_value(rows, "gpu.0.gfxTarget", "90010");
	assert_value(rows, "gpu.0.before.shaderClock", "1: 800Mhz");
	assert_value(rows, "gpu.0.before.eccErrors", "ue: 0, ce: 2");
	assert_value(rows, "gpu.1.vendor", "Intel");
	assert_value(rows, "gpu.1.before.clockMHz", "1550");
	assert_null(row(rows, "gpu.2.vendor"));
	assert_value(rows, "gpu.rocm", "6.1.0-82");
	hps_identity_gpu(after, "s", "./no-such-library.so", "after", 10000);
	assert_value(after, "gpu.0.after.shaderClock", "1: 800Mhz");
	assert_null(row(after, "gpu.0.vendor"));
}

static void test_use(void **state)
{
	_cleanup_strv_ struct hps_strv devices = LIST_OF("/dev/null", "/dev/nvidiactl", "/dev/nvidia3", "/dev/nvidia-caps/nvidia-cap21"), envp = LIST_OF("CUDA_VISIBLE_DEVICES=1", "A=b");
	_cleanup_json_ json_t *machine = json_array(), *rows = json_array();

	(void)state;
	hps_identity_gpu(machine, "nowhere", stub, "before", 10000);
	hps_identity_gpu_use(rows, machine, &devices, envp.v);
	assert_value(rows, "gpu.0.opened", "false");
	assert_value(rows, "gpu.1.opened", "true");
	assert_value(rows, "gpu.opened", "/dev/nvidiactl");
	assert_value(rows, "gpu.visible.CUDA_VISIBLE_DEVICES", "1");
	assert_int_equal(json_array_size(rows), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none), cmocka_unit_test(test_nvml), cmocka_unit_test(test_sick_drivers), cmocka_unit_test(test_proc_nvidia),
		cmocka_unit_test(test_amd_and_intel), cmocka_unit_test(test_use),
	};

	return cmocka_run_group_tests_name("recorder_gpu", tests, set_up, tear_down);
}
