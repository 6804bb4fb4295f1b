/* Ed25519 and P-256 keys: PKCS#8 files in, signatures out; nothing is negotiated. */
#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* scrypt cost of a key file: what OpenSSL 3.0 opens without a raised memory limit (32 MiB at N=16384, r=8); p grows instead. */
enum { SCRYPT_N = 16384, SCRYPT_R = 8, SCRYPT_P = 8 };
#define KEY_FILE_MAX 16384

struct hps_key {
	EVP_PKEY *pkey;
	enum hps_key_type type;
	struct hps_buf spki; /* kept: OpenSSL's encoder takes longer than a signature */
	char id[HPS_DIGEST_HEX];
	const struct hps_signer *signer; /* the private part lives elsewhere */
	void *signer_arg;
	_Atomic(EVP_MD_CTX *) signing, verifying; /* as they are before the first byte; made when first needed */
};

static int openssl_error(struct hps_error *err, int code, const char *doing)
{
	unsigned long e = ERR_peek_last_error();
	char text[256] = "unknown reason";

	if (e)
		ERR_error_string_n(e, text, sizeof text);
	ERR_clear_error();
	return hps_error_set(err, code, "%s: %s", doing, text);
}

static void fill_spki(struct hps_key *key)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key->pkey, &der);
	struct hps_digest d;

	if (len <= 0)
		abort();
	hps_buf_init(&key->spki, HPS_BUF_MAX);
	hps_buf_add(&key->spki, der, (size_t)len);
	OPENSSL_free(der);
	hps_digest_of(key->spki.data, key->spki.len, &d);
	hps_digest_hex(&d, key->id);
}

/* Takes pkey; refuses every type but ours. */
static int wrap(EVP_PKEY *pkey, struct hps_key **ret, struct hps_error *err)
{
	char group[32] = "";
	struct hps_key *key;
	enum hps_key_type type;

	if (EVP_PKEY_is_a(pkey, "ED25519")) {
		type = HPS_KEY_ED25519;
	} else if (EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) && !strcmp(group, "prime256v1")) {
		type = HPS_KEY_P256;
	} else {
		EVP_PKEY_free(pkey);
		return hps_error_set(err, HPS_E_FORMAT, "reading a key: it is neither Ed25519 nor P-256");
	}
	key = hps_alloc(sizeof *key);
	key->pkey = pkey;
	key->type = type;
	fill_spki(key);
	*ret = key;
	return 0;
}

int hps_key_generate(enum hps_key_type type, struct hps_key **ret, struct hps_error *err)
{
	EVP_PKEY *pkey = type == HPS_KEY_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	if (!pkey)
		return openssl_error(err, HPS_E_UNDECIDED, "generating a key");
	return wrap(pkey, ret, err);
}

static int encrypt(PKCS8_PRIV_KEY_INFO *info, const char *passphrase, X509_SIG **ret, struct hps_error *err)
{
	X509_ALGOR *algorithm = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 0, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);

	if (!algorithm)
		return openssl_error(err, HPS_E_UNDECIDED, "encrypting a key");
	*ret = PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), info, algorithm);
	if (*ret)
		return 0;
	X509_ALGOR_free(algorithm);
	return openssl_error(err, HPS_E_UNDECIDED, "encrypting a key");
}

int hps_key_save(const struct hps_key *key, int dirfd, const char *name, const char *passphrase, struct hps_error *err)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->pkey);
	BIO *memory = BIO_new(BIO_s_secmem());
	X509_SIG *sealed = NULL;
	char *text;
	long len;
	int r = 0;

	if (!info || !memory)
		abort();
	if (passphrase)
		r = encrypt(info, passphrase, &sealed, err);
	if (!r && !(sealed ? PEM_write_bio_PKCS8(memory, sealed) : PEM_write_bio_PKCS8_PRIV_KEY_INFO(memory, info)))
		r = openssl_error(err, HPS_E_UNDECIDED, "writing a key");
	if (!r) {
		len = BIO_get_mem_data(memory, &text);
		r = hps_file_write(dirfd, name, 0600, text, (size_t)len, err);
	}
	X509_SIG_free(sealed);
	PKCS8_PRIV_KEY_INFO_free(info);
	BIO_free(memory);
	return r;
}

/* The passphrase for PEM_read_*: 0 (none given) makes an encrypted file fail instead of asking the terminal. */
static int give_passphrase(char *out, int size, int writing, void *passphrase)
{
	size_t len = passphrase ? strlen(passphrase) : 0;

	(void)writing;
	if (!len || len > (size_t)size)
		return passphrase && !len ? 0 : -1;
	memcpy(out, passphrase, len);
	return (int)len;
}

static int open_private(int dirfd, const char *name, int *ret_fd, struct hps_error *err)
{
	_cleanup_fd_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat s;

	if (fd < 0 || fstat(fd, &s))
		return hps_error_errno(err, "opening the key '%s'", name);
	if (!S_ISREG(s.st_mode) || s.st_uid != geteuid())
		return hps_error_set(err, HPS_E_DENIED, "opening the key '%s': it is not a regular file of the current user", name);
	if (s.st_mode & 077)
		return hps_error_set(err, HPS_E_DENIED, "opening the key '%s': others may read it (mode %04o); chmod 600 it, and replace the key if they did",
				     name, (unsigned)s.st_mode & 07777);
	*ret_fd = hps_take_fd(&fd);
	return 0;
}

int hps_key_load(int dirfd, const char *name, const char *passphrase, struct hps_key **ret, struct hps_error *err)
{
	struct hps_buf text;
	EVP_PKEY *pkey = NULL;
	_cleanup_fd_ int fd = -1;
	bool sealed = false;
	BIO *memory;
	int r = open_private(dirfd, name, &fd, err);

	if (r)
		return r;
	hps_buf_init(&text, KEY_FILE_MAX);
	r = hps_file_read_fd(fd, KEY_FILE_MAX, &text, err);
	if (!r) {
		sealed = text.len && strstr(text.data, "ENCRYPTED PRIVATE KEY");
		memory = BIO_new_mem_buf(text.data ? text.data : "", (int)text.len);
		if (!memory)
			abort();
		pkey = PEM_read_bio_PrivateKey(memory, NULL, give_passphrase, (void *)(uintptr_t)passphrase);
		BIO_free(memory);
		if (!pkey && sealed)
			r = hps_error_set(err, HPS_E_DENIED, "opening the key '%s': %s", name,
					  passphrase ? "the passphrase does not open it" : "it needs a passphrase; give it with --key-passphrase-fd");
		else if (!pkey)
			r = hps_error_set(err, HPS_E_FORMAT, "opening the key '%s': there is no whole private key in it (PEM, PKCS#8); put back a copy, nothing else makes it again", name);
		ERR_clear_error();
	}
	if (text.data)
		explicit_bzero(text.data, text.cap);
	hps_buf_release(&text);
	return r ? r : wrap(pkey, ret, err);
}

int hps_key_from_spki(const void *der, size_t len, struct hps_key **ret, struct hps_error *err)
{
	const unsigned char *at = der, *end = at + len;
	EVP_PKEY *pkey = len <= KEY_FILE_MAX ? d2i_PUBKEY(NULL, &at, (long)len) : NULL;
	struct hps_key *key;
	int r;

	if (!pkey || at != end) {
		EVP_PKEY_free(pkey);
		return openssl_error(err, HPS_E_FORMAT, "reading a public key");
	}
	r = wrap(pkey, &key, err);
	if (r)
		return r;
	/* A point can be spelled in several ways; a key id stands for the bytes of one. */
	if (key->spki.len != len || memcmp(key->spki.data, der, len) != 0) {
		hps_key_free(key);
		return hps_error_set(err, HPS_E_FORMAT, "reading a public key: it is not in its usual encoding");
	}
	*ret = key;
	return 0;
}

int hps_key_from_ed25519(const uint8_t raw[32], struct hps_key **ret, struct hps_error *err)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, 32);

	if (!pkey)
		return openssl_error(err, HPS_E_FORMAT, "reading an Ed25519 key");
	return wrap(pkey, ret, err);
}

void hps_key_spki(const struct hps_key *key, struct hps_buf *out)
{
	hps_buf_add(out, key->spki.data, key->spki.len);
}

void hps_key_raw(const struct hps_key *key, uint8_t out[32])
{
	size_t len = 32;

	if (EVP_PKEY_get_raw_public_key(key->pkey, out, &len) != 1 || len != 32)
		abort();
}

enum hps_key_type hps_key_type_of(const struct hps_key *key)
{
	return key->type;
}

void hps_key_id(const struct hps_key *key, char out[HPS_DIGEST_HEX])
{
	memcpy(out, key->id, HPS_DIGEST_HEX);
}

/* Ed25519 hashes by itself and takes no digest name; P-256 signs SHA-256. */
static const char *digest_name(const struct hps_key *key)
{
	return key->type == HPS_KEY_P256 ? "SHA256" : NULL;
}

typedef int init_fn(EVP_MD_CTX *, EVP_PKEY_CTX **, const char *, OSSL_LIB_CTX *, const char *, EVP_PKEY *, const OSSL_PARAM *);

/* A context of one's own, copied from one that is kept: OpenSSL looks the algorithms up under a lock each time that one is made anew. */
static EVP_MD_CTX *begin(const struct hps_key *key, _Atomic(EVP_MD_CTX *) *kept, init_fn *init)
{
	EVP_MD_CTX *ret = EVP_MD_CTX_new(), *first = atomic_load(kept), *before = NULL;

	if (!first) {
		first = EVP_MD_CTX_new();
		if (!first || init(first, NULL, digest_name(key), NULL, NULL, key->pkey, NULL) != 1) {
			EVP_MD_CTX_free(first);
			EVP_MD_CTX_free(ret);
			return NULL;
		}
		if (!atomic_compare_exchange_strong(kept, &before, first)) { /* another thread was faster */
			EVP_MD_CTX_free(first);
			first = before;
		}
	}
	if (ret && EVP_MD_CTX_copy_ex(ret, first) == 1)
		return ret;
	EVP_MD_CTX_free(ret);
	return NULL;
}

static _Atomic(EVP_MD_CTX *) *kept(_Atomic(EVP_MD_CTX *) const *member)
{
	return (_Atomic(EVP_MD_CTX *) *)(uintptr_t)member; /* which changes nothing that a caller can see */
}

static int sign_here(const struct hps_key *key, const void *data, size_t len, struct hps_buf *out, struct hps_error *err)
{
	EVP_MD_CTX *context = begin(key, kept(&key->signing), EVP_DigestSignInit_ex);
	unsigned char sig[128]; /* a P-256 DER signature has at most 72 bytes */
	size_t sig_len = sizeof sig;
	int ok = context && EVP_DigestSign(context, sig, &sig_len, data, len) == 1;

	EVP_MD_CTX_free(context);
	if (!ok)
		return openssl_error(err, HPS_E_UNDECIDED, "signing");
	hps_buf_add(out, sig, sig_len);
	return 0;
}

void hps_key_delegate(struct hps_key *key, const struct hps_signer *signer, void *arg)
{
	key->signer = signer;
	key->signer_arg = arg;
}

/* What comes from elsewhere is checked: a signature that does not verify would be in the ledger for good. */
static int sign_elsewhere(const struct hps_key *key, const void *data, size_t len, struct hps_buf *out, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf sig = HPS_BUF_INIT;
	int r = key->signer->sign(key->signer_arg, data, len, &sig, err);

	if (!r)
		r = hps_key_verify(key, data, len, sig.data, sig.len, err);
	if (!r)
		hps_buf_add(out, sig.data, sig.len);
	return r;
}

/* The raw form (r || s) that devices give, as DER. */
int hps_ecdsa_der(const uint8_t *r, size_t r_len, const uint8_t *s, size_t s_len, struct hps_buf *out, struct hps_error *err)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *a = BN_bin2bn(r, (int)r_len, NULL), *b = BN_bin2bn(s, (int)s_len, NULL);
	unsigned char *der = NULL;
	int len;

	if (!sig || !a || !b || !ECDSA_SIG_set0(sig, a, b))
		abort();
	len = i2d_ECDSA_SIG(sig, &der);
	ECDSA_SIG_free(sig);
	if (len <= 0)
		return openssl_error(err, HPS_E_FORMAT, "encoding a signature");
	hps_buf_add(out, der, (size_t)len);
	OPENSSL_free(der);
	return 0;
}

int hps_key_read_public(int dirfd, const char *name, struct hps_key **ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, spki = HPS_BUF_INIT;
	EVP_PKEY *pkey;
	BIO *memory;
	int r = hps_file_read(dirfd, name, KEY_FILE_MAX, &text, err);

	if (r)
		return r;
	memory = BIO_new_mem_buf(text.data ? text.data : "", (int)text.len);
	if (!memory)
		abort();
	pkey = PEM_read_bio_PUBKEY(memory, NULL, NULL, NULL);
	BIO_free(memory);
	if (!pkey) {
		ERR_clear_error();
		return hps_error_set(err, HPS_E_FORMAT, "reading the public key '%s': it is not a public key in PEM", name);
	}
	return wrap(pkey, ret, err);
}

int hps_key_sign(const struct hps_key *key, const void *data, size_t len, struct hps_buf *out, struct hps_error *err)
{
	if (key->signer)
		return sign_elsewhere(key, data, len, out, err);
	return sign_here(key, data, len, out, err);
}

int hps_key_verify(const struct hps_key *key, const void *data, size_t len, const void *sig, size_t sig_len, struct hps_error *err)
{
	EVP_MD_CTX *context = begin(key, kept(&key->verifying), EVP_DigestVerifyInit_ex);
	int ok = context && EVP_DigestVerify(context, sig, sig_len, data, len) == 1;

	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return ok ? 0 : hps_error_set(err, HPS_E_SIGNATURE, "verifying a signature: it does not fit the data and the key");
}

void hps_key_free(struct hps_key *key)
{
	if (!key)
		return;
	if (key->signer && key->signer->free)
		key->signer->free(key->signer_arg);
	EVP_MD_CTX_free(key->signing);
	EVP_MD_CTX_free(key->verifying);
	EVP_PKEY_free(key->pkey);
	hps_buf_release(&key->spki);
	free(key);
}

void hps_cleanup_key(struct hps_key **key)
{
	hps_key_free(*key);
}
