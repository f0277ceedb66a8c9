"""The benchmarks still run. Their figures mean nothing with sanitizers on, and are not judged."""
import os
import shutil
import subprocess
import tempfile
import unittest
from xml.etree import ElementTree

from bench import figures, fleet_scale, growth, http_api, measure, streaming, watching
from lib import places

PROGRAMS = os.path.join(os.path.dirname(places.BIN), "bench")
HERE = os.path.dirname(os.path.abspath(__file__))
PUBLISH = os.path.join(HERE, "publish")
DOCS = os.path.join(HERE, "..", "..", "docs")


class Smoke(unittest.TestCase):
    def test_deploys_beside_docker_by_hand(self):
        found = measure.run(pairs=2, idle_seconds=1, at_once=3, containers=3)
        text = figures.table(found)
        for word in ("READY", "paneld, idle", "3 deploys at once", "panel-agent, 3 containers"):
            self.assertIn(word, text)
        self.assertTrue(found[0].value > 0 and found[0].floor > 0, text)

    def test_the_api_beside_its_floors(self):
        found = http_api.run(PROGRAMS, instances=50, rounds=1, seconds=1, factor=1, say=lambda _text: None)
        text = figures.table(found)
        for word in ("getInstance beside", "GET /api/instances", "304", "image create", "deploys"):
            self.assertIn(word, text)
        self.assertTrue(all(figure.value > 0 for figure in found), text)

    def test_followers_of_logs(self):
        found = streaming.run(PROGRAMS, lines=5, followers=3, seconds=1, say=lambda _text: None)
        text = figures.table(found)
        for word in ("POST command", "3 followers", "paneld's memory"):
            self.assertIn(word, text)

    def test_followers_of_events_and_all_statistics(self):
        found = watching.run(PROGRAMS, instances=100, rounds=1, seconds=1, changes=10, followers=3,
                             watch_seconds=1, say=lambda _text: None)
        text = figures.table(found)
        for word in ("its event is at a follower: p99", "3 followers of all events", "GET /api/stats", "a dashboard"):
            self.assertIn(word, text)

    def test_a_simulated_fleet(self):
        found = fleet_scale.run(PROGRAMS, nodes=3, instances_each=5, idle_seconds=1,
                                say=lambda _text: None, heartbeat_ms=500)
        text = figures.table(found)
        for word in ("a dead node is Offline", "restart", "a change at a node"):
            self.assertIn(word, text)

    def test_a_fleet_that_is_left_alone(self):
        found = fleet_scale.run_steady(PROGRAMS, nodes=2, instances_each=2, seconds=1, say=lambda _text: None)
        self.assertIn("false Offline", figures.table(found))

    def test_growth_and_the_picture(self):
        rows, found = growth.run(PROGRAMS, [(1, 2), (2, 4)], 1, say=lambda _text: None)
        self.assertEqual([row["nodes"] for row in rows], [1, 2])
        self.assertEqual(len(growth.table(rows).splitlines()), 4)
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(os.path.join(DOCS, "performance.md"), folder)
            told, grown = (os.path.join(folder, name) for name in ("run.json", "growth.json"))
            figures.write_json(told, found[:2])
            figures.write_json(grown, found[2:], growth=rows)
            subprocess.run([PUBLISH, told, grown, "--to", folder], check=True)
            words = "".join(ElementTree.parse(os.path.join(folder, "performance.svg")).getroot().itertext())
            self.assertIn("start until the API answers", words)
            with open(os.path.join(folder, "performance.md")) as document:
                text = document.read()
            self.assertIn(growth.table(rows), text)
            for figure in found:
                self.assertIn(f"| {figure.name} |", text)
