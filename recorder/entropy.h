/* What is answered from a seed or noted instead: random numbers and clocks. */
#ifndef HPS_RECORDER_ENTROPY_H
#define HPS_RECORDER_ENTROPY_H

#include "recorder/supervisor.h"

/* ---- entropy.c: random numbers from a seed ---- */
struct hps_draw {
	uint8_t key[32];
	uint64_t used; /* bytes of its stream */
};
struct hps_entropy {
	const char *mode; /* "record", "seed", "from", "off" */
	bool on, full;	  /* full: /dev/random, /dev/urandom and the places of memory, too */
	uint8_t seed[32];
	char id[65]; /* SHA-256 of "hps.entropy/1\n", a NUL and the seed */
	uint64_t calls, bytes, unanswered, devices, devices_unanswered, places_unanswered;
	_Atomic unsigned n_feeders;
	struct hps_map ordinals;
};
/* mode NULL: "record"; from: a file that hps_entropy_keep() wrote, instead of a mode. */
int hps_entropy_init(struct hps_entropy *e, const char *mode, const char *from, bool full, struct hps_error *err) HPS_MUST;
/* Durable in <ledger>/secrets/entropy/<begin id>, for the owner alone. */
int hps_entropy_keep(const struct hps_entropy *e, const char *ledger, const char *begin_id, struct hps_error *err) HPS_MUST;
void hps_entropy_release(struct hps_entropy *e);
json_t *hps_entropy_json(const struct hps_entropy *e); /* predicate.entropy */
void hps_act_getrandom(struct hps_supervisor *s, struct hps_call *c);
void hps_entropy_unanswered(struct hps_supervisor *s, const struct hps_tracee *t); /* it asks for numbers in a way that we cannot answer */
/* Of a program that was executed: whether its places are fixed when they are to be. The kernel and the trial can take that back. */
void hps_entropy_places(struct hps_entropy *e, int task_fd);
/* An open of something special: true when it was one of the random devices and has been answered. */
bool hps_entropy_open(struct hps_supervisor *s, struct hps_call *c, const struct stat *st, uint64_t flags);

void hps_execution_label(const struct hps_execution *x, struct hps_digest *ret); /* of its program and arguments */

/* ---- clocks.c: what programs read without a call, through the preloaded library (shim/) ---- */
struct hps_clocks {
	char *library;	  /* its path, as the command finds it */
	const char *from; /* a manifest `clocks` that is answered; NULL: they are recorded */
	int fd;		  /* the memory; -1: neither */
	char log[65];	  /* digest of what is answered */
	bool started; /* the library has its starting point: without one no answer is right */
	bool whole;
	size_t n_streams;
	struct hps_map ordinals;
};
int hps_clocks_init(struct hps_clocks *c, const struct hps_trial_options *o, struct hps_error *err) HPS_MUST;
void hps_clocks_start(struct hps_clocks *c); /* the command is about to */
char *hps_clocks_preload(const struct hps_clocks *c, const char *before); /* "LD_PRELOAD=…", with what was preloaded before; NULL: nothing is */
bool hps_clocks_open(struct hps_supervisor *s, struct hps_call *c, const char *name); /* was it the library that asked? Then it is answered */
int hps_clocks_write(struct hps_record *r, json_t **ret, struct hps_error *err) HPS_MUST; /* the manifest `clocks`; *ret stays NULL when there is none */
json_t *hps_clocks_json(const struct hps_record *r); /* predicate.clocks, or NULL */
void hps_clocks_release(struct hps_clocks *c);

#endif
