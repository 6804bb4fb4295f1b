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

static void check_head(struct hps_verifier *v)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	struct hps_digest root;
	uint64_t size;

	if (hps_store_head(v->store, &size, &root, &e))
		problem(v, e.message);
	else if (size < v->found->size)
		hps_problem_add(v, -1, NULL, "ledger.db", "its head is of %llu entries, but %llu are published: it is an older copy", (unsigned long long)size,
				(unsigned long long)v->found->size);
	else if (size == v->found->size && !hps_digest_equal(&root, &v->root))
		problem(v, "its head is not the published root");
}

/* Each checkpoint that was ever signed must be of the tree as it was at that size. */
static void check_signed(struct hps_verifier *v, const struct hps_merkle *tree)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_digest root;
	int r = hps_store_signed(v->store, tree->size, &note, &e);

	if (r == HPS_E_NOTFOUND && tree->size != v->found->size)
		return; /* several entries were appended at once */
	if (!r)
		r = hps_checkpoint_open(note.data, note.len, &v->trust.log, &c, &e);
	hps_merkle_root(tree, &root);
	if (r)
		hps_problem_add(v, -1, NULL, "ledger.db", "its checkpoint of size %llu: %s", (unsigned long long)tree->size, e.message);
	else if (c.size != tree->size || !hps_digest_equal(&c.root, &root))
		hps_problem_add(v, -1, NULL, "ledger.db", "its checkpoint of size %llu is of another tree", (unsigned long long)tree->size);
}

void hps_verify_database(struct hps_verifier *v)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	struct hps_merkle tree = { 0 };

	if (hps_store_check(v->store, &e))
		problem(v, e.message);
	check_head(v);
	if (v->n != v->found->size)
		return;
	check_nodes(v);
	check_signed(v, &tree);
	for (uint64_t i = 0; i < v->n; i++) {
		hps_merkle_add(&tree, &v->hash[i], NULL);
		check_signed(v, &tree);
	}
}
