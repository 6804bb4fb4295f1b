/* A ledger that several write to, and copies that many read. */
#ifndef HPS_LEDGER_SHARED_H
#define HPS_LEDGER_SHARED_H

#include "core/core.h"
#include "hps/ledger.h"

/* ---- append.c, service.c, remote.c, remote_lost.c: a ledger that several write to ------------------------------------------------------------------- */

/* Appends an envelope that somebody else has signed, when its key is enrolled for that kind: HPS_E_DENIED, HPS_E_SIGNATURE, HPS_E_FORMAT.
 * A begin entry with another counter than the next one of its key is HPS_E_AMBIGUOUS. */
int hps_ledger_submit(struct hps_ledger *l, const char *text, size_t len, char ret_id[65], uint64_t *ret_index, struct hps_error *err) HPS_MUST;

/* The HTTP interface (docs/FORMATS.md, "Shared ledger"): reading for everybody, writing for enrolled keys. */
struct hps_service;
/* l: opened for appending; must outlive it, as the passphrase of its keys (or NULL): the owner may replace them meanwhile. */
struct hps_service *hps_service_new(struct hps_ledger *l, const char *passphrase);
void hps_service_free(struct hps_service *s);
void hps_service_handle(void *service, const struct hps_serve_request *request, struct hps_serve_reply *reply);
#define HPS_OBJECT_UPLOAD_MAX ((size_t)64 << 20)
#define HPS_REQUEST_TYPE "application/vnd.hps.request+text" /* PAE type of what Authorization signs */

/* A recorder's side: --ledger URL stands for the directory hps/remote/<hash> of the state directory, with a statement key, the trust file, and
 * objects that have not been sent. */
bool hps_remote_is(const char *ledger); /* a URL */
char *hps_remote_dir(const char *url);
/* Makes that directory; *ret_draft is what the ledger's owner has to apply ('key apply'). */
int hps_remote_enrol(const char *url, const char *ca_file, const struct hps_strv *kinds, const char *passphrase, json_t **ret_draft, struct hps_error *err) HPS_MUST;
int hps_remote_open(struct hps_ledger *l, const char *url, const char *passphrase, struct hps_error *err) HPS_MUST;
/* A GET below the ledger's URL. */
int hps_remote_ask(const struct hps_ledger *l, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err) HPS_MUST;
/* hps_lease_sweep() for the recorders of this directory. What cannot be found out now is left for the next time. */
int hps_remote_sweep(struct hps_ledger *l, uint64_t *ret_n, struct hps_error *err) HPS_MUST;
/* Sends objects, then the statements, each signed here. */
int hps_remote_append(struct hps_ledger *l, const json_t *const *statements, size_t n, char (*ids)[65], uint64_t *indexes, struct hps_error *err) HPS_MUST;

/* ---- mirror.c, outlet.c: publication ----------------------------------------------------------------------------------------------------------- */

struct hps_publish {
	const char *target;	 /* a directory, or s3://BUCKET/PREFIX */
	const char *endpoint, *region, *credentials, *ca_file; /* of a bucket; credentials: a file with one line ID:SECRET */
	bool all;		 /* also what an earlier run has put there */
};
/* HPS_E_DAMAGED when more, or something else, is published there: nothing is changed then. What was withdrawn goes there, too. */
int hps_publish(struct hps_ledger *l, const struct hps_publish *options, uint64_t *ret_size, uint64_t *ret_files, struct hps_error *err) HPS_MUST;

struct hps_outlet {
	const struct hps_publish *o;
	int dirfd;	    /* of a directory, else -1 */
	char *base, *sigv4; /* of a bucket */
	struct hps_buf credentials;
};
int hps_outlet_open(struct hps_outlet *t, const struct hps_publish *o, struct hps_error *err) HPS_MUST;
void hps_outlet_close(struct hps_outlet *t); /* also when it could not be opened */
int hps_outlet_put(struct hps_outlet *t, const char *path, const struct hps_buf *bytes, struct hps_error *err) HPS_MUST;
int hps_outlet_get(struct hps_outlet *t, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err) HPS_MUST; /* HPS_E_NOTFOUND */
int hps_outlet_remove(struct hps_outlet *t, const char *path, struct hps_error *err) HPS_MUST; /* absent is no error */
int hps_outlet_sweep(const struct hps_outlet *t, struct hps_error *err) HPS_MUST; /* half-written files in a directory, after its checkpoint was put */

#endif
