/* Verification of one entry: the envelope beside its leaf, the signature, the statement; and what the entry means for the others. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEYS_KEPT 256 /* by each thread */

struct entry_check {
	const struct hps_verifier *v;
	struct hps_verify_thread *t;
	struct hps_reading *found;
	char id[HPS_DIGEST_HEX];
	char file[HPS_TILE_PATH + 8];
};

void hps_reading_release(struct hps_reading *r)
{
	for (size_t i = 0; i < r->problems.n; i++) {
		free(r->problems.items[i].id);
		free(r->problems.items[i].file);
		free(r->problems.items[i].what);
	}
	free(r->problems.items);
	free(r->kind);
	free(r->withdrawn);
	json_decref(r->change);
	hps_strv_release(&r->manifests);
	memset(r, 0, sizeof *r);
}

static void problem(struct entry_check *c, const char *what, const struct hps_error *e)
{
	c->found->clean = false;
	if (e)
		hps_problems_add_error(&c->found->problems, (int64_t)c->found->index, c->id, c->file, what, e);
	else
		hps_problems_add(&c->found->problems, (int64_t)c->found->index, c->id, c->file, "%s", what);
}

static bool read_envelope(struct entry_check *c, struct hps_buf *text, struct hps_envelope *e)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	int r = hps_file_read(c->v->tilesfd, c->file + strlen("tiles/"), HPS_ENVELOPE_MAX, text, &error);

	if (r == -ENOENT)
		c->found->missing = true;
	else if (r)
		problem(c, "the envelope of this entry cannot be read", &error);
	else if (hps_envelope_read_stored(text->data, text->len, e, &error))
		problem(c, "the envelope of this entry is damaged", &error);
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

static void forget_keys(struct hps_verify_thread *t)
{
	for (size_t i = 0; i < t->keys.n; i++)
		hps_key_free(t->keys.items[i].value);
	hps_map_release(&t->keys);
}

void hps_verify_thread_release(struct hps_verify_thread *t)
{
	forget_keys(t);
	hps_store_close(t->store);
	t->store = NULL;
}

/* With the key that was logged; whether that key might sign it is judged at the end, when all changes of keys are known. */
static void check_signature(struct entry_check *c, const struct hps_envelope *e, const struct hps_leaf *leaf)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	struct hps_key *key = hps_map_get(&c->t->keys, e->keyid);

	if (!key && hps_key_from_spki(leaf->spki.data, leaf->spki.len, &key, &error)) {
		problem(c, "the key of this entry is not one", &error);
		return;
	}
	if (!hps_map_get(&c->t->keys, e->keyid)) {
		if (c->t->keys.n == KEYS_KEPT)
			forget_keys(c->t);
		*hps_map_slot(&c->t->keys, e->keyid) = key;
	}
	if (hps_envelope_verify(e, key, &error))
		problem(c, "the signature of this entry does not verify", &error);
}

static json_t *read_statement(struct entry_check *c, const struct hps_envelope *e)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	json_t *statement = NULL;

	if (hps_json_parse(e->payload.data, e->payload.len, &statement, &error) || hps_statement_check(statement, &error))
		problem(c, "this entry is not an in-toto statement", &error);
	return statement;
}

/* What others need to know of it. Only a whole entry by a trusted key excuses a missing envelope. */
static void keep(struct entry_check *c, const struct hps_envelope *e, const struct hps_entry *entry)
{
	const char *withdrawn = hps_json_text(json_object_get(entry->statement, "predicate"), "withdrawn");
	struct hps_reading *r = c->found;

	memcpy(r->keyid, e->keyid, sizeof r->keyid);
	r->kind = hps_strdup(entry->kind);
	if (!strcmp(entry->kind, "key"))
		r->change = json_incref(entry->statement);
	if (withdrawn && r->clean && !strcmp(entry->kind, "withdraw"))
		r->withdrawn = hps_strdup(withdrawn);
	if (c->v->objects)
		hps_verify_manifests(entry, &r->manifests);
}

static void check_statement(struct entry_check *c, const struct hps_envelope *e, struct hps_row *row)
{
	_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
	_cleanup_json_ json_t *statement = read_statement(c, e);

	if (!statement)
		return;
	entry.index = c->found->index;
	memcpy(entry.id, c->id, sizeof entry.id);
	hps_entry_fill(&entry, statement);
	row->entry = &entry;
	row->id = c->found->id;
	if (c->t->store && !hps_digest_parse(e->keyid, &row->keyid))
		hps_verify_database_row(c->t->store, row, &c->found->problems);
	keep(c, e, &entry);
}

static void look_for_envelope(struct entry_check *c, const char *path)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;

	if (!faccessat(c->v->tilesfd, path, R_OK, AT_SYMLINK_NOFOLLOW))
		return;
	c->found->missing = errno == ENOENT;
	hps_error_errno(&error, "'%s'", path);
	if (!c->found->missing)
		problem(c, "the envelope of this entry cannot be read", &error);
}

void hps_verify_entry(const struct hps_verifier *v, struct hps_verify_thread *t, uint64_t index, const void *data, size_t len, struct hps_reading *ret)
{
	struct entry_check c = { .v = v, .t = t, .found = ret };
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	struct hps_row row = { .index = index, .leaf = data, .leaf_len = len };
	char path[HPS_TILE_PATH];

	*ret = (struct hps_reading){ .index = index, .clean = true };
	if (hps_leaf_read(data, len, &leaf, &error)) {
		hps_problems_add(&ret->problems, (int64_t)index, NULL, NULL, "%s", error.message);
		ret->clean = false;
		return;
	}
	ret->id = leaf.id;
	ret->has_id = true;
	hps_digest_hex(&leaf.id, c.id);
	hps_envelope_path(&leaf.id, path);
	snprintf(c.file, sizeof c.file, "tiles/%s", path);
	if (v->options->skip_bodies) {
		look_for_envelope(&c, path);
		return;
	}
	if (!read_envelope(&c, &text, &e) || !fits_leaf(&c, &e, &leaf))
		return;
	check_signature(&c, &e, &leaf);
	row.envelope = text.data;
	row.envelope_len = text.len;
	check_statement(&c, &e, &row);
}

/* ---- taken in the order of the log ---- */

/* Whether it was withdrawn is only known at the end. */
static void note_missing(struct hps_verifier *v, const struct hps_reading *r)
{
	v->missing = hps_grow(v->missing, v->n_missing, sizeof *v->missing);
	v->missing[v->n_missing++] = (struct hps_missing){ r->index, r->id };
}

void hps_verify_missing(struct hps_verifier *v)
{
	struct hps_verification *f = v->found;

	for (size_t i = 0; i < v->n_missing; i++) {
		const struct hps_missing *m = &v->missing[i];
		_cleanup_free_ char *file = NULL;
		char id[HPS_DIGEST_HEX];

		hps_digest_hex(&m->id, id);
		if (!hps_map_get(&v->withdrawn, id)) {
			file = hps_format("tiles/envelope/%s.json", id);
			hps_problem_add_if_read(v, HPS_UNREAD_ENVELOPES | HPS_UNREAD_LEAVES | HPS_UNREAD_JOURNAL, UINT64_MAX, (int64_t)m->index, id, file,
						"the envelope of this entry is missing: withheld or lost"); /* the entry that withdrew it may be anywhere */
			continue;
		}
		f->withdrawn = hps_grow(f->withdrawn, f->n_withdrawn, sizeof *f->withdrawn);
		memcpy(f->withdrawn[f->n_withdrawn++], id, sizeof id);
	}
}

static void take_problems(struct hps_verifier *v, const struct hps_problems *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct hps_problem *p = &list->items[i];
		const struct hps_error e = { p->unread ? HPS_E_UNDECIDED : HPS_E_DAMAGED, p->what };

		hps_problem_add_error(v, p->index, p->id, p->file, NULL, &e);
	}
}

void hps_verify_take(struct hps_verifier *v, struct hps_reading *r)
{
	bool whole = r->has_id && r->clean && !r->missing;

	take_problems(v, &r->problems);
	if (r->has_id)
		hps_ids_note(v, r->index, &r->id);
	if (r->missing)
		note_missing(v, r);
	if (r->withdrawn)
		*hps_map_slot(&v->withdrawn, r->withdrawn) = v;
	v->found->n_checked += r->counts && whole;
	if (r->kind) {
		hps_authority_note(&v->authority, r, r->counts && r->clean);
		hps_verify_objects(v, r);
	}
	hps_reading_release(r);
}

/* ---- an entry that is only in the journal so far ---- */

static bool read_pending(struct entry_check *c, const struct hps_journal_entry *pending, struct hps_envelope *e)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;

	if (!hps_envelope_read_stored((const char *)pending->envelope, pending->envelope_len, e, &error))
		return true;
	problem(c, "the envelope of this entry is damaged", &error);
	return false;
}

static void check_pending(struct entry_check *c, const struct hps_journal_entry *pending)
{
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	struct hps_row row = { .index = c->found->index };

	if (hps_leaf_read(pending->leaf, pending->leaf_len, &leaf, &error)) {
		problem(c, NULL, &error);
		return;
	}
	c->found->id = leaf.id;
	c->found->has_id = true;
	hps_digest_hex(&leaf.id, c->id);
	if (!read_pending(c, pending, &e) || !fits_leaf(c, &e, &leaf))
		return;
	if (!hps_digest_equal(&leaf.id, &pending->id))
		problem(c, "the journal names another statement", NULL);
	check_signature(c, &e, &leaf);
	check_statement(c, &e, &row);
}

void hps_verify_pending(struct hps_verifier *v, uint64_t index, const struct hps_journal_entry *pending)
{
	struct hps_reading found = { .index = index, .clean = true, .counts = true };
	struct hps_verify_thread alone = { .store = NULL, .keys = v->own.keys }; /* it has no row yet, or one that nobody relies on */
	struct entry_check c = { .v = v, .t = &alone, .found = &found, .file = "journal" };

	check_pending(&c, pending);
	v->own.keys = alone.keys;
	hps_verify_take(v, &found);
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
