"""A timestamp authority for tests: openssl ts behind HTTP. usage: tsa.py DIR (makes its keys there); prints its URL."""
import http.server, os, subprocess, sys

CONFIG = """
[tsa]
default_tsa = one
[one]
dir = .
serial = ./serial
crypto_device = builtin
signer_cert = ./tsa.pem
certs = ./ca.pem
signer_key = ./tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[ext]
extendedKeyUsage = critical,timeStamping
"""


def run(*words):
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def make_keys():
    open("ts.cnf", "w").write(CONFIG)
    open("serial", "w").write("01\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority", "-days", "30")
    run("openssl", "req", *curve, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=test tsa")
    run("openssl", "x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tsa.pem", "-days", "20",
        "-extfile", "ts.cnf", "-extensions", "ext")


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        query = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/replay" and os.path.exists("last.tsr"):
            reply = open("last.tsr", "rb").read()  # to another query
        else:
            open("query.tsq", "wb").write(query)
            run("openssl", "ts", "-reply", "-config", "ts.cnf", "-queryfile", "query.tsq", "-out", "last.tsr")
            reply = open("last.tsr", "rb").read()
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)


os.makedirs(sys.argv[1], exist_ok=True)
os.chdir(sys.argv[1])
make_keys()
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print("http://127.0.0.1:%d" % server.server_address[1], flush=True)
server.serve_forever()
