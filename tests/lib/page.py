"""Shows /docs to headless Chromium: run by tests/docs-page, inside the sandbox."""
import http.server
import os
import re
import subprocess
import sys
import tempfile
import threading

from lib import openapi, places
from lib.paneld import Paneld

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--enable-logging=stderr", "--window-size=1300,1600"]


def look(url, *flags):
    """(the document as the browser has it, what it complained of)"""
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(["chromium", *FLAGS, f"--user-data-dir={profile}", *flags, url],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"chromium exited with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def serve_broken(page):
    """The page under a policy that doesn't allow its style: the browser has to complain."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", "default-src 'none'")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def check(panel, picture):
    page, complaints = look(f"{panel.url}/docs", "--dump-dom")
    assert not complaints, complaints
    wanted = {operation["operationId"] for item in openapi.load().document["paths"].values()
              for operation in item.values()}
    shown = set(re.findall(r'<article id="([^"]+)"', page))
    assert wanted <= shown, f"not shown: {wanted - shown}"
    _, complaints = look(serve_broken(page.encode()), "--dump-dom")
    assert any("Content Security Policy" in line for line in complaints), \
        "the browser doesn't complain of what its policy forbids, so its silence says nothing"
    if picture:
        look(f"{panel.url}/docs", f"--screenshot={os.path.abspath(picture)}")
    print(f"{len(wanted)} operations are shown, and the browser has nothing to complain of")


def main():
    panel = Paneld(places.fresh_dir("page")).start()
    try:
        check(panel, sys.argv[1])
        panel.stop()
    except BaseException:
        panel.kill()
        raise
    print("1 passed, 0 failed")


main()
