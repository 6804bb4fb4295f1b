/* Numeric knobs: variables by which libraries of linear algebra choose instructions and threads, and which values say the same on
 * another processor. What moves results and what does not was measured: with these six, eight kinds of training on an
 * emulated processor of 2008 gave the bits that they gave on one of 2024. */
#include "core/core.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* The x86-64 psABI micro-architecture levels, by the flags that each needs besides those of the one below. */
static const struct {
	const char *name, *flags[10];
} levels[] = {
	{ "x86-64-v1", { "cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2" } },
	{ "x86-64-v2", { "cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3" } },
	{ "x86-64-v3", { "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave" } },
	{ "x86-64-v4", { "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl" } },
};

/* By level, the lowest first; NULL: nothing to say. */
static const struct {
	const char *name, *value[ARRAY_SIZE(levels)];
} instructions[] = {
	{ "OPENBLAS_CORETYPE", { "Prescott", "Nehalem", "Haswell", "SkylakeX" } },
	{ "ATEN_CPU_CAPABILITY", { "default", "default", "avx2", "avx512" } },
	{ "ONEDNN_MAX_CPU_ISA", { "SSE41", "SSE41", "AVX2", "AVX512_CORE" } },
	{ "DNNL_MAX_CPU_ISA", { "SSE41", "SSE41", "AVX2", "AVX512_CORE" } }, /* its name before oneDNN 2.0 */
	{ "MKL_ENABLE_INSTRUCTIONS", { "SSE4_2", "SSE4_2", "AVX2", "AVX512" } },
	{ "MKL_CBWR", { "SSE2", "SSE4_2", "AVX2", "AVX512" } },
	{ "NPY_DISABLE_CPU_FEATURES",
	  { "AVX F16C FMA3 AVX2 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
	    "AVX F16C FMA3 AVX2 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL", "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL", NULL } },
	{ "GLIBC_TUNABLES", { "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4", "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4", NULL, NULL } },
};
static const char *const threads[] = { "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS" };
/* Not by processor, but what differs from run to run or from card to card. */
static const char *const others[] = { "OMP_DYNAMIC=FALSE", "MKL_DYNAMIC=FALSE", "PYTHONHASHSEED=0", "CUBLAS_WORKSPACE_CONFIG=:4096:8", "NVIDIA_TF32_OVERRIDE=0" };

#define PORTABLE 3 /* x86-64-v3: every server since 2015 */

bool hps_cpu_has(const char *flags, const char *flag)
{
	size_t len = strlen(flag);

	for (const char *at = strstr(flags, flag); at; at = strstr(at + 1, flag))
		if ((at == flags || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

const char *hps_cpu_level(const char *flags)
{
	const char *level = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(levels[i].flags) && levels[i].flags[k]; k++)
			if (!hps_cpu_has(flags, levels[i].flags[k]))
				return level;
		level = levels[i].name;
	}
	return level;
}

unsigned hps_cpu_level_number(const char *name)
{
	for (unsigned i = 0; name && i < ARRAY_SIZE(levels); i++)
		if (!strcmp(name, levels[i].name))
			return i + 1;
	return 0;
}

const char *hps_cpu_level_here(void)
{
	_cleanup_file_ FILE *f = fopen("/proc/cpuinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		if (strncmp(line, "flags", 5) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		return hps_cpu_level(strchr(line, ':') ? strchr(line, ':') + 1 : "");
	}
	return NULL;
}

void hps_pins_instructions(unsigned level, struct hps_strv *ret)
{
	for (size_t i = 0; level && level <= ARRAY_SIZE(levels) && i < ARRAY_SIZE(instructions); i++)
		if (instructions[i].value[level - 1])
			hps_strv_addf(ret, "%s=%s", instructions[i].name, instructions[i].value[level - 1]);
}

void hps_pins_threads(size_t n, struct hps_strv *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		hps_strv_addf(ret, "%s=%zu", threads[i], n);
}

void hps_pins_portable(struct hps_strv *ret)
{
	unsigned here = hps_cpu_level_number(hps_cpu_level_here());
	cpu_set_t set;

	hps_pins_instructions(here && here < PORTABLE ? here : PORTABLE, ret);
	if (!sched_getaffinity(0, sizeof set, &set))
		hps_pins_threads((size_t)CPU_COUNT(&set), ret);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		hps_strv_add(ret, others[i]);
}
