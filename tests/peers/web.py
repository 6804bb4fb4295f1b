"""A small HTTP server for tests: prints its port (or socket) and serves what each path asks for.
usage: web.py [--unix SOCKET] [--tls CERT KEY]
"""
import http.server, re, socketserver, ssl, sys, time

DATA = bytes(range(256)) * 1024  # 256 KiB
broken = set()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def address_string(self):
        return "client"

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def echo(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = [self.command, self.path] + ["%s: %s" % (k, v) for k, v in sorted(self.headers.items())]
        self.answer(200, "\n".join(seen).encode() + b"\n\n" + body, [("Content-Type", "text/x-echo")])

    def do_GET(self):
        headers = [("ETag", '"one"'), ("Accept-Ranges", "bytes")]
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        at = int(wanted[1]) if wanted else 0
        if self.path == "/echo":
            self.echo()
        elif self.path == "/redirect":
            self.answer(302, b"", [("Location", "/echo")])
        elif self.path == "/slow":
            time.sleep(5)
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(DATA)
            except OSError:
                self.close_connection = True
        elif self.path == "/headers":
            self.answer(200, b"", [("X-%d" % i, "y" * 8000) for i in range(60)])
        elif self.path == "/gzip":
            self.answer(200, b"\x1f\x8bnot really", [("Content-Encoding", "gzip")])
        elif self.path == "/whole":
            self.answer(200, DATA, headers)
        elif self.path == "/misplaced" and at:
            self.answer(206, DATA[at + 1:], [("Content-Range", "bytes %d-%d/%d" % (at + 1, len(DATA) - 1, len(DATA)))])
        elif self.path in ("/range", "/misplaced", "/breaks") and at >= len(DATA):
            self.answer(416, b"", [("Content-Range", "bytes */%d" % len(DATA))])
        elif self.path == "/breaks" and at < 200000:
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", "bytes %d-%d/%d" % (at, len(DATA) - 1, len(DATA)))
            self.send_header("ETag", '"one"')
            self.send_header("Content-Length", str(len(DATA) - at))
            self.end_headers()
            self.wfile.write(DATA[at:at + 100000])
            self.close_connection = True
        elif self.path in ("/range", "/misplaced", "/breaks"):
            if wanted:
                headers.append(("Content-Range", "bytes %d-%d/%d" % (at, len(DATA) - 1, len(DATA))))
            self.answer(206 if wanted else 200, DATA[at:], headers)
        elif self.path == "/forbidden":
            self.answer(403, b"the \x1b[31mkey\x1b[0m is not enrolled\nmore\n")
        else:
            self.answer(404, b"no such thing\n")

    do_HEAD = do_GET
    do_PUT = do_POST = do_DELETE = echo


class Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


# Clients go away in the middle here; that is what is tested.
socketserver.BaseServer.handle_error = lambda *args: None
arguments = sys.argv[1:]
if arguments[:1] == ["--unix"]:
    server = Unix(arguments[1], Handler)
    name = arguments[1]
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    name = server.server_address[1]
    if arguments[:1] == ["--tls"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments[1], arguments[2])
        server.socket = context.wrap_socket(server.socket, server_side=True)
print(name, flush=True)
server.serve_forever()
