/* Long lists as objects: {"items":[…],"schema":"hps.<name>/1"} in canonical form, written item by item so that the
 * recorder's memory does not grow with what the trial read more than the text itself. */
#include "recorder/recorder.h"

#include <string.h>

#include "core/redact.h"

void hps_manifest_begin(struct hps_manifest *m, const struct hps_record *r, const char *name)
{
	m->redactor = r->redactor;
	m->name = name;
	m->n = 0;
	m->error = 0;
	hps_buf_init(&m->text, HPS_JSON_MAX);
	hps_buf_adds(&m->text, "{\"items\":[");
}

void hps_manifest_add_plain(struct hps_manifest *m, json_t *item)
{
	_cleanup_json_ json_t *own = item;

	if (m->n++)
		hps_buf_addc(&m->text, ',');
	if (!m->error)
		m->error = hps_json_canonical(own, &m->text, NULL);
}

void hps_manifest_add(struct hps_manifest *m, json_t *item)
{
	hps_redact_json(m->redactor, item);
	hps_manifest_add_plain(m, item);
}

static int keep(struct hps_manifest *m, struct hps_record *r, struct hps_digest *ret, struct hps_error *err)
{
	char hex[HPS_DIGEST_HEX];
	int error;

	if (r->objects) {
		error = hps_objects_put(r->objects, m->text.data, m->text.len, ret, err);
		if (!error)
			return 0;
		/* The statement may still get into the ledger, or into the spool: then the manifest must be beside it. */
		hps_note("storing the manifest '%s': %s", m->name, err->message);
		hps_error_release(err);
		hps_gap_note(r->gaps, HPS_GAP_STORE);
	}
	hps_digest_of(m->text.data, m->text.len, ret);
	hps_digest_hex(ret, hex);
	if (!r->spooled)
		r->spooled = json_object();
	hps_json_set(r->spooled, hex, json_stringn(m->text.data, m->text.len));
	return 0;
}

int hps_manifest_end(struct hps_manifest *m, struct hps_record *r, json_t **ret, struct hps_error *err)
{
	_cleanup_free_ char *type = hps_format("application/vnd.hps.%s.v1+json", m->name);
	struct hps_digest d;
	char hex[HPS_DIGEST_HEX];
	json_t *digest;
	int error;

	hps_buf_addf(&m->text, "],\"schema\":\"hps.%s/1\"}", m->name);
	if (m->text.full)
		m->error = HPS_E_LIMIT;
	error = m->error ? hps_error_set(err, m->error, "writing the manifest '%s': it is too large or not text", m->name) : keep(m, r, &d, err);
	hps_buf_release(&m->text);
	if (error)
		return error;
	hps_digest_hex(&d, hex);
	digest = json_object();
	hps_json_set_text(digest, "sha256", hex);
	*ret = json_object();
	hps_json_set_text(*ret, "name", m->name);
	hps_json_set(*ret, "digest", digest);
	hps_json_set_text(*ret, "mediaType", type);
	return 0;
}
