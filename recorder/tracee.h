/* Processes of the tree: who calls, what is in their memory, and which name they give. */
#ifndef HPS_RECORDER_TRACEE_H
#define HPS_RECORDER_TRACEE_H

#include "recorder/files.h"

/* ---- tracee.c: processes of the tree ------------------------------------------------------------------------------------------ */

enum hps_answer { HPS_UNKNOWN, HPS_NO, HPS_YES };
struct hps_execution;
struct hps_tracee {
	pid_t pid;
	pid_t caller; /* its thread that called last: the first may have ended, and then /proc/PID and its number lead to no memory */
	uint32_t index;		/* in the table; never used twice */
	int task_fd;		/* O_PATH on /proc/PID/task: "../x" is the process's x, and the link count tells its threads; -1 between
				 * its calls when descriptors are scarce */
	int mem_fd, maps_fd;	/* opened when needed, closed by an exec; -1 */
	int before_fd;		/* its memory when the pending exec was told to go on, which is gone after one; -1: not needed, or not to be had */
	unsigned reads;		/* of its memory since the last exec */
	int execution;		/* item of the table of executions that it runs as; -1 */
	int umask;		/* -1: not known */
	int cwd_fd;		/* O_PATH; -1: not known */
	char *cwd;		/* its path */
	bool at_home;		/* its directory is still that in which its last execution (or the pending one) began */
	pid_t cwd_mover;	/* thread that was told to go on with a chdir and has not been heard of since; 0 */
	enum hps_answer own_memory; /* does no other process share its memory? NO: seen in this call */
	uint32_t parent;	/* index + 1 of the process that started it, when that is known */
	bool threaded;		/* may have started a thread since its last exec: then they are counted */
	unsigned threads_assumed; /* calls for which it is not looked at again how many threads it has */
	bool launching;		/* our own child before its first exec: its memory is ours */
	bool shares;		/* started a process that shares memory, descriptors or directories with it, or may be believed as little */
	bool foreign;		/* other root, namespaces or rights than ours: nothing is injected */
	bool confined;		/* by Landlock, by itself: foreign for good, and so are its children */
	bool recheck;		/* made a call after which `foreign` must be looked at again */
	bool opaque;		/* we may not read its memory */
	bool watched;		/* the reaper will tell when it ends */
	uint64_t born;		/* when it is not watched: its start time, for its number may be given to another */
	struct hps_file *in_flight; /* CONTINUE was answered for an open of this, and nothing was heard since */
	long in_flight_nr;
	struct hps_execution *pending; /* execs that are not confirmed yet, one of a thread, the last first */
	bool leaving; /* one of its threads has called exit_group */
	struct hps_environ *environ; /* of the program that it runs; NULL: not known */
	struct hps_draw *draw; /* its random numbers; NULL: none asked for */
	dev_t exe_dev; /* what it ran when those were told to go on; 0: not known */
	ino_t exe_ino;
};
struct hps_tracees {
	uint32_t *by_tid; /* index + 1 */
	size_t n_tids;
	struct hps_tracee **items; /* NULL: ended */
	size_t n;
	unsigned n_in_flight;
};

struct hps_supervisor;
struct hps_call;
/* The process of a notifying thread; NULL when it is gone, or cannot be looked at. */
struct hps_tracee *hps_tracee_get(struct hps_supervisor *s, pid_t tid);
bool hps_tracee_is_own(struct hps_supervisor *s, pid_t pid); /* of the tree, whether it was heard of or not */
void hps_tracee_heard(struct hps_supervisor *s, pid_t tid); /* it makes another call: the last one is over */
void hps_tracee_end(struct hps_supervisor *s, uint32_t index);
/* Closes what is kept open of all processes for speed, but of this one. */
void hps_tracees_make_room(struct hps_supervisor *s, const struct hps_tracee *but);
/* Is there little room above this descriptor, the lowest that was free? Or was there none (fd < 0)? */
bool hps_tracees_scarce(const struct hps_supervisor *s, int fd);
/* Its memory is new. Not sure: nothing is believed that a failed exec would have left otherwise. */
void hps_tracee_executed(struct hps_tracee *t, bool sure);
/* Does it share its memory with whoever started it? Asked again unless it is known that it has its own. */
enum hps_answer hps_tracee_own_memory(struct hps_supervisor *s, struct hps_tracee *t);
void hps_tracee_forget_cwd(struct hps_tracee *t);
void hps_tracee_forget_memory(struct hps_tracee *t); /* closes what is open of it */
int hps_tracee_umask(struct hps_tracee *t);
int hps_tracee_descriptor(const struct hps_tracee *t, int number); /* a copy of it, on the same description; -1 and errno */
int64_t hps_tracee_cpu_ns(const struct hps_tracee *t); /* 0: not known */
int64_t hps_tracee_peak_kib(const struct hps_tracee *t);
int64_t hps_own_peak_kib(void); /* not ru_maxrss, which counts what the process was before it executed us */
void hps_tracee_check(struct hps_supervisor *s, struct hps_tracee *t); /* sets `foreign` */
/* Waits until calls that other processes were told to CONTINUE have left the kernel: names are about to change. */
void hps_tracees_settle(struct hps_supervisor *s, const struct hps_tracee *but);
char *hps_tracee_own_rights(void); /* of the calling thread, to compare with; heap */
void hps_tracees_release(struct hps_tracees *t);

/* ---- status.c: texts of /proc ---- */
/* The number after "\nName:" of a /proc/PID/status text, or fallback. */
long hps_status_number(const char *text, const char *name, int base, long fallback);
char *hps_status_rights(const char *text); /* its lines that say what a process may do with files; heap */
uint64_t hps_stat_start(const char *text); /* of /proc/PID/stat: when it started, in clock ticks since boot; 0: not known */

/* ---- memory.c: what a tracee says ------------------------------------------------------------------------------------------------ */

ssize_t hps_memory_read(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, void *to, size_t len); /* bytes read, or -errno */
/* The string at `at` with its NUL; its length, -ENAMETOOLONG when cap is not enough, or -errno. */
ssize_t hps_memory_string(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, char *to, size_t cap);
/* Strings at n addresses, with one call for the starts of all: those that were got have their length in lens, the others -1. */
#define HPS_MEMORY_START 128
void hps_memory_starts(struct hps_tracee *t, const uint64_t *at, size_t n, char (*to)[HPS_MEMORY_START], ssize_t *lens);
/* Can nobody change what is read from now on before the kernel reads it? First, before the reading: one thread with memory of its own, or of a
 * parent of which the same is true, and which waits (vfork): whose memory it is, or NULL. Then of the bytes: are they in private mappings? */
struct hps_tracee *hps_memory_lender(const struct hps_supervisor *s, const struct hps_tracee *t); /* the parent that waits; NULL */
struct hps_tracee *hps_memory_alone(struct hps_supervisor *s, struct hps_tracee *t);
bool hps_memory_private(struct hps_supervisor *s, struct hps_tracee *alone, uint64_t at, size_t len); /* alone may be NULL: then not */

/* ---- target.c: the name that a call gives ---- */
struct hps_target {
	int base; /* descriptor to resolve `path` from, or AT_FDCWD; closed by hps_target_release */
	const char *path; /* as the program gave it, or rewritten when it means the program's own descriptors */
	char given[4097];
	char rewritten[64 + 4097];
	const char *base_path; /* of base; "" for the root */
	char base_buffer[HPS_PATH_CAP];
	size_t len;
	bool borrowed; /* base is not ours to close */
	bool own;    /* links may be magic: /proc/self and kin: the program's own process directory or descriptors */
	uint64_t at; /* where the name is, in the memory of `alone`: see hps_memory_alone() */
	struct hps_tracee *alone;
	enum hps_answer stable;
};
/* 0, or -errno when the name cannot be read or its start not opened: the caller lets the kernel decide (CONTINUE). */
int hps_target_get(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, struct hps_target *ret) HPS_MUST;
int hps_target_get_inside(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, struct hps_target *ret) HPS_MUST; /* dirfd is its root */
void hps_target_release(struct hps_target *t);
bool hps_target_stable(struct hps_supervisor *s, struct hps_target *t); /* can nobody change the name before the kernel reads it? */
/* Absolute, as given: the key of by_name. */
void hps_target_name(const struct hps_target *t, struct hps_buf *ret);
void hps_target_walk(struct hps_supervisor *s, const struct hps_target *t, bool follow, struct hps_buf *ret);

#endif
