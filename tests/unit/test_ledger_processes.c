/* Leases of running trials, and a full disk. Processes that are killed while they write: test_ledger_kills.c. */
#include "tests/unit/ledger_fixture.h"

#include <sched.h>
#include <sys/mount.h>

/* Which numbers the ledger holds, and how often. */
static int note_entry(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	struct hps_map *held = arg;
	_cleanup_free_ char *key = e->study ? hps_format("%s/%lld", e->study, (long long)e->number) : hps_strdup("-");
	void **slot = hps_map_slot(held, key);

	(void)err;
	*slot = (void *)((uintptr_t)*slot + 1);
	return 0;
}

/* ---- leases ---- */

static int begin_and_wait(int out, char id[65])
{
	struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	int fd;

	fixture_append(l, HPS_PREDICATE_BEGIN, "digits", 7, id);
	if (hps_lease_take(l, id, &fd, NULL) || write(out, id, 65) != 65)
		return 1;
	pause();
	return 1;
}

static void test_leases(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
	struct hps_error error = HPS_ERROR_INIT;
	int ends[2];
	uint64_t n;
	char id[65];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0)
		_exit(begin_and_wait(ends[1], id));
	assert_int_equal(read(ends[0], id, 65), 65);
	assert_ok(hps_lease_sweep(l, &n, err));
	assert_int_equal(n, 0); /* it lives */
	assert_true(hps_lease_held(l, id));
	assert_int_equal(hps_ledger_find_trial(l, id, &e, &error), HPS_E_NOTFOUND);
	assert_non_null(strstr(error.message, "has not ended"));
	hps_error_release(&error);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_false(hps_lease_held(l, id));
	assert_ok(hps_lease_sweep(l, &n, err));
	assert_int_equal(n, 1);
	assert_ok(hps_ledger_find(l, "@1", &e, err));
	assert_string_equal(e.kind, "lost");
	assert_string_equal(e.begin, id);
	assert_string_equal(e.study, "digits");
	assert_int_equal(e.number, 7);
	assert_ok(hps_lease_sweep(l, &n, err));
	assert_int_equal(n, 0);
	hps_entry_release(&e);
	assert_fails(HPS_E_NOTFOUND, hps_ledger_find_trial(l, id, &e, err));
	fixture_shell("test -z \"$(ls -A %s/running)\"", LEDGER);
	fixture_verify(2, true);
	close(ends[0]);
	close(ends[1]);
}

/* begin, trial, end: the lease's file is gone, and the begin entry's id finds the trial. */
static void test_lease_of_a_finished_trial(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	_cleanup_json_ json_t *trial = fixture_statement(HPS_PREDICATE_TRIAL, "digits", 7);
	_cleanup_(hps_entry_release) struct hps_entry e = { 0 };
	char id[65], trial_id[65];
	uint64_t n;
	int fd;

	(void)state;
	fixture_append(l, HPS_PREDICATE_BEGIN, "digits", 7, id);
	assert_ok(hps_lease_take(l, id, &fd, err));
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	hps_json_set_text(json_object_get(trial, "predicate"), "begin", id);
	assert_ok(hps_ledger_append(l, trial, trial_id, NULL, err));
	fixture_shell("test -e %s/running/%s", LEDGER, id);
	hps_lease_end(l, id, fd);
	fixture_shell("test -z \"$(ls -A %s/running)\"", LEDGER);
	assert_ok(hps_lease_sweep(l, &n, err));
	assert_int_equal(n, 0);
	assert_ok(hps_ledger_find_trial(l, id, &e, err));
	assert_string_equal(e.id, trial_id);
	hps_entry_release(&e);
	fixture_append(l, HPS_PREDICATE_SEARCH, "digits", -1, id);
	assert_fails(HPS_E_USAGE, hps_ledger_find_trial(l, id, &e, err));
	fixture_verify(3, true);
}

/* Several sweepers at once mark each dead recorder once. */
static void test_sweepers_race(void **state)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);
	struct hps_filter f = HPS_FILTER_ANY;
	struct hps_map held = HPS_MAP_INIT;
	int status;
	pid_t pids[6];

	(void)state;
	for (int i = 0; i < 10; i++)
		fixture_append(l, HPS_PREDICATE_BEGIN, "digits", i, NULL);
	hps_ledger_close(hps_take(l)); /* and with it the ten leases */
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			l = fixture_open(HPS_LEDGER_APPEND);
			_exit(hps_lease_sweep(l, NULL, NULL) ? 1 : 0);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	l = fixture_open(HPS_LEDGER_APPEND);
	assert_ok(hps_lease_sweep(l, NULL, err)); /* what a sweeper skipped because another looked at it */
	f.kind = "lost";
	assert_ok(hps_ledger_each(l, &f, note_entry, &held, err));
	assert_int_equal(held.n, 10);
	for (size_t i = 0; i < held.n; i++)
		assert_int_equal((uintptr_t)held.items[i].value, 1);
	hps_map_release(&held);
	fixture_verify(20, true);
}

/* ---- a full disk ---- */

#define DISK_FAILED(n) do { dprintf(2, "line %d\n", __LINE__); _exit(n); } while (0)

/* Appends until the disk is full; returns how many were acknowledged and the error of the one that was not. */
static int append_until_full(int *ret_n)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = NULL;
	int r = hps_ledger_open(LEDGER, HPS_LEDGER_APPEND, NULL, &l, NULL);

	for (*ret_n = 0; !r; ++*ret_n) {
		_cleanup_json_ json_t *statement = fixture_statement(HPS_PREDICATE_TRIAL, "full", *ret_n);

		hps_json_set(json_object_get(statement, "predicate"), "bulk", json_stringn("0123456789abcdef0123456789abcdef", 32));
		r = hps_ledger_append(l, statement, NULL, NULL, NULL);
	}
	--*ret_n;
	return r;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(77);
	close(fd);
}

/* In a child: a mount namespace of its own with a small tmpfs, for an ordinary user by a user namespace. */
static void enter_small_disk(const char *size)
{
	_cleanup_free_ char *uids = hps_format("0 %u 1", (unsigned)geteuid()), *gids = hps_format("0 %u 1", (unsigned)getegid());
	bool user = geteuid() != 0;

	if (mkdir("small", 0700) || unshare(CLONE_NEWNS | (user ? CLONE_NEWUSER : 0)))
		_exit(77);
	if (user) {
		write_file("/proc/self/setgroups", "deny");
		write_file("/proc/self/uid_map", uids);
		write_file("/proc/self/gid_map", gids);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("tmpfs", "small", "tmpfs", 0, size) || chdir("small"))
		_exit(77);
}

static void full_disk(void)
{
	struct hps_ledger_init init = { .origin = "example.org/full" };
	_cleanup_(hps_verification_release) struct hps_verification v = { 0 };
	int n = 0, more = 0;

	enter_small_disk("size=1400k");
	/* Freed one by one: the disk is full again in another place each time. */
	if (system("for i in 0 1 2 3 4; do head -c 37000 /dev/zero >ballast.$i; done") || hps_ledger_create(LEDGER, &init, NULL))
		DISK_FAILED(1);
	for (int round = 0; round < 5; round++) {
		char ballast[16];

		if (append_until_full(&n) != -ENOSPC)
			DISK_FAILED(2);
		if (hps_ledger_verify(LEDGER, NULL, &v, NULL) || v.n_problems || v.n_checked != v.size)
			DISK_FAILED(3);
		more += n;
		if (v.size != (uint64_t)more)
			DISK_FAILED(4);
		hps_verification_release(&v);
		snprintf(ballast, sizeof ballast, "ballast.%d", round);
		unlink(ballast);
	}
	if (system("test -z \"$(ls -A " LEDGER "/staging)\""))
		DISK_FAILED(6);
	dprintf(2, "# %d entries in five rounds on a full disk\n", more);
	_exit(more > 10 ? 0 : 7);
}

static void test_full_disk(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		full_disk();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no mount namespaces here */
	assert_int_equal(status, 0);
}

/* Not even a new ledger stays half made. */
static void create_on_full_disk(void)
{
	struct hps_ledger_init init = { .origin = "example.org/full" };
	int code;

	enter_small_disk("size=40k");
	code = hps_ledger_create(LEDGER, &init, NULL);
	_exit(code < 0 && access(LEDGER, F_OK) ? 0 : 1);
}

static void test_create_on_full_disk(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		create_on_full_disk();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_ledger, fixture_leave)
#define TEST_BARE(name) cmocka_unit_test_setup_teardown(name, fixture_enter, fixture_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_leases),
		TEST(test_lease_of_a_finished_trial),
		TEST(test_sweepers_race),
		TEST_BARE(test_full_disk),
		TEST_BARE(test_create_on_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
