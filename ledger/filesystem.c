/* Which file systems a ledger is written on: those whose locks and flushes are known to mean what they say. On others (networks,
 * user space, unknown ones) writing is refused, unless somebody took that upon themselves; then the ledger says so. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#define ACCEPTED "unsafe-filesystem" /* in the ledger: the magic number that was accepted */

static const struct {
	uint32_t magic;
	const char *name;
} local[] = {
	{ 0xef53, "ext4" },	 { 0x58465342, "xfs" },	   { 0x9123683e, "btrfs" },  { 0x01021994, "tmpfs" }, { 0x858458f6, "ramfs" },
	{ 0x2fc12fc1, "zfs" },	 { 0xf2f52010, "f2fs" },   { 0x794c7630, "overlay" }, { 0xca451a4e, "bcachefs" }, { 0x3153464a, "jfs" },
}, foreign[] = {
	{ 0x6969, "NFS" },	 { 0x517b, "SMB" },	   { 0xff534d42, "CIFS" },   { 0xfe534d42, "SMB2" },  { 0x65735546, "FUSE" },
	{ 0x01021997, "9p" },	 { 0x0bd00bd0, "Lustre" }, { 0x00c36400, "Ceph" },   { 0x47504653, "GPFS" },  { 0x5346414f, "AFS" },
	{ 0x19830326, "BeeGFS" }, { 0x01161970, "GFS2" },  { 0x7461636f, "OCFS2" },
};

static bool is_local(uint32_t magic)
{
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(local); i++)
		found |= local[i].magic == magic;
	return found;
}

static const char *name_of(uint32_t magic)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (foreign[i].magic == magic)
			return foreign[i].name;
	return "an unknown kind";
}

static int magic_of(int dirfd, uint32_t *ret, struct hps_error *err)
{
	struct statfs s;

	if (fstatfs(dirfd, &s))
		return hps_error_errno(err, "asking for the ledger's file system");
	*ret = (uint32_t)s.f_type;
	return 0;
}

static bool is_accepted(int dirfd, uint32_t magic)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char line[16];

	snprintf(line, sizeof line, "%08x\n", (unsigned)magic);
	return !hps_file_read(dirfd, ACCEPTED, 64, &text, NULL) && text.len && !strcmp(text.data, line);
}

int hps_filesystem_check(int dirfd, const char *dir, struct hps_error *err)
{
	uint32_t magic = 0;
	int r = magic_of(dirfd, &magic, err);

	if (r || is_local(magic) || is_accepted(dirfd, magic))
		return r;
	return hps_error_set(err, HPS_E_DENIED,
			     "writing to the ledger '%s': it lies on %s (file system 0x%x), where locks and flushes cannot be relied on; keep it on a local disk and publish "
			     "'tiles/' from there, or accept the risk by 'hps-ledger init --unsafe-filesystem', which is recorded",
			     dir, name_of(magic), (unsigned)magic);
}

int hps_filesystem_accept(int dirfd, bool *ret_unsafe, struct hps_error *err)
{
	char line[16];
	uint32_t magic = 0;
	int r = magic_of(dirfd, &magic, err);

	*ret_unsafe = !r && !is_local(magic);
	if (r || !*ret_unsafe)
		return r;
	snprintf(line, sizeof line, "%08x\n", (unsigned)magic);
	return hps_file_write(dirfd, ACCEPTED, 0600, line, strlen(line), err);
}

/* An entry of its own, so that whoever reads the ledger later knows it. */
int hps_filesystem_record(struct hps_ledger *l, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = hps_statement_new(HPS_PREDICATE_NOTE);
	json_t *predicate = json_object_get(statement, "predicate");
	_cleanup_free_ char *text = NULL;
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];
	uint32_t magic = 0;
	int r = magic_of(l->dirfd, &magic, err);

	if (r)
		return r;
	text = hps_format("this ledger is written on %s (file system 0x%x) by its owner's wish: durability and locking are not promised", name_of(magic), (unsigned)magic);
	hps_digest_of(text, strlen(text), &d);
	hps_digest_hex(&d, hex);
	hps_json_set(statement, "subject", json_pack("[{s:s, s:{s:s}}]", "name", "note", "digest", "sha256", hex));
	hps_json_set_text(predicate, "text", text);
	return hps_ledger_append(l, statement, NULL, NULL, err);
}
