"""Keys: who may, who may not, and that the answer gives nothing away."""
import hashlib
import sqlite3
import statistics
import string
import time
import unittest

from api.endpoints import ENDPOINTS, fixed_path
from lib import raw
from lib.paneld import create_key
from lib.wait import patient, until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


def checksum(checked):
    """Of the first 36 characters of a key."""
    number = int.from_bytes(hashlib.sha256(checked.encode()).digest()[:8], "big")
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits += (string.digits + string.ascii_uppercase + string.ascii_lowercase)[digit]
    return digits


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

    def refusals(self, *keys):
        answers = [WORLD.api.get("/api/users", key=key).refused(401) for key in keys]
        return {(answer.json["error"], answer.json["code"]) for answer in answers}

    def test_a_refusal_says_what_of_the_form_is_wrong(self):
        good = WORLD.panel.key
        for keys, word in (((None,), "missing"), (("",), "empty"),
                           (("x", flipped(good), good[:-1], good + "x", "panel_" + "0" * 36, f'"{good}"'), "mistyped")):
            told = self.refusals(*keys)
            self.assertEqual(len(told), 1, told)
            self.assertIn(word, str(told))
        answer = WORLD.api.get("/api/users", key=None, headers={"Authorization": "Basic eA=="})
        answer.refused(401, "unauthorized", says=("Bearer", "x-api-key"))
        WORLD.api.get("/api/users", key=None, headers={"Cookie": "panel_session=x"}).refused(401, says="log in again")

    def test_a_refusal_does_not_tell_which_keys_there_are_or_were(self):
        def made(**fields):
            return WORLD.api.post("/api/keys", {"name": "x", **fields}).expect(201).json
        revoked, rotated, expired = made(), made(), made(expiresIn=1)
        WORLD.api.delete(f"/api/keys/{revoked['id']}").expect(200)
        WORLD.api.post(f"/api/keys/{rotated['id']}/rotate").expect(200)
        until(lambda: WORLD.api.get("/api/users", key=expired["key"]).status == 401, 5, "it expires")
        of_another_panel = "panel_" + "0" * 30
        of_another_panel += checksum(of_another_panel)
        told = self.refusals(of_another_panel, *(key["key"] for key in (revoked, rotated, expired)))
        self.assertEqual(len(told), 1, told)
        self.assertIn("revoked", str(told))

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
