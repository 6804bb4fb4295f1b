/* Verification of ledger.db: it proves nothing, but what it says must be what is published. Rows that are ahead of the
 * checkpoint are a writer's, at work or killed, and are left to the next one. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

static void problem(struct hps_verifier *v, const char *what)
{
	hps_problem_add(v, -1, NULL, "ledger.db", "%s", what);
}

void hps_verify_database_row(struct hps_verifier *v, const struct hps_row *row)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	char id[HPS_DIGEST_HEX];

	if (!v->store || !hps_store_compare(v->store, row, &e))
		return;
	hps_digest_hex(&row->id, id);
	hps_problem_add(v, (int64_t)row->index, id, "ledger.db", "%s", e.message);
}

struct tree {
	struct hps_digest *level[HPS_MERKLE_LEVELS];
	uint64_t n[HPS_MERKLE_LEVELS], expected, seen;
	struct hps_verifier *v;
};

static void build(struct hps_verifier *v, struct tree *t)
{
	t->v = v;
	t->level[0] = v->hash;
	t->n[0] = t->expected = v->n;
	for (unsigned l = 1; l < HPS_MERKLE_LEVELS && t->n[l - 1] > 1; l++) {
		t->n[l] = t->n[l - 1] / 2;
		t->expected += t->n[l];
		t->level[l] = hps_alloc(t->n[l] * sizeof **t->level);
		for (uint64_t i = 0; i < t->n[l]; i++)
			hps_merkle_node(&t->level[l - 1][2 * i], &t->level[l - 1][2 * i + 1], &t->level[l][i]);
	}
}

static int check_node(void *arg, unsigned level, uint64_t n, const struct hps_digest *hash)
{
	struct tree *t = arg;

	if (level >= HPS_MERKLE_LEVELS || n >= t->n[level])
		return 0;
	t->seen++;
	if (!hps_digest_equal(hash, &t->level[level][n]))
		hps_problem_add(t->v, (int64_t)(n << level), NULL, "ledger.db", "tree node %llu of level %u differs from the published entries", (unsigned long long)n, level);
	return 0;
}

static void check_nodes(struct hps_verifier *v)
{
	struct tree t = { 0 };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	build(v, &t);
	if (hps_store_each_node(v->store, check_node, &t, &e))
		problem(v, e.message);
	else if (t.seen != t.expected)
		problem(v, "tree nodes are missing");
	for (unsigned l = 1; l < HPS_MERKLE_LEVELS; l++)
		free(t.level[l]);
}

/* Its checkpoint is what the next writer publishes when one was killed: it must be a good one, also when it is ahead. */
static void check_note(struct hps_verifier *v, uint64_t size, const struct hps_digest *root, const struct hps_buf *note)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	if (hps_checkpoint_open(note->data, note->len, &v->trust.log, &c, &e))
		hps_problem_add(v, -1, NULL, "ledger.db", "its checkpoint: %s", e.message);
	else if (c.size != size || !hps_digest_equal(&c.root, root))
		problem(v, "its checkpoint is of another tree than its head");
}

static void check_head(struct hps_verifier *v)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_digest root;
	uint64_t size;

	if (hps_store_head(v->store, &size, &root, &note, &e)) {
		problem(v, e.message);
		return;
	}
	if (size < v->found->size)
		hps_problem_add(v, -1, NULL, "ledger.db", "its head is of %llu entries, but %llu are published: it is an older copy", (unsigned long long)size,
				(unsigned long long)v->found->size);
	else if (size == v->found->size && !hps_digest_equal(&root, &v->root))
		problem(v, "its head is not the published root");
	check_note(v, size, &root, &note);
}

void hps_verify_database(struct hps_verifier *v)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	if (!v->options->skip_bodies && hps_store_check(v->store, &e))
		problem(v, e.message);
	check_head(v);
	if (v->n == v->found->size)
		check_nodes(v);
}
