"""The panel's own table of routes, read from its source: what is generated from it forgets no route."""
import os
import re

from lib.places import ROOT

_ROW = re.compile(r'\{\s*HTTP_(GET|POST|DELETE|PATCH|PUT)\s*,\s*"([^"]+)"\s*,\s*(\w+)\s*,\s*(\w+)\s*,')


class Route:
    def __init__(self, method, path, permission, bound):
        self.method = method
        self.path = path  # with ":id"
        self.permission = permission
        self.bound = bound

    def at(self, some_id):
        return self.path.replace(":id", some_id)

    def __repr__(self):
        return f"{self.method} {self.path}"


def read():
    with open(os.path.join(ROOT, "panel", "api", "routes.c")) as source:
        routes = [Route(*row) for row in _ROW.findall(source.read())]
    if len(routes) < 50:
        raise AssertionError("the table in routes.c could not be read")
    return routes
