/* From the options of a command to a view with every content: the content stores, the system, and what fetch.c finds for the rest. */
#include "replay/replay.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A ledger's directory stands for the store in it. */
static char *store_path(const char *given)
{
	_cleanup_free_ char *inside = hps_format("%s/objects", given);
	struct stat s;

	return hps_path_absolute(stat(inside, &s) || !S_ISDIR(s.st_mode) ? given : inside);
}

/* ---- manifests ---- */

#define DOWNLOAD_NS (60 * 1000000000ll)

static bool in_store(const char *path, const struct hps_digest *d, json_t **ret)
{
	struct hps_objects *objects = NULL;
	bool found = !hps_objects_open(AT_FDCWD, path, false, &objects, NULL) && !hps_objects_get_json(objects, d, ret, NULL);

	hps_objects_free(objects);
	return found;
}

static bool at_mirror(const char *url, const struct hps_digest *d, json_t **ret)
{
	const struct hps_http_request request = { .timeout_ns = DOWNLOAD_NS, .redirects = 4, .proxies = true, .max = HPS_JSON_MAX };
	size_t len = strlen(url) - (*url && url[strlen(url) - 1] == '/');
	char hex[HPS_DIGEST_HEX];
	_cleanup_free_ char *whole = NULL;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	struct hps_http_reply reply;
	struct hps_digest got;

	hps_digest_hex(d, hex);
	whole = hps_format("%.*s/%.2s/%s", (int)len, url, hex, hex + 2);
	if (hps_http(&request, whole, &text, &reply, NULL) || !text.len)
		return false;
	hps_digest_of(text.data, text.len, &got);
	return hps_digest_equal(&got, d) && !hps_json_parse(text.data, text.len, ret, NULL);
}

static bool find_manifest(const struct hps_chain_options *options, const struct hps_digest *d, json_t **ret)
{
	for (size_t i = 0; i < options->stores.n; i++) {
		_cleanup_free_ char *path = store_path(options->stores.v[i]);

		if (in_store(path, d, ret))
			return true;
	}
	for (size_t i = 0; i < options->mirrors.n; i++)
		if (at_mirror(options->mirrors.v[i], d, ret))
			return true;
	return false;
}

static void complete(const struct hps_chain_options *options, struct hps_original *o, struct hps_holes *missing)
{
	struct hps_holes still = { NULL, 0 };

	for (size_t i = 0; i < missing->n; i++) {
		const char *name = missing->v[i].what, *hex = hps_manifest_named(&o->trial, name);
		_cleanup_json_ json_t *whole = NULL;
		struct hps_digest d;

		if (!hex || hps_digest_parse(hex, &d) || !find_manifest(options, &d, &whole) || !json_is_array(json_object_get(whole, "items")))
			hps_hole_add(&still, name, missing->v[i].why);
		else
			*hps_original_manifest(o, name) = json_incref(json_object_get(whole, "items"));
	}
	hps_holes_release(missing);
	*missing = still;
}

void hps_chain_complete(const struct hps_chain_options *options, struct hps_original *o)
{
	complete(options, o, &o->missing);
	complete(options, o, &o->spare);
}

int hps_chain_open(struct hps_chain *c, struct hps_ledger *l, const struct hps_chain_options *options, struct hps_plan *p, struct hps_error *err)
{
	_cleanup_free_ char *own = hps_format("%s/objects", hps_ledger_dir(l));
	int r = 0;

	*c = (struct hps_chain){ .options = options };
	hps_strv_add_take(&c->stores, hps_path_absolute(own));
	for (size_t i = 0; i < options->stores.n; i++)
		hps_strv_add_take(&c->stores, store_path(options->stores.v[i]));
	if (c->stores.n >= HPS_STORES_MAX)
		return hps_error_set(err, HPS_E_USAGE, "option --store: no more than %d stores", HPS_STORES_MAX - 2);
	if (options->substitutes.n)
		r = hps_fetched_open(&c->fetched, err);
	for (size_t i = 0; i < options->substitutes.n && !r; i++)
		r = hps_substitute(p, options->substitutes.v[i], &c->fetched, err);
	if (!r && c->fetched.store)
		hps_strv_add(&c->stores, c->fetched.store);
	return r;
}

int hps_chain_fetch(struct hps_chain *c, const struct hps_original *o, const struct hps_plan *p, const struct hps_holes *problems, bool *ret_found,
		    struct hps_error *err)
{
	const struct hps_fetch_options where = { &c->options->mirrors, &c->options->packages, &c->options->images };
	size_t before;
	int r = 0;

	*ret_found = false;
	if (!c->fetched.temporary.path) {
		r = hps_fetched_open(&c->fetched, err);
		if (r)
			return r;
		hps_strv_add(&c->stores, c->fetched.store);
	}
	before = c->fetched.files.n;
	hps_fetch(o, p, problems, &where, &c->fetched);
	*ret_found = c->fetched.files.n > before;
	return 0;
}

void hps_chain_release(struct hps_chain *c)
{
	hps_strv_release(&c->stores);
	hps_fetched_release(&c->fetched);
}
