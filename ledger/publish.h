/* From the journal to the database and to tiles/. */
#ifndef HPS_LEDGER_PUBLISH_H
#define HPS_LEDGER_PUBLISH_H

#include "core/core.h"
#include "hps/ledger.h"

/* ---- settle.c: from the journal to ledger.db and tiles/ ----------------------------------------------------------------------------------- */

/* Publishes what a killed writer had stored: then the stored head and the published checkpoint are the same, and l->size and
 * l->root say which. Both with the lock held. */
int hps_ledger_recover(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
int hps_ledger_settle(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
int hps_ledger_settle_some(struct hps_ledger *l, struct hps_error *err) HPS_MUST; /* one transaction's worth */
/* Takes the lock for it when there is anything to settle, and empties the journal. */
int hps_ledger_settle_all(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
/* The same for who is about to close: as soon as others wait to append it is left to them, who will close as well. */
int hps_ledger_settle_rest(struct hps_ledger *l, struct hps_error *err) HPS_MUST;

/* ---- publish.c: from the store to tiles/ --------------------------------------------------------------------------------------------- */

/* Files written and flushed in staging/ that wait for their names in tiles/. */
struct hps_publication {
	struct hps_strv targets; /* staging/<i> becomes tiles/<targets.v[i]>; the checkpoint is last */
	int *fds;
	uint64_t from, to;
};
#define HPS_PUBLICATION_INIT { HPS_STRV_INIT, NULL, 0, 0 }
void hps_publication_release(struct hps_publication *p);
/* Stages what a checkpoint of size `to` needs and one of size `from` did not, out of the store (inside a transaction or
 * not), after hashing the leaves of the bundles it writes again, up to `root`. On failure nothing is left in staging/. */
int hps_publication_stage(struct hps_ledger *l, uint64_t from, uint64_t to, const struct hps_digest *root, const struct hps_buf *note,
			  struct hps_publication *ret, struct hps_error *err) HPS_MUST;
void hps_publication_discard(struct hps_ledger *l, struct hps_publication *p);
void hps_publication_sweep(struct hps_ledger *l); /* what a killed one has left in staging/; with the lock held */
/* Gives the files their names, the checkpoint's last, each step durable before the next. */
int hps_publication_move(struct hps_ledger *l, struct hps_publication *p, struct hps_error *err) HPS_MUST;

#endif
