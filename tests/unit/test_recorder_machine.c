/* The machine: processor, limits, job, from made-up /proc and /sys trees as proc(5), cgroups(7) and the kernel's cgroup-v1 and cgroup-v2
 * documents describe them, and from this machine. */
#include "tests/unit/folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/identity.h"

static void assert_missing(const json_t *rows, const char *name)
{
	assert_true(json_is_true(json_object_get(row(rows, name), "missing")));
	assert_non_null(hps_json_text(row(rows, name), "why"));
}

#define V1 "fpu cx8 cmov mmx fxsr sse sse2 syscall"
#define V2 V1 " pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm"
#define V3 V2 " fma movbe xsave avx f16c abm bmi1 avx2 bmi2"
#define V4 V3 " avx512f avx512dq avx512cd avx512bw avx512vl"

static void test_levels(void **state)
{
	(void)state;
	assert_string_equal(hps_cpu_level(V1), "x86-64-v1");
	assert_string_equal(hps_cpu_level(V2), "x86-64-v2");
	assert_string_equal(hps_cpu_level(V3), "x86-64-v3");
	assert_string_equal(hps_cpu_level(V4), "x86-64-v4");
	assert_string_equal(hps_cpu_level(V1 " avx avx2 avx512f"), "x86-64-v1"); /* no level is skipped */
	assert_string_equal(hps_cpu_level(V3 " avx512f avx512dq avx512cd avx512bw avx512vlx"), "x86-64-v3");
	assert_null(hps_cpu_level("fpu"));
	assert_null(hps_cpu_level(""));
}

static void test_cpu(void **state)
{
	_cleanup_json_ json_t *x86 = json_array(), *mixed = json_array(), *arm = json_array(), *none = json_array(), *real = json_array();

	(void)state;
	put("x/proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Intel(R) Xeon(R) Test\nstepping\t: 8\n"
			      "microcode\t: 0x2b000590\nflags\t\t: " V4 "\n\nprocessor\t: 1\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n"
			      "model name\t: Intel(R) Xeon(R) Test\nstepping\t: 8\nmicrocode\t: 0x2b000590\nflags\t\t: " V4 "\n\n");
	put("x/proc/self/status", "Name:\tx\nCpus_allowed:\t2\nCpus_allowed_list:\t1\n");
	put("x/sys/devices/system/cpu/smt/active", "1\n");
	put("x/sys/devices/system/cpu/cpufreq/boost", "0\n");
	put("x/sys/devices/system/cpu/vulnerabilities/spectre_v2", "Mitigation: Enhanced IBRS\n");
	put("x/sys/devices/system/cpu/vulnerabilities/meltdown", "Not affected\n");
	put("x/sys/devices/system/cpu/vulnerabilities/mds", "Vulnerable\n");
	hps_identity_cpu(x86, "x");
	assert_value(x86, "cpu.vendor", "GenuineIntel");
	assert_value(x86, "cpu.model", "Intel(R) Xeon(R) Test");
	assert_value(x86, "cpu.signature", "6/143/8");
	assert_value(x86, "cpu.microcode", "0x2b000590");
	assert_value(x86, "cpu.isa", "x86-64-v4");
	assert_value(x86, "cpu.virtual", "false");
	assert_value(x86, "cpu.count", "1 of 2");
	assert_value(x86, "cpu.smt", "1");
	assert_missing(x86, "cpu.governor");
	assert_value(x86, "cpu.boost", "0");
	assert_value(x86, "cpu.mitigations", "mds: Vulnerable; spectre_v2: Mitigation: Enhanced IBRS");
	put("y/proc/cpuinfo", "processor : 0\nmodel name : big\nmicrocode : 0x1\nflags : " V2 " hypervisor\n\nprocessor : 1\nmodel name : little\nmicrocode : 0x2\nflags : " V2 "\n");
	hps_identity_cpu(mixed, "y");
	assert_value(mixed, "cpu.model", "big | little");
	assert_value(mixed, "cpu.microcode", "0x1 | 0x2");
	assert_value(mixed, "cpu.virtual", "true");
	assert_non_null(strstr(hps_json_text(row(mixed, "cpu.microcode"), "source"), "hypervisor"));
	put("z/proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n");
	hps_identity_cpu(arm, "z");
	assert_value(arm, "cpu.isa", "fp asimd sve");
	assert_missing(arm, "cpu.model");
	assert_missing(arm, "cpu.mitigations");
	hps_identity_cpu(none, "nowhere");
	assert_missing(none, "cpu.model");
	hps_identity_cpu(real, "");
	assert_value(real, "cpu.isa", hps_json_text(row(real, "cpu.isa"), "value"));
}

static void test_lists(void **state)
{
	(void)state;
	assert_int_equal(hps_list_count("0"), 1);
	assert_int_equal(hps_list_count("0-3,8"), 5);
	assert_int_equal(hps_list_count("0-1048575"), 1048576);
	assert_int_equal(hps_list_count(""), 0);
	assert_int_equal(hps_list_count("3-1"), 0);
	assert_int_equal(hps_list_count("1,,2"), 0);
	assert_int_equal(hps_list_count("99999999999999999999"), 0);
	assert_int_equal(hps_list_count("1-2x"), 0);
}

static void test_limits_version_2(void **state)
{
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	put("v2/proc/self/cgroup", "0::/user.slice/job/leaf\n");
	put("v2/proc/self/mountinfo", "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
	put("v2/sys/fs/cgroup/user.slice/cpu.max", "400000 100000\n");
	put("v2/sys/fs/cgroup/user.slice/job/cpu.max", "150000 100000\n");
	put("v2/sys/fs/cgroup/user.slice/job/leaf/cpu.max", "max 100000\n");
	put("v2/sys/fs/cgroup/user.slice/memory.max", "1073741824\n");
	put("v2/sys/fs/cgroup/user.slice/job/leaf/memory.max", "max\n");
	put("v2/sys/fs/cgroup/user.slice/job/leaf/pids.max", "max\n");
	put("v2/sys/fs/cgroup/user.slice/job/leaf/cpuset.cpus.effective", "0-1\n");
	put("v2/proc/self/limits", "Limit                     Soft Limit           Hard Limit           Units     \n"
				   "Max cpu time              unlimited            unlimited            seconds   \n"
				   "Max stack size            8388608              unlimited            bytes     \n");
	put("v2/sys/devices/system/node/online", "0-1\n");
	put("v2/sys/devices/system/node/node0/cpulist", "0-7\n");
	put("v2/sys/devices/system/node/node1/cpulist", "8-15\n");
	put("v2/proc/self/status", "Mems_allowed_list:\t1\n");
	hps_identity_limits(rows, "v2");
	assert_value(rows, "limits.cores", "1.500000"); /* of the group in the middle */
	assert_string_equal(hps_json_text(row(rows, "limits.cores"), "source"), "cgroup v2, /sys/fs/cgroup/user.slice/job");
	assert_value(rows, "limits.memoryBytes", "1073741824");
	assert_value(rows, "limits.processes", "none");
	assert_value(rows, "limits.cpuset", "0-1");
	assert_missing(rows, "limits.memoryNodes");
	assert_value(rows, "limits.stackBytes", "8388608");
	assert_value(rows, "limits.cpuSeconds", "unlimited");
	assert_value(rows, "numa.nodes", "0-1");
	assert_value(rows, "numa.1.cores", "8-15");
	assert_value(rows, "numa.allowed", "1");
}

/* Version 1 in a container: the mount shows the container's group, the path is the host's. */
static void test_limits_version_1(void **state)
{
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	put("v1/proc/self/cgroup", "11:memory:/docker/abc\n5:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n2:pids:/elsewhere\n1:name=systemd:/docker/abc\n");
	put("v1/proc/self/mountinfo", "40 30 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n41 30 0:31 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
				      "42 30 0:32 / /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset\n43 30 0:33 /docker/abc /sys/fs/cgroup/pi\\040ds ro - cgroup cgroup rw,pids\n");
	put("v1/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
	put("v1/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
	put("v1/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("v1/sys/fs/cgroup/cpuset/docker/abc/cpuset.effective_cpus", "2\n");
	put("v1/sys/fs/cgroup/cpuset/docker/abc/cpuset.effective_mems", "0\n");
	put("v1/sys/fs/cgroup/pi ds/pids.max", "77\n");
	hps_identity_limits(rows, "v1");
	assert_value(rows, "limits.cores", "0.500000");
	assert_value(rows, "limits.memoryBytes", "none");
	assert_value(rows, "limits.cpuset", "2");
	assert_value(rows, "limits.memoryNodes", "0");
	assert_value(rows, "limits.processes", "77");
	assert_missing(rows, "numa.nodes");
}

static void test_limits_that_cannot_be_seen(void **state)
{
	_cleanup_json_ json_t *rows = json_array(), *none = json_array(), *real = json_array();

	(void)state;
	put("n/proc/self/cgroup", "0::/\n");
	put("n/proc/self/mountinfo", "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
	hps_identity_limits(rows, "n");
	assert_missing(rows, "limits.cores");
	hps_identity_limits(none, "nowhere");
	assert_missing(none, "limits");
	hps_identity_limits(real, "");
	assert_true(json_array_size(real) > 0);
}

static void test_mountinfo(void **state)
{
	char text[] = "1 2 3:4 /a\\040b /c\\134d rw shared:1 master:2 - fuse.x so\\011urce rw\nbroken\n5 6 7:8 /r\n9 9 9:9 / /last rw - tmpfs\n", *at = text;
	struct hps_mount m;

	(void)state;
	assert_true(hps_mountinfo_next(&at, &m));
	assert_string_equal(m.root, "/a b");
	assert_string_equal(m.point, "/c\\d");
	assert_string_equal(m.type, "fuse.x");
	assert_true(hps_mountinfo_next(&at, &m));
	assert_string_equal(m.point, "/last");
	assert_string_equal(m.options, "");
	assert_false(hps_mountinfo_next(&at, &m));
}

/* edac: the kernel's Documentation/admin-guide/ras; proc(5). */
static void test_rights_and_memory(void **state)
{
	_cleanup_json_ json_t *rows = json_array(), *none = json_array();

	(void)state;
	put("hr/sys/devices/system/edac/mc/mc0/mc_name", "Skylake Socket#0 IMC#0\n");
	put("hr/sys/devices/system/edac/mc/mc0/ce_count", "3\n");
	put("hr/sys/devices/system/edac/mc/mc0/ue_count", "0\n");
	put("hr/proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n");
	put("hr/proc/meminfo", "MemTotal:       8000000 kB\nSwapTotal:       1000 kB\n");
	put("hr/proc/sys/kernel/tainted", "4096\n");
	put("hr/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	put("hr/etc/os-release", "PRETTY_NAME=\"Test 1\"\n");
	hps_identity_host(rows, "hr");
	assert_value(rows, "memory.ecc.0", "Skylake Socket#0 IMC#0: corrected 3, uncorrected 0");
	assert_value(rows, "process.noNewPrivileges", "1");
	assert_value(rows, "process.seccomp", "2");
	assert_value(rows, "process.capabilities", "0000000000000000");
	assert_value(rows, "memory.swap", "1000 kB");
	assert_value(rows, "kernel.tainted", "4096");
	assert_value(rows, "clock.source", "tsc");
	assert_value(rows, "os.release", "Test 1");
	hps_identity_host(none, "nowhere");
	assert_missing(none, "memory.ecc");
	assert_missing(none, "process.seccomp");
	assert_missing(none, "clock.source");
}

static void test_scheduler(void **state)
{
	_cleanup_json_ json_t *slurm = json_array(), *pods = json_array(), *none = json_array();
	_cleanup_strv_ struct hps_strv job = LIST_OF("HOME=/", "SLURM_JOB_ID=41", "SLURM_ARRAY_TASK_ID=3", "SLURM_JOB_ID_EXTRA=x", "LOADEDMODULES=cuda/12.1:gcc/12"), empty = LIST_OF("A=b");
	_cleanup_strv_ struct hps_strv pbs = LIST_OF("PBS_JOBID=1234.server", "PBS_QUEUE=gpu", "PBS_ARRAY_INDEX=7");
	_cleanup_json_ json_t *pbs_rows = json_array();

	(void)state;
	put("sl/proc/self/cgroup", "0::/system.slice/slurmstepd.scope/job_42/step_0/user/task_0\n");
	hps_identity_scheduler(slurm, "sl", job.v);
	assert_value(slurm, "scheduler.SLURM_JOB_ID", "41"); /* left over from elsewhere: both are said */
	assert_string_equal(hps_json_text(row(slurm, "scheduler.SLURM_JOB_ID"), "strength"), HPS_DECLARED);
	assert_value(slurm, "scheduler.slurm.job", "42");
	assert_value(slurm, "scheduler.SLURM_ARRAY_TASK_ID", "3");
	assert_value(slurm, "software.LOADEDMODULES", "cuda/12.1:gcc/12");
	hps_identity_scheduler(pbs_rows, "no", pbs.v);
	assert_value(pbs_rows, "scheduler.PBS_JOBID", "1234.server");
	assert_value(pbs_rows, "scheduler.PBS_ARRAY_INDEX", "7");
	put("k8/proc/self/cgroup", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod0123abcd_0123_4567_89ab_0123456789ab.slice/cri-containerd-x.scope\n");
	put("k8/var/run/secrets/kubernetes.io/serviceaccount/namespace", "team-a");
	hps_identity_scheduler(pods, "k8", empty.v);
	assert_value(pods, "scheduler.kubernetes.podUid", "0123abcd-0123-4567-89ab-0123456789ab");
	assert_value(pods, "scheduler.kubernetes.namespace", "team-a");
	put("no/proc/self/cgroup", "0::/user.slice\n");
	hps_identity_scheduler(none, "no", empty.v);
	assert_missing(none, "scheduler");
}

static void test_blas(void **state)
{
	_cleanup_strv_ struct hps_strv libraries = LIST_OF("/l/libc.so.6", "/l/libopenblasp-r0.3.21.so", "/v/numpy.libs/libscipy_openblas64_-ff651d7f.so", "/l/libgomp.so.1.0.0", "/l/libblas.so.3");
	_cleanup_strv_ struct hps_strv set = LIST_OF("OMP_NUM_THREADS=6,2", "OPENBLAS_CORETYPE=Zen", "OMP_DYNAMIC=true"), empty = LIST_OF("A=b"), other = LIST_OF("/l/libc.so.6");
	_cleanup_json_ json_t *declared = json_array(), *guessed = json_array(), *none = json_array();

	(void)state;
	put("b/proc/cpuinfo", "processor : 0\nflags : " V3 "\n");
	put("b/proc/self/status", "Cpus_allowed_list:\t0-7\n");
	put("b/l/libopenblasp-r0.3.21.so", "\177ELF OpenBLAS is\nOpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY MAX_THREADS=4\n");
	put("b/v/numpy.libs/libscipy_openblas64_-ff651d7f.so", "OpenBLAS 0.3.27  USE64BITINT Haswell MAX_THREADS=64 \001");
	hps_identity_blas(declared, "b", &libraries, set.v);
	assert_value(declared, "blas.0.library", "/l/libopenblasp-r0.3.21.so");
	assert_value(declared, "blas.0.config", "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY MAX_THREADS=4");
	assert_value(declared, "blas.0.threads", "4"); /* OMP_NUM_THREADS, but the build has no more */
	assert_value(declared, "blas.0.kernel", "Zen");
	assert_value(declared, "blas.1.threads", "6");
	assert_value(declared, "blas.2.kind", "reference");
	assert_value(declared, "blas.2.threads", "1");
	assert_value(declared, "openmp.0.threads", "6");
	assert_string_equal(hps_json_text(row(declared, "openmp.0.threads"), "strength"), HPS_DECLARED);
	assert_value(declared, "openmp.switch.OMP_DYNAMIC", "true");
	hps_identity_blas(guessed, "b", &libraries, empty.v);
	assert_value(guessed, "blas.0.kernel", "Haswell or Zen (AVX2)");
	assert_value(guessed, "blas.1.kernel", "OpenBLAS 0.3.27  USE64BITINT Haswell MAX_THREADS=64");
	assert_value(guessed, "openmp.0.threads", "8");
	assert_string_equal(hps_json_text(row(guessed, "openmp.0.threads"), "strength"), HPS_GUESSED);
	hps_identity_blas(none, "b", &other, empty.v);
	assert_missing(none, "blas");
	assert_missing(none, "openmp");
}

static void test_host(void **state)
{
	_cleanup_json_ json_t *rows = json_array();

	(void)state;
	put("h/etc/os-release", "NAME=\"x\"\nPRETTY_NAME=\"Test OS 1\"\n");
	put("h/proc/meminfo", "MemTotal:       1024 kB\n");
	put("h/proc/cmdline", "quiet mitigations=off token=ghp_abcdefghijklmnopqrstuvwxyz0123456789\n");
	put("h/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
	hps_identity_host(rows, "h");
	assert_value(rows, "os.release", "Test OS 1");
	assert_value(rows, "memory.total", "1024 kB");
	assert_value(rows, "clock.source", "tsc");
	assert_non_null(strstr(hps_json_text(row(rows, "kernel.commandLine"), "value"), "mitigations=off"));
	assert_null(strstr(hps_json_text(row(rows, "kernel.commandLine"), "value"), "ghp_"));
	assert_missing(rows, "host.product");
	assert_non_null(row(rows, "clock.synchronized"));
	assert_non_null(row(rows, "user.name"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels), cmocka_unit_test(test_cpu), cmocka_unit_test(test_lists), cmocka_unit_test(test_limits_version_2),
		cmocka_unit_test(test_limits_version_1), cmocka_unit_test(test_limits_that_cannot_be_seen), cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_rights_and_memory), cmocka_unit_test(test_scheduler), cmocka_unit_test(test_blas), cmocka_unit_test(test_host),
	};

	return cmocka_run_group_tests_name("recorder_machine", tests, make_folder, remove_folder);
}
