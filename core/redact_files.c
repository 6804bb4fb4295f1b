/* Files that hold credentials, and how closely others are looked at, as tables. Sources: the tools' manuals. */
#include "core/redact.h"

#include <string.h>

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
