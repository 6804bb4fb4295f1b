/* Every call that can fail while an entry is appended is made to fail once: not done and reported, and done and yet reported as
 * failed. Each time the ledger opens again, everything acknowledged is there, it verifies, and it goes on. */
#include "tests/unit/ledger_fixture.h"

#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>

/* Which call fails: the one that brings `left` to 0. Both our code and SQLite come through here. */
static struct {
	bool armed, done_all_the_same;
	int error;
	long left, n_calls;
	const char *name;
} fault;

static bool strikes(const char *name)
{
	if (!fault.armed)
		return false;
	fault.n_calls++;
	if (--fault.left != 0)
		return false;
	fault.name = name;
	return true;
}

/* What the C library would do, unless this is the call. */
static long call(const char *name, long number, long a, long b, long c, long d)
{
	if (strikes(name)) {
		if (fault.done_all_the_same)
			(void)!syscall(number, a, b, c, d);
		errno = fault.error;
		return -1;
	}
	return syscall(number, a, b, c, d);
}

ssize_t write(int fd, const void *data, size_t len)
{
	return call("write", SYS_write, fd, (long)data, (long)len, 0);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
	return call("pwrite", SYS_pwrite64, fd, (long)data, (long)len, at);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	return call("pwrite", SYS_pwrite64, fd, (long)data, (long)len, at);
}

int fsync(int fd)
{
	return (int)call("fsync", SYS_fsync, fd, 0, 0, 0);
}

int syncfs(int fd)
{
	return (int)call("syncfs", SYS_syncfs, fd, 0, 0, 0);
}

int fdatasync(int fd)
{
	return (int)call("fdatasync", SYS_fdatasync, fd, 0, 0, 0);
}

int ftruncate64(int fd, off_t len)
{
	return (int)call("ftruncate", SYS_ftruncate, fd, len, 0, 0);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return (int)call("renameat", SYS_renameat, from_fd, (long)from, to_fd, (long)to);
}

int mkdirat(int fd, const char *path, mode_t mode)
{
	return (int)call("mkdirat", SYS_mkdirat, fd, (long)path, mode, 0);
}

int fchmod(int fd, mode_t mode)
{
	return (int)call("fchmod", SYS_fchmod, fd, mode, 0, 0);
}

int flock(int fd, int how)
{
	return (int)call("flock", SYS_flock, fd, how, 0, 0);
}

/* One append with the n-th call failing. Returns false when there were fewer calls than n. */
static bool append_with_fault(long n, int error, bool done, uint64_t *size)
{
	struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, "faults", n), *next = fixture_statement(HPS_PREDICATE_TRIAL, "after", n);
	struct hps_error e = HPS_ERROR_INIT;
	uint64_t index = UINT64_MAX;
	char id[65];
	int r, again;
	bool struck;

	fault.armed = true;
	fault.error = error;
	fault.done_all_the_same = done;
	fault.left = n;
	fault.n_calls = 0;
	r = hps_ledger_append(l, statement, id, &index, &e);
	if (!r) /* it is acknowledged, and is moved from the journal into the database and the tiles */
		(void)!hps_ledger_refresh(l, NULL);
	fault.armed = false;
	struck = fault.left <= 0;
	if (r < 0) {
		assert_true(struck);
		assert_non_null(e.message);
		/* An I/O error of a flush ends this handle; others leave it usable. Either way it does not say yes to what is not there. */
		again = hps_ledger_append(l, next, NULL, &index, NULL);
		if ((!strcmp(fault.name, "fsync") || !strcmp(fault.name, "fdatasync")) && fault.error == EIO)
			assert_true(again < 0);
	} else {
		again = -1;
	}
	hps_error_release(&e);
	hps_ledger_close(l);
	/* Restarted: what was acknowledged is there; what was refused is there whole or not at all. */
	l = fixture_open(HPS_LEDGER_APPEND);
	if (r == 0 || again == 0) {
		_cleanup_(hps_entry_release) struct hps_entry found = { 0 };

		assert_true(index < hps_ledger_size(l));
		assert_ok(hps_ledger_load(l, index, &found, err));
		assert_string_equal(found.study, r == 0 ? "faults" : "after");
	}
	assert_true(hps_ledger_size(l) >= *size);
	fixture_verify(hps_ledger_size(l), true);
	fixture_append(l, HPS_PREDICATE_SEARCH, "goes on", n, NULL);
	*size = hps_ledger_size(l);
	fixture_verify(*size, true);
	hps_ledger_close(l);
	return struck;
}

static void each_call(int error, bool done)
{
	uint64_t size = 0;
	long n = 1;

	while (append_with_fault(n, error, done, &size))
		n++;
	print_message("# %ld calls failed once (%s%s), %llu entries\n", n - 1, strerror(error), done ? ", but done" : "", (unsigned long long)size);
	assert_true(n > 25);
	fixture_shell("test -z \"$(ls -A %s/staging)\"", LEDGER);
}

static void test_input_output_error(void **state)
{
	(void)state;
	each_call(EIO, false);
}

static void test_input_output_error_but_done(void **state)
{
	(void)state;
	each_call(EIO, true);
}

static void test_no_space(void **state)
{
	(void)state;
	each_call(ENOSPC, false);
}

/* Making a ledger: every failure leaves the place as it was. */
static void test_create(void **state)
{
	struct hps_ledger_init init = { .origin = "example.org/faults" };
	long n = 1;

	(void)state;
	for (;; n++) {
		int r;

		fault.armed = true;
		fault.error = EIO;
		fault.left = n;
		r = hps_ledger_create("fresh", &init, NULL);
		fault.armed = false;
		if (fault.left > 0)
			break;
		if (r < 0)
			assert_false(fixture_exists("fresh"));
		else
			fixture_shell("rm -r fresh");
	}
	print_message("# %ld calls failed once\n", n - 1);
	assert_true(n > 25);
	assert_true(fixture_exists("fresh/trust.json"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_input_output_error, fixture_ledger, fixture_leave),
		cmocka_unit_test_setup_teardown(test_input_output_error_but_done, fixture_ledger, fixture_leave),
		cmocka_unit_test_setup_teardown(test_no_space, fixture_ledger, fixture_leave),
		cmocka_unit_test_setup_teardown(test_create, fixture_enter, fixture_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
