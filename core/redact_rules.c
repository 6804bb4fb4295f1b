/* What is known about secrets, as tables: names, values, headers, variables, options. Shapes of tokens are in redact_tokens.c, files in
 * redact_files.c. Sources: the tools' manuals. */
#include "core/redact.h"

#include <string.h>
#include <strings.h>

/* ---- names ---- */

#define SEGMENTS_MAX 16

enum match { WHOLE, ENDS, INSIDE, LAST }; /* LAST: the whole word, and the name ends with it */
static const struct {
	const char *word; /* a name is cut into words at anything but letters, and where small letters turn to capitals */
	enum match match;
	enum hps_secrecy secrecy;
} words[] = {
	{ "password", INSIDE, HPS_STRICT },   { "passwd", INSIDE, HPS_STRICT },	 { "passphrase", INSIDE, HPS_STRICT }, { "passwort", INSIDE, HPS_STRICT },
	{ "secret", INSIDE, HPS_STRICT },     { "apikey", INSIDE, HPS_STRICT },	 { "credential", INSIDE, HPS_STRICT }, { "pwd", ENDS, HPS_STRICT },
	{ "authorization", WHOLE, HPS_STRICT }, { "bearer", WHOLE, HPS_STRICT }, { "accesskey", INSIDE, HPS_STRICT },  { "privatekey", INSIDE, HPS_STRICT },
	{ "token", ENDS, HPS_STRONG },	      { "cookie", WHOLE, HPS_STRONG },	 { "dsn", WHOLE, HPS_STRONG },	       { "cred", WHOLE, HPS_STRONG },
	{ "creds", WHOLE, HPS_STRONG },	      { "jwt", WHOLE, HPS_STRONG },	 { "sessionid", WHOLE, HPS_STRONG },   { "authtoken", INSIDE, HPS_STRONG },
	{ "key", WHOLE, HPS_WEAK },	      { "pass", WHOLE, HPS_WEAK },	 { "auth", WHOLE, HPS_WEAK },	       { "session", WHOLE, HPS_WEAK },
	{ "private", WHOLE, HPS_WEAK },	      { "sig", WHOLE, HPS_WEAK },	 { "signature", WHOLE, HPS_WEAK },     { "pat", WHOLE, HPS_WEAK },
	{ "passcode", INSIDE, HPS_STRICT },   { "otp", WHOLE, HPS_STRICT },	 { "totp", WHOLE, HPS_STRICT },	       { "pin", LAST, HPS_STRICT },
};
/* With one of these a "key" is none of a dictionary. */
static const char *const key_of[] = {
	"api", "access", "secret", "account", "auth", "signing", "encryption", "encrypt", "decryption", "service", "client", "master", "ssh", "shared", "storage",
	"subscription", "deploy", "license", "consumer", "app", "application", "admin", "private", "hmac", "webhook", "wandb", "comet", "neptune", "openai", "huggingface", "hf",
	"aws", "azure", "gcp", "google", "kaggle", "github", "gitlab", "slack", "stripe", "twilio", "sendgrid", "datadog", "sentry", "clearml", "ngc", "vault", "db", "database",
	"redis", "pinecone", "cohere", "mistral", "replicate", "groq", "serpapi", "langchain", "langsmith",
};
/* With one of these a "token" is a piece of text or a count. */
static const char *const token_of[] = {
	"bos", "eos", "pad", "unk", "cls", "sep", "mask", "masked", "special", "placeholder", "initializer", "trigger", "image", "video", "audio", "speech", "vision", "visual",
	"start", "end", "stop", "begin", "decoder", "encoder", "forced", "prefix", "suffix", "max", "min", "num", "per", "total", "input", "output", "context", "prompt",
	"completion", "vocab", "word", "subword", "char", "byte", "text", "label", "target", "source", "src", "tgt", "register", "latent", "query", "patch", "memory", "global",
	"soft", "class", "time", "think", "next", "last", "first", "dropout", "drop", "type", "level", "embedding", "embed", "dim", "count", "budget", "length", "limit",
	"mixing", "merging", "pruning", "reduction", "ids", "size", "rate", "pattern", "delimiter", "separator", "classification", "shift", "mixer", "ratio", "loss", "weight",
};
/* A name that begins so is a switch, one that ends so is about the secret, not the secret: then it must look like one. */
static const char *const switches[] = { "use", "no", "enable", "disable", "with", "without", "has", "is", "allow", "require", "skip", "show", "hide", "print", "save", "trust", "verify", "num" };
static const char *const about[] = {
	"file", "fd", "path", "dir", "sock", "socket", "name", "id", "env", "var", "type", "count", "len", "length", "size", "index", "column", "col", "field", "dim", "format", "mode",
	"stdin", "heads", "weight", "rate", "ratio", "loss", "scheme", "method", "class", "manager", "provider", "ref", "sharing", "threshold", "bits",
};
static const char *const harmless[] = { "PWD", "OLDPWD", "XDG_SESSION_TYPE", "XDG_SESSION_CLASS", "TOKENIZERS_PARALLELISM", "token_type_ids" };

struct segment {
	const char *s;
	size_t len;
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* Letters of one case, or a capital followed by small letters. */
static size_t segment_length(const char *s, size_t len)
{
	bool capitals = len > 1 && is_upper(s[0]) && is_upper(s[1]);
	size_t n = 1;

	if (!is_letter(s[0]))
		return 0;
	while (n < len && is_letter(s[n]) && is_upper(s[n]) == capitals)
		n++;
	return n;
}

static size_t split_name(const char *name, size_t len, struct segment *ret)
{
	size_t n = 0;

	for (size_t at = 0; at < len && n < SEGMENTS_MAX;) {
		size_t one = segment_length(name + at, len - at);

		if (one)
			ret[n++] = (struct segment){ name + at, one };
		at += one ? one : 1;
	}
	return n;
}

static bool segment_is(const struct segment *g, const char *word)
{
	return strlen(word) == g->len && !strncasecmp(g->s, word, g->len);
}

static bool segment_in(const struct segment *g, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (segment_is(g, list[i]))
			return true;
	return false;
}

static bool any_in(const struct segment *g, size_t n, const char *const *list, size_t n_list)
{
	for (size_t i = 0; i < n; i++)
		if (segment_in(&g[i], list, n_list))
			return true;
	return false;
}

static bool matches(const struct segment *g, const char *word, enum match match)
{
	size_t len = strlen(word);

	if (match == WHOLE || match == LAST || g->len <= len)
		return segment_is(g, word);
	if (match == ENDS)
		return !strncasecmp(g->s + g->len - len, word, len);
	for (size_t at = 0; at + len <= g->len; at++)
		if (!strncasecmp(g->s + at, word, len))
			return true;
	return false;
}

static enum hps_secrecy secrecy_of(const struct segment *g, size_t n)
{
	enum hps_secrecy most = HPS_PLAIN;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
			enum hps_secrecy one = words[k].secrecy;

			if (!matches(&g[i], words[k].word, words[k].match) || (words[k].match == LAST && i + 1 < n))
				continue;
			if (one == HPS_WEAK && segment_is(&g[i], "key") && any_in(g, n, key_of, ARRAY_SIZE(key_of)))
				one = HPS_STRICT;
			if (one == HPS_STRONG && segment_is(&g[i], "token") && any_in(g, n, token_of, ARRAY_SIZE(token_of)))
				one = HPS_PLAIN;
			most = one > most ? one : most;
		}
	return most;
}

enum hps_secrecy hps_rule_name(const char *name, size_t len)
{
	struct segment g[SEGMENTS_MAX];
	size_t n = split_name(name, len, g);
	enum hps_secrecy secrecy;

	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (strlen(harmless[i]) == len && !strncmp(name, harmless[i], len))
			return HPS_PLAIN;
	if (n == 1 && segment_is(&g[0], "pwd"))
		return HPS_UNLESS_PATH;
	secrecy = secrecy_of(g, n);
	if (secrecy > HPS_WEAK && n > 1 && (segment_in(&g[0], switches, ARRAY_SIZE(switches)) || segment_in(&g[n - 1], about, ARRAY_SIZE(about))))
		return HPS_WEAK;
	return secrecy;
}

/* ---- values ---- */

static const char *const trivial_words[] = { "true", "false", "none", "null", "nil", "yes", "no", "on", "off", "auto", "default", "required", "optional", "~" };

bool hps_rule_tag(const char *value, size_t len)
{
	static const char mark[] = "hmac:", keyless[] = "[redacted]";
	const char *end = value + len;

	for (const char *at = value; (at = memmem(at, (size_t)(end - at), mark, 5)); at += 5)
		if (end - at >= 37 && strspn(at + 5, "0123456789abcdef") >= 32)
			return true;
	return memmem(value, len, keyless, sizeof keyless - 1) != NULL;
}

/* $NAME, ${…}, $(…): the shell's word for a secret, not the secret. */
static bool is_reference(const char *value, size_t len)
{
	if (len < 2 || value[0] != '$')
		return false;
	if ((value[1] == '{' && value[len - 1] == '}') || (value[1] == '(' && value[len - 1] == ')'))
		return true;
	for (size_t i = 1; i < len; i++)
		if (!is_upper(value[i]) && value[i] != '_' && (i == 1 || value[i] < '0' || value[i] > '9'))
			return false;
	return true;
}

static bool is_word(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!hps_is_name(value[i]))
			return false;
	return len > 0;
}

/* <token>, {token}, {{token}}, %(token)s, xxxx, your-api-key: what somebody is to fill in. */
bool hps_rule_placeholder(const char *value, size_t len)
{
	static const char *const around[][2] = { { "<", ">" }, { "{", "}" }, { "{{", "}}" }, { "{{ ", " }}" }, { "%(", ")s" } };
	size_t same = 1;

	for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
		size_t open = strlen(around[i][0]), close = strlen(around[i][1]);

		if (len > open + close && !memcmp(value, around[i][0], open) && !memcmp(value + len - close, around[i][1], close) && is_word(value + open, len - open - close))
			return true;
	}
	if (len > 5 && !strncasecmp(value, "your", 4) && strchr("_- ", value[4]) && hps_rule_name(value, len) && !hps_rule_opaque(value, len))
		return true;
	while (same < len && value[same] == value[0])
		same++;
	return len >= 3 && same == len && strchr("xX*.-_?", value[0]);
}

/* In a file: TOKEN, API_KEY, what a manual calls its arguments. */
bool hps_rule_filled_in(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_upper(value[i]) && value[i] != '_')
			return false;
	return len && hps_rule_name(value, len);
}

/* In a script: "$x", `x`, $(x): made when it runs; or a sign of the shell's. */
bool hps_rule_expansion(const char *value, size_t len)
{
	size_t n = 0;

	if (strspn(value, "<>|&;") >= len)
		return true;
	while (n < len && strchr("\"([{\\", value[n]))
		n++;
	return n < len && (strchr("$`", value[n]) || memmem(value, len, "$(", 2) || memmem(value, len, "${", 2));
}

static bool is_trivial(const char *value, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(trivial_words); i++)
		if (strlen(trivial_words[i]) == len && !strncasecmp(value, trivial_words[i], len))
			return true;
	return !len || hps_rule_tag(value, len) || is_reference(value, len) || hps_rule_placeholder(value, len);
}

/* /data/set: what singularity calls --pwd, and what a shell does. */
static bool is_path(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!hps_is_name(value[i]) && value[i] != '/')
			return false;
	return len && value[0] == '/' && !hps_rule_opaque(value, len);
}

/* A count or a rate; a longer row of digits may be a secret. */
static bool is_number(const char *value, size_t len)
{
	char text[24];
	double unused;

	if (!len || len >= sizeof text || (len > 10 && !memchr(value, '.', len)))
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	return hps_parse_double(text, &unused) == 0;
}

bool hps_rule_value(enum hps_secrecy secrecy, const char *value, size_t len)
{
	if (secrecy == HPS_PLAIN || is_trivial(value, len))
		return false;
	if (secrecy == HPS_WEAK)
		return hps_rule_opaque(value, len);
	if (secrecy == HPS_UNLESS_PATH)
		return !is_path(value, len);
	return secrecy == HPS_STRICT || !is_number(value, len);
}

static int kind_of(char c)
{
	if (c >= '0' && c <= '9')
		return 1;
	if (is_letter(c))
		return is_upper(c) ? 2 : 3;
	return strchr("_-./:, \t\n", c) ? 0 : 4; /* strchr finds the NUL as well */
}

/* 12 characters without a separator, with digits and letters that change places at least four times. */
bool hps_rule_opaque(const char *value, size_t len)
{
	size_t run = 0, digits = 0, changes = 0;
	int last = 0;

	for (size_t i = 0; i < len; i++) {
		int kind = kind_of(value[i]);

		if (!kind) {
			run = digits = changes = 0;
		} else {
			run++;
			digits += kind == 1;
			changes += last && kind != last;
		}
		if (run >= 12 && digits >= 2 && run - digits >= 2 && changes >= 4)
			return true;
		last = kind;
	}
	return false;
}

/* Headers of requests whose value is a secret, wherever they stand in a text. */
static const char *const headers[] = {
	"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "Api-Key", "ApiKey", "X-Auth-Token", "X-Amz-Security-Token", "Private-Token", "X-Vault-Token",
	"X-Access-Token", "X-Csrf-Token", "Ocp-Apim-Subscription-Key", "X-Goog-Api-Key", "X-Figma-Token", "X-Gitlab-Token", "X-Functions-Key", "Job-Token", "X-Subject-Token",
};

bool hps_rule_header(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
		if (strlen(headers[i]) == len && !strncasecmp(name, headers[i], len))
			return true;
	return false;
}

/* ---- environment ---- */

/* An asterisk ends a prefix. */
static const char *const allowed[] = {
	"PATH", "LANG", "LC_*", "TZ", "TERM", "SHELL", "HOME", "PWD", "OLDPWD", "TMPDIR", "USER", "LOGNAME", "SHLVL", "_",
	"LD_LIBRARY_PATH", "LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_*",
	"PYTHON*", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "CONDA_PREFIX", "R_HOME", "R_LIBS*", "JULIA_*",
	"OMP_*", "GOMP_*", "KMP_*", "MKL_*", "OPENBLAS_*", "GOTO_*", "BLIS_*", "NUMEXPR_*", "VECLIB_*", "NPY_*", "ONEDNN_*", "DNNL_*", "ATEN_*", "JOBLIB_*", "LOKY_*", "NUMBA_*",
	"CUDA_*", "NVIDIA_*", "CUBLAS_*", "CUDNN_*", "NCCL_*", "HIP_*", "ROCR_*", "HSA_*", "MIOPEN_*", "XLA_*", "JAX_*", "TF_*", "TORCH_*", "PYTORCH_*", "PL_*", "SEED", "RANDOM_SEED", "GLOBAL_SEED",
	"SLURM_*", "PBS_*", "HPS_*", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "EPOCHS", "CC", "CFLAGS", "DEBIAN_FRONTEND", "HOSTNAME",
};

bool hps_rule_environment(const char *name)
{
	if (hps_rule_name(name, strlen(name)) != HPS_PLAIN)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		size_t len = strlen(allowed[i]);
		bool prefix = allowed[i][len - 1] == '*';

		if (prefix ? !strncmp(name, allowed[i], len - 1) : !strcmp(name, allowed[i]))
			return true;
	}
	return false;
}

/* ---- options without a name ---- */

const struct hps_rule_option hps_rule_options[] = {
	{ "sshpass", "-p", HPS_NEXT },	 { "sshpass", "-p", HPS_ATTACHED }, { "mysql", "-p", HPS_ATTACHED },	 { "mysqldump", "-p", HPS_ATTACHED },
	{ "mysqladmin", "-p", HPS_ATTACHED }, { "mariadb", "-p", HPS_ATTACHED }, { "7z", "-p", HPS_ATTACHED },	 { "7za", "-p", HPS_ATTACHED },
	{ "unrar", "-p", HPS_ATTACHED }, { "unzip", "-P", HPS_NEXT },	    { "zip", "-P", HPS_NEXT },		 { "redis-cli", "-a", HPS_NEXT },
	{ "login", "-p", HPS_NEXT },	 { "mongo", "-p", HPS_NEXT },	    { "mongosh", "-p", HPS_NEXT },	 { "mongodump", "-p", HPS_NEXT },
	{ "twine", "-p", HPS_NEXT },	 { "ldapsearch", "-w", HPS_NEXT },  { "smbclient", "-U", HPS_PERCENT },	 { "sqlcmd", "-P", HPS_NEXT },
	{ "bcp", "-P", HPS_NEXT },	 { "lftp", "-u", HPS_COLON },	    { "curl", "-b", HPS_NEXT },		 { "http", "-a", HPS_COLON },
	{ "https", "-a", HPS_COLON },	 { "openssl", "pass:", HPS_ATTACHED },
	{ NULL, "-u", HPS_COLON },	 { NULL, "--user", HPS_COLON },	    { NULL, "--proxy-user", HPS_COLON }, { NULL, "-U", HPS_COLON },
	{ NULL, "--auth", HPS_COLON },	 { NULL, "--basic-auth", HPS_COLON }, { NULL, "-p", HPS_ATTACHED },	 { NULL, "-p", HPS_NEXT },
};
const size_t hps_n_rule_options = ARRAY_SIZE(hps_rule_options);

bool hps_rule_announces(const char *word, size_t len)
{
	static const char *const list[] = { "bearer", "basic", "login", "auth", "authenticate", "authtoken", "add-authtoken" };

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		if (strlen(list[i]) == len && !strncasecmp(word, list[i], len))
			return true;
	return false;
}
