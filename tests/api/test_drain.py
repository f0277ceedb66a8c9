"""A node that is drained: nothing runs on it, and what was to run does again after it."""
import sqlite3
import threading
import unittest

from lib import shapes
from lib.events import EventStream
from lib.promises import proves, ran
from lib.wait import until
from lib.world import World

BESIDE = True  # it mostly waits; see lib/runner
WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def change(status=200, **fields):
    node = WORLD.api.request("PATCH", f"/api/nodes/{WORLD.node_id}", fields).expect(status).json
    if status == 200:
        shapes.check_node(node)
    return node


def power(instance_id, action):
    return WORLD.api.post(f"/api/instances/{instance_id}/power", {"action": action}, timeout=60)


def counts():
    return WORLD.api.node(WORLD.node_id)["drain"]


def await_empty(stopped):
    until(lambda: counts() == {"running": 0, "stopping": 0, "stopped": stopped}, 20,
          lambda: f"all of {stopped} are stopped; it is {counts()}")


def running():
    with WORLD.engine.lock:
        return sum(container.running for container in WORLD.engine.containers.values())


class Drain(unittest.TestCase):
    def tearDown(self):
        if WORLD.engine.stuck:
            WORLD.engine.stuck.set()
        WORLD.engine.stuck = None
        WORLD.engine.start_error = None
        WORLD.engine.pull_pause = 0.0
        change(maintenance=False)
        WORLD.clear()

    def deploy(self, count):
        return [WORLD.deploy()["Id"] for _ in range(count)]

    def test_stops_all_and_forgets_no_wish(self):
        up, off, suspended, off_meanwhile = self.deploy(4)
        power(off, "stop").expect(200)
        WORLD.api.post(f"/api/instances/suspend/{suspended}", {}).expect(200)
        node = change(drain=True)
        self.assertEqual((node["maintenance"], node["status"]), (True, "Maintenance"))
        await_empty(4)
        self.assertEqual(running(), 0)
        row = WORLD.api.instance(up)
        shapes.check_instance(row)
        self.assertEqual((row["State"], row["InternalState"], row["Error"]["code"]),
                         ("stopped", "READY", "node_drained"))
        self.assertIsNone(WORLD.api.instance(off)["Error"])
        self.assertEqual(WORLD.api.instance(suspended)["State"], "suspended")
        power(off_meanwhile, "stop").expect(200)
        WORLD.api.post(f"/api/instances/unsuspend/{suspended}", {}).expect(200)
        WORLD.await_instance(suspended, State="stopped")
        node = change(drain=False)
        self.assertEqual((node["drain"], node["maintenance"]), (None, True))
        for instance_id in (up, suspended):
            self.assertIsNone(WORLD.await_instance(instance_id, State="running")["Error"])
        for instance_id in (off, off_meanwhile):
            self.assertEqual(WORLD.api.instance(instance_id)["State"], "stopped")
        self.assertEqual(running(), 2)

    def test_nothing_is_started_or_placed_there(self):
        instance_id, = self.deploy(1)
        change(drain=True)
        await_empty(1)
        for action in ("start", "restart"):
            power(instance_id, action).refused(409, "node_drained", "action")
        WORLD.api.post("/api/instances/deploy", WORLD.spec()).refused(400, "node_maintenance", "nodeId")
        WORLD.api.post("/api/instances/deploy", WORLD.spec(nodeId="auto")).refused(400, "no_node")
        self.assertEqual(running(), 0)
        WORLD.delete(instance_id)
        await_empty(0)

    def test_followers_are_told_what_the_list_shows(self):
        """A random run, seed 102: whoever followed was told of a crash."""
        up, off = self.deploy(2)
        power(off, "stop").expect(200)
        with EventStream(WORLD.api, "/api/events") as stream:
            def told(instance_id):
                return [e.json["State"] for e in stream.events if e.json.get("instanceId") == instance_id
                        and "State" in e.json]
            change(drain=True)
            await_empty(2)
            until(lambda: told(up)[-1:] == ["stopped"], 10, lambda: str(stream.events))
            self.assertNotIn("crashed", told(up))
            WORLD.api.request("PATCH", f"/api/instances/{up}", {"name": "renamed"}).expect(200)
            until(lambda: stream.events[-1].json["type"] == "instance.changed", 10, lambda: str(stream.events))
            self.assertEqual(told(up)[-1], "stopped")
            self.assertEqual(told(off), [], "nothing becomes of what was stopped already")
            change(drain=False)
            until(lambda: told(up)[-1] == "running", 10, lambda: str(stream.events))
            self.assertNotIn("crashed", told(up))

    def test_what_is_down_already_is_told_to_be_stopped(self):
        instance_id, = self.deploy(1)
        WORLD.agent.stop()
        WORLD.await_status(WORLD.node_id, "Offline", timeout=40)
        try:
            with EventStream(WORLD.api, f"/api/events?instance={instance_id}") as stream:
                change(drain=True)
                until(lambda: stream.events, 10, "it is told of the drain")
                self.assertEqual(stream.events[0].json["State"], "stopping")
        finally:
            WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Maintenance", timeout=30)
        await_empty(1)

    def test_maintenance_false_ends_it_and_both_at_once_are_refused(self):
        instance_id, = self.deploy(1)
        self.assertEqual(change(400, drain=True, maintenance=False)["field"], "maintenance")
        self.assertIsNone(counts())
        change(drain="true")
        await_empty(1)
        before = WORLD.api.instance(instance_id)
        change(drain=1, maintenance=True)
        self.assertEqual(WORLD.api.instance(instance_id), before)
        node = change(maintenance=False)
        self.assertEqual((node["drain"], node["maintenance"]), (None, False))
        WORLD.await_instance(instance_id, State="running")

    def test_what_failed_is_not_tried_again(self):
        WORLD.engine.start_error = "scripted failure"
        WORLD.api.post("/api/instances/deploy", WORLD.spec(), query={"wait": 30}).expect(500)
        failed = WORLD.api.instances()[-1]
        change(drain=True)
        await_empty(1)
        WORLD.api.post(f"/api/instances/{failed['Id']}/retry", {}).refused(409, "node_drained")
        WORLD.engine.start_error = None
        up = WORLD.api.instance(failed["Id"])
        self.assertEqual((up["InternalState"], up["Error"]), ("FAILED", failed["Error"]))
        change(drain=False)
        up = WORLD.api.instance(failed["Id"])
        self.assertEqual((up["InternalState"], up["Error"]), ("FAILED", failed["Error"]))
        self.assertEqual(running(), 0)

    def test_what_was_being_installed_is_installed_after_it(self):
        WORLD.engine.pullable.add("test:slow")
        WORLD.engine.pull_pause = 0.5
        made = WORLD.api.post("/api/instances/deploy", WORLD.spec(image="test:slow")).expect(201)
        WORLD.await_instance(made.json["Id"], State="pulling")
        change(drain=True)
        await_empty(1)
        self.assertEqual(WORLD.api.instance(made.json["Id"])["State"], "stopped")
        WORLD.engine.pull_pause = 0.0
        change(drain=False)
        WORLD.await_instance(made.json["Id"], State="running", InternalState="READY")

    def test_reaches_a_node_that_was_away(self):
        instance_id, = self.deploy(1)
        WORLD.agent.stop()
        try:
            until(lambda: change(drain=True)["status"] in ("Maintenance", "Offline"), 5, "drained")
            self.assertEqual(counts()["running"], 1)
        finally:
            WORLD.agent.start()
        await_empty(1)
        WORLD.agent.stop()
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Maintenance")
        await_empty(1)
        change(drain=False)
        WORLD.await_instance(instance_id, State="running")

    @proves("I1", "I8", fault="kill -9 of paneld while a node is drained, and after it")
    def test_goes_on_over_a_kill_of_the_panel(self):
        ids = self.deploy(4)
        power(ids[0], "stop").expect(200)
        WORLD.engine.stuck = threading.Event()
        change(drain=True)
        WORLD.panel.kill()
        WORLD.engine.stuck.set()
        WORLD.engine.stuck = None
        WORLD.panel.start()
        await_empty(4)
        self.assertEqual(running(), 0)
        change(drain=False)
        WORLD.panel.kill()
        WORLD.panel.start()
        for instance_id in ids[1:]:
            WORLD.await_instance(instance_id, State="running")
        self.assertEqual(WORLD.api.instance(ids[0])["State"], "stopped")
        self.assertEqual(running(), 3)
        ran(2)


class Large(unittest.TestCase):
    """The last of this file: it leaves the agent stopped."""

    def written_at(self, model):
        """When the rows were last written, once the fleet and then the writer have been through."""
        WORLD.api.post(f"/api/instances/{model}/command", {"line": "x"}).expect(503)
        WORLD.add_user(f"behind{len(WORLD.api.users())}")
        with sqlite3.connect(f"file:{WORLD.panel.data}/panel.db?mode=ro", uri=True) as db:
            return [at for at, in db.execute("SELECT DISTINCT updated_at FROM instances")]

    def test_ten_thousand_on_it_are_one_change_and_no_more_writes(self):
        model = WORLD.deploy()["Id"]
        WORLD.multiply(model, 10000)
        for drain in (True, False, True):
            before = self.written_at(model)
            change(drain=drain)
            after = self.written_at(model)
            self.assertEqual(len(after), 1)
            self.assertNotEqual(after, before)
        self.assertEqual(counts(), {"running": 10001, "stopping": 0, "stopped": 0})


if __name__ == "__main__":
    unittest.main()
