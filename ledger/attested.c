/* Attested checkpoints: those that witnesses have cosigned or a time authority has stamped, as they lie in tiles/attested/ by size. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define ENDING ".checkpoint"

/* Sizes for which there is a checkpoint, from the smallest. */
struct sizes {
	uint64_t *v;
	size_t n;
};

static int compare_sizes(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool size_of(const char *name, uint64_t *ret)
{
	const char *dot = strchr(name, '.');
	_cleanup_free_ char *number = dot && !strcmp(dot, ENDING) ? hps_strndup(name, (size_t)(dot - name)) : NULL;

	return number && !hps_parse_u64(number, HPS_LEDGER_SIZE_MAX, ret);
}

static int list_sizes(int tilesfd, struct sizes *ret, struct hps_error *err)
{
	int fd = openat(tilesfd, HPS_ATTESTED_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	uint64_t size;

	if (fd < 0)
		return errno == ENOENT ? 0 : hps_error_errno(err, "reading 'tiles/" HPS_ATTESTED_DIR "'");
	while (d && (e = readdir(d)))
		if (size_of(e->d_name, &size)) {
			ret->v = hps_grow(ret->v, ret->n, sizeof *ret->v);
			ret->v[ret->n++] = size;
		}
	if (d)
		closedir(d);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof *ret->v, compare_sizes);
	return 0;
}

/* One of that size that the policy takes. */
static bool take(int tilesfd, const struct hps_trust *trust, uint64_t size, struct hps_buf *ret_note, struct hps_buf *ret_timestamp)
{
	_cleanup_free_ char *note = hps_format(HPS_ATTESTED_DIR "/%llu" ENDING, (unsigned long long)size),
			    *timestamp = hps_format(HPS_ATTESTED_DIR "/%llu.tsr", (unsigned long long)size);
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };

	hps_buf_reset(ret_note);
	hps_buf_reset(ret_timestamp);
	if (hps_file_read(tilesfd, note, HPS_NOTE_MAX, ret_note, NULL) ||
	    hps_policy_check(&trust->policy, ret_note->data, ret_note->len, 0, 0, &c, NULL) || c.size != size)
		return false;
	if (hps_file_read(tilesfd, timestamp, HPS_TIMESTAMP_MAX, ret_timestamp, NULL))
		hps_buf_reset(ret_timestamp);
	return true;
}

/* Evidence names one key of the log: what only a former one has signed is not given out any more. */
static bool by_newest_key(const struct hps_trust *trust, const struct hps_buf *note)
{
	_cleanup_buf_ struct hps_buf sig = HPS_BUF_INIT;

	return !hps_note_signature(note->data, note->len, &trust->log, &sig, NULL);
}

int hps_attested_find(int tilesfd, const struct hps_trust *trust, uint64_t index, struct hps_buf *ret_note, struct hps_buf *ret_timestamp, struct hps_error *err)
{
	struct sizes sizes = { NULL, 0 };
	bool found = false;
	int r = list_sizes(tilesfd, &sizes, err);

	for (size_t i = 0; !r && !found && i < sizes.n; i++)
		found = sizes.v[i] > index && take(tilesfd, trust, sizes.v[i], ret_note, ret_timestamp) && by_newest_key(trust, ret_note);
	free(sizes.v);
	if (r || found)
		return r;
	return hps_error_set(err, HPS_E_NOTFOUND, "looking for an attested checkpoint: there is none of more than %llu entries", (unsigned long long)index);
}

void hps_attested_widths(int tilesfd, const struct hps_tile *tile, bool ret[HPS_TILE_WIDTH + 1])
{
	struct sizes sizes = { NULL, 0 };
	bool unknown = list_sizes(tilesfd, &sizes, NULL) != 0;

	for (unsigned width = 0; width <= HPS_TILE_WIDTH; width++)
		ret[width] = unknown;
	for (size_t i = 0; i < sizes.n; i++)
		ret[hps_tile_width(tile->level, tile->n, sizes.v[i])] = true;
	free(sizes.v);
}

/* ---- verifying ---- */

static void verify_one(struct hps_verifier *v, uint64_t size, const struct hps_digest *root)
{
	_cleanup_free_ char *path = hps_format(HPS_ATTESTED_DIR "/%llu" ENDING, (unsigned long long)size), *file = hps_format("tiles/%s", path);
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;

	if (hps_file_read(v->tilesfd, path, HPS_NOTE_MAX, &note, &error) || hps_checkpoint_open(note.data ? note.data : "", note.len, &v->trust.log, &c, &error))
		hps_problem_add_error(v, -1, NULL, file, NULL, &error);
	else if (c.size != size || !hps_digest_equal(&c.root, root))
		hps_problem_add(v, -1, NULL, file, "others have signed another tree of %llu entries than the one that is here", (unsigned long long)size);
}

/* Of the ledger as it is now: it may have grown, and been attested, since verification began. */
static uint64_t size_now(struct hps_verifier *v)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;

	if (!hps_file_read(v->tilesfd, "checkpoint", HPS_NOTE_MAX, &note, NULL))
		(void)!hps_checkpoint_open(note.data ? note.data : "", note.len, &v->trust.log, &c, NULL);
	return c.size > v->n ? c.size : v->n;
}

void hps_verify_attested(struct hps_verifier *v)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	struct sizes sizes = { NULL, 0 };
	struct hps_merkle tree = { 0 };

	if (list_sizes(v->tilesfd, &sizes, &error))
		hps_problem_add_error(v, -1, NULL, "tiles/" HPS_ATTESTED_DIR, NULL, &error);
	for (size_t i = 0; i < sizes.n; i++) {
		struct hps_digest root;

		if (sizes.v[i] > v->n) {
			if (sizes.v[i] > size_now(v))
				hps_problem_add(v, -1, NULL, "tiles/" HPS_ATTESTED_DIR, "others have signed a tree of %llu entries: this is an older copy, or part of it is lost",
						(unsigned long long)sizes.v[i]);
			break;
		}
		while (tree.size < sizes.v[i])
			hps_merkle_add(&tree, &v->hash[tree.size], NULL);
		hps_merkle_root(&tree, &root);
		verify_one(v, sizes.v[i], &root);
	}
	free(sizes.v);
}

/* The policy's witnesses that have not signed the note (all, when there is none). */
static void name_missing(const struct hps_policy *p, const struct hps_buf *note, struct hps_buf *out)
{
	uint64_t times[HPS_POLICY_KEYS_MAX] = { 0 };
	size_t text_len;

	if (!note->len || hps_note_signers(note->data, note->len, p->keys, p->n_keys, times, &text_len, NULL))
		memset(times, 0, sizeof times);
	for (size_t i = 0; i < p->n_keys; i++)
		if (!p->is_log[i] && !times[i])
			hps_buf_addf(out, "%s'%s'", out->len ? ", " : "", p->keys[i].name);
}

static void not_witnessed(struct hps_verifier *v, uint64_t size)
{
	_cleanup_free_ char *path = hps_format(HPS_ATTESTED_DIR "/%llu" ENDING, (unsigned long long)size);
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT, missing = HPS_BUF_INIT;

	if (hps_file_read(v->tilesfd, path, HPS_NOTE_MAX, &note, NULL))
		hps_buf_reset(&note);
	name_missing(&v->trust.policy, &note, &missing);
	v->found->unwitnessed = HPS_E_UNDECIDED;
	v->found->unwitnessed_why = hps_format("no quorum of the trust file's witnesses has cosigned the tree of %llu entries: %s missing; run 'hps-ledger attest'",
					       (unsigned long long)size, missing.len ? missing.data : "the quorum's rule is");
}

static void check_age(struct hps_verifier *v, const struct hps_buf *note)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	uint64_t now = (uint64_t)(hps_time_now_ns() / 1000000000);
	int r = hps_policy_check(&v->trust.policy, note->data, note->len, now, v->trust.max_age, &c, &error);

	if (!r)
		return;
	v->found->unwitnessed = r;
	v->found->unwitnessed_why = hps_strdup(error.message);
}

/* Where the trust file says 'open', entries behind the newest cosigned checkpoint are in order: the next attestation covers them. */
void hps_verify_witnessed(struct hps_verifier *v)
{
	struct sizes sizes = { NULL, 0 };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT, timestamp = HPS_BUF_INIT;
	uint64_t *witnessed = &v->found->witnessed;

	v->found->asks_witnesses = !v->trust.policy.no_quorum;
	v->found->closed = v->trust.closed;
	if (!v->found->size)
		return;
	if (v->trust.policy.no_quorum) {
		check_age(v, &v->note);
		return;
	}
	(void)!list_sizes(v->tilesfd, &sizes, NULL);
	for (size_t i = sizes.n; !*witnessed && i > 0; i--)
		if (sizes.v[i - 1] <= v->n && take(v->tilesfd, &v->trust, sizes.v[i - 1], &note, &timestamp))
			*witnessed = sizes.v[i - 1];
	free(sizes.v);
	if (!*witnessed || (v->trust.closed && *witnessed < v->found->size))
		not_witnessed(v, v->found->size);
	else
		check_age(v, &note);
}

char *hps_verification_lacks(const struct hps_verification *v)
{
	if (v->unwitnessed)
		return hps_strdup(v->unwitnessed_why);
	if (!v->asks_witnesses || v->witnessed >= v->size)
		return NULL;
	return hps_format("no quorum of the trust file's witnesses has cosigned a checkpoint of more than the first %llu of the %llu entries yet; run 'hps-ledger attest'",
			  (unsigned long long)v->witnessed, (unsigned long long)v->size);
}
