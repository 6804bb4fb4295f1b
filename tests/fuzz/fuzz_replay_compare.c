/* Every comparator on the same bytes, whether they fit or not. What it reads must be the same as itself, with nothing masked. HDF5 is left
 * out (fuzz_replay_hdf5.c): libhdf5 itself crashes on damaged files, in the confined process, where that makes an output opaque (48-replay-fuzz.t). HPS_FUZZ_FORMAT
 * names the only one to try, for a fuzzer that is to get deep into it. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(const struct hps_format *f, const char *data, size_t size)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT, again = HPS_ERROR_INIT;
	_cleanup_tree_ struct hps_tree a = HPS_TREE_INIT, b = HPS_TREE_INIT;
	_cleanup_comparison_ struct hps_comparison c = { 0 };
	int r = f->decode(data, size, &a, &err), s = f->decode(data, size, &b, &again);

	if (!r != !s || (r && !err.message))
		abort();
	if (r)
		return;
	hps_compare_trees(&a, &b, &(struct hps_tolerance){ 0 }, &c);
	if (c.verdict != HPS_OUTPUT_SAME_VALUES || c.n_different || c.place)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *only = getenv("HPS_FUZZ_FORMAT");
	const struct hps_format *f;

	if (only) {
		f = hps_format_named(only);
		if (!f)
			abort();
		one(f, (const char *)data, size);
		return 0;
	}
	for (size_t i = 0; (f = hps_format_at(i)); i++)
		if (f != &hps_format_hdf5 && (f->fits("x", (const char *)data, size) || i % 8 == size % 8)) /* each of them also on what is not its own */
			one(f, (const char *)data, size);
	return 0;
}
