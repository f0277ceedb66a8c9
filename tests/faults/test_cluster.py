"""Several nodes on one machine: each is a node of its own, and can be cut off."""
import unittest

from lib.cluster import CUTS, Cluster

WORLD = None


def setUpModule():
    global WORLD
    WORLD = Cluster(2).start()


def tearDownModule():
    WORLD.stop()


class Nodes(unittest.TestCase):
    def tearDown(self):
        for node in WORLD.nodes:
            node.mend()
        WORLD.await_all_online()
        WORLD.clear()

    def test_hold_the_same_host_port_each(self):
        made = [WORLD.deploy(node=node, host_port=15000) for node in WORLD.nodes]
        for node, instance in zip(WORLD.nodes, made):
            self.assertEqual([name for name, _ in WORLD.containers_of(instance["Id"])], [node.name])

    def test_are_cut_off_one_by_one(self):
        for how in CUTS:
            with self.subTest(how=how):
                WORLD.nodes[0].cut(how)
                WORLD.await_status(WORLD.nodes[0].id, "Offline")
                self.assertEqual(WORLD.api.node(WORLD.nodes[1].id)["status"], "Online")
                WORLD.nodes[0].mend()
                WORLD.await_all_online()
