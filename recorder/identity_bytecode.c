/* Compiled Python: is a .pyc what its source compiles to? The interpreter takes it by the time and size in it, which whoever
 * replaces it can copy. So the interpreter that ran compiles the source again, runs nothing of either, and compares the code. */
#include "recorder/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/package.h"

#define CACHE_MAX ((size_t)8 << 20)
#define PART 256 /* files that an interpreter is given at a time: nothing is read that time does not suffice for */
#define HEADER_LEN 16 /* PEP 552: magic, flags, and time and size of the source, or its hash */

/* Reads the list of "pyc NUL source NUL" from descriptor argv[1]; for each prints = (same), ! (another) or ? (not to be told). Constants
 * are compared with their types; where the file lay when it was compiled, and in which order a set is written, do not count. */
static const char script[] =
	"import sys, marshal, _frozen_importlib_external as e\n"
	"code = type((lambda: 0).__code__)\n"
	"names = [n for n in dir(code) if n.startswith('co_') and n not in ('co_filename', 'co_consts', 'co_lnotab', 'co_lines', 'co_positions', 'co_branches')]\n"
	"def same(a, b):\n"
	"    if type(a) is not type(b): return False\n"
	"    if type(a) is code: return all(getattr(a, n) == getattr(b, n) for n in names) and same(a.co_consts, b.co_consts)\n"
	"    if type(a) is tuple: return len(a) == len(b) and all(map(same, a, b))\n"
	"    if type(a) is frozenset: return {(type(x), repr(x)) for x in a if type(x) is not frozenset} == {(type(x), repr(x)) for x in b if type(x) is not frozenset} and a == b\n"
	"    return repr(a) == repr(b) if type(a) in (float, complex) else a == b\n"
	"def verdict(pyc, source):\n"
	"    with open(pyc, 'rb') as f: data = f.read()\n"
	"    with open(source, 'rb') as f: text = f.read()\n"
	"    if data[:4] != e.MAGIC_NUMBER: return '?'\n"
	"    level = pyc.rpartition(b'.opt-')[2]\n"
	"    level = int(level[:1]) if b'.opt-' in pyc and level[:1].isdigit() else 0\n"
	"    return '=' if same(marshal.loads(data[16:]), compile(text, source, 'exec', dont_inherit=True, optimize=level)) else '!'\n"
	"with open(int(sys.argv[1]), 'rb') as f: paths = f.read().split(b'\\0')\n"
	"for pyc, source in zip(paths[0::2], paths[1::2]):\n"
	"    try: answer = verdict(pyc, source)\n"
	"    except (OSError, SyntaxError, ValueError, EOFError, TypeError, RecursionError): answer = '?'\n"
	"    sys.stdout.write(answer)\n"
	"    sys.stdout.flush()\n";

/* ---- what earlier runs found: a line "<key> <= or !>" ---- */

/* As its name says: what is right without assertions is not where assertions are expected. */
static uint8_t level_of(const char *pyc)
{
	static const char mark[] = ".opt-";
	uint8_t level = '0';

	for (const char *at = pyc; (at = strstr(at, mark)); at += sizeof mark - 1)
		level = (uint8_t)at[sizeof mark - 1];
	return level;
}

/* The two contents, who compared them, and the level of optimisation. */
static void key_of(const struct hps_bytecode *b, const struct hps_digest *by, char ret[HPS_DIGEST_HEX])
{
	uint8_t all[3 * HPS_DIGEST_LEN + 1];
	struct hps_digest d;

	memcpy(all, b->compiled.b, HPS_DIGEST_LEN);
	memcpy(all + HPS_DIGEST_LEN, b->text.b, HPS_DIGEST_LEN);
	memcpy(all + 2 * HPS_DIGEST_LEN, by->b, HPS_DIGEST_LEN);
	all[3 * HPS_DIGEST_LEN] = level_of(b->pyc);
	hps_digest_of(all, sizeof all, &d);
	hps_digest_hex(&d, ret);
}

/* key -> its verdict in the text */
static void load(int dir, struct hps_buf *text, struct hps_map *ret)
{
	_cleanup_fd_ int fd = dir < 0 ? -1 : hps_file_open_own(dir, "bytecode");

	hps_buf_init(text, CACHE_MAX);
	if (fd < 0 || hps_file_read_fd(fd, CACHE_MAX, text, NULL) || !text->data)
		return;
	for (size_t at = 0; at + HPS_DIGEST_HEX + 2 <= text->len && text->data[at + HPS_DIGEST_HEX + 1] == '\n'; at += HPS_DIGEST_HEX + 2) {
		_cleanup_free_ char *key = hps_strndup(text->data + at, HPS_DIGEST_HEX - 1);

		*hps_map_slot(ret, key) = text->data[at + HPS_DIGEST_HEX] == '=' ? (void *)HPS_PRISTINE_YES : (void *)HPS_PRISTINE_NO;
	}
}

/* A cache that cannot be written costs time, nothing else; one that is full begins anew. */
static void save(int dir, struct hps_buf *text, struct hps_bytecode *const *items, size_t n)
{
	size_t before = text->len;

	if (text->len + n * (HPS_DIGEST_HEX + 2) > CACHE_MAX)
		hps_buf_reset(text);
	for (size_t i = 0; i < n; i++) {
		char key[HPS_DIGEST_HEX];

		if (items[i]->same == HPS_PRISTINE_UNKNOWN || items[i]->other_source || !items[i]->by)
			continue;
		key_of(items[i], items[i]->by, key);
		hps_buf_addf(text, "%s %c\n", key, items[i]->same == HPS_PRISTINE_YES ? '=' : '!');
	}
	if (dir >= 0 && text->len != before && !text->full && hps_file_write(dir, "bytecode", 0600, text->data, text->len, NULL))
		return;
}

bool hps_bytecode_fits(const char *root, const char *pyc, const char *source)
{
	_cleanup_free_ char *compiled = hps_format("%s%s", root, pyc), *text = hps_format("%s%s", root, source);
	_cleanup_fd_ int fd = open(compiled, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint32_t header[HEADER_LEN / sizeof(uint32_t)];
	struct stat s;

	if (fd < 0 || read(fd, header, sizeof header) != sizeof header || header[1] || stat(text, &s))
		return true; /* by its hash, or not to be told */
	return header[2] == (uint32_t)s.st_mtim.tv_sec && header[3] == (uint32_t)s.st_size;
}

/* ---- asking the interpreter ---- */

static bool holds(const char *root, const char *path, const struct hps_digest *want)
{
	_cleanup_free_ char *full = hps_format("%s%s", root, path);
	_cleanup_fd_ int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct hps_digest now;

	return fd >= 0 && hps_digest_fd(fd, &now, NULL, NULL) == 0 && hps_digest_equal(&now, want);
}

/* The sources must still be what is compared, whoever compiles them: keeps those in the list, and returns how many they are. */
static size_t keep_sources(const char *root, struct hps_bytecode **list, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct hps_bytecode *b = list[i];

		b->other_source = !holds(root, b->source, &b->text);
		if (b->other_source)
			b->same = HPS_PRISTINE_NO;
		else
			list[kept++] = b;
	}
	return kept;
}

/* A descriptor of the list of those that nobody has decided, which the program inherits. */
static int list_of(const char *root, struct hps_bytecode *const *items, size_t n)
{
	_cleanup_buf_ struct hps_buf list = HPS_BUF_INIT;
	int fd = memfd_create("bytecode", 0);

	for (size_t i = 0; i < n; i++) {
		if (items[i]->same != HPS_PRISTINE_UNKNOWN)
			continue;
		hps_buf_addf(&list, "%s%s", root, items[i]->pyc);
		hps_buf_addc(&list, '\0');
		hps_buf_addf(&list, "%s%s", root, items[i]->source);
		hps_buf_addc(&list, '\0');
	}
	if (fd >= 0 && (!list.len || hps_write_all(fd, list.data, list.len) || lseek(fd, 0, SEEK_SET))) {
		close(fd);
		return -1;
	}
	return fd;
}

struct interpreter {
	const char *path;
	const struct hps_digest *content; /* NULL: not known */
};

/* What it has said when time is up counts. */
static void ask(const char *root, const struct interpreter *by, int64_t limit_ns, int stop_fd, struct hps_bytecode *const *items, size_t n)
{
	static const char *const envp[] = { "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", NULL };
	_cleanup_fd_ int fd = list_of(root, items, n);
	_cleanup_free_ char *full = hps_format("%s%s", root, by->path), *number = hps_format("%d", fd);
	const char *const argv[] = { full, "-I", "-S", "-B", "-E", "-W", "ignore", "-c", script, number, NULL };
	struct hps_run run = { .argv = argv, .envp = envp, .timeout_ns = limit_ns, .stop_fd = stop_fd, .max_output = n, .quiet = true };
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	size_t at = 0;
	int status, r;

	if (fd < 0)
		return;
	r = hps_run(&run, &out, &status, NULL);
	if (r && r != -ETIMEDOUT)
		return;
	for (size_t i = 0; i < n && at < out.len; i++) {
		if (items[i]->same != HPS_PRISTINE_UNKNOWN)
			continue;
		items[i]->same = out.data[at] == '=' ? HPS_PRISTINE_YES : out.data[at] == '!' ? HPS_PRISTINE_NO : HPS_PRISTINE_UNKNOWN;
		items[i]->by = by->content;
		at++;
	}
}

static bool is_over(const struct hps_python_options *o, int64_t end_ns)
{
	struct pollfd stop = { .fd = o->stop_fd ? o->stop_fd : -1, .events = POLLIN };

	return end_ns <= hps_time_monotonic_ns() || poll(&stop, 1, 0) > 0;
}

/* At most PART of them; the compiled ones must still be what is compared, too. */
static void compare(const char *root, const struct hps_python_options *o, const struct interpreter *by, size_t n_by, int64_t end_ns, struct hps_bytecode *const *items, size_t n)
{
	struct hps_bytecode *part[PART];
	size_t n_part = 0;

	for (size_t i = 0; i < n; i++)
		if (holds(root, items[i]->pyc, &items[i]->compiled))
			part[n_part++] = items[i];
	for (size_t i = 0; i < n_by && !is_over(o, end_ns); i++)
		ask(root, &by[i], end_ns - hps_time_monotonic_ns(), o->stop_fd, part, n_part);
}

/* Those that ran. */
static size_t find_interpreters(const struct hps_strv *programs, const struct hps_map *owners, struct interpreter *ret)
{
	size_t n = 0;

	for (size_t i = 0; programs && i < programs->n; i++) {
		const struct hps_owner *o = hps_map_get(owners, programs->v[i]);

		if (hps_python_is(programs->v[i]))
			ret[n++] = (struct interpreter){ programs->v[i], o && o->hashed ? &o->content : NULL };
	}
	return n;
}

/* Of one that is another by now nothing is known: what it said would be taken for the word of the one that ran. */
static size_t keep_interpreters(const char *root, struct interpreter *list, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!list[i].content || holds(root, list[i].path, list[i].content))
			list[kept++] = list[i];
	return kept;
}

static void recall(const struct hps_map *known, const struct interpreter *by, size_t n_by, struct hps_bytecode *b)
{
	char key[HPS_DIGEST_HEX];

	for (size_t i = 0; i < n_by && b->same == HPS_PRISTINE_UNKNOWN; i++) {
		if (!by[i].content)
			continue;
		key_of(b, by[i].content, key);
		b->same = (enum hps_pristine)(uintptr_t)hps_map_get(known, key);
	}
}

void hps_bytecode_check(const char *root, const struct hps_python_options *o, const struct hps_map *owners, struct hps_bytecode *items, size_t n)
{
	int64_t end_ns = hps_time_monotonic_ns() + o->limit_ns;
	_cleanup_free_ struct hps_bytecode **unknown = hps_alloc((n + 1) * sizeof *unknown);
	_cleanup_free_ struct interpreter *by = hps_alloc(((o->programs ? o->programs->n : 0) + 1) * sizeof *by);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_map known = HPS_MAP_INIT;
	size_t n_unknown = 0, n_by;

	if (!n)
		return;
	n_by = find_interpreters(o->programs, owners, by);
	load(o->cache_dir, &text, &known);
	for (size_t i = 0; i < n; i++) {
		recall(&known, by, n_by, &items[i]);
		if (items[i].same == HPS_PRISTINE_UNKNOWN)
			unknown[n_unknown++] = &items[i];
	}
	hps_map_release(&known);
	n_unknown = keep_sources(root, unknown, n_unknown);
	n_by = n_unknown ? keep_interpreters(root, by, n_by) : 0;
	if (!n_by)
		return;
	for (size_t i = 0; i < n_unknown && !is_over(o, end_ns); i += PART)
		compare(root, o, by, n_by, end_ns, unknown + i, n_unknown - i < PART ? n_unknown - i : PART);
	save(o->cache_dir, &text, unknown, n_unknown);
}
