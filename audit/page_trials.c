/* The table of trials: every one, also those that went badly. */
#include "audit/audit.h"

#include <string.h>

/* More columns than this are unreadable: they are joined in one. */
#define COLUMNS_MAX 6

static const char *const state_moods[HPS_STATE_N] = { "good", "bad", "bad", "warn", "none" };

static void head(struct hps_buf *out, const struct hps_strv *params, const struct hps_strv *metrics)
{
	hps_buf_adds(out, "<thead><tr><th scope=\"col\" class=\"num\">No.</th><th scope=\"col\">State</th>");
	if (params->n > COLUMNS_MAX)
		hps_buf_adds(out, "<th scope=\"col\">Parameters</th>");
	for (size_t i = 0; i < params->n && params->n <= COLUMNS_MAX; i++)
		hps_html(out, "<th scope=\"col\" class=\"num\"><bdi>%s</bdi></th>", params->v[i]);
	for (size_t i = 0; i < metrics->n; i++)
		hps_html(out, "<th scope=\"col\" class=\"num\"><bdi>%s</bdi></th>", metrics->v[i]);
	hps_buf_adds(out, "<th scope=\"col\" class=\"num\">Seconds</th><th scope=\"col\">Rerun</th><th scope=\"col\">Record</th></tr></thead>\n");
}

static void value_cell(struct hps_buf *out, const json_t *values, const char *name)
{
	const char *value = hps_json_text(values, name);

	hps_buf_adds(out, value ? "<td class=\"num\">" : "<td class=\"num note\">–");
	hps_page_value(out, value);
	hps_buf_adds(out, "</td>");
}

/* Enough of an id to find the entry, all of it on hovering. */
static void id_cell(struct hps_buf *out, const char *id)
{
	_cleanup_free_ char *start = hps_strndup(id, 12);

	hps_html(out, "<td class=\"tight\"><code title=\"%s\">%s</code></td>", id, start);
}

static void state_cell(struct hps_buf *out, const struct hps_trial *t)
{
	_cleanup_free_ char *how = hps_trial_exit(t);
	const char *log = hps_trial_stderr(t);

	hps_html(out, "<td class=\"tight\"><span class=\"pill %s\">%s</span>", state_moods[t->state], hps_state_name(t->state));
	if (t->state != HPS_STATE_COMPLETE)
		hps_html(out, " <span class=\"note\">%s</span>", how);
	if (t->state == HPS_STATE_FAILED && log)
		hps_html(out, "<br><span class=\"note\">what it said: <bdi>%s</bdi></span>", log);
	hps_buf_adds(out, "</td>");
}

static void verdict_cell(struct hps_buf *out, const struct hps_model *m, const struct hps_trial *t)
{
	const char *level = hps_json_text(hps_predicate(t->verdict), "hps_level");

	if (!t->verdict) {
		hps_buf_adds(out, "<td class=\"note\">–</td>");
		return;
	}
	hps_buf_adds(out, "<td class=\"tight\">");
	hps_page_verdicts(out, m, t);
	if (level)
		hps_html(out, " <span class=\"note\">%s</span>", level);
	hps_buf_adds(out, "</td>");
}

static void row(struct hps_buf *out, const struct hps_model *m, const struct hps_trial *t, bool best, const struct hps_strv *params, const struct hps_strv *metrics)
{
	double seconds;

	hps_buf_adds(out, best ? "<tr class=\"best\">" : "<tr>");
	hps_buf_adds(out, "<th scope=\"row\" class=\"num\">");
	if (t->number >= 0)
		hps_html(out, "%ld", (long)t->number);
	else
		hps_buf_adds(out, "–");
	hps_buf_adds(out, "</th>");
	state_cell(out, t);
	if (params->n > COLUMNS_MAX) {
		hps_buf_adds(out, "<td>");
		hps_page_params(out, t);
		hps_buf_adds(out, "</td>");
	}
	for (size_t i = 0; i < params->n && params->n <= COLUMNS_MAX; i++)
		value_cell(out, hps_trial_params(t), params->v[i]);
	for (size_t i = 0; i < metrics->n; i++)
		value_cell(out, hps_trial_metrics(t), metrics->v[i]);
	if (hps_trial_seconds(t, &seconds))
		hps_html(out, "<td class=\"num\">%.2f</td>", seconds);
	else
		hps_buf_adds(out, "<td class=\"num note\">–</td>");
	verdict_cell(out, m, t);
	id_cell(out, hps_trial_id(t));
	hps_buf_adds(out, "</tr>\n");
}

void hps_page_trials(const struct hps_page *p, const struct hps_study *s)
{
	_cleanup_strv_ struct hps_strv params = HPS_STRV_INIT, metrics = HPS_STRV_INIT;
	const struct hps_trial *best = hps_study_best(s);

	hps_study_params(s, &params);
	hps_study_metrics(s, &metrics);
	hps_buf_adds(p->out, "<h2>Every trial</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of trials\">\n"
			     "<table class=\"trials\"><caption>What each trial was given, what it reported and how it ended.");
	hps_html(p->out, "%s Long numbers are rounded; the records have every digit.</caption>\n", best ? " The best is marked." : "");
	head(p->out, &params, &metrics);
	hps_buf_adds(p->out, "<tbody>\n");
	for (size_t i = 0; i < s->n_trials; i++)
		row(p->out, &p->source->model, s->trials[i], s->trials[i] == best, &params, &metrics);
	hps_buf_adds(p->out, "</tbody></table>\n</div>\n");
}
