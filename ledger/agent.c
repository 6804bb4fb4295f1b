/* Keys in an ssh-agent (draft-miller-ssh-agent): finding one by its public part, and having data signed. */
#include "ledger/ledger.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX ((size_t)1 << 20)
#define TIMEOUT_S 60 /* a person may have to confirm */

enum { REQUEST_IDENTITIES = 11, IDENTITIES = 12, SIGN_REQUEST = 13, SIGN_RESPONSE = 14 };

struct agent {
	char *socket;
	struct hps_buf blob; /* the key, in SSH's form */
	enum hps_key_type type;
};

static void free_agent(void *arg)
{
	struct agent *a = arg;

	free(a->socket);
	hps_buf_release(&a->blob);
	free(a);
}

/* ---- the wire ---- */

static void put_u32(struct hps_buf *b, size_t n)
{
	uint32_t big = htobe32((uint32_t)n);

	hps_buf_add(b, &big, sizeof big);
}

static void put_string(struct hps_buf *b, const void *data, size_t len)
{
	put_u32(b, len);
	hps_buf_add(b, data, len);
}

struct cursor {
	const uint8_t *at, *end;
};

static bool take_string(struct cursor *c, const uint8_t **ret, size_t *ret_len)
{
	uint32_t big;

	if ((size_t)(c->end - c->at) < sizeof big)
		return false;
	memcpy(&big, c->at, sizeof big);
	*ret_len = be32toh(big);
	if ((size_t)(c->end - c->at) - sizeof big < *ret_len)
		return false;
	*ret = c->at + sizeof big;
	c->at = *ret + *ret_len;
	return true;
}

static int read_all(int fd, void *out, size_t len)
{
	uint8_t *at = out;

	while (len) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int dial(const char *path, struct hps_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = TIMEOUT_S };
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!path || !*path || strlen(path) >= sizeof address.sun_path)
		return hps_error_set(err, HPS_E_NOTFOUND, "asking the ssh-agent: SSH_AUTH_SOCK names none");
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) || connect(fd, (struct sockaddr *)&address, sizeof address))
		return hps_error_errno(err, "asking the ssh-agent at '%s'", path);
	return hps_take_fd(&fd);
}

/* One message there, one back; the answer's type must be `wanted`. */
static int exchange(const char *socket, const struct hps_buf *message, uint8_t wanted, struct hps_buf *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf framed = HPS_BUF_INIT;
	_cleanup_fd_ int fd = dial(socket, err);
	uint32_t big;
	int r;

	if (fd < 0)
		return fd;
	put_string(&framed, message->data, message->len);
	r = hps_write_all(fd, framed.data, framed.len);
	if (!r)
		r = read_all(fd, &big, sizeof big);
	if (!r && (be32toh(big) < 1 || be32toh(big) > MESSAGE_MAX))
		r = -EPROTO;
	if (!r)
		r = read_all(fd, hps_buf_reserve(ret, be32toh(big)), be32toh(big));
	if (r) {
		errno = -r;
		return hps_error_errno(err, "asking the ssh-agent at '%s'", socket);
	}
	ret->len = be32toh(big);
	if ((uint8_t)ret->data[0] != wanted)
		return hps_error_set(err, HPS_E_DENIED, "asking the ssh-agent at '%s': it refuses; is the key loaded, and was it confirmed?", socket);
	return 0;
}

/* ---- keys ---- */

static void blob_of(const struct hps_key *key, struct hps_buf *out)
{
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT;
	uint8_t raw[32];

	if (hps_key_type_of(key) == HPS_KEY_ED25519) {
		hps_key_raw(key, raw);
		put_string(out, "ssh-ed25519", 11);
		put_string(out, raw, sizeof raw);
		return;
	}
	hps_key_spki(key, &spki);
	put_string(out, "ecdsa-sha2-nistp256", 19);
	put_string(out, "nistp256", 8);
	put_string(out, spki.data + spki.len - 65, 65); /* the point is what a P-256 SPKI ends in */
}

static int decode_signature(const struct agent *a, const uint8_t *blob, size_t len, struct hps_buf *out, struct hps_error *err)
{
	struct cursor c = { blob, blob + len }, pair;
	const uint8_t *name, *sig, *r, *s;
	size_t name_len, sig_len, r_len, s_len;

	if (!take_string(&c, &name, &name_len) || !take_string(&c, &sig, &sig_len))
		return hps_error_set(err, HPS_E_FORMAT, "asking the ssh-agent: its signature is malformed");
	if (a->type == HPS_KEY_ED25519) {
		hps_buf_add(out, sig, sig_len);
		return 0;
	}
	pair = (struct cursor){ sig, sig + sig_len };
	if (!take_string(&pair, &r, &r_len) || !take_string(&pair, &s, &s_len) || r_len > 33 || s_len > 33)
		return hps_error_set(err, HPS_E_FORMAT, "asking the ssh-agent: its signature is malformed");
	return hps_ecdsa_der(r, r_len, s, s_len, out, err);
}

static int sign(void *arg, const void *data, size_t len, struct hps_buf *out, struct hps_error *err)
{
	const struct agent *a = arg;
	_cleanup_buf_ struct hps_buf message = HPS_BUF_INIT, reply = HPS_BUF_INIT;
	struct cursor c;
	const uint8_t *blob;
	size_t blob_len;
	int r;

	hps_buf_addc(&message, SIGN_REQUEST);
	put_string(&message, a->blob.data, a->blob.len);
	put_string(&message, data, len);
	put_u32(&message, 0);
	r = exchange(a->socket, &message, SIGN_RESPONSE, &reply, err);
	if (r)
		return r;
	c = (struct cursor){ (const uint8_t *)reply.data + 1, (const uint8_t *)reply.data + reply.len };
	if (!take_string(&c, &blob, &blob_len))
		return hps_error_set(err, HPS_E_FORMAT, "asking the ssh-agent: its answer is malformed");
	return decode_signature(a, blob, blob_len, out, err);
}

static bool has_identity(const struct hps_buf *reply, const struct hps_buf *blob)
{
	struct cursor c = { (const uint8_t *)reply->data + 5, (const uint8_t *)reply->data + reply->len };
	const uint8_t *one, *comment;
	size_t one_len, comment_len;

	while (reply->len > 5 && take_string(&c, &one, &one_len) && take_string(&c, &comment, &comment_len))
		if (one_len == blob->len && !memcmp(one, blob->data, one_len))
			return true;
	return false;
}

int hps_agent_attach(struct hps_key *key, struct hps_error *err)
{
	static const struct hps_signer signer = { sign, free_agent };
	_cleanup_buf_ struct hps_buf message = HPS_BUF_INIT, reply = HPS_BUF_INIT;
	const char *socket = getenv("SSH_AUTH_SOCK");
	struct agent *a;
	char id[HPS_DIGEST_HEX];
	int r;

	hps_buf_addc(&message, REQUEST_IDENTITIES);
	r = exchange(socket, &message, IDENTITIES, &reply, err);
	if (r)
		return r;
	a = hps_alloc(sizeof *a);
	a->socket = hps_strdup(socket);
	a->type = hps_key_type_of(key);
	hps_buf_init(&a->blob, MESSAGE_MAX);
	blob_of(key, &a->blob);
	if (has_identity(&reply, &a->blob)) {
		hps_key_delegate(key, &signer, a);
		return 0;
	}
	free_agent(a);
	hps_key_id(key, id);
	return hps_error_set(err, HPS_E_NOTFOUND, "asking the ssh-agent at '%s': it does not hold the key '%.12s'; 'ssh-add' gives it to it", socket, id);
}
