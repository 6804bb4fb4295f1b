/* Records that the ledger could not take: kept whole and durable, so that nothing of the trial is lost. */
#include "recorder/recorder.h"

#include "ledger/ledger.h"

#include <fcntl.h>
#include <stdlib.h>

int hps_spool_put(const struct hps_record *r, const char *ledger, const json_t *statement, char **ret_path, struct hps_error *err)
{
	_cleanup_json_ json_t *spooled = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *dir = hps_spool_dir(), *path = hps_format("%s/%s.json", dir, r->begin_id);
	int error;

	hps_json_set_text(spooled, "schema", "hps.spool/1");
	hps_json_set(spooled, "ledger", hps_path_json(ledger));
	hps_json_set(spooled, "statement", json_deep_copy(statement));
	hps_json_set(spooled, "manifests", r->spooled ? json_deep_copy(r->spooled) : json_object());
	error = hps_json_canonical(spooled, &text, err);
	if (!error)
		error = hps_dir_make(AT_FDCWD, dir, 0700, err);
	if (!error)
		error = hps_file_write(AT_FDCWD, path, 0600, text.data, text.len, err);
	if (!error)
		*ret_path = hps_take(path);
	return error;
}
