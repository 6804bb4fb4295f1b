/* The verdict and the plan for people. */
#include "replay/replay.h"

#include <string.h>

#define SHOWN 20  /* rows */
#define FOLDED 4 /* more than this with one reason are one row */
#define VARIABLE "variable "

static void print_text(FILE *out, const char *label, const char *text)
{
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;

	hps_term_escape(&safe, text, strlen(text));
	fprintf(out, "%s%s\n", label, safe.data ? safe.data : "");
}

/* How many from the i-th on have the same reason, one after the other. */
static size_t run_length(const struct hps_holes *h, size_t i)
{
	size_t n = 1;

	while (i + n < h->n && !strcmp(h->v[i + n].why, h->v[i].why))
		n++;
	return n;
}

/* Variables that are not there are named, all of them: any may be the one that matters. */
static char *folded(const struct hps_holes *h, size_t i, size_t n, char **ret_why)
{
	_cleanup_buf_ struct hps_buf names = HPS_BUF_INIT;
	size_t word = strlen(VARIABLE);

	*ret_why = NULL;
	if (strncmp(h->v[i].what, VARIABLE, word) != 0)
		return hps_format("  %s and %zu more", h->v[i].what, n - 1);
	for (size_t k = i; k < i + n; k++)
		hps_buf_addf(&names, "%s%s", k > i ? ", " : "", !strncmp(h->v[k].what, VARIABLE, word) ? h->v[k].what + word : h->v[k].what);
	*ret_why = hps_format("%s: %s", h->v[i].why, names.data);
	return hps_format("  %zu variables", n);
}

static void print_holes(FILE *out, const char *heading, const struct hps_holes *h, bool fold)
{
	struct hps_table t = { .cells = HPS_STRV_INIT, .columns = 2 };
	size_t rows = 0, i = 0;

	if (!h->n)
		return;
	fprintf(out, "\n%s\n", heading);
	for (size_t n; i < h->n && rows < SHOWN; i += n, rows++) {
		_cleanup_free_ char *what = NULL, *why = NULL;

		n = fold ? run_length(h, i) : 1;
		n = n > FOLDED ? n : 1;
		what = n > 1 ? folded(h, i, n, &why) : hps_format("  %s", h->v[i].what);
		hps_table_cell(&t, what);
		hps_table_cell(&t, why ? why : h->v[i].why);
	}
	hps_table_print(&t, out);
	if (i < h->n)
		fprintf(out, "  and %zu more (--json has all)\n", h->n - i);
}

static double seconds(int64_t ns)
{
	return (double)ns / 1e9;
}

static void print_supplied(const struct hps_withheld *w, FILE *out)
{
	_cleanup_buf_ struct hps_buf names = HPS_BUF_INIT;

	for (size_t i = 0; w && i < w->names.n; i++)
		hps_buf_addf(&names, "%s%s", i ? ", " : "", w->names.v[i]);
	if (names.len)
		print_text(out, "\nsupplied by equality of its tag: ", names.data);
}

static void print_level(const struct hps_judgement *j, FILE *out)
{
	if (*j->rerun->id)
		fprintf(out, "  level L%u\n", j->level);
}

/* Where outputs differ: what may have made them, and how to record the next one. */
static void print_uncontrolled(const struct hps_judgement *j, FILE *out)
{
	_cleanup_json_ json_t *list = hps_level_uncontrolled(j->level);
	const json_t *item;
	size_t i;

	if (!*j->rerun->id || j->verdict == HPS_VERDICT_BITS)
		return;
	fprintf(out, "\nnot controlled at level L%u:\n", j->level);
	json_array_foreach(list, i, item)
		fprintf(out, "  %s\n", json_string_value(item));
	if (j->original->recorded_level < 4 && hps_verdict_exit(j->verdict))
		fprintf(out, "  (recorded with --level %u; 'hps-record --level 4' records clocks and the order of threads and processes, too)\n", j->original->recorded_level);
}

void hps_report_print(const struct hps_judgement *j, FILE *out)
{
	const struct hps_view *v = &j->rerun->view;

	fprintf(out, "%s: trial %.12s\n", hps_verdict_name(j->verdict), j->original->trial.id);
	if (j->reason)
		print_text(out, "  ", j->reason);
	if (j->rerun->root_fd >= 0)
		fprintf(out, "  rebuilt %llu files (%llu stored, %llu of this system; %s) in %.2f s, reran in %.2f s\n", (unsigned long long)v->n_files,
			(unsigned long long)v->n_store, (unsigned long long)v->n_system, hps_view_kind_name(v->kind), seconds(j->rerun->build_ns),
			seconds(j->rerun->run_ns));
	print_level(j, out);
	hps_report_outputs(&j->outputs, "rerun", out);
	print_uncontrolled(j, out);
	print_holes(out, "missing or changed:", &v->problems, false);
	print_holes(out, "not as it was:", &j->holes, true);
	if (*j->rerun->id)
		print_supplied(j->original->withheld, out);
	if (*j->id)
		fprintf(out, "\nsigned as entry @%llu, %.12s\n", (unsigned long long)j->index, j->id);
}

/* From all contents but the fetched, which were stored for the time of a replay. */
static uint64_t n_stored(const struct hps_view *v, const struct hps_fetched *f)
{
	return v->n_store > f->files.n ? v->n_store - f->files.n : 0;
}

static uint64_t bytes_of(const struct hps_plan *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->n; i++)
		if (p->nodes[i].kind == HPS_PLAN_FILE && p->nodes[i].size > 0)
			bytes += (uint64_t)p->nodes[i].size;
	return bytes;
}

void hps_report_plan(const struct hps_original *o, const struct hps_plan *p, const struct hps_view *v, const struct hps_fetched *f, FILE *out)
{
	fprintf(out, "trial %.12s needs %zu files (%.1f MB): %llu stored, %llu of this system, %zu from elsewhere, %zu missing or changed\n", o->trial.id,
		p->n_files, (double)bytes_of(p) / 1e6, (unsigned long long)n_stored(v, f), (unsigned long long)v->n_system, f->files.n, v->problems.n);
	print_text(out, "  in ", o->cwd);
	print_holes(out, "from elsewhere:", &f->files, true);
	print_holes(out, "missing or changed:", &v->problems, false);
	if (v->problems.n)
		print_holes(out, "sources that did not help:", &f->notes, false);
	print_holes(out, "not as it was:", &o->holes, true);
	print_holes(out, "not rebuilt:", &p->holes, true);
	print_holes(out, "empty in a rerun:", &v->holes, true);
}

static json_t *pairs_json(const struct hps_holes *h, const char *what, const char *why)
{
	json_t *list = json_array();

	for (size_t i = 0; i < h->n; i++) {
		json_t *item = json_object();

		hps_json_set(item, what, hps_path_json(h->v[i].what));
		hps_json_set(item, why, hps_path_json(h->v[i].why));
		hps_json_add(list, item);
	}
	return list;
}

json_t *hps_report_plan_json(const struct hps_original *o, const struct hps_plan *p, const struct hps_view *v, const struct hps_fetched *f)
{
	json_t *j = json_object(), *holes = pairs_json(&o->holes, "what", "why"), *more = pairs_json(&p->holes, "what", "why"),
	       *empty = pairs_json(&v->holes, "what", "why");

	hps_json_set_text(j, "schema", "hps.plan/1");
	hps_json_set_text(j, "trial", o->trial.id);
	hps_json_set_int(j, "files", (int64_t)p->n_files);
	hps_json_set_int(j, "bytes", (int64_t)bytes_of(p));
	hps_json_set_int(j, "fromStore", (int64_t)n_stored(v, f));
	hps_json_set_int(j, "fromSystem", (int64_t)v->n_system);
	hps_json_set(j, "fetched", pairs_json(&f->files, "path", "from"));
	hps_json_set(j, "missing", pairs_json(&v->problems, "path", "why"));
	hps_json_set(j, "notes", pairs_json(&f->notes, "what", "why"));
	json_array_extend(holes, more);
	json_array_extend(holes, empty);
	json_decref(more);
	json_decref(empty);
	hps_json_set(j, "holes", holes);
	return j;
}
