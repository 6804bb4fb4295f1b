/* The error object: set once where it happens, prefixed on the way up. */
#include "core/core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void fill(struct hps_error *err, int code, char *message)
{
	free(err->message);
	err->code = code;
	err->message = message;
}

__attribute__((format(printf, 1, 0))) static char *format_v(const char *format, va_list ap)
{
	char *s;

	if (vasprintf(&s, format, ap) < 0)
		abort();
	return s;
}

int hps_error_set(struct hps_error *err, int code, const char *format, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, format);
	fill(err, code, format_v(format, ap));
	va_end(ap);
	return code;
}

int hps_error_errno(struct hps_error *err, const char *format, ...)
{
	_cleanup_free_ char *doing = NULL;
	int number = errno;
	va_list ap;

	if (!err)
		return -number;
	va_start(ap, format);
	doing = format_v(format, ap);
	va_end(ap);
	fill(err, -number, hps_format("%s: %s", doing, strerror(number)));
	return -number;
}

int hps_error_prefix(struct hps_error *err, const char *format, ...)
{
	_cleanup_free_ char *prefix = NULL;
	va_list ap;

	if (!err)
		return HPS_E_FORMAT;
	va_start(ap, format);
	prefix = format_v(format, ap);
	va_end(ap);
	fill(err, err->code, hps_format("%s: %s", prefix, err->message ? err->message : "unknown error"));
	return err->code;
}

void hps_error_release(struct hps_error *err)
{
	free(err->message);
	err->message = NULL;
	err->code = 0;
}

int hps_error_exit(int code)
{
	static const struct {
		int code, status;
	} table[] = {
		{ HPS_E_FALSE, 1 },	{ HPS_E_USAGE, 2 },    { HPS_E_FORMAT, 3 },    { HPS_E_DAMAGED, 3 },
		{ HPS_E_SIGNATURE, 3 }, { HPS_E_LIMIT, 3 },    { HPS_E_NOTFOUND, 4 },  { HPS_E_AMBIGUOUS, 4 },
		{ HPS_E_UNDECIDED, 4 }, { HPS_E_DENIED, 5 },   { -EACCES, 5 },	       { -EPERM, 5 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].code == code)
			return table[i].status;
	return 4;
}
