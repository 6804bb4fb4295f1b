/* What a rule found: counts, and the first offenders by name. */
#include "audit/audit.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *hps_outcome_name(enum hps_outcome outcome)
{
	static const char *const names[] = { "pass", "fail", "unknown", "n/a" };

	return names[outcome];
}

void hps_finding_check(struct hps_finding *f)
{
	f->n_checked++;
}

/* A failure pushes an unknown out of a full list: what fails is what the reader needs. */
static struct hps_offender *place(struct hps_finding *f, bool failed)
{
	if (!f->offenders)
		f->offenders = hps_alloc(HPS_OFFENDERS_MAX * sizeof(*f->offenders));
	if (f->n_offenders < HPS_OFFENDERS_MAX)
		return &f->offenders[f->n_offenders++];
	for (size_t i = HPS_OFFENDERS_MAX; failed && i-- > 0;) {
		if (f->offenders[i].failed)
			continue;
		free(f->offenders[i].why);
		return &f->offenders[i];
	}
	return NULL;
}

static void add(struct hps_finding *f, bool failed, int64_t index, const char *id, char *why)
{
	struct hps_offender *o = place(f, failed);

	f->n_failed += failed;
	f->n_unknown += !failed;
	if (!o) {
		free(why);
		return;
	}
	*o = (struct hps_offender){ .index = index, .failed = failed, .why = why };
	if (id)
		snprintf(o->id, sizeof(o->id), "%s", id);
}

static char *formatted(const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		abort();
	return text;
}

void hps_finding_fail(struct hps_finding *f, const struct hps_entry *entry, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	add(f, true, entry ? (int64_t)entry->index : -1, entry ? entry->id : NULL, formatted(why, args));
	va_end(args);
}

void hps_finding_unknown(struct hps_finding *f, const struct hps_entry *entry, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	add(f, false, entry ? (int64_t)entry->index : -1, entry ? entry->id : NULL, formatted(why, args));
	va_end(args);
}

void hps_finding_fail_at(struct hps_finding *f, int64_t index, const char *id, const char *why)
{
	add(f, true, index, id, hps_strdup(why));
}

static int compare_offenders(const void *a, const void *b)
{
	const struct hps_offender *x = a, *y = b;

	if (x->failed != y->failed)
		return x->failed ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

void hps_finding_settle(struct hps_finding *f)
{
	if (f->n_offenders)
		qsort(f->offenders, f->n_offenders, sizeof(*f->offenders), compare_offenders);
	if (f->n_failed)
		f->outcome = HPS_OUTCOME_FAIL;
	else if (f->n_unknown)
		f->outcome = HPS_OUTCOME_UNKNOWN;
	else
		f->outcome = f->n_checked ? HPS_OUTCOME_PASS : HPS_OUTCOME_NA;
}

void hps_finding_release(struct hps_finding *f)
{
	for (size_t i = 0; i < f->n_offenders; i++)
		free(f->offenders[i].why);
	free(f->offenders);
	f->offenders = NULL;
	f->n_offenders = 0;
}
