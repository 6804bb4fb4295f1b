/* A ledger in a folder of its own, statements to put into it, and what is done to it from outside. */
#ifndef HPS_TESTS_LEDGER_FIXTURE_H
#define HPS_TESTS_LEDGER_FIXTURE_H

#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger/ledger.h"

#define LEDGER "ledger"

static inline int fixture_enter_below(void **state, const char *parent)
{
	char *path = hps_format("%s/hps-unit.XXXXXX", parent);

	*state = mkdtemp(path);
	setenv("XDG_STATE_HOME", *state, 1); /* what log keys have signed is remembered there */
	return chdir(*state);
}

static inline int fixture_enter(void **state)
{
	return fixture_enter_below(state, "/tmp");
}

static inline int fixture_leave(void **state)
{
	int r = chdir("/");

	assert_ok(hps_dir_remove(AT_FDCWD, *state, err));
	free(*state);
	return r;
}

static inline int fixture_ledger(void **state)
{
	struct hps_ledger_init init = { .origin = "example.org/test" };
	int r = fixture_enter(state);

	assert_ok(hps_ledger_create(LEDGER, &init, err));
	return r;
}

static inline json_t *fixture_statement(const char *type, const char *study, int64_t number)
{
	json_t *statement = hps_statement_new(type), *predicate = json_object_get(statement, "predicate");

	hps_json_add(json_object_get(statement, "subject"), json_pack("{s:s, s:{s:s}}", "name", "thing", "digest", "sha256",
								      "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"));
	hps_json_set_text(predicate, "study", study);
	if (number >= 0)
		hps_json_set_int(predicate, "number", number);
	return statement;
}

static inline struct hps_ledger *fixture_open(unsigned flags)
{
	struct hps_ledger *l = NULL;

	assert_ok(hps_ledger_open(LEDGER, flags, NULL, &l, err));
	return l;
}

/* Appends one entry; returns its index, and its id when asked for. */
static inline uint64_t fixture_append(struct hps_ledger *l, const char *type, const char *study, int64_t number, char id[65])
{
	_cleanup_json_ json_t *statement = fixture_statement(type, study, number);
	uint64_t index;

	assert_ok(hps_ledger_append(l, statement, id, &index, err));
	return index;
}

/* Verifies and returns the number of problems; shows them when none was wanted. */
static inline size_t fixture_verify(uint64_t want_size, bool want_clean)
{
	struct hps_verification v;
	size_t n;

	assert_ok(hps_ledger_verify(LEDGER, NULL, &v, err));
	assert_int_equal(v.size, want_size);
	if (want_clean) {
		for (size_t i = 0; i < v.n_problems; i++)
			print_error("@%lld %s: %s\n", (long long)v.problems[i].index, v.problems[i].file ? v.problems[i].file : "-", v.problems[i].what);
		assert_int_equal(v.n_problems, 0);
		assert_int_equal(v.n_checked, v.size);
	}
	n = v.n_problems;
	hps_verification_release(&v);
	return n;
}

static inline void fixture_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void fixture_shell(const char *format, ...)
{
	char *command;
	va_list ap;

	va_start(ap, format);
	assert_true(vasprintf(&command, format, ap) > 0);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("%s", command);
	free(command);
}

static inline bool fixture_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static inline int64_t fixture_size(const char *path)
{
	struct stat s;

	assert_int_equal(stat(path, &s), 0);
	return s.st_size;
}

static inline void fixture_put(const char *path, const struct hps_buf *bytes)
{
	_cleanup_fd_ int fd = -1;

	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(hps_write_all(fd, bytes->data, bytes->len), 0);
}

/* Flips one bit of a file where it lies. */
static inline void fixture_flip(const char *path, off_t at, unsigned bit)
{
	_cleanup_fd_ int fd = -1;
	unsigned char c;

	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= (unsigned char)(1u << bit);
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static inline mode_t fixture_mode(const char *path)
{
	struct stat s;

	assert_int_equal(stat(path, &s), 0);
	return s.st_mode & 07777;
}

static inline int fixture_count_one(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	(void)e;
	(void)err;
	++*(unsigned *)arg;
	return 0;
}

static inline unsigned fixture_count(struct hps_ledger *l, const char *kind, const char *study, int64_t number)
{
	struct hps_filter f = HPS_FILTER_ANY;
	unsigned n = 0;

	f.kind = kind;
	f.study = study;
	f.number = number;
	assert_ok(hps_ledger_each(l, &f, fixture_count_one, &n, err));
	return n;
}

static inline void fixture_append_many(struct hps_ledger *l, size_t n)
{
	json_t *statements[200];
	const json_t *all[200];

	for (size_t i = 0; i < n; i++)
		all[i] = statements[i] = fixture_statement(HPS_PREDICATE_TRIAL, "many", (int64_t)i);
	assert_ok(hps_ledger_append_all(l, all, n, NULL, NULL, err));
	for (size_t i = 0; i < n; i++)
		json_decref(statements[i]);
}

static inline void fixture_fill(size_t n)
{
	_cleanup_(hps_cleanup_ledger) struct hps_ledger *l = fixture_open(HPS_LEDGER_APPEND);

	fixture_append_many(l, n);
}

#endif
