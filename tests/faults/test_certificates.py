"""Certificates that are wrong in every way, shown to each side: refused, with no effect."""
import ssl
import unittest

from lib import pki, places
from lib.agent import Agent
from lib.link_peer import Listener, ScriptedAgent, ScriptedPanel
from lib.promises import proves, ran
from lib.wait import hold, until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()
    WORLD.stranger = pki.Authority()
    WORLD.own = pki.authority_of(WORLD.panel)


def tearDownModule():
    WORLD.stop()


class ShownToTheAgent(unittest.TestCase):
    def knock(self, instance_id, identity):
        """A Remove of an instance that is there, from whoever that is."""
        panel = ScriptedPanel(WORLD.panel, WORLD.agent, identity)
        try:
            return panel.ask(remove={"instance_id": instance_id, "generation": 1 << 40,
                                     "volume_id": instance_id})
        finally:
            panel.close()

    @proves("I7", fault="wrong, expired, other-CA, wrong-role or missing certificate, shown to the agent")
    def test_has_no_effect(self):
        ca = WORLD.own.cert
        agent = pki.identity_of(WORLD.agent)
        strangers = {
            "of another CA": WORLD.stranger.issue("panel", "clientAuth", believes=ca),
            "expired": WORLD.own.issue("panel", "clientAuth", days=-1),
            "an agent's, of another node": WORLD.own.issue("another-node", "serverAuth"),
            "the agent's own": agent,
            "missing": pki.Identity(None, None, ca),
        }
        instance = WORLD.deploy()
        for name, identity in strangers.items():
            with self.subTest(certificate=name):
                with self.assertRaises((ssl.SSLError, ConnectionError)):
                    self.knock(instance["Id"], identity)
                ran(1)
        hold(lambda: WORLD.api.instance(instance["Id"])["State"] == "running", 1, "it runs")
        self.assertEqual(WORLD.engine.find(instance["ContainerId"]).status, "running")
        self.assertEqual(WORLD.api.node(WORLD.node_id)["status"], "Online")
        # And so that what was refused is seen to be worth refusing: the panel's own does it.
        known = WORLD.own.issue("panel", "clientAuth")
        self.assertIn("ack", self.knock(instance["Id"], known))
        until(lambda: instance["ContainerId"] not in WORLD.containers_of(instance["Id"]), 10,
              "it is removed (and the real panel may have it made again)")


class ShownToThePanel(unittest.TestCase):
    @proves("I7", fault="wrong, expired, other-CA or wrong-role certificate, shown to the panel")
    def test_has_no_effect(self):
        agent = Agent(WORLD.dir, WORLD.engine.path, "impostor")
        port = places.free_port()
        node = WORLD.create_node("impostor", port)
        agent.join(WORLD.panel.url, node["joinToken"])
        ca = WORLD.own.cert
        name = node["id"]
        for kind, identity in {
                "of another CA": WORLD.stranger.issue(name, "serverAuth", believes=ca),
                "expired": WORLD.own.issue(name, "serverAuth", days=-1),
                "of another node": WORLD.own.issue("another-node", "serverAuth"),
                "the panel's own": WORLD.own.issue(name, "clientAuth")}.items():
            with self.subTest(certificate=kind):
                asked = []
                listener = Listener(port, identity).start(
                    lambda link: asked.append(link.receive()))
                until(lambda: listener.refused, 15, "the panel has called and turned away")
                self.assertEqual(asked, [])
                self.assertNotEqual(WORLD.api.node(name)["status"], "Online")
                listener.stop()
                ran(1)
        # With its own certificate it is let in.
        scripted = ScriptedAgent(agent).start()
        WORLD.await_status(name, "Online")
        scripted.stop()
        WORLD.api.delete("/api/nodes/delete", {"nodeId": name}).expect(201)
