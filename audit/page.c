/* The report page: one file, no script, nothing from elsewhere. Its skeleton, its banner and the order of its parts. */
#include "audit/audit.h"

#include <string.h>

static void head(const struct hps_page *p, const char *title)
{
	_cleanup_buf_ struct hps_buf hash = HPS_BUF_INIT;
	struct hps_digest digest;

	hps_digest_of(hps_page_style, strlen(hps_page_style), &digest);
	hps_base64(&hash, digest.b, sizeof(digest.b));
	hps_html(p->out,
		 "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src &#39;sha256-%s&#39;; base-uri &#39;none&#39;; "
		 "form-action &#39;none&#39;\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
		 "<meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"generator\" content=\"hps-audit %s\">\n<title>%s: evidence report</title>\n<style>",
		 hash.data, HPS_VERSION, title);
	hps_buf_adds(p->out, hps_page_style);
	hps_buf_adds(p->out, "</style>\n</head>\n<body>\n");
}

/* ---- the banner */

struct banner {
	const char *mood, *path, *headline, *text;
};

static struct banner banner_of(const struct hps_findings *f)
{
	if (f->damaged)
		return (struct banner){ "bad", "M12 3L22 20H2ZM12 10V14M12 17V17.2", "This ledger is damaged.",
					"Something in it was changed or is missing since it was signed. What cannot be trusted is named under “The ledger”; read that "
					"before relying on anything else here." };
	if (f->count[HPS_OUTCOME_FAIL])
		return (struct banner){ "warn", "M12 3L22 20H2ZM12 10V14M12 17V17.2", "The ledger is whole, but not every rule holds.",
					"Every entry is as it was signed. The records themselves lack something that the rules ask for; it is named under “What the "
					"rules found”." };
	if (f->count[HPS_OUTCOME_UNKNOWN])
		return (struct banner){ "good", "M4 12.5L9.5 18L20 6.5", "The evidence holds, as far as it goes.",
					"Every entry is as it was signed, and no rule fails. Some could not be decided from these records; they are named under “What "
					"the rules found”." };
	if (f->count[HPS_OUTCOME_NA] == f->n)
		return (struct banner){ "warn", "M5 12H19", "There is nothing to judge yet.", "The ledger is whole and has no records." };
	return (struct banner){ "good", "M4 12.5L9.5 18L20 6.5", "The evidence holds.", "Every entry is as it was signed, and every rule that applies holds." };
}

static void banner(const struct hps_page *p)
{
	struct banner b = banner_of(p->findings);

	hps_html(p->out, "<div class=\"banner %s\"><svg viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path d=\"%s\"/></svg><div><strong>%s</strong><p>%s</p></div></div>\n",
		 b.mood, b.path, b.headline, b.text);
}

/* ---- the parts */

static char *title_of(const struct hps_model *m)
{
	if (m->only)
		return hps_strdup(m->only);
	if (m->n_studies == 1 && m->studies[0].name)
		return hps_strdup(m->studies[0].name);
	if (hps_model_n_named(m) > 0)
		return hps_format("%zu %s", hps_model_n_named(m), hps_model_n_named(m) == 1 ? "study and other runs" : "studies");
	return hps_strdup(m->n_trials ? "Recorded runs" : "An empty ledger");
}

static void subtitle(const struct hps_page *p)
{
	const struct hps_model *m = &p->source->model;
	int64_t start, end, first = INT64_MAX, last = INT64_MIN;
	char from[HPS_TIME_LEN], to[HPS_TIME_LEN];

	for (size_t i = 0; i < m->n_trials; i++) {
		if (!hps_trial_times(&m->trials[i], &start, &end))
			continue;
		first = start < first ? start : first;
		last = end > last ? end : last;
	}
	hps_html(p->out, "<p class=\"sub\">Ledger <bdi>%s</bdi>", p->source->verification.origin ?: "without a name");
	if (first <= last) {
		hps_time_format(first, from);
		hps_time_format(last, to);
		from[10] = to[10] = from[19] = to[19] = '\0'; /* a day, and a time to the second */
		if (!strcmp(from, to))
			hps_html(p->out, " · %s, %s to %s UTC", from, from + 11, to + 11);
		else
			hps_html(p->out, " · %s %s to %s %s UTC", from, from + 11, to, to + 11);
	}
	hps_buf_adds(p->out, "</p>\n");
}

static void study(const struct hps_page *p, const struct hps_study *s, size_t n)
{
	struct hps_facts facts;

	hps_facts_gather(s, p->source->objects, &facts);
	if (p->source->model.n_studies > 1)
		hps_html(p->out, "<section class=\"plain\"><p class=\"kicker\">%s</p><h2><bdi>%s</bdi></h2></section>\n", s->name ? "Study" : "Outside any study",
			 s->name ?: "Other recorded runs");
	hps_buf_adds(p->out, "<section>\n");
	hps_page_summary(p, s);
	hps_buf_adds(p->out, "</section>\n<section>\n");
	if (s->n_trials) {
		hps_page_charts(p, s, n);
		hps_page_trials(p, s);
		hps_buf_adds(p->out, "</section>\n");
		hps_page_reruns(p, s);
		hps_buf_adds(p->out, "<section>\n");
	}
	hps_page_unseen(p, s, &facts);
	hps_buf_adds(p->out, "</section>\n<section>\n");
	hps_page_environment(p, s, &facts);
	hps_buf_adds(p->out, "</section>\n");
	hps_facts_release(&facts);
}

void hps_page_write(struct hps_buf *out, const struct hps_source *s, const struct hps_findings *f)
{
	static void (*const closing[])(const struct hps_page *) = { hps_page_integrity, hps_page_rules, hps_page_verify };
	_cleanup_free_ char *title = title_of(&s->model);
	struct hps_page p = { out, s, f };

	head(&p, title);
	hps_html(out, "<header>\n<p class=\"kicker\">Evidence report</p>\n<h1><bdi>%s</bdi></h1>\n", title);
	subtitle(&p);
	banner(&p);
	hps_buf_adds(out, "</header>\n<main>\n");
	for (size_t i = 0; i < s->model.n_studies; i++)
		study(&p, &s->model.studies[i], i + 1);
	for (size_t i = 0; i < ARRAY_SIZE(closing); i++) {
		hps_buf_adds(out, "<section>\n");
		closing[i](&p);
		hps_buf_adds(out, "</section>\n");
	}
	hps_html(out, "</main>\n<footer><p>Written by hps-audit %s from %zu entries. The same ledger gives the same page, byte for byte.</p></footer>\n"
		      "</body>\n</html>\n", HPS_VERSION, s->model.n_entries);
}
