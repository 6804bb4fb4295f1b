/* What is done about each call. */
#ifndef HPS_RECORDER_CALLS_H
#define HPS_RECORDER_CALLS_H

#include "recorder/supervisor.h"

/* ---- open.c ---- */
void hps_act_open(struct hps_supervisor *s, struct hps_call *c);
void hps_act_openat(struct hps_supervisor *s, struct hps_call *c);
void hps_act_openat2(struct hps_supervisor *s, struct hps_call *c);
void hps_act_creat(struct hps_supervisor *s, struct hps_call *c);

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

enum hps_executable_kind { HPS_EXECUTABLE_UNKNOWN, HPS_EXECUTABLE_ELF, HPS_EXECUTABLE_FOREIGN_ELF, HPS_EXECUTABLE_SCRIPT };
/* What its first bytes say it is, and who runs it: PT_INTERP, or the word after "#!"; "": nobody. */
enum hps_executable_kind hps_executable_interpreter(int fd, char out[HPS_PATH_CAP]);
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
/* Thread tid makes another call: what came of its exec, or of another thread's, for who executes a program goes on under the process's number?
 * An exec of the program that runs already is told from a failed one by the memory, which only the first gives up. */
void hps_exec_confirm(struct hps_supervisor *s, struct hps_tracee *t, pid_t tid);
void hps_exec_assume(struct hps_supervisor *s, struct hps_tracee *t);  /* it ended before it could be asked */
void hps_exec_drop(struct hps_tracee *t); /* all that is pending */

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

/* ---- other.c: calls that are refused, or that change what may be believed ---- */
void hps_act_io_uring(struct hps_supervisor *s, struct hps_call *c);
void hps_act_handle(struct hps_supervisor *s, struct hps_call *c);
void hps_act_identity(struct hps_supervisor *s, struct hps_call *c);
void hps_act_clone(struct hps_supervisor *s, struct hps_call *c);
void hps_act_landlock(struct hps_supervisor *s, struct hps_call *c);
void hps_act_umask(struct hps_supervisor *s, struct hps_call *c);
void hps_act_exit(struct hps_supervisor *s, struct hps_call *c);
void hps_act_limit(struct hps_supervisor *s, struct hps_call *c);
void hps_act_seccomp(struct hps_supervisor *s, struct hps_call *c);
void hps_act_chdir(struct hps_supervisor *s, struct hps_call *c);

#endif
