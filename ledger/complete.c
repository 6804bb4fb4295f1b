/* Completeness of a study: whether the ledger holds everything that was handed out, ended, and nothing else. docs/FORMATS.md
 * ("urn:hps:search:v1") has what the entries say; here they are only counted, and compared with what the closing entry says. */
#include "ledger/ledger.h"

#include "core/redact.h"

#include <stdlib.h>
#include <string.h>

#define HOLES_MAX 1000
#define NUMBERS_MAX ((uint64_t)1 << 24)

/* ---- the tree of a study ---- */

static int add_id(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct hps_merkle *tree = arg;
	struct hps_digest id, leaf;
	int r = hps_digest_parse(e->id, &id);

	(void)err;
	hps_merkle_leaf(id.b, sizeof id.b, &leaf);
	hps_merkle_add(tree, &leaf, NULL);
	return r;
}

int hps_study_tree(struct hps_ledger *l, const char *study, uint64_t *ret_n, char ret_root[HPS_DIGEST_HEX], struct hps_error *err)
{
	struct hps_filter filter = HPS_FILTER_ANY;
	struct hps_merkle tree = { 0 };
	struct hps_digest root;
	int r;

	filter.study = study;
	r = hps_ledger_each(l, &filter, add_id, &tree, err);
	if (r)
		return r;
	hps_merkle_root(&tree, &root);
	hps_digest_hex(&root, ret_root);
	*ret_n = tree.size;
	return 0;
}

/* ---- what there is of each number ---- */

struct number {
	unsigned n_commits, n_begins, n_trials, n_results;
	char trial[HPS_DIGEST_HEX]; /* the first, after the commit */
	struct hps_digest handed_out; /* its parameters and its command */
	char *state, *result_state, *result_trial;
};

struct study {
	struct hps_completeness *found;
	struct hps_merkle tree; /* of the entries so far */
	struct number *numbers;
	uint64_t n_numbers, budget;
	struct hps_map begins;	/* id to its number + 1; NULL: it has ended */
	uint64_t counts[4];
	int64_t register_index, stop_index;
	uint64_t last_index;
	bool stopped, closed;
	struct hps_ledger *l;
};

static const char *const states[] = { "complete", "failed", "killed", "lost" };

static void hole(struct study *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void hole(struct study *s, const char *format, ...)
{
	char *text;
	va_list ap;

	s->found->n_holes++;
	if (s->found->holes.n == HOLES_MAX)
		return;
	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		abort();
	va_end(ap);
	hps_strv_add_take(&s->found->holes, text);
}

static const json_t *predicate(const struct hps_entry *e)
{
	return json_object_get(e->statement, "predicate");
}

static struct number *number_of(struct study *s, const struct hps_entry *e)
{
	if (e->number < 0 || (uint64_t)e->number >= s->n_numbers) {
		hole(s, "entry @%llu (%s) is of number %lld, which the study never has", (unsigned long long)e->index, e->kind, (long long)e->number);
		return NULL;
	}
	return &s->numbers[e->number];
}

/* Of parameters and command, as a commit and as a begin entry have them. */
static void digest_of_run(const struct hps_entry *e, struct hps_digest *ret)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	const json_t *p = predicate(e), *params = json_object_get(p, "params"), *command = json_object_get(p, "command");
	_cleanup_json_ json_t *both = json_object();

	hps_json_set(both, "params", params ? hps_redact_untagged(params) : json_object());
	hps_json_set(both, "command", command ? hps_redact_untagged(command) : json_null());
	if (hps_json_canonical(both, &text, NULL))
		hps_buf_reset(&text);
	hps_digest_of(text.data ? text.data : "", text.len, ret);
}

/* ---- search entries ---- */

static void take_register(struct study *s, const struct hps_entry *e)
{
	int64_t budget = hps_json_int(json_object_get(json_object_get(predicate(e), "spec"), "budget"), "trials", -1);

	if (*s->found->registered) {
		hole(s, "entry @%llu registers the study once more", (unsigned long long)e->index);
		return;
	}
	snprintf(s->found->registered, sizeof s->found->registered, "%s", e->id);
	s->register_index = (int64_t)e->index;
	if (budget < 0 || (uint64_t)budget > NUMBERS_MAX) {
		hole(s, "entry @%llu registers the study without a number of trials", (unsigned long long)e->index);
		return;
	}
	s->n_numbers = (uint64_t)budget;
	s->numbers = hps_alloc((s->n_numbers + 1) * sizeof *s->numbers);
}

static void take_result(struct study *s, const struct hps_entry *e, struct number *n)
{
	const char *state = hps_json_text(predicate(e), "state"), *trial = hps_json_text(predicate(e), "trial");

	if (n->n_results++) {
		hole(s, "entry @%llu is a second result of number %lld", (unsigned long long)e->index, (long long)e->number);
		return;
	}
	n->result_state = hps_strdup(state ? state : "");
	n->result_trial = hps_strdup(trial ? trial : "");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		s->counts[i] += !strcmp(n->result_state, states[i]);
}

/* The closing entry's count and root are of the study's entries before it. */
static void take_stop(struct study *s, const struct hps_entry *e)
{
	const json_t *p = predicate(e), *counts = json_object_get(p, "counts");
	const char *reason = hps_json_text(p, "reason"), *root = hps_json_text(p, "root");
	struct hps_digest is;
	char hex[HPS_DIGEST_HEX];

	s->stopped = true;
	s->stop_index = (int64_t)e->index;
	s->closed = reason && !strcmp(reason, "budget");
	if (!s->closed) /* trials may still be going on, and be resumed */
		return;
	hps_merkle_root(&s->tree, &is);
	hps_digest_hex(&is, hex);
	if (!root)
		hole(s, "entry @%llu stops the study without a root over its entries: an older version wrote it", (unsigned long long)e->index);
	else if (hps_json_int(p, "entries", -1) != (int64_t)s->tree.size || strcmp(root, hex) != 0)
		hole(s, "entry @%llu stops the study after %lld entries with root %.12s…, but there are %llu with root %.12s…", (unsigned long long)e->index,
		     (long long)hps_json_int(p, "entries", -1), root, (unsigned long long)s->tree.size, hex);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		if (hps_json_int(counts, states[i], -1) != (int64_t)s->counts[i])
			hole(s, "entry @%llu counts %lld trials as %s, but %llu are", (unsigned long long)e->index, (long long)hps_json_int(counts, states[i], -1), states[i],
			     (unsigned long long)s->counts[i]);
}

static void take_search(struct study *s, const struct hps_entry *e)
{
	const char *event = e->event ? e->event : "";
	struct number *n;

	if (!strcmp(event, "register")) {
		take_register(s, e);
	} else if (!strcmp(event, "stop")) {
		take_stop(s, e);
	} else if (!strcmp(event, "commit")) {
		n = number_of(s, e);
		if (n && !n->n_commits)
			digest_of_run(e, &n->handed_out);
		if (n && n->n_commits++)
			hole(s, "entry @%llu hands out number %lld a second time", (unsigned long long)e->index, (long long)e->number);
	} else if (!strcmp(event, "result")) {
		n = number_of(s, e);
		if (n)
			take_result(s, e, n);
	}
}

/* ---- what ran ---- */

static void take_begin(struct study *s, const struct hps_entry *e)
{
	struct number *n = number_of(s, e);
	struct hps_digest run;

	if (!n)
		return;
	digest_of_run(e, &run);
	*hps_map_slot(&s->begins, e->id) = (void *)((uintptr_t)e->index + 1);
	n->n_begins++;
	if (!n->n_commits)
		hole(s, "entry @%llu begins number %lld before it was handed out", (unsigned long long)e->index, (long long)e->number);
	else if (!hps_digest_equal(&run, &n->handed_out))
		hole(s, "entry @%llu begins number %lld with other parameters, or another command, than were handed out", (unsigned long long)e->index,
		     (long long)e->number);
	if (n->n_trials)
		hole(s, "entry @%llu begins number %lld again after it had a record", (unsigned long long)e->index, (long long)e->number);
}

static void take_end(struct study *s, const struct hps_entry *e)
{
	struct number *n = number_of(s, e);
	void **begin = e->begin ? hps_map_find(&s->begins, e->begin) : NULL;
	const char *state = hps_json_text(predicate(e), "state");

	if (!n)
		return;
	if (!begin || (!*begin && strcmp(e->kind, "lost") == 0))
		hole(s, "entry @%llu (%s) ends what did not begin, or had ended", (unsigned long long)e->index, e->kind);
	else
		*begin = NULL;
	if (strcmp(e->kind, "trial") != 0)
		return;
	if (n->n_trials++) {
		hole(s, "entry @%llu is a second record of number %lld", (unsigned long long)e->index, (long long)e->number);
		return;
	}
	memcpy(n->trial, e->id, sizeof n->trial);
	n->state = hps_strdup(state ? state : "");
}

static int take_entry(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct study *s = arg;

	(void)err;
	s->last_index = e->index;
	if (s->closed)
		hole(s, "entry @%llu (%s) came after the study was closed", (unsigned long long)e->index, e->kind);
	else if (!*s->found->registered && (strcmp(e->kind, "search") != 0 || !e->event || strcmp(e->event, "register") != 0))
		hole(s, "entry @%llu (%s) came before the study was registered", (unsigned long long)e->index, e->kind);
	else if (!strcmp(e->kind, "search"))
		take_search(s, e);
	else if (!strcmp(e->kind, "begin"))
		take_begin(s, e);
	else if (!strcmp(e->kind, "trial") || !strcmp(e->kind, "lost"))
		take_end(s, e);
	return add_id(e, &s->tree, err);
}

/* ---- the whole ---- */

static void check_number(struct study *s, uint64_t i)
{
	const struct number *n = &s->numbers[i];
	unsigned long long k = i;

	if (!n->n_commits)
		hole(s, "number %llu was never handed out", k);
	else if (!n->n_results)
		hole(s, "number %llu was handed out and has no result%s", k, n->n_trials ? ", though it has a record" : n->n_begins ? ", though it began" : "");
	else if (!strcmp(n->result_state, "lost") ? n->n_trials : strcmp(n->result_trial, n->trial) != 0 || strcmp(n->result_state, n->state ? n->state : "") != 0)
		hole(s, "the result of number %llu is not what its record says", k);
}

/* Nobody can tell any more whose entry it was. */
static int take_withdrawal(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct study *s = arg;
	struct hps_digest id;
	uint64_t index;
	size_t n;
	int r = hps_digest_parse(hps_json_text(predicate(e), "withdrawn"), &id);

	if (r)
		return 0;
	r = hps_store_by_prefix(s->l->store, &id, &id, INT64_MAX, &index, 1, &n, err);
	if (!r && n && (int64_t)index >= s->register_index && (!s->closed || (int64_t)index <= s->stop_index))
		hole(s, "entry @%llu was withdrawn, and may have been of this study", (unsigned long long)index);
	return r;
}

/* A published copy has nothing at all of such an entry. */
static int take_gaps(struct study *s, struct hps_error *err)
{
	uint64_t end = s->closed ? (uint64_t)s->stop_index + 1 : s->l->size;
	_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT;
	struct hps_digest id;

	for (uint64_t i = (uint64_t)s->register_index; !s->l->has_database && i < end; i++) {
		int r = hps_store_leaf(s->l->store, i, &id, &leaf, NULL);

		hps_buf_reset(&leaf);
		if (r == HPS_E_NOTFOUND)
			hole(s, "entry @%llu was withdrawn, and may have been of this study", (unsigned long long)i);
		else if (r)
			return hps_error_set(err, r, "reading entry %llu", (unsigned long long)i);
	}
	return 0;
}

static void check_study(struct study *s)
{
	if (!*s->found->registered)
		hole(s, "the study is not registered here");
	for (uint64_t i = 0; i < s->n_numbers; i++)
		check_number(s, i);
	for (size_t i = 0; i < s->begins.n; i++)
		if (s->begins.items[i].value)
			hole(s, "entry @%llu begins a trial that has no end", (unsigned long long)((uintptr_t)s->begins.items[i].value - 1));
	if (!s->stopped)
		hole(s, "the study has not been closed");
	else if (!s->closed)
		hole(s, "the study was stopped at entry @%lld before its budget was used", (long long)s->stop_index);
}

static void release(struct study *s)
{
	for (uint64_t i = 0; i < s->n_numbers; i++) {
		free(s->numbers[i].state);
		free(s->numbers[i].result_state);
		free(s->numbers[i].result_trial);
	}
	free(s->numbers);
	hps_map_release(&s->begins);
}

void hps_completeness_release(struct hps_completeness *c)
{
	hps_strv_release(&c->holes);
}

int hps_study_complete(struct hps_ledger *l, const char *study, struct hps_completeness *ret, struct hps_error *err)
{
	struct study s = { .found = ret, .l = l };
	struct hps_filter filter = HPS_FILTER_ANY, withdrawals = HPS_FILTER_ANY;
	int r;

	*ret = (struct hps_completeness){ .holes = HPS_STRV_INIT };
	filter.study = study;
	r = hps_ledger_each(l, &filter, take_entry, &s, err);
	if (!r && !s.tree.size)
		r = hps_error_set(err, HPS_E_NOTFOUND, "no entry of a study '%s'; 'hps-ledger list' shows what there is", study);
	withdrawals.kind = "withdraw";
	if (!r)
		r = hps_ledger_each(l, &withdrawals, take_withdrawal, &s, err);
	if (!r)
		r = take_gaps(&s, err);
	if (!r)
		check_study(&s);
	ret->n_entries = s.tree.size;
	ret->last_index = s.last_index;
	ret->n_numbers = s.n_numbers;
	memcpy(ret->counts, s.counts, sizeof ret->counts);
	release(&s);
	return r;
}
