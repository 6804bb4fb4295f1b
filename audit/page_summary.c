/* What a study did, in sentences that need no training, and its figures at a glance. */
#include "audit/audit.h"

#include <string.h>

void hps_page_params(struct hps_buf *out, const struct hps_trial *t)
{
	json_t *params = (json_t *)(uintptr_t)hps_trial_params(t);
	const char *name, *comma = "";
	json_t *value;

	json_object_foreach(params, name, value) {
		hps_buf_adds(out, comma);
		hps_html(out, "<bdi>%s</bdi> = ", name);
		hps_page_value(out, json_string_value(value));
		comma = ", ";
	}
}

void hps_page_trial_name(struct hps_buf *out, const struct hps_trial *t, bool starts)
{
	if (t->number >= 0)
		hps_html(out, "%s %ld", starts ? "Trial" : "trial", (long)t->number);
	else
		hps_html(out, "%s trial recorded as entry @%lu", starts ? "The" : "the", (unsigned long)hps_trial_index(t));
}

#define PLAIN_MAX 9 /* characters of a number that need no rounding */

void hps_page_value(struct hps_buf *out, const char *text)
{
	char rounded[HPS_DOUBLE_LEN];
	double x;

	if (!text || strlen(text) <= PLAIN_MAX || hps_parse_double(text, &x)) {
		hps_html(out, "<bdi>%s</bdi>", text ?: "");
		return;
	}
	snprintf(rounded, sizeof(rounded), "%.5g", x);
	hps_html(out, "<bdi title=\"%s\">%s</bdi>", text, rounded);
}

static void what_was_tried(struct hps_buf *out, const struct hps_study *s)
{
	_cleanup_strv_ struct hps_strv names = HPS_STRV_INIT;

	hps_study_params(s, &names);
	if (s->name)
		hps_html(out, "The study <bdi>%s</bdi> ran <strong>%zu trial%s</strong>", s->name, s->n_trials, s->n_trials == 1 ? "" : "s");
	else
		hps_html(out, "Outside any study, <strong>%zu command%s</strong> ran under the recorder", s->n_trials, s->n_trials == 1 ? "" : "s");
	if (names.n)
		hps_html(out, ": different settings of %zu parameter%s (", names.n, names.n == 1 ? "" : "s");
	for (size_t i = 0; i < names.n; i++)
		hps_html(out, "%s<bdi>%s</bdi>", i ? ", " : "", names.v[i]);
	hps_buf_adds(out, names.n ? "). " : ". ");
	if (s->registered)
		hps_html(out, "The plan of the search was signed into the ledger, as entry @%lu, before the first trial started. ",
			 (unsigned long)s->registered->index);
	else if (s->name)
		hps_buf_adds(out, "No plan was registered before the first trial. ");
}

static void how_they_ended(struct hps_buf *out, const struct hps_study *s)
{
	static const char *const phrases[HPS_STATE_N] = { "finished", "failed", "killed by a signal", "lost because the recorder died",
							  "without a recorded end" };
	size_t n_complete = hps_study_count(s, HPS_STATE_COMPLETE);
	const char *comma = "";

	if (n_complete == s->n_trials) {
		hps_html(out, "%s. ", s->n_trials == 1 ? "It finished" : "All of them finished");
		return;
	}
	for (int i = 0; i < HPS_STATE_N; i++) {
		size_t n = hps_study_count(s, (enum hps_state)i);

		if (!n)
			continue;
		hps_html(out, "%s%zu %s", comma, n, phrases[i]);
		comma = ", ";
	}
	hps_buf_adds(out, "; the records of those that did not finish are kept and shown below like all others. ");
}

static void what_was_best(struct hps_buf *out, const struct hps_study *s)
{
	const struct hps_trial *best = hps_study_best(s);
	enum hps_goal goal;
	const char *metric = hps_study_objective(s, &goal);

	if (!metric) {
		hps_buf_adds(out, "<p>No trial reported a metric, so none can be called the best.</p>\n");
		return;
	}
	if (!best) {
		hps_html(out, "<p>The records do not say which way <bdi>%s</bdi> should go, or no trial reported it; none is called the best.</p>\n", metric);
		return;
	}
	hps_html(out, "<p>The best <bdi>%s</bdi> (%s is better) was <strong>", metric, goal == HPS_GOAL_MIN ? "lower" : "higher");
	hps_page_value(out, hps_json_text(hps_trial_metrics(best), metric));
	hps_buf_adds(out, "</strong>, in ");
	hps_page_trial_name(out, best, false);
	if (json_object_size(hps_trial_params(best))) {
		hps_buf_adds(out, ", with ");
		hps_page_params(out, best);
	}
	hps_buf_adds(out, ".</p>\n");
}

/* The first earlier verdict that is another one: it stands in the ledger as the newest does. */
static void what_had_been_found(struct hps_buf *out, const struct hps_model *m, const struct hps_trial *t, const char *newest)
{
	for (size_t place = m->judgements[t->judgement - 1].earlier; place; place = m->judgements[place - 1].earlier) {
		const char *word = hps_json_text(hps_predicate(m->judgements[place - 1].entry), "hps_verdict") ?: "none";

		if (!strcmp(word, newest))
			continue;
		hps_html(out, "An earlier rerun of it was judged <strong>%s</strong>: %s. ", word, hps_verdict_sentence(word));
		return;
	}
}

static void what_was_rerun(struct hps_buf *out, const struct hps_model *m, const struct hps_study *s)
{
	size_t n = 0, shown = 0;

	for (size_t i = 0; i < s->n_trials; i++)
		n += s->trials[i]->verdict != NULL;
	if (!n) {
		hps_buf_adds(out, "<p>No trial has been rerun from its record yet: whether the results repeat is not known.</p>\n");
		return;
	}
	hps_buf_adds(out, "<p>");
	for (size_t i = 0; i < s->n_trials && shown < 3; i++) {
		const struct hps_trial *t = s->trials[i];
		const char *word = hps_json_text(hps_predicate(t->verdict), "hps_verdict") ?: "none";

		if (!t->verdict)
			continue;
		hps_html(out, "%s ", shown ? "Also, " : "Rebuilt from its record and run again,");
		hps_page_trial_name(out, t, false);
		hps_html(out, " was judged <strong>%s</strong>: %s. ", word, hps_verdict_sentence(word));
		what_had_been_found(out, m, t, word);
		shown++;
	}
	if (n > shown)
		hps_html(out, "%zu more trials were rerun; the table has their verdicts.", n - shown);
	hps_buf_adds(out, "</p>\n");
}

/* ---- figures */

static void tile(struct hps_buf *out, const char *label, const char *value, const char *below)
{
	hps_html(out, "<div><dt>%s</dt><dd>%s<small>%s</small></dd></div>\n", label, value, below);
}

static void count_tile(struct hps_buf *out, const char *label, size_t n, const char *below)
{
	_cleanup_free_ char *value = hps_format("%zu", n);

	tile(out, label, value, below);
}

static void tiles(struct hps_buf *out, const struct hps_study *s)
{
	const struct hps_trial *best = hps_study_best(s);
	enum hps_goal goal;
	const char *metric = hps_study_objective(s, &goal);
	size_t n_complete = hps_study_count(s, HPS_STATE_COMPLETE), n_rerun = 0;
	double seconds, total = 0;
	char text[32];

	for (size_t i = 0; i < s->n_trials; i++) {
		n_rerun += s->trials[i]->verdict != NULL;
		if (hps_trial_seconds(s->trials[i], &seconds) && seconds > 0)
			total += seconds;
	}
	hps_duration(total, text);
	hps_buf_adds(out, "<dl class=\"tiles\">\n");
	count_tile(out, "Trials", s->n_trials, n_complete == s->n_trials ? "all finished" : "those that failed included");
	count_tile(out, "Did not finish", s->n_trials - n_complete, "failed, killed, lost or open");
	if (best) {
		_cleanup_free_ char *below = best->number >= 0 ? hps_format("%s, trial %lld", metric, (long long)best->number) : hps_strdup(metric);
		_cleanup_buf_ struct hps_buf value = HPS_BUF_INIT;
		double x = 0;

		hps_trial_metric(best, metric, &x);
		hps_html_number(&value, x);
		tile(out, "Best", value.data, below);
	}
	tile(out, "Computing time", text, "all trials together");
	count_tile(out, "Rerun", n_rerun, "from their records");
	hps_buf_adds(out, "</dl>\n");
}

void hps_page_summary(const struct hps_page *p, const struct hps_study *s)
{
	hps_buf_adds(p->out, "<h2>In short</h2>\n<p class=\"lead\">");
	what_was_tried(p->out, s);
	how_they_ended(p->out, s);
	hps_buf_adds(p->out, "</p>\n");
	what_was_best(p->out, s);
	what_was_rerun(p->out, &p->source->model, s);
	tiles(p->out, s);
}
