/* Verification from the files alone: what is opened, and in which order it is looked at. The database is never asked for help, only
 * compared. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBLEMS_MAX 10000
#define SIZE_MAX_HERE UINT32_MAX /* verify_ids.c counts entries with 32 bits */

/* Nobody can say here what the file holds. A disk that fails (EIO) is damage. */
static bool is_unread(int code)
{
	static const int table[] = { -EACCES, -EPERM, -EMFILE, -ENFILE, -ENOMEM, -EBUSY, HPS_E_DENIED, HPS_E_UNDECIDED };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i] == code)
			return true;
	return false;
}

/* NULL: there are too many already. */
static struct hps_problem *new_problem(struct hps_problem **items, size_t *n, int64_t index, const char *id, const char *file, char *what)
{
	struct hps_problem *p;

	if (*n == PROBLEMS_MAX) {
		free(what);
		return NULL;
	}
	*items = hps_grow(*items, *n, sizeof **items);
	p = &(*items)[(*n)++];
	*p = (struct hps_problem){ .index = index, .id = id && *id ? hps_strdup(id) : NULL, .file = file ? hps_strdup(file) : NULL, .what = what };
	return p;
}

__attribute__((format(printf, 1, 0))) static char *in_words(const char *format, va_list ap)
{
	char *text;

	if (vasprintf(&text, format, ap) < 0)
		abort();
	return text;
}

static char *error_in_words(const char *doing, const struct hps_error *e)
{
	return hps_format("%s%s%s", doing ? doing : "", doing ? ": " : "", e->message ? e->message : "it cannot be read");
}

void hps_problems_add(struct hps_problems *list, int64_t index, const char *id, const char *file, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	new_problem(&list->items, &list->n, index, id, file, in_words(format, ap));
	va_end(ap);
}

void hps_problems_add_error(struct hps_problems *list, int64_t index, const char *id, const char *file, const char *doing, const struct hps_error *e)
{
	struct hps_problem *p = new_problem(&list->items, &list->n, index, id, file, error_in_words(doing, e));

	if (p)
		p->unread = is_unread(e->code);
}

/* A problem of a file that is not any entry's has no index: older tiles, upper ones. */
static void note_unread(struct hps_verification *f, int64_t index, const char *file)
{
	static const struct {
		const char *begin;
		enum hps_unread_kind kind;
	} table[] = { { "tiles/envelope/", HPS_UNREAD_ENVELOPES }, { "tiles/tile/entries/", HPS_UNREAD_LEAVES }, { "tiles/tile/0/", HPS_UNREAD_LEAVES }, { "journal", HPS_UNREAD_JOURNAL } };
	uint64_t from = index < 0 ? 1 : (uint64_t)index + 1;

	for (size_t i = 0; file && i < ARRAY_SIZE(table); i++) {
		uint64_t *first = &f->unread_from[__builtin_ctz(table[i].kind)];

		if (!strncmp(file, table[i].begin, strlen(table[i].begin)) && (index >= 0 || table[i].kind == HPS_UNREAD_JOURNAL) && (!*first || from < *first))
			*first = from;
	}
}

/* What could not be read leaves room for what is damaged. */
static void add(struct hps_verifier *v, bool unread, int64_t index, const char *id, const char *file, char *what)
{
	bool full = unread && v->found->n_unread >= PROBLEMS_MAX / 2;
	struct hps_problem *p = full ? NULL : new_problem(&v->found->problems, &v->found->n_problems, index, id, file, what);

	if (full)
		free(what);
	if (!p)
		return;
	p->unread = unread;
	v->found->n_unread += unread;
}

void hps_problem_add(struct hps_verifier *v, int64_t index, const char *id, const char *file, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add(v, false, index, id, file, in_words(format, ap));
	va_end(ap);
}

void hps_problem_add_error(struct hps_verifier *v, int64_t index, const char *id, const char *file, const char *doing, const struct hps_error *e)
{
	bool unread = is_unread(e->code);

	if (unread)
		note_unread(v->found, index, file);
	add(v, unread, index, id, file, error_in_words(doing, e));
}

/* Where it is said that something is in order, of an entry before that index. */
static bool may_be_unread(const struct hps_verification *f, unsigned kinds, uint64_t before)
{
	bool may = false;

	for (size_t i = 0; i < ARRAY_SIZE(f->unread_from); i++)
		may |= (kinds >> i & 1) && f->unread_from[i] && f->unread_from[i] - 1 < before;
	return may;
}

void hps_problem_add_if_read(struct hps_verifier *v, unsigned kinds, uint64_t before, int64_t index, const char *id, const char *file, const char *format, ...)
{
	bool excuse = may_be_unread(v->found, kinds, before);
	va_list ap;

	va_start(ap, format);
	add(v, excuse, index, id, file, in_words(format, ap));
	va_end(ap);
}

static void free_problem(struct hps_problem *p)
{
	free(p->id);
	free(p->file);
	free(p->what);
}

void hps_verification_release(struct hps_verification *v)
{
	for (size_t i = 0; i < v->n_problems; i++)
		free_problem(&v->problems[i]);
	free(v->problems);
	free(v->origin);
	free(v->withdrawn);
	free(v->unwitnessed_why);
	memset(v, 0, sizeof *v);
}

/* ---- the whole ---- */

static void use_checkpoint(struct hps_verifier *v, struct hps_checkpoint *c)
{
	v->found->size = c->size;
	v->found->origin = hps_take(c->origin);
	v->root = c->root;
	hps_digest_hex(&c->root, v->found->root);
	hps_digest_hex(&c->root, v->found->published);
}

/* The database has the note as well; it is as good, for it is signed. */
static bool use_stored_note(struct hps_verifier *v)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
	struct hps_digest root;
	uint64_t size;

	if (!v->own.store || hps_store_head(v->own.store, &size, &root, &note, NULL) || hps_checkpoint_open(note.data, note.len, &v->trust.log, &c, NULL))
		return false;
	use_checkpoint(v, &c);
	return true;
}

/* When the checkpoint is damaged, what it says is still tried, to say what else is; *ret_signed is false then. */
static bool read_checkpoint(struct hps_verifier *v, bool *ret_signed)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	const char *end;

	*ret_signed = !hps_checkpoint_open(v->note.data, v->note.len, &v->trust.log, &c, &e);
	if (!*ret_signed) {
		hps_problem_add(v, -1, NULL, "tiles/checkpoint", "%s", e.message);
		*ret_signed = use_stored_note(v);
		if (*ret_signed)
			return true;
		end = v->note.len ? memmem(v->note.data, v->note.len, "\n\n", 2) : NULL;
		if (!end || hps_checkpoint_parse(v->note.data, (size_t)(end - v->note.data) + 1, &c, NULL))
			return false;
	}
	use_checkpoint(v, &c);
	return true;
}

/* Each thread reads the database by a connection of its own. */
static void start_threads(struct hps_verifier *v)
{
	uint64_t n_tiles = (v->found->size + HPS_TILE_WIDTH - 1) / HPS_TILE_WIDTH;

	v->n_threads = n_tiles < v->n_wanted ? (unsigned)n_tiles : v->n_wanted;
	v->threads = hps_alloc((v->n_threads + 1) * sizeof *v->threads);
	for (unsigned i = 0; v->n_threads > 1 && i < v->n_threads; i++) {
		_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

		if (v->own.store && hps_store_open(v->database, HPS_STORE_READ, &v->threads[i].store, &e))
			hps_problem_add_error(v, -1, NULL, "ledger.db", NULL, &e);
	}
}

static void verify_all(struct hps_verifier *v)
{
	start_threads(v);
	if (v->own.store)
		hps_verify_database_begin(v);
	hps_verify_leaves(v);
	if (v->n == v->found->size) {
		hps_verify_tiles(v);
		hps_verify_handovers(v);
		hps_verify_attested(v);
	}
	if (v->own.store)
		hps_verify_database(v);
	if (v->n == v->found->size) {
		hps_verify_journal(v);
		hps_verify_witnessed(v);
	}
	free(hps_take(v->hash)); /* what follows is a matter of ids and keys */
	hps_ids_check(v);
	hps_verify_missing(v);
	hps_authority_judge(v); /* when every entry has been read, also what is pending */
}

/* By a checkpoint that nobody signed: if the tree is not even its own, what followed from it means nothing. */
static void verify_unsigned(struct hps_verifier *v)
{
	struct hps_verification *f = v->found;
	size_t before = f->n_problems, unread = f->n_unread;

	verify_all(v);
	if (v->holds)
		return;
	while (f->n_problems > before)
		free_problem(&f->problems[--f->n_problems]);
	f->n_unread = unread;
	f->n_checked = 0;
}

/* What else is compared, when it is there and ours: a database from a stranger is not even opened. */
static void open_extras(struct hps_verifier *v, const char *dir, bool own)
{
	_cleanup_free_ char *database = hps_format("%s/ledger.db", dir);
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	int r;

	if (own && access(database, R_OK) == 0) {
		v->found->database_checked = true;
		r = hps_store_open(database, HPS_STORE_READ, &v->own.store, &e);
		if (r)
			hps_problem_add_error(v, -1, NULL, "ledger.db", NULL, &e);
		v->database = hps_take(database);
	}
	if (v->options->skip_objects || (faccessat(v->dirfd, "objects", F_OK, 0) && !v->found->database_checked))
		return;
	v->found->objects_checked = true;
	hps_error_release(&e);
	if (hps_objects_open(v->dirfd, "objects", false, &v->objects, &e))
		hps_problem_add_error(v, -1, NULL, "objects", NULL, &e);
}

static int open_trust(struct hps_verifier *v, bool *ret_usable, struct hps_error *err)
{
	const char *path = v->options->trust;
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	int r = hps_trust_read(path ? AT_FDCWD : v->dirfd, path ? path : HPS_TRUST_FILE, &v->trust, &e);

	*ret_usable = !r;
	if (r == -ENOENT)
		return hps_error_set(err, path ? HPS_E_NOTFOUND : HPS_E_DAMAGED, "the trust file '%s' is missing; without it nobody's signature can be trusted",
				     path ? path : HPS_TRUST_FILE);
	if (r && path) /* not the ledger's fault */
		return hps_error_set(err, r, "%s", e.message);
	if (r)
		hps_problem_add_error(v, -1, NULL, HPS_TRUST_FILE, NULL, &e);
	if (!r && hps_trust_follow_tiles(&v->trust, &(const struct hps_tiles){ .tilesfd = v->tilesfd }, NULL, &e))
		hps_problem_add_error(v, -1, NULL, "tiles/" HPS_HANDOVER_DIR, NULL, &e);
	return 0;
}

/* Checkpoint and journal of one moment. What is acknowledged and not published is the owner's to read. */
static int read_heads(struct hps_verifier *v, bool own, struct hps_error *err)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	_cleanup_fd_ int lock = hps_verify_pause_writers(v->dirfd);
	int r;

	if (lock < 0 && errno != ENOENT && (own || errno != EACCES)) {
		hps_error_errno(&e, "opening 'lock', to read the journal");
		hps_problem_add_error(v, -1, NULL, "journal", NULL, &e);
	}
	r = hps_file_read(v->tilesfd, "checkpoint", HPS_NOTE_MAX, &v->note, err);

	if (!r && lock >= 0)
		hps_verify_read_journal(v);
	return r;
}

static int open_ledger(struct hps_verifier *v, const char *dir, bool *ret_own, struct hps_error *err)
{
	struct stat s;
	int r = hps_ledger_open_dir(dir, &v->dirfd, err);

	if (r)
		return r;
	*ret_own = fstat(v->dirfd, &s) == 0 && s.st_uid == geteuid();
	if (!v->options->trust && !*ret_own) {
		return hps_error_set(err, HPS_E_DENIED,
				     "verifying the ledger '%s': user %u owns it, and the trust file in it proves nothing to you; give your own with --trust", dir,
				     (unsigned)s.st_uid);
	}
	r = hps_dir_open(v->dirfd, "tiles", &v->tilesfd, err);
	if (!r)
		r = read_heads(v, *ret_own, err);
	if (r == -ENOENT)
		return hps_error_set(err, HPS_E_DAMAGED, "the ledger '%s' is damaged: its checkpoint 'tiles/checkpoint' is missing; restore it from a copy", dir);
	return r;
}

static void release(struct hps_verifier *v)
{
	hps_authority_release(&v->authority);
	hps_trust_release(&v->trust);
	hps_buf_release(&v->note);
	hps_verify_thread_release(&v->own);
	for (unsigned i = 0; i < v->n_threads; i++)
		hps_verify_thread_release(&v->threads[i]);
	free(v->threads);
	free(v->database);
	hps_error_release(&v->structure_error);
	hps_pool_free(v->object_pool);
	hps_objects_free(v->objects);
	hps_ids_release(&v->ids);
	hps_map_release(&v->objects_seen);
	for (size_t i = 0; i < v->n_batches; i++)
		hps_batch_release(&v->batches[i]);
	free(v->batches);
	hps_map_release(&v->withdrawn);
	free(v->missing);
	free(v->hash);
	for (unsigned l = 1; l < HPS_TILE_LEVELS; l++)
		free(v->level[l]);
	free(v->suspects);
	hps_cleanup_fd(&v->dirfd);
	hps_cleanup_fd(&v->tilesfd);
}

static int verify_under(struct hps_verifier *v, bool is_signed, struct hps_error *err)
{
	if (is_signed && v->found->size >= SIZE_MAX_HERE)
		return hps_error_set(err, HPS_E_LIMIT, "verifying %llu entries: this program can hold together what it needs of %u", (unsigned long long)v->found->size, SIZE_MAX_HERE);
	if (is_signed)
		verify_all(v);
	else
		verify_unsigned(v);
	return 0;
}

int hps_ledger_verify(const char *dir, const struct hps_verify_options *options, struct hps_verification *ret, struct hps_error *err)
{
	static const struct hps_verify_options defaults = { 0 };
	struct hps_verifier v = { .options = options ? options : &defaults, .found = ret, .dirfd = -1, .tilesfd = -1, .note = HPS_BUF_INIT };
	bool own = false, usable = false, is_signed = false;
	int r;

	memset(ret, 0, sizeof *ret);
	ret->bodies_checked = !v.options->skip_bodies;
	v.n_wanted = v.options->threads ? v.options->threads : hps_processors();
	r = open_ledger(&v, dir, &own, err);
	if (!r)
		r = open_trust(&v, &usable, err);
	if (!r && usable)
		open_extras(&v, dir, own);
	if (!r && usable && read_checkpoint(&v, &is_signed))
		r = verify_under(&v, is_signed, err);
	release(&v);
	if (r)
		hps_verification_release(ret);
	return r;
}
