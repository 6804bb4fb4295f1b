/* Private header of core/: the base that every other folder may use and that uses no other folder.
 * Grouped by the file that implements it. Out of memory aborts, in alloc.c alone; every other failure is an error
 * object. Nothing here prints (but cli.c and progress.c, which exist for that) and nothing exits. */
#ifndef HPS_CORE_H
#define HPS_CORE_H

#include <dirent.h>
#include <jansson.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "hps/error.h"
#include "hps/version.h"

#define HPS_MUST __attribute__((warn_unused_result))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* ---- alloc.c: memory that is always there, and clean-up by scope ------------------------------------------------ */

void *hps_alloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));		 /* zeroed */
void *hps_realloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull, alloc_size(2, 3))); /* not zeroed */
/* Room for one item more than the n that `items` holds, doubled at powers of two: for lists that keep no capacity. */
void *hps_grow(void *items, size_t n, size_t size) __attribute__((returns_nonnull));
char *hps_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *hps_strndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *hps_format(const char *format, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

void hps_cleanup_free(void *p);
void hps_cleanup_fd(int *fd);
void hps_cleanup_file(FILE **f);
void hps_cleanup_json(json_t **j);
void hps_cleanup_error(struct hps_error *e);
#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(hps_cleanup_free)
#define _cleanup_fd_ _cleanup_(hps_cleanup_fd)
#define _cleanup_file_ _cleanup_(hps_cleanup_file)
#define _cleanup_json_ _cleanup_(hps_cleanup_json)
#define _cleanup_error_ _cleanup_(hps_cleanup_error)
#define _cleanup_buf_ _cleanup_(hps_buf_release)
#define _cleanup_strv_ _cleanup_(hps_strv_release)

/* Ownership leaves a cleaned-up variable by these alone. */
#define hps_take(p) (__extension__({ __typeof__(p) *_p = &(p); __typeof__(p) _v = *_p; *_p = NULL; _v; }))
int hps_take_fd(int *fd); /* returns *fd and leaves -1 */

/* ---- buf.c: growing bytes with a ceiling ------------------------------------------------------------------------ */

/* data is NUL-terminated whenever it is not NULL; len excludes that NUL. A buffer that input can grow names its
 * ceiling; adding beyond it adds nothing and sets `full`, which the owner checks once, at the end. */
struct hps_buf {
	char *data;
	size_t len, cap, max;
	bool full;
};
#define HPS_BUF_MAX ((size_t)1 << 30)
#define HPS_BUF_INIT { NULL, 0, 0, HPS_BUF_MAX, false }

char *hps_text_replace(const char *text, const char *old, const char *with); /* each of them; heap */
void hps_buf_init(struct hps_buf *b, size_t max);
void hps_buf_release(struct hps_buf *b);
void hps_buf_reset(struct hps_buf *b); /* empties, keeps the memory */
void hps_buf_add(struct hps_buf *b, const void *data, size_t len);
void hps_buf_addc(struct hps_buf *b, char c);
void hps_buf_adds(struct hps_buf *b, const char *s);
void hps_buf_addf(struct hps_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *hps_buf_reserve(struct hps_buf *b, size_t len); /* room for len more bytes, or NULL and `full` */
char *hps_buf_take(struct hps_buf *b);		       /* the string (never NULL); b is empty afterwards */

/* ---- strv.c: NULL-terminated lists of strings -------------------------------------------------------------------- */

struct hps_strv {
	char **v; /* NULL while n is 0; else n strings and a NULL */
	size_t n;
};
#define HPS_STRV_INIT { NULL, 0 }

void hps_strv_add(struct hps_strv *s, const char *item);
void hps_strv_addf(struct hps_strv *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hps_strv_add_take(struct hps_strv *s, char *item);
void hps_strv_sort(struct hps_strv *s); /* by byte value */
void hps_strv_release(struct hps_strv *s);

/* ---- alloc.c, again: many small things that live as long as their table ---- */

/* Taken from large chunks, zeroed, never given back one by one. Sizes are multiples of 8, or all things are texts. */
struct hps_arena {
	void *chunk;
	size_t cap, left; /* bytes of the newest chunk */
};
#define HPS_ARENA_INIT { NULL, 0, 0 }
void *hps_arena_take(struct hps_arena *a, size_t size);
void hps_arena_release(struct hps_arena *a);

/* ---- map.c: byte-string keys to pointers -------------------------------------------------------------------------- */

struct hps_map_item {
	char *key; /* owned by the map; NUL-terminated */
	void *value;
};
struct hps_map {
	struct hps_map_item *items; /* in insertion order; n of them */
	uint32_t *slots;
	size_t n, cap, n_slots;
	struct hps_arena keys;
};
#define HPS_MAP_INIT { NULL, NULL, 0, 0, 0, HPS_ARENA_INIT }

/* The place for key's value; created holding NULL when absent. Valid until the next call. */
void **hps_map_slot(struct hps_map *m, const char *key);
void **hps_map_find(const struct hps_map *m, const char *key); /* the place, or NULL when absent */
void *hps_map_get(const struct hps_map *m, const char *key);   /* the value, or NULL when absent */
const struct hps_map_item **hps_map_sorted(const struct hps_map *m); /* by their keys; heap; as long as nothing is added */
void hps_map_release(struct hps_map *m);			/* keys and table, not the values */
uint64_t hps_map_hash(const char *key);			/* for tables whose things hold their own keys */

/* ---- parse.c: outside numbers and times, whole string or error ----------------------------------------------------- */

int hps_parse_u64(const char *s, uint64_t max, uint64_t *ret) HPS_MUST; /* decimal, no sign, no leading zero; -EINVAL or -ERANGE */
int hps_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret) HPS_MUST;
int hps_parse_double(const char *s, double *ret) HPS_MUST; /* C locale; finite; -EINVAL or -ERANGE */

/* The name of a study, parameter or metric: letters, digits, '_', '-', '.' and those of `more`; begins with a letter, digit or '_'; 64 bytes. */
bool hps_name_valid(const char *name, const char *more);
#define HPS_NUMBER_MAX ((uint64_t)1 << 53) /* of a trial: what JSON can say */
#define HPS_NAME_RULE "a name has letters, digits, '_', '-' and '.'%s%s, starts with a letter or digit and has 64 at most" /* takes " and " and more */

#define HPS_TIME_LEN 31
void hps_time_format(int64_t ns, char out[HPS_TIME_LEN]); /* RFC 3339 UTC with nine digits: 2026-01-02T03:04:05.000000006Z */
int hps_time_parse(const char *s, int64_t *ret_ns) HPS_MUST;
int64_t hps_time_now_ns(void);	    /* CLOCK_REALTIME */
int64_t hps_time_monotonic_ns(void); /* CLOCK_BOOTTIME: goes on while suspended */

/* ---- escape.c: bytes as text ---------------------------------------------------------------------------------------- */

/* Paths are bytes; JSON is UTF-8. Valid UTF-8 stays as it is, a backslash becomes \\ and any other byte \xNN. */
void hps_path_escape(struct hps_buf *out, const char *path, size_t len);
json_t *hps_path_json(const char *path); /* the escaped path as a JSON string */
/* For the path of a URL: all but RFC 3986's unreserved characters and the slash as %XX. */
void hps_url_escape(struct hps_buf *out, const char *path);
int hps_path_unescape(const char *text, struct hps_buf *out, struct hps_error *err) HPS_MUST;
/* For a terminal: control, bidirectional and invalid bytes become \xNN or \u{N}; the rest stays. */
void hps_term_escape(struct hps_buf *out, const char *text, size_t len);
bool hps_is_text(const char *text, size_t len); /* UTF-8 without control characters */

void hps_hex(char *out, const void *data, size_t len); /* 2*len digits and a NUL */
int hps_unhex(void *out, size_t len, const char *hex) HPS_MUST; /* exactly 2*len lower-case digits, else -EINVAL */
void hps_base64(struct hps_buf *out, const void *data, size_t len); /* RFC 4648 section 4, padded */
/* Strict decode: padding needed, no white space, no stray bits; -EINVAL. Accepts the URL-safe alphabet if url is true. */
int hps_unbase64(struct hps_buf *out, const char *text, size_t len, bool url) HPS_MUST;

/* ---- json.c: jansson in, RFC 8785 out --------------------------------------------------------------------------------- */

#define HPS_JSON_MAX ((size_t)256 << 20)
/* Strict: one value, no duplicate names, no invalid UTF-8, no integer beyond int64. Messages give line and column. */
int hps_json_parse(const char *text, size_t len, json_t **ret, struct hps_error *err) HPS_MUST;
/* RFC 8785 (JCS) bytes. Integers beyond 2^53 are refused (HPS_E_FORMAT): they belong into strings. */
int hps_json_canonical(const json_t *value, struct hps_buf *out, struct hps_error *err) HPS_MUST;
#define HPS_DOUBLE_LEN 32
void hps_double_format(double x, char out[HPS_DOUBLE_LEN]); /* ECMAScript Number::toString; x is finite */

/* Look-ups along a path of names: hps_json_at(j, "predicate", "runDetails", NULL); NULL when any step is missing. */
const json_t *hps_json_at(const json_t *j, ...) __attribute__((sentinel));
const char *hps_json_text(const json_t *j, const char *name);	       /* a string member, or NULL */
int64_t hps_json_int(const json_t *j, const char *name, int64_t fallback); /* an integer member, or fallback */
void hps_json_set(json_t *object, const char *name, json_t *value);	    /* takes value; aborts on NULL (out of memory) */
void hps_json_set_text(json_t *object, const char *name, const char *value); /* NULL: not set */
void hps_json_set_int(json_t *object, const char *name, int64_t value);
void hps_json_set_double(json_t *object, const char *name, double x); /* as text: "0.001"; "Infinity" */
void hps_json_add(json_t *array, json_t *value);

/* ---- hash.c: SHA-256 and HMAC through EVP ------------------------------------------------------------------------------ */

#define HPS_DIGEST_LEN 32
#define HPS_DIGEST_HEX 65 /* digits and the NUL */
struct hps_digest {
	uint8_t b[HPS_DIGEST_LEN];
};
struct hps_sha256; /* a running hash */
struct hps_sha256 *hps_sha256_new(void);
void hps_sha256_reset(struct hps_sha256 *h);
void hps_sha256_update(struct hps_sha256 *h, const void *data, size_t len);
void hps_sha256_final(struct hps_sha256 *h, struct hps_digest *ret); /* then reset before the next use */
void hps_sha256_free(struct hps_sha256 *h);

void hps_digest_of(const void *data, size_t len, struct hps_digest *ret);
/* Hashes what pread() gives from offset 0 to the end; the descriptor's own offset is not moved. */
int hps_digest_fd(int fd, struct hps_digest *ret, uint64_t *ret_bytes, struct hps_error *err) HPS_MUST;
void hps_digest_hex(const struct hps_digest *d, char out[HPS_DIGEST_HEX]);
int hps_digest_parse(const char *hex, struct hps_digest *ret) HPS_MUST; /* 64 lower-case digits, else -EINVAL */
bool hps_digest_equal(const struct hps_digest *a, const struct hps_digest *b); /* constant time */
void hps_hmac(const void *key, size_t key_len, const void *data, size_t len, struct hps_digest *ret);
int hps_random(void *out, size_t len, struct hps_error *err) HPS_MUST;
/* Bytes offset to offset + len of the key stream of ChaCha20 (RFC 8439) with block counter 0 and nonce 0; below 2^38. */
void hps_stream(const uint8_t key[32], uint64_t offset, void *out, size_t len);

/* ---- sign.c: Ed25519 and P-256 keys ------------------------------------------------------------------------------------ */

enum hps_key_type { HPS_KEY_ED25519, HPS_KEY_P256 };
struct hps_key; /* a public key, with or without its private part */

int hps_key_generate(enum hps_key_type type, struct hps_key **ret, struct hps_error *err) HPS_MUST;
/* PKCS#8 PEM. With a passphrase: PBES2 with scrypt N=16384 r=8 p=8 and AES-256-CBC; NULL: in clear, mode 0600 all the same. */
int hps_key_save(const struct hps_key *key, int dirfd, const char *name, const char *passphrase, struct hps_error *err) HPS_MUST;
/* Refuses a file that another user owns or that others can read (HPS_E_DENIED). */
int hps_key_load(int dirfd, const char *name, const char *passphrase, struct hps_key **ret, struct hps_error *err) HPS_MUST;
/* SubjectPublicKeyInfo DER in and out; only the two types above are accepted. */
int hps_key_from_spki(const void *der, size_t len, struct hps_key **ret, struct hps_error *err) HPS_MUST;
int hps_key_from_ed25519(const uint8_t raw[32], struct hps_key **ret, struct hps_error *err) HPS_MUST;
void hps_key_spki(const struct hps_key *key, struct hps_buf *out);
void hps_key_raw(const struct hps_key *key, uint8_t out[32]); /* Ed25519 only: the 32 public bytes */
enum hps_key_type hps_key_type_of(const struct hps_key *key);
void hps_key_id(const struct hps_key *key, char out[HPS_DIGEST_HEX]); /* hex SHA-256 of the SPKI */
/* Ed25519: 64 bytes over data. P-256: DER ECDSA over SHA-256(data). */
int hps_key_sign(const struct hps_key *key, const void *data, size_t len, struct hps_buf *out, struct hps_error *err) HPS_MUST;
int hps_key_verify(const struct hps_key *key, const void *data, size_t len, const void *sig, size_t sig_len,
		   struct hps_error *err) HPS_MUST; /* 0 or HPS_E_SIGNATURE */
/* A key whose private part an agent or a device holds: `sign` gives what hps_key_sign() gives, and is checked. */
struct hps_signer {
	int (*sign)(void *arg, const void *data, size_t len, struct hps_buf *out, struct hps_error *err);
	void (*free)(void *arg);
};
void hps_key_delegate(struct hps_key *key, const struct hps_signer *signer, void *arg); /* takes arg */
int hps_ecdsa_der(const uint8_t *r, size_t r_len, const uint8_t *s, size_t s_len, struct hps_buf *out, struct hps_error *err) HPS_MUST;
int hps_key_read_public(int dirfd, const char *name, struct hps_key **ret, struct hps_error *err) HPS_MUST; /* SubjectPublicKeyInfo PEM */
void hps_key_free(struct hps_key *key);
void hps_cleanup_key(struct hps_key **key);
#define _cleanup_key_ _cleanup_(hps_cleanup_key)

/* ---- fs.c: files by directory descriptor --------------------------------------------------------------------------------- */

int hps_write_all(int fd, const void *data, size_t len) HPS_MUST; /* 0 or -errno; owns EINTR and short counts */
int hps_file_open_own(int dirfd, const char *path); /* for reading what we wrote before; -1 also when another user could have written it */
int hps_file_read_fd(int fd, size_t max, struct hps_buf *ret, struct hps_error *err) HPS_MUST; /* HPS_E_LIMIT beyond max */
int hps_file_read(int dirfd, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
/* The file appears whole or not at all: temporary name, write, fsync, rename, fsync of the directory. An existing file is replaced. */
int hps_file_write(int dirfd, const char *path, mode_t mode, const void *data, size_t len, struct hps_error *err) HPS_MUST;
/* Removes from a directory what that function left there when it was killed: temporary files of ours, last written before then. */
int hps_file_sweep(int dirfd, const char *path, int64_t before_ns, struct hps_error *err) HPS_MUST;
/* For what the user named, a result: so written where there is a regular file or none, behind symlinks, which stay; anything else that is
 * there (a device, a pipe) is written into and never replaced. */
int hps_file_output_check(const char *path, struct hps_error *err) HPS_MUST; /* could it be written there? Makes nothing */
int hps_file_output(const char *path, mode_t mode, const void *data, size_t len, struct hps_error *err) HPS_MUST;
int hps_dir_make(int dirfd, const char *path, mode_t mode, struct hps_error *err) HPS_MUST; /* like mkdir -p */
int hps_dir_open(int dirfd, const char *path, int *ret_fd, struct hps_error *err) HPS_MUST; /* O_DIRECTORY|O_CLOEXEC */
/* readdir(3) that says when it fails: NULL at the end, or with *r negative and err set. */
const struct dirent *hps_dir_next(DIR *d, const char *doing, int *r, struct hps_error *err);
int hps_dir_sync(int dirfd, struct hps_error *err) HPS_MUST;
int hps_dir_remove(int dirfd, const char *path, struct hps_error *err) HPS_MUST; /* the whole tree; absent is no error */
char *hps_path_absolute(const char *path); /* against the current directory; not resolved */
char *hps_fd_path(int fd);		    /* what /proc/self/fd says; NULL when it says nothing usable */

/* ---- temporary.c: folders for as long as we run ----------------------------------------------------------------------------------- */

struct hps_temporary {
	char *path; /* without a symlink in it */
	int fd;	    /* locked while its maker lives */
};
#define HPS_TEMPORARY_INIT { NULL, -1 }
/* WHERE/NAME.XXXXXX, NULL: $TMPDIR. First removes what killed runs of this user left there under names that are the same up to the first
 * dot: what is a folder with mode 700 that mkdtemp() named, and nobody has locked. */
int hps_temporary_make(const char *where, const char *name, struct hps_temporary *ret, struct hps_error *err) HPS_MUST;
void hps_temporary_remove(struct hps_temporary *t); /* with all that is in it */
#define _cleanup_temporary_ _cleanup_(hps_temporary_remove)

/* ---- pool.c: work in several threads ------------------------------------------------------------------------------------------ */

/* run() is called in any of the threads, several at once, with the thread's number; finish() in the caller's, in the order of
 * hps_pool_add(), which waits while too many are under way. Neither may add to this pool. With at most one thread everything happens in
 * hps_pool_add() itself. */
struct hps_work {
	void (*run)(void *arg, void *job, unsigned thread);
	void (*finish)(void *arg, void *job); /* the job's end: frees it */
	void *arg;
};
struct hps_pool;
unsigned hps_processors(void); /* that this process may use; at most 16 */
struct hps_pool *hps_pool_new(const struct hps_work *work, unsigned threads);
void hps_pool_add(struct hps_pool *p, void *job);
void hps_pool_finish(struct hps_pool *p); /* all that was added */
void hps_pool_free(struct hps_pool *p);	  /* the same, and the threads are gone */

/* ---- calls.c: what a rerun may ask of the kernel ------------------------------------------------------------------------------------ */

/* One table, for the sandbox that refuses and for the recorder in it, which names what was refused. Arguments as the kernel gets
 * them. filter: a scmp_filter_ctx of libseccomp, native ABI; its functions return 0 or what libseccomp did (-errno). */
#define HPS_CALL_LAST 512 /* no kernel has more calls yet */
bool hps_call_allowed(int nr, const uint64_t args[6]);
bool hps_call_conditional(int nr); /* its arguments decide */
char *hps_call_name(int nr);
int hps_calls_allow(void *filter) HPS_MUST; /* all that may be made */
int hps_calls_refuse(void *filter, uint32_t action) HPS_MUST; /* arguments of allowed calls that are not */
unsigned hps_call_capabilities(void); /* bits: over files, for a trial that root ran; all others are given up */

/* ---- objects.c, objects_sweep.c: content store, whole files by SHA-256 ---------------------------------------------------------------------- */

struct hps_objects; /* DIR/ab/cdef…, files 0444 in directories 0700 */
int hps_objects_open(int dirfd, const char *path, bool create, struct hps_objects **ret, struct hps_error *err) HPS_MUST;
void hps_objects_free(struct hps_objects *o);
bool hps_objects_has(struct hps_objects *o, const struct hps_digest *d); /* who asks is about to refer to it: it becomes young */
int hps_objects_put(struct hps_objects *o, const void *data, size_t len, struct hps_digest *ret, struct hps_error *err) HPS_MUST;
/* Stores what pread() gives from fd. `expected` not NULL: HPS_E_DAMAGED when the bytes hash to something else, and
 * nothing is stored. Durable only after hps_objects_sync(): many files then share one flush. */
int hps_objects_put_fd(struct hps_objects *o, int fd, const struct hps_digest *expected, struct hps_digest *ret,
		       uint64_t *ret_bytes, struct hps_error *err) HPS_MUST;
/* The same piece by piece, for what is too long for memory. write_end() frees the writer when it succeeds; else it is still there, and what was
 * written of it can be had back. */
struct hps_object_writer;
int hps_objects_write_begin(struct hps_objects *o, struct hps_object_writer **ret, struct hps_error *err) HPS_MUST;
int hps_objects_write(struct hps_object_writer *w, const void *data, size_t len, struct hps_error *err) HPS_MUST;
int hps_objects_write_end(struct hps_object_writer *w, struct hps_digest *ret, struct hps_error *err) HPS_MUST;
int hps_objects_write_back(struct hps_object_writer *w, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
void hps_objects_write_free(struct hps_object_writer *w);
int hps_objects_sync(struct hps_objects *o, struct hps_error *err) HPS_MUST;
/* From now on what is put has no name (and hps_objects_has() does not see it) until hps_objects_sync(), which flushes once for
 * all of it: for thousands of small files (and, of very many, now and then before). What is not synced before hps_objects_free() is thrown away. */
void hps_objects_defer(struct hps_objects *o);
/* All verify: the bytes are hashed and compared with the name before anything is returned; HPS_E_NOTFOUND, HPS_E_DAMAGED. */
int hps_objects_get(struct hps_objects *o, const struct hps_digest *d, size_t max, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
int hps_objects_read(struct hps_objects *o, const struct hps_digest *d, void *to, size_t size, struct hps_error *err) HPS_MUST; /* one of exactly that size */
int hps_objects_open_fd(struct hps_objects *o, const struct hps_digest *d, int *ret_fd, uint64_t *ret_bytes, struct hps_error *err) HPS_MUST; /* ret_bytes: or NULL */
int hps_objects_get_json(struct hps_objects *o, const struct hps_digest *d, json_t **ret, struct hps_error *err) HPS_MUST;
#define HPS_OBJECT_NAME (HPS_DIGEST_HEX + 1)
void hps_objects_name(const struct hps_digest *d, char out[HPS_OBJECT_NAME]); /* ab/cdef…, below the store's directory: */
uint64_t hps_objects_written(const struct hps_objects *o); /* bytes of new objects since it was opened; 0 of NULL */
int hps_objects_dirfd(const struct hps_objects *o);
/* Removes what `keep` does not want kept and nobody has stored or reused (which makes an object young) since a time. It may be killed
 * anywhere: what it had set aside, the next one puts back. */
struct hps_sweep_options {
	bool (*keep)(void *arg, const struct hps_digest *d);
	void *arg;
	int64_t older_than_ns; /* CLOCK_REALTIME */
	bool dry_run;	       /* only count */
};
struct hps_sweep_result {
	uint64_t n_seen, n_removed, bytes_removed;
};
int hps_objects_sweep(struct hps_objects *o, const struct hps_sweep_options *options, struct hps_sweep_result *ret, struct hps_error *err) HPS_MUST;
int hps_objects_put_json(struct hps_objects *o, const json_t *value, struct hps_digest *ret, struct hps_error *err) HPS_MUST; /* canonical */

/* ---- http.c: requests to other machines, by libcurl ------------------------------------------------------------------------------ */

/* All zero: a GET of at most 64 MiB within 60 s, certificates checked against the system's, no redirect, no proxy. URLs are
 * http://, https:// and unix:SOCKET:/PATH (HTTP over a unix socket). Safe in several threads at once. */
struct hps_http_request {
	const char *method;	    /* NULL: GET, or POST when there is a body */
	const char *const *headers; /* "Name: value", NULL at the end; NULL: none */
	const void *body;	    /* NULL: none */
	size_t body_len;
	size_t max;		    /* bytes of the answer's body */
	int64_t timeout_ns;	    /* for all of it; connecting has 10 s of that */
	unsigned redirects;	    /* how many are followed; never from https to http */
	bool proxies;		    /* use http_proxy and its kin of the environment */
	const char *ca_file;	    /* PEM; instead of the system's authorities */
	const char *sigv4, *credentials; /* "aws:amz:REGION:s3" and "ID:SECRET": signed as AWS Signature Version 4 */
};
struct hps_http_reply {
	int status;
	char *type, *etag;	/* Content-Type and ETag, or NULL */
	struct hps_buf refusal; /* the beginning of the body when status is not 2xx */
};
void hps_http_reply_release(struct hps_http_reply *r);
/* 0 whatever the status is; ret_body (emptied first) is filled when it is 2xx. HPS_E_LIMIT when the answer is larger than
 * allowed, -ETIMEDOUT, -ECONNREFUSED, -ECONNRESET, HPS_E_SIGNATURE when the server's certificate does not hold. */
int hps_http(const struct hps_http_request *request, const char *url, struct hps_buf *ret_body, struct hps_http_reply *ret,
	     struct hps_error *err) HPS_MUST;
/* A GET into a regular file that is open for writing: goes on behind what it holds when the server can, is asked again when the
 * connection breaks, and starts anew when the server sends the whole. The caller compares the result with a hash. */
int hps_http_download(const struct hps_http_request *request, const char *url, int fd, struct hps_error *err) HPS_MUST;
/* 0 for 2xx; else HPS_E_NOTFOUND (404, 410), HPS_E_DENIED (401, 403) or HPS_E_UNDECIDED, with what the server said. */
int hps_http_expect(const struct hps_http_reply *reply, const char *url, struct hps_error *err) HPS_MUST;

/* ---- cache.c: digests of earlier runs ---------------------------------------------------------------------------------------- */

/* Two looks at a file that agree in all of these saw the same content, unless it was changed within the grain of its times or
 * by a store through a mapping. */
struct hps_identity {
	dev_t dev;
	ino_t ino;
	int64_t size, mtime_ns, ctime_ns;
};
void hps_identity_of(const struct stat *s, struct hps_identity *ret);
bool hps_identity_equal(const struct hps_identity *a, const struct hps_identity *b);

struct hps_cache; /* one thread at a time */
struct hps_cached {
	struct hps_digest digest;
	bool shared_object, secret; /* what its first bytes told */
	bool draws; /* it has machine code that draws random numbers */
	bool sampled; /* of hps_cache_get(): it is there, and is to be hashed again all the same */
};
char *hps_cache_dir(void); /* $XDG_CACHE_HOME/hps; NULL: there is no home */
/* digests in it, keyed by file system, device, inode, size and both times. Never NULL: a cache that cannot
 * be read is empty, one that cannot be written is not. */
struct hps_cache *hps_cache_open(void);
/* False for what must be hashed: unknown, young, on a file system whose times say little, or picked for re-hashing. */
bool hps_cache_get(struct hps_cache *c, int fd, const struct hps_identity *id, struct hps_cached *ret);
void hps_cache_put(struct hps_cache *c, int fd, const struct hps_identity *id, const struct hps_cached *content);
void hps_cache_save(struct hps_cache *c);
void hps_cache_free(struct hps_cache *c);

/* ---- serve.c: answering HTTP, by libmicrohttpd ----------------------------------------------------------------------------------- */

struct hps_serve_request {
	const char *method, *path; /* path without query, percent-decoded unless it has %00: may hold anything */
	const char *authorization; /* that header, or NULL */
	const void *body;	   /* never NULL */
	size_t body_len;
};
struct hps_serve_reply {
	int status;	   /* 200 unless changed */
	const char *type;  /* NULL: text/plain; a literal */
	const char *cache; /* NULL: no-store; a literal */
	struct hps_buf body;
};
struct hps_serve_options {
	const char *listen; /* unix:PATH, or ADDRESS:PORT (IPv4; port 0: a free one). Without a certificate only the loopback */
	const char *certificate, *key; /* PEM files: https */
	size_t max_body;    /* 0: 1 MiB; more is answered with 413 */
	unsigned threads;   /* 0: 2 */
	mode_t socket_mode; /* 0: 0600 */
	void (*handle)(void *arg, const struct hps_serve_request *request, struct hps_serve_reply *reply); /* in several threads at once */
	void *arg;
};
struct hps_server;
/* Serves from its own threads until hps_serve_stop(); at most 256 connections, 30 s of silence each. options is copied, what it points
 * to is not. */
int hps_serve_start(const struct hps_serve_options *options, struct hps_server **ret, struct hps_error *err) HPS_MUST;
const char *hps_serve_address(const struct hps_server *s); /* to put paths behind for hps_http(): http://…:PORT, https://…, unix:PATH: */
void hps_serve_stop(struct hps_server *s);

/* ---- process.c: other programs --------------------------------------------------------------------------------------------- */

struct hps_run {
	const char *const *argv; /* argv[0] is searched in PATH unless it has a slash */
	const char *const *envp; /* NULL: ours */
	const char *cwd;	 /* NULL: ours */
	int64_t timeout_ns;	 /* 0: none; the process is killed when it has passed */
	int stop_fd;		 /* 0: none; of one whose output is captured: when something can be read there, time is up */
	size_t max_output;	 /* 0: stdout is not captured but shared */
	bool quiet;		 /* stderr to /dev/null */
};
/* Runs to the end. ret_status is the wait status; ret_output may be NULL when max_output is 0. */
int hps_run(const struct hps_run *run, struct hps_buf *ret_output, int *ret_status, struct hps_error *err) HPS_MUST;
/* Makes attributes with which a child starts with every signal at its default and none blocked, and `flags` more. */
void hps_spawn_attributes(posix_spawnattr_t *ret, short flags);
/* The program `name` beside ours (its directory from /proc/self/exe), or else `name` for a search in PATH. */
char *hps_sibling_program(const char *name);
/* The library of shim/, installed or built beside the folder of the programs; heap, NULL: it is not there. */
char *hps_shim_path(void);

/* ---- pins.c: numeric knobs ------------------------------------------------------------------------------------------------------ */

bool hps_cpu_has(const char *flags, const char *flag); /* flags: as in /proc/cpuinfo, apart by blanks */
/* The highest x86-64 psABI level of which all flags are there, and of those below: "x86-64-v3"; NULL: not even the first. */
const char *hps_cpu_level(const char *flags);
const char *hps_cpu_level_here(void);
unsigned hps_cpu_level_number(const char *name); /* 1 to 4; 0: none */
/* Add "NAME=value": variables that make libraries choose the instructions of a processor of this level, that many threads; all that makes
 * results the same on other machines (hps-record --portable). */
void hps_pins_instructions(unsigned level, struct hps_strv *ret);
void hps_pins_threads(size_t n, struct hps_strv *ret);
void hps_pins_portable(struct hps_strv *ret);

/* ---- surroundings.c: limits, niceness, processors ----------------------------------------------------------------------------------- */

json_t *hps_surroundings(void); /* of this process: docs/FORMATS.md, "Surroundings" */
typedef void hps_cannot(void *arg, const char *what, const char *why);
/* Makes them this process's; tells `cannot` of each that it may not have or that does not exist here. */
void hps_surroundings_apply(const json_t *s, hps_cannot *cannot, void *arg);

/* ---- cli.c: options, help and exit codes from one table ------------------------------------------------------------------------ */

enum hps_option_kind {
	HPS_OPT_FLAG,	 /* bool */
	HPS_OPT_STRING,	 /* const char * */
	HPS_OPT_STRINGS, /* struct hps_strv: repeatable */
	HPS_OPT_U64,	 /* uint64_t */
	HPS_OPT_I64,	 /* int64_t */
};
struct hps_option {
	const char *name;	 /* long name without dashes */
	char letter;		 /* short name, or 0 */
	enum hps_option_kind kind;
	size_t offset;		 /* of the field in the options struct */
	const char *arg;	 /* what --help calls the argument; NULL for flags */
	const char *help;	 /* one line */
	size_t given;		 /* offset + 1 of a bool that is set when the option was given; 0: none */
};
struct hps_command {
	const char *name;	 /* NULL for a program without sub-commands */
	const char *arguments;	 /* "[options] ID" */
	const char *summary;	 /* one line */
	const struct hps_option *options;
	size_t n_options;
	size_t options_size;	 /* of the options struct: zeroed before run */
	int min_args, max_args;	 /* positional; max -1: any number */
	int (*run)(void *options, int argc, char **argv, struct hps_error *err); /* exit status, or a negative code with err set */
};
struct hps_program {
	const char *name, *summary;
	const struct hps_command *commands; /* one without name, or several */
	size_t n_commands;
};
/* Parses, runs, reports and gives the exit status. Options end at "--", and at the first positional
 * argument when there may be any number of them (max_args -1: another command's words). --help and
 * --version are everywhere; an unknown option or command names the nearest known one and exits 2. At the end stdout is
 * flushed and checked. Stubs closed stdin, stdout and stderr with /dev/null first. */
int hps_main(const struct hps_program *program, int argc, char **argv);
/* Words (without NULL) nearest to `word` by edit distance, or NULL when none is near: "did you mean". */
const char *hps_nearest(const char *word, const char *const *known, size_t n);

/* Warnings and notes of a program: "name: text" on stderr. */
void hps_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The passphrase line that a descriptor gives (--key-passphrase-fd), NULL when fd is negative. Caller wipes with hps_wipe_free. */
int hps_passphrase_read(int fd, char **ret, struct hps_error *err) HPS_MUST;
void hps_wipe_free(char *secret);

/* Table on stdout: cells are escaped for a terminal, columns are aligned, numbers (right != 0) to the right. */
struct hps_table {
	struct hps_strv cells;
	size_t columns;
	uint64_t right; /* bit i: column i is right-aligned */
};
void hps_table_cell(struct hps_table *t, const char *text);
void hps_table_print(struct hps_table *t, FILE *out); /* first row is the heading; releases the cells */

/* ---- progress.c: long work, shown ---------------------------------------------------------------------------------------------- */

/* On stderr, only when it is a terminal, only after one second, five times a second at most: label, count, rate, ETA. */
struct hps_progress {
	const char *label;
	uint64_t total; /* 0: unknown */
	int64_t started_ns, shown_ns;
	bool tty;
};
void hps_progress_start(struct hps_progress *p, const char *label, uint64_t total);
void hps_progress_update(struct hps_progress *p, uint64_t done);
void hps_progress_end(struct hps_progress *p); /* clears the line */

#endif
