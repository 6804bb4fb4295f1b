/* LightGBM's text model: sections of key=value lines; a value of numbers alone is a tensor. Where its data lay is a stamp. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

struct reader {
	struct hps_tree *tree;
	struct hps_error *err;
	char *section;
	size_t line;
};

/* Numbers with one blank between them; NULL when it is anything else. */
static struct hps_token *read_tokens(const char *text, size_t len, size_t *ret_n)
{
	struct hps_token *tokens = NULL;
	size_t at = 0;

	for (*ret_n = 0; at < len; at++) {
		size_t n = hps_number_length(text + at, len - at);

		tokens = hps_grow(tokens, *ret_n, sizeof *tokens);
		tokens[(*ret_n)++] = (struct hps_token){ text + at, n };
		at += n;
		if (!n || (at < len && text[at] != ' ') || at + 1 == len) {
			free(tokens);
			return NULL;
		}
	}
	return tokens;
}

static int add_value(struct reader *r, bool option, const char *key, size_t key_len, const char *text, size_t len)
{
	static const char *const paths[] = { "data", "valid", "output_model", "input_model", "output_result", "config" };
	_cleanup_free_ char *place = hps_format("%s/%.*s", r->section, (int)key_len, key);
	_cleanup_free_ struct hps_token *tokens = NULL;
	size_t n = 0;
	int s;

	tokens = read_tokens(text, len, &n);
	s = tokens ? hps_tree_add_numbers(r->tree, place, n == 1, tokens, n, r->err) : hps_tree_add_text(r->tree, place, HPS_TEXT_LINE, text, len, r->err);
	for (size_t i = 0; !s && option && i < ARRAY_SIZE(paths); i++)
		if (key_len == strlen(paths[i]) && !memcmp(key, paths[i], key_len))
			hps_tree_mark(r->tree, HPS_MASK_PATH);
	return s;
}

static int read_line(struct reader *r, const char *text, size_t len)
{
	const char *equals = memchr(text, '=', len), *colon = memchr(text, ':', len);
	_cleanup_free_ char *place = NULL;

	if (len > 5 && !memcmp(text, "Tree=", 5)) {
		free(r->section);
		r->section = hps_strndup(text, len);
		return 0;
	}
	if (len && text[len - 1] == ':' && !equals) {
		free(r->section);
		r->section = hps_strndup(text, len - 1);
		return 0;
	}
	if (len > 3 && *text == '[' && text[len - 1] == ']' && colon)
		return add_value(r, true, text + 1, (size_t)(colon - text) - 1, colon + 1, (size_t)(text + len - 1 - colon) - 1);
	if (equals && equals > text && equals - text < 256 && !memchr(text, ' ', (size_t)(equals - text)) && text[0] != '[')
		return add_value(r, false, text, (size_t)(equals - text), equals + 1, (size_t)(text + len - equals) - 1);
	place = hps_format("line %zu", r->line);
	return hps_tree_add_text(r->tree, place, HPS_TEXT_LINE, text, len, r->err);
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct reader r = { .tree = ret, .err = err, .section = hps_strdup("model") };
	size_t at = 0;
	int s = 0;

	if (memchr(data, '\0', len))
		s = hps_error_set(err, HPS_E_FORMAT, "it holds a zero byte");
	while (!s && at <= len) {
		const char *end = memchr(data + at, '\n', len - at);
		size_t n = end ? (size_t)(end - data) - at : len - at;

		r.line++;
		s = read_line(&r, data + at, n);
		at += n + 1;
	}
	free(r.section);
	return s;
}

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	return len > 13 && !memcmp(data, "tree\nversion=", 13);
}

const struct hps_format hps_format_lightgbm = { "lightgbm", fits, decode };
