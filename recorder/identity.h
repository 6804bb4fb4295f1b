/* Private header of the identities: who made the record what it is. Facts are rows {name, value, source, strength} or
 * {name, missing, why} (docs/FORMATS.md, "Identities"); these functions only read, never fail, and say what they could not learn.
 * facts.c calls the host's ones in a process of their own with a time limit; the record asks the others when the trial has ended. */
#ifndef HPS_RECORDER_IDENTITY_H
#define HPS_RECORDER_IDENTITY_H

#include "core/core.h"
#include "core/redact.h"
#include "recorder/package.h"

/* ---- identity.c: the rows ---- */
/* How far a value can be believed, best first. */
#define HPS_OBSERVED "observed"
#define HPS_ENGINE "engine-reported"
#define HPS_DECLARED "declared"
#define HPS_GUESSED "guessed"
void hps_identity_add(json_t *rows, const char *name, const char *value, const char *source, const char *strength);
void hps_identity_missing(json_t *rows, const char *name, const char *why);
/* The trimmed content of a small text file, NULL when it cannot be read or is empty. Heap. */
char *hps_identity_read(const char *path);
char *hps_identity_read_in(const char *root, const char *path); /* the same of root and path together */
/* Its content, or missing with the reason; named by path. */
void hps_identity_add_file(json_t *rows, const char *root, const char *name, const char *path);

/* Everywhere below: root is a prefix of each path that is read ("" for this machine's own; tests give a made-up tree), envp the trial's
 * environment. */

/* ---- identity_host.c: kernel.*, memory.*, os.*, libc.*, host.*, user.*, clock.* ---- */
void hps_identity_host(json_t *rows, const char *root);
/* The value of the next line "key<blanks>: value" or "key=value" from *at on, which moves behind it; heap, or NULL. */
char *hps_field_next(const char **at, const char *key);

/* ---- identity_cpu.c: cpu.* ---- */
void hps_identity_cpu(json_t *rows, const char *root);
size_t hps_list_count(const char *list);      /* of a list as the kernel writes it: "0-3,8" is 5; 0: no list */

/* ---- identity_limits.c: limits.*, numa.* ---- */
void hps_identity_limits(json_t *rows, const char *root);

/* ---- identity_scheduler.c: scheduler.* of Slurm, PBS, LSF, Grid Engine, Kubernetes and others ---- */
void hps_identity_scheduler(json_t *rows, const char *root, char *const *envp);
const char *hps_environment_get(char *const *envp, const char *name); /* NULL: not set */

/* ---- mountinfo.c: tables of the kernel ---- */
struct hps_mount {
	const char *root, *point, *type, *source, *options; /* options: of the file system */
};
/* The next mount of /proc/PID/mountinfo; cuts the text at *at, which moves on. False at the end. */
bool hps_mountinfo_next(char **at, struct hps_mount *ret);
/* The group of a version-1 controller in /proc/PID/cgroup, or of version 2 (NULL). Heap, or NULL. */
char *hps_cgroup_path(const char *text, const char *controller);
bool hps_list_has(const char *list, const char *word); /* list with commas */

/* ---- identity_blas.c: blas.*, openmp.* by the libraries that were loaded ---- */
void hps_identity_blas(json_t *rows, const char *root, const struct hps_strv *libraries, char *const *envp);
/* The printable string that begins with `start` and a digit, within the first `starts` bytes. Heap, or NULL. */
char *hps_blas_constant(const char *data, size_t len, size_t starts, const char *start);

/* ---- identity_git.c: git.* of the repository around dir, by the git program with a time limit ---- */
void hps_identity_git(json_t *rows, const char *dir);
void hps_git_status(json_t *rows, const char *text, size_t len); /* of `git status --porcelain -z`; ends in a NUL */
json_t *hps_git_brief(const char *dir); /* {"commit", "dirty"}, or {"missing", "why"} */

/* ---- identity_elf.c: what a shared object calls itself ---- */
struct hps_elf {
	char *soname;	/* DT_SONAME, or NULL */
	char *build_id; /* hex, or NULL */
	char *note;	/* .note.package, JSON as its distribution wrote it (systemd.io/ELF_PACKAGE_METADATA), or NULL */
};
/* 1 for an ELF shared object or program, 0 for anything else. */
int hps_elf_read(int fd, struct hps_elf *ret);
void hps_elf_release(struct hps_elf *e);

/* ---- identity_interpreter.c: the Python that ran ---- */
bool hps_python_is(const char *program); /* "python", "python3", "python3.11", by its last name */
/* programs: paths that were executed. python.* */
void hps_identity_python(json_t *rows, const char *root, const struct hps_strv *programs, const struct hps_map *owners);
/* The string constant "<minor>.<patch level>" among the strings of a file, or NULL. Heap. */
char *hps_python_version(const char *data, size_t len, const char *minor);

/* ---- python_text.c: texts of a distribution ---- */
bool hps_python_ends_with(const char *name, size_t len, const char *ending); /* and is longer than that */
/* One line of RECORD: "path,sha256=<base64url without padding>,size", a path with a comma or a quote is quoted; false when it names no file. */
bool hps_python_record_line(const char *line, char **ret_path, struct hps_digest *ret_digest, bool *ret_hashed);
char *hps_python_join(const char *site, const char *relative); /* ".." resolved by the text alone; heap */
/* Of a compiled module the interpreter reads dir/__pycache__/x.<tag>.pyc alone, when it fits dir/x.py by time and size. Heap, or NULL. */
char *hps_python_source(const char *path);
char *hps_python_file_url(const char *url); /* its path; heap, or NULL */
/* The value of a header line; headers end at the first empty line. Heap, or NULL. */
char *hps_python_header(const char *text, const char *name);

/* ---- identity_python.c: distributions of which a file was read ---- */
struct hps_map;
/* owners (package.h): all regular files that the trial read; those that a RECORD lists and no other package owns get their owner. The
 * python manifest's items, sorted by place and name. */
struct hps_python_options {
	const struct hps_strv *programs; /* that were executed: an interpreter among them compiles what bytecode is compared with; NULL: none was */
	int cache_dir;			 /* -1: nothing is remembered */
	int64_t limit_ns;		 /* for that; what it is not enough for is not checked */
	int stop_fd;			 /* 0: none; when something can be read there, time is up */
};
json_t *hps_python_distributions(const char *root, struct hps_map *owners, const struct hps_python_options *o);

/* ---- identity_bytecode.c: is a .pyc what its source compiles to? ---- */

struct hps_bytecode {
	const char *pyc;
	char *source;
	struct hps_digest compiled, text; /* contents that are compared: what the trial got, and what the source should hold */
	enum hps_pristine same;		  /* the result: UNKNOWN when no interpreter that ran could tell, or not in time */
	const struct hps_digest *by;	  /* of the interpreter that said so; NULL: its content is not known */
	bool other_source;		  /* the source is another by now, so nothing was compiled */
};
/* Would the interpreter take it? Not when the time and size in it are not its source's: then it reads the source. */
bool hps_bytecode_fits(const char *root, const char *pyc, const char *source);
/* What earlier runs found of the same two contents by the same interpreter is believed without reading either. owners: the interpreters' contents. */
void hps_bytecode_check(const char *root, const struct hps_python_options *o, const struct hps_map *owners, struct hps_bytecode *items, size_t n);

/* ---- identity_seed.c: seeds and where they came from ---- */
/* seed_option: of --seed, or NULL; parameters: see parameters.c, for what Hydra wrote. The trial's `seeds` array. */
bool hps_seed_valid(const char *text); /* a whole number: decimal, perhaps negative, or 0x and hexadecimal digits; 80 characters at most */
json_t *hps_seeds(char *const *argv, char *const *envp, const char *seed_option, const json_t *parameters);
/* Determinism switches: {"set": [{name, value, origin}], "unset": [variables], "unknown": [{name, why}]}; the last for switches in the code of
 * the frameworks that were loaded (NULL-terminated names). */
json_t *hps_switches(char *const *envp, const json_t *parameters, const char *const *frameworks);
extern const char *const hps_frameworks[]; /* those that it knows */

/* ---- parameters.c: hyperparameters, each {name, value, origin[, source]}, in an object whose keys mean nothing ---- */
/* A later one of the same name, origin and source replaces the earlier. Values are raw: redact them before they are written. */
void hps_parameter_add(json_t *rows, const char *name, const char *value, const char *origin, const char *source);
int hps_parameters_parse(const struct hps_strv *params, json_t **ret, struct hps_error *err) HPS_MUST; /* NAME=VALUE to an object of strings */
void hps_parameters_option(json_t *rows, const json_t *params); /* of --param: object of strings */
void hps_parameters_argv(json_t *rows, char *const *argv);
/* One word of a command line: --name value, --name=value, name=value, --flag. True when `next` was its value. */
bool hps_parameters_word(json_t *rows, const char *word, const char *next, const char *origin);

/* ---- hydra.c: .hydra/config.yaml and .hydra/overrides.yaml ---- */
bool hps_hydra_is(const char *path);
int hps_hydra_read(const char *path, json_t *rows, struct hps_error *err) HPS_MUST;


/* ---- metrics.c: what the trial reported ---- */
/* JSON object (nested names joined by '.') or JSON lines (the last value of each name wins) into `metrics`, values as decimal strings.
 * pointer: NULL, or the part that counts (RFC 6901; of lines, in each that has it); a number there is named by its last step. An absent
 * file is no metrics and no error. */
int hps_metrics_read(const char *path, const char *pointer, json_t *metrics, struct hps_error *err) HPS_MUST;
/* JSON as trials write it: NaN, infinities (nan, inf, too) and numbers that a double or int64 cannot hold are texts, for which
 * hps_metrics_beyond() gives "NaN", "Infinity", "-Infinity" or the nearest double; NULL of any other value. */
int hps_metrics_parse(const char *text, size_t len, json_t **ret, struct hps_error *err) HPS_MUST;
const char *hps_metrics_beyond(const json_t *value);
/* The numbers of an object that is at hand. */
int hps_metrics_add(json_t *metrics, json_t *object, struct hps_error *err) HPS_MUST;
/* "FILE:/pointer" at its last ":/", unless there is a file of the whole name. ret_path is heap; *ret_pointer is part of option, or NULL. */
void hps_metrics_split(const char *option, char **ret_path, const char **ret_pointer);

#endif
