/* hps-replay compare A B: the comparators alone. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

struct options {
	struct hps_strv rtol, atol, unmasked;
	bool json, bits;
};

/* ---- tolerances ---- */

static struct hps_tolerance *of_place(struct hps_map *by_place, const char *name)
{
	void **slot = hps_map_slot(by_place, name);

	if (!*slot) {
		struct hps_tolerance *t = hps_alloc(sizeof *t);

		t->declared = true;
		*slot = t;
	}
	return *slot;
}

/* "1e-6" for all, "loss=1e-3" for one metric, column or tensor. */
static int read_one(const char *option, const char *text, bool relative, struct hps_tolerance *general, struct hps_map *by_place, struct hps_error *err)
{
	const char *equals = strrchr(text, '=');
	_cleanup_free_ char *name = equals ? hps_strndup(text, (size_t)(equals - text)) : NULL;
	struct hps_tolerance *t = name ? of_place(by_place, name) : general;
	double x;

	if (hps_parse_double(equals ? equals + 1 : text, &x) || x < 0)
		return hps_error_set(err, HPS_E_USAGE, "option --%s: '%s' is no tolerance: a number that is not negative, or NAME=NUMBER", option, text);
	*(relative ? &t->rtol : &t->atol) = x;
	t->declared = true;
	return 0;
}

int hps_tolerance_read(const struct hps_strv *rtol, const struct hps_strv *atol, struct hps_tolerance *ret, struct hps_map *by_place, struct hps_error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < rtol->n; i++)
		r = read_one("rtol", rtol->v[i], true, ret, by_place, err);
	for (size_t i = 0; !r && i < atol->n; i++)
		r = read_one("atol", atol->v[i], false, ret, by_place, err);
	ret->by_place = by_place->n ? by_place : NULL;
	return r;
}

int hps_unmasked_read(const struct hps_strv *kinds, unsigned *ret, struct hps_error *err)
{
	for (size_t i = 0; i < kinds->n; i++) {
		enum hps_mask m = hps_mask_named(kinds->v[i]);

		if (!m && strcmp(kinds->v[i], "all") != 0)
			return hps_error_set(err, HPS_E_USAGE, "option --no-mask: '%s' is no kind of stamp; known are all, time, duration, host, pid, path, id, address, tool",
					     kinds->v[i]);
		*ret |= m ? HPS_MASK_BIT(m) : ~0u;
	}
	return 0;
}

/* ---- the answer ---- */

static json_t *answer(const struct hps_outputs *o, const struct hps_tolerance *t, bool same)
{
	json_t *j = json_object(), *tolerance = json_object();
	char text[HPS_DOUBLE_LEN];

	hps_json_set_text(j, "schema", "hps.compare/1");
	hps_json_set_text(j, "verdict", same ? "SAME" : "DIFFERENT");
	hps_json_set(j, "outputs", hps_outputs_json(o));
	hps_json_set_text(tolerance, "source", t->declared || t->by_place ? "declared" : "bits");
	hps_double_format(t->rtol, text);
	hps_json_set_text(tolerance, "rtol", text);
	hps_double_format(t->atol, text);
	hps_json_set_text(tolerance, "atol", text);
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
		hps_report_outputs(outputs, stdout);
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
