/* hps-ledger prove --study: whether a study is complete in this ledger, and if not, what is missing or too much. */
#include "ledger/cmd.h"

/* What is counted is what is signed: a ledger in which something does not hold decides nothing, nor does one that lacks witnesses
 * where the trust file is closed. */
static int verify_first(const char *dir, const char *trust, struct hps_verification *ret, struct hps_error *err)
{
	struct hps_verify_options options = { .trust = trust, .skip_objects = true };
	int r = hps_ledger_verify(dir, &options, ret, err);

	if (r)
		return r;
	if (ret->n_problems)
		return hps_error_set(err, ret->n_problems > ret->n_unread ? HPS_E_DAMAGED : HPS_E_UNDECIDED, "the ledger '%s' %s (%s); 'hps-ledger verify' names all that is wrong", dir,
				     ret->n_problems > ret->n_unread ? "does not hold" : "cannot be read here", ret->problems[0].what);
	return ret->unwitnessed && ret->closed ? hps_error_set(err, ret->unwitnessed, "the ledger '%s' is not witnessed: %s", dir, ret->unwitnessed_why) : 0;
}

/* What the trust file leaves open, and is missing for this study. */
static char *lacks(const struct hps_verification *v, const struct hps_completeness *c)
{
	return v->unwitnessed || v->witnessed <= c->last_index ? hps_verification_lacks(v) : NULL;
}

static json_t *completeness_json(const char *study, const struct hps_completeness *c, const char *unwitnessed)
{
	json_t *j = json_object(), *holes = json_array(), *counts = json_object();

	for (size_t i = 0; i < c->holes.n; i++)
		hps_json_add(holes, json_string(c->holes.v[i]));
	hps_json_set_int(counts, "complete", (int64_t)c->counts[0]);
	hps_json_set_int(counts, "failed", (int64_t)c->counts[1]);
	hps_json_set_int(counts, "killed", (int64_t)c->counts[2]);
	hps_json_set_int(counts, "lost", (int64_t)c->counts[3]);
	hps_json_set_text(j, "schema", "hps.completeness/1");
	hps_json_set_text(j, "study", study);
	hps_json_set(j, "complete", json_boolean(!c->n_holes));
	hps_json_set_int(j, "numbers", (int64_t)c->n_numbers);
	hps_json_set_int(j, "entries", (int64_t)c->n_entries);
	hps_json_set(j, "counts", counts);
	hps_json_set(j, "holes", holes);
	hps_json_set_text(j, "unwitnessed", unwitnessed);
	return j;
}

static void print_text(const char *study, const struct hps_completeness *c, const char *unwitnessed)
{
	for (size_t i = 0; i < c->holes.n; i++)
		hps_print_line("%s", c->holes.v[i]);
	if (unwitnessed)
		hps_print_line("not witnessed: %s", unwitnessed);
	if (c->n_holes)
		hps_print_line("NOT COMPLETE: study '%s' has %llu hole%s", study, (unsigned long long)c->n_holes, c->n_holes == 1 ? "" : "s");
	else
		hps_print_line("COMPLETE: study '%s', %llu numbers, each with its end, and nothing else; %llu entries", study, (unsigned long long)c->n_numbers,
			       (unsigned long long)c->n_entries);
}

int hps_prove_study(const char *dir, const char *study, const char *trust, bool json, struct hps_error *err)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_(hps_completeness_release) struct hps_completeness c = { .holes = HPS_STRV_INIT };
	_cleanup_(hps_verification_release) struct hps_verification v = { 0 };
	_cleanup_free_ char *unwitnessed = NULL;
	_cleanup_json_ json_t *j = NULL;
	int r = verify_first(dir, trust, &v, err);

	if (!r)
		r = hps_ledger_open_verified(dir, trust, &v, &l, err);
	if (!r)
		r = hps_study_complete(l, study, &c, err);
	if (r)
		return r;
	unwitnessed = lacks(&v, &c);
	if (json)
		hps_print_json(j = completeness_json(study, &c, unwitnessed));
	else
		print_text(study, &c, unwitnessed);
	return c.n_holes ? 1 : 0;
}
