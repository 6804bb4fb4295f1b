/* Changes of keys as entries, and who might sign what at which index. Order decides, never a clock: a key counts behind the entry that
 * adds it, up to and including the one that revokes it. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

void hps_keyring_release(struct hps_keyring *r)
{
	for (size_t i = 0; i < r->n; i++) {
		hps_strv_release(&r->keys[i].kinds);
		hps_buf_release(&r->keys[i].spki);
	}
	free(r->keys);
	free(r->logs);
	memset(r, 0, sizeof *r);
}

const struct hps_buf *hps_keyring_spki(const struct hps_keyring *r, const char *keyid)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->keys[i].keyid, keyid))
			return &r->keys[i].spki;
	return NULL;
}

static struct hps_keyring_key *find(struct hps_keyring *r, const char *keyid)
{
	for (size_t i = 0; i < r->n; i++)
		if (!strcmp(r->keys[i].keyid, keyid))
			return &r->keys[i];
	return NULL;
}

static struct hps_keyring_key *add(struct hps_keyring *r, const char *keyid, uint64_t from)
{
	r->keys = hps_grow(r->keys, r->n, sizeof *r->keys);
	r->keys[r->n] = (struct hps_keyring_key){ .from = from, .until = UINT64_MAX, .spki = HPS_BUF_INIT };
	snprintf(r->keys[r->n].keyid, HPS_DIGEST_HEX, "%s", keyid);
	return &r->keys[r->n++];
}

void hps_keyring_init(struct hps_keyring *r, const struct hps_trust *trust)
{
	*r = (struct hps_keyring){ .trust = trust };
	for (size_t i = 0; i < trust->n_statement_keys; i++) {
		char keyid[HPS_DIGEST_HEX];
		struct hps_keyring_key *key;

		hps_key_id(trust->statement_keys[i], keyid);
		key = add(r, keyid, 0);
		hps_key_spki(trust->statement_keys[i], &key->spki);
		for (size_t k = 0; k < trust->kinds[i].n; k++)
			hps_strv_add(&key->kinds, trust->kinds[i].v[k]);
	}
}

int hps_keyring_check(struct hps_keyring *r, uint64_t index, const char *keyid, const char *kind, struct hps_error *err)
{
	const struct hps_keyring_key *key = find(r, keyid);

	if (!key)
		return hps_error_set(err, HPS_E_SIGNATURE, "it is signed by a key that the trust file does not name: %s", keyid);
	if (index < key->from)
		return hps_error_set(err, HPS_E_SIGNATURE, "it is signed by the key '%.12s', which was added by a later entry, @%llu", keyid, (unsigned long long)key->from - 1);
	if (index >= key->until)
		return hps_error_set(err, HPS_E_SIGNATURE, "it is signed by the key '%.12s', which entry @%llu had revoked", keyid, (unsigned long long)key->until - 1);
	if (!key->kinds.n)
		return 0;
	for (size_t i = 0; i < key->kinds.n; i++)
		if (!strcmp(key->kinds.v[i], kind))
			return 0;
	return hps_error_set(err, HPS_E_SIGNATURE, "the key '%.12s' may not sign statements of the kind '%s'", keyid, kind);
}

/* ---- changes ---- */

static int wrong(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_SIGNATURE, "this change of keys does not count: %s", what);
}

static bool signed_by(const struct hps_key *key, const struct hps_buf *pae, const char *sig_text)
{
	_cleanup_buf_ struct hps_buf sig = HPS_BUF_INIT;

	return sig_text && !hps_unbase64(&sig, sig_text, strlen(sig_text), false) && !hps_key_verify(key, pae->data, pae->len, sig.data, sig.len, NULL);
}

/* Each root key counts once, however often it has signed. */
static int check_approvals(const struct hps_trust *trust, const json_t *approvals, const struct hps_buf *pae, struct hps_error *err)
{
	size_t n = 0;

	for (size_t i = 0; i < trust->n_root_keys; i++) {
		char keyid[HPS_DIGEST_HEX];
		const json_t *one;
		bool approved = false;
		size_t k;

		hps_key_id(trust->root_keys[i], keyid);
		json_array_foreach(approvals, k, one) {
			const char *who = hps_json_text(one, "keyid");

			approved |= who && !strcmp(who, keyid) && signed_by(trust->root_keys[i], pae, hps_json_text(one, "sig"));
		}
		n += approved;
	}
	if (n >= trust->root_threshold)
		return 0;
	return hps_error_set(err, HPS_E_SIGNATURE, "this change of keys does not count: %zu of the %zu root keys that it needs have approved it", n, trust->root_threshold);
}

static int read_added(const json_t *change, const char *keyid, const json_t *predicate, const struct hps_buf *pae, struct hps_error *err)
{
	const char *text = hps_json_text(change, "publicKey");
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT;
	_cleanup_key_ struct hps_key *key = NULL;
	char id[HPS_DIGEST_HEX];

	if (!text || hps_unbase64(&spki, text, strlen(text), false) || hps_key_from_spki(spki.data, spki.len, &key, NULL))
		return wrong(err, "it has no public key");
	hps_key_id(key, id);
	if (strcmp(id, keyid) != 0)
		return wrong(err, "its key has another id");
	if (!signed_by(key, pae, hps_json_text(predicate, "possession")))
		return wrong(err, "the new key has not signed it");
	return 0;
}

static bool was_announced(const struct hps_keyring *r, const char *keyid)
{
	return hps_keyring_announced(r, keyid, UINT64_MAX);
}

static int apply_add(struct hps_keyring *r, uint64_t index, const json_t *predicate, const json_t *change, const char *keyid, const struct hps_buf *pae, struct hps_error *err)
{
	const json_t *kinds = json_object_get(change, "kinds"), *kind;
	struct hps_keyring_key *key;
	size_t i;
	int e = find(r, keyid) ? wrong(err, "the key was there before; a revoked key does not come back") : read_added(change, keyid, predicate, pae, err);

	if (!e && (hps_trust_role(r->trust, keyid) || was_announced(r, keyid)))
		e = wrong(err, "that key has another role: it is one of a log, a witness or a root key");
	if (e)
		return e;
	key = add(r, keyid, index + 1);
	(void)!hps_unbase64(&key->spki, hps_json_text(change, "publicKey"), strlen(hps_json_text(change, "publicKey")), false); /* read before */
	json_array_foreach(kinds, i, kind)
		if (json_is_string(kind))
			hps_strv_add(&key->kinds, json_string_value(kind));
	return 0;
}

static int apply_revoke(struct hps_keyring *r, uint64_t index, const char *keyid, struct hps_error *err)
{
	struct hps_keyring_key *key = find(r, keyid);

	if (!key || key->until != UINT64_MAX)
		return wrong(err, "the key is not there, or revoked already");
	key->until = index + 1;
	return 0;
}

/* What makes it the log's key is the handover that both keys sign. */
static int apply_log(struct hps_keyring *r, uint64_t index, const json_t *predicate, const json_t *change, const char *keyid, const struct hps_buf *pae, struct hps_error *err)
{
	const char *role = hps_trust_role(r->trust, keyid);
	int e = read_added(change, keyid, predicate, pae, err);

	if (!e && (find(r, keyid) || (role && strcmp(role, "log") != 0)))
		e = wrong(err, "that key has another role: it signs statements, is a root key or a witness's");
	if (e)
		return e;
	r->logs = hps_grow(r->logs, r->n_logs, sizeof *r->logs);
	r->logs[r->n_logs] = (struct hps_keyring_log){ .index = index };
	snprintf(r->logs[r->n_logs++].keyid, HPS_DIGEST_HEX, "%s", keyid);
	return 0;
}

bool hps_keyring_announced(const struct hps_keyring *r, const char *keyid, uint64_t before)
{
	for (size_t i = 0; i < r->n_logs; i++)
		if (r->logs[i].index < before && !strcmp(r->logs[i].keyid, keyid))
			return true;
	return false;
}

int hps_keyring_apply(struct hps_keyring *r, uint64_t index, const json_t *statement, struct hps_error *err)
{
	const json_t *predicate = json_object_get(statement, "predicate"), *change = json_object_get(predicate, "change");
	const char *action = hps_json_text(change, "action"), *origin = hps_json_text(change, "origin"), *keyid = hps_json_text(change, "keyid");
	_cleanup_buf_ struct hps_buf pae = HPS_BUF_INIT;
	struct hps_digest d;
	int e;

	if (!action || !keyid || hps_digest_parse(keyid, &d))
		return wrong(err, "it has no action or no keyid");
	if (!origin || strcmp(origin, r->trust->origin) != 0)
		return wrong(err, "it is of another ledger");
	if (hps_json_int(change, "number", -1) != (int64_t)r->changes)
		return wrong(err, "its number is not the next one; was it taken from an earlier place?");
	hps_key_change_pae(change, &pae);
	e = check_approvals(r->trust, json_object_get(predicate, "approvals"), &pae, err);
	if (e)
		return e;
	if (!strcmp(action, "add"))
		e = apply_add(r, index, predicate, change, keyid, &pae, err);
	else if (!strcmp(action, "revoke"))
		e = apply_revoke(r, index, keyid, err);
	else if (!strcmp(action, "log"))
		e = apply_log(r, index, predicate, change, keyid, &pae, err);
	else
		e = wrong(err, "its action is neither add, revoke nor log");
	r->changes += !e;
	return e;
}

static int apply_entry(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct hps_keyring *r = arg;

	(void)err;
	/* What does not count was refused or is reported by verification; it changes nothing. */
	if (!hps_keyring_check(r, e->index, e->keyid, "key", NULL))
		(void)!hps_keyring_apply(r, e->index, e->statement, NULL);
	return 0;
}

int hps_keyring_load(struct hps_keyring *r, struct hps_ledger *l, struct hps_error *err)
{
	struct hps_filter filter = HPS_FILTER_ANY;
	int e;

	filter.kind = "key";
	hps_keyring_init(r, &l->trust);
	e = hps_ledger_each(l, &filter, apply_entry, r, err);
	if (e)
		hps_keyring_release(r);
	return e;
}

static int check_own(struct hps_ledger *l, const char *kind, struct hps_error *err)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	const struct hps_keyring_key *key = find(&l->keyring, l->keyid);

	if (!kind && key && key->until == UINT64_MAX)
		return 0;
	if (kind && !hps_keyring_check(&l->keyring, UINT64_MAX - 1, l->keyid, kind, &error))
		return 0;
	return hps_error_set(err, HPS_E_DENIED, "the statement key '%.12s' of this ledger may not sign%s%s: %s", l->keyid, kind ? " a statement of the kind " : "",
			     kind ? kind : "", !kind && !key ? HPS_TRUST_FILE " does not name it, and no entry adds it" : !kind ? "it was revoked" : error.message);
}

int hps_ledger_may_sign(struct hps_ledger *l, const json_t *const *statements, size_t n, struct hps_error *err)
{
	bool changes = false;
	int r = 0;

	if (!l->statement_key || l->remote)
		return 0; /* opened for reading: appending says so itself; elsewhere: the ledger there says so */
	if (!l->keyring.trust)
		r = hps_keyring_load(&l->keyring, l, err);
	for (size_t i = 0; !r && i < n; i++) {
		_cleanup_free_ char *kind = hps_statement_kind(statements[i]);

		changes |= !strcmp(kind, "key");
		r = check_own(l, kind, err);
	}
	if (!r && !n)
		r = check_own(l, NULL, err);
	if (changes)
		hps_keyring_release(&l->keyring); /* and loaded again next time */
	return r;
}
