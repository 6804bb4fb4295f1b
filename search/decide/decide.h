/* Header of search/decide/, grouped by the file that implements it: which trial comes next, a pure function of the registered study.
 * No clock, no files, no threads, no libm, nothing kept between calls (space.c, which reads the study's JSON, apart); runner and auditor call
 * the same objects. docs/FORMATS.md, "Search decisions", spells it out for whoever wants to write it again. */
#ifndef HPS_DECIDE_H
#define HPS_DECIDE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/core.h"

/* ---- math.c: exp and log that give the same bits on every CPU ------------------------------------------------------ */

/* libm picks its code by CPU: 1,403 of 2,000,000 exp() inputs differ between machines with and without FMA. These two use
 * + - * / on IEEE doubles alone and are compiled without contraction. Error below 1 ulp (measured worst: 0.86 and
 * 0.82 over 10^6 random inputs each, tests/unit/test_search_math.c). */
double hps_exp(double x); /* |x| <= 700 */
double hps_log(double x); /* normal, positive, finite */

/* ---- philox.c: counter-based random numbers ------------------------------------------------------------------------- */

/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011). No state: a draw is
 * addressed by what it is for, so nothing can be lost by a crash and nothing shifts when a parameter is added. */
void hps_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t ret[4]);

/* A study's seed: 32 bytes. The key of its draws is the last eight bytes as two big-endian words. */
struct hps_seed {
	uint8_t b[32];
};
void hps_seed_from_number(uint64_t number, struct hps_seed *ret); /* as a big-endian integer of 32 bytes */
enum hps_purpose {
	HPS_DRAW_VALUE = 0,    /* index: trial number */
	HPS_DRAW_SCRAMBLE = 1, /* block: bit level, index: the bits above it */
	HPS_DRAW_TRIAL = 2,    /* the trial's own seed; index: trial number */
};
/* Philox at counter (256 * purpose + block, index, stream[0], stream[1]); stream: see hps_parameter, or zeros. */
void hps_draw(const struct hps_seed *seed, enum hps_purpose purpose, uint32_t block, uint32_t index, const uint32_t stream[2],
	      uint32_t ret[4]);
/* ((x >> 12) + 0.5) * 2^-52 of a draw's first two words (first word high): never 0, never 1. */
double hps_unit(const uint32_t words[4]);

/* ---- sobol.c: the Sobol sequence ------------------------------------------------------------------------------------- */

#define HPS_SOBOL_DIMENSIONS 128
/* Point `index` in Gray-code order of dimension `dimension` (from 0), as a 32-bit fraction. Direction numbers: Joe and Kuo,
 * "Constructing Sobol sequences with better two-dimensional projections", SIAM J. Sci. Comput. 30 (2008), table D6. */
uint32_t hps_sobol(size_t dimension, uint32_t index);
/* Owen's nested uniform scrambling: bit j is flipped by a random bit that belongs to the j bits above it. */
uint32_t hps_owen_scramble(uint32_t x, const struct hps_seed *seed, const uint32_t stream[2]);

/* ---- scale.c: from the unit interval, or a grid step, to a parameter's value ----------------------------------------- */

enum hps_parameter_kind { HPS_FLOAT, HPS_INT, HPS_CHOICE };
struct hps_parameter {
	char *name;
	enum hps_parameter_kind kind;
	bool log;
	double low, high;	 /* float and int; ints are below 2^53, so exact */
	uint64_t steps;		 /* grid: even steps from low to high; 0: none declared */
	struct hps_strv texts;	 /* choice: its values; float and int: the points of a grid, when declared */
	uint32_t stream[2];	 /* first eight bytes of SHA-256(name) as two big-endian words */
};
/* The value for u in (0,1), as text: decimal for ints, shortest round trip for floats (ECMAScript), the choice's own text. */
char *hps_parameter_at(const struct hps_parameter *p, double u);
uint64_t hps_parameter_n_steps(const struct hps_parameter *p); /* values of its grid; 0: no grid declared */
char *hps_parameter_step(const struct hps_parameter *p, uint64_t step);

/* ---- decide.c: which trial comes next --------------------------------------------------------------------------------- */

struct hps_space {
	struct hps_parameter *parameters;
	size_t n;
	const struct hps_sampler *sampler;
	struct hps_strv list; /* sampler list: the values of trial 0, then of trial 1, … */
	uint64_t trials;      /* the budget: numbers below it exist */
};
/* A result, ingested; results are given in the order in which they are to be believed. */
struct hps_result {
	uint64_t number;
	bool complete;
	double objective; /* valid when complete */
};
struct hps_results {
	const struct hps_result *v;
	size_t n;
};
struct hps_decision {
	struct hps_strv values; /* one text for each parameter, in the order of the space */
	uint32_t trial_seed;	/* below 2^31: fits every framework's seed */
};
/* A sampler is a row: its name in the study file and the function that fills `values`. */
struct hps_sampler {
	const char *name;
	void (*propose)(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results, uint64_t number,
			struct hps_strv *values);
	uint64_t (*size)(const struct hps_space *space); /* how many trials there are to propose; NULL: no end */
};
extern const struct hps_sampler hps_samplers[];
extern const size_t hps_n_samplers;
const struct hps_sampler *hps_sampler_find(const char *name); /* or NULL */
uint64_t hps_sampler_size(const struct hps_space *space);	  /* UINT64_MAX: no end */

/* The decision for trial `number` < space->trials, from nothing but its arguments. */
void hps_decide(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results, uint64_t number,
		struct hps_decision *ret);
void hps_decision_release(struct hps_decision *d);

/* sampler_random.c sampler_sobol.c sampler_grid.c sampler_list.c: one sampler each */
void hps_propose_random(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results,
			uint64_t number, struct hps_strv *values);
void hps_propose_sobol(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results, uint64_t number,
		       struct hps_strv *values);
void hps_propose_grid(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results, uint64_t number,
		      struct hps_strv *values);
uint64_t hps_size_grid(const struct hps_space *space); /* UINT64_MAX when it does not fit */
void hps_propose_list(const struct hps_space *space, const struct hps_seed *seed, const struct hps_results *results, uint64_t number,
		      struct hps_strv *values);
uint64_t hps_size_list(const struct hps_space *space);

/* ---- space.c: from the compiled study to what decide() takes ------------------------------------------------------------- */

/* HPS_E_FORMAT when the JSON is not a compiled study (a foreign or damaged ledger entry). */
int hps_space_from_json(const json_t *study, struct hps_space *ret, struct hps_error *err) HPS_MUST;
void hps_space_release(struct hps_space *s);
/* The seed of a study: the number that its file gives, or else SHA-256 of the digest of the specification and of the root of the ledger before
 * it, both as bytes: nobody can choose one that they like. */
void hps_seed_of_study(const json_t *study, const struct hps_digest *specification, const struct hps_digest *root, struct hps_seed *ret);

#endif
