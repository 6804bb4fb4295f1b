/* Sockets: which addresses and paths the trial connected to, bound or sent to, and, with --no-network, that it got no further than
 * this machine's own sockets by path. What goes through a socket is not seen. */
#include "recorder/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ITEMS_MAX 10000u
#define NAME_CAP 160

/* ---- addresses as text ---- */

static socklen_t read_address(struct hps_supervisor *s, struct hps_call *c, uint64_t at, uint64_t len, struct sockaddr_storage *ret)
{
	ssize_t n;

	memset(ret, 0, sizeof *ret);
	n = hps_memory_read(s, c->t, at, ret, len < sizeof *ret ? len : sizeof *ret);
	return n < (ssize_t)sizeof(sa_family_t) ? 0 : (socklen_t)n;
}

static bool is_network(int family)
{
	return family != AF_UNIX && family != AF_NETLINK && family != AF_ALG;
}

/* "unix /path" ("unix @name" for an abstract one), "inet 192.0.2.1 80", "inet6 ::1 80", "family 40". */
static void name_address(const struct sockaddr_storage *a, socklen_t len, char out[NAME_CAP])
{
	char text[INET6_ADDRSTRLEN] = "";

	if (a->ss_family == AF_UNIX) {
		const struct sockaddr_un *u = (const void *)a;
		size_t start = offsetof(struct sockaddr_un, sun_path), n = len > start ? len - start : 0;

		if (n && !u->sun_path[0])
			snprintf(out, NAME_CAP, "unix @%.*s", (int)strnlen(u->sun_path + 1, n - 1), u->sun_path + 1);
		else
			snprintf(out, NAME_CAP, "unix %.*s", (int)strnlen(u->sun_path, n), u->sun_path);
	} else if (a->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)a;

		snprintf(out, NAME_CAP, "inet %s %u", inet_ntop(AF_INET, &in->sin_addr, text, sizeof text), ntohs(in->sin_port));
	} else if (a->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)a;

		snprintf(out, NAME_CAP, "inet6 %s %u", inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text), ntohs(in6->sin6_port));
	} else {
		snprintf(out, NAME_CAP, "family %d", a->ss_family);
	}
}

/* ---- the list ---- */

/* NULL: the list is full. */
static struct hps_connection *note(struct hps_supervisor *s, const struct hps_call *c, const char *how, const char *name)
{
	struct hps_connection *row;
	_cleanup_free_ char *key = hps_format("%d %s %s", c->t->execution, how, name);
	void **slot;

	if (s->connections.n >= ITEMS_MAX && !hps_map_find(&s->connections, key)) {
		hps_gap_note(s->gaps, HPS_GAP_CONNECTIONS);
		return NULL;
	}
	slot = hps_map_slot(&s->connections, key);
	if (!*slot)
		*slot = hps_alloc(sizeof *row);
	row = *slot;
	row->count++;
	return row;
}

static bool refused(struct hps_supervisor *s, struct hps_call *c, int family)
{
	if (!s->no_network || !is_network(family))
		return false;
	hps_answer_error(s, c, ENETUNREACH);
	return true;
}

/* ---- calls ---- */

/* Can data go through it or come without a call that names the other side in a register, or that is intercepted? */
static bool needs_no_connection(int family, int type, int protocol)
{
	if (type != SOCK_STREAM)
		return family != AF_UNIX || type != SOCK_SEQPACKET;
	if (family == AF_INET || family == AF_INET6) /* SCTP connects by sendmsg */
		return protocol && protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP;
	return family != AF_VSOCK && family != AF_UNIX;
}

/* What it is lies in registers: nobody can change it between our look and the kernel's. */
void hps_act_socket(struct hps_supervisor *s, struct hps_call *c)
{
	int family = (int)c->args[0], type = (int)c->args[1] & 0xf;
	const char *how = type == SOCK_STREAM ? "stream" : type == SOCK_DGRAM ? "datagram" : "raw";
	char name[NAME_CAP];

	if (is_network(family) || family == AF_UNIX) {
		snprintf(name, sizeof name, family == AF_UNIX ? "unix" : family == AF_INET ? "inet" : family == AF_INET6 ? "inet6" : "family %d", family);
		note(s, c, s->no_network && is_network(family) ? "refused" : how, name);
		if (refused(s, c, family))
			return;
		if (needs_no_connection(family, type, (int)c->args[2]))
			hps_gap_name(s->gaps, HPS_GAP_DATAGRAM, name);
	}
	hps_answer_continue(s, c);
}

/* Random numbers of the kernel's cryptography are random numbers. */
static bool asks_for_numbers(const struct sockaddr_storage *a, socklen_t len)
{
	static const char type[] = "rng";

	return a->ss_family == AF_ALG && len >= sizeof a->ss_family + sizeof type && !memcmp((const char *)a + sizeof a->ss_family, type, sizeof type);
}

void hps_act_bind(struct hps_supervisor *s, struct hps_call *c)
{
	struct sockaddr_storage a;
	socklen_t len = read_address(s, c, c->args[1], c->args[2], &a);
	struct hps_diag_end end;
	char name[NAME_CAP];

	if (asks_for_numbers(&a, len))
		hps_entropy_unanswered(s, c->t);
	if (len && a.ss_family != AF_NETLINK) {
		name_address(&a, len, name);
		note(s, c, "bind", name);
		if (a.ss_family == AF_UNIX) {
			hps_peers_bind(s, c);
			if (len > offsetof(struct sockaddr_un, sun_path) && ((const struct sockaddr_un *)(const void *)&a)->sun_path[0])
				hps_act_bind_path(s, c, c->args[1] + offsetof(struct sockaddr_un, sun_path));
		} else if (is_network(a.ss_family) && !(hps_diag_end_of(&a, &end) && hps_diag_loopback(&end))) {
			hps_gap_name(s->gaps, HPS_GAP_OFFERED, name);
		}
	}
	hps_answer_continue(s, c);
}

void hps_act_listen(struct hps_supervisor *s, struct hps_call *c)
{
	_cleanup_fd_ int fd = hps_socket_copy(c, (int)c->args[0]);
	struct sockaddr_storage a = { 0 };
	socklen_t len = sizeof a;
	char name[NAME_CAP] = "";

	if (fd >= 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0)
		name_address(&a, len, name);
	note(s, c, "listen", name);
	hps_peers_listen(s, c, &a, name);
	hps_answer_continue(s, c);
}

/* Does what is about to be connected to lie outside the tree? A unix name that is not there leads nowhere: the many programs that ask for a
 * name service daemon first connect to nothing. Of loopback it is seen at the end. */
static void judge(struct hps_supervisor *s, struct hps_call *c, uint64_t at, const struct sockaddr_storage *a, socklen_t len, const char *name,
		  struct hps_connection *row)
{
	struct hps_diag_end end;
	bool followed;

	if (a->ss_family == AF_UNIX) {
		if (!hps_map_get(&s->sockets, name) && hps_peers_name(s, c, at, a, len) == HPS_PEER_OTHER)
			hps_gap_name(s->gaps, HPS_GAP_SOCKET, name + strlen("unix "));
	} else if (is_network(a->ss_family) && a->ss_family != AF_UNSPEC) {
		followed = hps_diag_end_of(a, &end) && hps_peers_connect(s, c, &end, row);
		if (!followed || !(hps_diag_loopback(&end) || hps_diag_any(&end)))
			hps_gap_name(s->gaps, HPS_GAP_NETWORK, name);
	}
}

static void reach(struct hps_supervisor *s, struct hps_call *c, const char *how, uint64_t at, uint64_t size)
{
	struct sockaddr_storage a;
	socklen_t len = read_address(s, c, at, size, &a);
	char name[NAME_CAP];

	if (len && a.ss_family != AF_NETLINK) {
		name_address(&a, len, name);
		if (s->no_network && is_network(a.ss_family) && a.ss_family != AF_UNSPEC) {
			note(s, c, "refused", name); /* a socket from outside: the trial can make none */
			hps_answer_error(s, c, ENETUNREACH);
			return;
		}
		judge(s, c, at, &a, len, name, note(s, c, how, name));
	}
	hps_answer_continue(s, c);
}

void hps_act_connect(struct hps_supervisor *s, struct hps_call *c)
{
	reach(s, c, "connect", c->args[1], c->args[2]);
}

void hps_act_sendto(struct hps_supervisor *s, struct hps_call *c)
{
	reach(s, c, "send", c->args[4], c->args[5]);
}

void hps_act_sendmsg(struct hps_supervisor *s, struct hps_call *c)
{
	struct msghdr message = { .msg_namelen = 0 };

	(void)hps_memory_read(s, c->t, c->args[1], &message, offsetof(struct msghdr, msg_iov));
	reach(s, c, "send", (uintptr_t)message.msg_name, message.msg_namelen);
}

/* ---- the manifest ---- */

static json_t *connection_json(const struct hps_record *r, const struct hps_map_item *item)
{
	_cleanup_free_ char *copy = hps_strdup(item->key);
	const struct hps_connection *row = item->value;
	char *execution = copy, *how, *family, *address, *port;
	json_t *j = json_object();
	int64_t index;

	how = strchr(execution, ' ');
	*how++ = '\0';
	family = strchr(how, ' ');
	*family++ = '\0';
	address = strchr(family, ' ');
	if (address)
		*address++ = '\0';
	port = address && strcmp(family, "unix") != 0 ? strchr(address, ' ') : NULL;
	if (port)
		*port++ = '\0';
	if (hps_parse_i64(execution, 0, INT32_MAX, &index) == 0)
		hps_json_set_int(j, "process", index);
	hps_json_set_text(j, "how", how);
	hps_json_set_text(j, "family", family);
	if (address && *address)
		hps_json_set(j, !strcmp(family, "unix") ? "path" : "address", hps_shape_text(r, address));
	if (port)
		hps_json_set_text(j, "port", port);
	hps_json_set_int(j, "count", (int64_t)row->count);
	if (row->measured) {
		hps_json_set_int(j, "sentBytes", (int64_t)row->sent);
		hps_json_set_int(j, "receivedBytes", (int64_t)row->received);
	}
	return j;
}

int hps_network_write(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	const struct hps_map *all = &r->supervisor->connections;
	struct hps_manifest m;

	hps_manifest_begin(&m, r, "connections");
	for (size_t i = 0; i < all->n; i++)
		hps_manifest_add(&m, connection_json(r, &all->items[i]));
	return hps_manifest_end(&m, r, ret, err);
}

void hps_connections_release(struct hps_map *connections)
{
	for (size_t i = 0; i < connections->n; i++)
		free(connections->items[i].value);
	hps_map_release(connections);
}
