/* Checking a folder of evidence: what the bundle says is verified, and every other file must be exactly what follows from it. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void hps_checked_release(struct hps_checked *c)
{
	hps_strv_release(&c->lines);
	hps_strv_release(&c->problems);
}

struct checking {
	int dirfd;
	const struct hps_trust *trust;
	uint64_t now, max_age;
	struct hps_checked *out;
	struct hps_buf note;	/* of the entry; all entries have the same */
	struct hps_evidence derived;
};

static void problem(struct checking *c, int code, const char *file, const char *what)
{
	if (!c->out->code || (hps_error_exit(c->out->code) > 3 && hps_error_exit(code) <= 3)) /* what is wrong comes before what could not be read */
		c->out->code = code;
	hps_strv_addf(&c->out->problems, "%s: %s", file, what);
}

/* The folder is of the newest key that the log had then; the trust file may name one before it. */
static int follow(struct checking *c, struct hps_trust *trust)
{
	_cleanup_strv_ struct hps_strv notes = HPS_STRV_INIT;
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	int r = hps_handovers_read(c->dirfd, HPS_HANDOVERS_FILE, &notes, &error);

	if (!r)
		r = hps_trust_follow(trust, &notes, &error);
	if (r)
		problem(c, r, HPS_HANDOVERS_FILE, error.message);
	return r;
}

/* Statement, signer, place in the log: in this order, each only when the one before holds. */
static int check_bundle(struct checking *c, const char *name, const struct hps_sigstore *s, struct hps_error *err)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint checkpoint = { NULL, 0, { { 0 } } };
	_cleanup_json_ json_t *statement = NULL;
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_free_ char *kind = NULL;
	char keyid[HPS_DIGEST_HEX];
	struct hps_digest d;
	int r = hps_leaf_read(s->leaf.data, s->leaf.len, &leaf, err);

	if (r)
		return r;
	hps_digest_of(leaf.spki.data, leaf.spki.len, &d);
	hps_digest_hex(&d, keyid);
	if (!hps_trust_key(c->trust, keyid))
		return hps_error_set(err, HPS_E_SIGNATURE, "it is signed by the key '%s', which the trust file does not name", keyid);
	r = hps_envelope_verify(&s->envelope, hps_trust_key(c->trust, keyid), err);
	if (!r)
		r = hps_json_parse(s->envelope.payload.data, s->envelope.payload.len, &statement, err);
	if (!r)
		r = hps_statement_check(statement, err);
	if (!r)
		r = hps_tlog_proof_check(&s->proof, &c->trust->policy, s->leaf.data, s->leaf.len, c->now, c->max_age, &checkpoint, err);
	if (r)
		return r;
	kind = hps_statement_kind(statement);
	if (!hps_trust_kind(c->trust, keyid, kind))
		return hps_error_set(err, HPS_E_SIGNATURE, "the key '%s' may not sign statements of the kind '%s'", keyid, kind);
	hps_strv_addf(&c->out->lines, "%s: entry %llu of '%s' (%s), signed by '%.12s', in the tree of %llu entries", name, (unsigned long long)s->proof.index,
		      checkpoint.origin, kind, keyid, (unsigned long long)checkpoint.size);
	return 0;
}

static int check_entry(struct checking *c, const char *name)
{
	_cleanup_(hps_sigstore_release) struct hps_sigstore s = HPS_SIGSTORE_INIT;
	_cleanup_free_ char *file = hps_format("%s.sigstore.json", name);
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_file_read(c->dirfd, file, HPS_SIGSTORE_MAX, &text, &error);

	if (!r)
		r = hps_sigstore_read(text.data, text.len, &s, &error);
	if (!r)
		r = check_bundle(c, name, &s, &error);
	if (!r && c->note.len && (c->note.len != s.proof.note.len || memcmp(c->note.data, s.proof.note.data, c->note.len) != 0))
		r = hps_error_set(&error, HPS_E_DAMAGED, "its checkpoint is another than that of the entry");
	if (!r && !c->note.len)
		hps_buf_add(&c->note, s.proof.note.data, s.proof.note.len);
	if (!r)
		r = hps_evidence_entry(&c->derived, name, &s, &c->trust->log, &error);
	if (r)
		problem(c, r, file, error.message);
	return r;
}

/* The begin entry is the one that the trial names. */
static void check_begin(struct checking *c)
{
	const struct hps_buf *entry = hps_evidence_file(&c->derived, "entry.statement.json"), *begin;
	_cleanup_json_ json_t *statement = NULL;
	const char *wanted;
	char id[HPS_DIGEST_HEX];
	struct hps_digest d;

	if (!entry || hps_json_parse(entry->data, entry->len, &statement, NULL))
		return;
	wanted = hps_json_text(json_object_get(statement, "predicate"), "begin");
	if (!wanted || check_entry(c, "begin"))
		return;
	begin = hps_evidence_file(&c->derived, "begin.pae");
	hps_digest_of(begin->data, begin->len, &d);
	hps_digest_hex(&d, id);
	if (strcmp(id, wanted) != 0)
		problem(c, HPS_E_DAMAGED, "begin.sigstore.json", "it is not the begin entry that the trial names");
}

static void check_timestamp(struct checking *c)
{
	const struct hps_buf *text = hps_evidence_file(&c->derived, "checkpoint.txt");
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf reply = HPS_BUF_INIT;
	char time[HPS_TIME_LEN];
	int64_t ns;
	int r = hps_file_read(c->dirfd, "checkpoint.tsr", HPS_TIMESTAMP_MAX, &reply, &error);

	if (r == -ENOENT || !text)
		return;
	if (!r && !c->trust->authorities.len) {
		hps_strv_add(&c->out->lines, "checkpoint.tsr: not checked, the trust file names no timestamp authority");
		return;
	}
	if (!r)
		r = hps_timestamp_check(reply.data, reply.len, text->data, text->len, c->trust->authorities.data, c->trust->authorities.len, &ns, &error);
	if (r) {
		problem(c, r, "checkpoint.tsr", error.message);
		return;
	}
	hps_time_format(ns, time);
	hps_strv_addf(&c->out->lines, "checkpoint.tsr: the checkpoint existed at %s", time);
}

/* Nothing in the folder says something else than the bundle. */
static void compare_files(struct checking *c)
{
	for (size_t i = 0; i < c->derived.n; i++) {
		const struct hps_evidence_file *f = &c->derived.files[i];
		_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
		_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;
		int r = hps_file_read(c->dirfd, f->name, HPS_SIGSTORE_MAX, &bytes, &error);

		if (r)
			problem(c, r == -ENOENT ? HPS_E_DAMAGED : r, f->name, error.message);
		else if (bytes.len != f->bytes.len || (bytes.len && memcmp(bytes.data, f->bytes.data, bytes.len) != 0))
			problem(c, HPS_E_DAMAGED, f->name, "it is not what follows from the bundle and the trust file");
	}
}

int hps_evidence_check(int dirfd, struct hps_trust *trust, uint64_t now, uint64_t max_age, struct hps_checked *ret, struct hps_error *err)
{
	struct checking c = { .dirfd = dirfd, .trust = trust, .now = now, .max_age = max_age ? max_age : trust->max_age, .out = ret };
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	int r;

	if (faccessat(dirfd, "entry.sigstore.json", F_OK, 0) && errno == ENOENT)
		return hps_error_set(err, HPS_E_NOTFOUND, "there is no evidence in this folder: 'entry.sigstore.json' is missing; 'hps-ledger prove' makes such folders, a ledger is checked by 'hps-ledger verify'");
	hps_buf_init(&c.note, HPS_NOTE_MAX + 1);
	if (!follow(&c, trust) && !check_entry(&c, "entry")) {
		check_begin(&c);
		r = hps_evidence_ledger(&c.derived, trust, &c.note, &error);
		if (r)
			problem(&c, r, "checkpoint", error.message);
		check_timestamp(&c);
		compare_files(&c);
	}
	hps_buf_release(&c.note);
	hps_evidence_release(&c.derived);
	return 0;
}
