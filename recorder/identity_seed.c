/* Seeds and determinism switches, and where they came from. A seed that was passed is recorded as passed; whether the program used it,
 * nobody outside can know. */
#include "recorder/identity.h"

#include <string.h>

/* Option and key names, compared without dashes and in lower case, after the last dot (trainer.seed). */
static const char *const names[] = {
	"seed", "random_seed", "manual_seed", "data_seed", "random_state", "rng_seed", "global_seed", "bagging_seed", "feature_fraction_seed", "torch_seed", "numpy_seed",
};
static const char *const variables[] = { "PYTHONHASHSEED", "PL_GLOBAL_SEED", "SEED", "RANDOM_SEED", "GLOBAL_SEED" };

/* Variables that decide whether, or how exactly, a run can be repeated. */
static const char *const switch_variables[] = {
	"PYTHONHASHSEED", "PL_GLOBAL_SEED", "PL_SEED_WORKERS",
	"CUBLAS_WORKSPACE_CONFIG", "CUDA_LAUNCH_BLOCKING", "CUDNN_DETERMINISTIC", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
	"TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC", "TF_ENABLE_ONEDNN_OPTS", "TF_CUDNN_USE_AUTOTUNE",
	"XLA_FLAGS", "JAX_THREEFRY_PARTITIONABLE", "JAX_DEFAULT_MATMUL_PRECISION", "JAX_ENABLE_X64", "JAX_DEFAULT_PRNG_IMPL",
	"NCCL_ALGO", "NCCL_PROTO", "NCCL_NVLS_ENABLE", "MIOPEN_FIND_MODE", "HSA_OVERRIDE_GFX_VERSION",
	"OMP_NUM_THREADS", "OMP_SCHEDULE", "OMP_DYNAMIC", "KMP_DETERMINISTIC_REDUCTION", "MKL_CBWR", "MKL_NUM_THREADS", "MKL_DYNAMIC", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE",
	"BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES",
	"GLIBC_TUNABLES", "LD_PRELOAD", "LD_LIBRARY_PATH", "TZ", "LC_ALL",
};
/* Words of command lines and keys of configurations, as seeds' names are compared. */
static const char *const switch_names[] = {
	"deterministic", "full_determinism", "use_deterministic_algorithms", "cudnn_deterministic", "cudnn_benchmark", "benchmark", "allow_tf32", "tf32",
	"n_jobs", "num_workers", "num_threads", "nthread", "force_col_wise", "force_row_wise", "deterministic_histogram",
};
/* Set in the program's code, invisible from outside. */
static const struct {
	const char *framework, *name;
} switch_calls[] = {
	{ "torch", "torch.use_deterministic_algorithms" }, { "torch", "torch.backends.cudnn.deterministic" }, { "torch", "torch.backends.cudnn.benchmark" },
	{ "torch", "torch.backends.cuda.matmul.allow_tf32" }, { "torch", "torch.manual_seed" }, { "tensorflow", "tf.config.experimental.enable_op_determinism" },
	{ "tensorflow", "tf.random.set_seed" }, { "jax", "jax.random.key" }, { "numpy", "numpy.random.seed" },
};
const char *const hps_frameworks[] = { "torch", "tensorflow", "jax", "numpy", NULL };

static void add(json_t *seeds, const char *name, const char *value, const char *origin)
{
	json_t *seed = json_object();

	hps_json_set(seed, "name", hps_path_json(name));
	hps_json_set(seed, "value", hps_path_json(value));
	hps_json_set_text(seed, "origin", origin);
	hps_json_add(seeds, seed);
}

static bool is_one_of(const char *const *list, size_t n, const char *word, size_t len)
{
	char plain[40];

	for (size_t i = len; i > 0; i--)
		if (word[i - 1] == '.') {
			word += i;
			len -= i;
			break;
		}
	if (!len || len >= sizeof plain)
		return false;
	for (size_t i = 0; i < len; i++)
		plain[i] = word[i] == '-' ? '_' : word[i] >= 'A' && word[i] <= 'Z' ? (char)(word[i] + 32) : word[i];
	plain[len] = '\0';
	for (size_t i = 0; i < n; i++)
		if (!strcmp(plain, list[i]))
			return true;
	return false;
}

static bool is_seed_name(const char *word, size_t len)
{
	return is_one_of(names, ARRAY_SIZE(names), word, len);
}

/* As every framework wants it; NumPy's have up to 128 bits, PyTorch's may be negative. */
bool hps_seed_valid(const char *text)
{
	const char *digits = text + (*text == '-');
	size_t n;

	if (!strncmp(digits, "0x", 2))
		n = strspn(digits + 2, "0123456789abcdefABCDEF") + 2;
	else
		n = strspn(digits, "0123456789");
	return n && !digits[n] && n <= 80 && strcmp(digits, "0x") != 0;
}

static bool is_number(const char *value)
{
	return value && hps_seed_valid(value);
}

/* --seed 7, --seed=7, seed=7, +trainer.seed=7 */
static void from_argv(json_t *seeds, char *const *argv)
{
	for (size_t i = 1; argv[0] && argv[i]; i++) {
		const char *word = argv[i] + strspn(argv[i], "-+");
		size_t len = strcspn(word, "=");
		_cleanup_free_ char *name = hps_strndup(argv[i], (size_t)(word - argv[i]) + len);

		if (!is_seed_name(word, len))
			continue;
		if (word[len] == '=' && is_number(word + len + 1))
			add(seeds, name, word + len + 1, "argv");
		else if (!word[len] && word > argv[i] && is_number(argv[i + 1]))
			add(seeds, name, argv[i + 1], "argv");
	}
}

static void from_environment(json_t *seeds, char *const *envp)
{
	for (size_t i = 0; envp && envp[i]; i++) {
		size_t len = strcspn(envp[i], "=");

		for (size_t k = 0; envp[i][len] && k < ARRAY_SIZE(variables); k++)
			if (strlen(variables[k]) == len && !memcmp(envp[i], variables[k], len) && strlen(envp[i] + len + 1) < 64)
				add(seeds, variables[k], envp[i] + len + 1, "environment");
	}
}

/* Those of Hydra: what a command line says was found there. */
static void from_parameters(json_t *seeds, const json_t *parameters)
{
	const char *key;
	json_t *row;

	json_object_foreach((json_t *)(uintptr_t)parameters, key, row) {
		const char *name = hps_json_text(row, "name"), *value = hps_json_text(row, "value"), *origin = hps_json_text(row, "origin");

		if ((!strncmp(origin, "hydra.", 6) || !strcmp(origin, "mark")) && is_seed_name(name, strlen(name)) && is_number(value))
			add(seeds, name, value, origin);
	}
}

json_t *hps_seeds(char *const *argv, char *const *envp, const char *seed_option, const json_t *parameters)
{
	json_t *seeds = json_array();

	if (seed_option)
		add(seeds, "--seed", seed_option, "option");
	from_argv(seeds, argv);
	from_environment(seeds, envp);
	from_parameters(seeds, parameters);
	return seeds;
}

/* ---- switches ---- */

static const char *variable(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; envp && envp[i]; i++)
		if (!strncmp(envp[i], name, len) && envp[i][len] == '=')
			return envp[i] + len + 1;
	return NULL;
}

static bool is_in(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (!strcmp(*list, word))
			return true;
	return false;
}

json_t *hps_switches(char *const *envp, const json_t *parameters, const char *const *frameworks)
{
	json_t *switches = json_object(), *on = json_array(), *unset = json_array(), *unknown = json_array(), *row;
	const char *key;

	for (size_t i = 0; i < ARRAY_SIZE(switch_variables); i++) {
		const char *value = variable(envp, switch_variables[i]);

		if (value)
			add(on, switch_variables[i], value, "environment");
		else
			hps_json_add(unset, json_string(switch_variables[i]));
	}
	json_object_foreach((json_t *)(uintptr_t)parameters, key, row) {
		const char *name = hps_json_text(row, "name");

		if (is_one_of(switch_names, ARRAY_SIZE(switch_names), name, strlen(name)))
			add(on, name, hps_json_text(row, "value"), hps_json_text(row, "origin"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(switch_calls); i++) {
		if (!is_in(frameworks, switch_calls[i].framework))
			continue;
		row = json_object();
		hps_json_set_text(row, "name", switch_calls[i].name);
		hps_json_set_text(row, "why", "set in the program's code");
		hps_json_add(unknown, row);
	}
	hps_json_set(switches, "set", on);
	hps_json_set(switches, "unset", unset);
	hps_json_set(switches, "unknown", unknown);
	return switches;
}
