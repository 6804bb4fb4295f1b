/* hps-ledger push: appends the records that were kept in the spool. */
#include "ledger/cmd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *ledger;
	int64_t passphrase_fd;
	bool passphrase_given, json;
};

struct pushing {
	const struct options *o;
	char *passphrase;
	char *open_dir;	       /* of the ledger that is open */
	struct hps_ledger *ledger;
	json_t *pushed;
	size_t n_left;
};

static int use_ledger(struct pushing *p, const char *dir, struct hps_error *err)
{
	if (p->ledger && !strcmp(p->open_dir, dir))
		return 0;
	hps_ledger_close(hps_take(p->ledger));
	free(p->open_dir);
	p->open_dir = hps_strdup(dir);
	return hps_ledger_open(dir, HPS_LEDGER_APPEND, p->passphrase, &p->ledger, err);
}

/* The file goes when the entry is durable; it may be pushed again if we die in between. */
static int push_file(struct pushing *p, const char *path, struct hps_error *err)
{
	_cleanup_(hps_spooled_release) struct hps_spooled s = HPS_SPOOLED_INIT;
	json_t *one;
	char id[65];
	uint64_t index;
	int r = hps_spool_read(path, &s, err);

	if (!r)
		r = use_ledger(p, p->o->ledger ? p->o->ledger : s.ledger, err);
	if (!r)
		r = hps_spool_push(p->ledger, &s, id, &index, err);
	if (r)
		return r;
	if (unlink(path))
		hps_note("'%s' is in the ledger, but cannot be removed; pushing it again changes nothing", path);
	if (!p->o->json)
		hps_print_line("@%llu %s %s", (unsigned long long)index, id, path);
	one = json_object();
	hps_json_set_text(one, "id", id);
	hps_json_set_int(one, "index", (int64_t)index);
	hps_json_set(one, "file", hps_path_json(path));
	hps_json_add(p->pushed, one);
	return 0;
}

static void push_or_say(struct pushing *p, const char *path)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	if (!push_file(p, path, &e))
		return;
	hps_note("'%s' stays where it is: %s", path, e.message);
	p->n_left++;
}

static int run_push(void *arg, int argc, char **argv, struct hps_error *err)
{
	struct pushing p = { .o = arg, .pushed = json_array() };
	_cleanup_strv_ struct hps_strv files = HPS_STRV_INIT;
	_cleanup_json_ json_t *j = json_object();
	int r = p.o->passphrase_given ? hps_passphrase_read((int)p.o->passphrase_fd, &p.passphrase, err) : 0;

	hps_json_set_text(j, "schema", "hps.pushed/1");
	hps_json_set(j, "entries", p.pushed);
	for (int i = 0; i < argc; i++)
		hps_strv_add(&files, argv[i]);
	if (!r && !argc)
		r = hps_spool_list(&files, err);
	for (size_t i = 0; !r && i < files.n; i++)
		push_or_say(&p, files.v[i]);
	hps_wipe_free(p.passphrase);
	hps_ledger_close(p.ledger);
	free(p.open_dir);
	if (r)
		return r;
	hps_json_set_int(j, "left", (int64_t)p.n_left);
	if (p.o->json)
		hps_print_json(j);
	return p.n_left ? 4 : 0;
}

static const struct hps_option options[] = {
	{ "ledger", 0, HPS_OPT_STRING, offsetof(struct options, ledger), "DIR", "push into this ledger, whatever ledger a record names", 0 },
	PASSPHRASE,
	JSON,
};

const struct hps_command hps_cmd_push = {
	"push", "[options] [FILE...]", "append the records that a recorder could not get into their ledger",
	options, ARRAY_SIZE(options), sizeof(struct options), 0, -1, run_push,
};
