/* What the kernel tells of sockets (sock_diag(7)): those that there are, and TCP sockets that end. */
#include "recorder/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 32768 /* the kernel makes none that are larger */
#define ROOM (4 << 20)	  /* for ends that were not read yet */
/* States of sockets: tcp_states.h, which is the kernel's own. */
#define ESTABLISHED 1
#define SYN_SENT 2
#define SYN_RECEIVED 3
#define TIME_WAIT 6
#define LISTEN 10
#define CONNECTED (0xfffu & ~(1u << TIME_WAIT | 1u << LISTEN))

/* ---- addresses ---- */

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static void set_v4(struct hps_diag_end *e, const void *address)
{
	memcpy(e->address, mapped, sizeof mapped);
	memcpy(e->address + sizeof mapped, address, 4);
}

bool hps_diag_end_of(const struct sockaddr_storage *a, struct hps_diag_end *ret)
{
	const struct sockaddr_in *in = (const void *)a;
	const struct sockaddr_in6 *in6 = (const void *)a;

	memset(ret, 0, sizeof *ret);
	if (a->ss_family == AF_INET) {
		set_v4(ret, &in->sin_addr);
		ret->port = ntohs(in->sin_port);
	} else if (a->ss_family == AF_INET6) {
		memcpy(ret->address, &in6->sin6_addr, sizeof ret->address);
		ret->port = ntohs(in6->sin6_port);
	}
	return a->ss_family == AF_INET || a->ss_family == AF_INET6;
}

static bool is_v4(const struct hps_diag_end *e)
{
	return !memcmp(e->address, mapped, sizeof mapped);
}

bool hps_diag_any(const struct hps_diag_end *e)
{
	static const uint8_t none[16];

	return !memcmp(e->address, none, sizeof none) || (is_v4(e) && !memcmp(e->address + 12, none, 4));
}

bool hps_diag_loopback(const struct hps_diag_end *e)
{
	return !memcmp(e->address, &in6addr_loopback, sizeof e->address) || (is_v4(e) && e->address[12] == 127);
}

void hps_diag_name(const struct hps_diag_end *e, char out[HPS_DIAG_NAME])
{
	char text[INET6_ADDRSTRLEN] = "";
	bool v4 = is_v4(e);

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? e->address + 12 : e->address, text, sizeof text);
	snprintf(out, HPS_DIAG_NAME, "%s %s %u", v4 ? "inet" : "inet6", text, e->port);
}

/* ---- messages ---- */

struct reader {
	hps_diag_tcp_fn *tcp;
	hps_diag_unix_fn *bound;
	void *arg;
	bool done;
	int error;
};

static uint64_t cookie_of(const uint32_t parts[2])
{
	return parts[0] | (uint64_t)parts[1] << 32;
}

static void set_end(struct hps_diag_end *e, unsigned family, const void *address, uint16_t port)
{
	memset(e, 0, sizeof *e);
	if (family == AF_INET)
		set_v4(e, address);
	else
		memcpy(e->address, address, sizeof e->address);
	e->port = ntohs(port);
}

/* The attribute of this type among those after a message's head of `head` bytes; its length in ret_len. NULL: none. */
static const void *attribute(const struct nlmsghdr *h, size_t head, unsigned type, size_t *ret_len)
{
	const char *at = (const char *)h + NLMSG_LENGTH(NLMSG_ALIGN(head)), *end = (const char *)h + h->nlmsg_len;

	while (end - at >= (ptrdiff_t)sizeof(struct rtattr)) {
		struct rtattr a;

		memcpy(&a, at, sizeof a);
		if (a.rta_len < sizeof a || a.rta_len > end - at)
			return NULL;
		*ret_len = a.rta_len - sizeof a;
		if (a.rta_type == type)
			return at + sizeof a;
		at += RTA_ALIGN(a.rta_len);
	}
	return NULL;
}

static void tell_tcp(struct reader *r, const struct nlmsghdr *h)
{
	struct tcp_info info = { 0 };
	struct inet_diag_msg m;
	struct hps_diag_tcp t;
	const void *found;
	size_t n;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof m))
		return;
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	if (m.idiag_family != AF_INET && m.idiag_family != AF_INET6)
		return;
	t = (struct hps_diag_tcp){ .cookie = cookie_of(m.id.idiag_cookie) };
	set_end(&t.local, m.idiag_family, m.id.idiag_src, m.id.idiag_sport);
	set_end(&t.remote, m.idiag_family, m.id.idiag_dst, m.id.idiag_dport);
	found = attribute(h, sizeof m, INET_DIAG_INFO, &n);
	if (found)
		memcpy(&info, found, n < sizeof info ? n : sizeof info);
	t.measured = found && n >= offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans;
	/* The other side has acknowledged our SYN, which counts as a byte. */
	t.established = !t.measured || info.tcpi_bytes_acked > 0 || info.tcpi_bytes_received > 0 ||
			(m.idiag_state != SYN_SENT && m.idiag_state != SYN_RECEIVED && m.idiag_state != 7);
	t.sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
	t.received = info.tcpi_bytes_received;
	r->tcp(r->arg, &t);
}

static void tell_unix(struct reader *r, const struct nlmsghdr *h)
{
	struct unix_diag_msg m;
	struct unix_diag_vfs file = { 0 };
	struct hps_diag_unix u = { 0 };
	const void *found;
	size_t n = 0;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof m))
		return;
	memcpy(&m, NLMSG_DATA(h), sizeof m);
	u.name = attribute(h, sizeof m, UNIX_DIAG_NAME, &u.name_len);
	if (!u.name || !u.name_len || (m.udiag_state != LISTEN && m.udiag_type != SOCK_DGRAM)) /* others have the name of whom they were accepted by */
		return;
	u.cookie = cookie_of(m.udiag_cookie);
	found = attribute(h, sizeof m, UNIX_DIAG_VFS, &n);
	if (found && n >= sizeof file)
		memcpy(&file, found, sizeof file);
	u.ino = file.udiag_vfs_ino;
	u.major = file.udiag_vfs_dev >> 20;
	u.minor = file.udiag_vfs_dev & 0xfffff;
	r->bound(r->arg, &u);
}

static void take(struct reader *r, const struct nlmsghdr *h)
{
	if (h->nlmsg_type == NLMSG_DONE) {
		r->done = true;
	} else if (h->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = NLMSG_DATA(h);

		r->done = true;
		r->error = h->nlmsg_len >= NLMSG_LENGTH(sizeof *e) ? e->error : -EPROTO;
	} else if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY && r->tcp) {
		tell_tcp(r, h);
	} else if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY) {
		tell_unix(r, h);
	}
}

/* One datagram of messages. -errno. */
static int receive(int fd, int flags, struct reader *r)
{
	union {
		struct nlmsghdr head;
		char bytes[MESSAGE_MAX];
	} all;
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof from;
	ssize_t n = recvfrom(fd, &all, sizeof all, flags, (struct sockaddr *)&from, &from_len);
	const struct nlmsghdr *h = &all.head;

	if (n < 0)
		return -errno;
	if (from.nl_pid) /* not the kernel */
		return 0;
	for (size_t left = (size_t)n; NLMSG_OK(h, left) && !r->done; h = NLMSG_NEXT(h, left))
		take(r, h);
	return 0;
}

static int open_diag(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

/* Asks for all of a kind, and tells each. */
static int ask(const void *question, size_t n, struct reader *r)
{
	struct {
		struct nlmsghdr head;
		union {
			struct inet_diag_req_v2 inet;
			struct unix_diag_req bound;
		} body;
	} message = { .head = { .nlmsg_len = (uint32_t)NLMSG_LENGTH(n), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP } };
	_cleanup_fd_ int fd = open_diag();
	int error = fd;

	if (fd < 0)
		return fd;
	memcpy(&message.body, question, n);
	if (send(fd, &message, NLMSG_LENGTH(n), 0) < 0)
		return -errno;
	for (error = 0; !error && !r->done;)
		error = receive(fd, 0, r);
	return error ? error : r->error;
}

/* ---- questions ---- */

int hps_diag_subscribe(void)
{
	struct sockaddr_nl groups = { .nl_family = AF_NETLINK, .nl_groups = 1u << (SKNLGRP_INET_TCP_DESTROY - 1) | 1u << (SKNLGRP_INET6_TCP_DESTROY - 1) };
	_cleanup_fd_ int fd = open_diag();
	int room = ROOM;

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	if (bind(fd, (struct sockaddr *)&groups, sizeof groups))
		return -errno;
	return hps_take_fd(&fd);
}

int hps_diag_ends(int fd, hps_diag_tcp_fn *fn, void *arg)
{
	struct reader r = { .tcp = fn, .arg = arg };
	int error = 0, lost = 0;

	while (error != -EAGAIN && error != -EBADF) {
		error = receive(fd, MSG_DONTWAIT, &r);
		if (error == -ENOBUFS)
			lost = error;
		else if (error && error != -EAGAIN && error != -EINTR)
			return error;
	}
	return lost;
}

int hps_diag_tcp(hps_diag_tcp_fn *fn, void *arg)
{
	static const uint8_t families[] = { AF_INET, AF_INET6 };
	int error = 0;

	for (size_t i = 0; !error && i < ARRAY_SIZE(families); i++) {
		struct inet_diag_req_v2 q = { .sdiag_family = families[i], .sdiag_protocol = IPPROTO_TCP, .idiag_states = CONNECTED, .idiag_ext = 1u << (INET_DIAG_INFO - 1) };

		error = ask(&q, sizeof q, &(struct reader){ .tcp = fn, .arg = arg });
	}
	return error;
}

int hps_diag_bound(hps_diag_unix_fn *fn, void *arg)
{
	struct unix_diag_req q = { .sdiag_family = AF_UNIX, .udiag_states = ~0u, .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS };

	return ask(&q, sizeof q, &(struct reader){ .bound = fn, .arg = arg });
}
