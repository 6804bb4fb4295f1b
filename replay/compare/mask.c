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

static bool word_character(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

static bool take_path(struct hps_text *t)
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

/* "time" may be either: by its value. */
enum hps_mask hps_mask_number(enum hps_mask named, double x)
{
	if (named == HPS_MASK_TIME || named == HPS_MASK_DURATION) {
		if (hps_form_epoch(x))
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

static bool ends_well(const struct hps_text *t)
{
	return t->at == t->end || !(isalnum((unsigned char)*t->at) || *t->at == '_' || (unsigned char)*t->at >= 0x80);
}

/* "[10002]" in a line that starts with a time: a log's process. */
static bool take_logged_pid(const char *text, size_t at, struct hps_text *t)
{
	struct hps_text line = { text, text + at }, back;
	size_t n = 0;

	hps_form_char(&line, "[");
	back = line;
	if (!at || text[at - 1] != '[' || !hps_form_time(&back))
		return false;
	while (n < 8 && hps_form_digits(t, 1, 0, 9))
		n++;
	return n && n < 8 && t->at < t->end && *t->at == ']';
}

static enum hps_mask by_name(const char *text, size_t at, struct hps_text *t)
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
		struct hps_text t = { text + at, text + len };
		bool found = false;

		*ret = m;
		if (m == HPS_MASK_TIME)
			found = hps_form_time(&t);
		else if (m == HPS_MASK_DURATION)
			found = hps_form_duration(&t);
		else if (m == HPS_MASK_PID)
			found = take_logged_pid(text, at, &t);
		else if (m == HPS_MASK_ID)
			found = hps_form_uuid(&t);
		else if (m == HPS_MASK_ADDRESS)
			found = hps_form_address(&t, after_at);
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

/* ---- what was stepped over ---- */

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
