/* Every output of both runs: the files that they left, and the metrics that they reported. Equal digests are equal bytes; only
 * unequal ones are opened, and what is opened is hashed before it is believed. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct comparer {
	struct hps_objects *objects;
	int root_fd;
	const char *metrics_path;
	const struct hps_tolerance *tolerance, *of_metrics;
	struct hps_outputs *outputs;
};

static struct hps_output *add(struct hps_outputs *o, const char *path, const char *original, const char *rerun)
{
	o->v = hps_grow(o->v, o->n, sizeof *o->v);
	o->v[o->n] = (struct hps_output){ .path = hps_strdup(path),
					  .original = original ? hps_strdup(original) : NULL,
					  .rerun = rerun ? hps_strdup(rerun) : NULL };
	return &o->v[o->n++];
}

/* ---- contents ---- */

/* What was hashed is what is compared: its state is looked at again afterwards. Nobody changes an object of a store, but its times move when somebody
 * else refers to it. */
struct content {
	int fd;
	bool stored;
	struct stat before;
};

static int check(struct content *c, const char *hex, struct hps_error *err)
{
	struct hps_digest recorded, found;
	int r;

	if (fstat(c->fd, &c->before) || !S_ISREG(c->before.st_mode))
		return hps_error_set(err, HPS_E_NOTFOUND, "it is no file");
	if (hps_digest_parse(hex, &recorded))
		return hps_error_set(err, HPS_E_FORMAT, "its digest is none");
	r = hps_digest_fd(c->fd, &found, NULL, err);
	return r || hps_digest_equal(&found, &recorded) ? r : hps_error_set(err, HPS_E_NOTFOUND, "it is no longer what was recorded");
}

static bool has_changed(const struct content *c)
{
	struct stat now;

	if (c->stored)
		return false;
	return fstat(c->fd, &now) || now.st_size != c->before.st_size || now.st_mtim.tv_sec != c->before.st_mtim.tv_sec || now.st_mtim.tv_nsec != c->before.st_mtim.tv_nsec ||
	       now.st_ctim.tv_sec != c->before.st_ctim.tv_sec || now.st_ctim.tv_nsec != c->before.st_ctim.tv_nsec;
}

/* The original's bytes: stored, or still at their place. */
static int open_original(struct comparer *c, const char *path, const char *hex, struct content *ret, struct hps_error *err)
{
	struct hps_digest digest;
	int r;

	if (c->objects && !hps_digest_parse(hex, &digest) && hps_objects_has(c->objects, &digest)) {
		r = hps_objects_open_fd(c->objects, &digest, &ret->fd, NULL, err);
		r = r ? r : check(ret, hex, err);
		ret->stored = !r;
		if (!r)
			return 0;
		hps_error_release(err);
		if (ret->fd >= 0)
			close(ret->fd);
	}
	ret->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (ret->fd < 0)
		return hps_error_set(err, HPS_E_NOTFOUND, "it was not stored");
	r = check(ret, hex, err);
	return r == HPS_E_NOTFOUND ? hps_error_set(err, r, "it was not stored, and what is at its place now is something else") : r;
}

static int open_rerun(struct comparer *c, const char *path, const char *hex, struct content *ret, struct hps_error *err)
{
	ret->fd = hps_rerun_open(c->root_fd, path);
	if (ret->fd < 0)
		return hps_error_set(err, HPS_E_NOTFOUND, "it cannot be opened: %s", strerror(-ret->fd));
	return check(ret, hex, err);
}

static void opaque(struct hps_output *o, const char *whose, const char *why)
{
	hps_comparison_release(&o->comparison);
	o->comparison = (struct hps_comparison){ .verdict = HPS_OUTPUT_OPAQUE, .n_different = 1, .note = hps_format("%s cannot be read: %s", whose, why) };
}

static void compare_contents(struct comparer *c, const char *path, const char *rerun, struct hps_output *o)
{
	struct content a = { .fd = -1 }, b = { .fd = -1 };
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;

	if (open_original(c, path, o->original, &a, &err)) {
		opaque(o, "the original's", err.message);
	} else if (open_rerun(c, rerun, o->rerun, &b, &err)) {
		opaque(o, "the rerun's", err.message);
	} else {
		hps_compare_confined_fds(path, a.fd, b.fd, c->metrics_path && !strcmp(path, c->metrics_path) ? c->of_metrics : c->tolerance, &o->comparison);
		if (has_changed(&a) || has_changed(&b))
			opaque(o, has_changed(&a) ? "the original's" : "the rerun's", "it was changed meanwhile");
	}
	hps_cleanup_fd(&a.fd);
	hps_cleanup_fd(&b.fd);
}

/* ---- products ---- */

/* Where the content differs, too, that is the better first place to name. */
static bool may_open(const struct hps_output *o)
{
	const struct hps_comparison *c = &o->comparison;

	return !o->undecided && o->original && o->rerun && strcmp(o->original, o->rerun) != 0 && (c->verdict == HPS_OUTPUT_OPAQUE || (c->place && (!strcmp(c->place, "mode") || !strcmp(c->place, "link"))));
}

/* Where the rerun's is at another path, that is the same but for stamps: a run named by its time. */
static void compare_product(struct comparer *c, const char *escaped, const json_t *original, const char *other, const json_t *rerun)
{
	struct hps_output *o = add(c->outputs, escaped, original ? hps_product_digest(original) : NULL, rerun ? hps_product_digest(rerun) : NULL);
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT, there = HPS_BUF_INIT;
	struct hps_comparison facts;

	hps_product_compare(original, rerun, c->tolerance->unmasked, o);
	if (!original || !rerun || !may_open(o) || hps_path_unescape(escaped, &path, NULL) || hps_path_unescape(other, &there, NULL) || !path.data || !there.data)
		return;
	facts = o->comparison;
	o->comparison = (struct hps_comparison){ 0 };
	compare_contents(c, path.data, there.data, o);
	if (o->comparison.verdict <= HPS_OUTPUT_WITHIN && facts.place) {
		hps_comparison_release(&o->comparison);
		o->comparison = facts;
	} else {
		hps_comparison_release(&facts);
	}
}

static void index_products(const json_t *products, struct hps_map *ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)products, i, item) {
		const char *path = hps_json_text(item, "path");

		if (path)
			*hps_map_slot(ret, path) = (void *)(uintptr_t)item;
	}
}

/* What only one of them has at a path, by its name without stamps. */
static void pair_rest(struct comparer *c, const struct hps_map *a, const struct hps_map *b)
{
	struct hps_map x = HPS_MAP_INIT, y = HPS_MAP_INIT;

	for (size_t i = 0; i < a->n; i++)
		if (!hps_map_get(b, a->items[i].key))
			hps_mask_pair(&x, a->items[i].key, c->tolerance->unmasked);
	for (size_t i = 0; i < b->n; i++)
		if (!hps_map_get(a, b->items[i].key))
			hps_mask_pair(&y, b->items[i].key, c->tolerance->unmasked);
	for (size_t i = 0; i < x.n; i++) {
		const char *own = x.items[i].value, *other = hps_map_get(&y, x.items[i].key);

		compare_product(c, own, hps_map_get(a, own), other, other ? hps_map_get(b, other) : NULL);
		if (other)
			hps_mask_name_noted(&c->outputs->v[c->outputs->n - 1].comparison, other);
	}
	for (size_t i = 0; i < y.n; i++)
		if (!hps_map_get(&x, y.items[i].key))
			compare_product(c, y.items[i].value, NULL, y.items[i].value, hps_map_get(b, y.items[i].value));
	hps_map_release(&x);
	hps_map_release(&y);
}

static void compare_files(struct comparer *c, const json_t *original, const json_t *rerun)
{
	struct hps_map a = HPS_MAP_INIT, b = HPS_MAP_INIT;

	index_products(original, &a);
	index_products(rerun, &b);
	for (size_t i = 0; i < a.n; i++)
		if (hps_map_get(&b, a.items[i].key))
			compare_product(c, a.items[i].key, a.items[i].value, a.items[i].key, hps_map_get(&b, a.items[i].key));
	pair_rest(c, &a, &b);
	hps_map_release(&a);
	hps_map_release(&b);
}

/* ---- metrics ---- */

static int metrics_tree(const json_t *metrics, struct hps_tree *ret, struct hps_error *err)
{
	const json_t *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)metrics, name, value) {
		const char *text = json_string_value(value);
		struct hps_token t = { text ? text : "", text ? strlen(text) : 0 };
		int r;

		if (t.len && hps_number_length(t.text, t.len) == t.len)
			r = hps_tree_add_numbers(ret, name, true, &t, 1, err);
		else
			r = hps_tree_add_text(ret, name, HPS_TEXT_STRING, t.text, t.len, err);
		if (r)
			return r;
	}
	return 0;
}

static int compare_metrics(struct comparer *c, const json_t *original, const json_t *rerun, struct hps_error *err)
{
	_cleanup_tree_ struct hps_tree a = HPS_TREE_INIT, b = HPS_TREE_INIT;
	struct hps_output *o;
	int r;

	if (!json_object_size(original) && !json_object_size(rerun))
		return 0;
	r = metrics_tree(original, &a, err);
	r = r ? r : metrics_tree(rerun, &b, err);
	if (r)
		return hps_error_prefix(err, "comparing the metrics");
	o = add(c->outputs, "metrics", NULL, NULL);
	o->comparison.format = "metrics";
	if (json_equal(original, rerun))
		o->comparison.verdict = HPS_OUTPUT_IDENTICAL;
	else
		hps_compare_trees(&a, &b, c->of_metrics, &o->comparison);
	return 0;
}

int hps_outputs_compare(const struct hps_original *o, const struct hps_entry *rerun, const json_t *products, int root_fd,
			const struct hps_tolerance *tolerance, const struct hps_map *metric_tolerances, struct hps_outputs *ret,
			struct hps_error *err)
{
	struct hps_tolerance of_metrics = *tolerance;
	struct comparer c = { .objects = o->objects,
			      .root_fd = root_fd,
			      .metrics_path = o->metrics_path,
			      .tolerance = tolerance,
			      .of_metrics = &of_metrics,
			      .outputs = ret };
	int r;

	of_metrics.values = metric_tolerances;
	if (!tolerance->declared && !tolerance->by_place)
		of_metrics.by_place = metric_tolerances;
	compare_files(&c, o->products, products);
	r = compare_metrics(&c, hps_json_at(o->trial.statement, "predicate", "metrics", NULL), hps_json_at(rerun->statement, "predicate", "metrics", NULL), err);
	hps_withheld_hide_outputs(o, ret);
	return r;
}
