"""The agents' certificates renew themselves over the link: watched with lives of seconds."""
import os
import ssl
import subprocess
import time
import unittest

from lib.agent import Agent
from lib.wait import hold, until
from lib.world import World

LIFE = 4  # seconds, of which a third is left at a renewal
HURRY = 90 * 24 * 3600 // LIFE


def end_of(certificate):
    done = subprocess.run(["openssl", "x509", "-noout", "-enddate"], input=certificate, text=True,
                          capture_output=True, check=True)
    return ssl.cert_time_to_seconds(done.stdout.strip().partition("=")[2])


class Renewal(unittest.TestCase):
    def setUp(self):
        self.world = World("scripted")
        self.world.panel.env["PANEL_HURRY"] = str(HURRY)
        self.world.start(join=False)
        self.agent = self.world.agent = Agent(self.world.dir, self.world.engine.path)

    def tearDown(self):
        self.world.stop()

    def files(self, *names):
        texts = []
        for name in names:
            with open(os.path.join(self.agent.state, name)) as text:
                texts.append(text.read())
        return texts

    def test_goes_on_past_the_ends_of_several(self):
        world = self.world
        node = world.node_id = world.add_node(self.agent)
        instance, pid = world.deploy(), self.agent.daemon.pid
        (first, key), worst = self.files("agent.crt", "agent.key"), "Online"
        seen, give_up = {first}, time.monotonic() + 10 * LIFE
        while len(seen) < 3 or time.time() < end_of(first) + 1:
            self.assertLess(time.monotonic(), give_up, f"{len(seen)} certificates")
            seen.update(self.files("agent.crt"))
            status = world.api.node(node)["status"]
            worst = status if status == "Offline" else worst
            time.sleep(0.05)
        self.assertEqual(worst, "Online")
        self.assertNotEqual(self.files("agent.key"), [key])
        self.assertEqual(self.agent.daemon.pid, pid)
        # What it holds now is good for a new link, and the first no longer would be.
        self.assertGreater(end_of(self.files("agent.crt")[0]), time.time())
        world.panel.crash()
        world.await_status(node, "Online", timeout=20)
        for word, state in (("suspend", "suspended"), ("unsuspend", "running")):
            world.api.post(f"/api/instances/{word}/{instance['Id']}").expect(200)
            world.await_instance(instance["Id"], State=state)
        self.assertEqual(len(world.engine.containers), 1)

    def test_one_that_ended_while_the_agent_was_down_shows_as_offline(self):
        """And a new token makes the node one of the panel again, with what runs on it."""
        world = self.world
        node = world.node_id = world.add_node(self.agent)
        instance = world.deploy()
        self.agent.stop()
        end = end_of(self.files("agent.crt")[0])
        until(lambda: time.time() > end + 1, 2 * LIFE, "its last second is over")
        self.agent.start()
        until(lambda: "listening on" in self.agent.daemon.output(), 10, "the agent listens")
        world.await_status(node, "Offline", timeout=20)
        hold(lambda: world.api.node(node)["status"] == "Offline", 3, "the panel doesn't believe it")
        self.agent.stop()
        token = world.api.post(f"/api/nodes/{node}/token", {}).expect(201).json["joinToken"]
        self.agent.join(world.panel.url, token).start()
        world.await_status(node, "Online", timeout=20)
        world.await_instance(instance["Id"], State="running")
        self.assertEqual(len(world.engine.containers), 1)
