/* The trust file: the one thing a verifier must have got from somewhere it trusts. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

#define TRUST_SCHEMA "hps.trust/1"
#define TRUST_MAX ((size_t)1 << 20)

void hps_trust_release(struct hps_trust *t)
{
	free(t->origin);
	hps_vkey_release(&t->log);
	for (size_t i = 0; i < t->n_statement_keys; i++)
		hps_key_free(t->statement_keys[i]);
	free(t->statement_keys);
	memset(t, 0, sizeof *t);
}

static int read_key(const json_t *item, struct hps_key **ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT;
	_cleanup_key_ struct hps_key *key = NULL;
	const char *keyid = hps_json_text(item, "keyid"), *text = hps_json_text(item, "publicKey");
	char id[HPS_DIGEST_HEX];
	int r;

	if (!keyid || !text || hps_unbase64(&spki, text, strlen(text), false))
		return hps_error_set(err, HPS_E_FORMAT, "a statement key needs 'keyid' and 'publicKey'");
	r = hps_key_from_spki(spki.data, spki.len, &key, err);
	if (r)
		return r;
	hps_key_id(key, id);
	if (strcmp(id, keyid) != 0)
		return hps_error_set(err, HPS_E_FORMAT, "the statement key '%s' has the public key of '%s'", keyid, id);
	*ret = hps_take(key);
	return 0;
}

static int read_keys(const json_t *list, struct hps_trust *ret, struct hps_error *err)
{
	const json_t *item;
	size_t i;

	if (!json_array_size(list))
		return hps_error_set(err, HPS_E_FORMAT, "'statementKeys' is not a list with at least one key");
	ret->statement_keys = hps_alloc(json_array_size(list) * sizeof(struct hps_key *));
	json_array_foreach(list, i, item) {
		int r = read_key(item, &ret->statement_keys[i], err);

		if (r)
			return r;
		ret->n_statement_keys++;
	}
	return 0;
}

static int read_json(const json_t *j, struct hps_trust *ret, struct hps_error *err)
{
	const char *schema = hps_json_text(j, "schema"), *origin = hps_json_text(j, "origin"), *log = hps_json_text(j, "log");
	int r;

	if (!schema || strcmp(schema, TRUST_SCHEMA) != 0)
		return hps_error_set(err, HPS_E_FORMAT, "'schema' is not '" TRUST_SCHEMA "'");
	if (!origin || !log)
		return hps_error_set(err, HPS_E_FORMAT, "'origin' or 'log' is missing");
	r = hps_vkey_parse(log, &ret->log, err);
	if (r)
		return r;
	if (ret->log.algorithm != HPS_NOTE_ED25519 || strcmp(ret->log.name, origin) != 0)
		return hps_error_set(err, HPS_E_FORMAT, "'log' is not an Ed25519 key of '%s'", origin);
	ret->origin = hps_strdup(origin);
	return read_keys(json_object_get(j, "statementKeys"), ret, err);
}

int hps_trust_read(int dirfd, const char *path, struct hps_trust *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	int r = hps_file_read(dirfd, path, TRUST_MAX, &text, err);

	if (r)
		return r;
	memset(ret, 0, sizeof *ret);
	r = hps_json_parse(text.data, text.len, &j, err);
	if (!r)
		r = read_json(j, ret, err);
	if (!r)
		return 0;
	hps_trust_release(ret);
	hps_error_prefix(err, "trust file '%s'", path);
	return r;
}

int hps_trust_write(int dirfd, const char *origin, const struct hps_key *log, const struct hps_key *statement, struct hps_error *err)
{
	_cleanup_json_ json_t *j = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, spki = HPS_BUF_INIT, encoded = HPS_BUF_INIT;
	_cleanup_free_ char *vkey = hps_vkey_format(origin, log);
	json_t *key = json_object(), *keys = json_array();
	char keyid[HPS_DIGEST_HEX];
	int r;

	hps_key_id(statement, keyid);
	hps_key_spki(statement, &spki);
	hps_base64(&encoded, spki.data, spki.len);
	hps_json_set_text(key, "keyid", keyid);
	hps_json_set_text(key, "publicKey", encoded.data);
	hps_json_add(keys, key);
	hps_json_set_text(j, "schema", TRUST_SCHEMA);
	hps_json_set_text(j, "origin", origin);
	hps_json_set_text(j, "log", vkey);
	hps_json_set(j, "statementKeys", keys);
	r = hps_json_canonical(j, &text, err);
	return r ? r : hps_file_write(dirfd, HPS_TRUST_FILE, 0644, text.data, text.len, err);
}

const struct hps_key *hps_trust_key(const struct hps_trust *t, const char *keyid)
{
	for (size_t i = 0; i < t->n_statement_keys; i++) {
		char id[HPS_DIGEST_HEX];

		hps_key_id(t->statement_keys[i], id);
		if (!strcmp(id, keyid))
			return t->statement_keys[i];
	}
	return NULL;
}
