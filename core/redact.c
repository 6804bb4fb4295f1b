/* What may be written down. A text is looked at twice: as words, for a name or an option beside a value, and byte by byte, for
 * names inside it (JSON, headers, queries), shapes of tokens, and secrets that were seen before. */
#include "core/redact.h"

#include <string.h>
#include <unistd.h>

#define WITHHELD "[redacted]"

/* ---- tags ---- */

void hps_redactor_release(struct hps_redactor *r)
{
	explicit_bzero(r->key, sizeof r->key);
	hps_known_free(hps_take(r->known));
}

char *hps_redact_tag(const struct hps_redactor *r, const char *class, const char *value, size_t len)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_digest d;
	char hex[33];

	if (!r || r->keyless)
		return hps_strdup(WITHHELD);
	hps_buf_adds(&text, "hps-redact-v1");
	hps_buf_addc(&text, '\0');
	hps_buf_adds(&text, class);
	hps_buf_addc(&text, '\0');
	hps_buf_add(&text, value, len);
	hps_hmac(r->key, sizeof r->key, text.data, text.len, &d);
	explicit_bzero(text.data, text.len);
	hps_hex(hex, d.b, 16); /* 128 bits are kept */
	return hps_format("hmac:%s", hex);
}

/* ---- spans: what is withheld of a text ---- */

struct job {
	const struct hps_redactor *r;
	struct hps_known *learn; /* what is found is remembered there, when not NULL */
	bool content;		 /* of a file: a bare number beside a name is a count, as in a vocabulary */
	enum hps_look look;	 /* of a file */
	bool name;		 /* the text is one word */
	enum hps_content_secret worst;
	const struct hps_known *known;
	const uint8_t *pairs; /* NULL: look at every byte */
	bool any;	      /* something was withheld: `out` has the text; else it stays as it was */
	struct hps_buf out;
};

static struct job job_of(const struct hps_redactor *r)
{
	return (struct job){ .r = r, .known = r ? r->known : NULL, .pairs = r && r->known ? r->pairs : NULL, .out = HPS_BUF_INIT };
}

static void found(struct job *j, bool opaque)
{
	enum hps_content_secret one = opaque ? HPS_CONTENT_HOLDS : HPS_CONTENT_GUESSABLE;

	j->worst = one > j->worst ? one : j->worst;
}

/* Of user:SECRET the secret alone, too, and of "Bearer SECRET". */
static void learn(struct hps_known *known, const char *class, const char *s, size_t len)
{
	const char *colon = memchr(s, ':', len);
	size_t scheme = hps_scheme_length(s, len);

	hps_known_add(known, class, s + scheme, len - scheme);
	if (colon && !strcmp(class, "userinfo"))
		hps_known_add(known, class, colon + 1, (size_t)(s + len - colon - 1));
}

static void put_tag(struct job *j, const char *class, const char *value, size_t len, bool opaque)
{
	_cleanup_free_ char *tag = hps_redact_tag(j->r, class, value, len);

	hps_buf_adds(&j->out, tag);
	found(j, opaque);
}

static void put_span(struct job *j, const struct hps_span *span)
{
	_cleanup_free_ char *class = hps_strndup(span->class, span->class_len < HPS_NAME_MAX ? span->class_len : HPS_NAME_MAX);

	put_tag(j, class, span->s, span->len, hps_rule_opaque(span->s, span->len));
	if (j->learn)
		learn(j->learn, class, span->s, span->len);
}

/* May a token or a known secret begin at these two bytes? */
static bool may_begin(const struct job *j, const char *at)
{
	unsigned pair = (unsigned)(uint8_t)at[0] << 8 | (uint8_t)at[1];

	return !j->pairs || j->pairs[pair >> 3] >> (pair & 7) & 1;
}

/* In a script: between single quotes, where the shell replaces nothing. */
static bool is_quoted(const char *text, const char *at)
{
	bool quoted = false;

	for (const char *c = at; c > text && c[-1] != '\n'; c--)
		quoted ^= c[-1] == '\'';
	return quoted;
}

static bool is_made_there(const char *text, const struct hps_span *span)
{
	size_t scheme = hps_scheme_length(span->s, span->len);

	return !is_quoted(text, span->s) && hps_rule_expansion(span->s + scheme, span->len - scheme);
}

static bool stays(const struct job *j, const char *text, const struct hps_span *span)
{
	if (hps_rule_tag(span->s, span->len))
		return true;
	if (!j->content)
		return false;
	return hps_is_digits(span->s, span->len) || hps_rule_filled_in(span->s, span->len) || (j->look == HPS_LOOK_SHELL && is_made_there(text, span));
}

/* What begins at `at`, if anything, and its length; `plain` is where the text begins that is not written yet. A form of a known secret
 * leaves the tag of the secret itself. */
static size_t put_secret(struct job *j, const char *text, const char *at, size_t left, const struct hps_span *word, const char **plain)
{
	const struct hps_known_secret *known = NULL;
	bool may = may_begin(j, at);
	size_t n = may && !hps_known_none(j->known) ? hps_known_at(j->known, at, left, &known) : 0;
	struct hps_span one;

	if (word)
		one = *word;
	else if (!hps_text_span(text, at, may, &one) && !(j->name && hps_text_named(text, at, &one)))
		one.len = 0;
	if (one.len && stays(j, text, &one))
		one.len = 0;
	if (one.len > n) {
		n = one.len;
		known = NULL;
	}
	if (!n)
		return 0;
	hps_buf_add(&j->out, *plain, (size_t)(at - *plain));
	if (known)
		put_tag(j, known->class, known->value, known->len, known->opaque);
	else
		put_span(j, &one);
	*plain = at + n;
	j->any = true;
	return n;
}

static bool has_space(const char *text)
{
	while (*text && !hps_is_space(*text))
		text++;
	return *text != '\0';
}

static bool has_sign(const char *text)
{
	while (*text && *text != '=' && *text != ':')
		text++;
	return *text != '\0';
}

/* Most bytes of most texts: neither they nor the one before say that something begins. */
static bool is_plain(const struct job *j, const char *text, const char *at)
{
	return !may_begin(j, at) && !hps_text_announces(text, at) && !(j->name && at > text && (at[-1] == '-' || at[-1] == '_' || at[-1] == '.'));
}

/* spans: of words, in order; they come first. */
static void put_text(struct job *j, const char *text, const struct hps_span *spans, size_t n)
{
	const char *end = text + strlen(text), *plain = text;
	size_t len;

	hps_buf_reset(&j->out);
	j->any = false;
	j->name = !j->content && !has_space(text);
	for (const char *at = text; at < end; at += len ? len : 1) {
		for (; n && spans->s < at; n--)
			spans++;
		if ((!n || spans->s != at) && is_plain(j, text, at))
			len = 0;
		else
			len = put_secret(j, text, at, (size_t)(end - at), n && spans->s == at ? spans : NULL, &plain);
	}
	if (j->any)
		hps_buf_add(&j->out, plain, (size_t)(end - plain));
}

/* ---- texts and arguments ---- */

static void put_words(struct job *j, const char *text)
{
	size_t most = strlen(text) / 2 + 1, n, n_spans = 0;
	_cleanup_free_ struct hps_word *words = hps_realloc(NULL, most, sizeof *words);
	_cleanup_free_ struct hps_span *spans = hps_realloc(NULL, most, sizeof *spans);

	n = hps_words_split(text, words, most);
	for (size_t i = 0; i < n; i++)
		n_spans += hps_word_span(words, i, &spans[n_spans]);
	put_text(j, text, spans, n_spans);
}

/* A word of a command line: what is before it counts, and it is one value, spaces or not; but a shell's script is text. */
static void put_argument(struct job *j, const struct hps_word *argv, size_t i)
{
	struct hps_span one;
	bool script = i && hps_word_is(&argv[i - 1], "-c"), text = has_space(argv[i].s);

	if (!(script && text) && hps_word_span(argv, i, &one))
		put_text(j, argv[i].s, &one, 1);
	else if (text)
		put_words(j, argv[i].s);
	else
		put_text(j, argv[i].s, NULL, 0);
}

static void put_free(struct job *j, const char *text)
{
	struct hps_word one = { text, strlen(text) };

	if (has_space(text))
		put_words(j, text);
	else if (*text == '-' || has_sign(text))
		put_argument(j, &one, 0);
	else
		put_text(j, text, NULL, 0);
}

char *hps_redact_text(const struct hps_redactor *r, const char *text)
{
	struct job j = job_of(r);

	put_free(&j, text);
	return j.any ? hps_buf_take(&j.out) : hps_strdup(text);
}

/* A line of a script, with those that go on it ("\\" at the end). */
static size_t script_line(const char *text)
{
	size_t n = 0;

	do
		n += strcspn(text + n, "\n") + 1;
	while (text[n - 1] && n > 1 && text[n - 2] == '\\');
	return n - !text[n - 1];
}

enum hps_content_secret hps_redact_find(const struct hps_redactor *r, const char *text, enum hps_look look)
{
	struct job j = job_of(r);

	j.content = true;
	j.look = look;
	if (look != HPS_LOOK_SHELL)
		put_free(&j, text);
	/* Word by word of one command: what another one is called says nothing of it. */
	for (size_t n; look == HPS_LOOK_SHELL && *text && (n = script_line(text)); text += n) {
		_cleanup_free_ char *line = hps_strndup(text, n);

		put_free(&j, line);
	}
	hps_buf_release(&j.out);
	return j.worst;
}

char *hps_redact_name(const struct hps_redactor *r, const char *name)
{
	struct hps_word one = { name, strlen(name) };
	struct job j = job_of(r);

	put_argument(&j, &one, 0);
	return j.any ? hps_buf_take(&j.out) : hps_strdup(name);
}

char *hps_redact_named(const struct hps_redactor *r, const char *name, const char *value)
{
	size_t len = strlen(value);

	if (hps_rule_value(hps_rule_name(name, strlen(name)), value, len))
		return hps_redact_tag(r, name, value, len);
	return hps_redact_text(r, value);
}

static size_t as_words(char *const *argv, struct hps_word **ret)
{
	size_t n = 0;

	while (argv && argv[n])
		n++;
	*ret = hps_alloc((n + 1) * sizeof **ret);
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = (struct hps_word){ argv[i], strlen(argv[i]) };
	return n;
}

json_t *hps_redact_arguments(const struct hps_redactor *r, char *const *argv)
{
	struct job j = job_of(r);
	_cleanup_free_ struct hps_word *words = NULL;
	size_t n = as_words(argv, &words);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		put_argument(&j, words, i);
		hps_json_add(list, hps_path_json(j.any ? j.out.data : argv[i]));
	}
	hps_buf_release(&j.out);
	return list;
}

/* ---- environment ---- */

/* By --allow-env. */
static bool is_wanted(const struct hps_redactor *r, const char *name)
{
	for (size_t i = 0; r && r->more && i < r->more->n; i++)
		if (!strcmp(name, r->more->v[i]))
			return true;
	return false;
}

void hps_redact_environment(const struct hps_redactor *r, char *const *envp, json_t *clear, json_t *tags)
{
	for (size_t i = 0; envp && envp[i]; i++) {
		size_t len = strcspn(envp[i], "=");
		_cleanup_free_ char *name = hps_strndup(envp[i], len), *safe = hps_redact_text(r, name), *tag = NULL, *clean = NULL;
		const char *value = envp[i][len] ? envp[i] + len + 1 : "";
		_cleanup_json_ json_t *key = hps_path_json(safe);

		clean = hps_redact_text(r, value);
		if ((is_wanted(r, name) || hps_rule_environment(name)) && !strcmp(clean, value)) {
			hps_json_set(clear, json_string_value(key), hps_path_json(value));
			continue;
		}
		tag = hps_redact_tag(r, name, value, strlen(value));
		hps_json_set_text(tags, json_string_value(key), tag);
	}
}

/* ---- what is remembered ---- */

/* The path of something that is there (…_CREDENTIALS) is its name, and no secret to search for. */
static void learn_variable(struct job *j, const char *variable)
{
	size_t len = strcspn(variable, "=");
	_cleanup_free_ char *name = hps_strndup(variable, len);
	const char *value = variable[len] ? variable + len + 1 : "";
	size_t n = strlen(value);

	if (is_wanted(j->r, name))
		return;
	if (hps_rule_value(hps_rule_name(name, len), value, n) && (value[0] != '/' || access(value, F_OK)))
		hps_known_add(j->learn, name, value, n);
	put_text(j, value, NULL, 0);
}

void hps_redactor_learn(struct hps_redactor *r, char *const *argv, char *const *envp)
{
	_cleanup_free_ struct hps_word *words = NULL;
	size_t n = as_words(argv, &words);
	struct job j = { .r = r, .out = HPS_BUF_INIT };

	if (!r->known) {
		r->known = hps_known_new();
		hps_rule_token_pairs(r->pairs);
	}
	j.learn = r->known;
	j.known = r->known;
	for (size_t i = 0; envp && envp[i]; i++)
		learn_variable(&j, envp[i]);
	for (size_t i = 0; i < n; i++)
		put_argument(&j, words, i);
	hps_buf_release(&j.out);
	hps_known_pairs(r->known, r->pairs);
}

/* ---- the door ---- */

/* Members that hold what we made ourselves: a match in them would be chance. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = { "sha256", "dirHash", "nonce", "begin", "invocationId", "time", "buildId", "bootId" };

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (!strcmp(name, ours[i]))
			return true;
	return false;
}

static void redact_string(const struct hps_redactor *r, json_t *string)
{
	struct job j = job_of(r);

	put_free(&j, json_string_value(string));
	if (j.any)
		json_string_set(string, j.out.data);
	hps_buf_release(&j.out);
}

void hps_redact_json(const struct hps_redactor *r, json_t *value)
{
	const char *name;
	json_t *item;
	size_t i;

	if (json_is_string(value))
		redact_string(r, value);
	json_array_foreach(value, i, item)
		hps_redact_json(r, item);
	json_object_foreach(value, name, item)
		if (!is_ours(name))
			hps_redact_json(r, item);
}

/* ---- what is withheld, compared ---- */

static json_t *without_tags(const char *text)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;

	while (*text) {
		if (!strncmp(text, "hmac:", 5) && strspn(text + 5, "0123456789abcdef") >= 32) {
			hps_buf_adds(&out, WITHHELD);
			text += 37;
		} else {
			hps_buf_addc(&out, *text++);
		}
	}
	return json_string(out.data ? out.data : "");
}

json_t *hps_redact_untagged(const json_t *value)
{
	json_t *copy, *item;
	const char *name;
	size_t i;

	if (json_is_string(value))
		return without_tags(json_string_value(value));
	if (!json_is_array(value) && !json_is_object(value))
		return json_deep_copy(value);
	copy = json_is_array(value) ? json_array() : json_object();
	json_array_foreach(value, i, item)
		hps_json_add(copy, hps_redact_untagged(item));
	json_object_foreach((json_t *)(uintptr_t)value, name, item)
		hps_json_set(copy, name, hps_redact_untagged(item));
	return copy;
}

bool hps_redact_equal(const json_t *a, const json_t *b)
{
	_cleanup_json_ json_t *x = a ? hps_redact_untagged(a) : NULL, *y = b ? hps_redact_untagged(b) : NULL;

	return x == y || (x && y && json_equal(x, y));
}
