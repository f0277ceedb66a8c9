"""Instances that are changed. On a scripted Engine."""
import unittest

from lib import shapes
from lib.engine_faults import FAULTS
from lib.wait import until
from lib.world import World

BESIDE = True  # it mostly waits; see lib/runner
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
        now = WORLD.api.instance(self.instance_id)
        self.assertEqual({**row, "updatedAt": None}, {**now, "updatedAt": None})
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


class Limits(Changes):
    """Memory and cores of a container that is there."""

    def tearDown(self):
        WORLD.engine.update_error = None
        WORLD.engine.broken.clear()
        super().tearDown()

    def container(self):
        found = WORLD.containers_of(self.instance_id)
        self.assertEqual(len(found), 1)
        return WORLD.engine.find(found[0])

    def limits(self):
        host = self.container().body["HostConfig"]
        self.assertEqual(host["Memory"], host["MemorySwap"])
        return host["Memory"] >> 20, host["NanoCpus"] / 1e9

    def await_limits(self, *limits, timeout=20):
        until(lambda: self.limits() == limits, timeout, lambda: f"{limits}; they are {self.limits()}")

    def restart_agent(self):
        WORLD.agent.kill()
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=30)

    def test_in_place(self):
        before = self.container()
        started, allocated = before.started_at, WORLD.api.node(WORLD.node_id)["allocated"]["memoryMiB"]
        row = self.change(memory="128 MiB", cpu="0.25")
        self.assertEqual((row["Memory"], row["Cpu"], row["State"], row["Error"]),
                         (128, 0.25, "running", None))
        self.assertEqual(self.limits(), (128, 0.25), "it is answered when it is done")
        after = self.container()
        self.assertEqual((after.id, after.started_at, after.status), (before.id, started, "running"))
        self.assertEqual(WORLD.api.node(WORLD.node_id)["allocated"]["memoryMiB"], allocated + 64)

    def test_there_and_back_over_a_restart_of_the_agent(self):
        kept = self.container().id
        self.change(memory=128)
        self.restart_agent()
        WORLD.await_instance(self.instance_id, State="running")
        self.assertEqual(self.limits()[0], 128)
        self.change(memory=64)
        self.await_limits(64, self.limits()[1])
        self.assertEqual(self.container().id, kept)

    def test_the_same_is_no_change(self):
        row = WORLD.api.instance(self.instance_id)
        asked = len(WORLD.engine.asked("POST", ".*/update"))
        self.change(memory=row["Memory"], cpu=row["Cpu"])
        self.assertEqual(len(WORLD.engine.asked("POST", ".*/update")), asked)

    def test_what_docker_refuses_needs_a_new_container(self):
        before = self.container()
        WORLD.engine.update_error = "scripted: device or resource busy"
        row = self.change(memory=32)
        self.assertEqual((row["State"], self.limits()[0]), ("running", 32))
        after = self.container()
        self.assertNotEqual(after.id, before.id)
        self.assertEqual(after.body["HostConfig"]["Mounts"], before.body["HostConfig"]["Mounts"])
        WORLD.engine.update_error = None
        self.change(memory=48)
        self.assertEqual((self.container().id, self.limits()[0]), (after.id, 48))

    def test_an_engine_that_breaks_off_is_asked_again(self):
        before = self.container()
        kept, started = before.id, before.started_at
        for memory, name in enumerate(("loses the answer", "closes at once", "cuts the body", "answers HTML"), 70):
            def once(handler, respond, name=name):
                WORLD.engine.broken.clear()
                FAULTS[name](handler, respond)

            with self.subTest(fault=name):
                WORLD.engine.broken["update"] = once
                self.change(memory=memory)
                self.assertEqual(WORLD.engine.broken, {}, "it was met")
                self.assertEqual(self.limits()[0], memory)
                WORLD.await_instance(self.instance_id, State="running", Error=None)
                self.assertEqual((self.container().id, self.container().started_at), (kept, started))

    def test_one_that_is_stopped_is_not_started(self):
        for stop, start in ((("power", "stop"), ("power", "start")), (("suspend", None), ("unsuspend", None))):
            with self.subTest(stop=stop):
                def order(word, action):
                    path = f"{self.path()}/power" if action else f"/api/instances/{word}/{self.instance_id}"
                    WORLD.api.post(path, {"action": action} if action else {}).expect(200)

                order(*stop)
                kept, memory = self.container().id, self.limits()[0] + 10
                row = self.change(memory=memory)
                self.assertEqual((row["Memory"], self.container().status), (memory, "exited"))
                order(*start)
                self.assertEqual((self.limits()[0], self.container().status), (memory, "running"))
                self.assertEqual(self.container().id, kept)

    def test_a_node_that_is_offline_does_it_when_it_is_back(self):
        WORLD.agent.stop()
        try:
            WORLD.await_status(WORLD.node_id, "Offline", timeout=40)
            row = WORLD.api.request("PATCH", self.path(), {"memory": 100}).expect(200).json
            self.assertEqual((row["Memory"], row["State"], self.limits()[0]), (100, "unknown", 64))
        finally:
            WORLD.agent.start()
            WORLD.await_status(WORLD.node_id, "Online", timeout=30)
        self.await_limits(100, self.limits()[1])
        WORLD.await_instance(self.instance_id, State="running")

    def test_one_without_a_container_is_made_with_it(self):
        WORLD.engine.start_error = "scripted failure"
        try:
            failed = WORLD.api.post("/api/instances/deploy", WORLD.spec(), query={"wait": 30})
            self.instance_id = failed.expect(500).json["details"]["instanceId"]
            row = self.change(memory=72, name="hall")
            self.assertEqual((row["State"], row["Memory"]), ("failed", 72))
            self.assertIsNotNone(row["Error"])
        finally:
            WORLD.engine.start_error = None
        WORLD.api.post(f"{self.path()}/retry", {}).expect(200)
        WORLD.await_instance(self.instance_id, State="running")
        self.assertEqual(self.limits()[0], 72)

    def test_what_the_environment_tells_is_of_when_it_was_made(self):
        before = WORLD.api.instance(self.instance_id)["Env"]
        self.assertIn("MEMORY_MIB=64", before)
        self.assertEqual(self.change(memory=128, name="hall")["Env"], before)

    def test_more_than_there_is(self):
        node = WORLD.api.node(WORLD.node_id)
        self.refused(400, {"memory": node["capacity"]["memoryMiB"] + 1, "name": "hall"},
                     code="insufficient_memory", field="memory")
        self.refused(400, {"cpu": node["capacity"]["cpus"] + 1, "name": "hall"},
                     code="insufficient_cpu", field="cpu")

    def test_less_is_there_even_where_there_is_too_little(self):
        node = f"/api/nodes/{WORLD.node_id}"
        much = WORLD.api.node(WORLD.node_id)["capacity"]["memoryMiB"] // 2
        self.change(memory=much)
        WORLD.api.request("PATCH", node, {"overcommit": {"memory": 0.1, "cpu": 0.1}}).expect(200)
        try:
            self.assertEqual(self.change(memory=much - 10)["Memory"], much - 10)
            self.refused(400, {"memory": much}, code="insufficient_memory", field="memory")
        finally:
            WORLD.api.request("PATCH", node, {"overcommit": None}).expect(200)


class Refused(Changes):
    def test_what_cannot_be(self):
        for fields, field in (({"name": ""}, "name"), ({"name": "x" * 129}, "name"),
                              ({"name": "a\nb"}, "name"), ({"disk": "much"}, "disk"),
                              ({"disk": "-1"}, "disk"), ({"memory": "1"}, "memory"),
                              ({"memory": 0}, "memory"), ({"cpu": "0"}, "cpu"), ({"cpu": "fast"}, "cpu"), ({"name": ["a"]}, "name")):
            with self.subTest(fields=fields):
                self.refused(400, {**fields, "user": WORLD.user_id}, field=field)
        self.refused(400, {"user": "nobody", "name": "hall"}, code="user_not_found", field="user")

    def test_what_only_a_deploy_says(self):
        self.refused(400, {"name": "hall", "nodeId": "1"}, code="not_changeable", field="nodeId")

    def test_an_instance_that_is_not_there(self):
        WORLD.api.request("PATCH", "/api/instances/nothing0", {"name": "hall"}).refused(
            400, code="instance_not_found")
