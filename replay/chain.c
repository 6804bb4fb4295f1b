/* From the options of a command to a view with every content: the content stores, the system, and what fetch.c finds for the rest. */
#include "replay/replay.h"

#include <stdlib.h>
#include <sys/stat.h>

/* A ledger's directory stands for the store in it. */
static char *store_path(const char *given)
{
	_cleanup_free_ char *inside = hps_format("%s/objects", given);
	struct stat s;

	return hps_path_absolute(stat(inside, &s) || !S_ISDIR(s.st_mode) ? given : inside);
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
