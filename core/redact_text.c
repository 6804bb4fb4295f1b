/* Secrets inside a text, found from the byte at which they begin: by the name before them (JSON, YAML, INI, headers, queries,
 * keyword arguments), the scheme before them, the place in a URL, or their own shape. */
#include "core/redact.h"

#include <string.h>
#include <strings.h>

#define TOKEN_MAX 65536

#define URL_MAX 4096 /* bytes of one that are looked at */

/* strcspn() that ends somewhere. */
static size_t until(const char *s, const char *reject)
{
	size_t n = 0;

	while (n < URL_MAX && s[n] && !strchr(reject, s[n]))
		n++;
	return n;
}

/* scheme://user:SECRET@host, up to the last @ before the path. A name alone (git@) is none, but a token may stand there. */
bool hps_text_userinfo(const char *text, const char *at, struct hps_span *ret)
{
	size_t word, path, len = 0;
	bool colon;

	if (at - text < 3 || memcmp(at - 3, "://", 3) != 0)
		return false;
	word = until(at, " \t\r\n\"'<>`");
	path = until(at, "/?# \t\r\n\"'<>`");
	for (size_t i = 0; i < path; i++)
		len = at[i] == '@' ? i : len;
	colon = memchr(at, ':', path) != NULL;
	if (!len && colon && path < word) { /* a password with a slash in it; digits would be a port */
		const char *port = (const char *)memchr(at, ':', path) + 1;

		for (size_t i = path; i < word && !hps_is_digits(port, (size_t)(at + path - port)); i++)
			len = at[i] == '@' ? i : len;
	}
	if (!len || hps_rule_tag(at, len) || (!memchr(at, ':', len) && len < 16 && !hps_rule_opaque(at, len)))
		return false;
	return hps_span_class(ret, at, len, "userinfo");
}

struct assignment {
	struct hps_word name;
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
	if (p == text || !hps_is_quote(p[-1]))
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

/* To the quote that ends it. escaped: the quotation is inside of another, its quotes are \" and those in it \\\". */
static size_t quoted_length(const char *s, char quote, bool escaped)
{
	size_t n = 0;

	while (s[n] && s[n] != quote) {
		size_t slashes = strspn(s + n, "\\");
		bool ends = slashes && s[n + slashes] == quote && (escaped ? slashes % 4 == 1 : slashes % 2 == 0);

		if (ends)
			return n + slashes - escaped;
		n += slashes + (slashes == 0 || s[n + slashes] == quote);
	}
	return n;
}

/* Does a quotation begin here that ends where a value may end? Else the quote is a part of the value. */
static bool is_quoted(const char *at)
{
	bool escaped = *at == '\\' && hps_is_quote(at[1]);
	const char *value = at + 1 + escaped, *end;

	if (!escaped && !hps_is_quote(*at))
		return false;
	end = value + quoted_length(value, value[-1], escaped);
	if (escaped && *end == '\\')
		end++;
	return !*end || !end[1] || strchr(" \t\r\n,;:&#)]}\"'\\+", end[1]);
}

/* Is the byte at `at` the first of a value that a name is given? */
static bool find_assignment(const char *text, const char *at, struct assignment *ret)
{
	const char *p, *sign, *end;
	char closing = 0;
	bool unused, spaced;

	if (at == text || hps_is_space(*at) || !strchr("=: \t>\"'dDaA", at[-1]))
		return false;
	if (!hps_is_quote(at[-1]) && is_quoted(at))
		return false; /* the value begins behind its quote */
	if (at - text >= 5 && hps_rule_tag(at - 5, strnlen(at - 5, 37)))
		return false; /* the inside of a tag */
	*ret = (struct assignment){ .before = 0 };
	p = back_over_quote(text, at, &ret->quote, &ret->escaped);
	sign = back_over_spaces(text, p);
	spaced = sign != p;
	sign = back_over_sign(text, sign);
	if (!sign)
		return false;
	end = back_over_quote(text, back_over_spaces(text, sign), &closing, &unused);
	for (p = end; p > text && hps_is_name(p[-1]) && end - p < HPS_NAME_MAX;)
		p--;
	while (p < end && *p == '-')
		p++;
	ret->name = (struct hps_word){ p, (size_t)(end - p) };
	ret->before = p > text ? p[-1] : 0;
	ret->own_line = spaced && !closing && (begins_line(text, p) || hps_is_quote(ret->before));
	return p < end;
}

/* Does another name begin here, so that the value has ended? "&x=1", ", y: 2" */
static bool begins_name(const char *s)
{
	size_t n = 0;

	s += strspn(s, " \t\"'\\");
	while (hps_is_name(s[n]))
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
		else if (quote ? s[n] == quote : hps_is_quote(s[n]))
			quote = quote ? 0 : s[n];
		else if (!quote && (s[n] == '[' || s[n] == '{'))
			depth++;
		else if (!quote && (s[n] == ']' || s[n] == '}') && --depth == 0)
			return n + 1;
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
		n = strcspn(at, hps_is_quote(a->before) ? "\"'\r\n" : "\r\n");
		if (is_code(text))
			n = strcspn(at, ";") < n ? strcspn(at, ";") : n;
	} else {
		while (at[n] && !hps_is_space(at[n]) && !hps_is_quote(at[n]) && !(query && at[n] == '#') && !(strchr(",;&", at[n]) && begins_name(at + n + 1)))
			n++;
		while (n && strchr(",;&", at[n - 1]))
			n--;
		while (n > 1 && closes_alone(at, n))
			n--;
	}
	while (n && hps_is_space(at[n - 1]))
		n--;
	return n;
}

static const char *const schemes[] = { "bearer ", "basic ", "token " };

/* Of "Bearer SECRET" what is behind the scheme. */
size_t hps_scheme_length(const char *at, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strlen(schemes[i]) < len && !strncasecmp(at, schemes[i], strlen(schemes[i])))
			return strlen(schemes[i]);
	return 0;
}

/* In a program a name may get another name, or what a call gives. */
static bool is_expression(const char *text, const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!hps_is_name(at[i]) && !strchr("()[], ", at[i]))
			return false;
	return !hps_rule_opaque(at, len) && is_code(text);
}

static bool assignment_span(const char *text, const char *at, struct hps_span *ret)
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
	scheme = hps_scheme_length(at, n);
	if (!hps_rule_value(secrecy, at + scheme, n - scheme) || (!a.quote && is_expression(text, at, n)))
		return false;
	return hps_span_set(ret, at, n, a.name.s, a.name.len);
}

bool hps_text_header(const char *text, const char *at, struct hps_span *ret)
{
	const char *end = back_over_spaces(text, at), *name;
	size_t n, scheme;

	if (end == text || *--end != ':')
		return false;
	for (name = end; name > text && hps_is_name(name[-1]) && end - name < HPS_NAME_MAX;)
		name--;
	n = strcspn(at, begins_line(text, name) ? "\r\n" : "\"'\r\n");
	scheme = hps_scheme_length(at, n);
	if (!hps_rule_header(name, (size_t)(end - name)) || n - scheme < (scheme ? 1u : 8u) || !hps_rule_value(HPS_STRICT, at + scheme, n - scheme))
		return false;
	/* "Authorization: required", and the other word of its kind: prose. */
	if (!scheme && memchr(at, ' ', n) && !memchr(at, '=', n))
		return false;
	return hps_span_set(ret, at, n, name, (size_t)(end - name));
}

/* ---- markup: <password>SECRET</password>, <add key="password" value="SECRET"/>, <key>password</key><string>SECRET</string> ---- */

#define TAG_MAX 1024

/* The value of the attribute in the tag that begins at s; its length, or 0. */
static const char *attribute(const char *s, const char *end, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	for (const char *at = s; (at = memmem(at, (size_t)(end - at), name, n)); at += n) {
		const char *value = at + n + 2;

		if (value >= end || !hps_is_space(at[-1]) || at[n] != '=' || !hps_is_quote(at[n + 1]))
			continue;
		*ret_len = strcspn(value, (char[2]){ at[n + 1], '\0' });
		return value;
	}
	return NULL;
}

static const char *tag_begin(const char *text, const char *at)
{
	for (size_t i = 0; i < TAG_MAX && at > text; i++)
		if (*--at == '<')
			return at;
	return NULL;
}

/* Of the tag at s what names a secret, or NULL: its own name, or its key, name or id. Elements that hold words of a text are called token. */
static const char *tag_secret(const char *s, const char *end, size_t *ret_len)
{
	static const char *const attributes[] = { "key", "name", "id" };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		const char *value = attribute(s, end, attributes[i], ret_len);

		if (value && *ret_len < HPS_NAME_MAX && hps_rule_name(value, *ret_len) > HPS_WEAK)
			return value;
	}
	for (s++; s + n < end && hps_is_name(s[n]);)
		n++;
	*ret_len = n;
	return n && hps_rule_name(s, n) >= HPS_STRICT ? s : NULL;
}

/* <key>NAME</key> before the tag at s, as property lists have it. */
static const char *key_before(const char *text, const char *s, size_t *ret_len)
{
	static const char close[] = "</key>";
	const char *end = s, *name;

	while (end > text && hps_is_space(end[-1]))
		end--;
	if ((size_t)(end - text) < sizeof close || memcmp(end - 6, close, 6) != 0)
		return NULL;
	end -= 6;
	for (name = end; name > text && hps_is_name(name[-1]) && end - name < HPS_NAME_MAX;)
		name--;
	*ret_len = (size_t)(end - name);
	return name > text && name[-1] == '>' && hps_rule_name(name, *ret_len) > HPS_WEAK ? name : NULL;
}

static bool markup_span(const char *text, const char *at, struct hps_span *ret)
{
	bool element = at[-1] == '>', value = hps_is_quote(at[-1]) && at - text > 7 && !memcmp(at - 7, "value=", 6);
	const char *begin = element || value ? tag_begin(text, at - 1) : NULL, *end, *name;
	size_t len, n;

	if (!begin || strchr("/!?", begin[1]) || at[-2] == '/')
		return false;
	end = element ? at : at + strcspn(at, "<>");
	name = tag_secret(begin, end, &len);
	if (!name && element)
		name = key_before(text, begin, &len);
	n = element ? strcspn(at, "<") : strcspn(at, (char[2]){ at[-1], '\0' });
	if (element && (at[n] != '<' || at[n + 1] != '/'))
		return false; /* "--password <password> …": how to use a program */
	while (n && hps_is_space(at[n - 1]))
		n--;
	return name && n && hps_rule_value(HPS_STRICT, at, n) && hps_span_set(ret, at, n, name, len);
}

/* What comes after "Basic " or "Bearer ", wherever it stands. */
static bool scheme_span(const char *text, const char *at, struct hps_span *ret)
{
	size_t n;

	if (at == text || at[-1] != ' ' || hps_is_space(*at))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		const char *before = at - strlen(schemes[i]);

		if (before < text || strncasecmp(before, schemes[i], strlen(schemes[i])) != 0 || (before > text && hps_is_name(before[-1])))
			continue;
		n = strcspn(at, " \t\r\n\"',;");
		return n >= 8 && !hps_rule_tag(at, n) && (hps_rule_opaque(at, n) || n >= 20) && hps_span_class(ret, at, n, "Authorization");
	}
	return false;
}

/* token-SECRET.json, run_apikey_SECRET: the word before the last sign, and what looks random behind it. */
bool hps_text_named(const char *text, const char *at, struct hps_span *ret)
{
	const char *name = at, *word;
	size_t n = strcspn(at, "-_./=:,;&?#\"' \t\r\n"), len;

	if (at == text || !strchr("-_.", at[-1]) || !hps_rule_opaque(at, n))
		return false;
	while (name > text && hps_is_name(name[-1]) && at - name < HPS_NAME_MAX)
		name--;
	len = (size_t)(at - 1 - name);
	for (word = name + len; word > name && !strchr("-_.", word[-1]);)
		word--;
	return hps_rule_name(name, len) > HPS_WEAK && hps_rule_name(word, (size_t)(name + len - word)) > HPS_WEAK && hps_span_set(ret, at, n, name, len);
}

static bool starts_word(const char *text, const char *at)
{
	return at == text || !hps_is_name(at[-1]) || strchr("_-.", at[-1]);
}

static bool token_span(const char *text, const char *at, struct hps_span *ret)
{
	size_t n = starts_word(text, at) ? hps_rule_token(at, strnlen(at, TOKEN_MAX), &ret->class) : 0;

	return n && hps_span_class(ret, at, n, ret->class);
}

bool hps_text_span(const char *text, const char *at, bool token, struct hps_span *ret)
{
	switch (at > text ? at[-1] : '\0') {
	case '/':
		if (hps_text_userinfo(text, at, ret))
			return true;
		break;
	case ' ':
		if (scheme_span(text, at, ret))
			return true;
		/* fall through */
	case '=':
	case ':':
	case '\t':
	case 'd':
	case 'D':
	case 'a':
	case 'A':
		if (assignment_span(text, at, ret))
			return true;
		break;
	case '>':
	case '"':
	case '\'':
		if (markup_span(text, at, ret) || assignment_span(text, at, ret))
			return true;
		break;
	default:
		break;
	}
	return token && token_span(text, at, ret);
}
