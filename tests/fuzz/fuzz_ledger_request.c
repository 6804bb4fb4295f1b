/* Requests to a witness and to a shared ledger: the first line is method and path, the rest the body. Nothing is ever cosigned, appended or
 * stored, for nothing is signed by a key that is known. */
#include "ledger/ledger.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hps_witness *witness;
static struct hps_service *service;
static struct hps_ledger *ledger;
static char dir[] = "/tmp/hps-fuzz.XXXXXX";

static void stop(void)
{
	hps_witness_free(witness);
	hps_service_free(service);
	hps_ledger_close(ledger);
	(void)!hps_dir_remove(AT_FDCWD, dir, NULL);
}

static void start(void)
{
	_cleanup_free_ char *a = NULL, *b = NULL;
	struct hps_ledger_init init = { .origin = "example.com/foo" };

	if (!mkdtemp(dir) || setenv("XDG_STATE_HOME", dir, 1))
		abort();
	a = hps_format("%s/witness", dir);
	b = hps_format("%s/ledger", dir);
	if (hps_witness_create(a, "w.example", NULL, NULL) || hps_witness_add_log(a, "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", NULL) ||
	    hps_witness_open(a, NULL, &witness, NULL) || hps_ledger_create(b, &init, NULL) || hps_ledger_open(b, HPS_LEDGER_APPEND, NULL, &ledger, NULL))
		abort();
	service = hps_service_new(ledger, NULL);
	atexit(stop);
}

static void send(void (*handle)(void *, const struct hps_serve_request *, struct hps_serve_reply *), void *arg, char *line, const char *body, size_t len)
{
	char *save = NULL, *method = strtok_r(line, " ", &save), *path = strtok_r(NULL, " ", &save), *authorization = strtok_r(NULL, "", &save);
	struct hps_serve_request request = { .method = method ? method : "GET", .path = path ? path : "/", .authorization = authorization, .body = body, .body_len = len };
	struct hps_serve_reply reply = { .status = 200 };

	hps_buf_init(&reply.body, HPS_BUF_MAX);
	handle(arg, &request, &reply);
	if (reply.status == 200 && strcmp(request.method, "GET") != 0 && strcmp(request.method, "HEAD") != 0)
		abort();
	hps_buf_release(&reply.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *feed = size ? memchr(data, '\n', size) : NULL;
	size_t line = feed ? (size_t)(feed - data) : size;
	_cleanup_free_ char *one = hps_strndup((const char *)data, line), *two = hps_strdup(one);
	const char *body = feed ? (const char *)feed + 1 : "";
	size_t len = feed ? size - line - 1 : 0;

	if (!witness)
		start();
	send(hps_witness_handle, witness, one, body, len);
	send(hps_service_handle, service, two, body, len);
	return 0;
}
