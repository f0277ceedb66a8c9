"""Each route of a Docker Engine × each way to be wrong: a node for each fault, all at once.

While a route is broken an instance is deployed, another suspended and a third deleted on each
node, and a sound node is watched. Then the Engine is well again, and so must all else be."""
import concurrent.futures
import os
import re
import socket
import threading
import time
import unittest

from lib import places
from lib.agent import Agent
from lib.client import Client
from lib.engine_faults import FAULTS, HARMLESS
from lib.promises import proves, ran
from lib.scripted_engine import ScriptedEngine
from lib.wait import hold, until
from lib.world import World

INSTALL_S = 8         # slow answers may take half of it on a busy machine
CONVERGES = 15        # seconds; 10 without sanitizers and twenty agents on two cores
AGENT_RSS_KIB = 400 << 10  # with ASan, which keeps what was freed
ROUTES = {
    "get_version": "its version", "list_containers": "the list", "events": "the events",
    "inspect_image": "an image", "pull": "a pull", "create": "create", "start": "start",
    "inspect": "a container", "stop": "stop", "remove": "delete",
}
# Without these an Engine is of no use, and the node says that its Docker is down.
VITAL = ("get_version", "list_containers")

WORLD = None
NODES = {}


class Node:
    """A scripted Engine with its agent."""

    def __init__(self, name, number, enter=()):
        self.name = name
        directory = os.path.join(WORLD.dir, f"n{number}")
        os.makedirs(directory)
        self.engine = ScriptedEngine(os.path.join(directory, "docker.sock")).start()
        self.engine.pullable.add("registry.test/new:1")
        self.agent = Agent(directory, self.engine.path, f"agent{number}", enter)
        self.agent.daemon.extra_env["PANEL_HURRY"] = "15"
        # A client of its own: each node is driven by its own thread.
        self.api = Client("127.0.0.1", WORLD.panel.port, WORLD.panel.key)
        created = WORLD.create_node(f"node {number}")
        self.agent.join(WORLD.panel.url, created["joinToken"])
        self.agent.start()
        self.id = created["id"]
        self.helper = concurrent.futures.ThreadPoolExecutor(2)

    def meanwhile(self, method, path, *body):
        """A request that is answered when it is done: a future of its answer."""
        client = Client("127.0.0.1", WORLD.panel.port, WORLD.panel.key)
        return self.helper.submit(client.request, method, path, *body, timeout=90)

    def row(self):
        return self.api.node(self.id)

    def deploy(self, name, **more):
        body = WORLD.spec(nodeId=self.id, name=name, **more)
        return self.api.post("/api/instances/deploy", body, timeout=30).expect(201).json["Id"]

    def deploy_when_up(self, name, **more):
        """An Engine that has just hung up on its clients may be down for a moment."""
        body = WORLD.spec(nodeId=self.id, name=name, **more)

        def tried():
            answer = self.api.post("/api/instances/deploy", body, timeout=30)
            unavailable = answer.status == 500 and answer.json["code"] == "docker_unavailable"
            return None if unavailable else answer.expect(201).json["Id"]
        return until(tried, CONVERGES, lambda: str(self.row()), 0.1)

    def await_instance(self, instance, timeout=CONVERGES, **fields):
        def look():
            row = self.api.instance(instance)
            return row if all(row[key] == value for key, value in fields.items()) else None
        return until(look, timeout, lambda: f"{fields}; it is {self.api.instance(instance)}", 0.1)

    def of(self, instance):
        """The instance's containers."""
        with self.engine.lock:
            return [c for c in self.engine.containers.values()
                    if c.labels.get("panel.instance") == instance]

    def rss_kib(self):
        with open(f"/proc/{self.agent.daemon.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def setUpModule():
    global WORLD
    # Twenty agents on two processors: a beat may be late without a node being lost.
    WORLD = World(config={"heartbeatMs": 1000, "installTimeoutMs": INSTALL_S * 1000,
                          "stopTimeoutMs": INSTALL_S * 1000}).start()
    for number, name in enumerate([None, *FAULTS]):
        NODES[name] = Node(name, number)
    # Root without its power over others' files is refused by their modes.
    NODES["powerless"] = Node("powerless", len(NODES), ("setpriv", "--bounding-set", "-all"))
    for node in NODES.values():
        until(lambda: node.row()["docker"]["status"] == "up", 30, f"{node.row()} is up")


def tearDownModule():
    problems = []
    for node in NODES.values():
        try:
            node.agent.stop()
        except AssertionError as problem:
            problems.append(problem)
        node.engine.stop()
    WORLD.stop()
    if problems:
        raise problems[0]


def for_all(work, names):
    """work(node) for the nodes at once; {name: what went wrong}."""
    problems = {}
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        futures = {pool.submit(work, NODES[name]): name for name in names}
        for future in concurrent.futures.as_completed(futures):
            if future.exception():
                problems[futures[future]] = future.exception()
    return problems


class BrokenRoute(unittest.TestCase):
    def one(self, node, route):
        api, engine = node.api, node.engine
        image = {"image": "registry.test/new:1"} if route == "pull" else {}
        volumes = os.path.join(node.agent.state, "volumes")
        before = set(os.listdir(volumes))  # what a failure in another test has left
        kept, stopped, gone = (node.deploy_when_up(name) for name in ("kept", "stopped", "gone"))
        for instance in (kept, stopped, gone):
            node.await_instance(instance, State="running", InternalState="READY")
        with engine.lock:
            engine.images.discard("registry.test/new:1")

        # else nobody is there to be hung up on, and no look at the Engine follows
        until(lambda: engine.listeners, CONVERGES, "the agent listens for events")
        engine.broke = 0
        engine.broken[route] = FAULTS[node.name]
        engine.hang_up()
        if route in VITAL and node.name not in HARMLESS:
            row = until(lambda: next((row for row in [node.row()] if row["docker"]["status"] == "down"),
                                     None), 5, lambda: f"Docker is said to be down: {node.row()}")
            self.assertTrue(row["docker"]["error"], row)
            api.post("/api/instances/deploy", WORLD.spec(nodeId=node.id)).refused(
                500, code="docker_unavailable")
            new = None
        else:
            new = node.deploy_when_up("new", **image)
        suspends = node.meanwhile("POST", f"/api/instances/suspend/{stopped}")
        deletes = node.meanwhile("DELETE", "/api/instance/delete", {"id": gone})
        failed = new and self.ends(node, new)
        until(lambda: node.row()["status"] == "Online", CONVERGES, lambda: f"Online: {node.row()}")

        until(lambda: engine.broke, CONVERGES, "the broken route is asked for")
        engine.broken.clear()
        new = new or node.deploy_when_up("new")
        if failed:
            api.post(f"/api/instances/{new}/retry", timeout=30).expect((200, 201, 202, 409))
        for instance, state in ((kept, "running"), (stopped, "suspended"), (new, "running")):
            node.await_instance(instance, State=state)
            self.assertEqual(len(node.of(instance)), 1, "one container")
        self.assertFalse(node.of(stopped)[0].running)
        suspends.result(CONVERGES).expect(200)
        deletes.result(CONVERGES).expect(201)
        self.assertEqual(node.of(gone), [])
        until(lambda: node.row()["docker"]["status"] == "up", CONVERGES, lambda: str(node.row()))
        for instance in (kept, stopped, new):
            api.delete("/api/instance/delete", {"id": instance}, timeout=40).expect(201)
            self.assertEqual(node.of(instance), [])
        self.assertLessEqual(set(os.listdir(volumes)), before)
        self.assertLess(node.rss_kib(), AGENT_RSS_KIB)

    def ends(self, node, new):
        """It is installed, or FAILED for a reason: True."""
        ended = until(lambda: next((row for row in [node.api.instance(new)]
                                    if row["InternalState"] != "INSTALLING"), None),
                      INSTALL_S + 5, lambda: f"the install ends: {node.api.instance(new)}", 0.1)
        if ended["InternalState"] != "FAILED":
            return False
        self.assertNotIn(node.name, HARMLESS, ended)
        self.assertTrue(ended["Error"]["code"] and len(ended["Error"]["message"]) > 20, ended)
        return True

    def sound(self, node):
        """The node beside them is as quick as ever."""
        for _ in range(3):
            instance = node.deploy("sound")
            node.await_instance(instance, 5, InternalState="READY")
            node.api.delete("/api/instance/delete", {"id": instance}, timeout=10).expect(201)

    def route(self, route):
        problems = for_all(lambda node: self.one(node, route) if node.name else self.sound(node),
                           [None, *FAULTS])
        ran(len(FAULTS))
        for name, problem in problems.items():
            with self.subTest(f"{route} {name}"):
                raise problem
        for node in NODES.values():
            node.engine.broken.clear()
            node.agent.daemon.expect_running()


def add_tests():
    for route, words in ROUTES.items():
        def test(self, route=route):
            self.route(route)
        setattr(BrokenRoute, f"test_{route}", proves(
            "I2", "I3", "I4", "I5", "I6", "I8", "I9",
            fault=f"a broken Docker Engine: {words} hangs, fails, lies, never ends")(test))



add_tests()


class Odd(unittest.TestCase):
    def setUp(self):
        self.node = NODES[None]
        self.engine = self.node.engine

    def told(self, status, node=None):
        node = node or self.node
        return until(lambda: next((row["docker"] for row in [node.row()]
                                   if row["docker"]["status"] == status), None),
                     CONVERGES, lambda: f"Docker is told to be {status}: {node.row()}")

    @proves("I3", fault="an Engine that creates a container after its instance was deleted")
    def test_a_create_that_comes_after_the_removal(self):
        removed = threading.Event()

        def late(_handler, respond):
            removed.wait(30)
            respond()
        self.engine.broken["create"] = late
        instance = self.node.deploy_when_up("late")
        self.node.await_instance(instance, InternalState="FAILED")
        self.node.api.delete("/api/instance/delete", {"id": instance}, timeout=30).expect(201)
        self.engine.broken.clear()
        removed.set()
        until(lambda: self.engine.asked("POST", "/containers/create"), 5, "it was asked for")
        name = f"panel-{instance}"
        until(lambda: [r for r in self.engine.asked("DELETE", "/containers/[^/]+")
                       if r.path.split("/")[2] not in ("", name)] and not self.node.of(instance),
              CONVERGES, "it came, and is removed")
        self.assertNotIn(instance, os.listdir(os.path.join(self.node.agent.state, "volumes")))

    @proves("I6", "I9", fault="an Engine that can't remove a container, for a while")
    def test_a_removal_that_fails_is_tried_with_patience(self):
        instance = self.node.deploy_when_up("stays")
        self.node.await_instance(instance, InternalState="READY")
        self.engine.broken["inspect"] = FAULTS["answers HTML"]
        self.engine.broken["remove"] = FAULTS["answers 500"]
        asked = len(self.engine.requests)
        deletes = self.node.meanwhile("DELETE", "/api/instance/delete", {"id": instance})
        until(lambda: self.engine.broke > 0, 5, "its removal is tried")
        time.sleep(3)  # some tries fall in here
        self.assertLess(len(self.engine.requests) - asked, 30)
        self.engine.broken.clear()
        deletes.result(60).expect(201)
        self.assertEqual(self.node.of(instance), [])

    @proves("I6", "I8", fault="a list of containers of many MiB")
    def test_a_large_list(self):
        instance = self.node.deploy_when_up("large")
        self.node.await_instance(instance, State="running")
        labels = self.node.of(instance)[0].body["Labels"]
        self.addCleanup(labels.update, {"of.its.image": "x"})
        labels["of.its.image"] = "x" * (12 << 20)
        self.engine.hang_up()
        seen = len(self.engine.asked("GET", "/containers/json"))
        until(lambda: len(self.engine.asked("GET", "/containers/json")) > seen, 5, "it is listed")
        hold(lambda: self.node.row()["docker"]["status"] == "up", 2, "12 MiB are taken")
        labels["of.its.image"] = "x" * (65 << 20)
        self.engine.hang_up()
        # On a busy machine it may be late before it is too long.
        until(lambda: "65536 KiB" in (self.told("down")["error"] or ""), CONVERGES, lambda: str(self.node.row()))
        until(lambda: self.node.row()["status"] == "Online", CONVERGES, lambda: str(self.node.row()))
        labels["of.its.image"] = "x"
        self.told("up")
        self.node.api.delete("/api/instance/delete", {"id": instance}, timeout=30).expect(201)

    @proves("I5", "I8", fault="Docker's socket missing, dead, a file, a folder, not permitted")
    def test_sockets_that_are_none(self):
        def dead(path):
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)

        names = [None, *FAULTS][:4] + ["powerless"]
        kinds = dict(zip(names, (
            (lambda path: None, lambda path: None),
            (dead, os.unlink),
            (lambda path: open(path, "w").close(), os.unlink),
            (os.mkdir, os.rmdir),
            (lambda path: (dead(path), os.chmod(path, 0)), os.unlink))))

        def try_one(node):
            make, drop = kinds[node.name]
            node.engine.stop()
            make(node.engine.path)
            self.assertTrue(self.told("down", node)["error"])
            until(lambda: node.row()["status"] == "Online", CONVERGES, lambda: str(node.row()))
            drop(node.engine.path)
            node.engine.start()
            self.told("up", node)
        for name, problem in for_all(try_one, names).items():
            with self.subTest(str(name)):
                raise problem
        ran(len(names))
