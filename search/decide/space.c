/* From the compiled study to the space that decide() takes. The JSON may come from a ledger, so nothing in it is believed. */
#include "search/decide/decide.h"

#include <stdlib.h>
#include <string.h>

static int refuse(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_FORMAT, "reading the compiled study: %s", what);
}

static void name_stream(const char *name, uint32_t ret[2])
{
	struct hps_digest d;

	hps_digest_of(name, strlen(name), &d);
	for (int i = 0; i < 2; i++)
		ret[i] = (uint32_t)d.b[4 * i] << 24 | (uint32_t)d.b[4 * i + 1] << 16 | (uint32_t)d.b[4 * i + 2] << 8 | d.b[4 * i + 3];
}

static int read_texts(const json_t *list, struct hps_strv *ret, struct hps_error *err)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text)
			return refuse(err, "a parameter's value is not text");
		hps_strv_add(ret, text);
	}
	return 0;
}

static int read_bounds(const json_t *j, struct hps_parameter *p, struct hps_error *err)
{
	const char *low = hps_json_text(j, "low"), *high = hps_json_text(j, "high");
	double limit = p->kind == HPS_INT ? 0x1p53 : 1e300;

	if (!low || !high || hps_parse_double(low, &p->low) || hps_parse_double(high, &p->high))
		return refuse(err, "a parameter has no bounds");
	p->log = json_is_true(json_object_get(j, "log"));
	if (!(p->low < p->high) || p->low < -limit || p->high > limit || (p->log && p->low < (p->kind == HPS_INT ? 1 : 1e-300)))
		return refuse(err, "a parameter's bounds are out of order");
	if (p->kind == HPS_INT && (p->low != (double)(int64_t)p->low || p->high != (double)(int64_t)p->high))
		return refuse(err, "an int parameter's bound is not whole");
	p->steps = (uint64_t)hps_json_int(j, "steps", 0);
	if (p->steps == 1 || p->steps > 1000000)
		return refuse(err, "a parameter's steps are out of range");
	return 0;
}

static int read_parameter(const json_t *j, struct hps_parameter *p, struct hps_error *err)
{
	static const char *const kinds[] = { [HPS_FLOAT] = "float", [HPS_INT] = "int", [HPS_CHOICE] = "choice" };
	const char *name = hps_json_text(j, "name"), *type = hps_json_text(j, "type");
	size_t kind = 0;

	while (type && kind < ARRAY_SIZE(kinds) && strcmp(kinds[kind], type) != 0)
		kind++;
	if (!name || !type || kind == ARRAY_SIZE(kinds))
		return refuse(err, "a parameter has no name or type");
	p->name = hps_strdup(name);
	p->kind = (enum hps_parameter_kind)kind;
	name_stream(name, p->stream);
	if (kind != HPS_CHOICE && read_bounds(j, p, err))
		return HPS_E_FORMAT;
	if (read_texts(json_object_get(j, kind == HPS_CHOICE ? "of" : "points"), &p->texts, err))
		return HPS_E_FORMAT;
	return kind == HPS_CHOICE && !p->texts.n ? refuse(err, "a choice has no values") : 0;
}

static int read_list(const json_t *trials, struct hps_space *s, struct hps_error *err)
{
	for (size_t i = 0; i < json_array_size(trials); i++) {
		for (size_t k = 0; k < s->n; k++) {
			const char *text = hps_json_text(json_array_get(trials, i), s->parameters[k].name);

			if (!text)
				return refuse(err, "a listed trial lacks a parameter");
			hps_strv_add(&s->list, text);
		}
	}
	return 0;
}

static int read_sampler(const json_t *study, struct hps_space *s, struct hps_error *err)
{
	const json_t *search = json_object_get(study, "search");
	const char *name = hps_json_text(search, "sampler");

	s->sampler = name ? hps_sampler_find(name) : NULL;
	if (!s->sampler)
		return refuse(err, "its sampler is not known to this version");
	if (s->sampler->propose == hps_propose_sobol && s->n > HPS_SOBOL_DIMENSIONS)
		return refuse(err, "more parameters than the sampler 'sobol' has dimensions");
	for (size_t i = 0; s->sampler->propose == hps_propose_grid && i < s->n; i++) {
		if (!hps_parameter_n_steps(&s->parameters[i]))
			return refuse(err, "a parameter has no values for the grid");
	}
	return read_list(json_object_get(search, "trials"), s, err);
}

int hps_space_from_json(const json_t *study, struct hps_space *ret, struct hps_error *err)
{
	const json_t *space = json_object_get(study, "space");
	int64_t trials = hps_json_int(json_object_get(study, "budget"), "trials", -1);
	struct hps_space s = { .n = json_array_size(space) };
	int r = 0;

	if (!s.n || s.n > 1000 || trials < 0 || trials > UINT32_MAX)
		return refuse(err, "it has no parameters or no number of trials");
	s.parameters = hps_alloc(s.n * sizeof(*s.parameters));
	for (size_t i = 0; !r && i < s.n; i++)
		r = read_parameter(json_array_get(space, i), &s.parameters[i], err);
	s.trials = (uint64_t)trials;
	if (!r)
		r = read_sampler(study, &s, err);
	if (!r && s.trials > hps_sampler_size(&s))
		r = refuse(err, "it has more trials than its sampler can propose");
	if (r)
		hps_space_release(&s);
	else
		*ret = s;
	return r;
}

void hps_space_release(struct hps_space *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->parameters[i].name);
		hps_strv_release(&s->parameters[i].texts);
	}
	free(s->parameters);
	hps_strv_release(&s->list);
	*s = (struct hps_space){ 0 };
}

void hps_seed_of_study(const json_t *study, const struct hps_digest *specification, const struct hps_digest *root, struct hps_seed *ret)
{
	const char *given = hps_json_text(json_object_get(study, "search"), "seed");
	uint8_t both[2 * HPS_DIGEST_LEN];
	struct hps_digest d;
	uint64_t x = 0;

	if (given && !hps_parse_u64(given, INT64_MAX, &x)) {
		hps_seed_from_number(x, ret);
		return;
	}
	memcpy(both, specification->b, HPS_DIGEST_LEN);
	memcpy(both + HPS_DIGEST_LEN, root->b, HPS_DIGEST_LEN);
	hps_digest_of(both, sizeof(both), &d);
	memcpy(ret->b, d.b, sizeof(ret->b));
}
