/* Studies, and what an owner does now and then. */
#ifndef HPS_LEDGER_CARE_H
#define HPS_LEDGER_CARE_H

#include "core/core.h"
#include "hps/ledger.h"

/* ---- complete.c: whether a study is complete ------------------------------------------------------------------------------------------------------- */

/* Number and RFC 6962 root of a study's entries so far, in index order; a leaf is the 32 bytes of an id. The closing entry has both. */
int hps_study_tree(struct hps_ledger *l, const char *study, uint64_t *ret_n, char ret_root[HPS_DIGEST_HEX], struct hps_error *err) HPS_MUST;

struct hps_completeness {
	uint64_t n_numbers, n_entries, n_holes;
	uint64_t last_index; /* of its entries */
	uint64_t counts[4]; /* results: complete, failed, killed, lost */
	char registered[HPS_DIGEST_HEX];
	struct hps_strv holes; /* what is missing or too much, in words; the first 1,000 */
};
void hps_completeness_release(struct hps_completeness *c);
/* Complete is what has no hole. Nothing is verified here. HPS_E_NOTFOUND: there is no such study. */
int hps_study_complete(struct hps_ledger *l, const char *study, struct hps_completeness *ret, struct hps_error *err) HPS_MUST;

/* ---- filesystem.c: where a ledger is written ------------------------------------------------------------------------------------------------------- */

/* HPS_E_DENIED on a file system that is not known to be local, unless it has been accepted for this ledger. */
int hps_filesystem_check(int dirfd, const char *dir, struct hps_error *err) HPS_MUST;
int hps_filesystem_accept(int dirfd, bool *ret_unsafe, struct hps_error *err) HPS_MUST; /* true: it had to be */
int hps_filesystem_record(struct hps_ledger *l, struct hps_error *err) HPS_MUST; /* as an entry */

/* ---- gc.c: what no entry refers to ----------------------------------------------------------------------------------------------------------------- */

/* Everything older than min_age_ns, and than the oldest trial that is running, that no statement, spooled record or manifest names. */
int hps_ledger_collect(struct hps_ledger *l, int64_t min_age_ns, bool dry_run, struct hps_sweep_result *ret, struct hps_error *err) HPS_MUST;

/* ---- withdraw.c: bodies that go -------------------------------------------------------------------------------------------------------------------- */

/* Appends the withdrawal (once), then removes envelope file and row. ret: the entry, without a statement if it was withdrawn before. */
int hps_ledger_withdraw(struct hps_ledger *l, const char *id, const char *reason, struct hps_entry *ret, struct hps_error *err) HPS_MUST;

#endif
