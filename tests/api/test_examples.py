"""Each example in docs/openapi.yaml, sent to a real panel as it stands: it does what is said there,
and the answer has the status and the shape of the example of the answer.

Ids in examples stand for what is made here for each request (api/endpoints.py); all else of a
request is sent as the document has it. What the API answers is held against the schemas by the
client, here as everywhere."""
import base64
import hashlib
import json
import re
import unittest

from api.endpoints import ENDPOINTS
from api.test_routes import normal
from faults.test_tokens import join_request
from lib import openapi
from lib.events import EventStream
from lib.wait import until
from lib.world import World

WORLD = None
REFERENCES = ("id", "userId", "user", "nodeId", "instanceId")
OPEN = ("Variables", "variables", "Meta", "imageData", "info", "paths", "components")  # may hold anything
FIRST = ("createUser", "createNode", "createImage")  # before others make what is called the same


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def operations():
    """(template, method, operation), those first that need an empty panel."""
    found = [(template, method.upper(), operation)
             for template, item in openapi.load().document["paths"].items()
             for method, operation in item.items()]
    return sorted(found, key=lambda one: one[2]["operationId"] not in FIRST)


def good_answer(operation):
    """(status, content) of the answer to a request that succeeds."""
    status = min(status for status in operation["responses"] if status.startswith("2"))
    return int(status), openapi.load().resolve(operation["responses"][status])["content"]


def differences(example, got, where=""):
    """How the shape of what came differs from the example's; null is of any shape."""
    if example is None or got is None or where.rsplit("/", 1)[-1] in OPEN:
        return
    if isinstance(example, dict) and isinstance(got, dict):
        for key in sorted(set(example) ^ set(got)):
            yield f"{where}/{key} is only in {'the example' if key in example else 'the answer'}"
        for key in set(example) & set(got):
            yield from differences(example[key], got[key], f"{where}/{key}")
    elif isinstance(example, list) and isinstance(got, list):
        if example and got:
            yield from differences(example[0], got[0], f"{where}/0")
    elif kind(example) != kind(got):
        yield f"{where} is {example!r} in the example, {got!r} in the answer"


def kind(value):
    return "number" if type(value) in (int, float) else type(value)


def prepared(template, method, operation):
    """(path, body or None) of the document's example, with ids of what is there."""
    path, made = template, None
    for endpoint in ENDPOINTS:
        if (endpoint.method, normal(endpoint.path)) == (method, normal(template)):
            path, made = endpoint.make(WORLD)
    request = operation.get("requestBody")
    if request is None:
        return path, None
    there, body = openapi.load().example(request["content"]["application/json"])
    if not there:
        return path, made
    in_path = next((given for given, want in zip(path.split("/"), template.split("/"))
                    if want.startswith("{")), None)
    return path, {key: (made or {}).get(key, in_path) if key in REFERENCES else value
                  for key, value in body.items()}


def parse_event(text):
    """(name, has an id, data) of one event as the document shows it."""
    fields = dict(line.split(": ", 1) for line in text.strip().split("\n"))
    return fields.get("event", "message"), "id" in fields, json.loads(fields["data"])


def new_session():
    """Of the user whom the example of createUser has made."""
    login = openapi.load().document["paths"]["/api/auth/login"]["post"]
    _, body = openapi.load().example(login["requestBody"]["content"]["application/json"])
    return WORLD.api.post("/api/auth/login", body, key=None).expect(201).json["token"]


class Examples(unittest.TestCase):
    def compare(self, content, kind, got, name):
        there, example = openapi.load().example(content[kind])
        self.assertTrue(there, f"{name}: the answer has no example")
        self.assertEqual(list(differences(example, got)), [], name)

    def test_each_operation_has_examples_and_they_fit_their_schemas(self):
        description = openapi.load()
        for template, method, operation in operations():
            name = f"{method} {template}"
            with self.subTest(name):
                contents = {"answer": good_answer(operation)[1],
                            "request": operation.get("requestBody", {}).get("content", {})}
                for side, content in contents.items():
                    for media_type, media in content.items():
                        there, example = description.example(media)
                        self.assertTrue(there or media_type == "text/html",
                                        f"no example of {media_type}")
                        if there:
                            self.assertEqual(list(description.errors(
                                media["schema"], f"{side} {name} {media_type}", example)), [])

    def test_no_text_is_cut_by_a_comma(self):
        """In { description: one, two } YAML takes "two" for a member."""
        def cut(value, where):
            if isinstance(value, dict):
                for key, member in value.items():
                    if member is None and " " in key:
                        yield f"{where}: {key}"
                    yield from cut(member, f"{where}/{key}")
            elif isinstance(value, list):
                for member in value:
                    yield from cut(member, where)
        self.assertEqual(list(cut(openapi.load().document, "")), [])

    def test_each_is_done_and_answered_as_shown(self):
        for template, method, operation in operations():
            name = f"{method} {template}"
            status, content = good_answer(operation)
            if template == "/join" or "application/json" not in content:
                continue  # that has a test of its own, and so have streams
            with self.subTest(name):
                path, body = prepared(template, method, operation)
                more = {} if body is None else {"body": body}
                if operation["operationId"] == "logout":
                    more["key"] = new_session()
                got = WORLD.api.request(method, path, timeout=90, **more).expect(status)
                self.compare(content, "application/json", got.json, name)
                if operation["operationId"] == "changeNode":
                    WORLD.api.request("PATCH", path, {"maintenance": False}).expect(200)

    def test_a_refusal_is_as_shown(self):
        _, example = openapi.load().example_of({"$ref": "#/components/schemas/Error"})
        answer = WORLD.api.post("/api/auth/create-user", {
            "username": "wrong", "email": "no address", "password": "long enough"})
        answer.refused(400)
        example = dict(example, requestId=answer.json["requestId"])
        self.assertEqual(answer.json, example)

    def test_a_join_is_as_shown(self):
        operation = openapi.load().document["paths"]["/join"]["post"]
        _, shown = openapi.load().example(operation["requestBody"]["content"]["application/json"])
        token = WORLD.create_node("to be joined")["joinToken"]
        body = join_request(token)
        self.assertEqual(list(differences(shown, body)), [])
        status, content = good_answer(operation)
        answer = WORLD.api.post("/join", body, key=None).expect(status)
        self.compare(content, "application/json", answer.json, "POST /join")
        WORLD.api.post("/join", shown, key=None).refused((400, 401))

    def stream(self, template, path):
        """The first event of a stream that is called like the document's one."""
        operation = openapi.load().document["paths"][template]["get"]
        _, content = good_answer(operation)
        there, text = openapi.load().example(content["text/event-stream"])
        self.assertTrue(there, f"{template} shows no event")
        name, has_id, shown = parse_event(text)
        with EventStream(WORLD.api, path) as stream:
            def fits(event):
                return event.name == name and event.json.get("type") == shown.get("type")
            stream.wait(lambda me: any(fits(event) for event in me.events), 20, f"{name} {shown}")
            event = next(event for event in stream.events if fits(event))
        self.assertEqual(event.id is not None, has_id, template)
        self.assertEqual(list(differences(shown, event.json)), [], template)

    def test_streams_and_logs_are_as_shown(self):
        self.stream("/api/events", "/api/events?after=0")
        instance = WORLD.deploy(name="talker")
        WORLD.engine.say(instance["ContainerId"], "hello")
        base = f"/api/instances/{instance['Id']}"
        until(lambda: WORLD.api.get(f"{base}/logs").body == b"hello\n", 10, "the line is there")
        self.stream("/api/instances/{id}/logs", f"{base}/logs?follow=1")
        self.stream("/api/instances/{id}/console", f"{base}/console")
        # A scripted container has no process to be measured: of one that is stopped, null stands
        # for all that.
        WORLD.api.post(f"/api/instances/suspend/{instance['Id']}", {}).expect(200)
        self.stream("/api/instances/{id}/stats", f"{base}/stats?follow=1")


class Served(unittest.TestCase):
    def raw(self, path, key=None):
        connection = WORLD.api.connect()
        try:
            connection.request("GET", path, headers={"x-api-key": key} if key else {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def test_the_document_is_the_one_in_docs(self):
        document = openapi.load().document
        self.assertEqual(WORLD.api.get("/api/openapi.json").expect(200).json, document)
        self.assertEqual(document["servers"], [{"url": "/"}])  # wherever it is served
        self.assertEqual(WORLD.api.get("/docs/openapi.json", key=None).expect(200).json, document)

    def test_under_api_it_needs_a_key(self):
        WORLD.api.get("/api/openapi.json", key=None).refused(401, "unauthorized")

    def test_there_is_nothing_else_under_docs(self):
        for path in ("/docs/", "/docs/x", "/docs/../docs", "/docs/openapi.yaml"):
            WORLD.api.get(path, key=None).refused(404, "not_found")
        WORLD.api.post("/docs", {}, key=None).refused(405, "method_not_allowed")

    def test_the_page_needs_nothing_but_itself(self):
        status, headers, body = self.raw("/docs")
        page = body.decode()
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/html; charset=utf-8")
        self.assertEqual(re.findall(r"<(?:script|link|img|iframe|object|base|form)\b", page), [])
        self.assertEqual(re.findall(r"\s(?:src|srcset|style|on\w+)=", page), [])
        links = re.findall(r'href="([^"]*)"', page)
        self.assertEqual([link for link in links
                          if not link.startswith("#") and link != "/docs/openapi.json"], [])
        ids = re.findall(r'\sid="([^"]*)"', page)
        self.assertEqual(len(ids), len(set(ids)), "two elements have the same id")
        self.assertEqual({link[1:] for link in links if link.startswith("#")} - set(ids), set())
        styles = re.findall(r"<style>(.*?)</style>", page, re.S)
        digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in styles]
        self.assertEqual(headers["Content-Security-Policy"],
                         f"default-src 'none'; style-src 'sha256-{digests[0]}'; base-uri 'none'; "
                         "form-action 'none'; frame-ancestors 'none'")
        self.assertEqual(len(styles), 1)
        for _, _, operation in operations():
            self.assertIn(f'id="{operation["operationId"]}"', page)
