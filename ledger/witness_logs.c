/* The logs that a witness knows: by which keys, and how it follows one to its next key. */
#include "ledger/ledger.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int hps_witness_add_log(const char *dir, const char *vkey, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, longer = HPS_BUF_INIT;
	_cleanup_(hps_policy_release) struct hps_policy policy = { 0 };
	_cleanup_fd_ int fd = -1;
	int r = hps_dir_open(AT_FDCWD, dir, &fd, err);

	if (!r)
		r = hps_file_read(fd, "logs.tlog", HPS_POLICY_MAX, &text, err);
	if (r)
		return r;
	hps_buf_addf(&longer, "log %s\n", vkey);
	if (strstr(text.data, longer.data))
		return 0;
	hps_buf_add(&longer, text.data, text.len);
	r = hps_policy_read(longer.data, longer.len, &policy, err);
	for (size_t i = 1; !r && i < policy.n_keys; i++)
		if (!strcmp(policy.keys[i].name, policy.keys[0].name))
			r = hps_error_set(err, HPS_E_USAGE, "adding a log: '%s' is known with another key; two keys would be two histories", policy.keys[0].name);
	return r ? r : hps_file_write(fd, "logs.tlog", 0600, longer.data, longer.len, err);
}

char *hps_witness_memory(const char *origin, const char *ending)
{
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;

	hps_digest_of(origin, strlen(origin), &d);
	hps_digest_hex(&d, hex);
	return hps_format("logs/%s%s", hex, ending);
}

int hps_witness_evidence(int dirfd, const char *name, const struct hps_misbehaviour *m, struct hps_error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = hps_dir_open(dirfd, "evidence", &fd, err);

	return r ? r : hps_misbehaviour_write(fd, name, m, err);
}

/* A key that this log had before, given to another than the one that this witness was told of: the two notes prove it to anybody. */
static int refuse_second(int dirfd, const struct hps_vkey *log, const struct hps_strv *known, const char *note, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv other = HPS_STRV_INIT;
	struct hps_misbehaviour m = { .kind = "fork", .what = "a key of the log was handed over in two ways", .log = log, .handovers = &other };
	static const char name[] = "fork-" HPS_HANDOVER_DIR ".json";
	int r;

	hps_strv_add(&other, note);
	if (!hps_handovers_conflict(known, &other))
		return 0;
	r = hps_witness_evidence(dirfd, name, &m, err);
	return r ? r : hps_error_set(err, HPS_E_FALSE, "fork: a key of the log '%s' was handed over in two ways; the evidence is in 'evidence/%s'", log->name, name);
}

/* The handover before the key: without it nobody could see that what was cosigned before is of the same log. */
static int follow(int dirfd, const char *former, const char *next, const char *note, char *logs, struct hps_error *err)
{
	_cleanup_free_ char *old = hps_format("log %s\n", former), *new = hps_format("log %s\n", next), *path = NULL, *changed = NULL;
	_cleanup_(hps_policy_release) struct hps_policy policy = { 0 };
	_cleanup_(hps_vkey_release) struct hps_vkey log = { 0 };
	_cleanup_strv_ struct hps_strv known = HPS_STRV_INIT;
	int r = hps_vkey_parse(former, &log, err);

	if (r || strstr(logs, new))
		return r;
	path = hps_witness_memory(log.name, "." HPS_HANDOVERS_FILE);
	r = hps_handovers_read(dirfd, path, &known, err);
	if (!r)
		r = hps_vkey_follow(&log, &known, err);
	if (!r && !strstr(logs, old)) {
		r = refuse_second(dirfd, &log, &known, note, err);
		return r ? r : hps_error_set(err, HPS_E_SIGNATURE, "following a log to its new key: the witness does not know it by the key '%s'", former);
	}
	if (!r && (!known.n || strcmp(known.v[known.n - 1], note) != 0)) {
		hps_strv_add(&known, note);
		r = hps_handovers_write(dirfd, path, 0600, &known, err);
	}
	if (r)
		return r;
	changed = hps_text_replace(logs, old, new);
	r = hps_policy_read(changed, strlen(changed), &policy, err);
	return r ? r : hps_file_write(dirfd, "logs.tlog", 0600, changed, strlen(changed), err);
}

int hps_witness_follow(const char *dir, const char *note, size_t len, struct hps_error *err)
{
	_cleanup_free_ char *former = NULL, *next = NULL, *text = hps_strndup(note, len);
	_cleanup_buf_ struct hps_buf logs = HPS_BUF_INIT;
	_cleanup_fd_ int fd = -1;
	int r = hps_handover_read(note, len, &former, &next, err);

	if (!r)
		r = hps_dir_open(AT_FDCWD, dir, &fd, err);
	if (!r)
		r = hps_file_read(fd, "logs.tlog", HPS_POLICY_MAX, &logs, err);
	return r ? r : follow(fd, former, next, text, logs.data, err);
}
