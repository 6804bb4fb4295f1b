/* What /proc says of a process, /proc/PID/status and /proc/PID/stat (proc(5)): bytes in, a number or a text out. */
#include "recorder/tracee.h"

#include <stdlib.h>
#include <string.h>

long hps_status_number(const char *text, const char *name, int base, long fallback)
{
	_cleanup_free_ char *key = hps_format("\n%s:", name);
	const char *at = strstr(text, key);
	long value = 0;

	if (!at)
		return fallback;
	at += strlen(key);
	at += strspn(at, " \t");
	for (; *at >= '0' && *at < '0' + base; at++)
		if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, *at - '0', &value))
			return fallback;
	return value;
}

char *hps_status_rights(const char *text)
{
	static const char *const lines[] = { "\nUid:", "\nGid:", "\nGroups:", "\nCapEff:" };
	struct hps_buf b = HPS_BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const char *at = strstr(text, lines[i]);

		if (at)
			hps_buf_add(&b, at, strcspn(at + 1, "\n") + 1);
	}
	return hps_buf_take(&b);
}

uint64_t hps_stat_start(const char *text)
{
	const char *at = strrchr(text, ')'); /* the name before it may hold anything */

	for (unsigned i = 0; at && i < 20; i++) { /* item 22; the name in parentheses is item 2 */
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}
