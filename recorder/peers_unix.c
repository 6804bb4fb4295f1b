/* Unix sockets: how many connections one that listens gave, and whose the socket of a name is.
 *
 * Who was accepted is not asked for: the program may have closed it again before its next call that we hear of. So it is
 * counted: a thread that calls accept again, or ends, has been given what it asked for before, unless the call may have failed. */
#include "recorder/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#define KEY 80

/* ---- connections that were given ---- */

static void judge(struct hps_supervisor *s, struct hps_own *o)
{
	if (o->n_given > o->n_connects && !o->visited) {
		o->visited = true;
		hps_gap_name(s->gaps, HPS_GAP_VISITED, o->name);
	} else if (o->n_given + o->n_perhaps > o->n_connects && !o->visited && !o->doubted) {
		o->doubted = true;
		hps_gap_name(s->gaps, HPS_GAP_FOLLOW, o->name);
	}
}

/* Could a signal have ended the call (EINTR), or begun it anew? Not those that the C library keeps for itself, those of a
 * mistake, and SIGINT: Python always has a handler for that, and hardly anything is accepted after one. */
static bool interruptible(const struct hps_tracee *t)
{
	static const int others[] = { SIGINT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGPIPE, SIGSYS, 32, 33 };
	static const char field[] = "\nSigCgt:\t";
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	const char *caught;
	uint64_t set;

	if (hps_file_read(t->task_fd, "../status", 1 << 16, &text, NULL) || !text.data || !(caught = strstr(text.data, field)))
		return true;
	set = strtoull(caught + strlen(field), NULL, 16);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		set &= ~(1ull << (others[i] - 1));
	return set != 0;
}

static void given(struct hps_supervisor *s, const struct hps_tracee *t, size_t i)
{
	const struct hps_accepting a = s->peers->accepting[i];
	struct hps_own *o = a.from;

	s->peers->accepting[i] = s->peers->accepting[--s->peers->n_accepting];
	if (a.races || (o->n_given + o->n_perhaps >= o->n_connects && interruptible(t)))
		o->n_perhaps++;
	else
		o->n_given++;
	judge(s, o);
}

/* With no number left for a descriptor the kernel fails (EMFILE) before it takes a connection. Linux before 6.2 does not tell how many there are. */
static bool has_room(const struct hps_tracee *t)
{
	struct rlimit limit;
	struct stat open;

	return fstatat(t->task_fd, "../fd", &open, 0) || prlimit(t->pid, RLIMIT_NOFILE, NULL, &limit) || (uint64_t)open.st_size < limit.rlim_cur;
}

static bool waits(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

/* Under the lock no longer: only the supervisor's thread changes what is counted. */
static void note_accept(struct hps_peers *p, const struct hps_call *c, int fd, struct hps_own *o)
{
	bool at_once = fcntl(fd, F_GETFL) & O_NONBLOCK, races = false;

	if ((at_once && !waits(fd)) || !has_room(c->t))
		return;
	for (size_t i = 0; i < p->n_accepting && at_once; i++)
		races = races || p->accepting[i].from == o;
	p->accepting = hps_grow(p->accepting, p->n_accepting, sizeof *p->accepting);
	p->accepting[p->n_accepting++] = (struct hps_accepting){ o, c->t->pid, (pid_t)c->n->pid, races };
}

void hps_act_accept(struct hps_supervisor *s, struct hps_call *c)
{
	struct hps_peers *p = s->peers;
	_cleanup_fd_ int fd = -1;
	struct hps_own *o = NULL;

	for (size_t i = p->n_accepting; i > 0; i--)
		if (p->accepting[i - 1].tid == (pid_t)c->n->pid)
			given(s, c->t, i - 1);
	if (p->own.n)
		fd = hps_socket_copy(c, (int)c->args[0]);
	pthread_mutex_lock(&p->lock);
	if (fd >= 0 && hps_socket_option(fd, SO_DOMAIN) == AF_UNIX)
		o = hps_peers_find(p, hps_socket_number(fd, SO_COOKIE));
	pthread_mutex_unlock(&p->lock);
	if (o && o->listens)
		note_accept(p, c, fd, o);
	hps_answer_continue(s, c);
}

/* Does the thread still wait in accept or accept4? */
static bool still_accepts(const struct hps_tracee *t, pid_t tid)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char path[32], calls[2][16];

	snprintf(path, sizeof path, "%d/syscall", tid);
	snprintf(calls[0], sizeof calls[0], "%d ", SYS_accept);
	snprintf(calls[1], sizeof calls[1], "%d ", SYS_accept4);
	return !hps_file_read(t->task_fd, path, 512, &text, NULL) && text.data &&
	       (!strncmp(text.data, calls[0], strlen(calls[0])) || !strncmp(text.data, calls[1], strlen(calls[1])));
}

void hps_peers_exit(struct hps_supervisor *s, struct hps_tracee *t)
{
	struct hps_peers *p = s->peers;

	for (size_t i = p->n_accepting; i > 0; i--) {
		if (p->accepting[i - 1].pid != t->pid)
			continue;
		if (still_accepts(t, p->accepting[i - 1].tid))
			p->accepting[i - 1] = p->accepting[--p->n_accepting];
		else
			given(s, t, i - 1);
	}
}

/* ---- names of unix sockets ---- */

struct look {
	const struct hps_peers *p;
	const char *name;
	size_t name_len;
	const struct stat *file; /* NULL: an abstract name */
	struct hps_own *own;
	size_t n, n_other;
};

static void compare(void *arg, const struct hps_diag_unix *u)
{
	struct look *l = arg;
	bool same = u->name_len == l->name_len && !memcmp(u->name, l->name, l->name_len);
	struct hps_own *o;

	/* File systems made of others show other devices than they have. */
	if (l->file)
		same = u->ino == (uint32_t)l->file->st_ino &&
		       ((u->major == major(l->file->st_dev) && u->minor == minor(l->file->st_dev)) || (same && *l->name == '/'));
	if (!same)
		return;
	l->n++;
	o = hps_peers_find(l->p, u->cookie);
	if (o)
		l->own = o;
	else
		l->n_other++;
}

static enum hps_peer ask(struct hps_supervisor *s, const char *name, size_t len, const struct stat *file, struct hps_own **ret)
{
	struct look l = { .p = s->peers, .name = name, .name_len = len, .file = file };
	int error;

	pthread_mutex_lock(&s->peers->lock);
	error = hps_diag_bound(compare, &l);
	pthread_mutex_unlock(&s->peers->lock);
	*ret = l.own;
	if (error)
		return HPS_PEER_OTHER;
	/* A file leads to sockets of other network namespaces, too, which are not told. */
	return l.n_other || (file && !l.n) ? HPS_PEER_OTHER : l.n ? HPS_PEER_OWN : HPS_PEER_NONE;
}

/* A file is bound to one socket, once and for all. */
static enum hps_peer ask_file(struct hps_supervisor *s, const char *name, size_t len, const struct stat *st, struct hps_own **ret)
{
	char key[KEY];
	enum hps_peer peer;

	snprintf(key, sizeof key, "%jx %jx %jx.%lx", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino, (uintmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	*ret = hps_map_get(&s->peers->files, key);
	if (*ret)
		return HPS_PEER_OWN;
	peer = ask(s, name, len, st, ret);
	if (peer == HPS_PEER_OWN)
		*hps_map_slot(&s->peers->files, key) = *ret;
	return peer;
}

enum hps_peer hps_peers_name(struct hps_supervisor *s, struct hps_call *c, uint64_t at, const struct sockaddr_storage *a, socklen_t len)
{
	const size_t start = offsetof(struct sockaddr_un, sun_path);
	const char *name = ((const struct sockaddr_un *)(const void *)a)->sun_path;
	enum hps_peer peer = HPS_PEER_OTHER;
	struct hps_own *own = NULL;
	struct hps_target target;
	struct stat st;

	if (len <= start)
		return HPS_PEER_NONE;
	if (!*name) {
		peer = ask(s, name, len - start, NULL, &own);
	} else if (!c->t->foreign) {
		if (hps_target_get(s, c, AT_FDCWD, at + start, &target) == 0) {
			if (fstatat(target.base, target.path, &st, 0))
				peer = errno == ENOENT || errno == ENOTDIR ? HPS_PEER_NONE : HPS_PEER_OTHER;
			else
				peer = ask_file(s, name, strnlen(name, len - start), &st, &own);
		}
		hps_target_release(&target);
	}
	if (peer == HPS_PEER_OWN && own)
		own->n_connects++;
	return peer;
}
