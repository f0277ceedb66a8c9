"""docs/openapi.yaml, where it is there: every answer that a test gets is held against it."""
import os
import re

from lib.places import ROOT

_PATH = os.path.join(ROOT, "docs", "openapi.yaml")
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

    def find(self, path):
        plain = path.split("?")[0]
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
            import jsonschema
            # References are looked up in the whole document.
            resolver = jsonschema.RefResolver.from_schema(self.document)
            if self.document["openapi"].startswith("3.0"):
                schema = _allow_null(schema)
            self.validators[name] = jsonschema.Draft202012Validator(schema, resolver=resolver)
        return self.validators[name]


def _allow_null(schema):
    """OpenAPI 3.0 says nullable: true where JSON Schema has another type."""
    if isinstance(schema, list):
        return [_allow_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: _allow_null(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable"):
        return {"anyOf": [out, {"type": "null"}]}
    return out


def load():
    """The description; None where the file or PyYAML isn't there."""
    global _loaded
    if _loaded is None:
        _loaded = False
        if os.path.exists(_PATH):
            import yaml
            with open(_PATH) as text:
                document = yaml.safe_load(text)
            if document["openapi"].startswith("3.0"):
                document = _allow_null(document)
            _loaded = _Description(document)
    return _loaded or None


def check(method, path, status, value):
    """AssertionError when the description doesn't allow this answer."""
    description = load()
    if not description or value is None:
        return
    template, item = description.find(path)
    if item is None or method.lower() not in item:
        return
    operation = item[method.lower()]
    answers = operation.get("responses", {})
    spec = answers.get(str(status), answers.get("default"))
    name = f"{method} {template} {status}"
    if spec is None:
        raise AssertionError(f"docs/openapi.yaml doesn't know {name}")
    spec = description.resolve(spec)
    schema = spec.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        schema = spec.get("content", {}).get("application/json; charset=utf-8", {}).get("schema")
    if schema is None:
        raise AssertionError(f"docs/openapi.yaml has no schema for {name}")
    errors = sorted(description.validator(schema, name).iter_errors(value), key=str)
    if errors:
        where = "/".join(str(step) for step in errors[0].absolute_path)
        raise AssertionError(f"{name} against docs/openapi.yaml, at {where!r}: "
                             f"{errors[0].message[:300]}")


def operations():
    """{(METHOD, path)} of the description."""
    description = load()
    if not description:
        return set()
    return {(method.upper(), template) for template, _, item in description.routes
            for method in item if method in ("get", "post", "delete", "put", "patch")}
