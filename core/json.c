/* JSON: jansson reads, we write (RFC 8785), because signed bytes must not follow a library's formatting. */
#include "core/core.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Nesting that the writer follows: jansson's reader stops at 2048 as well (JSON_PARSER_MAX_DEPTH). */
#define DEPTH_MAX 2048
#define INTEGER_MAX ((json_int_t)1 << 53)

int hps_json_parse(const char *text, size_t len, json_t **ret, struct hps_error *err)
{
	json_error_t e;
	json_t *j;

	if (len > HPS_JSON_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "reading JSON: %zu bytes are more than the %zu allowed", len, HPS_JSON_MAX);
	j = json_loadb(text ? text : "", len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
	if (!j)
		return hps_error_set(err, HPS_E_FORMAT, "reading JSON: line %d, column %d: %s", e.line, e.column, e.text);
	*ret = j;
	return 0;
}

/* ECMAScript Number::toString (ECMA-262, 6.1.6.1.20) from the shortest digits that read back as the same double. */
void hps_double_format(double x, char out[HPS_DOUBLE_LEN])
{
	char text[HPS_DOUBLE_LEN], digit[20];
	int n = 0, exponent, k;
	char *to = out;

	assert(isfinite(x));
	if (x == 0) {
		memcpy(out, "0", 2);
		return;
	}
	/* A normal double that has a form of 15 digits or fewer prints as that form and zeros: no need to try each length. */
	for (int precision = fabs(x) < DBL_MIN ? 0 : 14; precision < 17; precision++) {
		snprintf(text, sizeof text, "%.*e", precision, fabs(x));
		if (strtod(text, NULL) == fabs(x))
			break;
	}
	for (const char *s = text; *s != 'e'; s++)
		if (*s != '.')
			digit[n++] = *s;
	exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1; /* value = 0.digits * 10^exponent */
	while (n > 1 && digit[n - 1] == '0')
		n--;
	if (x < 0)
		*to++ = '-';
	if (exponent > 21 || exponent <= -6) {
		*to++ = digit[0];
		if (n > 1)
			*to++ = '.';
		for (k = 1; k < n; k++)
			*to++ = digit[k];
		snprintf(to, 8, "e%+d", exponent - 1);
		return;
	}
	if (exponent <= 0) {
		*to++ = '0';
		*to++ = '.';
		for (k = exponent; k < 0; k++)
			*to++ = '0';
	}
	for (k = 0; k < n || k < exponent; k++) {
		if (k == exponent && k > 0)
			*to++ = '.';
		*to++ = k < n ? digit[k] : '0';
	}
	*to = '\0';
}

static void write_text(struct hps_buf *out, const char *s, size_t len)
{
	static const char shorthand[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r' };
	size_t plain = 0;

	hps_buf_addc(out, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		hps_buf_add(out, s + plain, i - plain);
		plain = i + 1;
		if (c == '"' || c == '\\')
			hps_buf_addf(out, "\\%c", c);
		else if (c < sizeof shorthand && shorthand[c])
			hps_buf_addf(out, "\\%c", shorthand[c]);
		else
			hps_buf_addf(out, "\\u%04x", c);
	}
	hps_buf_add(out, s + plain, len - plain);
	hps_buf_addc(out, '"');
}

/* UTF-16 code unit order on UTF-8: byte order, except that F0..F4 (surrogate pairs, D800..) sort before EE and EF. */
static int compare_names(const void *a, const void *b)
{
	const unsigned char *x = *(const unsigned char *const *)a, *y = *(const unsigned char *const *)b;
	bool x_pair, y_pair;

	for (; *x && *x == *y; x++, y++)
		;
	x_pair = *x >= 0xf0;
	y_pair = *y >= 0xf0;
	if (x_pair != y_pair && (x_pair ? *y : *x) >= 0xee)
		return x_pair ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

/* One open array or object of the value being written; the writer keeps its own stack instead of recursing. */
struct frame {
	const json_t *value;
	const char **names; /* sorted, for an object */
	size_t next, n;
};

static int write_scalar(const json_t *j, struct hps_buf *out, struct hps_error *err)
{
	char text[HPS_DOUBLE_LEN];

	switch (json_typeof(j)) {
	case JSON_STRING:
		write_text(out, json_string_value(j), json_string_length(j));
		return 0;
	case JSON_INTEGER:
		if (json_integer_value(j) > INTEGER_MAX || json_integer_value(j) < -INTEGER_MAX)
			return hps_error_set(err, HPS_E_FORMAT, "writing JSON: the integer %lld is beyond 2^53; write it as a string",
					     (long long)json_integer_value(j));
		hps_buf_addf(out, "%lld", (long long)json_integer_value(j));
		return 0;
	case JSON_REAL:
		hps_double_format(json_real_value(j), text);
		hps_buf_adds(out, text);
		return 0;
	case JSON_TRUE:
		hps_buf_adds(out, "true");
		return 0;
	case JSON_FALSE:
		hps_buf_adds(out, "false");
		return 0;
	case JSON_NULL:
		hps_buf_adds(out, "null");
		return 0;
	case JSON_OBJECT:
	case JSON_ARRAY:
		break;
	}
	assert(!"a container is not a scalar");
	return HPS_E_FORMAT;
}

static void frame_open(struct frame *f, const json_t *j)
{
	const char *name;
	json_t *unused;

	*f = (struct frame){ .value = j, .n = json_is_object(j) ? json_object_size(j) : json_array_size(j) };
	if (!json_is_object(j))
		return;
	f->names = hps_alloc((f->n + 1) * sizeof *f->names);
	f->n = 0;
	/* jansson's iteration wants a non-const object but only reads it. */
	json_object_foreach((json_t *)(uintptr_t)j, name, unused)
		f->names[f->n++] = name;
	(void)unused;
	qsort(f->names, f->n, sizeof *f->names, compare_names);
}

/* The next member of f, with its separator and name written; NULL when there is none and the container is closed. */
static const json_t *frame_next(struct frame *f, struct hps_buf *out)
{
	const char *name;

	if (f->next == f->n) {
		hps_buf_addc(out, f->names ? '}' : ']');
		free(f->names);
		return NULL;
	}
	if (f->next)
		hps_buf_addc(out, ',');
	if (!f->names)
		return json_array_get(f->value, f->next++);
	name = f->names[f->next++];
	write_text(out, name, strlen(name));
	hps_buf_addc(out, ':');
	return json_object_get(f->value, name);
}

int hps_json_canonical(const json_t *value, struct hps_buf *out, struct hps_error *err)
{
	_cleanup_free_ struct frame *stack = NULL;
	size_t depth = 0;
	int r = 0;

	while (value) {
		if (json_is_object(value) || json_is_array(value)) {
			if (depth == DEPTH_MAX) {
				r = hps_error_set(err, HPS_E_LIMIT, "writing JSON: nested deeper than %d", DEPTH_MAX);
				break;
			}
			stack = hps_realloc(stack, depth + 1, sizeof *stack);
			frame_open(&stack[depth++], value);
			hps_buf_addc(out, json_is_object(value) ? '{' : '[');
		} else {
			r = write_scalar(value, out, err);
			if (r)
				break;
		}
		value = NULL;
		while (depth && !(value = frame_next(&stack[depth - 1], out)))
			depth--;
	}
	while (depth)
		free(stack[--depth].names);
	if (!r && out->full)
		r = hps_error_set(err, HPS_E_LIMIT, "writing JSON: more than %zu bytes", out->max);
	return r;
}

const json_t *hps_json_at(const json_t *j, ...)
{
	const char *name;
	va_list ap;

	va_start(ap, j);
	while (j && (name = va_arg(ap, const char *)))
		j = json_object_get(j, name);
	va_end(ap);
	return j;
}

const char *hps_json_text(const json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

int64_t hps_json_int(const json_t *j, const char *name, int64_t fallback)
{
	const json_t *member = json_object_get(j, name);

	return json_is_integer(member) ? json_integer_value(member) : fallback;
}

void hps_json_set(json_t *object, const char *name, json_t *value)
{
	if (!value || json_object_set_new(object, name, value))
		abort();
}

void hps_json_set_text(json_t *object, const char *name, const char *value)
{
	if (value)
		hps_json_set(object, name, json_string(value));
}

void hps_json_set_int(json_t *object, const char *name, int64_t value)
{
	hps_json_set(object, name, json_integer(value));
}

void hps_json_set_double(json_t *object, const char *name, double x)
{
	char text[HPS_DOUBLE_LEN];

	if (isfinite(x))
		hps_double_format(x, text);
	hps_json_set_text(object, name, isfinite(x) ? text : x < 0 ? "-Infinity" : "Infinity");
}

void hps_json_add(json_t *array, json_t *value)
{
	if (!value || json_array_append_new(array, value))
		abort();
}
