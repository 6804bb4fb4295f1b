/* Does the evidence hold: the ledger's state, the rules, and how a reader checks both. */
#include "audit/audit.h"

#include <string.h>

/* ---- the ledger */

static void keys(struct hps_buf *out, const struct hps_model *m)
{
	struct hps_map seen = HPS_MAP_INIT;

	for (size_t i = 0; i < m->n_entries; i++)
		if (m->entries[i].keyid)
			*hps_map_slot(&seen, m->entries[i].keyid) = &seen;
	for (size_t i = 0; i < seen.n && i < 20; i++)
		hps_html(out, "<dt>Signing key</dt><dd><code>%s</code></dd>\n", seen.items[i].key);
	hps_map_release(&seen);
}

static void problems(struct hps_buf *out, const struct hps_verification *v)
{
	hps_html(out, "<h3>What does not hold (%zu)</h3>\n<ul class=\"list\">\n", v->n_problems);
	for (size_t i = 0; i < v->n_problems && i < 50; i++) {
		const struct hps_problem *p = &v->problems[i];

		hps_buf_adds(out, "<li>");
		if (p->index >= 0)
			hps_html(out, "entry <strong>@%ld</strong> ", (long)p->index);
		if (p->file)
			hps_html(out, "<code>%s</code>", p->file);
		hps_html(out, ": <bdi>%s</bdi></li>\n", p->what);
	}
	if (v->n_problems > 50)
		hps_html(out, "<li>and %zu more</li>\n", v->n_problems - 50);
	hps_buf_adds(out, "</ul>\n");
}

void hps_page_integrity(const struct hps_page *p)
{
	const struct hps_verification *v = &p->source->verification;
	const struct hps_model *m = &p->source->model;
	const struct hps_entry *last = m->n_entries ? &m->entries[m->n_entries - 1] : NULL;
	struct hps_buf *out = p->out;

	hps_buf_adds(out, "<h2>The ledger</h2>\n<p>Every record is an entry in a signed, append-only ledger. A change to any entry changes the root hash "
			  "below, and whoever kept an earlier one can prove it.</p>\n<dl class=\"facts\">\n");
	hps_html(out, "<dt>Name</dt><dd><bdi>%s</bdi></dd>\n", v->origin ?: "unnamed");
	hps_html(out, "<dt>Entries</dt><dd>%lu under the newest signed checkpoint; %lu checked whole and signed</dd>\n", (unsigned long)v->size,
		 (unsigned long)v->n_checked);
	hps_html(out, "<dt>Root hash</dt><dd><code>%s</code></dd>\n", v->root);
	hps_html(out, "<dt>Stored content</dt><dd>%lu objects named by records, there and whole</dd>\n", (unsigned long)v->n_objects);
	if (last)
		hps_html(out, "<dt>Newest entry</dt><dd>@%lu, dated %s</dd>\n", (unsigned long)last->index,
			 hps_json_text(hps_predicate(last), "time") ?: hps_json_text(hps_predicate(last), "timeVerified") ?: "not at all");
	keys(out, m);
	hps_buf_adds(out, "</dl>\n");
	if (v->n_problems)
		problems(out, v);
	hps_buf_adds(out, "<p class=\"note\">What this cannot show: a ledger with one owner is tamper-evident, not tamper-proof. Until somebody else keeps a "
			  "checkpoint, its owner could write the whole of it anew. Times are those of the recording machine's clock; what came before what is "
			  "the order of the entries.</p>\n");
}

/* ---- the rules */

static const char *outcome_mood(enum hps_outcome outcome)
{
	static const char *const moods[] = { "good", "bad", "warn", "none" };

	return moods[outcome];
}

#define SHOWN 5

static void offenders(struct hps_buf *out, const struct hps_finding *f)
{
	size_t shown = f->n_offenders < SHOWN ? f->n_offenders : SHOWN;
	unsigned long left = (unsigned long)(f->n_failed + f->n_unknown - shown);

	if (!shown)
		return;
	hps_buf_adds(out, "<tr class=\"offends\"><td></td><td colspan=\"4\"><ul>\n");
	for (size_t i = 0; i < shown; i++) {
		const struct hps_offender *o = &f->offenders[i];
		_cleanup_free_ char *start = hps_strndup(o->id, 12);

		hps_buf_adds(out, "<li>");
		if (o->index >= 0)
			hps_html(out, "<strong>@%ld</strong> ", (long)o->index);
		if (o->id[0])
			hps_html(out, "<code title=\"%s\">%s</code> ", o->id, start);
		hps_html(out, "<bdi>%s</bdi></li>\n", o->why);
	}
	if (left)
		hps_html(out, "<li>and %lu more</li>\n", left);
	hps_buf_adds(out, "</ul></td></tr>\n");
}

void hps_page_rules(const struct hps_page *p)
{
	struct hps_buf *out = p->out;

	hps_buf_adds(out, "<h2>What the rules found</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of rules\">\n"
			  "<table><caption>Each rule looks at the records alone. A pass supports evidence for what stands beside it; it is not a statement "
			  "of compliance with it.</caption>\n<thead><tr><th scope=\"col\">Rule</th><th scope=\"col\">Holds when it passes</th>"
			  "<th scope=\"col\">Outcome</th><th scope=\"col\" class=\"num\">Checked</th><th scope=\"col\">Supports evidence for</th></tr></thead>\n"
			  "<tbody>\n");
	for (size_t i = 0; i < p->findings->n; i++) {
		const struct hps_finding *f = &p->findings->items[i];

		hps_html(out, "<tr><th scope=\"row\" class=\"tight\">%s</th><td>%s</td><td><span class=\"pill %s\">%s</span></td><td class=\"num\">%lu</td>"
			      "<td class=\"note\">%s</td></tr>\n",
			 f->rule->id, f->rule->title, outcome_mood(f->outcome), hps_outcome_name(f->outcome), (unsigned long)f->n_checked, f->rule->anchor);
		offenders(out, f);
	}
	hps_buf_adds(out, "</tbody></table>\n</div>\n");
}

/* ---- do it yourself */

static const struct hps_trial *example(const struct hps_model *m)
{
	for (size_t i = 0; i < m->n_studies; i++)
		if (m->studies[i].name && hps_study_best(&m->studies[i]))
			return hps_study_best(&m->studies[i]);
	for (size_t i = 0; i < m->n_trials; i++)
		if (m->trials[i].state == HPS_STATE_COMPLETE)
			return &m->trials[i];
	return NULL;
}

void hps_page_verify(const struct hps_page *p)
{
	const struct hps_trial *t = example(&p->source->model);
	_cleanup_free_ char *id = hps_strndup(t ? hps_trial_id(t) : "ID", 12);

	hps_buf_adds(p->out, "<h2>Check it yourself</h2>\n<p>This page is a rendering; the ledger is the evidence. With a copy of the ledger's folder "
			     "(here <code>LEDGER</code>) and the hps programs, these commands repeat what stands above:</p>\n<pre><code>");
	hps_html(p->out,
		 "hps-ledger verify --ledger LEDGER               # every hash, signature and stored object\n"
		 "hps-audit check --ledger LEDGER                 # the rules\n"
		 "hps-ledger show --ledger LEDGER %s    # one record, in full\n"
		 "hps-replay --ledger LEDGER %s         # rebuild that trial and run it again\n",
		 id, id);
	hps_buf_adds(p->out, "</code></pre>\n<p>Then compare the root hash above with one that somebody else kept for the same number of entries. If they "
			     "differ, the history was changed.</p>\n");
}
