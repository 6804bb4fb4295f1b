/* hps-replay compare A B: the comparators alone. */
#include "replay/compare/compare.h"

#include <stdio.h>

struct options {
	struct hps_strv rtol, atol, unmasked;
	bool json, bits;
};

/* ---- the answer ---- */

static json_t *answer(const struct hps_outputs *o, const struct hps_tolerance *t, bool same)
{
	json_t *j = json_object(), *tolerance = hps_tolerance_json(t);

	hps_json_set_text(j, "schema", "hps.compare/1");
	hps_json_set_text(j, "verdict", same ? "SAME" : "DIFFERENT");
	hps_json_set(j, "outputs", hps_outputs_json(o));
	hps_json_set_text(tolerance, "source", t->declared || t->by_place ? "declared" : "bits");
	hps_json_set(j, "tolerance", tolerance);
	return j;
}

static int print(const struct options *o, const struct hps_outputs *outputs, const struct hps_tolerance *t, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	bool same = true;
	int r;

	for (size_t i = 0; i < outputs->n; i++)
		same = same && outputs->v[i].comparison.verdict <= HPS_OUTPUT_WITHIN;
	if (!o->json) {
		printf("%s\n", same ? "SAME" : "DIFFERENT");
		hps_report_outputs(outputs, "second", stdout);
		return !same;
	}
	j = answer(outputs, t, same);
	r = hps_json_canonical(j, &text, err);
	if (!r)
		puts(text.data);
	return r ? r : !same;
}

static int run(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = options;
	struct hps_tolerance tolerance = { 0 };
	struct hps_map by_place = HPS_MAP_INIT;
	struct hps_outputs outputs = { NULL, 0 };
	int r = hps_tolerance_read(&o->rtol, &o->atol, &tolerance, &by_place, err);

	(void)argc;
	r = r ? r : hps_unmasked_read(&o->unmasked, &tolerance.unmasked, err);
	if (!r && o->bits)
		tolerance = (struct hps_tolerance){ .unmasked = ~0u };
	r = r ? r : hps_pairs_compare(argv[0], argv[1], &tolerance, &outputs, err);
	r = r ? r : print(o, &outputs, &tolerance, err);
	hps_outputs_release(&outputs);
	hps_tolerances_release(&by_place);
	return r;
}

#define FIELD(f) offsetof(struct options, f)
static const struct hps_option options[] = {
	{ "json", 0, HPS_OPT_FLAG, FIELD(json), NULL, "print JSON (hps.compare/1)", 0 },
	{ "rtol", 0, HPS_OPT_STRINGS, FIELD(rtol), "[NAME=]X", "call numbers equal within this relative tolerance", 0 },
	{ "atol", 0, HPS_OPT_STRINGS, FIELD(atol), "[NAME=]X", "call numbers equal within this absolute tolerance", 0 },
	{ "bits", 0, HPS_OPT_FLAG, FIELD(bits), NULL, "no tolerance, no stamps: every value counts", 0 },
	{ "no-mask", 0, HPS_OPT_STRINGS, FIELD(unmasked), "KIND", "let stamps of this kind count as values ('all': of every kind)", 0 },
};
const struct hps_command hps_command_compare = { "compare", "[options] A B", "Compare two files or two directories by what they say; no ledger is needed.",
						 options,   ARRAY_SIZE(options), sizeof(struct options), 2, 2, run };
