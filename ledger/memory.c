/* What this user's log key has ever signed, remembered outside the ledger: a ledger that was restored from a backup is seen to be
 * one before anything is signed that contradicts the newer copy. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_LEN 86 /* 20 digits, a space, 64 digits, a line feed: always the same, written over in place */

static char *memory_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	const struct passwd *user;

	if (state && *state == '/')
		return hps_format("%s/hps/signed", state);
	if (!home || *home != '/') {
		user = getpwuid(geteuid());
		home = user ? user->pw_dir : "/nonexistent";
	}
	return hps_format("%s/.local/state/hps/signed", home);
}

/* -1: nothing can be remembered here (no home); the published checkpoint is then all there is to compare with. */
static int open_memory(const struct hps_key *log_key, int flags)
{
	_cleanup_free_ char *dir = memory_dir(), *path = NULL;
	char keyid[HPS_DIGEST_HEX];
	struct stat s;
	int fd;

	hps_key_id(log_key, keyid);
	path = hps_format("%s/%s", dir, keyid);
	if (flags & O_CREAT && hps_dir_make(AT_FDCWD, dir, 0700, NULL))
		return -1;
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && (fstat(fd, &s) || !S_ISREG(s.st_mode) || s.st_uid != geteuid())) {
		close(fd);
		return -1;
	}
	return fd;
}

/* false: nothing (whole) is remembered. */
static bool read_memory(int fd, uint64_t *ret_size, struct hps_digest *ret_root)
{
	char line[LINE_LEN + 1] = "", *digits = line;

	if (pread(fd, line, LINE_LEN, 0) != LINE_LEN || line[20] != ' ' || line[LINE_LEN - 1] != '\n')
		return false;
	line[20] = line[LINE_LEN - 1] = '\0';
	while (*digits == '0' && digits[1])
		digits++;
	return !hps_parse_u64(digits, HPS_LEDGER_SIZE_MAX, ret_size) && !hps_digest_parse(line + 21, ret_root);
}

bool hps_memory_recall(const struct hps_key *log_key, uint64_t *ret_size, struct hps_digest *ret_root)
{
	_cleanup_fd_ int fd = open_memory(log_key, O_RDONLY);

	return fd >= 0 && read_memory(fd, ret_size, ret_root);
}

static int refuse(struct hps_ledger *l, uint64_t size, uint64_t remembered, struct hps_error *err)
{
	if (remembered > size && hps_journal_torn(l))
		return hps_error_set(err, HPS_E_DAMAGED,
				     "the ledger '%s': what follows entry %llu in its journal is damaged, and %llu entries were acknowledged. Put a whole journal back; if that is lost for "
				     "good, keep this ledger for reading and start another with 'hps-ledger init'",
				     l->dir, (unsigned long long)size, (unsigned long long)remembered);
	if (remembered > size)
		return hps_error_set(err, HPS_E_DAMAGED,
				     "the ledger '%s' has %llu entries, but its key has signed %llu: this is an older copy. Put the newer one back; if that is lost for good, "
				     "keep this one for reading and start another with 'hps-ledger init': signing from here would make two histories",
				     l->dir, (unsigned long long)size, (unsigned long long)remembered);
	return hps_error_set(err, HPS_E_DAMAGED,
			     "the ledger '%s' is not the one whose first %llu entries its key has signed before: somebody rewrote it. Put the other copy back, or keep both as "
			     "evidence and start another with 'hps-ledger init'",
			     l->dir, (unsigned long long)remembered);
}

/* The root of the first `size` entries, some of which may only be in the journal. */
static int root_at(struct hps_ledger *l, uint64_t size, struct hps_digest *ret, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_store_node, l->store };
	struct hps_merkle tree;
	int r;

	if (size == l->journal.tree.size) {
		hps_merkle_root(&l->journal.tree, ret);
		return 0;
	}
	if (size > l->size) {
		r = hps_ledger_settle(l, err);
		if (r)
			return r;
	}
	r = hps_merkle_load(&source, size, &tree, err);
	if (!r)
		hps_merkle_root(&tree, ret);
	return r;
}

int hps_memory_check(struct hps_ledger *l, struct hps_error *err)
{
	struct hps_digest remembered, root;
	uint64_t size;
	int r;

	if (l->memory_checked)
		return 0;
	if (l->memoryfd < 0)
		l->memoryfd = open_memory(l->trust.log.key, O_RDWR | O_CREAT);
	if (l->memoryfd < 0 || !read_memory(l->memoryfd, &size, &remembered)) {
		l->memory_checked = true;
		return 0;
	}
	if (size > l->journal.tree.size)
		return refuse(l, l->journal.tree.size, size, err);
	r = root_at(l, size, &root, err);
	if (!r && !hps_digest_equal(&root, &remembered))
		r = refuse(l, l->journal.tree.size, size, err);
	l->memory_checked = !r;
	return r;
}

static void write_memory(struct hps_ledger *l, uint64_t size, const struct hps_digest *root)
{
	char line[LINE_LEN + 1], hex[HPS_DIGEST_HEX];

	if (l->memoryfd < 0)
		return;
	hps_digest_hex(root, hex);
	snprintf(line, sizeof line, "%020llu %s\n", (unsigned long long)size, hex);
	(void)!pwrite(l->memoryfd, line, LINE_LEN, 0);
}

void hps_memory_note(struct hps_ledger *l)
{
	struct hps_digest root;

	hps_merkle_root(&l->journal.tree, &root);
	write_memory(l, l->journal.tree.size, &root);
}

void hps_memory_close(struct hps_ledger *l)
{
	write_memory(l, l->journal.tree.size + 1, &l->root); /* more than any such copy has */
}
