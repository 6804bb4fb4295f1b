/* What is known about secrets, as tables: names, token shapes, files, options. Sources: the services' own documentation of their
 * token formats, and the tools' manuals. */
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

/* ---- shapes of tokens ---- */

/* Characters that may follow: A capitals and digits, a letters and digits, w those with _ and -, b those with . + / =. */
static const struct {
	const char *class, *prefix;
	char set;
	unsigned char least; /* of the characters that follow */
} tokens[] = {
	{ "aws", "AKIA", 'A', 16 },	  { "aws", "ASIA", 'A', 16 },	    { "aws", "ABIA", 'A', 16 },		{ "aws", "ACCA", 'A', 16 },
	{ "huggingface", "hf_", 'a', 20 }, { "huggingface", "api_org_", 'a', 20 },
	{ "github", "ghp_", 'a', 30 },	  { "github", "gho_", 'a', 30 },    { "github", "ghs_", 'w', 30 },	{ "github", "ghu_", 'a', 30 },
	{ "github", "ghr_", 'a', 30 },	  { "github", "github_pat_", 'w', 20 },
	{ "gitlab", "glpat-", 'w', 16 },  { "gitlab", "gldt-", 'w', 16 },   { "gitlab", "glrt-", 'w', 16 },	{ "gitlab", "glptt-", 'w', 16 },
	{ "gitlab", "glcbt-", 'w', 16 },  { "gitlab", "glsoat-", 'w', 16 },
	{ "slack", "xoxb-", 'w', 10 },	  { "slack", "xoxp-", 'w', 10 },    { "slack", "xoxa-", 'w', 10 },	{ "slack", "xoxr-", 'w', 10 },
	{ "slack", "xoxs-", 'w', 10 },	  { "slack", "xapp-", 'w', 10 },    { "slack", "hooks.slack.com/services/", 'b', 20 },
	{ "secret-key", "sk-", 'w', 20 }, { "stripe", "sk_live_", 'a', 16 }, { "stripe", "sk_test_", 'a', 16 }, { "stripe", "rk_live_", 'a', 16 },
	{ "stripe", "whsec_", 'b', 16 },
	{ "google", "AIza", 'w', 30 },	  { "google", "ya29.", 'b', 20 },   { "google", "GOCSPX-", 'w', 20 },
	{ "databricks", "dapi", 'a', 30 }, { "npm", "npm_", 'a', 30 },	    { "pypi", "pypi-", 'w', 30 },	{ "docker", "dckr_pat_", 'w', 20 },
	{ "nvidia", "nvapi-", 'w', 20 },  { "groq", "gsk_", 'a', 30 },	    { "replicate", "r8_", 'a', 30 },	{ "vault", "hvs.", 'w', 20 },
	{ "vault", "hvb.", 'w', 20 },	  { "sendgrid", "SG.", 'b', 30 },   { "digitalocean", "dop_v1_", 'a', 30 }, { "shopify", "shpat_", 'a', 30 },
	{ "grafana", "glsa_", 'w', 30 },  { "pinecone", "pcsk_", 'w', 30 }, { "tavily", "tvly-", 'w', 20 },	{ "age", "AGE-SECRET-KEY-1", 'A', 40 },
	{ "jwt", "eyJ", 'j', 20 },	  { "private-key", "-----BEGIN ", 'p', 10 },
	{ "crypt", "$apr1$", 'c', 22 },	  { "crypt", "$1$", 'c', 22 },	    { "crypt", "$5$", 'c', 43 },	{ "crypt", "$6$", 'c', 86 },
	{ "crypt", "$y$", 'c', 43 },	  { "crypt", "$2a$", 'c', 53 },	    { "crypt", "$2b$", 'c', 53 },	{ "crypt", "$2y$", 'c', 53 },
	{ "crypt", "{SHA}", 'b', 28 },	  { "crypt", "{SSHA}", 'b', 32 },
};

static bool in_set(char set, char c)
{
	bool digit = c >= '0' && c <= '9';

	if (digit || is_upper(c))
		return true;
	if (set == 'A')
		return false;
	if (c >= 'a' && c <= 'z')
		return true;
	return set != 'a' && (c == '_' || c == '-' || (set == 'b' && (c == '.' || c == '+' || c == '/' || c == '=')));
}

/* crypt(5): fields after "$", the last of them the hash, whose length is its kind's. */
static size_t crypt_length(const char *s, size_t len, size_t hash)
{
	size_t n = 1, field = 0;

	for (; n < len && (in_set('a', s[n]) || strchr("./$=,", s[n])) && s[n]; n++)
		field = s[n] == '$' ? 0 : field + 1;
	return field == hash ? n : 0;
}

/* Two parts and a signature, each after a dot. */
static size_t jwt_length(const char *s, size_t len)
{
	size_t n = 0, dots = 0, part = 0;

	for (; n < len && (in_set('w', s[n]) || (s[n] == '.' && part >= 8 && dots < 2)); n++) {
		part = s[n] == '.' ? 0 : part + 1;
		dots += s[n] == '.';
	}
	return dots == 2 && part >= 8 ? n : 0;
}

/* To the end of the block, or of the text when it has none. A public key or certificate is no secret. */
static size_t pem_length(const char *s, size_t len)
{
	static const char begins[] = "PRIVATE KEY", ends[] = "-----END ", closes[] = "-----";
	const char *title = s + 11, *line = memmem(title, len - 11, closes, 5), *end;

	if (!line || line - title > 60 || !memmem(title, (size_t)(line - title), begins, sizeof begins - 1))
		return 0;
	end = memmem(line, len - (size_t)(line - s), ends, sizeof ends - 1);
	end = end ? memmem(end + 9, len - (size_t)(end + 9 - s), closes, 5) : NULL;
	return end ? (size_t)(end + 5 - s) : len;
}

size_t hps_rule_token(const char *s, size_t len, const char **ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		size_t prefix = strlen(tokens[i].prefix), n = 0;

		if (s[0] != tokens[i].prefix[0] || len < prefix + tokens[i].least || memcmp(s, tokens[i].prefix, prefix) != 0)
			continue;
		*ret = tokens[i].class;
		if (tokens[i].set == 'j')
			return jwt_length(s, len);
		if (tokens[i].set == 'p')
			return pem_length(s, len);
		if (tokens[i].set == 'c') {
			n = crypt_length(s, len, tokens[i].least);
			if (n)
				return n;
			continue;
		}
		while (prefix + n < len && in_set(tokens[i].set, s[prefix + n]))
			n++;
		if (n < tokens[i].least || (tokens[i].set == 'w' && !hps_rule_opaque(s + prefix, n)))
			continue;
		return prefix + n;
	}
	return 0;
}

void hps_rule_token_pairs(uint8_t pairs[8192])
{
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		unsigned pair = (unsigned)tokens[i].prefix[0] << 8 | (unsigned)tokens[i].prefix[1];

		pairs[pair >> 3] |= (uint8_t)(1 << (pair & 7));
	}
}

/* ---- files ---- */

enum where { PART, NAME, BEGIN, SUFFIX };
static const struct {
	const char *class;
	enum where where; /* PART anywhere in the path; the others of its last name */
	const char *text;
} files[] = {
	{ "ssh", PART, "/.ssh/" },	    { "ssh", BEGIN, "id_rsa" },		   { "ssh", BEGIN, "id_ed25519" },	  { "ssh", BEGIN, "id_ecdsa" },
	{ "gnupg", PART, "/.gnupg/" },	    { "netrc", BEGIN, ".netrc" },	   { "netrc", NAME, "_netrc" },
	{ "aws", PART, "/.aws/" },	    { "gcloud", PART, "/.config/gcloud/" }, { "gcloud", NAME, "application_default_credentials.json" },
	{ "azure", PART, "/.azure/" },	    { "oci", PART, "/.oci/" },		   { "s3", NAME, ".s3cfg" },		  { "s3", NAME, ".boto" },
	{ "rclone", NAME, "rclone.conf" },  { "kube", PART, "/.kube/" },	   { "kube", NAME, "kubeconfig" },	  { "kube", NAME, "kubeconfig.yaml" },
	{ "mounted", PART, "/run/secrets/" }, { "docker", PART, "/.docker/config.json" }, { "docker", NAME, ".dockercfg" }, { "git", NAME, ".git-credentials" },
	{ "github", PART, "/.config/gh/" }, { "github", PART, "/.config/hub" },	   { "gitlab", PART, "/.config/glab-cli/" },
	{ "huggingface", PART, "/huggingface/token" }, { "huggingface", PART, "/.huggingface/token" }, { "huggingface", PART, "/huggingface/stored_tokens" },
	{ "kaggle", NAME, "kaggle.json" },  { "pypi", NAME, ".pypirc" },	   { "npm", NAME, ".npmrc" },		  { "yarn", NAME, ".yarnrc.yml" },
	{ "postgres", NAME, ".pgpass" },    { "mysql", NAME, ".my.cnf" },	   { "mysql", NAME, ".mylogin.cnf" },	  { "databricks", NAME, ".databrickscfg" },
	{ "snowflake", PART, "/.snowsql/" }, { "clearml", NAME, "clearml.conf" },   { "comet", NAME, ".comet.config" },	  { "mlflow", PART, "/.mlflow/credentials" },
	{ "vault", NAME, ".vault-token" },  { "vault", NAME, ".vault_pass" },	   { "terraform", NAME, "credentials.tfrc.json" },
	{ "system", NAME, "shadow" },	    { "system", NAME, "gshadow" },	   { "system", PART, "/etc/ssl/private/" },
	{ "environment", NAME, ".env" },    { "environment", BEGIN, ".env." },	   { "environment", SUFFIX, ".env" },
	{ "secrets", BEGIN, "secrets." },   { "secrets", BEGIN, "secret." },	   { "secrets", NAME, "token.json" },	  { "secrets", NAME, "token.txt" },
	{ "secrets", NAME, "tokens.yaml" }, { "secrets", NAME, "credentials" },	   { "secrets", BEGIN, "credentials." },  { "secrets", BEGIN, "client_secret" },
	{ "secrets", BEGIN, "service-account" }, { "secrets", BEGIN, "service_account" }, { "secrets", NAME, "password.txt" }, { "secrets", NAME, "passwords.txt" },
	{ "secrets", NAME, "cookies.txt" }, { "htpasswd", SUFFIX, ".htpasswd" },   { "htpasswd", NAME, "htpasswd" },	  { "htpasswd", SUFFIX, ".htdigest" },
	{ "netrc", BEGIN, ".authinfo" },    { "keystore", SUFFIX, ".p12" },	   { "keystore", SUFFIX, ".pfx" },	  { "keystore", SUFFIX, ".jks" },
	{ "keystore", SUFFIX, ".keystore" }, { "keystore", SUFFIX, ".kdbx" },	   { "keystore", SUFFIX, ".ppk" },	  { "keystore", SUFFIX, ".agekey" },
	{ "hps", PART, "/keys/redact.key" }, { "hps", PART, "/keys/log.pem" },	   { "hps", PART, "/keys/statement.pem" },
	{ "hps", PART, "/secrets/entropy/" },
};
/* Templates without values, and code: Python's own secrets.py. */
static const char *const no_credentials[] = { ".example", ".sample", ".template", ".dist", ".py", ".pyc", ".pub", ".so", ".h", ".c", ".md", ".d.ts", ".js" };
/* How closely a file is looked at, by its name; of several rows the first. */
static const struct {
	enum hps_look look;
	enum where where;
	const char *text;
} looks[] = {
	{ HPS_LOOK_SETTINGS, SUFFIX, ".json" }, { HPS_LOOK_SETTINGS, SUFFIX, ".yaml" },	 { HPS_LOOK_SETTINGS, SUFFIX, ".yml" },	    { HPS_LOOK_SETTINGS, SUFFIX, ".ini" },
	{ HPS_LOOK_SETTINGS, SUFFIX, ".toml" }, { HPS_LOOK_SETTINGS, SUFFIX, ".cfg" },	 { HPS_LOOK_SETTINGS, SUFFIX, ".conf" },    { HPS_LOOK_SETTINGS, SUFFIX, ".env" },
	{ HPS_LOOK_SETTINGS, SUFFIX, ".config" }, { HPS_LOOK_SETTINGS, SUFFIX, ".properties" }, { HPS_LOOK_SETTINGS, PART, "/.git/config" },
	{ HPS_LOOK_SETTINGS, SUFFIX, ".xml" },	{ HPS_LOOK_SETTINGS, SUFFIX, ".plist" },  { HPS_LOOK_SETTINGS, SUFFIX, ".pom" },    { HPS_LOOK_SETTINGS, SUFFIX, ".tfvars" },
	{ HPS_LOOK_SETTINGS, NAME, ".Renviron" }, { HPS_LOOK_SETTINGS, NAME, ".condarc" }, { HPS_LOOK_SETTINGS, NAME, ".curlrc" },   { HPS_LOOK_SETTINGS, NAME, ".wgetrc" },
	{ HPS_LOOK_SHELL, SUFFIX, ".sh" },	{ HPS_LOOK_SHELL, SUFFIX, ".bash" },	 { HPS_LOOK_SHELL, SUFFIX, ".zsh" },	    { HPS_LOOK_SHELL, SUFFIX, ".ksh" },
	{ HPS_LOOK_SHELL, SUFFIX, ".sbatch" },	{ HPS_LOOK_SHELL, SUFFIX, ".slurm" },	 { HPS_LOOK_SHELL, SUFFIX, ".pbs" },	    { HPS_LOOK_SHELL, SUFFIX, ".fish" },
	{ HPS_LOOK_SHELL, SUFFIX, "_history" }, { HPS_LOOK_SHELL, NAME, ".history" },	 { HPS_LOOK_SHELL, SUFFIX, "rc" },	    { HPS_LOOK_SHELL, SUFFIX, "profile" },
	{ HPS_LOOK_SHELL, NAME, ".envrc" },	{ HPS_LOOK_SHELL, NAME, "Dockerfile" },	 { HPS_LOOK_SHELL, NAME, "Containerfile" }, { HPS_LOOK_SHELL, SUFFIX, ".command" },
	{ HPS_LOOK_TEXT, SUFFIX, ".log" },	{ HPS_LOOK_TEXT, SUFFIX, ".txt" },	 { HPS_LOOK_TEXT, SUFFIX, ".out" },	    { HPS_LOOK_TEXT, SUFFIX, ".err" },
	{ HPS_LOOK_TEXT, SUFFIX, ".http" },	{ HPS_LOOK_TEXT, SUFFIX, ".har" },	 { HPS_LOOK_TEXT, SUFFIX, ".curl" },	    { HPS_LOOK_TEXT, SUFFIX, ".trace" },
};
/* Programs, prose and data, in which a name beside a word is no setting. */
static const char *const sources[] = {
	".py", ".pyi", ".pyx", ".pxd", ".ipynb", ".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cu", ".cuh", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".java", ".kt", ".scala",
	".go", ".rs", ".R", ".r", ".Rmd", ".jl", ".m", ".rb", ".pl", ".pm", ".php", ".lua", ".swift", ".hs", ".ml", ".f", ".f90", ".F90", ".sql", ".tcl", ".mk", ".cmake", ".proto",
	".md", ".rst", ".tex", ".bib", ".html", ".htm", ".css", ".svg", ".csv", ".tsv", ".jsonl", ".ndjson", ".arff", ".libsvm", ".dat", ".data", ".fasta", ".vcf", ".srt", ".po", ".patch", ".diff", ".t",
};

static bool ends_with(const char *text, const char *suffix)
{
	size_t n = strlen(text), k = strlen(suffix);

	return n >= k && !strcmp(text + n - k, suffix);
}

static bool ends_in(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ends_with(text, list[i]))
			return true;
	return false;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* name: the last of path */
static bool is_at(const char *path, const char *name, enum where where, const char *text)
{
	switch (where) {
	case PART:
		return strstr(path, text) != NULL;
	case NAME:
		return *name == *text && !strcmp(name, text);
	case BEGIN:
		return *name == *text && !strncmp(name, text, strlen(text));
	case SUFFIX:
		return ends_with(name, text);
	}
	return false;
}

const char *hps_rule_path(const char *path)
{
	const char *name = last_name(path);

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (is_at(path, name, files[i].where, files[i].text) && (files[i].where == PART || !ends_in(path, no_credentials, ARRAY_SIZE(no_credentials))))
			return files[i].class;
	return NULL;
}

/* "#!/bin/sh", "#!/usr/bin/env bash" */
static bool is_shell(const char *text, size_t len)
{
	static const char *const shells[] = { "sh", "bash", "dash", "zsh", "ksh" };
	size_t end = 0, word;

	if (len < 4 || memcmp(text, "#!", 2) != 0)
		return false;
	while (end < len && text[end] != '\n')
		end++;
	for (word = end; word && text[word - 1] != '/' && text[word - 1] != ' ';)
		word--;
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (strlen(shells[i]) == end - word && !memcmp(text + word, shells[i], end - word))
			return true;
	return false;
}

/* "name = value", "name: value", "[section]", a comment? blank: nothing at all. */
enum line { OTHER, BLANK, COMMENT, ASSIGNMENT };
static enum line line_of(const char *s, size_t len)
{
	size_t n = 0, name;

	while (n < len && (hps_is_space(s[n]) || s[n] == '-'))
		n++;
	if (n == len)
		return BLANK;
	if (strchr("#;!", s[n]) || (s[n] == '[' && memchr(s + n, ']', len - n)))
		return COMMENT;
	if (len - n > 7 && !memcmp(s + n, "export ", 7))
		n += 7;
	name = n;
	while (n < len && (hps_is_name(s[n]) || hps_is_quote(s[n])))
		n++;
	if (n == name)
		return OTHER;
	while (n < len && (s[n] == ' ' || s[n] == '\t'))
		n++;
	return n < len && (s[n] == '=' || s[n] == ':') ? ASSIGNMENT : OTHER;
}

/* Nine lines of ten are settings, and there is one at least. */
static bool looks_like_settings(const char *text, size_t len)
{
	size_t n[4] = { 0 };

	for (size_t at = 0; at < len;) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t line = end ? (size_t)(end - text) - at : len - at;

		n[line_of(text + at, line)]++;
		at += line + 1;
	}
	return n[ASSIGNMENT] && n[OTHER] * 9 <= n[ASSIGNMENT] + n[COMMENT];
}

/* The groups that MySQL's and MariaDB's programs read. OpenSSL's settings have the same ending, and what is called a password in those
 * is a question's text. */
static bool is_mysql(const char *text, size_t len)
{
	static const char *const groups[] = { "[client", "[mysql", "[mariadb" };

	for (const char *at = text, *end = text + len; at && at < end; at = memchr(at, '\n', (size_t)(end - at))) {
		at += *at == '\n';
		for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
			if ((size_t)(end - at) > strlen(groups[i]) && !memcmp(at, groups[i], strlen(groups[i])))
				return true;
	}
	return false;
}

enum hps_look hps_rule_look(const char *path, const char *text, size_t len)
{
	const char *name = last_name(path);

	if (memchr(text, '\0', len < 8192 ? len : 8192) || ends_in(path, sources, ARRAY_SIZE(sources)))
		return HPS_LOOK_SHAPES;
	if (ends_with(path, ".cnf"))
		return is_mysql(text, len) ? HPS_LOOK_SETTINGS : HPS_LOOK_TEXT;
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++)
		if (is_at(path, name, looks[i].where, looks[i].text))
			return looks[i].look;
	if (is_shell(text, len))
		return HPS_LOOK_SHELL;
	if (len >= 2 && !memcmp(text, "#!", 2))
		return HPS_LOOK_SHAPES;
	return (len > 5 && !memcmp(text, "<?xml", 5)) || looks_like_settings(text, len) ? HPS_LOOK_SETTINGS : HPS_LOOK_TEXT;
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
