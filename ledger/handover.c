/* The log's key, replaced: a note that the former and the next key have signed says up to which tree the former signs. Whoever trusts the
 * former follows to the newest. docs/FORMATS.md ("The log's key") has the bytes. */
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

static char *path_of(uint64_t n)
{
	return hps_format(HPS_HANDOVER_DIR "/%llu", (unsigned long long)n);
}

bool hps_handover_exists(int tilesfd, uint64_t n)
{
	_cleanup_free_ char *path = path_of(n);

	return faccessat(tilesfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- one ---- */

static char *vkey_of(const struct hps_vkey *v)
{
	return hps_vkey_format(v->name, v->key);
}

static void write_text(const struct handover *h, struct hps_buf *out)
{
	_cleanup_free_ char *former = vkey_of(&h->former), *next = vkey_of(&h->next);

	hps_buf_addf(out, "%s\nformer %s\nnext %s\n%llu\n", h->former.name, former, next, (unsigned long long)h->size);
	hps_base64(out, h->root.b, sizeof h->root.b);
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
	_cleanup_free_ char *text = end ? hps_strndup(note, (size_t)(end - note) + 1) : NULL;
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
	write_text(ret, &again);
	if (again.len != text_len || memcmp(again.data, note, text_len) != 0)
		return hps_error_set(err, HPS_E_FORMAT, "its text is not spelled as it has to be");
	return times[0] && times[1] ? 0 : hps_error_set(err, HPS_E_SIGNATURE, "not both keys have signed it");
}

static int write_note(struct hps_ledger *l, const struct hps_key *next, struct hps_error *err)
{
	_cleanup_(release) struct handover h = { .size = l->size, .root = l->root };
	_cleanup_free_ char *former = hps_vkey_format(l->trust.origin, l->log_key), *following = hps_vkey_format(l->trust.origin, next), *path = path_of(l->n_handovers);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, note = HPS_BUF_INIT, sig = HPS_BUF_INIT;
	int r = hps_vkey_parse(former, &h.former, err);

	if (!r)
		r = hps_vkey_parse(following, &h.next, err);
	if (!r && l->n_handovers >= HPS_HANDOVERS_MAX)
		r = hps_error_set(err, HPS_E_LIMIT, "replacing the log's key: it has been replaced %d times", HPS_HANDOVERS_MAX);
	if (r)
		return r;
	write_text(&h, &text);
	r = hps_note_sign(text.data, l->trust.origin, l->log_key, &note, err);
	if (!r)
		r = hps_key_sign(next, text.data, text.len, &sig, err);
	if (!r)
		hps_note_add(&note, &h.next, &sig);
	if (!r)
		r = hps_dir_make(l->tilesfd, HPS_HANDOVER_DIR, 0755, err);
	return r ? r : hps_file_write(l->tilesfd, path, 0644, note.data, note.len, err);
}

/* What is done again when it was cut off. */
static int take_key(struct hps_ledger *l, const char *former, const char *next, struct hps_error *err)
{
	if (renameat(l->dirfd, HPS_NEXT_LOG_KEY, l->dirfd, "keys/log.pem"))
		return hps_error_errno(err, "taking the new log key");
	return hps_trust_replace(l->dirfd, former, next, err);
}

int hps_handover(struct hps_ledger *l, const struct hps_key *next, struct hps_error *err)
{
	_cleanup_free_ char *former = vkey_of(&l->trust.log), *vkey = hps_vkey_format(l->trust.origin, next);
	int r = hps_ledger_lock(l, err);

	if (r)
		return r;
	r = hps_ledger_settle(l, err); /* what the former key has signed is published before the next one signs */
	if (!r)
		r = write_note(l, next, err);
	if (!r)
		r = take_key(l, former, vkey, err);
	if (!r)
		hps_memory_close(l);
	hps_ledger_unlock(l);
	return r;
}

int hps_handover_finish(struct hps_ledger *l, const char *passphrase, struct hps_error *err)
{
	_cleanup_free_ char *former = l->trust.log.former ? vkey_of(l->trust.log.former) : NULL, *next = vkey_of(&l->trust.log), *vkey = NULL;
	_cleanup_key_ struct hps_key *key = NULL;
	int r;

	if (faccessat(l->dirfd, HPS_NEXT_LOG_KEY, F_OK, 0))
		return 0;
	r = hps_key_load(l->dirfd, HPS_NEXT_LOG_KEY, passphrase, &key, err);
	if (r)
		return r;
	vkey = hps_vkey_format(l->trust.origin, key);
	if (!former || strcmp(vkey, next) != 0)
		return unlinkat(l->dirfd, HPS_NEXT_LOG_KEY, 0) ? hps_error_errno(err, "removing '" HPS_NEXT_LOG_KEY "'") : 0;
	r = take_key(l, former, next, err);
	return r ? r : 1;
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

/* ---- all of them ---- */

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

static bool same_key(const struct hps_vkey *a, const struct hps_vkey *b)
{
	_cleanup_free_ char *one = vkey_of(a), *other = vkey_of(b);

	return !strcmp(one, other);
}

static int check_order(const struct handovers *all, const struct hps_trust *t, struct hps_error *err)
{
	const struct handover *h = &all->v[all->n - 1], *before = all->n > 1 ? h - 1 : NULL;

	if (strcmp(h->former.name, t->origin) != 0)
		return hps_error_set(err, HPS_E_SIGNATURE, "it is of another log");
	if (before && (!same_key(&before->next, &h->former) || h->size < before->size))
		return hps_error_set(err, HPS_E_SIGNATURE, "it does not continue the one before");
	return 0;
}

static int read_all(const struct hps_tiles *tiles, const struct hps_trust *t, struct handovers *ret, struct hps_error *err)
{
	int r = 0;

	while (!r && ret->n < HPS_HANDOVERS_MAX) {
		_cleanup_free_ char *path = path_of(ret->n);
		_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
		_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;

		r = hps_tiles_file(tiles, path, HPS_NOTE_MAX, &note, &e);
		if (r == HPS_E_NOTFOUND || r == -ENOENT)
			return 0;
		if (!r) {
			ret->v = hps_grow(ret->v, ret->n, sizeof *ret->v);
			ret->v[ret->n++] = (struct handover){ .size = 0 };
			r = read_note(note.data, note.len, &ret->v[ret->n - 1], &e);
		}
		if (!r)
			r = check_order(ret, t, &e);
		if (r)
			hps_error_set(err, r, "tiles/%s: %s", path, e.message);
	}
	return r;
}

/* The newest key with all that came before it. */
static int chain(const struct handovers *all, struct hps_vkey *ret, struct hps_error *err)
{
	_cleanup_free_ char *first = vkey_of(&all->v[0].former);
	int r = hps_vkey_parse(first, ret, err);

	for (size_t i = 0; !r && i < all->n; i++) {
		_cleanup_free_ char *text = vkey_of(&all->v[i].next);
		struct hps_vkey *former = hps_alloc(sizeof *former);

		*former = *ret;
		r = hps_vkey_parse(text, ret, err);
		ret->former = former;
		ret->former_until = all->v[i].size;
		ret->former_root = all->v[i].root;
	}
	return r;
}

/* The policy is about the log, whichever key it has now. */
static int use_in_policy(struct hps_trust *t, const struct handovers *all, const char *old, const char *new, struct hps_error *err)
{
	char *text = hps_text_replace(t->policy_text, old, new);
	int r;

	free(t->policy_text);
	t->policy_text = text;
	hps_policy_release(&t->policy);
	r = hps_policy_read(text, strlen(text), &t->policy, err);
	for (size_t i = 0; !r && i < t->policy.n_keys; i++)
		if (t->policy.is_log[i] && same_key(&t->policy.keys[i], &t->log)) {
			hps_vkey_release(&t->policy.keys[i]);
			r = chain(all, &t->policy.keys[i], err);
		}
	return r;
}

int hps_trust_follow(struct hps_trust *t, const struct hps_tiles *tiles, uint64_t *ret_n, struct hps_error *err)
{
	_cleanup_(release_all) struct handovers all = { NULL, 0 };
	_cleanup_free_ char *old = vkey_of(&t->log), *new = NULL;
	bool known;
	int r = read_all(tiles, t, &all, err);

	if (ret_n)
		*ret_n = all.n;
	if (r || !all.n)
		return r;
	known = same_key(&t->log, &all.v[0].former);
	for (size_t i = 0; i < all.n; i++)
		known |= same_key(&t->log, &all.v[i].next);
	if (!known)
		return 0; /* of another's making: nothing of it is to be trusted */
	hps_vkey_release(&t->log);
	r = chain(&all, &t->log, err);
	if (r)
		return r;
	new = vkey_of(&t->log);
	return use_in_policy(t, &all, old, new, err);
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
