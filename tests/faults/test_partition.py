"""A node that is parted from its panel, in every way that a network parts; and either side frozen.
Its status tells so in time, work on others goes on, and when it is healed all is as wanted."""
import subprocess
import threading
import unittest

from lib import places
from lib.agent import Agent
from lib.neighbour import Latency
from lib.promises import proves, ran
from lib.wait import until
from lib.world import World

BEAT = 0.5  # as the harness sets it: Offline after three of them and a second
HEALED = 10

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()
    WORLD.calm = Latency(WORLD)
    # The other node, whose Engine is the same one: labels keep their containers apart.
    WORLD.far = Agent(WORLD.dir, WORLD.engine.path, "far")
    WORLD.far_port = places.free_port()
    WORLD.far_id = WORLD.add_node(WORLD.far, "far", port=WORLD.far_port)


def tearDownModule():
    WORLD.far.stop()
    WORLD.stop()


def iptables(*rule):
    done = subprocess.run(["iptables", "-w", *rule], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"iptables {' '.join(rule)}: {done.stderr}")


# To the node: what the panel says arrives at its port. From the node: what the agent answers.
TO = ["--dport"]
FROM = ["--sport"]
DROP = ["-j", "DROP"]
RESET = ["-j", "REJECT", "--reject-with", "tcp-reset"]


def cut(directions, target):
    for which in directions:
        iptables("-A", "INPUT", "-i", "lo", "-p", "tcp", *which, str(WORLD.far_port), *target)


def mend():
    iptables("-F", "INPUT")


class Partition(unittest.TestCase):
    def setUp(self):
        self.here = WORLD.api
        self.kept = self.deploy("kept")
        self.stopped = self.deploy("stopped")
        self.deleted = self.deploy("deleted")

    def tearDown(self):
        mend()
        if WORLD.far.daemon.running():
            WORLD.far.daemon.thaw()
        WORLD.await_status(WORLD.far_id, "Online", timeout=30)
        WORLD.clear()
        until(lambda: not WORLD.engine.containers, 10, "nothing is left")

    def deploy(self, name):
        return WORLD.deploy(name=name, nodeId=WORLD.far_id)["Id"]

    def ask_for_one(self):
        return self.here.post("/api/instances/deploy", WORLD.spec(nodeId=WORLD.far_id)).expect(
            201).json["Id"]

    def change_the_others(self):
        """The API takes both at once, though the node doesn't answer."""
        self.here.post(f"/api/instances/suspend/{self.stopped}").expect((200, 202))
        self.here.delete("/api/instance/delete", {"id": self.deleted}).expect((201, 202))

    def expect_as_wanted(self, new):
        """Within 10 s of healing."""
        wanted = {self.kept: "running", self.stopped: "suspended", new: "running"}

        def reached():
            return WORLD.api.node(WORLD.far_id)["status"] == "Online" and wanted == {
                i["Id"]: i["State"] for i in self.here.instances()} and not WORLD.containers_of(
                    self.deleted)
        until(reached, HEALED, lambda: f"{wanted}; it is "
              f"{[(i['Id'], i['State']) for i in self.here.instances()]}, the node "
              f"{self.here.node(WORLD.far_id)}")
        for instance in wanted:
            self.assertEqual(len(WORLD.containers_of(instance)), 1)

    def part(self, begin, end):
        begin()
        new = self.ask_for_one()  # before it is seen that nobody answers
        WORLD.await_status(WORLD.far_id, "Offline", timeout=3 * BEAT + 1 + 2)
        self.here.post("/api/instances/deploy", WORLD.spec(nodeId=WORLD.far_id)).refused(
            500, code="node_offline")
        self.change_the_others()
        self.assertEqual(self.here.node(WORLD.node_id)["status"], "Online")
        end()
        self.expect_as_wanted(new)

    @proves("I1", "I2", "I3", "I4", "I8", fault="partition: no packets either way")
    def test_both_ways(self):
        self.part(lambda: cut((TO, FROM), DROP), mend)

    @proves("I1", "I2", "I3", "I4", "I8", fault="partition: no packets from panel to agent")
    def test_to_the_node(self):
        self.part(lambda: cut((TO,), DROP), mend)

    @proves("I1", "I2", "I3", "I4", "I8", fault="partition: no packets from agent to panel")
    def test_from_the_node(self):
        self.part(lambda: cut((FROM,), DROP), mend)

    @proves("I1", "I2", "I3", "I4", "I8", fault="partition: every packet answered by RST")
    def test_by_reset(self):
        self.part(lambda: cut((TO, FROM), RESET), mend)

    @proves("I1", "I2", "I3", "I4", "I8", fault="the agent frozen by SIGSTOP")
    def test_the_agent_frozen(self):
        self.part(WORLD.far.daemon.freeze, WORLD.far.daemon.thaw)

    @proves("I9", fault="partition, RST, or a frozen agent, beside a healthy node")
    def test_costs_the_others_nothing(self):
        for name, begin, end in (("no packets", lambda: cut((TO, FROM), DROP), mend),
                                 ("RST", lambda: cut((TO, FROM), RESET), mend),
                                 ("frozen", WORLD.far.daemon.freeze, WORLD.far.daemon.thaw)):
            with self.subTest(how=name):
                begin()
                self.ask_for_one()
                WORLD.calm.expect_unmoved(Latency(WORLD))  # calls are under way there
                WORLD.await_status(WORLD.far_id, "Offline")
                WORLD.calm.expect_unmoved(Latency(WORLD))
                end()
                WORLD.await_status(WORLD.far_id, "Online", timeout=HEALED)
                ran(1)

    @proves("I1", "I2", "I3", "I4", "I8", fault="a flapping link")
    def test_flapping(self):
        pause = threading.Event().wait
        new = None
        for turn in range(12):
            cut((TO, FROM), (DROP, RESET)[turn % 2])
            pause(0.3 + 0.2 * (turn % 4))
            mend()
            pause(0.3 + 0.3 * (turn % 3))
            if turn == 5:
                WORLD.await_status(WORLD.far_id, "Online")
                new = self.ask_for_one()
            if turn == 7:
                self.change_the_others()
            ran(1)
        self.expect_as_wanted(new)

    @proves("I1", "I2", "I8", fault="the panel frozen by SIGSTOP")
    def test_the_panel_frozen(self):
        new = self.ask_for_one()
        self.change_the_others()
        WORLD.panel.daemon.freeze()
        threading.Event().wait(4)
        with WORLD.engine.lock:
            WORLD.engine.die(WORLD.containers_of(self.kept)[0], 1)
        WORLD.panel.daemon.thaw()
        self.expect_as_wanted(new)
