/* The manifests of a record that somebody sent: {"materials": [], "products": [], "misses": []}. A plan is a tree whose parents come first. */
#include "replay/replay.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_json_ json_t *j = NULL;
	struct hps_original o = { .cwd = (char[]){ "/w" } };
	struct hps_plan plan = { 0 };
	int r = hps_json_parse((const char *)data, size, &j, NULL);

	o.materials = json_object_get(j, "materials");
	o.products = json_object_get(j, "products");
	o.misses = json_object_get(j, "misses");
	if (r || !json_is_array(o.materials) || !json_is_array(o.products) || !json_is_array(o.misses))
		return 0;
	r = hps_plan_make(&o, &plan, &err);
	if (r && !err.message)
		abort();
	for (size_t i = 1; !r && i < plan.n; i++)
		if (plan.nodes[i].parent >= i || plan.nodes[plan.nodes[i].parent].kind != HPS_PLAN_DIRECTORY || plan.nodes[i].path[0] != '/')
			abort();
	hps_plan_release(&plan);
	return 0;
}
