/* The forms of stamps: dates, clocks, epochs, durations, UUIDs, addresses. Each function takes one off the front of a text, or says that there is none;
 * where the text is then means nothing. */
#include "replay/compare/compare.h"

#include <ctype.h>
#include <string.h>

bool hps_form_char(struct hps_text *t, const char *set)
{
	if (t->at == t->end || !*t->at || !strchr(set, *t->at))
		return false;
	t->at++;
	return true;
}

/* Exactly n digits, whose value lies between the two. */
bool hps_form_digits(struct hps_text *t, size_t n, unsigned least, unsigned most)
{
	unsigned value = 0;

	if ((size_t)(t->end - t->at) < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (t->at[i] < '0' || t->at[i] > '9')
			return false;
		value = value * 10 + (unsigned)(t->at[i] - '0');
	}
	t->at += n;
	return value >= least && value <= most;
}

bool hps_form_word(struct hps_text *t, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(words[i]);

		if ((size_t)(t->end - t->at) >= len && !memcmp(t->at, words[i], len)) {
			t->at += len;
			return true;
		}
	}
	return false;
}

bool hps_form_month(struct hps_text *t)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

	return hps_form_word(t, months, ARRAY_SIZE(months));
}

void hps_form_skip_digits(struct hps_text *t)
{
	while (t->at < t->end && *t->at >= '0' && *t->at <= '9')
		t->at++;
}

static bool take_day(struct hps_text *t)
{
	if (hps_form_char(t, " "))
		return hps_form_digits(t, 1, 1, 9);
	return hps_form_digits(t, 2, 1, 31);
}

/* 06:47:27 with a fraction, or 06:47 where seconds may lack. */
static bool take_clock(struct hps_text *t, bool seconds)
{
	struct hps_text back;

	if (!hps_form_digits(t, 2, 0, 23) || !hps_form_char(t, ":") || !hps_form_digits(t, 2, 0, 59))
		return false;
	back = *t;
	if (!hps_form_char(&back, ":") || !hps_form_digits(&back, 2, 0, 60))
		return !seconds;
	*t = back;
	if (hps_form_char(&back, ".,") && hps_form_digits(&back, 1, 0, 9)) {
		hps_form_skip_digits(&back);
		*t = back;
	}
	return true;
}

static void take_zone(struct hps_text *t)
{
	static const char *const zones[] = { "UTC", "GMT", "CET", "CEST", "EST", "EDT", "PST", "PDT", "CST", "MST" };
	struct hps_text back = *t;

	if (hps_form_char(t, "Z"))
		return;
	hps_form_char(&back, " ");
	if (hps_form_word(&back, zones, ARRAY_SIZE(zones))) {
		*t = back;
	} else if (hps_form_char(&back, "+-") && hps_form_digits(&back, 2, 0, 14)) {
		hps_form_char(&back, ":");
		if (hps_form_digits(&back, 2, 0, 59))
			*t = back;
	}
}

/* 2026-11-26, alone or with a clock behind it; 2026/11/26 likewise. */
bool hps_form_date(struct hps_text *t)
{
	struct hps_text back;
	char separator[2] = "-";

	if (!hps_form_digits(t, 4, 1970, 2100))
		return false;
	separator[0] = t->at < t->end ? *t->at : '-';
	if (!hps_form_char(t, "-/") || !hps_form_digits(t, 2, 1, 12) || !hps_form_char(t, separator) || !hps_form_digits(t, 2, 1, 31))
		return false;
	back = *t;
	if (hps_form_char(&back, "T _-") && take_clock(&back, false)) {
		*t = back;
		take_zone(t);
	}
	return true;
}

/* 20261126-064727, 20261126_064727, 20261126T064727Z. */
bool hps_form_compact(struct hps_text *t)
{
	if (!hps_form_digits(t, 4, 1970, 2100) || !hps_form_digits(t, 2, 1, 12) || !hps_form_digits(t, 2, 1, 31) || !hps_form_char(t, "-_T"))
		return false;
	if (!hps_form_digits(t, 2, 0, 23) || !hps_form_digits(t, 2, 0, 59) || !hps_form_digits(t, 2, 0, 60))
		return false;
	hps_form_char(t, "Z");
	return true;
}

/* [Thu ]Nov 26 06:47[:27][ UTC][ 2026] (ls -l has no seconds), and Thu, 26 Nov 2026 06:47:27 +0000. */
static bool take_calendar(struct hps_text *t)
{
	static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
	bool day = hps_form_word(t, days, ARRAY_SIZE(days));
	struct hps_text back;

	if (day && hps_form_char(t, ",")) {
		if (!hps_form_char(t, " ") || !take_day(t) || !hps_form_char(t, " ") || !hps_form_month(t) || !hps_form_char(t, " ") || !hps_form_digits(t, 4, 1970, 2100) ||
		    !hps_form_char(t, " ") || !take_clock(t, true))
			return false;
		take_zone(t);
		return true;
	}
	if ((day && !hps_form_char(t, " ")) || !hps_form_month(t) || !hps_form_char(t, " ") || !take_day(t) || !hps_form_char(t, " ") || !take_clock(t, false))
		return false;
	take_zone(t);
	back = *t;
	if (hps_form_char(&back, " ") && hps_form_digits(&back, 4, 1970, 2100))
		*t = back;
	return true;
}

bool hps_form_time(struct hps_text *t)
{
	static bool (*const forms[])(struct hps_text *) = { hps_form_date, hps_form_compact, take_calendar };
	struct hps_text back;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		back = *t;
		if (forms[i](&back)) {
			*t = back;
			return true;
		}
	}
	return take_clock(t, true);
}

/* A number with a unit of time or of a rate behind it: 12.3s, 4 ms, 120.5it/s. */
bool hps_form_duration(struct hps_text *t)
{
	static const char *const units[] = { "it/s", "s/it", "ms/it", "s/step", "ms/step", "us/step", "steps/s", "samples/s", "examples/s", "tokens/s", "MB/s", "GB/s",
					     "seconds", "secs", "sec", "msec", "ms", "us", "\xc2\xb5s", "ns", "minutes", "mins", "min", "hours", "hrs", "s" };
	size_t n = hps_number_length(t->at, (size_t)(t->end - t->at));

	if (!n || *t->at == '-' || *t->at == 'N' || *t->at == 'I')
		return false;
	t->at += n;
	hps_form_char(t, " ");
	return hps_form_word(t, units, ARRAY_SIZE(units));
}

static size_t count_hex(const struct hps_text *t)
{
	size_t n = 0;

	while (t->at + n < t->end && isxdigit((unsigned char)t->at[n]))
		n++;
	return n;
}

bool hps_form_uuid(struct hps_text *t)
{
	static const size_t groups[] = { 8, 4, 4, 4, 12 };

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if ((i && !hps_form_char(t, "-")) || count_hex(t) != groups[i])
			return false;
		t->at += groups[i];
	}
	return true;
}

/* Python writes "at 0x7f…"; other programs write pointers of user space whole. */
bool hps_form_address(struct hps_text *t, bool after_at)
{
	size_t n;

	if (!hps_form_char(t, "0") || !hps_form_char(t, "x"))
		return false;
	n = count_hex(t);
	if (n < 6 || n > 16 || (!after_at && (n != 12 || (memcmp(t->at, "7f", 2) && memcmp(t->at, "55", 2) && memcmp(t->at, "56", 2)))))
		return false;
	t->at += n;
	return true;
}

/* Seconds, milli-, micro- or nanoseconds since 1970 that lie between 2000 and 2100. */
bool hps_form_epoch(double x)
{
	for (double unit = 1; unit < 1e10; unit *= 1000)
		if (x >= 946684800 * unit && x < 4102444800 * unit)
			return true;
	return false;
}
