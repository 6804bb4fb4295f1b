/* For unit tests that work on real files: a folder of their own as working directory, and what fills and reads it. */
#ifndef HPS_TESTS_FOLDER_H
#define HPS_TESTS_FOLDER_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* Group set-up and tear-down; *state is the folder's path. */
static inline int make_folder(void **state)
{
	char path[] = "/tmp/hps-unit.XXXXXX";

	*state = hps_strdup(mkdtemp(path));
	return chdir(*state);
}

static inline int remove_folder(void **state)
{
	int r = chdir("/");

	assert_ok(hps_dir_remove(AT_FDCWD, *state, err));
	free(*state);
	return r;
}

/* Writes a file and the directories above it. */
static inline void put(const char *path, const char *text)
{
	_cleanup_free_ char *directory = hps_strdup(path);

	*strrchr(directory, '/') = '\0';
	assert_ok(hps_dir_make(AT_FDCWD, directory, 0755, err));
	assert_ok(hps_file_write(AT_FDCWD, path, 0644, text, strlen(text), err));
}

/* What the shell command prints, without the last newline. Heap. */
static inline char *shell(const char *command)
{
	const char *const argv[] = { "sh", "-c", command, NULL };
	struct hps_run run = { .argv = argv, .max_output = 4096, .quiet = true };
	struct hps_buf out = HPS_BUF_INIT;
	int status;

	assert_ok(hps_run(&run, &out, &status, err));
	assert_int_equal(status, 0);
	while (out.len && out.data[out.len - 1] == '\n')
		out.data[--out.len] = '\0';
	return hps_buf_take(&out);
}

/* The identity of that name, or NULL. */
static inline const json_t *row(const json_t *rows, const char *name)
{
	const json_t *r;
	size_t i;

	json_array_foreach(rows, i, r)
		if (!strcmp(hps_json_text(r, "name"), name))
			return r;
	return NULL;
}

static inline void assert_value(const json_t *rows, const char *name, const char *value)
{
	const char *got = hps_json_text(row(rows, name), "value"), *why = hps_json_text(row(rows, name), "why");

	if (!got)
		fail_msg("'%s' has no value: %s", name, why ? why : "there is no such row");
	assert_string_equal(got, value);
}

#endif
