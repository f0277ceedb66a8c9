"""The matrix of bad input: for each endpoint each way to be wrong. The answer is a clear error,
soon; nothing is written; the panel lives on."""
import json
import statistics
import unittest

from api.endpoints import (BOOL, ENDPOINTS, ID, LINE, LOOSE, OBJECT, PORTS, RANGE, RATIOS, SECRET,
                           SIZE, TEXT, unknown_id)
from lib import raw
from lib.wait import patient
from lib.world import World

SOON = 1.0  # seconds, on a loaded machine and with sanitizers; the bench looks closer
WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def written():
    """What the lists show, without what changes by itself."""
    return ([(u["userId"], u["username"], u["admin"]) for u in WORLD.api.users()],
            [(n["id"], n["name"]) for n in WORLD.api.nodes()],
            [i["Id"] for i in WORLD.api.images()],
            [(i["Id"], i["suspended"]) for i in WORLD.api.instances()])


class Case(unittest.TestCase):
    """One endpoint; the subclass has it."""
    endpoint = None

    @classmethod
    def setUpClass(cls):
        # A request that would succeed; since each test's is refused, one serves them all.
        cls.path, cls.body = cls.endpoint.make(WORLD)
        cls.before = written()

    def tearDown(self):
        before, now = self.before, written()
        type(self).before = now  # a later test is not to blame
        self.assertEqual(now, before, "something was written")

    def send(self, body=None, data=None, **more):
        if data is None and body is not None:
            data = json.dumps(body).encode()
        return WORLD.api.request(more.pop("method", self.endpoint.method),
                                 more.pop("path", self.path), raw=data, **more)

    def refuse(self, status, field=None, **request):
        answer = self.send(**request)
        answer.refused(status, field=field)
        self.assertLess(answer.seconds, patient(SOON), "took long to say no")
        return answer

    def with_value(self, field, value):
        return {**self.body, field: value}


# --- not JSON, or not an object ---------------------------------------------------------------

BROKEN_BODIES = {
    "not JSON": b"{nope",
    "half an object": b'{"a":1',
    "an array": b"[]",
    "a string": b'"x"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "trailing text": b"{} x",
    "two objects": b"{}{}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "bad UTF-8": b'{"zz":"\xff\xfe"}',
    "overlong UTF-8": b'{"zz":"\xc0\xaf"}',
    "a raw NUL": b'{"zz":"\x00"}',
    "a NUL after the object": b"{}\x00",
    "an escaped NUL": b'{"zz":"\\u0000"}',
    "an escaped NUL in a name": b'{"z\\u0000z":1}',
    "half a surrogate pair": b'{"zz":"\\ud800"}',
    "a raw control character": b'{"zz":"\x01"}',
    "NaN": b'{"zz":NaN}',
    "a number too large": b'{"zz":1e999}',
    "an integer too large": b'{"zz":99999999999999999999999999}',
    "a comment": b'{/* */}',
    "single quotes": b"{'a':1}",
    "blanks only": b"   \r\n ",
    "duplicate names": b'{"zz":1,"zz":1}',
    "duplicate names inside": b'{"zz":{"a":1,"a":2}}',
    "deep arrays": b'{"zz":' + b"[" * 100000 + b"]" * 100000 + b"}",
    "deep objects": b'{"zz":' * 50000 + b"1" + b"}" * 50000,
    "deep and never closed": b"[" * 200000,
}


def _broken_body(data):
    def test(self):  # of strangers less is read
        long = self.endpoint.public and len(data) > 16384
        self.refuse(413 if long else 400, data=data)
    return test


# --- one field wrong --------------------------------------------------------------------------

WRONG_TYPES = {
    TEXT: {"an object": {}, "an array": ["x"], "true": True},
    ID: {"an object": {}, "an array": ["x"], "true": True},
    LOOSE: {"an object": {}, "an array": ["x"]},
    LINE: {"an object": {}, "an array": ["x"], "two lines": "a\nb", "a carriage return": "a\rb"},
    SECRET: {"an object": {}, "an array": ["x" * 8], "true": True},
    BOOL: {"an object": {}, "an array": [True], "a word": "maybe", "seven": 7},
    SIZE: {"an object": {}, "an array": [1], "true": True, "a word": "abc", "a sign": "-5",
           "negative": -5, "a plus": "+5", "hexadecimal": "0x10", "an exponent": "1e3",
           "words after": "5 apples"},
    PORTS: {"an object": {}, "an array": ["80:80"], "true": True, "a word": "abc", "three parts":
            "1:2:3", "too large": "80:65536", "container too large": "65536:80", "negative":
            "80:-1", "container 0": "0:8080", "another protocol": "80:8080/sctp", "a comma at the end":
            "80:8080,", "two commas": "80:8080,,81:8081", "no container": ":8080", "no host": "80:",
            "a plus": "80:+81", "one host port twice": "80:8080,81:8080"},
    RANGE: {"an object": {}, "an array": ["1-2"], "true": True, "one port": 25000, "a word": "abc",
            "the higher first": "2000-1000", "too large": "1-65536", "port 0": "0-10", "empty": "",
            "half of one": "1000-", "three parts": "1-2-3", "negative": "-1-2"},
    RATIOS: {"an array": [1], "true": True, "a number": 2, "a word": "abc", "too small":
             {"memory": 0.01}, "nothing": {"cpu": 0}, "too large": {"cpu": 101}, "negative":
             {"memory": -1}, "a ratio that is a word": {"cpu": "much"}, "a ratio that is true":
             {"cpu": True}, "a ratio that is an object": {"cpu": {}}},
    OBJECT: {"an array": [1], "true": True, "a word": "abc", "a text that holds an array": "[]",
             "a value that is an object": {"A": {}}, "an empty name": {"": "x"},
             "a name with =": {"A=B": "x"}},
}

LONG = "x" * (1 << 20)
CONTROL = {"newline": "a\nb", "escape": "a\x1bb", "delete": "a\x7fb", "tab": "a\tb"}


def _wrong_value(named, value, field=None):
    """named: the field that the error must name."""
    def test(self):
        self.refuse(400, field=named, body=self.with_value(field or named, value))
    return test


def _long_value(field):
    def test(self):
        self.refuse((400, 413), body=self.with_value(field, LONG))
    return test


def _missing(field):
    def test(self):
        self.refuse(400, field=field, body={k: v for k, v in self.body.items() if k != field})
    return test


def _unknown_id(field):
    def test(self):
        self.refuse(400, body=self.with_value(field, unknown_id()))
    return test


def _no_body(self):
    answer = self.refuse(400)
    self.assertIn(answer.json.get("field"), self.endpoint.required)


def _unknown_in_path(self):
    self.refuse(400, path=self.endpoint.path.replace("{id}", unknown_id()))


def _id_differs(self):
    self.refuse(400, field="id", body={"id": unknown_id()})


# --- the request itself -----------------------------------------------------------------------

def _too_large(self):
    self.refuse(413, data=b'{"zz":"' + b"x" * (20 << 20) + b'"}')


def _too_large_in_chunks(self):
    head = raw.request(self.endpoint.method, self.path, [
        ("Host", "x"), ("x-api-key", WORLD.panel.key), ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked")])
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answers, closed = raw.exchange("127.0.0.1", WORLD.panel.port, head + piece * 320 + b"0\r\n\r\n",
                                   enough=1, timeout=15)
    raw.check_all(answers, self.id())
    self.assertTrue(answers or closed)
    for answer in answers:
        self.assertEqual(answer.status, 413)


def _wrong_media_type(media_type):
    def test(self):
        self.refuse(415, body=self.body, headers={"Content-Type": media_type})
    return test


def _wrong_method(method):
    def test(self):
        answer = self.refuse(405, method=method)
        self.assertIn(self.endpoint.method, [m.strip() for m in answer.headers["Allow"].split(",")])
    return test


def _wrong_path(change):
    def test(self):
        answer = self.refuse((400, 404, 405), path=change(self.path))
        if answer.status == 400:  # it is a path, of something that isn't there
            self.assertTrue(answer.json["code"].endswith("_not_found"), answer)
    return test


def _wrong_key(headers):
    def test(self):
        self.refuse(401, body=self.body, key=None, headers=headers)
    return test


def _smuggled(headers, body):
    def test(self):
        pairs = [("Host", "x"), ("x-api-key", WORLD.panel.key), ("Content-Type", "application/json")]
        # What would be a second request, if the first one's end were misread.
        hidden = raw.request("POST", "/api/auth/create-user", pairs + [
            ("Content-Length", str(len(HIDDEN)))], HIDDEN)
        data = raw.request(self.endpoint.method, self.path, pairs)[:-2]
        data += headers + b"\r\n" + body + hidden
        answers, closed = raw.exchange("127.0.0.1", WORLD.panel.port, data, timeout=5)
        raw.check_all(answers, self.id())
        self.assertEqual([a.status for a in answers], [400])
        self.assertTrue(closed, "the connection was kept")
    return test


HIDDEN = b'{"username":"smuggled","email":"smuggled@example.test","password":"long enough"}'
SMUGGLED = {
    "two lengths that differ": (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{} "),
    "two lengths that agree": (b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}"),
    "length and chunks": (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "chunks and length": (b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    "a blank before the colon": (b"Content-Length : 2\r\n", b"{}"),
    "a folded header": (b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "an unknown encoding": (b"Transfer-Encoding: gzip\r\n", b"0\r\n\r\n"),
    "a list of lengths": (b"Content-Length: 2, 2\r\n", b"{}"),
    "a negative length": (b"Content-Length: -2\r\n", b"{}"),
    "a signed length": (b"Content-Length: +2\r\n", b"{}"),
    "a hexadecimal length": (b"Content-Length: 0x2\r\n", b"{}"),
}


# --- all of it, for each endpoint -------------------------------------------------------------

METHODS = {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


def _class_for(endpoint):
    tests = {}

    def add(name, test):
        tests["test_" + name.replace(" ", "_")] = test

    for name, value in {"no key": {}, "an unknown key": {"x-api-key": "panel_" + "a" * 36},
                        "a malformed key": {"x-api-key": "'; DROP TABLE users; --"},
                        "an empty key": {"x-api-key": ""}}.items():
        if not endpoint.public:
            add(name, _wrong_key(value))
    for method in ("GET", "POST", "DELETE", "PUT", "PATCH"):
        if (method, endpoint.path) not in METHODS:
            add(f"method {method}", _wrong_method(method))
    for name, change in {"with a slash behind": lambda p: p + "/", "with more behind":
                         lambda p: p + "/x", "in capitals": lambda p: p.upper(),
                         "with a double slash": lambda p: p.replace("/api/", "/api//", 1)}.items():
        add(f"a path {name}", _wrong_path(change))
    for name, (headers, body) in SMUGGLED.items():
        add(f"smuggling by {name}", _smuggled(headers, body))

    if endpoint.reads_body:
        for name, data in BROKEN_BODIES.items():
            add(f"a body that is {name}", _broken_body(data))
        add("20 MiB of body", _too_large)
        add("20 MiB of body in chunks", _too_large_in_chunks)
        for name, media in {"text": "text/plain", "a form": "application/x-www-form-urlencoded",
                            "parts": "multipart/form-data; boundary=x"}.items():
            add(f"media type of {name}", _wrong_media_type(media))
    if endpoint.required:
        add("no body", _no_body)
    if "{id}" in endpoint.path:
        add("an unknown id in the path", _unknown_in_path)
    if "{id}" in endpoint.path and "id" in endpoint.fields:
        add("another id in the body", _id_differs)
    for field, kind in endpoint.fields.items():
        wrong = dict(WRONG_TYPES[kind])
        if field in endpoint.required:
            if kind != LINE:
                wrong["empty"] = ""
            wrong["null"] = None
            add(f"{field} is missing", _missing(field))
        if field == "id" and "{id}" in endpoint.path:
            continue
        if field == "primary":
            wrong["none of the ports"] = "1"
        for name, value in wrong.items():
            add(f"{field} is {name}", _wrong_value(field, value))
        for name, value in CONTROL.items() if kind in (TEXT, ID) else ():
            add(f"{field} has a {name}", _wrong_value(None if kind == ID else field, value, field))
        if kind != BOOL:
            add(f"{field} is 1 MiB long", _long_value(field))
        if kind == ID:
            add(f"{field} is unknown", _unknown_id(field))
            # Wherever a sentence that quotes it is cut short, no character may be cut in two.
            for shift in range(4):
                add(f"{field} is a long row of emoji, shifted by {shift}",
                    _wrong_value(None, "x" * shift + "😀" * 200, field))
    return type("".join(w.capitalize() for w in endpoint.name.split()), (Case,),
                {"endpoint": endpoint, **tests})


for _endpoint in ENDPOINTS:
    _class = _class_for(_endpoint)
    globals()[_class.__name__] = _class
del _class, _endpoint


class Speed(unittest.TestCase):
    def test_a_refusal_waits_for_no_disk(self):
        """Beside it in the same run, what is refused for its path alone."""
        refused, floor = [], []
        connection = WORLD.api.connect()
        for _ in range(10):
            for endpoint in ENDPOINTS:
                if endpoint.reads_body:
                    for body in (b"{nope", b"[]", b'{"id":{},"type":[],"username":7,"image":[]}'):
                        path = endpoint.path.replace("{id}", unknown_id())
                        refused.append(WORLD.api.request(endpoint.method, path, raw=body,
                                                         connection=connection).refused(400).seconds)
                        floor.append(WORLD.api.request("POST", "/api/nothing", raw=body,
                                                       connection=connection).refused(404).seconds)
        connection.close()
        self.assertLess(statistics.median(refused), 4 * statistics.median(floor))
