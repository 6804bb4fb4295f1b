/* Whether the other end of a socket is the trial itself. Nothing is believed of a name or a port: the kernel's number of each socket
 * (SO_COOKIE) tells the trial's from others'. */
#include "recorder/peers.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OWN_MAX 100000u
#define LINKS_MAX 20000u
#define WAIT_MS 1000 /* for the last ends to be told */
#define QUIET_MS 10
#define KEY 80

/* A TCP connection of one of the trial's sockets. */
struct link {
	struct hps_diag_end local, remote;
	bool client, unsure;
};

struct hps_peers *hps_peers_new(void)
{
	struct hps_peers *p = hps_alloc(sizeof *p);

	pthread_mutex_init(&p->lock, NULL);
	p->ends_fd = -1;
	return p;
}

void hps_peers_free(struct hps_peers *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->own.n; i++) {
		free(((struct hps_own *)p->own.items[i].value)->name);
		free(p->own.items[i].value);
	}
	for (size_t i = 0; i < p->links.n; i++)
		free(p->links.items[i].value);
	hps_map_release(&p->own);
	hps_map_release(&p->links);
	hps_map_release(&p->files);
	free(p->listeners);
	free(p->accepting);
	if (p->ends_fd >= 0)
		close(p->ends_fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- sockets ---- */

int hps_socket_copy(const struct hps_call *c, int fd)
{
	/* Of which table it would be is not always known. */
	return c->t->launching || c->t->shares ? -1 : hps_tracee_descriptor(c->t, fd);
}

int hps_socket_option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) ? -1 : value;
}

uint64_t hps_socket_number(int fd, int name)
{
	uint64_t value = 0;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) ? 0 : value;
}

static char *key_of(uint64_t cookie, char key[KEY])
{
	snprintf(key, KEY, "%llx", (unsigned long long)cookie);
	return key;
}

struct hps_own *hps_peers_find(const struct hps_peers *p, uint64_t cookie)
{
	char key[KEY];

	return hps_map_get(&p->own, key_of(cookie, key));
}

/* Under the lock. NULL: there are too many. */
static struct hps_own *add(struct hps_peers *p, uint64_t cookie)
{
	struct hps_own *o = hps_peers_find(p, cookie);
	char key[KEY];

	if (o || p->own.n >= OWN_MAX)
		return o;
	o = hps_alloc(sizeof *o);
	*hps_map_slot(&p->own, key_of(cookie, key)) = o;
	return o;
}

/* ---- ends of TCP sockets ---- */

static bool same_place(const struct hps_diag_end *a, const struct hps_diag_end *b)
{
	return a->port == b->port && (hps_diag_any(b) || !memcmp(a->address, b->address, sizeof a->address));
}

/* Does a socket of the trial's listen there, or did one? Under the lock. */
static struct hps_own *listener_at(const struct hps_peers *p, const struct hps_diag_end *at)
{
	for (size_t i = 0; i < p->n_listeners; i++)
		if (same_place(at, &p->listeners[i]->at))
			return p->listeners[i];
	return NULL;
}

static void link_key(const struct hps_diag_end *from, const struct hps_diag_end *to, char key[KEY])
{
	char a[33], b[33];

	hps_hex(a, from->address, sizeof from->address);
	hps_hex(b, to->address, sizeof to->address);
	snprintf(key, KEY, "%s%04x%s%04x", a, from->port, b, to->port);
}

static void keep(struct hps_peers *p, const struct hps_diag_tcp *t, const struct hps_own *client)
{
	struct link *link;
	void **slot;
	char key[KEY];

	link_key(&t->local, &t->remote, key);
	if (p->links.n >= LINKS_MAX && !hps_map_find(&p->links, key)) {
		p->more = true;
		return;
	}
	slot = hps_map_slot(&p->links, key);
	if (!*slot)
		*slot = hps_alloc(sizeof *link);
	link = *slot;
	link->local = t->local;
	link->remote = t->remote;
	link->client = link->client || client;
	link->unsure = link->unsure || (client && client->unsure);
}

static void note_end(void *arg, const struct hps_diag_tcp *t)
{
	struct hps_peers *p = arg;
	struct hps_own *o = hps_peers_find(p, t->cookie);

	if (o && o->ended)
		return;
	if (o && o->row && t->measured) {
		o->row->sent += t->sent;
		o->row->received += t->received;
		o->row->measured = true;
	}
	if (o)
		o->ended = true;
	if (o && !o->listens && t->remote.port && t->established)
		keep(p, t, o);
	else if (!o && t->remote.port && listener_at(p, &t->local))
		keep(p, t, NULL);
}

/* Under the lock. */
static void read_ends(struct hps_peers *p)
{
	if (p->ends_fd >= 0 && hps_diag_ends(p->ends_fd, note_end, p))
		p->lost = true;
}

void hps_peers_read(struct hps_peers *p)
{
	if (p->ends_fd < 0)
		return;
	pthread_mutex_lock(&p->lock);
	read_ends(p);
	pthread_mutex_unlock(&p->lock);
}

/* Is fd a TCP socket of our network whose end will be told? */
static bool followed(struct hps_peers *p, int fd)
{
	int own;

	if (fd < 0 || hps_socket_option(fd, SO_TYPE) != SOCK_STREAM)
		return false;
	if (p->ends_fd < 0) {
		own = hps_diag_subscribe();
		if (own < 0)
			return false;
		p->network = hps_socket_number(own, SO_NETNS_COOKIE);
		p->ends_fd = own;
	}
	return p->network && hps_socket_number(fd, SO_NETNS_COOKIE) == p->network;
}

/* ---- calls ---- */

void hps_peers_bind(struct hps_supervisor *s, struct hps_call *c)
{
	_cleanup_fd_ int fd = hps_socket_copy(c, (int)c->args[0]);
	uint64_t cookie = fd < 0 ? 0 : hps_socket_number(fd, SO_COOKIE);

	pthread_mutex_lock(&s->peers->lock);
	if (cookie)
		add(s->peers, cookie);
	pthread_mutex_unlock(&s->peers->lock);
}

/* at: NULL for one of the unix family. Under the lock. */
static void set_listener(struct hps_peers *p, struct hps_own *o, const struct hps_diag_end *at, const char *name)
{
	if (o->listens)
		return;
	o->listens = true;
	o->name = hps_strdup(name);
	if (!at)
		return;
	o->network = true;
	o->at = *at;
	p->listeners = hps_grow(p->listeners, p->n_listeners, sizeof(struct hps_own *));
	p->listeners[p->n_listeners++] = o;
}

void hps_peers_listen(struct hps_supervisor *s, struct hps_call *c, const struct sockaddr_storage *a, const char *name)
{
	_cleanup_fd_ int fd = hps_socket_copy(c, (int)c->args[0]);
	uint64_t cookie = fd < 0 ? 0 : hps_socket_number(fd, SO_COOKIE);
	struct hps_diag_end at;
	bool network = hps_diag_end_of(a, &at);
	struct hps_own *o;

	if (!cookie || (network && (!at.port || !followed(s->peers, fd))) || (!network && a->ss_family != AF_UNIX)) {
		hps_gap_name(s->gaps, HPS_GAP_FOLLOW, name);
		return;
	}
	pthread_mutex_lock(&s->peers->lock);
	o = add(s->peers, cookie);
	if (!o)
		hps_gap_name(s->gaps, HPS_GAP_FOLLOW, name);
	else
		set_listener(s->peers, o, network ? &at : NULL, name);
	pthread_mutex_unlock(&s->peers->lock);
}

bool hps_peers_connect(struct hps_supervisor *s, struct hps_call *c, const struct hps_diag_end *to, struct hps_connection *row)
{
	_cleanup_fd_ int fd = hps_socket_copy(c, (int)c->args[0]);
	uint64_t cookie = fd < 0 ? 0 : hps_socket_number(fd, SO_COOKIE);
	bool known = cookie && followed(s->peers, fd);
	struct hps_own *o;

	if (!known)
		return false;
	pthread_mutex_lock(&s->peers->lock);
	read_ends(s->peers);
	o = add(s->peers, cookie);
	if (o) {
		o->network = true;
		o->row = row;
		o->unsure = hps_diag_loopback(to) || hps_diag_any(to);
	}
	pthread_mutex_unlock(&s->peers->lock);
	return o != NULL;
}

/* ---- the end ---- */

static bool all_ended(const struct hps_peers *p)
{
	for (size_t i = 0; i < p->own.n; i++) {
		const struct hps_own *o = p->own.items[i].value;

		if (o->unsure && !o->ended)
			return false;
	}
	return true;
}

/* Until the end of a socket that we made just now is told, and no other for a moment: the kernel tells from each processor in turn. What
 * has not ended is asked for: a connection outlives its process when its other end does not answer. */
static void await_ends(struct hps_peers *p)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd w = { .fd = p->ends_fd, .events = POLLIN };
	int64_t until = hps_time_monotonic_ns() + WAIT_MS * 1000000ll;
	struct hps_own *last;
	bool quiet;

	if (fd < 0)
		fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		p->lost = true;
		return;
	}
	last = add(p, hps_socket_number(fd, SO_COOKIE));
	close(fd);
	if (!last) {
		p->lost = true;
		return;
	}
	do {
		quiet = poll(&w, 1, QUIET_MS) == 0;
		read_ends(p);
		if (hps_diag_tcp(note_end, p))
			p->lost = true;
	} while (!p->lost && !(quiet && last->ended && all_ended(p)) && hps_time_monotonic_ns() < until);
	p->lost = p->lost || !last->ended;
}

/* The other end of this connection is the trial's, too: a socket that it connected, or one that listened. */
static bool own_at_both(const struct hps_peers *p, const struct link *l)
{
	const struct link *other;
	char key[KEY];

	link_key(&l->remote, &l->local, key);
	other = hps_map_get(&p->links, key);
	return l->client ? listener_at(p, &l->remote) != NULL : other && other->client;
}

void hps_peers_end(struct hps_supervisor *s)
{
	struct hps_peers *p = s->peers;
	char name[HPS_DIAG_NAME];

	if (p->ends_fd < 0)
		return;
	pthread_mutex_lock(&p->lock);
	await_ends(p);
	for (size_t i = 0; i < p->own.n; i++) {
		const struct hps_own *o = p->own.items[i].value;

		if (p->lost && o->network && (o->listens || o->unsure))
			hps_gap_name(s->gaps, HPS_GAP_FOLLOW, o->name ? o->name : "inet");
		else if (o->unsure && !o->ended) /* of another protocol, or in other hands */
			hps_gap_name(s->gaps, HPS_GAP_FOLLOW, "inet");
	}
	for (size_t i = 0; i < p->links.n; i++) {
		const struct link *l = p->links.items[i].value;

		if ((l->client && !l->unsure) || own_at_both(p, l))
			continue;
		hps_diag_name(&l->remote, name);
		hps_gap_name(s->gaps, l->client ? HPS_GAP_NETWORK : HPS_GAP_VISITED, name);
	}
	if (p->more)
		hps_gap_note(s->gaps, HPS_GAP_CONNECTIONS);
	pthread_mutex_unlock(&p->lock);
}
