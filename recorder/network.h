/* Who is at the other end of the trial's sockets: what the kernel tells (diag.c), and whether that is the trial itself (peers.c). */
#ifndef HPS_RECORDER_NETWORK_H
#define HPS_RECORDER_NETWORK_H

#include <sys/socket.h>

#include "recorder/recorder.h"

/* ---- diag.c: sock_diag(7) ---- */

struct hps_diag_end {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;	     /* of the host's byte order */
};
bool hps_diag_end_of(const struct sockaddr_storage *a, struct hps_diag_end *ret); /* false: neither IPv4 nor IPv6 */
bool hps_diag_any(const struct hps_diag_end *e);      /* no address in particular: all of this machine's, or itself */
bool hps_diag_loopback(const struct hps_diag_end *e); /* of this machine alone */
#define HPS_DIAG_NAME 64
void hps_diag_name(const struct hps_diag_end *e, char out[HPS_DIAG_NAME]); /* "inet 192.0.2.1 80", "inet6 ::1 80" */

struct hps_diag_tcp {
	uint64_t cookie; /* the number that the kernel gives a socket once and never again (SO_COOKIE) */
	struct hps_diag_end local, remote; /* remote.port 0: none */
	bool established; /* now or once; of a socket that was accepted always */
	bool measured;
	uint64_t sent, received; /* bytes, when measured */
};
struct hps_diag_unix {
	uint64_t cookie;
	const char *name; /* as it was bound; an abstract one begins with a NUL */
	size_t name_len;
	uint32_t major, minor, ino; /* of the socket's file; ino 0: it has none */
};
typedef void hps_diag_tcp_fn(void *arg, const struct hps_diag_tcp *t);
typedef void hps_diag_unix_fn(void *arg, const struct hps_diag_unix *u);

/* A descriptor on which the kernel tells the end of every TCP socket of this network namespace; -errno. */
int hps_diag_subscribe(void) HPS_MUST;
/* Those that wait there. -ENOBUFS: some were not told for want of room. */
int hps_diag_ends(int fd, hps_diag_tcp_fn *fn, void *arg) HPS_MUST;
int hps_diag_tcp(hps_diag_tcp_fn *fn, void *arg) HPS_MUST;	/* all TCP sockets that there are and that are connected */
int hps_diag_bound(hps_diag_unix_fn *fn, void *arg) HPS_MUST; /* all sockets of the unix family that listen, or are bound and take datagrams */

/* ---- peers.c, peers_unix.c: is it the trial itself? ----
 *
 * A socket is the trial's own when the trial was seen to bind it, to listen or to connect with it. TCP: the kernel tells the end of
 * each connection, with both addresses; a connection to a socket of the trial's must be one that the trial made. Unix: a name must
 * be bound to an own socket, and one that listens must not have given more connections than the trial made to it; where a call of accept
 * may have failed, and so given none, that is not known.
 * All but hps_peers_read() is called by the supervisor's thread. */

struct hps_connection { /* a row of the manifest */
	uint64_t count, sent, received;
	bool measured;
};
struct hps_peers;
struct hps_peers *hps_peers_new(void);
void hps_peers_free(struct hps_peers *p);
/* The calls are about to be made. */
void hps_peers_bind(struct hps_supervisor *s, struct hps_call *c);
void hps_peers_listen(struct hps_supervisor *s, struct hps_call *c, const struct sockaddr_storage *a, const char *name);
/* TCP to this address. False: whether it is the trial's own will not be known. */
bool hps_peers_connect(struct hps_supervisor *s, struct hps_call *c, const struct hps_diag_end *to, struct hps_connection *row);
/* Is the socket of this name, which the call at `at` gives, the trial's own? Or is there none? */
enum hps_peer { HPS_PEER_NONE, HPS_PEER_OWN, HPS_PEER_OTHER };
enum hps_peer hps_peers_name(struct hps_supervisor *s, struct hps_call *c, uint64_t at, const struct sockaddr_storage *a, socklen_t len);
void hps_peers_exit(struct hps_supervisor *s, struct hps_tracee *t);
void hps_peers_read(struct hps_peers *p); /* what the kernel has told so far; from any thread */
void hps_peers_end(struct hps_supervisor *s); /* the tree has ended: says what is not known to be the trial's own */

/* A copy of a descriptor of the process's; -1. */
int hps_socket_copy(const struct hps_call *c, int fd);

#endif
