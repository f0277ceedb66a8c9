"""What the harness asks of every answer, held against answers that break it: each is seen."""
import copy
import json
import unittest

from lib import openapi
from lib.rules import CONTENT_TYPE, RuleBroken, check_answer

HEADERS = {"X-Request-Id": "r1", "Content-Type": CONTENT_TYPE}


def shown(template, method="get", status="200"):
    """The document's own example of an answer, to be broken."""
    description = openapi.load()
    answer = description.resolve(description.document["paths"][template][method]["responses"][status])
    there, value = description.example(answer["content"]["application/json"])
    assert there, template
    return copy.deepcopy(value)


class Described(unittest.TestCase):
    def broken(self, says, path, value, method="GET", status=200):
        with self.assertRaisesRegex(AssertionError, says):
            openapi.check(method, path, status, value)

    def test_what_is_as_described_passes(self):
        openapi.check("GET", "/api/users?limit=3", 200, shown("/api/users"))
        openapi.check("GET", "/api/instances/x", 200, shown("/api/instances/{id}"))
        openapi.check("GET", "/api/users", 304, None)

    def test_a_member_that_is_wrong_missing_or_new(self):
        for template, path, member in (("/api/users", "/api/users", "admin"),
                                       ("/api/nodes", "/api/nodes", "status"),
                                       ("/api/instances", "/api/instances?cursor=1", "Memory"),
                                       ("/api/keys", "/api/keys", "scopes"),
                                       ("/api/images", "/api/images", "Name")):
            with self.subTest(path):
                rows = shown(template)
                self.broken(f"at '0/{member}'", path, [dict(rows[0], **{member: {}})])
                self.broken(f"'{member}' is a required", path,
                            [{key: value for key, value in rows[0].items() if key != member}])
                if template != "/api/images":  # what isn't known of those is kept and returned
                    self.broken("novel", path, rows + [dict(rows[0], novel=1)])

    def test_one_deep_inside(self):
        instance = shown("/api/instances/{id}")
        instance["Node"]["novel"] = 1
        self.broken("Node/novel", "/api/instances/x", instance)
        stats = shown("/api/instances/{id}/stats")
        stats["memory"]["bytes"] = "many"
        self.broken("memory/bytes", "/api/instances/x/stats", stats)

    def test_a_status_or_a_route_that_is_not_there(self):
        self.broken("doesn't know GET /api/users 202", "/api/users", [], status=202)
        self.broken("doesn't know PUT /api/users", "/api/users", {}, method="PUT")
        self.broken("doesn't know GET /api/novel", "/api/novel", {})


class Errors(unittest.TestCase):
    def check(self, status, **changed):
        error = {"error": "It is so.", "code": "invalid_field", "requestId": "r1", **changed}
        body = {key: value for key, value in error.items() if value is not None}
        return check_answer(status, HEADERS, json.dumps(body).encode(), "GET /api/users")

    def test_one_that_is_right(self):
        self.assertEqual(self.check(400)["code"], "invalid_field")

    def test_codes_that_are_not_listed_for_a_status(self):
        for status, code in ((400, "novel"), (404, "invalid_field"), (500, "store_failed")):
            with self.assertRaisesRegex(RuleBroken, "lists no code"):
                self.check(status, code=code)

    def test_what_every_error_has(self):
        for changed in ({"code": None}, {"error": ""}, {"requestId": "r2"}, {"error": "a\x07 bell"},
                        {"error": "near SELECT id FROM users"}, {"field": 7}):
            with self.subTest(str(changed)), self.assertRaises(RuleBroken):
                self.check(400, **changed)
