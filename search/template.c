/* Words of a command with {placeholders}. */
#include "search/search.h"

#include <string.h>

/* s is at a '{': the length of "{name}", or 0 when it does not end. */
static size_t name_length(const char *s)
{
	size_t n = strcspn(s + 1, "{}");

	return s[1 + n] == '}' ? n : 0;
}

/* Handles the braces at s; returns what to skip, 0 for a placeholder that cannot be filled. */
static size_t expand_at(struct hps_buf *out, const char *s, const char *(*lookup)(const char *name, void *arg), void *arg, char **ret_bad)
{
	_cleanup_free_ char *name = NULL;
	const char *value;
	size_t n;

	if (s[1] == s[0]) {
		hps_buf_addc(out, s[0]);
		return 2;
	}
	n = *s == '{' ? name_length(s) : 0;
	name = n ? hps_strndup(s + 1, n) : hps_strndup(s, 1);
	value = n ? lookup(name, arg) : NULL;
	if (!value) {
		*ret_bad = hps_take(name);
		return 0;
	}
	hps_buf_adds(out, value);
	return n + 2;
}

char *hps_template_expand(const char *word, const char *(*lookup)(const char *name, void *arg), void *arg, char **ret_bad)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;

	*ret_bad = NULL;
	while (*word) {
		size_t plain = strcspn(word, "{}"), skip;

		hps_buf_add(&out, word, plain);
		word += plain;
		if (!*word)
			break;
		skip = expand_at(&out, word, lookup, arg, ret_bad);
		if (!skip)
			return NULL;
		word += skip;
	}
	return hps_buf_take(&out);
}
