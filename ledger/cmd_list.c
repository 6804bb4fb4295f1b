/* hps-ledger list: the entries, one a line. */
#include "ledger/cmd.h"

#include <string.h>

#define LINES 500 /* of a table, unless told otherwise */
#define NAME_SHOWN 64

struct options {
	const char *ledger, *kind, *study;
	uint64_t from, limit;
	bool from_given, limit_given, json, jsonl;
};

struct listing {
	const struct options *o;
	uint64_t limit, n, last;
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

/* A name that came in before there was a rule for names, or from elsewhere, must not push the columns out of the window. */
static char *short_name(const char *name)
{
	size_t n = strnlen(name, NAME_SHOWN);

	while (name[n] && ((unsigned char)name[n] & 0xc0) == 0x80)
		n--;
	return hps_format("%.*s%s", (int)n, name, name[n] ? "…" : "");
}

static void list_line(struct listing *l, const struct hps_entry *e)
{
	_cleanup_free_ char *index = hps_format("@%llu", (unsigned long long)e->index), *number = NULL, *summary = NULL;
	_cleanup_free_ char *study = short_name(e->study ? e->study : "");
	char id[13];

	number = e->number >= 0 ? hps_format("%lld", (long long)e->number) : hps_strdup("");
	summary = hps_entry_summary(e);
	snprintf(id, sizeof id, "%.12s", e->id);
	hps_table_cell(&l->table, index);
	hps_table_cell(&l->table, id);
	hps_table_cell(&l->table, e->kind);
	hps_table_cell(&l->table, study);
	hps_table_cell(&l->table, number);
	hps_table_cell(&l->table, hps_entry_time(e) ? hps_entry_time(e) : "");
	hps_table_cell(&l->table, summary);
}

/* From an index on it pages forward, and stops here. */
static int list_one(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct listing *l = arg;
	_cleanup_json_ json_t *line = NULL;

	(void)err;
	if (l->limit && l->n == l->limit)
		return 1;
	l->n++;
	l->last = e->index;
	if (l->o->json)
		hps_json_add(l->entries, listed_json(e));
	else if (l->o->jsonl)
		hps_print_json(line = listed_json(e));
	else
		list_line(l, e);
	return 0;
}

static void note_rest(const struct listing *l, bool more)
{
	if (more)
		hps_note("there are more: --from %llu goes on, --limit 0 shows all", (unsigned long long)l->last + 1);
	else if (l->limit && l->n == l->limit && !l->o->from_given && l->last + 1 > l->n)
		hps_note("these are the newest %llu: --limit 0 shows all, --from 0 begins at the first", (unsigned long long)l->n);
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
	listing.limit = o->limit_given ? o->limit : o->json || o->jsonl ? 0 : LINES;
	filter.from_index = o->from;
	filter.newest = o->from_given ? 0 : listing.limit;
	hps_json_set_text(j, "schema", "hps.entries/1");
	hps_json_set(j, "entries", listing.entries);
	filter.kind = o->kind;
	filter.study = o->study;
	for (size_t i = 0; i < ARRAY_SIZE(heading); i++)
		hps_table_cell(&listing.table, heading[i]);
	if (!r)
		r = hps_ledger_each(l, &filter, list_one, &listing, err);
	if (r >= 0 && o->json)
		hps_print_json(j);
	/* Also what came before an entry that is damaged; not an empty table when there is no ledger. */
	if (l && !o->json && !o->jsonl)
		hps_table_print(&listing.table, stdout);
	hps_strv_release(&listing.table.cells);
	if (r >= 0 && !o->json && !o->jsonl)
		note_rest(&listing, r > 0);
	return r < 0 ? r : 0;
}

static const struct hps_option options[] = {
	LEDGER,
	{ "kind", 'k', HPS_OPT_STRING, offsetof(struct options, kind), "KIND", "only begin, trial, lost, search or verdict entries", 0 },
	{ "study", 's', HPS_OPT_STRING, offsetof(struct options, study), "NAME", "only entries of this study", 0 },
	{ "limit", 'n', HPS_OPT_U64, offsetof(struct options, limit), "N", "at most N entries, the newest ones; 0: all (tables: 500)", offsetof(struct options, limit_given) + 1 },
	{ "from", 0, HPS_OPT_U64, offsetof(struct options, from), "INDEX", "from that entry on, and the first ones instead of the newest", offsetof(struct options, from_given) + 1 },
	JSON,
	{ "jsonl", 0, HPS_OPT_FLAG, offsetof(struct options, jsonl), NULL, "one JSON object for each entry, a line each", 0 },
};

const struct hps_command hps_cmd_list = {
	"list", "[options]", "the entries, one a line",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, 0, run_list,
};
