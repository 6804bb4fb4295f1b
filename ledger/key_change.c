/* A change of keys until it is an entry: drafted, signed by a new key and by root keys, made a statement, and appended. */
#include "ledger/ledger.h"

#include <string.h>

#define CHANGE_TYPE "application/vnd.hps.key-change+json"

void hps_key_change_pae(const json_t *change, struct hps_buf *out)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (!hps_json_canonical(change, &text, NULL))
		hps_pae(CHANGE_TYPE, text.data, text.len, out);
}

int hps_key_change_sign(const struct hps_key *key, const json_t *change, struct hps_buf *out, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf pae = HPS_BUF_INIT, sig = HPS_BUF_INIT;
	int r;

	hps_key_change_pae(change, &pae);
	r = hps_key_sign(key, pae.data, pae.len, &sig, err);
	if (!r)
		hps_base64(out, sig.data, sig.len);
	return r;
}

static json_t *begin(const struct hps_key_change *c, const char *action, const char *keyid)
{
	json_t *change = json_object();

	hps_json_set_text(change, "action", action);
	hps_json_set_text(change, "origin", c->origin);
	hps_json_set_int(change, "number", (int64_t)c->number);
	hps_json_set_text(change, "keyid", keyid);
	hps_json_set_text(change, "reason", c->reason);
	return change;
}

static json_t *draft_of(json_t *change)
{
	json_t *draft = json_object();

	hps_json_set(draft, "change", change);
	hps_json_set(draft, "approvals", json_array());
	return draft;
}

static int introduce(const struct hps_key_change *c, const char *action, const struct hps_key *key, const struct hps_strv *kinds, json_t **ret_draft, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT, encoded = HPS_BUF_INIT, possession = HPS_BUF_INIT;
	_cleanup_json_ json_t *draft = NULL;
	char keyid[HPS_DIGEST_HEX];
	json_t *change;
	int r;

	hps_key_id(key, keyid);
	hps_key_spki(key, &spki);
	hps_base64(&encoded, spki.data, spki.len);
	draft = draft_of(change = begin(c, action, keyid));
	hps_json_set_text(change, "publicKey", encoded.data);
	if (kinds->n)
		hps_json_set(change, "kinds", json_array());
	for (size_t i = 0; i < kinds->n; i++)
		hps_json_add(json_object_get(change, "kinds"), json_string(kinds->v[i]));
	r = hps_key_change_sign(key, change, &possession, err);
	if (r)
		return r;
	hps_json_set_text(draft, "possession", possession.data);
	*ret_draft = hps_take(draft);
	return 0;
}

int hps_key_change_add(const struct hps_key_change *c, const struct hps_key *key, const struct hps_strv *kinds, json_t **ret_draft, struct hps_error *err)
{
	return introduce(c, "add", key, kinds, ret_draft, err);
}

int hps_key_change_log(const struct hps_key_change *c, const struct hps_key *key, json_t **ret_draft, struct hps_error *err)
{
	static const struct hps_strv none = HPS_STRV_INIT;

	return introduce(c, "log", key, &none, ret_draft, err);
}

json_t *hps_key_change_revoke(const struct hps_key_change *c, const char *keyid)
{
	return draft_of(begin(c, "revoke", keyid));
}

json_t *hps_key_change_statement(const json_t *draft)
{
	json_t *statement = hps_statement_new(HPS_PREDICATE_KEY), *subject = json_object(), *digest = json_object();
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)draft, name, value)
		hps_json_set(json_object_get(statement, "predicate"), name, json_incref((json_t *)(uintptr_t)value));
	hps_json_set_text(digest, "sha256", hps_json_text(json_object_get(draft, "change"), "keyid"));
	hps_json_set_text(subject, "name", "key");
	hps_json_set(subject, "digest", digest);
	hps_json_add(json_object_get(statement, "subject"), subject);
	return statement;
}

/* ---- appending ---- */

struct hps_key_change hps_key_change_next(struct hps_ledger *l, const struct hps_keyring *ring, const char *reason)
{
	return (struct hps_key_change){ l->trust.origin, ring->changes, reason };
}

void hps_key_changes_release(struct hps_key_changes *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(c->drafts); i++)
		json_decref(c->drafts[i]);
	memset(c, 0, sizeof *c);
}

int hps_key_changes_append(struct hps_ledger *l, struct hps_keyring *ring, struct hps_key_changes *c, struct hps_error *err)
{
	json_t *statements[ARRAY_SIZE(c->drafts)] = { NULL };
	int r = 0;

	for (size_t i = 0; !r && i < c->n; i++) {
		statements[i] = hps_key_change_statement(c->drafts[i]);
		r = hps_keyring_apply(ring, hps_ledger_size(l) + i, statements[i], err);
	}
	if (!r)
		r = hps_ledger_append_all(l, (const json_t *const *)statements, c->n, NULL, c->indexes, err);
	for (size_t i = 0; i < c->n; i++)
		json_decref(statements[i]);
	return r;
}
