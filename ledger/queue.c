/* The queue: writers that find the lock taken leave their request here and sleep; whoever holds the lock serves all that wait, at
 * the price of one flush. Nothing in it has to survive: a request that was not answered was not acknowledged.
 *
 * queue/slots is shared memory, a slot for each waiting handle, taken by an open-file-description lock on the byte of its number:
 * the kernel frees the slots of the dead. queue/<slot> holds the request, queue/<slot>.answer an answer that is too long for the slot: who is
 * killed while it answers leaves the request for the next one. */
#include "ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS 128
#define REQUEST_KEPT 65536
#define RETRY_MS 20 /* after which the sleepers look for a lock that a killed process has left */
#define PATIENCE_MS 2 /* for somebody else to take the lock first */
#define LATELY_NS 20000000

enum { FREE, WAITING, ANSWERED };

struct hps_slot {
	_Atomic uint32_t state;
	int32_t code;
	uint32_t request_len, answer_len;
	char text[480]; /* of a failure; or the answer, when it is short */
	_Atomic uint32_t base, end; /* how much of which journal its owner has read: 32 bits of the one, the other in 16 bytes */
	_Atomic int64_t asked_ns;   /* when it last came, or 0 */
};

/* ---- opening ---- */

static int map_slots(struct hps_queue *q)
{
	const size_t len = SLOTS * sizeof *q->slots;
	void *at;

	q->fd = openat(q->ledgerfd, "queue/slots", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* All of it is allocated before it is touched: a full disk must not be a bus error. */
	if (q->fd < 0 || fallocate(q->fd, 0, 0, (off_t)len))
		return -1;
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, q->fd, 0);
	if (at == MAP_FAILED)
		return -1;
	q->slots = at;
	return 0;
}

/* Without a queue (an odd file system, a full disk) writers wait for the lock itself. */
void hps_queue_open(struct hps_queue *q, int ledgerfd)
{
	q->ledgerfd = ledgerfd;
	if (hps_dir_make(ledgerfd, "queue", 0700, NULL) || map_slots(q))
		hps_queue_close(q);
}

/* Nothing of a statement stays where nobody looks for it. */
void hps_queue_clear(struct hps_queue *q)
{
	if (q->mine >= 0 && q->requestfd >= 0)
		(void)!ftruncate(q->requestfd, 0);
}

void hps_queue_close(struct hps_queue *q)
{
	if (q->slots)
		munmap(q->slots, SLOTS * sizeof *q->slots);
	q->slots = NULL;
	hps_cleanup_fd(&q->requestfd);
	hps_cleanup_fd(&q->fd);
	*q = (struct hps_queue)HPS_QUEUE_INIT;
}

/* ---- slots ---- */

static int slot_lock(const struct hps_queue *q, int command, int slot)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1 };

	if (fcntl(q->fd, command, &l))
		return -1;
	return command == F_OFD_GETLK && l.l_type != F_UNLCK; /* 1: somebody holds it */
}

static int open_file(const struct hps_queue *q, int slot, const char *ending, int flags)
{
	char name[32];

	snprintf(name, sizeof name, "queue/%d%s", slot, ending);
	return openat(q->ledgerfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
}

static int open_request(const struct hps_queue *q, int slot, int flags)
{
	return open_file(q, slot, "", flags);
}

/* What a dead owner left in its slot is cleared by the holder of the lock, not here: that may be serving it just now. */
static bool take_slot(struct hps_queue *q)
{
	for (int i = 0; q->mine < 0 && i < SLOTS; i++) {
		if (atomic_load(&q->slots[i].state) != FREE || slot_lock(q, F_OFD_SETLK, i))
			continue;
		q->requestfd = open_request(q, i, O_CREAT);
		if (q->requestfd < 0)
			return false;
		q->mine = i;
	}
	return q->mine >= 0;
}

static void clear_dead(struct hps_queue *q, int slot)
{
	if (slot_lock(q, F_OFD_GETLK, slot) == 0)
		atomic_store(&q->slots[slot].state, FREE);
}

/* ---- the side that waits ---- */

static void futex(_Atomic uint32_t *at, int op, uint32_t value, const struct timespec *timeout)
{
	syscall(SYS_futex, at, op, value, timeout, NULL, 0);
}

/* A file that stays as long as it was costs less than one that is made anew each time. */
bool hps_queue_put(struct hps_queue *q, const struct hps_buf *request, const struct hps_journal *known)
{
	struct stat s;

	if (!q->slots || !take_slot(q) || fstat(q->requestfd, &s) || (s.st_size > REQUEST_KEPT && ftruncate(q->requestfd, 0)) ||
	    lseek(q->requestfd, 0, SEEK_SET) || hps_write_all(q->requestfd, request->data, request->len))
		return false;
	q->slots[q->mine].request_len = (uint32_t)request->len;
	q->slots[q->mine].base = (uint32_t)known->base;
	q->slots[q->mine].end = known->loaded ? (uint32_t)(known->end / 16) : 0;
	q->slots[q->mine].asked_ns = hps_time_monotonic_ns();
	atomic_store(&q->slots[q->mine].state, WAITING);
	return true;
}

bool hps_queue_wait(struct hps_queue *q, int lockfd, bool patient)
{
	static const struct timespec retry = { 0, RETRY_MS * 1000000L }, patience = { 0, PATIENCE_MS * 1000000L };
	_Atomic uint32_t *state = &q->slots[q->mine].state;

	if (patient)
		futex(state, FUTEX_WAIT, WAITING, &patience);

	for (;;) {
		if (atomic_load(state) == ANSWERED)
			return false;
		if (flock(lockfd, LOCK_EX | LOCK_NB) == 0)
			return true;
		futex(state, FUTEX_WAIT, WAITING, &retry);
	}
}

bool hps_queue_withdraw(struct hps_queue *q)
{
	uint32_t waiting = WAITING;

	return atomic_compare_exchange_strong(&q->slots[q->mine].state, &waiting, FREE);
}

int hps_queue_answer_read(struct hps_queue *q, struct hps_buf *ret, struct hps_error *err)
{
	struct hps_slot *s = &q->slots[q->mine];
	_cleanup_fd_ int fd = -1;
	int r = 0;

	if (s->code)
		r = hps_error_set(err, s->code, "%.*s", (int)sizeof s->text, s->text);
	else if (s->answer_len <= sizeof s->text)
		hps_buf_add(ret, s->text, s->answer_len);
	else if ((fd = open_file(q, q->mine, ".answer", 0)) < 0)
		r = hps_error_errno(err, "reading the answer");
	else
		r = hps_file_read_fd(fd, HPS_BUF_MAX, ret, err);
	atomic_store(&s->state, FREE);
	return r;
}

/* ---- the side that holds the lock ---- */

/* Also of those who live and are about to ask: a request that is cut short is not read, and its owner takes the lock itself. */
void hps_queue_wipe(struct hps_queue *q)
{
	for (int i = 0; q->slots && i < SLOTS; i++) {
		_cleanup_fd_ int fd = -1;

		if (atomic_load(&q->slots[i].state) == WAITING && slot_lock(q, F_OFD_GETLK, i) == 1)
			continue;
		fd = open_request(q, i, 0);
		if (fd >= 0)
			(void)!ftruncate(fd, 0);
	}
}

static bool read_request(const struct hps_queue *q, int slot, struct hps_buf *ret)
{
	_cleanup_fd_ int fd = open_request(q, slot, 0);
	size_t len = q->slots[slot].request_len;
	char *to = len <= HPS_BUF_MAX ? hps_buf_reserve(ret, len) : NULL;
	ssize_t n = 0;

	if (fd < 0 || !to)
		return false;
	while (ret->len < len && ((n = read(fd, ret->data + ret->len, len - ret->len)) > 0 || (n < 0 && errno == EINTR)))
		ret->len += n > 0 ? (size_t)n : 0;
	ret->data[ret->len] = '\0';
	return ret->len == len;
}

int hps_queue_next(struct hps_queue *q, int after, struct hps_buf *ret_request)
{
	for (int i = after + 1; q->slots && i < SLOTS; i++) {
		if (i == q->mine || atomic_load(&q->slots[i].state) == FREE)
			continue;
		if (slot_lock(q, F_OFD_GETLK, i) != 1) {
			clear_dead(q, i);
			continue;
		}
		hps_buf_reset(ret_request);
		if (atomic_load(&q->slots[i].state) == WAITING && read_request(q, i, ret_request))
			return i;
	}
	return -1;
}

/* What the dead have left in their slots does not count. */
bool hps_queue_has_waiting(const struct hps_queue *q)
{
	for (int i = 0; q->slots && i < SLOTS; i++)
		if (i != q->mine && atomic_load(&q->slots[i].state) == WAITING && slot_lock(q, F_OFD_GETLK, i) == 1)
			return true;
	return false;
}

bool hps_queue_is_busy(const struct hps_queue *q)
{
	int64_t now = hps_time_monotonic_ns();

	for (int i = 0; q->slots && i < SLOTS; i++) {
		int64_t ago = now - q->slots[i].asked_ns; /* of before the machine was started: in the future */

		if (i != q->mine && ago >= 0 && ago < LATELY_NS)
			return true;
	}
	return hps_queue_has_waiting(q);
}

/* Of several that leave at once one at least sees that all others have left. */
void hps_queue_leave(struct hps_queue *q)
{
	if (q->slots && q->mine >= 0)
		q->slots[q->mine].asked_ns = 0;
}

static int write_answer(struct hps_queue *q, int slot, const struct hps_buf *answer)
{
	struct hps_slot *s = &q->slots[slot];
	_cleanup_fd_ int fd = -1;

	s->answer_len = (uint32_t)answer->len;
	if (answer->len <= sizeof s->text) {
		memcpy(s->text, answer->data, answer->len);
		return 0;
	}
	fd = open_file(q, slot, ".answer", O_CREAT | O_TRUNC);
	return fd < 0 ? -errno : hps_write_all(fd, answer->data, answer->len);
}

void hps_queue_answer(struct hps_queue *q, int slot, int code, const char *message, const struct hps_buf *answer)
{
	struct hps_slot *s = &q->slots[slot];

	if (!code && write_answer(q, slot, answer)) {
		code = -EIO;
		message = "the entry is in the ledger, but its number could not be handed back; append it again to learn it";
	}
	if (code)
		snprintf(s->text, sizeof s->text, "%s", message ? message : "");
	s->code = code;
	atomic_store(&s->state, ANSWERED);
	futex(&s->state, FUTEX_WAKE, 1, NULL);
}

/* One of those who came too late for the last batch gets up and takes the lock, for all of them: the one that has least to read before it
 * knows what is there. Whoever it is, all are served. */
void hps_queue_wake(struct hps_queue *q, const struct hps_journal *known)
{
	struct hps_slot *best = NULL;

	for (int i = 1; q->slots && i <= SLOTS; i++) {
		struct hps_slot *s = &q->slots[(q->mine + i + SLOTS) % SLOTS];

		if (atomic_load(&s->state) == WAITING && (!best || (s->base == (uint32_t)known->base && s->end > best->end)))
			best = s;
	}
	if (best)
		futex(&best->state, FUTEX_WAKE, 1, NULL);
}
