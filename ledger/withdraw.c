/* Withdrawing: the body of an entry goes, everything that proves the tree stays. The entry that says so comes first; what follows can
 * be killed anywhere and is done again. */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *statement_of(const struct hps_entry *e, const char *reason)
{
	json_t *statement = hps_statement_new(HPS_PREDICATE_WITHDRAW), *p = json_object_get(statement, "predicate");

	hps_json_set(statement, "subject", json_pack("[{s:s, s:{s:s}}]", "name", "entry", "digest", "sha256", e->id));
	hps_json_set_text(p, "withdrawn", e->id);
	hps_json_set_int(p, "index", (int64_t)e->index);
	hps_json_set_text(p, "reason", reason);
	return statement;
}

struct search {
	const char *id;
	bool found;
};

static int is_withdrawal(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct search *s = arg;
	const char *id = hps_json_text(json_object_get(e->statement, "predicate"), "withdrawn");

	(void)err;
	s->found |= id && !strcmp(id, s->id);
	return 0;
}

static int append_once(struct hps_ledger *l, const struct hps_entry *e, const char *reason, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = statement_of(e, reason);
	struct hps_filter filter = HPS_FILTER_ANY;
	struct search s = { .id = e->id };
	int r;

	filter.kind = "withdraw";
	r = hps_ledger_each(l, &filter, is_withdrawal, &s, err);
	return r || s.found ? r : hps_ledger_append(l, statement, NULL, NULL, err);
}

static int remove_body(struct hps_ledger *l, const struct hps_entry *e, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_format("envelope/%s.json", e->id);
	int r = hps_ledger_settle_all(l, err); /* and the journal is empty then */

	if (!r)
		r = hps_ledger_lock(l, err);
	if (r)
		return r;
	hps_queue_wipe(&l->queue);
	hps_publication_sweep(l);
	r = hps_store_withdraw(l->store, e->index, err);
	if (!r && unlinkat(l->tilesfd, path, 0) && errno != ENOENT)
		r = hps_error_errno(err, "removing 'tiles/%s'", path);
	if (!r && unlinkat(l->dirfd, HPS_DATABASE_OLD, 0) && errno != ENOENT) /* it may have the body, too */
		r = hps_error_errno(err, "removing '" HPS_DATABASE_OLD "'");
	hps_ledger_unlock(l);
	return r;
}

int hps_ledger_withdraw(struct hps_ledger *l, const char *id, const char *reason, struct hps_entry *ret, struct hps_error *err)
{
	_cleanup_(hps_entry_release) struct hps_entry e = { .number = -1 };
	int r = hps_ledger_find_index(l, id, &e.index, e.id, err);

	if (!r)
		r = hps_ledger_load(l, e.index, ret, err);
	if (r == HPS_E_NOTFOUND && *e.id) { /* done before, or half done */
		if (err)
			hps_error_release(err);
		*ret = e;
		r = 0;
	}
	if (r)
		return r;
	if (ret->kind && !strcmp(ret->kind, "withdraw"))
		return hps_error_set(err, HPS_E_USAGE, "'%s' says itself that an entry was withdrawn: it stays", id);
	if (ret->kind && !strcmp(ret->kind, "key"))
		return hps_error_set(err, HPS_E_USAGE, "'%s' changes who may sign: it stays, without it nobody could verify what was signed after it", id);
	r = append_once(l, ret, reason, err);
	return r ? r : remove_body(l, ret, err);
}
