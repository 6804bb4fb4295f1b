/* Writers that all want to append at once: each gets its share. (How long one waits is a matter of the machine: `make bench` says it.) */
#include "tests/unit/ledger_fixture.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define WRITERS 8
#define RUN_NS 1200000000

struct shared {
	_Atomic bool stop;
	_Atomic uint32_t ready, done[WRITERS];
	_Atomic int64_t longest_ns;
};

static void wait_for_all(struct shared *s)
{
	atomic_fetch_add(&s->ready, 1);
	while (s->ready < WRITERS && !s->stop)
		usleep(500);
}

static void note(struct shared *s, int writer, int64_t start)
{
	int64_t took = hps_time_monotonic_ns() - start, longest = s->longest_ns;

	s->done[writer]++;
	while (took > longest && !atomic_compare_exchange_weak(&s->longest_ns, &longest, took))
		;
}

static void append(struct shared *s, int writer)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);

	wait_for_all(s);
	for (int64_t i = 0; !s->stop; i++) {
		int64_t start = hps_time_monotonic_ns();

		fixture_append(l, HPS_PREDICATE_TRIAL, "s", writer * 1000000 + i, NULL);
		note(s, writer, start);
	}
}

/* As it would be without a queue: every row a transaction, and SQLite itself has them wait for one another. */
static void insert(struct shared *s, int writer)
{
	sqlite3 *db;

	if (sqlite3_open("plain.db", &db) || sqlite3_busy_timeout(db, 60000) || sqlite3_exec(db, "PRAGMA journal_mode = TRUNCATE", NULL, NULL, NULL))
		_exit(1);
	wait_for_all(s);
	while (!s->stop) {
		int64_t start = hps_time_monotonic_ns();

		if (sqlite3_exec(db, "BEGIN IMMEDIATE; INSERT INTO t VALUES(randomblob(1000)); COMMIT", NULL, NULL, NULL))
			break;
		note(s, writer, start);
	}
	sqlite3_close(db);
}

/* How many the one with the fewest has of what would be its equal share. */
static double least_share(void (*work)(struct shared *, int))
{
	struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint32_t sum = 0, least = UINT32_MAX;
	int status, failed = 0;

	assert_true(s != MAP_FAILED);
	for (int i = 0; i < WRITERS; i++)
		if (fork() == 0) {
			work(s, i);
			_exit(0);
		}
	while (s->ready < WRITERS)
		usleep(500);
	usleep(RUN_NS / 1000);
	s->stop = true;
	while (wait(&status) > 0)
		failed |= status;
	assert_int_equal(failed, 0);
	for (int i = 0; i < WRITERS; i++) {
		print_message("%u ", s->done[i]);
		sum += s->done[i];
		least = s->done[i] < least ? s->done[i] : least;
	}
	print_message("least %.2f of its share, longest %.0f ms\n", (double)least * WRITERS / sum, (double)s->longest_ns / 1e6);
	munmap(s, sizeof *s);
	return (double)least * WRITERS / sum;
}

static void test_writers_are_served_alike(void **state)
{
	(void)state;
	assert_true(least_share(append) > 0.2);
}

/* The negative control: left to SQLite, some starve. */
static void test_without_a_queue_some_starve(void **state)
{
	double least = 1;
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open("plain.db", &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(bytes BLOB)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	for (int i = 0; i < 5 && least > 0.2; i++)
		least = least_share(insert);
	assert_true(least <= 0.2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_ledger, fixture_leave)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_writers_are_served_alike), TEST(test_without_a_queue_some_starve) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
