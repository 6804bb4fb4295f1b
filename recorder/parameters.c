/* Hyperparameters that a command was given: by --param, or in its words by convention (--lr 0.1, --lr=0.1, lr=0.1). What a word
 * means only the program knows; the origin says how each was learnt. */
#include "recorder/identity.h"

#include <string.h>

#define PARAMETERS_MAX 10000
#define VALUE_MAX 4096

void hps_parameter_add(json_t *rows, const char *name, const char *value, const char *origin, const char *source)
{
	_cleanup_free_ char *key = hps_format("%s\n%s\n%s", origin, source ? source : "", name);
	_cleanup_json_ json_t *safe = hps_path_json(key);
	json_t *row = json_object();

	if (json_object_size(rows) >= PARAMETERS_MAX || strlen(value) > VALUE_MAX) {
		json_decref(row);
		return;
	}
	hps_json_set(row, "name", hps_path_json(name));
	hps_json_set(row, "value", hps_path_json(value));
	hps_json_set_text(row, "origin", origin);
	if (source)
		hps_json_set(row, "source", hps_path_json(source));
	hps_json_set(rows, json_string_value(safe), row);
}

void hps_parameters_option(json_t *rows, const json_t *params)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)params, name, value)
		hps_parameter_add(rows, name, json_string_value(value), "option", NULL);
}

int hps_parameters_parse(const struct hps_strv *params, json_t **ret, struct hps_error *err)
{
	_cleanup_json_ json_t *object = json_object();

	for (size_t i = 0; i < params->n; i++) {
		const char *equals = strchr(params->v[i], '=');
		_cleanup_free_ char *name = equals ? hps_strndup(params->v[i], (size_t)(equals - params->v[i])) : NULL;
		_cleanup_json_ json_t *key = NULL;

		if (!equals || equals == params->v[i])
			return hps_error_set(err, HPS_E_USAGE, "--param '%s': give it as NAME=VALUE", params->v[i]);
		key = hps_path_json(name);
		if (json_object_get(object, json_string_value(key)))
			return hps_error_set(err, HPS_E_USAGE, "--param '%s': '%s' was given before; a trial has one value of each", params->v[i], name);
		hps_json_set(object, json_string_value(key), hps_path_json(equals + 1));
	}
	*ret = hps_take(object);
	return 0;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Length of the name that begins at s: model.layers, optimizer/adam@group, num-heads. */
static size_t name_length(const char *s)
{
	size_t n = 0;

	if (is_letter(s[0]))
		while (is_letter(s[n]) || (s[n] && strchr("0123456789.-/@", s[n])))
			n++;
	return n;
}

static bool is_number(const char *text)
{
	double unused;

	return text && hps_parse_double(text, &unused) == 0;
}

static void add(json_t *rows, const char *name, size_t len, const char *value, const char *origin)
{
	_cleanup_free_ char *copy = hps_strndup(name, len);

	hps_parameter_add(rows, copy, value, origin, NULL);
}

/* -lr 0.1 counts when the value is a number: other words with one dash are flags of compilers and shells. */
static bool takes_next(const char *word, size_t dashes, const char *next)
{
	if (!next)
		return false;
	return dashes == 2 ? next[0] != '-' || is_number(next) : word[2] && is_number(next);
}

bool hps_parameters_word(json_t *rows, const char *word, const char *next, const char *origin)
{
	size_t dashes = strspn(word, "-"), at = dashes ? dashes : strspn(word, "+~"), len;

	if (dashes > 2 || at > 2)
		return false;
	len = name_length(word + at);
	if (!len || (word[at + len] && word[at + len] != '='))
		return false;
	if (word[at + len] == '=') {
		if (dashes != 1)
			add(rows, word + at, len, word + at + len + 1, origin);
		return false;
	}
	if (dashes && takes_next(word, dashes, next)) {
		add(rows, word + at, len, next, origin);
		return true;
	}
	if (dashes == 2)
		add(rows, word + at, len, "true", origin);
	return false;
}

/* --layers 64 32 16: numbers that follow one another are one value. */
static size_t add_numbers(json_t *rows, char *const *word)
{
	size_t len = strspn(word[0], "-") == 2 ? name_length(word[0] + 2) : 0, n = 0;
	_cleanup_buf_ struct hps_buf value = HPS_BUF_INIT;

	while (len && !word[0][2 + len] && word[1 + n] && is_number(word[1 + n]) && value.len < VALUE_MAX) {
		hps_buf_addf(&value, "%s%s", n ? " " : "", word[1 + n]);
		n++;
	}
	if (n < 2)
		return 0;
	add(rows, word[0] + 2, len, value.data, "argv");
	return n;
}

void hps_parameters_argv(json_t *rows, char *const *argv)
{
	for (size_t i = 1; argv[0] && argv[i]; i++) {
		size_t n = add_numbers(rows, argv + i);

		i += n ? n : hps_parameters_word(rows, argv[i], argv[i + 1], "argv");
	}
}
