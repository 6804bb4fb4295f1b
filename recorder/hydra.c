/* What Hydra wrote into a run's folder: the resolved configuration and the overrides that led to it. The one file of recorder/ that
 * knows YAML. Only scalars are parameters; anchors and tags are followed by nobody here. */
#include "recorder/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define FILE_MAX ((size_t)1 << 20)
#define DEPTH_MAX 32

struct frame {
	bool list, key; /* key: the next scalar is one */
	size_t prefix, n;
};
struct reader {
	json_t *rows;
	const char *source, *origin;
	struct frame stack[DEPTH_MAX];
	size_t depth;
	struct hps_buf name;
};

static void cut(struct hps_buf *name, size_t len)
{
	name->len = len;
	if (name->data)
		name->data[len] = '\0';
}

/* The place of the value that comes now: behind a key, or the next of a list. */
static void enter(struct reader *y)
{
	struct frame *f = y->depth ? &y->stack[y->depth - 1] : NULL;

	if (!f || !f->list)
		return;
	cut(&y->name, f->prefix);
	if (f->prefix)
		hps_buf_addc(&y->name, '.');
	hps_buf_addf(&y->name, "%zu", f->n++);
}

static void leave(struct reader *y)
{
	struct frame *f = y->depth ? &y->stack[y->depth - 1] : NULL;

	if (f && !f->list)
		f->key = true;
}

static void take_key(struct reader *y, const char *key, size_t len)
{
	struct frame *f = &y->stack[y->depth - 1];

	cut(&y->name, f->prefix);
	if (f->prefix)
		hps_buf_addc(&y->name, '.');
	hps_buf_add(&y->name, key, len);
	f->key = false;
}

static void take_scalar(struct reader *y, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;

	if (y->depth && !y->stack[y->depth - 1].list && y->stack[y->depth - 1].key) {
		take_key(y, text, e->data.scalar.length);
		return;
	}
	enter(y);
	if (!strcmp(y->origin, "hydra.override"))
		hps_parameters_word(y->rows, text, NULL, y->origin);
	else if (y->name.len && y->name.data)
		hps_parameter_add(y->rows, y->name.data, text, y->origin, y->source);
	leave(y);
}

static int open_frame(struct reader *y, bool list, struct hps_error *err)
{
	enter(y);
	if (y->depth == DEPTH_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "nested deeper than %d", DEPTH_MAX);
	y->stack[y->depth++] = (struct frame){ .list = list, .key = !list, .prefix = y->name.len };
	return 0;
}

static int take(struct reader *y, const yaml_event_t *e, struct hps_error *err)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		take_scalar(y, e);
		return 0;
	case YAML_ALIAS_EVENT:
		enter(y);
		leave(y);
		return 0;
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return open_frame(y, e->type == YAML_SEQUENCE_START_EVENT, err);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		cut(&y->name, y->stack[--y->depth].prefix);
		leave(y);
		return 0;
	default:
		return 0;
	}
}

static int parse(struct reader *y, const struct hps_buf *text, struct hps_error *err)
{
	yaml_parser_t parser;
	yaml_event_t event;
	bool end = false;
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text->data ? text->data : ""), text->len);
	while (!r && !end) {
		if (!yaml_parser_parse(&parser, &event)) {
			r = hps_error_set(err, HPS_E_FORMAT, "line %zu: %s", parser.problem_mark.line + 1, parser.problem ? parser.problem : "no YAML");
			break;
		}
		end = event.type == YAML_STREAM_END_EVENT || event.type == YAML_DOCUMENT_END_EVENT;
		r = take(y, &event, err);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return r;
}

bool hps_hydra_is(const char *path)
{
	size_t n = strlen(path);

	return (n > 19 && !strcmp(path + n - 19, "/.hydra/config.yaml")) || (n > 22 && !strcmp(path + n - 22, "/.hydra/overrides.yaml"));
}

int hps_hydra_read(const char *path, json_t *rows, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct reader y = { .rows = rows, .source = path, .origin = strstr(path, "/overrides.yaml") ? "hydra.override" : "hydra.config", .name = HPS_BUF_INIT };
	int r;

	hps_buf_init(&text, FILE_MAX);
	r = hps_file_read(AT_FDCWD, path, FILE_MAX, &text, err);
	if (!r)
		r = parse(&y, &text, err);
	hps_buf_release(&y.name);
	return r ? hps_error_prefix(err, "reading Hydra's '%s'", path) : 0;
}
