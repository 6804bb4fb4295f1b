/* The handle, and reading by it. */
#ifndef HPS_LEDGER_HANDLE_H
#define HPS_LEDGER_HANDLE_H

#include "hps/ledger.h"
#include "ledger/database.h"
#include "ledger/journal.h"
#include "ledger/keys.h"
#include "ledger/statement.h"

/* ---- open.c: the handle ------------------------------------------------------------------------------------------------------------ */

struct hps_ledger {
	char *dir; /* absolute */
	char *remote, *remote_ca; /* URL of a ledger that lies elsewhere, or NULL: dir is then what we keep for it */
	int dirfd, tilesfd;
	unsigned flags;
	pid_t pid;	     /* a forked child may not use the handle */
	bool poisoned;	     /* a flush failed: nothing is acknowledged any more through this handle */
	struct hps_store *store;
	uint64_t database;   /* inode of ledger.db when it was opened */
	bool has_database;   /* else store is an index in memory */
	bool foreign;	     /* another user's */
	const char *trust_file; /* while it is opened: not its own; or NULL */
	const struct hps_verification *verified; /* while it is opened: what it has to be; or NULL */
	struct hps_objects *objects;
	struct hps_trust trust;
	uint64_t n_handovers; /* of the log's key, when the handle last looked */
	bool log_key_replaced; /* log_key is a former one: nothing is signed with it any more */
	uint64_t size;	     /* of the newest published checkpoint seen, with its root; what the journal holds is beyond it */
	struct hps_digest root;
	/* with HPS_LEDGER_APPEND */
	int lockfd, runningfd, memoryfd;
	bool memory_checked;
	struct hps_journal journal;
	struct hps_queue queue;
	struct hps_key *log_key, *statement_key;
	char keyid[HPS_DIGEST_HEX];
	struct hps_keyring keyring; /* loaded when it is first asked */
	/* leases that appending begin entries took, until hps_lease_take() fetches them */
	struct hps_lease {
		char begin_id[HPS_DIGEST_HEX];
		int fd;
	} *leases;
	size_t n_leases;
};

/* Reads and verifies tiles/checkpoint into l->size and l->root; they never go back. */
int hps_ledger_read_checkpoint(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
/* The same after settling: then everything that was acknowledged before the call can be read. Not with the lock held. */
int hps_ledger_refresh(struct hps_ledger *l, struct hps_error *err) HPS_MUST;
/* For a handle that stays open while another process replaces the log's key or the statement key: it goes on with those that are there now. */
int hps_ledger_renew_keys(struct hps_ledger *l, const char *passphrase, struct hps_error *err) HPS_MUST;
/* HPS_E_DENIED unless the directory belongs to the current user. */
int hps_ledger_check_owner(int dirfd, const char *dir, struct hps_error *err) HPS_MUST;
/* HPS_E_NOTFOUND with the next step when dir holds no ledger. */
int hps_ledger_open_dir(const char *dir, int *ret_fd, struct hps_error *err) HPS_MUST;

/* ---- read.c ----------------------------------------------------------------------------------------------------------------------------- */

/* Index and id of what hps_ledger_find() would find. */
int hps_ledger_find_index(struct hps_ledger *l, const char *id, uint64_t *ret_index, char ret_id[HPS_DIGEST_HEX], struct hps_error *err) HPS_MUST;
/* HPS_E_NOTFOUND: its body has been withdrawn. */
int hps_ledger_load(struct hps_ledger *l, uint64_t index, struct hps_entry *ret, struct hps_error *err) HPS_MUST;
void hps_envelope_path(const struct hps_digest *id, char out[HPS_TILE_PATH]); /* "envelope/<hex>.json" */
/* Reads a stored envelope that is the leaf's: same id, same signature. */
bool hps_envelope_is_of(const struct hps_buf *text, const struct hps_leaf *leaf, struct hps_envelope *ret);

#endif
