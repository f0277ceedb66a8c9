"""nodeId "auto": where an instance goes, and why it goes nowhere."""
import os
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import places
from lib.agent import Agent
from lib.scripted_engine import ScriptedEngine
from lib.world import World

WORLD = None
OTHER = None
OTHER_ENGINE = None


def setUpModule():
    global WORLD, OTHER, OTHER_ENGINE
    WORLD = World("scripted").start()
    OTHER_ENGINE = ScriptedEngine(os.path.join(WORLD.dir, "other.sock")).start()
    OTHER = Agent(WORLD.dir, OTHER_ENGINE.path, name="other")
    OTHER.id = WORLD.add_node(OTHER, name="other")


def tearDownModule():
    OTHER.stop()
    OTHER_ENGINE.stop()
    WORLD.stop()


def free_mib(node_id):
    node = WORLD.api.node(node_id)
    return node["capacity"]["memoryMiB"] - node["allocated"]["memoryMiB"]


class Auto(unittest.TestCase):
    def setUp(self):
        self.ids = [WORLD.node_id, OTHER.id]
        self.made = []

    def tearDown(self):
        for node_id in self.ids:
            WORLD.api.request("PATCH", f"/api/nodes/{node_id}", body={"maintenance": False, "tags": "test"}).expect(200)
        WORLD.clear()

    def change(self, node_id, **fields):
        WORLD.api.request("PATCH", f"/api/nodes/{node_id}", body=fields).expect(200)

    def auto(self, **more):
        return WORLD.api.post("/api/instances/deploy", WORLD.spec(**{"nodeId": "auto", **more}),
                              query={"wait": 30}, timeout=60)

    def placed(self, **more):
        """The id of the node that took it."""
        return self.auto(**more).expect(201).json["instance"]["Node"]["id"]

    def refused(self, **more):
        """The reasons, by node."""
        answer = self.auto(**more).refused(400, "no_node", "nodeId")
        self.assertEqual({row["nodeId"] for row in answer.json["details"]}, {node["id"] for node in WORLD.api.nodes()})
        return {row["nodeId"]: row["reason"] for row in answer.json["details"]}

    def test_goes_where_most_memory_is_free(self):
        WORLD.deploy(nodeId=self.ids[0], memory="1024")
        self.assertEqual(self.placed(memory="16"), self.ids[1])
        WORLD.deploy(nodeId=self.ids[1], memory="2048")
        self.assertEqual(self.placed(memory="16"), self.ids[0])

    def test_many_at_once_spread(self):
        with ThreadPoolExecutor(8) as pool:
            nodes = list(pool.map(lambda _: self.placed(memory="64", ports="8080:auto", primary="auto"), range(16)))
        self.assertEqual({node_id: nodes.count(node_id) for node_id in self.ids},
                         {node_id: 8 for node_id in self.ids})

    def test_only_where_the_tags_are(self):
        self.change(self.ids[1], tags="eu, fast disk ,gpu")
        for tags in ("gpu", "fast disk", "eu,gpu", " gpu , eu "):
            self.assertEqual(self.placed(memory="16", tags=tags), self.ids[1], tags)
        reasons = self.refused(tags="gpu,tape")
        self.assertIn('no tag "gpu"', reasons[self.ids[0]])
        self.assertIn('no tag "tape"', reasons[self.ids[1]])
        self.refused(tags="gp")

    def test_not_to_a_node_that_is_away_or_in_maintenance(self):
        self.change(self.ids[0], maintenance=True)
        self.assertEqual(self.placed(memory="16"), self.ids[1])
        OTHER.stop()
        try:
            WORLD.await_status(OTHER.id, "Offline")
            reasons = self.refused()
            self.assertIn("Maintenance", reasons[self.ids[0]])
            self.assertIn("Offline", reasons[self.ids[1]])
        finally:
            OTHER.start()
            WORLD.await_status(OTHER.id, "Online")

    def test_not_where_the_memory_is_not(self):
        most = max(free_mib(node_id) for node_id in self.ids)
        for reason in self.refused(memory=str(most + 1)).values():
            self.assertIn("MiB left", reason)

    def test_where_the_port_is_free(self):
        port = places.free_port()
        first = self.placed(memory="16", host_port=port)
        second = self.placed(memory="16", host_port=port)
        self.assertEqual({first, second}, set(self.ids))
        for reason in self.refused(memory="16", host_port=port).values():
            self.assertIn(f"port {port}", reason)

    def test_a_refusal_is_kept_like_any_other(self):
        key = {"Idempotency-Key": "placing-1"}
        body = WORLD.spec(nodeId="auto", tags="nowhere")
        first = WORLD.api.post("/api/instances/deploy", body, headers=key).refused(400, "no_node")
        again = WORLD.api.post("/api/instances/deploy", body, headers=key).refused(400, "no_node")
        self.assertEqual(again.headers["Idempotent-Replayed"], "true")
        self.assertEqual(again.json["details"], first.json["details"])

    def test_other_faults_are_told_as_ever(self):
        self.auto(user="nobody").refused(400, "user_not_found", "user")
        self.auto(ports="x").refused(400, "invalid_field", "ports")
        self.auto(nodeId=self.ids[0], tags="gpu").refused(400, "invalid_field", "tags")


if __name__ == "__main__":
    unittest.main()
