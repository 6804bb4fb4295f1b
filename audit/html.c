/* Text into a page. The one door through which a trial's strings reach HTML. */
#include "audit/audit.h"

#include <stdarg.h>
#include <math.h>
#include <string.h>

static void add_entities(struct hps_buf *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&': hps_buf_adds(out, "&amp;"); break;
		case '<': hps_buf_adds(out, "&lt;"); break;
		case '>': hps_buf_adds(out, "&gt;"); break;
		case '"': hps_buf_adds(out, "&quot;"); break;
		case '\'': hps_buf_adds(out, "&#39;"); break;
		default: hps_buf_addc(out, *text);
		}
	}
}

/* Cut where a character starts. */
static size_t cut(const char *text)
{
	size_t len = strnlen(text, HPS_HTML_TEXT_MAX + 1);

	if (len <= HPS_HTML_TEXT_MAX)
		return len;
	len = HPS_HTML_TEXT_MAX;
	while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

static void add_text(struct hps_buf *out, const char *text)
{
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;
	size_t len = cut(text);

	hps_term_escape(&safe, text, len);
	if (safe.len)
		add_entities(out, safe.data);
	if (text[len])
		hps_buf_adds(out, "…");
}

/* One conversion of the kinds that pages need: %s %d %zu %lu %ld %.Nf. Returns what follows it. */
static const char *convert(struct hps_buf *out, const char *spec, va_list *args)
{
	int precision = 6;

	if (*spec == '.') {
		precision = spec[1] - '0';
		spec += 2;
	}
	if (*spec == 's')
		add_text(out, va_arg(*args, const char *) ?: "");
	else if (*spec == 'd')
		hps_buf_addf(out, "%d", va_arg(*args, int));
	else if (*spec == 'f')
		hps_buf_addf(out, "%.*f", precision, va_arg(*args, double));
	else if (spec[0] == 'z' && spec[1] == 'u')
		hps_buf_addf(out, "%zu", va_arg(*args, size_t));
	else if (spec[0] == 'l' && spec[1] == 'u')
		hps_buf_addf(out, "%lu", va_arg(*args, unsigned long));
	else if (spec[0] == 'l' && spec[1] == 'd')
		hps_buf_addf(out, "%ld", va_arg(*args, long));
	else
		hps_buf_addc(out, *spec); /* %% */
	return spec + (*spec == 'z' || *spec == 'l' ? 2 : 1);
}

void hps_html(struct hps_buf *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	while (*format) {
		size_t plain = strcspn(format, "%");

		hps_buf_add(out, format, plain);
		format += plain;
		if (*format)
			format = convert(out, format + 1, &args);
	}
	va_end(args);
}

void hps_html_number(struct hps_buf *out, double x)
{
	char text[HPS_DOUBLE_LEN];

	snprintf(text, sizeof(text), "%.4g", x);
	if (fabs(x) >= 1000 && fabs(x) < 1e7)
		snprintf(text, sizeof(text), "%.0f", x);
	hps_html(out, "%s", text);
}

void hps_duration(double seconds, char out[32])
{
	long whole = (long)(seconds + 0.5);

	if (!(seconds >= 0) || seconds > 1e9)
		snprintf(out, 32, "unknown");
	else if (seconds < 1)
		snprintf(out, 32, "%.0f ms", seconds * 1000);
	else if (seconds < 60)
		snprintf(out, 32, "%.1f s", seconds);
	else if (whole < 3600)
		snprintf(out, 32, "%ld min %ld s", whole / 60, whole % 60);
	else
		snprintf(out, 32, "%ld h %ld min", whole / 3600, whole % 3600 / 60);
}
