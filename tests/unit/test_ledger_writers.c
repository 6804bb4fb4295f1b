/* Several writers, and what they leave each other. Many at once, killed: test_ledger_kills.c; each its share: test_ledger_fair.c. */
#include "tests/unit/ledger_fixture.h"

#include <sys/file.h>

/* The queue is a file, and may say of a process that died before the machine was started that it asked at a time that is still to come. */
static void test_who_asked_in_another_life_is_nobody(void **state)
{
	struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	const int64_t later = hps_time_monotonic_ns() + (int64_t)3600 * 1000000000;
	_cleanup_fd_ int fd = -1;

	(void)state;
	fixture_append_many(l, 10);
	fd = open(LEDGER "/queue/slots", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	for (off_t slot = 1; slot < 100; slot++)
		assert_int_equal(pwrite(fd, &later, sizeof later, slot * 512 + 504), sizeof later);
	fixture_append_many(l, 200); /* more than are left unmoved when nobody else is there */
	fixture_append_many(l, 1);
	assert_true(l->size >= 200);
	fixture_append_many(l, 20);
	hps_ledger_close(l);
	assert_int_equal(fixture_size(LEDGER "/journal"), 0);
	fixture_verify(231, true);
}

/* Somebody reads the database for long: what is appended meanwhile is acknowledged, and moved into place afterwards. */
static int append_meanwhile(void *arg, unsigned level, uint64_t n, const struct hps_digest *hash)
{
	struct hps_ledger *l = arg;

	(void)level;
	(void)n;
	(void)hash;
	for (int i = 0; i < 5; i++)
		fixture_append_many(l, 200);
	return 1;
}

/* The negative control: that reader does stand in the way, and who waits for it waits as long as it is told to, in vain. */
static int settle_with_patience(void *arg, unsigned level, uint64_t n, const struct hps_digest *hash)
{
	struct hps_ledger *l = arg;
	int64_t start;

	(void)level;
	(void)n;
	(void)hash;
	assert_ok(hps_ledger_lock(l, err));
	hps_store_patience(l->store, 700);
	start = hps_time_monotonic_ns();
	assert_fails(-EBUSY, hps_ledger_settle_some(l, err));
	assert_true(hps_time_monotonic_ns() - start >= (int64_t)650 * 1000000);
	hps_store_patience(l->store, HPS_STORE_PATIENCE_MS);
	hps_ledger_unlock(l);
	return 1;
}

static void test_appending_beside_a_long_reader(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	struct hps_store *reader = NULL;
	int64_t start;

	(void)state;
	fixture_append_many(l, 10);
	assert_int_equal(hps_ledger_size(l), 10);
	assert_ok(hps_store_open(LEDGER "/ledger.db", HPS_STORE_READ, &reader, err));
	start = hps_time_monotonic_ns();
	assert_int_equal(hps_store_each_node(reader, append_meanwhile, l, NULL), 1);
	assert_true(hps_time_monotonic_ns() - start < (int64_t)20 * 1000000000); /* without patience's end: a minute for the first */
	assert_int_equal(hps_store_each_node(reader, settle_with_patience, l, NULL), 1);
	hps_store_close(reader);
	assert_int_equal(hps_ledger_size(l), 1010);
	fixture_verify(1010, true);
}

static void test_two_handles(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *a = fixture_open(HPS_LEDGER_APPEND), *b = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *reader = fixture_open(HPS_LEDGER_READ);

	(void)state;
	for (uint64_t i = 0; i < 20; i++) {
		assert_int_equal(fixture_append(i % 3 ? a : b, HPS_PREDICATE_TRIAL, "s", (int64_t)i, NULL), i);
		assert_int_equal(hps_ledger_size(reader), i + 1);
		assert_int_equal(fixture_count(reader, NULL, "s", -1), i + 1);
	}
	fixture_verify(20, true);
}

static int append_in_visit(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	(void)err;
	fixture_append(arg, HPS_PREDICATE_SEARCH, "during", (int64_t)e->index, NULL);
	return 0;
}

/* A visitor may append; what it appends is not visited. */
static void test_append_while_visiting(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);

	(void)state;
	for (int i = 0; i < 5; i++)
		fixture_append(l, HPS_PREDICATE_TRIAL, "s", i, NULL);
	assert_ok(hps_ledger_each(l, NULL, append_in_visit, l, err));
	fixture_verify(10, true);
}

/* The lock goes with the process that held it. */
static void test_lock_of_a_dead_process(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	int ready[2], status;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = open(LEDGER "/lock", O_RDWR);

		if (flock(fd, LOCK_EX) || write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(fixture_append(l, HPS_PREDICATE_TRIAL, "s", 1, NULL), 0);
	close(ready[0]);
	close(ready[1]);
}

static void test_not_over_fork(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, "s", 1);
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(hps_ledger_append(l, statement, NULL, NULL, NULL) == HPS_E_USAGE ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fixture_verify(0, true);
}

/* After a flush that failed nothing is acknowledged any more; a new handle goes on. */
static void test_poisoned(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND), *fresh = NULL;
	_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, "s", 1);

	(void)state;
	l->poisoned = true;
	assert_fails(-EIO, hps_ledger_append(l, statement, NULL, NULL, err));
	fresh = fixture_open(HPS_LEDGER_APPEND);
	assert_ok(hps_ledger_append(fresh, statement, NULL, NULL, err));
	fixture_verify(1, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_ledger, fixture_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_who_asked_in_another_life_is_nobody),
		TEST(test_appending_beside_a_long_reader),
		TEST(test_two_handles),
		TEST(test_append_while_visiting),
		TEST(test_lock_of_a_dead_process),
		TEST(test_not_over_fork),
		TEST(test_poisoned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
