/* What the two records do not know, and what that does to the verdict. Each gap says itself what it may
 * hide (docs/FORMATS.md, "coverage"). */
#include "replay/replay.h"

#include <string.h>

#define REFUSED "calls were refused by the sandbox" /* as the recorder's gap.c has it */

/* A gap that does not say what it may hide may hide anything. */
static enum hps_blindness blindness_of(const json_t *gap)
{
	static const char *const names[] = { [HPS_BLIND_NOTHING] = "nothing", [HPS_BLIND_INPUTS] = "inputs", [HPS_BLIND_OUTPUTS] = "outputs" };
	const char *hides = hps_json_text(gap, "hides");

	for (size_t i = 0; hides && i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], hides))
			return (enum hps_blindness)i;
	return HPS_BLIND_OUTPUTS;
}

/* Those that the gap names. */
static char *names_of(const json_t *gap)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	const json_t *name;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)hps_json_at(gap, "names", NULL), i, name)
		hps_buf_addf(&b, "%s%s", i ? ", " : "", json_is_string(name) ? json_string_value(name) : "");
	return b.len ? hps_buf_take(&b) : NULL;
}

char *hps_coverage_refused(const json_t *coverage)
{
	const json_t *gap;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)hps_json_at(coverage, "gaps", NULL), i, gap) {
		const char *what = hps_json_text(gap, "what");

		if (what && !strcmp(what, REFUSED))
			return names_of(gap);
	}
	return NULL;
}

void hps_coverage_check(const json_t *coverage, const char *whose, struct hps_holes *ret, enum hps_blindness *worst, char **ret_first)
{
	const json_t *gap, *list = hps_json_at(coverage, "gaps", NULL);
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, gap) {
		const char *what = hps_json_text(gap, "what"), *why = hps_json_text(gap, "why");
		enum hps_blindness blindness = blindness_of(gap);
		_cleanup_free_ char *names = names_of(gap), *text = hps_format("%s: %s%s%s", whose, why ? why : "", names ? ": " : "", names ? names : "");

		hps_hole_add(ret, what ? what : "coverage", text);
		if (blindness == HPS_BLIND_OUTPUTS && !*ret_first)
			*ret_first = hps_format("%s: %s", whose, what ? what : "a gap without a name");
		*worst = blindness > *worst ? blindness : *worst;
	}
	if (json_is_true(hps_json_at(coverage, "complete", NULL)) || json_array_size(list))
		return;
	hps_hole_add(ret, "coverage", "the record does not say what it did not see");
	*worst = HPS_BLIND_OUTPUTS;
	if (!*ret_first)
		*ret_first = hps_format("%s: it is not said what", whose);
}
