/* Deciding again: what a study handed out is what its registered specification and seed decide. */
#include "audit/audit.h"

#include <inttypes.h>
#include <string.h>

#include "core/redact.h"
#include "search/decide/decide.h"

static int digest_of(const json_t *spec, struct hps_digest *ret)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_json_canonical(spec, &text, NULL);

	if (!r)
		hps_digest_of(text.data, text.len, ret);
	return r;
}

/* NULL, or what is wrong with the registered seed. */
static const char *check_seed(const json_t *registered, struct hps_seed *ret)
{
	const json_t *spec = json_object_get(registered, "spec");
	const char *seed = hps_json_text(registered, "seed");
	struct hps_digest said, is, root;
	struct hps_seed right;

	if (!seed || strlen(seed) != 2 * sizeof ret->b || hps_unhex(ret->b, sizeof ret->b, seed))
		return "has no seed";
	if (hps_digest_parse(hps_json_text(registered, "specDigest"), &said) || digest_of(spec, &is) || !hps_digest_equal(&said, &is))
		return "has another specification than its digest says";
	if (hps_digest_parse(hps_json_text(registered, "root"), &root))
		return "does not say after which root it was registered";
	hps_seed_of_study(spec, &is, &root, &right);
	return memcmp(&right, ret, sizeof right) ? "has another seed than follows from its specification and the ledger before it" : NULL;
}

static void judge(const struct hps_slot *slot, const struct hps_space *space, const struct hps_seed *seed, struct hps_finding *f)
{
	static const struct hps_results none = { NULL, 0 };
	const json_t *commit = hps_predicate(slot->commit);
	_cleanup_(hps_decision_release) struct hps_decision d = { 0 };
	_cleanup_json_ json_t *params = json_object();
	_cleanup_free_ char *trial_seed = NULL;

	hps_decide(space, seed, &none, (uint64_t)slot->number, &d);
	for (size_t i = 0; i < space->n; i++)
		hps_json_set_text(params, space->parameters[i].name, d.values.v[i]);
	trial_seed = hps_format("%" PRIu32, d.trial_seed);
	hps_finding_check(f);
	if (!hps_redact_equal(params, json_object_get(commit, "params")))
		hps_finding_fail(f, slot->commit, "number %" PRId64 " of the study '%s' was handed out with other parameters than its registered seed decides",
				 slot->number, slot->study);
	else if (strcmp(hps_json_text(commit, "trialSeed") ?: "", trial_seed) != 0)
		hps_finding_fail(f, slot->commit, "number %" PRId64 " of the study '%s' was handed out with another seed for the trial than its registered one decides",
				 slot->number, slot->study);
}

void hps_proposals_judge(const struct hps_model *m, const struct hps_study *s, struct hps_finding *f)
{
	const json_t *registered = hps_predicate(s->registered), *spec = json_object_get(registered, "spec");
	struct hps_space space;
	struct hps_seed seed;
	const char *why;

	if (!json_object_get(spec, "space"))
		return;
	if (hps_space_from_json(spec, &space, NULL)) {
		hps_finding_unknown(f, s->registered, "this version cannot decide again what the study '%s' handed out", s->name);
		return;
	}
	why = check_seed(registered, &seed);
	if (why)
		hps_finding_fail(f, s->registered, "the study '%s' %s", s->name, why);
	for (size_t i = 0; !why && i < m->n_slots; i++)
		if (m->slots[i].commit && (uint64_t)m->slots[i].number < space.trials && !strcmp(m->slots[i].study, s->name))
			judge(&m->slots[i], &space, &seed, f);
	hps_space_release(&space);
}
