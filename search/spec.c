/* Strict YAML: libyaml's events become a tree of nodes with their places in the file. The only file that knows libyaml. What the
 * keys mean is study.c's business. */
#include "search/search.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 16
#define NODES_MAX 100000
#define MEMBERS_MAX 1000 /* of one map: each new key is compared with all before it */

struct reader {
	const char *file, *text;
	size_t len;
	struct hps_error *err;
	struct hps_document *document;
	struct hps_node *open[DEPTH_MAX]; /* the containers around the next node */
	struct hps_node *last[DEPTH_MAX]; /* the newest child of each */
	size_t depth;
	char *key; /* a map's key that waits for its value */
	struct hps_mark key_mark;
};

static struct hps_mark mark_of(yaml_mark_t m)
{
	return (struct hps_mark){ m.line + 1, m.column + 1 };
}

static int refuse(struct reader *r, struct hps_mark mark, const char *what)
{
	return hps_error_set(r->err, HPS_E_USAGE, "%s:%zu:%zu: %s", r->file, mark.line, mark.column, what);
}

/* ---- the core schema ---- */

static bool one_of(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(text, words[i]))
			return true;
	}
	return false;
}

static size_t digits(const char *s)
{
	return strspn(s, "0123456789");
}

static bool is_int(const char *s)
{
	if (s[0] == '0' && (s[1] == 'o' || s[1] == 'x'))
		return s[2] && !s[2 + strspn(s + 2, s[1] == 'o' ? "01234567" : "0123456789abcdefABCDEF")];
	s += *s == '-' || *s == '+';
	return *s && !s[digits(s)];
}

static bool is_float(const char *s)
{
	size_t whole, fraction = 0;

	s += *s == '-' || *s == '+';
	if (!strcmp(s, ".inf") || !strcmp(s, ".Inf") || !strcmp(s, ".INF"))
		return true;
	whole = digits(s);
	s += whole;
	if (*s == '.') {
		fraction = digits(s + 1);
		s += 1 + fraction;
	}
	if (!whole && !fraction)
		return false;
	if (*s == 'e' || *s == 'E') {
		s += 1 + (s[1] == '-' || s[1] == '+');
		return *s && !s[digits(s)];
	}
	return !*s;
}

static enum hps_node_type plain_type(const char *text)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
	static const char *const bools[] = { "true", "True", "TRUE", "false", "False", "FALSE" };
	static const char *const nans[] = { ".nan", ".NaN", ".NAN" };

	if (one_of(text, nulls, ARRAY_SIZE(nulls)))
		return HPS_NODE_NULL;
	if (one_of(text, bools, ARRAY_SIZE(bools)))
		return HPS_NODE_BOOL;
	if (is_int(text))
		return HPS_NODE_INT;
	return is_float(text) || one_of(text, nans, ARRAY_SIZE(nans)) ? HPS_NODE_FLOAT : HPS_NODE_TEXT;
}

/* ---- the tree ---- */

const struct hps_node *hps_node_at(const struct hps_node *map, const char *key)
{
	for (const struct hps_node *n = map->type == HPS_NODE_MAP ? map->first : NULL; n; n = n->next) {
		if (!strcmp(n->key, key))
			return n;
	}
	return NULL;
}

void hps_document_release(struct hps_document *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->all[i]->key);
		free(d->all[i]->text);
		free(d->all[i]);
	}
	free(d->all);
	*d = (struct hps_document){ NULL, NULL, 0 };
}

static struct hps_node *node_new(struct hps_document *d, enum hps_node_type type, struct hps_mark mark)
{
	struct hps_node *n = hps_alloc(sizeof(*n));

	n->type = type;
	n->mark = mark;
	if (!(d->n & (d->n - 1))) /* a power of two: full */
		d->all = hps_realloc(d->all, d->n ? 2 * d->n : 1, sizeof(struct hps_node *));
	d->all[d->n++] = n;
	return n;
}

static int take_key(struct reader *r, struct hps_mark mark, const char *text, bool plain)
{
	if (plain && !strcmp(text, "<<"))
		return refuse(r, mark, "merge keys ('<<') are not used in study files: write the keys out");
	if (hps_node_at(r->open[r->depth - 1], text)) {
		_cleanup_free_ char *what = hps_format("key '%s' is given twice", text);

		return refuse(r, mark, what);
	}
	r->key = hps_strdup(text);
	r->key_mark = mark;
	return 0;
}

static int attach(struct reader *r, struct hps_node *n)
{
	struct hps_node *parent = r->depth ? r->open[r->depth - 1] : NULL;

	n->key = hps_take(r->key);
	n->key_mark = r->key_mark;
	if (r->document->n > NODES_MAX)
		return refuse(r, n->mark, "the study file has more than 100,000 values");
	if (!parent) {
		r->document->root = n;
		return 0;
	}
	if (r->last[r->depth - 1])
		r->last[r->depth - 1]->next = n;
	else
		parent->first = n;
	r->last[r->depth - 1] = n;
	if (++parent->n > MEMBERS_MAX && parent->type == HPS_NODE_MAP)
		return refuse(r, n->key_mark, "a map has more than 1,000 keys");
	return 0;
}

static bool key_is_next(const struct reader *r)
{
	return r->depth && r->open[r->depth - 1]->type == HPS_NODE_MAP && !r->key;
}

static int open_container(struct reader *r, enum hps_node_type type, struct hps_mark mark)
{
	struct hps_node *n;
	int result;

	if (key_is_next(r))
		return refuse(r, mark, "a key must be one word, not a list or map");
	if (r->depth == DEPTH_MAX)
		return refuse(r, mark, "nested more than 16 levels deep");
	n = node_new(r->document, type, mark);
	result = attach(r, n);
	r->open[r->depth] = n;
	r->last[r->depth++] = NULL;
	return result;
}

static int add_scalar(struct reader *r, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct hps_mark mark = mark_of(e->start_mark);
	struct hps_node *n;

	if (strlen(text) != e->data.scalar.length)
		return refuse(r, mark, "a text holds a NUL character");
	if (key_is_next(r))
		return take_key(r, mark, text, plain);
	n = node_new(r->document, plain ? plain_type(text) : HPS_NODE_TEXT, mark);
	n->text = hps_strdup(text);
	return attach(r, n);
}

/* ---- the events ---- */

static int refuse_extras(struct reader *r, const yaml_event_t *e, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		return refuse(r, mark_of(e->start_mark), "anchors ('&name') are not used in study files: write the value out");
	if (tag)
		return refuse(r, mark_of(e->start_mark), "tags ('!name') are not used in study files; quote a text that looks like a number");
	return 0;
}

static int start_document(struct reader *r, const yaml_event_t *e)
{
	if (r->document->root)
		return refuse(r, mark_of(e->start_mark), "a second document: a study file holds one");
	if (e->data.document_start.version_directive || e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
		return refuse(r, mark_of(e->start_mark), "directives ('%') are not used in study files");
	return 0;
}

static int take_event(struct reader *r, const yaml_event_t *e)
{
	struct hps_mark mark = mark_of(e->start_mark);

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return start_document(r, e);
	case YAML_ALIAS_EVENT:
		return refuse(r, mark, "aliases ('*name') are not used in study files: write the value out");
	case YAML_SCALAR_EVENT:
		if (refuse_extras(r, e, e->data.scalar.anchor, e->data.scalar.tag))
			return HPS_E_USAGE;
		return add_scalar(r, e);
	case YAML_SEQUENCE_START_EVENT:
		if (refuse_extras(r, e, e->data.sequence_start.anchor, e->data.sequence_start.tag))
			return HPS_E_USAGE;
		return open_container(r, HPS_NODE_LIST, mark);
	case YAML_MAPPING_START_EVENT:
		if (refuse_extras(r, e, e->data.mapping_start.anchor, e->data.mapping_start.tag))
			return HPS_E_USAGE;
		return open_container(r, HPS_NODE_MAP, mark);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return 0;
	default:
		return 0;
	}
}

/* libyaml says what it stumbled over; what people did to get there is mostly one of these. */
static const char *hint(const char *problem)
{
	static const struct {
		const char *problem, *hint;
	} hints[] = {
		{ "did not find expected ',' or", "; quote a word that holds {, }, [, ] or a comma" },
		{ "mapping values are not allowed", "; quote a text that holds ': '" },
		{ "could not find expected ':'", "; a key is written 'key: value'" },
		{ "a tab character", "; indent with spaces" },
		{ "cannot start any token", "; indent with spaces, and quote a text that starts with a special character" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(hints); i++) {
		if (strstr(problem, hints[i].problem))
			return hints[i].hint;
	}
	return "";
}

/* libyaml counts lines only of what it has decoded, and it decodes ahead. */
static struct hps_mark mark_at(const struct reader *r, size_t offset)
{
	struct hps_mark mark = { 1, 1 };

	for (size_t i = 0; i < offset && i < r->len; i++) {
		mark.column += ((unsigned char)r->text[i] & 0xc0) != 0x80;
		if (r->text[i] == '\n')
			mark = (struct hps_mark){ mark.line + 1, 1 };
	}
	return mark;
}

static int syntax_error(struct reader *r, const yaml_parser_t *p)
{
	const char *problem = p->problem ? p->problem : "not YAML";
	_cleanup_free_ char *what = NULL;

	if (p->error == YAML_MEMORY_ERROR)
		abort();
	if (p->error == YAML_READER_ERROR) {
		what = hps_format("not UTF-8 text: %s at byte %zu", problem, p->problem_offset);
		return refuse(r, mark_at(r, p->problem_offset), what);
	}
	what = hps_format("%s%s%s%s", p->context ? p->context : "", p->context ? ": " : "", problem, hint(problem));
	return refuse(r, mark_of(p->problem_mark), what);
}

static int read_events(struct reader *r, yaml_parser_t *p)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	int result = 0;

	while (!result && type != YAML_STREAM_END_EVENT) {
		yaml_event_t e;

		if (!yaml_parser_parse(p, &e))
			return syntax_error(r, p);
		type = e.type;
		result = take_event(r, &e);
		yaml_event_delete(&e);
	}
	return result;
}

int hps_document_parse(const char *file, const char *text, size_t len, struct hps_document *ret, struct hps_error *err)
{
	struct hps_document document = { NULL, NULL, 0 };
	size_t mark = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0; /* of byte order, as some editors write */
	struct reader r = { .file = file, .text = text + mark, .len = len - mark, .err = err, .document = &document };
	struct hps_mark start = { 1, 1 };
	yaml_parser_t parser;
	int result;

	if (len > HPS_STUDY_FILE_MAX)
		return refuse(&r, start, "the study file is larger than 1 MiB");
	if (!yaml_parser_initialize(&parser))
		abort(); /* out of memory */
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)r.text, r.len);
	result = read_events(&r, &parser);
	yaml_parser_delete(&parser);
	free(r.key);
	if (!result && !document.root)
		result = refuse(&r, start, "the study file is empty");
	if (result) {
		hps_document_release(&document);
		return result;
	}
	*ret = document;
	return 0;
}
