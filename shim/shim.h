/* Private header of shim/: the library that is preloaded into a trial's programs. What it shares with the recorder is in core/shim.h. Its
 * variables are the exception to the rule that there are none. */
#ifndef HPS_SHIM_INSIDE_H
#define HPS_SHIM_INSIDE_H

#include "core/shim.h"

#include <time.h>

#define EXPORT __attribute__((visibility("default")))
#define NS 1000000000ll

struct shim {
	_Atomic int state; /* 0: not asked yet, 1: being asked, 2: known */
	enum hps_shim_mode mode;
	struct hps_shim_head *head;
	uint64_t name; /* of the process */
	_Atomic uint32_t *alive; /* zero in a forked child */
	_Atomic int64_t latest[HPS_SHIM_SLOTS]; /* ANSWER: the last that anybody was told; 0: nobody */
	bool ordered;
	uint64_t n_ended_seen; /* of this process */
	int (*clock_gettime)(clockid_t, struct timespec *);
};
extern struct shim hps_shim;

#define SHIM_QUESTIONS 8
#define SHIM_STATES 32
struct shim_thread {
	uint64_t name, n_children;
	const uint8_t *at, *end; /* ANSWER: what is left of the stream */
	struct hps_shim_chunk *chunk;
	int64_t last[HPS_SHIM_SLOTS], anchor[HPS_SHIM_SLOTS], told[HPS_SHIM_SLOTS]; /* told: 0: nothing yet */
	uint32_t known, anchored; /* bits by slot */
	bool ready, busy, over;
	/* order.c */
	uint32_t slot, calls, repeated, n_questions; /* calls: in this turn */
	uint64_t questions[SHIM_QUESTIONS];	     /* the last different ones */
	bool joining; /* waits for the kernel to end a thread that is over */
	bool again;			   /* the order was given up while it waited: the call is to be made anew */
	uint32_t last_call, sampled_calls; /* number + 1; how many calls it had made at the last sample */
	uint32_t n_states, n_known, n_pauses;
	uint64_t states[SHIM_STATES], loop; /* in which it was seen in its turn; about which instruction */
	uint64_t progress_seen;
	uint32_t yields; /* since then */
	uint64_t mask; /* signals that the program blocks here: we block all */
	uint64_t waits_for;
	uint32_t waits_while;
	struct {
		int64_t limit, real_limit;
	} limit;
};
extern __thread struct shim_thread hps_shim_thread __attribute__((tls_model("initial-exec")));

enum { SHIM_FORKED = 1, SHIM_STARTED = 2 };
uint64_t hps_shim_name(uint64_t parent, uint64_t kind, uint64_t ordinal); /* name.c */
enum hps_shim_mode hps_shim_attach(void); /* and this thread's stream */
int64_t hps_shim_now(clockid_t clock);	  /* what the machine says, in ns */
/* A time on this clock as programs were told it → on the machine's. */
void hps_shim_deadline(clockid_t clock, const struct timespec *told, struct timespec *ret);
int64_t hps_shim_latest(clockid_t clock); /* what was last said of it, in ns: to this thread, or else to anybody of the process */
/* ---- order.c ---- */
void hps_shim_order_begin(void); /* of a program: returns with the turn */
uint32_t hps_shim_order_slot(void);
void hps_shim_order_created(uint32_t slot, bool created);
void hps_shim_order_thread(uint32_t slot);
void hps_shim_order_join(uint32_t slot);
void hps_shim_order_yield(void); /* this thread waits for another one, in memory */
uint64_t hps_shim_order_hold(void); /* this thread's signals, which are blocked now; as they were: */
void hps_shim_order_release(uint64_t mask);
void *hps_shim_next(const char *name, const char *version); /* the function behind ours; version NULL: the default one */
#endif
