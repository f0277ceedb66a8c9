"""Idempotency-Key: the work once, the same answer again."""
import concurrent.futures
import hashlib
import hmac
import itertools
import json
import sqlite3
import unittest

from lib.paneld import create_key
from lib.world import World

WORLD = None
_numbers = itertools.count(1)


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def user_body(name=None):
    name = name or f"u{next(_numbers)}"
    return {"username": name, "email": f"{name}@example.test", "password": "long enough"}


def keyed(key, path, body, method="POST", **more):
    return WORLD.api.request(method, path, body, headers={"Idempotency-Key": key}, **more)


def fresh():
    return f"key-{next(_numbers)}"


class Replay(unittest.TestCase):
    def same(self, path, body, status, method="POST"):
        key = fresh()
        first = keyed(key, path, body, method).expect(status)
        again = keyed(key, path, body, method).expect(status)
        self.assertEqual(again.body, first.body)
        return key, first

    def test_of_a_user(self):
        body = user_body()
        self.same("/api/auth/create-user", body, 201)
        self.assertEqual(sum(u["username"] == body["username"] for u in WORLD.api.users()), 1)

    def test_of_a_node_with_its_token(self):
        count = len(WORLD.api.nodes())
        _, first = self.same("/api/nodes/create", {
            "name": "n", "tags": "t", "ram": "1", "disk": "1", "processor": "p",
            "address": "127.0.0.1", "port": "1234"}, 201)
        self.assertIn("joinToken", first.json)
        self.assertEqual(len(WORLD.api.nodes()), count + 1)

    def test_of_an_image(self):
        self.same("/api/images/create", {"Name": "keyed", "Image": "x"}, 201)

    def test_of_a_deploy(self):
        count = len(WORLD.api.instances())
        self.same("/api/instances/deploy", WORLD.spec(), 201)
        self.assertEqual(len(WORLD.api.instances()), count + 1)

    def test_of_a_deploy_with_another_wait(self):
        """How long to wait for the answer is no part of what is asked for."""
        count = len(WORLD.api.instances())
        for first, again in ((None, 30), (30, None), (30, 5)):
            with self.subTest(first=first, again=again):
                key, body, count = fresh(), WORLD.spec(), count + 1
                one, two = (keyed(key, "/api/instances/deploy", body, timeout=60,
                                  query={"wait": wait} if wait else None).expect(201)
                            for wait in (first, again))
                self.assertEqual(two.body, one.body)
                self.assertEqual(len(WORLD.api.instances()), count)

    def test_of_a_retry_with_another_wait(self):
        WORLD.engine.start_error = "scripted failure"
        try:
            failed = WORLD.api.post("/api/instances/deploy", WORLD.spec(),
                                    query={"wait": 30}).refused(500).json["details"]["instanceId"]
        finally:
            WORLD.engine.start_error = None
        key, path = fresh(), f"/api/instances/{failed}/retry"
        first = keyed(key, path, {}, query={"wait": 30}).expect(200)
        self.assertEqual(keyed(key, path, {}, query={"wait": 60}).expect(200).body, first.body)

    def test_of_a_delete(self):
        instance = WORLD.deploy()["Id"]
        self.same("/api/instance/delete", {"id": instance}, 201, "DELETE")
        node = WORLD.create_node()["id"]
        self.same("/api/nodes/delete", {"nodeId": node}, 201, "DELETE")

    def test_of_a_delete_by_query(self):
        node = WORLD.create_node()["id"]
        for _ in range(2):
            WORLD.api.delete("/api/nodes/delete", query={"nodeId": node},
                             headers={"Idempotency-Key": f"query-{node}"}).expect(201)

    def test_of_a_suspend(self):
        instance = WORLD.deploy()["Id"]
        self.same(f"/api/instances/suspend/{instance}", {}, 200)

    def test_of_a_refusal(self):
        body = user_body()
        WORLD.api.post("/api/auth/create-user", body).expect(201)
        key = fresh()
        first = keyed(key, "/api/auth/create-user", body).refused(409)
        again = keyed(key, "/api/auth/create-user", body).refused(409)
        self.assertEqual(again.json["code"], first.json["code"])

    def test_of_a_refusal_names_the_request_that_it_answers(self):
        """Else nobody finds that request in the log. The client looks at requestId."""
        port = WORLD.deploy()["Primary"]
        key, body = fresh(), WORLD.spec(host_port=port)
        first, again = (keyed(key, "/api/instances/deploy", body).refused(400) for _ in range(2))
        self.assertEqual(again.headers.get("Idempotent-Replayed"), "true")
        self.assertNotEqual(again.json["requestId"], first.json["requestId"])
        del again.json["requestId"], first.json["requestId"]
        self.assertEqual(again.json, first.json)

    def test_of_a_deploy_that_failed(self):
        WORLD.engine.start_error = "Bind for 127.0.0.1:1 failed: port is already allocated"
        try:
            key, body = fresh(), WORLD.spec()
            for _ in range(2):
                keyed(key, "/api/instances/deploy", body, query={"wait": 30}).refused(
                    500, code="port_in_use")
        finally:
            WORLD.engine.start_error = None

    def test_over_a_restart_of_the_panel(self):
        body = user_body()
        key = fresh()
        first = keyed(key, "/api/auth/create-user", body).expect(201)
        WORLD.panel.restart()
        self.assertEqual(keyed(key, "/api/auth/create-user", body).expect(201).body, first.body)
        WORLD.await_status(WORLD.node_id, "Online")

    def test_over_a_crash_of_the_panel(self):
        body = user_body()
        key = fresh()
        first = keyed(key, "/api/auth/create-user", body).expect(201)
        WORLD.panel.crash()
        self.assertEqual(keyed(key, "/api/auth/create-user", body).expect(201).body, first.body)
        WORLD.await_status(WORLD.node_id, "Online")

    def test_without_a_key_each_is_for_itself(self):
        body = user_body()
        WORLD.api.post("/api/auth/create-user", body).expect(201)
        WORLD.api.post("/api/auth/create-user", body).expect(409)


class Secrets(unittest.TestCase):
    def test_a_password_can_not_be_guessed_at_with_the_database(self):
        body = json.dumps({"username": "guessed", "email": "guessed@example.test",
                           "password": "correct horse"}).encode()
        WORLD.api.request("POST", "/api/auth/create-user", raw=body,
                          headers={"Idempotency-Key": "guess"}).expect(201)
        with sqlite3.connect(f"file:{WORLD.panel.data}/panel.db?mode=ro", uri=True) as db:
            digest = db.execute("SELECT digest FROM answers WHERE key = 'guess'").fetchone()[0]
            known = [row[0] for row in db.execute("SELECT hash FROM secrets")]
        for method in ("0", "1", "2", "POST"):
            text = f"{method}\n/api/auth/create-user\n\n".encode() + body
            self.assertNotEqual(digest, hashlib.sha256(text).hexdigest())
            for key in known:
                self.assertNotEqual(digest, hmac.new(key, text, hashlib.sha256).hexdigest())


class Misuse(unittest.TestCase):
    def test_another_body_is_409(self):
        key = fresh()
        keyed(key, "/api/auth/create-user", user_body()).expect(201)
        other = user_body()
        keyed(key, "/api/auth/create-user", other).refused(409, code="idempotency_key_reused")
        self.assertNotIn(other["username"], [u["username"] for u in WORLD.api.users()])

    def test_another_path_is_409(self):
        key = fresh()
        keyed(key, "/api/auth/create-user", user_body()).expect(201)
        keyed(key, "/api/images/create", {"Name": "elsewhere", "Image": "x"}) \
            .refused(409, code="idempotency_key_reused")

    def test_another_query_of_a_delete_is_409(self):
        first, second = WORLD.create_node()["id"], WORLD.create_node()["id"]
        key = {"Idempotency-Key": fresh()}
        WORLD.api.delete("/api/nodes/delete", query={"nodeId": first}, headers=key).expect(201)
        WORLD.api.delete("/api/nodes/delete", query={"nodeId": second}, headers=key).refused(409)
        self.assertIn(second, [n["id"] for n in WORLD.api.nodes()])

    def test_keys_of_different_clients_do_not_meet(self):
        other = WORLD.panel.client(create_key(WORLD.panel.data, "other"))
        key = {"Idempotency-Key": fresh()}
        WORLD.api.post("/api/auth/create-user", user_body(), headers=key).expect(201)
        other.post("/api/auth/create-user", user_body(), headers=key).expect(201)

    def test_keys_that_can_not_be_kept_are_400(self):
        for key in ("", "x" * 201, "x" * 5000):
            with self.subTest(length=len(key)):
                keyed(key, "/api/auth/create-user", user_body()).refused(400)
        keyed("x" * 200, "/api/auth/create-user", user_body()).expect(201)

    def test_on_a_get_it_means_nothing(self):
        WORLD.api.get("/api/users", headers={"Idempotency-Key": "get"}).expect(200)
        WORLD.api.get("/api/nodes", headers={"Idempotency-Key": "get"}).expect(200)


class AtOnce(unittest.TestCase):
    def crowd(self, path, body, key):
        def one(_):
            return WORLD.panel.client().post(path, body, headers={"Idempotency-Key": key}, timeout=60)
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            return list(pool.map(one, range(16)))

    def settle(self, answers):
        """All say the same; one that came while the first was at work may be told to come back."""
        good = [a for a in answers if a.status == 201]
        self.assertTrue(good, answers)
        self.assertEqual({a.body for a in good}, {good[0].body})
        for answer in answers:
            self.assertIn(answer.status, (201, 409, 503), answer)
            if answer.status == 409:
                self.assertNotEqual(answer.json["code"], "user_exists")

    def test_a_user(self):
        body = user_body()
        self.settle(self.crowd("/api/auth/create-user", body, fresh()))
        self.assertEqual(sum(u["username"] == body["username"] for u in WORLD.api.users()), 1)

    def test_a_deploy(self):
        count = len(WORLD.api.instances())
        self.settle(self.crowd("/api/instances/deploy", WORLD.spec(), fresh()))
        self.assertEqual(len(WORLD.api.instances()), count + 1)
