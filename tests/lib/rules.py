"""What holds for every answer of the API, whatever was asked: looked at by both HTTP clients."""
import json
import re

from lib import openapi

CONTENT_TYPE = "application/json; charset=utf-8"

# Never in any answer: secrets, and what only the inside of the daemon knows.
_FORBIDDEN = [
    (re.compile(p), what) for p, what in [
        (r"\$argon2|argon2id|\$2[aby]\$\d\d\$", "a password hash"),
        (r"passwordHash|password_hash|\"password\"\s*:", "a password"),
        (r"panel_[0-9A-Za-z]{36}", "an API key"),
        (r"psess_[0-9A-Za-z]{36}", "a session's token"),
        (r"PRIVATE KEY", "a private key"),
        (r"(?i)sqlite|SELECT |INSERT INTO|UNIQUE constraint|FOREIGN KEY", "database words"),
        (r"[a-z_]+\.c:\d+|\.so\.\d|==\d+==|    at .+\(.+:\d+", "a stack trace"),
        (r"/panel\.db|/var/lib/panel|/proc/self", "a path of the daemon"),
    ]]

# Where a secret is shown, once: what it is called above.
_SHOWN = [(re.compile(r"^POST /api/keys(/[^/]+/rotate)?(\?|$)"), "an API key"),
          (re.compile(r"^POST /api/auth/login(\?|$)"), "a session's token")]

# The answers that are no JSON: metrics, the page of the documentation, and what a container has printed.
_METRICS = {"text/plain; version=0.0.4; charset=utf-8",
            "application/openmetrics-text; version=1.0.0; charset=utf-8"}
_LOGS = re.compile(r"^GET /api/instances/[^/]+/logs(\?|$)")

# What speaks of passwords and keys, and has none.
_DESCRIPTION = re.compile(r"^GET /(api|docs)/openapi\.json(\?|$)")

_SNAKE = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")


class RuleBroken(AssertionError):
    pass


def check_answer(status, headers, body, what):
    """headers: something with get(). body: bytes. Returns the parsed JSON (None for 304)."""
    def broken(why):
        raise RuleBroken(f"{what}: {why}; status {status}, body {body[:400]!r}")

    request_id = headers.get("X-Request-Id")
    if not request_id:
        broken("no X-Request-Id")
    if status == 304:
        if body:
            broken("a 304 with a body")
        return None
    if status == 200 and _LOGS.match(what):
        if headers.get("Content-Type") != "text/plain; charset=utf-8":
            broken(f"Content-Type of logs is {headers.get('Content-Type')!r}")
        return None
    if status == 200 and what == "GET /metrics":
        if headers.get("Content-Type") not in _METRICS:
            broken(f"Content-Type of metrics is {headers.get('Content-Type')!r}")
        return None
    if status == 200 and what == "GET /docs":
        if headers.get("Content-Type") != "text/html; charset=utf-8":
            broken(f"Content-Type of the page is {headers.get('Content-Type')!r}")
        return None
    if headers.get("Content-Type") != CONTENT_TYPE:
        broken(f"Content-Type is {headers.get('Content-Type')!r}")
    try:
        value = json.loads(body.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        broken("body is not JSON")
    if status == 200 and _DESCRIPTION.match(what):
        return value
    text = body.decode("utf-8")
    for pattern, name in _FORBIDDEN:
        shown = status < 300 and any(name == secret and where.match(what) for where, secret in _SHOWN)
        if pattern.search(text) and not shown:
            broken(f"the answer shows {name}")
    if status >= 400:
        check_error(status, headers, value, broken)
    return value


def check_error(status, headers, value, broken):
    if not isinstance(value, dict):
        broken("an error that is no object")
    for key in ("error", "code", "requestId"):
        if not isinstance(value.get(key), str) or not value[key]:
            broken(f"an error without {key}")
    if not _SNAKE.match(value["code"]):
        broken(f"code {value['code']!r} is not snake_case")
    if (status, value["code"]) not in openapi.load().codes:
        broken(f"docs/openapi.yaml lists no code {value['code']!r} of {status}")
    if value["requestId"] != headers.get("X-Request-Id"):
        broken("requestId is not X-Request-Id")
    if re.search(r"[\x00-\x1f\x7f]", value["error"]):
        broken("control characters in the sentence")
    if " " not in value["error"]:
        broken("error is no sentence")
    if "field" in value and (not isinstance(value["field"], str) or not value["field"]):
        broken("field is no name")
    if status == 405 and not headers.get("Allow"):
        broken("405 without Allow")
    if status == 503 and not headers.get("Retry-After"):
        broken("503 without Retry-After")
