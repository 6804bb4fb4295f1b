/* The life of a trial: begin, start, wait, end. */
#ifndef HPS_RECORDER_TRIAL_H
#define HPS_RECORDER_TRIAL_H

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "recorder/facts.h"
#include "recorder/gap.h"

/* ---- launcher.c: the thread that carries the filter, and the command's first process ------------------------------------------------------ */

struct hps_inherited;
struct hps_launch {
	char *const *argv;
	char *const *envp;
	const char *root, *cwd; /* NULL: ours */
	bool looks, listings; /* are answered */
	mode_t umask; /* of the command */
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

/* ---- ending.c ---- */
struct hps_files;
struct hps_received {
	int number;
	int64_t at_ns;
	pid_t pid;
	uid_t uid;
	bool terminal;
	char program[16]; /* of that process, while it was there to be asked; "" */
};
struct hps_ending {
	uint64_t machine, group; /* processes that were killed for want of memory, before the start */
	bool has_machine, has_group;
	struct hps_received signals[64]; /* the first of n_signals */
	size_t n_signals;
	json_t *full; /* file systems without room: hps_ending_look() */
};
void hps_ending_begin(struct hps_ending *e);
void hps_ending_signal(struct hps_ending *e, const struct signalfd_siginfo *i, bool terminal);
void hps_ending_look(struct hps_ending *e, const struct hps_files *files); /* after hps_files_settle(), where names mean what they meant to the trial */
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
	const _Atomic int64_t *told; /* when each signal came to its witness: hps_facts_signals() */
	int64_t known[HPS_FACTS_SIGNALS]; /* of those */
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

/* ---- reaper.c: processes that end, and signals on their way ------------------------------------------------------------------------------------ */

struct hps_exit {
	uint32_t index; /* of the tracee */
	int64_t end_ns;
	int status; /* wait status; -1: not known */
	int pidfd;  /* -1: done with */
};

/* ---- inherit.c: what the command must find as it would without us ---- */

struct hps_trial_options;
#define HPS_INHERITED_MAX 1023 /* the highest number that is remembered */
struct hps_inherited {
	sigset_t mask;
	struct sigaction pipe, too_large; /* of SIGPIPE and SIGXFSZ, which we ignore */
	bool library[2];		  /* signals 32 and 33 were ignored */
	struct rlimit files, core;
	int closed[4]; /* descriptors 0-2 that were closed: closed again in the command; -1 ends */
	int fds[256];  /* open ones that the command inherits */
	size_t n_fds;
};
/* /dev/null at these numbers, where nothing is open: so what the command opens gets the numbers that it got when something stood there. */
int hps_inherited_stand_in(const struct hps_strv *numbers, struct hps_error *err) HPS_MUST;
void hps_inherited_note(struct hps_inherited *i, const struct hps_trial_options *o); /* the descriptors */
json_t *hps_inherited_json(const struct hps_inherited *i); /* numbers above 2 */
const char *hps_inherited_kind(int fd); /* "file", "pipe", "socket", "terminal", "null", "other", "closed" */
void hps_inherited_block_signals(struct hps_inherited *i, sigset_t *ret_watched);
void hps_inherited_take_limits(struct hps_inherited *i); /* ours: as many descriptors as we may have, no core */
/* Signals, limits and closed descriptors as they were. Safe in a vforked child. */
void hps_inherited_restore(const struct hps_inherited *i);
struct hps_supervisor;
/* Regular files that the command has open from the start are read or written unseen: what they hold now is a material. */
void hps_inherited_use(const struct hps_inherited *i, struct hps_supervisor *s);
/* The command has its copies: ours would keep pipes open that it closes. stderr stays, for the summary. */
void hps_inherited_drop(const struct hps_inherited *i);

/* ---- trial.c: from the options to the exit status ---------------------------------------------------------------------------------------------- */

struct hps_trial_options {
	const char *ledger, *study, *seed, *id_file, *capture, *root, *cwd, *replay_of, *metrics_path, *entropy, *entropy_from, *engine, *looks_from, *listings_from, *layers_from, *clocks_from, *shim;
	struct hps_strv params, metrics, datasets, allow_env, descriptors;
	uint64_t number, passphrase_fd, lock_fd, environment_fd, level, pid;
	bool portable, has_level, has_number, has_passphrase_fd, has_lock_fd, has_environment_fd, quiet, wait, entropy_full, no_network, dry_run;
};
struct hps_outcome {
	bool started; /* the command ran: its status is ours */
	int status;   /* to exit with when it ran, or when there is no such command (126, 127) */
	int signal;   /* it died by; 0: it did not */
};
/* closed: descriptors 0-2 that were closed when the program started, and a -1. A negative code: nothing was started. */
int hps_trial_run(const struct hps_trial_options *o, char *const *argv, const int closed[4], struct hps_outcome *outcome,
		  struct hps_error *err) HPS_MUST;

/* ---- command.c: the command before it runs ---- */
enum hps_capture;
/* The options; makes descriptors ours. */
int hps_trial_check(const struct hps_trial_options *o, enum hps_capture *ret_capture, struct hps_error *err) HPS_MUST;
/* The command's environment, which nothing else of the recorder takes for its own: ours, or what the descriptor of the options holds, which is closed. */
int hps_trial_environment(const struct hps_trial_options *o, struct hps_strv *ret, struct hps_error *err) HPS_MUST;
unsigned hps_trial_level(const struct hps_trial_options *o); /* that a rerun is to reach */
int hps_command_look(const char *name); /* 0: there is such a program; else the status that sh gives, 126 or 127, and errno */
char *hps_command_repository(char *const *argv); /* a directory of the code that it runs; heap */

/* ---- preview.c: --dry-run ---- */
char *hps_trial_directory(const struct hps_trial_options *o); /* where the command starts; heap */
/* {"schema": "hps.dry-run/1", and what externalParameters and seeds would be}: nothing is started, nothing is written. Tags are those
 * of the ledger when there is one that can be read. */
int hps_trial_preview(const struct hps_trial_options *o, char *const *argv, json_t **ret, struct hps_error *err) HPS_MUST;

#endif
