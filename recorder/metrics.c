/* What the trial reported: a JSON object, or JSON lines. */
#include "recorder/identity.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define METRICS_MAX ((size_t)64 << 20)
#define NAMES_MAX 10000
#define NAME_MAX_BYTES ((size_t)256) /* 10,000 of them fit into a statement */
#define DEPTH_MAX 16
#define TOKEN_MAX 400 /* bytes: more than the digits of the largest double */
#define BEYOND '\0' /* begins the text that stands for a number JSON has not, until it is flattened */

/* ---- numbers that JSON has not ---- */

/* NULL when the token is a number that JSON has and we can hold, or no number at all. */
static const char *beyond_json(const char *token, char ret[HPS_DOUBLE_LEN])
{
	static const struct {
		const char *word, *says;
	} words[] = { { "nan", "NaN" }, { "inf", "Infinity" }, { "infinity", "Infinity" } };
	bool negative = *token == '-';
	int64_t unused;
	double x = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(token + negative, words[i].word))
			return negative && i ? "-Infinity" : words[i].says;
	if (!strchr("0123456789", token[negative]) || !token[negative])
		return NULL;
	r = hps_parse_double(token, &x);
	if (r == -ERANGE)
		return negative ? "-Infinity" : "Infinity";
	if (r || strpbrk(token, ".eE") || hps_parse_i64(token, INT64_MIN, INT64_MAX, &unused) != -ERANGE)
		return NULL;
	hps_double_format(x, ret);
	return ret;
}

static size_t string_length(const char *text, size_t len)
{
	size_t n = 1;

	while (n < len && text[n] != '"')
		n += text[n] == '\\' ? 2 : 1;
	return n < len ? n + 1 : len;
}

/* The text with what is beyond JSON written as texts that begin with BEYOND; false when there is nothing of the kind. Whoever writes such
 * a text himself has said the same. */
static bool rewrite(const char *text, size_t len, struct hps_buf *ret)
{
	bool any = false;

	for (size_t i = 0, n; i < len; i += n) {
		char token[TOKEN_MAX + 1], number[HPS_DOUBLE_LEN];
		const char *says;

		for (n = 0; i + n < len && (isalnum((unsigned char)text[i + n]) || (text[i + n] && strchr("+-.", text[i + n])));)
			n++;
		memcpy(token, text + i, n < TOKEN_MAX ? n : 0);
		token[n < TOKEN_MAX ? n : 0] = '\0';
		says = n ? beyond_json(token, number) : NULL;
		n = n ? n : text[i] == '"' ? string_length(text + i, len - i) : 1;
		if (says)
			hps_buf_addf(ret, "\"\\u0000%s\"", says);
		else
			hps_buf_add(ret, text + i, n);
		any |= says != NULL;
	}
	return any;
}

int hps_metrics_parse(const char *text, size_t len, json_t **ret, struct hps_error *err)
{
	_cleanup_error_ struct hps_error first = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf again = HPS_BUF_INIT;

	if (!hps_json_parse(text, len, ret, &first))
		return 0;
	hps_buf_init(&again, HPS_JSON_MAX);
	if (len <= METRICS_MAX && rewrite(text, len, &again) && !again.full)
		return hps_json_parse(again.data, again.len, ret, err);
	return hps_json_parse(text, len, ret, err);
}

const char *hps_metrics_beyond(const json_t *value)
{
	return json_string_length(value) && *json_string_value(value) == BEYOND ? json_string_value(value) + 1 : NULL;
}

static bool is_metric(const json_t *value)
{
	return json_is_number(value) || hps_metrics_beyond(value);
}

/* ---- their names ---- */

static int set(json_t *metrics, const char *name, const json_t *value, struct hps_error *err)
{
	char text[HPS_DOUBLE_LEN];

	if (json_object_size(metrics) >= NAMES_MAX && !json_object_get(metrics, name))
		return hps_error_set(err, HPS_E_LIMIT, "more than %d metrics", NAMES_MAX);
	if (hps_metrics_beyond(value)) {
		hps_json_set_text(metrics, name, hps_metrics_beyond(value));
		return 0;
	}
	if (json_is_integer(value))
		snprintf(text, sizeof text, "%" PRId64, (int64_t)json_integer_value(value));
	else
		hps_double_format(json_real_value(value), text);
	hps_json_set_text(metrics, name, text);
	return 0;
}

/* Numbers of `value` under their joined names; texts, truth values, nulls and lists are no metrics. The stack has its ceiling, so
 * that a hostile file cannot nest without end. */
static int flatten(json_t *metrics, json_t *value, struct hps_error *err)
{
	struct {
		json_t *object;
		void *at;
		size_t prefix;
	} stack[DEPTH_MAX] = { { value, json_object_iter(value), 0 } };
	_cleanup_buf_ struct hps_buf name = HPS_BUF_INIT;
	size_t depth = 1;
	int r = 0;

	while (depth && !r) {
		void *at = stack[depth - 1].at;
		json_t *member;

		if (!at) {
			depth--;
			continue;
		}
		stack[depth - 1].at = json_object_iter_next(stack[depth - 1].object, at);
		member = json_object_iter_value(at);
		name.len = stack[depth - 1].prefix;
		hps_buf_adds(&name, json_object_iter_key(at));
		if (name.len > NAME_MAX_BYTES)
			return hps_error_set(err, HPS_E_LIMIT, "the name of a metric is longer than %zu bytes", NAME_MAX_BYTES);
		if (is_metric(member)) {
			r = set(metrics, name.data, member, err);
		} else if (json_is_object(member)) {
			if (depth == DEPTH_MAX)
				return hps_error_set(err, HPS_E_LIMIT, "metrics are nested deeper than %d", DEPTH_MAX);
			hps_buf_addc(&name, '.');
			stack[depth].object = member;
			stack[depth].at = json_object_iter(member);
			stack[depth++].prefix = name.len;
		}
	}
	return r;
}

/* One step of a pointer: ~1 is a slash, ~0 a tilde. */
static void unescape_step(const char *step, size_t len, struct hps_buf *ret)
{
	hps_buf_reset(ret);
	for (size_t i = 0; i < len; i++) {
		bool escaped = step[i] == '~' && i + 1 < len;

		i += escaped;
		hps_buf_addc(ret, escaped && step[i] == '1' ? '/' : escaped && step[i] == '0' ? '~' : step[i]);
	}
	hps_buf_addc(ret, '\0');
	ret->len--;
}

/* RFC 6901. NULL when the value has no such part; the last step stays in `step`. */
static json_t *follow(json_t *value, const char *pointer, struct hps_buf *step)
{
	while (value && *pointer == '/') {
		size_t len = strcspn(++pointer, "/");
		uint64_t at;

		unescape_step(pointer, len, step);
		pointer += len;
		if (json_is_array(value))
			value = hps_parse_u64(step->data, SIZE_MAX, &at) == 0 ? json_array_get(value, at) : NULL;
		else
			value = json_object_get(value, step->data);
	}
	return value;
}

static int add_text(const char *text, size_t len, const char *pointer, json_t *metrics, struct hps_error *err)
{
	_cleanup_json_ json_t *value = NULL;
	_cleanup_buf_ struct hps_buf step = HPS_BUF_INIT;
	json_t *part;
	int r = hps_metrics_parse(text, len, &value, err);

	if (r)
		return r;
	part = pointer ? follow(value, pointer, &step) : value;
	if (pointer && !part)
		return hps_error_set(err, HPS_E_NOTFOUND, "there is nothing at '%s'", pointer);
	if (pointer && is_metric(part))
		return set(metrics, step.data, part, err);
	if (!json_is_object(part))
		return hps_error_set(err, HPS_E_FORMAT, "metrics must be a JSON object, or one object a line");
	return flatten(metrics, part, err);
}

/* Line by line; a last line without its end may be one that the trial was killed in, and is left out when it does not parse. */
static int add_lines(const char *text, const char *pointer, json_t *metrics, struct hps_error *err)
{
	bool found = false;

	for (unsigned number = 1; *text; number++) {
		size_t len = strcspn(text, "\n");
		bool last = !text[len] && number > 1;
		bool blank = strspn(text, " \t\r") >= len;
		int r = blank ? 0 : add_text(text, len, pointer, metrics, last || pointer ? NULL : err);

		found |= !blank && !r;
		if (r && !last && !pointer)
			return hps_error_prefix(err, "line %u", number);
		text += len + (text[len] == '\n');
	}
	return pointer && !found ? hps_error_set(err, HPS_E_NOTFOUND, "no line has a number at '%s'", pointer) : 0;
}

int hps_metrics_add(json_t *metrics, json_t *object, struct hps_error *err)
{
	return flatten(metrics, object, err);
}

void hps_metrics_split(const char *option, char **ret_path, const char **ret_pointer)
{
	const char *colon = NULL;

	for (const char *at = option; access(option, F_OK) && (at = strstr(at, ":/")); at++)
		colon = at;
	*ret_path = colon ? hps_strndup(option, (size_t)(colon - option)) : hps_strdup(option);
	*ret_pointer = colon ? colon + 1 : NULL;
}

/* What a file gave, whole or up to where it could not be read. */
static int merge(json_t *metrics, const json_t *own, struct hps_error *err)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)own, name, value) {
		if (json_object_size(metrics) >= NAMES_MAX && !json_object_get(metrics, name))
			return hps_error_set(err, HPS_E_LIMIT, "more than %d metrics", NAMES_MAX);
		hps_json_set(metrics, name, json_incref(value));
	}
	return 0;
}

int hps_metrics_read(const char *path, const char *pointer, json_t *metrics, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *own = json_object();
	int r;

	hps_buf_init(&text, METRICS_MAX);
	r = hps_file_read(AT_FDCWD, path, METRICS_MAX, &text, err);
	if (r == -ENOENT || (!r && (!text.len || strspn(text.data, " \t\r\n") == text.len))) {
		if (err)
			hps_error_release(err);
		return 0;
	}
	if (!r && add_text(text.data, text.len, pointer, own, NULL))
		r = memchr(text.data, '\0', text.len) ? hps_error_set(err, HPS_E_FORMAT, "there is a NUL byte in it: was it cut short while somebody wrote to it?")
						      : add_lines(text.data, pointer, own, err);
	if (!r && !json_object_size(own))
		r = hps_error_set(err, HPS_E_FORMAT, "there is no number in it (texts, truth values and lists are none)");
	if (merge(metrics, own, r ? NULL : err) && !r)
		r = HPS_E_LIMIT;
	return r ? hps_error_prefix(err, "reading the metrics '%s'", path) : 0;
}
