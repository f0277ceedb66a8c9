"""docs/openapi.yaml: every answer that a test gets is held against it.

OpenAPI 3.1, so schemas are JSON Schema 2020-12. The document leaves objects open, since members
may be added to the API; here each member, status and operation that it doesn't name is a failure."""
import os
import re
import urllib.parse

import jsonschema
import yaml

from lib.places import ROOT

_PATH = os.path.join(ROOT, "docs", "openapi.yaml")
_METHODS = ("get", "post", "delete", "put", "patch")
_loaded = None


class _Description:
    def __init__(self, document):
        self.document = document
        self.routes = []
        for path, item in document.get("paths", {}).items():
            pattern = re.compile("^" + re.sub(r"\\\{[^}]*\\\}|\{[^}]*\}", "[^/]+", path) + "$")
            self.routes.append((path, pattern, item))
        # A path without parameters goes before one with.
        self.routes.sort(key=lambda route: route[0].count("{"))
        self.validators = {}
        self.codes = codes(document)

    def find(self, path):
        plain = urllib.parse.unquote(path.split("?")[0])
        for template, pattern, item in self.routes:
            if pattern.match(plain):
                return template, item
        return None, None

    def resolve(self, value):
        while isinstance(value, dict) and "$ref" in value:
            target = self.document
            for step in value["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            value = target
        return value

    def validator(self, schema, name):
        if name not in self.validators:
            # References are looked up in the whole document.
            resolver = jsonschema.RefResolver.from_schema(self.document)
            self.validators[name] = jsonschema.Draft202012Validator(schema, resolver=resolver)
        return self.validators[name]

    def errors(self, schema, name, value):
        """What the schema has against the value, and members that it doesn't name."""
        for error in sorted(self.validator(schema, name).iter_errors(value), key=str):
            yield "/".join(str(step) for step in error.absolute_path), error.message
        yield from self.unknown([schema], value, "")

    def parts(self, schemas):
        """The schemas, each without references and with those that it is put together from."""
        for schema in schemas:
            schema = self.resolve(schema)
            yield schema
            for word in ("allOf", "anyOf", "oneOf"):
                yield from self.parts(schema.get(word, []))

    def unknown(self, schemas, value, where):
        """Members of objects that none of the schemas for them names."""
        parts = list(self.parts(schemas))
        if isinstance(value, list):
            items = [part["items"] for part in parts if "items" in part]
            for index, item in enumerate(value[:50]):
                yield from self.unknown(items, item, f"{where}/{index}")
        if not isinstance(value, dict):
            return
        named = any("properties" in part for part in parts)
        is_open = any(part.get("additionalProperties", False) is not False for part in parts)
        for key, member in value.items():
            inner = [part["properties"][key] for part in parts if key in part.get("properties", {})]
            inner += [part["additionalProperties"] for part in parts if not inner and
                      isinstance(part.get("additionalProperties"), dict)]
            if inner:
                yield from self.unknown(inner, member, f"{where}/{key}")
            elif named and not is_open:
                yield f"{where}/{key}", "a member that isn't described"

    # Examples

    def example(self, media):
        """(there is one, it) of a media type, or else of its schema."""
        if "example" in media:
            return True, media["example"]
        return self.example_of(media.get("schema", {}))

    def example_of(self, schema):
        schema = self.resolve(schema)
        if "examples" in schema:
            return True, schema["examples"][0]
        if schema.get("type") == "array":
            there, value = self.example_of(schema["items"])
            return there, [value]
        made = {}
        for part in schema.get("allOf", []):
            there, value = self.example_of(part)
            if there:
                made.update(value)
        if made:
            return True, made
        for part in schema.get("anyOf", []) + schema.get("oneOf", []):
            there, value = self.example_of(part)
            if there:
                return True, value
        return False, None


def load():
    global _loaded
    if _loaded is None:
        with open(_PATH, encoding="utf-8") as text:
            document = yaml.safe_load(text)
        if not document["openapi"].startswith("3.1."):
            raise AssertionError(f"docs/openapi.yaml is OpenAPI {document['openapi']}, not 3.1")
        _loaded = _Description(document)
    return _loaded


def default_statuses(description):
    """Those that the answer "default" stands for: its description names them."""
    said = description.document["components"]["responses"]["Error"]["description"]
    return {int(number) for number in re.findall(r"\b[45]\d\d\b", said)}


def codes(document):
    """{(status, code)} of errors that the document's beginning lists."""
    listed = document["info"]["description"].partition("Codes of errors")[2]
    return {(int(line[:3]), code) for line in re.split(r"^- ", listed, flags=re.M)[1:]
            for code in re.findall(r"`([a-z]+(?:_[a-z]+)*)`", line)}


def check(method, path, status, value):
    """AssertionError when the description doesn't allow this answer."""
    description = load()
    template, item = description.find(path)
    if item is None or method.lower() not in item:
        if status < 400:
            raise AssertionError(f"docs/openapi.yaml doesn't know {method} {path}, which answered"
                                 f" {status}")
        return
    answers = item[method.lower()]["responses"]
    name = f"{method} {template} {status}"
    spec = answers.get(str(status))
    if spec is None and status in default_statuses(description):
        spec = answers.get("default")
    if spec is None:
        raise AssertionError(f"docs/openapi.yaml doesn't know {name}")
    if value is None:
        return
    spec = description.resolve(spec)
    schema = spec.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        raise AssertionError(f"docs/openapi.yaml has no schema for {name}")
    for where, message in description.errors(schema, name, value):
        raise AssertionError(f"{name} against docs/openapi.yaml, at {where!r}: {message[:300]}")


def operations():
    """{(METHOD, path)} of the description."""
    return {(method.upper(), template) for template, _, item in load().routes
            for method in item if method in _METHODS}
