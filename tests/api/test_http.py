"""Rules for every endpoint that are about HTTP itself."""
import http.client
import json
import unittest

from api.endpoints import ENDPOINTS, fixed_path
from lib import raw
from lib.wait import patient
from lib.world import World

WORLD = None
METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH")


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


class Paths(unittest.TestCase):
    def test_unknown_paths_are_404_as_json(self):
        for path in ("/api", "/api/", "/api/user", "/api/users/x/y", "/api/Users", "/api/users/",
                     "/api/instances/x/y", "/api/instances/x/logs/y", "/api/instances/suspend/",
                     "/api/instances/suspend/a/b", "/api/..", "/api/./users",
                     "/favicon.ico", "/login", "/API/users"):
            with self.subTest(path=path):
                WORLD.api.get(path).refused(404, code="not_found")

    def test_escapes_in_a_path_are_decoded_once(self):
        WORLD.api.get("/api/%75sers").expect(200)
        WORLD.api.get("/api/%2575sers").refused(404)

    def test_each_other_method_is_405_and_names_the_right_one(self):
        by_path = {}
        for endpoint in ENDPOINTS:
            by_path.setdefault(fixed_path(endpoint), set()).add(endpoint.method)
        for path, allowed in by_path.items():
            for method in METHODS:
                if method in allowed:
                    continue
                with self.subTest(path=path, method=method):
                    answer = WORLD.api.request(method, path).refused(405, code="method_not_allowed")
                    said = {m.strip() for m in answer.headers["Allow"].split(",")}
                    self.assertTrue(allowed <= said <= allowed | {"HEAD", "OPTIONS"}, said)

    def test_strange_methods_are_refused(self):
        for method in ("OPTIONS", "TRACE", "CONNECT", "FOO", "get"):
            with self.subTest(method=method):
                data = raw.request(method, "/api/users", [
                    ("Host", "x"), ("x-api-key", WORLD.panel.key), ("Connection", "close")])
                answers, closed = raw.exchange("127.0.0.1", WORLD.panel.port, data)
                raw.check_all(answers, method)
                self.assertIn(answers[0].status if answers else 400, (400, 404, 405, 501))
                self.assertTrue(closed)


class MediaTypes(unittest.TestCase):
    def ask(self, media, body=b'{"type":"id","value":"nobody"}'):
        return WORLD.api.post("/api/getUser", raw=body, headers={"Content-Type": media})

    def test_json_is_known_in_all_its_spellings(self):
        for media in ("application/json", "Application/JSON", "application/json; charset=utf-8",
                      "application/json;charset=UTF-8", 'application/json; charset="utf-8"',
                      "application/json ; x=y"):
            with self.subTest(media=media):
                self.ask(media).refused(400, code="user_not_found")

    def test_others_are_415(self):
        for media in ("text/plain", "text/json", "application/x-www-form-urlencoded",
                      "application/xml", "multipart/form-data; boundary=x", "application/jsonx",
                      "application/javascript", "json", "*/*"):
            with self.subTest(media=media):
                self.ask(media).refused(415)

    def test_a_body_without_a_media_type_is_no_riddle(self):
        self.ask(None).refused((400, 415))

    def test_an_absent_body_is_an_empty_object(self):
        WORLD.api.post("/api/getUser").refused(400, field="type")
        WORLD.api.post("/api/getUser", raw=b"").refused(400, field="type")


class RequestIds(unittest.TestCase):
    def test_a_sane_one_comes_back(self):
        for name in ("abc", "a-b_c.1", "4f9c3a52-5c8e-4a51-9f5e-6a6d6b6a7c11", "x" * 64):
            answer = WORLD.api.get("/api/users", headers={"X-Request-Id": name}).expect(200)
            self.assertEqual(answer.headers["X-Request-Id"], name)

    def test_it_is_in_errors_too(self):
        answer = WORLD.api.get("/api/nothing", headers={"X-Request-Id": "mine"}).refused(404)
        self.assertEqual(answer.json["requestId"], "mine")
        answer = WORLD.api.get("/api/users", key=None, headers={"X-Request-Id": "mine"}).refused(401)
        self.assertEqual(answer.json["requestId"], "mine")

    def test_others_are_replaced(self):
        for name in ("x" * 65, "x" * 5000, "a b", 'a"b', "a\tb", "<script>", "\xe9", "a,b;c=d{}"):
            with self.subTest(name=name[:70]):
                answer = WORLD.api.get("/api/users", headers={"X-Request-Id": name})
                if answer.status == 200:
                    self.assertNotEqual(answer.headers["X-Request-Id"], name)
                else:
                    answer.refused(400)

    def test_ours_are_unique(self):
        ids = {WORLD.api.get("/api/users").headers["X-Request-Id"] for _ in range(100)}
        self.assertEqual(len(ids), 100)


class Connections(unittest.TestCase):
    def test_one_connection_serves_many_requests(self):
        connection = WORLD.api.connect()
        for _ in range(50):
            WORLD.api.get("/api/users", connection=connection).expect(200)
            WORLD.api.get("/api/nothing", connection=connection).expect(404)
            WORLD.api.post("/api/getUser", {}, connection=connection).expect(400)
        connection.close()

    def test_pipelined_requests_are_answered_in_order(self):
        def one(name):
            return raw.request("GET", "/api/users", [("Host", "x"), ("x-api-key", WORLD.panel.key),
                                                     ("X-Request-Id", name)])
        answers, _ = raw.exchange("127.0.0.1", WORLD.panel.port,
                                  b"".join(one(f"r{n}") for n in range(20)), enough=20)
        self.assertEqual([a.headers.get("X-Request-Id") for a in answers],
                         [f"r{n}" for n in range(20)])

    def test_http_1_0_is_served_and_closed(self):
        data = raw.request("GET", "/api/users", [("x-api-key", WORLD.panel.key)], version="HTTP/1.0")
        answers, closed = raw.exchange("127.0.0.1", WORLD.panel.port, data)
        self.assertEqual([a.status for a in answers], [200])
        self.assertTrue(closed)

    def test_expect_100_continue_is_answered_at_once(self):
        body = b'{"type":"id","value":"nobody"}'
        head = raw.request("POST", "/api/getUser", [
            ("Host", "x"), ("x-api-key", WORLD.panel.key), ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))), ("Expect", "100-continue")])
        answers, _ = raw.exchange("127.0.0.1", WORLD.panel.port, head + body, enough=1)
        self.assertEqual([a.status for a in answers], [400])

    def test_a_body_in_chunks_is_read(self):
        body = b'{"type":"id","value":"nobody"}'
        pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        data = raw.request("POST", "/api/getUser", [
            ("Host", "x"), ("x-api-key", WORLD.panel.key), ("Content-Type", "application/json"),
            ("Transfer-Encoding", "chunked")]) + pieces
        answers, _ = raw.exchange("127.0.0.1", WORLD.panel.port, data, enough=1)
        self.assertEqual(json.loads(answers[0].body)["code"], "user_not_found")

    def test_head_gives_no_body(self):
        answer = WORLD.api.request("HEAD", "/api/users")
        self.assertIn(answer.status, (200, 405))
        self.assertEqual(answer.body, b"")

    def test_a_client_that_hangs_up_in_the_middle_harms_nobody(self):
        body = json.dumps({"username": "gone", "email": "gone@example.test",
                           "password": "long enough"}).encode()
        for cut in range(0, len(body), 7):
            data = raw.request("POST", "/api/auth/create-user", [
                ("Host", "x"), ("x-api-key", WORLD.panel.key), ("Content-Type", "application/json"),
                ("Content-Length", str(len(body)))]) + body[:cut]
            raw.exchange("127.0.0.1", WORLD.panel.port, data, timeout=0.02)
        self.assertNotIn("gone", [u["username"] for u in WORLD.api.users()])

    def test_many_connections_that_say_nothing_keep_nobody_out(self):
        import socket
        idle = [socket.create_connection(("127.0.0.1", WORLD.panel.port)) for _ in range(300)]
        try:
            self.assertLess(WORLD.api.get("/api/users").expect(200).seconds, patient(2))
        finally:
            for sock in idle:
                sock.close()
        self.assertIsInstance(idle, list)


class Compression(unittest.TestCase):
    def test_an_encoded_body_is_not_taken_for_json(self):
        import gzip
        packed = gzip.compress(b'{"type":"id","value":"nobody"}')
        answer = WORLD.api.post("/api/getUser", raw=packed, headers={"Content-Encoding": "gzip"})
        self.assertIn(answer.status, (400, 415))

    def test_a_client_that_asks_for_gzip_can_read_the_answer(self):
        connection = http.client.HTTPConnection("127.0.0.1", WORLD.panel.port)
        connection.request("GET", "/api/users", headers={"x-api-key": WORLD.panel.key,
                                                         "Accept-Encoding": "gzip, br"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.headers.get("Content-Encoding") is None:
            json.loads(body)
