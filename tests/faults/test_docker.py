"""A real Docker Engine that is killed, frozen and restarted, and whose containers are changed by
hand while the agent doesn't look; and registries that hang, refuse and talk nonsense."""
import itertools
import os
import unittest

from lib.agent import Agent
from lib.bad_registry import BadRegistry
from lib.dockerd import DockerEngine
from lib.promises import proves, ran
from lib.wait import hold, patient, until
from lib.world import World

CONVERGES = 25  # seconds: our ten, and Docker's own, with sanitizers on two cores
LABELS = ("panel.id", "panel.instance", "panel.generation", "panel.spec")


def make_world(live_restore=False, hurry=None):
    world = World("docker")
    world.engine = DockerEngine(world.dir, live_restore=live_restore)
    world.start(join=False)
    try:
        world.make_images()
        world.agent = Agent(world.dir, world.engine.socket)
        if hurry:
            world.agent.daemon.extra_env["PANEL_HURRY"] = str(hurry)
        world.node_id = world.add_node(world.agent)
        until(lambda: world.api.node(world.node_id)["docker"]["status"] == "up", 20, "Docker is up")
    except BaseException:
        world.abandon()
        raise
    return world


class Engine(unittest.TestCase):
    """Without live-restore: the containers go down with their Engine, and come back with it."""
    live_restore = False

    @classmethod
    def setUpClass(cls):
        cls.world = make_world(cls.live_restore)

    @classmethod
    def tearDownClass(cls):
        cls.world.stop()

    def tearDown(self):
        self.world.clear()

    def deploy(self, count):
        """Ids of instances that run, one of them suspended, and their containers' ids."""
        instances = [self.world.deploy(name=f"i{i}") for i in range(count)]
        self.suspended = instances[0]["Id"]
        self.world.api.post(f"/api/instances/suspend/{self.suspended}", timeout=40).expect(200)
        return {i["Id"]: i["ContainerId"] for i in instances}

    def all_as_wanted(self, containers):
        for instance, container in containers.items():
            state = "suspended" if instance == self.suspended else "running"
            self.world.await_instance(instance, CONVERGES, State=state)
            until(lambda: self.world.engine.api.inspect(container)["State"]["Running"] ==
                  (state == "running"), CONVERGES, f"it is {state} in Docker, too")
            self.assertEqual(self.world.containers_of(instance), [container])

    def knows(self, status):
        until(lambda: self.world.api.node(self.world.node_id)["docker"]["status"] == status, 15,
              f"Docker is told to be {status}")
        self.assertEqual(self.world.api.node(self.world.node_id)["status"], "Online")

    def pids(self, containers):
        return {c: self.world.engine.api.inspect(c)["State"]["Pid"] for c in containers.values()}

    def kill_and_start(self):
        containers = self.deploy(3)
        before = self.pids(containers)
        self.world.engine.kill()
        self.knows("down")
        self.world.engine.start()
        self.knows("up")
        self.all_as_wanted(containers)
        return before, self.pids(containers)

    @proves("I2", "I8", fault="kill -9 of dockerd")
    def test_kill_9(self):
        self.kill_and_start()

    @proves("I2", "I8", fault="restart of dockerd")
    def test_restart(self):
        containers = self.deploy(2)
        self.world.engine.restart()
        self.all_as_wanted(containers)

    @proves("I2", "I4", "I8", fault="kill -9 of dockerd in the middle of a deploy")
    def test_kill_9_in_the_middle_of_deploys(self):
        spec = [self.world.spec(name=f"d{i}") for i in range(4)]
        ids = [self.world.api.post("/api/instances/deploy", body).expect(201).json["Id"]
               for body in spec]
        self.world.engine.crash()
        for instance in ids:
            self.world.await_instance(instance, CONVERGES, State="running", InternalState="READY")
            self.assertEqual(len(self.world.containers_of(instance)), 1)

    @proves("I2", "I8", fault="dockerd stopped for some seconds (SIGSTOP)")
    def test_frozen_for_some_seconds(self):
        containers = self.deploy(2)
        self.world.engine.daemon.freeze()
        try:
            new = self.world.api.post("/api/instances/deploy", self.world.spec()).expect(201).json["Id"]
            hold(lambda: self.world.api.node(self.world.node_id)["status"] == "Online", 4,
                 "the node is Online")
            self.assertEqual(self.world.api.instance(new)["InternalState"], "INSTALLING")
        finally:
            self.world.engine.daemon.thaw()
        self.world.await_instance(new, CONVERGES, State="running")
        self.assertEqual(len(self.world.containers_of(new)), 1)
        self.all_as_wanted(containers)

    @proves("I3", "I8", fault="dockerd killed while instances are deleted")
    def test_kill_9_in_the_middle_of_deletes(self):
        containers = self.deploy(3)
        for instance in containers:
            self.world.api.delete("/api/instance/delete", {"id": instance}, query={"wait": 0},
                                  timeout=90)
        self.world.engine.crash()
        for instance in containers:
            until(lambda: not self.world.containers_of(instance), CONVERGES, "it is gone")


class EngineLiveRestore(Engine):
    """With it they run on."""
    live_restore = True

    @proves("I2", "I8", fault="kill -9 of dockerd, live-restore on")
    def test_kill_9(self):
        before, after = self.kill_and_start()
        self.assertEqual(before, after, "nothing was started anew")

    test_kill_9_in_the_middle_of_deletes = None
    test_kill_9_in_the_middle_of_deploys = None


class ByHand(unittest.TestCase):
    """What somebody does with `docker` while the agent is down is found at its start."""

    @classmethod
    def setUpClass(cls):
        cls.world = make_world()
        cls.docker = cls.world.engine.api

    @classmethod
    def tearDownClass(cls):
        cls.world.stop()

    def tearDown(self):
        self.world.clear()
        self.assertEqual([c["Names"] for c in self.docker.containers()
                          if "panel.id" in (c["Labels"] or {})], [], "nothing of ours is left")
        self.docker.remove_all()

    def meanwhile(self, *changes):
        """Instances, one for each change, which is made while the agent is down."""
        instances = [self.world.deploy() for _ in changes]
        self.world.agent.kill()
        for instance, change in zip(instances, changes):
            change(instance["ContainerId"])
        self.world.agent.start()
        until(lambda: "inventory ready" in self.world.agent.daemon.log().rpartition("agent started")[2],
              CONVERGES, "the agent has looked")
        self.world.await_status(self.world.node_id, "Online")
        return instances

    def comes_back(self, instance, same=True):
        self.world.await_instance(instance["Id"], CONVERGES, State="running")
        until(lambda: any(self.docker.inspect(c)["State"]["Running"] and
                          not self.docker.inspect(c)["State"]["Paused"]
                          for c in self.world.containers_of(instance["Id"])), CONVERGES, "it runs")
        found = self.world.containers_of(instance["Id"])
        self.assertEqual(len(found), 1)
        self.assertEqual(found[0] == instance["ContainerId"], same)

    @proves("I2", "I8", fault="containers removed, stopped, renamed, paused by hand behind the agent's back")
    def test_changed(self):
        removed, *others = self.meanwhile(
            self.docker.remove, self.docker.stop, self.docker.kill,
            lambda c: self.docker.call("POST", f"/containers/{c}/pause"),
            lambda c: self.docker.call("POST", f"/containers/{c}/rename", query={"name": "mine"}))
        self.comes_back(removed, same=False)
        for instance in others:
            self.comes_back(instance)
        ran(5)

    @proves("I2", "I3", fault="a container that has the name of ours and isn't")
    def test_a_stranger_with_our_name(self):
        made = []

        def change(container):
            name = self.docker.inspect(container)["Name"].strip("/")
            self.docker.remove(container)
            made.append(self.docker.create("test:sleeper", name=name))
            self.docker.start(made[0])
        instance, = self.meanwhile(change)
        until(lambda: (self.world.api.instance(instance["Id"])["Error"] or {}).get("code") ==
              "name_taken", CONVERGES, lambda: str(self.world.api.instance(instance["Id"])))
        self.assertTrue(self.docker.inspect(made[0])["State"]["Running"], "it is left alone")
        self.world.delete(instance["Id"])
        self.assertTrue(self.docker.inspect(made[0])["State"]["Running"], "it is left alone")

    @proves("I2", "I3", fault="a second container with the labels of ours, made by hand")
    def test_a_copy_with_our_labels(self):
        copies = []

        def change(container):
            labels = self.docker.inspect(container)["Config"]["Labels"]
            copies.append(self.docker.create("test:sleeper", name="copy", Labels={
                key: labels[key] for key in LABELS}))
            self.docker.start(copies[0])
        instance, = self.meanwhile(change)
        found = self.world.await_instance(instance["Id"], CONVERGES, State="running")
        self.assertEqual(found["ContainerId"], instance["ContainerId"], "ours is still ours")
        self.world.delete(instance["Id"])
        until(lambda: not self.world.containers_of(instance["Id"]), CONVERGES, "both are gone")


class Registries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.registry = BadRegistry().start()
        cls.world = make_world(hurry=20)
        cls.numbers = itertools.count(1)

    @classmethod
    def tearDownClass(cls):
        cls.registry.stop()
        cls.world.stop()

    def tearDown(self):
        self.world.clear()

    def deploy(self, mode):
        image = f"{self.registry.host}/{mode}/{next(self.numbers)}:1"
        return self.world.api.post("/api/instances/deploy",
                                   self.world.spec(image=image)).expect(201).json["Id"]

    def pulling(self, instance):
        return until(lambda: next((row for row in [self.world.api.instance(instance)]
                                   if row["State"] == "pulling" and row["Progress"]), None), 15,
                     lambda: f"it is pulled: {self.world.api.instance(instance)}")

    @proves("I4", fault="a registry that hangs in the middle of a layer")
    def test_hangs(self):
        instance = self.deploy("stops")
        seen = self.pulling(instance)
        self.assertLess(seen["Progress"], 100)
        ended = self.world.await_instance(instance, 40, InternalState="FAILED")
        self.assertEqual(ended["Error"]["code"], "registry_timeout")
        self.assertEqual(self.world.api.node(self.world.node_id)["status"], "Online")

    @proves("I3", "I4", fault="delete and suspend while the registry hangs")
    def test_delete_and_suspend_while_it_hangs(self):
        deleted, suspended = self.deploy("stops"), self.deploy("stops")
        self.pulling(deleted)
        self.pulling(suspended)
        self.assertLess(self.world.delete(deleted).seconds, patient(3))
        answer = self.world.api.post(f"/api/instances/suspend/{suspended}", timeout=40).expect(200)
        self.assertLess(answer.seconds, patient(3))
        self.world.await_instance(suspended, 3, State="suspended")
        self.assertEqual(self.world.containers_of(deleted), [])
        self.assertEqual(os.listdir(os.path.join(self.world.agent.state, "volumes")), [])

    @proves("I9", fault="a registry that hangs in the middle of a layer")
    def test_others_go_on_while_it_hangs(self):
        for _ in range(4):  # more than may pull at once
            self.deploy("stops")
        self.assertLess(self.world.api.post("/api/instances/deploy", self.world.spec(),
                                            query={"wait": 60}, timeout=90).expect(201).seconds, patient(8))

    @proves("I4", fault="a registry that answers 500, 401, garbage")
    def test_refuses(self):
        expected = (("500", ("registry_unreachable",)),
                    ("401", ("image_not_found", "registry_unreachable")),
                    ("garbage", ("registry_unreachable",)))
        for instance, codes in [(self.deploy(mode), codes) for mode, codes in expected]:
            ended = self.world.await_instance(instance, 40, InternalState="FAILED")
            self.assertIn(ended["Error"]["code"], codes)
            self.assertGreater(len(ended["Error"]["message"]), 30)
            ran(1)

    @proves("I4", fault="a registry that is slow")
    def test_slow_is_told_and_can_be_deleted(self):
        instance = self.deploy("slow")
        first = self.pulling(instance)["Progress"]
        until(lambda: (self.world.api.instance(instance)["Progress"] or 0) > first, 15, "it goes on")
        self.assertLess(self.world.delete(instance).seconds, patient(3))
