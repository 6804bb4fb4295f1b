/* Signed notes, verifier keys, checkpoints and handovers of a log's key. Bytes that are taken as a checkpoint's text are the only bytes for what they say. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void checkpoint(const char *text, size_t len)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_buf_ struct hps_buf again = HPS_BUF_INIT;

	if (hps_checkpoint_parse(text, len, &c, NULL))
		return;
	hps_buf_addf(&again, "%s\n%llu\n", c.origin, (unsigned long long)c.size);
	hps_base64(&again, c.root.b, sizeof c.root.b);
	hps_buf_addc(&again, '\n');
	if (again.len != len || memcmp(again.data, text, len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
					    "witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN" };
	_cleanup_free_ char *text = hps_strndup((const char *)data, size), *former = NULL, *next = NULL;
	struct hps_vkey known[3] = { { 0 } };
	uint64_t times[3];
	size_t text_len, n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (hps_vkey_parse(keys[i], &known[n++], NULL))
			abort();
	text[strcspn(text, "\n")] = '\0';
	if (!hps_vkey_parse(text, &known[n], NULL)) {
		_cleanup_free_ char *again = known[n].algorithm == HPS_NOTE_ED25519 ? hps_vkey_format(known[n].name, known[n].key) :
										       hps_vkey_format_cosigner(known[n].name, known[n].key);

		if (strcmp(again, text) != 0)
			abort();
		n++;
	}
	if (!hps_note_signers((const char *)data, size, known, n, times, &text_len, NULL) && (text_len >= size || data[text_len - 1] != '\n'))
		abort();
	checkpoint((const char *)data, size);
	if (!hps_handover_read((const char *)data, size, &former, &next, NULL) && (!*former || !*next))
		abort();
	for (size_t i = 0; i < n; i++)
		hps_vkey_release(&known[i]);
	return 0;
}
