"""What it costs to look at a panel all the time: followers of its events, and a dashboard that asks for
all statistics every second. The instances are on simulated nodes, which tell of each once a second."""
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from bench import floors
from bench.figures import Figure, compare
from bench.http_api import Bench
from bench.measure import cpu_seconds
from bench.plain import Plain
from bench.streaming import Clients, Follower
from lib.wait import until

SETTLES = 0.4  # seconds, for what begins or ends with a measurement

class EventFollower(Follower):
    """When the last change of each instance was told."""

    def __init__(self, port, key):
        super().__init__(port, key, "/api/events")

    def name(self, told):
        return told.get("instanceId") if told["type"] == "instance.changed" else None


class Changes(threading.Thread):
    """So many changes a second, each of another instance, until it is told to end."""

    def __init__(self, bench, rate):
        super().__init__(daemon=True)
        self.bench = bench
        self.rate = rate
        self.over = threading.Event()
        self.made = 0

    def run(self):
        client = Plain(self.bench.panel.port, self.bench.panel.key)
        began = time.monotonic()
        while not self.over.wait(max(0.0, began + self.made / self.rate - time.monotonic())):
            self.bench.change(client, self.made)
            self.made += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.join()


class WatchBench(Bench):
    def fill(self, count):
        """Exactly so many, which load() would not make."""
        def deploy(number):
            node = self.fleet.nodes[number % len(self.fleet.nodes)]
            clients = self.clients
            if not hasattr(clients, "own"):
                clients.own = Plain(self.panel.port, self.panel.key)
            return clients.own.expect(201, "POST", "/api/instances/deploy", {
                "image": "game:1", "memory": "16", "cpu": "0.1", "ports": "25565:auto", "primary": "auto",
                "nodeId": node.id, "name": "server", "user": self.user})["Id"]
        self.clients = threading.local()
        with ThreadPoolExecutor(8) as pool:
            self.ids = list(pool.map(deploy, range(count)))
        self.client = Plain(self.panel.port, self.panel.key)
        until(lambda: {row["InternalState"] for row in self.rows()} == {"READY"}, 60, "all are READY")

    def change(self, client, number):
        """By another name than any before: the same one would be no change, and no event."""
        self.names = getattr(self, "names", 0) + 1
        instance_id = self.ids[number % len(self.ids)]
        client.expect(200, "PATCH", f"/api/instances/{instance_id}", {"name": f"n{self.names}"})
        return instance_id

    # Events

    def delay(self, count):
        """From asking for a change until its event is at a follower, beside until its answer is there."""
        client = Plain(self.panel.port, self.panel.key)
        follower = EventFollower(self.panel.port, self.panel.key)
        time.sleep(0.5)
        answered, told = [], []
        for number in range(min(count, len(self.ids))):
            began = time.monotonic()
            instance_id = self.change(client, number)
            answered.append((time.monotonic() - began) * 1000)
            told.append((follower.of(instance_id) - began) * 1000)
        follower.sock.close()
        behind = sorted(max(0.0, event - answer) for event, answer in zip(told, answered))
        answered.sort()
        told.sort()
        for word, share in (("median", 0.5), ("p99", 0.99)):
            at = min(len(told) - 1, int(len(told) * share))
            self.add(Figure(f"from a change until its event is at a follower: {word}", told[at],
                            "ms", floor=answered[at], goal=("<=", 1.5),
                            note=f"floor: until its answer is there; {behind[at]:.2f} ms behind it, of {len(told)}"))

    def spent(self, seconds, rate, clients=None):
        """CPU that so many changes a second cost, in seconds of one core; and how many were made."""
        pid = self.panel.daemon.pid
        with Changes(self, rate) as changes:
            time.sleep(SETTLES)
            before, made = cpu_seconds(pid), changes.made
            first = len(clients.pieces) if clients else 0
            time.sleep(seconds)
            used, made = cpu_seconds(pid) - before, changes.made - made
        time.sleep(SETTLES)
        return used, made, clients.pieces[first:] if clients else []

    def followers(self, count, seconds, rate=100):
        """CPU of so many followers of all events, over that of the changes alone, beside libmicrohttpd
        copying the same bytes in the same pieces."""
        alone, _, _ = self.spent(seconds, rate)
        clients = Clients(self.panel.port, ("GET /api/events HTTP/1.1\r\nHost: panel\r\n"
                                            f"x-api-key: {self.panel.key}\r\n\r\n").encode(), count)
        time.sleep(SETTLES)
        used, made, pieces = self.spent(seconds, rate, clients)
        clients.close()
        with floors.StreamFloor(self.programs) as floor:
            copies = Clients(floor.port, b"GET / HTTP/1.1\r\nHost: floor\r\n\r\n", count)
            time.sleep(SETTLES)
            before, began = cpu_seconds(floor.pid), time.monotonic()
            for when, length in pieces:
                time.sleep(max(0.0, when - pieces[0][0] - (time.monotonic() - began)))
                floor.add(length)
            time.sleep(0.2)
            copied = cpu_seconds(floor.pid) - before
            copies.close()
        self.add(Figure(f"{count} followers of all events: CPU", max(0.0, used - alone) * 1000 / len(pieces),
                        "ms/piece", floor=copied * 1000 / len(pieces), goal=("<=", 1.5),
                        note=f"{made / seconds:.0f} changes/s, whose own CPU ({alone * 1000 / seconds / 10:.1f} % of a"
                             " core) is not counted; floor: bare libmicrohttpd copying the pieces"))

    # Statistics

    def stats(self):
        client = Plain(self.panel.port, self.panel.key)
        until(lambda: len(client.expect(200, "GET", "/api/stats")) == len(self.ids), 20, "all have told")
        _, body = client.fetch("GET", "/api/stats")
        requests = self.file("stats", [("GET", "/api/stats", None)])
        latest = {}
        with floors.HttpFloor(self.programs, body) as floor:
            def measured():
                latest.update(self.run(requests, 4))
                return latest["rate"]
            figure = compare(f"GET /api/stats, {len(self.ids):,} instances", "/s", measured,
                             lambda: self.run(requests, 4, floor.port)["rate"], self.rounds, (">=", 0.5))
        figure.note = "p50 {p50_ms:.2f}, p99 {p99_ms:.2f} ms".format(**latest) + f", {len(body) / 1e6:.2f} MB each"
        self.add(figure)

    def idle(self, seconds):
        """CPU while nobody asks for anything, in seconds of one core."""
        before = cpu_seconds(self.panel.daemon.pid)
        time.sleep(seconds)
        return cpu_seconds(self.panel.daemon.pid) - before

    def dashboard(self, seconds, quiet):
        """One that asks for all every second, beside nobody at all."""
        pid = self.panel.daemon.pid
        client = Plain(self.panel.port, self.panel.key)
        client.expect(200, "GET", "/api/stats")
        took, before = [], cpu_seconds(pid)
        for _ in range(int(seconds)):
            began = time.monotonic()
            client.fetch("GET", "/api/stats")
            took.append((time.monotonic() - began) * 1000)
            time.sleep(max(0.0, began + 1 - time.monotonic()))
        busy = cpu_seconds(pid) - before
        self.add(Figure(f"a dashboard of {len(self.ids):,} instances, every second: CPU",
                        (busy - quiet) / seconds * 100, "%", goal=("<=", 5),
                        note=f"of a core, what the nodes tell included; nobody: {quiet / seconds * 100:.1f} %; an"
                             f" answer takes {statistics.median(took):.1f} ms"))


def run(programs, instances=2000, rounds=5, seconds=2, changes=300, followers=100, watch_seconds=10, say=print):
    bench = WatchBench(programs, instances, rounds, seconds, say).start()
    try:
        bench.fill(instances)
        bench.delay(changes)
        bench.followers(followers, watch_seconds)
        quiet = bench.idle(watch_seconds)
        bench.stats()
        bench.dashboard(watch_seconds, quiet)
    finally:
        bench.stop()
    return bench.figures
