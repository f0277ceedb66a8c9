"""A short run of tests/faults/run, with a new seed each time, which is printed: what a run finds
depends on the machine's timing as much as on the seed, so that always the same plan would only
look at the same places again. A run that found something is repeated by its seed:

    sudo tests/faults/run --seed S"""
import time
import unittest

from faults import checks, look
from faults.storm import Broken, Storm, new_seed
from lib.wait import until

SECONDS = 45


class Random(unittest.TestCase):
    def test_faults_under_load(self):
        seed = new_seed()
        print(f"       seed {seed}")
        with Storm(seed, say=self.keep_line) as storm:
            try:
                ends = time.monotonic() + SECONDS
                while time.monotonic() < ends:
                    storm.round()
                storm.finish()
            except Broken:
                print("\n".join("    | " + line for line in self.lines))
                raise
            finally:
                storm.record(f"faults/random: seed {seed}")
            self.sees_what_is_wrong(storm)

    def setUp(self):
        self.lines = []

    def keep_line(self, line):
        self.lines.append(line)

    def sees_what_is_wrong(self, storm):
        """Sabotage at the end: the eyes of the run are open."""
        node = storm.cluster.nodes[0]
        stray = node.engine.api.create("test:sleeper", name="stray", Labels={
            "panel.id": "11111111-1111-4222-8333-444444444444", "panel.instance": "stray1stray1",
            "panel.generation": "1", "panel.spec": "0"})
        twin = node.engine.api.create("test:sleeper", Labels={
            "panel.id": "11111111-1111-4222-8333-444444444444", "panel.instance": "stray1stray1"})
        for container in (stray, twin):
            node.engine.api.start(container)
        node.engine.api.remove("bystander")
        until(lambda: any(p.promise == "I2" for p in storm.problems), 5, "the twin is seen")
        self.assertIn("I3", {p.promise for p in checks.unsettled(look.look(storm.cluster))})
        after = look.see_bystanders(storm.cluster, storm.placed)
        self.assertEqual([p.subject for p in checks.touched(storm.bystanders, after, ())],
                         ["bystander"])
        for container in (stray, twin):
            node.engine.api.remove(container)
