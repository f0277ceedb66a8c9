"""A thousand requests of every kind leave as little behind as a hundred. Longer: tests/bench/soak."""
import unittest

from api import soak
from lib.promises import proves, ran
from lib.resources import Resources
from lib.world import World

BESIDE = True  # it mostly waits; see lib/runner


class Soak(unittest.TestCase):
    @proves("I6", fault="a thousand requests of every kind")
    def test_nothing_grows(self):
        world = World("scripted").start()
        try:
            soak.once(world)
            soak.once(world)
            daemons = (world.panel.daemon, world.agent.daemon)
            before = [Resources(daemon.pid) for daemon in daemons]
            done = 0
            while done < 500:
                done += soak.once(world)
            for daemon, then in zip(daemons, before):
                Resources(daemon.pid).at_most(then, rss_mib=15, fds=10, threads=0)
            ran(done)
        finally:
            world.engine.start_error = None
            world.stop()
