/* Rules over the ledger as a whole. What the tree, the signatures and the objects say comes from hps_ledger_verify(); the
 * begin counters are ours to check. */
#include "audit/audit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void hps_rule_signatures(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)m;
	f->n_checked = v->size;
	for (size_t i = 0; i < v->n_problems; i++) {
		const struct hps_problem *p = &v->problems[i];

		if (hps_problem_area(p) == HPS_AREA_SIGNATURE)
			hps_finding_fail_at(f, p->index, p->id, p->what);
	}
}

/* ---- INT-02 */

struct counter {
	const char *keyid;
	int64_t value;
	const struct hps_entry *entry;
};

static int compare_counters(const void *a, const void *b)
{
	const struct counter *x = a, *y = b;
	int by_key = strcmp(x->keyid, y->keyid);

	if (by_key)
		return by_key;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->entry->index < y->entry->index ? -1 : x->entry->index > y->entry->index;
}

static size_t collect_counters(const struct hps_model *m, struct counter **ret)
{
	size_t n = 0;

	*ret = NULL;
	for (size_t i = 0; i < m->n_entries; i++) {
		const struct hps_entry *e = &m->entries[i];

		if (!e->kind || strcmp(e->kind, "begin"))
			continue;
		*ret = hps_grow(*ret, n, sizeof(**ret));
		(*ret)[n++] = (struct counter){ e->keyid ?: "", hps_json_int(hps_predicate(e), "counter", -1), e };
	}
	if (n)
		qsort(*ret, n, sizeof(**ret), compare_counters);
	return n;
}

#define COUNTER_MAX ((int64_t)1 << 53) /* no integer in a signed statement is larger */

static void judge_counter(const struct counter *c, int64_t expected, struct hps_finding *f)
{
	if (c->value < 0 || c->value > COUNTER_MAX)
		hps_finding_fail(f, c->entry, "this begin entry has no counter");
	else if (c->value < expected)
		hps_finding_fail(f, c->entry, "begin counter %" PRId64 " is there twice", c->value);
	else if (c->value == expected + 1)
		hps_finding_fail(f, c->entry, "begin counter %" PRId64 " is missing before this one", expected);
	else if (c->value > expected)
		hps_finding_fail(f, c->entry, "begin counters %" PRId64 " to %" PRId64 " are missing before this one", expected, c->value - 1);
}

void hps_rule_tree(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	_cleanup_free_ struct counter *counters = NULL;
	size_t n = collect_counters(m, &counters);
	int64_t expected = 0;

	f->n_checked = v->size;
	for (size_t i = 0; i < v->n_problems; i++) {
		const struct hps_problem *p = &v->problems[i];

		if (hps_problem_area(p) == HPS_AREA_TREE)
			hps_finding_fail_at(f, p->index, p->id, p->what);
	}
	for (size_t i = 0; i < n; i++) {
		if (!i || strcmp(counters[i].keyid, counters[i - 1].keyid) != 0)
			expected = 0;
		judge_counter(&counters[i], expected, f);
		if (counters[i].value >= expected && counters[i].value <= COUNTER_MAX)
			expected = counters[i].value + 1;
	}
}

/* ---- INT-03 */

/* What the trust file leaves open nobody vouches for yet: that is unknown, not wrong. */
void hps_rule_witnessed(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	_cleanup_free_ char *lacks = hps_verification_lacks(v);

	(void)m;
	if (!v->asks_witnesses && !lacks)
		return;
	f->n_checked = v->size;
	if (lacks && (v->closed || v->unwitnessed == HPS_E_FALSE))
		hps_finding_fail(f, NULL, "%s", lacks);
	else if (lacks)
		hps_finding_unknown(f, NULL, "%s", lacks);
}

/* ---- INT-04, INT-07 */

static bool named_already(const struct hps_finding *f, uint64_t index)
{
	for (size_t i = 0; i < f->n_offenders; i++)
		if (f->offenders[i].index == (int64_t)index)
			return true;
	return false;
}

void hps_rule_unaltered(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	f->n_checked = v->size;
	for (size_t i = 0; i < v->n_problems; i++) {
		const struct hps_problem *p = &v->problems[i];

		if (hps_problem_area(p) == HPS_AREA_ENTRY)
			hps_finding_fail_at(f, p->index, p->id, p->what);
	}
	for (size_t i = 0; i < m->n_unread; i++)
		if (!named_already(f, m->unread[i].index))
			hps_finding_fail_at(f, (int64_t)m->unread[i].index, NULL, m->unread[i].why);
}

void hps_rule_objects(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)m;
	f->n_checked = v->n_objects;
	if (!v->objects_checked)
		hps_finding_unknown(f, NULL, "the content store is not at hand: this may be a published copy");
	for (size_t i = 0; i < v->n_problems; i++) {
		const struct hps_problem *p = &v->problems[i];

		if (hps_problem_area(p) != HPS_AREA_OBJECT)
			continue;
		hps_finding_check(f);
		hps_finding_fail_at(f, p->index, p->id, p->what);
	}
}
