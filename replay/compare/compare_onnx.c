/* .onnx (onnx/onnx.proto): the fields that hold values by name; initializers are tensors. */
#include "replay/compare/compare.h"

#include <string.h>

static const struct hps_proto_type types[] = {
	{ 1, HPS_DTYPE_FLOAT, 4 }, { 2, HPS_DTYPE_UINT, 1 },  { 3, HPS_DTYPE_INT, 1 },	 { 4, HPS_DTYPE_UINT, 2 }, { 5, HPS_DTYPE_INT, 2 },
	{ 6, HPS_DTYPE_INT, 4 },   { 7, HPS_DTYPE_INT, 8 },   { 9, HPS_DTYPE_BOOL, 1 },	 { 10, HPS_DTYPE_FLOAT, 2 }, { 11, HPS_DTYPE_FLOAT, 8 },
	{ 12, HPS_DTYPE_UINT, 4 }, { 13, HPS_DTYPE_UINT, 8 }, { 14, HPS_DTYPE_COMPLEX, 8 }, { 15, HPS_DTYPE_COMPLEX, 16 }, { 16, HPS_DTYPE_BFLOAT, 2 },
};
static const struct hps_proto_tensor tensor_numbers = { .type = 2, .dimensions = 1, .raw = 9, .types = types, .n_types = ARRAY_SIZE(types) };
static const struct hps_proto_field tensor_fields[] = {
	{ 1, "dims", HPS_PROTO_VALUE, NULL, 0 },     { 2, "data_type", HPS_PROTO_VALUE, NULL, 0 },  { 4, "float_data", HPS_PROTO_FLOATS, NULL, 0 },
	{ 8, "name", HPS_PROTO_TEXT, NULL, 0 },	     { 9, "raw_data", HPS_PROTO_VALUE, NULL, 0 }, { 10, "double_data", HPS_PROTO_DOUBLES, NULL, 0 },
	{ 12, "doc_string", HPS_PROTO_TEXT, NULL, 0 },
};
static const struct hps_proto_message tensor = { tensor_fields, ARRAY_SIZE(tensor_fields), 8, &tensor_numbers };

static const struct hps_proto_message graph;
static const struct hps_proto_field attribute_fields[] = {
	{ 1, "name", HPS_PROTO_TEXT, NULL, 0 }, { 2, "f", HPS_PROTO_VALUE, NULL, 0 },	  { 3, "i", HPS_PROTO_VALUE, NULL, 0 },
	{ 4, "s", HPS_PROTO_TEXT, NULL, 0 },	  { 5, "t", HPS_PROTO_MESSAGE, &tensor, 0 }, { 6, "g", HPS_PROTO_MESSAGE, &graph, 0 },
	{ 7, "floats", HPS_PROTO_FLOATS, NULL, 0 },
};
static const struct hps_proto_message attribute = { attribute_fields, ARRAY_SIZE(attribute_fields), 1, NULL };
static const struct hps_proto_field node_fields[] = {
	{ 1, "input", HPS_PROTO_TEXT, NULL, 0 },   { 2, "output", HPS_PROTO_TEXT, NULL, 0 },	     { 3, "name", HPS_PROTO_TEXT, NULL, 0 },
	{ 4, "op_type", HPS_PROTO_TEXT, NULL, 0 }, { 5, "attribute", HPS_PROTO_MESSAGE, &attribute, 0 }, { 6, "doc_string", HPS_PROTO_TEXT, NULL, 0 },
	{ 7, "domain", HPS_PROTO_TEXT, NULL, 0 },
};
static const struct hps_proto_message node = { node_fields, ARRAY_SIZE(node_fields), 0, NULL };
static const struct hps_proto_field graph_fields[] = {
	{ 1, "node", HPS_PROTO_MESSAGE, &node, 0 }, { 2, "name", HPS_PROTO_TEXT, NULL, 0 },	    { 5, "initializer", HPS_PROTO_MESSAGE, &tensor, 0 },
	{ 10, "doc_string", HPS_PROTO_TEXT, NULL, 0 }, { 11, "input", HPS_PROTO_VALUE, NULL, 0 }, { 12, "output", HPS_PROTO_VALUE, NULL, 0 },
};
static const struct hps_proto_message graph = { graph_fields, ARRAY_SIZE(graph_fields), 0, NULL };
static const struct hps_proto_field model_fields[] = {
	{ 1, "ir_version", HPS_PROTO_VALUE, NULL, 0 },
	{ 2, "producer_name", HPS_PROTO_TEXT, NULL, HPS_MASK_TOOL },
	{ 3, "producer_version", HPS_PROTO_TEXT, NULL, HPS_MASK_TOOL },
	{ 4, "domain", HPS_PROTO_TEXT, NULL, 0 },
	{ 5, "model_version", HPS_PROTO_VALUE, NULL, 0 },
	{ 6, "doc_string", HPS_PROTO_TEXT, NULL, 0 },
	{ 7, "graph", HPS_PROTO_MESSAGE, &graph, 0 },
	{ 8, "opset_import", HPS_PROTO_VALUE, NULL, 0 },
};
static const struct hps_proto_message model = { model_fields, ARRAY_SIZE(model_fields), 0, NULL };

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct hps_proto p = { .tree = ret, .err = err };

	return hps_proto_lay(&p, &model, "", data, len);
}

static bool fits(const char *path, const char *data, size_t len)
{
	const char *dot = strrchr(path, '.');

	(void)data;
	return len && dot && !strcmp(dot, ".onnx");
}

const struct hps_format hps_format_onnx = { "onnx", fits, decode };
