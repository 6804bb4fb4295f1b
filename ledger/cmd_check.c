/* hps-ledger check: evidence that 'prove' wrote, without its ledger. */
#include "ledger/cmd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

struct options {
	const char *trust;
	uint64_t max_age;
	bool json;
};

static json_t *list_of(const struct hps_strv *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n; i++)
		hps_json_add(list, json_string(s->v[i]));
	return list;
}

static void print(const struct options *o, const struct hps_checked *c)
{
	_cleanup_json_ json_t *j = json_object();

	if (o->json) {
		hps_json_set_text(j, "schema", "hps.checked/1");
		hps_json_set(j, "holds", json_boolean(!c->problems.n));
		hps_json_set(j, "found", list_of(&c->lines));
		hps_json_set(j, "problems", list_of(&c->problems));
		hps_print_json(j);
		return;
	}
	for (size_t i = 0; i < c->lines.n; i++)
		hps_print_line("%s", c->lines.v[i]);
	for (size_t i = 0; i < c->problems.n; i++)
		hps_print_line("PROBLEM: %s", c->problems.v[i]);
	hps_print_line("%s", !c->problems.n ? "OK: the evidence holds" : hps_error_exit(c->code) > 3 ? "UNDECIDED: not all of it could be read" : "DOES NOT HOLD");
}

/* A file: evidence of misbehaviour (misbehaviour.c). Convicting is "does not hold". */
static int check_file(const struct options *o, const char *path, struct hps_error *err)
{
	_cleanup_(hps_trust_release) struct hps_trust trust = { 0 };
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = o->trust ? hps_trust_read(AT_FDCWD, o->trust, &trust, err) :
			   hps_error_set(err, HPS_E_USAGE, "checking evidence of misbehaviour needs --trust FILE: the key of the log");

	if (!r)
		r = hps_file_read(AT_FDCWD, path, HPS_SIGSTORE_MAX, &text, err);
	if (!r)
		r = hps_misbehaviour_check(text.data, text.len, &trust.log, err);
	return r;
}

static int run_check(void *arg, int argc, char **argv, struct hps_error *err)
{
	const struct options *o = arg;
	struct stat s;
	_cleanup_(hps_trust_release) struct hps_trust trust = { 0 };
	_cleanup_(hps_checked_release) struct hps_checked checked = { HPS_STRV_INIT, HPS_STRV_INIT, 0 };
	_cleanup_fd_ int fd = -1;
	int r;

	(void)argc;
	if (!stat(argv[0], &s) && S_ISREG(s.st_mode))
		return check_file(o, argv[0], err);
	r = hps_dir_open(AT_FDCWD, argv[0], &fd, err);
	if (!r)
		r = o->trust ? hps_trust_read(AT_FDCWD, o->trust, &trust, err) : hps_trust_read(fd, HPS_TRUST_FILE, &trust, err);
	if (r)
		return r;
	if (!o->trust)
		hps_note("the keys are those that lie in the folder itself; --trust gives others");
	r = hps_evidence_check(fd, &trust, (uint64_t)time(NULL), o->max_age, &checked, err);
	if (r)
		return r;
	print(o, &checked);
	return checked.problems.n ? hps_error_exit(checked.code) : 0;
}

static const struct hps_option options[] = {
	{ "trust", 0, HPS_OPT_STRING, offsetof(struct options, trust), "FILE", "trust the keys in FILE instead of those in the folder", 0 },
	{ "max-age", 0, HPS_OPT_U64, offsetof(struct options, max_age), "SECONDS", "witnesses must have seen the checkpoint within that time", 0 },
	JSON,
};

const struct hps_command hps_cmd_check = {
	"check", "[options] FOLDER|FILE", "check evidence that 'prove', 'attest' or 'monitor' wrote, without its ledger",
	options, ARRAY_SIZE(options), sizeof(struct options), 1, 1, run_check,
};
