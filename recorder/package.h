/* Private header of the packages: which package a file came from, and whether it still is what the package brought. One file a
 * database, all of them filling the same table of owners. `root` is a prefix of every path that is read ("" for this machine's
 * own; tests give a made-up tree); keys of the tables are paths without it. Databases are read as foreign input: bounded, and
 * what cannot be understood owns nothing. */
#ifndef HPS_RECORDER_PACKAGE_H
#define HPS_RECORDER_PACKAGE_H

#include "core/core.h"

/* ---- package.c: all databases, and the comparison ---- */

enum hps_checksum { HPS_CHECKSUM_NONE, HPS_CHECKSUM_MD5, HPS_CHECKSUM_SHA1, HPS_CHECKSUM_SHA256 };
enum hps_pristine { HPS_PRISTINE_UNKNOWN, HPS_PRISTINE_YES, HPS_PRISTINE_NO };
struct hps_owner {
	bool hashed;		  /* `content` is known: what the trial got */
	bool system;		  /* where the system's packages put files: their databases are asked */
	bool summed;		  /* `md5` of the content is known */
	struct hps_digest content;
	uint8_t md5[16];
	char *package;		  /* "name version", heap; NULL: nobody's, or not known yet */
	const char *manager;	  /* of hps_package_managers */
	enum hps_checksum kind;   /* of `want`: what the package says that the file holds */
	uint8_t want[32];
	enum hps_pristine pristine;
};
/* Tables of owners: keys are absolute paths without symlinks, values struct hps_owner *, made by hps_owner_slot(). */
struct hps_owner *hps_owner_slot(struct hps_map *owners, const char *path);
void hps_owners_release(struct hps_map *owners);

extern const char *const hps_package_managers[]; /* NULL-terminated: "dpkg", "rpm", "apk", "conda", "wheel" */
bool hps_package_restores(const char *manager); /* a system package: its files need not be stored */
const char *hps_package_manager(const char *name); /* the name of the table, or NULL */

/* Asks each database of the system below root for the owners that are not known. -ENOENT: there is none. `why` becomes a row for each database
 * that is there and cannot be read. */
int hps_packages_find(const char *root, struct hps_map *owners, json_t *rows);
/* Sets `pristine` where package and content are known: by the recorded digest when the package has SHA-256, by the MD5 when that is known, else by reading the file once more, on
 * all cores, for at most limit_ns. The bytes must still be the recorded ones. */
void hps_packages_check(const char *root, struct hps_map *owners, int64_t limit_ns);
/* Parses the hex digest of `kind`; true when it is one. */
bool hps_owner_want(struct hps_owner *o, enum hps_checksum kind, const char *hex, size_t len);

/* ---- owners.c: the system's packages, remembered ---- */

/* hps_packages_find() and _check() for the owners with `system`, through a cache in cache_dir (-1: none) that a changed database voids. */
int hps_owners_find(int cache_dir, const char *root, struct hps_map *owners, json_t *rows);

/* ---- package_dpkg.c ---- */
struct hps_dpkg {
	struct hps_map diverted;   /* path -> "to\0by", heap */
	struct hps_map packages;   /* "name:arch" or "name" of a list -> 1: owns something that is asked for */
};
int hps_dpkg_find(const char *root, struct hps_map *owners, json_t *rows);
/* Its parsers, each over one file's text, which they cut at line ends. */
void hps_dpkg_diversions(struct hps_dpkg *d, char *text);
void hps_dpkg_list(const struct hps_dpkg *d, struct hps_map *owners, char *text, const char *package); /* info/<package>.list */
/* info/<package>.md5sums. claims: there is no list, these lines tell the owner as well. */
void hps_dpkg_md5sums(const struct hps_dpkg *d, struct hps_map *owners, char *text, const char *package, bool claims);
void hps_dpkg_status(const struct hps_dpkg *d, struct hps_map *owners, struct hps_map *versions, char *text); /* versions and conffiles */
void hps_dpkg_release(struct hps_dpkg *d);

/* ---- package_rpm.c: rpmdb.sqlite ---- */
int hps_rpm_find(const char *root, struct hps_map *owners, json_t *rows);
/* One package's header as the database has it: index and data, big-endian (rpm 4.18, "RPM v4 header format", without magic). */
void hps_rpm_header(struct hps_map *owners, const void *blob, size_t len);

/* ---- package_apk.c: lib/apk/db/installed ---- */
int hps_apk_find(const char *root, struct hps_map *owners, json_t *rows);
void hps_apk_installed(struct hps_map *owners, char *text);

/* ---- package_conda.c: <prefix>/conda-meta/<package>.json ---- */
/* Only for prefixes that a path lies in. */
void hps_conda_find(const char *root, struct hps_map *owners);
void hps_conda_package(struct hps_map *owners, const char *prefix, const char *text, size_t len);

#endif
