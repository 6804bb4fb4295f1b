/* Level 4: one thread of the trial runs at a time, and the next one gets its turn only where a thread cannot go on: so the order in which
 * threads and processes do things follows from what they do, and is the same in every run.
 *
 * Every system call of a program comes here first (syscall user dispatch, Linux 5.11: a signal before the call is made). A call that could
 * block is made in a form that cannot; when it would have blocked, the turn goes to the next slot of the table, round and round, and
 * the call is tried again when the turn is back. Nobody waits inside the kernel but for the turn. When all have tried in
 * vain, the one whose time limit ends first has reached it: limits are counted on a clock of ours that stands still while somebody
 * can go on, and that waits for the machine's when it moves.
 *
 * A signal is blocked while its thread is stopped: it comes when that thread has the turn, and goes on. Whoever dies of one
 * does so in its turn, and passes it on before. What the kernel does by itself when somebody ends is waited for.
 *
 * Who has the turn, makes no call and is seen in the same few states again and again waits in memory for what only another one can
 * bring: then the order is given up, from there on every thread runs as it would without us, and who it was is said.
 *
 * What runs here may call nothing of the C library: a program may have been stopped anywhere in it. */
#ifndef HPS_SHIM_ORDER_H
#define HPS_SHIM_ORDER_H

#include "shim/shim.h"

#include <signal.h>
#include <ucontext.h>

/* ---- gate.c: calls that are not stopped, and those that are ---- */

long hps_gate_call(long nr, long a, long b, long c, long d, long e, long f);
#define CALL(nr, a, b, c, d, e, f) hps_gate_call(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
/* clone(2) with a stack of the child's own: the child goes on where the program was stopped, with the registers from there. */
long hps_gate_clone(long flags, long stack, long ptid, long ctid, long tls, const greg_t *registers);
void hps_gate_restorer(void); /* of our signal handler */
void hps_gate_close(void);    /* for this thread: every call made elsewhere is stopped from now on */
void hps_gate_open(void);     /* … no more */
pid_t hps_gate_getpid(void);
int64_t hps_gate_now(void); /* of the machine, CLOCK_MONOTONIC, in ns */

/* ---- turn.c: the table of threads, and whose turn it is ---- */

struct hps_shim_slot_state *hps_slots(void);
struct hps_shim_slot_state *hps_slot_mine(void);
uint32_t hps_slot_new(pid_t pid, pid_t parent); /* the lowest that nobody has; 0 when there is none, which is counted as taken */
uint64_t hps_slots_live(void);
uint32_t hps_turn_after(uint32_t slot);		  /* who is next, round and round; itself when there is nobody else */
void hps_turn_give(uint32_t from, uint32_t to);	  /* nothing when `from` has not the turn */
void hps_turn_look(uint32_t turn, unsigned looks); /* at who has had it for so many looks; taken from who cannot pass it on */
void hps_turn_await(void); /* and until the kernel has done what follows from the turns before */
void hps_turn_pass(void);
void hps_turn_be_fair(void); /* one round for the others */

/* ---- standstill.c: who has the turn and does nothing with it ---- */

struct hps_shim_watch *hps_watch(uint32_t slot);
void hps_standstill_look(uint32_t holder, unsigned looks); /* by who awaits its turn; a look is a tenth of a second */
void hps_standstill_sample(const ucontext_t *c);	   /* what such a look makes the holder do, wherever it is */
bool hps_order_is_released(void);

/* ---- waiting.c: tried in vain, until a limit ---- */

#define HPS_NEVER INT64_MAX
struct hps_waiting {
	int64_t limit, real_limit; /* on our clock; on the machine's */
	uint64_t mask;		   /* signals that do not end it */
};
enum hps_waited { HPS_WAIT_ON, HPS_WAIT_LIMIT, HPS_WAIT_SIGNAL /* or the order was given up: `again` */ };
int64_t hps_waiting_duration(const struct timespec *t);		  /* NULL: HPS_NEVER */
int64_t hps_waiting_until(clockid_t clock, const struct timespec *t); /* a point in time, as long from now as it was from what its thread was last told */
void hps_waiting_begin(struct hps_waiting *w, int64_t ns);
enum hps_waited hps_waiting_round(const struct hps_waiting *w); /* the turn goes round, unless it is over */
bool hps_waiting_over(const struct hps_waiting *w);  /* there was no time to wait */
void hps_waiting_end(void);
void hps_waiting_progress(void); /* this thread went on */
void hps_waiting_yield(void);	 /* it asks for what only another can bring, and goes on asking. For a while it is one that can go on. Then it is one that waits */

/* ---- child.c: the ends of processes ---- */

uint32_t hps_child_ended(long pid); /* the slot of a child (of that pid; <= 0: of any) that has said that it ends; UINT32_MAX */
void hps_child_settle(void);	    /* until those of this process have ended, so that their signals are there */
void hps_child_killed(pid_t pid);   /* a process that is about to end without its turn: until it has */
bool hps_child_is_dead(pid_t pid);  /* any process, waited for or not */

/* ---- signals.c ---- */

/* A set without the one that brings us every call, in *own; NULL stays NULL. */
const uint64_t *hps_signals_without_ours(const uint64_t *set, uint64_t *own);
void hps_signals_return(ucontext_t *c); /* the end of another handler: its frame says where to go on */
int hps_signals_catch(void (*handler)(int, siginfo_t *, void *));
uint64_t *hps_signals_mask(ucontext_t *c); /* of the program */
uint64_t hps_signals_block(void); /* all but ours and faults; returns what was blocked */
void hps_signals_restore(uint64_t mask);
/* One is there that is not in the mask and that the program handles. One that it dies of: it does, and passes its turn on. */
bool hps_signals_heed(uint64_t mask);
struct hps_stop;
void hps_signals_make_again(const struct hps_stop *s); /* when the handler returns */
long hps_signals_interrupt(const struct hps_stop *s); /* what a call answers that such a one ended; never -EINTR when the program wants it made again */

/* ---- process.c: beginnings and ends ---- */

void hps_process_attach(uint32_t slot); /* this thread has that slot; returns with the turn */
void hps_process_leave(void);		/* its last turn is over: descriptors closed, slots given up, turn passed on */

/* ---- what is done with a call; its row is in order.c ---- */

struct hps_stop {
	long nr, a[6];
	ucontext_t *context;
};
typedef long hps_on_call(const struct hps_stop *s);

bool hps_question_again(const struct hps_stop *s, long answer); /* question.c: it has been asked often enough in this turn */

hps_on_call hps_on_futex, hps_on_sleep, hps_on_clock_sleep, hps_on_yield, hps_on_flock, hps_on_fcntl, hps_on_open_wait, hps_on_slow;	 /* blocking.c */
hps_on_call hps_on_read, hps_on_write, hps_on_send, hps_on_poll, hps_on_select, hps_on_epoll;			 /* readiness.c */
hps_on_call hps_on_wait4, hps_on_waitid;										 /* child.c */
hps_on_call hps_on_pause, hps_on_suspend, hps_on_mask, hps_on_action, hps_on_stack, hps_on_kill, hps_on_sigwait; /* signals.c */
hps_on_call hps_on_exit, hps_on_exec, hps_on_fork, hps_on_clone, hps_on_clone3;					 /* process.c */
#endif
