/* Handovers: the log's key was replaced, and a note that the former and the next key have signed says up to which tree the former signs.
 * Whoever trusts one of these keys follows to the newest. docs/FORMATS.md ("The log's key") has the bytes; who makes them is rotation.c. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct handover {
	struct hps_vkey former, next;
	uint64_t size;
	struct hps_digest root;
};

static void release(struct handover *h)
{
	hps_vkey_release(&h->former);
	hps_vkey_release(&h->next);
}

char *hps_handover_path(uint64_t n)
{
	return hps_format(HPS_HANDOVER_DIR "/%llu", (unsigned long long)n);
}

bool hps_handover_exists(int tilesfd, uint64_t n)
{
	_cleanup_free_ char *path = hps_handover_path(n);

	return faccessat(tilesfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- one ---- */

static char *vkey_of(const struct hps_vkey *v)
{
	return hps_vkey_format(v->name, v->key);
}

static bool same_key(const struct hps_vkey *a, const struct hps_vkey *b)
{
	_cleanup_free_ char *one = vkey_of(a), *other = vkey_of(b);

	return !strcmp(one, other);
}

static void write_text(const char *origin, const char *former, const char *next, uint64_t size, const struct hps_digest *root, struct hps_buf *out)
{
	hps_buf_addf(out, "%s\nformer %s\nnext %s\n%llu\n", origin, former, next, (unsigned long long)size);
	hps_base64(out, root->b, sizeof root->b);
	hps_buf_addc(out, '\n');
}

static int read_key(const char *line, const char *word, const char *origin, struct hps_vkey *ret, struct hps_error *err)
{
	size_t len = strlen(word);
	int r;

	if (strncmp(line, word, len) != 0)
		return hps_error_set(err, HPS_E_FORMAT, "a line does not begin with '%s'", word);
	r = hps_vkey_parse(line + len, ret, err);
	if (!r && (ret->algorithm != HPS_NOTE_ED25519 || strcmp(ret->name, origin) != 0))
		r = hps_error_set(err, HPS_E_FORMAT, "its keys are not Ed25519 keys of '%s'", origin);
	return r;
}

static int read_lines(char *text, struct handover *ret, struct hps_error *err)
{
	enum { ORIGIN, FORMER, NEXT, SIZE, ROOT, N };
	_cleanup_buf_ struct hps_buf root = HPS_BUF_INIT;
	char *lines[N], *save = NULL;
	int r;

	for (size_t i = 0; i < N; i++)
		if (!(lines[i] = strtok_r(i ? NULL : text, "\n", &save)))
			return hps_error_set(err, HPS_E_FORMAT, "it has not five lines");
	r = read_key(lines[FORMER], "former ", lines[ORIGIN], &ret->former, err);
	if (!r)
		r = read_key(lines[NEXT], "next ", lines[ORIGIN], &ret->next, err);
	if (!r && (hps_parse_u64(lines[SIZE], HPS_LEDGER_SIZE_MAX, &ret->size) || hps_unbase64(&root, lines[ROOT], strlen(lines[ROOT]), false) || root.len != HPS_DIGEST_LEN))
		r = hps_error_set(err, HPS_E_FORMAT, "it names no tree");
	if (!r)
		memcpy(ret->root.b, root.data, HPS_DIGEST_LEN);
	return r;
}

/* Both keys have signed, and the text is spelled as we spell it. */
static int read_note(const char *note, size_t len, struct handover *ret, struct hps_error *err)
{
	const char *end = len ? memmem(note, len, "\n\n", 2) : NULL;
	_cleanup_free_ char *text = end ? hps_strndup(note, (size_t)(end - note) + 1) : NULL, *former = NULL, *next = NULL;
	_cleanup_buf_ struct hps_buf again = HPS_BUF_INIT;
	struct hps_vkey known[2];
	uint64_t times[2];
	size_t text_len;
	int r = text ? read_lines(text, ret, err) : hps_error_set(err, HPS_E_FORMAT, "it is not a signed note");

	if (r)
		return r;
	known[0] = ret->former;
	known[1] = ret->next;
	r = hps_note_signers(note, len, known, 2, times, &text_len, err);
	if (r)
		return r;
	former = vkey_of(&ret->former);
	next = vkey_of(&ret->next);
	write_text(ret->former.name, former, next, ret->size, &ret->root, &again);
	if (again.len != text_len || memcmp(again.data, note, text_len) != 0)
		return hps_error_set(err, HPS_E_FORMAT, "its text is not spelled as it has to be");
	return times[0] && times[1] ? 0 : hps_error_set(err, HPS_E_SIGNATURE, "not both keys have signed it");
}

int hps_handover_read(const char *note, size_t len, char **ret_former, char **ret_next, struct hps_error *err)
{
	_cleanup_(release) struct handover h = { .size = 0 };
	int r = read_note(note, len, &h, err);

	if (r)
		return hps_error_prefix(err, "reading a handover of a log's key");
	*ret_former = vkey_of(&h.former);
	*ret_next = vkey_of(&h.next);
	return 0;
}

int hps_handover_sign(const struct hps_checkpoint *c, const struct hps_key *former, const struct hps_key *next, struct hps_buf *out, struct hps_error *err)
{
	_cleanup_free_ char *from = hps_vkey_format(c->origin, former), *to = hps_vkey_format(c->origin, next);
	_cleanup_(hps_vkey_release) struct hps_vkey v = { 0 };
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, sig = HPS_BUF_INIT;
	int r = hps_vkey_parse(to, &v, err);

	write_text(c->origin, from, to, c->size, &c->root, &text);
	if (!r)
		r = hps_note_sign(text.data, c->origin, former, out, err);
	if (!r)
		r = hps_key_sign(next, text.data, text.len, &sig, err);
	if (!r)
		hps_note_add(out, &v, &sig);
	return r;
}

/* ---- all of a log, from the first on ---- */

int hps_handovers_load(const struct hps_tiles *tiles, struct hps_strv *ret, struct hps_error *err)
{
	int r = 0;

	while (!r && ret->n < HPS_HANDOVERS_MAX) {
		_cleanup_free_ char *path = hps_handover_path(ret->n);
		_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
		_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;

		r = hps_tiles_file(tiles, path, HPS_NOTE_MAX, &note, &e);
		if (r == HPS_E_NOTFOUND || r == -ENOENT)
			return 0;
		if (!r && (!note.len || memchr(note.data, '\0', note.len)))
			r = hps_error_set(&e, HPS_E_FORMAT, "it is not a signed note");
		if (!r)
			hps_strv_add(ret, note.data);
		else
			hps_error_set(err, r, "%s: %s", path, e.message);
	}
	return r;
}

json_t *hps_handovers_json(const struct hps_strv *notes)
{
	json_t *list = json_array();

	for (size_t i = 0; i < notes->n; i++)
		hps_json_add(list, json_string(notes->v[i]));
	return list;
}

int hps_handovers_from_json(const json_t *list, struct hps_strv *ret, struct hps_error *err)
{
	const json_t *item;
	size_t i;

	if (list && (!json_is_array(list) || json_array_size(list) > HPS_HANDOVERS_MAX))
		return hps_error_set(err, HPS_E_FORMAT, "handovers of a log's key: it is not a list of at most %d notes", HPS_HANDOVERS_MAX);
	json_array_foreach(list, i, item) {
		if (!json_is_string(item) || strlen(json_string_value(item)) != json_string_length(item))
			return hps_error_set(err, HPS_E_FORMAT, "handovers of a log's key: one is not a note");
		hps_strv_add(ret, json_string_value(item));
	}
	return 0;
}

int hps_handovers_read(int dirfd, const char *path, struct hps_strv *ret, struct hps_error *err)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *list = NULL;
	int r = hps_file_read(dirfd, path, HPS_NOTE_MAX, &text, &e);

	if (r == -ENOENT)
		return 0;
	if (!r)
		r = hps_json_parse(text.data ? text.data : "", text.len, &list, &e);
	if (!r)
		r = hps_handovers_from_json(list, ret, &e);
	return r ? hps_error_set(err, r, "'%s': %s", path, e.message) : 0;
}

int hps_handovers_write(int dirfd, const char *path, mode_t mode, const struct hps_strv *notes, struct hps_error *err)
{
	_cleanup_json_ json_t *list = hps_handovers_json(notes);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_json_canonical(list, &text, err);

	return r ? r : hps_file_write(dirfd, path, mode, text.data, text.len, err);
}

/* Of the same former key, but to another next one or at another tree. */
static bool contradict(const char *one, const char *other)
{
	_cleanup_(release) struct handover x = { .size = 0 }, y = { .size = 0 };

	return strcmp(one, other) != 0 && !read_note(one, strlen(one), &x, NULL) && !read_note(other, strlen(other), &y, NULL) && same_key(&x.former, &y.former) &&
	       (!same_key(&x.next, &y.next) || x.size != y.size || !hps_digest_equal(&x.root, &y.root));
}

bool hps_handovers_conflict(const struct hps_strv *a, const struct hps_strv *b)
{
	for (size_t i = 0; i < a->n; i++)
		for (size_t k = 0; k < b->n; k++)
			if (contradict(a->v[i], b->v[k]))
				return true;
	return false;
}

/* ---- following them ---- */

struct handovers {
	struct handover *v;
	size_t n;
};

static void release_all(struct handovers *all)
{
	for (size_t i = 0; i < all->n; i++)
		release(&all->v[i]);
	free(all->v);
}

static int check_order(const struct handovers *all, const char *origin, struct hps_error *err)
{
	const struct handover *h = &all->v[all->n - 1], *before = all->n > 1 ? h - 1 : NULL;

	if (strcmp(h->former.name, origin) != 0)
		return hps_error_set(err, HPS_E_SIGNATURE, "it is of another log");
	if (before && (!same_key(&before->next, &h->former) || h->size < before->size))
		return hps_error_set(err, HPS_E_SIGNATURE, "it does not continue the one before");
	return 0;
}

static int read_all(const struct hps_strv *notes, const char *origin, struct handovers *ret, struct hps_error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < notes->n; i++) {
		_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

		ret->v = hps_grow(ret->v, ret->n, sizeof *ret->v);
		ret->v[ret->n++] = (struct handover){ .size = 0 };
		r = read_note(notes->v[i], strlen(notes->v[i]), &ret->v[i], &e);
		if (!r)
			r = check_order(ret, origin, &e);
		if (r)
			hps_error_set(err, r, HPS_HANDOVER_DIR "/%zu: %s", i, e.message);
	}
	return r;
}

/* Not those of another's making, of which nothing is to be trusted. */
static bool are_about(const struct handovers *all, const struct hps_vkey *v)
{
	bool known = all->n && same_key(v, &all->v[0].former);

	for (size_t i = 0; i < all->n; i++)
		known |= same_key(v, &all->v[i].next);
	return known;
}

/* The newest key with all that came before it. */
static int chain(const struct handovers *all, const struct hps_strv *notes, struct hps_vkey *ret, struct hps_error *err)
{
	_cleanup_free_ char *first = vkey_of(&all->v[0].former);
	int r = hps_vkey_parse(first, ret, err);

	for (size_t i = 0; !r && i < all->n; i++) {
		_cleanup_free_ char *text = vkey_of(&all->v[i].next);
		struct hps_vkey *former = hps_alloc(sizeof *former);

		*former = *ret;
		*ret = (struct hps_vkey){ .former = former, .former_until = all->v[i].size, .former_root = all->v[i].root, .handover = hps_strdup(notes->v[i]) };
		r = hps_vkey_parse(text, ret, err);
	}
	return r;
}

int hps_vkey_follow(struct hps_vkey *v, const struct hps_strv *notes, struct hps_error *err)
{
	_cleanup_(release_all) struct handovers all = { NULL, 0 };
	int r = read_all(notes, v->name, &all, err);

	if (r || !are_about(&all, v))
		return r;
	hps_vkey_release(v);
	return chain(&all, notes, v, err);
}

void hps_vkey_handovers(const struct hps_vkey *v, struct hps_strv *ret)
{
	if (!v->former)
		return;
	hps_vkey_handovers(v->former, ret);
	hps_strv_add(ret, v->handover);
}

/* The policy is about the log, whichever key it has now. */
static int use_in_policy(struct hps_trust *t, const struct hps_strv *notes, const char *old, const char *new, struct hps_error *err)
{
	char *text = hps_text_replace(t->policy_text, old, new);
	int r;

	free(t->policy_text);
	t->policy_text = text;
	hps_policy_release(&t->policy);
	r = hps_policy_read(text, strlen(text), &t->policy, err);
	for (size_t i = 0; !r && i < t->policy.n_keys; i++)
		if (t->policy.is_log[i] && same_key(&t->policy.keys[i], &t->log))
			r = hps_vkey_follow(&t->policy.keys[i], notes, err);
	return r;
}

int hps_trust_follow(struct hps_trust *t, const struct hps_strv *notes, struct hps_error *err)
{
	_cleanup_free_ char *old = vkey_of(&t->log), *new = NULL;
	int r = hps_vkey_follow(&t->log, notes, err);

	if (r || !t->log.former)
		return r;
	new = vkey_of(&t->log);
	r = use_in_policy(t, notes, old, new, err);
	return r ? r : hps_trust_check_roles(t, err);
}

int hps_trust_follow_tiles(struct hps_trust *t, const struct hps_tiles *tiles, uint64_t *ret_n, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv notes = HPS_STRV_INIT;
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	int r = hps_handovers_load(tiles, &notes, &e);

	if (!r)
		r = hps_trust_follow(t, &notes, &e);
	if (ret_n)
		*ret_n = notes.n;
	return r ? hps_error_set(err, r, "tiles/%s", e.message) : 0;
}

/* ---- verifying ---- */

void hps_verify_handovers(struct hps_verifier *v)
{
	for (const struct hps_vkey *k = &v->trust.log; k->former; k = k->former) {
		struct hps_merkle tree = { 0 };
		struct hps_digest root;

		while (tree.size < k->former_until && tree.size < v->n)
			hps_merkle_add(&tree, &v->hash[tree.size], NULL);
		hps_merkle_root(&tree, &root);
		if (tree.size < k->former_until || !hps_digest_equal(&root, &k->former_root))
			hps_problem_add(v, -1, NULL, "tiles/" HPS_HANDOVER_DIR, "the log's key was handed over at another tree of %llu entries than the one that is here",
					(unsigned long long)k->former_until);
	}
}
