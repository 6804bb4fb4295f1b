/* What a rerun is given of clocks: those that were recorded, or only their start. */
#include "replay/replay.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The same bytes as the manifest's: the rerun's record says by their digest which clocks it had. */
static int copy_clocks(const struct hps_original *o, const char *to, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *all = json_object();
	int r;

	if (!o->readings)
		return hps_error_set(err, HPS_E_NOTFOUND, "reading the record's clocks: their manifest is not in the content store (sha256 %s); --store and --mirror name others", o->clocks);
	hps_json_set(all, "items", json_incref(o->readings));
	hps_json_set_text(all, "schema", "hps.clocks/1");
	r = hps_json_canonical(all, &text, err);
	r = r ? r : hps_file_write(AT_FDCWD, to, 0600, text.data, text.len, err);
	return r ? hps_error_prefix(err, "reading the record's clocks") : 0;
}

/* The manifest of a trial that read none: every reading goes on from there. */
static int start_clocks(const struct hps_original *o, const char *to, struct hps_error *err)
{
	_cleanup_free_ char *text = hps_format("{\"items\":[{\"started\":{\"realtime\":\"%lld\"}}],\"schema\":\"hps.clocks/1\"}", (long long)o->started_ns);

	return hps_file_write(AT_FDCWD, to, 0600, text, strlen(text), err);
}

static int own_library(struct hps_controls *c, struct hps_error *err)
{
	_cleanup_free_ char *path = hps_shim_path();

	c->shim_fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (c->shim_fd < 0)
		return hps_error_set(err, HPS_E_NOTFOUND, "--level 3: the library 'libexec/hps/hps-shim.so' is not beside the folder of the programs; 'make install' puts it there");
	c->shim = hps_strdup(HPS_SHIM_PLACE);
	return 0;
}

int hps_controls_make(const struct hps_original *o, unsigned level, const char *work, struct hps_controls *ret, struct hps_error *err)
{
	int r;

	ret->level = level ? level : o->recorded_level;
	if (ret->level < 3)
		return 0;
	ret->clocks = hps_format("%s/clocks", work);
	if (!*o->clocks) {
		r = start_clocks(o, ret->clocks, err);
		return r ? r : own_library(ret, err);
	}
	ret->shim = o->shim ? hps_strdup(o->shim) : NULL;
	if (!ret->shim)
		return hps_error_set(err, HPS_E_FORMAT, "reading the record: its clocks were recorded, and it does not say by which library");
	return copy_clocks(o, ret->clocks, err);
}

void hps_controls_release(struct hps_controls *c)
{
	free(c->clocks);
	free(c->shim);
	hps_cleanup_fd(&c->shim_fd);
}
