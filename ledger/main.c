/* hps-ledger: make a ledger, verify it, look at what is in it. */
#include "ledger/ledger.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *ledger, *origin, *trust, *kind, *study;
	int64_t passphrase_fd;
	bool passphrase_given, json, jsonl, skip_objects;
};

#define LEDGER { "ledger", 0, HPS_OPT_STRING, offsetof(struct options, ledger), "DIR", "the ledger (default: $HPS_LEDGER, else the user's own)", 0 }
#define JSON { "json", 0, HPS_OPT_FLAG, offsetof(struct options, json), NULL, "one JSON object instead of text", 0 }
#define PASSPHRASE                                                                                                          \
	{                                                                                                                   \
		"key-passphrase-fd", 0, HPS_OPT_I64, offsetof(struct options, passphrase_fd), "N", "read the keys' passphrase from descriptor N", \
			offsetof(struct options, passphrase_given) + 1                                                      \
	}

/* ---- printing ---- */

static void print_json(const json_t *j)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (hps_json_canonical(j, &text, NULL))
		abort(); /* what we print was stored canonically or made here */
	puts(text.data);
}

/* Text that may come from a trial, made safe for a terminal. */
static void print_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void print_line(const char *format, ...)
{
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		abort();
	va_end(ap);
	hps_term_escape(&safe, text, strlen(text));
	puts(safe.data ? safe.data : "");
}

static const char *predicate_text(const struct hps_entry *e, const char *name)
{
	return hps_json_text(json_object_get(e->statement, "predicate"), name);
}

static const json_t *predicate_at(const struct hps_entry *e, const char *name)
{
	return json_object_get(json_object_get(e->statement, "predicate"), name);
}

/* name=value of each member, for parameters and metrics. */
static void add_members(struct hps_buf *out, const json_t *object)
{
	_cleanup_strv_ struct hps_strv sorted = HPS_STRV_INIT;
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
		hps_strv_addf(&sorted, "%s=%s", name, json_is_string(value) ? json_string_value(value) : "…");
	hps_strv_sort(&sorted);
	for (size_t i = 0; i < sorted.n; i++)
		hps_buf_addf(out, "%s%s", out->len ? " " : "", sorted.v[i]);
}

static void add_words(struct hps_buf *out, const json_t *array)
{
	const json_t *word;
	size_t i;

	json_array_foreach(array, i, word)
		hps_buf_addf(out, "%s%s", out->len ? " " : "", json_is_string(word) ? json_string_value(word) : "…");
}

static void add_exit(struct hps_buf *out, const struct hps_entry *e)
{
	const json_t *how = predicate_at(e, "exit");

	if (hps_json_int(how, "signal", -1) >= 0)
		hps_buf_addf(out, ", signal %lld", (long long)hps_json_int(how, "signal", -1));
	else if (hps_json_int(how, "code", -1) >= 0)
		hps_buf_addf(out, ", exit %lld", (long long)hps_json_int(how, "code", -1));
}

/* What an entry says, in a few words, by its kind. */
static char *summary_of(const struct hps_entry *e)
{
	static const char *const members[] = { "state", "hps_verdict", "event", "why", "reason" };
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, more = HPS_BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (predicate_text(e, members[i]))
			hps_buf_addf(&text, "%s%s", text.len ? ", " : "", predicate_text(e, members[i]));
	add_exit(&text, e);
	if (!strcmp(e->kind, "begin"))
		add_words(&more, predicate_at(e, "command"));
	else
		add_members(&more, predicate_at(e, "metrics"));
	if (more.len)
		hps_buf_addf(&text, "%s%.120s", text.len ? ", " : "", more.data);
	return hps_buf_take(&text);
}

static const char *time_of(const struct hps_entry *e)
{
	return predicate_text(e, "time") ? predicate_text(e, "time") : predicate_text(e, "timeVerified");
}

static json_t *entry_json(const struct hps_entry *e)
{
	json_t *j = json_object();

	hps_json_set_int(j, "index", (int64_t)e->index);
	hps_json_set_text(j, "id", e->id);
	hps_json_set_text(j, "keyid", e->keyid);
	hps_json_set_text(j, "kind", e->kind);
	hps_json_set_text(j, "study", e->study);
	if (e->number >= 0)
		hps_json_set_int(j, "number", e->number);
	hps_json_set_text(j, "event", e->event);
	hps_json_set_text(j, "begin", e->begin);
	hps_json_set_text(j, "time", time_of(e));
	return j;
}

/* ---- init ---- */

static int run_init(void *arg, int argc, char **argv, struct hps_error *err)
{
	struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(argc ? argv[0] : o->ledger);
	struct hps_ledger_init init = { .origin = o->origin };
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	char *passphrase = NULL;
	int r = o->passphrase_given ? hps_passphrase_read((int)o->passphrase_fd, &passphrase, err) : 0;

	if (r)
		return r;
	init.passphrase = passphrase;
	r = hps_ledger_create(dir, &init, err);
	hps_wipe_free(passphrase);
	if (!r)
		r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);
	if (r)
		return r;
	if (!o->passphrase_given)
		hps_note("the keys in '%s/keys' are not encrypted: whoever reads them can sign; --key-passphrase-fd encrypts them", dir);
	print_line("made the ledger '%s' (origin '%s')", dir, hps_ledger_origin(l));
	print_line("give '%s/trust.json' to whoever is to verify it", dir);
	return 0;
}

/* ---- verify ---- */

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
	struct hps_progress *p = arg;

	p->total = total;
	hps_progress_update(p, done);
}

static json_t *verification_json(const struct hps_verification *v)
{
	json_t *j = json_object(), *problems = json_array();

	for (size_t i = 0; i < v->n_problems; i++) {
		json_t *p = json_object();

		if (v->problems[i].index >= 0)
			hps_json_set_int(p, "index", v->problems[i].index);
		hps_json_set_text(p, "id", v->problems[i].id);
		hps_json_set_text(p, "file", v->problems[i].file);
		hps_json_set_text(p, "what", v->problems[i].what);
		hps_json_add(problems, p);
	}
	hps_json_set_text(j, "schema", "hps.verification/1");
	hps_json_set(j, "holds", json_boolean(v->n_problems == 0));
	hps_json_set_text(j, "origin", v->origin);
	hps_json_set_int(j, "size", (int64_t)v->size);
	hps_json_set_text(j, "root", v->root);
	hps_json_set_int(j, "checked", (int64_t)v->n_checked);
	hps_json_set_int(j, "objects", (int64_t)v->n_objects);
	hps_json_set(j, "objectsChecked", json_boolean(v->objects_checked));
	hps_json_set(j, "databaseChecked", json_boolean(v->database_checked));
	hps_json_set(j, "problems", problems);
	return j;
}

static void print_problem(const struct hps_problem *p)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (p->index >= 0)
		hps_buf_addf(&text, "entry @%lld%s%.12s%s: ", (long long)p->index, p->id ? " (" : "", p->id ? p->id : "", p->id ? ")" : "");
	if (p->file)
		hps_buf_addf(&text, "%s: ", p->file);
	print_line("%s%s", text.data ? text.data : "", p->what);
}

static void print_verification(const char *dir, const struct hps_verification *v)
{
	for (size_t i = 0; i < v->n_problems; i++)
		print_problem(&v->problems[i]);
	print_line("ledger   %s", dir);
	if (v->origin)
		print_line("origin   %s", v->origin);
	print_line("entries  %llu of %llu hold", (unsigned long long)v->n_checked, (unsigned long long)v->size);
	if (v->objects_checked)
		print_line("objects  %llu hold", (unsigned long long)v->n_objects);
	else
		print_line("objects  not checked");
	print_line("database %s", v->database_checked ? "compared" : "not compared");
	if (*v->root)
		print_line("root     %s", v->root);
	if (v->n_problems)
		print_line("DAMAGED: %zu problem%s", v->n_problems, v->n_problems == 1 ? "" : "s");
	else
		print_line("OK: every entry is signed by a trusted key and is in the signed tree");
}

static int run_verify(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	struct hps_progress progress;
	struct hps_verify_options options = { .trust = o->trust, .skip_objects = o->skip_objects, .progress = show_progress, .progress_arg = &progress };
	_cleanup_(hps_verification_release) struct hps_verification v = { 0 };
	_cleanup_json_ json_t *j = NULL;
	int r;

	(void)argc;
	(void)argv;
	hps_progress_start(&progress, "verifying", 0);
	r = hps_ledger_verify(dir, &options, &v, err);
	hps_progress_end(&progress);
	if (r)
		return r;
	if (o->json)
		print_json(j = verification_json(&v));
	else
		print_verification(dir, &v);
	return v.n_problems ? 3 : 0;
}

/* ---- list ---- */

struct listing {
	const struct options *o;
	struct hps_table table;
	json_t *entries;
};

static json_t *listed_json(const struct hps_entry *e)
{
	_cleanup_free_ char *summary = summary_of(e);
	json_t *j = entry_json(e);

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
		print_json(line = listed_json(e));
		return 0;
	}
	number = e->number >= 0 ? hps_format("%lld", (long long)e->number) : hps_strdup("");
	summary = summary_of(e);
	snprintf(id, sizeof id, "%.12s", e->id);
	hps_table_cell(&l->table, index);
	hps_table_cell(&l->table, id);
	hps_table_cell(&l->table, e->kind);
	hps_table_cell(&l->table, e->study ? e->study : "");
	hps_table_cell(&l->table, number);
	hps_table_cell(&l->table, time_of(e) ? time_of(e) : "");
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
		print_json(j);
	/* Also what came before an entry that is damaged; not an empty table when there is no ledger. */
	if (l && !o->json && !o->jsonl)
		hps_table_print(&listing.table, stdout);
	hps_strv_release(&listing.table.cells);
	return r;
}

/* ---- show ---- */

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

	add_words(&text, predicate_at(s->e, "command"));
	add_words(&text, hps_json_at(s->e->statement, "predicate", "buildDefinition", "externalParameters", "command", NULL));
	show_buf(s, "command", &text);
}

static void show_params(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;

	add_members(&text, predicate_at(s->e, "params"));
	add_members(&text, hps_json_at(s->e->statement, "predicate", "buildDefinition", "externalParameters", "params", NULL));
	show_buf(s, "params", &text);
}

static void show_state(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;

	if (predicate_text(s->e, "state")) {
		hps_buf_adds(&text, predicate_text(s->e, "state"));
		add_exit(&text, s->e);
	}
	show_buf(s, "state", &text);
}

static void show_metrics(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;

	add_members(&text, predicate_at(s->e, "metrics"));
	show_buf(s, "metrics", &text);
}

static void show_seeds(struct showing *s)
{
	struct hps_buf text = HPS_BUF_INIT;
	const json_t *seed;
	size_t i;

	json_array_foreach(predicate_at(s->e, "seeds"), i, seed) {
		const char *name = hps_json_text(seed, "name"), *value = hps_json_text(seed, "value"), *origin = hps_json_text(seed, "origin");

		hps_buf_addf(&text, "%s%s=%s (%s)", i ? ", " : "", name ? name : "?", value ? value : "?", origin ? origin : "?");
	}
	show_buf(s, "seeds", &text);
}

static void show_times(struct showing *s)
{
	const json_t *metadata = hps_json_at(s->e->statement, "predicate", "runDetails", "metadata", NULL);

	show_text(s, "time", time_of(s->e));
	show_text(s, "started", hps_json_text(metadata, "startedOn"));
	show_text(s, "finished", hps_json_text(metadata, "finishedOn"));
	show_text(s, "seconds", hps_json_text(predicate_at(s->e, "resources"), "wallSeconds"));
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
	const json_t *coverage = predicate_at(s->e, "coverage"), *gap;
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
		show_text(s, rows[i].label, predicate_text(s->e, rows[i].member));
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
		j = entry_json(&e);
		hps_json_set_text(j, "schema", "hps.entry/1");
		hps_json_set(j, "statement", json_incref(e.statement));
		print_json(j);
	} else {
		show_entry(l, &e);
	}
	return 0;
}

/* ---- append ---- */

static int append_file(struct hps_ledger *l, const char *path, json_t *appended, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *statement = NULL;
	json_t *one;
	char id[65];
	uint64_t index;
	int r = strcmp(path, "-") ? hps_file_read(AT_FDCWD, path, HPS_ENVELOPE_MAX, &text, err) : hps_file_read_fd(STDIN_FILENO, HPS_ENVELOPE_MAX, &text, err);

	if (r)
		return r;
	r = hps_json_parse(text.data, text.len, &statement, err);
	if (!r)
		r = hps_ledger_append(l, statement, id, &index, err);
	if (r) {
		hps_error_prefix(err, "'%s'", path);
		return r;
	}
	one = json_object();
	hps_json_set_text(one, "id", id);
	hps_json_set_int(one, "index", (int64_t)index);
	hps_json_add(appended, one);
	return 0;
}

static int run_append(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_json_ json_t *j = json_object();
	json_t *appended = json_array();
	char *passphrase = NULL;
	int r = o->passphrase_given ? hps_passphrase_read((int)o->passphrase_fd, &passphrase, err) : 0;

	hps_json_set_text(j, "schema", "hps.appended/1");
	hps_json_set(j, "entries", appended);
	if (!r)
		r = hps_ledger_open(dir, HPS_LEDGER_APPEND, passphrase, &l, err);
	hps_wipe_free(passphrase);
	for (int i = 0; !r && i < argc; i++) {
		r = append_file(l, argv[i], appended, err);
		if (!r && !o->json) {
			const json_t *one = json_array_get(appended, (size_t)i);

			printf("@%lld %s\n", (long long)hps_json_int(one, "index", -1), hps_json_text(one, "id"));
			fflush(stdout);
		}
	}
	if (!r && o->json)
		print_json(j);
	return r;
}

/* ---- commands ---- */

static const struct hps_option init_options[] = {
	LEDGER,
	{ "origin", 0, HPS_OPT_STRING, offsetof(struct options, origin), "NAME", "the ledger's name in its checkpoints (default: localhost/USER/DIR)", 0 },
	PASSPHRASE,
};
static const struct hps_option verify_options[] = {
	LEDGER,
	{ "trust", 0, HPS_OPT_STRING, offsetof(struct options, trust), "FILE", "trust the keys in FILE instead of the ledger's own trust.json", 0 },
	{ "skip-objects", 0, HPS_OPT_FLAG, offsetof(struct options, skip_objects), NULL, "do not read the content store", 0 },
	JSON,
};
static const struct hps_option list_options[] = {
	LEDGER,
	{ "kind", 'k', HPS_OPT_STRING, offsetof(struct options, kind), "KIND", "only begin, trial, lost, search or verdict entries", 0 },
	{ "study", 's', HPS_OPT_STRING, offsetof(struct options, study), "NAME", "only entries of this study", 0 },
	JSON,
	{ "jsonl", 0, HPS_OPT_FLAG, offsetof(struct options, jsonl), NULL, "one JSON object for each entry, a line each", 0 },
};
static const struct hps_option show_options[] = { LEDGER, JSON };
static const struct hps_option append_options[] = { LEDGER, PASSPHRASE, JSON };

#define COMMAND(name, arguments, summary, table, min, max) \
	{ #name, arguments, summary, table, ARRAY_SIZE(table), sizeof(struct options), min, max, run_##name }

static const struct hps_command commands[] = {
	COMMAND(init, "[options] [DIR]", "make a ledger with its keys", init_options, 0, 1),
	COMMAND(verify, "[options]", "check every byte of the ledger and say what does not hold", verify_options, 0, 0),
	COMMAND(list, "[options]", "the entries, one a line", list_options, 0, 0),
	COMMAND(show, "[options] ID", "one entry: '@INDEX', an id, or at least 6 digits of one", show_options, 1, 1),
	COMMAND(append, "[options] FILE...", "sign in-toto statements and append them ('-': standard input)", append_options, 1, -1),
};

int main(int argc, char **argv)
{
	static const struct hps_program program = { "hps-ledger", "The signed ledger of recorded trials.", commands, ARRAY_SIZE(commands) };

	return hps_main(&program, argc, argv);
}
