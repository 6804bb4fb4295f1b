/* Stamps in the names of files: by what runs and checkpoints call them, so that those of two runs are paired. */
#include "replay/compare/compare.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool take_all(struct hps_text *t, const char *set, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!hps_form_char(t, set))
			return false;
	return true;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* 09-46-21, as a step of its own or behind a date. */
static bool take_dashed_clock(struct hps_text *t)
{
	return hps_form_digits(t, 2, 0, 23) && hps_form_char(t, "-") && hps_form_digits(t, 2, 0, 59) && hps_form_char(t, "-") && hps_form_digits(t, 2, 0, 60);
}

/* TensorBoard's runs/Nov26_09-46-21_host. */
static bool take_run(struct hps_text *t)
{
	if (!hps_form_month(t) || !hps_form_digits(t, 2, 1, 31) || !hps_form_char(t, "_") || !take_dashed_clock(t))
		return false;
	if (hps_form_char(t, "_"))
		while (t->at < t->end && (isalnum((unsigned char)*t->at) || *t->at == '-'))
			t->at++;
	return true;
}

/* Seconds, milli-, micro- or nanoseconds since 1970, with a fraction perhaps. */
static bool take_epoch(struct hps_text *t)
{
	const char *start = t->at;
	struct hps_token number;

	hps_form_skip_digits(t);
	number = (struct hps_token){ start, (size_t)(t->at - start) };
	if (number.len < 9 || number.len > 19 || !hps_form_epoch(hps_number_value(&number)))
		return false;
	if (t->end - t->at > 3 && t->at[0] == '.' && isdigit((unsigned char)t->at[1])) {
		t->at++;
		hps_form_skip_digits(t);
	}
	return true;
}

/* run-20261126_094621-1a2b3c4d and the run-1a2b3c4d.wandb in it. */
static bool take_wandb(struct hps_text *t)
{
	static const char *const start[] = { "run-" };
	struct hps_text back;

	if (!hps_form_word(t, start, ARRAY_SIZE(start)))
		return false;
	back = *t;
	if (hps_form_compact(&back) && hps_form_char(&back, "-"))
		*t = back;
	return take_all(t, LOWER DIGITS, 8);
}

static bool take_hash(struct hps_text *t) /* mlruns/0/<32 digits> */
{
	return take_all(t, "abcdef" DIGITS, 32);
}

static bool take_process(struct hps_text *t)
{
	static const char *const start[] = { "pid" };

	if (!hps_form_word(t, start, ARRAY_SIZE(start)))
		return false;
	hps_form_char(t, "-_.=");
	if (!hps_form_char(t, DIGITS))
		return false;
	hps_form_skip_digits(t);
	return true;
}

static bool take_temporary(struct hps_text *t) /* Python's tempfile */
{
	static const char *const start[] = { "tmp" };

	return hps_form_word(t, start, ARRAY_SIZE(start)) && take_all(t, LOWER DIGITS "_", 8);
}

static bool take_name_stamp(struct hps_text *t)
{
	static bool (*const forms[])(struct hps_text *) = { hps_form_compact, hps_form_date, take_run, take_dashed_clock, hps_form_uuid, take_wandb, take_hash, take_epoch, take_process, take_temporary };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct hps_text back = *t;

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
		struct hps_text t = { path + i, path + len };

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
