"""What a run's instances are made of, and what is in their volumes: a registry and a file server that all
nodes reach, a template, a program that keeps each line it is told and counts aloud, guests, and a file
that we put into each volume and that only a wipe may take away."""
import itertools
import os
import secrets

from faults import changes
from lib import images
from lib.file_server import FileServer
from lib.registry import Registry

TEMPLATE = "with a file"
GAME = b"installed " * 1000
GUESTS = 2
# One line a second or so; never without a pause, not even at the end of what it reads.
TALK = ("run=$(cat /proc/sys/kernel/random/uuid); n=0; while true; do if read -r -t 1 line; then "
        "echo \"$line\" >>/app/data/lines; else sleep 0.1; n=$((n+1)); echo \"$run $n\"; fi; done")


class Workload:
    def __init__(self, cluster):
        self.cluster = cluster
        self.registry = Registry(cluster.dir, cluster.address)
        self.files = FileServer(cluster.address)
        self.files.files["/game"] = GAME
        self.guests = []
        self.kept = {}  # {instance: what our file in its volume says}
        self.numbers = itertools.count(1)

    def start(self):
        self.registry.start()
        self.files.start()
        for node in self.cluster.nodes:
            self._make_images(node.engine.api)
        self.cluster.api.post("/api/images/create", {
            "Name": TEMPLATE, "Image": self.image("talker"),
            "AltImages": [self.image(name) for name in changes.TALKERS], "Scripts": {"Install": [
                {"Uri": self.files.url("/game"), "Path": "game"}]}}).expect(201)
        self.guests = [self.cluster.add_user(f"guest{i}") for i in range(GUESTS)]
        return self

    def _make_images(self, engine):
        for name in changes.TALKERS:
            local = images.make(engine, name, [images.BUSYBOX, "sh", "-c", TALK], marker=name)
            self.registry.publish(engine, local, name, keep=True)
        self.registry.publish(engine, "test:sleeper", "sleeper", keep=True)

    def stop(self):
        self.files.stop()
        self.registry.stop()

    def image(self, name):
        return f"{self.registry.host}/{name}:latest"

    def new_line(self):
        return f"line {next(self.numbers)}"

    # Volumes

    def read(self, row, name):
        """The bytes of that file in the instance's volume, or None."""
        path = os.path.join(self._volume(row), name)
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def keep(self, row):
        """Put our file into its volume, unless it is there."""
        if row["Id"] not in self.kept:
            text = secrets.token_hex(8).encode()
            with open(os.path.join(self._volume(row), "kept"), "wb") as file:
                file.write(text)
            self.kept[row["Id"]] = text

    def _volume(self, row):
        node = next(node for node in self.cluster.nodes if node.id == row["Node"]["id"])
        return os.path.join(node.agent.state, "volumes", row["Id"])


def is_of_template(row):
    return bool(row["imageData"]) and row["imageData"]["Name"] == TEMPLATE
