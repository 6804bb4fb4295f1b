/* Every combination of the declared values; the last parameter changes fastest. */
#include "search/decide/decide.h"

uint64_t hps_size_grid(const struct hps_space *space)
{
	uint64_t size = 1;

	for (size_t i = 0; i < space->n; i++) {
		if (__builtin_mul_overflow(size, hps_parameter_n_steps(&space->parameters[i]), &size))
			return UINT64_MAX;
	}
	return size;
}

void hps_propose_grid(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results, uint64_t number,
		      struct hps_strv *values)
{
	uint64_t rest = hps_size_grid(space);

	(void)seed;
	(void)results;
	for (size_t i = 0; i < space->n; i++) {
		uint64_t n_steps = hps_parameter_n_steps(&space->parameters[i]);

		rest /= n_steps;
		hps_strv_add_take(values, hps_parameter_step(&space->parameters[i], number / rest % n_steps));
	}
}
