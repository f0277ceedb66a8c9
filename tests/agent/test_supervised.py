"""Both daemons under a supervisor as systemd is one: READY=1, then WATCHDOG=1 as long as their loops go round."""
import os
import signal
import socket
import time
import unittest

from lib import places
from lib.agent import Agent
from lib.daemon import Daemon
from lib.supervisor import Supervisor
from lib.wait import until
from lib.world import World

PATIENCE = 0.4  # the supervisor's, in seconds


class Supervised(unittest.TestCase):
    def setUp(self):
        self.world = World("scripted").start(join=False)
        self.addCleanup(self.world.stop)
        self.supervisor = Supervisor(PATIENCE)
        self.addCleanup(self.supervisor.close)

    def expect_pings(self, count):
        for _ in range(count):
            self.assertEqual(self.supervisor.next(), "WATCHDOG=1")

    def expect_start(self):
        """Proof of life may come before READY=1: a start may take longer than a loop may hang."""
        until(lambda: self.supervisor.next() == "READY=1", 10, "it says that it is ready")

    def expect_silence_while(self, hanging):
        """What was sent before the loop hung may still come; then nothing does."""
        while self.supervisor.next(PATIENCE) is not None:
            self.assertTrue(hanging(), "it is pinging and nothing hangs")
        self.assertTrue(hanging(), "it has come back before anybody could miss it")

    def test_paneld(self):
        data = os.path.join(self.world.dir, "watched")
        panel = Daemon("watched", [places.PANELD, "--data", data, "--listen", "127.0.0.1:0"],
                       self.world.dir, self.supervisor.env).start()
        self.expect_start()
        self.expect_pings(3)
        panel.freeze()
        until(lambda: self.supervisor.next(PATIENCE) is None, 10, "it falls silent")
        panel.thaw()
        self.expect_pings(2)
        panel.process.terminate()
        until(lambda: self.supervisor.next() == "STOPPING=1", 10, "it says that it stops")
        panel.stop()

    def test_panel_agent_whose_loop_hangs(self):
        agent = Agent(self.world.dir, self.world.engine.path, "watched")
        agent.daemon.extra_env = {**self.supervisor.env,
                                  "PANEL_FAILPOINTS": "agent.container.creating=sleep:3000"}
        self.world.node_id = self.world.add_node(agent)
        self.expect_start()
        self.expect_pings(3)
        began = time.monotonic()
        self.world.api.post("/api/instances/deploy", self.world.spec()).expect(201)
        self.expect_silence_while(lambda: time.monotonic() - began < 3)
        self.expect_pings(2)
        agent.stop()

    def test_an_agent_that_can_not_listen_yet_is_not_ready_by_a_reload(self):
        agent = Agent(self.world.dir, self.world.engine.path, "late")
        agent.daemon.extra_env = self.supervisor.env
        node = self.world.create_node("late")
        agent.join(self.world.panel.url, node["joinToken"])
        with socket.create_server(("127.0.0.1", int(node["port"]))):
            agent.daemon.start()
            until(lambda: "not listening" in agent.daemon.log(), 10, "the port is taken")
            agent.daemon.process.send_signal(signal.SIGHUP)
            until(lambda: "settings read again" in agent.daemon.log(), 10, "it has read them again")
            self.expect_pings(3)
        self.expect_start()
        agent.daemon.process.send_signal(signal.SIGHUP)
        until(lambda: self.supervisor.next() == "RELOADING=1", 10, "now it is")
        self.expect_start()
        agent.stop()
