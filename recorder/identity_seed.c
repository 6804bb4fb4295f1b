/* Seeds and where they came from. A seed that was passed is recorded as passed; whether the program used it, nobody outside can know. */
#include "recorder/identity.h"

#include <string.h>

/* Option and key names, compared without dashes and in lower case, after the last dot (trainer.seed). */
static const char *const names[] = {
	"seed", "random_seed", "manual_seed", "data_seed", "random_state", "rng_seed", "global_seed", "bagging_seed", "feature_fraction_seed", "torch_seed", "numpy_seed",
};
static const char *const variables[] = { "PYTHONHASHSEED", "PL_GLOBAL_SEED", "SEED", "RANDOM_SEED", "GLOBAL_SEED" };

static void add(json_t *seeds, const char *name, const char *value, const char *origin)
{
	json_t *seed = json_object();

	hps_json_set(seed, "name", hps_path_json(name));
	hps_json_set(seed, "value", hps_path_json(value));
	hps_json_set_text(seed, "origin", origin);
	hps_json_add(seeds, seed);
}

static bool is_seed_name(const char *word, size_t len)
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
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(plain, names[i]))
			return true;
	return false;
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

json_t *hps_seeds(char *const *argv, char *const *envp, const char *seed_option)
{
	json_t *seeds = json_array();

	if (seed_option)
		add(seeds, "--seed", seed_option, "option");
	from_argv(seeds, argv);
	from_environment(seeds, envp);
	return seeds;
}
