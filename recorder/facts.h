/* What needs other programs and libraries is learnt in a process of its own. */
#ifndef HPS_RECORDER_FACTS_H
#define HPS_RECORDER_FACTS_H

#include "core/core.h"

/* ---- facts.c: a process that learns what needs other programs and libraries ------------------------------------------ */

struct hps_facts_request {
	const char *dir;		 /* whose repository */
	const struct hps_strv *datasets; /* "[NAME=]PATH" */
	const char *root;		 /* where the files are that are asked about later; NULL: ours */
	const char *engine;		 /* whom to ask about the container: a socket, or "kubernetes"; NULL: nobody */
};
struct hps_facts;
/* Forks: call before there are threads. */
int hps_facts_start(const struct hps_facts_request *request, struct hps_facts **ret, struct hps_error *err) HPS_MUST;
pid_t hps_facts_pid(const struct hps_facts *f);
int hps_facts_machine(struct hps_facts *f, json_t **ret) HPS_MUST; /* {"identities", "datasets"}; waits for them */
/* question: strings with their NUL: "P<content><path>" a regular file where system packages put files, "F<content><path>" one elsewhere (content: 64 hex digits
 * of its SHA-256, or 64 dashes), "E<path>" a mapped library, "X<path>" an executed program, "D<path>" an opened device. The answer:
 * {"files": [number of P and F in a row, index of their owner or -1, …], "owners": [{"package", "manager", "pristine"}], "elf": {path: {…}}, "python": [items],
 * "identities": [rows]}. */
int hps_facts_ask(struct hps_facts *f, struct hps_buf *question) HPS_MUST; /* sends the strings in it, and empties it; any number of times */
int hps_facts_end_question(struct hps_facts *f) HPS_MUST;		   /* no more of them */
int hps_facts_files(struct hps_facts *f, json_t **ret) HPS_MUST;	   /* the answer to all of them */
void hps_facts_end(struct hps_facts *f);

#endif
