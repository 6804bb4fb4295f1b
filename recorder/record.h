/* What is written down. */
#ifndef HPS_RECORDER_RECORD_H
#define HPS_RECORDER_RECORD_H

#include "hps/ledger.h"
#include "recorder/entropy.h"
#include "recorder/facts.h"
#include "recorder/trial.h"

/* ---- record.c: what is written down ------------------------------------------------------------------------------------------------------------------ */

struct hps_redactor;
struct hps_record {
	const struct hps_trial_options *o;
	char *const *argv;
	char *const *envp; /* as we got it */
	const struct hps_redactor *redactor;
	char *cwd;
	mode_t umask;
	json_t *surroundings, *portable, *patient; /* the latter: names of the variables that --portable and --level 4 set; NULL without */
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
	uint64_t n_large, large_bytes; /* inputs that were to be stored, and are too large for that */
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
int hps_listings_write(struct hps_record *r, json_t **ret, struct hps_error *err) HPS_MUST; /* listing.c: the manifest `listings`; *ret stays NULL when there is none */

/* ---- dataset_found.c: data sets that nobody declared ---- */
/* list: in path order. Adds a descriptor for each directory of data that the trial read. owned: of each file, 0 when no package owns it; is
 * used for other numbers. */
void hps_datasets_found(struct hps_file *const *list, size_t n, uint32_t *owned, json_t *dependencies);

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
	size_t written;
	bool cut; /* the rest did not fit into HPS_JSON_MAX: it is left out, which is a gap */
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
