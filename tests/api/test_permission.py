"""Every route × every kind of key, from the panel's table of routes.

What is expected is said here once more, and by other means: the scope follows from path and method,
and what a user may do who is no admin is a table, where nothing is allowed that doesn't stand."""
import unittest

from lib import routes
from lib.paneld import create_key
from lib.wait import until
from lib.world import World

WORLD = None
OWN = None  # the instance that all this is about; owner's, and the guest may use it
KEYS = {}   # kind: text
SCOPES = [f"{resource}:{action}" for resource in ("users", "nodes", "images", "instances", "keys")
          for action in ("read", "write")] + ["events:read", "audit:read", "metrics:read"]
PASSWORD = "correct horse"

READING_POSTS = ("/api/getUser", "/api/getInstance", "/api/getUserInstance")
RESOURCES = {"nodes": "nodes", "images": "images", "keys": "keys", "events": "events", "audit": "audit",
             "users": "users", "getUser": "users", "instances": "instances", "instance": "instances",
             "metrics": "metrics", "stats": "instances", "getInstance": "instances", "getUserInstance": "instances"}
ANY_KEY = {("GET", "/api/auth/me"), ("POST", "/api/auth/logout"), ("GET", "/api/openapi.json")}
PUBLIC = {("POST", "/api/auth/login"), ("POST", "/join"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/docs"),
          ("GET", "/docs/openapi.json")}

# What a user may who is no admin: "use" and "own" an instance; "self": only what is his is there.
MAY = {
    ("GET", "/api/users"): "self", ("POST", "/api/getUser"): "self",
    ("GET", "/api/users/:id"): "self", ("PATCH", "/api/users/:id"): "self",
    ("GET", "/api/images"): "self", ("GET", "/api/images/:id"): "self",
    ("GET", "/api/instances"): "self", ("POST", "/api/getInstance"): "self",
    ("POST", "/api/getUserInstance"): "self", ("GET", "/api/stats"): "self", ("GET", "/api/events"): "self",
    ("GET", "/api/instances/:id"): "use", ("PATCH", "/api/instances/:id"): "own",
    ("POST", "/api/instances/:id/power"): "use", ("GET", "/api/instances/:id/users"): "own",
    ("POST", "/api/instances/:id/users"): "own", ("DELETE", "/api/instances/:id/users"): "own",
    ("GET", "/api/instances/:id/logs"): "use", ("GET", "/api/instances/:id/console"): "use",
    ("POST", "/api/instances/:id/console"): "use", ("POST", "/api/instances/:id/command"): "use",
    ("POST", "/api/instances/:id/redeploy"): "own", ("POST", "/api/instances/:id/reinstall"): "own",
    ("POST", "/api/instances/:id/retry"): "use", ("GET", "/api/instances/:id/stats"): "use",
    ("GET", "/api/keys"): "self", ("POST", "/api/keys"): "self", ("GET", "/api/keys/:id"): "self",
    ("PATCH", "/api/keys/:id"): "self", ("DELETE", "/api/keys/:id"): "self",
    ("POST", "/api/keys/:id/rotate"): "self",
    ("GET", "/api/auth/me"): "self", ("POST", "/api/auth/logout"): "self", ("GET", "/api/openapi.json"): "self",
}


def scope_of(route):
    """The scope that it needs; None: any key will do."""
    if (route.method, route.path) in ANY_KEY:
        return None
    if route.path == "/api/auth/create-user":
        return "users:write"
    resource = RESOURCES[route.path.removeprefix("/api").split("/")[1]]
    reads = route.method == "GET" or route.path in READING_POSTS
    return f"{resource}:{'read' if reads else 'write'}"


def make_key(**fields):
    return WORLD.api.post("/api/keys", {"name": "made", **fields}).expect(201).json


def log_in(username):
    answer = WORLD.api.post("/api/auth/login", {"username": username, "password": PASSWORD}, key=None)
    return answer.expect(201).json["token"]


def setUpModule():
    global WORLD, OWN
    WORLD = World("scripted").start()
    OWN = WORLD.deploy()["Id"]
    WORLD.api.post(f"/api/instances/{OWN}/power", {"action": "stop"}).expect(200)  # its stats are quick
    guest, stranger, chief = (WORLD.add_user(name) for name in ("guest", "stranger", "chief"))
    WORLD.api.request("PATCH", f"/api/users/{chief}", {"admin": True}).expect(200)
    WORLD.api.post(f"/api/instances/{OWN}/users", {"userId": guest}).expect(200)
    KEYS.update({scope: make_key(scopes=[scope])["key"] for scope in SCOPES})
    for name, fields in {
            "admin": {}, "read": {"scopes": ["read"]}, "two scopes": {"scopes": "users:read nodes:write"},
            "owner": {"userId": WORLD.user_id}, "guest": {"userId": guest}, "stranger": {"userId": stranger},
            "owner, reading": {"userId": WORLD.user_id, "scopes": ["read"]},
            "chief": {"userId": chief}, "chief, reading": {"userId": chief, "scopes": ["read"]}}.items():
        KEYS[name] = make_key(**fields)["key"]
    KEYS["from the host"] = create_key(WORLD.panel.data, "host")
    KEYS["from the host, reading"] = create_key(WORLD.panel.data, "host r", "--scope", "read")
    for name in ("owner", "guest", "stranger", "chief"):
        KEYS[f"session of {name}"] = log_in(name)
    in_grace, rotated, revoked, expired = (make_key() for _ in range(4))
    rotate = WORLD.api.post(f"/api/keys/{in_grace['id']}/rotate", {"graceSeconds": 600}).expect(200)
    KEYS["in its grace"], KEYS["new after a rotation"] = in_grace["key"], rotate.json["key"]
    WORLD.api.post(f"/api/keys/{rotated['id']}/rotate").expect(200)
    WORLD.api.delete(f"/api/keys/{revoked['id']}").expect(200)
    ended = log_in("guest")
    WORLD.api.post("/api/auth/logout", key=ended).expect(200)
    short = make_key(expiresIn=1)
    KEYS.update({"old after a rotation": rotated["key"], "revoked": revoked["key"], "ended session": ended,
                 "none": None, "expired": short["key"]})
    WORLD.panel.restart()  # what they may is in the store
    until(lambda: WORLD.api.get("/api/auth/me", key=short["key"]).status == 401, 10, "it has expired")


def tearDownModule():
    WORLD.stop()


DEAD = ("old after a rotation", "revoked", "ended session", "none", "expired")
ADMINS = ("admin", "chief", "from the host", "in its grace", "new after a rotation", "session of chief")
READERS = ("read", "chief, reading", "from the host, reading")
USERS = {"owner": "owner", "owner, reading": "owner", "guest": "guest", "stranger": "stranger",
         "session of owner": "owner", "session of guest": "guest", "session of stranger": "stranger"}


def scopes_of(kind):
    if kind in READERS or kind.endswith("reading"):
        return {scope for scope in SCOPES if scope.endswith(":read")}
    if kind == "two scopes":
        return {"users:read", "nodes:write"}
    return {kind} if kind in SCOPES else set(SCOPES)


def expected(route, kind):
    """What becomes of a request: "401", "403", a scope that is missing, "nothing there" or "in"."""
    if (route.method, route.path) in PUBLIC:
        return "in"
    if kind in DEAD:
        return "401"
    scope = scope_of(route)
    if scope and scope not in scopes_of(kind):
        return scope
    if kind not in USERS:
        return "in"
    may = MAY.get((route.method, route.path))
    if may is None:
        return "403"
    who = USERS[kind]
    if may == "self" or who == "owner" or (who, may) == ("guest", "use"):
        return "in"
    return "403" if who == "guest" else "nothing there"


class Matrix(unittest.TestCase):
    """Bodies are such that nothing is done by who is let in."""

    def ask(self, route, kind):
        some_id = OWN if "/instances/" in route.path else "0123456789abcdef"
        body = {} if route.method == "GET" else {"body": {"id": "another"}}
        if (route.method, route.path) == ("POST", "/api/auth/logout"):
            body = {"raw": b"{"}
        return WORLD.api.request(route.method, route.at(some_id), key=KEYS[kind], **body)

    def check(self, route, kind, answer):
        want = expected(route, kind)
        if want == "401":
            answer.refused(401, "unauthorized")
        elif want == "nothing there":
            answer.refused(400, "instance_not_found", says="no instance")
        elif want == "in":
            public_refusal = route.path in ("/join", "/api/auth/login")
            self.assertNotEqual(answer.status, 403, answer)
            self.assertNotIn(answer.status, () if public_refusal else (401, 404, 405, 429), answer)
            self.assertNotEqual((answer.json or {}).get("code") if isinstance(answer.json, dict) else None,
                                "instance_not_found" if OWN in str(route.at(OWN)) and kind in USERS else "",
                                answer)
        else:
            answer.refused(403, "forbidden", says=want if want != "403" else ())

    def test_all(self):
        counts = {}
        for route in routes.read():
            for kind in KEYS:
                with self.subTest(route=route, kind=kind):
                    self.check(route, kind, self.ask(route, kind))
                    want = expected(route, kind)
                    counts[want] = counts.get(want, 0) + 1
        for outcome in ("401", "403", "in", "nothing there", "users:write", "audit:read"):
            self.assertGreater(counts.get(outcome, 0), 5, counts)  # it is a test of something

    def test_unknown_paths_and_methods_tell_nothing_without_a_key(self):
        for kind in DEAD:
            WORLD.api.get("/api/nothing", key=KEYS[kind]).refused(401)
            WORLD.api.request("PUT", "/api/users", key=KEYS[kind]).refused(401)
            answer = WORLD.api.get("/api/auth/login", key=KEYS[kind]).refused(401)
            self.assertIsNone(answer.headers.get("Allow"))

    def test_the_table_of_users_names_routes_that_are_there(self):
        self.assertEqual(set(MAY) - {(r.method, r.path) for r in routes.read()}, set())


class Carriers(unittest.TestCase):
    """A key in other places than x-api-key."""

    def get(self, method="GET", path="/api/auth/me", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return WORLD.api.request(method, path, key=None, headers=headers)

    def test_bearer(self):
        for kind in ("admin", "session of guest"):
            for word in ("Bearer", "bearer"):
                self.get(Authorization=f"{word} {KEYS[kind]}").expect(200)
        for kind in ("revoked", "expired", "ended session"):
            self.get(Authorization=f"Bearer {KEYS[kind]}").refused(401)
        self.get(Authorization=f"Basic {KEYS['admin']}").refused(401)
        self.get(Authorization=KEYS["admin"]).refused(401)

    def test_x_api_key_goes_first(self):
        self.get(x_api_key="x", Authorization=f"Bearer {KEYS['admin']}").refused(401)
        self.get(x_api_key=KEYS["read"], Authorization="Bearer x").expect(200)

    def test_cookies_are_for_sessions(self):
        token = KEYS["session of guest"]
        for cookies in (f"panel_session={token}", f"a=b; panel_session={token}; c=d"):
            self.assertEqual(self.get(Cookie=cookies).expect(200).json["user"]["username"], "guest")
        for cookies in (f"panel_session={KEYS['admin']}", f"xpanel_session={token}", "panel_session=",
                        f"panel_session={token}x", f"session={token}", "panel_session"):
            with self.subTest(cookies=cookies[:20]):
                self.get(Cookie=cookies).refused(401)

    def test_a_cookie_alone_changes_nothing(self):
        """Another site's page can have a browser send a cookie, and no header of its own."""
        cookie = f"panel_session={KEYS['session of guest']}"
        for method, path in (("POST", "/api/getUser"), ("PATCH", f"/api/instances/{OWN}"),
                             ("DELETE", "/api/keys/x"), ("POST", "/api/auth/logout")):
            with self.subTest(method=method, path=path):
                self.get(method, path, Cookie=cookie).refused(403, "forbidden", says="X-Requested-With")
                if path != "/api/auth/logout":
                    self.get(method, path, Cookie=cookie, X_Requested_With="x").expect((400, 403, 200))
        answer = self.get("PATCH", f"/api/instances/{OWN}", Cookie=cookie, X_Requested_With="x")
        answer.refused(403, "forbidden", says="owner")  # by what it is about


if __name__ == "__main__":
    unittest.main()
