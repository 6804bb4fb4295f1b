/* Leases: which running trial has a living recorder. The lock on running/<begin id> lives exactly as long as its process. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_MAX 256
#define NEW ".new." /* how the name of a lease starts whose begin entry has no id yet */

static int lock_file(struct hps_ledger *l, const char *name, int how, int *ret_fd)
{
	_cleanup_fd_ int fd = openat(l->runningfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat s;

	if (fd < 0)
		return -errno;
	while (flock(fd, how))
		if (errno != EINTR)
			return -errno;
	if (fstat(fd, &s) || !s.st_nlink)
		return -ESTALE;
	*ret_fd = hps_take_fd(&fd);
	return 0;
}

int hps_lease_try(struct hps_ledger *l, const char *name, int *ret_fd)
{
	return lock_file(l, name, LOCK_EX | LOCK_NB, ret_fd);
}

/* A sweeper may hold a file for a moment to see that its begin entry does not exist (yet): wait for it, start again. */
static int take_lock(struct hps_ledger *l, const char *begin_id, int *ret_fd, struct hps_error *err)
{
	int r;

	do
		r = lock_file(l, begin_id, LOCK_EX, ret_fd);
	while (r == -ESTALE);
	if (!r)
		return 0;
	errno = -r;
	return hps_error_errno(err, "taking the lease 'running/%.12s'", begin_id);
}

int hps_lease_prepare(struct hps_ledger *l, char ret_name[HPS_LEASE_NAME], struct hps_error *err)
{
	uint64_t unique;
	int fd, r = hps_random(&unique, sizeof unique, err);

	if (r)
		return r;
	snprintf(ret_name, HPS_LEASE_NAME, NEW "%016llx", (unsigned long long)unique);
	r = take_lock(l, ret_name, &fd, err);
	if (r)
		return r;
	l->leases = hps_grow(l->leases, l->n_leases, sizeof *l->leases);
	snprintf(l->leases[l->n_leases].begin_id, HPS_DIGEST_HEX, "%s", ret_name);
	l->leases[l->n_leases++].fd = fd;
	return 0;
}

int hps_lease_name(struct hps_ledger *l, const char *name, const char *begin_id, struct hps_error *err)
{
	return linkat(l->runningfd, name, l->runningfd, begin_id, 0) ? hps_error_errno(err, "naming the lease 'running/%.12s'", begin_id) : 0;
}

bool hps_lease_named(struct hps_ledger *l, const char *name, char ret_id[HPS_DIGEST_HEX])
{
	int copy = openat(l->runningfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	bool found = false;
	const struct dirent *e;
	struct hps_digest id;
	struct stat s, other;

	if (d && !fstatat(l->runningfd, name, &s, AT_SYMLINK_NOFOLLOW) && s.st_nlink > 1)
		while (!found && (e = readdir(d))) /* whose d_ino is another number on some file systems */
			found = !hps_digest_parse(e->d_name, &id) && !fstatat(l->runningfd, e->d_name, &other, AT_SYMLINK_NOFOLLOW) && other.st_ino == s.st_ino;
	if (found)
		hps_digest_hex(&id, ret_id);
	if (d)
		closedir(d);
	return found;
}

void hps_lease_unname(struct hps_ledger *l, const char *begin_id)
{
	unlinkat(l->runningfd, begin_id, 0);
}

void hps_lease_keep(struct hps_ledger *l, const char *name, const char *begin_id)
{
	for (size_t i = 0; i < l->n_leases; i++)
		if (!strcmp(l->leases[i].begin_id, name))
			snprintf(l->leases[i].begin_id, HPS_DIGEST_HEX, "%s", begin_id);
	unlinkat(l->runningfd, name, 0);
}

/* The descriptor of a prepared lease, which leaves the list; -1 when there is none. */
static int fetch(struct hps_ledger *l, const char *begin_id)
{
	for (size_t i = 0; i < l->n_leases; i++) {
		int fd = l->leases[i].fd;

		if (strcmp(l->leases[i].begin_id, begin_id) != 0)
			continue;
		l->leases[i] = l->leases[--l->n_leases];
		return fd;
	}
	return -1;
}

void hps_lease_drop(struct hps_ledger *l, const char *name)
{
	int fd = fetch(l, name);

	if (fd >= 0)
		hps_lease_end(l, name, fd);
}

void hps_lease_release_all(struct hps_ledger *l)
{
	for (size_t i = 0; i < l->n_leases; i++)
		close(l->leases[i].fd);
	free(l->leases);
	l->leases = NULL;
	l->n_leases = 0;
}

int hps_lease_take(struct hps_ledger *l, const char *begin_id, int *ret_fd, struct hps_error *err)
{
	struct hps_digest id;
	int fd;

	if (!(l->flags & HPS_LEDGER_APPEND) || hps_digest_parse(begin_id, &id))
		return hps_error_set(err, HPS_E_USAGE, "taking a lease: the ledger is not open for appending, or '%s' is not an id", begin_id);
	fd = fetch(l, begin_id);
	if (fd < 0)
		return take_lock(l, begin_id, ret_fd, err);
	*ret_fd = fd;
	return 0;
}

bool hps_lease_held(struct hps_ledger *l, const char *begin_id)
{
	_cleanup_free_ char *path = hps_format("running/%s", begin_id);
	_cleanup_fd_ int fd = openat(l->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct hps_digest id;

	return !hps_digest_parse(begin_id, &id) && fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
}

void hps_lease_end(struct hps_ledger *l, const char *begin_id, int fd)
{
	unlinkat(l->runningfd, begin_id, 0);
	close(fd);
}

/* ---- what the dead left behind ---- */

int hps_lease_ended(struct hps_ledger *l, const char *begin_id, bool *ret, struct hps_error *err)
{
	static const char *const ends[] = { "trial", "lost" };
	uint64_t index;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; !r && !n && i < ARRAY_SIZE(ends); i++) {
		struct hps_filter f = HPS_FILTER_ANY;

		f.begin = begin_id;
		f.kind = ends[i];
		r = hps_store_by_filter(l->store, &f, INT64_MAX, &index, 1, &n, err);
	}
	*ret = n > 0;
	return r;
}

json_t *hps_lease_lost(const struct hps_entry *begin)
{
	json_t *statement = hps_statement_new(HPS_PREDICATE_LOST), *predicate = json_object_get(statement, "predicate");

	hps_json_set(statement, "subject", json_deep_copy(json_object_get(begin->statement, "subject")));
	hps_json_set_text(predicate, "begin", begin->id);
	hps_json_set_text(predicate, "study", begin->study);
	if (begin->number >= 0)
		hps_json_set_int(predicate, "number", begin->number);
	hps_json_set_text(predicate, "why", "the recorder ended without a record: killed, or the machine stopped");
	return statement;
}

/* 1: a `lost` entry was appended; 0: the recorder lives, or somebody else was faster. */
static int sweep_one(struct hps_ledger *l, uint64_t index, struct hps_error *err)
{
	_cleanup_(hps_entry_release) struct hps_entry begin = { .number = -1 };
	_cleanup_json_ json_t *lost = NULL;
	bool ended;
	int fd, r = hps_ledger_load(l, index, &begin, err);

	if (r)
		return r;
	if (hps_spool_has(begin.id))
		return 0; /* it has ended, and 'hps-ledger push' will say how */
	if (strcmp(begin.keyid, l->keyid) != 0 && faccessat(l->runningfd, begin.id, F_OK, 0))
		return 0; /* of a recorder elsewhere, whose lease is there */
	r = hps_lease_try(l, begin.id, &fd);
	if (r == -EWOULDBLOCK || r == -ESTALE)
		return 0;
	if (r) {
		errno = -r;
		return hps_error_errno(err, "looking at the lease 'running/%.12s'", begin.id);
	}
	/* Only now is it certain that nobody else is about to end it. */
	r = hps_ledger_refresh(l, err);
	if (!r)
		r = hps_lease_ended(l, begin.id, &ended, err);
	if (!r && !ended) {
		lost = hps_lease_lost(&begin);
		r = hps_ledger_append(l, lost, NULL, NULL, err);
		if (!r)
			r = 1;
	}
	if (r < 0)
		close(fd);
	else
		hps_lease_end(l, begin.id, fd);
	return r;
}

static bool is_leftover(struct hps_ledger *l, const char *name)
{
	struct hps_digest id;
	uint64_t index;
	bool ended = false;
	size_t n = 0;

	if (hps_digest_parse(name, &id))
		return true; /* of a begin entry that has not even got an id */
	return !hps_store_by_prefix(l->store, &id, &id, INT64_MAX, &index, 1, &n, NULL) && (!n || (!hps_lease_ended(l, name, &ended, NULL) && ended));
}

/* Files of begin entries that ended, or that never were stored; their owners died before they could remove them. */
static void remove_leftovers(struct hps_ledger *l)
{
	int copy = openat(l->runningfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		struct hps_digest id;
		int fd;

		if ((hps_digest_parse(e->d_name, &id) && strncmp(e->d_name, NEW, strlen(NEW)) != 0) || hps_lease_try(l, e->d_name, &fd))
			continue;
		if (is_leftover(l, e->d_name))
			unlinkat(l->runningfd, e->d_name, 0);
		close(fd);
	}
	if (d)
		closedir(d);
}

int hps_lease_sweep(struct hps_ledger *l, uint64_t *ret_n, struct hps_error *err)
{
	uint64_t indexes[SWEEP_MAX], n_lost = 0, from = 0, limit;
	size_t n = SWEEP_MAX;
	int r;

	if (l->remote)
		return hps_remote_sweep(l, ret_n, err);
	r = hps_ledger_refresh(l, err);
	limit = l->size;
	if (!r && !(l->flags & HPS_LEDGER_APPEND))
		r = hps_error_set(err, HPS_E_USAGE, "sweeping: the ledger '%s' was opened for reading only", l->dir);
	while (r >= 0 && n == SWEEP_MAX) {
		r = hps_store_open_begins(l->store, from, limit, indexes, SWEEP_MAX, &n, err);
		for (size_t i = 0; r >= 0 && i < n; i++) {
			r = sweep_one(l, indexes[i], err);
			n_lost += r == 1;
			from = indexes[i] + 1;
		}
	}
	if (ret_n)
		*ret_n = n_lost;
	if (r < 0)
		return r;
	remove_leftovers(l);
	return 0;
}
