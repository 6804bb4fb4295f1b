/* Files of packages and distributions, told to the process of facts as soon as they are hashed: so it finds out about them while the trial runs,
 * with processor time that nobody wants. Telling never waits, and what does not get there is only found out later. */
#include "recorder/recorder.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define PIECE 32768 /* so much is told while there is other work */

void hps_news_init(struct hps_news *n, int fd)
{
	n->fd = fd;
	pthread_mutex_init(&n->lock, NULL);
	hps_buf_init(&n->text, HPS_NEWS_MAX);
	hps_buf_init(&n->sending, HPS_NEWS_MAX);
}

void hps_news_release(struct hps_news *n)
{
	pthread_mutex_destroy(&n->lock);
	hps_buf_release(&n->text);
	hps_buf_release(&n->sending);
}

/* What there is room for. */
static void send_some(struct hps_news *n)
{
	ssize_t sent = send(n->fd, n->sending.data, n->sending.len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent <= 0)
		return;
	n->sending.len -= (size_t)sent;
	memmove(n->sending.data, n->sending.data + sent, n->sending.len);
}

/* Whole records, or none: the other side parses what it gets. */
static void add(struct hps_news *n, const struct hps_buf *records)
{
	pthread_mutex_lock(&n->lock);
	hps_buf_add(&n->text, records->data, records->len);
	pthread_mutex_unlock(&n->lock);
}

void hps_news_file(struct hps_news *n, char kind, const char *path, const struct hps_digest *content, const uint8_t md5[16])
{
	_cleanup_buf_ struct hps_buf record = HPS_BUF_INIT;
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(content, hex);
	hps_buf_addf(&record, "%c%s%s", kind, hex, path);
	hps_buf_addc(&record, '\0');
	if (md5) {
		hps_hex(hex, md5, 16);
		hps_buf_addf(&record, "%c%s", HPS_NEWS_SUM, hex);
		hps_buf_addc(&record, '\0');
	}
	add(n, &record);
}

void hps_news_program(struct hps_news *n, const char *path)
{
	_cleanup_buf_ struct hps_buf record = HPS_BUF_INIT;

	hps_buf_addf(&record, "%c%s", HPS_NEWS_PROGRAM, path);
	hps_buf_addc(&record, '\0');
	add(n, &record);
}

bool hps_news_due(struct hps_news *n)
{
	bool due;

	pthread_mutex_lock(&n->lock);
	due = n->text.len >= PIECE;
	pthread_mutex_unlock(&n->lock);
	return due;
}

static void take_added(struct hps_news *n)
{
	struct hps_buf empty = n->sending;

	hps_buf_reset(&empty);
	pthread_mutex_lock(&n->lock);
	n->sending = n->text;
	n->text = empty;
	pthread_mutex_unlock(&n->lock);
}

void hps_news_send(struct hps_news *n, int limit_ms)
{
	struct pollfd room = { .fd = n->fd, .events = POLLOUT };

	for (;;) {
		if (!n->sending.len)
			take_added(n);
		if (!n->sending.len || poll(&room, 1, limit_ms) <= 0 || room.revents & (POLLERR | POLLHUP))
			return;
		send_some(n);
	}
}

/* ---- on the other side ---- */

bool hps_news_receive(int fd, struct hps_buf *rest, struct hps_touched *ret)
{
	char block[65536];
	ssize_t n;

	while ((n = recv(fd, block, sizeof block, MSG_DONTWAIT)) > 0) {
		const char *end;
		size_t whole;

		hps_buf_add(rest, block, (size_t)n);
		end = memrchr(rest->data, '\0', rest->len);
		whole = end ? (size_t)(end - rest->data) + 1 : 0;
		hps_touched_add(ret, rest->data, whole);
		rest->len -= whole;
		memmove(rest->data, rest->data + whole, rest->len);
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}
