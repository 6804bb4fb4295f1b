/* Which trial comes next: a pure function. */
#include "search/decide/decide.h"

#include <assert.h>
#include <string.h>

const struct hps_sampler hps_samplers[] = {
	{ "random", hps_propose_random, NULL },
	{ "sobol", hps_propose_sobol, NULL },
	{ "grid", hps_propose_grid, hps_size_grid },
	{ "list", hps_propose_list, hps_size_list },
};
const size_t hps_n_samplers = ARRAY_SIZE(hps_samplers);

const struct hps_sampler *hps_sampler_find(const char *name)
{
	for (size_t i = 0; i < hps_n_samplers; i++) {
		if (!strcmp(hps_samplers[i].name, name))
			return &hps_samplers[i];
	}
	return NULL;
}

uint64_t hps_sampler_size(const struct hps_space *space)
{
	return space->sampler->size ? space->sampler->size(space) : UINT64_MAX;
}

void hps_decide(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results, uint64_t number,
		struct hps_decision *ret)
{
	static const uint32_t no_stream[2];
	uint32_t words[4];

	assert(number < space->trials && number <= UINT32_MAX);
	*ret = (struct hps_decision){ HPS_STRV_INIT, 0 };
	space->sampler->propose(space, seed, results, number, &ret->values);
	hps_draw(seed, HPS_DRAW_TRIAL, 0, (uint32_t)number, no_stream, words);
	ret->trial_seed = words[0] >> 1;
}

void hps_decision_release(struct hps_decision *d)
{
	hps_strv_release(&d->values);
}
