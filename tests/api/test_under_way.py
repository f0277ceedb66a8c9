"""A key ends, or may less, while its requests are under way."""
import contextlib
import json
import socket
import sqlite3
import threading
import unittest

from lib import raw
from lib.metrics import Scrape
from lib.wait import until
from lib.world import World

WORLD = None
PASSWORD = "correct horse"


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


def make(**fields):
    key = WORLD.api.post("/api/keys", {"name": "made", **fields}).expect(201).json
    WORLD.api.get("/api/auth/me", key=key["key"]).expect(200)  # its first use is written down
    return key


def revoke(key):
    return WORLD.api.delete(f"/api/keys/{key['id']}").expect(200)


class Slow:
    """A request whose head has been read, and whose body is still on its way."""

    def __init__(self, key, method, path, body):
        self.body = json.dumps(body).encode()
        head = raw.request(method, path, [("Host", "x"), ("x-api-key", key["key"]), ("Expect", "100-continue"),
                                          ("Content-Type", "application/json"), ("Connection", "close"),
                                          ("Content-Length", str(len(self.body)))])
        self.socket = socket.create_connection(("127.0.0.1", WORLD.panel.port), timeout=30)
        self.socket.sendall(head)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self.socket.recv(4096)
        assert got.startswith(b"HTTP/1.1 100"), got  # so it was let in

    def end(self):
        self.socket.sendall(self.body)
        got = b""
        while True:
            piece = self.socket.recv(65536)
            if not piece:
                break
            got += piece
        self.socket.close()
        answer = raw.parse(got)[0]
        return answer.status, json.loads(answer.body)


class Bodies(unittest.TestCase):
    def test_who_is_let_in_is_who_is_good_still(self):
        """Else a thief who is found out has half a minute to make himself another key."""
        for method, path, body in (("POST", "/api/keys", {"name": "second life"}),
                                   ("POST", "/api/getUser", {"type": "username", "value": "owner"}),
                                   ("PATCH", f"/api/users/{WORLD.user_id}", {"username": "changed"})):
            with self.subTest(path=path):
                key = make()
                slow = Slow(key, method, path, body)
                revoke(key)
                status, answer = slow.end()
                self.assertEqual((status, answer["code"]), (401, "unauthorized"))
                self.assertNotIn("owner", str(answer))
        self.assertNotIn("second life", str(WORLD.api.get("/api/keys").json))
        self.assertIn("owner", str(WORLD.api.users()))

    def test_it_may_what_it_may_then(self):
        key = make(scopes=["keys:write", "users:read"])
        slow = Slow(key, "POST", "/api/getUser", {"type": "username", "value": "owner"})
        WORLD.api.request("PATCH", f"/api/keys/{key['id']}", {"scopes": ["keys:write"]}).expect(200)
        status, answer = slow.end()
        self.assertEqual((status, answer["code"]), (403, "forbidden"))
        self.assertIn("users:read", answer["error"])

    def test_one_that_is_good_goes_through(self):
        key = make()
        slow = Slow(key, "POST", "/api/getUser", {"type": "username", "value": "owner"})
        revoke(make())
        self.assertEqual(slow.end()[0], 201)

    def test_the_attempt_is_in_the_audit(self):
        key = make()
        slow = Slow(key, "POST", "/api/keys", {"name": "second life"})
        revoke(key)
        self.assertEqual(slow.end()[0], 401)

        def row():
            return [r for r in WORLD.api.get("/api/audit", query={"key": key["id"]}).json if r["status"] == 401]
        self.assertEqual(until(row, 5, "it is written")[0]["path"], "/api/keys")


class Queued(unittest.TestCase):
    """What waits for the store's writer is done in its order, with what a key may by then."""

    @contextlib.contextmanager
    def writer_held(self):
        """Nothing is committed meanwhile: the database is locked."""
        db = sqlite3.connect(f"{WORLD.panel.data}/panel.db", isolation_level=None)
        try:
            db.execute("BEGIN IMMEDIATE")
            yield
            db.execute("ROLLBACK")
        finally:
            db.close()

    def queued(self):
        text = WORLD.api.get("/metrics").body.decode()
        rows = Scrape(text, False).families["panel_queue_length"].samples
        return [number for _, labels, number in rows if labels == {"queue": "store"}][0]

    def send(self, *args, **more):
        """On a thread of its own, and until it waits in the queue. A function that gives the answer."""
        count, got = self.queued(), []
        thread = threading.Thread(target=lambda: got.append(WORLD.api.request(*args, **more)))
        thread.start()
        until(lambda: self.queued() > count, 4, "it waits")

        def answer():
            thread.join(30)
            return got[0]
        return answer

    def test_behind_the_end_of_its_key(self):
        key = make()
        with self.writer_held():
            end = self.send("DELETE", f"/api/keys/{key['id']}", {})
            late = self.send("POST", "/api/keys", {"name": "too late"}, key=key["key"])
        end().expect(200)
        late().refused(401, "unauthorized")
        self.assertNotIn("too late", str(WORLD.api.get("/api/keys").json))

    def test_behind_the_loss_of_its_scopes(self):
        key = make(scopes=["keys:write", "users:read"])
        with self.writer_held():
            change = self.send("PATCH", f"/api/keys/{key['id']}", {"scopes": ["keys:write"]})
            late = self.send("POST", "/api/keys", {"name": "too much", "scopes": ["users:read"]}, key=key["key"],
                             headers={"Idempotency-Key": "too much"})
        change().expect(200)
        late().refused(403, "forbidden", says="send it again")
        self.assertNotIn("too much", str(WORLD.api.get("/api/keys").json))
        again = WORLD.api.post("/api/keys", {"name": "too much", "scopes": ["users:read"]}, key=key["key"],
                               headers={"Idempotency-Key": "too much"})
        again.refused(403, "forbidden", "scopes")  # and not the first answer

    def test_a_password_that_was_the_right_one_before(self):
        """Somebody knew it; an admin gives the user another; he doesn't undo that."""
        user = WORLD.add_user("knows")
        key = make(userId=user)
        with self.writer_held():
            reset = self.send("PATCH", f"/api/users/{user}", {"password": "an admin's horse"})
            late = self.send("PATCH", f"/api/users/{user}",
                             {"password": "a thief's horse", "currentPassword": PASSWORD}, key=key["key"])
        reset().expect(200)
        late().refused(403, "forbidden", "currentPassword")
        login = {"username": "knows", "password": "an admin's horse"}
        WORLD.api.post("/api/auth/login", login, key=None).expect(201)


if __name__ == "__main__":
    unittest.main()
