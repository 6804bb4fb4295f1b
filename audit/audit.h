/* Private header of audit/: answers from the ledger. Grouped by the file that implements it.
 *
 * The way of the data: entries (ledger) → model (trials, studies) → findings (rules) and facts (what the manifests say) →
 * text, JSON, page. Only main.c and source.c know a ledger handle; everything after takes the model, so that it can be
 * tested with statements made by hand.
 *
 * Every string of a model may have been chosen by a trial or by a stranger. It reaches a terminal through hps_table or
 * hps_term_escape() and a page through hps_html() alone. */
#ifndef HPS_AUDIT_H
#define HPS_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/core.h"
#include "hps/ledger.h"

/* ---- model.c: the records as trials and studies ------------------------------------------------------------------ */

enum hps_state { HPS_STATE_COMPLETE, HPS_STATE_FAILED, HPS_STATE_KILLED, HPS_STATE_LOST, HPS_STATE_OPEN, HPS_STATE_N };
const char *hps_state_name(enum hps_state state); /* "complete" … "lost"; "open" has no end yet */

/* One run of a command: its begin entry and the entry that ended it. */
struct hps_trial {
	const struct hps_entry *begin;	 /* NULL: the end names a begin entry that is not there */
	const struct hps_entry *end;	 /* a trial or lost entry; NULL while there is none */
	const struct hps_entry *verdict; /* the newest about this trial, or NULL */
	size_t judgement;		 /* its place among the judgements, from 1; 0: none */
	enum hps_state state;
	bool running;		/* open, and its recorder lives */
	bool spooled;		/* open, and its record waits in our spool */
	const char *study;	/* NULL: outside any study; a rerun has the study of the trial that it reruns */
	int64_t number;		/* -1: none */
	const char *replay_of;	/* id of the trial that this one reruns, or NULL */
	size_t slot;		/* its place among the slots, from 1; 0: none */
};

/* A verdict about a trial, and the one before it. */
struct hps_judgement {
	const struct hps_entry *entry;
	size_t earlier; /* place from 1; 0: it is the first */
};

/* One number of a study: handed out by the search (commit), run (trials), taken in (result). */
struct hps_slot {
	const char *study;
	int64_t number;
	const struct hps_entry *commit, *result;	       /* the first of each: it counts */
	const struct hps_entry *second_commit, *second_result; /* NULL, as it should be */
	const struct hps_trial *trial; /* the last one that is not a rerun, or NULL */
	size_t n_trials;	       /* not counting reruns */
};

struct hps_study {
	const char *name; /* NULL: the trials outside any study */
	const struct hps_entry *registered, *stopped;
	size_t n_registered;
	struct hps_trial **trials; /* reruns left out; by number, then by index */
	size_t n_trials;
};

struct hps_unread {
	uint64_t index;
	char *why;
};

struct hps_model {
	struct hps_entry *entries; /* owned copies, by index */
	size_t n_entries;
	struct hps_unread *unread; /* entries that are in the tree but could not be read */
	size_t n_unread;
	/* After hps_model_link(), for the chosen study or for all: */
	const char *only; /* the chosen study, or NULL */
	struct hps_trial *trials;
	size_t n_trials;
	struct hps_slot *slots;
	size_t n_slots;
	struct hps_study *studies;
	size_t n_studies;
	struct hps_judgement *judgements;
	size_t n_judgements;
	struct hps_map by_id; /* id → struct hps_entry */
	struct hps_objects *objects; /* where manifests are, not owned; NULL: not at hand */
};
#define HPS_MODEL_INIT { NULL, 0, NULL, 0, NULL, NULL, 0, NULL, 0, NULL, 0, NULL, 0, HPS_MAP_INIT, NULL }

void hps_model_add(struct hps_model *m, const struct hps_entry *entry); /* copies; in index order */
void hps_model_add_unread(struct hps_model *m, uint64_t index, const char *why);
/* Joins the entries. `only` (NULL: all) must stay valid; HPS_E_NOTFOUND, with the nearest name, when nothing is of that
 * study. Nothing may be added afterwards. */
int hps_model_link(struct hps_model *m, const char *only, struct hps_error *err) HPS_MUST;
void hps_model_release(struct hps_model *m);

size_t hps_model_n_named(const struct hps_model *m); /* studies, without the trials outside any */
/* Of each trial without an end, asks whether its recorder lives. */
void hps_model_mark_running(struct hps_model *m, bool (*lives)(void *arg, const char *begin_id), void *arg);
void hps_model_mark_spooled(struct hps_model *m, bool (*has)(const char *begin_id)); /* the same, whether its record is kept aside */

const struct hps_entry *hps_model_find(const struct hps_model *m, const char *id); /* by whole id, or NULL */
const json_t *hps_predicate(const struct hps_entry *entry);			   /* NULL for NULL */

/* ---- trial.c: questions to one trial ------------------------------------------------------------------------------ */

const char *hps_trial_id(const struct hps_trial *t); /* of the end entry, else of the begin entry */
uint64_t hps_trial_index(const struct hps_trial *t);
const struct hps_entry *hps_trial_entry(const struct hps_trial *t); /* the end, else the begin; never NULL */
const json_t *hps_trial_params(const struct hps_trial *t);	    /* object of strings, or NULL */
const json_t *hps_trial_command(const struct hps_trial *t); /* words; NULL: not known */
const json_t *hps_trial_metrics(const struct hps_trial *t);	    /* object of decimal strings, or NULL */
bool hps_trial_metric(const struct hps_trial *t, const char *name, double *ret);
bool hps_trial_seconds(const struct hps_trial *t, double *ret);
bool hps_trial_times(const struct hps_trial *t, int64_t *ret_start_ns, int64_t *ret_end_ns);
/* The identity of that name: {name, value, source, strength} or {name, missing, why}; NULL when the record is silent. */
const json_t *hps_trial_identity(const struct hps_trial *t, const char *name);
/* The digest of the named manifest in hex ("materials", "python", …; "products" is a subject), or NULL. */
const char *hps_trial_manifest(const struct hps_trial *t, const char *name);
const json_t *hps_trial_gaps(const struct hps_trial *t); /* array, or NULL */
char *hps_trial_exit(const struct hps_trial *t);	 /* "exit 3", "signal 9", "no end yet"; heap */
/* The file that a search kept what it said in, when the trial left one that is not empty; escaped, or NULL. */
const char *hps_trial_stderr(const struct hps_trial *t);

/* ---- study.c: questions to one study ------------------------------------------------------------------------------- */

enum hps_goal { HPS_GOAL_UNKNOWN, HPS_GOAL_MIN, HPS_GOAL_MAX };
/* The metric that the study was after, from the registered spec; else (HPS_GOAL_UNKNOWN) the first that a trial reported.
 * NULL when there is none. */
const char *hps_study_objective(const struct hps_study *s, enum hps_goal *ret_goal);
/* The best complete trial by that metric, the lowest number on a tie; NULL without goal or value. */
const struct hps_trial *hps_study_best(const struct hps_study *s);
size_t hps_study_count(const struct hps_study *s, enum hps_state state);
/* Names of parameters and metrics in use, sorted; the caller releases. */
void hps_study_params(const struct hps_study *s, struct hps_strv *ret);
void hps_study_metrics(const struct hps_study *s, struct hps_strv *ret);
bool hps_study_is_log(const struct hps_study *s, const char *param); /* the plan drew it on a logarithmic scale */
/* It stopped because its budget was used up: what is missing now will not come. */
bool hps_study_is_over(const struct hps_study *s);

/* ---- source.c: a model from a ledger -------------------------------------------------------------------------------- */

struct hps_source {
	char *dir;
	struct hps_verification verification;
	struct hps_ledger *ledger;   /* NULL when it is too damaged to open */
	struct hps_objects *objects; /* the ledger's; NULL when they are not at hand */
	struct hps_model model;
};
/* Verifies, then reads every entry that can be read and links them. A damaged ledger is not an error: its damage is in
 * `verification` and in model.unread. */
int hps_source_open(const char *ledger_option, const char *study, const struct hps_verify_options *verify, struct hps_source *ret,
		    struct hps_error *err) HPS_MUST;
void hps_source_release(struct hps_source *s);

/* ---- problem.c: which part of a ledger a problem is about ---------------------------------------------------------------- */

enum hps_area { HPS_AREA_TREE, HPS_AREA_ENTRY, HPS_AREA_SIGNATURE, HPS_AREA_OBJECT };
enum hps_area hps_problem_area(const struct hps_problem *p);

/* ---- finding.c: what a rule found ------------------------------------------------------------------------------------- */

enum hps_outcome { HPS_OUTCOME_PASS, HPS_OUTCOME_FAIL, HPS_OUTCOME_UNKNOWN, HPS_OUTCOME_NA };
const char *hps_outcome_name(enum hps_outcome outcome); /* "pass", "fail", "unknown", "n/a" */

struct hps_offender {
	int64_t index; /* -1: not one entry */
	char id[65];   /* may be empty */
	bool failed;   /* else unknown */
	char *why;
};

#define HPS_OFFENDERS_MAX 20 /* kept per rule; all are counted */
struct hps_finding {
	const struct hps_rule *rule;
	enum hps_outcome outcome;
	uint64_t n_checked, n_failed, n_unknown;
	struct hps_offender *offenders; /* failures before unknowns, by index within */
	size_t n_offenders;
};

/* One more thing was looked at. Without a failure or an unknown after it, it held. */
void hps_finding_check(struct hps_finding *f);
/* entry may be NULL. */
void hps_finding_fail(struct hps_finding *f, const struct hps_entry *entry, const char *why, ...) __attribute__((format(printf, 3, 4)));
void hps_finding_unknown(struct hps_finding *f, const struct hps_entry *entry, const char *why, ...) __attribute__((format(printf, 3, 4)));
void hps_finding_fail_at(struct hps_finding *f, int64_t index, const char *id, const char *why); /* no entry was read there */
void hps_finding_settle(struct hps_finding *f);						      /* sets the outcome */
void hps_finding_release(struct hps_finding *f);

/* ---- rules.c: the table ------------------------------------------------------------------------------------------------- */

struct hps_rule {
	const char *id;	    /* "INT-05" */
	const char *title;  /* what holds when it passes */
	const char *anchor; /* what it supports evidence for */
	void (*judge)(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
};
extern const struct hps_rule hps_rules[];
extern const size_t hps_n_rules;

struct hps_findings {
	struct hps_finding *items; /* one per rule, in the table's order */
	size_t n;
	size_t count[4]; /* by outcome */
	bool damaged;	 /* the ledger itself does not verify */
};
void hps_rules_judge(const struct hps_model *m, const struct hps_verification *v, struct hps_findings *ret);
void hps_findings_release(struct hps_findings *f);
int hps_findings_exit(const struct hps_findings *f, bool strict); /* 3 damaged, 1 a rule fails, 4 strict and unknown, 0 */
const char *hps_findings_word(const struct hps_findings *f);	   /* "damaged", "fail", "unknown", "pass" */

/* rules_identity.c, rules_integrity.c, rules_search.c, rules_facts.c */
void hps_rule_unique_numbers(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_operator(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_times(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_machine(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_recorder(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_coverage(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_signatures(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_tree(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_unaltered(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_witnessed(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_objects(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_ends(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_container(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_software(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_code(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_cards(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_card_errors(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_processor(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);
void hps_rule_retained(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f);

/* ---- proposals.c ---- */
/* Fails for commits that the registered specification and seed do not decide, as far as this version can read them. */
void hps_proposals_judge(const struct hps_model *m, const struct hps_study *s, struct hps_finding *f);

/* ---- check_text.c, check_json.c: `hps-audit check` ---------------------------------------------------------------------- */

void hps_check_text(const struct hps_source *s, const struct hps_findings *f, FILE *out);
json_t *hps_check_json(const struct hps_source *s, const struct hps_findings *f);

/* ---- facts.c: what a study's records say about where it ran ------------------------------------------------------------ */

/* A value that one or more trials reported. */
struct hps_fact {
	char *name;
	char *value;	  /* or the reason why it is missing */
	const char *source, *strength;
	bool missing;
	size_t n_trials;
};
struct hps_fact_list {
	struct hps_fact *items;
	size_t n;
	struct hps_map index;
};
struct hps_facts {
	size_t n_trials;		 /* with a trial entry */
	struct hps_fact_list identities; /* by name, then by value as met */
	struct hps_fact_list python;	 /* name: distribution, value: version */
	struct hps_fact_list packages;	 /* name: Debian package, value: version */
	struct hps_fact_list gaps;	 /* name: what, value: why */
	struct hps_fact_list unset;	 /* name: determinism switch, value: what it would fix */
	struct hps_fact_list seeds;	 /* name, value, source: origin */
	size_t n_libraries, n_materials; /* different files */
	uint64_t n_changed, n_unverified, n_edited; /* n_edited: files that are not what their package brought */
	size_t n_unreadable; /* manifests that are not at hand */
};
/* objects may be NULL: then the manifests count as not at hand. */
void hps_facts_gather(const struct hps_study *s, struct hps_objects *objects, struct hps_facts *ret);
void hps_facts_release(struct hps_facts *f);

/* ---- html.c: text into a page --------------------------------------------------------------------------------------------- */

/* Like printf, but what %s gives is text: markup characters become entities, control and bidirectional characters become
 * visible escapes, and text over HPS_HTML_TEXT_MAX bytes is cut with "…". The format is trusted markup. Safe between tags
 * and inside double-quoted attribute values that are neither URLs nor scripts nor styles; the page has no others. */
#define HPS_HTML_TEXT_MAX 400
void hps_html(struct hps_buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Four significant digits and no more than the value has; thin spaces never: what is shown can be copied. */
void hps_html_number(struct hps_buf *out, double x);
void hps_duration(double seconds, char out[32]); /* "41 ms", "3.2 s", "4 min 10 s", "2 h 5 min" */

/* ---- chart.c: inline SVG ---------------------------------------------------------------------------------------------------- */

struct hps_point {
	double x, y;
	bool failed;	     /* no value: marked on the lower edge */
	bool best;	     /* ringed */
	char *label;	     /* shown on hover and read aloud */
};
enum hps_chart_shape {
	HPS_CHART_WIDE,	  /* shown where there is room */
	HPS_CHART_NARROW, /* shown in its place where there is not: letters in a drawing shrink with it */
	HPS_CHART_SMALL,  /* one of several beside each other */
};
struct hps_chart {
	const char *id;	     /* unique in the page, [a-z0-9-] */
	const char *title, *description, *x_label, *y_label;
	struct hps_point *points; /* by x */
	size_t n_points;
	enum hps_goal goal;  /* for the best-so-far line; HPS_GOAL_UNKNOWN: no line */
	enum hps_chart_shape shape;
	bool x_integers, x_log;
	const struct hps_strv *x_names; /* x counts these categories from 0, or NULL */
};
void hps_chart_svg(struct hps_buf *out, const struct hps_chart *chart);
/* Round steps for an axis: at most max_ticks values from ≥ low to ≤ high; returns their number. */
size_t hps_chart_ticks(double low, double high, size_t max_ticks, bool integers, double ret[16]);

/* ---- page.c, page_*.c: `hps-audit report --html` ------------------------------------------------------------------------------ */

struct hps_page {
	struct hps_buf *out;
	const struct hps_source *source;
	const struct hps_findings *findings;
};
/* The whole page. The same ledger gives the same bytes: nothing in it comes from the clock or from this machine. */
void hps_page_write(struct hps_buf *out, const struct hps_source *s, const struct hps_findings *f);

extern const char hps_page_style[];						   /* page_style.c */
void hps_page_summary(const struct hps_page *p, const struct hps_study *s);	   /* page_summary.c */
void hps_page_params(struct hps_buf *out, const struct hps_trial *t); /* "name = value, …" */
void hps_page_trial_name(struct hps_buf *out, const struct hps_trial *t, bool starts); /* "trial 7"; "Trial 7" to start with */
void hps_page_value(struct hps_buf *out, const char *text); /* a long number is rounded, with all of it on hovering */
void hps_page_reruns(const struct hps_page *p, const struct hps_study *s); /* page_reruns.c: its section, or nothing */
/* A pill for each word that was ever found of t, the newest first. */
void hps_page_verdicts(struct hps_buf *out, const struct hps_model *m, const struct hps_trial *t);
const char *hps_verdict_sentence(const char *word); /* "every output was the same, byte for byte" */
const char *hps_verdict_mood(const char *word);	     /* class of its pill: good, warn, bad, none */
void hps_page_integrity(const struct hps_page *p);				   /* page_integrity.c */
void hps_page_rules(const struct hps_page *p);
void hps_page_verify(const struct hps_page *p);
void hps_page_charts(const struct hps_page *p, const struct hps_study *s, size_t n); /* page_charts.c */
void hps_page_trials(const struct hps_page *p, const struct hps_study *s);	   /* page_trials.c */
void hps_page_unseen(const struct hps_page *p, const struct hps_study *s, const struct hps_facts *facts); /* page_facts.c */
void hps_page_environment(const struct hps_page *p, const struct hps_study *s, const struct hps_facts *facts);

#endif
