/* Shapes of tokens, as a table. Sources: the services' own documentation of their token formats. */
#include "core/redact.h"

#include <string.h>

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

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
