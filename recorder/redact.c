/* What may be written down. A text is looked at twice: as words, for a name or an option beside a value, and byte by byte, for
 * names inside it (JSON, headers, queries), shapes of tokens, and secrets that were seen before. */
#include "recorder/redact.h"

#include <string.h>
#include <strings.h>

#define WITHHELD "[redacted]"
#define WORDS_MAX 4096
#define NAME_MAX_LEN 128
#define TOKEN_MAX 65536

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

	if (!r)
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

struct word {
	const char *s;
	size_t len;
};
struct span {
	const char *s; /* NULL: none */
	size_t len;
	const char *class; /* not terminated */
	size_t class_len;
};
struct job {
	const struct hps_redactor *r;
	struct hps_known *learn; /* what is found is remembered there, when not NULL */
	bool content;		 /* of a file: a bare number beside a name is a count, as in a vocabulary */
	enum hps_content_secret worst;
	struct hps_buf out;
};

static bool is_digits(const char *s, size_t len)
{
	return strspn(s, "0123456789") >= len;
}

static void found(struct job *j, bool opaque)
{
	enum hps_content_secret one = opaque ? HPS_CONTENT_HOLDS : HPS_CONTENT_GUESSABLE;

	j->worst = one > j->worst ? one : j->worst;
}

static const char *const schemes[] = { "bearer ", "basic ", "token " };

/* Of "Bearer SECRET" what is behind the scheme. */
static size_t scheme_length(const char *at, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strlen(schemes[i]) < len && !strncasecmp(at, schemes[i], strlen(schemes[i])))
			return strlen(schemes[i]);
	return 0;
}

/* Of user:SECRET the secret alone, too, and of "Bearer SECRET". */
static void learn(struct hps_known *known, const char *class, const char *s, size_t len)
{
	const char *colon = memchr(s, ':', len);

	size_t scheme = scheme_length(s, len);

	hps_known_add(known, class, s + scheme, len - scheme);
	if (colon && !strcmp(class, "userinfo"))
		hps_known_add(known, class, colon + 1, (size_t)(s + len - colon - 1));
}

static void put_span(struct job *j, const struct span *span)
{
	_cleanup_free_ char *class = hps_strndup(span->class, span->class_len < NAME_MAX_LEN ? span->class_len : NAME_MAX_LEN), *tag = NULL;

	if (hps_rule_tag(span->s, span->len) || (j->content && is_digits(span->s, span->len))) {
		hps_buf_add(&j->out, span->s, span->len);
		return;
	}
	tag = hps_redact_tag(j->r, class, span->s, span->len);
	hps_buf_adds(&j->out, tag);
	found(j, hps_rule_opaque(span->s, span->len));
	if (j->learn)
		learn(j->learn, class, span->s, span->len);
}

static bool set_span(struct span *ret, const char *s, size_t len, const char *class, size_t class_len)
{
	*ret = (struct span){ s, len, class, class_len };
	return true;
}

static bool set_class(struct span *ret, const char *s, size_t len, const char *class)
{
	return set_span(ret, s, len, class, strlen(class));
}

/* ---- words ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/* As a shell would cut it: quotes keep a word together. */
static size_t split_words(const char *text, struct word *words, size_t max)
{
	size_t n = 0;

	while (n < max) {
		char quote = 0;

		while (is_space(*text))
			text++;
		if (!*text)
			break;
		words[n].s = text;
		for (; *text && (quote || !is_space(*text)); text++) {
			if (quote ? *text == quote : is_quote(*text))
				quote = quote ? 0 : *text;
			else if (*text == '\\' && text[1])
				text++;
		}
		words[n].len = (size_t)(text - words[n].s);
		n++;
	}
	return n;
}

static struct word unquoted(struct word w)
{
	while (w.len && is_quote(w.s[0]))
		w = (struct word){ w.s + 1, w.len - 1 };
	while (w.len && is_quote(w.s[w.len - 1]))
		w.len--;
	return w;
}

static bool word_is(const struct word *w, const char *text)
{
	return strlen(text) == w->len && !memcmp(w->s, text, w->len);
}

/* Is one of the words before i this program, by its last name? */
static bool has_program(const struct word *words, size_t i, const char *program)
{
	size_t n = strlen(program);

	for (size_t k = 0; k < i; k++)
		if (words[k].len >= n && !memcmp(words[k].s + words[k].len - n, program, n) && (words[k].len == n || words[k].s[words[k].len - n - 1] == '/'))
			return true;
	return false;
}

/* "user:SECRET", or user%SECRET. Of any program: neither ids (1000:1000) nor paths (host:/path), nor a module's member. */
static bool after_sign(const struct word *w, char sign, bool any, struct span *ret)
{
	const char *at = memchr(w->s, sign, w->len);
	size_t rest = at ? (size_t)(w->s + w->len - at - 1) : 0;

	if (!rest || at == w->s)
		return false;
	if (any && at - w->s > 3 && !memcmp(at - 3, ".py", 3))
		return false;
	if ((any && (is_digits(at + 1, rest) || at[1] == '/' || memchr(w->s, '/', (size_t)(at - w->s)) || hps_rule_tag(w->s, w->len))))
		return false;
	return set_class(ret, at + 1, rest, "user");
}

static bool option_span(const struct hps_rule_option *o, const struct word *words, size_t i, struct span *ret)
{
	struct word w = unquoted(words[i]);
	size_t n = strlen(o->option);

	if (o->program && !has_program(words, i, o->program))
		return false;
	if (o->place == HPS_ATTACHED) {
		if (w.len <= n || memcmp(w.s, o->option, n) != 0 || (!o->program && !hps_rule_opaque(w.s + n, w.len - n)))
			return false;
		return set_class(ret, w.s + n, w.len - n, o->option);
	}
	if (!i || !word_is(&words[i - 1], o->option) || !w.len)
		return false;
	if (o->place == HPS_NEXT)
		return (o->program ? w.s[0] != '-' : hps_rule_opaque(w.s, w.len)) && set_class(ret, w.s, w.len, o->option);
	return after_sign(&w, o->place == HPS_COLON ? ':' : '%', !o->program, ret);
}

/* --api-key=SECRET, +logger.api_key=SECRET, API_KEY=SECRET: to the end of the word. */
static bool assigned_span(const struct word *w, struct span *ret)
{
	struct word plain = unquoted(*w);
	size_t dashes = strspn(plain.s, "-+"), len = dashes;
	struct word value;
	enum hps_secrecy secrecy;

	while (len < plain.len && is_name_character(plain.s[len]))
		len++;
	if (len >= plain.len || plain.s[len] != '=' || len <= dashes)
		return false;
	secrecy = hps_rule_name(plain.s + dashes, len - dashes);
	value = unquoted((struct word){ plain.s + len + 1, plain.len - len - 1 });
	return hps_rule_value(secrecy, value.s, value.len) && set_span(ret, value.s, value.len, plain.s + dashes, len - dashes);
}

/* Letters and digits, and long enough for a password: in prose other words follow the word. */
static bool has_both(const struct word *w)
{
	size_t digits = 0, letters = 0;

	for (size_t i = 0; i < w->len; i++) {
		digits += w->s[i] >= '0' && w->s[i] <= '9';
		letters += (w->s[i] | 32) >= 'a' && (w->s[i] | 32) <= 'z';
	}
	return w->len >= 8 && digits && letters;
}

/* The value of an option that names a secret; or one that looks random, beside a word that announces or names one. */
static bool beside_span(const struct word *words, size_t i, struct span *ret)
{
	struct word w = unquoted(words[i]), before = i ? unquoted(words[i - 1]) : (struct word){ "", 0 };
	size_t dashes = before.len ? strspn(before.s, "-+") : 0;
	enum hps_secrecy secrecy;

	if (!before.len || !w.len || w.s[0] == '-' || dashes >= before.len || memchr(before.s, '=', before.len))
		return false;
	if (!dashes && hps_rule_announces(before.s, before.len))
		return hps_rule_opaque(w.s, w.len) && set_class(ret, w.s, w.len, "token");
	for (size_t k = dashes; k < before.len; k++)
		if (!is_name_character(before.s[k]) || (k + 1 == before.len && before.s[k] == '-'))
			return false;
	secrecy = hps_rule_name(before.s + dashes, before.len - dashes);
	if (!dashes && secrecy && !(secrecy == HPS_STRICT && has_both(&w)))
		secrecy = HPS_WEAK;
	return hps_rule_value(secrecy, w.s, w.len) && set_span(ret, w.s, w.len, before.s + dashes, before.len - dashes);
}

static bool word_span(const struct word *words, size_t i, struct span *ret)
{
	if (assigned_span(&words[i], ret) || beside_span(words, i, ret))
		return true;
	for (size_t k = 0; k < hps_n_rule_options; k++)
		if (option_span(&hps_rule_options[k], words, i, ret))
			return true;
	return false;
}

/* ---- inside a text ---- */

/* scheme://user:SECRET@host, up to the last @ before the path. A name alone (git@) is none, but a token may stand there. */
static bool userinfo_span(const char *text, const char *at, struct span *ret)
{
	size_t word = strcspn(at, " \t\r\n\"'<>`"), path, len = 0;
	bool colon;

	if (at - text < 3 || memcmp(at - 3, "://", 3) != 0)
		return false;
	path = strcspn(at, "/?# \t\r\n\"'<>`");
	for (size_t i = 0; i < path; i++)
		len = at[i] == '@' ? i : len;
	colon = memchr(at, ':', path) != NULL;
	if (!len && colon && path < word) { /* a password with a slash in it; digits would be a port */
		const char *port = (const char *)memchr(at, ':', path) + 1;

		for (size_t i = path; i < word && !is_digits(port, (size_t)(at + path - port)); i++)
			len = at[i] == '@' ? i : len;
	}
	if (!len || hps_rule_tag(at, len) || (!memchr(at, ':', len) && len < 16 && !hps_rule_opaque(at, len)))
		return false;
	return set_class(ret, at, len, "userinfo");
}

struct assignment {
	struct word name;
	char before;   /* the character before the name; 0: the text begins there */
	char quote;    /* around the value, or 0 */
	bool escaped;  /* the quote is \" */
	bool own_line; /* "name: value" or "name = value" where a line or a quotation begins: it goes to its end */
};

static const char *back_over_spaces(const char *text, const char *p)
{
	for (int i = 0; i < 8 && p > text && (p[-1] == ' ' || p[-1] == '\t'); i++)
		p--;
	return p;
}

/* = : := => %3D %3A */
static const char *back_over_sign(const char *text, const char *p)
{
	if (p - text >= 3 && (!strncasecmp(p - 3, "%3d", 3) || !strncasecmp(p - 3, "%3a", 3)))
		return p - 3;
	if (p - text >= 2 && p[-1] == '>' && p[-2] == '=')
		return p - 2;
	if (p == text || (p[-1] != '=' && p[-1] != ':'))
		return NULL;
	return p - text >= 2 && p[-1] == '=' && p[-2] == ':' ? p - 2 : p - 1;
}

static const char *back_over_quote(const char *text, const char *p, char *ret_quote, bool *ret_escaped)
{
	if (p == text || !is_quote(p[-1]))
		return p;
	*ret_quote = *--p;
	*ret_escaped = p > text && p[-1] == '\\';
	return *ret_escaped ? p - 1 : p;
}

static bool begins_line(const char *text, const char *p)
{
	while (p > text && strchr(" \t+-", p[-1]))
		p--;
	return p == text || p[-1] == '\n';
}

/* Is the byte at `at` the first of a value that a name is given? */
static bool find_assignment(const char *text, const char *at, struct assignment *ret)
{
	const char *p, *sign, *end;
	char closing = 0;
	bool unused, spaced;

	if (at == text || is_space(*at) || is_quote(*at) || (*at == '\\' && is_quote(at[1])) || !strchr("=: \t>\"'dDaA", at[-1]))
		return false;
	*ret = (struct assignment){ .before = 0 };
	p = back_over_quote(text, at, &ret->quote, &ret->escaped);
	sign = back_over_spaces(text, p);
	spaced = sign != p;
	sign = back_over_sign(text, sign);
	if (!sign)
		return false;
	end = back_over_quote(text, back_over_spaces(text, sign), &closing, &unused);
	for (p = end; p > text && is_name_character(p[-1]) && end - p < NAME_MAX_LEN;)
		p--;
	while (p < end && *p == '-')
		p++;
	ret->name = (struct word){ p, (size_t)(end - p) };
	ret->before = p > text ? p[-1] : 0;
	ret->own_line = spaced && !closing && (begins_line(text, p) || is_quote(ret->before));
	return p < end;
}

/* Does another name begin here, so that the value has ended? "&x=1", ", y: 2" */
static bool begins_name(const char *s)
{
	size_t n = 0;

	s += strspn(s, " \t\"'\\");
	while (is_name_character(s[n]))
		n++;
	s += n + strspn(s + n, "\"'\\ ");
	return n && (*s == '=' || *s == ':');
}

/* The first brackets at s, with what they hold. */
static size_t bracket_length(const char *s)
{
	size_t depth = 0, n = 0;
	char quote = 0;

	for (; s[n]; n++) {
		if (s[n] == '\\' && s[n + 1])
			n++;
		else if (quote ? s[n] == quote : is_quote(s[n]))
			quote = quote ? 0 : s[n];
		else if (!quote && (s[n] == '[' || s[n] == '{'))
			depth++;
		else if (!quote && (s[n] == ']' || s[n] == '}') && --depth == 0)
			return n + 1;
	}
	return n;
}

static size_t quoted_length(const char *s, char quote, bool escaped)
{
	size_t n = 0;

	for (; s[n] && s[n] != quote; n++)
		if (s[n] == '\\' && s[n + 1]) {
			if (escaped && s[n + 1] == quote)
				break;
			n++;
		}
	return n;
}

static bool is_code(const char *text)
{
	return strstr(text, "import ") || strstr(text, "print(") || strstr(text, "def ") || strstr(text, "lambda ");
}

/* Is the last byte a bracket that was not opened here? */
static bool closes_alone(const char *s, size_t n)
{
	size_t opened = 0, closed = 0;

	for (size_t i = 0; i < n; i++) {
		opened += strchr("([{", s[i]) != NULL;
		closed += strchr(")]}", s[i]) != NULL;
	}
	return strchr(")]}", s[n - 1]) && closed > opened;
}

/* Where names have lines of their own (headers, YAML, INI) a value is the rest of the line; else a word, without what closes it. */
static size_t bare_length(const struct assignment *a, const char *text, const char *at)
{
	bool query = a->before && strchr("?&;", a->before);
	size_t n = 0;

	if (a->own_line) {
		n = strcspn(at, is_quote(a->before) ? "\"'\r\n" : "\r\n");
		if (is_code(text))
			n = strcspn(at, ";") < n ? strcspn(at, ";") : n;
	} else {
		while (at[n] && !is_space(at[n]) && !is_quote(at[n]) && !(query && at[n] == '#') && !(strchr(",;&", at[n]) && begins_name(at + n + 1)))
			n++;
		while (n && strchr(",;&", at[n - 1]))
			n--;
		while (n > 1 && closes_alone(at, n))
			n--;
	}
	while (n && is_space(at[n - 1]))
		n--;
	return n;
}

/* In a program a name may get another name, or what a call gives. */
static bool is_expression(const char *text, const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_name_character(at[i]) && !strchr("()[], ", at[i]))
			return false;
	return !hps_rule_opaque(at, len) && is_code(text);
}

static bool assignment_span(const char *text, const char *at, struct span *ret)
{
	struct assignment a;
	enum hps_secrecy secrecy;
	size_t n, scheme;

	if (!find_assignment(text, at, &a))
		return false;
	secrecy = hps_rule_name(a.name.s, a.name.len);
	if (!secrecy)
		return false;
	if (secrecy == HPS_WEAK && a.before && strchr("?&", a.before))
		secrecy = HPS_STRONG;
	n = a.quote ? quoted_length(at, a.quote, a.escaped) : *at == '[' || *at == '{' ? bracket_length(at) : bare_length(&a, text, at);
	scheme = scheme_length(at, n);
	if (!hps_rule_value(secrecy, at + scheme, n - scheme) || (!a.quote && is_expression(text, at, n)))
		return false;
	return set_span(ret, at, n, a.name.s, a.name.len);
}

/* What comes after "Basic " or "Bearer ", wherever it stands. */
static bool scheme_span(const char *text, const char *at, struct span *ret)
{
	size_t n;

	if (at == text || at[-1] != ' ' || is_space(*at))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		const char *before = at - strlen(schemes[i]);

		if (before < text || strncasecmp(before, schemes[i], strlen(schemes[i])) != 0 || (before > text && is_name_character(before[-1])))
			continue;
		n = strcspn(at, " \t\r\n\"',;");
		return n >= 8 && !hps_rule_tag(at, n) && (hps_rule_opaque(at, n) || n >= 20) && set_class(ret, at, n, "Authorization");
	}
	return false;
}

static bool starts_word(const char *text, const char *at)
{
	return at == text || !is_name_character(at[-1]) || strchr("_-.", at[-1]);
}

static bool token_span(const char *text, const char *at, struct span *ret)
{
	size_t n = starts_word(text, at) ? hps_rule_token(at, strnlen(at, TOKEN_MAX), &ret->class) : 0;

	return n && set_class(ret, at, n, ret->class);
}

static bool known_span(const struct job *j, const char *at, size_t left, struct span *ret, const struct hps_known_secret **ret_known)
{
	const struct hps_known *known = j->learn ? j->learn : j->r ? j->r->known : NULL;
	size_t n = hps_known_none(known) ? 0 : hps_known_at(known, at, left, ret_known);

	ret->s = at;
	ret->len = n;
	return n;
}

static bool byte_span(const char *text, const char *at, struct span *ret)
{
	return userinfo_span(text, at, ret) || assignment_span(text, at, ret) || scheme_span(text, at, ret) || token_span(text, at, ret);
}

/* A form of a known secret leaves the tag of the secret itself. */
static void put_known(struct job *j, const struct hps_known_secret *known)
{
	_cleanup_free_ char *tag = hps_redact_tag(j->r, known->class, known->value, known->len);

	hps_buf_adds(&j->out, tag);
	found(j, known->opaque);
}

/* spans: of words, in order; they come first. */
static void put_text(struct job *j, const char *text, const struct span *spans, size_t n)
{
	const char *end = text + strlen(text);
	const struct hps_known_secret *known = NULL;

	for (const char *at = text; at < end;) {
		struct span one = { NULL, 0, NULL, 0 };

		while (n && spans->s < at) {
			spans++;
			n--;
		}
		if (n && spans->s == at) {
			one = *spans;
			put_span(j, &one);
		} else if (known_span(j, at, (size_t)(end - at), &one, &known)) {
			put_known(j, known);
		} else if (byte_span(text, at, &one)) {
			put_span(j, &one);
		} else {
			hps_buf_addc(&j->out, *at);
			one.len = 1;
		}
		at += one.len;
	}
}

/* ---- texts and arguments ---- */

static bool has_space(const char *text)
{
	return text[strcspn(text, " \t\r\n")] != '\0';
}

static void put_words(struct job *j, const char *text)
{
	size_t most = strlen(text) / 2 + 1, n, n_spans = 0;
	_cleanup_free_ struct word *words = hps_realloc(NULL, most, sizeof *words);
	_cleanup_free_ struct span *spans = hps_realloc(NULL, most, sizeof *spans);

	n = split_words(text, words, most);
	for (size_t i = 0; i < n; i++)
		n_spans += word_span(words, i, &spans[n_spans]);
	put_text(j, text, spans, n_spans);
}

/* A word of a command line: what is before it counts, and it is one value, spaces or not; but a shell's script is text. */
static void put_argument(struct job *j, const struct word *argv, size_t i)
{
	struct span one;
	bool script = i && word_is(&argv[i - 1], "-c"), text = has_space(argv[i].s);

	if (!(script && text) && word_span(argv, i, &one))
		put_text(j, argv[i].s, &one, 1);
	else if (text)
		put_words(j, argv[i].s);
	else
		put_text(j, argv[i].s, NULL, 0);
}

static void put_free(struct job *j, const char *text)
{
	struct word one = { text, strlen(text) };

	if (has_space(text))
		put_words(j, text);
	else
		put_argument(j, &one, 0);
}

char *hps_redact_text(const struct hps_redactor *r, const char *text)
{
	struct job j = { .r = r, .out = HPS_BUF_INIT };

	put_free(&j, text);
	return hps_buf_take(&j.out);
}

enum hps_content_secret hps_redact_find(const struct hps_redactor *r, const char *text)
{
	struct job j = { .r = r, .content = true, .out = HPS_BUF_INIT };

	put_free(&j, text);
	hps_buf_release(&j.out);
	return j.worst;
}

char *hps_redact_named(const struct hps_redactor *r, const char *name, const char *value)
{
	size_t len = strlen(value);

	if (hps_rule_value(hps_rule_name(name, strlen(name)), value, len))
		return hps_redact_tag(r, name, value, len);
	return hps_redact_text(r, value);
}

static size_t as_words(char *const *argv, struct word **ret)
{
	size_t n = 0;

	while (argv && argv[n])
		n++;
	*ret = hps_alloc((n + 1) * sizeof **ret);
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = (struct word){ argv[i], strlen(argv[i]) };
	return n;
}

json_t *hps_redact_arguments(const struct hps_redactor *r, char *const *argv)
{
	struct job j = { .r = r, .out = HPS_BUF_INIT };
	_cleanup_free_ struct word *words = NULL;
	size_t n = as_words(argv, &words);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		put_argument(&j, words, i);
		hps_json_add(list, hps_path_json(j.out.data ? j.out.data : ""));
		hps_buf_reset(&j.out);
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

/* Paths are names of things: a value that is one (SSH_AUTH_SOCK, …_CREDENTIALS) is not searched for, unless it looks random. */
static void learn_variable(struct job *j, const char *variable)
{
	size_t len = strcspn(variable, "=");
	_cleanup_free_ char *name = hps_strndup(variable, len);
	const char *value = variable[len] ? variable + len + 1 : "";
	size_t n = strlen(value);

	if (is_wanted(j->r, name))
		return;
	if (hps_rule_value(hps_rule_name(name, len), value, n) && (value[0] != '/' || hps_rule_opaque(value, n)))
		hps_known_add(j->learn, name, value, n);
	put_text(j, value, NULL, 0);
	hps_buf_reset(&j->out);
}

void hps_redactor_learn(struct hps_redactor *r, char *const *argv, char *const *envp)
{
	_cleanup_free_ struct word *words = NULL;
	size_t n = as_words(argv, &words);
	struct job j = { .r = r, .out = HPS_BUF_INIT };

	if (!r->known)
		r->known = hps_known_new();
	j.learn = r->known;
	for (size_t i = 0; envp && envp[i]; i++)
		learn_variable(&j, envp[i]);
	for (size_t i = 0; i < n; i++) {
		put_argument(&j, words, i);
		hps_buf_reset(&j.out);
	}
	hps_buf_release(&j.out);
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
	const char *text = json_string_value(string);
	_cleanup_free_ char *clean = hps_redact_text(r, text);

	if (strcmp(clean, text) != 0)
		json_string_set(string, clean);
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
