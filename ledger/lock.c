/* The lock: one writer at a time, and a killed one blocks nobody. Whoever gets it knows what has been signed so far. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_handle(const struct hps_ledger *l, struct hps_error *err)
{
	if (l->pid != getpid())
		return hps_error_set(err, HPS_E_USAGE, "the ledger '%s' was opened before a fork", l->dir);
	if (l->poisoned || hps_store_failed(l->store))
		return hps_error_set(err, -EIO, "the ledger '%s': the disk failed before; nothing more is written until it is opened again", l->dir);
	return 0;
}

int hps_ledger_check_append(const struct hps_ledger *l, struct hps_error *err)
{
	if (!(l->flags & HPS_LEDGER_APPEND))
		return hps_error_set(err, HPS_E_USAGE, "the ledger '%s' was opened for reading only", l->dir);
	return check_handle(l, err);
}

/* Readers open what writing needs when they first find something to settle. */
int hps_ledger_lock_open(struct hps_ledger *l, struct hps_error *err)
{
	int r = check_handle(l, err);

	if (r || l->lockfd >= 0)
		return r;
	r = hps_dir_make(l->dirfd, "staging", 0700, err);
	if (r)
		return r;
	l->lockfd = openat(l->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return l->lockfd < 0 ? hps_error_errno(err, "opening the lock of the ledger '%s'", l->dir) : 0;
}

uint64_t hps_ledger_database_inode(const struct hps_ledger *l)
{
	struct stat s;

	return fstatat(l->dirfd, "ledger.db", &s, AT_SYMLINK_NOFOLLOW) ? 0 : s.st_ino;
}

/* Somebody has made the database again: what is written into the old one is lost. */
static int check_database(struct hps_ledger *l, struct hps_error *err)
{
	if (!l->has_database || l->database == hps_ledger_database_inode(l))
		return 0;
	return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s': ledger.db was replaced meanwhile; open the ledger again", l->dir);
}

/* What the former key would sign now nobody takes. */
static int check_log_key(struct hps_ledger *l, struct hps_error *err)
{
	if (!l->log_key_replaced && (!l->log_key || !hps_handover_exists(l->tilesfd, l->n_handovers)))
		return 0;
	return hps_error_set(err, HPS_E_DENIED, "the ledger '%s': its log key was replaced meanwhile; open the ledger again", l->dir);
}

int hps_ledger_lock_load(struct hps_ledger *l, struct hps_error *err)
{
	int r = check_database(l, err);

	if (!r)
		r = check_log_key(l, err);
	if (!r)
		r = hps_journal_load(l, err);
	if (!r)
		r = hps_memory_check(l, err);
	if (r)
		hps_ledger_unlock(l);
	return r;
}

int hps_ledger_try_lock(struct hps_ledger *l, bool *ret_got, struct hps_error *err)
{
	int r = hps_ledger_lock_open(l, err);

	if (r)
		return r;
	while ((r = flock(l->lockfd, LOCK_EX | LOCK_NB)) && errno == EINTR)
		;
	*ret_got = r == 0;
	return r && errno != EWOULDBLOCK ? hps_error_errno(err, "locking the ledger '%s'", l->dir) : 0;
}

int hps_ledger_lock_alone(struct hps_ledger *l, struct hps_error *err)
{
	int r = hps_ledger_lock_open(l, err);

	if (r)
		return r;
	while (flock(l->lockfd, LOCK_EX))
		if (errno != EINTR)
			return hps_error_errno(err, "locking the ledger '%s'", l->dir);
	return 0;
}

int hps_ledger_lock(struct hps_ledger *l, struct hps_error *err)
{
	int r = hps_ledger_lock_alone(l, err);

	return r ? r : hps_ledger_lock_load(l, err);
}

void hps_ledger_unlock(struct hps_ledger *l)
{
	flock(l->lockfd, LOCK_UN);
	hps_queue_wake(&l->queue, &l->journal);
}
