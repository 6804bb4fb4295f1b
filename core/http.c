/* Requests over HTTP by libcurl: bounded in bytes and time, to a buffer or a descriptor. Nothing is read from the environment, no
 * cookie is kept, no redirect followed and no content encoding undone unless the caller asks. */
#include "core/core.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIMEOUT_NS ((int64_t)60 * 1000000000)
#define CONNECT_TIMEOUT_MS 10000L
#define BODY_MAX ((size_t)64 << 20)
#define HEADERS_MAX ((size_t)256 << 10)
#define REFUSAL_MAX 4096 /* of what a server says when it does not send what was asked for */
#define RESUMES 5

struct transfer {
	CURL *curl;
	const struct hps_http_request *request;
	const char *url;
	struct curl_slist *headers;
	struct hps_buf *body;	 /* or to a descriptor: */
	int fd;			 /* -1: none */
	uint64_t at, max;	 /* offset in fd; the ceiling of either */
	size_t header_bytes;
	bool started, over, misplaced;
	int write_errno;
	uint64_t range_from, total;
	bool has_range;
	char *validator; /* ETag of what fd holds the beginning of */
	struct hps_http_reply reply;
};

void hps_http_reply_release(struct hps_http_reply *r)
{
	free(r->type);
	free(r->etag);
	hps_buf_release(&r->refusal);
	memset(r, 0, sizeof *r);
}

/* ---- what comes back ---- */

/* The value of header `name`, trimmed, or NULL. */
static char *header_value(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	len -= n + 1;
	while (len && (*line == ' ' || *line == '\t'))
		line++, len--;
	while (len && strchr(" \t\r\n", line[len - 1]))
		len--;
	return hps_strndup(line, len);
}

static void replace(char **to, char *value)
{
	if (!value)
		return;
	free(*to);
	*to = value;
}

/* "bytes FROM-TO/TOTAL", or without a range in a 416. */
static void read_range(struct transfer *t, const char *value)
{
	const char *dash = value ? strchr(value, '-') : NULL;
	_cleanup_free_ char *from = NULL;

	if (value && !strncmp(value, "bytes */", 8) && hps_parse_u64(value + 8, INT64_MAX, &t->total))
		t->total = 0;
	if (!dash || strncmp(value, "bytes ", 6) != 0)
		return;
	from = hps_strndup(value + 6, (size_t)(dash - value) - 6);
	t->has_range = !hps_parse_u64(from, INT64_MAX, &t->range_from);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	_cleanup_free_ char *range = NULL;
	size_t len = size * n;

	t->header_bytes += len;
	if (t->header_bytes > HEADERS_MAX) {
		t->over = true;
		return 0;
	}
	if (len > 5 && !strncmp(line, "HTTP/", 5)) { /* of a redirect or a 100 before: only the last answer counts */
		free(hps_take(t->reply.type));
		free(hps_take(t->reply.etag));
		t->has_range = false;
	}
	replace(&t->reply.type, header_value(line, len, "content-type"));
	replace(&t->reply.etag, header_value(line, len, "etag"));
	range = header_value(line, len, "content-range");
	read_range(t, range);
	return len;
}

/* Where the bytes of a good answer go. A server may answer a request for a range with the whole. */
static bool start(struct transfer *t)
{
	t->started = true;
	if (t->fd < 0)
		return true;
	if (t->reply.status == 206 && t->has_range && t->range_from == t->at)
		return true;
	if (t->reply.status == 206) {
		t->misplaced = true;
		return false;
	}
	t->at = 0;
	if (!ftruncate(t->fd, 0))
		return true;
	t->write_errno = errno;
	return false;
}

static bool write_fd(struct transfer *t, const char *data, size_t len)
{
	while (len) {
		ssize_t n = pwrite(t->fd, data, len, (off_t)t->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			t->write_errno = n ? errno : EIO;
			return false;
		}
		data += n;
		len -= (size_t)n;
		t->at += (uint64_t)n;
	}
	return true;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;
	long status = 0;

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	t->reply.status = (int)status;
	if (status < 200 || status > 299) {
		size_t room = REFUSAL_MAX - t->reply.refusal.len;

		hps_buf_add(&t->reply.refusal, data, len < room ? len : room);
		return len;
	}
	if (!t->started && !start(t))
		return 0;
	if (len > t->max - (t->fd < 0 ? t->body->len : t->at)) {
		t->over = true;
		return 0;
	}
	if (t->fd >= 0)
		return write_fd(t, data, len) ? len : 0;
	hps_buf_add(t->body, data, len);
	return len;
}

/* ---- what is asked ---- */

/* unix:SOCKET:/PATH; everything else is http or https. */
static char *split_unix(const char *url, char **ret_socket)
{
	const char *colon = strncmp(url, "unix:", 5) ? NULL : strstr(url + 5, ":/"); /* a path may have colons, too */

	if (strncmp(url, "unix:", 5) != 0)
		return NULL;
	if (!colon) {
		*ret_socket = hps_strdup(url + 5);
		return hps_strdup("http://localhost/");
	}
	*ret_socket = hps_strndup(url + 5, (size_t)(colon - url) - 5);
	return hps_format("http://localhost%s", colon + 1);
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

static int add_headers(struct transfer *t, struct hps_error *err)
{
	/* No 100-continue; but libcurl 7.88 would sign the header that it then does not send. */
	if (!t->request->sigv4)
		t->headers = curl_slist_append(NULL, "Expect:");
	if (t->at && t->validator) {
		_cleanup_free_ char *same = hps_format("If-Range: %s", t->validator);

		t->headers = curl_slist_append(t->headers, same);
	}
	for (size_t i = 0; t->request->headers && t->request->headers[i]; i++) {
		if (has_control(t->request->headers[i]))
			return hps_error_set(err, HPS_E_USAGE, "asking '%s': a header has a control character in it", t->url);
		t->headers = curl_slist_append(t->headers, t->request->headers[i]);
	}
	curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
	return 0;
}

static void set_body(struct transfer *t)
{
	const struct hps_http_request *q = t->request;
	const char *method = q->method ? q->method : q->body ? "POST" : "GET";

	if (q->body) {
		curl_easy_setopt(t->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
		curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, q->body_len ? q->body : "");
		curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, method);
	} else if (!strcmp(method, "HEAD")) {
		curl_easy_setopt(t->curl, CURLOPT_NOBODY, 1L);
	} else if (strcmp(method, "GET") != 0) {
		curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, method);
	}
}

static void set_limits(struct transfer *t)
{
	const struct hps_http_request *q = t->request;
	int64_t ms = (q->timeout_ns ? q->timeout_ns : TIMEOUT_NS) / 1000000;
	bool https = !strncasecmp(t->url, "https:", 6);

	curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS, (long)(ms ? ms : 1));
	curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT_MS, ms < CONNECT_TIMEOUT_MS ? (long)(ms ? ms : 1) : CONNECT_TIMEOUT_MS);
	curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(t->curl, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
	curl_easy_setopt(t->curl, CURLOPT_FOLLOWLOCATION, q->redirects ? 1L : 0L);
	curl_easy_setopt(t->curl, CURLOPT_MAXREDIRS, (long)q->redirects);
	curl_easy_setopt(t->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!q->proxies)
		curl_easy_setopt(t->curl, CURLOPT_PROXY, "");
	if (q->ca_file)
		curl_easy_setopt(t->curl, CURLOPT_CAINFO, q->ca_file);
	if (q->sigv4) {
		curl_easy_setopt(t->curl, CURLOPT_AWS_SIGV4, q->sigv4);
		curl_easy_setopt(t->curl, CURLOPT_USERPWD, q->credentials);
	}
}

static int prepare(struct transfer *t, struct hps_error *err)
{
	_cleanup_free_ char *socket = NULL, *over_socket = split_unix(t->url, &socket);
	char range[32];
	int r;

	if (has_control(t->url))
		return hps_error_set(err, HPS_E_USAGE, "asking a server: the URL has a control character in it");
	r = add_headers(t, err);
	if (r)
		return r;
	curl_easy_setopt(t->curl, CURLOPT_URL, over_socket ? over_socket : t->url);
	if (socket)
		curl_easy_setopt(t->curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	if (t->at) {
		snprintf(range, sizeof range, "%llu-", (unsigned long long)t->at);
		curl_easy_setopt(t->curl, CURLOPT_RANGE, range);
	}
	set_body(t);
	set_limits(t);
	curl_easy_setopt(t->curl, CURLOPT_USERAGENT, "hps/" HPS_VERSION);
	curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
	return 0;
}

/* ---- what went wrong ---- */

static int code_of(CURLcode c)
{
	switch (c) {
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ECONNREFUSED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
		return HPS_E_SIGNATURE;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return HPS_E_USAGE;
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
		return -ECONNRESET;
	default:
		return -EIO;
	}
}

static int explain(const struct transfer *t, CURLcode c, const char *detail, struct hps_error *err)
{
	if (t->over)
		return hps_error_set(err, HPS_E_LIMIT, "asking '%s': the answer is larger than the %llu bytes allowed", t->url, (unsigned long long)t->max);
	if (t->misplaced)
		return hps_error_set(err, HPS_E_FORMAT, "asking '%s': the server sent another range than the one asked for", t->url);
	if (t->write_errno) {
		errno = t->write_errno;
		return hps_error_errno(err, "asking '%s': writing what comes", t->url);
	}
	return hps_error_set(err, code_of(c), "asking '%s': %s", t->url, *detail ? detail : curl_easy_strerror(c));
}

static int perform(struct transfer *t, struct hps_error *err)
{
	char detail[CURL_ERROR_SIZE] = "";
	CURLcode c = CURLE_OK;
	long status = 0;
	int r;

	t->curl = curl_easy_init();
	if (!t->curl)
		abort();
	curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, detail);
	r = prepare(t, err);
	if (!r) {
		c = curl_easy_perform(t->curl);
		curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
		t->reply.status = (int)status;
	}
	if (!r && c != CURLE_OK)
		r = explain(t, c, detail, err);
	curl_slist_free_all(hps_take(t->headers));
	curl_easy_cleanup(hps_take(t->curl));
	return r;
}

/* ---- the calls ---- */

int hps_http(const struct hps_http_request *request, const char *url, struct hps_buf *ret_body, struct hps_http_reply *ret, struct hps_error *err)
{
	struct transfer t = { .request = request, .url = url, .body = ret_body, .fd = -1, .max = request->max ? request->max : BODY_MAX };
	int r;

	hps_buf_reset(ret_body);
	if (ret_body->max < t.max)
		t.max = ret_body->max;
	hps_buf_init(&t.reply.refusal, REFUSAL_MAX + 1);
	r = perform(&t, err);
	if (r) {
		hps_http_reply_release(&t.reply);
		return r;
	}
	*ret = t.reply;
	return 0;
}

static int download_once(struct transfer *t, struct hps_error *err)
{
	t->started = t->over = t->misplaced = t->has_range = false;
	t->total = 0;
	t->header_bytes = 0;
	hps_buf_reset(&t->reply.refusal);
	return perform(t, err);
}

int hps_http_download(const struct hps_http_request *request, const char *url, int fd, struct hps_error *err)
{
	struct transfer t = { .request = request, .url = url, .fd = fd, .max = request->max ? request->max : BODY_MAX };
	_cleanup_error_ struct hps_error broken = HPS_ERROR_INIT;
	struct stat s;
	int r;

	if (fstat(fd, &s))
		return hps_error_errno(err, "asking '%s': looking at what is there already", url);
	t.at = (uint64_t)s.st_size;
	hps_buf_init(&t.reply.refusal, REFUSAL_MAX + 1);
	r = download_once(&t, &broken);
	for (unsigned i = 0; r == -ECONNRESET && i < RESUMES; i++) {
		hps_error_release(&broken);
		replace(&t.validator, hps_take(t.reply.etag));
		r = download_once(&t, &broken);
	}
	if (!r && t.reply.status == 416 && t.at && t.total == t.at) {
		t.reply.status = 200; /* it was all there */
	} else if (!r && t.reply.status == 416 && t.at) {
		t.at = 0; /* what is there is of something else */
		r = download_once(&t, &broken);
	}
	r = r ? hps_error_set(err, r, "%s", broken.message) : hps_http_expect(&t.reply, url, err);
	hps_http_reply_release(&t.reply);
	free(t.validator);
	return r;
}

int hps_http_expect(const struct hps_http_reply *reply, const char *url, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf said = HPS_BUF_INIT;
	int code = reply->status == 404 || reply->status == 410 ? HPS_E_NOTFOUND :
		   reply->status == 401 || reply->status == 403 ? HPS_E_DENIED : HPS_E_UNDECIDED;

	if (reply->status >= 200 && reply->status <= 299)
		return 0;
	if (reply->refusal.len)
		hps_term_escape(&said, reply->refusal.data, strcspn(reply->refusal.data, "\r\n"));
	return hps_error_set(err, code, "asking '%s': the server answers %d%s%.300s", url, reply->status, said.len ? ": " : "", said.len ? said.data : "");
}
