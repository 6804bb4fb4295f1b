/* hps-replay verdicts ID: who says what of a trial, and whether enough agree. */
#include "replay/replay.h"

#include <string.h>

struct options {
	const char *ledger, *trust, *required;
	uint64_t quorum;
	bool json;
};

static const struct {
	const char *name;
	int exit;
} conclusions[] = { [HPS_AGREED] = { "AGREED", 0 }, [HPS_AGREED_QUORUM] = { "QUORUM", 0 }, [HPS_AGREED_DISPUTED] = { "DISPUTED", 1 }, [HPS_AGREED_TOO_FEW] = { "TOO-FEW", 4 } };

static json_t *opinion_json(const struct hps_opinion *o)
{
	json_t *j = json_object();

	hps_json_set_int(j, "index", (int64_t)o->index);
	hps_json_set_text(j, "id", o->id);
	hps_json_set_text(j, "key", o->key);
	hps_json_set_text(j, "time", o->time);
	hps_json_set_text(j, "verdict", o->verdict);
	hps_json_set_text(j, "level", o->level);
	hps_json_set_text(j, "reason", o->reason);
	hps_json_set_text(j, "rerun", o->rerun);
	hps_json_set_text(j, "stance", hps_stance_name(o->stance));
	return j;
}

static json_t *replayer_json(const struct hps_replayer *r)
{
	json_t *j = json_object();

	hps_json_set_text(j, "key", r->key);
	hps_json_set_text(j, "stance", hps_stance_name(r->stance));
	hps_json_set_int(j, "verdicts", (int64_t)r->n);
	hps_json_set(j, "signedTheTrial", json_boolean(r->recorded));
	return j;
}

static json_t *answer(const struct options *o, const struct hps_agreement *a, enum hps_agreed conclusion)
{
	json_t *j = json_object(), *verdicts = json_array(), *replayers = json_array();

	for (size_t i = 0; i < a->n; i++)
		hps_json_add(verdicts, opinion_json(&a->v[i]));
	for (size_t i = 0; i < a->n_replayers; i++)
		hps_json_add(replayers, replayer_json(&a->replayers[i]));
	hps_json_set_text(j, "schema", "hps.verdicts/1");
	hps_json_set_text(j, "trial", a->trial);
	hps_json_set_text(j, "conclusion", conclusions[conclusion].name);
	hps_json_set_text(j, "required", o->required ? o->required : "equivalent");
	if (o->quorum)
		hps_json_set_int(j, "quorum", (int64_t)o->quorum);
	for (enum hps_stance s = HPS_STANCE_OPEN; s < HPS_STANCE_N; s++)
		hps_json_set_int(j, hps_stance_name(s), (int64_t)a->n_stances[s]);
	hps_json_set_int(j, "damaged", (int64_t)a->n_damaged);
	hps_json_set(j, "replayers", replayers);
	hps_json_set(j, "verdicts", verdicts);
	return j;
}

static void cell(struct hps_table *t, const char *text, int most)
{
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;
	_cleanup_free_ char *cut = hps_format("%.*s", most, text ? text : "");

	hps_term_escape(&safe, cut, strlen(cut));
	hps_table_cell(t, safe.data ? safe.data : "");
}

static bool recorded(const struct hps_agreement *a, const char *key)
{
	return !strcmp(a->recorder, key);
}

static void print(const struct hps_agreement *a, enum hps_agreed conclusion, FILE *out)
{
	static const char *const heads[] = { "ENTRY", "KEY", "VERDICT", "LEVEL", "WHEN", "REASON" };
	struct hps_table t = { .cells = HPS_STRV_INIT, .columns = ARRAY_SIZE(heads) };
	bool own = false;

	fprintf(out, "%s: trial %.12s: of %zu replayers (keys) %llu reproduced it, %llu did not, %llu do not know\n", conclusions[conclusion].name, a->trial, a->n_replayers,
		(unsigned long long)a->n_stances[HPS_STANCE_FOR], (unsigned long long)a->n_stances[HPS_STANCE_AGAINST], (unsigned long long)a->n_stances[HPS_STANCE_OPEN]);
	if (a->n_damaged)
		fprintf(out, "  %llu verdicts do not verify and are not counted; 'hps-ledger verify' says why\n", (unsigned long long)a->n_damaged);
	if (!a->n)
		return;
	fputc('\n', out);
	for (size_t i = 0; i < t.columns; i++)
		hps_table_cell(&t, heads[i]);
	for (size_t i = 0; i < a->n; i++) {
		const struct hps_opinion *o = &a->v[i];
		_cleanup_free_ char *entry = hps_format("@%llu", (unsigned long long)o->index), *key = hps_format("%.12s%s", o->key, recorded(a, o->key) ? "*" : "");

		own = own || recorded(a, o->key);
		hps_table_cell(&t, entry);
		hps_table_cell(&t, key);
		cell(&t, o->verdict, 20);
		cell(&t, o->level, 4);
		cell(&t, o->time, 19);
		cell(&t, o->reason, 80);
	}
	hps_table_print(&t, out);
	if (own)
		fputs("* the key that signed the trial itself\n", out);
}

static int give(const struct options *o, const struct hps_agreement *a, struct hps_error *err)
{
	enum hps_agreed conclusion = hps_agreement_conclude(a, o->quorum);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	int r = 0;

	if (o->json) {
		j = answer(o, a, conclusion);
		r = hps_json_canonical(j, &text, err);
		if (!r)
			puts(text.data);
	} else {
		print(a, conclusion, stdout);
	}
	return r ? r : conclusions[conclusion].exit;
}

static int run(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = options;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	struct hps_agreement a = { 0 };
	unsigned strength = 1;
	int r = 0;

	(void)argc;
	if (o->required && hps_strength_parse(o->required, &strength))
		return hps_error_set(err, HPS_E_USAGE, "option --require: '%s' is none of bits, values, within, equivalent", o->required);
	r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);
	r = r ? r : hps_agreement_read(l, argv[0], strength, o->trust, &a, err);
	r = r ? r : give(o, &a, err);
	hps_agreement_release(&a);
	return r;
}

#define FIELD(f) offsetof(struct options, f)
static const struct hps_option options[] = {
	{ "ledger", 'l', HPS_OPT_STRING, FIELD(ledger), "DIR", "the ledger (default: HPS_LEDGER, else the state directory)", 0 },
	{ "json", 0, HPS_OPT_FLAG, FIELD(json), NULL, "print JSON (hps.verdicts/1)", 0 },
	{ "quorum", 0, HPS_OPT_U64, FIELD(quorum), "K", "enough when K different keys reproduced it, and more than did not", 0 },
	{ "require", 0, HPS_OPT_STRING, FIELD(required), "WHAT", "what counts as reproduced: bits, values, within, equivalent (all)", 0 },
	{ "trust", 0, HPS_OPT_STRING, FIELD(trust), "FILE", "trust the keys in FILE instead of the ledger's own trust file", 0 },
};
const struct hps_command hps_command_verdicts = { "verdicts", "[options] ID", "Show every verdict on a trial and whether the replayers agree.",
						  options,    ARRAY_SIZE(options), sizeof(struct options), 1, 1, run };
