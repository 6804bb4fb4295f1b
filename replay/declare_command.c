/* hps-replay declare ID: a tolerance for a trial's reruns, into the ledger before they happen. */
#include "replay/replay.h"

#include <string.h>

struct options {
	const char *ledger, *reason;
	struct hps_strv rtol, atol;
	int64_t passphrase_fd;
	bool json, have_passphrase;
};

static int append(const struct options *o, struct hps_ledger *l, const char *which, const struct hps_tolerance *t, struct hps_error *err)
{
	_cleanup_json_ json_t *statement = NULL;
	struct hps_entry entry = { 0 };
	uint64_t index = 0;
	char id[65];
	int r = hps_ledger_find(l, which, &entry, err);

	if (!r && strcmp(entry.kind, "trial") != 0)
		r = hps_error_set(err, HPS_E_USAGE, "entry %s is no trial but a %s", which, entry.kind);
	if (!r) {
		statement = hps_declaration_statement(entry.id, t, o->reason);
		r = hps_ledger_append(l, statement, id, &index, err);
	}
	if (!r && o->json)
		printf("{\"entry\":{\"id\":\"%s\",\"index\":%llu},\"schema\":\"hps.declaration/1\",\"trial\":\"%s\"}\n", id, (unsigned long long)index, entry.id);
	else if (!r)
		printf("declared for trial %.12s as entry @%llu\n", entry.id, (unsigned long long)index);
	hps_entry_release(&entry);
	return r;
}

static int run(void *options, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = options;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	struct hps_map by_place = HPS_MAP_INIT;
	struct hps_tolerance t = { 0 };
	char *passphrase = NULL;
	int r = hps_tolerance_read(&o->rtol, &o->atol, &t, &by_place, err);

	(void)argc;
	if (!r && !t.declared && !t.by_place)
		r = hps_error_set(err, HPS_E_USAGE, "nothing is declared: give --rtol or --atol");
	r = r ? r : hps_passphrase_read(o->have_passphrase ? (int)o->passphrase_fd : -1, &passphrase, err);
	r = r ? r : hps_ledger_open(dir, HPS_LEDGER_APPEND, passphrase, &l, err);
	r = r ? r : append(o, l, argv[0], &t, err);
	hps_tolerances_release(&by_place);
	hps_wipe_free(passphrase);
	return r;
}

#define FIELD(f) offsetof(struct options, f)
static const struct hps_option options[] = {
	{ "ledger", 'l', HPS_OPT_STRING, FIELD(ledger), "DIR", "the ledger (default: HPS_LEDGER, else the state directory)", 0 },
	{ "json", 0, HPS_OPT_FLAG, FIELD(json), NULL, "print JSON (hps.declaration/1)", 0 },
	{ "rtol", 0, HPS_OPT_STRINGS, FIELD(rtol), "[NAME=]X", "call numbers equal within this relative tolerance", 0 },
	{ "atol", 0, HPS_OPT_STRINGS, FIELD(atol), "[NAME=]X", "call numbers equal within this absolute tolerance", 0 },
	{ "reason", 0, HPS_OPT_STRING, FIELD(reason), "TEXT", "why this much; stands in the entry", 0 },
	{ "key-passphrase-fd", 0, HPS_OPT_I64, FIELD(passphrase_fd), "N", "read the passphrase of the keys from descriptor N", FIELD(have_passphrase) + 1 },
};
const struct hps_command hps_command_declare = { "declare", "[options] ID", "Declare in the ledger, before a replay, what tolerance will hold for it.",
						 options,   ARRAY_SIZE(options), sizeof(struct options), 1, 1, run };
