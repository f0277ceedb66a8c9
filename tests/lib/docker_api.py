"""A small client of the Docker Engine API, to look at what the agent did and to meddle with it."""
import http.client
import json
import socket
import urllib.parse


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class DockerError(AssertionError):
    def __init__(self, status, message):
        super().__init__(f"Docker answered {status}: {message}")
        self.status = status


class Docker:
    def __init__(self, path):
        self.path = path

    def request(self, method, path, query=None, body=None, raw=None, headers=None, timeout=60):
        """(status, body bytes)."""
        if query:
            path += "?" + urllib.parse.urlencode(query)
        sent = dict(headers or {})
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        connection = UnixConnection(self.path, timeout)
        try:
            connection.request(method, path, body=data, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, method, path, **more):
        """The answer's JSON (or None); DockerError when the Engine refuses."""
        status, body = self.request(method, path, **more)
        if status >= 400:
            raise DockerError(status, body.decode(errors="replace"))
        try:
            return json.loads(body) if body else None
        except json.JSONDecodeError:
            return body

    def alive(self):
        try:
            return self.request("GET", "/_ping", timeout=2)[0] == 200
        except OSError:
            return False

    # Containers

    def containers(self, label=None):
        """All of them, stopped ones too."""
        query = {"all": "1"}
        if label:
            query["filters"] = json.dumps({"label": [label]})
        return self.call("GET", "/containers/json", query=query)

    def inspect(self, name):
        return self.call("GET", f"/containers/{name}/json")

    def exists(self, name):
        return self.request("GET", f"/containers/{name}/json")[0] == 200

    def create(self, image, name=None, cmd=None, host=None, **config):
        body = {"Image": image, "HostConfig": host or {}, **config}
        if cmd:
            body["Cmd"] = cmd
        return self.call("POST", "/containers/create", query={"name": name} if name else None,
                         body=body)["Id"]

    def start(self, name):
        self.call("POST", f"/containers/{name}/start")

    def stop(self, name, seconds=1):
        self.call("POST", f"/containers/{name}/stop", query={"t": seconds})

    def kill(self, name):
        self.call("POST", f"/containers/{name}/kill")

    def remove(self, name):
        self.call("DELETE", f"/containers/{name}", query={"force": "1", "v": "1"})

    def remove_all(self):
        for container in self.containers():
            try:
                self.remove(container["Id"])
            except DockerError as error:
                if error.status not in (404, 409):
                    raise

    # Images

    def has_image(self, reference):
        return self.request("GET", f"/images/{reference}/json")[0] == 200

    def load(self, archive):
        """What `docker load` does."""
        status, body = self.request("POST", "/images/load", query={"quiet": "1"}, raw=archive,
                                    headers={"Content-Type": "application/x-tar"})
        if status != 200 or b"errorDetail" in body:
            raise DockerError(status, body.decode(errors="replace"))

    def tag(self, image, repository, tag):
        self.call("POST", f"/images/{image}/tag", query={"repo": repository, "tag": tag})

    def push(self, reference):
        name, tag = reference.rsplit(":", 1)
        status, body = self.request("POST", f"/images/{name}/push", query={"tag": tag},
                                    headers={"X-Registry-Auth": "e30="})
        if status != 200 or b'"error"' in body:
            raise DockerError(status, body.decode(errors="replace"))

    def remove_image(self, reference):
        self.call("DELETE", f"/images/{reference}", query={"force": "1"})
