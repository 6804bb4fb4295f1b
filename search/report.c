/* A study for people and for programs: the line of a finished trial, the table, the JSON. */
#include "search/search.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_SHOWN 12
#define NUMBER_SHOWN 8 /* longer decimal fractions are shown with five digits; --json has them all */

static const json_t *parameters_of(const struct hps_history *h)
{
	return json_object_get(h->spec, "space");
}

static const json_t *metrics_of(const struct hps_history *h)
{
	return json_object_get(h->spec, "metrics");
}

static const char *name_at(const json_t *list, size_t i)
{
	const char *name = hps_json_text(json_array_get(list, i), "name");

	return name ? name : "?";
}

/* What a cell says for a value that may be missing. */
static char *short_text(const char *text)
{
	double x;

	if (!text)
		return hps_strdup("-");
	if (strlen(text) <= NUMBER_SHOWN || !strpbrk(text, ".e") || hps_parse_double(text, &x))
		return hps_strdup(text);
	return hps_format("%.5g", x);
}

static char *state_text(const struct hps_run_trial *t)
{
	if (!t->state)
		return hps_strdup(t->n_begun > t->n_lost ? "running" : t->committed ? "committed" : "open");
	if (!strcmp(t->state, "failed") || !strcmp(t->state, "killed"))
		return hps_format("%s %d", t->state, t->exit);
	return hps_strdup(t->state);
}

static void add_pairs(struct hps_buf *out, const json_t *list, const json_t *values)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		_cleanup_free_ char *value = short_text(hps_json_text(values, name_at(list, i)));

		hps_buf_addf(out, "%s%s=%s", i ? " " : "  ", name_at(list, i), value);
	}
}

char *hps_report_line(const struct hps_history *h, uint64_t number)
{
	const struct hps_run_trial *t = &h->trials[number];
	_cleanup_buf_ struct hps_buf line = HPS_BUF_INIT;
	_cleanup_free_ char *state = state_text(t);

	hps_buf_addf(&line, "trial %" PRIu64, number);
	add_pairs(&line, parameters_of(h), t->params);
	if (strcmp(state, "complete") != 0)
		hps_buf_addf(&line, "  %s", state);
	else
		add_pairs(&line, metrics_of(h), t->metrics);
	if (t->id[0])
		hps_buf_addf(&line, "  %.1f s  %.*s", t->seconds, DIGEST_SHOWN, t->id);
	return hps_buf_take(&line);
}

/* ---- the table ---- */

static void add_heading(struct hps_table *table, const struct hps_history *h)
{
	const json_t *space = parameters_of(h), *metrics = metrics_of(h);
	size_t n = json_array_size(space), column = 2;

	table->columns = 2 + n + json_array_size(metrics) + 3;
	table->right = 1 << 1;
	hps_table_cell(table, "");
	hps_table_cell(table, "trial");
	for (size_t i = 0; i < n; i++, column++) {
		const char *type = hps_json_text(json_array_get(space, i), "type");

		hps_table_cell(table, name_at(space, i));
		if (column < 64 && type && strcmp(type, "choice") != 0)
			table->right |= UINT64_C(1) << column;
	}
	for (size_t i = 0; i < json_array_size(metrics); i++, column++) {
		hps_table_cell(table, name_at(metrics, i));
		table->right |= column < 64 ? UINT64_C(1) << column : 0;
	}
	hps_table_cell(table, "seconds");
	table->right |= column < 64 ? UINT64_C(1) << column : 0;
	hps_table_cell(table, "state");
	hps_table_cell(table, "digest");
}

static void add_values(struct hps_table *table, const json_t *list, const json_t *values)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		_cleanup_free_ char *text = short_text(hps_json_text(values, name_at(list, i)));

		hps_table_cell(table, text);
	}
}

static void add_row(struct hps_table *table, const struct hps_history *h, size_t number, bool best)
{
	const struct hps_run_trial *t = &h->trials[number];
	_cleanup_free_ char *text = hps_format("%zu", number), *seconds = hps_format("%.1f", t->seconds);
	_cleanup_free_ char *digest = hps_format("%.*s", DIGEST_SHOWN, t->id), *state = state_text(t);

	hps_table_cell(table, best ? "*" : "");
	hps_table_cell(table, text);
	add_values(table, parameters_of(h), t->params);
	add_values(table, metrics_of(h), t->metrics);
	hps_table_cell(table, t->id[0] ? seconds : "-");
	hps_table_cell(table, state);
	hps_table_cell(table, t->id[0] ? digest : "-");
}

static void print_best(const struct hps_history *h, uint64_t n_complete, FILE *out)
{
	const json_t *objective = json_array_get(metrics_of(h), 0);
	int64_t best = hps_history_best(h);
	_cleanup_free_ char *value = NULL, *text = NULL;
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;

	if (best < 0 && !n_complete)
		return;
	if (best < 0) {
		fprintf(out, "no best: no trial reported a number for '%s'; the file that HPS_METRICS names is where a trial writes {\"%s\": 0.5}\n", name_at(metrics_of(h), 0),
			name_at(metrics_of(h), 0));
		return;
	}
	value = short_text(hps_json_text(h->trials[best].metrics, name_at(metrics_of(h), 0)));
	text = hps_format("best: trial %" PRId64 " with %s %s (%s), digest %.*s", best, name_at(metrics_of(h), 0), value,
			  hps_json_text(objective, "goal"), DIGEST_SHOWN, h->trials[best].id);
	hps_term_escape(&safe, text, strlen(text));
	fprintf(out, "%s\n", safe.data);
}

void hps_report_print(const struct hps_history *h, FILE *out)
{
	struct hps_counts c = hps_history_counts(h);
	struct hps_table table = { 0 };
	int64_t best = hps_history_best(h);

	add_heading(&table, h);
	for (size_t i = 0; i < h->n; i++) {
		if (h->trials[i].committed)
			add_row(&table, h, i, (int64_t)i == best);
	}
	hps_table_print(&table, out);
	print_best(h, c.complete, out);
	fprintf(out, "%zu trials: %" PRIu64 " complete, %" PRIu64 " failed, %" PRIu64 " killed, %" PRIu64 " lost, %" PRIu64 " running, %" PRIu64 " open\n", h->n,
		c.complete, c.failed, c.killed, c.lost, c.running, c.open);
}

/* ---- the JSON ---- */

static json_t *trial_json(const struct hps_history *h, size_t number)
{
	const struct hps_run_trial *t = &h->trials[number];
	json_t *j = json_pack("{s:I, s:O}", "number", (json_int_t)number, "params", t->params);
	_cleanup_free_ char *state = state_text(t);
	char seconds[HPS_DOUBLE_LEN];

	state[strcspn(state, " ")] = '\0';
	hps_json_set_text(j, "state", state);
	hps_json_set_text(j, "trialSeed", t->trial_seed);
	if (!t->id[0])
		return j;
	hps_double_format(t->seconds, seconds);
	hps_json_set_text(j, "trial", t->id);
	hps_json_set_text(j, "seconds", seconds);
	hps_json_set(j, "metrics", t->metrics ? json_incref(t->metrics) : json_object());
	if (strcmp(state, "complete") != 0)
		hps_json_set_int(j, "exit", t->exit);
	return j;
}

static json_t *counts_json(const struct hps_history *h)
{
	struct hps_counts c = hps_history_counts(h);

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "complete", (json_int_t)c.complete, "failed", (json_int_t)c.failed, "killed",
			 (json_int_t)c.killed, "lost", (json_int_t)c.lost, "running", (json_int_t)c.running, "open", (json_int_t)c.open);
}

static json_t *best_json(const struct hps_history *h)
{
	int64_t best = hps_history_best(h);
	json_t *j;

	if (best < 0)
		return json_null();
	j = json_pack("{s:I}", "number", (json_int_t)best);
	hps_json_set_text(j, "trial", h->trials[best].id);
	hps_json_set_text(j, "metric", name_at(metrics_of(h), 0));
	hps_json_set_text(j, "value", hps_json_text(h->trials[best].metrics, name_at(metrics_of(h), 0)));
	hps_json_set(j, "params", json_incref(h->trials[best].params));
	return j;
}

json_t *hps_report_json(const struct hps_history *h)
{
	json_t *j = json_pack("{s:s}", "schema", "hps.status/1"), *trials = json_array();
	char seed[HPS_DIGEST_HEX];

	hps_hex(seed, h->seed.b, sizeof(h->seed.b));
	hps_json_set_text(j, "study", hps_json_text(h->spec, "study"));
	hps_json_set_text(j, "register", h->registered);
	hps_json_set_text(j, "specDigest", h->spec_digest);
	hps_json_set_text(j, "seed", seed);
	hps_json_set(j, "spec", json_incref(h->spec));
	hps_json_set(j, "finished", json_boolean(h->finished));
	hps_json_set(j, "counts", counts_json(h));
	hps_json_set(j, "best", best_json(h));
	for (size_t i = 0; i < h->n; i++) {
		if (h->trials[i].committed)
			hps_json_add(trials, trial_json(h, i));
	}
	hps_json_set(j, "trials", trials);
	return j;
}
