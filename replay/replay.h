/* Private header of replay/: rebuild a recorded trial, rerun it, compare, give a signed verdict.
 * Grouped by the file that implements it. plan.c's and view.c's parts say what a rerun gets; how outputs are compared: compare/compare.h. */
#ifndef HPS_REPLAY_H
#define HPS_REPLAY_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/core.h"
#include "core/redact.h"
#include "hps/ledger.h"
#include "replay/compare/compare.h"

/* ---- study.c: what a study declared before its first trial -------------------------------------------------------------------------- */

/* The compiled spec that the trial's study had registered; NULL for a trial of no study. */
int hps_study_spec(struct hps_ledger *l, const struct hps_entry *trial, json_t **ret, struct hps_error *err) HPS_MUST;
void hps_study_tolerances(const json_t *spec, struct hps_map *ret); /* each metric → struct hps_tolerance *, `declared` when it has one */

/* ---- original.c: the record to replay ------------------------------------------------------------------------------------ */

struct hps_hole { /* what the rerun could not have as it was */
	char *what, *why;
};
struct hps_holes {
	struct hps_hole *v;
	size_t n;
};
void hps_hole_add(struct hps_holes *h, const char *what, const char *why);
void hps_holes_release(struct hps_holes *h);

struct hps_withheld;
struct hps_original {
	struct hps_entry trial, begin;
	struct hps_objects *objects; /* where its manifests and outputs are: the ledger's, or the bundle's */
	struct hps_objects *own;     /* of a bundle: closed with this */
	json_t *spec;		      /* of its study; NULL when it has none */
	json_t *materials, *products, *misses; /* the manifests' items */
	json_t *listings;		       /* those of another one; NULL: the record has none */
	json_t *readings, *processes;	       /* those of `clocks` and `processes`; NULL: it has none, or they are in `spare` */
	struct hps_strv argv, environment; /* NAME=value */
	struct hps_strv metrics; /* files that --metrics named */
	char *seed;		 /* file with the seed of its random numbers; NULL: they were the kernel's, or it is not here */
	char clocks[65]; /* digest of the manifest `clocks`; "": its clocks were not recorded */
	char *shim;	 /* path of the library that recorded them; NULL */
	unsigned recorded_level; /* --level of its recording */
	const json_t *surroundings; /* of the command; part of `trial`, or NULL */
	bool terminal[3]; /* descriptors that were a terminal */
	bool input_unknown; /* standard input brought what nobody recorded */
	struct hps_withheld *withheld; /* by hps_withheld_supply(), or NULL */
	pid_t pid;	 /* of its first process; 0: not recorded */
	pid_t recorder_pid; /* of the parent of that one; 0: not recorded */
	bool seeded, seeded_fully, no_network; /* by --entropy, --entropy-full, --no-network */
	char *cwd, *metrics_path, *host; /* metrics_path, host: NULL when not recorded */
	mode_t umask;
	uid_t uid;
	double wall_seconds; /* 0: not recorded */
	int64_t started_ns;  /* 0: not recorded */
	bool succeeded, killed;
	int code; /* exit code, or the signal when killed */
	struct hps_holes holes; /* what the record itself withholds */
	struct hps_holes missing; /* manifests */
	struct hps_holes spare; /* such that a rerun can do without, or at some levels */
};
/* Finds the trial, checks its entry and reads its manifests. HPS_E_DAMAGED and kin: the record cannot be trusted. */
const json_t *hps_identity_find(const struct hps_entry *trial, const char *name); /* a row of its identities, or NULL */
int hps_original_load(struct hps_ledger *l, const char *id, struct hps_original *ret, struct hps_error *err) HPS_MUST;
/* The same for who can go on without: a manifest that the content store has not is in ret->missing (what = its name). */
int hps_original_load_partly(struct hps_ledger *l, const char *id, struct hps_original *ret, struct hps_error *err) HPS_MUST;
json_t **hps_original_manifest(struct hps_original *o, const char *name); /* where its items belong */
/* The items of one manifest of a trial ("materials", "products"); HPS_E_NOTFOUND when it is not in the content store. */
int hps_manifest_load(struct hps_objects *objects, const struct hps_entry *trial, const char *name, json_t **ret, struct hps_error *err) HPS_MUST;
const char *hps_manifest_named(const struct hps_entry *trial, const char *name); /* its digest in hex; NULL: the record has none */
void hps_manifest_digests(const json_t *statement, struct hps_strv *ret); /* hex, of all that it names */
/* From a folder that hps_bundle_unpack() made. Its keys are those of `trust`, or else its own. */
int hps_original_unpacked(const char *dir, const char *trust, struct hps_original *ret, struct hps_error *err) HPS_MUST;
const char *hps_product_digest(const json_t *product); /* hex; NULL when no file is left at its path, or it could not be read */
void hps_original_release(struct hps_original *o);

/* ---- withheld.c: variables whose values the record withholds ---------------------------------------------------------------------------- */

struct hps_withheld {
	struct hps_strv lacking;   /* names */
	struct hps_strv names;	   /* of those that are supplied … */
	struct hps_strv variables; /* … and NAME=value of each: secrets, for the rerun's environment alone */
	struct hps_redactor redactor; /* finds these values */
};
/* Once, before a rerun: what this process has in its environment with the recorded tag is supplied, when the ledger's own key signed the record. What
 * is lacking is a hole of o. l NULL: nothing will be run, each is a hole. */
void hps_withheld_supply(struct hps_ledger *l, struct hps_original *o);
char *hps_withheld_hide(const struct hps_original *o, const char *text); /* a copy with tags instead of the supplied values */
struct hps_outputs;
void hps_withheld_hide_outputs(const struct hps_original *o, struct hps_outputs *outputs);
void hps_withheld_free(struct hps_withheld *w);

/* ---- plan.c: what must be in the view ---------------------------------------------------------------------------------------- */

enum hps_plan_kind {
	HPS_PLAN_DIRECTORY,
	HPS_PLAN_FILE,	  /* with this content */
	HPS_PLAN_SYMLINK,
	HPS_PLAN_GHOST,	  /* a name that was listed and never opened: it exists, its content is not known */
};
#define HPS_BLANK "it held a secret before the trial, which is not kept: in the rerun it starts empty"
/* A tree: nodes[0] is "/". Parents come before their children. */
struct hps_plan_node {
	enum hps_plan_kind kind;
	char *path;
	size_t parent;
	struct hps_digest digest;   /* FILE */
	int64_t size;		    /* FILE: -1 unknown */
	mode_t mode;		    /* 0: unknown */
	int64_t mtime_ns;	    /* -1: unknown */
	bool writable;		    /* FILE: the trial changed it, so it gets a copy of its own */
	bool stored;		    /* FILE: the recorder put its content into the store */
	bool secret;		    /* FILE: not stored, because it holds one */
	bool unread;		    /* FILE: the trial wrote to it, and is not known to have read what was there */
	bool blank;		    /* FILE: unread, and what was there is withheld: it starts empty */
	int64_t beginning;	    /* FILE: writable: bytes that it had before the trial, -1 unknown: a log that grew since still begins with them */
	char *target;		    /* SYMLINK */
	size_t rank;		    /* place in the listing of its parent; SIZE_MAX when it was not listed */
	bool listed;		    /* DIRECTORY: its names were recorded, all of them */
	size_t group;		    /* FILE: number of the file that this is one of several names of; 0: of none */
	mode_t known;		    /* GHOST: st_mode, when size and mtime_ns are known too; 0: to be looked up */
	struct hps_attributes *attributes; /* what the trial saw when it looked at it; NULL: not recorded */
};
/* docs/FORMATS.md, "attributes". */
struct hps_attributes {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	int64_t n_links, size, blocks, ino, device, mtime_ns;
};
struct hps_plan {
	struct hps_plan_node *nodes;
	size_t n, n_files, n_neighbours, n_groups;
	struct hps_map index; /* path → number of the node + 1 */
	struct hps_map made;  /* paths that the trial itself made: absent when it starts */
	bool uses_sys;	      /* something below /sys was used */
	bool looks;		/* the trial ran a program that shows what looking at names says */
	bool moves_directories; /* one that was there before gets another name */
	bool changes_links;	/* a file that has several names */
	char *standard[3];    /* path of the file that was standard input, output, error when the trial started; or NULL */
	struct hps_holes problems; /* what cannot be planned: what = path */
	struct hps_holes holes;
};
/* From the manifests alone, which are untrusted: a record that contradicts itself is HPS_E_FORMAT. */
int hps_plan_make(const struct hps_original *o, struct hps_plan *ret, struct hps_error *err) HPS_MUST;

/* ---- plan_tree.c: its nodes ---------------------------------------------------------------------------------------------------------- */

const struct hps_plan_node *hps_plan_find(const struct hps_plan *p, const char *path);
bool hps_plan_is_made(const struct hps_plan *p, const char *path);
char *hps_plan_python_source(const char *path); /* "/d/__pycache__/m.cpython-311.pyc": "/d/m.py"; NULL for any other path */
void hps_plan_add_ghost(struct hps_plan *p, const char *path, size_t parent, mode_t mode, int64_t size, int64_t mtime_ns); /* a new path */
int hps_plan_substitute(struct hps_plan *p, const char *path, const struct hps_digest *digest) HPS_MUST; /* another content; -ENOENT: no such file */
void hps_plan_release(struct hps_plan *p);
size_t hps_plan_index(const struct hps_plan *p, const char *path); /* number of the node + 1; 0: none */
size_t hps_plan_append(struct hps_plan *p, const char *path, size_t parent, enum hps_plan_kind kind); /* its number; the path is new */
int hps_plan_add_directory(struct hps_plan *p, const char *path, size_t *ret, struct hps_error *err) HPS_MUST; /* and all above it; *ret: its number */
int hps_plan_add_node(struct hps_plan *p, const char *path, enum hps_plan_kind kind, struct hps_plan_node **ret, struct hps_error *err) HPS_MUST; /* or the one that is there */
int hps_plan_damaged(struct hps_error *err, const char *path, const char *what) HPS_MUST; /* the record contradicts itself */

/* ---- item.c: what an item of a manifest says ----------------------------------------------------------------------------------------- */

char *hps_item_path(const json_t *item); /* unescaped; NULL: it has none */
const char *hps_item_name(const json_t *item);	 /* the same as it is written; NULL */
const char *hps_item_digest(const json_t *item); /* hex; NULL */
bool hps_item_is_given(const json_t *item); /* the command had it open, a log mostly: what was in it before counts, that only one trial was given it does not */
void hps_items_index(const json_t *items, struct hps_map *ret); /* those with a digest, by name */
void hps_items_with(const json_t *items, const char *member, struct hps_map *ret); /* those with an array of that name, by name */
int64_t hps_item_ns(const json_t *item, const char *name); /* -1: not known */
mode_t hps_item_mode(const json_t *item); /* 0: not known */
bool hps_item_deleted(const json_t *product);
const char *hps_item_before(const json_t *product); /* hex: what was there when the trial first opened it; NULL: nothing, or it is withheld */
bool hps_item_unread(const json_t *item, bool changed); /* of a material: nothing says that what it held was read */
int64_t hps_item_beginning(const json_t *item, const char *hex); /* bytes of the content hex; -1: not known */
bool hps_item_attributes(const json_t *item, struct hps_attributes *ret, char **ret_target); /* target: of a symlink, or NULL */

/* ---- neighbours.c: names that were only looked at ------------------------------------------------------------------------------------ */

/* Adds as ghosts what lies beside the planned files on this system and was there before started_ns. Directories that were
 * listed are complete and get none. One directory deeper, too, but not below those that all packages share (/usr/share). Not what is closed
 * to others than its owner, unless the trial used a file there; foreign (a bundle's): of the directories of system packages alone. */
void hps_plan_add_neighbours(struct hps_plan *p, int64_t started_ns, bool foreign);

/* ---- source.c: where a file's content comes from --------------------------------------------------------------------------------- */

#define HPS_STORES_MAX 8
#define HPS_COPY_MAX ((int64_t)32 << 20) /* up to here a file may be copied; beyond, memory is too dear */
#define HPS_SMALL_MAX 4096 /* one page: to copy what is smaller is cheaper than to say where it lies */
struct hps_store {
	char *path;
	struct hps_objects *objects;
};
struct hps_sources { /* from several threads at once */
	struct hps_store stores[HPS_STORES_MAX]; /* looked into in this order */
	size_t n_stores;
	struct hps_cache *cache;
	pthread_mutex_t lock; /* of the cache */
};
void hps_sources_open(struct hps_sources *s, const char *const *stores, size_t n); /* a store that cannot be opened is none */
void hps_sources_release(struct hps_sources *s);

enum hps_source_kind { HPS_SOURCE_EMPTY, HPS_SOURCE_STORE, HPS_SOURCE_SYSTEM };
/* A verified content: in memory, or a descriptor whose bytes were hashed through this very descriptor (the system's: now, or when
 * the cache of digests saw it). */
struct hps_source {
	enum hps_source_kind kind;
	size_t store;		/* STORE: which */
	struct hps_buf content; /* when fd is -1 */
	int fd;
	int64_t size; /* when fd is not -1 */
	dev_t dev;    /* SYSTEM */
	bool faithful; /* fd: mode and time of modification are the recorded ones */
};
#define HPS_SOURCE_INIT { HPS_SOURCE_STORE, 0, HPS_BUF_INIT, -1, 0, 0, false }
/* The content stores, then the system's file at the same path; never a file whose hash differs. whole: in memory where it is small
 * and a copy is needed. HPS_E_NOTFOUND: the message says "missing" or "changed" and where was looked. */
int hps_source_open(struct hps_sources *sources, const struct hps_plan_node *node, bool whole, struct hps_source *ret, struct hps_error *err) HPS_MUST;
void hps_source_release(struct hps_source *s);
#define _cleanup_source_ _cleanup_(hps_source_release)

/* ---- archive.c: files out of packages and image layers ------------------------------------------------------------------------------ */

#define HPS_ARCHIVE_FILE_MAX ((uint64_t)1 << 30)
#define HPS_ARCHIVE_MEMORY_MAX ((uint64_t)1 << 20) /* what is larger goes through a file where there is a place for it */
struct hps_archive {
	bool package; /* a .deb; else a tar, as it is or compressed by gzip, xz, zstd, bzip2 */
	bool plain;   /* anything but plain files in it is an error; else it is passed over */
	size_t memory; /* that the process which reads may have; 0: as any of its kind */
	bool (*wants)(void *arg, const char *path); /* absolute; asked in the confined process that reads */
	int (*take)(void *arg, const char *path, struct hps_buf *content, struct hps_error *err);
	const char *spool; /* a folder, or NULL: all contents are taken from memory */
	int (*take_file)(void *arg, const char *path, int fd, uint64_t size, struct hps_error *err); /* with spool: of the large ones */
	uint64_t (*limit)(void *arg, const char *path); /* bytes that it may have at most; NULL: HPS_ARCHIVE_FILE_MAX */
	void *arg;
};
int hps_archive_read(int fd, const struct hps_archive *wanted, struct hps_error *err) HPS_MUST;

/* ---- fetch.c: contents from elsewhere ---------------------------------------------------------------------------------------------- */

struct hps_fetch_options {
	const struct hps_strv *mirrors;	 /* URLs of objects/ */
	const struct hps_strv *packages; /* folders with .deb files, before apt's own */
	const struct hps_strv *images;	 /* folders in OCI image layout */
};
struct hps_fetched {
	struct hps_temporary temporary;
	char *store; /* a content store in it; both go with this */
	struct hps_objects *objects;
	struct hps_holes files; /* what = path, why = where it came from */
	struct hps_holes notes; /* sources that did not work */
};
int hps_fetched_open(struct hps_fetched *ret, struct hps_error *err) HPS_MUST;
/* Looks in every source of the table for the contents that `problems` name, and keeps what has the recorded hash. */
void hps_fetch(const struct hps_original *o, const struct hps_plan *p, const struct hps_holes *problems, const struct hps_fetch_options *options,
	       struct hps_fetched *ret);
int hps_substitute(struct hps_plan *p, const char *declared, struct hps_fetched *ret, struct hps_error *err) HPS_MUST; /* "PATH=FILE" */
void hps_fetched_release(struct hps_fetched *f);

/* ---- chain.c: all of them, by the options of a command -------------------------------------------------------------------------------- */

struct hps_chain_options {
	struct hps_strv stores, mirrors, packages, images, substitutes;
};
struct hps_chain {
	const struct hps_chain_options *options;
	struct hps_strv stores; /* paths of content stores, the ledger's first */
	struct hps_fetched fetched;
};
/* Manifests that o misses, from the stores and mirrors; what is found is missing no more. */
void hps_chain_complete(const struct hps_chain_options *options, struct hps_original *o);
int hps_chain_open(struct hps_chain *c, struct hps_ledger *l, const struct hps_chain_options *options, struct hps_plan *p, struct hps_error *err) HPS_MUST;
/* Looks elsewhere for what `problems` name; found: there is more in the stores than before. */
int hps_chain_fetch(struct hps_chain *c, const struct hps_original *o, const struct hps_plan *p, const struct hps_holes *problems, bool *ret_found,
		    struct hps_error *err) HPS_MUST;
void hps_chain_release(struct hps_chain *c);

/* ---- view.c: the tree that the rerun sees ------------------------------------------------------------------------------------------- */

enum hps_view_kind { HPS_VIEW_BEST, HPS_VIEW_OVERLAY, HPS_VIEW_MOUNTS, HPS_VIEW_COPY };
struct hps_view_source { /* what a .pyc wants its source to be */
	size_t node;
	uint32_t mtime, size;
};
struct hps_view {
	uint64_t n_files, n_store, n_system, n_ghosts, bytes; /* bytes: copied */
	uint64_t n_blank; /* files that the trial wrote to, and whose former content is a secret: they are empty */
	struct hps_holes problems; /* what = path, why = "missing: …" or "changed: …": nothing may be run */
	struct hps_holes holes;
	enum hps_view_kind kind; /* what was built */
	char *why;		 /* not the best; NULL */
	struct hps_view_source *sources;
	size_t n_sources;
	const struct hps_plan_node **shown; /* of the plan: what the system's file at the same path holds is in a layer */
	size_t n_shown;
};
struct hps_layout;
/* Makes the plan's names in layout's tree; its tree_fd -1 only looks whether every content is there. */
int hps_view_tree(const struct hps_plan *p, struct hps_layout *layout, struct hps_progress *progress, struct hps_view *ret, struct hps_error *err) HPS_MUST;
const char *hps_plan_base(const struct hps_plan_node *n); /* the last name of its path */
void hps_set_mtime(int dir_fd, const char *name, int64_t mtime_ns); /* of dir_fd/name, or of dir_fd itself when name is ""; -1: leave it */
int hps_view_write_shown(const struct hps_view *v, const char *file, struct hps_error *err) HPS_MUST; /* for hps-record --layers-from */
void hps_view_release(struct hps_view *v);

/* ---- layout.c: how names get their contents ----------------------------------------------------------------------------------------- */

struct hps_late {
	const char *path;
	int fd;
};
struct hps_layout {
	enum hps_view_kind kind; /* may become COPY on the way */
	struct hps_sources *sources;
	atomic_uint n_small; /* OVERLAY: stored contents that were copied, since they are small */
	const struct hps_plan_node *_Atomic layered; /* one whose content is in a layer; NULL */
	bool refused; /* a layer could not be told of */
	int tree_fd; /* where names are made; -1: nowhere */
	int usr_fd;  /* a data layer; -1 */
	dev_t usr_dev;
	pthread_mutex_t lock; /* of late */
	struct hps_late *late; /* large files, mounted last */
	size_t n_late;
	pthread_mutex_t linking; /* of groups */
	const char **groups; /* by number: the name that was made first */
};
bool hps_layout_wants_whole(struct hps_layout *l, const struct hps_plan_node *n); /* of hps_source_open() */
int hps_layout_file(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, struct hps_source *s, struct hps_view *v,
		    struct hps_error *err) HPS_MUST;
int hps_layout_ghost(struct hps_layout *l, int dir_fd, const struct hps_plan_node *n, const struct stat *s, struct hps_error *err) HPS_MUST;
void hps_layout_fit(struct hps_layout *l, const char *path, off_t size); /* of a ghost */
/* Builds the plan at `place`, an empty directory that nobody else sees; NULL only looks whether every content is there. *ret_root is
 * its root, -1 when there are problems. BEST falls back to what this kernel can do. Needs the mount namespace of
 * hps_sandbox_enter(). */
int hps_view_build(const struct hps_plan *p, struct hps_sources *sources, enum hps_view_kind kind, const char *place, struct hps_progress *progress,
		   struct hps_view *ret, int *ret_root, struct hps_error *err) HPS_MUST;
const char *hps_view_kind_name(enum hps_view_kind kind);
int hps_view_kind_parse(const char *name, enum hps_view_kind *ret) HPS_MUST;

/* ---- mounts.c: mounts by descriptor ---------------------------------------------------------------------------------------------------- */

/* What fd names appears read-only at dir_fd/name, which exists. */
int hps_mount_file(int fd, int dir_fd, const char *name, struct hps_error *err) HPS_MUST;
int hps_mount_tree_readonly(const char *from, int dir_fd, const char *name, struct hps_error *err) HPS_MUST;
/* A new file system of this type, e.g. "tmpfs" with {"mode", "0755", NULL} ("" as a value: a flag); nosuid, nodev (not devpts). */
int hps_mount_new(const char *type, const char *const *options, bool readonly, int dir_fd, const char *name, struct hps_error *err) HPS_MUST;
/* null, zero, full, random, urandom, tty, pts and the links to /proc/self/fd, in root_fd/dev, which has at most shm. */
int hps_mount_devices(int root_fd, struct hps_error *err) HPS_MUST;

/* ---- sandbox.c: namespaces ------------------------------------------------------------------------------------------------------------------ */

struct hps_sandbox {
	uid_t uid;	  /* inside */
	const char *host; /* host name inside; NULL: "localhost" */
	bool network;	  /* keep the network of the machine */
};
/* In the child: new user, mount, uts, ipc and net namespaces; asks the parent over sync_fd for its ids. Refuses
 * (HPS_E_UNDECIDED) when any of them cannot be had. */
int hps_sandbox_enter(const struct hps_sandbox *s, int sync_fd, struct hps_error *err) HPS_MUST;
int hps_sandbox_pid(struct hps_error *err) HPS_MUST; /* a pid namespace for the next fork; no thread can be made from here on */
/* In the parent: gives the child its ids. -EPIPE: the child did not come so far. */
int hps_sandbox_map(pid_t child, const struct hps_sandbox *s, int sync_fd, struct hps_error *err) HPS_MUST;
json_t *hps_sandbox_layers(bool network); /* their names: they are in force whenever something ran */
/* In the process that is about to execute the recorder: the capability to change the root is left, to root those over files, and no way
 * to gain others; system calls are those of core's calls.c. */
int hps_sandbox_drop(const struct hps_sandbox *s, struct hps_error *err) HPS_MUST;

/* ---- terminal.c: a terminal of the rerun's own --------------------------------------------------------------------------------------------------- */

struct hps_terminal {
	int master_fd, slave_fd;
};
/* In the devpts of the view at root_fd; size: {"rows", "columns"} or NULL. */
int hps_terminal_open(int root_fd, const json_t *size, struct hps_terminal *ret, struct hps_error *err) HPS_MUST;
void hps_terminal_drain(int master_fd, int to_fd); /* until the last who has it open has closed it */

/* ---- inside.c: the process that builds the view and runs the recorder in it ------------------------------------------------------------------ */

struct hps_inside {
	struct hps_sandbox sandbox;
	const struct hps_plan *plan;
	const char *work;	/* private directory of the machine: view/ (empty), and where report, id, stdout, stderr go */
	const char *const *stores; /* paths of content stores */
	size_t n_stores;
	enum hps_view_kind kind;
	const char *program;	/* hps-record */
	const char *const *argv, *const *envp; /* of the recorder, which starts outside of the view: nothing of the record's is in envp */
	mode_t umask;
	const json_t *surroundings; /* limits, niceness, processors; or NULL */
	pid_t recorder_pid; /* to give it; 0: any */
	bool terminal[3];  /* descriptors that were a terminal */
	int shim_fd;	   /* a library for HPS_SHIM_PLACE in the view; -1: none */
	int passphrase_fd; /* stays open for the recorder; -1 */
	int environment_fd; /* so does this: the command's environment */
	bool verbose;	   /* the trial's output goes to our stderr, not into files */
};
/* Writes work/report: the view as JSON and, when something failed, the error. Sends the view's root over sock_fd when it is
 * complete. Exit status: the recorder's, or 0 when nothing was run. Called in a child, never returns. */
void hps_inside_main(const struct hps_inside *in, int sock_fd) __attribute__((noreturn));

/* ---- pins.c: numeric knobs, where this machine would turn them otherwise ---------------------------------------------------------------------- */

/* Adds "NAME=value" for what the recorded environment leaves to the libraries and they would choose otherwise here. */
void hps_pins_choose(const struct hps_original *o, struct hps_strv *ret);
/* What both records say of kernels and threads and that is not the same, and pins that rest on a guess. */
void hps_pins_check(const struct hps_original *o, const struct hps_entry *rerun, const struct hps_strv *pins, struct hps_holes *ret);

/* ---- controls.c: what the rerun is given of clocks -------------------------------------------------------------------------------------------------- */

#define HPS_SHIM_PLACE "/dev/hps-shim.so" /* of a trial whose record has no such library */
struct hps_controls {
	unsigned level;
	char *clocks; /* a file for --clocks-from; NULL: none */
	char *shim;   /* where the library is in the view */
	int shim_fd;  /* to be put there; -1: it is part of the record */
};
#define HPS_CONTROLS_INIT { 0, NULL, NULL, -1 }
/* work: a directory for what it writes. */
int hps_controls_make(const struct hps_original *o, unsigned level, const char *work, struct hps_controls *ret, struct hps_error *err) HPS_MUST;
void hps_controls_release(struct hps_controls *c);

/* ---- rerun.c: the trial again, in the view ------------------------------------------------------------------------------------------------------ */

struct hps_rerun_options {
	const char *passphrase; /* of the ledger's keys, or NULL */
	const char *const *stores; /* content stores, the ledger's first; none: the ledger's alone */
	size_t n_stores;
	enum hps_view_kind kind;
	bool network, verbose;
	unsigned level; /* to try for; 0: that of the recording */
};
struct hps_rerun {
	struct hps_view view;
	int root_fd;	/* of the view after the rerun; -1 when nothing was run */
	bool network;	/* it had the machine's */
	char id[65];	/* of the rerun's trial entry; "" when there is none */
	struct hps_temporary work; /* private directory while it runs; gone afterwards */
	struct hps_strv pins; /* variables that pins.c added */
	int output_fds[2]; /* what the trial wrote to stdout and stderr where the original had no file there; -1 */
	int64_t build_ns, run_ns;
};
#define HPS_RERUN_INIT { { 0 }, -1, false, "", HPS_TEMPORARY_INIT, HPS_STRV_INIT, { -1, -1 }, 0, 0 }
/* Builds the view and runs the recorder in it. Problems in ret->view: nothing was run. HPS_E_UNDECIDED: it could not be set up. */
int hps_rerun_run(struct hps_ledger *l, const struct hps_original *o, const struct hps_plan *p, const struct hps_rerun_options *options,
		  struct hps_rerun *ret, struct hps_error *err) HPS_MUST;
void hps_rerun_release(struct hps_rerun *r);
/* Opens a plain file of the view for reading, following nothing: -errno when it is none. */
int hps_rerun_open(int root_fd, const char *path);

/* ---- keep.c: --keep ---------------------------------------------------------------------------------------------------------------------------- */

/* Copies what the rerun wrote, and its stdout and stderr, into a directory; a file that is already there is an error. */
int hps_rerun_keep(const struct hps_rerun *r, const json_t *products, const char *dir, struct hps_error *err) HPS_MUST;

/* ---- coverage.c: what a record did not see -------------------------------------------------------------------------------------- */

enum hps_blindness {
	HPS_BLIND_NOTHING, /* named, and what was compared is all that was left behind */
	HPS_BLIND_INPUTS,  /* the rerun may have had other inputs: no level above L0 */
	HPS_BLIND_OUTPUTS, /* the trial may have left what was not compared: nothing is reproduced */
};
/* Adds each gap as a hole, `whose` before its reason. *worst only rises; *ret_first (heap) names the first that may hide outputs. */
void hps_coverage_check(const json_t *coverage, const char *whose, struct hps_holes *ret, enum hps_blindness *worst, char **ret_first);
/* The calls that the sandbox refused to a rerun, "mount, unshare"; NULL: none. */
char *hps_coverage_refused(const json_t *coverage);

/* ---- level.c: how much of what a trial depends on was answered from its record ---------------------------------------------------------- */

/* 0 as is; 1 files, environment, names and ids as recorded; 2 the kernel's random numbers, too; 3 clocks, too; 4 the order of threads and
 * processes, too. From what the rerun's record says,
 * not from what was asked for; what keeps it from the next level is a hole. */
unsigned hps_level_reached(const struct hps_original *o, const struct hps_entry *rerun, enum hps_blindness blindness, struct hps_holes *holes);
json_t *hps_level_uncontrolled(unsigned level); /* array: what no replay of this level answers */

/* ---- outputs.c: every output of both runs ------------------------------------------------------------------------------------------------------------- */

/* Two products of one path, NULL when that run did not touch it. Everything that a record says of a product is compared: is it
 * still there, type, target, mode, content. */
void hps_product_compare(const json_t *original, const json_t *rerun, unsigned unmasked, struct hps_output *ret);
int hps_outputs_compare(const struct hps_original *o, const struct hps_entry *rerun, const json_t *products, int root_fd,
			const struct hps_tolerance *tolerance, const struct hps_map *metric_tolerances, struct hps_outputs *ret,
			struct hps_error *err) HPS_MUST;

/* ---- declare.c, declare_command.c: tolerances in the ledger ------------------------------------------------------------------------------------------- */

#define HPS_PREDICATE_TOLERANCE "urn:hps:tolerance:v1" /* kind "tolerance" */
struct hps_declaration {
	const char *trial;
	json_t *predicate; /* of the last one; NULL: nothing was declared */
	char id[65];
	uint64_t index, n; /* n: how many there are for this trial */
	struct hps_tolerance tolerance;
	struct hps_map by_place;
};
json_t *hps_declaration_statement(const char *trial, const struct hps_tolerance *t, const char *reason);
int hps_declaration_find(struct hps_ledger *l, const char *trial, struct hps_declaration *ret, struct hps_error *err) HPS_MUST;
void hps_declaration_release(struct hps_declaration *d);
extern const struct hps_command hps_command_declare;

/* ---- verdict.c: what it comes to ------------------------------------------------------------------------------------------------------------------------- */

enum hps_verdict {
	HPS_VERDICT_BITS,	  /* every output has the same bytes */
	HPS_VERDICT_VALUES,	  /* … the same values */
	HPS_VERDICT_WITHIN,	  /* … values within the declared tolerance */
	HPS_VERDICT_EQUIVALENT,	  /* outputs differ, the metrics' means over several reruns do not by more than was declared */
	HPS_VERDICT_DIVERGED,
	HPS_VERDICT_FAILED,	  /* the rerun ended otherwise than the original */
	HPS_VERDICT_NOT_REBUILT,  /* contents are missing or changed; nothing was run */
	HPS_VERDICT_INCONCLUSIVE,
};
const char *hps_verdict_name(enum hps_verdict v);
int hps_verdict_exit(enum hps_verdict v); /* exit status */

struct hps_judgement {
	enum hps_verdict verdict;
	char *reason; /* one line, or NULL */
	unsigned level; /* reached */
	enum hps_blindness blindness;
	char *blind_to; /* the first gap that may hide outputs, or NULL */
	bool lacking; /* INCONCLUSIVE, because the rerun lacked inputs that nobody has: it would be DIVERGED */
	const struct hps_fetched *fetched; /* or NULL */
	const struct hps_original *original;
	const struct hps_rerun *rerun;
	struct hps_outputs outputs;
	struct hps_holes holes;
	struct hps_tolerance tolerance; /* by the options */
	struct hps_map metric_tolerances; /* by the study; used when neither the options nor the ledger declare any */
	json_t *calibration, *equivalence; /* docs/FORMATS.md; NULL when not asked for */
	struct hps_declaration declaration; /* in the ledger; used when the options declare none */
	char id[65]; /* of the verdict's own entry; "" before it is appended */
	uint64_t index;
};
/* From the rerun's record: its end, what it really read, its outputs. rerun_error: why there is no record, or NULL. */
int hps_judge(struct hps_ledger *l, struct hps_judgement *j, const struct hps_plan *plan, const struct hps_error *rerun_error,
	      struct hps_error *err) HPS_MUST;
void hps_judge_equivalence(struct hps_judgement *j, bool equivalent, bool enough); /* of outputs that differ: EQUIVALENT or INCONCLUSIVE, or it stays */
json_t *hps_judgement_statement(const struct hps_judgement *j); /* docs/FORMATS.md, "Verdicts" */
json_t *hps_judgement_json(const struct hps_judgement *j);	 /* hps.verdict/1 */
void hps_judgement_release(struct hps_judgement *j);

/* ---- agreement.c, verdicts_command.c: what several replayers say ------------------------------------------------------------------------ */

enum hps_stance { HPS_STANCE_OPEN, HPS_STANCE_FOR, HPS_STANCE_AGAINST, HPS_STANCE_N };
const char *hps_stance_name(enum hps_stance s);
struct hps_opinion { /* one verdict */
	uint64_t index;
	char id[65];
	char *key, *verdict, *level, *reason, *time, *rerun; /* all but key: NULL when it does not say */
	enum hps_stance stance;
};
struct hps_replayer { /* one key */
	char *key;
	enum hps_stance stance; /* against as soon as one of its verdicts is */
	size_t n;
	bool recorded; /* signed the trial itself, too */
};
struct hps_agreement {
	char trial[65], *recorder; /* recorder: the key that signed the trial */
	struct hps_opinion *v;	   /* in the ledger's order */
	size_t n;
	struct hps_replayer *replayers;
	size_t n_replayers;
	uint64_t n_stances[HPS_STANCE_N]; /* of replayers */
	uint64_t n_damaged;		  /* verdicts that do not verify: not counted */
};
enum hps_agreed { HPS_AGREED, HPS_AGREED_QUORUM /* enough, and some against */, HPS_AGREED_DISPUTED, HPS_AGREED_TOO_FEW };
int hps_strength_parse(const char *name, unsigned *ret) HPS_MUST; /* "bits": 4 … "equivalent": 1 */
/* Verifies the ledger first: signatures, and that each key may sign verdicts. Verdicts weaker than `strength` are open. */
int hps_agreement_read(struct hps_ledger *l, const char *id, unsigned strength, const char *trust, struct hps_agreement *ret, struct hps_error *err) HPS_MUST;
enum hps_agreed hps_agreement_conclude(const struct hps_agreement *a, uint64_t quorum); /* quorum 0: everybody who knows */
void hps_agreement_release(struct hps_agreement *a);
extern const struct hps_command hps_command_verdicts;

/* ---- recipe.c, recipe_command.c: a trial as a shell script ------------------------------------------------------------------------------- */

/* store, bundle: where its contents are fetched from, unless whoever runs it says otherwise; one of them is NULL. */
void hps_recipe_write(const struct hps_original *o, const struct hps_plan *p, const char *store, const char *bundle, struct hps_buf *out);
extern const struct hps_command hps_command_recipe;

/* ---- bundle.c: the list of one ------------------------------------------------------------------------------------------------------------ */

struct hps_bundle_file {
	uint64_t size;
	struct hps_digest digest;
	bool seen; /* by whoever unpacks */
};
struct hps_bundle_list {
	struct hps_bundle_file *files;
	size_t n;
	uint64_t bytes;	      /* of all files */
	struct hps_map names; /* struct hps_bundle_file * */
};
uint64_t hps_bundle_list_max(uint64_t size); /* bytes that the list of a bundle of that size may have: 1 MiB more than twice as many */
/* From untrusted text. HPS_E_DAMAGED, or HPS_E_LIMIT when the files are more than max_bytes; release *ret then, too. */
int hps_bundle_list_read(const char *text, size_t len, uint64_t max_bytes, struct hps_bundle_list *ret, struct hps_error *err) HPS_MUST;
bool hps_bundle_object(const char *name, char ret_hex[HPS_DIGEST_HEX]); /* "objects/ab/cdef…" */
void hps_bundle_list_release(struct hps_bundle_list *l);

/* ---- pack.c, unpack.c: a trial as one file --------------------------------------------------------------------------------------------- */

struct hps_pack_options {
	bool seed;    /* of its random numbers, too: whoever has it knows what it drew */
	bool partial; /* contents that cannot be had are left out */
};
struct hps_packed {
	struct hps_holes missing;
	size_t n_files;
	uint64_t bytes; /* before compression */
};
int hps_bundle_pack(struct hps_ledger *l, const struct hps_original *o, const struct hps_plan *plan, struct hps_sources *sources, const struct hps_pack_options *options,
	     const char *file, struct hps_packed *ret, struct hps_error *err) HPS_MUST;

struct hps_unpack_options {
	const char *trust; /* NULL: the keys that came with it */
	uint64_t max_bytes;
};
/* Makes dir with evidence/, objects/ and perhaps seed; it appears whole or not at all. HPS_E_DAMAGED, HPS_E_SIGNATURE, HPS_E_LIMIT. */
int hps_bundle_unpack(const char *file, const char *dir, const struct hps_unpack_options *options, struct hps_error *err) HPS_MUST;
bool hps_is_bundle(const char *word); /* a path, where else an id stands */
/* What may be replayed: the folder as it is, a file unpacked into a temporary one. */
int hps_bundle_open(const char *path, const struct hps_unpack_options *options, char **ret_dir, struct hps_temporary *ret, struct hps_error *err) HPS_MUST;
extern const struct hps_command hps_command_pack, hps_command_unpack;
int hps_evidence_run(const char *dir, const char *trust, struct hps_error *err) HPS_MUST; /* hps-ledger check */

/* ---- report.c: for people ----------------------------------------------------------------------------------------------------------------------------------- */

void hps_report_print(const struct hps_judgement *j, FILE *out);
/* --plan: what would be used, and what is missing. */
void hps_report_plan(const struct hps_original *o, const struct hps_plan *p, const struct hps_view *v, const struct hps_fetched *f, FILE *out);
json_t *hps_report_plan_json(const struct hps_original *o, const struct hps_plan *p, const struct hps_view *v, const struct hps_fetched *f);

/* ---- delta.c: what two trials started from that differs --------------------------------------------------------------------------------------------- */

enum hps_factor_kind {
	HPS_FACTOR_VARIABLE,
	HPS_FACTOR_ARGUMENT,  /* one word of the command */
	HPS_FACTOR_ARGUMENTS, /* all, when there are more or fewer */
	HPS_FACTOR_SEED,
	HPS_FACTOR_FILES, /* one file, or those of one package */
	HPS_FACTOR_LISTING, /* the names that one directory gave, and their order */
	HPS_FACTOR_HOST,
	HPS_FACTOR_UMASK,
};
enum hps_effect { HPS_EFFECT_FIRST, HPS_EFFECT_SECOND, HPS_EFFECT_OTHER, HPS_EFFECT_FAILED }; /* whose outputs a rerun left */
const char *hps_effect_name(enum hps_effect e);
struct hps_factor {
	enum hps_factor_kind kind;
	char *name, *a, *b; /* a, b: NULL when there is none */
	size_t index;	    /* ARGUMENT */
	struct hps_strv paths;
	double likelihood;	/* of being needed, as far as that can be told beforehand: the likely ones stand first */
	enum hps_effect alone; /* of a cause's member */
};
struct hps_delta {
	struct hps_factor *v;
	size_t n;
	struct hps_holes residue; /* what differs and cannot be exchanged */
};
void hps_delta_make(const struct hps_original *a, const struct hps_original *b, struct hps_delta *ret);
void hps_delta_release(struct hps_delta *d);

/* ---- mixture.c, translation.c: one trial with some of another --------------------------------------------------------------------------------------- */

/* a with the chosen factors of b. Shares most with a; released by hps_delta_mix_release() alone. */
void hps_delta_mix(const struct hps_original *a, const struct hps_original *b, const struct hps_delta *d, const bool *chosen, struct hps_original *ret);
void hps_delta_mix_release(struct hps_original *mixture);
void hps_original_move(struct hps_original *o, const char *to); /* as if it had run in this working directory */
void hps_original_redirect(struct hps_original *o, const struct hps_original *as); /* as if it had been given the same files as standard input, output, error */

/* ---- ddmin.c: the smallest set with an effect -------------------------------------------------------------------------------------------------------- */

struct hps_ddmin {
	size_t n;
	int (*test)(void *arg, const bool *chosen, bool *ret_effect, struct hps_error *err);
	void *arg;
	const double *likelihood; /* of each to be needed, in (0, 1); NULL: all alike. It saves tests and changes nothing else. */
};
/* From chosen, which has the effect, to a subset that has it and of which no single member can be left out. */
int hps_ddmin_run(const struct hps_ddmin *d, bool *chosen, struct hps_error *err) HPS_MUST;

/* ---- explain.c, explain_command.c: why -------------------------------------------------------------------------------------------------------------------- */

enum hps_explained {
	HPS_EXPLAINED_SAME,
	HPS_EXPLAINED_CAUSE,
	HPS_EXPLAINED_RESIDUE, /* what could be exchanged does not explain it */
	HPS_EXPLAINED_NONDETERMINISTIC,
	HPS_EXPLAINED_STOPPED,
};
struct hps_explain_options {
	struct hps_rerun_options rerun;
	uint64_t max_runs; /* 0: any number */
	int64_t max_ns;	   /* 0: any time */
	const char *state; /* outcomes are kept here, or NULL */
	struct hps_progress *progress;
};
struct hps_explanation {
	enum hps_explained conclusion;
	bool pair, reproducible, stopped; /* reproducible: the first's rerun leaves what the first left */
	struct hps_delta delta;
	bool *cause; /* of delta's factors */
	struct hps_holes residue;
	const char *control, *control_what; /* what makes reruns agree; NULL */
	char *output, *place, *was, *is;    /* the first difference; NULL */
	enum hps_output_verdict verdict;
	json_t *outcomes; /* set of factors as "0110" → {effect, rerun} */
	uint64_t runs;
	int64_t ns;
};
/* b NULL: a against its own rerun. Reruns are recorded in the ledger like any other. */
int hps_explain(struct hps_ledger *l, const struct hps_original *a, const struct hps_original *b, const struct hps_explain_options *options,
		struct hps_explanation *ret, struct hps_error *err) HPS_MUST;
void hps_explanation_release(struct hps_explanation *e);
extern const struct hps_command hps_command_explain;

/* ---- explain.c, for itself.c ------------------------------------------------------------------------------------------------------------------------------ */

struct hps_laboratory {
	struct hps_ledger *l;
	const struct hps_explain_options *options;
	const struct hps_original *a, *b;
	struct hps_explanation *e;
	int64_t started_ns;
};
const struct hps_output *hps_explain_first_different(const struct hps_outputs *o); /* NULL: none */
void hps_explain_note(struct hps_explanation *e, const struct hps_output *o);	  /* the first difference that is noted stays */
int hps_explain_prepare(const struct hps_original *o, struct hps_plan *plan, struct hps_error *err) HPS_MUST;
int hps_explain_spend(struct hps_laboratory *lab, struct hps_error *err) HPS_MUST; /* a rerun; HPS_E_LIMIT: there is none left */
int hps_explain_rerun(struct hps_laboratory *lab, const struct hps_original *mixture, bool note, enum hps_effect *ret, char id[65], struct hps_error *err) HPS_MUST;
int hps_explain_itself(struct hps_laboratory *lab, struct hps_error *err) HPS_MUST; /* itself.c */

/* ---- equivalence.c: several reruns as a sample ----------------------------------------------------------------------------------------------------------- */

#define HPS_EQUIVALENCE_MIN 5 /* reruns; fewer say nothing */
struct hps_equivalence { /* of one metric */
	size_t n;
	double reference, margin, mean, deviation;
	double low, high; /* the 90 % interval of mean - reference */
	bool enough, equivalent;
};
double hps_student_quantile(double p, unsigned degrees); /* 0.5 <= p < 1 */
void hps_equivalence_test(const double *v, size_t n, double reference, double margin, struct hps_equivalence *ret);

/* ---- series.c: several reruns for one verdict ---------------------------------------------------------------------------------------------------------------- */

struct hps_series {
	struct hps_ledger *l;
	const struct hps_original *original;
	int (*rerun)(void *arg, const struct hps_original *o, struct hps_rerun *ret, struct hps_error *err);
	void *arg;
};
size_t hps_perturbations_max(void);
/* Sets the judgement's tolerance to four times the largest difference of k perturbed reruns from the original; none seen: the bits. */
int hps_series_calibrate(const struct hps_series *s, size_t k, struct hps_judgement *j, struct hps_error *err) HPS_MUST;
/* n reruns, the judgement's own included. margins: atol of each metric. */
int hps_series_equivalence(const struct hps_series *s, size_t n, const struct hps_tolerance *margins, struct hps_judgement *j, struct hps_error *err) HPS_MUST;

#endif
