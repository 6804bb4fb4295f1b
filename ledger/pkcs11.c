/* Keys in a device or token, by PKCS#11 2.40. The module is loaded at run time; only what signing needs is declared here. */
#include "ledger/ledger.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long ck;

enum { INITIALIZE = 0, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, CLOSE_SESSION = 13, LOGIN = 18, FIND_OBJECTS_INIT = 26, FIND_OBJECTS = 27,
       FIND_OBJECTS_FINAL = 28, SIGN_INIT = 42, SIGN = 43 };
enum { ALREADY_INITIALIZED = 0x191, ALREADY_LOGGED_IN = 0x100, PIN_INCORRECT = 0xa0, LABEL = 3, CLASS = 0, PRIVATE_KEY = 3, SERIAL_SESSION = 4, USER = 1,
       ECDSA = 0x1041, EDDSA = 0x1057, OS_LOCKING = 2 };
#define SLOTS_MAX 64

struct functions {
	unsigned char major, minor;
	void *f[68]; /* in the order of the standard */
};
struct mechanism {
	ck type;
	void *parameter;
	ck len;
};
struct attribute {
	ck type;
	void *value;
	ck len;
};
struct token_info {
	unsigned char label[32]; /* padded with blanks, not terminated */
	unsigned char rest[256]; /* manufacturer, model, serial, numbers, versions: larger than they are */
};
struct initialize {
	void *create, *destroy, *lock, *unlock;
	ck flags;
	void *reserved;
};

struct token {
	const struct functions *module;
	ck session, key;
	enum hps_key_type type;
};

static void free_token(void *arg)
{
	struct token *t = arg;

	((ck(*)(ck))t->module->f[CLOSE_SESSION])(t->session);
	free(t);
}

static int failed(struct hps_error *err, const char *doing, ck code)
{
	return hps_error_set(err, code == PIN_INCORRECT ? HPS_E_DENIED : HPS_E_UNDECIDED, "using the PKCS#11 module: %s: %s (0x%lx)", doing,
			     code == PIN_INCORRECT ? "the PIN is wrong" : "it refuses", code);
}

/* The module stays loaded: others in this process may have sessions in it. */
static int load(const char *path, const struct functions **ret, struct hps_error *err)
{
	struct initialize arguments = { .flags = OS_LOCKING };
	struct functions *list = NULL;
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	ck (*get)(struct functions **) = NULL;
	ck code;

	if (!module)
		return hps_error_set(err, HPS_E_NOTFOUND, "using the PKCS#11 module '%s': %s", path, dlerror());
	*(void **)&get = dlsym(module, "C_GetFunctionList");
	if (!get || get(&list) || !list || list->major != 2)
		return hps_error_set(err, HPS_E_FORMAT, "using the PKCS#11 module '%s': it is not one of version 2", path);
	code = ((ck(*)(void *))list->f[INITIALIZE])(&arguments);
	if (code && code != ALREADY_INITIALIZED)
		return failed(err, "starting", code);
	*ret = list;
	return 0;
}

static bool is_labelled(const struct token_info *info, const char *label)
{
	size_t len = sizeof info->label;

	while (len && info->label[len - 1] == ' ')
		len--;
	return strlen(label) == len && !memcmp(info->label, label, len);
}

static int find_slot(const struct functions *m, const char *label, ck *ret, struct hps_error *err)
{
	ck slots[SLOTS_MAX], n = SLOTS_MAX, code = ((ck(*)(unsigned char, ck *, ck *))m->f[GET_SLOT_LIST])(1, slots, &n);

	if (code)
		return failed(err, "listing the tokens", code);
	for (ck i = 0; i < n; i++) {
		struct token_info info;

		memset(&info, 0, sizeof info);
		if (!((ck(*)(ck, struct token_info *))m->f[GET_TOKEN_INFO])(slots[i], &info) && is_labelled(&info, label)) {
			*ret = slots[i];
			return 0;
		}
	}
	return hps_error_set(err, HPS_E_NOTFOUND, "using the PKCS#11 module: there is no token '%s'", label);
}

static int find_key(struct token *t, const char *label, struct hps_error *err)
{
	const struct functions *m = t->module;
	ck class = PRIVATE_KEY, found[2], n = 0;
	struct attribute wanted[] = { { CLASS, &class, sizeof class }, { LABEL, (void *)(uintptr_t)label, strlen(label) } };
	ck code = ((ck(*)(ck, struct attribute *, ck))m->f[FIND_OBJECTS_INIT])(t->session, wanted, ARRAY_SIZE(wanted));

	if (!code)
		code = ((ck(*)(ck, ck *, ck, ck *))m->f[FIND_OBJECTS])(t->session, found, 2, &n);
	((ck(*)(ck))m->f[FIND_OBJECTS_FINAL])(t->session);
	if (code)
		return failed(err, "looking for the key", code);
	if (n != 1)
		return hps_error_set(err, n ? HPS_E_AMBIGUOUS : HPS_E_NOTFOUND, "using the PKCS#11 module: there %s '%s'", n ? "are two private keys" : "is no private key", label);
	t->key = found[0];
	return 0;
}

static int open_token(struct token *t, const struct hps_pkcs11 *where, const char *pin, struct hps_error *err)
{
	const struct functions *m = t->module;
	ck slot, code;
	int r = find_slot(m, where->token, &slot, err);

	if (r)
		return r;
	code = ((ck(*)(ck, ck, void *, void *, ck *))m->f[OPEN_SESSION])(slot, SERIAL_SESSION, NULL, NULL, &t->session);
	if (code)
		return failed(err, "opening a session", code);
	if (pin)
		code = ((ck(*)(ck, ck, const char *, ck))m->f[LOGIN])(t->session, USER, pin, strlen(pin));
	if (code && code != ALREADY_LOGGED_IN)
		return failed(err, "logging in", code);
	return find_key(t, where->label, err);
}

/* Ed25519 takes the data; ECDSA what they hash to, and gives r || s. */
static int sign(void *arg, const void *data, size_t len, struct hps_buf *out, struct hps_error *err)
{
	struct token *t = arg;
	struct mechanism mechanism = { t->type == HPS_KEY_ED25519 ? EDDSA : ECDSA, NULL, 0 };
	struct hps_digest d;
	uint8_t sig[128];
	ck sig_len = sizeof sig, code = ((ck(*)(ck, struct mechanism *, ck))t->module->f[SIGN_INIT])(t->session, &mechanism, t->key);

	if (t->type == HPS_KEY_P256) {
		hps_digest_of(data, len, &d);
		data = d.b;
		len = sizeof d.b;
	}
	if (!code)
		code = ((ck(*)(ck, const void *, ck, uint8_t *, ck *))t->module->f[SIGN])(t->session, data, len, sig, &sig_len);
	if (code || sig_len != 64)
		return failed(err, "signing", code);
	if (t->type == HPS_KEY_P256)
		return hps_ecdsa_der(sig, 32, sig + 32, 32, out, err);
	hps_buf_add(out, sig, sig_len);
	return 0;
}

int hps_pkcs11_attach(struct hps_key *key, const struct hps_pkcs11 *where, const char *pin, struct hps_error *err)
{
	static const struct hps_signer signer = { sign, free_token };
	const struct functions *module = NULL;
	struct token *t;
	int r = load(where->module, &module, err);

	if (r)
		return r;
	t = hps_alloc(sizeof *t);
	t->module = module;
	t->type = hps_key_type_of(key);
	r = open_token(t, where, pin, err);
	if (r)
		free_token(t);
	else
		hps_key_delegate(key, &signer, t);
	return r;
}
