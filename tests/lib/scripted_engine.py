"""A scripted Docker Engine on a unix socket: says what the real one says, and fails as told.

Its containers are entries in a dict. It speaks only the API versions from min_api to max_api and
refuses all others as the real one does, and keeps every request for a test to look at."""
import calendar
import collections
import contextlib
import hashlib
import json
import os
import queue
import re
import socketserver
import struct
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

Request = collections.namedtuple("Request", "method path version query body")


class Refusal(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


def _number(version):
    major, minor = version.split(".")
    return int(major), int(minor)


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".%09dZ" % (time.time_ns() % 10**9)


def _seconds(text):
    whole, fraction = text.rstrip("Z").split(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + fraction)


class _Container:
    def __init__(self, name, body):
        self.id = hashlib.sha256(os.urandom(32)).hexdigest()
        self.name = name
        self.body = body
        self.status = "created"
        self.exit_code = 0
        self.error = ""
        self.printed = []  # (time, "stdout" or "stderr", text)
        self.heard = b""
        self.created = _now()
        self.started_at = "0001-01-01T00:00:00Z"
        self.finished_at = "0001-01-01T00:00:00Z"

    @property
    def labels(self):
        return self.body.get("Labels") or {}

    @property
    def running(self):
        return self.status == "running"

    def brief(self):
        return {"Id": self.id, "Names": ["/" + self.name], "Image": self.body["Image"],
                "ImageID": _image_id(self.body["Image"]), "Command": "x", "Created": int(time.time()),
                "Labels": self.labels, "State": self.status,
                "Status": "Up 1 second" if self.running else f"Exited ({self.exit_code})",
                "Ports": [], "Mounts": [], "HostConfig": {"NetworkMode": "default"},
                "NetworkSettings": {"Networks": {}}}

    def full(self):
        host = dict(self.body.get("HostConfig") or {})
        return {"Id": self.id, "Name": "/" + self.name, "Created": self.created,
                "Image": _image_id(self.body["Image"]), "RestartCount": 0,
                "State": {"Status": self.status, "Running": self.running, "Paused": False,
                          "Restarting": False, "OOMKilled": False, "Dead": False,
                          "Pid": 4242 if self.running else 0, "ExitCode": self.exit_code,
                          "Error": self.error, "StartedAt": self.started_at,
                          "FinishedAt": self.finished_at},
                "Config": {key: value for key, value in self.body.items()
                           if key not in ("HostConfig", "NetworkingConfig")},
                "HostConfig": host, "Mounts": [],
                "NetworkSettings": {"Ports": host.get("PortBindings") or {}, "Networks": {}}}


def _image_id(reference):
    return "sha256:" + hashlib.sha256(reference.encode()).hexdigest()


class ScriptedEngine:
    """images: references that are there. pullable: those that a pull brings; a missing one gets
    what the real Engine says. Hooks, to be set by a test at any time: start_error, a text that
    start answers 500 with, or a function that gives it (or None) for a container; crash_on_start,
    an exit code; update_error, as start_error; stuck, an Event that holds every answer until it is set; pull_pause, seconds between two lines of a pull's progress; broken, a fault of
    lib/engine_faults.py for a route, named as its method of _Handler is."""

    def __init__(self, path, min_api="1.44", max_api="1.51", version="29.1.0"):
        self.path = path
        self.min_api = min_api
        self.max_api = max_api
        self.version = version
        self.images = {"test:httpd", "test:sleeper"}
        self.pullable = set()
        self.registry_down = False
        self.start_error = None
        self.update_error = None
        self.crash_on_start = None
        self.stuck = None
        self.pull_pause = 0.0
        self.broken = {}
        self.broke = 0  # how often a fault was met
        self.requests = []
        self.containers = {}
        self.listeners = []
        self.lock = threading.RLock()
        self.server = None

    def start(self):
        engine = self

        class Handler(_Handler):
            pass

        Handler.engine = engine
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server = _Server(self.path, Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()
        return self

    def stop(self):
        if self.server is None:
            return
        self.server.shutdown()
        self.server.server_close()
        self.hang_up()
        os.unlink(self.path)
        self.server = None

    def hang_up(self):
        """Cut all connections; it goes on listening, and `listeners` are those who came since."""
        with self.lock:
            self.server.hang_up()
            for listener in self.listeners:
                listener.put(None)
            self.listeners.clear()

    # What a test may do behind the agent's back.

    def find(self, name_or_id):
        with self.lock:
            for container in self.containers.values():
                if container.name == name_or_id or container.id.startswith(name_or_id):
                    return container
        raise Refusal(404, f"No such container: {name_or_id}")

    def add(self, name, body):
        """A running container that somebody else made."""
        container = _Container(name, body)
        container.status = "running"
        with self.lock:
            self.containers[container.id] = container
        return container

    def die(self, name, exit_code=137):
        with self.lock:
            container = self.find(name)
            container.status = "exited"
            container.exit_code = exit_code
            container.finished_at = _now()
            self.tell("die", container, {"exitCode": str(exit_code)})

    def say(self, name, text, output="stdout"):
        """The container prints a line."""
        with self.lock:
            self.find(name).printed.append((_now(), output, text))

    def vanish(self, name):
        with self.lock:
            container = self.find(name)
            del self.containers[container.id]
            self.tell("destroy", container)

    def tell(self, action, container, more=None):
        attributes = {**container.labels, "image": container.body["Image"], "name": container.name}
        attributes.update(more or {})
        event = {"status": action, "id": container.id, "from": container.body["Image"],
                 "Type": "container", "Action": action,
                 "Actor": {"ID": container.id, "Attributes": attributes}, "scope": "local",
                 "time": int(time.time()), "timeNano": time.time_ns()}
        with self.lock:
            for listener in self.listeners:
                listener.put(event)

    def asked(self, method, pattern):
        """The requests so far whose path (without the version) matches."""
        with self.lock:
            return [r for r in self.requests if r.method == method and re.fullmatch(pattern, r.path)]


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path, handler):
        self.open = set()
        super().__init__(path, handler)

    def get_request(self):
        sock, _ = super().get_request()
        self.open.add(sock)
        return sock, ("unix", 0)

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)

    def hang_up(self):
        for sock in list(self.open):
            try:
                sock.shutdown(2)
            except OSError:
                pass

    def handle_error(self, request, client_address):
        pass  # the agent hung up


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine = None
    captured = False  # a fault is made of the answer: it must have an end

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.serve()

    do_POST = do_DELETE = do_HEAD = do_PUT = do_GET

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        split = urllib.parse.urlsplit(self.path)
        late = split.path.endswith("/attach")  # comes when the answer's head has been sent
        body = self.rfile.read(length) if length and not late else b""
        query = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
        found = re.match(r"/v(\d+\.\d+)(/.*)", split.path)
        version, path = found.groups() if found else (None, split.path)
        engine = self.engine
        if engine.stuck:
            engine.stuck.wait(60)
        try:
            value = json.loads(body) if body else None
        except json.JSONDecodeError:
            self.answer(400, {"message": "invalid JSON"})
            return
        with engine.lock:
            engine.requests.append(Request(self.command, path, version, query, value))
        method, found = self.find_route(path)

        def respond():
            try:
                self.check_version(version)
                if method is None:
                    raise Refusal(404, "page not found")
                method(self, query, value, *found.groups())
            except Refusal as refusal:
                self.answer(refusal.status, {"message": refusal.message})
        fault = engine.broken.get(method.__name__ if method else None)
        if fault is None:
            respond()
            return
        self.close_connection = True
        engine.broke += 1
        with contextlib.suppress(OSError):  # the agent needn't wait for the end of it
            fault(self, respond)

    def check_version(self, version):
        if version is None:
            return
        if _number(version) < _number(self.engine.min_api):
            raise Refusal(400, f"client version {version} is too old. Minimum supported API version "
                               f"is {self.engine.min_api}, please upgrade your client to a newer "
                               "version")
        if _number(version) > _number(self.engine.max_api):
            raise Refusal(400, f"client version {version} is too new. Maximum supported API version "
                               f"is {self.engine.max_api}")

    def find_route(self, path):
        for method, pattern, handle in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found and (self.command == method or (method == "GET" and self.command == "HEAD")):
                return handle, found
        return None, None

    def answer(self, status, value=None, text=None):
        data = b""
        if value is not None:
            data = json.dumps(value).encode() + b"\n"
        elif text is not None:
            data = text.encode()
        self.send_response(status)
        self.send_header("Api-Version", self.engine.max_api)
        self.send_header("Ostype", "linux")
        self.send_header("Server", f"Docker/{self.engine.version} (linux)")
        if status not in (204, 304):
            self.send_header("Content-Type", "application/json" if value is not None else "text/plain")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status not in (204, 304) and self.command != "HEAD":
            self.wfile.write(data)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Api-Version", self.engine.max_api)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, value):
        data = json.dumps(value).encode() + b"\r\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    # One method a route.

    def ping(self, query, body):
        self.answer(200, text="OK")

    def get_version(self, query, body):
        self.answer(200, {"Platform": {"Name": "Docker Engine - Community"},
                          "Version": self.engine.version, "ApiVersion": self.engine.max_api,
                          "MinAPIVersion": self.engine.min_api, "Os": "linux", "Arch": "amd64",
                          "GitCommit": "0000000", "GoVersion": "go1.25", "KernelVersion": "6.1.0",
                          "Components": []})

    def info(self, query, body):
        self.answer(200, {"ID": "scripted", "Containers": len(self.engine.containers),
                          "ContainersRunning": 0, "Images": len(self.engine.images),
                          "MemTotal": 8 << 30, "NCPU": 4, "ServerVersion": self.engine.version,
                          "OperatingSystem": "scripted", "OSType": "linux", "Driver": "overlay2",
                          "CgroupVersion": "2", "DockerRootDir": "/var/lib/docker",
                          "SecurityOptions": [], "LiveRestoreEnabled": False})

    def events(self, query, body):
        filters = json.loads(query.get("filters") or "{}")
        self.begin_stream()
        if self.captured:
            self.chunk({"Type": "container", "Action": "start", "Actor": {"ID": "0" * 64}})
            self.wfile.write(b"0\r\n\r\n")
            return
        mine = queue.Queue()
        with self.engine.lock:
            self.engine.listeners.append(mine)
        while True:
            event = mine.get()
            if event is None:
                return
            if _event_passes(event, filters):
                self.chunk(event)

    def list_containers(self, query, body):
        filters = json.loads(query.get("filters") or "{}")
        everything = query.get("all") in ("1", "true", "True")
        with self.engine.lock:
            rows = [c.brief() for c in self.engine.containers.values()
                    if (everything or c.running or filters.get("status"))
                    and _has_labels(c.labels, filters.get("label"))]
        self.answer(200, rows)

    def create(self, query, body):
        name = query.get("name") or os.urandom(6).hex()
        if not isinstance(body, dict) or not body.get("Image"):
            raise Refusal(400, "no image given")
        with self.engine.lock:
            if body["Image"] not in self.engine.images:
                raise Refusal(404, f"No such image: {body['Image']}")
            for other in self.engine.containers.values():
                if other.name == name:
                    raise Refusal(409, f'Conflict. The container name "/{name}" is already in use '
                                       f'by container "{other.id}". You have to remove (or rename) '
                                       "that container to be able to reuse that name.")
            container = _Container(name, body)
            self.engine.containers[container.id] = container
            self.engine.tell("create", container)
        self.answer(201, {"Id": container.id, "Warnings": []})

    def inspect(self, query, body, name):
        with self.engine.lock:
            value = self.engine.find(name).full()
        self.answer(200, value)

    def logs(self, query, body, name):
        with self.engine.lock:
            container = self.engine.find(name)
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.multiplexed-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        since = float(query.get("since") or 0)
        told = 0
        while True:
            with self.engine.lock:
                new = container.printed[told:]
                goes_on = query.get("follow") and container.running
            for when, output, text in new:
                told += 1
                if _seconds(when) < since:
                    continue
                data = f"{when} {text}\n".encode()
                frame = bytes([1 if output == "stdout" else 2, 0, 0, 0]) + struct.pack(">I", len(data))
                self.wfile.write(b"%x\r\n%s\r\n" % (len(frame + data), frame + data))
            self.wfile.flush()
            if not goes_on:
                break
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def attach(self, query, body, name):
        with self.engine.lock:
            container = self.engine.find(name)
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.raw-stream")
        self.end_headers()
        self.wfile.flush()
        heard = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.engine.lock:
            container.heard += heard

    def start(self, query, body, name):
        with self.engine.lock:
            container = self.engine.find(name)
            if container.running:
                self.answer(304)
                return
            error = self.engine.start_error
            if callable(error):
                error = error(container)
            if error:
                container.error = error
                raise Refusal(500, error)
            container.status = "running"
            container.exit_code = 0
            container.error = ""
            container.started_at = _now()
            self.engine.tell("start", container)
            if self.engine.crash_on_start is not None:
                self.engine.die(name, self.engine.crash_on_start)
        self.answer(204)

    def stop(self, query, body, name):
        with self.engine.lock:
            container = self.engine.find(name)
            if not container.running:
                self.answer(304)
                return
            self.engine.die(name, 0)
            self.engine.tell("stop", container)
        self.answer(204)

    def kill(self, query, body, name):
        with self.engine.lock:
            container = self.engine.find(name)
            if not container.running:
                raise Refusal(409, f"Container {container.id} is not running")
            self.engine.die(name, 137)
        self.answer(204)

    def update(self, query, body, name):
        with self.engine.lock:
            container = self.engine.find(name)
            error = self.engine.update_error
            if callable(error):
                error = error(container)
            if error:
                raise Refusal(500, error)
            container.body.setdefault("HostConfig", {}).update(body)
            self.engine.tell("update", container)
        self.answer(200, {"Warnings": []})

    def rename(self, query, body, name):
        with self.engine.lock:
            container = self.engine.find(name)
            if any(other.name == query["name"] for other in self.engine.containers.values()):
                raise Refusal(409, f'Conflict. The container name "/{query["name"]}" is already in use.')
            container.name = query["name"]
            self.engine.tell("rename", container)
        self.answer(204)

    def wait(self, query, body, name):
        self.answer(200, {"StatusCode": self.engine.find(name).exit_code})

    def remove(self, query, body, name):
        with self.engine.lock:
            container = self.engine.find(name)
            force = query.get("force") in ("1", "true", "True")
            if container.running and not force:
                raise Refusal(409, f"You cannot remove a running container {container.id}. Stop the "
                                   "container before attempting removal or force remove")
            if container.running:
                self.engine.die(name, 137)
            self.engine.vanish(name)
        self.answer(204)

    def inspect_image(self, query, body, reference):
        with self.engine.lock:
            if reference not in self.engine.images:
                raise Refusal(404, f"No such image: {reference}")
        self.answer(200, {"Id": _image_id(reference), "RepoTags": [reference], "Os": "linux",
                          "Architecture": "amd64", "Size": 1000,
                          "Config": {"Env": [], "Cmd": ["/bin/busybox"]}})

    def pull(self, query, body):
        reference = query["fromImage"]
        if query.get("tag"):
            mark = "@" if query["tag"].startswith("sha256:") else ":"
            reference += mark + query["tag"]
        engine = self.engine
        if engine.registry_down:
            raise Refusal(500, "Get \"http://127.0.0.1:5000/v2/\": dial tcp 127.0.0.1:5000: connect: "
                               "connection refused")
        if reference not in engine.pullable:
            raise Refusal(404, f"manifest for {reference} not found: manifest unknown: manifest "
                               "unknown")
        self.begin_stream()
        for current in range(0, 101, 20):
            self.chunk({"status": "Downloading", "id": "0123456789ab",
                        "progressDetail": {"current": current * 1000, "total": 100000}})
            time.sleep(engine.pull_pause)
        self.chunk({"status": f"Status: Downloaded newer image for {reference}"})
        with engine.lock:
            engine.images.add(reference)
        self.wfile.write(b"0\r\n\r\n")


def _has_labels(labels, wanted):
    if isinstance(wanted, dict):
        wanted = [key for key, on in wanted.items() if on]
    for item in wanted or []:
        key, mark, value = item.partition("=")
        if key not in labels or (mark and labels[key] != value):
            return False
    return True


def _event_passes(event, filters):
    def listed(name):
        wanted = filters.get(name)
        return [k for k, on in wanted.items() if on] if isinstance(wanted, dict) else wanted

    if listed("type") and event["Type"] not in listed("type"):
        return False
    if listed("event") and event["Action"] not in listed("event"):
        return False
    return _has_labels(event["Actor"]["Attributes"], filters.get("label"))


_ROUTES = [
    ("GET", "/_ping", _Handler.ping),
    ("GET", "/version", _Handler.get_version),
    ("GET", "/info", _Handler.info),
    ("GET", "/events", _Handler.events),
    ("GET", "/containers/json", _Handler.list_containers),
    ("POST", "/containers/create", _Handler.create),
    ("GET", "/containers/([^/]+)/json", _Handler.inspect),
    ("GET", "/containers/([^/]+)/logs", _Handler.logs),
    ("POST", "/containers/([^/]+)/attach", _Handler.attach),
    ("POST", "/containers/([^/]+)/start", _Handler.start),
    ("POST", "/containers/([^/]+)/stop", _Handler.stop),
    ("POST", "/containers/([^/]+)/kill", _Handler.kill),
    ("POST", "/containers/([^/]+)/update", _Handler.update),
    ("POST", "/containers/([^/]+)/rename", _Handler.rename),
    ("POST", "/containers/([^/]+)/wait", _Handler.wait),
    ("DELETE", "/containers/([^/]+)", _Handler.remove),
    ("GET", "/images/(.+)/json", _Handler.inspect_image),
    ("POST", "/images/create", _Handler.pull),
]
