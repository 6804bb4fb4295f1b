/* The command before it runs: what was asked for, whether there is such a program, and where its code lies. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/identity.h"

extern char **environ;

#define ENVIRONMENT_MAX ((size_t)16 << 20) /* more than execve(2) takes */
#define LAUNCHER_WORDS 16 /* of a command that are looked at for a script */

unsigned hps_trial_level(const struct hps_trial_options *o)
{
	return o->has_level ? (unsigned)o->level : 2;
}

int hps_trial_check(const struct hps_trial_options *o, enum hps_capture *ret_capture, struct hps_error *err)
{
	int r;

	if (hps_capture_parse(o->capture, ret_capture))
		return hps_error_set(err, HPS_E_USAGE, "--capture '%s': it is " HPS_CAPTURE_WORDS, o->capture);
	if (o->study && !hps_name_valid(o->study, ""))
		return hps_error_set(err, HPS_E_USAGE, "--study '%.80s': " HPS_NAME_RULE, o->study, "", "");
	if (o->has_number && !o->study)
		return hps_error_set(err, HPS_E_USAGE, "--number %llu: a number in which study? give --study, too", (unsigned long long)o->number);
	if (o->has_number && o->number > HPS_NUMBER_MAX)
		return hps_error_set(err, HPS_E_USAGE, "--number %llu: JSON has whole numbers up to 2^53", (unsigned long long)o->number);
	if (o->has_level && (o->level < 1 || o->level > 4))
		return hps_error_set(err, HPS_E_USAGE, "--level %llu: there are 1, 2, 3 and 4", (unsigned long long)o->level);
	if (o->pid > INT32_MAX)
		return hps_error_set(err, HPS_E_USAGE, "--pid %llu: no process has such a number", (unsigned long long)o->pid);
	if (o->root && *o->root != '/')
		return hps_error_set(err, HPS_E_USAGE, "--root '%s': give an absolute path", o->root);
	for (size_t i = 0; i < o->datasets.n; i++) {
		const char *equals = strchr(o->datasets.v[i], '=');

		if (access(equals ? equals + 1 : o->datasets.v[i], R_OK))
			return hps_error_errno(err, "--dataset '%s'", o->datasets.v[i]);
	}
	if (o->seed && !hps_seed_valid(o->seed))
		return hps_error_set(err, HPS_E_USAGE, "--seed '%s': a seed is a whole number (decimal, or hexadecimal with 0x)", o->seed);
	r = o->id_file ? hps_file_output_check(o->id_file, err) : 0;
	if (r)
		return hps_error_prefix(err, "--id-file");
	if (o->has_lock_fd && fcntl((int)o->lock_fd, F_SETFD, FD_CLOEXEC))
		return hps_error_errno(err, "--lock-fd %d", (int)o->lock_fd);
	if (o->has_passphrase_fd && fcntl((int)o->passphrase_fd, F_SETFD, FD_CLOEXEC))
		return hps_error_errno(err, "--key-passphrase-fd %d", (int)o->passphrase_fd);
	return 0;
}

int hps_trial_environment(const struct hps_trial_options *o, struct hps_strv *ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r;

	if (!o->has_environment_fd) {
		for (size_t i = 0; environ && environ[i]; i++)
			hps_strv_add(ret, environ[i]);
		return 0;
	}
	r = o->environment_fd > INT32_MAX ? HPS_E_USAGE : hps_file_read_fd((int)o->environment_fd, ENVIRONMENT_MAX, &text, err);
	if (r)
		return hps_error_set(err, HPS_E_USAGE, "--environment-fd %llu: it cannot be read", (unsigned long long)o->environment_fd);
	close((int)o->environment_fd);
	hps_buf_addc(&text, '\0'); /* of the last one, if it has none */
	for (size_t at = 0; at < text.len; at += strlen(text.data + at) + 1)
		if (text.data[at])
			hps_strv_add(ret, text.data + at);
	explicit_bzero(text.data, text.len);
	return 0;
}

int hps_command_look(const char *name)
{
	const char *path = getenv("PATH"), *at;
	bool found = false;
	struct stat direct;

	if (strchr(name, '/')) {
		if (stat(name, &direct) == 0 && S_ISDIR(direct.st_mode)) {
			errno = EISDIR;
			return 126;
		}
		return access(name, F_OK) ? 127 : access(name, X_OK) ? 126 : 0;
	}
	for (at = path ? path : "/bin:/usr/bin"; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
		size_t n = strcspn(at, ":");
		_cleanup_free_ char *full = hps_format("%.*s%s%s", (int)n, at, n ? "/" : "", name);
		struct stat s;

		if (stat(full, &s) || S_ISDIR(s.st_mode))
			continue;
		if (access(full, X_OK) == 0)
			return 0;
		found = true;
	}
	errno = found ? EACCES : ENOENT;
	return found ? 126 : 127;
}

char *hps_command_repository(char *const *argv)
{
	/* The script's directory when the command is an interpreter and a script, maybe behind a launcher, else where we are. */
	for (int i = 1; i <= LAUNCHER_WORDS && argv[0] && argv[i]; i++) {
		struct stat s;

		if (argv[i][0] != '-' && (i <= 2 ? strchr(argv[i], '.') != NULL : hps_path_code(argv[i])) && stat(argv[i], &s) == 0 && S_ISREG(s.st_mode)) {
			_cleanup_free_ char *copy = hps_strdup(argv[i]);

			return hps_strdup(dirname(copy));
		}
	}
	return hps_strdup(".");
}
