/* TensorBoard event files: TFRecord frames, each with two masked CRC-32Cs (tensorflow/core/lib/io/record_writer), of Event messages
 * (tensorflow/core/util/event.proto). Wall times are stamps. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_HEAD 12
#define FRAME_TAIL 4

static const struct hps_proto_type types[] = {
	{ 1, HPS_DTYPE_FLOAT, 4 }, { 2, HPS_DTYPE_FLOAT, 8 }, { 3, HPS_DTYPE_INT, 4 },	{ 4, HPS_DTYPE_UINT, 1 },	{ 5, HPS_DTYPE_INT, 2 },
	{ 6, HPS_DTYPE_INT, 1 },   { 8, HPS_DTYPE_COMPLEX, 8 }, { 9, HPS_DTYPE_INT, 8 },	{ 10, HPS_DTYPE_BOOL, 1 },	{ 14, HPS_DTYPE_BFLOAT, 2 },
	{ 17, HPS_DTYPE_UINT, 2 }, { 18, HPS_DTYPE_COMPLEX, 16 }, { 19, HPS_DTYPE_FLOAT, 2 }, { 22, HPS_DTYPE_UINT, 4 }, { 23, HPS_DTYPE_UINT, 8 },
};
static const struct hps_proto_tensor tensor_numbers = { .type = 1, .dimensions = 2, .nested = true, .raw = 4, .types = types, .n_types = ARRAY_SIZE(types) };
static const struct hps_proto_field tensor_fields[] = {
	{ 1, "dtype", HPS_PROTO_VALUE, NULL, 0 },	  { 2, "shape", HPS_PROTO_VALUE, NULL, 0 },	{ 4, "content", HPS_PROTO_VALUE, NULL, 0 },
	{ 5, "float_val", HPS_PROTO_FLOATS, NULL, 0 }, { 6, "double_val", HPS_PROTO_DOUBLES, NULL, 0 }, { 8, "string_val", HPS_PROTO_TEXT, NULL, 0 },
};
static const struct hps_proto_message tensor = { tensor_fields, ARRAY_SIZE(tensor_fields), 0, &tensor_numbers };
static const struct hps_proto_field histogram_fields[] = {
	{ 1, "min", HPS_PROTO_VALUE, NULL, 0 },		{ 2, "max", HPS_PROTO_VALUE, NULL, 0 }, { 3, "num", HPS_PROTO_VALUE, NULL, 0 }, { 4, "sum", HPS_PROTO_VALUE, NULL, 0 },
	{ 5, "sum_squares", HPS_PROTO_VALUE, NULL, 0 }, { 6, "bucket_limit", HPS_PROTO_DOUBLES, NULL, 0 }, { 7, "bucket", HPS_PROTO_DOUBLES, NULL, 0 },
};
static const struct hps_proto_message histogram = { histogram_fields, ARRAY_SIZE(histogram_fields), 0, NULL };
static const struct hps_proto_field value_fields[] = {
	{ 1, "tag", HPS_PROTO_TEXT, NULL, 0 },	      { 2, "simple_value", HPS_PROTO_VALUE, NULL, 0 }, { 4, "image", HPS_PROTO_VALUE, NULL, 0 },
	{ 5, "histo", HPS_PROTO_MESSAGE, &histogram, 0 }, { 7, "node_name", HPS_PROTO_TEXT, NULL, 0 },   { 8, "tensor", HPS_PROTO_MESSAGE, &tensor, 0 },
	{ 9, "metadata", HPS_PROTO_VALUE, NULL, 0 },
};
static const struct hps_proto_message value = { value_fields, ARRAY_SIZE(value_fields), 1, NULL };
static const struct hps_proto_field summary_fields[] = { { 1, "value", HPS_PROTO_MESSAGE, &value, 0 } };
static const struct hps_proto_message summary = { summary_fields, ARRAY_SIZE(summary_fields), 0, NULL };
static const struct hps_proto_field event_fields[] = {
	{ 1, "wall_time", HPS_PROTO_VALUE, NULL, HPS_MASK_TIME },	{ 2, "step", HPS_PROTO_VALUE, NULL, 0 },
	{ 3, "file_version", HPS_PROTO_TEXT, NULL, 0 },		{ 5, "summary", HPS_PROTO_MESSAGE, &summary, 0 },
	{ 10, "source_metadata", HPS_PROTO_VALUE, NULL, HPS_MASK_TOOL },
};
static const struct hps_proto_message event = { event_fields, ARRAY_SIZE(event_fields), 0, NULL };

/* CRC-32C (RFC 3720, B.4), masked as TFRecord has it. */
static uint32_t masked_crc(const uint32_t table[256], const uint8_t *p, size_t n)
{
	uint32_t c = UINT32_MAX;

	while (n--)
		c = table[(c ^ *p++) & 0xff] ^ c >> 8;
	c = ~c;
	return (c >> 15 | c << 17) + 0xa282ead8u;
}

static void fill_table(uint32_t table[256])
{
	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int k = 0; k < 8; k++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78u : table[i] >> 1;
	}
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct hps_bytes b = { (const uint8_t *)data, (const uint8_t *)data + len };
	struct hps_proto p = { .tree = ret, .err = err };
	uint32_t table[256];
	size_t n = 0;
	int r = 0;

	fill_table(table);
	while (!r && b.at < b.end) {
		const uint8_t *head = hps_bytes_take(&b, FRAME_HEAD), *body = head ? hps_bytes_take(&b, hps_bytes_le(head, 8)) : NULL;
		const uint8_t *tail = body ? hps_bytes_take(&b, FRAME_TAIL) : NULL;
		_cleanup_free_ char *place = hps_format("event %zu", n++);
		size_t size = head ? hps_bytes_le(head, 8) : 0;

		if (!tail)
			return hps_error_set(err, HPS_E_FORMAT, "%s: it is cut off", place);
		if (masked_crc(table, head, 8) != hps_bytes_le(head + 8, 4) || masked_crc(table, body, size) != hps_bytes_le(tail, 4))
			return hps_error_set(err, HPS_E_DAMAGED, "%s is damaged (CRC)", place);
		r = hps_proto_lay(&p, &event, place, body, size);
	}
	return r;
}

static bool fits(const char *path, const char *data, size_t len)
{
	uint32_t table[256];

	(void)path;
	if (len < FRAME_HEAD + FRAME_TAIL)
		return false;
	fill_table(table);
	return masked_crc(table, (const uint8_t *)data, 8) == hps_bytes_le((const uint8_t *)data + 8, 4);
}

const struct hps_format hps_format_events = { "events", fits, decode };
