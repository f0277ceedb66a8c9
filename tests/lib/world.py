"""A world for tests: a panel, and where wanted an Engine and an agent that has joined it."""
import os
import shutil
import sqlite3

from lib import images, places
from lib.agent import Agent
from lib.dockerd import DockerEngine
from lib.paneld import Paneld
from lib.scripted_engine import ScriptedEngine
from lib.wait import until


class World:
    """engine: None (a panel alone), "scripted" or "docker"."""

    def __init__(self, engine=None, config=None, agent_options=(), **engine_options):
        self.dir = places.fresh_dir("w")
        self.panel = Paneld(self.dir, config)
        self.engine = None
        self.agent = None
        self.node_id = None
        self.user_id = None
        self.kind = engine
        self.agent_options = agent_options
        if engine == "docker":
            self.engine = DockerEngine(self.dir)
        elif engine == "scripted":
            self.engine = ScriptedEngine(os.path.join(self.dir, "docker.sock"), **engine_options)

    def start(self, join=True):
        try:
            if self.engine:
                self.engine.start()
            self.panel.start()
            self.api = self.panel.client()
            self.user_id = self.add_user("owner")
            if self.engine and join:
                self.agent = Agent(self.dir, self.engine.socket if self.kind == "docker"
                                   else self.engine.path, options=self.agent_options)
                self.node_id = self.add_node(self.agent)
        except BaseException:
            self.abandon()
            raise
        return self

    def add_user(self, username):
        return self.api.post("/api/auth/create-user", {
            "username": username, "email": f"{username}@example.test",
            "password": "correct horse"}).expect(201).json["userId"]

    def create_node(self, name="node", port=None, address="127.0.0.1"):
        """The answer of nodes/create: with joinToken."""
        return self.api.post("/api/nodes/create", {
            "name": name, "tags": "test", "ram": "8 GB", "disk": "100 GB", "processor": "any",
            "address": address, "port": str(port or places.free_port())}).expect(201).json

    def add_node(self, agent, name="node", **where):
        """Create a node, join the agent to it, start it and wait until it is Online."""
        node = self.create_node(name, **where)
        agent.join(self.panel.url, node["joinToken"])
        agent.start()
        self.await_status(node["id"], "Online", timeout=30)
        return node["id"]

    def await_status(self, node_id, status, timeout=15):
        until(lambda: self.api.node(node_id)["status"] == status, timeout,
              lambda: f"node is {status}; it is {self.api.node(node_id)}")

    # Instances

    def spec(self, **more):
        """A body for deploy. Each call takes a host port of its own."""
        port = more.pop("host_port", None) or places.free_port()
        body = {"image": "test:httpd", "memory": "64", "cpu": "1", "ports": f"8080:{port}",
                "nodeId": self.node_id, "name": "web", "user": self.user_id,
                "primary": str(port)}
        body.update(more)
        return {key: value for key, value in body.items() if value is not None}

    def deploy(self, **more):
        """Deploy and wait for READY; the instance."""
        answer = self.api.post("/api/instances/deploy", self.spec(**more), query={"wait": 60},
                               timeout=90)
        return answer.expect(201).json["instance"]

    def multiply(self, instance_id, count):
        """As many copies of it, put into the database by hand. The agent is stopped for good."""
        self.agent.stop()
        self.panel.stop()
        db = sqlite3.connect(f"{self.panel.data}/panel.db")
        names = [column[1] for column in db.execute("PRAGMA table_info(instances)")
                 if column[1] not in ("seq", "id")]
        fields = ", ".join(names)
        db.execute("WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                   f" INSERT INTO instances(id, {fields}) SELECT printf('many%08d', i), {fields}"
                   " FROM instances JOIN n WHERE id = ?", (count, instance_id))
        db.commit()
        db.close()
        self.panel.start()

    def await_instance(self, instance_id, timeout=15, **fields):
        """Wait until the instance has these fields, e.g. State="running"."""
        def look():
            instance = self.api.instance(instance_id)
            return instance if all(instance[k] == v for k, v in fields.items()) else None
        return until(look, timeout, lambda: f"{fields}; it is {self.api.instance(instance_id)}")

    def delete(self, instance_id):
        return self.api.delete("/api/instance/delete", {"id": instance_id},
                               timeout=90).expect(201)

    def clear(self):
        """Delete every instance."""
        for instance in self.api.instances():
            self.delete(instance["Id"])

    def container(self, instance):
        """What Docker says of the instance's container."""
        return self.engine.api.inspect(instance["ContainerId"])

    def containers_of(self, instance_id):
        """Ids of all containers whose labels name the instance."""
        if self.kind == "scripted":
            with self.engine.lock:
                return [c.id for c in self.engine.containers.values()
                        if instance_id in c.labels.values()]
        rows = self.engine.api.containers()
        return [row["Id"] for row in rows if instance_id in (row.get("Labels") or {}).values()]

    def make_images(self):
        for make in (images.httpd, images.crasher, images.sleeper):
            make(self.engine.api)

    # The end

    def stop(self):
        """Stop all in order. The first thing that went wrong is raised, at the end."""
        problems = []
        for part in (self.agent, self.panel):
            try:
                if part:
                    part.stop()
            except AssertionError as problem:
                problems.append(problem)
        try:
            if self.kind == "docker":
                self.engine.destroy()
            elif self.engine:
                self.engine.stop()
        except AssertionError as problem:
            problems.append(problem)
        shutil.rmtree(self.dir, ignore_errors=True)
        if problems:
            raise problems[0]

    def abandon(self):
        for part in (self.agent, self.panel):
            if part:
                part.kill()
        if self.kind == "docker":
            self.engine.kill()
        elif self.engine:
            self.engine.stop()
