/* Variables whose values a record withholds. A keyed tag of each is there, so whoever has the key can tell that the environment of a replay
 * has the same value still: the rerun gets it then. It goes there and nowhere else: what a rerun left is shown without it. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const json_t *tags_of(const struct hps_original *o)
{
	return hps_json_at(o->trial.statement, "predicate", "buildDefinition", "externalParameters", "environmentDigests", NULL);
}

/* The study file may have declared it. */
static bool is_given(const struct hps_original *o, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < o->environment.n; i++)
		if (!strncmp(o->environment.v[i], name, n) && o->environment.v[i][n] == '=')
			return true;
	return false;
}

/* A statement of another key could carry a tag that it has read here, to have the value given to its own command. */
static bool may_supply(struct hps_ledger *l, const struct hps_original *o)
{
	const char *own = hps_ledger_keyid(l);

	return !o->own && *own && o->trial.keyid && !strcmp(o->trial.keyid, own);
}

static const char *own_value(const char *name)
{
	return strchr(name, '=') ? NULL : getenv(name);
}

static void supply(struct hps_withheld *w, const char *name, const char *tag)
{
	const char *value = own_value(name);
	_cleanup_free_ char *own = value ? hps_redact_tag(&w->redactor, name, value, strlen(value)) : NULL;

	if (!own || !tag || w->redactor.keyless || strcmp(own, tag) != 0) {
		hps_strv_add(&w->lacking, name);
		return;
	}
	hps_strv_add(&w->names, name);
	hps_strv_addf(&w->variables, "%s=%s", name, value);
	if (value[0] != '/' || access(value, F_OK)) /* the path of something is in the record's own clear text, and would hide what can be read there */
		hps_known_add(w->redactor.known, name, value, strlen(value));
}

void hps_withheld_supply(struct hps_ledger *l, struct hps_original *o)
{
	struct hps_withheld *w = o->withheld = hps_alloc(sizeof *w);
	const json_t *value;
	const char *name;

	w->redactor.known = hps_known_new();
	w->redactor.keyless = !l || !may_supply(l, o) || hps_ledger_redact_key(l, w->redactor.key, NULL);
	json_object_foreach((json_t *)(uintptr_t)tags_of(o), name, value)
		if (!is_given(o, name))
			supply(w, name, json_string_value(value));
	for (size_t i = 0; i < w->lacking.n; i++) {
		_cleanup_free_ char *what = hps_format("variable %s", w->lacking.v[i]);

		hps_hole_add(&o->holes, what, !l ? "the record withholds its value" : w->redactor.keyless ? "the record withholds its value; the rerun does not have it" :
										    "the record withholds its value, and this environment has none with its tag; the rerun does not have it");
	}
}

/* ---- not shown ---- */

#define CUT "…" /* ends what is too long to be shown: a value may have been cut with it */

/* Bytes at text that are the beginning of a value, up to a cut. */
static size_t cut_value(const struct hps_known *known, const char *text)
{
	const char *cut = strstr(text, CUT);
	size_t n = cut ? (size_t)(cut - text) : 0;

	return n && hps_known_begins(known, text, n) ? n : 0;
}

char *hps_withheld_hide(const struct hps_original *o, const char *text)
{
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	size_t len = strlen(text);

	if (!o->withheld || hps_known_none(o->withheld->redactor.known))
		return hps_strdup(text);
	for (size_t at = 0; at < len;) {
		const struct hps_known_secret *known;
		size_t n = hps_known_at(o->withheld->redactor.known, text + at, len - at, &known);
		_cleanup_free_ char *tag = n ? hps_redact_tag(&o->withheld->redactor, known->class, known->value, known->len) : NULL;

		if (n)
			hps_buf_adds(&out, tag);
		else if ((n = cut_value(o->withheld->redactor.known, text + at)))
			;
		else
			hps_buf_addc(&out, text[at]);
		at += n ? n : 1;
	}
	return out.len ? hps_buf_take(&out) : hps_strdup("");
}

static void hide(const struct hps_original *o, char **text)
{
	char *shown = *text ? hps_withheld_hide(o, *text) : NULL;

	free(*text);
	*text = shown;
}

void hps_withheld_hide_outputs(const struct hps_original *o, struct hps_outputs *outputs)
{
	for (size_t i = 0; i < outputs->n; i++) {
		struct hps_comparison *c = &outputs->v[i].comparison;

		hide(o, &c->place);
		hide(o, &c->original);
		hide(o, &c->rerun);
		hide(o, &c->note);
		for (size_t m = 0; m < HPS_MASK_N; m++)
			hide(o, &c->masked_first[m]);
	}
}

void hps_withheld_free(struct hps_withheld *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->variables.n; i++)
		explicit_bzero(w->variables.v[i], strlen(w->variables.v[i]));
	hps_strv_release(&w->variables);
	hps_strv_release(&w->names);
	hps_strv_release(&w->lacking);
	hps_redactor_release(&w->redactor);
	free(w);
}
