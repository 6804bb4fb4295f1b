/* What came of comparing several outputs: for people and as JSON. */
#include "replay/compare/compare.h"

#include <stdlib.h>

void hps_outputs_release(struct hps_outputs *o)
{
	for (size_t i = 0; i < o->n; i++) {
		free(o->v[i].path);
		free(o->v[i].original);
		free(o->v[i].rerun);
		hps_comparison_release(&o->v[i].comparison);
	}
	free(o->v);
	*o = (struct hps_outputs){ NULL, 0 };
}

static char *describe(const struct hps_comparison *c, const char *second)
{
	if (c->place && c->verdict == HPS_OUTPUT_WITHIN)
		return hps_format("%llu of %llu values differ, scaled maximum %.3g", (unsigned long long)c->n_different, (unsigned long long)c->n_values,
				  c->scaled_max);
	if (c->place)
		return hps_format("at %s: '%s', %s '%s'", c->place, c->original, second, c->rerun);
	if (!c->note)
		for (enum hps_mask m = 0; m < HPS_MASK_N; m++)
			if (c->masked[m])
				return hps_format("but for stamps, the first a %s at %s (--json has all)", hps_mask_name(m), c->masked_first[m]);
	return hps_strdup(c->note ? c->note : "");
}

void hps_report_outputs(const struct hps_outputs *o, const char *second, FILE *out)
{
	struct hps_table t = { .cells = HPS_STRV_INIT, .columns = 3 };

	if (!o->n)
		return;
	fputc('\n', out);
	hps_table_cell(&t, "OUTPUT");
	hps_table_cell(&t, "VERDICT");
	hps_table_cell(&t, "");
	for (size_t i = 0; i < o->n; i++) {
		_cleanup_free_ char *text = describe(&o->v[i].comparison, second);

		hps_table_cell(&t, o->v[i].path);
		hps_table_cell(&t, hps_output_verdict_name(o->v[i].comparison.verdict));
		hps_table_cell(&t, text);
	}
	hps_table_print(&t, out);
}

static json_t *output_json(const struct hps_output *o)
{
	const struct hps_comparison *c = &o->comparison;
	_cleanup_json_ json_t *masked = NULL;
	json_t *j = json_object();

	hps_json_set_text(j, "path", o->path);
	hps_json_set_text(j, "verdict", hps_output_verdict_name(c->verdict));
	hps_json_set_text(j, "format", c->format);
	hps_json_set_text(j, "originalDigest", o->original);
	hps_json_set_text(j, "rerunDigest", o->rerun);
	if (c->place) {
		hps_json_set(j, "place", hps_path_json(c->place));
		hps_json_set(j, "original", hps_path_json(c->original));
		hps_json_set(j, "rerun", hps_path_json(c->rerun));
	}
	if (c->note)
		hps_json_set(j, "note", hps_path_json(c->note));
	masked = hps_masked_json(c);
	if (json_array_size(masked))
		hps_json_set(j, "masked", json_incref(masked));
	if (c->n_values) {
		hps_json_set_int(j, "values", (int64_t)c->n_values);
		hps_json_set_int(j, "different", (int64_t)c->n_different);
	}
	if (c->n_values && c->n_different) {
		hps_json_set_double(j, "relativeL2", c->relative_l2);
		hps_json_set_double(j, "scaledMax", c->scaled_max);
		hps_json_set_double(j, "maxDifference", c->max_difference);
	}
	return j;
}

json_t *hps_outputs_json(const struct hps_outputs *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < o->n; i++)
		hps_json_add(list, output_json(&o->v[i]));
	return list;
}
