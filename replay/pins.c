/* Numeric knobs: what the recorded environment left to the libraries, they choose by the processor. Where this one is another, variables
 * make them choose as they did; where it is the same, nothing is added to what the trial had. Afterwards both records are compared. */
#include "replay/replay.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static const char *value_of(const struct hps_entry *trial, const char *name)
{
	return hps_json_text(hps_identity_find(trial, name), "value");
}

static bool is_set(const struct hps_strv *environment, const char *item)
{
	size_t n = strcspn(item, "=") + 1;

	for (size_t i = 0; i < environment->n; i++)
		if (!strncmp(environment->v[i], item, n))
			return true;
	return false;
}

/* "2 of 8": how many the trial could use; 0: not recorded. */
static size_t recorded_processors(const struct hps_original *o)
{
	const char *count = value_of(&o->trial, "cpu.count");
	_cleanup_free_ char *first = count ? hps_strndup(count, strcspn(count, " ")) : NULL;
	uint64_t n;

	return !first || hps_parse_u64(first, CPU_SETSIZE, &n) ? 0 : (size_t)n;
}

void hps_pins_choose(const struct hps_original *o, struct hps_strv *ret)
{
	unsigned was = hps_cpu_level_number(value_of(&o->trial, "cpu.isa")), is = hps_cpu_level_number(hps_cpu_level_here());
	_cleanup_strv_ struct hps_strv all = HPS_STRV_INIT;
	size_t processors = recorded_processors(o);
	cpu_set_t here;

	if (was && is > was)
		hps_pins_instructions(was, &all);
	/* More than it had are taken away from it; fewer cannot be made more, but threads can. */
	if (processors && !sched_getaffinity(0, sizeof here, &here) && (size_t)CPU_COUNT(&here) < processors)
		hps_pins_threads(processors, &all);
	for (size_t i = 0; i < all.n; i++)
		if (!is_set(&o->environment, all.v[i]))
			hps_strv_add(ret, all.v[i]);
}

static bool is_knob(const char *name)
{
	static const char *const facts[] = { ".threads", ".kernel", ".config", ".kind" };
	const char *last = strrchr(name, '.');

	if (strncmp(name, "blas.", 5) != 0 && strncmp(name, "openmp.", 7) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		if (!strcmp(last, facts[i]))
			return true;
	return false;
}

void hps_pins_check(const struct hps_original *o, const struct hps_entry *rerun, const struct hps_strv *pins, struct hps_holes *ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)hps_json_at(o->trial.statement, "predicate", "identities", NULL), i, item) {
		const char *name = hps_json_text(item, "name"), *was = hps_json_text(item, "value"), *is = name ? value_of(rerun, name) : NULL;
		_cleanup_free_ char *why = NULL;

		if (!name || !was || !is_knob(name) || (is && !strcmp(was, is)))
			continue;
		why = hps_format("it was '%.80s', in the rerun '%.80s'", was, is ? is : "not known");
		hps_hole_add(ret, name, why);
	}
	for (i = 0; i < pins->n; i++) {
		_cleanup_free_ char *what = hps_strndup(pins->v[i], strcspn(pins->v[i], "="));

		hps_hole_add(ret, what, "set for the rerun, so that the libraries choose what they chose on the other processor; that it was this is inferred from its kind");
	}
}
