/* hps-ledger prove: evidence about one entry, as a folder that verifies without hps; or about a study (cmd_complete.c). */
#include "ledger/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct options {
	const char *ledger, *output, *study, *trust;
	bool json;
};

/* Every file is flushed; the folder is new, so nothing half-written is mistaken for evidence: the README comes last. */
static int write_folder(const char *dir, const struct hps_evidence *e, struct hps_error *err)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (mkdir(dir, 0755))
		return hps_error_errno(err, "making the folder '%s'", dir);
	r = hps_dir_open(AT_FDCWD, dir, &fd, err);
	for (size_t i = 0; !r && i < e->n; i++)
		r = hps_file_write(fd, e->files[i].name, 0644, e->files[i].bytes.data ? e->files[i].bytes.data : "", e->files[i].bytes.len, err);
	return r;
}

static void print_json(const char *dir, const struct hps_entry *entry, const struct hps_evidence *e)
{
	_cleanup_json_ json_t *j = json_object();
	json_t *files = json_array();

	for (size_t i = 0; i < e->n; i++)
		hps_json_add(files, json_string(e->files[i].name));
	hps_json_set_text(j, "schema", "hps.evidence/1");
	hps_json_set(j, "folder", hps_path_json(dir));
	hps_json_set_text(j, "id", entry->id);
	hps_json_set_int(j, "index", (int64_t)entry->index);
	hps_json_set(j, "files", files);
	hps_json_set(j, "unwitnessed", json_boolean(e->unwitnessed));
	hps_print_json(j);
}

static int run_prove(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger), *folder = NULL;
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
	_cleanup_(hps_evidence_release) struct hps_evidence e = { NULL, 0, false };
	int r;

	if (!o->study == !argc)
		return hps_error_set(err, HPS_E_USAGE, "prove an entry by its ID, or a study by --study");
	if (o->study)
		return hps_prove_study(dir, o->study, o->trust, o->json, err);
	r = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, err);
	if (!r)
		r = hps_ledger_find(l, argv[0], &entry, err);
	if (!r)
		r = hps_ledger_prove(l, entry.index, &e, err);
	if (r)
		return r;
	folder = o->output ? hps_strdup(o->output) : hps_format("proof-%.12s", entry.id);
	r = write_folder(folder, &e, err);
	if (r)
		return r;
	if (e.unwitnessed)
		hps_note("no quorum of the trust file's witnesses has cosigned a checkpoint that covers entry @%llu: whoever checks this by that trust file refuses it; run 'hps-ledger attest', then prove it again",
			 (unsigned long long)entry.index);
	if (o->json)
		print_json(folder, &entry, &e);
	else
		hps_print_line("%s: %zu files about entry @%llu; its README.md says how to check them", folder, e.n, (unsigned long long)entry.index);
	return 0;
}

static const struct hps_option options[] = {
	LEDGER,
	{ "output", 'o', HPS_OPT_STRING, offsetof(struct options, output), "FOLDER", "the folder to make (default: proof-ID)", 0 },
	{ "study", 's', HPS_OPT_STRING, offsetof(struct options, study), "STUDY", "say whether this study is complete, and list its holes", 0 },
	{ "trust", 0, HPS_OPT_STRING, offsetof(struct options, trust), "FILE", "with --study: trust the keys in FILE instead of the ledger's own trust.json", 0 },
	JSON,
};

const struct hps_command hps_cmd_prove = {
	"prove", "[options] [ID]", "write evidence about an entry that verifies without hps, or prove a study complete",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, 1, run_prove,
};
