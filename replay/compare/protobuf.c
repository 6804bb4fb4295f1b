/* Protobuf messages by a schema of rows, laid down as places. A field that no row knows is bytes at its number: nothing is left out. */
#include "replay/compare/compare.h"

#include <string.h>

#define DEPTH_MAX 64

static int walk(struct hps_proto *p, const struct hps_proto_message *m, const char *place, struct hps_bytes b);

static int bad(struct hps_proto *p, const char *place)
{
	return hps_error_set(p->err, HPS_E_FORMAT, "at '%.200s': no message", place);
}

static const struct hps_proto_field *field_of(const struct hps_proto_message *m, uint32_t number)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->fields[i].number == number)
			return &m->fields[i];
	return NULL;
}

/* What a repeated message is called by: its name, or tag. */
static char *name_of(const struct hps_proto_message *m, struct hps_bytes b)
{
	struct hps_field f;
	bool broken;

	while (m->key && hps_protobuf_next(&b, &f, &broken))
		if (f.number == m->key && f.wire == 2 && f.len && f.len < 1024 && !memchr(f.data, '\0', f.len))
			return hps_strndup((const char *)f.data, f.len);
	return NULL;
}

/* ---- tensors ---- */

static bool add_dimension(struct hps_array *a, uint64_t n)
{
	if (a->n_dimensions == HPS_DIMENSIONS_MAX)
		return false;
	a->shape[a->n_dimensions++] = n;
	return true;
}

/* Dimensions stand in the message itself, packed or one by one, or (TensorFlow) in a message of messages. */
static bool read_dimensions(const struct hps_proto_tensor *t, const struct hps_field *f, struct hps_array *a)
{
	struct hps_bytes b, inner;
	struct hps_field dimension, size;
	bool broken, good = true;
	uint64_t n;

	if (f->wire != 2)
		return add_dimension(a, f->value);
	b = (struct hps_bytes){ f->data, f->data + f->len };
	while (good && !t->nested && b.at < b.end)
		good = hps_bytes_varint(&b, &n) && add_dimension(a, n);
	while (good && t->nested && hps_protobuf_next(&b, &dimension, &broken)) {
		if (dimension.number != 2 || dimension.wire != 2)
			continue;
		inner = (struct hps_bytes){ dimension.data, dimension.data + dimension.len };
		n = 0;
		while (hps_protobuf_next(&inner, &size, &broken))
			n = size.number == 1 ? size.value : n;
		good = add_dimension(a, n);
	}
	return good;
}

/* True when the raw bytes are the numbers that type and shape ask for. */
static bool read_tensor(const struct hps_proto_tensor *t, struct hps_bytes b, const struct hps_field *raw, struct hps_array *a)
{
	uint64_t type = 0;
	struct hps_field f;
	bool broken;

	*a = (struct hps_array){ 0 };
	while (hps_protobuf_next(&b, &f, &broken)) {
		if (f.number == t->type)
			type = f.value;
		else if (f.number == t->dimensions && !read_dimensions(t, &f, a))
			return false;
	}
	for (size_t i = 0; i < t->n_types; i++)
		if (t->types[i].number == type) {
			a->dtype = t->types[i].dtype;
			a->itemsize = t->types[i].itemsize;
		}
	a->data = raw->data;
	return a->itemsize && !hps_array_lay_out(a, false) && a->n * a->itemsize == raw->len;
}

/* ---- fields ---- */

static int add_number(struct hps_proto *p, const char *place, const struct hps_field *f)
{
	struct hps_array a = { .dtype = HPS_DTYPE_FLOAT, .itemsize = f->len, .n = 1, .data = f->data };
	struct hps_token token;

	if (f->wire != 0)
		return hps_tree_add_array(p->tree, place, &a, p->err);
	token.text = hps_tree_keep(p->tree, hps_format("%lld", (long long)f->value));
	token.len = strlen(token.text);
	return hps_tree_add_numbers(p->tree, place, true, &token, 1, p->err);
}

static int add_floats(struct hps_proto *p, const char *place, const struct hps_field *f, size_t itemsize)
{
	struct hps_array a = { .dtype = HPS_DTYPE_FLOAT, .itemsize = itemsize, .n_dimensions = 1, .shape = { f->len / itemsize }, .data = f->data };

	return hps_array_lay_out(&a, false) || f->len % itemsize ? bad(p, place) : hps_tree_add_array(p->tree, place, &a, p->err);
}

static int add_field(struct hps_proto *p, const struct hps_proto_message *m, const struct hps_proto_field *row, struct hps_bytes whole, const char *place,
		     const struct hps_field *f)
{
	struct hps_array a;

	if (f->wire != 2)
		return add_number(p, place, f);
	if (row && row->kind == HPS_PROTO_MESSAGE)
		return walk(p, row->message, place, (struct hps_bytes){ f->data, f->data + f->len });
	if (row && (row->kind == HPS_PROTO_FLOATS || row->kind == HPS_PROTO_DOUBLES))
		return add_floats(p, place, f, row->kind == HPS_PROTO_FLOATS ? 4 : 8);
	if (m->tensor && f->number == m->tensor->raw && read_tensor(m->tensor, whole, f, &a))
		return hps_tree_add_array(p->tree, place, &a, p->err);
	return hps_tree_add_text(p->tree, place, row && row->kind == HPS_PROTO_TEXT ? HPS_TEXT_STRING : HPS_TEXT_BYTES, (const char *)f->data, f->len, p->err);
}

static char *place_of(const char *place, const struct hps_proto_field *row, const struct hps_field *f, size_t nth, bool *ret_named)
{
	char *name = NULL, *all;

	if (row && row->kind == HPS_PROTO_MESSAGE && f->wire == 2)
		name = name_of(row->message, (struct hps_bytes){ f->data, f->data + f->len });
	*ret_named = name != NULL;
	if (name)
		all = hps_format("%s/%s/%s", place, row->name, name);
	else if (!row)
		all = hps_format("%s/field %u[%zu]", place, f->number, nth);
	else
		all = nth ? hps_format("%s/%s[%zu]", place, row->name, nth) : hps_format("%s/%s", place, row->name);
	hps_cleanup_free(&name);
	return all;
}

static int walk(struct hps_proto *p, const struct hps_proto_message *m, const char *place, struct hps_bytes b)
{
	struct hps_bytes whole = b;
	size_t counts[64] = { 0 }, unknown = 0;
	struct hps_field f;
	bool broken = false;
	int r = 0;

	if (++p->depth > DEPTH_MAX || strlen(place) > 4096)
		return hps_error_set(p->err, HPS_E_LIMIT, "it is nested too deeply");
	while (!r && hps_protobuf_next(&b, &f, &broken)) {
		const struct hps_proto_field *row = field_of(m, f.number);
		size_t nth = row ? counts[row - m->fields]++ : unknown++;
		bool named;
		_cleanup_free_ char *below = place_of(place, row, &f, nth, &named), *again = NULL;

		if (named && hps_tree_find(p->tree, below)) /* two of one name */
			again = hps_format("%s #%zu", below, nth);
		if (named && !again && hps_tree_add_text(p->tree, below, HPS_TEXT_LITERAL, "", 0, p->err))
			return -1;
		r = add_field(p, m, row, whole, again ? again : below, &f);
		if (!r && row && row->stamp && p->tree->n)
			hps_tree_mark(p->tree, row->stamp);
	}
	p->depth--;
	return r ? r : broken ? bad(p, place) : 0;
}

int hps_proto_lay(struct hps_proto *p, const struct hps_proto_message *m, const char *place, const void *data, size_t len)
{
	return walk(p, m, place, (struct hps_bytes){ data, (const uint8_t *)data + len });
}
