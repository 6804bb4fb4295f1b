/* Packages of the system: asks each database there is, then compares files with what their packages say. */
#include "recorder/package.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_THREADS 16
#define BLOCK (256 << 10)

const char *const hps_package_managers[] = { "dpkg", "rpm", "apk", "conda", "wheel", NULL };

static int (*const databases[])(const char *root, struct hps_map *owners, json_t *rows) = { hps_dpkg_find, hps_rpm_find, hps_apk_find };

const char *hps_package_manager(const char *name)
{
	for (size_t i = 0; hps_package_managers[i]; i++)
		if (!strcmp(hps_package_managers[i], name))
			return hps_package_managers[i];
	return NULL;
}

bool hps_package_restores(const char *manager)
{
	return manager && strcmp(manager, "conda") != 0 && strcmp(manager, "wheel") != 0;
}

struct hps_owner *hps_owner_slot(struct hps_map *owners, const char *path)
{
	void **slot = hps_map_slot(owners, path);

	if (!*slot)
		*slot = hps_alloc(sizeof(struct hps_owner));
	return *slot;
}

void hps_owners_release(struct hps_map *owners)
{
	for (size_t i = 0; i < owners->n; i++) {
		struct hps_owner *o = owners->items[i].value;

		free(o->package);
		free(o);
	}
	hps_map_release(owners);
}

int hps_packages_find(const char *root, struct hps_map *owners, json_t *rows)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_SIZE(databases); i++)
		any |= databases[i](root, owners, rows) != -ENOENT;
	return any ? 0 : -ENOENT;
}

/* ---- the comparison ---- */

static const size_t lengths[] = { 0, 16, 20, 32 };

bool hps_owner_want(struct hps_owner *o, enum hps_checksum kind, const char *hex, size_t len)
{
	char digits[65];
	uint8_t want[32];

	if (kind == HPS_CHECKSUM_NONE || len != 2 * lengths[kind])
		return false;
	for (size_t i = 0; i < len; i++)
		digits[i] = hex[i] >= 'A' && hex[i] <= 'F' ? (char)(hex[i] + 32) : hex[i];
	digits[len] = '\0';
	if (hps_unhex(want, lengths[kind], digits))
		return false;
	memcpy(o->want, want, lengths[kind]);
	o->kind = kind;
	return true;
}

struct check {
	const char *root;
	struct hps_map *owners;
	int64_t deadline_ns;
	atomic_size_t next;
};

/* SHA-256 and the package's own checksum of fd in one pass; 0 or -1. */
static int hash_both(int fd, enum hps_checksum kind, char *block, struct hps_digest *ret_content, uint8_t ret_other[EVP_MAX_MD_SIZE])
{
	EVP_MD_CTX *own = EVP_MD_CTX_new(), *other = EVP_MD_CTX_new();
	bool good = own && other && EVP_DigestInit_ex(own, EVP_sha256(), NULL) && EVP_DigestInit_ex(other, kind == HPS_CHECKSUM_MD5 ? EVP_md5() : EVP_sha1(), NULL);
	ssize_t n = 0;

	for (off_t at = 0; good && (n = pread(fd, block, BLOCK, at)) > 0; at += n)
		good = EVP_DigestUpdate(own, block, (size_t)n) && EVP_DigestUpdate(other, block, (size_t)n);
	good = good && n == 0 && EVP_DigestFinal_ex(own, ret_content->b, NULL) && EVP_DigestFinal_ex(other, ret_other, NULL);
	EVP_MD_CTX_free(own);
	EVP_MD_CTX_free(other);
	return good ? 0 : -1;
}

static void check_by_reading(const char *root, const char *path, struct hps_owner *o, char *block)
{
	_cleanup_free_ char *full = hps_format("%s%s", root, path);
	_cleanup_fd_ int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint8_t other[EVP_MAX_MD_SIZE];
	struct hps_digest content;

	if (fd < 0 || hash_both(fd, o->kind, block, &content, other) || !hps_digest_equal(&content, &o->content))
		return; /* gone, or another content by now: nothing can be said of what the trial got */
	o->pristine = memcmp(other, o->want, lengths[o->kind]) ? HPS_PRISTINE_NO : HPS_PRISTINE_YES;
}

static void *check_some(void *arg)
{
	struct check *c = arg;
	char *block = hps_alloc(BLOCK);
	size_t i;

	while ((i = atomic_fetch_add(&c->next, 1)) < c->owners->n) {
		struct hps_owner *o = c->owners->items[i].value;

		if (!o->package || !o->hashed || o->kind == HPS_CHECKSUM_NONE || o->pristine != HPS_PRISTINE_UNKNOWN)
			continue;
		if (o->kind == HPS_CHECKSUM_SHA256)
			o->pristine = memcmp(o->content.b, o->want, sizeof o->want) ? HPS_PRISTINE_NO : HPS_PRISTINE_YES;
		else if (o->kind == HPS_CHECKSUM_MD5 && o->summed)
			o->pristine = memcmp(o->md5, o->want, sizeof o->md5) ? HPS_PRISTINE_NO : HPS_PRISTINE_YES;
		else if (hps_time_monotonic_ns() < c->deadline_ns)
			check_by_reading(c->root, c->owners->items[i].key, o, block);
	}
	free(block);
	return NULL;
}

void hps_packages_check(const char *root, struct hps_map *owners, int64_t limit_ns)
{
	struct check c = { .root = root, .owners = owners, .deadline_ns = hps_time_monotonic_ns() + limit_ns };
	pthread_t threads[MAX_THREADS];
	size_t n = 0, want = 1;
	cpu_set_t cores;

	if (sched_getaffinity(0, sizeof cores, &cores) == 0)
		want = (size_t)CPU_COUNT(&cores);
	while (n + 1 < want && n < MAX_THREADS && n < owners->n / 8 && pthread_create(&threads[n], NULL, check_some, &c) == 0)
		n++;
	check_some(&c);
	while (n)
		pthread_join(threads[--n], NULL);
}
