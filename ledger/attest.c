/* Attesting: has witnesses cosign the newest checkpoint and authorities stamp it, and keeps what they sign in tiles/attested/. */
#include "ledger/ledger.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_NS ((int64_t)10 * 1000000000)

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
	struct hps_cosigner *asked; /* one for each key of the policy */
};

static void ask_all(struct attesting *t)
{
	const struct hps_policy *p = &t->l->trust.policy;

	for (size_t i = 0; i < p->n_keys; i++) {
		struct hps_cosigner *a = &t->asked[i];

		*a = (struct hps_cosigner){ .policy = p, .log = &t->l->trust.log, .key = i, .timeout_ns = t->o->timeout_ns ? t->o->timeout_ns : TIMEOUT_NS, .ca_file = t->o->ca_file,
				      .tiles = { .tilesfd = t->l->tilesfd, .size = t->c.size }, .c = &t->c, .note = &t->note };
		hps_buf_init(&a->sig, HPS_NOTE_MAX);
		hps_buf_init(&a->theirs, HPS_NOTE_MAX);
		if (p->is_log[i])
			continue;
		t->out->n_witnesses++;
		if (!p->urls[i])
			(void)hps_error_set(&a->error, HPS_E_USAGE, "the policy names no URL for it");
		else if (pthread_create(&a->thread, NULL, hps_cosigner_ask, a))
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
	_cleanup_free_ char *path = hps_format(HPS_ATTESTED_DIR "/%llu.checkpoint", (unsigned long long)t->c.size);
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

static int keep_evidence(struct attesting *t, const struct hps_cosigner *a, struct hps_error *err)
{
	const char *kind = strncmp(a->error.message, "rollback", 8) ? "fork" : "rollback", *witness = t->l->trust.policy.keys[a->key].name;
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint theirs = { NULL, 0, { { 0 } } };
	_cleanup_free_ char *name = hps_format("%s-%llu.json", kind, (unsigned long long)t->c.size);
	struct hps_tiles tiles = { .tilesfd = t->l->tilesfd, .size = t->c.size };
	struct hps_misbehaviour m = { .kind = kind, .what = a->error.message, .log = &t->l->trust.log, .first = &a->theirs, .second = &t->note };
	_cleanup_fd_ int fd = -1;
	struct hps_proof proof;
	bool beyond;
	int r = t->o->evidence ? hps_dir_make(AT_FDCWD, t->o->evidence, 0755, err) : hps_dir_make(t->l->dirfd, "evidence", 0700, err);

	if (!r)
		r = t->o->evidence ? hps_dir_open(AT_FDCWD, t->o->evidence, &fd, err) : hps_dir_open(t->l->dirfd, "evidence", &fd, err);
	if (r)
		return r;
	if (a->theirs.len && !hps_checkpoint_open_any(a->theirs.data, a->theirs.len, &t->l->trust.log, &theirs, &beyond, NULL) && theirs.size &&
	    theirs.size < t->c.size && !hps_misbehaviour_proof(&tiles, theirs.size, &proof, NULL))
		m.proof = &proof;
	r = hps_misbehaviour_write(fd, name, &m, err);
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
		const struct hps_cosigner *a = &t->asked[i];

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
