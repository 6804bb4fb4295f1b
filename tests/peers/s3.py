"""An S3 server for tests: takes PUT, GET and DELETE, and refuses what AWS Signature Version 4, computed here from the request as it came, does not cover.
usage: s3.py DIR ID SECRET REGION [METHOD...]; prints its URL. With methods all others are denied."""
import hashlib, hmac, http.server, os, re, sys, urllib.parse

folder, identity, secret, region, *allowed = sys.argv[1:]


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, text=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def signature(self, body):
        """None when the signature is right, else what is wrong."""
        m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
                         self.headers.get("Authorization", ""))
        if not m:
            return "no signature"
        who, day, where, names, signature = m.groups()
        if (who, where) != (identity, region):
            return "other credentials"
        names = names.split(";")
        if names != sorted(names) or "host" not in names or "x-amz-date" not in names or "x-amz-content-sha256" not in names:
            return "a header is not signed"
        digest = hashlib.sha256(body).hexdigest()
        if self.headers["x-amz-content-sha256"] != digest:
            return "other content"
        path, _, query = self.path.partition("?")
        if path != urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe="/-_.~"):
            return "the path is not encoded as it is signed"
        canonical = "\n".join([self.command, path, query] +
                              ["%s:%s" % (n, " ".join(self.headers[n].split())) for n in names] + ["", ";".join(names), digest])
        scope = "/".join([day, region, "s3", "aws4_request"])
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = mac(mac(mac(mac(("AWS4" + secret).encode(), day), region), "s3"), "aws4_request")
        return None if hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), signature) else "SignatureDoesNotMatch"

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        wrong = "AccessDenied" if allowed and self.command not in allowed else self.signature(body)
        if wrong:
            self.reply(403, wrong + "\n")
            return
        path = os.path.join(folder, os.path.normpath(urllib.parse.unquote(self.path).lstrip("/")))
        if self.command != "PUT" and not os.path.isfile(path):
            self.reply(404, "NoSuchKey\n")
        elif self.command == "GET":
            self.reply(200, open(path, encoding="utf-8").read())
        elif self.command == "DELETE":
            os.unlink(path)
            self.reply(204)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(body)
            with open(os.path.join(folder, "order"), "a") as f:
                f.write(self.path + "\n")
            self.reply(200)

    do_GET = do_DELETE = do_PUT


os.makedirs(folder, exist_ok=True)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("http://127.0.0.1:%d" % server.server_address[1], flush=True)
server.serve_forever()
