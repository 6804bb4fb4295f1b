/* Answering HTTP by libmicrohttpd: on a unix socket, on the loopback, or with TLS anywhere. What is asked is bounded in size, time and
 * number before the handler sees it. */
#include "core/core.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 256
#define CONNECTION_TIMEOUT_S 30
#define BODY_MAX ((size_t)1 << 20)
#define TLS_FILE_MAX ((size_t)1 << 20)

struct hps_server {
	struct MHD_Daemon *daemon;
	struct hps_serve_options options;
	char *address;
	char *socket_path; /* removed at the end */
	struct hps_buf certificate, key;
};

struct exchange {
	struct hps_buf body;
	bool started;
};

static enum MHD_Result send_reply(struct MHD_Connection *connection, const struct hps_serve_reply *reply)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(reply->body.len, reply->body.data, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result r;

	if (!response)
		abort();
	MHD_add_response_header(response, "Content-Type", reply->type ? reply->type : "text/plain; charset=utf-8");
	MHD_add_response_header(response, "Cache-Control", reply->cache ? reply->cache : "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	r = MHD_queue_response(connection, (unsigned)reply->status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, int status, const char *why)
{
	struct hps_serve_reply reply = { .status = status };
	enum MHD_Result r;

	hps_buf_init(&reply.body, BODY_MAX);
	hps_buf_addf(&reply.body, "%s\n", why);
	r = send_reply(connection, &reply);
	hps_buf_release(&reply.body);
	return r;
}

static enum MHD_Result answer(struct hps_server *s, struct MHD_Connection *connection, const char *url, const char *method, struct exchange *x)
{
	const char *authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
	struct hps_serve_request request = { .method = method, .path = url, .authorization = authorization, .body = x->body.data ? x->body.data : "", .body_len = x->body.len };
	struct hps_serve_reply reply = { .status = 200 };
	enum MHD_Result r;

	if (x->body.full)
		return refuse(connection, 413, "the body is too large");
	hps_buf_init(&reply.body, HPS_BUF_MAX);
	s->options.handle(s->options.arg, &request, &reply);
	r = send_reply(connection, &reply);
	hps_buf_release(&reply.body);
	return r;
}

/* Nothing behind a NUL would be seen of a path: it stays as it was written, which is the name of nothing. */
static size_t decode(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg;
	(void)connection;
	return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version, const char *data,
				  size_t *len, void **state)
{
	struct hps_server *s = arg;
	struct exchange *x = *state;

	(void)version;
	if (!x) {
		x = hps_alloc(sizeof *x);
		hps_buf_init(&x->body, s->options.max_body ? s->options.max_body : BODY_MAX);
		*state = x;
		return MHD_YES;
	}
	if (*len) {
		hps_buf_add(&x->body, data, *len);
		*len = 0;
		return MHD_YES;
	}
	return answer(s, connection, url, method, x);
}

static void on_end(void *arg, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *state;

	(void)arg;
	(void)connection;
	(void)why;
	if (x)
		hps_buf_release(&x->body);
	free(x);
	*state = NULL;
}

/* ---- where it listens ---- */

static int bind_unix(struct hps_server *s, const char *path, int *ret_fd, struct hps_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0)
		return hps_error_errno(err, "listening on '%s'", path);
	if (strlen(path) >= sizeof address.sun_path)
		return hps_error_set(err, HPS_E_USAGE, "listening on '%s': the path is too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	/* A socket that nobody listens on any more is of a server that was killed. */
	if (!lstat(path, &st) && S_ISSOCK(st.st_mode) && connect(fd, (struct sockaddr *)&address, sizeof address) && errno == ECONNREFUSED)
		unlink(path);
	close(hps_take_fd(&fd));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address))
		return hps_error_errno(err, "listening on '%s'", path);
	s->socket_path = hps_strdup(path);
	if (chmod(path, s->options.socket_mode ? s->options.socket_mode : 0600) || listen(fd, SOMAXCONN))
		return hps_error_errno(err, "listening on '%s'", path);
	s->address = hps_format("unix:%s:", path);
	*ret_fd = hps_take_fd(&fd);
	return 0;
}

/* HOST:PORT with a numeric IPv4 host; port 0 takes a free one. */
static int parse_address(const char *text, struct sockaddr_in *ret, struct hps_error *err)
{
	const char *colon = strrchr(text, ':');
	_cleanup_free_ char *host = colon ? hps_strndup(text, (size_t)(colon - text)) : NULL;
	uint64_t port;

	*ret = (struct sockaddr_in){ .sin_family = AF_INET };
	if (!host || inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &ret->sin_addr) != 1 || hps_parse_u64(colon + 1, 65535, &port))
		return hps_error_set(err, HPS_E_USAGE, "listening on '%s': it is neither unix:PATH nor ADDRESS:PORT", text);
	ret->sin_port = htons((uint16_t)port);
	return 0;
}

static int bind_inet(struct hps_server *s, const char *text, int *ret_fd, struct hps_error *err)
{
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address;
	socklen_t len = sizeof address;
	char host[INET_ADDRSTRLEN];
	int one = 1, r = parse_address(text, &address, err);

	if (r)
		return r;
	if (!s->options.certificate && (ntohl(address.sin_addr.s_addr) >> 24) != 127)
		return hps_error_set(err, HPS_E_DENIED, "listening on '%s': others can read along; give a certificate, or listen on 127.0.0.1", text);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) || bind(fd, (struct sockaddr *)&address, sizeof address) ||
	    getsockname(fd, (struct sockaddr *)&address, &len) || listen(fd, SOMAXCONN))
		return hps_error_errno(err, "listening on '%s'", text);
	inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
	s->address = hps_format("%s://%s:%u", s->options.certificate ? "https" : "http", host, ntohs(address.sin_port));
	*ret_fd = hps_take_fd(&fd);
	return 0;
}

static int read_tls(struct hps_server *s, struct hps_error *err)
{
	int r;

	if (!s->options.certificate)
		return 0;
	if (!s->options.key)
		return hps_error_set(err, HPS_E_USAGE, "serving with a certificate: its key is missing");
	r = hps_file_read(AT_FDCWD, s->options.certificate, TLS_FILE_MAX, &s->certificate, err);
	return r ? r : hps_file_read(AT_FDCWD, s->options.key, TLS_FILE_MAX, &s->key, err);
}

static int start(struct hps_server *s, int fd, struct hps_error *err)
{
	unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD | (s->options.certificate ? MHD_USE_TLS : 0u);
	struct MHD_OptionItem tls[] = { { MHD_OPTION_HTTPS_MEM_CERT, 0, s->certificate.data },
					{ MHD_OPTION_HTTPS_MEM_KEY, 0, s->key.data },
					{ MHD_OPTION_END, 0, NULL } };
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_end, s, MHD_OPTION_UNESCAPE_CALLBACK, decode, NULL,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_TIMEOUT_S,
				     MHD_OPTION_THREAD_POOL_SIZE, s->options.threads ? s->options.threads : 2u, MHD_OPTION_ARRAY,
				     s->options.certificate ? tls : none, MHD_OPTION_END);
	if (s->daemon)
		return 0;
	close(fd);
	return hps_error_set(err, HPS_E_UNDECIDED, "serving on '%s': the server does not start%s", s->address, s->options.certificate ? "; do certificate and key fit?" : "");
}

int hps_serve_start(const struct hps_serve_options *options, struct hps_server **ret, struct hps_error *err)
{
	struct hps_server *s = hps_alloc(sizeof *s);
	int fd = -1, r;

	s->options = *options;
	hps_buf_init(&s->certificate, TLS_FILE_MAX);
	hps_buf_init(&s->key, TLS_FILE_MAX);
	r = read_tls(s, err);
	if (!r)
		r = strncmp(options->listen, "unix:", 5) ? bind_inet(s, options->listen, &fd, err) : bind_unix(s, options->listen + 5, &fd, err);
	if (!r)
		r = start(s, fd, err);
	if (r)
		hps_serve_stop(s);
	else
		*ret = s;
	return r;
}

const char *hps_serve_address(const struct hps_server *s)
{
	return s->address;
}

void hps_serve_stop(struct hps_server *s)
{
	if (!s)
		return;
	if (s->daemon)
		MHD_stop_daemon(s->daemon); /* closes the socket, ends the threads */
	if (s->socket_path)
		unlink(s->socket_path);
	if (s->key.data)
		explicit_bzero(s->key.data, s->key.cap);
	hps_buf_release(&s->certificate);
	hps_buf_release(&s->key);
	free(s->socket_path);
	free(s->address);
	free(s);
}
