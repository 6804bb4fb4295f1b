/* hps-ledger show: one entry. */
#include "ledger/cmd.h"

#include <string.h>

struct options {
	const char *ledger;
	bool json;
};

struct showing {
	struct hps_ledger *l;
	const struct hps_entry *e;
	struct hps_table table;
};

static void show_text(struct showing *s, const char *label, const char *text)
{
	if (!text || !*text)
		return;
	hps_table_cell(&s->table, label);
	hps_table_cell(&s->table, text);
}

static void show_buf(struct showing *s, const char *label, struct hps_buf *text)
{
	show_text(s, label, text->data);
	hps_buf_release(text);
}

static void show_study(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;

	if (s->e->study)
		hps_buf_addf(&text, "%s", s->e->study);
	if (s->e->number >= 0)
		hps_buf_addf(&text, "%snumber %lld", text.len ? ", " : "", (long long)s->e->number);
	show_buf(s, "study", &text);
}

static void show_command(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;

	hps_add_words(&text, hps_entry_at(s->e, "command"));
	hps_add_words(&text, hps_json_at(s->e->statement, "predicate", "buildDefinition", "externalParameters", "command", NULL));
	show_buf(s, "command", &text);
}

static void show_params(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;

	hps_add_members(&text, hps_entry_at(s->e, "params"));
	hps_add_members(&text, hps_json_at(s->e->statement, "predicate", "buildDefinition", "externalParameters", "params", NULL));
	show_buf(s, "params", &text);
}

static void show_state(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;

	if (hps_entry_text(s->e, "state")) {
		hps_buf_adds(&text, hps_entry_text(s->e, "state"));
		hps_add_exit(&text, s->e);
	}
	show_buf(s, "state", &text);
}

static void show_metrics(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;

	hps_add_members(&text, hps_entry_at(s->e, "metrics"));
	show_buf(s, "metrics", &text);
}

static void show_seeds(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;
	const json_t *seed;
	size_t i;

	json_array_foreach(hps_entry_at(s->e, "seeds"), i, seed) {
		const char *name = hps_json_text(seed, "name"), *value = hps_json_text(seed, "value"), *origin = hps_json_text(seed, "origin");

		hps_buf_addf(&text, "%s%s=%s (%s)", i ? ", " : "", name ? name : "?", value ? value : "?", origin ? origin : "?");
	}
	show_buf(s, "seeds", &text);
}

static void show_times(struct showing *s)
{
	const json_t *metadata = hps_json_at(s->e->statement, "predicate", "runDetails", "metadata", NULL);

	show_text(s, "time", hps_entry_time(s->e));
	show_text(s, "started", hps_json_text(metadata, "startedOn"));
	show_text(s, "finished", hps_json_text(metadata, "finishedOn"));
	show_text(s, "seconds", hps_json_text(hps_entry_at(s->e, "resources"), "wallSeconds"));
}

/* How many items the manifest has; "not here" without a content store. */
static void show_manifest(struct showing *s, const json_t *descriptor)
{
	struct hps_objects *objects = hps_ledger_objects(s->l);
	const char *name = hps_json_text(descriptor, "name"), *hex = hps_json_text(json_object_get(descriptor, "digest"), "sha256");
	_cleanup_json_ json_t *manifest = NULL;
	_cleanup_free_ char *text = NULL;
	struct hps_digest d;

	if (!name || hps_digest_parse(hex, &d))
		return;
	if (!objects || hps_objects_get_json(objects, &d, &manifest, NULL))
		text = hps_format("not readable here (sha256 %.12s)", hex);
	else
		text = hps_format("%zu (sha256 %.12s)", json_array_size(json_object_get(manifest, "items")), hex);
	show_text(s, name, text);
}

static void show_manifests(struct showing *s)
{
	const json_t *dependencies = hps_json_at(s->e->statement, "predicate", "buildDefinition", "resolvedDependencies", NULL), *one;
	size_t i;

	if (strcmp(s->e->kind, "trial") != 0)
		return;
	show_manifest(s, json_array_get(json_object_get(s->e->statement, "subject"), 0));
	json_array_foreach(dependencies, i, one)
		if (hps_json_text(one, "mediaType"))
			show_manifest(s, one);
}

static void show_coverage(struct showing *s)
{
	const json_t *coverage = hps_entry_at(s->e, "coverage"), *gap;
	struct hps_buf text = HPS_BUF_INIT;
	size_t i;

	if (coverage)
		hps_buf_adds(&text, json_is_true(json_object_get(coverage, "complete")) ? "complete" : "not complete");
	json_array_foreach(json_object_get(coverage, "gaps"), i, gap) {
		const char *what = hps_json_text(gap, "what"), *why = hps_json_text(gap, "why");

		hps_buf_addf(&text, "; %s (%s)", what ? what : "?", why ? why : "?");
	}
	show_buf(s, "coverage", &text);
}

static void show_event(struct showing *s)
{
	static const struct {
		const char *label, *member;
	} rows[] = { { "event", "event" }, { "verdict", "hps_verdict" }, { "level", "hps_level" }, { "trial", "hps_trial" },
		     { "trial", "trial" }, { "begin", "begin" },	 { "replay of", "replayOf" }, { "reason", "reason" }, { "why", "why" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		show_text(s, rows[i].label, hps_entry_text(s->e, rows[i].member));
}

static void show_entry(struct hps_ledger *l, const struct hps_entry *e)
{
	static void (*const parts[])(struct showing *) = { show_study, show_event, show_command, show_params, show_state, show_metrics,
							   show_seeds, show_times, show_manifests, show_coverage };
	struct showing s = { .l = l, .e = e, .table = { .columns = 2 } };
	_cleanup_free_ char *index = hps_format("@%llu, %s", (unsigned long long)e->index, e->kind);

	show_text(&s, "entry", index);
	show_text(&s, "id", e->id);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		parts[i](&s);
	show_text(&s, "signed by", e->keyid);
	hps_table_print(&s.table, stdout);
}

static int run_show(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_(hps_entry_release) struct hps_entry e = { .number = -1 };
	_cleanup_json_ json_t *j = NULL;
	int r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);

	(void)argc;
	if (!r)
		r = hps_ledger_find(l, argv[0], &e, err);
	if (r)
		return r;
	if (o->json) {
		j = hps_entry_json(&e);
		hps_json_set_text(j, "schema", "hps.entry/1");
		hps_json_set(j, "statement", json_incref(e.statement));
		hps_print_json(j);
	} else {
		show_entry(l, &e);
	}
	return 0;
}

static const struct hps_option options[] = { LEDGER, JSON };

const struct hps_command hps_cmd_show = {
	"show", "[options] ID", "one entry: '@INDEX', an id, or at least 6 digits of one",
	options, ARRAY_SIZE(options), sizeof(struct options), 1, 1, run_show,
};
