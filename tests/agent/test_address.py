"""A node that moves: where the panel goes, and where the ports of its instances are."""
import json
import os
import unittest

from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def bound_to(instance):
    ports = WORLD.engine.find(instance["ContainerId"]).body["HostConfig"]["PortBindings"]
    return {binding["HostIp"] for bindings in ports.values() for binding in bindings}


class Move(unittest.TestCase):
    def tearDown(self):
        WORLD.clear()

    def move(self, address):
        """The agent listens there alone; the panel is told."""
        path = os.path.join(WORLD.agent.state, "identity.json")
        with open(path) as file:
            identity = json.load(file)
        WORLD.agent.stop()
        port = WORLD.api.node(WORLD.node_id)["port"]
        with open(path, "w") as file:
            json.dump({**identity, "listen": f"{address}:{port}"}, file)
        WORLD.agent.start()
        WORLD.api.request("PATCH", f"/api/nodes/{WORLD.node_id}", {"address": address}).expect(200)
        WORLD.await_status(WORLD.node_id, "Online")

    def restart(self, instance):
        WORLD.api.post(f"/api/instances/{instance['Id']}/power", {"action": "restart"},
                       timeout=60).expect(200)
        return WORLD.await_instance(instance["Id"], State="running")

    def test_ports_follow_at_the_next_start(self):
        instance = WORLD.deploy()
        self.assertEqual(bound_to(instance), {"127.0.0.1"})
        self.move("127.0.0.2")
        moved = WORLD.await_instance(instance["Id"], State="running")
        self.assertEqual(moved["ContainerId"], instance["ContainerId"], "what runs is left alone")
        self.assertEqual(moved["Node"]["address"], "127.0.0.2")
        again = self.restart(instance)
        self.assertNotEqual(again["ContainerId"], instance["ContainerId"])
        self.assertEqual((bound_to(again), again["VolumeId"]), ({"127.0.0.2"}, instance["VolumeId"]))
        self.assertEqual(len(WORLD.containers_of(instance["Id"])), 1)
        self.assertEqual(self.restart(instance)["ContainerId"], again["ContainerId"])
        self.move("127.0.0.1")


if __name__ == "__main__":
    unittest.main()
