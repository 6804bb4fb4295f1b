/* Random numbers that the trial asks the kernel for: counted for each process and, unless told not to, answered from a stream that
 * one seed determines, so that a run that seeds nothing can be run again. Processes have streams of their own, told apart by the
 * line of programs that led to them, so that the order between them does not matter. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 65536u
#define ANSWER_MAX (1u << 20) /* getrandom may give less than it was asked for */
#define FEEDERS_MAX 64
#define FEEDERS_WAIT_MS 1000
#define SEED_FILE_MAX 256
#define PERSONALITY_MAX 32
#define TAG "hps.entropy/1\n"

/* ---- the seed ---- */

static void seed_of_number(uint64_t number, uint8_t seed[32])
{
	_cleanup_free_ char *text = hps_format(TAG "%llu", (unsigned long long)number);
	struct hps_digest d;

	hps_digest_of(text, strlen(text), &d);
	memcpy(seed, d.b, sizeof d.b);
}

static int read_seed(const char *path, uint8_t seed[32], struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	const size_t tag = strlen(TAG);
	int r = hps_file_read(AT_FDCWD, path, SEED_FILE_MAX, &text, err);

	if (r)
		return hps_error_prefix(err, "--entropy-from");
	if (text.len == tag + 65 && !memcmp(text.data, TAG, tag) && text.data[tag + 64] == '\n') {
		text.data[tag + 64] = '\0';
		r = hps_unhex(seed, 32, text.data + tag);
	} else {
		r = -EINVAL;
	}
	explicit_bzero(text.data, text.len);
	return r ? hps_error_set(err, HPS_E_USAGE, "--entropy-from '%s': it is no seed that a recorder kept", path) : 0;
}

int hps_entropy_init(struct hps_entropy *e, const char *mode, const char *from, bool full, struct hps_error *err)
{
	struct hps_digest d;
	uint8_t text[sizeof TAG + 32];
	uint64_t number;
	int r = 0;

	e->mode = from ? "from" : mode ? mode : "record";
	if (from)
		r = read_seed(from, e->seed, err);
	else if (!strcmp(e->mode, "record"))
		r = hps_random(e->seed, sizeof e->seed, err);
	else if (!strncmp(e->mode, "seed:", 5) && !hps_parse_u64(e->mode + 5, UINT64_MAX, &number))
		seed_of_number(number, e->seed);
	else if (strcmp(e->mode, "off") != 0)
		r = hps_error_set(err, HPS_E_USAGE, "--entropy '%s': it is 'record', 'seed:N' or 'off'", mode);
	if (r)
		return r;
	if (!strncmp(e->mode, "seed:", 5))
		e->mode = "seed";
	e->on = strcmp(e->mode, "off") != 0;
	e->full = e->on && full;
	memcpy(text, TAG, sizeof TAG);
	memcpy(text + sizeof TAG, e->seed, 32);
	hps_digest_of(text, sizeof text, &d);
	hps_digest_hex(&d, e->id);
	explicit_bzero(text, sizeof text);
	return 0;
}

int hps_entropy_keep(const struct hps_entropy *e, const char *ledger, const char *begin_id, struct hps_error *err)
{
	_cleanup_free_ char *dir = hps_format("%s/secrets/entropy", ledger), *path = hps_format("%s/%s", dir, begin_id);
	char hex[65], text[sizeof TAG + 66];
	int r;

	if (!e->on || !strcmp(e->mode, "from"))
		return 0;
	hps_hex(hex, e->seed, sizeof e->seed);
	snprintf(text, sizeof text, TAG "%s\n", hex);
	r = hps_dir_make(AT_FDCWD, dir, 0700, err);
	if (!r)
		r = hps_file_write(AT_FDCWD, path, 0600, text, strlen(text), err);
	explicit_bzero(hex, sizeof hex);
	explicit_bzero(text, sizeof text);
	return r ? hps_error_prefix(err, "keeping the seed of the random numbers") : 0;
}

void hps_entropy_release(struct hps_entropy *e)
{
	/* Their readers have ended, and so do they: libcrypto must not be gone before. */
	for (unsigned i = 0; i < FEEDERS_WAIT_MS && atomic_load(&e->n_feeders); i++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	hps_map_release(&e->ordinals);
	explicit_bzero(e->seed, sizeof e->seed);
}

/* ---- whose stream ---- */

/* key' = HMAC(key, label and how many had it before): the n-th child of its kind. */
static void descend(struct hps_entropy *e, const uint8_t key[32], const struct hps_digest *label, uint8_t ret[32])
{
	struct {
		uint8_t key[32];
		struct hps_digest label;
	} kind;
	struct {
		struct hps_digest label;
		uint64_t ordinal;
	} step = { .label = *label };
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];
	void **slot;

	memcpy(kind.key, key, 32);
	kind.label = *label;
	hps_digest_of(&kind, sizeof kind, &d);
	hps_digest_hex(&d, hex);
	slot = hps_map_slot(&e->ordinals, hex);
	step.ordinal = (uintptr_t)*slot;
	*slot = (void *)((uintptr_t)*slot + 1);
	hps_hmac(key, 32, &step, sizeof step, &d);
	memcpy(ret, d.b, 32);
}

void hps_execution_label(const struct hps_execution *x, struct hps_digest *ret)
{
	struct hps_sha256 *h = hps_sha256_new();

	hps_sha256_update(h, x->program, strlen(x->program) + 1);
	hps_sha256_update(h, x->argv, x->argv_len);
	hps_sha256_final(h, ret);
	hps_sha256_free(h);
}

/* The key of an execution, and of those before it, from the first that has none. */
static const uint8_t *execution_key(struct hps_supervisor *s, int index)
{
	_cleanup_free_ int *line = NULL;
	size_t n = 0;

	for (int i = index; i >= 0 && !s->executions[i].keyed; i = s->executions[i].parent) {
		line = hps_grow(line, n, sizeof *line);
		line[n++] = i;
	}
	while (n) {
		struct hps_execution *x = &s->executions[line[--n]];
		struct hps_digest label;

		hps_execution_label(x, &label);
		descend(s->entropy, x->parent >= 0 ? s->executions[x->parent].key : s->entropy->seed, &label, x->key);
		x->keyed = true;
	}
	return index >= 0 ? s->executions[index].key : s->entropy->seed;
}

/* The stream of a process: of its program, or, forked from that, one of its own. */
static struct hps_draw *draw_of(struct hps_supervisor *s, struct hps_tracee *t)
{
	static const char forked[] = "forked";
	const uint8_t *key;
	struct hps_digest label;

	if (t->draw)
		return t->draw;
	t->draw = hps_alloc(sizeof *t->draw);
	key = execution_key(s, t->execution);
	if (t->execution >= 0 && s->executions[t->execution].tracee == t->index) {
		memcpy(t->draw->key, key, 32);
	} else {
		hps_digest_of(forked, sizeof forked, &label);
		descend(s->entropy, key, &label, t->draw->key);
	}
	return t->draw;
}

/* ---- getrandom ---- */

static ssize_t give(const struct hps_tracee *t, uint64_t at, const void *from, size_t len)
{
	struct iovec local = { (void *)(uintptr_t)from, len }, remote = { (void *)(uintptr_t)at, len };
	ssize_t n = process_vm_writev(t->pid, &local, 1, &remote, 1, 0);

	return n < 0 ? -errno : n;
}

static void note_unanswered(struct hps_supervisor *s)
{
	if (!s->entropy->on)
		return;
	s->entropy->unanswered++;
	hps_gap_note(s->gaps, HPS_GAP_ENTROPY);
}

void hps_entropy_unanswered(struct hps_supervisor *s, const struct hps_tracee *t)
{
	s->entropy->calls++;
	if (t->execution >= 0)
		s->executions[t->execution].n_random++;
	note_unanswered(s);
}

void hps_act_getrandom(struct hps_supervisor *s, struct hps_call *c)
{
	size_t len = c->args[1] < ANSWER_MAX ? c->args[1] : ANSWER_MAX, done = 0;
	struct hps_entropy *e = s->entropy;
	unsigned flags = (unsigned)c->args[2];
	ssize_t n = 0;

	e->calls++;
	e->bytes += len;
	if (c->t->execution >= 0)
		s->executions[c->t->execution].n_random++;
	if (!e->on || flags & ~7u || (flags & 6) == 6) { /* flags that the kernel refuses */
		hps_answer_continue(s, c);
		return;
	}
	while (done < len && n >= 0) {
		struct hps_draw *draw = draw_of(s, c->t);
		uint8_t block[BLOCK];
		size_t want = len - done < sizeof block ? len - done : sizeof block;

		hps_stream(draw->key, draw->used, block, want);
		n = give(c->t, c->args[0] + done, block, want);
		if (n <= 0)
			break;
		draw->used += (size_t)n;
		done += (size_t)n;
	}
	if (done || !len) {
		hps_answer_value(s, c, (int64_t)done);
	} else if (n == -EFAULT) {
		hps_answer_error(s, c, EFAULT);
	} else { /* we may not write there */
		note_unanswered(s);
		hps_answer_continue(s, c);
	}
}

/* ---- /dev/random, /dev/urandom ---- */

struct feeder {
	struct hps_draw draw;
	int fd;
	_Atomic unsigned *n_feeders;
};

static void *feed(void *arg)
{
	struct feeder *f = arg;
	uint8_t *block = hps_alloc(BLOCK);
	_Atomic unsigned *n_feeders;

	pthread_setname_np(pthread_self(), "entropy");
	do {
		hps_stream(f->draw.key, f->draw.used, block, BLOCK);
		f->draw.used += BLOCK;
	} while (hps_write_all(f->fd, block, BLOCK) == 0); /* EPIPE: the last reader has closed it */
	n_feeders = f->n_feeders;
	close(f->fd);
	explicit_bzero(f, sizeof *f);
	free(f);
	free(block);
	atomic_fetch_sub(n_feeders, 1); /* nothing of ours is touched after this */
	return NULL;
}

/* A pipe that never ends, filled by a thread of its own; its reading end, or -1. */
static int start_feeder(struct hps_supervisor *s, struct hps_tracee *t)
{
	struct hps_draw *draw = draw_of(s, t);
	struct feeder *f;
	struct hps_digest label;
	pthread_attr_t detached;
	pthread_t thread;
	int ends[2], r;

	if (atomic_fetch_add(&s->entropy->n_feeders, 1) >= FEEDERS_MAX || pipe2(ends, O_CLOEXEC)) {
		atomic_fetch_sub(&s->entropy->n_feeders, 1);
		return -1;
	}
	fcntl(ends[1], F_SETPIPE_SZ, ANSWER_MAX);
	f = hps_alloc(sizeof *f);
	f->fd = ends[1];
	f->n_feeders = &s->entropy->n_feeders;
	hps_digest_of("device", 6, &label);
	descend(s->entropy, draw->key, &label, f->draw.key);
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &detached, feed, f);
	pthread_attr_destroy(&detached);
	if (!r)
		return ends[0];
	atomic_fetch_sub(&s->entropy->n_feeders, 1);
	close(ends[0]);
	close(ends[1]);
	free(f);
	return -1;
}

bool hps_entropy_open(struct hps_supervisor *s, struct hps_call *c, const struct stat *st, uint64_t flags)
{
	int fd = -1;

	if (!S_ISCHR(st->st_mode) || major(st->st_rdev) != 1 || (minor(st->st_rdev) != 8 && minor(st->st_rdev) != 9))
		return false;
	s->entropy->devices++;
	if (c->t->execution >= 0)
		s->executions[c->t->execution].n_random_opened++;
	if (s->entropy->full && (flags & O_ACCMODE) == O_RDONLY)
		fd = start_feeder(s, c->t);
	if (fd >= 0) {
		if (flags & O_NONBLOCK)
			fcntl(fd, F_SETFL, O_NONBLOCK);
		hps_answer_descriptor(s, c, fd, flags & O_CLOEXEC, false);
		return true;
	}
	if (s->entropy->on)
		s->entropy->devices_unanswered++;
	return false;
}

/* ---- places in memory ---- */

void hps_entropy_places(struct hps_entropy *e, int task_fd)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (!e->full)
		return;
	if (hps_file_read(task_fd, "../personality", PERSONALITY_MAX, &text, NULL) || !text.len || !(strtoul(text.data, NULL, 16) & ADDR_NO_RANDOMIZE))
		e->places_unanswered++;
}

/* ---- the record ---- */

json_t *hps_entropy_json(const struct hps_entropy *e)
{
	json_t *j = json_object();

	hps_json_set_text(j, "mode", e->mode);
	hps_json_set(j, "full", json_boolean(e->full));
	if (e->on)
		hps_json_set_text(j, "seedId", e->id);
	hps_json_set_int(j, "calls", (int64_t)e->calls);
	hps_json_set_int(j, "bytes", (int64_t)e->bytes);
	hps_json_set_int(j, "unanswered", (int64_t)e->unanswered);
	hps_json_set_int(j, "devices", (int64_t)e->devices);
	hps_json_set_int(j, "devicesUnanswered", (int64_t)e->devices_unanswered);
	if (e->full)
		hps_json_set_int(j, "placesUnanswered", (int64_t)e->places_unanswered);
	return j;
}
