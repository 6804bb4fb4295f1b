/* The parameters of a study file: `space`. */
#include "search/search.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define INT_LIMIT (((int64_t)1 << 53) - 1) /* beyond it a double, and JSON, lose whole numbers */
#define STEPS_MAX 1000000

static const char *const kinds[] = { "float", "int", "choice" };

static bool is_kind(const json_t *p, const char *kind)
{
	return !strcmp(hps_json_text(p, "type"), kind);
}

static char *what_of(const struct hps_node *node, const json_t *p)
{
	return hps_format("'%s' of '%s'", node->key, hps_json_text(p, "name"));
}

static char *double_text(double x)
{
	char text[HPS_DOUBLE_LEN];

	hps_double_format(x, text);
	return hps_strdup(text);
}

/* A bound's value from the compiled text: it was checked when it was written. */
static double bound(const json_t *p, const char *name)
{
	double x = 0;

	return hps_parse_double(hps_json_text(p, name), &x) ? 0 : x;
}

/* A number of the parameter's own type as decisions write it. */
static int number_text(struct hps_compile *c, const struct hps_node *node, const json_t *p, const char *what, char **ret, double *ret_x)
{
	int64_t whole;
	int r;

	if (is_kind(p, "int")) {
		r = hps_compile_int(c, node, what, -INT_LIMIT, INT_LIMIT, &whole);
		if (!r) {
			*ret = hps_format("%" PRId64, whole);
			*ret_x = (double)whole;
		}
		return r;
	}
	r = hps_compile_double(c, node, what, ret_x);
	if (!r)
		*ret = double_text(*ret_x);
	return r;
}

static int value_in_range(struct hps_compile *c, const struct hps_node *node, const json_t *p, char **ret)
{
	_cleanup_free_ char *what = hps_format("a value of '%s'", hps_json_text(p, "name")), *text = NULL;
	double x;
	int r = number_text(c, node, p, what, &text, &x);

	if (r)
		return r;
	if (x < bound(p, "low") || x > bound(p, "high"))
		return hps_compile_error(c, node->mark, "%s must be between %s and %s, not %s", what, hps_json_text(p, "low"),
					 hps_json_text(p, "high"), text);
	*ret = hps_take(text);
	return 0;
}

static int value_of_choice(struct hps_compile *c, const struct hps_node *node, const json_t *p, char **ret)
{
	_cleanup_free_ char *where = hps_format(" of '%s'", hps_json_text(p, "name"));
	const json_t *of = json_object_get(p, "of");
	_cleanup_free_ const char **known = hps_alloc(json_array_size(of) * sizeof(*known));
	int r = hps_compile_text(c, node, "a value of a choice");

	if (r)
		return r;
	for (size_t i = 0; i < json_array_size(of); i++) {
		known[i] = json_string_value(json_array_get(of, i));
		if (!strcmp(known[i], node->text)) {
			*ret = hps_strdup(node->text);
			return 0;
		}
	}
	return hps_compile_unknown(c, node->mark, "value", where, node->text, known, json_array_size(of));
}

int hps_compile_value(struct hps_compile *c, const struct hps_node *node, const json_t *p, char **ret)
{
	return is_kind(p, "choice") ? value_of_choice(c, node, p, ret) : value_in_range(c, node, p, ret);
}

/* ---- the members of a parameter ---- */

static int compile_nothing(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	(void)c;
	(void)value;
	(void)out;
	return 0;
}

static int compile_bound(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_free_ char *what = what_of(value, out), *text = NULL;
	double x;
	int r = number_text(c, value, out, what, &text, &x);

	if (!r)
		hps_json_set_text(out, value->key, text);
	return r;
}

static int compile_log(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_free_ char *what = what_of(value, out);
	bool log = false;
	int r = hps_compile_bool(c, value, what, &log);

	if (!r && log && bound(out, "low") <= 0)
		r = hps_compile_error(c, value->mark, "a log scale needs a 'low' above 0, not %s", hps_json_text(out, "low"));
	if (!r)
		hps_json_set(out, "log", json_boolean(log));
	return r;
}

static int compile_steps(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_free_ char *what = what_of(value, out);
	int64_t steps = 0;
	int r = hps_compile_int(c, value, what, 2, STEPS_MAX, &steps);

	if (!r)
		hps_json_set_int(out, "steps", steps);
	return r;
}

/* A list without repetition, each item made by `item`. */
static int compile_texts(struct hps_compile *c, const struct hps_node *value, json_t *out,
			 int (*item)(struct hps_compile *c, const struct hps_node *node, const json_t *p, char **ret))
{
	_cleanup_free_ char *what = what_of(value, out);
	_cleanup_json_ json_t *list = json_array();
	struct hps_map seen = HPS_MAP_INIT;
	int r = hps_compile_type(c, value, HPS_NODE_LIST, what);

	if (!r && !value->n)
		r = hps_compile_error(c, value->mark, "%s is empty", what);
	for (const struct hps_node *n = value->first; !r && n; n = n->next) {
		_cleanup_free_ char *text = NULL;

		r = item(c, n, out, &text);
		if (r)
			break;
		if (hps_map_get(&seen, text))
			r = hps_compile_error(c, n->mark, "%s has '%s' twice", what, text);
		*hps_map_slot(&seen, text) = list;
		hps_json_add(list, json_string(text));
	}
	hps_map_release(&seen);
	if (!r)
		hps_json_set(out, value->key, hps_take(list));
	return r;
}

static int compile_points(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	if (json_object_get(out, "steps"))
		return hps_compile_error(c, value->key_mark, "'steps' and 'points' of '%s' exclude each other", hps_json_text(out, "name"));
	return compile_texts(c, value, out, value_in_range);
}

static int choice_item(struct hps_compile *c, const struct hps_node *node, const json_t *p, char **ret)
{
	_cleanup_free_ char *what = hps_format("a value of '%s'", hps_json_text(p, "name"));
	int r = hps_compile_text(c, node, what);

	if (!r)
		*ret = hps_strdup(node->text);
	return r;
}

static int compile_of(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	return compile_texts(c, value, out, choice_item);
}

static const struct hps_study_key number_keys[] = {
	{ "type", true, compile_nothing },  { "low", true, compile_bound },	 { "high", true, compile_bound },
	{ "log", false, compile_log },	    { "steps", false, compile_steps }, { "points", false, compile_points },
};
static const struct hps_study_key choice_keys[] = {
	{ "type", true, compile_nothing },
	{ "of", true, compile_of },
};

/* ---- a parameter ---- */

static int compile_kind(struct hps_compile *c, const struct hps_node *value, const char *param, json_t *out)
{
	const struct hps_node *type = hps_node_at(value, "type");
	_cleanup_free_ char *what = hps_format("'type' of '%s'", value->key);

	if (!type && hps_node_at(value, "of")) /* a misspelt key says more than a missing one */
		return hps_compile_map(c, value, param, choice_keys, ARRAY_SIZE(choice_keys), out);
	if (!type)
		return hps_compile_map(c, value, param, number_keys, ARRAY_SIZE(number_keys), out);
	if (hps_compile_text(c, type, what))
		return HPS_E_USAGE;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (!strcmp(type->text, kinds[i])) {
			hps_json_set_text(out, "type", kinds[i]);
			return 0;
		}
	}
	return hps_compile_unknown(c, type->mark, "type", "", type->text, kinds, ARRAY_SIZE(kinds));
}

static int finish_number(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	const struct hps_node *high = hps_node_at(value, "high");

	if (bound(out, "high") <= bound(out, "low"))
		return hps_compile_error(c, high->mark, "'high' of '%s' must be above 'low' (%s), not %s", hps_json_text(out, "name"),
					 hps_json_text(out, "low"), high->text);
	if (!json_object_get(out, "log"))
		hps_json_set(out, "log", json_false());
	return 0;
}

static int name_is_free(struct hps_compile *c, const struct hps_node *value)
{
	static const char *const reserved[] = { "seed", "number", "study", "out" };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
		if (!strcmp(value->key, reserved[i]))
			return hps_compile_error(c, value->key_mark, "parameter '%s': {%s} in the command has a meaning of its own; take another name",
						 value->key, value->key);
	}
	return hps_compile_name(c, value->key, value->key_mark, "parameter", "");
}

static int compile_parameter(struct hps_compile *c, const struct hps_node *value, json_t *space)
{
	_cleanup_json_ json_t *p = json_object();
	_cleanup_free_ char *what = hps_format("parameter '%s'", value->key);
	bool choice;
	int r = name_is_free(c, value);

	if (!r)
		r = hps_compile_type(c, value, HPS_NODE_MAP, what);
	if (!r) {
		hps_json_set_text(p, "name", value->key);
		r = compile_kind(c, value, what, p);
	}
	if (r)
		return r;
	choice = is_kind(p, "choice");
	r = hps_compile_map(c, value, what, choice ? choice_keys : number_keys, choice ? ARRAY_SIZE(choice_keys) : ARRAY_SIZE(number_keys), p);
	if (!r && !choice)
		r = finish_number(c, value, p);
	if (!r)
		hps_json_add(space, hps_take(p));
	return r;
}

int hps_compile_space(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_json_ json_t *space = json_array();
	int r = hps_compile_type(c, value, HPS_NODE_MAP, "'space'");

	if (!r && !value->n)
		r = hps_compile_error(c, value->mark, "'space' is empty: declare at least one parameter");
	for (const struct hps_node *n = value->first; !r && n; n = n->next)
		r = compile_parameter(c, n, space);
	if (!r)
		hps_json_set(out, "space", hps_take(space));
	return r;
}
