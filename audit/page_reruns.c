/* What was rebuilt and run again, and how each output compares. */
#include "audit/audit.h"

#include <string.h>

#define SHOWN 12 /* verdicts, and outputs of each */

static const struct {
	const char *word, *sentence, *mood;
} verdicts[] = {
	{ "REPRODUCED-BITS", "every output was the same, byte for byte", "good" },
	{ "REPRODUCED-VALUES", "every output held the same values", "good" },
	{ "REPRODUCED-WITHIN", "every output was the same within the tolerance that had been declared", "good" },
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

static void outputs(struct hps_buf *out, const struct hps_trial *t)
{
	const json_t *list = hps_json_at(hps_predicate(t->verdict), "hps_outputs", NULL);
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

static void reasons(struct hps_buf *out, const struct hps_trial *t, const char *member, const char *name, const char *summary)
{
	const json_t *list = hps_json_at(hps_predicate(t->verdict), member, NULL);
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

static void rerun(struct hps_buf *out, const struct hps_trial *t)
{
	const char *word = hps_json_text(hps_predicate(t->verdict), "hps_verdict") ?: "none";
	const char *level = hps_json_text(hps_predicate(t->verdict), "hps_level"), *reason = hps_json_text(hps_predicate(t->verdict), "hps_reason");

	hps_buf_adds(out, "<h3>");
	hps_page_trial_name(out, t, true);
	hps_html(out, " <span class=\"pill %s\">%s</span></h3>\n<p>The verdict: %s%s<bdi>%s</bdi>.%s", hps_verdict_mood(word), word, hps_verdict_sentence(word),
		 reason ? ": " : "", reason ?: "", level ? " Level " : "");
	hps_html(out, "%s%s</p>\n", level ?: "", level ? "." : "");
	outputs(out, t);
	reasons(out, t, "hps_missing", "path", "What could not be had");
	reasons(out, t, "hps_holes", "what", "What was not as it had been");
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
			rerun(p->out, s->trials[i]);
	}
	if (n > SHOWN)
		hps_html(p->out, "<p class=\"note\">and %zu more; the table has their verdicts.</p>\n", n - SHOWN);
	if (n)
		hps_buf_adds(p->out, "</section>\n");
}
