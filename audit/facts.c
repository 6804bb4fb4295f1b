/* What a study's records say about where and with what it ran: identities from the statements, software from the
 * manifests in the content store. Each different manifest is read once and counts for all trials that name it. */
#include "audit/audit.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists of facts */

static struct hps_fact *fact_at(struct hps_fact_list *list, const char *name, const char *value)
{
	_cleanup_free_ char *key = hps_format("%s\x1f%s", name, value);
	void **slot = hps_map_slot(&list->index, key);
	size_t place = (size_t)(uintptr_t)*slot;

	if (place)
		return &list->items[place - 1];
	list->items = hps_grow(list->items, list->n, sizeof(*list->items));
	list->items[list->n] = (struct hps_fact){ .name = hps_strdup(name), .value = hps_strdup(value) };
	*slot = (void *)(uintptr_t)++list->n;
	return &list->items[list->n - 1];
}

static void list_release(struct hps_fact_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->items[i].name);
		free(list->items[i].value);
	}
	free(list->items);
	hps_map_release(&list->index);
}

static int compare_facts(const void *a, const void *b)
{
	const struct hps_fact *x = a, *y = b;
	int by_name = strcmp(x->name, y->name);

	if (by_name)
		return by_name;
	if (x->n_trials != y->n_trials)
		return x->n_trials > y->n_trials ? -1 : 1;
	return strcmp(x->value, y->value);
}

/* After this the list takes no more facts: its index is stale. */
static void list_sort(struct hps_fact_list *list)
{
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), compare_facts);
}

#define N_LISTS 6

static void lists_of(struct hps_facts *f, struct hps_fact_list *ret[N_LISTS])
{
	struct hps_fact_list *lists[N_LISTS] = { &f->identities, &f->python, &f->packages, &f->gaps, &f->unset, &f->seeds };

	memcpy(ret, lists, sizeof(lists));
}

/* ---- from the statements */

static void gather_identities(const struct hps_trial *t, struct hps_facts *f)
{
	const json_t *identities = hps_json_at(hps_predicate(t->end), "identities", NULL);
	const json_t *item;
	size_t i;

	json_array_foreach(identities, i, item) {
		const char *name = hps_json_text(item, "name"), *value = hps_json_text(item, "value");
		struct hps_fact *fact;

		if (!name)
			continue;
		fact = fact_at(&f->identities, name, value ?: hps_json_text(item, "why") ?: hps_json_text(item, "missing") ?: "no reason given");
		fact->missing = !value;
		fact->source = hps_json_text(item, "source");
		fact->strength = hps_json_text(item, "strength");
		fact->n_trials++;
	}
}

static void gather_gaps(const struct hps_trial *t, struct hps_facts *f)
{
	const json_t *gap;
	size_t i;

	json_array_foreach(hps_trial_gaps(t), i, gap)
		fact_at(&f->gaps, hps_json_text(gap, "what") ?: "unnamed", hps_json_text(gap, "why") ?: "no reason given")->n_trials++;
}

static void gather_seeds(const struct hps_trial *t, struct hps_facts *f)
{
	const json_t *seeds = hps_json_at(hps_predicate(t->end), "seeds", NULL);
	const json_t *seed;
	size_t i;

	json_array_foreach(seeds, i, seed) {
		const char *name = hps_json_text(seed, "name"), *origin = hps_json_text(seed, "origin");

		if (name)
			fact_at(&f->seeds, name, origin ?: "unknown origin")->n_trials++;
	}
}

/* ---- switches that make runs repeat */

/* Families of libraries and programs, found in the manifests; one bit each. */
static const struct {
	const char *prefix;
	unsigned family;
} families[] = {
	{ "python", 1 },	  { "libgomp.", 2 },   { "libomp.", 2 },    { "libiomp5.", 2 },	   { "libopenblas", 4 },
	{ "libscipy_openblas", 4 }, { "libmkl_", 8 }, { "libcublas.", 16 }, { "libtensorflow", 32 },
};

static const struct {
	const char *name;
	unsigned family;
	const char *effect;
} switches[] = {
	{ "PYTHONHASHSEED", 1, "the order of Python's sets and dictionaries of strings" },
	{ "OMP_NUM_THREADS", 2, "the number of OpenMP threads, on which sums depend" },
	{ "OPENBLAS_NUM_THREADS", 4, "the number of BLAS threads, on which sums depend" },
	{ "OPENBLAS_CORETYPE", 4, "the BLAS kernel, which otherwise follows the processor" },
	{ "MKL_NUM_THREADS", 8, "the number of MKL threads, on which sums depend" },
	{ "MKL_CBWR", 8, "the MKL code path, which otherwise follows the processor" },
	{ "CUBLAS_WORKSPACE_CONFIG", 16, "the work space of cuBLAS, without which sums vary" },
	{ "TF_DETERMINISTIC_OPS", 32, "deterministic kernels in TensorFlow" },
};

static const char *last_part(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

static unsigned family_of(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(families); i++)
		if (!strncmp(name, families[i].prefix, strlen(families[i].prefix)))
			return families[i].family;
	return 0;
}

static bool is_set(const struct hps_trial *t, const char *name)
{
	const json_t *given = hps_json_at(hps_predicate(t->end), "buildDefinition", "externalParameters", NULL);

	return json_object_get(hps_json_at(given, "environment", NULL), name) || json_object_get(hps_json_at(given, "environmentDigests", NULL), name);
}

static void gather_switches(const struct hps_trial *t, unsigned used, struct hps_facts *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if ((used & switches[i].family) && !is_set(t, switches[i].name))
			fact_at(&f->unset, switches[i].name, switches[i].effect)->n_trials++;
}

/* ---- from the manifests */

struct gathering {
	struct hps_facts *facts;
	struct hps_objects *objects;
	struct hps_map families;  /* digest → bits + 1 */
	struct hps_map materials; /* "path digest" seen */
	struct hps_map libraries;
};

static size_t seen(struct hps_map *map, const char *path, const char *digest)
{
	_cleanup_free_ char *key = hps_format("%s %s", path ?: "", digest ?: "");
	void **slot = hps_map_slot(map, key);
	bool before = *slot != NULL;

	*slot = map;
	return !before;
}

/* "name version" as one string: a version has no space. */
static void add_package(struct hps_facts *f, const char *package, size_t n_trials)
{
	const char *space = package ? strrchr(package, ' ') : NULL;
	_cleanup_free_ char *name = space ? hps_strndup(package, (size_t)(space - package)) : NULL;
	struct hps_fact *fact;

	if (!name)
		return;
	fact = fact_at(&f->packages, name, space + 1);
	fact->n_trials = fact->n_trials > n_trials ? fact->n_trials : n_trials;
}

static void take_material(struct gathering *g, const json_t *item, size_t n_trials)
{
	const char *type = hps_json_text(item, "type");

	add_package(g->facts, hps_json_text(item, "package"), n_trials);
	if (!type || strcmp(type, "file") != 0)
		return;
	g->facts->n_materials += seen(&g->materials, hps_json_text(item, "path"), hps_json_text(hps_json_at(item, "digest", NULL), "sha256"));
	g->facts->n_changed += json_is_true(json_object_get(item, "changed"));
	g->facts->n_unverified += json_is_true(json_object_get(item, "unverified"));
	g->facts->n_edited += json_is_false(json_object_get(item, "pristine"));
}

static void take_library(struct gathering *g, const json_t *item, size_t n_trials)
{
	add_package(g->facts, hps_json_text(item, "package"), n_trials);
	g->facts->n_libraries += seen(&g->libraries, hps_json_text(item, "path"), hps_json_text(hps_json_at(item, "digest", NULL), "sha256"));
}

static void take_python(struct gathering *g, const json_t *item, size_t n_trials)
{
	const char *name = hps_json_text(item, "name");

	if (name)
		fact_at(&g->facts->python, name, hps_json_text(item, "version") ?: "version unknown")->n_trials += n_trials;
}

static const struct manifest {
	const char *name;
	void (*take)(struct gathering *g, const json_t *item, size_t n_trials); /* or NULL */
	const char *member; /* whose last part tells the family, or NULL */
} manifests[] = {
	{ "materials", take_material, NULL },
	{ "libraries", take_library, "path" },
	{ "python", take_python, NULL },
	{ "processes", NULL, "program" },
};

static void read_manifest(struct gathering *g, const struct manifest *kind, const char *hex, size_t n_trials)
{
	_cleanup_json_ json_t *manifest = NULL;
	struct hps_digest digest;
	unsigned used = 0;
	const json_t *item;
	size_t i;

	if (!g->objects || hps_digest_parse(hex, &digest) || hps_objects_get_json(g->objects, &digest, &manifest, NULL) < 0) {
		g->facts->n_unreadable++;
		return;
	}
	json_array_foreach(hps_json_at(manifest, "items", NULL), i, item) {
		if (kind->take)
			kind->take(g, item, n_trials);
		if (kind->member)
			used |= family_of(last_part(hps_json_text(item, kind->member)));
	}
	*hps_map_slot(&g->families, hex) = (void *)(uintptr_t)(used + 1);
}

/* Counts first, so that each manifest is read once, with the number of trials that share it. */
static void count_manifests(struct gathering *g, const struct hps_study *s, const struct manifest *kind)
{
	struct hps_map counts = HPS_MAP_INIT;

	for (size_t i = 0; i < s->n_trials; i++) {
		const char *hex = hps_trial_manifest(s->trials[i], kind->name);
		void **slot = hex ? hps_map_slot(&counts, hex) : NULL;

		if (slot)
			*slot = (void *)((uintptr_t)*slot + 1);
	}
	for (size_t i = 0; i < counts.n; i++)
		read_manifest(g, kind, counts.items[i].key, (size_t)(uintptr_t)counts.items[i].value);
	hps_map_release(&counts);
}

static unsigned families_of(const struct gathering *g, const struct hps_trial *t)
{
	unsigned used = 0;

	for (size_t i = 0; i < ARRAY_SIZE(manifests); i++) {
		const char *hex = manifests[i].member ? hps_trial_manifest(t, manifests[i].name) : NULL;
		uintptr_t bits = hex ? (uintptr_t)hps_map_get(&g->families, hex) : 0;

		used |= bits ? (unsigned)(bits - 1) : 0;
	}
	return used;
}

void hps_facts_gather(const struct hps_study *s, struct hps_objects *objects, struct hps_facts *ret)
{
	struct gathering g = { .facts = ret, .objects = objects };
	struct hps_fact_list *lists[N_LISTS];

	*ret = (struct hps_facts){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(manifests); i++)
		count_manifests(&g, s, &manifests[i]);
	for (size_t i = 0; i < s->n_trials; i++) {
		const struct hps_trial *t = s->trials[i];

		if (!t->end || t->state == HPS_STATE_LOST)
			continue;
		ret->n_trials++;
		gather_identities(t, ret);
		gather_gaps(t, ret);
		gather_seeds(t, ret);
		gather_switches(t, families_of(&g, t), ret);
	}
	lists_of(ret, lists);
	for (size_t i = 0; i < N_LISTS; i++)
		list_sort(lists[i]);
	hps_map_release(&g.families);
	hps_map_release(&g.materials);
	hps_map_release(&g.libraries);
}

void hps_facts_release(struct hps_facts *f)
{
	struct hps_fact_list *lists[N_LISTS];

	lists_of(f, lists);
	for (size_t i = 0; i < N_LISTS; i++)
		list_release(lists[i]);
	*f = (struct hps_facts){ 0 };
}
