/* Linear algebra and OpenMP, by the libraries that the trial loaded: which build, how many threads, which kernels. Nothing is called and no code runs
 * in the trial: what follows from variables, from the file's own strings and from the processor's flags is said to be guessed, and a program
 * that sets its threads itself is not seen. */
#include "recorder/identity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY_MAX ((off_t)2 << 30)
#define WINDOW (1 << 20)
#define CPUINFO_MAX ((size_t)4 << 20)
#define CONFIG_MAX 256

/* Where a library takes its number of threads from: the first variable that is set; else the cores that it may use. */
struct kind {
	const char *prefix, *kind, *what; /* of the file's name; what: "blas" or "openmp" */
	const char *threads[4];
	const char *kernel;	/* the variable that picks kernels */
	const char *constant;	/* how a string of the file begins that tells version and build */
};
static const struct kind kinds[] = {
	{ "libopenblas", "openblas", "blas", { "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS" }, "OPENBLAS_CORETYPE", "OpenBLAS " },
	{ "libscipy_openblas", "openblas", "blas", { "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS" }, "OPENBLAS_CORETYPE", "OpenBLAS " },
	{ "libmkl_rt", "mkl", "blas", { "MKL_NUM_THREADS", "OMP_NUM_THREADS" }, "MKL_ENABLE_INSTRUCTIONS", "Intel(R) oneAPI Math Kernel Library Version " },
	{ "libmkl_core", "mkl", "blas", { "MKL_NUM_THREADS", "OMP_NUM_THREADS" }, "MKL_ENABLE_INSTRUCTIONS", "Intel(R) oneAPI Math Kernel Library Version " },
	{ "libblis", "blis", "blas", { "BLIS_NUM_THREADS", "OMP_NUM_THREADS" }, "BLIS_ARCH_TYPE", NULL },
	{ "libflexiblas", "flexiblas", "blas", { NULL }, "FLEXIBLAS", NULL },
	{ "libarmpl", "armpl", "blas", { "ARMPL_NUM_THREADS", "OMP_NUM_THREADS" }, NULL, NULL },
	{ "libatlas", "atlas", "blas", { NULL }, NULL, NULL },
	{ "libblas.", "reference", "blas", { NULL }, NULL, NULL },
	{ "libgomp", "gomp", "openmp", { "OMP_NUM_THREADS" }, NULL, NULL },
	{ "libiomp", "iomp", "openmp", { "KMP_NUM_THREADS", "OMP_NUM_THREADS" }, NULL, NULL },
	{ "libomp", "omp", "openmp", { "KMP_NUM_THREADS", "OMP_NUM_THREADS" }, NULL, NULL },
};
static const char *const switches[] = { "OMP_DYNAMIC", "OMP_THREAD_LIMIT", "OMP_PROC_BIND", "OMP_PLACES", "OMP_SCHEDULE", "MKL_CBWR", "MKL_DYNAMIC", "MKL_THREADING_LAYER", "KMP_AFFINITY", "KMP_DETERMINISTIC_REDUCTION" };

static const struct kind *kind_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)))
			return &kinds[i];
	return NULL;
}

char *hps_blas_constant(const char *data, size_t len, size_t starts, const char *start)
{
	size_t n = strlen(start);

	for (const char *at = data, *end = data + len; (at = memmem(at, (size_t)(end - at), start, n)) && at < data + starts; at++) {
		size_t k = n;

		if (at + n >= end || at[n] < '0' || at[n] > '9')
			continue;
		while (at + k < end && k < CONFIG_MAX && at[k] >= ' ' && at[k] <= '~')
			k++;
		while (k > n && at[k - 1] == ' ')
			k--;
		return hps_strndup(at, k);
	}
	return NULL;
}

/* Window by window, each with the end of the one before: such libraries are as large as a recorder's whole memory should be. */
static char *constant_of(const char *path, const char *start)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_cleanup_free_ char *window = hps_alloc(WINDOW);
	char *found = NULL;
	ssize_t n;

	for (off_t at = 0; fd >= 0 && !found && at < LIBRARY_MAX && (n = pread(fd, window, WINDOW, at)) > 0; at += WINDOW - CONFIG_MAX)
		found = hps_blas_constant(window, (size_t)n, n == WINDOW ? WINDOW - CONFIG_MAX : (size_t)n, start);
	return found;
}

static void add(json_t *rows, const struct kind *k, size_t n, const char *fact, const char *value, const char *from, const char *strength)
{
	_cleanup_free_ char *name = hps_format("%s.%zu.%s", k->what, n, fact);

	hps_identity_add(rows, name, value, from, strength);
}

static void add_missing(json_t *rows, const struct kind *k, size_t n, const char *fact, const char *why)
{
	_cleanup_free_ char *name = hps_format("%s.%zu.%s", k->what, n, fact);

	hps_identity_missing(rows, name, why);
}

/* ---- threads ---- */

/* "4", or "4,2" of nested regions: the first. */
static size_t leading(const char *text)
{
	_cleanup_free_ char *first = hps_strndup(text, strcspn(text, ","));
	uint64_t n;

	return hps_parse_u64(first, 1u << 20, &n) ? 0 : (size_t)n;
}

static void add_threads(json_t *rows, const struct kind *k, size_t n, char *const *envp, size_t cores, const char *config)
{
	const char *limit = config ? strstr(config, "MAX_THREADS=") : NULL;
	size_t most = limit ? leading(limit + strlen("MAX_THREADS=")) : 0, count = 0;
	_cleanup_free_ char *text = NULL;
	const char *from = "cores that it may use", *strength = HPS_GUESSED;

	if (!k->threads[0] || (config && strstr(config, "SINGLE_THREADED"))) {
		add(rows, k, n, "threads", "1", "this library has no threads of its own", HPS_GUESSED);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(k->threads) && k->threads[i] && !count; i++) {
		const char *value = hps_environment_get(envp, k->threads[i]);

		count = value ? leading(value) : 0;
		from = count ? k->threads[i] : from;
		strength = count ? HPS_DECLARED : strength;
	}
	count = count ? count : cores;
	count = most && most < count ? most : count;
	if (!count) {
		add_missing(rows, k, n, "threads", "no variable sets it, and the cores that it may use are not known");
		return;
	}
	text = hps_format("%zu", count);
	add(rows, k, n, "threads", text, from, strength);
}

/* ---- kernels ---- */

/* What a build for many processors picks, by the instructions that the processor has. */
static const char *family_of(const char *cpuinfo)
{
	const char *at = cpuinfo;
	_cleanup_free_ char *flags = cpuinfo ? hps_field_next(&at, "flags") : NULL;
	const char *level = flags ? hps_cpu_level(flags) : NULL;

	if (!level)
		return NULL;
	return !strcmp(level, "x86-64-v4") ? "SkylakeX or later (AVX-512)" : !strcmp(level, "x86-64-v3") ? "Haswell or Zen (AVX2)" : "Nehalem or older (SSE)";
}

static void add_kernel(json_t *rows, const struct kind *k, size_t n, char *const *envp, const char *config, const char *cpuinfo)
{
	const char *picked = k->kernel ? hps_environment_get(envp, k->kernel) : NULL, *family = family_of(cpuinfo);

	if (!strcmp(k->what, "openmp") || !strcmp(k->kind, "reference"))
		return;
	if (picked && *picked)
		add(rows, k, n, "kernel", picked, k->kernel, HPS_DECLARED);
	else if (config && !strcmp(k->kind, "openblas") && !strstr(config, "DYNAMIC_ARCH"))
		add(rows, k, n, "kernel", config, "its build is for one processor: the name in it", HPS_GUESSED);
	else if (config && !strcmp(k->kind, "openblas") && family)
		add(rows, k, n, "kernel", family, "DYNAMIC_ARCH and the flags of /proc/cpuinfo", HPS_GUESSED);
	else
		add_missing(rows, k, n, "kernel", "the library picks it when it starts, and tells only who calls it");
}

/* ---- all ---- */

static void add_library(json_t *rows, const char *root, const struct kind *k, size_t n, const char *path, char *const *envp, size_t cores, const char *cpuinfo)
{
	_cleanup_free_ char *full = hps_format("%s%s", root, path), *config = NULL;

	add(rows, k, n, "library", path, "loaded", HPS_OBSERVED);
	add(rows, k, n, "kind", k->kind, "its file's name", HPS_GUESSED);
	config = k->constant ? constant_of(full, k->constant) : NULL;
	if (config)
		add(rows, k, n, "config", config, "constant in its file", HPS_OBSERVED);
	else if (k->constant)
		add_missing(rows, k, n, "config", "its file has no such constant");
	add_threads(rows, k, n, envp, cores, config);
	add_kernel(rows, k, n, envp, config, cpuinfo);
}

void hps_identity_blas(json_t *rows, const char *root, const struct hps_strv *libraries, char *const *envp)
{
	_cleanup_free_ char *status = hps_identity_read_in(root, "/proc/self/status"), *path = hps_format("%s/proc/cpuinfo", root), *list = NULL;
	_cleanup_buf_ struct hps_buf cpuinfo = HPS_BUF_INIT;
	const char *at = status;
	size_t n_blas = 0, n_openmp = 0;

	hps_buf_init(&cpuinfo, CPUINFO_MAX);
	if (hps_file_read(AT_FDCWD, path, CPUINFO_MAX, &cpuinfo, NULL))
		hps_buf_reset(&cpuinfo);
	list = status ? hps_field_next(&at, "Cpus_allowed_list") : NULL;
	for (size_t i = 0; i < libraries->n; i++) {
		const struct kind *k = kind_of(libraries->v[i]);
		size_t *n = k && !strcmp(k->what, "blas") ? &n_blas : &n_openmp;

		if (k && *n < 16)
			add_library(rows, root, k, (*n)++, libraries->v[i], envp, list ? hps_list_count(list) : 0, cpuinfo.data);
	}
	if (!n_blas)
		hps_identity_missing(rows, "blas", "no library named like one was loaded; a program may have it built in");
	if (!n_openmp)
		hps_identity_missing(rows, "openmp", "no library named like one was loaded; a program may have it built in");
	for (size_t i = 0; (n_blas || n_openmp) && i < ARRAY_SIZE(switches); i++) {
		const char *value = hps_environment_get(envp, switches[i]);
		_cleanup_free_ char *name = hps_format("openmp.switch.%s", switches[i]);

		if (value)
			hps_identity_add(rows, name, value, "environment", HPS_DECLARED);
	}
}
