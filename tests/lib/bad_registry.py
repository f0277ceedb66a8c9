"""A registry on 127.0.0.1 that has every image, and hands out none, as the first part of its name says.

stops: half a layer, then nothing. slow: the layer, a little at a time, for half a minute. 500, 401,
garbage: the answer to each request for a manifest."""
import hashlib
import http.server
import json
import os
import threading
import time

LAYER_BYTES = 8 << 20
_LAYER = os.urandom(LAYER_BYTES)  # never arrives whole, so it needn't be a layer
_CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                      "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}).encode()


def _digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


_MANIFEST = json.dumps({
    "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
               "size": len(_CONFIG), "digest": _digest(_CONFIG)},
    "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "size": LAYER_BYTES, "digest": _digest(_LAYER)}]}).encode()


class BadRegistry:
    def __init__(self):
        self.over = threading.Event()

        class Handler(_Handler):
            registry = self
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"127.0.0.1:{self.server.server_address[1]}"

    def start(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()
        return self

    def stop(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry = None

    def log_message(self, *args):
        pass

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        mode = self.path.split("/")[2]
        if self.path == "/v2/":
            self.answer(200, b"{}")
        elif "/manifests/" in self.path and mode in ("500", "401"):
            self.answer(int(mode), b'{"errors":[{"code":"UNKNOWN","message":"not today"}]}')
        elif "/manifests/" in self.path:
            self.answer(200, b"\xff\x00garbage" if mode == "garbage" else _MANIFEST,
                        "application/vnd.docker.distribution.manifest.v2+json")
        elif self.path.endswith(_digest(_CONFIG)):
            self.answer(200, _CONFIG, "application/octet-stream")
        else:
            self.layer(mode)

    do_HEAD = do_GET

    def layer(self, mode):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(LAYER_BYTES))
        self.end_headers()
        if mode == "stops":
            self.wfile.write(_LAYER[:LAYER_BYTES // 2])
            self.registry.over.wait()
        for at in range(0, LAYER_BYTES, 1 << 16):
            if self.registry.over.is_set():
                return
            self.wfile.write(_LAYER[at:at + (1 << 16)])
            time.sleep(0.25)
