"""A container engine that is not there: answers on a unix socket, or on a port that it prints, what Docker's API (v1.43: ContainerInspect,
ImageInspect), Podman's (v4 libpod: inspect) and Kubernetes' (v1: read Pod) document. usage: engine.py SOCKET|- docker|podman|kubernetes"""
import http.server
import json
import os
import socketserver
import sys

where, kind = sys.argv[1:3]
ID, IMAGE = "c" * 64, "sha256:" + "1" * 64
LAYERS = ["sha256:" + "a" * 64, "sha256:" + "b" * 64]
ANSWERS = {
    "/containers/%s/json" % ID: {"Id": ID, "Image": IMAGE, "Config": {"Image": "registry.example.org/team/train:latest"}, "Name": "/eager"},
    "/images/%s/json" % IMAGE: {"Id": IMAGE, "RepoDigests": ["registry.example.org/team/train@sha256:" + "2" * 64], "RootFS": {"Type": "layers", "Layers": LAYERS}},
}
if kind == "podman":
    ANSWERS["/libpod/containers/%s/json" % ID] = {"Id": ID, "ImageDigest": "sha256:" + "3" * 64}
if kind == "kubernetes":
    ANSWERS = {"/api/v1/namespaces/team-a/pods/trial-7": {"kind": "Pod", "status": {"containerStatuses": [
        {"name": "sidecar", "image": "side:1", "imageID": "side@sha256:" + "4" * 64, "containerID": "containerd://" + "d" * 64},
        {"name": "main", "image": "train:1", "imageID": "train@sha256:" + "5" * 64, "containerID": "containerd://" + ID}]}}}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = kind != "kubernetes" or self.headers.get("Authorization") == "Bearer token-of-the-account"
        body = json.dumps(ANSWERS.get(self.path, {"message": "No such container"})).encode()
        self.send_response((200 if self.path in ANSWERS else 404) if allowed else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

    def address_string(self):
        return "unix"


if where == "-":
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
else:
    server = socketserver.UnixStreamServer(where, Handler)
    print("ready", flush=True)
os.close(1)
server.serve_forever()
