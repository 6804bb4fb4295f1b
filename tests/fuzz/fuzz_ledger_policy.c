/* Policies; those that are taken answer for any set of signers. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(hps_policy_release) struct hps_policy p = { 0 };
	uint64_t none[HPS_POLICY_KEYS_MAX] = { 0 }, all[HPS_POLICY_KEYS_MAX];

	memset(all, 1, sizeof all);
	if (hps_policy_read((const char *)data, size, &p, NULL))
		return 0;
	if (!p.has_quorum || p.n_keys > HPS_POLICY_KEYS_MAX || !hps_policy_quorum(&p, all, 0))
		abort();
	if (hps_policy_quorum(&p, none, 0) != p.no_quorum)
		abort();
	return 0;
}
