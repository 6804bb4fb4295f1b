/* Comparing untrusted bytes in a process that can only compute: no files, no sockets, no other programs, bounded memory and
 * time. What goes in was read before; what comes out is one JSON text. */
#include "replay/compare/compare.h"

#include <errno.h>
#include <math.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_MAX ((rlim_t)8 << 30)
#define SECONDS_MAX 600
#define ANSWER_MAX ((size_t)1 << 20)

/* What is left to it. Everything else is answered with EPERM. */
static const int allowed[] = {
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(sigaltstack),
};

static int close_in(void)
{
	scmp_filter_ctx filter;
	int r = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0))
		return -errno;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(allowed) && !r; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	r = r ? r : seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

static void limit(size_t mapped)
{
	static const struct {
		__rlimit_resource_t resource;
		rlim_t most;
	} limits[] = {
#ifndef __SANITIZE_ADDRESS__ /* its shadow memory is an address space of its own */
		{ RLIMIT_AS, MEMORY_MAX },
#endif
		{ RLIMIT_CPU, SECONDS_MAX },
		{ RLIMIT_CORE, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		rlim_t most = limits[i].most + (limits[i].resource == RLIMIT_AS ? mapped : 0);

		(void)!setrlimit(limits[i].resource, &(struct rlimit){ most, most });
	}
}

int hps_confine_self(size_t mapped)
{
	limit(mapped);
	return close_in();
}

/* ---- the answer ---- */

static void set_path(json_t *j, const char *name, const char *text)
{
	if (text)
		hps_json_set(j, name, hps_path_json(text));
}

static void answer(const struct hps_comparison *c, int fd)
{
	_cleanup_json_ json_t *j = json_object();
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	hps_json_set_int(j, "verdict", c->verdict);
	hps_json_set_text(j, "format", c->format);
	set_path(j, "place", c->place);
	set_path(j, "original", c->original);
	set_path(j, "rerun", c->rerun);
	set_path(j, "note", c->note);
	hps_json_set_int(j, "values", (int64_t)c->n_values);
	hps_json_set_int(j, "different", (int64_t)c->n_different);
	hps_json_set_double(j, "relativeL2", c->relative_l2);
	hps_json_set_double(j, "scaledMax", c->scaled_max);
	hps_json_set_double(j, "maxDifference", c->max_difference);
	hps_json_set(j, "masked", hps_masked_json(c));
	if (!hps_json_canonical(j, &text, NULL))
		(void)!hps_write_all(fd, text.data, text.len);
}

static char *get_path(const json_t *j, const char *name)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	const char *escaped = hps_json_text(j, name);

	return escaped && !hps_path_unescape(escaped, &text, NULL) ? hps_buf_take(&text) : NULL;
}

static double get_bits(const json_t *j, const char *name)
{
	const char *text = hps_json_text(j, name);
	double x;

	return text && !hps_parse_double(text, &x) ? x : (double)INFINITY;
}

static void get_masked(const json_t *list, struct hps_comparison *ret)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, item) {
		enum hps_mask m = hps_mask_named(hps_json_text(item, "kind") ? hps_json_text(item, "kind") : "");

		if (!m || ret->masked_first[m])
			continue;
		ret->masked[m] = (uint64_t)hps_json_int(item, "count", 0);
		ret->masked_first[m] = get_path(item, "first");
	}
}

static bool read_answer(const char *text, size_t len, struct hps_comparison *ret)
{
	_cleanup_json_ json_t *j = NULL;
	const struct hps_format *format;
	int64_t verdict;

	if (!len || hps_json_parse(text, len, &j, NULL))
		return false;
	verdict = hps_json_int(j, "verdict", -1);
	if (verdict < HPS_OUTPUT_IDENTICAL || verdict > HPS_OUTPUT_OPAQUE)
		return false;
	format = hps_format_named(hps_json_text(j, "format"));
	*ret = (struct hps_comparison){
		.verdict = (enum hps_output_verdict)verdict,
		.format = format ? format->name : NULL,
		.place = get_path(j, "place"),
		.original = get_path(j, "original"),
		.rerun = get_path(j, "rerun"),
		.note = get_path(j, "note"),
		.n_values = (uint64_t)hps_json_int(j, "values", 0),
		.n_different = (uint64_t)hps_json_int(j, "different", 0),
		.relative_l2 = get_bits(j, "relativeL2"),
		.scaled_max = get_bits(j, "scaledMax"),
		.max_difference = get_bits(j, "maxDifference"),
	};
	get_masked(json_object_get(j, "masked"), ret);
	return true;
}

/* ---- the process ---- */

struct sides {
	const char *path;
	const struct hps_buf *a, *b;
	struct hps_mapping of_a, of_b;
	const struct hps_tolerance *tolerance;
};

static _Noreturn void compare_inside(const struct sides *s, int fd)
{
	struct hps_comparison c;

	if (hps_confine_self(s->of_a.len + s->of_b.len))
		_exit(1);
	hps_compare_mapped(s->path, s->a, s->b, &s->of_a, &s->of_b, s->tolerance, &c);
	answer(&c, fd);
	_exit(0);
}

static void gave_no_answer(struct hps_comparison *ret, const char *why)
{
	*ret = (struct hps_comparison){ .verdict = HPS_OUTPUT_OPAQUE, .n_different = 1 };
	ret->note = hps_format("the comparison gave no answer: %s", why);
}

static void compare_outside(const struct sides *s, struct hps_comparison *ret)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_fd_ int in = -1, out = -1;
	int ends[2], status = 0;
	pid_t pid;

	if (pipe(ends)) {
		gave_no_answer(ret, strerror(errno));
		return;
	}
	in = ends[1];
	out = ends[0];
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		compare_inside(s, in);
	hps_cleanup_fd(&in);
	in = -1;
	if (pid < 0 || hps_file_read_fd(out, ANSWER_MAX, &text, NULL))
		hps_buf_reset(&text);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!read_answer(text.data, text.len, ret))
		gave_no_answer(ret, pid < 0 ? "no process" : WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "its process ended");
}

static int map(int fd, struct hps_mapping *ret)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st))
		return -errno;
	*ret = (struct hps_mapping){ NULL, (size_t)st.st_size };
	if (!st.st_size)
		return 0;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	ret->start = p;
	return 0;
}

/* A file that shrinks meanwhile kills the child alone. */
void hps_compare_confined_fds(const char *path, int a, int b, const struct hps_tolerance *tolerance, struct hps_comparison *ret)
{
	struct sides s = { .path = path, .tolerance = tolerance };
	struct hps_buf x = HPS_BUF_INIT, y = HPS_BUF_INIT;
	int r = map(a, &s.of_a);

	r = r ? r : map(b, &s.of_b);
	if (r) {
		gave_no_answer(ret, strerror(-r));
	} else {
		x.data = (char *)(uintptr_t)s.of_a.start; /* read-only, like all that comparators see */
		y.data = (char *)(uintptr_t)s.of_b.start;
		x.len = s.of_a.len;
		y.len = s.of_b.len;
		s.a = &x;
		s.b = &y;
		compare_outside(&s, ret);
	}
	if (s.of_a.start)
		munmap((void *)(uintptr_t)s.of_a.start, s.of_a.len);
	if (s.of_b.start)
		munmap((void *)(uintptr_t)s.of_b.start, s.of_b.len);
}
