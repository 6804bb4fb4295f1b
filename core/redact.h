/* The redactor: what may be written down. One mechanism for arguments, environment, URLs, texts, paths, parameters
 * and metrics; what it knows about secrets is rows of tables (redact_rules.c and kin). A value that is withheld leaves
 * "hmac:<32 hex digits>", keyed by the ledger's redaction key, so that its owner can tell equal values and nobody else can guess
 * them. Deciding what is a secret is heuristic: docs/THREATS.md says what is recognised. */
#ifndef HPS_CORE_REDACT_H
#define HPS_CORE_REDACT_H

#include "core/core.h"

#include <string.h>

/* ---- redact_rules.c, redact_tokens.c, redact_files.c: the tables ---- */

/* What a name says about its value. */
enum hps_secrecy {
	HPS_PLAIN,
	HPS_WEAK,   /* key, session, …: withheld when the value looks random, or stands in the query of a URL */
	HPS_STRONG, /* token, cookie, …: withheld unless it is a number, a truth value or a reference ($NAME) */
	HPS_UNLESS_PATH, /* pwd: withheld unless it is the path of a directory, which others call so */
	HPS_STRICT, /* password, secret, API key: numbers, too */
};
enum hps_secrecy hps_rule_name(const char *name, size_t len);
/* Does a value under a name of this secrecy have to be withheld? */
bool hps_rule_value(enum hps_secrecy secrecy, const char *value, size_t len);
bool hps_rule_opaque(const char *value, size_t len); /* looks random: a long unbroken run of letters and digits, well mixed */
bool hps_rule_tag(const char *value, size_t len);    /* has one of our own tags in it: it was looked at before */
/* Length of the token of a known shape (also a PEM private key) that begins at s, or 0; its class goes to *ret. */
size_t hps_rule_token(const char *s, size_t len, const char **ret);
void hps_rule_token_pairs(uint8_t pairs[8192]); /* sets the bit of each two bytes that a token begins with: (first << 8 | second) */
/* The class of a file that holds credentials, by its path; NULL: none is known. */
const char *hps_rule_path(const char *path);
bool hps_rule_environment(const char *name); /* allow-listed: decides what a run computes */
bool hps_rule_placeholder(const char *value, size_t len); /* <token>, {token}, xxxx: what somebody is to fill in */
bool hps_rule_filled_in(const char *value, size_t len);	  /* in a file: TOKEN, API_KEY, as manuals call arguments */
bool hps_rule_expansion(const char *value, size_t len);	  /* in a script: "$x", `x`, >: not what it says */
bool hps_rule_header(const char *name, size_t len);	  /* of a request: Authorization, Cookie, … */

/* How closely a file is looked at before it is stored: each looks for what those above it find, and more. */
enum hps_look {
	HPS_LOOK_SHAPES,   /* programs, prose, tables, bytes: shapes of tokens, known secrets; headers and URLs whose secret nobody guesses */
	HPS_LOOK_TEXT,	   /* headers and URLs with any password */
	HPS_LOOK_SETTINGS, /* names beside values */
	HPS_LOOK_SHELL,	   /* the same, and the words of command lines */
};
enum hps_look hps_rule_look(const char *path, const char *text, size_t len); /* by its name, else by its beginning */

/* How programs take a secret that no name announces. */
enum hps_place {
	HPS_NEXT,     /* -p SECRET */
	HPS_ATTACHED, /* -pSECRET */
	HPS_COLON,    /* -u user:SECRET */
	HPS_PERCENT,  /* -U user%SECRET */
};
struct hps_rule_option {
	const char *program; /* NULL: any, and then the value must look like it */
	const char *option;
	enum hps_place place;
};
extern const struct hps_rule_option hps_rule_options[];
extern const size_t hps_n_rule_options;
bool hps_rule_announces(const char *word, size_t len); /* Bearer, login, …: what follows may be a secret */

/* ---- redact_known.c: secrets that were seen, in their usual encodings ---- */

struct hps_known;
struct hps_known *hps_known_new(void);
/* Remembers value (8 bytes to 16 KiB; others are ignored) under class, with its forms in hex, base64 at each offset, percent
 * encoding, JSON escapes, our own path escapes and UTF-16. */
void hps_known_add(struct hps_known *k, const char *class, const char *value, size_t len);
struct hps_known_secret {
	char *class, *value;
	size_t len;
	bool opaque; /* nobody can guess it */
};
/* The longest form of a known secret that begins at s: its length, or 0. */
size_t hps_known_at(const struct hps_known *k, const char *s, size_t len, const struct hps_known_secret **ret);
bool hps_known_begins(const struct hps_known *k, const char *s, size_t len); /* these bytes are the beginning of a form, and not all of it */
void hps_known_pairs(const struct hps_known *k, uint8_t pairs[8192]); /* as hps_rule_token_pairs() */
bool hps_known_none(const struct hps_known *k);
void hps_known_free(struct hps_known *k); /* and wipes */

/* ---- what two looks at a text find: words, and bytes ---- */

#define HPS_NAME_MAX 128
struct hps_word {
	const char *s; /* a NUL follows somewhere */
	size_t len;
};
/* What is withheld of a text, and what announced it. */
struct hps_span {
	const char *s;
	size_t len;
	const char *class; /* not terminated */
	size_t class_len;
};
static inline bool hps_span_set(struct hps_span *ret, const char *s, size_t len, const char *class, size_t class_len)
{
	*ret = (struct hps_span){ s, len, class, class_len };
	return true;
}
static inline bool hps_span_class(struct hps_span *ret, const char *s, size_t len, const char *class)
{
	return hps_span_set(ret, s, len, class, strlen(class));
}
static inline bool hps_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static inline bool hps_is_quote(char c)
{
	return c == '"' || c == '\'';
}
static inline bool hps_is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}
static inline bool hps_is_digits(const char *s, size_t len)
{
	return strspn(s, "0123456789") >= len;
}

/* ---- redact_words.c ---- */
size_t hps_words_split(const char *text, struct hps_word *words, size_t max); /* as a shell would: quotes keep a word together */
bool hps_word_is(const struct hps_word *w, const char *text);
/* The secret in words[i], judged by it and what is before it: at most one a word. */
bool hps_word_span(const struct hps_word *words, size_t i, struct hps_span *ret);

/* ---- redact_text.c ---- */
/* Behind every other byte hps_text_span() finds nothing but a token. d and a end a sign in percent encoding. */
static inline bool hps_text_announces(const char *text, const char *at)
{
	switch (at > text ? at[-1] : '\0') {
	case '/':
	case ' ':
	case '=':
	case ':':
	case '\t':
	case '>':
	case '"':
	case '\'':
		return true;
	case 'd':
	case 'D':
	case 'a':
	case 'A':
		return at - text > 3 && at[-2] == '3' && at[-3] == '%';
	default:
		return false;
	}
}
/* The secret that begins at `at` in text; token: it may have the shape of one. */
bool hps_text_span(const char *text, const char *at, bool token, struct hps_span *ret);
/* The same, of two kinds alone: a password in a URL (at is behind "://"), the value of a request's header (behind its colon). */
bool hps_text_userinfo(const char *text, const char *at, struct hps_span *ret);
bool hps_text_header(const char *text, const char *at, struct hps_span *ret);
bool hps_text_named(const char *text, const char *at, struct hps_span *ret); /* of a text that is a name: token-SECRET */
size_t hps_scheme_length(const char *at, size_t len); /* of "Bearer SECRET" what is before the secret; 0: no scheme */

/* ---- redact.c: the mechanism ---- */

enum hps_content_secret {
	HPS_CONTENT_CLEAN,
	HPS_CONTENT_HOLDS,     /* a secret that nobody can guess: the digest of the whole says nothing about it */
	HPS_CONTENT_GUESSABLE, /* credentials, or a secret that may be short: nor is the digest written down */
};
struct hps_redactor {
	uint8_t key[32];	     /* of this ledger */
	bool keyless;		     /* there is none: every tag is "[redacted]" */
	const struct hps_strv *more; /* names of --allow-env; may be NULL */
	struct hps_known *known;     /* NULL: nothing was learnt yet */
	uint8_t pairs[8192];	     /* with which two bytes a token or a known secret begins */
};
void hps_redactor_release(struct hps_redactor *r); /* wipes */
/* Remembers the secrets of a command and its environment, to find them wherever else they turn up. Not while another thread redacts. */
void hps_redactor_learn(struct hps_redactor *r, char *const *argv, char *const *envp);
/* "hmac:<32 hex digits>" of the value under its class (the variable's or option's name); "[redacted]" when there is no key, or r is NULL. */
char *hps_redact_tag(const struct hps_redactor *r, const char *class, const char *value, size_t len);
/* Clear values of the allow-list go to `clear`, tags of all others to `tags`. */
void hps_redact_environment(const struct hps_redactor *r, char *const *envp, json_t *clear, json_t *tags);
json_t *hps_redact_arguments(const struct hps_redactor *r, char *const *argv); /* array of strings, escaped as paths are */
/* Secrets inside text: URLs, headers, JSON, YAML, INI, command lines, known shapes and values. Heap. */
char *hps_redact_text(const struct hps_redactor *r, const char *text);
enum hps_content_secret hps_redact_find(const struct hps_redactor *r, const char *text, enum hps_look look); /* of a file */
char *hps_redact_name(const struct hps_redactor *r, const char *name); /* that a user chose: one word, with spaces or not; heap */
/* A value under a name that a user chose (a parameter, a metric). Heap. */
char *hps_redact_named(const struct hps_redactor *r, const char *name, const char *value);
/* The door: every text inside `value`, in place, before it is written. Names of members and what can only be ours (digests,
 * nonces, ids) stay. */
void hps_redact_json(const struct hps_redactor *r, json_t *value);
/* A tag tells its class, too: what one program found by an option's name another may have found by a variable's. So two records of one command
 * are compared without their tags. */
json_t *hps_redact_untagged(const json_t *value); /* a copy in which each tag is "[redacted]" */
bool hps_redact_equal(const json_t *a, const json_t *b);

/* ---- redact_content.c: files whose content is not stored ---- */

/* By what is in it, as closely as its name and beginning call for. The descriptor's offset is not moved. */
enum hps_content_secret hps_redact_content(const struct hps_redactor *r, int fd);

#endif
