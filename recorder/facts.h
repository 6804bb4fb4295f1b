/* What needs other programs and libraries is learnt in a process of its own. */
#ifndef HPS_RECORDER_FACTS_H
#define HPS_RECORDER_FACTS_H

#include <pthread.h>

#include "core/core.h"

/* ---- facts.c: a process that learns what needs other programs and libraries ------------------------------------------ */

struct hps_facts_request {
	const char *dir;		 /* whose repository */
	const struct hps_strv *datasets; /* "[NAME=]PATH" */
	const char *root;		 /* where the files are that are asked about later; NULL: ours */
	const char *engine;		 /* whom to ask about the container: a socket, or "kubernetes"; NULL: nobody */
	char *const *envp;		 /* of the command */
};
struct hps_facts;
struct hps_news;
struct hps_news *hps_facts_news(struct hps_facts *f); /* what is told of files before they are asked about */
/* Forks: call before there are threads. */
int hps_facts_start(const struct hps_facts_request *request, struct hps_facts **ret, struct hps_error *err) HPS_MUST;
pid_t hps_facts_pid(const struct hps_facts *f);
/* When each signal last came (boot clock) to a process beside it, which stands in our process group and job, does nothing about it, and which no name,
 * command line or program file of ours finds. NULL: not known. */
#define HPS_FACTS_SIGNALS 32
const _Atomic int64_t *hps_facts_signals(const struct hps_facts *f);
int hps_facts_machine(struct hps_facts *f, json_t **ret) HPS_MUST; /* {"identities", "datasets"}; waits for them */
/* question: strings with their NUL: "P<content><path>" a regular file where system packages put files, "F<content><path>" one elsewhere (content: 64 hex digits
 * of its SHA-256, or 64 dashes), "E<path>" a mapped library, "X<path>" an executed program, "D<path>" an opened device. The answer:
 * {"files": [number of P and F in a row, index of their owner or -1, …], "owners": [{"package", "manager", "pristine"}], "elf": {path: {…}}, "python": [items],
 * "identities": [rows]}. */
int hps_facts_ask(struct hps_facts *f, struct hps_buf *question) HPS_MUST; /* sends the strings in it, and empties it; any number of times */
int hps_facts_end_question(struct hps_facts *f) HPS_MUST;		   /* no more of them */
int hps_facts_files(struct hps_facts *f, json_t **ret) HPS_MUST;	   /* the answer to all of them */
void hps_facts_end(struct hps_facts *f);

/* ---- news.c: files of packages, told as soon as they are hashed ------------------------------------------------------ */

#define HPS_NEWS_MAX ((size_t)4 << 20) /* that nobody took yet; what is more is not told */
#define HPS_NEWS_SYSTEM 'P'	       /* as in a question: see hps_facts_files() */
#define HPS_NEWS_OTHER 'F'
#define HPS_NEWS_PROGRAM 'X'
#define HPS_NEWS_SUM 'S' /* 32 hex digits: MD5 of the file before it */
struct hps_news {
	int fd; /* of a stream */
	pthread_mutex_t lock;
	struct hps_buf text; /* that was added */
	struct hps_buf sending; /* of the one thread that sends: taken from text, not sent yet */
};
void hps_news_init(struct hps_news *n, int fd);
void hps_news_release(struct hps_news *n);
/* These keep it, and can be called by any thread: they wait for nobody. md5: NULL when it is not known. */
void hps_news_file(struct hps_news *n, char kind, const char *path, const struct hps_digest *content, const uint8_t md5[16]);
void hps_news_program(struct hps_news *n, const char *path);
/* One thread at a time sends, which may be starved: none of its own locks is held meanwhile. */
bool hps_news_due(struct hps_news *n); /* is there much of it? */
void hps_news_send(struct hps_news *n, int limit_ms); /* what there is room for; waits for room so long, at most */
struct hps_touched;
/* What has come, without waiting. rest: what is not complete yet. False: no more will come. */
bool hps_news_receive(int fd, struct hps_buf *rest, struct hps_touched *ret);

/* ---- facts_files.c: in the process, what packages, distributions and libraries say of files --------------------------- */

struct hps_touched {
	struct hps_map owners;
	struct hps_strv libraries, programs, devices;
	char *const *envp; /* of the command, for the answer */
};
void hps_touched_add(struct hps_touched *t, const char *records, size_t len); /* of a question, or news */
void hps_touched_release(struct hps_touched *t);
/* Finds out what can be remembered in the caches, until something can be read from stop_fd. */
void hps_touched_ahead(struct hps_touched *t, int cache_dir, int stop_fd);
/* The answer of hps_facts_files(). told: what was news before; machine: its identities; trial_ns: how long the trial took. */
json_t *hps_touched_answer(struct hps_touched *t, const struct hps_touched *told, int cache_dir, const json_t *machine, int64_t trial_ns);

#endif
