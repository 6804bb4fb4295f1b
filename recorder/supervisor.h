/* Which calls are intercepted, and the loop that answers them. */
#ifndef HPS_RECORDER_SUPERVISOR_H
#define HPS_RECORDER_SUPERVISOR_H

#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include "recorder/tracee.h"

/* ---- supervisor.c: the event loop ---------------------------------------------------------------------------------------------------- */

/* A program image: one item of the processes manifest. */
struct hps_execution {
	int parent;
	pid_t pid;
	pid_t tid; /* while it is pending: the thread that is told to go on */
	struct hps_execution *older; /* pending one of another thread */
	char *program;
	char *argv; /* strings, each with its NUL */
	size_t argv_len;
	char *cwd;
	int64_t start_ns, end_ns; /* on the boot clock; end 0: not known */
	bool replaced;		  /* by a later exec of the same process */
	uint32_t tracee;
	dev_t exe_dev; /* what /proc/PID/exe must be */
	ino_t exe_ino;
	bool stable; /* nobody could change the path or arguments that were read */
	uint64_t n_random, n_random_opened; /* calls of getrandom, opens of /dev/random or /dev/urandom */
	char *script; /* the interpreter that its first line names; NULL: it has none */
	char *set, *removed; /* environ.c: strings, each with its NUL */
	size_t set_len, removed_len;
	int64_t cpu_start_ns, cpu_ns; /* of the process, when it began and when it ended or was replaced; 0: not known */
	int64_t peak_kib;	      /* resident; 0: not known */
	uint64_t n_threads, n_forks;  /* threads it started, and processes that were forked from it and ran no other program */
	int64_t forks_cpu_ns;
	bool keyed;
	uint8_t key[32]; /* of its random numbers */
	bool clocked;	     /* it loaded the library that answers clocks */
	uint64_t clock_name; /* 0: none yet */
};

struct hps_reaper;
struct hps_standby {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	bool runs, end;
};
/* The last change of an environment that was worked out (environ.c). */
struct hps_environ_change {
	struct hps_environ *before, *after;
	struct hps_buf set, removed;
};
/* placement.c's own. */
struct hps_placed {
	int64_t at_ns;
	pid_t tid; /* 0: nobody */
};
struct hps_placement {
	int64_t burst_ns; /* start of the current second and descriptors handed out in it */
	unsigned burst;
	int64_t answered_ns; /* when the last call was answered */
	bool elsewhere;	     /* who asks goes on where the kernel wants, not on our processor */
	struct hps_placed last[64]; /* by processor (modulo): who went on there last, and has not asked since */
	unsigned notices;    /* in the current window, which began at window_ns, when we had worked worked_ns */
	int64_t window_ns, worked_ns;
	bool dense; /* programs do little else than ask: one processor for all of us */
	unsigned doubt, wait; /* windows that pass until that is tried again, and those left of them */
};
struct hps_supervisor {
	int listener, proc_fd;
	const char *root; /* --root, or NULL */
	struct hps_looks *looks; /* of a rerun; NULL: looks are not answered */
	struct hps_map listings; /* struct hps_listing *, by path; of a rerun: answered when there are any */
	pid_t control_tid; /* a notification of this thread ends the loop */
	pid_t root_pid;
	struct hps_files *files;
	struct hps_hasher *hasher;
	struct hps_gaps *gaps;
	struct hps_reaper *reaper;
	pid_t helper; /* a child of ours that is no part of the trial; 0 */
	struct hps_tracees tracees;
	struct hps_execution *executions;
	size_t n_executions;
	bool sharing_possible;	/* somebody started a process with its own memory that is no thread */
	bool foreign_possible;	/* somebody may have left our root, namespaces or rights */
	bool memory_untrusted;	/* somebody writes into another process's memory, or shares it with we do not know whom */
	bool unseen;		/* a call went on without being looked at: it may have started a thread */
	bool have_query;	/* PROCMAP_QUERY works */
	int scarce_fd;		/* from this descriptor on the rest is for single calls */
	int current_umask;	/* of the supervisor thread */
	nlink_t task_links;	/* link count of a task directory besides its threads */
	struct stat ns_root, ns_mount, ns_user;
	uint64_t written[1024];	/* inodes that the trial wrote, as a Bloom filter with one hash: file mappings of others are stable */
	_Atomic bool ended; /* by the control thread: the listener lived until then */
	_Atomic uint64_t turn; /* odd while a call is acted on */
	_Atomic pid_t tid;     /* of the thread that acts */
	_Atomic bool missed;   /* the standby let calls go on: what we believe of processes may be wrong */
	struct hps_standby standby;
	_Atomic uint64_t n_notices, n_answers;
	uint64_t n_confirmed, n_assumed;
	size_t environ_bytes;
	struct hps_environ_change environ_change;
	struct hps_map programs; /* struct hps_executable *: what executing a name means, while nothing has changed there */
	struct hps_entropy *entropy;
	struct hps_clocks *clocks;
	bool no_network;
	struct hps_peers *peers; /* of sockets: who is at the other end */
	struct hps_map sockets; /* names (network.c) of sockets of ours that are part of the trial */
	struct hps_map connections; /* struct hps_connection *; "<execution> <how> <name>" */
	const struct hps_syscall *rows[512];
	struct {
		dev_t dev;
		bool pseudo;
	} devices[32]; /* without a device of their own */
	size_t n_devices;
	char *rights;		/* what our /proc/self/status says of ids and capabilities */
	struct hps_placement placement;
	struct seccomp_notif *early; /* received while a call was acted on, not acted on themselves yet: from early_head to n_early */
	size_t early_head, n_early;
};
struct hps_call {
	const struct seccomp_notif *n;
	struct hps_tracee *t;
	const uint64_t *args;
};
int hps_supervisor_init(struct hps_supervisor *s, struct hps_error *err) HPS_MUST;
/* Runs until the control thread makes an intercepted call. */
void hps_supervisor_run(struct hps_supervisor *s);
void hps_supervisor_rights_changed(struct hps_supervisor *s); /* this thread's, which are to be those of the command */
void hps_supervisor_release(struct hps_supervisor *s);

void hps_supervisor_wrote(struct hps_supervisor *s, ino_t ino);
bool hps_supervisor_written(const struct hps_supervisor *s, ino_t ino);
/* What fd is open on, as seen from the trial's root; "" when it has no name. */
void hps_supervisor_path(const struct hps_supervisor *s, int fd, const struct stat *st, char out[HPS_PATH_CAP]);
bool hps_supervisor_pseudo(struct hps_supervisor *s, int fd, const struct stat *st); /* on procfs, sysfs and kin: no content to hash */

/* Receives what is waiting, to be acted on later: whoever is heard of has left the call before. */
void hps_supervisor_gather(struct hps_supervisor *s);

/* Each notification is answered exactly once, by one of these. */
void hps_answer_continue(struct hps_supervisor *s, const struct hps_call *c);
void hps_answer_error(struct hps_supervisor *s, const struct hps_call *c, int error);
/* The call cannot be looked at: notes the gap, and the kernel goes on. */
void hps_answer_unseen(struct hps_supervisor *s, const struct hps_call *c);
/* Could a call not be looked at for want of our own descriptors or memory? Then notes the gap and lets the kernel go on. */
bool hps_answer_exhausted(struct hps_supervisor *s, const struct hps_call *c, int error);
void hps_answer_value(struct hps_supervisor *s, const struct hps_call *c, int64_t value);
/* Hands fd out as the call's result and closes ours. alone: no copy of ours exists when the program goes on (a writer). */
void hps_answer_descriptor(struct hps_supervisor *s, const struct hps_call *c, int fd, bool cloexec, bool alone);

/* ---- syscalls.c: which calls are intercepted, and by whom ------------------------------------------------------------------------------ */

struct hps_syscall {
	int nr;
	const char *name;
	void (*act)(struct hps_supervisor *s, struct hps_call *c); /* NULL: refused in the filter with `error` */
	int error;
	uint64_t mask, equals; /* intercepted only when (args[arg] & mask) == equals; mask 0: always */
	unsigned arg;
	bool differs; /* only when args[arg] != equals, instead */
};
extern const struct hps_syscall hps_syscalls[];
extern const size_t hps_n_syscalls;

/* ---- look.c: what stat() says in a rerun ---- */

/* {escaped path: [is it a directory? 1: 0, links (-1: not known), size, blocks, inode, device]}, as the trial saw them. */
int hps_looks_load(const char *file, struct hps_looks **ret, struct hps_error *err) HPS_MUST;
void hps_looks_free(struct hps_looks *l);
void hps_act_look(struct hps_supervisor *s, struct hps_call *c);
extern const struct hps_syscall hps_look_syscalls[5]; /* intercepted besides, when looks are answered */

/* ---- relisting.c: how directories are read in a rerun ---- */

int hps_listings_load(const char *file, struct hps_map *ret, struct hps_error *err) HPS_MUST; /* the manifest "listings" of a trial */
void hps_act_list(struct hps_supervisor *s, struct hps_call *c);
extern const struct hps_syscall hps_listing_syscall; /* intercepted besides, when there are any */

/* ---- filter.c ---- */
/* The filter for this thread, from the table: returns the listener. Degrades to what the kernel can do, noting gaps. sandboxed: what
 * a rerun may not do comes to the supervisor, too (core's calls.c). looks, listings: so do those of look.c, of relisting.c. */
int hps_filter_install(struct hps_gaps *gaps, bool sandboxed, bool looks, bool listings, int *ret_listener, struct hps_error *err) HPS_MUST;
/* A Landlock domain without rules: what is inside can send no signal to what is outside. A descriptor, or -errno: the kernel has
 * no signal scope. The command's first process enters it (and not the launcher: a signal for one of our threads is one for all). */
int hps_fence_new(void);
int hps_fence_enter(int fence); /* 0 or -errno */

/* ---- placement.c: on which processor a program and the supervisor wake each other ---- */
/* Times are of hps_time_monotonic_ns(). */
void hps_placement_note(struct hps_supervisor *s, pid_t tid, int64_t now_ns);	  /* a notice of this thread has come */
void hps_placement_answered(struct hps_supervisor *s, pid_t tid, int64_t now_ns); /* and was acted on: the next may be there already */
/* A window of notices ends, at which this thread has worked worked_ns in all: do programs little else than ask? */
void hps_placement_window(struct hps_placement *p, int64_t now_ns, int64_t worked_ns);
/* Is this descriptor's receiver to be held on our processor? Then between here and anywhere, both for the stopped thread. */
bool hps_placement_hold(struct hps_supervisor *s, int64_t now_ns);
bool hps_placement_here(pid_t tid, cpu_set_t *ret_own);
void hps_placement_anywhere(pid_t tid, cpu_set_t *own);

/* ---- standby.c: when the supervisor is held up ---- */
void hps_standby_start(struct hps_supervisor *s); /* before hps_supervisor_run(), which ends it */
void hps_standby_end(struct hps_supervisor *s);

/* ---- environ.c: environments from program to program ---- */
struct hps_environ *hps_environ_ref(struct hps_environ *e);
void hps_environ_unref(struct hps_environ *e);
void hps_environ_change_release(struct hps_environ_change *l);
void hps_environ_note(struct hps_supervisor *s, struct hps_tracee *t, struct hps_execution *x); /* x runs now */
struct hps_record;
void hps_environ_json(const struct hps_record *r, const struct hps_execution *x, json_t *item);

struct hps_trial_options;

#endif
