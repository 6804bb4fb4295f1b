/* What several commands print: JSON, safe lines, an entry in a few words. */
#include "ledger/cmd.h"

#include <stdlib.h>
#include <string.h>

void hps_print_json(const json_t *j)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

	if (hps_json_canonical(j, &text, NULL))
		abort(); /* what we print was stored canonically or made here */
	puts(text.data);
}

void hps_print_line(const char *format, ...)
{
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		abort();
	va_end(ap);
	hps_term_escape(&safe, text, strlen(text));
	puts(safe.data ? safe.data : "");
}

const char *hps_entry_text(const struct hps_entry *e, const char *name)
{
	return hps_json_text(json_object_get(e->statement, "predicate"), name);
}

const json_t *hps_entry_at(const struct hps_entry *e, const char *name)
{
	return json_object_get(json_object_get(e->statement, "predicate"), name);
}

void hps_add_members(struct hps_buf *out, const json_t *object)
{
	_cleanup_strv_ struct hps_strv sorted = HPS_STRV_INIT;
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
		hps_strv_addf(&sorted, "%s=%s", name, json_is_string(value) ? json_string_value(value) : "…");
	hps_strv_sort(&sorted);
	for (size_t i = 0; i < sorted.n; i++)
		hps_buf_addf(out, "%s%s", out->len ? " " : "", sorted.v[i]);
}

void hps_add_words(struct hps_buf *out, const json_t *array)
{
	const json_t *word;
	size_t i;

	json_array_foreach(array, i, word)
		hps_buf_addf(out, "%s%s", out->len ? " " : "", json_is_string(word) ? json_string_value(word) : "…");
}

void hps_add_exit(struct hps_buf *out, const struct hps_entry *e)
{
	const json_t *how = hps_entry_at(e, "exit");

	if (hps_json_int(how, "signal", -1) >= 0)
		hps_buf_addf(out, ", signal %lld", (long long)hps_json_int(how, "signal", -1));
	else if (hps_json_int(how, "code", -1) >= 0)
		hps_buf_addf(out, ", exit %lld", (long long)hps_json_int(how, "code", -1));
}

char *hps_entry_summary(const struct hps_entry *e)
{
	static const char *const members[] = { "state", "hps_verdict", "event", "why", "reason", "text" };
	const json_t *change = hps_entry_at(e, "change");
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, more = HPS_BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (hps_entry_text(e, members[i]))
			hps_buf_addf(&text, "%s%s", text.len ? ", " : "", hps_entry_text(e, members[i]));
	hps_add_exit(&text, e);
	if (!strcmp(e->kind, "key"))
		hps_buf_addf(&more, "%s %.12s", hps_json_text(change, "action") ? hps_json_text(change, "action") : "", hps_json_text(change, "keyid") ? hps_json_text(change, "keyid") : "");
	else if (!strcmp(e->kind, "begin"))
		hps_add_words(&more, hps_entry_at(e, "command"));
	else
		hps_add_members(&more, hps_entry_at(e, "metrics"));
	if (more.len)
		hps_buf_addf(&text, "%s%.120s", text.len ? ", " : "", more.data);
	return hps_buf_take(&text);
}

const char *hps_entry_time(const struct hps_entry *e)
{
	return hps_entry_text(e, "time") ? hps_entry_text(e, "time") : hps_entry_text(e, "timeVerified");
}

json_t *hps_entry_json(const struct hps_entry *e)
{
	json_t *j = json_object();

	hps_json_set_int(j, "index", (int64_t)e->index);
	hps_json_set_text(j, "id", e->id);
	hps_json_set_text(j, "keyid", e->keyid);
	hps_json_set_text(j, "kind", e->kind);
	hps_json_set_text(j, "study", e->study);
	if (e->number >= 0)
		hps_json_set_int(j, "number", e->number);
	hps_json_set_text(j, "event", e->event);
	hps_json_set_text(j, "begin", e->begin);
	hps_json_set_text(j, "time", hps_entry_time(e));
	return j;
}
