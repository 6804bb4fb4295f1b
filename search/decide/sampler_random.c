/* Independent draws, one for each (trial, parameter name). */
#include "search/decide/decide.h"

void hps_propose_random(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results,
			uint64_t number, struct hps_strv *values)
{
	(void)results;
	for (size_t i = 0; i < space->n; i++) {
		const struct hps_parameter *p = &space->parameters[i];
		uint32_t words[4];

		hps_draw(seed, HPS_DRAW_VALUE, 0, (uint32_t)number, p->stream, words);
		hps_strv_add_take(values, hps_parameter_at(p, hps_unit(words)));
	}
}
