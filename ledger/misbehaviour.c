/* Evidence that a log did what no log may do: two of its signed checkpoints in one file, which anybody with its key can judge. */
#include "ledger/ledger.h"

#include <string.h>

#define SCHEMA "hps.misbehaviour/1"

static json_t *hashes_of(const struct hps_proof *p)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < p->n; i++) {
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		hps_base64(&text, p->hash[i].b, HPS_DIGEST_LEN);
		hps_json_add(list, json_string(text.data));
	}
	return list;
}

static void add_handovers(const struct hps_misbehaviour *m, json_t *j)
{
	_cleanup_strv_ struct hps_strv notes = HPS_STRV_INIT;

	hps_vkey_handovers(m->log, &notes);
	if (notes.n)
		hps_json_set(j, "handovers", hps_handovers_json(&notes));
	if (m->handovers)
		hps_json_set(j, "handoversBefore", hps_handovers_json(m->handovers));
}

int hps_misbehaviour_write(int dirfd, const char *name, const struct hps_misbehaviour *m, struct hps_error *err)
{
	_cleanup_free_ char *vkey = hps_vkey_format(m->log->name, m->log->key);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = json_object();
	char time[HPS_TIME_LEN];
	int r;

	hps_time_format(hps_time_now_ns(), time);
	hps_json_set_text(j, "schema", SCHEMA);
	hps_json_set_text(j, "kind", m->kind);
	hps_json_set_text(j, "what", m->what);
	hps_json_set_text(j, "log", vkey);
	hps_json_set_text(j, "seen", time);
	hps_json_set_text(j, "first", m->first && m->first->len ? m->first->data : NULL);
	hps_json_set_text(j, "second", m->second && m->second->len ? m->second->data : NULL);
	if (m->proof)
		hps_json_set(j, "consistency", hashes_of(m->proof));
	add_handovers(m, j);
	r = hps_json_canonical(j, &text, err);
	return r ? r : hps_file_write(dirfd, name, 0644, text.data, text.len, err);
}

int hps_misbehaviour_proof(const struct hps_tiles *tiles, uint64_t old, struct hps_proof *ret, struct hps_error *err)
{
	struct hps_tiles copy = *tiles;
	struct hps_merkle_source source = { hps_tiles_node, &copy };
	struct hps_merkle tree;
	int r = hps_merkle_prove_consistency(&source, old, tiles->size, ret, err);

	if (r || (old & (old - 1)) || ret->n == HPS_PROOF_MAX)
		return r;
	r = hps_merkle_load(&source, old, &tree, err);
	if (r)
		return r;
	memmove(ret->hash + 1, ret->hash, ret->n++ * sizeof ret->hash[0]);
	hps_merkle_root(&tree, &ret->hash[0]);
	return 0;
}

static int read_proof(const json_t *list, struct hps_proof *ret, struct hps_error *err)
{
	const json_t *item;
	size_t i;

	ret->n = 0;
	json_array_foreach(list, i, item) {
		_cleanup_buf_ struct hps_buf hash = HPS_BUF_INIT;
		const char *text = json_string_value(item);

		if (i == HPS_PROOF_MAX || !text || hps_unbase64(&hash, text, strlen(text), false) || hash.len != HPS_DIGEST_LEN)
			return hps_error_set(err, HPS_E_FORMAT, "reading evidence: 'consistency' is not a list of hashes");
		memcpy(ret->hash[ret->n++].b, hash.data, HPS_DIGEST_LEN);
	}
	return 0;
}

struct shown {
	struct hps_checkpoint c;
	bool beyond; /* a former key has signed it, though it had been replaced at a smaller tree */
};

static int read_note(const json_t *j, const char *name, const struct hps_vkey *log, struct shown *ret, struct hps_error *err)
{
	const char *note = hps_json_text(j, name);

	if (!note)
		return hps_error_set(err, HPS_E_FORMAT, "reading evidence: '%s' is missing", name);
	return hps_checkpoint_open_any(note, strlen(note), log, &ret->c, &ret->beyond, err);
}

/* The proof leads from some old root to the second checkpoint: when that old root is not the first checkpoint's, the second tree does
 * not continue the first. It begins with the first subtree also where RFC 9162 leaves that out (an old size that is a power of two). */
static int old_root(const struct hps_checkpoint *first, const struct hps_checkpoint *second, const struct hps_proof *p, struct hps_digest *ret)
{
	uint64_t at = first->size - 1, last = second->size - 1;
	struct hps_digest old_hash, new_hash;

	if (!p->n)
		return HPS_E_UNDECIDED;
	for (; at & 1; at >>= 1)
		last >>= 1;
	old_hash = new_hash = p->hash[0];
	for (unsigned i = 1; i < p->n; i++) {
		if (last == 0)
			return HPS_E_FORMAT;
		if (at & 1 || at == last) {
			hps_merkle_node(&p->hash[i], &old_hash, &old_hash);
			hps_merkle_node(&p->hash[i], &new_hash, &new_hash);
			for (; !(at & 1) && at; at >>= 1)
				last >>= 1;
		} else {
			hps_merkle_node(&new_hash, &p->hash[i], &new_hash);
		}
		at >>= 1;
		last >>= 1;
	}
	if (last || !hps_digest_equal(&new_hash, &second->root))
		return HPS_E_FORMAT;
	*ret = old_hash;
	return 0;
}

/* A handover is signed as a checkpoint is: it says which tree of its size is the log's. */
static bool contradicts_handover(const struct hps_vkey *log, const struct hps_checkpoint *c)
{
	for (; log->former; log = log->former)
		if (c->size == log->former_until && !hps_digest_equal(&c->root, &log->former_root))
			return true;
	return false;
}

static int judge(const json_t *j, const struct hps_vkey *log, const struct shown *a, const struct shown *b, struct hps_error *err)
{
	const struct hps_checkpoint *first = &a->c, *second = &b->c;
	struct hps_proof proof;
	struct hps_digest root;
	int r;

	if (first->size == second->size && !hps_digest_equal(&first->root, &second->root))
		return hps_error_set(err, HPS_E_FALSE, "fork: '%s' signed two trees of %llu entries", log->name, (unsigned long long)first->size);
	if (a->beyond || b->beyond)
		return hps_error_set(err, HPS_E_FALSE, "fork: a former key of '%s' signed a tree of %llu entries, and had been replaced at a smaller one", log->name,
				     (unsigned long long)(a->beyond ? first : second)->size);
	if (contradicts_handover(log, first) || contradicts_handover(log, second))
		return hps_error_set(err, HPS_E_FALSE, "fork: '%s' signed another tree than the one that its key was handed over at", log->name);
	r = read_proof(json_object_get(j, "consistency"), &proof, err);
	if (r)
		return r;
	if (first->size && first->size < second->size && !old_root(first, second, &proof, &root) && !hps_digest_equal(&root, &first->root))
		return hps_error_set(err, HPS_E_FALSE, "fork: '%s' signed a tree of %llu entries that does not continue the one of %llu which it signed before", log->name,
				     (unsigned long long)second->size, (unsigned long long)first->size);
	return 0;
}

/* What no signature says: it is the word of whoever wrote the file. */
static const char *claim_of(const char *kind)
{
	static const struct {
		const char *kind, *claim;
	} table[] = {
		{ "rollback", "that the smaller was shown after the larger" },
		{ "freeze", "that nothing newer was shown then" },
		{ "mix-and-match", "that the tiles beside it were of another tree" },
		{ "fast-forward", "that the tiles for it were not there" },
		{ "fork", "that one does not continue the other" },
	};

	for (size_t i = 0; kind && i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].kind, kind))
			return table[i].claim;
	return NULL;
}

static int say_what_holds(const json_t *j, const struct hps_vkey *log, const struct shown *first, const struct shown *second, struct hps_error *err)
{
	const char *kind = hps_json_text(j, "kind"), *claim = claim_of(kind);
	_cleanup_buf_ struct hps_buf sizes = HPS_BUF_INIT;

	if (!claim)
		return hps_error_set(err, HPS_E_FORMAT, "reading evidence: 'kind' is none of a log's");
	if (first->c.origin)
		hps_buf_addf(&sizes, "one of %llu and ", (unsigned long long)first->c.size);
	hps_buf_addf(&sizes, "one of %llu entries", (unsigned long long)second->c.size);
	return hps_error_set(err, HPS_E_UNDECIDED, "%s: it proves nothing by itself: '%s' has signed %s, which an honest log can have done; %s is the word of whoever wrote the file", kind,
			     log->name, sizes.data, claim);
}

static int judge_checkpoints(const json_t *j, const struct hps_vkey *log, struct hps_error *err)
{
	struct shown first = { .beyond = false }, second = { .beyond = false };
	int r = json_object_get(j, "first") ? read_note(j, "first", log, &first, err) : 0;

	if (!r)
		r = read_note(j, "second", log, &second, err);
	if (!r && first.c.origin)
		r = judge(j, log, &first, &second, err);
	if (!r)
		r = say_what_holds(j, log, &first, &second, err);
	hps_checkpoint_release(&first.c);
	hps_checkpoint_release(&second.c);
	return r;
}

/* Either list may be the one that leads from the key that is trusted. */
static int judge_handovers(const json_t *j, struct hps_vkey *log, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv now = HPS_STRV_INIT, before = HPS_STRV_INIT;
	int r = hps_handovers_from_json(json_object_get(j, "handovers"), &now, err);

	if (!r)
		r = hps_handovers_from_json(json_object_get(j, "handoversBefore"), &before, err);
	if (!r)
		r = hps_vkey_follow(log, &now, err);
	if (!r && !log->former)
		r = hps_vkey_follow(log, &before, err);
	if (r || !log->former || !hps_handovers_conflict(&now, &before))
		return r;
	return hps_error_set(err, HPS_E_FALSE, "fork: a key of '%s' was handed over in two ways", log->name);
}

int hps_misbehaviour_check(const char *text, size_t len, const struct hps_vkey *log, struct hps_error *err)
{
	_cleanup_free_ char *vkey = hps_vkey_format(log->name, log->key);
	_cleanup_(hps_vkey_release) struct hps_vkey newest = { 0 };
	_cleanup_json_ json_t *j = NULL;
	const char *schema;
	int r = hps_json_parse(text, len, &j, err);

	if (r)
		return r;
	schema = hps_json_text(j, "schema");
	if (!schema || strcmp(schema, SCHEMA) != 0)
		return hps_error_set(err, HPS_E_FORMAT, "reading evidence: 'schema' is not '" SCHEMA "'");
	r = hps_vkey_parse(vkey, &newest, err);
	if (!r)
		r = judge_handovers(j, &newest, err);
	return r ? r : judge_checkpoints(j, &newest, err);
}
