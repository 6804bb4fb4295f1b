/* Private header of recorder/: one command under observation, from `begin` to the signed record.
 *
 * Threads. The launcher thread carries the filter and starts the command, so the listener descriptor never has to be handed
 * over. The supervisor thread answers notifications and alone changes tracees, files and executions while the command runs.
 * The hasher thread hashes and stores. The main thread waits for processes and passes signals on; it reads the tables
 * after the supervisor has been joined. A separate process gathers facts about the machine (facts.c), so that no
 * library or program it uses can hang or crash the recorder.
 */
#ifndef HPS_RECORDER_H
#define HPS_RECORDER_H

#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "core/core.h"
#include "hps/ledger.h"

#define HPS_PATH_CAP 4160 /* PATH_MAX and " (deleted)" */

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
 * {"packages": {path: {"package", "manager", "pristine"}}, "elf": {path: {…}}, "python": [items], "identities": [rows]}. */
int hps_facts_ask(struct hps_facts *f, struct hps_buf *question) HPS_MUST; /* sends the strings in it, and empties it; any number of times */
int hps_facts_files(struct hps_facts *f, json_t **ret) HPS_MUST;	   /* the answer to all of them */
void hps_facts_end(struct hps_facts *f);

/* ---- gap.c: what was not seen, and why ---------------------------------------------------------------------------- */

enum hps_gap {
	HPS_GAP_IO_URING,
	HPS_GAP_HANDLE,
	HPS_GAP_ABI,
	HPS_GAP_FOREIGN,
	HPS_GAP_OPAQUE,
	HPS_GAP_SPECIAL,
	HPS_GAP_NETWORK,
	HPS_GAP_SOCKET,
	HPS_GAP_CHANGED,
	HPS_GAP_UNREADABLE,
	HPS_GAP_LISTING,
	HPS_GAP_STORE,
	HPS_GAP_RUNNING,
	HPS_GAP_METRICS,
	HPS_GAP_INTERRUPT,
	HPS_GAP_FENCE,
	HPS_GAP_FACTS,
	HPS_GAP_ARGUMENTS,
	HPS_GAP_DESCRIPTORS,
	HPS_GAP_KERNEL,
	HPS_GAP_ENDS,
	HPS_GAP_CORE,
	HPS_GAP_LINKS,
	HPS_GAP_ENTROPY,
	HPS_GAP_CONNECTIONS,
	HPS_GAP_PRIVILEGE,
	HPS_GAP_LISTENER,
	HPS_GAP_HELD_UP,
	HPS_GAP_DEEP,
	HPS_GAP_DATAGRAM,
	HPS_GAP_OFFERED,
	HPS_GAP_REFUSED, /* with names of calls */
	HPS_GAP_VISITED,
	HPS_GAP_FOLLOW,
	HPS_GAP_CHANNEL,
	HPS_GAP_MOUNTS,
	HPS_GAP_COUNT,
};
#define HPS_GAP_NAMES 8
struct hps_gaps {
	_Atomic uint64_t count[HPS_GAP_COUNT];
	char *names[HPS_GAP_COUNT][HPS_GAP_NAMES]; /* the first different ones, of gaps that have names */
};
void hps_gap_note(struct hps_gaps *g, enum hps_gap gap); /* from any thread */
void hps_gap_name(struct hps_gaps *g, enum hps_gap gap, const char *name); /* counts it, too; from the supervisor's thread */
void hps_gaps_release(struct hps_gaps *g);
bool hps_gaps_none(struct hps_gaps *g); /* no gap through which something escaped the record */
json_t *hps_gaps_json(struct hps_gaps *g); /* predicate.coverage, but for its evidence; the first of `limits` is the processor's */

/* ---- opcodes.c: instructions that give random numbers without a system call ---- */
struct hps_opcodes;
/* head: the n first bytes of what fd is open on. NULL: no x86-64 ELF file. */
struct hps_opcodes *hps_opcodes_new(int fd, const char *head, size_t n);
void hps_opcodes_block(struct hps_opcodes *o, const void *block, size_t n, uint64_t offset); /* in order, from 0 on, without a hole */
bool hps_opcodes_end(struct hps_opcodes *o); /* were there any? NULL: no */

/* ---- hasher.c: the digest of what a file held at one moment --------------------------------------------------------- */

enum hps_content_state {
	HPS_CONTENT_QUEUED, /* waits for the hasher, or is paused between two chunks */
	HPS_CONTENT_BUSY,
	HPS_CONTENT_DONE,
	HPS_CONTENT_CHANGED, /* did not keep its identity while it was hashed: the digest is of what was read */
	HPS_CONTENT_FAILED,  /* could not be read: no digest */
};
struct hps_content {
	struct hps_identity id;
	_Atomic int state; /* enum hps_content_state */
	_Atomic bool wanted; /* somebody waits: the hasher hands the job over after its chunk */
	bool store;	     /* its bytes belong into the content store */
	bool stored, shared_object; /* results, valid when DONE */
	bool draws;	     /* so is this: has the bytes of RDRAND or RDSEED */
	bool secret;	     /* credentials, or holds some: never stored */
	bool guessable;	     /* a secret whose digest is not written down either */
	bool cached;	     /* the digest came from the cache */
	struct hps_digest digest;
	struct hps_hashing *job;  /* until it is hashed; then NULL */
	struct hps_content *next; /* in its bucket */
};

struct hps_hasher;
struct hps_redactor;
/* objects may be NULL (nothing is stored). The thread starts at once, at idle priority. */
struct hps_hasher *hps_hasher_new(int proc_fd, struct hps_objects *objects, struct hps_cache *cache, struct hps_gaps *gaps);
void hps_hasher_redact(struct hps_hasher *h, const struct hps_redactor *redactor); /* looks for its secrets in what is stored; before the first add */
enum hps_keep { HPS_KEEP_DIGEST, HPS_KEEP_CONTENT, HPS_KEEP_SECRET }; /* the last: credentials; copies of them are not stored either */
/* The content that fd holds now; queued for hashing when it is new, or `again` (stores through a mapping move no clock). fd is
 * not kept: it is opened again, for a duplicate would share the offset and the locks with the program. Call from one thread
 * at a time. */
struct hps_content *hps_hasher_add(struct hps_hasher *h, int fd, const struct stat *s, enum hps_keep keep, bool again);
/* Returns when no content of this inode waits to be hashed: a writer may pass. */
void hps_hasher_barrier(struct hps_hasher *h, dev_t dev, ino_t ino);
void hps_hasher_wait(struct hps_hasher *h, struct hps_content *c); /* until it is hashed; does it here if it is not begun */
uint64_t hps_hasher_progress(struct hps_hasher *h); /* grows while something is hashed or stored */
void hps_hasher_finish(struct hps_hasher *h); /* hashes all that is queued, ends the thread; add() then hashes at once */
void hps_hasher_free(struct hps_hasher *h);   /* and all contents */

/* ---- inodes.c: files, whatever their names -------------------------------------------------------------------------------- */

/* One file of the file system. The trial changes it under one name and it is changed under all. */
struct hps_inode {
	dev_t dev;
	ino_t ino;
	int64_t born_ns;	   /* of one that the trial changed, when the file system says it: numbers are given out again */
	struct hps_content *first; /* before the trial changed it, as far as that was read */
	struct hps_file *names;	   /* inputs that were this file when first seen */
	struct hps_inode *older;   /* made before this one */
	bool made, written, gone;  /* by the trial: created; changed, content or mode; removed under its last name */
};
struct hps_inodes {
	struct hps_inode **slots, *newest;
	size_t n, n_slots;
	struct hps_arena arena;
};
struct hps_inode *hps_inode_find(const struct hps_inodes *t, dev_t dev, ino_t ino); /* NULL: never seen */
/* Made when it is new. fd is open on it; -1 when it is certain that the number was not given out again. */
struct hps_inode *hps_inode_get(struct hps_inodes *t, int fd, const struct stat *s);
void hps_inode_made(struct hps_inodes *t, int fd, const struct stat *s); /* just now, by the trial */
void hps_inode_written(struct hps_inode *inode, int fd);
void hps_inode_gone(struct hps_inodes *t, const struct stat *s);
void hps_inodes_release(struct hps_inodes *t);

/* ---- files.c: every path the trial touched -------------------------------------------------------------------------------- */

enum hps_use {
	HPS_USE_READ = 1 << 0,
	HPS_USE_EXEC = 1 << 1,
	HPS_USE_INTERPRETER = 1 << 2,
	HPS_USE_LIBRARY = 1 << 3, /* set at the end, from the content */
	HPS_USE_WRITE = 1 << 4,
	HPS_USE_PARENT = 1 << 5, /* a directory on the way; not written down */
	HPS_USE_LOADER = 1 << 6, /* an ELF interpreter: mapped, too; written down as library */
};
/* What else than its content the trial set; written down as `set`. */
enum hps_attribute {
	HPS_SET_MODE = 1 << 0,
	HPS_SET_OWNER = 1 << 1,
	HPS_SET_TIMES = 1 << 2,
	HPS_SET_EXTENDED = 1 << 3,
};
/* What a product is when the trial has ended. */
struct hps_final {
	bool exists, unreadable; /* unreadable: a directory on the way forbids to look */
	mode_t mode;
	int64_t size, mtime_ns;
	dev_t dev;
	ino_t ino;
	nlink_t n_links;
	uid_t uid;
	gid_t gid;
	const char *link;	     /* another path that is this file; NULL: none is known, or this one stands for them */
	struct hps_content *content; /* of a regular file that could be read */
	char *target;		     /* of a symlink */
};
/* One real path. As material it has what was there before the trial touched it; as product what it left. */
struct hps_file {
	const char *path;	   /* absolute, no symlink in it but perhaps the last name; belongs to the table */
	mode_t mode;		   /* when first seen; 0: never seen there */
	int64_t mtime_ns, size;	   /* when first seen */
	unsigned uses;		   /* enum hps_use, of what was there before; 0: no material */
	struct hps_content *first; /* what it held before the trial changed it */
	struct hps_content *again; /* at a later look, when its change time alone had moved */
	struct hps_inode *inode;   /* the file that it was when first seen; NULL: no regular file, or not known */
	struct hps_file *next_name; /* of the same inode */
	const char *link;	   /* path of another input that was the same file; NULL: none */
	struct hps_inode *link_of; /* by_link: the file that was changed */
	struct hps_identity *now;  /* what was last opened there: see hps_file_is_now() */
	char *target;		   /* of a symlink */
	char *listing;		   /* names, each with its NUL; NULL: not listed */
	size_t listing_len;
	char *attributes;	   /* what stat() says of the directory and then of each name, each with its NUL; NULL: of packages' directories */
	size_t attributes_len;
	char *from;		   /* path it was renamed from */
	struct hps_final *final;   /* of a product, when it was looked at; NULL */
	unsigned set;		   /* enum hps_attribute */
	int held;		   /* kept open because the trial closed the way to it; -1 */
	unsigned descriptors;	   /* bit n: the command had it open as descriptor n when it started */
	bool existed;		   /* before the trial's first change of it */
	bool product, unverified, changed, special;
	bool gone;		   /* the trial removed the name, or moved it away, and has not made it again */
	bool by_link;		   /* a product only because it was changed under another name */
	bool now_is_first;	   /* what was last opened is what `first` is of */
	unsigned named;		   /* opened by its real path: the epoch of the names then; 0: not */
};
/* A rename that was left to the program. */
struct hps_expected {
	struct hps_file *from, *to;
	dev_t dev;
	ino_t ino;
	bool directory;
};
struct hps_files {
	struct hps_inodes inodes;
	struct hps_expected *expected;
	size_t n_expected, n_held;
	struct hps_map by_path; /* struct hps_file *; real paths */
	struct hps_map by_name; /* struct hps_file *; absolute paths as the programs gave them, where they are not the real ones */
	unsigned names;		/* epoch: grows when names may lead elsewhere */
	struct hps_arena arena;	/* of struct hps_file */
	struct hps_map misses;	/* errno as a pointer; absolute paths */
	struct hps_map plain;	/* directories known to be no symlink; emptied when the trial makes or moves names */
	struct hps_strv moved;	/* pairs: directory renamed from, to */
	struct hps_hasher *hasher;
	struct hps_gaps *gaps;
	bool capture; /* contents are stored */
	bool rerun;   /* of a recorded trial: its inputs are stored already */
};
struct hps_file *hps_files_get(struct hps_files *f, const char *path);
/* What lies below a directory that the trial moved is an input under the path it had before. */
char *hps_files_origin(const struct hps_files *f, const char *now);
/* The file that was opened under this absolute name, since names have led elsewhere; NULL: none. */
struct hps_file *hps_files_named(const struct hps_files *f, const char *name);
void hps_files_name(struct hps_files *f, const char *name, struct hps_file *file);
bool hps_file_is_now(const struct hps_file *file, const struct hps_identity *id); /* is this what was last opened there? */
void hps_file_forget_now(struct hps_file *file);				  /* the next reader looks again */
/* fd is open on path's content: notes the use, the first state, and queues what must be hashed. */
void hps_file_use(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s, unsigned uses);
/* Hashes what fd is open on, unless that is known, before a change of the name moves its change time or a writer its content. */
void hps_file_secure(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s);
/* The name changes, or is new: what was there is a material (fd may be -1 when it could not be opened); afterwards it is a product. */
void hps_file_change(struct hps_files *f, struct hps_file *file, int fd, const struct stat *before);
/* The content or mode changes, and with it that of every other name of the file. */
void hps_file_modify(struct hps_files *f, struct hps_file *file, int fd, const struct stat *before);
void hps_file_made(struct hps_files *f, struct hps_file *file, int fd, const struct stat *s); /* by the trial: no input under any name */
void hps_file_removed(struct hps_files *f, struct hps_file *file, const struct stat *s); /* after hps_file_change */
/* The trial is about to close the way to it: it is kept open, if it is a product or becomes one. */
void hps_file_hold(struct hps_files *f, struct hps_file *file);
void hps_files_hold_below(struct hps_files *f, const char *directory);
void hps_file_renamed(struct hps_files *f, struct hps_file *from, struct hps_file *to, bool directory);
void hps_file_exchanged(struct hps_files *f, struct hps_file *a, struct hps_file *b, bool a_directory, bool b_directory);
/* `was` may come to be called `to`, by a call that somebody else makes: seen at the end. */
void hps_files_expect_rename(struct hps_files *f, struct hps_file *from, struct hps_file *to, const struct stat *was);
void hps_files_miss(struct hps_files *f, const char *path, int error);
/* Names that led through a moved directory or link may lead elsewhere now. */
void hps_files_forget_names(struct hps_files *f);
void hps_file_symlink(struct hps_file *file, const struct stat *s, const char *target); /* crossed on the way to something */
/* Looks at every product as it is now and queues its content. Before hps_hasher_finish(), in the trial's root. */
void hps_files_settle(struct hps_files *f);
void hps_files_release(struct hps_files *f);
bool hps_file_changed(const struct hps_file *file); /* did not keep its content while it was an input? */
bool hps_path_unpackaged(const char *path); /* where no Debian package puts files: store at once */

/* ---- links.c: which names are one file ------------------------------------------------------------------------------------- */

/* Fills `link` of inputs and of final states, and notes files that the trial changed and of which not every name was seen. */
void hps_links_find(struct hps_files *f);

/* ---- walk.c: names to real paths ------------------------------------------------------------------------------------------- */

/* The path of dirfd's directory (AT_FDCWD: the root) joined with name, made absolute, "." and ".." and symlinks resolved by reading
 * them; each symlink crossed is noted as a material. Parts that do not exist are kept as they are. follow: the last name, too. */
void hps_walk(struct hps_files *f, const char *base, const char *name, bool follow, struct hps_buf *ret);

/* ---- tracee.c: processes of the tree ------------------------------------------------------------------------------------------ */

enum hps_answer { HPS_UNKNOWN, HPS_NO, HPS_YES };
struct hps_execution;
struct hps_tracee {
	pid_t pid;
	uint32_t index;		/* in the table; never used twice */
	int task_fd;		/* O_PATH on /proc/PID/task: "../x" is the process's x, and the link count tells its threads; -1 between
				 * its calls when descriptors are scarce */
	int mem_fd, maps_fd;	/* opened when needed, closed by an exec; -1 */
	unsigned reads;		/* of its memory since the last exec */
	int execution;		/* item of the table of executions that it runs as; -1 */
	int umask;		/* -1: not known */
	int cwd_fd;		/* O_PATH; -1: not known */
	char *cwd;		/* its path */
	pid_t cwd_mover;	/* thread that was told to go on with a chdir and has not been heard of since; 0 */
	enum hps_answer own_memory; /* does no other process share its memory? */
	uint32_t parent;	/* index + 1 of the process that started it, when that is known */
	unsigned threads_assumed; /* calls for which it is not looked at again how many threads it has */
	bool launching;		/* our own child before its first exec: its memory is ours */
	bool shares;		/* started a process that shares memory, descriptors or directories with it */
	bool foreign;		/* other root, namespaces or rights than ours: nothing is injected */
	bool confined;		/* by Landlock, by itself: foreign for good, and so are its children */
	bool recheck;		/* made a call after which `foreign` must be looked at again */
	bool opaque;		/* we may not read its memory */
	bool watched;		/* the reaper will tell when it ends */
	uint64_t born;		/* when it is not watched: its start time, for its number may be given to another */
	struct hps_file *in_flight; /* CONTINUE was answered for an open of this, and nothing was heard since */
	long in_flight_nr;
	struct hps_execution *pending; /* an exec that is not confirmed yet */
	struct hps_environ *environ; /* of the program that it runs; NULL: not known */
	struct hps_draw *draw; /* its random numbers; NULL: none asked for */
	dev_t exe_dev;
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
/* The process of a notifying thread; NULL when it is gone, or cannot be looked at. */
struct hps_tracee *hps_tracee_get(struct hps_supervisor *s, pid_t tid);
bool hps_tracee_is_own(struct hps_supervisor *s, pid_t pid); /* of the tree, whether it was heard of or not */
void hps_tracee_heard(struct hps_supervisor *s, pid_t tid); /* it makes another call: the last one is over */
void hps_tracee_end(struct hps_supervisor *s, uint32_t index);
/* Closes what is kept open of all processes for speed, but of this one. */
void hps_tracees_make_room(struct hps_supervisor *s, const struct hps_tracee *but);
/* Is there little room above this descriptor, the lowest that was free? Or was there none (fd < 0)? */
bool hps_tracees_scarce(const struct hps_supervisor *s, int fd);
void hps_tracee_executed(struct hps_tracee *t); /* its memory is new */
void hps_tracee_forget_cwd(struct hps_tracee *t);
int hps_tracee_umask(struct hps_tracee *t);
int64_t hps_tracee_cpu_ns(const struct hps_tracee *t); /* 0: not known */
int64_t hps_tracee_peak_kib(const struct hps_tracee *t);
int64_t hps_own_peak_kib(void); /* not ru_maxrss, which counts what the process was before it executed us */
void hps_tracee_check(struct hps_supervisor *s, struct hps_tracee *t); /* sets `foreign` */
/* Waits until calls that other processes were told to CONTINUE have left the kernel: names are about to change. */
void hps_tracees_settle(struct hps_supervisor *s, const struct hps_tracee *but);
char *hps_tracee_own_rights(void); /* of the calling thread, to compare with; heap */
void hps_tracees_release(struct hps_tracees *t);

/* ---- memory.c: what a tracee says ------------------------------------------------------------------------------------------------ */

ssize_t hps_memory_read(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, void *to, size_t len); /* bytes read, or -errno */
/* The string at `at` with its NUL; its length, -ENAMETOOLONG when cap is not enough, or -errno. */
ssize_t hps_memory_string(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, char *to, size_t cap);
/* Strings at n addresses, with one call for the starts of all: those that were got have their length in lens, the others -1. */
#define HPS_MEMORY_START 128
void hps_memory_starts(struct hps_tracee *t, const uint64_t *at, size_t n, char (*to)[HPS_MEMORY_START], ssize_t *lens);
/* Can nobody change these bytes before the kernel reads them? One thread, memory of its own, a private mapping; or that of a parent
 * of which the same is true, and which waits (vfork). */
bool hps_memory_stable(struct hps_supervisor *s, struct hps_tracee *t, uint64_t at, size_t len);

/* ---- supervisor.c: the event loop ---------------------------------------------------------------------------------------------------- */

/* A program image: one item of the processes manifest. */
struct hps_execution {
	int parent;
	pid_t pid;
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
/* placement.c's own: who has asked lately, and how often. */
struct hps_placement {
	int64_t burst_ns; /* start of the current second and descriptors handed out in it */
	unsigned burst;
	pid_t askers[4]; /* the last threads that asked, the latest first */
	bool came_back;	 /* the latest was among them already */
	bool apart;	 /* several run at once: each stays on its own processor */
	unsigned notices, turns;
};
struct hps_supervisor {
	int listener, proc_fd;
	const char *root; /* --root, or NULL */
	struct hps_looks *looks; /* of a rerun; NULL: looks are not answered */
	pid_t control_tid; /* a notification of this thread ends the loop */
	pid_t root_pid;
	struct hps_files *files;
	struct hps_hasher *hasher;
	struct hps_gaps *gaps;
	struct hps_reaper *reaper;
	struct hps_tracees tracees;
	struct hps_execution *executions;
	size_t n_executions;
	bool sharing_possible;	/* somebody started a process with its own memory that is no thread */
	bool foreign_possible;	/* somebody may have left our root, namespaces or rights */
	bool memory_untrusted;	/* somebody writes into another process's memory */
	bool have_query;	/* PROCMAP_QUERY works */
	int scarce_fd;		/* from this descriptor on the rest is for single calls */
	int current_umask;	/* of the supervisor thread */
	nlink_t task_links;	/* link count of a task directory besides its threads */
	struct stat ns_root, ns_mount, ns_user;
	uint64_t written[1024];	/* inodes that the trial wrote, as a Bloom filter with one hash: file mappings of others are stable */
	_Atomic bool ended; /* by the control thread: the listener lived until then */
	_Atomic uint64_t turn; /* odd while a call is acted on */
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

/* {escaped path: [is it a directory? 1: 0, links, size, blocks, inode]}, as the trial saw them. */
int hps_looks_load(const char *file, struct hps_looks **ret, struct hps_error *err) HPS_MUST;
void hps_looks_free(struct hps_looks *l);
void hps_act_look(struct hps_supervisor *s, struct hps_call *c);
extern const struct hps_syscall hps_look_syscalls[5]; /* intercepted besides, when looks are answered */

/* ---- filter.c ---- */
/* The filter for this thread, from the table: returns the listener. Degrades to what the kernel can do, noting gaps. sandboxed: what
 * a rerun may not do comes to the supervisor, too (core's calls.c). looks: so do those of look.c. */
int hps_filter_install(struct hps_gaps *gaps, bool sandboxed, bool looks, int *ret_listener, struct hps_error *err) HPS_MUST;
/* A Landlock domain without rules: what is inside can send no signal to what is outside. A descriptor, or -errno: the kernel has
 * no signal scope. The command's first process enters it (and not the launcher: a signal for one of our threads is one for all). */
int hps_fence_new(void);
int hps_fence_enter(int fence); /* 0 or -errno */

/* ---- placement.c: on which processor a program and the supervisor wake each other ---- */
void hps_placement_note(struct hps_supervisor *s, pid_t tid); /* for each notice */
/* Is this descriptor's receiver to be held on our processor? Then between here and anywhere, both for the stopped thread. */
bool hps_placement_hold(struct hps_supervisor *s);
bool hps_placement_here(pid_t tid, cpu_set_t *ret_own);
void hps_placement_anywhere(pid_t tid, cpu_set_t *own);

/* ---- open.c ---- */
void hps_act_open(struct hps_supervisor *s, struct hps_call *c);
void hps_act_openat(struct hps_supervisor *s, struct hps_call *c);
void hps_act_openat2(struct hps_supervisor *s, struct hps_call *c);
void hps_act_creat(struct hps_supervisor *s, struct hps_call *c);

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
	bool stable; /* nobody can change the name before the kernel reads it */
};
/* 0, or -errno when the name cannot be read or its start not opened: the caller lets the kernel decide (CONTINUE). */
int hps_target_get(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, struct hps_target *ret) HPS_MUST;
void hps_target_release(struct hps_target *t);
/* Absolute, as given: the key of by_name. */
void hps_target_name(const struct hps_target *t, struct hps_buf *ret);
void hps_target_walk(struct hps_supervisor *s, const struct hps_target *t, bool follow, struct hps_buf *ret);

/* ---- names.c: calls that change names, made by us ---- */
void hps_act_rename(struct hps_supervisor *s, struct hps_call *c);
void hps_act_renameat(struct hps_supervisor *s, struct hps_call *c);
void hps_act_unlink(struct hps_supervisor *s, struct hps_call *c);
void hps_act_unlinkat(struct hps_supervisor *s, struct hps_call *c);
void hps_act_rmdir(struct hps_supervisor *s, struct hps_call *c);
void hps_act_mkdir(struct hps_supervisor *s, struct hps_call *c);
void hps_act_mkdirat(struct hps_supervisor *s, struct hps_call *c);
void hps_act_mknod(struct hps_supervisor *s, struct hps_call *c);
void hps_act_mknodat(struct hps_supervisor *s, struct hps_call *c);
void hps_act_bind_path(struct hps_supervisor *s, struct hps_call *c, uint64_t at); /* a socket is about to appear at the name there */
void hps_act_link(struct hps_supervisor *s, struct hps_call *c);
void hps_act_linkat(struct hps_supervisor *s, struct hps_call *c);
void hps_act_symlink(struct hps_supervisor *s, struct hps_call *c);
void hps_act_symlinkat(struct hps_supervisor *s, struct hps_call *c);
void hps_act_truncate(struct hps_supervisor *s, struct hps_call *c);

/* ---- attributes.c: chmod, chown, utime, setxattr and kin, made by us ---- */
void hps_act_attributes(struct hps_supervisor *s, struct hps_call *c);

/* ---- foreign.c: names given under another root, namespace or rights: noted as unverified, and the kernel goes on ---- */
void hps_foreign_open(struct hps_supervisor *s, struct hps_call *c, const struct hps_target *target, uint64_t flags, bool writes);
void hps_foreign_change(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at); /* the name, made or removed */
void hps_foreign_name(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at);   /* the same, and the call is not answered */
void hps_foreign_write(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at);  /* what it leads to */
void hps_foreign_write_descriptor(struct hps_supervisor *s, struct hps_call *c, int fd);
void hps_foreign_rename(struct hps_supervisor *s, struct hps_call *c, int from_fd, uint64_t from_at, int to_fd, uint64_t to_at);
void hps_foreign_link(struct hps_supervisor *s, struct hps_call *c, int from_fd, uint64_t from_at, int to_fd, uint64_t to_at);

/* ---- executable.c: what a program file needs to run ---- */

#define HPS_EXECUTABLE_DEPTH 5 /* interpreters of interpreters, as the kernel */
/* Kept so that a program that is executed a thousand times is opened and read once: valid while the names still lead to the files
 * that were looked at. */
struct hps_executable {
	struct hps_file *file;
	struct {
		char *name;
		struct hps_file *file;
	} interpreters[HPS_EXECUTABLE_DEPTH];
	unsigned n;
	const struct hps_file *script; /* the first line's interpreter */
	dev_t running_dev;
	ino_t running_ino;
	bool usable, privileged;
};
/* fd is open on it: noted as used, under its real path. name: as it was given, or NULL; base: the directory that a relative one starts from. */
struct hps_file *hps_executable_file(struct hps_supervisor *s, int fd, const struct stat *st, const char *name, const char *base, unsigned uses);
int hps_executable_open_inside(const struct hps_tracee *t, const char *name); /* an absolute name under a root that may not be ours; -1 */
/* Follows #! lines to the ELF file that will run, and that to its own interpreter. False: an ABI that is refused. */
bool hps_executable_interpreters(struct hps_supervisor *s, struct hps_call *c, int fd, const char *base, struct stat *running, struct hps_executable *p);
const struct hps_executable *hps_executable_known(struct hps_supervisor *s, const char *name); /* of this absolute name, when all is as it was; else NULL */
void hps_executable_keep(struct hps_supervisor *s, const char *name, const struct hps_executable *p); /* takes what p holds */
void hps_executable_drop(struct hps_executable *p);
void hps_executables_release(struct hps_map *executables);

/* ---- exec.c ---- */
void hps_act_execve(struct hps_supervisor *s, struct hps_call *c);
void hps_act_execveat(struct hps_supervisor *s, struct hps_call *c);
void hps_exec_confirm(struct hps_supervisor *s, struct hps_tracee *t); /* of t->pending: what is really running? */
void hps_exec_assume(struct hps_supervisor *s, struct hps_tracee *t);  /* it ended before it could be asked */

/* ---- other.c: calls that are refused, or that change what may be believed ---- */
void hps_act_io_uring(struct hps_supervisor *s, struct hps_call *c);
void hps_act_handle(struct hps_supervisor *s, struct hps_call *c);
void hps_act_identity(struct hps_supervisor *s, struct hps_call *c);
void hps_act_clone(struct hps_supervisor *s, struct hps_call *c);
void hps_act_landlock(struct hps_supervisor *s, struct hps_call *c);
void hps_act_umask(struct hps_supervisor *s, struct hps_call *c);
void hps_act_exit(struct hps_supervisor *s, struct hps_call *c);
void hps_act_seccomp(struct hps_supervisor *s, struct hps_call *c);
void hps_act_chdir(struct hps_supervisor *s, struct hps_call *c);

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

/* ---- network.c: sockets ---- */
void hps_act_socket(struct hps_supervisor *s, struct hps_call *c);
void hps_act_connect(struct hps_supervisor *s, struct hps_call *c);
void hps_act_bind(struct hps_supervisor *s, struct hps_call *c);
void hps_act_listen(struct hps_supervisor *s, struct hps_call *c);
void hps_act_accept(struct hps_supervisor *s, struct hps_call *c); /* peers.c */
void hps_act_sendto(struct hps_supervisor *s, struct hps_call *c);
void hps_act_sendmsg(struct hps_supervisor *s, struct hps_call *c); /* with MSG_FASTOPEN alone */
void hps_connections_release(struct hps_map *connections);
struct hps_record;
int hps_network_write(struct hps_record *r, json_t **ret, struct hps_error *err) HPS_MUST; /* the manifest `connections` */

/* ---- channels.c: ways to other programs besides files and sockets ---- */
void hps_act_channel(struct hps_supervisor *s, struct hps_call *c); /* it is one, whoever is at the other end */
void hps_act_key(struct hps_supervisor *s, struct hps_call *c);	    /* System V: by a key that others can know */
void hps_act_shmat(struct hps_supervisor *s, struct hps_call *c);
void hps_act_mq_open(struct hps_supervisor *s, struct hps_call *c);
void hps_act_perf(struct hps_supervisor *s, struct hps_call *c);
void hps_act_peek(struct hps_supervisor *s, struct hps_call *c); /* reads another process's memory */
void hps_act_poke(struct hps_supervisor *s, struct hps_call *c); /* writes it, or may */
void hps_act_userfaultfd(struct hps_supervisor *s, struct hps_call *c);
void hps_act_pidfd_getfd(struct hps_supervisor *s, struct hps_call *c);
void hps_act_setns(struct hps_supervisor *s, struct hps_call *c);
void hps_act_mount(struct hps_supervisor *s, struct hps_call *c);

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
	bool started, whole;
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

/* ---- launcher.c: the thread that carries the filter, and the command's first process ------------------------------------------------------ */

struct hps_inherited;
struct hps_launch {
	char *const *argv;
	char *const *envp;
	const char *root, *cwd; /* NULL: ours */
	bool looks; /* are answered */
	const struct hps_inherited *inherited;
	bool fixed_places; /* of memory: no address space layout randomisation */
	pid_t pid;	   /* that the command is to have; 0: any. Needs a pid namespace that is ours to count in */
};
struct hps_launcher;
/* Makes the thread and installs the filter; the command is not started yet. */
int hps_launcher_new(const struct hps_launch *launch, struct hps_gaps *gaps, struct hps_launcher **ret, struct hps_error *err) HPS_MUST;
int hps_drop_capabilities(void); /* of this thread and what it starts, but root's over files; 0 or -errno */
int hps_launcher_listener(const struct hps_launcher *l);
pid_t hps_launcher_tid(const struct hps_launcher *l);
/* 0 and the child's pid, or -errno of the exec (126, 127 by hps_error_exit of the caller). */
int hps_launcher_start(struct hps_launcher *l, pid_t *ret_pid) HPS_MUST;
void hps_launcher_free(struct hps_launcher *l); /* when the command was started, its last act wakes the supervisor for the end */

/* ---- reaper.c: processes that end, and signals on their way ------------------------------------------------------------------------------------ */

struct hps_exit {
	uint32_t index; /* of the tracee */
	int64_t end_ns;
	int status; /* wait status; -1: not known */
	int pidfd;  /* -1: done with */
};
/* ---- ending.c ---- */
struct hps_received {
	int number;
	int64_t at_ns;
	pid_t pid;
	uid_t uid;
	bool terminal;
};
struct hps_ending {
	uint64_t machine, group; /* processes that were killed for want of memory, before the start */
	bool has_machine, has_group;
	struct hps_received signals[64]; /* the first of n_signals */
	size_t n_signals;
};
void hps_ending_begin(struct hps_ending *e);
void hps_ending_signal(struct hps_ending *e, const struct signalfd_siginfo *i, bool terminal);
json_t *hps_ending_json(const struct hps_ending *e, int64_t started_ns); /* predicate.ending; started on the boot clock */

struct hps_reaper {
	struct hps_ending ending;
	pthread_mutex_t lock;
	int epoll_fd, signal_fd;
	struct hps_exit *exits; /* watched and ended */
	size_t n;
	uint32_t *ended; /* indices of tracees for the supervisor to forget */
	size_t n_ended;
	_Atomic bool news;
	size_t first_open;	    /* item: before it all statuses are known */
	size_t n_waiting, n_asked; /* statuses not known: now, and when all were last asked for */
	pid_t helper; /* a child of ours that is no part of the trial; 0 */
};
int hps_reaper_init(struct hps_reaper *r, const sigset_t *signals, struct hps_error *err) HPS_MUST;
void hps_reaper_release(struct hps_reaper *r);
bool hps_reaper_watch(struct hps_reaper *r, int pidfd, uint32_t index); /* takes pidfd; false: it cannot be watched */
/* Until the command has ended and its tree with it (wait), or a grace time has passed and the rest was killed. False: something is
 * left all the same. */
bool hps_reaper_wait(struct hps_reaper *r, pid_t command, bool wait, int *ret_status, struct rusage *ret_usage, struct hps_gaps *gaps);
/* A core file is written by the kernel, where and how core_pattern says. After hps_reaper_collect(). */
void hps_reaper_note_cores(const struct hps_reaper *r, int command_status, struct hps_gaps *gaps);
void hps_reaper_collect(struct hps_reaper *r); /* the exit status of every process that can still be asked; closes the rest */

/* ---- inherit.c: what the command must find as it would without us ---- */

struct hps_trial_options;
struct hps_inherited {
	sigset_t mask;
	struct sigaction pipe, too_large; /* of SIGPIPE and SIGXFSZ, which we ignore */
	bool library[2];		  /* signals 32 and 33 were ignored */
	struct rlimit files, core;
	int closed[4]; /* descriptors 0-2 that were closed: closed again in the command; -1 ends */
	int fds[256];  /* open ones that the command inherits */
	size_t n_fds;
};
void hps_inherited_note(struct hps_inherited *i, const struct hps_trial_options *o); /* the descriptors */
const char *hps_inherited_kind(int fd); /* "file", "pipe", "socket", "terminal", "null", "other", "closed" */
void hps_inherited_block_signals(struct hps_inherited *i, sigset_t *ret_watched);
void hps_inherited_take_limits(struct hps_inherited *i); /* ours: as many descriptors as we may have, no core */
/* Signals, limits and closed descriptors as they were. Safe in a vforked child. */
void hps_inherited_restore(const struct hps_inherited *i);

/* ---- trial.c: from the options to the exit status ---------------------------------------------------------------------------------------------- */

struct hps_trial_options {
	const char *ledger, *study, *seed, *id_file, *capture, *root, *cwd, *replay_of, *metrics_path, *entropy, *entropy_from, *engine, *looks_from, *clocks_from, *shim;
	struct hps_strv params, metrics, datasets, allow_env;
	uint64_t number, passphrase_fd, lock_fd, level, pid;
	bool portable, has_level, has_number, has_passphrase_fd, has_lock_fd, quiet, wait, entropy_full, no_network, dry_run;
};
unsigned hps_trial_level(const struct hps_trial_options *o); /* that a rerun is to reach */
struct hps_outcome {
	bool started; /* the command ran: its status is ours */
	int status;   /* to exit with when it ran, or when there is no such command (126, 127) */
	int signal;   /* it died by; 0: it did not */
};
/* closed: descriptors 0-2 that were closed when the program started, and a -1. A negative code: nothing was started. */
int hps_trial_run(const struct hps_trial_options *o, char *const *argv, const int closed[4], struct hps_outcome *outcome,
		  struct hps_error *err) HPS_MUST;

int hps_trial_check(const struct hps_trial_options *o, struct hps_error *err) HPS_MUST; /* the options; makes descriptors ours */

/* ---- preview.c: --dry-run ---- */
char *hps_trial_directory(const struct hps_trial_options *o); /* where the command starts; heap */
/* {"schema": "hps.dry-run/1", and what externalParameters and seeds would be}: nothing is started, nothing is written. Tags are those
 * of the ledger when there is one that can be read. */
int hps_trial_preview(const struct hps_trial_options *o, char *const *argv, json_t **ret, struct hps_error *err) HPS_MUST;

/* ---- record.c: what is written down ------------------------------------------------------------------------------------------------------------------ */

struct hps_redactor;
struct hps_record {
	const struct hps_trial_options *o;
	char *const *argv;
	char *const *envp; /* as we got it */
	const struct hps_redactor *redactor;
	char *cwd;
	mode_t umask;
	json_t *surroundings, *portable; /* portable: names of the variables that --portable set; NULL without */
	const char *standard[3]; /* what descriptors 0 to 2 are: hps_inherited_kind() */
	char begin_id[65];
	char *metrics_path;
	json_t *params, *metrics;
	json_t *parameters; /* with --param, of the command line and of Hydra: parameters.c */
	int64_t started_ns, finished_ns;	     /* wall clock */
	int64_t started_boot_ns, finished_boot_ns; /* boot clock */
	int status;			     /* wait status */
	struct rusage usage;
	struct hps_supervisor *supervisor;
	struct hps_files *files;
	struct hps_reaper *reaper;
	struct hps_gaps *gaps;
	struct hps_facts *facts;
	struct hps_objects *objects; /* of the ledger; NULL: manifests are kept in `spooled` */
	json_t *spooled;	     /* object: digest -> manifest text */
	uint64_t n_read, n_written;  /* files, for the summary */
	bool hashed, tree_ended;
	json_t *drawing; /* array: loaded files that have RDRAND or RDSEED */
};
json_t *hps_record_begin(const struct hps_record *r);
/* ---- coverage.c ---- */
bool hps_coverage_complete(const struct hps_record *r);
json_t *hps_coverage_json(const struct hps_record *r); /* predicate.coverage */
json_t *hps_record_external(const struct hps_record *r); /* buildDefinition.externalParameters: what the command was given */
void hps_record_selftest(json_t *rows); /* the identity recorder.selftest */
/* Writes the manifests and builds the trial statement. */
int hps_record_trial(struct hps_record *r, json_t **ret, struct hps_error *err) HPS_MUST;

/* ---- mark.c: one trial among several of a process ---- */

struct hps_mark {
	char begin_id[65];
	int lease; /* -1: none */
	struct hps_trial_options o; /* of which study, number */
	char *study;
	json_t *params; /* object of strings */
	int64_t started_ns, started_boot_ns;
};
/* given: {"number", "study", "params"}, all of them optional. Appends its begin entry, which names the host's. */
int hps_mark_begin(struct hps_ledger *l, const struct hps_record *host, const json_t *given, struct hps_mark *ret, struct hps_error *err) HPS_MUST;
/* given: {"metrics", "params", "state": complete, failed, pruned}, all optional; NULL: the program never said how it ended. */
int hps_mark_end(struct hps_ledger *l, const struct hps_record *host, struct hps_mark *m, const json_t *given, char ret_id[65], struct hps_error *err) HPS_MUST;
void hps_mark_release(struct hps_mark *m);

/* ---- marks.c: HPS_SOCKET ---- */

/* Listens at path in a thread of its own, which has the ledger to itself until hps_marks_end(). */
struct hps_marks;
int hps_marks_start(struct hps_ledger *l, const struct hps_record *host, const char *path, struct hps_marks **ret, struct hps_error *err) HPS_MUST;
const char *hps_marks_path(const struct hps_marks *m);
void hps_marks_end(struct hps_marks *m); /* marks that are open are abandoned */

/* ---- lists.c: its manifests ---- */
/* Asks the facts process about the files, stores what no package can restore, writes the manifests. The products go to `subject`, the
 * descriptors of the others to `dependencies`, identities that follow from the files to `rows`. */
int hps_lists_write(struct hps_record *r, json_t *subject, json_t *dependencies, json_t *rows, struct hps_error *err) HPS_MUST;

/* ---- dataset_found.c: data sets that nobody declared ---- */
/* list: in path order. Adds a descriptor for each directory of data that the trial read; owners: the answer's "packages". */
void hps_datasets_found(struct hps_file *const *list, size_t n, const json_t *owners, json_t *dependencies);

/* ---- shape.c: small shapes of JSON ---- */
json_t *hps_shape_digest(const struct hps_digest *d);
/* The content of a file: `name` with its digest; of credentials "<name>Tag" (keyed) and "withheld" with the reason. */
void hps_shape_content(const struct hps_record *r, json_t *item, const char *name, const char *path, const struct hps_content *c);
/* Why the digest of this file's content is not written down; NULL: it is. */
const char *hps_shape_withheld(const char *path, const struct hps_content *c);
void hps_shape_octal(json_t *object, const char *name, mode_t mode);
void hps_shape_seconds(json_t *object, const char *name, int64_t ns); /* as a decimal string */
json_t *hps_shape_exit(int status);
char **hps_shape_words(const struct hps_execution *e); /* its arguments, and a NULL; heap, the strings are e's */
json_t *hps_shape_arguments(const struct hps_record *r, char *const *argv); /* redacted */
json_t *hps_shape_text(const struct hps_record *r, const char *text);	    /* redacted */
json_t *hps_shape_parameters(const struct hps_record *r);			    /* array of rows: redacted */
json_t *hps_shape_named(const struct hps_record *r, const json_t *values);  /* object of strings under a user's names: redacted */

/* ---- manifest.c: long lists as objects ------------------------------------------------------------------------------------------------------------------ */

struct hps_manifest {
	const struct hps_redactor *redactor;
	struct hps_objects *objects;	  /* NULL: kept in memory */
	struct hps_object_writer *writer; /* of what was too long to be kept; NULL: nothing yet */
	const char *name;
	struct hps_buf text; /* what is not written yet */
	size_t n, written;
	int error;
};
void hps_manifest_begin(struct hps_manifest *m, const struct hps_record *r, const char *name);
void hps_manifest_add(struct hps_manifest *m, json_t *item); /* takes item and redacts it; items come sorted */
void hps_manifest_add_plain(struct hps_manifest *m, json_t *item); /* the same of one without words */
/* Stores it and gives its resource descriptor {name, digest, mediaType}. */
int hps_manifest_end(struct hps_manifest *m, struct hps_record *r, json_t **ret, struct hps_error *err) HPS_MUST;

/* ---- spool.c: records that the ledger could not take ---------------------------------------------------------------------------------------------------------- */

/* Durable in <state>/hps/spool/<begin id>.json: {"schema":"hps.spool/1","ledger","statement","manifests"}. ret_path is heap. */
int hps_spool_put(const struct hps_record *r, const char *ledger, const json_t *statement, char **ret_path, struct hps_error *err) HPS_MUST;

#endif
