/* Errors as objects.
 *
 * A function that can fail returns 0 (or a count) on success and a negative code on failure, and takes a
 * `struct hps_error *` as its last parameter. The object is untouched on success; on failure it holds the same
 * code and a message "what we were doing: what went wrong". It is filled once, where the failure happens, and
 * prefixed on the way up. A caller that does not want the text passes NULL.
 *
 * Codes: a negative errno value, or one of the HPS_E_ codes below. The programs turn a code into their exit status
 * with hps_error_exit(), so that one failure has one status in every program (docs/FORMATS.md, "Exit codes").
 */
#ifndef HPS_ERROR_H
#define HPS_ERROR_H

#include <stdarg.h>

enum hps_error_code {
	HPS_E_USAGE = -4096,	 /* the command line or a study file cannot be understood: exit 2 */
	HPS_E_FORMAT = -4097,	 /* bytes that are not what their format says: exit 3 */
	HPS_E_DAMAGED = -4098,	 /* stored bytes do not match their digest or proof: exit 3 */
	HPS_E_SIGNATURE = -4099, /* a signature does not verify or its key is not trusted: exit 3 */
	HPS_E_NOTFOUND = -4100,	 /* no such entry, object or key: exit 4 */
	HPS_E_AMBIGUOUS = -4101, /* an abbreviated id fits several entries: exit 4 */
	HPS_E_UNDECIDED = -4102, /* the question cannot be answered here: exit 4 */
	HPS_E_LIMIT = -4103,	 /* input over one of our ceilings: exit 3 */
	HPS_E_DENIED = -4104,	 /* foreign owner, loose mode, wrong role: exit 5 */
	HPS_E_FALSE = -4105,	 /* the claim was checked and does not hold: exit 1 */
};

struct hps_error {
	int code;      /* 0 while nothing failed */
	char *message; /* heap, freed by hps_error_release() */
};

#define HPS_ERROR_INIT { 0, 0 }

/* Fills err (when not NULL) and returns code. An error that is already set is replaced. */
int hps_error_set(struct hps_error *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same with the current errno: code is -errno and ": <strerror>" is appended. */
int hps_error_errno(struct hps_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "<prefix>: " before the message and returns err's code (HPS_E_FORMAT when err is NULL). */
int hps_error_prefix(struct hps_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Frees the message and sets the code to 0; safe on an empty object. */
void hps_error_release(struct hps_error *err);

/* The exit status for an error code: see the table above; errno codes give 5 for EACCES and EPERM, else 4. */
int hps_error_exit(int code);

#endif
