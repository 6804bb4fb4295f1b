/* Stamps: what differs between two runs of the same computation and says nothing about it: times, durations, hosts, process numbers,
 * temporary paths, names of runs, addresses. Recognised by their form, or by their form and the name before them. */
#include "replay/compare/compare.h"

#include <ctype.h>
#include <string.h>

static const char *const names[HPS_MASK_N] = {
	[HPS_MASK_NONE] = "none", [HPS_MASK_TIME] = "time", [HPS_MASK_DURATION] = "duration", [HPS_MASK_HOST] = "host", [HPS_MASK_PID] = "pid",
	[HPS_MASK_PATH] = "path", [HPS_MASK_ID] = "id",	    [HPS_MASK_ADDRESS] = "address",   [HPS_MASK_TOOL] = "tool",
};

const char *hps_mask_name(enum hps_mask m)
{
	return names[m];
}

enum hps_mask hps_mask_named(const char *name)
{
	for (size_t i = 1; i < HPS_MASK_N; i++)
		if (!strcmp(names[i], name))
			return (enum hps_mask)i;
	return HPS_MASK_NONE;
}

/* ---- forms ---- */

struct text {
	const char *at, *end;
};

static bool take_char(struct text *t, const char *set)
{
	if (t->at == t->end || !*t->at || !strchr(set, *t->at))
		return false;
	t->at++;
	return true;
}

/* Exactly n digits, whose value lies between the two. */
static bool take_digits(struct text *t, size_t n, unsigned least, unsigned most)
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

static bool take_word(struct text *t, const char *const *words, size_t n)
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

static bool take_month(struct text *t)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

	return take_word(t, months, ARRAY_SIZE(months));
}

static void skip_digits(struct text *t)
{
	while (t->at < t->end && *t->at >= '0' && *t->at <= '9')
		t->at++;
}

static bool take_day(struct text *t)
{
	if (take_char(t, " "))
		return take_digits(t, 1, 1, 9);
	return take_digits(t, 2, 1, 31);
}

/* 06:47:27 with a fraction, or 06:47 where seconds may lack. */
static bool take_clock(struct text *t, bool seconds)
{
	struct text back;

	if (!take_digits(t, 2, 0, 23) || !take_char(t, ":") || !take_digits(t, 2, 0, 59))
		return false;
	back = *t;
	if (!take_char(&back, ":") || !take_digits(&back, 2, 0, 60))
		return !seconds;
	*t = back;
	if (take_char(&back, ".,") && take_digits(&back, 1, 0, 9)) {
		skip_digits(&back);
		*t = back;
	}
	return true;
}

static void take_zone(struct text *t)
{
	static const char *const zones[] = { "UTC", "GMT", "CET", "CEST", "EST", "EDT", "PST", "PDT", "CST", "MST" };
	struct text back = *t;

	if (take_char(t, "Z"))
		return;
	take_char(&back, " ");
	if (take_word(&back, zones, ARRAY_SIZE(zones))) {
		*t = back;
	} else if (take_char(&back, "+-") && take_digits(&back, 2, 0, 14)) {
		take_char(&back, ":");
		if (take_digits(&back, 2, 0, 59))
			*t = back;
	}
}

/* 2026-11-26, alone or with a clock behind it; 2026/11/26 likewise. */
static bool take_date(struct text *t)
{
	struct text back;
	char separator[2] = "-";

	if (!take_digits(t, 4, 1970, 2100))
		return false;
	separator[0] = t->at < t->end ? *t->at : '-';
	if (!take_char(t, "-/") || !take_digits(t, 2, 1, 12) || !take_char(t, separator) || !take_digits(t, 2, 1, 31))
		return false;
	back = *t;
	if (take_char(&back, "T _-") && take_clock(&back, false)) {
		*t = back;
		take_zone(t);
	}
	return true;
}

/* 20261126-064727, 20261126_064727, 20261126T064727Z. */
static bool take_compact(struct text *t)
{
	if (!take_digits(t, 4, 1970, 2100) || !take_digits(t, 2, 1, 12) || !take_digits(t, 2, 1, 31) || !take_char(t, "-_T"))
		return false;
	if (!take_digits(t, 2, 0, 23) || !take_digits(t, 2, 0, 59) || !take_digits(t, 2, 0, 60))
		return false;
	take_char(t, "Z");
	return true;
}

/* [Thu ]Nov 26 06:47[:27][ UTC][ 2026] (ls -l has no seconds), and Thu, 26 Nov 2026 06:47:27 +0000. */
static bool take_calendar(struct text *t)
{
	static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
	bool day = take_word(t, days, ARRAY_SIZE(days));
	struct text back;

	if (day && take_char(t, ",")) {
		if (!take_char(t, " ") || !take_day(t) || !take_char(t, " ") || !take_month(t) || !take_char(t, " ") || !take_digits(t, 4, 1970, 2100) ||
		    !take_char(t, " ") || !take_clock(t, true))
			return false;
		take_zone(t);
		return true;
	}
	if ((day && !take_char(t, " ")) || !take_month(t) || !take_char(t, " ") || !take_day(t) || !take_char(t, " ") || !take_clock(t, false))
		return false;
	take_zone(t);
	back = *t;
	if (take_char(&back, " ") && take_digits(&back, 4, 1970, 2100))
		*t = back;
	return true;
}

static bool take_time(struct text *t)
{
	static bool (*const forms[])(struct text *) = { take_date, take_compact, take_calendar };
	struct text back;

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
static bool take_duration(struct text *t)
{
	static const char *const units[] = { "it/s", "s/it", "ms/it", "s/step", "ms/step", "us/step", "steps/s", "samples/s", "examples/s", "tokens/s", "MB/s", "GB/s",
					     "seconds", "secs", "sec", "msec", "ms", "us", "\xc2\xb5s", "ns", "minutes", "mins", "min", "hours", "hrs", "s" };
	size_t n = hps_number_length(t->at, (size_t)(t->end - t->at));

	if (!n || *t->at == '-' || *t->at == 'N' || *t->at == 'I')
		return false;
	t->at += n;
	take_char(t, " ");
	return take_word(t, units, ARRAY_SIZE(units));
}

static size_t count_hex(const struct text *t)
{
	size_t n = 0;

	while (t->at + n < t->end && isxdigit((unsigned char)t->at[n]))
		n++;
	return n;
}

static bool take_uuid(struct text *t)
{
	static const size_t groups[] = { 8, 4, 4, 4, 12 };

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if ((i && !take_char(t, "-")) || count_hex(t) != groups[i])
			return false;
		t->at += groups[i];
	}
	return true;
}

/* Python writes "at 0x7f…"; other programs write pointers of user space whole. */
static bool take_address(struct text *t, bool after_at)
{
	size_t n;

	if (!take_char(t, "0") || !take_char(t, "x"))
		return false;
	n = count_hex(t);
	if (n < 6 || n > 16 || (!after_at && (n != 12 || (memcmp(t->at, "7f", 2) && memcmp(t->at, "55", 2) && memcmp(t->at, "56", 2)))))
		return false;
	t->at += n;
	return true;
}

static bool word_character(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

static bool take_path(struct text *t)
{
	size_t steps = 0;

	while (t->at < t->end && *t->at == '/') {
		t->at++;
		while (t->at < t->end && (word_character(*t->at) || strchr("+~@,=", *t->at)) && *t->at)
			t->at++;
		steps++;
	}
	return steps > 1;
}

/* ---- names ---- */

/* By the last word of a name: train_time, startTime, host. */
static const struct {
	const char *word;
	enum hps_mask mask;
} keys[] = {
	{ "time", HPS_MASK_DURATION },	   { "timestamp", HPS_MASK_TIME },   { "ts", HPS_MASK_TIME },	      { "date", HPS_MASK_TIME },
	{ "datetime", HPS_MASK_TIME },	   { "started", HPS_MASK_TIME },     { "finished", HPS_MASK_TIME },   { "created", HPS_MASK_TIME },
	{ "created_at", HPS_MASK_TIME },   { "saved_at", HPS_MASK_TIME },    { "updated_at", HPS_MASK_TIME }, { "epoch", HPS_MASK_TIME },
	{ "mtime", HPS_MASK_TIME },	   { "elapsed", HPS_MASK_DURATION },
	{ "duration", HPS_MASK_DURATION }, { "took", HPS_MASK_DURATION },    { "runtime", HPS_MASK_DURATION }, { "walltime", HPS_MASK_DURATION },
	{ "wallclock", HPS_MASK_DURATION }, { "seconds", HPS_MASK_DURATION }, { "pid", HPS_MASK_PID },	      { "ppid", HPS_MASK_PID },
	{ "tid", HPS_MASK_PID },	   { "host", HPS_MASK_HOST },	     { "hostname", HPS_MASK_HOST },   { "nodename", HPS_MASK_HOST },
	{ "uuid", HPS_MASK_ID },	   { "guid", HPS_MASK_ID },	     { "run_id", HPS_MASK_ID },	      { "runid", HPS_MASK_ID },
	{ "session_id", HPS_MASK_ID },	   { "job_id", HPS_MASK_ID },	     { "jobid", HPS_MASK_ID },
};

/* epoch_s, elapsed_ms: without its unit. */
static size_t without_unit(const char *name, size_t len)
{
	static const char *const units[] = { "_s", "_sec", "_secs", "_ms", "_us", "_ns", "_utc", "_min" };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = strlen(units[i]);

		if (len > n && !memcmp(name + len - n, units[i], n))
			return len - n;
	}
	return len;
}

enum hps_mask hps_mask_of_name(const char *name, size_t given)
{
	size_t len = without_unit(name, given);

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		size_t n = strlen(keys[i].word);
		char before;

		if (len < n || strncasecmp(name + len - n, keys[i].word, n) != 0)
			continue;
		before = len > n ? name[len - n - 1] : '_';
		if (!isalnum((unsigned char)before) || (isupper((unsigned char)name[len - n]) && islower((unsigned char)before)))
			return keys[i].mask;
	}
	return HPS_MASK_NONE;
}

/* Seconds, milli-, micro- or nanoseconds since 1970 that lie between 2000 and 2100. */
static bool is_epoch(double x)
{
	for (double unit = 1; unit < 1e10; unit *= 1000)
		if (x >= 946684800 * unit && x < 4102444800 * unit)
			return true;
	return false;
}

/* "time" may be either: by its value. */
enum hps_mask hps_mask_number(enum hps_mask named, double x)
{
	if (named == HPS_MASK_TIME || named == HPS_MASK_DURATION) {
		if (is_epoch(x))
			return HPS_MASK_TIME;
		return named == HPS_MASK_DURATION && x >= 0 && x < 946684800 ? named : HPS_MASK_NONE;
	}
	return named == HPS_MASK_PID && x > 0 && x <= 4194304 ? named : HPS_MASK_NONE;
}

/* The name in front of text[at]: "pid=", "elapsed: ", "\"host\": \"". */
static enum hps_mask named_before(const char *text, size_t at)
{
	size_t end = at, start, separators = 0;

	while (end && strchr("=: \"'", text[end - 1]) && text[end - 1]) {
		end--;
		separators += text[end] == '=' || text[end] == ':';
	}
	for (start = end; start && (isalnum((unsigned char)text[start - 1]) || text[start - 1] == '_'); start--)
		;
	return separators || (end - start == 3 && end < at && !strncasecmp(text + start, "pid", 3)) ? hps_mask_of_name(text + start, end - start) : HPS_MASK_NONE;
}

/* ---- one stamp ---- */

static bool ends_well(const struct text *t)
{
	return t->at == t->end || !(isalnum((unsigned char)*t->at) || *t->at == '_' || (unsigned char)*t->at >= 0x80);
}

/* "[10002]" in a line that starts with a time: a log's process. */
static bool take_logged_pid(const char *text, size_t at, struct text *t)
{
	struct text line = { text, text + at }, back;
	size_t n = 0;

	take_char(&line, "[");
	back = line;
	if (!at || text[at - 1] != '[' || !take_time(&back))
		return false;
	while (n < 8 && take_digits(t, 1, 0, 9))
		n++;
	return n && n < 8 && t->at < t->end && *t->at == ']';
}

static enum hps_mask by_name(const char *text, size_t at, struct text *t)
{
	enum hps_mask named = named_before(text, at);
	size_t n = hps_number_length(t->at, (size_t)(t->end - t->at));
	struct hps_token token = { t->at, n };

	if (named == HPS_MASK_HOST || named == HPS_MASK_ID) {
		while (t->at < t->end && word_character(*t->at))
			t->at++;
		return t->at > text + at ? named : HPS_MASK_NONE;
	}
	t->at += n;
	return named && n ? hps_mask_number(named, hps_number_value(&token)) : HPS_MASK_NONE;
}

size_t hps_mask_at(const char *text, size_t len, size_t at, unsigned unmasked, enum hps_mask *ret)
{
	bool after_at = at >= 3 && !memcmp(text + at - 3, "at ", 3);

	if (at && (isalnum((unsigned char)text[at - 1]) || text[at - 1] == '_' || (unsigned char)text[at - 1] >= 0x80))
		return 0;
	for (enum hps_mask m = HPS_MASK_TIME; m <= HPS_MASK_N; m++) {
		struct text t = { text + at, text + len };
		bool found = false;

		*ret = m;
		if (m == HPS_MASK_TIME)
			found = take_time(&t);
		else if (m == HPS_MASK_DURATION)
			found = take_duration(&t);
		else if (m == HPS_MASK_PID)
			found = take_logged_pid(text, at, &t);
		else if (m == HPS_MASK_ID)
			found = take_uuid(&t);
		else if (m == HPS_MASK_ADDRESS)
			found = take_address(&t, after_at);
		else if (m == HPS_MASK_PATH)
			found = take_path(&t);
		else if (m == HPS_MASK_N)
			found = (*ret = by_name(text, at, &t)) != HPS_MASK_NONE;
		if (found && ends_well(&t) && !(unmasked & HPS_MASK_BIT(*ret)))
			return (size_t)(t.at - text) - at;
	}
	return 0;
}

static bool is_temporary(const char *path, size_t len)
{
	static const char *const folders[] = { "/tmp/", "/var/tmp/", "/dev/shm/", "/run/" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (len > strlen(folders[i]) && !memcmp(path, folders[i], strlen(folders[i])))
			return true;
	return false;
}

static size_t last_step(const char *path, size_t len)
{
	while (len && path[len - 1] != '/')
		len--;
	return len;
}

bool hps_mask_alike(enum hps_mask m, const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t i = last_step(a, a_len), j = last_step(b, b_len);

	if (m != HPS_MASK_PATH || (is_temporary(a, a_len) && is_temporary(b, b_len)))
		return true;
	return a_len - i == b_len - j && !memcmp(a + i, b + j, a_len - i);
}

/* ---- names of files ---- */

static bool take_all(struct text *t, const char *set, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!take_char(t, set))
			return false;
	return true;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* 09-46-21, as a step of its own or behind a date. */
static bool take_dashed_clock(struct text *t)
{
	return take_digits(t, 2, 0, 23) && take_char(t, "-") && take_digits(t, 2, 0, 59) && take_char(t, "-") && take_digits(t, 2, 0, 60);
}

/* TensorBoard's runs/Nov26_09-46-21_host. */
static bool take_run(struct text *t)
{
	if (!take_month(t) || !take_digits(t, 2, 1, 31) || !take_char(t, "_") || !take_dashed_clock(t))
		return false;
	if (take_char(t, "_"))
		while (t->at < t->end && (isalnum((unsigned char)*t->at) || *t->at == '-'))
			t->at++;
	return true;
}

/* Seconds, milli-, micro- or nanoseconds since 1970, with a fraction perhaps. */
static bool take_epoch(struct text *t)
{
	const char *start = t->at;
	struct hps_token number;

	skip_digits(t);
	number = (struct hps_token){ start, (size_t)(t->at - start) };
	if (number.len < 9 || number.len > 19 || !is_epoch(hps_number_value(&number)))
		return false;
	if (t->end - t->at > 3 && t->at[0] == '.' && isdigit((unsigned char)t->at[1])) {
		t->at++;
		skip_digits(t);
	}
	return true;
}

/* run-20261126_094621-1a2b3c4d and the run-1a2b3c4d.wandb in it. */
static bool take_wandb(struct text *t)
{
	static const char *const start[] = { "run-" };
	struct text back;

	if (!take_word(t, start, ARRAY_SIZE(start)))
		return false;
	back = *t;
	if (take_compact(&back) && take_char(&back, "-"))
		*t = back;
	return take_all(t, LOWER DIGITS, 8);
}

static bool take_hash(struct text *t) /* mlruns/0/<32 digits> */
{
	return take_all(t, "abcdef" DIGITS, 32);
}

static bool take_process(struct text *t)
{
	static const char *const start[] = { "pid" };

	if (!take_word(t, start, ARRAY_SIZE(start)))
		return false;
	take_char(t, "-_.=");
	if (!take_char(t, DIGITS))
		return false;
	skip_digits(t);
	return true;
}

static bool take_temporary(struct text *t) /* Python's tempfile */
{
	static const char *const start[] = { "tmp" };

	return take_word(t, start, ARRAY_SIZE(start)) && take_all(t, LOWER DIGITS "_", 8);
}

static bool take_name_stamp(struct text *t)
{
	static bool (*const forms[])(struct text *) = { take_compact, take_date, take_run, take_dashed_clock, take_uuid, take_wandb, take_hash, take_epoch, take_process, take_temporary };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct text back = *t;

		if (forms[i](&back) && (back.at == back.end || !isalnum((unsigned char)*back.at))) {
			*t = back;
			return true;
		}
	}
	return false;
}

/* events.out.tfevents.1764139647.host.1234.0 holds time, host and process. */
char *hps_mask_path(const char *path)
{
	static const char events[] = "events.out.tfevents.";
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;
	size_t len = strlen(path);

	for (size_t i = 0; i < len;) {
		struct text t = { path + i, path + len };

		if (!strncmp(path + i, events, strlen(events))) {
			hps_buf_addf(&b, "%s*", events);
			i += strlen(events) + strcspn(path + i + strlen(events), "/");
		} else if ((!i || !isalnum((unsigned char)path[i - 1])) && take_name_stamp(&t)) {
			hps_buf_adds(&b, "*");
			i = (size_t)(t.at - path);
		} else {
			hps_buf_addc(&b, path[i++]);
		}
	}
	return hps_buf_take(&b);
}

bool hps_mask_names(unsigned unmasked)
{
	return !(unmasked & (HPS_MASK_BIT(HPS_MASK_TIME) | HPS_MASK_BIT(HPS_MASK_ID)));
}

void hps_mask_pair(struct hps_map *files, const char *path, unsigned unmasked)
{
	_cleanup_free_ char *name = hps_mask_names(unmasked) ? hps_mask_path(path) : hps_strdup(path), *numbered = NULL;
	void **slot = hps_map_slot(files, name);

	for (size_t n = 2; *slot; n++) { /* names come sorted: the n-th here is the n-th there */
		free(numbered);
		numbered = hps_format("%s #%zu", name, n);
		slot = hps_map_slot(files, numbered);
	}
	*slot = (void *)(uintptr_t)path;
}

void hps_mask_name_noted(struct hps_comparison *c, const char *path)
{
	if (c->verdict == HPS_OUTPUT_IDENTICAL)
		c->verdict = HPS_OUTPUT_SAME_VALUES;
	if (!c->masked[HPS_MASK_PATH]++)
		c->masked_first[HPS_MASK_PATH] = hps_format("name: %s", path);
}

json_t *hps_masked_json(const struct hps_comparison *c)
{
	json_t *list = json_array();

	for (size_t m = 1; m < HPS_MASK_N; m++) {
		json_t *item;

		if (!c->masked[m])
			continue;
		item = json_object();
		hps_json_set_text(item, "kind", names[m]);
		hps_json_set_int(item, "count", (int64_t)c->masked[m]);
		hps_json_set(item, "first", hps_path_json(c->masked_first[m] ? c->masked_first[m] : ""));
		hps_json_add(list, item);
	}
	return list;
}
