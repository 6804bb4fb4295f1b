/* Verification of one entry: the envelope beside its leaf, the signature, the statement. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry_check {
	struct hps_verifier *v;
	uint64_t index;
	char id[HPS_DIGEST_HEX];
	char file[HPS_TILE_PATH + 8];
	bool clean, counts;
};

static void problem(struct entry_check *c, const char *what, const char *detail)
{
	c->clean = false;
	hps_problem_add(c->v, (int64_t)c->index, c->id, c->file, "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
}

/* Whether it was withdrawn is only known at the end. */
static void note_missing(struct entry_check *c)
{
	struct hps_verifier *v = c->v;

	v->missing = hps_grow(v->missing, v->n_missing, sizeof *v->missing);
	v->missing[v->n_missing].index = c->index;
	memcpy(v->missing[v->n_missing++].id, c->id, sizeof c->id);
}

void hps_verify_missing(struct hps_verifier *v)
{
	for (size_t i = 0; i < v->n_missing; i++) {
		const struct hps_missing *m = &v->missing[i];
		_cleanup_free_ char *file = hps_format("tiles/envelope/%s.json", m->id);

		if (!hps_map_get(&v->withdrawn, m->id)) {
			hps_problem_add(v, (int64_t)m->index, m->id, file, "the envelope of this entry is missing: withheld or lost");
			continue;
		}
		v->found->withdrawn = hps_grow(v->found->withdrawn, v->found->n_withdrawn, sizeof *v->found->withdrawn);
		memcpy(v->found->withdrawn[v->found->n_withdrawn++], m->id, sizeof m->id);
	}
}

static bool read_envelope(struct entry_check *c, struct hps_buf *text, struct hps_envelope *e)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	int r = hps_file_read(c->v->tilesfd, c->file + strlen("tiles/"), HPS_ENVELOPE_MAX, text, &error);

	if (r == -ENOENT)
		note_missing(c);
	else if (r)
		problem(c, "the envelope of this entry cannot be read", error.message);
	else if (hps_envelope_read_stored(text->data, text->len, e, &error))
		problem(c, "the envelope of this entry is damaged", error.message);
	else
		return true;
	return false;
}

/* The leaf binds the statement, the signature and the key: each is compared, none is taken from the envelope. */
static bool fits_leaf(struct entry_check *c, const struct hps_envelope *e, const struct hps_leaf *leaf)
{
	char keyid[HPS_DIGEST_HEX];
	struct hps_digest d;

	hps_envelope_id(e, &d);
	if (!hps_digest_equal(&d, &leaf->id)) {
		problem(c, "the statement of this entry is not the one that was logged", NULL);
		return false;
	}
	if (e->signature.len != leaf->signature.len || memcmp(e->signature.data, leaf->signature.data, e->signature.len) != 0) {
		problem(c, "the signature of this entry is not the one that was logged", NULL);
		return false;
	}
	hps_digest_of(leaf->spki.data, leaf->spki.len, &d);
	hps_digest_hex(&d, keyid);
	if (strcmp(keyid, e->keyid) != 0) {
		problem(c, "the key of this entry is not the one that was logged", NULL);
		return false;
	}
	return true;
}

/* With the key that was logged; whether that key might sign it is judged at the end, when all changes of keys are known. */
static void check_signature(struct entry_check *c, const struct hps_envelope *e, const struct hps_leaf *leaf)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_key_ struct hps_key *other = NULL;
	const struct hps_key *key = hps_trust_key(&c->v->trust, e->keyid);

	if (!key && !hps_key_from_spki(leaf->spki.data, leaf->spki.len, &other, &error))
		key = other;
	if (!key)
		problem(c, "the key of this entry is not one", error.message);
	else if (hps_envelope_verify(e, key, &error))
		problem(c, "the signature of this entry does not verify", error.message);
}

static json_t *read_statement(struct entry_check *c, const struct hps_envelope *e)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	json_t *statement = NULL;

	if (hps_json_parse(e->payload.data, e->payload.len, &statement, &error) || hps_statement_check(statement, &error))
		problem(c, "this entry is not an in-toto statement", error.message);
	return statement;
}

static void claim_id(struct entry_check *c)
{
	void **slot = hps_map_slot(&c->v->ids, c->id);

	if (*slot)
		hps_problem_add(c->v, (int64_t)c->index, c->id, NULL, "this entry has the same statement as entry %llu", (unsigned long long)((uintptr_t)*slot - 1));
	else
		*slot = (void *)((uintptr_t)c->index + 1);
}

/* Only a whole entry by a trusted key excuses a missing envelope. */
static void note_withdrawal(struct entry_check *c, const struct hps_entry *e)
{
	const char *id = hps_json_text(json_object_get(e->statement, "predicate"), "withdrawn");

	if (id && c->clean && !strcmp(e->kind, "withdraw"))
		*hps_map_slot(&c->v->withdrawn, id) = c->v;
}

static void check_statement(struct entry_check *c, const struct hps_envelope *e, const struct hps_leaf *leaf, struct hps_row *row)
{
	_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
	_cleanup_json_ json_t *statement = read_statement(c, e);

	if (!statement)
		return;
	entry.index = c->index;
	memcpy(entry.id, c->id, sizeof entry.id);
	hps_entry_fill(&entry, statement);
	row->entry = &entry;
	row->id = leaf->id;
	if (!hps_digest_parse(e->keyid, &row->keyid))
		hps_verify_database_row(c->v, row);
	hps_verify_objects(c->v, &entry);
	note_withdrawal(c, &entry);
	hps_authority_note(&c->v->authority, c->index, e->keyid, entry.kind, statement, c->counts && c->clean);
	row->entry = NULL;
}

void hps_verify_entry(struct hps_verifier *v, uint64_t index, const void *data, size_t len, bool counts)
{
	struct entry_check c = { .v = v, .index = index, .clean = true, .counts = counts };
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	struct hps_row row = { .index = index, .leaf = data, .leaf_len = len };
	char path[HPS_TILE_PATH];

	if (hps_leaf_read(data, len, &leaf, &error)) {
		hps_problem_add(v, (int64_t)index, NULL, NULL, "%s", error.message);
		return;
	}
	hps_digest_hex(&leaf.id, c.id);
	hps_envelope_path(&leaf.id, path);
	snprintf(c.file, sizeof c.file, "tiles/%s", path);
	claim_id(&c);
	if (v->options->skip_bodies) {
		if (faccessat(v->tilesfd, path, R_OK, AT_SYMLINK_NOFOLLOW))
			note_missing(&c);
		else
			v->found->n_checked += counts;
		return;
	}
	if (!read_envelope(&c, &text, &e) || !fits_leaf(&c, &e, &leaf))
		return;
	check_signature(&c, &e, &leaf);
	row.envelope = text.data;
	row.envelope_len = text.len;
	check_statement(&c, &e, &leaf, &row);
	v->found->n_checked += counts && c.clean;
}

/* The same of an entry that is only in the journal so far. */
static bool read_pending(struct entry_check *c, const struct hps_journal_entry *pending, struct hps_envelope *e)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;

	if (!hps_envelope_read_stored((const char *)pending->envelope, pending->envelope_len, e, &error))
		return true;
	problem(c, "the envelope of this entry is damaged", error.message);
	return false;
}

void hps_verify_pending(struct hps_verifier *v, uint64_t index, const struct hps_journal_entry *pending)
{
	struct entry_check c = { .v = v, .index = index, .file = "journal", .clean = true, .counts = true };
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	struct hps_row row = { .index = index };
	struct hps_store *store = v->store;

	if (hps_leaf_read(pending->leaf, pending->leaf_len, &leaf, &error)) {
		hps_problem_add(v, (int64_t)index, NULL, c.file, "%s", error.message);
		return;
	}
	hps_digest_hex(&leaf.id, c.id);
	claim_id(&c);
	if (!read_pending(&c, pending, &e) || !fits_leaf(&c, &e, &leaf))
		return;
	if (!hps_digest_equal(&leaf.id, &pending->id))
		problem(&c, "the journal names another statement", NULL);
	check_signature(&c, &e, &leaf);
	v->store = NULL; /* it has no row yet, or one that nobody relies on */
	check_statement(&c, &e, &leaf, &row);
	v->store = store;
	v->found->n_checked += c.clean;
}

/* ---- leaves made again from envelopes ---- */

bool hps_verify_derive(struct hps_verifier *v, const char *id, struct hps_buf *ret_leaf)
{
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *path = hps_format("envelope/%s.json", id);
	const struct hps_key *key;
	struct hps_digest found;

	if (hps_file_read(v->tilesfd, path, HPS_ENVELOPE_MAX, &text, NULL) || hps_envelope_read_stored(text.data, text.len, &e, NULL))
		return false;
	key = hps_trust_key(&v->trust, e.keyid);
	if (!key)
		return false;
	hps_envelope_id(&e, &found);
	hps_leaf_write(&found, &e.signature, key, ret_leaf);
	return true;
}

static void try_orphan(struct hps_verifier *v, const char *id)
{
	_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT;
	struct hps_digest hash;

	if (!hps_verify_derive(v, id, &leaf))
		return;
	hps_merkle_leaf(leaf.data, leaf.len, &hash);
	for (size_t i = 0; i < v->n_suspects; i++) {
		struct hps_suspect *s = &v->suspects[i];

		if (s->settled || !s->has_hash || !hps_digest_equal(&hash, &s->tile))
			continue;
		hps_verify_report_leaf(v, s, id);
		s->settled = true;
		v->hash[s->index] = s->tile;
		hps_verify_entry(v, s->index, leaf.data, leaf.len, false);
		return;
	}
}

void hps_verify_orphans(struct hps_verifier *v)
{
	int fd = openat(v->tilesfd, "envelope", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_free_ char *id = hps_strndup(e->d_name, HPS_DIGEST_HEX - 1);
		struct hps_digest digest;

		if (!hps_digest_parse(id, &digest) && !strcmp(e->d_name + HPS_DIGEST_HEX - 1, ".json") && !hps_map_get(&v->ids, id))
			try_orphan(v, id);
	}
	if (d)
		closedir(d);
}
