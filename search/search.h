/* Private header of search/, grouped by the file that implements it: reads study files, keeps the ledger and runs trials. What is
 * proposed is decided in search/decide/. */
#ifndef HPS_SEARCH_H
#define HPS_SEARCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "core/core.h"
#include "core/redact.h"
#include "hps/ledger.h"
#include "search/decide/decide.h"

/* ---- spec.c: strict YAML ------------------------------------------------------------------------------------------- */

#define HPS_STUDY_FILE_MAX ((size_t)1 << 20)

/* What a plain scalar is by the core schema of YAML 1.2 (section 10.3.2): so `no` is text, and `1e-3` a number. A quoted
 * scalar is always text. */
enum hps_node_type { HPS_NODE_NULL, HPS_NODE_BOOL, HPS_NODE_INT, HPS_NODE_FLOAT, HPS_NODE_TEXT, HPS_NODE_LIST, HPS_NODE_MAP };
struct hps_mark {
	size_t line, column; /* from 1, in characters */
};
struct hps_node {
	enum hps_node_type type;
	struct hps_mark mark, key_mark;
	char *key;	       /* of a map's member, else NULL */
	char *text;	       /* of a scalar, as written; NULL for lists and maps */
	struct hps_node *first; /* of a list's items or a map's members, in file order */
	struct hps_node *next;  /* sibling */
	size_t n;	       /* items or members */
};
struct hps_document {
	struct hps_node *root;
	struct hps_node **all; /* for the release */
	size_t n;
};
/* One document, 1 MiB, 16 levels and 100,000 nodes at most; no anchor, alias, tag, directive, merge key, key that is no
 * scalar, or key given twice. Every message is "<file>:<line>:<column>: what is wrong". HPS_E_USAGE. */
int hps_document_parse(const char *file, const char *text, size_t len, struct hps_document *ret, struct hps_error *err) HPS_MUST;
void hps_document_release(struct hps_document *d);
/* The member of a map, or NULL. */
const struct hps_node *hps_node_at(const struct hps_node *map, const char *key);

/* ---- compile.c: checks that every part of a study file needs ------------------------------------------------------------ */

/* What a compilation carries along. */
struct hps_compile {
	const char *file;	     /* for messages */
	const struct hps_node *root; /* of the document */
	struct hps_error *err;
};
/* A known key of a map: the function checks the value and adds what it means to `out`. */
struct hps_study_key {
	const char *name;
	bool required;
	int (*compile)(struct hps_compile *c, const struct hps_node *value, json_t *out);
};
/* "<file>:<line>:<column>: …", HPS_E_USAGE. */
int hps_compile_error(struct hps_compile *c, struct hps_mark mark, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* "unknown <what> 'word'<where>: did you mean …?", or the known ones when none is near. */
int hps_compile_unknown(struct hps_compile *c, struct hps_mark mark, const char *what, const char *where, const char *word,
			const char *const *known, size_t n_known);
/* Each member must be a row of `keys`, each required row a member; rows are compiled in table order. `what` names the map. */
int hps_compile_map(struct hps_compile *c, const struct hps_node *map, const char *what, const struct hps_study_key *keys, size_t n_keys,
		    json_t *out) HPS_MUST;
int hps_compile_type(struct hps_compile *c, const struct hps_node *node, enum hps_node_type type, const char *what) HPS_MUST;
/* A scalar that is not null, as written. */
int hps_compile_text(struct hps_compile *c, const struct hps_node *node, const char *what) HPS_MUST;
/* Letters, digits, '_', '-', '.' and those in `more`; the first a letter, digit or '_'; 64 at most. */
int hps_compile_name(struct hps_compile *c, const char *name, struct hps_mark mark, const char *what, const char *more) HPS_MUST;
int hps_compile_int(struct hps_compile *c, const struct hps_node *node, const char *what, int64_t min, int64_t max, int64_t *ret) HPS_MUST;
int hps_compile_double(struct hps_compile *c, const struct hps_node *node, const char *what, double *ret) HPS_MUST;
int hps_compile_bool(struct hps_compile *c, const struct hps_node *node, const char *what, bool *ret) HPS_MUST;

/* ---- study_space.c: the parameters ------------------------------------------------------------------------------------- */

int hps_compile_space(struct hps_compile *c, const struct hps_node *value, json_t *out) HPS_MUST;
/* A value of parameter `p` (a compiled item of space), as decisions write it. */
int hps_compile_value(struct hps_compile *c, const struct hps_node *node, const json_t *p, char **ret) HPS_MUST;

/* ---- study.c: from the study file to the compiled study ------------------------------------------------------------------ */

/* The compiled study (docs/FORMATS.md, "Compiled study"): every default written out; its canonical bytes are what is
 * registered. Unknown keys, wrong types and ranges are refused with line and column (HPS_E_USAGE). */
int hps_study_compile(const char *file, const char *text, size_t len, json_t **ret, struct hps_error *err) HPS_MUST;
int hps_study_load(const char *path, json_t **ret, struct hps_error *err) HPS_MUST;

/* ---- template.c: words with {placeholders} --------------------------------------------------------------------------------- */

/* The word with each {name} replaced by what `lookup` gives for it; {{ and }} stand for braces. NULL when lookup gives NULL
 * for a name or a brace is left alone: then *ret_bad (heap) is that name, or "{" or "}". */
char *hps_template_expand(const char *word, const char *(*lookup)(const char *name, void *arg), void *arg, char **ret_bad);

/* ---- history.c: what the ledger holds of a study ---------------------------------------------------------------------------- */

/* A number's life: committed, begun, and then ended (a trial entry) or lost, maybe more than once; at last a result entry. */
struct hps_run_trial {
	bool committed, has_result;
	unsigned n_begun, n_lost;
	json_t *params;		 /* committed: parameter -> text */
	json_t *command;	 /* committed: words */
	char *trial_seed;	 /* committed */
	char id[HPS_DIGEST_HEX]; /* of the trial entry; "" while there is none */
	char lost[HPS_DIGEST_HEX]; /* of the newest lost entry, or "" */
	char *state;		 /* complete, failed, killed; lost with a result only; NULL while open */
	int exit;		 /* status or signal of a trial that did not complete */
	json_t *metrics;	 /* name -> decimal text */
	double seconds;
};
struct hps_history {
	char registered[HPS_DIGEST_HEX]; /* id of the register entry, or "" */
	char spec_digest[HPS_DIGEST_HEX];
	json_t *spec;
	struct hps_seed seed;
	struct hps_run_trial *trials; /* n of them: numbers below the registered budget */
	size_t n;
	bool finished;	      /* a stop entry says that the budget is used */
	uint64_t n_appended;  /* search entries of ours in this process */
	uint64_t next_index;  /* entries below are in here */
	struct hps_map strangers; /* ids of begin entries that name a number and are not its run */
};
/* Reads what is new since the last call (all, when *h is zero). Entries that a commit does not precede, runs of other parameters or of
 * another command than were committed, reruns by hps-replay and second trials of one number are not the study's and are passed over. */
int hps_history_read(struct hps_ledger *l, const char *study, struct hps_history *h, struct hps_error *err) HPS_MUST;
/* The same after finishing what a killed writer had stored and not published: without it, an entry of the dead would be written
 * a second time. For a ledger that is open for appending. */
int hps_history_settle(struct hps_ledger *l, const char *study, struct hps_history *h, struct hps_error *err) HPS_MUST;
void hps_history_release(struct hps_history *h);

struct hps_counts {
	uint64_t complete, failed, killed, lost, running, open; /* running: begun and not ended; open: all other without result */
};
struct hps_counts hps_history_counts(const struct hps_history *h);
/* The number with the best objective among complete trials, the lowest of equals; -1 when there is none. */
int64_t hps_history_best(const struct hps_history *h);

/* ---- secrets.c: what of a study is written down ------------------------------------------------------------------------------------ */

/* The ledger's redactor, which knows the secrets of the study's command and of the environment. Refuses a name that would be withheld. */
int hps_secrets_learn(struct hps_ledger *l, const json_t *spec, struct hps_redactor *ret, struct hps_error *err) HPS_MUST;
json_t *hps_safe_study(const struct hps_redactor *r, const json_t *spec);    /* as it is registered: its digest is the study's */
json_t *hps_safe_named(const struct hps_redactor *r, const json_t *values);  /* object of strings */
json_t *hps_safe_command(const struct hps_redactor *r, const struct hps_strv *command);

/* ---- entries.c: what the runner appends; each call also takes the entry into the history ------------------------------------- */

/* All that is given here is written down: see secrets.c. */
/* Finds the study registered with the same specification, or registers it. Another specification under the same name is
 * refused with what differs (HPS_E_USAGE). */
int hps_study_register(struct hps_ledger *l, const json_t *spec, const char *file, struct hps_history *h, struct hps_error *err) HPS_MUST;
int hps_study_commit(struct hps_ledger *l, struct hps_history *h, uint64_t number, const json_t *params, const char *trial_seed,
		     const json_t *command, struct hps_error *err) HPS_MUST;
/* For a number with a trial entry, or for one that is given up as lost. */
int hps_study_result(struct hps_ledger *l, struct hps_history *h, uint64_t number, struct hps_error *err) HPS_MUST;
int hps_study_stop(struct hps_ledger *l, struct hps_history *h, const char *reason, struct hps_error *err) HPS_MUST;

/* ---- lock.c: one runner at a time, and no resume before the trials of the last one have ended --------------------------------- */

/* Two locked files below <ledger>/studies/: one that only a runner holds, one that its trials' recorders inherit. */
struct hps_study_lock {
	int runner_fd, trials_fd;
};
#define HPS_STUDY_LOCK_INIT { -1, -1 }
/* HPS_E_UNDECIDED when another runner is at work. The trials' lock is opened, not taken. */
int hps_study_lock_take(const char *ledger, const char *study, struct hps_study_lock *ret, struct hps_error *err) HPS_MUST;
/* 0: taken; 1: recorders of an earlier runner still hold it. */
int hps_study_lock_trials(struct hps_study_lock *lock, struct hps_error *err) HPS_MUST;
void hps_study_lock_release(struct hps_study_lock *lock);

/* ---- child.c: a trial as a process --------------------------------------------------------------------------------------------- */

/* What all trials of a run share. */
struct hps_launch {
	const char *recorder;  /* the program hps-record */
	const char *ledger;    /* absolute */
	const char *directory; /* of the study file: the trials' current directory, absolute */
	const char *out;       /* the trials' own directories are made below it, absolute */
	const json_t *spec;
	int lock_fd;
	const char *passphrase; /* of the ledger's keys, or NULL */
};
struct hps_child {
	pid_t pid;
	uint64_t number;
	unsigned n_begun; /* in the history when it was started */
};
char *hps_child_out(const struct hps_launch *l, uint64_t number); /* the directory of one trial */
/* The words of the command for one trial. */
void hps_child_command(const struct hps_launch *l, const struct hps_space *space, const struct hps_decision *d, uint64_t number,
		       struct hps_strv *ret);
/* A number as it is run: with all its secrets, which the ledger has not. */
struct hps_proposal {
	json_t *params; /* object of strings */
	char *seed;
	struct hps_strv command;
};
void hps_proposal_release(struct hps_proposal *p);
/* Makes the directory (an older one of a lost attempt is renamed to <number>.lost-<k>) and starts hps-record in a process group of
 * its own, so that a terminal's Ctrl-C reaches the runner alone. */
int hps_child_start(const struct hps_launch *l, uint64_t number, const struct hps_proposal *p, struct hps_child *ret,
		    struct hps_error *err) HPS_MUST;
/* The last line that the trial or its recorder wrote to stderr; heap, never NULL. */
char *hps_child_last_words(const struct hps_launch *l, uint64_t number);

/* ---- runner.c: the loop ---------------------------------------------------------------------------------------------------------- */

struct hps_runner_options {
	const char *file;   /* the study file */
	const char *ledger; /* NULL: the default */
	const char *out;    /* NULL: <directory of the study file>/<study>.trials */
	uint64_t workers;   /* 0: as the study says */
	const char *passphrase;
	/* What happens, as it happens; `arg` is passed on. All are called from hps_runner_run(). */
	void (*waiting)(uint64_t n_trials, void *arg);
	void (*finished)(const struct hps_history *h, uint64_t number, void *arg);
	void (*tick)(const struct hps_history *h, uint64_t n_running, bool stopping, void *arg);
	void *arg;
};
/* Runs the study to its end, or until a signal (SIGINT, SIGTERM, SIGHUP: start no more, let the running trials end; a second one
 * is passed on to them). *h is the study as the ledger holds it then, whatever is returned. 0: finished; HPS_E_UNDECIDED: stopped. */
int hps_runner_run(const struct hps_runner_options *options, struct hps_history *h, struct hps_error *err) HPS_MUST;

/* ---- report.c: a study for people and programs -------------------------------------------------------------------------------------- */

/* "trial 3  lr=0.01 width=64  accuracy=0.97222  4.1 s  3f2a9c…", heap. */
char *hps_report_line(const struct hps_history *h, uint64_t number);
/* Number, parameters, metrics, seconds, state, digest; the best is marked. Then the counts. */
void hps_report_print(const struct hps_history *h, FILE *out);
json_t *hps_report_json(const struct hps_history *h);

#endif
