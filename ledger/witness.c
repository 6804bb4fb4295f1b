/* A witness: cosigns a log's checkpoint only if it continues the last one that it cosigned. Its memory is one file a log, replaced
 * whole and flushed before the answer leaves; a lock keeps two processes off one memory. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define NAME_MAX_BYTES 1024

struct hps_witness {
	int dirfd, lockfd;
	char *name;
	struct hps_key *key;
	struct hps_policy logs;
	pthread_mutex_t mutex;
};

/* ---- its directory ---- */

int hps_witness_create(const char *dir, const char *name, const char *passphrase, struct hps_error *err)
{
	_cleanup_key_ struct hps_key *key = NULL;
	_cleanup_fd_ int fd = -1;
	int r = hps_note_name_ok(name) ? 0 : hps_error_set(err, HPS_E_USAGE, "making a witness: '%s' is not a name: no white space, no '+'", name);

	if (!r)
		r = hps_dir_make(AT_FDCWD, dir, 0700, err);
	if (!r)
		r = hps_dir_open(AT_FDCWD, dir, &fd, err);
	if (!r && !faccessat(fd, "name", F_OK, 0))
		r = hps_error_set(err, -EEXIST, "making a witness: there is one in '%s'", dir);
	if (!r)
		r = hps_dir_make(fd, "logs", 0700, err);
	if (!r)
		r = hps_dir_make(fd, "evidence", 0700, err);
	if (!r)
		r = hps_key_generate(HPS_KEY_ED25519, &key, err);
	if (!r)
		r = hps_key_save(key, fd, "witness.pem", passphrase, err);
	if (!r)
		r = hps_file_write(fd, "logs.tlog", 0600, "quorum none\n", 12, err);
	return r ? r : hps_file_write(fd, "name", 0600, name, strlen(name), err); /* last: it is what makes it a witness */
}

static int lock(struct hps_witness *w, const char *dir, struct hps_error *err)
{
	w->lockfd = openat(w->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (w->lockfd < 0)
		return hps_error_errno(err, "opening the witness '%s'", dir);
	if (!flock(w->lockfd, LOCK_EX | LOCK_NB))
		return 0;
	return hps_error_set(err, HPS_E_DENIED, "opening the witness '%s': another process serves it; two would cosign two histories", dir);
}

static int read_name(struct hps_witness *w, const char *dir, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf name = HPS_BUF_INIT;
	int r = hps_file_read(w->dirfd, "name", NAME_MAX_BYTES, &name, err);

	if (r == -ENOENT)
		return hps_error_set(err, HPS_E_NOTFOUND, "opening the witness '%s': there is none; --name makes one", dir);
	if (!r && !name.len)
		r = hps_error_set(err, HPS_E_DAMAGED, "opening the witness '%s': it has no name", dir);
	if (!r)
		w->name = hps_buf_take(&name);
	return r;
}

/* Each log with the keys that it had before. */
static int follow_logs(struct hps_witness *w, struct hps_error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < w->logs.n_keys; i++) {
		_cleanup_free_ char *path = hps_witness_memory(w->logs.keys[i].name, "." HPS_HANDOVERS_FILE);
		_cleanup_strv_ struct hps_strv notes = HPS_STRV_INIT;

		r = hps_handovers_read(w->dirfd, path, &notes, err);
		if (!r)
			r = hps_vkey_follow(&w->logs.keys[i], &notes, err);
	}
	return r;
}

int hps_witness_open(const char *dir, const char *passphrase, struct hps_witness **ret, struct hps_error *err)
{
	struct hps_witness *w = hps_alloc(sizeof *w);
	_cleanup_buf_ struct hps_buf logs = HPS_BUF_INIT;
	int r;

	w->dirfd = w->lockfd = -1;
	pthread_mutex_init(&w->mutex, NULL);
	r = hps_dir_open(AT_FDCWD, dir, &w->dirfd, err);
	if (!r)
		r = read_name(w, dir, err);
	if (!r)
		r = lock(w, dir, err);
	if (!r)
		r = hps_key_load(w->dirfd, "witness.pem", passphrase, &w->key, err);
	if (!r)
		r = hps_file_read(w->dirfd, "logs.tlog", HPS_POLICY_MAX, &logs, err);
	if (!r)
		r = hps_policy_read(logs.data, logs.len, &w->logs, err);
	if (!r)
		r = follow_logs(w, err);
	if (r)
		hps_witness_free(w);
	else
		*ret = w;
	return r;
}

void hps_witness_free(struct hps_witness *w)
{
	if (!w)
		return;
	if (w->dirfd >= 0)
		close(w->dirfd);
	if (w->lockfd >= 0)
		close(w->lockfd);
	hps_key_free(w->key);
	hps_policy_release(&w->logs);
	pthread_mutex_destroy(&w->mutex);
	free(w->name);
	free(w);
}

char *hps_witness_vkey(const struct hps_witness *w)
{
	return hps_vkey_format_cosigner(w->name, w->key);
}

/* ---- what it remembers ---- */

/* Nothing cosigned yet: size 0. What this witness has cosigned it knows by its own signature: the log may have another key by now. */
static int recall(struct hps_witness *w, const struct hps_vkey *log, struct hps_checkpoint *ret, struct hps_buf *ret_note, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_witness_memory(log->name, ""), *own = hps_witness_vkey(w);
	_cleanup_(hps_vkey_release) struct hps_vkey me = { 0 };
	size_t text_len;
	int r = hps_file_read(w->dirfd, path, HPS_NOTE_MAX, ret_note, err);

	if (r == -ENOENT) {
		if (err)
			hps_error_release(err);
		hps_digest_of("", 0, &ret->root);
		return 0;
	}
	if (!r)
		r = hps_vkey_parse(own, &me, err);
	if (!r)
		r = hps_note_open(ret_note->data, ret_note->len, &me, 1, &text_len, err);
	if (!r)
		r = hps_checkpoint_parse(ret_note->data, text_len, ret, err);
	return r || !strcmp(ret->origin, log->name) ? r : hps_error_set(err, HPS_E_DAMAGED, "'%s' is of another log", path);
}

/* ---- add-checkpoint ---- */

struct request {
	struct hps_witness *w;
	struct hps_serve_reply *reply;
	uint64_t old;
	struct hps_proof proof;
	const char *note;
	size_t note_len, text_len;
	const struct hps_vkey *log;
	struct hps_checkpoint c;
};

static bool refuse(struct request *q, int status, const char *why)
{
	q->reply->status = status;
	hps_buf_reset(&q->reply->body);
	hps_buf_addf(&q->reply->body, "%s\n", why);
	return false;
}

static bool read_hash(struct request *q, const char *line, size_t len)
{
	_cleanup_buf_ struct hps_buf hash = HPS_BUF_INIT;

	if (q->proof.n == HPS_PROOF_MAX || hps_unbase64(&hash, line, len, false) || hash.len != HPS_DIGEST_LEN)
		return refuse(q, 400, "a line of the consistency proof is not a hash, or there are too many");
	memcpy(q->proof.hash[q->proof.n++].b, hash.data, HPS_DIGEST_LEN);
	return true;
}

/* "old SIZE", hashes, an empty line, the checkpoint. */
static bool parse(struct request *q, const char *at, const char *end)
{
	const char *feed = memchr(at, '\n', (size_t)(end - at));
	_cleanup_free_ char *old = NULL;

	if (memchr(at, '\0', (size_t)(end - at)) || !feed || feed - at < 5 || memcmp(at, "old ", 4) != 0)
		return refuse(q, 400, "the first line is not 'old SIZE'");
	old = hps_strndup(at + 4, (size_t)(feed - at) - 4);
	if (hps_parse_u64(old, INT64_MAX, &q->old))
		return refuse(q, 400, "the first line is not 'old SIZE'");
	for (at = feed + 1; (feed = memchr(at, '\n', (size_t)(end - at))) && feed != at; at = feed + 1)
		if (!read_hash(q, at, (size_t)(feed - at)))
			return false;
	if (!feed)
		return refuse(q, 400, "there is no empty line before the checkpoint");
	q->note = feed + 1;
	q->note_len = (size_t)(end - q->note);
	return true;
}

static bool find_log(struct request *q)
{
	const char *feed = q->note_len ? memchr(q->note, '\n', q->note_len) : NULL;
	size_t len = feed ? (size_t)(feed - q->note) : 0;

	for (size_t i = 0; i < q->w->logs.n_keys; i++) {
		const struct hps_vkey *v = &q->w->logs.keys[i];

		if (q->w->logs.is_log[i] && strlen(v->name) == len && !memcmp(v->name, q->note, len))
			q->log = v;
	}
	return q->log || refuse(q, 404, "unknown log");
}

/* Both notes together prove it to anybody. */
static bool keep_fork(struct request *q, const struct hps_checkpoint *c, int status, const char *what, const struct hps_buf *known)
{
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT, why = HPS_BUF_INIT;
	struct hps_misbehaviour m = { .kind = "fork", .what = what, .log = q->log, .first = known, .second = &note };
	_cleanup_free_ char *name = NULL;
	char hex[HPS_DIGEST_HEX];

	hps_buf_add(&note, q->note, q->note_len);
	hps_digest_hex(&c->root, hex);
	name = hps_format("fork-%llu-%.16s.json", (unsigned long long)c->size, hex);
	if (hps_witness_evidence(q->w->dirfd, name, &m, NULL))
		return refuse(q, 500, "the log forked; keeping the evidence failed");
	hps_buf_addf(&why, "fork: %s; the evidence is kept", what);
	return refuse(q, status, why.data);
}

/* By a former key, of a tree that was not that key's to sign any more. To whoever asks it is as unsigned as any other. */
static bool is_beyond(struct request *q)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } }, known = { NULL, 0, { { 0 } } };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	bool beyond = false;

	if (hps_checkpoint_open_any(q->note, q->note_len, q->log, &c, &beyond, NULL) || !beyond)
		return false;
	pthread_mutex_lock(&q->w->mutex);
	if (recall(q->w, q->log, &known, &note, NULL) || !note.len)
		hps_buf_add(&note, q->note, q->note_len);
	keep_fork(q, &c, 403, "a former key of the log signed a tree after it had been replaced", &note);
	pthread_mutex_unlock(&q->w->mutex);
	return true;
}

static bool open_note(struct request *q)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	int r = hps_note_open(q->note, q->note_len, q->log, 1, &q->text_len, &error);

	if (r) /* also one that cannot be read is none */
		return is_beyond(q) ? false : refuse(q, 403, "invalid signature");
	r = hps_checkpoint_parse(q->note, q->text_len, &q->c, &error);
	if (r)
		return refuse(q, 400, error.message);
	if (q->old > q->c.size)
		return refuse(q, 400, "old is larger than the checkpoint");
	return true;
}

static bool continues(struct request *q, const struct hps_checkpoint *known, const struct hps_buf *known_note)
{
	struct hps_digest empty;

	hps_digest_of("", 0, &empty);
	if (q->old != known->size) {
		refuse(q, 409, "");
		hps_buf_reset(&q->reply->body);
		hps_buf_addf(&q->reply->body, "%llu\n", (unsigned long long)known->size);
		q->reply->type = "text/x.tlog.size";
		return false;
	}
	if (q->c.size == 0 && !hps_digest_equal(&q->c.root, &empty))
		return refuse(q, 422, "the root of an empty tree is another");
	if (q->old == 0 && q->proof.n)
		return refuse(q, 422, "a consistency proof from the empty tree is empty");
	if (q->old == 0)
		return true;
	if (q->c.size == known->size && !hps_digest_equal(&q->c.root, &known->root))
		return keep_fork(q, &q->c, 422, "the log signed another root for this size before", known_note);
	return !hps_merkle_check_consistency(q->old, q->c.size, &known->root, &q->c.root, q->proof.hash, q->proof.n, NULL) ||
	       refuse(q, 422, "the consistency proof does not hold");
}

/* Memory first, then the answer: killed in between, the log asks again and gets a 409 with what is remembered. */
static bool cosign(struct request *q)
{
	_cleanup_free_ char *path = hps_witness_memory(q->log->name, "");
	_cleanup_buf_ struct hps_buf line = HPS_BUF_INIT, note = HPS_BUF_INIT, own = HPS_BUF_INIT;
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	int r = hps_note_cosign(q->note, q->text_len, q->w->name, q->w->key, (uint64_t)time(NULL), &line, &error);

	/* Only the log's own line is kept with ours: the rest of the note is anybody's. */
	if (!r)
		r = hps_note_signature(q->note, q->note_len, q->log, &own, &error);
	if (!r) {
		hps_buf_add(&note, q->note, q->text_len);
		hps_buf_addc(&note, '\n');
		hps_note_add(&note, q->log, &own);
		hps_buf_add(&note, line.data, line.len);
		r = hps_file_write(q->w->dirfd, path, 0600, note.data, note.len, &error);
	}
	if (r)
		return refuse(q, 500, "the witness cannot remember; nothing is cosigned");
	hps_buf_add(&q->reply->body, line.data, line.len);
	return true;
}

static bool check_and_remember(struct request *q)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint known = { NULL, 0, { { 0 } } };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	bool done;

	pthread_mutex_lock(&q->w->mutex);
	if (recall(q->w, q->log, &known, &note, NULL))
		done = refuse(q, 500, "the witness cannot read what it remembers; nothing is cosigned");
	else
		done = continues(q, &known, &note) && cosign(q);
	pthread_mutex_unlock(&q->w->mutex);
	return done;
}

static void add_checkpoint(struct hps_witness *w, const struct hps_serve_request *request, struct hps_serve_reply *reply)
{
	struct request q = { .w = w, .reply = reply };
	const char *body = request->body;

	(void)(parse(&q, body, body + request->body_len) && find_log(&q) && open_note(&q) && check_and_remember(&q));
	hps_checkpoint_release(&q.c);
}

/* GET /<hex>/checkpoint */
static void monitor(struct hps_witness *w, const char *path, struct hps_serve_reply *reply)
{
	_cleanup_free_ char *hex = strlen(path) > 65 ? hps_strndup(path + 1, 64) : NULL, *file = hex ? hps_format("logs/%s", hex) : NULL;
	struct hps_digest d;

	reply->status = 404;
	if (!hex || hps_digest_parse(hex, &d) || strcmp(path + 65, "/checkpoint") != 0)
		return;
	if (!hps_file_read(w->dirfd, file, HPS_NOTE_MAX, &reply->body, NULL))
		reply->status = 200;
}

void hps_witness_handle(void *witness, const struct hps_serve_request *request, struct hps_serve_reply *reply)
{
	if (!strcmp(request->path, "/add-checkpoint") && !strcmp(request->method, "POST"))
		add_checkpoint(witness, request, reply);
	else if (!strcmp(request->path, "/add-checkpoint"))
		reply->status = 405;
	else if (!strcmp(request->method, "GET"))
		monitor(witness, request->path, reply);
	else
		reply->status = 404;
}
