"""Who did what to what, when, and how it ended."""
import os
import re
import sqlite3
import time
import unittest
import urllib.parse
import uuid

from lib import places
from lib.daemon import run_tool
from lib.paneld import Paneld, create_key
from lib.wait import until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def audit(query=""):
    return WORLD.api.get("/api/audit" + query).expect(200).json


def newest(**fields):
    """The newest row, once it has these fields: refusals are written after their answer."""
    def look():
        row = audit("?limit=1")[0]
        return row if all(row[key] == value for key, value in fields.items()) else None
    return until(look, 5, lambda: f"{fields}; it is {audit('?limit=1')}")


class Rows(unittest.TestCase):
    def test_a_change(self):
        answer = WORLD.api.post("/api/images/create", {"Name": "audited", "Image": "x:y"}).expect(201)
        row = audit("?limit=1")[0]
        self.assertEqual((row["method"], row["path"], row["target"], row["status"], row["code"]),
                         ("POST", "/api/images/create", answer.json["Id"], 201, None))
        self.assertEqual(row["requestId"], answer.headers["X-Request-Id"])
        self.assertEqual(row["key"]["name"], WORLD.panel.client().get("/api/audit?limit=1").json[0]["key"]["name"])
        WORLD.api.delete("/api/images/delete", {"id": answer.json["Id"]}).expect(201)
        self.assertEqual(audit("?limit=1")[0]["target"], answer.json["Id"])

    def test_one_that_waits_for_its_node(self):
        instance = WORLD.deploy()["Id"]
        newest(path="/api/instances/deploy", target=instance, status=201)
        unawaited = WORLD.api.post("/api/instances/deploy", WORLD.spec(name="unawaited")).expect(201).json["Id"]
        newest(path="/api/instances/deploy", target=unawaited, status=201)
        WORLD.api.post(f"/api/instances/suspend/{instance}", {}).expect(200)
        newest(path=f"/api/instances/suspend/{instance}", target=instance, status=200)
        WORLD.delete(instance)
        newest(path="/api/instance/delete", target=instance, status=201)

    def test_one_whose_end_nobody_saw(self):
        instance = WORLD.deploy()["Id"]
        WORLD.engine.stuck = "stop"
        try:
            sender = WORLD.panel.client()
            connection = sender.connect()
            connection.request("POST", f"/api/instances/{instance}/power", body='{"action":"stop"}',
                               headers={"x-api-key": sender.key, "Content-Type": "application/json"})
            row = newest(path=f"/api/instances/{instance}/power", target=instance)
            self.assertIsNone(row["status"])
            WORLD.panel.kill()
            connection.close()
        finally:
            WORLD.engine.stuck = None
        WORLD.panel.start()
        self.assertIsNone(audit(f"?target={instance}&limit=1")[0]["status"])
        WORLD.await_status(WORLD.node_id, "Online")
        WORLD.delete(instance)

    def test_refusals(self):
        WORLD.api.post("/api/instances/deploy", {"name": "x"}).refused(400)
        newest(path="/api/instances/deploy", status=400, code="missing_field", target=None, detail="name")
        where = {"image": "x:y", "memory": 64, "cpu": 1, "ports": "80:auto", "nodeId": "auto", "name": "x", "user": "nobody"}
        for key in ({}, {"Idempotency-Key": uuid.uuid4().hex}):
            answer = WORLD.api.post("/api/instances/deploy", {**where, "primary": 80}, headers=key).expect(400)
            row = newest(requestId=answer.headers["X-Request-Id"], status=400, target=None)
            self.assertIn("nodeId=auto name user=nobody", row["detail"])
        WORLD.api.delete("/api/nodes/delete", {"nodeId": "nobody"}).refused(400)
        newest(path="/api/nodes/delete", status=400, code="node_not_found", target="nobody")
        key = {"Idempotency-Key": uuid.uuid4().hex}
        WORLD.api.delete("/api/images/delete", {"id": "nobody"}, headers=key).refused(400)
        newest(path="/api/images/delete", status=400, code="image_not_found", target="nobody")

    def test_what_was_asked_for(self):
        user, instance = WORLD.add_user("asked-for"), WORLD.deploy()["Id"]
        path = f"/api/instances/{instance}"
        for method, more, body, detail in (
                ("POST", "/power", {"action": "stop"}, "action=stop"),
                ("POST", "/power", {"action": "explode now"}, "action"),
                ("POST", "/users", {"userId": user}, f"userId={user}"),
                ("DELETE", f"/users?userId={user}", {}, f"userId={user}"),
                ("PATCH", "", {"name": "s3cret", "variables": {"A": "s3cret"}, "user": user},
                 f"name variables user={user}"),
                ("POST", "/command", {"line": "say s3cret", "s3cret=": 1, "also": "s3cret"}, "line also"),
                ("POST", "/reinstall", {"wipe": True, "id": instance}, "wipe=true")):
            with self.subTest(path=more, body=body):
                WORLD.api.request(method, path + more, body)
                newest(method=method, path=path + more.partition("?")[0], detail=detail)
        body = {"username": "d", "email": "d@example.test", "password": "s3cret s3cret", "admin": "true", "userId": 7}
        WORLD.api.post("/api/auth/create-user", body).expect(201)
        newest(target="7", detail="username email password admin=true userId=7")
        WORLD.api.post("/api/images/create", {"Name": "long", "Image": "x:y", **{"a" * 30 + chr(98 + n): n for n in range(20)}})
        newest(detail="Name Image " + " ".join("a" * 30 + chr(98 + n) for n in range(4)))
        self.assertNotIn("s3cret", str(audit("?limit=20")))
        WORLD.delete(instance)
        image = WORLD.api.post("/api/images/create", {"Name": "queried", "Image": "x:y"}).expect(201).json["Id"]
        WORLD.api.delete(f"/api/images/delete?id={image}").expect(201)
        newest(path="/api/images/delete", target=image, status=201)

    def test_replays_and_strangers_are_none(self):
        body = {"Name": "replayed", "Image": "x:y"}
        key = {"Idempotency-Key": uuid.uuid4().hex}
        for _ in range(3):
            WORLD.api.post("/api/images/create", body, headers=key).expect(201)
        WORLD.api.post("/api/images/create", body, key=None).refused(401)
        WORLD.api.get("/api/users").expect(200)
        marker = WORLD.api.post("/api/images/create", {"Name": "marker", "Image": "x:y"}).expect(201)
        rows = audit("?limit=2")
        self.assertEqual(rows[0]["target"], marker.json["Id"])
        self.assertEqual((rows[1]["path"], rows[1]["status"]), ("/api/images/create", 201))
        self.assertNotEqual(audit("?limit=3")[2]["path"], "/api/images/create")

    def test_commands_that_change_keys(self):
        key = create_key(WORLD.panel.data, "by command")
        row = newest(method="COMMAND", path="key create", status=201, code=None, requestId=None)
        self.assertEqual(row["key"], {"id": "host", "name": "paneld on its host"})
        run_tool([places.PANELD, "key", "revoke", "--data", WORLD.panel.data, row["target"]], WORLD.dir)
        newest(method="COMMAND", path="key revoke", status=200, target=row["target"])
        self.assertEqual([row["path"] for row in audit(f"?key=host&target={row['target']}")],
                         ["key revoke", "key create"])
        self.assertNotIn(key, str(audit()))
        count = len(audit("?key=host"))
        run_tool([places.PANELD, "key", "revoke", "--data", WORLD.panel.data, "nobody"], WORLD.dir)
        self.assertEqual(len(audit("?key=host")), count)

    def test_commands_of_the_ca_backups_and_restores(self):
        folder = places.fresh_dir("audited")
        self.addCleanup(places.drop_dir, folder)
        file = os.path.join(folder, "a.backup")
        panel = Paneld(folder).start()
        self.addCleanup(panel.kill)

        def paneld(*words, code=0):
            done = run_tool([places.PANELD, *words, "--data", panel.data], folder)
            self.assertEqual(done.code, code, done.err)
            self.assertNotIn("audit trail", done.err)

        def rows():
            told = panel.client().get("/api/audit?key=host").expect(200).json
            return [(row["method"], row["path"], row["detail"], row["status"]) for row in reversed(told)]
        paneld("backup", file)
        paneld("backup", file, code=1)
        paneld("ca", "rotate")
        paneld("ca", "retire")
        paneld("ca", "retire", code=1)
        self.assertEqual(rows(), [("COMMAND", "key create", None, 201), ("COMMAND", "backup", f"file={file}", 200),
                                  ("COMMAND", "ca rotate", None, 200), ("COMMAND", "ca retire", None, 200)])
        panel.stop()
        paneld("backup", "--replace", file)  # only reads
        paneld("restore", "--replace", file)
        panel.start()
        self.assertEqual(rows()[4:], [("COMMAND", "restore", f"file={file}", 200)])

    def test_no_secret_is_in_it(self):
        WORLD.api.post("/api/auth/create-user", {"username": "s", "email": "s@example.test",
                                                 "password": "hunter2hunter2"}).expect(201)
        self.assertNotIn("hunter2", str(audit("?limit=5")))


class Pages(unittest.TestCase):
    def test_newest_first_page_by_page(self):
        for _ in range(5):
            WORLD.api.delete(f"/api/users/{WORLD.add_user('paged')}", {}).expect(200)
        whole = [row["id"] for row in audit("?limit=10")]
        self.assertEqual(whole, sorted(whole, reverse=True))
        seen = []
        path = "/api/audit?limit=3"
        while path and len(seen) < 10:
            answer = WORLD.api.get(path).expect(200)
            seen += [row["id"] for row in answer.json]
            link = answer.headers["Link"]
            path = re.match("<(.*)>; rel=\"next\"", link)[1] if link else None
        self.assertEqual(seen[:10], whole)

    def test_the_next_page_has_the_same_filters(self):
        for _ in range(2):
            WORLD.api.delete(f"/api/users/{WORLD.add_user('paged')}", {}).expect(200)
        for since in ("2026-01-01T02:00:00.5%2B02:00", "2026-01-01T00:00:00.500Z"):
            link = WORLD.api.get(f"/api/audit?limit=1&key=t&since={since}").expect(200).headers["Link"]
            self.assertRegex(link, "limit=1&cursor=[0-9]+&key=t&since=2026-01-01T00:00:00.500Z>")

    def test_by_key_target_and_time(self):
        user = WORLD.add_user("found")
        WORLD.api.request("PATCH", f"/api/users/{user}", {"admin": True}).expect(200)
        self.assertEqual([row["method"] for row in audit(f"?target={user}")], ["PATCH", "POST"])
        other = WORLD.panel.client()
        other.key = create_key(WORLD.panel.data, "other")
        other.delete(f"/api/users/{user}", {}).expect(200)
        rows = audit("?key=other")
        self.assertEqual([(row["method"], row["target"]) for row in rows], [("DELETE", user)])
        self.assertEqual(audit(f"?key={rows[0]['key']['id']}"), rows)
        self.assertEqual(audit(f"?since={int(time.time()) + 60}"), [])
        self.assertGreater(len(audit(f"?since={int(time.time()) - 3600}")), 2)

    def test_by_a_name_of_any_letters(self):
        name = "Büro & Söhne: 1>2"
        made = WORLD.api.post("/api/keys", {"name": name}).expect(201).json
        for _ in range(3):
            WORLD.api.post("/api/images/create", {}, key=made["key"]).refused(400)
        until(lambda: len(audit("?key=" + urllib.parse.quote(name))) == 3, 5, "all three are written")
        seen, path = [], "/api/audit?limit=1&key=" + urllib.parse.quote(name)
        while path:
            answer = WORLD.api.get(path).expect(200)
            seen += [row["key"]["name"] for row in answer.json]
            link = answer.headers["Link"]
            path = re.match("<(.*)>; rel=\"next\"", link)[1] if link else None
        self.assertEqual(seen, [name] * 3)

    def test_a_long_trail_by_time(self):
        """From a time on, wherever that is: no row too many or too few, and without a walk through all."""
        world = World().start()
        try:
            world.panel.stop()
            db = sqlite3.connect(f"{world.panel.data}/panel.db")
            now = int(time.time())
            db.execute("DELETE FROM audit")
            db.execute("INSERT INTO audit(seq, at, request, key_id, key_name, method, path, target, status, code)"
                       " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)"
                       " SELECT i * 2, (? - 300000 + i) * 1000, '', 'k', 'k', 'POST', '/', '', 200, '' FROM n", (now,))
            db.commit()
            db.close()
            world.panel.start()

            def look(since, more=""):
                return world.api.get(f"/api/audit?limit=5&since={since}{more}").expect(200)
            for ago in (0, 1, 2, 4, 5, 17, 299998, 299999, 300000, 400000):
                rows, count = look(now - ago).json, min(ago + 1, 300000)
                self.assertEqual([row["id"] for row in rows], [600000 - 2 * n for n in range(min(count, 5))], ago)
                self.assertEqual(look(now - ago).headers["Link"] is None, count <= 5)
            first = look(now - 299999, "&cursor=8").json
            self.assertEqual([row["id"] for row in first], [6, 4, 2])
            self.assertEqual(look(now + 10).json, [])
            self.assertLess(min(look(now + 10).seconds for _ in range(10)), 0.03)  # a walk takes ten times that
        finally:
            world.stop()

    def test_odd_questions(self):
        for query, field in (("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=c5", "cursor"),
                             ("since=yesterday", "since"), ("since=2026-02-30T00:00:00Z", "since"),
                             ("key=a%1fb", "key"), ("key=" + "x" * 65, "key"), ("target=%0a", "target")):
            WORLD.api.get(f"/api/audit?{query}").refused(400, field=field)
