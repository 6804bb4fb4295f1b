/* Proof files: a tlog-proof that is taken is written again as the same bytes; a Sigstore bundle and evidence of misbehaviour only have to
 * be survived. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(hps_tlog_proof_release) struct hps_tlog_proof p = HPS_TLOG_PROOF_INIT;
	_cleanup_(hps_sigstore_release) struct hps_sigstore s = HPS_SIGSTORE_INIT;
	_cleanup_buf_ struct hps_buf again = HPS_BUF_INIT;
	struct hps_vkey log = { 0 }, former = { 0 };
	const char *text = (const char *)data;

	if (hps_vkey_parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", &log, NULL) ||
	    hps_vkey_parse("example.com/foo+bc02aaaf+AaHzLPNI8SJGjwCsxixL9Dms5Dj6g1kZvUiq0fUv7YNq", &former, NULL)) /* handed over in the corpus */
		abort();
	if (!hps_tlog_proof_read(text, size, &p, NULL)) {
		hps_tlog_proof_write(&p, &again);
		if (again.len != size || memcmp(again.data, data, size) != 0)
			abort();
	}
	(void)!hps_sigstore_read(text, size, &s, NULL);
	(void)!hps_misbehaviour_check(text, size, &log, NULL);
	(void)!hps_misbehaviour_check(text, size, &former, NULL);
	hps_vkey_release(&log);
	hps_vkey_release(&former);
	return 0;
}
