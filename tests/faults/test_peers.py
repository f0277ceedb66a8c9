"""Peers of the link that are silent, lie, or speak it wrongly: the one concerned is refused or put
right, nobody else feels it, and nothing grows."""
import itertools
import os
import socket
import struct
import threading
import time
import unittest

from lib import pki, places, wire
from lib.agent import Agent
from lib.link_peer import (Proxy, REQ, ScriptedAgent, ScriptedPanel, SilentPeer, connect, greeting,
                           make_status)
from lib.neighbour import Latency
from lib.promises import proves, ran
from lib.wait import hold, until
from lib.world import World

WORLD = None
CALM = None  # the latency before anything


def setUpModule():
    global WORLD, CALM
    WORLD = World("scripted").start()
    CALM = Latency(WORLD)


def tearDownModule():
    WORLD.stop()


def resident_kib(daemon):
    with open(f"/proc/{daemon.pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def forget_node(node_id):
    WORLD.api.delete("/api/nodes/delete", {"nodeId": node_id}).expect(201)


class LyingAgent(unittest.TestCase):
    """A node whose agent has a good certificate and says what it likes, beside an honest one."""

    def setUp(self):
        self.own = WORLD.deploy()  # of the honest node; no lie may touch it
        joined = Agent(WORLD.dir, WORLD.engine.path, f"liar-{self._testMethodName}")
        node = WORLD.create_node("liar")
        joined.join(WORLD.panel.url, node["joinToken"])
        self.node_id = node["id"]
        self.liar = ScriptedAgent(joined).start()
        WORLD.await_status(self.node_id, "Online")

    def tearDown(self):
        self.liar.twist = None
        for instance in WORLD.api.instances():
            if instance["Node"]["id"] == self.node_id:
                WORLD.delete(instance["Id"])
        forget_node(self.node_id)
        self.liar.stop()
        WORLD.clear()

    def deploy(self, expected=201):
        return WORLD.api.post("/api/instances/deploy", WORLD.spec(nodeId=self.node_id)).expect(
            expected).json

    def lie(self, **fields):
        """Change these fields of every SyncReply."""
        def twist(request, reply):
            if "sync_reply" in reply:
                reply["sync_reply"].update(fields)
            return [reply]
        self.liar.twist = twist

    def tell_it_again(self):
        """Until the lie has been told a few times."""
        before = self.liar.requests["sync"]
        until(lambda: self.liar.requests["sync"] > before + 3, 15, "the panel goes on asking")

    def expect_others_untouched(self):
        WORLD.panel.daemon.expect_running()
        self.assertEqual(WORLD.api.node(WORLD.node_id)["status"], "Online")
        instance = WORLD.api.instance(self.own["Id"])
        self.assertEqual((instance["State"], instance["ContainerId"]),
                         ("running", self.own["ContainerId"]))
        self.assertEqual(WORLD.containers_of(self.own["Id"]), [self.own["ContainerId"]])

    def expect_honesty_heals(self):
        self.liar.twist = None
        WORLD.await_status(self.node_id, "Online", timeout=10)
        WORLD.await_instance(self.deploy()["Id"], 10, State="running")

    def check_each(self, lies):
        """lies: name → twist(request, reply) → what is sent."""
        for name, twist in lies.items():
            with self.subTest(lie=name):
                told = self.liar.requests["sync"]
                self.liar.twist = twist
                # The lie was told; who can't be understood is called again, later and later.
                until(lambda: self.liar.requests["sync"] > told + 1, 15, "the panel goes on asking")
                self.expect_others_untouched()
                self.liar.twist = None
                WORLD.await_status(self.node_id, "Online", timeout=10)
                ran(1)
        self.expect_honesty_heals()

    @proves("I5", "I7", "I8", fault="replies of the wrong version, panel, node or call, or none that can be read")
    def test_replies_that_are_not_to_be_believed(self):
        def envelope(**fields):
            return lambda request, reply: [{**reply, **fields}]

        def text(data):
            return lambda request, reply: [data(wire.encode("Envelope", reply))]
        self.check_each({
            "another version": envelope(protocol_version=77),
            "no version": envelope(protocol_version=0),
            "another panel": envelope(panel_id="nobody"),
            "another node": envelope(node_id=WORLD.node_id),
            "another call": envelope(call_id=4711),
            "no UTF-8": envelope(sync_reply={"boot_id": b"\xff\xfe", "cursor": 1}),
            "no body": lambda request, reply: [{"protocol_version": 1}],
            "a request": envelope(sync_reply={}, sync={"cursor": 1}),
            "a failure": envelope(sync_reply={}, failure={"code": b"x" * 9000, "message": "\n\x1b[2J"}),
            "cut short": text(lambda data: data[:-3]),
            "nothing": text(lambda data: b""),
            "noise": text(lambda data: os.urandom(3000)),
            "too many statuses": envelope(sync_reply={"inventory_ready": True, "statuses": [
                make_status(f"x{i}", wire.RUNNING) for i in range(501)]}),
            "over 1 MiB": text(lambda data: data + b"\0" * (1 << 20)),
        })

    @proves("I5", "I7", "I8", fault="an agent that tells of instances that it does not have")
    def test_statuses_of_what_is_not_its_own(self):
        self.lie(full=True, statuses=[
            make_status(self.own["Id"], observed, generation, attempt=1 << 60, error_code="taken",
                        container_id="d" * 64)
            for observed in range(1, 11) for generation in (0, 1, 1 << 63)])
        self.tell_it_again()
        self.expect_others_untouched()
        self.lie(full=True, statuses=[
            make_status(name, wire.RUNNING, container_id="e" * 64)
            for name in ("unknown", "", ".", "..", "a/b", "x" * 65, "'; DROP TABLE nodes --", "é")])
        self.tell_it_again()
        self.expect_others_untouched()
        ran(30 + 8)
        self.expect_honesty_heals()

    @proves("I5", "I8", fault="an agent that tells absurd numbers and texts")
    def test_absurd_numbers(self):
        mine = self.deploy()["Id"]
        WORLD.await_instance(mine, State="running")
        for number in ((1 << 64) - 1, 1 << 63, (1 << 63) - 1, 0):
            with self.subTest(number=number):
                small = number & 0xffffffff
                self.lie(
                    cursor=number, cert_not_after=number, agent_version="é" * 500,
                    docker={"up": True, "version": "a" + "é" * 300, "error": "a" + "é" * 5000},
                    capacity={"memory_bytes": number, "cpus": small, "disk_bytes": number},
                    usage={"memory_used_bytes": number, "disk_used_bytes": number,
                           "cpu_permille": small, "load1_permille": small, "uptime_seconds": number},
                    statuses=[make_status(
                        mine, observed, number, attempt=number, exit_code=number,
                        progress_percent=small, error_code="a" + "é" * 300,
                        error_message="a" + "é" * 9000, container_id="a" + "é" * 300,
                        spec_hash="a" + "é" * 300) for observed in (*range(0, 12), small)])
                self.tell_it_again()
                WORLD.api.instance(mine)  # the rules of every answer hold
                self.expect_others_untouched()
                ran(1)
        self.expect_honesty_heals()

    @proves("I5", "I8", fault="an agent whose every state is another lie")
    def test_states_that_contradict_each_other(self):
        mine = self.deploy()["Id"]
        WORLD.await_instance(mine, State="running")
        turns = itertools.count()

        def always(observed):
            def twist(request, reply):
                if "sync_reply" in reply:
                    reply["sync_reply"].update(statuses=[
                        make_status(mine, observed, 1, container_id="f" * 64)])
                return [reply]
            return twist

        def restless(request, reply):
            if "sync_reply" in reply:
                reply["sync_reply"].update(boot_id=f"boot {next(turns)}", full=True)
            return [reply]

        def backwards(request, reply):
            if "sync_reply" in reply:
                reply["sync_reply"].update(cursor=max(1000 - next(turns), 0), full=next(turns) % 2)
            return [reply]
        self.check_each({"all is RUNNING": always(wire.RUNNING), "all is REMOVED": always(wire.REMOVED),
                         "all is FAILED": always(wire.FAILED), "a new boot each time": restless,
                         "a cursor that goes backwards": backwards})
        WORLD.await_instance(mine, 20, State="running")

    @proves("I6", "I9", fault="an agent that refuses every generation")
    def test_every_generation_is_refused(self):
        """The panel raises the generation each time, which is a write to its disk."""
        self.liar.on_apply = lambda apply: {"failure": {"code": "stale_generation", "message": "no"}}
        self.deploy()
        until(lambda: self.liar.requests["apply"] > 1, 15, "it is raised and tried again")
        asked, began = self.liar.requests["apply"], time.monotonic()
        until(lambda: time.monotonic() > began + 3, 5, "three seconds of it")
        self.assertLess(self.liar.requests["apply"] - asked, 6)
        del self.liar.on_apply
        self.expect_others_untouched()
        self.expect_honesty_heals()

    @proves("I6", "I9", fault="an agent that floods its panel")
    def test_a_flood(self):
        numbers = itertools.count(1)
        boots = itertools.count()

        def more(reply):
            return {"more": True, "full": True}

        def orphans(reply):
            return {"more": True, "full": True, "cursor": next(numbers),
                    "agent_version": str(next(numbers)), "statuses": [
                        make_status(f"orphan-{next(numbers)}", wire.RUNNING, container_id="0" * 64)
                        for _ in range(500)]}

        def restarts(reply):
            return {**orphans(reply), "more": False, "boot_id": f"boot {next(boots)}"}

        # How often a second it may be asked; an answer that has more in it costs more.
        for flood, most in ((more, 600), (orphans, 25), (restarts, 25)):
            with self.subTest(flood=flood.__name__):
                def twist(request, reply):
                    if "sync_reply" in reply:
                        reply["sync_reply"].update(flood(reply))
                    return [reply]
                self.liar.twist = twist
                self.tell_it_again()
                memory, asked, began = (resident_kib(WORLD.panel.daemon),
                                        self.liar.requests["sync"], time.monotonic())
                CALM.expect_unmoved(Latency(WORLD))
                until(lambda: time.monotonic() > began + 3, 5, "three seconds of it")
                seconds = time.monotonic() - began
                # One second of it is everybody's credit.
                self.assertLess(self.liar.requests["sync"] - asked, (seconds + 1) * most)
                # The sanitizer keeps 256 MiB of what was freed.
                self.assertLess(resident_kib(WORLD.panel.daemon) - memory, 300 << 10)
                self.assertLessEqual(WORLD.api.node(self.node_id)["orphans"], 10000)
                self.expect_others_untouched()
                ran(1)
        self.expect_honesty_heals()

    @proves("I5", "I8", fault="an agent one protocol version newer")
    def test_one_version_newer_is_understood(self):
        self.liar.twist = lambda request, reply: [{**reply, "protocol_version": 2}]
        WORLD.await_instance(self.deploy()["Id"], 10, State="running")


class Silence(unittest.TestCase):
    """A TCP peer that takes the connection and says nothing."""

    @proves("I8", "I9", fault="silent TLS peers where the panel calls")
    def test_where_the_panel_calls(self):
        peers = [SilentPeer() for _ in range(40)]
        nodes = []
        for peer in peers:
            joined = Agent(WORLD.dir, WORLD.engine.path, f"mute-{peer.port}")
            node = WORLD.create_node("mute", peer.port)
            joined.join(WORLD.panel.url, node["joinToken"])
            nodes.append((node["id"], joined, peer))
        for _, _, peer in nodes:
            peer.await_somebody(30)
        try:
            CALM.expect_unmoved(Latency(WORLD))
            # Nor is there a queue behind them, for who has to be called anew.
            WORLD.panel.restart()
            WORLD.await_status(WORLD.node_id, "Online", timeout=10)
            WORLD.agent.restart()
            WORLD.await_status(WORLD.node_id, "Online", timeout=10)
            ran(len(nodes))
            # The real agent comes back to the port where silence was.
            node_id, joined, peer = nodes[0]
            peer.stop()
            joined.start()
            WORLD.await_status(node_id, "Online", timeout=20)
            joined.stop()
        finally:
            for node_id, _, peer in nodes:
                peer.stop()
                forget_node(node_id)

    @proves("I6", "I8", "I9", fault="silent TCP clients at the agent's port")
    def test_at_the_agents_port(self):
        port = int(WORLD.api.node(WORLD.node_id)["port"])
        before = descriptors(WORLD.agent.daemon)
        log_before = len(WORLD.agent.daemon.log())
        panel_log_before = len(WORLD.panel.daemon.log())
        idle = []
        for _ in range(200):
            idle.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        # They are cut; the panel's link is not.
        statuses = set()

        def cut():
            statuses.add(WORLD.api.node(WORLD.node_id)["status"])
            return descriptors(WORLD.agent.daemon) <= before + 8
        until(cut, 40, lambda: f"{descriptors(WORLD.agent.daemon)} descriptors, {before} before")
        self.assertEqual(statuses, {"Online"})
        self.assertNotIn("link lost", WORLD.panel.daemon.log()[panel_log_before:])
        self.assertIn("silent peers", WORLD.agent.daemon.log()[log_before:])
        ran(len(idle))
        for sock in idle:
            sock.close()

    @proves("I5", "I7", "I9", fault="noise at the agent's port: no TLS, no SP, absurd lengths")
    def test_noise_at_the_agents_port(self):
        port = int(WORLD.api.node(WORLD.node_id)["port"])
        noise = [b"", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, greeting(REQ), os.urandom(5000),
                 b"\x16\x03\x01\xff\xff" + b"\0" * 70000, b"\x16\x03\x03\x40\x00\x01\xff\xff\xff"]
        for data in noise:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                try:
                    sock.sendall(data)
                except ConnectionError:
                    pass
        # The same from one who has a certificate.
        identity = pki.authority_of(WORLD.panel).issue("panel", "clientAuth")
        for data in (b"\0" * 8, struct.pack(">Q", 1 << 63), struct.pack(">Q", (1 << 20) + 1),
                     struct.pack(">Q", (1 << 64) - 1), struct.pack(">Q", 0),
                     struct.pack(">Q", 3) + b"abc", struct.pack(">Q", 64) + b"\0" * 64):
            link = connect(port, identity, WORLD.node_id)
            try:
                link.send_bytes(data)
            finally:
                link.close()
        ran(len(noise) + 7)
        hold(lambda: WORLD.api.node(WORLD.node_id)["status"] == "Online", 2, "the node is Online")
        WORLD.agent.daemon.expect_running()
        WORLD.deploy()
        WORLD.clear()


class LyingPanel(unittest.TestCase):
    """Messages to an agent, by somebody with the panel's certificate."""

    @proves("I5", "I7", fault="requests of the wrong panel, node, start or version, or none that can be read")
    def test_requests_that_are_not_to_be_followed(self):
        instance = WORLD.deploy()
        panel = ScriptedPanel(WORLD.panel, WORLD.agent)
        remove = {"instance_id": instance["Id"], "generation": 1 << 40, "volume_id": instance["Id"]}
        wrong = {
            "wrong_panel": {"panel_id": "nobody"}, "wrong_node": {"node_id": "nobody"},
            "stale_epoch": {"epoch": 1}, "protocol_version": {"protocol_version": 77},
            "bad_text": {"panel_id": b"\xff"},
        }
        for code, fields in wrong.items():
            with self.subTest(code=code):
                self.assertEqual(panel.ask(remove=remove, **fields)["failure"]["code"], code)
        whole = wire.encode("Envelope", {**panel.fields, "remove": remove})
        for data in (b"", whole[:-5], os.urandom(2000), b"\x08" + b"\xff" * 20):
            self.assertIn("failure", panel.ask_bytes(data))
        for bad in ({"instance_id": "../../etc"}, {"volume_id": "../.."}, {"instance_id": ""},
                    {"volume_id": "/"}):
            with self.subTest(remove=bad):
                self.assertIn("failure", panel.ask(remove={**remove, **bad}))
        self.assertEqual(panel.ask()["failure"]["code"], "unknown_request")
        apply = {"instance_id": "new", "generation": 1, "attempt": 1, "desired": 1}
        for bad in ({}, {"spec": {}}, {"desired": 99}, {"spec": {"memory_bytes": (1 << 64) - 1}},
                    {"spec": {"mount_path": "../..", "volume_id": "../x", "image": "test:httpd"}},
                    {"spec": {"ports": [{"container_port": 1 << 31, "host_port": 1 << 31}] * 5000}}):
            with self.subTest(apply=str(bad)[:80]):
                self.assertIn("failure", panel.ask(apply={**apply, **bad}))
        ran(5 + 4 + 4 + 1 + 6)
        # Many Syncs at once: the later one ends the earlier, and none is held for ever.
        for _ in range(100):
            panel.ask(sync={"wait_ms": 0})
        panel.close()
        self.assertEqual(WORLD.containers_of(instance["Id"]), [instance["ContainerId"]])
        self.assertEqual(len(WORLD.engine.containers), 1)
        WORLD.await_status(WORLD.node_id, "Online")
        WORLD.clear()

    @proves("I5", "I8", fault="a panel one protocol version newer")
    def test_one_version_newer_is_understood(self):
        panel = ScriptedPanel(WORLD.panel, WORLD.agent)
        self.assertIn("sync_reply", panel.ask(protocol_version=2, sync={"wait_ms": 0}))
        panel.close()


class Between(unittest.TestCase):
    """Messages that are lost, doubled, late and out of order, each way, under work."""

    SEED = 20

    @classmethod
    def setUpClass(cls):
        cls.world = World("scripted").start(join=False)
        world = cls.world
        world.agent = Agent(world.dir, world.engine.path)
        port, hidden = places.free_port(), places.free_port()
        node = world.create_node(port=port)
        world.agent.join(world.panel.url, node["joinToken"], listen=f"127.0.0.1:{hidden}")
        world.agent.start()
        world.node_id = node["id"]
        cls.proxy = Proxy(world, world.agent, node["id"], port, hidden, cls.SEED).start()
        world.await_status(node["id"], "Online")

    @classmethod
    def tearDownClass(cls):
        cls.proxy.stop()
        cls.world.stop()

    def tearDown(self):
        self.proxy.fate = None
        self.world.await_status(self.world.node_id, "Online")
        self.world.clear()
        until(lambda: not self.world.engine.containers, 10, "nothing is left")

    def work(self, fate):
        """Deploy five, suspend one, delete one, and more of it; heal; then all must be as wanted."""
        touched = self.proxy.touched
        self.proxy.fate = fate
        api = self.world.api
        ids = [api.post("/api/instances/deploy", self.world.spec()).expect(201).json["Id"]
               for _ in range(5)]
        threading.Event().wait(1)
        api.post(f"/api/instances/suspend/{ids[0]}", timeout=60)
        api.delete("/api/instance/delete", {"id": ids[1]}, timeout=60)
        api.post(f"/api/instances/suspend/{ids[2]}", timeout=60)
        api.post(f"/api/instances/unsuspend/{ids[2]}", timeout=60)
        threading.Event().wait(2)
        self.proxy.fate = None
        wanted = {ids[0]: "suspended", ids[2]: "running", ids[3]: "running", ids[4]: "running"}

        def reached():
            states = {i["Id"]: i["State"] for i in api.instances()}
            return states == wanted
        until(reached, 10, lambda: f"{wanted}; it is {[(i['Id'], i['State']) for i in api.instances()]}")
        until(lambda: not self.world.containers_of(ids[1]), 10, "nothing is left of the deleted one")
        for instance, state in wanted.items():
            # One whose deploy was lost until it was suspended never had a container.
            self.assertIn(len(self.world.containers_of(instance)),
                          (1,) if state == "running" else (0, 1), (instance, state))
        ran(self.proxy.touched - touched)

    @proves("I2", "I3", "I4", "I8", fault="messages of the link lost, to the agent")
    def test_lost_to_the_agent(self):
        self.work(lambda random, to_agent, _: [] if to_agent and random.random() < 0.4 else [0])

    @proves("I2", "I3", "I4", "I8", fault="messages of the link lost, to the panel")
    def test_lost_to_the_panel(self):
        self.work(lambda random, to_agent, _: [] if not to_agent and random.random() < 0.4 else [0])

    @proves("I2", "I3", "I4", "I8", fault="messages of the link doubled")
    def test_doubled(self):
        self.work(lambda random, to_agent, _: random.choice(([0], [0, 0], [0, 0.2, 1.5])))

    @proves("I2", "I3", "I4", "I8", fault="messages of the link late and out of order")
    def test_late_and_out_of_order(self):
        self.work(lambda random, to_agent, _: [random.choice((0, 0.05, 0.3, 0.8, 2.5))])

    @proves("I2", "I3", "I4", "I8", fault="messages of the link lost, doubled and late, all together")
    def test_all_together(self):
        self.work(lambda random, to_agent, _: random.choice(([], [0], [0, 0.4], [0.7], [1.5, 0.1])))
