/* Python pickles, protocols 0 to 5 (Lib/pickletools.py), as a graph of values. A pickle is a program; this walks it with a stack of
 * our own and makes inert nodes where Python would import and call. Nothing of it is ever executed. */
#include "replay/compare/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALUES_MAX ((size_t)2 << 20)

typedef struct hps_pickle value;

struct machine {
	struct hps_bytes *b;
	struct hps_pickles *p;
	value **stack, **memo;
	size_t n_stack, n_memo;
	size_t *marks; /* heights of the stack */
	size_t n_marks;
	bool stop;
	struct hps_error *err;
};

static int bad(struct machine *m, const char *what)
{
	return hps_error_set(m->err, HPS_E_FORMAT, "its pickle: %s", what);
}

bool hps_pickle_is(const value *v, const char *global)
{
	return v && v->kind == HPS_PICKLE_GLOBAL && !strcmp(v->text, global);
}

/* ---- values ---- */

static int push_value(struct machine *m, value *v)
{
	if (m->n_stack >= VALUES_MAX)
		return bad(m, "the stack grows too high");
	m->stack = hps_grow(m->stack, m->n_stack, sizeof *m->stack);
	m->stack[m->n_stack++] = v;
	return 0;
}

static int push(struct machine *m, enum hps_pickle_kind kind, const void *text, size_t len, value **ret)
{
	value *v;

	if (m->p->n >= VALUES_MAX)
		return hps_error_set(m->err, HPS_E_LIMIT, "its pickle: more than %zu values", VALUES_MAX);
	v = hps_alloc(sizeof *v);
	*v = (value){ .kind = kind, .text = text, .len = len };
	m->p->v = hps_grow(m->p->v, m->p->n, sizeof *m->p->v);
	m->p->v[m->p->n++] = v;
	if (ret)
		*ret = v;
	return push_value(m, v);
}

static int push_int(struct machine *m, int64_t n)
{
	char *text = hps_tree_keep(m->p->tree, hps_format("%lld", (long long)n));
	value *v;
	int r = push(m, HPS_PICKLE_INT, text, strlen(text), &v);

	if (!r)
		v->value = n;
	return r;
}

/* Two's complement, little-endian. */
static int push_long(struct machine *m, const uint8_t *p, size_t n)
{
	unsigned shift = n && n < 8 ? 64 - 8 * (unsigned)n : 0;
	char *text;

	if (n <= 8)
		return push_int(m, n ? (int64_t)(hps_bytes_le(p, n) << shift) >> shift : 0);
	if (n > 65536)
		return bad(m, "a whole number is too long");
	text = hps_tree_keep(m->p->tree, hps_alloc(2 * n + 3));
	memcpy(text, "0x", 2);
	hps_hex(text + 2, p, n);
	return push(m, HPS_PICKLE_INT, text, 2 * n + 2, NULL);
}

static int push_literal(struct machine *m, const char *text)
{
	return push(m, HPS_PICKLE_LITERAL, text, strlen(text), NULL);
}

static int push_global(struct machine *m, const char *module, size_t module_len, const char *name, size_t name_len)
{
	char *text;

	if (memchr(module, '\0', module_len) || memchr(name, '\0', name_len) || module_len > 4096 || name_len > 4096)
		return bad(m, "a name that is none");
	text = hps_tree_keep(m->p->tree, hps_format("%.*s:%.*s", (int)module_len, module, (int)name_len, name));
	return push(m, HPS_PICKLE_GLOBAL, text, strlen(text), NULL);
}

static void add(value ***list, size_t *n, value *v)
{
	*list = hps_grow(*list, *n, sizeof **list);
	(*list)[(*n)++] = v;
}

/* ---- the stack ---- */

static value *top(struct machine *m, size_t below)
{
	size_t floor = m->n_marks ? m->marks[m->n_marks - 1] : 0;

	return m->n_stack - floor > below ? m->stack[m->n_stack - 1 - below] : NULL;
}

static value *pop(struct machine *m)
{
	value *v = top(m, 0);

	m->n_stack -= v != NULL;
	return v;
}

static int mark(struct machine *m)
{
	if (m->n_marks >= VALUES_MAX)
		return bad(m, "too many marks");
	m->marks = hps_grow(m->marks, m->n_marks, sizeof *m->marks);
	m->marks[m->n_marks++] = m->n_stack;
	return 0;
}

/* What lies above the last mark; they stay in place above the lowered stack until something is pushed. */
static int to_mark(struct machine *m, value ***ret, size_t *ret_n)
{
	if (!m->n_marks)
		return bad(m, "no mark");
	*ret_n = m->n_stack - m->marks[--m->n_marks];
	m->n_stack -= *ret_n;
	*ret = m->stack ? m->stack + m->n_stack : NULL;
	return 0;
}

static int add_items(struct machine *m, value *to, value **items, size_t n)
{
	if (!to || (to->kind != HPS_PICKLE_LIST && to->kind != HPS_PICKLE_SET && to->kind != HPS_PICKLE_TUPLE && to->kind != HPS_PICKLE_OBJECT))
		return bad(m, "items for what takes none");
	for (size_t i = 0; i < n; i++)
		add(&to->items, &to->n, items[i]);
	return 0;
}

static int add_pairs(struct machine *m, value *to, value **pairs, size_t n)
{
	if (!to || n % 2 || (to->kind != HPS_PICKLE_DICT && to->kind != HPS_PICKLE_OBJECT))
		return bad(m, "members for what takes none");
	for (size_t i = 0; i < n; i++)
		add(&to->pairs, &to->n_pairs, pairs[i]);
	return 0;
}

/* A container of what lies above the mark. The values are copied first: pushing the container overwrites their places. */
static int collect(struct machine *m, enum hps_pickle_kind kind)
{
	_cleanup_free_ value **copy = NULL;
	value **items, *v;
	size_t n;
	int r = to_mark(m, &items, &n);

	if (r)
		return r;
	copy = hps_alloc((n + 1) * sizeof *copy);
	if (n)
		memcpy(copy, items, n * sizeof *copy);
	r = push(m, kind, NULL, 0, &v);
	if (r)
		return r;
	return kind == HPS_PICKLE_DICT ? add_pairs(m, v, copy, n) : add_items(m, v, copy, n);
}

static int add_marked(struct machine *m, bool pairs)
{
	value **items;
	size_t n;
	int r = to_mark(m, &items, &n);

	if (r)
		return r;
	return pairs ? add_pairs(m, top(m, 0), items, n) : add_items(m, top(m, 0), items, n);
}

static int tuple(struct machine *m, size_t n)
{
	value *items[3] = { 0 }, *v;
	int r;

	for (size_t i = n; i-- > 0;) {
		items[i] = pop(m);
		if (!items[i])
			return bad(m, "the stack is empty");
	}
	r = push(m, HPS_PICKLE_TUPLE, NULL, 0, &v);
	return r ? r : add_items(m, v, items, n);
}

static int object(struct machine *m, value *callable, value *args, value *more)
{
	value *v;
	int r;

	if (!callable || !args)
		return bad(m, "the stack is empty");
	r = push(m, HPS_PICKLE_OBJECT, NULL, 0, &v);
	if (r)
		return r;
	v->callable = callable;
	v->args = args;
	v->more = more;
	return 0;
}

static int call(struct machine *m, bool with_names)
{
	value *more = with_names ? pop(m) : NULL, *args = pop(m), *callable = pop(m);

	return with_names && !more ? bad(m, "the stack is empty") : object(m, callable, args, more);
}

/* The old protocols' objects: a class and, above a mark, its arguments. */
static int old_object(struct machine *m, bool class_is_first)
{
	value *callable = class_is_first ? NULL : pop(m), *args;
	int r = collect(m, HPS_PICKLE_TUPLE);

	if (r)
		return r;
	args = pop(m);
	if (class_is_first && args && args->n) {
		callable = args->items[0];
		memmove(args->items, args->items + 1, --args->n * sizeof *args->items);
	}
	return object(m, callable, args, NULL);
}

static int build(struct machine *m)
{
	value *state = pop(m), *v = top(m, 0);

	if (!state || !v || v->kind != HPS_PICKLE_OBJECT || v->state)
		return bad(m, "a state for what takes none");
	v->state = state;
	return m->p->trailing ? m->p->trailing(v, m->b, m->err) : 0;
}

static int persistent(struct machine *m, value *id)
{
	value *v;
	int r = id ? push(m, HPS_PICKLE_PERSISTENT, NULL, 0, &v) : bad(m, "the stack is empty");

	if (!r)
		v->args = id;
	return r;
}

/* ---- memo ---- */

static int put(struct machine *m, uint64_t index)
{
	value *v = top(m, 0);

	if (!v || index >= VALUES_MAX)
		return bad(m, "it remembers nothing, or too much");
	while (m->n_memo <= index) {
		m->memo = hps_grow(m->memo, m->n_memo, sizeof *m->memo);
		m->memo[m->n_memo++] = NULL;
	}
	m->memo[index] = v;
	return 0;
}

static int get(struct machine *m, uint64_t index)
{
	return index < m->n_memo && m->memo[index] ? push_value(m, m->memo[index]) : bad(m, "it recalls what it never remembered");
}

/* ---- arguments ---- */

static int counted(struct machine *m, size_t width, enum hps_pickle_kind kind)
{
	const uint8_t *p = hps_bytes_take(m->b, width);
	size_t n = p ? hps_bytes_le(p, width) : 0;

	p = p ? hps_bytes_take(m->b, n) : NULL;
	if (!p)
		return bad(m, "it is cut off");
	return kind == HPS_PICKLE_INT ? push_long(m, p, n) : push(m, kind, p, n, NULL);
}

static int number(struct machine *m, size_t width, uint64_t *ret)
{
	const uint8_t *p = hps_bytes_take(m->b, width);

	*ret = p ? hps_bytes_le(p, width) : 0;
	return p ? 0 : bad(m, "it is cut off");
}

static int line(struct machine *m, const char **ret, size_t *ret_len)
{
	size_t left = (size_t)(m->b->end - m->b->at);
	const uint8_t *end = memchr(m->b->at, '\n', left);

	*ret = NULL;
	*ret_len = 0;
	if (!end)
		return bad(m, "it is cut off");
	*ret = (const char *)m->b->at;
	*ret_len = (size_t)(end - m->b->at);
	m->b->at = end + 1;
	return 0;
}

static int index_line(struct machine *m, uint64_t *ret)
{
	_cleanup_free_ char *copy = NULL;
	const char *text = NULL;
	size_t len = 0;
	int r = line(m, &text, &len);

	if (r)
		return r;
	copy = hps_strndup(text, len < 24 ? len : 24);
	return hps_parse_u64(copy, VALUES_MAX, ret) ? bad(m, "a place in the memo that is none") : 0;
}

/* Protocol 0 writes text as raw-unicode-escape: \\uXXXX and \\UXXXXXXXX, any other byte is a character of Latin-1. */
static int unicode_line(struct machine *m)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	const char *text = NULL;
	size_t len = 0, n;
	int r = line(m, &text, &len);

	for (size_t i = 0; !r && i < len; i++) {
		size_t digits = text[i] == '\\' && i + 1 < len ? (text[i + 1] == 'u' ? 4 : text[i + 1] == 'U' ? 8 : 0) : 0;
		uint64_t c = (unsigned char)text[i];
		char hex[9] = "";

		if (digits && len - i >= 2 + digits) {
			memcpy(hex, text + i + 2, digits);
			c = strtoul(hex, NULL, 16);
			i += 1 + digits;
		}
		hps_utf8_add(&out, (uint32_t)c);
	}
	n = out.len;
	return r ? r : out.full ? bad(m, "a text is too long") : push(m, HPS_PICKLE_STRING, hps_tree_keep(m->p->tree, hps_buf_take(&out)), n, NULL);
}

static int push_float(struct machine *m, const char *text)
{
	uint8_t *bytes = hps_tree_keep(m->p->tree, hps_alloc(8));
	double x;
	uint64_t bits;

	if (!strcmp(text, "nan"))
		x = (double)NAN;
	else if (!strcmp(text, "inf") || !strcmp(text, "-inf"))
		x = *text == '-' ? -(double)INFINITY : (double)INFINITY;
	else if (hps_parse_double(text, &x))
		return bad(m, "a number that is none");
	memcpy(&bits, &x, sizeof bits);
	for (size_t i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(bits >> (56 - 8 * i));
	return push(m, HPS_PICKLE_FLOAT, bytes, 8, NULL);
}

/* Written as text by protocol 0. */
static int text_number(struct machine *m, char op)
{
	_cleanup_free_ char *copy = NULL;
	const char *text;
	size_t len;
	int64_t n;
	int r = line(m, &text, &len);

	if (r)
		return r;
	if (op == 'I' && len == 2 && text[0] == '0' && (text[1] == '0' || text[1] == '1'))
		return push_literal(m, text[1] == '1' ? "True" : "False");
	if (op == 'L' && len && text[len - 1] == 'L')
		len--;
	copy = hps_strndup(text, len < 40 ? len : 40);
	if (op == 'F')
		return push_float(m, copy);
	if (!hps_parse_i64(copy, INT64_MIN, INT64_MAX, &n))
		return push_int(m, n);
	return push(m, HPS_PICKLE_STRING, text, len, NULL);
}

static int global_lines(struct machine *m)
{
	const char *module = NULL, *name = NULL;
	size_t module_len = 0, name_len = 0;
	int r = line(m, &module, &module_len);

	r = r ? r : line(m, &name, &name_len);
	return r ? r : push_global(m, module, module_len, name, name_len);
}

static int stack_global(struct machine *m)
{
	value *name = pop(m), *module = pop(m);

	if (!name || !module || name->kind != HPS_PICKLE_STRING || module->kind != HPS_PICKLE_STRING)
		return bad(m, "a name that is none");
	return push_global(m, module->text, module->len, name->text, name->len);
}

static int instance(struct machine *m)
{
	value *callable;
	int r = global_lines(m);

	if (r)
		return r;
	callable = pop(m);
	r = collect(m, HPS_PICKLE_TUPLE);
	return r ? r : object(m, callable, pop(m), NULL);
}

static int text_line(struct machine *m)
{
	const char *text = NULL;
	size_t len = 0;
	int r = line(m, &text, &len);

	return r ? r : push(m, HPS_PICKLE_STRING, text, len, NULL);
}

static int set_item(struct machine *m)
{
	value *pair[2] = { 0 };

	pair[1] = pop(m);
	pair[0] = pop(m);
	return pair[0] && pair[1] ? add_pairs(m, top(m, 0), pair, 2) : bad(m, "the stack is empty");
}

static int append(struct machine *m)
{
	value *item = pop(m);

	return item ? add_items(m, top(m, 0), &item, 1) : bad(m, "the stack is empty");
}

static int pop_or_mark(struct machine *m)
{
	if (m->n_marks && m->marks[m->n_marks - 1] == m->n_stack)
		m->n_marks--;
	else if (!pop(m))
		return bad(m, "the stack is empty");
	return 0;
}

/* ---- one step ---- */

/* Operations with a number behind them. */
static int step_number(struct machine *m, uint8_t op)
{
	static const struct {
		uint8_t op, width;
	} widths[] = { { 'J', 4 }, { 'K', 1 }, { 'M', 2 }, { 'h', 1 }, { 'j', 4 }, { 'q', 1 }, { 'r', 4 }, { 0x80, 1 }, { 0x82, 1 }, { 0x83, 2 }, { 0x84, 4 }, { 0x95, 8 } };
	_cleanup_free_ char *extension = NULL;
	uint64_t n = 0;
	int r = -1;

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++)
		if (widths[i].op == op)
			r = number(m, widths[i].width, &n);
	if (r)
		return r == -1 ? bad(m, "an unknown operation") : r;
	switch (op) {
	case 'J':
		return push_int(m, (int32_t)n);
	case 'K':
	case 'M':
		return push_int(m, (int64_t)n);
	case 'h':
	case 'j':
		return get(m, n);
	case 'q':
	case 'r':
		return put(m, n);
	case 0x80:
		return n > 5 ? bad(m, "an unknown protocol") : 0;
	case 0x95:
		return 0; /* a frame: how it was written, not what */
	default:
		extension = hps_format("%llu", (unsigned long long)n);
		return push_global(m, "extension", 9, extension, strlen(extension));
	}
}

static int step_text(struct machine *m, uint8_t op)
{
	const uint8_t *p;
	uint64_t index;
	int r;

	switch (op) {
	case 'F':
	case 'I':
	case 'L':
		return text_number(m, (char)op);
	case 'S':
		return text_line(m);
	case 'V':
		return unicode_line(m);
	case 'P':
		r = text_line(m);
		return r ? r : persistent(m, pop(m));
	case 'c':
		return global_lines(m);
	case 'i':
		return instance(m);
	case 'g':
	case 'p':
		r = index_line(m, &index);
		return r ? r : op == 'g' ? get(m, index) : put(m, index);
	case 'G':
		p = hps_bytes_take(m->b, 8);
		return p ? push(m, HPS_PICKLE_FLOAT, p, 8, NULL) : bad(m, "it is cut off");
	default:
		return step_number(m, op);
	}
}

static int step_counted(struct machine *m, uint8_t op)
{
	static const struct {
		uint8_t op, width;
		enum hps_pickle_kind kind;
	} counts[] = {
		{ 'T', 4, HPS_PICKLE_STRING },	 { 'U', 1, HPS_PICKLE_STRING },	  { 'X', 4, HPS_PICKLE_STRING }, { 0x8c, 1, HPS_PICKLE_STRING },
		{ 0x8d, 8, HPS_PICKLE_STRING }, { 'B', 4, HPS_PICKLE_BYTES },	  { 'C', 1, HPS_PICKLE_BYTES },	 { 0x8e, 8, HPS_PICKLE_BYTES },
		{ 0x96, 8, HPS_PICKLE_BYTES },	 { 0x8a, 1, HPS_PICKLE_INT }, { 0x8b, 4, HPS_PICKLE_INT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		if (counts[i].op == op)
			return counted(m, counts[i].width, counts[i].kind);
	return step_text(m, op);
}

static int step(struct machine *m, uint8_t op)
{
	value **items;
	size_t n;

	switch (op) {
	case '.':
		m->p->root = pop(m);
		m->stop = true;
		return m->p->root ? 0 : bad(m, "it ends with nothing");
	case '(':
		return mark(m);
	case '0':
		return pop_or_mark(m);
	case '1':
		return to_mark(m, &items, &n);
	case '2':
		return top(m, 0) ? push_value(m, top(m, 0)) : bad(m, "the stack is empty");
	case 'N':
		return push_literal(m, "None");
	case 0x88:
	case 0x89:
		return push_literal(m, op == 0x88 ? "True" : "False");
	case 'Q':
		return persistent(m, pop(m));
	case 'R':
	case 0x81:
		return call(m, false);
	case 0x92:
		return call(m, true);
	case 'o':
		return old_object(m, true);
	case 'b':
		return build(m);
	case 'a':
		return append(m);
	case 's':
		return set_item(m);
	case 'e':
	case 0x90:
	case 'u':
		return add_marked(m, op == 'u');
	case 'd':
		return collect(m, HPS_PICKLE_DICT);
	case 'l':
		return collect(m, HPS_PICKLE_LIST);
	case 't':
		return collect(m, HPS_PICKLE_TUPLE);
	case 0x91:
		return collect(m, HPS_PICKLE_SET);
	case '}':
		return push(m, HPS_PICKLE_DICT, NULL, 0, NULL);
	case ']':
		return push(m, HPS_PICKLE_LIST, NULL, 0, NULL);
	case ')':
		return push(m, HPS_PICKLE_TUPLE, NULL, 0, NULL);
	case 0x8f:
		return push(m, HPS_PICKLE_SET, NULL, 0, NULL);
	case 0x85:
	case 0x86:
	case 0x87:
		return tuple(m, op - 0x84u);
	case 0x93:
		return stack_global(m);
	case 0x94:
		return put(m, m->n_memo);
	default:
		return step_counted(m, op);
	}
}

int hps_pickle_read(struct hps_bytes *b, struct hps_pickles *p, struct hps_error *err)
{
	struct machine m = { .b = b, .p = p, .err = err };
	int r = 0;

	while (!r && !m.stop) {
		const uint8_t *op = hps_bytes_take(b, 1);

		r = op ? step(&m, *op) : bad(&m, "it is cut off");
	}
	free(m.stack);
	free(m.memo);
	free(m.marks);
	return r;
}

void hps_pickles_release(struct hps_pickles *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i]->items);
		free(p->v[i]->pairs);
		free(p->v[i]->place);
		free(p->v[i]);
	}
	free(p->v);
	p->v = NULL;
	p->n = 0;
}
