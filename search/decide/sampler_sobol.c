/* Scrambled Sobol points: the trial's number is the point's index, the parameter's place is the dimension. */
#include "search/decide/decide.h"

void hps_propose_sobol(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results, uint64_t number,
		       struct hps_strv *values)
{
	(void)results;
	for (size_t i = 0; i < space->n; i++) {
		const struct hps_parameter *p = &space->parameters[i];
		uint32_t x = hps_owen_scramble(hps_sobol(i, (uint32_t)number), seed, p->stream);

		hps_strv_add_take(values, hps_parameter_at(p, ((double)x + 0.5) * 0x1p-32));
	}
}
