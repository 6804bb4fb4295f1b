/* Digests of what files held. Contents are found by identity, hashed in one thread at idle priority from a description of
 * our own, and stored at once when a later writer could destroy them. Whoever needs a digest now takes the job over
 * between two chunks, so that nobody waits for a thread that the scheduler starves. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/redact.h"

#define CHUNK (256 << 10)
#define LOAD 4 /* contents for each chain, at most */
#define QUEUE_LEAST 1024
#define LOOK_NS 5000000	     /* a busy hasher looks for work this often: no wake-up on the path of the program */
#define ASLEEP_AFTER 20	     /* looks without work until it sleeps until woken */
#define NEWS_LIMIT_MS 200    /* what is not told by then is found out anew */

struct hps_hasher {
	int proc_fd;
	struct hps_objects *objects;
	struct hps_cache *cache;
	struct hps_gaps *gaps;
	pthread_t thread;
	bool threaded;
	pthread_mutex_t lock;	    /* queue, and the step from QUEUED to BUSY */
	pthread_mutex_t store_lock; /* content store and new cache entries */
	pthread_cond_t work, progress;
	struct hps_content **queue; /* a ring */
	size_t head, tail, cap;
	bool end, asleep;
	_Atomic size_t n_open; /* descriptors held for the queue */
	_Atomic uint64_t n_chunks;
	_Atomic bool storing;
	_Atomic pid_t tid;
	size_t max_open;
	struct hps_progress *shown; /* NULL until the end */
	uint64_t n_chunks_before;   /* it is shown */
	const struct hps_redactor *redactor;
	struct hps_news *news; /* or NULL */
	const struct hps_layers *layers; /* or NULL */
	struct hps_digest *withheld; /* of credentials: what has the same bytes is a copy */
	size_t n_withheld;
	struct hps_arena contents;
	struct hps_content **chains; /* by device and inode */
	size_t n_contents, n_chains;
};

/* ---- one job ---- */

/* What is needed of a content until it is hashed, and no longer: there may be a million of them. */
struct hps_hashing {
	int fd; /* a description of our own */
	struct hps_sha256 *running;
	struct hps_opcodes *opcodes; /* of a program or library */
	EVP_MD_CTX *md5;	     /* of what may be a package's; NULL: not needed */
	off_t at;
	char *path; /* that is told when it is hashed; NULL: none */
	char kind;
};

/* Debian's packages say the MD5 of their files: made in the same pass, it need not be made when the trial has ended. */
static void expect_news(const struct hps_hasher *h, struct hps_hashing *job, const struct hps_told *told)
{
	if (!h->news || !told)
		return;
	job->path = hps_strdup(told->path);
	job->kind = told->kind;
	job->md5 = told->kind == HPS_NEWS_SYSTEM ? EVP_MD_CTX_new() : NULL;
	if (job->md5 && EVP_DigestInit_ex(job->md5, EVP_md5(), NULL))
		return;
	EVP_MD_CTX_free(job->md5);
	job->md5 = NULL;
}

static void tell(struct hps_hasher *h, const struct hps_content *c, const struct hps_hashing *job)
{
	uint8_t md5[EVP_MAX_MD_SIZE];
	bool summed = job->md5 && EVP_DigestFinal_ex(job->md5, md5, NULL);

	if (job->path)
		hps_news_file(h->news, job->kind, job->path, &c->digest, summed ? md5 : NULL);
}

/* What the first bytes tell: a shared object (ELF, ET_DYN), a private key. */
static void sniff(struct hps_content *c, struct hps_hashing *job, const char *block, size_t n)
{
	static const char begin[] = "-----BEGIN ", end[] = "PRIVATE KEY-----";
	const char *key;

	c->shared_object = n >= 18 && !memcmp(block, "\177ELF", 4) && block[16] == 3;
	job->opcodes = hps_opcodes_new(job->fd, block, n);
	n = n < 4096 ? n : 4096;
	key = memmem(block, n, begin, sizeof begin - 1);
	if (key && memmem(key, n - (size_t)(key - block), end, sizeof end - 1))
		c->secret = c->guessable = true;
}

/* Credentials, a copy of them, or a file that holds what is secret? */
static bool withhold(struct hps_hasher *h, struct hps_content *c, int fd)
{
	enum hps_content_secret found = HPS_CONTENT_CLEAN;

	for (size_t i = 0; i < h->n_withheld && !c->guessable; i++)
		c->secret = c->guessable = hps_digest_equal(&h->withheld[i], &c->digest);
	if (c->guessable) {
		h->withheld = hps_grow(h->withheld, h->n_withheld, sizeof *h->withheld);
		h->withheld[h->n_withheld++] = c->digest;
	} else if (c->store && h->objects && c->id.size <= HPS_STORE_MAX) {
		found = hps_redact_content(h->redactor, fd);
	}
	c->secret |= found != HPS_CONTENT_CLEAN;
	c->guessable |= found == HPS_CONTENT_GUESSABLE;
	return c->secret;
}

static void store(struct hps_hasher *h, struct hps_content *c, int fd)
{
	if (!c->store || c->secret || c->id.size > HPS_STORE_MAX || !h->objects)
		return;
	switch (hps_objects_put_fd(h->objects, fd, &c->digest, NULL, NULL, NULL)) {
	case 0:
		c->stored = true;
		break;
	case HPS_E_DAMAGED: /* it is no longer what was hashed a moment ago */
		hps_gap_note(h->gaps, HPS_GAP_REPLACED);
		break;
	default:
		hps_gap_note(h->gaps, HPS_GAP_STORE);
	}
}

/* Is the file still what it was when the job was made? A changed name, mode or link count moves the change time alone:
 * then a second reading decides. */
static enum hps_content_state verdict(struct hps_content *c, const struct hps_hashing *job)
{
	struct hps_identity id;
	struct hps_digest again;
	struct stat s;

	if (fstat(job->fd, &s))
		return HPS_CONTENT_CHANGED;
	hps_identity_of(&s, &id);
	if (job->at != c->id.size || id.size != c->id.size || id.mtime_ns != c->id.mtime_ns)
		return HPS_CONTENT_CHANGED;
	if (id.ctime_ns == c->id.ctime_ns)
		return HPS_CONTENT_DONE;
	c->cached = true; /* its old change time is nothing to find it by */
	return !hps_digest_fd(job->fd, &again, NULL, NULL) && hps_digest_equal(&again, &c->digest) ? HPS_CONTENT_DONE : HPS_CONTENT_CHANGED;
}

static void finish(struct hps_hasher *h, struct hps_content *c, bool failed)
{
	enum hps_content_state state = HPS_CONTENT_FAILED;
	struct hps_hashing *job = c->job;

	hps_sha256_final(job->running, &c->digest);
	c->draws = hps_opcodes_end(job->opcodes);
	if (!failed)
		state = verdict(c, job);
	if (state == HPS_CONTENT_DONE) {
		pthread_mutex_lock(&h->store_lock);
		if (!withhold(h, c, job->fd))
			atomic_store(&h->storing, true);
		store(h, c, job->fd);
		atomic_store(&h->storing, false);
		if (h->cache && !c->cached && !c->secret)
			hps_cache_put(h->cache, job->fd, &c->id, &(struct hps_cached){ .digest = c->digest, .shared_object = c->shared_object, .draws = c->draws });
		pthread_mutex_unlock(&h->store_lock);
		tell(h, c, job);
	} else {
		hps_gap_note(h->gaps, failed ? HPS_GAP_UNREADABLE : HPS_GAP_CHANGED);
	}
	hps_sha256_free(job->running);
	EVP_MD_CTX_free(job->md5);
	free(job->path);
	close(job->fd);
	free(job);
	atomic_fetch_sub(&h->n_open, 1);
	pthread_mutex_lock(&h->lock);
	atomic_store(&c->state, state);
	pthread_cond_broadcast(&h->progress);
	pthread_mutex_unlock(&h->lock);
}

static void show(const struct hps_hasher *h)
{
	if (h->shown)
		hps_progress_update(h->shown, (atomic_load_explicit(&h->n_chunks, memory_order_relaxed) - h->n_chunks_before) * CHUNK >> 20);
}

/* Works on a BUSY job until it is done, or until somebody else wants it and `give` allows that: the hasher's own thread. */
static void work_on(struct hps_hasher *h, struct hps_content *c, char *block, bool give)
{
	struct hps_hashing *job = c->job;

	if (!job->running)
		job->running = hps_sha256_new();
	for (;;) {
		ssize_t n = pread(job->fd, block, CHUNK, job->at);

		atomic_fetch_add_explicit(&h->n_chunks, 1, memory_order_relaxed);
		if (!give)
			show(h);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			finish(h, c, n < 0);
			return;
		}
		if (job->at == 0)
			sniff(c, job, block, (size_t)n);
		if (job->opcodes)
			hps_opcodes_block(job->opcodes, block, (size_t)n, (uint64_t)job->at);
		hps_sha256_update(job->running, block, (size_t)n);
		if (job->md5)
			EVP_DigestUpdate(job->md5, block, (size_t)n);
		job->at += n;
		if (n < CHUNK && job->at == c->id.size) {
			finish(h, c, false);
			return;
		}
		if (give && atomic_load(&c->wanted)) {
			pthread_mutex_lock(&h->lock);
			atomic_store(&c->state, HPS_CONTENT_QUEUED);
			pthread_cond_broadcast(&h->progress);
			pthread_mutex_unlock(&h->lock);
			return;
		}
	}
}

/* The next job of the queue, now BUSY; NULL when there is none. Jobs that others took are passed over. */
static struct hps_content *next_job(struct hps_hasher *h)
{
	while (h->head < h->tail) {
		struct hps_content *c = h->queue[h->head++ % h->cap];

		if (atomic_load(&c->state) != HPS_CONTENT_QUEUED || atomic_load(&c->wanted))
			continue;
		atomic_store(&c->state, HPS_CONTENT_BUSY);
		return c;
	}
	return NULL;
}

/* With the lock, which is not held while something is sent: who has calls to answer must not wait for a thread that may be starved. */
static void send_news(struct hps_hasher *h, bool all)
{
	struct hps_news *news = h->news;

	pthread_mutex_unlock(&h->lock);
	if (news && (all || hps_news_due(news)))
		hps_news_send(news, 0);
	pthread_mutex_lock(&h->lock);
}

static void *hasher_main(void *arg)
{
	struct hps_hasher *h = arg;
	struct sched_param idle = { 0 };
	char *block = hps_alloc(CHUNK);
	struct hps_content *c;
	unsigned looks = 0;

	pthread_setschedparam(pthread_self(), SCHED_IDLE, &idle);
	pthread_setname_np(pthread_self(), "hasher");
	atomic_store(&h->tid, (pid_t)syscall(SYS_gettid));
	pthread_mutex_lock(&h->lock);
	for (;;) {
		c = next_job(h);
		if (c) {
			looks = 0;
			pthread_mutex_unlock(&h->lock);
			work_on(h, c, block, true);
			pthread_mutex_lock(&h->lock);
			send_news(h, false);
		} else if (h->end) {
			break;
		} else if (++looks == ASLEEP_AFTER) {
			send_news(h, true);
		} else if (looks > ASLEEP_AFTER) {
			h->asleep = true;
			pthread_cond_wait(&h->work, &h->lock);
			h->asleep = false;
			looks = 0;
		} else {
			pthread_mutex_unlock(&h->lock);
			nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
			pthread_mutex_lock(&h->lock);
		}
	}
	pthread_mutex_unlock(&h->lock);
	free(block);
	return NULL;
}

pid_t hps_hasher_tid(const struct hps_hasher *h)
{
	return atomic_load(&h->tid);
}

uint64_t hps_hasher_progress(struct hps_hasher *h)
{
	if (atomic_load(&h->storing)) /* a copy of a large file takes its time */
		atomic_fetch_add(&h->n_chunks, 1);
	return atomic_load_explicit(&h->n_chunks, memory_order_relaxed);
}

void hps_hasher_wait(struct hps_hasher *h, struct hps_content *c)
{
	char *block;

	if (atomic_load(&c->state) > HPS_CONTENT_BUSY)
		return;
	atomic_store(&c->wanted, true);
	pthread_mutex_lock(&h->lock);
	while (atomic_load(&c->state) == HPS_CONTENT_BUSY)
		pthread_cond_wait(&h->progress, &h->lock);
	if (atomic_load(&c->state) != HPS_CONTENT_QUEUED) {
		pthread_mutex_unlock(&h->lock);
		return;
	}
	atomic_store(&c->state, HPS_CONTENT_BUSY);
	pthread_mutex_unlock(&h->lock);
	block = hps_alloc(CHUNK);
	work_on(h, c, block, false);
	free(block);
}

/* ---- the set of contents ---- */

bool hps_content_is(const struct hps_content *c, const struct stat *s)
{
	struct hps_identity id;

	hps_identity_of(s, &id);
	return c->id.size == id.size && c->id.mtime_ns == id.mtime_ns && c->id.ino == id.ino && c->id.dev == id.dev;
}

static struct hps_content **chain_of(const struct hps_hasher *h, dev_t dev, ino_t ino)
{
	return &h->chains[(size_t)((ino * 0x9e3779b97f4a7c15ull ^ dev * 0xff51afd7ed558ccdull) >> 32) & (h->n_chains - 1)];
}

static void grow_chains(struct hps_hasher *h)
{
	struct hps_content **old = h->chains;
	size_t n_old = h->n_chains;

	h->n_chains = n_old ? 4 * n_old : 1024;
	h->chains = hps_alloc(h->n_chains * sizeof(struct hps_content *));
	for (size_t i = 0; i < n_old; i++)
		for (struct hps_content *c = old[i], *next, **chain; c; c = next) {
			next = c->next;
			chain = chain_of(h, c->id.dev, c->id.ino);
			c->next = *chain;
			*chain = c;
		}
	free(old);
}

static struct hps_content *add_content(struct hps_hasher *h, const struct hps_identity *id)
{
	struct hps_content *c = hps_arena_take(&h->contents, sizeof *c), **chain;

	if (h->n_contents++ >= LOAD * h->n_chains)
		grow_chains(h);
	chain = chain_of(h, id->dev, id->ino);
	c->id = *id;
	c->next = *chain;
	*chain = c;
	return c;
}

static struct hps_content *find(struct hps_hasher *h, const struct hps_identity *id)
{
	struct hps_content *c = *chain_of(h, id->dev, id->ino);

	while (c && !hps_identity_equal(&c->id, id))
		c = c->next;
	return c;
}

/* A description of our own, from offset 0, that leaves the access time alone where we may. A mode that forbids it does not
 * forbid to use what is open for reading. */
static int reopen(const struct hps_hasher *h, int fd)
{
	char link[48];
	int own, flags;

	snprintf(link, sizeof link, "self/fd/%d", fd);
	own = openat(h->proc_fd, link, O_RDONLY | O_CLOEXEC | O_NOATIME | O_NONBLOCK);
	if (own < 0 && errno == EPERM)
		own = openat(h->proc_fd, link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (own >= 0 || errno != EACCES)
		return own;
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) != O_WRONLY ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
}

static void grow_queue(struct hps_hasher *h)
{
	size_t cap = h->cap ? 2 * h->cap : QUEUE_LEAST, n = h->tail - h->head;
	struct hps_content **queue = hps_alloc(cap * sizeof(struct hps_content *));

	for (size_t i = 0; i < n; i++)
		queue[i] = h->queue[(h->head + i) % h->cap];
	free(h->queue);
	h->queue = queue;
	h->cap = cap;
	h->head = 0;
	h->tail = n;
}

static void enqueue(struct hps_hasher *h, struct hps_content *c)
{
	bool wake;

	pthread_mutex_lock(&h->lock);
	if (h->tail - h->head == h->cap)
		grow_queue(h);
	h->queue[h->tail++ % h->cap] = c;
	wake = h->asleep;
	pthread_mutex_unlock(&h->lock);
	if (wake)
		pthread_cond_signal(&h->work);
}

/* *ret_sampled: it is to be hashed all the same, which is no news to anybody. */
static bool known(struct hps_hasher *h, struct hps_content *c, int fd, const struct stat *s, const struct hps_told *told, bool *ret_sampled)
{
	struct hps_cached found = { .sampled = false };
	bool cached = h->cache && (hps_cache_get(h->cache, fd, &c->id, &found) ||
				   (!found.sampled && h->layers && told && hps_layers_known(h->layers, h->cache, told->path, s, &found)));

	*ret_sampled = found.sampled;
	if (!cached)
		return false;
	c->digest = found.digest;
	c->shared_object = found.shared_object;
	c->secret = c->guessable = found.secret;
	c->draws = found.draws;
	c->cached = true;
	if (!c->store || c->secret || !h->objects || c->id.size > HPS_STORE_MAX)
		return true;
	c->stored = hps_objects_has(h->objects, &c->digest);
	return c->stored;
}

struct hps_content *hps_hasher_add(struct hps_hasher *h, int fd, const struct stat *s, enum hps_keep keep, bool again, const struct hps_told *told)
{
	struct hps_identity id;
	struct hps_content *c;
	bool sampled = false;
	int own;

	hps_identity_of(s, &id);
	c = again ? NULL : find(h, &id);
	if (c)
		return c;
	c = add_content(h, &id);
	c->store = keep == HPS_KEEP_CONTENT;
	c->secret = c->guessable = keep == HPS_KEEP_SECRET;
	if (!again && !c->secret && known(h, c, fd, s, told, &sampled)) {
		atomic_store(&c->state, HPS_CONTENT_DONE);
		return c;
	}
	own = reopen(h, fd);
	if (own < 0) {
		atomic_store(&c->state, HPS_CONTENT_FAILED);
		hps_gap_note(h->gaps, HPS_GAP_UNREADABLE);
		return c;
	}
	c->job = hps_alloc(sizeof *c->job);
	c->job->fd = own;
	expect_news(h, c->job, c->secret || sampled ? NULL : told);
	atomic_store(&c->state, HPS_CONTENT_QUEUED);
	if (atomic_fetch_add(&h->n_open, 1) >= h->max_open || !h->threaded)
		hps_hasher_wait(h, c);
	else
		enqueue(h, c);
	return c;
}

void hps_hasher_barrier(struct hps_hasher *h, dev_t dev, ino_t ino)
{
	for (struct hps_content *c = *chain_of(h, dev, ino); c; c = c->next)
		if (c->id.ino == ino && c->id.dev == dev)
			hps_hasher_wait(h, c);
}

/* ---- life ---- */

void hps_hasher_redact(struct hps_hasher *h, const struct hps_redactor *redactor)
{
	h->redactor = redactor;
}

void hps_hasher_tell(struct hps_hasher *h, struct hps_news *news)
{
	pthread_mutex_lock(&h->lock); /* an idle hasher looks there */
	h->news = news;
	pthread_mutex_unlock(&h->lock);
}

void hps_hasher_layers(struct hps_hasher *h, const struct hps_layers *layers)
{
	h->layers = layers;
}

struct hps_hasher *hps_hasher_new(int proc_fd, struct hps_objects *objects, struct hps_cache *cache, struct hps_gaps *gaps)
{
	struct hps_hasher *h = hps_alloc(sizeof *h);
	struct rlimit files = { .rlim_cur = 256 };

	h->proc_fd = proc_fd;
	h->objects = objects;
	h->cache = cache;
	h->gaps = gaps;
	grow_chains(h);
	getrlimit(RLIMIT_NOFILE, &files);
	h->max_open = files.rlim_cur / 4 < 4096 ? files.rlim_cur / 4 : 4096;
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->store_lock, NULL);
	pthread_cond_init(&h->work, NULL);
	pthread_cond_init(&h->progress, NULL);
	h->threaded = pthread_create(&h->thread, NULL, hasher_main, h) == 0;
	return h;
}

void hps_hasher_finish(struct hps_hasher *h, struct hps_progress *progress)
{
	struct hps_content *c;
	char *block;

	if (!h->threaded)
		return;
	h->n_chunks_before = atomic_load(&h->n_chunks);
	h->shown = progress;
	block = hps_alloc(CHUNK);
	pthread_mutex_lock(&h->lock);
	h->end = true;
	pthread_cond_signal(&h->work);
	while ((c = next_job(h))) {
		pthread_mutex_unlock(&h->lock);
		work_on(h, c, block, false);
		pthread_mutex_lock(&h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	free(block);
	/* What the thread still works on, or paused, is taken over here. */
	for (size_t i = 0; i < h->n_chains; i++)
		for (c = h->chains[i]; c; c = c->next)
			hps_hasher_wait(h, c);
	pthread_join(h->thread, NULL);
	h->threaded = false;
	h->shown = NULL;
	if (h->news)
		hps_news_send(h->news, NEWS_LIMIT_MS);
}

void hps_hasher_free(struct hps_hasher *h)
{
	if (!h)
		return;
	hps_hasher_finish(h, NULL);
	hps_arena_release(&h->contents);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->store_lock);
	pthread_cond_destroy(&h->work);
	pthread_cond_destroy(&h->progress);
	free(h->queue);
	free(h->chains);
	free(h->withheld);
	free(h);
}
