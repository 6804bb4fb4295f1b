/* The lock: one writer at a time, in the kernel's order, and a killed one blocks nobody. Whoever gets it first finishes what
 * a killed writer had committed but not published. */
#include "ledger/ledger.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

/* The tree that was published must be the beginning of the stored one. */
static int check_grown(struct hps_ledger *l, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_store_node, l->store };
	struct hps_merkle tree;
	struct hps_digest root;
	int r = hps_merkle_load(&source, l->size, &tree, err);

	if (r)
		return r;
	hps_merkle_root(&tree, &root);
	if (!hps_digest_equal(&root, &l->root))
		return hps_error_set(err, HPS_E_DAMAGED, "ledger.db does not continue the published checkpoint of size %llu; 'hps-ledger verify' shows what still holds",
				     (unsigned long long)l->size);
	return 0;
}

/* The note was signed and stored together with the entries that it covers: no key is needed here. */
static int check_note(struct hps_ledger *l, uint64_t size, const struct hps_digest *root, const struct hps_buf *note, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	int r = hps_checkpoint_open(note->data, note->len, &l->trust.log, &c, err);

	if (!r && (c.size != size || !hps_digest_equal(&c.root, root)))
		r = hps_error_set(err, HPS_E_DAMAGED, "ledger.db: its checkpoint is of another tree than its head");
	return r;
}

static int finish_publishing(struct hps_ledger *l, uint64_t size, const struct hps_digest *root, const struct hps_buf *note, struct hps_error *err)
{
	struct hps_publication p = HPS_PUBLICATION_INIT;
	int r = check_grown(l, err);

	if (!r)
		r = check_note(l, size, root, note, err);
	if (!r)
		r = hps_publication_stage(l, l->size, size, root, note, &p, err);
	if (!r)
		r = hps_publication_move(l, &p, err);
	return r ? r : hps_ledger_refresh(l, err);
}

static int recover(struct hps_ledger *l, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_digest root;
	uint64_t size;
	int r = hps_ledger_refresh(l, err);

	if (!r)
		r = hps_store_head(l->store, &size, &root, &note, err);
	if (r)
		return r;
	if (size > l->size)
		return finish_publishing(l, size, &root, &note, err);
	if (size < l->size || !hps_digest_equal(&root, &l->root))
		return hps_error_set(err, HPS_E_DAMAGED, "ledger.db (%llu entries) is not what was published (%llu entries): restore the newer copy of it",
				     (unsigned long long)size, (unsigned long long)l->size);
	return 0;
}

static int check_handle(const struct hps_ledger *l, struct hps_error *err)
{
	if (!(l->flags & HPS_LEDGER_APPEND))
		return hps_error_set(err, HPS_E_USAGE, "the ledger '%s' was opened for reading only", l->dir);
	if (l->pid != getpid())
		return hps_error_set(err, HPS_E_USAGE, "the ledger '%s' was opened before a fork", l->dir);
	if (l->poisoned || hps_store_failed(l->store))
		return hps_error_set(err, -EIO, "the ledger '%s': the disk failed before; nothing more is written until it is opened again", l->dir);
	return 0;
}

int hps_ledger_lock(struct hps_ledger *l, struct hps_error *err)
{
	int r = check_handle(l, err);

	if (r)
		return r;
	while (flock(l->lockfd, LOCK_EX))
		if (errno != EINTR)
			return hps_error_errno(err, "locking the ledger '%s'", l->dir);
	r = recover(l, err);
	if (r)
		hps_ledger_unlock(l);
	return r;
}

void hps_ledger_unlock(struct hps_ledger *l)
{
	flock(l->lockfd, LOCK_UN);
}
