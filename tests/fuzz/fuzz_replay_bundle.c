/* The list of a bundle. What is accepted has only names that a bundle may have, each once, within the limit. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	struct hps_bundle_list list = { 0 };
	const uint64_t most = (uint64_t)1 << 40;
	int r = hps_bundle_list_read((const char *)data, size, most, &list, &err);

	if (!r && (list.bytes > most || list.names.n != list.n))
		abort();
	for (size_t i = 0; !r && i < list.n; i++) {
		const char *name = list.names.items[i].key;

		if (strstr(name, "..") == name || *name == '/' || strstr(name, "/../") || (strncmp(name, "evidence/", 9) != 0 && strncmp(name, "objects/", 8) != 0 && strcmp(name, "seed") != 0))
			abort();
	}
	if (r && !err.message)
		abort();
	hps_bundle_list_release(&list);
	return 0;
}
