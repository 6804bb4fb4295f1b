/* Requests against a server that answers well, badly and not at all (tests/peers/web.py). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WHOLE ((size_t)256 << 10)

struct server {
	pid_t pid;
	char *name; /* port or socket */
};

static void serve(struct server *s, const char *option, const char *first, const char *second)
{
	const char *source = getenv("HPS_SOURCE");
	_cleanup_free_ char *script = hps_format("%s/tests/peers/web.py", source ? source : ".");
	char line[256] = "";
	int ends[2];
	FILE *out;

	assert_int_equal(pipe(ends), 0);
	s->pid = fork();
	if (!s->pid) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execl("/usr/bin/python3", "python3", script, option, first, second, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	out = fdopen(ends[0], "r");
	assert_non_null(fgets(line, sizeof line, out));
	fclose(out);
	line[strcspn(line, "\n")] = '\0';
	s->name = hps_strdup(line);
}

static void stop(struct server *s)
{
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	free(s->name);
}

static int start(void **state)
{
	struct server *s = hps_alloc(sizeof *s);

	serve(s, NULL, NULL, NULL);
	*state = s;
	return 0;
}

static int end(void **state)
{
	stop(*state);
	free(*state);
	return 0;
}

static char *url_of(void **state, const char *path)
{
	return hps_format("http://127.0.0.1:%s%s", ((struct server *)*state)->name, path);
}

static void test_methods_and_bodies(void **state)
{
	static const char *const headers[] = { "Content-Type: text/plain", "X-Test: yes", NULL };
	_cleanup_free_ char *url = url_of(state, "/echo");
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	_cleanup_(hps_http_reply_release) struct hps_http_reply get = { 0 }, post = { 0 }, put = { 0 };

	assert_ok(hps_http(&(struct hps_http_request){ 0 }, url, &body, &get, err));
	assert_int_equal(get.status, 200);
	assert_string_equal(get.type, "text/x-echo");
	assert_memory_equal(body.data, "GET /echo", 3);
	assert_null(strstr(body.data, "Accept-Encoding"));
	assert_ok(hps_http(&(struct hps_http_request){ .body = "a\0b", .body_len = 3, .headers = headers }, url, &body, &post, err));
	assert_memory_equal(body.data, "POST\n", 5);
	assert_non_null(strstr(body.data, "X-Test: yes"));
	assert_memory_equal(body.data + body.len - 3, "a\0b", 3);
	assert_ok(hps_http(&(struct hps_http_request){ .method = "PUT", .body = "", .body_len = 0 }, url, &body, &put, err));
	assert_memory_equal(body.data, "PUT\n", 4);
}

static void test_refusals_have_their_codes(void **state)
{
	_cleanup_free_ char *forbidden = url_of(state, "/forbidden"), *missing = url_of(state, "/missing");
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	_cleanup_(hps_http_reply_release) struct hps_http_reply one = { 0 }, two = { 0 };
	_cleanup_error_ struct hps_error e = HPS_ERROR_INIT;

	assert_ok(hps_http(&(struct hps_http_request){ 0 }, forbidden, &body, &one, err));
	assert_int_equal(one.status, 403);
	assert_int_equal(body.len, 0);
	assert_int_equal(hps_http_expect(&one, forbidden, &e), HPS_E_DENIED);
	assert_non_null(strstr(e.message, "is not enrolled"));
	assert_null(strchr(e.message, '\033'));
	assert_ok(hps_http(&(struct hps_http_request){ 0 }, missing, &body, &two, err));
	assert_fails(HPS_E_NOTFOUND, hps_http_expect(&two, missing, err));
}

static void test_limits(void **state)
{
	static const char *const split[] = { "X: a\r\nY: b", NULL };
	_cleanup_free_ char *endless = url_of(state, "/endless"), *slow = url_of(state, "/slow"), *whole = url_of(state, "/whole"),
			    *headers = url_of(state, "/headers");
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };

	assert_fails(HPS_E_LIMIT, hps_http(&(struct hps_http_request){ .max = 1 << 20 }, endless, &body, &reply, err));
	assert_fails(HPS_E_LIMIT, hps_http(&(struct hps_http_request){ .max = WHOLE - 1 }, whole, &body, &reply, err));
	assert_ok(hps_http(&(struct hps_http_request){ .max = WHOLE }, whole, &body, &reply, err));
	assert_int_equal(body.len, WHOLE);
	assert_fails(HPS_E_LIMIT, hps_http(&(struct hps_http_request){ 0 }, headers, &body, &(struct hps_http_reply){ 0 }, err));
	assert_fails(-ETIMEDOUT, hps_http(&(struct hps_http_request){ .timeout_ns = 300000000 }, slow, &body, &(struct hps_http_reply){ 0 }, err));
	assert_fails(-ECONNREFUSED, hps_http(&(struct hps_http_request){ 0 }, "http://127.0.0.1:1/", &body, &(struct hps_http_reply){ 0 }, err));
	assert_fails(HPS_E_USAGE, hps_http(&(struct hps_http_request){ 0 }, "file:///etc/passwd", &body, &(struct hps_http_reply){ 0 }, err));
	assert_fails(HPS_E_USAGE, hps_http(&(struct hps_http_request){ .headers = split }, whole, &body, &(struct hps_http_reply){ 0 }, err));
}

/* A proxy that is not there would be a refused connection. */
static void test_environment_is_not_read(void **state)
{
	_cleanup_free_ char *url = url_of(state, "/echo");
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	assert_ok(hps_http(&(struct hps_http_request){ 0 }, url, &body, &reply, err));
	assert_fails(-ECONNREFUSED, hps_http(&(struct hps_http_request){ .proxies = true }, url, &body, &(struct hps_http_reply){ 0 }, err));
	unsetenv("http_proxy");
}

static void test_redirects_only_when_asked(void **state)
{
	_cleanup_free_ char *url = url_of(state, "/redirect");
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	_cleanup_(hps_http_reply_release) struct hps_http_reply one = { 0 }, two = { 0 };

	assert_ok(hps_http(&(struct hps_http_request){ 0 }, url, &body, &one, err));
	assert_int_equal(one.status, 302);
	assert_ok(hps_http(&(struct hps_http_request){ .redirects = 1 }, url, &body, &two, err));
	assert_int_equal(two.status, 200);
	assert_string_equal(two.type, "text/x-echo");
}

static void test_encodings_stay(void **state)
{
	_cleanup_free_ char *url = url_of(state, "/gzip");
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };

	assert_ok(hps_http(&(struct hps_http_request){ 0 }, url, &body, &reply, err));
	assert_int_equal(body.len, 12);
}

static void holds_whole(int fd)
{
	uint8_t data[4096];
	size_t at = 0;
	ssize_t n;

	while ((n = pread(fd, data, sizeof data, (off_t)at)) > 0)
		for (ssize_t i = 0; i < n; i++, at++)
			assert_int_equal(data[i], at & 255);
	assert_int_equal(at, WHOLE);
}

/* File with `have` right bytes in it, then the rest from path. */
static void download(void **state, const char *path, size_t have)
{
	_cleanup_free_ char *url = url_of(state, path);
	_cleanup_fd_ int fd = memfd_create("download", MFD_CLOEXEC);

	for (size_t i = 0; i < have; i++)
		assert_int_equal(write(fd, &(uint8_t){ (uint8_t)i }, 1), 1);
	assert_ok(hps_http_download(&(struct hps_http_request){ 0 }, url, fd, err));
	holds_whole(fd);
}

static void test_downloads(void **state)
{
	_cleanup_free_ char *misplaced = url_of(state, "/misplaced"), *missing = url_of(state, "/missing");
	_cleanup_fd_ int fd = memfd_create("download", MFD_CLOEXEC);

	download(state, "/range", 0);
	download(state, "/range", 1000);
	download(state, "/range", WHOLE);     /* all there */
	download(state, "/range", WHOLE + 5); /* of something else */
	download(state, "/whole", 1000);      /* a server without ranges */
	download(state, "/breaks", 0);	      /* goes on after each break */
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_fails(HPS_E_FORMAT, hps_http_download(&(struct hps_http_request){ 0 }, misplaced, fd, err));
	assert_fails(HPS_E_NOTFOUND, hps_http_download(&(struct hps_http_request){ 0 }, missing, fd, err));
}

static void test_unix_socket(void **state)
{
	char dir[] = "/tmp/hps-unit.XXXXXX";
	_cleanup_free_ char *socket = hps_format("%s/s", mkdtemp(dir)), *url = hps_format("unix:%s:/echo", socket);
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	struct server s;

	(void)state;
	serve(&s, "--unix", socket, NULL);
	assert_ok(hps_http(&(struct hps_http_request){ .body = "x", .body_len = 1 }, url, &body, &reply, err));
	assert_memory_equal(body.data, "POST\n/echo\n", 11);
	stop(&s);
	assert_ok(hps_dir_remove(AT_FDCWD, dir, err));
}

/* Nobody's certificate is refused; the same is accepted when it is the authority that was given. */
static void test_certificates(void **state)
{
	char dir[] = "/tmp/hps-unit.XXXXXX";
	_cleanup_free_ char *key = hps_format("%s/key.pem", mkdtemp(dir)), *cert = hps_format("%s/cert.pem", dir), *url = NULL;
	const char *const argv[] = { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
				     "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", NULL };
	_cleanup_buf_ struct hps_buf body = HPS_BUF_INIT;
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	struct server s;
	int status;

	(void)state;
	assert_ok(hps_run(&(struct hps_run){ .argv = argv, .quiet = true }, NULL, &status, err));
	assert_int_equal(status, 0);
	serve(&s, "--tls", cert, key);
	url = hps_format("https://127.0.0.1:%s/echo", s.name);
	assert_fails(HPS_E_SIGNATURE, hps_http(&(struct hps_http_request){ 0 }, url, &body, &(struct hps_http_reply){ 0 }, err));
	assert_ok(hps_http(&(struct hps_http_request){ .ca_file = cert }, url, &body, &reply, err));
	assert_int_equal(reply.status, 200);
	stop(&s);
	assert_ok(hps_dir_remove(AT_FDCWD, dir, err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods_and_bodies),
		cmocka_unit_test(test_refusals_have_their_codes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_environment_is_not_read),
		cmocka_unit_test(test_redirects_only_when_asked),
		cmocka_unit_test(test_encodings_stay),
		cmocka_unit_test(test_downloads),
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_certificates),
	};

	return cmocka_run_group_tests(tests, start, end);
}
