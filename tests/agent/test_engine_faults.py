"""What the Engine does wrong, and what the agent makes of it."""
import threading
import unittest

from lib.wait import hold, until
from lib.world import World


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World("scripted").start()
        cls.engine = cls.world.engine

    @classmethod
    def tearDownClass(cls):
        cls.world.stop()

    def setUp(self):
        self.engine.start_error = None
        self.engine.registry_down = False
        self.engine.crash_on_start = None

    def tearDown(self):
        self.setUp()
        self.world.clear()

    def deploy(self, **more):
        return self.world.api.post("/api/instances/deploy", self.world.spec(**more),
                                   query={"wait": 30}, timeout=60)

    def instance(self):
        return self.world.api.instances()[-1]

    def test_a_port_held_by_something_else(self):
        self.engine.start_error = (
            "driver failed programming external connectivity on endpoint x: Error starting userland "
            "proxy: listen tcp4 127.0.0.1:18080: bind: address already in use")
        self.deploy().refused(500, code="port_in_use")
        self.assertEqual(self.instance()["InternalState"], "FAILED")
        self.assertEqual(self.instance()["Error"]["code"], "port_in_use")

    def test_a_registry_that_is_down(self):
        self.engine.registry_down = True
        self.deploy(image="registry.test/away:1").refused(500, code="registry_unreachable")

    def test_a_registry_that_is_down_does_not_matter_when_the_image_is_there(self):
        self.engine.registry_down = True
        self.assertEqual(self.deploy().expect(201).json["instance"]["State"], "running")

    def test_a_tag_that_is_not_there(self):
        self.deploy(image="registry.test/missing:1").refused(500, code="image_not_found",
                                                             says="registry.test/missing:1")

    def test_a_start_that_fails_leaves_no_secret_words(self):
        self.engine.start_error = "OCI runtime create failed: exec: \"/x\": no such file: unknown"
        answer = self.deploy().refused(500)
        self.assertEqual(self.instance()["Error"]["code"], answer.json["code"])

    def test_a_container_that_ends_at_once_is_not_called_ready(self):
        self.engine.crash_on_start = 3
        answer = self.deploy()
        instance = self.instance()
        self.assertNotEqual(instance["State"], "running")
        self.assertTrue(answer.status == 500 or instance["State"] in ("crashed", "stopped", "failed"))

    def test_a_name_that_is_taken_by_a_stranger(self):
        instance = self.world.deploy()
        with self.engine.lock:
            name = self.engine.find(instance["ContainerId"]).name
            self.engine.vanish(name)
            stranger = self.engine.add(name, {"Image": "test:httpd", "Labels": {}})
        until(lambda: self.world.api.instance(instance["Id"])["State"] != "running", 15,
              "the instance is seen to be gone")
        hold(lambda: stranger.id in self.engine.containers, 3, "the stranger's is left alone")
        with self.engine.lock:
            del self.engine.containers[stranger.id]

    def test_containers_of_others_are_left_alone(self):
        plain = self.engine.add("plain", {"Image": "test:httpd", "Labels": {}})
        instance = self.world.deploy()
        self.world.delete(instance["Id"])
        self.world.agent.restart()
        self.world.await_status(self.world.node_id, "Online")
        self.assertEqual(self.engine.containers[plain.id].status, "running")
        with self.engine.lock:
            del self.engine.containers[plain.id]

    def test_progress_of_a_pull_is_told(self):
        self.engine.pullable.add("registry.test/slow:1")
        self.engine.pull_pause = 0.3
        seen = []
        try:
            answer = self.world.api.post("/api/instances/deploy",
                                         self.world.spec(image="registry.test/slow:1")).expect(201)

            def ready():
                instance = self.world.api.instance(answer.json["Id"])
                if instance["State"] == "pulling" and instance["Progress"] is not None:
                    seen.append(instance["Progress"])
                return instance["InternalState"] == "READY"
            until(ready, 20, "it is ready")
        finally:
            self.engine.pull_pause = 0.0
        self.assertEqual(seen, sorted(seen))
        self.assertGreaterEqual(len(set(seen)), 2, "no progress was seen")
        self.assertIsNone(self.world.api.instance(answer.json["Id"])["Error"])

    def test_one_pull_for_two_who_want_the_same(self):
        self.engine.pullable.add("registry.test/shared:1")
        ids = [self.world.api.post("/api/instances/deploy", self.world.spec(
            image="registry.test/shared:1")).expect(201).json["Id"] for _ in range(3)]
        for instance in ids:
            self.world.await_instance(instance, InternalState="READY")

    def test_an_engine_that_hangs_does_not_make_the_node_offline(self):
        self.engine.stuck = threading.Event()
        try:
            answer = self.world.api.post("/api/instances/deploy", self.world.spec()).expect(201)
            for _ in range(20):
                self.assertEqual(self.world.api.node(self.world.node_id)["status"], "Online")
                threading.Event().wait(0.1)
            self.assertEqual(self.world.api.instance(answer.json["Id"])["InternalState"], "INSTALLING")
        finally:
            self.engine.stuck.set()
            self.engine.stuck = None
        self.world.await_instance(answer.json["Id"], timeout=30, InternalState="READY")

    def test_an_engine_that_went_away_and_came_back(self):
        instance = self.world.deploy()
        self.engine.stop()
        until(lambda: self.world.api.node(self.world.node_id)["docker"]["status"] in ("down", "error"),
              10, "docker is told to be down")
        self.assertEqual(self.world.api.node(self.world.node_id)["status"], "Online")
        self.engine.start()
        until(lambda: self.world.api.node(self.world.node_id)["docker"]["status"] not in
              ("down", "error"), 15, "docker is told to be up")
        self.world.await_instance(instance["Id"], State="running")

    def test_containers_that_vanish_while_nobody_listens(self):
        instance = self.world.deploy()
        self.engine.stop()
        with self.engine.lock:
            self.engine.containers.clear()
        self.engine.start()
        old = instance["ContainerId"]
        until(lambda: self.engine.containers and
              self.world.api.instance(instance["Id"])["ContainerId"] not in (None, old), 20,
              "the container is made again")


class NeverEnds(unittest.TestCase):
    """Each INSTALLING ends, whatever the Engine does."""

    def test_on_an_engine_that_never_answers(self):
        world = World("scripted", config={"heartbeatMs": 500, "installTimeoutMs": 3000}).start()
        world.engine.stuck = threading.Event()
        try:
            answer = world.api.post("/api/instances/deploy", world.spec()).expect(201)
            world.await_instance(answer.json["Id"], timeout=15, InternalState="FAILED")
            self.assertTrue(world.api.instance(answer.json["Id"])["Error"]["message"])
        finally:
            world.engine.stuck.set()
            world.engine.stuck = None
            world.stop()

    def test_with_the_agent_gone(self):
        world = World("scripted", config={"heartbeatMs": 500, "installTimeoutMs": 3000}).start()
        world.engine.stuck = threading.Event()
        try:
            answer = world.api.post("/api/instances/deploy", world.spec()).expect(201)
            world.agent.kill()
            world.await_instance(answer.json["Id"], timeout=15, InternalState="FAILED")
        finally:
            world.engine.stuck.set()
            world.engine.stuck = None
            world.stop()

    def test_with_the_panel_restarted(self):
        world = World("scripted", config={"heartbeatMs": 500, "installTimeoutMs": 3000}).start()
        world.engine.stuck = threading.Event()
        try:
            answer = world.api.post("/api/instances/deploy", world.spec()).expect(201)
            world.agent.kill()
            world.panel.crash()
            world.await_instance(answer.json["Id"], timeout=15, InternalState="FAILED")
        finally:
            world.engine.stuck.set()
            world.engine.stuck = None
            world.stop()
