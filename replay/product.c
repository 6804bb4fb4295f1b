/* What a run left at a path, or that it left nothing. Of a file's content only the digest is looked at here; outputs.c opens what
 * differs. Times and owners are recorded and not compared: times differ by their nature, and a rerun has one user. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>

static const char *deleted(const json_t *product)
{
	return hps_item_deleted(product) ? "deleted" : "left";
}

static const char *type(const json_t *product)
{
	return hps_json_text(product, "type");
}

static const char *target(const json_t *product)
{
	return hps_json_text(product, "target");
}

static const char *mode(const json_t *product)
{
	return hps_json_text(product, "mode");
}

static const char *link_of(const json_t *product)
{
	const char *link = hps_json_text(product, "link");

	return link ? link : "";
}

static bool is_unreadable(const json_t *product)
{
	const char *state = hps_json_text(product, "state");

	return state && !strcmp(state, "unreadable");
}

static bool sets_extended(const json_t *product)
{
	const json_t *name, *set = hps_json_at(product, "set", NULL);
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)set, i, name)
		if (json_is_string(name) && !strcmp(json_string_value(name), "extended"))
			return true;
	return false;
}

/* Attributes and digests of their values; a record that is older has none. */
static bool same_extended(const json_t *original, const json_t *rerun)
{
	const json_t *a = hps_json_at(original, "extended", NULL), *b = hps_json_at(rerun, "extended", NULL);

	return a && b && json_equal(a, b);
}

/* In the order in which a difference matters: where the first ones differ the rest means nothing. */
static const struct aspect {
	const char *place;
	const char *(*of)(const json_t *product);
	enum hps_output_verdict differs;
} aspects[] = {
	{ "state", deleted, HPS_OUTPUT_STRUCTURE },
	{ "type", type, HPS_OUTPUT_STRUCTURE },
	{ "target", target, HPS_OUTPUT_DIVERGED },
	{ "mode", mode, HPS_OUTPUT_DIVERGED },
	{ "link", link_of, HPS_OUTPUT_DIVERGED },
};

static bool same(const struct aspect *a, const json_t *original, const json_t *rerun)
{
	const char *was = a->of(original), *is = a->of(rerun);

	return was && is ? !strcmp(was, is) : was == is;
}

static void differ(const struct aspect *a, const json_t *original, const json_t *rerun, struct hps_comparison *c)
{
	const char *was = a->of(original), *is = a->of(rerun);

	*c = (struct hps_comparison){ .verdict = a->differs,
				      .n_different = 1,
				      .place = hps_strdup(a->place),
				      .original = hps_strdup(was ? was : "not recorded"),
				      .rerun = hps_strdup(is ? is : "not recorded") };
}

static void undecided(struct hps_output *o, const char *why)
{
	o->undecided = true;
	o->comparison.verdict = HPS_OUTPUT_OPAQUE;
	o->comparison.note = hps_strdup(why);
}

static void differ_extended(const json_t *original, const json_t *rerun, struct hps_output *o)
{
	if (!hps_json_at(original, "extended", NULL) || !hps_json_at(rerun, "extended", NULL)) {
		undecided(o, "its extended attributes were set, and their values are not recorded");
		return;
	}
	o->comparison = (struct hps_comparison){ .verdict = HPS_OUTPUT_DIVERGED, .n_different = 1, .place = hps_strdup("extended attributes"),
						 .original = hps_strdup("one value"), .rerun = hps_strdup("another") };
}

/* Equal tags are equal contents; others may be of another ledger's key. */
static void compare_withheld(const char *was, const char *is, struct hps_output *o)
{
	if (!strcmp(was, is))
		o->comparison.verdict = HPS_OUTPUT_IDENTICAL;
	else
		undecided(o, "its content is withheld as a secret, and its tag is another");
}

/* What was there when the trial first opened it; NULL: nothing. */
static const char *before(const json_t *product)
{
	const char *tag = hps_json_text(product, "beforeTag");

	return tag ? tag : hps_item_before(product);
}

static bool began_alike(const json_t *product, const json_t *rerun)
{
	const char *was = before(product), *is = before(rerun);

	return !was || !is || !strcmp(was, is);
}

static void compare_content(const json_t *product, const json_t *rerun, struct hps_output *o)
{
	const char *is = type(product) ? type(product) : "", *tag = hps_json_text(product, "digestTag"), *its = hps_json_text(rerun, "digestTag");

	if (!strcmp(is, "file") && tag && its)
		compare_withheld(tag, its, o);
	else if (!strcmp(is, "file") && (!o->original || !o->rerun))
		undecided(o, "its content was not recorded");
	else if (!strcmp(is, "file") && strcmp(o->original, o->rerun) && !began_alike(product, rerun))
		undecided(o, "what it held before the trial is not what it held before the rerun");
	else if (!strcmp(is, "file"))
		o->comparison.verdict = strcmp(o->original, o->rerun) ? HPS_OUTPUT_OPAQUE : HPS_OUTPUT_IDENTICAL;
	else if (strcmp(is, "directory") != 0 && strcmp(is, "symlink") != 0)
		undecided(o, "neither file, directory nor link: what it is was not recorded");
}

/* A link to a run that is named by its time (runs/latest). */
static bool is_stamp(const struct aspect *a, const json_t *original, const json_t *rerun, unsigned unmasked)
{
	const char *was = a->of(original), *is = a->of(rerun);
	_cleanup_free_ char *x = was ? hps_mask_path(was) : NULL, *y = is ? hps_mask_path(is) : NULL;

	return a->of == target && x && y && !strcmp(x, y) && hps_mask_names(unmasked);
}

void hps_product_compare(const json_t *original, const json_t *rerun, unsigned unmasked, struct hps_output *o)
{
	const json_t *only = original ? original : rerun;

	if ((!original || !rerun) && is_unreadable(only)) {
		undecided(o, "the way to it was closed in one of the runs: whether it was changed is not known");
		return;
	}
	if (!original || !rerun) {
		o->comparison.verdict = original ? HPS_OUTPUT_MISSING : HPS_OUTPUT_EXTRA;
		o->comparison.note = hps_format("%s: %s%s", type(only) ? type(only) : "unknown", original ? "the rerun did not " : "only the rerun ",
						!strcmp(deleted(only), "deleted") ? (original ? "delete it" : "deleted it") : (original ? "make it" : "made it"));
		return;
	}
	if (is_unreadable(original) || is_unreadable(rerun)) {
		undecided(o, "the way to it was closed: what it is was not recorded");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(aspects); i++)
		if (!same(&aspects[i], original, rerun)) {
			if (is_stamp(&aspects[i], original, rerun, unmasked)) {
				hps_mask_name_noted(&o->comparison, target(rerun));
				continue;
			}
			differ(&aspects[i], original, rerun, &o->comparison);
			return;
		}
	if (!strcmp(deleted(original), "deleted"))
		return;
	if ((sets_extended(original) || sets_extended(rerun)) && !same_extended(original, rerun))
		differ_extended(original, rerun, o);
	else
		compare_content(original, rerun, o);
}
