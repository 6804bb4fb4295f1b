/* The C face of the recorder: starts hps-record, or speaks with the one around this process. */
#include "hps/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/core.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)

/* ---- a command ---- */

static void add_option(struct hps_strv *argv, const char *name, const char *value)
{
	if (value)
		hps_strv_addf(argv, "--%s=%s", name, value);
}

static void add_options(struct hps_strv *argv, const char *name, const char *const *values)
{
	for (; values && *values; values++)
		add_option(argv, name, *values);
}

static void add_command(const struct hps_recording *o, const char *id_file, const char *const *command, struct hps_strv *argv)
{
	hps_strv_add_take(argv, o->program ? hps_strdup(o->program) : hps_sibling_program("hps-record"));
	add_option(argv, "ledger", o->ledger);
	add_option(argv, "study", o->study);
	add_option(argv, "seed", o->seed);
	add_option(argv, "capture", o->capture);
	add_options(argv, "param", o->params);
	add_options(argv, "metrics", o->metrics);
	add_options(argv, "dataset", o->datasets);
	add_options(argv, "allow-env", o->allow_env);
	add_option(argv, "id-file", id_file);
	if (o->has_number)
		hps_strv_addf(argv, "--number=%llu", (unsigned long long)o->number);
	if (o->quiet)
		hps_strv_add(argv, "--quiet");
	if (o->wait)
		hps_strv_add(argv, "--wait");
	hps_strv_add(argv, "--");
	for (; *command; command++)
		hps_strv_add(argv, *command);
}

static void read_id(const char *path, char *ret_id)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	*ret_id = '\0';
	if (hps_file_read(AT_FDCWD, path, 256, &text, NULL) == 0 && text.len >= 64) {
		memcpy(ret_id, text.data, 64);
		ret_id[64] = '\0';
	}
}

int hps_recording_run(const struct hps_recording *o, const char *const *argv, int *ret_status, char *ret_id, struct hps_error *err)
{
	_cleanup_strv_ struct hps_strv words = HPS_STRV_INIT;
	char dir[] = "/tmp/hps-XXXXXX";
	_cleanup_free_ char *id_file = NULL;
	struct hps_run run = { 0 };
	int status, r;

	if (!argv[0])
		return hps_error_set(err, HPS_E_USAGE, "recording: there is no command");
	if (ret_id && !mkdtemp(dir))
		return hps_error_errno(err, "making a directory for the id");
	id_file = ret_id ? hps_format("%s/id", dir) : NULL;
	add_command(o, id_file, argv, &words);
	run.argv = (const char *const *)words.v;
	r = hps_run(&run, NULL, &status, err);
	if (!r)
		*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	if (ret_id) {
		read_id(id_file, ret_id);
		if (hps_dir_remove(AT_FDCWD, dir, NULL) && !r)
			r = hps_error_set(err, -EIO, "removing '%s' failed", dir);
	}
	return r;
}

/* ---- marks ---- */

struct hps_marking {
	int fd; /* -1: there is no recorder */
};

static int open_socket(const char *path, int *ret_fd, struct hps_error *err)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof a.sun_path)
		return hps_error_set(err, -ENAMETOOLONG, "connecting to the recorder '%s': the path is too long", path);
	memcpy(a.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a))
		return hps_error_errno(err, "connecting to the recorder '%s'", path);
	*ret_fd = hps_take_fd(&fd);
	return 0;
}

static int read_line(int fd, struct hps_buf *line)
{
	char block[512];

	while (!line->len || line->data[line->len - 1] != '\n') {
		ssize_t n = recv(fd, block, sizeof block, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || line->full)
			return n < 0 ? -errno : -EPIPE;
		hps_buf_add(line, block, (size_t)n);
	}
	line->data[--line->len] = '\0';
	return 0;
}

static int send_all(int fd, const struct hps_buf *line)
{
	for (size_t at = 0; at < line->len;) {
		ssize_t n = send(fd, line->data + at, line->len - at, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A line, and its answer: "ok ID" or "error TEXT". */
static int say(int fd, const char *word, const char *json, char *ret_id, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf line = HPS_BUF_INIT, answer = HPS_BUF_INIT;
	int r;

	hps_buf_init(&answer, LINE_MAX_BYTES);
	hps_buf_addf(&line, "%s %s", word, json ? json : "{}");
	for (size_t i = 0; i < line.len; i++)
		line.data[i] = line.data[i] == '\n' ? ' ' : line.data[i];
	hps_buf_addc(&line, '\n');
	r = send_all(fd, &line);
	if (!r)
		r = read_line(fd, &answer);
	if (r) {
		errno = -r;
		return hps_error_errno(err, "marking the %s of a trial", word);
	}
	if (answer.len != 67 || memcmp(answer.data, "ok ", 3) != 0)
		return hps_error_set(err, HPS_E_USAGE, "marking the %s of a trial: %s", word, answer.data);
	if (ret_id)
		memcpy(ret_id, answer.data + 3, 65);
	return 0;
}

int hps_marking_begin(const char *json, struct hps_marking **ret, char *ret_id, struct hps_error *err)
{
	const char *path = getenv("HPS_SOCKET");
	_cleanup_fd_ int fd = -1;
	int r = path && *path ? open_socket(path, &fd, err) : 0;

	if (ret_id)
		*ret_id = '\0';
	if (!r && fd >= 0)
		r = say(fd, "begin", json, ret_id, err);
	if (r)
		return r;
	*ret = hps_alloc(sizeof **ret);
	(*ret)->fd = hps_take_fd(&fd);
	return 0;
}

int hps_marking_end(struct hps_marking *m, const char *json, char *ret_id, struct hps_error *err)
{
	_cleanup_free_ struct hps_marking *own = m;
	_cleanup_fd_ int fd = m->fd;

	if (ret_id)
		*ret_id = '\0';
	return fd >= 0 ? say(fd, "end", json, ret_id, err) : 0;
}
