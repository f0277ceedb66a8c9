"""The table of endpoints, the panel's own table of routes and docs/openapi.yaml say the same."""
import os
import re
import unittest

from api.endpoints import ENDPOINTS
from lib import openapi
from lib.places import ROOT


def normal(path):
    return re.sub(r"\{[^}]*\}|:[a-z]\w*|\*", "{}", path)


KNOWN = {(e.method, normal(e.path)) for e in ENDPOINTS}


class Routes(unittest.TestCase):
    def test_each_route_of_the_panel_has_a_row(self):
        with open(os.path.join(ROOT, "panel", "api", "routes.c")) as source:
            rows = re.findall(r'HTTP_(GET|POST|DELETE|PATCH|PUT)\s*,\s*"(/[^"]*)"', source.read())
        self.assertGreater(len(rows), 10, "the table in routes.c could not be read")
        described = {(method, normal(path)) for method, path in openapi.operations()}
        self.assertEqual({(method, normal(path)) for method, path in rows}, described,
                         "routes.c and docs/openapi.yaml differ")
        routes = {(method, normal(path)) for method, path in rows if path.startswith("/api")}
        self.assertEqual(routes - KNOWN, set(), "tests/api/endpoints.py has no row for these")
        self.assertEqual(KNOWN - routes, set(), "the panel has no route for these")

    def test_the_description_has_the_same_routes(self):
        described = {(method, normal(path)) for method, path in openapi.operations()
                     if path.startswith("/api")}
        self.assertEqual(described, KNOWN)
