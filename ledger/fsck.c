/* fsck: verification, as an auditor does it, and what only the ledger's owner can compare: what the log key has signed, and who may
 * read and write the files. The writer's code is not asked: what it wrote is read by verify*.c. */
#include "ledger/ledger.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was signed once is either still here or lost: the end of the journal is damaged, or the whole is an older copy. Read before
 * the verification, for a writer may add to both meanwhile. */
struct signed_head {
	bool known;
	uint64_t size;
	struct hps_digest root;
};

static int root_at(struct hps_verifier *v, uint64_t size, struct hps_digest *ret)
{
	struct hps_tiles tiles = { .tilesfd = v->tilesfd, .size = v->found->size - v->found->n_pending };
	struct hps_merkle_source source = { hps_tiles_node, &tiles };
	struct hps_merkle tree;
	int r;

	if (size == v->found->size)
		return hps_digest_parse(v->found->root, ret);
	r = size > tiles.size ? HPS_E_NOTFOUND : hps_merkle_load(&source, size, &tree, NULL);
	if (!r)
		hps_merkle_root(&tree, ret);
	return r;
}

static void check_signed(struct hps_verifier *v, const struct signed_head *s)
{
	struct hps_digest root;

	if (!s->known)
		return;
	if (s->size > v->found->size)
		hps_problem_add_if_read(v, HPS_UNREAD_LEAVES | HPS_UNREAD_JOURNAL, UINT64_MAX, (int64_t)v->found->size, NULL, "journal",
				"the log key has signed %llu entries, and %llu are here: acknowledged entries at the end of the journal are damaged or cut off, or all of this is an older copy",
				(unsigned long long)s->size, (unsigned long long)v->found->size);
	else if (!root_at(v, s->size, &root) && !hps_digest_equal(&root, &s->root))
		hps_problem_add(v, -1, NULL, NULL, "the first %llu entries are not those that the log key has signed: somebody rewrote them", (unsigned long long)s->size);
}

static void check_modes(struct hps_verifier *v)
{
	static const struct {
		const char *name;
		mode_t refused;
	} table[] = {
		{ ".", 022 },	   { "keys", 077 },	{ "keys/log.pem", 077 }, { "keys/statement.pem", 077 }, { "keys/redact.key", 077 }, { "ledger.db", 022 },
		{ "journal", 077 }, { "trust.json", 022 }, { "tiles", 022 },	{ "objects", 022 },	       { "staging", 022 },
	};
	struct stat s;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (fstatat(v->dirfd, table[i].name, &s, AT_SYMLINK_NOFOLLOW))
			continue;
		if (s.st_uid != geteuid())
			hps_problem_add(v, -1, NULL, table[i].name, "it belongs to user %u", (unsigned)s.st_uid);
		if (S_ISLNK(s.st_mode))
			hps_problem_add(v, -1, NULL, table[i].name, "it is a symbolic link");
		else if (s.st_mode & table[i].refused)
			hps_problem_add(v, -1, NULL, table[i].name, "its mode is %04o: others may get at it", (unsigned)s.st_mode & 07777);
	}
}

static int look(const char *dir, struct hps_verifier *v, struct signed_head *s, struct hps_error *err)
{
	_cleanup_(hps_trust_release) struct hps_trust trust = { 0 };
	int r = hps_ledger_open_dir(dir, &v->dirfd, err);

	if (!r)
		r = hps_ledger_check_owner(v->dirfd, dir, err);
	if (!r && !hps_dir_open(v->dirfd, "tiles", &v->tilesfd, NULL) && !hps_trust_read(v->dirfd, HPS_TRUST_FILE, &trust, NULL) &&
	    !hps_trust_follow_tiles(&trust, &(const struct hps_tiles){ .tilesfd = v->tilesfd }, NULL, NULL))
		s->known = hps_memory_recall(trust.log.key, &s->size, &s->root);
	return r;
}

int hps_ledger_fsck(const char *dir, const struct hps_verify_options *options, struct hps_verification *ret, struct hps_error *err)
{
	struct hps_verify_options o = *options;
	struct hps_verifier v = { .found = ret, .dirfd = -1, .tilesfd = -1 };
	struct signed_head s = { .known = false };
	int r = look(dir, &v, &s, err);

	if (!r)
		r = hps_ledger_verify(dir, &o, ret, err);
	/* Where something is wrong, all of it is wanted; and what was withdrawn only the statements say. */
	if (!r && o.skip_bodies && ret->n_problems) {
		hps_verification_release(ret);
		o.skip_bodies = false;
		r = hps_ledger_verify(dir, &o, ret, err);
	}
	if (!r && v.tilesfd >= 0)
		check_signed(&v, &s);
	if (!r)
		check_modes(&v);
	ret->unwitnessed = 0; /* what others vouch for is no matter of these files */
	hps_cleanup_fd(&v.tilesfd);
	hps_cleanup_fd(&v.dirfd);
	return r;
}
