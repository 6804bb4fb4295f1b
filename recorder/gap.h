/* What was not seen, and why. */
#ifndef HPS_RECORDER_GAP_H
#define HPS_RECORDER_GAP_H

#include <stdatomic.h>

#include "core/core.h"

/* ---- gap.c: what was not seen, and why ---------------------------------------------------------------------------- */

enum hps_gap {
	HPS_GAP_IO_URING,
	HPS_GAP_HANDLE,
	HPS_GAP_ABI,
	HPS_GAP_FOREIGN,
	HPS_GAP_OPAQUE,
	HPS_GAP_SPECIAL,
	HPS_GAP_NETWORK,
	HPS_GAP_SOCKET,
	HPS_GAP_CHANGED,
	HPS_GAP_UNREADABLE,
	HPS_GAP_LISTING,
	HPS_GAP_STORE,
	HPS_GAP_REPLACED,
	HPS_GAP_RUNNING,
	HPS_GAP_METRICS,
	HPS_GAP_INTERRUPT,
	HPS_GAP_FENCE,
	HPS_GAP_FACTS,
	HPS_GAP_ARGUMENTS,
	HPS_GAP_DESCRIPTORS,
	HPS_GAP_KERNEL,
	HPS_GAP_ENDS,
	HPS_GAP_CORE,
	HPS_GAP_LINKS,
	HPS_GAP_ENTROPY,
	HPS_GAP_CONNECTIONS,
	HPS_GAP_PRIVILEGE,
	HPS_GAP_LISTENER,
	HPS_GAP_HELD_UP,
	HPS_GAP_DEEP,
	HPS_GAP_DATAGRAM,
	HPS_GAP_OFFERED,
	HPS_GAP_REFUSED, /* with names of calls */
	HPS_GAP_VISITED,
	HPS_GAP_FOLLOW,
	HPS_GAP_CHANNEL,
	HPS_GAP_MOUNTS,
	HPS_GAP_LIST, /* with names of manifests */
	HPS_GAP_TRACER,
	HPS_GAP_COUNT,
};
#define HPS_GAP_NAMES 8
struct hps_gaps {
	_Atomic uint64_t count[HPS_GAP_COUNT];
	char *names[HPS_GAP_COUNT][HPS_GAP_NAMES]; /* the first different ones, of gaps that have names */
};
void hps_gap_note(struct hps_gaps *g, enum hps_gap gap); /* from any thread */
void hps_gap_name(struct hps_gaps *g, enum hps_gap gap, const char *name); /* counts it, too; from the supervisor's thread */
void hps_gaps_release(struct hps_gaps *g);
bool hps_gaps_none(struct hps_gaps *g); /* no gap through which something escaped the record */
json_t *hps_gaps_json(struct hps_gaps *g); /* predicate.coverage, but for its evidence; the first of `limits` is the processor's */

#endif
