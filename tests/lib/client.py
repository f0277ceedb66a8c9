"""A plain HTTP client of the API, as a dashboard has one. Checks the rules of every answer."""
import http.client
import json
import ssl
import time
import urllib.parse

from lib import openapi, secrecy
from lib.rules import check_answer


class Answer:
    def __init__(self, status, headers, body, value, seconds):
        self.status = status
        self.headers = headers
        self.body = body
        self.json = value
        self.seconds = seconds

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"

    def expect(self, status):
        """self when the status is the expected one; AssertionError with the body otherwise."""
        wanted = status if isinstance(status, tuple) else (status,)
        if self.status not in wanted:
            raise AssertionError(f"status {self.status}, expected {status}: {self.body[:600]!r}")
        return self

    def refused(self, status, code=None, field=None, says=()):
        """expect() of an error, its code, its field, and words that its sentence must hold."""
        self.expect(status)
        if code is not None and self.json["code"] != code:
            raise AssertionError(f"code {self.json['code']!r}, expected {code!r}: {self.json}")
        if field is not None and self.json.get("field") != field:
            raise AssertionError(f"field {self.json.get('field')!r}, expected {field!r}: {self.json}")
        for word in says if isinstance(says, (tuple, list)) else (says,):
            if str(word).lower() not in self.json["error"].lower():
                raise AssertionError(f"the error doesn't say {word!r}: {self.json}")
        return self


_ABSENT = object()


class Client:
    def __init__(self, host, port, key=None, tls=None, timeout=30):
        self.host = host
        self.port = port
        self.key = key
        self.tls = tls  # an ssl.SSLContext
        self.timeout = timeout

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout,
                                               context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)

    def request(self, method, path, body=_ABSENT, headers=None, query=None, raw=None, key=_ABSENT,
                timeout=None, connection=None):
        """body: anything that json.dumps takes; raw: the body's bytes as they are."""
        sent = {}
        if key is _ABSENT:
            key = self.key
        if key is not None:
            sent["x-api-key"] = key
            secrecy.learn(key, "an API key")
        data = raw
        if body is not _ABSENT:
            data = json.dumps(body).encode()
            secrecy.learn_from(body)
        if data is not None:
            sent["Content-Type"] = "application/json"
        for name, value in (headers or {}).items():
            sent.pop(name, None)
            if value is not None:
                sent[name] = value
        target = path
        if query:
            target += "?" + urllib.parse.urlencode(query)
        own = connection is None
        connection = connection or self.connect()
        if timeout is not None:
            connection.timeout = timeout
        started = time.monotonic()
        try:
            try:
                connection.request(method, target, body=data, headers=sent)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it may answer before it has read all, and must have then
            answer = connection.getresponse()
            stream = answer.headers.get("Content-Type") == "text/event-stream"
            got = b"" if stream else answer.read()  # lib/events.py reads those
        finally:
            if own:
                connection.close()
        seconds = time.monotonic() - started
        if method == "HEAD" or stream:
            return Answer(answer.status, answer.headers, got, None, seconds)
        what = f"{method} {path}"
        value = check_answer(answer.status, answer.headers, got, what)
        openapi.check(method, path, answer.status, value)
        secrecy.learn_from(value)
        return Answer(answer.status, answer.headers, got, value, seconds)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=_ABSENT, **more):
        return self.request("POST", path, body=body, **more)

    def delete(self, path, body=_ABSENT, **more):
        return self.request("DELETE", path, body=body, **more)

    # The lists, and one row of each.

    def users(self):
        return self.get("/api/users").expect(200).json

    def nodes(self):
        return self.get("/api/nodes").expect(200).json

    def images(self):
        return self.get("/api/images").expect(200).json

    def instances(self):
        return self.get("/api/instances").expect(200).json

    def node(self, node_id):
        for node in self.nodes():
            if node["id"] == node_id:
                return node
        raise AssertionError(f"node {node_id} is not in the list")

    def instance(self, instance_id):
        return self.post("/api/getInstance", {"id": instance_id}).expect(200).json


def trusting(certificate_path):
    return ssl.create_default_context(cafile=certificate_path)
