"""The wall clock is moved, both ways, while the daemons run and over their restarts."""
import unittest

from lib.agent import Agent
from lib.faulty import Faulty
from lib.promises import proves, ran
from lib.wait import hold, until
from lib.world import World

HOUR = 3600
DAY = 24 * HOUR


class Clock(unittest.TestCase):
    def setUp(self):
        self.world = World("scripted").start()
        self.panel_clock = Faulty(self.world.dir, "paneld")
        self.agent_clock = Faulty(self.world.dir, "agent")
        self.world.panel.daemon.extra_env.update(self.panel_clock.env)
        self.world.agent.daemon.extra_env.update(self.agent_clock.env)
        self.restart(self.world.panel, self.world.agent)

    def tearDown(self):
        self.world.stop()

    def restart(self, *sides):
        for side in sides:
            side.stop()
            if side is not self.world.panel:
                until(lambda: self.status() != "Online", 5, "the panel sees it end")
            side.start()
        self.world.await_status(self.world.node_id, "Online")

    def status(self):
        return self.world.api.node(self.world.node_id)["status"]

    def check_works(self, instance, seconds=0):
        """It stays Online so long, over some beats, and obeys."""
        hold(lambda: self.status() == "Online", seconds, "the node stays Online")
        for word, state in (("suspend", "suspended"), ("unsuspend", "running")):
            self.world.api.post(f"/api/instances/{word}/{instance['Id']}").expect(200)
            self.world.await_instance(instance["Id"], State=state)
        self.assertEqual(len(self.world.engine.containers), 1)

    @proves("I4", "I8", fault="the wall clock moved an hour, both ways, while running")
    def test_while_running(self):
        instance = self.world.deploy()
        moves = (HOUR, -HOUR)
        for clocks in ((self.panel_clock,), (self.agent_clock,), (self.panel_clock, self.agent_clock)):
            for seconds in moves:
                with self.subTest(clocks=len(clocks), seconds=seconds):
                    for clock in clocks:
                        clock.move_clock(seconds)
                    self.check_works(instance, seconds=2)
            ran(len(moves))

    @proves("I4", "I8", fault="the wall clock moved an hour, both ways, over a restart")
    def test_over_a_restart(self):
        instance = self.world.deploy()
        for seconds in (HOUR, 0, -HOUR):
            with self.subTest(seconds=seconds):
                self.panel_clock.move_clock(seconds)
                self.restart(self.world.panel)  # its epoch must not fall
                self.check_works(instance)
                self.agent_clock.move_clock(seconds)
                self.restart(self.world.agent)
                self.check_works(instance)
        ran(6)

    @proves("I8", fault="a node whose clock is days behind")
    def test_certificates_of_the_future(self):
        """A new link needs clocks that agree to a day; it comes by itself when they do."""
        self.agent_clock.move_clock(-3 * DAY)
        self.world.panel.stop()
        self.world.panel.start()
        self.world.await_status(self.world.node_id, "Offline")
        self.agent_clock.move_clock(0)
        self.world.await_status(self.world.node_id, "Online", timeout=20)

    @proves("I7", fault="join tokens when the clock moves")
    def test_join_tokens(self):
        node = self.world.create_node("late")
        self.panel_clock.move_clock(2 * HOUR)
        late = Agent(self.world.dir, self.world.engine.path, "late")
        self.assertIn("expired", late.try_join(self.world.panel.url, node["joinToken"]).err)
        self.panel_clock.move_clock(0)
        # The two clocks needn't agree.
        self.panel_clock.move_clock(-HOUR)
        node_id = self.world.add_node(late, "early")
        self.world.await_status(node_id, "Online")
        late.stop()
