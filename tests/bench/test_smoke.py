"""The benchmarks still run. Their figures mean nothing with sanitizers on, and are not judged."""
import os
import unittest

from bench import figures, fleet_scale, http_api, measure
from lib import places

PROGRAMS = os.path.join(os.path.dirname(places.BIN), "bench")


class Smoke(unittest.TestCase):
    def test_deploys_beside_docker_by_hand(self):
        result = measure.run(pairs=2, idle_seconds=1)
        text = measure.table(result)
        for word in ("ratio", "READY", "paneld", "panel-agent"):
            self.assertIn(word, text)
        self.assertGreater(result["by_hand_ms"], 0)
        self.assertGreater(result["by_panel_ms"], 0)

    def test_the_api_beside_its_floors(self):
        found = http_api.run(PROGRAMS, instances=50, rounds=1, seconds=1)
        text = figures.table(found)
        for word in ("getInstance", "GET /api/instances", "304", "image create", "deploys"):
            self.assertIn(word, text)
        self.assertTrue(all(figure.value > 0 for figure in found), text)

    def test_a_simulated_fleet(self):
        found = fleet_scale.run(PROGRAMS, nodes=3, instances_each=5, idle_seconds=1,
                                say=lambda _text: None)
        text = figures.table(found)
        for word in ("a dead node is Offline", "restart", "a change at a node"):
            self.assertIn(word, text)
