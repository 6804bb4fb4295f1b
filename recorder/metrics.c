/* What the trial reported: a JSON object, or JSON lines. */
#include "recorder/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define METRICS_MAX ((size_t)64 << 20)
#define NAMES_MAX 10000
#define DEPTH_MAX 16

static int set(json_t *metrics, const char *name, const json_t *value, struct hps_error *err)
{
	char text[HPS_DOUBLE_LEN];

	if (json_object_size(metrics) >= NAMES_MAX && !json_object_get(metrics, name))
		return hps_error_set(err, HPS_E_LIMIT, "more than %d metrics", NAMES_MAX);
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
		if (json_is_number(member)) {
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

static int add_text(const char *text, size_t len, json_t *metrics, struct hps_error *err)
{
	_cleanup_json_ json_t *value = NULL;
	int r = hps_json_parse(text, len, &value, err);

	if (r)
		return r;
	if (!json_is_object(value))
		return hps_error_set(err, HPS_E_FORMAT, "metrics must be a JSON object, or one object a line");
	return flatten(metrics, value, err);
}

/* Line by line; a last line without its end may be one that the trial was killed in, and is left out when it does not parse. */
static int add_lines(const char *text, json_t *metrics, struct hps_error *err)
{
	for (unsigned number = 1; *text; number++) {
		size_t len = strcspn(text, "\n");
		bool last = !text[len] && number > 1;
		int r = strspn(text, " \t\r") >= len ? 0 : add_text(text, len, metrics, last ? NULL : err);

		if (r && !last)
			return hps_error_prefix(err, "line %u", number);
		text += len + (text[len] == '\n');
	}
	return 0;
}

int hps_metrics_read(const char *path, json_t *metrics, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r;

	hps_buf_init(&text, METRICS_MAX);
	r = hps_file_read(AT_FDCWD, path, METRICS_MAX, &text, err);
	if (r == -ENOENT || (!r && !text.len)) {
		if (err)
			hps_error_release(err);
		return 0;
	}
	if (!r && add_text(text.data, text.len, metrics, NULL))
		r = add_lines(text.data, metrics, err);
	return r ? hps_error_prefix(err, "reading the metrics '%s'", path) : 0;
}
