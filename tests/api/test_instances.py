"""Instances after their deploy: looked at, suspended, retried, deleted. On a scripted Engine."""
import sqlite3
import unittest

from lib import shapes
from lib.wait import until
from lib.world import World

BESIDE = True  # it mostly waits; see lib/runner
WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


class Read(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.other = WORLD.add_user("other")
        cls.mine = [WORLD.deploy(name=f"mine{n}")["Id"] for n in range(2)]
        cls.theirs = WORLD.deploy(name="theirs", user=cls.other)["Id"]

    @classmethod
    def tearDownClass(cls):
        WORLD.clear()

    def test_list_shows_each_in_order(self):
        rows = WORLD.api.instances()
        for row in rows:
            shapes.check_instance(row)
        self.assertEqual([row["Id"] for row in rows], self.mine + [self.theirs])

    def test_get_instance(self):
        instance = WORLD.api.instance(self.mine[0])
        shapes.check_instance(instance)
        self.assertEqual(instance["User"], WORLD.user_id)
        self.assertEqual(instance["Node"]["id"], WORLD.node_id)
        self.assertEqual(instance["Node"]["status"], "Online")
        self.assertIsNone(instance["Error"])
        self.assertEqual(instance["Memory"], 64)

    def test_get_instance_unknown_or_missing(self):
        WORLD.api.post("/api/getInstance", {"id": "nothing0"}).refused(400, code="instance_not_found")
        WORLD.api.post("/api/getInstance", {}).refused(400, field="id")

    def test_get_user_instance(self):
        rows = WORLD.api.post("/api/getUserInstance", {"userId": WORLD.user_id}).expect(200).json
        self.assertEqual([row["Id"] for row in rows], self.mine)
        rows = WORLD.api.post("/api/getUserInstance", {"userId": self.other}).expect(200).json
        self.assertEqual([row["Id"] for row in rows], [self.theirs])
        for row in rows:
            shapes.check_instance(row)

    def test_get_user_instance_of_one_who_has_none(self):
        nobody = WORLD.add_user("idle")
        self.assertEqual(WORLD.api.post("/api/getUserInstance", {"userId": nobody}).expect(200).json, [])

    def test_get_user_instance_unknown_or_missing(self):
        WORLD.api.post("/api/getUserInstance", {"userId": "nobody"}).refused(400, code="user_not_found")
        WORLD.api.post("/api/getUserInstance", {}).refused(400, field="userId")

    def test_the_node_counts_what_is_allocated(self):
        text = str(WORLD.api.node(WORLD.node_id)["allocated"])
        self.assertIn("192", text)


class Suspend(unittest.TestCase):
    def setUp(self):
        self.instance_id = WORLD.deploy()["Id"]

    def tearDown(self):
        WORLD.clear()

    def suspend(self, body=None, word="suspend", status=200):
        return WORLD.api.post(f"/api/instances/{word}/{self.instance_id}",
                              *([body] if body is not None else [])).expect(status).json

    def status(self):
        return WORLD.engine.find(WORLD.api.instance(self.instance_id)["ContainerId"]).status

    def test_stops_and_unsuspend_starts(self):
        instance = self.suspend()
        shapes.check_instance(instance)
        self.assertIs(instance["suspended"], True)
        WORLD.await_instance(self.instance_id, State="suspended")
        self.assertEqual(self.status(), "exited")
        instance = self.suspend(word="unsuspend")
        self.assertIs(instance["suspended"], False)
        WORLD.await_instance(self.instance_id, State="running")
        self.assertEqual(self.status(), "running")

    def test_twice_is_as_once(self):
        self.suspend()
        self.suspend()
        WORLD.await_instance(self.instance_id, State="suspended")
        self.suspend(word="unsuspend")
        self.suspend(word="unsuspend")
        WORLD.await_instance(self.instance_id, State="running")

    def test_an_id_in_the_body_must_be_the_paths(self):
        self.suspend({"id": self.instance_id})
        self.suspend({"id": "another0"}, status=400)
        self.suspend({"id": self.instance_id}, word="unsuspend")
        self.suspend({"id": "another0"}, word="unsuspend", status=400)

    def test_unknown_ones_are_400(self):
        for word in ("suspend", "unsuspend"):
            WORLD.api.post(f"/api/instances/{word}/nothing0").refused(400, code="instance_not_found")

    def test_it_stays_stopped_when_somebody_starts_it(self):
        self.suspend()
        WORLD.await_instance(self.instance_id, State="suspended")
        container = WORLD.engine.find(WORLD.api.instance(self.instance_id)["ContainerId"])
        with WORLD.engine.lock:
            container.status = "running"
            WORLD.engine.tell("start", container)
        until(lambda: container.status == "exited", 5, "it is stopped again")

    def test_before_it_was_ready(self):
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec()).expect(201)
        WORLD.api.post(f"/api/instances/suspend/{answer.json['Id']}").expect(200)
        instance = WORLD.await_instance(answer.json["Id"], State="suspended")
        if instance["ContainerId"]:
            self.assertNotEqual(WORLD.engine.find(instance["ContainerId"]).status, "running")

    def test_a_failed_one_keeps_its_reason(self):
        WORLD.engine.start_error = "scripted failure"
        try:
            answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(), query={"wait": 30}).refused(500)
        finally:
            WORLD.engine.start_error = None
        failed = answer.json["details"]["instanceId"]
        reason = WORLD.api.instance(failed)["Error"]
        self.assertTrue(reason)
        for _ in range(2):
            instance = WORLD.api.post(f"/api/instances/suspend/{failed}").expect(200).json
            self.assertEqual((instance["InternalState"], instance["Error"]), ("FAILED", reason))
        WORLD.panel.restart()
        WORLD.await_status(WORLD.node_id, "Online")
        self.assertEqual(WORLD.api.instance(failed)["Error"], reason)
        WORLD.api.post(f"/api/instances/unsuspend/{failed}").expect(200)
        instance = WORLD.await_instance(failed, InternalState="READY", State="running")
        self.assertIsNone(instance["Error"])


class Retry(unittest.TestCase):
    def setUp(self):
        WORLD.engine.start_error = "scripted failure"
        WORLD.api.post("/api/instances/deploy", WORLD.spec(), query={"wait": 30}).expect(500)
        self.instance_id = WORLD.api.instances()[-1]["Id"]

    def tearDown(self):
        WORLD.engine.start_error = None
        WORLD.clear()

    def retry(self):
        return WORLD.api.post(f"/api/instances/{self.instance_id}/retry")

    def test_of_a_failed_one_installs_it(self):
        WORLD.engine.start_error = None
        instance = self.retry().expect(200).json
        shapes.check_instance(instance)
        instance = WORLD.await_instance(self.instance_id, InternalState="READY", State="running")
        self.assertIsNone(instance["Error"])

    def test_may_fail_again(self):
        self.retry().expect(200)
        WORLD.await_instance(self.instance_id, InternalState="FAILED")

    def test_of_a_ready_one_is_409(self):
        ready = None
        WORLD.engine.start_error = None
        ready = WORLD.deploy()["Id"]
        WORLD.api.post(f"/api/instances/{ready}/retry").refused(409)

    def test_of_an_unknown_one_is_400(self):
        WORLD.api.post("/api/instances/nothing0/retry").refused(400, code="instance_not_found")

    def test_a_failed_one_can_be_deleted(self):
        WORLD.delete(self.instance_id)
        WORLD.api.post("/api/getInstance", {"id": self.instance_id}).refused(400)


class Delete(unittest.TestCase):
    def tearDown(self):
        WORLD.clear()

    def test_answers_when_the_container_is_gone(self):
        instance = WORLD.deploy()
        answer = WORLD.delete(instance["Id"])
        self.assertIsInstance(answer.json["message"], str)
        self.assertNotIn(instance["ContainerId"], WORLD.engine.containers)
        self.assertNotIn(instance["Id"], [i["Id"] for i in WORLD.api.instances()])
        WORLD.api.post("/api/getInstance", {"id": instance["Id"]}).refused(400)

    def test_by_query(self):
        instance = WORLD.deploy()
        WORLD.api.delete("/api/instance/delete", query={"id": instance["Id"]}).expect(201)
        self.assertNotIn(instance["ContainerId"], WORLD.engine.containers)

    def test_of_one_that_is_not_ready_yet(self):
        WORLD.engine.pullable.add("slow:1")
        WORLD.engine.images.discard("slow:1")
        WORLD.engine.pull_pause = 0.3
        try:
            answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(image="slow:1")).expect(201)
            WORLD.await_instance(answer.json["Id"], State="pulling")
            WORLD.delete(answer.json["Id"])
            self.assertEqual(WORLD.engine.containers, {})
        finally:
            WORLD.engine.pull_pause = 0.0

    def test_of_a_suspended_one(self):
        instance = WORLD.deploy()
        WORLD.api.post(f"/api/instances/suspend/{instance['Id']}").expect(200)
        WORLD.delete(instance["Id"])
        self.assertEqual(WORLD.engine.containers, {})

    def test_unknown_missing_and_twice_are_400(self):
        WORLD.api.delete("/api/instance/delete", {"id": "nothing0"}) \
            .refused(400, code="instance_not_found")
        WORLD.api.delete("/api/instance/delete", {}).refused(400, field="id")
        instance = WORLD.deploy()
        WORLD.delete(instance["Id"])
        WORLD.api.delete("/api/instance/delete", {"id": instance["Id"]}).refused(400)

    def test_gives_memory_and_ports_back(self):
        before = WORLD.api.node(WORLD.node_id)["allocated"]
        instance = WORLD.deploy()
        self.assertNotEqual(WORLD.api.node(WORLD.node_id)["allocated"], before)
        WORLD.delete(instance["Id"])
        until(lambda: WORLD.api.node(WORLD.node_id)["allocated"] == before, 5, "all is given back")

    def test_a_failed_one_holds_them_until_it_is_deleted(self):
        """It may be retried at any time, and has to find its place then."""
        before = WORLD.api.node(WORLD.node_id)["allocated"]
        WORLD.engine.start_error = "scripted failure"
        try:
            answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(memory="128", cpu="0.5"),
                                    query={"wait": 30}).refused(500)
        finally:
            WORLD.engine.start_error = None
        self.assertEqual(WORLD.api.node(WORLD.node_id)["allocated"],
                         {"memoryMiB": before["memoryMiB"] + 128, "cpu": before["cpu"] + 0.5,
                          "instances": before["instances"] + 1})
        WORLD.delete(answer.json["details"]["instanceId"])
        self.assertEqual(WORLD.api.node(WORLD.node_id)["allocated"], before)


class Crash(unittest.TestCase):
    def test_says_how_often_and_when_it_tries_again(self):
        instance = WORLD.deploy()["Id"]
        try:
            for says in ("exited with code 7; it is started again within 3 s",
                         "exited with code 7, 2 times in a row; it is started again within 6 s"):
                WORLD.engine.die(WORLD.containers_of(instance)[0], 7)
                until(lambda: says in ((WORLD.api.instance(instance)["Error"] or {}).get("message") or ""), 5,
                      lambda: f"{says!r}; it is {WORLD.api.instance(instance)}")
                self.assertEqual(WORLD.api.instance(instance)["State"], "crashed")
                WORLD.await_instance(instance, State="running")
        finally:
            WORLD.delete(instance)


class DeleteNode(unittest.TestCase):
    def setUp(self):
        self.world = World("scripted").start()
        self.world.deploy()
        self.world.deploy()

    def tearDown(self):
        self.world.stop()

    def delete(self, **fields):
        return self.world.api.delete("/api/nodes/delete", {"nodeId": self.world.node_id, **fields})

    def test_with_instances_is_400_and_says_how_many(self):
        self.delete().refused(400, says="2")
        self.delete(force=False).refused(400, says="2")
        self.delete(force="false").refused(400, says="2")
        self.assertEqual(len(self.world.api.instances()), 2)

    def test_those_being_deleted_are_told_apart(self):
        first, second = (row["Id"] for row in self.world.api.instances())
        self.world.agent.kill()
        self.world.await_status(self.world.node_id, "Offline")
        self.world.delete(first)
        self.delete().refused(400, code="node_has_instances",
                              says=("2 instances", "1 of them still being deleted"))
        self.world.delete(second)
        self.delete().refused(400, says=("2 instances, still being deleted", "wait"))
        self.world.agent.start()
        until(lambda: self.delete().status == 201, 20, "the node can be deleted")

    def test_with_force_removes_instances_too(self):
        self.delete(force="true").expect(201)
        self.assertEqual(self.world.api.nodes(), [])
        self.assertEqual(self.world.api.instances(), [])
        until(lambda: not self.world.engine.containers, 10, "the containers are removed")

    def test_with_force_and_its_agent_away(self):
        self.world.agent.kill()
        self.world.await_status(self.world.node_id, "Offline")
        self.delete(force=True).expect(201)
        self.assertEqual(self.world.api.nodes(), [])
        self.world.panel.restart()
        self.assertEqual(self.world.api.instances(), [])
        self.world.agent.start()
        until(lambda: not self.world.engine.containers, 20, "the containers are removed")


class DeleteUser(unittest.TestCase):
    def setUp(self):
        self.world = World("scripted").start()
        self.user_id = self.world.add_user("leaving")
        self.instance = self.world.deploy(user=self.user_id)

    def tearDown(self):
        self.world.stop()

    def delete(self, **fields):
        return self.world.api.delete(f"/api/users/{self.user_id}", fields)

    def test_with_instances_is_400_and_says_how_many(self):
        answer = self.delete().expect(400).json
        self.assertEqual(answer["code"], "user_has_instances")
        self.assertIn("1 instance", answer["error"])
        self.assertEqual(len(self.world.api.instances()), 1)

    def test_with_force_removes_them_too(self):
        self.delete(force=True).expect(200)
        self.assertEqual(self.world.api.instances(), [])
        until(lambda: not self.world.engine.containers, 10, "the container is removed")
        until(lambda: self.rows() == 0, 10, "nothing of the user is kept")

    def rows(self):
        with sqlite3.connect(f"file:{self.world.panel.data}/panel.db?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM users WHERE id = ?", (self.user_id,)).fetchone()[0]

    def test_with_force_and_the_node_away(self):
        self.world.agent.kill()
        self.world.await_status(self.world.node_id, "Offline")
        self.delete(force=True).expect(200)
        self.world.api.post("/api/getUser", {"type": "username", "value": "leaving"}).expect(400)
        self.assertNotIn(self.user_id, [user["userId"] for user in self.world.api.users()])
        self.world.add_user("leaving")  # the name is free at once
        self.world.panel.restart()
        self.world.agent.start()
        until(lambda: not self.world.engine.containers, 20, "the container is removed")
        until(lambda: self.rows() == 0, 10, "nothing of the user is kept")
        answer = self.world.api.post("/api/instances/deploy", self.world.spec(user=self.user_id))
        self.assertEqual(answer.expect(400).json["code"], "user_not_found")
