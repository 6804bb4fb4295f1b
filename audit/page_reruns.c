/* What was rebuilt and run again, and how each output compares. */
#include "audit/audit.h"

#include <string.h>

#define SHOWN 12 /* verdicts, and outputs of each */

static const struct {
	const char *word, *sentence, *mood;
} verdicts[] = {
	{ "REPRODUCED-BITS", "every output was the same, byte for byte", "good" },
	{ "REPRODUCED-VALUES", "every output held the same values", "good" },
	{ "REPRODUCED-WITHIN", "every output was the same within a tolerance", "good" },
	{ "EQUIVALENT", "outputs differed; the means of its metrics over several reruns did not by more than had been declared", "good" },
	{ "DIVERGED", "an output came out different", "bad" },
	{ "NONDETERMINISTIC", "reruns do not agree with each other", "warn" },
	{ "FAILED-REPLAY", "the rerun itself failed", "bad" },
	{ "NOT-REBUILT", "it could not be rebuilt: something it needs is missing or changed", "warn" },
	{ "INCONCLUSIVE", "nothing could be decided", "warn" },
};

const char *hps_verdict_sentence(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (!strcmp(verdicts[i].word, word))
			return verdicts[i].sentence;
	return "its verdict is not one that this program knows";
}

const char *hps_verdict_mood(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
		if (!strcmp(verdicts[i].word, word))
			return verdicts[i].mood;
	return "none";
}

static const char *output_mood(const char *outcome)
{
	static const char *const good[] = { "IDENTICAL", "SAME-VALUES", "WITHIN-TOLERANCE", "REORDERED" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!strcmp(outcome, good[i]))
			return "good";
	return "bad";
}

/* The last part of a path tells outputs apart; hovering shows all of it. */
static void output_row(struct hps_buf *out, const json_t *output)
{
	const char *path = hps_json_text(output, "path") ?: "unnamed", *slash = strrchr(path, '/');
	const char *outcome = hps_json_text(output, "verdict") ?: "none", *place = hps_json_text(output, "place");
	const char *note = hps_json_text(output, "note");

	hps_html(out, "<tr><th scope=\"row\"><bdi title=\"%s\">%s</bdi></th><td class=\"tight\"><span class=\"pill %s\">%s</span></td><td>", path,
		 slash && slash[1] ? slash + 1 : path, output_mood(outcome), outcome);
	if (place)
		hps_html(out, "first at <bdi>%s</bdi>: <bdi>%s</bdi> was recorded, <bdi>%s</bdi> came out", place, hps_json_text(output, "original") ?: "nothing",
			 hps_json_text(output, "rerun") ?: "nothing");
	else
		hps_html(out, "<bdi>%s</bdi>", note ?: strcmp(outcome, "IDENTICAL") ? "" : "none");
	hps_buf_adds(out, "</td></tr>\n");
}

static void outputs(struct hps_buf *out, const struct hps_entry *verdict)
{
	const json_t *list = hps_json_at(hps_predicate(verdict), "hps_outputs", NULL);
	const json_t *item;
	size_t i, n = json_array_size(list);

	if (!n)
		return;
	hps_buf_adds(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Outputs of the rerun\"><table><thead><tr><th scope=\"col\">Output</th>"
			  "<th scope=\"col\">Compared</th><th scope=\"col\">Difference</th></tr></thead>\n<tbody>\n");
	json_array_foreach(list, i, item)
		if (i < SHOWN)
			output_row(out, item);
	if (n > SHOWN)
		hps_html(out, "<tr><td colspan=\"3\" class=\"note\">and %zu more</td></tr>\n", n - SHOWN);
	hps_buf_adds(out, "</tbody></table></div>\n");
}

static void reasons(struct hps_buf *out, const struct hps_entry *verdict, const char *member, const char *name, const char *summary)
{
	const json_t *list = hps_json_at(hps_predicate(verdict), member, NULL);
	const json_t *item;
	size_t i;

	if (!json_array_size(list))
		return;
	hps_html(out, "<details><summary>%s (%zu)</summary>\n<ul class=\"list\">\n", summary, json_array_size(list));
	json_array_foreach(list, i, item)
		if (i < 100)
			hps_html(out, "<li><bdi>%s</bdi>: <bdi>%s</bdi></li>\n", hps_json_text(item, name) ?: "unnamed", hps_json_text(item, "why") ?: "no reason given");
	hps_buf_adds(out, "</ul></details>\n");
}

/* Where the tolerance came from: one that was given with the replay was chosen by whoever ran it. */
static void tolerance(struct hps_buf *out, const struct hps_entry *verdict)
{
	static const struct {
		const char *source, *text;
	} sources[] = {
		{ "declared", "given with the command of that replay" },
		{ "ledger", "declared in the ledger before the replay" },
		{ "calibrated", "measured by reruns of the same trial" },
		{ "study", "declared in the study's file before the first trial" },
	};
	const json_t *t = hps_json_at(hps_predicate(verdict), "hps_tolerance", NULL);
	const char *source = hps_json_text(t, "source"), *rtol = hps_json_text(t, "rtol"), *atol = hps_json_text(t, "atol");

	for (size_t i = 0; source && i < ARRAY_SIZE(sources); i++) {
		if (strcmp(sources[i].source, source) != 0)
			continue;
		hps_html(out, " Tolerance: %s", sources[i].text);
		if (rtol)
			hps_html(out, ", relative <bdi>%s</bdi>", rtol);
		if (atol)
			hps_html(out, ", absolute <bdi>%s</bdi>", atol);
		hps_buf_adds(out, ".");
	}
}

static void judgement(struct hps_buf *out, const struct hps_entry *verdict)
{
	const json_t *p = hps_predicate(verdict);
	const char *word = hps_json_text(p, "hps_verdict") ?: "none", *level = hps_json_text(p, "hps_level"), *reason = hps_json_text(p, "hps_reason");

	hps_html(out, "<p><span class=\"pill %s\">%s</span> %s%s<bdi>%s</bdi>.%s", hps_verdict_mood(word), word, hps_verdict_sentence(word), reason ? ": " : "",
		 reason ?: "", level ? " Level " : "");
	hps_html(out, "%s%s", level ?: "", level ? "." : "");
	tolerance(out, verdict);
	hps_buf_adds(out, "</p>\n");
	outputs(out, verdict);
	reasons(out, verdict, "hps_missing", "path", "What could not be had");
	reasons(out, verdict, "hps_holes", "what", "What was not as it had been");
}

/* All that was ever found, the newest first: a later verdict takes no earlier one away. */
static void rerun(struct hps_buf *out, const struct hps_model *m, const struct hps_trial *t)
{
	size_t n = 0;

	hps_buf_adds(out, "<h3>");
	hps_page_trial_name(out, t, true);
	hps_buf_adds(out, "</h3>\n");
	for (size_t place = t->judgement; place; place = m->judgements[place - 1].earlier)
		if (n++ < SHOWN)
			judgement(out, m->judgements[place - 1].entry);
	if (n > SHOWN)
		hps_html(out, "<p class=\"note\">and %zu earlier verdicts; 'hps-replay verdicts' lists them.</p>\n", n - SHOWN);
}

static bool said_before(const struct hps_model *m, const struct hps_trial *t, size_t place)
{
	const char *word = hps_json_text(hps_predicate(m->judgements[place - 1].entry), "hps_verdict") ?: "none";

	for (size_t later = t->judgement; later != place; later = m->judgements[later - 1].earlier)
		if (!strcmp(hps_json_text(hps_predicate(m->judgements[later - 1].entry), "hps_verdict") ?: "none", word))
			return true;
	return false;
}

void hps_page_verdicts(struct hps_buf *out, const struct hps_model *m, const struct hps_trial *t)
{
	size_t n = 0;

	for (size_t place = t->judgement; place && n < SHOWN; place = m->judgements[place - 1].earlier) {
		const char *word = hps_json_text(hps_predicate(m->judgements[place - 1].entry), "hps_verdict") ?: "none";

		if (!said_before(m, t, place))
			hps_html(out, "%s<span class=\"pill %s\">%s</span>", n++ ? " " : "", hps_verdict_mood(word), word);
	}
}

void hps_page_reruns(const struct hps_page *p, const struct hps_study *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_trials; i++) {
		if (!s->trials[i]->verdict)
			continue;
		if (!n++)
			hps_buf_adds(p->out, "<section>\n<h2>Rebuilt and run again</h2>\n<p>A rerun gets the recorded files and settings and nothing else, and "
					     "each of its outputs is compared with the recorded one. Its level says how much was restored: at L1, files, settings "
					     "and names.</p>\n");
		if (n <= SHOWN)
			rerun(p->out, &p->source->model, s->trials[i]);
	}
	if (n > SHOWN)
		hps_html(p->out, "<p class=\"note\">and %zu more; the table has their verdicts.</p>\n", n - SHOWN);
	if (n)
		hps_buf_adds(p->out, "</section>\n");
}
