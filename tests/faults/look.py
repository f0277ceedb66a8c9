"""What is true at one moment: by the API, by the database file, and by every Engine and node."""
import os
import sqlite3
from dataclasses import dataclass

from lib.docker_api import DockerError

OTHER_PANEL = "00000000-1111-4222-8333-444444444444"


@dataclass
class Sight:
    nodes: list  # of the API, as are instances, users and images
    instances: list
    users: list
    images: list
    containers: list  # one list of rows of `docker ps -a` a node, only what is labelled as ours
    volumes: list  # one list of volume ids a node
    details: dict = None  # {instance: what Docker says of its container}, where inspect() was asked


def ours(node):
    """The node's containers with our labels, whatever their state."""
    return [row for row in node.engine.api.containers("panel.instance")
            if row["Labels"]["panel.id"] != OTHER_PANEL]


def look(cluster):
    api = cluster.panel.client()
    return Sight(api.nodes(), api.instances(), api.users(), api.images(),
                 [ours(node) for node in cluster.nodes],
                 [node.volumes() for node in cluster.nodes])


def inspect(cluster, sight):
    """Fills in the sight's details. A container that goes meanwhile is left out."""
    sight.details = {}
    for node, containers in zip(cluster.nodes, sight.containers):
        for container in containers:
            try:
                sight.details[container["Labels"]["panel.instance"]] = \
                    node.engine.api.inspect(container["Id"])
            except DockerError:
                pass
    return sight


def last_event(cluster):
    """The id of the newest event in the database file."""
    path = os.path.join(cluster.panel.data, "panel.db")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        return db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
    finally:
        db.close()


def printed(node, container):
    """The lines that the Engine keeps of it, of both streams."""
    status, body = node.engine.api.request("GET", f"/containers/{container}/logs", query={
        "stdout": "1", "stderr": "1"})
    if status != 200:
        raise DockerError(status, body[:200])
    lines, at = [], 0
    while at + 8 <= len(body):  # frames: a stream's number, three zeroes, a length
        length = int.from_bytes(body[at + 4:at + 8], "big")
        lines += body[at + 8:at + 8 + length].decode(errors="replace").splitlines()
        at += 8 + length
    return lines


def stored(cluster):
    """The instances of the database file, read beside the daemon: {id: (name, phase, suspended)};
    and what SQLite thinks of the file."""
    path = os.path.join(cluster.panel.data, "panel.db")
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
    try:
        rows = {row[0]: row[1:] for row in
                db.execute("SELECT id, name, phase, suspended FROM instances")}
        return rows, db.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        db.close()


# Containers that aren't ours, on every node: one without labels, one of another panel.

def place_bystanders(cluster):
    """{(node's index, name): id}"""
    labels = {"panel.id": OTHER_PANEL, "panel.instance": "0ther0ther0ther0ther",
              "panel.generation": "1", "panel.spec": "0"}
    placed = {}
    for node in cluster.nodes:
        for name, more in (("bystander", {}), ("of-another-panel", {"Labels": labels})):
            container = node.engine.api.create("test:sleeper", name=name, **more, host={
                "RestartPolicy": {"Name": "always"}})
            node.engine.api.start(container)
            placed[node.index, name] = container
    return placed


def see_bystanders(cluster, placed):
    """{(node's index, name): (id, since when it runs, or None)}"""
    seen = {}
    for index, name in placed:
        api = cluster.nodes[index].engine.api
        if not api.exists(name):
            seen[index, name] = (None, None)
            continue
        container = api.inspect(name)
        state = container["State"]
        seen[index, name] = (container["Id"], state["StartedAt"] if state["Running"] else None)
    return seen


def port_refusals(node, row):
    """How often its agent has told that the instance's host port is in use."""
    return sum(f"instance={row['Id']} " in line and "code=port_in_use " in line
               for line in node.agent.daemon.log().splitlines())


def has_lost_port(node, row):
    """Does the Engine refuse the instance's host port though no container has it? Docker 20.10
    with live-restore does, when it was stopped in the middle of a start, until its next start.
    To find out takes the port for a moment."""
    host = row["Ports"].partition(":")[2].partition("/")[0]
    api = node.engine.api
    if any(str(port.get("PublicPort")) == host for container in api.containers()
           for port in container["Ports"]):
        return False
    probe = api.create("test:sleeper", ExposedPorts={"8080/tcp": {}, "8080/udp": {}}, host={
        "PortBindings": {f"8080/{protocol}": [{"HostIp": node.address, "HostPort": host}]
                         for protocol in ("tcp", "udp")}})
    try:
        api.start(probe)
        return False
    except DockerError as error:
        return "already allocated" in str(error)
    finally:
        api.remove(probe)
