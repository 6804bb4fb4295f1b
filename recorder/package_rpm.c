/* rpm's database in the SQLite form (rpm 4.16 and later: Fedora, RHEL 9, openSUSE): its index by base name finds the packages, their
 * headers have the files with digests. The older forms (Berkeley DB, ndb) are named and not read. The only file of recorder/ that knows
 * SQLite. */
#include "recorder/package.h"

#include <endian.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "recorder/identity.h"

#define HEADER_MAX ((size_t)64 << 20)
#define ENTRIES_MAX 65536u
#define PACKAGES_MAX 100000

static const char *const places[] = { "/var/lib/rpm", "/usr/lib/sysimage/rpm" };

/* ---- one header ---- */

enum { NAME, VERSION, RELEASE, EPOCH, DIGESTS, DIR_INDEXES, BASE_NAMES, DIR_NAMES, ALGORITHM, N_TAGS };
static const struct {
	uint32_t tag, type; /* type: 4 int32, 6 string, 8 array of strings */
} tags[N_TAGS] = {
	[NAME] = { 1000, 6 },	 [VERSION] = { 1001, 6 },     [RELEASE] = { 1002, 6 },	  [EPOCH] = { 1003, 4 },     [DIGESTS] = { 1035, 8 },
	[DIR_INDEXES] = { 1116, 4 }, [BASE_NAMES] = { 1117, 8 }, [DIR_NAMES] = { 1118, 8 }, [ALGORITHM] = { 5011, 4 },
};
struct field {
	const char *at; /* NULL: not there */
	size_t left;	/* bytes up to the end of the data */
	uint32_t count;
};

static uint32_t be32(const char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return be32toh(v);
}

/* The wanted entries of the index; false when the sizes contradict each other. */
static bool read_index(const char *blob, size_t len, struct field fields[N_TAGS])
{
	uint32_t n = len >= 8 ? be32(blob) : 0, data_len = n ? be32(blob + 4) : 0;
	const char *data;

	if (!n || n > ENTRIES_MAX || data_len > len || (uint64_t)8 + 16ull * n + data_len > len)
		return false;
	data = blob + 8 + 16 * (size_t)n;
	for (uint32_t i = 0; i < n; i++) {
		const char *entry = blob + 8 + 16 * (size_t)i;
		uint32_t offset = be32(entry + 8);

		for (size_t k = 0; k < N_TAGS; k++)
			if (be32(entry) == tags[k].tag && be32(entry + 4) == tags[k].type && offset < data_len && !fields[k].at)
				fields[k] = (struct field){ data + offset, data_len - offset, be32(entry + 12) };
	}
	return true;
}

/* The string at f, and f moves behind it; NULL when it does not end within the data. */
static const char *next_string(struct field *f)
{
	const char *text = f->at, *end = text && f->count ? memchr(text, '\0', f->left) : NULL;

	if (!end)
		return NULL;
	f->left -= (size_t)(end + 1 - text);
	f->at = end + 1;
	f->count--;
	return text;
}

static bool next_int(struct field *f, uint32_t *ret)
{
	if (!f->at || !f->count || f->left < 4)
		return false;
	*ret = be32(f->at);
	f->at += 4;
	f->left -= 4;
	f->count--;
	return true;
}

static char *full_name(struct field fields[N_TAGS])
{
	const char *name = next_string(&fields[NAME]), *version = next_string(&fields[VERSION]), *release = next_string(&fields[RELEASE]);
	uint32_t epoch;

	if (!name || !version || !release)
		return NULL;
	if (next_int(&fields[EPOCH], &epoch))
		return hps_format("%s %u:%s-%s", name, epoch, version, release);
	return hps_format("%s %s-%s", name, version, release);
}

/* rpm's numbers are OpenPGP's (RFC 4880, 9.4); without one it is MD5. */
static enum hps_checksum checksum_of(struct field *f)
{
	uint32_t algorithm;

	if (!next_int(f, &algorithm))
		return HPS_CHECKSUM_MD5;
	return algorithm == 1 ? HPS_CHECKSUM_MD5 : algorithm == 2 ? HPS_CHECKSUM_SHA1 : algorithm == 8 ? HPS_CHECKSUM_SHA256 : HPS_CHECKSUM_NONE;
}

static struct hps_owner *find(const struct hps_map *owners, const char *directory, const char *base)
{
	char path[4200];
	struct hps_owner *o;

	if ((size_t)snprintf(path, sizeof path, "%s%s", directory, base) >= sizeof path)
		return NULL;
	o = hps_map_get(owners, path);
	if (!o && (!strncmp(path, "/bin/", 5) || !strncmp(path, "/sbin/", 6) || !strncmp(path, "/lib", 4)) &&
	    (size_t)snprintf(path, sizeof path, "/usr%s%s", directory, base) < sizeof path)
		o = hps_map_get(owners, path);
	return o;
}

void hps_rpm_header(struct hps_map *owners, const void *blob, size_t len)
{
	struct field f[N_TAGS] = { 0 };
	_cleanup_free_ const char **directories = NULL;
	_cleanup_free_ char *name = NULL;
	const char *base, *text;
	enum hps_checksum kind;
	uint32_t n = 0, index;

	if (!read_index(blob, len, f) || !(name = full_name(f)))
		return;
	directories = hps_realloc(NULL, (f[DIR_NAMES].left < f[DIR_NAMES].count ? f[DIR_NAMES].left : f[DIR_NAMES].count) + 1, sizeof *directories);
	while ((text = next_string(&f[DIR_NAMES])))
		directories[n++] = text;
	kind = checksum_of(&f[ALGORITHM]);
	while ((base = next_string(&f[BASE_NAMES])) && next_int(&f[DIR_INDEXES], &index)) {
		const char *digest = next_string(&f[DIGESTS]);
		struct hps_owner *o = index < n ? find(owners, directories[index], base) : NULL;

		if (!o || o->package)
			continue;
		o->package = hps_strdup(name);
		o->manager = hps_package_managers[1];
		if (digest)
			hps_owner_want(o, kind, digest, strlen(digest));
	}
}

/* ---- the database ---- */

/* Its writer keeps a log beside it. A reader who may not write there can use the file alone only when that log is empty. */
static int open_database(const char *path, sqlite3 **ret)
{
	_cleanup_free_ char *log = hps_format("%s-wal", path), *plain = hps_format("file:%s?mode=ro", path), *still = hps_format("file:%s?immutable=1", path);
	struct stat s;

	for (int i = 0; i < 2; i++) {
		if (i == 1 && stat(log, &s) == 0 && s.st_size > 0)
			return SQLITE_CANTOPEN;
		if (sqlite3_open_v2(i ? still : plain, ret, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == SQLITE_OK) {
			sqlite3_db_config(*ret, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
			sqlite3_db_config(*ret, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
			sqlite3_limit(*ret, SQLITE_LIMIT_LENGTH, HEADER_MAX);
			if (sqlite3_exec(*ret, "SELECT hnum FROM Packages LIMIT 1", NULL, NULL, NULL) == SQLITE_OK)
				return SQLITE_OK;
		}
		sqlite3_close(*ret);
		*ret = NULL;
	}
	return SQLITE_CANTOPEN;
}

/* Packages with a file of one of the wanted base names, each once: keys of ret are their numbers. */
static int candidates(sqlite3 *db, const struct hps_map *owners, struct hps_map *ret)
{
	sqlite3_stmt *query = NULL;
	int r = sqlite3_prepare_v2(db, "SELECT hnum FROM Basenames WHERE key = ?1", -1, &query, NULL);

	for (size_t i = 0; r == SQLITE_OK && i < owners->n; i++) {
		const char *base = strrchr(owners->items[i].key, '/');

		if (!base || ((const struct hps_owner *)owners->items[i].value)->package)
			continue;
		sqlite3_bind_text(query, 1, base + 1, -1, SQLITE_STATIC);
		while (sqlite3_step(query) == SQLITE_ROW && ret->n < PACKAGES_MAX) {
			const char *number = (const char *)sqlite3_column_text(query, 0);

			(void)hps_map_slot(ret, number ? number : "");
		}
		r = sqlite3_reset(query);
	}
	sqlite3_finalize(query);
	return r;
}

static int read_headers(sqlite3 *db, struct hps_map *owners, const struct hps_map *numbers)
{
	sqlite3_stmt *query = NULL;
	int r = sqlite3_prepare_v2(db, "SELECT blob FROM Packages WHERE hnum = ?1", -1, &query, NULL);

	for (size_t i = 0; r == SQLITE_OK && i < numbers->n; i++) {
		int64_t number;

		if (hps_parse_i64(numbers->items[i].key, 0, INT64_MAX, &number))
			continue;
		sqlite3_bind_int64(query, 1, number);
		if (sqlite3_step(query) == SQLITE_ROW && sqlite3_column_type(query, 0) == SQLITE_BLOB)
			hps_rpm_header(owners, sqlite3_column_blob(query, 0), (size_t)sqlite3_column_bytes(query, 0));
		r = sqlite3_reset(query);
	}
	sqlite3_finalize(query);
	return r;
}

static int read_database(const char *path, struct hps_map *owners)
{
	struct hps_map numbers = HPS_MAP_INIT;
	sqlite3 *db = NULL;
	int r = open_database(path, &db);

	if (r == SQLITE_OK)
		r = candidates(db, owners, &numbers);
	if (r == SQLITE_OK)
		r = read_headers(db, owners, &numbers);
	hps_map_release(&numbers);
	sqlite3_close(db);
	return r;
}

/* A database in a form that is not read here is not "no owner": say so. */
static bool older_form(const char *root, const char *place, json_t *rows)
{
	static const char *const names[] = { "Packages", "Packages.db" };
	struct stat s;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = hps_format("%s%s/%s", root, place, names[i]);

		if (stat(path, &s))
			continue;
		hps_identity_missing(rows, "packages.rpm", i ? "the database is in rpm's ndb form, which is not read" : "the database is in the Berkeley DB form, which is not read");
		return true;
	}
	return false;
}

int hps_rpm_find(const char *root, struct hps_map *owners, json_t *rows)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_cleanup_free_ char *path = hps_format("%s%s/rpmdb.sqlite", root, places[i]);
		struct stat s;
		int r;

		if (stat(path, &s)) {
			if (older_form(root, places[i], rows))
				return -EIO;
			continue;
		}
		r = read_database(path, owners);
		if (r == SQLITE_OK)
			return 0;
		hps_identity_missing(rows, "packages.rpm", sqlite3_errstr(r));
		return -EIO;
	}
	return -ENOENT;
}
