/* Small shapes of JSON that statements and manifests share (docs/FORMATS.md, "Conventions"). */
#include "recorder/recorder.h"

#include <stdio.h>
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

json_t *hps_shape_arguments(const struct hps_record *r, char *const *argv)
{
	json_t *list = json_array();
	const char *previous = NULL;

	for (; *argv; argv++) {
		_cleanup_free_ char *clean = hps_redact_argument(r->redactor, previous, *argv);

		hps_json_add(list, hps_path_json(clean));
		previous = *argv;
	}
	return list;
}

json_t *hps_shape_text(const struct hps_record *r, const char *text)
{
	_cleanup_free_ char *clean = hps_redact_text(r->redactor, text);

	return hps_path_json(clean);
}

/* By the shape of the values alone: a parameter's name is what the search is about, and may well be "key" or "token". */
json_t *hps_shape_params(const struct hps_record *r)
{
	json_t *clean = json_object(), *value;
	const char *name;

	json_object_foreach(r->params, name, value) {
		_cleanup_free_ char *text = hps_redact_text(r->redactor, json_string_value(value));

		hps_json_set_text(clean, name, text);
	}
	return clean;
}
