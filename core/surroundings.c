/* What a process finds itself in besides its files: limits, niceness, processors. */
#include "core/core.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#define CPUS_MAX 8192

/* Not the number of processes: it counts all that the user has on the machine. */
static const struct {
	const char *name;
	int limit;
} limits[] = {
	{ "addressSpaceBytes", RLIMIT_AS }, { "coreBytes", RLIMIT_CORE },	   { "cpuSeconds", RLIMIT_CPU },       { "dataBytes", RLIMIT_DATA },
	{ "fileBytes", RLIMIT_FSIZE },	    { "lockedBytes", RLIMIT_MEMLOCK },	   { "messageBytes", RLIMIT_MSGQUEUE }, { "openFiles", RLIMIT_NOFILE },
	{ "residentBytes", RLIMIT_RSS },    { "pendingSignals", RLIMIT_SIGPENDING }, { "stackBytes", RLIMIT_STACK },
};

static json_t *limit_json(rlim_t value)
{
	_cleanup_free_ char *text = value == RLIM_INFINITY ? hps_strdup("unlimited") : hps_format("%llu", (unsigned long long)value);

	return json_string(text);
}

static json_t *limits_json(void)
{
	json_t *all = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		json_t *pair = json_array();
		struct rlimit l;

		if (!getrlimit(limits[i].limit, &l)) {
			hps_json_add(pair, limit_json(l.rlim_cur));
			hps_json_add(pair, limit_json(l.rlim_max));
			hps_json_set(all, limits[i].name, pair);
		} else {
			json_decref(pair);
		}
	}
	return all;
}

/* "0-3,8": the processors of a set; heap, NULL when it cannot be asked for. */
static char *processors(void)
{
	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	const size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	bool known = set && !sched_getaffinity(0, size, set);

	for (int from = 0, to; known && from < CPUS_MAX; from = to + 1) {
		to = from;
		if (!CPU_ISSET_S((size_t)from, size, set))
			continue;
		while (to + 1 < CPUS_MAX && CPU_ISSET_S((size_t)to + 1, size, set))
			to++;
		hps_buf_addf(&text, from == to ? "%s%d" : "%s%d-%d", text.len ? "," : "", from, to);
	}
	CPU_FREE(set);
	return known ? hps_buf_take(&text) : NULL;
}

/* The window of the first standard descriptor that is a terminal. */
static json_t *terminal_json(void)
{
	struct winsize w;
	json_t *j;

	for (int fd = 0; fd < 3; fd++)
		if (!ioctl(fd, TIOCGWINSZ, &w)) {
			j = json_object();
			hps_json_set_int(j, "rows", w.ws_row);
			hps_json_set_int(j, "columns", w.ws_col);
			return j;
		}
	return NULL;
}

json_t *hps_surroundings(void)
{
	_cleanup_free_ char *cpus = processors();
	json_t *s = json_object(), *terminal = terminal_json();

	if (terminal)
		hps_json_set(s, "terminal", terminal);
	hps_json_set(s, "limits", limits_json());
	errno = 0;
	hps_json_set_int(s, "nice", getpriority(PRIO_PROCESS, 0));
	hps_json_set_text(s, "processors", cpus);
	return s;
}

/* ---- as they were ---- */

static int read_limit(const json_t *value, rlim_t *ret)
{
	const char *text = json_string_value(value);
	uint64_t n;

	if (text && !strcmp(text, "unlimited"))
		*ret = RLIM_INFINITY;
	else if (!text || hps_parse_u64(text, UINT64_MAX, &n))
		return -EINVAL;
	else
		*ret = (rlim_t)n;
	return 0;
}

static void apply_limit(size_t i, const json_t *pair, hps_cannot *cannot, void *arg)
{
	_cleanup_free_ char *what = hps_format("limit %s", limits[i].name);
	struct rlimit was, here;

	if (!pair || read_limit(json_array_get(pair, 0), &was.rlim_cur) || read_limit(json_array_get(pair, 1), &was.rlim_max) ||
	    getrlimit(limits[i].limit, &here) || (was.rlim_cur == here.rlim_cur && was.rlim_max == here.rlim_max))
		return;
	if (!setrlimit(limits[i].limit, &was))
		return;
	was.rlim_max = was.rlim_max < here.rlim_max ? was.rlim_max : here.rlim_max;
	if (was.rlim_cur <= was.rlim_max && !setrlimit(limits[i].limit, &was))
		return; /* what counts is as it was; nobody may raise the other */
	cannot(arg, what, "it was higher than this user may have here");
}

static int read_processors(const char *list, cpu_set_t *set, size_t size)
{
	CPU_ZERO_S(size, set);
	for (const char *at = list; *at;) {
		size_t n = strcspn(at, ",");
		_cleanup_free_ char *part = hps_strndup(at, n);
		char *dash = strchr(part, '-');
		uint64_t from, to;

		if (dash)
			*dash = '\0';
		if (hps_parse_u64(part, CPUS_MAX - 1, &from) || (dash && hps_parse_u64(dash + 1, CPUS_MAX - 1, &to)))
			return -EINVAL;
		to = dash ? to : from;
		for (uint64_t i = from; i <= to; i++)
			CPU_SET_S((size_t)i, size, set);
		at += n + (at[n] == ',');
	}
	return 0;
}

static void apply_processors(const char *list, hps_cannot *cannot, void *arg)
{
	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	const size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
	_cleanup_free_ char *here = NULL, *why = NULL;

	if (set && !read_processors(list, set, size) && sched_setaffinity(0, size, set))
		why = hps_format("they were %s, which are not here", list);
	here = processors();
	if (!why && here && strcmp(here, list) != 0)
		why = hps_format("they were %s, here they are %s", list, here);
	if (why)
		cannot(arg, "processors", why);
	CPU_FREE(set);
}

void hps_surroundings_apply(const json_t *s, hps_cannot *cannot, void *arg)
{
	const char *list = hps_json_text(s, "processors");
	int64_t nice = hps_json_int(s, "nice", 0);

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		apply_limit(i, hps_json_at(s, "limits", limits[i].name, NULL), cannot, arg);
	errno = 0;
	if (nice >= -20 && nice <= 19 && getpriority(PRIO_PROCESS, 0) != nice && setpriority(PRIO_PROCESS, 0, (int)nice))
		cannot(arg, "niceness", "it was less than this user may have here");
	if (list)
		apply_processors(list, cannot, arg);
}
