/* What may be written down: allow-list first, a secret's name beats it, shapes of known secrets beat both. What is not
 * written is replaced by a keyed tag, so that its owner can still tell whether two runs had the same value. */
#include "recorder/identity.h"

#include <strings.h>
#include <string.h>

#define WITHHELD "[redacted]"

/* Name segments (split at anything but letters and digits, and at changes of case) that mean a secret. */
static const char *const secret_segments[] = {
	"key", "apikey", "token", "secret", "pass", "passwd", "password", "passphrase", "cred", "creds", "credential", "credentials", "auth", "cookie", "session", "dsn", "private",
};
/* Words that no harmless segment contains (PGPASSWORD). */
static const char *const secret_parts[] = { "password", "passwd", "apikey", "secret", "credential" };
/* Names that have such a segment and are known to be harmless. */
static const char *const harmless_names[] = {
	"TOKENIZERS_PARALLELISM", "max_tokens", "max_new_tokens", "key_dim", "num_key_value_heads", "use_cls_token", "pad_token_id", "eos_token_id", "bos_token_id", "XDG_SESSION_TYPE", "XDG_SESSION_CLASS",
};
/* Environment names (an asterisk ends a prefix) whose values are written in clear: they decide what a run computes. */
static const char *const allowed_names[] = {
	"PATH", "LANG", "LC_*", "TZ", "TERM", "SHELL", "HOME", "PWD", "OLDPWD", "TMPDIR", "USER", "LOGNAME", "SHLVL", "_",
	"LD_LIBRARY_PATH", "LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_*",
	"PYTHON*", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "CONDA_PREFIX", "R_HOME", "R_LIBS*", "JULIA_*",
	"OMP_*", "GOMP_*", "KMP_*", "MKL_*", "OPENBLAS_*", "GOTO_*", "BLIS_*", "NUMEXPR_*", "VECLIB_*", "NPY_*", "ONEDNN_*", "DNNL_*", "ATEN_*", "JOBLIB_*", "LOKY_*", "NUMBA_*",
	"CUDA_*", "NVIDIA_*", "CUBLAS_*", "CUDNN_*", "NCCL_*", "HIP_*", "ROCR_*", "HSA_*", "MIOPEN_*", "XLA_*", "JAX_*", "TF_*", "TORCH_*", "PYTORCH_*", "PL_*", "SEED", "RANDOM_SEED", "GLOBAL_SEED",
	"SLURM_*", "PBS_*", "HPS_*", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "EPOCHS", "CC", "CFLAGS", "DEBIAN_FRONTEND", "HOSTNAME",
};
/* Prefixes of tokens that services hand out, each with the least length of what follows. */
static const struct {
	const char *prefix;
	size_t least;
} token_prefixes[] = {
	{ "AKIA", 16 }, { "ASIA", 16 }, { "hf_", 20 }, { "ghp_", 30 }, { "gho_", 30 }, { "ghs_", 30 }, { "ghu_", 30 }, { "github_pat_", 20 }, { "glpat-", 16 },
	{ "xoxb-", 10 }, { "xoxp-", 10 }, { "xoxa-", 10 }, { "sk-", 20 }, { "AIza", 30 }, { "dapi", 30 }, { "npm_", 30 }, { "pypi-", 30 }, { "eyJ", 30 }, { "-----BEGIN ", 10 },
};
/* Parts of paths of files that hold credentials. */
static const char *const secret_paths[] = {
	"/.netrc", "/.aws/", "/.ssh/", "/.config/gcloud/", "/.kube/", "/.docker/config.json", "/.huggingface/token", "/huggingface/token", "/.git-credentials", "/.pypirc", "/.npmrc",
	"/run/secrets/", "/.gnupg/", "/.pgpass", "/.kaggle/kaggle.json", "/.config/hub", "/.config/gh/", "/keys/redact.key",
};

void hps_redactor_release(struct hps_redactor *r)
{
	explicit_bzero(r->key, sizeof r->key);
}

char *hps_redact_tag(const struct hps_redactor *r, const char *class, const char *value)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_digest d;
	char hex[33];

	if (!r)
		return hps_strdup(WITHHELD);
	hps_buf_adds(&text, "hps-redact-v1");
	hps_buf_addc(&text, '\0');
	hps_buf_adds(&text, class);
	hps_buf_addc(&text, '\0');
	hps_buf_adds(&text, value);
	hps_hmac(r->key, sizeof r->key, text.data, text.len, &d);
	explicit_bzero(text.data, text.len);
	hps_hex(hex, d.b, 16); /* 128 bits are kept */
	return hps_format("hmac:%s", hex);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Length of the segment at s: letters of one case, or a capital followed by small letters; 0 when none begins here. */
static size_t segment_length(const char *s)
{
	bool upper = s[0] >= 'A' && s[0] <= 'Z', next_upper = s[0] && s[1] >= 'A' && s[1] <= 'Z';
	size_t n = 0;

	if (!is_letter(s[0]))
		return 0;
	if (upper && !next_upper)
		n = 1;
	while (is_letter(s[n]) && ((s[n] >= 'A' && s[n] <= 'Z') == (upper && next_upper)))
		n++;
	return n;
}

static bool segment_is_secret(const char *s, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(secret_segments); i++)
		if (strlen(secret_segments[i]) == n && !strncasecmp(s, secret_segments[i], n))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(secret_parts); i++)
		for (size_t at = 0; at + strlen(secret_parts[i]) <= n; at++)
			if (!strncasecmp(s + at, secret_parts[i], strlen(secret_parts[i])))
				return true;
	return false;
}

bool hps_redact_name_is_secret(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(harmless_names); i++)
		if (!strcasecmp(name, harmless_names[i]))
			return false;
	for (const char *s = name; *s;) {
		size_t n = segment_length(s);

		if (n && segment_is_secret(s, n))
			return true;
		s += n ? n : 1;
	}
	return false;
}

static bool is_token_character(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '+' || c == '/' || c == '=' || c == ' ';
}

/* The length of a known token that begins at s, or 0. */
static size_t token_at(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(token_prefixes); i++) {
		size_t len = strlen(token_prefixes[i].prefix), n = 0;
		bool pem = token_prefixes[i].prefix[0] == '-';

		if (strncmp(s, token_prefixes[i].prefix, len) != 0)
			continue;
		while (s[len + n] && (pem || (is_token_character(s[len + n]) && s[len + n] != ' ')))
			n++;
		if (n >= token_prefixes[i].least && (!pem || strstr(s, "PRIVATE KEY")))
			return len + n;
	}
	return 0;
}

static bool starts_word(const char *text, const char *at)
{
	return at == text || !(is_letter(at[-1]) || (at[-1] >= '0' && at[-1] <= '9'));
}

bool hps_redact_value_is_secret(const char *value)
{
	for (const char *at = value; *at; at++)
		if (starts_word(value, at) && token_at(at))
			return true;
	return false;
}

static bool is_allowed(const struct hps_redactor *r, const char *name)
{
	for (size_t i = 0; r && r->more && i < r->more->n; i++)
		if (!strcmp(name, r->more->v[i]))
			return true;
	if (hps_redact_name_is_secret(name))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(allowed_names); i++) {
		size_t len = strlen(allowed_names[i]);
		bool prefix = allowed_names[i][len - 1] == '*';

		if (prefix ? !strncmp(name, allowed_names[i], len - 1) : !strcmp(name, allowed_names[i]))
			return true;
	}
	return false;
}

void hps_redact_environment(const struct hps_redactor *r, char *const *envp, json_t *clear, json_t *tags)
{
	for (size_t i = 0; envp && envp[i]; i++) {
		size_t len = strcspn(envp[i], "=");
		_cleanup_free_ char *name = hps_strndup(envp[i], len), *tag = NULL, *clean = NULL;
		const char *value = envp[i][len] ? envp[i] + len + 1 : "";
		_cleanup_json_ json_t *key = hps_path_json(name);

		clean = hps_redact_text(r, value);
		if (is_allowed(r, name) && !strcmp(clean, value)) {
			hps_json_set(clear, json_string_value(key), hps_path_json(value));
			continue;
		}
		tag = hps_redact_tag(r, name, value);
		hps_json_set_text(tags, json_string_value(key), tag);
	}
}

/* scheme://user:password@host: from behind "//" to the "@", when it comes before the next slash. */
static size_t userinfo_length(const char *text, const char *at)
{
	size_t n = strcspn(at, "@/ \t\n\"'");

	return at - text >= 3 && !strncmp(at - 3, "://", 3) && at[n] == '@' ? n : 0;
}

/* "…&token=value" in a query: the length of the value at `at`, when the name before the "=" is a secret's. */
static size_t query_length(const char *text, const char *at)
{
	const char *name = at - 1;
	_cleanup_free_ char *copy = NULL;

	if (at == text || at[-1] != '=')
		return 0;
	while (name > text && (is_letter(name[-1]) || (name[-1] >= '0' && name[-1] <= '9') || name[-1] == '_' || name[-1] == '-'))
		name--;
	if (name == text || (name[-1] != '?' && name[-1] != '&' && name[-1] != ';'))
		return 0;
	copy = hps_strndup(name, (size_t)(at - 1 - name));
	return hps_redact_name_is_secret(copy) ? strcspn(at, "&#; \t\n\"'") : 0;
}

char *hps_redact_text(const struct hps_redactor *r, const char *text)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;

	for (const char *at = text; *at;) {
		size_t n = userinfo_length(text, at);
		const char *class = "userinfo";

		if (!n) {
			n = query_length(text, at);
			class = "query";
		}
		if (!n && starts_word(text, at)) {
			n = token_at(at);
			class = "token";
		}
		if (n) {
			_cleanup_free_ char *secret = hps_strndup(at, n), *tag = hps_redact_tag(r, class, secret);

			hps_buf_adds(&out, tag);
			explicit_bzero(secret, n);
			at += n;
		} else {
			hps_buf_addc(&out, *at++);
		}
	}
	return hps_buf_take(&out);
}

/* Is this word an option whose value is a secret? "--api-key", "-password"; its name without dashes goes to *ret. */
static bool names_secret(const char *word, size_t len, char **ret)
{
	size_t dashes = strspn(word, "-+");

	if (dashes >= len)
		return false;
	*ret = hps_strndup(word + dashes, len - dashes);
	return hps_redact_name_is_secret(*ret);
}

char *hps_redact_argument(const struct hps_redactor *r, const char *previous, const char *argument)
{
	size_t len = strcspn(argument, "=");
	_cleanup_free_ char *name = NULL, *before = NULL, *tag = NULL;

	if (argument[len] && argument[len + 1] && !memchr(argument, '/', len) && names_secret(argument, len, &name)) {
		tag = hps_redact_tag(r, name, argument + len + 1);
		return hps_format("%.*s=%s", (int)len, argument, tag);
	}
	if (previous && previous[0] == '-' && !strchr(previous, '=') && argument[0] != '-' && names_secret(previous, strlen(previous), &before))
		return hps_redact_tag(r, before, argument);
	return hps_redact_text(r, argument);
}

bool hps_redact_path_is_secret(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(secret_paths); i++)
		if (strstr(path, secret_paths[i]))
			return true;
	return false;
}
