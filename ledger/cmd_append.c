/* hps-ledger append: signs statements and appends them. */
#include "ledger/cmd.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *ledger;
	int64_t passphrase_fd;
	bool passphrase_given, json;
};

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

/* Where the trust file forbids to give out what no quorum has cosigned, an entry is durable before and acknowledged only after that.
 * What earlier runs could not get cosigned is covered as well. */
static int acknowledge(struct hps_ledger *l, struct hps_error *err)
{
	_cleanup_(hps_attestation_release) struct hps_attestation a = { 0 };
	const struct hps_attest_options options = { 0 };
	int r;

	if (l->remote || !l->trust.closed || l->trust.policy.no_quorum)
		return 0;
	r = hps_ledger_refresh(l, err);
	if (!r)
		r = hps_attest(l, &options, &a, err);
	if (r || a.quorum)
		return r;
	for (size_t i = 0; i < a.failures.n; i++)
		hps_note("%s", a.failures.v[i]);
	return hps_error_set(err, HPS_E_UNDECIDED, "the entries are durable, but only %zu of %zu witnesses have cosigned them, which is no quorum, and the trust file is "
						   "closed; do not append them again: run 'hps-ledger attest' when the witnesses answer", a.n_cosigned, a.n_witnesses);
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
		hps_print_json(j);
	return r ? r : acknowledge(l, err);
}

static const struct hps_option options[] = { LEDGER, PASSPHRASE, JSON };

const struct hps_command hps_cmd_append = {
	"append", "[options] FILE...", "sign in-toto statements and append them ('-': standard input)",
	options, ARRAY_SIZE(options), sizeof(struct options), 1, -1, run_append,
};
