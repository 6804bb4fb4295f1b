/* Where the memory comes from, and who this process and thread are. */
#include "shim/shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct shim hps_shim;
__thread struct shim_thread hps_shim_thread __attribute__((tls_model("initial-exec")));

void *hps_shim_next(const char *name, const char *version)
{
	return version ? dlvsym(RTLD_NEXT, name, version) : dlsym(RTLD_NEXT, name);
}

static struct hps_shim_head *map(uint64_t *ret_name)
{
	long fd = syscall(SYS_openat, AT_FDCWD, HPS_SHIM_ASK, O_RDWR | O_CLOEXEC), name;
	struct hps_shim_head first, *head = MAP_FAILED;

	if (fd < 0)
		return NULL;
	name = syscall(SYS_lseek, fd, 0, SEEK_CUR);
	if (name >= 0 && syscall(SYS_pread64, fd, &first, sizeof first, 0) == (long)sizeof first && first.version == HPS_SHIM_VERSION)
		head = mmap(NULL, first.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, (int)fd, 0);
	syscall(SYS_close, fd);
	*ret_name = (uint64_t)name;
	return head == MAP_FAILED ? NULL : head;
}

/* A page that a fork clears tells the child that it is one, however it was forked. */
static void mark_alive(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED || madvise(page, 4096, MADV_WIPEONFORK))
		return;
	hps_shim.alive = page;
	atomic_store(hps_shim.alive, 1);
}

static void before_fork(void)
{
	hps_shim_thread.n_children++;
}

/* The key that the kernel gave to this program, for those who read it later than the C library. */
static void answer_key(void)
{
	void *key = (void *)getauxval(AT_RANDOM); /* NOLINT: an address by definition */
	uint8_t bytes[16];

	if (key && syscall(SYS_getrandom, bytes, sizeof bytes, 0) == (long)sizeof bytes)
		memcpy(key, bytes, sizeof bytes);
}

static void ask(void)
{
	int before = 0;

	if (!atomic_compare_exchange_strong(&hps_shim.state, &before, 1))
		return;
	hps_shim.clock_gettime = (int (*)(clockid_t, struct timespec *))hps_shim_next("clock_gettime", NULL);
	hps_shim.head = map(&hps_shim.name);
	if (hps_shim.head && hps_shim.clock_gettime) {
		mark_alive();
		pthread_atfork(before_fork, NULL, NULL);
		answer_key();
		hps_shim_thread.name = hps_shim.name;
		hps_shim.mode = hps_shim.head->mode;
	}
	atomic_store(&hps_shim.state, 2);
}

static const struct hps_shim_stream *find(uint64_t name)
{
	const struct hps_shim_head *h = hps_shim.head;
	const struct hps_shim_stream *v = (const void *)((const char *)h + h->streams);
	uint64_t from = 0, to = h->n_streams;

	while (from < to) {
		uint64_t middle = from + (to - from) / 2;

		if (v[middle].name == name)
			return &v[middle];
		if (v[middle].name < name)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}

static void begin_thread(struct shim_thread *me)
{
	const struct hps_shim_stream *s;

	me->chunk = NULL;
	me->known = me->anchored = 0;
	me->over = false;
	me->ready = true;
	memcpy(me->last, hps_shim.head->base, sizeof me->last);
	if (!me->name) /* of no thread function of the C library */
		me->name = hps_shim_name(hps_shim.name, 3, 0);
	if (hps_shim.mode != HPS_SHIM_ANSWER)
		return;
	s = find(me->name);
	me->at = s ? (const uint8_t *)hps_shim.head + s->at : NULL;
	me->end = s ? me->at + s->len : NULL;
	me->over = !s;
}

static void begin_child(struct shim_thread *me)
{
	atomic_store(hps_shim.alive, 1);
	me->name = hps_shim.name = hps_shim_name(me->name, SHIM_FORKED, me->n_children);
	me->n_children = 0;
	me->ready = false;
}

enum hps_shim_mode hps_shim_attach(void)
{
	struct shim_thread *me = &hps_shim_thread;

	if (__builtin_expect(atomic_load_explicit(&hps_shim.state, memory_order_acquire) != 2, 0))
		ask();
	if (hps_shim.mode == HPS_SHIM_OFF)
		return HPS_SHIM_OFF;
	if (__builtin_expect(hps_shim.alive && !atomic_load_explicit(hps_shim.alive, memory_order_relaxed), 0))
		begin_child(me);
	if (__builtin_expect(!me->ready, 0))
		begin_thread(me);
	return hps_shim.mode;
}

__attribute__((constructor)) static void start(void)
{
	if (hps_shim_attach() != HPS_SHIM_OFF)
		hps_shim_order_begin();
}

/* ---- threads ---- */

struct beginning {
	void *(*run)(void *);
	void *arg;
	uint64_t name;
	uint32_t slot;
	uint64_t mask;
};

static void *begin(void *arg)
{
	struct beginning b = *(struct beginning *)arg;

	hps_shim_thread.name = b.name;
	hps_shim_order_thread(b.slot); /* before any lock of the C library is asked for: whoever has it may have to wait for us */
	hps_shim_order_release(b.mask);
	free(arg);
	return b.run(b.arg);
}

/* Which slot a thread has, for who waits for its end: of level 4 alone, where one thread at a time comes here. */
static struct joinable {
	pthread_t thread;
	uint32_t slot;
} joinables[HPS_SHIM_SLOTS_MAX];

static struct joinable *recall(pthread_t thread)
{
	for (uint32_t i = 0; i < HPS_SHIM_SLOTS_MAX; i++)
		if (joinables[i].thread == thread)
			return &joinables[i];
	return NULL;
}

/* A name that another thread had is this one's now: that one is over, or it is one of the process that this one was forked from. */
static void remember(pthread_t thread, uint32_t slot)
{
	struct joinable *former;

	if (!hps_shim.ordered)
		return;
	while ((former = recall(thread)))
		former->thread = 0;
	joinables[slot] = (struct joinable){ thread, slot };
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	struct beginning *b;
	uint32_t slot;
	uint64_t mask;
	int r;

	if (!next)
		next = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))hps_shim_next("pthread_create", NULL);
	if (hps_shim_attach() == HPS_SHIM_OFF || !(b = malloc(sizeof *b)))
		return next(thread, attributes, run, arg);
	mask = hps_shim_order_hold(); /* the new thread has no signal before it has the turn */
	*b = (struct beginning){ run, arg, hps_shim_name(hps_shim_thread.name, SHIM_STARTED, ++hps_shim_thread.n_children), hps_shim_order_slot(), mask };
	slot = b->slot;
	r = next(thread, attributes, begin, b);
	hps_shim_order_created(slot, !r);
	if (r)
		free(b);
	else
		remember(*thread, slot);
	hps_shim_order_release(mask);
	return r;
}

EXPORT int pthread_join(pthread_t thread, void **ret)
{
	static int (*next)(pthread_t, void **);
	struct joinable *j = hps_shim.ordered ? recall(thread) : NULL;
	int r;

	if (!next)
		next = (int (*)(pthread_t, void **))hps_shim_next("pthread_join", NULL);
	if (j)
		hps_shim_order_join(j->slot);
	hps_shim_thread.joining = j != NULL;
	r = next(thread, ret);
	hps_shim_thread.joining = false;
	if (j)
		j->thread = 0;
	return r;
}
