/* Attested checkpoints: those that witnesses have cosigned or a time authority has stamped, kept in tiles/attested/ by size. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENDING ".checkpoint"

/* Sizes for which there is a checkpoint, from the smallest. */
struct sizes {
	uint64_t *v;
	size_t n;
};

static int compare_sizes(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool size_of(const char *name, uint64_t *ret)
{
	const char *dot = strchr(name, '.');
	_cleanup_free_ char *number = dot && !strcmp(dot, ENDING) ? hps_strndup(name, (size_t)(dot - name)) : NULL;

	return number && !hps_parse_u64(number, HPS_LEDGER_SIZE_MAX, ret);
}

static int list_sizes(int tilesfd, struct sizes *ret, struct hps_error *err)
{
	int fd = openat(tilesfd, HPS_ATTESTED_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	uint64_t size;

	if (fd < 0)
		return errno == ENOENT ? 0 : hps_error_errno(err, "reading 'tiles/" HPS_ATTESTED_DIR "'");
	while (d && (e = readdir(d)))
		if (size_of(e->d_name, &size)) {
			ret->v = hps_grow(ret->v, ret->n, sizeof *ret->v);
			ret->v[ret->n++] = size;
		}
	if (d)
		closedir(d);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof *ret->v, compare_sizes);
	return 0;
}

/* One of that size that the policy takes. */
static bool take(int tilesfd, const struct hps_trust *trust, uint64_t size, struct hps_buf *ret_note, struct hps_buf *ret_timestamp)
{
	_cleanup_free_ char *note = hps_format(HPS_ATTESTED_DIR "/%llu" ENDING, (unsigned long long)size),
			    *timestamp = hps_format(HPS_ATTESTED_DIR "/%llu.tsr", (unsigned long long)size);
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };

	hps_buf_reset(ret_note);
	hps_buf_reset(ret_timestamp);
	if (hps_file_read(tilesfd, note, HPS_NOTE_MAX, ret_note, NULL) ||
	    hps_policy_check(&trust->policy, ret_note->data, ret_note->len, 0, 0, &c, NULL) || c.size != size)
		return false;
	if (hps_file_read(tilesfd, timestamp, HPS_TIMESTAMP_MAX, ret_timestamp, NULL))
		hps_buf_reset(ret_timestamp);
	return true;
}

int hps_attested_find(int tilesfd, const struct hps_trust *trust, uint64_t index, struct hps_buf *ret_note, struct hps_buf *ret_timestamp, struct hps_error *err)
{
	struct sizes sizes = { NULL, 0 };
	bool found = false;
	int r = list_sizes(tilesfd, &sizes, err);

	for (size_t i = 0; !r && !found && i < sizes.n; i++)
		found = sizes.v[i] > index && take(tilesfd, trust, sizes.v[i], ret_note, ret_timestamp);
	free(sizes.v);
	if (r || found)
		return r;
	return hps_error_set(err, HPS_E_NOTFOUND, "looking for an attested checkpoint: there is none of more than %llu entries", (unsigned long long)index);
}

/* ---- verifying ---- */

static void verify_one(struct hps_verifier *v, uint64_t size, const struct hps_digest *root)
{
	_cleanup_free_ char *path = hps_format(HPS_ATTESTED_DIR "/%llu" ENDING, (unsigned long long)size), *file = hps_format("tiles/%s", path);
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;

	if (hps_file_read(v->tilesfd, path, HPS_NOTE_MAX, &note, &error) || hps_checkpoint_open(note.data ? note.data : "", note.len, &v->trust.log, &c, &error))
		hps_problem_add(v, -1, NULL, file, "%s", error.message);
	else if (c.size != size || !hps_digest_equal(&c.root, root))
		hps_problem_add(v, -1, NULL, file, "others have signed another tree of %llu entries than the one that is here", (unsigned long long)size);
}

/* Of the ledger as it is now: it may have grown, and been attested, since verification began. */
static uint64_t size_now(struct hps_verifier *v)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;

	if (!hps_file_read(v->tilesfd, "checkpoint", HPS_NOTE_MAX, &note, NULL))
		(void)!hps_checkpoint_open(note.data ? note.data : "", note.len, &v->trust.log, &c, NULL);
	return c.size > v->n ? c.size : v->n;
}

void hps_verify_attested(struct hps_verifier *v)
{
	struct sizes sizes = { NULL, 0 };
	struct hps_merkle tree = { 0 };

	(void)!list_sizes(v->tilesfd, &sizes, NULL);
	for (size_t i = 0; i < sizes.n; i++) {
		struct hps_digest root;

		if (sizes.v[i] > v->n) {
			if (sizes.v[i] > size_now(v))
				hps_problem_add(v, -1, NULL, "tiles/" HPS_ATTESTED_DIR, "others have signed a tree of %llu entries: this is an older copy, or part of it is lost",
						(unsigned long long)sizes.v[i]);
			break;
		}
		while (tree.size < sizes.v[i])
			hps_merkle_add(&tree, &v->hash[tree.size], NULL);
		hps_merkle_root(&tree, &root);
		verify_one(v, sizes.v[i], &root);
	}
	free(sizes.v);
}

/* ---- asking witnesses ---- */

#define TIMEOUT_NS ((int64_t)10 * 1000000000)
#define ROUNDS 3
#define ANSWER_MAX ((size_t)64 << 10)

struct asking {
	const struct hps_policy *policy;
	const struct hps_vkey *log;
	size_t key; /* of the witness, in the policy */
	int64_t timeout_ns;
	const char *ca_file;
	struct hps_tiles tiles;
	const struct hps_checkpoint *c;
	const struct hps_buf *note;
	struct hps_buf sig;	/* the result: the witness's signature */
	bool misbehaved;	/* of our log, as the witness sees it */
	struct hps_buf theirs;	/* then: the checkpoint that it remembers */
	struct hps_error error;
	pthread_t thread;
	bool running;
};

static int build_request(struct asking *a, uint64_t old, struct hps_buf *out, struct hps_error *err)
{
	struct hps_merkle_source source = { hps_tiles_node, &a->tiles };
	struct hps_proof proof = { .n = 0 };
	int r = old ? hps_merkle_prove_consistency(&source, old, a->c->size, &proof, err) : 0;

	if (r)
		return r;
	hps_buf_addf(out, "old %llu\n", (unsigned long long)old);
	for (unsigned i = 0; i < proof.n; i++) {
		hps_base64(out, proof.hash[i].b, HPS_DIGEST_LEN);
		hps_buf_addc(out, '\n');
	}
	hps_buf_addc(out, '\n');
	hps_buf_add(out, a->note->data, a->note->len);
	return 0;
}

/* The signature lines of the answer, of which only the witness's own is kept, after it was verified. */
static int take_signature(struct asking *a, const struct hps_buf *lines, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	size_t text_len;
	int r;

	hps_buf_add(&note, a->note->data, a->note->len);
	hps_buf_add(&note, lines->data, lines->len);
	r = hps_note_open(note.data, note.len, &a->policy->keys[a->key], 1, &text_len, err);
	return r ? r : hps_note_signature(note.data, note.len, &a->policy->keys[a->key], &a->sig, err);
}

/* What the witness remembers of our log, if it shows it; signed by us, or it is worth nothing. */
static void fetch_theirs(struct asking *a)
{
	struct hps_http_request request = { .max = HPS_NOTE_MAX, .timeout_ns = a->timeout_ns, .ca_file = a->ca_file };
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_free_ char *url = NULL;
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;

	hps_digest_of(a->c->origin, strlen(a->c->origin), &d);
	hps_digest_hex(&d, hex);
	url = hps_format("%s/%s/checkpoint", a->policy->urls[a->key], hex);
	if (hps_http(&request, url, &a->theirs, &reply, NULL) || hps_checkpoint_open(a->theirs.data ? a->theirs.data : "", a->theirs.len, a->log, &c, NULL))
		hps_buf_reset(&a->theirs);
}

static int went_back(struct asking *a, uint64_t size, struct hps_error *err)
{
	a->misbehaved = true;
	fetch_theirs(a);
	return hps_error_set(err, HPS_E_FALSE, "rollback: it has cosigned a tree of %llu entries, this ledger has %llu; somebody restored or rewrote it", (unsigned long long)size,
			     (unsigned long long)a->c->size);
}

static int forked(struct asking *a, const struct hps_http_reply *reply, struct hps_error *err)
{
	a->misbehaved = true;
	fetch_theirs(a);
	return hps_error_set(err, HPS_E_FALSE, "fork: it remembers another history of this ledger (%.200s)", reply->refusal.len ? reply->refusal.data : "422");
}

/* 1: ask again with *old; 0: signed. */
static int ask_once(struct asking *a, uint64_t *old, struct hps_error *err)
{
	struct hps_http_request request = { .max = ANSWER_MAX, .timeout_ns = a->timeout_ns, .ca_file = a->ca_file };
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT, answer = HPS_BUF_INIT;
	_cleanup_free_ char *url = hps_format("%s/add-checkpoint", a->policy->urls[a->key]), *size = NULL;
	int r = build_request(a, *old, &body, err);

	if (r)
		return r;
	request.body = body.data;
	request.body_len = body.len;
	r = hps_http(&request, url, &answer, &reply, err);
	if (r)
		return r;
	if (reply.status == 422)
		return forked(a, &reply, err);
	if (reply.status != 409) {
		r = hps_http_expect(&reply, url, err);
		return r ? r : take_signature(a, &answer, err);
	}
	size = hps_strndup(reply.refusal.data ? reply.refusal.data : "", strcspn(reply.refusal.data ? reply.refusal.data : "", "\n"));
	if (hps_parse_u64(size, INT64_MAX, old))
		return hps_error_set(err, HPS_E_FORMAT, "its answer names no size");
	return *old > a->c->size ? went_back(a, *old, err) : 1;
}

static void *ask(void *arg)
{
	struct asking *a = arg;
	uint64_t old = 0;
	int r = 1;

	for (unsigned i = 0; r == 1 && i < ROUNDS; i++)
		r = ask_once(a, &old, &a->error);
	if (r == 1)
		(void)hps_error_set(&a->error, HPS_E_UNDECIDED, "it remembers another size each time; who else asks it?");
	return NULL;
}

/* ---- keeping what they sign ---- */

void hps_attestation_release(struct hps_attestation *a)
{
	hps_strv_release(&a->failures);
}

struct attesting {
	struct hps_ledger *l;
	const struct hps_attest_options *o;
	struct hps_attestation *out;
	struct hps_buf note;
	struct hps_checkpoint c;
	size_t text_len;
	struct asking *asked; /* one for each key of the policy */
};

static void ask_all(struct attesting *t)
{
	const struct hps_policy *p = &t->l->trust.policy;

	for (size_t i = 0; i < p->n_keys; i++) {
		struct asking *a = &t->asked[i];

		*a = (struct asking){ .policy = p, .log = &t->l->trust.log, .key = i, .timeout_ns = t->o->timeout_ns ? t->o->timeout_ns : TIMEOUT_NS, .ca_file = t->o->ca_file,
				      .tiles = { .tilesfd = t->l->tilesfd, .size = t->c.size }, .c = &t->c, .note = &t->note };
		hps_buf_init(&a->sig, HPS_NOTE_MAX);
		hps_buf_init(&a->theirs, HPS_NOTE_MAX);
		if (p->is_log[i])
			continue;
		t->out->n_witnesses++;
		if (!p->urls[i])
			(void)hps_error_set(&a->error, HPS_E_USAGE, "the policy names no URL for it");
		else if (pthread_create(&a->thread, NULL, ask, a))
			(void)hps_error_set(&a->error, HPS_E_UNDECIDED, "no thread could be started for it");
		else
			a->running = true;
	}
	for (size_t i = 0; i < p->n_keys; i++)
		if (t->asked[i].running)
			pthread_join(t->asked[i].thread, NULL);
}

/* The note with one line for each witness: what it signed now or, if it did not answer, what is kept from before. */
static void merge(struct attesting *t, const struct hps_buf *kept, struct hps_buf *out)
{
	const struct hps_policy *p = &t->l->trust.policy;
	struct hps_buf own = HPS_BUF_INIT;

	hps_buf_add(out, t->note.data, t->text_len);
	hps_buf_addc(out, '\n');
	if (!hps_note_signature(t->note.data, t->note.len, &t->l->trust.log, &own, NULL))
		hps_note_add(out, &t->l->trust.log, &own);
	hps_buf_release(&own);
	for (size_t i = 0; i < p->n_keys; i++) {
		struct hps_buf *sig = &t->asked[i].sig;

		if (p->is_log[i] || (!sig->len && (!kept->len || hps_note_signature(kept->data, kept->len, &p->keys[i], sig, NULL))))
			continue;
		hps_note_add(out, &p->keys[i], sig);
		t->out->n_cosigned++;
	}
}

/* What is kept from before counts only if it is of this very tree. */
static void read_kept(struct attesting *t, const char *path, struct hps_buf *ret)
{
	const struct hps_policy *p = &t->l->trust.policy;
	uint64_t times[HPS_POLICY_KEYS_MAX];
	size_t text_len;

	if (hps_file_read(t->l->tilesfd, path, HPS_NOTE_MAX, ret, NULL) || hps_note_signers(ret->data, ret->len, p->keys, p->n_keys, times, &text_len, NULL) ||
	    text_len != t->text_len || memcmp(ret->data, t->note.data, text_len) != 0)
		hps_buf_reset(ret);
}

static int keep(struct attesting *t, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format(HPS_ATTESTED_DIR "/%llu" ENDING, (unsigned long long)t->c.size);
	const struct hps_policy *p = &t->l->trust.policy;
	_cleanup_buf_ struct hps_buf kept = HPS_BUF_INIT, merged = HPS_BUF_INIT;
	uint64_t times[HPS_POLICY_KEYS_MAX];
	size_t text_len;
	int r = hps_dir_make(t->l->tilesfd, HPS_ATTESTED_DIR, 0755, err);

	if (r)
		return r;
	read_kept(t, path, &kept);
	merge(t, &kept, &merged);
	r = hps_note_signers(merged.data, merged.len, p->keys, p->n_keys, times, &text_len, err);
	if (r)
		return r;
	t->out->quorum = hps_policy_quorum(p, times, 0);
	if (!t->out->n_cosigned && !t->out->stamped)
		return 0;
	r = hps_file_write(t->l->tilesfd, path, 0644, merged.data, merged.len, err);
	return r || !t->out->quorum ? r : hps_file_write(t->l->tilesfd, HPS_ATTESTED_DIR "/checkpoint", 0644, merged.data, merged.len, err);
}

/* ---- time ---- */

static int stamp(struct attesting *t, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format(HPS_ATTESTED_DIR "/%llu.tsr", (unsigned long long)t->c.size);
	const struct hps_buf *authorities = &t->l->trust.authorities;
	int r = hps_dir_make(t->l->tilesfd, HPS_ATTESTED_DIR, 0755, err);

	for (const char *const *url = t->o->time_urls; !r && url && *url && !t->out->stamped; url++) {
		_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
		_cleanup_buf_ struct hps_buf reply = HPS_BUF_INIT;
		int64_t when;
		int failed = hps_timestamp_fetch(*url, t->o->ca_file, t->note.data, t->text_len, &reply, &error);

		if (!failed && authorities->len)
			failed = hps_timestamp_check(reply.data, reply.len, t->note.data, t->text_len, authorities->data, authorities->len, &when, &error);
		if (failed) {
			hps_strv_addf(&t->out->failures, "timestamp authority: %s", error.message);
			continue;
		}
		r = hps_file_write(t->l->tilesfd, path, 0644, reply.data, reply.len, err);
		t->out->stamped = !r;
	}
	return r;
}

/* ---- misbehaviour ---- */

static int keep_evidence(struct attesting *t, const struct asking *a, struct hps_error *err)
{
	const char *kind = strncmp(a->error.message, "rollback", 8) ? "fork" : "rollback", *witness = t->l->trust.policy.keys[a->key].name;
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint theirs = { NULL, 0, { { 0 } } };
	_cleanup_free_ char *name = hps_format("%s-%llu.json", kind, (unsigned long long)t->c.size);
	struct hps_tiles tiles = { .tilesfd = t->l->tilesfd, .size = t->c.size };
	_cleanup_fd_ int fd = -1;
	struct hps_proof proof;
	bool has_proof;
	int r = t->o->evidence ? hps_dir_make(AT_FDCWD, t->o->evidence, 0755, err) : hps_dir_make(t->l->dirfd, "evidence", 0700, err);

	if (!r)
		r = t->o->evidence ? hps_dir_open(AT_FDCWD, t->o->evidence, &fd, err) : hps_dir_open(t->l->dirfd, "evidence", &fd, err);
	if (r)
		return r;
	has_proof = a->theirs.len && !hps_checkpoint_open(a->theirs.data, a->theirs.len, &t->l->trust.log, &theirs, NULL) && theirs.size &&
		    theirs.size < t->c.size && !hps_misbehaviour_proof(&tiles, theirs.size, &proof, NULL);
	r = hps_misbehaviour_write(fd, name, kind, a->error.message, &t->l->trust.log, a->theirs.len ? &a->theirs : NULL, &t->note, has_proof ? &proof : NULL, err);
	if (r)
		return r;
	return hps_error_set(err, HPS_E_FALSE, "the witness '%s' says: %s; the evidence is in '%s/%s'", witness, a->error.message,
			     t->o->evidence ? t->o->evidence : "evidence", name);
}

static int look_at_failures(struct attesting *t, struct hps_error *err)
{
	const struct hps_policy *p = &t->l->trust.policy;
	int r = 0;

	for (size_t i = 0; i < p->n_keys; i++) {
		const struct asking *a = &t->asked[i];

		if (!a->error.code)
			continue;
		hps_strv_addf(&t->out->failures, "witness '%s': %s", p->keys[i].name, a->error.message);
		if (a->misbehaved && !r)
			r = keep_evidence(t, a, err);
	}
	return r;
}

static int attest(struct attesting *t, struct hps_error *err)
{
	int r = hps_file_read(t->l->tilesfd, "checkpoint", HPS_NOTE_MAX, &t->note, err);

	if (!r)
		r = hps_checkpoint_open(t->note.data, t->note.len, &t->l->trust.log, &t->c, err);
	if (!r)
		r = hps_note_open(t->note.data, t->note.len, &t->l->trust.log, 1, &t->text_len, err);
	if (r)
		return r;
	t->out->size = t->c.size;
	t->asked = hps_alloc((t->l->trust.policy.n_keys + 1) * sizeof *t->asked);
	ask_all(t);
	r = look_at_failures(t, err);
	if (!r)
		r = stamp(t, err);
	return r ? r : keep(t, err);
}

int hps_attest(struct hps_ledger *l, const struct hps_attest_options *options, struct hps_attestation *ret, struct hps_error *err)
{
	struct attesting t = { .l = l, .o = options, .out = ret };
	int r;

	memset(ret, 0, sizeof *ret);
	hps_buf_init(&t.note, HPS_NOTE_MAX);
	r = attest(&t, err);
	for (size_t i = 0; t.asked && i < l->trust.policy.n_keys; i++) {
		hps_buf_release(&t.asked[i].sig);
		hps_buf_release(&t.asked[i].theirs);
		hps_error_release(&t.asked[i].error);
	}
	free(t.asked);
	hps_checkpoint_release(&t.c);
	hps_buf_release(&t.note);
	return r;
}
