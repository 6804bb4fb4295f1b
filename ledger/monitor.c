/* Following a ledger from outside: its newest checkpoint has to continue the last one seen, its tiles have to be of that tree, and it
 * has to be fresh. Each way in which that fails has its own message, and a file that says it to others. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct looking {
	const struct hps_monitor *m;
	const struct hps_trust *trust;
	struct hps_tiles tiles;
	struct hps_buf note, known_note;
	struct hps_checkpoint c, known;
	bool known_beyond; /* the key that signed it had been replaced at fewer entries, as it turns out now */
	struct hps_strv handovers, known_handovers;
};

/* The message, and the file; when the file cannot be written the message says that too. */
static int report(struct looking *k, const char *kind, const char *what, const struct hps_proof *proof, const struct hps_strv *handovers, struct hps_error *err)
{
	_cleanup_free_ char *name = hps_format("%s-%llu-%llu.json", kind, (unsigned long long)k->known.size, (unsigned long long)k->c.size);
	const struct hps_misbehaviour m = { .kind = kind, .what = what, .log = &k->trust->log, .first = &k->known_note, .second = &k->note, .proof = proof, .handovers = handovers };
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_fd_ int fd = -1;
	int r;

	if (!k->m->evidence)
		return hps_error_set(err, HPS_E_FALSE, "%s: %s", kind, what);
	r = hps_dir_make(AT_FDCWD, k->m->evidence, 0755, &error);
	if (!r)
		r = hps_dir_open(AT_FDCWD, k->m->evidence, &fd, &error);
	if (!r)
		r = hps_misbehaviour_write(fd, name, &m, &error);
	if (r)
		return hps_error_set(err, HPS_E_FALSE, "%s: %s; the evidence could not be written: %s", kind, what, error.message);
	return hps_error_set(err, HPS_E_FALSE, "%s: %s; the evidence is in '%s/%s'", kind, what, k->m->evidence, name);
}

static int misbehaves(struct looking *k, const char *kind, const char *what, const struct hps_proof *proof, struct hps_error *err)
{
	return report(k, kind, what, proof, NULL, err);
}

static char *handovers_of(const struct hps_monitor *m)
{
	return hps_format("%s." HPS_HANDOVERS_FILE, m->state);
}

/* To the newest key that the log shows, or (an older copy shows fewer) that was seen before. */
static int follow(struct looking *k, struct hps_trust *trust, struct hps_error *err)
{
	_cleanup_free_ char *path = k->m->state ? handovers_of(k->m) : NULL;
	int r = hps_handovers_load(&k->tiles, &k->handovers, err);

	if (!r && path)
		r = hps_handovers_read(AT_FDCWD, path, &k->known_handovers, err);
	if (r)
		return r;
	if (!hps_handovers_conflict(&k->handovers, &k->known_handovers))
		return hps_trust_follow(trust, k->handovers.n < k->known_handovers.n ? &k->known_handovers : &k->handovers, err);
	(void)!hps_trust_follow(trust, &k->handovers, NULL);
	return report(k, "fork", "a key of the log was handed over in two ways", NULL, &k->known_handovers, err);
}

static int read_known(struct looking *k, struct hps_error *err)
{
	int r = k->m->state ? hps_file_read(AT_FDCWD, k->m->state, HPS_NOTE_MAX, &k->known_note, err) : 0;

	if (r == -ENOENT) {
		if (err)
			hps_error_release(err);
		return 0;
	}
	if (!r && k->known_note.len)
		r = hps_checkpoint_open_any(k->known_note.data, k->known_note.len, &k->trust->log, &k->known, &k->known_beyond, err);
	return r ? hps_error_prefix(err, "reading the last checkpoint in '%s'", k->m->state) : 0;
}

#define BEYOND "a former key of the log signed a tree after it had been replaced at a smaller one"

static bool signed_beyond(struct looking *k)
{
	bool beyond = false;

	if (hps_checkpoint_open_any(k->note.data, k->note.len, &k->trust->log, &k->c, &beyond, NULL) || !beyond)
		return false;
	if (!k->known_note.len) /* the handover is what it contradicts */
		hps_buf_add(&k->known_note, k->note.data, k->note.len);
	return true;
}

/* With witnesses, what they cosigned last is what counts; anybody can show an old checkpoint that only the log signed. */
static int read_newest(struct looking *k, struct hps_error *err)
{
	const char *path = k->trust->policy.no_quorum ? "checkpoint" : HPS_ATTESTED_DIR "/checkpoint";
	uint64_t max_age = k->m->max_age ? k->m->max_age : k->trust->max_age;
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	int r = hps_tiles_file(&k->tiles, path, HPS_NOTE_MAX, &k->note, err);

	if (r)
		return r;
	r = hps_policy_check(&k->trust->policy, k->note.data, k->note.len, (uint64_t)time(NULL), max_age, &k->c, &error);
	if (r == HPS_E_FALSE)
		return misbehaves(k, "freeze", error.message, NULL, err);
	if (r == HPS_E_SIGNATURE && signed_beyond(k))
		return misbehaves(k, "fork", BEYOND, NULL, err);
	return r ? hps_error_set(err, r, "%s", error.message) : 0;
}

static int check_tiles(struct looking *k, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_tiles_node, &k->tiles };
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	struct hps_merkle tree;
	struct hps_digest root;
	int r;

	k->tiles.size = k->c.size;
	r = hps_merkle_load(&source, k->c.size, &tree, &error);
	if (r == HPS_E_NOTFOUND || r == HPS_E_DAMAGED)
		return misbehaves(k, "fast-forward", "the checkpoint claims more entries than there are tiles for", NULL, err);
	if (r)
		return hps_error_set(err, r, "%s", error.message);
	hps_merkle_root(&tree, &root);
	if (!hps_digest_equal(&root, &k->c.root))
		return misbehaves(k, "mix-and-match", "the tiles are not of the tree that the checkpoint signs", NULL, err);
	return 0;
}

/* The tiles are of the new tree: what they say about the old size binds the log. */
static int check_growth(struct looking *k, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_tiles_node, &k->tiles };
	struct hps_proof proof;
	int r = hps_merkle_prove_consistency(&source, k->known.size, k->c.size, &proof, err);

	if (r)
		return r;
	if (!hps_merkle_check_consistency(k->known.size, k->c.size, &k->known.root, &k->c.root, proof.hash, proof.n, NULL))
		return 0;
	r = hps_misbehaviour_proof(&k->tiles, k->known.size, &proof, err);
	return r ? r : misbehaves(k, "fork", "the tree does not continue the one that was signed before", &proof, err);
}

static int compare(struct looking *k, struct hps_error *err)
{
	int r;

	if (k->known_beyond)
		return misbehaves(k, "fork", BEYOND, NULL, err);
	if (k->c.size < k->known.size)
		return misbehaves(k, "rollback", "the newest checkpoint is of fewer entries than one seen before", NULL, err);
	if (k->known_note.len && k->c.size == k->known.size && !hps_digest_equal(&k->c.root, &k->known.root))
		return misbehaves(k, "fork", "the log signed two trees of one size", NULL, err);
	r = check_tiles(k, err);
	return r || !k->known.size ? r : check_growth(k, err);
}

/* The handovers first: by them the checkpoint is seen to be of the same log. */
static int remember(struct looking *k, struct hps_error *err)
{
	_cleanup_free_ char *path = handovers_of(k->m);
	int r = k->handovers.n > k->known_handovers.n ? hps_handovers_write(AT_FDCWD, path, 0644, &k->handovers, err) : 0;

	return r ? r : hps_file_write(AT_FDCWD, k->m->state, 0644, k->note.data, k->note.len, err);
}

static int look(struct looking *k, struct hps_error *err)
{
	int r = read_known(k, err);

	if (!r)
		r = read_newest(k, err);
	if (!r)
		r = compare(k, err);
	return r || !k->m->state ? r : remember(k, err);
}

static bool is_url(const char *source)
{
	return !strncmp(source, "http://", 7) || !strncmp(source, "https://", 8) || !strncmp(source, "unix:", 5);
}

int hps_monitor(const struct hps_monitor *m, struct hps_trust *trust, struct hps_checkpoint *ret, struct hps_error *err)
{
	struct looking k = { .m = m, .trust = trust, .tiles = { .tilesfd = -1, .ca_file = m->ca_file } };
	_cleanup_free_ char *tiles = hps_format("%s/tiles", m->source);
	int r = 0;

	hps_buf_init(&k.note, HPS_NOTE_MAX);
	hps_buf_init(&k.known_note, HPS_NOTE_MAX);
	if (is_url(m->source))
		k.tiles.url = tiles;
	else
		r = hps_dir_open(AT_FDCWD, tiles, &k.tiles.tilesfd, err);
	if (!r)
		r = follow(&k, trust, err);
	if (!r)
		r = look(&k, err);
	if (!r) {
		*ret = k.c;
		k.c.origin = NULL;
	}
	hps_checkpoint_release(&k.c);
	hps_checkpoint_release(&k.known);
	hps_buf_release(&k.note);
	hps_buf_release(&k.known_note);
	hps_strv_release(&k.handovers);
	hps_strv_release(&k.known_handovers);
	if (k.tiles.tilesfd >= 0)
		close(k.tiles.tilesfd);
	return r;
}
