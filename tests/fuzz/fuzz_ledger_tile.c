/* Names of tiles, and bundles: both have one spelling. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct hps_buf bundle = HPS_BUF_INIT, again = HPS_BUF_INIT;
	_cleanup_free_ char *path = hps_strndup((const char *)data, size);
	char name[HPS_TILE_PATH];
	struct hps_tile t;
	const uint8_t *leaf;
	size_t at = 0, len;

	if (!hps_tile_parse(path, &t)) {
		hps_tile_path(&t, name);
		if (strcmp(name, path) != 0)
			abort();
	}
	hps_buf_add(&bundle, data, size);
	while (hps_bundle_next(&bundle, &at, &leaf, &len))
		hps_bundle_add(&again, leaf, len);
	if (at > size || again.len != at || (at && memcmp(again.data, data, at) != 0))
		abort();
	return 0;
}
