/* This ledger's own keys, replaced by new ones. A new key lies beside the old one until an entry (statement key) or a handover (log key) has
 * made it the ledger's; what is cut off behind that is finished by the next rotation. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- the statement key ---- */

static int use_next(struct hps_ledger *l, struct hps_error *err)
{
	if (renameat(l->dirfd, HPS_NEXT_STATEMENT_KEY, l->dirfd, "keys/statement.pem"))
		return hps_error_errno(err, "taking the new statement key");
	return hps_dir_sync(l->dirfd, err);
}

int hps_rotate_statement_finish(struct hps_ledger *l, const char *passphrase, struct hps_error *err)
{
	_cleanup_(hps_keyring_release) struct hps_keyring ring = HPS_KEYRING_INIT;
	_cleanup_key_ struct hps_key *next = NULL;
	char keyid[HPS_DIGEST_HEX];
	int r;

	if (hps_key_load(l->dirfd, HPS_NEXT_STATEMENT_KEY, passphrase, &next, NULL))
		return 0;
	r = hps_keyring_load(&ring, l, err);
	if (r)
		return r;
	hps_key_id(next, keyid);
	if (hps_keyring_check(&ring, UINT64_MAX - 1, keyid, "key", NULL))
		return 0;
	r = use_next(l, err);
	return r ? r : 1;
}

/* There is no moment with none, or two. */
static int replace_statement(struct hps_ledger *l, const struct hps_key *next, const char *reason, struct hps_key_changes *ret, struct hps_error *err)
{
	_cleanup_(hps_keyring_release) struct hps_keyring ring = HPS_KEYRING_INIT;
	struct hps_key_change change;
	int r = hps_keyring_load(&ring, l, err);

	if (r)
		return r;
	change = hps_key_change_next(l, &ring, reason);
	for (size_t i = 0; !r && i < ring.n; i++)
		if (!strcmp(ring.keys[i].keyid, l->keyid) && !ret->n)
			r = hps_key_change_add(&change, next, &ring.keys[i].kinds, &ret->drafts[ret->n++], err);
	if (r || !ret->n)
		return r;
	change.number++;
	ret->drafts[ret->n++] = hps_key_change_revoke(&change, l->keyid);
	return hps_key_changes_append(l, &ring, ret, err);
}

int hps_rotate_statement(struct hps_ledger *l, const char *passphrase, const char *reason, struct hps_key_changes *ret, struct hps_error *err)
{
	_cleanup_key_ struct hps_key *next = NULL;
	int r = hps_key_generate(hps_key_type_of(l->statement_key), &next, err);

	if (!r)
		r = hps_key_save(next, l->dirfd, HPS_NEXT_STATEMENT_KEY, passphrase, err);
	if (r)
		return r;
	r = replace_statement(l, next, reason, ret, err);
	if (r)
		unlinkat(l->dirfd, HPS_NEXT_STATEMENT_KEY, 0);
	return r ? r : use_next(l, err);
}

/* ---- the log's key ---- */

static int write_handover(struct hps_ledger *l, const struct hps_key *next, struct hps_error *err)
{
	const struct hps_checkpoint c = { .origin = l->trust.origin, .size = l->size, .root = l->root };
	_cleanup_free_ char *path = hps_handover_path(l->n_handovers);
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	int r;

	if (l->n_handovers >= HPS_HANDOVERS_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "replacing the log's key: it has been replaced %d times", HPS_HANDOVERS_MAX);
	r = hps_handover_sign(&c, l->log_key, next, &note, err);
	if (!r)
		r = hps_dir_make(l->tilesfd, HPS_HANDOVER_DIR, 0755, err);
	return r ? r : hps_file_write(l->tilesfd, path, 0644, note.data, note.len, err);
}

/* What is done again when it was cut off. */
static int take_key(struct hps_ledger *l, const char *former, const char *next, struct hps_error *err)
{
	int r = hps_signer_move(l->dirfd, HPS_NEXT_LOG, "log", err);

	return r ? r : hps_trust_replace(l->dirfd, former, next, err);
}

static int hand_over(struct hps_ledger *l, const struct hps_key *next, const char *vkey, struct hps_error *err)
{
	_cleanup_free_ char *former = hps_vkey_format(l->trust.origin, l->trust.log.key);
	int r = hps_ledger_lock(l, err);

	if (r)
		return r;
	r = hps_ledger_settle(l, err); /* what the former key has signed is published before the next one signs */
	if (!r)
		r = write_handover(l, next, err);
	if (!r)
		r = take_key(l, former, vkey, err);
	if (!r)
		hps_memory_close(l);
	hps_ledger_unlock(l);
	return r;
}

int hps_rotate_log_finish(struct hps_ledger *l, const char *passphrase, struct hps_error *err)
{
	const struct hps_vkey *log = &l->trust.log;
	_cleanup_free_ char *former = log->former ? hps_vkey_format(log->name, log->former->key) : NULL, *next = hps_vkey_format(log->name, log->key), *vkey = NULL;
	_cleanup_key_ struct hps_key *key = NULL;
	int r;

	if (!hps_signer_exists(l->dirfd, HPS_NEXT_LOG))
		return 0;
	r = hps_signer_load(l->dirfd, HPS_NEXT_LOG, passphrase, &key, err);
	if (r)
		return r;
	vkey = hps_vkey_format(l->trust.origin, key);
	if (!former || strcmp(vkey, next) != 0)
		return hps_signer_remove(l->dirfd, HPS_NEXT_LOG, err);
	r = take_key(l, former, next, err);
	return r ? r : 1;
}

/* The next key lies in its place. */
static int announce_and_hand_over(struct hps_ledger *l, const struct hps_key *next, struct hps_keyring *ring, struct hps_key_changes *ret, char **ret_vkey, struct hps_error *err)
{
	_cleanup_free_ char *vkey = hps_vkey_format(l->trust.origin, next);
	int r = hps_key_changes_append(l, ring, ret, err);

	if (r) {
		(void)!hps_signer_remove(l->dirfd, HPS_NEXT_LOG, NULL);
		return r;
	}
	r = hand_over(l, next, vkey, err);
	if (!r)
		*ret_vkey = hps_take(vkey);
	return r;
}

/* Never the same one again, which would end a log by handing it over to itself. */
static int check_next(struct hps_ledger *l, const struct hps_key *key, struct hps_error *err)
{
	_cleanup_free_ char *next = NULL;

	if (hps_key_type_of(key) != HPS_KEY_ED25519)
		return hps_error_set(err, HPS_E_USAGE, "replacing the log's key: a log key is an Ed25519 key");
	next = hps_vkey_format(l->trust.origin, key);
	for (const struct hps_vkey *k = &l->trust.log; k; k = k->former) {
		_cleanup_free_ char *was = hps_vkey_format(l->trust.origin, k->key);

		if (!strcmp(was, next))
			return hps_error_set(err, HPS_E_USAGE, "replacing the log's key: that key is, or was, this log's");
	}
	return 0;
}

static int choose(struct hps_ledger *l, struct hps_signer_choice *c, const char *role, const char *passphrase, struct hps_error *err)
{
	int r = c->key ? check_next(l, c->key, err) : hps_key_generate(HPS_KEY_ED25519, &c->key, err);

	if (!r)
		r = hps_signer_remove(l->dirfd, role, err);
	return r ? r : hps_signer_save(l->dirfd, role, c, passphrase, err);
}

static int draft_log(struct hps_ledger *l, struct hps_signer_choice *next, const char *passphrase, const char *reason, const char *role, struct hps_keyring *ring,
		     json_t **ret_draft, struct hps_error *err)
{
	struct hps_key_change change;
	int r = hps_keyring_load(ring, l, err);

	if (!r)
		r = choose(l, next, role, passphrase, err);
	if (r)
		return r;
	change = hps_key_change_next(l, ring, reason);
	return hps_key_change_log(&change, next->key, ret_draft, err);
}

int hps_rotate_log(struct hps_ledger *l, const struct hps_signer_choice *next, const char *passphrase, const char *reason, struct hps_key_changes *ret, char **ret_vkey,
		   struct hps_error *err)
{
	_cleanup_(hps_keyring_release) struct hps_keyring ring = HPS_KEYRING_INIT;
	struct hps_signer_choice c = *next;
	int r = draft_log(l, &c, passphrase, reason, HPS_NEXT_LOG, &ring, &ret->drafts[0], err);

	ret->n = !r;
	if (!r)
		r = announce_and_hand_over(l, c.key, &ring, ret, ret_vkey, err);
	if (c.key != next->key)
		hps_key_free(c.key);
	return r;
}

int hps_rotate_log_draft(struct hps_ledger *l, const struct hps_signer_choice *next, const char *passphrase, const char *reason, json_t **ret_draft, struct hps_error *err)
{
	_cleanup_(hps_keyring_release) struct hps_keyring ring = HPS_KEYRING_INIT;
	struct hps_signer_choice c = *next;
	int r = draft_log(l, &c, passphrase, reason, HPS_DRAFT_LOG, &ring, ret_draft, err);

	if (c.key != next->key)
		hps_key_free(c.key);
	return r;
}

int hps_rotate_log_apply(struct hps_ledger *l, const char *passphrase, json_t *draft, struct hps_key_changes *ret, char **ret_vkey, struct hps_error *err)
{
	_cleanup_(hps_keyring_release) struct hps_keyring ring = HPS_KEYRING_INIT, trial = HPS_KEYRING_INIT;
	const char *keyid = hps_json_text(json_object_get(draft, "change"), "keyid");
	_cleanup_json_ json_t *statement = hps_key_change_statement(draft);
	_cleanup_key_ struct hps_key *next = NULL;
	char id[HPS_DIGEST_HEX];
	int r = hps_signer_load(l->dirfd, HPS_DRAFT_LOG, passphrase, &next, err);

	if (r)
		return r;
	hps_key_id(next, id);
	if (!keyid || strcmp(id, keyid) != 0)
		return hps_error_set(err, HPS_E_USAGE, "replacing the log's key: the draft is not the newest one, whose key is 'keys/" HPS_DRAFT_LOG "'");
	r = hps_keyring_load(&ring, l, err);
	if (!r)
		r = hps_keyring_load(&trial, l, err);
	if (!r) /* what will not count leaves the key where it is */
		r = hps_keyring_apply(&trial, hps_ledger_size(l), statement, err);
	if (!r)
		r = hps_signer_move(l->dirfd, HPS_DRAFT_LOG, HPS_NEXT_LOG, err);
	if (r)
		return r;
	ret->drafts[ret->n++] = json_incref(draft);
	return announce_and_hand_over(l, next, &ring, ret, ret_vkey, err);
}
