/* Which key this ledger signs with, and where its private part is: keys/<role>.pem, or keys/<role>.json that names an agent or a token. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA "hps.signer/1"
#define SIGNER_MAX ((size_t)64 << 10)

static int read_public(const json_t *j, struct hps_key **ret, struct hps_error *err)
{
	const char *schema = hps_json_text(j, "schema"), *text = hps_json_text(j, "publicKey");
	_cleanup_buf_ struct hps_buf spki = HPS_BUF_INIT;

	if (!schema || strcmp(schema, SCHEMA) != 0)
		return hps_error_set(err, HPS_E_FORMAT, "'schema' is not '" SCHEMA "'");
	if (!text || hps_unbase64(&spki, text, strlen(text), false))
		return hps_error_set(err, HPS_E_FORMAT, "'publicKey' is missing");
	return hps_key_from_spki(spki.data, spki.len, ret, err);
}

static int attach(const json_t *j, struct hps_key *key, const char *passphrase, struct hps_error *err)
{
	const json_t *pkcs11 = json_object_get(j, "pkcs11");
	struct hps_pkcs11 where = { hps_json_text(pkcs11, "module"), hps_json_text(pkcs11, "token"), hps_json_text(pkcs11, "label") };

	if (json_is_true(json_object_get(j, "agent")))
		return hps_agent_attach(key, err);
	if (!where.module || *where.module != '/' || !where.token || !where.label)
		return hps_error_set(err, HPS_E_FORMAT, "it names neither 'agent' nor 'pkcs11' with module (an absolute path), token and label");
	return hps_pkcs11_attach(key, &where, passphrase, err);
}

int hps_signer_load(int dirfd, const char *role, const char *passphrase, struct hps_key **ret, struct hps_error *err)
{
	_cleanup_free_ char *name = hps_format("keys/%s.json", role), *pem = hps_format("keys/%s.pem", role);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_key_ struct hps_key *key = NULL;
	_cleanup_json_ json_t *j = NULL;
	int r;

	if (faccessat(dirfd, name, F_OK, 0))
		return hps_key_load(dirfd, pem, passphrase, ret, err);
	r = hps_file_read(dirfd, name, SIGNER_MAX, &text, err);
	if (!r)
		r = hps_json_parse(text.data, text.len, &j, err);
	if (!r)
		r = read_public(j, &key, err);
	if (!r)
		r = attach(j, key, passphrase, err);
	if (r) {
		hps_error_prefix(err, "the signer '%s'", name);
		return r;
	}
	*ret = hps_take(key);
	return 0;
}

static int write_reference(int dirfd, const char *name, const struct hps_key *key, const struct hps_pkcs11 *where, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, spki = HPS_BUF_INIT, encoded = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = json_object();
	json_t *token;
	int r;

	hps_key_spki(key, &spki);
	hps_base64(&encoded, spki.data, spki.len);
	hps_json_set_text(j, "schema", SCHEMA);
	hps_json_set_text(j, "publicKey", encoded.data);
	if (where->module) {
		token = json_object();
		hps_json_set_text(token, "module", where->module);
		hps_json_set_text(token, "token", where->token);
		hps_json_set_text(token, "label", where->label);
		hps_json_set(j, "pkcs11", token);
	} else {
		hps_json_set(j, "agent", json_true());
	}
	r = hps_json_canonical(j, &text, err);
	return r ? r : hps_file_write(dirfd, name, 0600, text.data, text.len, err);
}

int hps_signer_save(int dirfd, const char *role, const struct hps_signer_choice *c, const char *passphrase, struct hps_error *err)
{
	_cleanup_free_ char *name = hps_format("keys/%s.json", role), *pem = hps_format("keys/%s.pem", role);

	return c->elsewhere ? write_reference(dirfd, name, c->key, &c->where, err) : hps_key_save(c->key, dirfd, pem, passphrase, err);
}

static const char *const endings[] = { "json", "pem" };

bool hps_signer_exists(int dirfd, const char *role)
{
	bool there = false;

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		_cleanup_free_ char *name = hps_format("keys/%s.%s", role, endings[i]);

		there |= !faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW);
	}
	return there;
}

static int remove_one(int dirfd, const char *role, const char *ending, struct hps_error *err)
{
	_cleanup_free_ char *name = hps_format("keys/%s.%s", role, ending);

	return unlinkat(dirfd, name, 0) && errno != ENOENT ? hps_error_errno(err, "removing '%s'", name) : 0;
}

int hps_signer_remove(int dirfd, const char *role, struct hps_error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(endings); i++)
		r = remove_one(dirfd, role, endings[i], err);
	return r;
}

/* The other's file first: it would be taken for the key, or be left behind. */
int hps_signer_move(int dirfd, const char *from, const char *to, struct hps_error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(endings); i++) {
		_cleanup_free_ char *old = hps_format("keys/%s.%s", from, endings[i]), *new = hps_format("keys/%s.%s", to, endings[i]);

		if (faccessat(dirfd, old, F_OK, AT_SYMLINK_NOFOLLOW))
			continue;
		r = remove_one(dirfd, to, endings[!i], err);
		if (!r && renameat(dirfd, old, dirfd, new))
			r = hps_error_errno(err, "taking '%s'", old);
		return r;
	}
	return r ? r : hps_error_set(err, HPS_E_NOTFOUND, "taking 'keys/%s': it is not there", from);
}
