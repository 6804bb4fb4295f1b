/* Which decoder reads a file: the first of the table that fits both and reads both. What none reads is opaque. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>

/* In this order; the first that fits both and reads both decides. */
static const struct hps_format *const formats[] = {
	&hps_format_npy,	 &hps_format_torch,  &hps_format_zip,	   &hps_format_sqlite, &hps_format_hdf5,     &hps_format_png,
	&hps_format_parquet, &hps_format_events, &hps_format_onnx,   &hps_format_ubj,    &hps_format_rds,
	&hps_format_pickle, &hps_format_pyc, &hps_format_gzip, &hps_format_safetensors, &hps_format_lightgbm, &hps_format_json, &hps_format_csv,    &hps_format_text,
};

const struct hps_format *hps_format_at(size_t i)
{
	return i < ARRAY_SIZE(formats) ? formats[i] : NULL;
}

const struct hps_format *hps_format_named(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(formats); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}

static bool fits(const struct hps_format *f, const char *path, const struct hps_buf *a)
{
	return f->fits(path, a->data ? a->data : "", a->len);
}

static void give_up(struct hps_comparison *c, const struct hps_format *f, const char *whose, const struct hps_error *err)
{
	free(c->note);
	c->note = hps_format("%s is not read as %s: %s", whose, f->name, err->message);
}

static void damaged(struct hps_comparison *c, const struct hps_format *f, int first, int second)
{
	c->verdict = HPS_OUTPUT_STRUCTURE;
	c->place = hps_strdup(f->name);
	c->original = hps_strdup(first ? "damaged" : "whole");
	c->rerun = hps_strdup(second ? "damaged" : "whole");
}

/* True when this format has decided. */
static bool try_format(const struct hps_format *f, const struct hps_buf *a, const struct hps_buf *b, const struct hps_mapping *of_a,
		       const struct hps_mapping *of_b, const struct hps_tolerance *t, struct hps_comparison *c)
{
	_cleanup_error_ struct hps_error err_a = HPS_ERROR_INIT, err_b = HPS_ERROR_INIT;
	_cleanup_tree_ struct hps_tree x = HPS_TREE_INIT, y = HPS_TREE_INIT;
	int r, s;

	x.mapping = *of_a;
	y.mapping = *of_b;
	r = f->decode(a->data ? a->data : "", a->len, &x, &err_a);
	s = f->decode(b->data ? b->data : "", b->len, &y, &err_b);

	if (r)
		give_up(c, f, "the first", &err_a);
	else if (s)
		give_up(c, f, "the second", &err_b);
	if (r && s)
		return false;
	c->format = f->name;
	if (r || s)
		damaged(c, f, r, s);
	else
		hps_compare_trees(&x, &y, t, c);
	return true;
}

static void opaque(const struct hps_buf *a, const struct hps_buf *b, struct hps_comparison *c)
{
	size_t at = 0;

	while (at < a->len && at < b->len && a->data[at] == b->data[at])
		at++;
	c->verdict = HPS_OUTPUT_OPAQUE;
	c->n_different = 1;
	c->place = hps_format("byte %zu", at);
	c->original = at < a->len ? hps_format("0x%02x of %zu bytes", (unsigned char)a->data[at], a->len) : hps_format("the end (%zu bytes)", a->len);
	c->rerun = at < b->len ? hps_format("0x%02x of %zu bytes", (unsigned char)b->data[at], b->len) : hps_format("the end (%zu bytes)", b->len);
}

void hps_compare_mapped(const char *path, const struct hps_buf *a, const struct hps_buf *b, const struct hps_mapping *of_a,
			const struct hps_mapping *of_b, const struct hps_tolerance *tolerance, struct hps_comparison *ret)
{
	*ret = (struct hps_comparison){ .verdict = HPS_OUTPUT_IDENTICAL };
	if (a->len == b->len && hps_bytes_same(a->data, b->data, a->len, of_a, of_b))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (fits(formats[i], path, a) && fits(formats[i], path, b) && try_format(formats[i], a, b, of_a, of_b, tolerance, ret))
			return;
	opaque(a, b, ret);
}

void hps_compare_data(const char *path, const struct hps_buf *a, const struct hps_buf *b, const struct hps_tolerance *tolerance,
		      struct hps_comparison *ret)
{
	static const struct hps_mapping none = { NULL, 0 };

	hps_compare_mapped(path, a, b, &none, &none, tolerance, ret);
}
