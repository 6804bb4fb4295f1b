/* What `make bench` and tests/e2e/19-ledger-scale.t do with a ledger, by the library itself: large ones are made, entries appended by one
 * writer or many and beside a bare file, and inclusion proofs made. Each prints one JSON object, times in milliseconds. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 200

static void stop(const char *what, const struct hps_error *e)
{
	fprintf(stderr, "%s: %s\n", what, e && e->message ? e->message : strerror(errno));
	exit(1);
}

/* What hps-search appends most: a proposal with its parameters. */
static json_t *statement(uint64_t number)
{
	json_t *s = hps_statement_new(HPS_PREDICATE_SEARCH), *predicate = json_object_get(s, "predicate");
	_cleanup_free_ char *study = hps_format("study-%llu", (unsigned long long)number / 1000);

	hps_json_add(json_object_get(s, "subject"), json_pack("{s:s, s:{s:s}}", "name", "specification", "digest", "sha256",
							      "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"));
	hps_json_set_text(predicate, "study", study);
	hps_json_set_text(predicate, "event", "commit");
	hps_json_set_int(predicate, "number", (int64_t)number % 1000);
	hps_json_set(predicate, "params", json_pack("{s:f, s:I, s:s}", "lr", 0.001 * (double)(number % 977), "layers", (json_int_t)(number % 7), "optimizer", "adam"));
	return s;
}

static struct hps_ledger *open_ledger(const char *dir, unsigned flags)
{
	struct hps_error e = HPS_ERROR_INIT;
	struct hps_ledger *l = NULL;

	if (hps_ledger_open(dir, flags, NULL, &l, &e))
		stop("opening", &e);
	return l;
}

static void fill(const char *dir, uint64_t n)
{
	struct hps_ledger *l = open_ledger(dir, HPS_LEDGER_APPEND);

	for (uint64_t done = hps_ledger_size(l); done < n;) {
		size_t some = n - done < AT_ONCE ? (size_t)(n - done) : AT_ONCE;
		struct hps_error e = HPS_ERROR_INIT;
		json_t *statements[AT_ONCE];

		for (size_t i = 0; i < some; i++)
			statements[i] = statement(done + i);
		if (hps_ledger_append_all(l, (const json_t *const *)statements, some, NULL, NULL, &e))
			stop("appending", &e);
		for (size_t i = 0; i < some; i++)
			json_decref(statements[i]);
		done += some;
	}
	printf("{\"entries\":%llu}\n", (unsigned long long)hps_ledger_size(l));
	hps_ledger_close(l);
}

/* ---- writers: each notes how long each of its calls took ---- */

struct writing {
	const char *dir;
	size_t n, bytes; /* bytes: into a file of that name instead, under its lock if there are several writers */
	bool locked;
	double *ms;
	struct shared *shared;
	unsigned writer, writers;
};

/* Nobody begins before all are ready. */
struct shared {
	_Atomic unsigned ready;
	double bytes; /* of the batch of the first entry, as it lies in the journal */
	_Atomic int64_t begun_ns, answered_ns; /* the first call, and the end of the last */
	_Atomic int64_t cpu_ns; /* of all writers in between */
};

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void wait_for_all(const struct writing *w)
{
	atomic_fetch_add(&w->shared->ready, 1);
	while (atomic_load(&w->shared->ready) < w->writers)
		usleep(1000);
	w->shared->begun_ns = hps_time_monotonic_ns();
}

static double ms_since(int64_t start)
{
	return (double)(hps_time_monotonic_ns() - start) / 1e6;
}

static void append_entries(const struct writing *w)
{
	struct hps_ledger *l = open_ledger(w->dir, HPS_LEDGER_APPEND);
	int64_t begun;

	wait_for_all(w);
	begun = cpu_ns();
	for (size_t i = 0; i < w->n; i++) {
		_cleanup_json_ json_t *one = statement(w->writer * w->n + i);
		struct hps_error e = HPS_ERROR_INIT;
		int64_t start = hps_time_monotonic_ns();

		if (hps_ledger_append(l, one, NULL, NULL, &e))
			stop("appending", &e);
		w->ms[i] = ms_since(start);
		if (!i && !w->writer && l->journal.end > HPS_JOURNAL_HEADER)
			w->shared->bytes = (double)(l->journal.end - HPS_JOURNAL_HEADER);
	}
	w->shared->answered_ns = hps_time_monotonic_ns();
	w->shared->cpu_ns += cpu_ns() - begun;
	hps_ledger_close(l);
}

static void append_bytes(const struct writing *w)
{
	int fd = open(w->dir, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	_cleanup_free_ char *bytes = hps_alloc(w->bytes);

	if (fd < 0)
		stop(w->dir, NULL);
	wait_for_all(w);
	for (size_t i = 0; i < w->n; i++) {
		int64_t start = hps_time_monotonic_ns();

		if ((w->locked && flock(fd, LOCK_EX)) || hps_write_all(fd, bytes, w->bytes) || fdatasync(fd) || (w->locked && flock(fd, LOCK_UN)))
			stop("writing", NULL);
		w->ms[i] = ms_since(start);
	}
	w->shared->answered_ns = hps_time_monotonic_ns();
	close(fd);
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_times(double *ms, size_t n, double total_ms)
{
	qsort(ms, n, sizeof *ms, by_size);
	printf("\"calls\":%zu,\"longest\":%.4f,\"median\":%.4f,\"ms\":%.3f,\"p99\":%.4f}\n", n, ms[n - 1], ms[n / 2], total_ms, ms[n - 1 - n / 100]);
}

static void write_all(const char *dir, unsigned writers, size_t n, size_t bytes)
{
	struct shared *shared = mmap(NULL, sizeof *shared + writers * n * sizeof(double), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double *ms = (double *)(shared + 1);
	int status, failed = 0;

	if (shared == MAP_FAILED)
		stop("memory", NULL);
	for (unsigned i = 0; i < writers; i++) {
		const struct writing w = { .dir = dir, .n = n, .bytes = bytes, .locked = writers > 1, .ms = ms + i * n, .shared = shared, .writer = i, .writers = writers };

		if (fork() != 0)
			continue;
		if (bytes)
			append_bytes(&w);
		else
			append_entries(&w);
		_exit(0);
	}
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		exit(1);
	printf("{\"bytes\":%.0f,\"closed\":%.3f,\"cpu\":%.3f,", shared->bytes, ms_since(shared->begun_ns), (double)shared->cpu_ns / 1e6);
	print_times(ms, writers * n, (double)(shared->answered_ns - shared->begun_ns) / 1e6);
}

/* ---- proofs ---- */

static void prove(struct hps_ledger *l, uint64_t index, const struct hps_digest *root)
{
	struct hps_tiles tiles = { .tilesfd = l->tilesfd, .size = l->size };
	struct hps_merkle_source source = { hps_tiles_node, &tiles };
	_cleanup_buf_ struct hps_buf leaf = HPS_BUF_INIT;
	struct hps_error e = HPS_ERROR_INIT;
	struct hps_digest hash;
	struct hps_proof proof;

	if (hps_tiles_leaf(&tiles, index, &leaf, &e) || hps_merkle_prove_inclusion(&source, index, tiles.size, &proof, &e))
		stop("proving", &e);
	hps_merkle_leaf(leaf.data, leaf.len, &hash);
	if (hps_merkle_check_inclusion(index, tiles.size, &hash, proof.hash, proof.n, root, &e))
		stop("checking a proof", &e);
}

static void prove_some(const char *dir, size_t n)
{
	struct hps_ledger *l = open_ledger(dir, HPS_LEDGER_READ);
	_cleanup_free_ double *ms = hps_alloc(n * sizeof *ms);
	int64_t begun = hps_time_monotonic_ns();

	for (size_t i = 0; i < n; i++) {
		uint64_t index = 0;
		int64_t start;

		if (hps_random(&index, sizeof index, NULL))
			stop("random", NULL);
		start = hps_time_monotonic_ns();
		prove(l, index % l->size, &l->root);
		ms[i] = ms_since(start);
	}
	printf("{");
	print_times(ms, n, ms_since(begun));
	hps_ledger_close(l);
}

int main(int argc, char **argv)
{
	uint64_t a = 0, b = 0, c = 0;

	if (argc < 4 || hps_parse_u64(argv[3], INT32_MAX, &a) || (argc > 4 && hps_parse_u64(argv[4], INT32_MAX, &b)) ||
	    (argc > 5 && hps_parse_u64(argv[5], INT32_MAX, &c))) {
		fprintf(stderr, "usage: ledger fill DIR N | prove DIR N | append DIR WRITERS N | write FILE WRITERS N BYTES\n");
		return 2;
	}
	if (!strcmp(argv[1], "fill"))
		fill(argv[2], a);
	else if (!strcmp(argv[1], "prove") && a)
		prove_some(argv[2], a);
	else if (a && b && (!strcmp(argv[1], "append") || (!strcmp(argv[1], "write") && c)))
		write_all(argv[2], (unsigned)a, b, c);
	else
		return 2;
	return 0;
}
