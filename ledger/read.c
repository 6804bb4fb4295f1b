/* Reading entries back: by index, by id, by what they say. Everything that leaves here has been hashed: the envelope gives the
 * id, the leaf holds the id. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 256 /* indexes fetched at once: no statement of the database stays open while a callback runs */

void hps_envelope_path(const struct hps_digest *id, char out[HPS_TILE_PATH])
{
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(id, hex);
	snprintf(out, HPS_TILE_PATH, "envelope/%s.json", hex);
}

bool hps_envelope_is_of(const struct hps_buf *text, const struct hps_leaf *leaf, struct hps_envelope *ret)
{
	struct hps_digest id;

	if (hps_envelope_read_stored(text->data, text->len, ret, NULL))
		return false;
	hps_envelope_id(ret, &id);
	if (hps_digest_equal(&id, &leaf->id) && ret->signature.len == leaf->signature.len &&
	    !memcmp(ret->signature.data, leaf->signature.data, leaf->signature.len))
		return true;
	hps_envelope_release(ret);
	return false;
}

/* From the database or, when the copy there is no longer whole, from its published file. */
static int read_envelope(struct hps_ledger *l, uint64_t index, const struct hps_leaf *leaf, struct hps_envelope *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char path[HPS_TILE_PATH];

	if (l->has_database && !hps_store_envelope(l->store, index, &text, NULL)) {
		if (hps_envelope_is_of(&text, leaf, ret))
			return 0;
		if (!text.len)
			return hps_error_set(err, HPS_E_NOTFOUND, "reading entry %llu: its statement has been withdrawn; 'hps-ledger list --kind withdraw' says why",
					     (unsigned long long)index);
	}
	hps_buf_reset(&text);
	hps_envelope_path(&leaf->id, path);
	if (!hps_file_read(l->tilesfd, path, HPS_ENVELOPE_MAX, &text, NULL) && hps_envelope_is_of(&text, leaf, ret))
		return 0;
	return hps_error_set(err, HPS_E_DAMAGED, "reading entry %llu: its envelope 'tiles/%s' is %s; 'hps-ledger verify' names all that is damaged",
			     (unsigned long long)index, path, text.len ? "not what was signed" : "not there");
}

static int read_leaf(struct hps_ledger *l, uint64_t index, struct hps_leaf *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT;
	struct hps_digest id;
	int r = hps_store_leaf(l->store, index, &id, &leaf, err);

	if (r == HPS_E_NOTFOUND && !l->has_database)
		return hps_error_set(err, HPS_E_NOTFOUND, "reading entry %llu: its envelope is withheld here or damaged; 'hps-ledger verify' says which", (unsigned long long)index);
	if (r)
		return r;
	if (hps_leaf_read(leaf.data, leaf.len, ret, NULL) || !hps_digest_equal(&id, &ret->id))
		return hps_error_set(err, HPS_E_DAMAGED, "reading entry %llu: its leaf in ledger.db is damaged; 'hps-ledger verify' names all that is", (unsigned long long)index);
	return 0;
}

int hps_ledger_load(struct hps_ledger *l, uint64_t index, struct hps_entry *ret, struct hps_error *err)
{
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	_cleanup_(hps_envelope_release) struct hps_envelope e = HPS_ENVELOPE_INIT;
	_cleanup_json_ json_t *statement = NULL;
	struct hps_digest keyid;
	int r = read_leaf(l, index, &leaf, err);

	if (!r)
		r = read_envelope(l, index, &leaf, &e, err);
	if (!r)
		r = hps_json_parse(e.payload.data, e.payload.len, &statement, err);
	if (r)
		return r;
	memset(ret, 0, sizeof *ret);
	ret->index = index;
	hps_digest_hex(&leaf.id, ret->id);
	hps_digest_of(leaf.spki.data, leaf.spki.len, &keyid);
	ret->keyid = hps_alloc(HPS_DIGEST_HEX);
	hps_digest_hex(&keyid, ret->keyid);
	hps_entry_fill(ret, statement);
	return 0;
}

/* ---- by id ---- */

/* All ids that start with the digits lie between `low` and `high`. */
static int prefix_range(const char *digits, struct hps_digest *low, struct hps_digest *high)
{
	char hex[HPS_DIGEST_HEX];
	size_t n = strlen(digits);

	if (n < 6 || n >= sizeof hex)
		return HPS_E_USAGE;
	memset(hex, '0', sizeof hex - 1);
	memcpy(hex, digits, n);
	hex[sizeof hex - 1] = '\0';
	if (hps_digest_parse(hex, low))
		return HPS_E_USAGE;
	memset(hex + n, 'f', sizeof hex - 1 - n);
	return hps_digest_parse(hex, high) ? HPS_E_USAGE : 0;
}

static int find_number(struct hps_ledger *l, const char *number, uint64_t *ret, struct hps_error *err)
{
	if (hps_parse_u64(number, INT64_MAX, ret))
		return hps_error_set(err, HPS_E_USAGE, "'@%s' is not an entry: after '@' comes the index as a number", number);
	if (*ret >= l->size)
		return hps_error_set(err, HPS_E_NOTFOUND, "no entry '@%s': the ledger '%s' has %llu; 'hps-ledger list' shows them", number, l->dir,
				     (unsigned long long)l->size);
	return 0;
}

static int find_prefix(struct hps_ledger *l, const char *id, uint64_t *ret, struct hps_error *err)
{
	struct hps_digest low, high;
	uint64_t found[2];
	size_t n;
	int r;

	if (prefix_range(id, &low, &high))
		return hps_error_set(err, HPS_E_USAGE, "'%s' is not an id: give '@INDEX', or at least 6 of its lower-case hexadecimal digits", id);
	r = hps_store_by_prefix(l->store, &low, &high, l->size, found, 2, &n, err);
	if (r)
		return r;
	if (n == 0)
		return hps_error_set(err, HPS_E_NOTFOUND, "no entry '%s' in the ledger '%s'; 'hps-ledger list' shows what there is", id, l->dir);
	if (n > 1)
		return hps_error_set(err, HPS_E_AMBIGUOUS, "'%s' fits entries @%llu and @%llu: give more digits", id, (unsigned long long)found[0],
				     (unsigned long long)found[1]);
	*ret = found[0];
	return 0;
}

static int find_index(struct hps_ledger *l, const char *id, uint64_t *ret, struct hps_error *err)
{
	int r = hps_ledger_refresh(l, err);

	if (r)
		return r;
	return *id == '@' ? find_number(l, id + 1, ret, err) : find_prefix(l, id, ret, err);
}

int hps_ledger_find(struct hps_ledger *l, const char *id, struct hps_entry *ret, struct hps_error *err)
{
	uint64_t index;
	int r = find_index(l, id, &index, err);

	return r ? r : hps_ledger_load(l, index, ret, err);
}

int hps_ledger_find_index(struct hps_ledger *l, const char *id, uint64_t *ret_index, char ret_id[HPS_DIGEST_HEX], struct hps_error *err)
{
	_cleanup_(hps_leaf_release) struct hps_leaf leaf = HPS_LEAF_INIT;
	int r = find_index(l, id, ret_index, err);

	if (!r)
		r = read_leaf(l, *ret_index, &leaf, err);
	if (!r)
		hps_digest_hex(&leaf.id, ret_id);
	return r;
}

/* The trial that ended a begin entry. */
static int find_end(struct hps_ledger *l, const char *begin, struct hps_entry *ret, struct hps_error *err)
{
	struct hps_filter trial = HPS_FILTER_ANY, lost = HPS_FILTER_ANY;
	uint64_t index;
	size_t n;
	int r;

	trial.begin = lost.begin = begin;
	trial.kind = "trial";
	lost.kind = "lost";
	r = hps_store_by_filter(l->store, &trial, l->size, &index, 1, &n, err);
	if (!r && n)
		return hps_ledger_load(l, index, ret, err);
	if (!r)
		r = hps_store_by_filter(l->store, &lost, l->size, &index, 1, &n, err);
	if (r)
		return r;
	if (n)
		return hps_error_set(err, HPS_E_NOTFOUND, "the trial that began as '%.12s' has no record: its recorder died, entry @%llu says so", begin, (unsigned long long)index);
	return hps_error_set(err, HPS_E_NOTFOUND, "the trial that began as '%.12s' has not ended", begin);
}

int hps_ledger_find_trial(struct hps_ledger *l, const char *id, struct hps_entry *ret, struct hps_error *err)
{
	_cleanup_(hps_entry_release) struct hps_entry e = { .number = -1 };
	int r = hps_ledger_find(l, id, &e, err);

	if (r)
		return r;
	if (!strcmp(e.kind, "begin"))
		return find_end(l, e.id, ret, err);
	if (strcmp(e.kind, "trial") != 0)
		return hps_error_set(err, HPS_E_USAGE, "'%s' is not a trial but a %s entry; 'hps-ledger list --kind trial' shows the trials", id, e.kind);
	*ret = e;
	memset(&e, 0, sizeof e);
	return 0;
}

/* ---- by what they say ---- */

static bool same(const char *wanted, const char *is)
{
	return !wanted || (is && !strcmp(wanted, is));
}

static bool fits(const struct hps_entry *e, const struct hps_filter *f)
{
	return same(f->kind, e->kind) && same(f->study, e->study) && same(f->event, e->event) && same(f->begin, e->begin) &&
	       (f->number < 0 || f->number == e->number);
}

/* The look-up table proposes, the signed statement decides. */
static int visit(struct hps_ledger *l, uint64_t index, const struct hps_filter *f, int (*fn)(const struct hps_entry *, void *, struct hps_error *),
		 void *arg, struct hps_error *err)
{
	_cleanup_(hps_entry_release) struct hps_entry e = { .number = -1 };
	int r = hps_ledger_load(l, index, &e, err);

	if (r == HPS_E_NOTFOUND) { /* withdrawn: the entry that says so is visited */
		if (err)
			hps_error_release(err);
		return 0;
	}
	if (r)
		return r;
	if (!fits(&e, f))
		return hps_error_set(err, HPS_E_DAMAGED, "reading entry %llu: the look-up table of ledger.db does not fit its statement; run 'hps-ledger verify'",
				     (unsigned long long)index);
	return fn(&e, arg, err);
}

/* Indexes from f->from_index on, the last n of them in a ring. */
static int last_of(struct hps_ledger *l, struct hps_filter f, uint64_t limit, uint64_t *ring, size_t n, uint64_t *ret_seen, struct hps_error *err)
{
	size_t some = CHUNK;
	int r = 0;

	for (*ret_seen = 0; !r && some == CHUNK;) {
		uint64_t indexes[CHUNK];

		r = hps_store_by_filter(l->store, &f, limit, indexes, CHUNK, &some, err);
		for (size_t i = 0; !r && i < some; i++)
			ring[(*ret_seen)++ % n] = indexes[i];
		f.from_index = some ? indexes[some - 1] + 1 : limit;
	}
	return r;
}

/* Where the newest ones begin: looked for in a window at the end that grows until it holds enough. */
static int find_newest(struct hps_ledger *l, struct hps_filter *f, uint64_t limit, struct hps_error *err)
{
	uint64_t start = f->from_index, seen = 0, window = f->newest;
	size_t n = f->newest < limit ? (size_t)f->newest : (size_t)limit;
	_cleanup_free_ uint64_t *ring = hps_alloc(n * sizeof *ring);
	int r = 0;

	if (!n)
		return 0;
	do {
		window = window > limit / 4 ? limit : 4 * window;
		f->from_index = limit - window > start ? limit - window : start;
		r = last_of(l, *f, limit, ring, n, &seen, err);
	} while (!r && seen < n && f->from_index > start);
	if (!r && seen >= n)
		f->from_index = ring[seen % n];
	return r;
}

int hps_ledger_each(struct hps_ledger *l, const struct hps_filter *filter, int (*fn)(const struct hps_entry *entry, void *arg, struct hps_error *err),
		    void *arg, struct hps_error *err)
{
	struct hps_filter f = HPS_FILTER_ANY;
	int r = hps_ledger_refresh(l, err);
	uint64_t limit = l->size; /* what fn appends is not visited */
	size_t n = CHUNK;

	if (filter)
		f = *filter;
	if (!r && f.newest)
		r = find_newest(l, &f, limit, err);
	while (!r && n == CHUNK) {
		uint64_t indexes[CHUNK];

		r = hps_store_by_filter(l->store, &f, limit, indexes, CHUNK, &n, err);
		for (size_t i = 0; !r && i < n; i++)
			r = visit(l, indexes[i], &f, fn, arg, err);
		if (n)
			f.from_index = indexes[n - 1] + 1;
	}
	return r;
}
