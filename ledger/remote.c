/* A ledger that lies elsewhere, as a recorder uses it: statements are signed here and sent, objects before the statements that name
 * them. Here lie only a key, the trust file that was got at enrolment, and what has not been sent. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUNDS 5 /* recorders with one key that count at the same time */
#define ANSWER_MAX ((size_t)1 << 20)

bool hps_remote_is(const char *ledger)
{
	return !strncmp(ledger, "http://", 7) || !strncmp(ledger, "https://", 8) || !strncmp(ledger, "unix:", 5);
}

char *hps_remote_dir(const char *url)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	_cleanup_free_ char *base = state && *state == '/' ? hps_strdup(state) : hps_format("%s/.local/state", home ? home : "");
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;

	hps_digest_of(url, strlen(url), &d);
	hps_digest_hex(&d, hex);
	return hps_format("%s/hps/remote/%.32s", base, hex);
}

static int ask(const char *url, const char *ca, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err)
{
	struct hps_http_request request = { .max = max, .ca_file = ca };
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_free_ char *whole = hps_format("%s%s", url, path);
	int r = hps_http(&request, whole, ret, &reply, err);

	return r ? r : hps_http_expect(&reply, whole, err);
}

int hps_remote_ask(const struct hps_ledger *l, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err)
{
	return ask(l->remote, l->remote_ca, path, max, ret, err);
}

static int ask_number(const char *url, const char *ca, const char *path, uint64_t *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = ask(url, ca, path, 64, &text, err);

	if (r)
		return r;
	if (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	return text.len && !hps_parse_u64(text.data, INT64_MAX, ret) ? 0 : hps_error_set(err, HPS_E_FORMAT, "asking '%s%s': the answer is not a number", url, path);
}

/* ---- enrolling ---- */

/* A second enrolment keeps the key of the first: the draft may have been lost, or its number taken. */
static int own_key(int fd, const char *passphrase, struct hps_key **ret, struct hps_error *err)
{
	uint8_t redact[32];
	int r;

	if (!faccessat(fd, "keys/statement.pem", F_OK, 0))
		return hps_signer_load(fd, "statement", passphrase, ret, err);
	r = hps_random(redact, sizeof redact, err);
	if (!r)
		r = hps_file_write(fd, "keys/redact.key", 0600, redact, sizeof redact, err);
	explicit_bzero(redact, sizeof redact);
	if (!r)
		r = hps_key_generate(HPS_KEY_P256, ret, err);
	return r ? r : hps_key_save(*ret, fd, "keys/statement.pem", passphrase, err);
}

static int make_dir(const char *dir, int *ret_fd, struct hps_error *err)
{
	static const char *const parts[] = { "keys", "running", "objects", "sent" };
	int r = hps_dir_make(AT_FDCWD, dir, 0700, err);

	if (!r)
		r = hps_dir_open(AT_FDCWD, dir, ret_fd, err);
	for (size_t i = 0; !r && i < ARRAY_SIZE(parts); i++)
		r = hps_dir_make(*ret_fd, parts[i], 0700, err);
	return r;
}

int hps_remote_enrol(const char *url, const char *ca_file, const struct hps_strv *kinds, const char *passphrase, json_t **ret_draft, struct hps_error *err)
{
	_cleanup_(hps_trust_release) struct hps_trust trust = { 0 };
	_cleanup_free_ char *dir = hps_remote_dir(url), *ca = ca_file ? hps_path_absolute(ca_file) : NULL;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_key_ struct hps_key *key = NULL;
	_cleanup_fd_ int fd = -1;
	uint64_t number = 0;
	int r = make_dir(dir, &fd, err);

	if (!r)
		r = ask(url, ca, "/" HPS_TRUST_FILE, ANSWER_MAX, &text, err);
	/* The first answer is believed, later ones are not asked for: compare the log's key by another way. */
	if (!r && faccessat(fd, HPS_TRUST_FILE, F_OK, 0))
		r = hps_file_write(fd, HPS_TRUST_FILE, 0600, text.data, text.len, err);
	if (!r && ca)
		r = hps_file_write(fd, "ca", 0600, ca, strlen(ca), err);
	if (!r)
		r = hps_trust_read(fd, HPS_TRUST_FILE, &trust, err);
	if (!r)
		r = own_key(fd, passphrase, &key, err);
	if (!r)
		r = ask_number(url, ca, "/changes", &number, err);
	if (!r) {
		struct hps_key_change change = { trust.origin, number, NULL };

		r = hps_key_change_add(&change, key, kinds, ret_draft, err);
	}
	return r;
}

int hps_remote_open(struct hps_ledger *l, const char *url, const char *passphrase, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf ca = HPS_BUF_INIT;
	int r = hps_dir_open(AT_FDCWD, l->dir, &l->dirfd, err);

	if (r == -ENOENT)
		return hps_error_set(err, HPS_E_NOTFOUND, "opening the ledger '%s': this user is not enrolled there; 'hps-ledger enrol %s' begins that", url, url);
	if (!r && !(l->flags & HPS_LEDGER_APPEND))
		r = hps_error_set(err, HPS_E_USAGE, "the ledger '%s' is elsewhere and can only be appended to from here; mirror its tiles to read it", url);
	if (!r)
		r = hps_ledger_check_owner(l->dirfd, l->dir, err);
	if (!r)
		r = hps_trust_read(l->dirfd, HPS_TRUST_FILE, &l->trust, err);
	if (!r)
		r = hps_dir_open(l->dirfd, "running", &l->runningfd, err);
	if (!r)
		r = hps_objects_open(l->dirfd, "objects", true, &l->objects, err);
	if (!r)
		r = hps_store_open(NULL, HPS_STORE_MEMORY, &l->store, err);
	if (!r)
		r = hps_signer_load(l->dirfd, "statement", passphrase, &l->statement_key, err);
	if (r)
		return r;
	l->remote = hps_strdup(url);
	hps_key_id(l->statement_key, l->keyid);
	if (!hps_file_read(l->dirfd, "ca", 4096, &ca, NULL) && ca.len)
		l->remote_ca = hps_buf_take(&ca);
	return 0;
}

/* ---- sending objects ---- */

static char *authorization(struct hps_ledger *l, const char *path, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, pae = HPS_BUF_INIT, sig = HPS_BUF_INIT, out = HPS_BUF_INIT;
	char time[HPS_TIME_LEN];

	hps_time_format(hps_time_now_ns(), time);
	hps_buf_addf(&text, "PUT %s\n%s\n%s\n", path, l->trust.origin, time);
	hps_pae(HPS_REQUEST_TYPE, text.data, text.len, &pae);
	if (hps_key_sign(l->statement_key, pae.data, pae.len, &sig, err))
		return NULL;
	hps_buf_addf(&out, "Authorization: HPS %s %s ", l->keyid, time);
	hps_base64(&out, sig.data, sig.len);
	return hps_buf_take(&out);
}

static int send_object(struct hps_ledger *l, const char *hex, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("/objects/%s", hex), *url = hps_format("%s%s", l->remote, path), *mark = hps_format("sent/%s", hex),
			    *signed_by = authorization(l, path, err);
	const char *const headers[] = { signed_by, "Content-Type: application/octet-stream", NULL };
	struct hps_http_request request = { .method = "PUT", .headers = headers, .ca_file = l->remote_ca };
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT, answer = HPS_BUF_INIT;
	struct hps_digest d;
	int r = signed_by && !hps_digest_parse(hex, &d) ? hps_objects_get(l->objects, &d, HPS_OBJECT_UPLOAD_MAX, &bytes, err) : HPS_E_UNDECIDED;

	request.body = bytes.data ? bytes.data : "";
	request.body_len = bytes.len;
	if (!r)
		r = hps_http(&request, url, &answer, &reply, err);
	if (!r)
		r = hps_http_expect(&reply, url, err);
	return r ? r : hps_file_write(l->dirfd, mark, 0600, "", 0, err);
}

static int send_objects_of(struct hps_ledger *l, const char *two, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("objects/%s", two);
	int fd = openat(l->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	while (!r && d && (e = hps_dir_next(d, "reading the objects to send", &r, err))) {
		_cleanup_free_ char *hex = hps_format("%s%s", two, e->d_name), *mark = hps_format("sent/%s", hex);
		struct hps_digest digest;

		if (!hps_digest_parse(hex, &digest) && faccessat(l->dirfd, mark, F_OK, 0))
			r = send_object(l, hex, err);
	}
	if (d)
		closedir(d);
	return r;
}

static int send_objects(struct hps_ledger *l, struct hps_error *err)
{
	int r = hps_objects_sync(l->objects, err);

	for (unsigned i = 0; !r && i < 256; i++) {
		char two[3];

		snprintf(two, sizeof two, "%02x", i);
		r = send_objects_of(l, two, err);
	}
	return r;
}

/* ---- sending statements ---- */

static int set_counter(struct hps_ledger *l, json_t *statement, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("/counter/%s", l->keyid);
	uint64_t counter;
	int r = ask_number(l->remote, l->remote_ca, path, &counter, err);

	if (!r)
		hps_json_set_int(json_object_get(statement, "predicate"), "counter", (int64_t)counter);
	return r;
}

static int sign(struct hps_ledger *l, const json_t *statement, struct hps_buf *ret_text, char ret_id[65], struct hps_error *err)
{
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_buf_ struct hps_buf payload = HPS_BUF_INIT;
	struct hps_digest id;
	int r = hps_json_canonical(statement, &payload, err);

	if (!r)
		r = hps_envelope_sign(HPS_PAYLOAD_TYPE, payload.data, payload.len, l->statement_key, &e, err);
	if (r)
		return r;
	hps_envelope_id(&e, &id);
	hps_digest_hex(&id, ret_id);
	hps_buf_reset(ret_text);
	hps_envelope_write(&e, ret_text);
	return 0;
}

/* 1: somebody with the same key was faster; count and sign again. */
static int post(struct hps_ledger *l, const struct hps_buf *text, const char *id, uint64_t *ret_index, struct hps_error *err)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	struct hps_http_request request = { .headers = headers, .body = text->data, .body_len = text->len, .max = ANSWER_MAX, .ca_file = l->remote_ca };
	_cleanup_free_ char *url = hps_format("%s/submit", l->remote);
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_buf_ struct hps_buf answer = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	const json_t *one;
	const char *named;
	int r = hps_http(&request, url, &answer, &reply, err);

	if (!r && reply.status == 409)
		return 1;
	if (!r)
		r = hps_http_expect(&reply, url, err);
	if (!r)
		r = hps_json_parse(answer.data ? answer.data : "", answer.len, &j, err);
	if (r)
		return r;
	one = json_array_get(json_object_get(j, "entries"), 0);
	named = hps_json_text(one, "id");
	if (!named || strcmp(named, id) != 0 || hps_json_int(one, "index", -1) < 0)
		return hps_error_set(err, HPS_E_FORMAT, "asking '%s': the answer is about another entry", url);
	*ret_index = (uint64_t)hps_json_int(one, "index", -1);
	return 0;
}

/* A begin entry's lease is taken here, before it is sent: no sweep of ours sees it without its owner. */
static int append_begin(struct hps_ledger *l, const json_t *statement, char id[65], uint64_t *ret_index, struct hps_error *err)
{
	_cleanup_json_ json_t *copy = json_deep_copy(statement);
	char lease[HPS_LEASE_NAME];
	int r = 1;

	for (unsigned i = 0; r == 1 && i < ROUNDS; i++) {
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		r = set_counter(l, copy, err);
		if (!r)
			r = sign(l, copy, &text, id, err);
		if (!r)
			r = hps_lease_prepare(l, lease, err);
		if (r)
			return r;
		r = hps_lease_name(l, lease, id, err);
		if (!r)
			r = post(l, &text, id, ret_index, err);
		if (!r) {
			hps_lease_keep(l, lease, id);
			return 0;
		}
		hps_lease_unname(l, id);
		hps_lease_drop(l, lease);
	}
	return r == 1 ? hps_error_set(err, HPS_E_UNDECIDED, "appending to '%s': too many count with this key at once", l->remote) : r;
}

static int append_one(struct hps_ledger *l, const json_t *statement, char id[65], uint64_t *ret_index, struct hps_error *err)
{
	_cleanup_free_ char *kind = NULL;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_statement_check(statement, err);

	if (r)
		return r;
	kind = hps_statement_kind(statement);
	if (!strcmp(kind, "begin"))
		return append_begin(l, statement, id, ret_index, err);
	r = sign(l, statement, &text, id, err);
	if (!r)
		r = post(l, &text, id, ret_index, err);
	return r == 1 ? hps_error_set(err, HPS_E_FORMAT, "appending to '%s': the answer makes no sense", l->remote) : r;
}

/* Not all or nothing: each is sent by itself, and what was sent stays sent. */
int hps_remote_append(struct hps_ledger *l, const json_t *const *statements, size_t n, char (*ids)[65], uint64_t *indexes, struct hps_error *err)
{
	int r = send_objects(l, err);

	for (size_t i = 0; !r && i < n; i++)
		r = append_one(l, statements[i], ids[i], &indexes[i], err);
	return r;
}
