/* Power cuts. A child appends while every write, flush and rename of it passes through here; at one of these calls it ends. What a disk
 * may hold then is put together from what had been flushed (of files their content, of folders their names) and, by lot, from any part
 * of what had not. On each such disk the ledger must open without help, hold everything that was acknowledged, verify and go on.
 *
 * The negative control takes flushes of the journal for done that were not: then acknowledged entries must be missing. */
#include "tests/unit/ledger_fixture.h"

#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>

#define SECTOR 512
#define SHADOW "shadow"
#define DISK "disk"
#define ENTRIES 6

static struct {
	bool armed, lying; /* lying: flushes of the journal do nothing */
	long left;	   /* calls until the power goes */
	ino_t journal;
} power;

/* ---- what has been flushed: shadow/<inode> for files, shadow/<inode>.names for folders ---- */

static void copy_file(int from, const char *to)
{
	char block[65536];
	int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t at = 0;
	ssize_t n;

	while ((n = pread(from, block, sizeof block, at)) > 0) {
		if (syscall(SYS_write, fd, block, (size_t)n) != n)
			abort();
		at += n;
	}
	close(fd);
}

static void flush_names(int dirfd, const char *to)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(copy);
	FILE *f = fopen(to, "we");
	const struct dirent *e;

	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			fprintf(f, "%lu %c %s\n", (unsigned long)e->d_ino, e->d_type == DT_DIR ? 'd' : 'f', e->d_name);
	fclose(f);
	closedir(d);
}

static void flushed(int fd)
{
	struct stat s;
	char path[64];
	bool was = power.armed;

	if (fstat(fd, &s) || (power.lying && s.st_ino == power.journal))
		return;
	power.armed = false;
	snprintf(path, sizeof path, SHADOW "/%lu%s", (unsigned long)s.st_ino, S_ISDIR(s.st_mode) ? ".names" : "");
	if (S_ISDIR(s.st_mode)) {
		flush_names(fd, path);
	} else {
		/* SQLite opens its journal for writing alone. */
		_cleanup_free_ char *self = hps_format("/proc/self/fd/%d", fd);
		int readable = open(self, O_RDONLY | O_CLOEXEC);

		copy_file(readable, path);
		close(readable);
	}
	power.armed = was;
}

static void flush_tree(int dirfd)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(copy);
	const struct dirent *e;

	flushed(dirfd);
	while ((e = readdir(d))) {
		int fd = *e->d_name == '.' && (!e->d_name[1] || e->d_name[1] == '.') ? -1 : openat(dirfd, e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		if (fd < 0)
			continue;
		if (e->d_type == DT_DIR)
			flush_tree(fd);
		else
			flushed(fd);
		close(fd);
	}
	closedir(d);
}

static void flush_ledger(void)
{
	int fd = open(LEDGER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	flush_tree(fd);
	close(fd);
}

/* ---- the calls ---- */

static void tick(void)
{
	if (power.armed && --power.left == 0)
		_exit(0);
}

#define PASS(type, name, number, args, ...) \
	type name args                      \
	{                                   \
		tick();                     \
		return (type)syscall(number, __VA_ARGS__); \
	}
PASS(ssize_t, write, SYS_write, (int fd, const void *data, size_t len), fd, data, len)
PASS(ssize_t, pwrite, SYS_pwrite64, (int fd, const void *data, size_t len, off_t at), fd, data, len, at)
PASS(ssize_t, pwrite64, SYS_pwrite64, (int fd, const void *data, size_t len, off_t at), fd, data, len, at)
PASS(int, ftruncate, SYS_ftruncate, (int fd, off_t len), fd, len)
PASS(int, ftruncate64, SYS_ftruncate, (int fd, off_t len), fd, len)
PASS(int, renameat, SYS_renameat, (int a, const char *from, int b, const char *to), a, from, b, to)
PASS(int, unlinkat, SYS_unlinkat, (int fd, const char *path, int flags), fd, path, flags)
PASS(int, mkdirat, SYS_mkdirat, (int fd, const char *path, mode_t mode), fd, path, mode)

static int flush_call(int fd)
{
	tick();
	if (power.armed)
		flushed(fd);
	return 0; /* the real disk is not asked: everything here is thrown away */
}

int fsync(int fd)
{
	return flush_call(fd);
}

int fdatasync(int fd)
{
	return flush_call(fd);
}

int syncfs(int fd)
{
	(void)fd;
	tick();
	if (power.armed)
		flush_ledger();
	return 0;
}

/* ---- the disk after the cut ---- */

static uint64_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

/* seed 0: nothing that was not flushed is there. Else each sector is, or is not. */
static void restore_file(const char *shadow, const char *current, const char *to, uint64_t *seed)
{
	_cleanup_buf_ struct hps_buf old = HPS_BUF_INIT, now = HPS_BUF_INIT;
	_cleanup_fd_ int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t len;

	(void)!hps_file_read(AT_FDCWD, shadow, HPS_BUF_MAX, &old, NULL);
	if (*seed && current)
		(void)!hps_file_read(AT_FDCWD, current, HPS_BUF_MAX, &now, NULL);
	len = *seed && now.len && draw(seed) % 2 ? now.len : old.len;
	for (size_t at = 0; at < len; at += SECTOR) {
		char sector[SECTOR] = { 0 };
		bool newer = *seed && draw(seed) % 2;
		const struct hps_buf *from = newer && at < now.len ? &now : &old;
		size_t n = len - at < SECTOR ? len - at : SECTOR;

		if (at < from->len)
			memcpy(sector, from->data + at, from->len - at < n ? from->len - at : n);
		assert_int_equal(syscall(SYS_write, fd, sector, n), (long)n);
	}
}

/* Names by inode of everything that there was at the moment of the cut: a file that is not flushed may be in either place. */
static struct hps_map current;

static void note_current(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_free_ char *path = hps_format("%s/%s", dir, e->d_name), *inode = hps_format("%lu", (unsigned long)e->d_ino);

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		*hps_map_slot(&current, inode) = hps_strdup(path);
		if (e->d_type == DT_DIR)
			note_current(path);
	}
	if (d)
		closedir(d);
}

static void restore_dir(unsigned long inode, const char *to, uint64_t *seed)
{
	_cleanup_free_ char *names = hps_format(SHADOW "/%lu.names", inode);
	FILE *f = fopen(names, "re");
	unsigned long child;
	char type, name[256];

	assert_int_equal(mkdir(to, 0700), 0);
	while (f && fscanf(f, "%lu %c %255s", &child, &type, name) == 3) {
		_cleanup_free_ char *path = hps_format("%s/%s", to, name), *shadow = hps_format(SHADOW "/%lu", child), *key = hps_format("%lu", child);

		if (type == 'd')
			restore_dir(child, path, seed);
		else
			restore_file(shadow, hps_map_get(&current, key), path, seed);
	}
	if (f)
		fclose(f);
}

static void restore_disk(uint64_t seed)
{
	struct stat s;

	assert_int_equal(stat(LEDGER, &s), 0);
	note_current(LEDGER);
	restore_dir((unsigned long)s.st_ino, DISK, &seed);
	for (size_t i = 0; i < current.n; i++)
		free(current.items[i].value);
	hps_map_release(&current);
	current = (struct hps_map)HPS_MAP_INIT;
}

/* ---- one cut ---- */

static void work(int out)
{
	struct hps_ledger *l = NULL;

	if (hps_ledger_open(LEDGER, HPS_LEDGER_APPEND, NULL, &l, NULL))
		_exit(2);
	for (int i = 0; i < ENTRIES; i++) {
		_cleanup_json_ json_t *statement = fixture_statement(i % 3 ? HPS_PREDICATE_TRIAL : HPS_PREDICATE_BEGIN, "power", i);

		if (hps_ledger_append(l, statement, NULL, NULL, NULL))
			_exit(3);
		if (syscall(SYS_write, out, &i, sizeof i) != sizeof i)
			_exit(4);
		if (i == ENTRIES / 2)
			(void)!hps_ledger_refresh(l, NULL); /* published, and the journal starts again */
	}
	hps_ledger_close(l);
}

static int note_number(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	unsigned *held = arg;

	(void)err;
	if (e->study && !strcmp(e->study, "power") && e->number < 32)
		*held |= 1u << e->number;
	return 0;
}

/* false: something that was acknowledged is not there, or the ledger does not open, verify or go on. */
static bool disk_is_good(int n_acked)
{
	struct hps_verification v = { 0 };
	struct hps_ledger *l = NULL;
	_cleanup_json_ json_t *next = fixture_statement(HPS_PREDICATE_SEARCH, "after", 1);
	struct hps_error e = HPS_ERROR_INIT;
	unsigned held = 0;
	bool good = !hps_ledger_open(DISK, HPS_LEDGER_APPEND, NULL, &l, &e) && !hps_ledger_append(l, next, NULL, NULL, &e) &&
		    !hps_ledger_each(l, NULL, note_number, &held, &e) && (held & ((1u << n_acked) - 1)) == (1u << n_acked) - 1;

	hps_ledger_close(l);
	if (good)
		good = !hps_ledger_verify(DISK, NULL, &v, &e) && !v.n_problems && v.n_checked == v.size;
	if (!good && !power.lying)
		print_error("%d acknowledged, held %x: %s\n", n_acked, held, e.message ? e.message : v.n_problems ? v.problems[0].what : "entries are missing");
	hps_verification_release(&v);
	hps_error_release(&e);
	return good;
}

/* Cuts the power at call n. 1: the disk is good; 0: it is not; -1: there were fewer calls. */
static int cut(long n, uint64_t seed)
{
	int ends[2], acked = 0, number, status;
	bool good;
	pid_t pid;

	fixture_shell("rm -rf %s %s %s hps && cp -a fresh %s && mkdir %s", LEDGER, DISK, SHADOW, LEDGER, SHADOW);
	flush_ledger();
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct stat s;

		close(ends[0]);
		power.journal = stat(LEDGER "/journal", &s) ? 0 : s.st_ino;
		power.left = n;
		power.armed = true;
		work(ends[1]);
		_exit(100);
	}
	close(ends[1]);
	while (read(ends[0], &number, sizeof number) == sizeof number)
		acked++;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 100)
		return -1;
	assert_int_equal(status, 0);
	/* Memory that is ahead of the disk would refuse it: that is for restored backups, and must not happen here. */
	restore_disk(seed);
	good = disk_is_good(acked);
	return good;
}

static int make_fresh(void **state)
{
	fixture_ledger(state);
	fixture_shell("mv %s fresh", LEDGER);
	return 0;
}

static uint64_t seed_of_run(void)
{
	const char *given = getenv("HPS_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)hps_time_now_ns();

	print_message("# HPS_TEST_SEED=%llu\n", (unsigned long long)seed);
	return seed | 1;
}

/* Every call with HPS_TEST_FULL, else one in seven; each with nothing unflushed and with parts of it. */
static void test_power_cuts(void **state)
{
	uint64_t seed = seed_of_run();
	long step = getenv("HPS_TEST_FULL") ? 1 : 7, n_cuts = 0, n_bad = 0;
	int r = 0;

	(void)state;
	for (long n = 1 + (long)(seed / 2 % (uint64_t)step); r >= 0; n += step)
		for (int variant = 0; r >= 0 && variant < 3; variant++) {
			r = cut(n, variant ? draw(&seed) | 1 : 0);
			n_cuts += r >= 0;
			n_bad += r == 0;
		}
	print_message("# %ld power cuts, %ld bad\n", n_cuts, n_bad);
	assert_true(n_cuts > 40);
	assert_int_equal(n_bad, 0);
}

/* The rig has teeth: without the journal's flush acknowledged entries are lost, and it sees that. */
static void test_power_cuts_without_flush(void **state)
{
	long n_bad = 0;
	int r = 0;

	(void)state;
	power.lying = true;
	for (long n = 5; r >= 0; n += 9) {
		r = cut(n, 0);
		n_bad += r == 0;
	}
	power.lying = false;
	print_message("# %ld losses found\n", n_bad);
	assert_true(n_bad > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_power_cuts, make_fresh, fixture_leave),
		cmocka_unit_test_setup_teardown(test_power_cuts_without_flush, make_fresh, fixture_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
