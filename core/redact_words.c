/* Secrets among the words of a command line: beside an option, a name or a program that announces them. */
#include "core/redact.h"

#include <string.h>

#define PROGRAM_WORDS 4096 /* how far before its option a program may stand */

/* As a shell would cut it: quotes keep a word together. */
size_t hps_words_split(const char *text, struct hps_word *words, size_t max)
{
	size_t n = 0;

	while (n < max) {
		char quote = 0;

		while (hps_is_space(*text))
			text++;
		if (!*text)
			break;
		words[n].s = text;
		for (; *text && (quote || !hps_is_space(*text)); text++) {
			if (quote ? *text == quote : hps_is_quote(*text))
				quote = quote ? 0 : *text;
			else if (*text == '\\' && text[1])
				text++;
		}
		words[n].len = (size_t)(text - words[n].s);
		n++;
	}
	return n;
}

static struct hps_word unquoted(struct hps_word w)
{
	while (w.len && hps_is_quote(w.s[0]))
		w = (struct hps_word){ w.s + 1, w.len - 1 };
	while (w.len && hps_is_quote(w.s[w.len - 1]))
		w.len--;
	return w;
}

bool hps_word_is(const struct hps_word *w, const char *text)
{
	return strlen(text) == w->len && !memcmp(w->s, text, w->len);
}

/* Is one of the words before i this program, by its last name? */
static bool has_program(const struct hps_word *words, size_t i, const char *program)
{
	size_t n = strlen(program);

	for (size_t k = i > PROGRAM_WORDS ? i - PROGRAM_WORDS : 0; k < i; k++)
		if (words[k].len >= n && !memcmp(words[k].s + words[k].len - n, program, n) && (words[k].len == n || words[k].s[words[k].len - n - 1] == '/'))
			return true;
	return false;
}

/* "user:SECRET", or user%SECRET. Of any program: neither ids (1000:1000) nor paths (/a:/b), nor a module's member. */
static bool after_sign(const struct hps_word *w, char sign, bool any, struct hps_span *ret)
{
	const char *at = memchr(w->s, sign, w->len);
	size_t rest = at ? (size_t)(w->s + w->len - at - 1) : 0;

	if (!rest || at == w->s)
		return false;
	if (any && at - w->s > 3 && !memcmp(at - 3, ".py", 3))
		return false;
	if ((any && (hps_is_digits(at + 1, rest) || memchr(w->s, '/', (size_t)(at - w->s)) || hps_rule_tag(w->s, w->len))))
		return false;
	return hps_span_class(ret, at + 1, rest, "user");
}

static bool option_span(const struct hps_rule_option *o, const struct hps_word *words, size_t i, struct hps_span *ret)
{
	struct hps_word w = unquoted(words[i]);
	size_t n = strlen(o->option);

	if (o->place == HPS_ATTACHED) {
		if (w.len <= n || memcmp(w.s, o->option, n) != 0 || (o->program ? !has_program(words, i, o->program) : !hps_rule_opaque(w.s + n, w.len - n)))
			return false;
		return hps_span_class(ret, w.s + n, w.len - n, o->option);
	}
	if (!i || !hps_word_is(&words[i - 1], o->option) || !w.len || (o->program && !has_program(words, i, o->program)))
		return false;
	if (o->place == HPS_NEXT)
		return (o->program ? w.s[0] != '-' : hps_rule_opaque(w.s, w.len)) && hps_span_class(ret, w.s, w.len, o->option);
	return after_sign(&w, o->place == HPS_COLON ? ':' : '%', !o->program, ret);
}

/* --api-key=SECRET, +logger.api_key=SECRET, API_KEY=SECRET: to the end of the word. */
static bool assigned_span(const struct hps_word *w, struct hps_span *ret)
{
	struct hps_word plain = unquoted(*w);
	size_t dashes = strspn(plain.s, "-+"), len = dashes;
	struct hps_word value;
	enum hps_secrecy secrecy;

	while (len < plain.len && hps_is_name(plain.s[len]))
		len++;
	if (len >= plain.len || plain.s[len] != '=' || len <= dashes)
		return false;
	secrecy = hps_rule_name(plain.s + dashes, len - dashes);
	value = unquoted((struct hps_word){ plain.s + len + 1, plain.len - len - 1 });
	return hps_rule_value(secrecy, value.s, value.len) && hps_span_set(ret, value.s, value.len, plain.s + dashes, len - dashes);
}

/* Letters and digits, and long enough for a password: in prose other words follow the word. */
static bool has_both(const struct hps_word *w)
{
	size_t digits = 0, letters = 0;

	for (size_t i = 0; i < w->len; i++) {
		digits += w->s[i] >= '0' && w->s[i] <= '9';
		letters += (w->s[i] | 32) >= 'a' && (w->s[i] | 32) <= 'z';
	}
	return w->len >= 8 && digits && letters;
}

/* The value of an option that names a secret; or one that looks random, beside a word that announces or names one. */
static bool beside_span(const struct hps_word *words, size_t i, struct hps_span *ret)
{
	struct hps_word w = unquoted(words[i]), before = i ? unquoted(words[i - 1]) : (struct hps_word){ "", 0 };
	size_t dashes = before.len ? strspn(before.s, "-+") : 0;
	enum hps_secrecy secrecy;

	if (!before.len || !w.len || w.s[0] == '-' || dashes >= before.len || memchr(before.s, '=', before.len))
		return false;
	if (!dashes && hps_rule_announces(before.s, before.len))
		return hps_rule_opaque(w.s, w.len) && hps_span_class(ret, w.s, w.len, "token");
	for (size_t k = dashes; k < before.len; k++)
		if (!hps_is_name(before.s[k]) || (k + 1 == before.len && before.s[k] == '-'))
			return false;
	secrecy = hps_rule_name(before.s + dashes, before.len - dashes);
	if (!dashes && secrecy && !(secrecy == HPS_STRICT && has_both(&w)))
		secrecy = HPS_WEAK;
	return hps_rule_value(secrecy, w.s, w.len) && hps_span_set(ret, w.s, w.len, before.s + dashes, before.len - dashes);
}

bool hps_word_span(const struct hps_word *words, size_t i, struct hps_span *ret)
{
	if (assigned_span(&words[i], ret) || beside_span(words, i, ret))
		return true;
	for (size_t k = 0; k < hps_n_rule_options; k++)
		if (option_span(&hps_rule_options[k], words, i, ret))
			return true;
	return false;
}
