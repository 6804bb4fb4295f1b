/* Pickles and joblib files: the graph that pickle.c walked, laid down as places. NumPy's arrays and scalars inside become arrays;
 * any other object is the name of its class, its arguments and its state. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 512
#define KEY_MAX ((size_t)64 << 10)

typedef struct hps_pickle value;

/* ---- NumPy ---- */

static bool is_numpy(const value *v, const char *name)
{
	static const char *const modules[] = { "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric", "numpy" };

	for (size_t i = 0; v && v->kind == HPS_PICKLE_GLOBAL && i < ARRAY_SIZE(modules); i++) {
		size_t n = strlen(modules[i]);

		if (!strncmp(v->text, modules[i], n) && v->text[n] == ':' && !strcmp(v->text + n + 1, name))
			return true;
	}
	return false;
}

static const value *item(const value *v, enum hps_pickle_kind container, size_t i, enum hps_pickle_kind kind)
{
	return v && v->kind == container && i < v->n && v->items[i]->kind == kind ? v->items[i] : NULL;
}

/* numpy.dtype('f4', False, True) with the state (3, '<', None, …): plain types alone. */
static bool read_dtype(const value *v, struct hps_array *a)
{
	const value *name, *order;
	char descr[16];

	if (!v || v->kind != HPS_PICKLE_OBJECT || !is_numpy(v->callable, "dtype"))
		return false;
	name = item(v->args, HPS_PICKLE_TUPLE, 0, HPS_PICKLE_STRING);
	order = item(v->state, HPS_PICKLE_TUPLE, 1, HPS_PICKLE_STRING);
	if (!name || !order || order->len != 1 || !name->len || name->len > 3)
		return false;
	for (size_t i = 2; i < v->state->n; i++) /* fields, names, subtypes */
		if (v->state->items[i]->kind != HPS_PICKLE_LITERAL && v->state->items[i]->kind != HPS_PICKLE_INT)
			return false;
	if (*order->text != '<' && *order->text != '>' && *order->text != '|')
		return false;
	(void)snprintf(descr, sizeof descr, "'%c%.*s'", *order->text, (int)name->len, name->text);
	return hps_npy_type(descr, a);
}

static bool read_shape(const value *v, struct hps_array *a)
{
	if (!v || v->kind != HPS_PICKLE_TUPLE || v->n > HPS_DIMENSIONS_MAX)
		return false;
	a->n_dimensions = v->n;
	for (size_t i = 0; i < v->n; i++) {
		if (v->items[i]->kind != HPS_PICKLE_INT || v->items[i]->value < 0)
			return false;
		a->shape[i] = (size_t)v->items[i]->value;
	}
	return true;
}

/* Bytes, or how protocol 2 writes them: _codecs.encode(text, 'latin1'). */
static bool read_bytes(struct hps_tree *tree, const value *v, const uint8_t **ret, size_t *ret_len)
{
	const value *text;
	uint8_t *out;

	if (v && v->kind == HPS_PICKLE_BYTES) {
		*ret = (const uint8_t *)v->text;
		*ret_len = v->len;
		return true;
	}
	if (!v || v->kind != HPS_PICKLE_OBJECT || !hps_pickle_is(v->callable, "_codecs:encode") || v->state)
		return false;
	text = item(v->args, HPS_PICKLE_TUPLE, 0, HPS_PICKLE_STRING);
	if (!text || !item(v->args, HPS_PICKLE_TUPLE, 1, HPS_PICKLE_STRING))
		return false;
	*ret = out = hps_tree_keep(tree, hps_alloc(text->len + 1));
	*ret_len = 0;
	for (size_t i = 0; i < text->len; i++) {
		unsigned char c = (unsigned char)text->text[i];

		if (c >= 0x80 && ((c != 0xc2 && c != 0xc3) || ++i == text->len))
			return false;
		out[(*ret_len)++] = c < 0x80 ? c : (uint8_t)(c << 6 | ((unsigned char)text->text[i] & 0x3f));
	}
	return true;
}

static bool is_true(const value *v)
{
	return v->kind == HPS_PICKLE_LITERAL && !strcmp(v->text, "True");
}

/* numpy.core.multiarray._reconstruct(…) with the state (version, shape, dtype, fortran, bytes). */
static bool read_reconstructed(struct hps_tree *tree, const value *v, struct hps_array *a, size_t *ret_len)
{
	const value *s = v->state;
	bool plain = is_numpy(v->callable, "_reconstruct") && v->args->n && is_numpy(v->args->items[0], "ndarray");

	if (!plain || !s || s->kind != HPS_PICKLE_TUPLE || s->n != 5 || !read_shape(s->items[1], a) || !read_dtype(s->items[2], a))
		return false;
	return read_bytes(tree, s->items[4], &a->data, ret_len) && !hps_array_lay_out(a, is_true(s->items[3]));
}

/* numpy.core.numeric._frombuffer(bytes, dtype, shape, order): protocol 5. */
static bool read_buffer(struct hps_tree *tree, const value *v, struct hps_array *a, size_t *ret_len)
{
	const value *args = v->args, *order = item(args, HPS_PICKLE_TUPLE, 3, HPS_PICKLE_STRING);

	if (!is_numpy(v->callable, "_frombuffer") || args->n != 4 || v->state || !order || order->len != 1)
		return false;
	return read_dtype(args->items[1], a) && read_shape(args->items[2], a) && read_bytes(tree, args->items[0], &a->data, ret_len) &&
	       !hps_array_lay_out(a, *order->text == 'F');
}

static bool read_scalar(struct hps_tree *tree, const value *v, struct hps_array *a, size_t *ret_len)
{
	if (!is_numpy(v->callable, "scalar") || v->args->n != 2 || v->state)
		return false;
	return read_dtype(v->args->items[0], a) && read_bytes(tree, v->args->items[1], &a->data, ret_len) && !hps_array_lay_out(a, false);
}

/* ---- joblib: an array's bytes follow its wrapper ---- */

static const value *member(const value *state, const char *name)
{
	for (size_t i = 0; state && state->kind == HPS_PICKLE_DICT && i + 1 < state->n_pairs; i += 2) {
		const value *key = state->pairs[i];

		if (key->kind == HPS_PICKLE_STRING && key->len == strlen(name) && !memcmp(key->text, name, key->len))
			return state->pairs[i + 1];
	}
	return NULL;
}

static bool read_wrapper(const value *v, struct hps_array *a)
{
	const value *order;

	if (!hps_pickle_is(v->callable, "joblib.numpy_pickle:NumpyArrayWrapper") || !read_dtype(member(v->state, "dtype"), a) || !read_shape(member(v->state, "shape"), a))
		return false;
	order = member(v->state, "order");
	return order && order->kind == HPS_PICKLE_STRING && order->len == 1 && !hps_array_lay_out(a, *order->text == 'F');
}

static int joblib_bytes(value *v, struct hps_bytes *rest, struct hps_error *err)
{
	const value *alignment = member(v->state, "numpy_array_alignment_bytes");
	struct hps_array a = { 0 };
	const uint8_t *padding;

	if (!hps_pickle_is(v->callable, "joblib.numpy_pickle:NumpyArrayWrapper"))
		return 0;
	if (!read_wrapper(v, &a))
		return hps_error_set(err, HPS_E_FORMAT, "a joblib array of an unknown kind");
	if (alignment && alignment->kind == HPS_PICKLE_INT) {
		padding = hps_bytes_take(rest, 1);
		if (!padding || !hps_bytes_take(rest, *padding))
			return hps_error_set(err, HPS_E_FORMAT, "a joblib array is cut off");
	}
	v->raw_len = a.n * a.itemsize;
	v->raw = hps_bytes_take(rest, v->raw_len);
	return v->raw ? 0 : hps_error_set(err, HPS_E_FORMAT, "a joblib array is cut off");
}

/* True when the object is an array whose bytes are all there. */
static bool read_array(struct hps_tree *tree, const value *v, struct hps_array *a)
{
	size_t len = 0;

	if (v->raw) {
		if (!read_wrapper(v, a))
			return false;
		a->data = v->raw;
		return true;
	}
	if (v->args->kind != HPS_PICKLE_TUPLE || v->n || v->n_pairs || v->more)
		return false;
	if (!read_reconstructed(tree, v, a, &len)) {
		*a = (struct hps_array){ 0 };
		if (!read_buffer(tree, v, a, &len)) {
			*a = (struct hps_array){ 0 };
			if (!read_scalar(tree, v, a, &len))
				return false;
		}
	}
	return len == a->n * a->itemsize;
}

/* ---- places ---- */

static bool is_scalar(const value *v)
{
	return v->kind <= HPS_PICKLE_BYTES || v->kind == HPS_PICKLE_GLOBAL;
}

static void add_name(struct hps_buf *b, const char *text, size_t len)
{
	static const char special[] = "~/[(@{";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f || strchr(special, c))
			hps_buf_addf(b, "~%02x", c);
		else
			hps_buf_addc(b, (char)c);
	}
}

/* A key that is a string is its name, any other "~:" and its kind; false when it is nothing that a place can be named by. */
static bool add_key(struct hps_buf *b, const value *v, unsigned depth)
{
	if (v->kind == HPS_PICKLE_TUPLE && depth < 8) {
		hps_buf_adds(b, "~:(");
		for (size_t i = 0; i < v->n; i++) {
			if (!add_key(b, v->items[i], depth + 1))
				return false;
			hps_buf_addc(b, ',');
		}
		hps_buf_addc(b, ')');
	} else if (!is_scalar(v)) {
		return false;
	} else if (v->kind == HPS_PICKLE_FLOAT) {
		hps_buf_addf(b, "~:f%016llx", (unsigned long long)hps_bytes_be((const uint8_t *)v->text, 8));
	} else {
		if (v->kind != HPS_PICKLE_STRING)
			hps_buf_addf(b, "~:%c", "li?bb????g"[v->kind]);
		add_name(b, v->text, v->len);
	}
	return !b->full;
}

static int lay_scalar(struct hps_pickle_layout *l, const char *place, const value *v)
{
	struct hps_token token = { v->text, v->len };
	struct hps_array a = { .dtype = HPS_DTYPE_FLOAT, .itemsize = 8, .big_endian = true, .n = 1, .data = (const uint8_t *)v->text };

	switch (v->kind) {
	case HPS_PICKLE_INT:
		return memcmp(v->text, "0x", 2) ? hps_tree_add_numbers(l->tree, place, true, &token, 1, l->err)
						: hps_tree_add_text(l->tree, place, HPS_TEXT_LITERAL, v->text, v->len, l->err);
	case HPS_PICKLE_FLOAT:
		return hps_tree_add_array(l->tree, place, &a, l->err);
	case HPS_PICKLE_STRING:
	case HPS_PICKLE_BYTES:
		return hps_tree_add_text(l->tree, place, v->kind == HPS_PICKLE_STRING ? HPS_TEXT_STRING : HPS_TEXT_BYTES, v->text, v->len, l->err);
	default:
		return hps_tree_add_text(l->tree, place, HPS_TEXT_LITERAL, v->text, v->len, l->err);
	}
}

static int lay_below(struct hps_pickle_layout *l, const char *place, value *v, const char *format, size_t i)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

	hps_buf_adds(&b, place);
	hps_buf_addf(&b, *format == '(' ? "(%zu)" : "[%zu]", i);
	return hps_pickle_lay(l, b.data, v);
}

static int lay_pairs(struct hps_pickle_layout *l, const char *place, value **pairs, size_t n, char before)
{
	int r = 0;

	for (size_t i = 0; !r && i + 1 < n; i += 2) {
		_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

		hps_buf_init(&b, KEY_MAX);
		hps_buf_adds(&b, place);
		hps_buf_addc(&b, before);
		if (!add_key(&b, pairs[i], 0))
			return hps_error_set(l->err, HPS_E_FORMAT, "at '%.200s': a name that is no plain value", place);
		r = hps_pickle_lay(l, b.data, pairs[i + 1]);
	}
	return r;
}

/* The order of a set's members says nothing: each plain one is a place of its own. */
static int lay_members(struct hps_pickle_layout *l, const char *place, const value *v)
{
	int r = 0;

	for (size_t i = 0; !r && i < v->n; i++) {
		_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

		hps_buf_init(&b, KEY_MAX);
		hps_buf_adds(&b, place);
		hps_buf_addc(&b, '{');
		if (add_key(&b, v->items[i], 0))
			r = hps_tree_add_text(l->tree, b.data, HPS_TEXT_LITERAL, "member", 6, l->err);
		else
			r = lay_below(l, place, v->items[i], "[", i);
	}
	return r;
}

static int lay_items(struct hps_pickle_layout *l, const char *place, const value *v, const char *format)
{
	int r = 0;

	for (size_t i = 0; !r && i < v->n; i++)
		r = lay_below(l, place, v->items[i], format, i);
	return r;
}

static int head(struct hps_pickle_layout *l, const char *place, const char *what, size_t n)
{
	char *text = hps_tree_keep(l->tree, hps_format("%s of %zu", what, n));

	return hps_tree_add_text(l->tree, place, HPS_TEXT_LITERAL, text, strlen(text), l->err);
}

/* builtins.set([…]) of protocols 2 and 3. */
static bool is_set(const value *v)
{
	static const char *const names[] = { "builtins:set", "builtins:frozenset", "__builtin__:set", "__builtin__:frozenset" };

	if (v->state || v->n || v->n_pairs || v->args->kind != HPS_PICKLE_TUPLE || v->args->n != 1 || v->args->items[0]->kind != HPS_PICKLE_LIST)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (hps_pickle_is(v->callable, names[i]))
			return true;
	return false;
}

static int lay_state(struct hps_pickle_layout *l, const char *place, value *state)
{
	_cleanup_free_ char *below = NULL;

	if (!state)
		return 0;
	if (state->kind == HPS_PICKLE_DICT && !state->place)
		return lay_pairs(l, place, state->pairs, state->n_pairs, '@');
	below = hps_format("%s@~state", place);
	return hps_pickle_lay(l, below, state);
}

static int lay_object(struct hps_pickle_layout *l, const char *place, value *v)
{
	_cleanup_free_ char *more = hps_format("%s(~more)", place), *callable = hps_format("%s(~callable)", place);
	char *text;
	int r;

	if (v->callable->kind == HPS_PICKLE_GLOBAL) {
		text = hps_tree_keep(l->tree, hps_format("object %s", v->callable->text));
		r = hps_tree_add_text(l->tree, place, HPS_TEXT_LITERAL, text, strlen(text), l->err);
	} else {
		r = head(l, place, "object", 0);
		r = r ? r : hps_pickle_lay(l, callable, v->callable);
	}
	if (!r)
		r = v->args->kind == HPS_PICKLE_TUPLE ? lay_items(l, place, v->args, "(") : lay_below(l, place, v->args, "(", 0);
	if (!r && v->more)
		r = hps_pickle_lay(l, more, v->more);
	r = r ? r : lay_items(l, place, v, "[");
	r = r ? r : lay_pairs(l, place, v->pairs, v->n_pairs, '/');
	return r ? r : lay_state(l, place, v->state);
}

static int lay_array_or_object(struct hps_pickle_layout *l, const char *place, value *v)
{
	struct hps_array a = { 0 };

	if (read_array(l->tree, v, &a))
		return hps_tree_add_array(l->tree, place, &a, l->err);
	if (is_set(v)) {
		int r = head(l, place, "set", v->args->items[0]->n);

		return r ? r : lay_members(l, place, v->args->items[0]);
	}
	return lay_object(l, place, v);
}

static int lay_container(struct hps_pickle_layout *l, const char *place, value *v)
{
	static const char *const names[] = { [HPS_PICKLE_TUPLE] = "tuple", [HPS_PICKLE_LIST] = "list", [HPS_PICKLE_DICT] = "dict", [HPS_PICKLE_SET] = "set" };
	int r;

	if (v->kind == HPS_PICKLE_OBJECT)
		return lay_array_or_object(l, place, v);
	if (v->kind == HPS_PICKLE_PERSISTENT) {
		_cleanup_free_ char *id = hps_format("%s(~id)", place);

		r = head(l, place, "persistent", 1);
		return r ? r : hps_pickle_lay(l, id, v->args);
	}
	r = head(l, place, names[v->kind], v->kind == HPS_PICKLE_DICT ? v->n_pairs / 2 : v->n);
	if (!r)
		r = v->kind == HPS_PICKLE_DICT ? lay_pairs(l, place, v->pairs, v->n_pairs, '/') : v->kind == HPS_PICKLE_SET ? lay_members(l, place, v) : lay_items(l, place, v, "[");
	return r;
}

/* What is met a second time is where it was met first: the graph may be a loop. */
int hps_pickle_lay(struct hps_pickle_layout *l, const char *place, value *v)
{
	char *text;
	int r;

	if (is_scalar(v))
		return lay_scalar(l, place, v);
	if (v->place && (v->n || v->n_pairs || v->kind >= HPS_PICKLE_GLOBAL)) {
		text = hps_tree_keep(l->tree, hps_format("the same as '%s'", v->place));
		return hps_tree_add_text(l->tree, place, HPS_TEXT_LITERAL, text, strlen(text), l->err);
	}
	if (l->depth >= DEPTH_MAX || strlen(place) > KEY_MAX)
		return hps_error_set(l->err, HPS_E_LIMIT, "it is nested too deeply");
	v->place = v->place ? v->place : hps_strdup(place);
	l->depth++;
	r = l->special ? l->special(l->arg, place, v, l->err) : 0;
	r = r ? (r > 0 ? 0 : r) : lay_container(l, place, v);
	l->depth--;
	return r;
}

/* ---- files ---- */

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct hps_bytes b = { (const uint8_t *)data, (const uint8_t *)data + len };
	struct hps_pickles p = { .tree = ret, .trailing = joblib_bytes };
	struct hps_pickle_layout l = { .tree = ret, .err = err };
	size_t n = 0;
	int r = 0;

	while (!r && (b.at < b.end || !n)) { /* several in a row: as many pickle.dump() calls */
		_cleanup_free_ char *place = n ? hps_format("pickle %zu ", n + 1) : hps_strdup("");

		r = hps_pickle_read(&b, &p, err);
		r = r ? r : hps_pickle_lay(&l, place, p.root);
		hps_pickles_release(&p);
		n++;
	}
	return r;
}

static bool fits(const char *path, const char *data, size_t len)
{
	static const char *const ends[] = { ".pkl", ".pickle", ".joblib" };
	const char *dot = strrchr(path, '.');

	if (len > 2 && (unsigned char)data[0] == 0x80 && data[1] >= 2 && data[1] <= 5 && data[len - 1] == '.')
		return true;
	for (size_t i = 0; dot && i < ARRAY_SIZE(ends); i++)
		if (!strcmp(dot, ends[i]))
			return true;
	return false;
}

const struct hps_format hps_format_pickle = { "pickle", fits, decode };
