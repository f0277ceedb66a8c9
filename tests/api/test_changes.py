"""Instances that are changed. On a scripted Engine."""
import unittest

from lib import shapes
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


class Changes(unittest.TestCase):
    def setUp(self):
        self.instance_id = WORLD.deploy(name="lobby")["Id"]

    def tearDown(self):
        WORLD.clear()

    def path(self):
        return f"/api/instances/{self.instance_id}"

    def change(self, **fields):
        row = WORLD.api.request("PATCH", self.path(), fields).expect(200).json
        shapes.check_instance(row)
        self.assertEqual(row, WORLD.api.instance(self.instance_id))
        return row

    def refused(self, status, fields, **expected):
        before = WORLD.api.instance(self.instance_id)
        WORLD.api.request("PATCH", self.path(), fields).refused(status, **expected)
        self.assertEqual(WORLD.api.instance(self.instance_id), before)


class Books(Changes):
    """What only the panel knows of."""

    def test_name_owner_and_disk(self):
        other = WORLD.add_user("changes-other")
        before = WORLD.api.instance(self.instance_id)
        asked = len(WORLD.engine.requests)
        row = self.change(name="hall", user=other, disk="2 GiB")
        self.assertEqual((row["Name"], row["User"], row["Disk"]), ("hall", other, 2048))
        for key in set(row) - {"Name", "User", "Disk", "updatedAt"}:
            self.assertEqual(row[key], before[key], key)
        orders = [r for r in WORLD.engine.requests[asked:] if r.method != "GET"]
        self.assertEqual(orders, [], "the container is left alone")
        theirs = WORLD.api.post("/api/getUserInstance", {"userId": other}).expect(200).json
        self.assertEqual([one["Id"] for one in theirs], [self.instance_id])

    def test_what_is_not_sent_stays(self):
        self.change(name="hall", disk=100)
        row = self.change(disk="0", name=None)
        self.assertEqual((row["Name"], row["User"], row["Disk"]), ("hall", WORLD.user_id, None))
        self.assertEqual(self.change()["Name"], "hall")

    def test_it_is_kept_and_its_former_owner_can_go(self):
        owner = WORLD.add_user("changes-owner")
        self.change(user=owner, name="hall")
        WORLD.panel.kill()
        WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=30)
        row = WORLD.api.instance(self.instance_id)
        self.assertEqual((row["Name"], row["User"]), ("hall", owner))
        self.change(user=WORLD.user_id)
        WORLD.api.request("DELETE", f"/api/users/{owner}", {}).expect(200)

    def test_a_new_owner_needs_no_access_of_his_own(self):
        user = WORLD.add_user("changes-guest")
        WORLD.api.post(f"{self.path()}/users", {"userId": user})
        first = WORLD.api.get("/api/users").expect(200)
        self.change(user=user)
        rows = WORLD.api.get("/api/users", headers={"If-None-Match": first.headers["ETag"]}).expect(200).json
        self.assertEqual([row["accessTo"] for row in rows if row["userId"] == user], [[]])

    def test_while_its_node_is_offline(self):
        WORLD.agent.stop()
        try:
            WORLD.await_status(WORLD.node_id, "Offline", timeout=40)
            self.assertEqual(self.change(name="hall")["Name"], "hall")
        finally:
            WORLD.agent.start()
            WORLD.await_status(WORLD.node_id, "Online", timeout=30)

    def test_a_repeat_has_the_first_answer(self):
        def ask(**fields):
            return WORLD.api.request("PATCH", self.path(), fields, headers={"Idempotency-Key": "changes-1"})

        first = ask(name="hall").expect(200).json
        self.change(name="lobby")
        self.assertEqual(ask(name="hall").expect(200).json, first)
        self.assertEqual(WORLD.api.instance(self.instance_id)["Name"], "lobby")
        ask(name="cellar").refused(409, code="idempotency_key_reused")


class Refused(Changes):
    def test_what_cannot_be(self):
        for fields, field in (({"name": ""}, "name"), ({"name": "x" * 129}, "name"),
                              ({"name": "a\nb"}, "name"), ({"disk": "much"}, "disk"),
                              ({"disk": "-1"}, "disk"), ({"name": ["a"]}, "name")):
            with self.subTest(fields=fields):
                self.refused(400, {**fields, "user": WORLD.user_id}, field=field)
        self.refused(400, {"user": "nobody", "name": "hall"}, code="user_not_found", field="user")

    def test_what_only_a_deploy_says(self):
        for field in ("image", "memory", "cpu", "ports", "primary", "nodeId", "variables", "env"):
            with self.subTest(field=field):
                self.refused(400, {"name": "hall", field: "1"}, code="not_changeable", field=field)

    def test_an_instance_that_is_not_there(self):
        WORLD.api.request("PATCH", "/api/instances/nothing0", {"name": "hall"}).refused(
            400, code="instance_not_found")
