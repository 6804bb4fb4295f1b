/* The record to replay: the trial's entry, its begin entry and its manifests, as one struct. What the record withholds is a hole. */
#include "replay/replay.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void hps_hole_add(struct hps_holes *h, const char *what, const char *why)
{
	h->v = hps_grow(h->v, h->n, sizeof *h->v);
	h->v[h->n++] = (struct hps_hole){ hps_strdup(what), hps_strdup(why) };
}

void hps_holes_release(struct hps_holes *h)
{
	for (size_t i = 0; i < h->n; i++) {
		free(h->v[i].what);
		free(h->v[i].why);
	}
	free(h->v);
	*h = (struct hps_holes){ NULL, 0 };
}

static const json_t *predicate(const struct hps_entry *e)
{
	return hps_json_at(e->statement, "predicate", NULL);
}

const json_t *hps_identity_find(const struct hps_entry *trial, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)hps_json_at(trial->statement, "predicate", "identities", NULL), i, item) {
		const char *is = hps_json_text(item, "name");

		if (is && !strcmp(is, name))
			return item;
	}
	return NULL;
}

const char *hps_manifest_named(const struct hps_entry *trial, const char *name)
{
	const json_t *lists[] = { hps_json_at(trial->statement, "subject", NULL),
				  hps_json_at(predicate(trial), "buildDefinition", "resolvedDependencies", NULL) };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const json_t *item;
		size_t k;

		json_array_foreach((json_t *)(uintptr_t)lists[i], k, item) {
			const char *is = hps_json_text(item, "name");

			if (is && !strcmp(is, name))
				return hps_json_text(hps_json_at(item, "digest", NULL), "sha256");
		}
	}
	return NULL;
}

void hps_manifest_digests(const json_t *statement, struct hps_strv *ret)
{
	const json_t *lists[] = { hps_json_at(statement, "subject", NULL), hps_json_at(statement, "predicate", "buildDefinition", "resolvedDependencies", NULL) };

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const json_t *item;
		size_t k;

		json_array_foreach((json_t *)(uintptr_t)lists[i], k, item) {
			const char *name = hps_json_text(item, "name"), *hex = hps_json_text(hps_json_at(item, "digest", NULL), "sha256");

			if (hex && name && (i ? hps_json_text(item, "mediaType") != NULL : !strcmp(name, "products")))
				hps_strv_add(ret, hex);
		}
	}
}

int hps_manifest_load(struct hps_objects *objects, const struct hps_entry *trial, const char *name, json_t **ret, struct hps_error *err)
{
	_cleanup_json_ json_t *whole = NULL;
	const char *hex = hps_manifest_named(trial, name);
	struct hps_digest digest;
	json_t *items;
	int r;

	if (!hex || hps_digest_parse(hex, &digest))
		return hps_error_set(err, HPS_E_FORMAT, "trial %.12s: it names no manifest '%s'", trial->id, name);
	if (!objects)
		return hps_error_set(err, HPS_E_NOTFOUND, "trial %.12s: this ledger has no content store", trial->id);
	r = hps_objects_get_json(objects, &digest, &whole, err);
	if (r)
		return hps_error_prefix(err, "reading the manifest '%s' of trial %.12s", name, trial->id);
	items = json_object_get(whole, "items");
	if (!json_is_array(items))
		return hps_error_set(err, HPS_E_FORMAT, "the manifest '%s' of trial %.12s has no items", name, trial->id);
	*ret = json_incref(items);
	return 0;
}

const char *hps_product_digest(const json_t *product)
{
	const char *state = hps_json_text(product, "state"), *type = hps_json_text(product, "type");

	if ((state && !strcmp(state, "deleted")) || (type && strcmp(type, "file") != 0))
		return NULL;
	return hps_json_text(hps_json_at(product, "digest", NULL), "sha256");
}

/* ---- the pieces of the predicate ---- */

static int read_words(const json_t *list, const char *what, struct hps_strv *ret, struct hps_error *err)
{
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, item) {
		_cleanup_buf_ struct hps_buf word = HPS_BUF_INIT;
		const char *text = json_string_value(item);
		int r = text ? hps_path_unescape(text, &word, err) : HPS_E_FORMAT;

		if (r)
			return hps_error_set(err, HPS_E_FORMAT, "reading the record: word %zu of the %s is not text", i, what);
		hps_strv_add_take(ret, hps_buf_take(&word));
	}
	return 0;
}

static int read_path(const json_t *object, const char *name, char **ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
	const char *text = hps_json_text(object, name);

	if (!text)
		return 0;
	if (hps_path_unescape(text, &path, err))
		return hps_error_prefix(err, "reading the record: its '%s'", name);
	*ret = hps_buf_take(&path);
	return 0;
}

/* The recorder of the rerun sets its own; and it is in no image. */
static bool is_own(const char *name)
{
	return !strcmp(name, "HPS_RECORD_ID") || !strcmp(name, "HPS_METRICS") || !strcmp(name, "HPS_SOCKET") || !strncmp(name, "HPS_IMAGE", 9);
}

static int read_environment(const json_t *parameters, struct hps_original *o, struct hps_error *err)
{
	const json_t *withheld = hps_json_at(parameters, "environmentDigests", NULL), *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)hps_json_at(parameters, "environment", NULL), name, value) {
		_cleanup_buf_ struct hps_buf item = HPS_BUF_INIT;

		if (is_own(name))
			continue;
		hps_buf_addf(&item, "%s=", name);
		if (!json_is_string(value) || hps_path_unescape(json_string_value(value), &item, err))
			return hps_error_set(err, HPS_E_FORMAT, "reading the record: the value of the variable '%s' is not text", name);
		hps_strv_add_take(&o->environment, hps_buf_take(&item));
	}
	json_object_foreach((json_t *)(uintptr_t)withheld, name, value) {
		const char *declared = hps_json_text(hps_json_at(o->spec, "env", NULL), name);

		if (declared)
			hps_strv_addf(&o->environment, "%s=%s", name, declared);
	}
	return 0;
}

static int read_umask(const json_t *parameters, mode_t *ret, struct hps_error *err)
{
	const char *text = hps_json_text(parameters, "umask");
	mode_t mask = 0;

	for (const char *p = text; p && *p; p++) {
		if (*p < '0' || *p > '7' || mask > 0777)
			return hps_error_set(err, HPS_E_FORMAT, "reading the record: its umask is no octal number");
		mask = mask * 8 + (mode_t)(*p - '0');
	}
	*ret = text ? mask & 0777 : 022;
	return 0;
}

/* What came in by a descriptor that is no file is not in the record. */
static void read_standard(const json_t *parameters, struct hps_original *o)
{
	static const struct {
		const char *kind, *why;
		bool unknown; /* a program whose input it is reads it: nobody can say what it would have done with the rerun's */
	} unknown[] = {
		{ "pipe", "it was a pipe: what came through it was not recorded; the rerun has nothing to read there", true },
		{ "socket", "it was a socket: what came through it was not recorded; the rerun has nothing to read there", true },
		{ "terminal", "it was a terminal: what was typed was not recorded; the rerun has nothing to read there", false },
		{ "other", "it was a device: what came from it was not recorded; the rerun has nothing to read there", true },
		{ "closed", "it was closed; in the rerun it is open and empty", false },
	};
	const json_t *standard = hps_json_at(parameters, "standard", NULL);
	const char *kind = json_string_value(json_array_get(standard, 0));

	for (size_t i = 0; i < ARRAY_SIZE(o->terminal); i++) {
		const char *is = json_string_value(json_array_get(standard, i));

		o->terminal[i] = is && !strcmp(is, "terminal");
	}
	for (size_t i = 0; kind && i < ARRAY_SIZE(unknown); i++)
		if (!strcmp(kind, unknown[i].kind)) {
			hps_hole_add(&o->holes, "standard input", unknown[i].why);
			o->input_unknown = unknown[i].unknown;
		}
}

/* The seed is kept beside the ledger and never in it. */
static void read_entropy(char *seed, const json_t *p, struct hps_original *o)
{
	const json_t *entropy = hps_json_at(p, "entropy", NULL);
	const char *mode = hps_json_text(entropy, "mode");

	o->seeded = mode && strcmp(mode, "off") != 0;
	o->seeded_fully = json_is_true(hps_json_at(entropy, "full", NULL));
	if (o->seeded && !access(seed, R_OK))
		o->seed = seed;
	else
		free(seed);
}

/* Its manifest is one of many; the library that wrote it must be in the view when it is answered. */
static int read_clocks(const json_t *p, struct hps_original *o, struct hps_error *err)
{
	const json_t *clocks = hps_json_at(p, "clocks", NULL);
	const char *mode = hps_json_text(clocks, "mode"), *hex = hps_manifest_named(&o->trial, "clocks");
	struct hps_digest d;

	o->recorded_level = (unsigned)hps_json_int(hps_json_at(p, "buildDefinition", "internalParameters", "options", NULL), "level", 2);
	if (!mode || strcmp(mode, "record") != 0 || !hex || hps_digest_parse(hex, &d))
		return 0;
	memcpy(o->clocks, hex, sizeof o->clocks);
	return read_path(clocks, "library", &o->shim, err);
}

static void read_host(const struct hps_original *o, char **ret)
{
	const char *host = hps_json_text(hps_json_at(predicate(&o->begin), "recorder", NULL), "host");

	*ret = host ? hps_strdup(host) : NULL;
}

static void read_end(const json_t *p, struct hps_original *o)
{
	const char *state = hps_json_text(p, "state");
	const json_t *end = hps_json_at(p, "exit", NULL);

	o->succeeded = state && !strcmp(state, "complete");
	o->killed = state && !strcmp(state, "killed");
	o->code = (int)hps_json_int(end, o->killed ? "signal" : "code", 0);
}

/* seed: where it would lie; taken. */
static int read_predicate(char *seed, struct hps_original *o, struct hps_error *err)
{
	const json_t *p = predicate(&o->trial), *parameters = hps_json_at(p, "buildDefinition", "externalParameters", NULL);
	const char *wall = hps_json_text(hps_json_at(p, "resources", NULL), "wallSeconds");
	const char *started = hps_json_text(hps_json_at(p, "runDetails", "metadata", NULL), "startedOn");
	int64_t pid, uid = hps_json_int(hps_json_at(predicate(&o->begin), "recorder", NULL), "uid", -1);
	const json_t *options = hps_json_at(p, "buildDefinition", "internalParameters", "options", NULL);
	int r = read_words(hps_json_at(parameters, "command", NULL), "command", &o->argv, err);

	read_entropy(seed, p, o);
	if (!r && !o->argv.n)
		return hps_error_set(err, HPS_E_FORMAT, "reading the record: it has no command");
	r = r ? r : read_words(hps_json_at(options, "metrics", NULL), "list of metrics files", &o->metrics, err);
	r = r ? r : read_path(parameters, "cwd", &o->cwd, err);
	r = r ? r : read_path(p, "metricsPath", &o->metrics_path, err);
	r = r ? r : read_environment(parameters, o, err);
	r = r ? r : read_umask(parameters, &o->umask, err);
	r = r ? r : read_clocks(p, o, err);
	if (r)
		return r;
	if (!o->cwd || o->cwd[0] != '/')
		return hps_error_set(err, HPS_E_FORMAT, "reading the record: it has no working directory");
	if (uid < 0 || uid >= UINT32_MAX)
		return hps_error_set(err, HPS_E_FORMAT, "reading the record: it does not say which user ran the trial");
	o->uid = (uid_t)uid;
	if (!wall || hps_parse_double(wall, &o->wall_seconds))
		o->wall_seconds = 0;
	if (!started || hps_time_parse(started, &o->started_ns))
		o->started_ns = 0;
	read_standard(parameters, o);
	o->surroundings = hps_json_at(parameters, "surroundings", NULL);
	pid = hps_json_int(o->surroundings, "pid", 0);
	o->pid = pid > 0 && pid < INT32_MAX ? (pid_t)pid : 0;
	o->no_network = json_is_true(hps_json_at(options, "noNetwork", NULL));
	read_host(o, &o->host);
	pid = hps_json_int(hps_json_at(predicate(&o->begin), "recorder", NULL), "pid", 0);
	o->recorder_pid = pid > 0 && pid < INT32_MAX ? (pid_t)pid : 0;
	read_end(p, o);
	return 0;
}

/* The whole ledger is checked, since a signature alone says nothing about what was cut out around it; only what concerns this
 * trial, or all entries, stops the replay. */
static int verify(struct hps_ledger *l, const struct hps_original *o, struct hps_error *err)
{
	struct hps_verify_options options = { .skip_objects = true };
	struct hps_verification v = { 0 };
	int r = hps_ledger_verify(hps_ledger_dir(l), &options, &v, err);

	if (r)
		return hps_error_prefix(err, "verifying the ledger");
	for (size_t i = 0; i < v.n_problems && !r; i++) {
		const struct hps_problem *p = &v.problems[i];

		if (p->index < 0 || (uint64_t)p->index == o->trial.index || (uint64_t)p->index == o->begin.index)
			r = hps_error_set(err, p->unread ? HPS_E_UNDECIDED : HPS_E_DAMAGED, "verifying the ledger: %s; 'hps-ledger verify' tells more", p->what);
	}
	hps_verification_release(&v);
	return r;
}

static const struct {
	const char *name;
	size_t field;
	bool optional; /* a record may name none */
	bool spare;    /* goes into o->spare when it cannot be had */
} manifests[] = {
	{ "materials", offsetof(struct hps_original, materials), false, false },
	{ "products", offsetof(struct hps_original, products), false, false },
	{ "misses", offsetof(struct hps_original, misses), false, false },
	{ "listings", offsetof(struct hps_original, listings), true, false },
	{ "processes", offsetof(struct hps_original, processes), true, true },
	{ "clocks", offsetof(struct hps_original, readings), true, true },
};

static json_t **field(struct hps_original *o, size_t i)
{
	return (json_t **)(void *)((char *)o + manifests[i].field);
}

json_t **hps_original_manifest(struct hps_original *o, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(manifests); i++)
		if (!strcmp(manifests[i].name, name))
			return field(o, i);
	return NULL;
}

static int read_manifest(struct hps_original *o, size_t i, struct hps_error *err)
{
	_cleanup_error_ struct hps_error why = HPS_ERROR_INIT;
	int r;

	if (manifests[i].optional && !hps_manifest_named(&o->trial, manifests[i].name))
		return 0;
	r = hps_manifest_load(o->objects, &o->trial, manifests[i].name, field(o, i), &why);
	if (r && r != HPS_E_NOTFOUND && !manifests[i].spare)
		return hps_error_set(err, r, "%s", why.message);
	if (r)
		hps_hole_add(manifests[i].spare ? &o->spare : &o->missing, manifests[i].name, why.message);
	return 0;
}

static int read_record(char *seed, struct hps_original *ret, struct hps_error *err)
{
	int r = read_predicate(seed, ret, err);

	for (size_t i = 0; !r && i < ARRAY_SIZE(manifests); i++)
		r = read_manifest(ret, i, err);
	return r;
}

int hps_original_load_partly(struct hps_ledger *l, const char *id, struct hps_original *ret, struct hps_error *err)
{
	int r = hps_ledger_find_trial(l, id, &ret->trial, err);

	if (r)
		return r;
	if (!ret->trial.begin)
		return hps_error_set(err, HPS_E_FORMAT, "trial %.12s: it names no begin entry", ret->trial.id);
	r = hps_ledger_find(l, ret->trial.begin, &ret->begin, err);
	r = r ? r : verify(l, ret, err);
	r = r ? r : hps_study_spec(l, &ret->trial, &ret->spec, err);
	if (r)
		return r;
	ret->objects = hps_ledger_objects(l);
	return read_record(hps_format("%s/secrets/entropy/%s", hps_ledger_dir(l), ret->begin.id), ret, err);
}

static int want_whole(const struct hps_original *o, struct hps_error *err)
{
	return o->missing.n ? hps_error_set(err, HPS_E_NOTFOUND, "%s", o->missing.v[0].why) : 0;
}

int hps_original_load(struct hps_ledger *l, const char *id, struct hps_original *ret, struct hps_error *err)
{
	int r = hps_original_load_partly(l, id, ret, err);

	return r ? r : want_whole(ret, err);
}

/* ---- of a bundle ---- */

static int read_entry(const char *dir, const char *name, struct hps_entry *ret, struct hps_error *err)
{
	_cleanup_free_ char *statement = hps_format("%s/evidence/%s.statement.json", dir, name), *pae = hps_format("%s/evidence/%s.pae", dir, name);
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_fd_ int fd = open(pae, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct hps_digest d;
	int r = fd < 0 ? hps_error_errno(err, "opening '%s'", pae) : hps_digest_fd(fd, &d, NULL, err);

	r = r ? r : hps_file_read(AT_FDCWD, statement, HPS_JSON_MAX, &text, err);
	r = r ? r : hps_json_parse(text.data ? text.data : "", text.len, &ret->statement, err);
	if (!r)
		hps_digest_hex(&d, ret->id);
	return r;
}

int hps_original_unpacked(const char *dir, const char *trust, struct hps_original *ret, struct hps_error *err)
{
	_cleanup_free_ char *evidence = hps_format("%s/evidence", dir), *objects = hps_format("%s/objects", dir);
	const char *type, *begin;
	int r = hps_evidence_run(evidence, trust, err);

	r = r ? r : read_entry(dir, "entry", &ret->trial, err);
	type = r ? NULL : hps_json_text(ret->trial.statement, "predicateType");
	if (!r && (!type || strcmp(type, HPS_PREDICATE_TRIAL) != 0))
		r = hps_error_set(err, HPS_E_FORMAT, "'%s': its entry is no trial", dir);
	r = r ? r : read_entry(dir, "begin", &ret->begin, err);
	begin = r ? NULL : hps_json_text(predicate(&ret->trial), "begin");
	if (!r && (!begin || strcmp(begin, ret->begin.id) != 0))
		r = hps_error_set(err, HPS_E_DAMAGED, "'%s': its begin entry belongs to another trial", dir);
	r = r ? r : hps_objects_open(AT_FDCWD, objects, false, &ret->own, err);
	if (r)
		return r;
	ret->objects = ret->own;
	ret->trial.begin = hps_strdup(ret->begin.id);
	if (!trust)
		hps_hole_add(&ret->holes, "keys", "those that came with the bundle; --trust gives others");
	if (hps_json_text(predicate(&ret->trial), "study"))
		hps_hole_add(&ret->holes, "study", "what it declared is not in a bundle: no tolerances, no variables of it");
	r = read_record(hps_format("%s/seed", dir), ret, err);
	return r ? r : want_whole(ret, err);
}

void hps_original_release(struct hps_original *o)
{
	hps_entry_release(&o->trial);
	hps_entry_release(&o->begin);
	hps_objects_free(o->own);
	json_decref(o->spec);
	json_decref(o->materials);
	json_decref(o->products);
	json_decref(o->misses);
	json_decref(o->listings);
	json_decref(o->readings);
	json_decref(o->processes);
	hps_strv_release(&o->argv);
	hps_strv_release(&o->environment);
	hps_strv_release(&o->metrics);
	free(o->cwd);
	free(o->metrics_path);
	free(o->host);
	free(o->seed);
	free(o->shim);
	hps_withheld_free(o->withheld);
	hps_holes_release(&o->holes);
	hps_holes_release(&o->missing);
	hps_holes_release(&o->spare);
	*o = (struct hps_original){ 0 };
}
