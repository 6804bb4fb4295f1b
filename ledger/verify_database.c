/* Verification of ledger.db: it proves nothing, but what it says must be what is published. Rows that are ahead of the
 * checkpoint are a writer's, at work or killed, and are left to the next one. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

static void problem(struct hps_verifier *v, const char *what)
{
	hps_problem_add(v, -1, NULL, "ledger.db", "%s", what);
}

static void failed(struct hps_verifier *v, const char *doing, const struct hps_error *e)
{
	hps_problem_add_error(v, -1, NULL, "ledger.db", doing, e);
}

void hps_verify_database_row(struct hps_store *s, const struct hps_row *row, struct hps_problems *problems)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	char id[HPS_DIGEST_HEX];

	if (!hps_store_compare(s, row, &e))
		return;
	hps_digest_hex(&row->id, id);
	hps_problems_add_error(problems, (int64_t)row->index, id, "ledger.db", NULL, &e);
}

/* ---- tree nodes, which come level by level ---- */

struct tree {
	struct hps_verifier *v;
	unsigned level;
	uint64_t n;	/* nodes of that level, in v->hash */
	uint64_t left;	/* of those that must be there */
};

/* The hashes of a level take the place of those below: nobody wants them any more. */
static void climb(struct tree *t)
{
	struct hps_digest *hash = t->v->hash;

	t->n /= 2;
	t->level++;
	for (uint64_t i = 0; i < t->n; i++)
		hps_merkle_node(&hash[2 * i], &hash[2 * i + 1], &hash[i]);
}

static int check_node(void *arg, unsigned level, uint64_t n, const struct hps_digest *hash)
{
	struct tree *t = arg;

	while (t->level < level && t->n)
		climb(t);
	if (level != t->level || n >= t->n)
		return 0;
	t->left--;
	if (!hps_digest_equal(hash, &t->v->hash[n]))
		hps_problem_add(t->v, (int64_t)(n << level), NULL, "ledger.db", "tree node %llu of level %u differs from the published entries", (unsigned long long)n, level);
	return 0;
}

static void check_nodes(struct hps_verifier *v)
{
	struct tree t = { .v = v, .n = v->n };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	for (uint64_t n = v->n; n; n /= 2)
		t.left += n;
	if (hps_store_each_node(v->own.store, check_node, &t, &e))
		failed(v, NULL, &e);
	else if (t.left)
		problem(v, "tree nodes are missing");
}

/* Its checkpoint is what the next writer publishes when one was killed: it must be a good one, also when it is ahead. */
static void check_note(struct hps_verifier *v, uint64_t size, const struct hps_digest *root, const struct hps_buf *note)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	if (hps_checkpoint_open(note->data, note->len, &v->trust.log, &c, &e))
		failed(v, "its checkpoint", &e);
	else if (c.size != size || !hps_digest_equal(&c.root, root))
		problem(v, "its checkpoint is of another tree than its head");
}

static void check_head(struct hps_verifier *v)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_digest root;
	uint64_t size;

	if (hps_store_head(v->own.store, &size, &root, &note, &e)) {
		failed(v, NULL, &e);
		return;
	}
	if (size < v->found->size)
		hps_problem_add(v, -1, NULL, "ledger.db", "its head is of %llu entries, but %llu are published: it is an older copy", (unsigned long long)size,
				(unsigned long long)v->found->size);
	else if (size == v->found->size && !hps_digest_equal(&root, &v->root))
		problem(v, "its head is not the published root");
	check_note(v, size, &root, &note);
}

/* ---- the whole ---- */

static void check_structure(void *arg, void *job, unsigned thread)
{
	struct hps_verifier *v = arg;
	struct hps_store *s = NULL;

	(void)job;
	(void)thread;
	if (!hps_store_open(v->database, HPS_STORE_READ, &s, &v->structure_error))
		(void)!hps_store_check(s, &v->structure_error);
	hps_store_close(s);
}

static void ignore(void *arg, void *job)
{
	(void)arg;
	(void)job;
}

/* It takes SQLite one thread and, of a large one, as long as all signatures take the others. */
void hps_verify_database_begin(struct hps_verifier *v)
{
	if (v->options->skip_bodies)
		return;
	v->structure = hps_pool_new(&(const struct hps_work){ check_structure, ignore, v }, v->n_threads > 1 ? 2 : 1);
	hps_pool_add(v->structure, NULL);
}

void hps_verify_database(struct hps_verifier *v)
{
	hps_pool_free(v->structure);
	v->structure = NULL;
	if (v->structure_error.code)
		failed(v, NULL, &v->structure_error);
	check_head(v);
	if (v->n == v->found->size)
		check_nodes(v);
}
