"""Two users' worlds: what is one's isn't there for the other, whatever he asks, and however."""
import json
import time
import unittest

from lib import routes
from lib.client import Client
from lib.events import EventStream
from lib.wait import until
from lib.world import World

WORLD = None
OWNER, STRANGER = {}, {}  # id, key, instance
SECRETS = {}              # what of the owner's must be in nothing that the stranger reads
PASSWORD = "correct horse"


def make_user(name):
    user = WORLD.add_user(name)
    key = WORLD.api.post("/api/keys", {"name": f"key-of-{name}", "userId": user}).expect(201).json
    return {"id": user, "key": key["key"], "keyId": key["id"], "name": name}


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()
    WORLD.api.post("/api/images/create", {"Name": "shared", "Image": "test:httpd"}).expect(201)
    OWNER.update(make_user("leopold"))
    STRANGER.update(make_user("molly"))
    guest = make_user("stephen")
    for who, name in ((OWNER, "eccles-street"), (STRANGER, "gibraltar")):
        instance = WORLD.deploy(user=who["id"], name=name, variables={"TOKEN": f"secret-of-{name}"})
        WORLD.api.post(f"/api/instances/{instance['Id']}/power", {"action": "stop"}).expect(200)
        who["instance"] = instance["Id"]
        who["port"] = instance["Primary"]
    row = WORLD.api.instance(OWNER["instance"])
    WORLD.api.post(f"/api/instances/{OWNER['instance']}/users", {"userId": guest["id"]}).expect(200)
    WORLD.api.post("/api/users/nothing", {}).expect((404, 405))
    SECRETS.update({"the user's id": OWNER["id"], "the user's name": "leopold", "the instance's id": OWNER["instance"],
                    "the instance's name": "eccles-street", "a variable": "secret-of-eccles-street",
                    "a port": f":{OWNER['port']}", "the container": row["ContainerId"], "a key's id": OWNER["keyId"],
                    "a key's name": "key-of-leopold", "a guest's id": guest["id"], "a guest's name": "stephen",
                    "the admin's key": "\"t\""})


def tearDownModule():
    WORLD.stop()


class Leaks(unittest.TestCase):
    def look(self, answer, what, asked=""):
        """asked: what the request itself named may be told back in an error's sentence."""
        text = f"{answer.body.decode(errors='replace')} {answer.headers.items()}"
        for name, secret in SECRETS.items():
            if secret and not (asked and secret in asked and answer.status >= 400):
                self.assertNotIn(secret, text, f"{what} shows {name}")

    def ids(self):
        return {"own instance": STRANGER["instance"], "the instance": OWNER["instance"], "the user": OWNER["id"],
                "the key": OWNER["keyId"], "the node": WORLD.node_id, "nothing": "0123456789abcdef"}

    def test_every_get(self):
        """Each route that reads, with each id there is, whole, in pages, and from any place in the list."""
        count = 0
        for route in routes.read():
            if route.method != "GET" or not route.path.startswith("/api"):
                continue
            for what, some_id in self.ids().items():
                for query in ("", "limit=1", "cursor=c0", "limit=1&cursor=c1", "follow=0"):
                    if route.path.endswith(("/console", "/events")) or (query and ":id" in route.path):
                        continue
                    path = route.at(some_id) + ("?" + query if query else "")
                    with self.subTest(path=path, what=what):
                        answer = WORLD.api.get(path, key=STRANGER["key"])
                        self.look(answer, path, asked=some_id)
                        count += 1
                if ":id" not in route.path:
                    break
        self.assertGreater(count, 60)

    def test_others_are_like_nothing_at_all(self):
        """The same status, code and words for what is another's and for what isn't."""
        for route in routes.read():
            if ":id" not in route.path or "/instances/" not in route.path:
                continue
            body = {} if route.method == "GET" else {"body": {"action": "start", "line": "x", "userId": STRANGER["id"]}}
            answers = [WORLD.api.request(route.method, route.at(some_id), key=STRANGER["key"], **body)
                       for some_id in (OWNER["instance"], "0123456789abcdef0123")]
            with self.subTest(route=route):
                self.assertGreaterEqual(answers[0].status, 400)
                self.assertEqual(*[(a.status, a.json["code"], a.json["error"], a.json.get("field")) for a in answers])
        for path, body, nothing in (("/api/getInstance", {"id": OWNER["instance"]}, {"id": "0123456789abcdef0123"}),
                                    ("/api/getUserInstance", {"userId": OWNER["id"]}, {"userId": "nosuch"}),
                                    ("/api/getUser", {"type": "username", "value": "leopold"},
                                     {"type": "username", "value": "nosuch"}),
                                    ("/api/getUser", {"type": "id", "value": OWNER["id"]},
                                     {"type": "id", "value": "nosuch"})):
            mine, theirs = (WORLD.api.post(path, b, key=STRANGER["key"]).expect(400) for b in (body, nothing))
            self.look(mine, path, asked=str(body))
            self.assertEqual((mine.json["code"], mine.json["error"].split(" It is")[0]),
                             (theirs.json["code"], theirs.json["error"].split(" It is")[0]))

    def test_lists_hold_what_is_his(self):
        get = {path: WORLD.api.get(path, key=STRANGER["key"]).expect(200).json
               for path in ("/api/users", "/api/instances", "/api/keys", "/api/images", "/api/stats")}
        self.assertEqual([row["userId"] for row in get["/api/users"]], [STRANGER["id"]])
        self.assertEqual([row["Id"] for row in get["/api/instances"]], [STRANGER["instance"]])
        self.assertEqual({row["userId"] for row in get["/api/keys"]}, {STRANGER["id"]})
        self.assertEqual(len(get["/api/images"]), 1)
        self.assertLessEqual({row["Id"] for row in get["/api/stats"]}, {STRANGER["instance"]})

    def test_tags_do_not_tell_of_others(self):
        def tags():
            return [WORLD.api.get(path, key=STRANGER["key"]).headers["ETag"]
                    for path in ("/api/users", "/api/instances")]
        before = tags()
        WORLD.api.request("PATCH", f"/api/instances/{OWNER['instance']}", {"disk": f"{time.time_ns() % 999 + 1}"}).expect(200)
        WORLD.add_user(f"somebody-{time.monotonic_ns()}")
        self.assertEqual(tags(), before)
        for path, tag in zip(("/api/users", "/api/instances"), before):
            WORLD.api.get(path, key=STRANGER["key"], headers={"If-None-Match": tag}).expect(304)
            owners = WORLD.api.get(path, key=OWNER["key"], headers={"If-None-Match": tag}).expect(200)
            self.assertNotEqual(owners.headers["ETag"], tag)
        WORLD.api.request("PATCH", f"/api/instances/{STRANGER['instance']}", {"name": "gibraltar 2"},
                          key=STRANGER["key"]).expect(200)
        self.assertNotEqual(tags()[1], before[1])

    def test_an_admins_list_from_memory_is_not_his(self):
        for key in (WORLD.panel.key, STRANGER["key"], WORLD.panel.key, OWNER["key"]):
            count = len(WORLD.api.get("/api/instances", key=key).expect(200).json)
            self.assertEqual(count, 2 if key == WORLD.panel.key else 1)

    def test_events_tell_of_what_is_his(self):
        client = Client("127.0.0.1", WORLD.panel.port, STRANGER["key"])
        with EventStream(client, "/api/events?after=0") as stream:
            for who in (OWNER, STRANGER):
                WORLD.api.request("PATCH", f"/api/instances/{who['instance']}", {"disk": f"{time.time_ns() % 9999 + 1}"}).expect(200)
            WORLD.api.post("/api/keys", {"name": "key-of-leopold", "userId": OWNER["id"]}).expect(201)
            WORLD.api.request("PATCH", f"/api/instances/{STRANGER['instance']}", {"name": "the last"}).expect(200)
            until(lambda: [e.json["type"] for e in stream.events].count("instance.changed") >= 2, 5,
                  lambda: str(stream.events))
            told = [e.json for e in stream.events]
        text = json.dumps(told)
        for name, secret in SECRETS.items():
            self.assertNotIn(secret, text, name)
        kinds = {event["type"].split(".")[0] for event in told}
        self.assertEqual(kinds, {"instance", "user", "image", "key"})
        self.assertFalse([e for e in told if e.get("userId", STRANGER["id"]) != STRANGER["id"]])

    def test_what_is_written_once_for_all_is_not_given_to_him(self):
        """Followers of all events share their text; he stands where they do, and gets his own."""
        def follow(key):
            with EventStream(Client("127.0.0.1", WORLD.panel.port, key), "/api/events?after=0") as stream:
                until(lambda: stream.events, 5, "events come")
                return json.dumps([event.json for event in stream.events])
        for _ in range(3):
            self.assertIn(OWNER["id"], follow(WORLD.panel.key))
            told = follow(STRANGER["key"])
            for name, secret in SECRETS.items():
                self.assertNotIn(secret, told, name)

    def test_events_can_not_be_asked_for_by_id(self):
        client = Client("127.0.0.1", WORLD.panel.port, STRANGER["key"])
        for query in (f"instance={OWNER['instance']}", f"user={OWNER['id']}", f"node={WORLD.node_id}"):
            with EventStream(client, f"/api/events?after=0&{query}") as stream:
                WORLD.api.request("PATCH", f"/api/instances/{OWNER['instance']}", {"disk": f"{time.time_ns() % 9999 + 1}"}).expect(200)
                WORLD.api.request("PATCH", f"/api/instances/{STRANGER['instance']}", {"disk": f"{time.time_ns() % 9999 + 1}"}).expect(200)
                with EventStream(client, "/api/events?after=0") as all_of_his:
                    until(lambda: all_of_his.events, 5, "his own come")
                self.assertNotIn(OWNER["instance"], str(stream.events))
                self.assertNotIn(OWNER["id"], str(stream.events))

    def test_another_ones_idempotency_key_is_not_his(self):
        header = {"Idempotency-Key": "their common word"}
        first = WORLD.api.post("/api/keys", {"name": "x"}, key=OWNER["key"], headers=header).expect(201)
        second = WORLD.api.post("/api/keys", {"name": "x"}, key=STRANGER["key"], headers=header).expect(201)
        self.assertIsNone(second.headers.get("Idempotent-Replayed"))
        self.assertNotEqual(first.json["id"], second.json["id"])

    def test_a_first_answer_is_not_told_to_who_lost_access(self):
        guest = make_user(f"lost-{time.monotonic_ns()}")
        path = f"/api/instances/{OWNER['instance']}/users"
        WORLD.api.post(path, {"userId": guest["id"]}).expect(200)
        power, header = f"/api/instances/{OWNER['instance']}/power", {"Idempotency-Key": "stop"}
        WORLD.api.post(power, {"action": "stop"}, key=guest["key"], headers=header).expect(200)
        WORLD.api.delete(path, {"userId": guest["id"]}).expect(200)
        WORLD.api.post(power, {"action": "stop"}, key=guest["key"], headers=header).refused(400, "instance_not_found")


class Owner(unittest.TestCase):
    """What is his he may use."""

    def test_his_instance(self):
        path = f"/api/instances/{OWNER['instance']}"
        self.assertEqual(WORLD.api.get(path, key=OWNER["key"]).expect(200).json["Id"], OWNER["instance"])
        rows = WORLD.api.post("/api/getUserInstance", {"userId": OWNER["id"]}, key=OWNER["key"]).expect(200).json
        self.assertEqual([row["Id"] for row in rows], [OWNER["instance"]])
        WORLD.api.post(path + "/power", {"action": "start"}, key=OWNER["key"]).expect(200)
        WORLD.api.post(path + "/power", {"action": "stop"}, key=OWNER["key"]).expect(200)
        WORLD.api.request("PATCH", path, {"name": "eccles-street 7"}, key=OWNER["key"]).expect(200)
        for body in ({"memory": "2g"}, {"user": STRANGER["id"]}, {"name": "x", "disk": "9g"}, {"cpu": 8},
                     {"image": "test:other"}, {"env": {"A": "1"}, "ports": "80:auto"}, {"primary": 80}, {"else": None}):
            answer = WORLD.api.request("PATCH", path, body, key=OWNER["key"]).refused(403, "forbidden")
            self.assertEqual(answer.json["field"], list(body)[-1])

    def test_what_of_his_instance_he_may_set(self):
        instance = WORLD.deploy(user=OWNER["id"], variables={"MOTTO": "yes"})["Id"]
        path = f"/api/instances/{instance}"
        WORLD.api.post(path + "/power", {"action": "stop"}).expect(200)
        body = {"name": "eccles-street 8", "variables": {"MOTTO": "yes I will"}, "env": {"TZ": "Europe/Dublin"}}
        row = WORLD.api.request("PATCH", path, body, key=OWNER["key"]).expect(200).json
        self.assertEqual((row["Name"], row["variables"]["MOTTO"]), ("eccles-street 8", "yes I will"))
        self.assertIn("TZ=Europe/Dublin", row["Env"])
        WORLD.api.request("PATCH", path, body, key=STRANGER["key"]).refused(400, "instance_not_found")
        WORLD.api.post(path + "/users", {"userId": STRANGER["id"]}, key=OWNER["key"]).expect(200)
        for one in body:
            WORLD.api.request("PATCH", path, {one: body[one]}, key=STRANGER["key"]).refused(403, "forbidden", says="owner")
        WORLD.api.delete(path, {}).expect(200)
        for method, other in (("POST", f"/api/instances/suspend/{OWNER['instance']}"), ("DELETE", path)):
            WORLD.api.request(method, other, {}, key=OWNER["key"]).refused(403, "forbidden", says="admin")

    def test_his_guests_by_their_ids(self):
        rows = WORLD.api.get(f"/api/instances/{OWNER['instance']}/users", key=OWNER["key"]).expect(200).json
        self.assertTrue(rows)
        self.assertTrue(all(set(row) == {"userId"} for row in rows), rows)

    def test_a_guest_uses_and_does_not_own(self):
        guest = make_user(f"uses-{time.monotonic_ns()}")
        path = f"/api/instances/{OWNER['instance']}"
        WORLD.api.get(path, key=guest["key"]).refused(400, "instance_not_found")
        WORLD.api.post(path + "/users", {"userId": guest["id"]}, key=OWNER["key"]).expect(200)
        WORLD.api.get(path, key=guest["key"]).expect(200)
        self.assertEqual([row["Id"] for row in WORLD.api.get("/api/instances", key=guest["key"]).json],
                         [OWNER["instance"]])
        for method, more in (("GET", "/users"), ("POST", "/users"), ("POST", "/reinstall"), ("PATCH", "")):
            body = {} if method == "GET" else {"body": {}}
            WORLD.api.request(method, path + more, key=guest["key"], **body).refused(403, "forbidden", says="owner")
        WORLD.api.delete(path + "/users", {"userId": guest["id"]}, key=OWNER["key"]).expect(200)
        WORLD.api.get(path, key=guest["key"]).refused(400, "instance_not_found")

    def test_another_owner_has_it_from_then_on_alone(self):
        first, second = (make_user(f"{name}-{time.monotonic_ns()}") for name in ("first", "second"))
        instance = WORLD.deploy(user=first["id"])["Id"]
        path = f"/api/instances/{instance}"
        WORLD.api.get(path, key=first["key"]).expect(200)
        WORLD.api.request("PATCH", path, {"user": second["id"]}).expect(200)
        WORLD.api.get(path, key=first["key"]).refused(400, "instance_not_found")
        WORLD.api.get(path, key=second["key"]).expect(200)
        client = Client("127.0.0.1", WORLD.panel.port, second["key"])
        with EventStream(client, f"/api/events?after=0&instance={instance}") as stream:
            until(lambda: stream.events, 5, "his events come")
            self.assertNotIn(first["id"], str(stream.events))


if __name__ == "__main__":
    unittest.main()
