/* SHA-256 and HMAC by OpenSSL, which picks the SHA instructions of the CPU. Not by its EVP interface: that looks the algorithm up anew for
 * each hash, under a lock, which costs more than hashing what most of ours are of (a tree node has 65 bytes). */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/core.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

struct hps_sha256 {
	SHA256_CTX context;
};

/* A failure inside SHA-256 means that OpenSSL is unusable: nothing could be trusted from here on. */
static void must(int ok)
{
	if (!ok)
		abort();
}

struct hps_sha256 *hps_sha256_new(void)
{
	struct hps_sha256 *h = hps_alloc(sizeof *h);

	hps_sha256_reset(h);
	return h;
}

void hps_sha256_reset(struct hps_sha256 *h)
{
	must(SHA256_Init(&h->context));
}

void hps_sha256_update(struct hps_sha256 *h, const void *data, size_t len)
{
	must(SHA256_Update(&h->context, data, len));
}

void hps_sha256_final(struct hps_sha256 *h, struct hps_digest *ret)
{
	must(SHA256_Final(ret->b, &h->context));
}

void hps_sha256_free(struct hps_sha256 *h)
{
	free(h);
}

void hps_digest_of(const void *data, size_t len, struct hps_digest *ret)
{
	struct hps_sha256 h;

	hps_sha256_reset(&h);
	hps_sha256_update(&h, data, len);
	hps_sha256_final(&h, ret);
}

/* Most files are small: neither a context nor a block of memory for them. False: it is larger, or cannot be read. */
static bool digest_small(int fd, struct hps_digest *ret, uint64_t *ret_bytes)
{
	char block[16 << 10];
	ssize_t n = pread(fd, block, sizeof block, 0);

	if (n < 0 || n == sizeof block || (n > 0 && pread(fd, block + n, 1, n) != 0))
		return false;
	hps_digest_of(block, (size_t)n, ret);
	if (ret_bytes)
		*ret_bytes = (uint64_t)n;
	return true;
}

static int digest_large(int fd, struct hps_digest *ret, uint64_t *ret_bytes, struct hps_error *err)
{
	struct hps_sha256 *h = hps_sha256_new();
	_cleanup_free_ char *block = hps_alloc(256 << 10); /* fits a second-level cache; larger is not faster */
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, block, 256 << 10, at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		hps_sha256_update(h, block, (size_t)n);
		at += n;
	}
	if (n == 0) {
		hps_sha256_final(h, ret);
		if (ret_bytes)
			*ret_bytes = (uint64_t)at;
	}
	hps_sha256_free(h);
	return n == 0 ? 0 : hps_error_errno(err, "reading a file to hash it");
}

int hps_digest_fd(int fd, struct hps_digest *ret, uint64_t *ret_bytes, struct hps_error *err)
{
	return digest_small(fd, ret, ret_bytes) ? 0 : digest_large(fd, ret, ret_bytes, err);
}

void hps_digest_hex(const struct hps_digest *d, char out[HPS_DIGEST_HEX])
{
	hps_hex(out, d->b, sizeof d->b);
}

int hps_digest_parse(const char *hex, struct hps_digest *ret)
{
	return hex ? hps_unhex(ret->b, sizeof ret->b, hex) : -EINVAL;
}

bool hps_digest_equal(const struct hps_digest *a, const struct hps_digest *b)
{
	return CRYPTO_memcmp(a->b, b->b, sizeof a->b) == 0;
}

void hps_hmac(const void *key, size_t key_len, const void *data, size_t len, struct hps_digest *ret)
{
	must(HMAC(EVP_sha256(), key, (int)key_len, data, len, ret->b, NULL) != NULL);
}

int hps_random(void *out, size_t len, struct hps_error *err)
{
	uint8_t *to = out;

	while (len) {
		ssize_t n = getrandom(to, len, 0);

		if (n < 0 && errno != EINTR)
			return hps_error_errno(err, "drawing random bytes");
		if (n > 0) {
			to += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

void hps_stream(const uint8_t key[32], uint64_t offset, void *out, size_t len)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint32_t block = htole32((uint32_t)(offset / 64));
	uint8_t iv[16] = { 0 }, skipped[64] = { 0 };
	int n;

	memcpy(iv, &block, sizeof block);
	must(c && EVP_EncryptInit_ex(c, EVP_chacha20(), NULL, key, iv));
	must(EVP_EncryptUpdate(c, skipped, &n, skipped, (int)(offset % 64)));
	memset(out, 0, len);
	must(len <= INT_MAX && EVP_EncryptUpdate(c, out, &n, out, (int)len));
	EVP_CIPHER_CTX_free(c);
	explicit_bzero(skipped, sizeof skipped);
}
