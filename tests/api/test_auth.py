"""Keys: who may, who may not, and that the answer gives nothing away."""
import sqlite3
import statistics
import time
import unittest

from api.endpoints import ENDPOINTS, fixed_path
from lib import raw
from lib.paneld import create_key
from lib.wait import patient
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


def flipped(key):
    """The key with its last character changed."""
    return key[:-1] + ("a" if key[-1] != "a" else "b")


class Keys(unittest.TestCase):
    def test_a_good_key_is_let_in(self):
        WORLD.api.get("/api/users").expect(200)

    def test_the_header_name_is_read_in_any_case(self):
        for name in ("X-API-KEY", "x-api-key", "X-Api-Key"):
            WORLD.api.get("/api/users", key=None, headers={name: WORLD.panel.key}).expect(200)

    def test_no_key(self):
        WORLD.api.get("/api/users", key=None).refused(401, code="unauthorized")

    def test_wrong_keys(self):
        good = WORLD.panel.key
        for key in ("", " ", "x", "panel_", good[:-1], good + "x", flipped(good), good.upper(),
                    good + "," + good, "a" * 5000, "Bearer " + good, "' OR 1=1 --"):
            with self.subTest(key=key[:60]):
                WORLD.api.get("/api/users", key=key).refused(401, code="unauthorized")

    def test_all_refusals_look_the_same(self):
        good = WORLD.panel.key
        bodies = set()
        for key in (None, "x", flipped(good), "panel_" + "0" * 36):
            answer = WORLD.api.get("/api/users", key=key).refused(401)
            bodies.add((answer.json["error"], answer.json["code"]))
        self.assertEqual(len(bodies), 1, bodies)

    def test_a_key_in_the_query_is_no_key(self):
        WORLD.api.get("/api/users", key=None, query={"x-api-key": WORLD.panel.key}).refused(401)

    def test_two_keys_in_one_request_are_refused(self):
        data = raw.request("GET", "/api/users", [("Host", "x"), ("x-api-key", "x"),
                                                 ("x-api-key", WORLD.panel.key),
                                                 ("Connection", "close")])
        answers, _ = raw.exchange("127.0.0.1", WORLD.panel.port, data)
        self.assertIn(answers[0].status, (400, 401))

    def test_each_endpoint_wants_a_key(self):
        for endpoint in ENDPOINTS:
            with self.subTest(endpoint=endpoint.name):
                if not endpoint.public:
                    WORLD.api.request(endpoint.method, fixed_path(endpoint), key=None).refused(401)
        public = [(e.method, e.path) for e in ENDPOINTS if e.public]
        self.assertEqual(public, [("POST", "/api/auth/login")])

    def test_a_revoked_and_an_expired_key_are_refused(self):
        revoked, expired = create_key(WORLD.panel.data, "revoked"), create_key(WORLD.panel.data, "old")
        later = create_key(WORLD.panel.data, "later")
        for key in (revoked, expired, later):
            WORLD.api.get("/api/users", key=key).expect(200)
        WORLD.panel.stop()
        with sqlite3.connect(WORLD.panel.data + "/panel.db") as db:
            now = int(time.time() * 1000)
            db.execute("UPDATE api_keys SET revoked_at=? WHERE name='revoked'", (now - 1000,))
            db.execute("UPDATE api_keys SET expires_at=? WHERE name='old'", (now - 1000,))
            db.execute("UPDATE api_keys SET expires_at=? WHERE name='later'", (now + 3600000,))
        db.close()
        WORLD.panel.start()
        WORLD.api.get("/api/users", key=revoked).refused(401)
        WORLD.api.get("/api/users", key=expired).refused(401)
        WORLD.api.get("/api/users", key=later).expect(200)

    def test_no_key_is_kept_in_clear(self):
        key = create_key(WORLD.panel.data, "secret")
        WORLD.api.get("/api/users", key=key).expect(200)
        for name in ("panel.db", "panel.db-wal"):
            with open(f"{WORLD.panel.data}/{name}", "rb") as stored:
                self.assertNotIn(key.encode(), stored.read(), name)


class Order(unittest.TestCase):
    """401 comes before anything else is looked at."""

    def test_before_404(self):
        WORLD.api.get("/api/nothing", key="x").refused(401)
        WORLD.api.get("/api", key="x").refused(401)
        WORLD.api.get("/api/", key="x").refused(401)

    def test_before_405(self):
        WORLD.api.request("PUT", "/api/users", key="x").refused(401)

    def test_before_415(self):
        WORLD.api.post("/api/getUser", raw=b"x", key="x",
                       headers={"Content-Type": "text/plain"}).refused(401)

    def test_before_400(self):
        WORLD.api.post("/api/getUser", raw=b"{nope", key="x").refused(401)

    def test_before_a_bad_query(self):
        WORLD.api.get("/api/users?limit=abc", key="x").refused(401)

    def test_before_413(self):
        WORLD.api.post("/api/getUser", raw=b"x" * (20 << 20), key="x").refused(401)

    def test_before_the_body_is_read(self):
        head = raw.request("POST", "/api/auth/create-user", [
            ("Host", "x"), ("x-api-key", "x"), ("Content-Type", "application/json"),
            ("Content-Length", "1000")])
        began = time.monotonic()
        answers, _ = raw.exchange("127.0.0.1", WORLD.panel.port, head, enough=1)
        raw.check_all(answers, self.id())
        self.assertEqual([a.status for a in answers], [401])
        self.assertLess(time.monotonic() - began, patient(1))

    def test_paths_outside_the_api_are_plainly_unknown(self):
        for path in ("/", "/index.html", "/apix", "/admin"):
            with self.subTest(path=path):
                WORLD.api.get(path, key=None).refused(404)


class Timing(unittest.TestCase):
    def test_no_key_takes_longer_to_refuse_than_another(self):
        good = WORLD.panel.key
        keys = {"none": None, "short": "x", "malformed": flipped(good),
                "unknown": "panel_" + "0" * 36, "of the right length": "x" * len(good)}
        times = {name: [] for name in keys}
        connection = WORLD.api.connect()
        for _ in range(150):
            for name, key in keys.items():
                answer = WORLD.api.get("/api/users", key=key, connection=connection)
                times[name].append(answer.expect(401).seconds)
        connection.close()
        medians = {name: statistics.median(values) for name, values in times.items()}
        # Loose enough for a busy machine; a lookup of the database alone would be far outside.
        self.assertLess(max(medians.values()), 2 * min(medians.values()) + 0.0005, medians)
