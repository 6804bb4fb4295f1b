/* Trials that run, and records that came too late. */
#ifndef HPS_LEDGER_RUNNING_H
#define HPS_LEDGER_RUNNING_H

#include "core/core.h"
#include "hps/ledger.h"

/* ---- lease.c ------------------------------------------------------------------------------------------------------------------------------ */

#define HPS_LEASE_NAME 22
/* The lease of a begin entry is locked under a name of its own, and gets the entry's id as a second one before the entry is stored: so
 * no sweep ever sees a begin entry without its owner. The first name goes when the owner knows (hps_lease_keep). */
int hps_lease_prepare(struct hps_ledger *l, char ret_name[HPS_LEASE_NAME], struct hps_error *err) HPS_MUST;
int hps_lease_name(struct hps_ledger *l, const char *name, const char *begin_id, struct hps_error *err) HPS_MUST;
bool hps_lease_named(struct hps_ledger *l, const char *name, char ret_id[HPS_DIGEST_HEX]); /* it has the second name */
void hps_lease_unname(struct hps_ledger *l, const char *begin_id); /* the entry was not stored after all */
void hps_lease_keep(struct hps_ledger *l, const char *name, const char *begin_id); /* for hps_lease_take() */
void hps_lease_drop(struct hps_ledger *l, const char *name);
void hps_lease_release_all(struct hps_ledger *l);
/* 0: locked; -EWOULDBLOCK: somebody holds it; -ESTALE: it has been removed meanwhile. */
int hps_lease_try(struct hps_ledger *l, const char *name, int *ret_fd) HPS_MUST;
int hps_lease_ended(struct hps_ledger *l, const char *begin_id, bool *ret, struct hps_error *err) HPS_MUST; /* by a trial or lost entry */
json_t *hps_lease_lost(const struct hps_entry *begin); /* the statement that ends it */

/* ---- spool.c: records that wait to be appended --------------------------------------------------------------------------------------------- */

struct hps_spooled {
	json_t *json; /* the rest lies in it */
	const json_t *statement, *manifests;
	char *ledger; /* the directory that it was meant for */
};
#define HPS_SPOOLED_INIT { NULL, NULL, NULL, NULL }
void hps_spooled_release(struct hps_spooled *s);
char *hps_spool_dir(void); /* heap */
/* HPS_E_FORMAT; HPS_E_DENIED when another user wrote it. */
int hps_spool_list(struct hps_strv *ret, struct hps_error *err) HPS_MUST; /* paths of all of them; none is no error */
int hps_spool_read(const char *path, struct hps_spooled *ret, struct hps_error *err) HPS_MUST;
/* Stores its manifests and appends its statement; what is there already is not there twice. */
/* Those that name this ledger. */
int hps_spool_push_own(struct hps_ledger *l, uint64_t *ret_n, struct hps_error *err) HPS_MUST;
int hps_spool_push(struct hps_ledger *l, const struct hps_spooled *s, char ret_id[65], uint64_t *ret_index, struct hps_error *err) HPS_MUST;

#endif
