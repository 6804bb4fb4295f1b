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
	for (size_t i = 0; i < t->n_statement_keys; i++) {
		hps_key_free(t->statement_keys[i]);
		hps_strv_release(&t->kinds[i]);
	}
	for (size_t i = 0; i < t->n_root_keys; i++)
		hps_key_free(t->root_keys[i]);
	free(t->statement_keys);
	free(t->kinds);
	free(t->root_keys);
	free(t->policy_text);
	hps_policy_release(&t->policy);
	hps_buf_release(&t->authorities);
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

static int read_kinds(const json_t *list, struct hps_strv *ret, struct hps_error *err)
{
	const json_t *kind;
	size_t i;

	if (list && !json_array_size(list))
		return hps_error_set(err, HPS_E_FORMAT, "'kinds' of a statement key is not a list with at least one kind");
	json_array_foreach(list, i, kind) {
		if (!json_is_string(kind))
			return hps_error_set(err, HPS_E_FORMAT, "'kinds' of a statement key has something else than strings");
		hps_strv_add(ret, json_string_value(kind));
	}
	return 0;
}

static int read_keys(const json_t *list, struct hps_trust *ret, struct hps_error *err)
{
	const json_t *item;
	size_t i;

	if (!json_array_size(list))
		return hps_error_set(err, HPS_E_FORMAT, "'statementKeys' is not a list with at least one key");
	ret->statement_keys = hps_alloc(json_array_size(list) * sizeof(struct hps_key *));
	ret->kinds = hps_alloc(json_array_size(list) * sizeof(struct hps_strv));
	json_array_foreach(list, i, item) {
		int r = read_key(item, &ret->statement_keys[i], err);

		if (r)
			return r;
		ret->n_statement_keys++;
		r = read_kinds(json_object_get(item, "kinds"), &ret->kinds[i], err);
		if (r)
			return r;
	}
	return 0;
}

/* One key cannot approve twice. */
static int read_roots(const json_t *j, struct hps_trust *ret, struct hps_error *err)
{
	const json_t *list = json_object_get(j, "rootKeys"), *item;
	int64_t threshold = hps_json_int(j, "rootThreshold", 0);
	size_t i;

	if (!list && !json_object_get(j, "rootThreshold"))
		return 0;
	if (!json_is_array(list) || threshold < 1 || (size_t)threshold > json_array_size(list))
		return hps_error_set(err, HPS_E_FORMAT, "'rootThreshold' is not a number of 'rootKeys'");
	ret->root_keys = hps_alloc(json_array_size(list) * sizeof(struct hps_key *));
	ret->root_threshold = (size_t)threshold;
	json_array_foreach(list, i, item) {
		char one[HPS_DIGEST_HEX], other[HPS_DIGEST_HEX];
		int r = read_key(item, &ret->root_keys[i], err);

		if (r)
			return r;
		ret->n_root_keys++;
		hps_key_id(ret->root_keys[i], one);
		for (size_t k = 0; k < i; k++) {
			hps_key_id(ret->root_keys[k], other);
			if (!strcmp(one, other))
				return hps_error_set(err, HPS_E_FORMAT, "the root key '%s' is there twice", one);
		}
	}
	return 0;
}

static bool has_log(const struct hps_policy *p, const struct hps_vkey *log)
{
	for (size_t i = 0; i < p->n_keys; i++)
		if (p->is_log[i] && !strcmp(p->keys[i].name, log->name) && !memcmp(p->keys[i].id, log->id, sizeof log->id))
			return true;
	return false;
}

static int read_policy(const json_t *j, const char *log, struct hps_trust *ret, struct hps_error *err)
{
	const char *text = hps_json_text(j, "policy"), *witnessing = hps_json_text(j, "witnessing");
	int64_t max_age = hps_json_int(j, "maximumAge", 0);
	int r;

	ret->policy_text = text ? hps_strdup(text) : hps_format("log %s\nquorum none\n", log);
	r = hps_policy_read(ret->policy_text, strlen(ret->policy_text), &ret->policy, err);
	if (r)
		return r;
	if (!has_log(&ret->policy, &ret->log))
		return hps_error_set(err, HPS_E_FORMAT, "'policy' does not name the log of 'log'");
	if (witnessing && strcmp(witnessing, "open") != 0 && strcmp(witnessing, "closed") != 0)
		return hps_error_set(err, HPS_E_FORMAT, "'witnessing' is neither 'open' nor 'closed'");
	if (max_age < 0 || (json_object_get(j, "maximumAge") && !max_age))
		return hps_error_set(err, HPS_E_FORMAT, "'maximumAge' is not a number of seconds");
	ret->closed = witnessing && !strcmp(witnessing, "closed");
	ret->max_age = (uint64_t)max_age;
	return 0;
}

static bool is_key(const struct hps_key *key, const char *keyid)
{
	char id[HPS_DIGEST_HEX];

	hps_key_id(key, id);
	return !strcmp(id, keyid);
}

static bool signs_checkpoints(const struct hps_trust *t, const char *keyid)
{
	for (const struct hps_vkey *k = &t->log; k; k = k->former)
		if (is_key(k->key, keyid))
			return true;
	return false;
}

static const char *role_in_policy(const struct hps_policy *p, const char *keyid)
{
	for (size_t i = 0; i < p->n_keys; i++)
		if (is_key(p->keys[i].key, keyid))
			return p->is_log[i] ? "log" : "witness";
	return NULL;
}

static bool is_witness(const struct hps_policy *p, const char *keyid)
{
	const char *role = role_in_policy(p, keyid);

	return role && !strcmp(role, "witness");
}

const char *hps_trust_role(const struct hps_trust *t, const char *keyid)
{
	for (size_t i = 0; i < t->n_root_keys; i++)
		if (is_key(t->root_keys[i], keyid))
			return "root";
	return signs_checkpoints(t, keyid) && !is_witness(&t->policy, keyid) ? "log" : role_in_policy(&t->policy, keyid);
}

int hps_trust_check_roles(const struct hps_trust *t, struct hps_error *err)
{
	char keyid[HPS_DIGEST_HEX];
	const char *other;

	for (size_t i = 0; i < t->n_statement_keys; i++) {
		hps_key_id(t->statement_keys[i], keyid);
		other = hps_trust_role(t, keyid);
		if (other)
			return hps_error_set(err, HPS_E_FORMAT, "the key '%s' cannot be both a statement key and a %s key", keyid, other);
	}
	for (size_t i = 0; i < t->n_root_keys; i++) {
		hps_key_id(t->root_keys[i], keyid);
		if (signs_checkpoints(t, keyid) || role_in_policy(&t->policy, keyid))
			return hps_error_set(err, HPS_E_FORMAT, "the key '%s' cannot be both a root key and one of a log or a witness", keyid);
	}
	for (const struct hps_vkey *k = &t->log; k; k = k->former) {
		hps_key_id(k->key, keyid);
		if (is_witness(&t->policy, keyid))
			return hps_error_set(err, HPS_E_FORMAT, "the key '%s' cannot be both one of the log and one of a witness", keyid);
	}
	return 0;
}

static int read_authorities(const json_t *j, struct hps_trust *ret, struct hps_error *err)
{
	const json_t *text = json_object_get(j, "timestampAuthorities");

	if (!text)
		return 0;
	if (!json_is_string(text) || !strstr(json_string_value(text), "-----BEGIN CERTIFICATE-----"))
		return hps_error_set(err, HPS_E_FORMAT, "'timestampAuthorities' is not certificates in PEM");
	hps_buf_adds(&ret->authorities, json_string_value(text));
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
	r = read_keys(json_object_get(j, "statementKeys"), ret, err);
	if (!r)
		r = read_roots(j, ret, err);
	if (!r)
		r = read_policy(j, log, ret, err);
	if (!r)
		r = hps_trust_check_roles(ret, err);
	return r ? r : read_authorities(j, ret, err);
}

int hps_trust_read(int dirfd, const char *path, struct hps_trust *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	int r = hps_file_read(dirfd, path, TRUST_MAX, &text, err);

	if (r)
		return r;
	memset(ret, 0, sizeof *ret);
	hps_buf_init(&ret->authorities, TRUST_MAX);
	r = hps_json_parse(text.data, text.len, &j, err);
	if (!r)
		r = read_json(j, ret, err);
	if (!r)
		return 0;
	hps_trust_release(ret);
	hps_error_prefix(err, "trust file '%s'", path);
	return r;
}

int hps_trust_replace(int dirfd, const char *old, const char *new, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, out = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	const char *policy;
	int r = hps_file_read(dirfd, HPS_TRUST_FILE, TRUST_MAX, &text, err);

	if (!r)
		r = hps_json_parse(text.data, text.len, &j, err);
	if (r)
		return r;
	policy = hps_json_text(j, "policy");
	if (policy) {
		_cleanup_free_ char *changed = hps_text_replace(policy, old, new);

		hps_json_set_text(j, "policy", changed);
	}
	hps_json_set_text(j, "log", new);
	r = hps_json_canonical(j, &out, err);
	return r ? r : hps_file_write(dirfd, HPS_TRUST_FILE, 0644, out.data, out.len, err);
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

bool hps_trust_kind(const struct hps_trust *t, const char *keyid, const char *kind)
{
	for (size_t i = 0; i < t->n_statement_keys; i++) {
		char id[HPS_DIGEST_HEX];

		hps_key_id(t->statement_keys[i], id);
		if (strcmp(id, keyid) != 0)
			continue;
		if (!t->kinds[i].n)
			return true;
		for (size_t k = 0; k < t->kinds[i].n; k++)
			if (!strcmp(t->kinds[i].v[k], kind))
				return true;
	}
	return false;
}
