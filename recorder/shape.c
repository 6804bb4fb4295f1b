/* Small shapes of JSON that statements and manifests share (docs/FORMATS.md, "Conventions"). */
#include "recorder/recorder.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "recorder/identity.h"

json_t *hps_shape_digest(const struct hps_digest *d)
{
	json_t *set = json_object();
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(d, hex);
	hps_json_set_text(set, "sha256", hex);
	return set;
}

const char *hps_shape_withheld(const char *path, const struct hps_content *c)
{
	const char *class = hps_rule_path(path);

	return class ? class : c && c->guessable ? "content" : NULL;
}

void hps_shape_content(const struct hps_record *r, json_t *item, const char *name, const char *path, const struct hps_content *c)
{
	const char *withheld = hps_shape_withheld(path, c);
	_cleanup_free_ char *member = NULL, *tag = NULL;

	if (!withheld) {
		hps_json_set(item, name, hps_shape_digest(&c->digest));
		return;
	}
	member = hps_format("%sTag", name);
	tag = hps_redact_tag(r->redactor, "content", (const char *)c->digest.b, sizeof c->digest.b);
	hps_json_set_text(item, member, tag);
	hps_json_set_text(item, "withheld", withheld);
}

void hps_shape_octal(json_t *object, const char *name, mode_t mode)
{
	char text[16];

	snprintf(text, sizeof text, "%04o", mode & 07777);
	hps_json_set_text(object, name, text);
}

void hps_shape_seconds(json_t *object, const char *name, int64_t ns)
{
	char text[40];

	ns = ns < 0 ? 0 : ns;
	snprintf(text, sizeof text, "%lld.%06lld", (long long)(ns / 1000000000), (long long)(ns % 1000000000 / 1000));
	hps_json_set_text(object, name, text);
}

json_t *hps_shape_exit(int status)
{
	json_t *e = json_object();

	if (WIFSIGNALED(status))
		hps_json_set_int(e, "signal", WTERMSIG(status));
	else
		hps_json_set_int(e, "code", WEXITSTATUS(status));
	return e;
}

char **hps_shape_words(const struct hps_execution *e)
{
	char **argv = hps_realloc(NULL, e->argv_len + 1, sizeof *argv);
	size_t n = 0;

	for (size_t at = 0; at < e->argv_len; at += strlen(e->argv + at) + 1)
		argv[n++] = e->argv + at;
	argv[n] = NULL;
	return argv;
}

json_t *hps_shape_arguments(const struct hps_record *r, char *const *argv)
{
	return hps_redact_arguments(r->redactor, argv);
}

json_t *hps_shape_text(const struct hps_record *r, const char *text)
{
	_cleanup_free_ char *clean = hps_redact_text(r->redactor, text);

	return hps_path_json(clean);
}

json_t *hps_shape_named(const struct hps_record *r, const json_t *values)
{
	json_t *clean = json_object(), *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)values, name, value) {
		_cleanup_free_ char *safe = hps_redact_name(r->redactor, name), *text = hps_redact_named(r->redactor, name, json_string_value(value));

		hps_json_set_text(clean, safe, text);
	}
	return clean;
}

json_t *hps_shape_parameters(const struct hps_record *r)
{
	json_t *list = json_array(), *row;
	const char *key;

	json_object_foreach(r->parameters, key, row) {
		const char *name = hps_json_text(row, "name");
		_cleanup_free_ char *safe = hps_redact_name(r->redactor, name), *text = hps_redact_named(r->redactor, name, hps_json_text(row, "value"));
		json_t *copy = json_copy(row);

		hps_json_set_text(copy, "name", safe);
		hps_json_set_text(copy, "value", text);
		hps_json_add(list, copy);
	}
	return list;
}
