/* Checks that every part of a study file needs: known keys, types, names, numbers; each message with its place. */
#include "search/search.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int hps_compile_error(struct hps_compile *c, struct hps_mark mark, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		abort();
	va_end(ap);
	return hps_error_set(c->err, HPS_E_USAGE, "%s:%zu:%zu: %s", c->file, mark.line, mark.column, text);
}

int hps_compile_unknown(struct hps_compile *c, struct hps_mark mark, const char *what, const char *where, const char *word,
			const char *const *known, size_t n_known)
{
	const char *near = hps_nearest(word, known, n_known);
	_cleanup_buf_ struct hps_buf all = HPS_BUF_INIT;

	if (near)
		return hps_compile_error(c, mark, "unknown %s '%s'%s: did you mean '%s'?", what, word, where, near);
	for (size_t i = 0; i < n_known; i++)
		hps_buf_addf(&all, "%s'%s'", i ? ", " : "", known[i]);
	return hps_compile_error(c, mark, "unknown %s '%s'%s; known: %s", what, word, where, all.data ? all.data : "none");
}

static int known_keys(struct hps_compile *c, const struct hps_node *map, const char *what, const struct hps_study_key *keys, size_t n_keys)
{
	_cleanup_free_ const char **names = hps_alloc((n_keys + 1) * sizeof(*names));
	_cleanup_free_ char *where = hps_format(" in %s", what);

	for (size_t i = 0; i < n_keys; i++)
		names[i] = keys[i].name;
	for (const struct hps_node *m = map->first; m; m = m->next) {
		size_t i = 0;

		while (i < n_keys && strcmp(names[i], m->key) != 0)
			i++;
		if (i == n_keys)
			return hps_compile_unknown(c, m->key_mark, "key", where, m->key, names, n_keys);
	}
	return 0;
}

int hps_compile_map(struct hps_compile *c, const struct hps_node *map, const char *what, const struct hps_study_key *keys, size_t n_keys,
		    json_t *out)
{
	int r = hps_compile_type(c, map, HPS_NODE_MAP, what);

	if (!r)
		r = known_keys(c, map, what, keys, n_keys);
	for (size_t i = 0; !r && i < n_keys; i++) {
		const struct hps_node *value = hps_node_at(map, keys[i].name);

		if (value)
			r = keys[i].compile(c, value, out);
		else if (keys[i].required)
			r = hps_compile_error(c, map->mark, "%s needs the key '%s'", what, keys[i].name);
	}
	return r;
}

/* ---- types ---- */

static const char *type_name(enum hps_node_type type)
{
	static const char *const names[] = { "empty", "true or false", "a whole number", "a number", "text", "a list", "a map" };

	return names[type];
}

int hps_compile_type(struct hps_compile *c, const struct hps_node *node, enum hps_node_type type, const char *what)
{
	if (node->type == type)
		return 0;
	if (type == HPS_NODE_INT && node->type == HPS_NODE_FLOAT)
		return hps_compile_error(c, node->mark, "%s must be %s, not %s", what, type_name(type), node->text);
	return hps_compile_error(c, node->mark, "%s must be %s, not %s", what, type_name(type), type_name(node->type));
}

int hps_compile_text(struct hps_compile *c, const struct hps_node *node, const char *what)
{
	if (node->text && node->type != HPS_NODE_NULL)
		return 0;
	return hps_compile_error(c, node->mark, "%s must be a word, not %s", what, type_name(node->type));
}

int hps_compile_name(struct hps_compile *c, const char *name, struct hps_mark mark, const char *what, const char *more)
{
	if (hps_name_valid(name, more))
		return 0;
	return hps_compile_error(c, mark, "%s '%s': " HPS_NAME_RULE, what, name, *more ? " and " : "", more);
}

int hps_compile_bool(struct hps_compile *c, const struct hps_node *node, const char *what, bool *ret)
{
	int r = hps_compile_type(c, node, HPS_NODE_BOOL, what);

	if (!r)
		*ret = node->text[0] == 't' || node->text[0] == 'T';
	return r;
}

/* ---- numbers ---- */

/* text is an int of the core schema: decimal with a sign and leading zeros, 0o or 0x. */
static int parse_int(const char *text, int64_t *ret)
{
	int base = text[0] == '0' && text[1] == 'x' ? 16 : text[0] == '0' && text[1] == 'o' ? 8 : 10;

	errno = 0;
	*ret = strtoll(base == 10 ? text : text + 2, NULL, base);
	return errno ? -errno : 0;
}

int hps_compile_int(struct hps_compile *c, const struct hps_node *node, const char *what, int64_t min, int64_t max, int64_t *ret)
{
	int r = hps_compile_type(c, node, HPS_NODE_INT, what);

	if (r)
		return r;
	if (min == max && (parse_int(node->text, ret) || *ret != min))
		return hps_compile_error(c, node->mark, "%s must be %" PRId64 ", not %s", what, min, node->text);
	if (parse_int(node->text, ret) || *ret < min || *ret > max)
		return hps_compile_error(c, node->mark, "%s must be between %" PRId64 " and %" PRId64 ", not %s", what, min, max, node->text);
	return 0;
}

/* Far enough from both ends of the doubles that no sum, ratio or half step in scale.c leaves them. */
#define SMALLEST 1e-300
#define LARGEST 1e300

int hps_compile_double(struct hps_compile *c, const struct hps_node *node, const char *what, double *ret)
{
	double x = 0;
	int64_t whole;
	int r;

	if (node->type != HPS_NODE_INT && node->type != HPS_NODE_FLOAT)
		return hps_compile_type(c, node, HPS_NODE_FLOAT, what);
	if (node->text[0] == '0' && (node->text[1] == 'x' || node->text[1] == 'o')) {
		r = parse_int(node->text, &whole);
		x = r ? 0 : (double)whole;
	} else {
		r = hps_parse_double(node->text, &x);
	}
	if (r || x > LARGEST || x < -LARGEST || (x != 0 && x < SMALLEST && x > -SMALLEST))
		return hps_compile_error(c, node->mark, "%s must be 0 or of a size between 1e-300 and 1e300, not %s", what, node->text);
	*ret = x;
	return 0;
}
