/* The trial's own sockets: what peers.c and peers_unix.c share, and nobody else includes. */
#ifndef HPS_RECORDER_PEERS_H
#define HPS_RECORDER_PEERS_H

#include "recorder/network.h"

struct hps_own {
	bool network, listens, ended;
	bool unsure; /* a client: told to connect to this machine's loopback, to whom is seen at its end */
	struct hps_diag_end at;	    /* listens there */
	struct hps_connection *row; /* of a client */
	char *name;		    /* of one that listens */
	/* Unix, listens: connections that the trial made to it, that it gave for sure, and that it may have given. */
	uint64_t n_connects, n_given, n_perhaps;
	bool visited, doubted; /* said already: there were more of the second than of the first; of second and third together */
};
/* A thread that was told to accept from a unix socket, and has not been heard of since. */
struct hps_accepting {
	struct hps_own *from;
	pid_t pid, tid;
	bool races; /* for one connection, with another thread; the loser is told EAGAIN */
};
struct hps_peers {
	pthread_mutex_t lock;
	_Atomic int ends_fd; /* -1: not subscribed */
	uint64_t network;    /* which namespace (SO_NETNS_COOKIE) */
	bool lost, more;     /* ends were not told; more connections than are kept */
	struct hps_map own;  /* struct hps_own *; by cookie */
	struct hps_own **listeners; /* those of them that listen for TCP */
	size_t n_listeners;
	struct hps_map links; /* by both ends */
	struct hps_map files; /* struct hps_own *; by the identity of the socket's file */
	struct hps_accepting *accepting;
	size_t n_accepting;
};

struct hps_own *hps_peers_find(const struct hps_peers *p, uint64_t cookie); /* under the lock; NULL: not the trial's */
int hps_socket_option(int fd, int name);       /* of SOL_SOCKET; -1 */
uint64_t hps_socket_number(int fd, int name); /* the same; 0 */

#endif
