"""Keys by the API: what they tell, what they may give, rotation, revocation, rates."""
import json
import re
import socket
import sqlite3
import time
import unittest

from lib import places, raw
from lib.daemon import run_tool
from lib.events import EventStream
from lib.paneld import create_key
from lib.wait import until
from lib.world import World

WORLD = None
FIELDS = {"id", "name", "scopes", "userId", "rateLimit", "createdAt", "expiresAt", "lastUsedAt",
          "rotatedAt", "revokedAt"}


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def post(body, **more):
    return WORLD.api.post("/api/keys", body, **more)


def make(**fields):
    return post({"name": "made", **fields}).expect(201).json


def patch(target, body, **more):
    return WORLD.api.request("PATCH", f"/api/keys/{target['id']}", body, **more)


def rotate(target, body=None, **more):
    return WORLD.api.post(f"/api/keys/{target['id']}/rotate", body or {}, **more)


def works(text):
    return WORLD.api.get("/api/auth/me", key=text).status == 200


class Keys(unittest.TestCase):
    def test_a_new_one(self):
        key = make(name="schöner Name")
        self.assertEqual(set(key), FIELDS | {"key"})
        self.assertRegex(key["key"], r"\Apanel_[0-9A-Za-z]{36}\Z")
        self.assertEqual((key["name"], key["scopes"], key["userId"], key["rateLimit"], key["expiresAt"]),
                         ("schöner Name", ["admin"], None, None, None))
        self.assertTrue(works(key["key"]))
        shown = WORLD.api.get(f"/api/keys/{key['id']}").expect(200).json
        self.assertEqual(set(shown), FIELDS)
        self.assertIn(shown["id"], [row["id"] for row in WORLD.api.get("/api/keys").expect(200).json])

    def test_lists_are_paged(self):
        for _ in range(3):
            make()
        seen, path = [], "/api/keys?limit=2"
        while path:
            answer = WORLD.api.get(path).expect(200)
            self.assertLessEqual(len(answer.json), 2)
            seen += [row["id"] for row in answer.json]
            link = answer.headers.get("Link")
            path = link and link[1:link.index(">")]
        self.assertEqual(seen, [row["id"] for row in WORLD.api.get("/api/keys").json])

    def test_what_can_not_be_used_is_refused(self):
        for field, values in {
                "name": ["", "x" * 65, "ü" * 40, "a\nb", None], "scopes": [[], ["users"], ["users:all"], 7, {},
                                                                          [1], ["users:read nodes:read"], ""],
                "userId": ["nosuch", "a b"], "expiresIn": [0, -1, "1h", 10 ** 12],
                "expiresAt": ["2001-01-01T00:00:00Z", "tomorrow", 7, "2030-02-30T00:00:00Z", "2500-01-01T00:00:00Z",
                              "2999-01-01T00:00:00Z", "9999-12-31T23:59:59Z"],
                "rateLimit": [-1, "many", 10 ** 10]}.items():
            for value in values:
                with self.subTest(field=field, value=value):
                    post({"name": "x", field: value}).refused(400, field=field)
        for both in ({"expiresIn": 5, "expiresAt": "2030-01-01T00:00:00Z"}, {"expiresIn": 5, "expiresAt": None}):
            post({"name": "x", **both}).refused(400, "invalid_field", "expiresIn")
        post({"name": "x", "expiresAt": "2999-01-01T00:00:00Z"}).refused(400, says=("100 years", "null"))
        self.assertEqual(make(expiresAt="2099-01-01T00:00:00Z")["expiresAt"], "2099-01-01T00:00:00.000Z")
        patch(make(), {"userId": WORLD.user_id}).refused(400, "not_changeable", "userId")

    def test_a_change_is_in_effect_at_once(self):
        key = make(scopes=["users:read"])
        connection = WORLD.api.connect()

        def status(path):
            return WORLD.api.get(path, key=key["key"], connection=connection).status
        self.assertEqual((status("/api/users"), status("/api/nodes")), (200, 403))
        changed = patch(key, {"scopes": "nodes:read", "name": "other"}).expect(200).json
        self.assertEqual((changed["scopes"], changed["name"]), (["nodes:read"], "other"))
        self.assertEqual((status("/api/users"), status("/api/nodes")), (403, 200))
        patch(key, {"expiresIn": 1}).expect(200)
        until(lambda: status("/api/nodes") == 401, 5, "it expires")
        patch(key, {"expiresAt": None}).expect(200)
        self.assertEqual(status("/api/nodes"), 200)
        WORLD.api.delete(f"/api/keys/{key['id']}").expect(200)
        self.assertEqual(status("/api/nodes"), 401)
        connection.close()

    def test_a_revoked_one_stays_dead(self):
        key = make()
        WORLD.api.delete(f"/api/keys/{key['id']}").expect(200)
        shown = WORLD.api.get(f"/api/keys/{key['id']}").expect(200).json
        self.assertIsNotNone(shown["revokedAt"])
        for answer in (patch(key, {"name": "x"}), rotate(key), WORLD.api.delete(f"/api/keys/{key['id']}")):
            answer.refused(400, "key_not_found", "id")
        WORLD.panel.crash()
        self.assertFalse(works(key["key"]))
        WORLD.await_status(WORLD.node_id, "Online")

    def test_last_use_is_told(self):
        key = make()
        self.assertIsNone(key["lastUsedAt"])
        for _ in range(20):
            self.assertTrue(works(key["key"]))

        def told():
            return WORLD.api.get(f"/api/keys/{key['id']}").json["lastUsedAt"]
        first = until(told, 5, "its use is told")
        for _ in range(20):
            self.assertTrue(works(key["key"]))
        self.assertEqual(told(), first)  # once a minute is enough

    def test_it_goes_with_its_user(self):
        user_id = WORLD.add_user("leaves")
        key = make(userId=user_id)
        self.assertTrue(works(key["key"]))
        WORLD.api.delete(f"/api/users/{user_id}").expect(200)
        self.assertFalse(works(key["key"]))
        self.assertIsNotNone(WORLD.api.get(f"/api/keys/{key['id']}").json["revokedAt"])
        WORLD.add_user("leaves")
        self.assertFalse(works(key["key"]))

    def test_it_goes_with_a_user_who_still_has_instances(self):
        user_id = WORLD.add_user("leaves-much")
        WORLD.deploy(user=user_id)
        key = make(userId=user_id)
        WORLD.agent.stop()
        try:
            WORLD.api.delete(f"/api/users/{user_id}", {"force": True}).expect(200)
            self.assertFalse(works(key["key"]))
        finally:
            WORLD.agent.start()
            WORLD.await_status(WORLD.node_id, "Online")

    def test_changes_are_events_and_in_the_audit(self):
        with EventStream(WORLD.api, "/api/events") as stream:
            key = make(name="told")
            patch(key, {"name": "renamed"}).expect(200)
            rotate(key).expect(200)
            rotate(key).expect(200)
            WORLD.api.delete(f"/api/keys/{key['id']}").expect(200)
            mine = until(lambda: (len(stream.events) >= 5) and stream.events, 5, lambda: str(stream.events))
            events = [e.json for e in mine if e.json.get("keyId") == key["id"]]
        self.assertEqual([e["type"] for e in events],
                         ["key.created", "key.changed", "key.rotated", "key.rotated", "key.revoked"])
        self.assertEqual(events[1]["name"], "renamed")
        rows = WORLD.api.get("/api/audit", query={"target": key["id"]}).expect(200).json
        self.assertEqual([(row["method"], row["status"]) for row in rows],
                         [("DELETE", 200), ("POST", 200), ("POST", 200), ("PATCH", 200), ("POST", 201)])

    def test_what_is_forbidden_is_in_the_audit(self):
        key = make(scopes=["read"], name="curious")
        WORLD.api.post("/api/nodes/create", {}, key=key["key"]).refused(403)
        row = until(lambda: WORLD.api.get("/api/audit", query={"key": key["id"]}).json, 5, "it is written")[0]
        self.assertEqual((row["path"], row["status"], row["code"]), ("/api/nodes/create", 403, "forbidden"))


class Gifts(unittest.TestCase):
    """A key can't grant more than it has."""

    def test_scopes(self):
        giver = make(scopes=["keys:write", "keys:read", "users:read"])
        text = giver["key"]
        post({"name": "x"}, key=text).refused(403, "forbidden", "scopes")
        for scopes in (["admin"], ["read"], ["users:write"], ["users:read", "nodes:read"]):
            post({"name": "x", "scopes": scopes}, key=text).refused(403, "forbidden", "scopes")
        child = post({"name": "x", "scopes": ["users:read"]}, key=text).expect(201).json
        patch(child, {"scopes": ["nodes:read"]}, key=text).refused(403, "forbidden", "scopes")
        patch(child, {"scopes": ["keys:read"]}, key=text).expect(200)
        patch(giver, {"scopes": ["admin"]}, key=text).refused(403, "forbidden", "scopes")

    def test_not_by_way_of_a_better_key(self):
        giver = make(scopes=["keys:write", "keys:read"])
        better = make(scopes=["users:read"])
        for answer in (rotate(better, key=giver["key"]), patch(better, {"name": "x"}, key=giver["key"]),
                       WORLD.api.delete(f"/api/keys/{better['id']}", key=giver["key"])):
            answer.refused(403, "forbidden", says="users:read")
        self.assertTrue(works(better["key"]))

    def test_time(self):
        giver = make(expiresIn=3600)
        child = post({"name": "x"}, key=giver["key"]).expect(201).json
        self.assertEqual(child["expiresAt"], giver["expiresAt"])
        post({"name": "x", "expiresIn": 7200}, key=giver["key"]).refused(403, "forbidden", "expiresAt")
        post({"name": "x", "expiresAt": None}, key=giver["key"]).refused(403, "forbidden", "expiresAt")
        for target in (child, giver):
            patch(target, {"expiresAt": None}, key=giver["key"]).refused(403, "forbidden", "expiresAt")
        patch(giver, {"expiresIn": 60}, key=giver["key"]).expect(200)

    def test_time_by_way_of_a_key_that_has_more(self):
        """Its new secret would be good when the asking key is long dead."""
        giver, endless, later = make(expiresIn=3600), make(scopes=["read"]), make(expiresIn=7200)
        for target in (endless, later):
            rotate(target, key=giver["key"]).refused(403, "forbidden", says="ends sooner")
            self.assertTrue(works(target["key"]))
        rotate(make(expiresIn=60), key=giver["key"]).expect(200)
        rotate(giver, key=giver["key"]).expect(200)
        session = WORLD.api.post("/api/auth/login", {"username": "owner", "password": "correct horse"}, key=None)
        bound = make(userId=WORLD.user_id)
        rotate(bound, key=session.expect(201).json["token"]).expect(200)  # whose user may log in again

    def test_time_of_a_secret_in_its_grace(self):
        """Who has found the old one doesn't get the new one from it."""
        key = make()
        fresh = rotate(key, {"graceSeconds": 600}).expect(200).json
        rotate(key, key=key["key"]).refused(403, "forbidden", says="ends sooner")
        post({"name": "x", "expiresAt": None}, key=key["key"]).refused(403, "forbidden", "expiresAt")
        child = post({"name": "x"}, key=key["key"]).expect(201).json
        self.assertIsNotNone(child["expiresAt"])
        rotate(key, key=fresh["key"]).expect(200)
        self.assertFalse(works(key["key"]) and works(fresh["key"]))

    def test_number(self):
        """A user makes keys for himself, and there is an end to it."""
        user = WORLD.add_user("collector")
        keys = [make(userId=user) for _ in range(100)]
        own = keys[0]["key"]
        post({"name": "x"}, key=own).refused(400, "too_many_keys", "userId", says="100")
        post({"name": "x", "userId": user}).refused(400, "too_many_keys", "userId")
        for _ in range(3):
            WORLD.api.delete(f"/api/keys/{keys.pop()['id']}", key=own).expect(200)
            keys.append(post({"name": "x"}, key=own).expect(201).json)
        for key in keys[1:]:
            WORLD.api.delete(f"/api/keys/{key['id']}").expect(200)
        for _ in range(3):
            post({"name": "x"}, key=own).expect(201)
        rows = WORLD.api.get("/api/keys", key=own).expect(200).json
        self.assertEqual((len([row for row in rows if not row["revokedAt"]]), len(rows)), (4, 104))

    def test_rate(self):
        giver = make(scopes=["keys:write"])
        post({"name": "x", "scopes": ["keys:write"], "rateLimit": 5}, key=giver["key"]).refused(
            403, "forbidden", "rateLimit")
        patch(giver, {"rateLimit": 0}, key=giver["key"]).refused(403, "forbidden", "rateLimit")

    def test_users(self):
        ann, bob = WORLD.add_user("giver-ann"), WORLD.add_user("giver-bob")
        own = make(userId=ann)
        foreign = make(userId=bob)
        post({"name": "x", "userId": bob}, key=own["key"]).refused(403, "forbidden", "userId")
        child = post({"name": "x"}, key=own["key"]).expect(201).json
        self.assertEqual(child["userId"], ann)
        self.assertEqual([row["userId"] for row in WORLD.api.get("/api/keys", key=own["key"]).json],
                         [ann, ann])
        for answer in (rotate(foreign, key=own["key"]), patch(foreign, {"name": "x"}, key=own["key"]),
                       WORLD.api.delete(f"/api/keys/{foreign['id']}", key=own["key"]),
                       WORLD.api.get(f"/api/keys/{foreign['id']}", key=own["key"]),
                       WORLD.api.get("/api/keys/0123456789abcdef", key=own["key"])):
            answer.refused(400, "key_not_found", "id", says="There is no key with this id")

    def test_nobody_makes_himself_an_admin(self):
        chief = WORLD.add_user("gift-chief")
        WORLD.api.request("PATCH", f"/api/users/{chief}", {"admin": True}).expect(200)
        key = make(scopes=["users:write", "users:read"])["key"]
        body = {"username": "riser", "email": "riser@example.test", "password": "long enough"}
        WORLD.api.post("/api/auth/create-user", {**body, "admin": True}, key=key).refused(403, "forbidden", "admin")
        riser = WORLD.api.post("/api/auth/create-user", body, key=key).expect(201).json["userId"]
        for user, change in ((riser, {"admin": True}), (chief, {"password": "another one"}),
                             (chief, {"email": "riser2@example.test"})):
            WORLD.api.request("PATCH", f"/api/users/{user}", change, key=key).refused(403, "forbidden", "admin")
        WORLD.api.delete(f"/api/users/{chief}", key=key).refused(403, "forbidden", "admin")
        WORLD.api.request("PATCH", f"/api/users/{riser}", {"admin": False}, key=key).expect(200)
        WORLD.api.delete(f"/api/users/{riser}", key=key).expect(200)

    def test_an_admin_no_longer_has_no_longer_an_admins_key(self):
        user = WORLD.add_user("fallen")
        WORLD.api.request("PATCH", f"/api/users/{user}", {"admin": True}).expect(200)
        key = make(userId=user)["key"]
        WORLD.api.get("/api/nodes", key=key).expect(200)
        with EventStream(type(WORLD.api)("127.0.0.1", WORLD.panel.port, key), "/api/events") as stream:
            WORLD.api.request("PATCH", f"/api/users/{user}", {"admin": False}).expect(200)
            WORLD.api.get("/api/nodes", key=key).refused(403)
            until(lambda: stream.ended, 5, "its stream of everything ends")


class Rotation(unittest.TestCase):
    def test_at_once(self):
        key = make(scopes=["read"])
        fresh = rotate(key).expect(200).json
        self.assertEqual((fresh["id"], fresh["scopes"]), (key["id"], ["read"]))
        self.assertIsNotNone(fresh["rotatedAt"])
        self.assertEqual((works(key["key"]), works(fresh["key"])), (False, True))

    def test_with_a_grace(self):
        key = make()
        second = rotate(key, {"graceSeconds": 1}).expect(200).json
        self.assertEqual((works(key["key"]), works(second["key"])), (True, True))
        until(lambda: not works(key["key"]), 5, "the grace ends")
        self.assertTrue(works(second["key"]))

    def test_the_one_before_the_last_has_no_grace(self):
        key = make()
        second = rotate(key, {"graceSeconds": 600}).expect(200).json
        third = rotate(key, {"graceSeconds": 600}).expect(200).json
        self.assertEqual([works(k["key"]) for k in (key, second, third)], [False, True, True])
        WORLD.api.delete(f"/api/keys/{key['id']}").expect(200)
        self.assertEqual([works(k["key"]) for k in (key, second, third)], [False] * 3)

    def test_of_itself(self):
        key = make()
        fresh = rotate(key, key=key["key"]).expect(200).json
        self.assertEqual((works(key["key"]), works(fresh["key"])), (False, True))

    def test_grace_has_bounds(self):
        for grace in (-1, 604801, "1h", True):
            rotate(make(), {"graceSeconds": grace}).refused(400, field="graceSeconds")


class Repeats(unittest.TestCase):
    """With an Idempotency-Key the secret is told again, and is in no file."""

    def test_create_and_rotate(self):
        for ask in (lambda **more: post({"name": "again", "scopes": ["read"]}, **more),
                    lambda target=make(), **more: rotate(target, {"graceSeconds": 60}, **more)):
            header = {"Idempotency-Key": f"k{time.monotonic()}"}
            first = ask(headers=header)
            count = len(WORLD.api.get("/api/keys").json)
            again = ask(headers=header)
            self.assertEqual((again.status, again.json), (first.status, first.json))
            self.assertEqual(again.headers["Idempotent-Replayed"], "true")
            self.assertTrue(works(first.json["key"]))
            WORLD.panel.crash()
            self.assertEqual(ask(headers=header).json, first.json)
            self.assertEqual(len(WORLD.api.get("/api/keys").json), count)
            for name in ("panel.db", "panel.db-wal"):
                with open(f"{WORLD.panel.data}/{name}", "rb") as stored:
                    self.assertNotIn(first.json["key"].encode(), stored.read())
        WORLD.await_status(WORLD.node_id, "Online")

    def test_another_request_is_409(self):
        header = {"Idempotency-Key": "once"}
        post({"name": "a"}, headers=header).expect(201)
        post({"name": "b"}, headers=header).refused(409, "idempotency_key_reused")

    def test_another_key_has_repeats_of_its_own(self):
        header = {"Idempotency-Key": "shared"}
        mine = post({"name": "a"}, headers=header).expect(201).json
        theirs = post({"name": "a"}, headers=header, key=make()["key"]).expect(201).json
        self.assertNotEqual(mine["key"], theirs["key"])

    def test_two_secrets_of_one_key_text_differ(self):
        texts = {post({"name": "a"}, headers={"Idempotency-Key": f"d{i}"}).expect(201).json["key"]
                 for i in range(5)}
        self.assertEqual(len(texts), 5)


class Streams(unittest.TestCase):
    """What is being read ends with the right to read it."""

    def stream(self, key, path="/api/events"):
        return EventStream(type(WORLD.api)("127.0.0.1", WORLD.panel.port, key["key"]), path)

    def test_end_when_the_key_is_revoked_rotated_or_loses_its_scope(self):
        for end in (lambda key: WORLD.api.delete(f"/api/keys/{key['id']}").expect(200),
                    lambda key: rotate(key).expect(200),
                    lambda key: patch(key, {"scopes": ["users:read"]}).expect(200)):
            key = make(scopes=["events:read"])
            with self.stream(key) as stream:
                WORLD.add_user(f"news{time.monotonic_ns()}")
                until(lambda: stream.events, 5, "events come")
                end(key)
                until(lambda: stream.ended, 5, "it ends")
                told = [e.json["type"] for e in stream.events]
            self.assertFalse([kind for kind in told if kind.startswith("key.") and kind != "key.created"], told)

    def test_go_on_when_other_keys_change(self):
        with self.stream(make(scopes=["events:read"])) as stream:
            WORLD.api.delete(f"/api/keys/{make()['id']}").expect(200)
            until(lambda: "key.revoked" in [e.json["type"] for e in stream.events], 5, "events come")
            self.assertFalse(stream.ended)

    def test_of_each_kind_end_with_the_key_or_the_session(self):
        instance = WORLD.deploy()["Id"]
        for path in ("/api/events", *(f"/api/instances/{instance}/{kind}" for kind in
                                      ("console", "logs?follow=1", "stats?follow=1"))):
            key = make(userId=WORLD.user_id)
            token = WORLD.api.post("/api/auth/login", {"username": "owner", "password": "correct horse"}, key=None)
            session = {"key": token.expect(201).json["token"]}
            with self.subTest(path=path), self.stream(key, path) as one, self.stream(session, path) as other:
                self.assertEqual((one.status, other.status), (200, 200))
                WORLD.api.delete(f"/api/keys/{key['id']}").expect(200)
                until(lambda: one.ended, 5, "it ends with its key")
                self.assertFalse(other.ended)
                WORLD.api.post("/api/auth/logout", key=session["key"]).expect(200)
                until(lambda: other.ended, 5, "it ends with its session")

    def test_of_an_instance_end_when_access_is_taken(self):
        guest = WORLD.add_user("stream-guest")
        instance = WORLD.deploy()["Id"]
        WORLD.api.post(f"/api/instances/{instance}/users", {"userId": guest}).expect(200)
        key = make(userId=guest)
        path = f"/api/instances/{instance}/console"
        with self.stream(key, path) as stream:
            self.assertEqual(stream.status, 200)
            WORLD.api.delete(f"/api/instances/{instance}/users", {"userId": guest}).expect(200)
            until(lambda: stream.ended, 3, "it ends, though nothing is printed")
        WORLD.api.get(path, key=key["key"]).refused(400, "instance_not_found")


class Rates(unittest.TestCase):
    def remaining(self, answer):
        policy, left = answer.headers["RateLimit-Policy"], answer.headers["RateLimit"]
        self.assertRegex(policy, r'\A"minute";q=\d+;w=60\Z')
        self.assertRegex(left, r'\A"minute";r=\d+;t=\d+\Z')
        seconds = int(left.rpartition("=")[2])
        self.assertTrue(1 <= seconds <= 60, left)
        return int(policy.split(";")[1][2:]), int(left.split(";")[1][2:])

    def steady(self, count):
        """A key that has so many requests left, of count + 1, in a minute that doesn't end soon."""
        while True:
            key = make(rateLimit=count + 1)
            left = WORLD.api.get("/api/auth/me", key=key["key"]).expect(200).headers["RateLimit"]
            if int(left.rpartition("=")[2]) >= 20:
                return key

    def test_each_key_has_its_own(self):
        key, other = self.steady(5), make(rateLimit=5)
        statuses, left = [], []
        for _ in range(8):
            answer = WORLD.api.get("/api/auth/me", key=key["key"])
            statuses.append(answer.status)
            left.append(self.remaining(answer))
        self.assertEqual(statuses, [200] * 5 + [429] * 3)
        self.assertEqual(left, [(6, n) for n in (4, 3, 2, 1, 0, 0, 0, 0)])
        answer = WORLD.api.post("/api/nodes/create", {}, key=key["key"]).refused(429, "rate_limited")
        self.assertTrue(1 <= int(answer.headers["Retry-After"]) <= 60)
        self.assertTrue(works(other["key"]))

    def test_what_a_user_changes_is_counted_over_all_his_keys(self):
        """Each leaves a row in the audit trail at least, refused or not; else he could fill the disk."""
        user = WORLD.add_user(f"busy{time.monotonic_ns()}")
        keys = [make(userId=user)["key"] for _ in range(2)]
        path = f"/api/users/{user}"
        connection = WORLD.api.connect()
        statuses = []
        while 429 not in statuses and len(statuses) < 700:  # a minute may end meanwhile
            one = {"key": keys[len(statuses) % 2], "connection": connection}
            statuses.append(WORLD.api.delete(path, {}, **one).status)
            if statuses[-1] == 429:
                WORLD.api.get(path, **one).expect(200)
        connection.close()
        self.assertEqual(set(statuses), {403, 429})
        self.assertGreaterEqual(len(statuses), 300)

    def test_paths_that_are_not_there_count_too(self):
        key = self.steady(3)["key"]
        statuses = [WORLD.api.get("/api/nothing", key=key).status for _ in range(4)]
        self.assertEqual(statuses, [404, 404, 404, 429])

    def test_a_stream_counts_once(self):
        key = self.steady(3)
        with EventStream(type(WORLD.api)("127.0.0.1", WORLD.panel.port, key["key"]), "/api/events") as stream:
            for number in range(8):
                WORLD.add_user(f"rate{number}-{time.monotonic_ns()}")
            until(lambda: len(stream.events) >= 8, 5, "all come")
        self.assertEqual(self.remaining(WORLD.api.get("/api/auth/me", key=key["key"])), (4, 1))

    def test_none(self):
        key = make(rateLimit=0)
        for _ in range(3):
            answer = WORLD.api.get("/api/auth/me", key=key["key"]).expect(200)
        self.assertIsNone(answer.headers.get("RateLimit"))

    def test_an_override_can_be_changed_back(self):
        key = self.steady(1)
        self.assertTrue(works(key["key"]))
        self.assertFalse(works(key["key"]))
        self.assertIsNone(patch(key, {"rateLimit": None}).expect(200).json["rateLimit"])
        self.assertTrue(works(key["key"]))

    def test_nothing_of_it_is_told_to_strangers(self):
        for key in (None, "x"):
            answer = WORLD.api.get("/api/users", key=key).refused(401)
            self.assertIsNone(answer.headers.get("RateLimit"))
        self.assertIsNone(WORLD.api.get("/nothing", key=None).headers.get("RateLimit"))

    def test_the_default(self):
        world = World(config={"rateLimit": 2}).start()  # the second makes the user that a world has
        try:
            answers = [world.api.get("/api/users") for _ in range(4)]  # a minute may end on the way
            self.assertIn(429, [answer.status for answer in answers])
            key = create_key(world.panel.data)
            answer = world.api.get("/api/users", key=key).expect(200)
            self.assertEqual(self.remaining(answer), (2, 1))
        finally:
            world.stop()


class Strangers(unittest.TestCase):
    """Requests without a good key, from one address."""

    def statuses(self, port, count):
        """So many of them, one behind the other on one connection."""
        one = raw.request("GET", "/api/users", [("Host", "x"), ("x-api-key", "x")])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            got, seen = [], 0
            for _ in range(count // 50):
                connection.sendall(one * 50)
                seen += 50
                while b"".join(got).count(b"HTTP/1.1 ") < seen:
                    got = [b"".join(got), connection.recv(1 << 16)]
        return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", b"".join(got))]

    def test_are_turned_away_and_nobody_else_is(self):
        world = World().start()
        try:
            statuses = []
            while 429 not in statuses and len(statuses) < 10000:  # a minute may end meanwhile
                statuses += self.statuses(world.panel.port, 3100)
            self.assertEqual(statuses[:2500], [401] * 2500)
            self.assertEqual(set(statuses), {401, 429})
            answer = world.api.get("/api/users", key=None).refused(429, "rate_limited")
            self.assertTrue(1 <= int(answer.headers["Retry-After"]) <= 60)
            world.api.get("/api/users").expect(200)  # behind the same proxy
        finally:
            world.stop()


class Host(unittest.TestCase):
    """paneld key create --scope --user --expires"""

    def test_all_three(self):
        user = WORLD.add_user("hosted")
        text = create_key(WORLD.panel.data, "three", "--scope", "users:read", "--scope", "instances:read",
                          "--user", user, "--expires", "30d")
        me = WORLD.api.get("/api/auth/me", key=text).expect(200).json
        self.assertEqual(me["key"]["scopes"], ["users:read", "instances:read"])
        self.assertEqual((me["user"]["userId"], me["session"], me["admin"]), (user, False, False))
        self.assertIsNotNone(me["key"]["expiresAt"])
        self.assertEqual(len(WORLD.api.get("/api/users", key=text).expect(200).json), 1)

    def refused(self, *options):
        done = run_tool([places.PANELD, "key", "create", "--data", WORLD.panel.data, "--name", "x", *options],
                        WORLD.dir)
        self.assertNotEqual(done.code, 0)
        self.assertEqual(done.out, "")
        return done.err

    def test_what_can_not_be_used_is_said(self):
        self.assertIn("users:all", self.refused("--scope", "users:all"))
        self.assertIn("nosuch", self.refused("--user", "nosuch"))
        for expires in ("soon", "0d", "2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "99999d", "5", "5w", ""):
            self.assertIn("--expires", self.refused("--expires", expires))

    def test_the_options_belong_to_create(self):
        for option in ("--scope", "--user", "--expires"):
            done = run_tool([places.PANELD, "key", "list", "--data", WORLD.panel.data, option, "read"], WORLD.dir)
            self.assertEqual(done.code, 2)
            self.assertIn(option, done.err)


class Older(unittest.TestCase):
    """A database from before keys had scopes."""

    def test_its_keys_are_admins_and_work_on(self):
        world = World().start()
        try:
            world.panel.stop()
            db = sqlite3.connect(f"{world.panel.data}/panel.db")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            hashes = db.execute("SELECT k.id, k.name, s.hash, k.created_at FROM api_keys k"
                                " JOIN secrets s ON s.key = k.seq").fetchall()
            triggers = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND"
                                                     " (sql LIKE '%api_keys%')")]
            for name in triggers:
                db.execute(f"DROP TRIGGER {name}")
            db.executescript(
                "DROP TABLE secrets; DROP TABLE api_keys; ALTER TABLE audit DROP COLUMN detail;"
                "CREATE TABLE api_keys(id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE,"
                " created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL DEFAULT 0,"
                " revoked_at INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
                "CREATE TRIGGER event_key_created AFTER INSERT ON api_keys BEGIN INSERT INTO events(at, kind, key_id,"
                " name) VALUES(0, 'key.created', NEW.id, NEW.name); END;"
                "CREATE TRIGGER event_key_revoked AFTER UPDATE OF revoked_at ON api_keys WHEN NEW.revoked_at <> 0 AND"
                " OLD.revoked_at = 0 BEGIN INSERT INTO events(at, kind, key_id, name) VALUES(0, 'key.revoked',"
                " NEW.id, NEW.name); END;"
                "PRAGMA user_version = 17;")
            db.executemany("INSERT INTO api_keys(id, name, hash, created_at) VALUES(?, ?, ?, ?)", hashes)
            db.commit()
            db.close()
            world.panel.start()
            me = world.api.get("/api/auth/me").expect(200).json
            self.assertEqual((me["key"]["id"], me["key"]["scopes"], me["admin"]), (hashes[0][0], ["admin"], True))
            made = world.api.post("/api/keys", {"name": "after"}).expect(201).json["id"]
            world.api.delete(f"/api/keys/{made}").expect(200)
            self.assertGreaterEqual(version, 18)
            db = sqlite3.connect(f"file:{world.panel.data}/panel.db?mode=ro", uri=True)
            kinds = [row[0] for row in db.execute("SELECT kind FROM events WHERE key_id = ? ORDER BY seq", (made,))]
            db.close()
            self.assertEqual(kinds, ["key.created", "key.revoked"])
        finally:
            world.stop()


class Secrets(unittest.TestCase):
    def test_no_answer_of_keys_has_one(self):
        made = [make(), rotate(make()).json]
        for path in ("/api/keys", f"/api/keys/{made[0]['id']}", "/api/auth/me", "/api/audit"):
            text = json.dumps(WORLD.api.get(path).expect(200).json)
            for key in made:
                self.assertNotIn(key["key"][6:], text)


if __name__ == "__main__":
    unittest.main()
