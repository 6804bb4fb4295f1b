/* hps-ledger key: who may sign in this ledger, and with what it signs itself. */
#include "ledger/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *ledger, *root_key, *reason, *role;
	struct hps_strv kinds;
	int64_t passphrase_fd;
	bool passphrase_given, json;
};

#define DRAFT_MAX ((size_t)1 << 20)

struct work {
	const struct options *o;
	char *dir, *passphrase;
	struct hps_ledger *l;
	char **args;
	int n;
};

static int open_ledger(struct work *w, unsigned flags, struct hps_error *err)
{
	return hps_ledger_open(w->dir, flags, w->passphrase, &w->l, err);
}

static void print_changes(const struct hps_key_changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const json_t *change = json_object_get(c->drafts[i], "change");

		hps_print_line("@%llu %s %s", (unsigned long long)c->indexes[i], hps_json_text(change, "action"), hps_json_text(change, "keyid"));
	}
}

static void release_choice(struct hps_signer_choice *c)
{
	hps_key_free(c->key);
}

/* FILE.pem (private), agent:PUBLIC.pem, or pkcs11:MODULE:TOKEN:LABEL:PUBLIC.pem. */
static int load_key(struct work *w, char *text, struct hps_signer_choice *ret, struct hps_error *err)
{
	char *save = NULL, *kind = strchr(text, ':') ? strtok_r(text, ":", &save) : NULL, *public;
	int r;

	if (!kind)
		return hps_key_load(AT_FDCWD, text, w->passphrase, &ret->key, err);
	ret->elsewhere = true;
	if (!strcmp(kind, "pkcs11")) {
		ret->where.module = strtok_r(NULL, ":", &save);
		ret->where.token = strtok_r(NULL, ":", &save);
		ret->where.label = strtok_r(NULL, ":", &save);
	} else if (strcmp(kind, "agent") != 0) {
		return hps_error_set(err, HPS_E_USAGE, "a key is FILE.pem, agent:PUBLIC.pem or pkcs11:MODULE:TOKEN:LABEL:PUBLIC.pem");
	}
	public = strtok_r(NULL, "", &save);
	if (!public)
		return hps_error_set(err, HPS_E_USAGE, "a key is FILE.pem, agent:PUBLIC.pem or pkcs11:MODULE:TOKEN:LABEL:PUBLIC.pem");
	r = hps_key_read_public(AT_FDCWD, public, &ret->key, err);
	if (r)
		return r;
	return ret->where.module ? hps_pkcs11_attach(ret->key, &ret->where, w->passphrase, err) : hps_agent_attach(ret->key, err);
}

/* ---- actions ---- */

static int list_keys(struct work *w, struct hps_error *err)
{
	_cleanup_(hps_keyring_release) struct hps_keyring ring = HPS_KEYRING_INIT;
	struct hps_table table = { .columns = 4 };
	int r = open_ledger(w, HPS_LEDGER_READ, err);

	if (!r)
		r = hps_keyring_load(&ring, w->l, err);
	if (r)
		return r;
	for (size_t i = 0; i < 4; i++)
		hps_table_cell(&table, (const char *const[]){ "key", "from", "until", "kinds" }[i]);
	for (size_t i = 0; i < ring.n; i++) {
		const struct hps_keyring_key *k = &ring.keys[i];
		_cleanup_free_ char *from = hps_format("@%llu", (unsigned long long)k->from),
				    *until = k->until == UINT64_MAX ? hps_strdup("") : hps_format("@%llu", (unsigned long long)k->until);
		_cleanup_buf_ struct hps_buf kinds = HPS_BUF_INIT;

		for (size_t n = 0; n < k->kinds.n; n++)
			hps_buf_addf(&kinds, "%s%s", n ? "," : "", k->kinds.v[n]);
		hps_table_cell(&table, k->keyid);
		hps_table_cell(&table, from);
		hps_table_cell(&table, until);
		hps_table_cell(&table, kinds.len ? kinds.data : "all");
	}
	hps_table_print(&table, stdout);
	return 0;
}

/* Of an own or another's making: appended, or shown for others to approve. */
static int put(struct work *w, struct hps_keyring *ring, json_t *draft, bool only_draft, struct hps_error *err)
{
	struct hps_key_changes c = { .drafts = { draft }, .n = 1 };
	int r;

	if (only_draft) {
		hps_print_json(draft);
		return 0;
	}
	r = hps_key_changes_append(w->l, ring, &c, err);
	if (!r)
		print_changes(&c);
	return r;
}

static int add_key(struct work *w, bool only_draft, struct hps_error *err)
{
	_cleanup_(hps_keyring_release) struct hps_keyring ring = HPS_KEYRING_INIT;
	_cleanup_(release_choice) struct hps_signer_choice c = { .key = NULL };
	_cleanup_json_ json_t *draft = NULL;
	struct hps_key_change change;
	int r = open_ledger(w, only_draft ? HPS_LEDGER_READ : HPS_LEDGER_APPEND, err);

	if (!r)
		r = load_key(w, w->args[0], &c, err);
	if (!r)
		r = hps_keyring_load(&ring, w->l, err);
	if (r)
		return r;
	change = hps_key_change_next(w->l, &ring, w->o->reason);
	r = hps_key_change_add(&change, c.key, &w->o->kinds, &draft, err);
	return r ? r : put(w, &ring, draft, only_draft, err);
}

static int revoke_key(struct work *w, bool only_draft, struct hps_error *err)
{
	_cleanup_(hps_keyring_release) struct hps_keyring ring = HPS_KEYRING_INIT;
	_cleanup_json_ json_t *draft = NULL;
	struct hps_key_change change;
	int r = open_ledger(w, only_draft ? HPS_LEDGER_READ : HPS_LEDGER_APPEND, err);

	if (!r)
		r = hps_keyring_load(&ring, w->l, err);
	if (r)
		return r;
	change = hps_key_change_next(w->l, &ring, w->o->reason);
	draft = hps_key_change_revoke(&change, w->args[0]);
	return put(w, &ring, draft, only_draft, err);
}

static int add_now(struct work *w, struct hps_error *err)
{
	return add_key(w, false, err);
}

static int draft_adding(struct work *w, struct hps_error *err)
{
	return add_key(w, true, err);
}

static int revoke_now(struct work *w, struct hps_error *err)
{
	return revoke_key(w, false, err);
}

static int draft_revoking(struct work *w, struct hps_error *err)
{
	return revoke_key(w, true, err);
}

static int read_draft(const char *path, json_t **ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_file_read(AT_FDCWD, path, DRAFT_MAX, &text, err);

	if (!r)
		r = hps_json_parse(text.data, text.len, ret, err);
	if (!r && (!json_is_object(json_object_get(*ret, "change")) || !json_is_array(json_object_get(*ret, "approvals"))))
		r = hps_error_set(err, HPS_E_FORMAT, "'%s' is not a draft: it has no 'change' or no 'approvals'", path);
	return r;
}

static int approve(struct work *w, struct hps_error *err)
{
	_cleanup_(release_choice) struct hps_signer_choice root = { .key = NULL };
	_cleanup_json_ json_t *draft = NULL;
	_cleanup_buf_ struct hps_buf sig = HPS_BUF_INIT;
	_cleanup_free_ char *reference = hps_strdup(w->o->root_key ? w->o->root_key : "");
	json_t *approval;
	char keyid[HPS_DIGEST_HEX];
	int r = w->o->root_key ? read_draft(w->args[0], &draft, err) : hps_error_set(err, HPS_E_USAGE, "approving needs --root-key FILE");

	if (!r)
		r = load_key(w, reference, &root, err);
	if (!r)
		r = hps_key_change_sign(root.key, json_object_get(draft, "change"), &sig, err);
	if (r)
		return r;
	hps_key_id(root.key, keyid);
	approval = json_object();
	hps_json_set_text(approval, "keyid", keyid);
	hps_json_set_text(approval, "sig", sig.data);
	hps_json_add(json_object_get(draft, "approvals"), approval);
	hps_print_json(draft);
	return 0;
}

static void print_log(const struct work *w, const struct hps_key_changes *changes, const char *vkey)
{
	print_changes(changes);
	hps_print_line("the log's key is now %s", vkey);
	hps_note("give '%s/trust.json' out again, and '%s/tiles/" HPS_HANDOVER_DIR "/%llu' to witnesses ('hps-ledger witness --handover')", w->dir, w->dir,
		 (unsigned long long)w->l->n_handovers);
}

static int apply_log(struct work *w, json_t *draft, struct hps_error *err)
{
	_cleanup_(hps_key_changes_release) struct hps_key_changes changes = { .n = 0 };
	_cleanup_free_ char *vkey = NULL;
	int r = hps_rotate_log_apply(w->l, w->passphrase, draft, &changes, &vkey, err);

	if (!r)
		print_log(w, &changes, vkey);
	return r;
}

static int apply(struct work *w, struct hps_error *err)
{
	_cleanup_(hps_keyring_release) struct hps_keyring ring = HPS_KEYRING_INIT;
	_cleanup_json_ json_t *draft = NULL;
	const char *action;
	int r = read_draft(w->args[0], &draft, err);

	if (!r)
		r = open_ledger(w, HPS_LEDGER_APPEND, err);
	if (r)
		return r;
	action = hps_json_text(json_object_get(draft, "change"), "action");
	if (action && !strcmp(action, "log"))
		return apply_log(w, draft, err);
	r = hps_keyring_load(&ring, w->l, err);
	return r ? r : put(w, &ring, draft, false, err);
}

/* The key that is named, or none: then one is made. */
static int choose_log_key(struct work *w, struct hps_signer_choice *ret, struct hps_error *err)
{
	return w->n ? load_key(w, w->args[0], ret, err) : 0;
}

static int rotate_log(struct work *w, struct hps_error *err)
{
	_cleanup_(hps_key_changes_release) struct hps_key_changes changes = { .n = 0 };
	_cleanup_(release_choice) struct hps_signer_choice next = { .key = NULL };
	_cleanup_free_ char *vkey = NULL;
	int r = choose_log_key(w, &next, err);

	if (!r)
		r = hps_rotate_log(w->l, &next, w->passphrase, w->o->reason, &changes, &vkey, err);
	if (!r)
		print_log(w, &changes, vkey);
	return r;
}

static int draft_rotating(struct work *w, struct hps_error *err)
{
	_cleanup_(release_choice) struct hps_signer_choice next = { .key = NULL };
	_cleanup_json_ json_t *draft = NULL;
	int r = open_ledger(w, HPS_LEDGER_READ, err);

	if (!r && (!w->o->role || strcmp(w->o->role, "log") != 0))
		r = hps_error_set(err, HPS_E_USAGE, "'key draft-rotate' is for --role log; a statement key is replaced by draft-add and draft-revoke");
	if (!r)
		r = choose_log_key(w, &next, err);
	if (!r)
		r = hps_rotate_log_draft(w->l, &next, w->passphrase, w->o->reason, &draft, err);
	if (!r)
		hps_print_json(draft);
	return r;
}

static int rotate_statement(struct work *w, struct hps_error *err)
{
	_cleanup_(hps_key_changes_release) struct hps_key_changes changes = { .n = 0 };
	int r = hps_rotate_statement(w->l, w->passphrase, w->o->reason, &changes, err);

	if (!r)
		print_changes(&changes);
	return r;
}

static int rotate(struct work *w, struct hps_error *err)
{
	bool log = w->o->role && !strcmp(w->o->role, "log");
	int r = open_ledger(w, HPS_LEDGER_READ, err);

	if (!r && !log && w->n)
		r = hps_error_set(err, HPS_E_USAGE, "'key rotate' makes the next statement key itself: 'key add' one of your own, 'key use' it, then 'key revoke' the former");
	if (!r && !log && !faccessat(w->l->dirfd, "keys/statement.json", F_OK, 0))
		r = hps_error_set(err, HPS_E_USAGE, "the statement key of '%s' is held by an agent or a token: 'key add' the next one, 'key use' it, then 'key revoke' this one", w->dir);
	if (!r)
		r = log ? hps_rotate_log_finish(w->l, w->passphrase, err) : hps_rotate_statement_finish(w->l, w->passphrase, err);
	hps_ledger_close(hps_take(w->l));
	if (r == 1)
		hps_print_line("the rotation that was cut off is finished");
	if (r)
		return r < 0 ? r : 0;
	r = open_ledger(w, HPS_LEDGER_APPEND, err);
	if (r)
		return r;
	return log ? rotate_log(w, err) : rotate_statement(w, err);
}

static bool is_same(const struct hps_key *a, const struct hps_key *b)
{
	char one[HPS_DIGEST_HEX], other[HPS_DIGEST_HEX];

	hps_key_id(a, one);
	hps_key_id(b, other);
	return !strcmp(one, other);
}

static int use(struct work *w, struct hps_error *err)
{
	const char *role = w->o->role ? w->o->role : "statement";
	_cleanup_(release_choice) struct hps_signer_choice c = { .key = NULL };
	int r;

	if (!strchr(w->args[0], ':'))
		return hps_error_set(err, HPS_E_USAGE, "'key use' takes agent:PUBLIC.pem or pkcs11:MODULE:TOKEN:LABEL:PUBLIC.pem");
	r = open_ledger(w, HPS_LEDGER_READ, err);
	if (!r)
		r = load_key(w, w->args[0], &c, err);
	if (!r && !strcmp(role, "log") && !is_same(c.key, w->l->trust.log.key))
		r = hps_error_set(err, HPS_E_USAGE, "that is not the key of this log; 'hps-ledger key --role log rotate KEY' hands the log over to it");
	return r ? r : hps_signer_save(w->l->dirfd, role, &c, NULL, err);
}

static int run_key(void *arg, int argc, char **argv, struct hps_error *err)
{
	static const struct {
		const char *name;
		int min, max;
		int (*run)(struct work *, struct hps_error *);
	} actions[] = {
		{ "list", 0, 0, list_keys },	       { "add", 1, 1, add_now },		{ "revoke", 1, 1, revoke_now }, { "rotate", 0, 1, rotate },
		{ "draft-add", 1, 1, draft_adding }, { "draft-revoke", 1, 1, draft_revoking }, { "approve", 1, 1, approve }, { "apply", 1, 1, apply },
		{ "use", 1, 1, use },		     { "draft-rotate", 0, 1, draft_rotating },
	};
	struct options *o = arg;
	struct work w = { .o = o, .dir = hps_ledger_path(o->ledger), .args = argv + 1, .n = argc - 1 };
	int r = o->passphrase_given ? hps_passphrase_read((int)o->passphrase_fd, &w.passphrase, err) : 0;
	bool known = r != 0;

	if (!r && o->role && strcmp(o->role, "statement") != 0 && strcmp(o->role, "log") != 0)
		r = hps_error_set(err, HPS_E_USAGE, "a role is 'statement' or 'log'");
	known |= r != 0;
	for (size_t i = 0; !r && i < ARRAY_SIZE(actions); i++)
		if (!strcmp(argv[0], actions[i].name)) {
			known = true;
			r = w.n < actions[i].min || w.n > actions[i].max ? hps_error_set(err, HPS_E_USAGE, "'key %s' takes other arguments; see hps-ledger(1)", argv[0]) :
									      actions[i].run(&w, err);
		}
	if (!known)
		r = hps_error_set(err, HPS_E_USAGE, "'key %s': it is list, add, revoke, rotate, draft-add, draft-revoke, draft-rotate, approve, apply or use", argv[0]);
	hps_ledger_close(w.l);
	hps_wipe_free(w.passphrase);
	hps_strv_release(&o->kinds);
	free(w.dir);
	return r;
}

static const struct hps_option options[] = {
	LEDGER,
	{ "kind", 'k', HPS_OPT_STRINGS, offsetof(struct options, kinds), "KIND", "what a new key may sign (repeatable; default: everything)", 0 },
	{ "reason", 0, HPS_OPT_STRING, offsetof(struct options, reason), "TEXT", "why; it is signed and stays in the ledger", 0 },
	{ "root-key", 0, HPS_OPT_STRING, offsetof(struct options, root_key), "FILE", "the root key that approves (PEM)", 0 },
	{ "role", 0, HPS_OPT_STRING, offsetof(struct options, role), "ROLE", "with 'use', 'rotate' and 'draft-rotate': statement (default) or log", 0 },
	PASSPHRASE,
};

const struct hps_command hps_cmd_key = {
	"key", "[options] ACTION [KEY|KEYID|FILE]", "list, add, revoke and rotate the keys that may sign, or sign with an agent or a token",
	options, ARRAY_SIZE(options), sizeof(struct options), 1, 2, run_key,
};
