/* What the runner appends: register, commit, result, stop. docs/FORMATS.md, "urn:hps:search:v1", names every member. */
#include "search/search.h"

#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX 100 /* bytes of a value in "what differs" */

static json_t *statement_new(const char *study, const char *event, json_t **ret_predicate)
{
	json_t *statement = hps_statement_new(HPS_PREDICATE_SEARCH);
	json_t *p = json_object_get(statement, "predicate");

	hps_json_set_text(p, "study", study);
	hps_json_set_text(p, "event", event);
	*ret_predicate = p;
	return statement;
}

static void set_subject(json_t *statement, const char *name, const char *sha256)
{
	hps_json_set(statement, "subject", json_pack("[{s:s, s:{s:s}}]", "name", name, "digest", "sha256", sha256));
}

static const char *study_name(const struct hps_history *h)
{
	return hps_json_text(h->spec, "study");
}

static int append(struct hps_ledger *l, struct hps_history *h, const char *study, const json_t *statement, struct hps_error *err)
{
	int r = hps_ledger_append(l, statement, NULL, NULL, err);

	if (r)
		return r;
	h->n_appended++;
	return hps_history_read(l, study, h, err);
}

static int canonical_digest(const json_t *value, struct hps_digest *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;
	int r = hps_json_canonical(value, &bytes, err);

	if (!r)
		hps_digest_of(bytes.data, bytes.len, ret);
	return r;
}

/* ---- register ---- */

static char *shown(const json_t *value)
{
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;

	if (!value)
		return hps_strdup("nothing");
	if (hps_json_canonical(value, &bytes, NULL) || !bytes.data)
		return hps_strdup("?");
	return bytes.len > SHOWN_MAX ? hps_format("%.*s…", SHOWN_MAX, bytes.data) : hps_buf_take(&bytes);
}

static bool same(const json_t *a, const json_t *b)
{
	return a == b || json_equal(a, b);
}

/* Both lists: the first item that differs, its place or its name into *ret_which. */
static void narrow(const json_t **a, const json_t **b, char **ret_which)
{
	size_t i = 0;
	const char *name;

	while (i < json_array_size(*a) && same(json_array_get(*a, i), json_array_get(*b, i)))
		i++;
	*a = json_array_get(*a, i);
	*b = json_array_get(*b, i);
	name = hps_json_text(*a ? *a : *b, "name");
	*ret_which = name ? hps_format(" ('%s')", name) : hps_format(" (item %zu)", i + 1);
}

/* The first member that differs, one level into objects and lists: "'workers': 2 is registered, the file has 4". */
static char *difference(const json_t *old, const json_t *new, const char *inside)
{
	static const char *const members[] = { "hps",	 "study",   "team",    "command", "space",   "metrics", "search",
					       "budget", "workers", "dataset", "env",	  "sampler", "seed",	"trials" };

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const json_t *a = json_object_get(old, members[i]), *b = json_object_get(new, members[i]);
		_cleanup_free_ char *was = NULL, *is = NULL, *which = NULL;
		char *deeper = NULL;

		if (same(a, b))
			continue;
		if (!inside && json_is_object(a) && json_is_object(b))
			deeper = difference(a, b, members[i]);
		if (deeper)
			return deeper;
		if (json_is_array(a) && json_is_array(b))
			narrow(&a, &b, &which);
		was = shown(a);
		is = shown(b);
		return hps_format("'%s'%s%s%s%s: %s is registered, the file has %s", members[i], inside ? " of '" : "", inside ? inside : "",
				  inside ? "'" : "", which ? which : "", was, is);
	}
	return NULL;
}

static int refuse_other(const struct hps_history *h, const json_t *spec, struct hps_error *err)
{
	_cleanup_free_ char *what = difference(h->spec, spec, NULL);
	bool workers_alone = what && !strncmp(what, "'workers'", 9);

	return hps_error_set(err, HPS_E_USAGE, "study '%s' is registered with another specification: %s; %s", study_name(h),
			     what ? what : "it was written by another version",
			     workers_alone ? "restore the file and use --workers" : "restore the file, or give the new study another name");
}

/* Size and root of one checkpoint, though others append meanwhile. */
static int ledger_state(struct hps_ledger *l, uint64_t *ret_size, char ret_root[HPS_DIGEST_HEX], struct hps_error *err)
{
	uint64_t before;

	do {
		int r;

		before = hps_ledger_size(l);
		r = hps_ledger_root(l, ret_root, err);
		if (r)
			return r;
		*ret_size = hps_ledger_size(l);
	} while (before != *ret_size);
	return 0;
}

static int register_new(struct hps_ledger *l, const json_t *spec, const struct hps_digest *digest, const char *file, struct hps_history *h,
			struct hps_error *err)
{
	const char *study = hps_json_text(spec, "study");
	_cleanup_json_ json_t *statement = NULL;
	char digest_hex[HPS_DIGEST_HEX], root_hex[HPS_DIGEST_HEX], seed_hex[HPS_DIGEST_HEX];
	struct hps_digest root;
	struct hps_seed seed;
	uint64_t size;
	json_t *p;
	int r = ledger_state(l, &size, root_hex, err);

	if (r)
		return r;
	if (hps_digest_parse(root_hex, &root))
		return hps_error_set(err, HPS_E_DAMAGED, "registering study '%s': the checkpoint's root is not a hash", study);
	hps_seed_of_study(spec, digest, &root, &seed);
	hps_digest_hex(digest, digest_hex);
	hps_hex(seed_hex, seed.b, sizeof(seed.b));
	statement = statement_new(study, "register", &p);
	set_subject(statement, "spec", digest_hex);
	hps_json_set(p, "spec", json_deep_copy(spec));
	hps_json_set_text(p, "specDigest", digest_hex);
	hps_json_set_text(p, "root", root_hex);
	hps_json_set_int(p, "size", (int64_t)size);
	hps_json_set_text(p, "seed", seed_hex);
	hps_json_set(p, "file", hps_path_json(file));
	return append(l, h, study, statement, err);
}

int hps_study_register(struct hps_ledger *l, const json_t *spec, const char *file, struct hps_history *h, struct hps_error *err)
{
	char hex[HPS_DIGEST_HEX];
	struct hps_digest digest;
	int r = canonical_digest(spec, &digest, err);

	if (r)
		return r;
	hps_digest_hex(&digest, hex);
	if (!h->registered[0])
		return register_new(l, spec, &digest, file, h, err);
	return strcmp(hex, h->spec_digest) ? refuse_other(h, spec, err) : 0;
}

/* ---- commit, result, stop ---- */

int hps_study_commit(struct hps_ledger *l, struct hps_history *h, uint64_t number, const json_t *params, const char *trial_seed,
		     const json_t *command, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = NULL;
	json_t *p;
	char hex[HPS_DIGEST_HEX];
	struct hps_digest digest;
	int r = canonical_digest(params, &digest, err);

	if (r)
		return r;
	statement = statement_new(study_name(h), "commit", &p);
	hps_json_set(p, "command", json_deep_copy(command));
	hps_digest_hex(&digest, hex);
	set_subject(statement, "params", hex);
	hps_json_set_int(p, "number", (int64_t)number);
	hps_json_set(p, "params", json_deep_copy(params));
	hps_json_set_text(p, "trialSeed", trial_seed);
	hps_json_set_text(p, "register", h->registered);
	return append(l, h, study_name(h), statement, err);
}

int hps_study_result(struct hps_ledger *l, struct hps_history *h, uint64_t number, struct hps_error *err)
{
	const struct hps_run_trial *t = &h->trials[number];
	_cleanup_json_ json_t *statement = NULL;
	json_t *p;

	statement = statement_new(study_name(h), "result", &p);
	hps_json_set_int(p, "number", (int64_t)number);
	if (t->id[0]) {
		set_subject(statement, "trial", t->id);
		hps_json_set_text(p, "trial", t->id);
		hps_json_set_text(p, "state", t->state);
		hps_json_set(p, "metrics", t->metrics ? json_deep_copy(t->metrics) : json_object());
	} else {
		set_subject(statement, "lost", t->lost);
		hps_json_set_text(p, "lost", t->lost);
		hps_json_set_text(p, "state", "lost");
		hps_json_set(p, "metrics", json_object());
	}
	return append(l, h, study_name(h), statement, err);
}

int hps_study_stop(struct hps_ledger *l, struct hps_history *h, const char *reason, struct hps_error *err)
{
	struct hps_counts c = hps_history_counts(h);
	_cleanup_json_ json_t *statement = NULL;
	char root[HPS_DIGEST_HEX];
	uint64_t entries;
	json_t *p;
	int r = hps_study_tree(l, study_name(h), &entries, root, err);

	if (r)
		return r;
	statement = statement_new(study_name(h), "stop", &p);
	set_subject(statement, "spec", h->spec_digest);
	hps_json_set_text(p, "reason", reason);
	hps_json_set(p, "counts",
		     json_pack("{s:I, s:I, s:I, s:I}", "complete", (json_int_t)c.complete, "failed", (json_int_t)c.failed, "killed",
			       (json_int_t)c.killed, "lost", (json_int_t)c.lost));
	hps_json_set_text(p, "register", h->registered);
	hps_json_set_int(p, "entries", (int64_t)entries);
	hps_json_set_text(p, "root", root);
	return append(l, h, study_name(h), statement, err);
}
