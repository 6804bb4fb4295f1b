/* A shared ledger over HTTP: what is published is read by anybody, entries and objects are taken from enrolled keys alone. One handle
 * appends, behind a mutex; files are read without it. */
#include "ledger/ledger.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_SKEW_NS ((int64_t)300 * 1000000000)
#define IMMUTABLE "public, max-age=31536000, immutable"

struct hps_service {
	struct hps_ledger *l;
	const char *passphrase;
	pthread_mutex_t mutex;
};

struct hps_service *hps_service_new(struct hps_ledger *l, const char *passphrase)
{
	struct hps_service *s = hps_alloc(sizeof *s);

	s->l = l;
	s->passphrase = passphrase;
	pthread_mutex_init(&s->mutex, NULL);
	return s;
}

void hps_service_free(struct hps_service *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

/* The status for an error, and its message: it may name entries and keys, never paths outside the ledger. */
static void refuse(struct hps_serve_reply *reply, int code, const char *message)
{
	static const struct {
		int code, status;
	} table[] = { { HPS_E_USAGE, 400 },  { HPS_E_FORMAT, 400 }, { HPS_E_SIGNATURE, 403 }, { HPS_E_DENIED, 403 },
		      { HPS_E_NOTFOUND, 404 }, { HPS_E_AMBIGUOUS, 409 }, { HPS_E_LIMIT, 413 } };

	reply->status = 503;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].code == code)
			reply->status = table[i].status;
	hps_buf_reset(&reply->body);
	hps_buf_addf(&reply->body, "%s\n", reply->status == 503 ? "the ledger cannot take it now" : message);
}

/* ---- the ledger, as it is now; with the mutex ---- */

static bool log_key_replaced(const struct hps_ledger *l)
{
	return l->log_key_replaced || hps_handover_exists(l->tilesfd, l->n_handovers);
}

/* The owner may have replaced our keys since the last time, or revoked somebody's. */
static int renew(struct hps_service *s, struct hps_error *err)
{
	hps_keyring_release(&s->l->keyring);
	if (!log_key_replaced(s->l) && !hps_ledger_may_sign(s->l, NULL, 0, NULL))
		return 0;
	if (hps_ledger_renew_keys(s->l, s->passphrase, NULL)) /* no matter of who asks */
		return hps_error_set(err, HPS_E_UNDECIDED, "the keys of the ledger cannot be used");
	return 0;
}

/* With what has been acknowledged since. */
static int refresh(struct hps_service *s)
{
	if (log_key_replaced(s->l))
		(void)!renew(s, NULL);
	return hps_ledger_refresh(s->l, NULL);
}

/* ---- reading ---- */

static bool is_envelope(const char *path)
{
	_cleanup_free_ char *hex = !strncmp(path, "envelope/", 9) && strlen(path) == 9 + 64 + 5 ? hps_strndup(path + 9, 64) : NULL;
	struct hps_digest d;

	return hex && !hps_digest_parse(hex, &d) && !strcmp(path + 9 + 64, ".json");
}

static bool is_attested(const char *path)
{
	const char *name = path + strlen(HPS_ATTESTED_DIR "/"), *dot;
	_cleanup_free_ char *size = NULL;
	uint64_t n;

	if (strncmp(path, HPS_ATTESTED_DIR "/", strlen(HPS_ATTESTED_DIR "/")) != 0)
		return false;
	if (!strcmp(name, "checkpoint"))
		return true;
	dot = strchr(name, '.');
	size = dot ? hps_strndup(name, (size_t)(dot - name)) : NULL;
	return size && !hps_parse_u64(size, HPS_LEDGER_SIZE_MAX, &n) && (!strcmp(dot, ".checkpoint") || !strcmp(dot, ".tsr"));
}

static bool is_handover(const char *path)
{
	uint64_t n;

	return !strncmp(path, HPS_HANDOVER_DIR "/", strlen(HPS_HANDOVER_DIR "/")) && !hps_parse_u64(path + strlen(HPS_HANDOVER_DIR "/"), UINT64_MAX, &n);
}

/* Only names that the ledger itself gives: no path is ever put together from what was asked. */
static void read_tiles(struct hps_service *s, const char *path, struct hps_serve_reply *reply)
{
	struct hps_tile t;
	bool tile = !hps_tile_parse(path, &t), envelope = is_envelope(path), checkpoint = !strcmp(path, "checkpoint");

	reply->status = 404;
	if (!tile && !envelope && !checkpoint && !is_attested(path) && !is_handover(path))
		return;
	if (checkpoint) { /* what is acknowledged is to be seen */
		pthread_mutex_lock(&s->mutex);
		(void)!refresh(s);
		pthread_mutex_unlock(&s->mutex);
	}
	if (hps_file_read(s->l->tilesfd, path, HPS_ENVELOPE_MAX, &reply->body, NULL))
		return;
	reply->status = 200;
	reply->type = checkpoint ? "text/plain; charset=utf-8" : envelope ? "application/json" : "application/octet-stream";
	reply->cache = tile || envelope ? IMMUTABLE : NULL;
}

static void read_counter(struct hps_service *s, const char *keyid, struct hps_serve_reply *reply)
{
	struct hps_digest d;
	uint64_t counter;
	int r;

	reply->status = 404;
	if (hps_digest_parse(keyid, &d))
		return;
	pthread_mutex_lock(&s->mutex);
	r = refresh(s);
	if (!r)
		r = hps_store_next_counter(s->l->store, &d, &counter, NULL);
	pthread_mutex_unlock(&s->mutex);
	if (r)
		return;
	reply->status = 200;
	hps_buf_addf(&reply->body, "%llu\n", (unsigned long long)counter);
}

/* How many changes of keys there are: the number of the next. */
static void read_changes(struct hps_service *s, struct hps_serve_reply *reply)
{
	struct hps_keyring ring;
	int r;

	pthread_mutex_lock(&s->mutex);
	r = hps_keyring_load(&ring, s->l, NULL);
	pthread_mutex_unlock(&s->mutex);
	reply->status = r ? 503 : 200;
	if (r)
		return;
	hps_buf_addf(&reply->body, "%llu\n", (unsigned long long)ring.changes);
	hps_keyring_release(&ring);
}

/* What became of a begin entry: "none" (there is no such entry), "open" or "ended". */
static void read_end(struct hps_service *s, const char *begin_id, struct hps_serve_reply *reply)
{
	struct hps_digest d;
	bool ended = false;
	uint64_t index;
	size_t n = 0;
	int r;

	reply->status = 404;
	if (hps_digest_parse(begin_id, &d))
		return;
	pthread_mutex_lock(&s->mutex);
	r = refresh(s);
	if (!r)
		r = hps_store_by_prefix(s->l->store, &d, &d, INT64_MAX, &index, 1, &n, NULL);
	if (!r)
		r = hps_lease_ended(s->l, begin_id, &ended, NULL);
	pthread_mutex_unlock(&s->mutex);
	reply->status = r ? 503 : 200;
	if (!r)
		hps_buf_addf(&reply->body, "%s\n", !n ? "none" : ended ? "ended" : "open");
}

static void get(struct hps_service *s, const char *path, struct hps_serve_reply *reply)
{
	if (!strncmp(path, "/tiles/", 7))
		read_tiles(s, path + 7, reply);
	else if (!strncmp(path, "/counter/", 9))
		read_counter(s, path + 9, reply);
	else if (!strncmp(path, "/end/", 5))
		read_end(s, path + 5, reply);
	else if (!strcmp(path, "/changes"))
		read_changes(s, reply);
	else if (strcmp(path, "/" HPS_TRUST_FILE) != 0 || hps_file_read(s->l->dirfd, HPS_TRUST_FILE, HPS_NOTE_MAX, &reply->body, NULL))
		reply->status = 404;
}

/* ---- writing ---- */

/* Again when the log's key was replaced between looking and locking. */
static int append(struct hps_service *s, const struct hps_serve_request *request, char *ret_id, uint64_t *ret_index, struct hps_error *err)
{
	int r = HPS_E_DENIED;

	for (int i = 0; i < 2 && r == HPS_E_DENIED && (!i || log_key_replaced(s->l)); i++) {
		hps_error_release(err);
		r = renew(s, err);
		if (!r)
			r = hps_ledger_submit(s->l, request->body, request->body_len, ret_id, ret_index, err);
	}
	return r;
}

static void submit(struct hps_service *s, const struct hps_serve_request *request, struct hps_serve_reply *reply)
{
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	_cleanup_json_ json_t *j = json_object();
	json_t *entries = json_array(), *one = json_object();
	uint64_t index = 0;
	char id[65] = "";
	int r;

	pthread_mutex_lock(&s->mutex);
	r = append(s, request, id, &index, &error);
	pthread_mutex_unlock(&s->mutex);
	hps_json_set_text(one, "id", id);
	hps_json_set_int(one, "index", (int64_t)index);
	hps_json_add(entries, one);
	hps_json_set_text(j, "schema", "hps.appended/1");
	hps_json_set(j, "entries", entries);
	reply->type = "application/json";
	if (r || hps_json_canonical(j, &reply->body, &error)) {
		reply->type = NULL;
		refuse(reply, r ? r : error.code, error.message);
	}
}

/* Authorization: HPS KEYID TIME SIGNATURE, over method, path, origin and time. What it allows can be repeated without harm: an object
 * is named by its hash. */
static int authorize(struct hps_service *s, const struct hps_serve_request *request, struct hps_error *err)
{
	_cleanup_free_ char *words = hps_strdup(request->authorization ? request->authorization : "");
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT, pae = HPS_BUF_INIT, sig = HPS_BUF_INIT;
	_cleanup_key_ struct hps_key *key = NULL;
	char *save = NULL, *scheme = strtok_r(words, " ", &save), *keyid = strtok_r(NULL, " ", &save), *time = strtok_r(NULL, " ", &save),
	     *encoded = strtok_r(NULL, " ", &save);
	const struct hps_buf *spki;
	int64_t when;
	int r;

	if (!encoded || strcmp(scheme, "HPS") != 0 || hps_unbase64(&sig, encoded, strlen(encoded), false) || hps_time_parse(time, &when))
		return hps_error_set(err, HPS_E_DENIED, "it is not signed");
	if (when < hps_time_now_ns() - CLOCK_SKEW_NS || when > hps_time_now_ns() + CLOCK_SKEW_NS)
		return hps_error_set(err, HPS_E_DENIED, "it was signed at another time than now; are the clocks right?");
	pthread_mutex_lock(&s->mutex);
	r = hps_ledger_may_sign(s->l, NULL, 0, NULL) ? renew(s, err) : 0;
	if (!r)
		r = hps_ledger_may_sign(s->l, NULL, 0, err);
	spki = hps_keyring_spki(&s->l->keyring, keyid);
	if (!r && (!spki || (hps_keyring_check(&s->l->keyring, UINT64_MAX - 1, keyid, "trial", NULL) && hps_keyring_check(&s->l->keyring, UINT64_MAX - 1, keyid, "begin", NULL))))
		r = hps_error_set(err, HPS_E_DENIED, "the key '%.12s' is not enrolled", keyid);
	if (!r)
		r = hps_key_from_spki(spki->data, spki->len, &key, err);
	pthread_mutex_unlock(&s->mutex);
	if (r)
		return r;
	hps_buf_addf(&text, "%s %s\n%s\n%s\n", request->method, request->path, s->l->trust.origin, time);
	hps_pae(HPS_REQUEST_TYPE, text.data, text.len, &pae);
	return hps_key_verify(key, pae.data, pae.len, sig.data, sig.len, err);
}

static void put_object(struct hps_service *s, const struct hps_serve_request *request, struct hps_serve_reply *reply)
{
	const char *hex = request->path + strlen("/objects/");
	_cleanup_error_ struct hps_error error = HPS_ERROR_INIT;
	struct hps_digest named, found;
	int r = hps_digest_parse(hex, &named) ? hps_error_set(&error, HPS_E_USAGE, "an object is named by its SHA-256") : authorize(s, request, &error);

	hps_digest_of(request->body, request->body_len, &found);
	if (!r && !hps_digest_equal(&named, &found))
		r = hps_error_set(&error, HPS_E_FORMAT, "the object has another SHA-256");
	pthread_mutex_lock(&s->mutex);
	if (!r && !s->l->objects)
		r = hps_error_set(&error, HPS_E_UNDECIDED, "there is no content store");
	if (!r)
		r = hps_objects_put(s->l->objects, request->body, request->body_len, &found, &error);
	if (!r)
		r = hps_objects_sync(s->l->objects, &error);
	pthread_mutex_unlock(&s->mutex);
	if (r)
		refuse(reply, r, error.message);
}

void hps_service_handle(void *service, const struct hps_serve_request *request, struct hps_serve_reply *reply)
{
	bool read = !strcmp(request->method, "GET") || !strcmp(request->method, "HEAD");

	if (read)
		get(service, request->path, reply);
	else if (!strcmp(request->method, "POST") && !strcmp(request->path, "/submit"))
		submit(service, request, reply);
	else if (!strcmp(request->method, "PUT") && !strncmp(request->path, "/objects/", 9))
		put_object(service, request, reply);
	else
		reply->status = 405;
}
