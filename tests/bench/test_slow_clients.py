"""The measuring of slow clients still runs. Its figures mean nothing with sanitizers on."""
import unittest

from bench import figures, slow_clients


class Smoke(unittest.TestCase):
    def test_it_measures_and_prints_a_table(self):
        found = slow_clients.run(1, 30, kinds={kind: 2 for kind in slow_clients.KINDS})
        self.assertIn("beside 12 slow ones", figures.table(found))
