/* The library that is preloaded into every program of a trial whose record is to answer more than the kernel's own calls show (level 3
 * and up): clocks, which programs read without a system call. And what it shares with the recorder: one memory, which the recorder
 * hands to whoever opens HPS_SHIM_ASK, and nobody else knows of.
 *
 * Recording, each thread appends what its clocks said to chunks of that memory. Answering, each thread reads what the same thread
 * was told then. Threads are told apart by who started them as how manieth, so that no order between them matters. A thread that asks
 * for more than was recorded gets clocks that go on from there at the machine's pace.
 *
 * The library (shim/) is C without ours: it lives in other people's programs, so it allocates next to nothing, keeps no descriptor, prints
 * nothing, and does what the C library would have done whenever there is nobody to answer. */
#ifndef HPS_SHIM_H
#define HPS_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HPS_SHIM_ASK "/proc/self/hps-shim" /* the offset of the descriptor that comes back is the name of the process */
#define HPS_SHIM_VERSION 1
#define HPS_SHIM_MAX ((uint64_t)128 << 20) /* what clocks said, of all threads: two to four bytes each time */
#define HPS_SHIM_SLOT_TABLE 4096 /* struct hps_shim_slot_state */
#define HPS_SHIM_SLOTS_MAX 1024u
#define HPS_SHIM_WATCH_TABLE 36864 /* struct hps_shim_watch, of the same slots */
#define HPS_SHIM_HEAD 65536 /* after which streams and chunks come */

enum hps_shim_mode { HPS_SHIM_OFF, HPS_SHIM_RECORD, HPS_SHIM_ANSWER };

/* What is recorded under one number: a clock, or a count of the same kind. */
enum hps_shim_slot {
	HPS_SHIM_REALTIME,
	HPS_SHIM_MONOTONIC,
	HPS_SHIM_PROCESS,
	HPS_SHIM_THREAD,
	HPS_SHIM_RAW,
	HPS_SHIM_REALTIME_COARSE,
	HPS_SHIM_MONOTONIC_COARSE,
	HPS_SHIM_BOOTTIME,
	HPS_SHIM_TAI,
	HPS_SHIM_TIMES = 10, /* times(2): five numbers */
	HPS_SHIM_USAGE, /* getrusage(2): sixteen */
	HPS_SHIM_SLOTS = 16,
};

/* A value is written as zigzag(value - the one before in this slot) * 16 + slot, in seven bits a byte, the lowest first. The first of
 * a slot follows `base`. */
#define HPS_SHIM_VALUE_MAX 10

struct hps_shim_stream { /* ANSWER: sorted by name */
	uint64_t name, at, len;
};
struct hps_shim_chunk { /* RECORD: its bytes follow */
	uint64_t name;
	uint32_t size, used;
};
enum { HPS_SHIM_GONE, HPS_SHIM_LIVE, HPS_SHIM_EXITED, HPS_SHIM_STRANGER }; /* EXITED: a process that nobody has waited for */
struct hps_shim_slot_state { /* a thread, in the order of turns */
	_Atomic uint32_t state, attached;
	_Atomic int32_t pid, parent; /* parent: of a process */
	int64_t limit;		     /* on `clock`, of its wait; INT64_MAX: none */
};
enum hps_shim_stood { HPS_SHIM_SPINS = 1, HPS_SHIM_COMPUTES };
struct hps_shim_watch { /* what who has the turn does with it */
	_Atomic uint32_t tid, n_calls, call; /* call: its number + 1 while it is made */
	_Atomic uint32_t looks;		     /* of others, since its last call */
	_Atomic uint32_t give_up, reserved;
};
struct hps_shim_head {
	uint32_t version, mode;
	uint64_t size;			    /* of the whole memory */
	int64_t base[HPS_SHIM_SLOTS];	    /* clocks when the recorded trial started, in ns */
	int64_t real_base[HPS_SHIM_SLOTS];  /* … when this one started */
	uint64_t streams, n_streams;	    /* ANSWER: place of the table */
	_Atomic uint64_t next;		    /* RECORD: first free byte */
	_Atomic uint64_t n_lost;	    /* RECORD: values that found no room */
	_Atomic uint64_t n_unanswered;	    /* ANSWER: reads beyond the record */
	uint32_t ordered;		    /* level 4: one thread at a time */
	_Atomic uint32_t turn, n_slots;	    /* turn: the slot that has it + 1; 0: nobody yet */
	uint64_t idle;			    /* tries in vain since somebody went on; of whoever has the turn, like `clock` */
	int64_t clock;			    /* ns; moves to a time limit when nobody can go on */
	_Atomic uint64_t n_taken;	    /* turns of somebody who had ended, or could not be told of them */
	_Atomic uint64_t n_open;	    /* calls that were waited for without the turn */
	_Atomic uint64_t n_other;	    /* reads of clocks that have no slot, or from inside another read */
	uint64_t n_progress, n_progress_then; /* how often somebody went on; … when `clock` moved last. Of whoever has the turn */
	_Atomic uint64_t n_ended;	    /* processes that said that they end */
	_Atomic uint32_t open_call;   /* number + 1 of the first call that was waited for without the turn */
	_Atomic uint32_t released;    /* the order was given up, because: */
	_Atomic uint32_t stood_how;   /* enum hps_shim_stood; 0: nobody stood still */
	uint32_t stood_call, stood_looks; /* its last call, number + 1; how long, in tenths of a second */
	char stood_thread[16];	      /* its name (prctl(2), PR_GET_NAME) */
	_Atomic int32_t leaving_pid, leaving_tid; /* a thread that said so last, and that the kernel may not have ended yet */
	uint64_t order, n_order; /* a digest of which slots made calls one after the other; how many. Of whoever has the turn */
	uint32_t order_last;	 /* the last of them + 1 */
};
#endif
