/* Recording from C: start a command under hps-record, or mark trials inside a process that runs under it. Link with libhps.a.
 *
 *	struct hps_recording o = { .study = "digits", .params = (const char *const[]){ "lr=0.1", NULL } };
 *	r = hps_recording_run(&o, argv, &status, id, &err);
 *
 *	r = hps_marking_begin("{\"number\":3,\"params\":{\"lr\":0.1}}", &m, id, &err);
 *	…
 *	r = hps_marking_end(m, "{\"metrics\":{\"loss\":0.25}}", id, &err);
 *
 * Errors: 0, or a negative code with err set (hps/error.h). */
#ifndef HPS_RECORD_H
#define HPS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "hps/error.h"

/* All zero is hps-record's default for each; the members are its options of the same names (hps-record(1)). Lists end with NULL. */
struct hps_recording {
	const char *program; /* of hps-record; NULL: beside this program, else by PATH */
	const char *ledger, *study, *seed, *capture;
	const char *const *params;  /* "NAME=VALUE" */
	const char *const *metrics; /* "FILE[:POINTER]" */
	const char *const *datasets; /* "[NAME=]PATH" */
	const char *const *allow_env;
	uint64_t number;
	bool has_number, quiet, wait;
};
/* Runs argv (ends with NULL) and waits for it. *ret_status is what the shell would give: the command's exit status, 128 + N for signal N;
 * 125 to 127 are hps-record's own. ret_id (65 bytes, or NULL) gets the id of the trial's entry, "" when there is none. */
int hps_recording_run(const struct hps_recording *o, const char *const *argv, int *ret_status, char *ret_id, struct hps_error *err)
	__attribute__((warn_unused_result));

/* A trial inside this process, over HPS_SOCKET; without a recorder all of this succeeds, does nothing, and ids are "". Not for two
 * threads at once; each thread may have marks of its own. `json` is an object (docs/FORMATS.md, "Marks"), or NULL. ret_id: 65 bytes, or NULL. */
struct hps_marking;
int hps_marking_begin(const char *json, struct hps_marking **ret, char *ret_id, struct hps_error *err) __attribute__((warn_unused_result));
/* Frees m, also when it fails; then the trial is recorded as abandoned. Returns when the entry is durable. */
int hps_marking_end(struct hps_marking *m, const char *json, char *ret_id, struct hps_error *err) __attribute__((warn_unused_result));

#endif
