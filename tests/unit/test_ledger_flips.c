/* One flipped bit in any byte that a ledger stores is found, and the finding names the entry and the file. */
#include "tests/unit/ledger_fixture.h"

#include <ftw.h>
#include <time.h>

#define N_ENTRIES 5 /* the cases of test_files_gone are about five */
#define N_LARGE 14
#define STORED "what the trial read\n"

static struct hps_strv files; /* of the ledger, by nftw's callback */
static int n_entries = N_ENTRIES; /* of the ledger that the test has */

static bool full(void)
{
	return getenv("HPS_TEST_FULL") != NULL;
}

/* A trial record that names a manifest in the content store, which says that a file is stored there. */
static void append_trial(struct hps_ledger *l, int64_t number)
{
	_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, "digits", number), *manifest = NULL;
	struct hps_digest file, d;
	char hex[HPS_DIGEST_HEX];

	assert_ok(hps_objects_put(hps_ledger_objects(l), STORED, strlen(STORED), &file, err));
	hps_digest_hex(&file, hex);
	manifest = json_pack("{s:s, s:[{s:s, s:b, s:{s:s}, s:I}]}", "schema", "hps.materials/1", "items", "path", "/data/digits.csv", "stored", 1, "digest",
			     "sha256", hex, "size", (json_int_t)number);
	assert_ok(hps_objects_put_json(hps_ledger_objects(l), manifest, &d, err));
	hps_digest_hex(&d, hex);
	hps_json_set(json_object_get(statement, "predicate"), "buildDefinition",
		     json_pack("{s:[{s:s, s:s, s:{s:s}}]}", "resolvedDependencies", "name", "materials", "mediaType", "application/vnd.hps.materials.v1+json",
			       "digest", "sha256", hex));
	assert_ok(hps_ledger_append(l, statement, NULL, NULL, err));
	assert_ok(hps_ledger_refresh(l, err)); /* published one by one: each leaves its partial tiles */
}

static int enter(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;

	fixture_ledger(state);
	l = fixture_open(HPS_LEDGER_APPEND);
	for (int i = 0; i < n_entries; i++)
		append_trial(l, i);
	return 0;
}

/* As many as make a ledger of 64 KiB, when everything is tried. */
static int enter_large(void **state)
{
	int r;

	n_entries = full() ? N_LARGE : N_ENTRIES;
	r = enter(state);
	return r;
}

static int leave_large(void **state)
{
	n_entries = N_ENTRIES;
	return fixture_leave(state);
}

static int note_file(const char *path, const struct stat *s, int type, struct FTW *at)
{
	(void)s;
	(void)at;
	if (type == FTW_F)
		hps_strv_add(&files, path + strlen(LEDGER "/"));
	return 0;
}

/* The number of the last entry whose envelope has this id. */
static int64_t index_of_envelope(const char *file)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_READ);
	_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
	_cleanup_free_ char *id = hps_strndup(strrchr(file, '/') + 1, 64);

	assert_ok(hps_ledger_find(l, id, &e, err));
	return (int64_t)e.index;
}

struct place {
	const char *file;
	off_t size;
	int64_t envelope; /* index of the entry, for envelopes */
	bool is_bundle, is_tile;
};

/* Which entry byte `at` of the file belongs to, or -1: entries of a bundle are 2 + 489 bytes each here, or 4 less. */
static int64_t index_at(const struct place *p, const struct hps_buf *whole, off_t at)
{
	size_t start = 0;
	const uint8_t *leaf;
	size_t len;

	if (p->envelope >= 0)
		return p->envelope;
	if (p->is_tile)
		return at / 32;
	for (int64_t i = 0; p->is_bundle && hps_bundle_next(whole, &start, &leaf, &len); i++)
		if ((size_t)at < start)
			return i;
	return -1;
}

static bool names(const struct hps_problem *problem, const struct place *p, int64_t index)
{
	return problem->file && !strcmp(problem->file, p->file) && (index < 0 || problem->index == index);
}

/* ---- every byte, every length, every two files ---- */

static const struct hps_verify_options everything, careless = { .skip_bodies = true, .skip_objects = true };

/* How many problems are found, and whether one of them is of that file and entry (-1: any). What cannot be verified at all names the file. */
static size_t look(const struct hps_verify_options *options, const struct place *p, int64_t index, bool *ret_named)
{
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	struct hps_verification v = { 0 };
	size_t n;

	*ret_named = false;
	if (hps_ledger_verify(LEDGER, options, &v, &e)) {
		*ret_named = e.message && strstr(e.message, p->file);
		return 1;
	}
	n = v.n_problems;
	for (size_t i = 0; i < n; i++)
		*ret_named |= names(&v.problems[i], p, index);
	hps_verification_release(&v);
	return n;
}

static void show(void)
{
	struct hps_verification v = { 0 };

	if (hps_ledger_verify(LEDGER, NULL, &v, NULL))
		return;
	for (size_t i = 0; i < v.n_problems; i++)
		print_error("@%lld %s: %s\n", (long long)v.problems[i].index, v.problems[i].file ? v.problems[i].file : "-", v.problems[i].what);
	hps_verification_release(&v);
}

/* The bit is flipped, found and flipped back. */
static void flip(const struct place *p, const struct hps_buf *whole, off_t at, unsigned bit)
{
	_cleanup_free_ char *path = hps_format(LEDGER "/%s", p->file);
	int64_t index = index_at(p, whole, at);
	bool named;
	size_t n;

	fixture_flip(path, at, bit);
	n = look(&everything, p, index, &named);
	/* Nothing else is accused: one bit, one entry, one file. */
	if (!named || n > 1) {
		show();
		fail_msg("byte %lld, bit %u of '%s' (entry %lld): %zu problems, %s", (long long)at, bit, p->file, (long long)index, n, named ? "too many" : "none names it");
	}
	fixture_flip(path, at, bit);
}

/* Everything that a verifier reads but the database and the journal, which have tests of their own. */
static off_t find_files(void)
{
	off_t total = 0;

	assert_int_equal(nftw(LEDGER "/tiles", note_file, 16, FTW_PHYS), 0);
	assert_int_equal(nftw(LEDGER "/objects", note_file, 16, FTW_PHYS), 0);
	hps_strv_add(&files, "trust.json");
	for (size_t i = 0; i < files.n; i++) {
		_cleanup_free_ char *path = hps_format(LEDGER "/%s", files.v[i]);

		total += fixture_size(path);
	}
	return total;
}

static struct place place_of(const char *file)
{
	struct place p = { .file = file, .envelope = -1 };

	p.is_bundle = strstr(file, "tile/entries/");
	p.is_tile = strstr(file, "tile/0/");
	if (strstr(file, "tiles/envelope/"))
		p.envelope = index_of_envelope(file);
	return p;
}

/* What is published must show its damage without the database's help. */
static void hide_database(const struct place *p, bool hide)
{
	if (strstr(p->file, "tile/") || strstr(p->file, "envelope/"))
		assert_int_equal(hide ? rename(LEDGER "/ledger.db", "hidden") : rename("hidden", LEDGER "/ledger.db"), 0);
}

/* In short: every byte of the checkpoint, the trust file, the newest tile and the objects; one in three of bundle and envelopes; one in
 * eleven of superseded partial tiles. */
static off_t step_of(const struct place *p)
{
	_cleanup_free_ char *newest = hps_format("000.p/%d", n_entries);

	if (full())
		return 1;
	return strstr(p->file, "000.p/") && !strstr(p->file, newest) ? 11 : strstr(p->file, "envelope/") || strstr(p->file, "entries/") ? 3 : 1;
}

static uint64_t seed_of_run(void)
{
	const char *given = getenv("HPS_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)hps_time_now_ns() | 1;

	print_message("# HPS_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* One random bit of each. */
static void test_every_byte(void **state)
{
	uint64_t seed = seed_of_run(), n = 0;
	off_t total = find_files();

	(void)state;
	assert_true(!full() || total >= 64 << 10);
	for (size_t i = 0; i < files.n; i++) {
		_cleanup_buf_ struct hps_buf whole = HPS_BUF_INIT;
		_cleanup_free_ char *path = hps_format(LEDGER "/%s", files.v[i]);
		struct place p = place_of(files.v[i]);
		off_t step = step_of(&p);

		assert_ok(hps_file_read(AT_FDCWD, path, 1 << 24, &whole, err));
		hide_database(&p, true);
		for (off_t at = (off_t)(seed % (uint64_t)step); at < (off_t)whole.len; at += step, n++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			flip(&p, &whole, at, (unsigned)(seed >> 61));
		}
		hide_database(&p, false);
	}
	hps_strv_release(&files);
	print_message("# %llu flips in %lld bytes found and located\n", (unsigned long long)n, (long long)total);
	fixture_verify((uint64_t)n_entries, true);
}

/* The control: a verifier that looks at no bodies misses some. */
static void test_every_byte_finds_what_is_broken(void **state)
{
	size_t n_missed = 0;

	(void)state;
	find_files();
	for (size_t i = 0; i < files.n; i++) {
		_cleanup_free_ char *path = hps_format(LEDGER "/%s", files.v[i]);
		struct place p = place_of(files.v[i]);
		bool named;

		for (off_t at = 0; at < fixture_size(path); at += 97) {
			fixture_flip(path, at, 3);
			n_missed += look(&careless, &p, -1, &named) == 0;
			fixture_flip(path, at, 3);
		}
	}
	hps_strv_release(&files);
	print_message("# a careless verifier misses %zu\n", n_missed);
	assert_true(n_missed > 10);
}

/* Each file cut to each shorter length (in short: some). */
static void test_every_length(void **state)
{
	uint64_t n = 0, seed = seed_of_run();

	(void)state;
	find_files();
	for (size_t i = 0; i < files.n; i++) {
		_cleanup_buf_ struct hps_buf whole = HPS_BUF_INIT;
		_cleanup_free_ char *path = hps_format(LEDGER "/%s", files.v[i]);
		struct place p = place_of(files.v[i]);
		off_t step = full() ? 1 : 37;

		assert_ok(hps_file_read(AT_FDCWD, path, 1 << 24, &whole, err));
		assert_int_equal(chmod(path, 0600), 0);
		hide_database(&p, true);
		for (off_t len = (off_t)whole.len - 1 - (off_t)(seed % (uint64_t)step); len >= 0; len -= step, n++) {
			bool named;

			assert_int_equal(truncate(path, len), 0);
			if (!look(&everything, &p, p.envelope, &named) || !named) {
				show();
				fail_msg("'%s' of %zu bytes cut to %lld: nothing names it", p.file, whole.len, (long long)len);
			}
		}
		hide_database(&p, false);
		fixture_put(path, &whole);
	}
	hps_strv_release(&files);
	print_message("# %llu truncations found and located\n", (unsigned long long)n);
	fixture_verify((uint64_t)n_entries, true);
}

static bool is_named(const struct place *p)
{
	bool named;

	return look(&everything, p, p->envelope, &named) && named;
}

/* Each two files in each other's place: both are named, at the latest when the other has been put right (where a bundle cannot be read nothing
 * is said of its envelopes). */
static void test_every_swap(void **state)
{
	_cleanup_free_ struct place *places = NULL;
	uint64_t n = 0;

	(void)state;
	find_files();
	places = hps_alloc(files.n * sizeof *places);
	for (size_t i = 0; i < files.n; i++)
		places[i] = place_of(files.v[i]);
	for (size_t i = 0; i < files.n; i++)
		for (size_t k = i + 1; k < files.n; k++, n++) {
			const struct place *p[2] = { &places[i], &places[k] };
			char *path[2] = { hps_format(LEDGER "/%s", files.v[i]), hps_format(LEDGER "/%s", files.v[k]) };
			struct hps_buf right[2] = { HPS_BUF_INIT, HPS_BUF_INIT };
			bool named[2];

			for (int side = 0; side < 2; side++)
				assert_ok(hps_file_read(AT_FDCWD, path[side], 1 << 24, &right[side], err));
			for (int side = 0; side < 2; side++)
				fixture_put(path[side], &right[!side]);
			for (int side = 0; side < 2; side++)
				named[side] = is_named(p[side]);
			for (int side = 0; side < 2; side++)
				if (!named[side] && named[!side]) {
					fixture_put(path[!side], &right[!side]);
					named[side] = is_named(p[side]);
				}
			if (!named[0] || !named[1]) {
				show();
				fail_msg("'%s' and '%s' exchanged: the %s is not named", p[0]->file, p[1]->file, named[0] ? "second" : "first");
			}
			for (int side = 0; side < 2; side++) {
				fixture_put(path[side], &right[side]);
				hps_buf_release(&right[side]);
				free(path[side]);
			}
		}
	hps_strv_release(&files);
	print_message("# %llu swaps of files found and located\n", (unsigned long long)n);
	fixture_verify((uint64_t)n_entries, true);
}

static void exchange(char *data, size_t len, size_t a, size_t b)
{
	char kept[1024];

	assert_true(len <= sizeof kept);
	memcpy(kept, data + a, len);
	memcpy(data + a, data + b, len);
	memcpy(data + b, kept, len);
}

/* Each two entries of one bundle, and each two hashes of one tile: both entries are named. */
static void test_every_swap_inside(void **state)
{
	static const char *const kinds[] = { "entries", "0" };
	uint64_t n = 0;

	(void)state;
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		_cleanup_free_ char *file = hps_format("tiles/tile/%s/000.p/%d", kinds[kind], n_entries), *path = hps_format(LEDGER "/%s", file);
		_cleanup_buf_ struct hps_buf whole = HPS_BUF_INIT;
		struct place p = { .file = file };
		size_t len;

		assert_ok(hps_file_read(AT_FDCWD, path, 1 << 24, &whole, err));
		len = whole.len / (size_t)n_entries;
		for (size_t i = 0; i < (size_t)n_entries; i++)
			for (size_t k = i + 1; len * (size_t)n_entries == whole.len && k < (size_t)n_entries; k++, n++) {
				bool first, second;

				exchange(whole.data, len, i * len, k * len);
				fixture_put(path, &whole);
				if (!look(&everything, &p, (int64_t)i, &first) || !look(&everything, &p, (int64_t)k, &second) || !first || !second) {
					show();
					fail_msg("entries %zu and %zu of '%s' exchanged: not both are named", i, k, p.file);
				}
				exchange(whole.data, len, i * len, k * len);
			}
		fixture_put(path, &whole);
	}
	print_message("# %llu swaps of entries and hashes found and located\n", (unsigned long long)n);
	assert_true(n > 0);
	fixture_verify((uint64_t)n_entries, true);
}

/* Contents of ledger.db: found wherever the bytes mean something, and named as the database's. */
static void test_database(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_READ);
	_cleanup_buf_ struct hps_buf db = HPS_BUF_INIT;
	unsigned n = 0;

	(void)state;
	assert_ok(hps_file_read(AT_FDCWD, LEDGER "/ledger.db", 1 << 24, &db, err));
	for (uint64_t index = 0; index < N_ENTRIES; index++) {
		_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT, envelope = HPS_BUF_INIT;
		struct place p = { .file = "ledger.db", .envelope = (int64_t)index };
		struct hps_digest id, node;
		const struct {
			const void *data;
			size_t len;
			bool is_node;
		} parts[] = { { id.b, 32, false }, { node.b, 32, true } };
		const char *at;

		assert_ok(hps_store_leaf(l->store, index, &id, &leaf, err));
		assert_ok(hps_store_envelope(l->store, index, &envelope, err));
		assert_ok(hps_store_node(l->store, 0, index, &node, err));
		at = memmem(db.data, db.len, leaf.data, leaf.len);
		assert_non_null(at);
		for (size_t i = 0; i < leaf.len; i += 13, n++)
			flip(&p, &db, at - db.data + (off_t)i, (unsigned)(i % 7));
		at = memmem(db.data, db.len, envelope.data, 900); /* the first of its pages */
		assert_non_null(at);
		for (size_t i = 0; i < 900; i += 23, n++)
			flip(&p, &db, at - db.data + (off_t)i, (unsigned)(i % 7));
		for (size_t k = 0; k < ARRAY_SIZE(parts); k++) {
			_cleanup_free_ char *path = hps_strdup(LEDGER "/ledger.db");
			struct hps_verification v = { 0 };

			at = memmem(db.data, db.len, parts[k].data, parts[k].len);
			assert_non_null(at);
			fixture_flip(path, at - db.data + 5, 3);
			assert_ok(hps_ledger_verify(LEDGER, NULL, &v, err));
			assert_true(v.n_problems > 0);
			for (size_t i = 0; i < v.n_problems; i++)
				assert_string_equal(v.problems[i].file, "ledger.db");
			fixture_flip(path, at - db.data + 5, 3);
			hps_verification_release(&v);
			n++;
		}
	}
	print_message("# %u flips of the database found\n", n);
	fixture_verify(N_ENTRIES, true);
}

/* Random bits anywhere in ledger.db: whatever they hit, nothing else is accused, and what is read back is right or refused. */
static void test_database_anywhere(void **state)
{
	uint64_t seed = (uint64_t)hps_time_now_ns() | 1;
	const char *given = getenv("HPS_TEST_SEED");
	unsigned n_found = 0;
	struct stat s;

	(void)state;
	if (given)
		seed = strtoull(given, NULL, 10);
	print_message("# HPS_TEST_SEED=%llu\n", (unsigned long long)seed);
	assert_int_equal(stat(LEDGER "/ledger.db", &s), 0);
	for (int round = 0; round < 600; round++) {
		struct hps_verification v = { 0 };
		struct hps_ledger *l = NULL;
		off_t at;
		unsigned bit;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		at = (off_t)((seed >> 20) % (uint64_t)s.st_size);
		bit = (unsigned)(seed >> 61);
		fixture_flip(LEDGER "/ledger.db", at, bit);
		assert_ok(hps_ledger_verify(LEDGER, NULL, &v, err));
		n_found += v.n_problems > 0;
		for (size_t i = 0; i < v.n_problems; i++)
			assert_string_equal(v.problems[i].file, "ledger.db");
		hps_verification_release(&v);
		if (!hps_ledger_open(LEDGER, HPS_LEDGER_READ, NULL, &l, NULL))
			for (uint64_t i = 0; i < N_ENTRIES; i++) {
				_cleanup_(hps_entry_release) struct hps_entry e = { 0 };

				if (!hps_ledger_load(l, i, &e, NULL))
					assert_int_equal(e.number, i);
			}
		hps_ledger_close(l);
		fixture_flip(LEDGER "/ledger.db", at, bit);
	}
	print_message("# %u of 600 random flips changed something that is stored\n", n_found);
	assert_true(n_found > 60);
	fixture_verify(N_ENTRIES, true);
}

/* What is acknowledged and only in the journal: every byte of it means something, and none is lost for a reader who looks. */
static void test_journal(void **state)
{
	struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_buf_ struct hps_buf whole = HPS_BUF_INIT;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		fixture_append(l, HPS_PREDICATE_BEGIN, "digits", i, NULL);
	fixture_verify(N_ENTRIES + 3, true);
	assert_ok(hps_file_read(AT_FDCWD, LEDGER "/journal", 1 << 24, &whole, err));
	assert_true(whole.len >= l->journal.end + 8);
	for (size_t at = 0; at < l->journal.end + 8; at++) { /* with the mark of the end; behind it are zeros for later */
		struct hps_verification v = { 0 };
		bool names_it = false;

		if (at >= 24 && at < 32) /* zeros for later */
			continue;
		fixture_flip(LEDGER "/journal", (off_t)at, (unsigned)(at % 8));
		assert_ok(hps_ledger_verify(LEDGER, NULL, &v, err));
		for (size_t i = 0; i < v.n_problems; i++)
			names_it |= v.problems[i].file && !strcmp(v.problems[i].file, "journal");
		if (!names_it)
			fail_msg("byte %zu of the journal: not found", at);
		fixture_flip(LEDGER "/journal", (off_t)at, (unsigned)(at % 8));
		hps_verification_release(&v);
		n++;
	}
	print_message("# %zu flips of the journal found\n", n);
	hps_ledger_close(l);
	fixture_verify(N_ENTRIES + 3, true);
	assert_int_equal(fixture_size(LEDGER "/journal"), 0);
}

/* A damaged last batch looks like one that was never finished; but its signature is remembered, so that nobody writes over it. */
static void test_journal_torn(void **state)
{
	struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND), *other = NULL;
	const struct hps_verify_options quick = { .skip_bodies = true, .skip_objects = true };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;
	struct hps_verification v = { 0 };
	bool named = false;
	off_t size;

	(void)state;
	for (int i = 0; i < 2; i++)
		fixture_append(l, HPS_PREDICATE_BEGIN, "digits", i, NULL);
	size = fixture_size(LEDGER "/journal");
	fixture_flip(LEDGER "/journal", size - 20, 3);
	assert_int_equal(hps_ledger_open(LEDGER, HPS_LEDGER_APPEND, NULL, &other, &e), HPS_E_DAMAGED);
	assert_non_null(strstr(e.message, "in its journal is damaged"));
	assert_null(other);
	assert_int_equal(fixture_size(LEDGER "/journal"), size);
	assert_ok(hps_ledger_fsck(LEDGER, &quick, &v, err));
	for (size_t i = 0; i < v.n_problems; i++)
		named |= strstr(v.problems[i].what, "acknowledged entries at the end of the journal") != NULL;
	assert_true(named);
	hps_verification_release(&v);
	fixture_flip(LEDGER "/journal", size - 20, 3);
	hps_ledger_close(l);
	fixture_verify(N_ENTRIES + 2, true);
}

/* Lines are gone, swapped, doubled: each is said of the right file. */
static void test_files_gone(void **state)
{
	static const struct {
		const char *damage, *file;
		int64_t index;
	} cases[] = {
		{ "rm tiles/tile/entries/000.p/5", "tiles/tile/entries/000.p/5", 0 },
		{ "rm tiles/tile/0/000.p/5", "tiles/tile/0/000.p/5", 0 },
		{ "truncate -s 1000 tiles/tile/entries/000.p/5", "tiles/tile/entries/000.p/5", 2 },
		{ "truncate -s 159 tiles/tile/0/000.p/5", "tiles/tile/0/000.p/5", 0 },
		{ "printf x >> tiles/tile/entries/000.p/5", "tiles/tile/entries/000.p/5", 4 },
		{ "printf x >> tiles/tile/entries/000.p/3", "tiles/tile/entries/000.p/3", 2 },
		{ "cp tiles/tile/0/000.p/4 tiles/tile/0/000.p/5", "tiles/tile/0/000.p/5", 0 },
		{ "truncate -s 100 tiles/tile/entries/000.p/2", "tiles/tile/entries/000.p/2", 0 },
		{ "truncate -s 0 tiles/checkpoint", "tiles/checkpoint", -1 },
		{ "rm -r objects/*", NULL, 0 },
		{ "rm -r objects", "objects", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct hps_verification v = { 0 };
		bool found = false;

		fixture_shell("rm -rf whole && cp -a %s whole && cd %s && %s", LEDGER, LEDGER, cases[i].damage);
		assert_ok(hps_ledger_verify(LEDGER, NULL, &v, err));
		for (size_t k = 0; k < v.n_problems; k++)
			found |= (!cases[i].file || (v.problems[k].file && !strcmp(v.problems[k].file, cases[i].file))) && v.problems[k].index == cases[i].index;
		if (!found)
			fail_msg("%s: %zu problems, first '%s' %s", cases[i].damage, v.n_problems, v.n_problems ? v.problems[0].file : "-",
				 v.n_problems ? v.problems[0].what : "-");
		hps_verification_release(&v);
		fixture_shell("rm -rf %s && mv whole %s", LEDGER, LEDGER);
	}
	fixture_verify(N_ENTRIES, true);
}

/* A withheld envelope is named; all other entries still hold, and so does the tree. */
static void test_withheld(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_READ);
	_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
	_cleanup_free_ char *file = NULL;
	struct hps_verification v = { 0 };

	(void)state;
	assert_ok(hps_ledger_find(l, "@3", &e, err));
	file = hps_format("tiles/envelope/%s.json", e.id);
	fixture_shell("rm %s/%s", LEDGER, file);
	assert_ok(hps_ledger_verify(LEDGER, NULL, &v, err));
	assert_int_equal(v.n_problems, 1);
	assert_int_equal(v.problems[0].index, 3);
	assert_string_equal(v.problems[0].id, e.id);
	assert_string_equal(v.problems[0].file, file);
	assert_non_null(strstr(v.problems[0].what, "withheld"));
	assert_int_equal(v.n_checked, N_ENTRIES - 1);
	hps_verification_release(&v);
}

/* Envelopes of two entries exchanged, and one of another ledger put in: all are signed, none is the one that was logged. */
static void test_swapped(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_READ);
	_cleanup_(hps_entry_release) struct hps_entry a = { 0 }, b = { 0 };
	struct hps_verification v = { 0 };

	(void)state;
	assert_ok(hps_ledger_find(l, "@1", &a, err));
	assert_ok(hps_ledger_find(l, "@2", &b, err));
	fixture_shell("cd %s/tiles/envelope && mv %s.json x && mv %s.json %s.json && mv x %s.json", LEDGER, a.id, b.id, a.id, b.id);
	assert_ok(hps_ledger_verify(LEDGER, NULL, &v, err));
	assert_int_equal(v.n_problems, 2);
	assert_int_equal(v.problems[0].index, 1);
	assert_int_equal(v.problems[1].index, 2);
	assert_int_equal(v.n_checked, N_ENTRIES - 2);
	hps_verification_release(&v);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, fixture_leave)
#define TEST_LARGE(name) cmocka_unit_test_setup_teardown(name, enter_large, leave_large)

/* usage: test_ledger_flips [NAME]: one of them */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST_LARGE(test_every_byte), TEST(test_every_byte_finds_what_is_broken), TEST_LARGE(test_every_length), TEST_LARGE(test_every_swap), TEST_LARGE(test_every_swap_inside),
		TEST(test_database), TEST(test_database_anywhere), TEST(test_journal), TEST(test_journal_torn), TEST(test_files_gone), TEST(test_withheld), TEST(test_swapped),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
