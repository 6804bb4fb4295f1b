/* hps-ledger list: the entries, one a line. */
#include "ledger/cmd.h"

#include <string.h>

struct options {
	const char *ledger, *kind, *study;
	bool json, jsonl;
};

struct listing {
	const struct options *o;
	struct hps_table table;
	json_t *entries;
};

static json_t *listed_json(const struct hps_entry *e)
{
	_cleanup_free_ char *summary = hps_entry_summary(e);
	json_t *j = hps_entry_json(e);

	hps_json_set_text(j, "summary", summary);
	return j;
}

static int list_one(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct listing *l = arg;
	_cleanup_free_ char *index = hps_format("@%llu", (unsigned long long)e->index), *number = NULL, *summary = NULL;
	_cleanup_json_ json_t *line = NULL;
	char id[13];

	(void)err;
	if (l->o->json) {
		hps_json_add(l->entries, listed_json(e));
		return 0;
	}
	if (l->o->jsonl) {
		hps_print_json(line = listed_json(e));
		return 0;
	}
	number = e->number >= 0 ? hps_format("%lld", (long long)e->number) : hps_strdup("");
	summary = hps_entry_summary(e);
	snprintf(id, sizeof id, "%.12s", e->id);
	hps_table_cell(&l->table, index);
	hps_table_cell(&l->table, id);
	hps_table_cell(&l->table, e->kind);
	hps_table_cell(&l->table, e->study ? e->study : "");
	hps_table_cell(&l->table, number);
	hps_table_cell(&l->table, hps_entry_time(e) ? hps_entry_time(e) : "");
	hps_table_cell(&l->table, summary);
	return 0;
}

static int run_list(void *arg, int argc, char **argv, struct hps_error *err)
{
	static const char *const heading[] = { "entry", "id", "kind", "study", "number", "time", "summary" };
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	struct listing listing = { .o = o, .table = { .columns = ARRAY_SIZE(heading), .right = 1 << 0 | 1 << 4 }, .entries = json_array() };
	_cleanup_json_ json_t *j = json_object();
	struct hps_filter filter = HPS_FILTER_ANY;
	int r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);

	(void)argc;
	(void)argv;
	hps_json_set_text(j, "schema", "hps.entries/1");
	hps_json_set(j, "entries", listing.entries);
	filter.kind = o->kind;
	filter.study = o->study;
	for (size_t i = 0; i < ARRAY_SIZE(heading); i++)
		hps_table_cell(&listing.table, heading[i]);
	if (!r)
		r = hps_ledger_each(l, &filter, list_one, &listing, err);
	if (!r && o->json)
		hps_print_json(j);
	/* Also what came before an entry that is damaged; not an empty table when there is no ledger. */
	if (l && !o->json && !o->jsonl)
		hps_table_print(&listing.table, stdout);
	hps_strv_release(&listing.table.cells);
	return r;
}

static const struct hps_option options[] = {
	LEDGER,
	{ "kind", 'k', HPS_OPT_STRING, offsetof(struct options, kind), "KIND", "only begin, trial, lost, search or verdict entries", 0 },
	{ "study", 's', HPS_OPT_STRING, offsetof(struct options, study), "NAME", "only entries of this study", 0 },
	JSON,
	{ "jsonl", 0, HPS_OPT_FLAG, offsetof(struct options, jsonl), NULL, "one JSON object for each entry, a line each", 0 },
};

const struct hps_command hps_cmd_list = {
	"list", "[options]", "the entries, one a line",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, 0, run_list,
};
