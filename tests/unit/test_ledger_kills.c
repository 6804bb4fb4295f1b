/* Processes that are killed at any instant while they append, publish, collect and witness: what was acknowledged is there, once, and
 * whole. Each rig has a control: the same with one guarantee broken, which it must find. */
#include "tests/unit/ledger_fixture.h"

#include <poll.h>
#include <time.h>

#define WORKERS_MAX 64
#define SITE "site"
#define WITNESS "witness"
#define TRUST LEDGER "/" HPS_TRUST_FILE

enum role { APPEND, PUBLISH, COLLECT, COSIGN, N_ROLES };

/* Short, and under `make check-full`. */
static int pick(int brief, int full)
{
	return getenv("HPS_TEST_FULL") ? full : brief;
}

static uint64_t seed_of_run(void)
{
	const char *given = getenv("HPS_TEST_SEED");
	uint64_t seed = (uint64_t)hps_time_now_ns();

	if (given)
		seed = strtoull(given, NULL, 10);
	print_message("# HPS_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed | 1;
}

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* ---- acknowledgements: each is one write into a pipe, which is whole or not there ---- */

struct ack {
	enum role role;
	int worker, number;
	uint64_t value;	      /* the entry's index, the size that was published or cosigned, how many objects were removed */
	struct hps_digest id; /* of an entry; of a cosigned tree its root */
};
struct acks {
	struct ack *v;
	size_t n;
};

static bool read_ack(int fd, struct acks *a)
{
	struct ack one;

	if (read(fd, &one, sizeof one) != sizeof one)
		return false;
	a->v = hps_grow(a->v, a->n, sizeof one);
	a->v[a->n++] = one;
	return true;
}

static void read_acks(int fd, struct acks *a)
{
	while (read_ack(fd, a))
		;
}

struct worker {
	enum role role;
	int number, from, to; /* which numbers it appends */
	int out, ready;
	bool waits;  /* to be killed, when it has appended them */
	bool broken; /* acknowledges before it is true; the collector: looks for no references */
};

static void say(const struct worker *w, int number, uint64_t value, const struct hps_digest *id)
{
	struct ack a = { w->role, w->number, number, value, *id };

	if (write(w->out, &a, sizeof a) != sizeof a)
		_exit(3);
}

static void say_ready(const struct worker *w)
{
	if (write(w->ready, "", 1) != 1)
		_exit(2);
}

/* ---- what they do ---- */

/* A trial that names a manifest, which names a file. Whoever appends it again has the same bytes. */
static json_t *trial_of(struct hps_ledger *l, int worker, int number)
{
	_cleanup_free_ char *study = hps_format("worker-%d", worker), *text = hps_format("content of %d, %d\n", worker, number / 16),
			    *nonce = hps_format("%032d", worker * 1000000 + number);
	_cleanup_json_ json_t *manifest = NULL;
	json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, study, number), *predicate = json_object_get(statement, "predicate");
	struct hps_digest file, d;
	char hex[HPS_DIGEST_HEX];

	hps_json_set_text(predicate, "nonce", nonce);
	hps_json_set_text(predicate, "time", "2026-01-02T03:04:05.000000006Z");
	if (number % 4 != 2)
		return statement;
	if (hps_objects_put(hps_ledger_objects(l), text, strlen(text), &file, NULL))
		_exit(5);
	hps_digest_hex(&file, hex);
	manifest = json_pack("{s:s, s:[{s:s, s:b, s:{s:s}, s:I}]}", "schema", "hps.materials/1", "items", "path", "/data/in", "stored", 1, "digest", "sha256",
			     hex, "size", (json_int_t)strlen(text));
	if (hps_objects_put_json(hps_ledger_objects(l), manifest, &d, NULL) || hps_objects_sync(hps_ledger_objects(l), NULL))
		_exit(5);
	hps_digest_hex(&d, hex);
	hps_json_set(predicate, "buildDefinition",
		     json_pack("{s:[{s:s, s:s, s:{s:s}}]}", "resolvedDependencies", "name", "materials", "mediaType", "application/vnd.hps.materials.v1+json",
			       "digest", "sha256", hex));
	return statement;
}

/* One in four is a begin entry: its lease is held to the end, so that the collector keeps what is stored meanwhile. */
static void append(const struct worker *w)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	if (hps_ledger_open(LEDGER, HPS_LEDGER_APPEND, NULL, &l, NULL))
		_exit(2);
	say_ready(w);
	for (int i = w->from; i < w->to; i++) {
		_cleanup_json_ json_t *statement = i % 4 ? trial_of(l, w->number, i) : fixture_statement(HPS_PREDICATE_BEGIN, "begun", i);
		struct hps_digest id = { { 0 } };
		uint64_t index = 0;
		char hex[65];

		if (w->broken)
			say(w, i, index, &id);
		if (hps_ledger_append(l, statement, hex, &index, &e)) {
			dprintf(2, "# worker %d, number %d: %s\n", w->number, i, e.message);
			_exit(4);
		}
		if (w->broken || hps_digest_parse(hex, &id))
			continue;
		say(w, i, index, &id);
	}
	while (w->waits)
		pause();
}

static void publish(const struct worker *w)
{
	const struct hps_publish options = { .target = SITE };

	say_ready(w);
	for (int i = 0;; i++) {
		_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
		struct hps_digest none = { { 0 } };
		uint64_t size, files;

		if (hps_ledger_open(LEDGER, HPS_LEDGER_READ, NULL, &l, NULL))
			_exit(2);
		if (w->broken)
			say(w, i, hps_ledger_size(l), &none);
		if (hps_publish(l, &options, &size, &files, NULL))
			_exit(4);
		if (!w->broken)
			say(w, i, size, &none);
	}
}

static bool keep_nothing(void *arg, const struct hps_digest *d)
{
	(void)arg;
	(void)d;
	return false;
}

/* Something for the collector to find that nobody names, and that is old. */
static void leave_stray(const struct worker *w, int i)
{
	_cleanup_free_ char *text = hps_format("stray %d %d\n", w->number, i), *path = NULL;
	_cleanup_fd_ int fd = -1;
	const struct timespec old[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;

	hps_digest_of(text, strlen(text), &d);
	hps_digest_hex(&d, hex);
	path = hps_format(LEDGER "/objects/%.2s", hex);
	(void)!mkdir(path, 0700);
	free(path);
	path = hps_format(LEDGER "/objects/%.2s/%s", hex, hex + 2);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0 || futimens(fd, old))
		_exit(5);
}

static void collect(const struct worker *w)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;

	if (hps_ledger_open(LEDGER, HPS_LEDGER_READ, NULL, &l, NULL))
		_exit(2);
	say_ready(w);
	for (int i = 0;; i++) {
		const struct hps_sweep_options careless = { .keep = keep_nothing, .older_than_ns = INT64_MAX };
		struct hps_sweep_result result = { 0 };
		struct hps_digest none = { { 0 } };

		for (int k = 0; k < 8; k++)
			leave_stray(w, 8 * i + k);
		if (w->broken ? hps_objects_sweep(l->objects, &careless, &result, NULL) : hps_ledger_collect(l, 0, false, &result, NULL))
			_exit(4);
		say(w, i, result.n_removed, &none);
	}
}

/* Asks the witness for the newest checkpoint; its memory is what `old` says. */
static int ask_witness(struct hps_witness *w, struct hps_ledger *l, uint64_t old, const struct hps_buf *note, struct hps_buf *ret)
{
	struct hps_tiles tiles = { .tilesfd = l->tilesfd, .size = l->size };
	struct hps_merkle_source source = { hps_tiles_node, &tiles };
	struct hps_serve_request request = { .method = "POST", .path = "/add-checkpoint" };
	struct hps_serve_reply reply = { .status = 200 };
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	struct hps_proof proof = { .n = 0 };

	hps_buf_addf(&body, "old %llu\n", (unsigned long long)old);
	if (old && old < l->size && hps_merkle_prove_consistency(&source, old, l->size, &proof, NULL))
		_exit(5);
	for (unsigned i = 0; i < proof.n; i++) {
		hps_base64(&body, proof.hash[i].b, HPS_DIGEST_LEN);
		hps_buf_addc(&body, '\n');
	}
	hps_buf_addc(&body, '\n');
	hps_buf_add(&body, note->data, note->len);
	request.body = body.data;
	request.body_len = body.len;
	hps_buf_init(&reply.body, 1 << 20);
	hps_witness_handle(w, &request, &reply);
	hps_buf_reset(ret);
	hps_buf_add(ret, reply.body.data, reply.body.len);
	hps_buf_release(&reply.body);
	return reply.status;
}

static void cosign(const struct worker *w)
{
	_cleanup_buf_ struct hps_buf answer = HPS_BUF_INIT;
	struct hps_witness *witness = NULL;
	uint64_t old = 0;

	if (hps_witness_open(WITNESS, NULL, &witness, NULL))
		_exit(2);
	say_ready(w);
	for (int i = 0;; i++) {
		_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
		_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;
		_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
		int status;

		if (hps_ledger_open(LEDGER, HPS_LEDGER_READ, NULL, &l, NULL) || hps_file_read(l->tilesfd, "checkpoint", HPS_NOTE_MAX, &note, NULL) ||
		    hps_checkpoint_open(note.data, note.len, &l->trust.log, &c, NULL))
			_exit(5);
		l->size = c.size;
		if (w->broken)
			say(w, i, c.size, &c.root);
		status = ask_witness(witness, l, old, &note, &answer);
		if (status == 409) { /* it remembers more than this process does */
			answer.data[answer.len - 1] = '\0';
			if (hps_parse_u64(answer.data, INT64_MAX, &old))
				_exit(5);
			status = ask_witness(witness, l, old, &note, &answer);
		}
		if (status != 200)
			_exit(4);
		old = c.size;
		if (!w->broken)
			say(w, i, c.size, &c.root);
	}
}

static pid_t start(const struct worker *w)
{
	static void (*const work[N_ROLES])(const struct worker *) = { append, publish, collect, cosign };
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		work[w->role](w);
		_exit(0);
	}
	return pid;
}

/* ---- what has become of what was acknowledged ---- */

static int note_entry(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct hps_map *held = arg;
	_cleanup_free_ char *key = hps_format("%s/%lld", e->study ? e->study : "-", (long long)e->number);
	void **slot = hps_map_slot(held, key);

	(void)err;
	*slot = (void *)((uintptr_t)*slot + 1);
	*hps_map_slot(held, e->id) = (void *)((uintptr_t)e->index + 1);
	return 0;
}

/* Acknowledged entries that are missing, there more than once, or not where it was said. Who acknowledges before it is true does not know
 * the place; of begin entries not even the number says anything then. */
static size_t count_wrong_entries(const struct acks *a)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_READ);
	static const struct hps_digest unknown;
	struct hps_map held = HPS_MAP_INIT;
	size_t wrong = 0;

	assert_ok(hps_ledger_each(l, NULL, note_entry, &held, err));
	for (size_t i = 0; i < a->n; i++) {
		const struct ack *k = &a->v[i];
		_cleanup_free_ char *key = hps_format("worker-%d/%d", k->worker, k->number);
		char id[HPS_DIGEST_HEX];

		hps_digest_hex(&k->id, id);
		if (k->role == APPEND)
			wrong += (k->number % 4 && (uintptr_t)hps_map_get(&held, key) != 1) ||
				 (!hps_digest_equal(&k->id, &unknown) && (uintptr_t)hps_map_get(&held, id) != k->value + 1);
	}
	hps_map_release(&held);
	return wrong;
}

/* Each begin entry's counter is its place among the begin entries. */
static int check_counter(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	int64_t *next = arg;

	(void)err;
	assert_int_equal(hps_json_int(json_object_get(e->statement, "predicate"), "counter", -1), (*next)++);
	return 0;
}

static int64_t check_counters(void)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_READ);
	struct hps_filter f = HPS_FILTER_ANY;
	int64_t next = 0;

	f.kind = "begin";
	assert_ok(hps_ledger_each(l, &f, check_counter, &next, err));
	return next;
}

/* The size of a checkpoint that the log signed, 0 when there is none; *ret_root is its root. */
static uint64_t checkpoint_at(const char *path, struct hps_digest *ret_root)
{
	_cleanup_(hps_checkpoint_release) struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	_cleanup_(hps_trust_release) struct hps_trust trust = { 0 };
	_cleanup_buf_ struct hps_buf note = HPS_BUF_INIT;

	if (!fixture_exists(path))
		return 0;
	assert_ok(hps_trust_read(AT_FDCWD, TRUST, &trust, err));
	assert_ok(hps_file_read(AT_FDCWD, path, HPS_NOTE_MAX, &note, err));
	assert_ok(hps_checkpoint_open(note.data, note.len, &trust.log, &c, err));
	*ret_root = c.root;
	return c.size;
}

static char *memory_of_witness(void)
{
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;

	hps_digest_of("example.org/test", strlen("example.org/test"), &d);
	hps_digest_hex(&d, hex);
	return hps_format(WITNESS "/logs/%s", hex);
}

/* What was said to be published or cosigned, and is not in the copy or the witness's memory now. */
static size_t count_behind(const struct acks *a, size_t from)
{
	_cleanup_free_ char *memory = memory_of_witness();
	struct hps_digest root[N_ROLES];
	const uint64_t size[N_ROLES] = { [PUBLISH] = checkpoint_at(SITE "/tiles/checkpoint", &root[PUBLISH]), [COSIGN] = checkpoint_at(memory, &root[COSIGN]) };
	size_t wrong = 0;

	for (size_t i = from; i < a->n; i++) {
		const struct ack *k = &a->v[i];

		if (k->role == PUBLISH || k->role == COSIGN)
			wrong += k->value > size[k->role];
		if (k->role == COSIGN && k->value == size[COSIGN] && size[COSIGN])
			assert_memory_equal(k->id.b, root[COSIGN].b, HPS_DIGEST_LEN);
	}
	return wrong;
}

static size_t count_problems(const char *dir)
{
	const struct hps_verify_options options = { .trust = TRUST };
	struct hps_verification v;
	size_t n;

	assert_ok(hps_ledger_verify(dir, &options, &v, err));
	n = v.n_problems;
	for (size_t i = 0; i < n && i < 5; i++)
		print_message("# %s: @%lld %s: %s\n", dir, (long long)v.problems[i].index, v.problems[i].file ? v.problems[i].file : "-", v.problems[i].what);
	if (!n)
		assert_int_equal(v.n_checked, v.size);
	hps_verification_release(&v);
	return n;
}

/* The witness has cosigned the beginning of this ledger and nothing else. */
static void check_witness(void)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_READ);
	struct hps_merkle_source source = { hps_store_node, l->store };
	_cleanup_free_ char *memory = memory_of_witness();
	struct hps_digest root, own;
	struct hps_merkle tree;
	uint64_t size = checkpoint_at(memory, &root);

	if (!size)
		return;
	assert_true(size <= hps_ledger_size(l));
	assert_ok(hps_merkle_load(&source, size, &tree, err));
	hps_merkle_root(&tree, &own);
	assert_memory_equal(own.b, root.b, HPS_DIGEST_LEN);
}

/* ---- 4,000 kills over appending, publishing, collecting and witnessing ---- */

#define ROUND 3	 /* processes, and kills, in a round */
#define ROUNDS 30 /* on one ledger; then another is begun, so that looking at it takes no longer than making it */

static void new_ledger(void)
{
	struct hps_ledger_init init = { .origin = "example.org/test" };
	_cleanup_(hps_trust_release) struct hps_trust trust = { 0 };
	_cleanup_free_ char *vkey = NULL;

	assert_ok(hps_dir_remove(AT_FDCWD, LEDGER, err));
	assert_ok(hps_dir_remove(AT_FDCWD, SITE, err));
	assert_ok(hps_dir_remove(AT_FDCWD, WITNESS, err));
	assert_ok(hps_ledger_create(LEDGER, &init, err));
	assert_ok(hps_trust_read(AT_FDCWD, TRUST, &trust, err));
	vkey = hps_vkey_format(trust.origin, trust.log.key);
	assert_ok(hps_witness_create(WITNESS, "w.example", NULL, err));
	assert_ok(hps_witness_add_log(WITNESS, vkey, err));
}

static bool has_from(const struct acks *acks, size_t from, enum role role)
{
	for (size_t i = from; i < acks->n; i++)
		if (acks->v[i].role == role)
			return true;
	return false;
}

/* Two append, a third does something else; when all are at work (one time in four: and have acknowledged something) they are killed one
 * after the other, each after a random time. */
static void kill_round(int round, int broken, uint64_t *seed, struct acks *acks)
{
	const enum role third = broken > APPEND ? (enum role)broken : (enum role)(1 + round % (N_ROLES - 1));
	int ends[2], ready[2], first = (int)(draw(seed) % ROUND);
	const size_t before = acks->n;
	pid_t pids[ROUND];
	char c;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(ready), 0);
	for (int i = 0; i < ROUND; i++) {
		struct worker w = { i < 2 ? APPEND : third, ROUND * round + i, 0, 40, ends[1], ready[1], .waits = true };

		w.broken = (int)w.role == broken;
		pids[i] = start(&w);
	}
	close(ends[1]);
	close(ready[1]);
	for (int i = 0; i < ROUND; i++)
		assert_int_equal(read(ready[0], &c, 1), 1);
	while (round % 4 == 3 && !(has_from(acks, before, APPEND) && has_from(acks, before, third)))
		assert_true(read_ack(ends[0], acks));
	for (int i = 0; i < ROUND; i++) {
		pid_t pid = pids[(first + i) % ROUND];
		struct timespec t = { 0, (long)(draw(seed) % 15000000) };
		int status;

		nanosleep(&t, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) && !(WIFEXITED(status) && broken >= 0)) /* it had given up before */
			fail_msg("round %d: process %d (%s) ended by itself with status %d", round, (first + i) % ROUND,
				 (first + i) % ROUND < 2 ? "append" : third == PUBLISH ? "publish" : third == COLLECT ? "collect" : "cosign", status);
	}
	read_acks(ends[0], acks);
	close(ends[0]);
	close(ready[0]);
}

/* At the end of a ledger: everything that was acknowledged, every byte, and what the next ones find. */
static size_t count_wrong(const struct acks *acks)
{
	size_t wrong = count_wrong_entries(acks) + count_problems(LEDGER);

	if (fixture_exists(SITE "/tiles/checkpoint"))
		wrong += count_problems(SITE);
	if (!wrong)
		check_witness();
	return wrong;
}

/* What kills left stops nobody, and is cleared away. */
static void goes_on(void)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	struct hps_sweep_result result;

	fixture_append(l, HPS_PREDICATE_SEARCH, NULL, -1, NULL);
	assert_ok(hps_lease_sweep(l, NULL, err));
	check_counters();
	assert_ok(hps_ledger_collect(l, 0, false, &result, err));
	assert_int_equal(count_problems(LEDGER), 0);
	fixture_shell("ls -A %s/staging %s/running >left; test \"$(grep -c . left)\" = 2 || { cat left >&2; exit 1; }", LEDGER, LEDGER);
	fixture_shell("test -z \"$(grep -rl '^stray ' %s/objects)\"", LEDGER);
}

/* Returns how much was wrong; `broken` is the role that lies, or -1. With one that lies it ends as soon as it is found out. */
static size_t kill_many(int rounds, int broken, size_t *n)
{
	uint64_t seed = seed_of_run();
	size_t wrong = 0;

	memset(n, 0, N_ROLES * sizeof *n);
	for (int round = 0; round < rounds && (!wrong || broken < 0);) {
		struct acks acks = { NULL, 0 };
		int end = round + ROUNDS < rounds ? round + ROUNDS : rounds;

		new_ledger();
		for (; round < end && (!wrong || broken < 0); round++) {
			size_t before = acks.n;

			kill_round(round, broken, &seed, &acks);
			wrong += count_behind(&acks, before);
		}
		wrong += count_wrong(&acks);
		if (!wrong) {
			goes_on();
			assert_int_equal(fixture_size(LEDGER "/journal"), 0); /* nothing was left to those who waited and are dead */
		}
		for (size_t i = 0; i < acks.n; i++)
			n[acks.v[i].role]++;
		free(acks.v);
	}
	return wrong;
}

static void test_killed_at_any_instant(void **state)
{
	const int kills = pick(120, 4002);
	size_t n[N_ROLES];

	(void)state;
	assert_int_equal(kill_many(kills / ROUND, -1, n), 0);
	print_message("# %d kills; acknowledged, and all there: %zu entries, %zu publications, %zu cosignatures; %zu collections\n", kills, n[APPEND], n[PUBLISH],
		      n[COSIGN], n[COLLECT]);
	assert_true(n[APPEND] > (size_t)kills / 15); /* they were at work, not starting */
	assert_true(n[PUBLISH] && n[COLLECT] && n[COSIGN]);
}

/* The rig has teeth: one that acknowledges too early, or collects without looking, is found out. */
static void test_kills_find_what_is_broken(void **state)
{
	size_t n[N_ROLES];

	(void)state;
	for (int role = 0; role < N_ROLES; role++)
		if (!kill_many(10 * ROUNDS, role, n))
			fail_msg("role %d lies, and nothing shows it", role);
}

/* ---- 64 processes, 200 entries each, killed and started again while they append ---- */

struct crowd {
	struct {
		pid_t pid;
		int next; /* the first number that nobody has acknowledged */
	} workers[WORKERS_MAX];
	int n, each, n_left, n_kills;
	bool broken;
	int ends[2], ready;
	struct acks acks;
	uint64_t seed;
};

static void start_worker(struct crowd *c, int i)
{
	struct worker w = { APPEND, i, c->workers[i].next, c->each, c->ends[1], c->ready, .broken = c->broken };

	c->workers[i].pid = start(&w);
}

static void take_acks(struct crowd *c)
{
	size_t before = c->acks.n;

	read_acks(c->ends[0], &c->acks); /* what is there */
	for (size_t i = before; i < c->acks.n; i++)
		c->workers[c->acks.v[i].worker].next = c->acks.v[i].number + 1;
}

/* Those that have done their work; any other end than that is a failure. */
static void reap(struct crowd *c)
{
	int status;

	for (int i = 0; i < c->n; i++) {
		if (!c->workers[i].pid || waitpid(c->workers[i].pid, &status, WNOHANG) != c->workers[i].pid)
			continue;
		assert_int_equal(status, 0);
		c->workers[i].pid = 0;
		c->n_left--;
	}
}

/* A new process goes on behind what is known of the dead one; what that had appended without saying so is appended again. */
static void kill_one(struct crowd *c)
{
	int i = (int)(draw(&c->seed) % (uint64_t)c->n), status;

	if (!c->workers[i].pid)
		return;
	kill(c->workers[i].pid, SIGKILL);
	assert_int_equal(waitpid(c->workers[i].pid, &status, 0), c->workers[i].pid);
	take_acks(c);
	if (WIFSIGNALED(status)) {
		c->n_kills++;
		start_worker(c, i);
	} else {
		assert_int_equal(status, 0);
		c->workers[i].pid = 0;
		c->n_left--;
	}
}

static void run_crowd(struct crowd *c, int kills)
{
	const size_t total = (size_t)(c->n * c->each);
	int n_looks = 0;

	c->seed = seed_of_run();
	c->n_left = c->n;
	assert_int_equal(pipe2(c->ends, O_NONBLOCK), 0);
	assert_int_equal(fcntl(c->ends[1], F_SETFL, 0), 0);
	for (int i = 0; i < c->n; i++)
		start_worker(c, i);
	while (c->n_left) {
		take_acks(c);
		reap(c);
		/* The kills are spread over the work. */
		while (c->n_left && c->n_kills < kills && c->acks.n * (size_t)kills > (size_t)c->n_kills * total)
			kill_one(c);
		/* A ledger in use verifies at every moment; its checkpoints are kept for the other reader. */
		if (c->acks.n * 5 > total * (size_t)n_looks) {
			fixture_shell("cp %s/tiles/checkpoint checkpoint.%d", LEDGER, n_looks++);
			assert_true(c->broken || !count_problems(LEDGER));
		}
		poll(&(struct pollfd){ .fd = c->ends[0], .events = POLLIN }, 1, 20);
	}
	take_acks(c);
	close(c->ends[0]);
	close(c->ends[1]);
}

/* Another implementation checks every inclusion proof, and that the checkpoints seen meanwhile are beginnings of the last. */
static void ask_the_peer(uint64_t size)
{
	const char *build = getenv("HPS_BUILD");
	_cleanup_(hps_trust_release) struct hps_trust trust = { 0 };
	_cleanup_free_ char *vkey = NULL;

	assert_ok(hps_trust_read(AT_FDCWD, TRUST, &trust, err));
	vkey = hps_vkey_format(trust.origin, trust.log.key);
	fixture_shell("%s/peers/tlog %s/tiles '%s' checkpoint.* >peer || { cat peer >&2; exit 1; }; grep -qx '%llu entries hold' peer", build ? build : "build", LEDGER, vkey,
		      (unsigned long long)size);
}

static void test_a_crowd(void **state)
{
	struct crowd c = { .n = pick(8, WORKERS_MAX), .each = pick(40, 200) };
	const int kills = pick(16, 400);
	size_t n_begun = 0;
	uint64_t size;

	(void)state;
	c.ready = open("/dev/null", O_WRONLY | O_CLOEXEC);
	run_crowd(&c, kills);
	for (size_t i = 0; i < c.acks.n; i++)
		n_begun += c.acks.v[i].number % 4 == 0;
	assert_true(c.acks.n >= (size_t)(c.n * c.each));
	assert_int_equal(count_wrong_entries(&c.acks), 0);
	/* A begin entry of a process that was killed before it heard of it stays, and its successor makes another. */
	assert_true((size_t)check_counters() <= n_begun + (size_t)c.n_kills);
	{
		_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_READ);

		size = hps_ledger_size(l);
	}
	assert_true(size >= (uint64_t)(c.n * c.each) && size <= (uint64_t)(c.n * c.each + c.n_kills));
	fixture_verify(size, true);
	ask_the_peer(size);
	print_message("# %d processes, %d entries each, %d kills: %llu entries, every proof holds elsewhere\n", c.n, c.each, c.n_kills, (unsigned long long)size);
	close(c.ready);
	free(c.acks.v);
}

static void test_a_crowd_finds_early_acknowledgement(void **state)
{
	struct crowd c = { .n = 8, .each = 100, .broken = true }; /* one kill in ten or twenty meets a process between its word and its deed */

	(void)state;
	c.ready = open("/dev/null", O_WRONLY | O_CLOEXEC);
	run_crowd(&c, 120);
	assert_true(count_wrong_entries(&c.acks) > 0);
	close(c.ready);
	free(c.acks.v);
}

/* In memory: what a killed process has written is there with and without a disk, and flushing would only make it slow. */
static int enter(void **state)
{
	struct hps_ledger_init init = { .origin = "example.org/test" };
	int r = fixture_enter_below(state, access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");

	assert_ok(hps_ledger_create(LEDGER, &init, err));
	return r;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, fixture_leave)

/* usage: test_ledger_kills [NAME]: one of them */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_killed_at_any_instant),
		TEST(test_kills_find_what_is_broken),
		TEST(test_a_crowd),
		TEST(test_a_crowd_finds_early_acknowledgement),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
