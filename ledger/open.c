/* The handle: finding a ledger, opening and closing it, and the newest checkpoint as it sees it. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *hps_ledger_path(const char *option)
{
	const char *from_env = getenv("HPS_LEDGER"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	const struct passwd *user;

	if (option && *option)
		return hps_strdup(option);
	if (from_env && *from_env)
		return hps_strdup(from_env);
	if (state && *state == '/') /* the XDG specification: a relative path is ignored */
		return hps_format("%s/hps/ledger", state);
	if (!home || !*home) {
		user = getpwuid(geteuid());
		home = user ? user->pw_dir : "/";
	}
	return hps_format("%s/.local/state/hps/ledger", home);
}

int hps_ledger_check_owner(int dirfd, const char *dir, struct hps_error *err)
{
	struct stat s;

	if (fstat(dirfd, &s))
		return hps_error_errno(err, "opening the ledger '%s'", dir);
	if (s.st_uid != geteuid())
		return hps_error_set(err, HPS_E_DENIED,
				     "opening the ledger '%s': user %u owns it and you are user %u; run as its owner, or copy it and verify the copy with --trust", dir,
				     (unsigned)s.st_uid, (unsigned)geteuid());
	if (s.st_mode & 022)
		return hps_error_set(err, HPS_E_DENIED, "opening the ledger '%s': others may write to it (mode %04o); 'chmod go-w' it after checking what is in it",
				     dir, (unsigned)s.st_mode & 07777);
	return 0;
}

int hps_ledger_open_dir(const char *dir, int *ret_fd, struct hps_error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = hps_dir_open(AT_FDCWD, dir, &fd, err);

	if (r == -ENOTDIR)
		return hps_error_set(err, HPS_E_NOTFOUND, "opening the ledger '%s': a ledger is a directory, and this leads to something else; give the directory", dir);
	if (r == -ENOENT)
		return hps_error_set(err, HPS_E_NOTFOUND, "opening the ledger '%s': there is none; 'hps-ledger init %s' makes it", dir, dir);
	if (r)
		return hps_error_prefix(err, "opening the ledger");
	if (faccessat(fd, HPS_TRUST_FILE, F_OK, 0) && faccessat(fd, "tiles", F_OK, 0) && faccessat(fd, "ledger.db", F_OK, 0))
		return hps_error_set(err, HPS_E_NOTFOUND, "opening the ledger '%s': the directory is not a ledger; 'hps-ledger init %s' makes one", dir, dir);
	*ret_fd = hps_take_fd(&fd);
	return 0;
}

static int follow(struct hps_ledger *l, struct hps_error *err)
{
	const struct hps_tiles tiles = { .tilesfd = l->tilesfd };

	return hps_trust_follow_tiles(&l->trust, &tiles, &l->n_handovers, err);
}

/* The log's key may have been replaced since the ledger was opened. */
static int open_checkpoint(struct hps_ledger *l, const struct hps_buf *note, struct hps_checkpoint *ret, struct hps_error *err)
{
	int r = hps_checkpoint_open(note->data, note->len, &l->trust.log, ret, err);

	if (r != HPS_E_SIGNATURE || !hps_handover_exists(l->tilesfd, l->n_handovers) || follow(l, NULL))
		return r;
	l->log_key_replaced = l->log_key != NULL;
	if (err)
		hps_error_release(err);
	return hps_checkpoint_open(note->data, note->len, &l->trust.log, ret, err);
}

int hps_ledger_read_checkpoint(struct hps_ledger *l, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	int r = hps_file_read(l->tilesfd, "checkpoint", HPS_NOTE_MAX, &note, err);

	if (r == -ENOENT)
		return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s' is damaged: its checkpoint 'tiles/checkpoint' is missing; restore it from a copy", l->dir);
	if (!r)
		r = open_checkpoint(l, &note, &c, err);
	if (r) {
		hps_error_prefix(err, "the ledger '%s'%s: tiles/checkpoint", l->dir, r <= HPS_E_USAGE ? " is damaged" : "");
		return r;
	}
	if (c.size < l->size || (c.size == l->size && l->size && !hps_digest_equal(&c.root, &l->root)))
		return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s': its checkpoint went back from size %llu to another tree of size %llu; somebody restored or rewrote it",
				     l->dir, (unsigned long long)l->size, (unsigned long long)c.size);
	l->size = c.size;
	l->root = c.root;
	return 0;
}

/* What was acknowledged but not published yet is moved on first. Where that cannot be done now (a full disk, a read-only place) there
 * is what has been published. */
int hps_ledger_refresh(struct hps_ledger *l, struct hps_error *err)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	int r;

	if (!l->has_database)
		return 0; /* a published copy is what it was when it was opened and indexed */
	r = hps_ledger_settle_all(l, &e);
	if (l->flags & HPS_LEDGER_APPEND && (r == HPS_E_DAMAGED || r == HPS_E_SIGNATURE))
		return hps_error_set(err, r, "%s", e.message);
	return hps_ledger_read_checkpoint(l, err);
}

/* ---- opening ---- */

/* The database may be ahead of the checkpoint (a writer is publishing, or was killed while it did), never behind. */
static int check_head(struct hps_ledger *l, struct hps_error *err)
{
	struct hps_digest root;
	uint64_t size;
	int r = hps_store_head(l->store, &size, &root, NULL, err);

	if (r)
		return r;
	if (size < l->size)
		return hps_error_set(err, HPS_E_DAMAGED, "ledger.db has %llu entries, the published checkpoint %llu: it is an older copy; restore the newer one",
				     (unsigned long long)size, (unsigned long long)l->size);
	if (size == l->size && !hps_digest_equal(&root, &l->root))
		return hps_error_set(err, HPS_E_DAMAGED, "ledger.db and the published checkpoint have different trees of %llu entries; 'hps-ledger verify' shows what still holds",
				     (unsigned long long)size);
	return 0;
}

static bool was_withdrawn(const struct hps_verification *v, const struct hps_digest *id)
{
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(id, hex);
	for (size_t i = 0; i < v->n_withdrawn; i++)
		if (!strcmp(v->withdrawn[i], hex))
			return true;
	return false;
}

/* Listed as nothing: verification names it. An envelope that was there then, and is not now, would hide an entry. */
static int leave_out(const struct hps_ledger *l, uint64_t index, bool withdrawn, struct hps_error *err)
{
	if (!l->verified || l->verified->n_problems || withdrawn)
		return 0;
	return hps_error_set(err, HPS_E_UNDECIDED, "the ledger '%s': the envelope of entry %llu went, or was changed, after it had been verified; try again", l->dir,
			     (unsigned long long)index);
}

static int index_entry(struct hps_ledger *l, uint64_t index, const void *leaf, size_t len, struct hps_error *err)
{
	_cleanup_(hps_leaf_release) struct hps_leaf read = HPS_LEAF_INIT;
	_cleanup_(hps_envelope_release) struct hps_envelope envelope = HPS_ENVELOPE_INIT;
	_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *statement = NULL;
	struct hps_row row = { .index = index, .leaf = leaf, .leaf_len = len, .entry = &entry };
	char path[HPS_TILE_PATH];
	bool withdrawn;

	if (hps_leaf_read(leaf, len, &read, NULL))
		return leave_out(l, index, false, err);
	withdrawn = l->verified && was_withdrawn(l->verified, &read.id);
	hps_envelope_path(&read.id, path);
	if (withdrawn || hps_file_read(l->tilesfd, path, HPS_ENVELOPE_MAX, &text, NULL) || !hps_envelope_is_of(&text, &read, &envelope) ||
	    hps_json_parse(envelope.payload.data, envelope.payload.len, &statement, NULL) || hps_digest_parse(envelope.keyid, &row.keyid))
		return leave_out(l, index, withdrawn, err);
	hps_entry_fill(&entry, statement);
	row.id = read.id;
	return hps_store_add(l->store, &row, err);
}

/* A published copy has no database: the same questions are then answered by one in memory, filled from the tiles. What is read is what the
 * root says, whoever changes the files meanwhile. */
static int index_tiles(struct hps_ledger *l, struct hps_error *err)
{
	struct hps_merkle tree = { 0 };
	struct hps_digest root;
	uint64_t index = 0;
	int r = hps_store_begin(l->store, err);

	while (!r && index < l->size) {
		struct hps_tile t = { .entries = true, .n = index / HPS_TILE_WIDTH, .width = hps_tile_width(0, index / HPS_TILE_WIDTH, l->size) };
		_cleanup_buf_ struct hps_buf bundle = HPS_BUF_INIT;
		uint64_t end = index + t.width;
		const uint8_t *leaf;
		size_t at = 0, len;

		r = hps_tile_read(l->tilesfd, &t, &bundle, err);
		while (!r && index < end) {
			if (!hps_bundle_next(&bundle, &at, &leaf, &len))
				return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s': the bundle of entry %llu is cut short", l->dir, (unsigned long long)index);
			hps_merkle_leaf(leaf, len, &root);
			hps_merkle_add(&tree, &root, NULL);
			r = index_entry(l, index++, leaf, len, err);
		}
	}
	if (r)
		return r;
	hps_merkle_root(&tree, &root);
	if (!hps_digest_equal(&root, &l->root))
		return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s': its entries do not give the root %s; 'hps-ledger verify' names what is damaged", l->dir,
				     l->verified ? "that was verified" : "of its checkpoint");
	return hps_store_commit(l->store, err);
}

/* ---- what has been verified ---- */

static uint64_t verified_size(const struct hps_ledger *l)
{
	return l->verified->size - l->verified->n_pending;
}

static int went_back(const struct hps_ledger *l, struct hps_error *err)
{
	return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s' is no longer what was verified: it has %llu entries, and had %llu", l->dir, (unsigned long long)l->size,
			     (unsigned long long)verified_size(l));
}

/* It may have grown; the tiles of the smaller tree are still there. */
static int use_verified(struct hps_ledger *l, struct hps_error *err)
{
	if (!l->verified)
		return 0;
	if (l->size < verified_size(l) || hps_digest_parse(l->verified->published, &l->root))
		return went_back(l, err);
	l->size = verified_size(l);
	return 0;
}

/* Nobody but its owner can change a database; but the path may lead to another one now. */
static int check_database(struct hps_ledger *l, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_store_node, l->store };
	struct hps_digest root, verified;
	struct hps_merkle tree;
	int r;

	if (!l->verified || !l->has_database || l->verified->n_problems)
		return 0;
	if (l->size < verified_size(l) || hps_digest_parse(l->verified->published, &verified))
		return went_back(l, err);
	r = hps_merkle_load(&source, verified_size(l), &tree, err);
	if (r)
		return hps_error_prefix(err, "the ledger '%s'", l->dir);
	hps_merkle_root(&tree, &root);
	return hps_digest_equal(&root, &verified) ? 0 : hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s' is no longer what was verified: it has other entries", l->dir);
}

static int open_store(struct hps_ledger *l, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("%s/ledger.db", l->dir);
	bool write = l->flags & HPS_LEDGER_APPEND;
	int r;

	l->has_database = !l->foreign && faccessat(l->dirfd, "ledger.db", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (l->has_database) {
		r = hps_store_open(path, write ? HPS_STORE_WRITE : HPS_STORE_READ, &l->store, err);
		if (!r)
			r = check_head(l, err);
		if (!r)
			l->database = hps_ledger_database_inode(l);
		if (r)
			hps_error_prefix(err, "the ledger '%s'", l->dir);
		return r;
	}
	if (write)
		return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s': ledger.db is missing; without it this is a published copy, which can be read but not continued; if it is not a copy, 'hps-ledger fsck --rebuild' makes it again", l->dir);
	r = use_verified(l, err);
	if (!r)
		r = hps_store_open(NULL, HPS_STORE_MEMORY, &l->store, err);
	return r ? r : index_tiles(l, err);
}

#define CUT_OFF " its replacement was cut off: 'hps-ledger key --role log rotate' ends it"

static int load_keys(struct hps_ledger *l, const char *passphrase, struct hps_error *err)
{
	_cleanup_free_ char *vkey = NULL, *trusted = NULL;
	int r = hps_signer_load(l->dirfd, "log", passphrase, &l->log_key, err);

	if (r == -ENOENT && hps_signer_exists(l->dirfd, HPS_NEXT_LOG))
		return hps_error_set(err, HPS_E_DENIED, "keys/log: it is gone, and" CUT_OFF);
	if (!r)
		r = hps_signer_load(l->dirfd, "statement", passphrase, &l->statement_key, err);
	if (r)
		return r;
	if (hps_key_type_of(l->log_key) != HPS_KEY_ED25519)
		return hps_error_set(err, HPS_E_DENIED, "keys/log: a log key is an Ed25519 key");
	vkey = hps_vkey_format(l->trust.origin, l->log_key);
	trusted = hps_vkey_format(l->trust.origin, l->trust.log.key);
	hps_key_id(l->statement_key, l->keyid);
	if (strcmp(vkey, trusted) != 0)
		return hps_error_set(err, HPS_E_DENIED, "keys/log: it is not the log key that " HPS_TRUST_FILE " names%s",
				     hps_signer_exists(l->dirfd, HPS_NEXT_LOG) ? ";" CUT_OFF : "");
	return 0;
}

static void swap_keys(struct hps_ledger *l, struct hps_key **log, struct hps_key **statement)
{
	struct hps_key *log_now = l->log_key, *statement_now = l->statement_key;

	l->log_key = *log;
	l->statement_key = *statement;
	*log = log_now;
	*statement = statement_now;
}

int hps_ledger_renew_keys(struct hps_ledger *l, const char *passphrase, struct hps_error *err)
{
	_cleanup_key_ struct hps_key *log = NULL, *statement = NULL;
	int r = hps_ledger_lock_alone(l, err);

	if (r)
		return r;
	swap_keys(l, &log, &statement);
	r = follow(l, err);
	if (!r)
		r = load_keys(l, passphrase, err);
	if (r) {
		swap_keys(l, &log, &statement);
		hps_key_id(l->statement_key, l->keyid);
	}
	l->log_key_replaced = r != 0;
	hps_keyring_release(&l->keyring);
	hps_cleanup_fd(&l->memoryfd); /* it is of the former log key */
	l->memory_checked = false;
	hps_ledger_unlock(l);
	return r;
}

/* A ledger of an earlier version has none yet. */
static int make_journal(struct hps_ledger *l, struct hps_error *err)
{
	l->journal.fd = openat(l->dirfd, "journal", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->journal.fd < 0 && errno == EROFS)
		return hps_error_set(err, -EROFS, "the ledger '%s' is on a read-only file system, where nothing can be appended; choose another by --ledger or HPS_LEDGER", l->dir);
	return l->journal.fd < 0 ? hps_error_errno(err, "opening the journal of the ledger '%s'", l->dir) : hps_dir_sync(l->dirfd, err);
}

static int open_for_append(struct hps_ledger *l, const char *passphrase, struct hps_error *err)
{
	int r = load_keys(l, passphrase, err);

	if (!r)
		r = hps_dir_make(l->dirfd, "running", 0700, err);
	if (!r)
		r = hps_dir_open(l->dirfd, "running", &l->runningfd, err);
	if (!r && l->journal.fd < 0)
		r = make_journal(l, err);
	if (!r)
		hps_queue_open(&l->queue, l->dirfd);
	return r;
}

/* A place that one may not write to has nothing that one could settle. */
static void open_journal(struct hps_ledger *l)
{
	l->journal.fd = openat(l->dirfd, "journal", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

static bool is_foreign(int dirfd)
{
	struct stat s;

	return fstat(dirfd, &s) == 0 && s.st_uid != geteuid();
}

static int open_parts(struct hps_ledger *l, const char *passphrase, struct hps_error *err)
{
	int r = hps_ledger_open_dir(l->dir, &l->dirfd, err);

	l->foreign = !r && l->trust_file && is_foreign(l->dirfd);
	if (!r && !l->foreign)
		r = hps_ledger_check_owner(l->dirfd, l->dir, err);
	if (!r && l->flags & HPS_LEDGER_APPEND)
		r = hps_filesystem_check(l->dirfd, l->dir, err);
	if (r)
		return r;
	r = hps_trust_read(l->trust_file ? AT_FDCWD : l->dirfd, l->trust_file ? l->trust_file : HPS_TRUST_FILE, &l->trust, err);
	if (!r)
		r = hps_dir_open(l->dirfd, "tiles", &l->tilesfd, err);
	if (r == -ENOENT && (l->trust.origin || !l->trust_file))
		return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s' is damaged: '%s' is missing; restore it from a copy", l->dir,
				     l->trust.origin ? "tiles" : HPS_TRUST_FILE);
	if (r) {
		hps_error_prefix(err, "the ledger '%s'", l->dir);
		return r;
	}
	r = follow(l, err);
	if (r) {
		hps_error_prefix(err, "the ledger '%s'", l->dir);
		return r;
	}
	if (!l->foreign)
		open_journal(l);
	r = hps_ledger_read_checkpoint(l, err);
	if (!r)
		r = open_store(l, err);
	if (!r && faccessat(l->dirfd, "objects", F_OK, 0) == 0)
		r = hps_objects_open(l->dirfd, "objects", false, &l->objects, err);
	if (!r && l->flags & HPS_LEDGER_APPEND)
		return open_for_append(l, passphrase, err);
	if (!r)
		r = hps_ledger_refresh(l, err);
	return r ? r : check_database(l, err);
}

static struct hps_ledger *new_handle(const char *dir, unsigned flags)
{
	struct hps_ledger *l = hps_alloc(sizeof *l);

	l->dir = hps_remote_is(dir) ? hps_remote_dir(dir) : hps_path_absolute(dir);
	l->flags = flags;
	l->pid = getpid();
	l->dirfd = l->tilesfd = l->lockfd = l->runningfd = l->journal.fd = l->memoryfd = -1;
	l->queue = (struct hps_queue)HPS_QUEUE_INIT;
	return l;
}

int hps_ledger_open(const char *dir, unsigned flags, const char *passphrase, struct hps_ledger **ret, struct hps_error *err)
{
	struct hps_ledger *l = new_handle(dir, flags);
	int r = hps_remote_is(dir) ? hps_remote_open(l, dir, passphrase, err) : open_parts(l, passphrase, err);

	if (!r && flags & HPS_LEDGER_APPEND && !l->remote)
		r = hps_ledger_may_sign(l, NULL, 0, err);
	if (r)
		hps_ledger_close(l);
	else
		*ret = l;
	return r;
}

int hps_ledger_open_verified(const char *dir, const char *trust, const struct hps_verification *v, struct hps_ledger **ret, struct hps_error *err)
{
	struct hps_ledger *l = new_handle(dir, HPS_LEDGER_READ);
	int r;

	l->trust_file = trust;
	l->verified = v;
	r = open_parts(l, NULL, err);
	l->trust_file = NULL;
	l->verified = NULL;
	if (r)
		hps_ledger_close(l);
	else
		*ret = l;
	return r;
}

void hps_ledger_close(struct hps_ledger *l)
{
	if (!l)
		return;
	if (l->store && l->pid == getpid() && l->flags & HPS_LEDGER_APPEND && !l->remote)
		(void)!hps_ledger_settle_rest(l, NULL);
	hps_lease_release_all(l);
	if (l->pid == getpid())
		hps_queue_clear(&l->queue);
	hps_queue_close(&l->queue);
	hps_journal_forget(&l->journal);
	hps_cleanup_fd(&l->journal.fd);
	hps_cleanup_fd(&l->memoryfd);
	hps_store_close(l->store);
	hps_objects_free(l->objects);
	hps_keyring_release(&l->keyring);
	free(l->remote);
	free(l->remote_ca);
	hps_trust_release(&l->trust);
	hps_key_free(l->log_key);
	hps_key_free(l->statement_key);
	hps_cleanup_fd(&l->runningfd);
	hps_cleanup_fd(&l->lockfd);
	hps_cleanup_fd(&l->tilesfd);
	hps_cleanup_fd(&l->dirfd);
	free(l->dir);
	free(l);
}

void hps_cleanup_ledger(struct hps_ledger **l)
{
	hps_ledger_close(*l);
}

/* ---- what it knows ---- */

struct hps_objects *hps_ledger_objects(struct hps_ledger *l)
{
	return l->objects;
}

const char *hps_ledger_dir(const struct hps_ledger *l)
{
	return l->dir;
}

const char *hps_ledger_origin(const struct hps_ledger *l)
{
	return l->trust.origin;
}

const char *hps_ledger_keyid(const struct hps_ledger *l)
{
	return l->keyid;
}

uint64_t hps_ledger_size(struct hps_ledger *l)
{
	(void)!hps_ledger_refresh(l, NULL);
	return l->size;
}

int hps_ledger_root(struct hps_ledger *l, char ret_hex[65], struct hps_error *err)
{
	int r = hps_ledger_refresh(l, err);

	if (!r)
		hps_digest_hex(&l->root, ret_hex);
	return r;
}

int hps_ledger_redact_key(struct hps_ledger *l, uint8_t ret[32], struct hps_error *err)
{
	_cleanup_fd_ int fd = openat(l->dirfd, "keys/redact.key", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat s;

	if (fd < 0 || fstat(fd, &s))
		return hps_error_errno(err, "opening the key 'keys/redact.key'");
	if (!S_ISREG(s.st_mode) || s.st_uid != geteuid() || s.st_mode & 077)
		return hps_error_set(err, HPS_E_DENIED, "opening the key 'keys/redact.key': it must be a file of yours that nobody else can read; chmod 600 it");
	if (s.st_size != 32 || pread(fd, ret, 32, 0) != 32)
		return hps_error_set(err, HPS_E_DAMAGED, "opening the key 'keys/redact.key': it has not 32 bytes");
	return 0;
}
