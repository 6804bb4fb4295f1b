/* Statements: in-toto v1 skeletons, what a statement must have, and the fields by which entries are found. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define OURS "urn:hps:"

json_t *hps_statement_new(const char *predicate_type)
{
	json_t *statement = json_object(), *predicate = json_object();
	char time[HPS_TIME_LEN], nonce[33];
	uint8_t random[16];

	if (hps_random(random, sizeof random, NULL))
		abort(); /* getrandom() without flags cannot fail on a kernel that can run us */
	hps_hex(nonce, random, sizeof random);
	hps_time_format(hps_time_now_ns(), time);
	hps_json_set_text(predicate, "nonce", nonce);
	hps_json_set_text(predicate, "time", time);
	hps_json_set_text(statement, "_type", STATEMENT_TYPE);
	hps_json_set(statement, "subject", json_array());
	hps_json_set_text(statement, "predicateType", predicate_type);
	hps_json_set(statement, "predicate", predicate);
	return statement;
}

static int missing(struct hps_error *err, const char *what)
{
	return hps_error_set(err, HPS_E_FORMAT, "reading a statement: %s", what);
}

int hps_statement_check(const json_t *statement, struct hps_error *err)
{
	const char *type = hps_json_text(statement, "_type"), *predicate_type = hps_json_text(statement, "predicateType");
	const json_t *subject = json_object_get(statement, "subject"), *one;
	size_t i;

	if (!type || strcmp(type, STATEMENT_TYPE) != 0)
		return missing(err, "'_type' is not '" STATEMENT_TYPE "'");
	if (!predicate_type || !*predicate_type)
		return missing(err, "'predicateType' is missing");
	if (!json_is_object(json_object_get(statement, "predicate")))
		return missing(err, "'predicate' is not an object");
	if (!json_array_size(subject))
		return missing(err, "'subject' is not a list with at least one item");
	json_array_foreach(subject, i, one)
		if (!json_object_size(json_object_get(one, "digest")))
			return missing(err, "a 'subject' has no 'digest'");
	return 0;
}

char *hps_statement_kind(const json_t *statement)
{
	const char *type = hps_json_text(statement, "predicateType"), *end;

	if (!type)
		return hps_strdup("");
	if (!strcmp(type, HPS_PREDICATE_VERDICT))
		return hps_strdup("verdict");
	end = strchr(type + (strncmp(type, OURS, sizeof OURS - 1) ? strlen(type) : sizeof OURS - 1), ':');
	if (!end || end[1] != 'v')
		return hps_strdup(type);
	return hps_strndup(type + sizeof OURS - 1, (size_t)(end - type) - (sizeof OURS - 1));
}

static char *text_or_null(const json_t *predicate, const char *name)
{
	const char *text = hps_json_text(predicate, name);

	return text ? hps_strdup(text) : NULL;
}

void hps_entry_fill(struct hps_entry *e, json_t *statement)
{
	const json_t *predicate = json_object_get(statement, "predicate");

	e->statement = json_incref(statement);
	e->kind = hps_statement_kind(statement);
	e->study = text_or_null(predicate, "study");
	e->number = hps_json_int(predicate, "number", -1);
	e->event = text_or_null(predicate, "event");
	e->begin = text_or_null(predicate, "begin");
}

void hps_entry_release(struct hps_entry *e)
{
	free(e->kind);
	free(e->study);
	free(e->event);
	free(e->begin);
	free(e->keyid);
	json_decref(e->statement);
	memset(e, 0, sizeof *e);
	e->number = -1;
}
