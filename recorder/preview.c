/* What would be kept of a command line and its environment, without running anything. */
#include "recorder/recorder.h"

#include <stdlib.h>
#include <unistd.h>

#include "recorder/identity.h"

extern char **environ;

char *hps_trial_directory(const struct hps_trial_options *o)
{
	char *here;

	if (o->cwd)
		return hps_strdup(o->cwd);
	if (o->root)
		return hps_strdup("/");
	here = getcwd(NULL, 0);
	return here ? here : hps_strdup("");
}

/* Without a ledger nothing can be compared, and "[redacted]" stands for every tag. */
static void take_key(const struct hps_trial_options *o, struct hps_redactor *r)
{
	_cleanup_free_ char *dir = hps_ledger_path(o->ledger);
	struct hps_ledger *l = NULL;

	r->keyless = hps_ledger_open(dir, HPS_LEDGER_READ, NULL, &l, NULL) || hps_ledger_redact_key(l, r->key, NULL);
	hps_ledger_close(l);
}

int hps_trial_preview(const struct hps_trial_options *o, char *const *argv, json_t **ret, struct hps_error *err)
{
	struct hps_redactor redactor = { .more = &o->allow_env };
	struct hps_record record = { .o = o, .argv = argv, .envp = environ, .redactor = &redactor, .standard = { "", "", "" } };
	enum hps_capture capture;
	int r = hps_trial_check(o, &capture, err);

	if (!r)
		r = hps_parameters_parse(&o->params, &record.params, err);
	if (!r) {
		take_key(o, &redactor);
		hps_redactor_learn(&redactor, argv, environ);
		hps_redactor_learn(&redactor, o->params.v, NULL);
		record.cwd = hps_trial_directory(o);
		record.umask = umask(0);
		umask(record.umask);
		record.parameters = json_object();
		hps_parameters_option(record.parameters, record.params);
		hps_parameters_argv(record.parameters, argv);
		*ret = hps_record_external(&record);
		json_object_del(*ret, "standard");
		hps_json_set_text(*ret, "schema", "hps.dry-run/1");
		hps_json_set(*ret, "seeds", hps_seeds(argv, environ, o->seed, NULL));
		hps_redact_json(record.redactor, *ret);
	}
	free(record.cwd);
	json_decref(record.params);
	json_decref(record.parameters);
	hps_redactor_release(&redactor);
	return r;
}
