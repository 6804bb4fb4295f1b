/* A new ledger: directories, keys, trust file, database and the checkpoint of the empty tree. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNFINISHED ".init" /* everything is made in here and moved up when it is whole */

/* The trust file is last: a directory without it is not a ledger yet. */
static const char *const parts[] = { "keys", "objects", "running", "staging", "tiles", "lock", "journal", "ledger.db", HPS_TRUST_FILE };

static char *default_origin(const char *dir)
{
	_cleanup_free_ char *absolute = hps_path_absolute(dir);
	const struct passwd *user = getpwuid(geteuid());
	size_t len = strlen(absolute);
	char *name, *origin;

	while (len > 1 && absolute[len - 1] == '/')
		absolute[--len] = '\0';
	name = strrchr(absolute, '/');
	origin = user ? hps_format("localhost/%s/%s", user->pw_name, name ? name + 1 : absolute)
		      : hps_format("localhost/%u/%s", (unsigned)geteuid(), name ? name + 1 : absolute);
	/* A directory may have any name, an origin may not. */
	for (char *c = origin; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || *c == '+')
			*c = '-';
	return origin;
}

static int is_empty(int dirfd, const char *dir, struct hps_error *err)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;
	bool empty = true;

	if (!d)
		return hps_error_errno(err, "reading the directory '%s'", dir);
	while ((e = readdir(d)))
		empty &= !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, UNFINISHED);
	closedir(d);
	return empty ? 0 : hps_error_set(err, -EEXIST, "making a ledger in '%s': the directory is not empty; choose a new one", dir);
}

static int make_dir(int dirfd, const char *name, mode_t mode, struct hps_error *err)
{
	if (mkdirat(dirfd, name, mode) || fchmodat(dirfd, name, mode, 0))
		return hps_error_errno(err, "making the directory '%s'", name);
	return 0;
}

static int make_dirs(int dirfd, struct hps_error *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = { { "keys", 0700 },	{ "objects", 0700 },	{ "running", 0700 },	{ "staging", 0700 },
		     { "tiles", 0755 }, { "tiles/tile", 0755 }, { "tiles/tile/0", 0755 }, { "tiles/tile/entries", 0755 }, { "tiles/envelope", 0755 } };
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(dirs); i++)
		r = make_dir(dirfd, dirs[i].name, dirs[i].mode, err);
	return r;
}

static int make_redact_key(int dirfd, struct hps_error *err)
{
	uint8_t key[32];
	int r = hps_random(key, sizeof key, err);

	if (!r)
		r = hps_file_write(dirfd, "keys/redact.key", 0600, key, sizeof key, err);
	explicit_bzero(key, sizeof key);
	return r;
}

/* The checkpoint of the empty tree, signed, stored and published like every later one. */
static int first_checkpoint(int dirfd, const char *path, const char *origin, const struct hps_key *log, struct hps_error *err)
{
	_cleanup_free_ char *own = hps_strdup(origin), *database = hps_format("%s/ledger.db", path);
	struct hps_checkpoint c = { .origin = own };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	int r;

	hps_digest_of("", 0, &c.root);
	r = hps_checkpoint_sign(&c, log, &note, err);
	if (!r)
		r = hps_store_create(database, &c.root, &note, err);
	return r ? r : hps_file_write(dirfd, "tiles/checkpoint", 0644, note.data, note.len, err);
}

static int make_keys(int dirfd, const struct hps_ledger_init *init, struct hps_key **log, struct hps_key **statement, struct hps_error *err)
{
	int r = hps_key_generate(HPS_KEY_ED25519, log, err);

	if (!r)
		r = hps_key_generate(HPS_KEY_P256, statement, err);
	if (!r)
		r = hps_key_save(*log, dirfd, "keys/log.pem", init->passphrase, err);
	if (!r)
		r = hps_key_save(*statement, dirfd, "keys/statement.pem", init->passphrase, err);
	return r ? r : make_redact_key(dirfd, err);
}

static int make_lock(int dirfd, struct hps_error *err)
{
	int r = hps_file_write(dirfd, "lock", 0600, "", 0, err);

	return r ? r : hps_file_write(dirfd, "journal", 0600, "", 0, err);
}

static int fill(int dirfd, const char *path, const char *origin, const struct hps_ledger_init *init, struct hps_error *err)
{
	_cleanup_key_ struct hps_key *log = NULL, *statement = NULL;
	int r = make_dirs(dirfd, err);

	if (!r)
		r = make_keys(dirfd, init, &log, &statement, err);
	if (!r)
		r = make_lock(dirfd, err);
	if (!r)
		r = first_checkpoint(dirfd, path, origin, log, err);
	return r ? r : hps_trust_write(dirfd, origin, log, statement, err);
}

static int move_up(int dirfd, int unfinished, struct hps_error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (renameat(unfinished, parts[i], dirfd, parts[i]))
			return hps_error_errno(err, "moving '%s' into place", parts[i]);
	/* TRUNCATE mode leaves an empty journal behind; SQLite makes a new one. */
	unlinkat(unfinished, "ledger.db-journal", 0);
	unlinkat(dirfd, UNFINISHED, AT_REMOVEDIR);
	return hps_dir_sync(dirfd, err);
}

static int create_in(int dirfd, const char *dir, const char *origin, const struct hps_ledger_init *init, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("%s/" UNFINISHED, dir);
	_cleanup_fd_ int unfinished = -1;
	int r = is_empty(dirfd, dir, err);

	if (r)
		return r;
	r = hps_dir_remove(dirfd, UNFINISHED, err);
	if (!r)
		r = make_dir(dirfd, UNFINISHED, 0700, err);
	if (!r)
		r = hps_dir_open(dirfd, UNFINISHED, &unfinished, err);
	if (!r)
		r = fill(unfinished, path, origin, init, err);
	if (!r)
		r = move_up(dirfd, unfinished, err);
	if (!r)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		(void)!hps_dir_remove(dirfd, parts[i], NULL);
	(void)!hps_dir_remove(dirfd, UNFINISHED, NULL);
	return r;
}

static int record_filesystem(const char *dir, const struct hps_ledger_init *init, struct hps_error *err)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	int r = hps_ledger_open(dir, HPS_LEDGER_APPEND, init->passphrase, &l, err);

	return r ? r : hps_filesystem_record(l, err);
}

int hps_ledger_create(const char *dir, const struct hps_ledger_init *init, struct hps_error *err)
{
	_cleanup_free_ char *absolute = hps_path_absolute(dir), *origin = init->origin ? hps_strdup(init->origin) : default_origin(dir);
	bool existed = access(absolute, F_OK) == 0, unsafe = false;
	_cleanup_fd_ int dirfd = -1;
	int r;

	if (!hps_note_name_ok(origin) || strlen(origin) > 200)
		return hps_error_set(err, HPS_E_USAGE, "making a ledger: '%s' is no origin; it has no spaces and no '+', like 'example.org/team/log'", origin);
	r = hps_dir_make(AT_FDCWD, absolute, 0700, err);
	if (!r)
		r = hps_dir_open(AT_FDCWD, absolute, &dirfd, err);
	if (!r)
		r = hps_ledger_check_owner(dirfd, absolute, err);
	if (!r && !init->unsafe_filesystem)
		r = hps_filesystem_check(dirfd, absolute, err);
	if (!r)
		r = create_in(dirfd, absolute, origin, init, err);
	if (!r && init->unsafe_filesystem)
		r = hps_filesystem_accept(dirfd, &unsafe, err);
	if (!r && unsafe)
		r = record_filesystem(absolute, init, err);
	if (r && !existed)
		rmdir(absolute);
	return r;
}
