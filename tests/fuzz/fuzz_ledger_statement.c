/* Envelopes, leaves, statements and changes of keys. What is taken in stored form is written again as the same bytes. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LOG "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW" /* the example of C2SP's signed-note */

static void statement(const char *text, size_t len)
{
	_cleanup_(hps_entry_release) struct hps_entry entry = { .number = -1 };
	struct hps_trust trust = { .origin = (char *)(uintptr_t)"example.com/foo" };
	_cleanup_json_ json_t *j = NULL;
	struct hps_keyring ring;

	if (hps_json_parse(text, len, &j, NULL) || hps_statement_check(j, NULL))
		return;
	hps_entry_fill(&entry, j);
	if (hps_vkey_parse(LOG, &trust.log, NULL)) /* a trust file has one */
		abort();
	hps_keyring_init(&ring, &trust);
	if (!hps_keyring_apply(&ring, 7, j, NULL) && ring.changes != 1)
		abort();
	hps_keyring_release(&ring);
	hps_vkey_release(&trust.log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(hps_envelope_release) struct hps_envelope stored = HPS_ENVELOPE_INIT, any = HPS_ENVELOPE_INIT;
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_buf_ struct hps_buf again = HPS_BUF_INIT, leaf_again = HPS_BUF_INIT;
	_cleanup_key_ struct hps_key *key = NULL;
	const char *text = (const char *)data;

	if (!hps_envelope_read_stored(text, size, &stored, NULL)) {
		hps_envelope_write(&stored, &again);
		if (again.len != size || memcmp(again.data, data, size) != 0)
			abort();
		statement(stored.payload.data ? stored.payload.data : "", stored.payload.len);
	}
	(void)!hps_envelope_read(text, size, &any, NULL);
	statement(text, size);
	if (!hps_leaf_read(data, size, &leaf, NULL) && !hps_key_from_spki(leaf.spki.data, leaf.spki.len, &key, NULL)) {
		hps_leaf_write(&leaf.id, &leaf.signature, key, &leaf_again);
		if (strstr(text, "PKIX") && leaf_again.len == size && memcmp(leaf_again.data, data, size) != 0)
			abort();
	}
	return 0;
}
