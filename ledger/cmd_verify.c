/* hps-ledger verify: checks every byte and says what does not hold. */
#include "ledger/cmd.h"

struct options {
	const char *ledger, *trust;
	bool skip_objects, json;
};

void hps_print_progress(void *arg, uint64_t done, uint64_t total)
{
	struct hps_progress *p = arg;

	p->total = total;
	hps_progress_update(p, done);
}

static json_t *verification_json(const struct hps_verification *v)
{
	json_t *j = json_object(), *problems = json_array(), *withdrawn = json_array();

	for (size_t i = 0; i < v->n_withdrawn; i++)
		hps_json_add(withdrawn, json_string(v->withdrawn[i]));
	for (size_t i = 0; i < v->n_problems; i++) {
		json_t *p = json_object();

		if (v->problems[i].index >= 0)
			hps_json_set_int(p, "index", v->problems[i].index);
		hps_json_set_text(p, "id", v->problems[i].id);
		hps_json_set_text(p, "file", v->problems[i].file);
		hps_json_set_text(p, "what", v->problems[i].what);
		if (v->problems[i].unread)
			hps_json_set(p, "unread", json_true());
		hps_json_add(problems, p);
	}
	hps_json_set_text(j, "schema", "hps.verification/1");
	hps_json_set(j, "holds", json_boolean(v->n_problems == 0 && !v->unwitnessed));
	hps_json_set_text(j, "origin", v->origin);
	hps_json_set_int(j, "size", (int64_t)v->size);
	hps_json_set_text(j, "root", v->root);
	hps_json_set_int(j, "pending", (int64_t)v->n_pending);
	hps_json_set_int(j, "checked", (int64_t)v->n_checked);
	hps_json_set_int(j, "objects", (int64_t)v->n_objects);
	hps_json_set(j, "bodiesChecked", json_boolean(v->bodies_checked));
	hps_json_set(j, "objectsChecked", json_boolean(v->objects_checked));
	hps_json_set(j, "databaseChecked", json_boolean(v->database_checked));
	hps_json_set(j, "withdrawn", withdrawn);
	hps_json_set(j, "problems", problems);
	hps_json_set_int(j, "witnessed", (int64_t)v->witnessed);
	hps_json_set_text(j, "unwitnessed", v->unwitnessed_why);
	return j;
}

static void print_problem(const struct hps_problem *p)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (p->index >= 0)
		hps_buf_addf(&text, "entry @%lld%s%.12s%s: ", (long long)p->index, p->id ? " (" : "", p->id ? p->id : "", p->id ? ")" : "");
	if (p->file)
		hps_buf_addf(&text, "%s: ", p->file);
	hps_print_line("%s%s", text.data ? text.data : "", p->what);
}

static void print_text(const char *dir, const struct hps_verification *v)
{
	for (size_t i = 0; i < v->n_problems; i++)
		print_problem(&v->problems[i]);
	hps_print_line("ledger   %s", dir);
	if (v->origin)
		hps_print_line("origin   %s", v->origin);
	hps_print_line("entries  %llu of %llu hold", (unsigned long long)v->n_checked, (unsigned long long)v->size);
	if (v->n_pending)
		hps_print_line("journal  %llu of them are not published yet", (unsigned long long)v->n_pending);
	for (size_t i = 0; i < v->n_withdrawn; i++)
		hps_print_line("withdrawn %.12s, which an entry says", v->withdrawn[i]);
	if (v->objects_checked)
		hps_print_line("objects  %llu hold", (unsigned long long)v->n_objects);
	else
		hps_print_line("objects  not checked");
	hps_print_line("database %s", v->database_checked ? "compared" : "not compared");
	if (*v->root)
		hps_print_line("root     %s", v->root);
	if (v->witnessed)
		hps_print_line("witnesses a quorum has cosigned the first %llu", (unsigned long long)v->witnessed);
	if (v->n_problems > v->n_unread)
		hps_print_line("DAMAGED: %zu problem%s", v->n_problems, v->n_problems == 1 ? "" : "s");
	else if (v->n_problems)
		hps_print_line("UNDECIDED: nothing is known to be damaged, but not all could be read here: %zu problem%s", v->n_problems, v->n_problems == 1 ? "" : "s");
	else if (v->unwitnessed)
		hps_print_line("NOT WITNESSED: every entry holds, but %s", v->unwitnessed_why);
	else if (v->bodies_checked)
		hps_print_line("OK: every entry is signed by a trusted key and is in the signed tree");
	else
		hps_print_line("OK: every entry is in the signed tree; statements, signatures and contents were not read");
}

void hps_print_verification(const char *dir, const struct hps_verification *v, bool json)
{
	_cleanup_json_ json_t *j = json ? verification_json(v) : NULL;

	if (j)
		hps_print_json(j);
	else
		print_text(dir, v);
}

int hps_verification_status(const struct hps_verification *v)
{
	if (v->n_problems)
		return v->n_problems > v->n_unread ? 3 : 4;
	return !v->unwitnessed ? 0 : v->unwitnessed == HPS_E_FALSE ? 1 : 4;
}

static int run_verify(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	struct hps_progress progress;
	struct hps_verify_options options = { .trust = o->trust, .skip_objects = o->skip_objects, .progress = hps_print_progress, .progress_arg = &progress };
	_cleanup_(hps_verification_release) struct hps_verification v = { 0 };
	int r;

	(void)argc;
	(void)argv;
	hps_progress_start(&progress, "verifying", 0);
	r = hps_ledger_verify(dir, &options, &v, err);
	hps_progress_end(&progress);
	if (r)
		return r;
	hps_print_verification(dir, &v, o->json);
	return hps_verification_status(&v);
}

static const struct hps_option options[] = {
	LEDGER,
	{ "trust", 0, HPS_OPT_STRING, offsetof(struct options, trust), "FILE", "trust the keys in FILE instead of the ledger's own trust.json", 0 },
	{ "skip-objects", 0, HPS_OPT_FLAG, offsetof(struct options, skip_objects), NULL, "do not read the content store", 0 },
	JSON,
};

const struct hps_command hps_cmd_verify = {
	"verify", "[options]", "check every byte of the ledger and say what does not hold",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, 0, run_verify,
};
