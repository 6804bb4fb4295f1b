/* Two texts, as a log, a table and JSON lines; the second begins behind the first zero byte. What differs from the one side differs from the other, and is
 * called the same only when nothing of it is unmasked. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void both_ways(const char *path, const struct hps_buf *a, const struct hps_buf *b)
{
	const struct hps_tolerance bits = { .unmasked = ~0u };
	struct hps_comparison c, d;

	hps_compare_data(path, a, b, &bits, &c);
	hps_compare_data(path, b, a, &bits, &d);
	if ((c.verdict <= HPS_OUTPUT_WITHIN) != (d.verdict <= HPS_OUTPUT_WITHIN) || (c.verdict == HPS_OUTPUT_REORDERED) != (d.verdict == HPS_OUTPUT_REORDERED))
		abort();
	if ((c.verdict > HPS_OUTPUT_WITHIN) != (c.place != NULL) || (c.verdict == HPS_OUTPUT_IDENTICAL) != (a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len))))
		abort();
	hps_comparison_release(&c);
	hps_comparison_release(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const paths[] = { "log", "x.csv", "x.jsonl" };
	const uint8_t *middle = memchr(data, 0, size);
	_cleanup_buf_ struct hps_buf a = HPS_BUF_INIT, b = HPS_BUF_INIT;

	if (!middle)
		return 0;
	hps_buf_add(&a, data, (size_t)(middle - data));
	hps_buf_add(&b, middle + 1, size - 1 - (size_t)(middle - data));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		both_ways(paths[i], &a, &b);
	return 0;
}
