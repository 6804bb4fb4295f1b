/* What several replayers say of one trial: the verdicts in the ledger, by the keys that signed them. */
#include "replay/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *verdict;
	enum hps_stance stance;
	unsigned strength; /* of those that are for: bits 4 … equivalent 1 */
} meanings[] = {
	{ "REPRODUCED-BITS", HPS_STANCE_FOR, 4 },   { "REPRODUCED-VALUES", HPS_STANCE_FOR, 3 }, { "REPRODUCED-WITHIN", HPS_STANCE_FOR, 2 },
	{ "EQUIVALENT", HPS_STANCE_FOR, 1 },	    { "DIVERGED", HPS_STANCE_AGAINST, 0 },	 { "FAILED-REPLAY", HPS_STANCE_AGAINST, 0 },
	{ "NONDETERMINISTIC", HPS_STANCE_AGAINST, 0 },
};
static const char *const required[] = { "equivalent", "within", "values", "bits" }; /* strength 1 … 4 */

const char *hps_stance_name(enum hps_stance s)
{
	static const char *const names[] = { [HPS_STANCE_OPEN] = "open", [HPS_STANCE_FOR] = "for", [HPS_STANCE_AGAINST] = "against" };

	return names[s];
}

int hps_strength_parse(const char *name, unsigned *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(required); i++)
		if (!strcmp(required[i], name)) {
			*ret = (unsigned)i + 1;
			return 0;
		}
	return -EINVAL;
}

/* Weaker than what is asked for says nothing against it. */
static enum hps_stance stance_of(const char *verdict, unsigned strength)
{
	for (size_t i = 0; verdict && i < ARRAY_SIZE(meanings); i++)
		if (!strcmp(meanings[i].verdict, verdict))
			return meanings[i].stance == HPS_STANCE_FOR && meanings[i].strength < strength ? HPS_STANCE_OPEN : meanings[i].stance;
	return HPS_STANCE_OPEN;
}

/* ---- keys ---- */

static struct hps_replayer *replayer(struct hps_agreement *a, const char *key)
{
	for (size_t i = 0; i < a->n_replayers; i++)
		if (!strcmp(a->replayers[i].key, key))
			return &a->replayers[i];
	a->replayers = hps_grow(a->replayers, a->n_replayers, sizeof *a->replayers);
	a->replayers[a->n_replayers] = (struct hps_replayer){ .key = hps_strdup(key), .recorded = !strcmp(key, a->recorder) };
	return &a->replayers[a->n_replayers++];
}

/* One word against outweighs its others: whoever reran until it fitted has not reproduced it. */
static void settle(struct hps_agreement *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct hps_replayer *r = replayer(a, a->v[i].key);

		r->n++;
		if (a->v[i].stance > r->stance)
			r->stance = a->v[i].stance;
	}
	for (size_t i = 0; i < a->n_replayers; i++)
		a->n_stances[a->replayers[i].stance]++;
}

/* ---- entries ---- */

struct reading {
	struct hps_agreement *ret;
	const char *trial;
	unsigned strength;
	const struct hps_verification *verification;
};

static bool holds(const struct hps_verification *v, uint64_t index)
{
	for (size_t i = 0; i < v->n_problems; i++)
		if (v->problems[i].index == (int64_t)index)
			return false;
	return true;
}

static char *copy(const json_t *p, const char *name)
{
	const char *text = hps_json_text(p, name);

	return text ? hps_strdup(text) : NULL;
}

static int take(const struct hps_entry *entry, void *arg, struct hps_error *err)
{
	struct reading *r = arg;
	const json_t *p = json_object_get(entry->statement, "predicate");
	const char *trial = hps_json_text(p, "hps_trial");
	struct hps_opinion *o;

	(void)err;
	if (!trial || strcmp(trial, r->trial) != 0 || !entry->keyid)
		return 0;
	if (!holds(r->verification, entry->index)) {
		r->ret->n_damaged++;
		return 0;
	}
	r->ret->v = hps_grow(r->ret->v, r->ret->n, sizeof *r->ret->v);
	o = &r->ret->v[r->ret->n++];
	*o = (struct hps_opinion){ .index = entry->index,
				   .key = hps_strdup(entry->keyid),
				   .verdict = copy(p, "hps_verdict"),
				   .level = copy(p, "hps_level"),
				   .reason = copy(p, "hps_reason"),
				   .time = copy(p, "timeVerified"),
				   .rerun = copy(p, "hps_rerun") };
	memcpy(o->id, entry->id, sizeof o->id);
	o->stance = stance_of(o->verdict, r->strength);
	return 0;
}

/* What is wrong with the whole makes every count worthless. */
static int check_whole(const struct hps_verification *v, uint64_t trial, struct hps_error *err)
{
	for (size_t i = 0; i < v->n_problems; i++)
		if (v->problems[i].index < 0 || (uint64_t)v->problems[i].index == trial)
			return hps_error_set(err, v->problems[i].unread ? HPS_E_UNDECIDED : HPS_E_DAMAGED, "verifying the ledger: %s; 'hps-ledger verify' tells more", v->problems[i].what);
	return 0;
}

int hps_agreement_read(struct hps_ledger *l, const char *id, unsigned strength, const char *trust, struct hps_agreement *ret, struct hps_error *err)
{
	const struct hps_verify_options options = { .trust = trust, .skip_objects = true };
	struct hps_filter filter = HPS_FILTER_ANY;
	struct hps_verification verification = { 0 };
	struct hps_entry trial = { 0 };
	struct reading reading = { .ret = ret, .strength = strength, .verification = &verification };
	int r = hps_ledger_find_trial(l, id, &trial, err);

	filter.kind = "verdict";
	r = r ? r : hps_ledger_verify(hps_ledger_dir(l), &options, &verification, err);
	r = r ? r : check_whole(&verification, trial.index, err);
	if (!r) {
		memcpy(ret->trial, trial.id, sizeof ret->trial);
		ret->recorder = hps_strdup(trial.keyid ? trial.keyid : "");
		reading.trial = trial.id;
		r = hps_ledger_each(l, &filter, take, &reading, err);
	}
	if (!r)
		settle(ret);
	hps_verification_release(&verification);
	hps_entry_release(&trial);
	return r;
}

enum hps_agreed hps_agreement_conclude(const struct hps_agreement *a, uint64_t quorum)
{
	uint64_t yes = a->n_stances[HPS_STANCE_FOR], no = a->n_stances[HPS_STANCE_AGAINST];

	if (!no)
		return yes && yes >= quorum ? HPS_AGREED : HPS_AGREED_TOO_FEW;
	return quorum && yes >= quorum && yes > no ? HPS_AGREED_QUORUM : HPS_AGREED_DISPUTED;
}

void hps_agreement_release(struct hps_agreement *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].key);
		free(a->v[i].verdict);
		free(a->v[i].level);
		free(a->v[i].reason);
		free(a->v[i].time);
		free(a->v[i].rerun);
	}
	for (size_t i = 0; i < a->n_replayers; i++)
		free(a->replayers[i].key);
	free(a->v);
	free(a->replayers);
	free(a->recorder);
	*a = (struct hps_agreement){ 0 };
}
