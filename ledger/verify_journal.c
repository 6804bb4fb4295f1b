/* Verification of the journal: batches that were acknowledged and are not in tiles/ yet. They are read together with the checkpoint,
 * while no writer is at work, and are checked when it is known what the published entries are. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "journal"

static void problem(struct hps_verifier *v, const char *what)
{
	hps_problem_add(v, -1, NULL, FILE_NAME, "%s", what);
}

/* Behind the last batch there is nothing, or the mark of the end. */
static bool is_end(int fd, uint64_t at)
{
	uint64_t mark = 0;

	return pread(fd, &mark, sizeof mark, (off_t)at) >= 0 && !mark;
}

static void read_batches(struct hps_verifier *v, int fd, struct hps_error *err)
{
	uint64_t at = HPS_JOURNAL_HEADER, size = 0;
	struct stat s;
	int r;

	if (!hps_journal_header(fd, &v->journal_base, err)) {
		v->journal_left = fstat(fd, &s) ? 0 : (uint64_t)s.st_size;
		return;
	}
	do {
		v->batches = hps_grow(v->batches, v->n_batches, sizeof *v->batches);
		v->batches[v->n_batches] = (struct hps_batch)HPS_BATCH_INIT;
		r = hps_journal_read(fd, at, &v->batches[v->n_batches], err);
		if (r <= 0 || v->batches[v->n_batches].to <= size) {
			hps_batch_release(&v->batches[v->n_batches]);
			break;
		}
		at = v->batches[v->n_batches].end;
		size = v->batches[v->n_batches++].to;
	} while (true);
	if (fstat(fd, &s) == 0 && s.st_size > (off_t)at && !is_end(fd, at))
		v->journal_left = (uint64_t)s.st_size - at;
}

void hps_verify_read_journal(struct hps_verifier *v)
{
	_cleanup_fd_ int fd = openat(v->dirfd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	if (fd >= 0)
		read_batches(v, fd, &e);
	else if (errno != ENOENT)
		hps_error_errno(&e, "opening it");
	if (e.code)
		hps_problem_add_error(v, -1, NULL, FILE_NAME, NULL, &e);
}

int hps_verify_pause_writers(int dirfd)
{
	int fd = openat(dirfd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	while (fd >= 0 && flock(fd, LOCK_SH) && errno == EINTR)
		;
	return fd;
}

/* ---- checking ---- */

static void check_note(struct hps_verifier *v, const struct hps_batch *b, const struct hps_merkle *tree)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	struct hps_digest root;

	hps_merkle_root(tree, &root);
	if (hps_checkpoint_open(b->bytes.data + b->note_at, b->note_len, &v->trust.log, &c, &e))
		hps_problem_add_error(v, -1, NULL, FILE_NAME, NULL, &e);
	else if (c.size != tree->size || !hps_digest_equal(&c.root, &root))
		problem(v, "the checkpoint of a batch is not of the entries that it follows");
}

static bool check_batch(struct hps_verifier *v, const struct hps_batch *b, struct hps_merkle *tree)
{
	struct hps_journal_entry e;
	struct hps_digest hash, root;
	size_t at = 0;

	hps_merkle_root(tree, &root);
	if (b->from != tree->size || !hps_digest_equal(&root, &b->before)) {
		hps_problem_add(v, (int64_t)b->from, NULL, FILE_NAME, "a batch does not continue the entries before it");
		return false;
	}
	while (hps_batch_next(b, &at, &e)) {
		hps_verify_pending(v, tree->size, &e);
		hps_merkle_leaf(e.leaf, e.leaf_len, &hash);
		hps_merkle_add(tree, &hash, NULL);
	}
	check_note(v, b, tree);
	return tree->size == b->to;
}

void hps_verify_journal(struct hps_verifier *v)
{
	struct hps_merkle tree = v->tree;
	bool good = true;

	for (size_t i = 0; good && i < v->n_batches; i++)
		if (v->batches[i].to > tree.size)
			good = check_batch(v, &v->batches[i], &tree);
	if (v->n_batches && v->batches[0].from != v->journal_base)
		problem(v, "its header is not of its first batch");
	if (v->journal_left)
		hps_problem_add(v, -1, NULL, FILE_NAME,
				"%llu bytes behind the last whole batch: a writer was stopped before it had acknowledged them (then the next one clears them), or they are damaged",
				(unsigned long long)v->journal_left);
	if (tree.size == v->found->size)
		return;
	hps_merkle_root(&tree, &v->root);
	hps_digest_hex(&v->root, v->found->root);
	v->found->n_pending = tree.size - v->found->size;
	v->found->size = tree.size;
}
