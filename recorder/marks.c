/* HPS_SOCKET: a program that runs several trials says where each begins and ends, a line each, and is answered when the entry is
 * durable. One thread, which alone uses the ledger while the command runs. */
#include "recorder/recorder.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "recorder/identity.h"

#define CONNECTIONS_MAX 256
#define LINE_MAX_BYTES ((size_t)1 << 20)

struct connection {
	int fd;
	struct hps_buf in;
	bool open; /* a mark has begun and not ended */
	struct hps_mark mark;
};
struct hps_marks {
	struct hps_ledger *ledger;
	struct hps_record host; /* as it is when the command starts: what follows is written by others */
	char *path;
	int listener, stop;
	pthread_t thread;
	struct connection *connections[CONNECTIONS_MAX];
	size_t n;
};

static void answer(struct connection *c, const char *word, const char *text)
{
	_cleanup_free_ char *line = hps_format("%s %s\n", word, text);

	for (char *p = line; p[1]; p++)
		*p = *p == '\n' ? ' ' : *p;
	if (send(c->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		shutdown(c->fd, SHUT_RDWR);
}

/* ---- lines ---- */

static int begin(struct hps_marks *m, struct connection *c, const json_t *given, char id[65], struct hps_error *err)
{
	int r;

	if (c->open)
		return hps_error_set(err, HPS_E_USAGE, "trial %.12s has begun on this connection and not ended", c->mark.begin_id);
	r = hps_mark_begin(m->ledger, &m->host, given, &c->mark, err);
	c->open = !r;
	if (r)
		hps_mark_release(&c->mark);
	else
		memcpy(id, c->mark.begin_id, sizeof c->mark.begin_id);
	return r;
}

static int end(struct hps_marks *m, struct connection *c, const json_t *given, char id[65], struct hps_error *err)
{
	int r;

	if (!c->open)
		return hps_error_set(err, HPS_E_USAGE, "no trial has begun on this connection");
	r = hps_mark_end(m->ledger, &m->host, &c->mark, given, id, err);
	if (r)
		return r;
	c->open = false;
	hps_mark_release(&c->mark);
	return 0;
}

static const struct {
	const char *word;
	int (*act)(struct hps_marks *m, struct connection *c, const json_t *given, char id[65], struct hps_error *err);
} words[] = { { "begin", begin }, { "end", end } };

static int obey(struct hps_marks *m, struct connection *c, const char *line, size_t len, char id[65], struct hps_error *err)
{
	size_t n = 0;

	while (n < len && line[n] != ' ')
		n++;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		_cleanup_json_ json_t *given = NULL;
		int r = 0;

		if (strlen(words[i].word) != n || memcmp(line, words[i].word, n) != 0)
			continue;
		if (strspn(line + n, " \r") >= len - n)
			given = json_object();
		else
			r = hps_metrics_parse(line + n, len - n, &given, err);
		if (!r && !json_is_object(given))
			r = hps_error_set(err, HPS_E_FORMAT, "'%s' takes a JSON object", words[i].word);
		return r ? r : words[i].act(m, c, given, id, err);
	}
	return hps_error_set(err, HPS_E_USAGE, "a line begins with 'begin' or 'end'");
}

static void take_lines(struct hps_marks *m, struct connection *c)
{
	char *at = c->in.data, *newline;
	size_t left = c->in.len;

	while (left && (newline = memchr(at, '\n', left))) {
		_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
		char id[65];

		if (obey(m, c, at, (size_t)(newline - at), id, &err))
			answer(c, "error", err.message);
		else
			answer(c, "ok", id);
		left -= (size_t)(newline + 1 - at);
		at = newline + 1;
	}
	if (left)
		memmove(c->in.data, at, left);
	c->in.len = left;
}

/* ---- connections ---- */

/* A trial that did not end is recorded as abandoned: its begin entry must not stay without an end. */
static void close_connection(struct hps_marks *m, size_t i)
{
	struct connection *c = m->connections[i];
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	char id[65];

	if (c->open && hps_mark_end(m->ledger, &m->host, &c->mark, NULL, id, &err))
		hps_note("ending trial %.12s: %s", c->mark.begin_id, err.message);
	hps_mark_release(&c->mark);
	hps_buf_release(&c->in);
	close(c->fd);
	free(c);
	m->connections[i] = m->connections[--m->n];
}

static void accept_one(struct hps_marks *m)
{
	int fd = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *c;

	if (fd < 0)
		return;
	c = hps_alloc(sizeof *c);
	c->fd = fd;
	c->mark.lease = -1;
	hps_buf_init(&c->in, LINE_MAX_BYTES);
	m->connections[m->n++] = c;
}

enum received { ENDED, NOTHING, SOME };

static enum received receive(struct hps_marks *m, struct connection *c)
{
	char block[16384];
	ssize_t n = recv(c->fd, block, sizeof block, 0);

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? NOTHING : ENDED;
	hps_buf_add(&c->in, block, (size_t)n);
	if (c->in.full) {
		answer(c, "error", "the line is too long");
		return ENDED;
	}
	take_lines(m, c);
	return SOME;
}

static void *marks_main(void *arg)
{
	struct hps_marks *m = arg;
	struct pollfd polls[CONNECTIONS_MAX + 2];

	pthread_setname_np(pthread_self(), "marks");
	for (bool stop = false; !stop;) {
		size_t n = m->n;

		polls[0] = (struct pollfd){ .fd = m->stop, .events = POLLIN };
		polls[1] = (struct pollfd){ .fd = n < CONNECTIONS_MAX ? m->listener : -1, .events = POLLIN };
		for (size_t i = 0; i < n; i++)
			polls[i + 2] = (struct pollfd){ .fd = m->connections[i]->fd, .events = POLLIN };
		if (poll(polls, n + 2, -1) < 0)
			continue;
		for (size_t i = n; i > 0; i--)
			if (polls[i + 1].revents && receive(m, m->connections[i - 1]) == ENDED)
				close_connection(m, i - 1);
		if (polls[1].revents)
			accept_one(m);
		stop = polls[0].revents;
	}
	return NULL;
}

/* ---- life ---- */

int hps_marks_start(struct hps_ledger *l, const struct hps_record *host, const char *path, struct hps_marks **ret, struct hps_error *err)
{
	struct hps_marks *m = hps_alloc(sizeof *m);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int r = -ENAMETOOLONG;

	m->ledger = l;
	m->host = *host;
	m->path = hps_strdup(path);
	m->stop = eventfd(0, EFD_CLOEXEC);
	m->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (strlen(path) < sizeof a.sun_path) {
		memcpy(a.sun_path, path, strlen(path));
		r = m->stop < 0 || m->listener < 0 || bind(m->listener, (const struct sockaddr *)&a, sizeof a) || listen(m->listener, 64) ? -errno : 0;
	}
	if (!r)
		r = -pthread_create(&m->thread, NULL, marks_main, m);
	if (r) {
		errno = -r;
		hps_error_errno(err, "listening on '%s'", path);
		m->thread = 0;
		hps_marks_end(m);
		return r;
	}
	*ret = m;
	return 0;
}

const char *hps_marks_path(const struct hps_marks *m)
{
	return m->path;
}

void hps_marks_end(struct hps_marks *m)
{
	uint64_t one = 1;

	if (!m)
		return;
	if (m->thread && write(m->stop, &one, sizeof one) == sizeof one)
		pthread_join(m->thread, NULL);
	/* What was sent before the command ended counts. */
	while (m->n)
		if (receive(m, m->connections[0]) != SOME)
			close_connection(m, 0);
	if (m->listener >= 0)
		close(m->listener);
	if (m->stop >= 0)
		close(m->stop);
	unlink(m->path);
	free(m->path);
	free(m);
}
