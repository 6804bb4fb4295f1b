/* The trials that the study file lists, in its order. */
#include "search/decide/decide.h"

uint64_t hps_size_list(const struct hps_space *space)
{
	return space->list.n / space->n;
}

void hps_propose_list(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results, uint64_t number,
		      struct hps_strv *values)
{
	(void)seed;
	(void)results;
	for (size_t i = 0; i < space->n; i++)
		hps_strv_add(values, space->list.v[number * space->n + i]);
}
