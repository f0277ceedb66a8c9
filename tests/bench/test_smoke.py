"""The benchmark still runs. Its figures mean nothing with sanitizers on, and are not judged."""
import unittest

from bench import measure


class Smoke(unittest.TestCase):
    def test_it_measures_and_prints_a_table(self):
        result = measure.run(pairs=2, idle_seconds=1)
        text = measure.table(result)
        for word in ("ratio", "READY", "paneld", "panel-agent"):
            self.assertIn(word, text)
        self.assertGreater(result["by_hand_ms"], 0)
        self.assertGreater(result["by_panel_ms"], 0)
