/* Long lists as objects: {"items":[…],"schema":"hps.<name>/1"} in canonical form, written piece by piece: their text is a multiple of
 * what the recorder remembers of a file. */
#include "recorder/recorder.h"

#include <errno.h>
#include <string.h>

#include "core/redact.h"

#define PIECE_MAX ((size_t)256 << 10)
#define START "{\"items\":["
#define END_MAX 64u /* bytes after the last item */

void hps_manifest_begin(struct hps_manifest *m, const struct hps_record *r, const char *name)
{
	*m = (struct hps_manifest){ .redactor = r->redactor, .objects = r->objects, .name = name };
	hps_buf_init(&m->text, HPS_BUF_MAX);
	hps_buf_adds(&m->text, START);
}

/* The store cannot take it: all of it has to be in memory after all, for the spool. */
static void take_back(struct hps_manifest *m)
{
	struct hps_buf all;

	hps_buf_init(&all, HPS_BUF_MAX);
	if (m->writer && hps_objects_write_back(m->writer, &all, NULL))
		m->error = -EIO;
	hps_buf_add(&all, m->text.data, m->text.len);
	hps_buf_release(&m->text);
	m->text = all;
	m->written = 0;
	m->objects = NULL;
	hps_objects_write_free(hps_take(m->writer));
}

static void flush(struct hps_manifest *m)
{
	if (!m->objects)
		return;
	if ((!m->writer && hps_objects_write_begin(m->objects, &m->writer, NULL)) || hps_objects_write(m->writer, m->text.data, m->text.len, NULL)) {
		take_back(m);
		return;
	}
	m->written += m->text.len;
	hps_buf_reset(&m->text);
}

/* What would make it too long to be read is left out, and no later item takes its place. */
static void add_text(struct hps_manifest *m, const json_t *item)
{
	size_t before = m->text.len;

	if (before + m->written > strlen(START))
		hps_buf_addc(&m->text, ',');
	m->error = hps_json_canonical(item, &m->text, NULL);
	if (m->written + m->text.len + END_MAX <= HPS_JSON_MAX)
		return;
	m->text.len = before;
	m->text.data[before] = '\0';
	m->cut = true;
}

void hps_manifest_add_plain(struct hps_manifest *m, json_t *item)
{
	_cleanup_json_ json_t *own = item;

	if (!m->error && !m->cut)
		add_text(m, own);
	if (!m->error && m->text.len >= PIECE_MAX)
		flush(m);
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

	if (m->writer && hps_objects_write(m->writer, m->text.data, m->text.len, NULL))
		take_back(m);
	if (m->objects) {
		error = m->writer ? hps_objects_write_end(m->writer, ret, err) : hps_objects_put(m->objects, m->text.data, m->text.len, ret, err);
		if (!error) {
			m->writer = NULL;
			return 0;
		}
		hps_note("storing the manifest '%s': %s", m->name, err->message);
		hps_error_release(err);
		take_back(m);
	}
	/* The statement may still get into the ledger, or into the spool: then the manifest must be beside it. */
	if (r->objects)
		hps_gap_note(r->gaps, HPS_GAP_STORE);
	if (m->error)
		return hps_error_set(err, m->error, "storing the manifest '%s'", m->name);
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
	if (m->cut)
		hps_gap_name(r->gaps, HPS_GAP_LIST, m->name);
	error = m->error ? hps_error_set(err, m->error, "writing the manifest '%s': it is not text", m->name) : keep(m, r, &d, err);
	hps_buf_release(&m->text);
	hps_objects_write_free(hps_take(m->writer));
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
