/* Outside numbers and times: the whole string or an error. */
#include "core/core.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int hps_parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t x = 0;

	if (!*s || (s[0] == '0' && s[1]))
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(x, (uint64_t)10, &x) || __builtin_add_overflow(x, (uint64_t)(*s - '0'), &x))
			return -ERANGE;
	}
	if (x > max)
		return -ERANGE;
	*ret = x;
	return 0;
}

int hps_parse_i64(const char *s, int64_t min, int64_t max, int64_t *ret)
{
	bool negative = *s == '-';
	uint64_t magnitude;
	int64_t x;
	int r = hps_parse_u64(s + negative, (uint64_t)INT64_MAX + (negative ? 1 : 0), &magnitude);

	if (r)
		return r;
	if (negative && !magnitude)
		return -EINVAL;
	x = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	if (x < min || x > max)
		return -ERANGE;
	*ret = x;
	return 0;
}

/* strtod_l needs a locale object; the programs never call setlocale(), so the C locale is in force and strtod is exact. */
int hps_parse_double(const char *s, double *ret)
{
	char *end;
	double x;

	if (!*s || isspace((unsigned char)*s) || strpbrk(s, "xXpP"))
		return -EINVAL;
	errno = 0;
	x = strtod(s, &end);
	if (*end || end == s)
		return -EINVAL;
	if (!isfinite(x))
		return strpbrk(s, "nN") ? -EINVAL : -ERANGE;
	*ret = x;
	return 0;
}

static bool name_char(char x, const char *more)
{
	return (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') || x == '_' || (x && strchr(more, x));
}

bool hps_name_valid(const char *name, const char *more)
{
	bool good = name_char(name[0], "") && strlen(name) <= 64;

	for (size_t i = 0; good && name[i]; i++)
		good = name_char(name[i], "-.") || strchr(more, name[i]);
	return good;
}

void hps_time_format(int64_t ns, char out[HPS_TIME_LEN])
{
	int64_t second = ns / 1000000000, rest = ns % 1000000000;
	struct tm t;
	time_t clock;

	if (rest < 0) {
		rest += 1000000000;
		second--;
	}
	clock = (time_t)second;
	gmtime_r(&clock, &t);
	snprintf(out, HPS_TIME_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", (unsigned)(t.tm_year + 1900) % 10000, (unsigned)(t.tm_mon + 1) % 100,
		 (unsigned)t.tm_mday % 100, (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100, (unsigned)rest);
}

static int digits(const char **s, int n, int *ret)
{
	int x = 0;

	for (; n; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return -EINVAL;
		x = x * 10 + (**s - '0');
	}
	*ret = x;
	return 0;
}

int hps_time_parse(const char *s, int64_t *ret_ns)
{
	static const char separator[] = "--T::";
	int field[6], nanoseconds = 0;
	struct tm t = { 0 };
	int64_t seconds;

	for (int i = 0; i < 6; i++) {
		if (digits(&s, i ? 2 : 4, &field[i]) || (i < 5 && *s++ != separator[i]))
			return -EINVAL;
	}
	if (*s == '.') {
		int scale = 100000000;

		for (s++; *s >= '0' && *s <= '9' && scale; s++, scale /= 10)
			nanoseconds += (*s - '0') * scale;
	}
	if (strcmp(s, "Z") != 0 || field[1] < 1 || field[1] > 12 || field[2] < 1 || field[2] > 31 || field[3] > 23 || field[4] > 59 || field[5] > 60)
		return -EINVAL;
	t.tm_year = field[0] - 1900;
	t.tm_mon = field[1] - 1;
	t.tm_mday = field[2];
	t.tm_hour = field[3];
	t.tm_min = field[4];
	t.tm_sec = field[5];
	seconds = timegm(&t);
	if (__builtin_mul_overflow(seconds, 1000000000, ret_ns) || __builtin_add_overflow(*ret_ns, nanoseconds, ret_ns))
		return -EINVAL; /* before 1677, after 2262 */
	return 0;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t hps_time_now_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int64_t hps_time_monotonic_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}
