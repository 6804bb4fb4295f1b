/* The study file: which keys there are and what they compile to. Parameters are study_space.c's. */
#include "search/search.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TRIALS_MAX 1000000
#define WORKERS_MAX 256

static int compile_version(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	int64_t version = 0;
	int r = hps_compile_int(c, value, "'hps', the version of the format,", 1, 1, &version);

	if (!r)
		hps_json_set_int(out, "hps", version);
	return r;
}

static int compile_word_name(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	int r = hps_compile_text(c, value, value->key);

	if (!r)
		r = hps_compile_name(c, value->text, value->mark, value->key, "");
	if (!r)
		hps_json_set_text(out, value->key, value->text);
	return r;
}

/* ---- metrics ---- */

static int compile_goal(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	static const char *const goals[] = { "min", "max" };
	int r = hps_compile_text(c, value, "'goal'");

	if (!r && strcmp(value->text, "max") != 0 && strcmp(value->text, "min") != 0)
		r = hps_compile_unknown(c, value->mark, "goal", "", value->text, goals, ARRAY_SIZE(goals));
	if (!r)
		hps_json_set_text(out, "goal", value->text);
	return r;
}

static int compile_tolerated(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_free_ char *what = hps_format("'%s'", value->key);
	char text[HPS_DOUBLE_LEN];
	double x = 0;
	int r = hps_compile_double(c, value, what, &x);

	if (!r && x < 0)
		r = hps_compile_error(c, value->mark, "%s must not be below 0", what);
	if (r)
		return r;
	hps_double_format(x, text);
	hps_json_set_text(out, value->key, text);
	return 0;
}

static int compile_tolerance(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	static const struct hps_study_key keys[] = { { "rtol", false, compile_tolerated }, { "atol", false, compile_tolerated } };
	_cleanup_json_ json_t *tolerance = json_pack("{s:s, s:s}", "rtol", "0", "atol", "0");
	int r = hps_compile_map(c, value, "'tolerance'", keys, ARRAY_SIZE(keys), tolerance);

	if (!r)
		hps_json_set(out, "tolerance", hps_take(tolerance));
	return r;
}

static int compile_metric(struct hps_compile *c, const struct hps_node *value, json_t *metrics)
{
	static const struct hps_study_key keys[] = { { "goal", true, compile_goal }, { "tolerance", false, compile_tolerance } };
	_cleanup_free_ char *what = hps_format("metric '%s'", value->key);
	_cleanup_json_ json_t *m = json_pack("{s:s}", "name", value->key);
	int r = hps_compile_name(c, value->key, value->key_mark, "metric", "/");

	if (!r)
		r = hps_compile_map(c, value, what, keys, ARRAY_SIZE(keys), m);
	if (!r)
		hps_json_add(metrics, hps_take(m));
	return r;
}

static int compile_metrics(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_json_ json_t *metrics = json_array();
	int r = hps_compile_type(c, value, HPS_NODE_MAP, "'metrics'");

	if (!r && !value->n)
		r = hps_compile_error(c, value->mark, "'metrics' is empty: the first metric is what the search is for");
	for (const struct hps_node *n = value->first; !r && n; n = n->next)
		r = compile_metric(c, n, metrics);
	if (!r)
		hps_json_set(out, "metrics", hps_take(metrics));
	return r;
}

/* ---- search ---- */

static int compile_sampler(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_free_ const char **names = hps_alloc(hps_n_samplers * sizeof(*names));
	int r = hps_compile_text(c, value, "'sampler'");

	for (size_t i = 0; i < hps_n_samplers; i++)
		names[i] = hps_samplers[i].name;
	if (!r && !hps_sampler_find(value->text))
		r = hps_compile_unknown(c, value->mark, "sampler", "", value->text, names, hps_n_samplers);
	if (!r)
		hps_json_set_text(out, "sampler", value->text);
	return r;
}

static int compile_seed(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_free_ char *text = NULL;
	int64_t seed = 0;
	int r = hps_compile_int(c, value, "'seed'", 0, INT64_MAX, &seed);

	if (r)
		return r;
	text = hps_format("%" PRId64, seed);
	hps_json_set_text(out, "seed", text);
	return 0;
}

/* The listed trials need the space, which is compiled before: they wait in finish_list(). */
static int compile_later(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	(void)c;
	(void)value;
	(void)out;
	return 0;
}

static int compile_search(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	static const struct hps_study_key keys[] = {
		{ "sampler", true, compile_sampler },
		{ "seed", false, compile_seed },
		{ "trials", false, compile_later },
	};
	_cleanup_json_ json_t *search = json_object();
	int r = hps_compile_map(c, value, "'search'", keys, ARRAY_SIZE(keys), search);

	if (!r)
		hps_json_set(out, "search", hps_take(search));
	return r;
}

/* ---- how it is run ---- */

static int compile_count(struct hps_compile *c, const struct hps_node *value, const char *what, int64_t max, json_t *out)
{
	int64_t count = 0;
	int r = hps_compile_int(c, value, what, 1, max, &count);

	if (!r)
		hps_json_set_int(out, value->key, count);
	return r;
}

static int compile_trials(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	return compile_count(c, value, "'trials' of 'budget'", TRIALS_MAX, out);
}

static int compile_budget(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	static const struct hps_study_key keys[] = { { "trials", true, compile_trials } };
	_cleanup_json_ json_t *budget = json_object();
	int r = hps_compile_map(c, value, "'budget'", keys, ARRAY_SIZE(keys), budget);

	if (!r)
		hps_json_set(out, "budget", hps_take(budget));
	return r;
}

static int compile_workers(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	return compile_count(c, value, "'workers'", WORKERS_MAX, out);
}

/* `command` and `dataset`: words as they are written. */
static int compile_words(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_free_ char *what = hps_format("'%s'", value->key), *item = hps_format("a word of '%s'", value->key);
	_cleanup_json_ json_t *words = json_array();
	int r = hps_compile_type(c, value, HPS_NODE_LIST, what);

	if (!r && !value->n)
		r = hps_compile_error(c, value->mark, "%s is empty", what);
	for (const struct hps_node *n = value->first; !r && n; n = n->next) {
		r = hps_compile_text(c, n, item);
		if (!r)
			hps_json_add(words, json_string(n->text));
	}
	if (!r)
		hps_json_set(out, value->key, hps_take(words));
	return r;
}

static int compile_variable(struct hps_compile *c, const struct hps_node *value, json_t *env)
{
	_cleanup_free_ char *what = hps_format("variable '%s' of 'env'", value->key);
	int r = hps_compile_text(c, value, what);

	if (!r && (strchr(value->key, '=') || !*value->key))
		r = hps_compile_error(c, value->key_mark, "%s: a variable's name is not empty and has no '='", what);
	if (!r && !strncmp(value->key, "HPS_", 4))
		r = hps_compile_error(c, value->key_mark, "%s: names that start with HPS_ are set by hps itself", what);
	if (!r)
		hps_json_set_text(env, value->key, value->text);
	return r;
}

static int compile_env(struct hps_compile *c, const struct hps_node *value, json_t *out)
{
	_cleanup_json_ json_t *env = json_object();
	int r = hps_compile_type(c, value, HPS_NODE_MAP, "'env'");

	for (const struct hps_node *n = value->first; !r && n; n = n->next)
		r = compile_variable(c, n, env);
	if (!r)
		hps_json_set(out, "env", hps_take(env));
	return r;
}

static const struct hps_study_key study_keys[] = {
	{ "hps", true, compile_version },      { "study", true, compile_word_name }, { "team", false, compile_word_name },
	{ "space", true, hps_compile_space },  { "metrics", true, compile_metrics }, { "search", true, compile_search },
	{ "budget", false, compile_budget },   { "workers", false, compile_workers }, { "command", true, compile_words },
	{ "dataset", false, compile_words },   { "env", false, compile_env },
};

/* ---- what holds between the keys ---- */

struct placeholders {
	const json_t *space;
	bool *used;
};

static const char *lookup_placeholder(const char *name, void *arg)
{
	static const char *const ours[] = { "seed", "number", "study", "out" };
	struct placeholders *p = arg;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		if (!strcmp(ours[i], name))
			return "";
	}
	for (size_t i = 0; i < json_array_size(p->space); i++) {
		if (!strcmp(hps_json_text(json_array_get(p->space, i), "name"), name)) {
			p->used[i] = true;
			return "";
		}
	}
	return NULL;
}

static int bad_placeholder(struct hps_compile *c, const struct hps_node *word, const char *bad, const json_t *space)
{
	size_t n = json_array_size(space);
	_cleanup_free_ const char **known = hps_alloc((n + 4) * sizeof(*known));

	if (*bad == '{' || *bad == '}')
		return hps_compile_error(c, word->mark, "a lone '%s' in the command: placeholders are {name}, braces are written twice", bad);
	for (size_t i = 0; i < n; i++)
		known[i] = hps_json_text(json_array_get(space, i), "name");
	known[n] = "seed";
	known[n + 1] = "number";
	known[n + 2] = "study";
	known[n + 3] = "out";
	return hps_compile_unknown(c, word->mark, "placeholder", "", bad, known, n + 4);
}

static int check_command(struct hps_compile *c, const json_t *out)
{
	const struct hps_node *command = hps_node_at(c->root, "command");
	const json_t *space = json_object_get(out, "space");
	_cleanup_free_ bool *used = hps_alloc(json_array_size(space) * sizeof(*used));
	struct placeholders p = { space, used };

	for (const struct hps_node *word = command->first; word; word = word->next) {
		_cleanup_free_ char *bad = NULL, *text = hps_template_expand(word->text, lookup_placeholder, &p, &bad);

		if (!text)
			return bad_placeholder(c, word, bad, space);
	}
	for (size_t i = 0; i < json_array_size(space); i++) {
		const char *name = hps_json_text(json_array_get(space, i), "name");

		if (!used[i])
			return hps_compile_error(c, command->mark, "no word of the command holds {%s}: the trials would not see the parameter '%s'",
						 name, name);
	}
	return 0;
}

static int compile_listed(struct hps_compile *c, const struct hps_node *trial, const json_t *space, json_t *list)
{
	size_t n = json_array_size(space);
	_cleanup_free_ const char **names = hps_alloc((n + 1) * sizeof(*names));
	_cleanup_json_ json_t *values = json_object();

	if (hps_compile_type(c, trial, HPS_NODE_MAP, "a listed trial"))
		return HPS_E_USAGE;
	for (size_t i = 0; i < n; i++) {
		const json_t *p = json_array_get(space, i);
		const struct hps_node *value = hps_node_at(trial, names[i] = hps_json_text(p, "name"));
		_cleanup_free_ char *text = NULL;

		if (!value)
			continue;
		if (hps_compile_value(c, value, p, &text))
			return HPS_E_USAGE;
		hps_json_set_text(values, names[i], text);
	}
	for (const struct hps_node *m = trial->first; m; m = m->next) {
		if (!json_object_get(values, m->key))
			return hps_compile_unknown(c, m->key_mark, "parameter", "", m->key, names, n);
	}
	for (size_t i = 0; i < n; i++) {
		if (!json_object_get(values, names[i]))
			return hps_compile_error(c, trial->mark, "a listed trial needs a value for '%s'", names[i]);
	}
	hps_json_add(list, hps_take(values));
	return 0;
}

static int finish_list(struct hps_compile *c, const json_t *out, json_t *search)
{
	const struct hps_node *node = hps_node_at(c->root, "search"), *trials = hps_node_at(node, "trials");
	_cleanup_json_ json_t *list = json_array();
	bool wanted = !strcmp(hps_json_text(search, "sampler"), "list");

	if (!wanted && trials)
		return hps_compile_error(c, trials->key_mark, "'trials' of 'search' is for the sampler 'list' (the number of trials is 'trials' of 'budget')");
	if (!wanted)
		return 0;
	if (!trials || (trials->type == HPS_NODE_LIST && !trials->n))
		return hps_compile_error(c, trials ? trials->mark : node->mark, "the sampler 'list' needs the key 'trials' with at least one map of parameters");
	if (hps_compile_type(c, trials, HPS_NODE_LIST, "'trials'"))
		return HPS_E_USAGE;
	for (const struct hps_node *n = trials->first; n; n = n->next) {
		if (compile_listed(c, n, json_object_get(out, "space"), list))
			return HPS_E_USAGE;
	}
	hps_json_set(search, "trials", hps_take(list));
	return 0;
}

/* `steps` and `points` belong to a grid, and a grid needs them. */
static int check_grid(struct hps_compile *c, const char *sampler)
{
	bool grid = !strcmp(sampler, "grid");

	for (const struct hps_node *p = hps_node_at(c->root, "space")->first; p; p = p->next) {
		const struct hps_node *steps = hps_node_at(p, "steps"), *points = hps_node_at(p, "points");
		const struct hps_node *given = steps ? steps : points;

		if (!grid && given)
			return hps_compile_error(c, given->key_mark, "'%s' of '%s' is for the sampler 'grid', not '%s'", given->key, p->key, sampler);
		if (grid && !given && !strcmp(hps_node_at(p, "type")->text, "float"))
			return hps_compile_error(c, p->mark, "parameter '%s' needs 'steps' or 'points' for the sampler 'grid'", p->key);
	}
	return 0;
}

/* Steps of an int may round to the same value. */
static int check_steps(struct hps_compile *c, const struct hps_space *space)
{
	for (size_t i = 0; i < space->n; i++) {
		const struct hps_parameter *p = &space->parameters[i];
		const struct hps_node *node = hps_node_at(hps_node_at(c->root, "space"), p->name);
		_cleanup_free_ char *before = NULL;

		for (uint64_t k = 0; p->kind == HPS_INT && k < p->steps; k++) {
			char *value = hps_parameter_step(p, k);
			bool twice = before && !strcmp(before, value);

			free(before);
			before = value;
			if (twice)
				return hps_compile_error(c, hps_node_at(node, "steps")->mark, "'steps' of '%s' gives the value %s twice: take fewer",
							 p->name, value);
		}
	}
	return 0;
}

/* With the number of trials still open, takes what the sampler has. */
static int finish_budget(struct hps_compile *c, json_t *out)
{
	const struct hps_node *budget = hps_node_at(c->root, "budget");
	int64_t wanted = hps_json_int(json_object_get(out, "budget"), "trials", 0);
	struct hps_space space;
	uint64_t size;
	int r;

	hps_json_set(out, "budget", json_pack("{s:i}", "trials", 0));
	r = hps_space_from_json(out, &space, c->err);
	if (r)
		return hps_error_prefix(c->err, "%s", c->file);
	size = hps_sampler_size(&space);
	r = check_steps(c, &space);
	if (!r && !wanted && size > TRIALS_MAX)
		r = hps_compile_error(c, c->root->mark, "the study file needs the key 'budget' with 'trials', %d at most", TRIALS_MAX);
	if (!r && wanted > 0 && (uint64_t)wanted > size)
		r = hps_compile_error(c, hps_node_at(budget, "trials")->mark, "the sampler '%s' has only %" PRIu64 " trials to propose",
				      space.sampler->name, size);
	hps_space_release(&space);
	hps_json_set(out, "budget", json_pack("{s:I}", "trials", (json_int_t)(wanted ? wanted : (int64_t)size)));
	return r;
}

static int check_sobol(struct hps_compile *c, const json_t *out, const char *sampler)
{
	if (!strcmp(sampler, "sobol") && json_array_size(json_object_get(out, "space")) > HPS_SOBOL_DIMENSIONS)
		return hps_compile_error(c, hps_node_at(c->root, "space")->mark, "the sampler 'sobol' takes %d parameters at most: use 'random'",
					 HPS_SOBOL_DIMENSIONS);
	return 0;
}

static int compile_root(struct hps_compile *c, json_t *out)
{
	json_t *search;
	const char *sampler;
	int r;

	hps_json_set_int(out, "workers", 1);
	hps_json_set(out, "dataset", json_array());
	hps_json_set(out, "env", json_object());
	r = hps_compile_map(c, c->root, "the study file", study_keys, ARRAY_SIZE(study_keys), out);
	if (r)
		return r;
	search = json_object_get(out, "search");
	sampler = hps_json_text(search, "sampler");
	r = check_command(c, out);
	if (!r)
		r = check_grid(c, sampler);
	if (!r)
		r = check_sobol(c, out, sampler);
	if (!r)
		r = finish_list(c, out, search);
	return r ? r : finish_budget(c, out);
}

int hps_study_compile(const char *file, const char *text, size_t len, json_t **ret, struct hps_error *err)
{
	_cleanup_json_ json_t *out = json_object();
	struct hps_document document;
	struct hps_compile c = { .file = file, .err = err };
	int r = hps_document_parse(file, text, len, &document, err);

	if (r)
		return r;
	c.root = document.root;
	r = compile_root(&c, out);
	hps_document_release(&document);
	if (!r)
		*ret = hps_take(out);
	return r;
}

int hps_study_load(const char *path, json_t **ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (hps_file_read(AT_FDCWD, path, HPS_STUDY_FILE_MAX, &text, err))
		return hps_error_prefix(err, "reading the study file");
	return hps_study_compile(path, text.data ? text.data : "", text.len, ret, err);
}
