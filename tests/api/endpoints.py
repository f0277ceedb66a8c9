"""Every route of the API, with what a good request to it looks like.

The matrix of bad input is made from this table, and a route of the panel that has no row here
fails a test."""
import itertools
import json
import uuid

from lib.wait import until

# What a field holds, and so how it can be wrong.
TEXT = "text"  # no control characters, bounded length
LOOSE = "loose"  # a text that need not name anything
LINE = "line"  # one line, which may be empty
ID = "id"  # names something that exists
SECRET = "secret"  # any bytes, bounded length
BOOL = "bool"
SIZE = "size"  # a number, or a text that says one
PORTS = "ports"
OBJECT = "object"
RANGE = "range"
RATIOS = "ratios"

_numbers = itertools.count(1)


class Endpoint:
    def __init__(self, name, method, path, ok, make=None, required=None, optional=None, public=False):
        """make(world) → (path, body) of a request that succeeds; required, optional: {field: kind};
        public: it needs no key."""
        self.name = name
        self.method = method
        self.path = path
        self.ok = ok
        self.make = make or (lambda world: (path, None))
        self.required = required or {}
        self.optional = optional or {}
        self.public = public

    @property
    def fields(self):
        return {**self.required, **self.optional}

    @property
    def reads_body(self):
        return self.method != "GET"


def _get_user(world):
    return "/api/getUser", {"type": "id", "value": world.user_id}


def _create_user(world):
    name = f"user-{next(_numbers)}"
    return "/api/auth/create-user", {"username": name, "email": f"{name}@example.test",
                                     "password": "long enough", "userId": f"id.{name}",
                                     "admin": False}


def _new_user(world):
    return world.api.post(*_create_user(world)).expect(201).json["userId"]


def _take_access(world):
    path, body = f"/api/instances/{_kept_instance(world)}/users", {"userId": _new_user(world)}
    world.api.post(path, body).expect(200)
    return path, body


def _create_node(world):
    return "/api/nodes/create", {"name": "n", "tags": "a,b", "ram": "64 GB", "disk": "1 TB",
                                 "processor": "any", "address": "127.0.0.1", "port": "40000"}


def _delete_node(world):
    return "/api/nodes/delete", {"nodeId": world.create_node()["id"], "force": False}


def _create_image(world):
    return "/api/images/create", {"Name": f"image {next(_numbers)}", "Image": "test:httpd",
                                  "Env": ["A=b"]}


def _new_image(world):
    return world.api.post(*_create_image(world)).expect(201).json["Id"]


def _deploy(world):
    return "/api/instances/deploy", world.spec(variables={"A": "b"})


def _kept_instance(world):
    """One that tests look at and don't harm."""
    if getattr(world, "kept", None) is None:
        world.kept = world.deploy(name="kept")["Id"]
    return world.kept


def _stopped_instance(world):
    instance = _new_instance(world)
    world.api.post(f"/api/instances/suspend/{instance}", {}).expect(200)
    return instance


def _new_instance(world):
    return world.deploy()["Id"]


def _failed_instance(world):
    world.engine.start_error = "scripted failure"
    try:
        answer = world.api.post("/api/instances/deploy", world.spec(), query={"wait": 30})
        answer.expect(500)
    finally:
        world.engine.start_error = None
    return [row["Id"] for row in world.api.instances() if row["InternalState"] == "FAILED"][-1]


_ORPHAN = itertools.count(1)


def _orphan(world):
    """A container with the panel's label that the panel doesn't know."""
    with open(f"{world.agent.state}/identity.json") as identity:
        panel_id = json.load(identity)["panelId"]
    instance_id = f"orphan{next(_ORPHAN)}"
    container = world.engine.add(instance_id, {"Image": "test:httpd", "Labels": {
        "panel.id": panel_id, "panel.instance": instance_id, "panel.generation": "1",
        "panel.spec": "0" * 64}})
    world.engine.tell("start", container)
    until(lambda: instance_id in str(world.api.get(f"/api/nodes/{world.node_id}/orphans").json), 5,
          "the orphan is told")
    return instance_id


def _create_key(world):
    return "/api/keys", {"name": f"key {next(_numbers)}", "scopes": ["read"]}


def _new_key(world):
    return world.api.post(*_create_key(world)).expect(201).json["id"]


def unknown_id():
    return uuid.uuid4().hex[:20]


ENDPOINTS = [
    Endpoint("list users", "GET", "/api/users", 200),
    Endpoint("get user", "POST", "/api/getUser", 201, _get_user, {"type": TEXT, "value": ID}),
    Endpoint("create user", "POST", "/api/auth/create-user", 201, _create_user,
             {"username": TEXT, "email": TEXT, "password": SECRET}, {"userId": TEXT, "admin": BOOL}),
    Endpoint("get one user", "GET", "/api/users/{id}", 200,
             lambda world: (f"/api/users/{world.user_id}", None)),
    Endpoint("change user", "PATCH", "/api/users/{id}", 200,
             lambda world: (f"/api/users/{_new_user(world)}", {"admin": False}), {},
             {"username": TEXT, "email": TEXT, "password": SECRET, "admin": BOOL,
              "currentPassword": SECRET}),
    Endpoint("delete user", "DELETE", "/api/users/{id}", 200,
             lambda world: (f"/api/users/{_new_user(world)}", {}), {}, {"force": BOOL}),
    Endpoint("list instances", "GET", "/api/instances", 200),
    Endpoint("deploy", "POST", "/api/instances/deploy", 201, _deploy,
             {"image": TEXT, "memory": SIZE, "cpu": SIZE, "ports": PORTS, "nodeId": ID, "name": TEXT,
              "user": ID, "primary": SIZE}, {"variables": OBJECT, "disk": SIZE, "imagename": LOOSE, "tags": TEXT}),
    Endpoint("delete instance", "DELETE", "/api/instance/delete", 201,
             lambda world: ("/api/instance/delete", {"id": _new_instance(world)}), {"id": ID}),
    Endpoint("get one instance", "GET", "/api/instances/{id}", 200,
             lambda world: (f"/api/instances/{_kept_instance(world)}", None)),
    Endpoint("change instance", "PATCH", "/api/instances/{id}", 200,
             lambda world: (f"/api/instances/{_kept_instance(world)}", {"disk": "1 GiB"}), {},
             {"name": TEXT, "user": ID, "disk": SIZE, "memory": SIZE, "cpu": SIZE,
              "image": TEXT, "ports": PORTS, "primary": SIZE, "variables": OBJECT, "env": OBJECT}),
    Endpoint("delete one instance", "DELETE", "/api/instances/{id}", 200,
             lambda world: (f"/api/instances/{_new_instance(world)}", {}), {}, {"id": ID}),
    Endpoint("get user instances", "POST", "/api/getUserInstance", 200,
             lambda world: ("/api/getUserInstance", {"userId": world.user_id}), {"userId": ID},
             {"shared": BOOL}),
    Endpoint("get instance", "POST", "/api/getInstance", 200,
             lambda world: ("/api/getInstance", {"id": _kept_instance(world)}), {"id": ID}),
    Endpoint("suspend", "POST", "/api/instances/suspend/{id}", 200,
             lambda world: (f"/api/instances/suspend/{_new_instance(world)}", {}), {}, {"id": ID}),
    Endpoint("unsuspend", "POST", "/api/instances/unsuspend/{id}", 200,
             lambda world: (f"/api/instances/unsuspend/{_kept_instance(world)}", {}), {}, {"id": ID}),
    Endpoint("power", "POST", "/api/instances/{id}/power", 200,
             lambda world: (f"/api/instances/{_kept_instance(world)}/power", {"action": "restart"}),
             {"action": ID}, {"id": ID}),
    Endpoint("list access", "GET", "/api/instances/{id}/users", 200,
             lambda world: (f"/api/instances/{_kept_instance(world)}/users", None)),
    Endpoint("give access", "POST", "/api/instances/{id}/users", 200,
             lambda world: (f"/api/instances/{_kept_instance(world)}/users",
                            {"userId": _new_user(world)}), {"userId": ID}),
    Endpoint("take access", "DELETE", "/api/instances/{id}/users", 200, _take_access,
             {"userId": ID}),
    Endpoint("logs", "GET", "/api/instances/{id}/logs", 200,
             lambda world: (f"/api/instances/{_kept_instance(world)}/logs", None)),
    Endpoint("stats", "GET", "/api/instances/{id}/stats", 200,
             lambda world: (f"/api/instances/{_stopped_instance(world)}/stats", None)),
    Endpoint("all stats", "GET", "/api/stats", 200),
    Endpoint("events", "GET", "/api/events", 200),
    Endpoint("audit", "GET", "/api/audit", 200),
    Endpoint("command", "POST", "/api/instances/{id}/command", 200,
             lambda world: (f"/api/instances/{_kept_instance(world)}/command", {"line": "hello"}),
             {"line": LINE}),
    Endpoint("open console", "GET", "/api/instances/{id}/console", 200,
             lambda world: (f"/api/instances/{_kept_instance(world)}/console", None)),
    Endpoint("console", "POST", "/api/instances/{id}/console", 200,
             lambda world: (f"/api/instances/{_kept_instance(world)}/console", {"line": "hello"}),
             {"line": LINE}),
    Endpoint("redeploy", "POST", "/api/instances/{id}/redeploy", 200,
             lambda world: (f"/api/instances/{_stopped_instance(world)}/redeploy", {}), {}, {"id": ID}),
    Endpoint("reinstall", "POST", "/api/instances/{id}/reinstall", 200,
             lambda world: (f"/api/instances/{_new_instance(world)}/reinstall", {"wipe": True}), {},
             {"id": ID, "wipe": BOOL}),
    Endpoint("retry", "POST", "/api/instances/{id}/retry", 200,
             lambda world: (f"/api/instances/{_failed_instance(world)}/retry", {}), {}, {"id": ID}),
    Endpoint("list images", "GET", "/api/images", 200),
    Endpoint("create image", "POST", "/api/images/create", 201, _create_image, {"Name": TEXT}),
    Endpoint("delete image", "DELETE", "/api/images/delete", 201,
             lambda world: ("/api/images/delete", {"id": _new_image(world)}), {"id": ID}),
    Endpoint("get one image", "GET", "/api/images/{id}", 200,
             lambda world: (f"/api/images/{_new_image(world)}", None)),
    Endpoint("change image", "PATCH", "/api/images/{id}", 200,
             lambda world: (f"/api/images/{_new_image(world)}", {"Description": "new"})),
    Endpoint("delete one image", "DELETE", "/api/images/{id}", 200,
             lambda world: (f"/api/images/{_new_image(world)}", {}), {}, {"force": BOOL}),
    Endpoint("list nodes", "GET", "/api/nodes", 200),
    Endpoint("create node", "POST", "/api/nodes/create", 201, _create_node,
             {"name": TEXT, "tags": TEXT, "ram": TEXT, "disk": TEXT, "processor": TEXT,
              "address": TEXT, "port": SIZE}, {"portRange": RANGE, "overcommit": RATIOS}),
    Endpoint("delete node", "DELETE", "/api/nodes/delete", 201, _delete_node, {"nodeId": ID},
             {"force": BOOL}),
    Endpoint("get node", "GET", "/api/nodes/{id}", 200,
             lambda world: (f"/api/nodes/{world.node_id}", None)),
    Endpoint("change node", "PATCH", "/api/nodes/{id}", 200,
             lambda world: (f"/api/nodes/{world.node_id}", {"tags": "b,c", "maintenance": False}), {},
             {"name": TEXT, "tags": TEXT, "ram": TEXT, "disk": TEXT, "processor": TEXT,
              "address": TEXT, "port": SIZE, "maintenance": BOOL, "drain": BOOL,
              "portRange": RANGE, "overcommit": RATIOS}),
    Endpoint("new token", "POST", "/api/nodes/{id}/token", 201,
             lambda world: (f"/api/nodes/{world.create_node()['id']}/token", {})),
    Endpoint("list orphans", "GET", "/api/nodes/{id}/orphans", 200,
             lambda world: (f"/api/nodes/{world.node_id}/orphans", None)),
    Endpoint("delete orphan", "DELETE", "/api/nodes/{id}/orphans", 201,
             lambda world: (f"/api/nodes/{world.node_id}/orphans", {"instanceId": _orphan(world)}),
             {"instanceId": ID}),
    Endpoint("list keys", "GET", "/api/keys", 200),
    Endpoint("create key", "POST", "/api/keys", 201, _create_key, {"name": TEXT},
             {"userId": ID, "expiresIn": SIZE, "expiresAt": ID, "rateLimit": SIZE}),
    Endpoint("get key", "GET", "/api/keys/{id}", 200,
             lambda world: (f"/api/keys/{_new_key(world)}", None)),
    Endpoint("change key", "PATCH", "/api/keys/{id}", 200,
             lambda world: (f"/api/keys/{_new_key(world)}", {"name": "renamed"}), {},
             {"name": TEXT, "expiresIn": SIZE, "expiresAt": ID, "rateLimit": SIZE}),
    Endpoint("revoke key", "DELETE", "/api/keys/{id}", 200,
             lambda world: (f"/api/keys/{_new_key(world)}", {})),
    Endpoint("rotate key", "POST", "/api/keys/{id}/rotate", 200,
             lambda world: (f"/api/keys/{_new_key(world)}/rotate", {}), {}, {"graceSeconds": SIZE}),
    Endpoint("login", "POST", "/api/auth/login", 201,
             lambda world: ("/api/auth/login", {"username": "owner", "password": "correct horse"}),
             {"password": SECRET}, {"username": LOOSE, "email": LOOSE}, public=True),
    Endpoint("who am I", "GET", "/api/auth/me", 200),
    # The tests' key is no session; what becomes of one is in test_login.py.
    Endpoint("logout", "POST", "/api/auth/logout", 400, lambda world: ("/api/auth/logout", {})),
    Endpoint("description", "GET", "/api/openapi.json", 200),
]

# Keys have no ETag, since they tell when they were last used.
LISTS = [e for e in ENDPOINTS if e.name.startswith("list ") and "{id}" not in e.path
         and e.path != "/api/keys"]


def fixed_path(endpoint):
    """A path of the right form, naming nothing that exists."""
    return endpoint.path.replace("{id}", "0123456789abcdef")
