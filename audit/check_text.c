/* `hps-audit check` for people: the ledger, the table of rules, what offends, one line that sums up. */
#include "audit/audit.h"

#include <inttypes.h>
#include <string.h>

static void line(FILE *out, const char *label, const char *text)
{
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;

	hps_term_escape(&safe, text, strlen(text));
	fprintf(out, "%-7s %s\n", label, safe.data ? safe.data : "");
}

static void heading(const struct hps_source *s, const struct hps_findings *f, FILE *out)
{
	const struct hps_verification *v = &s->verification;
	_cleanup_free_ char *ledger = hps_format("%s: %" PRIu64 " entries, root %.16s…, %s", v->origin ?: s->dir, v->size, v->root,
						 f->damaged ? "DAMAGED" : "verified");
	size_t n = s->model.n_trials, n_studies = hps_model_n_named(&s->model);
	_cleanup_free_ char *scope = s->model.only ? hps_format("%s: %zu run%s", s->model.only, n, n == 1 ? "" : "s")
						   : hps_format("all: %zu stud%s, %zu run%s", n_studies, n_studies == 1 ? "y" : "ies", n, n == 1 ? "" : "s");

	line(out, "ledger", ledger);
	line(out, "study", scope);
}

static void rules(const struct hps_findings *f, FILE *out)
{
	struct hps_table table = { .columns = 4, .right = 1 << 2 };

	hps_table_cell(&table, "RULE");
	hps_table_cell(&table, "OUTCOME");
	hps_table_cell(&table, "CHECKED");
	hps_table_cell(&table, "WHAT HOLDS WHEN IT PASSES");
	for (size_t i = 0; i < f->n; i++) {
		_cleanup_free_ char *n = hps_format("%" PRIu64, f->items[i].n_checked);

		hps_table_cell(&table, f->items[i].rule->id);
		hps_table_cell(&table, hps_outcome_name(f->items[i].outcome));
		hps_table_cell(&table, n);
		hps_table_cell(&table, f->items[i].rule->title);
	}
	hps_table_print(&table, out);
}

#define SHOWN 5

static void offenders(const struct hps_finding *f, FILE *out)
{
	size_t shown = f->n_offenders < SHOWN ? f->n_offenders : SHOWN;
	uint64_t left = f->n_failed + f->n_unknown - shown;

	for (size_t i = 0; i < shown; i++) {
		const struct hps_offender *o = &f->offenders[i];
		_cleanup_free_ char *where = o->index >= 0 ? hps_format("@%" PRId64 " %.12s", o->index, o->id) : hps_strdup("ledger");
		_cleanup_free_ char *text = hps_format("%s  %-7s %s: %s", f->rule->id, o->failed ? "fail" : "unknown", where, o->why);
		_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;

		hps_term_escape(&safe, text, strlen(text));
		fprintf(out, "%s\n", safe.data);
	}
	if (left)
		fprintf(out, "%s  and %" PRIu64 " more\n", f->rule->id, left);
}

static void verdict(const struct hps_source *s, const struct hps_findings *f, FILE *out)
{
	fprintf(out, "%zu pass, %zu fail, %zu unknown, %zu not applicable: ", f->count[HPS_OUTCOME_PASS], f->count[HPS_OUTCOME_FAIL],
		f->count[HPS_OUTCOME_UNKNOWN], f->count[HPS_OUTCOME_NA]);
	if (f->damaged)
		fprintf(out, "the ledger is damaged; 'hps-ledger verify' names each place\n");
	else if (f->count[HPS_OUTCOME_NA] == f->n)
		fprintf(out, "there is nothing to judge yet\n");
	else if (f->count[HPS_OUTCOME_FAIL])
		fprintf(out, "these records do not support all that the rules ask for\n");
	else
		fprintf(out, "these records support evidence for every rule that %s\n", f->count[HPS_OUTCOME_UNKNOWN] ? "could be decided" : "applies");
	if (s->model.n_unread)
		fprintf(out, "%zu entries could not be read; the rules saw the others\n", s->model.n_unread);
}

void hps_check_text(const struct hps_source *s, const struct hps_findings *f, FILE *out)
{
	heading(s, f, out);
	fputc('\n', out);
	rules(f, out);
	if (f->count[HPS_OUTCOME_FAIL] || f->count[HPS_OUTCOME_UNKNOWN])
		fputc('\n', out);
	for (size_t i = 0; i < f->n; i++)
		offenders(&f->items[i], out);
	fputc('\n', out);
	verdict(s, f, out);
}
