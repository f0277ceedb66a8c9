"""A panel that answers what a test says, for answers that the real one gives rarely or never."""
import collections
import http.server
import json
import threading

Asked = collections.namedtuple("Asked", "method path headers body")


class FakePanel:
    """answers: (method, path without its query) → a list of answers, of which the last stays. An answer
    is (status, value) or (status, value, headers); "lost": the request is read, and the connection cut;
    a function of the request that gives one of these."""

    def __init__(self, tls=None):
        self.answers = {}
        self.default = (404, {"error": "No such path.", "code": "not_found", "requestId": "r"})
        self.asked = []
        panel = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def serve(self):
                panel._serve(self)
            do_GET = do_POST = do_PATCH = do_DELETE = serve

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                pass  # clients go whenever they like
        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_address[1]}"

    def on(self, method, path, *answers):
        self.answers[method, path] = list(answers)
        return self

    def start(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02},
                         daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def of(self, method, path):
        """The requests so far."""
        return [one for one in self.asked if (one.method, one.path.split("?")[0]) == (method, path)]

    def _serve(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = Asked(handler.command, handler.path, handler.headers, body)
        self.asked.append(asked)
        waiting = self.answers.get((asked.method, asked.path.split("?")[0]), [self.default])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if callable(answer):
            answer = answer(asked)
        if answer == "lost":
            handler.close_connection = True
            return
        status, value, *more = answer
        headers = more[0] if more else {}
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        handler.send_response_only(status)
        given = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(data)),
                 "Date": handler.date_time_string()}
        for name, text in {**given, **headers}.items():
            if text is not None:
                handler.send_header(name, text)
        handler.end_headers()
        handler.wfile.write(data)
