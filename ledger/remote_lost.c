/* Recorders of a shared ledger that died on this machine: their begin entries are ended from here, for only here can it be seen that
 * nobody holds their leases. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN_FLIGHT_NS ((int64_t)60 * 1000000000) /* so long the ledger may still be taking the begin entry of a dead recorder */

enum fate { UNKNOWN, NONE, OPEN, ENDED };

static enum fate ask(const struct hps_ledger *l, const char *begin_id)
{
	static const char *const words[] = { [NONE] = "none\n", [OPEN] = "open\n", [ENDED] = "ended\n" };
	_cleanup_free_ char *path = hps_format("/end/%s", begin_id);
	_cleanup_buf_ struct hps_buf answer = HPS_BUF_INIT;

	if (hps_remote_ask(l, path, 64, &answer, NULL) || !answer.data)
		return UNKNOWN;
	for (size_t i = NONE; i < ARRAY_SIZE(words); i++)
		if (!strcmp(answer.data, words[i]))
			return (enum fate)i;
	return UNKNOWN;
}

/* The begin entry as the ledger has it; what hashes to its id is what this key has signed. */
static int fetch(const struct hps_ledger *l, const char *begin_id, struct hps_entry *ret)
{
	_cleanup_(hps_envelope_release) struct hps_envelope envelope = HPS_ENVELOPE_INIT;
	_cleanup_free_ char *path = hps_format("/tiles/envelope/%s.json", begin_id);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *statement = NULL;
	struct hps_digest id;
	int r = hps_remote_ask(l, path, HPS_ENVELOPE_MAX, &text, NULL);

	if (!r)
		r = hps_envelope_read_stored(text.data ? text.data : "", text.len, &envelope, NULL);
	if (!r)
		r = hps_json_parse(envelope.payload.data, envelope.payload.len, &statement, NULL);
	if (r)
		return r;
	hps_envelope_id(&envelope, &id);
	hps_digest_hex(&id, ret->id);
	if (strcmp(ret->id, begin_id) != 0)
		return HPS_E_DAMAGED;
	hps_entry_fill(ret, statement);
	return strcmp(ret->kind, "begin") ? HPS_E_DAMAGED : 0;
}

static int append_lost(struct hps_ledger *l, const char *begin_id)
{
	_cleanup_(hps_entry_release) struct hps_entry begin = { .number = -1 };
	_cleanup_json_ json_t *lost = NULL;
	int r = fetch(l, begin_id, &begin);

	if (r)
		return r;
	lost = hps_lease_lost(&begin);
	return hps_ledger_append(l, lost, NULL, NULL, NULL);
}

static bool is_young(const struct hps_ledger *l, const char *name)
{
	struct stat s;

	return fstatat(l->runningfd, name, &s, AT_SYMLINK_NOFOLLOW) || hps_time_now_ns() - (int64_t)s.st_mtim.tv_sec * 1000000000 < IN_FLIGHT_NS;
}

/* Whether a `lost` entry was appended. The lease is held meanwhile: nobody else is about to end it. */
static bool sweep_one(struct hps_ledger *l, const char *name)
{
	struct hps_digest id;
	enum fate fate;
	bool lost = false;
	int fd;

	if (hps_spool_has(name) || hps_lease_try(l, name, &fd))
		return false;
	fate = hps_digest_parse(name, &id) ? NONE : ask(l, name);
	if (fate == OPEN)
		lost = !append_lost(l, name);
	if (fate == ENDED || lost || (fate == NONE && !is_young(l, name)))
		unlinkat(l->runningfd, name, 0);
	close(fd);
	return lost;
}

int hps_remote_sweep(struct hps_ledger *l, uint64_t *ret_n, struct hps_error *err)
{
	int copy = openat(l->runningfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;
	uint64_t n = 0;

	if (!d)
		return hps_error_errno(err, "looking for recorders that died");
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			n += sweep_one(l, e->d_name);
	closedir(d);
	if (ret_n)
		*ret_n = n;
	return 0;
}
