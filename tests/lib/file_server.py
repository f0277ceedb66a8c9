"""An HTTP server that tests have files downloaded from, as well and as badly as they want."""
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FileServer:
    """files: {path: bytes, or a function of the request's handler that answers it}."""

    def __init__(self, address="127.0.0.1"):
        self.address = address
        self.files = {}
        self.asked = []  # paths, in order
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.asked.append(self.path)
                found = server.files.get(self.path)
                try:
                    if callable(found):
                        found(self)
                    elif found is None:
                        give(self, b"there is no such file", 404)
                    else:
                        give(self, found)
                except OSError:
                    self.close_connection = True  # who asked has gone

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer((address, 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def port(self):
        return self._http.server_address[1]

    def url(self, path):
        return f"http://{self.address}:{self.port}{path}"


def give(handler, body, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def redirect(to):
    """An answer that leads elsewhere."""
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
    return answer


def unmeasured(body):
    """A body whose length nobody is told before."""
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True
    return answer


class Held:
    """Half of the body, and the rest when it is let go."""

    def __init__(self, body):
        self.body = body
        self.reached = threading.Event()
        self.go = threading.Event()

    def __call__(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(self.body)))
        handler.end_headers()
        half = len(self.body) // 2
        handler.wfile.write(self.body[:half])
        handler.wfile.flush()
        self.reached.set()
        self.go.wait(30)
        handler.wfile.write(self.body[half:])


class Failing:
    """A 503 so many times, then the body."""

    def __init__(self, times, body):
        self.left = times
        self.body = body

    def __call__(self, handler):
        if self.left:
            self.left -= 1
            give(handler, b"not now", 503)
        else:
            give(handler, self.body)
