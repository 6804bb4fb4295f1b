/* What two trials started from that differs, as factors that can be exchanged one by one; and what differs and cannot be. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

/* How likely it is that a difference matters: by its kind, and for variables by their names. What moved results when it was tried stands high. Wrong
 * numbers cost reruns, never a wrong answer. */
static const struct {
	const char *name;
	double likelihood;
} variables[] = {
	{ "OMP_NUM_THREADS", 0.3 },    { "OPENBLAS_NUM_THREADS", 0.3 }, { "MKL_NUM_THREADS", 0.3 },	  { "OPENBLAS_CORETYPE", 0.4 }, { "MKL_CBWR", 0.3 },
	{ "ATEN_CPU_CAPABILITY", 0.3 }, { "ONEDNN_MAX_CPU_ISA", 0.3 },	{ "DNNL_MAX_CPU_ISA", 0.3 },	  { "GLIBC_TUNABLES", 0.2 },	{ "NPY_DISABLE_CPU_FEATURES", 0.3 },
	{ "LC_ALL", 0.15 },	       { "LANG", 0.1 },			{ "PYTHONHASHSEED", 0.2 },	  { "SEED", 0.4 },		{ "EPOCHS", 0.4 },
};
static const double likelihoods[] = {
	[HPS_FACTOR_VARIABLE] = 0.05, [HPS_FACTOR_ARGUMENT] = 0.5, [HPS_FACTOR_ARGUMENTS] = 0.5, [HPS_FACTOR_SEED] = 0.3,
	[HPS_FACTOR_FILES] = 0.4,     [HPS_FACTOR_LISTING] = 0.2,  [HPS_FACTOR_HOST] = 0.1,	   [HPS_FACTOR_UMASK] = 0.45,
};
static const char *const facts[] = { "cpu.model", "cpu.isa", "cpu.count", "kernel.release", "gpu.model", "gpu.driver" };

static struct hps_factor *add(struct hps_delta *d, enum hps_factor_kind kind, const char *name, const char *a, const char *b)
{
	struct hps_factor *f;

	d->v = hps_grow(d->v, d->n, sizeof *d->v);
	f = &d->v[d->n++];
	*f = (struct hps_factor){ .kind = kind, .name = hps_strdup(name), .a = a ? hps_strdup(a) : NULL, .b = b ? hps_strdup(b) : NULL, .likelihood = likelihoods[kind] };
	for (size_t i = 0; kind == HPS_FACTOR_VARIABLE && i < ARRAY_SIZE(variables); i++)
		if (!strcmp(variables[i].name, name))
			f->likelihood = variables[i].likelihood;
	return f;
}

/* ---- variables, arguments, surroundings ---- */

static const char *value_of(const struct hps_strv *environment, const char *item)
{
	size_t n = strcspn(item, "=");

	for (size_t i = 0; i < environment->n; i++)
		if (!strncmp(environment->v[i], item, n) && environment->v[i][n] == '=')
			return environment->v[i] + n + 1;
	return NULL;
}

static void add_variables(struct hps_delta *d, const struct hps_original *a, const struct hps_original *b)
{
	for (size_t i = 0; i < a->environment.n; i++) {
		const char *item = a->environment.v[i], *own = item + strcspn(item, "=") + 1, *other = value_of(&b->environment, item);
		_cleanup_free_ char *name = hps_strndup(item, strcspn(item, "="));

		if (!other || strcmp(own, other) != 0)
			add(d, HPS_FACTOR_VARIABLE, name, own, other);
	}
	for (size_t i = 0; i < b->environment.n; i++) {
		const char *item = b->environment.v[i];
		_cleanup_free_ char *name = hps_strndup(item, strcspn(item, "="));

		if (!value_of(&a->environment, item))
			add(d, HPS_FACTOR_VARIABLE, name, NULL, item + strcspn(item, "=") + 1);
	}
}

static char *joined(const struct hps_strv *words)
{
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

	for (size_t i = 0; i < words->n; i++)
		hps_buf_addf(&b, "%s%s", i ? " " : "", words->v[i]);
	return hps_buf_take(&b);
}

static void add_arguments(struct hps_delta *d, const struct hps_original *a, const struct hps_original *b)
{
	_cleanup_free_ char *was = joined(&a->argv), *is = joined(&b->argv);
	bool same = a->argv.n == b->argv.n;

	for (size_t i = 0; same && i < a->argv.n; i++)
		if (strcmp(a->argv.v[i], b->argv.v[i]) != 0) {
			_cleanup_free_ char *name = hps_format("%zu", i);

			add(d, HPS_FACTOR_ARGUMENT, name, a->argv.v[i], b->argv.v[i])->index = i;
		}
	if (!same)
		add(d, HPS_FACTOR_ARGUMENTS, "all", was, is);
}

static void add_surroundings(struct hps_delta *d, const struct hps_original *a, const struct hps_original *b)
{
	_cleanup_free_ char *was = hps_format("%03o", (unsigned)a->umask), *is = hps_format("%03o", (unsigned)b->umask);

	if (a->umask != b->umask)
		add(d, HPS_FACTOR_UMASK, "umask", was, is);
	if (a->host && b->host && strcmp(a->host, b->host) != 0)
		add(d, HPS_FACTOR_HOST, "name", a->host, b->host);
	if (a->seed && b->seed)
		add(d, HPS_FACTOR_SEED, "seed", NULL, NULL);
	else if (a->seeded != b->seeded || a->seeded)
		hps_hole_add(&d->residue, "random numbers", "the seed of one of them is not here");
	else
		hps_hole_add(&d->residue, "random numbers", "the kernel gave them to both: recorded without --entropy");
	if (a->uid != b->uid)
		hps_hole_add(&d->residue, "user", "they ran as different users");
}

/* ---- files ---- */

/* Files of one package change together: half an upgrade does not load. */
static char *group_of(const json_t *item)
{
	const char *package = hps_json_text(item, "package");

	return package ? hps_format("package %.*s", (int)strcspn(package, " "), package) : hps_strdup(hps_item_name(item));
}

static void add_file(struct hps_delta *d, const char *path, const json_t *was, const json_t *is)
{
	_cleanup_free_ char *group = group_of(is ? is : was);
	struct hps_factor *f = NULL;
	bool package = !strncmp(group, "package ", 8);

	for (size_t i = 0; i < d->n && !f; i++)
		if (d->v[i].kind == HPS_FACTOR_FILES && !strcmp(d->v[i].name, group))
			f = &d->v[i];
	if (!f)
		f = add(d, HPS_FACTOR_FILES, group, was ? (package ? hps_json_text(was, "package") : hps_item_digest(was)) : "missing",
			is ? (package ? hps_json_text(is, "package") : hps_item_digest(is)) : "missing");
	hps_strv_add(&f->paths, path);
}

static bool missed(const json_t *misses, const char *path)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)misses, i, item)
		if (hps_item_name(item) && !strcmp(hps_item_name(item), path))
			return true;
	return false;
}

/* A file of the system that only one of them opened is there for both: that the other did not open it is an effect. Any other may have
 * been there for one alone, and a look that is no open leaves no trace. */
static bool may_be_absent(const struct hps_original *other, const json_t *item)
{
	static const char *const system[] = { "/usr/", "/etc/", "/lib", "/bin/", "/opt/", "/var/lib/", "/proc/", "/sys/", "/dev/" };
	const char *path = hps_item_name(item);

	if (missed(other->misses, path))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(system); i++)
		if (!strncmp(path, system[i], strlen(system[i])))
			return false;
	return !hps_json_text(item, "package");
}

static void add_files(struct hps_delta *d, const struct hps_original *a, const struct hps_original *b)
{
	struct hps_map x = HPS_MAP_INIT, y = HPS_MAP_INIT;

	hps_items_index(a->materials, &x);
	hps_items_index(b->materials, &y);
	for (size_t i = 0; i < x.n; i++) {
		const json_t *was = x.items[i].value, *is = hps_map_get(&y, x.items[i].key);

		if (hps_item_is_given(was) != (is && hps_item_is_given(is)))
			continue;
		if (is ? strcmp(hps_item_digest(was), hps_item_digest(is)) != 0 : may_be_absent(b, was))
			add_file(d, x.items[i].key, was, is);
	}
	for (size_t i = 0; i < y.n; i++)
		if (!hps_map_get(&x, y.items[i].key) && !hps_item_is_given(y.items[i].value) && may_be_absent(a, y.items[i].value))
			add_file(d, y.items[i].key, NULL, y.items[i].value);
	hps_map_release(&x);
	hps_map_release(&y);
}

/* ---- listings ---- */

static char *name_at(const json_t *names, size_t place)
{
	const char *name = json_string_value(json_array_get(names, place));

	return hps_format("%zu names, number %zu is %s", json_array_size(names), place + 1, name ? name : "none");
}

static bool has_factor(const struct hps_delta *d, enum hps_factor_kind kind, const char *name)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].kind == kind && !strcmp(d->v[i].name, name))
			return true;
	return false;
}

/* Other names, too: one that nobody opened is in no other list. What was listed by one alone is an effect. */
static void add_listings(struct hps_delta *d, const json_t *a, const json_t *b, const char *member)
{
	struct hps_map x = HPS_MAP_INIT, y = HPS_MAP_INIT;

	hps_items_with(a, member, &x);
	hps_items_with(b, member, &y);
	for (size_t i = 0; i < x.n; i++) {
		const char *path = x.items[i].key;
		const json_t *was = json_object_get(x.items[i].value, member), *is = json_object_get(hps_map_get(&y, path), member);
		_cleanup_free_ char *first = NULL, *second = NULL;
		size_t place = 0;

		if (!is || json_equal(was, is) || has_factor(d, HPS_FACTOR_LISTING, path))
			continue;
		while (place < json_array_size(was) && json_equal(json_array_get(was, place), json_array_get(is, place)))
			place++;
		first = name_at(was, place);
		second = name_at(is, place);
		add(d, HPS_FACTOR_LISTING, path, first, second);
	}
	hps_map_release(&x);
	hps_map_release(&y);
}

/* ---- facts of the machine ---- */

static const char *fact(const struct hps_original *o, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)hps_json_at(o->trial.statement, "predicate", "identities", NULL), i, item) {
		const char *is = hps_json_text(item, "name");

		if (is && !strcmp(is, name))
			return hps_json_text(item, "value");
	}
	return NULL;
}

static void add_facts(struct hps_delta *d, const struct hps_original *a, const struct hps_original *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
		const char *was = fact(a, facts[i]), *is = fact(b, facts[i]);
		_cleanup_free_ char *why = NULL;

		if (!was || !is || !strcmp(was, is))
			continue;
		why = hps_format("'%.120s' against '%.120s': it cannot be exchanged here", was, is);
		hps_hole_add(&d->residue, facts[i], why);
	}
}

/* Of a withheld value only a tag is known: whether it is the same, not what it is. */
static void add_withheld(struct hps_delta *d, const struct hps_original *a, const struct hps_original *b)
{
	const json_t *was = hps_json_at(a->trial.statement, "predicate", "buildDefinition", "externalParameters", "environmentDigests", NULL);
	const json_t *is = hps_json_at(b->trial.statement, "predicate", "buildDefinition", "externalParameters", "environmentDigests", NULL), *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)is, name, value) {
		_cleanup_free_ char *what = hps_format("variable %s", name);

		if (!json_equal(value, json_object_get(was, name)))
			hps_hole_add(&d->residue, what, json_object_get(was, name) ? "it differs, and the records withhold its value" : "only the second has it, and the record withholds its value");
	}
	json_object_foreach((json_t *)(uintptr_t)was, name, value) {
		_cleanup_free_ char *what = hps_format("variable %s", name);

		if (!json_object_get(is, name))
			hps_hole_add(&d->residue, what, "only the first has it, and the record withholds its value");
	}
}

static int by_likelihood(const void *a, const void *b)
{
	const struct hps_factor *x = a, *y = b;

	return x->likelihood > y->likelihood ? -1 : x->likelihood < y->likelihood ? 1 : strcmp(x->name, y->name);
}

void hps_delta_make(const struct hps_original *a, const struct hps_original *b, struct hps_delta *ret)
{
	*ret = (struct hps_delta){ 0 };
	add_variables(ret, a, b);
	add_arguments(ret, a, b);
	add_surroundings(ret, a, b);
	add_files(ret, a, b);
	add_listings(ret, a->materials, b->materials, "listing");
	add_listings(ret, a->listings, b->listings, "names");
	add_facts(ret, a, b);
	add_withheld(ret, a, b);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof *ret->v, by_likelihood);
}

void hps_delta_release(struct hps_delta *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->v[i].name);
		free(d->v[i].a);
		free(d->v[i].b);
		hps_strv_release(&d->v[i].paths);
	}
	free(d->v);
	hps_holes_release(&d->residue);
	*d = (struct hps_delta){ 0 };
}
