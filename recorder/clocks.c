/* What programs read without asking the kernel: the library that is preloaded into them (shim/) notes it in memory of ours, or
 * answers it from there. Here is that memory: handed out, filled from a record, written down. What stands in it was written by the trial. */
#include "recorder/recorder.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/shim.h"

#define NAME_BITS 62 /* of a process: it travels as a file offset */
#define WITHOUT_MAX 8

static const struct {
	const char *name;
	clockid_t clock;
	enum hps_shim_slot slot;
} bases[] = { /* clocks that have no zero of their own */
	{ "realtime", CLOCK_REALTIME, HPS_SHIM_REALTIME },
	{ "realtime", CLOCK_REALTIME_COARSE, HPS_SHIM_REALTIME_COARSE },
	{ "monotonic", CLOCK_MONOTONIC, HPS_SHIM_MONOTONIC },
	{ "monotonic", CLOCK_MONOTONIC_COARSE, HPS_SHIM_MONOTONIC_COARSE },
	{ "monotonic", CLOCK_MONOTONIC_RAW, HPS_SHIM_RAW },
	{ "boottime", CLOCK_BOOTTIME, HPS_SHIM_BOOTTIME },
	{ "realtime", CLOCK_TAI, HPS_SHIM_TAI },
};

static int64_t now(clockid_t clock)
{
	struct timespec t = { 0 };

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* ---- from a record ---- */

static int refuse(const char *path, struct hps_error *err)
{
	return hps_error_set(err, HPS_E_USAGE, "--clocks-from '%s': it is no list of clocks that a recorder wrote", path);
}

static int read_bases(const json_t *items, struct hps_shim_head *head)
{
	const json_t *started = hps_json_at(json_array_get(items, 0), "started", NULL);

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		const char *text = hps_json_text(started, bases[i].name);

		if (text && hps_parse_i64(text, 0, INT64_MAX / 4, &head->base[bases[i].slot]))
			return -EINVAL;
		if (!text) /* an old record: as here */
			head->base[bases[i].slot] = now(bases[i].clock);
	}
	return 0;
}

static int by_stream(const void *a, const void *b)
{
	uint64_t x = ((const struct hps_shim_stream *)a)->name, y = ((const struct hps_shim_stream *)b)->name;

	return x < y ? -1 : x > y;
}

static int read_stream(const json_t *item, struct hps_buf *bytes, struct hps_shim_stream *ret)
{
	const char *name = hps_json_text(item, "stream"), *values = hps_json_text(item, "values");
	uint64_t big;

	if (!name || !values || strlen(name) != 16 || hps_unhex(&big, sizeof big, name))
		return -EINVAL;
	*ret = (struct hps_shim_stream){ .name = be64toh(big), .at = bytes->len };
	if (hps_unbase64(bytes, values, strlen(values), false))
		return -EINVAL;
	ret->len = bytes->len - ret->at;
	return 0;
}

/* As large as it was when it was recorded: what a program maps after it is to have the places that it had. */
static uint64_t size_for(uint64_t contents)
{
	return HPS_SHIM_HEAD + (contents > HPS_SHIM_MAX ? contents : HPS_SHIM_MAX);
}

/* head, table, bytes: what the programs will see. */
static int fill(struct hps_clocks *c, const json_t *items, bool ordered, struct hps_error *err)
{
	size_t n = json_array_size(items) ? json_array_size(items) - 1 : 0, table = n * sizeof(struct hps_shim_stream);
	struct hps_shim_head head = { .version = HPS_SHIM_VERSION, .mode = HPS_SHIM_ANSWER, .streams = HPS_SHIM_HEAD, .n_streams = n, .ordered = ordered };
	_cleanup_free_ struct hps_shim_stream *streams = hps_alloc(table + 1);
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT;

	hps_buf_init(&bytes, HPS_JSON_MAX);
	if (read_bases(items, &head))
		return refuse(c->from, err);
	for (size_t i = 0; i < n; i++) {
		if (read_stream(json_array_get(items, i + 1), &bytes, &streams[i]))
			return refuse(c->from, err);
		streams[i].at += HPS_SHIM_HEAD + table;
	}
	qsort(streams, n, sizeof *streams, by_stream);
	head.size = size_for(table + bytes.len);
	if (ftruncate(c->fd, (off_t)head.size) || pwrite(c->fd, &head, sizeof head, 0) != sizeof head ||
	    (table && pwrite(c->fd, streams, table, HPS_SHIM_HEAD) != (ssize_t)table) ||
	    (bytes.len && pwrite(c->fd, bytes.data, bytes.len, (off_t)(HPS_SHIM_HEAD + table)) != (ssize_t)bytes.len))
		return hps_error_errno(err, "--clocks-from '%s'", c->from);
	return 0;
}

static int read_from(struct hps_clocks *c, bool ordered, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	struct hps_digest d;
	int r = hps_file_read(AT_FDCWD, c->from, HPS_JSON_MAX, &text, err);

	if (r)
		return hps_error_prefix(err, "--clocks-from");
	if (!text.data || hps_json_parse(text.data, text.len, &j, NULL) || !json_is_array(json_object_get(j, "items")))
		return refuse(c->from, err);
	hps_digest_of(text.data, text.len, &d);
	hps_digest_hex(&d, c->log);
	return fill(c, json_object_get(j, "items"), ordered, err);
}

/* ---- life ---- */

/* ld.so separates the names in LD_PRELOAD at blanks and colons, and has no escape. */
static int take_library(struct hps_clocks *c, const char *given, struct hps_error *err)
{
	c->library = given ? hps_strdup(given) : hps_shim_path();
	if (!c->library)
		return hps_error_set(err, HPS_E_NOTFOUND, "--level 3: the library 'libexec/hps/hps-shim.so' is not beside the folder of the programs; 'make install' puts it there");
	if (strpbrk(c->library, " :\t"))
		return hps_error_set(err, HPS_E_USAGE, "--level 3: the library's path '%s' has a blank or a colon, which LD_PRELOAD cannot hold", c->library);
	return 0;
}

int hps_clocks_init(struct hps_clocks *c, const struct hps_trial_options *o, struct hps_error *err)
{
	const struct hps_shim_head head = { .version = HPS_SHIM_VERSION, .mode = HPS_SHIM_RECORD, .size = HPS_SHIM_HEAD + HPS_SHIM_MAX, .next = HPS_SHIM_HEAD,
					    .ordered = hps_trial_level(o) > 3 };
	int r;

	c->fd = -1;
	c->from = o->clocks_from;
	if (!c->from && hps_trial_level(o) < 3)
		return 0;
	r = take_library(c, o->shim, err);
	if (r)
		return r;
	c->fd = memfd_create("clocks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (c->fd < 0)
		return hps_error_errno(err, "making the memory for clocks");
	if (c->from)
		r = read_from(c, head.ordered, err);
	else if (ftruncate(c->fd, (off_t)head.size) || pwrite(c->fd, &head, sizeof head, 0) != sizeof head)
		r = hps_error_errno(err, "making the memory for clocks");
	/* Whoever gets it may write, but not make it shorter than others believe. */
	if (!r && fcntl(c->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		r = hps_error_errno(err, "making the memory for clocks");
	return r;
}

/* Of clocks with one name the first is written down. */
static int64_t named(const char *name, const struct hps_shim_head *head)
{
	size_t i = 0;

	while (strcmp(bases[i].name, name) != 0)
		i++;
	return head->real_base[bases[i].slot];
}

void hps_clocks_start(struct hps_clocks *c)
{
	struct hps_shim_head head;

	if (c->fd < 0 || pread(c->fd, &head, sizeof head, 0) != sizeof head)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		head.real_base[bases[i].slot] = now(bases[i].clock);
		if (!c->from)
			head.base[bases[i].slot] = named(bases[i].name, &head);
	}
	if (pwrite(c->fd, &head, sizeof head, 0) == sizeof head)
		c->started = true;
}

char *hps_clocks_preload(const struct hps_clocks *c, const char *before)
{
	if (c->fd < 0)
		return NULL;
	return hps_format("LD_PRELOAD=%s%s%s", c->library, before && *before ? ":" : "", before ? before : "");
}

void hps_clocks_release(struct hps_clocks *c)
{
	hps_map_release(&c->ordinals);
	free(c->library);
	if (c->fd >= 0)
		close(c->fd);
}

/* ---- handing it out ---- */

/* The n-th of its kind of the program that started it. */
static uint64_t descend(struct hps_clocks *c, uint64_t parent, const struct hps_execution *x)
{
	struct {
		uint64_t parent;
		struct hps_digest label;
		uint64_t ordinal;
	} step = { .parent = htole64(parent) };
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];
	uint64_t name;
	void **slot;

	hps_execution_label(x, &step.label);
	hps_digest_of(&step, sizeof step, &d);
	hps_digest_hex(&d, hex);
	slot = hps_map_slot(&c->ordinals, hex);
	step.ordinal = htole64((uintptr_t)*slot);
	*slot = (void *)((uintptr_t)*slot + 1);
	hps_digest_of(&step, sizeof step, &d);
	memcpy(&name, d.b, sizeof name);
	name = le64toh(name) & (((uint64_t)1 << NAME_BITS) - 1);
	return name ? name : 1;
}

static uint64_t name_of(struct hps_supervisor *s, int index)
{
	_cleanup_free_ int *line = NULL;
	size_t n = 0;

	for (int i = index; i >= 0 && !s->executions[i].clock_name; i = s->executions[i].parent) {
		line = hps_grow(line, n, sizeof *line);
		line[n++] = i;
	}
	while (n) {
		struct hps_execution *x = &s->executions[line[--n]];

		x->clock_name = descend(s->clocks, x->parent >= 0 ? s->executions[x->parent].clock_name : 0, x);
	}
	return index >= 0 ? s->executions[index].clock_name : 1;
}

bool hps_clocks_open(struct hps_supervisor *s, struct hps_call *c, const char *name)
{
	char link[32];
	int fd;

	if (s->clocks->fd < 0 || strcmp(name, HPS_SHIM_ASK) != 0)
		return false;
	snprintf(link, sizeof link, "self/fd/%d", s->clocks->fd);
	fd = openat(s->proc_fd, link, O_RDWR | O_CLOEXEC); /* an offset of its own */
	if (fd < 0 || lseek(fd, (off_t)name_of(s, c->t->execution), SEEK_SET) < 0) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (c->t->execution >= 0)
		s->executions[c->t->execution].clocked = true;
	hps_answer_descriptor(s, c, fd, true, false);
	return true;
}

/* ---- the record ---- */

struct piece {
	uint64_t name, at;
	uint32_t len;
};

static int by_name(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->name != y->name ? (x->name < y->name ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

/* Every chunk; false when one was left half made, by a program that was killed just then. */
static bool read_pieces(int fd, uint64_t end, struct piece **ret, size_t *ret_n)
{
	struct hps_shim_chunk chunk;

	for (uint64_t at = HPS_SHIM_HEAD; at + sizeof chunk <= end; at += sizeof chunk + ((chunk.size + 7ull) & ~7ull)) {
		if (pread(fd, &chunk, sizeof chunk, (off_t)at) != sizeof chunk || !chunk.size || chunk.used > chunk.size || at + sizeof chunk + chunk.size > end)
			return false;
		*ret = hps_grow(*ret, *ret_n, sizeof **ret);
		(*ret)[(*ret_n)++] = (struct piece){ chunk.name, at + sizeof chunk, chunk.used };
	}
	return true;
}

static json_t *started_json(const struct hps_shim_head *head)
{
	json_t *item = json_object(), *started = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		_cleanup_free_ char *text = hps_format("%lld", (long long)head->base[bases[i].slot]);

		if (!json_object_get(started, bases[i].name))
			hps_json_set_text(started, bases[i].name, text);
	}
	hps_json_set(item, "started", started);
	return item;
}

/* The pieces of one name, which stand beside each other; returns how many. */
static size_t add_stream(struct hps_manifest *m, int fd, const struct piece *v, size_t n)
{
	_cleanup_buf_ struct hps_buf bytes = HPS_BUF_INIT, values = HPS_BUF_INIT;
	_cleanup_free_ char *name = hps_format("%016llx", (unsigned long long)v->name);
	json_t *item = json_object();
	size_t k = 0;

	hps_buf_init(&bytes, HPS_SHIM_MAX + 1);
	hps_buf_init(&values, HPS_JSON_MAX);
	for (; k < n && v[k].name == v->name; k++) {
		_cleanup_free_ char *part = hps_alloc(v[k].len + 1);

		if (pread(fd, part, v[k].len, (off_t)v[k].at) == (ssize_t)v[k].len)
			hps_buf_add(&bytes, part, v[k].len);
	}
	hps_base64(&values, bytes.data ? bytes.data : "", bytes.len);
	hps_json_set_text(item, "stream", name);
	hps_json_set_text(item, "values", values.data ? values.data : "");
	hps_manifest_add_plain(m, item);
	return k;
}

int hps_clocks_write(struct hps_record *r, json_t **ret, struct hps_error *err)
{
	struct hps_clocks *c = r->supervisor->clocks;
	_cleanup_free_ struct piece *pieces = NULL;
	struct hps_shim_head head;
	struct hps_manifest m;
	size_t n = 0;

	if (c->fd < 0 || c->from || pread(c->fd, &head, sizeof head, 0) != sizeof head)
		return 0;
	c->whole = c->started && read_pieces(c->fd, head.next < HPS_SHIM_HEAD + HPS_SHIM_MAX ? head.next : HPS_SHIM_HEAD + HPS_SHIM_MAX, &pieces, &n) && !head.n_lost;
	qsort(pieces, n, sizeof *pieces, by_name);
	hps_manifest_begin(&m, r, "clocks");
	hps_manifest_add_plain(&m, started_json(&head));
	for (size_t i = 0; i < n;) {
		i += add_stream(&m, c->fd, pieces + i, n - i);
		c->n_streams++;
	}
	c->whole = c->whole && !m.cut;
	return hps_manifest_end(&m, r, ret, err);
}

/* Programs that did not load the library: static ones, such with more rights, those that were given another environment. */
static json_t *without_json(const struct hps_supervisor *s, int64_t *ret_n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_executions; i++)
		if (!s->executions[i].clocked && (*ret_n)++ < WITHOUT_MAX)
			hps_json_add(list, hps_path_json(s->executions[i].program));
	return list;
}

/* Numbers of calls are one more than the call's: 0 is none. */
static void add_call(json_t *to, const char *key, uint32_t number)
{
	_cleanup_free_ char *name = number ? hps_call_name((int)((number - 1) & INT32_MAX)) : NULL;

	hps_json_set_text(to, key, name);
}

/* Why the order was given up, as the library left it. */
static json_t *stood_json(const struct hps_shim_head *head)
{
	_cleanup_free_ char *thread = hps_strndup(head->stood_thread, strnlen(head->stood_thread, sizeof head->stood_thread));
	json_t *j = json_object();

	hps_json_set_text(j, "how", head->stood_how == HPS_SHIM_SPINS ? "spins" : "computes");
	hps_json_set(j, "thread", hps_path_json(thread));
	add_call(j, "call", head->stood_call);
	hps_json_set_int(j, "seconds", head->stood_looks / 10);
	return j;
}

json_t *hps_clocks_json(const struct hps_record *r)
{
	const struct hps_clocks *c = r->supervisor->clocks;
	struct hps_shim_head head;
	json_t *j, *without;
	int64_t n = 0;

	if (c->fd < 0 || pread(c->fd, &head, sizeof head, 0) != sizeof head)
		return NULL;
	j = json_object();
	hps_json_set_text(j, "mode", c->from ? "from" : "record");
	hps_json_set(j, "library", hps_path_json(c->library));
	if (c->from)
		hps_json_set_text(j, "log", c->log);
	else
		hps_json_set_int(j, "streams", (int64_t)c->n_streams);
	if (c->from)
		hps_json_set_int(j, "unanswered", (int64_t)(head.n_unanswered & INT32_MAX) + !c->started);
	else
		hps_json_set(j, "whole", json_boolean(c->whole));
	if (head.ordered) {
		hps_json_set_int(j, "turnsTaken", (int64_t)(head.n_taken & INT32_MAX));
		hps_json_set_int(j, "outOfTurn", (int64_t)(head.n_open & INT32_MAX));
		add_call(j, "outOfTurnFirst", head.open_call);
		hps_json_set(j, "orderDigest", json_sprintf("%016llx", (unsigned long long)head.order));
		hps_json_set_int(j, "orderTurns", (int64_t)(head.n_order & INT64_MAX));
		if (head.stood_how)
			hps_json_set(j, "stoodStill", stood_json(&head));
	}
	hps_json_set_int(j, "other", (int64_t)(head.n_other & INT32_MAX));
	hps_json_set_int(j, "programs", (int64_t)r->supervisor->n_executions);
	without = without_json(r->supervisor, &n);
	hps_json_set_int(j, "without", n);
	hps_json_set(j, "withoutNames", without);
	return j;
}
