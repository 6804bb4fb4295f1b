/* A trial as a process: its directory, its words, hps-record around it. */
#include "search/search.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_FD 3 /* in the child */
#define PASSPHRASE_FD 4
#define LAST_WORDS_MAX 4096

extern char **environ;

char *hps_child_out(const struct hps_launch *l, uint64_t number)
{
	return hps_format("%s/%" PRIu64, l->out, number);
}

/* ---- the command ---- */

struct words {
	const struct hps_space *space;
	const struct hps_decision *decision;
	const char *study;
	char seed[24], number[24];
	const char *out;
};

static const char *lookup(const char *name, void *arg)
{
	const struct words *w = arg;

	if (!strcmp(name, "seed"))
		return w->seed;
	if (!strcmp(name, "number"))
		return w->number;
	if (!strcmp(name, "study"))
		return w->study;
	if (!strcmp(name, "out"))
		return w->out;
	for (size_t i = 0; i < w->space->n; i++) {
		if (!strcmp(w->space->parameters[i].name, name))
			return w->decision->values.v[i];
	}
	return NULL;
}

void hps_child_command(const struct hps_launch *l, const struct hps_space *space, const struct hps_decision *d, uint64_t number,
		       struct hps_strv *ret)
{
	_cleanup_free_ char *out = hps_child_out(l, number);
	const json_t *command = json_object_get(l->spec, "command");
	struct words w = { .space = space, .decision = d, .study = hps_json_text(l->spec, "study"), .out = out };

	snprintf(w.seed, sizeof(w.seed), "%" PRIu32, d->trial_seed);
	snprintf(w.number, sizeof(w.number), "%" PRIu64, number);
	for (size_t i = 0; i < json_array_size(command); i++) {
		const char *word = json_string_value(json_array_get(command, i));
		_cleanup_free_ char *bad = NULL;
		char *text = word ? hps_template_expand(word, lookup, &w, &bad) : NULL;

		hps_strv_add_take(ret, text ? text : hps_strdup(word ? word : "")); /* the compilation saw every placeholder */
	}
}

/* ---- starting it ---- */

static void add_texts(struct hps_strv *argv, const char *option, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		hps_strv_add(argv, option);
		hps_strv_add(argv, json_string_value(json_array_get(list, i)));
	}
}

static void recorder_words(const struct hps_launch *l, uint64_t number, const struct hps_proposal *p, const char *out, struct hps_strv *argv)
{
	const char *name;
	json_t *value;

	hps_strv_add(argv, l->recorder);
	hps_strv_add(argv, "-q");
	hps_strv_addf(argv, "--ledger=%s", l->ledger);
	hps_strv_addf(argv, "--study=%s", hps_json_text(l->spec, "study"));
	hps_strv_addf(argv, "--number=%" PRIu64, number);
	json_object_foreach (p->params, name, value) {
		hps_strv_add(argv, "--param");
		hps_strv_addf(argv, "%s=%s", name, json_string_value(value));
	}
	hps_strv_addf(argv, "--seed=%s", p->seed);
	add_texts(argv, "--dataset", json_object_get(l->spec, "dataset"));
	hps_strv_addf(argv, "--metrics-path=%s/hps-metrics.json", out);
	hps_strv_addf(argv, "--id-file=%s/trial.id", out);
	hps_strv_addf(argv, "--lock-fd=%d", LOCK_FD);
	if (l->passphrase)
		hps_strv_addf(argv, "--key-passphrase-fd=%d", PASSPHRASE_FD);
	hps_strv_add(argv, "--");
}

static bool is_set(const json_t *env, const char *entry)
{
	_cleanup_free_ char *name = hps_strndup(entry, strcspn(entry, "="));

	return json_object_get(env, name) != NULL;
}

static void environment(const json_t *env, struct hps_strv *ret)
{
	const char *name;
	json_t *value;

	for (char **e = environ; *e; e++) {
		if (!is_set(env, *e))
			hps_strv_add(ret, *e);
	}
	json_object_foreach ((json_t *)(uintptr_t)env, name, value)
		hps_strv_addf(ret, "%s=%s", name, json_string_value(value));
}

/* What an attempt left whose recorder died stays, under another name. */
static int make_directory(const char *out, struct hps_error *err)
{
	struct stat st;

	for (unsigned k = 1; !lstat(out, &st); k++) {
		_cleanup_free_ char *old = hps_format("%s.lost-%u", out, k);

		if (renameat2(AT_FDCWD, out, AT_FDCWD, old, RENAME_NOREPLACE) && errno != EEXIST)
			return hps_error_errno(err, "moving '%s' away", out);
	}
	return hps_dir_make(AT_FDCWD, out, 0777, err);
}

/* A pipe that holds the passphrase, which fits into it; a secret is never a word of a command. */
static int passphrase_pipe(const char *passphrase, int *ret_fd, struct hps_error *err)
{
	_cleanup_fd_ int read_end = -1, write_end = -1;
	int ends[2];

	if (!passphrase)
		return 0;
	if (pipe2(ends, O_CLOEXEC))
		return hps_error_errno(err, "handing the passphrase on");
	read_end = ends[0];
	write_end = ends[1];
	if (hps_write_all(write_end, passphrase, strlen(passphrase)))
		return hps_error_errno(err, "handing the passphrase on");
	*ret_fd = hps_take_fd(&read_end);
	return 0;
}

static int spawn(const struct hps_launch *l, const char *out, int passphrase_fd, struct hps_strv *argv, struct hps_strv *envp, pid_t *ret)
{
	_cleanup_free_ char *stdout_log = hps_format("%s/stdout.log", out), *stderr_log = hps_format("%s/stderr.log", out);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r;

	hps_spawn_attributes(&attributes, POSIX_SPAWN_SETPGROUP);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, stdout_log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, stderr_log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666);
	/* dup2 drops close-on-exec. The open ledger holds 3 and 4, so neither source is one of them. */
	posix_spawn_file_actions_adddup2(&actions, l->lock_fd, LOCK_FD);
	if (passphrase_fd >= 0)
		posix_spawn_file_actions_adddup2(&actions, passphrase_fd, PASSPHRASE_FD);
	/* What we were started with is not the trials': a passphrase's descriptor, for one. */
	posix_spawn_file_actions_addclosefrom_np(&actions, passphrase_fd >= 0 ? PASSPHRASE_FD + 1 : LOCK_FD + 1);
	posix_spawn_file_actions_addchdir_np(&actions, l->directory);
	r = posix_spawnp(ret, l->recorder, &actions, &attributes, argv->v, envp->v);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return r;
}

void hps_proposal_release(struct hps_proposal *p)
{
	json_decref(p->params);
	free(p->seed);
	hps_strv_release(&p->command);
}

int hps_child_start(const struct hps_launch *l, uint64_t number, const struct hps_proposal *p, struct hps_child *ret, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv argv = HPS_STRV_INIT, envp = HPS_STRV_INIT;
	_cleanup_free_ char *out = hps_child_out(l, number);
	_cleanup_fd_ int passphrase_fd = -1;
	int r = make_directory(out, err);

	if (!r)
		r = passphrase_pipe(l->passphrase, &passphrase_fd, err);
	if (r)
		return r;
	recorder_words(l, number, p, out, &argv);
	for (size_t i = 0; i < p->command.n; i++)
		hps_strv_add(&argv, p->command.v[i]);
	environment(json_object_get(l->spec, "env"), &envp);
	ret->number = number;
	errno = spawn(l, out, passphrase_fd, &argv, &envp, &ret->pid);
	return errno ? hps_error_errno(err, "starting '%s' for trial %" PRIu64, l->recorder, number) : 0;
}

char *hps_child_last_words(const struct hps_launch *l, uint64_t number)
{
	_cleanup_free_ char *out = hps_child_out(l, number), *path = hps_format("%s/stderr.log", out);
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[LAST_WORDS_MAX + 1];
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n = size <= 0 ? 0 : pread(fd, text, LAST_WORDS_MAX, size > LAST_WORDS_MAX ? size - LAST_WORDS_MAX : 0);
	const char *line;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	line = strrchr(text, '\n');
	return hps_strdup(line ? line + 1 : text);
}
